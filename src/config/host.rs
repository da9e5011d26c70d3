//! Where a machine is: an IP address or a host name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Longest host name and longest part of one between dots, in characters (RFC 1123).
const MAX_NAME_CHARS: usize = 253;
const MAX_LABEL_CHARS: usize = 63;

/// The text is neither an address one can connect to nor a host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an IP address (192.168.1.101) or a host name")]
pub struct BadHost;

/// The host part of an address. Names are kept in lower case, so that equal hosts are equal values.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    Ip(IpAddr),
    Name(String),
}

impl Host {
    /// The address, where it is one; a name has to be resolved, except `localhost`.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(name) if name == "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            Self::Name(_) => None,
        }
    }

    /// Only this machine itself can be reached there.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// `host:port` as it stands in a URL; an IPv6 address is put in brackets.
    #[must_use]
    pub fn with_port(&self, port: u16) -> String {
        match self {
            Self::Ip(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
            host => format!("{host}:{port}"),
        }
    }
}

impl FromStr for Host {
    type Err = BadHost;

    /// Refused: addresses no one can connect to (`0.0.0.0`, multicast, broadcast), names of digits and dots only
    /// (a mistyped address), and `auto`, which stood in predecessors' files until they wrote the address itself.
    fn from_str(text: &str) -> Result<Self, BadHost> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let usable = !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST);
            return if usable { Ok(Self::Ip(ip)) } else { Err(BadHost) };
        }
        let label_ok = |label: &str| {
            (1..=MAX_LABEL_CHARS).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let top = text.rsplit('.').next().unwrap_or_default();
        let name_ok = text.len() <= MAX_NAME_CHARS
            && text.split('.').all(label_ok)
            && !top.bytes().all(|b| b.is_ascii_digit())
            && text != "auto";
        if name_ok { Ok(Self::Name(text.to_ascii_lowercase())) } else { Err(BadHost) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_hosts() {
        for (text, shown, in_url) in [
            ("192.168.1.101", "192.168.1.101", "192.168.1.101:9000"),
            ("::1", "::1", "[::1]:9000"),
            ("[fd00::7]", "fd00::7", "[fd00::7]:9000"),
            ("Gate-1.Lan", "gate-1.lan", "gate-1.lan:9000"),
            ("cong4", "cong4", "cong4:9000"),
        ] {
            let host: Host = text.parse().unwrap();
            assert_eq!((host.to_string().as_str(), host.with_port(9000).as_str()), (shown, in_url));
        }
    }

    #[test]
    fn what_no_one_can_connect_to_is_no_host() {
        for text in [
            "",
            " ",
            "auto",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "256.1.1.1",
            "192.168.1",
            "1",
            "192.168.1.101:9000",
            "http://a",
            "-a",
            "a-",
            "a..b",
            "a.",
            "cổng",
            "a b",
            "a_b",
            "fe80::1%eth0",
        ] {
            assert_eq!(text.parse::<Host>(), Err(BadHost), "{text}");
        }
        assert!(format!("{}.vn", "a".repeat(64)).parse::<Host>().is_err());
        assert!(["ab"; 90].join(".").parse::<Host>().is_err());
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, loopback) in [
            ("127.0.0.1", true),
            ("127.0.0.3", true),
            ("::1", true),
            ("LOCALHOST", true),
            ("192.168.1.1", false),
            ("gate", false),
        ] {
            assert_eq!(text.parse::<Host>().unwrap().is_loopback(), loopback, "{text}");
        }
    }
}
