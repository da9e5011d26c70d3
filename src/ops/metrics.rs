//! Every number a central can be asked for at `/metrics` (OpenMetrics text). One struct, handed to whoever counts.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// A gauge of whole numbers.
pub type Level = Gauge<i64, AtomicI64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RouteLabels {
    /// The route's pattern, never a path as requested: those are without number.
    pub route: &'static str,
    pub code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OriginLabel {
    /// `own` or `peer`.
    pub origin: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ActorLabel {
    pub actor: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PeerLabel {
    pub peer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LogLabel {
    pub log: String,
}

/// One level for each of several things that come and go.
#[derive(Debug)]
pub struct Levels<L> {
    series: Family<L, Level>,
    shown: Mutex<HashSet<L>>,
}

impl<L: Clone + Hash + Eq> Levels<L> {
    /// Shows these and no other: what has gone is gone from the next scrape on, and none is missing from one meanwhile.
    pub fn show(&self, levels: impl IntoIterator<Item = (L, i64)>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = std::mem::take(&mut *shown);
        for (label, level) in levels {
            self.series.get_or_create(&label).set(level);
            gone.remove(&label);
            shown.insert(label);
        }
        for label in gone {
            self.series.remove(&label);
        }
    }
}

impl<L: Clone + Hash + Eq> Default for Levels<L> {
    fn default() -> Self {
        Self { series: Family::default(), shown: Mutex::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OffenceLabel {
    pub kind: &'static str,
}

/// The registry and a handle on every metric in it. Cheap to count on: atomics, no lock but in the families.
pub struct Metrics {
    registry: Registry,
    /// Events committed, by where they were authored.
    pub events: Family<OriginLabel, Counter>,
    pub commits: Counter,
    pub commits_failed: Counter,
    /// Events per transaction.
    pub commit_events: Histogram,
    /// From the start of a transaction until it is synced.
    pub commit_seconds: Histogram,
    /// Jobs that wait for the writer.
    pub writer_queue: Level,
    /// Questions that wait for, or are with, a reader.
    pub reader_queue: Level,
    /// Edge requests between their acceptance and their answer, and those turned away for the bound on them.
    pub edge_in_flight: Level,
    pub edge_refused: Counter,
    pub requests: Family<RouteLabels, Counter>,
    pub request_seconds: Histogram,
    pub restarts: Family<ActorLabel, Counter>,
    /// What others sent and could not be taken, by what was wrong with it.
    pub offences: Family<OffenceLabel, Counter>,
    /// 1: linked, 0: not, per configured peer.
    pub links: Levels<PeerLabel>,
    /// Unacknowledged bytes sent to a peer.
    pub link_unacked_bytes: Levels<PeerLabel>,
    /// How long the oldest of them waits.
    pub link_unacked_age_seconds: Levels<PeerLabel>,
    /// What was taken of each other central's own logs.
    pub taken_logs: Levels<PeerLabel>,
    pub taken_events: Levels<PeerLabel>,
    pub taken_bytes: Levels<PeerLabel>,
    /// Events known to exist elsewhere and not held here, per log.
    pub log_lag: Levels<LogLabel>,
    pub cars_inside: Level,
    /// Plates whose history is behind the events, and since when some are, without a break, in s since 1970; 0: none waits.
    pub plates_waiting: Level,
    pub plates_waiting_since: Level,
    /// Dashboards that look at the status feed.
    pub dashboards: Level,
    pub wal_bytes: Level,
    pub disk_free_bytes: Level,
    /// When the newest proven backup was begun, in s since 1970; 0: there is none. And whether the last attempt failed or one is damaged.
    pub backup_proven: Level,
    pub backup_failed: Level,
    /// Alarms that people were told of and that are not over, messages that wait to be sent, and those that were, or were dropped.
    pub alarms_open: Level,
    pub alarms_waiting: Level,
    pub alarms_told: Counter,
    pub alarms_lost: Counter,
}

impl Metrics {
    #[must_use]
    pub fn new() -> Arc<Self> {
        // 1, 2, 4 .. 2048 events; 0.1 ms .. 3.3 s.
        let commit_events = Histogram::new((0..12).map(|power| f64::from(1_u32 << power)));
        let seconds = || Histogram::new((0..16).map(|power| 0.0001 * f64::from(1_u32 << power)));
        let mut metrics = Self {
            registry: Registry::with_prefix("parkmesh"),
            events: Family::default(),
            commits: Counter::default(),
            commits_failed: Counter::default(),
            commit_events,
            commit_seconds: seconds(),
            writer_queue: Level::default(),
            reader_queue: Level::default(),
            edge_in_flight: Level::default(),
            edge_refused: Counter::default(),
            requests: Family::default(),
            request_seconds: seconds(),
            restarts: Family::default(),
            offences: Family::default(),
            links: Levels::default(),
            link_unacked_bytes: Levels::default(),
            link_unacked_age_seconds: Levels::default(),
            taken_logs: Levels::default(),
            taken_events: Levels::default(),
            taken_bytes: Levels::default(),
            log_lag: Levels::default(),
            cars_inside: Level::default(),
            plates_waiting: Level::default(),
            plates_waiting_since: Level::default(),
            dashboards: Level::default(),
            wal_bytes: Level::default(),
            disk_free_bytes: Level::default(),
            backup_proven: Level::default(),
            backup_failed: Level::default(),
            alarms_open: Level::default(),
            alarms_waiting: Level::default(),
            alarms_told: Counter::default(),
            alarms_lost: Counter::default(),
        };
        metrics.register();
        Arc::new(metrics)
    }

    /// How many plates wait to be folded, and since when, Unix ms.
    pub fn show_behind(&self, behind: Option<(u64, i64)>) {
        let (plates, since_ms) = behind.unwrap_or_default();
        self.plates_waiting.set(i64::try_from(plates).unwrap_or(i64::MAX));
        self.plates_waiting_since.set(since_ms.div_euclid(1_000));
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("events", "Events committed, by origin", self.events.clone());
        registry.register("commits", "Transactions committed", self.commits.clone());
        registry.register(
            "commits_failed",
            "Transactions that failed and were rolled back",
            self.commits_failed.clone(),
        );
        registry.register("commit_events", "Events per transaction", self.commit_events.clone());
        let seconds = Unit::Seconds;
        let text = "Time of one transaction until it is synced";
        registry.register_with_unit("commit", text, seconds.clone(), self.commit_seconds.clone());
        registry.register("writer_queue", "Jobs waiting for the writer", self.writer_queue.clone());
        registry.register("reader_queue", "Questions waiting for, or with, a reader", self.reader_queue.clone());
        registry.register("edge_in_flight", "Edge requests accepted and not answered yet", self.edge_in_flight.clone());
        registry.register(
            "edge_refused",
            "Edge requests turned away because too many were in flight",
            self.edge_refused.clone(),
        );
        registry.register("requests", "HTTP answers, by route and status code", self.requests.clone());
        let text = "Time of an HTTP request in the server";
        registry.register_with_unit("request", text, seconds, self.request_seconds.clone());
        registry.register("restarts", "Actors built anew after they failed", self.restarts.clone());
        let text = "What others sent that could not be taken, by what was wrong with it";
        registry.register("input_refused", text, self.offences.clone());
        registry.register("link", "1 if the peer is linked", self.links.series.clone());
        let text = "Bytes sent to a peer and not acknowledged yet";
        registry.register_with_unit("link_unacked", text, Unit::Bytes, self.link_unacked_bytes.series.clone());
        let text = "How long the oldest run sent to a peer waits to be acknowledged";
        let age = self.link_unacked_age_seconds.series.clone();
        registry.register_with_unit("link_unacked_age", text, Unit::Seconds, age);
        registry.register("taken_logs", "Logs taken of another central", self.taken_logs.series.clone());
        registry.register("taken_events", "Events taken of another central", self.taken_events.series.clone());
        let text = "Bytes of events taken of another central";
        registry.register_with_unit("taken", text, Unit::Bytes, self.taken_bytes.series.clone());
        registry.register(
            "log_lag_events",
            "Events announced by others and not held here, by log",
            self.log_lag.series.clone(),
        );
        registry.register("dashboards", "Dashboards that look at the status feed", self.dashboards.clone());
        registry.register_with_unit("wal", "Size of the write-ahead log", Unit::Bytes, self.wal_bytes.clone());
        registry.register("cars_inside", "Stays open now", self.cars_inside.clone());
        let text = "Plates whose history is behind the events";
        registry.register("plates_waiting", text, self.plates_waiting.clone());
        let text = "When the first of these plates began to wait, s since 1970; 0: none waits";
        registry.register("plates_waiting_since", text, self.plates_waiting_since.clone());
        registry.register_with_unit(
            "disk_free",
            "Room left for the database",
            Unit::Bytes,
            self.disk_free_bytes.clone(),
        );
        let text = "When the newest proven backup was begun, s since 1970; 0: there is none";
        registry.register("backup_proven", text, self.backup_proven.clone());
        let text = "1 if the last backup failed, or one is damaged";
        registry.register("backup_failed", text, self.backup_failed.clone());
        let text = "Alarms that people were told of and that are not over";
        registry.register("alarms_open", text, self.alarms_open.clone());
        registry.register("alarms_waiting", "Messages that channels are still to be told", self.alarms_waiting.clone());
        registry.register("alarms_told", "Messages that channels were told", self.alarms_told.clone());
        registry.register("alarms_lost", "Messages that had to be dropped", self.alarms_lost.clone());
    }

    /// The OpenMetrics text.
    ///
    /// # Errors
    /// A value cannot be written as text.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(8 * 1024);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    pub fn restarted(&self, actor: &str) {
        self.restarts.get_or_create(&ActorLabel { actor: actor.to_owned() }).inc();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_shown_and_nothing_else() {
        let metrics = Metrics::new();
        let peer = |peer: &str| PeerLabel { peer: peer.to_owned() };
        let shows = |expected: &[&str]| {
            let text = metrics.render().unwrap();
            let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("parkmesh_link{")).collect();
            let mut lines = lines;
            lines.sort_unstable();
            assert_eq!(lines, expected, "{text}");
        };
        metrics.links.show([(peer("a"), 1), (peer("b"), 0)]);
        shows(&["parkmesh_link{peer=\"a\"} 1", "parkmesh_link{peer=\"b\"} 0"]);
        metrics.links.show([(peer("b"), 1), (peer("c"), 0)]);
        shows(&["parkmesh_link{peer=\"b\"} 1", "parkmesh_link{peer=\"c\"} 0"]);
        metrics.links.show([]);
        shows(&[]);
    }

    /// The table of docs/http-api.md and the registry name the same metrics.
    #[test]
    fn the_documented_metrics_are_those_there_are() {
        let documented = include_str!("../../docs/http-api.md");
        let section = documented.split("### GET /metrics").nth(1).unwrap().split("###").next().unwrap();
        let names = section.lines().filter(|line| line.starts_with("| `")).flat_map(|line| {
            line.split('|').nth(1).unwrap().split('`').skip(1).step_by(2).map(|name| name.split('{').next().unwrap())
        });
        let documented: std::collections::BTreeSet<String> = names.map(ToOwned::to_owned).collect();
        let metrics = Metrics::new();
        // Of what comes with labels nothing is told before the first.
        metrics.events.get_or_create(&OriginLabel { origin: "own" }).inc();
        metrics.requests.get_or_create(&RouteLabels { route: "/healthz", code: 200 }).inc();
        metrics.restarted("peer_link");
        metrics.offences.get_or_create(&OffenceLabel { kind: "http" }).inc();
        metrics.links.show([(PeerLabel { peer: "a".into() }, 1)]);
        metrics.link_unacked_bytes.show([(PeerLabel { peer: "a".into() }, 1)]);
        metrics.link_unacked_age_seconds.show([(PeerLabel { peer: "a".into() }, 1)]);
        for level in [&metrics.taken_logs, &metrics.taken_events, &metrics.taken_bytes] {
            level.show([(PeerLabel { peer: "a".into() }, 1)]);
        }
        metrics.log_lag.show([(LogLabel { log: "a".into() }, 1)]);
        let text = metrics.render().unwrap();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE parkmesh_"));
        let registered = types.map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        });
        assert_eq!(documented, registered.collect());
    }

    #[test]
    fn the_text_names_what_was_counted() {
        let metrics = Metrics::new();
        metrics.commits.inc();
        metrics.restarted("peer_link");
        metrics.requests.get_or_create(&RouteLabels { route: "/healthz", code: 200 }).inc();
        metrics.commit_seconds.observe(0.002);
        let text = metrics.render().unwrap();
        for expected in [
            "parkmesh_commits_total 1",
            "parkmesh_restarts_total{actor=\"peer_link\"} 1",
            "parkmesh_requests_total{route=\"/healthz\",code=\"200\"} 1",
            "parkmesh_commit_seconds_count 1",
            "# EOF",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
    }
}
