//! Where a request comes from when a proxy passed it on.
//!
//! A proxy on this machine makes everybody look like the machine itself, who may do more than others. So what was
//! forwarded is from *here* only if the proxy, named in `security.trusted_proxies`, says so.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::HeaderMap;

/// Somebody elsewhere whom nobody vouches for.
pub const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What proxies add to what they pass on.
const HEADERS: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/// The address a request comes from, of the one that sent it to us and what it says of others.
///
/// Of a trusted proxy the last address it names that is no trusted proxy itself, else [`ELSEWHERE`]. What anyone else says is
/// not believed: he himself sent it, and what he forwards from this machine is from elsewhere.
#[must_use]
pub fn origin(sender: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    if !HEADERS.iter().any(|name| headers.contains_key(*name)) {
        return sender;
    }
    if trusted.contains(&sender) {
        let named = ["x-forwarded-for", "forwarded", "x-real-ip"].into_iter().find(|name| headers.contains_key(*name));
        let texts = named.into_iter().flat_map(|name| headers.get_all(name)).map(|value| value.to_str().unwrap_or(""));
        let hops: Vec<Option<IpAddr>> = texts.flat_map(|text| text.split(',')).map(hop).collect();
        let stranger = hops.into_iter().rev().find(|hop| !hop.is_some_and(|hop| trusted.contains(&hop)));
        return stranger.flatten().unwrap_or(ELSEWHERE);
    }
    if sender.is_loopback() { ELSEWHERE } else { sender }
}

/// One entry of a list of hops: `203.0.113.9`, `"[2001:db8::1]:4711"`, `for=203.0.113.9;proto=https`.
fn hop(text: &str) -> Option<IpAddr> {
    let pairs = text.split(';').map(str::trim);
    let told = pairs.clone().find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    let told = told.or_else(|| pairs.clone().next())?.trim().trim_matches('"');
    let bare = match told.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None if told.matches(':').count() == 1 => told.split(':').next()?,
        None => told,
    };
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn from(sender: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        origin(sender.parse().unwrap(), &map, &trusted).to_string()
    }

    #[test]
    fn what_nobody_forwarded_is_from_who_sent_it() {
        assert_eq!(from("127.0.0.1", &[], &[]), "127.0.0.1");
        assert_eq!(from("10.0.0.7", &[], &["127.0.0.1"]), "10.0.0.7");
    }

    #[test]
    fn what_was_forwarded_on_this_machine_is_from_elsewhere_whatever_it_says() {
        for header in HEADERS {
            assert_eq!(from("127.0.0.1", &[(header, "127.0.0.1")], &[]), "0.0.0.0", "{header}");
            assert_eq!(from("10.0.0.7", &[(header, "127.0.0.1")], &[]), "10.0.0.7", "{header}");
        }
    }

    #[test]
    fn a_trusted_proxy_says_for_whom_it_speaks() {
        let trusted = &["127.0.0.1", "10.0.0.2"];
        for (header, value, expected) in [
            ("x-forwarded-for", "203.0.113.9", "203.0.113.9"),
            ("x-forwarded-for", "127.0.0.1, 203.0.113.9", "203.0.113.9"),
            ("x-forwarded-for", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("x-forwarded-for", "203.0.113.9:4711", "203.0.113.9"),
            ("x-forwarded-for", "unknown", "0.0.0.0"),
            ("x-forwarded-for", "10.0.0.2", "0.0.0.0"),
            ("forwarded", "for=203.0.113.9;proto=https, for=10.0.0.2", "203.0.113.9"),
            ("forwarded", "proto=https;For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("forwarded", "for=_hidden", "0.0.0.0"),
            ("x-real-ip", "203.0.113.9", "203.0.113.9"),
            ("via", "1.1 proxy", "0.0.0.0"),
        ] {
            assert_eq!(from("127.0.0.1", &[(header, value)], trusted), expected, "{header}: {value}");
        }
    }
}
