//! What people changed here, for a predecessor that knows rows by its own numbers.
//!
//! The second revision takes a change for the row with that number. Which stay it is, its answers to our questions tell. Only
//! what it said on this link counts: another database behind the same address has other numbers, and a wrong one would
//! change another car's row.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::plate::PlateId;

/// How long an answer may take, in ms. Nothing is told meanwhile, for what comes later may be about the same car.
const ANSWER_MS: u64 = 10_000;

/// A person changed a stay: the right plate and how it is shown, or `None`: it is removed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub stay_id: String,
    pub corrected: Option<(PlateId, String)>,
    /// The rows to look for its number in: those written at or after this time, in UTC; `None`: all.
    pub written_after: Option<String>,
}

/// Where a stay stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Row(i64),
    /// It has no row of it.
    Nowhere,
    /// It has to be asked.
    Unknown,
}

#[derive(Debug)]
struct Asking {
    stay_id: String,
    written_after: Option<String>,
    until_ms: u64,
}

/// The numbers it told on this link.
#[derive(Debug, Default)]
pub(super) struct RowNumbers {
    known: BTreeMap<String, i64>,
    nowhere: BTreeSet<String>,
    asking: Option<Asking>,
}

impl RowNumbers {
    pub(super) fn learn(&mut self, stay_id: &str, row_id: i64) {
        self.known.insert(stay_id.to_owned(), row_id);
        self.nowhere.remove(stay_id);
    }

    pub(super) fn place_of(&self, stay_id: &str) -> Place {
        match self.known.get(stay_id) {
            Some(row_id) => Place::Row(*row_id),
            None if self.nowhere.contains(stay_id) => Place::Nowhere,
            None => Place::Unknown,
        }
    }

    /// It will be asked for the rows among which this stay must be.
    pub(super) fn ask(&mut self, change: &Change, now_ms: u64) {
        let Change { stay_id, written_after, .. } = change.clone();
        self.asking = Some(Asking { stay_id, written_after, until_ms: now_ms + ANSWER_MS });
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// A page of its rows came and was learned. Returns from when on to ask for the next, if the stay was not on it and there
    /// are more. `newest`: when the last of them was written; `full`: there may be more.
    pub(super) fn answered(&mut self, newest: Option<&str>, full: bool) -> Option<String> {
        let asking = self.asking.as_mut()?;
        if self.known.contains_key(&asking.stay_id) {
            self.asking = None;
            return None;
        }
        let next = newest.filter(|newest| full && asking.written_after.as_deref() < Some(*newest)).map(str::to_owned);
        match &next {
            Some(_) => asking.written_after.clone_from(&next),
            None => self.give_up(),
        }
        next
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now_ms: u64) {
        if self.asking.as_ref().is_some_and(|asking| asking.until_ms <= now_ms) {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.nowhere.extend(self.asking.take().map(|asking| asking.stay_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(stay_id: &str) -> Change {
        Change { stay_id: stay_id.into(), corrected: None, written_after: Some("2024-12-02 00:00:00".into()) }
    }

    #[test]
    fn a_stay_is_looked_for_page_by_page_until_it_is_found_or_there_are_no_more() {
        let mut numbers = RowNumbers::default();
        assert_eq!(numbers.place_of("a"), Place::Unknown);
        numbers.ask(&change("a"), 0);
        let page = Some("2024-12-02 01:00:00");
        assert_eq!(numbers.answered(page, true).as_deref(), page, "the next page");
        assert_eq!(numbers.answered(page, true), None, "a page that leads nowhere is the last");
        assert_eq!((numbers.place_of("a"), numbers.is_asking()), (Place::Nowhere, false));
        numbers.ask(&change("b"), 0);
        numbers.learn("b", 7);
        assert_eq!(numbers.answered(page, true), None);
        assert_eq!((numbers.place_of("b"), numbers.is_asking()), (Place::Row(7), false));
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let mut numbers = RowNumbers::default();
        numbers.ask(&change("a"), 5);
        numbers.tick(5 + ANSWER_MS - 1);
        assert!(numbers.is_asking());
        numbers.tick(5 + ANSWER_MS);
        assert_eq!((numbers.place_of("a"), numbers.is_asking()), (Place::Nowhere, false));
        numbers.learn("a", 3);
        assert_eq!(numbers.place_of("a"), Place::Row(3), "a late answer is one");
    }
}
