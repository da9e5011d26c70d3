//! What the programs at the gates report: nothing of it is lost, doubled, or taken for something else.

use serde_json::{Value, json};

use crate::common::central::API_PORT;
use crate::common::ws::Ws;
use crate::common::{Central, DEADLINE, Http, Mesh, eventually, with_status};

const EVENT: &str = "/api/edge/event";

fn event(kind: &str, plate: &str, event_id: Option<&str>) -> Value {
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    json!({"type": kind, "camera_id": 1, "camera_name": "Cổng A", "camera_type": kind, "timestamp": now_ms,
           "event_id": event_id, "data": {"plate_text": plate, "confidence": 0.9, "source": "manual", "entry_id": 7}})
}

fn socket_of(central: &Central, edge: i64) -> Ws {
    let mut socket = Ws::dial(&format!("{}:{API_PORT}", central.ip), "/ws/edge", None).unwrap();
    socket.say(&json!({"edge_id": edge})).unwrap();
    socket.hear_json(DEADLINE, |said| said["type"] == "connected");
    socket
}

/// Sends one event over a socket; its answer.
fn tell(socket: &mut Ws, event: &Value) -> Value {
    socket.say(event).unwrap();
    socket.hear_json(DEADLINE, |said| said["type"] == "answer" && said["answers"] == event["event_id"])
}

fn rows_of(http: &Http, plate: &str) -> Vec<(Value, Value)> {
    http.rows_of(plate).into_iter().map(|row| (row["status"].clone(), row["fee"].clone())).collect()
}

/// A central that was away for a moment, or an answer that got lost, cost the event; over the socket nobody answered at all.
#[test]
fn d12_an_event_is_sent_until_it_is_answered_and_counts_once() {
    let mut central = Central::standalone("central-1");
    let entry = event("ENTRY", "29A12345", Some("edge-1_1733140800000_29A12345"));
    let first = central.http.post(EVENT, &entry).ok();
    assert!(!first.flag("repeated"), "{}", first.text);
    // Nobody heard that answer; and the central was killed meanwhile.
    central.kill9();
    assert!(central.http.try_post(EVENT, &entry).is_err(), "no answer is not a success");
    central.start();
    let again = central.http.post(EVENT, &entry).ok();
    assert!(again.flag("repeated") && again.flag("deduped"), "{}", again.text);
    assert_eq!(again.body["event_id"], first.body["event_id"]);
    // And once more over the socket, which answers by the id the edge gave.
    let mut socket = socket_of(&central, 1);
    let answer = tell(&mut socket, &entry);
    assert_eq!((&answer["success"], &answer["event_id"]), (&json!(true), &first.body["event_id"]), "{answer}");
    assert_eq!(central.http.rows_of("29A12345").len(), 1);

    // What can never be taken is said to be so: not by a 503, which asks to send again.
    let hopeless = event("WASHED", "29A12345", Some("edge-1_1_X"));
    assert_eq!(central.http.post(EVENT, &hopeless).refused(400).field("code"), "invalid_field");
    let answer = tell(&mut socket, &hopeless);
    assert_eq!((&answer["success"], &answer["code"]), (&json!(false), &json!("invalid_field")), "{answer}");
    let next = tell(&mut socket, &event("EXIT", "29A12345", Some("edge-1_2_29A12345")));
    assert_eq!((&next["success"], &next["action"]), (&json!(true), &json!("EXIT")), "the socket goes on: {next}");
}

/// Rows that edge programs made had no id, so they were never sent to anyone.
#[test]
fn d13_what_an_edge_reports_is_everywhere() {
    let mesh = Mesh::start(2);
    let entered = mesh.centrals[0].http.post(EVENT, &event("ENTRY", "29A12345", None)).ok();
    assert!(entered.field("event_id").starts_with("central-1_"), "{}", entered.text);
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!(history.row(entered.field("event_id")).unwrap()["edge_id"], "1");
    let left = mesh.centrals[1].http.post(EVENT, &event("EXIT", "29A12345", None)).ok();
    assert_eq!(left.field("event_id"), entered.field("event_id"));
    assert_eq!(with_status(&mesh.wait_equal(DEADLINE), "OUT"), 1);
}

/// An edit made at an edge was applied twice, by the edge's row number; a removal was never passed on.
#[test]
fn d24_what_is_changed_at_an_edge_is_changed_once_and_everywhere() {
    let mesh = Mesh::start(2);
    let http = &mesh.centrals[0].http;
    let bystander = http.enter("edge-9", "30E99999");
    let stays = ["29A10000", "29A20000"].map(|plate| {
        let entered = http.post(EVENT, &event("ENTRY", plate, Some(&format!("edge-1_1_{plate}")))).ok();
        entered.field("event_id").to_owned()
    });
    let mut socket = socket_of(&mesh.centrals[0], 1);
    // By the id the edge gave; its row number is the bystander's here.
    let update = json!({"type": "UPDATE", "event_id": "u-1", "data": {"history_id": 1, "event_id": "edge-1_1_29A10000",
        "plate_text": "29A10001", "plate_view": "29A-100.01"}});
    assert_eq!(tell(&mut socket, &update)["success"], true);
    assert_eq!(tell(&mut socket, &update)["repeated"], true);
    let delete = json!({"type": "DELETE", "event_id": "u-2", "data": {"history_id": 1, "event_id": stays[1]}});
    assert_eq!(tell(&mut socket, &delete)["success"], true);
    assert_eq!(tell(&mut socket, &delete)["repeated"], true);
    let history = mesh.wait_equal(DEADLINE);
    let of =
        |stay: &str| (history.row(stay).unwrap()["plate_id"].clone(), history.row(stay).unwrap()["status"].clone());
    assert_eq!(of(&stays[0]), (json!("29A10001"), json!("IN")));
    assert_eq!(of(&stays[1]).1, "VOID");
    assert_eq!(of(&bystander), (json!("30E99999"), json!("IN")));
    assert_eq!(history.row(&stays[0]).unwrap()["plate_view"], "29A-100.01");
}

/// A row without an id could be charged again and again and was never out.
#[test]
fn d27_a_row_made_by_an_edge_has_an_id_and_leaves_once() {
    let central = Central::standalone("central-1");
    let mut nameless = event("ENTRY", "29A12345", None);
    nameless.as_object_mut().unwrap().insert("event_id".into(), Value::Null);
    central.http.post(EVENT, &nameless).ok();
    let row = central.http.rows_of("29A12345").remove(0);
    assert!(row["event_id"].as_str().is_some_and(|id| id.ends_with("_29A12345")), "{row}");
    let left = central.http.press("edge-2", "29A12345", "EXIT").ok();
    assert_eq!(left.body["event_id"], row["event_id"]);
    assert_eq!(central.http.press("edge-3", "29A12345", "EXIT").refused(409).field("code"), "not_inside");
    assert_eq!(rows_of(&central.http, "29A12345"), [(json!("OUT"), json!(0))]);
}

/// An exit whose answer was lost was sent again for ever, and closed the next visit of that car.
#[test]
fn d31_an_exit_sent_again_never_closes_the_next_visit() {
    let central = Central::standalone("central-1");
    let http = &central.http;
    // A car needs some minutes for each.
    let [first, out, second] =
        [("ENTRY", "e-1", 600.0), ("EXIT", "e-2", 300.0), ("ENTRY", "e-3", 0.0)].map(|(kind, id, ago_s)| {
            let mut told = event(kind, "29A12345", Some(id));
            told["timestamp"] = json!(told["timestamp"].as_f64().unwrap() - ago_s);
            told
        });
    http.post(EVENT, &first).ok();
    let left = http.post(EVENT, &out).ok();
    let next = http.post(EVENT, &second).ok();
    let mut socket = socket_of(&central, 1);
    for _ in 0..3 {
        let again = http.post(EVENT, &out).ok();
        assert!(again.flag("repeated"), "{}", again.text);
        assert_eq!(again.body["event_id"], left.body["event_id"]);
        assert_eq!(tell(&mut socket, &out)["repeated"], true);
    }
    // Also without an id: it says when it happened, and then the car was in its first visit.
    let mut late = event("EXIT", "29A12345", None);
    late["timestamp"] = json!(late["timestamp"].as_f64().unwrap() - 3_600.0);
    http.post(EVENT, &late).ok();
    let row = http.rows_of("29A12345").into_iter().find(|row| row["event_id"] == next.body["event_id"]).unwrap();
    assert_eq!(row["status"], "IN", "{row}");
}

/// An entry from a camera inside the lot that did not say when was dropped without a word.
#[test]
fn d41_a_car_seen_inside_the_lot_is_not_dropped() {
    let mesh = Mesh::start(2);
    let mut seen = event("ENTRY", "29A10000", Some("e-1"));
    seen["camera_type"] = json!("PARKING_LOT");
    seen["data"]["location"] = json!("Tầng 2");
    seen["data"]["is_anomaly"] = json!(true);
    mesh.centrals[0].http.post(EVENT, &seen).ok();
    let mut socket = socket_of(&mesh.centrals[0], 3);
    let mut update = event("LOCATION_UPDATE", "29A20000", Some("e-2"));
    update["data"]["location"] = json!("Tầng 3");
    assert_eq!(tell(&mut socket, &update)["success"], true);
    // Of a car that is known to be inside it says nothing new.
    update["event_id"] = json!("e-3");
    assert_eq!(tell(&mut socket, &update)["repeated"], true);
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((history.len(), with_status(&history, "IN")), (2, 2));
}

/// One request without a camera left a transaction open: from then on the database was locked.
#[test]
fn d42_a_report_without_a_camera_harms_nobody() {
    let central = Central::standalone("central-1");
    for _ in 0..3 {
        let mut nameless = event("ENTRY", "30E99999", None);
        nameless.as_object_mut().unwrap().remove("camera_id");
        central.http.post(EVENT, &nameless).ok();
        nameless["camera_id"] = Value::Null;
        central.http.post(EVENT, &nameless).ok();
    }
    assert_eq!(central.http.rows_of("30E99999").len(), 1, "once, of the address it came from");
    central.http.post(EVENT, &event("ENTRY", "29A12345", None)).ok();
    central.http.leave("edge-2", "29A12345");
    eventually("it is written", DEADLINE, || rows_of(&central.http, "29A12345") == [(json!("OUT"), json!(0))]);
}
