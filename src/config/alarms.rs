//! Who is told when something is wrong: the part `alarms` of the settings. Nothing leaves the machine unless a channel stands here.

use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::model::Host;
use super::read::{clock_time, host, one_of, plain_text, port, whole_number};
use super::reader::{ConfigFields, Problems, Wrong};
use crate::domain::named::named;
use crate::domain::problem::{FieldProblem, Language};
use crate::domain::time::ClockTime;

/// Most channels.
const MAX_CHANNELS: usize = 10;
const MAX_ID_CHARS: usize = 40;
const MAX_URL_CHARS: usize = 500;
const MAX_SECRET_CHARS: usize = 500;
const MAX_TO_CHARS: usize = 500;
const MAX_CODES: usize = 50;
const SILENT_MINUTES: RangeInclusive<u64> = 1..=1_440;
const REPEAT_HOURS: RangeInclusive<u64> = 0..=720;
/// Where a mail server takes letters of those who log in, over TLS from the first byte.
pub const DEFAULT_MAIL_PORT: u16 = 465;

/// A shorter piece of an address is a word like any other.
const MIN_PIECE_BYTES: usize = 8;

/// The names of the fields that are nobody's business; told by no call and in no audit.
pub const SECRET_FIELDS: [&str; 4] = ["url", "token", "password", "heartbeat_url"];

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl Secret {
    /// What of it may stand in what others say, however they quote it: itself, and of an address all behind its host, whole and in
    /// pieces that are long enough to be told from other words.
    fn traces(&self) -> Vec<String> {
        let mut traces = vec![self.0.clone(), STANDARD.encode(&self.0)];
        if let Some((_, path)) = self.0.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
            traces.push(format!("/{path}"));
            let pieces = path.split(['/', '?', '&', '=', '#']).filter(|piece| piece.len() >= MIN_PIECE_BYTES);
            traces.extend(pieces.map(ToOwned::to_owned));
        }
        traces.retain(|trace| trace.len() > 1);
        traces
    }

    /// A text that somebody else said, without what tells of any of these.
    pub fn hide_all<'s>(secrets: impl Iterator<Item = &'s Self>, text: &str) -> String {
        let mut traces: Vec<String> = secrets.flat_map(Self::traces).collect();
        // The longer ones first: one may begin with another.
        traces.sort_by_key(|trace| std::cmp::Reverse(trace.len()));
        traces.iter().fold(text.to_owned(), |text, trace| text.replace(trace, "(hidden)"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Who is told, of what, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Alarms {
    pub channels: Vec<Channel>,
    pub language: Language,
    /// A central or a camera is silent for so long before it is told.
    #[schema(minimum = 1, maximum = 1_440)]
    pub silent_minutes: u32,
    /// What lasts is told again after so long; 0: never.
    #[schema(maximum = 720)]
    pub repeat_hours: u32,
    /// The day's figures are told at this time of the site's clock; `None`: never.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,2}:[0-9]{2}$")]
    pub report_at: Option<ClockTime>,
    /// What is not told: names of alarms.
    pub without: Vec<String>,
    /// Asked once a minute while all is well, so that an outside monitor notices when it is not. Not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub heartbeat_url: Option<Secret>,
}

named! {
    /// What a channel is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum ChannelKind {
        Webhook = "webhook",
        Slack = "slack",
        Telegram = "telegram",
        Zalo = "zalo",
        Email = "email",
    }
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Channel {
    /// What it is called here.
    pub id: String,
    pub kind: ChannelKind,
    /// Where it is told; of Telegram and Zalo theirs unless another is named. Not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub url: Option<Secret>,
    /// What proves that we may. Not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub token: Option<Secret>,
    /// Whom of those it serves: a chat, a user, e-mail addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The mail server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub server: Option<Host>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub password: Option<Secret>,
    /// The address letters come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl Default for Alarms {
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            language: Language::Vi,
            silent_minutes: 5,
            repeat_hours: 4,
            report_at: None,
            without: Vec::new(),
            heartbeat_url: None,
        }
    }
}

impl Alarms {
    /// Whether anything is to leave this machine.
    pub fn are_on(&self) -> bool {
        !self.channels.is_empty()
    }

    /// `text` without what is nobody's business, whoever said it: an address with its path, tokens, passwords.
    pub fn hide(&self, text: &str) -> String {
        let of_channels = self.channels.iter().flat_map(|channel| [&channel.url, &channel.token, &channel.password]);
        let secrets = of_channels.chain([&self.heartbeat_url]);
        Secret::hide_all(secrets.flatten(), text)
    }
}

/// Takes out of settings as JSON what is nobody's business; gives the names of what is set: `heartbeat_url`, `owner.url`.
pub fn take_secrets(settings: &mut Value) -> Vec<String> {
    let mut set = Vec::new();
    let Some(alarms) = settings.get_mut("alarms").and_then(Value::as_object_mut) else { return set };
    set.extend(alarms.remove("heartbeat_url").map(|_| "heartbeat_url".to_owned()));
    let channels = alarms.get_mut("channels").and_then(Value::as_array_mut);
    for channel in channels.into_iter().flatten().filter_map(Value::as_object_mut) {
        let id = channel.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        set.extend(SECRET_FIELDS.iter().filter_map(|field| channel.remove(*field).map(|_| format!("{id}.{field}"))));
    }
    set
}

pub(super) fn read(root: &mut ConfigFields<'_>, report: &mut Problems) -> Alarms {
    let default = Alarms::default();
    let mut fields = root.part("alarms", report);
    let members = fields.list("channels", MAX_CHANNELS, report);
    let channels: Vec<Option<Channel>> =
        members.into_iter().enumerate().map(|(index, member)| channel(member, index, report)).collect();
    let language = fields.optional("language", report, one_of).unwrap_or(default.language);
    let mut number = |key, range, default| {
        fields
            .optional(key, report, |value| whole_number(value, range))
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
    };
    let silent_minutes = number("silent_minutes", SILENT_MINUTES, default.silent_minutes);
    let repeat_hours = number("repeat_hours", REPEAT_HOURS, default.repeat_hours);
    let report_at = fields.optional("report_at", report, clock_time);
    let without = fields.optional("without", report, codes).unwrap_or_default();
    let heartbeat_url = fields.optional("heartbeat_url", report, url).flatten();
    fields.done(report);
    let mut seen = Vec::new();
    for (index, channel) in channels.iter().enumerate() {
        let Some(channel) = channel else { continue };
        if seen.contains(&&channel.id) {
            let field = format!("alarms.channels[{index}].id");
            report.problems.push(FieldProblem::new(
                field,
                "duplicate",
                "trùng với một kênh khác",
                "is the name of another channel",
            ));
        }
        seen.push(&channel.id);
    }
    let channels = channels.into_iter().flatten().collect();
    Alarms { channels, language, silent_minutes, repeat_hours, report_at, without, heartbeat_url }
}

fn channel(mut fields: ConfigFields<'_>, index: usize, report: &mut Problems) -> Option<Channel> {
    let short = |value: &Value| plain_text(value, MAX_TO_CHARS).map(|text| Some(text).filter(|text| !text.is_empty()));
    let before = report.problems.len();
    let id = fields.required("id", report, |value| plain_text(value, MAX_ID_CHARS));
    let kind = fields.required("kind", report, one_of);
    let url = fields.optional("url", report, url).flatten();
    let token = fields.optional("token", report, secret).flatten();
    let to = fields.optional("to", report, short).flatten();
    let server = fields.optional("server", report, host);
    let port = fields.optional("port", report, port);
    let user = fields.optional("user", report, short).flatten();
    let password = fields.optional("password", report, secret).flatten();
    let from = fields.optional("from", report, short).flatten();
    fields.done(report);
    let channel = Channel { id: id?, kind: kind?, url, token, to, server, port, user, password, from };
    if report.problems.len() == before {
        let there = |field: &str| match field {
            "url" => channel.url.is_some(),
            "token" => channel.token.is_some() || channel.url.is_some(),
            "to" => channel.to.is_some(),
            "server" => channel.server.is_some(),
            _ => channel.from.is_some(),
        };
        let needed: &[&str] = match channel.kind {
            ChannelKind::Webhook | ChannelKind::Slack => &["url"],
            ChannelKind::Telegram | ChannelKind::Zalo => &["token", "to"],
            ChannelKind::Email => &["server", "from", "to"],
        };
        let missing = needed.iter().filter(|field| !there(field));
        report.problems.extend(missing.map(|field| FieldProblem::missing(format!("alarms.channels[{index}].{field}"))));
    }
    Some(channel)
}

pub(super) fn secret(value: &Value) -> Result<Option<Secret>, Wrong> {
    let text = plain_text(value, MAX_SECRET_CHARS)?;
    Ok(Some(Secret(text)).filter(|secret| !secret.0.is_empty()))
}

/// An address of the web; an empty text, as a form sends it, is none.
pub(super) fn url(value: &Value) -> Result<Option<Secret>, Wrong> {
    let text = plain_text(value, MAX_URL_CHARS)?;
    if text.is_empty() {
        return Ok(None);
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) {
        return Ok(Some(Secret(text)));
    }
    let message_vi = "phải là địa chỉ bắt đầu bằng https:// hoặc http://";
    Err(("bad_url", message_vi.into(), "must be an address that begins with https:// or http://".into()))
}

fn codes(value: &Value) -> Result<Vec<String>, Wrong> {
    let wrong = || {
        let message_vi = "phải là danh sách tên cảnh báo, ví dụ [\"camera\"]";
        ("wrong_type", message_vi.to_owned(), "must be a list of names of alarms, as [\"camera\"]".to_owned())
    };
    let list = value.as_array().filter(|list| list.len() <= MAX_CODES).ok_or_else(wrong)?;
    let is_code = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    list.iter().map(|code| code.as_str().filter(is_code).map(str::to_owned).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::model::Config;
    use crate::config::{change, read};

    fn config(alarms: &Value) -> Result<Config, Vec<String>> {
        let json = json!({"this_central": {"id": "a", "ip": "10.0.0.1"}, "alarms": alarms});
        let fields = |problems: Vec<FieldProblem>| problems.into_iter().map(|problem| problem.field).collect();
        read::config(&json).map(|read| read.config).map_err(fields)
    }

    fn all() -> Value {
        json!({"channels": [
            {"id": "program", "kind": "webhook", "url": "http://127.0.0.1:1/x", "token": "secret-1"},
            {"id": "team", "kind": "slack", "url": "https://hooks.slack.com/services/secret-2"},
            {"id": "owner", "kind": "telegram", "token": "1:secret-3", "to": "42"},
            {"id": "zalo", "kind": "zalo", "token": "secret-4", "to": "7"},
            {"id": "mail", "kind": "email", "server": "mail.example.vn", "user": "u", "password": "secret-5",
             "from": "bai@example.vn", "to": "chu@example.vn"},
        ], "heartbeat_url": "https://hc-ping.com/secret-6"})
    }

    #[test]
    fn every_kind_needs_what_it_needs() {
        assert_eq!(config(&all()).unwrap().alarms.channels.len(), 5);
        assert!(!config(&json!({})).unwrap().alarms.are_on());
        for (channel, field) in [
            (json!({"id": "a", "kind": "webhook"}), "url"),
            (json!({"id": "a", "kind": "slack", "url": ""}), "url"),
            (json!({"id": "a", "kind": "slack", "url": "ftp://x"}), "url"),
            (json!({"id": "a", "kind": "slack", "url": "https://a b"}), "url"),
            (json!({"id": "a", "kind": "telegram", "to": "1"}), "token"),
            (json!({"id": "a", "kind": "zalo", "token": "1"}), "to"),
            (json!({"id": "a", "kind": "email", "from": "a@b", "to": "a@b"}), "server"),
            (json!({"id": "a", "kind": "fax"}), "kind"),
            (json!({"kind": "slack", "url": "https://x"}), "id"),
        ] {
            assert_eq!(config(&json!({"channels": [channel]})), Err(vec![format!("alarms.channels[0].{field}")]));
        }
        let two = json!({"id": "a", "kind": "slack", "url": "https://x"});
        assert_eq!(config(&json!({"channels": [two, two]})), Err(vec!["alarms.channels[1].id".to_owned()]));
        for (key, value) in [
            ("silent_minutes", json!(0)),
            ("repeat_hours", json!(-1)),
            ("report_at", json!("25:00")),
            ("without", json!("camera")),
            ("without", json!(["Camera!"])),
            ("language", json!("fr")),
            ("heartbeat_url", json!("x")),
        ] {
            assert_eq!(config(&json!({key: value})), Err(vec![format!("alarms.{key}")]));
        }
    }

    /// What is shown, told to the audit, written for debugging, and the name of a state of the settings.
    #[test]
    fn secrets_are_in_the_file_and_nowhere_else() {
        let config = config(&all()).unwrap();
        let mut shown = config.to_json();
        let set = take_secrets(&mut shown);
        assert_eq!(
            set,
            ["heartbeat_url", "program.url", "program.token", "team.url", "owner.token", "zalo.token", "mail.password"]
        );
        let none = Config::new(config.this_central.clone(), Vec::new()).to_json();
        let (was, is) = crate::domain::audit::changes(&none, &config.to_json());
        for text in [shown.to_string(), format!("{config:?}"), format!("{was:?}{is:?}")] {
            assert!(!text.contains("secret") && text.contains("mail.example.vn"), "{text}");
        }
        assert_eq!(config.to_file_json().to_string().matches("secret").count(), 6);
        // Nobody can try passwords against the name of a state.
        let other =
            change::merge(&config, &json!({"alarms": {"channels": [{"id": "mail", "password": "other"}]}})).unwrap();
        assert_eq!(other.config.alarms.channels.len(), 1);
        let mut same = config.clone();
        same.alarms.channels[4].password = Some(Secret("other".into()));
        assert_eq!((same.version() == config.version(), same == config), (true, false));
        let said = "535 secret-5 is wrong at /services/secret-2 of 1:secret-3 and http://127.0.0.1:1/x";
        assert_eq!(config.alarms.hide(said), "535 (hidden) is wrong at (hidden) of (hidden) and (hidden)");
    }

    #[test]
    fn a_change_that_does_not_name_a_secret_keeps_it() {
        let config = config(&all()).unwrap();
        let mut shown = config.to_json();
        take_secrets(&mut shown);
        assert_eq!(change::merge(&config, &shown).unwrap().config, config);
        shown["alarms"]["heartbeat_url"] = Value::Null;
        assert_eq!(change::merge(&config, &shown).unwrap().config.alarms.heartbeat_url, None);
    }
}
