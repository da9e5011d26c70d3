//! The links to all predecessors: one for each peer that is configured `"legacy": true`, kept over restarts of the registry.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use actix::Addr;

use super::admission::{Admitted, LegacyKnock, admit_legacy, is_linked_as_legacy};
use super::db_reader::Readers;
use super::db_writer::DbWriter;
use super::legacy_link::{AdoptLegacy, LeaveLegacy, LegacyContext, LegacyLink, Linked, OneOfOurs, Relay, Standing};
use super::mesh::{MeshClock, SharedHave, SocketNumbers};
use super::mesh_view::MeshStatus;
use super::socket::Socket;
use super::supervise::{self, Faults, Handle, Surroundings};
use crate::config::model::{Config, PeerCentral};
use crate::domain::ids::CentralId;
use crate::domain::time::SiteZone;
use crate::replication::handshake::{HelloRefusal, Identity};
use crate::replication::peer::status::{LinkState, PeerStatus};

/// The reason in the status of a predecessor whose clock shows another zone than the settings say.
const ANOTHER_CLOCK: &str = "legacy-clock";

/// What the links are built on.
#[derive(Clone)]
pub struct LegacyParts {
    pub around: Surroundings,
    pub identity: Rc<RefCell<Identity>>,
    pub have: SharedHave,
    pub clock: MeshClock,
    pub numbers: SocketNumbers,
    pub writer: Addr<DbWriter>,
    pub readers: Readers,
    /// Where the links are registered for tests of supervision.
    pub faults: Option<Faults>,
}

struct Part {
    config: PeerCentral,
    zone: SiteZone,
    handle: Handle<LegacyLink>,
    standing: Standing,
}

/// Cheap to clone; clones are the same links.
#[derive(Clone)]
pub struct LegacyLinks {
    parts: LegacyParts,
    links: Rc<RefCell<BTreeMap<CentralId, Part>>>,
}

impl LegacyLinks {
    #[must_use]
    pub fn new(parts: LegacyParts) -> Self {
        Self { parts, links: Rc::default() }
    }

    /// Links what is configured and lets the rest go.
    pub fn follow(&self, config: &Config) {
        let mut links = self.links.borrow_mut();
        let zone_of = |peer: &PeerCentral| peer.time_zone.clone().unwrap_or_else(|| config.site.time_zone.clone());
        links.retain(|id, part| {
            let stays = config.peer(id).is_some_and(|peer| {
                is_linked_as_legacy(config, peer) && *peer == part.config && zone_of(peer) == part.zone
            });
            if !stays {
                part.handle.addr().do_send(LeaveLegacy);
            }
            stays
        });
        for peer in config.peer_centrals.iter().filter(|peer| is_linked_as_legacy(config, peer)) {
            if !links.contains_key(&peer.id) {
                links.insert(peer.id.clone(), self.link_to(peer, zone_of(peer)));
            }
        }
    }

    fn link_to(&self, peer: &PeerCentral, zone: SiteZone) -> Part {
        let LegacyParts { around, identity, have, clock, numbers, writer, readers, faults } = self.parts.clone();
        let standing: Standing = Rc::new(Cell::new(None));
        let context = LegacyContext {
            identity: identity.borrow().clone(),
            config: peer.clone(),
            zone: zone.clone(),
            have,
            clock,
            numbers,
            writer,
            readers,
            standing: standing.clone(),
        };
        let name = format!("legacy_link:{}", peer.id);
        let handle = supervise::start(&around, name.clone(), move || LegacyLink::new(context.clone()));
        if let Some(faults) = faults {
            faults.register(name, handle.clone());
        }
        Part { config: peer.clone(), zone, handle, standing }
    }

    /// A socket that speaks as a predecessor does.
    ///
    /// # Errors
    /// [`HelloRefusal`]: nobody of that name and address is configured as one.
    pub fn knock(&self, config: &Config, knock: LegacyKnock) -> Result<Admitted, HelloRefusal> {
        let peer = admit_legacy(config, &knock)?;
        let links = self.links.borrow();
        let part = links.get(&peer).ok_or(HelloRefusal::HelloExpected)?;
        let (number, addr) = (self.parts.numbers.next(), part.handle.addr());
        let socket = Socket::inbound(knock.pump);
        addr.do_send(AdoptLegacy { number, socket, dialect: knock.dialect });
        Ok(Admitted { socket: number, link: addr.recipient() })
    }

    /// This peer said HELLO.
    pub fn is_ours(&self, peer: &CentralId) {
        if let Some(part) = self.links.borrow().get(peer) {
            part.handle.addr().do_send(OneOfOurs);
        }
    }

    /// Those that are linked.
    #[must_use]
    pub fn linked(&self) -> Vec<CentralId> {
        let links = self.links.borrow();
        links.iter().filter(|(_, part)| part.standing.get().is_some()).map(|(id, _)| id.clone()).collect()
    }

    /// Settles who is one of ours now, and who tells each predecessor what other centrals wrote: of those that say they are linked
    /// with it the one with the smallest id.
    pub fn settle_relays(&self, statuses: &[Option<PeerStatus>]) {
        let own = self.parts.identity.borrow().central.clone();
        for (id, part) in &*self.links.borrow() {
            if statuses.iter().flatten().any(|status| status.peer == *id && status.state == LinkState::Connected) {
                part.handle.addr().do_send(OneOfOurs);
            }
            let links_it = |status: &&PeerStatus| status.state == LinkState::Connected && status.links.contains(id);
            let others = statuses.iter().flatten().filter(links_it);
            let smaller = others.into_iter().any(|status| status.peer < own);
            part.handle.addr().do_send(Relay(part.standing.get().is_some() && !smaller));
        }
    }

    /// Shows which peers are linked as predecessors.
    pub fn show(&self, status: &mut MeshStatus) {
        let links = self.links.borrow();
        for peer in &mut status.peers {
            let standing = links.get(&peer.id).and_then(|part| part.standing.get());
            if let Some(Linked { dialect, since_ms, another_clock }) = standing {
                peer.connected = true;
                "connected".clone_into(&mut peer.state);
                peer.since_ms = self.parts.clock.wall_of(since_ms);
                peer.reason = Some(if another_clock { ANOTHER_CLOCK } else { dialect.name() }.to_owned());
                peer.next_attempt_ms = None;
            }
        }
    }

    /// Closes all of them, for good.
    pub fn leave(&self) {
        let links = std::mem::take(&mut *self.links.borrow_mut());
        links.into_values().for_each(|part| part.handle.addr().do_send(LeaveLegacy));
    }
}
