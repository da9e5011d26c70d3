//! What the writer is told and asked, and what it tells others.

use std::sync::Arc;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use crate::domain::ids::{CentralId, LogId};
use crate::ledger::job::{Job, Outcome};
use crate::ops::in_flight::Permit;
use crate::replication::log::{Head, Run};

/// Decide this, make it durable, then answer. Never cancelled once sent: who stops waiting finds it done or not done.
///
/// The reply channel closing without an answer means the writer failed; the job may or may not have happened.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Decide {
    pub job: Job,
    pub reply: oneshot::Sender<Outcome>,
    /// Given back after the answer.
    pub permit: Option<Permit>,
}

impl Decide {
    /// A job without a permit and the channel its outcome comes on.
    #[must_use]
    pub fn new(job: Job) -> (Self, oneshot::Receiver<Outcome>) {
        let (reply, outcome) = oneshot::channel();
        (Self { job, reply, permit: None }, outcome)
    }
}

/// What was committed just now: own events and stored ones, by log. Sent after the answers.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Committed {
    pub runs: Arc<[Run]>,
    /// The log this process writes, once it has one.
    pub own_log: Option<LogId>,
}

/// The own log is not ours alone any more: the next own event starts a new one.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StartNewEpoch;

/// Who hears of commits from now on. Answers how far every log is held by then: nothing is missed in between.
#[derive(Debug, Message)]
#[rtype(result = "Vec<(LogId, Head)>")]
pub struct AnnounceTo(pub Recipient<Committed>);

/// The median clock offset to the peers, stamped into events from now on; `None`: unknown.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct SkewMeasured(pub Option<i64>);

/// Something came from these peers: for `p2p_sync_state`. Send it now and then, not for each run.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct HeardFrom(pub Vec<CentralId>);

/// A predecessor was told of these logs up to there, and heard it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ToldPredecessor {
    pub peer: CentralId,
    pub cursors: Vec<(LogId, u64)>,
}

/// Tries a real commit, now.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), String>")]
pub struct Probe;

/// Commit what is queued, write the WAL back into the database, and take nothing any more. The last message of a stop.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), String>")]
pub struct Flush;
