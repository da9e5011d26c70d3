//! What a [`super::Peer`] wants done, and what it tells the coordinator.

use std::fmt;

use crate::domain::ids::{CentralId, LogId};
use crate::replication::committed::CommittedRun;
use crate::replication::log::{Head, Run};
use crate::wire::frame::Refusal;

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
        refusal: Refusal,
        held: Head,
    },
    /// A request of the peer showed that its chain differs from ours at an event both hold.
    Forked {
        link: SocketId,
        log: LogId,
        seq: u64,
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
    /// Two centrals hold different events at one place of a log. It is no longer replicated between the two.
    Fork { log: LogId, seq: u64, peer: CentralId },
    /// A peer sent events whose hash is not their chain's: damaged on the way or on its disk.
    BrokenRun { log: LogId, after: u64, peer: CentralId },
    /// A peer holds more of our current log than we wrote: this disk has forgotten something. A new epoch is started.
    OwnLogAhead { log: LogId, ours: u64, theirs: u64, peer: CentralId },
    /// Reading our own log for a peer failed.
    ReadFailed { log: LogId, peer: CentralId, reason: String },
}

impl Alarm {
    /// The central it is about.
    #[must_use]
    pub fn about(&self) -> &CentralId {
        match self {
            Self::DuplicateCentralId { central } => central,
            Self::Fork { peer, .. }
            | Self::BrokenRun { peer, .. }
            | Self::OwnLogAhead { peer, .. }
            | Self::ReadFailed { peer, .. } => peer,
        }
    }

    /// The stable name in the log and on the page.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::DuplicateCentralId { .. } => "duplicate_central_id",
            Self::Fork { .. } => "log_forked",
            Self::BrokenRun { .. } => "broken_run",
            Self::OwnLogAhead { .. } => "own_log_ahead",
            Self::ReadFailed { .. } => "read_failed",
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateCentralId { central } => write!(f, "two living processes use the central id {central}"),
            Self::Fork { log, seq, peer } => write!(f, "{peer} holds another event {seq} of {log}"),
            Self::BrokenRun { log, after, peer } => write!(f, "{peer} sent damaged events of {log} after {after}"),
            Self::OwnLogAhead { log, ours, theirs, peer } => {
                write!(f, "{peer} holds {theirs} events of our log {log}, of which {ours} are here")
            }
            Self::ReadFailed { log, peer, reason } => write!(f, "reading {log} for {peer} failed: {reason}"),
        }
    }
}
