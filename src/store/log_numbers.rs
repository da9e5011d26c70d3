//! The numbers logs have in this file. Every central numbers them as it meets them; the numbers never leave the file.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::error::StoreError;
use super::schema::{event_place, event_row_of};
use crate::domain::ids::{FactId, LogId};
use crate::ledger::storage::EventRef;

/// A memory of table `log`, both ways. A miss is looked up, so that a reader learns what the writer added since.
#[derive(Debug, Default)]
pub(super) struct LogNumbers {
    by_name: HashMap<LogId, i64>,
    by_number: HashMap<i64, LogId>,
    /// The last one asked for: a transaction mostly stays with one log.
    last: Option<(LogId, i64)>,
}

impl LogNumbers {
    pub(super) fn add(&mut self, number: i64, log: LogId) {
        self.by_number.insert(number, log.clone());
        self.by_name.insert(log, number);
    }

    /// Forgets a log whose row was rolled back.
    pub(super) fn remove(&mut self, log: &LogId) {
        self.last = None;
        if let Some(number) = self.by_name.remove(log) {
            self.by_number.remove(&number);
        }
    }

    /// The number of a log; `None`: this file has never met it.
    pub(super) fn find(&mut self, connection: &Connection, log: &LogId) -> Result<Option<i64>, StoreError> {
        if let Some((_, number)) = self.last.as_ref().filter(|(last, _)| last == log) {
            return Ok(Some(*number));
        }
        if let Some(number) = self.by_name.get(log) {
            self.last = Some((log.clone(), *number));
            return Ok(Some(*number));
        }
        let found: Option<i64> = connection
            .prepare_cached("SELECT no FROM log WHERE name = ?1")?
            .query_row([log.to_string()], |row| row.get(0))
            .optional()?;
        if let Some(number) = found {
            self.add(number, log.clone());
        }
        Ok(found)
    }

    /// The log of a number that stands in some row.
    pub(super) fn name(&mut self, connection: &Connection, number: i64) -> Result<LogId, StoreError> {
        if let Some(log) = self.by_number.get(&number) {
            return Ok(log.clone());
        }
        let name: Option<String> = connection
            .prepare_cached("SELECT name FROM log WHERE no = ?1")?
            .query_row([number], |row| row.get(0))
            .optional()?;
        let name = name.ok_or_else(|| StoreError::Value(format!("log number {number}")))?;
        let log: LogId = name.parse().map_err(|_| StoreError::Value(format!("log name {name:?}")))?;
        self.add(number, log.clone());
        Ok(log)
    }

    /// The place an event's row number stands for, as a fact id.
    pub(super) fn fact(&mut self, connection: &Connection, row: i64) -> Result<FactId, StoreError> {
        let EventRef { log, seq } = self.place(connection, row)?;
        Ok(FactId::Authored { log, seq })
    }

    /// The place an event's row number stands for.
    pub(super) fn place(&mut self, connection: &Connection, row: i64) -> Result<EventRef, StoreError> {
        let (number, seq) = event_place(row);
        Ok(EventRef { log: self.name(connection, number)?, seq })
    }

    /// The row number of an event of a known log.
    pub(super) fn row(&mut self, connection: &Connection, log: &LogId, seq: u64) -> Result<Option<i64>, StoreError> {
        self.find(connection, log)?.map(|number| event_row_of(log, number, seq)).transpose()
    }
}
