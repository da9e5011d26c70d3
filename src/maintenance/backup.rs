//! A central in one directory: made while it runs, proven to be whole before it gets its name, and put back.
//!
//! Docs: operations.md, *Backup*.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use super::verify::{Verified, verify};
use super::{Progress, Site, must_exist};
use crate::store::directory::{DATABASE_FILE, LOCK_FILE};
use crate::store::{DataDir, Reader, StoreError};

const DIRECTORY_MODE: u32 = 0o700;
/// The settings' name in a backup, whatever theirs is.
const SETTINGS_FILE: &str = "p2p_config.json";

/// Where the parts of a central lie.
#[derive(Debug, Clone)]
pub struct Parts {
    pub data_dir: PathBuf,
    /// Names of the files beside the database that belong to it, as far as they are there.
    pub beside: [&'static str; 2],
    pub config_file: PathBuf,
}

/// Why there is no backup, or why none was put back. Nothing that was there is lost.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} is there already: name a directory that is not, such as one of today's date", .0.display())]
    Exists(PathBuf),
    #[error("{} is there: a backup goes into an empty data directory. Stop the central and move its directory away first", .0.display())]
    Occupied(PathBuf),
    #[error("{} is no backup: it has no {DATABASE_FILE}", .0.display())]
    NoBackup(PathBuf),
    #[error("cannot copy to {}: {source}; free some space, or name a place this user may write to", .path.display())]
    File { path: PathBuf, source: io::Error },
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
    site: &Site,
    now_ms: i64,
    progress: Progress<'_>,
) -> Result<Verified, BackupError> {
    must_exist(&parts.data_dir)?;
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let partial = PathBuf::from(format!("{}.partial", to.display()));
    let failed = |source| BackupError::File { path: partial.clone(), source };
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(failed)?;
    }
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&partial).map_err(failed)?;
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
        File::open(partial.join(DATABASE_FILE))?.sync_all()?;
        File::open(&partial)?.sync_all()?;
        fs::rename(&partial, to)?;
        File::open(parent(to))?.sync_all()
    };
    sync().map_err(failed)?;
    Ok(found)
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
    let Parts { data_dir, beside, config_file } = parts;
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
