//! What the feed asks others for: the mesh, and the readers of the database. Nothing of it touches the writer. And what is seen of
//! it: what this central knows at the moment of itself and of the others, and what a person has to look at on this machine.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::mesh_registry::AskMesh;
use super::{FeedContext, MESH_TIMEOUT};
use crate::actors::config_keeper::ConfigView;
use crate::actors::db_writer::HeldView;
use crate::alarms::attention::{EdgeSeen, InvoicesSeen, LogSeen, PeerSeen, Situation};
use crate::desks::backup_desk::{BackupDesk, BackupState};
use crate::domain::time::SiteZone;
use crate::feed::line::EventLine;
use crate::ledger::settings::SharedSettings;
use crate::ledger::storage::Watched;
use crate::links::status::{LogShown, MeshStatus, NearbyShown, PeerShown, PendingShown};
use crate::ops::clock::{is_behind, telling_stamps};
use crate::ops::offences::Offences;
use crate::store::error::StoreError;
use crate::store::reader::{DayCourse, DayStats, HistoryQuery, HistoryRow, Reader, TypeCount, WithAnomaly};

/// The course of a day is shown in steps of half an hour.
const COURSE_STEP_MS: i64 = 30 * 60 * 1000;
/// Rows the first lines are made of.
const FIRST_ROWS: i64 = 60;
/// Anomalies of this long are shown, and at most so many.
const ANOMALIES_OF_MS: i64 = 24 * 60 * 60 * 1000;
const MAX_ANOMALIES: i64 = 5;

/// What is to be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Due {
    pub lot: bool,
    pub types: bool,
    pub course: bool,
    pub mesh: bool,
}

/// What came of it; `None`: not asked, or no answer just now.
#[derive(Debug, Default)]
pub struct Gathered {
    pub day: Option<DayStats>,
    pub types: Option<Vec<TypeCount>>,
    pub anomalies: Option<Vec<Value>>,
    pub course: Option<DayCourse>,
    /// The newest entry stamped here, if it is the newest at all.
    pub newest_own_ms: Option<i64>,
    pub mesh: Option<MeshStatus>,
}

/// Asks for what is due, all at once.
pub async fn gather(around: FeedContext, due: Due) -> Gathered {
    let zone = around.config.borrow().site.time_zone.clone();
    let now_ms = around.clock.now_ms();
    let prices = around.held.borrow().settings.clone();
    let lot = async {
        if !(due.lot || due.types || due.course) {
            return Gathered::default();
        }
        around.readers.ask(move |reader| read(reader, &zone, &prices, now_ms, due)).await.unwrap_or_default()
    };
    let mesh = async {
        if !due.mesh {
            return None;
        }
        tokio::time::timeout(MESH_TIMEOUT, around.mesh.addr().send(AskMesh)).await.ok()?.ok()
    };
    let (gathered, mesh) = futures_util::future::join(lot, mesh).await;
    Gathered { mesh, ..gathered }
}

fn read(
    reader: &mut Reader,
    zone: &SiteZone,
    prices: &SharedSettings,
    now_ms: i64,
    due: Due,
) -> Result<Gathered, StoreError> {
    let (start_ms, end_ms) = zone.day_bounds_ms(now_ms);
    Ok(Gathered {
        day: Some(reader.stats(start_ms, end_ms)?),
        types: due.types.then(|| reader.inside_by_type()).transpose()?,
        anomalies: due.types.then(|| anomalies(reader, zone, prices, now_ms)).transpose()?,
        course: due.course.then(|| reader.day_course(start_ms, end_ms, COURSE_STEP_MS)).transpose()?,
        newest_own_ms: reader.newest_own_ms(telling_stamps(now_ms))?,
        mesh: None,
    })
}

/// The newest stays that are out of the ordinary, each with its sentences.
fn anomalies(
    reader: &mut Reader,
    zone: &SiteZone,
    prices: &SharedSettings,
    now_ms: i64,
) -> Result<Vec<Value>, StoreError> {
    let query = HistoryQuery {
        limit: MAX_ANOMALIES,
        anomaly: Some(WithAnomaly::Any),
        entered_since_ms: Some(now_ms.saturating_sub(ANOMALIES_OF_MS)),
        ..HistoryQuery::default()
    };
    let rows = reader.history(&query)?.rows;
    rows.iter()
        .map(|row| {
            let told = reader.anomalies_of(&row.event_id, zone, prices, now_ms)?;
            let at_ms = row.exit_ms.unwrap_or(row.entry_ms);
            Ok(json!({"event_id": row.event_id, "plate_view": row.plate_view, "at_ms": at_ms, "told": told}))
        })
        .collect()
}

/// The latest visits as lines, oldest first: what is shown before anything happens.
pub async fn first_lines(around: FeedContext) -> Vec<EventLine> {
    let query = HistoryQuery { limit: FIRST_ROWS, ..HistoryQuery::default() };
    let page = around.readers.ask(move |reader| reader.history(&query)).await;
    let rows = page.map(|page| page.rows).unwrap_or_default();
    let mut lines: Vec<EventLine> = rows.iter().flat_map(lines_of).collect();
    lines.sort_by_key(|line| line.at_ms);
    lines
}

/// A row's entry and exit.
fn lines_of(row: &HistoryRow) -> Vec<EventLine> {
    let line = |kind: &'static str, at_ms: i64, central: &str, edge: &str| EventLine {
        kind,
        id: format!("{}#{kind}", row.event_id),
        at_ms,
        central: central.to_owned(),
        edge: Some(edge.to_owned()),
        stay: Some(row.event_id.clone()),
        plate_id: Some(row.plate_id.clone()),
        plate_view: Some(row.plate_view.clone()),
        camera_type: Some(row.camera_type.clone()).filter(|text| !text.is_empty()),
        fee: None,
        method: None,
        also: Vec::new(),
        duration: None,
        manual: false,
        without_entry: false,
        subscribed: false,
        by: None,
    };
    let without_entry = row.anomalies.iter().any(|name| name == "exit_without_entry");
    let mut lines = Vec::new();
    if !without_entry {
        let entry = line("entry", row.entry_ms, &row.source_central, &row.edge_id);
        lines.push(EventLine { manual: row.entry_manual, ..entry });
    }
    if let (Some(exit_ms), Some(central), Some(edge)) = (row.exit_ms, &row.exit_central, &row.exit_edge) {
        lines.push(EventLine {
            fee: Some(row.fee),
            duration: row.duration.clone(),
            manual: row.exit_manual.unwrap_or(false),
            without_entry,
            subscribed: row.subscription_id.is_some(),
            method: row.payment.paid.as_ref().map(|paid| paid.method.name()),
            also: row.payment.paid.iter().flat_map(|paid| &paid.also).map(|too| too.method.name()).collect(),
            by: row.payment.exit_by.clone(),
            ..line("exit", exit_ms, central, edge)
        });
    }
    lines
}

/// Dashboards are told of what a peer has not acknowledged for so long.
const SHOWN_UNACKED_MS: u64 = 5_000;

/// A peer as its member of section `peers`.
pub fn peer_json(peer: &PeerShown) -> Value {
    // What is acknowledged in a moment is no news, and its age is one each time.
    let oldest = peer.oldest_unacked.as_ref().filter(|oldest| oldest.age_ms >= SHOWN_UNACKED_MS);
    let mut member = json!(peer);
    if let Some(fields) = member.as_object_mut() {
        fields.insert("oldest_unacked".into(), oldest.map_or(Value::Null, |oldest| without(oldest, "age_ms")));
    }
    member
}

/// A central that waits for a person's yes, without the moment it knocked last: that changes every few seconds.
pub fn pending_json(pending: &PendingShown) -> Value {
    without(pending, "last_seen_ms")
}

/// Who was found on the network, without the moments each was heard last.
pub fn nearby_json(nearby: &NearbyShown) -> Value {
    let found: Vec<Value> = nearby.found.iter().map(|found| without(found, "last_seen_ms")).collect();
    json!({"state": nearby.state, "reason": nearby.reason, "found": found})
}

/// A log as its member of section `logs`, whose name it is.
pub fn log_json(log: &LogShown) -> Value {
    without(log, "log")
}

fn without(shown: impl Serialize, field: &str) -> Value {
    let mut member = json!(shown);
    member.as_object_mut().map(|fields| fields.remove(field));
    member
}

/// How long until something is due again.
pub fn until(last: Option<std::time::Instant>, period: Duration) -> Duration {
    last.map_or(Duration::ZERO, |last| period.saturating_sub(last.elapsed()))
}

/// `newest_own_ms`: see [`is_behind`].
pub fn what_is_seen(around: &FeedContext, mesh: &MeshStatus, newest_own_ms: Option<i64>) -> Situation {
    let (config, now_ms) = (around.config.borrow().clone(), around.clock.now_ms());
    // Until it was asked for the first time it is not known.
    let free = u64::try_from(around.metrics.disk_free_bytes.get()).unwrap_or(0);
    let notices = around.notices.all().into_iter().map(|notice| (notice.code, notice.reason));
    let edges = around.roster.all().into_iter().filter_map(|(id, edge)| {
        let lived_ms = edge.lived_ms?;
        let listed = config.edges.iter().find(|listed| listed.id == id).map(|listed| listed.name.clone());
        let name = listed.filter(|name| !name.is_empty()).or_else(|| edge.name.clone()).unwrap_or_default();
        Some(EdgeSeen { online: edge.is_online(now_ms), last_ms: edge.last_ms, lived_ms, id, name })
    });
    let logs = mesh.logs.iter().filter_map(|log| {
        let waits_for = log.waits_for.clone()?;
        Some(LogSeen { log: log.log.to_string(), waits_for, since_ms: log.waits_since_ms })
    });
    let pending = mesh.pending.iter();
    Situation {
        now_ms,
        // By the clock of now, which may have been set since.
        started_ms: now_ms.saturating_sub(around.clock.ms_of(around.started.elapsed())),
        can_commit: around.held.borrow().failure.is_none(),
        little_disk: (free > 0 && free < config.tuning.low_disk_bytes()).then_some(free),
        clock_behind: is_behind(now_ms, newest_own_ms),
        broken_config: around.broken_config.clone(),
        listen_error: mesh.listen_error.clone(),
        notices: notices.collect(),
        edges: edges.collect(),
        peers: mesh.peers.iter().map(peer).collect(),
        logs: logs.collect(),
        invoices: invoices_seen(around),
        pending: pending.map(|who| (who.central.to_string(), who.fingerprint.to_string(), who.first_seen_ms)).collect(),
    }
}

fn invoices_seen(around: &FeedContext) -> InvoicesSeen {
    let state = around.invoices.state();
    InvoicesSeen { waiting: state.waiting, since_ms: state.since_ms, refused: state.refused, failed: state.failed }
}

fn peer(peer: &PeerShown) -> PeerSeen {
    let says = peer.says.as_ref();
    PeerSeen {
        id: peer.id.to_string(),
        connected: peer.connected,
        expelled: peer.trust.expelled,
        last_heard_ms: peer.last_heard_ms,
        clock_offset_ms: peer.clock_offset_ms,
        differs: peer.differs.clone(),
        certificate_refused_ms: peer.trust.certificate_refused.as_ref().map(|refused| refused.at_ms),
        links: says.map(|says| says.links.iter().map(ToString::to_string).collect()).unwrap_or_default(),
        tells: says.is_some_and(|says| says.alarms),
    }
}

const ALL_TAKEN: &str =
    "all connections that addresses unknown here may have are taken: the log says whose (no_connection_left)";

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Notice {
    /// `accounts`: people and tokens could not be read; `backup`: one is due, damaged or cannot be made, or its passphrase is not well; `connections`: in the last ten minutes somebody was turned away because all were
    /// taken; `database`: what a start found there, and what cannot be read while this runs; `files`: they were removed or replaced while this runs; `identity`: the key of this
    /// central cannot be used; `leftover`: an earlier rescue left a file that waits for a person; `log_grows`: another program keeps the log from starting over.
    #[schema(pattern = "^(accounts|backup|connections|database|files|identity|leftover|log_grows)$")]
    pub code: &'static str,
    /// What is so, and what to do.
    pub reason: String,
}

/// What was found at the start, and what is seen now.
#[derive(Debug)]
pub struct Notices {
    at_start: Vec<Notice>,
    writer: HeldView,
    offences: Arc<Offences>,
    backups: Arc<BackupDesk>,
    config: ConfigView,
}

impl Notices {
    /// `at_start`: with their codes.
    pub fn new(
        at_start: Vec<(&'static str, String)>,
        writer: HeldView,
        offences: Arc<Offences>,
        backups: Arc<BackupDesk>,
        config: ConfigView,
    ) -> Self {
        let at_start = at_start.into_iter().map(|(code, reason)| Notice { code, reason }).collect();
        Self { at_start, writer, offences, backups, config }
    }

    /// All there is now.
    pub fn all(&self) -> Vec<Notice> {
        self.now().0
    }

    /// All there is now, and how it stands with the backups at the same moment.
    pub fn now(&self) -> (Vec<Notice>, BackupState) {
        let watched = self.writer.borrow().watched.clone();
        let full = self.offences.was_full().then(|| ALL_TAKEN.to_owned());
        let backups = self.backups.state();
        let backup = backups.notice(&self.config.borrow().site.time_zone);
        let Watched { files, log, database, needs_start: _ } = (*watched).clone();
        let now =
            [("database", database), ("files", files), ("log_grows", log), ("connections", full), ("backup", backup)];
        let now = now.into_iter().filter_map(|(code, reason)| Some(Notice { code, reason: reason? }));
        (self.at_start.iter().cloned().chain(now).collect(), backups)
    }
}
