//! What the programs at the gates of the predecessor call: they report what happened, and that they live.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::{self, GATE_LIMIT_BYTES};
use super::edges::submit;
use super::error::ApiError;
use super::state::{Shared, Worker};
use crate::actors::edge_gateway::EdgeRequest;
use crate::actors::edge_report::{CameraId, EventReport};
use crate::actors::edge_roster::{Edge, said};
use crate::domain::direction::Direction;
use crate::domain::plate;
use crate::domain::row::StayStatus;
use crate::domain::time::SiteZone;
use crate::ledger::job::{Answer, Passed};

/// `POST /api/edge/event`: what happened at a gate, committed when this answers.
pub async fn event(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let bytes = body::read(&request, payload, GATE_LIMIT_BYTES).await?;
    Ok(HttpResponse::Ok().json(take(&worker, body::parse(&bytes)?).await?))
}

/// Takes one report; the fields of its answer.
///
/// # Errors
/// As `POST /api/edge/barrier/open`, without the conflicts.
pub async fn take(worker: &Worker, report: EventReport) -> Result<Map<String, Value>, ApiError> {
    let zone = worker.zone();
    if let Ok(edge_id) = report.edge_id() {
        worker.shared.roster.heard(&edge_id, worker.shared.clock.now_ms(), |edge| {
            edge.name = said(report.camera_name.as_deref()).or_else(|| edge.name.take());
            edge.kind = said(report.camera_type.as_deref()).or_else(|| edge.kind.take());
        });
    }
    let fields = match submit(worker, EdgeRequest::Report(report)).await? {
        Answer::Reported(passed) => passed_fields(&passed, &zone),
        Answer::Amended { stay_id, .. } => json!({"event_id": stay_id}),
        Answer::ChangedBefore { event_id } => json!({"event_id": event_id, "repeated": true}),
        _ => return Err(ApiError::internal()),
    };
    let mut answer = Map::new();
    answer.insert("success".into(), true.into());
    if let Value::Object(fields) = fields {
        answer.extend(fields);
    }
    Ok(answer)
}

fn passed_fields(passed: &Passed, zone: &SiteZone) -> Value {
    let row = passed.stay.as_ref().map(|stored| &stored.row);
    let shown = row.map(|row| row.plate_view.clone()).unwrap_or_default();
    let mut fields = json!({
        "action": passed.direction,
        "event_id": passed.event_id,
        "history_id": passed.stay.as_ref().map(|stored| stored.row_id),
        "plate_id": row.map(|row| row.plate_id.as_str()),
        "plate_view": row.map(|row| if row.plate_view.is_empty() { plate::view(&row.plate_id) } else { row.plate_view.clone() }),
        "entry_time": row.filter(|row| !row.is_exit_alone()).map(|row| zone.local_text(row.entry_ms)),
        "anomalies": row.map(|row| row.anomalies.iter().map(|anomaly| anomaly.name()).collect::<Vec<_>>()),
    });
    let way = match passed.direction {
        Direction::Entry => "VÀO",
        Direction::Exit => "RA",
    };
    set(&mut fields, "message", format!("Xe {shown} {way} bãi").into());
    if passed.direction == Direction::Exit {
        let exit_ms = row.and_then(|row| row.exit.as_ref()).map(|exit| exit.exit_ms);
        set(&mut fields, "exit_time", json!(exit_ms.map(|ms| zone.local_text(ms))));
        set(&mut fields, "duration", passed.duration.clone().into());
        set(&mut fields, "fee", passed.fee.0.into());
    } else if row.is_some_and(|row| row.status == StayStatus::Superseded) {
        set(&mut fields, "already_inside", true.into());
    }
    if passed.repeated {
        set(&mut fields, "repeated", true.into());
        set(&mut fields, "deduped", true.into());
    }
    fields
}

fn set(fields: &mut Value, name: &str, value: Value) {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// `POST /api/edge/heartbeat` as sent.
#[derive(Debug, Deserialize)]
struct Heartbeat {
    camera_id: CameraId,
    camera_name: Option<String>,
    camera_type: Option<String>,
    events_sent: Option<u64>,
    events_failed: Option<u64>,
}

/// `POST /api/edge/heartbeat`: the edge lives.
pub async fn heartbeat(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let beat: Heartbeat = body::json(&request, payload, GATE_LIMIT_BYTES).await?;
    let edge_id = beat.camera_id.checked().map_err(|refusal| ApiError::refused(refusal, &worker.zone()))?;
    worker.shared.roster.heard(&edge_id, worker.shared.clock.now_ms(), |edge| {
        edge.name = said(beat.camera_name.as_deref()).or_else(|| edge.name.take());
        edge.kind = said(beat.camera_type.as_deref()).or_else(|| edge.kind.take());
        edge.events_sent = beat.events_sent.unwrap_or(edge.events_sent);
        edge.events_failed = beat.events_failed.unwrap_or(edge.events_failed);
    });
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

/// `POST /api/edge/sync-config` as sent.
#[derive(Debug, Deserialize)]
struct EdgeCameras {
    edge_cameras: Option<BTreeMap<String, EdgeCamera>>,
}

#[derive(Debug, Deserialize)]
struct EdgeCamera {
    name: Option<String>,
    ip: Option<String>,
    camera_type: Option<String>,
}

/// `POST /api/edge/sync-config`: what an edge calls itself. Shown, and nothing else: settings are changed by people.
pub async fn sync_config(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let sent: EdgeCameras = body::json(&request, payload, GATE_LIMIT_BYTES).await?;
    let cameras = sent.edge_cameras.filter(|cameras| !cameras.is_empty());
    let cameras = cameras.ok_or_else(|| ApiError::bad_field("edge_cameras", "Missing edge_cameras in request"))?;
    let mut changed = false;
    for (id, camera) in cameras {
        let edge_id = CameraId::Name(id).checked().map_err(|refusal| ApiError::refused(refusal, &worker.zone()))?;
        worker.shared.roster.heard(&edge_id, worker.shared.clock.now_ms(), |edge| {
            let before = edge.clone();
            edge.name = said(camera.name.as_deref()).or_else(|| edge.name.take());
            edge.kind = said(camera.camera_type.as_deref()).or_else(|| edge.kind.take());
            edge.ip = said(camera.ip.as_deref()).or_else(|| edge.ip.take());
            changed |= *edge != before;
        });
    }
    let message = if changed { "Edge camera config synced successfully" } else { "No changes needed" };
    Ok(HttpResponse::Ok().json(json!({"success": true, "message": message})))
}

/// `GET /api/cameras`
pub async fn cameras(worker: web::Data<Worker>) -> HttpResponse {
    let mut fields = camera_list(&worker.shared);
    set(&mut fields, "success", true.into());
    HttpResponse::Ok().json(fields)
}

/// The edges of the settings and those that are heard of, with their state.
#[must_use]
pub fn camera_list(shared: &Shared) -> Value {
    let (config, heard, now_ms) = (shared.config(), shared.roster.all(), shared.clock.now_ms());
    let mut cameras: BTreeMap<&str, Value> = BTreeMap::new();
    for edge in &config.edges {
        let listed = json!({"id": edge.id, "name": edge.name, "type": edge.direction, "configured": true});
        cameras.insert(&edge.id, listed);
    }
    for (id, edge) in &heard {
        let named =
            json!({"id": id, "name": edge.name.as_deref().unwrap_or(id), "type": edge.kind, "configured": false});
        let camera = cameras.entry(id).or_insert(named);
        show(camera, edge, now_ms);
    }
    let total = cameras.len();
    let mut online = 0;
    for camera in cameras.values_mut() {
        let is_online = camera.get("status").is_some_and(|status| status == "online");
        online += usize::from(is_online);
        if camera.get("status").is_none() {
            set(camera, "status", "offline".into());
        }
    }
    let cameras: Vec<Value> = cameras.into_values().collect();
    json!({"total": total, "online": online, "offline": total - online, "cameras": cameras})
}

fn show(camera: &mut Value, edge: &Edge, now_ms: i64) {
    set(camera, "status", if edge.is_online(now_ms) { "online" } else { "offline" }.into());
    set(camera, "last_heartbeat_ms", edge.last_ms.into());
    set(camera, "events_sent", edge.events_sent.into());
    set(camera, "events_failed", edge.events_failed.into());
    set(camera, "ip", json!(edge.ip));
}
