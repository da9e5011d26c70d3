//! Shifts and takings on real processes: two operators at two centrals, a cut, what comes late, corrections and removals; sheets and
//! takings are the same on both, to the đồng, and a closed sheet stays as it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;

use common::{Central, DEADLINE, Http, Mesh, eventually};
use serde_json::{Value, json};

const PASSWORD: &str = "ba con voi";

/// A caller at a central that is logged in, by name: `sep` administers, `chi` leads shifts, the others work at gates.
fn people(central: &Central) -> BTreeMap<&'static str, Http> {
    let body = json!({"code": central.first_code(), "name": "sep", "password": PASSWORD});
    let sep = central.http.with("Cookie", central.http.post("/api/access/code", &body).ok().cookie());
    let mut all = BTreeMap::new();
    for (name, role) in [("lan", "operator"), ("an", "operator"), ("chi", "shift_lead")] {
        sep.post("/api/access/people", &json!({"name": name, "role": role, "password": PASSWORD})).ok();
        let reply = central.http.post("/api/access/login", &json!({"name": name, "password": PASSWORD})).ok();
        all.insert(name, central.http.with("Cookie", reply.cookie()));
    }
    all.insert("sep", sep);
    all
}

/// A car that comes in and leaves for `fee`; its stay.
fn visit(http: &Http, edge: &str, plate: &str, fee: i64, method: &str) -> String {
    let stay = http.enter(edge, plate);
    let exit = json!({
        "edge_id": edge, "plate_id": plate, "direction": "EXIT", "force": true, "reason": "thử", "fee": fee,
        "paid": {"method": method, "amount": fee}, "camera_type": if fee % 10_000 == 0 { "car" } else { "moto" },
    });
    http.open(&exit).ok();
    stay
}

fn sheet(http: &Http, id: &str) -> Value {
    http.get(&format!("/api/shifts/{id}")).ok().body
}

/// The takings of today by shift, and that they are those without it and those of `/api/stats`.
fn takings_by_shift(http: &Http) -> BTreeMap<String, (i64, i64)> {
    let (plain, told) = (http.get("/api/takings").ok().body, http.get("/api/takings?by=shift").ok().body);
    let stats = http.stats();
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut cells: [BTreeMap<String, (i64, i64)>; 2] = Default::default();
    for (cell, answer) in cells.iter_mut().zip([&plain, &told]) {
        assert_eq!(
            (&answer["exits"], &answer["revenue"]),
            (&stats["exits_today"], &stats["revenue_today"]),
            "{answer}"
        );
        for row in answer["takings"].as_array().unwrap() {
            let key =
                ["central", "edge_id", "by", "method", "camera_type"].map(|part| row[part].as_str().unwrap()).join("|");
            let sum = cell.entry(key).or_default();
            *sum = (sum.0 + row["exits"].as_i64().unwrap(), sum.1 + row["revenue"].as_i64().unwrap());
        }
    }
    assert_eq!(cells[0], cells[1], "told apart by shift they sum to the same");
    for row in told["takings"].as_array().unwrap() {
        let sum = sums.entry(row["shift"].as_str().unwrap_or("none").to_owned()).or_default();
        *sum = (sum.0 + row["exits"].as_i64().unwrap(), sum.1 + row["revenue"].as_i64().unwrap());
    }
    sums
}

#[test]
fn sheets_and_takings_of_two_operators_at_two_centrals_are_the_same_on_both_to_the_dong() {
    let mut mesh = Mesh::new(2);
    for central in &mut mesh.centrals {
        central.security("admin", "password");
    }
    mesh.start_all();
    let (first, second) = (people(&mesh.centrals[0]), people(&mesh.centrals[1]));
    let open = |http: &Http, cash: i64| {
        http.post("/api/shifts", &json!({"edge_id": "edge-1", "opening_cash": cash})).ok().body["shift"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let close = |http: &Http, id: &str, cash: i64| {
        http.post(&format!("/api/shifts/{id}/close"), &json!({"counted_cash": cash}))
    };
    let (lans, ans) = (open(&first["lan"], 500_000), open(&second["an"], 0));
    let in_the_way = first["chi"].post("/api/shifts", &json!({"edge_id": "edge-1"})).refused(409);
    assert_eq!(
        (in_the_way.field("code"), in_the_way.field("person"), in_the_way.field("shift")),
        ("shift_open", "lan", &*lans)
    );
    let corrected = visit(&first["lan"], "edge-1", "29A00001", 20_000, "cash");
    visit(&first["lan"], "edge-1", "29A00002", 5_000, "cash");
    visit(&mesh.centrals[0].http, "edge-1", "29A00003", 7_000, "qr");
    let removed = visit(&second["an"], "edge-1", "30B00001", 40_000, "transfer");
    visit(&second["an"], "edge-1", "30B00002", 10_000, "cash");
    mesh.wait_equal(DEADLINE);
    mesh.isolate(0);
    visit(&first["lan"], "edge-1", "29A00004", 30_000, "cash");
    // A shift lead at the other central gives back a part of what Lan took; another removes what An took.
    let right = json!({"fee": 15_000, "reason": "tính nhầm giờ"});
    second["chi"].correct(&corrected, &right).ok();
    first["chi"].void(&removed, &json!({"reason": "xe nội bộ"})).ok();
    let closed = close(&first["lan"], &lans, 560_000).ok().body;
    let figures = &closed["shift"]["figures"];
    assert_eq!(
        (&figures["exits"], &figures["revenue"], &figures["entries"]),
        (&json!(4), &json!(62_000), &json!(4)),
        "{closed}"
    );
    assert_eq!((&closed["shift"]["expected_cash"], &closed["shift"]["difference"]), (&json!(555_000), &json!(5_000)));
    assert_eq!(closed["shift"]["addendum"], Value::Null);
    assert_eq!(close(&first["lan"], &lans, 1).refused(409).field("code"), "shift_closed");
    assert_eq!(close(&second["an"], "central-2_edge-9_1", 1).refused(404).field("code"), "not_found");
    // The gate's program tells of a car that left while the shift was open.
    let told_ms = closed["shift"]["until_ms"].as_i64().unwrap() - 1;
    let late = json!({"type": "VEHICLE_EXIT", "edge_id": "edge-1", "timestamp": told_ms,
                      "data": {"plate_id": "29A00009", "fee": 9_000, "paid": {"method": "cash", "amount": 9_000}}});
    mesh.centrals[0].http.post("/api/edge/event", &late).ok();
    mesh.heal_all();
    mesh.wait_equal(DEADLINE);
    // Only the central of a gate closes its shift; a shift lead does it for who went home, and the sheet says who.
    eventually("An's shift is known at both", DEADLINE, || {
        first["chi"].get(&format!("/api/shifts/{ans}")).is_success()
    });
    assert_eq!(close(&first["chi"], &ans, 1).refused(409).field("code"), "shift_elsewhere");
    assert_eq!(close(&second["lan"], &ans, 1).refused(403).field("code"), "forbidden");
    let by_lead = close(&second["chi"], &ans, 10_000).ok().body;
    assert_eq!((&by_lead["shift"]["person"], &by_lead["shift"]["closed_by"]), (&json!("an"), &json!("chi")));
    assert_eq!((&by_lead["shift"]["figures"]["revenue"], &by_lead["shift"]["difference"]), (&json!(10_000), &json!(0)));
    let next = open(&second["lan"], 10_000);
    visit(&second["lan"], "edge-1", "30B00003", 8_000, "cash");
    mesh.centrals[1].kill9();
    mesh.start_all();
    mesh.wait_equal(DEADLINE);

    let [here, there] = [&mesh.centrals[0].http, &mesh.centrals[1].http];
    eventually("both know the last shift", DEADLINE, || here.get(&format!("/api/shifts/{next}")).is_success());
    for id in [&lans, &ans, &next] {
        assert_eq!(sheet(here, id), sheet(there, id), "{id}");
    }
    let lans_sheet = sheet(there, &lans);
    assert_eq!(lans_sheet["shift"]["figures"], closed["shift"]["figures"], "a closed sheet stays");
    assert_eq!(lans_sheet["shift"]["difference"], closed["shift"]["difference"]);
    let addendum = &lans_sheet["shift"]["addendum"];
    assert_eq!((&addendum["exits"], &addendum["revenue"]), (&json!(1), &json!(9_000 - 5_000)), "{lans_sheet}");
    let (now, difference) = (&lans_sheet["shift"]["expected_cash_now"], &lans_sheet["shift"]["difference_now"]);
    assert_eq!((now, difference), (&json!(559_000), &json!(1_000)), "{lans_sheet}");
    let late = lans_sheet["late"].as_array().unwrap();
    let told: Vec<_> =
        late.iter().map(|fact| (fact["kind"].as_str().unwrap(), fact["amount"].as_i64().unwrap())).collect();
    assert_eq!(told, [("exit", 9_000), ("correction", -5_000)]);
    assert_eq!((&late[1]["by"], &late[1]["reason"]), (&json!("chi"), &json!("tính nhầm giờ")));
    assert_eq!((&late[1]["before"], &late[1]["after"]), (&json!(20_000), &json!(15_000)));
    assert_eq!(lans_sheet["late_otherwise"], 0);
    // How it was paid was told wrong: no sum changes, and the drawer does.
    let by_qr = json!({"paid": "qr", "reason": "khách chuyển khoản"});
    first["chi"].correct(&corrected, &by_qr).ok();
    mesh.wait_equal(DEADLINE);
    let anew = sheet(there, &lans);
    assert_eq!(
        (&anew["shift"]["addendum"]["revenue"], &anew["shift"]["difference_now"]),
        (&json!(4_000), &json!(16_000))
    );
    let of_way = |fact: &&Value| !fact["method_after"].is_null();
    let way = anew["late"].as_array().unwrap().iter().find(of_way).expect("the way is corrected");
    assert_eq!(
        (&way["amount"], &way["method"], &way["method_after"]),
        (&json!(0), &json!("cash"), &json!("qr")),
        "{way}"
    );
    let table = there.get("/api/shifts.csv?lang=en").text;
    assert!(table.contains(&format!("{lans},-11000,544000,16000")), "{table}");
    let (ours, theirs) = (takings_by_shift(here), takings_by_shift(there));
    assert_eq!(ours, theirs);
    let expected =
        BTreeMap::from([(lans.clone(), (5, 66_000)), (ans.clone(), (1, 10_000)), (next.clone(), (1, 8_000))]);
    assert_eq!(ours, expected);
    let day = here.get("/api/shifts").ok().body;
    let of_day: Vec<_> =
        day["shifts"].as_array().unwrap().iter().map(|shift| shift["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(of_day, [lans.clone(), ans.clone(), next.clone()]);
    let open_now = there.get("/api/shifts?open=1").ok().body;
    assert_eq!(open_now["shifts"].as_array().unwrap().len(), 1, "{open_now}");
    for (gate, count) in [("central-2/edge-1", 1), ("central-2", 1), ("central-1", 0), ("central-2/edge-2", 0)] {
        let open = there.get(&format!("/api/shifts?open=1&gate={gate}")).ok().body;
        assert_eq!(open["shifts"].as_array().unwrap().len(), count, "{gate}");
    }
    let exits = there.get(&format!("/api/shifts/{lans}/exits?limit=3")).ok().body;
    let rest = there.get(&format!("/api/shifts/{lans}/exits?limit=3&offset={}", exits["next_offset"])).ok().body;
    let all: Vec<_> = [&exits, &rest].iter().flat_map(|page| page["exits"].as_array().unwrap().clone()).collect();
    assert_eq!((all.len(), &rest["next_offset"]), (5, &Value::Null));
    let collected: i64 = all.iter().map(|exit| exit["collected"].as_i64().unwrap()).sum();
    assert_eq!(collected, 66_000);
    assert_eq!((&all[0]["fee"], &all[0]["collected"], &all[0]["by"]), (&json!(20_000), &json!(15_000), &json!("lan")));
}

/// A day at one lane with a camera and a barrier of their own ids: all money is in the shift of who stands there, and what was not taken is not
/// in the drawer.
#[test]
fn the_drawer_of_a_lane_holds_what_was_taken_at_all_its_devices() {
    let mut central = Central::new("central-1");
    central.security("admin", "password");
    central.config["edges"] = json!([{"id": "edge-1", "lane": "out"}, {"id": "cam-1", "lane": "out"}]);
    central.start();
    let people = people(&central);
    let (lan, chi, program) = (&people["lan"], &people["chi"], &central.http);
    let opening = json!({"edge_id": "edge-1", "opening_cash": 100_000});
    let opened = lan.post("/api/shifts", &opening).ok().body;
    assert_eq!(opened["shift"]["lane_edges"], json!(["cam-1"]), "{opened}");
    let id = opened["shift"]["id"].as_str().unwrap().to_owned();
    let same = program.get("/api/shifts?open=1&gate=central-1/cam-1").ok().body;
    assert_eq!(same["shifts"][0]["id"], id.as_str(), "{same}");
    // Each owes 25,000.
    let leave = |edge: &str, plate: &str, paid: &Value| {
        program.enter("edge-9", plate);
        let exit = json!({
            "edge_id": edge, "plate_id": plate, "direction": "EXIT", "force": true, "reason": "thử", "fee": 25_000, "paid": paid,
        });
        (if edge == "edge-1" { lan } else { program }).open(&exit).ok().body
    };
    leave("edge-1", "29A00001", &json!("cash"));
    leave("cam-1", "29A00002", &Value::Null);
    let short = leave("edge-1", "29A00003", &json!({"method": "cash", "amount": 10_000}));
    assert_eq!(short["fee"], 10_000, "{short}");
    assert!(short["notes"].to_string().contains("15.000 đ chưa thu"), "{short}");
    leave("edge-1", "29A00004", &json!("free"));
    leave("edge-1", "29A00005", &json!([{"method": "transfer", "amount": 5_000, "reference": "FT1"}, "cash"]));
    // More than anybody has is kept, and is no fee.
    leave("edge-1", "29A00006", &json!({"method": "transfer", "amount": 250_000_000, "reference": "FT2"}));
    let figures = &sheet(program, &id)["shift"];
    let ways = |figures: &Value| -> BTreeMap<String, i64> {
        let ways = figures["methods"].as_array().unwrap().iter();
        ways.map(|way| (way["method"].as_str().unwrap().to_owned(), way["revenue"].as_i64().unwrap())).collect()
    };
    let expected = [("", 25_000), ("cash", 55_000), ("free", 0), ("transfer", 30_000)];
    let expected: BTreeMap<_, _> = expected.map(|(way, sum)| (way.to_owned(), sum)).into();
    assert_eq!(ways(&figures["figures"]), expected, "{figures}");
    assert_eq!((&figures["expected_cash"], &figures["figures"]["exits"]), (&json!(180_000), &json!(6)), "{figures}");
    assert_eq!(takings_by_shift(program), BTreeMap::from([(id.clone(), (6, 110_000))]));
    // Whoever has to look finds those that were not paid as they were due, with what is missing.
    let odd = program.get("/api/parking/history?anomaly=fee_uncertain").ok().body;
    let odd = odd["history"].as_array().unwrap().iter();
    let odd: BTreeMap<_, _> =
        odd.map(|row| (row["plate_id"].as_str().unwrap(), row["unpaid"].as_i64().unwrap())).collect();
    assert_eq!(odd, BTreeMap::from([("29A00003", 15_000), ("29A00004", 25_000), ("29A00006", 0)]));
    // A table of one way of payment sums to that way.
    let table = program.get("/api/parking/history.csv?method=transfer&lang=en&separator=%3B").text;
    let column = table.lines().next().unwrap().split(';').position(|head| head == "Collected (VND)").unwrap();
    let sum: i64 = table.lines().skip(1).map(|line| line.split(';').nth(column).unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(sum, 30_000, "{table}");
    // It was counted wrongly, and a lead finds that one had paid after all.
    lan.post(&format!("/api/shifts/{id}/close"), &json!({"counted_cash": 100_000})).ok();
    let stay = program.get("/api/parking/history?search=29A00003").ok().body["history"][0]["event_id"].clone();
    let path = format!("/api/parking/history/{}", stay.as_str().unwrap());
    chi.put(&path, &json!({"fee": 25_000, "reason": "khách quay lại trả"})).ok();
    chi.post(&format!("/api/shifts/{id}/recount"), &json!({"counted_cash": 190_000, "reason": "đếm sót"})).ok();
    let told = &sheet(program, &id)["shift"];
    assert_eq!(
        ["difference", "expected_cash_now", "difference_now"].map(|field| told[field].as_i64()),
        [Some(-80_000), Some(195_000), Some(-5_000)],
        "{told}"
    );
}

#[test]
fn nobody_opens_or_closes_in_anothers_name() {
    let mut central = Central::new("central-1");
    central.security("admin", "password");
    central.start();
    let people = people(&central);
    let opening = json!({"edge_id": "edge-1", "person": "an", "by": "an"});
    assert_eq!(central.http.post("/api/shifts", &opening).refused(401).field("code"), "login_required");
    let token = people["sep"].post("/api/access/tokens", &json!({"name": "kiosk", "role": "administrator"})).ok();
    let token = central.http.with("Authorization", format!("Bearer {}", token.field("token")));
    assert_eq!(token.post("/api/shifts", &opening).refused(400).field("code"), "invalid", "a shift is a person's");
    let shift = people["lan"].post("/api/shifts", &opening).ok().body["shift"].clone();
    assert_eq!(shift["person"], "lan");
    for (body, field) in [
        (json!({}), "counted_cash"),
        (json!({"counted_cash": -1}), "counted_cash"),
        (json!({"counted_cash": 10_000_000_001_i64}), "counted_cash"),
        (json!({"counted_cash": 1, "note": "x".repeat(501)}), "note"),
    ] {
        let path = format!("/api/shifts/{}/close", shift["id"].as_str().unwrap());
        assert_eq!(people["lan"].post(&path, &body).refused(400).field("field"), field, "{body}");
    }
    for (body, field) in [(json!({}), "edge_id"), (json!({"edge_id": "edge-2", "opening_cash": -5}), "opening_cash")] {
        assert_eq!(people["lan"].post("/api/shifts", &body).refused(400).field("field"), field, "{body}");
    }
    // Under another id nobody could close it.
    let other_id = json!({"this_central": {"id": "central-9"}});
    let refused = people["sep"].put("/api/p2p/config", &other_id).refused(400);
    assert!(refused.text.contains("shift_open") && refused.text.contains("this_central.id"), "{}", refused.text);
    let path = format!("/api/shifts/{}/close", shift["id"].as_str().unwrap());
    people["lan"].post(&path, &json!({"counted_cash": 0})).ok();
    // Nothing was known of any gate so far; now one works here.
    central.http.enter("edge-1", "29A00001");
    let made_up = people["an"].post("/api/shifts", &json!({"edge_id": "edge-8"})).refused(400);
    assert_eq!(made_up.field("field"), "edge_id");
    assert!(made_up.field("error").ends_with("its gates: edge-1"), "{}", made_up.body);
    people["sep"].put("/api/p2p/config", &other_id).ok();
}
