//! Opening and closing shifts, and what the facts of others say of them.
//!
//! Both are written by the central whose gate it is and by no other, so that a gate has one shift at a time, and one closing. The edges of one
//! lane are one gate.

use crate::domain::event::{Body, Draft, Event};
use crate::domain::ids::Hlc;
use crate::domain::shift::{
    MAX_COUNTED_LOGS, MAX_LANE_EDGES, ShiftClosed, ShiftOpened, ShiftRecounted, begins_ms, shift_id,
};

use super::apply::place;
use super::job::{Answer, CloseShift, OpenShift, RecountShift, Refusal};
use super::sheet::Reckoning;
use super::storage::{Shift, ShiftClosing, ShiftOpening, Storage};
use super::transaction::{Stop, Transaction};

/// As the clock itself is judged by what it stamped before, in ms.
const MOST_AHEAD_MS: i64 = 24 * 3_600 * 1_000;

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn open_shift(&mut self, request: OpenShift) -> Result<Answer, Stop<S::Error>> {
        let OpenShift { edge_id, opening_cash } = request;
        if self.person().is_none() {
            return Err(Stop::Refused(Refusal::Invalid("a shift is a person's: log in".to_owned())));
        }
        let central = self.context.central.as_str().to_owned();
        // The settings allow no more than an opening can name.
        let lane_edges: Vec<String> = self.lanes.others(&edge_id).into_iter().map(str::to_owned).collect();
        if lane_edges.len() > MAX_LANE_EDGES {
            let most = MAX_LANE_EDGES + 1;
            return Err(Stop::Refused(Refusal::Invalid(format!("a lane of more than {most} edges has no shift"))));
        }
        let (mut from_ms, mut after) = (self.now.wall_ms, None);
        let open = self.read()?.open_shifts()?;
        for edge in std::iter::once(&edge_id).chain(&lane_edges) {
            if let Some(open) = open.iter().find(|open| open.is_at(&central, edge)) {
                let person = open.opened.as_ref().map(|opened| opened.person.clone()).unwrap_or_default();
                return Err(Stop::Refused(Refusal::ShiftOpen { id: open.id.clone(), person }));
            }
            let last = |storage: &mut S, before_ms| storage.last_shift(&central, edge, before_ms);
            let Some((last, believed_ms)) = self.believed(last)? else { continue };
            // Not before the last one ended, nor at the very moment it began: a clock may have been set back.
            from_ms = from_ms.max(last.from_ms + 1);
            let Some(closing) = last.closed else { continue };
            if closing.until_ms < believed_ms {
                from_ms = from_ms.max(closing.until_ms);
            }
            after = after.max(Some(closing.place.0));
        }
        let mut shift = shift_id(&central, &edge_id, from_ms);
        // At this very moment a clock that was ahead began one.
        while self.read()?.shift(&shift)?.is_some() {
            from_ms += 1;
            shift = shift_id(&central, &edge_id, from_ms);
        }
        let inside = self.cars_inside();
        let hlc = Hlc::next(self.now.wall_ms, after);
        let opened = ShiftOpened { shift: shift.clone(), edge_id, lane_edges, from_ms, opening_cash, inside };
        self.author(self.shift_draft(hlc, Body::ShiftOpened(opened)))?;
        Ok(Answer::ShiftSet { id: shift })
    }

    /// What is found before the moment until which stamps are believed, and that moment, Unix ms: what is stamped further ahead than a day was by a clock that
    /// was ahead, unless this one is known to be behind and nothing is nearer.
    fn believed<T>(
        &mut self,
        find: impl Fn(&mut S, i64) -> Result<Option<T>, S::Error>,
    ) -> Result<Option<(T, i64)>, S::Error> {
        let near_ms = self.now.wall_ms.saturating_add(MOST_AHEAD_MS);
        for before_ms in std::iter::once(near_ms).chain(self.now.clock_wrong.then_some(i64::MAX)) {
            if let Some(found) = find(self.read()?, before_ms)? {
                return Ok(Some((found, before_ms)));
            }
        }
        Ok(None)
    }

    pub(super) fn close_shift(&mut self, request: CloseShift) -> Result<Answer, Stop<S::Error>> {
        let CloseShift { id, counted_cash, note, may_close_others } = request;
        let unknown = |id: &str| Stop::Refused(Refusal::UnknownShift(id.to_owned()));
        let shift = self.read()?.shift(&id)?.ok_or_else(|| unknown(&id))?;
        let opening = shift.opened.as_ref().ok_or_else(|| unknown(&id))?;
        let person = opening.person.clone();
        if self.person().as_ref() != Some(&person) && !may_close_others {
            return Err(Stop::Refused(Refusal::OthersShift { person }));
        }
        if shift.central != self.context.central.as_str() {
            return Err(Stop::Refused(Refusal::ShiftElsewhere { central: shift.central }));
        }
        if shift.closed.is_some() {
            return Err(Stop::Refused(Refusal::ShiftClosed { id }));
        }
        let (opened_hlc, at) = opening.place.clone();
        let opened = self.read()?.fact(&at)?;
        let Some(Body::ShiftOpened(opened)) = opened.as_ref().map(|fact| &fact.event.body) else {
            return Err(unknown(&id));
        };
        let opening_cash = opened.opening_cash;
        self.write_takings()?;
        // What this moment still brought belongs to it, and what was taken in it while the clock was ahead of where it is now.
        let now_ms = self.now.wall_ms.max(shift.from_ms);
        let ahead = self.believed(|storage, before_ms| storage.last_taken_ms(&shift, (now_ms, before_ms)))?;
        let until_ms = ahead.map_or(now_ms, |(last_ms, _)| last_ms) + 1;
        let ending = Some(ShiftClosing { place: opening.place.clone(), until_ms });
        let Reckoning { figures, counted, .. } =
            self.read()?.shift_figures(&Shift { closed: ending, ..shift.clone() })?;
        let closed = ShiftClosed {
            shift: id.clone(),
            edge_id: shift.edge_id,
            until_ms,
            opening_cash,
            counted_cash,
            inside: self.cars_inside(),
            figures: figures.bounded(),
            counted: Some(counted).filter(|counted| counted.len() <= MAX_COUNTED_LOGS),
            note,
        };
        let hlc = Hlc::next(self.now.wall_ms, Some(opened_hlc));
        self.author(self.shift_draft(hlc, Body::ShiftClosed(closed)))?;
        Ok(Answer::ShiftSet { id })
    }

    /// The sheet of a closed shift stays as it is; what was counted afterwards stands beside it.
    pub(super) fn recount_shift(&mut self, request: RecountShift) -> Result<Answer, Stop<S::Error>> {
        let RecountShift { id, counted_cash, reason } = request;
        let shift = self.read()?.shift(&id)?.filter(|shift| shift.opened.is_some());
        let shift = shift.ok_or_else(|| Stop::Refused(Refusal::UnknownShift(id.clone())))?;
        if shift.central != self.context.central.as_str() {
            return Err(Stop::Refused(Refusal::ShiftElsewhere { central: shift.central }));
        }
        let Some(closing) = shift.closed else {
            return Err(Stop::Refused(Refusal::Invalid(
                "this shift is open: close it with what was counted".to_owned(),
            )));
        };
        let last = self.read()?.recounts(&id)?.into_iter().map(|(hlc, _)| hlc).max();
        let recounted = ShiftRecounted { shift: id.clone(), edge_id: shift.edge_id, counted_cash, reason };
        let hlc = Hlc::next(self.now.wall_ms, last.max(Some(closing.place.0)));
        self.author(self.shift_draft(hlc, Body::ShiftRecounted(recounted)))?;
        Ok(Answer::ShiftSet { id })
    }

    /// What an opening or a closing says is kept with its shift, whichever of the two comes first.
    pub(super) fn apply_shift(&mut self, event: &Event) -> Result<(), S::Error> {
        if let Body::ShiftRecounted(_) = &event.body {
            return self.write()?.put_recount(&place(event), event);
        }
        let (id, edge_id) = match &event.body {
            Body::ShiftOpened(opened) => (&opened.shift, &opened.edge_id),
            Body::ShiftClosed(closed) => (&closed.shift, &closed.edge_id),
            _ => return Ok(()),
        };
        let central = event.log.central.as_str();
        let Some(from_ms) = begins_ms(id, central, edge_id) else { return Ok(()) };
        let held = self.read()?.shift(id)?;
        let new = || {
            let (central, edge_id) = (central.to_owned(), edge_id.clone());
            Shift { id: id.clone(), central, edge_id, lane_edges: Vec::new(), from_ms, opened: None, closed: None }
        };
        let mut shift = held.clone().unwrap_or_else(new);
        let place = (event.hlc, place(event));
        match &event.body {
            Body::ShiftOpened(opened) if shift.opened.as_ref().is_none_or(|held| place < held.place) => {
                let person = event.person().unwrap_or_default().to_owned();
                shift.opened = Some(ShiftOpening { place, person });
                shift.lane_edges.clone_from(&opened.lane_edges);
            }
            Body::ShiftClosed(closed) if shift.closed.as_ref().is_none_or(|held| place < held.place) => {
                shift.closed = Some(ShiftClosing { place, until_ms: closed.until_ms });
            }
            _ => {}
        }
        if held.as_ref() == Some(&shift) { Ok(()) } else { self.write()?.put_shift(&shift) }
    }

    /// As this central knows, what is being decided included.
    fn cars_inside(&self) -> u64 {
        let staged = self
            .staged
            .inside
            .iter()
            .map(|(plate, now)| i64::from(now.is_some()) - i64::from(self.state.inside.contains_key(plate)));
        let committed = i64::try_from(self.state.inside.len()).unwrap_or(i64::MAX);
        u64::try_from(committed.saturating_add(staged.sum())).unwrap_or_default()
    }

    fn shift_draft(&self, hlc: Hlc, body: Body) -> Draft {
        let (timestamp_ms, skew_ms) = (self.now.wall_ms, self.now.skew_ms);
        Draft { hlc, timestamp_ms, skew_ms, event_id: None, body, by: None }
    }
}
