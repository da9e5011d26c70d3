//! One predecessor: what of the logs it is told, what it says, and what is asked of it.
//!
//! It has no place in a log and acknowledges nothing. So what was sent counts as told only once the link is known to have
//! lived a minute longer; what was not is sent again, which changes nothing there: it knows entries by their ids, and lets
//! out only cars that are in.
//!
//! What people changed here is told to one of the second revision for the row with its number there. Which stay that is, its answers
//! to our questions tell. Only what it said on this link counts: another database behind the same address has other numbers,
//! and a wrong one would change another car's row.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::ids::{CentralId, LogId};
use crate::domain::plate::PlateId;
use crate::domain::time::SiteZone;
use crate::legacy::dialect::hear::{Heard, Row, Statement, another_clock, hours_text, read, view_of};
use crate::legacy::dialect::{self, ANSWER_ROWS, Dialect};
use crate::replication::have::Have;

/// A predecessor gives up a silent link after 40 s; what was sent this long before a sign of life was heard, in ms.
const TOLD_AFTER_MS: u64 = 60_000;
/// Events told per second: each is a commit of its own there, on the thread that serves its gates.
const EVENTS_PER_S: u64 = 200;
/// At most so many at once after a pause.
const BURST: u64 = 50;
const HEARTBEAT_MS: u64 = 30_000;
/// What it says of a time later than this after now is not taken: its clock is wrong, and ours would follow it, in ms.
const MAX_AHEAD_MS: i64 = 24 * 60 * 60 * 1_000;
/// It is asked again for what it wrote after this, and after so much more for each row of its last answer: it says nothing
/// of an exit that its edge programs report, in ms.
const ASK_AGAIN_MS: u64 = 10_000;
const ASK_AGAIN_MS_PER_ROW: u64 = 10;
/// Rows of its history whose numbers are remembered.
const MAX_ROWS: usize = 200_000;
/// Statements handed over at once.
const BATCH: usize = 500;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum LegacyOutput {
    Send(String),
    /// Write down what it said.
    Hear(Vec<Statement>),
    /// A person changed a stay there: the right plate and how it is shown, or `None`: it is removed.
    Change {
        stay_id: String,
        corrected: Option<(PlateId, String)>,
    },
    /// Something it said has no effect, and why.
    Unusable(String),
    /// It was told this much, and heard it.
    Told(Vec<(LogId, u64)>),
}

/// How an event of a log is told.
#[derive(Debug, Clone, PartialEq)]
pub enum ToTell {
    /// It has no word for it, or must not hear it.
    Nothing,
    Frame(String),
    Change(RowChange),
}

/// See the module.
#[derive(Debug)]
pub struct LegacyPeer {
    own: CentralId,
    zone: SiteZone,
    dialect: Dialect,
    /// Its clock was last seen to show another zone than `zone`: how far it is off, in minutes. Until it is not, nothing it says
    /// is taken and nothing is told, for the times would be wrong.
    other_clock: Option<i64>,
    /// How far each log was sent on this link, and was surely heard.
    sent: BTreeMap<LogId, u64>,
    waiting: VecDeque<(u64, LogId, u64)>,
    /// It may be told what other centrals of ours wrote.
    relays: bool,
    budget: u64,
    budget_at_ms: u64,
    heartbeat_due_ms: u64,
    /// What it last told of its rows, by its own numbers, by which it names what is edited.
    rows: BTreeMap<i64, KnownRow>,
    numbers: RowNumbers,
    /// Rows that were inside when it last told them, by stay, with the time they were written: asked for again.
    open: BTreeMap<String, String>,
    newest: Option<String>,
    asking: Asking,
}

/// What it told of one of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KnownRow {
    event_id: String,
    plate: Option<PlateId>,
    /// Of all it said: a row that says the same again is not heard again.
    print: u64,
}

/// How its history is gone through again and again.
#[derive(Debug, Default)]
struct Asking {
    due_ms: u64,
    /// From when on it was asked last; and where to go on, if its answer was full.
    from: Option<String>,
    next: Option<String>,
    answered_rows: u64,
}

fn in_the_future(said: &Statement) -> String {
    let id = said.draft.event_id.as_deref().unwrap_or_default();
    format!("the time of {id} lies in the future: set the clock of that machine")
}

impl LegacyPeer {
    /// A link that just came up. `told`: what it was surely told before. `before`: what the link before this one knew.
    pub fn new(
        own: CentralId,
        zone: SiteZone,
        dialect: Dialect,
        told: Vec<(LogId, u64)>,
        before: Option<Self>,
        now_ms: u64,
    ) -> Self {
        let known = before.map(|before| (before.rows, before.open, before.newest, before.relays));
        let (rows, open, newest, relays) = known.unwrap_or_default();
        Self {
            own,
            zone,
            dialect,
            other_clock: None,
            sent: told.into_iter().collect(),
            waiting: VecDeque::new(),
            relays,
            budget: BURST,
            budget_at_ms: now_ms,
            heartbeat_due_ms: now_ms + HEARTBEAT_MS,
            rows,
            numbers: RowNumbers::default(),
            open,
            newest,
            asking: Asking { due_ms: now_ms + ASK_AGAIN_MS, ..Asking::default() },
        }
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub fn set_relays(&mut self, relays: bool) {
        self.relays = relays;
    }

    /// Something was said on the link.
    pub fn heard(&mut self, text: &str, wall_ms: i64) -> Vec<LegacyOutput> {
        let (_, said) = match read(text, &self.zone) {
            Ok(read) => read,
            Err(reason) => return vec![LegacyOutput::Unusable(reason)],
        };
        let mut outputs = Vec::new();
        match said {
            Heard::Passed(Ok(statement)) if statement.draft.timestamp_ms > wall_ms.saturating_add(MAX_AHEAD_MS) => {
                outputs.push(LegacyOutput::Unusable(in_the_future(&statement)));
            }
            Heard::Passed(Ok(statement)) => {
                self.other_clock = statement.clock_gap_min;
                outputs.push(match self.other_clock {
                    None => LegacyOutput::Hear(vec![*statement]),
                    Some(gap_min) => self.of_another_clock(gap_min),
                });
            }
            Heard::Passed(Err(reason)) => outputs.push(LegacyOutput::Unusable(reason)),
            Heard::SyncRequest => outputs.push(LegacyOutput::Send(dialect::tell_sync_response(&self.own, wall_ms))),
            Heard::SyncResponse(rows) => self.answered(rows, wall_ms, &mut outputs),
            Heard::HistoryUpdate { .. } | Heard::HistoryDelete { .. } if self.other_clock.is_some() => {}
            Heard::HistoryUpdate { row_id, plate_text, plate_view, .. } => {
                outputs.push(self.update(row_id, &plate_text, plate_view.as_deref()));
            }
            Heard::HistoryDelete { row_id, .. } => outputs.push(match self.rows.get(&row_id) {
                Some(row) => LegacyOutput::Change { stay_id: row.event_id.clone(), corrected: None },
                None => LegacyOutput::Unusable(format!("it removed its row {row_id}, which it never told")),
            }),
            Heard::Error(reason) if !reason.contains("HELLO") => outputs.push(LegacyOutput::Unusable(reason)),
            Heard::Ignored(kind) => outputs.push(LegacyOutput::Unusable(format!("{kind} means nothing here"))),
            Heard::Heartbeat | Heard::PeerId(_) | Heard::Hello | Heard::Error(_) => {}
        }
        outputs
    }

    /// Asks for what it wrote. The first revision answers over the connection it dialled itself, so it is asked only once
    /// that is there, and again whenever it is a new one.
    pub fn ask(&mut self, wall_ms: i64) -> Vec<LegacyOutput> {
        // Of a row that changes it keeps the time it was written: from the oldest that was inside.
        let since = self.open.values().min().or(self.newest.as_ref()).cloned();
        vec![self.asked_from(since, wall_ms)]
    }

    fn asked_from(&mut self, created_at: Option<String>, wall_ms: i64) -> LegacyOutput {
        let request = dialect::tell_sync_request(&self.own, wall_ms, created_at.as_deref(), &self.zone);
        self.asking.from = created_at;
        LegacyOutput::Send(request)
    }

    /// Asks again when it is time: a page after the other, then from the oldest car inside.
    fn ask_again(&mut self, now_ms: u64, wall_ms: i64) -> Vec<LegacyOutput> {
        if now_ms < self.asking.due_ms || self.numbers.is_asking() {
            return Vec::new();
        }
        self.asking.due_ms = now_ms + ASK_AGAIN_MS + ASK_AGAIN_MS_PER_ROW * self.asking.answered_rows;
        match self.asking.next.take() {
            Some(next) => vec![self.asked_from(Some(next), wall_ms)],
            None => self.ask(wall_ms),
        }
    }

    fn of_another_clock(&self, gap_min: i64) -> LegacyOutput {
        LegacyOutput::Unusable(format!(
            "its clock is {} off that of {}: nothing it says is taken and nothing is told it until the \"time_zone\" of this peer is that of its clock",
            hours_text(gap_min),
            self.zone.name()
        ))
    }

    /// Whether its clock was seen to show another zone than the settings say.
    pub fn has_another_clock(&self) -> bool {
        self.other_clock.is_some()
    }

    fn answered(&mut self, rows: Vec<Row>, wall_ms: i64, outputs: &mut Vec<LegacyOutput>) {
        match another_clock(rows.iter().filter_map(|row| row.clock_gap_min)) {
            Some(Some(gap_min)) => {
                self.other_clock = Some(gap_min);
                return outputs.push(self.of_another_clock(gap_min));
            }
            Some(None) => self.other_clock = None,
            None => {}
        }
        let full = rows.len() >= ANSWER_ROWS;
        self.asking.answered_rows = rows.len() as u64;
        let newest_of_page = rows.iter().filter_map(|row| row.created_at.clone()).max();
        let mut entries = Vec::new();
        let mut exits = Vec::new();
        for row in rows {
            if let (Some(row_id), Some(event_id)) = (row.row_id, &row.event_id)
                && (self.rows.len() < MAX_ROWS || self.rows.contains_key(&row_id))
            {
                let said = row.statements.as_ref().ok().and_then(|said| said.first());
                let plate = said.and_then(|said| said.recorded_plate().cloned());
                let known = KnownRow { event_id: event_id.clone(), plate, print: row.print };
                self.numbers.learn(event_id, row_id);
                match self.rows.insert(row_id, known.clone()) {
                    Some(before) if before == known => continue,
                    // A person edited the plate there: the first revision tells nobody.
                    Some(before) if before.event_id == known.event_id && before.plate != known.plate => {
                        let corrected = said.and_then(Statement::plate_and_view);
                        outputs.extend(corrected.map(|corrected| LegacyOutput::Change {
                            stay_id: known.event_id,
                            corrected: Some(corrected),
                        }));
                    }
                    _ => {}
                }
            }
            if let (Some(event_id), Some(created_at)) = (&row.event_id, &row.created_at) {
                if row.is_inside {
                    self.open.insert(event_id.clone(), created_at.clone());
                } else {
                    self.open.remove(event_id);
                }
            }
            match row.statements {
                Ok(statements)
                    if statements.iter().any(|said| said.draft.timestamp_ms > wall_ms.saturating_add(MAX_AHEAD_MS)) =>
                {
                    outputs.extend(statements.first().map(|said| LegacyOutput::Unusable(in_the_future(said))));
                }
                Ok(mut statements) => {
                    exits.extend(statements.drain(1..));
                    entries.extend(statements);
                }
                // Its own rows from before it knew ids: nobody but itself knows them.
                Err(_) if row.event_id.is_none() => {}
                Err(reason) => outputs.push(LegacyOutput::Unusable(reason)),
            }
        }
        for batch in entries.chunks(BATCH).chain(exits.chunks(BATCH)) {
            outputs.push(LegacyOutput::Hear(batch.to_vec()));
        }
        let sought = self.numbers.answered(newest_of_page.as_deref(), full);
        let advanced = newest_of_page > self.newest;
        self.newest = newest_of_page.clone().max(self.newest.take());
        // A page that leads nowhere is the last.
        let next = newest_of_page.filter(|newest| full && self.asking.from.as_ref() < Some(newest));
        self.asking.next.clone_from(&next);
        if let Some(from) = next.filter(|_| advanced).or(sought) {
            outputs.push(self.asked_from(Some(from), wall_ms));
        }
    }

    fn update(&self, row_id: i64, plate_text: &str, plate_view: Option<&str>) -> LegacyOutput {
        let Some(KnownRow { event_id: stay_id, .. }) = self.rows.get(&row_id) else {
            return LegacyOutput::Unusable(format!("it changed its row {row_id}, which it never told"));
        };
        match PlateId::told(plate_text) {
            Ok(plate) => {
                let said = plate_view.filter(|view| plate.is_written(view));
                let view = view_of(said, &plate);
                LegacyOutput::Change { stay_id: stay_id.clone(), corrected: Some((plate, view)) }
            }
            Err(error) => LegacyOutput::Unusable(format!("it changed a plate to {plate_text:?}: {error}")),
        }
    }

    /// Time passed.
    pub fn tick(&mut self, now_ms: u64, wall_ms: i64) -> Vec<LegacyOutput> {
        self.numbers.tick(now_ms);
        let earned = now_ms.saturating_sub(self.budget_at_ms) * EVENTS_PER_S / 1_000;
        if earned > 0 {
            self.budget = (self.budget + earned).min(BURST);
            self.budget_at_ms = now_ms;
        }
        let mut outputs = self.ask_again(now_ms, wall_ms);
        if now_ms >= self.heartbeat_due_ms {
            self.heartbeat_due_ms = now_ms + HEARTBEAT_MS;
            outputs.push(LegacyOutput::Send(dialect::tell_heartbeat(&self.own, wall_ms)));
        }
        outputs
    }

    /// The log to read next, from where, and how many events may be told now.
    pub fn next_read(&self, have: &Have) -> Option<(LogId, u64, usize)> {
        if self.budget == 0 || self.numbers.is_asking() || self.other_clock.is_some() {
            return None;
        }
        let mut behind = have.iter().filter(|(log, _)| {
            let is_ours = log.central == self.own;
            // A log of its own id is of the time when one of ours stood in its place.
            is_ours || self.relays
        });
        let (log, after) = behind.find_map(|(log, head)| {
            let after = self.sent.get(log).copied().unwrap_or(0);
            (head.to > after).then(|| (log.clone(), after))
        })?;
        Some((log, after, usize::try_from(self.budget).unwrap_or(1)))
    }

    /// These events of a log were read. They are told up to the first change of a stay whose row it has to be asked for.
    pub fn events_read(
        &mut self,
        log: &LogId,
        after: u64,
        events: Vec<ToTell>,
        (now_ms, wall_ms): (u64, i64),
    ) -> Vec<LegacyOutput> {
        if self.sent.get(log).copied().unwrap_or(0) != after {
            return Vec::new();
        }
        let (mut to, mut outputs) = (after, Vec::new());
        for telling in events {
            match telling {
                ToTell::Nothing => {}
                ToTell::Frame(text) => outputs.push(LegacyOutput::Send(text)),
                ToTell::Change(change) => match self.numbers.place_of(&change.stay_id) {
                    RowPlace::Row(row_id) => {
                        let corrected = change.corrected.as_ref().map(|(plate, view)| (plate, view.as_str()));
                        outputs.push(LegacyOutput::Send(dialect::tell_change(&self.own, wall_ms, row_id, corrected)));
                    }
                    RowPlace::Nowhere => {
                        let reason = format!("it has no row of {}, which was changed here", change.stay_id);
                        outputs.push(LegacyOutput::Unusable(reason));
                    }
                    RowPlace::Unknown => {
                        outputs.push(self.asked_from(change.written_after.clone(), wall_ms));
                        self.numbers.ask(&change, now_ms);
                        break;
                    }
                },
            }
            to += 1;
        }
        self.budget = self.budget.saturating_sub(outputs.len() as u64);
        if to > after {
            self.sent.insert(log.clone(), to);
            self.waiting.push_back((now_ms, log.clone(), to));
        }
        outputs
    }

    /// The link lives: what was sent long enough ago was heard.
    pub fn alive(&mut self, now_ms: u64) -> Option<LegacyOutput> {
        let mut told: BTreeMap<LogId, u64> = BTreeMap::new();
        while self.waiting.front().is_some_and(|(sent_ms, ..)| sent_ms + TOLD_AFTER_MS <= now_ms) {
            if let Some((_, log, seq)) = self.waiting.pop_front() {
                told.insert(log, seq);
            }
        }
        (!told.is_empty()).then(|| LegacyOutput::Told(told.into_iter().collect()))
    }
}

/// How long an answer may take, in ms. Nothing is told meanwhile, for what comes later may be about the same car.
const ANSWER_MS: u64 = 10_000;

/// A person changed a stay: the right plate and how it is shown, or `None`: it is removed.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChange {
    pub stay_id: String,
    pub corrected: Option<(PlateId, String)>,
    /// The rows to look for its number in: those written at or after this time, in UTC; `None`: all.
    pub written_after: Option<String>,
}

/// Where a stay stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowPlace {
    Row(i64),
    /// It has no row of it.
    Nowhere,
    /// It has to be asked.
    Unknown,
}

#[derive(Debug)]
struct RowAsked {
    stay_id: String,
    written_after: Option<String>,
    until_ms: u64,
}

/// The numbers it told on this link.
#[derive(Debug, Default)]
struct RowNumbers {
    known: BTreeMap<String, i64>,
    nowhere: BTreeSet<String>,
    asking: Option<RowAsked>,
}

impl RowNumbers {
    fn learn(&mut self, stay_id: &str, row_id: i64) {
        self.known.insert(stay_id.to_owned(), row_id);
        self.nowhere.remove(stay_id);
    }

    fn place_of(&self, stay_id: &str) -> RowPlace {
        match self.known.get(stay_id) {
            Some(row_id) => RowPlace::Row(*row_id),
            None if self.nowhere.contains(stay_id) => RowPlace::Nowhere,
            None => RowPlace::Unknown,
        }
    }

    /// It will be asked for the rows among which this stay must be.
    fn ask(&mut self, change: &RowChange, now_ms: u64) {
        let RowChange { stay_id, written_after, .. } = change.clone();
        self.asking = Some(RowAsked { stay_id, written_after, until_ms: now_ms + ANSWER_MS });
    }

    fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// A page of its rows came and was learned. Returns from when on to ask for the next, if the stay was not on it and there
    /// are more. `newest`: when the last of them was written; `full`: there may be more.
    fn answered(&mut self, newest: Option<&str>, full: bool) -> Option<String> {
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
    fn tick(&mut self, now_ms: u64) {
        if self.asking.as_ref().is_some_and(|asking| asking.until_ms <= now_ms) {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.nowhere.extend(self.asking.take().map(|asking| asking.stay_id));
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod changes_tests {
    use super::*;

    fn change(stay_id: &str) -> RowChange {
        RowChange { stay_id: stay_id.into(), corrected: None, written_after: Some("2024-12-02 00:00:00".into()) }
    }

    #[test]
    fn a_stay_is_looked_for_page_by_page_until_it_is_found_or_there_are_no_more() {
        let mut numbers = RowNumbers::default();
        assert_eq!(numbers.place_of("a"), RowPlace::Unknown);
        numbers.ask(&change("a"), 0);
        let page = Some("2024-12-02 01:00:00");
        assert_eq!(numbers.answered(page, true).as_deref(), page, "the next page");
        assert_eq!(numbers.answered(page, true), None, "a page that leads nowhere is the last");
        assert_eq!((numbers.place_of("a"), numbers.is_asking()), (RowPlace::Nowhere, false));
        numbers.ask(&change("b"), 0);
        numbers.learn("b", 7);
        assert_eq!(numbers.answered(page, true), None);
        assert_eq!((numbers.place_of("b"), numbers.is_asking()), (RowPlace::Row(7), false));
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let mut numbers = RowNumbers::default();
        numbers.ask(&change("a"), 5);
        numbers.tick(5 + ANSWER_MS - 1);
        assert!(numbers.is_asking());
        numbers.tick(5 + ANSWER_MS);
        assert_eq!((numbers.place_of("a"), numbers.is_asking()), (RowPlace::Nowhere, false));
        numbers.learn("a", 3);
        assert_eq!(numbers.place_of("a"), RowPlace::Row(3), "a late answer is one");
    }
}
