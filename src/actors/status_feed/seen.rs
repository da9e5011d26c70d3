//! What this central knows at the moment of itself and of the others, put together for `alarms::attention`.

use super::FeedContext;
use crate::alarms::attention::{EdgeSeen, LogSeen, PeerSeen, Seen};
use crate::links::status::{MeshStatus, PeerShown};
use crate::ops::clock::is_behind;

/// `newest_own_ms`: the newest entry stamped here, if it is the newest at all.
#[must_use]
pub fn seen(around: &FeedContext, mesh: &MeshStatus, newest_own_ms: Option<i64>) -> Seen {
    let (config, now_ms) = (around.config.borrow().clone(), around.clock.now_ms());
    // Until it was asked for the first time it is not known.
    let free = u64::try_from(around.metrics.disk_free_bytes.get()).unwrap_or(0);
    let notices = around.notices.all().into_iter().map(|notice| (notice.code, notice.reason));
    let edges = around.roster.all().into_iter().map(|(id, edge)| {
        let listed = config.edges.iter().find(|listed| listed.id == id).map(|listed| listed.name.clone());
        let name = listed.filter(|name| !name.is_empty()).or_else(|| edge.name.clone()).unwrap_or_default();
        EdgeSeen { online: edge.is_online(now_ms), last_ms: edge.last_ms, id, name }
    });
    let logs = mesh.logs.iter().filter_map(|log| {
        let waits_for = log.waits_for.clone()?;
        Some(LogSeen { log: log.log.to_string(), waits_for, since_ms: log.waits_since_ms })
    });
    let pending = mesh.pending.iter();
    Seen {
        now_ms,
        started_ms: around.started_ms,
        time_zone: config.site.time_zone.name().to_owned(),
        tariff_version: mesh.tariff_version.clone(),
        can_commit: around.held.borrow().failure.is_none(),
        little_disk: (free > 0 && free < config.tuning.low_disk_bytes()).then_some(free),
        clock_behind: is_behind(now_ms, newest_own_ms),
        broken_config: around.broken_config.clone(),
        listen_error: mesh.listen_error.clone(),
        notices: notices.collect(),
        edges: edges.collect(),
        peers: mesh.peers.iter().map(peer).collect(),
        logs: logs.collect(),
        pending: pending.map(|who| (who.central.to_string(), who.fingerprint.to_string(), who.first_seen_ms)).collect(),
    }
}

fn peer(peer: &PeerShown) -> PeerSeen {
    let says = peer.says.as_ref();
    PeerSeen {
        id: peer.id.to_string(),
        connected: peer.connected,
        expelled: peer.trust.expelled,
        last_heard_ms: peer.last_heard_ms,
        clock_offset_ms: peer.clock_offset_ms,
        tariff_version: says.and_then(|says| says.tariff_version.clone()),
        time_zone: says.and_then(|says| says.time_zone.clone()),
        certificate_refused_ms: peer.trust.certificate_refused.as_ref().map(|refused| refused.at_ms),
        links: says.map(|says| says.links.iter().map(ToString::to_string).collect()).unwrap_or_default(),
        tells: says.is_some_and(|says| says.alarms),
    }
}
