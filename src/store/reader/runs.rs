//! Runs of a log, for the links: one walk along the clustered rows.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row};

use super::Reader;
use crate::domain::ids::LogId;
use crate::replication::log::{ChainHash, EventBytes, Head, Run};
use crate::store::error::StoreError;
use crate::store::schema::event_row_of;

/// Reads a 32-byte hash.
pub(in crate::store) fn read_hash(value: ValueRef<'_>) -> Result<ChainHash, StoreError> {
    let unreadable = || StoreError::Value("hash".into());
    let bytes = value.as_blob().map_err(|_| unreadable())?;
    Ok(ChainHash(bytes.try_into().map_err(|_| unreadable())?))
}

/// Reads an event's bytes.
pub(in crate::store) fn read_event(value: ValueRef<'_>) -> Result<EventBytes, StoreError> {
    value.as_str().map(Arc::from).map_err(|_| StoreError::Value("event bytes".into()))
}

pub(in crate::store) fn read_head(row: &Row<'_>, from: usize) -> Result<Head, StoreError> {
    let to: i64 = row.get(from)?;
    let to = u64::try_from(to).map_err(|_| StoreError::Value(format!("head {to}")))?;
    Ok(Head { to, hash: read_hash(row.get_ref(from + 1)?)? })
}

impl Reader {
    /// How far a log is held; `None`: nothing of it.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn head(&mut self, log: &LogId) -> Result<Option<Head>, StoreError> {
        let Some(number) = self.logs.find(&self.connection, log)? else { return Ok(None) };
        let mut statement = self.connection.prepare_cached("SELECT head, hash FROM log WHERE no = ?1")?;
        let head = statement.query_row([number], |row| Ok(read_head(row, 0))).optional()?.transpose()?;
        Ok(head.filter(|head| head.to > 0))
    }

    /// Every log of which anything is held.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn heads(&mut self) -> Result<Vec<(LogId, Head)>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT name, head, hash FROM log WHERE head > 0 ORDER BY no")?;
        let mut rows = statement.query(())?;
        let mut heads = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let log = name.parse().map_err(|_| StoreError::Value(format!("log name {name:?}")))?;
            heads.push((log, read_head(row, 1)?));
        }
        Ok(heads)
    }

    /// The events after `after`, as many as fit in `max_bytes` of their bytes, but at least one. `None`: there are none, or
    /// the log is not held up to `after`.
    ///
    /// # Errors
    /// [`StoreError::Hole`] if an event within the log is missing; whatever the disk says.
    pub fn run(&mut self, log: &LogId, after: u64, max_bytes: usize) -> Result<Option<Run>, StoreError> {
        let Some(number) = self.logs.find(&self.connection, log)? else { return Ok(None) };
        // One read transaction, so that the head and the rows belong together.
        let transaction = self.connection.unchecked_transaction()?;
        let head = transaction
            .prepare_cached("SELECT head, hash FROM log WHERE no = ?1")?
            .query_row([number], |row| Ok(read_head(row, 0)))
            .optional()?
            .transpose()?;
        let Some(head) = head.filter(|head| head.to > after) else { return Ok(None) };
        let first = event_row_of(log, number, after)?;
        let last = event_row_of(log, number, head.to)?;
        let prev = if after == 0 {
            ChainHash::genesis(log)
        } else {
            let mut statement = transaction.prepare_cached("SELECT hash FROM event WHERE id = ?1")?;
            let found = statement.query_row([first], |row| Ok(read_hash(row.get_ref(0)?))).optional()?.transpose()?;
            found.ok_or_else(|| StoreError::Hole { log: log.clone(), head, seq: after })?
        };
        let mut statement =
            transaction.prepare_cached("SELECT id, bytes, hash FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id")?;
        let mut rows = statement.query([first, last])?;
        let mut run = Run { log: log.clone(), after, prev, events: Vec::new(), hash: prev };
        let mut bytes = 0;
        let mut expected = first;
        while let Some(row) = rows.next()? {
            expected += 1;
            if row.get::<_, i64>(0)? != expected {
                return Err(StoreError::Hole { log: log.clone(), head, seq: run.head().to + 1 });
            }
            let event = read_event(row.get_ref(1)?)?;
            bytes += event.len();
            if bytes > max_bytes && !run.events.is_empty() {
                break;
            }
            run.events.push(event);
            run.hash = read_hash(row.get_ref(2)?)?;
        }
        if run.events.is_empty() {
            return Err(StoreError::Hole { log: log.clone(), head, seq: after + 1 });
        }
        Ok(Some(run))
    }
}
