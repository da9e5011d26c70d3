//! The documented HTTP calls of the gates, against real processes: what they answer, what they refuse, and what they
//! still know after the process was stopped or killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::central::API_PORT;
use common::{Central, DEADLINE, eventually_some};
use serde_json::{Value, json};

const OPEN: &str = "/api/edge/barrier/open";

#[test]
fn a_request_id_is_answered_alike_for_ever() {
    let mut central = Central::standalone("central-1");
    let entry = json!({"edge_id": "edge-1", "plate_id": "29A12345", "direction": "ENTRY", "request_id": "r-1"});
    let exit = json!({"edge_id": "edge-1", "plate_id": "29A12345", "direction": "EXIT", "request_id": "r-2"});
    let entered = central.http.open(&entry).ok();
    let left = central.http.open(&exit).ok();
    let again = |central: &Central| {
        let entered_again = central.http.open(&entry).ok();
        assert!(entered_again.flag("repeated") && entered_again.field("action") == "ENTRY", "{}", entered_again.text);
        assert_eq!(entered_again.body["event_id"], entered.body["event_id"]);
        let left_again = central.http.open(&exit).ok();
        assert!(left_again.flag("repeated") && left_again.field("action") == "EXIT", "{}", left_again.text);
        assert_eq!(left_again.body["fee"], left.body["fee"]);
        assert_eq!(central.http.rows_of("29A12345").len(), 1);
    };
    again(&central);
    assert!(central.terminate().0.success());
    central.start();
    again(&central);
    central.kill9();
    central.start();
    again(&central);

    let mut other = entry.clone();
    other["plate_id"] = json!("30E99999");
    assert_eq!(central.http.open(&other).refused(409).field("code"), "request_id_reused");
    assert!(central.http.rows_of("30E99999").is_empty());
}

#[test]
fn an_idempotency_key_is_a_request_id() {
    let central = Central::standalone("central-1");
    let body = r#"{"edge_id":"edge-1","plate_id":"29A12345","direction":"ENTRY"}"#;
    let call = || raw(&central, "Idempotency-Key: k-1\r\nContent-Type: application/json\r\n", body);
    let first = call();
    assert!(first.starts_with("HTTP/1.1 200") && !first.contains("repeated"), "{first}");
    central.http.press("edge-2", "29A12345", "EXIT").ok();
    let again = call();
    assert!(again.starts_with("HTTP/1.1 200") && again.contains(r#""repeated":true"#), "{again}");
    assert_eq!(central.http.rows_of("29A12345").len(), 1);
}

#[test]
fn what_contradicts_the_lot_is_a_conflict_that_a_person_can_override() {
    let central = Central::standalone("central-1");
    let unknown = central.http.press("edge-1", "29A12345", "EXIT").refused(409);
    assert_eq!(unknown.field("code"), "not_inside");
    assert_eq!(unknown.body["vehicle_info"]["has_entry"], false, "{}", unknown.text);

    let event_id = central.http.enter("edge-1", "29A12345");
    let twice = central.http.press("edge-2", "29A12345", "ENTRY").refused(409);
    assert_eq!(twice.field("code"), "already_inside");
    assert_eq!(twice.body["vehicle_info"]["already_inside"], true);
    assert!(!twice.body["vehicle_info"]["entry_time"].as_str().unwrap().is_empty());

    // A forced entry replaces the stay that was open; a forced exit takes the fee the person names.
    let force = |body: Value| central.http.open(&body).ok();
    let replaced = force(json!({"edge_id": "edge-2", "plate_id": "29A12345", "direction": "ENTRY", "force": true}));
    assert_ne!(replaced.field("event_id"), event_id);
    let rows = central.http.rows_of("29A12345");
    let status_of = |id: &str| rows.iter().find(|row| row["event_id"] == id).map(|row| row["status"].clone());
    assert_eq!(status_of(&event_id), Some(json!("LEFT_UNSEEN")));
    assert_eq!(status_of(replaced.field("event_id")), Some(json!("IN")));
    let left =
        force(json!({"edge_id": "edge-2", "plate_id": "29A12345", "direction": "EXIT", "force": true, "fee": 7_000}));
    assert_eq!(left.number("fee"), 7_000);
    let stranger =
        force(json!({"edge_id": "edge-2", "plate_id": "30E99999", "direction": "EXIT", "force": true, "fee": 9_000}));
    assert_eq!(stranger.number("fee"), 9_000);
    let stats = central.http.stats();
    assert_eq!((&stats["vehicles_in_parking"], &stats["revenue_today"]), (&json!(0), &json!(16_000)), "{stats}");
}

#[test]
fn closing_confirms_an_entry_once() {
    let central = Central::standalone("central-1");
    let nothing = central.http.close("edge-1", "29A12345").ok();
    assert!(!nothing.flag("confirmed"));
    central.http.enter("edge-1", "29A12345");
    assert!(central.http.close("edge-1", "29A12345").ok().flag("confirmed"));
    assert!(!central.http.close("edge-1", "29A12345").ok().flag("confirmed"), "repeated");
    central.http.leave("edge-1", "29A12345");
    assert!(!central.http.close("edge-1", "29A12345").ok().flag("confirmed"), "after the exit");
    let event_id = central.http.enter("edge-3", "30E99999");
    let by_id = json!({"edge_id": "edge-3", "event_id": event_id});
    assert!(central.http.post("/api/edge/barrier/close", &by_id).ok().flag("confirmed"));
}

#[test]
fn a_detection_tells_and_changes_nothing() {
    let central = Central::standalone("central-1");
    for _ in 0..2 {
        let seen = central.http.detect("edge-1", "29a-123.45", "ENTRY").ok();
        let info = &seen.body["vehicle_info"];
        assert_eq!((&info["plate_id"], &info["already_inside"]), (&json!("29A12345"), &json!(false)), "{info}");
    }
    central.http.enter("edge-1", "29A12345");
    let seen = central.http.detect("edge-2", "29A12345", "EXIT").ok();
    let info = &seen.body["vehicle_info"];
    assert_eq!((&info["has_entry"], &info["fee"]), (&json!(true), &json!(0)), "{info}");
    assert!(info["entry_from"].as_str().unwrap().contains("edge-1"), "{info}");
    assert_eq!(central.http.stats()["vehicles_in_parking"], 1);
    assert_eq!(central.http.rows_of("29A12345").len(), 1);
}

#[test]
fn a_stay_costs_what_the_tariff_says_and_a_subscriber_nothing() {
    let mut central = Central::new("central-1");
    // An hour and forty minutes of the site in a second.
    central.env("PARKMESH_CLOCK", common::fast_clock(6_000)).start();
    let fees = json!({"fees": {"fee_base": 0.5, "fee_per_hour": 30_000, "fee_overnight": 0, "fee_daily_max": 0}});
    central.http.put("/api/parking/fees", &fees).ok();
    let subscriber = json!({"subscriptions": [{
        "id": "s-1", "plate_number": "30E-999.99", "owner_name": "A", "type": "monthly", "status": "active",
        "start_date": "2020-01-01", "end_date": "2099-12-31", "phone": "", "note": "",
    }]});
    central.http.put("/api/subscriptions", &subscriber).ok();
    central.http.enter("edge-1", "29A12345");
    central.http.enter("edge-1", "30E99999");
    let preview = eventually_some("a fee is due", DEADLINE, || {
        let fee = central.http.detect("edge-2", "29A12345", "EXIT").ok().body["vehicle_info"]["fee"].as_i64();
        fee.filter(|fee| *fee > 0)
    });
    let fee = central.http.leave("edge-2", "29A12345");
    assert!(fee >= preview && fee % 30_000 == 0, "{preview} {fee}");
    assert_eq!(central.http.leave("edge-2", "30E99999"), 0);
    assert_eq!(central.http.rows_of("29A12345")[0]["fee"], fee);

    for wrong in [json!({"fee_base": "x"}), json!({"fee_base": 0.5, "fee_per_hour": -1})] {
        central.http.put("/api/parking/fees", &json!({"fees": wrong})).refused(400);
    }
    central.http.put("/api/parking/fees", &json!({"fees": []})).refused(400);
    assert_eq!(central.http.get("/api/parking/fees").ok().body["fees"]["fee_per_hour"], 30_000, "the old one stays");
    central.http.put("/api/subscriptions", &json!({"subscriptions": {}})).refused(400);
    assert_eq!(central.http.get("/api/subscriptions").ok().body["subscriptions"].as_array().unwrap().len(), 1);
}

#[test]
fn plates_are_the_same_however_they_are_written() {
    let central = Central::standalone("central-1");
    for (number, (written, key)) in
        [("29a-123.45", "29A12345"), (" 51 F 123.45 ", "51F12345"), ("29mđ1 234.56", "29MD123456")].iter().enumerate()
    {
        let reply = central.http.press(&format!("edge-{number}"), written, "ENTRY").ok();
        assert!(reply.field("event_id").ends_with(key), "{}", reply.text);
        let rows = central.http.rows_of(key);
        assert_eq!((rows.len(), &rows[0]["plate_id"]), (1, &json!(key)));
    }
    let view = &central.http.rows_of("29A12345")[0]["plate_view"];
    assert_eq!(view, "29A-123.45", "formatted when the edge gives none");
}

#[test]
fn wrong_calls_are_refused_with_the_reason_and_change_nothing() {
    let central = Central::standalone("central-1");
    let good = json!({"edge_id": "edge-1", "plate_id": "29A12345"});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let wrong = [
        json!({}),
        json!([]),
        json!("open"),
        json!({"edge_id": "edge-1"}),
        json!({"plate_id": "29A12345"}),
        with("plate_id", json!("")),
        with("plate_id", json!("29A12")),
        with("plate_id", json!("29A1234567890")),
        with("plate_id", json!("29A1234?")),
        with("plate_id", json!("UNKNOWN")),
        with("plate_id", json!("0000000")),
        with("plate_id", json!("DROP TABLE history; --")),
        with("plate_id", json!("車29A12345")),
        with("plate_id", json!(29)),
        with("plate_id", json!(["29A12345"])),
        with("plate_id", Value::Null),
        with("edge_id", json!("")),
        with("edge_id", json!({})),
        with("action", json!("close")),
        with("direction", json!("SIDEWAYS")),
        with("direction", json!(1)),
        with("request_id", json!([7])),
        with("request_id", json!("r".repeat(10_000))),
        with("force", json!("perhaps")),
        with("fee", json!(1_000)),
    ];
    for body in &wrong {
        let reply = central.http.open(body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.text);
        reply.refused(400);
    }
    let mut fee = with("fee", json!(-1));
    fee["force"] = json!(true);
    for fee_value in [json!(-1), json!(2.5), json!("a lot"), json!(1e18), json!(100_000_001)] {
        fee["fee"] = fee_value;
        central.http.open(&fee).refused(400);
    }
    let raw_body = |content_type, bytes: &[u8]| central.http.send("POST", OPEN, Some((content_type, bytes))).unwrap();
    let good_bytes = good.to_string().into_bytes();
    let truncated = &good_bytes[..good_bytes.len() - 1];
    for bytes in [&b""[..], b"{", b"nonsense", b"\xff\xfe", truncated, b"{\"edge_id\":\"a\"}}"] {
        raw_body("application/json", bytes).refused(400);
    }
    let nested = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    raw_body("application/json", nested.as_bytes()).refused(400);
    raw_body("text/plain", &good_bytes).refused(415);
    for (encoding, status) in [("br", 415), ("gzip", 400)] {
        let packed =
            raw(&central, &format!("Content-Type: application/json\r\nContent-Encoding: {encoding}\r\n"), "{}");
        assert!(packed.starts_with(&format!("HTTP/1.1 {status}")) && packed.contains(encoding), "{packed}");
    }
    let unnamed = central.http.open(&json!({"edge_id": "e", "direction": "ENTRY", "soBien": "29A12345"})).refused(400);
    assert!(unnamed.field("error").contains("\"plate_id\""), "{}", unnamed.text);
    let large = with("plate_view", json!("x".repeat(300_000))).to_string();
    assert_eq!(raw_body("application/json", large.as_bytes()).status, 413);
    central.http.get(OPEN).refused(405);
    central.http.delete("/api/parking/state").refused(405);
    central.http.get("/api/edge/barrier").refused(404);
    central.http.get("/api/parking/history?limit=x").refused(400);
    central.http.get("/api/parking/history?offset=-1").refused(400);
    central.http.get("/api/parking/history?offset=100000").ok();
    let far = central.http.get("/api/parking/history?offset=100001").refused(400);
    assert!(far.field("field") == "offset" && far.field("error").contains("cursor"), "{}", far.text);
    for (path, body) in [("/api/edge/detection", json!({"edge_id": "e"})), ("/api/edge/barrier/close", json!({}))] {
        central.http.post(path, &body).refused(400);
    }
    for body in [json!({}), json!({"edge_id": "e"}), json!([])] {
        let error = central.http.open(&body).refused(400);
        let said = error.field("error");
        assert!(
            !["untagged", "invalid type", "missing field", " line "].iter().any(|word| said.contains(word)),
            "{said}"
        );
    }
    assert!(central.http.whole_history().is_empty(), "nothing of all this is in the history");
    central.http.open(&good).ok();
}

/// Both calls have one reader: what a program may write in one it may write in the other.
#[test]
fn a_press_is_read_as_leniently_as_a_report() {
    let central = Central::standalone("central-1");
    for (number, (body, action, noted)) in [
        (json!({"edge_id": "Cổng 1", "direction": "VÀO"}), "ENTRY", vec!["edge_id"]),
        (json!({"camera_id": 2, "direction": "in"}), "ENTRY", vec![]),
        (json!({"edge_id": 2, "direction": "Xe vào", "confidence": "high"}), "ENTRY", vec!["confidence"]),
        (json!({"edge_id": "2", "direction": "ENTRY", "plate_view": "x".repeat(40)}), "ENTRY", vec!["plate_view"]),
        (json!({"edge_id": "2", "direction": "ENTRY", "plate_view": "30A-999.99"}), "ENTRY", vec!["plate_view"]),
        (
            json!({"edge_id": "2", "direction": "RA", "force": "true", "camera_type": "y".repeat(40)}),
            "EXIT",
            vec!["vehicle_type"],
        ),
        (json!({"edge_id": "2", "direction": "OUT", "force": 1, "fee": "25.00"}), "EXIT", vec!["fee"]),
    ]
    .into_iter()
    .enumerate()
    {
        for key in ["plate", "licensePlate", "plate_number"] {
            let mut body = body.clone();
            body[key] = json!(format!("29A{number}{:04}", key.len()));
            let answer = central.http.open(&body).ok();
            assert_eq!(answer.field("action"), action, "{body}");
            let fields: Vec<&str> = answer.body["notes"]
                .as_array()
                .map(|notes| notes.iter().filter_map(|note| note["field"].as_str()).collect())
                .unwrap_or_default();
            assert_eq!(fields, noted, "{body}: {}", answer.text);
        }
    }
    assert_eq!(central.http.rows_of("29A00005")[0]["edge_id"], "Cong-1");
}

/// What a person opens for a car that nobody can read is kept, as what a program tells of one is.
#[test]
fn a_forced_opening_without_a_plate_is_kept_and_shown() {
    let central = Central::standalone("central-1");
    let force = |body: Value| {
        let mut whole = json!({"edge_id": "edge-1", "force": true, "reason": "không có biển số"});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        central.http.open(&whole)
    };
    for (number, plate) in [json!(null), json!("UNKNOWN"), json!("?"), json!("29A")].into_iter().enumerate() {
        let id = format!("r-{number}");
        let asked = json!({"plate_id": plate, "direction": "EXIT", "fee": 20_000, "request_id": id});
        let answer = force(asked.clone()).ok();
        assert_eq!((answer.field("action"), answer.number("fee")), ("EXIT", 20_000), "{}", answer.text);
        assert_eq!(answer.body["notes"][0]["code"], "unread", "{}", answer.text);
        let again = force(asked).ok();
        assert!(again.flag("repeated") && again.body["event_id"] == answer.body["event_id"], "{}", again.text);
    }
    force(json!({"direction": "ENTRY"})).ok();
    let kept = central.http.get("/api/parking/anomalies?kind=unread").ok();
    assert_eq!(kept.number("count"), 5, "{}", kept.text);
    let lacks_all = force(json!({})).ok();
    assert_eq!((lacks_all.field("action"), &lacks_all.body["notes"][0]["code"]), ("ENTRY", &json!("assumed")));
    assert_eq!(central.http.stats()["revenue_today"], 80_000, "of whichever car: it was taken");
    let first = &kept.body["anomalies"][0];
    assert_eq!((&first["direction"], &first["fee"]), (&json!("EXIT"), &json!(20_000)), "{}", kept.text);
    let said = json!({"plate_id": "29A-123.45", "reason": "xem lại hình"});
    let read = central.http.correct(&first["fact"].as_str().unwrap().replace('/', "%2F"), &said).ok();
    assert_eq!((read.field("status"), read.number("collected")), ("OUT", 20_000), "{}", read.text);
    assert_eq!(central.http.rows_of("29A12345")[0]["event_id"], read.body["event_id"]);
    assert_eq!(central.http.get("/api/parking/anomalies?kind=unread").ok().number("count"), 5);
    assert_eq!(central.http.stats()["revenue_today"], 80_000, "and counts once");
    let unforced = json!({"edge_id": "edge-1", "direction": "ENTRY"});
    assert_eq!(central.http.open(&unforced).refused(400).field("field"), "plate_id", "a car may still be read");
}

#[test]
fn a_call_that_breaks_off_or_is_no_http_harms_nobody() {
    let central = Central::standalone("central-1");
    let address = format!("{}:{API_PORT}", central.ip);
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n"] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // Answered with an error or closed; what matters is that it ends.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    let half = "POST /api/edge/barrier/open HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 100\r\n\r\n{\"edge_id\":\"edge-1\",\"plate_id\":\"29A12345\"";
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(half.as_bytes()).unwrap();
    drop(stream);
    central.http.enter("edge-1", "30E99999");
    assert!(central.http.rows_of("29A12345").is_empty());
}

#[test]
fn the_history_is_found_by_plate_status_and_page() {
    let central = Central::standalone("central-1");
    for number in 0..5 {
        central.http.enter("edge-1", &format!("29A1234{number}"));
    }
    central.http.enter("edge-1", "30E99999");
    central.http.leave("edge-1", "30E99999");
    assert_eq!(central.http.history("search=29a-12").len(), 5);
    assert_eq!(central.http.history("search=9999").len(), 1);
    assert!(central.http.history("search=%25").is_empty(), "a search is text, not a pattern");
    assert_eq!(central.http.history("status=OUT").len(), 1);
    assert_eq!(central.http.history("in_parking_only=true").len(), 5);
    assert_eq!(central.http.history("today_only=true").len(), 6);
    let pages: Vec<Value> =
        [0, 2, 4].iter().flat_map(|offset| central.http.history(&format!("limit=2&offset={offset}"))).collect();
    let mut ids: Vec<&str> = pages.iter().map(|row| row["event_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((pages.len(), ids.len()), (6, 6));
    let state = central.http.get("/api/parking/state").ok();
    assert_eq!(state.body["vehicles_in_parking"].as_array().unwrap().len(), 5);
    let stats = central.http.stats();
    assert_eq!((&stats["entries_today"], &stats["exits_today"]), (&json!(6), &json!(1)), "{stats}");
}

/// One call with headers of its own, on a connection of its own; the whole answer.
fn raw(central: &Central, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(format!("{}:{API_PORT}", central.ip)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = body.len();
    let head =
        format!("POST {OPEN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_tariff_that_is_not_saved_can_be_tried() {
    let central = Central::standalone("central-1");
    let preview = |fees: serde_json::Value, entry: &str, exit: &str| {
        let body = json!({"fees": fees, "camera_type": "moto", "entry_time": entry, "exit_time": exit});
        central.http.post("/api/parking/fees/preview", &body)
    };
    let known = json!({"fee_base": 0.5, "fee_per_hour": 25_000});
    let reply = preview(known.clone(), "2026-11-22 07:00:00", "2026-11-22 09:31:00").ok();
    assert_eq!((reply.number("fee"), reply.field("duration")), (75_000, "2 giờ 31 phút"));
    assert_eq!(reply.number("duration_ms"), 9_060_000);
    let own =
        json!({"fee_base": 0.5, "fee_per_hour": 25_000, "types": {"moto": {"fee_base": 0, "fee_per_hour": 1_000}}});
    assert_eq!(preview(own, "2026-11-22 07:00:00", "2026-11-22 09:31:00").ok().number("fee"), 3_000);
    let wrong = preview(json!({"fee_base": 0.5, "fee_per_hour": -1}), "2026-11-22 07:00:00", "2026-11-22 08:00:00");
    assert_eq!(wrong.refused(400).field("field"), "fees.fee_per_hour");
    assert_eq!(preview(known.clone(), "07:00", "2026-11-22 08:00:00").refused(400).field("field"), "entry_time");
    let before = preview(known, "2026-11-22 08:00:00", "2026-11-22 07:00:00");
    assert_eq!(before.refused(400).field("field"), "exit_time");
    assert_eq!(central.http.get("/api/parking/fees").ok().field("source"), "default", "nothing was saved");
}
