//! Request bodies: JSON, declared as such, bounded in size and time, and in how much of them is held at once.

use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::access;
use super::code::Code;
use super::error::ApiError;
use super::room::{Bodies, Lease};

/// Largest body of a gate's call, or of one that says a name and a few words; real ones have some hundred bytes.
pub const SHORT_LIMIT_BYTES: usize = 16 * 1024;
/// Largest tariff, written for people: what is kept of it is an event, and those have at most 16 KiB.
pub const TARIFF_LIMIT_BYTES: usize = 64 * 1024;
/// Largest body of a setting: thousands of subscriptions.
pub const SETTINGS_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// A body that takes longer than this ties up a connection for nothing.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A whole body. Its place among those that are held is free again when it is dropped.
#[derive(Debug)]
pub struct Body {
    bytes: Bytes,
    _lease: Lease,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the body and checks that it is declared as JSON. A declaration is asked for because a browser sends a body
/// without one to any address a foreign page names.
///
/// # Errors
/// 415, 413, 408, 503 if too much of others is held, or 400 if the connection breaks off.
pub async fn read(request: &HttpRequest, payload: web::Payload, limit_bytes: usize) -> Result<Body, ApiError> {
    if !declares_json(request) {
        return Err(not_json(request));
    }
    take(request, payload, limit_bytes).await
}

async fn take(request: &HttpRequest, payload: web::Payload, limit_bytes: usize) -> Result<Body, ApiError> {
    if let Some(encoding) = encoding(request) {
        return Err(ApiError::new(
            Code::UnsupportedMediaType,
            format!("the body is sent with Content-Encoding: {encoding}; send it as it is, without that header"),
        ));
    }
    let bodies = request.app_data::<web::Data<Bodies>>().ok_or_else(ApiError::internal)?;
    let lease = bodies.clone().into_inner().lease(access::origin(request));
    match tokio::time::timeout(BODY_TIMEOUT, collect(payload, lease, announced(request), limit_bytes)).await {
        Err(_elapsed) => Err(ApiError::body_too_slow()),
        Ok(read) => read,
    }
}

fn not_json(request: &HttpRequest) -> ApiError {
    let declared = request.headers().get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let declared = declared.map(|declared| declared.chars().take(MAX_KEY_CHARS).collect::<String>());
    ApiError::not_json(declared.as_deref())
}

/// How the body is packed, if it is: nothing here unpacks one.
fn encoding(request: &HttpRequest) -> Option<String> {
    let named = request.headers().get(CONTENT_ENCODING)?.as_bytes();
    let named: String = String::from_utf8_lossy(named).trim().chars().take(32).collect();
    Some(named).filter(|named| !named.is_empty() && !named.eq_ignore_ascii_case("identity"))
}

/// How long it says it is. Without that it may still come in chunks.
fn announced(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What will not be taken is not read: neither what announces too much, nor what grows beyond it.
async fn collect(
    mut payload: web::Payload,
    mut lease: Lease,
    announced: Option<usize>,
    limit_bytes: usize,
) -> Result<Body, ApiError> {
    if announced.is_some_and(|bytes| bytes > limit_bytes) {
        return Err(ApiError::too_large(limit_bytes));
    }
    if !announced.is_none_or(|bytes| lease.fits(bytes)) {
        return Err(ApiError::busy());
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_broken| ApiError::new(Code::BrokenBody, "the request body broke off"))?;
        let grown = bytes.len() + chunk.len();
        if grown > limit_bytes {
            return Err(ApiError::too_large(limit_bytes));
        }
        if !lease.grow_to(grown) {
            return Err(ApiError::busy());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body { bytes: bytes.freeze(), _lease: lease })
}

/// As [`json`], for a call of which every field may be left out: so may the whole body.
///
/// # Errors
/// As [`json`].
pub async fn json_if_any<T: DeserializeOwned + Default>(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<T, ApiError> {
    let body = take(request, payload, SHORT_LIMIT_BYTES).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    if declares_json(request) { parse(&body) } else { Err(not_json(request)) }
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

/// What a gate sends, in whatever encoding its program has: UTF-16 by its mark; of another the letters that are no UTF-8 are lost, and
/// the rest is read.
///
/// # Errors
/// As [`parse`].
pub fn parse_gates<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let units = |of: fn([u8; 2]) -> u16| -> Vec<u16> {
        bytes.chunks_exact(2).skip(1).filter_map(|pair| pair.try_into().ok()).map(of).collect()
    };
    match bytes {
        [0xff, 0xfe, ..] => parse(String::from_utf16_lossy(&units(u16::from_le_bytes)).as_bytes()),
        [0xfe, 0xff, ..] => parse(String::from_utf16_lossy(&units(u16::from_be_bytes)).as_bytes()),
        _ => parse(String::from_utf8_lossy(bytes).trim_end_matches('\0').as_bytes()),
    }
}

/// # Errors
/// 400 with the place.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // RFC 8259 lets a reader ignore the mark that some programs begin with.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let read = serde_json::from_slice::<EachOnce>(bytes).and_then(|EachOnce| serde_json::from_slice(bytes));
    read.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ApiError::new(Code::InvalidBody, error.to_string()),
        _ => ApiError::new(Code::InvalidJson, format!("the body is not JSON: {error}")),
    })
}

/// JSON in which no object has a key twice: which of two plates a car has is nobody's to guess.
struct EachOnce;

impl<'de> Deserialize<'de> for EachOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

/// Scalars are as they are.
macro_rules! taken {
    ($($visit:ident: $type:ty),*) => {$(fn $visit<E>(self, _: $type) -> Result<Self, E> { Ok(self) })*};
}

impl<'de> Visitor<'de> for EachOnce {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    taken!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = fields.next_key::<String>()? {
            fields.next_value::<Self>()?;
            if let Some(again) = seen.replace(key) {
                let again: String = again.chars().take(MAX_KEY_CHARS).collect();
                return Err(A::Error::custom(format_args!("{again:?} stands twice in one object: send it once")));
            }
        }
        Ok(self)
    }
}

/// Of a key that is named in an error.
const MAX_KEY_CHARS: usize = 64;

fn declares_json(request: &HttpRequest) -> bool {
    let Some(declared) = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media_type = declared.split(';').next().unwrap_or_default().trim();
    // No browser sends these unasked to another site either.
    let media_type = media_type.to_ascii_lowercase();
    media_type == "application/json"
        || media_type == "text/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
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
            ("text/json", true),
            ("application/vnd.camera+json", true),
            ("text/plain", false),
            ("text/plain+json", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonp", false),
        ] {
            let request = TestRequest::default().insert_header((CONTENT_TYPE, declared)).to_http_request();
            assert_eq!(declares_json(&request), taken, "{declared}");
        }
        assert!(!declares_json(&TestRequest::default().to_http_request()));
    }

    #[test]
    fn a_packed_body_is_named() {
        for (declared, named) in [("gzip", Some("gzip")), (" br ", Some("br")), ("identity", None), ("", None)] {
            let request = TestRequest::default().insert_header((CONTENT_ENCODING, declared)).to_http_request();
            assert_eq!(encoding(&request).as_deref(), named, "{declared}");
        }
    }

    #[test]
    fn what_a_gate_sends_is_read_in_its_encoding() {
        let text = r#"{"a":"Cổng"}"#;
        let utf16 = |bytes: fn(u16) -> [u8; 2]| {
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect::<Vec<u8>>()
        };
        for sent in [
            text.as_bytes().to_vec(),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
            [text.as_bytes(), b"\n\0"].concat(),
        ] {
            assert_eq!(parse_gates::<serde_json::Value>(&sent).unwrap()["a"], "Cổng");
        }
        let latin = parse_gates::<serde_json::Value>(b"{\"camera_name\":\"C\xf4ng\",\"plate\":\"29A12345\"}").unwrap();
        assert_eq!((&latin["plate"], &latin["camera_name"]), (&"29A12345".into(), &"C\u{fffd}ng".into()));
        assert_eq!(parse_gates::<serde_json::Value>(b"\xff\xfe{").unwrap_err().code(), "invalid_json");
    }

    #[test]
    fn a_key_that_stands_twice_is_named_wherever_it_stands() {
        for (text, key) in [
            (r#"{"plate":"A","plate":"B"}"#, Some("plate")),
            (r#"{"plate":"A","plate":"A"}"#, Some("plate")),
            (r#"{"data":{"fee":1,"x":[{"fee":2,"\u0066ee":3}]}}"#, Some("fee")),
            (r#"{"plate":"A","Plate":"B"}"#, None),
            (r#"[{"a":1},{"a":1,"b":{"a":null}}]"#, None),
            (r#"{"a":-1,"b":1.5,"c":true,"d":"x","e":[],"f":{}}"#, None),
        ] {
            let read = parse::<serde_json::Value>(text.as_bytes());
            let named = read.err().map(|error| (error.code(), error.to_string()));
            match key {
                None => assert_eq!(named, None, "{text}"),
                Some(key) => {
                    let (code, said) = named.unwrap();
                    assert!(code == "invalid_body" && said.starts_with(&format!("{key:?} stands twice")), "{said}");
                    assert!(said.contains("line 1 column"), "{said}");
                }
            }
        }
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
