//! What waits for the writer, and which of it the next transaction takes.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::Decide;
use crate::ledger::job::Job;

/// Most events one transaction takes: some ms of writing, so that who comes next does not wait long.
pub const MAX_BATCH_EVENTS: usize = 1000;
/// How often, in the long run, a transaction is begun for a little that came from peers alone: ten centrals with a hundred events a
/// second each would else sync a thousand times a second, each. What waits for that is taken along by a gate.
pub(super) const RUNS_PERIOD: Duration = Duration::from_millis(5);
/// So many of them may follow each other at once: nothing waits where little happens.
pub(super) const RUNS_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
/// From so many events on, runs do not wait: somebody catches up.
pub(super) const MANY_EVENTS: usize = 64;

#[derive(Debug)]
pub(super) struct Queue {
    /// From gates: at most as many as there are permits.
    gates: VecDeque<Decide>,
    /// From links: bounded by what each link leaves unacknowledged.
    runs: VecDeque<Decide>,
    /// Of the transactions for a little that came from peers alone.
    rate: DefaultDirectRateLimiter,
    /// When the last batch was over.
    last_batch: Option<Instant>,
}

impl Queue {
    /// `runs_period`: [`RUNS_PERIOD`], or another one in tests; not 0.
    pub(super) fn new(runs_period: Duration) -> Self {
        let quota = Quota::with_period(runs_period).unwrap_or(Quota::per_second(RUNS_BURST)).allow_burst(RUNS_BURST);
        Self { gates: VecDeque::new(), runs: VecDeque::new(), rate: RateLimiter::direct(quota), last_batch: None }
    }

    pub(super) fn push(&mut self, decide: Decide) {
        match decide.job {
            Job::Store(_) | Job::StoreOfAuthor(_) => self.runs.push_back(decide),
            _ => self.gates.push_back(decide),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.gates.len() + self.runs.len()
    }

    pub(super) fn has_gates(&self) -> bool {
        !self.gates.is_empty()
    }

    /// The last batch was over less than `time` ago.
    pub(super) fn was_busy_within(&self, time: Duration) -> bool {
        self.last_batch.is_some_and(|over| over.elapsed() < time)
    }

    /// How long what is queued still waits for company; `None`: it is taken now, and counts as one of those that are bounded if it
    /// is a little from peers alone. Gates, and much from peers, do not wait.
    pub(super) fn pause(&self) -> Option<Duration> {
        let events = || self.runs.iter().map(events_of).sum::<usize>();
        if self.has_gates() || events() >= MANY_EVENTS {
            return None;
        }
        self.rate.check().err().map(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// Gates first, then runs while there is room; one run always, so that no flood at the gates starves the links.
    pub(super) fn next_batch(&mut self) -> Vec<Decide> {
        let mut events = self.gates.len().min(MAX_BATCH_EVENTS);
        let mut batch: Vec<Decide> = self.gates.drain(..events).collect();
        let mut first = true;
        while let Some(decide) = self.runs.front() {
            let weight = events_of(decide);
            if !first && events + weight > MAX_BATCH_EVENTS {
                break;
            }
            first = false;
            events += weight;
            batch.extend(self.runs.pop_front());
        }
        batch
    }

    pub(super) fn batch_over(&mut self) {
        self.last_batch = Some(Instant::now());
    }
}

fn events_of(decide: &Decide) -> usize {
    if let Job::Store(run) | Job::StoreOfAuthor(run) = &decide.job { run.events.len() } else { 1 }
}
