//! One transaction: reads through the overlay, writes to the storage and the overlay, never to the state.

use std::sync::Arc;

use crate::domain::doer::{Doer, DoerKind};
use crate::domain::event::{Draft, Event};
use crate::domain::ids::{Epoch, Hlc, LogId};
use crate::domain::lane::Lanes;
use crate::domain::plate::PlateId;
use crate::domain::row::StayRow;
use crate::domain::stay::{Fact, Link, TakenAs, Taking};
use crate::domain::time::{MAX_MS, quarter};
use crate::replication::log::{ChainHash, EventBytes, Head};

use super::Context;
use super::apply::{Steps, place};
use super::authorship::Authorship;
use super::component::loose_key;
use super::job::{Answer, Job, Refusal};
use super::open_stay::{OpenStay, Places};
use super::settings::SharedSettings;
use super::state::{Staged, State};
use super::storage::{EventRef, Storage, TotalChange};

/// Why a job did not go through: it was refused, or the disk failed and the whole transaction with it.
///
/// What writes returns the storage's error and not this, so that nothing can be refused once it has written.
#[derive(Debug)]
pub enum Stop<E> {
    Refused(Refusal),
    Storage(E),
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Self {
        Self::Storage(error)
    }
}

/// The time of a transaction.
#[derive(Debug, Clone, Copy)]
pub struct TransactionTime {
    /// The wall clock, Unix ms.
    pub wall_ms: i64,
    /// The median offset to the peers' clocks, if known: recorded in every event authored.
    pub skew_ms: Option<i64>,
    /// The wall clock is known to be wrong: stays stamped with it say so.
    pub clock_wrong: bool,
}

/// A running transaction. A job that is refused has written nothing.
pub struct Transaction<'a, S: Storage> {
    pub(super) context: &'a Context,
    pub(super) state: &'a State,
    pub(super) places: &'a mut Places,
    pub(super) staged: Staged,
    pub(super) now: TransactionTime,
    /// Who does what is being decided.
    by: Option<Doer>,
    /// The epoch of the log to start, should this process author its first event now.
    pub(super) fresh_epoch: Epoch,
    /// Facts read to be folded and folded, so far.
    pub(super) folded: usize,
    storage: &'a mut S,
    pub(super) steps: Steps,
    pub(super) authorship: &'a mut Authorship,
    pub(super) lanes: &'a Lanes,
    begun: bool,
    /// Calls that may have changed the storage.
    writes: u64,
}

impl<'a, S: Storage> Transaction<'a, S> {
    #[expect(clippy::too_many_arguments, reason = "what a ledger is made of, each part for itself")]
    pub fn new(
        context: &'a Context,
        state: &'a State,
        places: &'a mut Places,
        storage: &'a mut S,
        now: TransactionTime,
        fresh_epoch: Epoch,
        steps: Steps,
        authorship: &'a mut Authorship,
        lanes: &'a Lanes,
    ) -> Self {
        // A clock that shows no date must not stop a gate, whose event every central has to be able to read.
        let now = TransactionTime { wall_ms: now.wall_ms.clamp(0, MAX_MS), ..now };
        Self {
            context,
            state,
            places,
            staged: Staged::on(state),
            now,
            by: None,
            fresh_epoch,
            folded: 0,
            storage,
            steps,
            authorship,
            lanes,
            begun: false,
            writes: 0,
        }
    }

    pub fn run(&mut self, job: Job) -> Result<Answer, Stop<S::Error>> {
        self.settle_for(&job)?;
        let writes_before = self.writes;
        let outcome = self.decide(job);
        let refused = matches!(outcome, Err(Stop::Refused(_)));
        debug_assert!(!refused || self.writes == writes_before, "a job was refused after it had written");
        outcome
    }

    pub(super) fn decide(&mut self, job: Job) -> Result<Answer, Stop<S::Error>> {
        match job {
            Job::Open(request) => self.open(request),
            Job::Close(request) => self.close(&request),
            Job::Report(report) => self.report(report),
            Job::Unread(opening) => self.report_unread(opening),
            Job::ReportChange(change) => self.report_change(change),
            Job::Detect(detection) => Ok(Answer::Seen(self.vehicle(&detection))),
            Job::PutTariff(tariff) => self.put_tariff(tariff),
            Job::Announce(list) => self.announce_tariff(list),
            Job::PutStanding(standing) => self.put_standing(standing),
            Job::PutNames(names) => self.put_names(names),
            Job::OpenShift(request) => self.open_shift(request),
            Job::CloseShift(request) => self.close_shift(request),
            Job::RecountShift(request) => self.recount_shift(request),
            Job::PutSubscriptions(list) => self.put_subscriptions(list),
            Job::ChangeSubscriptions(changes) => self.change_subscriptions(changes),
            Job::IfVersion(guarded) => self.if_version(*guarded),
            Job::ImportTariff(tariff) => self.import_tariff(tariff),
            Job::ImportSubscriptions(list) => self.import_subscriptions(list),
            Job::Correct(request) => self.correct(&request),
            Job::Void(request) => self.void(&request),
            Job::TakePayment(payment) => self.take_payment(payment),
            Job::AssignPayment(request) => self.assign_payment(request),
            Job::NoteInvoice(invoiced, after) => self.note_invoice(*invoiced, after),
            Job::Hear(told) => self.hear(&told),
            Job::Store(run) => self.store_run(&run, false),
            Job::StoreOfAuthor(run) => self.store_run(&run, true),
            Job::Audited(audited) => self.audited(*audited),
            Job::Audit(entries) => self.audit(&entries),
            Job::By(done) => {
                let before = self.by.replace(done.doer);
                let outcome = self.decide(done.job);
                self.by = before;
                outcome
            }
        }
    }

    /// Makes everything durable. Returns what changed, for the state to absorb; `None` if nothing did.
    pub fn finish(mut self) -> Result<Option<Staged>, S::Error> {
        if self.writes == 0 {
            self.abandon();
            return Ok(None);
        }
        let written = self.write_sums();
        if let Err(error) = written.and_then(|()| self.storage.commit()) {
            // A failed commit may leave the transaction open or not; rolling back covers both.
            self.storage.rollback();
            return Err(error);
        }
        Ok(Some(self.staged))
    }

    /// Gives up: nothing of the transaction happened.
    pub fn abandon(&mut self) {
        if self.begun {
            self.storage.rollback();
            self.begun = false;
        }
    }

    fn write_sums(&mut self) -> Result<(), S::Error> {
        for (log, head) in &self.staged.heads {
            self.storage.set_head(log, *head)?;
        }
        self.write_takings()?;
        self.storage.set_summary(&self.staged.summary())
    }

    /// Writes what the transaction has counted so far.
    pub(super) fn write_takings(&mut self) -> Result<(), S::Error> {
        for (key, change) in std::mem::take(&mut self.staged.totals) {
            if change == TotalChange::default() {
                continue;
            }
            self.storage.add_total(key, change)?;
        }
        for (taking, is_taken) in std::mem::take(&mut self.staged.takings).into_values() {
            self.storage.set_taking(&taking, is_taken)?;
        }
        Ok(())
    }

    /// The person who does it.
    pub(super) fn person(&self) -> Option<String> {
        self.by.as_ref().filter(|by| by.kind == DoerKind::Person).and_then(|by| by.name.clone())
    }

    /// Who does it, as events of older versions name them.
    pub(super) fn doer_text(&self) -> Option<String> {
        self.by.as_ref().and_then(Doer::text)
    }

    /// The storage for reading; begins the transaction at the first use.
    pub(super) fn read(&mut self) -> Result<&mut S, S::Error> {
        if !self.begun {
            self.storage.begin()?;
            self.begun = true;
        }
        Ok(self.storage)
    }

    /// Calls up to now that may have changed the storage: equal before and after means that nothing was changed.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// The storage for writing.
    pub(super) fn write(&mut self) -> Result<&mut S, S::Error> {
        self.writes += 1;
        self.read()
    }

    pub(super) fn inside(&self, plate: &PlateId) -> Option<&OpenStay> {
        match self.staged.inside.get(plate) {
            Some(staged) => staged.as_deref(),
            None => self.state.inside.get(plate).map(|open| &**open),
        }
    }

    pub(super) fn settings(&self) -> &SharedSettings {
        self.staged.settings.as_ref().unwrap_or(&self.state.settings)
    }

    pub(super) fn settings_mut(&mut self) -> &mut SharedSettings {
        Arc::make_mut(self.staged.settings.get_or_insert_with(|| self.state.settings.clone()))
    }

    pub(super) fn head(&self, log: &LogId) -> Head {
        let known = self.staged.heads.get(log).or_else(|| self.state.heads.get(log));
        known.copied().unwrap_or_else(|| Head::empty(log))
    }

    pub(super) fn own_log(&self) -> LogId {
        let fresh = || LogId { central: self.context.central.clone(), epoch: self.fresh_epoch };
        self.staged.own_log.clone().unwrap_or_else(fresh)
    }

    /// Writes an own event at the end of the own log and applies it.
    pub(super) fn author(&mut self, draft: Draft) -> Result<Fact, Stop<S::Error>> {
        let (bytes, event) = self.encode(draft, 1)?;
        Ok(self.append_own(bytes, event)?)
    }

    /// Writes own events as [`Transaction::author`] does: all of them, or none if one is refused.
    pub(super) fn author_all(&mut self, drafts: Vec<Draft>) -> Result<(), Stop<S::Error>> {
        let encoded: Result<Vec<_>, _> = (1..).zip(drafts).map(|(ahead, draft)| self.encode(draft, ahead)).collect();
        for (bytes, event) in encoded? {
            self.append_own(bytes, event)?;
        }
        Ok(())
    }

    /// The bytes of the own event `ahead` places after the last, and the event as every central will read it.
    fn encode(&mut self, draft: Draft, ahead: u64) -> Result<(EventBytes, Event), Stop<S::Error>> {
        let draft = Draft { by: self.by.clone(), ..draft };
        let log = self.own_log();
        let seq = self.head(&log).to + ahead;
        let proof = self.authorship.proof(&log, seq);
        let encoded =
            draft.author(log, seq, &proof).map_err(|error| Stop::Refused(Refusal::Invalid(error.to_string())))?;
        Ok((encoded.0.into(), encoded.1))
    }

    pub(super) fn append_own(&mut self, bytes: EventBytes, event: Event) -> Result<Fact, S::Error> {
        let hash = self.head(&event.log).hash.extend(&bytes);
        self.staged.own_log = Some(event.log.clone());
        self.append(&place(&event), bytes, hash)?;
        let fact = Fact { id: event.fact_id(), event: event.into() };
        if !self.apply_plainly(&fact)? {
            self.fold_in(std::slice::from_ref(&fact))?;
        }
        Ok(fact)
    }

    /// Appends an event whose place and hash were checked.
    pub(super) fn append(&mut self, at: &EventRef, bytes: EventBytes, hash: ChainHash) -> Result<(), S::Error> {
        let before = self.head(&at.log);
        let now_ms = self.now.wall_ms;
        self.write()?.append_event(at, &bytes, hash, now_ms)?;
        self.staged.extend_run(&at.log, before, bytes, Head { to: at.seq, hash });
        Ok(())
    }

    /// The clock of a new fact about a plate: after every fact held that shares it.
    pub(super) fn next_hlc(&mut self, plate: &PlateId, stay_hlc: Option<Hlc>) -> Result<Hlc, S::Error> {
        let wall_ms = self.now.wall_ms;
        if wall_ms > self.staged.max_hlc.ms() {
            return Ok(Hlc::next(wall_ms, None));
        }
        // Many events within one ms come here: an open stay spares them a look at the disk.
        let known = self.inside(plate).and_then(|open| open.plate_hlc);
        let of_plate = if known.is_some() { known } else { self.read()?.greatest_hlc_of_plate(plate)? };
        let mut greatest = stay_hlc.max(of_plate);
        // Those of rows that were corrected to another plate are among the loose ones.
        if self.staged.loose_facts > 0
            && let Some(key) = loose_key(&Link::Plate(plate.clone()))
        {
            greatest = greatest.max(self.read()?.greatest_loose_hlc(&key)?);
        }
        Ok(Hlc::next(wall_ms, greatest))
    }

    /// As [`Self::insert_row`], if no row has its stay id; else nothing is written.
    pub(super) fn insert_row_if_new(&mut self, row: &StayRow, committed_ms: i64) -> Result<Option<i64>, S::Error> {
        let own = self.is_own(row);
        let row_id = self.write()?.insert_stay_if_new(row, own, committed_ms)?;
        if row_id.is_some() {
            self.staged.digest.add(row.hash());
        }
        Ok(row_id)
    }

    /// Adds a new row of the history, and its part of the digest and the sums.
    pub(super) fn insert_row(&mut self, row: &StayRow, committed_ms: i64) -> Result<i64, S::Error> {
        let own = self.is_own(row);
        let row_id = self.write()?.insert_stay(row, own, committed_ms)?;
        self.staged.digest.add(row.hash());
        Ok(row_id)
    }

    /// Replaces a row; `old` is what is stored.
    pub(super) fn replace_row(&mut self, row_id: i64, old: &StayRow, new: &StayRow) -> Result<(), S::Error> {
        let now_ms = self.now.wall_ms;
        if new.begins_as(old) {
            self.write()?.update_ending(row_id, new, now_ms)?;
        } else {
            self.write()?.update_stay(row_id, new, now_ms)?;
        }
        self.staged.digest.subtract(old.hash());
        self.staged.digest.add(new.hash());
        Ok(())
    }

    /// It came in here, also if an earlier program at this place wrote it down.
    fn is_own(&self, row: &StayRow) -> bool {
        row.source_central == self.context.central.as_str()
    }

    /// Counts an entry (`sign` 1), or takes it back (-1).
    pub(super) fn count_entry(&mut self, row: &StayRow, sign: i64) {
        let key = (quarter(row.entry_ms), row.source_central.clone(), row.edge_id.clone(), TakenAs::default());
        self.staged.totals.entry(key).or_default().entries += sign;
    }

    /// Counts what was taken at an exit, or takes it back, for the vehicle type of its stay where it ended one.
    pub(super) fn count_taking(&mut self, mut taking: Taking, of_stay: Option<&str>, sign: i64) {
        if let Some(camera_type) = of_stay {
            camera_type.clone_into(&mut taking.told_apart.camera_type);
        }
        let TakenAs { by, camera_type, .. } = &taking.told_apart;
        for (method, exits, revenue_vnd) in taking.counted() {
            let told_apart = TakenAs { by: by.clone(), method: method.to_owned(), camera_type: camera_type.clone() };
            let key = (quarter(taking.exit_ms), taking.central.clone(), taking.edge_id.clone(), told_apart);
            let sum = self.staged.totals.entry(key).or_default();
            sum.exits += sign * exits;
            sum.revenue_vnd += sign * revenue_vnd;
        }
        // What was taken is first taken back and then counted as it is now, so the last word counts.
        self.staged.takings.insert(taking.fact.clone(), (taking, sign > 0));
    }

    pub(super) fn set_inside(&mut self, plate: &PlateId, open: Option<OpenStay>) {
        self.staged.inside.insert(plate.clone(), open.map(Box::new));
    }
}
