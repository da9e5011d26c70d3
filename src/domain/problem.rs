//! What is wrong with one field of something a person or a program gave us.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use super::named::named;

named! {
    /// What language people are told in.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Language {
        Vi = "vi",
        En = "en",
    }
}

/// One wrong field. A value given to us is checked whole: every wrong field is named, not only the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Where it is, as one would write it in a program: `peer_centrals[0].ip`, `fees.fee_base`.
    pub field: String,
    /// Stable name for programs: `missing`, `wrong_type`, `out_of_range`, `duplicate` …
    pub code: &'static str,
    /// For people, in Vietnamese.
    pub message_vi: String,
    /// The same in English, for logs and scripts.
    pub message: String,
}

impl FieldProblem {
    pub fn new(
        field: impl Into<String>,
        code: &'static str,
        message_vi: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), code, message_vi: message_vi.into(), message: message.into() }
    }

    /// The field is not there, or empty.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::new(field, "missing", "thiếu giá trị", "is missing")
    }

    /// The field is of another type. `expected_vi` and `expected` say which one it should be.
    pub fn wrong_type(field: impl Into<String>, expected_vi: &str, expected: &str) -> Self {
        Self::new(field, "wrong_type", format!("phải là {expected_vi}"), format!("must be {expected}"))
    }

    /// A key that means nothing to us. Refused where dropping it would lose what the sender meant.
    pub fn unknown_key(field: impl Into<String>) -> Self {
        Self::new(field, "unknown_key", "không có mục này", "is not a known key")
    }

    /// The value is a text of more than `max_chars` characters, or has control characters.
    pub fn bad_text(field: impl Into<String>, max_chars: usize) -> Self {
        Self::new(
            field,
            "bad_text",
            format!("tối đa {max_chars} ký tự, không có ký tự điều khiển"),
            format!("has at most {max_chars} characters and no control characters"),
        )
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.message)
    }
}

/// Whether a text can be kept and shown: at most `max_chars` characters, none of them a control character.
pub fn is_plain_text(text: &str, max_chars: usize) -> bool {
    text.chars().count() <= max_chars && !text.chars().any(char::is_control)
}
