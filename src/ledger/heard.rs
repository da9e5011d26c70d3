//! What predecessors say becomes events of our own log, each once: what is held already, from whomever, is not written again.

use crate::domain::event::{Body, Correction, Draft, Event};
use crate::domain::ids::{FactId, Hlc};
use crate::domain::row::StayStatus;
use crate::domain::stay::Fact;

use super::component;
use super::job::{Answer, Hearing, Told};
use super::storage::Storage;
use super::transaction::{Stop, Transaction};

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn hear(&mut self, told: &[Told]) -> Result<Answer, Stop<S::Error>> {
        let mut hearings = Vec::with_capacity(told.len());
        for told in told {
            hearings.push(self.hear_one(told)?);
        }
        Ok(Answer::Heard(hearings))
    }

    fn hear_one(&mut self, told: &Told) -> Result<Hearing, S::Error> {
        if told.draft.hlc > Hlc::latest_believed(self.now.wall_ms) {
            return Ok(Hearing::Refused("its time is centuries ahead".to_owned()));
        }
        let log = self.own_log();
        let seq = self.head(&log).to + 1;
        let proof = self.authorship.proof(&log, seq);
        let bytes = told.draft.encode_as(&log, seq, &told.source_central, Some(&told.from), &proof);
        let event = match bytes.and_then(|bytes| Ok((Event::parse(&bytes)?, bytes))) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Hearing::Refused(error.to_string())),
        };
        let (event, bytes) = event;
        if let Some(edit) = self.edit_of_held(&event)? {
            let draft = Draft { body: Body::Correction(edit), ..told.draft.clone() };
            return self.hear_one(&Told { draft, ..told.clone() });
        }
        if self.is_held(&event)? {
            return Ok(Hearing::Known);
        }
        self.append_own(bytes.into(), event)?;
        Ok(Hearing::New)
    }

    /// What a person edited at a predecessor, told as an entry that is held with the plate that was read: the right plate. `None`:
    /// it is no such entry, or was corrected here.
    fn edit_of_held(&mut self, event: &Event) -> Result<Option<Correction>, S::Error> {
        let (Body::Entry(entry), Some(stay_id)) = (&event.body, event.event_id.as_deref()) else { return Ok(None) };
        if !event.has_edited_plate() {
            return Ok(None);
        }
        let Some(stored) = self.read()?.stay(stay_id)? else { return Ok(None) };
        let held = component::fact_of(self.read()?, &stored.row.entry_fact)?;
        let is_it = held.is_some_and(|held| {
            is_entry_of_one_place(&held.event, event) && held.event.recorded_plate() == Some(&stored.row.plate_id)
        });
        let edited = is_it && stored.row.plate_id != entry.plate_id && stored.row.status != StayStatus::Void;
        Ok(edited.then(|| {
            let from = event.heard_from.clone().unwrap_or_default();
            Correction {
                plate_id: Some(entry.plate_id.clone()),
                plate_view: Some(entry.plate_view.clone()).filter(|view| entry.plate_id.is_written(view)),
                reason: format!("sửa ở / changed at {from}"),
                by: Some(from),
                ..Correction::default()
            }
        }))
    }

    /// Whether the history would not change by it: the same was heard before, or it is an echo of what is held.
    fn is_held(&mut self, event: &Event) -> Result<bool, S::Error> {
        let id = event.fact_id();
        if let FactId::Heard(digest) = &id
            && !self.read()?.events_of_heard(digest)?.is_empty()
        {
            return Ok(true);
        }
        let Some(stay_id) = event.event_id.as_deref() else { return Ok(false) };
        let Some(stored) = self.read()?.stay(stay_id)? else { return Ok(false) };
        match &event.body {
            Body::Entry(entry) => {
                let recorded = component::fact_of(self.read()?, &stored.row.entry_fact)?;
                // The same entry, also where its plate was edited afterwards.
                let is_it = |fact: &Fact| {
                    let same_plate = fact.event.recorded_plate() == Some(&entry.plate_id);
                    matches!(fact.event.body, Body::Entry(_)) && same_plate || is_entry_of_one_place(&fact.event, event)
                };
                Ok(recorded.is_some_and(|fact| is_it(&fact)))
            }
            Body::Exit(exit) => Ok(stored
                .row
                .exit
                .as_ref()
                .is_some_and(|held| held.fee == exit.fee && same_second(held.exit_ms, event.timestamp_ms))),
            Body::Correction(correction) => Ok(correction.plate_id.as_ref() == Some(&stored.row.plate_id)
                && correction.plate_view.as_deref() == Some(stored.row.plate_view.as_str())),
            Body::Void(_) => Ok(stored.row.status == StayStatus::Void),
            _ => Ok(false),
        }
    }
}

/// The same entry, also where its plate was edited afterwards.
fn is_entry_of_one_place(held: &Event, told: &Event) -> bool {
    matches!(held.body, Body::Entry(_))
        && held.source_central == told.source_central
        && same_second(held.timestamp_ms, told.timestamp_ms)
}

/// Predecessors tell whole seconds.
fn same_second(a_ms: i64, b_ms: i64) -> bool {
    a_ms.div_euclid(1_000) == b_ms.div_euclid(1_000)
}
