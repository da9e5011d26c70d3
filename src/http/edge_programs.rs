//! What the programs at the gates of the predecessor call: they report what happened, and that they live.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::access::Caller;
use super::edges::{DECIDED, submit};
use super::error::{ApiError, Code};
use super::input::{self, ReportBody, Sent};
use super::operation::{Answered, Operation, get, ok, post};
use super::state::{Shared, Worker};
use super::unreadable::{note_refused, note_unread, sender_of, take_unreadable};
use crate::access::right::{Need, Who};
use crate::config::model::Config;
use crate::domain::audit::Kind;
use crate::domain::direction::Direction;
use crate::domain::plate;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::time::SiteZone;
use crate::domain::told::fields::{self, Fields};
use crate::domain::told::{self, Note};
use crate::gates::envelope::{self, MOST_EVENTS};
use crate::gates::report::{CameraId, EventReport, GateSettings};
use crate::gates::roster::{HeardEdge, said};
use crate::ledger::apply::UNREAD;
use crate::ledger::job::{Answer, Passed, UnreadKept};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        post(
            "/api/edge/event",
            Need::Gate,
            event,
            "An edge program reports what happened: never refused for the state of the lot.",
        )
        .body::<EventReport>()
        .answers_either::<Passage, StayChange>("It is committed")
        // Of a report that corrects or removes.
        .refuses(&[Code::LoginRequired, Code::Forbidden, Code::LocalOnly])
        .refuses(DECIDED)
        .refuses(&[Code::NotFound]),
        post("/api/edge/heartbeat", Need::Gate, heartbeat, "An edge lives.")
            .body::<Heartbeat>()
            .answers::<Noted>("Noted")
            .refuses(&[Code::InvalidField]),
        post("/api/edge/sync-config", Need::Gate, sync_config, "What an edge calls itself. Shown, and nothing else.")
            .body::<EdgeCameras>()
            .answers::<Noted>("Noted")
            .refuses(&[Code::InvalidField]),
        get(
            "/api/cameras",
            Need::Look,
            cameras,
            "The edges of the settings and those that were heard of since the start.",
        )
        .answers::<CamerasAnswer>("All of them"),
    ]
}

/// `POST /api/edge/event`: what happened at a gate, committed when this answers.
pub async fn event(caller: Caller, body: Result<ReportBody, ApiError>, worker: web::Data<Worker>) -> Answered {
    let ReportBody(bytes) = body.inspect_err(|error| note_refused(&worker, &caller, None, error))?;
    let text = input::gates_text(&bytes);
    take_sent(&worker, &caller, None, &text, read_sent(&text)).await.map(ok)
}

/// The events in what a program sent, in order.
///
/// # Errors
/// It is no JSON.
pub(super) fn read_sent(text: &str) -> Result<Vec<Value>, ApiError> {
    input::parse_gates(text).map(envelope::events)
}

/// Takes what a program sent, each event of it in turn, at the rate its requests are granted. The answer is that of the last that was
/// taken. `edge_id`: who sent it, if that is known without it. `sent`: the text as [`read_sent`].
///
/// # Errors
/// As [`take`], of the first, if none was taken; and 503 at once: it has to be sent again.
pub(super) async fn take_sent(
    worker: &Worker,
    caller: &Caller,
    edge_id: Option<&str>,
    text: &str,
    sent: Result<Vec<Value>, ApiError>,
) -> Result<Taken, ApiError> {
    let sent = match sent {
        Ok(sent) => sent,
        Err(error) => return take_unreadable(worker, caller, edge_id, text, error).await,
    };
    if sent.len() > MOST_EVENTS {
        let error = ApiError::new(Code::Invalid, format!("more than {MOST_EVENTS} events at once: send them in parts"));
        note_refused(worker, caller, edge_id, &error);
        return Err(error);
    }
    let mut answer = None;
    for event in sent {
        if answer.is_some() {
            let per_s = worker.shared.config.borrow().tuning.max_requests_per_second;
            while let Some(wait) = worker.shared.rates.pace(per_s, caller.from) {
                tokio::time::sleep(wait).await;
            }
        }
        match take_event(worker, caller, edge_id, event).await {
            Err(error) if answer.is_some() && error.is_refusal() => {}
            Err(error) if !error.is_refusal() => return Err(error),
            taken => answer = Some(taken),
        }
    }
    answer.unwrap_or_else(|| Err(ApiError::internal()))
}

/// Takes one event as sent.
async fn take_event(worker: &Worker, caller: &Caller, edge_id: Option<&str>, event: Value) -> Result<Taken, ApiError> {
    let names_one = gate_named_in(&event).is_some();
    let event = if names_one { event } else { with_camera(event, sender_of(caller, edge_id, None)) };
    let config = worker.shared.config();
    let (event, of_lane) = EventReport::of_a_reading(event, |edge_id| config.lane(edge_id));
    match EventReport::read(&event) {
        Ok(mut report) => {
            report.notes.extend(of_lane);
            if !names_one && edge_id.is_none() && !matches!(caller.who, Who::Edge(_)) {
                report.notes.push(address_for_camera(&report.edge_id()));
            }
            take(worker, caller, report).await
        }
        Err(refusal) => {
            let error = ApiError::refused(refusal, &worker.zone());
            take_unreadable(worker, caller, edge_id, &event.to_string(), error).await
        }
    }
}

/// Which camera an event names.
pub(super) fn gate_named_in(event: &Value) -> Option<&Value> {
    let part = event.get("data").unwrap_or(&Value::Null);
    Fields::of(&[event, part]).get(fields::GATE)
}

/// The event of a camera that names none.
fn with_camera(mut event: Value, edge_id: String) -> Value {
    if let Some(fields) = event.as_object_mut() {
        fields.insert("camera_id".to_owned(), edge_id.into());
    }
    event
}

/// That nothing but the address says where it happened.
fn address_for_camera(edge_id: &str) -> Note {
    let vi = format!("bản tin không ghi cổng nào: ghi theo địa chỉ máy gửi, {edge_id}");
    Note::new(
        "camera_id",
        "assumed",
        vi,
        format!("no camera is named: it is recorded under the address it came from, {edge_id}"),
    )
}

/// What an edge program is answered, as it is sent.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Taken {
    Passed(Box<Passage>),
    Changed(StayChange),
}

/// A car that was reported.
#[derive(Debug, Serialize, ToSchema)]
pub struct Passage {
    action: Direction,
    /// For people, in Vietnamese.
    message: String,
    /// The stay's id, the same on every central.
    event_id: String,
    /// This central's row number; null: the report is on no row (yet).
    history_id: Option<i64>,
    plate_id: Option<String>,
    plate_view: Option<String>,
    /// On the site's clock; null: nobody knows.
    entry_time: Option<String>,
    /// Names of what is out of the ordinary about the stay.
    anomalies: Option<Vec<&'static str>>,
    /// Of an exit, on the site's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_time: Option<String>,
    /// Of an exit: `1 giờ 31 phút`.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    /// Of an exit, in VND.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<i64>,
    /// An entry of a car that was inside. Absent: no.
    #[serde(skip_serializing_if = "is_not")]
    already_inside: bool,
    /// It was reported before: nothing was changed. Absent: no.
    #[serde(skip_serializing_if = "is_not")]
    repeated: bool,
    /// The same as `repeated`.
    #[serde(skip_serializing_if = "is_not")]
    deduped: bool,
    /// What was told and is not used as told. Absent: all of it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
}

/// A stay an edge program corrected or removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub struct StayChange {
    event_id: String,
    /// It was so before. Absent: no.
    #[serde(skip_serializing_if = "is_not")]
    repeated: bool,
}

fn is_not(flag: &bool) -> bool {
    !flag
}

/// Takes one report.
///
/// # Errors
/// As `POST /api/edge/barrier/open`, without the conflicts; 401 or 403 if the caller may not say this.
pub async fn take(worker: &Worker, caller: &Caller, report: EventReport) -> Result<Taken, ApiError> {
    if report.is_change() {
        // A correction or a removal is one, by whatever way it comes.
        caller.check(Need::Amend)?;
    }
    let edge_id = report.edge_id();
    caller.check_edge(&edge_id)?;
    worker.shared.roster.heard(&edge_id, worker.shared.clock.now_ms(), |edge| {
        edge.name = said(report.camera_name.as_deref()).or_else(|| edge.name.take());
        edge.kind = said(report.camera_type.as_deref()).or_else(|| edge.kind.take());
    });
    let changed = |event_id, repeated| Taken::Changed(StayChange { event_id, repeated });
    let act = report.is_change().then(|| {
        let kind = if report.is_a("DELETE") { Kind::Void } else { Kind::Correction };
        let stay_id = report.data.event_id.clone().or_else(|| report.event_id.clone());
        caller.act(kind, stay_id.unwrap_or_default())
    });
    let check = move |config: &Config| {
        report.job(&config.site.time_zone, |edge_id| GateSettings {
            lane: config.lane(edge_id),
            vehicle_type: config.vehicle_type(edge_id).to_owned(),
        })
    };
    let taken = submit(worker, caller, act, check).await;
    if let Err(error) = &taken
        && error.is_refusal()
    {
        note_refused(worker, caller, Some(&edge_id), error);
    }
    match taken? {
        Answer::Unread(kept) => {
            note_unread(worker, &edge_id, &kept);
            Ok(Taken::from(*kept))
        }
        Answer::Reported(passed) => Ok(Taken::Passed(Box::new(Passage::new(*passed, &worker.zone())))),
        Answer::Amended { stay_id, .. } => Ok(changed(stay_id, false)),
        Answer::ChangedBefore { event_id } => Ok(changed(event_id, true)),
        _ => Err(ApiError::internal()),
    }
}

impl From<UnreadKept> for Taken {
    fn from(kept: UnreadKept) -> Self {
        Self::Passed(Box::new(Passage::unread(kept)))
    }
}

impl Passage {
    fn new(passed: Passed, zone: &SiteZone) -> Self {
        let row = passed.stay.as_ref().map(|stored| &stored.row);
        let shown = row.map(|row| row.plate_view.as_str()).unwrap_or_default();
        let is_exit = passed.direction == Direction::Exit;
        let way = if is_exit { "RA" } else { "VÀO" };
        let view =
            |row: &StayRow| if row.plate_view.is_empty() { plate::view(&row.plate_id) } else { row.plate_view.clone() };
        let exit_ms = row.and_then(StayRow::shown_exit_ms);
        Self {
            action: passed.direction,
            message: format!("Xe {shown} {way} bãi"),
            history_id: passed.stay.as_ref().map(|stored| stored.row_id),
            plate_id: row.map(|row| row.plate_id.as_str().to_owned()),
            plate_view: row.map(view),
            entry_time: row.filter(|row| !row.is_exit_alone()).map(|row| zone.local_text(row.entry_ms)),
            anomalies: row.map(|row| row.anomalies.iter().map(|anomaly| anomaly.name()).collect()),
            exit_time: exit_ms.filter(|_| is_exit).map(|ms| zone.local_text(ms)),
            duration: is_exit.then(|| passed.duration.clone()),
            fee: is_exit.then_some(passed.fee.0),
            already_inside: !is_exit && row.is_some_and(|row| row.status == StayStatus::Superseded),
            repeated: passed.repeated,
            deduped: passed.repeated,
            event_id: passed.event_id,
            notes: passed.notes,
        }
    }

    /// Of a car that could not be read: it is on no row, and its id is that of the fact.
    fn unread(kept: UnreadKept) -> Self {
        let is_exit = kept.direction == Direction::Exit;
        let way = if is_exit { "RA" } else { "VÀO" };
        Self {
            action: kept.direction,
            message: format!("Xe không đọc được biển số {way} bãi"),
            event_id: kept.fact.to_string(),
            history_id: None,
            plate_id: None,
            plate_view: None,
            entry_time: None,
            anomalies: Some(vec![UNREAD]),
            exit_time: None,
            duration: None,
            fee: is_exit.then(|| kept.fee.unwrap_or_default().0),
            already_inside: false,
            repeated: kept.repeated,
            deduped: kept.repeated,
            notes: kept.notes,
        }
    }
}

/// `POST /api/edge/heartbeat` as sent. Keys that are not here are ignored.
#[derive(Debug, ToSchema)]
pub(super) struct Heartbeat {
    camera_id: CameraId,
    camera_name: Option<String>,
    camera_type: Option<String>,
    events_sent: Option<u64>,
    events_failed: Option<u64>,
}

impl Heartbeat {
    fn read(said: &Value) -> Result<Self, ApiError> {
        if !said.is_object() {
            let example = r#"{"camera_id": 1, "events_sent": 12}"#;
            return Err(ApiError::new(Code::InvalidBody, format!("a heartbeat is one object, such as {example}")));
        }
        let camera_id = CameraId::read(said.get("camera_id"));
        Ok(Self {
            camera_id: camera_id
                .ok_or_else(|| ApiError::bad_field("camera_id", "which camera lives? a number or a name"))?,
            camera_name: words(said, "camera_name")?,
            camera_type: words(said, "camera_type")?,
            events_sent: count(said, "events_sent")?,
            events_failed: count(said, "events_failed")?,
        })
    }
}

/// A text, or a number where a text is meant.
fn words(said: &Value, field: &'static str) -> Result<Option<String>, ApiError> {
    told::text(said.get(field)).map_err(|error| ApiError::bad_field(field, error.to_string()))
}

/// How many, as a number or as a text.
fn count(said: &Value, field: &'static str) -> Result<Option<u64>, ApiError> {
    let Some(text) = words(said, field)? else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| ApiError::bad_field(field, "a whole number of 0 or more is expected"))
}

/// `POST /api/edge/heartbeat`: the edge lives.
pub async fn heartbeat(caller: Caller, Sent(sent): Sent<Value>, worker: web::Data<Worker>) -> Answered {
    let beat = Heartbeat::read(&sent)?;
    let edge_id = beat.camera_id.edge_id();
    caller.check_edge(&edge_id)?;
    worker.shared.roster.lives(&edge_id, worker.shared.clock.now_ms(), |edge| {
        edge.name = said(beat.camera_name.as_deref()).or_else(|| edge.name.take());
        edge.kind = said(beat.camera_type.as_deref()).or_else(|| edge.kind.take());
        edge.events_sent = beat.events_sent.unwrap_or(edge.events_sent);
        edge.events_failed = beat.events_failed.unwrap_or(edge.events_failed);
    });
    Ok(ok(Noted { message: None }))
}

/// `POST /api/edge/sync-config` as sent. Keys that are not here are ignored.
#[derive(Debug, ToSchema)]
pub(super) struct EdgeCameras {
    /// By the edge's id; not empty.
    edge_cameras: BTreeMap<String, EdgeCamera>,
}

/// What an edge calls itself.
#[derive(Debug, ToSchema)]
struct EdgeCamera {
    name: Option<String>,
    ip: Option<String>,
    camera_type: Option<String>,
}

impl EdgeCameras {
    fn read(said: &Value) -> Result<Self, ApiError> {
        let wrong = || {
            let example = r#"{"edge_cameras": {"1": {"name": "Cổng A"}}}"#;
            ApiError::bad_field("edge_cameras", format!("the cameras by their ids are expected, such as {example}"))
        };
        let told = match said.as_object().ok_or_else(wrong)?.get("edge_cameras") {
            None | Some(Value::Null) => Err(ApiError::bad_field("edge_cameras", "Missing edge_cameras in request")),
            Some(told) => told.as_object().filter(|told| !told.is_empty()).ok_or_else(wrong),
        };
        let camera = |(id, camera): (&String, &Value)| {
            if !camera.is_object() {
                return Err(wrong());
            }
            let [name, ip, camera_type] = ["name", "ip", "camera_type"].map(|field| words(camera, field));
            Ok((id.clone(), EdgeCamera { name: name?, ip: ip?, camera_type: camera_type? }))
        };
        Ok(Self { edge_cameras: told?.iter().map(camera).collect::<Result<_, _>>()? })
    }
}

/// `POST /api/edge/sync-config`: what an edge calls itself. Shown, and nothing else: settings are changed by people.
pub async fn sync_config(caller: Caller, Sent(told): Sent<Value>, worker: web::Data<Worker>) -> Answered {
    let sent = EdgeCameras::read(&told)?;
    let mut changed = false;
    for (id, camera) in sent.edge_cameras {
        let edge_id = CameraId::Name(id).edge_id();
        caller.check_edge(&edge_id)?;
        worker.shared.roster.heard(&edge_id, worker.shared.clock.now_ms(), |edge| {
            let before = edge.clone();
            edge.name = said(camera.name.as_deref()).or_else(|| edge.name.take());
            edge.kind = said(camera.camera_type.as_deref()).or_else(|| edge.kind.take());
            edge.ip = said(camera.ip.as_deref()).or_else(|| edge.ip.take());
            changed |= *edge != before;
        });
    }
    let message = if changed { "Edge camera config synced successfully" } else { "No changes needed" };
    Ok(ok(Noted { message: Some(message) }))
}

/// Taken note of.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Noted {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
}

/// `GET /api/cameras`
pub async fn cameras(worker: web::Data<Worker>) -> HttpResponse {
    ok(CamerasAnswer { list: Cameras::of(&worker.shared) })
}

/// The edges, as answered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CamerasAnswer {
    #[serde(flatten)]
    list: Cameras,
}

/// The edges of the settings and those that are heard of, with their state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cameras {
    total: usize,
    online: usize,
    offline: usize,
    cameras: Vec<Camera>,
}

/// One edge. The fields behind `status` are there once it was heard of since the start.
#[derive(Debug, Serialize, ToSchema)]
struct Camera {
    id: String,
    name: String,
    /// The lane of the settings, or what the edge calls itself.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// It stands in the settings.
    configured: bool,
    /// `offline` after 60 s without a word.
    #[schema(pattern = "^(online|offline)$")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_heartbeat_ms: Option<i64>,
    /// By its own count.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_sent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events_failed: Option<u64>,
    /// By our count since the start: reports that were refused, or kept as openings for a car that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_refused: Option<u64>,
    /// What it says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
}

impl Cameras {
    pub(super) fn of(shared: &Shared) -> Self {
        let (config, mut heard, now_ms) = (shared.config(), shared.roster.all(), shared.clock.now_ms());
        let mut cameras: BTreeMap<String, Camera> = BTreeMap::new();
        for edge in &config.edges {
            let lane = edge.direction.map(|direction| direction.name().to_owned());
            let camera = Camera::new(&edge.id, &edge.name, lane, true, heard.remove(&edge.id), now_ms);
            cameras.insert(edge.id.clone(), camera);
        }
        for (id, edge) in heard {
            let (name, kind) = (edge.name.clone(), edge.kind.clone());
            let camera = Camera::new(&id, name.as_deref().unwrap_or(&id), kind, false, Some(edge), now_ms);
            cameras.insert(id, camera);
        }
        let cameras: Vec<Camera> = cameras.into_values().collect();
        let online = cameras.iter().filter(|camera| camera.status == "online").count();
        Self { total: cameras.len(), online, offline: cameras.len() - online, cameras }
    }
}

impl Camera {
    fn new(
        id: &str,
        name: &str,
        kind: Option<String>,
        configured: bool,
        heard: Option<HeardEdge>,
        now_ms: i64,
    ) -> Self {
        let is_online = heard.as_ref().is_some_and(|edge| edge.is_online(now_ms));
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            kind,
            configured,
            status: if is_online { "online" } else { "offline" },
            last_heartbeat_ms: heard.as_ref().map(|edge| edge.last_ms),
            events_sent: heard.as_ref().map(|edge| edge.events_sent),
            events_failed: heard.as_ref().map(|edge| edge.events_failed),
            events_refused: heard.as_ref().map(|edge| edge.events_refused),
            ip: heard.and_then(|edge| edge.ip),
        }
    }
}
