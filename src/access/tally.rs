//! What is written down of logins and refusals, of which somebody who floods makes as many as he likes.
//!
//! The first of its like is told at once; what repeats within [`WINDOW_MS`] is counted, and told as one at the end. So many kinds of
//! them are told apart at a time, the rest is counted together. What cannot be written for long is counted, too.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::audit::{Act, AuditEntry, By, Kind};

/// What is alike within this time is one entry.
pub const WINDOW_MS: i64 = 60_000;
/// Most that are told apart within this time: at most twice as many entries a minute, some 20 MB a day.
const MAX_APART: usize = 32;
/// Most entries that wait to be written, while nothing can be: some 100 KB.
const MAX_WAITING: usize = 256;
/// Of what repeats, so many different ones are named.
const MOST_NAMED: usize = 8;
/// Who stands for all that are not told apart.
const OTHERS: &str = "*";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Like {
    kind: Kind,
    outcome: String,
    by: By,
}

#[derive(Debug)]
struct Repeated {
    /// What it was done to, since the first was told: each once, as many as are named and one more.
    what: Vec<String>,
    told_ms: i64,
    /// Since the first was told.
    count: u64,
    first_ms: i64,
    last_ms: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Tally {
    repeated: BTreeMap<Like, Repeated>,
    waiting: VecDeque<AuditEntry>,
    /// Entries there was no room for, and the time of the last.
    lost: u64,
    lost_ms: i64,
}

impl Tally {
    /// It happened: `outcome` is `done`, or the code of the refusal.
    pub fn note(&mut self, act: Act, outcome: &str, now_ms: i64) {
        let mut like = Like { kind: act.kind, outcome: outcome.to_owned(), by: act.by.clone() };
        if !self.repeated.contains_key(&like) && self.repeated.len() >= MAX_APART {
            like = Like { by: By::new(OTHERS, OTHERS), outcome: OTHERS.to_owned(), ..like };
        }
        if let Some(repeated) = self.repeated.get_mut(&like) {
            if repeated.count == 0 {
                repeated.first_ms = now_ms;
            }
            repeated.count += 1;
            repeated.last_ms = now_ms;
            if repeated.what.len() <= MOST_NAMED && !repeated.what.contains(&act.what) {
                repeated.what.push(act.what);
            }
            return;
        }
        let (what, told_ms) = (Vec::new(), now_ms);
        self.repeated.insert(like, Repeated { what, told_ms, count: 0, first_ms: now_ms, last_ms: now_ms });
        self.push(act.refused(now_ms, outcome));
    }

    /// What is to be written now.
    pub fn take(&mut self, now_ms: i64) -> Vec<AuditEntry> {
        // A clock that was set back ends the window as well.
        let is_over = |repeated: &Repeated| !(0..WINDOW_MS).contains(&(now_ms - repeated.told_ms));
        self.close(is_over);
        self.drain()
    }

    /// Everything, also of windows that are not over: nothing is noted any more.
    pub fn take_all(&mut self) -> Vec<AuditEntry> {
        self.close(|_| true);
        self.drain()
    }

    /// They could not be written: the next time they are taken again.
    pub fn give_back(&mut self, entries: Vec<AuditEntry>) {
        for entry in entries.into_iter().rev() {
            if self.waiting.len() < MAX_WAITING && entry.kind != Kind::Gap {
                self.waiting.push_front(entry);
            } else {
                self.lose(&entry);
            }
        }
    }

    fn close(&mut self, is_over: impl Fn(&Repeated) -> bool) {
        let over: Vec<Like> =
            self.repeated.iter().filter(|(_, repeated)| is_over(repeated)).map(|(like, _)| like.clone()).collect();
        for like in over {
            let Some(repeated) = self.repeated.remove(&like) else { continue };
            if repeated.count > 0 {
                let since_ms = (repeated.count > 1).then_some(repeated.first_ms);
                let mut what = repeated.what;
                if what.len() > MOST_NAMED {
                    what.truncate(MOST_NAMED);
                    what.push("…".to_owned());
                }
                let act = Act::new(like.kind, like.by, what.join(", "));
                let entry = act.refused(repeated.last_ms, &like.outcome);
                self.push(AuditEntry { count: repeated.count, since_ms, ..entry });
            }
        }
    }

    fn push(&mut self, entry: AuditEntry) {
        if self.waiting.len() < MAX_WAITING { self.waiting.push_back(entry) } else { self.lose(&entry) }
    }

    fn lose(&mut self, entry: &AuditEntry) {
        self.lost += entry.count;
        self.lost_ms = self.lost_ms.max(entry.at_ms);
    }

    fn drain(&mut self) -> Vec<AuditEntry> {
        let mut entries: Vec<AuditEntry> = self.waiting.drain(..).collect();
        if self.lost > 0 {
            let gap = Act::new(Kind::Gap, By::default(), "").refused(self.lost_ms, "not_durable");
            entries.push(AuditEntry { count: std::mem::take(&mut self.lost), ..gap });
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(from: &str) -> Act {
        Act::new(Kind::Refusal, By::new("", from), "PUT /api/p2p/config")
    }

    fn told(entries: &[AuditEntry]) -> Vec<(&str, &str, u64)> {
        entries.iter().map(|entry| (entry.from.as_str(), entry.outcome.as_str(), entry.count)).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_of_its_minute_as_one() {
        let mut tally = Tally::default();
        for at_ms in 0..1_000 {
            tally.note(refusal("10.0.0.1"), "login_required", at_ms);
        }
        tally.note(refusal("10.0.0.2"), "login_required", 1_000);
        assert_eq!(told(&tally.take(1_000)), [("10.0.0.1", "login_required", 1), ("10.0.0.2", "login_required", 1)]);
        assert_eq!(tally.take(WINDOW_MS - 1), []);
        let rest = tally.take(WINDOW_MS);
        assert_eq!(told(&rest), [("10.0.0.1", "login_required", 999)]);
        assert_eq!((rest[0].since_ms, rest[0].at_ms), (Some(1), 999));
        tally.note(refusal("10.0.0.1"), "login_required", WINDOW_MS + 1);
        assert_eq!(told(&tally.take_all()), [("10.0.0.1", "login_required", 1)], "a new minute");
    }

    #[test]
    fn what_is_counted_names_what_it_was_done_to() {
        let mut tally = Tally::default();
        let let_in = |central: &str| Act::new(Kind::Peer, By::new("central:central-9", ""), central);
        let whats =
            |tally: &mut Tally, at_ms| tally.take(at_ms).into_iter().map(|entry| entry.what).collect::<Vec<_>>();
        for central in ["c1", "c2", "c3", "c2", "c1"] {
            tally.note(let_in(central), "done", 0);
        }
        assert_eq!(whats(&mut tally, 0), ["c1"]);
        assert_eq!(whats(&mut tally, WINDOW_MS), ["c2, c3, c1"]);
        for number in 0..1_000 {
            tally.note(let_in(&format!("c{number}")), "done", WINDOW_MS);
        }
        assert!(tally.repeated.values().all(|repeated| repeated.what.len() <= MOST_NAMED + 1));
        assert_eq!(whats(&mut tally, 2 * WINDOW_MS), ["c0", "c1, c2, c3, c4, c5, c6, c7, c8, …"]);
    }

    #[test]
    fn a_flood_from_everywhere_is_a_bounded_number_of_entries_and_each_is_counted() {
        let mut tally = Tally::default();
        for number in 0..100_000_i64 {
            tally.note(refusal(&format!("10.0.{}.{}", number % 200, number % 251)), "login_required", number % 60_000);
        }
        let entries = tally.take_all();
        assert!(entries.len() <= 2 * (MAX_APART + 1), "{}", entries.len());
        assert_eq!(entries.iter().map(|entry| entry.count).sum::<u64>(), 100_000);
    }

    #[test]
    fn what_cannot_be_written_waits_and_is_counted_when_there_is_no_room() {
        let mut tally = Tally::default();
        let mut noted = 0;
        for minute in 0..100 {
            for number in 0..10 {
                tally.note(refusal(&format!("10.0.0.{number}")), "login_required", minute * WINDOW_MS);
                noted += 1;
            }
            let entries = tally.take(minute * WINDOW_MS + 1);
            tally.give_back(entries);
        }
        let entries = tally.take_all();
        assert!(entries.len() <= MAX_WAITING + 1, "{}", entries.len());
        assert_eq!(entries.iter().map(|entry| entry.count).sum::<u64>(), noted);
        assert_eq!(entries.iter().filter(|entry| entry.kind == Kind::Gap).count(), 1);
    }
}
