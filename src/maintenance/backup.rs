//! A central in one file: made while it runs, proven to be whole before it gets its name, and put back.
//!
//! Docs: operations.md, *Backup*.

mod archive;
mod put_back;
mod sealed;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::archive::BackupArchive;
use self::archive::{Hashes, hash_of};
pub use self::put_back::put_back;
pub use self::sealed::Passphrase;
use super::verify::{Verified, verify};
use super::{Progress, RebuildFor, must_exist};
use crate::background::remove;
use crate::disk;
use crate::domain::ids::CentralId;
use crate::store::directory::{BACKUP_SCRATCH, DATABASE_FILE};
use crate::store::{Reader, StoreError, free_bytes};
use crate::tls::key_file;
use crate::vault::files;

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The settings' name in a backup, whatever theirs is.
const SETTINGS_FILE: &str = "p2p_config.json";
const PROOF_FILE: &str = "proven.json";
const MAX_PROOF_BYTES: u64 = 64 * 1024;
const FORM: &str = ".tar";
/// What the name of one that is not proven ends with.
const PARTIAL: &str = ".partial";
/// Day and time of day to the ms, `2026-11-28_030000412`.
const TIME_BYTES: usize = 20;
/// The copy, and the history made anew from its events beside it.
const ROOM_FACTOR: u64 = 2;

/// Where the parts of a central lie.
#[derive(Debug, Clone)]
pub struct Parts {
    pub data_dir: PathBuf,
    /// Names of the files beside the database that belong to it, as far as they are there.
    pub beside: [&'static str; 2],
    pub config_file: PathBuf,
    /// What a backup leaves free on each disk it needs.
    pub leave_free_bytes: u64,
}

impl Parts {
    /// Of a central whose directory and settings file these are; leaves nothing free.
    pub fn of_central(data_dir: PathBuf, config_file: PathBuf) -> Self {
        let beside = [key_file::IDENTITY_FILE, files::FILE];
        Self { data_dir, beside, config_file, leave_free_bytes: 0 }
    }
}

/// What a backup says of itself: it was proven, and this is what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupProof {
    pub central: CentralId,
    /// When the copy was begun, Unix ms.
    pub made_ms: i64,
    pub events: u64,
    /// Of the history, as the central showed it at that moment.
    pub digest: String,
    /// Of a directory: SHA-256 of each file, in hex, by its name.
    #[serde(default, skip_serializing_if = "Hashes::is_empty")]
    files: Hashes,
}

/// A backup that lies somewhere.
#[derive(Debug)]
pub enum StoredBackup {
    File(BackupArchive),
    /// As versions before made them; the oldest without a proof.
    Directory {
        path: PathBuf,
        proof: Option<BackupProof>,
    },
}

impl StoredBackup {
    /// # Errors
    /// [`BackupError::NoBackup`], or that it cannot be read.
    pub fn at(path: &Path) -> Result<Self, BackupError> {
        if !path.is_dir() {
            return BackupArchive::open(path).map(Self::File);
        }
        if !path.join(DATABASE_FILE).exists() {
            return Err(BackupError::NoBackup(path.to_owned()));
        }
        let proof = match disk::read(&path.join(PROOF_FILE), MAX_PROOF_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => {
                let told = read.map_err(|source| BackupError::Unreadable { path: path.to_owned(), source })?;
                Some(serde_json::from_slice(&told).map_err(|_| BackupError::Changed(path.join(PROOF_FILE)))?)
            }
        };
        Ok(Self::Directory { path: path.to_owned(), proof })
    }

    pub fn proof(&self) -> Option<&BackupProof> {
        match self {
            Self::File(archive) => Some(&archive.proof),
            Self::Directory { proof, .. } => proof.as_ref(),
        }
    }

    /// Whether a passphrase opens it.
    pub fn is_sealed(&self) -> bool {
        matches!(self, Self::File(archive) if archive.is_sealed())
    }

    /// Whether all of it is as it was when the backup was proven.
    ///
    /// # Errors
    /// The first that is not: [`BackupError::Changed`], or that it cannot be read.
    pub fn holds(&self) -> Result<(), BackupError> {
        let (path, proof) = match self {
            Self::File(archive) => return archive.holds(),
            Self::Directory { path, proof } => (path, proof),
        };
        for (name, hash) in proof.iter().flat_map(|proof| &proof.files) {
            let path = path.join(name);
            match disk::open(&path).and_then(hash_of) {
                Ok(found) if found == *hash => {}
                Ok(_) => return Err(BackupError::Changed(path)),
                Err(source) => return Err(BackupError::Unreadable { path, source }),
            }
        }
        Ok(())
    }
}

/// Why there is no backup, or why none was put back. Nothing that was there is lost.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} is in the data directory, which a backup is to outlive: name another one", .0.display())]
    Inside(PathBuf),
    #[error("{} is there: a backup goes into an empty data directory. Stop the central and move its directory away first", .0.display())]
    Occupied(PathBuf),
    #[error("{} is no backup, or was cut off", .0.display())]
    NoBackup(PathBuf),
    #[error("cannot copy to {}: {source}; free some space, or name a place this user may write to", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} has {} MB free, and a backup needs {} MB: free some, or name another disk", .path.display(), .free_mb, .needed_mb)]
    NoRoom { path: PathBuf, free_mb: u64, needed_mb: u64 },
    #[error("{} is not what it was when the backup was proven: its disk may be failing; use another backup", .0.display())]
    Changed(PathBuf),
    #[error("{} cannot be read: {source}; its disk may be failing; use another backup", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("what was read back from {} is not what was written: its disk may be failing; name another one", .0.display())]
    NotReadBack(PathBuf),
    #[error("the copy is not whole; check this central: parkmesh verify\n{found}")]
    Damaged { found: Box<Verified> },
    #[error("another backup of this central is being made: wait for its end")]
    Busy,
    #[error("the passphrase cannot be read from {}: {source}", .path.display())]
    NoPassphrase { path: PathBuf, source: io::Error },
    #[error("the passphrase in {} is shorter than 12 characters: whoever finds a backup would guess it", .0.display())]
    ShortPassphrase(PathBuf),
    #[error("{} is encrypted: a passphrase opens it (--passphrase-file)", .0.display())]
    Sealed(PathBuf),
    #[error("{} is not encrypted, and a passphrase was given: it is not the backup that was meant, or leave the passphrase out", .0.display())]
    NotSealed(PathBuf),
    #[error("the passphrase does not open {}: it was made with another one", .0.display())]
    WrongPassphrase(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The passphrase in a file that a person names, who waits for it: a pipe will do.
///
/// # Errors
/// [`BackupError::NoPassphrase`]
pub fn read_passphrase(file: &Path) -> Result<Passphrase, BackupError> {
    passphrase_in(file, |path| File::open(path))
}

fn passphrase_in(file: &Path, open: impl Fn(&Path) -> io::Result<File>) -> Result<Passphrase, BackupError> {
    let read = open(file).and_then(Passphrase::read);
    read.map_err(|source| BackupError::NoPassphrase { path: file.to_owned(), source })
}

/// The one in the file of the settings, that new backups are sealed with; nobody waits for it.
///
/// # Errors
/// [`BackupError::NoPassphrase`], [`BackupError::ShortPassphrase`]
pub fn passphrase_of(file: &Path) -> Result<Passphrase, BackupError> {
    let passphrase = passphrase_in(file, disk::open)?;
    if passphrase.is_too_short() {
        return Err(BackupError::ShortPassphrase(file.to_owned()));
    }
    Ok(passphrase)
}

/// Copies a central, whether it runs or not, into a new file in the directory `to`, named by it and the time: where it is, and what was
/// found. It has that name once it was read back and is what was verified. `turn`: of its data directory; `now_ms`: the wall clock.
///
/// # Errors
/// [`BackupError`]
pub fn back_up(
    turn: BackupTurn,
    parts: &Parts,
    to: &Path,
    passphrase: Option<&Passphrase>,
    site: &RebuildFor,
    now_ms: i64,
    progress: Progress<'_>,
) -> Result<(PathBuf, Verified), BackupError> {
    if is_inside(to, &parts.data_dir) {
        return Err(BackupError::Inside(to.to_owned()));
    }
    let scratch = &turn.scratch;
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(to).map_err(failed)?;
    clear_partial(to, &site.central);
    let mut source = Reader::open(&parts.data_dir)?;
    let bytes = source.bytes()?;
    has_room(parts, scratch, bytes.saturating_mul(ROOM_FACTOR))?;
    has_room(parts, to, bytes)?;
    source.copy_to(&scratch.join(DATABASE_FILE))?;
    drop(source);
    let (proof, found) = verify_copy(parts, scratch, site, now_ms, progress)?;
    let names = parts.beside.into_iter().chain([SETTINGS_FILE, DATABASE_FILE]);
    let files = names.map(|name| (name, scratch.join(name))).filter(|(_, place)| place.exists());
    let files: Vec<_> = files.collect();
    let time = site.zone.local_text(now_ms).replace(' ', "_").replace(':', "");
    // Two may be asked for in one second.
    let place = to.join(format!("{}_{time}{:03}{FORM}", site.central, now_ms.rem_euclid(1_000)));
    let partial = PathBuf::from(format!("{}{PARTIAL}", place.display()));
    let made = write_and_read_back(&partial, &proof, &files, passphrase).and_then(|()| {
        let name = || fs::rename(&partial, &place).and_then(|()| File::open(to)?.sync_all());
        name().map_err(|source| BackupError::File { path: place.clone(), source })
    });
    if let Err(reason) = made {
        // What is left of it does not count; the next one tries to remove it again.
        drop(fs::remove_file(&partial));
        return Err(reason);
    }
    Ok((place, found))
}

/// The copy in the scratch directory, with the files beside it, as `parkmesh verify` finds it.
fn verify_copy(
    parts: &Parts,
    scratch: &Path,
    site: &RebuildFor,
    now_ms: i64,
    progress: Progress<'_>,
) -> Result<(BackupProof, Verified), BackupError> {
    let beside = parts.beside.map(|name| (parts.data_dir.join(name), name));
    for (path, name) in beside.into_iter().chain([(parts.config_file.clone(), SETTINGS_FILE)]) {
        match fs::copy(&path, scratch.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(BackupError::File { path: scratch.join(name), source }),
            Ok(_) => {}
        }
    }
    let found = verify(scratch, site, now_ms, progress)?;
    match &found.digests {
        Some(digests) if found.is_whole() => {
            let (central, events, digest) = (site.central.clone(), found.report.events, digests.said.clone());
            Ok((BackupProof { central, made_ms: now_ms, events, digest, files: Hashes::new() }, found))
        }
        _ => Err(BackupError::Damaged { found: Box::new(found) }),
    }
}

/// What comes out of the file again, from its disk, is byte for byte what was verified.
fn write_and_read_back(
    to: &Path,
    proof: &BackupProof,
    files: &[(&str, PathBuf)],
    passphrase: Option<&Passphrase>,
) -> Result<(), BackupError> {
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(to).map_err(failed)?;
    let written = archive::write(&mut file, proof, files, passphrase).map_err(failed)?;
    // Where a file system does not know how to forget it, memory is read.
    let _refused = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    let made = BackupArchive::open(to)?;
    made.holds()?;
    let mut read = Hashes::new();
    made.contents(passphrase)?.each(|name, part| {
        let hash = hash_of(part).map_err(|source| BackupError::Unreadable { path: to.to_owned(), source })?;
        read.insert(name.to_owned(), hash);
        Ok(())
    })?;
    if read == written && made.proof == *proof { Ok(()) } else { Err(BackupError::NotReadBack(to.to_owned())) }
}

/// The turn to make a backup of a central: one at a time, in a scratch directory of its own that goes with it.
#[derive(Debug)]
pub struct BackupTurn {
    scratch: PathBuf,
    _held: File,
}

impl BackupTurn {
    /// # Errors
    /// [`BackupError::Busy`]: somebody else has it; [`BackupError`]
    pub fn take(data_dir: &Path) -> Result<Self, BackupError> {
        Self::have(data_dir, File::try_lock)
    }

    /// Waits for it, for as long as another backup takes.
    ///
    /// # Errors
    /// [`BackupError`]
    pub fn wait(data_dir: &Path) -> Result<Self, BackupError> {
        Self::have(data_dir, |held| held.lock().map_err(TryLockError::Error))
    }

    /// With an empty directory, whatever was left in it by one that was killed.
    fn have(data_dir: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Self, BackupError> {
        must_exist(data_dir)?;
        // Not where the backup goes: that may be a share, or a stick that is to hold nothing in clear.
        let scratch = data_dir.join(BACKUP_SCRATCH);
        let failed = |source| BackupError::File { path: scratch.clone(), source };
        let open = || {
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&scratch)?;
            hand_over(&scratch, data_dir)?;
            File::open(&scratch)
        };
        let held = loop {
            let held = open().map_err(failed)?;
            match lock(&held) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(BackupError::Busy),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // Whoever had it removed it: what was waited for may not be what lies there now.
            let is_there = fs::metadata(&scratch).and_then(|there| Ok(there.ino() == held.metadata()?.ino()));
            if is_there.is_ok_and(|is_there| is_there) {
                break held;
            }
        };
        for entry in fs::read_dir(&scratch).map_err(failed)? {
            let entry = entry.map_err(failed)?.path();
            remove(&entry).map_err(failed)?;
        }
        Ok(Self { scratch, _held: held })
    }
}

impl Drop for BackupTurn {
    fn drop(&mut self) {
        // What is left is removed before the next one.
        drop(remove(&self.scratch));
    }
}

/// Removes what backups that were killed left on this machine and in `to`.
pub fn clear(data_dir: &Path, to: Option<&Path>, central: &CentralId) {
    // Without one there is nothing; one that is in use is of a backup that is being made.
    if data_dir.join(BACKUP_SCRATCH).exists() && BackupTurn::take(data_dir).is_err() {
        return;
    }
    if let Some(to) = to {
        clear_partial(to, central);
    }
}

/// A backup: a file, or a directory of an earlier version. Of a file its name alone: somebody may copy it just now.
///
/// # Errors
/// What the disk says.
pub fn remove_backup(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

fn clear_partial(dir: &Path, central: &CentralId) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| is_partial(path) && is_named_by(path, central);
    // What cannot be removed is told of when the next one cannot be made.
    entries.filter(is_ours).for_each(|path| drop(remove_backup(&path)));
}

/// Whether it has the name of one that is not proven.
pub fn is_partial(path: &Path) -> bool {
    path.to_string_lossy().ends_with(PARTIAL)
}

/// Whether a file or directory has a name that the backups of this central get.
pub fn is_named_by(path: &Path, central: &CentralId) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let name = name.strip_suffix(PARTIAL).unwrap_or(&name);
    let time = name.strip_suffix(FORM).unwrap_or(name).strip_prefix(central.as_str());
    let is_time = |time: &str| time.len() == TIME_BYTES && time.bytes().all(|byte| b"0123456789-_".contains(&byte));
    time.and_then(|time| time.strip_prefix('_')).is_some_and(is_time)
}

/// Whether a place, of which only the directories above need be there, lies in a directory.
fn is_inside(place: &Path, directory: &Path) -> bool {
    let there = place.ancestors().find_map(|above| fs::canonicalize(above).ok());
    fs::canonicalize(directory).is_ok_and(|directory| there.is_some_and(|there| there.starts_with(directory)))
}

/// A full disk stops the gates: a backup that would fill it is not begun. `database_bytes`: as often as it is to lie there.
fn has_room(parts: &Parts, to: &Path, database_bytes: u64) -> Result<(), BackupError> {
    let (free, needed) = (free_bytes(to)?, database_bytes.saturating_add(parts.leave_free_bytes));
    if free >= needed {
        return Ok(());
    }
    let mb = |bytes: u64| bytes.div_ceil(1_000_000);
    Err(BackupError::NoRoom { path: to.to_owned(), free_mb: mb(free), needed_mb: mb(needed) })
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Who makes a backup or puts one back is often root, and the service is not.
fn hand_over(path: &Path, like: &Path) -> io::Result<()> {
    let (found, owner) = (fs::metadata(path)?, fs::metadata(like)?);
    if (found.uid(), found.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
}
