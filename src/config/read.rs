//! From JSON to settings: every field's type and range, and what has to fit together.
//!
//! Files of both predecessor revisions are read as they are: a missing `p2p_port` is 9000, a missing `api_port` 8000, a
//! number may be written as a text.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::alarms;
use super::invoices;
use super::model::{
    Backup, Config, DEFAULT_API_PORT, DEFAULT_P2P_PORT, Edge, Host, PeerCentral, RefusedCentral, Security, Site,
    ThisCentral, Tuning,
};
use super::reader::{ConfigFields, Problems, Wrong};
use crate::domain::fingerprint::{BadFingerprint, Fingerprint};
use crate::domain::ids::{CentralId, EdgeId, IdError};
use crate::domain::named::HasNames;
use crate::domain::problem::{FieldProblem, is_plain_text};
use crate::domain::tariff::MAX_TYPE_CHARS;
use crate::domain::time::{ClockTime, NoClockTime, SiteZone};
use crate::domain::told::vehicle;
use crate::domain::vietqr::{BANK_DIGITS, MAX_ACCOUNT_CHARS, TransferAccount};
use std::collections::BTreeMap;

/// Most peers and edges of one central. A site has about ten of each.
pub const MAX_PEERS: usize = 100;
pub const MAX_EDGES: usize = 1_000;
/// Most refused centrals that are remembered.
pub const MAX_REFUSED: usize = 100;
const MAX_HOST_NAMES: usize = 20;
const MAX_TRUSTED_PROXIES: usize = 20;
/// Longest name of a site or edge, in characters.
pub const MAX_NAME_CHARS: usize = 100;
/// Longest hash of a key, and longest path of a file, in characters.
const MAX_HASH_CHARS: usize = 256;
const MAX_PATH_CHARS: usize = 1_000;

const PORTS: RangeInclusive<u64> = 1..=65_535;
/// From a wait that only tests want to 10 minutes.
const RECONNECT_MS: RangeInclusive<u64> = 10..=600_000;
const REQUESTS_IN_FLIGHT: RangeInclusive<u64> = 1..=100_000;
const REQUESTS_PER_SECOND: RangeInclusive<u64> = 10..=100_000;
const BACKUPS_KEPT: RangeInclusive<u64> = 1..=1_000;
const LOW_DISK_MB: RangeInclusive<u64> = 0..=1_000_000;

/// Settings, and what was odd about their source.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadConfig {
    pub config: Config,
    /// Unknown keys and the like: shown, not acted upon.
    pub warnings: Vec<FieldProblem>,
}

/// The fields of the settings that could be read, for the checks of the whole.
pub(super) struct ConfigParts {
    pub this_central: CentralParts,
    pub peers: Vec<CentralParts>,
    /// By index in the list.
    pub edge_ids: Vec<Option<String>>,
    pub legacy_port: Option<u16>,
    pub names_key_alone: bool,
    pub reconnect_min_ms: u64,
    pub reconnect_max_ms: u64,
}

pub(super) struct CentralParts {
    pub id: Option<CentralId>,
    pub ip: Option<Host>,
    pub p2p_port: Option<u16>,
    pub api_port: Option<u16>,
    pub fingerprint: Option<Fingerprint>,
}

/// Reads and checks settings whole.
///
/// # Errors
/// Every wrong field, by its name: `this_central.id`, `peer_centrals[0].ip` …
pub fn config(json: &Value) -> Result<ReadConfig, Vec<FieldProblem>> {
    let mut report = Problems::default();
    let mut root = ConfigFields::of(json, "", &mut report);
    // What a client read may come back with the settings; it is not one of them.
    root.get("version");
    let (this_parts, this_central) = this_central(&mut root, &mut report);
    let peers: Vec<_> = root
        .list("peer_centrals", MAX_PEERS, &mut report)
        .into_iter()
        .map(|fields| peer_central(fields, &mut report))
        .collect();
    let edges: Vec<_> =
        root.list("edges", MAX_EDGES, &mut report).into_iter().map(|fields| edge(fields, &mut report)).collect();
    let site = site(&mut root, &mut report);
    let (security, legacy_port, names_key_alone) = security(&mut root, &mut report);
    let refused: Vec<_> = root
        .list("refused_centrals", MAX_REFUSED, &mut report)
        .into_iter()
        .map(|fields| refused_central(fields, &mut report))
        .collect();
    let bind = root.optional("bind", &mut report, bind_ip);
    let backup = backup(&mut root, &mut report);
    let vietqr = vietqr(&mut root, &mut report);
    let invoices = invoices::read(&mut root, &mut report);
    let alarms = alarms::read(&mut root, &mut report);
    let tuning = tuning(&mut root, &mut report);
    root.done(&mut report);

    let (peer_parts, peers): (Vec<_>, Vec<_>) = peers.into_iter().unzip();
    let parts = ConfigParts {
        this_central: this_parts,
        peers: peer_parts,
        edge_ids: edges.iter().map(|edge| edge.as_ref().map(|edge| edge.id.clone())).collect(),
        legacy_port,
        names_key_alone,
        reconnect_min_ms: tuning.reconnect_min_ms,
        reconnect_max_ms: tuning.reconnect_max_ms,
    };
    check_whole(&parts, &mut report);
    match this_central {
        Some(this_central) if report.problems.is_empty() => {
            let config = Config {
                this_central,
                peer_centrals: peers.into_iter().flatten().collect(),
                site,
                edges: edges.into_iter().flatten().collect(),
                security,
                refused_centrals: refused.into_iter().flatten().collect(),
                bind,
                backup,
                vietqr,
                invoices,
                alarms,
                tuning,
            };
            Ok(ReadConfig { config, warnings: report.warnings })
        }
        _ => Err(report.problems),
    }
}

/// What is wrong with settings that were changed in the program itself; empty: nothing.
pub fn check(settings: &Config) -> Vec<FieldProblem> {
    config(&settings.to_json()).err().unwrap_or_default()
}

fn this_central(root: &mut ConfigFields<'_>, report: &mut Problems) -> (CentralParts, Option<ThisCentral>) {
    let absent = root.get("this_central").is_none();
    let mut fields = root.part("this_central", report);
    if absent {
        report.problems.push(FieldProblem::missing("this_central"));
    }
    let parts = CentralParts {
        id: fields.required("id", report, central_id),
        ip: fields.required("ip", report, host),
        p2p_port: port_or(&mut fields, "p2p_port", DEFAULT_P2P_PORT, report),
        api_port: port_or(&mut fields, "api_port", DEFAULT_API_PORT, report),
        fingerprint: None,
    };
    fields.done(report);
    let this_central = match (&parts.id, &parts.ip, parts.p2p_port, parts.api_port) {
        (Some(id), Some(ip), Some(p2p_port), Some(api_port)) => {
            Some(ThisCentral { id: id.clone(), ip: ip.clone(), p2p_port, api_port })
        }
        _ => None,
    };
    (parts, this_central)
}

fn peer_central(mut fields: ConfigFields<'_>, report: &mut Problems) -> (CentralParts, Option<PeerCentral>) {
    let parts = CentralParts {
        id: fields.required("id", report, central_id),
        ip: fields.required("ip", report, host),
        p2p_port: port_or(&mut fields, "p2p_port", DEFAULT_P2P_PORT, report),
        api_port: fields.optional("api_port", report, port),
        fingerprint: fields.optional("fingerprint", report, fingerprint).flatten(),
    };
    let fingerprint = parts.fingerprint;
    let unconfirmed = fields.optional("unconfirmed", report, boolean).unwrap_or(false) && fingerprint.is_some();
    let introduced = fields.optional("introduced", report, boolean).unwrap_or(false) && fingerprint.is_some();
    let legacy = fields.optional("legacy", report, boolean).unwrap_or(false);
    let time_zone = fields.optional("time_zone", report, zone);
    fields.done(report);
    let peer = match (&parts.id, &parts.ip, parts.p2p_port) {
        (Some(id), Some(ip), Some(p2p_port)) => Some(PeerCentral {
            id: id.clone(),
            ip: ip.clone(),
            p2p_port,
            api_port: parts.api_port,
            fingerprint,
            unconfirmed,
            introduced,
            legacy,
            time_zone,
        }),
        _ => None,
    };
    (parts, peer)
}

fn refused_central(mut fields: ConfigFields<'_>, report: &mut Problems) -> Option<RefusedCentral> {
    let id = fields.required("id", report, central_id);
    let fingerprint = fields.required("fingerprint", report, fingerprint).flatten();
    fields.done(report);
    Some(RefusedCentral { id: id?, fingerprint: fingerprint? })
}

fn edge(mut fields: ConfigFields<'_>, report: &mut Problems) -> Option<Edge> {
    let id = fields.required("id", report, edge_id);
    let name = fields.optional("name", report, name_text).unwrap_or_default();
    let direction = fields.optional("direction", report, one_of);
    let vehicle_type = fields.optional("vehicle_type", report, vehicle_type).filter(|name| !name.is_empty());
    let lane = fields.optional("lane", report, edge_id);
    let key_hash = fields.optional("key_hash", report, key_hash);
    fields.done(report);
    Some(Edge { id: id?, name, direction, vehicle_type, lane, key_hash })
}

fn site(root: &mut ConfigFields<'_>, report: &mut Problems) -> Site {
    let mut fields = root.part("site", report);
    let name = fields.optional("name", report, name_text).unwrap_or_default();
    let time_zone = fields.optional("time_zone", report, zone).unwrap_or_default();
    fields.done(report);
    Site { name, time_zone }
}

/// Also the legacy port if one is named, for only then can it clash; and whether a key is named and no certificate.
fn security(root: &mut ConfigFields<'_>, report: &mut Problems) -> (Security, Option<u16>, bool) {
    let default = Security::default();
    let mut fields = root.part("security", report);
    let p2p = fields.optional("p2p", report, one_of).unwrap_or(default.p2p);
    let edges = fields.optional("edges", report, one_of).unwrap_or(default.edges);
    let admin = fields.optional("admin", report, one_of).unwrap_or(default.admin);
    let reads = fields.optional("reads", report, one_of).unwrap_or(default.reads);
    let people = fields.optional("people", report, one_of).unwrap_or(default.people);
    let discovery = fields.optional("discovery", report, one_of).unwrap_or(default.discovery);
    let api = fields.optional("api", report, one_of).unwrap_or(default.api);
    let api_certificate_file = fields.optional("api_certificate_file", report, file_path).flatten();
    let names_certificate = fields.get("api_certificate_file").is_some_and(|path| path.as_str() != Some(""));
    let api_key_file = fields.optional("api_key_file", report, file_path).flatten();
    let host_names = fields.optional("host_names", report, host_names).unwrap_or_default();
    let trusted_proxies = fields.optional("trusted_proxies", report, addresses).unwrap_or_default();
    let named = fields.optional("legacy_port", report, port).filter(|port| *port != default.legacy_port);
    fields.done(report);
    let legacy_port = named.unwrap_or(default.legacy_port);
    let security = Security {
        p2p,
        edges,
        admin,
        reads,
        people,
        discovery,
        api,
        api_certificate_file,
        api_key_file,
        legacy_port,
        host_names,
        trusted_proxies,
    };
    let names_key_alone = security.api_key_file.is_some() && !names_certificate;
    (security, named, names_key_alone)
}

fn backup(root: &mut ConfigFields<'_>, report: &mut Problems) -> Backup {
    let default = Backup::default();
    let mut fields = root.part("backup", report);
    let dir = fields.optional("dir", report, file_path).flatten();
    let at = fields.optional("at", report, clock_time).unwrap_or(default.at);
    let keep =
        fields.optional("keep", report, |value| whole_number(value, BACKUPS_KEPT)).unwrap_or(default.keep.into());
    let passphrase_file = fields.optional("passphrase_file", report, file_path).flatten();
    fields.done(report);
    Backup { dir, at, keep: u32::try_from(keep).unwrap_or(default.keep), passphrase_file }
}

fn vietqr(root: &mut ConfigFields<'_>, report: &mut Problems) -> TransferAccount {
    let mut fields = root.part("vietqr", report);
    let problems = report.problems.len();
    let bank = fields.optional("bank", report, bank_number).unwrap_or_default();
    let account = fields.optional("account", report, account_number).unwrap_or_default();
    let holder = fields.optional("holder", report, name_text).unwrap_or_default();
    if bank.is_empty() != account.is_empty() && report.problems.len() == problems {
        let missing = if bank.is_empty() { "bank" } else { "account" };
        report.problems.push(FieldProblem::missing(fields.name(missing)));
    }
    fields.done(report);
    TransferAccount { bank, account, holder }
}

fn tuning(root: &mut ConfigFields<'_>, report: &mut Problems) -> Tuning {
    let default = Tuning::default();
    let mut fields = root.part("tuning", report);
    let mut number =
        |key, range, default| fields.optional(key, report, |value| whole_number(value, range)).unwrap_or(default);
    let reconnect_min_ms = number("reconnect_min_ms", RECONNECT_MS, default.reconnect_min_ms);
    let reconnect_max_ms = number("reconnect_max_ms", RECONNECT_MS, default.reconnect_max_ms);
    let in_flight = number("max_requests_in_flight", REQUESTS_IN_FLIGHT, default.max_requests_in_flight.into());
    let per_second = number("max_requests_per_second", REQUESTS_PER_SECOND, default.max_requests_per_second.into());
    let low_disk_mb = number("low_disk_mb", LOW_DISK_MB, default.low_disk_mb);
    let log_format = fields.optional("log_format", report, one_of).unwrap_or(default.log_format);
    let mask_plates = fields.optional("mask_plates", report, boolean).unwrap_or(default.mask_plates);
    fields.done(report);
    Tuning {
        reconnect_min_ms,
        reconnect_max_ms,
        max_requests_in_flight: u32::try_from(in_flight).unwrap_or(default.max_requests_in_flight),
        max_requests_per_second: u32::try_from(per_second).unwrap_or(default.max_requests_per_second),
        low_disk_mb,
        log_format,
        mask_plates,
    }
}

fn port_or(fields: &mut ConfigFields<'_>, key: &'static str, default: u16, report: &mut Problems) -> Option<u16> {
    match fields.get(key) {
        Some(_) => fields.optional(key, report, port),
        None => Some(default),
    }
}

fn text(value: &Value) -> Result<&str, Wrong> {
    value.as_str().map(str::trim).ok_or(("wrong_type", "phải là chữ".into(), "must be a text".into()))
}

pub(super) fn plain_text(value: &Value, max_chars: usize) -> Result<String, Wrong> {
    let text = text(value)?;
    if is_plain_text(text, max_chars) {
        return Ok(text.to_owned());
    }
    let problem = FieldProblem::bad_text("", max_chars);
    Err((problem.code, problem.message_vi, problem.message))
}

fn name_text(value: &Value) -> Result<String, Wrong> {
    plain_text(value, MAX_NAME_CHARS)
}

/// An empty text, as a form sends it, is none.
fn fingerprint(value: &Value) -> Result<Option<Fingerprint>, Wrong> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: BadFingerprint| {
        let message_vi = match error {
            BadFingerprint::Shape => "dấu vân tay gồm 56 chữ trong tám nhóm, hoặc 64 chữ số hex",
            BadFingerprint::Check => "dấu vân tay có chữ sai (chữ kiểm tra không khớp); hãy so lại từng nhóm",
        };
        ("bad_fingerprint", message_vi.into(), error.to_string())
    })
}

/// Predecessors number their edges.
fn edge_id(value: &Value) -> Result<String, Wrong> {
    let id = match value.as_u64() {
        Some(number) => number.to_string(),
        None => text(value)?.to_owned(),
    };
    EdgeId::new(&id).map(String::from).map_err(|error| {
        let near = EdgeId::near(&id);
        let message_vi = format!(
            "gồm 1 đến 64 ký tự A-Z a-z 0-9 . - _ : không dấu, không khoảng trắng, ví dụ {}; tên có dấu để ở mục name",
            near.as_str()
        );
        ("bad_id", message_vi, error.to_string())
    })
}

/// A vehicle type of the list, in any spelling.
fn vehicle_type(value: &Value) -> Result<String, Wrong> {
    match vehicle::read(text(value)?) {
        vehicle::ToldVehicle::Nothing => Ok(String::new()),
        vehicle::ToldVehicle::Known(name) => Ok(name.to_owned()),
        vehicle::ToldVehicle::Other(_) => plain_text(value, MAX_TYPE_CHARS),
    }
}

fn central_id(value: &Value) -> Result<CentralId, Wrong> {
    let message_vi = "gồm 1 đến 63 ký tự A-Z a-z 0-9 . - và bắt đầu bằng chữ hoặc số (không có '_')";
    CentralId::new(text(value)?).map_err(|error: IdError| ("bad_id", message_vi.into(), error.to_string()))
}

pub(super) fn host(value: &Value) -> Result<Host, Wrong> {
    let message_vi = "phải là địa chỉ IP (ví dụ 192.168.1.101) hoặc tên máy";
    text(value)?.parse().map_err(|error: super::model::BadHost| ("bad_address", message_vi.into(), error.to_string()))
}

fn bind_ip(value: &Value) -> Result<IpAddr, Wrong> {
    text(value)?.parse().map_err(|_| {
        let message_vi = "phải là một địa chỉ IP của máy này, hoặc 0.0.0.0";
        ("bad_address", message_vi.into(), "must be an IP address of this machine, or 0.0.0.0".into())
    })
}

pub(super) fn port(value: &Value) -> Result<u16, Wrong> {
    let port = whole_number(value, PORTS)?;
    u16::try_from(port).map_err(|_| out_of_range(&PORTS))
}

/// A number, or a text of digits.
pub(super) fn whole_number(value: &Value, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
    let digits = value.as_str().map(str::trim).and_then(|text| text.parse::<i128>().ok());
    let float = value.as_f64().filter(|number| number.fract() == 0.0);
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates; nothing that large is in a range")]
    let number = value.as_i64().map(i128::from).or(digits).or(float.map(|number| number as i128));
    match number {
        None => Err(("wrong_type", "phải là số nguyên".into(), "must be a whole number".into())),
        Some(number) => u64::try_from(number).ok().filter(|n| range.contains(n)).ok_or_else(|| out_of_range(&range)),
    }
}

fn out_of_range(range: &RangeInclusive<u64>) -> Wrong {
    let (least, most) = (range.start(), range.end());
    ("out_of_range", format!("phải từ {least} đến {most}"), format!("must be between {least} and {most}"))
}

pub(super) fn boolean(value: &Value) -> Result<bool, Wrong> {
    value.as_bool().ok_or(("wrong_type", "phải là true hoặc false".into(), "must be true or false".into()))
}

/// A value by its name, in whatever case.
pub(super) fn one_of<T: HasNames>(value: &Value) -> Result<T, Wrong> {
    let text = text(value)?;
    let chosen = T::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    chosen.map(|(_, choice)| *choice).ok_or_else(|| {
        let names = T::NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        ("unknown_value", format!("phải là một trong: {names}"), format!("must be one of {names}"))
    })
}

/// The path of a file, whatever the program's working directory is; an empty text, as a form sends it, is none.
fn file_path(value: &Value) -> Result<Option<String>, Wrong> {
    let path = plain_text(value, MAX_PATH_CHARS)?;
    if path.is_empty() || path.starts_with('/') {
        return Ok(Some(path).filter(|path| !path.is_empty()));
    }
    let message_vi = "phải là đường dẫn đầy đủ, bắt đầu bằng /";
    Err(("bad_path", message_vi.into(), "must be a whole path that begins with /".into()))
}

fn bank_number(value: &Value) -> Result<String, Wrong> {
    let number = text(value)?;
    if number.is_empty() || (number.len() == BANK_DIGITS && number.bytes().all(|byte| byte.is_ascii_digit())) {
        return Ok(number.to_owned());
    }
    let message_vi = "phải là mã ngân hàng của NAPAS gồm 6 chữ số, ví dụ 970436 (Vietcombank)";
    Err((
        "bad_bank",
        message_vi.into(),
        "must be the bank's NAPAS number of 6 digits, such as 970436 (Vietcombank)".into(),
    ))
}

fn account_number(value: &Value) -> Result<String, Wrong> {
    let number: String = text(value)?.chars().filter(|c| !matches!(c, ' ' | '.' | '-')).collect();
    if number.len() <= MAX_ACCOUNT_CHARS && number.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(number);
    }
    let message_vi = "phải là số tài khoản: tối đa 19 chữ số hoặc chữ cái";
    Err(("bad_account", message_vi.into(), "must be the number of an account: at most 19 digits or letters".into()))
}

pub(super) fn clock_time(value: &Value) -> Result<ClockTime, Wrong> {
    text(value)?
        .parse()
        .map_err(|error: NoClockTime| ("bad_time", "phải là giờ trong ngày, viết như 06:00".into(), error.to_string()))
}

/// Names as they stand in the address line of a browser, without port.
fn host_names(value: &Value) -> Result<Vec<String>, Wrong> {
    let wrong = || ("wrong_type", "phải là danh sách tên máy".into(), "must be a list of host names".into());
    let names = value.as_array().ok_or_else(wrong)?;
    if names.len() > MAX_HOST_NAMES {
        let (vi, en) = (format!("tối đa {MAX_HOST_NAMES} tên"), format!("has more than {MAX_HOST_NAMES} names"));
        return Err(("too_many", vi, en));
    }
    names.iter().map(|name| host(name).map(|name| name.to_string().to_ascii_lowercase())).collect()
}

/// Addresses of proxies.
fn addresses(value: &Value) -> Result<Vec<IpAddr>, Wrong> {
    let wrong = || ("wrong_type", "phải là danh sách địa chỉ IP".into(), "must be a list of IP addresses".into());
    let list = value.as_array().filter(|list| list.len() <= MAX_TRUSTED_PROXIES).ok_or_else(wrong)?;
    let address = |value: &Value| value.as_str()?.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
    list.iter().map(|value| address(value).ok_or_else(wrong)).collect()
}

/// The hash of an edge's key; what an older version took as text and never used is none.
fn key_hash(value: &Value) -> Result<String, Wrong> {
    let text = plain_text(value, MAX_HASH_CHARS)?;
    let digits = text.strip_prefix("sha256:");
    if digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Ok(text.to_ascii_lowercase());
    }
    let message_vi = "phải là sha256: và 64 chữ số hex; hãy tạo khóa trên trang cài đặt";
    Err(("bad_hash", message_vi.into(), "must be sha256: and 64 hex digits; the settings page makes keys".into()))
}

fn zone(value: &Value) -> Result<SiteZone, Wrong> {
    let name = text(value)?;
    SiteZone::named(name).map_err(|error| {
        let message_vi = format!("không có múi giờ {name:?}; ví dụ đúng: Asia/Ho_Chi_Minh");
        ("unknown_zone", message_vi, error.to_string())
    })
}

/// Reports every contradiction between fields that are right by themselves.
fn check_whole(parts: &ConfigParts, report: &mut Problems) {
    check_ports(parts, report);
    check_peers(parts, report);
    let edge_ids = parts.edge_ids.iter().map(Option::as_ref);
    report_duplicates(edge_ids, |index| format!("edges[{index}].id"), report);
    if parts.names_key_alone {
        report.problems.push(FieldProblem::new(
            "security.api_certificate_file",
            "missing",
            "thiếu chứng chỉ của khóa trong security.api_key_file",
            "is missing: the certificate of the key in security.api_key_file",
        ));
    }
    if parts.reconnect_min_ms > parts.reconnect_max_ms {
        report.problems.push(FieldProblem::new(
            "tuning.reconnect_max_ms",
            "out_of_range",
            "không được nhỏ hơn reconnect_min_ms",
            "must not be less than reconnect_min_ms",
        ));
    }
}

/// Two servers of one process need two ports.
fn check_ports(parts: &ConfigParts, report: &mut Problems) {
    let same_port = |field: &str, other: &str| {
        let message_vi = format!("trùng với {other}; mỗi dịch vụ cần một cổng riêng");
        FieldProblem::new(field, "same_port", message_vi, format!("is the port of {other}; each needs its own"))
    };
    let CentralParts { p2p_port, api_port, .. } = parts.this_central;
    if p2p_port.is_some() && p2p_port == api_port {
        report.problems.push(same_port("this_central.api_port", "this_central.p2p_port"));
    }
    for (port, name) in [(p2p_port, "this_central.p2p_port"), (api_port, "this_central.api_port")] {
        if port.is_some() && port == parts.legacy_port {
            report.problems.push(same_port("security.legacy_port", name));
        }
    }
}

fn check_peers(parts: &ConfigParts, report: &mut Problems) {
    let own = &parts.this_central;
    for (index, peer) in parts.peers.iter().enumerate() {
        let self_as_peer = |key: &str| {
            let message_vi = "là chính central này; danh sách chỉ gồm các central khác";
            let message = "is this central itself; the list holds the others";
            FieldProblem::new(format!("peer_centrals[{index}].{key}"), "self_as_peer", message_vi, message)
        };
        if peer.id.is_some() && peer.id == own.id {
            report.problems.push(self_as_peer("id"));
        } else if address(peer).is_some() && address(peer) == address(own) {
            report.problems.push(self_as_peer("ip"));
        }
    }
    let ids = parts.peers.iter().map(|peer| peer.id.as_ref());
    report_duplicates(ids, |index| format!("peer_centrals[{index}].id"), report);
    let addresses = parts.peers.iter().map(address);
    report_duplicates(addresses, |index| format!("peer_centrals[{index}].ip"), report);

    let fingerprints = parts.peers.iter().map(|peer| peer.fingerprint);
    report_duplicates(fingerprints, |index| format!("peer_centrals[{index}].fingerprint"), report);

    // Not wrong: several centrals on one machine are how one tries a mesh.
    let others_are_away = parts.peers.iter().filter_map(|peer| peer.ip.as_ref()).any(|ip| !ip.is_loopback());
    if others_are_away && own.ip.as_ref().is_some_and(Host::is_loopback) {
        report.warnings.push(FieldProblem::new(
            "this_central.ip",
            "loopback_address",
            "là địa chỉ nội bộ của máy này; các central khác không kết nối được tới đây",
            "is a loopback address; centrals on other machines cannot reach this one",
        ));
    }
}

fn address(central: &CentralParts) -> Option<(&Host, u16)> {
    Some((central.ip.as_ref()?, central.p2p_port?))
}

/// Every value but the first of its kind is reported, naming the first.
fn report_duplicates<T: Ord>(
    values: impl Iterator<Item = Option<T>>,
    field: impl Fn(usize) -> String,
    report: &mut Problems,
) {
    let mut first_at = BTreeMap::new();
    for (index, value) in values.enumerate() {
        let Some(value) = value else { continue };
        let first = *first_at.entry(value).or_insert(index);
        if first != index {
            let message_vi = format!("trùng với {}", field(first));
            let message = format!("is the same as {}", field(first));
            report.problems.push(FieldProblem::new(field(index), "duplicate", message_vi, message));
        }
    }
}
