//! People and tokens of a central: `DIR/accounts.json`, private, beside the database.
//!
//! A file that cannot be understood is put aside and not lost: gates go on, and a new one-time code lets a person in.

use std::io;
use std::path::{Path, PathBuf};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::accounts::Person;
    use crate::access::who::Role;

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
}
