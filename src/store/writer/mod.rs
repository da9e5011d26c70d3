//! The one writing connection: what the ledger asks of a disk, on SQLite.
//!
//! - Between `begin` and `commit` everything is one IMMEDIATE transaction with `synchronous=FULL`: when `commit` returns, it is
//!   on disk. After an error nothing of it is, and the connection is ready for the next `begin`.
//! - What the writer knows by heart (log numbers, the next row number) is put back by a rollback.

mod audit;
mod derived;
mod facts;
mod money;
mod standing;
mod starts;
mod stays;
mod transaction;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::books;
use super::checkpoint::{Checkpointer, touch};
use super::directory::DataDir;
use super::error::StoreError;
use super::log_numbers::LogNumbers;
use super::schema;
use super::stay_columns::find_ended_in;
use crate::domain::audit::Entry;
use crate::domain::event::Event;
use crate::domain::ids::{Hlc, LogId};
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::row::StayRow;
use crate::domain::shift::{Counted, Figures};
use crate::domain::stay::Taking;
use crate::domain::time::{SiteZone, UnknownZone};
use crate::ledger::sheet;
use crate::ledger::storage::{
    DirtyFact, EventRef, Loaded, LooseFact, QuarterTotal, Setting, SettingKind, Shift, Storage, StoredStay, Summary,
    Watched,
};
use crate::replication::log::{ChainHash, EventBytes, Head};
use crate::replication::starts::SeenOf;

use super::files::{Files, Seen};
use super::left;
use stays::NewestOfPlate;
use transaction::Transaction;

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
    transaction: Option<Transaction>,
    /// The last answer about a plate, good until a row changes.
    newest_of_plate: Option<NewestOfPlate>,
    open_rows: stays::OpenRows,
    zone: SiteZone,
    utc: SiteZone,
    checkpointer: Checkpointer,
    directory: DataDir,
    files: Files,
    /// The files are not what was committed to: nothing is committed any more.
    lost: bool,
    /// Where the database was copied to when its file vanished, as words for people.
    rescued: Option<String>,
    found: Vec<String>,
    leftovers: Vec<String>,
    /// What cannot be read and is made from nothing else, as far as it was met.
    missed: BTreeSet<String>,
    /// It was closed, and the log may go.
    in_order: bool,
}

/// Without [`Storage::close`] it leaves the files as a crash does.
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
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        directory.sync()?;
        let checkpointer = Checkpointer::start(&mut connection, directory)?;
        let mut writer = Self {
            connection,
            logs: LogNumbers::default(),
            next_log: 1,
            next_history_id: 1,
            transaction: None,
            newest_of_plate: None,
            open_rows: stays::OpenRows::default(),
            zone,
            utc,
            checkpointer,
            directory: directory.clone(),
            files: Files::of(&path),
            lost: false,
            rescued: None,
            found,
            leftovers,
            missed: BTreeSet::new(),
            in_order: false,
        };
        match writer.read_counters() {
            Err(error) if error.is_of_derived() => {
                say_unreadable(&error);
                writer.forget_derived()?;
                writer.found.push(error.to_string());
            }
            read => read?,
        }
        directory.keep_private();
        // From here on the log of a run that ended in disorder is never empty. Where nothing can be committed now, gates hear it.
        if touch(&writer.connection).is_ok() {
            drop(directory.put_mark(writer.files.inodes()));
        }
        Ok(writer)
    }

    /// What was found wrong at the opening, for people.
    #[must_use]
    pub fn found(&self) -> &[String] {
        &self.found
    }

    /// What earlier rescues left that waits for a person, for people.
    #[must_use]
    pub fn leftovers(&self) -> &[String] {
        &self.leftovers
    }

    /// The size of the write-ahead log in use, in bytes. At most [`super::checkpoint::MAX_WAL_BYTES`] unless another program keeps
    /// reading an old state.
    #[must_use]
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

impl Storage for Writer {
    type Error = StoreError;

    fn is_of_derived(error: &StoreError) -> bool {
        error.is_of_derived()
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        self.load_all()
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.begin_transaction()
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.commit_transaction()
    }

    fn rollback(&mut self) {
        self.roll_back_transaction();
    }

    fn stay(&mut self, stay_id: &str) -> Result<Option<StoredStay>, StoreError> {
        self.find_stay(stay_id)
    }

    fn last_begun(&mut self, plate: &PlateId, before: Hlc) -> Result<Vec<StoredStay>, StoreError> {
        self.find_last_begun(plate, before)
    }

    fn begun_since(&mut self, plate: &PlateId, since: Hlc, most: usize) -> Result<Vec<StoredStay>, StoreError> {
        self.find_begun_since(plate, since, most)
    }

    fn ended_in(&mut self, second: i64, fee: Vnd) -> Result<Vec<StoredStay>, StoreError> {
        find_ended_in(&self.connection, &mut self.logs, second, fee)
    }

    fn greatest_hlc_of_plate(&mut self, plate: &PlateId) -> Result<Option<Hlc>, StoreError> {
        self.find_greatest_hlc(plate)
    }

    fn greatest_loose_hlc(&mut self, key: &str) -> Result<Option<Hlc>, StoreError> {
        self.find_greatest_loose_hlc(key)
    }

    fn put_dirty(&mut self, fact: &DirtyFact) -> Result<(), StoreError> {
        self.add_dirty(fact)
    }

    fn remove_dirty(&mut self, at: &EventRef) -> Result<(), StoreError> {
        self.drop_dirty(at)
    }

    fn loose_facts(&mut self, key: &str, clocks: RangeInclusive<Hlc>) -> Result<Vec<EventRef>, StoreError> {
        self.find_loose_facts(key, &clocks)
    }

    fn event(&mut self, at: &EventRef) -> Result<Option<EventBytes>, StoreError> {
        self.find_event(at)
    }

    fn events_of_request(
        &mut self,
        edge_id: &str,
        request_id: &str,
        clocks_ms: (i64, i64),
    ) -> Result<Vec<EventRef>, StoreError> {
        self.find_request(edge_id, request_id, clocks_ms)
    }

    fn events_of_heard(&mut self, fact: &[u8; 32]) -> Result<Vec<EventRef>, StoreError> {
        self.find_heard(fact)
    }

    fn append_event(
        &mut self,
        at: &EventRef,
        event: &EventBytes,
        hash: ChainHash,
        committed_ms: i64,
    ) -> Result<(), StoreError> {
        self.add_event(at, event, hash, committed_ms)
    }

    fn set_head(&mut self, log: &LogId, head: Head) -> Result<(), StoreError> {
        self.write_head(log, head)
    }

    fn insert_stay(&mut self, row: &StayRow, own: bool, committed_ms: i64) -> Result<i64, StoreError> {
        let stay_id = || StoreError::Value(format!("two rows with the event_id {}", row.stay_id));
        self.add_stay(row, own, committed_ms)?.ok_or_else(stay_id)
    }

    fn insert_stay_if_new(&mut self, row: &StayRow, own: bool, committed_ms: i64) -> Result<Option<i64>, StoreError> {
        self.add_stay(row, own, committed_ms)
    }

    fn update_ending(&mut self, row_id: i64, row: &StayRow, now_ms: i64) -> Result<(), StoreError> {
        self.change_ending(row_id, row, now_ms)
    }

    fn update_stay(&mut self, row_id: i64, row: &StayRow, now_ms: i64) -> Result<(), StoreError> {
        self.change_stay(row_id, row, now_ms)
    }

    fn delete_stay(&mut self, row_id: i64) -> Result<(), StoreError> {
        self.remove_stay(row_id)
    }

    fn put_loose_fact(&mut self, fact: &LooseFact) -> Result<(), StoreError> {
        self.add_loose_fact(fact)
    }

    fn remove_loose_fact(&mut self, at: &EventRef) -> Result<(), StoreError> {
        self.drop_loose_fact(at)
    }

    fn put_request(&mut self, edge_id: &str, request_id: &str, at: &EventRef, hlc: Hlc) -> Result<(), StoreError> {
        self.add_request(edge_id, request_id, at, hlc)
    }

    fn put_heard(&mut self, fact: &[u8; 32], at: &EventRef) -> Result<(), StoreError> {
        self.add_heard(fact, at)
    }

    fn add_total(&mut self, change: &QuarterTotal) -> Result<(), StoreError> {
        self.write_total(change)
    }

    fn set_taking(&mut self, taking: &Taking, is_taken: bool) -> Result<(), StoreError> {
        self.write_taking(taking, is_taken)
    }

    fn put_money_changes(&mut self, at: &EventRef, event: &Event) -> Result<(), StoreError> {
        self.add_money_changes(at, event)
    }

    fn shift(&mut self, id: &str) -> Result<Option<Shift>, StoreError> {
        self.books().one(books::SHIFT, [id])
    }

    fn last_shift(&mut self, central: &str, edge_id: &str) -> Result<Option<Shift>, StoreError> {
        self.books().one(books::LAST_AT_GATE, (central, edge_id, i64::MAX))
    }

    fn put_shift(&mut self, shift: &Shift) -> Result<(), StoreError> {
        self.write_shift(shift)
    }

    fn shift_figures(&mut self, shift: &Shift) -> Result<(Figures, Vec<Counted>), StoreError> {
        sheet::figures(&mut self.books(), shift)
    }

    fn payment(&mut self, reference: &str) -> Result<Option<EventRef>, StoreError> {
        self.find_payment(reference)
    }

    fn put_payment(&mut self, at: &EventRef, event: &Event) -> Result<(), StoreError> {
        self.add_payment(at, event)
    }

    fn put_setting(&mut self, setting: &Setting) -> Result<(), StoreError> {
        self.add_setting(setting)
    }

    fn remove_setting(&mut self, kind: SettingKind, id: &str) -> Result<(), StoreError> {
        self.forget_setting(kind, id)
    }

    fn quarantine(&mut self, at: &EventRef, reason: &str) -> Result<(), StoreError> {
        self.add_quarantined(at, reason)
    }

    fn quarantined(&mut self, reason_begins: &str) -> Result<Vec<EventRef>, StoreError> {
        self.find_quarantined(reason_begins)
    }

    fn release(&mut self, at: &EventRef) -> Result<bool, StoreError> {
        self.drop_quarantined(at)
    }

    fn put_audit(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.add_audit(entry)
    }

    fn set_summary(&mut self, summary: &Summary) -> Result<(), StoreError> {
        self.write_summary(summary)
    }

    fn make_anew_at_next_start(&mut self) -> Result<(), StoreError> {
        self.set_rules_version(0)
    }

    fn clear_projection(&mut self) -> Result<(), StoreError> {
        self.clear_all_but_events()
    }

    fn make_room(&mut self) -> u64 {
        if self.transaction.is_none() {
            self.checkpointer.make_room(&self.connection);
        }
        self.wal_bytes()
    }

    fn record_sync(&mut self, peer: &str, now_ms: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO p2p_sync_state VALUES(?1, ?2, ?3, ?3) ON CONFLICT DO UPDATE SET \
                   last_sync_timestamp = excluded.last_sync_timestamp, last_sync_time = excluded.last_sync_time, \
                   updated_at = excluded.updated_at";
        self.connection.prepare_cached(sql)?.execute((peer, now_ms, self.utc.local_text(now_ms)))?;
        Ok(())
    }

    fn record_told(&mut self, peer: &str, cursors: &[(LogId, u64)]) -> Result<(), StoreError> {
        let sql = "INSERT INTO legacy_cursor VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)";
        // One sync, however many logs.
        let all = self.connection.savepoint()?;
        for (log, seq) in cursors {
            all.prepare_cached(sql)?.execute((peer, log.to_string(), seq.cast_signed()))?;
        }
        all.commit()?;
        Ok(())
    }

    fn note_seen(&mut self, seen: &SeenOf) -> Result<(), StoreError> {
        self.record_seen(seen)
    }

    fn probe(&mut self, as_an_event: bool) -> Result<(), StoreError> {
        if schema::event_row(self.next_log, 1).is_none() {
            return Err(StoreError::Value("there is no number left for another log".into()));
        }
        self.stand_by_files()?;
        self.checkpointer.keep_bound(&self.connection);
        if as_an_event {
            self.try_event()?
        } else {
            touch(&self.connection)?
        };
        self.keep_committed()
    }

    fn watch(&mut self) -> Watched {
        Watched { database: self.told_missed(), ..self.look_after_files() }
    }

    fn set_zone(&mut self, zone: SiteZone) {
        self.zone = zone;
    }

    fn close(mut self) -> Result<(), StoreError> {
        self.rollback();
        let copied = self.checkpointer.finish(&self.connection)?;
        if !self.lost && self.files.look() != Seen::DatabaseGone {
            self.in_order = true;
            if copied {
                drop(self.directory.put_mark(None));
            }
        }
        Ok(())
    }
}
