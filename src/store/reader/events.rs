//! Events as they lie: runs of a log, for the links, in one walk along the clustered rows; and those that have no effect on any row,
//! set aside because nobody here understands them, or waiting for their entry. Few; newest log places last.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use utoipa::ToSchema;

use super::Reader;
use super::story::place;
use crate::domain::direction::Direction;
use crate::domain::event::{Body, Event};
use crate::domain::explain::apart;
use crate::domain::explain::words::Text;
use crate::domain::ids::{CentralId, LogId};
use crate::domain::named::named;
use crate::domain::stay::Outcome;
use crate::domain::time::SiteZone;
use crate::replication::log::{ChainHash, EventBytes, Head, Run};
use crate::store::error::StoreError;
use crate::store::log_heads;
use crate::store::log_numbers::LogNumbers;
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

    /// The logs of one central and up to where they are held. Asked every second, of a table that has a row for each start of each central.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn logs_of(&mut self, central: &CentralId) -> Result<Vec<(LogId, u64)>, StoreError> {
        let listed = {
            let mut statement = self.connection.prepare_cached("SELECT name, head FROM log WHERE head > 0")?;
            let read = |row: &rusqlite::Row<'_>| Ok((row.get_ref(0)?.as_str()?.parse().ok(), row.get(1)?));
            let rows = statement.query_map((), read)?;
            rows.map(|row| row.ok().and_then(|(log, to): (Option<LogId>, i64)| Some((log?, to.cast_unsigned()))))
                .collect::<Option<Vec<_>>>()
        };
        let of_events = || Ok(self.heads()?.into_iter().map(|(log, head)| (log, head.to)).collect());
        let mut logs = listed.map_or_else(of_events, Ok::<Vec<_>, StoreError>)?;
        logs.retain(|(log, _)| log.central == *central);
        Ok(logs)
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

    /// What of the events of a log behind a place is not as it was written, of so many as fit in `max_bytes`; and where to go on, `None` at
    /// the end. The first place is [`Head::empty`].
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn check_events(
        &mut self,
        log: &LogId,
        from: Head,
        max_bytes: usize,
    ) -> Result<(Vec<String>, Option<Head>), StoreError> {
        let Some(number) = self.logs.find(&self.connection, log)? else { return Ok((Vec::new(), None)) };
        let (first, last) = (event_row_of(log, number, from.to)?, event_row_of(log, number, MAX_SEQ)?);
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, bytes, hash FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id")?;
        let mut rows = statement.query([first, last])?;
        let (mut wrong, mut read) = (Vec::new(), 0);
        // The last event looked at, and its hash if that could be read.
        let (mut at, mut before) = (from.to, Some(from.hash));
        while let Some(row) = rows.next()? {
            let (_, seq) = event_place(row.get(0)?);
            let (bytes, hash) = (read_event(row.get_ref(1)?).ok(), read_hash(row.get_ref(2)?).ok());
            if seq != at + 1 {
                wrong.push(format!("events {} to {} of the log {log}", at + 1, seq - 1));
                before = None;
            }
            let chained = before.zip(bytes.as_ref()).map(|(before, bytes)| before.extend(bytes));
            let is_other = chained.is_some() && chained != hash;
            if bytes.is_none() || hash.is_none() || is_other {
                wrong.push(format!("event {seq} of the log {log}"));
            }
            (at, before) = (seq, hash);
            read += bytes.map_or(0, |bytes| bytes.len());
            if read >= max_bytes
                && let Some(hash) = hash
            {
                return Ok((wrong, Some(Head { to: at, hash })));
            }
        }
        Ok((wrong, None))
    }

    /// The names of all tables.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn tables(&mut self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut statement = self.connection.prepare(sql)?;
        let names = statement.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(names)
    }

    /// What is wrong with the pages of a table, or with the types of its values.
    ///
    /// # Errors
    /// [`StoreError::Value`], or as it cannot be read; whatever the disk says.
    pub fn check_table(&mut self, table: &str) -> Result<(), StoreError> {
        let found: String = self.connection.query_row(&format!("PRAGMA quick_check({table})"), (), |row| row.get(0))?;
        if found == "ok" { Ok(()) } else { Err(StoreError::Value(format!("table {table}: {found}"))) }
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

named! {
    /// Why an event has no effect.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum AsideKind {
        /// It is not understood here.
        Quarantined = "quarantined",
        /// Its entry is not held yet.
        Waiting = "waiting",
        /// A gate opened for a car that could not be read; they are among the quarantined, too, for they are on no row.
        Unread = "unread",
    }
}

impl AsideKind {
    /// `?1`: the row number of the event to go on behind, `?2`: how many.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Quarantined => "SELECT event, reason FROM quarantine WHERE event > ?1 ORDER BY event LIMIT ?2",
            Self::Unread => {
                "SELECT event, reason FROM quarantine WHERE event > ?1 AND reason = 'unread' ORDER BY event LIMIT ?2"
            }
            Self::Waiting => "SELECT event, NULL FROM loose_fact WHERE waiting AND event > ?1 ORDER BY event LIMIT ?2",
        }
    }
}

/// One event set aside.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Aside {
    /// The place it lies at here: the cursor.
    #[serde(skip)]
    pub row: i64,
    pub kind: &'static str,
    /// `{log}/{number}`.
    pub fact: String,
    /// `None` where not even that can be read.
    #[serde(rename = "type")]
    pub type_name: Option<&'static str>,
    pub event_id: Option<String>,
    pub central: String,
    pub edge_id: Option<String>,
    pub time_ms: Option<i64>,
    pub time: Option<String>,
    pub known_ms: i64,
    pub known: String,
    /// Of an exit, and of an opening for a car that could not be read: in or out, and what was taken, in đồng.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<i64>,
    #[serde(flatten)]
    pub text: Text,
}

impl Reader {
    /// Events set aside, behind the place `after`, at most `limit`.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn aside(
        &mut self,
        kind: AsideKind,
        after: i64,
        limit: usize,
        zone: &SiteZone,
    ) -> Result<Vec<Aside>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let mut statement = transaction.prepare_cached(kind.sql())?;
        let mut rows = statement.query((after, i64::try_from(limit).unwrap_or(i64::MAX)))?;
        let mut aside = Vec::new();
        while let Some(row) = rows.next()? {
            aside.push(one(&transaction, &mut self.logs, kind, row.get(0)?, row.get(1)?, zone)?);
        }
        Ok(aside)
    }
}

fn one(
    connection: &Connection,
    logs: &mut LogNumbers,
    kind: AsideKind,
    row: i64,
    reason: Option<String>,
    zone: &SiteZone,
) -> Result<Aside, StoreError> {
    let fact = logs.fact(connection, row)?;
    let mut statement = connection.prepare_cached("SELECT bytes, committed_ms FROM event WHERE id = ?1")?;
    let (bytes, known_ms) =
        statement.query_row([row], |found| Ok((read_event(found.get_ref(0)?), found.get::<_, i64>(1)?)))?;
    let event = Event::parse(&bytes?).ok();
    let outcome = match (kind, &event) {
        (AsideKind::Waiting, Some(event)) => {
            let stay = event.exit_stay().or(event.event_id.as_deref()).unwrap_or_default().to_owned();
            Outcome::Waits { stay }
        }
        _ => Outcome::Skipped { reason: reason.unwrap_or_default() },
    };
    let text = apart(&fact, event.as_ref(), &outcome, zone);
    let from = event.as_ref().map(place);
    let log_central = fact.to_string().split('/').next().unwrap_or_default().to_owned();
    let (central, edge_id) = from.unwrap_or((log_central, None));
    let passage = event.as_ref().and_then(|event| match &event.body {
        Body::Unread(opening) => Some((opening.direction, opening.taken())),
        Body::Exit(exit) => Some((Direction::Exit, Some(exit.fee))),
        _ => None,
    });
    let is_unread = matches!(event.as_ref().map(|event| &event.body), Some(Body::Unread(_)));
    Ok(Aside {
        row,
        kind: if is_unread { AsideKind::Unread } else { kind }.name(),
        fact: fact.to_string(),
        type_name: event.as_ref().map(|event| event.body.type_name()),
        event_id: event.as_ref().and_then(|event| event.event_id.clone()),
        central,
        edge_id,
        time_ms: event.as_ref().map(|event| event.timestamp_ms),
        time: event.as_ref().map(|event| zone.local_text(event.timestamp_ms)),
        known_ms,
        known: zone.local_text(known_ms),
        direction: passage.map(|(direction, _)| direction.name()),
        fee: passage.and_then(|(_, taken)| taken).map(|fee| fee.0),
        text,
    })
}
