//! Shifts: their sheets, what belongs to each, and the takings told apart by them.

use std::collections::{BTreeMap, BTreeSet};

use super::Reader;
use super::history::Gate;
use super::rows::{Excess, Takings, add_excess, said_of};
use rusqlite::OptionalExtension as _;

use crate::domain::anomaly::Anomaly;
use crate::domain::event::{Body, Correction, Event, Exit};
use crate::domain::money::Vnd;
use crate::domain::payment::Method;
use crate::domain::shift::{ShiftClosed, ShiftFigures, ShiftOpened, ShiftRecounted};
use crate::domain::stay::{Fact, TakenAs};
use crate::ledger::sheet::{self, Books as _, ChangeLine, Reckoning, Span, TakingLine};
use crate::ledger::storage::{EventRef, Shift};
use crate::store::books::{self, RECOUNTS, StoredBooks};
use crate::store::error::StoreError;
use crate::store::reader::read_event;
use crate::store::schema::event_row;

/// Most facts that are listed beside a sheet.
const MAX_LISTED: usize = 500;

/// A shift, what opened and closed it, and what it comes to by now.
#[derive(Debug, Clone)]
pub struct Sheet {
    pub shift: Shift,
    pub person: String,
    pub opened: ShiftOpened,
    /// With who closed it, as events name him.
    pub closed: Option<(ShiftClosed, String)>,
    /// By all that is applied here; of a closed one what it would be closed with now.
    pub live: ShiftFigures,
    /// What was counted after it was closed, in the order of the events.
    pub recounts: Vec<Recount>,
    /// What was paid beyond what was taken, VND: it is in no figure.
    pub excess: i64,
    /// What other centrals alone say was taken in it, VND: it is in no figure either, and in no drawer.
    pub elsewhere: i64,
}

/// The cash of a closed shift, counted anew.
#[derive(Debug, Clone)]
pub struct Recount {
    /// The event.
    pub fact: String,
    pub at_ms: i64,
    /// Who says so, as events name him.
    pub by: String,
    pub counted: ShiftRecounted,
}

impl Sheet {
    /// What came of it after it was closed; `None`: nothing, or it is open.
    pub fn addendum(&self) -> Option<ShiftFigures> {
        let (closed, _) = self.closed.as_ref()?;
        Some(self.live.since(&closed.figures)).filter(|since| *since != ShiftFigures::default())
    }
}

/// An exit, a correction or a void, as a sheet lists it.
#[derive(Debug, Clone)]
pub struct SheetFact {
    /// The event.
    pub event: Event,
    /// What it adds to what was taken, VND.
    pub amount: i64,
    /// Of what it changes: where, when and how.
    pub central: String,
    pub edge_id: String,
    pub exit_ms: i64,
    pub method: String,
}

/// What another central says of the money of a shift.
#[derive(Debug, Clone)]
pub struct SaidElsewhere {
    pub fact: SheetFact,
    /// It corrects what the gate told, and counts. An exit that the gate did not tell does not.
    pub counts: bool,
}

/// What belongs to a closed shift and was not counted.
#[derive(Debug, Clone)]
pub struct LateFacts {
    pub listed: Vec<SheetFact>,
    /// So many more.
    pub left_off: usize,
    /// What all of them add to what was taken, VND.
    pub amount: i64,
}

/// An exit of a shift.
#[derive(Debug, Clone)]
pub struct SheetExit {
    pub event: Event,
    /// As it counts now, VND.
    pub taken: i64,
    pub method: String,
    /// What of it was paid in other ways.
    pub also: Vec<(Method, Vnd)>,
    pub camera_type: String,
    pub taken_by: String,
    /// What was paid beyond what was taken, VND.
    pub excess: i64,
    /// It names a payment that another exit of the same stay names, too.
    pub payment_used_twice: bool,
}

impl Reader {
    pub(super) fn books(&mut self) -> StoredBooks<'_> {
        StoredBooks { connection: &self.connection, logs: &mut self.logs }
    }

    /// The shift of that id; `None`: its opening is not held.
    ///
    /// # Errors
    /// Whatever the disk says, here and below.
    pub fn sheet(&mut self, id: &str) -> Result<Option<Sheet>, StoreError> {
        let shift = self.books().one(books::SHIFT, [id])?;
        Ok(self.sheets_of(shift.into_iter().collect())?.pop())
    }

    /// The shifts that were open at some time from `start_ms` until before `end_ms`, by gate and beginning.
    pub fn sheets(&mut self, start_ms: i64, end_ms: i64) -> Result<Vec<Sheet>, StoreError> {
        let shifts = self.shifts_within(start_ms, end_ms)?.into_iter().map(|(shift, _)| shift).collect();
        self.sheets_of(shifts)
    }

    /// The shifts that are open, at all gates or at those that are meant.
    pub fn open_sheets(&mut self, at: Option<&Gate>) -> Result<Vec<Sheet>, StoreError> {
        let mut open = self.books().find(books::OPEN, ())?;
        open.retain(|shift| {
            at.is_none_or(|gate| {
                let is_there = |edge_id: &String| shift.is_at(&gate.central, edge_id);
                gate.central == shift.central && gate.edge_id.as_ref().is_none_or(is_there)
            })
        });
        open.sort_by(|a, b| (&a.central, &a.edge_id).cmp(&(&b.central, &b.edge_id)));
        self.sheets_of(open)
    }

    /// At a gate the shifts do not overlap, so beside those that begin within only the last one before can reach into it.
    fn shifts_within(&mut self, start_ms: i64, end_ms: i64) -> Result<Vec<(Shift, Span)>, StoreError> {
        let mut books = self.books();
        let mut within = Vec::new();
        for (central, edge_id) in books.gates()? {
            let mut shifts = books.find(books::LAST_AT_GATE, (&central, &edge_id, start_ms))?;
            shifts.extend(books.find(books::AT_GATE, (&central, &edge_id, start_ms, end_ms))?);
            for shift in shifts {
                let (from_ms, until_ms) = sheet::span_of(&mut books, &shift)?;
                if until_ms > start_ms {
                    within.push((shift, (from_ms.max(start_ms), until_ms.min(end_ms))));
                }
            }
        }
        Ok(within)
    }

    /// Those of which the opening is held.
    fn sheets_of(&mut self, shifts: Vec<Shift>) -> Result<Vec<Sheet>, StoreError> {
        let mut books = self.books();
        let figures = sheet::all_figures(&mut books, &shifts)?;
        let spans = shifts.iter().map(|shift| sheet::span_of(&mut books, shift)).collect::<Result<Vec<_>, _>>()?;
        let within = spans.iter().copied().reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)));
        let excesses = within.map(|(from_ms, until_ms)| self.excesses(from_ms, until_ms)).transpose()?;
        let excesses = excesses.unwrap_or_default();
        let mut sheets = Vec::with_capacity(shifts.len());
        for ((shift, span), Reckoning { figures, elsewhere, .. }) in shifts.into_iter().zip(spans).zip(figures) {
            let of_it = excesses.iter().filter(|excess| is_of(&shift, span, excess));
            let excess = of_it.map(|excess| excess.amount).sum();
            let sheet = self.sheet_of(shift, figures, excess)?;
            sheets.extend(sheet.map(|sheet| Sheet { elsewhere: elsewhere.revenue(), ..sheet }));
        }
        Ok(sheets)
    }

    fn sheet_of(&mut self, shift: Shift, live: ShiftFigures, excess: i64) -> Result<Option<Sheet>, StoreError> {
        let Some(opening) = shift.opened.clone() else { return Ok(None) };
        let Some(Body::ShiftOpened(opened)) = self.event_of(&opening.place.1)?.map(|event| event.body) else {
            return Ok(None);
        };
        let closed = match &shift.closed {
            Some(closing) => self.event_of(&closing.place.1)?,
            None => None,
        };
        let closed = closed.and_then(|event| {
            let by = event.by.as_ref().map(ToString::to_string).unwrap_or_default();
            if let Body::ShiftClosed(closed) = event.body { Some((closed, by)) } else { None }
        });
        let recounts = if closed.is_some() { self.recounts(&shift.id)? } else { Vec::new() };
        Ok(Some(Sheet { shift, person: opening.person, opened, closed, live, recounts, excess, elsewhere: 0 }))
    }

    fn recounts(&self, id: &str) -> Result<Vec<Recount>, StoreError> {
        let mut statement = self.connection.prepare_cached(RECOUNTS)?;
        let events = statement.query_map([id], |row| row.get::<_, i64>(1))?.collect::<Result<Vec<_>, _>>()?;
        let mut recounts = Vec::new();
        for event in events {
            recounts.extend(self.event_in(event)?);
        }
        recounts.sort_by(|a, b| (a.hlc, &a.log, a.seq).cmp(&(b.hlc, &b.log, b.seq)));
        let counted = recounts.into_iter().filter_map(|event| {
            let (fact, at_ms) = (event.fact_id().to_string(), event.timestamp_ms);
            let by = event.by.as_ref().map(ToString::to_string).unwrap_or_default();
            if let Body::ShiftRecounted(counted) = event.body {
                Some(Recount { fact, at_ms, by, counted })
            } else {
                None
            }
        });
        Ok(counted.collect())
    }

    /// What of a closed shift was not counted at its closing; `None`: it does not say what it counted, or is open.
    pub fn late_facts(&mut self, sheet: &Sheet) -> Result<Option<LateFacts>, StoreError> {
        let Some((closed, _)) = &sheet.closed else { return Ok(None) };
        let Some(late) = sheet::late(&mut self.books(), &sheet.shift, closed)? else { return Ok(None) };
        let amount =
            late.exits.iter().map(|(_, fee)| *fee).chain(late.changes.iter().map(|change| change.change)).sum();
        let count = late.exits.len() + late.changes.len();
        let mut listed = Vec::new();
        for ((log, seq), fee) in late.exits.into_iter().take(MAX_LISTED) {
            let Some(event) = self.event_at((log, seq))? else { continue };
            let edge_id = match &event.body {
                Body::Exit(exit) => &exit.exit_edge,
                Body::Unread(opening) => &opening.edge_id,
                _ => &sheet.shift.edge_id,
            };
            let (central, edge_id, exit_ms) = (sheet.shift.central.clone(), edge_id.clone(), event.timestamp_ms);
            listed.push(SheetFact { event, amount: fee, central, edge_id, exit_ms, method: String::new() });
        }
        let room = MAX_LISTED.saturating_sub(listed.len());
        listed.extend(self.changes(late.changes.into_iter().take(room))?);
        Ok(Some(LateFacts { left_off: count.saturating_sub(listed.len()), listed, amount }))
    }

    /// What the person of a shift changed of what was taken, in its time.
    pub fn changes_made(&mut self, sheet: &Sheet) -> Result<Vec<SheetFact>, StoreError> {
        let made = sheet::made_in(&mut self.books(), &sheet.shift)?;
        self.changes(made.into_iter().take(MAX_LISTED))
    }

    /// What other centrals say of the money of a shift, at most [`MAX_LISTED`] of it: exits its gate did not tell and what they add to those it told, which
    /// is in no drawer, and then what they take off, give back to it or write anew. It is found by what counts, not by what who says it says that it changes.
    pub fn said_elsewhere(&mut self, sheet: &Sheet) -> Result<Vec<SaidElsewhere>, StoreError> {
        let (shift, mut books) = (&sheet.shift, self.books());
        let within = sheet::span_of(&mut books, shift)?;
        let (mut told, mut removed) = (Vec::new(), Vec::new());
        sheet::told_of(&mut books, &[(shift, within)], &mut |_, taking, counts| {
            let TakingLine { edge_id, exit_ms, method, fee, exits, place, .. } = *taking;
            let is_whole = exits == 1 && (!counts || taking.told_there == Some(fee));
            let said = (edge_id.to_owned(), exit_ms, method.to_owned(), fee);
            told.extend(place.map(|place| (place, said, counts, is_whole)));
        })?;
        let changes = sheet::changes_at(&mut books, shift, within)?;
        for change in sheet::moved(&mut books, changes)? {
            if books.log(change.place.0)?.central.as_str() != shift.central {
                removed.push(change);
            }
        }
        let beyond: BTreeSet<_> = told.iter().filter(|(.., counts, _)| !counts).map(|(place, ..)| *place).collect();
        let (mut alone, mut counted) = (Vec::new(), Vec::new());
        for (place, (edge_id, exit_ms, method, fee), counts, is_whole) in told {
            let is_whole = is_whole && (!counts || !beyond.contains(&place));
            let Some(event) = self.event_at(place)? else { continue };
            let said = if event.log.central.as_str() == shift.central {
                self.corrected_elsewhere(&event, (fee, &method), counts, is_whole)?
            } else {
                vec![(event, fee)]
            };
            let list = if counts { &mut counted } else { &mut alone };
            list.extend(said.into_iter().map(|(event, amount)| {
                let (central, edge_id, method) = (shift.central.clone(), edge_id.clone(), method.clone());
                SaidElsewhere { fact: SheetFact { event, amount, central, edge_id, exit_ms, method }, counts }
            }));
        }
        let removed = self.changes(removed.into_iter().take(MAX_LISTED))?;
        let removed = removed.into_iter().filter(|fact| match &fact.event.body {
            Body::Void(_) => true,
            Body::Correction(said) => !said.undoes.is_empty(),
            _ => false,
        });
        alone.extend(counted);
        alone.extend(removed.map(|fact| SaidElsewhere { fact, counts: true }));
        alone.truncate(MAX_LISTED);
        Ok(alone)
    }

    /// The corrections in force of an exit by other centrals than the one it was at, each with what it changes: of what counts, `is_whole`: all of it; or
    /// of what is beyond what that central says.
    fn corrected_elsewhere(
        &self,
        exit: &Event,
        (fee, method): (i64, &String),
        counts: bool,
        is_whole: bool,
    ) -> Result<Vec<(Event, i64)>, StoreError> {
        let (Body::Exit(told), id) = (&exit.body, exit.fact_id()) else { return Ok(Vec::new()) };
        let is_lower = counts && is_whole && fee != told.fee.0;
        let is_paid_otherwise = counts && *method != TakenAs::of(exit, told, told.fee).method;
        let stay = exit.exit_stay().or(exit.event_id.as_deref());
        let Some(stay) = stay.filter(|_| !counts || is_lower || is_paid_otherwise) else { return Ok(Vec::new()) };
        let mut said = said_of(&self.connection, stay)?;
        said.sort_by(|a, b| a.place().cmp(&b.place()));
        let of_fee = |it: &Correction| {
            let restores = || !it.undoes.is_empty() && it.money.iter().any(|change| change.exit == id);
            it.right_fee.as_ref().is_some_and(|right| right.exit == id) || (!counts && restores())
        };
        let of_method = |it: &Correction| it.right_method.as_ref().is_some_and(|right| right.exit == id);
        let last = |states: &dyn Fn(&Correction) -> bool| {
            let is_it = |fact: &&Fact| matches!(&fact.event.body, Body::Correction(said) if states(said));
            let last = said.iter().rfind(is_it);
            last.filter(|fact| fact.event.log.central.as_str() != told.exit_central).map(|fact| &fact.event)
        };
        let mut in_force = Vec::new();
        if !counts || is_lower {
            in_force
                .extend(last(&of_fee).map(|event| (Event::clone(event), if counts { fee - told.fee.0 } else { fee })));
        }
        if is_paid_otherwise {
            in_force.extend(last(&of_method).map(|event| (Event::clone(event), 0)));
        }
        if !counts && in_force.is_empty() {
            // It was said of an exit that this one is in place of.
            in_force.push((exit.clone(), fee));
        }
        in_force.dedup_by(|method, fee| (&method.0.log, method.0.seq) == (&fee.0.log, fee.0.seq));
        Ok(in_force)
    }

    fn changes(&mut self, lines: impl Iterator<Item = ChangeLine<i64>>) -> Result<Vec<SheetFact>, StoreError> {
        let mut facts = Vec::new();
        for ChangeLine { place, central, edge_id, exit_ms, method, change, .. } in lines {
            let Some(event) = self.event_at(place)? else { continue };
            facts.push(SheetFact { event, amount: change, central, edge_id, exit_ms, method });
        }
        Ok(facts)
    }

    /// The exits of a shift in the order they were, `limit` of them after the first `skipped`.
    pub fn exits_of(&mut self, sheet: &Sheet, skipped: usize, limit: usize) -> Result<Vec<SheetExit>, StoreError> {
        let mut books = self.books();
        let within = sheet::span_of(&mut books, &sheet.shift)?;
        let (mut places, mut seen) = (Vec::new(), 0_usize);
        sheet::takings_of(&mut books, &[(&sheet.shift, within)], &mut |_, taking| {
            seen += 1;
            let is_on_page = seen > skipped && places.len() < limit;
            if let Some(place) = taking.place.filter(|_| is_on_page) {
                let texts = [taking.method, taking.camera_type, taking.taken_by].map(str::to_owned);
                places.push((place, (taking.fee, taking.also.to_vec(), taking.excess), texts));
            }
        })?;
        let mut exits = Vec::new();
        for (place, (taken, also, excess), [method, camera_type, taken_by]) in places {
            let Some(event) = self.event_at(place)? else { continue };
            let payment_used_twice = self.has_payment_used_twice(&event)?;
            exits.push(SheetExit { event, taken, method, also, camera_type, taken_by, excess, payment_used_twice });
        }
        Ok(exits)
    }

    /// Whether an exit is of a stay of which two exits name one payment, and names any.
    fn has_payment_used_twice(&self, event: &Event) -> Result<bool, StoreError> {
        let Body::Exit(Exit { paid: Some(paid), .. }) = &event.body else { return Ok(false) };
        let Some(stay) = event.exit_stay().filter(|_| paid.ways().any(|(.., reference)| reference.is_some())) else {
            return Ok(false);
        };
        let mut statement = self.connection.prepare_cached("SELECT anomalies FROM history WHERE event_id = ?1")?;
        let anomalies: Option<Option<String>> = statement.query_row([stay], |row| row.get(0)).optional()?;
        let name = Anomaly::PaymentUsedTwice.name();
        Ok(anomalies.flatten().is_some_and(|anomalies| anomalies.split(',').any(|held| held == name)))
    }

    /// [`Reader::takings`], told apart by shift as well: they sum to the same. And the shifts of that time.
    pub fn takings_by_shift(&mut self, start_ms: i64, end_ms: i64) -> Result<(Vec<Takings>, Vec<Shift>), StoreError> {
        // Edge, who took it, by what way, of which type.
        type Key = (String, String, String, String);
        let mut rest: BTreeMap<(String, Key), (i64, i64)> = BTreeMap::new();
        let excesses = self.excesses(start_ms, end_ms)?;
        for taken in self.takings_alone(start_ms, end_ms)? {
            let key = (taken.central, (taken.edge_id, taken.by, taken.method, taken.camera_type));
            rest.insert(key, (taken.exits, taken.revenue));
        }
        let (mut all, mut shifts) = (Vec::new(), Vec::new());
        let within = self.shifts_within(start_ms, end_ms)?;
        let shift_of = |excess: &Excess| {
            within.iter().find(|(shift, span)| is_of(shift, *span, excess)).map(|(shift, _)| shift.id.clone())
        };
        let excesses: Vec<_> = excesses.into_iter().map(|excess| (shift_of(&excess), excess)).collect();
        let looked_at: Vec<(&Shift, Span)> = within.iter().map(|(shift, within)| (shift, *within)).collect();
        let mut of_shifts: Vec<Vec<(Key, (i64, i64))>> = vec![Vec::new(); within.len()];
        sheet::takings_of(&mut self.books(), &looked_at, &mut |place, taking| {
            let Some(sums) = of_shifts.get_mut(place) else { return };
            for (method, exits, revenue) in taking.counted() {
                let parts = [taking.edge_id, taking.taken_by, method, taking.camera_type];
                let is_same = |(key, _): &&mut (Key, (i64, i64))| [&key.0, &key.1, &key.2, &key.3] == parts;
                match sums.iter_mut().find(is_same) {
                    Some((_, sum)) => *sum = (sum.0 + exits, sum.1 + revenue),
                    None => sums.push((parts.map(str::to_owned).into(), (exits, revenue))),
                }
            }
        })?;
        for ((shift, _), mut sums) in within.into_iter().zip(of_shifts) {
            sums.sort();
            for (key, (exits, revenue)) in sums {
                let of = rest.entry((shift.central.clone(), key.clone())).or_default();
                *of = (of.0 - exits, of.1 - revenue);
                all.push(takings((shift.central.clone(), key), Some(shift.id.clone()), (exits, revenue)));
            }
            shifts.push(shift);
        }
        let rest = rest.into_iter().filter(|(_, sum)| *sum != (0, 0));
        all.extend(rest.map(|(key, sum)| takings(key, None, sum)));
        for (shift, excess) in excesses {
            add_excess(&mut all, excess, Some(shift));
        }
        Ok((all, shifts))
    }

    fn event_of(&mut self, at: &EventRef) -> Result<Option<Event>, StoreError> {
        let row = self.logs.row(&self.connection, &at.log, at.seq)?;
        row.map_or(Ok(None), |row| self.event_in(row))
    }

    fn event_at(&mut self, (log, seq): (i64, u64)) -> Result<Option<Event>, StoreError> {
        event_row(log, seq).map_or(Ok(None), |row| self.event_in(row))
    }

    /// `None`: it is not held, or cannot be read.
    fn event_in(&self, row: i64) -> Result<Option<Event>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT bytes FROM event WHERE id = ?1")?;
        let mut rows = statement.query([row])?;
        let bytes = rows.next()?.map(|row| read_event(row.get_ref(0)?)).transpose()?;
        Ok(bytes.and_then(|bytes| Event::parse(&bytes).ok()))
    }
}

/// Whether it came in at a gate of a shift, by its person, in its time.
fn is_of(shift: &Shift, (from_ms, until_ms): Span, excess: &Excess) -> bool {
    let person = shift.opened.as_ref().map_or("", |opening| opening.person.as_str());
    excess.is_told_there
        && (from_ms..until_ms).contains(&excess.exit_ms)
        && shift.is_at(&excess.central, &excess.edge_id)
        && crate::domain::shift::is_of(person, &excess.by)
}

fn takings(
    (central, (edge_id, by, method, camera_type)): (String, (String, String, String, String)),
    shift: Option<String>,
    (exits, revenue): (i64, i64),
) -> Takings {
    Takings { central, edge_id, by, method, camera_type, shift: Some(shift), exits, revenue, excess: 0 }
}
