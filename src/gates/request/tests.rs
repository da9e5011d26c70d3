use crate::domain::money::Vnd;
use serde_json::{Value, json};

use super::*;
use crate::config::model::Edge;

/// What is made of a call, at a site whose `edge-out` is an exit lane.
fn job(call: &str, body: Value) -> Result<Job, Refusal> {
    let mut config = Config::standalone();
    let lane = Some(Direction::Exit);
    config.edges.push(Edge {
        id: "edge-out".into(),
        name: String::new(),
        direction: lane,
        vehicle_type: None,
        lane: None,
        key_hash: None,
    });
    match call {
        "open" => OpenRequest::read(&body)?.job(&config),
        "close" => CloseRequest::read(&body)?.job(),
        _ => DetectionRequest::read(&body)?.job(&config),
    }
}

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({"edge_id": "edge-1", "plate_id": "29A12345", "force": true});
    body[name] = value;
    body
}

fn open(body: Value) -> OpenBarrier {
    match job("open", body) {
        Ok(Job::Open(open)) => open,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_is_normalised() {
    let open = open(json!({
        "edge_id": "edge-1", "plate_id": " 29a-123.45 ", "plate_view": " 29A-123.45 ", "direction": "entry",
        "camera_type": "", "request_id": "", "confidence": 0.5,
    }));
    assert_eq!(open.plate.as_str(), "29A12345");
    assert_eq!(open.plate_view.as_deref(), Some("29A-123.45"));
    assert_eq!((open.direction, open.request_id, open.force), (Some(Direction::Entry), None, false));
}

#[test]
fn a_lane_gives_the_direction_unless_the_call_does() {
    assert_eq!(open(with("edge_id", json!("edge-out"))).direction, Some(Direction::Exit));
    assert_eq!(open(with("edge_id", json!("edge-1"))).direction, None);
    let mut said = with("edge_id", json!("edge-out"));
    said["direction"] = json!("ENTRY");
    assert_eq!(open(said).direction, Some(Direction::Entry));
}

#[test]
fn what_is_wrong_is_refused_by_its_field() {
    for (field, value) in [
        ("edge_id", json!("")),
        ("edge_id", json!([])),
        ("plate_id", json!(["29A12345"])),
        ("action", json!("close")),
        ("direction", json!("UP")),
        ("request_id", json!("x".repeat(129))),
        ("fee", json!(-1)),
        ("fee", json!(100_000_001)),
    ] {
        match job("open", with(field, value.clone())) {
            Err(Refusal::Field { field: named, .. }) => assert_eq!(named, field, "{value}"),
            other => panic!("{field} {value}: {other:?}"),
        }
    }
    let unforced = json!({"edge_id": "edge-1", "plate_id": "29A12345", "fee": 5000});
    assert!(matches!(job("open", unforced), Err(Refusal::Field { field: "fee", .. })));
    assert!(matches!(job("close", json!({"edge_id": "e"})), Err(Refusal::Field { field: "event_id", .. })));
    let plate = |text: &str| json!({"edge_id": "e", "plate_id": text});
    for call in ["open", "detect"] {
        for text in ["29A1", "29A1234!", "UNKNOWN", ""] {
            assert!(matches!(job(call, plate(text)), Err(Refusal::Field { field: "plate_id", .. })), "{call} {text}");
        }
    }
}

#[test]
fn what_only_adds_is_noted_and_opens() {
    for (field, value) in [
        ("edge_id", json!("Cổng 1")),
        ("edge_id", json!("x".repeat(65))),
        ("plate_view", json!("x".repeat(21))),
        ("plate_view", json!("a\nb")),
        ("confidence", json!(101)),
        ("confidence", json!(-0.01)),
        ("confidence", json!("high")),
    ] {
        let noted: Vec<String> = open(with(field, value.clone())).notes.into_iter().map(|note| note.field).collect();
        assert_eq!(noted, [field], "{value}");
    }
}

#[test]
fn a_forced_opening_without_a_plate_is_one_that_could_not_be_read() {
    for (plate, direction, beside, kept, codes) in [
        (json!(null), Some("EXIT"), json!({}), Direction::Exit, vec!["unread"]),
        (json!("UNKNOWN"), Some("VÀO"), json!({}), Direction::Entry, vec!["unread"]),
        (json!("29A1"), None, json!({}), Direction::Entry, vec!["assumed", "unread"]),
        (json!("29A1"), None, json!({"fee": 0}), Direction::Entry, vec!["assumed", "unread"]),
        (json!("29A1"), None, json!({"fee": "20k"}), Direction::Exit, vec!["assumed", "unread"]),
        (json!("29A1"), None, json!({"paid": "cash"}), Direction::Exit, vec!["assumed", "unread"]),
    ] {
        let mut body = with("plate_id", plate.clone());
        body["direction"] = json!(direction);
        body.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
        let Ok(Job::Unread(opening)) = job("open", body.clone()) else { panic!("{body}") };
        assert_eq!((opening.direction, opening.force), (kept, true), "{body}");
        assert_eq!(opening.notes.iter().map(|note| note.code).collect::<Vec<_>>(), codes, "{body}");
    }
}

#[test]
fn a_forced_fee_is_whole_money() {
    assert_eq!(open(with("fee", json!(7000))).fee, Some(Vnd(7000)));
    for told in [json!(7000.0), json!("7000"), json!("7.000"), json!("7,000 đ"), json!("7k")] {
        assert_eq!(open(with("fee", told.clone())).fee, Some(Vnd(7000)), "{told}");
    }
    assert!(matches!(job("open", with("fee", json!(2.5))), Err(Refusal::Field { field: "fee", .. })));
}

#[test]
fn a_key_that_no_call_reads_is_noted_and_what_is_no_vehicle_is_no_reason_to_keep_a_gate_shut() {
    let noted = |call: &str, key: &str, value: Value| {
        let body = json!({"edge_id": "edge-1", "plate_id": "29A12345", key: value});
        let notes = match call {
            "open" => OpenRequest::read(&body).unwrap().notes,
            "close" => CloseRequest::read(&body).unwrap().notes,
            _ => DetectionRequest::read(&body).unwrap().notes,
        };
        notes.into_iter().map(|note| format!("{} {}", note.field, note.code)).collect::<Vec<_>>()
    };
    for call in ["open", "close", "detection"] {
        assert_eq!(noted(call, "colour", json!("red")), ["colour not_read"], "{call}");
        assert_eq!(noted(call, "lane_no", json!({"x": [1]})), ["lane_no not_read"], "{call}");
        // What says nothing, what holds the plate, and lists of the predecessor.
        for (key, value) in [("colour", json!(null)), ("colour", json!(" ")), ("source", json!("manual"))] {
            assert_eq!(noted(call, key, value), [""; 0], "{call} {key}");
        }
        let mut many = json!({"edge_id": "edge-1", "plate_id": "29A12345"});
        (0..40).for_each(|number| many[format!("x{number}")] = json!(number));
        assert_eq!(OpenRequest::read(&many).unwrap().notes.len(), MOST_UNREAD_NOTES);
    }
    for (key, calls) in [("force", vec!["open"]), ("lookup", vec!["detection"]), ("timestamp", vec!["detection"])] {
        for call in ["open", "close", "detection"] {
            assert_eq!(noted(call, key, json!(true)).is_empty(), calls.contains(&call), "{call} {key}");
        }
    }
    for call in ["open", "detection"] {
        for key in ["camera_type", "vehicle_type"] {
            for told in [json!({"a": 1}), json!(["car"]), json!(true)] {
                assert_eq!(noted(call, key, told.clone()), [format!("{key} not_read")], "{call} {told}");
            }
            assert_eq!(noted(call, key, json!("spaceship")), [""; 0], "the ledger says what it makes of it");
        }
    }
}

#[test]
fn a_call_is_read_by_the_first_name_that_says_something_too() {
    let two = json!({"edge_id": "edge-1", "plate_id": "UNKNOWN", "plate": "29A-123.45", "direction": "", "huong": "ra",
        "camera_type": "unknown", "loai_xe": "MOTO", "force": true, "fee": null, "amount": "25k"});
    let read = open(two);
    assert_eq!(
        (read.plate.as_str(), read.direction, read.camera_type.as_str()),
        ("29A12345", Some(Direction::Exit), "MOTO")
    );
    assert_eq!((read.fee, read.notes), (Some(Vnd(25_000)), vec![]));
    let differing = json!({"edge_id": "edge-1", "plate_id": "29A12345", "plate": "29A12346", "direction": "IN", "chieu": "ra",
        "vehicle_type": "car", "loai_xe": "MOTO", "force": true, "fee": 0, "amount": "25k"});
    let read = open(differing);
    assert_eq!(
        (read.plate.as_str(), read.direction, read.camera_type.as_str()),
        ("29A12345", Some(Direction::Entry), "car")
    );
    let mut noted: Vec<(&str, &str)> = read.notes.iter().map(|note| (note.field.as_str(), note.code)).collect();
    noted.sort_unstable();
    assert_eq!(noted, ["amount", "chieu", "loai_xe", "plate"].map(|field| (field, "differs")));
}
