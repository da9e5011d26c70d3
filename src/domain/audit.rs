//! What is written down of people and programs that change something, come in, or are turned away.
//!
//! An entry never holds a secret: what is changed is told by [`changes`], which shows of a hidden field only that it changed, and
//! refusals are told by the pattern of the route. Each entry is chained to the one before it, see [`AuditEntry::chained`].

use std::collections::HashMap;

use super::named::named;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// The outcome of what was done; of what was refused it is the stable code of the refusal.
pub const DONE: &str = "done";
/// Stands for a value that is nobody's business.
const HIDDEN_VALUE: &str = "(hidden)";
/// Fields of the settings whose value is never told.
const HIDDEN_FIELDS: [&str; 5] = ["key_hash", "url", "token", "password", "heartbeat_url"];
/// Most bytes of JSON of each side of a change; what does not fit is counted.
const MAX_SIDE_BYTES: usize = 8 * 1024;
/// Where the count of what did not fit stands.
const OMITTED: &str = "…";
/// Longest text of who, from where and what, in characters.
const MAX_TEXT_CHARS: usize = 200;

/// The hash of an entry and of all before it.
pub type AuditHash = [u8; 32];

named! {
    /// What an entry is about. Names are part of the interface and only grow.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum Kind {
        Login = "login",
        Logout = "logout",
        /// Somebody was turned away, or a change was.
        Refusal = "refusal",
        /// A password was set.
        Password = "password",
        Person = "person",
        Token = "token",
        EdgeKey = "edge_key",
        Settings = "settings",
        Peer = "peer",
        /// A central that waited was let in or turned away.
        Pending = "pending",
        Invitation = "invitation",
        /// This central joined by an invitation.
        Join = "join",
        Expulsion = "expulsion",
        Tariff = "tariff",
        Subscriptions = "subscriptions",
        Correction = "correction",
        Void = "void",
        /// A barrier was opened against the state of the lot, or by hand.
        ForcedOpening = "forced_opening",
        /// A file of the old program is taken over; a second entry says what came of it.
        Import = "import",
        /// Entries that could not be written: `count` of them.
        Gap = "gap",
    }
}

/// Who acts, and from where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct By {
    /// A name, `token:backup`, `edge:edge-1`, `code:first`, `mesh:admitted`, `central:central-2`, `command:import`; empty: nobody proved
    /// anything.
    /// No person's name has a `:`.
    pub who: String,
    /// An address; empty: from within.
    pub from: String,
}

impl By {
    pub fn new(who: impl ToString, from: impl ToString) -> Self {
        Self { who: short(who.to_string()), from: short(from.to_string()) }
    }
}

/// Something that is tried: all that is known before it is done or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub kind: Kind,
    pub by: By,
    /// What it is done to: the name of a person, the id of a peer, a route.
    pub what: String,
}

impl Act {
    pub fn new(kind: Kind, by: By, what: impl ToString) -> Self {
        Self { kind, by, what: short(what.to_string()) }
    }

    /// It is done. `before` and `after`: what it changed, null where there is nothing to tell.
    pub fn done(self, at_ms: i64, before: Value, after: Value) -> AuditEntry {
        AuditEntry { before: bounded(before), after: bounded(after), ..self.entry(at_ms, DONE) }
    }

    /// It was refused, with the stable code of the refusal.
    pub fn refused(self, at_ms: i64, code: &str) -> AuditEntry {
        self.entry(at_ms, code)
    }

    fn entry(self, at_ms: i64, outcome: &str) -> AuditEntry {
        let Self { kind, by: By { who, from }, what } = self;
        let (before, after) = (Value::Null, Value::Null);
        AuditEntry {
            at_ms,
            kind,
            who,
            from,
            what,
            before,
            after,
            outcome: outcome.to_owned(),
            count: 1,
            since_ms: None,
        }
    }
}

/// One entry, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Entry)]
pub struct AuditEntry {
    /// When it happened, Unix ms; of several, the last.
    pub at_ms: i64,
    pub kind: Kind,
    /// A name, `token:…`, `edge:…`, `code:…`, `mesh:…`, `central:…`, `command:…`; empty: nobody proved anything.
    pub who: String,
    /// An address; empty: from within.
    pub from: String,
    pub what: String,
    /// What it changed, as it was: by name of what is changed. Null: nothing to tell.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// The same, as it is since.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
    /// `done`, the code of the refusal, or `overruled`: another change made elsewhere counts.
    pub outcome: String,
    /// How many of the same kind, outcome, caller and address it stands for.
    pub count: u64,
    /// When the first of several happened, Unix ms; null: there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
}

impl AuditEntry {
    /// The text that is kept and chained. All it holds can be written as JSON.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The hash of a kept text, after the entry with the hash `before`; of the first it is 32 zeros.
    pub fn chained(before: &AuditHash, text: &str) -> AuditHash {
        Sha256::new().chain_update(before).chain_update(text).finalize().into()
    }
}

/// What differs between two states of something, by the path of each field: as it was, and as it is. Both null: nothing.
///
/// Items of a list that have an `id` are told by it, other lists as a whole.
pub fn changes(before: &Value, after: &Value) -> (Value, Value) {
    let (mut was, mut is) = (Map::new(), Map::new());
    differ("", Some(before), Some(after), &mut was, &mut is);
    let side = |fields: Map<String, Value>| if fields.is_empty() { Value::Null } else { Value::Object(fields) };
    (side(was), side(is))
}

fn differ(
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    was: &mut Map<String, Value>,
    is: &mut Map<String, Value>,
) {
    if before == after {
        return;
    }
    let (old, new) = (before.and_then(parts), after.and_then(parts));
    if (old.is_some() || before.is_none_or(Value::is_null)) && (new.is_some() || after.is_none_or(Value::is_null)) {
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        let (by_old, by_new) = (by_name(&old), by_name(&new));
        let added = new.iter().filter(|(name, _)| !by_old.contains_key(name.as_str()));
        for (name, _) in old.iter().chain(added) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            differ(&path, by_old.get(name.as_str()).copied(), by_new.get(name.as_str()).copied(), was, is);
        }
        return;
    }
    let is_hidden = HIDDEN_FIELDS.contains(&path.rsplit('.').next().unwrap_or_default());
    for (value, side) in [(before, was), (after, is)] {
        match value {
            None | Some(Value::Null) => {}
            Some(_) if is_hidden => drop(side.insert(path.to_owned(), HIDDEN_VALUE.into())),
            Some(value) => drop(side.insert(path.to_owned(), value.clone())),
        }
    }
}

/// The parts by their names; of several with one name the first.
fn by_name<'p>(parts: &'p [(String, &'p Value)]) -> HashMap<&'p str, &'p Value> {
    parts.iter().rev().map(|(name, value)| (name.as_str(), *value)).collect()
}

/// The named parts of an object, or of a list whose items have ids.
fn parts(value: &Value) -> Option<Vec<(String, &Value)>> {
    match value {
        Value::Object(fields) => Some(fields.iter().map(|(name, value)| (name.clone(), value)).collect()),
        Value::Array(items) if !items.is_empty() => items
            .iter()
            .map(|item| Some((item.get("id").or_else(|| item.get("fingerprint"))?.as_str()?.to_owned(), item)))
            .collect(),
        Value::Array(_) => Some(Vec::new()),
        _ => None,
    }
}

/// As much of one side of a change as is kept.
fn bounded(side: Value) -> Value {
    let Value::Object(fields) = side else { return side };
    let mut kept = Map::new();
    let (mut bytes, mut omitted) = (0, 0_u64);
    for (name, value) in fields {
        bytes += name.len() + value.to_string().len() + 4;
        if bytes <= MAX_SIDE_BYTES {
            kept.insert(name, value);
        } else {
            omitted += 1;
        }
    }
    if omitted > 0 {
        kept.insert(OMITTED.to_owned(), omitted.into());
    }
    Value::Object(kept)
}

/// Without control characters, and not longer than is kept.
fn short(text: String) -> String {
    let is_short = text.len() <= MAX_TEXT_CHARS && !text.chars().any(char::is_control);
    if is_short { text } else { text.chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARS).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_has_its_name_and_is_found_by_it() {
        for kind in Kind::ALL {
            assert_eq!(json!(kind), json!(kind.name()));
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        }
        assert_eq!(Kind::from_name("other"), None);
    }

    #[test]
    fn a_change_tells_what_differs_and_of_a_hidden_field_only_that_it_does() {
        let before = json!({
            "site": {"name": "A", "time_zone": "Asia/Ho_Chi_Minh"},
            "edges": [{"id": "edge-1", "name": "x", "key_hash": "sha256:old"}, {"id": "edge-2"}],
            "hosts": ["a", "b"], "gone": [{"id": "1", "n": 1}],
        });
        let after = json!({
            "site": {"name": "B", "time_zone": "Asia/Ho_Chi_Minh"},
            "edges": [{"id": "edge-2", "key_hash": "sha256:first"}, {"id": "edge-1", "name": "x", "key_hash": "sha256:new"}],
            "hosts": ["a"], "gone": [], "new": [{"id": "2", "ip": "10.0.0.2"}],
        });
        let (was, is) = changes(&before, &after);
        assert_eq!(
            was,
            json!({"site.name": "A", "edges.edge-1.key_hash": "(hidden)", "hosts": ["a", "b"], "gone.1.id": "1", "gone.1.n": 1})
        );
        assert_eq!(
            is,
            json!({
                "site.name": "B", "edges.edge-1.key_hash": "(hidden)", "edges.edge-2.key_hash": "(hidden)", "hosts": ["a"],
                "new.2.id": "2", "new.2.ip": "10.0.0.2",
            })
        );
        assert_eq!(changes(&before, &before), (Value::Null, Value::Null));
    }

    #[test]
    fn of_parts_with_one_name_the_first_counts() {
        let before = json!([{"id": "a", "n": 1}, {"id": "b", "n": 1}, {"id": "a", "n": 2}]);
        let after = json!([{"id": "c", "n": 1}, {"id": "a", "n": 3}, {"id": "c", "n": 2}]);
        let (was, is) = changes(&before, &after);
        assert_eq!(was, json!({"a.n": 1, "b.id": "b", "b.n": 1}));
        assert_eq!(is, json!({"a.n": 3, "c.id": "c", "c.n": 1}));
    }

    #[test]
    fn an_entry_is_bounded_whatever_was_changed() {
        let many: Map<String, Value> =
            (0..1_000).map(|number| (format!("name-{number:04}"), "x".repeat(100).into())).collect();
        let act = Act::new(Kind::Settings, By::new("a\u{7}n", "x".repeat(1_000)), "ă".repeat(300));
        let entry = act.done(1, Value::Null, Value::Object(many));
        assert_eq!((entry.who.as_str(), entry.from.len(), entry.what.chars().count()), ("an", 200, 200));
        let text = entry.to_text();
        assert!(text.len() < 10_000, "{}", text.len());
        let kept = entry.after.as_object().unwrap();
        assert_eq!(kept["…"].as_u64().unwrap() as usize + kept.len() - 1, 1_000);
    }

    #[test]
    fn an_entry_is_read_as_it_was_written_and_every_byte_of_it_counts() {
        let act = Act::new(Kind::Peer, By::new("token:backup", "10.0.0.9"), "central-2");
        let entry = act.done(7, Value::Null, json!({"ip": "10.0.0.2"}));
        let text = entry.to_text();
        assert_eq!(serde_json::from_str::<AuditEntry>(&text).unwrap(), entry);
        let hash = AuditEntry::chained(&[0; 32], &text);
        assert_ne!(hash, AuditEntry::chained(&hash, &text));
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8_lossy(&changed).into_owned();
            assert_ne!(hash, AuditEntry::chained(&[0; 32], &changed), "{at}");
        }
    }
}
