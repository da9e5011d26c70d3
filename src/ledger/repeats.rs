//! What was asked before gets the answer it got before.
//!
//! A request is recognised by its id, on every central that holds the event it made. A second press of a button is recognised
//! from the state of the lot alone (the open stay and who opened it, the last exit and who made it). Both survive a restart.

use std::sync::Arc;

use crate::domain::anomaly::Anomaly;
use crate::domain::direction::Direction;
use crate::domain::event::{Body, Event};
use crate::domain::ids::{FactId, Hlc};
use crate::domain::plate::PlateId;
use crate::domain::row::StayRow;
use crate::domain::stay::{PASSAGE_WINDOW_MS, QUICK_EXIT_MS, REQUEST_WINDOW_MS, Telling, renamed_stay_id};
use crate::domain::told::vehicle;

use super::component;
use super::edge_clocks::Lateness;
use super::job::{Answer, OpenBarrier, Refusal};
use super::storage::{Storage, StoredStay};
use super::transaction::{Stop, Transaction};

/// A second press of the same edge for the same plate within this time is the same press (product rule).
pub const REPEAT_WINDOW_MS: i64 = 10_000;

/// A press that is repeated was of one of the last so many stays of its plate.
const STAYS_LOOKED_AT: usize = 3;

/// A gate's id as it is kept. What looks like the id of a fact (a hash in hex does) is none: exits written anew say in their request id
/// in place of which fact they are.
pub(super) fn kept_id(told: Option<String>) -> Option<String> {
    told.map(|id| if id.parse::<FactId>().is_ok() { format!("id {id}") } else { id })
}

impl<S: Storage> Transaction<'_, S> {
    /// The first answer to a request id.
    ///
    /// What `resolve` would take for a repeat must not be authored: its car would have come in by no event at all. So the
    /// clock the new event would have decides whether the first is recent, as it would there: `hlc`, or the next one; and so does
    /// a program that tells it, with a time or none: `told`.
    pub(super) fn answer_of_request(
        &mut self,
        request: &OpenBarrier,
        hlc: Option<Hlc>,
        told: Option<Option<i64>>,
    ) -> Result<Option<Answer>, Stop<S::Error>> {
        let Some(request_id) = request.request_id.as_deref() else { return Ok(None) };
        let next = match hlc {
            Some(hlc) => hlc,
            None => self.next_hlc(&request.plate, None)?,
        };
        let mut events = self.events_of_request(&request.edge_id, request_id, next)?;
        events.sort_by_key(|event| (event.hlc, event.fact_id()));
        let is_recent = |event: &Event| (next.ms() - event.hlc.ms()).abs() <= REQUEST_WINDOW_MS;
        let told_ms = told.flatten();
        let telling = Telling { told_ms, received_ms: self.now.wall_ms, by_program: told.is_some() };
        let is_it = |first: &&Event| is_recent(first) && !telling.is_apart(Telling::of(first));
        // An exit sent again after long, of a car that is not inside: nothing left, and its money was counted.
        let is_late = |first: &&Event| {
            let is_exit = matches!(first.body, Body::Exit(_)) && request.direction == Some(Direction::Exit);
            is_exit && is_recent(first) && telling.is_resent_late(Telling::of(first))
        };
        let is_gone = self.inside(&request.plate).is_none();
        let firsts = firsts_of(request, &events);
        let late = || firsts.iter().copied().find(is_late).filter(|_| is_gone);
        match firsts.iter().copied().find(is_it).or_else(late) {
            Some(first) => Ok(Some(self.answer_of_event(first)?)),
            None if events.iter().any(|event| is_recent(event)) => Err(Stop::Refused(Refusal::RequestIdReused)),
            None => Ok(None),
        }
    }

    /// The events that made requests with this id, of some time before and after a clock: all that can be the same request, and what
    /// those may repeat.
    pub(super) fn events_of_request(
        &mut self,
        edge_id: &str,
        request_id: &str,
        around: Hlc,
    ) -> Result<Vec<Arc<Event>>, S::Error> {
        let clocks_ms = (around.ms() - 2 * REQUEST_WINDOW_MS, around.ms().saturating_add(REQUEST_WINDOW_MS));
        let places = self.read()?.events_of_request(edge_id, request_id, clocks_ms)?;
        Ok(self.facts_at(&places)?.into_iter().map(|fact| fact.event).collect())
    }

    /// The latest stays of a plate that were opened, and exits whose entry nobody saw: the last first, at most so many.
    pub(super) fn latest_stays(&mut self, plate: &PlateId, most: usize) -> Result<Vec<StoredStay>, S::Error> {
        let mut stays: Vec<StoredStay> = Vec::new();
        let mut before = Hlc::MAX;
        while stays.len() < most {
            let mut next = self.read()?.last_begun(plate, before)?;
            let Some(first) = next.first() else { break };
            before = first.row.entry_hlc;
            stays.append(&mut next);
        }
        Ok(stays)
    }

    fn answer_of_event(&mut self, event: &Event) -> Result<Answer, S::Error> {
        let event_id = event.event_id.clone().unwrap_or_default();
        if let Body::Exit(exit) = &event.body {
            let (fee, duration) = (exit.fee, exit.duration.clone());
            return Ok(Answer::Exited { event_id, fee, duration, repeated: true, notes: Vec::new() });
        }
        // An entry that has the same id and comes before it took the id since.
        for event_id in [event_id.clone(), renamed_stay_id(&event_id, &event.fact_id())] {
            let stored = self.read()?.stay(&event_id)?.filter(|stored| stored.row.entry_fact == event.fact_id());
            if let Some(StoredStay { row_id, .. }) = stored {
                return Ok(Answer::Entered { event_id, history_id: row_id, repeated: true, notes: Vec::new() });
            }
        }
        Ok(Answer::Entered { event_id, history_id: 0, repeated: true, notes: Vec::new() })
    }

    /// The answer to the first of two presses of one gate for one plate: of an edge, or of the devices of a lane. What a program told is
    /// asked for up to a minute later, for its camera looks up the road; of an exit it told, the stay is said as well. What was told hours
    /// late is no press of now.
    pub(super) fn same_press(
        &mut self,
        request: &OpenBarrier,
    ) -> Result<Option<(Answer, Option<StoredStay>)>, S::Error> {
        let here = self.context.central.as_str();
        if let Some(open) = self.inside(&request.plate) {
            let same_gate = open.place.central == here && self.lanes.is_one(&open.place.edge_id, &request.edge_id);
            let leaves = request.direction == Some(Direction::Exit) || request.is_exit_by_money();
            if leaves || !same_gate || !self.is_of_now(&open.place.edge_id, open.entry_ms, open.committed_ms) {
                return Ok(None);
            }
            let since_ms = self.now.wall_ms.saturating_sub(open.committed_ms);
            let open = open.clone();
            let is_within = |window_ms: i64| (0..window_ms).contains(&since_ms);
            let same_press =
                is_within(REPEAT_WINDOW_MS) || is_within(QUICK_EXIT_MS) && self.was_told(&request.plate, &open)?;
            let answer = || Answer::Entered {
                event_id: open.stay_id(&request.plate),
                history_id: open.row_id,
                repeated: true,
                notes: Vec::new(),
            };
            return Ok(same_press.then(|| (answer(), None)));
        }
        if request.direction == Some(Direction::Entry) {
            return Ok(None);
        }
        // Most entries by state end at the index. The clock of an exit is never behind its time, but that may be told by a clock that is.
        let Some(greatest) = self.read()?.greatest_hlc_of_plate(&request.plate)? else { return Ok(None) };
        let is_old = greatest.ms() <= self.now.wall_ms - PASSAGE_WINDOW_MS;
        let may_be_told_late =
            self.lanes.has_several(&request.edge_id) || self.state.edge_clocks.is_late(&request.edge_id);
        if is_old && !may_be_told_late && !request.tells_money() {
            return Ok(None);
        }
        let mut pressed = Vec::new();
        for stored in self.latest_stays(&request.plate, STAYS_LOOKED_AT)? {
            if let Some(told) = self.is_same_way_out(request, &stored.row)? {
                pressed.push((stored, told));
            }
        }
        let last = pressed.into_iter().max_by_key(|(stored, _)| stored.row.last_hlc);
        Ok(last.and_then(|(stored, told)| {
            let exit = stored.row.exit.as_ref()?;
            let answer = Answer::Exited {
                event_id: stored.row.stay_id.clone(),
                fee: exit.fee,
                duration: exit.duration.clone(),
                repeated: true,
                notes: Vec::new(),
            };
            Some((answer, told.then_some(stored)))
        }))
    }

    /// Whether a time that a gate told is that of a passage of now, with clocks as they are: what it kept while it was cut off is not.
    pub(super) fn is_of_now(&self, edge_id: &str, told_ms: i64, received_ms: i64) -> bool {
        let ahead_of_utc_ms = self.context.zone.ahead_of_utc_ms(received_ms);
        self.now.wall_ms.saturating_sub(told_ms) < PASSAGE_WINDOW_MS
            || self.state.edge_clocks.is_behind(edge_id, Lateness::of(told_ms, received_ms), ahead_of_utc_ms)
    }

    /// Whether a car that is asked for left just now at the same gate, or a program told so a moment ago, whose clock may be behind and whose
    /// barrier takes longer: then whether a program told it. Of another gate, too, where it would come in by state: nobody does who was told
    /// to leave just now.
    fn is_same_way_out(&mut self, request: &OpenBarrier, row: &StayRow) -> Result<Option<bool>, S::Error> {
        let Some(exit) = row.exit.as_ref().filter(|exit| exit.central == self.context.central.as_str()) else {
            return Ok(None);
        };
        if vehicle::are_unlike(&request.camera_type, &row.camera_type) {
            return Ok(None);
        }
        let same_gate = self.lanes.is_one(&exit.edge_id, &request.edge_id);
        let now_ms = self.now.wall_ms;
        let is_within = |window_ms: i64, came_ms: i64| (0..window_ms).contains(&now_ms.saturating_sub(came_ms));
        let leaves = request.direction == Some(Direction::Exit) || request.is_exit_by_money();
        let window_ms = match (same_gate, request.direction) {
            // Money is taken once of a passage.
            _ if leaves && request.tells_money() => PASSAGE_WINDOW_MS,
            (true, _) => QUICK_EXIT_MS,
            (false, None) => REPEAT_WINDOW_MS,
            (false, Some(_)) => return Ok(None),
        };
        let exit_ms = exit.exit_ms;
        let Some(fact) = component::fact_of(self.read()?, &exit.fact)? else { return Ok(None) };
        let came_ms = fact.event.reported().map_or(exit_ms, |reported| reported.received_ms);
        let told = matches!(&fact.event.body, Body::Exit(exit) if exit.told);
        let is_pressed = same_gate && is_within(REPEAT_WINDOW_MS, exit_ms);
        // What was pressed in its place is of the same passage.
        let stands = told || component::is_in_place_of_told(&fact) || row.anomalies.contains(&Anomaly::DoubleExit);
        let is_told = stands && is_within(window_ms, came_ms) && self.is_of_now(&exit.edge_id, exit_ms, came_ms);
        Ok((is_pressed || is_told).then_some(told))
    }
}

/// The events that count of those that `request` made, which are in order: each first opens a window, and what falls into it
/// repeats that one.
fn firsts_of<'e>(request: &OpenBarrier, events: &'e [Arc<Event>]) -> Vec<&'e Event> {
    let own = events.iter().map(|event| &**event).filter(|event| is_request_of(request, event));
    own.fold(Vec::new(), |mut firsts: Vec<&Event>, event| {
        let within = |first: &&Event| event.hlc.ms() - first.hlc.ms() <= REQUEST_WINDOW_MS;
        if !firsts.iter().any(|first| within(first) && !Telling::of(first).is_apart(Telling::of(event))) {
            firsts.push(event);
        }
        firsts
    })
}

/// Whether `event` is what `request` made the first time. A request without a direction may have become either.
fn is_request_of(request: &OpenBarrier, event: &Event) -> bool {
    if event.recorded_plate() != Some(&request.plate) {
        return false;
    }
    match &event.body {
        Body::Entry(entry) => {
            request.direction != Some(Direction::Exit) && entry.force == request.force && request.fee.is_none()
        }
        Body::Exit(exit) => {
            request.direction != Some(Direction::Entry)
                && exit.force == request.force
                && exit.requested_fee == request.fee
        }
        _ => false,
    }
}
