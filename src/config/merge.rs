//! A request over the settings in force: what it does not mention keeps its value.

use serde_json::{Map, Value};

use super::model::{Config, RefusedCentral};
use super::read::{self, MAX_REFUSED, Read};
use crate::domain::ids::CentralId;
use crate::domain::problem::FieldProblem;

/// The settings after a PUT.
///
/// - A key that is absent keeps its value, in every object. `null` brings back the default.
/// - A list has the members the request names and no others; a member that was there before (by its `id`) keeps what
///   the request does not say of it, such as a confirmed fingerprint that the page never saw.
/// - A `version` in the request is not a setting and is ignored here.
///
/// # Errors
/// Every wrong field of the result, by its name; nothing is changed then.
pub fn merge(current: &Config, put: &Value) -> Result<Read, Vec<FieldProblem>> {
    if !put.is_object() {
        return Err(vec![FieldProblem::wrong_type("", "một đối tượng {…}", "an object {…}")]);
    }
    let mut merged = current.to_json();
    overlay(&mut merged, put);
    let mut read = read::config(&merged)?;
    remember_removed(current, &mut read.config);
    Ok(read)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
}
