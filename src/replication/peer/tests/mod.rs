//! The rules of one peer, each by what it sends.

mod handshake;
mod life;
mod pairing;
mod serving;
mod standstill;
mod telling;

use super::output::*;
use super::*;
use crate::domain::ids::{Epoch, LogId};
use crate::replication::log::{EventBytes, Head, Run};
use crate::trust::site::OwnSite;
use crate::wire::frame::{Instance, Start, SyncRequest, Versions};

/// The instance of the peer at the other end.
const THEIRS: u64 = 900;

/// A peer under test, the clock and the disk.
struct Rig {
    peer: Peer,
    now: Now,
    held: Have,
    texts: Vec<EventBytes>,
}

impl Rig {
    /// `own` and `other` decide which dialler is preferred.
    fn new(own: &str, other: &str) -> Self {
        let now = Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 };
        let own = Identity {
            central: own.parse().unwrap(),
            instance: Instance(1),
            listens: None,
            start: None,
            site: OwnSite::of_nobody(),
        };
        let settings = PeerSettings { own, peer: other.parse().unwrap(), dial_backoff: BackoffRange::DIAL };
        let texts = (1..=4_000).map(|n| format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(980)).into()).collect();
        Self { peer: Peer::new(settings, now, 42), now, held: Have::default(), texts }
    }

    /// One that is linked by a socket it dialled, socket 1; its first outputs are taken.
    fn linked() -> Self {
        Self::linked_holding(&[])
    }

    /// One linked as [`Rig::linked`] that holds this much of the test logs.
    fn linked_holding(held: &[(u64, usize)]) -> Self {
        let mut rig = Self::new("c1", "c2");
        for (epoch, to) in held {
            rig.held.set(&log(*epoch), rig.head(*epoch, *to));
        }
        rig.dial(1);
        rig.hears(1, hello(THEIRS));
        assert_eq!(rig.peer.link(), Some(SocketId(1)));
        rig.take();
        rig
    }

    /// Lets the peer dial, successfully.
    fn dial(&mut self, socket: u64) {
        let attempt = self
            .tick()
            .iter()
            .find_map(|output| match output {
                PeerOutput::Dial { attempt, .. } => Some(*attempt),
                _ => None,
            })
            .expect("a dial is due");
        self.peer.dialled(self.now, attempt, SocketId(socket));
    }

    fn tick(&mut self) -> Vec<PeerOutput> {
        self.peer.tick(self.now, &self.held);
        self.take()
    }

    fn take(&mut self) -> Vec<PeerOutput> {
        self.peer.take_outputs()
    }

    fn wait(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += i64::try_from(ms).unwrap();
    }

    /// Waits, ticking whenever the peer asks for it; returns all outputs.
    fn pass(&mut self, ms: u64) -> Vec<PeerOutput> {
        let until_ms = self.now.mono_ms + ms;
        let mut outputs = Vec::new();
        while let Some(at_ms) = self.peer.next_wakeup_ms().filter(|at_ms| *at_ms <= until_ms) {
            assert!(at_ms > self.now.mono_ms || outputs.len() < 1_000, "spins");
            self.wait(at_ms.saturating_sub(self.now.mono_ms));
            outputs.extend(self.tick());
        }
        self.wait(until_ms - self.now.mono_ms);
        outputs
    }

    fn hears(&mut self, socket: u64, frame: Frame) {
        self.peer.received(self.now, &self.held, SocketId(socket), Ok(frame));
    }

    fn head(&self, epoch: u64, to: usize) -> Head {
        let hash = self.texts[..to].iter().fold(Head::empty(&log(epoch)).hash, |hash, text| hash.extend(text));
        Head { to: to as u64, hash }
    }

    fn run(&self, epoch: u64, after: usize, to: usize) -> Run {
        let (prev, hash) = (self.head(epoch, after).hash, self.head(epoch, to).hash);
        Run { log: log(epoch), after: after as u64, prev, events: self.texts[after..to].to_vec(), hash }
    }

    /// Events of a log become durable here.
    fn commit(&mut self, epoch: u64, to: usize) -> Vec<PeerOutput> {
        let after = usize::try_from(self.held.to(&log(epoch))).unwrap();
        let run = self.run(epoch, after, to);
        self.held.set(&run.log, run.head());
        let runs = CommittedRun::pieces(run);
        self.peer.committed(self.now, &self.held, &runs);
        self.take()
    }

    /// The peer at the other end follows a log.
    fn request(&mut self, sub: u64, epoch: u64, after: usize) -> Vec<PeerOutput> {
        let head = self.head(epoch, after);
        self.hears(1, Frame::SyncRequest(SyncRequest { sub, log: log(epoch), after: head.to, hash: head.hash }));
        self.take()
    }

    fn ack(&mut self, sub: u64, epoch: u64, to: usize) -> Vec<PeerOutput> {
        let head = self.head(epoch, to);
        self.hears(1, Frame::SyncAck { sub, head });
        self.take()
    }

    fn command(&mut self, command: PeerCommand) {
        self.peer.command(self.now, &self.held, SocketId(1), command);
    }

    /// Answers every read among the outputs from the disk; returns all that follows, answered too.
    fn read_all(&mut self, outputs: Vec<PeerOutput>) -> Vec<PeerOutput> {
        let mut all = Vec::new();
        for output in outputs {
            if let PeerOutput::ReadRun(read) = &output {
                self.answer(read.clone());
                let next = self.take();
                all.extend(self.read_all(next));
            } else {
                all.push(output);
            }
        }
        all
    }

    fn answer(&mut self, read: ReadRun) {
        let ReadRun { sub, log, after, max_bytes } = read;
        let from = usize::try_from(after).unwrap();
        let held = usize::try_from(self.held.to(&log)).unwrap();
        let to = (from + (max_bytes / 1_000).max(1)).min(held);
        let found = (to > from).then(|| CommittedRun::new(self.run(log.epoch.0, from, to)));
        self.peer.run_read(self.now, &self.held, RunRead { sub, log, after, found: Ok(found) });
    }
}

fn log(epoch: u64) -> LogId {
    LogId { central: "c9".parse().unwrap(), epoch: Epoch(epoch) }
}

fn hello_of(central: &str, instance: u64) -> Hello {
    Hello {
        versions: Versions { min: 1, max: 1 },
        capabilities: Vec::new(),
        central: central.parse().unwrap(),
        instance: Instance(instance),
        wall_ms: 0,
        listens: None,
        start: None,
        site: None,
    }
}

fn hello(instance: u64) -> Frame {
    Frame::Hello(hello_of("c2", instance))
}

fn heartbeat(wall_ms: i64) -> Frame {
    Frame::Heartbeat(Beat { wall_ms, ..Beat::default() })
}

/// The frames among the outputs that go to a socket.
fn frames(outputs: &[PeerOutput], to: u64) -> Vec<Frame> {
    let to = SocketId(to);
    let texts = outputs.iter().filter_map(|output| match output {
        PeerOutput::Send { socket, text } | PeerOutput::SendCompressed { socket, text } if *socket == to => Some(text),
        _ => None,
    });
    texts.map(|text| Frame::parse(text).expect("a peer sends frames")).collect()
}

/// The runs among the outputs: log, after, events.
fn runs(outputs: &[PeerOutput]) -> Vec<(u64, u64, usize)> {
    let run = |frame| match frame {
        Frame::SyncRun { run, .. } => Some((run.log.epoch.0, run.after, run.events.len())),
        _ => None,
    };
    frames(outputs, 1).into_iter().filter_map(run).collect()
}

/// The heads announced among the outputs, frame by frame.
fn announced(outputs: &[PeerOutput]) -> Vec<Vec<(u64, u64)>> {
    let heads = |frame| match frame {
        Frame::HaveLogs(logs) => Some(logs.iter().map(|(log, head)| (log.epoch.0, head.to)).collect()),
        _ => None,
    };
    frames(outputs, 1).into_iter().filter_map(heads).collect()
}

fn reads(outputs: &[PeerOutput]) -> Vec<ReadRun> {
    let read = |output: &PeerOutput| match output {
        PeerOutput::ReadRun(read) => Some(read.clone()),
        _ => None,
    };
    outputs.iter().filter_map(read).collect()
}

fn reports(outputs: &[PeerOutput]) -> Vec<PeerReport> {
    let report = |output: &PeerOutput| match output {
        PeerOutput::Report(report) => Some(report.clone()),
        _ => None,
    };
    outputs.iter().filter_map(report).collect()
}

fn alarms(outputs: &[PeerOutput]) -> Vec<Alarm> {
    let alarm = |output: &PeerOutput| match output {
        PeerOutput::Alarm(alarm) => Some(alarm.clone()),
        _ => None,
    };
    outputs.iter().filter_map(alarm).collect()
}

fn closed(outputs: &[PeerOutput]) -> Vec<(u64, u16)> {
    let close = |output: &PeerOutput| match output {
        PeerOutput::Close { socket, code, .. } => Some((socket.0, *code)),
        _ => None,
    };
    outputs.iter().filter_map(close).collect()
}

fn pings(outputs: &[PeerOutput], of: u64) -> Vec<u64> {
    let ping = |output: &PeerOutput| match output {
        PeerOutput::Ping { socket, payload } if socket.0 == of => Some(*payload),
        _ => None,
    };
    outputs.iter().filter_map(ping).collect()
}

fn dials(outputs: &[PeerOutput]) -> Vec<u64> {
    let dial = |output: &PeerOutput| match output {
        PeerOutput::Dial { attempt, .. } => Some(*attempt),
        _ => None,
    };
    outputs.iter().filter_map(dial).collect()
}
