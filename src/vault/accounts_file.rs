//! People and tokens of a central, and the one-time code that a person on the machine makes for somebody who forgot the password:
//! `DIR/accounts.json` and `DIR/one-time-code.json`, private, beside the database.
//!
//! Accounts that cannot be understood are put aside and not lost: gates go on, and a new one-time code lets a person in. Of the code
//! its hash is kept, and until when it is good; the running central reads it when somebody types a code.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::private_file;
use crate::access::accounts::Accounts;

pub const FILE: &str = "accounts.json";

/// The file of one data directory.
#[derive(Debug, Clone)]
pub struct AccountsFile {
    path: PathBuf,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    pub accounts: Accounts,
    /// Why what was there could not be used, and where it lies now.
    pub damaged: Option<String>,
}

impl AccountsFile {
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE) }
    }

    /// Reads it; none is as good as an empty one. A damaged one is put aside as `accounts.json.damaged`.
    #[must_use]
    pub fn load(&self) -> Found {
        let read = private_file::read(&self.path).map_err(|error| error.to_string()).and_then(|bytes| match bytes {
            None => Ok(Accounts::default()),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        });
        match read {
            Ok(accounts) => Found { accounts, damaged: None },
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
                Found { accounts: Accounts::default(), damaged: Some(damaged) }
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
        private_file::write(&self.path, text.as_bytes())
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
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(CODE_FILE) }
    }

    /// Keeps the hash of a new code in the place of an older one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put(&self, digest: [u8; 32], made_ms: i64) -> io::Result<()> {
        let text = serde_json::to_string(&Kept { digest, made_ms }).map_err(io::Error::other)?;
        private_file::write(&self.path, text.as_bytes())
    }

    /// Whether this is the code, and still good.
    #[must_use]
    pub fn is_right(&self, digest: [u8; 32], now_ms: i64) -> bool {
        let bytes = private_file::read(&self.path).ok().flatten();
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
}
