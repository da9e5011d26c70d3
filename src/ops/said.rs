//! Saying a thing once: what repeats every few seconds while a state lasts is logged when it begins, now and then while it
//! lasts, and anew after it was over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A state that lasts is said again this often.
const REMIND: Duration = Duration::from_secs(10 * 60);
/// Strangers choose what is said about them; beyond this many different things all are forgotten, which only says some again.
const MOST: usize = 256;

/// What was said, by whom or what it is about.
#[derive(Debug, Default)]
pub struct Said {
    last: HashMap<(String, String), Instant>,
}

impl Said {
    /// Whether this is to be said now; from then on it was.
    pub fn is_news(&mut self, about: &str, what: &str, now: Instant) -> bool {
        let key = (about.to_owned(), what.to_owned());
        if self.last.get(&key).is_some_and(|last| now.duration_since(*last) < REMIND) {
            return false;
        }
        if self.last.len() >= MOST {
            self.last.clear();
        }
        self.last.insert(key, now);
        true
    }

    /// What was said about it is over: it is news again when it comes back.
    pub fn is_over(&mut self, about: &str) {
        self.last.retain(|(known, _), _| known != about);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_said_when_it_begins_changes_returns_and_every_ten_minutes() {
        let mut said = Said::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(said.is_news("central-2", "refused", at(0)));
        assert!(!said.is_news("central-2", "refused", at(3)));
        assert!(said.is_news("central-2", "refused for another reason", at(4)));
        assert!(said.is_news("central-3", "refused", at(4)));
        assert!(!said.is_news("central-2", "refused", at(599)));
        assert!(said.is_news("central-2", "refused", at(600)));
        said.is_over("central-2");
        assert!(said.is_news("central-2", "refused", at(601)));
        assert!(!said.is_news("central-3", "refused", at(602)), "of another nothing is over");
    }

    #[test]
    fn whoever_says_ever_new_things_does_not_fill_the_memory() {
        let mut said = Said::default();
        for number in 0..10_000 {
            assert!(said.is_news("stranger", &number.to_string(), Instant::now()));
            assert!(said.last.len() <= MOST);
        }
    }
}
