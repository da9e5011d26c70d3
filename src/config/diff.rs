//! What differs between two settings, in terms of what has to be done about it.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{ApiMode, Config, PeerCentral};
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
    /// The HTTP server has to be bound anew: its port, the address it listens on, or the certificate it shows.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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
        api_listener: listen_ip_changed || before.api_port != after.api_port || shown(old) != shown(new),
        peers_added: new.peer_centrals.iter().filter(is_new).cloned().collect(),
        peers_removed: old.peer_centrals.iter().filter(is_gone).map(|peer| peer.id.clone()).collect(),
        peers_changed: new.peer_centrals.iter().filter(is_other).cloned().collect(),
        site_name: old.site.name != new.site.name,
        time_zone: old.site.time_zone != new.site.time_zone,
        edges: old.edges != new.edges,
        security: old.security != new.security || old.refused_centrals != new.refused_centrals,
        tuning: old.tuning != new.tuning,
    }
}

/// What the API port shows of itself.
fn shown(config: &Config) -> (ApiMode, Option<&String>, Option<&String>) {
    let security = &config.security;
    (security.api, security.api_certificate_file.as_ref(), security.api_key_file.as_ref())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{merge, read};

    fn before() -> Config {
        let json = json!({
            "this_central": {"id": "a", "ip": "10.0.0.1"},
            "peer_centrals": [{"id": "b", "ip": "10.0.0.2"}, {"id": "c", "ip": "10.0.0.3"}],
        });
        read::config(&json).unwrap().config
    }

    #[test]
    fn every_kind_of_change_is_told_and_no_other() {
        use ChangeKind::*;
        for (put, kinds) in [
            (json!({}), vec![]),
            (json!({"this_central": {"p2p_port": 9000}}), vec![]),
            (json!({"this_central": {"id": "a2"}}), vec![OwnId]),
            (json!({"this_central": {"ip": "10.0.0.9"}}), vec![OwnIp]),
            (json!({"this_central": {"ip": "127.0.0.1"}}), vec![OwnIp, P2pListener, ApiListener]),
            (json!({"bind": "10.0.0.1"}), vec![P2pListener, ApiListener]),
            (json!({"bind": "0.0.0.0"}), vec![]),
            (json!({"this_central": {"p2p_port": 9100}}), vec![P2pListener]),
            (json!({"this_central": {"api_port": 8100}}), vec![ApiListener]),
            (json!({"peer_centrals": [{"id": "c"}, {"id": "b"}]}), vec![]),
            (json!({"peer_centrals": [{"id": "b"}]}), vec![PeersRemoved]),
            (json!({"peer_centrals": [{"id": "b"}, {"id": "c", "p2p_port": 9100}]}), vec![PeersChanged]),
            (json!({"peer_centrals": [{"id": "b"}, {"id": "d", "ip": "10.0.0.3"}]}), vec![PeersAdded, PeersRemoved]),
            (json!({"site": {"name": "A"}}), vec![SiteName]),
            (json!({"site": {"time_zone": "UTC"}}), vec![TimeZone]),
            (json!({"edges": [{"id": "e"}]}), vec![Edges]),
            (json!({"security": {"legacy_port": 9002}}), vec![Security]),
            (json!({"security": {"api": "https"}}), vec![ApiListener, Security]),
            (json!({"tuning": {"mask_plates": true}}), vec![Tuning]),
        ] {
            let after = merge::merge(&before(), &put).unwrap().config;
            let changes = diff(&before(), &after);
            assert_eq!(changes.kinds(), kinds, "{put}");
            assert_eq!(changes.is_empty(), kinds.is_empty(), "{put}");
            assert_eq!(before().version() == after.version(), before() == after, "{put}");
        }
    }

    #[test]
    fn the_peers_concerned_are_named() {
        let put = json!({"peer_centrals": [{"id": "c", "ip": "10.0.0.33"}, {"id": "d", "ip": "10.0.0.4"}]});
        let changes = diff(&before(), &merge::merge(&before(), &put).unwrap().config);
        let ids = |peers: &[PeerCentral]| peers.iter().map(|peer| peer.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(&changes.peers_added), ["d"]);
        assert_eq!(ids(&changes.peers_changed), ["c"]);
        assert_eq!(changes.peers_changed[0].ip.to_string(), "10.0.0.33");
        assert_eq!(changes.peers_removed, [CentralId::new("b").unwrap()]);
    }
}
