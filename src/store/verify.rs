//! Checks a whole file: is it SQLite's own idea of whole, does every log hang together, does every row point at facts that are
//! held, is the audit chained from its first entry to its last. Whether the rows are what the facts give, only the ledger can say:
//! [`Evidence`] hands it the events and the rows.
//!
//! The directory must not be in use: the check takes its lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use sha2::{Digest as _, Sha256};

use super::directory::DataDir;
use super::error::StoreError;
use super::files::{index_of, log_of};
use super::left::{self, Left};
use super::log_numbers::LogNumbers;
use super::reader::{gives_way, read_event, read_hash, read_head};
use super::schema::{self, attach_events, event_place, event_row_of};
use super::stay_columns::{STAY_COLUMNS, read_stay};
use crate::domain::audit::{AuditEntry, AuditHash};
use crate::domain::ids::LogId;
use crate::ledger::storage::{EventRef, StoredStay};
use crate::replication::log::{ChainHash, EventBytes, Head};

/// At most so many findings are told; a damaged file has millions.
const MAX_FINDINGS: usize = 100;
/// What is looked up by a key, in one order: the numbers of events are this file's own.
const LOOKUPS: [(&str, &str); 12] = [
    (
        "quarter_total",
        "SELECT quarter || ' ' || central || ' ' || edge_id || ' ' || taken_by || ' ' || method || ' ' || camera_type || ' ' || entries || ' ' || exits || ' ' || revenue \
         FROM quarter_total WHERE entries <> 0 OR exits <> 0 OR revenue <> 0 ORDER BY quarter, central, edge_id, taken_by, method, camera_type",
    ),
    (
        "taking",
        "SELECT exit_ms || ' ' || central || ' ' || edge_id || ' ' || taken_by || ' ' || method || ' ' || camera_type || ' ' || fee || ' ' || coalesce(also, '') || ' ' || \
         coalesce(told_there, '') || ' ' || coalesce(excess, '') AS found FROM taking ORDER BY exit_ms, found",
    ),
    (
        "payment",
        "SELECT reference || ' ' || coalesce(stay, '') || ' ' || method || ' ' || amount AS found FROM payment ORDER BY found",
    ),
    ("payment_assigned", "SELECT reference || ' ' || coalesce(stay, '') AS found FROM payment_assigned ORDER BY found"),
    ("invoice", "SELECT stay AS found FROM invoice ORDER BY found"),
    (
        "invoiced_exit",
        "SELECT exit_ms || ' ' || hlc || ' ' || amount || ' ' || taken AS found FROM invoiced_exit ORDER BY found",
    ),
    ("shift_recount", "SELECT shift || ' ' || hlc AS found FROM shift_recount ORDER BY found"),
    ("request", "SELECT weeks || ' ' || key || ' ' || hlc AS found FROM request ORDER BY found"),
    ("heard", "SELECT fact FROM heard ORDER BY fact"),
    (
        "shift",
        "SELECT id || ' ' || from_ms || ' ' || person || ' ' || coalesce(until_ms, '') || ' ' || coalesce(lane_edges, '') FROM shift ORDER BY id",
    ),
    ("money_change", "SELECT at_ms || ' ' || changed_by || ' ' || change AS found FROM money_change ORDER BY found"),
    ("ledger", "SELECT events FROM ledger"),
];
/// Page cache of a check, in KiB.
const CACHE_KIB: i64 = 16 * 1024;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// What SQLite says about the file's structure.
    Structure(String),
    /// The table of logs says the log ends elsewhere than its events do.
    Head { log: LogId, said: u64, found: u64 },
    /// The event's stored hash is not what the chain gives.
    Chain { log: LogId, seq: u64 },
    /// An event or its hash that cannot be read.
    Event { log: LogId, seq: u64, why: String },
    /// A row of the table of logs that cannot be read.
    Log { number: i64, why: String },
    /// An event between others is missing.
    Hole { log: LogId, seq: u64 },
    /// Events of a log nobody numbered.
    UnknownLog { number: i64 },
    /// A row of the history that is not what the events give.
    OtherRow { stay_id: String },
    /// The sums of all days of a gate are not what the events give.
    Sums { central: String, edge_id: String },
    /// A table by which something is found holds other rows than the events give.
    Lookup { table: &'static str },
    /// A row of the history that cannot be read.
    Row { row_id: i64, why: String },
    /// A text of any table that is none: not UTF-8.
    Text { table: String, row_id: i64, column: String },
    /// A row of the history that names an event that is not held.
    Fact { row_id: i64, event: EventRef },
    /// An entry of the audit that is not as it was written.
    Audit { id: i64, why: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Structure(text) => write!(f, "file structure: {text}"),
            Self::Head { log, said, found } => write!(f, "log {log} is said to end at {said} and ends at {found}"),
            Self::Chain { log, seq } => write!(f, "log {log}: the chain hash of event {seq} is wrong"),
            Self::Event { log, seq, why } => write!(f, "log {log}: event {seq} cannot be read: {why}"),
            Self::Log { number, why } => write!(f, "log number {number} cannot be read: {why}"),
            Self::Hole { log, seq } => write!(f, "log {log}: event {seq} is missing"),
            Self::UnknownLog { number } => write!(f, "there are events of log number {number}, which has no name"),
            Self::OtherRow { stay_id } => write!(f, "history: the row of {stay_id} is not what the events give"),
            Self::Sums { central, edge_id } => {
                write!(f, "the sums of {central}/{edge_id} are not what the events give")
            }
            Self::Lookup { table } => {
                write!(f, "table {table}: its rows are not what the events give; 'parkmesh rebuild' makes them anew")
            }
            Self::Text { table, row_id, column } => write!(f, "{table}: {column} of row {row_id} is not a text"),
            Self::Row { row_id, why } => write!(f, "history row {row_id} cannot be read: {why}"),
            Self::Fact { row_id, event } => {
                write!(f, "history row {row_id} names event {}/{}, which is not held", event.log, event.seq)
            }
            Self::Audit { id, why } => write!(f, "audit: entry {id} {why}"),
        }
    }
}

/// What was checked and found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    pub logs: u64,
    pub events: u64,
    pub rows: u64,
    /// Entries of the audit.
    pub audited: u64,
    /// The first of them, see [`Findings::more_findings`].
    pub findings: Vec<Fault>,
    /// Findings beyond those told.
    pub more_findings: u64,
}

impl Findings {
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    /// One more.
    pub fn add(&mut self, finding: Fault) {
        if self.findings.len() < MAX_FINDINGS { self.findings.push(finding) } else { self.more_findings += 1 }
    }
}

/// A read-only look at the file of a directory nobody uses.
#[derive(Debug)]
pub struct Evidence {
    connection: Connection,
    logs: LogNumbers,
    /// What is wrong with the log.
    of_log: Vec<String>,
    directory: DataDir,
}

impl Evidence {
    /// # Errors
    /// As [`schema::check_version`]; [`StoreError::Directory`] if there is no file.
    pub fn open(directory: &DataDir) -> Result<Self, StoreError> {
        let path = directory.database();
        let left = left::look(directory)?;
        if matches!(left, Left::LogAlone | Left::LogOfAnother) {
            let path = log_of(&path);
            let reason = "only a start of the server may make it anew from that".to_owned();
            return Err(if left == Left::LogAlone {
                StoreError::LogAlone { path, reason }
            } else {
                StoreError::LogOfAnother { path }
            });
        }
        let index = left::IndexSaid::of(&path);
        // Another program that copied the log into the database removed both.
        let is_missing = left == Left::LogMissing && index_of(&path).exists();
        // For writing, though nothing is written: after a crash the write-ahead log has to be read in first.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(&path, flags).map_err(|error| StoreError::cannot_open(&path, error))?;
        gives_way(&mut connection)?;
        // What a kill left stays for the start that tells of it.
        let has_log = std::fs::metadata(log_of(&path)).is_ok_and(|found| found.len() > 0);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        schema::check_current(&connection, &path)?;
        let mut of_log = Vec::new();
        if is_missing {
            of_log.push(
                "the log is gone though the last run did not end in order: what was acknowledged last may be missing"
                    .into(),
            );
        }
        let unread = left::unread(&connection, &path, index)?;
        if unread.is_certain {
            of_log.push(format!("the log is damaged: {} at its end cannot be read", unread.transactions()));
        }
        Ok(Self { connection, logs: LogNumbers::default(), of_log, directory: directory.clone() })
    }

    /// What was made anew beside it from its events, see [`super::writer::Writer::for_once`].
    ///
    /// # Errors
    /// As [`Evidence::open`].
    pub fn made_anew_in(&self, scratch: &DataDir) -> Result<Self, StoreError> {
        let made = Self::open(scratch)?;
        attach_events(&made.connection, &self.directory)?;
        Ok(made)
    }

    /// The chains, the holes, the rows and what they name.
    ///
    /// # Errors
    /// Only if the file cannot be read at all; what is wrong with it is in the report.
    pub fn check(&mut self) -> Result<Findings, StoreError> {
        let mut report = Findings::default();
        self.of_log.iter().for_each(|text| report.add(Fault::Structure(text.clone())));
        let mut statement = self.connection.prepare("PRAGMA quick_check(20)")?;
        let texts = statement.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        drop(statement);
        for text in texts.into_iter().filter(|text| text != "ok") {
            report.add(Fault::Structure(text));
        }
        self.check_logs(&mut report)?;
        self.check_rows(&mut report)?;
        check_audit(&self.connection, &mut report)?;
        self.check_texts(&mut report)?;
        Ok(report)
    }

    /// Every event held, log by log, each log in its order. Stops at the first error of `each`.
    ///
    /// # Errors
    /// What `each` returns, and whatever the disk says.
    pub fn all_events<E: From<StoreError>>(
        &mut self,
        mut each: impl FnMut(EventRef, EventBytes, ChainHash) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self.connection.prepare("SELECT id, bytes, hash FROM event ORDER BY id").map_err(store)?;
        let mut rows = statement.query(()).map_err(store)?;
        while let Some(row) = rows.next().map_err(store)? {
            let at = self.logs.place(&self.connection, row.get(0).map_err(store)?)?;
            let bytes = read_event(row.get_ref(1).map_err(store)?)?;
            each(at, bytes, read_hash(row.get_ref(2).map_err(store)?)?)?;
        }
        Ok(())
    }

    /// Every row of the history, in order of its number. Stops at the first error of `each`.
    ///
    /// # Errors
    /// What `each` returns, [`StoreError::Value`] for a row that cannot be read, and whatever the disk says.
    pub fn all_rows<E: From<StoreError>>(
        &mut self,
        mut each: impl FnMut(StoredStay) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!("SELECT {STAY_COLUMNS} FROM history ORDER BY id");
        let mut statement = self.connection.prepare(&sql).map_err(store)?;
        let mut rows = statement.query(()).map_err(store)?;
        while let Some(row) = rows.next().map_err(store)? {
            each(read_stay(&self.connection, &mut self.logs, row)?)?;
        }
        Ok(())
    }

    /// The rows and sums that are not those of `made`, which was made anew from the same events. Of the sums only those over all
    /// days: a day is one of the zone in which it was summed.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn compare(&mut self, made: &mut Self, report: &mut Findings) -> Result<(), StoreError> {
        let other = |stay_id: String, report: &mut Findings| report.add(Fault::OtherRow { stay_id });
        made.all_rows::<StoreError>(|stored| {
            if self.row_hash(&stored.row.stay_id)? != Some(stored.row.hash()) {
                other(stored.row.stay_id, report);
            }
            Ok(())
        })?;
        self.all_rows::<StoreError>(|stored| {
            if made.row_hash(&stored.row.stay_id)?.is_none() {
                other(stored.row.stay_id, report);
            }
            Ok(())
        })?;
        let (ours, theirs) = (self.sums()?, made.sums()?);
        let gates: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        for gate in gates.into_iter().filter(|gate| ours.get(*gate) != theirs.get(*gate)) {
            report.add(Fault::Sums { central: gate.0.clone(), edge_id: gate.1.clone() });
        }
        for (table, sql) in LOOKUPS {
            if self.lookup(sql)? != made.lookup(sql)? {
                report.add(Fault::Lookup { table });
            }
        }
        // Plates of which nothing is left stay in it.
        let missing = "SELECT plate_id FROM history EXCEPT SELECT plate_id FROM plate";
        if self.connection.prepare(missing)?.exists(())? {
            report.add(Fault::Lookup { table: "plate" });
        }
        Ok(())
    }

    /// A digest of what a statement gives.
    fn lookup(&self, sql: &str) -> Result<[u8; 32], StoreError> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query(())?;
        let mut digest = Sha256::new();
        while let Some(row) = rows.next()? {
            digest.update(format!("{:?}", row.get_ref(0)?));
        }
        Ok(digest.finalize().into())
    }

    fn row_hash(&mut self, stay_id: &str) -> Result<Option<[u8; 32]>, StoreError> {
        let sql = format!("SELECT {STAY_COLUMNS} FROM history WHERE event_id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([stay_id])?;
        let row = rows.next()?.map(|row| read_stay(&self.connection, &mut self.logs, row)).transpose()?;
        Ok(row.map(|stored| stored.row.hash()))
    }

    /// Entries, exits and revenue of each gate over all days, and the exits and revenue that are found there by time; gates of which
    /// nothing is left are left out.
    fn sums(&self) -> Result<BTreeMap<(String, String), [i64; 5]>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT central, edge_id, sum(entries), sum(exits), sum(revenue), sum(taken), sum(fees) FROM (
               SELECT central, edge_id, entries, exits, revenue, 0 AS taken, 0 AS fees FROM quarter_total
               UNION ALL SELECT central, edge_id, 0, 0, 0, 1, fee FROM taking) GROUP BY central, edge_id",
        )?;
        let read = |row: &rusqlite::Row<'_>| {
            let sums = [row.get::<_, i64>(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?];
            Ok(((row.get(0)?, row.get(1)?), sums))
        };
        let all = statement.query_map((), read)?.collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(all.into_iter().filter(|(_, sums)| *sums != [0; 5]).collect())
    }

    fn check_logs(&mut self, report: &mut Findings) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare("SELECT no, name, head, hash FROM log ORDER BY no")?;
        let mut rows = statement.query(())?;
        let mut last_number = 0;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            last_number = number;
            match self.logs.name(&self.connection, number).and_then(|log| Ok((log, read_head(row, 2)?))) {
                Ok((log, said)) => {
                    report.logs += u64::from(said.to > 0);
                    self.check_log(&log, number, said, report)?;
                }
                Err(error) => report.add(Fault::Log { number, why: error.to_string() }),
            }
        }
        let stray: Option<i64> = self.connection.query_row("SELECT max(id) FROM event", (), |row| row.get(0))?;
        if let Some((number, _)) = stray.map(event_place).filter(|(number, _)| *number > last_number) {
            report.add(Fault::UnknownLog { number });
        }
        Ok(())
    }

    fn check_log(&self, log: &LogId, number: i64, said: Head, report: &mut Findings) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, bytes, hash FROM event WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
        let mut rows = statement.query([event_row_of(log, number, 0)?, event_row_of(log, number + 1, 0)?])?;
        let mut held = Head::empty(log);
        while let Some(row) = rows.next()? {
            let (_, seq) = event_place(row.get(0)?);
            report.events += 1;
            if seq != held.to + 1 {
                report.add(Fault::Hole { log: log.clone(), seq: held.to + 1 });
            }
            let read = read_event(row.get_ref(1)?).and_then(|event| Ok((event, read_hash(row.get_ref(2)?)?)));
            held = match read {
                Ok((event, stored)) => {
                    if seq == held.to + 1 && held.hash.extend(&event) != stored {
                        report.add(Fault::Chain { log: log.clone(), seq });
                    }
                    Head { to: seq, hash: stored }
                }
                Err(error) => {
                    report.add(Fault::Event { log: log.clone(), seq, why: error.to_string() });
                    // What follows is held against nothing, and told as broken too.
                    Head { to: seq, hash: held.hash }
                }
            };
        }
        if held != said {
            report.add(Fault::Head { log: log.clone(), said: said.to, found: held.to });
        }
        Ok(())
    }

    /// SQLite takes any bytes for a text.
    fn check_texts(&self, report: &mut Findings) -> Result<(), StoreError> {
        let mut tables = self
            .connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
        let tables = tables.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        for table in tables {
            let mut statement = self.connection.prepare(&format!("SELECT * FROM \"{table}\""))?;
            let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut rows = statement.query(())?;
            let mut number = 0;
            while let Some(row) = rows.next()? {
                number += 1;
                for (index, column) in columns.iter().enumerate() {
                    if let ValueRef::Text(bytes) = row.get_ref(index)?
                        && std::str::from_utf8(bytes).is_err()
                    {
                        // Where the first column is no number, the place in the table will do.
                        let row_id = row.get(0).unwrap_or(number);
                        report.add(Fault::Text { table: table.clone(), row_id, column: column.clone() });
                    }
                }
            }
        }
        Ok(())
    }

    fn check_rows(&mut self, report: &mut Findings) -> Result<(), StoreError> {
        let sql = format!("SELECT {STAY_COLUMNS} FROM history ORDER BY id");
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            report.rows += 1;
            if let Err(error) = read_stay(&self.connection, &mut self.logs, row) {
                report.add(Fault::Row { row_id: row.get(0)?, why: error.to_string() });
            }
        }
        for column in ["entry_event", "confirm_event", "exit_event"] {
            let sql = format!(
                "SELECT id, {column} FROM history WHERE typeof({column}) = 'integer' \
                 AND NOT EXISTS (SELECT 1 FROM event WHERE event.id = {column})"
            );
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()? {
                if let Ok(event) = self.logs.place(&self.connection, row.get(1)?) {
                    report.add(Fault::Fact { row_id: row.get(0)?, event });
                }
            }
        }
        Ok(())
    }
}

/// Checks the file of a directory nobody uses.
///
/// # Errors
/// As [`Evidence::open`] and [`Evidence::check`].
pub fn verify(directory: &DataDir) -> Result<Findings, StoreError> {
    Evidence::open(directory)?.check()
}

fn store(error: rusqlite::Error) -> StoreError {
    error.into()
}

/// Adds what is wrong to the report.
fn check_audit(connection: &Connection, report: &mut Findings) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT id, at_ms, kind, who, entry, hash FROM audit ORDER BY id")?;
    let mut rows = statement.query(())?;
    let (mut last, mut before) = (0, AuditHash::default());
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let mut wrong = |id, why: &str| report.add(Fault::Audit { id, why: why.to_owned() });
        if id != last + 1 {
            wrong(last + 1, "is missing");
        }
        match read(row) {
            Ok((entry, text, hash)) => {
                if id == last + 1 && AuditEntry::chained(&before, &text) != hash {
                    wrong(id, "or one before it was changed: its chain hash is wrong");
                }
                if !entry.is_some_and(|entry| tells_apart(row, &entry).unwrap_or(false)) {
                    wrong(id, "is not what its columns say");
                }
                before = hash;
            }
            Err(error) => wrong(id, &format!("cannot be read: {error}")),
        }
        report.audited += 1;
        last = id;
    }
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'audit'";
    let written: i64 = connection.query_row(sql, (), |row| row.get(0)).optional()?.unwrap_or(0);
    if written != last {
        report.add(Fault::Audit { id: written.max(last), why: format!("should be the last, and {last} is") });
    }
    Ok(())
}

fn read(row: &Row<'_>) -> Result<(Option<AuditEntry>, String, AuditHash), rusqlite::Error> {
    let text: String = row.get(4)?;
    Ok((serde_json::from_str(&text).ok(), text, row.get(5)?))
}

/// The columns that are told apart say what the entry says.
fn tells_apart(row: &Row<'_>, entry: &AuditEntry) -> Result<bool, rusqlite::Error> {
    let (at_ms, kind, who): (i64, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(at_ms == entry.at_ms && kind == entry.kind.name() && who == entry.who)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_beyond_the_first_hundred_are_counted() {
        let mut report = Findings::default();
        assert!(report.is_whole());
        for number in 0..130 {
            report.add(Fault::UnknownLog { number });
        }
        assert_eq!((report.findings.len(), report.more_findings), (100, 30));
        assert!(!report.is_whole());
    }
}
