//! A storage in memory, with the faults a disk has: for property tests and the simulation.
//!
//! Every change records its inverse, so that a transaction can be rolled back, and the last commits can be taken back
//! one by one as a power cut on a lying disk would.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use super::sheet::{self, AtGate, Books, ChangeLine, GateName, Reckoning, Span, TakenWhere, TakingLine, holds};
use super::storage::{
    DirtyFact, EventRef, Loaded, Lookup, LooseFact, Rows, Setting, SettingKind, Shift, Storage, StoredStay, Summary,
    Tables, TotalChange, TotalKey,
};
use crate::domain::audit::AuditEntry;
use crate::domain::event::{Body, Event};
use crate::domain::ids::{FactId, Hlc, LogId};
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::{Fact, Taking};
use crate::domain::time::{QUARTER_MS, quarter};
use crate::replication::log::{ChainHash, EventBytes, Head};

/// Commits that can still be taken back.
const KEPT_COMMITS: usize = 16;

type RequestKey = (String, String);

#[derive(Debug, Clone)]
enum Undo {
    Event(EventRef, Option<(EventBytes, ChainHash)>),
    Head(LogId, Option<Head>),
    Stay(i64, Option<Box<StoredStay>>),
    Loose(EventRef, Option<LooseFact>),
    Request(RequestKey, Option<BTreeMap<EventRef, Hlc>>),
    Heard([u8; 32], Option<BTreeSet<EventRef>>),
    Total(TotalKey, Option<TotalChange>),
    Taking(FactId, Option<Box<Taking>>),
    Money(EventRef, Option<Vec<(String, ChangeLine<LogId>)>>),
    Shift(String, Option<Box<Shift>>),
    Recount(EventRef, Option<(Hlc, String)>),
    Payment(EventRef, Option<String>),
    Setting((SettingKind, String), Option<Setting>),
    Quarantine(EventRef, Option<String>),
    Dirty(EventRef, Option<DirtyFact>),
    Summary(Summary),
    Audit,
}

/// The tables. Public for checks after a run; changes go through [`Storage`].
#[derive(Debug, Clone)]
pub struct MemoryStorage {
    pub events: BTreeMap<EventRef, (EventBytes, ChainHash)>,
    pub heads: BTreeMap<LogId, Head>,
    pub stays: BTreeMap<i64, StoredStay>,
    pub loose: BTreeMap<EventRef, LooseFact>,
    pub totals: BTreeMap<TotalKey, TotalChange>,
    pub takings: BTreeMap<FactId, Taking>,
    pub shifts: BTreeMap<String, Shift>,
    /// The shift of each count that was made anew, and its clock.
    pub recounts: BTreeMap<EventRef, (Hlc, String)>,
    /// The reference of each payment, and of what is said of one.
    pub payments: BTreeMap<EventRef, String>,
    /// What corrections and voids changed in what was taken, and who says so.
    money: BTreeMap<EventRef, Vec<(String, ChangeLine<LogId>)>>,
    pub quarantined: BTreeMap<EventRef, String>,
    pub audit: Vec<AuditEntry>,
    /// What waits, by plate.
    pub dirty: BTreeMap<EventRef, DirtyFact>,
    /// Calls that read rows or events, for tests that count them.
    pub reads: u64,
    /// Changes made, for tests that count them.
    pub writes: u64,
    requests: BTreeMap<RequestKey, BTreeMap<EventRef, Hlc>>,
    heard: BTreeMap<[u8; 32], BTreeSet<EventRef>>,
    settings: BTreeMap<(SettingKind, String), Setting>,
    summary: Summary,
    row_of_stay: BTreeMap<String, i64>,
    /// In order of the clocks of their entries.
    rows_of_plate: BTreeMap<PlateId, BTreeSet<(Hlc, i64)>>,
    /// By the second and the fee.
    rows_of_exit: BTreeMap<(i64, Vnd), BTreeSet<i64>>,
    loose_of_key: BTreeMap<String, BTreeSet<EventRef>>,
    /// Events that were read, as facts: reading is most of what a refold costs here.
    facts: BTreeMap<EventRef, Option<Fact>>,
    next_row_id: i64,
    transaction: Option<Vec<Undo>>,
    commits: VecDeque<Vec<Undo>>,
    /// The next so many writes go through, then one fails; `None`: none fails.
    pub writes_until_failure: Option<u32>,
    /// The next commit fails.
    pub fail_next_commit: bool,
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self {
            events: BTreeMap::new(),
            heads: BTreeMap::new(),
            stays: BTreeMap::new(),
            loose: BTreeMap::new(),
            totals: BTreeMap::new(),
            takings: BTreeMap::new(),
            shifts: BTreeMap::new(),
            recounts: BTreeMap::new(),
            payments: BTreeMap::new(),
            money: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            audit: Vec::new(),
            dirty: BTreeMap::new(),
            reads: 0,
            writes: 0,
            requests: BTreeMap::new(),
            heard: BTreeMap::new(),
            settings: BTreeMap::new(),
            summary: Summary { digest: [0; 32], max_hlc: Hlc::default(), events: 0, loose_facts: 0 },
            row_of_stay: BTreeMap::new(),
            rows_of_plate: BTreeMap::new(),
            rows_of_exit: BTreeMap::new(),
            loose_of_key: BTreeMap::new(),
            facts: BTreeMap::new(),
            next_row_id: 1,
            transaction: None,
            commits: VecDeque::new(),
            writes_until_failure: None,
            fail_next_commit: false,
        }
    }
}

impl MemoryStorage {
    /// What a copy of the files holds: what is committed, and no memory of how it came there.
    pub fn copy(&self) -> Self {
        let mut copy = Self { commits: VecDeque::new(), ..self.clone() };
        copy.crash();
        copy
    }

    /// The process died: an open transaction is gone.
    pub fn crash(&mut self) {
        self.rollback();
        self.writes_until_failure = None;
        self.fail_next_commit = false;
    }

    /// The power went on a disk that had lied about its last `count` commits. Returns how many were still known.
    pub fn lose_last_commits(&mut self, count: usize) -> usize {
        self.rollback();
        let mut lost = 0;
        while lost < count
            && let Some(commit) = self.commits.pop_back()
        {
            self.undo(commit);
            lost += 1;
        }
        lost
    }

    fn undo(&mut self, changes: Vec<Undo>) {
        for change in changes.into_iter().rev() {
            match change {
                Undo::Event(key, old) => {
                    self.facts.remove(&key);
                    put(&mut self.events, key, old);
                }
                Undo::Head(key, old) => put(&mut self.heads, key, old),
                Undo::Stay(key, old) => self.put_stay(key, old.map(|stay| *stay)),
                Undo::Loose(key, old) => self.put_loose(&key, old),
                Undo::Heard(key, old) => put(&mut self.heard, key, old),
                Undo::Request(key, old) => put(&mut self.requests, key, old),
                Undo::Total(key, old) => put(&mut self.totals, key, old),
                Undo::Taking(fact, old) => put(&mut self.takings, fact, old.map(|old| *old)),
                Undo::Money(at, old) => put(&mut self.money, at, old),
                Undo::Shift(id, old) => put(&mut self.shifts, id, old.map(|old| *old)),
                Undo::Recount(at, old) => put(&mut self.recounts, at, old),
                Undo::Payment(at, old) => put(&mut self.payments, at, old),
                Undo::Setting(key, old) => put(&mut self.settings, key, old),
                Undo::Quarantine(key, old) => put(&mut self.quarantined, key, old),
                Undo::Dirty(key, old) => put(&mut self.dirty, key, old),
                Undo::Summary(old) => self.summary = old,
                Undo::Audit => drop(self.audit.pop()),
            }
        }
    }

    fn put_stay(&mut self, row_id: i64, new: Option<StoredStay>) {
        if let Some(old) = self.stays.remove(&row_id) {
            self.row_of_stay.remove(&old.row.stay_id);
            if let Some(rows) = self.rows_of_plate.get_mut(&old.row.plate_id) {
                rows.remove(&(old.row.entry_hlc, row_id));
            }
            if let Some(rows) = ended_in(&old.row).and_then(|end| self.rows_of_exit.get_mut(&end)) {
                rows.remove(&row_id);
            }
        }
        if let Some(new) = new {
            self.row_of_stay.insert(new.row.stay_id.clone(), row_id);
            let place = (new.row.entry_hlc, row_id);
            self.rows_of_plate.entry(new.row.plate_id.clone()).or_default().insert(place);
            if let Some(end) = ended_in(&new.row) {
                self.rows_of_exit.entry(end).or_default().insert(row_id);
            }
            self.stays.insert(row_id, new);
        }
    }

    fn put_loose(&mut self, at: &EventRef, new: Option<LooseFact>) {
        for key in self.loose.remove(at).into_iter().flat_map(|old| old.keys) {
            if let Some(facts) = self.loose_of_key.get_mut(&key) {
                facts.remove(at);
            }
        }
        if let Some(new) = new {
            for key in &new.keys {
                self.loose_of_key.entry(key.clone()).or_default().insert(at.clone());
            }
            self.loose.insert(at.clone(), new);
        }
    }

    /// Records the inverse of a change about to be made.
    fn note(&mut self, undo: Undo) -> Result<(), MemoryError> {
        self.writes += 1;
        match self.writes_until_failure.as_mut() {
            Some(0) => {
                self.writes_until_failure = None;
                return Err(MemoryError::Injected);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        match self.transaction.as_mut() {
            Some(changes) => changes.push(undo),
            None => return Err(MemoryError::BrokenRule("a write outside a transaction")),
        }
        Ok(())
    }
}

fn ended_in(row: &StayRow) -> Option<(i64, Vnd)> {
    row.exit.as_ref().map(|exit| (exit.exit_ms.div_euclid(1_000), exit.fee))
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

impl Lookup for MemoryStorage {
    type Error = MemoryError;

    fn stay(&mut self, stay_id: &str) -> Result<Option<StoredStay>, MemoryError> {
        self.reads += 1;
        Ok(self.row_of_stay.get(stay_id).and_then(|row_id| self.stays.get(row_id)).cloned())
    }

    fn last_begun(&mut self, plate: &PlateId, before: Hlc) -> Result<Vec<StoredStay>, MemoryError> {
        let Some(rows) = self.rows_of_plate.get(plate) else { return Ok(Vec::new()) };
        let rows = rows.range(..(before, i64::MIN)).rev().filter_map(|(_, row_id)| self.stays.get(row_id));
        let mut rows =
            rows.filter(|stay| !matches!(stay.row.status, StayStatus::Superseded | StayStatus::Void)).peekable();
        let greatest = rows.peek().map(|stay| stay.row.entry_hlc);
        let rows: Vec<_> = rows.take_while(|stay| Some(stay.row.entry_hlc) == greatest).cloned().collect();
        self.reads += rows.len() as u64;
        Ok(rows)
    }

    fn begun_since(&mut self, plate: &PlateId, since: Hlc, most: usize) -> Result<Vec<StoredStay>, MemoryError> {
        let Some(rows) = self.rows_of_plate.get(plate) else { return Ok(Vec::new()) };
        let rows = rows.range((since, i64::MIN)..).filter_map(|(_, row_id)| self.stays.get(row_id));
        let rows: Vec<_> = rows.filter(|stay| stay.row.status != StayStatus::Void).take(most).cloned().collect();
        self.reads += rows.len() as u64;
        Ok(rows)
    }

    fn ended_in(&mut self, second: i64, fee: Vnd) -> Result<Vec<StoredStay>, MemoryError> {
        let rows = self.rows_of_exit.get(&(second, fee)).into_iter().flatten();
        let rows: Vec<_> = rows.filter_map(|row_id| self.stays.get(row_id)).cloned().collect();
        self.reads += rows.len() as u64;
        Ok(rows)
    }

    fn loose_facts(&mut self, key: &str, clocks: RangeInclusive<Hlc>) -> Result<Vec<EventRef>, MemoryError> {
        let facts = self.loose_of_key.get(key).into_iter().flatten();
        Ok(facts.filter(|at| self.loose.get(at).is_some_and(|fact| clocks.contains(&fact.hlc))).cloned().collect())
    }

    fn event(&mut self, at: &EventRef) -> Result<Option<EventBytes>, MemoryError> {
        Ok(self.events.get(at).map(|(bytes, _)| bytes.clone()))
    }

    fn fact(&mut self, at: &EventRef) -> Result<Option<Fact>, MemoryError> {
        self.reads += 1;
        if let Some(fact) = self.facts.get(at) {
            return Ok(fact.clone());
        }
        let Some((bytes, _)) = self.events.get(at) else { return Ok(None) };
        let fact = Fact::read(bytes);
        self.facts.insert(at.clone(), fact.clone());
        Ok(fact)
    }

    fn events_of_request(
        &mut self,
        edge_id: &str,
        request_id: &str,
        clocks_ms: (i64, i64),
    ) -> Result<Vec<EventRef>, MemoryError> {
        let events = self.requests.get(&(edge_id.to_owned(), request_id.to_owned())).into_iter().flatten();
        let within = events.filter(|(_, hlc)| (clocks_ms.0..=clocks_ms.1).contains(&hlc.ms()));
        Ok(within.map(|(at, _)| at.clone()).collect())
    }

    fn events_of_heard(&mut self, fact: &[u8; 32]) -> Result<Vec<EventRef>, MemoryError> {
        Ok(self.heard.get(fact).into_iter().flatten().cloned().collect())
    }
}

impl Rows for MemoryStorage {
    fn greatest_hlc_of_plate(&mut self, plate: &PlateId) -> Result<Option<Hlc>, MemoryError> {
        let rows = self.rows_of_plate.get(plate).into_iter().flatten();
        Ok(rows.filter_map(|(_, row_id)| self.stays.get(row_id)).map(|stay| stay.row.last_hlc).max())
    }

    fn insert_stay(&mut self, row: &StayRow, _own: bool, committed_ms: i64) -> Result<i64, MemoryError> {
        if self.row_of_stay.contains_key(&row.stay_id) {
            return Err(MemoryError::BrokenRule("two rows with one event id"));
        }
        let row_id = self.next_row_id;
        self.note(Undo::Stay(row_id, None))?;
        self.next_row_id += 1;
        self.put_stay(row_id, Some(StoredStay { row_id, row: row.clone(), committed_ms }));
        Ok(row_id)
    }

    fn insert_stay_if_new(&mut self, row: &StayRow, own: bool, committed_ms: i64) -> Result<Option<i64>, MemoryError> {
        if self.row_of_stay.contains_key(&row.stay_id) {
            return Ok(None);
        }
        self.insert_stay(row, own, committed_ms).map(Some)
    }

    fn update_stay(&mut self, row_id: i64, row: &StayRow, _now_ms: i64) -> Result<(), MemoryError> {
        let old = self.stays.get(&row_id).cloned().ok_or(MemoryError::BrokenRule("an update of no row"))?;
        let committed_ms = old.committed_ms;
        self.note(Undo::Stay(row_id, Some(old.into())))?;
        self.put_stay(row_id, Some(StoredStay { row_id, row: row.clone(), committed_ms }));
        Ok(())
    }

    fn delete_stay(&mut self, row_id: i64) -> Result<(), MemoryError> {
        self.note(Undo::Stay(row_id, self.stays.get(&row_id).cloned().map(Box::new)))?;
        self.put_stay(row_id, None);
        Ok(())
    }
}

impl Tables for MemoryStorage {
    fn greatest_loose_hlc(&mut self, key: &str) -> Result<Option<Hlc>, MemoryError> {
        let facts = self.loose_of_key.get(key).into_iter().flatten();
        Ok(facts.filter_map(|at| self.loose.get(at)).map(|fact| fact.hlc).max())
    }

    fn append_event(
        &mut self,
        at: &EventRef,
        event: &EventBytes,
        hash: ChainHash,
        _committed_ms: i64,
    ) -> Result<(), MemoryError> {
        if self.events.contains_key(at) {
            return Err(MemoryError::BrokenRule("an event that is already there"));
        }
        self.note(Undo::Event(at.clone(), None))?;
        self.events.insert(at.clone(), (event.clone(), hash));
        Ok(())
    }

    fn set_head(&mut self, log: &LogId, head: Head) -> Result<(), MemoryError> {
        self.note(Undo::Head(log.clone(), self.heads.get(log).copied()))?;
        self.heads.insert(log.clone(), head);
        Ok(())
    }

    fn put_loose_fact(&mut self, fact: &LooseFact) -> Result<(), MemoryError> {
        self.note(Undo::Loose(fact.at.clone(), self.loose.get(&fact.at).cloned()))?;
        self.put_loose(&fact.at, Some(fact.clone()));
        Ok(())
    }

    fn remove_loose_fact(&mut self, at: &EventRef) -> Result<(), MemoryError> {
        self.note(Undo::Loose(at.clone(), self.loose.get(at).cloned()))?;
        self.put_loose(at, None);
        Ok(())
    }

    fn put_dirty(&mut self, fact: &DirtyFact) -> Result<(), MemoryError> {
        self.note(Undo::Dirty(fact.at.clone(), self.dirty.get(&fact.at).cloned()))?;
        self.dirty.insert(fact.at.clone(), fact.clone());
        Ok(())
    }

    fn remove_dirty(&mut self, at: &EventRef) -> Result<(), MemoryError> {
        self.note(Undo::Dirty(at.clone(), self.dirty.get(at).cloned()))?;
        self.dirty.remove(at);
        Ok(())
    }

    fn put_request(&mut self, edge_id: &str, request_id: &str, at: &EventRef, hlc: Hlc) -> Result<(), MemoryError> {
        let key = (edge_id.to_owned(), request_id.to_owned());
        self.note(Undo::Request(key.clone(), self.requests.get(&key).cloned()))?;
        self.requests.entry(key).or_default().insert(at.clone(), hlc);
        Ok(())
    }

    fn put_heard(&mut self, fact: &[u8; 32], at: &EventRef) -> Result<(), MemoryError> {
        self.note(Undo::Heard(*fact, self.heard.get(fact).cloned()))?;
        self.heard.entry(*fact).or_default().insert(at.clone());
        Ok(())
    }

    fn add_total(&mut self, key: TotalKey, change: TotalChange) -> Result<(), MemoryError> {
        self.note(Undo::Total(key.clone(), self.totals.get(&key).copied()))?;
        let sum = self.totals.entry(key.clone()).or_default();
        *sum += change;
        if *sum == TotalChange::default() {
            self.totals.remove(&key);
        }
        Ok(())
    }

    fn set_taking(&mut self, taking: &Taking, is_taken: bool) -> Result<(), MemoryError> {
        let fact = &taking.fact;
        self.note(Undo::Taking(fact.clone(), self.takings.get(fact).cloned().map(Box::new)))?;
        put(&mut self.takings, fact.clone(), is_taken.then(|| taking.clone()));
        Ok(())
    }

    fn put_money_changes(&mut self, at: &EventRef, event: &Event) -> Result<(), MemoryError> {
        self.note(Undo::Money(at.clone(), self.money.get(at).cloned()))?;
        self.money.insert(at.clone(), lines(at, event));
        Ok(())
    }

    fn shift(&mut self, id: &str) -> Result<Option<Shift>, MemoryError> {
        Ok(self.shifts.get(id).cloned())
    }

    fn open_shifts(&mut self) -> Result<Vec<Shift>, MemoryError> {
        let is_open = |shift: &&Shift| shift.opened.is_some() && shift.closed.is_none();
        Ok(self.shifts.values().filter(is_open).cloned().collect())
    }

    fn last_shift(&mut self, central: &str, edge_id: &str, before_ms: i64) -> Result<Option<Shift>, MemoryError> {
        let of_gate = |shift: &&Shift| shift.is_at(central, edge_id) && shift.opened.is_some();
        let before = self.shifts.values().filter(of_gate).filter(|shift| shift.from_ms < before_ms);
        Ok(before.max_by_key(|shift| (shift.from_ms, &shift.id)).cloned())
    }

    fn last_taken_ms(&mut self, shift: &Shift, within: Span) -> Result<Option<i64>, MemoryError> {
        sheet::last_taken_ms(self, shift, within)
    }

    fn put_shift(&mut self, shift: &Shift) -> Result<(), MemoryError> {
        let id = &shift.id;
        self.note(Undo::Shift(id.clone(), self.shifts.get(id).cloned().map(Box::new)))?;
        self.shifts.insert(id.clone(), shift.clone());
        Ok(())
    }

    fn shift_figures(&mut self, shift: &Shift) -> Result<Reckoning, MemoryError> {
        sheet::figures(self, shift)
    }

    fn recounts(&mut self, id: &str) -> Result<Vec<(Hlc, EventRef)>, MemoryError> {
        let of_it = self.recounts.iter().filter(|(_, (_, shift))| shift == id);
        Ok(of_it.map(|(at, (hlc, _))| (*hlc, at.clone())).collect())
    }

    fn put_recount(&mut self, at: &EventRef, event: &Event) -> Result<(), MemoryError> {
        let Body::ShiftRecounted(recounted) = &event.body else { return Ok(()) };
        self.note(Undo::Recount(at.clone(), self.recounts.get(at).cloned()))?;
        self.recounts.insert(at.clone(), (event.hlc, recounted.shift.clone()));
        Ok(())
    }

    fn payments(&mut self, reference: &str) -> Result<Vec<EventRef>, MemoryError> {
        Ok(self.payments.iter().filter(|(_, held)| *held == reference).map(|(at, _)| at.clone()).collect())
    }

    fn put_payment(&mut self, at: &EventRef, event: &Event) -> Result<(), MemoryError> {
        let reference = match &event.body {
            Body::PaymentReceived(payment) => &payment.reference,
            Body::PaymentAssigned(assigned) => &assigned.reference,
            _ => return Ok(()),
        };
        self.note(Undo::Payment(at.clone(), self.payments.get(at).cloned()))?;
        self.payments.insert(at.clone(), reference.clone());
        Ok(())
    }

    /// The ledger itself asks for no invoice: readers do.
    fn put_invoice(&mut self, _: &EventRef, _: &Event) -> Result<(), MemoryError> {
        Ok(())
    }

    fn put_setting(&mut self, setting: &Setting) -> Result<(), MemoryError> {
        let key = (setting.kind, setting.id.clone());
        self.note(Undo::Setting(key.clone(), self.settings.get(&key).cloned()))?;
        self.settings.insert(key, setting.clone());
        Ok(())
    }

    fn remove_setting(&mut self, kind: SettingKind, id: &str) -> Result<(), MemoryError> {
        let key = (kind, id.to_owned());
        self.note(Undo::Setting(key.clone(), self.settings.get(&key).cloned()))?;
        self.settings.remove(&key);
        Ok(())
    }

    fn quarantine(&mut self, at: &EventRef, reason: &str) -> Result<(), MemoryError> {
        self.note(Undo::Quarantine(at.clone(), self.quarantined.get(at).cloned()))?;
        self.quarantined.insert(at.clone(), reason.to_owned());
        Ok(())
    }

    fn quarantined(&mut self, reason_begins: &str) -> Result<Vec<EventRef>, MemoryError> {
        let listed = self.quarantined.iter().filter(|(_, reason)| reason.starts_with(reason_begins));
        Ok(listed.map(|(at, _)| at.clone()).collect())
    }

    fn release(&mut self, at: &EventRef) -> Result<bool, MemoryError> {
        self.note(Undo::Quarantine(at.clone(), self.quarantined.get(at).cloned()))?;
        Ok(self.quarantined.remove(at).is_some())
    }

    fn put_audit(&mut self, entry: &AuditEntry) -> Result<(), MemoryError> {
        self.note(Undo::Audit)?;
        self.audit.push(entry.clone());
        Ok(())
    }

    fn set_summary(&mut self, summary: &Summary) -> Result<(), MemoryError> {
        self.note(Undo::Summary(self.summary.clone()))?;
        self.summary = summary.clone();
        Ok(())
    }
}

impl Storage for MemoryStorage {
    fn clear_projection(&mut self) -> Result<(), MemoryError> {
        for row_id in self.stays.keys().copied().collect::<Vec<_>>() {
            self.delete_stay(row_id)?;
        }
        for at in self.loose.keys().cloned().collect::<Vec<_>>() {
            self.remove_loose_fact(&at)?;
        }
        for (key, old) in std::mem::take(&mut self.requests) {
            self.note(Undo::Request(key, Some(old)))?;
        }
        for (key, old) in std::mem::take(&mut self.heard) {
            self.note(Undo::Heard(key, Some(old)))?;
        }
        for (key, old) in std::mem::take(&mut self.totals) {
            self.note(Undo::Total(key, Some(old)))?;
        }
        for (fact, old) in std::mem::take(&mut self.takings) {
            self.note(Undo::Taking(fact, Some(Box::new(old))))?;
        }
        for (at, old) in std::mem::take(&mut self.money) {
            self.note(Undo::Money(at, Some(old)))?;
        }
        for (id, old) in std::mem::take(&mut self.shifts) {
            self.note(Undo::Shift(id, Some(Box::new(old))))?;
        }
        for (at, old) in std::mem::take(&mut self.recounts) {
            self.note(Undo::Recount(at, Some(old)))?;
        }
        for (at, old) in std::mem::take(&mut self.payments) {
            self.note(Undo::Payment(at, Some(old)))?;
        }
        for (key, old) in std::mem::take(&mut self.settings) {
            self.note(Undo::Setting(key, Some(old)))?;
        }
        for (key, old) in std::mem::take(&mut self.quarantined) {
            self.note(Undo::Quarantine(key, Some(old)))?;
        }
        for (key, old) in std::mem::take(&mut self.dirty) {
            self.note(Undo::Dirty(key, Some(old)))?;
        }
        Ok(())
    }

    fn load(&mut self) -> Result<Loaded, MemoryError> {
        Ok(Loaded {
            heads: self.heads.iter().map(|(log, head)| (log.clone(), *head)).collect(),
            inside: self.stays.values().filter(|stay| stay.row.status == StayStatus::In).cloned().collect(),
            settings: self.settings.values().cloned().collect(),
            summary: self.summary.clone(),
            dirty: self.dirty.values().cloned().collect(),
        })
    }

    fn begin(&mut self) -> Result<(), MemoryError> {
        if self.transaction.is_some() {
            return Err(MemoryError::BrokenRule("a transaction within a transaction"));
        }
        self.transaction = Some(Vec::new());
        Ok(())
    }

    fn probe(&mut self, _: bool) -> Result<(), MemoryError> {
        if std::mem::take(&mut self.fail_next_commit) { Err(MemoryError::Injected) } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), MemoryError> {
        if std::mem::take(&mut self.fail_next_commit) {
            self.rollback();
            return Err(MemoryError::Injected);
        }
        let changes = self.transaction.take().ok_or(MemoryError::BrokenRule("a commit without a transaction"))?;
        self.commits.push_back(changes);
        if self.commits.len() > KEPT_COMMITS {
            self.commits.pop_front();
        }
        Ok(())
    }

    fn rollback(&mut self) {
        if let Some(changes) = self.transaction.take() {
            self.undo(changes);
        }
    }
}

/// What the storage was told to fail with, or a rule broken by its caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    #[error("no space left (injected)")]
    Injected,
    #[error("broken rule: {0}")]
    BrokenRule(&'static str),
}

/// What a correction or void changes, each with who says so.
fn lines(at: &EventRef, event: &Event) -> Vec<(String, ChangeLine<LogId>)> {
    let by = event.person().unwrap_or_default();
    let line = |money: &crate::domain::shift::MoneyChange| ChangeLine {
        place: (at.log.clone(), at.seq),
        at_ms: event.timestamp_ms,
        central: money.central.clone(),
        edge_id: money.edge_id.clone(),
        exit_ms: money.exit_ms,
        taken_by: money.taken_by.clone(),
        method: money.method.clone(),
        exit: place(&money.exit),
        change: money.change(),
    };
    event.money().iter().map(|money| (by.to_owned(), line(money))).collect()
}

fn place(fact: &FactId) -> Option<(LogId, u64)> {
    match fact {
        FactId::Authored { log, seq } => Some((log.clone(), *seq)),
        FactId::Heard(_) => None,
    }
}

impl Books for MemoryStorage {
    type Error = MemoryError;
    type Log = LogId;

    fn log(&mut self, log: LogId) -> Result<LogId, MemoryError> {
        Ok(log)
    }

    fn copies_of(&mut self, fact: &FactId) -> Result<Vec<Fact>, MemoryError> {
        let places = match fact {
            FactId::Authored { log, seq } => vec![EventRef { log: log.clone(), seq: *seq }],
            FactId::Heard(digest) => self.events_of_heard(digest)?,
        };
        let held = places.iter().filter_map(|at| self.events.get(at));
        Ok(held.filter_map(|(bytes, _)| Fact::read(bytes)).collect())
    }

    fn is_taken(&mut self, _: i64, fact: &FactId) -> Result<bool, MemoryError> {
        Ok(self.takings.contains_key(fact))
    }

    fn next_from_ms(&mut self, after: &Shift, edge_id: &str) -> Result<Option<i64>, MemoryError> {
        let of_gate = |shift: &&Shift| shift.is_at(&after.central, edge_id) && shift.opened.is_some();
        let is_after = |shift: &&Shift| (shift.from_ms, &shift.id) > (after.from_ms, &after.id);
        Ok(self.shifts.values().filter(of_gate).filter(is_after).map(|shift| shift.from_ms).min())
    }

    fn shifts_of(&mut self, person: &str, (from_ms, until_ms): Span) -> Result<Vec<Shift>, MemoryError> {
        let is_his = |shift: &&Shift| shift.opened.as_ref().is_some_and(|opened| opened.person == person);
        let within = |shift: &&Shift| shift.from_ms > from_ms && shift.from_ms < until_ms;
        Ok(self.shifts.values().filter(is_his).filter(within).cloned().collect())
    }

    fn entries(
        &mut self,
        at: AtGate<'_>,
        within: Span,
        each: &mut dyn FnMut(GateName<'_>, i64),
    ) -> Result<(), MemoryError> {
        let rows = self.stays.values().map(|stored| &stored.row).filter(|row| {
            let was_inside = matches!(row.status, StayStatus::In | StayStatus::Out | StayStatus::LeftUnseen);
            let gate = (row.source_central.as_str(), row.edge_id.as_str());
            was_inside && !row.is_exit_alone() && at.is_none_or(|at| at == gate) && holds(within, row.entry_ms)
        });
        rows.for_each(|row| each((&row.source_central, &row.edge_id), row.entry_ms));
        Ok(())
    }

    fn entries_of_quarters(
        &mut self,
        at: AtGate<'_>,
        (first, last): (i64, i64),
        each: &mut dyn FnMut(GateName<'_>, i64, i64),
    ) -> Result<(), MemoryError> {
        let within = (first.saturating_mul(QUARTER_MS), last.saturating_mul(QUARTER_MS));
        self.entries(at, within, &mut |gate, entry_ms| each(gate, quarter(entry_ms), 1))
    }

    fn takings(
        &mut self,
        at: AtGate<'_>,
        within: Span,
        each: &mut dyn FnMut(TakingLine<'_, LogId>),
    ) -> Result<(), MemoryError> {
        let is_there = |taking: &&Taking| at.is_none_or(|at| at == (taking.central.as_str(), taking.edge_id.as_str()));
        let of_gate = self.takings.values().filter(is_there).filter(|taking| holds(within, taking.exit_ms));
        for taking in of_gate.cloned().collect::<Vec<_>>() {
            let told_there = sheet::vouched(self, TakenWhere::of(&taking), taking.told_there, &taking.fact)?;
            each(TakingLine {
                central: &taking.central,
                edge_id: &taking.edge_id,
                exit_ms: taking.exit_ms,
                taken_by: &taking.told_apart.by,
                method: &taking.told_apart.method,
                camera_type: &taking.told_apart.camera_type,
                fee: taking.fee.0,
                also: &taking.also,
                excess: taking.excess.0,
                place: place(&taking.fact),
                exits: 1,
                told_there: told_there.map(|told| told.min(taking.fee.0)),
            });
        }
        Ok(())
    }

    fn changes_by(&mut self, person: &str, within: Span) -> Result<Vec<ChangeLine<LogId>>, MemoryError> {
        let his = self.money.values().flatten().filter(|(by, _)| by == person);
        Ok(his.map(|(_, line)| line).filter(|line| holds(within, line.at_ms)).cloned().collect())
    }

    fn changes_at(
        &mut self,
        central: &str,
        edge_id: &str,
        within: Span,
    ) -> Result<Vec<ChangeLine<LogId>>, MemoryError> {
        let lines = self.money.values().flatten().map(|(_, line)| line);
        let of_gate = lines.filter(|line| line.central == central && line.edge_id == edge_id);
        Ok(of_gate.filter(|line| holds(within, line.exit_ms)).cloned().collect())
    }
}
