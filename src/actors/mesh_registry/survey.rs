//! Asking all links at once, from time to time and soon after a link came or went, and what is made of their answers: the mesh's
//! state, metrics, the clock skew, and what the links say in their HEARTBEATs.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::fut::ActorFutureExt;
use actix::{AsyncContext, Context, WrapFuture};
use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use super::MeshRegistry;
use crate::actors::db_writer::{Held, SkewMeasured};
use crate::actors::peer_link::{AskLink, PeerLink, ToLink};
use crate::actors::supervise::Handle;
use crate::actors::sync_coordinator::Logs;
use crate::config::model::{PeerCentral, read_modes};
use crate::domain::ids::{CentralId, hex};
use crate::links::mesh::MeshClock;
use crate::links::status::{
    BUILT_IN_TARIFF, LogShown, MeshStatus, NearbyShown, OldestUnacked, PeerSays, PeerShown, PeerTrust,
};
use crate::ops::metrics::{LogLabel, Metrics, PeerLabel};
use crate::replication::coordinator::allowance::TakenOf;
use crate::replication::coordinator::{LogStatus, WaitReason};
use crate::replication::have::Have;
use crate::replication::peer::output::{LinkState, PeerStatus};
use crate::wire::frame::Beat;

/// How often the links are told what to say in their HEARTBEATs, and the clocks are compared. A HEARTBEAT leaves every
/// 30 s.
const SURVEY_PERIOD: Duration = Duration::from_secs(10);
/// After a link came or went, or the settings changed, the links are told this soon; what comes or goes meanwhile is told with it.
const TELL_LINKS_AFTER: Duration = Duration::from_millis(100);

/// How far off, in ms, the clock of one peer is believed to be where no other says so.
const FARTHEST_OF_ONE_MS: u64 = 24 * 3_600_000;

/// What two centrals say otherwise of one matter counts once it has lasted so long: what was changed at one of them the other says
/// within a survey and a HEARTBEAT, 40 s.
const SETTLED_MS: u64 = 60_000;

/// Names in the `digests` of a HEARTBEAT.
pub const TARIFF: &str = "tariff";
pub const TIME_ZONE: &str = "time_zone";
/// There, with any value: the sender has somebody to tell of alarms.
pub const ALARMS: &str = "alarms";
/// Who has to prove who he is at the sender, as `Security::modes` says it.
pub const MODES: &str = "modes";
/// The site the sender belongs to.
pub const SITE: &str = "site";

pub type Configured = (CentralId, PeerCentral, Handle<PeerLink>);

/// What a site has one of, as a central names it: its tariff, its time zone.
pub type Ones = [(&'static str, String); 2];

/// Which peers say another tariff or time zone than is in force here: what both say, and since when, of the monotonic clock.
#[derive(Debug, Default)]
pub struct Differing(BTreeMap<(CentralId, &'static str), (String, String, u64)>);

impl Differing {
    /// Takes in what is said now, here and by each peer.
    pub fn look(&mut self, ours: &Ones, statuses: &[Option<PeerStatus>], now_ms: u64) {
        let mut found = BTreeMap::new();
        for status in statuses.iter().flatten().filter(|status| status.state == LinkState::Connected) {
            for (name, own) in ours {
                let Some(said) = status.digests.get(*name).filter(|said| !said.is_empty() && *said != own) else {
                    continue;
                };
                let known = self.0.remove(&(status.peer.clone(), *name));
                let as_before = known.filter(|(here, there, _)| here == own && there == said);
                let since_ms = as_before.map_or(now_ms, |(_, _, since_ms)| since_ms);
                found.insert((status.peer.clone(), *name), (own.clone(), said.clone(), since_ms));
            }
        }
        self.0 = found;
    }

    /// What `peer` says otherwise for so long that it is no news on its way.
    pub fn settled(&self, peer: &CentralId, now_ms: u64) -> Vec<&'static str> {
        let of_it = self.0.iter().filter(|((of, _), (_, _, since_ms))| of == peer && since_ms + SETTLED_MS <= now_ms);
        of_it.map(|((_, name), _)| *name).collect()
    }
}

impl MeshRegistry {
    pub(super) fn survey_later(context: &mut Context<Self>, pause: Duration) {
        context.run_later(pause, |registry, context| {
            registry.survey(context, |_, context| Self::survey_later(context, SURVEY_PERIOD));
        });
    }

    /// A link came or went, or the settings changed.
    pub(super) fn tell_links_soon(&mut self, context: &mut Context<Self>) {
        if !std::mem::replace(&mut self.telling_links, true) {
            context.run_later(TELL_LINKS_AFTER, |registry, context| {
                // What comes or goes from here on may be too late for this survey.
                registry.telling_links = false;
                registry.survey(context, |_, _| {});
            });
        }
    }

    /// Compares the clocks and lets the links know what to say in their HEARTBEATs; then does the rest.
    fn survey(&self, context: &mut Context<Self>, then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static) {
        let links = self.handles();
        let survey = async move {
            let statuses = ask_all(&links).await;
            (links, statuses)
        };
        context.spawn(survey.into_actor(self).map(|(links, statuses), registry, context| {
            let metrics = &registry.context.around.metrics;
            show(metrics, &links, &statuses, registry.context.clock);
            let offsets = statuses.iter().flatten().filter_map(|status| status.clock_offset_ms);
            registry.context.writer.do_send(SkewMeasured(skew_ms(offsets.collect())));
            registry.context.foreign.survey(&statuses);
            let mut linked = linked(&statuses);
            linked.extend(registry.context.foreign.linked());
            let held = registry.context.held.borrow().clone();
            registry.meet_sites(&statuses);
            let ours = registry.ones(&held);
            registry.differing.borrow_mut().look(&ours, &statuses, registry.context.clock.now().mono_ms);
            registry.say(&linked, &held, ours);
            registry.note_site();
            then(registry, context);
        }));
    }

    /// Those that are linked may have agreed with others meanwhile.
    fn meet_sites(&self, statuses: &[Option<PeerStatus>]) {
        let linked = statuses.iter().flatten().filter(|status| status.state == LinkState::Connected);
        for told in linked.filter_map(|status| status.digests.get(SITE)?.parse().ok()) {
            self.context.identity.borrow().site.met(Some(told));
        }
    }

    /// Writes down which site this central belongs to, where it changed.
    pub(super) fn note_site(&self) {
        let mark = self.context.identity.borrow().site.get();
        if self.context.site_written.replace(mark) != mark {
            (self.context.save_site)(mark);
        }
    }

    pub(super) fn ones(&self, held: &Held) -> Ones {
        let zone = self.context.config.borrow().site.time_zone.name().to_owned();
        [(TARIFF, tariff_name(held, self.context.clock.now().wall_ms)), (TIME_ZONE, zone)]
    }

    fn say(&self, linked: &[CentralId], held: &Held, ours: Ones) {
        let mut digests = BTreeMap::new();
        // Until all is folded it says nothing about what is held.
        digests.extend(held.digest.map(|digest| ("history".to_owned(), digest.to_string())));
        digests.insert("have".to_owned(), have_digest(&self.context.have.borrow()));
        digests.extend(ours.map(|(name, own)| (name.to_owned(), own)));
        if self.context.config.borrow().alarms.are_on() {
            digests.insert(ALARMS.to_owned(), "on".to_owned());
        }
        digests.insert(MODES.to_owned(), self.context.config.borrow().security.modes());
        digests.insert(SITE.to_owned(), self.context.identity.borrow().site.get().to_string());
        let wall_ms = self.context.clock.now().wall_ms;
        let keys = self.context.trust.keys_to_tell();
        for (_, _, link) in self.handles() {
            link.do_send(ToLink::Say(Beat {
                wall_ms,
                links: linked.to_vec(),
                digests: digests.clone(),
                keys: keys.clone(),
            }));
        }
    }
}

/// The status of every link, in the order of `links`; `None` of one that is just being built anew.
pub async fn ask_all(links: &[Configured]) -> Vec<Option<PeerStatus>> {
    let asked = links.iter().map(|(_, _, link)| link.addr().send(AskLink));
    join_all(asked).await.into_iter().map(Result::ok).collect()
}

/// The links that stand.
pub fn linked(statuses: &[Option<PeerStatus>]) -> Vec<CentralId> {
    let up = statuses.iter().flatten().filter(|status| status.state == LinkState::Connected);
    up.map(|status| status.peer.clone()).collect()
}

/// Our clock minus the others', as events tell it: the median of their `offsets`. `None`: no peer's clock is known, or the only one is over a
/// day off, which its alarm says: one bad clock, or one liar, does not mark what all others tell.
fn skew_ms(mut offsets: Vec<i64>) -> Option<i64> {
    let is_near = |offset: &i64| offset.unsigned_abs() <= FARTHEST_OF_ONE_MS;
    // Where several agree that it is over a day, it is ours.
    if offsets.len() < 2 || offsets.iter().any(is_near) {
        offsets.retain(is_near);
    }
    offsets.sort_unstable();
    offsets.get(offsets.len() / 2).map(|offset| offset.saturating_neg())
}

/// One fingerprint of everything held.
pub fn have_digest(have: &Have) -> String {
    let mut hasher = Sha256::new();
    for (bucket, digest) in have.digests() {
        hasher.update([bucket.0]);
        hasher.update(digest.0.to_be_bytes());
    }
    let digest: [u8; 32] = hasher.finalize().into();
    hex(&digest).chars().take(16).collect()
}

/// Of the configured peers and no others; one whose link is just being built anew is not linked.
pub fn show(metrics: &Metrics, links: &[Configured], statuses: &[Option<PeerStatus>], clock: MeshClock) {
    let now_ms = clock.now().mono_ms;
    let of_each = |level: &dyn Fn(&PeerStatus) -> i64| {
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

pub fn show_logs(metrics: &Metrics, logs: &Logs) {
    let taken = |of: fn(TakenOf) -> u64| {
        let levels = logs.taken.iter().map(move |(central, taken)| {
            (PeerLabel { peer: central.to_string() }, i64::try_from(of(*taken)).unwrap_or(i64::MAX))
        });
        levels.collect::<Vec<_>>()
    };
    metrics.taken_logs.show(taken(|taken| taken.logs));
    metrics.taken_events.show(taken(|taken| taken.events));
    metrics.taken_bytes.show(taken(|taken| taken.bytes));
    metrics.log_lag.show(logs.logs.iter().map(|log| {
        let lag = i64::try_from(log.announced.saturating_sub(log.held)).unwrap_or(i64::MAX);
        (LogLabel { log: log.log.to_string() }, lag)
    }));
}

/// Everything, as it is shown outside.
pub fn mesh_status(
    listening: Result<Option<String>, String>,
    held: &Held,
    links: &[Configured],
    statuses: &[Option<PeerStatus>],
    logs: &Logs,
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
        tariff_version: tariff_name(held, clock.now().wall_ms),
        pending: Vec::new(),
        admitted: Vec::new(),
        nearby: NearbyShown::default(),
        fingerprint: None,
        site: None,
        peers: links
            .iter()
            .zip(statuses)
            .map(|(link, status)| {
                let taken = logs.taken.get(&link.0).copied().unwrap_or_default();
                PeerShown { taken, ..peer_shown(link, status.as_ref(), &logs.logs, clock) }
            })
            .collect(),
        logs: logs.logs.iter().map(|log| log_shown(log, clock)).collect(),
        more_logs: logs.more,
    }
}

fn peer_shown(
    (id, config, _): &Configured,
    status: Option<&PeerStatus>,
    logs: &[LogStatus],
    clock: MeshClock,
) -> PeerShown {
    let from_it = logs.iter().filter(|log| log.source.as_ref() == Some(id));
    let we_lack = from_it.map(|log| log.announced.saturating_sub(log.held)).sum();
    let connected = status.is_some_and(|status| status.state == LinkState::Connected);
    let now_ms = clock.now().mono_ms;
    let oldest = status.and_then(|status| status.oldest_unacked.as_ref());
    let waits_here = |log: &LogStatus| log.stands_still && log.source.as_ref() == Some(id);
    PeerShown {
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
        taken: TakenOf::default(),
        differs: Vec::new(),
        trust: PeerTrust::default(),
        says: status.filter(|status| connected && !status.digests.is_empty()).map(|status| PeerSays {
            links: status.links.clone(),
            tariff_version: status.digests.get(TARIFF).cloned(),
            time_zone: status.digests.get(TIME_ZONE).cloned(),
            alarms: status.digests.contains_key(ALARMS),
            modes: status.digests.get(MODES).map(|said| read_modes(said)).unwrap_or_default(),
        }),
    }
}

/// The tariff in force, as centrals name it to each other.
pub fn tariff_name(held: &Held, at_ms: i64) -> String {
    held.settings.tariff_at(at_ms).1.unwrap_or_else(|| BUILT_IN_TARIFF.to_owned())
}

fn state_name(status: Option<&PeerStatus>) -> &'static str {
    match status.map(|status| status.state) {
        Some(LinkState::Connected) => "connected",
        Some(LinkState::Connecting) | None => "connecting",
        Some(LinkState::Disconnected) => "disconnected",
    }
}

fn log_shown(log: &LogStatus, clock: MeshClock) -> LogShown {
    let wait = log.waits.as_ref();
    LogShown {
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
        WaitReason::TooMuch => "too_much",
        WaitReason::Forked => "forked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::peer::output::FrameCounters;

    fn linked_peer(tariff: &str) -> Option<PeerStatus> {
        Some(PeerStatus {
            peer: CentralId::new("c2").unwrap(),
            state: LinkState::Connected,
            since_mono_ms: 0,
            last_error: None,
            next_dial_mono_ms: None,
            failed_dials: 0,
            last_heard_mono_ms: None,
            round_trip_ms: None,
            clock_offset_ms: None,
            lag: BTreeMap::new(),
            unacked_bytes: 0,
            oldest_unacked: None,
            serving: 0,
            following: 0,
            links: Vec::new(),
            digests: [(TARIFF.to_owned(), tariff.to_owned()), (TIME_ZONE.to_owned(), "UTC".to_owned())].into(),
            counters: FrameCounters::default(),
        })
    }

    #[test]
    fn a_tariff_that_was_just_saved_differs_only_once_the_other_had_time_to_say_that_it_holds_it() {
        let (mut differing, peer) = (Differing::default(), CentralId::new("c2").unwrap());
        let mut at = |now_ms: u64, ours: &str, theirs: &str| {
            let ours = [(TARIFF, ours.to_owned()), (TIME_ZONE, "UTC".to_owned())];
            differing.look(&ours, &[linked_peer(theirs), None], now_ms);
            differing.settled(&peer, now_ms)
        };
        assert_eq!(at(1_000, "t1", "t1"), [""; 0]);
        assert_eq!(at(11_000, "t2", "t1"), [""; 0], "it was saved here");
        assert_eq!(at(50_000, "t2", "t1"), [""; 0]);
        assert_eq!(at(60_000, "t3", "t1"), [""; 0], "and once more");
        assert_eq!(at(119_999, "t3", "t1"), [""; 0]);
        assert_eq!(at(120_000, "t3", "t1"), [TARIFF], "it should have said so by now");
        assert_eq!(at(130_000, "t3", "t3"), [""; 0], "at once when it does");
        assert_eq!(at(140_000, "t3", "t4"), [""; 0], "it was saved there");
        assert_eq!(at(200_000, "t3", ""), [""; 0], "it says nothing of it");
    }

    #[test]
    fn one_clock_that_is_days_off_marks_no_events_and_several_that_agree_do() {
        let (day, years) = (86_400_000, 50 * 365 * 86_400_000);
        for (offsets, skew) in [
            (vec![], None),
            (vec![7_000], Some(-7_000)),
            (vec![-day], Some(day)),
            (vec![day + 1], None),
            (vec![-years], None),
            (vec![years, 40], Some(-40)),
            (vec![-years, 40], Some(-40)),
            (vec![i64::MIN, i64::MAX, 40], Some(-40)),
            (vec![years, years + 40, years + 50], Some(-years - 40)),
            (vec![1, 2, 3], Some(-2)),
        ] {
            assert_eq!(skew_ms(offsets.clone()), skew, "{offsets:?}");
        }
    }
}
