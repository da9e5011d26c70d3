//! Settings that are wrong, and ports that are taken.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::common::central::P2P_PORT;
use crate::common::{Central, DEADLINE, Mesh, eventually};

const CONFIG: &str = "/api/p2p/config";

fn config(central: &Central) -> Value {
    central.http.get(CONFIG).ok().body["config"].clone()
}

fn saved(central: &Central) -> Value {
    serde_json::from_slice(&fs::read(central.config_file()).unwrap()).unwrap()
}

#[test]
fn d21_wrong_settings_are_refused_by_field_and_change_nothing() {
    let central = Central::standalone("central-1");
    let before = (config(&central), saved(&central));
    for (put, field) in [
        (json!({"this_central": {"id": ""}}), "this_central.id"),
        (json!({"this_central": {"id": "central_1"}}), "this_central.id"),
        (json!({"this_central": {"ip": "not an ip"}}), "this_central.ip"),
        (json!({"this_central": {"api_port": 999_999}}), "this_central.api_port"),
        (json!({"this_central": {"api_port": "http"}}), "this_central.api_port"),
        (json!({"peer_centrals": [{"id": "central-1", "ip": "192.168.1.2"}]}), "peer_centrals[0].id"),
        (
            json!({"peer_centrals": [{"id": "a", "ip": "192.168.1.2"}, {"id": "a", "ip": "192.168.1.3"}]}),
            "peer_centrals[1].id",
        ),
        (json!({"peer_centrals": {}}), "peer_centrals"),
        (json!({"site": {"time_zone": "Mars/Olympus"}}), "site.time_zone"),
        (json!({"security": {"admin": "none"}}), "security.admin"),
        (json!({"tuning": {"max_requests_in_flight": 0}}), "tuning.max_requests_in_flight"),
    ] {
        let refused = central.http.put(CONFIG, &put).refused(400);
        assert_eq!((refused.field("code"), refused.field("field")), ("invalid_field", field), "{put}");
    }
    for body in [json!([]), json!("x"), json!(null), json!({"version": 5})] {
        central.http.put(CONFIG, &body).refused(400);
    }
    let send = |content_type, bytes: &[u8]| central.http.send("PUT", CONFIG, Some((content_type, bytes))).unwrap();
    send("application/json", b"{").refused(400);
    send("text/plain", b"{}").refused(415);
    assert_eq!((config(&central), saved(&central)), before);
}

/// A port in use, or an address of another machine as the own one, left barriers without the part that serves them.
#[test]
fn d22_a_taken_peer_port_and_a_foreign_address_stop_no_gate() {
    let mut central = Central::new("central-1");
    central.config["bind"] = json!(central.ip);
    central.config["this_central"]["ip"] = json!("203.0.113.9");
    let taken = TcpListener::bind((central.ip.as_str(), P2P_PORT)).unwrap();
    central.start();
    central.http.enter("edge-1", "29A12345");
    let status = central.http.p2p_status();
    assert_eq!(status["running"], false, "{status}");
    assert!(central.log().contains("this_central.ip"), "it is warned of: {}", central.log());
    drop(taken);
    eventually("the port is taken once it is free", DEADLINE, || central.http.p2p_status()["running"] == true);
    central.http.leave("edge-1", "29A12345");
}

/// The button that tests a connection failed always, the column of states was empty, and ports were forgotten.
#[test]
fn d40_the_test_button_works_states_are_told_and_ports_are_kept() {
    let mesh = Mesh::start(2);
    let http = &mesh.centrals[0].http;
    let tested = http.post("/api/p2p/test-connection?peer_id=central-2", &json!({})).ok();
    assert!(tested.body["round_trip_ms"].as_f64().is_some(), "{}", tested.text);
    let status = http.p2p_status();
    let peer = &status["peers"][0];
    assert_eq!((&peer["status"], &peer["connected"]), (&json!("connected"), &json!(true)), "{status}");
    assert_eq!(status["peers"].as_array().unwrap().len(), 1, "a peer stands there once");

    let port_of = |id: &str| {
        let config = config(&mesh.centrals[0]);
        let peers = config["peer_centrals"].as_array().unwrap().clone();
        peers.iter().find(|peer| peer["id"] == id).map(|peer| peer["p2p_port"].clone())
    };
    http.post("/api/p2p/peers", &json!({"id": "central-9", "ip": "192.0.2.9", "p2p_port": 9_123})).ok();
    assert_eq!(port_of("central-9"), Some(json!(9_123)));
    http.put("/api/p2p/peers/central-9", &json!({"ip": "192.0.2.10"})).ok();
    // As the page of the predecessor sent it: without the port.
    http.put(CONFIG, &json!({"peer_centrals": [{"id": "central-9", "ip": "192.0.2.11"}]})).ok();
    assert_eq!(port_of("central-9"), Some(json!(9_123)));
}
