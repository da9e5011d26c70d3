//! Request bodies: JSON, declared as such, bounded in size and time.

use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::code::Code;
use super::error::ApiError;

/// Largest body of a gate's call; real ones have some hundred bytes.
pub const GATE_LIMIT_BYTES: usize = 16 * 1024;
/// Largest body of a setting: thousands of subscriptions.
pub const SETTINGS_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// A body that takes longer than this ties up a connection for nothing.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the body and checks that it is declared as JSON. A declaration is asked for because a browser sends a body
/// without one to any address a foreign page names.
///
/// # Errors
/// 415, 413, 408, or 400 if the connection breaks off.
pub async fn read(request: &HttpRequest, payload: web::Payload, limit_bytes: usize) -> Result<Bytes, ApiError> {
    if !declares_json(request) {
        return Err(ApiError::not_json());
    }
    match tokio::time::timeout(BODY_TIMEOUT, payload.to_bytes_limited(limit_bytes)).await {
        Err(_elapsed) => Err(ApiError::body_too_slow()),
        Ok(Err(_over_limit)) => Err(ApiError::too_large(limit_bytes)),
        Ok(Ok(Err(_broken))) => Err(ApiError::new(Code::BrokenBody, "the request body broke off")),
        Ok(Ok(Ok(bytes))) => Ok(bytes),
    }
}

/// Reads the body as a `T`.
///
/// # Errors
/// As [`read`], and 400 with the place if it is not JSON or not a `T`.
pub async fn json<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    limit_bytes: usize,
) -> Result<T, ApiError> {
    parse(&read(request, payload, limit_bytes).await?)
}

/// # Errors
/// 400 with the place.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // RFC 8259 lets a reader ignore the mark that some programs begin with.
    serde_json::from_slice(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)).map_err(|error| {
        match error.classify() {
            serde_json::error::Category::Data => ApiError::new(Code::InvalidBody, error.to_string()),
            _ => ApiError::new(Code::InvalidJson, format!("the body is not JSON: {error}")),
        }
    })
}

fn declares_json(request: &HttpRequest) -> bool {
    let Some(declared) = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media_type = declared.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_a_body_declared_as_json_is_read() {
        for (declared, taken) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/jsonp", false),
        ] {
            let request = TestRequest::default().insert_header((CONTENT_TYPE, declared)).to_http_request();
            assert_eq!(declares_json(&request), taken, "{declared}");
        }
        assert!(!declares_json(&TestRequest::default().to_http_request()));
    }

    #[test]
    fn a_byte_order_mark_is_ignored() {
        assert_eq!(parse::<Vec<u8>>(b"\xef\xbb\xbf[1]").unwrap(), [1]);
        assert!(parse::<Vec<u8>>(b"\xef\xbb\xbf\xef\xbb\xbf[1]").is_err());
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_with_its_place() {
        let broken = parse::<Vec<u8>>(b"[1,").unwrap_err();
        assert_eq!(broken.code(), "invalid_json");
        let other = parse::<Vec<u8>>(b"[true]").unwrap_err();
        assert_eq!(other.code(), "invalid_body");
        assert!(other.to_string().contains("column"), "{other}");
    }
}
