//! The keys of edges: made, renewed and revoked. `/api/access/edges/{edge_id}/key`.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::access::caller_of;
use super::accounts::Done;
use super::code::Code;
use super::error::ApiError;
use super::operation::{Operation, delete, post};
use super::p2p::change;
use super::state::Worker;
use crate::access::right::Need;
use crate::config::merge::Edit;
use crate::domain::audit::{self, Act};
use crate::vault::secret::{self, Kind};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        post(
            "/api/access/edges/{edge_id}/key",
            Need::Administer,
            renew,
            "Make a key of an edge, in the place of an older one.",
        )
        .answers_with::<KeyMade>(201, "Made; this is the only time it is shown")
        .refuses(&[Code::NotFound, Code::StaleVersion, Code::InvalidField, Code::NotSaved]),
        delete("/api/access/edges/{edge_id}/key", Need::Administer, revoke, "Revoke the key of an edge.")
            .answers::<Done>("Revoked")
            .refuses(&[Code::NotFound, Code::StaleVersion, Code::InvalidField, Code::NotSaved]),
    ]
}

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyMade {
    success: bool,
    edge_id: String,
    /// In clear, this once.
    key: String,
}

/// `POST`: a new key in the place of an older one, in clear, this once.
pub async fn renew(
    request: HttpRequest,
    edge_id: web::Path<String>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let act = caller_of(&request).act(audit::Kind::EdgeKey, &*edge_id);
    let key = secret::make(Kind::EdgeKey).map_err(|_| ApiError::internal())?;
    set(&worker, &edge_id, json!(secret::digest_text(&key)), act).await?;
    let answer = KeyMade { success: true, edge_id: edge_id.into_inner(), key };
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(answer))
}

/// `DELETE`: the edge has no key any more.
pub async fn revoke(
    request: HttpRequest,
    edge_id: web::Path<String>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let act = caller_of(&request).act(audit::Kind::EdgeKey, &*edge_id);
    set(&worker, &edge_id, Value::Null, act).await?;
    Ok(HttpResponse::Ok().json(Done::new()))
}

async fn set(worker: &Worker, edge_id: &str, key_hash: Value, act: Act) -> Result<(), ApiError> {
    let config = worker.shared.config();
    if !config.edges.iter().any(|edge| edge.id == edge_id) {
        return Err(ApiError::not_found(format!("no edge {edge_id} in the settings; add it there first")));
    }
    let edges: Vec<Value> = config
        .edges
        .iter()
        .map(
            |edge| {
                if edge.id == edge_id { json!({"id": edge.id, "key_hash": key_hash}) } else { json!({"id": edge.id}) }
            },
        )
        .collect();
    // At the version just read: an edge that somebody adds meanwhile is not lost.
    change(&worker.shared, Edit::Put(json!({ "edges": edges })), Some(config.version()), act).await?;
    Ok(())
}
