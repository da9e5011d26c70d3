//! What dashboards cost the gates: the same load with 200 of them open on `/ws/status` and with none, in turns.
//!
//! One thread reads them all, so that what is measured is the central and not 200 clients on the same cores.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use tungstenite::{Error, Message, WebSocket};

use crate::Plan;
use crate::common::central::API_PORT;
use crate::common::{Central, DEADLINE, eventually};
use crate::one::url;
use crate::outside::{Load, bench, load_of, seconds};
use crate::table::{Bar, Table};

const DASHBOARDS: usize = 200;
/// Calls per second at the gates, and how many gates make them.
const RATE: &str = "50";
const EDGES: &str = "4";
const ROUNDS: usize = 3;
/// How long the reader waits for a message before it looks whether it is to stop.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

pub fn measure(plan: &Plan, table: &mut Table) {
    let central = Central::standalone("central-1");
    let mut rounds = Vec::new();
    let mut most_updates_per_s: f64 = 0.0;
    for _ in 0..ROUNDS {
        let without = drive(&central, plan).latency_us("p99") / 1e3;
        let audience = Audience::open(&central);
        let with = drive(&central, plan).latency_us("p99") / 1e3;
        most_updates_per_s = most_updates_per_s.max(audience.close());
        println!("  p99 of the gates: {with:.2} ms with {DASHBOARDS} dashboards, {without:.2} ms with none");
        rounds.push((with, without));
        eventually("the dashboards are let go", DEADLINE, || watching(&central) == 0);
    }
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (with, without) = rounds[ROUNDS / 2];
    let measured = format!("{with:.2} / {without:.2} ms, {RATE} events/s");
    table.line("p99 with 200 dashboards / without", &measured, with / without, Bar::AtMost(1.5));
    table.line("most updates to a dashboard, per s", "", most_updates_per_s, Bar::AtMost(5.0));
}

fn drive(central: &Central, plan: &Plan) -> Load {
    let run_for = seconds(plan.run_for);
    load_of(&bench(&["--url", &url(central), "--edges", EDGES, "--rate", RATE, "--for", &run_for])).clean()
}

fn watching(central: &Central) -> usize {
    let metrics = central.http.get("/metrics").text;
    let line = metrics.lines().find_map(|line| line.strip_prefix("parkmesh_dashboards ")).expect("a metric");
    line.trim().parse().expect("a number")
}

/// What a reader looks at in a message; the rest is skipped.
#[derive(Deserialize)]
struct Numbered {
    number: Option<u64>,
    /// The central's clock as it said this: unlike ours, not late where this machine is busy.
    now_ms: Option<i64>,
}

/// What one dashboard was told.
#[derive(Clone, Copy, Default)]
struct Heard {
    messages: u64,
    first_and_last_ms: Option<(i64, i64)>,
}

impl Heard {
    fn add(&mut self, said_ms: i64) {
        self.messages += 1;
        self.first_and_last_ms = Some((self.first_and_last_ms.map_or(said_ms, |(first_ms, _)| first_ms), said_ms));
    }

    /// Between the first and the last.
    fn per_s(&self) -> f64 {
        let (first_ms, last_ms) = self.first_and_last_ms.expect("each dashboard was told what happened");
        (self.messages - 1) as f64 * 1e3 / (last_ms - first_ms).max(1) as f64
    }
}

/// Dashboards that read and acknowledge whatever comes.
struct Audience {
    stop: Arc<AtomicBool>,
    reading: JoinHandle<Vec<Heard>>,
}

impl Audience {
    /// Returns once all have their snapshot, which is not counted.
    fn open(central: &Central) -> Self {
        let address = format!("{}:{API_PORT}", central.ip);
        let mut sockets: Vec<_> = (0..DASHBOARDS).map(|_| dial(&address)).collect();
        for socket in &mut sockets {
            eventually("a snapshot", DEADLINE, || {
                let mut snapshot = Heard::default();
                hear(socket, &mut snapshot);
                snapshot.messages > 0
            });
        }
        assert_eq!(watching(central), DASHBOARDS);
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        Self { stop, reading: std::thread::spawn(move || read(sockets, &until)) }
    }

    /// The most messages per second one of them got.
    fn close(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.reading.join().expect("the reader").iter().map(Heard::per_s).fold(0.0, f64::max)
    }
}

fn dial(address: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let (socket, _) = tungstenite::client(format!("ws://{address}/ws/status"), stream).expect("a WebSocket");
    socket.get_ref().set_nonblocking(true).expect("a socket");
    socket
}

fn read(mut sockets: Vec<WebSocket<TcpStream>>, stop: &AtomicBool) -> Vec<Heard> {
    let mut heard = vec![Heard::default(); sockets.len()];
    while !stop.load(Ordering::Relaxed) {
        let mut waiting: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket.get_ref(), PollFlags::IN)).collect();
        poll(&mut waiting, Some(&LOOK)).expect("a poll");
        let ready: Vec<bool> = waiting.iter().map(|one| !one.revents().is_empty()).collect();
        for ((socket, heard), _) in sockets.iter_mut().zip(&mut heard).zip(ready).filter(|(_, ready)| *ready) {
            hear(socket, heard);
        }
    }
    heard
}

/// Reads and acknowledges what has come. That the feed is alive is said after 5 s without a change: not at this rate.
fn hear(socket: &mut WebSocket<TcpStream>, heard: &mut Heard) {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                let Numbered { number, now_ms } = serde_json::from_str(&text).expect("a message");
                if let Some(number) = number {
                    heard.add(now_ms.expect("when it was said"));
                    let ack = format!(r#"{{"type":"ack","number":{number}}}"#);
                    socket.send(Message::text(ack)).expect("an open socket");
                }
            }
            Ok(_) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("a dashboard was left: {error}"),
        }
    }
}
