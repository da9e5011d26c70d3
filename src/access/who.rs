//! Who calls.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::doer::{Doer, DoerKind};

/// What a person or a program is allowed to be.
///
/// The later may do all that the earlier may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Opens and closes at the gate console, and changes nothing.
    Operator,
    /// Corrects and removes stays too.
    ShiftLead,
    /// May do everything.
    Administrator,
}

/// The caller, as far as it proved who it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Who {
    /// Proved nothing.
    #[default]
    Nobody,
    /// Showed the key of this edge.
    Edge(String),
    /// Logged in.
    Person { name: String, role: Role },
    /// A program that showed a bearer token of this name.
    Token { name: String, role: Role },
}

impl Who {
    /// Of a person or a token.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Nobody | Self::Edge(_) => None,
            Self::Person { role, .. } | Self::Token { role, .. } => Some(*role),
        }
    }

    /// As events name who did it.
    #[must_use]
    pub fn doer(&self) -> Doer {
        match self {
            Self::Nobody => Doer::OPEN,
            Self::Edge(id) => Doer::new(DoerKind::Edge, id),
            Self::Person { name, .. } => Doer::new(DoerKind::Person, name),
            Self::Token { name, .. } => Doer::new(DoerKind::Token, name),
        }
    }

    /// The name of the person who is logged in.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        match self {
            Self::Person { name, .. } => Some(name),
            _ => None,
        }
    }
}

/// As in the audit: `an`, `token:backup`, `edge:edge-1`; empty for nobody.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => Ok(()),
            Self::Edge(id) => write!(f, "edge:{id}"),
            Self::Person { name, .. } => f.write_str(name),
            Self::Token { name, .. } => write!(f, "token:{name}"),
        }
    }
}
