//! The pages and what they load, embedded in the program: nothing comes from elsewhere, neither for us nor for the browser.
//!
//! A page is `static/{name}.html`, put into `static/layout.html`. In it, `/static/…` becomes `/static/@{digest of all
//! files}/…`: such an address never changes its content, so browsers keep it for good, and a newer program has new ones.
//! The modules name each other relatively and so stay under the same digest.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::error::{ApiError, Code};
use super::operation::{Answered, Operation, get};
use crate::access::right::Need;
use crate::domain::ids::hex;

pub(super) fn operations() -> Vec<Operation> {
    let shown = |path, summary| {
        let page = get(path, Need::Nothing, page, summary);
        page.answers_text(&["text/html"], "The page").refuses(&[Code::NotFound])
    };
    vec![
        shown("/", "Bảng điều khiển: the state of the lot and of the mesh."),
        shown("/gate", "Cổng: the console of a person at a gate."),
        shown("/history", "Lịch sử: the history."),
        shown("/shifts", "Ca trực: the sheets of shifts."),
        shown("/settings", "Cài đặt P2P: the settings."),
        shown("/login", "Đăng nhập: logging in, the first password, the own password."),
        shown("/audit", "Nhật ký thao tác: who changed what, for administrators."),
        get("/static/{path:.*}", Need::Nothing, asset, "What the pages load, compressed and with an `ETag`.")
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
        get("/docs/{path:.*}", Need::Nothing, document, "The documents a page links to.")
            .answers_text(&["text/plain"], "The document")
            .refuses(&[Code::NotFound]),
    ]
}

/// Everything a page may load comes from here; the pictures inside Bootstrap's style sheet are `data:` addresses.
const CONTENT_POLICY: &str =
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
/// Asked for each time, answered 304 until the program is a newer one.
const ASK_EACH_TIME: &str = "no-cache";
const KEEP: &str = "public, max-age=31536000, immutable";
/// A debug build looks at its files again after this time.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Smaller answers are not worth compressing.
const MIN_COMPRESSED_BYTES: usize = 1_000;

/// Path and name of every page.
pub const PAGES: [(&str, &str); 7] = [
    ("/", "dashboard"),
    ("/gate", "gate"),
    ("/history", "history"),
    ("/shifts", "shifts"),
    ("/settings", "settings"),
    ("/login", "login"),
    ("/audit", "audit"),
];

#[derive(RustEmbed)]
#[folder = "static/"]
struct Assets;

/// The documents a page links to.
const DOCUMENTS: [(&str, &str); 2] =
    [("http-api.md", include_str!("../../docs/http-api.md")), ("logs.md", include_str!("../../docs/logs.md"))];

/// `GET /`, `/gate`, …: the page of that path.
pub async fn page(request: HttpRequest) -> Answered {
    let found = PAGES.iter().find(|(path, _)| *path == request.path());
    let content = found.and_then(|(_, name)| compose(name)).ok_or_else(ApiError::no_such_path)?;
    Ok(send(&request, "layout.html", content.into(), ASK_EACH_TIME))
}

/// `GET /static/{path}`, with or without the digest.
pub async fn asset(request: HttpRequest, path: web::Path<String>) -> Answered {
    let (path, caching) = match path.strip_prefix('@').and_then(|path| path.split_once('/')) {
        Some((digest, path)) if digest == assets_digest() => (path, KEEP),
        // A page of another version of the program, still open.
        Some((_, path)) => (path, ASK_EACH_TIME),
        None => (path.as_str(), ASK_EACH_TIME),
    };
    let file = Assets::get(path).ok_or_else(ApiError::no_such_path)?;
    Ok(send(&request, path, file.data.into_owned().into(), caching))
}

/// What the pages call a code (`common.stay_OUT`, `common.type_moto`), so that tables say the same; the code of itself where
/// they have no word for it.
pub fn word<'c>(is_english: bool, kind: &str, code: &'c str) -> Cow<'c, str> {
    said(is_english, &format!("common.{kind}_{code}")).map_or(code.into(), Into::into)
}

/// The text of a key of `common.json` or `audit.json`; `None`: there is none.
pub fn said(is_english: bool, key: &str) -> Option<&'static str> {
    type Texts = HashMap<String, String>;
    static TEXTS: LazyLock<[Texts; 2]> = LazyLock::new(|| {
        ["vi", "en"].map(|language| {
            let file = |part| {
                let file = Assets::get(&format!("i18n/{language}/{part}.json"));
                file.and_then(|file| serde_json::from_slice::<Texts>(&file.data).ok()).unwrap_or_default()
            };
            file("common").into_iter().chain(file("audit")).collect()
        })
    });
    let [vi, en] = &*TEXTS;
    let texts = if is_english { en } else { vi };
    texts.get(key).map(String::as_str)
}

/// `GET /docs/{path}`
pub async fn document(path: web::Path<String>) -> Answered {
    let found = DOCUMENTS.iter().find(|(name, _)| *name == path.as_str());
    let (_, text) = found.ok_or_else(ApiError::no_such_path)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .content_type("text/plain; charset=utf-8")
        .body(*text))
}

/// The layout with that page in it; `None` if there is no such file.
fn compose(name: &str) -> Option<String> {
    let text = |path: &str| String::from_utf8(Assets::get(path)?.data.into_owned()).ok();
    let (layout, main) = (text("layout.html")?, text(&format!("{name}.html"))?);
    let digest = assets_digest();
    Some(
        layout.replace("{page}", name).replace("{main}", &main).replace("\"/static/", &format!("\"/static/@{digest}/")),
    )
}

/// Names this state of all files, 16 hex digits.
fn assets_digest() -> String {
    static KEPT: Mutex<Option<(Instant, String)>> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    match &*kept {
        // While developing the files are read from the disk and change.
        Some((at, digest)) if !cfg!(debug_assertions) || at.elapsed() < LOOK_AGAIN => digest.clone(),
        _ => kept.insert((Instant::now(), digest_of_all())).1.clone(),
    }
}

fn digest_of_all() -> String {
    let mut hasher = Sha256::new();
    for path in Assets::iter() {
        hasher.update(path.as_bytes());
        hasher.update(Assets::get(&path).map(|file| file.metadata.sha256_hash()).unwrap_or_default());
    }
    short(&hasher.finalize())
}

/// The first 16 hex digits.
fn short(digest: &[u8]) -> String {
    hex(digest.get(..8).unwrap_or(digest))
}

fn send(request: &HttpRequest, path: &str, content: Bytes, caching: &'static str) -> HttpResponse {
    let digest: [u8; 32] = Sha256::digest(&content).into();
    let compressed = takes_gzip(request) && content.len() >= MIN_COMPRESSED_BYTES;
    let tag = format!("\"{}{}\"", short(&digest), if compressed { "-gz" } else { "" });
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, caching))
        .insert_header((header::VARY, "Accept-Encoding"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"));
    if known {
        return answer.finish();
    }
    answer.content_type(content_type(path));
    if compressed {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
        return answer.body(gzipped(digest, &content));
    }
    answer.body(content)
}

fn takes_gzip(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted
        .is_some_and(|list| list.split(',').any(|coding| coding.split(';').next().is_some_and(|c| c.trim() == "gzip")))
}

/// Compressed once and kept: there are as many as files.
fn gzipped(digest: [u8; 32], content: &Bytes) -> Bytes {
    static KEPT: LazyLock<Mutex<HashMap<[u8; 32], Bytes>>> = LazyLock::new(Mutex::default);
    if let Some(found) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).get(&digest) {
        return found.clone();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Into memory: cannot fail.
    let compressed = encoder.write_all(content).and_then(|()| encoder.finish()).map(Bytes::from);
    let compressed = compressed.unwrap_or_default();
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, compressed.clone());
    compressed
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ if path.ends_with("LICENSE") || path.ends_with(".md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
