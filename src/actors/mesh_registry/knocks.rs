//! Who dialled us: the answer to the pump of its socket, and the line in the log if it is no.

use std::time::Instant;

use actix::{ActorFutureExt, Handler, ResponseActFuture, WrapFuture};
use log::{info, warn};

use super::MeshRegistry;
use crate::actors::admission::{Admitted, Knock, LegacyKnock, admit};
use crate::actors::config_keeper::ChangeConfig;
use crate::actors::peer_link::Adopt;
use crate::actors::socket::Socket;
use crate::domain::audit::{Act, By, Kind};
use crate::replication::handshake::HelloRefusal;
use crate::replication::peer::output::Alarm;

impl Handler<LegacyKnock> for MeshRegistry {
    type Result = Result<Admitted, HelloRefusal>;

    fn handle(&mut self, knock: LegacyKnock, _: &mut Self::Context) -> Self::Result {
        let config = self.context.config.borrow().clone();
        self.context.legacy.knock(&config, knock)
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
                addr.do_send(Adopt { number, socket: Socket::inbound(knock.pump), hello: knock.hello });
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
        if self.said.is_news(&central, &format!("{host} {reason}"), Instant::now()) {
            let remote = knock.remote.map(|remote| remote.to_string()).unwrap_or_default();
            warn!(
                event = "peer_refused", peer = central.as_str(), remote = remote.as_str(), reason = reason.as_str();
                "refused a socket"
            );
        }
        if let HelloRefusal::DuplicateCentralId(central) = refusal {
            self.raise(&Alarm::DuplicateCentralId { central: central.clone() });
        }
    }
}
