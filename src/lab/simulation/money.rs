//! What must hold of money and shifts whenever nothing waits: the sums by person, way of payment, gate, vehicle type and shift are those of
//! the facts alone; and in the end: a closed sheet and its addendum are what the facts come to, and all centrals say the same of each.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::doer::{Doer, DoerKind};
use crate::domain::event::{Body, Event};
use crate::domain::ids::FactId;
use crate::domain::money::Vnd;
use crate::domain::payment::Method;
use crate::domain::received::{PaymentReceived, known};
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::shift::{ShiftClosed, ShiftFigures, is_of};
use crate::domain::stay::{Resolution, TakenAs, Taking};
use crate::domain::time::quarter;
use crate::ledger::job::{AssignPayment, CloseShift, Job, OpenShift};
use crate::ledger::memory::MemoryStorage;
use crate::ledger::sheet::{self, Reckoning};
use crate::ledger::storage::{EventRef, Shift, ShiftClosing, TotalChange, TotalKey};
use crate::replication::backoff::SplitMix64;

/// So often somebody opens or closes a shift instead of what he would ask for.
const ONE_IN: u64 = 29;
/// As often a bank tells of money, or a person says what it is for.
const PAYMENT_IN: u64 = 31;
/// So few that one is told at several centrals in a cut, and with other amounts.
const REFERENCES: u64 = 6;

/// A shift at an edge of a central is opened, or closed if one is open.
pub(super) fn job(number: u64, central: &str, edges: u64, storage: &MemoryStorage) -> Option<Job> {
    if number.is_multiple_of(PAYMENT_IN) {
        return Some(payment(number, storage));
    }
    if !number.is_multiple_of(ONE_IN) {
        return None;
    }
    let edge_id = format!("edge-{}", number / ONE_IN % edges);
    let cash = crate::domain::money::Vnd(i64::try_from(number % 1_000).unwrap_or(0) * 1_000);
    let at_edge = |shift: &&Shift| shift.is_at(central, &edge_id);
    let last = storage.shifts.values().filter(at_edge).max_by_key(|shift| shift.from_ms);
    Some(match last.filter(|last| last.closed.is_none()) {
        Some(open) => {
            Job::CloseShift(CloseShift { id: open.id.clone(), counted_cash: cash, note: None, may_close_others: true })
        }
        None => Job::OpenShift(OpenShift { edge_id, opening_cash: cash }),
    })
}

fn payment(number: u64, storage: &MemoryStorage) -> Job {
    let mut dice = SplitMix64::new(number);
    let drawn = |dice: &mut SplitMix64, of: usize| usize::try_from(dice.below(of.max(1) as u64)).unwrap_or(0);
    let stay = storage.stays.values().nth(drawn(&mut dice, storage.stays.len())).map(|held| held.row.stay_id.clone());
    if dice.below(3) == 0
        && let Some(at) = storage.payments.keys().nth(drawn(&mut dice, storage.payments.len()))
    {
        let (fact, done) = (format!("{}/{}", at.log, at.seq), dice.below(3) == 0);
        let assigned = AssignPayment { fact, stay: stay.filter(|_| !done), done, reason: "drawn".to_owned() };
        return Job::AssignPayment(assigned).by(Doer::new(DoerKind::Person, "an"));
    }
    let amount = Vnd(if dice.below(4) == 0 { 5_000 } else { 10_000 });
    let (reference, stay) = (format!("FT{}", dice.below(REFERENCES)), stay.filter(|_| dice.below(2) == 0));
    let payment = PaymentReceived { reference, method: Method::Transfer, amount, stay, text: None };
    Job::TakePayment(payment).by(Doer::new(DoerKind::Token, "bank"))
}

/// Holds what is summed against what the facts mean, told apart in every way there is.
///
/// # Errors
/// What differs.
pub(super) fn is_of_facts(storage: &mut MemoryStorage, meant: &Resolution) -> Result<(), String> {
    let came_in =
        |row: &&StayRow| !matches!(row.status, StayStatus::Superseded | StayStatus::Void) && !row.is_exit_alone();
    let entered: Vec<&StayRow> = meant.rows.iter().filter(came_in).collect();
    // An exit that ended a stay counts for the type of the stay.
    let ended = meant.rows.iter().filter_map(|row| Some((&row.exit.as_ref()?.fact, row.camera_type.as_str())));
    let types: BTreeMap<_, _> = ended.collect();
    let takings = meant.takings.iter().map(|taking| {
        let mut taking = taking.clone();
        if let Some(camera_type) = types.get(&taking.fact) {
            taking.told_apart.camera_type = (*camera_type).to_owned();
        }
        (taking.fact.clone(), taking)
    });
    let takings: BTreeMap<_, Taking> = takings.collect();
    if storage.takings != takings {
        return Err(format!("what was taken is {:?}, the facts give {takings:?}", storage.takings));
    }
    let mut sums: BTreeMap<TotalKey, TotalChange> = BTreeMap::new();
    for row in &entered {
        let key = (quarter(row.entry_ms), row.source_central.clone(), row.edge_id.clone(), TakenAs::default());
        sums.entry(key).or_default().entries += 1;
    }
    for Taking { central, edge_id, exit_ms, fee, told_apart, also, .. } in takings.values() {
        let others: i64 = also.iter().map(|(_, part)| part.0).sum();
        let ways = std::iter::once((told_apart.method.as_str(), 1, fee.0 - others));
        for (method, exits, revenue) in ways.chain(also.iter().map(|(method, part)| (method.name(), 0, part.0))) {
            let told_apart = TakenAs { method: method.to_owned(), ..told_apart.clone() };
            let sum = sums.entry((quarter(*exit_ms), central.clone(), edge_id.clone(), told_apart)).or_default();
            sum.exits += exits;
            sum.revenue_vnd += revenue;
        }
    }
    if storage.totals != sums {
        return Err(format!("the sums are {:?}, the facts give {sums:?}", storage.totals));
    }
    let shifts: Vec<Shift> = storage.shifts.values().filter(|shift| shift.opened.is_some()).cloned().collect();
    // No exit is in two shifts.
    let mut in_shift: BTreeMap<&FactId, String> = BTreeMap::new();
    for shift in shifts {
        let person = shift.opened.as_ref().map_or("", |opened| opened.person.as_str());
        let (from_ms, until_ms) = sheet::span_of(storage, &shift).map_err(|error| error.to_string())?;
        let at_gate =
            |central: &str, edge_id: &str, ms: i64| shift.is_at(central, edge_id) && (from_ms..until_ms).contains(&ms);
        let mut meant = ShiftFigures::default();
        let entries = entered.iter().filter(|row| at_gate(&row.source_central, &row.edge_id, row.entry_ms)).count();
        meant.entries = i64::try_from(entries).unwrap_or(i64::MAX);
        let of_it = takings.values().filter(|taking| at_gate(&taking.central, &taking.edge_id, taking.exit_ms));
        let of_gate: Vec<&Taking> = of_it.filter(|taking| is_of(person, &taking.told_apart.by)).collect();
        for taking in &of_gate {
            meant.take(taking.counted(), &taking.told_apart.camera_type);
            if let Some(other) = in_shift.insert(&taking.fact, shift.id.clone()) {
                return Err(format!("{} is in {other} and in {}", taking.fact, shift.id));
            }
        }
        let Reckoning { figures, elsewhere, .. } =
            sheet::figures(storage, &shift).map_err(|error| error.to_string())?;
        let told = of_gate.iter().filter(|taking| !is_claimed(storage, taking)).count();
        if figures.exits() > i64::try_from(told).unwrap_or(i64::MAX) {
            return Err(format!("{} comes to {figures:?}, of which its gate told {told} exits", shift.id));
        }
        let live = figures.and(&elsewhere);
        if live != meant {
            return Err(format!("{} comes to {live:?}, the facts give {meant:?}", shift.id));
        }
    }
    Ok(())
}

/// Whether another central alone tells it, and does not even say that the gate had told it.
fn is_claimed(storage: &MemoryStorage, taking: &Taking) -> bool {
    let FactId::Authored { log, seq } = &taking.fact else { return false };
    let event = storage.events.get(&EventRef { log: log.clone(), seq: *seq });
    let event = event.and_then(|(bytes, _)| Event::parse(bytes).ok());
    log.central.as_str() != taking.central && event.is_some_and(|event| sheet::told_before(&event).is_none())
}

/// What all of it comes to, in words that are the same everywhere.
///
/// # Errors
/// What does not hold.
pub(super) fn meaning(storage: &mut MemoryStorage, kinds: &mut BTreeMap<&'static str, u64>) -> Result<String, String> {
    let mut words = String::new();
    let shifts: Vec<Shift> = storage.shifts.values().filter(|shift| shift.opened.is_some()).cloned().collect();
    for shift in shifts {
        let Reckoning { figures: live, elsewhere, .. } =
            sheet::figures(storage, &shift).map_err(|error| error.to_string())?;
        words.push_str(&format!("; {} with {:?}: {live:?}, elsewhere {elsewhere:?}", shift.id, shift.lane_edges));
        if elsewhere != ShiftFigures::default() {
            *kinds.entry("told elsewhere").or_default() += 1;
        }
        *kinds.entry("shift").or_default() += 1;
        if !shift.lane_edges.is_empty() {
            *kinds.entry("shift of a lane").or_default() += 1;
        }
        let Some(closed) = shift.closed.as_ref().and_then(|closing| closed(storage, closing)) else { continue };
        let since = live.since(&closed.figures);
        let both = closed.figures.and(&since);
        if (both.entries, both.exits(), both.revenue()) != (live.entries, live.exits(), live.revenue()) {
            return Err(format!("{}: closed and addendum are {both:?}, the facts {live:?}", shift.id));
        }
        if since != ShiftFigures::default() {
            *kinds.entry("addendum").or_default() += 1;
        }
        let late = sheet::late(storage, &shift, &closed).map_err(|error| error.to_string())?;
        words.push_str(&format!(", closed as {closed:?}, since {since:?} by {late:?}"));
    }
    let references: BTreeSet<String> = storage.payments.values().cloned().collect();
    for reference in references {
        let under = storage.payments.iter().filter(|(_, held)| **held == reference).map(|(at, _)| at);
        let events: Vec<Event> = under.filter_map(|at| Event::parse(&storage.events.get(at)?.0).ok()).collect();
        for one in known(&events) {
            let (amount, stay, counts) = (one.payment.amount.0, one.stay(), one.counts());
            words.push_str(&format!("; {reference} of {amount} is for {stay:?}, {counts}"));
            let kind = match (one.assigned, one.contradicts) {
                (Some(_), _) => "assigned",
                (None, Some(_)) => "contradicted",
                (None, None) => "payment",
            };
            *kinds.entry(kind).or_default() += 1;
        }
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
