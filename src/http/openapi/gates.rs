//! What gates and the programs at gates call.

use super::operation::{Operation, get, post};
use crate::gates::report::EventReport;
use crate::gates::request::{CloseRequest, DetectionRequest, OpenRequest};
use crate::http::code::Code;
use crate::http::edge_programs::{CamerasAnswer, Change, EdgeCameras, Heartbeat, Noted, Passage};
use crate::http::edges::{Closed, Opened, Seen};

/// What every call may be refused for that the writer decides.
const DECIDED: &[Code] = &[Code::InvalidField, Code::Invalid, Code::Busy, Code::NotDurable];

pub(super) fn operations() -> Vec<Operation> {
    let operations = vec![
        post(
            "/api/edge/detection",
            "A camera saw a plate: what is known of the car. Opens nothing and writes nothing.",
        )
        .body::<DetectionRequest>()
        .answers::<Seen>("What is known")
        .refuses(DECIDED),
        post("/api/edge/barrier/open", "Open the barrier: an entry or an exit, committed when this answers.")
            .header("Idempotency-Key", "Another way to send `request_id`.", "^[ -~]{0,128}$")
            .body::<OpenRequest>()
            .answers::<Opened>("The barrier may open")
            .refuses(DECIDED)
            .refuses(&[
                Code::AlreadyInside,
                Code::NotInside,
                Code::JustEntered,
                Code::OtherType,
                Code::LongStay,
                Code::RequestIdReused,
            ]),
        post("/api/edge/barrier/close", "The barrier closed behind the car: confirms the pending entry.")
            .body::<CloseRequest>()
            .answers::<Closed>("It is noted")
            .refuses(DECIDED),
        post("/api/edge/event", "An edge program reports what happened: never refused for the state of the lot.")
            .body::<EventReport>()
            .answers_either::<Passage, Change>("It is committed")
            // Of a report that corrects or removes.
            .refuses(&[Code::LoginRequired, Code::Forbidden, Code::LocalOnly])
            .refuses(DECIDED)
            .refuses(&[Code::NotFound]),
        post("/api/edge/heartbeat", "An edge lives.")
            .body::<Heartbeat>()
            .answers::<Noted>("Noted")
            .refuses(&[Code::InvalidField]),
        post("/api/edge/sync-config", "What an edge calls itself. Shown, and nothing else.")
            .body::<EdgeCameras>()
            .answers::<Noted>("Noted")
            .refuses(&[Code::InvalidField]),
        get("/api/cameras", "The edges of the settings and those that were heard of since the start.")
            .answers::<CamerasAnswer>("All of them"),
        get("/ws/edge", "A WebSocket of an edge program: docs/http-api.md.")
            .answers_empty(101, "The socket is open")
            .refuses(&[Code::NotAWebsocket]),
    ];
    operations.into_iter().map(|operation| operation.tag("gates")).collect()
}
