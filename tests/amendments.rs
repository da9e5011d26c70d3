//! Corrections and removals by people, against real processes: what they answer, what they refuse, what they leave after
//! a kill, and that every central agrees about them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::{Central, DEADLINE, Mesh, eventually};
use serde_json::{Value, json};

fn row(central: &Central, plate: &str) -> Value {
    let rows = central.http.rows_of(plate);
    assert_eq!(rows.len(), 1, "{plate}");
    rows[0].clone()
}

#[test]
fn a_corrected_plate_leaves_as_itself_and_outlives_a_kill() {
    let mut central = Central::standalone("central-1");
    let event_id = central.http.enter("edge-1", "29A12346");
    let said = json!({"plate_id": "29A12345", "reason": "camera đọc nhầm số cuối", "by": "Lan"});
    let corrected = central.http.correct(&event_id, &said).ok();
    assert_eq!((corrected.field("event_id"), corrected.field("status")), (event_id.as_str(), "IN"));
    assert_eq!((corrected.field("plate_id"), corrected.field("plate_view")), ("29A12345", "29A-123.45"));
    assert!(corrected.field("version").starts_with("central-1/"), "{}", corrected.text);
    central.kill9();
    central.start();
    assert!(central.http.rows_of("29A12346").is_empty());
    let held = row(&central, "29A12345");
    assert_eq!((&held["event_id"], &held["plate_view"]), (&json!(event_id), &json!("29A-123.45")));
    central.http.press("edge-2", "29A12346", "EXIT").refused(409);
    central.http.leave("edge-2", "29A12345");
    assert_eq!(row(&central, "29A12345")["status"], "OUT");
}

#[test]
fn no_day_takes_in_less_than_nothing_when_the_site_moves_to_another_zone() {
    let central = Central::standalone("central-1");
    let zone = |name: &str| central.http.put("/api/p2p/config", &json!({"site": {"time_zone": name}})).ok();
    let figures = || ["entries_today", "exits_today", "revenue_today"].map(|name| central.http.stats()[name].clone());
    // Somewhere between these two it is another day, whenever this runs.
    for (from, to) in [("Pacific/Midway", "Pacific/Kiritimati"), ("Pacific/Kiritimati", "Pacific/Midway")] {
        zone(from);
        let event_id = central.http.enter("edge-1", "29A12345");
        let exit =
            json!({"edge_id": "edge-2", "plate_id": "29A12345", "direction": "EXIT", "force": true, "fee": 50_000});
        central.http.open(&exit).ok();
        assert_eq!(figures(), [json!(1), json!(1), json!(50_000)]);
        zone(to);
        assert_eq!(figures(), [json!(1), json!(1), json!(50_000)], "it was a moment ago, so it was today");
        central.http.void(&event_id, &json!({"reason": "x"})).ok();
        assert_eq!(figures(), [json!(0), json!(0), json!(0)]);
    }
}

#[test]
fn a_removed_stay_is_kept_as_void_and_its_money_is_gone() {
    let central = Central::standalone("central-1");
    let event_id = central.http.enter("edge-1", "29A12345");
    let exit = json!({"edge_id": "edge-2", "plate_id": "29A12345", "direction": "EXIT", "force": true, "fee": 25_000});
    central.http.open(&exit).ok();
    assert_eq!(central.http.stats()["revenue_today"], 25_000);
    let gone = central.http.void(&event_id, &json!({"reason": "xe của nhân viên", "by": "Lan"})).ok();
    assert_eq!(gone.field("status"), "VOID");
    let stats = central.http.stats();
    assert_eq!(
        (&stats["entries_today"], &stats["exits_today"], &stats["revenue_today"]),
        (&json!(0), &json!(0), &json!(0))
    );
    let held = row(&central, "29A12345");
    assert_eq!((&held["status"], &held["collected"], &held["exit_time"]), (&json!("VOID"), &json!(0), &Value::Null));
    assert_eq!(central.http.history("status=VOID").len(), 1);
    assert_eq!(central.http.void(&event_id, &json!({"reason": "x"})).refused(409).field("code"), "already_void");
    let late = json!({"plate_id": "30E99999", "reason": "x"});
    assert_eq!(central.http.correct(&event_id, &late).refused(409).field("code"), "already_void");
}

#[test]
fn a_corrected_way_of_payment_is_shown_found_and_summed_at_every_central() {
    let mesh = Mesh::start(2);
    let gate = &mesh.centrals[0].http;
    let stay = gate.enter("edge-1", "29A12345");
    let left = json!({"edge_id": "edge-2", "plate_id": "29A12345", "direction": "EXIT", "force": true, "fee": 25_000,
        "paid": "cash"});
    gate.open(&left).ok();
    let paid = json!({"method": "transfer", "reference": "FT24336"});
    gate.correct(&stay, &json!({"paid": paid, "reason": "bấm nhầm tiền mặt"})).ok();
    gate.correct(&stay, &json!({"paid": paid, "reason": "lại"})).refused(409);
    for central in &mesh.centrals {
        let http = &central.http;
        eventually("the correction is here", DEADLINE, || http.history("method=transfer").len() == 1);
        let held = row(central, "29A12345");
        assert_eq!(held["paid"], json!({"method": "transfer", "amount": 25_000, "reference": "FT24336"}));
        assert_eq!(held["collected"], 25_000);
        assert!(http.history("method=cash").is_empty());
        let takings = http.get("/api/takings").ok();
        let by_method: Vec<_> = takings.body["takings"].as_array().unwrap().iter().collect();
        assert_eq!(by_method.len(), 1, "{}", takings.text);
        assert_eq!((&by_method[0]["method"], &by_method[0]["revenue"]), (&json!("transfer"), &json!(25_000)));
        let story = http.get(&format!("/api/parking/history/{stay}/story")).ok();
        let said = story.body["facts"].as_array().unwrap().last().unwrap().clone();
        assert!(said["vi"].as_str().unwrap().starts_with("Sửa cách trả từ Tiền mặt thành Chuyển khoản"), "{said}");
        assert_eq!(said["reason"], "bấm nhầm tiền mặt");
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_says_what_to_do() {
    let central = Central::standalone("central-1");
    let event_id = central.http.enter("edge-1", "29A12345");
    let before = central.http.p2p_status()["events"].clone();
    let wrong_field = |body: Value, field: &str| {
        let refused = central.http.correct(&event_id, &body).refused(400);
        assert_eq!((refused.field("code"), refused.field("field")), ("invalid_field", field), "{body}");
    };
    wrong_field(json!({"reason": "x"}), "plate_id");
    wrong_field(json!({"plate_id": "29A1", "reason": "x"}), "plate_id");
    wrong_field(json!({"plate_id": "29A1234?", "reason": "x"}), "plate_id");
    wrong_field(json!({"plate_id": "30E99999"}), "reason");
    wrong_field(json!({"plate_id": "30E99999", "reason": "  "}), "reason");
    wrong_field(json!({"plate_id": "30E99999", "reason": "x".repeat(501)}), "reason");
    wrong_field(json!({"plate_id": "30E99999", "plate_view": "29A-123.45", "reason": "x"}), "plate_view");
    let vietnamese = central.http.correct(&event_id, &json!({"plate_id": "30E99999"})).refused(400);
    assert_eq!(vietnamese.body["problems"][0]["message_vi"], "hãy ghi lý do", "{}", vietnamese.text);
    for body in
        [json!([]), json!("x"), json!({"plate_id": 7, "reason": "x"}), json!({"plate_id": "30E99999", "reason": 1})]
    {
        central.http.correct(&event_id, &body).refused(400);
    }
    assert_eq!(
        central.http.correct(&event_id, &json!({"plate_id": "29a-123.45", "reason": "x"})).refused(409).field("code"),
        "unchanged"
    );
    let good = json!({"plate_id": "30E99999", "reason": "x"});
    for unknown in ["1", "central-1_0_29A12345", "%00", "a%2Fb", "%F0%9F%9A%97"] {
        central.http.correct(unknown, &good).refused(404);
        central.http.void(unknown, &good).refused(404);
    }
    central.http.void(&event_id, &json!({})).refused(400);
    // A body is declared as JSON here too.
    central.http.delete(&format!("/api/parking/history/{event_id}")).refused(415);
    central.http.get(&format!("/api/parking/history/{event_id}")).refused(405);
    assert_eq!(central.http.p2p_status()["events"], before, "nothing was written");
    assert_eq!(row(&central, "29A12345")["status"], "IN");
}

#[test]
fn both_centrals_agree_whoever_changed_what_and_in_whatever_order_it_arrived() {
    let mesh = Mesh::start(2);
    let (a, b) = (&mesh.centrals[0].http, &mesh.centrals[1].http);
    let wrong = a.enter("edge-1", "29A12346");
    let twice = a.enter("edge-1", "30E99999");
    let visit = a.enter("edge-1", "31C11111");
    mesh.wait_equal(DEADLINE);
    // A change made elsewhere than the entry is known here at once.
    b.correct(&wrong, &json!({"plate_id": "29A12345", "reason": "đọc nhầm"})).ok();
    eventually("the correction reaches A", DEADLINE, || a.rows_of("29A12345").len() == 1);
    a.leave("edge-1", "29A12345");

    mesh.isolate(1);
    // Each side changes the same stay, and one removes what the other lets out.
    a.correct(&twice, &json!({"plate_id": "30E11111", "reason": "bên A"})).ok();
    b.correct(&twice, &json!({"plate_id": "30E22222", "reason": "bên B"})).ok();
    a.void(&visit, &json!({"reason": "ghi nhầm"})).ok();
    b.open(&json!({"edge_id": "edge-8", "plate_id": "31C11111", "direction": "EXIT", "force": true, "fee": 9_000}))
        .ok();
    mesh.heal_all();
    let history = mesh.wait_equal(DEADLINE);

    let corrected = history.row(&twice).unwrap();
    assert!(corrected["plate_id"] == "30E11111" || corrected["plate_id"] == "30E22222", "{corrected}");
    assert_eq!(history.row(&visit).unwrap()["status"], "VOID");
    // The money a gate took without knowing of the removal is counted and shown.
    let alone: Vec<&Value> =
        history.rows().filter(|row| row["plate_id"] == "31C11111" && row["status"] == "OUT").collect();
    assert_eq!(alone.len(), 1, "{alone:?}");
    assert!(alone[0]["anomalies"].as_array().unwrap().contains(&json!("exit_without_entry")));
    for http in [a, b] {
        assert_eq!(http.stats()["revenue_today"], 9_000);
    }
}

#[test]
fn type_and_fee_are_corrected_and_a_removal_is_undone_over_the_wire_and_everywhere() {
    let mesh = Mesh::start(2);
    let (a, b) = (&mesh.centrals[0], &mesh.centrals[1]);
    let event_id = a.http.enter("edge-1", "29A12345");
    let exit = json!({"edge_id": "edge-2", "plate_id": "29A12345", "direction": "EXIT", "force": true, "fee": 25_000});
    a.http.open(&exit).ok();
    eventually("it left, there too", DEADLINE, || b.http.rows_of("29A12345").iter().any(|row| row["status"] == "OUT"));
    let said = json!({"camera_type": "xe máy", "fee": 5_000, "reason": "nhầm loại xe"});
    let answer = b.http.correct(&event_id, &said).ok();
    assert_eq!((&answer.body["camera_type"], &answer.body["collected"]), (&json!("moto"), &json!(5_000)));
    assert_eq!(b.http.correct(&event_id, &said).refused(409).field("code"), "unchanged");
    eventually("corrected", DEADLINE, || a.http.stats()["revenue_today"] == 5_000);
    let held = row(a, "29A12345");
    assert_eq!(
        (&held["camera_type"], &held["fee"], &held["collected"]),
        (&json!("moto"), &json!(25_000), &json!(5_000))
    );
    let story = a.http.get(&format!("/api/parking/history/{event_id}/story")).ok();
    let told = story.body["facts"].to_string();
    for words in [
        "Sửa loại xe thành Xe máy; Sửa số tiền đã thu từ 25.000 đ thành 5.000 đ",
        "Amount collected corrected from 25,000 đ to 5,000 đ",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    a.http.void(&event_id, &json!({"reason": "nhầm"})).ok();
    let restored = a.http.correct(&event_id, &json!({"void": false, "reason": "hủy nhầm"})).ok();
    assert_eq!((restored.field("status"), &restored.body["collected"]), ("OUT", &json!(5_000)));
    // What it took is the same before the removal has arrived.
    let digest = |central: &Central| central.http.p2p_status()["digest"].clone();
    eventually("restored, there too", DEADLINE, || digest(a).is_string() && digest(a) == digest(b));
    assert_eq!(b.http.stats()["revenue_today"], 5_000);
    assert_eq!(row(b, "29A12345")["status"], "OUT");
}
