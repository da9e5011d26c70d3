//! Every number a central can be asked for at `/metrics` (OpenMetrics text). One struct, handed to whoever counts.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OffenceLabel {
    pub kind: &'static str,
}

/// One level for each of several things that come and go.
#[derive(Debug, Clone)]
pub struct Levels<L> {
    series: Family<L, Level>,
    shown: Arc<Mutex<HashSet<L>>>,
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
        Self { series: Family::default(), shown: Arc::default() }
    }
}

impl<L: EncodeLabelSet + Clone + Hash + Eq> EncodeMetric for Levels<L> {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.series.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.series.metric_type()
    }
}

/// 1, 2, 4 .. times the smallest.
fn powers(smallest: f64, buckets: u32) -> Histogram {
    Histogram::new((0..buckets).map(|power| smallest * f64::from(1_u32 << power)))
}

/// The registry and a handle on every metric in it, each with its name, unit and meaning.
macro_rules! metrics {
    ($($field:ident: $type:ty $(= $new:expr)?, $name:literal $($unit:ident)?, $help:literal;)*) => {
        /// Cheap to count on: atomics, no lock but in the families.
        pub struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub $field: $type,)*
        }

        impl Metrics {
            pub fn new() -> Arc<Self> {
                let mut registry = Registry::with_prefix("parkmesh");
                $(
                    let $field = metrics!(@new $type $(, $new)?);
                    metrics!(@register registry, $field, $name $($unit)?, $help);
                )*
                Arc::new(Self { registry, $($field),* })
            }
        }
    };
    (@new $type:ty) => { <$type>::default() };
    (@new $type:ty, $new:expr) => { $new };
    (@register $registry:ident, $metric:ident, $name:literal, $help:literal) => {
        $registry.register($name, $help, $metric.clone())
    };
    (@register $registry:ident, $metric:ident, $name:literal $unit:ident, $help:literal) => {
        $registry.register_with_unit($name, $help, Unit::$unit, $metric.clone())
    };
}

metrics! {
    events: Family<OriginLabel, Counter>, "events", "Events committed, by origin";
    commits: Counter, "commits", "Transactions committed";
    commits_failed: Counter, "commits_failed", "Transactions that failed and were rolled back";
    commit_events: Histogram = powers(1.0, 12), "commit_events", "Events per transaction";
    commit_seconds: Histogram = powers(0.0001, 16), "commit" Seconds, "Time of one transaction until it is synced";
    writer_queue: Level, "writer_queue", "Jobs waiting for the writer";
    reader_queue: Level, "reader_queue", "Questions waiting for, or with, a reader";
    edge_in_flight: Level, "edge_in_flight", "Edge requests accepted and not answered yet";
    edge_refused: Counter, "edge_refused", "Edge requests turned away because too many were in flight";
    requests: Family<RouteLabels, Counter>, "requests", "HTTP answers, by route and status code";
    request_seconds: Histogram = powers(0.0001, 16), "request" Seconds, "Time of an HTTP request in the server";
    restarts: Family<ActorLabel, Counter>, "restarts", "Actors built anew after they failed";
    offences: Family<OffenceLabel, Counter>, "input_refused",
        "What others sent that could not be taken, by what was wrong with it";
    links: Levels<PeerLabel>, "link", "1 if the peer is linked";
    link_unacked_bytes: Levels<PeerLabel>, "link_unacked" Bytes, "Bytes sent to a peer and not acknowledged yet";
    link_unacked_age_seconds: Levels<PeerLabel>, "link_unacked_age" Seconds,
        "How long the oldest run sent to a peer waits to be acknowledged";
    taken_logs: Levels<PeerLabel>, "taken_logs", "Logs taken of another central";
    taken_events: Levels<PeerLabel>, "taken_events", "Events taken of another central";
    taken_bytes: Levels<PeerLabel>, "taken" Bytes, "Bytes of events taken of another central";
    log_lag: Levels<LogLabel>, "log_lag_events", "Events announced by others and not held here, by log";
    dashboards: Level, "dashboards", "Dashboards that look at the status feed";
    wal_bytes: Level, "wal" Bytes, "Size of the write-ahead log";
    cars_inside: Level, "cars_inside", "Stays open now";
    plates_waiting: Level, "plates_waiting", "Plates whose history is behind the events";
    plates_waiting_since: Level, "plates_waiting_since",
        "When the first of these plates began to wait, s since 1970; 0: none waits";
    disk_free_bytes: Level, "disk_free" Bytes, "Room left for the database";
    backup_proven: Level, "backup_proven",
        "When the newest proven backup was begun, s since 1970; 0: there is none";
    backup_failed: Level, "backup_failed", "1 if the last backup failed, or one is damaged";
    invoices_waiting: Level, "invoices_waiting", "Exits that the invoice program is still to be told of";
    invoices_waiting_since: Level, "invoices_waiting_since",
        "When the first of these exits became known, s since 1970; 0: none waits";
    invoices_told: Counter, "invoices_told", "Answers of the invoice program that were written down";
    alarms_open: Level, "alarms_open", "Alarms that people were told of and that are not over";
    alarms_waiting: Level, "alarms_waiting", "Messages that channels are still to be told";
    alarms_told: Counter, "alarms_told", "Messages that channels were told";
    alarms_lost: Counter, "alarms_lost", "Messages that had to be dropped";
}

impl Metrics {
    /// How many plates wait to be folded, and since when, Unix ms.
    pub fn show_behind(&self, behind: Option<(u64, i64)>) {
        let (plates, since_ms) = behind.unwrap_or_default();
        self.plates_waiting.set(i64::try_from(plates).unwrap_or(i64::MAX));
        self.plates_waiting_since.set(since_ms.div_euclid(1_000));
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
