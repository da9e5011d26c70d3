//! The status feed as a dashboard sees it: docs/status-feed.md.

mod common;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::central::API_PORT;
use common::dashboard::Dashboard;
use common::{Central, DEADLINE, Mesh, eventually};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;

fn api(central: &Central) -> String {
    format!("{}:{API_PORT}", central.ip)
}

fn plates(message: &Value, kind: &str) -> Vec<String> {
    let events = message["events"].as_array().cloned().unwrap_or_default();
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    of_kind.map(|event| event["plate_id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_dashboard_gets_a_snapshot_and_then_what_happens() {
    let mut central = Central::new("central-1");
    central.config["edges"] = json!([{"id": "edge-1", "name": "Cổng A vào", "direction": "ENTRY"}]);
    central.start();
    central.http.enter("edge-1", "29A12345");

    let mut dashboard = Dashboard::open(&api(&central), "");
    let snapshot = dashboard.next();
    assert_eq!(snapshot["type"], "snapshot", "{snapshot}");
    assert_eq!(snapshot["central"]["id"], "central-1");
    assert_eq!(snapshot["central"]["can_commit"], true);
    assert_eq!(snapshot["lot"]["inside"], 1);
    assert_eq!(snapshot["lot"]["inside_by_type"], json!([{"camera_type": "", "cars": 1}]));
    assert_eq!(plates(&snapshot, "entry"), ["29A12345"]);
    assert_eq!(snapshot["gates"]["central-1/edge-1"]["name"], "Cổng A vào");
    assert_eq!(snapshot["gates"]["central-1/edge-1"]["entries"], 1);
    assert_eq!(snapshot["peers"], json!({}));
    let entries: i64 = snapshot["course"]["entries"].as_array().unwrap().iter().filter_map(Value::as_i64).sum();
    assert_eq!((entries, snapshot["course"]["entries"].as_array().unwrap().len()), (1, 48));

    central.http.open(&json!({"edge_id": "edge-8", "plate_id": "29A12345", "direction": "EXIT"})).ok();
    let mut last = dashboard.number;
    // What is counted anew may come with the next message: where a look was under way when it happened.
    let (mut exit, mut gate, mut lot) = (Value::Null, Value::Null, Value::Null);
    dashboard.until("the exit", |message| {
        if message["type"] == "change" {
            assert_eq!(message["after"], last, "{message}");
            last = message["number"].as_u64().unwrap();
            assert!(message.get("course").is_none() && message.get("peers").is_none(), "only what changed: {message}");
        }
        if !plates(message, "exit").is_empty() {
            exit = message["events"][0].clone();
        }
        for (known, told) in [(&mut gate, &message["gates"]["central-1/edge-8"]), (&mut lot, &message["lot"])] {
            if told.is_object() {
                *known = told.clone();
            }
        }
        exit.is_object() && lot["exits"] == 1 && gate["exits"] == 1
    });
    assert_eq!(exit["fee"], 0, "{exit}");
    assert_eq!(gate["last"]["plate_id"], "29A12345", "{gate}");
    assert_eq!(lot["inside"], 0, "{lot}");
}

#[test]
fn what_is_out_of_the_ordinary_is_shown_with_its_sentence() {
    let central = Central::standalone("central-1");
    let mut dashboard = Dashboard::open(&api(&central), "");
    assert_eq!(dashboard.next()["anomalies"], json!([]));
    let forced = json!({"edge_id": "edge-8", "plate_id": "29A12345", "direction": "EXIT", "force": true, "fee": 5_000});
    central.http.open(&forced).ok();
    let change = dashboard.until("the anomaly", |message| message["anomalies"][0].is_object());
    let shown = &change["anomalies"][0];
    assert!(shown["event_id"].as_str().unwrap().ends_with("_29A12345") && shown["at_ms"].is_i64(), "{change}");
    let told = change["anomalies"][0]["told"].as_array().unwrap();
    assert!(told.iter().any(|one| one["kind"] == "exit_without_entry"), "{change}");
    assert!(told.iter().all(|one| one["vi"].is_string() && one["en"].is_string()), "{change}");
}

#[test]
fn what_a_camera_reads_is_shown_at_its_gate_and_what_a_person_asks_is_not() {
    let central = Central::standalone("central-1");
    let mut dashboard = Dashboard::open(&api(&central), "");
    dashboard.next();
    let ask = |plate: &str, lookup: bool| {
        let body = json!({"edge_id": "edge-1", "plate_id": plate, "camera_type": "car", "lookup": lookup});
        central.http.post("/api/edge/detection", &body).ok();
    };
    ask("30G99999", true);
    for car in 0..7 {
        ask(&format!("29A0000{car}"), false);
    }
    ask("29A00005", false);
    let seen = |message: &Value| -> Vec<String> {
        let seen = message["gates"]["central-1/edge-1"]["seen"].as_array().cloned().unwrap_or_default();
        seen.iter().map(|one| one["plate_id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    // The last five, each once, the newest at the end.
    let expected = ["29A00002", "29A00003", "29A00004", "29A00006", "29A00005"];
    let change = dashboard.until("the plates", |message| seen(message) == expected);
    assert_eq!(change["gates"]["central-1/edge-1"]["seen"][4]["plate_view"], "29A-000.05");
    assert!(change.get("events").is_none(), "nothing happened yet: {change}");
}

#[test]
fn what_happens_at_another_central_is_shown_within_a_second_and_so_is_a_link_that_goes() {
    let mesh = Mesh::start(2);
    let mut dashboard = Dashboard::open(&api(&mesh.centrals[1]), "");
    dashboard.until("the link as it is", |message| message["peers"]["central-1"]["state"] == "connected");
    mesh.centrals[0].http.enter("edge-1", "51F00001");
    let committed = Instant::now();
    dashboard.until("the entry at the other", |message| plates(message, "entry").contains(&"51F00001".to_owned()));
    println!("from the gate's answer to the dashboard: {:?}", committed.elapsed());
    mesh.cut(0, 1);
    let change = dashboard.until("the cut", |message| message["peers"]["central-1"]["state"] == "disconnected");
    assert!(change["peers"]["central-1"]["reason"].is_string(), "{change}");
    mesh.heal_all();
    dashboard.until("the link again", |message| message["peers"]["central-1"]["state"] == "connected");
}

/// How soon a dashboard knows of a link between two others once these know: told at once, at most once a second, and looked
/// at once a second.
const TOLD_WITHIN: Duration = Duration::from_secs(8);

#[test]
fn a_link_between_two_others_is_shown_soon_after_it_goes_and_comes() {
    let mesh = Mesh::start(3);
    let mut dashboard = Dashboard::open(&api(&mesh.centrals[2]), "");
    let mut says_linked = [None, None];
    let mut until = |what: &str, linked: bool| {
        dashboard.until(what, |message| {
            let ends = [("central-1", "central-2"), ("central-2", "central-1")];
            for (says, (one, other)) in says_linked.iter_mut().zip(ends) {
                if let Some(links) = message["peers"][one]["says"]["links"].as_array() {
                    *says = Some(links.contains(&json!(other)));
                }
            }
            says_linked == [Some(linked); 2]
        });
    };
    until("the link as it was", true);
    for linked in [false, true, false, true] {
        if linked {
            mesh.heal(0, 1);
        } else {
            mesh.cut(0, 1);
        }
        let peers = if linked { 2 } else { 1 };
        for central in &mesh.centrals[..2] {
            eventually("they know", DEADLINE, || central.http.p2p_status()["connected_peers"] == peers);
        }
        let known = Instant::now();
        until("the link as it is", linked);
        let took = known.elapsed();
        println!("linked {linked}: shown {took:?} after both knew");
        assert!(took < TOLD_WITHIN, "{took:?}");
    }
}

#[test]
fn a_dashboard_that_comes_back_resumes_and_after_a_restart_starts_over() {
    let mut central = Central::standalone("central-1");
    let mut dashboard = Dashboard::open(&api(&central), "");
    dashboard.next();
    let (feed, number) = (dashboard.feed.clone(), dashboard.number);
    drop(dashboard);
    central.http.enter("edge-1", "29A00001");
    central.http.enter("edge-1", "29A00002");

    let resume = format!("?feed={feed}&after={number}");
    let mut again = Dashboard::open(&api(&central), &resume);
    let mut seen = Vec::new();
    let mut at = number;
    while seen.len() < 2 {
        let change = again.next();
        if change["type"] == "alive" {
            continue;
        }
        assert_eq!((&change["type"], &change["after"]), (&json!("change"), &json!(at)), "{change}");
        at = change["number"].as_u64().unwrap();
        seen.extend(plates(&change, "entry"));
    }
    assert_eq!(seen, ["29A00001", "29A00002"]);

    central.kill9();
    central.start();
    let mut fresh = Dashboard::open(&api(&central), &resume);
    let snapshot = fresh.next();
    assert_eq!(snapshot["type"], "snapshot", "{snapshot}");
    assert_ne!(snapshot["feed"], feed);
    assert_eq!(plates(&snapshot, "entry").len(), 2, "what happened before is still shown");
    let mut ahead = Dashboard::open(&api(&central), &format!("?feed={}&after=999999", fresh.feed));
    assert_eq!(ahead.next()["type"], "snapshot", "a number that was never given");
}

#[test]
fn a_dashboard_that_does_not_read_gets_one_message_and_then_the_sum() {
    let central = Central::standalone("central-1");
    let mut slow = Dashboard::open(&api(&central), "");
    let mut quick = Dashboard::open(&api(&central), "");
    let first = slow.read();
    quick.next();
    for car in 0..130 {
        central.http.enter("edge-1", &format!("29A{car:05}"));
    }
    let mut quick_changes = 0;
    quick.until("all cars", |message| {
        quick_changes += 1;
        message["lot"]["inside"] == 130
    });
    assert!(quick_changes >= 1);
    assert!(slow.hears_nothing(Duration::from_millis(700)), "nothing before the first message is acknowledged");
    slow.ack();
    let sum = slow.next();
    assert_eq!((&sum["after"], &sum["type"]), (&first["number"], &json!("change")), "{sum}");
    assert_eq!(sum["lot"]["inside"], 130);
    assert_eq!((sum["events"].as_array().unwrap().len(), &sum["events_left_out"]), (100, &json!(30)));
}

#[test]
fn many_dashboards_get_at_most_five_messages_a_second_each() {
    const DASHBOARDS: usize = 200;
    const CARS: usize = 100;
    let central = Central::standalone("central-1");
    let mut dashboards: Vec<Dashboard> = (0..DASHBOARDS).map(|_| Dashboard::open(&api(&central), "")).collect();
    for dashboard in &mut dashboards {
        assert_eq!(dashboard.next()["type"], "snapshot");
    }
    let reading = std::thread::spawn(move || {
        for dashboard in &mut dashboards {
            dashboard.until("the last car", |message| message["lot"]["inside"] == CARS);
        }
        dashboards
    });
    let start = Instant::now();
    for car in 0..CARS {
        central.http.enter("edge-1", &format!("30G{car:05}"));
    }
    let mut dashboards = reading.join().unwrap();
    let metrics = central.http.get("/metrics").text;
    assert!(metrics.contains(&format!("parkmesh_dashboards {DASHBOARDS}")), "{metrics}");
    // One of them from here on: a change for every publication, five a second at most.
    let dashboard = &mut dashboards[0];
    let mut number = dashboard.number;
    let before = (number, Instant::now());
    let stop = before.1 + Duration::from_secs(2);
    let mut car = 0;
    while Instant::now() < stop {
        central.http.enter("edge-2", &format!("31G{car:05}"));
        car += 1;
    }
    dashboard.until("all of them", |message| {
        number = message["number"].as_u64().unwrap_or(number);
        message["lot"]["inside"] == CARS + car
    });
    let published = number - before.0;
    let most = 5 * (before.1.elapsed().as_millis() as u64 / 1000 + 1) + 1;
    assert!(published <= most, "{published} publications, at most {most}");
    println!("{CARS} cars beside {DASHBOARDS} dashboards: {:?}", start.elapsed());
    drop(dashboards);
    eventually("the dashboards are let go", DEADLINE, || {
        central.http.get("/metrics").text.contains("parkmesh_dashboards 0")
    });
}

#[test]
fn a_feed_that_fails_is_built_anew_and_dashboards_go_on_with_a_snapshot() {
    let mut central = Central::new("central-1");
    central.env("PARKMESH_TEST_FAULTS", "1");
    central.start();
    let mut dashboard = Dashboard::open(&api(&central), "");
    dashboard.next();
    let feed = dashboard.feed.clone();
    let panicked = central.http.post("/api/test/panic?actor=status_feed", &json!({}));
    if panicked.status == 404 {
        panic!("the fault switch is another: {}", panicked.text);
    }
    let snapshot = dashboard.until("a snapshot of the new feed", |message| message["type"] == "snapshot");
    assert_ne!(snapshot["feed"], feed);
    central.http.enter("edge-1", "29A12345");
    dashboard.until("an entry", |message| !plates(message, "entry").is_empty());
    central.http.put("/api/p2p/config", &json!({"site": {"name": "Bãi xe B"}})).ok();
    dashboard.until("the new name", |message| message["central"]["site"] == "Bãi xe B");
}

#[test]
fn a_foreign_page_is_refused_and_a_stop_is_not_held_up() {
    let mut central = Central::standalone("central-1");
    let address = api(&central);
    let dial = |origin: &str| {
        let mut request = format!("ws://{address}/ws/status").into_client_request().unwrap();
        request.headers_mut().insert("Origin", origin.parse().unwrap());
        tungstenite::client(request, TcpStream::connect(&address).unwrap())
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    let refused = dial("http://elsewhere.example").unwrap_err();
    assert!(refused.contains("403"), "{refused}");
    dial(&format!("http://{address}")).unwrap();
    let mut dashboard = Dashboard::open(&address, "");
    dashboard.next();
    central.http.get("/ws/status").refused(400);
    let (status, took) = central.terminate();
    assert!(status.success() && took < Duration::from_secs(3), "{status} after {took:?}");
}
