//! What people are shown of one peer.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::ids::{CentralId, LogId};

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

/// A run that was sent and that the peer has not said it committed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unacked {
    pub log: LogId,
    /// The number of its last event.
    pub to: u64,
    pub since_mono_ms: u64,
}

impl Unacked {
    /// Whether it waits longer than a link that moves lets anything wait.
    #[must_use]
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
    /// Of what that is, what was sent first.
    pub oldest_unacked: Option<Unacked>,
    /// Logs the peer takes from us, and those we take from it.
    pub serving: usize,
    pub following: usize,
    /// The centrals the peer said it is linked with, and its digests, in its last HEARTBEAT.
    pub links: Vec<CentralId>,
    pub digests: BTreeMap<String, String>,
    pub counters: Counters,
}

/// Since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
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
