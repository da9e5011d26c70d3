//! The settings, as the program uses them: every value has its type, every setting its default.
//!
//! The documented file has the first two keys; the rest of it has the defaults below.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::alarms::{self, Alarms};
use super::invoices::{self, Invoices};
use crate::domain::direction::Direction;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, as_text, hex};
use crate::domain::lane::Lanes;
use crate::domain::named::named;
use crate::domain::time::{ClockTime, SiteZone};
use crate::domain::vietqr::TransferAccount;

/// The ports of the documented file.
pub const DEFAULT_P2P_PORT: u16 = 9000;
pub const DEFAULT_API_PORT: u16 = 8000;
/// Where predecessors will be let in once the others need TLS.
pub const DEFAULT_LEGACY_PORT: u16 = 9001;
/// Hex digits of a version: 48 bits tell apart any two states of one file.
const VERSION_HEX_DIGITS: usize = 12;

/// All settings of one central.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Config {
    pub this_central: ThisCentral,
    pub peer_centrals: Vec<PeerCentral>,
    pub site: Site,
    pub edges: Vec<Edge>,
    pub security: Security,
    /// Certificates that a person refused: their centrals are turned away without asking again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused_centrals: Vec<RefusedCentral>,
    /// Listen on exactly this address; absent: the own one if it is loopback, else all.
    #[schema(value_type = Option<String>)]
    pub bind: Option<IpAddr>,
    pub backup: Backup,
    /// Where fees are transferred to by QR code.
    pub vietqr: TransferAccount,
    /// Who makes invoices of what is taken.
    pub invoices: Invoices,
    pub alarms: Alarms,
    pub tuning: Tuning,
}

/// This central, as it is told to the others.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ThisCentral {
    #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$")]
    pub id: CentralId,
    #[schema(value_type = String, min_length = 1, max_length = 253)]
    pub ip: Host,
    #[schema(minimum = 1, maximum = 65_535)]
    pub p2p_port: u16,
    #[schema(minimum = 1, maximum = 65_535)]
    pub api_port: u16,
}

/// Another central.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PeerCentral {
    #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$")]
    pub id: CentralId,
    #[schema(value_type = String, min_length = 1, max_length = 253)]
    pub ip: Host,
    #[schema(minimum = 1, maximum = 65_535)]
    pub p2p_port: u16,
    /// Where its page is; information only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 65_535)]
    pub api_port: Option<u16>,
    /// Of its certificate; `None`: the first one it shows is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub fingerprint: Option<Fingerprint>,
    /// The fingerprint is that of the first contact, and no person has compared it yet. Never without one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unconfirmed: bool,
    /// It was let in on the word of another central alone: without that word it is a stranger here, until a person confirms it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub introduced: bool,
    /// It may be one of the predecessor's programs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub legacy: bool,
    /// The zone of a predecessor's local times; `None`: the site's.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_zone_name")]
    #[schema(value_type = Option<String>)]
    pub time_zone: Option<SiteZone>,
}

impl PeerCentral {
    /// Whether a link to the one is a link to the other: what differs, if anything, is that a first certificate was pinned
    /// since, or that a person confirmed it, or another central did.
    pub fn is_linked_like(&self, other: &Self) -> bool {
        let fingerprint = self.fingerprint.or(other.fingerprint);
        let Self { unconfirmed, introduced, .. } = *other;
        *other == Self { fingerprint, unconfirmed, introduced, ..self.clone() }
    }
}

/// A central that a person refused or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedCentral {
    /// As it called itself.
    #[schema(value_type = String)]
    pub id: CentralId,
    #[schema(value_type = String)]
    pub fingerprint: Fingerprint,
}

/// The site all centrals of a mesh belong to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, ToSchema)]
pub struct Site {
    /// Shown on the pages; may be empty.
    pub name: String,
    #[serde(serialize_with = "zone_name")]
    #[schema(value_type = String)]
    pub time_zone: SiteZone,
}

/// A camera and its barrier. Edges that are not listed work too, with the direction of each request.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Edge {
    pub id: String,
    pub name: String,
    /// The lane; `None`: cars pass it both ways.
    pub direction: Option<Direction>,
    /// The type of the vehicles that pass it, where a request tells none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle_type: Option<String>,
    /// Edges that name the same lane are devices of it: what one sees and another asks for within seconds is one passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// The hash of its key, `sha256:` and 64 hex digits; `None`: it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_hash: Option<String>,
}

/// Who has to prove who they are.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Security {
    pub p2p: P2pMode,
    pub edges: EdgesMode,
    pub admin: AdminMode,
    pub reads: ReadsMode,
    /// Where people are known.
    pub people: PeopleMode,
    /// Whether centrals find each other on the network.
    pub discovery: DiscoveryMode,
    /// How browsers and edges are spoken with.
    pub api: ApiMode,
    /// What the API port shows with `https`: a PEM file with a certificate and those that vouch for it; `None`: the own one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_certificate_file: Option<String>,
    /// Its key, as PEM; `None`: it is in the same file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<String>,
    #[schema(minimum = 1, maximum = 65_535)]
    pub legacy_port: u16,
    /// Names, besides the obvious ones, that browsers may call this central by.
    pub host_names: Vec<String>,
    /// Proxies in front of the API port that are believed when they say for whom they speak.
    #[schema(value_type = Vec<String>)]
    pub trusted_proxies: Vec<IpAddr>,
}

named! {
    /// How centrals prove to each other who they are.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum P2pMode {
        /// TLS 1.3, both sides by their pinned certificates.
        Tls = "tls",
        /// Not at all: plain WebSockets, and a configured id is believed. Red on the page.
        Open = "open",
    }

    /// How edges prove who they are.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum EdgesMode {
        /// Not at all: whoever reaches the port can open a barrier. Red on the page.
        Open = "open",
        /// Each by a key of its own ([`Edge::key_hash`]); it speaks for itself alone.
        Keys = "keys",
    }

    /// Who may change settings, tariff and history.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum AdminMode {
        /// Who logs in as an administrator, or shows a token.
        Password = "password",
        /// Whoever is at the machine itself, and nobody from elsewhere. Red on the page.
        Open = "open",
    }

    /// Who may look at history and figures.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum ReadsMode {
        /// Whoever reaches the port, as existing programs do.
        Open = "open",
        /// Who logs in, or shows a token.
        Login = "login",
    }

    /// Where the people who log in are known.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum PeopleMode {
        /// At every central of the site that is set so and that a person here has confirmed.
        Site = "site",
        /// Here alone.
        Local = "local",
    }

    /// Whether this central says on its network that it is there, and shows who else does.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum DiscoveryMode {
        /// By multicast DNS, where others can reach it at all.
        On = "on",
        /// It neither says nor hears anything.
        Off = "off",
    }

    /// How browsers and edges are spoken with at the API port.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum ApiMode {
        /// In clear, as existing edge programs speak.
        Http = "http",
        /// TLS 1.3 alone.
        Https = "https",
    }
}

/// When this central copies itself, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Backup {
    /// The directory the backups go into, best on another disk; `None`: none are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// Each day at this time of the site's clock.
    #[schema(value_type = String, pattern = "^[0-9]{1,2}:[0-9]{2}$")]
    pub at: ClockTime,
    /// Of so many days the newest stays.
    #[schema(minimum = 1, maximum = 1_000)]
    pub keep: u32,
    /// A file whose first line is the passphrase that new ones are encrypted with; `None`: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<String>,
}

/// What an installer rarely touches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Tuning {
    /// Bounds of the wait before a peer is dialled again, drawn at random between 0 and a value that doubles from the
    /// first to the second.
    pub reconnect_min_ms: u64,
    pub reconnect_max_ms: u64,
    /// Requests of edges being answered at a time; one more is answered 503 at once.
    pub max_requests_in_flight: u32,
    /// Of one address, or of one edge with its key; one more is answered 429. 127.0.0.1 and ::1 have no bound.
    #[schema(minimum = 10, maximum = 100_000)]
    pub max_requests_per_second: u32,
    /// Less free disk than this is warned of, in MB (10^6 bytes).
    pub low_disk_mb: u64,
    pub log_format: LogFormat,
    /// Show only the first characters of a plate in the log.
    pub mask_plates: bool,
}

named! {
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line, for programs.
        Json = "json",
    }
}

impl Default for Security {
    fn default() -> Self {
        Self {
            p2p: P2pMode::Tls,
            edges: EdgesMode::Open,
            admin: AdminMode::Password,
            reads: ReadsMode::Open,
            people: PeopleMode::Local,
            discovery: DiscoveryMode::On,
            api: ApiMode::Http,
            api_certificate_file: None,
            api_key_file: None,
            legacy_port: DEFAULT_LEGACY_PORT,
            host_names: Vec::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Security {
    /// The modes in one line, for other centrals to show: `admin=password api=http …`.
    pub fn modes(&self) -> String {
        let modes = [
            ("admin", self.admin.name()),
            ("api", self.api.name()),
            ("discovery", self.discovery.name()),
            ("edges", self.edges.name()),
            ("p2p", self.p2p.name()),
            ("people", self.people.name()),
            ("reads", self.reads.name()),
        ];
        modes.map(|(name, mode)| format!("{name}={mode}")).join(" ")
    }
}

/// What [`Security::modes`] of another central says; what is no name or mode of some version is left out.
pub fn read_modes(said: &str) -> BTreeMap<String, String> {
    let is_word = |text: &str| {
        (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let modes = said.split(' ').take(16).filter_map(|mode| mode.split_once('='));
    modes
        .filter(|(name, mode)| is_word(name) && is_word(mode))
        .map(|(name, mode)| (name.to_owned(), mode.to_owned()))
        .collect()
}

impl Default for Backup {
    fn default() -> Self {
        Self { dir: None, at: ClockTime::hour(3), keep: 7, passphrase_file: None }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            reconnect_min_ms: 500,
            reconnect_max_ms: 3_000,
            max_requests_in_flight: 1_024,
            max_requests_per_second: 300,
            low_disk_mb: 500,
            log_format: LogFormat::Text,
            mask_plates: false,
        }
    }
}

impl Tuning {
    pub fn low_disk_bytes(&self) -> u64 {
        self.low_disk_mb.saturating_mul(1_000_000)
    }
}

impl Config {
    /// These two parts, and the default of everything else.
    pub fn new(this_central: ThisCentral, peer_centrals: Vec<PeerCentral>) -> Self {
        Self {
            this_central,
            peer_centrals,
            site: Site::default(),
            edges: Vec::new(),
            security: Security::default(),
            refused_centrals: Vec::new(),
            bind: None,
            backup: Backup::default(),
            vietqr: TransferAccount::default(),
            invoices: Invoices::default(),
            alarms: Alarms::default(),
            tuning: Tuning::default(),
        }
    }

    /// What runs without any file: `central-1` on 127.0.0.1, ports 9000 and 8000, no peers.
    pub fn standalone() -> Self {
        #[expect(clippy::expect_used, reason = "a constant text of the right shape; a test makes it")]
        let id = CentralId::new("central-1").expect("well-formed id");
        let ip = Host::Ip(Ipv4Addr::LOCALHOST.into());
        Self::new(ThisCentral { id, ip, p2p_port: DEFAULT_P2P_PORT, api_port: DEFAULT_API_PORT }, Vec::new())
    }

    /// Where to listen: `bind` if set; else exactly the own address if it is loopback; else every address, since the
    /// own one is what others are told and may be a name or not be on this machine (yet).
    pub fn listen_ip(&self) -> IpAddr {
        match (self.bind, &self.this_central.ip) {
            (Some(ip), _) => ip,
            (None, host) if host.is_loopback() => host.ip().unwrap_or(Ipv4Addr::LOCALHOST.into()),
            (None, Host::Ip(IpAddr::V6(_))) => Ipv6Addr::UNSPECIFIED.into(),
            (None, _) => Ipv4Addr::UNSPECIFIED.into(),
        }
    }

    /// Which parts ask nobody on the network for proof of who he is: `edges`, `p2p`. Empty where only this machine reaches
    /// this central. Administration is not among them: in its open mode it is for the machine itself.
    pub fn open_to_network(&self) -> Vec<&'static str> {
        if self.listen_ip().is_loopback() {
            return Vec::new();
        }
        let security = &self.security;
        let parts = [(security.edges == EdgesMode::Open, "edges"), (security.p2p == P2pMode::Open, "p2p")];
        parts.into_iter().filter_map(|(is_open, name)| is_open.then_some(name)).collect()
    }

    pub fn peer(&self, id: &CentralId) -> Option<&PeerCentral> {
        self.peer_centrals.iter().find(|peer| peer.id == *id)
    }

    /// Whether a peer is spoken with as a predecessor: it is marked as one, and has never shown a certificate. From its first
    /// certificate on it is one of ours, and nobody may speak in its name without it.
    pub fn is_linked_as_legacy(&self, peer: &PeerCentral) -> bool {
        peer.legacy && (self.security.p2p == P2pMode::Open || peer.fingerprint.is_none())
    }

    /// The registered lane of an edge.
    pub fn lane(&self, edge_id: &str) -> Option<Direction> {
        self.edges.iter().find(|edge| edge.id == edge_id).and_then(|edge| edge.direction)
    }

    /// Which edges are devices of one lane.
    pub fn lanes(&self) -> Lanes {
        Lanes::of(self.edges.iter().filter_map(|edge| Some((edge.id.as_str(), edge.lane.as_deref()?))))
    }

    /// The type of the vehicles that pass an edge; empty: it has none.
    pub fn vehicle_type(&self, edge_id: &str) -> &str {
        let edge = self.edges.iter().find(|edge| edge.id == edge_id);
        edge.and_then(|edge| edge.vehicle_type.as_deref()).unwrap_or_default()
    }

    /// Every setting with its value, as the API shows it. [`super::read::config`] reads it back.
    pub fn to_json(&self) -> Value {
        #[expect(clippy::expect_used, reason = "no map with other than text keys, no failing serializer in the model")]
        serde_json::to_value(self).expect("settings are JSON")
    }

    /// What is written to the file: the two documented keys, and of the rest what differs from the default, so that a
    /// default that changes with a new version reaches those who never chose.
    pub fn to_file_json(&self) -> Value {
        let mut json = self.to_json();
        let defaults = Self::new(self.this_central.clone(), Vec::new()).to_json();
        if let (Some(settings), Some(defaults)) = (json.as_object_mut(), defaults.as_object()) {
            settings.retain(|key, value| match defaults.get(key) {
                Some(_) if key == "this_central" || key == "peer_centrals" => true,
                Some(default) => drop_defaults(value, default),
                None => true,
            });
        }
        json
    }

    /// Whether something in them is nobody's business.
    pub fn holds_secrets(&self) -> bool {
        let mut settings = self.to_json();
        !alarms::take_secrets(&mut settings).is_empty() || !invoices::take_secrets(&mut settings).is_empty()
    }

    /// Names this state of the settings: equal settings have equal versions. Secrets are left out, or they could be tried against it.
    pub fn version(&self) -> String {
        let mut settings = self.to_json();
        let mut set = alarms::take_secrets(&mut settings);
        set.extend(invoices::take_secrets(&mut settings).into_iter().map(|field| format!("invoices/{field}")));
        let digest = Sha256::digest(format!("{settings}{}", set.join(",")));
        hex(&digest).chars().take(VERSION_HEX_DIGITS).collect()
    }
}

/// Removes from an object what its defaults hold too; whether anything is left.
fn drop_defaults(value: &mut Value, default: &Value) -> bool {
    if let (Some(settings), Some(defaults)) = (value.as_object_mut(), default.as_object()) {
        settings.retain(|key, value| defaults.get(key) != Some(value));
        return !settings.is_empty();
    }
    value != default
}

fn zone_name<S: Serializer>(zone: &SiteZone, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

fn optional_zone_name<S: Serializer>(zone: &Option<SiteZone>, serializer: S) -> Result<S::Ok, S::Error> {
    zone.as_ref().map(SiteZone::name).serialize(serializer)
}

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
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(name) if name == "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            Self::Name(_) => None,
        }
    }

    /// Only this machine itself can be reached there.
    pub fn is_loopback(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// `host:port` as it stands in a URL; an IPv6 address is put in brackets.
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

as_text!(Host);

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
    fn the_modes_of_another_central_are_read_as_it_says_them_and_what_is_none_is_left_out() {
        let own = read_modes(&Security { edges: EdgesMode::Keys, ..Security::default() }.modes());
        assert_eq!((own.len(), own["edges"].as_str(), own["admin"].as_str()), (7, "keys", "password"));
        let newer = read_modes("edges=keys doors=shut edges=<b> =x x= y Edges=open");
        assert_eq!(newer, BTreeMap::from([("doors", "shut"), ("edges", "keys")].map(|(a, b)| (a.into(), b.into()))));
        assert!(read_modes(&"a=b ".repeat(100)).len() <= 1 && read_modes(&"x".repeat(10_000)).is_empty());
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
