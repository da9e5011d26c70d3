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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn asset(path: &str) -> String {
        String::from_utf8(Assets::get(path).unwrap().data.into_owned()).unwrap()
    }

    fn texts(language: &str) -> BTreeMap<String, String> {
        serde_json::from_str(&asset(&format!("i18n/{language}.json"))).unwrap()
    }

    #[test]
    fn both_languages_say_the_same_things_with_the_same_blanks() {
        let blanks = |text: &String| -> BTreeSet<String> {
            text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect()
        };
        let shape = |language| -> BTreeMap<String, BTreeSet<String>> {
            texts(language).into_iter().map(|(key, text)| (key, blanks(&text))).collect()
        };
        assert_eq!(shape("vi"), shape("en"));
    }

    #[test]
    fn every_text_of_the_page_is_there_in_vietnamese_first() {
        let (page, vietnamese) = (asset("index.html"), texts("vi"));
        let mut seen = 0;
        for part in page.split("data-text=\"").skip(1) {
            let (key, rest) = part.split_once('"').unwrap();
            let shown = rest.split_once('>').unwrap().1.split_once('<').unwrap().0;
            assert_eq!(vietnamese.get(key).map(String::as_str), Some(shown), "{key}");
            seen += 1;
        }
        assert!(seen > 10);
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_has_no_inline_code() {
        for path in Assets::iter() {
            let content = asset(&path).replace("http://www.w3.org/2000/svg", "");
            assert!(!content.contains("http://") && !content.contains("https://"), "{path}");
            assert_ne!(content_type(&path), "application/octet-stream", "{path}");
        }
        let page = asset("index.html");
        for inline in ["<style", "style=", "onclick", "javascript:", "<script>"] {
            assert!(!page.contains(inline), "{inline}");
        }
    }
}
