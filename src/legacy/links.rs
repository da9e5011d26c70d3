//! The links to all predecessors: one for each peer that is configured `"legacy": true`, kept over restarts of the registry.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use actix::Addr;

use super::link::{LegacyContext, LegacyLink, Linked, Standing, ToLegacy};
use crate::actors::db_reader::Readers;
use crate::actors::db_writer::DbWriter;
use crate::actors::mesh_registry::admission::{Admitted, ForeignKnock, ForeignLinks};
use crate::actors::supervise::{self, Handle, Surroundings};
use crate::config::model::{Config, P2pMode, PeerCentral};
use crate::domain::ids::CentralId;
use crate::domain::time::SiteZone;
use crate::legacy::dialect::Dialect;
use crate::legacy::dialect::hear::{Heard, read};
use crate::links::mesh::{MeshClock, SharedHave, SocketNumbers};
use crate::links::socket::{FromSocket, Socket, SocketEvent};
use crate::links::status::MeshStatus;
use crate::replication::handshake::{HelloRefusal, Identity};
use crate::replication::peer::output::{LinkState, PeerStatus};

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
}

struct LinksPart {
    config: PeerCentral,
    zone: SiteZone,
    handle: Handle<LegacyLink>,
    standing: Standing,
}

/// Cheap to clone; clones are the same links.
#[derive(Clone)]
pub struct LegacyLinks {
    parts: LegacyParts,
    links: Rc<RefCell<BTreeMap<CentralId, LinksPart>>>,
}

impl LegacyLinks {
    pub fn new(parts: LegacyParts) -> Self {
        Self { parts, links: Rc::default() }
    }

    fn link_to(&self, peer: &PeerCentral, zone: SiteZone) -> LinksPart {
        let LegacyParts { around, identity, have, clock, numbers, writer, readers } = self.parts.clone();
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
        let handle = supervise::start(&around, name, move || LegacyLink::new(context.clone()));
        LinksPart { config: peer.clone(), zone, handle, standing }
    }
}

impl ForeignLinks for LegacyLinks {
    fn follow(&self, config: &Config) {
        let mut links = self.links.borrow_mut();
        let zone_of = |peer: &PeerCentral| peer.time_zone.clone().unwrap_or_else(|| config.site.time_zone.clone());
        links.retain(|id, part| {
            let stays = config.peer(id).is_some_and(|peer| {
                config.is_linked_as_legacy(peer) && *peer == part.config && zone_of(peer) == part.zone
            });
            if !stays {
                part.handle.do_send(ToLegacy::Leave);
            }
            stays
        });
        for peer in config.peer_centrals.iter().filter(|peer| config.is_linked_as_legacy(peer)) {
            if !links.contains_key(&peer.id) {
                links.insert(peer.id.clone(), self.link_to(peer, zone_of(peer)));
            }
        }
    }

    fn knock(&self, config: &Config, knock: ForeignKnock) -> Result<Admitted, HelloRefusal> {
        let (peer, dialect, is_statement) = admit(config, &knock)?;
        let links = self.links.borrow();
        let part = links.get(&peer).ok_or(HelloRefusal::HelloExpected)?;
        let (number, addr) = (self.parts.numbers.next(), part.handle.addr());
        let socket = Socket::inbound(knock.pump);
        addr.do_send(ToLegacy::Adopt { number, socket, dialect });
        if is_statement {
            addr.do_send(FromSocket { socket: number, event: SocketEvent::Text(knock.first) });
        }
        Ok(Admitted { socket: number, link: addr.recipient() })
    }

    fn is_ours(&self, peer: &CentralId) {
        if let Some(part) = self.links.borrow().get(peer) {
            part.handle.do_send(ToLegacy::OneOfOurs);
        }
    }

    fn linked(&self) -> Vec<CentralId> {
        let links = self.links.borrow();
        links.iter().filter(|(_, part)| part.standing.get().is_some()).map(|(id, _)| id.clone()).collect()
    }

    /// Settles who is one of ours now, and who tells each predecessor what other centrals wrote: of those that say they are linked
    /// with it the one with the smallest id.
    fn survey(&self, statuses: &[Option<PeerStatus>]) {
        let own = self.parts.identity.borrow().central.clone();
        for (id, part) in &*self.links.borrow() {
            if statuses.iter().flatten().any(|status| status.peer == *id && status.state == LinkState::Connected) {
                part.handle.do_send(ToLegacy::OneOfOurs);
            }
            let links_it = |status: &&PeerStatus| status.state == LinkState::Connected && status.links.contains(id);
            let others = statuses.iter().flatten().filter(links_it);
            let smaller = others.into_iter().any(|status| status.peer < own);
            part.handle.do_send(ToLegacy::Relay(part.standing.get().is_some() && !smaller));
        }
    }

    fn show(&self, status: &mut MeshStatus) {
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

    fn leave(&self) {
        let links = std::mem::take(&mut *self.links.borrow_mut());
        links.into_values().for_each(|part| part.handle.do_send(ToLegacy::Leave));
    }
}

/// The predecessor that speaks on an inbound socket, its dialect, and whether its first frame says something: a documented one does,
/// the `peer_id` of the second revision does not. It is configured as one, and speaks from its configured address. A name
/// instead of an address is not looked up here.
///
/// # Errors
/// [`HelloRefusal::HelloExpected`]: whoever else it is has to introduce itself.
fn admit(config: &Config, knock: &ForeignKnock) -> Result<(CentralId, Dialect, bool), HelloRefusal> {
    let read = std::str::from_utf8(&knock.first).ok().and_then(|text| read(text, &SiteZone::default()).ok());
    let Some((Some(claimed), said)) = read else { return Err(HelloRefusal::HelloExpected) };
    let claimed = CentralId::new(&claimed).map_err(|_| HelloRefusal::HelloExpected)?;
    let peer = config.peer(&claimed).filter(|peer| config.is_linked_as_legacy(peer));
    let peer = peer.ok_or(HelloRefusal::HelloExpected)?;
    let may_come = config.security.p2p == P2pMode::Open || knock.at_foreign_port;
    if !may_come || peer.ip.ip().is_some_and(|ip| knock.remote != Some(ip)) {
        return Err(HelloRefusal::HelloExpected);
    }
    let (dialect, is_statement) = match said {
        Heard::PeerId(_) => (Dialect::V2, false),
        _ => (Dialect::V1, true),
    };
    Ok((claimed, dialect, is_statement))
}
