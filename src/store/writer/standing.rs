//! What the writer does about files that vanish beneath it: see [`crate::store::files`].

use std::fs;
use std::path::{Path, PathBuf};

use log::error;
use rusqlite::config::DbConfig;

use super::Writer;
use crate::ledger::storage::Watched;
use crate::store::error::{PUT_BACK, StoreError};
use crate::store::files::{SeenFiles, aside, log_of};
use crate::store::left::LogHead;

/// The mark is renewed when the log has started over so often.
const MARK_EVERY: u32 = 256;

impl Writer {
    /// Before a commit: whether it would be there afterwards.
    pub(super) fn stand_by_files(&mut self) -> Result<(), StoreError> {
        if self.lost {
            return Err(self.vanished());
        }
        match self.look()? {
            SeenFiles::Whole | SeenFiles::LogGone => Ok(()),
            SeenFiles::LogShort => Err(self.cut()),
            SeenFiles::DatabaseGone => Err(self.vanished()),
        }
    }

    /// What is there now; a log that is short because another program emptied it in order is whole.
    fn look(&mut self) -> Result<SeenFiles, StoreError> {
        let seen = self.files.look(self.checkpointer.least_bytes());
        // Nobody empties one that is being written to.
        if seen != SeenFiles::LogShort || !self.connection.is_autocommit() {
            return Ok(seen);
        }
        self.checkpointer.ask_length(&self.connection)?;
        Ok(self.files.look(self.checkpointer.least_bytes()))
    }

    /// What was in the log is gone: nothing is copied out of it any more, neither now nor at the end, and nothing is committed.
    fn cut(&mut self) -> StoreError {
        let path = log_of(&self.directory.database());
        self.lost = true;
        if self.cut.is_none() {
            self.checkpointer.stop();
            drop(self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
            self.cut = Some(path.clone());
        }
        StoreError::LogCut { path }
    }

    /// After a commit, before anybody is told of it.
    pub(super) fn keep_committed(&mut self) -> Result<(), StoreError> {
        let kept = match self.look() {
            Ok(SeenFiles::Whole) => return Ok(()),
            Ok(SeenFiles::LogGone) => self.carry(),
            Ok(SeenFiles::LogShort) => Err(self.cut()),
            Ok(SeenFiles::DatabaseGone) => Err(self.vanished()),
            Err(error) => Err(error),
        };
        // What was committed is in the files all the same: what the ledger remembers is not what they hold any more.
        self.lost |= kept.is_err();
        kept
    }

    /// Marks which files this run has open, and which life of the log this is, where that has moved on since.
    pub(super) fn keep_marked(&mut self) {
        let head = LogHead::of(&log_of(&self.directory.database())).ok().flatten();
        let is_marked = match (self.marked, head) {
            (None, _) => false,
            // Another program emptied it, so that SQLite drew another number: the next start tries it.
            (Some(Some(marked)), Some(head)) if !head.may_be_of(marked) => true,
            (Some(Some(marked)), Some(head)) => head.life.wrapping_sub(marked) < MARK_EVERY,
            (Some(None), Some(_)) => false,
            (Some(_), None) => true,
        };
        if is_marked {
            return;
        }
        let life = head.map(|head| head.life);
        let put = self.files.mark(life).map_or(Ok(()), |mark| self.directory.put_mark(mark));
        // Where it cannot be written now it is tried again.
        if put.is_ok() {
            self.marked = Some(life);
        }
    }

    /// Before much is done by what the files hold: whether they are still what was committed to.
    ///
    /// # Errors
    /// They are not.
    pub fn stand(&mut self) -> Result<(), StoreError> {
        self.stand_by_files()
    }

    /// See [`crate::ledger::storage::Storage::watch`].
    pub(super) fn look_after_files(&mut self) -> Watched {
        let files = match self.directory.keep_locked() {
            Err(StoreError::Locked(_)) => {
                self.lost = true;
                Some(self.vanished().to_string())
            }
            _ if self.lost => Some(self.vanished().to_string()),
            _ => match self.look().unwrap_or(SeenFiles::Whole) {
                SeenFiles::Whole if self.is_written_over() => Some(self.cut().to_string()),
                SeenFiles::Whole => {
                    self.keep_marked();
                    None
                }
                SeenFiles::LogShort => Some(self.cut().to_string()),
                SeenFiles::DatabaseGone => Some(self.vanished().to_string()),
                SeenFiles::LogGone => Some(match self.carry() {
                    Ok(()) => format!(
                        "the log {} was removed or replaced: all that was in it is in the database, and each commit is copied \
                         there before it is answered, which is slow; restart soon",
                        log_of(&self.directory.database()).display()
                    ),
                    Err(error) => error.to_string(),
                }),
            },
        };
        let needs_start = files.is_some() && self.needs_start();
        let log = self.checkpointer.rest(&self.connection, &self.directory.database());
        Watched { files, needs_start, log, database: None }
    }

    /// Whether a new process would find all that is left, and this one cannot go on. Not so where a person has to put something back, or
    /// to stop another program, first.
    fn needs_start(&self) -> bool {
        let is_ours = self.directory.keep_locked().is_ok();
        is_ours
            && match self.files.look(0) {
                SeenFiles::Whole | SeenFiles::LogShort => self.lost,
                SeenFiles::LogGone => self.cut.is_some(),
                SeenFiles::DatabaseGone => self.is_rescued_in_place(),
            }
    }

    /// Whether the copy of a database that was removed has its name.
    pub(super) fn is_rescued_in_place(&self) -> bool {
        self.rescued.as_ref().is_some_and(|rescued| rescued.in_place)
    }

    /// Whether the log has no head any more, or another one that it did not get by starting over: the next start would not find what is in
    /// it.
    fn is_written_over(&mut self) -> bool {
        let Ok(head) = LogHead::of(&log_of(&self.directory.database())) else { return false };
        let life = self.checkpointer.life();
        let is_same = match (head, self.seen_head) {
            (None, _) => false,
            (Some(head), Some((seen, its_life))) => its_life != life || seen == head || head.is_later_than(seen),
            (Some(_), None) => true,
        };
        // Another program may have emptied it since.
        let is_over = !is_same
            && self.checkpointer.ask_length(&self.connection).is_ok()
            && self.checkpointer.life() == life
            && self.checkpointer.least_bytes() > 0;
        self.seen_head = head.map(|head| (head, self.checkpointer.life()));
        is_over
    }

    /// Copies all of a log that has no name any more into the database, which has.
    fn carry(&mut self) -> Result<(), StoreError> {
        let log = log_of(&self.directory.database());
        // SQLite would play it back at the next start, or remove it at the end.
        if fs::metadata(&log).is_ok_and(|found| found.len() > 0) && self.files.is_other_log() {
            let kept = aside(&log, "foreign");
            if let Err(source) = fs::rename(&log, &kept) {
                return Err(StoreError::Directory { path: log, source });
            }
            let (file, kept) = (log.display().to_string(), kept.display().to_string());
            error!(event = "log_foreign", file = file.as_str(), kept = kept.as_str(); "another log was put in the place of the one in use: put aside");
        }
        let copied = self.connection.query_row("PRAGMA wal_checkpoint(FULL)", (), |row| {
            Ok(row.get::<_, i64>(0)? == 0 && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
        })?;
        if copied { Ok(()) } else { Err(StoreError::Vanished { path: log, kept: PUT_BACK.to_owned() }) }
    }

    /// The database has no name any more: says so, and copies it once to where it can be found.
    fn vanished(&mut self) -> StoreError {
        if let Some(path) = self.cut.clone() {
            return StoreError::LogCut { path };
        }
        let path = self.directory.database();
        let rescued = self.rescued.get_or_insert_with(|| {
            // Whatever is at its name now is another's: SQLite must not end it as its own.
            drop(self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
            match rescue(&self.connection, &path) {
                Ok(place) if place == path => Rescued {
                    in_place: true,
                    told: format!(
                        "; all that was acknowledged lies in {} again: the next start goes on with it",
                        place.display()
                    ),
                },
                Ok(place) => Rescued {
                    in_place: false,
                    told: format!("{PUT_BACK}; all that was acknowledged lies in {}", place.display()),
                },
                Err(_gone_with_its_directory) => Rescued { in_place: false, told: PUT_BACK.to_owned() },
            }
        });
        StoreError::Vanished { kept: rescued.told.clone(), path }
    }
}

/// What became of a database whose file vanished.
#[derive(Debug)]
pub(super) struct Rescued {
    /// A copy of it has its name.
    in_place: bool,
    /// Where the copy lies and what to do, as words for people that go on a sentence.
    told: String,
}

/// A copy of a database that has no name any more, at its name if nothing else is there.
fn rescue(connection: &rusqlite::Connection, database: &Path) -> Result<PathBuf, StoreError> {
    let copy = aside(database, "rescued");
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    let place = if database.exists() {
        copy
    } else {
        fs::rename(&copy, database).map_err(|source| StoreError::Directory { path: copy, source })?;
        database.to_owned()
    };
    error!(event = "database_rescued", file = place.display().to_string(); "the database was removed while it was open: a copy of it lies there");
    Ok(place)
}
