//! Every actor is made to panic while gates call: no acknowledged event is lost, and no gate waits longer than a second
//! for an answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::central::P2P_PORT;
use common::ws::Ws;
use common::{Central, DEADLINE, Http, Mesh, eventually};
use serde_json::json;

/// No gate may be without an answer longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const GATES: usize = 4;
/// A gate whose connection or central just died asks again after this.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// Gates that let one car in after the other, asking again with the same request id until each is answered.
struct Gates {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    longest_us: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Gates {
    /// Each gate begins with the car of that number.
    fn start(http: &Http, first_car: usize) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let longest_us = Arc::new(AtomicU64::new(0));
        let threads = (0..GATES).map(|gate| {
            let (http, stop) = (http.clone(), stop.clone());
            let (acknowledged, longest_us) = (acknowledged.clone(), longest_us.clone());
            std::thread::spawn(move || {
                for car in first_car.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let plate = format!("{}A{car:05}", 30 + gate);
                    let waited = let_in(&http, gate, &plate, &stop);
                    longest_us.fetch_max(waited.as_micros() as u64, Ordering::Relaxed);
                    acknowledged.lock().unwrap().push(plate);
                }
            })
        });
        let threads = threads.collect();
        Self { stop, acknowledged, longest_us, threads }
    }

    /// Waits until the gates got some more answers.
    fn wait_for_answers(&self, more: usize) {
        let before = self.count();
        eventually("the gates get answers", DEADLINE, || self.count() >= before + more);
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// The plates let in, and the longest any of them waited.
    fn finish(self) -> (Vec<String>, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        (acknowledged, Duration::from_micros(self.longest_us.load(Ordering::Relaxed)))
    }
}

fn let_in(http: &Http, gate: usize, plate: &str, stop: &AtomicBool) -> Duration {
    let started = Instant::now();
    let body = json!({"edge_id": format!("edge-{gate}"), "plate_id": plate, "direction": "ENTRY", "request_id": plate});
    loop {
        match http.try_post("/api/edge/barrier/open", &body) {
            Ok(reply) if reply.status == 200 => return started.elapsed(),
            // 503, or no answer at all: as an edge does, ask again with the same request id.
            Ok(reply) => assert_eq!(reply.status, 503, "{}", reply.text),
            Err(_) => {}
        }
        assert!(!stop.load(Ordering::Relaxed) || started.elapsed() < DEADLINE, "no answer for {plate}");
        std::thread::sleep(ASK_AGAIN);
    }
}

/// One mesh under load at a time: the bound on waiting is the program's, not that of a machine running two of them.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// How often the same is done until no gate waits too long: a machine that does something else meanwhile can only make them wait
/// longer.
const ROUNDS: usize = 3;
/// More cars than a gate lets in in a round.
const CARS_OF_A_ROUND: usize = 30_000;

/// Does `round`, which gives what its gates were told and how long one waited at most; what was acknowledged in any round is
/// everywhere.
fn no_gate_waits_too_long(mesh: &mut Mesh, round: impl Fn(&mut Mesh, usize) -> (Vec<String>, Duration)) {
    let (mut acknowledged, mut waited) = (Vec::new(), Vec::new());
    while waited.iter().all(|longest| *longest >= LONGEST_WAIT) {
        assert!(waited.len() < ROUNDS, "in each round a gate waited too long: {waited:?}");
        let (told, longest) = round(mesh, waited.len() * CARS_OF_A_ROUND);
        acknowledged.extend(told);
        waited.push(longest);
    }
    check_everywhere(mesh, &acknowledged);
}

fn start_mesh() -> Mesh {
    let mut mesh = Mesh::without_proxies(3);
    for central in &mut mesh.centrals {
        central.env("PARKMESH_TEST_FAULTS", "1");
    }
    mesh.start_all();
    mesh.wait_linked(DEADLINE);
    mesh
}

fn make_panic(http: &Http, actor: &str) {
    let reply = http.post(&format!("/api/test/panic?actor={actor}"), &json!({}));
    assert_eq!(reply.status, 200, "{}", reply.text);
}

fn restarts_of(http: &Http, actor: &str) -> u64 {
    let metrics = http.get("/metrics").text;
    let line = metrics.lines().find(|line| line.contains("restarts_total") && line.contains(&format!("\"{actor}\"")));
    line.and_then(|line| line.rsplit(' ').next()).and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn check_everywhere(mesh: &Mesh, acknowledged: &[String]) {
    mesh.wait_equal(DEADLINE);
    for central in &mesh.centrals {
        let rows = central.http.whole_history();
        let text = format!("{rows:?}");
        let missing: Vec<_> = acknowledged.iter().filter(|plate| !text.contains(plate.as_str())).collect();
        assert!(
            missing.is_empty(),
            "{}: {} of {} are missing: {missing:?}",
            central.id,
            missing.len(),
            acknowledged.len()
        );
    }
}

#[test]
fn an_actor_that_panics_under_load_is_built_anew_and_nothing_acknowledged_is_lost() {
    let _alone = ONE_AT_A_TIME.lock();
    no_gate_waits_too_long(&mut start_mesh(), |mesh, first_car| {
        let http = &mesh.centrals[0].http;
        let gates = Gates::start(http, first_car);
        gates.wait_for_answers(20);
        for actor in
            ["config_keeper", "db_reader", "sync_coordinator", "mesh_registry", "scout", "clerk", "peer_link:central-2"]
        {
            let before = restarts_of(http, actor);
            make_panic(http, actor);
            eventually(&format!("{actor} is built anew"), DEADLINE, || restarts_of(http, actor) > before);
            gates.wait_for_answers(20);
            mesh.wait_linked(DEADLINE);
        }
        gates.finish()
    });
}

/// What answers a call of a gate is no actor. If it panics that connection ends, its place in flight is given back, and the next call
/// is answered.
#[test]
fn a_call_of_a_gate_that_panics_costs_its_connection_alone() {
    let mut central = Central::new("central-1");
    central.env("PARKMESH_TEST_FAULTS", "1");
    central.start();
    central.http.enter("edge-1", "29A12345");
    make_panic(&central.http, "edges");
    let body = json!({"edge_id": "edge-1", "plate_id": "29A12346", "direction": "ENTRY"});
    let answer = central.http.try_post("/api/edge/barrier/open", &body).map(|reply| reply.text);
    assert!(answer.is_err(), "{answer:?}");
    eventually("its place in flight is given back", DEADLINE, || {
        central.http.get("/metrics").text.contains("parkmesh_edge_in_flight 0\n")
    });
    central.http.enter("edge-1", "29A12346");
    assert_eq!(central.http.stats()["vehicles_in_parking"], 2);
}

#[test]
fn a_writer_that_panics_ends_the_process_with_70_and_the_next_one_goes_on() {
    let _alone = ONE_AT_A_TIME.lock();
    no_gate_waits_too_long(&mut start_mesh(), |mesh, first_car| {
        let gates = Gates::start(&mesh.centrals[0].http, first_car);
        gates.wait_for_answers(20);
        make_panic(&mesh.centrals[0].http, "db_writer");
        let status = mesh.centrals[0].wait_ended(DEADLINE);
        assert_eq!(status.code(), Some(70));
        // What a service manager does.
        mesh.centrals[0].start();
        gates.wait_for_answers(20);
        gates.finish()
    });
}

/// A peer that holds more of the log this process writes is an alarm, also for a coordinator that was built anew since.
#[test]
fn a_new_coordinator_knows_which_log_is_our_own() {
    let mut central = Central::new("central-1");
    central.env("PARKMESH_TEST_FAULTS", "1");
    central.add_peer("central-2", "127.0.0.1", 1);
    central.start();
    let mut peer = Ws::dial(&format!("{}:{P2P_PORT}", central.ip), "/", Some("parkmesh.1")).unwrap();
    let frame = |kind: &str, data: serde_json::Value| json!({"type": kind, "source_central": "central-2", "timestamp": 1_733_140_800_000_i64, "event_id": null, "data": data});
    let hello = json!({"versions": {"min": 1, "max": 1}, "capabilities": [], "central": "central-2",
                       "instance": "00000000000000aa", "wall_ms": 1_733_140_800_000_i64});
    peer.say(&frame("HELLO", hello)).unwrap();
    peer.hear_json(DEADLINE, |frame| frame["type"] == "HELLO");
    central.http.enter("edge-1", "29A12345");
    let told = peer.hear_json(DEADLINE, |frame| frame["type"] == "HAVE" && frame["data"]["logs"].is_object());
    let (log, head) =
        told["data"]["logs"].as_object().unwrap().iter().next().map(|(l, h)| (l.clone(), h.clone())).unwrap();
    let before = restarts_of(&central.http, "sync_coordinator");
    make_panic(&central.http, "sync_coordinator");
    eventually("it is built anew", DEADLINE, || restarts_of(&central.http, "sync_coordinator") > before);
    // No commit has told the new one meanwhile.
    let more = json!({"to": head["to"].as_u64().unwrap() + 1, "hash": "da".repeat(32)});
    peer.say(&frame("HAVE", json!({"logs": {log.as_str(): more}}))).unwrap();
    eventually("somebody is called for", DEADLINE, || central.log().contains("own_log_ahead"));
}
