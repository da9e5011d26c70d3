//! The mesh as this central sees it: `/api/p2p/status`, `/api/p2p/sync-state` and the test of a link.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc::{self, UnboundedSender};
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, Code};
use super::input::flag;
use super::operation::{Answered, Operation, get, ok, post, success};
use super::p2p::known_shape;
use super::state::{Shared, Worker};
use crate::access::right::Need;
use crate::actors::mesh_registry::link_test::LinkTestStep;
use crate::actors::mesh_registry::{AskMesh, TestLink};
use crate::config::model::P2pMode;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;
use crate::domain::time::SiteZone;
use crate::links::status::{AdmittedShown, LogShown, MeshStatus, NearbyShown, PeerShown, PendingShown};
use crate::store::reader::SyncState;
use crate::trust::site::SiteMark;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/p2p/status", Need::Look, status, "The mesh as this central sees it.").answers::<Mesh>("The mesh"),
        get("/api/p2p/sync-state", Need::Look, sync_state, "When something was last received from each peer.")
            .answers::<SyncStates>("All of them")
            .refuses(&[Code::Busy, Code::Remaking]),
        post("/api/p2p/test-connection", Need::Administer, test_connection, "Try a link, for real.")
            .query::<TestParameters>()
            .answers_or_streams::<LinkWorks>("The link works; as lines: also if it does not")
            .refuses(&[Code::InvalidField, Code::NotFound, Code::PeerUnreachable]),
    ]
}

/// The mesh answers from memory; if it does not in this time, we say what we know without it.
const MESH_TIMEOUT: Duration = Duration::from_secs(2);
/// A test of a link gives up before this, and says at which step.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The site a central belongs to.
#[derive(Debug, Serialize, ToSchema)]
struct SiteShown {
    /// 16 hex digits, drawn at the first start.
    id: String,
    /// A person stands behind it: it gives way to no other.
    firm: bool,
}

impl SiteShown {
    fn of(mark: SiteMark) -> Self {
        Self { id: mark.id.to_string(), firm: mark.firm }
    }
}

/// The mesh as this central sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Mesh {
    this_central: String,
    /// Of this central's certificate: what others have to see. `null`: its key cannot be used, and it is linked to none.
    #[schema(value_type = Option<String>)]
    fingerprint: Option<Fingerprint>,
    /// `false`: what knows of the links did not answer within 2 s. What is said here of peers, logs and ports is then nothing that is known.
    mesh_answers: bool,
    /// Which site this central belongs to; null: the mesh does not answer.
    site: Option<SiteShown>,
    /// Whether centrals prove to each other who they are.
    p2p_mode: P2pMode,
    /// Other centrals can reach this one.
    running: bool,
    /// There are no peers in the settings.
    standalone_mode: bool,
    total_peers: usize,
    connected_peers: usize,
    /// Frames since the start.
    messages_sent: u64,
    messages_received: u64,
    peers: Vec<MeshPeer>,
    /// Centrals nobody configured that knocked and wait for a person's yes.
    pending: Vec<PendingShown>,
    /// Centrals that another one let in and that were not met here yet.
    admitted: Vec<AdmittedShown>,
    nearby: NearbyShown,
    /// Equal on two centrals that hold the same history; null while plates wait.
    digest: Option<String>,
    /// Events held, of all logs.
    events: u64,
    /// Plates whose history is still to be made from events that are held, and since when some are, without a break, Unix ms.
    plates_waiting: u64,
    plates_waiting_since_ms: Option<i64>,
    /// The address others can reach.
    listening: Option<String>,
    /// Why there is none.
    listen_error: Option<String>,
    logs: Vec<LogShown>,
    /// Logs that others announced and that wait for their turn, beside those in `logs`.
    more_logs: usize,
    /// By this machine's clock.
    now_ms: i64,
}

/// One peer of the settings and the link to it.
#[derive(Debug, Serialize, ToSchema)]
struct MeshPeer {
    peer_id: String,
    /// The same as `ip`.
    peer_ip: String,
    /// The same as `port`.
    peer_port: u16,
    /// On the site's clock.
    last_ping_time: Option<String>,
    /// The same as `state`.
    status: String,
    /// The same as `it_lacks_events`.
    lag_events: Option<u64>,
    /// The same as `reason`.
    last_error: Option<String>,
    /// What was taken of its own logs, whoever passed it on, since this process started.
    taken: TakenShown,
    #[serde(flatten)]
    shown: PeerShown,
}

/// What was taken of a central's own logs.
#[derive(Debug, Serialize, ToSchema)]
struct TakenShown {
    logs: u64,
    events: u64,
    bytes: u64,
}

/// When something was last received from each peer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SyncStates {
    sync_state: Vec<SyncStateShown>,
}

/// One peer that was heard at least once. The last three are there while it is in the settings.
#[derive(Debug, Serialize, ToSchema)]
struct SyncStateShown {
    #[serde(flatten)]
    state: SyncState,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    we_lack_events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    it_lacks_events: Option<u64>,
}

/// The link works.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LinkWorks {
    message: String,
    steps: Vec<LinkTestStep>,
    round_trip_ms: Option<f64>,
    clock_offset_ms: Option<i64>,
}

/// `GET /api/p2p/status`
pub async fn status(worker: web::Data<Worker>) -> HttpResponse {
    let shared = &worker.shared;
    let config = shared.config();
    let zone = shared.zone();
    let mesh = ask_mesh(shared).await;
    let mesh_answers = mesh.is_some();
    let running = mesh.as_ref().is_some_and(|mesh| mesh.listening.is_some());
    let mesh = mesh.unwrap_or_default();
    // Of one moment, so that a digest that is missing is explained.
    let held = shared.held();
    ok(Mesh {
        this_central: config.this_central.id.to_string(),
        fingerprint: shared.mesh_off.is_none().then(|| shared.credentials.fingerprint()),
        mesh_answers,
        site: mesh.site.map(SiteShown::of),
        p2p_mode: config.security.p2p,
        running,
        standalone_mode: config.peer_centrals.is_empty(),
        total_peers: config.peer_centrals.len(),
        connected_peers: mesh.peers.iter().filter(|peer| peer.connected).count(),
        messages_sent: mesh.messages_sent,
        messages_received: mesh.messages_received,
        peers: mesh.peers.into_iter().map(|peer| MeshPeer::new(peer, &zone)).collect(),
        pending: mesh.pending,
        admitted: mesh.admitted,
        nearby: mesh.nearby,
        digest: held.digest.map(|digest| digest.to_string()),
        events: held.events,
        plates_waiting: held.behind.map_or(0, |behind| behind.plates),
        plates_waiting_since_ms: held.behind.map(|behind| behind.since_ms),
        listening: mesh.listening,
        listen_error: mesh.listen_error,
        logs: mesh.logs,
        more_logs: mesh.more_logs,
        now_ms: shared.clock.now_ms(),
    })
}

/// `GET /api/p2p/sync-state`
pub async fn sync_state(worker: web::Data<Worker>) -> Answered {
    let states = worker.shared.readers.ask(|reader| reader.sync_state()).await?;
    let mesh = ask_mesh(&worker.shared).await.unwrap_or_default();
    let sync_state = states
        .into_iter()
        .map(|state| {
            let peer = mesh.peers.iter().find(|peer| peer.id.as_str() == state.peer_central_id);
            SyncStateShown {
                connected: peer.map(|peer| peer.connected),
                we_lack_events: peer.and_then(|peer| peer.we_lack_events),
                it_lacks_events: peer.and_then(|peer| peer.it_lacks_events),
                state,
            }
        })
        .collect();
    Ok(ok(SyncStates { sync_state }))
}

/// What the predecessor says of every failure.
const MAYBE_OFFLINE: &str = "Peer may be offline.";

/// The query of `POST /api/p2p/test-connection`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TestParameters {
    /// A peer of the settings.
    #[param(required, nullable = false, pattern = "^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$")]
    peer_id: Option<String>,
    /// Answer 200 at once, with a line of JSON for each step when it is made, and last the answer as it is without this.
    #[param(value_type = Option<bool>)]
    stream: Option<String>,
}

/// `POST /api/p2p/test-connection?peer_id=`
pub async fn test_connection(parameters: web::Query<TestParameters>, worker: web::Data<Worker>) -> Answered {
    let TestParameters { peer_id, stream } = parameters.into_inner();
    let stream = flag("stream", stream.as_deref())?;
    let id = peer_id.filter(|id| !id.is_empty()).ok_or_else(|| ApiError::bad_field("peer_id", "say which peer"))?;
    let peer = known_shape(&id)?;
    if worker.shared.config().peer(&peer).is_none() {
        return Err(unknown(&peer));
    }
    if stream {
        Ok(told_step_by_step(peer, worker.shared.clone()))
    } else {
        tested(peer, &worker.shared, None).await.map(ok)
    }
}

/// Tests the link to a peer of the settings.
async fn tested(
    peer: CentralId,
    shared: &Shared,
    told: Option<UnboundedSender<LinkTestStep>>,
) -> Result<LinkWorks, ApiError> {
    let failed = |why: &str| ApiError::new(Code::PeerUnreachable, format!("Failed to send message to {peer}. {why}"));
    match tokio::time::timeout(TEST_TIMEOUT, shared.mesh.addr().send(TestLink { peer: peer.clone(), told })).await {
        Ok(Ok(Ok(test))) if test.ok => Ok(LinkWorks {
            message: format!("Successfully sent test message to {peer}"),
            steps: test.steps,
            round_trip_ms: test.round_trip_ms,
            clock_offset_ms: test.clock_offset_ms,
        }),
        Ok(Ok(Ok(test))) => {
            // Where something answers it is not offline: what it said is why.
            let why = test.steps.last().filter(|step| !step.ok && step.step != "tcp");
            Err(failed(why.map_or(MAYBE_OFFLINE, |step| step.detail.as_str())).with("steps", json!(test.steps)))
        }
        Ok(Ok(Err(_unknown))) => Err(unknown(&peer)),
        Ok(Err(_closed)) => Err(ApiError::internal()),
        Err(_elapsed) => Err(failed(MAYBE_OFFLINE)),
    }
}

fn unknown(peer: &CentralId) -> ApiError {
    ApiError::not_found(format!("no peer {peer} in the settings"))
}

/// A line of JSON for each step when it is made, and last what is answered where nobody wants to watch.
fn told_step_by_step(peer: CentralId, shared: Arc<Shared>) -> HttpResponse {
    let (told, made) = mpsc::unbounded_channel();
    let test = async move { tested(peer, &shared, Some(told)).await };
    // One task polls the test and waits for its steps: who goes away ends both.
    let lines = stream::unfold(Some((Box::pin(test), made)), |state| async move {
        let (mut test, mut made) = state?;
        tokio::select! {
            biased;
            Some(step) = made.recv() => Some((line(&step), Some((test, made)))),
            outcome = &mut test => {
                // Steps made in the same moment come before the end.
                let mut text = String::new();
                while let Ok(step) = made.try_recv() {
                    text.push_str(&line(&step));
                }
                text.push_str(&match outcome {
                    Ok(works) => line(&success(works)),
                    Err(error) => line(&error.body()),
                });
                Some((text, None))
            }
        }
    });
    let bytes = lines.map(|text| Ok::<_, Infallible>(Bytes::from(text)));
    HttpResponse::Ok().content_type("application/x-ndjson").streaming(bytes)
}

fn line<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

/// Tells when nobody answers.
pub(super) async fn ask_mesh(shared: &Shared) -> Option<MeshStatus> {
    tokio::time::timeout(MESH_TIMEOUT, shared.mesh.addr().send(AskMesh)).await.ok()?.ok()
}

impl MeshPeer {
    fn new(shown: PeerShown, zone: &SiteZone) -> Self {
        Self {
            peer_id: shown.id.to_string(),
            peer_ip: shown.ip.clone(),
            peer_port: shown.port,
            last_ping_time: shown.last_heard_ms.map(|ms| zone.local_text(ms)),
            status: shown.state.clone(),
            lag_events: shown.it_lacks_events,
            last_error: shown.reason.clone(),
            taken: TakenShown { logs: shown.taken.logs, events: shown.taken.events, bytes: shown.taken.bytes },
            shown,
        }
    }
}
