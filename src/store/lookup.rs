//! What the ledger looks up, with the same statements for the writer and for a reader's transaction.

use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, Params};

use super::error::StoreError;
use super::log_numbers::LogNumbers;
use super::reader::read_event;
use super::schema::{LOOSE_FACTS, request_key, request_weeks};
use super::stay_columns::{read_stay, select_stays};
use crate::domain::event::Event;
use crate::domain::ids::Hlc;
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::ledger::storage::{EventRef, Lookup, StoredStay};
use crate::replication::log::EventBytes;

/// A connection, and the numbers of logs it has met.
pub(super) trait Connected {
    fn parts(&mut self) -> (&Connection, &mut LogNumbers);

    /// This event cannot be read, and is left out.
    fn miss_event(&mut self, _at: &EventRef) {}
}

fn stays(of: &mut impl Connected, filter: &str, key: impl Params) -> Result<Vec<StoredStay>, StoreError> {
    let (connection, logs) = of.parts();
    let mut statement = connection.prepare_cached(&select_stays(filter))?;
    let mut rows = statement.query(key)?;
    let mut stays = Vec::new();
    while let Some(row) = rows.next()? {
        stays.push(read_stay(connection, logs, row)?);
    }
    Ok(stays)
}

fn places(of: &mut impl Connected, sql: &str, key: impl Params) -> Result<Vec<EventRef>, StoreError> {
    let (connection, logs) = of.parts();
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(key)?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        places.push(logs.place(connection, row.get(0)?)?);
    }
    Ok(places)
}

impl<C: Connected> Lookup for C {
    type Error = StoreError;

    fn stay(&mut self, stay_id: &str) -> Result<Option<StoredStay>, StoreError> {
        Ok(stays(self, "event_id = ?1", [stay_id])?.pop())
    }

    fn last_begun(&mut self, plate: &PlateId, before: Hlc) -> Result<Vec<StoredStay>, StoreError> {
        const BEGUN: &str = "plate_id = ?1 AND status NOT IN ('SUPERSEDED', 'VOID') AND entry_hlc < ?2";
        let sql = format!("SELECT entry_hlc FROM history WHERE {BEGUN} ORDER BY entry_hlc DESC LIMIT 1");
        let (connection, _) = self.parts();
        let last: Option<i64> =
            connection.prepare_cached(&sql)?.query_row((plate.as_str(), before.ms()), |row| row.get(0)).optional()?;
        let Some(last) = last else { return Ok(Vec::new()) };
        stays(self, &format!("{BEGUN} AND entry_hlc = ?3"), (plate.as_str(), before.ms(), last))
    }

    fn begun_since(&mut self, plate: &PlateId, since: Hlc, most: usize) -> Result<Vec<StoredStay>, StoreError> {
        let filter = "plate_id = ?1 AND status <> 'VOID' AND entry_hlc >= ?2 ORDER BY entry_hlc, id LIMIT ?3";
        stays(self, filter, (plate.as_str(), since.ms(), i64::try_from(most).unwrap_or(i64::MAX)))
    }

    fn ended_in(&mut self, second: i64, fee: Vnd) -> Result<Vec<StoredStay>, StoreError> {
        let from_ms = second.saturating_mul(1_000);
        stays(self, "exit_ms BETWEEN ?1 AND ?2 AND fee = ?3", (from_ms, from_ms.saturating_add(999), fee.0))
    }

    fn loose_facts(&mut self, key: &str, clocks: RangeInclusive<Hlc>) -> Result<Vec<EventRef>, StoreError> {
        places(self, LOOSE_FACTS, (key, clocks.start().ms(), clocks.end().ms()))
    }

    fn event(&mut self, at: &EventRef) -> Result<Option<EventBytes>, StoreError> {
        let (connection, logs) = self.parts();
        let Some(row) = logs.row(connection, &at.log, at.seq)? else { return Ok(None) };
        let mut statement = connection.prepare_cached("SELECT bytes FROM event WHERE id = ?1")?;
        let read = statement.query_row([row], |row| Ok(read_event(row.get_ref(0)?))).optional()?.transpose();
        drop(statement);
        if matches!(read, Err(StoreError::Unreadable(_))) {
            self.miss_event(at);
            return Ok(None);
        }
        read
    }

    fn events_of_request(
        &mut self,
        edge_id: &str,
        request_id: &str,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<Vec<EventRef>, StoreError> {
        let key = request_key(edge_id, request_id);
        let sql = "SELECT event FROM request WHERE weeks = ?1 AND key = ?2 AND hlc BETWEEN ?3 AND ?4";
        let mut found = Vec::new();
        for weeks in request_weeks(from_ms)..=request_weeks(to_ms) {
            for at in places(self, sql, (weeks, key, from_ms, to_ms))? {
                // Two requests may share a key; the event knows which it carries.
                let carried = self.event(&at)?.and_then(|bytes| Event::parse(&bytes).ok());
                if carried.is_some_and(|event| event.request() == Some((edge_id, request_id))) {
                    found.push(at);
                }
            }
        }
        Ok(found)
    }

    fn events_of_heard(&mut self, fact: &[u8; 32]) -> Result<Vec<EventRef>, StoreError> {
        places(self, "SELECT event FROM heard WHERE fact = ?1", [fact.as_slice()])
    }
}
