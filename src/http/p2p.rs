//! The settings: `/api/p2p/config` and `/api/p2p/peers`.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::access::Caller;
use super::error::{ApiError, Code};
use super::input::{SETTINGS_LIMIT_BYTES, Sent};
use super::operation::{Answered, Operation, delete, get, ok, post, put, success};
use super::parking::decide;
use super::state::{Shared, Worker};
use crate::access::right::Need;
use crate::actors::config_keeper::{ChangeConfig, SavedConfig};
use crate::config::change::{ChangeKind, Edit, SaveRefused, names_since};
use crate::config::model::Config;
use crate::config::{alarms, invoices};
use crate::domain::audit::{Act, Kind};
use crate::domain::ids::CentralId;
use crate::domain::naming::SITE;
use crate::domain::problem::FieldProblem;
use crate::ledger::job::Job;

/// What a save may be refused for.
pub(super) const OF_A_SAVE: &[Code] = &[Code::InvalidField, Code::NotSaved];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/p2p/config", Need::Look, config, "The settings in force.").answers::<Settings>("The settings"),
        put("/api/p2p/config", Need::Administer, put_config, "Change settings: keys that are absent keep their value.")
            .body_named("ConfigChange")
            .answers::<SettingsSaved>("Saved, and in force")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::StaleVersion]),
        post("/api/p2p/peers", Need::Administer, add_peer, "Add a peer.")
            .body_named("NewPeer")
            .answers_with::<SettingsSaved>(201, "Saved, and in force")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::StaleVersion, Code::AlreadyExists]),
        put("/api/p2p/peers/{id}", Need::Administer, put_peer, "Change a peer: keys that are absent keep their value.")
            .body_named("PeerChange")
            .answers::<SettingsSaved>("Saved, and in force")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::StaleVersion, Code::NotFound]),
        delete("/api/p2p/peers/{id}", Need::Administer, delete_peer, "Remove a peer; its events stay.")
            .answers::<SettingsSaved>("Saved, and in force")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::NotFound]),
    ]
}

/// The settings in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Settings {
    #[schema(value_type = Config)]
    config: Value,
    /// Names this state of the settings.
    version: String,
    /// Why the file was not used at the start.
    broken_config: Option<String>,
    /// The ids of those that have one; the keys themselves are shown when they are made, and never again.
    edges_with_keys: Vec<String>,
    #[serde(flatten)]
    set: SecretsSet,
}

/// Which addresses, tokens and passwords are set; they are shown to nobody.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SecretsSet {
    /// Of the alarms: `heartbeat_url`, `owner.token`.
    alarm_secrets: Vec<String>,
    /// Of the invoices: `url`, `token`.
    invoice_secrets: Vec<&'static str>,
}

/// The settings were saved and are in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SettingsSaved {
    message: &'static str,
    #[schema(value_type = Config)]
    config: Value,
    version: String,
    #[serde(flatten)]
    set: SecretsSet,
    /// What took effect.
    applied: Vec<ChangeKind>,
    warnings: Vec<FieldProblem>,
}

/// `GET /api/p2p/config`
pub async fn config(worker: web::Data<Worker>) -> HttpResponse {
    let _whole = worker.shared.settings.read().await;
    let config = worker.shared.config();
    let (json, set) = shown(&config);
    let with_keys = config.edges.iter().filter(|edge| edge.key_hash.is_some());
    ok(Settings {
        config: of_site(json, &worker.shared),
        version: config.version(),
        broken_config: worker.shared.broken_config.clone(),
        edges_with_keys: with_keys.map(|edge| edge.id.clone()).collect(),
        set,
    })
}

/// `PUT /api/p2p/config`
pub async fn put_config(
    caller: Caller,
    Sent(body): Sent<Value, { SETTINGS_LIMIT_BYTES }>,
    worker: web::Data<Worker>,
) -> Answered {
    let version = version_of(&body)?;
    let act = caller.act(Kind::Settings, "");
    let _whole = worker.shared.settings.write().await;
    let before = worker.shared.config();
    let says_site = body.pointer("/site/name").is_some();
    let saved = change(&worker.shared, Edit::Put(body), version, act).await?;
    let names = names_since(&before, &saved.config, says_site);
    if !names.is_empty() {
        decide(&worker, Job::PutNames(names).by(caller.who.doer())).await?;
    }
    Ok(ok(SettingsSaved::new(saved, "P2P configuration updated successfully. Applied.")))
}

/// `POST /api/p2p/peers`
pub async fn add_peer(caller: Caller, Sent(body): Sent<Value>, worker: web::Data<Worker>) -> Answered {
    let (peer, version) = peer_body(body)?;
    let id = peer.get("id").and_then(Value::as_str).unwrap_or_default();
    let act = caller.act(Kind::Peer, id);
    let saved = change(&worker.shared, Edit::AddPeer(peer), version, act).await?;
    Ok(HttpResponse::Created().json(success(SettingsSaved::new(saved, "Peer added."))))
}

/// `PUT /api/p2p/peers/{id}`
pub async fn put_peer(
    caller: Caller,
    body: Result<Sent<Value>, ApiError>,
    id: web::Path<String>,
    worker: web::Data<Worker>,
) -> Answered {
    let id = known_shape(&id)?;
    let Sent(body) = body?;
    let (fields, version) = peer_body(body)?;
    let act = caller.act(Kind::Peer, &id);
    let saved = change(&worker.shared, Edit::ChangePeer(id, fields), version, act).await?;
    Ok(ok(SettingsSaved::new(saved, "Peer changed.")))
}

/// `DELETE /api/p2p/peers/{id}`
pub async fn delete_peer(caller: Caller, id: web::Path<String>, worker: web::Data<Worker>) -> Answered {
    let id = known_shape(&id)?;
    let act = caller.act(Kind::Peer, &id);
    let saved = change(&worker.shared, Edit::RemovePeer(id), None, act).await?;
    Ok(ok(SettingsSaved::new(saved, "Peer removed.")))
}

pub(super) async fn change(
    shared: &Shared,
    edit: Edit,
    version: Option<String>,
    act: Act,
) -> Result<SavedConfig, ApiError> {
    let changed = shared.keeper.addr().send(ChangeConfig { edit, version, act }).await;
    changed.map_err(|_| ApiError::internal())?.map_err(|refused| match refused {
        SaveRefused::Stale { current } => ApiError::stale_settings(&current),
        SaveRefused::Invalid(problems) => ApiError::bad_fields(&problems),
        SaveRefused::PeerExists(id) => ApiError::exists(format!("peer {id} is there already")),
        SaveRefused::UnknownPeer(id) => ApiError::not_found(format!("no peer {id} in the settings")),
        SaveRefused::NotSaved => ApiError::settings_not_saved(),
    })
}

impl SettingsSaved {
    pub(super) fn new(saved: SavedConfig, message: &'static str) -> Self {
        let (config, set) = shown(&saved.config);
        Self { message, config, set, version: saved.version, applied: saved.changes, warnings: saved.warnings }
    }
}

/// With what another central called the site since.
fn of_site(mut config: Value, shared: &Shared) -> Value {
    let held = shared.held();
    if let (Some(said), Some(name)) = (held.settings.name(SITE), config.pointer_mut("/site/name")) {
        *name = said.into();
    }
    config
}

/// The settings without what is nobody's business, and which secrets are set: they and key hashes stay here.
fn shown(config: &Arc<Config>) -> (Value, SecretsSet) {
    let mut json = config.to_json();
    let edges = json.get_mut("edges").and_then(Value::as_array_mut);
    for edge in edges.into_iter().flatten().filter_map(Value::as_object_mut) {
        edge.remove("key_hash");
    }
    let set = SecretsSet {
        alarm_secrets: alarms::take_secrets(&mut json),
        invoice_secrets: invoices::take_secrets(&mut json),
    };
    (json, set)
}

/// The body of one peer, without the version that may ride in it.
fn peer_body(mut body: Value) -> Result<(Value, Option<String>), ApiError> {
    let version = version_of(&body)?;
    match body.as_object_mut() {
        Some(fields) => {
            fields.remove("version");
            Ok((body, version))
        }
        None => Err(ApiError::new(Code::InvalidBody, "send one peer as an object")),
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
pub(super) fn known_shape(id: &str) -> Result<CentralId, ApiError> {
    CentralId::new(id).map_err(|_| ApiError::not_found(format!("no peer {id} in the settings")))
}
