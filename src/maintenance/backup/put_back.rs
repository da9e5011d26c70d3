//! A backup becomes a central again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{BackupError, Parts, Passphrase, SETTINGS_FILE, StoredBackup, hand_over, parent};
use crate::store::DataDir;
use crate::store::directory::{DATABASE_FILE, LOCK_FILE};

/// Puts a backup back into a data directory that has nothing of a central yet, and the settings at `config_file` if there are none.
/// All belongs to whom the directory above belongs to. `passphrase` is asked of one that is encrypted, `None`: there is none. Whether the
/// settings were put back.
///
/// # Errors
/// [`BackupError`]; nothing of the backup is there then.
pub fn put_back(
    from: &Path,
    parts: &Parts,
    passphrase: impl FnOnce(&StoredBackup) -> Result<Option<Passphrase>, BackupError>,
) -> Result<bool, BackupError> {
    let backup = StoredBackup::at(from)?;
    backup.holds()?;
    let passphrase = passphrase(&backup)?;
    let contents = match &backup {
        StoredBackup::File(archive) => Some(archive.contents(passphrase.as_ref())?),
        StoredBackup::Directory { path, .. } if passphrase.is_some() => {
            return Err(BackupError::NotSealed(path.clone()));
        }
        StoredBackup::Directory { .. } => None,
    };
    let Parts { data_dir, beside, config_file, .. } = parts;
    let failed = |path: &Path, source| BackupError::File { path: path.to_owned(), source };
    let _owned = DataDir::open(data_dir)?;
    let held = || -> io::Result<Vec<PathBuf>> { fs::read_dir(data_dir)?.map(|entry| Ok(entry?.path())).collect() };
    let lock = data_dir.join(LOCK_FILE);
    let is_more = |path: &PathBuf| *path != lock;
    if let Some(path) = held().map_err(|error| failed(data_dir, error))?.into_iter().find(is_more) {
        return Err(BackupError::Occupied(path));
    }
    let takes_settings = !config_file.exists();
    // Nothing has its name before all is there; the database last: without it the rest would start as a central that lost it.
    let mut staged: Vec<(NamedTempFile, PathBuf)> = Vec::new();
    let mut stage = |name: &str, part: &mut dyn Read| -> Result<(), BackupError> {
        let target = match name {
            SETTINGS_FILE if takes_settings => config_file.clone(),
            DATABASE_FILE => data_dir.join(name),
            name if beside.contains(&name) => data_dir.join(name),
            // Of a later version, for whom it is a part of a central.
            _ => return Ok(()),
        };
        let mut write = || {
            let mut made = NamedTempFile::new_in(parent(&target))?;
            io::copy(part, &mut made)?;
            made.as_file().sync_all()?;
            Ok(made)
        };
        let made = write().map_err(|source| failed(&target, source))?;
        staged.push((made, target));
        Ok(())
    };
    match contents {
        Some(contents) => contents.each(stage)?,
        None => {
            for name in beside.iter().copied().chain([SETTINGS_FILE, DATABASE_FILE]) {
                let path = from.join(name);
                match File::open(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(source) => return Err(BackupError::Unreadable { path, source }),
                    Ok(mut file) => stage(name, &mut file)?,
                }
            }
        }
    }
    if staged.last().is_none_or(|(_, target)| !target.ends_with(DATABASE_FILE)) {
        return Err(BackupError::NoBackup(from.to_owned()));
    }
    let mut made = vec![(lock, data_dir), (data_dir.clone(), data_dir)];
    for (file, target) in staged {
        file.persist(&target).map_err(|error| failed(&target, error.error))?;
        let above = if target == *config_file { config_file } else { data_dir };
        File::open(parent(&target)).and_then(|above| above.sync_all()).map_err(|source| failed(&target, source))?;
        made.push((target, above));
    }
    for (path, above) in made {
        hand_over(&path, parent(above)).map_err(|error| failed(&path, error))?;
    }
    Ok(takes_settings)
}
