//! Runs of a log, for the links: one walk along the clustered rows.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row};

use super::Reader;
use crate::domain::ids::LogId;
use crate::replication::log::{ChainHash, EventBytes, Head, Run};
use crate::store::error::StoreError;
use crate::store::log_heads;
use crate::store::schema::{MAX_SEQ, event_place, event_row_of};

/// Reads a 32-byte hash.
pub(in crate::store) fn read_hash(value: ValueRef<'_>) -> Result<ChainHash, StoreError> {
    let unreadable = || StoreError::Unreadable("a hash".into());
    let bytes = value.as_blob().map_err(|_| unreadable())?;
    Ok(ChainHash(bytes.try_into().map_err(|_| unreadable())?))
}

/// Reads an event's bytes.
pub(in crate::store) fn read_event(value: ValueRef<'_>) -> Result<EventBytes, StoreError> {
    value.as_str().map(Arc::from).map_err(|_| StoreError::Unreadable("the bytes of an event".into()))
}

pub(in crate::store) fn read_head(row: &Row<'_>, from: usize) -> Result<Head, StoreError> {
    let to = row.get::<_, i64>(from).ok().and_then(|to| u64::try_from(to).ok());
    let to = to.ok_or_else(|| StoreError::Unreadable("the end of a log".into()))?;
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
        let known = log_heads::read(&self.connection)?.logs.into_iter().map(|known| (known.log, known.head));
        Ok(known.filter(|(_, head)| head.to > 0).collect())
    }

    /// The events of a log after `after` that can be read, in their order and with their numbers, as many as fit in `max_bytes` of
    /// their bytes; of one of which something can be read at least one. Empty: there are no more.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn readable_events(
        &mut self,
        log: &LogId,
        after: u64,
        max_bytes: usize,
    ) -> Result<Vec<(u64, EventBytes)>, StoreError> {
        let Some(number) = self.logs.find(&self.connection, log)? else { return Ok(Vec::new()) };
        let (first, last) = (event_row_of(log, number, after)?, event_row_of(log, number, MAX_SEQ)?);
        let mut statement =
            self.connection.prepare_cached("SELECT id, bytes FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id")?;
        let mut rows = statement.query([first, last])?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let Ok(event) = read_event(row.get_ref(1)?) else { continue };
            bytes += event.len();
            if bytes > max_bytes && !events.is_empty() {
                break;
            }
            events.push((event_place(row.get(0)?).1, event));
        }
        Ok(events)
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
