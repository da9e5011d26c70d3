//! How long somebody who guesses has to wait.
//!
//! Failures are counted per source (where it comes from) and per account (what it tries to be). Some are free, then each
//! doubles the wait. A source from which an account was lately entered is not slowed by what others do to that account:
//! who guesses from elsewhere cannot keep its owner out.
//!
//! An attempt counts as a failure from its start, so that many at once count as many; a success takes that back.

use std::collections::HashMap;

/// Times on a clock that only goes forward, in ms.
pub type Ms = u64;

/// A slip or two is no attack.
const FREE_FAILURES: u32 = 4;
/// The wait after the first failure that is not free; it doubles with each.
const FIRST_WAIT_MS: Ms = 1_000;
/// 2^9 s: with 12 hours to forget, 100 guesses a day.
const MAX_WAIT_MS: Ms = 512_000;
/// Without a failure for so long, what was is forgotten.
const FORGET_MS: Ms = 12 * 3_600_000;
/// Where an account was entered from is remembered for so long.
const TRUST_MS: Ms = 30 * 24 * 3_600_000;
/// Sources and accounts remembered; beyond it the one longest without a failure is forgotten.
const MAX_KEYS: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Source(String),
    Account(String),
}

#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    last_ms: Ms,
}

impl Failures {
    fn free_at_ms(self) -> Ms {
        let beyond = self.count.saturating_sub(FREE_FAILURES);
        let wait_ms = match beyond {
            0 => 0,
            n => FIRST_WAIT_MS.checked_shl(n - 1).unwrap_or(MAX_WAIT_MS).min(MAX_WAIT_MS),
        };
        self.last_ms.saturating_add(wait_ms)
    }
}

/// What is remembered of failures and successes.
#[derive(Debug, Default)]
pub struct Throttle {
    failures: HashMap<Key, Failures>,
    /// When an account was last entered from a source.
    entered: HashMap<(String, String), Ms>,
}

impl Throttle {
    /// An attempt of this source to be this account: it may be made now, and counts as a failure until [`Throttle::succeeded`].
    ///
    /// # Errors
    /// How many ms to wait.
    pub fn attempt(&mut self, source: &str, account: &str, now_ms: Ms) -> Result<(), Ms> {
        self.forget(now_ms);
        let keys = self.keys(source, account, now_ms);
        let free_at_ms = keys.iter().filter_map(|key| self.failures.get(key)).map(|f| f.free_at_ms()).max();
        if let Some(wait_ms) = free_at_ms.and_then(|at_ms| at_ms.checked_sub(now_ms)).filter(|wait_ms| *wait_ms > 0) {
            return Err(wait_ms);
        }
        for key in keys {
            let failures = self.failures.entry(key).or_default();
            failures.count = failures.count.saturating_add(1);
            failures.last_ms = now_ms;
        }
        Ok(())
    }

    /// The attempt was right.
    pub fn succeeded(&mut self, source: &str, account: &str, now_ms: Ms) {
        // The source stays answerable for other accounts it failed at: only this attempt is taken back.
        for key in self.keys(source, account, now_ms) {
            match self.failures.get_mut(&key) {
                Some(failures) if matches!(key, Key::Source(_)) && failures.count > 1 => failures.count -= 1,
                _ => drop(self.failures.remove(&key)),
            }
        }
        self.entered.insert((source.to_owned(), account.to_owned()), now_ms);
    }

    /// What an attempt counts against.
    fn keys(&self, source: &str, account: &str, now_ms: Ms) -> Vec<Key> {
        let entered = self.entered.get(&(source.to_owned(), account.to_owned()));
        let is_known = entered.is_some_and(|at_ms| now_ms.saturating_sub(*at_ms) < TRUST_MS);
        let account = (!is_known).then(|| Key::Account(account.to_owned()));
        [Some(Key::Source(source.to_owned())), account].into_iter().flatten().collect()
    }

    fn forget(&mut self, now_ms: Ms) {
        self.failures.retain(|_, failures| now_ms.saturating_sub(failures.last_ms) < FORGET_MS);
        // An attempt adds two.
        while self.failures.len() + 2 > MAX_KEYS {
            let oldest = self.failures.iter().min_by_key(|(_, failures)| failures.last_ms).map(|(key, _)| key.clone());
            let Some(key) = oldest else { break };
            self.failures.remove(&key);
        }
        // Only successes are here, so nobody can push others out without a password.
        if self.entered.len() >= MAX_KEYS {
            self.entered.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attempts as soon as they are allowed; the waits in ms.
    fn waits(throttle: &mut Throttle, source: &str, account: &str, count: usize, now_ms: &mut Ms) -> Vec<Ms> {
        let mut waits = Vec::new();
        for _ in 0..count {
            let wait_ms = match throttle.attempt(source, account, *now_ms) {
                Ok(()) => 0,
                Err(wait_ms) => {
                    assert!(throttle.attempt(source, account, *now_ms + wait_ms - 1).is_err(), "not a ms sooner");
                    *now_ms += wait_ms;
                    throttle.attempt(source, account, *now_ms).unwrap();
                    wait_ms
                }
            };
            waits.push(wait_ms);
        }
        waits
    }

    #[test]
    fn a_few_failures_are_free_and_then_each_doubles_the_wait_up_to_a_bound() {
        let (mut throttle, mut now_ms) = (Throttle::default(), 0);
        let waits = waits(&mut throttle, "10.0.0.1", "an", 17, &mut now_ms);
        assert_eq!(waits[..8], [0, 0, 0, 0, 0, 1_000, 2_000, 4_000]);
        assert_eq!(waits[14..], [MAX_WAIT_MS; 3]);
    }

    #[test]
    fn many_attempts_at_once_count_as_many() {
        let mut throttle = Throttle::default();
        let begun = (0..100).filter(|_| throttle.attempt("10.0.0.1", "an", 5).is_ok()).count();
        assert_eq!(begun, 5);
    }

    #[test]
    fn a_source_is_slowed_whatever_it_tries_to_be_and_an_account_wherever_it_is_tried_from() {
        let mut throttle = Throttle::default();
        for account in ["a", "b", "c", "d", "e"] {
            throttle.attempt("10.0.0.1", account, 0).unwrap();
        }
        assert!(throttle.attempt("10.0.0.1", "f", 0).is_err());
        assert!(throttle.attempt("10.0.0.2", "f", 0).is_ok());
        for source in ["1", "2", "3", "4"] {
            throttle.attempt(source, "f", 0).unwrap();
        }
        assert!(throttle.attempt("5", "f", 0).is_err());
    }

    #[test]
    fn who_guesses_from_elsewhere_does_not_keep_the_owner_out() {
        let mut throttle = Throttle::default();
        throttle.attempt("desk", "an", 0).unwrap();
        throttle.succeeded("desk", "an", 0);
        let mut now_ms = 10;
        waits(&mut throttle, "10.9.9.9", "an", 30, &mut now_ms);
        assert!(throttle.attempt("10.9.9.8", "an", now_ms).is_err(), "the account is slowed elsewhere");
        assert_eq!(throttle.attempt("desk", "an", now_ms), Ok(()));
    }

    #[test]
    fn a_success_takes_its_own_attempt_back_and_no_other() {
        let mut throttle = Throttle::default();
        for _ in 0..200 {
            throttle.attempt("desk", "an", 0).unwrap();
            throttle.succeeded("desk", "an", 0);
        }
        // One account of one's own is no licence to guess at others.
        for account in ["a", "b", "c", "d", "e"] {
            throttle.attempt("desk", account, 0).unwrap();
        }
        assert!(throttle.attempt("desk", "an", 0).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_in_time() {
        let mut throttle = Throttle::default();
        for source in 0..MAX_KEYS as u64 + 500 {
            throttle.attempt(&source.to_string(), &source.to_string(), source).unwrap();
        }
        assert!(throttle.failures.len() <= MAX_KEYS, "{}", throttle.failures.len());
        throttle.attempt("x", "x", 4 * FORGET_MS).unwrap();
        assert_eq!(throttle.failures.len(), 2);
    }
}
