//! Who did it: the person, program or gate that proved to be one, as an event names it.
//!
//! It is made of the login, token or key a request came with, never of what the request says. So nobody names another.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest name that is read, in bytes. Names of people, tokens and edges are shorter.
pub const MAX_NAME_BYTES: usize = 256;

/// How the doer was known. Names only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DoerKind {
    /// Somebody who is logged in.
    Person,
    /// A program with a token.
    Token,
    /// A gate with its key.
    Edge,
    /// Nobody proved anything: the central asks for nothing there.
    Open,
    /// A program of the old kind, at another central, that was told to change something.
    Predecessor,
    /// A command on the machine itself, such as the import of a database.
    Command,
    /// Of a newer version.
    #[serde(other)]
    Other,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Doer {
    pub kind: DoerKind,
    /// Of the person, the token, the edge or the command; absent where nobody proved anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Doer {
    /// Nobody who proved anything.
    pub const OPEN: Self = Self { kind: DoerKind::Open, name: None };

    pub fn new(kind: DoerKind, name: &str) -> Self {
        Self { kind, name: Some(name.to_owned()) }
    }

    /// As the audit names it: `an`, `token:backup`, `edge:edge-1`; `None` for nobody.
    pub fn text(&self) -> Option<String> {
        self.name.as_ref().map(|_| self.to_string())
    }
}

/// See [`Doer::text`]; empty for nobody.
impl fmt::Display for Doer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or_default();
        match self.kind {
            DoerKind::Token => write!(f, "token:{name}"),
            DoerKind::Edge => write!(f, "edge:{name}"),
            DoerKind::Predecessor => write!(f, "predecessor:{name}"),
            DoerKind::Command => write!(f, "command:{name}"),
            DoerKind::Person | DoerKind::Open | DoerKind::Other => f.write_str(name),
        }
    }
}
