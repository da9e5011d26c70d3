//! The settings and the mesh: `/api/p2p/…`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{self, SETTINGS_LIMIT_BYTES};
use super::error::ApiError;
use super::state::{Shared, Worker};
use crate::actors::config_keeper::{ChangeConfig, Edit, SaveRefused, Saved};
use crate::actors::db_reader::ReadError;
use crate::actors::mesh_view::{MeshStatus, PeerStatus};
use crate::config::model::Config;
use crate::domain::ids::CentralId;
use crate::domain::time::SiteZone;

/// The mesh answers from memory; if it does not in this time, we say what we know without it.
const MESH_TIMEOUT: Duration = Duration::from_secs(2);
/// A test of a link gives up before this, and says at which step.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// `GET /api/p2p/config`
pub async fn config(worker: web::Data<Worker>) -> HttpResponse {
    let config = worker.shared.config();
    HttpResponse::Ok().json(json!({
        "success": true,
        "config": shown(&config),
        "version": config.version(),
        "broken_config": worker.shared.broken_config,
    }))
}

/// `PUT /api/p2p/config`
pub async fn put_config(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let body: Value = body::json(&request, payload, SETTINGS_LIMIT_BYTES).await?;
    let version = version_of(&body)?;
    let saved = change(&worker.shared, Edit::Put(body), version).await?;
    Ok(HttpResponse::Ok().json(saved_json(&saved, "P2P configuration updated successfully. Applied.")))
}

/// `POST /api/p2p/peers`
pub async fn add_peer(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let body: Value = body::json(&request, payload, SETTINGS_LIMIT_BYTES).await?;
    let (peer, version) = peer_body(body)?;
    let saved = change(&worker.shared, Edit::AddPeer(peer), version).await?;
    Ok(HttpResponse::Created().json(saved_json(&saved, "Peer added.")))
}

/// `PUT /api/p2p/peers/{id}`
pub async fn put_peer(
    request: HttpRequest,
    payload: web::Payload,
    id: web::Path<String>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let id = known_shape(&id)?;
    let body: Value = body::json(&request, payload, SETTINGS_LIMIT_BYTES).await?;
    let (fields, version) = peer_body(body)?;
    let saved = change(&worker.shared, Edit::ChangePeer(id, fields), version).await?;
    Ok(HttpResponse::Ok().json(saved_json(&saved, "Peer changed.")))
}

/// `DELETE /api/p2p/peers/{id}`
pub async fn delete_peer(id: web::Path<String>, worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    let saved = change(&worker.shared, Edit::RemovePeer(known_shape(&id)?), None).await?;
    Ok(HttpResponse::Ok().json(saved_json(&saved, "Peer removed.")))
}

/// `GET /api/p2p/status`
pub async fn status(worker: web::Data<Worker>) -> HttpResponse {
    let shared = &worker.shared;
    let config = shared.config();
    let zone = shared.zone();
    let mesh = ask_mesh(shared).await;
    let running = mesh.as_ref().is_some_and(|mesh| mesh.listening.is_some());
    let mesh = mesh.unwrap_or_default();
    let peers: Vec<Value> = mesh.peers.iter().map(|peer| peer_json(peer, &zone)).collect();
    let logs: Vec<Value> = mesh
        .logs
        .iter()
        .map(|log| {
            json!({
                "log": log.log, "have": log.have, "known": log.known, "source": log.source,
                "waits_for": log.waits_for, "waits_since_ms": log.waits_since_ms,
            })
        })
        .collect();
    HttpResponse::Ok().json(json!({
        "success": true,
        "this_central": config.this_central.id,
        "running": running,
        "standalone_mode": config.peer_centrals.is_empty(),
        "total_peers": config.peer_centrals.len(),
        "connected_peers": mesh.peers.iter().filter(|peer| peer.connected).count(),
        "messages_sent": mesh.messages_sent,
        "messages_received": mesh.messages_received,
        "peers": peers,
        "digest": mesh.digest,
        "events": mesh.events,
        "listening": mesh.listening,
        "listen_error": mesh.listen_error,
        "logs": logs,
        "now_ms": shared.clock.now_ms(),
    }))
}

/// `GET /api/p2p/sync-state`
pub async fn sync_state(worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    let states = worker.shared.readers.ask(|reader| reader.sync_state()).await.map_err(|error| match error {
        ReadError::Busy => ApiError::busy(),
        ReadError::Failed => ApiError::internal(),
    })?;
    let mesh = ask_mesh(&worker.shared).await.unwrap_or_default();
    let states: Vec<Value> = states
        .iter()
        .map(|state| {
            let mut fields = json!(state);
            let peer = mesh.peers.iter().find(|peer| peer.id.as_str() == state.peer_central_id);
            if let (Some(fields), Some(peer)) = (fields.as_object_mut(), peer) {
                fields.insert("connected".into(), peer.connected.into());
                fields.insert("we_lack_events".into(), json!(peer.we_lack_events));
                fields.insert("it_lacks_events".into(), json!(peer.it_lacks_events));
            }
            fields
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({"success": true, "sync_state": states})))
}

#[derive(Debug, Deserialize)]
pub struct TestParameters {
    peer_id: Option<String>,
}

/// `POST /api/p2p/test-connection?peer_id=`
pub async fn test_connection(
    parameters: web::Query<TestParameters>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let id = parameters.into_inner().peer_id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| ApiError::bad_field("peer_id", "say which peer"))?;
    let peer = known_shape(&id)?;
    let unknown = || ApiError::not_found(format!("no peer {id} in the settings"));
    if worker.shared.config().peer(&peer).is_none() {
        return Err(unknown());
    }
    let test = worker.shared.mesh.test(peer);
    let failed =
        || ApiError::bad_request("peer_unreachable", format!("Failed to send message to {id}. Peer may be offline."));
    match tokio::time::timeout(TEST_TIMEOUT, test).await {
        Ok(Ok(Ok(test))) if test.ok => Ok(HttpResponse::Ok().json(json!({
            "success": true,
            "message": format!("Successfully sent test message to {id}"),
            "steps": test.steps,
            "round_trip_ms": test.round_trip_ms,
            "clock_offset_ms": test.clock_offset_ms,
        }))),
        Ok(Ok(Ok(test))) => Err(failed().with("steps", json!(test.steps))),
        Ok(Ok(Err(_unknown))) => Err(unknown()),
        Ok(Err(_closed)) => Err(ApiError::internal()),
        Err(_elapsed) => Err(failed()),
    }
}

async fn change(shared: &Shared, edit: Edit, version: Option<String>) -> Result<Saved, ApiError> {
    let changed = shared.keeper.addr().send(ChangeConfig { edit, version }).await;
    changed.map_err(|_| ApiError::internal())?.map_err(|refused| match refused {
        SaveRefused::Stale { current } => ApiError::stale_settings(&current),
        SaveRefused::Invalid(problems) => ApiError::bad_fields(&problems),
        SaveRefused::PeerExists(id) => ApiError::exists(format!("peer {id} is there already")),
        SaveRefused::UnknownPeer(id) => ApiError::not_found(format!("no peer {id} in the settings")),
        SaveRefused::NotSaved => ApiError::settings_not_saved(),
    })
}

/// Tells when nobody answers.
async fn ask_mesh(shared: &Shared) -> Option<MeshStatus> {
    tokio::time::timeout(MESH_TIMEOUT, shared.mesh.status()).await.ok()?.ok()
}

fn peer_json(peer: &PeerStatus, zone: &SiteZone) -> Value {
    json!({
        "peer_id": peer.id,
        "peer_ip": peer.ip,
        "peer_port": peer.port,
        "connected": peer.connected,
        "last_ping_time": peer.last_heard_ms.map(|ms| zone.local_text(ms)),
        "state": peer.state,
        "status": peer.state,
        "lag_events": peer.it_lacks_events,
        "last_error": peer.reason,
        "next_attempt_ms": peer.next_attempt_ms,
        "since_ms": peer.since_ms,
        "reason": peer.reason,
        "next_attempt_ms": peer.next_attempt_ms,
        "last_heard_ms": peer.last_heard_ms,
        "round_trip_ms": peer.round_trip_ms,
        "clock_offset_ms": peer.clock_offset_ms,
        "unacked_bytes": peer.unacked_bytes,
        "we_lack_events": peer.we_lack_events,
        "it_lacks_events": peer.it_lacks_events,
    })
}

fn saved_json(saved: &Saved, message: &str) -> Value {
    json!({
        "success": true,
        "message": message,
        "config": shown(&saved.config),
        "version": saved.version,
        "applied": saved.changes,
        "warnings": saved.warnings,
    })
}

/// The settings without what is nobody's business: key hashes stay here.
fn shown(config: &Arc<Config>) -> Value {
    let mut json = config.to_json();
    let edges = json.get_mut("edges").and_then(Value::as_array_mut);
    for edge in edges.into_iter().flatten().filter_map(Value::as_object_mut) {
        edge.remove("key_hash");
    }
    json
}

/// The body of one peer, without the version that may ride in it.
fn peer_body(mut body: Value) -> Result<(Value, Option<String>), ApiError> {
    let version = version_of(&body)?;
    match body.as_object_mut() {
        Some(fields) => {
            fields.remove("version");
            Ok((body, version))
        }
        None => Err(ApiError::bad_request("invalid_body", "send one peer as an object")),
    }
}

fn version_of(body: &Value) -> Result<Option<String>, ApiError> {
    match body.get("version") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(version)) => Ok(Some(version.clone())),
        Some(_) => Err(ApiError::bad_field("version", "the text that GET gave")),
    }
}

/// An id of another shape names no peer there could be.
fn known_shape(id: &str) -> Result<CentralId, ApiError> {
    CentralId::new(id).map_err(|_| ApiError::not_found(format!("no peer {id} in the settings")))
}
