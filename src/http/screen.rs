//! What is looked at before a request goes to its route, and what every answer carries.
//!
//! - **Host.** A page whose name leads to this address (DNS rebinding) would be this central's own to a browser. So a request
//!   has to name an address, or a name this central is known by.
//! - **Origin.** What changes something, and every WebSocket, is refused to pages of other sites; at the ports of centrals, to all
//!   pages.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::error::ApiError;
use crate::config::model::Config;

/// Endings of names that nobody can register, and so nobody can point at us from outside.
const PRIVATE_ENDINGS: [&str; 6] = [".local", ".lan", ".internal", ".localhost", ".home.arpa", ".home"];

/// On every answer, where its handler said nothing else: an answer is no page, is taken for what it says it is, is framed by
/// nobody, and tells no other site where it was read.
static HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (header::CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin")),
];

/// Where a browser says a request comes from.
static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request goes no further; `None`: it may. `secured`: it came over HTTPS.
pub fn refusal(request: &HttpRequest, config: &Config, secured: bool) -> Option<ApiError> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    // Without one it is no browser: each sends it.
    if host.is_some_and(|host| !is_ours(host, config)) {
        return Some(ApiError::unknown_host());
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let opens_socket = headers.contains_key(header::UPGRADE);
    let is_foreign = (changes || opens_socket) && comes_from_elsewhere(headers, host, secured);
    is_foreign.then(ApiError::foreign_page)
}

/// Whether the request has what browsers alone send: no page has to do with the ports of centrals.
pub fn comes_from_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

/// Whether it may be a browser, also an old one that does not say from which page a request comes: gates and programs send none of this.
pub fn may_be_browser(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    comes_from_browser(headers)
        || headers.contains_key(header::REFERER)
        || headers.contains_key(header::COOKIE)
        || agent.starts_with(b"Mozilla/")
}

/// A browser says from which page a request comes; programs say nothing. A page that came in clear, which anybody may have
/// changed on its way, is another one than ours over HTTPS; in front of plain HTTP there may be a proxy that speaks HTTPS.
fn comes_from_elsewhere(headers: &HeaderMap, host: Option<&str>, secured: bool) -> bool {
    let elsewhere =
        headers.get(&SEC_FETCH_SITE).is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let is_other = origin.is_some_and(|origin| {
        let place = origin.split_once("://").filter(|(scheme, _)| !secured || scheme.eq_ignore_ascii_case("https"));
        let place = place.map(|(_, place)| place);
        !place.zip(host).is_some_and(|(place, host)| place.eq_ignore_ascii_case(host))
    });
    elsewhere || is_other
}

/// Whether this central is known by the name in a `Host` header: an address; a name without a dot or with a private ending, which
/// nobody outside can point here; its own in the settings; one that is allowed there.
fn is_ours(host: &str, config: &Config) -> bool {
    let name = name_of(host).to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    is_address
        || !name.contains('.')
        || PRIVATE_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || config.this_central.ip.to_string().eq_ignore_ascii_case(name)
        || config.security.host_names.iter().any(|allowed| allowed == name)
}

/// Without the port.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Adds to an answer what every one carries.
pub fn protect(headers: &mut HeaderMap) {
    for (name, value) in &HEADERS {
        if !headers.contains_key(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn refused(method: Method, headers: &[(&str, &str)]) -> Option<&'static str> {
        refused_over(false, method, headers)
    }

    fn refused_over(secured: bool, method: Method, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut config = Config::standalone();
        config.security.host_names = vec!["baixe.example.vn".to_owned()];
        let mut request = TestRequest::default().method(method);
        for header in headers {
            request = request.append_header(*header);
        }
        refusal(&request.to_http_request(), &config, secured).map(|error| error.code())
    }

    #[test]
    fn only_names_that_nobody_outside_can_point_here_are_answered() {
        for (host, expected) in [
            ("127.0.0.1:8000", None),
            ("192.168.1.101", None),
            ("[::1]:8000", None),
            ("[fe80::1]", None),
            ("localhost:8000", None),
            ("central-1:8000", None),
            ("central-1.local", None),
            ("Cong-Sau.LAN:8000", None),
            ("baixe.example.vn:8000", None),
            ("BaiXe.example.vn.", None),
            ("evil.example.com:8000", Some("unknown_host")),
            ("example.vn", Some("unknown_host")),
            ("127.0.0.1.evil.com", Some("unknown_host")),
            ("1.2.3", Some("unknown_host")),
            ("local.evil.com", Some("unknown_host")),
        ] {
            assert_eq!(refused(Method::GET, &[("host", host)]), expected, "{host}");
        }
        assert_eq!(refused(Method::GET, &[]), None);
    }

    #[test]
    fn pages_of_other_sites_change_nothing_and_open_no_socket() {
        let host = ("host", "10.0.0.1:8000");
        let foreign = Some("foreign_page");
        for (method, headers, expected) in [
            (Method::POST, vec![host], None),
            (Method::POST, vec![host, ("origin", "http://10.0.0.1:8000")], None),
            (Method::POST, vec![host, ("origin", "https://10.0.0.1:8000")], None),
            (Method::POST, vec![host, ("sec-fetch-site", "same-origin")], None),
            (Method::POST, vec![host, ("origin", "http://10.0.0.1:8001")], foreign),
            (Method::POST, vec![host, ("origin", "http://evil.example")], foreign),
            (Method::POST, vec![host, ("origin", "null")], foreign),
            (Method::POST, vec![host, ("origin", "")], foreign),
            (Method::POST, vec![host, ("sec-fetch-site", "cross-site")], foreign),
            (Method::POST, vec![host, ("sec-fetch-site", "same-site")], foreign),
            (Method::PUT, vec![host, ("origin", "http://evil.example")], foreign),
            (Method::DELETE, vec![host, ("origin", "http://evil.example")], foreign),
            (Method::POST, vec![("origin", "http://10.0.0.1:8000")], foreign),
            (Method::GET, vec![host, ("origin", "http://evil.example")], None),
            (Method::GET, vec![host, ("sec-fetch-site", "cross-site")], None),
            (Method::GET, vec![host, ("origin", "http://evil.example"), ("upgrade", "websocket")], foreign),
            (Method::GET, vec![host, ("origin", "http://10.0.0.1:8000"), ("upgrade", "websocket")], None),
            (Method::GET, vec![host, ("upgrade", "websocket")], None),
        ] {
            assert_eq!(refused(method.clone(), &headers), expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn over_https_a_page_that_came_in_clear_is_a_foreign_one() {
        let host = ("host", "10.0.0.1");
        for (origin, expected) in [("https://10.0.0.1", None), ("http://10.0.0.1", Some("foreign_page"))] {
            assert_eq!(refused_over(true, Method::POST, &[host, ("origin", origin)]), expected, "{origin}");
        }
        assert_eq!(refused_over(true, Method::POST, &[host]), None, "a program");
    }

    #[test]
    fn an_answer_keeps_the_policy_of_its_own() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'"));
        protect(&mut headers);
        assert_eq!(headers.len(), HEADERS.len());
        assert_eq!(headers.get(header::CONTENT_SECURITY_POLICY).unwrap(), "default-src 'self'");
    }
}
