//! What takes effect when settings are changed.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{ApiMode, Config, PeerCentral};
use crate::domain::naming::Naming;

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
    Backup,
    Vietqr,
    Alarms,
    Tuning,
}

/// What the site and the gates here are called by `new`, to be told to all centrals: those of `old` that are gone have no name any
/// more. `says_site`: the site's name is meant too, rather than only kept in the file.
#[must_use]
pub fn names_since(old: &Config, new: &Config, says_site: bool) -> Vec<Naming> {
    let central = new.this_central.id.as_str();
    let site = says_site.then(|| Naming::of_site(&new.site.name));
    let gates = new.edges.iter().map(|edge| Naming::of_gate(central, &edge.id, &edge.name));
    let gone = old.edges.iter().filter(|edge| new.edges.iter().all(|kept| kept.id != edge.id));
    site.into_iter().chain(gates).chain(gone.map(|edge| Naming::of_gate(central, &edge.id, ""))).collect()
}

/// What takes effect between `old` and `new`. Empty where only the writing differs: peers in another order, an address said twice.
#[must_use]
pub fn changed(old: &Config, new: &Config) -> Vec<ChangeKind> {
    let listen_ip = old.listen_ip() != new.listen_ip();
    let (before, after) = (&old.this_central, &new.this_central);
    let any_is = |is: fn(Option<&PeerCentral>, &PeerCentral) -> bool, ours: &Config, theirs: &Config| {
        ours.peer_centrals.iter().any(|peer| is(theirs.peer(&peer.id), peer))
    };
    let is_unknown = |known: Option<&PeerCentral>, _: &PeerCentral| known.is_none();
    let is_other = |known: Option<&PeerCentral>, peer: &PeerCentral| known.is_some_and(|known| known != peer);
    let all = [
        (before.id != after.id, ChangeKind::OwnId),
        (before.ip != after.ip, ChangeKind::OwnIp),
        (listen_ip || before.p2p_port != after.p2p_port, ChangeKind::P2pListener),
        (listen_ip || before.api_port != after.api_port || shown(old) != shown(new), ChangeKind::ApiListener),
        (any_is(is_unknown, new, old), ChangeKind::PeersAdded),
        (any_is(is_unknown, old, new), ChangeKind::PeersRemoved),
        (any_is(is_other, new, old), ChangeKind::PeersChanged),
        (old.site.name != new.site.name, ChangeKind::SiteName),
        (old.site.time_zone != new.site.time_zone, ChangeKind::TimeZone),
        (old.edges != new.edges, ChangeKind::Edges),
        (old.security != new.security || old.refused_centrals != new.refused_centrals, ChangeKind::Security),
        (old.backup != new.backup, ChangeKind::Backup),
        (old.vietqr != new.vietqr, ChangeKind::Vietqr),
        (old.alarms != new.alarms, ChangeKind::Alarms),
        (old.tuning != new.tuning, ChangeKind::Tuning),
    ];
    all.into_iter().filter(|(changed, _)| *changed).map(|(_, kind)| kind).collect()
}

/// What the API port shows of itself.
fn shown(config: &Config) -> (ApiMode, Option<&String>, Option<&String>) {
    let security = &config.security;
    (security.api, security.api_certificate_file.as_ref(), security.api_key_file.as_ref())
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
            (json!({"backup": {"keep": 3}}), vec![Backup]),
            (json!({"vietqr": {"bank": "970436", "account": "0011"}}), vec![Vietqr]),
            (json!({"tuning": {"mask_plates": true}}), vec![Tuning]),
        ] {
            let after = merge::merge(&before(), &put).unwrap().config;
            assert_eq!(changed(&before(), &after), kinds, "{put}");
            assert_eq!(before().version() == after.version(), before() == after, "{put}");
        }
    }
}
