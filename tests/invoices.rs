//! An invoice program is told of each exit once, whatever fails on the way, and what it answers is known everywhere; what is corrected later is
//! told it, too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::receiver::{Heard, Receiver};
use common::{Central, DEADLINE, Mesh, eventually, eventually_some};
use serde_json::{Value, json};

const PORT: u16 = 28_910;
/// How long what waits after an attempt that came to nothing may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// An invoice program as it should be: each key once, and of each document the amount that its invoices come to.
#[derive(Default)]
struct Program {
    /// The number given to each key.
    numbers: BTreeMap<String, String>,
    /// By exit.
    amounts: BTreeMap<String, i64>,
}

impl Program {
    fn numbered(&mut self, heard: &Heard) -> String {
        let key = heard.header("idempotency-key").to_owned();
        assert_eq!(heard.body["key"], key.as_str());
        let next = format!("1C26MAA-{}", self.numbers.len() + 1);
        if !self.numbers.contains_key(&key) {
            let text = |name: &str| heard.body[name].as_str().unwrap_or_default().to_owned();
            let (exit, before) = (text("exit"), &heard.body["before"]["amount"]);
            assert_eq!(before.as_i64(), self.amounts.get(&exit).copied(), "{}", heard.body);
            self.amounts.insert(exit, heard.body["amount"].as_i64().unwrap());
        }
        let number = self.numbers.entry(key).or_insert(next);
        format!(r#"{{"number": "{number}", "code": "M1-26-{number}"}}"#)
    }
}

/// It answers every exit.
fn program() -> (Receiver, Arc<Mutex<Program>>) {
    let (receiver, program) = (Receiver::start(PORT), Arc::<Mutex<Program>>::default());
    answers_all(&receiver, &program);
    (receiver, program)
}

fn answers_all(receiver: &Receiver, program: &Arc<Mutex<Program>>) {
    let program = program.clone();
    receiver.answers_by(move |heard| Some((200, program.lock().unwrap().numbered(heard))));
}

fn settings(receiver: &Receiver) -> Value {
    json!({"url": receiver.url(), "token": "secret-7", "from": "2026-01-01", "after_seconds": 0})
}

fn leave(central: &Central, plate: &str, fee: i64, paid: &Value) {
    let exit = json!({
        "edge_id": "edge-2", "plate_id": plate, "direction": "EXIT", "force": true, "reason": "thử", "fee": fee, "paid": paid,
    });
    central.http.open(&exit).ok();
}

/// The invoices of the newest stay of a plate: number and amount.
fn invoices(central: &Central, plate: &str) -> Vec<(String, i64)> {
    let rows = central.http.rows_of(plate);
    let of_row = |row: &Value| row["invoices"].as_array().cloned().unwrap_or_default();
    let told = rows.first().map(of_row).unwrap_or_default();
    let text = |told: &Value| told["number"].as_str().unwrap_or("-").to_owned();
    told.iter().map(|told| (text(told), told["amount"].as_i64().unwrap())).collect()
}

fn state(central: &Central) -> Value {
    central.http.get("/api/status").ok().body["central"]["invoices"].clone()
}

/// The amounts of an exit's lines and ways sum to what was taken.
fn sums_up(body: &Value) -> bool {
    let sum =
        |list: &str| body[list].as_array().unwrap().iter().map(|one| one["amount"].as_i64().unwrap()).sum::<i64>();
    let amount = body["amount"].as_i64().unwrap();
    (sum("lines"), if amount == 0 { 0 } else { sum("paid") }) == (amount, amount)
}

#[test]
fn each_exit_is_told_once_and_what_is_corrected_is_told_too_wherever_that_was() {
    let (receiver, program) = program();
    let mut mesh = Mesh::new(2);
    mesh.centrals[0].config["invoices"] = settings(&receiver);
    mesh.start_all();
    mesh.wait_linked(DEADLINE);
    let (one, two) = (&mesh.centrals[0], &mesh.centrals[1]);
    let stay = one.http.enter("edge-1", "29A00001");
    leave(
        one,
        "29A00001",
        25_000,
        &json!([
            {"method": "cash", "amount": 15_000}, {"method": "transfer", "amount": 10_000, "reference": "FT1"},
        ]),
    );
    let told = eventually_some("the exit is told", DEADLINE, || receiver.all().first().cloned());
    assert_eq!(told.header("authorization"), "Bearer secret-7");
    let body = &told.body;
    assert_eq!(
        (&body["kind"], &body["stay"], &body["plate_id"], &body["amount"], &body["central"], &body["gate"]),
        (&json!("exit"), &json!(stay), &json!("29A00001"), &json!(25_000), &json!(one.id), &json!("edge-2")),
        "{body}"
    );
    assert!(sums_up(body) && body["entered"]["ms"].is_i64() && body["left"]["text"].is_string(), "{body}");
    assert_eq!(body["paid"][1], json!({"method": "transfer", "amount": 10_000, "reference": "FT1"}));
    let number = |number: usize, amount: i64| (format!("1C26MAA-{number}"), amount);
    for central in [one, two] {
        eventually("its number is known", DEADLINE, || invoices(central, "29A00001") == [number(1, 25_000)]);
    }
    // What costs nothing has no invoice, until a person says what was taken; and so does what is not of this central.
    one.http.enter("edge-1", "29A00002");
    leave(one, "29A00002", 0, &Value::Null);
    two.http.enter("edge-1", "29A00003");
    leave(two, "29A00003", 30_000, &json!({"method": "cash"}));
    one.http.enter("edge-1", "29A00004");
    leave(one, "29A00004", 5_000, &json!({"method": "cash"}));
    eventually("the next is told", DEADLINE, || invoices(two, "29A00004") == [number(2, 5_000)]);
    let correct = |central: &Central, stay: &str, fee: i64| {
        central.http.correct(stay, &json!({"fee": fee, "reason": "nhầm"})).ok();
    };
    let stay_of =
        |central: &Central, plate: &str| central.http.rows_of(plate)[0]["event_id"].as_str().unwrap().to_owned();
    eventually("both know the free one", DEADLINE, || two.http.rows_of("29A00002")[0]["status"] == "OUT");
    correct(two, &stay_of(two, "29A00002"), 7_000);
    eventually("what was corrected elsewhere is told", DEADLINE, || invoices(two, "29A00002") == [number(3, 7_000)]);
    correct(two, &stay, 20_000);
    let both = [number(1, 25_000), number(4, 20_000)];
    eventually("a change is told", DEADLINE, || invoices(two, "29A00001") == both);
    let change = receiver.all().pop().unwrap().body;
    assert_eq!((&change["kind"], &change["amount"]), (&json!("change"), &json!(20_000)), "{change}");
    assert_eq!(change["before"], json!({"number": "1C26MAA-1", "code": "M1-26-1C26MAA-1", "amount": 25_000}));
    assert!(sums_up(&change), "{change}");
    one.http.void(&stay, &json!({"reason": "xe thử"})).ok();
    eventually("what was removed is told", DEADLINE, || {
        program.lock().unwrap().amounts.values().sum::<i64>() == 12_000
    });
    assert_eq!(receiver.all().pop().unwrap().body["amount"], 0);
    assert_eq!(invoices(two, "29A00003"), [], "nobody there has an invoice program");
    assert_eq!(receiver.all().len(), 5, "and nothing is told twice");
    let table = two.http.get("/api/parking/history.csv?lang=en").text;
    assert!(table.contains("1C26MAA-2"), "{table}");
    let state = eventually_some("nothing waits", DEADLINE, || Some(state(one)).filter(|state| state["waiting"] == 0));
    assert_eq!((&state["on"], &state["refused"], &state["failed"]), (&json!(true), &json!(0), &Value::Null), "{state}");
    assert_eq!(self::state(two)["on"], false);
    let shown = one.http.get("/api/p2p/config").text;
    assert!(!shown.contains("secret-7") && shown.contains(r#""invoice_secrets":["url","token"]"#), "{shown}");
    // What is made of the events is what it was, made anew.
    mesh.wait_equal(DEADLINE);
    let central = &mut mesh.centrals[0];
    central.terminate();
    for command in ["verify", "rebuild", "verify"] {
        let done = central.subcommand(command).output().unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }
    central.start();
    eventually("it looks again", DEADLINE, || self::state(central)["on"] == true);
    central.http.enter("edge-1", "29A00005");
    leave(central, "29A00005", 1_000, &json!({"method": "qr"}));
    eventually("the next is told", DEADLINE, || invoices(central, "29A00005") == [number(6, 1_000)]);
    assert_eq!(receiver.all().len(), 6, "and of the others nothing");
}

#[test]
fn what_was_not_answered_is_told_again_as_it_was_and_no_gate_waits() {
    let (receiver, program) = program();
    let mut central = Central::new("central-1");
    central.config["invoices"] = settings(&receiver);
    central.start();
    // It hears the first, and says nothing; then it is away.
    receiver.answers_by(|_| None);
    let plates: Vec<String> = (1..=5).map(|car| format!("30A0000{car}")).collect();
    for plate in &plates {
        central.http.enter("edge-1", plate);
    }
    leave(&central, &plates[0], 1_000, &json!({"method": "cash"}));
    eventually("it hears the first", DEADLINE, || !receiver.all().is_empty());
    receiver.kill();
    for plate in &plates[1..] {
        leave(&central, plate, 1_000, &json!({"method": "cash"}));
    }
    eventually("they wait", DEADLINE, || state(&central)["waiting"] == 5);
    let waiting = state(&central);
    assert!(waiting["failed"].is_string() && waiting["since_ms"].is_i64(), "{waiting}");
    let metrics = central.http.get("/metrics").text;
    assert!(metrics.contains("parkmesh_invoices_waiting 5"), "{metrics}");
    central.kill9();
    central.start();
    eventually("they wait after a kill, too", DEADLINE, || state(&central)["waiting"] == 5);
    // Under another id nobody would tell of them.
    let other_id = json!({"this_central": {"id": "central-9"}});
    let refused = central.http.put("/api/p2p/config", &other_id).refused(400);
    assert!(refused.text.contains("invoices_wait") && refused.text.contains("this_central.id"), "{}", refused.text);
    answers_all(&receiver, &program);
    receiver.revive();
    for plate in &plates {
        eventually("each has its number", PATIENCE, || invoices(&central, plate).len() == 1);
    }
    let heard = receiver.all();
    let again: Vec<&Heard> = heard.iter().filter(|one| one.body["plate_id"] == plates[0].as_str()).collect();
    assert!(again.len() > 1 && again.iter().all(|one| one.body == again[0].body), "{again:?}");
    assert_eq!(program.lock().unwrap().amounts.values().collect::<Vec<_>>(), [&1_000; 5]);
    // In the order of the log.
    let order: Vec<_> = heard[heard.len() - 5..].iter().map(|one| one.body["plate_id"].as_str().unwrap()).collect();
    assert_eq!(order, plates);
    eventually("none waits", DEADLINE, || state(&central)["waiting"] == 0);
    // One that is not even due yet would be nobody's, too.
    let after = |seconds: u32| {
        let mut invoices = settings(&receiver);
        invoices["after_seconds"] = json!(seconds);
        central.http.put("/api/p2p/config", &json!({"invoices": invoices})).ok();
    };
    after(3_600);
    central.http.enter("edge-1", "30A00009");
    leave(&central, "30A00009", 1_000, &json!({"method": "cash"}));
    let refused = central.http.put("/api/p2p/config", &other_id).refused(400);
    assert!(refused.text.contains("invoices_wait"), "{}", refused.text);
    after(0);
    eventually("it is told", PATIENCE, || invoices(&central, "30A00009").len() == 1);
    eventually("and nothing keeps the id", DEADLINE, || central.http.put("/api/p2p/config", &other_id).status == 200);
}

#[test]
fn an_exit_that_is_refused_waits_alone_and_is_shown_until_it_is_taken() {
    let (receiver, program) = program();
    let mut central = Central::new("central-1");
    central.config["invoices"] = settings(&receiver);
    central.start();
    let refusing = program.clone();
    receiver.answers_by(move |heard| match heard.body["plate_id"] == "30A00001" {
        true => Some((422, "biển số không hợp lệ".to_owned())),
        false => Some((200, refusing.lock().unwrap().numbered(heard))),
    });
    for plate in ["30A00001", "30A00002"] {
        central.http.enter("edge-1", plate);
        leave(&central, plate, 1_000, &json!({"method": "cash"}));
    }
    eventually("the other is told", DEADLINE, || invoices(&central, "30A00002").len() == 1);
    let waiting = state(&central);
    assert_eq!((&waiting["waiting"], &waiting["refused"]), (&json!(1), &json!(1)), "{waiting}");
    let mut feed = common::dashboard::Dashboard::open(&format!("{}:{}", central.ip, common::central::API_PORT), "");
    feed.until("it is shown", |message| message.to_string().contains(r#""code":"invoices""#));
    // After a start it is asked at once.
    central.kill9();
    receiver.answers(200, r#"{"number": null}"#);
    central.start();
    eventually("it makes none for it", DEADLINE, || invoices(&central, "30A00001") == [("-".to_owned(), 1_000)]);
    eventually("nothing waits", DEADLINE, || state(&central)["waiting"] == 0);
}
