//! The settings file: read without ever replacing it, saved so that a whole file is there at every moment.
//!
//! Beside `p2p_config.json` are `….previous`, the file before the last save, and `….last-good`, a copy of the last one
//! that was read or written without an error: what runs when a hand edit broke the file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::model::Config;
use super::read;
use crate::domain::problem::FieldProblem;

/// A settings file is a few KB; this is the most that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Windows editors put this before the text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Settings to run on.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<FieldProblem>,
    /// Why these are not the file's settings but the last good ones; to be shown in red until the file is good again.
    pub broken: Option<LoadError>,
    /// Why no copy of these settings could be kept for a day the file is broken (a read-only directory, say).
    pub not_kept: Option<SaveError>,
}

/// A save that succeeded.
#[derive(Debug)]
pub struct Saved {
    /// Why the copy for a day the file is broken is still an older one.
    pub not_kept: Option<SaveError>,
}

/// Why a file gives no settings.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{} is not there", .path.display())]
    NotFound { path: PathBuf },
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    /// Line and column count from 1.
    #[error("{} is not JSON: line {line}, column {column}: {reason}", .path.display())]
    Syntax { path: PathBuf, line: usize, column: usize, reason: String },
    #[error("{} has wrong settings: {}", .path.display(), list(.problems))]
    Invalid { path: PathBuf, problems: Vec<FieldProblem> },
}

/// Why settings could not be saved. The file is as it was.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {error}", .path.display())]
pub struct SaveError {
    pub path: PathBuf,
    pub error: io::Error,
}

/// Reads the settings of a file; if that is broken, those of the kept copy. A broken file is left as it is.
///
/// # Errors
/// [`LoadError::NotFound`] if there is no file, whatever copies there are: a removed file is a decision. Any other
/// if the file is broken and there is no good copy.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    match load_one(path) {
        Ok((read, bytes)) => {
            let not_kept = keep(path, ".last-good", &bytes).err();
            Ok(Loaded { config: read.config, warnings: read.warnings, broken: None, not_kept })
        }
        Err(error @ LoadError::NotFound { .. }) => Err(error),
        Err(broken) => match load_one(&beside(path, ".last-good")) {
            Ok((read, _)) => {
                Ok(Loaded { config: read.config, warnings: read.warnings, broken: Some(broken), not_kept: None })
            }
            Err(_) => Err(broken),
        },
    }
}

/// Replaces the file in one step, keeping what was there as `….previous`, and makes the directory if there is none.
/// After an error the file is as it was; after a power cut at any moment it is the old or the new one, whole.
///
/// # Errors
/// [`SaveError`]: the directory cannot be written, the disk is full …
pub fn save(path: &Path, config: &Config) -> Result<Saved, SaveError> {
    let failed = |error| SaveError { path: path.to_owned(), error };
    // A link stays a link: the file it leads to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut text = serde_json::to_string_pretty(&config.to_file_json()).map_err(|error| failed(error.into()))?;
    text.push('\n');
    if let Some(directory) = directory_of(&target) {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    match fs::read(&target) {
        Ok(before) => keep(path, ".previous", &before)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    replace(&target, &target, text.as_bytes()).map_err(failed)?;
    Ok(Saved { not_kept: keep(path, ".last-good", text.as_bytes()).err() })
}

fn load_one(path: &Path) -> Result<(read::Read, Vec<u8>), LoadError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::NotFound { path: path.to_owned() },
        _ => LoadError::Unreadable { path: path.to_owned(), error },
    };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(unreadable(io::Error::other("it has more than 1 MiB")));
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    let json = serde_json::from_slice(text).map_err(|error| LoadError::Syntax {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        reason: reason_of(&error),
    })?;
    let read = read::config(&json).map_err(|problems| LoadError::Invalid { path: path.to_owned(), problems })?;
    Ok((read, bytes))
}

/// The parser's message without the place, which is told apart.
fn reason_of(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Writes a copy beside the file, with its permissions, unless the same bytes are there already.
fn keep(file: &Path, suffix: &str, bytes: &[u8]) -> Result<(), SaveError> {
    let path = beside(file, suffix);
    if fs::read(&path).is_ok_and(|held| held == bytes) {
        return Ok(());
    }
    replace(&path, file, bytes).map_err(|error| SaveError { path, error })
}

/// A temporary file in the same directory, made durable, then renamed over `path`, and the renaming made durable.
fn replace(path: &Path, permissions_of: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, ".tmp");
    let written = write_durably(&temporary, permissions_of, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Half a file is of no use to anyone.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    File::open(directory_of(path).unwrap_or(Path::new(".")))?.sync_all()
}

fn write_durably(temporary: &Path, permissions_of: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    if let Ok(metadata) = fs::metadata(permissions_of) {
        file.set_permissions(metadata.permissions())?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

/// `config/p2p_config.json` and `.previous` give `config/p2p_config.json.previous`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn directory_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|directory| !directory.as_os_str().is_empty())
}

fn list(problems: &[FieldProblem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
