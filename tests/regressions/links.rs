//! Strangers, silent peers, noise, and how much goes over a link.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parkmesh::lab::proxy::LinkState;
use serde_json::json;

use crate::common::central::P2P_PORT;
use crate::common::flood::Ends;
use crate::common::ws::Ws;
use crate::common::{Central, DEADLINE, Mesh, eventually, stored};

/// Longest a gate may take while a peer misbehaves; nothing may wait for a peer, so this is for a busy machine only.
const GATE_PATIENCE: Duration = Duration::from_secs(2);
const SUBPROTOCOL: &str = "parkmesh.1";

#[test]
fn d34_gates_do_not_notice_peers_that_are_silent_or_stopped() {
    let mesh = Mesh::start(3);
    let http = &mesh.centrals[0].http;
    let mut number = 0;
    let mut serve = |what: &str| {
        for _ in 0..50 {
            number += 1;
            let start = Instant::now();
            http.enter("edge-1", &format!("29A{number:05}"));
            assert!(start.elapsed() < GATE_PATIENCE, "{what}: {:?}", start.elapsed());
        }
    };
    mesh.set_links_of(1, LinkState::Held);
    serve("a black hole");
    mesh.centrals[2].freeze();
    serve("a stopped peer");
    mesh.centrals[2].thaw();
    mesh.heal_all();
    assert_eq!(mesh.wait_equal(2 * DEADLINE).len(), 100);
}

fn hello(central: &str, instance: &str) -> serde_json::Value {
    json!({"type": "HELLO", "source_central": central, "timestamp": 1_733_140_800_000_i64, "event_id": null,
           "data": {"versions": {"min": 1, "max": 1}, "capabilities": [], "central": central,
                    "instance": instance, "wall_ms": 1_733_140_800_000_i64}})
}

/// One frame of anybody let any car out; one question told all plates; a name taken over was a peer lost.
///
/// Who proves to be who by a certificate is another matter; here: nobody is listened to who is not configured, nothing is
/// done before an introduction, and a second one of a name never displaces the first.
#[test]
fn d33_a_stranger_opens_nothing_learns_nothing_and_displaces_nobody() {
    let mesh = Mesh::start(2);
    let stay = mesh.centrals[0].http.enter("edge-1", "29A12345");
    let address = format!("{}:{P2P_PORT}", mesh.centrals[0].ip);
    let exit = json!({"type": "VEHICLE_EXIT", "source_central": "central-2", "timestamp": 1, "event_id": stay,
                      "data": {"exit_central": "central-2", "exit_edge": "edge-1", "exit_time": "2025-01-01 00:00:00",
                               "fee": 0, "duration": "0 giờ 0 phút", "plate_id": "29A12345"}});
    let everything = json!({"type": "SYNC_REQUEST", "source_central": "central-2", "timestamp": 1, "event_id": null,
                            "data": {"since_timestamp": 0}});
    let v2 = json!({"peer_id": "central-2"});
    let openings = [vec![exit.clone()], vec![everything.clone()], vec![v2, exit.clone(), everything.clone()]];
    let unknown = vec![hello("central-9", "00000000000000aa"), exit, everything];
    for said in openings.into_iter().chain([unknown]) {
        let mut stranger = Ws::dial(&address, "/", Some(SUBPROTOCOL)).unwrap();
        // It may have been shown the door after the first.
        let _all_said = said.iter().try_for_each(|frame| stranger.say(frame));
        for text in stranger.until_ended(DEADLINE) {
            assert!(!text.contains("29A12345"), "{text}");
        }
    }
    // Somebody else in the name of a peer that is linked and alive.
    let mut double = Ws::dial(&address, "/", Some(SUBPROTOCOL)).unwrap();
    double.say(&hello("central-2", "00000000000000bb")).unwrap();
    let said = double.until_ended(DEADLINE);
    assert!(said.iter().any(|text| text.contains("duplicate_central_id")), "{said:?}");
    assert_eq!(mesh.centrals[0].http.rows_of("29A12345")[0]["status"], "IN");
    let status = mesh.centrals[0].http.p2p_status();
    assert_eq!((&status["connected_peers"], &status["total_peers"]), (&json!(1), &json!(1)), "{status}");
    mesh.centrals[1].http.enter("edge-1", "30E99999");
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 2);
}

/// One commit a row, on the thread that answers: seconds in which no gate was served.
#[test]
fn d35_a_central_that_catches_up_serves_its_gates() {
    const MISSED: usize = 2_400;
    let mut mesh = Mesh::new(2);
    stored::let_in(&mesh.centrals[0].data_directory(), "central-1", 0..MISSED);
    mesh.centrals[1].start();
    mesh.centrals[0].spawn();
    let http = &mesh.centrals[1].http;
    let mut pressed = 0;
    let mut longest = Duration::ZERO;
    while http.p2p_status()["events"].as_u64() < Some((MISSED + pressed) as u64) {
        let start = Instant::now();
        http.enter("edge-2", &format!("99E{pressed:05}"));
        longest = longest.max(start.elapsed());
        pressed += 1;
        assert!(pressed < 20_000, "it never catches up");
    }
    assert!(longest < GATE_PATIENCE, "{longest:?}");
    let metrics = http.get("/metrics").text;
    let commits = metrics.lines().find_map(|line| line.strip_prefix("parkmesh_commits_total "));
    let commits: usize = commits.unwrap_or_else(|| panic!("{metrics}")).trim().parse().unwrap();
    assert!(commits < pressed + MISSED / 10, "{commits} commits for {MISSED} events and {pressed} presses");
}

/// Two connections a pair, and every message over both.
#[test]
fn d37_an_event_goes_over_a_link_once_and_a_pair_has_one_link() {
    const EVENTS: u64 = 100;
    let mesh = Mesh::start(2);
    let received = || mesh.centrals[1].http.p2p_status()["messages_received"].as_u64().unwrap();
    // The first event also starts the stream.
    mesh.centrals[0].http.enter("edge-1", "30E99999");
    mesh.wait_equal(DEADLINE);
    let before = received();
    for number in 0..EVENTS {
        mesh.centrals[0].http.enter("edge-1", &format!("29A{number:05}"));
        let plate = format!("29A{number:05}");
        eventually("it is there", DEADLINE, || mesh.centrals[1].http.rows_of(&plate).len() == 1);
    }
    let messages = received() - before;
    // Each alone, and now and then a heartbeat.
    assert!((EVENTS..EVENTS + EVENTS / 4).contains(&messages), "{messages} messages for {EVENTS} events");
    eventually("one connection is left of two that were dialled", DEADLINE, || {
        connections_to(&mesh.centrals[0]) + connections_to(&mesh.centrals[1]) == 1
    });
}

/// How many connections to its peer port stand.
fn connections_to(central: &Central) -> usize {
    const ESTABLISHED: &str = "01";
    let octets: Vec<u8> = central.ip.split('.').map(|octet| octet.parse().unwrap()).collect();
    let number = u32::from_le_bytes([octets[0], octets[1], octets[2], octets[3]]);
    let local = format!("{number:08X}:{P2P_PORT:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<&str>>());
    fields.filter(|line| line.get(1) == Some(&local.as_str()) && line.get(3) == Some(&ESTABLISHED)).count()
}

/// A text that was no JSON ended a link, and what happened until it was dialled again was lost.
#[test]
fn d38_noise_on_the_peer_port_costs_nobody_anything() {
    let mesh = Mesh::start(2);
    let address = format!("{}:{P2P_PORT}", mesh.centrals[0].ip);
    // Of two sockets that were dialled at the start one is given up.
    mesh.wait_equal(DEADLINE);
    let endings = || mesh.centrals[0].log().matches("event=peer_disconnected").count();
    eventually("one connection is left", DEADLINE, || {
        connections_to(&mesh.centrals[0]) + connections_to(&mesh.centrals[1]) == 1
    });
    // And what is said goes over it: the other one has been given up at this end, too.
    mesh.centrals[0].http.enter("edge-1", "30E99999");
    mesh.wait_equal(DEADLINE);
    let before = endings();
    for (number, noise) in ["not json", "{", "[]", "{\"type\":5}", "\u{0}"].iter().enumerate() {
        let mut stranger = Ws::dial(&address, "/", Some(SUBPROTOCOL)).unwrap();
        stranger.say_text(noise).unwrap();
        stranger.until_ended(DEADLINE);
        mesh.centrals[1].http.enter("edge-1", &format!("29A1000{number}"));
    }
    // Not even a WebSocket.
    let mut raw = TcpStream::connect(&address).unwrap();
    std::io::Write::write_all(&mut raw, b"\x16\x03\x01 hello\r\n\r\n").unwrap();
    mesh.wait_equal(DEADLINE);
    assert_eq!(endings(), before, "the link of the peers never ended");

    // A peer that introduced itself and then says nonsense is told so, and its link stands.
    let mut central = Central::new("central-1");
    central.add_peer("central-2", "127.0.0.1", 1);
    central.start();
    let mut peer = Ws::dial(&format!("{}:{P2P_PORT}", central.ip), "/", Some(SUBPROTOCOL)).unwrap();
    peer.say(&hello("central-2", "00000000000000aa")).unwrap();
    peer.hear_json(DEADLINE, |frame| frame["type"] == "HELLO");
    peer.say_text("no frame at all").unwrap();
    let told = peer.hear_json(DEADLINE, |frame| frame["type"] == "ERROR");
    assert_eq!(told["data"]["code"], "bad_frame", "{told}");
    central.http.enter("edge-1", "29A12345");
    peer.hear_json(DEADLINE, |frame| frame["type"] == "HAVE" && frame["data"]["logs"].is_object());
    assert_eq!(central.http.p2p_status()["connected_peers"], 1);
}

/// While a broadcast awaited one socket, another that came or went made the rest miss the message.
#[test]
fn d39_peers_that_come_and_go_cost_the_others_no_event() {
    const CARS: usize = 60;
    let mesh = Mesh::start(3);
    let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _ends = Ends(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                mesh.set_link(0, 2, LinkState::Cut);
                mesh.set_link(0, 2, LinkState::Open);
                let mut visitor = Ws::dial(&format!("{}:{P2P_PORT}", mesh.centrals[0].ip), "/", Some(SUBPROTOCOL)).ok();
                let _told = visitor.as_mut().map(|visitor| visitor.say_text("goodbye"));
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        for number in 0..CARS {
            mesh.centrals[0].http.enter("edge-1", &format!("29A100{number:02}"));
        }
        eventually("there was coming and going", DEADLINE, || rounds.load(Ordering::Relaxed) > 20);
        stop.store(true, Ordering::Relaxed);
    });
    mesh.heal_all();
    assert_eq!(mesh.wait_equal(DEADLINE).len(), CARS);
}
