//! The one-time code that a person on the machine makes for somebody who forgot the password: `DIR/one-time-code.json`, private.
//! It holds the code's hash and until when it is good; the running central reads it when somebody types a code.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::private_file;

const FILE: &str = "one-time-code.json";
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
        Self { path: data_dir.join(FILE) }
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
