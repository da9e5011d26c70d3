//! Checks a whole file: is it SQLite's own idea of whole, does every log hang together, does every row point at facts that are
//! held. Whether the rows are what the facts give, only the ledger can say: [`Evidence`] hands it the events and the rows.
//!
//! The directory must not be in use: the check takes its lock.

use std::fmt;

use rusqlite::{Connection, OpenFlags};

use super::directory::DataDir;
use super::error::StoreError;
use super::log_numbers::LogNumbers;
use super::reader::{read_event, read_hash, read_head};
use super::schema::{self, event_place, event_row_of};
use super::stay_columns::{STAY_COLUMNS, read_stay};
use crate::domain::ids::LogId;
use crate::ledger::storage::{EventRef, StoredStay};
use crate::replication::log::{ChainHash, EventBytes, Head};

/// At most so many findings are told; a damaged file has millions.
const MAX_FINDINGS: usize = 100;
/// Page cache of a check, in KiB.
const CACHE_KIB: i64 = 16 * 1024;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// What SQLite says about the file's structure.
    Structure(String),
    /// The table of logs says the log ends elsewhere than its events do.
    Head { log: LogId, said: u64, found: u64 },
    /// The event's stored hash is not what the chain gives.
    Chain { log: LogId, seq: u64 },
    /// An event between others is missing.
    Hole { log: LogId, seq: u64 },
    /// Events of a log nobody numbered.
    UnknownLog { number: i64 },
    /// A row of the history that cannot be read.
    Row { row_id: i64, why: String },
    /// A row of the history that names an event that is not held.
    Fact { row_id: i64, event: EventRef },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Structure(text) => write!(f, "file structure: {text}"),
            Self::Head { log, said, found } => write!(f, "log {log} is said to end at {said} and ends at {found}"),
            Self::Chain { log, seq } => write!(f, "log {log}: the chain hash of event {seq} is wrong"),
            Self::Hole { log, seq } => write!(f, "log {log}: event {seq} is missing"),
            Self::UnknownLog { number } => write!(f, "there are events of log number {number}, which has no name"),
            Self::Row { row_id, why } => write!(f, "history row {row_id} cannot be read: {why}"),
            Self::Fact { row_id, event } => {
                write!(f, "history row {row_id} names event {}/{}, which is not held", event.log, event.seq)
            }
        }
    }
}

/// What was checked and found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub logs: u64,
    pub events: u64,
    pub rows: u64,
    /// The first of them, see [`Report::more_findings`].
    pub findings: Vec<Finding>,
    /// Findings beyond those told.
    pub more_findings: u64,
}

impl Report {
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS { self.findings.push(finding) } else { self.more_findings += 1 }
    }
}

/// A read-only look at the file of a directory nobody uses.
#[derive(Debug)]
pub struct Evidence {
    connection: Connection,
    logs: LogNumbers,
    _directory: DataDir,
}

impl Evidence {
    /// # Errors
    /// As [`schema::check_version`]; [`StoreError::Directory`] if there is no file.
    pub fn open(directory: &DataDir) -> Result<Self, StoreError> {
        let path = directory.database();
        // For writing, though nothing is written: after a crash the write-ahead log has to be read in first.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&path, flags).map_err(|error| StoreError::cannot_open(&path, error))?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        if schema::check_version(&connection, &path)? != schema::current_version() {
            return Err(StoreError::NotADatabase { path, detail: "it was never opened by the server".into() });
        }
        Ok(Self { connection, logs: LogNumbers::default(), _directory: directory.clone() })
    }

    /// The chains, the holes, the rows and what they name.
    ///
    /// # Errors
    /// Only if the file cannot be read at all; what is wrong with it is in the report.
    pub fn check(&mut self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let mut statement = self.connection.prepare("PRAGMA quick_check(20)")?;
        let texts = statement.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        drop(statement);
        for text in texts.into_iter().filter(|text| text != "ok") {
            report.add(Finding::Structure(text));
        }
        self.check_logs(&mut report)?;
        self.check_rows(&mut report)?;
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

    fn check_logs(&mut self, report: &mut Report) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare("SELECT no, name, head, hash FROM log ORDER BY no")?;
        let mut rows = statement.query(())?;
        let mut last_number = 0;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let log = self.logs.name(&self.connection, number)?;
            let said = read_head(row, 2)?;
            report.logs += u64::from(said.to > 0);
            self.check_log(&log, number, said, report)?;
            last_number = number;
        }
        let stray: Option<i64> = self.connection.query_row("SELECT max(id) FROM event", (), |row| row.get(0))?;
        if let Some((number, _)) = stray.map(event_place).filter(|(number, _)| *number > last_number) {
            report.add(Finding::UnknownLog { number });
        }
        Ok(())
    }

    fn check_log(&self, log: &LogId, number: i64, said: Head, report: &mut Report) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, bytes, hash FROM event WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
        let mut rows = statement.query([event_row_of(log, number, 0)?, event_row_of(log, number + 1, 0)?])?;
        let mut held = Head::empty(log);
        while let Some(row) = rows.next()? {
            let (_, seq) = event_place(row.get(0)?);
            let stored = read_hash(row.get_ref(2)?)?;
            if seq != held.to + 1 {
                report.add(Finding::Hole { log: log.clone(), seq: held.to + 1 });
            } else if held.hash.extend(&read_event(row.get_ref(1)?)?) != stored {
                report.add(Finding::Chain { log: log.clone(), seq });
            }
            held = Head { to: seq, hash: stored };
            report.events += 1;
        }
        if held != said {
            report.add(Finding::Head { log: log.clone(), said: said.to, found: held.to });
        }
        Ok(())
    }

    fn check_rows(&mut self, report: &mut Report) -> Result<(), StoreError> {
        let sql = format!("SELECT {STAY_COLUMNS} FROM history ORDER BY id");
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            report.rows += 1;
            if let Err(error) = read_stay(&self.connection, &mut self.logs, row) {
                report.add(Finding::Row { row_id: row.get(0)?, why: error.to_string() });
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
                    report.add(Finding::Fact { row_id: row.get(0)?, event });
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
pub fn verify(directory: &DataDir) -> Result<Report, StoreError> {
    Evidence::open(directory)?.check()
}

fn store(error: rusqlite::Error) -> StoreError {
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_beyond_the_first_hundred_are_counted() {
        let mut report = Report::default();
        assert!(report.is_whole());
        for number in 0..130 {
            report.add(Finding::UnknownLog { number });
        }
        assert_eq!((report.findings.len(), report.more_findings), (100, 30));
        assert!(!report.is_whole());
    }
}
