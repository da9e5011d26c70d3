//! The coordinator: per log what is durable, what is queued, from whom it comes, what waits and why.

pub mod output;
pub mod status;

use crate::domain::ids::{CentralId, LogId};
use crate::replication::have::Have;
use crate::replication::log::Head;
use crate::replication::now::Now;
use crate::replication::peer::output::PeerReport;
use output::CoordinatorOutput;
use status::{Counters, LogStatus};

/// Decides which log is taken from whom. One per central.
#[derive(Debug)]
pub struct Coordinator {
    own: CentralId,
    own_log: Option<LogId>,
    outputs: Vec<CoordinatorOutput>,
    counters: Counters,
}

impl Coordinator {
    #[must_use]
    pub fn new(own: CentralId) -> Self {
        Self { own, own_log: None, outputs: Vec::new(), counters: Counters::default() }
    }

    /// The log this process authors, once it has one: it is never followed.
    pub fn set_own_log(&mut self, log: Option<LogId>) {
        self.own_log = log;
    }

    /// A peer's link reports. Reports of one peer come in their order.
    pub fn report(&mut self, now: Now, held: &Have, peer: &CentralId, report: PeerReport) {
        let _ = (now, held, peer, report, &self.own);
    }

    /// `log` is durable up to `head` (own logs too). `held` shows it already.
    pub fn committed(&mut self, now: Now, held: &Have, log: &LogId, head: Head) {
        let _ = (now, held, log, head);
    }

    /// A stored run was refused or its transaction failed. What was queued of the log is dropped and asked for again
    /// after a pause, from what `held` shows.
    pub fn store_failed(&mut self, now: Now, held: &Have, log: &LogId) {
        let _ = (now, held, log);
    }

    /// Call when [`Coordinator::next_wakeup_ms`] is due; harmless at any time.
    pub fn tick(&mut self, now: Now, held: &Have) {
        let _ = (now, held);
    }

    /// When `tick` has something to do next, on the monotonic clock.
    #[must_use]
    pub fn next_wakeup_ms(&self) -> Option<u64> {
        None
    }

    /// What there is to do, in order. Call after every other call.
    pub fn take_outputs(&mut self) -> Vec<CoordinatorOutput> {
        std::mem::take(&mut self.outputs)
    }

    /// The logs that are followed or wanted.
    #[must_use]
    pub fn status(&self, held: &Have) -> Vec<LogStatus> {
        let _ = held;
        Vec::new()
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
