//! What is appended and not yet applied: the history of its plates waits until they are folded.
//!
//! A run from a peer is appended at once. What of it is not plain waits, on disk and in the same transaction, under the plates
//! it concerns; each of these is folded once for all that waits under it, in turns between which gates are answered, and first
//! if a gate asks about it. What was not folded before a kill still waits afterwards. At any moment the history is what
//! [`resolve`](crate::domain::stay::resolve) makes of the facts that do not wait.

use std::collections::BTreeSet;

use crate::domain::event::Body;
use crate::domain::plate::PlateId;
use crate::domain::stay::Fact;

use super::apply::place;
use super::job::{Job, Told};
use super::storage::{Behind, DirtyFact, Storage};
use super::transaction::Transaction;

/// Facts of one plate folded at once. What waits longer is folded in parts, by its clocks.
const MOST_AT_ONCE: usize = 1024;

impl<S: Storage> Transaction<'_, S> {
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
        if plates.is_empty() {
            return Ok(false);
        }
        let dirty = DirtyFact { at: place(event), hlc: event.hlc, plates: plates.into_iter().collect() };
        let now_ms = self.now.wall_ms;
        let new = self.write()?.mark_dirty(&dirty, now_ms)?;
        let behind = self.staged.behind.get_or_insert(Behind { plates: 0, since_ms: now_ms });
        behind.plates += new;
        Ok(true)
    }

    pub(super) fn is_dirty(&mut self, plate: &PlateId) -> Result<bool, S::Error> {
        if self.staged.behind.is_none() { Ok(false) } else { self.read()?.is_dirty(plate) }
    }

    /// Folds what waits under the plates a job is about.
    pub(super) fn settle_for(&mut self, job: &Job) -> Result<(), S::Error> {
        if self.staged.behind.is_none() {
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
                request.plate.as_ref().map_or(Ok(()), |plate| self.settle(plate))?;
                self.settle_stay(&request.stay_id)
            }
            Job::Void(request) => self.settle_stay(&request.stay_id),
            Job::ReportChange(change) => {
                change.corrected.as_ref().map_or(Ok(()), |(plate, _)| self.settle(plate))?;
                let stay_id = self.stay_reported_as(&change.edge_id, &change.event_id)?;
                self.settle_stay(&stay_id)
            }
            Job::Hear(told) => told.iter().try_for_each(|told| self.settle_told(told)),
            Job::Audited(audited) => self.settle_for(&audited.job),
            Job::By(done) => self.settle_for(&done.job),
            Job::IfVersion(only_if) => self.settle_for(&only_if.job),
            Job::PutTariff(_)
            | Job::Announce(_)
            | Job::PutStanding(_)
            | Job::PutNames(_)
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

    /// Folds all that waits under a plate.
    fn settle(&mut self, plate: &PlateId) -> Result<(), S::Error> {
        while self.is_dirty(plate)? && self.settle_some(plate, MOST_AT_ONCE)? > 0 {}
        Ok(())
    }

    /// Folds the first facts that wait under a plate. Returns how many.
    fn settle_some(&mut self, plate: &PlateId, most: usize) -> Result<usize, S::Error> {
        let dirty = self.read()?.dirty_facts(plate, most)?;
        let mut facts = Vec::with_capacity(dirty.len());
        for waiting in &dirty {
            facts.extend(self.read()?.fact(&waiting.at)?);
            let settled = self.write()?.unmark_dirty(waiting)?;
            if let Some(behind) = &mut self.staged.behind {
                behind.plates = behind.plates.saturating_sub(settled);
            }
        }
        self.fold_in(&facts)?;
        if self.staged.behind.is_some_and(|behind| behind.plates == 0) {
            self.staged.behind = None;
        }
        Ok(dirty.len())
    }

    /// Folds plates, the one that has waited longest first, until `most` facts were folded or none waits.
    pub(super) fn settle_longest(&mut self, most: usize) -> Result<(), S::Error> {
        while self.staged.behind.is_some() && self.folded < most {
            let Some((plate, _)) = self.read()?.longest_dirty()? else { break };
            if self.settle_some(&plate, most.saturating_sub(self.folded).min(MOST_AT_ONCE))? == 0 {
                break;
            }
        }
        let longest = if self.staged.behind.is_some() { self.read()?.longest_dirty()? } else { None };
        if let (Some(behind), Some((_, since_ms))) = (&mut self.staged.behind, longest) {
            behind.since_ms = since_ms;
        }
        Ok(())
    }
}
