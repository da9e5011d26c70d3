//! The servers other centrals dial: upgrades to a peer's socket, and guests with an invitation.
//!
//! One for centrals, with TLS unless `security.p2p` is `open`, and one for predecessors, without, which listens only while
//! there are any and the first one speaks TLS. What a stranger can hold open is bounded: handshakes under way, connections, and
//! the time for each step until it has introduced itself.
//!
//! What a predecessor of the second revision asks before it links with us: who we are, and that it be known here. It asks where
//! it dials: at the API port, or at the legacy port while centrals speak TLS.

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::error::Error;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, FromRequest as _, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::sender;
use super::error::{ApiError, Code};
use super::input::Sent;
use super::listen::{self, Metered, ServerTerms};
use super::operation::{Answered, Operation, get, ok, post};
use super::screen::comes_from_browser;
use super::server::{ServeAt, ServerRole, Shows};
use super::ws_peer::{self, PeerEntrance};
use crate::access::right::Need;
use crate::actors::config_keeper::ConfigView;
use crate::actors::mesh_registry::guests::{Guest, GuestRefused};
use crate::config::model::{Config, P2pMode};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::problem::FieldProblem;
use crate::links::join::{GUESTS_PATH, GuestCard, SorryCard};
use crate::tls::credentials::Credentials;
use crate::tls::{TlsTerms, peers};
use crate::trust::invitation::CodeRefused;

/// Time for the head of an upgrade request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// What is asked beside sockets is asked once.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Frames are only carried here; the work is done elsewhere.
const WORKERS: usize = 1;

/// The server for centrals. `off`: why this central can prove itself to none, and so hears none.
pub fn role(entrance: PeerEntrance, credentials: Credentials, off: Option<String>) -> ServerRole {
    ServerRole {
        name: "p2p",
        field: "this_central.p2p_port",
        place: |config| Some(place(config)),
        secure: Arc::new(move |place| match &off {
            Some(reason) => Err(FieldProblem::new("security.p2p", "identity_unusable", reason.clone(), reason.clone())),
            None => secure(place, &credentials),
        }),
        serve: Arc::new(move |listener, tls| serve(&entrance, tls, None, listener)),
    }
}

/// The server for predecessors.
pub fn legacy_role(entrance: PeerEntrance, config: ConfigView) -> ServerRole {
    let entrance = PeerEntrance { is_legacy_port: true, ..entrance };
    ServerRole {
        name: "legacy",
        field: "security.legacy_port",
        place: legacy_place,
        secure: Arc::new(|_| Ok(None)),
        serve: Arc::new(move |listener, _| serve(&entrance, None, Some(&config), listener)),
    }
}

/// Where the settings want centrals to knock.
pub fn place(config: &Config) -> ServeAt {
    let address = SocketAddr::new(config.listen_ip(), config.this_central.p2p_port);
    let shows = if config.security.p2p == P2pMode::Tls { Shows::Own } else { Shows::Nothing };
    ServeAt { address, shows }
}

fn secure(place: &ServeAt, credentials: &Credentials) -> Result<Option<TlsTerms>, FieldProblem> {
    if place.shows == Shows::Nothing {
        return Ok(None);
    }
    peers::server(credentials).map(Some).map_err(|error| {
        let (vi, en) = (format!("không dùng được TLS: {error}"), format!("no TLS can be spoken: {error}"));
        FieldProblem::new("security.p2p", "cannot_listen", vi, en)
    })
}

/// Where the settings want predecessors to knock, if not where everybody does.
pub fn legacy_place(config: &Config) -> Option<ServeAt> {
    let any = config.peer_centrals.iter().any(|peer| config.is_linked_as_legacy(peer));
    let address = SocketAddr::new(config.listen_ip(), config.security.legacy_port);
    (any && config.security.p2p == P2pMode::Tls).then_some(ServeAt { address, shows: Shows::Nothing })
}

/// `asked`: the settings predecessors ask about before they link, where they knock.
fn serve(
    entrance: &PeerEntrance,
    tls: Option<TlsTerms>,
    asked: Option<&ConfigView>,
    listener: TcpListener,
) -> io::Result<Server> {
    let (entrance, asked) = (web::Data::new(entrance.clone()), asked.cloned());
    let terms = ServerTerms {
        workers: WORKERS,
        name: if entrance.is_legacy_port { "legacy" } else { "p2p" },
        room: entrance.rooms.peers.clone(),
        offences: entrance.offences.clone(),
        keep_alive: KEEP_ALIVE,
        head_timeout: HEAD_TIMEOUT,
        tls,
        is_taken_fast: false,
        on_connect: |socket, kept| {
            if let Some(shown) = shown(socket) {
                kept.insert(shown);
            }
        },
    };
    listen::serve(listener, &terms, move || {
        App::new()
            .app_data(entrance.clone())
            .app_data(web::Data::from(entrance.rooms.bodies.clone()))
            .wrap(from_fn(refuse_browsers))
            .configure(|app| match &asked {
                Some(config) => {
                    app.app_data(web::Data::new(config.clone()))
                        .route("/api/p2p/info", web::get().to(info))
                        .route("/api/p2p/register-peer", web::post().to(register));
                }
                None => {
                    app.route(GUESTS_PATH, web::post().to(welcome));
                }
            })
            .default_service(web::to(ws_peer::upgrade))
    })
}

/// Pages have nothing to do here, whatever they ask for.
async fn refuse_browsers(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if comes_from_browser(request.headers()) {
        return Ok(request.error_response(ApiError::foreign_page()).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

/// The certificate that was shown on a socket, and whose key its other end has.
fn shown(socket: &dyn Any) -> Option<Fingerprint> {
    let (_, session) = socket.downcast_ref::<TlsStream<Metered>>()?.get_ref();
    session.peer_certificates()?.first().map(|certificate| Fingerprint::of_certificate(certificate))
}

/// Largest card: an id, an address and a code.
const CARD_LIMIT_BYTES: usize = 4 * 1024;

/// `POST /guests`, at the P2P port with TLS.
pub async fn welcome(request: HttpRequest, payload: web::Payload, entrance: web::Data<PeerEntrance>) -> HttpResponse {
    let Some(shown) = request.conn_data::<Fingerprint>().copied() else {
        return sorry("an invitation is for centrals that speak TLS: is security.p2p the same at both ends?");
    };
    // Nothing is read of who shows no certificate.
    let card: Sent<GuestCard, CARD_LIMIT_BYTES> = match Sent::from_request(&request, &mut payload.into_inner()).await {
        Ok(card) => card,
        Err(error) => return sorry(&error.to_string()),
    };
    let Sent(card) = card;
    let Ok(code) = card.code.parse() else { return sorry(&CodeRefused::Unknown.to_string()) };
    let guest = Guest { code, card, shown, from: sender(&request) };
    match entrance.registry.addr().send(guest).await {
        Ok(Ok(welcome)) => HttpResponse::Ok().json(welcome),
        Ok(Err(refusal)) => sorry(&refusal.to_string()),
        Err(_) => sorry(&GuestRefused::NotSaved.to_string()),
    }
}

fn sorry(why: &str) -> HttpResponse {
    HttpResponse::Forbidden().json(SorryCard { error: why.to_owned() })
}

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
pub struct Registration {
    id: String,
    ip: String,
}

/// It is a peer here too. Nothing was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Registered {
    message: String,
    /// As predecessors say it.
    #[schema(pattern = "^updated$")]
    action: &'static str,
}

/// `GET /api/p2p/info`
pub async fn info(config: web::Data<ConfigView>) -> HttpResponse {
    let own = config.borrow().this_central.clone();
    let info = OwnAddress { id: own.id.to_string(), ip: own.ip.to_string(), api_port: own.api_port };
    ok(Info { info })
}

/// `POST /api/p2p/register-peer`: it has us in its settings now. Who is a peer here is decided by people here: this changes
/// nothing, and tells whether it is one.
///
/// # Errors
/// 403: it is none, or not as a predecessor at that address.
pub async fn register(Sent(sent): Sent<Registration>, config: web::Data<ConfigView>) -> Answered {
    let Registration { id, ip } = sent;
    let config = config.borrow().clone();
    let problem = match config.peer_centrals.iter().find(|peer| peer.id.as_str() == id) {
        Some(peer) if peer.legacy && peer.ip.to_string() == ip => {
            let message = format!("Peer '{id}' registered successfully");
            return Ok(ok(Registered { message, action: "updated" }));
        }
        Some(peer) if peer.legacy => {
            format!("central {id} is {} in the settings here, not {ip}; correct one of the two", peer.ip)
        }
        Some(_) => format!("central {id} is not marked as a predecessor (legacy) in the settings here"),
        None => format!("central {id} is not in the settings here; add it there as a predecessor (legacy)"),
    };
    Err(ApiError::new(Code::NotAPeer, problem))
}
