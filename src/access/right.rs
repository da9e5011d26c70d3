//! Who calls, what a call needs, and whether somebody has it.
//!
//! Which call needs what stands beside the routes, in `src/http/routes.rs`; here is what follows from it.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::doer::{Doer, DoerKind};
use crate::domain::named::named;

named! {
    /// What a call asks of its caller.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Need {
        /// Nothing: pages, logging in, probes.
        Nothing = "nothing",
        /// To see the lot, the history and the mesh.
        Look = "look",
        /// To do what a gate does.
        Gate = "gate",
        /// To be logged in, as whoever.
        Login = "login",
        /// To correct or remove a stay.
        Amend = "amend",
        /// To change what is not a car: settings, tariff, people.
        Administer = "administer",
    }
}

impl Need {
    /// The first role that has it, where a role is what it takes.
    const fn least_role(self) -> Role {
        match self {
            Self::Nothing | Self::Look | Self::Gate | Self::Login => Role::Operator,
            Self::Amend => Role::ShiftLead,
            Self::Administer => Role::Administrator,
        }
    }
}

/// How this central is set: who has to prove who he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes {
    /// `security.admin` is `password`: else administration is for this machine alone.
    pub admin_password: bool,
    /// `security.edges` is `keys`.
    pub edge_keys: bool,
    /// `security.reads` is `login`.
    pub reads_login: bool,
}

/// Why a call is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It could be had by logging in or with a token.
    LoginNeeded,
    /// It could be had with the key of an edge, or by logging in.
    KeyNeeded,
    /// Not for this role.
    NotAllowed,
    /// Only from the machine itself.
    LocalOnly,
}

/// Whether a caller may do what needs this. `is_local`: the call comes from the machine itself (loopback).
///
/// # Errors
/// [`Denied`]: why not.
pub fn decide(need: Need, modes: Modes, who: &Who, is_local: bool) -> Result<(), Denied> {
    match need {
        Need::Nothing => Ok(()),
        Need::Look if !modes.reads_login => Ok(()),
        Need::Gate if !modes.edge_keys => Ok(()),
        Need::Gate => {
            if *who == Who::Nobody {
                Err(Denied::KeyNeeded)
            } else {
                Ok(())
            }
        }
        Need::Amend | Need::Administer if !modes.admin_password => {
            if is_local {
                Ok(())
            } else {
                Err(Denied::LocalOnly)
            }
        }
        Need::Look | Need::Login | Need::Amend | Need::Administer => match who.role() {
            Some(role) if role >= need.least_role() => Ok(()),
            None if *who == Who::Nobody => Err(Denied::LoginNeeded),
            _ => Err(Denied::NotAllowed),
        },
    }
}

/// Whether a caller may speak as this edge: with keys an edge is only itself, while people at the console and programs
/// with a token name the gate they mean.
pub fn may_speak_as(modes: Modes, who: &Who, edge_id: &str) -> bool {
    match who {
        Who::Edge(id) if modes.edge_keys => id == edge_id,
        Who::Nobody => !modes.edge_keys,
        _ => true,
    }
}

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
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Nobody | Self::Edge(_) => None,
            Self::Person { role, .. } | Self::Token { role, .. } => Some(*role),
        }
    }

    /// As events name who did it.
    pub fn doer(&self) -> Doer {
        match self {
            Self::Nobody => Doer::OPEN,
            Self::Edge(id) => Doer::new(DoerKind::Edge, id),
            Self::Person { name, .. } => Doer::new(DoerKind::Person, name),
            Self::Token { name, .. } => Doer::new(DoerKind::Token, name),
        }
    }

    /// The name of the person who is logged in.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Everybody there is, in the order of the tables below.
    fn everybody() -> [Who; 8] {
        let name = "x".to_owned();
        [
            Who::Nobody,
            Who::Edge("edge-1".to_owned()),
            Who::Person { name: name.clone(), role: Role::Operator },
            Who::Person { name: name.clone(), role: Role::ShiftLead },
            Who::Person { name: name.clone(), role: Role::Administrator },
            Who::Token { name: name.clone(), role: Role::Operator },
            Who::Token { name: name.clone(), role: Role::ShiftLead },
            Who::Token { name, role: Role::Administrator },
        ]
    }

    /// `+`: may; else the first letter of why not.
    fn row(need: Need, modes: Modes, is_local: bool) -> String {
        let letter = |who: &Who| match decide(need, modes, who, is_local) {
            Ok(()) => '+',
            Err(Denied::LoginNeeded) => 'l',
            Err(Denied::KeyNeeded) => 'k',
            Err(Denied::NotAllowed) => 'n',
            Err(Denied::LocalOnly) => 'h',
        };
        everybody().iter().map(letter).collect()
    }

    #[test]
    fn who_may_do_what_in_every_mode_from_here_and_from_elsewhere() {
        for modes in 0..8 {
            let modes =
                Modes { admin_password: modes & 1 != 0, edge_keys: modes & 2 != 0, reads_login: modes & 4 != 0 };
            for is_local in [true, false] {
                let changes = |with_password| match (modes.admin_password, is_local) {
                    (true, _) => with_password,
                    (false, true) => "++++++++",
                    (false, false) => "hhhhhhhh",
                };
                let expected = [
                    (Need::Nothing, "++++++++"),
                    (Need::Look, if modes.reads_login { "ln++++++" } else { "++++++++" }),
                    (Need::Gate, if modes.edge_keys { "k+++++++" } else { "++++++++" }),
                    (Need::Login, "ln++++++"),
                    (Need::Amend, changes("lnn++n++")),
                    (Need::Administer, changes("lnnn+nn+")),
                ];
                assert_eq!(expected.map(|(need, _)| need), Need::ALL);
                for (need, letters) in expected {
                    assert_eq!(row(need, modes, is_local), letters, "{need:?} {modes:?} local: {is_local}");
                }
            }
        }
    }

    #[test]
    fn with_keys_an_edge_is_only_itself() {
        let modes = |edge_keys| Modes { admin_password: true, edge_keys, reads_login: false };
        let may = |edge_keys, edge| everybody().map(|who| may_speak_as(modes(edge_keys), &who, edge));
        assert_eq!(may(true, "edge-1"), [false, true, true, true, true, true, true, true]);
        assert_eq!(may(true, "edge-2"), [false, false, true, true, true, true, true, true]);
        assert_eq!(may(false, "edge-2"), [true; 8], "nobody has to prove anything");
    }
}
