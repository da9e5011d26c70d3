//! What waits for the writer: which of it the next transaction takes, and when plates that wait are folded, in turns of some ms
//! between which gates are answered.
//!
//! Who catches up brings what belongs together in several runs, one after the other. What is taken up in between, before something
//! earlier of its plate from another log, is folded again, so turns are rare while much comes in, and follow each other once it
//! is over.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::Decide;
use crate::ledger::job::Job;

/// What a turn may take: less than people and barriers notice.
const TURN: Duration = Duration::from_millis(10);
/// So long after much came from peers there is more to come.
const QUIET: Duration = Duration::from_millis(50);
/// However much comes in, a turn is taken so often.
const AT_LEAST_EVERY: Duration = Duration::from_millis(500);
/// After a turn whose transaction failed the next waits so long.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Facts folded in the first turn, and the fewest and most in one.
const FIRST_FACTS: usize = 256;
const FEWEST_FACTS: usize = 32;
const MOST_FACTS: usize = 8_192;

#[derive(Debug)]
pub(super) struct Turns {
    /// How many facts are folded in [`TURN`], as far as is known.
    facts: usize,
    /// No turn before.
    not_before: Instant,
    /// When a turn was over, or the first plate began to wait.
    last: Instant,
}

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self { facts: FIRST_FACTS, not_before: now, last: now }
    }

    /// Much came from peers.
    pub(super) fn much_came(&mut self, now: Instant) {
        self.not_before = self.not_before.max(now + QUIET);
    }

    /// Nothing waits.
    pub(super) fn nothing_waits(&mut self, now: Instant) {
        self.last = now;
    }

    /// How long the next turn waits. `busy`: others wait for the writer.
    pub(super) fn wait(&self, now: Instant, busy: bool) -> Duration {
        let latest = self.last + AT_LEAST_EVERY;
        let due = if busy { latest } else { self.not_before.min(latest) };
        due.saturating_duration_since(now)
    }

    /// How many facts the next turn folds.
    pub(super) fn facts(&self) -> usize {
        self.facts
    }

    pub(super) fn over(&mut self, now: Instant, took: Duration) {
        self.last = now;
        let facts = match took {
            took if took > TURN => self.facts / 2,
            took if took < TURN / 2 => self.facts * 2,
            _ => self.facts,
        };
        self.facts = facts.clamp(FEWEST_FACTS, MOST_FACTS);
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.not_before = now + AFTER_FAILURE;
        self.last = self.not_before;
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_turn_comes_at_once_or_after_what_comes_in_but_never_later_than_it_must() {
        let start = Instant::now();
        let mut turns = Turns::new(start);
        assert_eq!(turns.wait(start, false), Duration::ZERO);
        assert_eq!(turns.wait(start, true), AT_LEAST_EVERY, "gates and runs go first");
        turns.much_came(start);
        assert_eq!(turns.wait(start, false), QUIET);
        for ms in (0..600).step_by(20) {
            turns.much_came(start + ms * MS);
        }
        assert_eq!(turns.wait(start + AT_LEAST_EVERY, true), Duration::ZERO);
        turns.over(start + AT_LEAST_EVERY, MS);
        assert_eq!(turns.wait(start + AT_LEAST_EVERY, true), AT_LEAST_EVERY);
    }

    #[test]
    fn a_turn_folds_as_much_as_its_time_allows() {
        let now = Instant::now();
        let mut turns = Turns::new(now);
        turns.over(now, 4 * MS);
        assert_eq!(turns.facts(), 2 * FIRST_FACTS);
        turns.over(now, 7 * MS);
        assert_eq!(turns.facts(), 2 * FIRST_FACTS);
        turns.over(now, 11 * MS);
        assert_eq!(turns.facts(), FIRST_FACTS);
        (0..99).for_each(|_| turns.over(now, 99 * MS));
        assert_eq!(turns.facts(), FEWEST_FACTS);
        (0..99).for_each(|_| turns.over(now, MS));
        assert_eq!(turns.facts(), MOST_FACTS);
    }

    #[test]
    fn a_failing_disk_is_left_alone_for_a_while() {
        let now = Instant::now();
        let mut turns = Turns::new(now);
        turns.failed(now);
        assert_eq!(turns.wait(now, false), AFTER_FAILURE);
    }
}
