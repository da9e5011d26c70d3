//! What a person at a gate meets.

use parkmesh::domain::money::Vnd;
use parkmesh::domain::subscription::Subscription;
use parkmesh::domain::tariff::Tariff;
use parkmesh::ledger::job::Job;
use serde_json::json;

use crate::common::{Central, DEADLINE, Mesh, eventually, eventually_some};
use crate::ledger_support as ledger;
use crate::ledger_support::{DAY_MS, HOUR_MS, MINUTE_MS, P, Q, entry, exit};

#[test]
fn d01_the_documented_calls_work_as_written() {
    let mut mesh = Mesh::new(2);
    // A hundred times real: the ten seconds in which a press by state is taken for a second one are a tenth of one.
    mesh.fast_clock(100);
    mesh.start_all();
    let (a, b) = (&mesh.centrals[0].http, &mesh.centrals[1].http);

    let seen = a
        .post(
            "/api/edge/detection",
            &json!({"edge_id": "edge-1", "plate_id": "29A12345", "plate_view": "29A-123.45", "camera_type": "car",
                    "direction": "ENTRY", "confidence": 0.95}),
        )
        .ok();
    assert_eq!(seen.body["vehicle_info"]["already_inside"], false, "{}", seen.text);

    let entered = a.open(&json!({"edge_id": "edge-1", "plate_id": "29A12345", "plate_view": "29A-123.45"})).ok();
    assert_eq!(entered.field("action"), "ENTRY");
    assert!(entered.number("history_id") > 0);
    let event_id = entered.field("event_id").to_owned();
    assert!(event_id.starts_with("central-1_") && event_id.ends_with("_29A12345"), "{event_id}");

    eventually("the entry is readable at B", DEADLINE, || b.rows_of("29A12345").len() == 1);
    let left = eventually_some("the car may leave at B", DEADLINE, || {
        let reply = b.open(&json!({"edge_id": "edge-8", "plate_id": "29A12345", "action": "open"}));
        if reply.status == 409 { None } else { Some(reply.ok()) }
    });
    assert_eq!((left.field("action"), left.field("event_id")), ("EXIT", event_id.as_str()));
    assert!(left.number("fee") >= 0 && left.field("duration").contains("phút"), "{}", left.text);

    let out = eventually_some("the exit is readable at A", DEADLINE, || {
        a.rows_of("29A12345").into_iter().find(|row| row["status"] == "OUT")
    });
    assert_eq!((&out["event_id"], &out["fee"]), (&json!(event_id), &json!(left.number("fee"))));
    let status = a.p2p_status();
    assert_eq!((&status["this_central"], &status["total_peers"]), (&json!("central-1"), &json!(1)), "{status}");
    assert_eq!((&status["running"], &status["connected_peers"]), (&json!(true), &json!(1)), "{status}");
    mesh.wait_equal(DEADLINE);
}

#[test]
fn d14_a_second_press_is_the_same_press() {
    let central = Central::standalone("central-1");
    let press = json!({"edge_id": "edge-1", "plate_id": "29A12345"});
    let first = central.http.open(&press).ok();
    assert!(!first.flag("repeated"));
    for _ in 0..3 {
        let again = central.http.open(&press).ok();
        assert!(again.flag("repeated"), "{}", again.text);
        for field in ["action", "event_id", "history_id"] {
            assert_eq!(again.body[field], first.body[field], "{field}");
        }
    }
    // Another gate, by state, within ten seconds of the entry: never an exit.
    let elsewhere = central.http.open(&json!({"edge_id": "edge-2", "plate_id": "29A12345"})).refused(409);
    assert!(elsewhere.headers.contains_key("retry-after"));
    let rows = central.http.rows_of("29A12345");
    assert_eq!((rows.len(), &rows[0]["status"]), (1, &json!("IN")));

    // Who says EXIT means it; twice is once.
    let left = central.http.press("edge-1", "29A12345", "EXIT").ok();
    let again = central.http.press("edge-1", "29A12345", "EXIT").ok();
    assert!(again.flag("repeated") && again.body["fee"] == left.body["fee"], "{}", again.text);
    assert_eq!(again.body["event_id"], left.body["event_id"]);
    assert_eq!(central.http.stats()["exits_today"], 1);
}

fn subscriber(plate: &str) -> Subscription {
    Subscription {
        id: "s-1".to_owned(),
        plate_number: plate.to_owned(),
        owner_name: "Nguyễn Văn A".to_owned(),
        kind: "monthly".to_owned(),
        status: "active".to_owned(),
        start_date: "2024-01-01".to_owned(),
        end_date: "2030-12-31".to_owned(),
        phone: String::new(),
        note: String::new(),
    }
}

/// The central charged whom the edge let out for nothing, and its daily cap was one for the whole stay.
#[test]
fn d17_a_subscriber_pays_nothing_and_the_cap_is_per_day() {
    let mut central = ledger::Central::new(0);
    central.ask(Job::PutSubscriptions(vec![subscriber("29A-123.45")])).unwrap();
    let mut tariff = Tariff::default();
    tariff.base.fee_daily_max = Vnd(100_000);
    central.ask(Job::PutTariff(tariff)).unwrap();
    central.enters(entry("edge-1", P));
    central.enters(entry("edge-1", Q));
    central.wait(5 * HOUR_MS);
    assert_eq!(central.exits(exit("edge-2", P)).1, 0);
    central.wait(3 * DAY_MS - 5 * HOUR_MS);
    assert_eq!(central.exits(exit("edge-2", Q)).1, 300_000, "three days at the most for a day");
}

#[test]
fn d32_a_duration_is_whole_minutes_and_never_negative() {
    let mut central = ledger::Central::new(0);
    central.enters(entry("edge-1", P));
    central.wait(91 * MINUTE_MS);
    assert_eq!(central.exits(exit("edge-2", P)).2, "1 giờ 31 phút");
    central.enters(entry("edge-1", Q));
    // The clock of the gate is set back: nobody owes anything for that, and somebody is to look.
    central.wait(-10 * MINUTE_MS);
    let (stay, fee, duration) = central.exits(exit("edge-2", Q));
    assert_eq!((fee, duration.as_str()), (0, "0 giờ 0 phút"));
    assert!(central.row(&stay).anomalies.iter().any(|anomaly| anomaly.name() == "fee_uncertain"));
}

#[test]
fn d43_nonsense_is_no_tariff_and_the_gate_goes_on_with_the_old_one() {
    let central = Central::standalone("central-1");
    central.http.enter("edge-1", "29A12345");
    let before = central.http.get("/api/parking/fees").ok().body["fees"].clone();
    for wrong in [
        json!({"fee_base": "x"}),
        json!({"fee_base": -1}),
        json!({"fee_per_hour": 2.5}),
        json!({"fee_per_hour": null}),
        json!({"fee_daily_max": 1e300}),
        json!([]),
        json!("free"),
    ] {
        central.http.put("/api/parking/fees", &json!({"fees": wrong})).refused(400);
    }
    assert_eq!(central.http.get("/api/parking/fees").ok().body["fees"], before);
    central.http.leave("edge-2", "29A12345");
}
