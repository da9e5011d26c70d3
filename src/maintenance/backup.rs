//! A central in one directory: made while it runs, proven to be whole before it gets its name, and put back.
//!
//! Docs: operations.md, *Backup*.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::verify::{Verified, verify};
use super::{Progress, RebuildFor, must_exist};
use crate::domain::ids::CentralId;
use crate::store::directory::{DATABASE_FILE, LOCK_FILE};
use crate::store::{DataDir, Reader, StoreError, free_bytes};
use crate::tls::key_file;
use crate::vault::files;

const DIRECTORY_MODE: u32 = 0o700;
/// The settings' name in a backup, whatever theirs is.
const SETTINGS_FILE: &str = "p2p_config.json";
/// What the name of one that is not proven ends with.
pub const PARTIAL: &str = "partial";
const PROOF_FILE: &str = "proven.json";
const BLOCK_BYTES: usize = 256 * 1024;
/// The copy, and the history made anew from its events beside it.
const ROOM_FACTOR: u64 = 2;

/// Where the parts of a central lie.
#[derive(Debug, Clone)]
pub struct Parts {
    pub data_dir: PathBuf,
    /// Names of the files beside the database that belong to it, as far as they are there.
    pub beside: [&'static str; 2],
    pub config_file: PathBuf,
    /// What a backup leaves free on the disk it goes to.
    pub leave_free_bytes: u64,
}

impl Parts {
    /// Of a central whose directory and settings file these are; leaves nothing free.
    pub fn of_central(data_dir: PathBuf, config_file: PathBuf) -> Self {
        let beside = [key_file::IDENTITY_FILE, files::FILE];
        Self { data_dir, beside, config_file, leave_free_bytes: 0 }
    }
}

/// What a backup says of itself: it was proven, and these are its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupProof {
    pub central: CentralId,
    /// When the copy was begun, Unix ms.
    pub made_ms: i64,
    pub events: u64,
    /// Of the history, as the central showed it at that moment.
    pub digest: String,
    /// SHA-256 of each file, in hex, by its name.
    files: BTreeMap<String, String>,
}

impl BackupProof {
    /// Of the backup in a directory; `None`: it has none, or none that can be read.
    pub fn of(backup: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(backup.join(PROOF_FILE)).ok()?).ok()
    }

    /// Whether every file is as it was when the backup was proven.
    ///
    /// # Errors
    /// The first one that is not: [`BackupError::Changed`], or that it cannot be read.
    pub fn holds(&self, backup: &Path) -> Result<(), BackupError> {
        for (name, hash) in &self.files {
            let path = backup.join(name);
            match hash_of(&path) {
                Ok(found) if found == *hash => {}
                Ok(_) => return Err(BackupError::Changed(path)),
                Err(source) => return Err(BackupError::Unreadable { path, source }),
            }
        }
        Ok(())
    }
}

fn hash_of(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut block) = (File::open(path)?, Sha256::new(), vec![0; BLOCK_BYTES]);
    loop {
        match file.read(&mut block)? {
            0 => break,
            length => hash.update(block.get(..length).unwrap_or_default()),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Why there is no backup, or why none was put back. Nothing that was there is lost.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} is there already: name a directory that is not, such as one of today's date", .0.display())]
    Exists(PathBuf),
    #[error("{} is in the data directory, which a backup is to outlive: name another one", .0.display())]
    Inside(PathBuf),
    #[error("{} is there: a backup goes into an empty data directory. Stop the central and move its directory away first", .0.display())]
    Occupied(PathBuf),
    #[error("{} is no backup: it has no {DATABASE_FILE}", .0.display())]
    NoBackup(PathBuf),
    #[error("cannot copy to {}: {source}; free some space, or name a place this user may write to", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} has {} MB free, and a backup needs {} MB: free some, or name another disk", .path.display(), .free_mb, .needed_mb)]
    NoRoom { path: PathBuf, free_mb: u64, needed_mb: u64 },
    #[error("{} is not what it was when the backup was proven: its disk may be failing; use another backup", .0.display())]
    Changed(PathBuf),
    #[error("{} cannot be read: {source}; its disk may be failing; use another backup", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the copy in {} is not whole; check this central too: parkmesh verify\n{found}", .place.display())]
    Damaged { place: PathBuf, found: Box<Verified> },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies a central, whether it runs or not, into the new directory `to`. It has that name once the copy was verified; until then, and
/// if it is not whole, `TO.partial`. `now_ms`: the wall clock.
///
/// # Errors
/// [`BackupError`]
pub fn back_up(
    parts: &Parts,
    to: &Path,
    site: &RebuildFor,
    now_ms: i64,
    progress: Progress<'_>,
) -> Result<Verified, BackupError> {
    must_exist(&parts.data_dir)?;
    if is_inside(to, &parts.data_dir) {
        return Err(BackupError::Inside(to.to_owned()));
    }
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let partial = PathBuf::from(format!("{}.{PARTIAL}", to.display()));
    let failed = |source| BackupError::File { path: partial.clone(), source };
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(failed)?;
    }
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&partial).map_err(failed)?;
    has_room(parts, &partial)?;
    Reader::open(&parts.data_dir)?.copy_to(&partial.join(DATABASE_FILE))?;
    for name in parts.beside {
        copy(&parts.data_dir.join(name), &partial.join(name))?;
    }
    copy(&parts.config_file, &partial.join(SETTINGS_FILE))?;
    let found = verify(&partial, site, now_ms, progress)?;
    if !found.is_whole() {
        return Err(BackupError::Damaged { place: partial, found: Box::new(found) });
    }
    let sync = || {
        fs::remove_file(partial.join(LOCK_FILE))?;
        write_proof(&partial, site, now_ms, &found)?;
        File::open(partial.join(DATABASE_FILE))?.sync_all()?;
        File::open(&partial)?.sync_all()?;
        fs::rename(&partial, to)?;
        File::open(parent(to))?.sync_all()
    };
    sync().map_err(failed)?;
    Ok(found)
}

/// Whether a place, of which only the directories above need be there, lies in a directory.
fn is_inside(place: &Path, directory: &Path) -> bool {
    let there = place.ancestors().find_map(|above| fs::canonicalize(above).ok());
    fs::canonicalize(directory).is_ok_and(|directory| there.is_some_and(|there| there.starts_with(directory)))
}

/// A full disk stops the gates: a backup that would fill it is not begun.
fn has_room(parts: &Parts, to: &Path) -> Result<(), BackupError> {
    let bytes = fs::metadata(parts.data_dir.join(DATABASE_FILE)).map_or(0, |found| found.len());
    let (free, needed) = (free_bytes(to)?, bytes.saturating_mul(ROOM_FACTOR).saturating_add(parts.leave_free_bytes));
    if free >= needed {
        return Ok(());
    }
    drop(fs::remove_dir(to));
    let mb = |bytes: u64| bytes.div_ceil(1_000_000);
    Err(BackupError::NoRoom { path: to.to_owned(), free_mb: mb(free), needed_mb: mb(needed) })
}

fn write_proof(backup: &Path, site: &RebuildFor, made_ms: i64, found: &Verified) -> io::Result<()> {
    let mut files = BTreeMap::new();
    for file in fs::read_dir(backup)? {
        let file = file?;
        files.insert(file.file_name().to_string_lossy().into_owned(), hash_of(&file.path())?);
    }
    let digest = found.digests.as_ref().map(|digests| digests.said.clone()).unwrap_or_default();
    let proof = BackupProof { central: site.central.clone(), made_ms, events: found.report.events, digest, files };
    let mut written = File::create_new(backup.join(PROOF_FILE))?;
    serde_json::to_writer_pretty(&mut written, &proof)?;
    written.sync_all()
}

/// Puts a backup into a data directory that has nothing of a central yet, and the settings at `config_file` if there are none.
/// All belongs to whom the directory above belongs to. Whether the settings were put back.
///
/// # Errors
/// [`BackupError`]
pub fn put_back(from: &Path, parts: &Parts) -> Result<bool, BackupError> {
    if !from.join(DATABASE_FILE).exists() {
        return Err(BackupError::NoBackup(from.to_owned()));
    }
    // One of an older version has none.
    if let Some(proof) = BackupProof::of(from) {
        proof.holds(from)?;
    }
    let Parts { data_dir, beside, config_file, .. } = parts;
    let failed = |path: &Path, source| BackupError::File { path: path.to_owned(), source };
    let _owned = DataDir::open(data_dir)?;
    let held = || -> io::Result<Vec<PathBuf>> { fs::read_dir(data_dir)?.map(|entry| Ok(entry?.path())).collect() };
    let lock = data_dir.join(LOCK_FILE);
    let is_more = |path: &PathBuf| *path != lock;
    if let Some(path) = held().map_err(|error| failed(data_dir, error))?.into_iter().find(is_more) {
        return Err(BackupError::Occupied(path));
    }
    // The database last: without it the rest would start as a central that lost it.
    for name in beside.iter().copied().chain([DATABASE_FILE]) {
        copy(&from.join(name), &data_dir.join(name))?;
    }
    let takes_settings = !config_file.exists();
    if takes_settings {
        copy(&from.join(SETTINGS_FILE), config_file)?;
    }
    let made = held().map_err(|error| failed(data_dir, error))?.into_iter().chain([data_dir.clone()]);
    for path in made.chain(takes_settings.then(|| config_file.clone()).filter(|path| path.exists())) {
        let above = parent(if path.starts_with(data_dir) { data_dir } else { config_file });
        hand_over(&path, above).map_err(|error| failed(&path, error))?;
    }
    Ok(takes_settings)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that is there: whole, or not at all.
fn copy(path: &Path, to: &Path) -> Result<(), BackupError> {
    let write = |mut from: File| {
        let mut made = tempfile::NamedTempFile::new_in(parent(to))?;
        io::copy(&mut from, &mut made)?;
        made.as_file().sync_all()?;
        made.persist(to)?;
        File::open(parent(to))?.sync_all()
    };
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened.and_then(write).map_err(|source| BackupError::File { path: to.to_owned(), source }),
    }
}

/// Who puts a backup back is often root, and the service is not.
fn hand_over(path: &Path, like: &Path) -> io::Result<()> {
    let (found, owner) = (fs::metadata(path)?, fs::metadata(like)?);
    if (found.uid(), found.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    chown(path, Some(owner.uid()), Some(owner.gid()))
}
