//! What is appended and not yet applied: the history of its plates waits until they are folded.
//!
//! A run from a peer is appended at once. What of it is not plain waits, on disk and in the same transaction, under the plates
//! it concerns. It is taken up in turns between which gates are answered, and first if a gate asks about one of its plates. What
//! was not taken up before a kill still waits afterwards. At any moment the history is what
//! [`resolve`](crate::domain::stay::resolve) makes of the facts that do not wait.
//!
//! A turn goes by the clocks of all that waits, whatever the plate: so an entry comes after the exit before it, from another
//! log, and nearly everything is plain after all; and what is written lies together on the disk, which it does not for the visits of
//! one plate.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::event::Body;
use crate::domain::hash::HashMap;
use crate::domain::ids::Hlc;
use crate::domain::plate::PlateId;
use crate::domain::stay::Fact;

use super::apply::place;
use super::job::{Job, Told};
use super::storage::{Behind, DirtyFact, EventRef, Storage};
use super::transaction::Transaction;

/// Most facts that wait, for they are kept in memory, some 200 bytes each. Where more come, the earliest are taken up at once.
const MOST_WAITING: usize = 131_072;
/// Facts of one plate folded at once. What waits longer is folded in parts, by its clocks.
const MOST_AT_ONCE: usize = 1024;
/// What is not plain is folded with the next that wait under its plate: with so many, or as many as what they were folded with the
/// last time, so that a long row of them costs each the same.
const FEWEST_AT_ONCE: usize = 8;
/// So many that wait are taken up at once before one that comes: a run costs by its length.
const MOST_BEFORE: usize = 2;
/// So many that wait are taken up before a shift is closed: some 100 ms of the writer. What waits beyond is told of that shift afterwards.
const MOST_BEFORE_A_CLOSING: usize = 2_000;
/// Waiting facts looked at for plain ones, at once.
const LOOKED_AT: usize = 64;

/// The clock of an event, and where it lies.
pub type Place = (Hlc, EventRef);

/// How an event waits.
#[derive(Debug)]
struct Waiting {
    plate: PlateId,
    other: Option<PlateId>,
    is_entry: bool,
}

/// What waits, by its clock and by its plates.
#[derive(Debug, Default)]
pub struct Backlog {
    by_clock: BTreeMap<Place, Waiting>,
    by_plate: HashMap<PlateId, BTreeSet<Place>>,
    since_ms: i64,
}

impl Backlog {
    pub fn is_empty(&self) -> bool {
        self.by_clock.is_empty()
    }

    pub fn behind(&self) -> Option<Behind> {
        let plates = self.by_plate.len() as u64;
        (!self.is_empty()).then_some(Behind { plates, since_ms: self.since_ms })
    }

    pub fn insert(&mut self, fact: DirtyFact) {
        let DirtyFact { at, hlc, plate, other, is_entry, since_ms } = fact;
        self.since_ms = if self.is_empty() { since_ms } else { self.since_ms.min(since_ms) };
        let place = (hlc, at);
        for plate in std::iter::once(&plate).chain(&other) {
            self.by_plate.entry(plate.clone()).or_default().insert(place.clone());
        }
        self.by_clock.insert(place, Waiting { plate, other, is_entry });
    }

    /// Takes over what a transaction let wait.
    pub fn append(&mut self, staged: Self) {
        for ((hlc, at), Waiting { plate, other, is_entry }) in staged.by_clock {
            self.insert(DirtyFact { at, hlc, plate, other, is_entry, since_ms: staged.since_ms });
        }
    }

    pub fn remove(&mut self, place: &Place) {
        let Some(Waiting { plate, other, .. }) = self.by_clock.remove(place) else { return };
        for plate in std::iter::once(plate).chain(other) {
            if let Some(places) = self.by_plate.get_mut(&plate)
                && places.remove(place)
                && places.is_empty()
            {
                self.by_plate.remove(&plate);
            }
        }
    }

    /// By their clocks: of all, or under a plate.
    fn first(&self, of: Option<&PlateId>) -> impl Iterator<Item = &Place> {
        let all = of.is_none().then(|| self.by_clock.keys());
        all.into_iter().flatten().chain(of.and_then(|plate| self.by_plate.get(plate)).into_iter().flatten())
    }
}

impl<S: Storage> Transaction<'_, S> {
    /// Applies an appended fact if it is plain, and what waits under its plate and is earlier is plain before it: an exit lets an entry
    /// be taken up that waited for it. `false`: it has to wait, or to be folded in.
    pub(super) fn apply_in_turn(&mut self, fact: &Fact) -> Result<bool, S::Error> {
        let event = &*fact.event;
        if let Some(plate) = event.recorded_plate().filter(|_| self.waiting() > 0) {
            let own = (event.hlc, place(event));
            for taken_up in 0..=MOST_BEFORE {
                let Some(first) = self.first_waiting(Some(plate), 1).pop().filter(|first| *first < own) else { break };
                // What waits behind its like waits for something else.
                let is_like = |waiting: &Waiting| waiting.is_entry == matches!(event.body, Body::Entry(_));
                if taken_up == MOST_BEFORE || (taken_up == 0 && self.how_waits(&first).is_some_and(is_like)) {
                    return Ok(false);
                }
                if let Some(earlier) = self.read()?.fact(&first.1)?
                    && !self.apply_plainly(&earlier)?
                {
                    return Ok(false);
                }
                self.take_up(&first)?;
            }
        }
        self.apply_plainly(fact)
    }

    /// Lets an appended fact wait for its plates to be folded. `false`: it concerns no plate that is known, so that little can
    /// hang together with it.
    pub(super) fn defer(&mut self, fact: &Fact) -> Result<bool, S::Error> {
        let event = &*fact.event;
        let mut plates: BTreeSet<PlateId> = event.recorded_plate().cloned().into_iter().collect();
        let named =
            if matches!(event.body, Body::Entry(_)) { None } else { event.exit_stay().or(event.event_id.as_deref()) };
        if let Some(stay_id) = named {
            plates.extend(self.read()?.stay(stay_id)?.map(|stored| stored.row.plate_id));
        }
        let mut plates = plates.into_iter();
        let Some(plate) = plates.next() else { return Ok(false) };
        let other = plates.next();
        while self.waiting() >= MOST_WAITING {
            self.take_up_first(None, self.folded + LOOKED_AT)?;
        }
        self.staged.max_hlc = self.staged.max_hlc.max(event.hlc);
        let (is_entry, since_ms) = (matches!(event.body, Body::Entry(_)), self.now.wall_ms);
        let dirty = DirtyFact { at: place(event), hlc: event.hlc, plate, other, is_entry, since_ms };
        self.write()?.put_dirty(&dirty)?;
        self.staged.deferred.insert(dirty);
        Ok(true)
    }

    /// How many facts wait.
    fn waiting(&self) -> usize {
        self.state.backlog.by_clock.len() + self.staged.deferred.by_clock.len() - self.staged.settled.len()
    }

    /// Folds what waits under the plates a job is about.
    pub(super) fn settle_for(&mut self, job: &Job) -> Result<(), S::Error> {
        if self.waiting() == 0 {
            return Ok(());
        }
        match job {
            Job::Open(request) => self.settle(&request.plate),
            Job::Report(report) => self.settle(&report.plate),
            Job::Detect(detection) => self.settle(&detection.plate),
            Job::Close(request) => {
                request.plate.as_ref().map_or(Ok(()), |plate| self.settle(plate))?;
                request.event_id.as_ref().map_or(Ok(()), |stay_id| self.settle_stay(stay_id))
            }
            Job::Correct(request) => {
                let plates = [&request.plate, &request.exit_plate];
                plates.into_iter().flatten().try_for_each(|plate| self.settle(plate))?;
                self.settle_stay(&request.stay_id)
            }
            Job::Void(request) => self.settle_stay(&request.stay_id),
            Job::ReportChange(change) => {
                change.corrected.as_ref().map_or(Ok(()), |(plate, _)| self.settle(plate))?;
                let stay_id = self.stay_reported_as(&change.edge_id, &change.event_id)?;
                self.settle_stay(&stay_id)
            }
            // What waits may belong to it.
            Job::CloseShift(_) if self.waiting() <= MOST_BEFORE_A_CLOSING => self.take_up_first(None, usize::MAX),
            Job::CloseShift(_) => Ok(()),
            Job::Hear(told) => told.iter().try_for_each(|told| self.settle_told(told)),
            Job::Audited(audited) => self.settle_for(&audited.job),
            Job::By(done) => self.settle_for(&done.job),
            Job::IfVersion(only_if) => self.settle_for(&only_if.job),
            Job::PutTariff(_)
            | Job::Announce(_)
            | Job::PutStanding(_)
            | Job::PutNames(_)
            | Job::OpenShift(_)
            | Job::RecountShift(_)
            | Job::TakePayment(_)
            | Job::AssignPayment(_)
            | Job::NoteInvoice(..)
            | Job::PutSubscriptions(_)
            | Job::ChangeSubscriptions(_)
            | Job::Unread(_)
            | Job::ImportTariff(_)
            | Job::ImportSubscriptions(_)
            | Job::Store(_)
            | Job::StoreOfAuthor(_)
            | Job::Audit(_) => Ok(()),
        }
    }

    fn settle_told(&mut self, told: &Told) -> Result<(), S::Error> {
        let plate = match &told.draft.body {
            Body::Entry(entry) => Some(&entry.plate_id),
            Body::Exit(exit) => exit.plate_id.as_ref(),
            Body::Correction(correction) => correction.plate_id.as_ref(),
            _ => None,
        };
        plate.map_or(Ok(()), |plate| self.settle(plate))?;
        told.draft.event_id.as_ref().map_or(Ok(()), |stay_id| self.settle_stay(stay_id))
    }

    /// The plate in the id of a stay, where an id says one, and the one the stay has by then.
    fn settle_stay(&mut self, stay_id: &str) -> Result<(), S::Error> {
        let said = stay_id.split('~').next().and_then(|id| id.rsplit('_').next());
        if let Some(plate) = said.and_then(|plate| PlateId::parse(plate).ok()) {
            self.settle(&plate)?;
        }
        match self.read()?.stay(stay_id)? {
            Some(stored) => self.settle(&stored.row.plate_id),
            None => Ok(()),
        }
    }

    /// Takes up all that waits under a plate.
    fn settle(&mut self, plate: &PlateId) -> Result<(), S::Error> {
        self.take_up_first(Some(plate), usize::MAX)
    }

    /// Takes up what waits, by its clocks, until `most` facts were read and folded or nothing waits; all of it, or that of a plate.
    pub(super) fn take_up_first(&mut self, of: Option<&PlateId>, most: usize) -> Result<(), S::Error> {
        let mut folded_with: HashMap<PlateId, usize> = HashMap::default();
        while self.waiting() > 0 && self.folded < most {
            let first = self.first_waiting(of, LOOKED_AT.min(most - self.folded));
            if first.is_empty() {
                break;
            }
            for place in first {
                let fact = self.read()?.fact(&place.1)?;
                if let Some(fact) = &fact
                    && !self.apply_plainly(fact)?
                    && let Some(plate) = self.how_waits(&place).map(|waiting| waiting.plate.clone())
                {
                    let before = self.folded;
                    let with = folded_with.get(&plate).copied().unwrap_or_default();
                    self.fold_first(&plate, with.clamp(FEWEST_AT_ONCE, MOST_AT_ONCE))?;
                    folded_with.insert(plate, self.folded - before);
                    break;
                }
                self.take_up(&place)?;
                self.folded += 1;
            }
        }
        Ok(())
    }

    /// Folds the first facts that wait under a plate.
    fn fold_first(&mut self, plate: &PlateId, most: usize) -> Result<(), S::Error> {
        let mut facts = Vec::new();
        for place in self.first_waiting(Some(plate), most) {
            facts.extend(self.read()?.fact(&place.1)?);
            self.take_up(&place)?;
        }
        self.fold_in(&facts)
    }

    fn take_up(&mut self, place: &Place) -> Result<(), S::Error> {
        self.write()?.remove_dirty(&place.1)?;
        if self.state.backlog.by_clock.contains_key(place) {
            self.staged.settled.insert(place.clone());
        } else {
            self.staged.deferred.remove(place);
        }
        Ok(())
    }

    fn how_waits(&self, place: &Place) -> Option<&Waiting> {
        self.state.backlog.by_clock.get(place).or_else(|| self.staged.deferred.by_clock.get(place))
    }

    /// The first that wait, by their clocks: of all, or under a plate.
    fn first_waiting(&self, of: Option<&PlateId>, most: usize) -> Vec<Place> {
        let committed = self.state.backlog.first(of).filter(|place| !self.staged.settled.contains(place)).take(most);
        let mut first: Vec<_> = committed.chain(self.staged.deferred.first(of).take(most)).cloned().collect();
        first.sort_unstable();
        first.truncate(most);
        first
    }
}
