//! Asking all links at once, and what is made of their answers: the mesh's state, metrics, the clock skew.

use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use super::db_writer::Held;
use super::mesh::MeshClock;
use super::mesh_view::{BUILT_IN_TARIFF, LogStatus, MeshStatus, OldestUnacked, PeerSays, PeerStatus, PeerTrust};
use super::peer_link::{AskLink, PeerLink};
use super::supervise::Handle;
use crate::config::model::PeerCentral;
use crate::domain::ids::CentralId;
use crate::ops::metrics::{LogLabel, Metrics, PeerLabel};
use crate::replication::coordinator::status::{LogStatus as CoreLogStatus, WaitReason};
use crate::replication::have::Have;
use crate::replication::peer::status::{LinkState, PeerStatus as CorePeerStatus};

/// Names in the `digests` of a HEARTBEAT.
pub const TARIFF: &str = "tariff";
pub const TIME_ZONE: &str = "time_zone";

pub type Configured = (CentralId, PeerCentral, Handle<PeerLink>);

/// The status of every link, in the order of `links`; `None` of one that is just being built anew.
pub async fn ask_all(links: &[Configured]) -> Vec<Option<CorePeerStatus>> {
    let asked = links.iter().map(|(_, _, link)| link.addr().send(AskLink));
    join_all(asked).await.into_iter().map(Result::ok).collect()
}

/// The links that stand.
#[must_use]
pub fn linked(statuses: &[Option<CorePeerStatus>]) -> Vec<CentralId> {
    let up = statuses.iter().flatten().filter(|status| status.state == LinkState::Connected);
    up.map(|status| status.peer.clone()).collect()
}

/// The median of the peers' clocks minus ours; `None`: no peer's clock is known.
#[must_use]
pub fn median_offset_ms(statuses: &[Option<CorePeerStatus>]) -> Option<i64> {
    let mut offsets: Vec<i64> = statuses.iter().flatten().filter_map(|status| status.clock_offset_ms).collect();
    offsets.sort_unstable();
    // An event's skew is its author's clock minus the others'.
    offsets.get(offsets.len() / 2).map(|offset| offset.saturating_neg())
}

/// One fingerprint of everything held.
#[must_use]
pub fn have_digest(have: &Have) -> String {
    let mut hasher = Sha256::new();
    for (bucket, digest) in have.digests() {
        hasher.update([bucket.0]);
        hasher.update(digest.0.to_be_bytes());
    }
    let digest: [u8; 32] = hasher.finalize().into();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Of the configured peers and no others; one whose link is just being built anew is not linked.
pub fn show(metrics: &Metrics, links: &[Configured], statuses: &[Option<CorePeerStatus>], clock: MeshClock) {
    let now_ms = clock.now().mono_ms;
    let of_each = |level: &dyn Fn(&CorePeerStatus) -> i64| {
        let levels = links
            .iter()
            .zip(statuses)
            .map(|((id, _, _), status)| (PeerLabel { peer: id.to_string() }, status.as_ref().map_or(0, level)));
        levels.collect::<Vec<_>>()
    };
    metrics.links.show(of_each(&|status| i64::from(status.state == LinkState::Connected)));
    metrics.link_unacked_bytes.show(of_each(&|status| i64::try_from(status.unacked_bytes).unwrap_or(i64::MAX)));
    metrics.link_unacked_age_seconds.show(of_each(&|status| {
        let since_ms = status.oldest_unacked.as_ref().map_or(now_ms, |oldest| oldest.since_mono_ms);
        i64::try_from(now_ms.saturating_sub(since_ms) / 1_000).unwrap_or(i64::MAX)
    }));
}

pub fn show_logs(metrics: &Metrics, logs: &[CoreLogStatus]) {
    metrics.log_lag.show(logs.iter().map(|log| {
        let lag = i64::try_from(log.announced.saturating_sub(log.held)).unwrap_or(i64::MAX);
        (LogLabel { log: log.log.to_string() }, lag)
    }));
}

/// Everything, as it is shown outside.
#[must_use]
pub fn mesh_status(
    listening: Result<Option<String>, String>,
    held: &Held,
    links: &[Configured],
    statuses: &[Option<CorePeerStatus>],
    logs: &[CoreLogStatus],
    clock: MeshClock,
) -> MeshStatus {
    let counters = || statuses.iter().flatten().map(|status| status.counters);
    let (listening, listen_error) = match listening {
        Ok(address) => (address, None),
        Err(error) => (None, Some(error)),
    };
    MeshStatus {
        listening,
        listen_error,
        messages_sent: counters().map(|counters| counters.frames_sent).sum(),
        messages_received: counters().map(|counters| counters.frames_received).sum(),
        tariff_version: tariff_name(held),
        pending: Vec::new(),
        fingerprint: None,
        peers: links
            .iter()
            .zip(statuses)
            .map(|(link, status)| peer_status(link, status.as_ref(), logs, clock))
            .collect(),
        logs: logs.iter().map(|log| log_status(log, clock)).collect(),
    }
}

fn peer_status(
    (id, config, _): &Configured,
    status: Option<&CorePeerStatus>,
    logs: &[CoreLogStatus],
    clock: MeshClock,
) -> PeerStatus {
    let from_it = logs.iter().filter(|log| log.source.as_ref() == Some(id));
    let we_lack = from_it.map(|log| log.announced.saturating_sub(log.held)).sum();
    let connected = status.is_some_and(|status| status.state == LinkState::Connected);
    let now_ms = clock.now().mono_ms;
    let oldest = status.and_then(|status| status.oldest_unacked.as_ref());
    let waits_here = |log: &CoreLogStatus| log.stands_still && log.source.as_ref() == Some(id);
    PeerStatus {
        moving: connected && !oldest.is_some_and(|oldest| oldest.is_overdue(now_ms)) && !logs.iter().any(waits_here),
        oldest_unacked: oldest.map(|oldest| OldestUnacked {
            log: oldest.log.clone(),
            to: oldest.to,
            since_ms: clock.wall_of(oldest.since_mono_ms),
            age_ms: now_ms.saturating_sub(oldest.since_mono_ms),
        }),
        id: id.clone(),
        ip: config.ip.to_string(),
        port: config.p2p_port,
        connected,
        state: state_name(status).to_owned(),
        since_ms: status.map_or_else(|| clock.now().wall_ms, |status| clock.wall_of(status.since_mono_ms)),
        reason: status.filter(|_| !connected).and_then(|status| status.last_error.clone()),
        next_attempt_ms: status.and_then(|status| status.next_dial_mono_ms).map(|due| clock.wall_of(due)),
        last_heard_ms: status.and_then(|status| status.last_heard_mono_ms).map(|heard| clock.wall_of(heard)),
        #[expect(clippy::cast_precision_loss, reason = "a round trip is far below 2^52 ms")]
        round_trip_ms: status.and_then(|status| status.round_trip_ms).map(|ms| ms as f64),
        clock_offset_ms: status.and_then(|status| status.clock_offset_ms),
        unacked_bytes: status.map_or(0, |status| status.unacked_bytes as u64),
        we_lack_events: connected.then_some(we_lack),
        it_lacks_events: status.filter(|_| connected).map(|status| status.lag.values().sum()),
        trust: PeerTrust::default(),
        says: status.filter(|status| connected && !status.digests.is_empty()).map(|status| PeerSays {
            links: status.links.clone(),
            tariff_version: status.digests.get(TARIFF).cloned(),
            time_zone: status.digests.get(TIME_ZONE).cloned(),
        }),
    }
}

/// The tariff in force, as centrals name it to each other.
#[must_use]
pub fn tariff_name(held: &Held) -> String {
    held.settings.tariff().1.unwrap_or_else(|| BUILT_IN_TARIFF.to_owned())
}

fn state_name(status: Option<&CorePeerStatus>) -> &'static str {
    match status.map(|status| status.state) {
        Some(LinkState::Connected) => "connected",
        Some(LinkState::Connecting) | None => "connecting",
        Some(LinkState::Disconnected) => "disconnected",
    }
}

fn log_status(log: &CoreLogStatus, clock: MeshClock) -> LogStatus {
    let wait = log.waits.as_ref();
    LogStatus {
        log: log.log.clone(),
        have: log.held,
        known: log.announced.max(log.held),
        source: log.source.clone(),
        waits_for: wait.map(|wait| wait_name(wait.reason).to_owned()),
        waits_since_ms: wait.map(|wait| clock.wall_of(wait.since_mono_ms)),
    }
}

/// The stable name of what a log waits for.
fn wait_name(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::Source => "source",
        WaitReason::Commit => "commit",
        WaitReason::CommitFailed => "commit_failed",
        WaitReason::LinkBusy => "link_busy",
        WaitReason::SourceAvoided => "source_avoided",
        WaitReason::Forked => "forked",
    }
}
