//! The data directory: made when missing, and owned by one process at a time.
//!
//! The lock is on a file of its own, `DIR/lock`, held open as long as the [`DataDir`] lives; the operating system releases it
//! when the process ends, however it ends. A lock on `central.db` itself would be dropped by SQLite's own.
//!
//! It belongs to the opened file, which a child that this process is just starting shares until it becomes its program: so
//! closing it would not yet release it, and it is released in so many words.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::StoreError;

/// The database's name in the data directory.
pub const DATABASE_FILE: &str = "central.db";
const LOCK_FILE: &str = "lock";

/// The data directory, locked. Clones share the lock; it is released with the last of them.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
    held: Arc<Held>,
}

/// The files held open as long as anybody has the directory.
#[derive(Debug)]
struct Held {
    lock: File,
    /// For syncing only. Never closed earlier: closing it would drop SQLite's own locks on the file.
    database: Mutex<Option<File>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Where that cannot be, it goes with the last of those who hold the file.
        let _ = self.lock.unlock();
    }
}

impl DataDir {
    /// Makes the directory if it is missing and locks it.
    ///
    /// # Errors
    /// [`StoreError::Directory`] if it cannot be made, read or written; [`StoreError::Locked`] if another process (or this
    /// one) owns it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unusable = |source: io::Error| StoreError::Directory { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(unusable)?;
        fs::read_dir(path).map_err(unusable)?;
        let lock_path = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|source| StoreError::Directory { path: lock_path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), held: Arc::new(Held { lock, database: Mutex::new(None) }) }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(StoreError::Directory { path: lock_path, source }),
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database lies.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    /// Waits until all that was written to the database's file is on the disk.
    ///
    /// # Errors
    /// What the disk says, or the opening of the file.
    pub fn sync_database(&self) -> io::Result<()> {
        // Locked, so that no two are opened of which one would be closed.
        let mut database = self.held.database.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match database.take() {
            Some(opened) => opened,
            None => File::open(self.database())?,
        };
        database.insert(opened).sync_data()
    }

    /// Makes the names of files made in the directory survive a power cut.
    ///
    /// # Errors
    /// [`StoreError::Directory`] if the disk refuses.
    pub fn sync(&self) -> Result<(), StoreError> {
        File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| StoreError::Directory { path: self.path.clone(), source })
    }
}

/// The bytes an ordinary user may still write on the disk of `directory`.
///
/// # Errors
/// [`StoreError::Directory`] if the operating system does not say.
pub fn free_bytes(directory: &Path) -> Result<u64, StoreError> {
    let disk = rustix::fs::statvfs(directory)
        .map_err(|source| StoreError::Directory { path: directory.to_owned(), source: source.into() })?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_directory_is_made_and_a_second_owner_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        assert!(matches!(DataDir::open(&path), Err(StoreError::Locked(_))));
        let clone = first.clone();
        drop(first);
        assert!(matches!(DataDir::open(&path), Err(StoreError::Locked(_))));
        drop(clone);
        assert!(DataDir::open(&path).is_ok());
    }

    /// As a child that has been forked and has not become its program yet, which holds the same opened files.
    #[test]
    fn who_shares_the_opened_file_does_not_keep_the_lock() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataDir::open(parent.path()).unwrap();
        let shared = first.held.lock.try_clone().unwrap();
        drop(first);
        assert!(DataDir::open(parent.path()).is_ok());
        drop(shared);
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_told_with_its_path() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        fs::write(&path, "not a directory").unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Directory { .. }));
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }

    #[test]
    fn free_space_is_told_for_a_directory_and_refused_for_nothing() {
        let parent = tempfile::tempdir().unwrap();
        assert!(free_bytes(parent.path()).unwrap() > 0);
        assert!(free_bytes(&parent.path().join("missing")).is_err());
    }
}
