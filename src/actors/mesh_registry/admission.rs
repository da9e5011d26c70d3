//! Where a socket becomes a peer: the one place that decides who may speak as whom.
//!
//! A dialled socket is judged by the link that dialled it (it knows whom it expects); an inbound one here, after its
//! HELLO. Mode `open`: a configured id is believed. Mode `tls`: the certificate has to be that id's ([`crate::trust`]). Who speaks
//! otherwise than ours do is judged by [`ForeignLinks`].

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use actix::{ActorFutureExt, Handler, Message, Recipient, ResponseActFuture, WrapFuture};
use log::{info, warn};

use super::MeshRegistry;
use crate::actors::config_keeper::ChangeConfig;
use crate::actors::peer_link::ToLink;
use crate::config::model::{Config, P2pMode};
use crate::domain::audit::{Act, By, Kind};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;
use crate::links::socket::{FromSocket, Socket, ToSocket};
use crate::links::status::MeshStatus;
use crate::links::trust_desk::TrustDesk;
use crate::replication::handshake::{HelloRefusal, Identity};
use crate::replication::peer::output::{Alarm, PeerStatus, SocketId};
use crate::trust::judge::{Believed, Distrust, Reached};
use crate::wire::frame::Hello;

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

/// Somebody dialled us and spoke otherwise than ours do.
#[derive(Debug, Message)]
#[rtype(result = "Result<Admitted, HelloRefusal>")]
pub struct ForeignKnock {
    /// What it said first.
    pub first: bytes::Bytes,
    /// From where.
    pub remote: Option<IpAddr>,
    /// At the port where programs of other kinds are let in although centrals speak TLS.
    pub at_foreign_port: bool,
    pub pump: Recipient<ToSocket>,
}

/// Links to programs of another kind, kept over restarts of the registry.
pub trait ForeignLinks {
    /// Links what is configured and lets the rest go.
    fn follow(&self, config: &Config);
    /// A socket that speaks otherwise than ours do.
    ///
    /// # Errors
    /// [`HelloRefusal`]: nobody who speaks so, from there, is configured.
    fn knock(&self, config: &Config, knock: ForeignKnock) -> Result<Admitted, HelloRefusal>;
    /// This peer said HELLO: it is one of ours.
    fn is_ours(&self, peer: &CentralId);
    /// Those that are linked.
    fn linked(&self) -> Vec<CentralId>;
    /// What the peers that are ours say of themselves now.
    fn survey(&self, statuses: &[Option<PeerStatus>]);
    /// Shows who is linked.
    fn show(&self, status: &mut MeshStatus);
    /// Closes all of them, for good.
    fn leave(&self);
}

/// The socket belongs to a peer now: everything that comes on it goes there.
#[derive(Debug)]
pub struct Admitted {
    pub socket: SocketId,
    pub link: Recipient<FromSocket>,
}

/// The peer that says HELLO on an inbound socket. If it is refused it is told why, and the socket is closed.
fn admit(identity: &Identity, config: &Config, trust: &TrustDesk, knock: &Knock) -> Result<CentralId, HelloRefusal> {
    let Knock { hello, remote, shown, .. } = knock;
    // Whose key it is comes first: anybody can say any id.
    if let (P2pMode::Tls, Some(shown), Some(from)) = (config.security.p2p, shown, remote)
        && hello.central == identity.central
        && *shown != trust.own()
    {
        trust.judge(&hello.central, *shown, Reached::From(from.ip()))?;
    }
    let checked = identity.check(hello);
    if let (Err(HelloRefusal::DuplicateCentralId(own)), Some(_own_key), Some(from)) = (&checked, shown, remote) {
        let clone = Distrust::OwnCertificate { claimed: own.clone(), own: own.clone() };
        trust.note_clone(own, &from.ip().to_string(), &clone);
    }
    checked?;
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

impl Handler<ForeignKnock> for MeshRegistry {
    type Result = Result<Admitted, HelloRefusal>;

    fn handle(&mut self, knock: ForeignKnock, _: &mut Self::Context) -> Self::Result {
        let config = self.context.config.borrow().clone();
        self.context.foreign.knock(&config, knock)
    }
}

impl Handler<Knock> for MeshRegistry {
    type Result = ResponseActFuture<Self, Result<Admitted, HelloRefusal>>;

    /// Who is unknown here but was let in by another member of the mesh becomes a peer first.
    fn handle(&mut self, knock: Knock, _: &mut Self::Context) -> Self::Result {
        let introduction = match (knock.shown, knock.remote) {
            (Some(shown), Some(from)) if !self.context.trust.is_open() => {
                self.context.trust.introduction(&knock.hello, shown, from)
            }
            _ => None,
        };
        let Some(edit) = introduction else {
            let answer = self.answer(knock);
            return Box::pin(std::future::ready(answer).into_actor(self));
        };
        let (keeper, central) = (self.context.keeper.addr(), knock.hello.central.to_string());
        let from = knock.remote.map(|remote| remote.ip().to_string()).unwrap_or_default();
        let act = Act::new(Kind::Peer, By::new("mesh:admitted", from), &central);
        let added = async move { keeper.send(ChangeConfig { edit, version: None, act }).await };
        Box::pin(added.into_actor(self).map(move |added, registry, _| {
            if matches!(added, Ok(Ok(_))) {
                info!(event = "peer_introduced", peer = central.as_str(); "a central that another member let in is a peer from now on");
            }
            registry.answer(knock)
        }))
    }
}

impl MeshRegistry {
    fn answer(&mut self, knock: Knock) -> Result<Admitted, HelloRefusal> {
        let config = self.context.config.borrow().clone();
        let admitted = admit(&self.context.identity.borrow(), &config, &self.context.trust, &knock);
        let links = self.context.links.borrow();
        let found = admitted.and_then(|peer| {
            let link = links.get(&peer);
            link.ok_or(HelloRefusal::NotConfigured(peer))
        });
        match found {
            Ok(link) => {
                let number = self.context.numbers.next();
                let addr = link.handle.addr();
                addr.do_send(ToLink::Adopt { number, socket: Socket::inbound(knock.pump), hello: knock.hello });
                Ok(Admitted { socket: number, link: addr.recipient() })
            }
            Err(refusal) => {
                drop(links);
                self.refused(&knock, &refusal);
                Err(refusal)
            }
        }
    }

    fn refused(&mut self, knock: &Knock, refusal: &HelloRefusal) {
        let (central, reason) = (knock.hello.central.to_string(), refusal.to_string());
        let host = knock.remote.map(|remote| remote.ip().to_string()).unwrap_or_default();
        // Strangers say whatever id they like.
        let is_ours = self.context.config.borrow().peer(&knock.hello.central).is_some();
        let about = if is_ours { &central } else { &host };
        let what = if is_ours { format!("{host} {reason}") } else { refusal.code().to_owned() };
        if self.said.is_news(about, &what, Instant::now()) {
            let remote = knock.remote.map(|remote| remote.to_string()).unwrap_or_default();
            let shown = knock.shown.map(|shown| shown.to_string()).unwrap_or_default();
            warn!(
                event = "peer_refused", peer = central.as_str(), remote = remote.as_str(), shown = shown.as_str(), reason = reason.as_str();
                "refused a socket"
            );
        }
        if let HelloRefusal::DuplicateCentralId(central) = refusal {
            self.raise(&Alarm::DuplicateCentralId { central: central.clone() });
        }
    }
}
