//! Moves the write-ahead log into the database off the commit path, and keeps the log small.
//!
//! SQLite writes a log from its start again only if all of it is in the database at a moment when nobody writes. A thread of
//! its own, with its own connection, copies what is committed (PASSIVE passes, which stop nobody) until little is left. Then the
//! writer, between two transactions, copies that rest itself, and its next transaction starts the log over: it pays for the
//! rest only. If the thread cannot keep up, the writer copies everything before the log passes its bound.
//!
//! Once a site is quiet, all is copied, so that `central.db` alone has it. A log that grew behind a reader of an old state is cut
//! once that one is gone; who that is, is told to people by the locks the operating system knows of ([`who_reads`]). A backup is such
//! a reader, for as long as it copies, and nobody waits for it.
//!
//! Invariant: a checkpoint never fails a transaction. What cannot be copied stays in the log, and is tried again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::directory::{BACKUP_SCRATCH, COPYING, DATABASE_FILE, DataDir};
use super::error::StoreError;
use super::files::{FileId, index_of};
use crate::background;

/// The write-ahead log does not grow beyond this, in bytes, unless another program goes on reading an old state.
pub const MAX_WAL_BYTES: u64 = 64 * 1024 * 1024;
/// A page in the log: 4096 bytes and their header.
const FRAME_BYTES: u64 = 4096 + 24;
const LOG_HEAD_BYTES: u64 = 32;
/// The thread begins to copy when so many pages wait (35 MiB): the rarer, the more pages are copied once that were written
/// many times, and the rarer the writer waits for the sync at the end.
const PASS_PAGES: u32 = 9_000;
/// The writer copies what is left itself if it is at most so many pages: some 2 ms.
const REST_PAGES: u32 = 150;
/// At so many pages (41 MiB) the writer waits for the thread no longer. From there to the bound there is room for 1,000 events
/// from gates and a run from a peer: a central that caught up on 300,000 events while gates asked it reached 43 MiB.
const FORCED_PAGES: u32 = 10_500;
/// Where a reader keeps the log from starting over, it is tried again after so many more pages.
const RETRY_PAGES: u32 = 500;
/// A forced copy waits for readers, and for the thread's pass to end: shortly at first ...
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// ... from so many pages (51 MiB) on for longer, and for the thread as long as its disk takes ...
const URGENT_PAGES: u32 = 13_000;
const URGENT_WAIT: Duration = Duration::from_secs(1);
const LONGEST_PASS: Duration = Duration::from_secs(30);
/// ... and beyond the bound for readers not at all: another program is reading, and gates go on.
const MAX_PAGES: u32 = 16_288;
/// After so long without a commit all is copied: a copy of the database alone is whole on a quiet morning.
const QUIET: Duration = Duration::from_secs(20);
/// While a reader makes the log grow, that is said again this often.
const REMIND: Duration = Duration::from_secs(10 * 60);
/// A log of so many pages (47 MiB) is held by a reader: the writer has tried to start it over several times.
const HELD_PAGES: u32 = 12_000;
/// Page cache of the thread's connection, in KiB: it only copies.
const CACHE_KIB: i64 = 64;

/// How far the log is written and copied, in pages since it last started over.
#[derive(Debug, Default)]
struct Progress {
    written: u32,
    copied: u32,
    /// Counts the times the log is known to have started over: a pass that began in an earlier life says nothing about this one.
    life: u64,
    /// The thread is asked for passes, or at one.
    passing: bool,
    /// The writer waits for the end of the pass that is under way.
    writer_waits: bool,
    /// The writer tries again when so many pages are written.
    retry_at: u32,
    failing: bool,
    stop: bool,
    last_commit: Option<Instant>,
    /// When it was said last that a reader makes the log grow.
    said: Option<Instant>,
}

#[derive(Debug, Default)]
struct CheckpointState {
    progress: Mutex<Progress>,
    /// The thread has something to do.
    wake: Condvar,
    /// The thread is done, or gives way.
    rested: Condvar,
}

impl CheckpointState {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Nothing in here can panic half-way; the numbers are whole.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by SQLite after each commit with the length of the log.
    fn committed(&self, pages: u32) {
        let mut progress = self.progress();
        // A commit that starts it over with more pages than it had is not told from one that goes on.
        if pages <= progress.written {
            progress.life += 1;
            progress.copied = 0;
            progress.retry_at = 0;
        }
        progress.written = pages;
        progress.last_commit = Some(Instant::now());
        if !progress.passing && progress.written.saturating_sub(progress.copied) >= PASS_PAGES {
            progress.passing = true;
            self.wake.notify_one();
        }
    }
}

/// The thread and what the writer knows of it.
#[derive(Debug)]
pub(super) struct Checkpointer {
    shared: Arc<CheckpointState>,
    /// There while a backup reads the database.
    copying: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Takes the checkpoints of `writer`, the one of `directory`, into its hands.
    pub(super) fn start(writer: &mut Connection, directory: &DataDir) -> Result<Self, StoreError> {
        let shared = Arc::new(CheckpointState::default());
        // This also turns off SQLite's own checkpoints, which would run inside a commit.
        let of_writer = Arc::clone(&shared);
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            of_writer.committed(u32::try_from(pages).unwrap_or(0));
            Ok(())
        }))?;
        let path = directory.database();
        let connection = Connection::open(&path)?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let of_thread = Arc::clone(&shared);
        let copying = directory.path().join(BACKUP_SCRATCH).join(format!("{DATABASE_FILE}{COPYING}"));
        let directory = directory.clone();
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || run(&connection, &directory, &of_thread))
            .map_err(|source| StoreError::Directory { path, source })?;
        Ok(Self { shared, copying, thread: Some(thread) })
    }

    /// The size of the log in use.
    pub(super) fn wal_bytes(&self) -> u64 {
        u64::from(self.shared.progress().written) * FRAME_BYTES
    }

    /// What the file of the log holds at least, in bytes.
    pub(super) fn least_bytes(&self) -> u64 {
        match self.shared.progress().written {
            0 => 0,
            pages => LOG_HEAD_BYTES + u64::from(pages) * FRAME_BYTES,
        }
    }

    /// Not within a transaction: asks SQLite how long the log is, which another program may have emptied in order.
    pub(super) fn ask_length(&self, writer: &Connection) -> Result<(), StoreError> {
        let pages: i64 = writer.query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| row.get(1))?;
        let mut progress = self.shared.progress();
        let pages = u32::try_from(pages).unwrap_or(0);
        if pages < progress.written {
            progress.life += 1;
            progress.copied = 0;
        }
        progress.written = pages;
        Ok(())
    }

    /// How often the log is known to have started over.
    pub(super) fn life(&self) -> u64 {
        self.shared.progress().life
    }

    /// Between two transactions: copies the rest if it is little, so that the next one starts the log over.
    pub(super) fn make_room(&self, writer: &Connection) {
        let worth_it = {
            let progress = self.shared.progress();
            let rest = progress.written.saturating_sub(progress.copied);
            progress.written >= PASS_PAGES.max(progress.retry_at) && !progress.passing && rest <= REST_PAGES
        };
        if worth_it {
            self.copy_as_writer(writer, "PASSIVE");
        }
    }

    /// Before a transaction: if the log is near its bound, copies all of it now.
    pub(super) fn keep_bound(&self, writer: &Connection) {
        let written = {
            let progress = self.shared.progress();
            if progress.written < FORCED_PAGES.max(progress.retry_at) {
                return;
            }
            progress.written
        };
        let (for_thread, for_readers) = waits(written, self.copying.exists());
        let started = Instant::now();
        self.wait_for_thread(for_thread);
        let waits = writer.busy_timeout(for_readers);
        self.copy_as_writer(writer, "RESTART");
        let restored = writer.busy_timeout(super::writer::BUSY_TIMEOUT);
        let waited_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        log::debug!(event = "checkpoint_forced", waited_ms; "the writer copied the write-ahead log itself");
        if let Err(error) = waits.and(restored) {
            log::warn!(event = "checkpoint_failed", error:% = error; "cannot copy the write-ahead log into the database");
        }
    }

    /// Lets the thread end the pass it is at, and keeps it from the next.
    fn wait_for_thread(&self, at_most: Duration) {
        let mut progress = self.shared.progress();
        progress.writer_waits = true;
        let (mut progress, _) = self
            .shared
            .rested
            .wait_timeout_while(progress, at_most, |progress| progress.passing && !progress.failing)
            .unwrap_or_else(PoisonError::into_inner);
        progress.writer_waits = false;
    }

    fn copy_as_writer(&self, writer: &Connection, mode: &str) {
        let result = checkpoint(writer, mode);
        let mut progress = self.shared.progress();
        // Otherwise the thread is at it, or the disk is not; the next try comes soon.
        if let Ok(Some(copied)) = &result {
            progress.copied = (*copied).min(progress.written);
        }
        note_failure(&mut progress, &result);
        // Holds if the next commit does not find the log started over.
        progress.retry_at = progress.written.saturating_add(RETRY_PAGES);
    }

    /// Once a second, not within a transaction: uses a quiet time, and says who makes the log grow.
    pub(super) fn rest(&self, writer: &Connection, database: &Path) -> Option<String> {
        let mut progress = self.shared.progress();
        let quiet = progress.last_commit.is_some_and(|last| last.elapsed() >= QUIET);
        let is_long = progress.written > HELD_PAGES;
        if quiet && !progress.passing && progress.written > progress.copied {
            progress.passing = true;
            self.shared.wake.notify_one();
        } else if quiet && is_long && !progress.passing {
            drop(progress);
            self.cut(writer);
            progress = self.shared.progress();
        }
        if !is_long {
            if progress.said.take().is_some() {
                log::info!(event = "log_short_again"; "the log of the database is as short as usual again");
            }
            return None;
        }
        if self.copying.exists() {
            // It ends by itself.
            return None;
        }
        let (bytes, since) = (u64::from(progress.written) * FRAME_BYTES, progress.said);
        if since.is_none_or(|said| said.elapsed() >= REMIND) {
            progress.said = Some(Instant::now());
        }
        drop(progress);
        let readers = who_reads(database);
        if since.is_none_or(|said| said.elapsed() >= REMIND) {
            log::warn!(event = "log_grows", bytes, readers = readers.as_str(); "the log of the database grows and cannot start over: another program goes on reading an old state of it; close it");
        }
        Some(format!("{} MB; {readers}", bytes / 1_000_000))
    }

    /// Starts a long log over while nobody writes: the page that follows makes SQLite cut it.
    fn cut(&self, writer: &Connection) {
        let waits = writer.busy_timeout(Duration::ZERO);
        self.copy_as_writer(writer, "RESTART");
        let restored = writer.busy_timeout(super::writer::BUSY_TIMEOUT);
        if let Err(error) = waits.and(restored).and_then(|()| touch(writer)) {
            log::warn!(event = "checkpoint_failed", error:% = error; "cannot copy the write-ahead log into the database");
        }
    }

    /// Stops the thread and copies everything; the log is empty afterwards, unless `false` is returned: somebody reads it.
    pub(super) fn finish(&mut self, writer: &Connection) -> Result<bool, StoreError> {
        self.stop();
        let busy: i64 = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
        Ok(busy == 0)
    }

    /// Ends the thread: nothing more is copied by itself.
    pub(super) fn stop(&mut self) {
        self.shared.progress().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!(event = "checkpoint_failed"; "the checkpoint thread panicked");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How long a forced copy waits for the thread, and for readers, at a log of so many pages. `is_copied`: a backup reads the database, which
/// takes longer than any gate may wait.
fn waits(written: u32, is_copied: bool) -> (Duration, Duration) {
    let (for_thread, for_readers) = match written {
        ..URGENT_PAGES => (FIRST_WAIT, FIRST_WAIT),
        URGENT_PAGES..MAX_PAGES => (LONGEST_PASS, URGENT_WAIT),
        MAX_PAGES.. => (LONGEST_PASS, Duration::ZERO),
    };
    (for_thread, if is_copied { Duration::ZERO } else { for_readers })
}

/// One commit of one page, which changes nothing. What is in no event has this place.
pub(super) fn touch(writer: &Connection) -> Result<(), rusqlite::Error> {
    let transaction = writer.unchecked_transaction()?;
    transaction.prepare_cached("INSERT INTO quarantine VALUES(0, '')")?.execute(())?;
    transaction.prepare_cached("DELETE FROM quarantine WHERE event = 0")?.execute(())?;
    transaction.commit()
}

/// One checkpoint; the pages of the log that are in the database afterwards, `None` if another checkpoint is under way.
fn checkpoint(connection: &Connection, mode: &str) -> Result<Option<u32>, rusqlite::Error> {
    let copied: i64 =
        connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?.query_row((), |row| row.get(2))?;
    Ok(u32::try_from(copied).ok())
}

/// Tells once that checkpoints fail, and once that they work again.
fn note_failure(progress: &mut Progress, result: &Result<Option<u32>, rusqlite::Error>) {
    match result {
        Err(error) if !progress.failing => {
            log::warn!(event = "checkpoint_failed", error:% = error; "cannot copy the write-ahead log into the database");
        }
        Ok(_) if progress.failing => {
            log::info!(event = "checkpoint_recovered"; "the write-ahead log is copied again");
        }
        _ => {}
    }
    progress.failing = result.is_err();
}

/// `sqlite3 (1234), python3 (99)`; or that nobody is known.
fn who_reads(database: &Path) -> String {
    let inodes: Vec<u64> = [database.to_owned(), index_of(database)]
        .iter()
        .filter_map(|path| FileId::at(path).ok().flatten().map(|id| id.inode))
        .collect();
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let others: Vec<String> =
        holders(&locks, &inodes).into_iter().filter(|pid| *pid != std::process::id()).map(named).collect();
    if others.is_empty() {
        "held by no program that is seen from here".to_owned()
    } else {
        format!("held by {}", others.join(", "))
    }
}

/// The processes with a lock on one of these files, of lines like `1: POSIX  ADVISORY  READ 1234 08:01:5678 128 128`.
fn holders(locks: &str, inodes: &[u64]) -> BTreeSet<u32> {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "ADVISORY").skip(2);
        let pid = words.next()?.parse().ok()?;
        let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
        inodes.contains(&inode).then_some(pid)
    };
    locks.lines().filter_map(of_line).collect()
}

fn named(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("{} ({pid})", name.trim())
}

/// What a pass copied is written out so soon after it, and again.
const WRITE_OUT_PERIOD: Duration = Duration::from_micros(150);
/// The thread syncs at most so often before the writer has its turn.
const MAX_SYNCS: u32 = 3;
/// How far the thread stands behind others that want a core, from 0 to 19. It must get some of one all the same: the log
/// grows meanwhile.
const NICENESS: i32 = 5;
/// A failing thread tries again after this.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// One pass, written out while it goes on.
///
/// Left to one sync at the end, thousands of scattered pages would be before the disk at once, and each commit's sync of the
/// log behind them. Whatever is wrong with the disk, the sync at the end tells.
fn pass(connection: &Connection, directory: &DataDir) -> Result<Option<u32>, rusqlite::Error> {
    std::thread::scope(|scope| {
        let (copying, over) = channel::<()>();
        let writes_out = move || {
            while let Err(RecvTimeoutError::Timeout) = over.recv_timeout(WRITE_OUT_PERIOD) {
                drop(directory.sync_database());
            }
        };
        // Where no thread is to be had the pass does without: all is written out at its end.
        drop(Builder::new().name("checkpoint-out".into()).spawn_scoped(scope, writes_out));
        let result = checkpoint(connection, "PASSIVE");
        drop(copying);
        result
    })
}

/// Passes until little is left, syncs what it copied, passes once more, then sleeps until the log is long again.
///
/// SQLite syncs the database only at the end of a checkpoint that copied everything, and that is the writer's. So that this
/// sync finds little to do, the thread does it before, and again for what it copied meanwhile if that was not little.
fn run(connection: &Connection, directory: &DataDir, shared: &CheckpointState) {
    background::stand_behind(NICENESS);
    let (mut unsynced, mut syncs) = (0, 0);
    loop {
        let life = {
            let mut progress = shared.progress();
            while !progress.passing && !progress.stop {
                progress = shared.wake.wait(progress).unwrap_or_else(PoisonError::into_inner);
            }
            if progress.stop {
                return;
            }
            progress.life
        };
        let result = pass(connection, directory);
        let mut progress = shared.progress();
        note_failure(&mut progress, &result);
        match result {
            Ok(Some(copied)) if progress.life == life => {
                let before = progress.copied;
                progress.copied = copied.min(progress.written).max(before);
                unsynced += progress.copied - before;
                let rest = progress.written.saturating_sub(progress.copied);
                // A reader of an old state stops a pass where that state ends: going on at once would be in vain.
                progress.passing = rest > REST_PAGES && progress.copied > before && !progress.writer_waits;
                let worth_it = unsynced > REST_PAGES && syncs < MAX_SYNCS;
                if !progress.passing && worth_it && !progress.writer_waits && !progress.stop {
                    progress.passing = true;
                    drop(progress);
                    (unsynced, syncs) = (0, syncs + 1);
                    // The writer's own sync comes after it, and tells of whatever is wrong with the disk.
                    drop(directory.sync_database());
                    continue;
                }
            }
            Ok(_) => progress.passing = false,
            Err(_) => {
                shared.rested.notify_all();
                let (mut after, _) =
                    shared.wake.wait_timeout(progress, FAILURE_PAUSE).unwrap_or_else(PoisonError::into_inner);
                after.passing = false;
                continue;
            }
        }
        if !progress.passing {
            (unsynced, syncs) = (0, 0);
            shared.rested.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 ms, and seconds, are what gates would have waited for a reader that goes on for minutes.
    #[test]
    fn no_gate_waits_for_a_backup() {
        for written in [FORCED_PAGES, URGENT_PAGES, MAX_PAGES] {
            assert_eq!(waits(written, true).1, Duration::ZERO);
        }
        assert_eq!(waits(FORCED_PAGES, false).1, FIRST_WAIT);
        assert_eq!(waits(URGENT_PAGES, false).1, URGENT_WAIT);
    }

    #[test]
    fn holders_are_found_by_the_file_they_hold() {
        let locks = "1: POSIX  ADVISORY  READ 1234 08:01:5678 128 128\n\
                     2: FLOCK  ADVISORY  WRITE 7 00:2d:5678 0 EOF\n\
                     3: POSIX  ADVISORY  READ 99 08:01:9 124 124\n\
                     4: -> POSIX  ADVISORY  WRITE 5 08:01:5678 120 120\n\
                     nonsense\n5: POSIX  ADVISORY  READ x 08:01:5678 1 1\n";
        assert_eq!(holders(locks, &[5678]), BTreeSet::from([5, 7, 1234]));
        assert_eq!(holders(locks, &[9, 1]), BTreeSet::from([99]));
        assert!(holders("", &[5678]).is_empty());
    }
}
