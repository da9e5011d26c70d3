//! What differs between two settings, in terms of what has to be done about it.

use serde::Serialize;

use super::model::{Config, PeerCentral};
use crate::domain::ids::CentralId;

/// What a save changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// The own id: every link has to introduce itself anew.
    pub own_id: bool,
    /// The own address as told to others.
    pub own_ip: bool,
    /// The P2P server has to be bound anew: its port or the address it listens on.
    pub p2p_listener: bool,
    /// The HTTP server has to be bound anew: its port or the address it listens on.
    pub api_listener: bool,
    /// To be linked.
    pub peers_added: Vec<PeerCentral>,
    /// To be unlinked.
    pub peers_removed: Vec<CentralId>,
    /// Known, but with another address or other properties: to be unlinked and linked anew. As they are now.
    pub peers_changed: Vec<PeerCentral>,
    pub site_name: bool,
    pub time_zone: bool,
    pub edges: bool,
    pub security: bool,
    pub tuning: bool,
}

/// The kinds of change, for the answer to a save and for the log. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    OwnId,
    OwnIp,
    P2pListener,
    ApiListener,
    PeersAdded,
    PeersRemoved,
    PeersChanged,
    SiteName,
    TimeZone,
    Edges,
    Security,
    Tuning,
}

/// What happened between `old` and `new`.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Changes {
    let listen_ip_changed = old.listen_ip() != new.listen_ip();
    let (before, after) = (&old.this_central, &new.this_central);
    let is_new = |peer: &&PeerCentral| old.peer(&peer.id).is_none();
    let is_other = |peer: &&PeerCentral| old.peer(&peer.id).is_some_and(|before| before != *peer);
    let is_gone = |peer: &&PeerCentral| new.peer(&peer.id).is_none();
    Changes {
        own_id: before.id != after.id,
        own_ip: before.ip != after.ip,
        p2p_listener: listen_ip_changed || before.p2p_port != after.p2p_port,
        api_listener: listen_ip_changed || before.api_port != after.api_port,
        peers_added: new.peer_centrals.iter().filter(is_new).cloned().collect(),
        peers_removed: old.peer_centrals.iter().filter(is_gone).map(|peer| peer.id.clone()).collect(),
        peers_changed: new.peer_centrals.iter().filter(is_other).cloned().collect(),
        site_name: old.site.name != new.site.name,
        time_zone: old.site.time_zone != new.site.time_zone,
        edges: old.edges != new.edges,
        security: old.security != new.security,
        tuning: old.tuning != new.tuning,
    }
}

impl Changes {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Which kinds of change there are.
    #[must_use]
    pub fn kinds(&self) -> Vec<ChangeKind> {
        let all = [
            (self.own_id, ChangeKind::OwnId),
            (self.own_ip, ChangeKind::OwnIp),
            (self.p2p_listener, ChangeKind::P2pListener),
            (self.api_listener, ChangeKind::ApiListener),
            (!self.peers_added.is_empty(), ChangeKind::PeersAdded),
            (!self.peers_removed.is_empty(), ChangeKind::PeersRemoved),
            (!self.peers_changed.is_empty(), ChangeKind::PeersChanged),
            (self.site_name, ChangeKind::SiteName),
            (self.time_zone, ChangeKind::TimeZone),
            (self.edges, ChangeKind::Edges),
            (self.security, ChangeKind::Security),
            (self.tuning, ChangeKind::Tuning),
        ];
        all.into_iter().filter(|(changed, _)| *changed).map(|(_, kind)| kind).collect()
    }
}
