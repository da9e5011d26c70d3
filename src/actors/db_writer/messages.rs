//! What the writer is told and asked, and what it tells others.

use std::sync::Arc;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use crate::actors::in_flight::Permit;
use crate::domain::ids::{CentralId, LogId};
use crate::domain::standing::CentralStanding;
use crate::domain::subscription::Subscription;
use crate::domain::tariff::Tariff;
use crate::ledger::job::{Answer, Job, Refusal};
use crate::ledger::settings::Settings;
use crate::replication::log::{Head, Run};

/// What one job came to.
pub type Outcome = Result<Answer, Refusal>;

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

/// Several at once, in order.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DecideAll(pub Vec<Decide>);

/// What was committed just now: own events and stored ones, by log. Sent after the answers.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Committed {
    pub runs: Arc<[Run]>,
    /// The log this process writes, once it has one.
    pub own_log: Option<LogId>,
}

/// What is held durably now. Asked after [`AnnounceTo`], nothing is missed in between.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Heads")]
pub struct AskHeads;

/// How far every log is held.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heads {
    pub heads: Vec<(LogId, Head)>,
    pub own_log: Option<LogId>,
    /// The digest of the history made of them, 64 hex digits.
    pub digest: String,
    /// The number of events held, of all logs.
    pub events: u64,
    /// The fact id of the event that set the tariff in force; `None`: the built-in one.
    pub tariff_version: Option<String>,
}

/// The own log is not ours alone any more: the next own event starts a new one.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StartNewEpoch;

/// Who hears of commits from now on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
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

/// The tariff, the subscriptions and the standing of centrals as held.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "HeldSettings")]
pub struct AskSettings;

/// What is in force here of what is set for the whole site.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeldSettings {
    pub tariff: Tariff,
    /// The fact id of the event that set it; `None`: the built-in one.
    pub tariff_version: Option<String>,
    pub subscriptions: Vec<Subscription>,
    pub centrals: Vec<CentralStanding>,
}

impl HeldSettings {
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let (tariff, tariff_version) = settings.tariff();
        let subscriptions = settings.subscriptions().cloned().collect();
        let centrals = settings.centrals().cloned().collect();
        Self { tariff: tariff.into_owned(), tariff_version, subscriptions, centrals }
    }
}
