//! Money that came in, told by a bank's adapter to one central of two: known at both, matched by id or by what the transfer says, kept
//! whatever it fits, and shown as what it is to the stay.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::central::API_PORT;
use common::dashboard::Dashboard;
use common::{Central, DEADLINE, Http, Mesh, eventually};
use serde_json::{Value, json};

const PASSWORD: &str = "ba con voi";

/// An administrator and an operator in person, and the bank's adapter with a token.
fn callers(central: &Central) -> (Http, Http, Http) {
    let body = json!({"code": central.first_code(), "name": "sep", "password": PASSWORD});
    let sep = central.http.with("Cookie", central.http.post("/api/access/code", &body).ok().cookie());
    sep.post("/api/access/people", &json!({"name": "lan", "role": "operator", "password": PASSWORD})).ok();
    let lan = central.http.post("/api/access/login", &json!({"name": "lan", "password": PASSWORD})).ok();
    let lan = central.http.with("Cookie", lan.cookie());
    let token = sep.post("/api/access/tokens", &json!({"name": "bank", "role": "operator"})).ok();
    let bank = central.http.with("Authorization", format!("Bearer {}", token.field("token")));
    (sep, lan, bank)
}

fn mesh() -> Mesh {
    let mut mesh = Mesh::new(2);
    for central in &mut mesh.centrals {
        central.security("admin", "password");
    }
    mesh.start_all();
    mesh
}

/// The state of each payment of today, by reference.
fn states(central: &Central, query: &str) -> Vec<(String, String)> {
    let told = central.http.get(&format!("/api/payments{query}")).ok().body;
    let payments = told["payments"].as_array().unwrap().iter();
    let text = |payment: &Value, name: &str| payment[name].as_str().unwrap().to_owned();
    let mut states: Vec<_> = payments.map(|one| (text(one, "reference"), text(one, "state"))).collect();
    states.sort();
    states
}

fn leave(central: &Central, plate: &str, fee: i64, paid: &Value) {
    let exit = json!({
        "edge_id": "edge-2", "plate_id": plate, "direction": "EXIT", "force": true, "reason": "thử", "fee": fee, "paid": paid,
    });
    central.http.open(&exit).ok();
}

#[test]
fn what_a_bank_tells_is_known_everywhere_and_is_to_each_stay_what_its_exit_says() {
    let mut mesh = mesh();
    let (sep, lan, bank) = callers(&mesh.centrals[0]);
    let (one, two) = (&mesh.centrals[0], &mesh.centrals[1]);
    let plates = ["29A00001", "29A00002", "29A00003", "29A00004", "29A00005"];
    let stays = plates.map(|plate| two.http.enter("edge-1", plate));
    eventually("the first knows the cars", DEADLINE, || one.http.stats()["vehicles_in_parking"] == 5);
    let content =
        |stay: &str| one.http.get(&format!("/api/vietqr?fee=20000&event_id={stay}")).ok().field("content").to_owned();

    let mut feed = Dashboard::open(&format!("{}:{API_PORT}", two.ip), "");
    let text = format!("MBVCB.63.{}.CT tu 0011", content(&stays[0]).to_lowercase());
    let told = json!({"reference": "FT1", "amount": "20.000", "method": "chuyển khoản", "text": text});
    let kept = bank.post("/api/payments", &told).ok();
    assert_eq!((kept.field("stay"), kept.flag("repeated")), (stays[0].as_str(), false), "{}", kept.text);
    feed.until("the payment at the other central", |message| {
        let lines = message["events"].as_array().cloned().unwrap_or_default();
        lines.iter().any(|line| {
            line["kind"] == "payment"
                && line["stay"] == stays[0].as_str()
                && line["fee"] == 20_000
                && line["by"] == "token:bank"
        })
    });
    assert!(bank.post("/api/payments", &told).ok().flag("repeated"), "told again it is the same");
    let other = json!({"reference": "FT1", "amount": 20_000, "stay": stays[1]});
    assert_eq!(bank.post("/api/payments", &other).refused(409).field("code"), "reference_reused");

    for (reference, stay, amount) in
        [("FT2", &stays[1], 20_000), ("FT3", &stays[2], 15_000), ("FT4", &stays[3], 20_000)]
    {
        bank.post("/api/payments", &json!({"reference": reference, "amount": amount, "stay": stay})).ok();
    }
    let unknown = bank.post("/api/payments", &json!({"reference": "FT9", "amount": 20_000, "text": "xe may"})).ok();
    assert_eq!(unknown.body["stay"], Value::Null, "{}", unknown.text);
    eventually("all is known at the other", DEADLINE, || states(two, "").len() == 5);
    let inside = |reference: &str| (reference.to_owned(), "waiting".to_owned());
    assert_eq!(states(two, "")[..4], ["FT1", "FT2", "FT3", "FT4"].map(inside));

    // As the gate page says it; as a code of ours was scanned; less than was taken; in cash; and a transfer that comes too late.
    leave(two, plates[0], 20_000, &json!({"method": "transfer", "amount": 20_000, "reference": "FT1"}));
    leave(two, plates[1], 20_000, &json!({"method": "qr", "amount": 20_000, "reference": content(&stays[1])}));
    leave(two, plates[2], 20_000, &json!({"method": "transfer", "amount": 15_000, "reference": "FT3"}));
    leave(two, plates[3], 20_000, &json!({"method": "cash", "amount": 20_000}));
    leave(two, plates[4], 20_000, &json!({"method": "cash", "amount": 20_000}));
    eventually("the exits are known", DEADLINE, || one.http.stats()["exits_today"] == 5);
    let late = json!({"reference": "FT5", "amount": 20_000, "text": content(&stays[4])});
    assert_eq!(bank.post("/api/payments", &late).ok().field("stay"), stays[4], "it is found although the car has left");

    let expected = [
        ("FT1", "settled"),
        ("FT2", "settled"),
        ("FT3", "other_amount"),
        ("FT4", "left"),
        ("FT5", "left"),
        ("FT9", "unknown"),
    ];
    let expected: Vec<_> = expected.map(|(reference, state)| (reference.to_owned(), state.to_owned())).into();
    for central in [one, two] {
        eventually("the same at both", DEADLINE, || states(central, "") == expected);
        assert_eq!(states(central, "?odd=true"), expected[2..]);
        let story = central.http.get(&format!("/api/parking/history/{}/story", stays[3])).ok().body;
        assert_eq!(story["payments"][0]["state"], "left", "{story}");
        assert_eq!(central.http.stats()["revenue_today"], 95_000, "what was taken is what exits say");
    }
    for (who, status) in [(&one.http, 401), (&lan, 403)] {
        who.post("/api/payments", &json!({"reference": "x", "amount": 1_000})).refused(status);
    }
    let wrong = bank.post("/api/payments", &json!({"amount": 0})).refused(400);
    assert_eq!(wrong.field("code"), "invalid_field", "{}", wrong.text);
    // A person says what it is for, and nobody has to look any more; another amount under one reference has to be looked at.
    let told = one.http.get("/api/payments").ok().body;
    let fact = |reference: &str| {
        let mut payments = told["payments"].as_array().unwrap().iter();
        payments.find(|one| one["reference"] == reference).unwrap()["fact"].as_str().unwrap().replace('/', "%2F")
    };
    let path = |reference: &str| format!("/api/payments/{}/assign", fact(reference));
    let of_stay = json!({"stay": stays[4], "reason": "khách gọi"});
    assert_eq!(sep.post(&path("FT9"), &of_stay).ok().body["payment"]["state"], "left");
    sep.post(&path("FT4"), &json!({"done": true, "reason": "đã trả lại"})).ok();
    assert_eq!(sep.post(&path("FT9"), &of_stay).refused(409).field("code"), "unchanged");
    lan.post(&path("FT5"), &of_stay).refused(403);
    sep.post("/api/payments/nothing/assign", &of_stay).refused(404);
    sep.post(&path("FT5"), &json!({"stay": "nowhere", "reason": "x"})).refused(404);
    for wrong in [json!({"stay": stays[4]}), json!({"stay": stays[4], "done": true, "reason": "x"})] {
        assert_eq!(sep.post(&path("FT5"), &wrong).refused(400).field("code"), "invalid_field");
    }
    bank.post("/api/payments", &json!({"reference": "FT8", "amount": 7_000, "stay": stays[0]})).ok();
    assert!(bank.post("/api/payments", &json!({"reference": "FT8", "amount": 8_000})).ok().flag("conflict"));
    let odd = [("FT3", "other_amount"), ("FT5", "left"), ("FT8", "left"), ("FT8", "conflict")];
    let mut odd: Vec<_> = odd.map(|(reference, state)| (reference.to_owned(), state.to_owned())).into();
    odd.sort();
    for central in [one, two] {
        eventually("the same at both", DEADLINE, || states(central, "?odd=true") == odd);
        let story = central.http.get(&format!("/api/parking/history/{}/story", stays[4])).ok().body;
        let references: Vec<_> = story["payments"].as_array().unwrap().iter().map(|one| &one["reference"]).collect();
        assert_eq!(references, ["FT9", "FT5"], "{story}");
        let table = central.http.get("/api/payments.csv?lang=vi").text;
        assert!(
            table.contains("FT4") && table.contains("đã trả lại") && table.contains("Tiền đã về, đã xử lý xong"),
            "{table}"
        );
        assert_eq!(table.lines().count(), 9, "{table}");
    }
    // Said while the car was inside, which left for cash then: nobody knew of that.
    let inside = two.http.enter("edge-1", "29A00006");
    eventually("the first knows the car", DEADLINE, || one.http.stats()["vehicles_in_parking"] == 1);
    let kept = bank.post("/api/payments", &json!({"reference": "FT7", "amount": 20_000})).ok();
    let of_it = json!({"stay": inside, "reason": "khách gọi"});
    let path = format!("/api/payments/{}/assign", kept.field("fact").replace('/', "%2F"));
    assert_eq!(sep.post(&path, &of_it).ok().body["payment"]["state"], "waiting");
    leave(two, "29A00006", 20_000, &json!({"method": "cash", "amount": 20_000}));
    odd.push(("FT7".to_owned(), "left".to_owned()));
    odd.sort();
    for central in [one, two] {
        eventually("it has to be looked at", DEADLINE, || states(central, "?odd=true") == odd);
    }
    assert_eq!(sep.post(&path, &of_it).ok().body["payment"]["odd"], false, "said again by who knows");
    let expected = states(one, "");
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 6);
    drop(feed);
    mesh.centrals[0].kill9();
    mesh.centrals[0].start();
    assert_eq!(states(&mesh.centrals[0], ""), expected, "after a power cut");
    mesh.centrals[0].terminate();
    let verified = mesh.centrals[0].subcommand("verify").output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    assert!(mesh.centrals[0].subcommand("rebuild").output().unwrap().status.success());
    mesh.centrals[0].start();
    assert_eq!(states(&mesh.centrals[0], ""), expected, "made anew from the events");
}

/// The exits that say they were paid by transfer and are in doubt: reference, what no bank told, and how many others have that reference.
fn claimed(central: &Central, from: &str) -> Vec<(String, i64, usize)> {
    let told = central.http.get(&format!("/api/payments/claimed?from={from}&to=2099-01-01")).ok().body;
    let one = |exit: &Value| {
        let others = exit["same_reference"].as_array().unwrap().len();
        (exit["reference"].as_str().unwrap_or("-").to_owned(), exit["missing"].as_i64().unwrap(), others)
    };
    let mut all: Vec<_> = told["exits"].as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

#[test]
fn a_transfer_that_no_bank_told_and_a_reference_of_two_cars_are_listed() {
    let mesh = mesh();
    let (_, _, bank) = callers(&mesh.centrals[0]);
    let (one, two) = (&mesh.centrals[0], &mesh.centrals[1]);
    let now_ms = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let (then_ms, just_now_ms) = (now_ms - 20 * 60_000, now_ms - 60_000);
    let day = parkmesh::domain::time::SiteZone::default().day(then_ms);
    let left = |plate: &str, at_ms: i64, paid: Value| {
        let told = json!({"edge_id": "edge-2", "plate_id": plate, "direction": "EXIT", "timestamp": at_ms, "fee": 20_000, "paid": paid});
        two.http.post("/api/edge/event", &told).ok();
        eventually("the exit is known", DEADLINE, || !one.http.rows_of(plate).is_empty());
        one.http.rows_of(plate)[0]["event_id"].as_str().unwrap().to_owned()
    };
    let by = |reference: &str| json!({"method": "transfer", "amount": 20_000, "reference": reference});
    let told = left("29A10001", then_ms, by("FT1"));
    left("29A10002", then_ms, by("FT2"));
    left("29A10003", then_ms, json!([{"method": "cash"}, {"method": "qr", "amount": 5_000, "reference": "FT3"}]));
    left("29A10004", just_now_ms, by("FT4"));
    left("29A10005", then_ms, json!({"method": "cash"}));
    let (fifth, sixth) = (left("29A10006", then_ms, by("FT5")), left("29A10007", then_ms, by("FT5")));
    assert_ne!(fifth, sixth);
    let twice = ("FT5".to_owned(), 0, 1);
    assert_eq!(claimed(one, &day), [twice.clone(), twice], "as long as no bank tells anything, nothing is missing");
    bank.post("/api/payments", &json!({"reference": "FT1", "amount": 20_000, "stay": told})).ok();
    bank.post("/api/payments", &json!({"reference": "FT5", "amount": 20_000, "stay": fifth})).ok();
    let of = |reference: &str, missing, others| (reference.to_owned(), missing, others);
    let expected = [of("FT2", 20_000, 0), of("FT3", 5_000, 0), of("FT5", 0, 1), of("FT5", 20_000, 1)];
    for central in [one, two] {
        eventually("the same at both", DEADLINE, || claimed(central, &day) == expected);
    }
    bank.post(
        "/api/payments",
        &json!({"reference": "FT2", "amount": 15_000, "stay": one.http.rows_of("29A10002")[0]["event_id"]}),
    )
    .ok();
    eventually("what came is taken off", DEADLINE, || claimed(two, &day)[0] == of("FT2", 5_000, 0));
}
