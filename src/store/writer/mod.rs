//! The one writing connection: what the ledger asks of a disk, on SQLite. Here it is opened, and told which start of the program on
//! this database it is; each file beside implements its part of [`crate::ledger::storage`].
//!
//! - Between `begin` and `commit` everything is one IMMEDIATE transaction with `synchronous=FULL`: when `commit` returns, it is
//!   on disk. After an error nothing of it is, and the connection is ready for the next `begin`.
//! - What the writer knows by heart (log numbers, the next row number) is put back by a rollback.

mod derived;
mod facts;
mod settings;
mod standing;
mod stays;
mod transaction;

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use self::facts::KnownTotals;
use self::standing::Rescued;
use self::stays::NewestRows;
use self::transaction::RollbackOf;
use crate::domain::time::{SiteZone, UnknownZone};
use crate::replication::handshake::{Instance, MOST_TOLD, SeenOf, SeenStart, Start};
use crate::store::checkpoint::{Checkpointer, touch};
use crate::store::directory::DataDir;
use crate::store::error::StoreError;
use crate::store::files::{Files, log_of};
use crate::store::left;
use crate::store::log_numbers::LogNumbers;
use crate::store::missed::Missed;
use crate::store::reader::gives_way;
use crate::store::schema::{self, attach_events};

/// Page cache of the writer, in KiB. Holds the hot pages of every index. A transaction that changes more pages than it has
/// room for writes some of them into the log before its commit, which only makes the log longer.
const CACHE_KIB: i64 = 8 * 1024;
/// How long a transaction waits for a lock another program holds on the file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// What a probe writes besides two pages of its own: as much as an event that splits pages of several indices, so that a disk
/// with room for a probe has room for an event.
const PROBE_BYTES: u32 = 22 * 4096;
/// Statements kept prepared; more than there are.
const STATEMENTS: usize = 96;

/// The writer of a data directory. There is one, and its thread may block.
pub struct Writer {
    connection: Connection,
    logs: LogNumbers,
    /// The number the next unknown log gets.
    next_log: i64,
    /// The number the next row of the history gets.
    next_history_id: i64,
    transaction: Option<RollbackOf>,
    newest_rows: NewestRows,
    totals: KnownTotals,
    /// Whether anything is kept of invoices or of corrected money; `None`: it was not looked.
    has_invoiced: Option<bool>,
    zone: SiteZone,
    utc: SiteZone,
    checkpointer: Checkpointer,
    directory: DataDir,
    files: Files,
    /// The mark of this run, and the life of the log that it names.
    marked: Option<Option<u32>>,
    /// The files are not what was committed to: nothing is committed any more.
    lost: bool,
    /// The head of the log as it was looked at last, and how often it had started over by then.
    seen_head: Option<(left::LogHead, u64)>,
    /// The log, if it was cut short or written over.
    cut: Option<std::path::PathBuf>,
    /// What became of the database when its file vanished.
    rescued: Option<Rescued>,
    found: Vec<String>,
    /// Why all that is made from the events was emptied at the opening, for people.
    emptied: Option<String>,
    leftovers: Vec<String>,
    /// What cannot be read and is made from nothing else, as far as it was met.
    missed: Missed,
    /// It was closed, and the log may go.
    in_order: bool,
    is_for_once: bool,
}

/// Without [`Storage::close`](crate::ledger::storage::Storage::close) it leaves the files as a crash does.
impl Drop for Writer {
    fn drop(&mut self) {
        if !self.in_order {
            drop(self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Writer {
    /// Opens the database of the directory, makes or upgrades it, and starts the thread that checkpoints it. `zone` is the
    /// site's: what `entry_time` and `exit_time` of new rows are told in.
    ///
    /// # Errors
    /// As [`schema::migrate`], and whatever the disk says.
    pub fn open(directory: &DataDir, zone: SiteZone) -> Result<Self, StoreError> {
        let path = directory.database();
        let leftovers = left::leftovers(directory);
        let mut found = left::settle(directory)?;
        let index = left::IndexSaid::of(&path);
        let utc = SiteZone::named("UTC").map_err(|UnknownZone(name)| StoreError::Value(name))?;
        let mut connection = Connection::open(&path).map_err(|error| StoreError::cannot_open(&path, error))?;
        if connection.is_readonly("main")? {
            // SQLite would go on, for reading alone and for ever.
            let source = std::io::ErrorKind::ReadOnlyFilesystem.into();
            return Err(StoreError::Directory { path, source });
        }
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Of a database that is refused the files stay as they are.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        schema::check_version(&connection, &path)?;
        found.extend(left::keep_unread(&connection, directory, index)?);
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A log that grew behind a reader is cut when it starts over.
        connection.pragma_update(None, "journal_size_limit", super::checkpoint::MAX_WAL_BYTES.cast_signed())?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.pragma_update(None, "foreign_keys", false)?;
        // Plans that do not look at bound values: else SQLite prepares some statements again for every new value.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        schema::migrate(&mut connection, &path)?;
        let dropped = schema::restore(&connection)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        directory.sync()?;
        let checkpointer = Checkpointer::start(&mut connection, directory)?;
        let mut writer = Self {
            connection,
            logs: LogNumbers::default(),
            next_log: 1,
            next_history_id: 1,
            transaction: None,
            newest_rows: NewestRows::default(),
            totals: KnownTotals::default(),
            has_invoiced: None,
            zone,
            utc,
            checkpointer,
            directory: directory.clone(),
            files: Files::of(&path),
            marked: None,
            lost: false,
            seen_head: None,
            cut: None,
            rescued: None,
            found,
            emptied: None,
            leftovers,
            missed: Missed::default(),
            in_order: false,
            is_for_once: false,
        };
        dropped.lost.iter().for_each(|table| writer.miss(&format!("the table {table}")));
        let whole = match dropped.derived.first() {
            Some(name) => Err(StoreError::Value(format!("{name} was dropped"))),
            None => writer.read_counters(),
        };
        match whole {
            Err(error) if error.is_of_derived() => {
                say_unreadable(&error);
                writer.forget_derived()?;
                writer.emptied = Some(error.to_string());
            }
            read => read?,
        }
        directory.keep_private();
        // From here on the log of a run that ended in disorder is never empty. Where nothing can be committed now, gates hear it.
        if touch(&writer.connection).is_ok() {
            writer.keep_marked();
            // From here on another head than this is noticed.
            let head = left::LogHead::of(&log_of(&path)).ok().flatten();
            writer.seen_head = head.map(|head| (head, writer.checkpointer.life()));
        }
        Ok(writer)
    }

    /// Opens a database of an empty directory that is thrown away afterwards: for what the events of `held` give, which it reads where
    /// they lie. Gates do not wait for it: it lets go first who waits for the core, and no commit waits for the disk, which it has written
    /// little at a time.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn for_once(directory: &DataDir, held: &DataDir, zone: SiteZone) -> Result<Self, StoreError> {
        let mut writer = Self::open(directory, zone)?;
        writer.checkpointer.stop();
        // What a crash leaves is worth nothing, and a log would be written beside the rest.
        writer.connection.pragma_update(None, "journal_mode", "MEMORY")?;
        writer.connection.pragma_update(None, "synchronous", "OFF")?;
        writer.files = Files::of(&directory.database());
        writer.connection.execute_batch("DROP TABLE event; DROP TABLE log")?;
        attach_events(&writer.connection, held)?;
        writer.connection.execute("UPDATE ledger SET events = (SELECT count(*) FROM event)", ())?;
        gives_way(&mut writer.connection)?;
        writer.is_for_once = true;
        Ok(writer)
    }

    /// What was found wrong at the opening, for people.
    pub fn found(&self) -> &[String] {
        &self.found
    }

    /// Why all that is made from the events was emptied at the opening, if it was, for people.
    #[must_use]
    pub fn emptied(&self) -> Option<String> {
        self.emptied.clone()
    }

    /// What earlier rescues left that waits for a person, for people.
    pub fn leftovers(&self) -> &[String] {
        &self.leftovers
    }

    /// The size of the write-ahead log in use, in bytes. At most [`super::checkpoint::MAX_WAL_BYTES`] unless another program keeps
    /// reading an old state.
    pub fn wal_bytes(&self) -> u64 {
        self.checkpointer.wal_bytes()
    }

    fn try_event(&mut self) -> Result<(), StoreError> {
        let mut transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // No event has this place. The pages of the row become free ones, which the next probe or event takes; without a
        // savepoint SQLite would not write them.
        let savepoint = transaction.savepoint()?;
        savepoint.prepare_cached("INSERT INTO quarantine VALUES(0, hex(zeroblob(?1)))")?.execute([PROBE_BYTES / 2])?;
        savepoint.prepare_cached("DELETE FROM quarantine WHERE event = 0")?.execute(())?;
        savepoint.commit()?;
        transaction.commit()?;
        Ok(())
    }

    /// The connection itself, for tests that break things.
    #[cfg(test)]
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// Tells that something that is made from the events cannot be read.
pub fn say_unreadable(error: &StoreError) {
    log::error!(event = "history_unreadable", reason = error.to_string(); "a value that is made from the events cannot be read: all that is made from them is made anew");
}

impl Writer {
    /// Notes that a process begins. Durable on return, so that nobody has seen a start that is not in the database.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn note_start(&mut self, instance: Instance) -> Result<Start, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let most = i64::try_from(MOST_TOLD).unwrap_or(i64::MAX);
        let earlier = transaction
            .prepare("SELECT number, instance FROM start ORDER BY number DESC LIMIT ?1")?
            .query_map([most], |row| Ok((row.get::<_, i64>(0)?, Instance(row.get::<_, i64>(1)?.cast_unsigned()))))?
            .collect::<Result<Vec<_>, _>>()?;
        let number = earlier.first().map_or(1, |(last, _)| last.saturating_add(1));
        transaction.execute("INSERT INTO start VALUES(?1, ?2)", (number, instance.0.cast_signed()))?;
        transaction.execute("DELETE FROM start WHERE number < ?1", [number.saturating_sub(most)])?;
        transaction.commit()?;
        let earlier = earlier.into_iter().map(|(_, instance)| instance).collect();
        Ok(Start { number: number.cast_unsigned(), earlier })
    }

    /// What `note_seen` noted.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn seen_starts(&self) -> Result<Vec<SeenOf>, StoreError> {
        let mut statement = self.connection.prepare("SELECT central, fingerprint, number, instance FROM seen_start")?;
        let rows = statement.query_map((), |row| {
            let (number, instance): (i64, i64) = (row.get(2)?, row.get(3)?);
            let seen = SeenStart { number: number.cast_unsigned(), instance: Instance(instance.cast_unsigned()) };
            Ok((row.get::<_, String>(0)?, row.get(1)?, seen))
        })?;
        // A row that names no central, or cannot be read, says nothing.
        Ok(rows.filter_map(|row| row.ok().and_then(|(id, key, seen)| Some((id.parse().ok()?, key, seen)))).collect())
    }
}
