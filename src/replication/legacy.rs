//! One predecessor: what of the logs it is told, what it says, and what is asked of it.
//!
//! It has no place in a log and acknowledges nothing. So what was sent counts as told only once the link is known to have
//! lived a minute longer; what was not is sent again, which changes nothing there: it knows entries by their ids, and lets
//! out only cars that are in.

use std::collections::{BTreeMap, VecDeque};

use super::have::Have;
use crate::domain::ids::{CentralId, LogId};
use crate::domain::plate::PlateId;
use crate::domain::time::SiteZone;
use crate::wire::legacy::hear::{Row, Said, Statement, read, view_of};
use crate::wire::legacy::{ANSWER_ROWS, Dialect, tell};

/// A predecessor gives up a silent link after 40 s; what was sent this long before a sign of life was heard, in ms.
const TOLD_AFTER_MS: u64 = 60_000;
/// Events told per second: each is a commit of its own there, on the thread that serves its gates.
const EVENTS_PER_S: u64 = 200;
/// At most so many at once after a pause.
const BURST: u64 = 50;
const HEARTBEAT_MS: u64 = 30_000;
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

/// See the module.
#[derive(Debug)]
pub struct LegacyPeer {
    own: CentralId,
    peer: CentralId,
    zone: SiteZone,
    dialect: Dialect,
    /// How far each log was sent on this link, and was surely heard.
    sent: BTreeMap<LogId, u64>,
    waiting: VecDeque<(u64, LogId, u64)>,
    /// It may be told what other centrals of ours wrote.
    relays: bool,
    budget: u64,
    budget_at_ms: u64,
    heartbeat_due_ms: u64,
    /// Its own row numbers, by which it names what is edited.
    rows: BTreeMap<i64, String>,
    /// Rows that were inside when it last told them, by stay, with the time they were written: asked for again.
    open: BTreeMap<String, String>,
    newest: Option<String>,
}

impl LegacyPeer {
    /// A link that just came up. `told`: what it was surely told before. `before`: what the link before this one knew.
    #[must_use]
    pub fn new(
        own: CentralId,
        peer: CentralId,
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
            peer,
            zone,
            dialect,
            sent: told.into_iter().collect(),
            waiting: VecDeque::new(),
            relays,
            budget: BURST,
            budget_at_ms: now_ms,
            heartbeat_due_ms: now_ms + HEARTBEAT_MS,
            rows,
            open,
            newest,
        }
    }

    #[must_use]
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
            Said::Passed(Ok(statement)) => outputs.push(LegacyOutput::Hear(vec![*statement])),
            Said::Passed(Err(reason)) => outputs.push(LegacyOutput::Unusable(reason)),
            Said::SyncRequest => outputs.push(LegacyOutput::Send(tell::sync_response(&self.own, wall_ms))),
            Said::SyncResponse(rows) => self.answered(rows, wall_ms, &mut outputs),
            Said::HistoryUpdate { row_id, plate_text, plate_view, .. } => {
                outputs.push(self.update(row_id, &plate_text, plate_view.as_deref()));
            }
            Said::HistoryDelete { row_id, .. } => outputs.push(match self.rows.get(&row_id) {
                Some(stay_id) => LegacyOutput::Change { stay_id: stay_id.clone(), corrected: None },
                None => LegacyOutput::Unusable(format!("it removed its row {row_id}, which it never told")),
            }),
            Said::Error(reason) if !reason.contains("HELLO") => outputs.push(LegacyOutput::Unusable(reason)),
            Said::Ignored(_) | Said::Heartbeat | Said::PeerId(_) | Said::Hello | Said::Error(_) => {}
        }
        outputs
    }

    /// Asks for what it wrote. The first revision answers over the connection it dialled itself, so it is asked only once
    /// that is there, and again whenever it is a new one.
    pub fn ask(&mut self, wall_ms: i64) -> Vec<LegacyOutput> {
        // Of a row that changes it keeps the time it was written: from the oldest that was inside.
        let since = self.open.values().min().or(self.newest.as_ref());
        vec![LegacyOutput::Send(tell::sync_request(&self.own, wall_ms, since.map(String::as_str), &self.zone))]
    }

    fn answered(&mut self, rows: Vec<Row>, wall_ms: i64, outputs: &mut Vec<LegacyOutput>) {
        let full = rows.len() >= ANSWER_ROWS;
        let newest_of_page = rows.iter().filter_map(|row| row.created_at.clone()).max();
        let mut entries = Vec::new();
        let mut exits = Vec::new();
        for row in rows {
            if let (Some(row_id), Some(event_id)) = (row.row_id, &row.event_id)
                && (self.rows.len() < MAX_ROWS || self.rows.contains_key(&row_id))
            {
                self.rows.insert(row_id, event_id.clone());
            }
            if let (Some(event_id), Some(created_at)) = (&row.event_id, &row.created_at) {
                if row.is_inside {
                    self.open.insert(event_id.clone(), created_at.clone());
                } else {
                    self.open.remove(event_id);
                }
            }
            match row.statements {
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
        let advanced = newest_of_page > self.newest;
        self.newest = newest_of_page.clone().max(self.newest.take());
        if full && advanced {
            let page = tell::sync_request(&self.own, wall_ms, newest_of_page.as_deref(), &self.zone);
            outputs.push(LegacyOutput::Send(page));
        }
    }

    fn update(&self, row_id: i64, plate_text: &str, plate_view: Option<&str>) -> LegacyOutput {
        let Some(stay_id) = self.rows.get(&row_id) else {
            return LegacyOutput::Unusable(format!("it changed its row {row_id}, which it never told"));
        };
        match PlateId::parse(plate_text) {
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
        let earned = now_ms.saturating_sub(self.budget_at_ms) * EVENTS_PER_S / 1_000;
        if earned > 0 {
            self.budget = (self.budget + earned).min(BURST);
            self.budget_at_ms = now_ms;
        }
        if now_ms < self.heartbeat_due_ms {
            return Vec::new();
        }
        self.heartbeat_due_ms = now_ms + HEARTBEAT_MS;
        vec![LegacyOutput::Send(tell::heartbeat(&self.own, wall_ms))]
    }

    /// The log to read next, from where, and how many events may be told now.
    #[must_use]
    pub fn next_read(&self, have: &Have) -> Option<(LogId, u64, usize)> {
        if self.budget == 0 {
            return None;
        }
        let mut behind = have.iter().filter(|(log, _)| {
            let is_ours = log.central == self.own;
            is_ours || (self.relays && log.central != self.peer)
        });
        let (log, after) = behind.find_map(|(log, head)| {
            let after = self.sent.get(log).copied().unwrap_or(0);
            (head.to > after).then(|| (log.clone(), after))
        })?;
        Some((log, after, usize::try_from(self.budget).unwrap_or(1)))
    }

    /// These events of a log were read; each with its frame, `None` where it has no word for it or must not hear it.
    pub fn events_read(
        &mut self,
        log: &LogId,
        after: u64,
        frames: Vec<Option<String>>,
        now_ms: u64,
    ) -> Vec<LegacyOutput> {
        if frames.is_empty() || self.sent.get(log).copied().unwrap_or(0) != after {
            return Vec::new();
        }
        let to = after + frames.len() as u64;
        let texts: Vec<String> = frames.into_iter().flatten().collect();
        self.budget = self.budget.saturating_sub(texts.len() as u64);
        self.sent.insert(log.clone(), to);
        self.waiting.push_back((now_ms, log.clone(), to));
        texts.into_iter().map(LegacyOutput::Send).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::log::{ChainHash, Head};

    const V1: &str = include_str!("../../tests/golden/legacy/v1.jsonl");

    fn line(number: usize) -> &'static str {
        V1.lines().nth(number).unwrap()
    }

    fn peer() -> LegacyPeer {
        let id = |text| CentralId::new(text).unwrap();
        LegacyPeer::new(id("central-9"), id("central-1"), SiteZone::default(), Dialect::V1, Vec::new(), None, 0)
    }

    fn have(logs: &[(&str, u64)]) -> Have {
        let mut have = Have::default();
        for (log, to) in logs {
            have.set(&log.parse().unwrap(), Head { to: *to, hash: ChainHash([0; 32]) });
        }
        have
    }

    #[test]
    fn it_is_asked_for_everything_and_again_from_the_oldest_car_inside() {
        let mut peer = peer();
        let first = [peer.heard(line(3), 5), peer.ask(5)].concat();
        assert!(
            matches!(first.as_slice(), [LegacyOutput::Send(answer), LegacyOutput::Send(asked)]
            if answer.contains("SYNC_RESPONSE") && asked.contains(r#""since_timestamp":0"#)),
            "{first:?}"
        );
        let answered = peer.heard(line(4), 5);
        let heard: Vec<usize> = answered
            .iter()
            .filter_map(|output| match output {
                LegacyOutput::Hear(statements) => Some(statements.len()),
                _ => None,
            })
            .collect();
        assert_eq!(heard, [2, 1], "entries before exits");
        let id = |text| CentralId::new(text).unwrap();
        let zone = SiteZone::default();
        let since = zone.parse_local_text("2024-12-02 12:01:00").unwrap();
        let mut again = LegacyPeer::new(id("central-9"), id("central-1"), zone, Dialect::V1, Vec::new(), Some(peer), 0);
        let asked = again.ask(5);
        assert!(
            matches!(asked.as_slice(), [LegacyOutput::Send(text)] if text.contains(&since.to_string())),
            "{asked:?}"
        );
    }

    #[test]
    fn edits_are_of_the_stay_whose_row_it_told() {
        let mut peer = peer();
        let update = |row: i64| {
            format!(
                r#"{{"type":"HISTORY_UPDATE","source_central":"central-1","timestamp":1,"event_id":null,"data":{{"history_id":{row},"plate_text":"29A12346","plate_view":"29A-123.46"}}}}"#
            )
        };
        assert!(matches!(peer.heard(&update(7), 5).as_slice(), [LegacyOutput::Unusable(_)]));
        peer.heard(line(4), 5);
        let changed = peer.heard(&update(7), 5);
        assert!(
            matches!(changed.as_slice(), [LegacyOutput::Change { stay_id, corrected: Some((plate, view)) }]
            if stay_id.ends_with("29A12345") && plate.as_str() == "29A12346" && view == "29A-123.46"),
            "{changed:?}"
        );
    }

    #[test]
    fn it_is_told_our_own_events_at_a_bounded_rate_and_others_only_by_the_one_who_relays() {
        let mut peer = peer();
        let have = have(&[
            ("central-1/00000000000000aa", 5),
            ("central-5/00000000000000aa", 7),
            ("central-9/00000000000000aa", 100),
        ]);
        let (log, after, most) = peer.next_read(&have).unwrap();
        assert_eq!((log.central.as_str(), after, most), ("central-9", 0, BURST as usize));
        let frames = (0..BURST).map(|number| Some(number.to_string())).collect();
        assert_eq!(peer.events_read(&log, 0, frames, 0).len(), BURST as usize);
        assert_eq!(peer.next_read(&have), None, "its gates are served meanwhile");
        peer.tick(100, 0);
        assert_eq!(peer.next_read(&have).map(|(_, after, most)| (after, most)), Some((50, 20)));
        peer.events_read(&log, 50, vec![None; 50], 100);
        assert_eq!(peer.next_read(&have), None, "nothing of what others wrote, and never its own");
        peer.set_relays(true);
        assert_eq!(peer.next_read(&have).map(|(log, ..)| log.central.to_string()), Some("central-5".into()));
    }

    #[test]
    fn what_was_sent_is_told_once_the_link_has_lived_a_minute_longer() {
        let mut peer = peer();
        let log: LogId = "central-9/00000000000000aa".parse().unwrap();
        peer.events_read(&log, 0, vec![None], 1_000);
        peer.events_read(&log, 1, vec![None], 2_000);
        assert_eq!(peer.alive(TOLD_AFTER_MS + 999), None);
        assert_eq!(peer.alive(TOLD_AFTER_MS + 1_000), Some(LegacyOutput::Told(vec![(log.clone(), 1)])));
        assert_eq!(peer.alive(TOLD_AFTER_MS + 9_000), Some(LegacyOutput::Told(vec![(log, 2)])));
    }

    #[test]
    fn it_says_that_it_lives_and_noise_is_only_noted() {
        let mut peer = peer();
        assert!(peer.tick(HEARTBEAT_MS - 1, 0).is_empty());
        assert!(
            matches!(peer.tick(HEARTBEAT_MS, 0).as_slice(), [LegacyOutput::Send(text)] if text.contains("HEARTBEAT"))
        );
        for noise in ["", "{", "[]", "{\"type\":5}"] {
            assert!(matches!(peer.heard(noise, 0).as_slice(), [LegacyOutput::Unusable(_), ..]), "{noise}");
        }
    }
}
