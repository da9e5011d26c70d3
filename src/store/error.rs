//! What can go wrong on the disk, told apart by what a person can do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

use crate::domain::ids::LogId;
use crate::replication::log::Head;

/// What is said where pages cannot be read.
pub const DAMAGED: &str = "central.db is damaged: stop, keep a copy of the data directory, put back a backup or start with an empty data directory (what the other centrals hold returns from them)";

/// What a person does about a file that vanished, as [`StoreError::Vanished`] goes on.
pub const PUT_BACK: &str = ". Put it back where it was, then restart";

/// An error of the store. Each text says what happened and what to do; none of them is meant for a client of the API.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the disk is full: free some space on the disk of the data directory; gates open again by themselves")]
    DiskFull(#[source] rusqlite::Error),
    #[error(
        "the disk refused to read or write: check the disk and its cables, then restart; keep a copy of the data directory"
    )]
    Io(#[source] rusqlite::Error),
    #[error("the database is in use by another program for too long: close whatever else has central.db open")]
    Busy(#[source] rusqlite::Error),
    #[error("{DAMAGED}")]
    Corrupt(#[source] rusqlite::Error),
    #[error("{path} is not a database of ParkMesh ({detail}): move it away, or name another --data-dir")]
    NotADatabase { path: PathBuf, detail: String },
    #[error(
        "{path} was written by a newer ParkMesh (format {found}, this program knows up to {known}): start the newer program, or put back the backup made before the upgrade"
    )]
    NewerVersion { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{path} was last used by another version of ParkMesh: start this version once, which makes the history anew from the events, then stop it and try again"
    )]
    OtherVersion { path: PathBuf },
    #[error("the data directory {0} is in use by another ParkMesh: stop that one, or name another --data-dir")]
    Locked(PathBuf),
    #[error(
        "cannot use {path}: {source}; check that it exists, is what it should be, and may be read and written by this user"
    )]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "{} cannot be read and written by this user (number {user}): somebody ran the program as another user, such as root, once. Stop every ParkMesh of this directory, give it all back with: chown -R {user}:{group} {} && chmod -R u+rwX {1}; then start again",
        .files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "), .directory.display()
    )]
    OfAnotherUser { files: Vec<PathBuf>, directory: PathBuf, user: u32, group: u32 },
    #[error(
        "{path} was cut short or written over while this program has it open: what was acknowledged last is not on this disk any more, and nothing is saved any more before this program is started anew; what the other centrals hold returns from them"
    )]
    LogCut { path: PathBuf },
    #[error(
        "{path} was removed or replaced while this program has it open: nothing is saved any more, so that nothing is lost{kept}"
    )]
    Vanished { path: PathBuf, kept: String },
    #[error(
        "{path} is the log of a database that is missing or empty, and {reason}: put that database back beside it; or move the log away to begin anew (what the other centrals hold returns from them)"
    )]
    LogAlone { path: PathBuf, reason: String },
    #[error("{path} is not the log of this database: start the server once, which puts it aside and tells of it")]
    LogOfAnother { path: PathBuf },
    #[error("cannot make the backup {path} before upgrading the database: {source}; nothing was changed")]
    Backup { path: PathBuf, source: rusqlite::Error },
    /// A value in a table that is made from the events is not what this program writes.
    #[error(
        "central.db holds a value that cannot be read ({0}): start the server, or run `parkmesh rebuild`; both make all that is made from the events anew"
    )]
    Value(String),
    /// As [`StoreError::Value`], of what is made from nothing else: an event, the name of its log, an entry of the audit.
    #[error(
        "central.db holds {0} that cannot be read: `parkmesh verify` says where; a backup has it, or another central"
    )]
    Unreadable(String),
    /// `(log, seq)` is already held: the caller asked for the impossible.
    #[error("event {log}/{seq} is already held")]
    EventHeld { log: LogId, seq: u64 },
    /// More logs or events than a row number can name, see [`crate::store::schema::event_row`].
    #[error("{log}/{seq} is out of the range the database can number")]
    OutOfRange { log: LogId, seq: u64 },
    #[error("no transaction is open")]
    NoTransaction,
    #[error("the log {log} ends at {} in the table of logs, but event {seq} is missing", head.to)]
    Hole { log: LogId, head: Head, seq: u64 },
    #[error("the database refused a statement")]
    Sqlite(#[source] rusqlite::Error),
}

impl StoreError {
    /// The file could not even be opened.
    pub(super) fn cannot_open(path: &Path, error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Directory { path: path.to_owned(), source: io::Error::other(error) }
            }
            _ => error.into(),
        }
    }

    /// Whether it is over once all that is made from the events has been made anew.
    pub fn is_of_derived(&self) -> bool {
        matches!(self, Self::Value(_))
    }

    /// Whether a page of the file is not what it must be: whatever lies on it, a new file can be written from the rest.
    #[must_use]
    pub fn is_broken_page(&self) -> bool {
        matches!(self, Self::Corrupt(_))
    }

    /// An error of a table that is made from nothing else.
    pub(super) fn beside_events(self, what: &str) -> Self {
        match self {
            Self::Value(why) => Self::Unreadable(format!("{what} ({why})")),
            other => other,
        }
    }

    /// A stable lower-case name for log lines and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DiskFull(_) => "disk_full",
            Self::Io(_) => "disk_io",
            Self::Busy(_) => "database_busy",
            Self::Corrupt(_) => "database_corrupt",
            Self::NotADatabase { .. } => "not_a_database",
            Self::NewerVersion { .. } => "newer_database",
            Self::OtherVersion { .. } => "database_of_another_version",
            Self::Locked(_) => "data_dir_locked",
            Self::Directory { .. } => "data_dir_unusable",
            Self::OfAnotherUser { .. } => "data_dir_of_another_user",
            Self::Vanished { .. } | Self::LogCut { .. } => "files_vanished",
            Self::LogAlone { .. } => "log_alone",
            Self::LogOfAnother { .. } => "log_of_another",
            Self::Backup { .. } => "backup_failed",
            Self::Value(_) => "database_value",
            Self::Unreadable(_) => "database_unreadable",
            Self::EventHeld { .. } => "event_held",
            Self::OutOfRange { .. } => "out_of_range",
            Self::NoTransaction => "no_transaction",
            Self::Hole { .. } => "log_hole",
            Self::Sqlite(_) => "database_error",
        }
    }
}

/// What people are told once all was made anew from so many events; `why`: by what could not be read; `tariff`: the version of the one
/// gates charge by since, `None` for the built-in one.
pub fn told_remade(why: &str, events: u64, tariff: Option<&str>) -> String {
    let tariff = tariff.unwrap_or("built-in");
    format!(
        "{why}. That was done, from {events} events; the tariff in force is {tariff}. A value changes by itself on a disk that fails: look at it, and at the backups"
    )
}

/// Why all has to be made anew where pages were broken; `kept`: where the damaged file lies.
pub fn told_salvaged(kept: &std::path::Path) -> String {
    format!(
        "pages of central.db cannot be read, so that a new one has to be written from its events; the damaged one lies as {}",
        kept.display()
    )
}

/// What people are told where the next start does it.
pub fn told_put_off(why: &str) -> String {
    format!("a page could not be shown: {why}. Gates go on; restart when it is quiet")
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
        if matches!(
            error,
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
        ) {
            return Self::Value(error.to_string());
        }
        // A row that holds what its table does not allow cannot even be changed.
        let is_not_allowed = |error: &ffi::Error| {
            matches!(error.extended_code, ffi::SQLITE_CONSTRAINT_DATATYPE | ffi::SQLITE_CONSTRAINT_NOTNULL)
        };
        if error.sqlite_error().is_some_and(is_not_allowed) {
            return Self::Value(error.to_string());
        }
        // Dropped while it runs, or since the start looked.
        let said = error.to_string();
        if ["no such table: ", "no such column: ", "no such index: "].iter().any(|none| said.starts_with(none)) {
            return Self::Value(said);
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull(error),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Self::Io(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error),
            _ => Self::Sqlite(error),
        }
    }
}
