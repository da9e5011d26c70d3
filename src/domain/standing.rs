//! Which centrals belong to the mesh, as its members say: events like any other, of which the latest about a certificate counts.

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::ids::CentralId;

/// Where a central stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A person let it in at one central: whoever has its key is let in at all of them.
    Admitted,
    /// A person threw it out: nobody talks to it.
    Expelled,
}

/// From now on a central stands so. It is known by its certificate; its id may be given to another machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CentralStanding {
    pub central: CentralId,
    pub fingerprint: Fingerprint,
    pub standing: Standing,
    /// Of one that was let in: where it said it can be dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p2p_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}
