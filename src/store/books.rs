//! Shifts, payments and what was taken: the tables `taking`, `shift`, `money_change` and `payment`, for the writer and for readers.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use super::error::StoreError;
use super::log_numbers::LogNumbers;
use super::reader::read_event;
use super::schema::event_place;
use crate::domain::ids::{FactId, Hlc, LogId};
use crate::domain::money::Vnd;
use crate::domain::payment::Method;
use crate::domain::stay::{Fact, ToldThere};
use crate::ledger::sheet::{self, AtGate, Books, ChangeLine, GateName, Span, TakenWhere, TakingLine};
use crate::ledger::storage::{Shift, ShiftClosing, ShiftOpening};

const SHIFT_COLUMNS: &str =
    "id, central, edge_id, from_ms, person, opened, opened_hlc, until_ms, closed, closed_hlc, lane_edges";
const CHANGE_COLUMNS: &str = "event, at_ms, central, edge_id, exit_ms, taken_by, method, exit, change";

/// The first gate after another that ever had a shift.
pub(super) const NEXT_GATE: &str = "SELECT central, edge_id FROM shift WHERE opened IS NOT NULL AND \
     (central, edge_id) > (?1, ?2) ORDER BY central, edge_id LIMIT 1";
pub(super) const NEXT_AT_GATE: &str = "SELECT from_ms FROM shift WHERE opened IS NOT NULL AND central = ?1 AND \
     edge_id = ?2 AND from_ms >= ?3 AND (from_ms > ?3 OR id > ?4) AND from_ms < ?5 ORDER BY from_ms LIMIT 1";
/// The same where the gate is another edge of the lane a shift was opened at.
pub(super) const NEXT_OF_LANE: &str = "SELECT from_ms FROM shift WHERE opened IS NOT NULL AND lane_edges IS NOT NULL AND \
     central = ?1 AND from_ms >= ?3 AND (from_ms > ?3 OR id > ?4) AND from_ms < ?5 AND \
     EXISTS(SELECT 1 FROM json_each(lane_edges) WHERE value = ?2) ORDER BY from_ms LIMIT 1";
/// Of all gates where the first parameter is NULL, here and below.
pub(super) const TAKINGS: &str = "SELECT exit_ms, taken_by, method, camera_type, fee, fact, also, central, edge_id, told_there, excess FROM taking \
     WHERE exit_ms >= ?3 AND exit_ms < ?4 AND (?1 IS NULL OR central = ?1 AND edge_id = ?2)";
/// What was paid beyond what was taken.
pub(super) const EXCESSES: &str = "SELECT exit_ms, central, edge_id, taken_by, method, camera_type, excess, fact, told_there FROM taking INDEXED BY taking_excess \
     WHERE excess IS NOT NULL AND exit_ms >= ?1 AND exit_ms < ?2 ORDER BY exit_ms";
pub(super) const EXCESS_AT: &str = "SELECT excess FROM taking WHERE exit_ms = ?1 AND fact = ?2 AND excess IS NOT NULL";
pub(super) const ENTRIES_OF_QUARTERS: &str = "SELECT quarter, entries, central, edge_id FROM quarter_total \
     WHERE quarter >= ?3 AND quarter < ?4 AND entries <> 0 AND (?1 IS NULL OR central = ?1 AND edge_id = ?2)";
pub(super) const ENTRIES: &str = "SELECT entry_ms, source_central, edge_id FROM history WHERE entry_ms >= ?3 AND entry_ms < ?4 \
     AND (?1 IS NULL OR source_central = ?1 AND edge_id = ?2) AND status IN ('IN', 'OUT', 'LEFT_UNSEEN') \
     AND (exit_event IS NULL OR exit_event <> entry_event)";

pub(super) fn changes(filter: &str) -> String {
    format!("SELECT {CHANGE_COLUMNS} FROM money_change WHERE {filter}")
}

pub(super) const CHANGES_BY: &str = "changed_by = ?1 AND at_ms >= ?2 AND at_ms < ?3";
pub(super) const CHANGES_AT: &str = "central = ?1 AND edge_id = ?2 AND exit_ms >= ?3 AND exit_ms < ?4";

pub(super) fn shifts(filter: &str) -> String {
    format!("SELECT {SHIFT_COLUMNS} FROM shift WHERE {filter}")
}

pub(super) const SHIFT: &str = "id = ?1";
pub(super) const LAST_AT_GATE: &str =
    "opened IS NOT NULL AND central = ?1 AND edge_id = ?2 AND from_ms < ?3 ORDER BY from_ms DESC LIMIT 1";
pub(super) const LAST_OF_LANE: &str = "opened IS NOT NULL AND lane_edges IS NOT NULL AND central = ?1 AND from_ms < ?3 AND \
     EXISTS(SELECT 1 FROM json_each(lane_edges) WHERE value = ?2) ORDER BY from_ms DESC LIMIT 1";
pub(super) const OF_PERSON: &str = "opened IS NOT NULL AND person = ?1 AND from_ms > ?2 AND from_ms < ?3";
pub(super) const AT_GATE: &str =
    "opened IS NOT NULL AND central = ?1 AND edge_id = ?2 AND from_ms >= ?3 AND from_ms < ?4";
pub(super) const OPEN: &str = "opened IS NOT NULL AND until_ms IS NULL";

pub(super) const RECOUNTS: &str = "SELECT hlc, event FROM shift_recount WHERE shift = ?1";

/// What tells of a payment with a reference, or says what it is for.
pub(super) const PAYMENTS_UNDER: &str = "SELECT event FROM payment WHERE reference = ?1 UNION ALL \
     SELECT event FROM payment_assigned WHERE reference = ?1";

/// The tables, of whoever has a connection.
pub(super) struct StoredBooks<'c> {
    pub(super) connection: &'c Connection,
    pub(super) logs: &'c mut LogNumbers,
}

impl StoredBooks<'_> {
    /// The shifts a query finds, which is one of the above.
    pub(super) fn find(&mut self, filter: &str, parameters: impl rusqlite::Params) -> Result<Vec<Shift>, StoreError> {
        let mut statement = self.connection.prepare_cached(&shifts(filter))?;
        let mut rows = statement.query(parameters)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(self.read(row)?);
        }
        Ok(found)
    }

    pub(super) fn one(&mut self, filter: &str, parameters: impl rusqlite::Params) -> Result<Option<Shift>, StoreError> {
        Ok(self.find(filter, parameters)?.into_iter().next())
    }

    /// The last shift that began before `before_ms` at a gate or at another edge of its lane.
    pub(super) fn last_at(
        &mut self,
        central: &str,
        edge_id: &str,
        before_ms: i64,
    ) -> Result<Option<Shift>, StoreError> {
        let gate = (central, edge_id, before_ms);
        let (own, of_lane) = (self.one(LAST_AT_GATE, gate)?, self.one(LAST_OF_LANE, gate)?);
        Ok(own.into_iter().chain(of_lane).max_by_key(|shift| (shift.from_ms, shift.id.clone())))
    }

    /// The gates that ever had a shift: one step of the index each.
    pub(super) fn gates(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement = self.connection.prepare_cached(NEXT_GATE)?;
        let mut gates: Vec<(String, String)> = Vec::new();
        loop {
            let (central, edge_id) = gates.last().map_or(("", ""), |(central, edge_id)| (central, edge_id));
            let next = statement.query_row((central, edge_id), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            match next {
                Some(gate) => gates.push(gate),
                None => return Ok(gates),
            }
        }
    }

    fn read(&mut self, row: &Row<'_>) -> Result<Shift, StoreError> {
        let mut place = |event: usize, hlc: usize| -> Result<_, StoreError> {
            let Some(event) = row.get::<_, Option<i64>>(event)? else { return Ok(None) };
            let hlc = Hlc::new(row.get(hlc)?).map_err(|_| StoreError::Value("clock of a shift".into()))?;
            Ok(Some((hlc, self.logs.place(self.connection, event)?)))
        };
        let (opened, closed) = (place(5, 6)?, place(8, 9)?);
        let (person, until_ms) = (row.get(4)?, row.get::<_, Option<i64>>(7)?);
        let lane_edges =
            row.get_ref(10)?.as_str_or_null().map_err(|_| StoreError::Value("the lane of a shift".into()))?;
        let lane_edges = lane_edges.map(serde_json::from_str).transpose();
        let lane_edges = lane_edges.map_err(|_| StoreError::Value("the lane of a shift".into()))?.unwrap_or_default();
        Ok(Shift {
            id: row.get(0)?,
            central: row.get(1)?,
            edge_id: row.get(2)?,
            lane_edges,
            from_ms: row.get(3)?,
            opened: opened.map(|place| ShiftOpening { place, person }),
            closed: closed.zip(until_ms).map(|(place, until_ms)| ShiftClosing { place, until_ms }),
        })
    }

    /// The fact a column names.
    pub(super) fn fact(&mut self, value: ValueRef<'_>) -> Result<FactId, StoreError> {
        match value {
            ValueRef::Integer(event) => self.logs.fact(self.connection, event),
            ValueRef::Blob(digest) => {
                let digest = digest.try_into().map_err(|_| StoreError::Value("what was heard of an exit".into()))?;
                Ok(FactId::Heard(digest))
            }
            _ => Err(StoreError::Value("the exit something was taken at".into())),
        }
    }

    fn changes(&mut self, filter: &str, parameters: impl rusqlite::Params) -> Result<Vec<ChangeLine<i64>>, StoreError> {
        let mut statement = self.connection.prepare_cached(&changes(filter))?;
        let read = |row: &Row<'_>| {
            Ok(ChangeLine {
                place: event_place(row.get(0)?),
                at_ms: row.get(1)?,
                central: row.get(2)?,
                edge_id: row.get(3)?,
                exit_ms: row.get(4)?,
                taken_by: row.get(5)?,
                method: row.get(6)?,
                exit: authored(row.get_ref(7)?),
                change: row.get(8)?,
            })
        };
        Ok(statement.query_map(parameters, read)?.collect::<Result<_, _>>()?)
    }

    /// What is written of a shift, in the order of its columns.
    pub(super) fn write(&self, shift: &Shift, opened: Option<i64>, closed: Option<i64>) -> Result<(), StoreError> {
        let Shift { id, central, edge_id, from_ms, .. } = shift;
        let person = shift.opened.as_ref().map_or("", |opening| opening.person.as_str());
        let opened_hlc = shift.opened.as_ref().map(|opening| opening.place.0.ms());
        let until_ms = shift.closed.as_ref().map(|closing| closing.until_ms);
        let closed_hlc = shift.closed.as_ref().map(|closing| closing.place.0.ms());
        let lane_edges =
            Some(&shift.lane_edges).filter(|edges| !edges.is_empty()).map(|edges| json!(edges).to_string());
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO shift VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?
            .execute((
                id, central, edge_id, from_ms, person, opened, opened_hlc, until_ms, closed, closed_hlc, lane_edges,
            ))?;
        Ok(())
    }
}

/// What the column `told_there` holds: NULL, VND, or less than nothing for [`ToldThere::AsOpened`].
pub(super) fn told_column(told: ToldThere) -> Option<i64> {
    match told {
        ToldThere::Nothing => None,
        ToldThere::Fee(fee) => Some(fee.0),
        ToldThere::AsOpened => Some(-1),
    }
}

pub(super) fn told_there(column: Option<i64>) -> ToldThere {
    match column {
        None => ToldThere::Nothing,
        Some(fee) if fee >= 0 => ToldThere::Fee(Vnd(fee)),
        Some(_) => ToldThere::AsOpened,
    }
}

/// The place of a fact that is an event.
fn authored(fact: ValueRef<'_>) -> Option<(i64, u64)> {
    if let ValueRef::Integer(event) = fact { Some(event_place(event)) } else { None }
}

/// A text as it lies there.
fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, StoreError> {
    row.get_ref(column)?.as_str().map_err(|_| StoreError::Value("a text of a gate or of takings".into()))
}

impl Books for StoredBooks<'_> {
    type Error = StoreError;
    type Log = i64;

    fn log(&mut self, log: i64) -> Result<LogId, StoreError> {
        self.logs.name(self.connection, log)
    }

    fn copies_of(&mut self, fact: &FactId) -> Result<Vec<Fact>, StoreError> {
        let mut rows: Vec<i64> = Vec::new();
        match fact {
            FactId::Authored { log, seq } => rows.extend(self.logs.row(self.connection, log, *seq)?),
            FactId::Heard(digest) => {
                let mut statement = self.connection.prepare_cached("SELECT event FROM heard WHERE fact = ?1")?;
                let mut held = statement.query([digest.as_slice()])?;
                while let Some(row) = held.next()? {
                    rows.push(row.get(0)?);
                }
            }
        }
        let mut statement = self.connection.prepare_cached("SELECT bytes FROM event WHERE id = ?1")?;
        let mut copies = Vec::new();
        for row in rows {
            let bytes = statement.query_row([row], |row| Ok(read_event(row.get_ref(0)?))).optional()?.transpose()?;
            copies.extend(bytes.and_then(|bytes| Fact::read(&bytes)));
        }
        Ok(copies)
    }

    fn is_taken(&mut self, exit_ms: i64, fact: &FactId) -> Result<bool, StoreError> {
        let fact = match fact {
            FactId::Authored { log, seq } => match self.logs.row(self.connection, log, *seq)? {
                Some(row) => Value::Integer(row),
                None => return Ok(false),
            },
            FactId::Heard(digest) => Value::Blob(digest.to_vec()),
        };
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM taking WHERE exit_ms = ?1 AND fact = ?2")?;
        Ok(statement.exists((exit_ms, fact))?)
    }

    fn next_from_ms(&mut self, after: &Shift, edge_id: &str) -> Result<Option<i64>, StoreError> {
        // What begins after its end does not shorten it: the lanes of a year are not walked for a shift of last year.
        let until_ms = after.closed.as_ref().map_or(i64::MAX, |closed| closed.until_ms);
        let mut next: Option<i64> = None;
        for query in [NEXT_AT_GATE, NEXT_OF_LANE] {
            let mut statement = self.connection.prepare_cached(query)?;
            let parameters = (&after.central, edge_id, after.from_ms, &after.id, until_ms);
            let found = statement.query_row(parameters, |row| row.get(0)).optional()?;
            next = next.into_iter().chain(found).min();
        }
        Ok(next)
    }

    fn shifts_of(&mut self, person: &str, (from_ms, until_ms): Span) -> Result<Vec<Shift>, StoreError> {
        self.find(OF_PERSON, (person, from_ms, until_ms))
    }

    fn entries(
        &mut self,
        at: AtGate<'_>,
        (from_ms, until_ms): Span,
        each: &mut dyn FnMut(GateName<'_>, i64),
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(ENTRIES)?;
        let (central, edge_id) = at.unzip();
        let mut rows = statement.query((central, edge_id, from_ms, until_ms))?;
        while let Some(row) = rows.next()? {
            each((text(row, 1)?, text(row, 2)?), row.get(0)?);
        }
        Ok(())
    }

    fn entries_of_quarters(
        &mut self,
        at: AtGate<'_>,
        (first, last): (i64, i64),
        each: &mut dyn FnMut(GateName<'_>, i64, i64),
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(ENTRIES_OF_QUARTERS)?;
        let (central, edge_id) = at.unzip();
        let mut rows = statement.query((central, edge_id, first, last))?;
        while let Some(row) = rows.next()? {
            each((text(row, 2)?, text(row, 3)?), row.get(0)?, row.get(1)?);
        }
        Ok(())
    }

    fn takings(
        &mut self,
        at: AtGate<'_>,
        (from_ms, until_ms): Span,
        each: &mut dyn FnMut(TakingLine<'_, i64>),
    ) -> Result<(), StoreError> {
        let connection = self.connection;
        let mut statement = connection.prepare_cached(TAKINGS)?;
        let (central, edge_id) = at.unzip();
        let mut rows = statement.query((central, edge_id, from_ms, until_ms))?;
        while let Some(row) = rows.next()? {
            let (value, fee) = (row.get_ref(5)?, row.get(4)?);
            let fact = self.fact(value)?;
            let (central, edge_id, taken_by, exit_ms) = (text(row, 7)?, text(row, 8)?, text(row, 1)?, row.get(0)?);
            let at = TakenWhere { central, edge_id, exit_ms, taken_by };
            let told_there = sheet::vouched(self, at, told_there(row.get(9)?), &fact)?.map(|told| told.min(fee));
            let also = row.get_ref(6)?.as_str_or_null().map_err(|_| StoreError::Value("a way of payment".into()))?;
            let also = also.map(serde_json::from_str::<Vec<(Method, Vnd)>>).transpose();
            let also = also.map_err(|_| StoreError::Value("a way of payment".into()))?.unwrap_or_default();
            each(TakingLine {
                central,
                edge_id,
                exit_ms,
                taken_by,
                method: text(row, 2)?,
                camera_type: text(row, 3)?,
                fee,
                also: &also,
                excess: row.get::<_, Option<i64>>(10)?.unwrap_or(0),
                place: authored(value),
                exits: 1,
                told_there,
            });
        }
        Ok(())
    }

    fn changes_by(&mut self, person: &str, (from_ms, until_ms): Span) -> Result<Vec<ChangeLine<i64>>, StoreError> {
        self.changes(CHANGES_BY, (person, from_ms, until_ms))
    }

    fn changes_at(
        &mut self,
        central: &str,
        edge_id: &str,
        (from_ms, until_ms): Span,
    ) -> Result<Vec<ChangeLine<i64>>, StoreError> {
        self.changes(CHANGES_AT, (central, edge_id, from_ms, until_ms))
    }
}
