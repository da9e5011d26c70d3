//! A read-only connection: pages of history, the story of a stay, runs of a log, sums of a day.
//!
//! Every call is one short read of its own and sees what was committed when it began. Short on purpose: a reader that
//! holds on to an old state keeps the write-ahead log from starting over, see [`super::checkpoint`].

mod audit;
mod claimed;
mod events;
mod exits;
mod history;
mod invoices;
pub(super) mod lot;
mod payments;
mod rows;
mod shifts;
mod story;
mod walk;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

#[cfg(test)]
use super::books;
use super::directory::{COPYING, DATABASE_FILE};
use super::error::StoreError;
use super::log_numbers::LogNumbers;
use super::schema;
use crate::background::{WrittenOut, give_way};

pub use audit::{AuditCursor, AuditPage, AuditQuery, AuditRow};
pub use claimed::ClaimedTransfer;
pub use events::{Aside, AsideKind};
pub(super) use events::{read_event, read_hash, read_head};
pub use exits::{CountedExit, ToldExit};
pub use history::{
    CursorError, DEFAULT_PAGE_ROWS, Gate, HistoryCursor, HistoryQuery, MAX_MISSES, MAX_OFFSET, MAX_PAGE_ROWS, PaidBy,
    RowsPage, WithAnomaly, normalised_search,
};
pub use invoices::{ExitToTell, InvoiceBefore, InvoiceDue, InvoiceQuestion, InvoiceScan, TakenNow, ToldInvoice};
pub use lot::{DayCourse, TypeCount};
pub use payments::{OtherPayment, PaymentCursor, PaymentState, ToldPayment};
pub use rows::{DayStats, GateStats, HistoryRow, Payment, SyncState, Takings};
pub use shifts::{LateFacts, Recount, SaidElsewhere, Sheet, SheetExit, SheetFact};
pub use story::{Story, ToldAnomaly, ToldFact};

/// The statements a page may cost, by name, for a test that asks SQLite for their plans.
#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    let lane = |lane: &str| format!("SELECT {} {lane}", rows::HISTORY_COLUMNS);
    vec![
        ("all", lane(walk::ALL)),
        ("skip", walk::SKIP.to_owned()),
        ("status", lane(walk::OF_STATUS)),
        ("anomalies", lane(walk::OF_ANOMALIES)),
        ("next anomalies", walk::NEXT_ANOMALIES.to_owned()),
        ("plate", history::rows_of_plate()),
        ("quarantined", AsideKind::Quarantined.sql().to_owned()),
        ("waiting", AsideKind::Waiting.sql().to_owned()),
        ("audit", audit::ALL.to_owned()),
        ("audit of a kind", audit::OF_KIND.to_owned()),
        ("audit of somebody", audit::OF_WHO.to_owned()),
        ("shift", books::shifts(books::SHIFT)),
        ("last shift of a gate", books::shifts(books::LAST_AT_GATE)),
        ("shifts of a gate", books::shifts(books::AT_GATE)),
        ("next shift of a gate", books::NEXT_AT_GATE.to_owned()),
        ("last shift of a lane", books::shifts(books::LAST_OF_LANE)),
        ("next shift of a lane", books::NEXT_OF_LANE.to_owned()),
        ("next gate with shifts", books::NEXT_GATE.to_owned()),
        ("shifts of a person", books::shifts(books::OF_PERSON)),
        ("open shifts", books::shifts(books::OPEN)),
        ("takings of a shift", books::TAKINGS.to_owned()),
        ("paid beyond in a time", books::EXCESSES.to_owned()),
        ("paid beyond at an exit", books::EXCESS_AT.to_owned()),
        ("corrections of an exit", rows::SAID_OF.to_owned()),
        ("entries of a shift", books::ENTRIES.to_owned()),
        ("entries of its quarters", books::ENTRIES_OF_QUARTERS.to_owned()),
        ("changes by a person", books::changes(books::CHANGES_BY)),
        ("changes of exits", books::changes(books::CHANGES_AT)),
    ]
}

/// Page cache of one reader, in KiB: the upper levels of the indices and the page at hand.
const CACHE_KIB: i64 = 2 * 1024;
/// How long a read waits for a lock; only a checkpoint that ends the log takes one, for moments.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Statements kept prepared.
const STATEMENTS: usize = 64;

/// So many steps of a statement take some tens of microseconds.
const OPS_OF_A_TURN: i32 = 1_000;

/// What this connection works on lets go first who waits for the core.
pub(super) fn gives_way(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    let in_turns = || {
        give_way();
        false
    };
    connection.progress_handler(OPS_OF_A_TURN, Some(in_turns))
}

/// What makes the file `path` gives way, and its disk has never much of it to write.
fn writes_out(path: PathBuf) -> impl FnMut() -> bool + Send {
    let (mut made, mut written_out) = (None, WrittenOut::default());
    move || {
        give_way();
        made = made.take().or_else(|| File::open(&path).ok());
        if let Some(file) = &made {
            // What is wrong with the disk is told at the end.
            drop(file.metadata().and_then(|found| written_out.grown_to(found.len(), file)));
        }
        false
    }
}

/// One read-only connection. Open one per thread.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    logs: LogNumbers,
}

impl Reader {
    /// Opens `directory/central.db`, which a writer of this version must have opened before.
    ///
    /// # Errors
    /// As [`schema::check_version`]; [`StoreError::Directory`] if the file is missing.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(DATABASE_FILE);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(&path, flags).map_err(|error| StoreError::cannot_open(&path, error))?;
        gives_way(&mut connection)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        schema::check_current(&connection, &path)?;
        Ok(Self { connection, logs: LogNumbers::default() })
    }

    /// How long a copy of all that is committed now gets at most: what is in the write-ahead log alone is counted.
    ///
    /// # Errors
    /// What the disk says.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok(pragma("page_count")?.unsigned_abs().saturating_mul(pragma("page_size")?.unsigned_abs()))
    }

    /// Copies all that is committed now into a new file, in one go however busy the writer is. Not synced. Until it is there the
    /// file has another name, by which the writer knows whom its log waits for: see [`super::checkpoint`].
    ///
    /// # Errors
    /// What the disk says; the file is there already.
    pub fn copy_to(&mut self, path: &Path) -> Result<(), StoreError> {
        // It writes, though not into this database, whose connection is for reading alone.
        self.connection.pragma_update(None, "query_only", false)?;
        let copying = PathBuf::from(format!("{}{COPYING}", path.display()));
        self.connection.progress_handler(OPS_OF_A_TURN, Some(writes_out(copying.clone())))?;
        let copied = self.connection.execute("VACUUM INTO ?1", [copying.to_string_lossy()]);
        gives_way(&mut self.connection)?;
        self.connection.pragma_update(None, "query_only", true)?;
        copied?;
        std::fs::rename(&copying, path).map_err(|source| StoreError::Directory { path: path.to_owned(), source })
    }
}
