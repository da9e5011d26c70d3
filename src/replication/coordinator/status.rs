//! What people are shown of the coordination: what waits, for what, since when.

use serde::Serialize;

use crate::domain::ids::{CentralId, LogId};

/// One log that is followed or wanted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogStatus {
    pub log: LogId,
    /// Events held durably.
    pub held: u64,
    /// Events received, the held ones included.
    pub received: u64,
    /// The most any linked peer announced.
    pub announced: u64,
    pub source: Option<CentralId>,
    pub waits: Option<Wait>,
    /// It waits for events or for a commit, and nothing of either came for a minute.
    pub stands_still: bool,
}

/// What a log waits for, and since when on the monotonic clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wait {
    pub reason: WaitReason,
    pub since_mono_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// For events from the source.
    Source,
    /// For the commit of what was received.
    Commit,
    /// The last commit failed; the events are asked for again after a pause.
    CommitFailed,
    /// Eight logs are catching up on the link of the best source already.
    LinkBusy,
    /// Every central that holds more has disappointed us; the only one left is tried again shortly.
    SourceAvoided,
    /// The chain differs from the one held here, at every central that holds more.
    Forked,
}

/// Since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    pub runs_taken: u64,
    pub events_taken: u64,
    /// Events that were held or queued already.
    pub duplicates: u64,
    pub gaps: u64,
    pub stalls: u64,
    pub broken_runs: u64,
    pub failed_commits: u64,
    pub forks: u64,
}
