//! The settings file: read without ever replacing it, saved so that a whole file is there at every moment.
//!
//! Beside `p2p_config.json` are `….previous`, the file before the last save, and `….last-good`, a copy of the last one
//! that was read or written without an error: what runs when a hand edit broke the file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::model::Config;
use super::read;
use crate::disk;
use crate::domain::problem::FieldProblem;

/// A settings file is a few KB; this is the most that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Windows editors put this before the text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Of a mode: neither the owner nor the group.
const OTHERS: u32 = 0o007;

/// Settings to run on.
#[derive(Debug)]
pub struct LoadedConfig {
    pub config: Config,
    pub warnings: Vec<FieldProblem>,
    /// Why these are not the file's settings but the last good ones; to be shown in red until the file is good again.
    pub broken: Option<LoadError>,
    /// Why no copy of these settings could be kept for a day the file is broken (a read-only directory, say).
    pub not_kept: Option<SaveError>,
    /// The file holds secrets, and others on this machine could read them: its mode, which was tightened where that is allowed.
    pub open_to_others: Option<u32>,
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

impl LoadError {
    /// In Vietnamese, where it is about single fields, which say it themselves.
    pub fn vietnamese(&self) -> Option<String> {
        let Self::Invalid { path, problems } = self else { return None };
        let problems: Vec<_> = problems.iter().map(|wrong| format!("{} {}", wrong.field, wrong.message_vi)).collect();
        Some(format!("{} có cài đặt sai: {}", path.display(), problems.join("; ")))
    }
}

/// Why settings could not be saved. The file is as it was.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {error}", .path.display())]
pub struct SaveError {
    pub path: PathBuf,
    pub error: io::Error,
}

/// Reads the settings of a file; if that is broken or gone, those of the kept copy: gates go on. A broken file is left as it is.
///
/// # Errors
/// [`LoadError::NotFound`] if there is neither the file nor a copy. Any other if the file is broken and there is no good copy.
pub fn load(path: &Path) -> Result<LoadedConfig, LoadError> {
    match load_one(path) {
        Ok((read, bytes)) => {
            let open_to_others = if read.config.holds_secrets() { close_to_others(path) } else { None };
            let not_kept = keep(path, ".last-good", &bytes).err();
            if open_to_others.is_some() {
                close_to_others(&beside(path, ".last-good"));
            }
            Ok(LoadedConfig { config: read.config, warnings: read.warnings, broken: None, not_kept, open_to_others })
        }
        Err(broken) => match load_one(&beside(path, ".last-good")) {
            Ok((read, _)) => {
                let (config, warnings) = (read.config, read.warnings);
                Ok(LoadedConfig { config, warnings, broken: Some(broken), not_kept: None, open_to_others: None })
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
    if config.holds_secrets() {
        // What is written takes the permissions of what was there.
        close_to_others(&target);
    }
    match fs::read(&target) {
        Ok(before) => keep(path, ".previous", &before)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    replace(&target, &target, text.as_bytes()).map_err(failed)?;
    Ok(Saved { not_kept: keep(path, ".last-good", text.as_bytes()).err() })
}

fn load_one(path: &Path) -> Result<(read::ReadConfig, Vec<u8>), LoadError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::NotFound { path: path.to_owned() },
        _ => LoadError::Unreadable { path: path.to_owned(), error },
    };
    let bytes = disk::read(path, MAX_FILE_BYTES).map_err(unreadable)?;
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

/// Takes from others on this machine what a file of secrets allowed them; the mode it had then.
fn close_to_others(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & OTHERS != 0).then(|| {
        // Where this is refused, that it is open is said all the same.
        drop(fs::set_permissions(path, fs::Permissions::from_mode(mode & !OTHERS)));
        mode
    })
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
    let directory = directory_of(path).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(directory)?;
    if let Ok(metadata) = fs::metadata(permissions_of) {
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(directory)?.sync_all()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GOOD: &str = r#"{"this_central": {"id": "a", "ip": "10.0.0.1"}, "peer_centrals": []}"#;

    struct Place {
        directory: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap() }
        }

        fn with(bytes: impl AsRef<[u8]>) -> Self {
            let place = Self::new();
            fs::write(place.file(), bytes).unwrap();
            place
        }

        fn file(&self) -> PathBuf {
            self.directory.path().join("p2p_config.json")
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.directory.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    fn named(name: &str) -> Config {
        let mut config = Config::standalone();
        config.site.name = name.into();
        config
    }

    #[test]
    fn a_file_with_secrets_is_closed_to_others_when_it_is_read_or_written() {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let secret = json!({"this_central": {"id": "a", "ip": "10.0.0.1"},
            "alarms": {"heartbeat_url": "https://example.vn/secret"}});
        for (text, found, left, told) in [
            (GOOD.to_owned(), 0o644, 0o644, None),
            (secret.to_string(), 0o644, 0o640, Some(0o644)),
            (secret.to_string(), 0o640, 0o640, None),
        ] {
            let place = Place::with(text);
            fs::set_permissions(place.file(), fs::Permissions::from_mode(found)).unwrap();
            let loaded = load(&place.file()).unwrap();
            let modes = [place.file(), beside(&place.file(), ".last-good")].map(|path| mode(&path));
            assert_eq!((modes, loaded.open_to_others), ([left; 2], told));
            fs::set_permissions(place.file(), fs::Permissions::from_mode(found)).unwrap();
            save(&place.file(), &loaded.config).unwrap();
            for name in place.names() {
                assert_eq!(mode(&place.directory.path().join(&name)), left, "{name}");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told_apart() {
        let place = Place::new();
        assert!(matches!(load(&place.file()), Err(LoadError::NotFound { .. })));
        // Where a copy of it is left, gates go on with that, and the page is red.
        fs::write(beside(&place.file(), ".last-good"), GOOD).unwrap();
        assert!(matches!(load(&place.file()).unwrap().broken, Some(LoadError::NotFound { .. })));
        assert!(!place.file().exists());
    }

    #[test]
    fn broken_json_is_reported_with_line_and_column_and_left_as_it_is() {
        for (text, at) in [
            ("", (1, 0)),
            ("{\n  \"this_central\": {\n    \"id\": \"a\",,\n", (3, 15)),
            ("{\"this_central\": {}} x", (1, 22)),
            ("\u{feff}{\n,", (2, 1)),
        ] {
            let place = Place::with(text);
            match load(&place.file()) {
                Err(LoadError::Syntax { line, column, reason, .. }) => {
                    assert_eq!((line, column), at, "{text}");
                    assert!(!reason.is_empty() && !reason.contains("line"), "{reason}");
                }
                other => panic!("{text}: {other:?}"),
            }
            assert_eq!(fs::read_to_string(place.file()).unwrap(), text);
            assert_eq!(place.names(), ["p2p_config.json"]);
        }
    }

    #[test]
    fn files_that_are_no_text_or_no_file_are_reported() {
        assert!(matches!(load(&Place::with([0xFF, 0xFE, b'{']).file()), Err(LoadError::Syntax { line: 1, .. })));
        let huge = vec![b' '; usize::try_from(MAX_FILE_BYTES).unwrap() + 1];
        assert!(matches!(load(&Place::with(huge).file()), Err(LoadError::Unreadable { .. })));
        let place = Place::new();
        fs::create_dir(place.file()).unwrap();
        assert!(matches!(load(&place.file()), Err(LoadError::Unreadable { .. })));
    }

    #[test]
    fn wrong_settings_are_reported_by_name() {
        let place = Place::with(r#"{"this_central": {"id": "a_b", "ip": "10.0.0.1", "p2p_port": 0}}"#);
        let wrong = load(&place.file()).expect_err("wrong");
        let message = wrong.to_string();
        assert!(message.contains("this_central.id a central id is"), "{message}");
        assert!(message.contains("this_central.p2p_port must be between 1 and 65535"), "{message}");
        let message = wrong.vietnamese().expect("of fields");
        assert!(message.contains("có cài đặt sai: ") && message.contains("this_central.p2p_port phải "), "{message}");
    }

    #[test]
    fn a_file_that_was_broken_by_hand_leaves_us_running_on_the_last_good_one() {
        let place = Place::with(GOOD);
        let good = load(&place.file()).unwrap();
        assert!(good.broken.is_none() && good.not_kept.is_none());
        for broken in ["{", r#"{"this_central": {}}"#] {
            fs::write(place.file(), broken).unwrap();
            let loaded = load(&place.file()).unwrap();
            assert_eq!(loaded.config, good.config);
            assert!(loaded.broken.is_some());
            assert_eq!(fs::read_to_string(place.file()).unwrap(), broken, "never replaced");
        }
        fs::write(beside(&place.file(), ".last-good"), "{").unwrap();
        assert!(load(&place.file()).is_err());
    }

    #[test]
    fn what_is_saved_is_loaded_and_the_file_before_is_kept() {
        let place = Place::new();
        let file = place.directory.path().join("new/config.json");
        for name in ["Bãi xe Một", "Bãi xe Hai", "Bãi xe Hai"] {
            assert!(save(&file, &named(name)).unwrap().not_kept.is_none());
            assert_eq!(load(&file).unwrap().config, named(name));
        }
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("\n  \"site\": {\n    \"name\": \"Bãi xe Hai\"\n"), "{text}");
        save(&file, &named("Ba")).unwrap();
        assert_eq!(fs::read_to_string(beside(&file, ".previous")).unwrap(), text);
        assert_eq!(fs::read_dir(place.directory.path().join("new")).unwrap().count(), 3, "nothing else is left");
    }

    #[test]
    fn a_save_in_place_of_a_broken_file_keeps_the_broken_one() {
        let place = Place::with("{ mine");
        save(&place.file(), &named("A")).unwrap();
        assert_eq!(fs::read_to_string(beside(&place.file(), ".previous")).unwrap(), "{ mine");
        assert_eq!(load(&place.file()).unwrap().config, named("A"));
    }

    #[test]
    fn a_save_that_fails_leaves_the_file_as_it_was() {
        let place = Place::with(GOOD);
        // Nobody, root included, can put a file where a directory is.
        fs::create_dir(beside(&place.file(), ".previous")).unwrap();
        assert!(save(&place.file(), &named("A")).is_err());
        assert_eq!(fs::read_to_string(place.file()).unwrap(), GOOD);
        // Nor a directory below a file.
        let below = place.file().join("config.json");
        assert!(save(&below, &named("A")).unwrap_err().to_string().contains("cannot be written"));
    }

    #[test]
    fn settings_can_be_loaded_where_no_copy_can_be_kept() {
        let place = Place::with(GOOD);
        fs::create_dir(beside(&place.file(), ".last-good")).unwrap();
        assert!(load(&place.file()).unwrap().not_kept.is_some());
        assert!(save(&place.file(), &named("A")).unwrap().not_kept.is_some());
        assert_eq!(load(&place.file()).unwrap().config, named("A"));
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let place = Place::with(GOOD);
        fs::set_permissions(place.file(), fs::Permissions::from_mode(0o600)).unwrap();
        let link = place.directory.path().join("link.json");
        symlink(place.file(), &link).unwrap();
        save(&link, &named("A")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        for file in [place.file(), beside(&link, ".previous"), beside(&link, ".last-good")] {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
        assert_eq!(load(&place.file()).unwrap().config, named("A"));
    }

    #[test]
    fn what_equals_its_default_is_not_written() {
        let place = Place::new();
        save(&place.file(), &Config::standalone()).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&fs::read(place.file()).unwrap()).unwrap();
        let central = json!({"id": "central-1", "ip": "127.0.0.1", "p2p_port": 9000, "api_port": 8000});
        assert_eq!(written, json!({"this_central": central, "peer_centrals": []}));
    }
}
