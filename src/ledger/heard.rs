//! What predecessors say becomes events of our own log, each once: what is held already, from whomever, is not written again.

use crate::domain::event::{Body, Event};
use crate::domain::ids::FactId;
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
        let log = self.own_log();
        let seq = self.head(&log).to + 1;
        let bytes = told.draft.encode_heard(&log, seq, &told.source_central, &told.from);
        let event = match bytes.and_then(|bytes| Ok((Event::parse(&bytes)?, bytes))) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Hearing::Refused(error.to_string())),
        };
        let (event, bytes) = event;
        if self.is_held(&event)? {
            return Ok(Hearing::Known);
        }
        self.append_own(bytes.into(), event)?;
        Ok(Hearing::New)
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
                    let is_entry = matches!(fact.event.body, Body::Entry(_));
                    let same_place = fact.event.source_central == event.source_central
                        && same_second(fact.event.timestamp_ms, event.timestamp_ms);
                    is_entry && (fact.event.recorded_plate() == Some(&entry.plate_id) || same_place)
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
            Body::Void(_) => Ok(stored.row.status == crate::domain::row::StayStatus::Void),
            _ => Ok(false),
        }
    }
}

/// Predecessors tell whole seconds.
fn same_second(a_ms: i64, b_ms: i64) -> bool {
    a_ms.div_euclid(1_000) == b_ms.div_euclid(1_000)
}
