//! The pages, embedded in the program: nothing is loaded from elsewhere, neither by us nor by the browser.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::error::ApiError;

/// Everything a page may load comes from here.
const CONTENT_POLICY: &str = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

#[derive(RustEmbed)]
#[folder = "static/"]
struct Assets;

/// The documents a page links to.
const DOCUMENTS: [(&str, &str); 2] =
    [("http-api.md", include_str!("../../docs/http-api.md")), ("logs.md", include_str!("../../docs/logs.md"))];

/// `GET /`
pub async fn index(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    send(&request, "index.html", Assets::get("index.html"))
}

/// `GET /static/{path}`
pub async fn asset(request: HttpRequest, path: web::Path<String>) -> Result<HttpResponse, ApiError> {
    send(&request, &path, Assets::get(&path))
}

/// `GET /docs/{path}`
pub async fn document(path: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let found = DOCUMENTS.iter().find(|(name, _)| *name == path.as_str());
    let (_, text) = found.ok_or_else(ApiError::no_such_path)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .content_type("text/plain; charset=utf-8")
        .body(*text))
}

fn send(request: &HttpRequest, path: &str, file: Option<EmbeddedFile>) -> Result<HttpResponse, ApiError> {
    let file = file.ok_or_else(ApiError::no_such_path)?;
    let digest = file.metadata.sha256_hash();
    let tag: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((header::ETAG, tag))
        // Asked for each time, answered 304 until the program is a newer one.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"));
    if known {
        return Ok(answer.finish());
    }
    Ok(answer.content_type(content_type(path)).body(file.data.into_owned()))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
