//! The pages, what they load, and what monitoring asks.

use super::operation::{Operation, get};
use crate::http::code::Code;
use crate::http::health::Health;
use crate::http::ws_status::FeedParameters;

pub(super) fn operations() -> Vec<Operation> {
    let page = |path, summary| get(path, summary).answers_text(&["text/html"], "The page").refuses(&[Code::NotFound]);
    let operations = vec![
        page("/", "Bảng điều khiển: the state of the lot and of the mesh."),
        page("/gate", "Cổng: the console of a person at a gate."),
        page("/history", "Lịch sử: the history."),
        page("/settings", "Cài đặt P2P: the settings."),
        page("/login", "Đăng nhập: logging in, the first password, the own password."),
        page("/audit", "Nhật ký thao tác: who changed what, for administrators."),
        get("/static/{path}", "What the pages load, compressed and with an `ETag`.")
            .answers_text(
                &[
                    "text/html",
                    "text/css",
                    "text/javascript",
                    "application/json",
                    "image/svg+xml",
                    "text/plain",
                    "application/octet-stream",
                ],
                "The file",
            )
            .answers_empty(304, "It is as the browser knows it")
            .refuses(&[Code::NotFound]),
        get("/docs/{path}", "The documents a page links to.")
            .answers_text(&["text/plain"], "The document")
            .refuses(&[Code::NotFound]),
        get("/openapi.json", "This document.").answers_text(&["application/json"], "The document"),
        get("/ws/status", "A WebSocket: the state of lot and mesh, and what changes: docs/status-feed.md.")
            .query::<FeedParameters>()
            .answers_empty(101, "The socket is open")
            .refuses(&[Code::NotAWebsocket, Code::ForeignPage, Code::Busy]),
        get("/healthz", "The process answers.").answers::<Health>("It lives"),
        get("/readyz", "An event could be committed now.")
            .answers::<Health>("It could")
            .refuses(&[Code::NotDurable, Code::Stopping]),
        get("/metrics", "Figures, as OpenMetrics text.").answers_text(&["application/openmetrics-text"], "The figures"),
    ];
    operations.into_iter().map(|operation| operation.tag("pages and monitoring")).collect()
}
