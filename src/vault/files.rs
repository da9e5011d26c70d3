//! Files nobody else on the machine can read: written whole or not at all, and owned by whom their directory belongs to, so that
//! what an administrator writes can be read by the service.
//!
//! Two of them prove who somebody is: people and tokens, `DIR/accounts.json`, and the one-time code that a person on the machine makes
//! for somebody who forgot the password, `DIR/one-time-code.json`. Accounts that cannot be understood are put aside and not lost:
//! gates go on, and a new one-time code lets a person in. Of the code its hash is kept, and until when it is good; the running
//! central reads it when somebody types a code.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::access::accounts::Accounts;
use crate::disk;

pub const FILE: &str = "accounts.json";

/// The file of one data directory.
#[derive(Debug, Clone)]
pub struct AccountsFile {
    path: PathBuf,
}

/// What was found.
#[derive(Debug)]
pub struct FoundFile {
    pub accounts: Accounts,
    /// Why what was there could not be used, and where it lies now.
    pub damaged: Option<String>,
}

impl AccountsFile {
    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE) }
    }

    /// Reads it; none is as good as an empty one. A damaged one is put aside as `accounts.json.damaged`.
    pub fn load(&self) -> FoundFile {
        let read = read(&self.path).map_err(|error| error.to_string()).and_then(|bytes| match bytes {
            None => Ok(Accounts::default()),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        });
        match read {
            Ok(accounts) => FoundFile { accounts, damaged: None },
            Err(reason) => {
                // Nothing that was put aside before is lost.
                let name = |number: u32| match number {
                    1 => self.path.with_extension("json.damaged"),
                    _ => self.path.with_extension(format!("json.damaged-{number}")),
                };
                let aside = (1..).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(1));
                let moved = std::fs::rename(&self.path, &aside);
                let place = if moved.is_ok() { &aside } else { &self.path };
                let damaged = format!("{reason}; it lies as {}", place.display());
                FoundFile { accounts: Accounts::default(), damaged: Some(damaged) }
            }
        }
    }

    /// Replaces it.
    ///
    /// # Errors
    /// What the disk says; the file is as it was.
    pub fn save(&self, accounts: &Accounts) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(accounts).map_err(io::Error::other)?;
        text.push('\n');
        write(&self.path, text.as_bytes())
    }
}

const CODE_FILE: &str = "one-time-code.json";
/// Long enough to walk from the machine to a desk.
pub const VALID_MS: i64 = 3_600_000;

/// A code as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    digest: [u8; 32],
    /// By the machine's clock, Unix ms.
    made_ms: i64,
}

/// The file of one data directory.
#[derive(Debug, Clone)]
pub struct CodeFile {
    path: PathBuf,
}

impl CodeFile {
    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(CODE_FILE) }
    }

    /// Keeps the hash of a new code in the place of an older one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put(&self, digest: [u8; 32], made_ms: i64) -> io::Result<()> {
        let text = serde_json::to_string(&Kept { digest, made_ms }).map_err(io::Error::other)?;
        write(&self.path, text.as_bytes())
    }

    /// Whether this is the code, and still good.
    pub fn is_right(&self, digest: [u8; 32], now_ms: i64) -> bool {
        let bytes = read(&self.path).ok().flatten();
        let kept = bytes.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        kept.is_some_and(|kept| kept.digest == digest && (0..VALID_MS).contains(&now_ms.saturating_sub(kept.made_ms)))
    }

    /// It was used.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Only its owner reads and writes it.
const MODE: u32 = 0o600;
/// More is never read: such files hold some hundred accounts.
const MAX_BYTES: u64 = 1024 * 1024;

/// Replaces the file in one step; after an error it is as it was.
///
/// # Errors
/// What the disk says.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Its mode is 0600.
    let mut file = NamedTempFile::new_in(directory)?;
    let (owner, own) = (fs::metadata(directory)?, file.as_file().metadata()?);
    if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
        // Only an administrator can, and only one has to.
        drop(chown(file.path(), Some(owner.uid()), Some(owner.gid())));
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(directory)?.sync_all()
}

/// Its bytes; `None`: there is none. One that others can read is made private again.
///
/// # Errors
/// What the disk says; more than 1 MiB.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let bytes = match disk::read(path, MAX_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        drop(fs::set_permissions(path, Permissions::from_mode(MODE)));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::accounts::Person;
    use crate::access::right::Role;

    #[test]
    fn what_is_saved_is_loaded_and_a_damaged_file_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let file = AccountsFile::of(directory.path());
        assert_eq!(file.load().accounts, Accounts::default());
        let mut accounts = Accounts::default();
        let person = Person {
            name: "An".into(),
            role: Role::Operator,
            password: "$argon2id$…".into(),
            set_ms: 7,
            made_by: None,
            changed: None,
            after_removal_ms: None,
        };
        accounts.add_person(person).unwrap();
        file.save(&accounts).unwrap();
        let found = file.load();
        assert_eq!((found.accounts, found.damaged), (accounts, None));
        std::fs::write(directory.path().join(FILE), "{\"people\": [").unwrap();
        let found = file.load();
        assert_eq!(found.accounts, Accounts::default());
        assert!(found.damaged.unwrap().contains("accounts.json.damaged"));
        assert!(directory.path().join("accounts.json.damaged").exists());
        assert!(file.load().damaged.is_none(), "told once");
    }

    #[test]
    fn a_code_is_good_for_an_hour_and_until_it_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let file = CodeFile::of(directory.path());
        assert!(!file.is_right([1; 32], 0));
        file.put([1; 32], 1_000).unwrap();
        assert!(file.is_right([1; 32], 1_000) && file.is_right([1; 32], 1_000 + VALID_MS - 1));
        assert!(!file.is_right([2; 32], 1_000));
        assert!(!file.is_right([1; 32], 1_000 + VALID_MS));
        assert!(!file.is_right([1; 32], 999), "a clock that was set back makes no code good for longer");
        file.put([2; 32], 1_000).unwrap();
        assert!(!file.is_right([1; 32], 1_000), "a new code ends the one before");
        file.remove().unwrap();
        file.remove().unwrap();
        assert!(!file.is_right([2; 32], 1_000));
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn nobody_else_can_read_it_and_it_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, b"one").unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(mode(&path), 0o600, "made private again");
        write(&path, b"another").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some(&b"another"[..]));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(write(&path, b"x").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
