//! Where a socket becomes a peer: the one place that decides who may speak as whom.
//!
//! A dialled socket is judged by the link that dialled it (it knows whom it expects); an inbound one here, after its
//! HELLO. Mode `open`: a configured id is believed. Mode `tls`: the certificate has to be that id's ([`crate::trust`]), and a
//! predecessor, which has none, is let in at the legacy port alone.

use std::net::{IpAddr, SocketAddr};

use actix::{Message, Recipient};

use super::socket::{FromSocket, ToSocket};
use super::trust_desk::TrustDesk;
use crate::config::model::{Config, P2pMode, PeerCentral};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;
use crate::replication::handshake::{HelloRefusal, Identity};
use crate::replication::peer::output::SocketId;
use crate::trust::judge::{Believed, Reached};
use crate::wire::frame::Hello;
use crate::wire::legacy::Dialect;

/// Somebody dialled us and said HELLO.
#[derive(Debug, Message)]
#[rtype(result = "Result<Admitted, HelloRefusal>")]
pub struct Knock {
    pub hello: Hello,
    /// From where.
    pub remote: Option<SocketAddr>,
    /// Of the certificate it showed and has the key of; `None`: the socket is without TLS.
    pub shown: Option<Fingerprint>,
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
    /// At the legacy port.
    pub at_legacy_port: bool,
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
pub fn admit(
    identity: &Identity,
    config: &Config,
    trust: &TrustDesk,
    knock: &Knock,
) -> Result<CentralId, HelloRefusal> {
    let Knock { hello, remote, shown, .. } = knock;
    identity.check(hello)?;
    if config.security.p2p == P2pMode::Open {
        let known = config.peer(&hello.central);
        return known.map(|peer| peer.id.clone()).ok_or_else(|| HelloRefusal::NotConfigured(hello.central.clone()));
    }
    let (Some(shown), Some(from)) = (shown, remote) else { return Err(HelloRefusal::CertificateExpected) };
    match trust.judge(&hello.central, *shown, Reached::From(from.ip())) {
        Ok(Believed::Pinned) => {}
        Ok(Believed::FirstContact) => trust.learn(&hello.central, *shown),
        Err(distrust) => {
            trust.note_distrust(hello, *shown, *from, &distrust);
            return Err(distrust.into());
        }
    }
    Ok(hello.central.clone())
}

/// The predecessor that speaks on an inbound socket: configured as one, and from its configured address only. A name instead of
/// an address is not looked up here.
///
/// # Errors
/// [`HelloRefusal::HelloExpected`]: whoever else it is has to introduce itself.
pub fn admit_legacy(config: &Config, knock: &LegacyKnock) -> Result<CentralId, HelloRefusal> {
    let claimed = CentralId::new(&knock.claimed).map_err(|_| HelloRefusal::HelloExpected)?;
    let peer =
        config.peer(&claimed).filter(|peer| is_linked_as_legacy(config, peer)).ok_or(HelloRefusal::HelloExpected)?;
    if config.security.p2p == P2pMode::Tls && !knock.at_legacy_port {
        return Err(HelloRefusal::HelloExpected);
    }
    let is_there = peer.ip.ip().is_none_or(|ip| knock.remote == Some(ip));
    if is_there { Ok(claimed) } else { Err(HelloRefusal::HelloExpected) }
}

/// Whether a peer is spoken with as a predecessor: it is marked as one, and has never shown a certificate. From its first
/// certificate on it is one of ours, and nobody may speak in its name without it.
#[must_use]
pub fn is_linked_as_legacy(config: &Config, peer: &PeerCentral) -> bool {
    peer.legacy && (config.security.p2p == P2pMode::Open || peer.fingerprint.is_none())
}
