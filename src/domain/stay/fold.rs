//! Stage 2: per effective plate a left fold with at most one open stay.
//!
//! A step looks at the state and says what changes; the change is made afterwards. So a step that panics has changed
//! nothing, is skipped at its place, and the result still does not depend on the order of arrival.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::anomaly::Anomaly;
use super::super::event::{Body, Exit};
use super::super::ids::{FactId, Hlc};
use super::super::money::Vnd;
use super::super::plate::PlateId;
use super::super::row::StayRow;
use super::Resolution;
use super::claims::Claims;
use super::fact::{Fact, FoldKey};
use super::prepare::{Act, Deed, Prepared};
use super::repeats::PASSAGE_WINDOW_MS;
use crate::domain::hash::HashMap;

const PANICKED: &str = "a step panicked: ";
const NO_EXIT: &str = "it is no exit";

/// The state of one plate. Rows and aliases are kept by the index of their claim.
#[derive(Debug, Default)]
pub(super) struct Lot {
    rows: HashMap<usize, StayRow>,
    /// Superseded entries, and exits that closed a stay they did not know: which stay they mean.
    alias: HashMap<usize, usize>,
    open: Option<usize>,
    /// Exits that ended another stay than the one they name: which.
    refitted: HashMap<FactId, usize>,
    /// What ended last, as long as no car came in since.
    ended: Option<Ended>,
    /// A step was not taken, so that it is not known what ended last.
    is_blind: bool,
    /// The payments that exits name which count for a stay.
    paid: HashMap<usize, Vec<(FactId, String)>>,
}

/// A stay that ended, and the exit of it that counts.
#[derive(Debug, Clone)]
struct Ended {
    stay: usize,
    exit: FactId,
    /// By its clock.
    at_ms: i64,
    fee: Vnd,
    /// The fee, as corrected.
    taken: Vnd,
    told: bool,
    /// Its gate knew the stay, or one that a person has removed since.
    named: bool,
}

impl Ended {
    /// The act ends `stay`.
    fn by(act: &Act<'_, '_>, exit: &Exit, stay: usize, named: bool) -> Self {
        let at_ms = act.fact.event.hlc.ms();
        Self { stay, exit: act.fact.id.clone(), at_ms, fee: exit.fee, taken: exit.fee, told: exit.told, named }
    }

    /// Whether an exit can be of the same passage.
    fn is_near(&self, exit: &Fact) -> bool {
        self.at_ms.abs_diff(exit.event.hlc.ms()) <= PASSAGE_WINDOW_MS.unsigned_abs()
    }
}

/// What one step changes.
#[derive(Debug)]
pub(super) struct Change {
    /// The rows that are new or different; where an entry ended another stay, that one first.
    pub(super) rows: Vec<(usize, StayRow)>,
    pub(super) alias: Option<(usize, usize)>,
    open: Option<usize>,
    ended: Option<Ended>,
    /// Of two exits that tell one passage the one that does not count, and the one that does.
    same_passage: Option<(FactId, FactId)>,
    /// An exit of a stay that was not open, while none was.
    is_stray: bool,
}

impl Change {
    fn of(rows: Vec<(usize, StayRow)>, alias: Option<(usize, usize)>, open: Option<usize>) -> Self {
        Self { rows, alias, open, ended: None, same_passage: None, is_stray: false }
    }
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
    pub strays: Vec<Stray>,
}

/// An exit that found its stay ended, and no other open: a stay that comes to be open at its place, it would end.
#[derive(Debug, Clone, PartialEq)]
pub struct Stray {
    pub exit: FactId,
    /// Its clock.
    pub clock: Hlc,
    /// The clock of its place: never below.
    pub at: Hlc,
    /// The effective plate.
    pub plate: PlateId,
}

impl Lot {
    /// A neighbour begins. It ends the open stay if that is the one it replaces, and then none of ours is open: what it opens is
    /// another's. `false`: it does not begin as it did, because one of ours is open.
    fn pass(&mut self, neighbour: &Neighbour, claims: &Claims<'_>) -> bool {
        let Some((open, row)) = self.open_row() else {
            // What is told again behind it is of its passage.
            let ended = self.ended.take();
            let told = matches!(&neighbour.fact.event.body, Body::Exit(exit) if exit.told);
            return !(told && ended.is_some_and(|ended| ended.is_near(&neighbour.fact)));
        };
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

    /// An exit that counts names payments: one is not for two exits.
    fn note_payments(&mut self, exit: &FactId, references: &[&str], change: &mut Change) {
        let Change { rows, same_passage, .. } = change;
        let Some((stay, row)) = rows.last_mut() else { return };
        if let (Some((replaced, _)), Some(named)) = (same_passage, self.paid.get_mut(stay)) {
            named.retain(|(exit, _)| exit != replaced);
        }
        if references.is_empty() {
            return;
        }
        let named = self.paid.entry(*stay).or_default();
        if references.iter().any(|reference| named.iter().any(|(_, held)| held == reference)) {
            row.anomalies.insert(Anomaly::PaymentUsedTwice);
        }
        named.extend(references.iter().map(|&reference| (exit.clone(), reference.to_owned())));
    }

    fn apply(&mut self, act: &Act<'_, '_>, change: Change) {
        if let (Deed::Leave, Some((stay, _))) = (act.deed, change.rows.last())
            && *stay != self.stay_of(act.claim.index)
        {
            self.refitted.insert(act.fact.id.clone(), *stay);
        }
        self.rows.extend(change.rows);
        self.alias.extend(change.alias);
        self.open = change.open;
        self.ended = change.ended.filter(|_| !self.is_blind);
    }

    /// Another exit than the one that ended `ended` tells the same passage. The first that knew the stay counts, a person's before what a
    /// program told; else the first above 0.
    fn told_twice(&self, act: &Act<'_, '_>, exit: &Exit, ended: &Ended) -> Result<Change, String> {
        let mut row = self.rows.get(&ended.stay).ok_or("the fact that began its stay was skipped")?.clone();
        let names_one = matches!(act.deed, Deed::Leave);
        let named = names_one && self.stay_of(act.claim.index) == ended.stay;
        let has_the_money = ended.fee.0 == 0 && exit.fee.0 > 0;
        // A person's press at a gate that knew the entry itself says how it was paid.
        let is_press = names_one && act.claim.index == ended.stay && !exit.told && ended.told;
        let counts =
            is_press || !ended.named && if named { ended.told || has_the_money } else { ended.told && has_the_money };
        let id = act.fact.id.clone();
        let mut change = Change::of(Vec::new(), (!names_one).then_some((act.claim.index, ended.stay)), None);
        if counts {
            row.leave_instead(act.fact, exit, ended.taken, !named);
            // A camera that tells the exit, and a person there who says what was taken, are how a gate works.
            if !(is_press && exit.in_place_of_told) {
                row.note_double_exit();
            }
            change.same_passage = Some((ended.exit.clone(), id));
            change.ended = Some(Ended::by(act, exit, ended.stay, named));
        } else {
            row.note_told_again(&act.fact.event);
            change.same_passage = Some((id, ended.exit.clone()));
            change.ended = Some(ended.clone());
        }
        row.note_other_fee(ended.fee, exit.fee);
        change.rows.push((ended.stay, row));
        Ok(change)
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
                return Ok(Change::of(vec![(index, row)], None, Some(index)));
            };
            if replaces.is_some_and(|replaced| lot.stay_of(replaced.index) == open) {
                let mut left = open_row.clone();
                left.leave_unseen(act.fact);
                return Ok(Change::of(vec![(open, left), (index, row)], None, Some(index)));
            }
            row.supersede(open_row);
            let mut inside = open_row.clone();
            inside.note_entered_again(act.fact);
            Ok(Change::of(vec![(open, inside), (index, row)], Some((index, open)), lot.open))
        }
        Deed::Confirm => {
            let (stay, mut row) = named_row(lot, act)?;
            if !row.confirm(act.fact) {
                return Err("it confirms an exit whose entry nobody saw".to_owned());
            }
            Ok(Change { ended: lot.ended.clone(), ..Change::of(vec![(stay, row)], None, lot.open) })
        }
        Deed::Leave => {
            let exit = exit_of(act)?;
            let (stay, mut row) = named_row(lot, act)?;
            let ended = lot.ended.as_ref().filter(|ended| ended.is_near(act.fact));
            if let Some(ended) = ended.filter(|ended| ended.stay == stay)
                && (exit.told || (ended.told && (!ended.named || act.claim.index == stay)))
            {
                return lot.told_twice(act, exit, ended);
            }
            if lot.open == Some(stay) {
                if !row.close(act.fact) {
                    return Err(NO_EXIT.to_owned());
                }
                // Where it acts an entry of another row may say, and not its own clock.
                row.last_hlc = row.last_hlc.max(act.key.clock());
                let ended = Some(Ended::by(act, exit, stay, true));
                return Ok(Change { ended, ..Change::of(vec![(stay, row)], None, None) });
            }
            // Its stay had ended, which its gate did not know: what leaves is the car that is inside.
            if let Some((open, open_row)) = lot.open_row() {
                let mut row = open_row.clone();
                if !row.close_unknown(act.fact) {
                    return Err(NO_EXIT.to_owned());
                }
                let ended = Some(Ended::by(act, exit, open, false));
                return Ok(Change { ended, ..Change::of(vec![(open, row)], None, None) });
            }
            let told_again = ended.filter(|ended| exit.told && ended.stay != stay);
            let change = if let Some(ended) = told_again {
                lot.told_twice(act, exit, ended)?
            } else {
                if !row.close(act.fact) {
                    return Err(NO_EXIT.to_owned());
                }
                Change { ended: lot.ended.clone(), ..Change::of(vec![(stay, row)], None, None) }
            };
            Ok(Change { is_stray: true, ..change })
        }
        Deed::LeaveUnknown | Deed::LeaveByPlate => {
            let exit = exit_of(act)?;
            let index = act.claim.index;
            let Some((open, open_row)) = lot.open_row() else {
                if let Some(ended) = lot.ended.as_ref().filter(|ended| exit.told && ended.is_near(act.fact)) {
                    return lot.told_twice(act, exit, ended);
                }
                let ended = Some(Ended::by(act, exit, index, false));
                return Ok(Change { ended, ..Change::of(vec![(index, act.claim.row()?)], None, None) });
            };
            let mut row = open_row.clone();
            let by_plate = matches!(act.deed, Deed::LeaveByPlate);
            let named = by_plate || act.claim.void_entry.is_some();
            let closed = if by_plate { row.close(act.fact) } else { row.close_unknown(act.fact) };
            if !closed {
                return Err(NO_EXIT.to_owned());
            }
            let ended = Some(Ended::by(act, exit, open, named));
            Ok(Change { ended, ..Change::of(vec![(open, row)], Some((index, open)), None) })
        }
    }
}

fn exit_of<'a>(act: &Act<'_, 'a>) -> Result<&'a Exit, String> {
    match &act.fact.event.body {
        Body::Exit(exit) => Ok(exit),
        _ => Err(NO_EXIT.to_owned()),
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
    let (mut disturbed, mut strays) = (Vec::new(), Vec::new());
    let mut same_passages: HashMap<FactId, FactId> = HashMap::default();
    let mut told_again: HashMap<&PlateId, Vec<(&Fact, &FactId, usize)>> = HashMap::default();
    for (again, first, claim) in prepared.told_again() {
        if let Some(plate) = &claim.plate {
            told_again.entry(plate).or_default().push((again, &first.id, claim.index));
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
                    let more = prepared.more_taken(act.fact);
                    let earns = change.same_passage.as_ref().is_none_or(|(repeat, _)| *repeat != act.fact.id);
                    if let Some((_, row)) = change.rows.last_mut().filter(|_| earns) {
                        row.collected += more;
                    }
                    if let Some(ended) = change.ended.as_mut().filter(|ended| ended.exit == act.fact.id) {
                        ended.taken += more;
                    }
                    if earns {
                        lot.note_payments(&act.fact.id, &prepared.references(act.fact), &mut change);
                    }
                    same_passages.extend(change.same_passage.take());
                    took(act, &change);
                    if change.is_stray {
                        let (exit, plate) = (act.fact.id.clone(), plate.clone());
                        strays.push(Stray { exit, clock: act.fact.event.hlc, at: act.key.clock(), plate });
                    }
                    lot.apply(act, change);
                }
                Err(reason) => {
                    // It may have been an entry or an exit: of what follows nothing is taken for one passage.
                    if reason.starts_with(PANICKED) {
                        (lot.is_blind, lot.ended) = (true, None);
                    }
                    outcome.quarantined.push((act.fact.id.clone(), reason));
                }
            }
        }
        for neighbour in beside {
            pass(&mut lot, neighbour);
        }
        for (again, first, claim) in told_again.remove(plate).unwrap_or_default() {
            let stay = lot.refitted.get(first).copied().unwrap_or_else(|| lot.stay_of(claim));
            if let Some(row) = lot.rows.get_mut(&stay) {
                row.note_told_again(&again.event);
            }
        }
        prepared.claims.settle_types(&mut lot.rows);
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
    outcome.takings.retain(|taking| !same_passages.contains_key(&taking.fact));
    outcome.repeats.iter_mut().for_each(|(_, first)| *first = counting(&same_passages, first));
    outcome.repeats.extend(same_passages.keys().map(|repeat| (repeat.clone(), counting(&same_passages, repeat))));
    outcome.repeats.sort();
    outcome.rows.sort_by(|a, b| a.stay_id.cmp(&b.stay_id));
    outcome.takings.sort_by(|a, b| a.fact.cmp(&b.fact));
    outcome.waiting.sort();
    outcome.quarantined.sort();
    debug_assert!(outcome.rows.is_sorted_by(|a, b| a.stay_id < b.stay_id), "two rows have one stay id");
    Folded { resolution: outcome, disturbed, strays }
}

/// The exit that counts for this one.
fn counting(same_passages: &HashMap<FactId, FactId>, fact: &FactId) -> FactId {
    let mut fact = fact;
    while let Some(counts) = same_passages.get(fact) {
        fact = counts;
    }
    fact.clone()
}

/// Runs a step that only looks at shared state, so that nothing is half-changed when it panics.
///
/// # Errors
/// The step's, or that it panicked.
pub fn guarded<T>(step: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| Err(format!("{PANICKED}{}", text_of(&*panic))))
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
