//! What must hold of money and shifts in the end: exits are found where they are summed, a closed sheet and its addendum are what the
//! facts come to, and all centrals say the same of each.

use std::collections::BTreeMap;

use crate::domain::event::{Body, Event};
use crate::domain::shift::{Figures, ShiftClosed};
use crate::ledger::job::{CloseShift, Job, OpenShift};
use crate::ledger::memory::MemoryStorage;
use crate::ledger::sheet;
use crate::ledger::storage::{Shift, ShiftClosing};

/// So often somebody opens or closes a shift instead of what he would ask for.
const ONE_IN: u64 = 29;

/// A shift at an edge of a central is opened, or closed if one is open.
pub(super) fn job(number: u64, central: &str, edges: u64, storage: &MemoryStorage) -> Option<Job> {
    if !number.is_multiple_of(ONE_IN) {
        return None;
    }
    let edge_id = format!("edge-{}", number / ONE_IN % edges);
    let cash = crate::domain::money::Vnd(i64::try_from(number % 1_000).unwrap_or(0) * 1_000);
    let at_edge = |shift: &&Shift| shift.central == central && shift.edge_id == edge_id;
    let last = storage.shifts.values().filter(at_edge).max_by_key(|shift| shift.from_ms);
    Some(match last.filter(|last| last.closed.is_none()) {
        Some(open) => {
            Job::CloseShift(CloseShift { id: open.id.clone(), counted_cash: cash, note: None, may_close_others: true })
        }
        None => Job::OpenShift(OpenShift { edge_id, opening_cash: cash }),
    })
}

/// What all of it comes to, in words that are the same everywhere.
///
/// # Errors
/// What does not hold.
pub(super) fn meaning(storage: &mut MemoryStorage, kinds: &mut BTreeMap<&'static str, u64>) -> Result<String, String> {
    let summed = storage.totals.values().fold((0, 0), |(exits, sum), one| (exits + one.exits, sum + one.revenue_vnd));
    let found = storage.takings.values().fold((0, 0), |(exits, sum), one| (exits + 1, sum + one.fee.0));
    if summed != found {
        return Err(format!("{summed:?} exits and đồng are summed, {found:?} are found by gate and time"));
    }
    let mut words = String::new();
    let shifts: Vec<Shift> = storage.shifts.values().filter(|shift| shift.opened.is_some()).cloned().collect();
    for shift in shifts {
        let live = sheet::figures(storage, &shift).map_err(|error| error.to_string())?.0;
        words.push_str(&format!("; {}: {live:?}", shift.id));
        *kinds.entry("shift").or_default() += 1;
        let Some(closed) = shift.closed.as_ref().and_then(|closing| closed(storage, closing)) else { continue };
        let since = live.since(&closed.figures);
        let both = closed.figures.and(&since);
        if (both.entries, both.exits(), both.revenue()) != (live.entries, live.exits(), live.revenue()) {
            return Err(format!("{}: closed and addendum are {both:?}, the facts {live:?}", shift.id));
        }
        if since != Figures::default() {
            *kinds.entry("addendum").or_default() += 1;
        }
        let late = sheet::late(storage, &shift, &closed).map_err(|error| error.to_string())?;
        words.push_str(&format!(", closed as {closed:?}, since {since:?} by {late:?}"));
    }
    Ok(words)
}

fn closed(storage: &MemoryStorage, closing: &ShiftClosing) -> Option<ShiftClosed> {
    let (bytes, _) = storage.events.get(&closing.place.1)?;
    match Event::parse(bytes).ok()?.body {
        Body::ShiftClosed(closed) => Some(closed),
        _ => None,
    }
}
