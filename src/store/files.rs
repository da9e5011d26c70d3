//! Whether the files at the database's names are still those this process has open, while it runs.
//!
//! A file that is removed or replaced stays with whoever has it open: SQLite goes on writing into it without an error, and all of it
//! is gone with the process. So the writer looks before and after each commit, and once a second (five questions to the operating
//! system, some microseconds). What it finds decides:
//!
//! | gone or another one | what is done |
//! |---|---|
//! | the log (`-wal`) or its index (`-shm`) | what is in the log is copied into the database, and from then on each commit is, before it is answered: gates go on |
//! | the log, cut short or written over in its place | nothing is committed: what was in it is gone, and a commit behind it would not be found. The process ends: a new one goes on with what is left |
//! | the database, or the directory | nothing is committed; what was is copied beside it if that can be. Where the copy has the name, the process ends |

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::directory::Mark;

/// One file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    pub inode: u64,
}

impl FileId {
    /// The file of this name; `None`: there is none.
    ///
    /// # Errors
    /// What keeps the operating system from saying.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(Self { device: found.dev(), inode: found.ino() })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What stands at the names of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenFiles {
    Whole,
    LogGone,
    /// It is the file that was opened, and shorter than what was written into it.
    LogShort,
    DatabaseGone,
}

/// The files as they were opened.
#[derive(Debug)]
pub(super) struct Files {
    database: PathBuf,
    /// Database, log, index of the log.
    opened: [Option<FileId>; 3],
}

impl Files {
    /// What is at the names of a database that was opened, and committed to, just now.
    pub fn of(database: &Path) -> Self {
        let opened = names(database).map(|name| FileId::at(&name).ok().flatten());
        Self { database: database.to_owned(), opened }
    }

    /// What is at those names now. `log_bytes`: what the log holds at least. Where the operating system does not say, nothing is said to
    /// be gone.
    pub fn look(&self, log_bytes: u64) -> SeenFiles {
        let names = names(&self.database);
        let mut changed =
            names.iter().zip(self.opened).map(|(name, opened)| FileId::at(name).is_ok_and(|now| now != opened));
        match changed.next() {
            Some(true) => SeenFiles::DatabaseGone,
            _ if changed.any(|changed| changed) => SeenFiles::LogGone,
            _ if fs::metadata(log_of(&self.database)).is_ok_and(|log| log.len() < log_bytes) => SeenFiles::LogShort,
            _ => SeenFiles::Whole,
        }
    }

    /// Whether another log than the one in use has its name.
    pub fn is_other_log(&self) -> bool {
        let [_, log, _] = self.opened;
        FileId::at(&log_of(&self.database)).is_ok_and(|now| now.is_some() && now != log)
    }

    /// The mark of a run that has them open.
    pub fn mark(&self, life: Option<u32>) -> Option<Mark> {
        let [database, log, _] = self.opened;
        Some(Mark::Open { database: database?.inode, log: log?.inode, life })
    }
}

fn names(database: &Path) -> [PathBuf; 3] {
    [database.to_owned(), log_of(database), index_of(database)]
}

/// The write-ahead log of a database.
pub(super) fn log_of(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

/// The index of its log.
pub(super) fn index_of(database: &Path) -> PathBuf {
    beside(database, "-shm")
}

/// `central.db` and `-wal` give `central.db-wal`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// A name of its own for what is put aside: `central.db-wal.foreign`, then `central.db-wal.foreign-2` and so on.
pub(super) fn aside(path: &Path, word: &str) -> PathBuf {
    let first = beside(path, &format!(".{word}"));
    let later = (2..).map(|number| beside(path, &format!(".{word}-{number}")));
    let mut names = std::iter::once(first.clone()).chain(later);
    names.find(|name| fs::symlink_metadata(name).is_err()).unwrap_or(first)
}
