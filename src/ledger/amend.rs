//! What people change afterwards: corrections, voids and what undoes them, as events like any other.
//!
//! Both are about a row that is held here; whoever knows no such stay is told so. The clock of either is after every fact
//! held of the stay and of the plates concerned, so that it means the same wherever it arrives.

use std::collections::BTreeSet;

use crate::domain::anomaly::Anomaly;
use crate::domain::event::{Body, Correction, Draft, Exit, RightFee, Void};
use crate::domain::ids::{FactId, Hlc};
use crate::domain::money::Vnd;
use crate::domain::plate::{self, PlateId};
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::{Outcome, account, account_beside};

use super::component::{self, Component};
use super::job::{Answer, CorrectStay, Refusal, VoidStay};
use super::storage::{Storage, StoredStay};
use super::transaction::{Stop, Transaction};

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn correct(&mut self, request: &CorrectStay) -> Result<Answer, Stop<S::Error>> {
        let stored = self.read()?.stay(&request.stay_id)?;
        let row = stored.ok_or_else(|| Stop::Refused(Refusal::UnknownStay(request.stay_id.clone())))?.row;
        let is_void = row.status == StayStatus::Void;
        if is_void && !request.restore {
            return Err(Stop::Refused(Refusal::AlreadyVoid));
        }
        let plate = request.plate.as_ref().unwrap_or(&row.plate_id);
        let plate_view = match &request.plate_view {
            Some(view) if plate.is_written(view) => view.clone(),
            Some(view) => return Err(bad_view(view, plate)),
            // The view of a plate that stays is what the gate or a person said.
            None if *plate == row.plate_id => row.plate_view.clone(),
            None => plate::view(plate),
        };
        let is_read_anew = *plate != row.plate_id || plate_view != row.plate_view;
        let camera_type = request.camera_type.clone().filter(|camera_type| *camera_type != row.camera_type);
        let right_fee = request.fee.map(|fee| self.right_fee(&row, fee)).transpose()?.flatten();
        let (exit_name, right_fee) = right_fee.unzip();
        let undoes = if is_void { self.voids_of(&row)? } else { Vec::new() };
        if !is_read_anew && camera_type.is_none() && right_fee.is_none() && undoes.is_empty() {
            return Err(Stop::Refused(Refusal::Unchanged));
        }
        let hlc = self.hlc_after(&row, Some(plate))?;
        let correction = Correction {
            // Always both: of two corrections made at once, one counts as a whole.
            plate_id: is_read_anew.then(|| plate.clone()),
            plate_view: is_read_anew.then_some(plate_view),
            camera_type,
            right_fee,
            undoes,
            reason: request.reason.clone(),
            by: self.doer_text(),
        };
        let name = exit_name.as_deref().unwrap_or(&row.stay_id);
        let amended = self.amend(&row.stay_id, name, hlc, Body::Correction(correction))?;
        if *plate != row.plate_id {
            self.give_exits_their_stay(&row, plate, request)?;
        }
        Ok(amended)
    }

    /// An exit whose plate was misread left its stay open, so that the next exit of that car was of this stay, and the entry before
    /// it was of none. Now that the first is where it belongs, the next is given the stay of the entry before it: removed, and
    /// written anew. What was taken stays as it was.
    fn give_exits_their_stay(
        &mut self,
        corrected: &StayRow,
        plate: &PlateId,
        request: &CorrectStay,
    ) -> Result<(), Stop<S::Error>> {
        let ended_by_it = |row: &StayRow| row.exit.as_ref().is_some_and(|exit| exit.fact == corrected.entry_fact);
        let before = self.read()?.last_begun(plate, corrected.entry_hlc)?;
        let Some(StoredStay { row, .. }) = before.into_iter().find(|before| ended_by_it(&before.row)) else {
            return Ok(());
        };
        if !row.anomalies.contains(&Anomaly::DoubleExit) {
            return Ok(());
        }
        let component = Component::around(self.read()?, &row)?;
        let facts = component.held_facts();
        let account = account_beside(&facts, &component.neighbours);
        let again = Outcome::ClosedAgain { stay: row.stay_id.clone() };
        for exit in facts.iter().filter(|fact| account.outcomes.get(&fact.id) == Some(&again)) {
            let Body::Exit(told) = &exit.event.body else { continue };
            let begun = self.read()?.last_begun(plate, exit.event.hlc)?;
            let is_its = |begun: &StayRow| begun.stay_id != row.stay_id && !begun.is_exit_alone();
            let Some(StoredStay { row: of, .. }) = begun.into_iter().find(|begun| is_its(&begun.row)) else { continue };
            let taken = account.resolution.takings.iter().find(|taking| taking.fact == exit.id);
            let mut doubts: BTreeSet<String> = told.doubts.iter().cloned().collect();
            doubts.insert(Anomaly::FeeUncertain.name().to_owned());
            let anew = Exit {
                stay: None,
                fee: taken.map_or(told.fee, |taking| taking.fee),
                // Whoever else corrects it in a cut writes the same exit.
                request_id: Some(exit.id.to_string()),
                doubts: doubts.into_iter().collect(),
                ..told.clone()
            };
            let hlc = self.hlc_after(&row, Some(plate))?;
            let void = Void { removes: vec![exit.id.clone()], reason: request.reason.clone(), by: self.doer_text() };
            self.amend(&row.stay_id, &row.stay_id, hlc, Body::Void(void))?;
            let draft = Draft {
                hlc: Hlc::next(exit.event.hlc.ms(), Some(exit.event.hlc)),
                timestamp_ms: exit.event.timestamp_ms,
                skew_ms: exit.event.skew_ms,
                event_id: Some(of.stay_id),
                body: Body::Exit(anew),
                by: None,
            };
            self.author(draft)?;
        }
        Ok(())
    }

    /// What was really taken at the exit of a row, and the name by which that exit says its stay; none where it is known so.
    fn right_fee(&mut self, row: &StayRow, fee: Vnd) -> Result<Option<(String, RightFee)>, Stop<S::Error>> {
        let refused = |problem: &str| Stop::Refused(Refusal::Field { field: "fee", problem: problem.to_owned() });
        let exit = row.exit.as_ref().ok_or_else(|| refused("this stay has no exit at which a fee was taken"))?;
        let component = Component::around(self.read()?, row)?;
        let facts = component.held_facts();
        let takings = account_beside(&facts, &component.neighbours).resolution.takings;
        let before = takings.iter().find(|taking| taking.fact == exit.fact).map_or(exit.fee, |taking| taking.fee);
        let told = facts.iter().find(|fact| fact.id == exit.fact).map(|fact| &fact.event);
        let name = told.and_then(|event| event.exit_stay().or(event.event_id.as_deref())).unwrap_or(&row.stay_id);
        let right = || (name.to_owned(), RightFee { exit: exit.fact.clone(), before, fee });
        Ok((before != fee).then(right))
    }

    /// The voids by which a stay is void.
    fn voids_of(&mut self, row: &StayRow) -> Result<Vec<FactId>, S::Error> {
        let facts = Component::around(self.read()?, row)?.held_facts();
        let of_it = |outcome: &Outcome| matches!(outcome, Outcome::Voided { stay } if *stay == row.stay_id);
        let outcomes = account(&facts).outcomes;
        Ok(outcomes.into_iter().filter(|(_, outcome)| of_it(outcome)).map(|(id, _)| id).collect())
    }

    pub(super) fn void(&mut self, request: &VoidStay) -> Result<Answer, Stop<S::Error>> {
        let row = self.stay_to_amend(&request.stay_id)?.row;
        let component = Component::around(self.read()?, &row)?;
        let facts = component.held_facts();
        let outcomes = account_beside(&facts, &component.neighbours).outcomes;
        // Of an entry whose car was inside already only the entry: its barrier and exits are with the stay that counts.
        let removes: Vec<FactId> =
            outcomes.iter().filter(|(_, outcome)| outcome.made(&row.stay_id)).map(|(id, _)| id.clone()).collect();
        let hlc = self.hlc_after(&row, None)?;
        let void = Void { removes, reason: request.reason.clone(), by: self.doer_text() };
        self.amend(&row.stay_id, &row.stay_id, hlc, Body::Void(void))
    }

    fn stay_to_amend(&mut self, stay_id: &str) -> Result<StoredStay, Stop<S::Error>> {
        let stored = self.read()?.stay(stay_id)?;
        let stored = stored.ok_or_else(|| Stop::Refused(Refusal::UnknownStay(stay_id.to_owned())))?;
        if stored.row.status == StayStatus::Void { Err(Stop::Refused(Refusal::AlreadyVoid)) } else { Ok(stored) }
    }

    /// `name`: by which the event names the stay.
    fn amend(&mut self, stay_id: &str, name: &str, hlc: Hlc, body: Body) -> Result<Answer, Stop<S::Error>> {
        let draft = Draft {
            hlc,
            timestamp_ms: self.now.wall_ms,
            skew_ms: self.now.skew_ms,
            event_id: Some(name.to_owned()),
            body,
            by: None,
        };
        let fact = self.author(draft)?;
        let row = self.read()?.stay(stay_id)?.map(Box::new);
        Ok(Answer::Amended { stay_id: stay_id.to_owned(), version: fact.id.to_string(), row })
    }

    /// The clock of a fact about the stay of `row`: after all that is held of the plates concerned, recorded and effective, old
    /// and new, and of the stay itself under all its names.
    fn hlc_after(&mut self, row: &StayRow, new: Option<&PlateId>) -> Result<Hlc, S::Error> {
        let entry = component::fact_of(self.read()?, &row.entry_fact)?;
        let recorded = entry.as_ref().and_then(|fact| fact.event.recorded_plate());
        let plates: BTreeSet<&PlateId> = [Some(&row.plate_id), recorded, new].into_iter().flatten().collect();
        let mut hlc = Hlc::next(self.now.wall_ms, Some(row.last_hlc));
        for plate in plates {
            hlc = hlc.max(self.next_hlc(plate, None)?);
        }
        Ok(hlc)
    }
}

fn bad_view<E>(view: &str, plate: &PlateId) -> Stop<E> {
    let problem = format!("{view:?} is not a way to write the plate {plate}");
    Stop::Refused(Refusal::Field { field: "plate_view", problem })
}
