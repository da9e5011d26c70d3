//! Why rows are as they are, told by real processes: the same on every central, byte for byte, with what only one central
//! knows (when it heard of a fact) beside it. And the history as a table for spreadsheets.
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
use common::{Central, DEADLINE, Http, Mesh};
use serde_json::{Value, json};

fn story(http: &Http, event_id: &str) -> Value {
    http.get(&format!("/api/parking/history/{event_id}/story")).ok().body
}

/// All that is told of a stay and must be equal everywhere, as text.
fn told(http: &Http, event_id: &str) -> String {
    let mut story = story(http, event_id);
    for fact in story["facts"].as_array_mut().unwrap() {
        let fact = fact.as_object_mut().unwrap();
        assert!(fact.remove("known").is_some() && fact.remove("known_ms").unwrap().is_i64(), "{fact:?}");
    }
    serde_json::to_string_pretty(&json!([story["facts"], story["anomalies"]])).unwrap()
}

fn forced(edge: &str, plate: &str, direction: &str, fee: Option<i64>) -> Value {
    let mut body = json!({"edge_id": edge, "plate_id": plate, "direction": direction, "force": true});
    if let Some(fee) = fee {
        body["fee"] = json!(fee);
    }
    body
}

#[test]
fn two_centrals_tell_every_conflict_in_the_same_words() {
    let mesh = Mesh::start(2);
    let (a, b) = (&mesh.centrals[0].http, &mesh.centrals[1].http);
    let both_out = a.enter("edge-1", "31C11111");
    let left_unseen = a.enter("edge-1", "32D22222");
    let renamed = a.enter("edge-1", "29A12346");
    mesh.wait_equal(DEADLINE);
    mesh.isolate(1);
    let kept = a.enter("edge-1", "30E99999");
    let lost = b.enter("edge-8", "30E99999");
    a.open(&forced("edge-2", "31C11111", "EXIT", Some(5_000))).ok();
    b.open(&forced("edge-9", "31C11111", "EXIT", Some(7_000))).ok();
    let again = b.open(&forced("edge-9", "32D22222", "ENTRY", None)).ok().field("event_id").to_owned();
    let alone = b.open(&forced("edge-9", "33F33333", "EXIT", Some(9_000))).ok().field("event_id").to_owned();
    b.correct(&renamed, &json!({"plate_id": "29A12345", "reason": "camera đọc nhầm", "by": "Lan"})).ok();
    a.void(&renamed, &json!({"reason": "xe nội bộ", "by": "Minh"})).ok();
    mesh.heal_all();
    mesh.wait_equal(DEADLINE);

    for event_id in [&both_out, &left_unseen, &renamed, &kept, &lost, &again, &alone] {
        assert_eq!(told(a, event_id), told(b, event_id), "{event_id}");
    }
    let of = |path: &str| {
        let listed = [a, b].map(|http| http.get(path).ok().body["anomalies"].clone());
        let words = |list: &Value| -> Vec<String> {
            let rows = list.as_array().unwrap().iter();
            let mut words: Vec<String> = rows.map(|row| json!([row["event_id"], row["told"]]).to_string()).collect();
            words.sort();
            words
        };
        assert_eq!(words(&listed[0]), words(&listed[1]), "{path}");
        listed[0].as_array().unwrap().clone()
    };
    let all = of("/api/parking/anomalies");
    assert!(all.len() >= 5 && all.iter().all(|row| !row["told"].as_array().unwrap().is_empty()), "{all:?}");
    let double = of("/api/parking/anomalies?kind=double_entry");
    assert_eq!(double.len(), 1);
    let sentence = double[0]["told"][0]["vi"].as_str().unwrap();
    assert!(sentence.starts_with("Giữ lượt vào cổng edge-1 (central-1) "), "{sentence}");
    assert!(sentence.contains("; lượt vào cổng edge-8 (central-2) "), "{sentence}");
    assert_eq!(of("/api/parking/anomalies?search=31C&kind=double_exit").len(), 1);
    assert_eq!(of("/api/parking/anomalies?gate=central-2/edge-9&kind=exit_without_entry")[0]["event_id"], json!(alone));
}

#[test]
fn a_story_says_who_when_and_since_when_it_is_known_here() {
    let mesh = Mesh::start(2);
    let (a, b) = (&mesh.centrals[0].http, &mesh.centrals[1].http);
    mesh.isolate(1);
    let event_id = a.enter("edge-1", "29A12345");
    a.close("edge-1", "29A12345").ok();
    a.leave("edge-2", "29A12345");
    mesh.heal_all();
    mesh.wait_equal(DEADLINE);
    let (here, there) = (story(a, &event_id), story(b, &event_id));
    assert_eq!(here["row"]["event_id"], json!(event_id));
    let facts = here["facts"].as_array().unwrap();
    let outcomes: Vec<&Value> = facts.iter().map(|fact| &fact["outcome"]).collect();
    assert_eq!(outcomes, ["opened", "confirmed", "closed"]);
    for (fact, elsewhere) in facts.iter().zip(there["facts"].as_array().unwrap()) {
        assert_eq!((&fact["central"], &fact["author"]), (&json!("central-1"), &json!("central-1")), "{fact}");
        let known = |fact: &Value| fact["known_ms"].as_i64().unwrap();
        assert_eq!(known(fact), fact["time_ms"].as_i64().unwrap(), "written down as it happened");
        assert!(known(elsewhere) > known(fact), "it travelled: {elsewhere}");
        assert!(fact["fact"].as_str().unwrap().starts_with("central-1/"));
    }
    assert_eq!(facts[2]["edge_id"], "edge-2");
    a.get("/api/parking/history/nobody/story").refused(404);
    for wrong in ["kind=x", "limit=0", "limit=201", "from=x", "to=2026-99-01", "cursor=x"] {
        a.get(&format!("/api/parking/anomalies?{wrong}")).refused(400);
    }
    // It left at once, and nothing else is wrong.
    let quick = a.get("/api/parking/anomalies").ok();
    let kinds: Vec<_> =
        quick.body["anomalies"].as_array().unwrap().iter().map(|row| row["anomalies"].clone()).collect();
    assert_eq!(
        (kinds, &quick.body["quarantined"], &quick.body["waiting"]),
        (vec![json!(["quick_exit"])], &json!(0), &json!(0))
    );
    for kind in ["quarantined", "waiting"] {
        assert_eq!(a.get(&format!("/api/parking/anomalies?kind={kind}")).ok().body["anomalies"], json!([]));
    }
}

#[test]
fn the_history_is_found_by_gate_time_and_anomaly() {
    let central = Central::standalone("central-1");
    let http = &central.http;
    http.enter("edge-1", "29A12345");
    http.enter("edge-2", "30E99999");
    http.leave("edge-3", "30E99999");
    http.open(&forced("edge-4", "31C11111", "EXIT", Some(9_000))).ok();
    let day = http.history("limit=1")[0]["entry_time"].as_str().unwrap()[..10].to_owned();
    let next = http.get("/api/status").ok().body["central"]["time"].as_str().unwrap().to_owned();
    for (query, count) in [
        ("gate=central-1/edge-1".to_owned(), 1),
        ("gate=central-1/edge-3".to_owned(), 1),
        ("gate=central-1".to_owned(), 3),
        ("gate=central-2".to_owned(), 0),
        ("anomaly=any".to_owned(), 2),
        ("anomaly=quick_exit&gate=central-1/edge-3".to_owned(), 1),
        ("anomaly=exit_without_entry&gate=central-1/edge-4".to_owned(), 1),
        ("anomaly=double_exit".to_owned(), 0),
        (format!("from={day}&to={day}"), 3),
        (format!("by=entry&from={day}&to={day}"), 3),
        (format!("by=exit&from={day}&to={day}"), 2),
        ("by=exit&from=2020-01-01&to=2020-01-02".to_owned(), 0),
        (format!("from={day}T00:00&to={}", next.replace(' ', "T").replace(":", "%3A")), 3),
        ("from=2020-01-01&to=2020-01-02".to_owned(), 0),
        ("to=0".to_owned(), 0),
        ("status=OUT&entries_only=true&gate=central-1".to_owned(), 2),
    ] {
        // Entries of this very second are before the next one.
        let found = http.history(&query).len();
        assert!(
            found == count || query.contains("T00%3A00") || query.contains("T00:00") && found <= count,
            "{query}: {found}"
        );
    }
    for wrong in ["status=GONE", "anomaly=strange", "from=soon", "to=1.5", "cursor=1", "by=gate"] {
        http.get(&format!("/api/parking/history?{wrong}")).refused(400);
    }
    http.get("/api/parking/history.csv?lang=de").refused(400);
    http.get("/api/parking/history.csv?separator=%7C").refused(400);
}

#[test]
fn the_figures_of_a_day_are_those_of_the_site_and_of_each_gate() {
    let central = Central::standalone("central-1");
    let http = &central.http;
    http.enter("edge-1", "29A12345");
    http.open(&forced("edge-4", "31C11111", "EXIT", Some(9_000))).ok();
    let today = http.get("/api/stats").ok().body;
    let day = today["day"].as_str().unwrap();
    assert_eq!(http.get(&format!("/api/stats?day={day}")).ok().body, today);
    let gate = |edge: &str, entries: u64, exits: u64, revenue: u64| json!({"central": "central-1", "edge_id": edge, "entries": entries, "exits": exits, "revenue": revenue});
    assert_eq!(today["gates"], json!([gate("edge-1", 1, 0, 0), gate("edge-4", 0, 1, 9_000)]));
    assert_eq!(today["revenue_today"], 9_000);
    let long_ago = http.get("/api/stats?day=2020-02-29").ok().body;
    assert_eq!((&long_ago["revenue_today"], &long_ago["gates"]), (&json!(0), &json!([])));
    for wrong in ["2020-02-30", "yesterday", "20200229", "2020-02-29 07:00:00"] {
        http.get(&format!("/api/stats?day={}", wrong.replace(' ', "%20").replace(':', "%3A"))).refused(400);
    }
}

#[test]
fn the_table_for_spreadsheets_has_every_row_and_runs_nothing() {
    const CARS: usize = 2_300;
    let central = Central::standalone("central-1");
    let http = &central.http;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for number in (thread..CARS).step_by(8) {
                    http.enter(&format!("edge-{thread}"), &format!("29A{number:05}"));
                }
            });
        }
    });
    let formula = json!({"edge_id": "edge-1", "plate_id": "30E99999", "plate_view": "-30E99999", "direction": "ENTRY"});
    http.open(&formula).ok();
    let table = http.get("/api/parking/history.csv");
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    assert!(
        table.headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment; filename=\"parkmesh-central-1-")
    );
    assert!(table.text.starts_with("\u{feff}Biển số,Mã biển số,"), "{:?}", table.text.get(..40));
    let lines: Vec<&str> = table.text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + CARS + 1);
    // A plate that reads as 30·10^99999 stays a text, too.
    assert!(lines[1].starts_with("'-30E99999,'30E99999,"), "{}", lines[1]);
    let mut plates: Vec<&str> = lines[2..].iter().map(|line| line.split(',').nth(1).unwrap()).collect();
    plates.sort_unstable();
    plates.dedup();
    assert_eq!(plates.len(), CARS);
    let few = http.get("/api/parking/history.csv?search=29A0001&lang=en&separator=%3B");
    assert!(few.text.starts_with("\u{feff}Plate;Plate id;") && few.text.matches("\r\n").count() == 11, "{}", few.text);
    // Someone who stops reading harms nobody.
    let mut stream = TcpStream::connect(format!("{}:{API_PORT}", central.ip)).unwrap();
    stream.write_all(b"GET /api/parking/history.csv HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut some = [0; 100];
    stream.read_exact(&mut some).unwrap();
    assert!(some.starts_with(b"HTTP/1.1 200"));
    http.leave("edge-1", "29A00000");
    drop(stream);
    http.leave("edge-1", "29A00001");
}
