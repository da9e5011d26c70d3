//! What a shift comes to, worked out of what is kept of takings, shifts and corrections of money: the same lines for the writer, who
//! closes it, for readers, who show it, and for tests.

use std::collections::{BTreeMap, HashMap};

use crate::domain::direction::Direction;
use crate::domain::event::{Body, Correction, Event};
use crate::domain::ids::{FactId, LogId};
use crate::domain::money::Vnd;
use crate::domain::payment::{Method, counted};
use crate::domain::shift::{Counted, ShiftClosed, ShiftFigures, is_of, span};
use crate::domain::stay::{Fact, Taking, ToldThere};
use crate::domain::time::{QUARTER_MS, quarter};

use super::storage::Shift;

/// What was taken at one exit, as it is kept.
#[derive(Debug, Clone, Copy)]
pub struct TakingLine<'l, L> {
    pub central: &'l str,
    pub edge_id: &'l str,
    pub exit_ms: i64,
    pub taken_by: &'l str,
    pub method: &'l str,
    pub camera_type: &'l str,
    pub fee: i64,
    /// What of it was paid in other ways.
    pub also: &'l [(Method, Vnd)],
    /// What was paid beyond it, VND.
    pub excess: i64,
    /// The event of it; `None`: a predecessor said so.
    pub place: Option<(L, u64)>,
    /// How many exits it is: one, or none of what only others say was taken at one.
    pub exits: i64,
    /// What of the fee the central of the gate says itself; `None`: it told no such exit. The rest is the word of others, and in no drawer.
    pub told_there: Option<i64>,
}

impl<'l, L> TakingLine<'l, L> {
    /// As [`counted`].
    pub fn counted(&self) -> impl Iterator<Item = (&'l str, i64, i64)> + use<'l, L> {
        let all_exits = self.exits;
        counted(self.method, self.fee, self.also).map(move |(way, exits, amount)| (way, exits * all_exits, amount))
    }
}

/// What a correction or a void changed at one exit, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeLine<L> {
    /// The event that says so.
    pub place: (L, u64),
    pub at_ms: i64,
    /// The gate and time of the exit, who took what was changed, and how it was paid.
    pub central: String,
    pub edge_id: String,
    pub exit_ms: i64,
    pub taken_by: String,
    pub method: String,
    /// The event of the exit.
    pub exit: Option<(L, u64)>,
    /// VND.
    pub change: i64,
}

/// From and until before, Unix ms.
pub type Span = (i64, i64);

/// A gate, by central and edge.
pub type GateName<'g> = (&'g str, &'g str);

/// Takes what was told of some shifts: the shift's place in the list, what was taken, and whether the central of the gate says so.
pub type EachTold<'e, L> = dyn FnMut(usize, &TakingLine<'_, L>, bool) + 'e;

/// `None`: all of them.
pub type AtGate<'g> = Option<GateName<'g>>;

/// What a shift comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reckoning {
    pub figures: ShiftFigures,
    /// How far of each log that something of them is from.
    pub counted: Vec<Counted>,
    /// What other centrals alone say was taken in it, or more than was told there: in no figure and no drawer.
    pub elsewhere: ShiftFigures,
}

/// What an exit says again that its gate had told: the exit it is in place of, or the opening of a car nobody could read.
pub fn told_before(exit: &Event) -> Option<FactId> {
    if let Body::Exit(exit) = &exit.body { exit.says_again() } else { None }
}

/// Most exits in place of each other that are followed to what told their passage.
const MOST_SAID_AGAIN: usize = 32;

/// What is kept of shifts and money. Times are Unix ms.
pub trait Books {
    type Error;
    /// A log, as this file names it.
    type Log: Ord + Clone;

    fn log(&mut self, log: Self::Log) -> Result<LogId, Self::Error>;
    /// A fact as it is held: once, or of what a predecessor said once for each central that heard it.
    fn copies_of(&mut self, fact: &FactId) -> Result<Vec<Fact>, Self::Error>;
    /// Whether an exit counts.
    fn is_taken(&mut self, exit_ms: i64, fact: &FactId) -> Result<bool, Self::Error>;
    /// When the first shift after another begins at an edge, or at the lane it is of; of two that begin at once the one of the greater id is after.
    /// Whether one is found that begins when the other had ended does not matter.
    fn next_from_ms(&mut self, after: &Shift, edge_id: &str) -> Result<Option<i64>, Self::Error>;
    /// The shifts of a person that begin within, not at its beginning.
    fn shifts_of(&mut self, person: &str, within: Span) -> Result<Vec<Shift>, Self::Error>;
    /// Where and when each car came in.
    fn entries(
        &mut self,
        at: AtGate<'_>,
        within: Span,
        each: &mut dyn FnMut(GateName<'_>, i64),
    ) -> Result<(), Self::Error>;
    /// How many came in where in each of some [quarters](quarter) of an hour: from the first until before the second.
    fn entries_of_quarters(
        &mut self,
        at: AtGate<'_>,
        quarters: (i64, i64),
        each: &mut dyn FnMut(GateName<'_>, i64, i64),
    ) -> Result<(), Self::Error>;
    /// What was taken, by the times of the exits.
    fn takings(
        &mut self,
        at: AtGate<'_>,
        within: Span,
        each: &mut dyn FnMut(TakingLine<'_, Self::Log>),
    ) -> Result<(), Self::Error>;
    /// What a person changed then, by when he did.
    fn changes_by(&mut self, person: &str, within: Span) -> Result<Vec<ChangeLine<Self::Log>>, Self::Error>;
    /// What was changed of exits at a gate, by the times of the exits.
    fn changes_at(
        &mut self,
        central: &str,
        edge_id: &str,
        within: Span,
    ) -> Result<Vec<ChangeLine<Self::Log>>, Self::Error>;
}

/// Where, when and by whom something was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenWhere<'t> {
    pub central: &'t str,
    pub edge_id: &'t str,
    pub exit_ms: i64,
    pub taken_by: &'t str,
}

/// How much at most of what was taken at an exit the central of its gate says itself, VND: what the fold found, which does not know which central heard what
/// a predecessor told, nor what an opening for a car nobody could read told. `None`: that central told no such passage.
///
/// # Errors
/// Those of the books, here and below.
pub fn vouched<B: Books>(
    books: &mut B,
    at: TakenWhere<'_>,
    found: ToldThere,
    exit: &FactId,
) -> Result<Option<i64>, B::Error> {
    let told = match found {
        ToldThere::Nothing => return Ok(None),
        ToldThere::Fee(fee) => Some(fee.0),
        ToldThere::AsOpened => None,
    };
    let is_own = |log: &LogId| log.central.as_str() == at.central;
    let mut said = exit.clone();
    for _ in 0..MOST_SAID_AGAIN {
        if told.is_some() && matches!(&said, FactId::Authored { log, .. } if is_own(log)) {
            break;
        }
        let telling = books.copies_of(&said)?;
        let own = telling.iter().find(|fact| is_own(&fact.event.log));
        if let (None, Some((fact, Body::Unread(opening)))) = (told, own.map(|fact| (fact, &fact.event.body))) {
            let before = Taking::of_opening(&fact.event, opening);
            let is_same = opening.direction == Direction::Exit && at == TakenWhere::of(&before);
            let is_taken = books.is_taken(before.exit_ms, &said)?;
            return Ok((is_same && !is_taken).then_some(before.fee.0));
        }
        // What cannot be read says nothing else.
        if own.is_some() || telling.is_empty() {
            break;
        }
        if matches!(said, FactId::Heard(_)) {
            return Ok(None);
        }
        let Some(before) = telling.iter().find_map(|fact| told_before(&fact.event)) else { break };
        said = before;
    }
    Ok(told)
}

impl<'t> TakenWhere<'t> {
    pub fn of(taking: &'t Taking) -> Self {
        let Taking { central, edge_id, exit_ms, told_apart, .. } = taking;
        Self { central, edge_id, exit_ms: *exit_ms, taken_by: &told_apart.by }
    }
}

/// From when until before when things belong to a shift.
pub fn span_of<B: Books>(books: &mut B, shift: &Shift) -> Result<Span, B::Error> {
    let mut next_ms = None;
    for edge_id in shift.edges() {
        next_ms = next_ms.into_iter().chain(books.next_from_ms(shift, edge_id)?).min();
    }
    Ok(span(shift.from_ms, shift.closed.as_ref().map(|closed| closed.until_ms), next_ms))
}

/// When the last was taken in a shift of what the central of its gate tells, within a time.
///
/// # Errors
/// Those of the books.
pub fn last_taken_ms<B: Books>(
    books: &mut B,
    shift: &Shift,
    (since_ms, before_ms): Span,
) -> Result<Option<i64>, B::Error> {
    let (from_ms, until_ms) = span_of(books, shift)?;
    let within = (from_ms.max(since_ms), until_ms.min(before_ms));
    let mut last_ms = None;
    takings_of(books, &[(shift, within)], &mut |_, taking| last_ms = last_ms.max(Some(taking.exit_ms)))?;
    Ok(last_ms)
}

fn person(shift: &Shift) -> &str {
    shift.opened.as_ref().map_or("", |opened| opened.person.as_str())
}

/// Whether what was changed was taken in the shift.
fn is_of_its_exits<L>(change: &ChangeLine<L>, shift: &Shift, within: Span) -> bool {
    shift.is_at(&change.central, &change.edge_id)
        && holds(within, change.exit_ms)
        && is_of(person(shift), &change.taken_by)
}

/// What its person changed of what was taken, in its time; where he has two gates it is of the shift he began last.
pub fn made_in<B: Books>(books: &mut B, shift: &Shift) -> Result<Vec<ChangeLine<B::Log>>, B::Error> {
    let within = span_of(books, shift)?;
    let mut later = Vec::new();
    for other in books.shifts_of(person(shift), within)? {
        later.push(span_of(books, &other)?);
    }
    let mut made = books.changes_by(person(shift), within)?;
    made.retain(|change| !later.iter().any(|(from_ms, until_ms)| (*from_ms..*until_ms).contains(&change.at_ms)));
    Ok(made)
}

/// What was changed of exits at the edges of a shift, by the times of the exits.
pub fn changes_at<B: Books>(books: &mut B, shift: &Shift, within: Span) -> Result<Vec<ChangeLine<B::Log>>, B::Error> {
    let mut changes = Vec::new();
    for edge_id in shift.edges() {
        changes.extend(books.changes_at(&shift.central, edge_id, within)?);
    }
    changes.retain(|change| is_of_its_exits(change, shift, within));
    Ok(changes)
}

/// Some shifts by their gates, so that one walk finds what belongs to which: each with the time that is looked at of it.
struct ByGate<'s> {
    shifts: &'s [(&'s Shift, Span)],
    at: HashMap<GateName<'s>, Vec<usize>>,
}

impl<'s> ByGate<'s> {
    fn of(shifts: &'s [(&'s Shift, Span)]) -> Self {
        let mut at: HashMap<GateName<'_>, Vec<usize>> = HashMap::new();
        for (place, (shift, _)) in shifts.iter().enumerate() {
            for edge_id in shift.edges() {
                at.entry((&shift.central, edge_id)).or_default().push(place);
            }
        }
        Self { shifts, at }
    }

    /// Where all of them are.
    fn gate(&self) -> AtGate<'s> {
        self.at.keys().next().copied().filter(|_| self.at.len() == 1)
    }

    /// Those at a gate, with their places in the list.
    fn at<'a>(&'a self, gate: GateName<'a>) -> impl Iterator<Item = (usize, &'s Shift, Span)> + use<'a, 's> {
        let places = self.at.get(&gate).into_iter().flatten();
        places.filter_map(|place| self.shifts.get(*place).map(|(shift, within)| (*place, *shift, *within)))
    }
}

pub(super) fn holds((from, until): Span, moment: i64) -> bool {
    (from..until).contains(&moment)
}

/// The least time that holds some others; `None`: there is none.
fn around(spans: impl Iterator<Item = Span>) -> Option<Span> {
    spans.filter(|(from, until)| from < until).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

/// What was taken in some shifts, in one walk: the shift's place in the list, and what was taken. Of each the time beside it is looked at. What another
/// central alone tells of a gate is in none.
pub fn takings_of<B: Books>(
    books: &mut B,
    shifts: &[(&Shift, Span)],
    each: &mut dyn FnMut(usize, &TakingLine<'_, B::Log>),
) -> Result<(), B::Error> {
    told_of(books, shifts, &mut |place, taking, is_told_there| {
        if is_told_there {
            each(place, taking);
        }
    })
}

/// As [`takings_of`], whoever tells it: what the central of the gate says, and, with `false`, what others add to that.
pub fn told_of<B: Books>(
    books: &mut B,
    shifts: &[(&Shift, Span)],
    each: &mut EachTold<'_, B::Log>,
) -> Result<(), B::Error> {
    let by_gate = ByGate::of(shifts);
    let Some(within) = around(shifts.iter().map(|(_, within)| *within)) else { return Ok(()) };
    books.takings(by_gate.gate(), within, &mut |taking| {
        let mut hand = |line: &TakingLine<'_, B::Log>, is_told_there| {
            for (place, shift, within) in by_gate.at((line.central, line.edge_id)) {
                if holds(within, line.exit_ms) && is_of(person(shift), line.taken_by) {
                    each(place, line, is_told_there);
                }
            }
        };
        match taking.told_there {
            Some(told) if told < taking.fee => {
                let also = cut(taking.also, told);
                let more = taking.also.iter().zip(&also).map(|((way, all), (_, part))| (*way, Vnd(all.0 - part.0)));
                let more: Vec<_> = more.collect();
                let line = TakingLine { fee: taking.fee - told, also: &more, exits: 0, excess: 0, ..taking.clone() };
                hand(&TakingLine { fee: told, also: &also, ..taking }, true);
                hand(&line, false);
            }
            told => hand(&taking, told.is_some()),
        }
    })
}

/// What is left of parts where no more than so much was taken in all.
fn cut(parts: &[(Method, Vnd)], taken: i64) -> Vec<(Method, Vnd)> {
    let mut left = taken;
    let mut part = |(way, part): &(Method, Vnd)| {
        let part = part.0.min(left);
        left -= part;
        (*way, Vnd(part))
    };
    parts.iter().map(&mut part).collect()
}

/// How many cars came in in each of some shifts. The whole quarters of an hour are summed already; of those at the ends the entries are
/// counted.
fn entries_of<B: Books>(books: &mut B, shifts: &[(&Shift, Span)]) -> Result<Vec<i64>, B::Error> {
    let by_gate = ByGate::of(shifts);
    let mut entries = vec![0; shifts.len()];
    let mut count = |place: usize, cars: i64| entries.get_mut(place).into_iter().for_each(|count| *count += cars);
    let whole = |(from_ms, until_ms): Span| (quarter(from_ms.saturating_add(QUARTER_MS - 1)), quarter(until_ms));
    if let Some(quarters) = around(shifts.iter().map(|(_, within)| whole(*within))) {
        books.entries_of_quarters(by_gate.gate(), quarters, &mut |gate, quarter, cars| {
            let of_it = by_gate.at(gate).filter(|(.., within)| holds(whole(*within), quarter));
            of_it.for_each(|(place, ..)| count(place, cars));
        })?;
    }
    let ends = shifts.iter().flat_map(|(_, within)| match whole(*within) {
        (first, last) if first < last => [(within.0, first * QUARTER_MS), (last.saturating_mul(QUARTER_MS), within.1)],
        _ => [*within, (0, 0)],
    });
    for end in joined(ends) {
        books.entries(by_gate.gate(), end, &mut |gate, entry_ms| {
            let is_of_end = |within: Span| holds(within, entry_ms) && !holds(whole(within), quarter(entry_ms));
            let of_it = by_gate.at(gate).filter(|(.., within)| is_of_end(*within));
            of_it.for_each(|(place, ..)| count(place, 1));
        })?;
    }
    Ok(entries)
}

/// The times that some others hold together, each moment once.
fn joined(spans: impl Iterator<Item = Span>) -> Vec<Span> {
    let mut spans: Vec<Span> = spans.filter(|(from, until)| from < until).collect();
    spans.sort_unstable();
    let mut joined: Vec<Span> = Vec::new();
    for (from, until) in spans {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => joined.push((from, until)),
        }
    }
    joined
}

/// What an opened shift comes to.
pub fn figures<B: Books>(books: &mut B, shift: &Shift) -> Result<Reckoning, B::Error> {
    Ok(all_figures(books, std::slice::from_ref(shift))?.pop().unwrap_or_default())
}

/// As [`figures`], of some shifts in one walk.
pub fn all_figures<B: Books>(books: &mut B, shifts: &[Shift]) -> Result<Vec<Reckoning>, B::Error> {
    let mut within = Vec::with_capacity(shifts.len());
    for shift in shifts {
        within.push((shift, span_of(books, shift)?));
    }
    let mut sums: Vec<(Reckoning, BTreeMap<B::Log, u64>)> = Vec::with_capacity(shifts.len());
    for entries in entries_of(books, &within)? {
        let figures = ShiftFigures { entries, ..ShiftFigures::default() };
        sums.push((Reckoning { figures, ..Reckoning::default() }, BTreeMap::new()));
    }
    let count = |counted: &mut BTreeMap<B::Log, u64>, (log, seq): (B::Log, u64)| {
        let to = counted.entry(log).or_default();
        *to = seq.max(*to);
    };
    told_of(books, &within, &mut |place, taking, is_told_there| {
        let Some((sum, counted)) = sums.get_mut(place) else { return };
        if !is_told_there {
            return sum.elsewhere.take(taking.counted(), taking.camera_type);
        }
        sum.figures.take(taking.counted(), taking.camera_type);
        taking.place.iter().for_each(|place| count(counted, place.clone()));
    })?;
    let mut all = Vec::with_capacity(shifts.len());
    for ((shift, within), (sum, mut counted)) in within.into_iter().zip(sums) {
        changes_at(books, shift, within)?.into_iter().for_each(|change| count(&mut counted, change.place));
        let counted = counted.into_iter().map(|(log, to)| Ok(Counted { log: books.log(log)?, to }));
        let mut counted = counted.collect::<Result<Vec<_>, B::Error>>()?;
        counted.sort_by(|a, b| a.log.cmp(&b.log));
        all.push(Reckoning { counted, ..sum });
    }
    Ok(all)
}

/// What was taken at an exit, VND above what it was before the first of some changes.
#[derive(Debug, Clone, Copy, Default)]
struct SaidTaken {
    counts: i64,
    /// What the central of the gate says.
    word: i64,
    /// What it had said before it removed the exit, if that is the last it said, however often.
    before_removal: Option<i64>,
}

impl SaidTaken {
    /// What the drawer answers for.
    fn in_drawer(self) -> i64 {
        self.counts.min(self.word)
    }
}

/// What each of some changes makes of what the drawers answer for: no more than the central of the gate says. So what another central adds to that moves
/// nothing, but for what others took off before, and is left out; the next word of that central moves by what it is to what was in the drawer, whatever others said
/// meanwhile.
pub fn moved<B: Books>(books: &mut B, changes: Vec<ChangeLine<B::Log>>) -> Result<Vec<ChangeLine<B::Log>>, B::Error> {
    // By names of logs, which are the same at all centrals.
    let of_log =
        |change: ChangeLine<B::Log>| Ok((change.at_ms, books.log(change.place.0.clone())?, change.place.1, change));
    let mut changes = changes.into_iter().map(of_log).collect::<Result<Vec<_>, B::Error>>()?;
    changes.sort_by(|(at, log, seq, _), (other_at, other, other_seq, _)| {
        (at, log, seq).cmp(&(other_at, other, other_seq))
    });
    let mut of_exits: BTreeMap<_, SaidTaken> = BTreeMap::new();
    let mut all_moved = Vec::with_capacity(changes.len());
    for (_, log, seq, mut change) in changes {
        let is_own = log.central.as_str() == change.central;
        let before = of_exits.get(&change.exit).copied().unwrap_or_default();
        let corrected = correction(books, &FactId::Authored { log, seq })?;
        let undone = corrected.as_ref().map_or(&[][..], |said| &said.undoes);
        let is_of_fee = corrected.as_ref().is_none_or(|said| said.right_fee.is_some());
        let is_word_of_gate =
            |void: &FactId| matches!(void, FactId::Authored { log, .. } if log.central.as_str() == change.central);
        let mut after = SaidTaken { counts: before.counts.saturating_add(change.change), ..before };
        if is_own && is_of_fee {
            let is_removal = corrected.is_none();
            after.before_removal = is_removal.then(|| before.before_removal.unwrap_or(before.word));
            after.word = after.counts;
        } else if is_own && undone.iter().any(is_word_of_gate) {
            after.word = after.before_removal.take().unwrap_or(before.word);
        }
        of_exits.insert(change.exit.clone(), after);
        // An exit that is written anew stands behind what removes the one it is in place of.
        of_exits.insert(Some((change.place.0.clone(), seq + 1)), before);
        let said = change.change;
        change.change = after.in_drawer().saturating_sub(before.in_drawer());
        // One that says how it was paid changes nothing of what was taken, and is kept.
        if said == 0 || change.change != 0 {
            all_moved.push(change);
        }
    }
    Ok(all_moved)
}

/// `None`: it is none.
fn correction<B: Books>(books: &mut B, fact: &FactId) -> Result<Option<Correction>, B::Error> {
    let said = books.copies_of(fact)?.into_iter().next();
    Ok(said.and_then(|fact| if let Body::Correction(said) = &fact.event.body { Some(said.clone()) } else { None }))
}

/// What belongs to a closed shift and was not known when it was closed: events of exits, and changes of exits that were counted.
#[derive(Debug)]
pub struct Late<L> {
    /// With what was taken, VND.
    pub exits: Vec<((L, u64), i64)>,
    pub changes: Vec<ChangeLine<L>>,
}

/// `None`: the closing does not say what it counted.
pub fn late<B: Books>(books: &mut B, shift: &Shift, closed: &ShiftClosed) -> Result<Option<Late<B::Log>>, B::Error> {
    let within = span_of(books, shift)?;
    let mut late = Late { exits: Vec::new(), changes: Vec::new() };
    // By log: how far it was counted.
    let mut known: BTreeMap<B::Log, u64> = BTreeMap::new();
    let mut lines = Vec::new();
    takings_of(books, &[(shift, within)], &mut |_, taking| {
        lines.extend(taking.place.clone().map(|place| (place, taking.fee)));
    })?;
    if closed.counted.is_none() {
        return Ok(None);
    }
    let mut is_counted = |books: &mut B, (log, seq): &(B::Log, u64)| -> Result<bool, B::Error> {
        if let Some(to) = known.get(log) {
            return Ok(seq <= to);
        }
        let name = books.log(log.clone())?;
        let to = closed.counted.iter().flatten().find(|counted| counted.log == name).map_or(0, |counted| counted.to);
        known.insert(log.clone(), to);
        Ok(*seq <= to)
    };
    for (place, fee) in lines {
        if !is_counted(books, &place)? {
            late.exits.push((place, fee));
        }
    }
    let changes = changes_at(books, shift, within)?;
    for change in moved(books, changes)? {
        let of_counted = match &change.exit {
            Some(exit) => is_counted(books, exit)?,
            None => true,
        };
        if of_counted && !is_counted(books, &change.place)? {
            late.changes.push(change);
        }
    }
    Ok(Some(late))
}
