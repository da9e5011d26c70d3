//! When what waits is taken up: in turns of some ms between which gates are answered.
//!
//! Who catches up brings what belongs together in several runs, one after the other. What is taken up in between, before something
//! earlier of its plate from another log, is folded again, so turns are rare while much comes in, and follow each other once it
//! is over.

use std::time::{Duration, Instant};

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
