//! Settings saved over HTTP: checked whole, written in one step, in force at once; and what else the HTTP side promises.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::central::{API_PORT, P2P_PORT};
use common::flood::Ends;
use common::{Central, DEADLINE, Http, eventually};
use serde_json::{Value, json};

const CONFIG: &str = "/api/p2p/config";
const PEERS: &str = "/api/p2p/peers";
/// Ports of the test that listens on every address; nobody else's.
const OTHER_API_PORT: u16 = 28_500;
const OTHER_P2P_PORT: u16 = 29_500;

fn config(central: &Central) -> Value {
    central.http.get(CONFIG).ok().body["config"].clone()
}

fn saved(central: &Central) -> Value {
    serde_json::from_slice(&fs::read(central.config_file()).unwrap()).unwrap()
}

#[test]
fn another_port_is_in_force_when_the_answer_comes() {
    let central = Central::standalone("central-1");
    let answer = central.http.put(CONFIG, &json!({"this_central": {"api_port": OTHER_API_PORT}})).ok();
    assert_eq!(answer.body["applied"], json!(["api_listener"]), "{}", answer.text);
    let moved = Http::new(format!("http://{}:{OTHER_API_PORT}", central.ip));
    moved.press("edge-1", "29A12345", "ENTRY").ok();
    eventually("the old port is let go", DEADLINE, || {
        Http::new(format!("http://{}:{API_PORT}", central.ip)).try_get("/healthz").is_err()
    });
    assert_eq!(saved(&central)["this_central"]["api_port"], OTHER_API_PORT);
    // And back, to every address, which overlaps the own socket.
    moved.put(CONFIG, &json!({"this_central": {"p2p_port": OTHER_P2P_PORT}, "bind": "0.0.0.0"})).ok();
    let everywhere = Http::new(format!("http://127.0.0.1:{OTHER_API_PORT}"));
    eventually("it answers on every address", DEADLINE, || everywhere.try_get("/readyz").is_ok_and(|r| r.is_success()));
    assert_eq!(everywhere.stats()["vehicles_in_parking"], 1);
}

#[test]
fn a_port_that_cannot_be_had_is_refused_and_the_old_one_stays() {
    let central = Central::standalone("central-1");
    let before = (config(&central), saved(&central));
    for field in ["api_port", "p2p_port"] {
        let taken = TcpListener::bind((central.ip.as_str(), 0)).unwrap();
        let put = json!({"this_central": {field: taken.local_addr().unwrap().port()}, "site": {"name": "B"}});
        let refused = central.http.put(CONFIG, &put).refused(400);
        assert_eq!(refused.field("field"), format!("this_central.{field}"));
        assert_eq!(refused.body["problems"][0]["code"], "cannot_listen");
    }
    assert_eq!((config(&central), saved(&central)), before);
    central.http.enter("edge-1", "29A12345");
}

#[test]
fn what_a_save_does_not_mention_stays_and_a_stale_one_is_refused() {
    let central = Central::standalone("central-1");
    let read = central.http.get(CONFIG).ok();
    let version = read.field("version").to_owned();
    let first = central.http.put(CONFIG, &json!({"site": {"name": "Bãi xe A"}, "version": version})).ok();
    assert_ne!(first.field("version"), version);
    let stale = central.http.put(CONFIG, &json!({"site": {"name": "C"}, "version": version})).refused(409);
    assert_eq!((stale.field("code"), stale.field("version")), ("stale_version", first.field("version")));
    let now = config(&central);
    assert_eq!(
        (&now["site"]["name"], &now["this_central"]),
        (&json!("Bãi xe A"), &read.body["config"]["this_central"])
    );
    let previous = fs::read_to_string(central.directory().join("p2p_config.json.previous")).unwrap();
    assert!(!previous.contains("Bãi xe A"), "the file before the save is kept: {previous}");
}

#[test]
fn a_file_that_cannot_be_written_changes_nothing() {
    let central = Central::standalone("central-1");
    // Where the copy of the previous file should go lies a directory.
    fs::create_dir(central.directory().join("p2p_config.json.previous")).unwrap();
    let before = (config(&central), saved(&central));
    let put = json!({"this_central": {"api_port": OTHER_API_PORT + 1}});
    assert_eq!(central.http.put(CONFIG, &put).refused(503).field("code"), "not_saved");
    assert_eq!((config(&central), saved(&central)), before);
    let there = Http::new(format!("http://{}:{}", central.ip, OTHER_API_PORT + 1));
    eventually("the prepared port is let go", DEADLINE, || there.try_get("/healthz").is_err());
    central.http.enter("edge-1", "29A12345");
}

#[test]
fn peers_are_added_changed_and_removed_one_by_one() {
    let central = Central::standalone("central-1");
    let add = |peer: Value| central.http.post(PEERS, &peer);
    let added = add(json!({"id": "central-2", "ip": "192.168.1.102"}));
    assert_eq!((added.status, &added.body["applied"]), (201, &json!(["peers_added"])), "{}", added.text);
    assert_eq!(add(json!({"id": "central-2", "ip": "192.168.1.103"})).refused(409).field("code"), "already_exists");
    assert_eq!(add(json!({"id": "central-1", "ip": "192.168.1.103"})).refused(400).field("code"), "invalid_field");
    add(json!({"ip": "192.168.1.103"})).refused(400);
    add(json!([])).refused(400);

    let path = format!("{PEERS}/central-2");
    central.http.put(&path, &json!({"p2p_port": 9100})).ok();
    assert_eq!(
        config(&central)["peer_centrals"],
        json!([{"id": "central-2", "ip": "192.168.1.102", "p2p_port": 9100}])
    );
    central.http.put(&path, &json!({"id": "central-3"})).refused(400);
    central.http.put(&format!("{PEERS}/central-9"), &json!({"p2p_port": 9100})).refused(404);
    central.http.put(&format!("{PEERS}/not_an_id"), &json!({"p2p_port": 9100})).refused(404);

    let status = central.http.p2p_status();
    assert_eq!((&status["total_peers"], &status["standalone_mode"]), (&json!(1), &json!(false)), "{status}");
    assert_eq!(status["peers"][0]["peer_id"], "central-2", "{status}");
    central.http.delete(&path).ok();
    central.http.delete(&path).refused(404);
    assert_eq!(saved(&central)["peer_centrals"], json!([]));
    assert_eq!(central.http.p2p_status()["standalone_mode"], true);
}

#[test]
fn the_name_of_the_site_is_never_read_under_the_version_of_another() {
    let central = Central::standalone("central-1");
    let (stop, said) = (AtomicBool::new(false), Mutex::new(BTreeMap::<String, String>::new()));
    let read = std::thread::scope(|scope| {
        let _ends = Ends(&stop);
        let reader = |http: Http| {
            let stop = &stop;
            scope.spawn(move || {
                let mut read = BTreeSet::new();
                while !stop.load(Ordering::Relaxed) {
                    let shown = http.get("/api/p2p/config").ok().body;
                    let name = shown["config"]["site"]["name"].as_str().unwrap_or_default().to_owned();
                    read.insert((shown["version"].as_str().unwrap().to_owned(), name));
                }
                read
            })
        };
        let readers = [reader(central.http.clone()), reader(central.http.clone())];
        for number in 0..40 {
            let name = format!("Bãi xe {number}");
            let saved = central.http.put("/api/p2p/config", &json!({"site": {"name": name}})).ok();
            said.lock().unwrap().insert(saved.field("version").to_owned(), name);
        }
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect::<BTreeSet<_>>()
    });
    let said = said.into_inner().unwrap();
    assert!(read.len() > 2, "{read:?}");
    for (version, name) in read {
        assert!(
            said.get(&version).is_none_or(|named| *named == name),
            "{name} under the version of {:?}",
            said[&version]
        );
    }
}

#[test]
fn a_test_of_a_link_says_how_far_it_came() {
    let central = Central::standalone("central-1");
    let nobody = TcpListener::bind((central.ip.as_str(), 0)).unwrap().local_addr().unwrap().port();
    central.http.post(PEERS, &json!({"id": "central-2", "ip": central.ip, "p2p_port": nobody}));
    let test = |query: &str| central.http.post(&format!("/api/p2p/test-connection{query}"), &json!({}));
    let failed = test("?peer_id=central-2").refused(400);
    assert_eq!(failed.field("code"), "peer_unreachable");
    let steps = failed.body["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["ok"], false, "{steps:?}");
    test("?peer_id=central-9").refused(404);
    test("").refused(400);
}

#[test]
fn a_lane_and_a_zone_are_in_force_at_once() {
    let central = Central::standalone("central-1");
    central.http.put(CONFIG, &json!({"edges": [{"id": "edge-out", "name": "Cổng ra", "direction": "EXIT"}]})).ok();
    let refused = central.http.open(&json!({"edge_id": "edge-out", "plate_id": "29A12345"})).refused(409);
    assert_eq!(refused.field("code"), "not_inside");
    central.http.put(CONFIG, &json!({"site": {"time_zone": "UTC"}})).ok();
    // Both are UTC now; of two rows in turn one at most is written when the minute of its entry is over.
    let rows = ["29A12345", "29A12346"].map(|plate| {
        central.http.enter("edge-1", plate);
        central.http.rows_of(plate).remove(0)
    });
    let is_of_one_minute = |row: &Value| {
        let minute = |name: &str| row[name].as_str().unwrap()[..16].to_owned();
        minute("entry_time") == minute("created_at")
    };
    assert!(rows.iter().any(is_of_one_minute), "{rows:?}");
}

#[test]
fn beyond_the_bound_of_requests_in_flight_gates_are_told_so_at_once() {
    let central = Central::standalone("central-1");
    central.http.put(CONFIG, &json!({"tuning": {"max_requests_in_flight": 1}})).ok();
    let (entered, busy) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (http, entered, busy) = (central.http.clone(), &entered, &busy);
            scope.spawn(move || {
                for number in 0..50 {
                    let reply = http.press("edge-1", &format!("29A{thread:02}{number:03}"), "ENTRY");
                    match reply.status {
                        200 => entered.fetch_add(1, Ordering::Relaxed),
                        503 => {
                            assert_eq!(reply.field("code"), "busy");
                            assert!(reply.headers.contains_key("retry-after"));
                            busy.fetch_add(1, Ordering::Relaxed)
                        }
                        other => panic!("{other}: {}", reply.text),
                    };
                }
            });
        }
    });
    let (entered, busy) = (entered.into_inner(), busy.into_inner());
    assert!(entered > 0 && busy > 0, "{entered} entered, {busy} turned away");
    assert_eq!(central.http.stats()["vehicles_in_parking"], entered);
    let metrics = || central.http.get("/metrics").text;
    assert!(metrics().contains(&format!("parkmesh_edge_refused_total {busy}")), "{}", metrics());
    // The last ones are let go when they have been answered.
    eventually("nothing is in flight", DEADLINE, || metrics().contains("parkmesh_edge_in_flight 0\n"));
}

#[test]
fn what_is_not_served_is_refused_in_the_same_shape() {
    let central = Central::standalone("central-1");
    let call = |method: &str, path: &str| central.http.send(method, path, None).unwrap();
    for path in ["/nothing", "/api/edge", "/static/none.js", "/docs/none.md", "/static/../Cargo.toml"] {
        assert_eq!(call("GET", path).refused(404).field("code"), "not_found", "{path}");
    }
    let wrong = call("DELETE", "/api/parking/fees").refused(405);
    assert_eq!(wrong.headers["allow"], "GET, PUT");
    call("GET", "/api/edge/barrier/open").refused(405);
    // The switch of the tests of supervision is off here.
    assert_eq!(call("POST", "/api/test/panic?actor=db_writer").refused(404).field("code"), "not_found");
    for query in
        ["limit=x", "limit=-2", "offset=-1", "today_only=perhaps", "cursor=x", &format!("search={}", "a".repeat(40))]
    {
        call("GET", &format!("/api/parking/history?{query}")).refused(400);
    }
}

#[test]
fn the_page_and_its_parts_are_served_from_the_program() {
    let central = Central::standalone("central-1");
    let page = central.http.get("/");
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'self'"));
    let parts: Vec<&str> = page.text.split(['"', '\'']).filter(|text| text.starts_with('/')).collect();
    assert!(parts.len() >= 5, "{parts:?}");
    for part in parts {
        // What follows a # is for the browser alone.
        let path = part.split('#').next().unwrap_or(part);
        assert_eq!(central.http.get(path).status, 200, "{part}");
    }
}

#[test]
fn a_page_of_history_leads_to_the_next() {
    let central = Central::standalone("central-1");
    for number in 0..7 {
        central.http.enter("edge-1", &format!("29A1234{number}"));
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = central.http.get(&format!("/api/parking/history?limit=3&cursor={cursor}")).ok();
        let rows = page.body["history"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["event_id"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let all: Vec<String> =
        central.http.history("limit=-1").iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((seen.len(), seen), (7, all));
}

#[test]
fn a_new_time_zone_says_that_the_past_stays_in_the_old_one() {
    let central = Central::standalone("central-1");
    let zone = |name: &str| json!({"site": {"time_zone": name}});
    let saved = central.http.put("/api/p2p/config", &zone("Asia/Tokyo")).ok();
    let warning = &saved.body["warnings"][0];
    assert_eq!(
        (&warning["field"], &warning["code"]),
        (&json!("site.time_zone"), &json!("past_days_stay")),
        "{}",
        saved.text
    );
    for message in ["message", "message_vi"] {
        let text = warning[message].as_str().unwrap();
        assert!(
            text.contains("parkmesh rebuild") && text.contains("Asia/Ho_Chi_Minh") && text.contains("Asia/Tokyo"),
            "{text}"
        );
    }
    assert!(central.log().contains("event=config_warning field=site.time_zone"), "{}", central.log());
    let again = central.http.put("/api/p2p/config", &zone("Asia/Tokyo")).ok();
    assert_eq!(again.body["warnings"], json!([]), "nothing changed");
}

#[test]
fn a_peer_that_refuses_us_is_told_at_once_and_logs_it_once() {
    let mut first = Central::new("central-1");
    let second = Central::standalone("central-2");
    first.add_peer("central-2", &second.ip, P2P_PORT);
    first.start();
    for _ in 0..4 {
        let since = Instant::now();
        let tested = first.http.post("/api/p2p/test-connection?peer_id=central-2", &json!({})).refused(400);
        assert!(since.elapsed() < Duration::from_secs(3), "{:?} {}", since.elapsed(), tested.text);
        let last = tested.body["steps"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["step"], &last["ok"]), (&json!("handshake"), &json!(false)), "{}", tested.text);
        assert!(last["detail"].as_str().unwrap().contains("central-1"), "it says who is not known there: {last}");
    }
    assert_eq!(second.log().matches("event=peer_refused").count(), 1, "{}", second.log());
}

#[test]
fn a_test_of_a_link_tells_each_step_when_it_is_made() {
    // It takes the connection and then says nothing, so that the next step is not over soon.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut central = Central::new("central-1");
    central.add_peer("central-2", "127.0.0.1", silent.local_addr().unwrap().port());
    central.start();
    let path = "/api/p2p/test-connection?peer_id=central-2&stream=true";
    let mut socket = std::net::TcpStream::connect((central.ip.as_str(), API_PORT)).unwrap();
    write!(socket, "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    let mut part = [0; 4096];
    while !said.contains("\"step\":\"tcp\"") {
        let count = socket.read(&mut part).unwrap();
        assert!(count > 0, "{said}");
        said += std::str::from_utf8(&part[..count]).unwrap();
    }
    assert!(
        said.contains("application/x-ndjson") && !said.contains("\"success\""),
        "the end is told too early: {said}"
    );
    // And the end is what is answered otherwise.
    socket.read_to_string(&mut said).unwrap();
    let end = said.lines().find(|line| line.contains("\"success\"")).unwrap_or_else(|| panic!("no end: {said}"));
    let end: Value = serde_json::from_str(end).unwrap();
    assert_eq!((&end["success"], &end["code"]), (&json!(false), &json!("peer_unreachable")));
    assert_eq!(end["steps"].as_array().unwrap().len(), 3);
    central.http.send("POST", "/api/p2p/test-connection?peer_id=central-9&stream=true", None).unwrap().refused(404);
}

#[test]
fn a_call_of_which_every_field_may_be_left_out_needs_no_body() {
    let central = Central::standalone("central-1");
    let expel =
        |body: Option<(&str, &[u8])>| central.http.send("POST", "/api/p2p/peers/central-9/expel", body).unwrap().status;
    // There is no such peer; what is wrong with the body would be said first.
    for body in [None, Some(("application/json", &b"{}"[..])), Some(("application/json", &br#"{"reason": null}"#[..]))]
    {
        assert_eq!(expel(body), 404, "{body:?}");
    }
    assert_eq!(expel(Some(("text/plain", b"{}"))), 415);
    assert_eq!(expel(Some(("application/json", b"[]"))), 400);
}
