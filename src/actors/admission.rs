//! Where a socket becomes a peer: the one place that decides who may speak as whom.
//!
//! A dialled socket is judged by the link that dialled it (it knows whom it expects); an inbound one here, after its
//! HELLO. Mode `open`: a configured id is believed. TLS identities will be checked here too.

use std::net::IpAddr;

use actix::{Message, Recipient};

use super::socket::{FromSocket, ToSocket};
use crate::config::model::Config;
use crate::domain::ids::CentralId;
use crate::replication::handshake::{HelloRefusal, Identity};
use crate::replication::peer::output::SocketId;
use crate::wire::frame::Hello;
use crate::wire::legacy::Dialect;

/// Somebody dialled us and said HELLO.
#[derive(Debug, Message)]
#[rtype(result = "Result<Admitted, HelloRefusal>")]
pub struct Knock {
    pub hello: Hello,
    /// From where, for the log.
    pub remote: String,
    pub pump: Recipient<ToSocket>,
}

/// Somebody dialled us and spoke as a predecessor does.
#[derive(Debug, Message)]
#[rtype(result = "Result<Admitted, HelloRefusal>")]
pub struct LegacyKnock {
    /// Who it says it is.
    pub claimed: String,
    pub dialect: Dialect,
    /// From where.
    pub remote: Option<IpAddr>,
    pub pump: Recipient<ToSocket>,
}

/// The socket belongs to a peer now: everything that comes on it goes there.
#[derive(Debug)]
pub struct Admitted {
    pub socket: SocketId,
    pub link: Recipient<FromSocket>,
}

/// The peer that says HELLO on an inbound socket.
///
/// # Errors
/// [`HelloRefusal`]: it is told why, and the socket is closed.
pub fn admit(identity: &Identity, config: &Config, hello: &Hello) -> Result<CentralId, HelloRefusal> {
    identity.check(hello)?;
    match config.peer(&hello.central) {
        Some(_) => Ok(hello.central.clone()),
        None => Err(HelloRefusal::NotConfigured(hello.central.clone())),
    }
}

/// The predecessor that speaks on an inbound socket: configured as one, and from its configured address only. A name instead of
/// an address is not looked up here.
///
/// # Errors
/// [`HelloRefusal::HelloExpected`]: whoever else it is has to introduce itself.
pub fn admit_legacy(config: &Config, knock: &LegacyKnock) -> Result<CentralId, HelloRefusal> {
    let claimed = CentralId::new(&knock.claimed).map_err(|_| HelloRefusal::HelloExpected)?;
    let peer = config.peer(&claimed).filter(|peer| peer.legacy).ok_or(HelloRefusal::HelloExpected)?;
    let is_there = peer.ip.ip().is_none_or(|ip| knock.remote == Some(ip));
    if is_there { Ok(claimed) } else { Err(HelloRefusal::HelloExpected) }
}
