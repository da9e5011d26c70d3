//! What a [`super::Peer`] wants done, what it tells the coordinator, and what people are shown of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, LogId};
use crate::replication::Now;
use crate::replication::handshake::SeenStart;
use crate::replication::log::{CommittedRun, Head, Run};
use crate::wire::frame::{Encoder, Frame, PeopleSaid, SyncRefusal};

/// One socket, numbered by the shell; unique while the process lives. The socket in use also names the *link*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// Something the shell is to do for one peer.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerOutput {
    /// Connect to the peer's address; answer with `dialled` or `dial_failed` and this attempt.
    Dial { attempt: u64, timeout_ms: u64 },
    /// Send a text frame.
    Send { socket: SocketId, text: String },
    /// As [`PeerOutput::Send`], compressed on its way: it is long, and the peer can read that.
    SendCompressed { socket: SocketId, text: String },
    /// Send a WebSocket ping with these 8 bytes (big-endian); answer with `pong` when they return.
    Ping { socket: SocketId, payload: u64 },
    /// Send what was queued, then a close frame, and forget the socket. No `closed` needs to follow.
    Close { socket: SocketId, code: u16, reason: String },
    /// Read a run from the disk; answer with `run_read`.
    ReadRun(ReadRun),
    /// Hand to the coordinator.
    Report(PeerReport),
    /// Log it, show it.
    Alarm(Alarm),
}

/// Read consecutive events of `log` from `after + 1` on: at least one, at most `max_bytes` of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRun {
    pub sub: u64,
    pub log: LogId,
    pub after: u64,
    pub max_bytes: usize,
}

/// What a [`ReadRun`] found.
#[derive(Debug, Clone)]
pub struct RunRead {
    pub sub: u64,
    pub log: LogId,
    pub after: u64,
    /// `Ok(None)`: nothing is held after that place. `Err`: the disk failed, with the reason; it is tried again.
    pub found: Result<Option<CommittedRun>, String>,
}

/// What a peer's link tells the coordinator. `link` is the socket in use.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerReport {
    /// The handshake is done. What was known of an earlier link is void.
    LinkUp {
        link: SocketId,
    },
    LinkDown {
        link: SocketId,
        reason: String,
    },
    /// The peer holds a log durably up to there.
    Has {
        link: SocketId,
        log: LogId,
        head: Head,
    },
    /// Events came. `current`: of a subscription that still stands; otherwise a late frame of one that was stopped.
    /// What was never asked for does not come this far.
    Run {
        link: SocketId,
        run: Run,
        current: bool,
    },
    /// The peer does not serve the subscription to this log; it ended.
    Refused {
        link: SocketId,
        log: LogId,
        refusal: SyncRefusal,
        held: Head,
    },
    /// A request of the peer showed that its chain differs from ours at an event both hold.
    Forked {
        link: SocketId,
        log: LogId,
        seq: u64,
    },
    /// The peer's logs begin with its signature.
    SignsLogs,
    /// The peer is this start of its database, and lives.
    Started(SeenStart),
    /// The peer says which keys stand for which centrals.
    Vouches {
        keys: BTreeMap<CentralId, Vec<Fingerprint>>,
    },
    /// The peer says who may log in at the site.
    People(PeopleSaid),
    /// The peer sent events of this log that nobody could pass on. The link ends for it.
    Unfit {
        link: SocketId,
        log: LogId,
    },
}

/// What the coordinator wants of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerCommand {
    /// Subscribe to a log from what is held of it. Replaces a subscription to the same log.
    Follow {
        log: LogId,
        from: Head,
    },
    Unfollow {
        log: LogId,
    },
    /// The log is committed up to there: acknowledge to its source.
    Acknowledge {
        log: LogId,
        head: Head,
    },
}

/// Something a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// Two living processes use one central id: two machines with one configuration, or a cloned disk.
    DuplicateCentralId { central: CentralId },
    /// A central goes on from an older copy of its database than was linked before.
    OlderStart { central: CentralId, start: u64, seen: u64 },
    /// A peer says that this central is the one that does.
    OlderStartHere { peer: CentralId, said: String },
    /// Two centrals hold different events at one place of a log. It is no longer replicated between the two.
    Fork { log: LogId, seq: u64, peer: CentralId },
    /// A peer sent events whose hash is not their chain's: damaged on the way or on its disk.
    BrokenRun { log: LogId, after: u64, peer: CentralId },
    /// A peer holds more of our current log than we wrote: this disk has forgotten something. A new epoch is started.
    OwnLogAhead { log: LogId, ours: u64, theirs: u64, peer: CentralId },
    /// Reading our own log for a peer failed.
    ReadFailed { log: LogId, peer: CentralId, reason: String },
    /// A peer gave events of a log that was not written by whose name it has. Nothing of them was taken.
    NotItsAuthor { log: LogId, peer: CentralId, reason: String },
    /// A peer announced more logs nobody here has heard of than any mesh has. Its link was ended.
    TooManyLogs { peer: CentralId },
    /// More of what one central wrote was taken than may be in this time: its logs wait.
    TooMuchOfOne { central: CentralId, what: &'static str },
    /// One central wrote more than any site does. All of it is taken.
    MuchOfOne { central: CentralId, what: &'static str },
    /// A peer said what cannot be read. Its link was ended.
    BadFrame { peer: CentralId, reason: String },
    /// A peer sent an event that is larger than an event may be. Its link was ended; nothing of the run was taken.
    OversizedEvent { log: LogId, seq: u64, bytes: usize, peer: CentralId },
    /// An event held here is larger than an event may be, from a time before that was checked: the log ends before it for others.
    CannotPassOn { log: LogId, seq: u64, bytes: usize, peer: CentralId },
    /// The link stands, and for a minute the peer has not said that it holds this log up to there, and nothing else moved.
    NotMoving { log: LogId, to: u64, peer: CentralId },
    /// The link stands, and for a minute nothing of this log, which the peer announced, came or was committed here.
    NotArriving { log: LogId, peer: CentralId, waits_for: &'static str },
}

impl Alarm {
    /// The central it is about.
    pub fn about(&self) -> &CentralId {
        match self {
            Self::DuplicateCentralId { central }
            | Self::OlderStart { central, .. }
            | Self::TooMuchOfOne { central, .. }
            | Self::MuchOfOne { central, .. } => central,
            Self::OlderStartHere { peer, .. }
            | Self::Fork { peer, .. }
            | Self::BrokenRun { peer, .. }
            | Self::OwnLogAhead { peer, .. }
            | Self::ReadFailed { peer, .. }
            | Self::NotItsAuthor { peer, .. }
            | Self::TooManyLogs { peer }
            | Self::BadFrame { peer, .. }
            | Self::OversizedEvent { peer, .. }
            | Self::CannotPassOn { peer, .. }
            | Self::NotMoving { peer, .. }
            | Self::NotArriving { peer, .. } => peer,
        }
    }

    /// The stable name in the log and on the page.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DuplicateCentralId { .. } => "duplicate_central_id",
            Self::OlderStart { .. } | Self::OlderStartHere { .. } => "older_start",
            Self::Fork { .. } => "log_forked",
            Self::BrokenRun { .. } => "broken_run",
            Self::OwnLogAhead { .. } => "own_log_ahead",
            Self::ReadFailed { .. } => "read_failed",
            Self::NotItsAuthor { .. } => "log_not_its_authors",
            Self::TooManyLogs { .. } => "too_many_logs",
            Self::TooMuchOfOne { .. } => "too_much_of_one",
            Self::MuchOfOne { .. } => "much_of_one",
            Self::BadFrame { .. } => "bad_frame",
            Self::OversizedEvent { .. } => "oversized_event",
            Self::CannotPassOn { .. } => "cannot_pass_on",
            Self::NotMoving { .. } | Self::NotArriving { .. } => "link_not_moving",
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateCentralId { central } => write!(f, "two living processes use the central id {central}"),
            Self::OlderStart { central, start, seen } => write!(
                f,
                "{central} goes on from start {start} of its database, though start {seen} of another copy was linked before: it was put \
                 back from a copy, or its disk forgot something. If nobody did that, two machines take turns with one directory: stop \
                 one for good, or expel the certificate"
            ),
            Self::OlderStartHere { peer, said } => write!(f, "{peer} says: {said}"),
            Self::Fork { log, seq, peer } => write!(f, "{peer} holds another event {seq} of {log}"),
            Self::BrokenRun { log, after, peer } => write!(f, "{peer} sent damaged events of {log} after {after}"),
            Self::OwnLogAhead { log, ours, theirs, peer } => {
                write!(f, "{peer} holds {theirs} events of our log {log}, of which {ours} are here")
            }
            Self::ReadFailed { log, peer, reason } => write!(f, "reading {log} for {peer} failed: {reason}"),
            Self::NotItsAuthor { log, peer, reason } => {
                write!(f, "{peer} gave events of {log} that are not taken: {reason}")
            }
            Self::TooManyLogs { peer } => write!(f, "{peer} announced more unknown logs than any mesh has"),
            Self::TooMuchOfOne { central, what } => write!(
                f,
                "{central} wrote more {what} than is taken of one central in this time: the rest waits; if no site writes as much, \
                 expel it"
            ),
            Self::MuchOfOne { central, what } => write!(
                f,
                "{central} wrote more {what} than any site does; unless it comes back after weeks or took over the data of an old program, \
                 look at what it wrote, and expel it"
            ),
            Self::BadFrame { peer, reason } => write!(f, "{peer} sent what cannot be read: {reason}"),
            Self::OversizedEvent { log, seq, bytes, peer } => {
                write!(f, "{peer} sent event {seq} of {log} with {bytes} bytes, more than an event may have")
            }
            Self::CannotPassOn { log, seq, bytes, peer } => write!(
                f,
                "event {seq} of {log} is held here with {bytes} bytes, more than an event may have: {peer} gets the log up to \
                 the one before it"
            ),
            Self::NotMoving { log, to, peer } => {
                write!(f, "{peer} is linked and has acknowledged nothing of {log} up to {to} for a minute")
            }
            Self::NotArriving { log, peer, waits_for } => {
                write!(f, "{peer} is linked and announced more of {log}, which waits for {waits_for} for a minute")
            }
        }
    }
}

/// The outputs of one peer, in order, and the counters that go with them.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) encoder: Encoder,
    pub(super) outputs: Vec<PeerOutput>,
    pub(super) counters: FrameCounters,
}

impl Out {
    pub(super) fn new(own: CentralId) -> Self {
        Self { encoder: Encoder::new(own), outputs: Vec::new(), counters: FrameCounters::default() }
    }

    pub(super) fn send(&mut self, now: Now, socket: SocketId, frame: &Frame) {
        let text = self.encoder.encode(now.wall_ms, frame);
        self.send_text(socket, text);
    }

    pub(super) fn send_text(&mut self, socket: SocketId, text: String) {
        self.counters.frames_sent += 1;
        self.outputs.push(PeerOutput::Send { socket, text });
    }

    pub(super) fn send_compressed(&mut self, socket: SocketId, text: String) {
        self.counters.frames_sent += 1;
        self.outputs.push(PeerOutput::SendCompressed { socket, text });
    }

    pub(super) fn ping(&mut self, socket: SocketId, payload: u64) {
        self.outputs.push(PeerOutput::Ping { socket, payload });
    }

    pub(super) fn close(&mut self, socket: SocketId, code: u16, reason: &str) {
        self.outputs.push(PeerOutput::Close { socket, code, reason: reason.to_owned() });
    }

    pub(super) fn report(&mut self, report: PeerReport) {
        self.outputs.push(PeerOutput::Report(report));
    }

    pub(super) fn alarm(&mut self, alarm: Alarm) {
        self.outputs.push(PeerOutput::Alarm(alarm));
    }
}

/// The earlier of two moments, where `None` is never.
pub(crate) fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// Where the link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    Connected,
    Connecting,
    Disconnected,
}

/// A link that carries nothing for this long, in ms, is an alarm, whatever the cause.
pub const STANDSTILL_MS: u64 = 60_000;

/// What was sent, or is to be fetched by the peer, and what the peer has not said it committed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unacked {
    pub log: LogId,
    /// The number of its last event.
    pub to: u64,
    pub since_mono_ms: u64,
}

impl Unacked {
    /// Whether it waits longer than a link that moves lets anything wait.
    pub fn is_overdue(&self, mono_ms: u64) -> bool {
        self.since_mono_ms + STANDSTILL_MS <= mono_ms
    }
}

/// A snapshot of one peer. Times are on the shell's monotonic clock (`_mono_ms`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeerStatus {
    pub peer: CentralId,
    pub state: LinkState,
    /// Since when that state holds.
    pub since_mono_ms: u64,
    /// Why the last link or dial ended.
    pub last_error: Option<String>,
    /// When the next dial is due, while disconnected.
    pub next_dial_mono_ms: Option<u64>,
    /// Failed attempts since the last success.
    pub failed_dials: u32,
    /// When the peer was last heard: any frame or pong.
    pub last_heard_mono_ms: Option<u64>,
    /// Round trip of the last answered ping.
    pub round_trip_ms: Option<u64>,
    /// The peer's wall clock minus ours, corrected by half the round trip.
    pub clock_offset_ms: Option<i64>,
    /// Events held here that the peer has not yet said it holds, by log; only logs that lag.
    pub lag: BTreeMap<LogId, u64>,
    /// Events bytes sent and not acknowledged.
    pub unacked_bytes: usize,
    /// What has waited longest for the peer to say that it holds it: it was sent, or is ours and the peer does not ask for it.
    pub oldest_unacked: Option<Unacked>,
    /// Logs the peer takes from us, and those we take from it.
    pub serving: usize,
    pub following: usize,
    /// The centrals the peer said it is linked with, and its digests, in its last HEARTBEAT.
    pub links: Vec<CentralId>,
    pub digests: BTreeMap<String, String>,
    pub counters: FrameCounters,
}

/// Since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct FrameCounters {
    pub frames_sent: u64,
    pub frames_received: u64,
    /// Frames of types this version does not know.
    pub unknown_frames: u64,
    /// Frames that could not be read.
    pub bad_frames: u64,
    /// Runs of logs that were not asked for on their link: dropped.
    pub unasked_runs: u64,
    pub events_sent: u64,
    pub events_received: u64,
    /// Links that came up.
    pub links_up: u64,
}
