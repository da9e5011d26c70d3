//! The table of logs: which are held, and up to where. What cannot be read of it the events say: whose log they are of, and where it
//! ends.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension};

use super::error::StoreError;
use super::reader::{read_event, read_hash, read_head};
use super::schema::{MAX_SEQ, event_place, event_row};
use crate::domain::event::Event;
use crate::domain::ids::LogId;
use crate::replication::log::{ChainHash, Head};

/// Of so many events one should say whose log it is.
const MOST_ASKED: i64 = 64;

/// A row of the table.
#[derive(Debug)]
pub(super) struct KnownLog {
    pub number: i64,
    pub log: LogId,
    pub head: Head,
    /// Name or head are what the events say: the table says nothing that can be read, or another end.
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
    // Of a table whose pages cannot be read the events say all that it said.
    while let Some(row) = unless_broken(rows.next())? {
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
    for (number, name, said) in found {
        let is_named = name.is_some();
        let log = match name {
            Some(log) => Some(log),
            None => named_by_events(connection, number)?.filter(|log| names.insert(log.clone())),
        };
        let Some(log) = log else {
            heads.lost.push(number);
            continue;
        };
        match end_of(connection, &log, number, said)? {
            Some(head) => {
                let is_of_events = !is_named || said != Some(head);
                heads.logs.push(KnownLog { number, log, head, is_of_events });
            }
            None => heads.lost.push(number),
        }
    }
    Ok(heads)
}

fn unless_broken<T>(read: rusqlite::Result<Option<T>>) -> Result<Option<T>, StoreError> {
    match read.map_err(StoreError::from) {
        Err(error) if error.is_broken_page() => Ok(None),
        read => read,
    }
}

/// The numbers of logs of which there are events: one step of the table each.
fn numbers_with_events(connection: &Connection) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM event WHERE id > ?1 ORDER BY id LIMIT 1")?;
    let (mut numbers, mut behind) = (Vec::new(), 0);
    while let Some(row) = unless_broken(statement.query_row([behind], |row| row.get(0)).optional())? {
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
    while let Some(row) = unless_broken(rows.next())? {
        let (_, seq) = event_place(row.get(0)?);
        let said = read_event(row.get_ref(1)?).ok().and_then(|bytes| Event::parse(&bytes).ok());
        if let Some(event) = said.filter(|event| event.seq == seq) {
            return Ok(Some(event.log));
        }
    }
    Ok(None)
}

/// The end of a log by its last event, or as the table says where that ends there, or that event lies on a page that cannot be read;
/// `None`: neither says it.
fn end_of(connection: &Connection, log: &LogId, number: i64, said: Option<Head>) -> Result<Option<Head>, StoreError> {
    match end_by_events(connection, log, number, said) {
        Err(error) if error.is_broken_page() => Ok(said),
        end => end,
    }
}

fn end_by_events(
    connection: &Connection,
    log: &LogId,
    number: i64,
    said: Option<Head>,
) -> Result<Option<Head>, StoreError> {
    let [first, last] = rows_of(number);
    let mut statement = connection
        .prepare_cached("SELECT id, hash, bytes FROM event WHERE id >= ?1 AND id <= ?2 ORDER BY id DESC LIMIT 2")?;
    let mut rows = statement.query([first.max(1), last])?;
    let Some(row) = rows.next()? else { return Ok(Some(Head::empty(log))) };
    let (_, to) = event_place(row.get(0)?);
    let (hash, bytes) = (read_hash(row.get_ref(1)?).ok(), read_event(row.get_ref(2)?).ok());
    let said = said.filter(|said| said.to == to);
    if said.map(|said| said.hash) == hash || hash.is_none() {
        return Ok(said);
    }
    // Two hashes: the one that follows from what stands before.
    let before = match (to, rows.next()?) {
        (1, _) => Some(ChainHash::genesis(log)),
        (_, Some(row)) => read_hash(row.get_ref(1)?).ok(),
        (_, None) => None,
    };
    let chained = before.zip(bytes).map(|(before, bytes)| before.extend(&bytes));
    let of_table = said.filter(|said| Some(said.hash) == chained);
    Ok(of_table.or_else(|| hash.map(|hash| Head { to, hash })))
}
