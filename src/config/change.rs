//! A change of the settings, over those in force: what a request does not mention keeps its value. And what takes effect with it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::model::{ApiMode, Config, Edge, PeerCentral, RefusedCentral};
use super::read::{self, MAX_REFUSED, ReadConfig};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;
use crate::domain::naming::Naming;
use crate::domain::problem::FieldProblem;
use crate::domain::shift::MAX_LANE_EDGES;

/// A change of the settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Keys that are absent keep their value.
    Put(Value),
    AddPeer(Value),
    /// The named fields of one peer.
    ChangePeer(CentralId, Value),
    /// Its link ends, and its certificate is refused until somebody adds it again.
    RemovePeer(CentralId),
    /// The first contact with a peer; nothing is changed if it has a fingerprint already.
    Pin(CentralId, Fingerprint),
    /// A central nobody configured is turned away from now on.
    Refuse(RefusedCentral),
}

/// Nothing was changed.
#[derive(Debug, Clone, PartialEq)]
pub enum SaveRefused {
    /// Other settings are in force than those the client read.
    Stale {
        current: String,
    },
    Invalid(Vec<FieldProblem>),
    PeerExists(CentralId),
    UnknownPeer(CentralId),
    /// The file cannot be written; why is in the log.
    NotSaved,
}

/// The request body a whole-settings PUT would have for this edit.
///
/// # Errors
/// [`SaveRefused`]: it does not fit what is in force.
pub fn put_of(current: &Config, edit: Edit) -> Result<Value, SaveRefused> {
    let mut peers: Vec<Value> = current.peer_centrals.iter().map(|peer| json!({"id": peer.id})).collect();
    match edit {
        Edit::Put(put) => return Ok(put),
        Edit::AddPeer(peer) => {
            let id = peer.get("id").and_then(Value::as_str).and_then(|id| CentralId::new(id).ok());
            if let Some(id) = id.filter(|id| current.peer(id).is_some()) {
                return Err(SaveRefused::PeerExists(id));
            }
            peers.push(peer);
        }
        Edit::ChangePeer(id, fields) => {
            let at = current.peer_centrals.iter().position(|peer| peer.id == id);
            let Some(slot) = at.and_then(|at| peers.get_mut(at)) else { return Err(SaveRefused::UnknownPeer(id)) };
            let mut fields = fields;
            let Some(object) = fields.as_object_mut() else {
                return Err(SaveRefused::Invalid(vec![FieldProblem::wrong_type(
                    "",
                    "một đối tượng {…}",
                    "an object {…}",
                )]));
            };
            if object.get("id").is_some_and(|said| said.as_str() != Some(id.as_str())) {
                let text = "is not the peer of the address; remove that one and add this";
                let text_vi = "không phải central trong địa chỉ; hãy xóa central đó rồi thêm central này";
                return Err(SaveRefused::Invalid(vec![FieldProblem::new("id", "other_peer", text_vi, text)]));
            }
            object.insert("id".into(), json!(id));
            // Who says so of a certificate himself leans on nobody's word.
            if object.contains_key("fingerprint") || object.contains_key("unconfirmed") {
                object.entry("introduced").or_insert(json!(false));
            }
            *slot = fields;
        }
        Edit::RemovePeer(id) => {
            let before = peers.len();
            peers.retain(|peer| peer.get("id").and_then(Value::as_str) != Some(id.as_str()));
            if peers.len() == before {
                return Err(SaveRefused::UnknownPeer(id));
            }
        }
        Edit::Pin(id, fingerprint) => {
            let at = current.peer_centrals.iter().position(|peer| peer.id == id);
            let (peer, slot) = (current.peer(&id), at.and_then(|at| peers.get_mut(at)));
            let (Some(peer), Some(slot)) = (peer, slot) else { return Err(SaveRefused::UnknownPeer(id)) };
            if peer.fingerprint.is_none() {
                *slot = json!({"id": id, "fingerprint": fingerprint, "unconfirmed": true});
            }
        }
        Edit::Refuse(central) => {
            let mut refused = current.refused_centrals.clone();
            refused.retain(|refused| refused.fingerprint != central.fingerprint);
            // There is always room for one more.
            let surplus = (refused.len() + 1).saturating_sub(MAX_REFUSED);
            let mut refused = refused.split_off(surplus);
            refused.push(central);
            return Ok(json!({ "refused_centrals": refused }));
        }
    }
    Ok(json!({ "peer_centrals": peers }))
}

/// The settings after a PUT.
///
/// - A key that is absent keeps its value, in every object. `null` brings back the default.
/// - A list has the members the request names and no others; a member that was there before (by its `id`) keeps what
///   the request does not say of it, such as a confirmed fingerprint that the page never saw.
/// - A `version` in the request is not a setting and is ignored here.
///
/// # Errors
/// Every wrong field of the result, by its name; nothing is changed then.
pub fn merge(current: &Config, put: &Value) -> Result<ReadConfig, Vec<FieldProblem>> {
    if !put.is_object() {
        return Err(vec![FieldProblem::wrong_type("", "một đối tượng {…}", "an object {…}")]);
    }
    let mut merged = current.to_json();
    overlay(&mut merged, put);
    let mut read = read::config(&merged)?;
    if read.config.edges != current.edges {
        check_lanes(&read.config.edges)?;
    }
    remember_removed(current, &mut read.config);
    Ok(read)
}

/// A shift of a lane names all of its edges. Only who sets them is told: a file of before, in which there are more, serves its gates, and
/// that lane has no shifts.
fn check_lanes(edges: &[Edge]) -> Result<(), Vec<FieldProblem>> {
    const MOST: usize = MAX_LANE_EDGES + 1;
    let mut edges_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, lane) in edges.iter().enumerate().filter_map(|(index, edge)| Some((index, edge.lane.as_deref()?))) {
        let count = edges_of.entry(lane).or_default();
        *count += 1;
        if *count == MOST + 1 {
            let message_vi = format!("làn {lane:?} có hơn {MOST} thiết bị: hãy tách thành nhiều làn");
            let message = format!("more than {MOST} edges are of the lane {lane:?}: make several lanes of it");
            problems.push(FieldProblem::new(format!("edges[{index}].lane"), "too_many", message_vi, message));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A peer that was removed is refused from now on by its certificate, until a peer of its id is added: whoever adds it means it.
fn remember_removed(current: &Config, new: &mut Config) {
    let mut refused = std::mem::take(&mut new.refused_centrals);
    let removed = current.peer_centrals.iter().filter(|peer| new.peer(&peer.id).is_none());
    refused.extend(
        removed.filter_map(|peer| Some(RefusedCentral { id: peer.id.clone(), fingerprint: peer.fingerprint? })),
    );
    let is_added = |id: &CentralId| new.peer(id).is_some() && current.peer(id).is_none();
    let is_pinned = |fingerprint| new.peer_centrals.iter().any(|peer| peer.fingerprint == Some(fingerprint));
    refused.retain(|refused| !is_added(&refused.id) && !is_pinned(refused.fingerprint));
    // The oldest are forgotten: who still knocks is asked about again.
    let surplus = refused.len().saturating_sub(MAX_REFUSED);
    new.refused_centrals = refused.split_off(surplus);
}

fn overlay(held: &mut Value, put: &Value) {
    match (held, put) {
        (Value::Object(held), Value::Object(put)) => overlay_object(held, put),
        (held @ Value::Array(_), Value::Array(members)) => {
            let merged = members.iter().map(|member| overlaid_member(held, member)).collect();
            *held = Value::Array(merged);
        }
        (held, put) => *held = put.clone(),
    }
}

fn overlay_object(held: &mut Map<String, Value>, put: &Map<String, Value>) {
    for (key, value) in put {
        overlay(held.entry(key).or_insert(Value::Null), value);
    }
}

/// A member of the request's list over the one with the same id, if there is one.
fn overlaid_member(held: &Value, member: &Value) -> Value {
    let id = member.get("id").filter(|id| id.is_string());
    let members = held.as_array().into_iter().flatten();
    let before = members.into_iter().find(|before| id.is_some() && before.get("id") == id);
    let mut merged = before.cloned().unwrap_or(Value::Null);
    overlay(&mut merged, member);
    merged
}

/// The kinds of change, for the answer to a save and for the log. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    OwnId,
    OwnIp,
    P2pListener,
    ApiListener,
    PeersAdded,
    PeersRemoved,
    PeersChanged,
    SiteName,
    TimeZone,
    Edges,
    Security,
    Backup,
    Vietqr,
    Invoices,
    Alarms,
    Tuning,
}

/// What the site and the gates here are called by `new`, to be told to all centrals: those of `old` that are gone have no name any
/// more. `says_site`: the site's name is meant too, rather than only kept in the file.
pub fn names_since(old: &Config, new: &Config, says_site: bool) -> Vec<Naming> {
    let central = new.this_central.id.as_str();
    let site = says_site.then(|| Naming::of_site(&new.site.name));
    let gates = new.edges.iter().map(|edge| Naming::of_gate(central, &edge.id, &edge.name));
    let gone = old.edges.iter().filter(|edge| new.edges.iter().all(|kept| kept.id != edge.id));
    site.into_iter().chain(gates).chain(gone.map(|edge| Naming::of_gate(central, &edge.id, ""))).collect()
}

/// What takes effect between `old` and `new`. Empty where only the writing differs: peers in another order, an address said twice.
pub fn changed(old: &Config, new: &Config) -> Vec<ChangeKind> {
    let listen_ip = old.listen_ip() != new.listen_ip();
    let (before, after) = (&old.this_central, &new.this_central);
    let any_is = |is: fn(Option<&PeerCentral>, &PeerCentral) -> bool, ours: &Config, theirs: &Config| {
        ours.peer_centrals.iter().any(|peer| is(theirs.peer(&peer.id), peer))
    };
    let is_unknown = |known: Option<&PeerCentral>, _: &PeerCentral| known.is_none();
    let is_other = |known: Option<&PeerCentral>, peer: &PeerCentral| known.is_some_and(|known| known != peer);
    let all = [
        (before.id != after.id, ChangeKind::OwnId),
        (before.ip != after.ip, ChangeKind::OwnIp),
        (listen_ip || before.p2p_port != after.p2p_port, ChangeKind::P2pListener),
        (listen_ip || before.api_port != after.api_port || shown(old) != shown(new), ChangeKind::ApiListener),
        (any_is(is_unknown, new, old), ChangeKind::PeersAdded),
        (any_is(is_unknown, old, new), ChangeKind::PeersRemoved),
        (any_is(is_other, new, old), ChangeKind::PeersChanged),
        (old.site.name != new.site.name, ChangeKind::SiteName),
        (old.site.time_zone != new.site.time_zone, ChangeKind::TimeZone),
        (old.edges != new.edges, ChangeKind::Edges),
        (old.security != new.security || old.refused_centrals != new.refused_centrals, ChangeKind::Security),
        (old.backup != new.backup, ChangeKind::Backup),
        (old.vietqr != new.vietqr, ChangeKind::Vietqr),
        (old.invoices != new.invoices, ChangeKind::Invoices),
        (old.alarms != new.alarms, ChangeKind::Alarms),
        (old.tuning != new.tuning, ChangeKind::Tuning),
    ];
    all.into_iter().filter(|(changed, _)| *changed).map(|(_, kind)| kind).collect()
}

/// What the API port shows of itself.
fn shown(config: &Config) -> (ApiMode, Option<&String>, Option<&String>) {
    let security = &config.security;
    (security.api, security.api_certificate_file.as_ref(), security.api_key_file.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{change, read};
    use serde_json::json;

    const FINGERPRINT: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn current() -> Config {
        let json = json!({
            "this_central": {"id": "a", "ip": "10.0.0.1", "p2p_port": 9100},
            "peer_centrals": [
                {"id": "b", "ip": "10.0.0.2", "p2p_port": 9200, "fingerprint": FINGERPRINT, "legacy": true},
                {"id": "c", "ip": "10.0.0.3"},
            ],
            "site": {"name": "Bãi A", "time_zone": "Asia/Bangkok"},
            "bind": "10.0.0.1",
        });
        read::config(&json).unwrap().config
    }

    fn merged(put: &Value) -> Config {
        merge(&current(), put).unwrap().config
    }

    #[test]
    fn keys_that_are_absent_keep_their_value() {
        assert_eq!(merged(&json!({})), current());
        let config = merged(&json!({"this_central": {"api_port": 8100}, "site": {"name": "Bãi B"}, "version": "x"}));
        let mut expected = current();
        expected.this_central.api_port = 8100;
        expected.site.name = "Bãi B".into();
        assert_eq!(config, expected);
    }

    #[test]
    fn null_brings_back_the_default() {
        let config = merged(&json!({"bind": null, "site": {"time_zone": null}, "this_central": {"p2p_port": null}}));
        assert_eq!(config.bind, None);
        assert_eq!(config.site.time_zone.name(), "Asia/Ho_Chi_Minh");
        assert_eq!(config.this_central.p2p_port, 9000);
        assert_eq!(config.site.name, "Bãi A");
    }

    #[test]
    fn a_list_has_the_members_of_the_request_with_what_was_known_of_them() {
        let config = merged(&json!({"peer_centrals": [{"id": "d", "ip": "10.0.0.4"}, {"id": "b", "ip": "10.0.0.9"}]}));
        let [d, b] = &config.peer_centrals[..] else { panic!("two peers") };
        assert_eq!((d.id.as_str(), d.p2p_port, d.legacy), ("d", 9000, false));
        assert_eq!((b.ip.to_string().as_str(), b.p2p_port, b.legacy), ("10.0.0.9", 9200, true));
        assert_eq!(b.fingerprint, FINGERPRINT.parse().ok());
        assert!(merged(&json!({"peer_centrals": []})).peer_centrals.is_empty());
    }

    #[test]
    fn wrong_requests_name_their_fields_and_unknown_keys_are_warned_of() {
        for (put, field) in [
            (json!([]), ""),
            (json!(null), ""),
            (json!({"this_central": 1}), "this_central"),
            (json!({"this_central": null}), "this_central"),
            (json!({"this_central": {"id": null}}), "this_central.id"),
            (json!({"peer_centrals": {"0": {}}}), "peer_centrals"),
            (json!({"peer_centrals": [{"id": "b", "ip": ""}]}), "peer_centrals[0].ip"),
        ] {
            let problems = merge(&current(), &put).expect_err("wrong");
            assert_eq!(problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), [field], "{put}");
        }
        let read = merge(&current(), &json!({"site": {"timezone": "UTC"}})).unwrap();
        assert_eq!(read.config, current());
        assert_eq!(read.warnings[0].field, "site.timezone");
    }

    fn before() -> Config {
        let json = json!({
            "this_central": {"id": "a", "ip": "10.0.0.1"},
            "peer_centrals": [{"id": "b", "ip": "10.0.0.2"}, {"id": "c", "ip": "10.0.0.3"}],
        });
        read::config(&json).unwrap().config
    }

    #[test]
    fn every_kind_of_change_is_told_and_no_other() {
        use ChangeKind::*;
        for (put, kinds) in [
            (json!({}), vec![]),
            (json!({"this_central": {"p2p_port": 9000}}), vec![]),
            (json!({"this_central": {"id": "a2"}}), vec![OwnId]),
            (json!({"this_central": {"ip": "10.0.0.9"}}), vec![OwnIp]),
            (json!({"this_central": {"ip": "127.0.0.1"}}), vec![OwnIp, P2pListener, ApiListener]),
            (json!({"bind": "10.0.0.1"}), vec![P2pListener, ApiListener]),
            (json!({"bind": "0.0.0.0"}), vec![]),
            (json!({"this_central": {"p2p_port": 9100}}), vec![P2pListener]),
            (json!({"this_central": {"api_port": 8100}}), vec![ApiListener]),
            (json!({"peer_centrals": [{"id": "c"}, {"id": "b"}]}), vec![]),
            (json!({"peer_centrals": [{"id": "b"}]}), vec![PeersRemoved]),
            (json!({"peer_centrals": [{"id": "b"}, {"id": "c", "p2p_port": 9100}]}), vec![PeersChanged]),
            (json!({"peer_centrals": [{"id": "b"}, {"id": "d", "ip": "10.0.0.3"}]}), vec![PeersAdded, PeersRemoved]),
            (json!({"site": {"name": "A"}}), vec![SiteName]),
            (json!({"site": {"time_zone": "UTC"}}), vec![TimeZone]),
            (json!({"edges": [{"id": "e"}]}), vec![Edges]),
            (json!({"security": {"legacy_port": 9002}}), vec![Security]),
            (json!({"security": {"api": "https"}}), vec![ApiListener, Security]),
            (json!({"backup": {"keep": 3}}), vec![Backup]),
            (json!({"vietqr": {"bank": "970436", "account": "0011"}}), vec![Vietqr]),
            (json!({"invoices": {"free": true}}), vec![Invoices]),
            (json!({"tuning": {"mask_plates": true}}), vec![Tuning]),
        ] {
            let after = change::merge(&before(), &put).unwrap().config;
            assert_eq!(changed(&before(), &after), kinds, "{put}");
            assert_eq!(before().version() == after.version(), before() == after, "{put}");
        }
    }
}
