//! A database some of whose pages cannot be read: a new file is written from what is made from nothing else, which takes its name. What is
//! made from the events is empty in it, and marked to be made anew.
//!
//! Until the new file is whole and on the disk nothing has changed; the damaged one stays, under a name of its own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use log::{error, info};
use rusqlite::config::DbConfig;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, params_from_iter};

use super::directory::{DataDir, Mark, free_bytes};
use super::error::StoreError;
use super::files::{aside, beside, index_of, log_of};
use super::schema::{self, event_place, event_row};
use super::{log_heads, writer};

/// What is made from nothing else, and how its rows are numbered.
const KEPT: [(&str, bool); 7] = [
    ("log", true),
    ("event", true),
    ("audit", true),
    ("start", true),
    ("p2p_sync_state", true),
    ("legacy_cursor", false),
    ("seen_start", false),
];
/// Rows copied in one go.
const ROWS: i64 = 1_000;
/// Behind a page that cannot be read so many numbers are tried, one by one, where nothing says which come next.
const MOST_TRIED: i64 = 10_000;

/// What came of it.
#[derive(Debug)]
pub struct Salvaged {
    /// Where the damaged file lies.
    pub kept: PathBuf,
    /// What of it could not be read, for people.
    pub lost: Vec<String>,
}

/// Writes the new file and gives it the name. Nobody else may write to the old one meanwhile, and all who have it open have to open the new
/// one afterwards.
///
/// # Errors
/// The old file cannot be read at all, or the new one not be written: then nothing has changed.
pub fn salvage(directory: &DataDir) -> Result<Salvaged, StoreError> {
    let path = directory.database();
    let unusable = |source| StoreError::Directory { path: path.clone(), source };
    let old = Connection::open(&path).map_err(|error| StoreError::cannot_open(&path, error))?;
    // Closing it must not remove the log of the file that has its name by then.
    old.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    old.busy_timeout(writer::BUSY_TIMEOUT)?;
    schema::check_current(&old, &path)?;
    // Before the log is touched: the new one is at most as large.
    let needed = fs::metadata(&path).map_err(unusable)?.len();
    if free_bytes(directory.path())? < needed {
        return Err(unusable(io::ErrorKind::StorageFull.into()));
    }
    // All of it in one file, so that the two change places in one step.
    let busy: i64 = old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
    if busy != 0 {
        return Err(unusable(io::ErrorKind::ResourceBusy.into()));
    }
    error!(event = "database_salvaging", file = path.display().to_string(); "pages of the database cannot be read: a new one is written from what can");
    let anew = beside(&path, ".anew");
    remove(&anew).map_err(unusable)?;
    let lost = write(&old, &anew);
    let lost = match lost
        .and_then(|lost| File::open(&anew).and_then(|file| file.sync_all()).map_err(unusable).map(|()| lost))
    {
        Ok(lost) => lost,
        Err(error) => {
            drop(remove(&anew));
            return Err(error);
        }
    };
    let kept = aside(&path, "damaged");
    drop(directory.put_mark(Mark::Opening));
    fs::hard_link(&path, &kept)
        .or_else(|_| fs::copy(&path, &kept).map(drop))
        .and_then(|()| fs::rename(&anew, &path))
        .map_err(unusable)?;
    for file in [log_of(&path), index_of(&path)] {
        drop(fs::remove_file(file));
    }
    directory.sync()?;
    directory.forget_database();
    let place = kept.display().to_string();
    info!(event = "database_salvaged", kept = place.as_str(), lost = lost.len(); "the new database has the name of the damaged one");
    Ok(Salvaged { kept, lost })
}

/// A file of an earlier try, and what lies beside it.
fn remove(path: &Path) -> io::Result<()> {
    for file in [path.to_owned(), beside(path, "-journal"), log_of(path), index_of(path)] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn write(old: &Connection, path: &Path) -> Result<Vec<String>, StoreError> {
    let mut new = Connection::open(path).map_err(|error| StoreError::cannot_open(path, error))?;
    schema::migrate(&mut new, path)?;
    // It is synced once it is whole.
    new.pragma_update(None, "synchronous", "OFF")?;
    let (mut lost, mut events) = (Vec::new(), 0_u64);
    let log_heads::LogHeads { logs, lost: nameless, .. } = log_heads::read(old)?;
    lost.extend(nameless.iter().map(|number| format!("all events of log number {number}")));
    let transaction = new.transaction()?;
    for (table, has_numbers) in KEPT {
        let mut copy = Copy { old, new: &transaction, table, lost: &mut lost };
        match table {
            // What cannot be read of it the events have said.
            "log" => {
                for log in &logs {
                    let row = (log.number, log.log.to_string(), log.head.to.cast_signed(), &log.head.hash.0);
                    transaction.execute("INSERT INTO log VALUES(?1, ?2, ?3, ?4)", row)?;
                }
            }
            "event" => {
                for log in &logs {
                    let rows = [1, log.head.to].map(|seq| event_row(log.number, seq));
                    let [Some(first), Some(last)] = rows else { continue };
                    events += copy.numbered(first, Some(last), &|first, last| {
                        let [first, last] = [first, last].map(|row| event_place(row).1);
                        match first {
                            _ if first == last => format!("event {first} of the log {}", log.log),
                            _ => format!("events {first} to {last} of the log {}", log.log),
                        }
                    })?;
                }
            }
            _ if has_numbers => {
                copy.numbered(1, None, &|first, last| format!("rows {first} to {last} of table {table}"))?;
            }
            _ => copy.unnumbered()?,
        }
    }
    // No number of a row is given twice, as far as can be known: none has more rows than events.
    let next = "SELECT next_history_id FROM ledger WHERE typeof(next_history_id) = 'integer'";
    let next: i64 = old.query_row(next, (), |row| row.get(0)).unwrap_or_else(|_| events.cast_signed() + 1);
    let held: u64 = logs.iter().map(|log| log.head.to).sum();
    if held > 0 && events == 0 {
        return Err(StoreError::Unreadable("any event".into()));
    }
    transaction
        .execute("UPDATE ledger SET rules = 0, events = ?1, next_history_id = ?2", (held.cast_signed(), next.max(1)))?;
    transaction.commit()?;
    new.close().map_err(|(_, error)| error)?;
    Ok(lost)
}

/// One table on its way.
struct Copy<'a> {
    old: &'a Connection,
    new: &'a Connection,
    table: &'static str,
    lost: &'a mut Vec<String>,
}

impl Copy<'_> {
    /// The rows with numbers from the first to the last; what of them cannot be read is left out and told. How many were copied.
    fn numbered(
        &mut self,
        first: i64,
        last: Option<i64>,
        name: &dyn Fn(i64, i64) -> String,
    ) -> Result<u64, StoreError> {
        let end = last.unwrap_or(i64::MAX);
        let (mut next, mut copied) = (first, 0);
        // From which number on none could be read.
        let mut gap = None;
        while next <= end {
            let (rows, reached, ended) = self.some(next, end);
            copied += rows;
            if let Some(reached) = reached {
                self.lost.extend(gap.take().map(|from| name(from, next - 1)));
                next = reached.saturating_add(1);
            }
            match ended {
                Ok(()) if rows == 0 || reached == Some(end) => break,
                Ok(()) => {}
                Err(error) if is_unreadable(&error) => {
                    let from = *gap.get_or_insert(next);
                    // What comes next may lie on a page that can be read.
                    next = next.saturating_add(1);
                    if last.is_none() && next - from > MOST_TRIED {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.lost.extend(gap.map(|from| name(from, next - 1)));
        Ok(copied)
    }

    /// Some rows from a number on; how many, the number of the last, and what ended it.
    fn some(&self, from: i64, last: i64) -> (u64, Option<i64>, Result<(), StoreError>) {
        let (mut copied, mut reached) = (0, None);
        let sql =
            format!("SELECT rowid, * FROM {} WHERE rowid >= ?1 AND rowid <= ?2 ORDER BY rowid LIMIT ?3", self.table);
        let mut copy = || -> Result<(), StoreError> {
            let mut statement = self.old.prepare_cached(&sql)?;
            let mut rows = statement.query([from, last, ROWS])?;
            while let Some(row) = rows.next()? {
                let number = row.get(0)?;
                self.put(row, 1)?;
                (copied, reached) = (copied + 1, Some(number));
            }
            Ok(())
        };
        let ended = copy();
        (copied, reached, ended)
    }

    /// All rows up to the first that cannot be read.
    fn unnumbered(&mut self) -> Result<(), StoreError> {
        let copy = || -> Result<(), StoreError> {
            let mut statement = self.old.prepare(&format!("SELECT * FROM {}", self.table))?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()? {
                self.put(row, 0)?;
            }
            Ok(())
        };
        match copy() {
            Err(error) if is_unreadable(&error) => self.lost.push(format!("some of table {}", self.table)),
            copied => copied?,
        }
        Ok(())
    }

    /// A row as it is, texts that are none included.
    fn put(&self, row: &rusqlite::Row<'_>, from: usize) -> Result<(), StoreError> {
        let columns = row.as_ref().column_count();
        let blanks = vec!["?"; columns - from].join(", ");
        let values = (from..columns)
            .map(|column| Ok(ToSqlOutput::Borrowed(row.get_ref(column)?)))
            .collect::<Result<Vec<_>, rusqlite::Error>>()?;
        let sql = format!("INSERT INTO {} VALUES({blanks})", self.table);
        self.new.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        Ok(())
    }
}

/// Of the old file: a page that is none, or a value that its table does not allow.
fn is_unreadable(error: &StoreError) -> bool {
    error.is_broken_page() || error.is_of_derived()
}
