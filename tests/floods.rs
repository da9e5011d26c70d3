//! One address that floods, or holds sockets open, leaves the edges of others alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::central::API_PORT;
use common::flood::{EDGE, Ends, FLOODER, Flood, call, connect_from, entry, let_in};
use common::https::{Secured, fingerprint_in};
use common::ws_flood::{self, ALL};
use common::{Central, DEADLINE, Https, eventually, eventually_some, net};

const HALF_OPEN: usize = 1_000;
const CARS: usize = 200;

/// How long they take is measured by `cargo bench --bench ratios -- --run --flood`.
#[test]
fn a_flood_from_one_address_leaves_the_edges_of_others_alone() {
    let central = Central::standalone("central-1");
    let flood = Flood::default();
    // Each is answered 200.
    flood.during(&central, || let_in(&central, 0..CARS));
    let (answered, turned_away) = (flood.answered.load(Ordering::Relaxed), flood.turned_away.load(Ordering::Relaxed));
    println!("{answered} answered, {turned_away} turned away");
    assert!(answered > 0, "the address may ask as much as others");
}

#[test]
fn a_thousand_half_open_sockets_of_one_address_take_no_gate_away() {
    let central = Central::standalone("central-1");
    // The head of a request that never ends.
    let head = b"POST /api/edge/barrier/open HTTP/1.1\r\nHost: x\r\nX-Slow: ";
    hold_half_open(&central, head, |from| connect_from(from, &central));
}

#[test]
fn a_thousand_half_open_handshakes_of_one_address_take_no_gate_away() {
    let mut central = Central::new("central-1");
    central.security("api", "https");
    central.spawn();
    let identity = central.data_directory().join("identity.pem");
    eventually("it has an identity", DEADLINE, || identity.exists());
    let https = Https::to(&central.ip, fingerprint_in(&identity));
    eventually("it is ready", DEADLINE, || https.try_call("GET", "/readyz", None).is_ok_and(|a| a.status == 200));
    let connect = |from| -> std::io::Result<Secured> { https.secure(connect_from(from, &central)?) };
    // The head of a first message that never comes.
    hold_half_open(&central, &[0x16, 0x03, 0x01, 0x02, 0x00], connect);
}

/// How much memory all floods of one kind of socket may take together.
const MOST_GROWN_KIB: usize = 64 * 1024;

/// A central with a peer that links by its HELLO; the flood comes from the peer's address.
fn central_with_a_peer() -> Central {
    let mut central = Central::new("central-1");
    central.add_peer("central-2", "127.99.1.1", 1);
    central.start();
    central
}

#[test]
fn frames_without_end_on_any_socket_take_no_memory_and_no_gate_away() {
    let central = central_with_a_peer();
    let_in(&central, 0..20);
    for (number, socket) in ws_flood::sockets().into_iter().enumerate() {
        let before_kib = central.memory_kib();
        let (most_kib, (took, came)) = ws_flood::most_memory_kib(&central, || {
            let cars = || ws_flood::let_in_for(&central, (number + 1) * 1_000, Duration::from_millis(1_500));
            ws_flood::during(&central, &socket, &ALL, FLOODER, 20, cars)
        });
        let grown_kib = most_kib.saturating_sub(before_kib);
        println!("{}: {came:?}, {grown_kib} KiB, {} cars", socket.name, took.len());
        assert!(came.sockets.load(Ordering::Relaxed) > 0, "{}: nobody was let in", socket.name);
        assert!(grown_kib < MOST_GROWN_KIB, "{}: {grown_kib} KiB", socket.name);
    }
    // Each was told, and not each by a line of its own.
    let told = central.log().lines().filter(|line| line.contains("event=input_refused")).count();
    assert!((1..40).contains(&told), "{told} lines");
    let counted = central.http.get("/metrics").text;
    assert!(counted.contains("parkmesh_input_refused_total{kind=\"too_many_frames\"}"), "{counted}");
}

/// `cargo test --release --test floods -- --ignored --nocapture`: the same for a minute each, with one connection and with a
/// hundred; prints what docs/testing.md tells. Nothing else should run meanwhile.
#[test]
#[ignore = "takes over an hour"]
fn frames_without_end_for_a_minute_each() {
    let time = std::env::var("PARKMESH_FLOOD_S").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let time = Duration::from_secs(time);
    for socket in ws_flood::sockets() {
        for connections in [1, 100] {
            let central = central_with_a_peer();
            let quiet = ws_flood::p99(ws_flood::let_in_for(&central, 0, time / 4));
            let before_kib = central.memory_kib();
            let sink = ws_flood::Socket { sink: Some(ws_flood::sink()), ..socket.clone() };
            for sent in ALL {
                let cars = || ws_flood::let_in_for(&central, 10_000 * (11 + sent as usize), time);
                let (took, _) = ws_flood::during(&central, &sink, &[sent], FLOODER, connections, cars);
                let beside = ws_flood::p99(took);
                let (most_kib, (took, came)) = ws_flood::most_memory_kib(&central, || {
                    let cars = || ws_flood::let_in_for(&central, 10_000 * (1 + sent as usize), time);
                    ws_flood::during(&central, &socket, &[sent], FLOODER, connections, cars)
                });
                let (grown_kib, busy) = (most_kib.saturating_sub(before_kib), ws_flood::p99(took));
                let (sockets, bytes) = (came.sockets.load(Ordering::Relaxed), came.bytes.load(Ordering::Relaxed));
                println!(
                    "{}, {connections} x {sent:?}: {sockets} sockets, {} MB sent, {grown_kib} KiB, p99 {quiet:?} -> {busy:?} ({:.2}), {beside:?} beside a sink ({:.2})",
                    socket.name,
                    bytes / 1_000_000,
                    busy.as_secs_f64() / quiet.as_secs_f64(),
                    busy.as_secs_f64() / beside.as_secs_f64()
                );
                assert!(grown_kib < MOST_GROWN_KIB, "{grown_kib} KiB");
            }
            eventually("the memory comes back", DEADLINE, || central.memory_kib() < before_kib + MOST_GROWN_KIB / 2);
        }
    }
}

/// One address holds sockets on which `said` was the last word; edges elsewhere call over connections of their own.
fn hold_half_open<S: Read + Write>(central: &Central, said: &[u8], connect: impl Fn([u8; 4]) -> std::io::Result<S>) {
    let before_kib = central.memory_kib();
    let hold = || {
        let mut stream = connect_from(FLOODER, central).unwrap();
        let _ = stream.write_all(said);
        stream
    };
    let is_over = |stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        !matches!((&*stream).read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    };
    // For their number, not for their age: the first is there when the last is not. Where they were made so slowly that it is not, anew.
    let mut held = eventually_some("what is too many is ended for its number", 3 * DEADLINE, || {
        let held: Vec<TcpStream> = (0..HALF_OPEN).map(|_| hold()).collect();
        let ended = || held.iter().filter(|stream| is_over(stream)).count();
        eventually("what is too many is ended", DEADLINE, || ended() >= HALF_OPEN - 256);
        (!is_over(&held[0])).then_some(held)
    });
    // Meanwhile edges elsewhere are served, over a new connection each, however eagerly the address comes again.
    for number in 0..20 {
        held.retain(|stream| !is_over(stream));
        held.extend((0..50).map(|_| hold()));
        let mut stream = connect(EDGE).unwrap();
        assert_eq!(call(&mut stream, &entry(central, number)).unwrap(), 200);
    }
    let grown_kib = central.memory_kib().saturating_sub(before_kib);
    assert!(grown_kib < 32 * 1024, "{grown_kib} KiB");
    // What does not come is not waited for, and the address is let in again.
    drop(held);
    eventually("the address is let in again", DEADLINE, || {
        connect(FLOODER).is_ok_and(|mut stream| call(&mut stream, &entry(central, 50)).is_ok())
    });
}

/// Bodies of the largest size taken anywhere, and all but the end of each, over as many connections as one address has.
#[test]
fn bodies_that_do_not_end_take_no_memory_and_no_gate_away() {
    let central = Central::standalone("central-1");
    let_in(&central, 0..20);
    let before_kib = central.memory_kib();
    let calls =
        ["POST /api/parking/fees/preview", "PUT /api/subscriptions", "POST /api/edge/event", "PUT /api/parking/fees"];
    let heads = calls.into_iter().flat_map(|call| {
        let head = format!("{call} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n");
        [
            format!("{head}Content-Length: 4194304\r\n\r\n"),
            format!("{head}Transfer-Encoding: chunked\r\n\r\n400000\r\n"),
        ]
    });
    let heads: Vec<String> = heads.collect();
    let body = vec![b' '; 4 * 1024 * 1024 - 1];
    let (most_kib, refused) = ws_flood::most_memory_kib(&central, || {
        let one = |number: usize| {
            let mut stream = connect_from(FLOODER, &central).unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
            // Written as far as it is taken.
            let _ = stream.write_all(heads[number % heads.len()].as_bytes()).and_then(|()| stream.write_all(&body));
            let _ = stream.set_nonblocking(true);
            let mut answer = [0; 12];
            let is_over =
                !matches!(stream.read(&mut answer), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
            (is_over, stream)
        };
        let refused = std::thread::scope(|scope| {
            let one = &one;
            let all: Vec<_> = (0..200).map(|number| scope.spawn(move || one(number))).collect();
            let took = let_in(&central, 100..200);
            assert_eq!(took.len(), 100);
            let all: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
            all.iter().filter(|(is_over, _)| *is_over).count()
        });
        let mut elsewhere = connect_from(EDGE, &central).unwrap();
        assert_eq!(call(&mut elsewhere, &entry(&central, 300)).unwrap(), 200);
        refused
    });
    let grown_kib = most_kib.saturating_sub(before_kib);
    println!("{refused} refused, {grown_kib} KiB");
    assert!(refused >= 100, "{refused}");
    assert!(grown_kib < MOST_GROWN_KIB, "{grown_kib} KiB");
    // What is given up is free again: a list as long as may be is taken, from the same address.
    let list = format!(r#"{{"subscriptions":[],"pad":"{}"}}"#, "x".repeat(4_000_000));
    let whole = format!(
        "PUT /api/subscriptions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{list}",
        list.len()
    );
    eventually("a whole body is taken", DEADLINE, || {
        connect_from(FLOODER, &central)
            .is_ok_and(|mut stream| call(&mut stream, &whole).is_ok_and(|status| status == 200))
    });
}

/// The shortest requests there are, without waiting for an answer, over as many connections as one address has; every other reads.
#[test]
fn requests_that_wait_for_no_answer_take_no_memory_and_no_gate_away() {
    let central = Central::standalone("central-1");
    let_in(&central, 0..20);
    let before_kib = central.memory_kib();
    let requests = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2_000);
    let over = AtomicBool::new(false);
    let (most_kib, answered) = ws_flood::most_memory_kib(&central, || {
        std::thread::scope(|scope| {
            let _ends = Ends(&over);
            let one = |number: usize| {
                let mut stream = connect_from(FLOODER, &central).unwrap();
                stream.set_nonblocking(true).unwrap();
                let (mut done, mut answered, mut read) = (0, 0, [0; 16 * 1024]);
                while !over.load(Ordering::Relaxed) {
                    match stream.write(&requests.as_bytes()[done..]) {
                        Ok(count) => done = (done + count) % requests.len(),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        Err(error) => panic!("{error}"),
                    }
                    if number.is_multiple_of(2) {
                        answered += stream.read(&mut read).unwrap_or(0);
                    }
                }
                answered
            };
            let all: Vec<_> = (0..200).map(|number| scope.spawn(move || one(number))).collect();
            assert_eq!(let_in(&central, 100..300).len(), 200);
            over.store(true, Ordering::Relaxed);
            all.into_iter().map(|one| one.join().unwrap()).sum::<usize>()
        })
    });
    let grown_kib = most_kib.saturating_sub(before_kib);
    println!("{answered} bytes of answers, {grown_kib} KiB");
    assert!(answered > 100_000, "they are answered: {answered}");
    assert!(grown_kib < MOST_GROWN_KIB, "{grown_kib} KiB");
}

/// Bodies in chunks of a byte, which are a hundred times as long in memory, over as many connections as one address has.
#[test]
fn chunks_of_a_byte_take_no_memory_and_no_gate_away() {
    let central = Central::standalone("central-1");
    let_in(&central, 0..20);
    let before_kib = central.memory_kib();
    let head =
        "POST /api/edge/event HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    let chunks = "1\r\nx\r\n".repeat(40_000);
    let (most_kib, ()) = ws_flood::most_memory_kib(&central, || {
        std::thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| {
                    let mut stream = connect_from(FLOODER, &central).unwrap();
                    stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
                    // As far as it is taken.
                    let _ = stream.write_all(format!("{head}\r\n{chunks}").as_bytes());
                });
            }
            assert_eq!(let_in(&central, 100..300).len(), 200);
        });
    });
    let grown_kib = most_kib.saturating_sub(before_kib);
    println!("{grown_kib} KiB");
    assert!(grown_kib < MOST_GROWN_KIB, "{grown_kib} KiB");
    // A socket does not come in chunks.
    let socket = "GET /ws/status HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let asked = |more: &str| call(&mut connect_from(EDGE, &central).unwrap(), &format!("{socket}{more}\r\n")).unwrap();
    assert_eq!(asked(""), 101);
    assert_eq!(asked("Transfer-Encoding: chunked\r\n"), 400);
}

/// A central with a page of the history of over 1 MB.
fn central_with_a_long_history() -> Central {
    let central = Central::standalone("central-1");
    let mut here = connect_from([127, 0, 0, 1], &central).unwrap();
    (0..2_000).for_each(|number| assert_eq!(call(&mut here, &entry(&central, number)).unwrap(), 200));
    let page = central.http.get("/api/parking/history?limit=-1").text.len();
    assert!(page > 1_000_000, "{page}");
    central
}

/// Asks for it so often that it does not fit into what the kernel keeps.
fn ask_for_history(central: &Central) -> TcpStream {
    ask_over(connect_from(FLOODER, central).unwrap(), central)
}

fn ask_over(mut stream: TcpStream, central: &Central) -> TcpStream {
    let ask = format!("GET /api/parking/history?limit=-1 HTTP/1.1\r\nHost: {}\r\n\r\n", central.ip);
    stream.write_all(ask.repeat(8).as_bytes()).unwrap();
    stream
}

#[test]
fn answers_that_are_not_taken_take_no_memory_and_nobody_elsewhere_waits() {
    let central = central_with_a_long_history();
    let before_kib = central.memory_kib();
    let (most_kib, held) = ws_flood::most_memory_kib(&central, || {
        let held: Vec<TcpStream> = (0..200).map(|_| ask_for_history(&central)).collect();
        // Pages elsewhere are answered, and gates are.
        let stats = format!("GET /api/stats HTTP/1.1\r\nHost: {}\r\n\r\n", central.ip);
        for number in 2_000..2_050 {
            let mut elsewhere = connect_from(EDGE, &central).unwrap();
            assert_eq!(call(&mut elsewhere, &entry(&central, number)).unwrap(), 200);
            assert_eq!(call(&mut elsewhere, &stats).unwrap(), 200);
        }
        held
    });
    let grown_kib = most_kib.saturating_sub(before_kib);
    println!("{grown_kib} KiB");
    assert!(grown_kib < MOST_GROWN_KIB, "{grown_kib} KiB");
    drop(held);
    let stats = format!("GET /api/stats HTTP/1.1\r\nHost: {}\r\n\r\n", central.ip);
    eventually("the address is answered again", DEADLINE, || {
        connect_from(FLOODER, &central)
            .is_ok_and(|mut stream| call(&mut stream, &stats).is_ok_and(|status| status == 200))
    });
}

#[test]
fn who_takes_a_few_bytes_now_and_then_loses_the_connection() {
    let central = central_with_a_long_history();
    // Who leaves little room for what comes is seen to take it; the kernel alone would end this after a minute.
    let api = format!("{}:{API_PORT}", central.ip).parse().unwrap();
    let mut slow = ask_over(net::connect_with_little_room(FLOODER.into(), api).unwrap(), &central);
    let mut few = [0; 400];
    eventually("it is given up before that", 2 * DEADLINE, || {
        // 800 bytes a second. An end is seen at once, before all that came is read.
        std::thread::sleep(Duration::from_millis(500));
        slow.write_all(b" ").is_err()
            || slow.read(&mut few).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    });
}

/// A machine that grants few descriptors, and many addresses that hold what they get.
#[test]
fn who_takes_every_connection_keeps_out_no_gate_that_is_known_and_is_told_of() {
    let mut central = Central::new("central-1");
    central.run_by(&["prlimit", "--nofile=1024:1024"]);
    central.start();
    assert!(central.log().contains("event=few_open_files"), "{}", central.log());
    // The gate was served before.
    let_in(&central, 0..1);
    let address = |number: u16| [127, 98, number.to_be_bytes()[0], number.to_be_bytes()[1]];
    let mut held: Vec<TcpStream> = Vec::new();
    let hold = |held: &mut Vec<TcpStream>, from: [u8; 4], count: usize| {
        held.extend((0..count).filter_map(|_| connect_from(from, &central).ok()));
    };
    // Five addresses take what they can get, and a stranger is served all the same.
    (1..=5).for_each(|number| hold(&mut held, address(number), 256));
    let mut stranger = connect_from(address(6), &central).unwrap();
    assert_eq!(call(&mut stranger, &entry(&central, 1)).unwrap(), 200);
    // Three hundred leave nothing.
    (7..307).for_each(|number| hold(&mut held, address(number), 4));
    let turned_away = || {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", central.ip);
        connect_from(address(999), &central).and_then(|mut stream| call(&mut stream, &request)).is_err()
    };
    eventually("a stranger is turned away", DEADLINE, turned_away);
    // But the known gate is served, over a connection each, and so is this machine; the database and its readers have theirs.
    for number in 2..22 {
        let mut stream = connect_from(EDGE, &central).unwrap();
        assert_eq!(call(&mut stream, &entry(&central, number)).unwrap(), 200);
    }
    let status = central.http.get("/api/status").ok().body;
    let notices: Vec<&str> = status["central"]["notices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|notice| notice["code"].as_str().unwrap())
        .collect();
    assert_eq!(notices, ["connections"], "{status}");
    assert_eq!(central.http.get("/api/parking/history").ok().body["success"], true);
    let log = central.log();
    assert!(log.contains("kind=no_connection_left") && !log.contains("Too many open files"), "{log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("kind=no_connection_left")).collect();
    assert!(lines.len() == 1 && lines[0].contains("127.98.0.1 ("), "one line that names who has most: {lines:?}");
    assert!(central.http.get("/metrics").text.contains("parkmesh_input_refused_total{kind=\"no_connection_left\"}"));
    drop(held);
    eventually("a stranger is served again", DEADLINE, || !turned_away());
}
