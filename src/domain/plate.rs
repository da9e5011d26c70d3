//! Number plates: the key a plate is looked up by, and the form people read.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Shortest and longest plate key, in characters.
pub const MIN_PLATE_CHARS: usize = 6;
pub const MAX_PLATE_CHARS: usize = 12;

/// Why a text is not a plate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlateError {
    #[error("a plate has 6 to 12 letters and digits; {0} are left after removing spaces, '-' and '.'")]
    Length(usize),
    #[error("a plate has only letters A-Z and digits; found {0:?}")]
    Character(char),
}

/// A plate's key: 6 to 12 of `A-Z0-9`. Two readings of one plate have equal keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlateId(Arc<str>);

impl PlateId {
    /// Reads what a camera or a person wrote: upper case; spaces, `-` and `.` removed; Đ becomes D (29MĐ1).
    ///
    /// # Errors
    /// [`PlateError`] if other characters or another length are left.
    pub fn parse(text: &str) -> Result<Self, PlateError> {
        let mut key = String::with_capacity(MAX_PLATE_CHARS);
        for character in text.chars() {
            match character {
                ' ' | '-' | '.' => {}
                'đ' | 'Đ' => key.push('D'),
                c if c.is_ascii_alphanumeric() => key.push(c.to_ascii_uppercase()),
                c => return Err(PlateError::Character(c)),
            }
        }
        if (MIN_PLATE_CHARS..=MAX_PLATE_CHARS).contains(&key.len()) {
            Ok(Self(key.into()))
        } else {
            Err(PlateError::Length(key.len()))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PlateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PlateId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PlateId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
