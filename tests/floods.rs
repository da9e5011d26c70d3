//! One address that floods, or holds sockets open, leaves the edges of others alone.
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
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::central::API_PORT;
use common::https::{Secured, fingerprint_in};
use common::{Central, DEADLINE, Https, eventually};

/// Where the flood comes from, and where the well-behaved edge stands.
const FLOODER: [u8; 4] = [127, 99, 1, 1];
const EDGE: [u8; 4] = [127, 99, 2, 2];
const HALF_OPEN: usize = 1_000;
/// Cars that pass while nothing else happens, and as many during the flood, in turns. What else the machine does can only make a
/// round slower: the best of each kind are held against each other, after more rounds where these do not suffice.
const CARS: usize = 100;
const ROUNDS: usize = 3;
const MOST_ROUNDS: usize = 10;

/// A connection from a loopback address of one's own choice.
fn connect_from(source: [u8; 4], central: &Central) -> std::io::Result<TcpStream> {
    common::net::connect_from(source.into(), format!("{}:{API_PORT}", central.ip).parse().unwrap())
}

/// A request over a connection that stays; its status.
fn call(stream: &mut (impl Read + Write), request: &str) -> std::io::Result<u16> {
    stream.write_all(request.as_bytes())?;
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0usize) {
            return Ok(head.split(' ').nth(1).unwrap().parse().unwrap());
        }
    }
}

/// Says that something is over when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn entry(central: &Central, number: usize) -> String {
    let body = format!("{{\"edge_id\":\"edge-1\",\"plate_id\":\"29A{number:05}\",\"direction\":\"ENTRY\"}}");
    let (host, length) = (&central.ip, body.len());
    format!(
        "POST /api/edge/barrier/open HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Lets cars in, one after the other, over one connection; the 99th percentile of the times.
fn p99_of_cars(central: &Central, first: usize) -> Duration {
    let mut stream = connect_from(EDGE, central).unwrap();
    let mut times: Vec<Duration> = (first..first + CARS)
        .map(|number| {
            // A busy gate, not another flood.
            std::thread::sleep(Duration::from_millis(10));
            let start = Instant::now();
            assert_eq!(call(&mut stream, &entry(central, number)).unwrap(), 200);
            start.elapsed()
        })
        .collect();
    times.sort();
    times[CARS * 99 / 100 - 1]
}

#[test]
fn a_flood_from_one_address_leaves_the_edges_of_others_alone() {
    let central = Central::standalone("central-1");
    let (answered, turned_away) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let flooded = |first: usize| {
        let over = AtomicBool::new(false);
        let before = turned_away.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    let request = format!("GET /api/stats HTTP/1.1\r\nHost: {}\r\n\r\n", central.ip);
                    while !over.load(Ordering::Relaxed) {
                        let Ok(mut stream) = connect_from(FLOODER, &central) else { continue };
                        while let Ok(status) = call(&mut stream, &request) {
                            match status {
                                429 => turned_away.fetch_add(1, Ordering::Relaxed),
                                _ => answered.fetch_add(1, Ordering::Relaxed),
                            };
                            if over.load(Ordering::Relaxed) {
                                break;
                            }
                        }
                    }
                });
            }
            // Also where what is waited for does not come: the flood would go on for ever.
            let _ends = Ends(&over);
            eventually("the flood is turned away", DEADLINE, || turned_away.load(Ordering::Relaxed) > before + 32);
            p99_of_cars(&central, first)
        })
    };
    let (mut quiet, mut during) = (Duration::MAX, Duration::MAX);
    for round in 0..MOST_ROUNDS {
        let first = 2 * round * CARS;
        quiet = quiet.min(p99_of_cars(&central, first));
        during = during.min(flooded(first + CARS));
        println!("best p99 quiet {quiet:?}, during the flood {during:?}");
        if round + 1 >= ROUNDS && during < quiet * 2 {
            break;
        }
    }
    println!("{answered:?} answered, {turned_away:?} turned away");
    assert!(during < quiet * 2, "p99 quiet {quiet:?}, during the flood {during:?}");
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

/// One address holds sockets on which `said` was the last word; edges elsewhere call over connections of their own.
fn hold_half_open<S: Read + Write>(central: &Central, said: &[u8], connect: impl Fn([u8; 4]) -> std::io::Result<S>) {
    let memory_kib = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", central.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
    };
    let before_kib = memory_kib();
    let hold = || {
        let mut stream = connect_from(FLOODER, central).unwrap();
        let _ = stream.write_all(said);
        stream
    };
    let mut held: Vec<TcpStream> = (0..HALF_OPEN).map(|_| hold()).collect();
    let is_over = |stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        !matches!((&*stream).read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    };
    let ended = || held.iter().filter(|stream| is_over(stream)).count();
    eventually("what is too many is ended", DEADLINE, || ended() >= HALF_OPEN - 256);
    assert!(!is_over(&held[0]), "for their number, not for their age");
    // Meanwhile edges elsewhere are served, over a new connection each, however eagerly the address comes again.
    for number in 0..20 {
        held.retain(|stream| !is_over(stream));
        held.extend((0..50).map(|_| hold()));
        let mut stream = connect(EDGE).unwrap();
        assert_eq!(call(&mut stream, &entry(central, number)).unwrap(), 200);
    }
    let grown_kib = memory_kib().saturating_sub(before_kib);
    assert!(grown_kib < 32 * 1024, "{grown_kib} KiB");
    // What does not come is not waited for, and the address is let in again.
    drop(held);
    eventually("the address is let in again", DEADLINE, || {
        connect(FLOODER).is_ok_and(|mut stream| call(&mut stream, &entry(central, 50)).is_ok())
    });
}
