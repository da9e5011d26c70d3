//! What a predecessor of the second revision asks before it links with us: who we are, and that it be known here. It asks where
//! it dials: at the API port, or at the legacy port while centrals speak TLS.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{self, SHORT_LIMIT_BYTES};
use super::code::Code;
use super::error::ApiError;
use super::operation::{Operation, get, post};
use crate::access::right::Need;
use crate::actors::config_keeper::ConfigView;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/p2p/info", Need::Nothing, info, "What a predecessor asks whom it is to link with.")
            .answers::<Info>("Who we are"),
        post(
            "/api/p2p/register-peer",
            Need::Nothing,
            register,
            "A predecessor has this central in its settings; changes nothing here.",
        )
        .body::<Registration>()
        .answers::<Registered>("It is a peer here too")
        .refuses(&[Code::NotAPeer]),
    ]
}

/// Who this central is, as predecessors ask it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Info {
    success: bool,
    info: OwnAddress,
}

#[derive(Debug, Serialize, ToSchema)]
struct OwnAddress {
    id: String,
    ip: String,
    api_port: u16,
}

/// A predecessor has this central in its settings now.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Registration {
    id: String,
    ip: String,
}

/// It is a peer here too. Nothing was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Registered {
    success: bool,
    message: String,
    /// As predecessors say it.
    #[schema(pattern = "^updated$")]
    action: &'static str,
}

/// `GET /api/p2p/info`
pub async fn info(config: web::Data<ConfigView>) -> HttpResponse {
    let own = config.borrow().this_central.clone();
    let info = OwnAddress { id: own.id.to_string(), ip: own.ip.to_string(), api_port: own.api_port };
    HttpResponse::Ok().json(Info { success: true, info })
}

/// `POST /api/p2p/register-peer`: it has us in its settings now. Who is a peer here is decided by people here: this changes
/// nothing, and tells whether it is one.
///
/// # Errors
/// 403: it is none, or not as a predecessor at that address.
pub async fn register(
    request: HttpRequest,
    payload: web::Payload,
    config: web::Data<ConfigView>,
) -> Result<HttpResponse, ApiError> {
    let Registration { id, ip } = body::json(&request, payload, SHORT_LIMIT_BYTES).await?;
    let config = config.borrow().clone();
    let problem = match config.peer_centrals.iter().find(|peer| peer.id.as_str() == id) {
        Some(peer) if peer.legacy && peer.ip.to_string() == ip => {
            let message = format!("Peer '{id}' registered successfully");
            return Ok(HttpResponse::Ok().json(Registered { success: true, message, action: "updated" }));
        }
        Some(peer) if peer.legacy => {
            format!("central {id} is {} in the settings here, not {ip}; correct one of the two", peer.ip)
        }
        Some(_) => format!("central {id} is not marked as a predecessor (legacy) in the settings here"),
        None => format!("central {id} is not in the settings here; add it there as a predecessor (legacy)"),
    };
    Err(ApiError::new(Code::NotAPeer, problem))
}
