//! Who did it is known by what a caller shows, never by what he says.

use super::common::central::API_PORT;
use super::common::ws::Ws;
use super::common::{Central, DEADLINE, Http};
use super::{PASSWORD, administrator, log_in};
use serde_json::{Value, json};

/// The last fact of a stay, as its story tells it.
fn last_fact(http: &Http, stay: &str) -> Value {
    let story = http.get(&format!("/api/parking/history/{stay}/story")).ok();
    story.body["facts"].as_array().unwrap().last().unwrap().clone()
}

fn did(fact: &Value) -> (&str, &str) {
    (fact["by_kind"].as_str().unwrap(), fact["by"].as_str().unwrap_or_default())
}

#[test]
fn nobody_names_another_person_by_whatever_way_he_says_it() {
    let mut central = Central::new("central-1");
    central.config["security"] = json!({"admin": "password", "edges": "open"});
    central.config["edges"] = json!([{"id": "edge-1"}, {"id": "edge-2"}]);
    central.start();
    let an = administrator(&central);
    an.post("/api/access/people", &json!({"name": "Bình", "role": "shift_lead", "password": PASSWORD})).ok();
    let binh = log_in(&central, "bình", PASSWORD);
    let token = an.post("/api/access/tokens", &json!({"name": "kiosk", "role": "shift_lead"})).ok();
    let token = central.http.with("Authorization", format!("Bearer {}", token.field("token")));
    let key = an.post("/api/access/edges/edge-1/key", &json!({})).ok().field("key").to_owned();
    let edge = central.http.with("X-Edge-Key", key);

    for (number, (caller, kind, name)) in [
        (&binh, "person", "Bình"),
        (&token, "token", "token:kiosk"),
        (&edge, "edge", "edge:edge-1"),
        (&central.http, "open", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let plate = format!("29A1234{number}");
        let mut stay = String::new();
        // Every spelling of "somebody else did it".
        for (direction, by) in [("ENTRY", json!("an")), ("EXIT", json!({"kind": "person", "name": "an"}))] {
            let press = json!({"edge_id": "edge-1", "plate_id": plate, "direction": direction, "force": true, "by": by,
                "reason": "an", "paid": {"method": "cash", "by": "an"}});
            let answer = caller.open(&press).ok();
            let codes: Vec<&str> =
                answer.body["notes"].as_array().unwrap().iter().map(|note| note["code"].as_str().unwrap()).collect();
            assert!(codes.contains(&"from_login"), "{codes:?}");
            stay = answer.field("event_id").to_owned();
            assert_eq!(did(&last_fact(&an, &stay)), (kind, name), "{direction}");
        }
        let data = json!({"plate_text": format!("30A1234{number}"), "by": "an"});
        let told = caller.post("/api/edge/event", &json!({"type": "ENTRY", "camera_id": "edge-1", "data": data})).ok();
        assert_eq!(told.body["notes"][0]["code"], "from_login");
        assert_eq!(did(&last_fact(&an, told.field("event_id"))), (kind, name));
        if caller.get("/api/access").ok().flag("may_amend") {
            let said = json!({"plate_id": format!("31A1234{number}"), "reason": "đọc nhầm", "by": "an"});
            let corrected = caller.correct(&stay, &said).ok();
            assert_eq!(corrected.body["notes"][0]["code"], "from_login");
            assert_eq!(did(&last_fact(&an, &stay)), (kind, name));
            caller.void(&stay, &json!({"reason": "nhầm", "by": "an"})).ok();
            assert_eq!(did(&last_fact(&an, &stay)), (kind, name));
        }
    }
}

#[test]
fn a_socket_is_who_opened_it() {
    let mut central = Central::new("central-1");
    central.config["security"] = json!({"admin": "password", "edges": "keys"});
    central.config["edges"] = json!([{"id": "edge-1"}]);
    central.start();
    let an = administrator(&central);
    let key = an.post("/api/access/edges/edge-1/key", &json!({})).ok().field("key").to_owned();
    let address = format!("{}:{API_PORT}", central.ip);
    let mut socket = Ws::dial_with(&address, "/ws/edge", Some(("X-Edge-Key", &key))).unwrap();
    socket.say(&json!({"edge_id": "edge-1"})).unwrap();
    socket.hear_json(DEADLINE, |said| said["type"] == "connected");
    let paid = json!({"method": "chuyển khoản", "reference": "FT1", "amount": 0});
    for (kind, data) in [
        ("ENTRY", json!({"plate_text": "29A12345", "by": "an", "card_id": "C-1"})),
        ("EXIT", json!({"plate_text": "29A12345", "by": "an", "paid": paid})),
    ] {
        socket.say(&json!({"type": kind, "by": "an", "data": data})).unwrap();
        let answer = socket.hear_json(DEADLINE, |said| said["type"] == "answer");
        let fact = last_fact(&an, answer["event_id"].as_str().unwrap());
        assert_eq!(did(&fact), ("edge", "edge:edge-1"), "{fact}");
        if kind == "ENTRY" {
            assert_eq!(fact["card_id"], "C-1");
        } else {
            assert_eq!(fact["paid"], json!({"method": "transfer", "amount": 0, "reference": "FT1"}));
        }
    }
}
