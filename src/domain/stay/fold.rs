//! Stage 2: per effective plate a left fold with at most one open stay.
//!
//! A step looks at the state and says what changes; the change is made afterwards. So a step that panics has changed
//! nothing, is skipped at its place, and the result still does not depend on the order of arrival.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::event::Body;
use super::super::ids::FactId;
use super::super::plate::PlateId;
use super::super::row::StayRow;
use super::Resolution;
use super::claims::Claims;
use super::fact::{Fact, FoldKey};
use super::prepare::{Act, Deed, Prepared};

/// The state of one plate. Rows and aliases are kept by the index of their claim.
#[derive(Debug, Default)]
pub(super) struct Lot {
    rows: HashMap<usize, StayRow>,
    /// Superseded entries, and exits that closed a stay they did not know: which stay they mean.
    alias: HashMap<usize, usize>,
    open: Option<usize>,
}

/// What one step changes.
#[derive(Debug)]
pub(super) struct Change {
    /// The rows that are new or different; where an entry ended another stay, that one first.
    pub(super) rows: Vec<(usize, StayRow)>,
    pub(super) alias: Option<(usize, usize)>,
    open: Option<usize>,
}

/// A settled stay that comes after others in the fold of its plate, of which only the beginning is looked at.
///
/// As long as that comes out as it did, what follows it on the plate comes out as it did: then it need not be folded again.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// An ENTRY that opened a stay, or an exit that found none open.
    pub fact: Fact,
    /// The effective plate.
    pub plate: PlateId,
}

/// What facts mean beside their neighbours.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Folded {
    /// Of the facts alone.
    pub resolution: Resolution,
    /// The neighbours that do not begin as they did: they have to be folded as well.
    pub disturbed: Vec<FactId>,
}

impl Lot {
    /// A neighbour begins. It ends the open stay if that is the one it replaces, and then none of ours is open: what it opens is
    /// another's. `false`: it does not begin as it did, because one of ours is open.
    fn pass(&mut self, neighbour: &Neighbour, claims: &Claims<'_>) -> bool {
        let Some((open, row)) = self.open_row() else { return true };
        let Body::Entry(entry) = &neighbour.fact.event.body else { return false };
        let replaced = entry.replaces.as_deref().and_then(|id| claims.named(id));
        if replaced.is_none_or(|claim| self.stay_of(claim.index) != open) {
            return false;
        }
        let mut left = row.clone();
        left.leave_unseen(&neighbour.fact);
        self.rows.insert(open, left);
        self.open = None;
        true
    }

    /// The stay a claim means.
    fn stay_of(&self, claim: usize) -> usize {
        self.alias.get(&claim).copied().unwrap_or(claim)
    }

    fn open_row(&self) -> Option<(usize, &StayRow)> {
        let open = self.open?;
        Some((open, self.rows.get(&open)?))
    }

    fn apply(&mut self, change: Change) {
        self.rows.extend(change.rows);
        self.alias.extend(change.alias);
        self.open = change.open;
    }
}

/// One fact in the fold of its plate.
///
/// # Errors
/// Why the fact makes no sense here.
pub(super) fn step(lot: &Lot, act: &Act<'_, '_>) -> Result<Change, String> {
    match act.deed {
        Deed::Enter { replaces } => {
            let mut row = act.claim.row()?;
            let index = act.claim.index;
            let Some((open, open_row)) = lot.open_row() else {
                return Ok(Change { rows: vec![(index, row)], alias: None, open: Some(index) });
            };
            if replaces.is_some_and(|replaced| lot.stay_of(replaced.index) == open) {
                let mut left = open_row.clone();
                left.leave_unseen(act.fact);
                return Ok(Change { rows: vec![(open, left), (index, row)], alias: None, open: Some(index) });
            }
            row.supersede(open_row);
            let mut inside = open_row.clone();
            inside.note_entered_again(act.fact);
            Ok(Change { rows: vec![(open, inside), (index, row)], alias: Some((index, open)), open: lot.open })
        }
        Deed::Confirm => {
            let (stay, mut row) = named_row(lot, act)?;
            if !row.confirm(act.fact) {
                return Err("it confirms an exit whose entry nobody saw".to_owned());
            }
            Ok(Change { rows: vec![(stay, row)], alias: None, open: lot.open })
        }
        Deed::Leave => {
            let (stay, mut row) = named_row(lot, act)?;
            if !row.close(act.fact) {
                return Err("it is no exit".to_owned());
            }
            Ok(Change { rows: vec![(stay, row)], alias: None, open: lot.open.filter(|open| *open != stay) })
        }
        Deed::LeaveUnknown | Deed::LeaveByPlate => {
            let index = act.claim.index;
            let Some((open, open_row)) = lot.open_row() else {
                return Ok(Change { rows: vec![(index, act.claim.row()?)], alias: None, open: None });
            };
            let mut row = open_row.clone();
            let closed = match act.deed {
                Deed::LeaveByPlate => row.close(act.fact),
                _ => row.close_unknown(act.fact),
            };
            if !closed {
                return Err("it is no exit".to_owned());
            }
            Ok(Change { rows: vec![(open, row)], alias: Some((index, open)), open: None })
        }
    }
}

fn named_row(lot: &Lot, act: &Act<'_, '_>) -> Result<(usize, StayRow), String> {
    let stay = lot.stay_of(act.claim.index);
    let row = lot.rows.get(&stay).ok_or("the fact that began its stay was skipped")?;
    Ok((stay, row.clone()))
}

/// [`super::resolve`] with another step: tests give one that panics.
pub(super) fn resolve_with<S>(facts: &[Fact], step: S) -> Resolution
where
    S: Fn(&Lot, &Act<'_, '_>) -> Result<Change, String>,
{
    fold(&Prepared::of(facts), &[], step, |_, _| {}).resolution
}

/// The fold. `took` hears of every step that was taken.
pub(super) fn fold<'p, 'a, S>(
    prepared: &'p Prepared<'a>,
    neighbours: &[Neighbour],
    step: S,
    mut took: impl FnMut(&Act<'p, 'a>, &Change),
) -> Folded
where
    S: Fn(&Lot, &Act<'_, '_>) -> Result<Change, String>,
{
    let (acts, mut outcome) = prepared.acts();
    let mut disturbed = Vec::new();
    let mut told_again: HashMap<&PlateId, Vec<(&Fact, usize)>> = HashMap::new();
    for (again, claim) in prepared.told_again() {
        if let Some(plate) = &claim.plate {
            told_again.entry(plate).or_default().push((again, claim.index));
        }
    }
    for (plate, mut acts) in acts {
        acts.sort_by_key(|act| act.key);
        let mut beside: Vec<&Neighbour> = neighbours.iter().filter(|neighbour| neighbour.plate == *plate).collect();
        beside.sort_by_key(|neighbour| FoldKey::of(&neighbour.fact));
        let mut beside = beside.into_iter().peekable();
        let mut lot = Lot::default();
        let mut pass = |lot: &mut Lot, neighbour: &Neighbour| {
            if !lot.pass(neighbour, &prepared.claims) {
                disturbed.push(neighbour.fact.id.clone());
            }
        };
        for act in &acts {
            while let Some(neighbour) = beside.next_if(|neighbour| FoldKey::of(&neighbour.fact) < act.key) {
                pass(&mut lot, neighbour);
            }
            match guarded(|| step(&lot, act)) {
                Ok(mut change) => {
                    if let Some((_, row)) = change.rows.last_mut() {
                        row.collected += prepared.more_taken(act.fact);
                    }
                    took(act, &change);
                    lot.apply(change);
                }
                Err(reason) => outcome.quarantined.push((act.fact.id.clone(), reason)),
            }
        }
        for neighbour in beside {
            pass(&mut lot, neighbour);
        }
        for (again, claim) in told_again.remove(plate).unwrap_or_default() {
            let stay = lot.stay_of(claim);
            if let Some(row) = lot.rows.get_mut(&stay) {
                row.note_told_again(&again.event);
            }
        }
        outcome.rows.extend(lot.rows.into_values());
    }
    for claim in prepared.void_claims() {
        match guarded(|| claim.row()) {
            Ok(mut row) => {
                row.remove();
                outcome.rows.push(row);
            }
            Err(reason) => outcome.quarantined.push((claim.fact.id.clone(), reason)),
        }
    }
    outcome.rows.sort_by(|a, b| a.stay_id.cmp(&b.stay_id));
    outcome.takings.sort_by(|a, b| a.fact.cmp(&b.fact));
    outcome.waiting.sort();
    outcome.quarantined.sort();
    debug_assert!(outcome.rows.is_sorted_by(|a, b| a.stay_id < b.stay_id), "two rows have one stay id");
    Folded { resolution: outcome, disturbed }
}

/// Runs a step that only looks at shared state, so that nothing is half-changed when it panics.
///
/// # Errors
/// The step's, or that it panicked.
pub fn guarded<T>(step: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| Err(format!("a step panicked: {}", text_of(&*panic))))
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
