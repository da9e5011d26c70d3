//! The data directory: made when missing, and owned by one process at a time.
//!
//! The lock is on a file of its own, `DIR/lock`, held open as long as the [`DataDir`] lives; the operating system releases it
//! when the process ends, however it ends. A lock on `central.db` itself would be dropped by SQLite's own.
//!
//! It belongs to the opened file, which a child that this process is just starting shares until it becomes its program: so
//! closing it would not yet release it, and it is released in so many words.
//!
//! While a run has the database open, the lock's file holds its mark: which files these are. See [`super::left`].
//!
//! Nobody else on the machine can read any of it: whoever reads the files reads all plates and who was where.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::Access;

use super::error::StoreError;
use super::files::{FileId, index_of, log_of};

/// The database's name in the data directory.
pub const DATABASE_FILE: &str = "central.db";
/// Where in the data directory a backup is made.
pub const BACKUP_SCRATCH: &str = "backup-scratch";
/// What the name of a copy ends with while the database is still read for it.
pub(super) const COPYING: &str = ".copying";
/// Who holds it locked owns the directory.
pub const LOCK_FILE: &str = "lock";
/// Only its owner reads and writes a file, and enters the directory.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// The longest mark, in bytes.
const MAX_MARK_BYTES: usize = 64;

/// What a run leaves in the lock's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It has these files open: database and log, by their inodes.
    Open {
        database: u64,
        log: u64,
        /// The first number in the head of the log, as it was lately: see [`super::left`].
        life: Option<u32>,
    },
    /// It is about to open them.
    Opening,
    /// It ended in order: all that was in the log is in the database.
    Closed,
}

const OPENING: &str = "opening";
const CLOSED: &str = "closed";

impl Mark {
    fn read(text: &str) -> Option<Self> {
        // After the end of a line may stand what is left of a longer one.
        let line = text.lines().next()?;
        match line {
            OPENING => return Some(Self::Opening),
            CLOSED => return Some(Self::Closed),
            _ => {}
        }
        let mut words = line.split(' ');
        let (database, log) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self::Open { database, log, life: words.next().and_then(|life| life.parse().ok()) })
    }

    fn text(self) -> String {
        match self {
            Self::Opening => format!("{OPENING}\n"),
            Self::Closed => format!("{CLOSED}\n"),
            Self::Open { database, log, life: None } => format!("{database} {log}\n"),
            Self::Open { database, log, life: Some(life) } => format!("{database} {log} {life}\n"),
        }
    }
}

/// The data directory, locked. Clones share the lock; it is released with the last of them.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
    held: Arc<OpenFiles>,
}

/// The files held open as long as anybody has the directory.
#[derive(Debug)]
struct OpenFiles {
    /// The one whose name is in the directory last.
    locks: Mutex<Vec<File>>,
    /// For syncing only. Never closed earlier: closing it would drop SQLite's own locks on the file.
    database: Mutex<Option<File>>,
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        // Where that cannot be, it goes with the last of those who hold the file.
        self.locks().iter().for_each(|lock| drop(lock.unlock()));
    }
}

impl OpenFiles {
    fn locks(&self) -> MutexGuard<'_, Vec<File>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
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
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(unusable)?;
        check_ours(path)?;
        fs::read_dir(path).map_err(unusable)?;
        make_private(path, DIRECTORY_MODE);
        let lock = lock(path)?;
        Ok(Self {
            path: path.to_owned(),
            held: Arc::new(OpenFiles { locks: Mutex::new(vec![lock]), database: Mutex::new(None) }),
        })
    }

    /// Makes sure that no other process can take the directory, whatever became of the lock's file.
    ///
    /// # Errors
    /// [`StoreError::Locked`]: another one has; [`StoreError::Directory`]: the directory is gone.
    pub fn keep_locked(&self) -> Result<(), StoreError> {
        let path = self.path.join(LOCK_FILE);
        let mut locks = self.held.locks();
        let held = locks.last().and_then(|lock| lock.metadata().ok()).map(|held| held.ino());
        match FileId::at(&path) {
            Ok(found) if found.is_some() && found.map(|id| id.inode) == held => {}
            Ok(_) => locks.push(lock(&self.path)?),
            // Who cannot look knows no better.
            Err(_) => {}
        }
        Ok(())
    }

    /// Takes the rights of others off the files of the database.
    pub(super) fn keep_private(&self) {
        let database = self.database();
        for file in [log_of(&database), index_of(&database), database, self.path.join(LOCK_FILE)] {
            make_private(&file, FILE_MODE);
        }
    }

    /// What the last run marked; `None`: nothing that can be read, as a version before marks left it.
    pub(super) fn mark(&self) -> Option<Mark> {
        let locks = self.held.locks();
        let mut bytes = [0; MAX_MARK_BYTES];
        let length = locks.last()?.read_at(&mut bytes, 0).ok()?;
        Mark::read(std::str::from_utf8(bytes.get(..length)?).ok()?)
    }

    /// Marks what a run has open, or that it has closed it.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn put_mark(&self, mark: Mark) -> io::Result<()> {
        let locks = self.held.locks();
        let Some(lock) = locks.last() else { return Ok(()) };
        // Over what is there, so that a power cut leaves the one or the other.
        let text = mark.text();
        lock.write_all_at(text.as_bytes(), 0)?;
        lock.set_len(text.len() as u64)?;
        lock.sync_all()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database lies.
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

    /// Another file has the database's name.
    pub(super) fn forget_database(&self) {
        self.held.database.lock().unwrap_or_else(PoisonError::into_inner).take();
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

/// Looks whether what the database is made of may be read and written by this user: a run as another one, such as root, leaves files
/// that only that one can.
fn check_ours(directory: &Path) -> Result<(), StoreError> {
    let is_refused =
        |path: &Path, access| rustix::fs::access(path, access).is_err_and(|error| error == rustix::io::Errno::ACCESS);
    let both = Access::READ_OK | Access::WRITE_OK;
    let mut refused: Vec<PathBuf> = vec![directory.to_owned()];
    refused.retain(|path| is_refused(path, both | Access::EXEC_OK));
    let names = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    refused.extend(names.map(|entry| entry.path()).filter(|path| path.is_file() && is_refused(path, both)));
    let database = directory.join(DATABASE_FILE);
    let needed = [directory.to_owned(), log_of(&database), index_of(&database), database, directory.join(LOCK_FILE)];
    refused.sort();
    if refused.iter().any(|path| needed.contains(path)) {
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        return Err(StoreError::OfAnotherUser { files: refused, directory: directory.to_owned(), user, group });
    }
    for path in refused {
        let file = path.display().to_string();
        log::warn!(event = "file_of_another_user", file = file.as_str(); "this user may not read and write a file of the data directory: give it to the user of the service, with chown");
    }
    Ok(())
}

/// The lock of a directory, in a file of its own.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK_FILE);
    let opened = OpenOptions::new().create(true).read(true).write(true).truncate(false).mode(FILE_MODE).open(&path);
    let lock = opened.map_err(|source| StoreError::Directory { path: path.clone(), source })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(StoreError::Directory { path, source }),
    }
}

/// Takes the rights of others away. What belongs to somebody else stays as it is: then that one decides.
fn make_private(path: &Path, mode: u32) {
    let others = fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    if others && let Err(error) = fs::set_permissions(path, Permissions::from_mode(mode)) {
        let file = path.display().to_string();
        log::warn!(event = "files_not_private", file = file.as_str(), error:% = error; "others on this machine may read this file");
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
        let shared = first.held.locks().last().unwrap().try_clone().unwrap();
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
    fn a_lock_whose_file_is_removed_is_taken_again_unless_another_process_was_quicker() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataDir::open(parent.path()).unwrap();
        fs::remove_file(parent.path().join(LOCK_FILE)).unwrap();
        first.keep_locked().unwrap();
        assert!(matches!(DataDir::open(parent.path()), Err(StoreError::Locked(_))));
        fs::remove_file(parent.path().join(LOCK_FILE)).unwrap();
        let second = DataDir::open(parent.path()).unwrap();
        assert!(matches!(first.keep_locked(), Err(StoreError::Locked(_))));
        second.keep_locked().unwrap();
    }

    #[test]
    fn a_mark_is_read_back_over_whatever_was_there() {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDir::open(parent.path()).unwrap();
        assert_eq!(directory.mark(), None);
        let open = |inode, life| Mark::Open { database: inode, log: inode, life };
        for mark in [open(1, None), open(u64::MAX, Some(u32::MAX)), Mark::Opening, open(7, Some(8)), Mark::Closed] {
            directory.put_mark(mark).unwrap();
            assert_eq!(directory.mark(), Some(mark));
        }
        for (text, mark) in [
            ("", None),
            ("closed\n", Some(Mark::Closed)),
            ("closed\n22 33\n", Some(Mark::Closed)),
            ("5 6\n", Some(Mark::Open { database: 5, log: 6, life: None })),
            ("5 6 7\n9\n", Some(Mark::Open { database: 5, log: 6, life: Some(7) })),
            ("\0\0\0", None),
            ("x y z", None),
        ] {
            assert_eq!(Mark::read(text), mark, "{text:?}");
        }
    }

    #[test]
    fn free_space_is_told_for_a_directory_and_refused_for_nothing() {
        let parent = tempfile::tempdir().unwrap();
        assert!(free_bytes(parent.path()).unwrap() > 0);
        assert!(free_bytes(&parent.path().join("missing")).is_err());
    }
}
