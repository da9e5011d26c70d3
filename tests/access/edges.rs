//! With keys, an edge is only itself.

use super::common::central::API_PORT;
use super::common::ws::Ws;
use super::common::{Central, DEADLINE, Http};
use super::{PASSWORD, administrator, log_in};
use serde_json::json;

/// A central with keys: the administrator, and the keys of `edge-1` and `edge-2`.
fn with_keys() -> (Central, Http, [String; 2]) {
    let mut central = Central::new("central-1");
    central.config["security"] = json!({"admin": "password", "edges": "keys"});
    central.config["edges"] = json!([{"id": "edge-1"}, {"id": "edge-2"}]);
    central.start();
    let an = administrator(&central);
    let keys = ["edge-1", "edge-2"].map(|edge| {
        let made = an.post(&format!("/api/access/edges/{edge}/key"), &json!({})).ok();
        made.field("key").to_owned()
    });
    (central, an, keys)
}

#[test]
fn an_edge_acts_only_as_itself_and_a_renewed_or_revoked_key_ends_at_once() {
    let (central, an, [one, _]) = with_keys();
    assert_eq!(central.http.press("edge-1", "29A12345", "ENTRY").refused(401).field("code"), "edge_key_required");
    let edge = central.http.with("X-Edge-Key", &one);
    edge.enter("edge-1", "29A12345");
    central.http.with("Authorization", format!("Bearer {one}")).leave("edge-1", "29A12345");
    assert_eq!(edge.press("edge-2", "29A12345", "ENTRY").refused(403).field("code"), "other_edge");
    for (path, body) in [
        ("/api/edge/detection", json!({"edge_id": "edge-2", "plate_id": "29A12345"})),
        ("/api/edge/barrier/close", json!({"edge_id": "edge-2", "plate_id": "29A12345"})),
        ("/api/edge/event", json!({"type": "ENTRY", "camera_id": "edge-2", "data": {"plate_text": "29A12345"}})),
        ("/api/edge/heartbeat", json!({"camera_id": "edge-2"})),
        ("/api/edge/sync-config", json!({"edge_cameras": {"edge-2": {"name": "x"}}})),
    ] {
        assert_eq!(edge.post(path, &body).refused(403).field("code"), "other_edge", "{path}");
    }
    // What corrects and removes needs an administrator, by this way too.
    let remove = json!({"type": "DELETE", "camera_id": "edge-1", "data": {"event_id": "x"}});
    assert_eq!(edge.post("/api/edge/event", &remove).refused(403).field("code"), "forbidden");

    let renewed = an.post("/api/access/edges/edge-1/key", &json!({})).ok().field("key").to_owned();
    edge.press("edge-1", "29A12345", "ENTRY").refused(401);
    let edge = central.http.with("X-Edge-Key", renewed);
    edge.enter("edge-1", "30A12345");
    an.delete("/api/access/edges/edge-1/key").ok();
    edge.press("edge-1", "31A12345", "ENTRY").refused(401);
    assert_eq!(an.get("/api/p2p/config").ok().body["edges_with_keys"], json!(["edge-2"]));
}

#[test]
fn an_edge_closes_behind_its_own_cars_alone() {
    let (central, an, [one, two]) = with_keys();
    let [one, two] = [one, two].map(|key| central.http.with("X-Edge-Key", key));
    let close = |by: &Http, edge: &str, stay: &str| {
        by.post("/api/edge/barrier/close", &json!({"edge_id": edge, "event_id": stay}))
    };
    let stay = one.enter("edge-1", "29A12345");
    assert_eq!(close(&two, "edge-2", &stay).refused(403).field("code"), "other_edge");
    assert!(close(&one, "edge-1", &stay).ok().flag("confirmed"));
    // Who is logged in names the gate he means.
    let stay = one.enter("edge-1", "30A12345");
    assert!(close(&an, "edge-2", &stay).ok().flag("confirmed"));
}

#[test]
fn a_person_who_is_logged_in_works_at_any_gate_and_changes_nothing() {
    let (central, an, _) = with_keys();
    an.post("/api/access/people", &json!({"name": "Bình", "role": "operator", "password": PASSWORD})).ok();
    let binh = log_in(&central, "bình", PASSWORD);
    let stay = binh.enter("edge-2", "29A12345");
    assert_eq!(binh.void(&stay, &json!({"reason": "x"})).refused(403).field("code"), "forbidden");
    assert_eq!(binh.put("/api/parking/fees", &json!({"fees": {}})).refused(403).field("code"), "forbidden");
    for kind in ["UPDATE", "DELETE"] {
        let data = json!({"event_id": stay, "plate_text": "30A99999"});
        let report = json!({"type": kind, "camera_id": "edge-2", "data": data});
        assert_eq!(binh.post("/api/edge/event", &report).refused(403).field("code"), "forbidden");
    }
    an.void(&stay, &json!({"reason": "nhầm"})).ok();
}

#[test]
fn a_socket_of_an_edge_is_opened_with_its_key_and_speaks_for_that_edge() {
    let (central, an, [one, _]) = with_keys();
    let address = format!("{}:{API_PORT}", central.ip);
    assert!(Ws::dial(&address, "/ws/edge", None).is_err(), "no key, no socket");
    let dial = || Ws::dial_with(&address, "/ws/edge", Some(("X-Edge-Key", &one))).unwrap();
    let mut other = dial();
    other.say(&json!({"edge_id": "edge-2"})).unwrap();
    assert_eq!(other.until_ended(DEADLINE), [""; 0]);
    let mut own = dial();
    own.say(&json!({"edge_id": "edge-1"})).unwrap();
    own.hear_json(DEADLINE, |said| said["type"] == "connected");
    let report = |camera: &str| json!({"type": "ENTRY", "camera_id": camera, "data": {"plate_text": "29A12345"}});
    own.say(&report("edge-2")).unwrap();
    assert_eq!(own.hear_json(DEADLINE, |said| said["type"] == "answer")["code"], "other_edge");
    own.say(&report("edge-1")).unwrap();
    assert_eq!(own.hear_json(DEADLINE, |said| said["type"] == "answer")["success"], true);
    // With the key ends what was opened with it.
    an.delete("/api/access/edges/edge-1/key").ok();
    own.until_ended(DEADLINE);
}
