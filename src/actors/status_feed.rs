//! What dashboards are told, without anyone who works having to wait for one of them.
//!
//! - It keeps one numbered [`Board`] for all dashboards, and publishes it at most every [`PERIOD`].
//! - A dashboard *asks* for what follows the number it has seen ([`Next`]) and is answered once there is something. So one
//!   that is slow has at most one message under way and one waiting question here, and gets the sum of what it missed.
//! - Events are read when somebody is shown them, and of a flood the newest only ([`FeedUnread`]).
//! - A message is written once for all who have seen the same number.
//! - It runs on a thread of its own. From the writer it hears, by way of the registry, what that announces anyway; the lot
//!   is asked of the readers, the mesh of the registry, both only while somebody looks.

pub mod sources;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use self::sources::{
    Due, Gathered, Notices, first_lines, gather, log_json, nearby_json, peer_json, pending_json, until,
};
use super::config_keeper::{Concerns, ConfigChanged, ConfigKeeper, ConfigView, Participant};
use super::db_reader::Readers;
use super::db_writer::HeldView;
use super::mesh_registry::{MeshNews, MeshRegistry};
use super::supervise::Handle;
use crate::config::model::{AdminMode, Config};
use crate::desks::alarm_desk::AlarmDesk;
use crate::desks::invoice_desk::InvoiceDesk;
use crate::domain::event::Event;
use crate::domain::explain::Text;
use crate::domain::naming::SITE;
use crate::feed::board::Board;
use crate::feed::line::EventLine;
use crate::gates::roster::EdgeRoster;
use crate::ledger::settings::SharedSettings;
use crate::links::status::MeshStatus;
use crate::ops::clock::{Clock, is_behind};
use crate::ops::metrics::Metrics;
use crate::replication::log::{EventBytes, Run};
use crate::store::reader::DayStats;

/// The shortest time between two publications: 5 a second.
pub const PERIOD: Duration = Duration::from_millis(200);
/// Where nothing is committed, links and clocks are still looked at this often.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
const MESH_PERIOD: Duration = Duration::from_secs(1);
const LOT_PERIOD: Duration = Duration::from_secs(10);
const TYPES_PERIOD: Duration = Duration::from_secs(2);
const COURSE_PERIOD: Duration = Duration::from_secs(60);
/// The mesh is shown as it was if it does not answer in this time.
const MESH_TIMEOUT: Duration = Duration::from_secs(1);
/// Whoever asks again within this time still looks.
const AUDIENCE_STAYS: Duration = Duration::from_secs(5);

/// What the feed needs from its surroundings, and what outlives it. Cheap to clone.
#[derive(Clone)]
pub struct FeedContext {
    pub config: ConfigView,
    pub keeper: Handle<ConfigKeeper>,
    pub mesh: Handle<MeshRegistry>,
    pub readers: Readers,
    /// What is durable now.
    pub held: HeldView,
    pub clock: Clock,
    /// When the process started, Unix ms, as the clock was then.
    pub started_ms: i64,
    pub started: Instant,
    /// What the settings file said wrong at the start.
    pub broken_config: Option<Text>,
    pub notices: Arc<Notices>,
    /// The edges that are heard of.
    pub roster: Arc<EdgeRoster>,
    pub metrics: Arc<Metrics>,
    /// What was told of alarms.
    pub alarms: Arc<AlarmDesk>,
    /// What the invoice program is to be told.
    pub invoices: Arc<InvoiceDesk>,
}

/// What follows this? Answered when there is something; the channel closes if the feed fails.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Next {
    /// `None`: nothing was seen yet.
    pub seen: Option<FeedSeen>,
    pub reply: oneshot::Sender<Update>,
}

/// How far a dashboard has seen a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedSeen {
    pub feed: Arc<str>,
    pub number: u64,
}

/// One message for a dashboard.
#[derive(Debug, Clone)]
pub struct Update {
    /// Where the dashboard stands once it has read it.
    pub seen: FeedSeen,
    pub text: Arc<str>,
}

/// A camera of this central read a plate.
#[derive(Debug, Clone, PartialEq, serde::Serialize, Message)]
#[rtype(result = "()")]
pub struct Detected {
    #[serde(skip)]
    pub edge_id: String,
    /// Of this central's clock, Unix ms.
    pub at_ms: i64,
    pub plate_id: String,
    pub plate_view: String,
    pub camera_type: String,
    pub confidence: Option<f64>,
}

pub struct StatusFeed {
    around: FeedContext,
    board: Board,
    id: Arc<str>,
    gates: Gates,
    unread: FeedUnread,
    waiting: Vec<Next>,
    /// Messages of the number in force, by the number they follow.
    written: HashMap<Option<u64>, Arc<str>>,
    looked_at: Option<Instant>,
    /// A gathering is under way or has its time.
    busy: bool,
    began: Option<Instant>,
    lot_changed: bool,
    types_changed: bool,
    links_changed: bool,
    gates_changed: bool,
    lot_at: Option<Instant>,
    types_at: Option<Instant>,
    course_at: Option<Instant>,
    mesh_at: Option<Instant>,
    day: DayStats,
    types: Value,
    newest_own_ms: Option<i64>,
    mesh: MeshStatus,
}

impl StatusFeed {
    pub fn new(around: FeedContext) -> Self {
        // Without random numbers the clock tells two lives apart.
        let id = getrandom::u64().unwrap_or_else(|_| around.clock.now_ms().cast_unsigned());
        let id = format!("{id:016x}");
        Self {
            around,
            board: Board::new(id.clone()),
            id: id.into(),
            gates: Gates::default(),
            unread: FeedUnread::default(),
            waiting: Vec::new(),
            written: HashMap::new(),
            looked_at: None,
            busy: false,
            began: None,
            lot_changed: false,
            types_changed: false,
            links_changed: false,
            gates_changed: false,
            lot_at: None,
            types_at: None,
            course_at: None,
            mesh_at: None,
            day: DayStats::default(),
            types: json!([]),
            newest_own_ms: None,
            mesh: MeshStatus::default(),
        }
    }

    fn has_audience(&self) -> bool {
        !self.waiting.is_empty() || self.looked_at.is_some_and(|at| at.elapsed() < AUDIENCE_STAYS)
    }

    fn due(&self) -> Due {
        let is_due = |last, period| until(last, period).is_zero();
        Due {
            lot: self.lot_changed || is_due(self.lot_at, LOT_PERIOD),
            types: self.types_at.is_none() || self.types_changed && is_due(self.types_at, TYPES_PERIOD),
            course: is_due(self.course_at, COURSE_PERIOD),
            mesh: self.links_changed || is_due(self.mesh_at, MESH_PERIOD),
        }
    }

    /// Gathers and publishes as soon as it may.
    fn wake(&mut self, context: &mut Context<Self>) {
        if self.busy || !self.has_audience() {
            return;
        }
        self.busy = true;
        context.run_later(until(self.began, PERIOD), |feed, context| {
            feed.began = Some(Instant::now());
            let due = feed.due();
            feed.lot_changed = false;
            feed.types_changed &= !due.types;
            feed.links_changed = false;
            feed.gates_changed = false;
            let gathering = wrap_future::<_, Self>(gather(feed.around.clone(), due));
            context.spawn(gathering.map(move |gathered, feed, context| {
                feed.take(due, gathered);
                feed.publish();
                feed.busy = false;
                if feed.lot_changed || feed.links_changed || feed.gates_changed {
                    feed.wake(context);
                }
            }));
        });
    }

    fn take(&mut self, due: Due, gathered: Gathered) {
        let now = Some(Instant::now());
        if let Some(day) = gathered.day {
            self.day = day;
            self.newest_own_ms = gathered.newest_own_ms;
            self.lot_at = now;
        }
        if let Some(types) = gathered.types {
            self.types = json!(types);
            self.types_at = now;
        }
        if let Some(anomalies) = gathered.anomalies {
            self.board.set("anomalies", json!(anomalies));
        }
        if let Some(course) = gathered.course {
            self.board.set("course", json!(course));
            self.course_at = now;
        }
        if due.mesh {
            self.mesh_at = now;
        }
        if let Some(mesh) = gathered.mesh {
            self.board.set_members("peers", mesh.peers.iter().map(|peer| (peer.id.to_string(), peer_json(peer))));
            self.board.set_members("logs", mesh.logs.iter().map(|log| (log.log.to_string(), log_json(log))));
            self.mesh = mesh;
        }
        self.show_central();
        self.read_events();
        let gates = self.gates.show(&self.around.config.borrow(), &self.around.held.borrow().settings, &self.day);
        self.board.set_members("gates", gates);
    }

    /// What costs nothing to know.
    fn show_central(&mut self) {
        let config = self.around.config.borrow().clone();
        let now_ms = self.around.clock.now_ms();
        let (notices, backup) = self.around.notices.now();
        let central = json!({
            "id": config.this_central.id, "site": self.around.held.borrow().settings.name(SITE).unwrap_or(&config.site.name), "time_zone": config.site.time_zone.name(),
            "version": env!("CARGO_PKG_VERSION"), "started_ms": self.around.started_ms,
            "can_commit": self.around.held.borrow().failure.is_none(),
            "clock_behind": is_behind(now_ms, self.newest_own_ms),
            "broken_config": self.around.broken_config.as_ref().map(|why| &why.en), "notices": notices, "open": config.open_to_network(),
            "admin_open": config.security.admin == AdminMode::Open,
            "p2p_mode": config.security.p2p, "fingerprint": self.mesh.fingerprint, "site_id": self.mesh.site.map(|site| site.id.to_string()),
            "backup": backup, "alarms": self.around.alarms.state(), "invoices": self.around.invoices.state(),
            "pending": self.mesh.pending.iter().map(pending_json).collect::<Vec<_>>(),
            "admitted": self.mesh.admitted,
            "nearby": nearby_json(&self.mesh.nearby),
            "listening": self.mesh.listening, "listen_error": self.mesh.listen_error,
            "tariff_version": self.mesh.tariff_version, "config_version": config.version(),
        });
        let behind = self.around.held.borrow().behind;
        let lot = json!({
            "day": config.site.time_zone.day(now_ms), "inside": self.around.held.borrow().cars_inside, "inside_by_type": self.types,
            "entries": self.day.entries, "exits": self.day.exits, "revenue": self.day.revenue,
            "plates_waiting": behind.map_or(0, |behind| behind.plates),
            "plates_waiting_since_ms": behind.map(|behind| behind.since_ms),
        });
        let needs = sources::what_is_seen(&self.around, &self.mesh, self.newest_own_ms).needs();
        self.board.set_members("attention", needs.iter().map(|need| (need.key(), json!(need))));
        self.board.set("central", central);
        self.board.set("lot", lot);
    }

    fn publish(&mut self) {
        self.board.publish();
        // Even if nothing changed: a message tells the time.
        self.written.clear();
        for next in std::mem::take(&mut self.waiting) {
            self.answer(next);
        }
    }

    /// Answers if there is something to say; else it waits.
    fn answer(&mut self, next: Next) {
        let number = self.board.number();
        let after = next.seen.as_ref().filter(|seen| seen.feed == self.id).map(|seen| seen.number);
        if next.reply.is_closed() {
            return;
        }
        if after == Some(number) {
            self.waiting.push(next);
            return;
        }
        let text = self.written.entry(after).or_insert_with(|| {
            let now_ms = self.around.clock.now_ms();
            let change = after.and_then(|after| self.board.since(after, now_ms));
            change.unwrap_or_else(|| self.board.snapshot(now_ms)).into()
        });
        let seen = FeedSeen { feed: self.id.clone(), number };
        // Who has gone meanwhile is not told.
        drop(next.reply.send(Update { seen, text: text.clone() }));
    }

    fn add_line(&mut self, line: &EventLine) {
        self.gates.saw(line);
        self.board.push_event(json!(line));
    }

    fn read_events(&mut self) {
        let (left_out, lines) = self.unread.read();
        self.board.leave_out(left_out);
        lines.iter().for_each(|line| self.add_line(line));
    }
}

impl Actor for StatusFeed {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let changed = context.address().recipient();
        self.around.keeper.addr().do_send(Concerns(Participant { name: "status_feed", verify: None, changed }));
        // News waits in the mailbox meanwhile.
        let first = wrap_future::<_, Self>(first_lines(self.around.clone()));
        context.wait(first.map(|lines, feed, _| lines.iter().for_each(|line| feed.add_line(line))));
        context.run_interval(LOOK_PERIOD, |feed, context| feed.wake(context));
    }
}

impl Handler<Next> for StatusFeed {
    type Result = ();

    fn handle(&mut self, next: Next, context: &mut Self::Context) {
        // While nobody looked nothing was asked: what is there may be old.
        let is_fresh = self.has_audience() && self.mesh_at.is_some();
        self.looked_at = Some(Instant::now());
        if is_fresh {
            self.answer(next);
        } else {
            self.waiting.push(next);
        }
        self.waiting.retain(|next| !next.reply.is_closed());
        self.wake(context);
    }
}

impl Handler<MeshNews> for StatusFeed {
    type Result = ();

    fn handle(&mut self, news: MeshNews, context: &mut Self::Context) {
        match news {
            MeshNews::Committed(runs) => {
                self.unread.committed(&runs);
                self.lot_changed = true;
                self.types_changed = true;
            }
            MeshNews::Links => self.links_changed = true,
        }
        self.wake(context);
    }
}

impl Handler<Detected> for StatusFeed {
    type Result = ();

    fn handle(&mut self, detected: Detected, context: &mut Self::Context) {
        let central = self.around.config.borrow().this_central.id.clone();
        self.gates.detected(central.as_str(), detected);
        self.gates_changed = true;
        self.wake(context);
    }
}

impl Handler<ConfigChanged> for StatusFeed {
    type Result = ();

    fn handle(&mut self, _: ConfigChanged, context: &mut Self::Context) {
        self.links_changed = true;
        self.course_at = None;
        self.wake(context);
    }
}

/// Events kept: more than are shown, so that the last one of each gate is among them.
const MAX_UNREAD: usize = 500;

/// The newest events, oldest first, and how many came before them.
#[derive(Debug, Default)]
struct FeedUnread {
    events: VecDeque<EventBytes>,
    left_out: u64,
}

impl FeedUnread {
    /// These runs are durable here.
    fn committed(&mut self, runs: &[Run]) {
        for run in runs {
            let skip = run.events.len().saturating_sub(MAX_UNREAD);
            self.events.extend(run.events.iter().skip(skip).cloned());
            let over = self.events.len().saturating_sub(MAX_UNREAD);
            self.events.drain(..over);
            self.left_out += (skip + over) as u64;
        }
    }

    /// Reads them: how many are left out, and the lines of those that came after. One that cannot be read is in quarantine, and
    /// counted there.
    fn read(&mut self) -> (u64, Vec<EventLine>) {
        let events = std::mem::take(&mut self.events);
        let lines = events.iter().filter_map(|event| Some(EventLine::of(&Event::parse(event).ok()?)));
        (std::mem::take(&mut self.left_out), lines.collect())
    }
}

/// Most gates remembered; edge ids are what clients say they are.
const MAX_GATES: usize = 256;
/// Plates shown as what a gate's camera read.
const MAX_SEEN: usize = 5;

/// The last event of each gate, `central/edge`, and what the cameras of this central read last.
#[derive(Debug, Default)]
struct Gates {
    last: BTreeMap<String, EventLine>,
    seen: BTreeMap<String, VecDeque<Detected>>,
}

impl Gates {
    /// Something happened; not necessarily now.
    fn saw(&mut self, line: &EventLine) {
        let Some(gate) = line.gate().filter(|_| matches!(line.kind, "entry" | "exit")) else { return };
        if self.last.get(&gate).is_some_and(|known| known.at_ms > line.at_ms) {
            return;
        }
        self.last.insert(gate, line.clone());
        if self.last.len() > MAX_GATES {
            let oldest = self.last.iter().min_by_key(|(_, line)| line.at_ms).map(|(gate, _)| gate.clone());
            oldest.map(|gate| self.last.remove(&gate));
        }
    }

    /// A camera of this central read a plate. Reading it again only renews it.
    fn detected(&mut self, central: &str, detected: Detected) {
        let seen = self.seen.entry(format!("{central}/{}", detected.edge_id)).or_default();
        seen.retain(|known| known.plate_id != detected.plate_id);
        seen.push_back(detected);
        if seen.len() > MAX_SEEN {
            seen.pop_front();
        }
        if self.seen.len() > MAX_GATES {
            let newest = |seen: &VecDeque<Detected>| seen.back().map(|detected| detected.at_ms);
            let oldest = self.seen.iter().min_by_key(|(_, seen)| newest(seen)).map(|(gate, _)| gate.clone());
            oldest.map(|gate| self.seen.remove(&gate));
        }
    }

    /// The members of section `gates`.
    fn show(&self, config: &Config, settings: &SharedSettings, day: &DayStats) -> Vec<(String, Value)> {
        let own = config.this_central.id.as_str();
        let mut gates: BTreeMap<String, Value> = BTreeMap::new();
        for edge in &config.edges {
            let gate = json!({"central": own, "edge": edge.id, "name": edge.name, "lane": edge.direction});
            gates.insert(format!("{own}/{}", edge.id), gate);
        }
        for (gate, line) in &self.last {
            let fields =
                gates.entry(gate.clone()).or_insert_with(|| json!({"central": line.central, "edge": line.edge}));
            if let Some(fields) = fields.as_object_mut() {
                fields.insert("last".into(), json!(line));
            }
        }
        for (gate, seen) in &self.seen {
            let (central, edge) = gate.split_once('/').unwrap_or((gate, ""));
            let fields = gates.entry(gate.clone()).or_insert_with(|| json!({"central": central, "edge": edge}));
            if let Some(fields) = fields.as_object_mut() {
                fields.insert("seen".into(), json!(seen));
            }
        }
        for sums in day.gates.iter().take(MAX_GATES) {
            let gate = gates
                .entry(format!("{}/{}", sums.central, sums.edge_id))
                .or_insert_with(|| json!({"central": sums.central, "edge": sums.edge_id}));
            if let Some(fields) = gate.as_object_mut() {
                fields.insert("entries".into(), sums.entries.into());
                fields.insert("exits".into(), sums.exits.into());
                fields.insert("revenue".into(), sums.revenue.into());
            }
        }
        // Those of other centrals, as they called them.
        for (gate, fields) in &mut gates {
            let is_named = fields.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
            if let (false, Some(name), Some(fields)) = (is_named, settings.name(gate), fields.as_object_mut()) {
                fields.insert("name".into(), name.into());
            }
        }
        gates.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CentralId, Epoch, LogId};
    use crate::replication::log::ChainHash;

    fn run(seqs: std::ops::RangeInclusive<usize>) -> Run {
        let log = LogId { central: CentralId::new("central-1").unwrap(), epoch: Epoch(1) };
        let bytes = |seq| {
            let place = format!(r#""log":"{log}","seq":{seq},"hlc":1"#);
            format!(
                r#"{{"type":"OF_TOMORROW","source_central":"central-1","timestamp":1,"event_id":null,"data":{{}},{place}}}"#
            )
        };
        let events = seqs.map(|seq| EventBytes::from(bytes(seq))).collect();
        Run { log: log.clone(), after: 0, prev: ChainHash([0; 32]), events, hash: ChainHash([0; 32]) }
    }

    #[test]
    fn of_a_flood_the_newest_are_read_and_the_others_counted() {
        let mut unread = FeedUnread::default();
        unread.committed(&[run(1..=2), run(3..=MAX_UNREAD + 10)]);
        unread.committed(&[run(MAX_UNREAD + 11..=MAX_UNREAD + 12)]);
        let (left_out, lines) = unread.read();
        assert_eq!((left_out, lines.len()), (12, MAX_UNREAD));
        assert!(lines[0].id.ends_with("#13"), "{}", lines[0].id);
        assert!(lines[MAX_UNREAD - 1].id.ends_with(&format!("#{}", MAX_UNREAD + 12)));
        assert_eq!(unread.read(), (0, Vec::new()));
    }
}
