//! What a shift comes to, worked out of what is kept of takings, shifts and corrections of money: the same lines for the writer, who
//! closes it, for readers, who show it, and for tests.

use std::collections::BTreeMap;

use crate::domain::ids::LogId;
use crate::domain::money::Vnd;
use crate::domain::payment::{Method, counted};
use crate::domain::shift::{Counted, ShiftClosed, ShiftFigures, is_of, span};

use super::storage::Shift;

/// What was taken at one exit, as it is kept.
#[derive(Debug, Clone, Copy)]
pub struct TakingLine<'l, L> {
    pub edge_id: &'l str,
    pub exit_ms: i64,
    pub taken_by: &'l str,
    pub method: &'l str,
    pub camera_type: &'l str,
    pub fee: i64,
    /// What of it was paid in other ways.
    pub also: &'l [(Method, Vnd)],
    /// The event of it; `None`: a predecessor said so.
    pub place: Option<(L, u64)>,
}

impl<'l, L> TakingLine<'l, L> {
    /// As [`counted`].
    pub fn counted(&self) -> impl Iterator<Item = (&'l str, i64, i64)> + use<'l, L> {
        counted(self.method, self.fee, self.also)
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

/// What is kept of shifts and money. Times are Unix ms.
pub trait Books {
    type Error;
    /// A log, as this file names it.
    type Log: Ord + Clone;

    fn log(&mut self, log: Self::Log) -> Result<LogId, Self::Error>;
    /// When the first shift after another begins at an edge, or at the lane it is of; of two that begin at once the one of the greater id is after.
    fn next_from_ms(&mut self, after: &Shift, edge_id: &str) -> Result<Option<i64>, Self::Error>;
    /// The shifts of a person that begin within, not at its beginning.
    fn shifts_of(&mut self, person: &str, within: Span) -> Result<Vec<Shift>, Self::Error>;
    /// How many cars came in at a gate.
    fn entries(&mut self, central: &str, edge_id: &str, within: Span) -> Result<i64, Self::Error>;
    /// What was taken at the edges of a shift by whomever, by the times of the exits.
    fn takings(
        &mut self,
        at: &Shift,
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

/// From when until before when things belong to a shift.
///
/// # Errors
/// Those of the books, here and below.
pub fn span_of<B: Books>(books: &mut B, shift: &Shift) -> Result<Span, B::Error> {
    let mut next_ms = None;
    for edge_id in shift.edges() {
        next_ms = next_ms.into_iter().chain(books.next_from_ms(shift, edge_id)?).min();
    }
    Ok(span(shift.from_ms, shift.closed.as_ref().map(|closed| closed.until_ms), next_ms))
}

fn person(shift: &Shift) -> &str {
    shift.opened.as_ref().map_or("", |opened| opened.person.as_str())
}

/// Whether what was changed was taken in the shift.
fn is_of_its_exits<L>(change: &ChangeLine<L>, shift: &Shift, (from_ms, until_ms): Span) -> bool {
    shift.is_at(&change.central, &change.edge_id)
        && (from_ms..until_ms).contains(&change.exit_ms)
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
fn changes_at<B: Books>(books: &mut B, shift: &Shift, within: Span) -> Result<Vec<ChangeLine<B::Log>>, B::Error> {
    let mut changes = Vec::new();
    for edge_id in shift.edges() {
        changes.extend(books.changes_at(&shift.central, edge_id, within)?);
    }
    changes.retain(|change| is_of_its_exits(change, shift, within));
    Ok(changes)
}

/// What an opened shift comes to, and how far of each log that something of it is from.
pub fn figures<B: Books>(books: &mut B, shift: &Shift) -> Result<(ShiftFigures, Vec<Counted>), B::Error> {
    let within = span_of(books, shift)?;
    let mut figures = ShiftFigures::default();
    for edge_id in shift.edges() {
        figures.entries += books.entries(&shift.central, edge_id, within)?;
    }
    let mut counted: BTreeMap<B::Log, u64> = BTreeMap::new();
    let mut count = |(log, seq): (B::Log, u64)| {
        let to = counted.entry(log).or_default();
        *to = seq.max(*to);
    };
    books.takings(shift, within, &mut |taking| {
        if is_of(person(shift), taking.taken_by) {
            figures.take(taking.counted(), taking.camera_type);
            taking.place.into_iter().for_each(&mut count);
        }
    })?;
    changes_at(books, shift, within)?.into_iter().for_each(|change| count(change.place));
    let counted = counted.into_iter().map(|(log, to)| Ok(Counted { log: books.log(log)?, to }));
    let mut counted = counted.collect::<Result<Vec<_>, B::Error>>()?;
    counted.sort_by(|a, b| a.log.cmp(&b.log));
    Ok((figures, counted))
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
    books.takings(shift, within, &mut |taking| {
        if let Some(place) = taking.place.filter(|_| is_of(person(shift), taking.taken_by)) {
            lines.push((place, taking.fee));
        }
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
    for change in changes_at(books, shift, within)? {
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
