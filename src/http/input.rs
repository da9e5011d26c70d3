//! What requests bring: values of a query string, and bodies.
//!
//! A body is JSON, declared as such, bounded in size and time, and in how much of all bodies is held at once.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::io::Read as _;
use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{FromRequest, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt as _;
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::map::{Entry, Map};

use super::access;
use super::error::{ApiError, Code};
use super::room::{Bodies, Lease};
use super::screen::may_be_browser;
use crate::domain::time::{MAX_MS, MIN_MS, SiteZone};

/// Largest body of a gate's call, or of one that says a name and a few words; real ones have some hundred bytes.
pub const SHORT_LIMIT_BYTES: usize = 16 * 1024;
/// Largest report of what happened at a gate: cameras send a picture beside it, as base64.
pub const REPORT_LIMIT_BYTES: usize = 1024 * 1024;
/// Largest tariff, written for people: what is kept of it is an event, and those have at most 16 KiB.
pub const TARIFF_LIMIT_BYTES: usize = 64 * 1024;
/// Largest body of a setting: thousands of subscriptions.
pub const SETTINGS_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// A body that takes longer than this ties up a connection for nothing.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Room for a body is asked for by so much at a time, in bytes.
const ROOM_STEP_BYTES: usize = 4 * 1024;

/// A whole body. Its place among those that are held is free again when it is dropped.
#[derive(Debug)]
pub struct WholeBody {
    bytes: Bytes,
    _lease: Lease,
}

impl Deref for WholeBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body as it came, of at most so many bytes; refused with 415, 413, 408, 503 if too much of others is held, or 400 if the connection
/// breaks off. That it is declared as JSON is asked for because a browser sends a body without that to any address a foreign page names.
pub struct Raw<const LIMIT_BYTES: usize = SHORT_LIMIT_BYTES>(pub WholeBody);

/// What was sent to report what happened at a gate, of at most [`REPORT_LIMIT_BYTES`]; refused as [`Raw`], but of a program whatever it
/// is declared as: those of cameras declare JSON as a text, a form, or not at all, and what is refused to them is lost.
pub struct ReportBody(pub WholeBody);

/// The body as a `T`; refused as [`Raw`], and with 400 and the place if it is not JSON or not a `T`.
pub struct Sent<T, const LIMIT_BYTES: usize = SHORT_LIMIT_BYTES>(pub T);

/// As [`Sent`], for a call of which every field may be left out: so may the whole body.
pub struct SentIfAny<T>(pub T);

type Reading<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl<const LIMIT_BYTES: usize> FromRequest for Raw<LIMIT_BYTES> {
    type Error = ApiError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if declares_json(&request) {
                take(&request, payload, LIMIT_BYTES).await.map(Self)
            } else {
                Err(not_json(&request))
            }
        })
    }
}

impl FromRequest for ReportBody {
    type Error = ApiError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if declares_json(&request) || !may_be_browser(request.headers()) {
                take(&request, payload, REPORT_LIMIT_BYTES).await.map(Self)
            } else {
                Err(not_json(&request))
            }
        })
    }
}

impl<T: DeserializeOwned + 'static, const LIMIT_BYTES: usize> FromRequest for Sent<T, LIMIT_BYTES> {
    type Error = ApiError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let raw = Raw::<LIMIT_BYTES>::from_request(request, payload);
        Box::pin(async move { parse(&raw.await?.0).map(Self) })
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for SentIfAny<T> {
    type Error = ApiError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = take(&request, payload, SHORT_LIMIT_BYTES).await?;
            match declares_json(&request) {
                _ if body.is_empty() => Ok(Self(T::default())),
                true => parse(&body).map(Self),
                false => Err(not_json(&request)),
            }
        })
    }
}

async fn take(request: &HttpRequest, payload: Payload, limit_bytes: usize) -> Result<WholeBody, ApiError> {
    let encoding = encoding(request);
    if let Some(unknown) = encoding.as_deref().filter(|encoding| !is_gzip(encoding)) {
        return Err(ApiError::new(
            Code::UnsupportedMediaType,
            format!(
                "the body is sent with Content-Encoding: {unknown}; send it as it is, without that header, or packed with gzip"
            ),
        ));
    }
    let bodies = request.app_data::<web::Data<Bodies>>().ok_or_else(ApiError::internal)?;
    let lease = bodies.clone().into_inner().lease(access::origin(request));
    match tokio::time::timeout(BODY_TIMEOUT, collect(payload, lease, announced(request), limit_bytes)).await {
        Err(_elapsed) => Err(ApiError::body_too_slow()),
        Ok(Ok(packed)) if encoding.is_some() => unpacked(packed, limit_bytes),
        Ok(read) => read,
    }
}

fn not_json(request: &HttpRequest) -> ApiError {
    let declared = request.headers().get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let declared = declared.map(|declared| declared.chars().take(MAX_KEY_CHARS).collect::<String>());
    ApiError::not_json(declared.as_deref())
}

fn is_gzip(encoding: &str) -> bool {
    ["gzip", "x-gzip"].iter().any(|known| encoding.eq_ignore_ascii_case(known))
}

/// The body that was packed with gzip. Its limit is that of what comes out: no more than that is unpacked.
fn unpacked(packed: WholeBody, limit_bytes: usize) -> Result<WholeBody, ApiError> {
    let WholeBody { bytes, _lease: mut lease } = packed;
    let mut whole = Vec::new();
    let most = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(&*bytes).take(most).read_to_end(&mut whole);
    read.map_err(|error| ApiError::new(Code::InvalidJson, format!("the body cannot be unpacked with gzip: {error}")))?;
    if whole.len() > limit_bytes {
        return Err(ApiError::too_large(limit_bytes));
    }
    if !lease.grow_to(whole.len().max(bytes.len())) {
        return Err(ApiError::busy());
    }
    Ok(WholeBody { bytes: whole.into(), _lease: lease })
}

/// How the body is packed, if it is.
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
    mut payload: Payload,
    mut lease: Lease,
    announced: Option<usize>,
    limit_bytes: usize,
) -> Result<WholeBody, ApiError> {
    if announced.is_some_and(|bytes| bytes > limit_bytes) {
        return Err(ApiError::too_large(limit_bytes));
    }
    if !announced.is_none_or(|bytes| lease.fits(bytes)) {
        return Err(ApiError::busy());
    }
    let (mut bytes, mut room) = (BytesMut::new(), 0);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_broken| ApiError::new(Code::BrokenBody, "the request body broke off"))?;
        let grown = bytes.len() + chunk.len();
        if grown > limit_bytes {
            return Err(ApiError::too_large(limit_bytes));
        }
        // A chunk may be a single byte.
        if grown > room {
            room = grown.max(limit_bytes.min(room + ROOM_STEP_BYTES));
            if !lease.grow_to(room) {
                return Err(ApiError::busy());
            }
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(WholeBody { bytes: bytes.freeze(), _lease: lease })
}

/// What a gate sends, in whatever encoding its program has: UTF-16 by its mark, or by how JSON begins; of another the letters that are
/// no UTF-8 are lost, and the rest is read.
pub fn gates_text(bytes: &[u8]) -> Cow<'_, str> {
    let units = |bytes: &[u8], of: fn([u8; 2]) -> u16| -> Cow<'_, str> {
        let units: Vec<u16> = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(of).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] | rest @ [b'{' | b'[', 0, ..] => units(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] | rest @ [0, b'{' | b'[', ..] => units(rest, u16::from_be_bytes),
        _ => std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed),
    }
}

/// A whole number of so many digits fits into none that is kept: read as JSON it would be another one.
const LONG_NUMBER_DIGITS: usize = 20;

/// Whether so many digits stand in a row anywhere. One of them stands at a multiple of their number, so that few places are looked at.
fn has_long_number(text: &[u8]) -> bool {
    let is_within = |at: usize| {
        let (before, after) = text.split_at(at);
        let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        digits + after.iter().take_while(|byte| byte.is_ascii_digit()).count() >= LONG_NUMBER_DIGITS
    };
    (0..text.len()).step_by(LONG_NUMBER_DIGITS).any(is_within)
}

/// Such numbers as texts, as which every field takes them.
fn with_long_numbers_quoted(text: &str) -> Cow<'_, str> {
    if !has_long_number(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let (mut whole, mut taken) = (String::new(), 0);
    let (mut in_text, mut escaped) = (false, false);
    let mut places = text.bytes().enumerate();
    while let Some((start, byte)) = places.next() {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        in_text = byte == b'"';
        if !byte.is_ascii_digit() {
            continue;
        }
        let number = text.get(start..).unwrap_or_default();
        let number =
            number.split(|c: char| !matches!(c, '0'..='9' | '.' | 'e' | 'E' | '+' | '-')).next().unwrap_or_default();
        if number.len() > 1 {
            places.nth(number.len() - 2);
        }
        if number.len() >= LONG_NUMBER_DIGITS && number.bytes().all(|byte| byte.is_ascii_digit()) {
            let from = if text.get(..start).is_some_and(|before| before.ends_with('-')) { start - 1 } else { start };
            whole.push_str(text.get(taken..from).unwrap_or_default());
            whole.push('"');
            whole.push_str(text.get(from..start).unwrap_or_default());
            whole.push_str(number);
            whole.push('"');
            taken = start + number.len();
        }
    }
    if taken == 0 {
        return Cow::Borrowed(text);
    }
    whole.push_str(text.get(taken..).unwrap_or_default());
    Cow::Owned(whole)
}

/// Reads that text as JSON. Control characters within its texts, which JSON has not, are blanks.
///
/// # Errors
/// As [`parse`].
pub fn parse_gates(text: &str) -> Result<Value, ApiError> {
    let text = &*with_long_numbers_quoted(text.trim_end_matches('\0'));
    let read = |text: &str| {
        let whole = text.strip_prefix(MARK).unwrap_or(text);
        serde_json::from_str(whole).map_err(|error| not_read(&error)).map(|EachOnce::<true>(value)| value)
    };
    match read(text) {
        Err(_) if text.contains(char::is_control) => read(&text.replace(char::is_control, " ")),
        read => read,
    }
}

/// # Errors
/// 400 with the place.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    parsed::<EachOnce<false>>(unmarked(bytes))?;
    parsed(unmarked(bytes))
}

/// RFC 8259 lets a reader ignore the mark that some programs begin with.
const MARK: char = '\u{feff}';

fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK.encode_utf8(&mut [0; 4]).as_bytes()).unwrap_or(bytes)
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| not_read(&error))
}

fn not_read(error: &serde_json::Error) -> ApiError {
    match error.classify() {
        serde_json::error::Category::Data => ApiError::new(Code::InvalidBody, error.to_string()),
        _ => ApiError::new(Code::InvalidJson, format!("the body is not JSON: {error}")),
    }
}

/// JSON in which no object has a key twice: which of two plates a car has is nobody's to guess. Kept, or only looked through: a large
/// body is many times larger as a value.
struct EachOnce<const KEPT: bool>(Value);

impl<'de, const KEPT: bool> Deserialize<'de> for EachOnce<KEPT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self(Value::Null))
    }
}

/// Scalars are as they are.
macro_rules! taken {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, value: $type) -> Result<Self, E> { Ok(if KEPT { Self(value.into()) } else { self }) })*
    };
}

impl<'de, const KEPT: bool> Visitor<'de> for EachOnce<KEPT> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    taken!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str, visit_string: String);

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        let mut read = Vec::new();
        while let Some(Self(item)) = items.next_element()? {
            if KEPT {
                read.push(item);
            }
        }
        Ok(Self(Value::Array(read)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        let mut read = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let Self(value) = fields.next_value()?;
            match read.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(first) => {
                    let again: String = first.key().chars().take(MAX_KEY_CHARS).collect();
                    return Err(A::Error::custom(format_args!("{again:?} stands twice in one object: send it once")));
                }
            }
        }
        Ok(Self(Value::Object(read)))
    }
}

/// Of a key that is named in an error.
const MAX_KEY_CHARS: usize = 64;

fn declares_json(request: &HttpRequest) -> bool {
    let Some(declared) = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media_type = declared.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return true;
    }
    // No browser sends these unasked to another site either.
    let media_type = media_type.to_ascii_lowercase();
    media_type == "text/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// # Errors
/// 400 naming the field.
pub fn number(field: &str, text: Option<&str>, absent: i64) -> Result<i64, ApiError> {
    match text {
        None | Some("") => Ok(absent),
        Some(text) => text.parse().map_err(|_| ApiError::bad_field(field, "a whole number")),
    }
}

/// How many at most, from 1 to `most`; absent: `usual`.
///
/// # Errors
/// 400 naming the field.
pub fn limit(text: Option<&str>, usual: usize, most: usize) -> Result<usize, ApiError> {
    let limit = number("limit", text, i64::try_from(usual).unwrap_or(i64::MAX))?;
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| ApiError::bad_field("limit", format!("1 to {most}")))
}

/// `true`, `1`, `yes`, `on` and their opposites, in any letter case; absent: no.
///
/// # Errors
/// 400 naming the field.
pub fn flag(field: &str, text: Option<&str>) -> Result<bool, ApiError> {
    match text.unwrap_or_default().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "" | "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(ApiError::bad_field(field, "true or false")),
    }
}

/// A time, as Unix ms or on the site's clock face: `2026-11-22`, `2026-11-22 07:30`, `2026-11-22 07:30:00` (a `T` may stand for
/// the blank). A date alone is the start of that day, and as the `end` of something the start of the next one.
///
/// # Errors
/// 400 naming the field.
pub fn instant(field: &str, text: Option<&str>, zone: &SiteZone, end: bool) -> Result<Option<i64>, ApiError> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let is_date = text.len() == 10;
    let whole = match text.len() {
        10 => format!("{text} 00:00:00"),
        16 => format!("{}:00", text.replace('T', " ")),
        _ => text.replace('T', " "),
    };
    let found = match text.parse() {
        Ok(unix_ms) if !is_date => Some(unix_ms),
        _ => zone.parse_local_text(&whole).ok(),
    };
    let found = found.filter(|ms| (MIN_MS..=MAX_MS).contains(ms));
    let ms =
        found.ok_or_else(|| ApiError::bad_field(field, "a date YYYY-MM-DD, with or without HH:MM:SS, or Unix ms"))?;
    Ok(Some(if end && is_date { zone.day_bounds_ms(ms).1 } else { ms }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use actix_web::test::TestRequest;

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
    fn a_number_that_no_number_holds_is_the_text_it_is() {
        for (sent, read) in [
            ("18446744073709551617", serde_json::json!("18446744073709551617")),
            ("-18446744073709551617", serde_json::json!("-18446744073709551617")),
            ("1733140800123456789", serde_json::json!(1_733_140_800_123_456_789_i64)),
            ("1.8446744073709551617", serde_json::json!(1.844_674_407_370_955_2)),
            ("\"a \\\"18446744073709551617\"", serde_json::json!("a \"18446744073709551617")),
            ("[1, 99999999999999999999,2]", serde_json::json!([1, "99999999999999999999", 2])),
        ] {
            let text = format!("{{\"a\":{sent},\"b\": 5}}");
            assert_eq!(parse_gates(&text).unwrap(), serde_json::json!({"a": read, "b": 5}), "{sent}");
        }
        // Wherever it stands, and no shorter one.
        for before in 0..2 * LONG_NUMBER_DIGITS {
            let text = |digits| format!("{{\"a\":{}{}}}", " ".repeat(before), "9".repeat(digits));
            assert!(parse_gates(&text(LONG_NUMBER_DIGITS)).unwrap()["a"].is_string(), "{before}");
            assert!(parse_gates(&text(LONG_NUMBER_DIGITS - 1)).unwrap()["a"].is_u64(), "{before}");
        }
        for broken in ["{\"a\":018446744073709551617", "18446744073709551617é", "{\"", "\\", "1-"] {
            drop(parse_gates(broken));
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_up_to_the_limit_and_no_further() {
        let bodies = Arc::new(Bodies::new(1 << 20, 1 << 20));
        let body = |bytes: &[u8]| WholeBody {
            bytes: Bytes::copy_from_slice(bytes),
            _lease: bodies.lease([127, 0, 0, 1].into()),
        };
        let packed = |text: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            std::io::Write::write_all(&mut encoder, text).unwrap();
            encoder.finish().unwrap()
        };
        let text = br#"{"type":"ENTRY"}"#;
        let whole = packed(text);
        assert_eq!(&*unpacked(body(&whole), text.len()).unwrap(), text);
        assert_eq!(
            &*unpacked(body(&[whole.clone(), packed(b" ")].concat()), 100).unwrap(),
            [text.as_slice(), b" "].concat()
        );
        let refused = |bytes: &[u8], limit: usize| unpacked(body(bytes), limit).unwrap_err().code();
        assert_eq!(refused(&whole, text.len() - 1), "too_large");
        assert_eq!(refused(&packed(&vec![b'x'; 50 << 20]), SHORT_LIMIT_BYTES), "too_large");
        assert_eq!(refused(&whole[..whole.len() / 2], 100), "invalid_json");
        assert_eq!(refused(text, 100), "invalid_json");
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
            assert_eq!(parse_gates(&gates_text(&sent)).unwrap()["a"], "Cổng");
        }
        for unmarked in [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
            assert_eq!(parse_gates(&gates_text(&unmarked[2..])).unwrap()["a"], "Cổng");
        }
        let broken = parse_gates("{\"plate\":\"29A\t12345\n\",\r\n\"camera_id\":1}").unwrap();
        assert_eq!(broken["plate"], "29A 12345 ");
        let latin = parse_gates(&gates_text(b"{\"camera_name\":\"C\xf4ng\",\"plate\":\"29A12345\"}")).unwrap();
        assert_eq!((&latin["plate"], &latin["camera_name"]), (&"29A12345".into(), &"C\u{fffd}ng".into()));
        assert_eq!(parse_gates(&gates_text(b"\xff\xfe{")).unwrap_err().code(), "invalid_json");
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

    #[test]
    fn times_are_read_on_the_clock_of_the_site() {
        let zone = SiteZone::default();
        let read = |text, end| instant("from", Some(text), &zone, end).unwrap();
        let start = 1_733_072_400_000;
        for (text, expected) in [
            ("2024-12-02", start),
            ("2024-12-02 07:30", start + 27_000_000),
            ("2024-12-02T07:30", start + 27_000_000),
            ("2024-12-02 07:30:05", start + 27_005_000),
            ("1733072400000", start),
        ] {
            assert_eq!(read(text, false), Some(expected), "{text}");
        }
        assert_eq!(read("2024-12-02", true), Some(start + 86_400_000), "the whole day");
        assert_eq!(read("2024-12-02 07:30", true), Some(start + 27_000_000));
        assert_eq!(instant("from", None, &zone, false).unwrap(), None);
        for bad in ["yesterday", "2024-13-01", "2024-12-02 25:00", "9999999999999999999", "12/02/2024"] {
            assert!(instant("to", Some(bad), &zone, true).unwrap_err().to_string().starts_with("to"), "{bad}");
        }
    }

    #[test]
    fn values_are_read_or_refused_by_name() {
        assert_eq!(number("limit", None, 7).unwrap(), 7);
        assert_eq!(number("limit", Some("-1"), 7).unwrap(), -1);
        assert!(number("limit", Some("x"), 7).unwrap_err().to_string().starts_with("limit"));
        assert_eq!(limit(None, 7, 9).unwrap(), 7);
        assert_eq!(limit(Some("9"), 7, 9).unwrap(), 9);
        assert!(limit(Some("0"), 7, 9).is_err() && limit(Some("10"), 7, 9).is_err());
        assert!(flag("f", Some("True")).unwrap());
        assert!(!flag("f", None).unwrap());
        assert!(flag("f", Some("maybe")).is_err());
    }
}
