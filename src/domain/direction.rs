//! Which way a car passes a gate.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::named::named;

named! {
    /// Into the site or out of it; `"ENTRY"` and `"EXIT"` in every text.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
    #[serde(rename_all = "UPPERCASE")]
    pub enum Direction {
        Entry = "ENTRY",
        Exit = "EXIT",
    }
}

impl Direction {
    pub fn other(self) -> Self {
        match self {
            Self::Entry => Self::Exit,
            Self::Exit => Self::Entry,
        }
    }
}
