//! The table of logs: which are held, and up to where. What cannot be read of it the events say: whose log they are of, and where it
//! ends.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension};

use super::error::StoreError;
use super::reader::{read_event, read_hash, read_head};
use super::schema::{MAX_SEQ, event_place, event_row};
use crate::domain::event::Event;
use crate::domain::ids::LogId;
use crate::replication::log::Head;

/// Of so many events one should say whose log it is.
const MOST_ASKED: i64 = 64;

/// A row of the table.
#[derive(Debug)]
pub(super) struct KnownLog {
    pub number: i64,
    pub log: LogId,
    pub head: Head,
    /// Name or head are what the events say: the table says nothing that can be read.
    pub is_of_events: bool,
}

/// All rows, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct LogHeads {
    pub logs: Vec<KnownLog>,
    /// The numbers of logs of which not even the events say what they are. They lie where they lie; others send them anew, under
    /// another number.
    pub lost: Vec<i64>,
    /// Numbers that no log can have.
    pub impossible: Vec<i64>,
}

pub(super) fn read(connection: &Connection) -> Result<LogHeads, StoreError> {
    let mut statement = connection.prepare_cached("SELECT no, name, head, hash FROM log ORDER BY no")?;
    let mut rows = statement.query(())?;
    let (mut heads, mut found) = (LogHeads::default(), Vec::new());
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        if event_row(number, 0).is_none() {
            heads.impossible.push(number);
            continue;
        }
        let name = row.get_ref(1)?.as_str().ok().and_then(|name| name.parse::<LogId>().ok());
        found.push((number, name, read_head(row, 2).ok()));
    }
    let mut names: HashSet<LogId> = found.iter().filter_map(|(_, name, _)| name.clone()).collect();
    let numbers: HashSet<i64> = found.iter().map(|(number, ..)| *number).collect();
    let unlisted = numbers_with_events(connection)?.into_iter().filter(|number| !numbers.contains(number));
    found.extend(unlisted.map(|number| (number, None, None)));
    for (number, name, head) in found {
        let is_of_events = name.is_none() || head.is_none();
        let log = match name {
            Some(log) => Some(log),
            None => named_by_events(connection, number)?.filter(|log| names.insert(log.clone())),
        };
        let known = match (log, head) {
            (Some(log), Some(head)) => Some((log, head)),
            (Some(log), None) => last_event(connection, &log, number)?.map(|head| (log, head)),
            (None, _) => None,
        };
        match known {
            Some((log, head)) => heads.logs.push(KnownLog { number, log, head, is_of_events }),
            None => heads.lost.push(number),
        }
    }
    Ok(heads)
}

/// The numbers of logs of which there are events: one step of the table each.
fn numbers_with_events(connection: &Connection) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM event WHERE id > ?1 ORDER BY id LIMIT 1")?;
    let (mut numbers, mut behind) = (Vec::new(), 0);
    while let Some(row) = statement.query_row([behind], |row| row.get(0)).optional()? {
        let (number, _) = event_place(row);
        numbers.push(number);
        let [_, last] = rows_of(number);
        behind = last.max(row);
    }
    Ok(numbers)
}

/// The row numbers of the events of a log, the first and the last there can be.
fn rows_of(number: i64) -> [i64; 2] {
    [event_row(number, 0).unwrap_or(0), event_row(number, MAX_SEQ).unwrap_or(0)]
}

fn named_by_events(connection: &Connection, number: i64) -> Result<Option<LogId>, StoreError> {
    let [first, last] = rows_of(number);
    let mut statement =
        connection.prepare_cached("SELECT id, bytes FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3")?;
    let mut rows = statement.query((first, last, MOST_ASKED))?;
    while let Some(row) = rows.next()? {
        let (_, seq) = event_place(row.get(0)?);
        let said = read_event(row.get_ref(1)?).ok().and_then(|bytes| Event::parse(&bytes).ok());
        if let Some(event) = said.filter(|event| event.seq == seq) {
            return Ok(Some(event.log));
        }
    }
    Ok(None)
}

/// The end of a log by its last event; `None`: its hash cannot be read.
fn last_event(connection: &Connection, log: &LogId, number: i64) -> Result<Option<Head>, StoreError> {
    let found = connection
        .prepare_cached("SELECT id, hash FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1")?
        .query_row(rows_of(number), |row| Ok((row.get::<_, i64>(0)?, read_hash(row.get_ref(1)?))))
        .optional()?;
    Ok(match found {
        None => Some(Head::empty(log)),
        Some((row, hash)) => hash.ok().map(|hash| Head { to: event_place(row).1, hash }),
    })
}
