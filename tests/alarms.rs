//! People are told when something is wrong, once, whatever fails on the way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use common::receiver::Receiver;
use common::{Central, DEADLINE, Dice, Link, Mesh, eventually, eventually_some, seed};
use parkmesh::lab::proxy::LinkState;
use serde_json::{Value, json};

const PORT: u16 = 28_900;
/// How long what is measured in minutes may take.
const PATIENCE: Duration = Duration::from_secs(200);

fn webhook(url: &str) -> Value {
    json!({"channels": [{"id": "owner", "kind": "webhook", "url": url}], "silent_minutes": 1, "repeat_hours": 0, "without": ["odd"]})
}

/// Opens a barrier against the state of the lot.
fn force(central: &Central, plate: &str) {
    let open = json!({"edge_id": "edge-1", "plate_id": plate, "plate_view": plate, "direction": "ENTRY", "force": true, "reason": "tay"});
    central.http.post("/api/edge/barrier/open", &open).ok();
}

fn alive(central: &Central, edge: &str) {
    let beat = json!({"camera_id": edge});
    assert!(central.http.post("/api/edge/heartbeat", &beat).is_success());
}

/// Forced openings, while central, receiver and network fail in turns.
fn through_outages(outages: usize, openings: usize) {
    let mut dice = Dice(seed());
    let receiver = Receiver::start(PORT);
    let network = Link::to(receiver.address.parse().unwrap());
    let mut central = Central::new("central-1");
    central.config["alarms"] = webhook(&format!("http://127.0.0.1:{}/told", network.port()));
    central.start();
    // What was before anybody was to be told is no alarm: it begins with the first look.
    let alarms = central.data_directory().join("alarms.json");
    let looked = || std::fs::read_to_string(&alarms).is_ok_and(|text| text.contains("\"audit_seen\":0"));
    eventually("the first look", DEADLINE, looked);
    let mut made = 0;
    let mut open = |central: &Central, upto: usize| {
        while made < upto {
            force(central, &format!("30A{made:05}"));
            made += 1;
        }
    };
    for outage in 0..outages {
        let upto = openings * outage / outages;
        open(&central, upto);
        let pause = dice.millis(0..1_500);
        match dice.below(3) {
            0 => {
                std::thread::sleep(pause);
                central.kill9();
                central.start();
            }
            1 => {
                std::thread::sleep(pause);
                receiver.kill();
                open(&central, upto + 1);
                std::thread::sleep(dice.millis(0..1_500));
                receiver.revive();
            }
            _ => {
                std::thread::sleep(pause);
                network.set(if dice.below(2) == 0 { LinkState::Cut } else { LinkState::Held });
                open(&central, upto + 1);
                std::thread::sleep(dice.millis(0..1_500));
                network.set(LinkState::Open);
            }
        }
    }
    open(&central, openings);
    let counted = || {
        let mut counted: BTreeMap<String, usize> = BTreeMap::new();
        for told in receiver.told("event", "forced") {
            *counted.entry(told["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counted
    };
    // A wait may have grown to minutes by now; new settings are tried at once.
    central.http.put("/api/p2p/config", &json!({"alarms": {"silent_minutes": 2}})).ok();
    let deadline = 2 * DEADLINE + Duration::from_secs(20) * u32::try_from(outages / 4).unwrap();
    eventually("all are told", deadline, || counted().len() == openings);
    let state = || central.http.get("/api/status").ok().body["central"]["alarms"]["channels"][0].clone();
    eventually("nothing waits", DEADLINE, || state()["waiting"] == 0);
    let counted = counted();
    let again = counted.values().filter(|times| **times > 1).count();
    println!("{outages} outages, {openings} alarms, {again} of them told twice");
    assert!(counted.values().all(|times| *times <= 2), "{counted:?}");
    let plates: std::collections::BTreeSet<String> =
        receiver.told("event", "forced").iter().map(|told| told["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(plates.len(), openings);
    assert!(receiver.told("event", "forced").iter().all(|told| told["lost"] == 0));
}

#[test]
fn a_forced_opening_is_told_though_central_receiver_and_network_fail() {
    through_outages(4, 10);
}

/// `cargo test --test alarms -- --ignored --nocapture`
#[test]
#[ignore = "a soak of minutes: 20 outages around 50 alarms"]
fn fifty_alarms_are_told_through_twenty_outages() {
    through_outages(20, 50);
}

#[test]
fn a_silent_camera_is_told_and_that_it_is_back_whatever_happens_to_the_central() {
    let receiver = Receiver::start(PORT);
    let mut central = Central::new("central-1");
    central.env("PARKMESH_CLOCK", common::fast_clock(30));
    central.config["alarms"] = webhook(&receiver.url());
    central.start();
    alive(&central, "edge-1");
    let written = || std::fs::read_to_string(central.data_directory().join("alarms.json")).unwrap_or_default();
    eventually("it is known", DEADLINE, || written().contains("\"edge-1\""));
    central.kill9();
    central.start();
    let begun = || receiver.told("begin", "camera");
    // On a busy machine it was silent for a minute before it was killed, and comes again as the same.
    eventually("silence since before the start is told", DEADLINE, || !begun().is_empty());
    let begin = begun().remove(0);
    assert!(begin["text"].as_str().unwrap().contains("Camera edge-1 không có tín hiệu"), "{begin}");
    central.kill9();
    central.start();
    let open = || central.http.get("/api/status").ok().body["central"]["alarms"]["open"] == 1;
    eventually("it is known after the restart", DEADLINE, open);
    let ended = eventually_some("its end", DEADLINE, || {
        alive(&central, "edge-1");
        receiver.told("end", "camera").pop()
    });
    assert_eq!(ended["alarm"], begin["alarm"]);
    assert!(
        begun().iter().all(|again| again["id"] == begin["id"]),
        "killed before it was written, it comes again as the same"
    );
    assert!(ended["text"].as_str().unwrap().contains("đã ổn sau"), "{ended}");
}

#[test]
fn a_camera_that_calls_only_when_a_car_passes_is_not_missed() {
    let receiver = Receiver::start(PORT);
    let mut central = Central::new("central-1");
    central.env("PARKMESH_CLOCK", common::fast_clock(30));
    central.config["alarms"] = webhook(&receiver.url());
    central.start();
    let passes = json!({"type": "ENTRY", "camera_id": "edge-0", "event_id": "a", "data": {"plate_text": "29A-123.45"}});
    central.http.post("/api/edge/event", &passes).ok();
    alive(&central, "edge-1");
    let missed = || receiver.told("begin", "camera");
    eventually("who said that it lives is missed", DEADLINE, || !missed().is_empty());
    // The other was silent for longer.
    assert!(missed().iter().all(|told| told["text"].as_str().unwrap().contains("edge-1")), "{:?}", missed());
    let cameras = central.http.get("/api/cameras").ok().body["cameras"].clone();
    assert_eq!(cameras[0]["status"], "offline", "{cameras}");
}

#[test]
fn an_oddity_of_the_site_is_told_by_one_and_by_the_next_when_that_one_is_gone() {
    let receiver = Receiver::start(PORT);
    let mut mesh = Mesh::new(3);
    mesh.fast_clock(30);
    for central in &mut mesh.centrals {
        central.config["alarms"] = webhook(&receiver.url());
        central.config["alarms"]["without"] = json!(["forced", "peer"]);
    }
    mesh.start_all();
    for central in &mesh.centrals {
        let written = || std::fs::read_to_string(central.data_directory().join("alarms.json")).unwrap_or_default();
        eventually("the first look", DEADLINE, || written().contains("\"odd_begun\":true"));
    }
    // Nobody saw it come in.
    let leave = |central: &Central, plate: &str| {
        let open = json!({"edge_id": "edge-1", "plate_id": plate, "plate_view": plate, "direction": "EXIT", "force": true, "fee": 5000});
        central.http.post("/api/edge/barrier/open", &open).ok();
    };
    let tellers = |plate: &str| {
        let told =
            receiver.told("event", "odd").into_iter().filter(|told| told["text"].as_str().unwrap().contains(plate));
        let mut tellers: Vec<String> = told.map(|told| told["central"].as_str().unwrap().to_owned()).collect();
        tellers.sort();
        tellers.dedup();
        tellers
    };
    leave(&mesh.centrals[2], "30A11111");
    eventually("the first tells", DEADLINE, || tellers("30A11111") == ["central-1"]);
    mesh.centrals[0].kill9();
    leave(&mesh.centrals[2], "30A22222");
    eventually("the next tells", DEADLINE, || tellers("30A22222").contains(&"central-2".to_owned()));
    assert!(receiver.told("event", "odd").iter().all(|told| told["central"] != "central-3"));
}

/// `cargo test --test alarms -- --ignored`
#[test]
#[ignore = "a soak of minutes: silence is told after one, of what is measured by no fast clock"]
fn of_those_who_miss_a_central_one_tells_and_the_next_when_that_one_is_gone() {
    let receiver = Receiver::start(PORT);
    let mut mesh = Mesh::new(3);
    for central in &mut mesh.centrals {
        central.config["alarms"] = webhook(&receiver.url());
    }
    mesh.start_all();
    let told = |kind: &str, by: &str, about: &str| {
        let is_it = |told: &Value| told["central"] == by && told["alarm"].as_str().unwrap().contains(about);
        receiver.told(kind, "peer").into_iter().filter(is_it).count()
    };
    mesh.centrals[2].kill9();
    eventually("the first tells", PATIENCE, || told("begin", "central-1", "peer:central-3") == 1);
    assert_eq!(told("begin", "central-2", "peer:central-3"), 0, "{:?}", receiver.all());
    mesh.centrals[0].kill9();
    eventually("the next tells", PATIENCE, || {
        told("begin", "central-2", "peer:central-1") == 1 && told("begin", "central-2", "peer:central-3") == 1
    });
    mesh.start_all();
    eventually("all is well", PATIENCE, || {
        told("end", "central-1", "peer:central-3") == 1
            && told("end", "central-2", "peer:central-1") == 1
            && told("end", "central-2", "peer:central-3") == 1
    });
}

/// A mail server that takes one letter.
fn mail_server() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind((common::net::own_address(), 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let taken = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut say = |text: &str| stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        say("220 mail");
        let mut letter = String::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.get(..4).unwrap_or_default() {
                "EHLO" => say("250 mail"),
                "DATA" => {
                    say("354 go on");
                    while !letter.ends_with("\r\n.\r\n") {
                        reader.read_line(&mut letter).unwrap();
                    }
                    say("250 taken as 77");
                    return letter;
                }
                _ => say("250 ok"),
            }
        }
    });
    (address, taken)
}

#[test]
fn a_test_says_what_the_receiver_answered() {
    let receiver = Receiver::start(PORT);
    let (mail, letter) = mail_server();
    let (host, port) = mail.split_once(':').unwrap();
    let central = Central::standalone("central-1");
    let url = receiver.url();
    let channels = json!([
        {"id": "a", "kind": "webhook", "url": url, "token": "t"},
        {"id": "b", "kind": "slack", "url": url},
        {"id": "c", "kind": "telegram", "url": url, "to": "42"},
        {"id": "d", "kind": "zalo", "url": url, "token": "t", "to": "7"},
        {"id": "e", "kind": "email", "server": host, "port": port, "from": "Bãi xe <bai@example.vn>", "to": "a@example.vn, b@example.vn"},
        {"id": "f", "kind": "webhook", "url": "http://127.0.0.1:1/"},
        {"id": "g", "kind": "webhook", "url": "https://127.0.0.1:1/"},
    ]);
    central.http.put("/api/p2p/config", &json!({"alarms": {"channels": channels}})).ok();
    let test = |channel: &str| central.http.post("/api/alarms/test", &json!({"channel": channel}));
    for channel in ["a", "b", "c", "d"] {
        let tested = test(channel).ok().body;
        assert_eq!((&tested["told"], &tested["answer"]), (&json!(true), &json!("200 ok")), "{channel}");
    }
    let heard = receiver.all();
    assert!(heard[0].head.to_lowercase().contains("authorization: bearer t") && heard[0].body["kind"] == "test");
    assert!(heard[1].body["text"].as_str().unwrap().contains("central-1: thử gửi cảnh báo"), "{heard:?}");
    assert_eq!(heard[2].body["chat_id"], "42");
    assert_eq!(heard[3].body["recipient"]["user_id"], "7");
    let mailed = test("e").ok().body;
    assert_eq!((&mailed["told"], &mailed["answer"]), (&json!(true), &json!("taken as 77")));
    let letter = letter.join().unwrap();
    assert!(
        letter.contains("To: a@example.vn, b@example.vn") && letter.contains("Message-ID: <central.1.test."),
        "{letter}"
    );
    receiver.answers(200, r#"{"error":-216,"message":"Access token is invalid"}"#);
    let refused = test("d").ok().body;
    assert!(refused["told"] == false && refused["answer"].as_str().unwrap().contains("Access token is invalid"));
    for channel in ["f", "g"] {
        let nobody = test(channel).ok().body;
        assert!(nobody["told"] == false && !nobody["answer"].as_str().unwrap().is_empty(), "{nobody}");
    }
    test("x").refused(404);
}

#[test]
fn secrets_are_told_to_their_receiver_and_to_nobody_else() {
    let receiver = Receiver::start(PORT);
    let mut central = Central::new("central-1");
    central.env("RUST_LOG", "debug");
    let url = format!("http://{}/secret-url", receiver.address);
    central.config["alarms"] = json!({
        "channels": [
            {"id": "a", "kind": "webhook", "url": url, "token": "secret-token"},
            {"id": "b", "kind": "email", "server": "127.0.0.1", "port": 1, "user": "u", "password": "secret-password", "from": "a@b.vn", "to": "a@b.vn"},
        ],
        "heartbeat_url": format!("http://{}/secret-heart", receiver.address),
    });
    receiver.answers(401, "who is Bearer secret-token at /secret-url?");
    central.start();
    let looked = || central.data_directory().join("alarms.json").exists();
    eventually("the first look", DEADLINE, looked);
    force(&central, "30A12345");
    let state = || central.http.get("/api/status").ok().body["central"]["alarms"].clone();
    eventually("both were tried", DEADLINE, || {
        let state = state();
        state["channels"].as_array().unwrap().iter().all(|channel| channel["failed"].is_string())
            && state["heartbeat_failed"].is_string()
    });
    let heard = receiver.all();
    assert!(heard.iter().any(|heard| heard.head.contains("/secret-url") && heard.head.contains("secret-token")));
    let mut said = vec![central.http.post("/api/alarms/test", &json!({"channel": "a"})).text];
    receiver.answers(401, "");
    let change =
        json!({"alarms": {"channels": [{"id": "a", "token": "secret-token-2"}, {"id": "b"}], "heartbeat_url": null}});
    said.push(central.http.put("/api/p2p/config", &change).ok().text);
    for path in
        ["/api/p2p/config", "/api/status", "/metrics", "/api/access/audit", "/api/access/audit.csv", "/api/p2p/status"]
    {
        said.push(central.http.get(path).text);
    }
    said.push(
        common::dashboard::Dashboard::open(&format!("{}:{}", central.ip, common::central::API_PORT), "")
            .next()
            .to_string(),
    );
    said.push(central.log());
    for text in &said {
        assert!(!text.contains("secret-"), "{text}");
    }
    let file = || std::fs::read_to_string(central.config_file()).unwrap();
    assert!(file().contains("secret-token-2") && file().contains("secret-url") && file().contains("secret-password"));
    assert!(!file().contains("secret-heart"));
    let told = &said[2];
    assert!(told.contains(r#""alarm_secrets":["a.url","a.token","b.password"]"#), "{told}");
}
