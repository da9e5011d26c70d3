//! How long somebody who guesses has to wait.
//!
//! Failures are counted per source (where it comes from) and per account (what it tries to be). Some are free, then each
//! doubles the wait. Where an account was lately entered from this source, what others did counts against neither: failures at
//! this account from this source are counted apart. So whoever guesses, elsewhere or behind the same address, at other names,
//! keeps nobody out who is known here. A browser that shows what it was given at the last login (a *device*) is a source of its
//! own: not even guesses at its owner's name from the same address slow it. Nor does anything that comes from elsewhere slow who sits at
//! this machine.
//!
//! A one-time code is no account: its 60 bits are not guessed, and one account for all of them would let anybody keep its owner
//! from it.
//!
//! An attempt counts as a failure from its start, so that many at once count as many; a success takes that back, and so does
//! an attempt that came to no decision.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// The source of all that comes from the machine the central runs on.
pub const THIS_MACHINE: &str = "127.0.0.1";

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ThrottleKey {
    Source(String),
    Account(String),
    /// An account that was lately entered from this source.
    Known(String, String),
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
    failures: HashMap<ThrottleKey, Failures>,
    /// When accounts were last entered from a source.
    entered: HashMap<String, HashMap<String, Ms>>,
}

impl Throttle {
    /// An attempt of this source to be this account (`None`: to use a code): it may be made now, and counts as a failure until
    /// [`Throttle::succeeded`] or [`Throttle::undecided`].
    ///
    /// # Errors
    /// How many ms to wait.
    pub fn attempt(&mut self, source: &str, account: Option<&str>, now_ms: Ms) -> Result<(), Ms> {
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
    pub fn succeeded(&mut self, source: &str, account: Option<&str>, now_ms: Ms) {
        // The source stays answerable for other accounts it failed at: only this attempt is taken back.
        for key in self.keys(source, account, now_ms) {
            match key {
                ThrottleKey::Source(_) => self.take_back(&key),
                ThrottleKey::Account(_) | ThrottleKey::Known(..) => drop(self.failures.remove(&key)),
            }
        }
        if let Some(account) = account {
            self.is_known(source, account, now_ms);
        }
    }

    /// The account was entered from this source, however that was proved.
    pub fn is_known(&mut self, source: &str, account: &str, now_ms: Ms) {
        self.entered.entry(source.to_owned()).or_default().insert(account.to_owned(), now_ms);
    }

    /// Whether some account was entered from this source lately, or it is this machine.
    pub fn knows(&self, source: &str, now_ms: Ms) -> bool {
        let is_lately = |at_ms: &Ms| now_ms.saturating_sub(*at_ms) < TRUST_MS;
        source == THIS_MACHINE || self.entered.get(source).is_some_and(|accounts| accounts.values().any(is_lately))
    }

    /// Whether the attempt was right could not be found out.
    pub fn undecided(&mut self, source: &str, account: Option<&str>, now_ms: Ms) {
        self.keys(source, account, now_ms).iter().for_each(|key| self.take_back(key));
    }

    fn take_back(&mut self, key: &ThrottleKey) {
        match self.failures.get_mut(key) {
            Some(failures) if failures.count > 1 => failures.count -= 1,
            _ => drop(self.failures.remove(key)),
        }
    }

    /// What an attempt counts against.
    fn keys(&self, source: &str, account: Option<&str>, now_ms: Ms) -> Vec<ThrottleKey> {
        let Some(account) = account else { return vec![ThrottleKey::Source(source.to_owned())] };
        let entered = self.entered.get(source).and_then(|accounts| accounts.get(account));
        let is_known = entered.is_some_and(|at_ms| now_ms.saturating_sub(*at_ms) < TRUST_MS);
        let is_here = source == THIS_MACHINE;
        let (source, account) = (source.to_owned(), account.to_owned());
        if is_known {
            return vec![ThrottleKey::Known(source, account)];
        }
        let of_account =
            if is_here { ThrottleKey::Known(source.clone(), account) } else { ThrottleKey::Account(account) };
        vec![ThrottleKey::Source(source), of_account]
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
        if self.entered.values().map(HashMap::len).sum::<usize>() >= MAX_KEYS {
            self.entered.clear();
        }
    }
}

/// Who is on this machine has it anyway: nobody elsewhere keeps him out.
pub fn is_this_machine(ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || ip == IpAddr::V6(Ipv6Addr::LOCALHOST)
}

/// What failures of an address count against: the address; of IPv6 the network, for one machine has a whole one.
pub fn source_of(ip: IpAddr) -> String {
    if is_this_machine(ip) {
        return THIS_MACHINE.to_owned();
    }
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
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
            let account = Some(account);
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
        let begun = (0..100).filter(|_| throttle.attempt("10.0.0.1", Some("an"), 5).is_ok()).count();
        assert_eq!(begun, 5);
    }

    #[test]
    fn a_source_is_slowed_whatever_it_tries_to_be_and_an_account_wherever_it_is_tried_from() {
        let mut throttle = Throttle::default();
        for account in ["a", "b", "c", "d", "e"] {
            throttle.attempt("10.0.0.1", Some(account), 0).unwrap();
        }
        assert!(throttle.attempt("10.0.0.1", Some("f"), 0).is_err());
        assert!(throttle.attempt("10.0.0.2", Some("f"), 0).is_ok());
        for source in ["1", "2", "3", "4"] {
            throttle.attempt(source, Some("f"), 0).unwrap();
        }
        assert!(throttle.attempt("5", Some("f"), 0).is_err());
    }

    #[test]
    fn who_guesses_from_elsewhere_does_not_keep_the_owner_out() {
        let mut throttle = Throttle::default();
        throttle.attempt("desk", Some("an"), 0).unwrap();
        throttle.succeeded("desk", Some("an"), 0);
        let mut now_ms = 10;
        waits(&mut throttle, "10.9.9.9", "an", 30, &mut now_ms);
        assert!(throttle.attempt("10.9.9.8", Some("an"), now_ms).is_err(), "the account is slowed elsewhere");
        assert_eq!(throttle.attempt("desk", Some("an"), now_ms), Ok(()));
    }

    #[test]
    fn who_guesses_behind_the_same_address_keeps_nobody_out_who_is_known_there() {
        let mut throttle = Throttle::default();
        throttle.attempt("proxy", Some("an"), 0).unwrap();
        throttle.succeeded("proxy", Some("an"), 0);
        let mut now_ms = 10;
        waits(&mut throttle, "proxy", "binh", 30, &mut now_ms);
        assert!(throttle.attempt("proxy", Some("chi"), now_ms).is_err(), "the address is slowed");
        assert_eq!(throttle.attempt("proxy", Some("an"), now_ms), Ok(()));
        throttle.succeeded("proxy", Some("an"), now_ms);
        // At the known account itself too, guesses are slowed.
        let waits = waits(&mut throttle, "proxy", "an", 6, &mut now_ms);
        assert_eq!(waits, [0, 0, 0, 0, 0, 1_000]);
        assert_eq!(throttle.attempt("elsewhere", Some("an"), now_ms), Ok(()), "and nobody elsewhere by these");
    }

    #[test]
    fn who_sits_at_the_machine_is_slowed_by_guesses_there_alone() {
        let mut throttle = Throttle::default();
        let mut now_ms = 0;
        waits(&mut throttle, "10.9.9.9", "an", 30, &mut now_ms);
        assert!(throttle.attempt("10.9.9.8", Some("an"), now_ms).is_err());
        assert!(throttle.knows(THIS_MACHINE, now_ms) && !throttle.knows("10.9.9.9", now_ms));
        let waits = waits(&mut throttle, THIS_MACHINE, "an", 6, &mut now_ms);
        assert_eq!(waits, [0, 0, 0, 0, 0, 1_000]);
    }

    #[test]
    fn guesses_at_the_code_from_elsewhere_keep_nobody_from_it() {
        let mut throttle = Throttle::default();
        for source in 0..1_000 {
            assert_eq!(throttle.attempt(&source.to_string(), None, 0), Ok(()), "{source}");
        }
        let here = (0..10).filter(|_| throttle.attempt("here", None, 0).is_ok()).count();
        assert_eq!(here, 5, "of one source a few are free");
    }

    #[test]
    fn what_was_not_decided_counts_as_nothing() {
        let mut throttle = Throttle::default();
        for _ in 0..100 {
            throttle.attempt("desk", Some("an"), 0).unwrap();
            throttle.undecided("desk", Some("an"), 0);
        }
        assert!(throttle.failures.is_empty());
        assert!(throttle.entered.is_empty(), "and makes nobody known");
    }

    #[test]
    fn a_success_takes_its_own_attempt_back_and_no_other() {
        let mut throttle = Throttle::default();
        for _ in 0..200 {
            throttle.attempt("desk", Some("an"), 0).unwrap();
            throttle.succeeded("desk", Some("an"), 0);
        }
        // One account of one's own is no licence to guess at others.
        for account in ["a", "b", "c", "d", "e"] {
            throttle.attempt("desk", Some(account), 0).unwrap();
        }
        assert!(throttle.attempt("desk", Some("f"), 0).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_in_time() {
        let mut throttle = Throttle::default();
        for source in 0..MAX_KEYS as u64 + 500 {
            throttle.attempt(&source.to_string(), Some(&source.to_string()), source).unwrap();
        }
        assert!(throttle.failures.len() <= MAX_KEYS, "{}", throttle.failures.len());
        throttle.attempt("x", Some("x"), 4 * FORGET_MS).unwrap();
        assert_eq!(throttle.failures.len(), 2);
    }
}
