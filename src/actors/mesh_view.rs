//! What the mesh can be asked from outside: its state, and a test of one link. The messages between the HTTP side and
//! whoever runs the links; neither knows the other.

use std::sync::Arc;

use actix::{MailboxError, Message, Recipient};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use utoipa::ToSchema;

use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, LogId};
use crate::replication::log::Run;
use crate::trust::invitation::Invitation;
use crate::trust::pending::Stranger;

/// What is the state of the mesh, as this central sees it?
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "MeshStatus")]
pub struct AskMesh;

/// Try the connection to this peer, for real, now.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<LinkTest, UnknownPeer>")]
pub struct TestLink {
    pub peer: CentralId,
    /// Told of each step when it is made.
    pub told: Option<UnboundedSender<LinkTestStep>>,
}

/// Say goodbye to all peers and start no link any more.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct LeaveMesh;

/// Invite a central that comes within so many ms.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<Invited, getrandom::Error>")]
pub struct Invite {
    pub valid_ms: i64,
}

/// An open invitation.
#[derive(Debug, Clone)]
pub struct Invited {
    pub invitation: Invitation,
    /// Unix ms.
    pub until_ms: i64,
}

/// Something about the mesh is other than before.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum MeshNews {
    /// These runs are durable here.
    Committed(Arc<[Run]>),
    /// A link came or went, or should be another.
    Links,
}

/// There is no such peer in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPeer;

/// The mesh as this central sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MeshStatus {
    /// Whether links can be made at all: the P2P port is bound.
    pub listening: Option<String>,
    /// Why not, if not.
    pub listen_error: Option<String>,
    /// Frames since the start.
    pub messages_sent: u64,
    pub messages_received: u64,
    /// The event that set the tariff in force here, or [`BUILT_IN_TARIFF`].
    pub tariff_version: String,
    pub peers: Vec<PeerStatus>,
    /// Who knocked and waits for a person's yes, who came first first.
    pub pending: Vec<PendingCentral>,
    /// Of this central's certificate; `None`: the mesh does not answer.
    pub fingerprint: Option<Fingerprint>,
    pub logs: Vec<LogStatus>,
}

/// One configured peer.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerStatus {
    pub id: CentralId,
    pub ip: String,
    pub port: u16,
    pub connected: bool,
    /// `connected`, `connecting` or `disconnected`.
    pub state: String,
    /// In that state since, Unix ms.
    pub since_ms: i64,
    /// Why it is not connected, in words.
    pub reason: Option<String>,
    /// The next dial, Unix ms, while there is no link.
    pub next_attempt_ms: Option<i64>,
    /// The last frame or pong, Unix ms.
    pub last_heard_ms: Option<i64>,
    pub round_trip_ms: Option<f64>,
    /// Its clock minus ours.
    pub clock_offset_ms: Option<i64>,
    pub unacked_bytes: u64,
    /// Linked, and what is to be carried is carried: nothing waits for a minute, in neither direction.
    pub moving: bool,
    /// Of what it has not acknowledged, what was sent first.
    pub oldest_unacked: Option<OldestUnacked>,
    /// Events it announced that are not held here; and the other way round. `None`: unknown.
    pub we_lack_events: Option<u64>,
    pub it_lacks_events: Option<u64>,
    /// What it said of itself in its last HEARTBEAT, at most 30 s old; `None` before the first.
    pub says: Option<PeerSays>,
    pub trust: PeerTrust,
}

/// Events that were sent to a peer and that it has not said it committed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OldestUnacked {
    #[schema(value_type = String)]
    pub log: LogId,
    /// The number of the last of them.
    pub to: u64,
    /// Sent then, Unix ms.
    pub since_ms: i64,
    /// How long ago that is.
    pub age_ms: u64,
}

/// How a peer is known to be who it says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PeerTrust {
    /// Of the certificate it has to show; `None`: it was never met.
    pub fingerprint: Option<Fingerprint>,
    /// No person has compared it yet.
    pub unconfirmed: bool,
    /// The mesh has thrown it out.
    pub expelled: Option<Expulsion>,
    /// Another certificate was shown in its name within the last hour.
    pub refused: Option<RefusedCertificate>,
}

/// That a person threw a central out of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Expulsion {
    pub reason: Option<String>,
    /// Who did it.
    pub by: Option<String>,
}

/// A certificate that is not the one pinned for a peer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RefusedCertificate {
    #[schema(value_type = String)]
    pub fingerprint: Fingerprint,
    /// Where it was shown: the address of who dialled us, or that we dialled.
    pub from: String,
    /// When last, Unix ms.
    pub at_ms: i64,
}

/// A central nobody configured.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingCentral {
    pub fingerprint: Fingerprint,
    pub stranger: Stranger,
}

/// What a peer says of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeerSays {
    /// The centrals it is linked with.
    pub links: Vec<CentralId>,
    /// The tariff in force there: the event that set it, or [`BUILT_IN_TARIFF`]; `None`: it did not say.
    pub tariff_version: Option<String>,
    /// Its site's time zone; `None`: it did not say.
    pub time_zone: Option<String>,
}

/// How a tariff that nobody has set yet is named between centrals.
pub const BUILT_IN_TARIFF: &str = "built-in";

/// One log known here.
#[derive(Debug, Clone, PartialEq)]
pub struct LogStatus {
    pub log: LogId,
    /// Held here.
    pub have: u64,
    /// The most anyone announced.
    pub known: u64,
    /// From whom it comes.
    pub source: Option<CentralId>,
    /// What it waits for, and since when (Unix ms), if it does.
    pub waits_for: Option<String>,
    pub waits_since_ms: Option<i64>,
}

/// What came of a [`TestLink`]: the steps that were made, the last one being the one that failed, if one did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkTest {
    pub ok: bool,
    pub steps: Vec<LinkTestStep>,
    pub round_trip_ms: Option<f64>,
    pub clock_offset_ms: Option<i64>,
}

/// One step: `resolve`, `tcp`, `websocket`, `handshake`, `round_trip`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LinkTestStep {
    pub step: &'static str,
    pub ok: bool,
    pub took_ms: f64,
    /// What was found, or why it failed.
    pub detail: String,
}

/// A way to somebody that stays right when that somebody is built anew.
pub type Way<M> = Arc<dyn Fn() -> Recipient<M> + Send + Sync>;

/// The way to whoever runs the links. Cheap to clone.
#[derive(Clone)]
pub struct MeshDoor {
    status: Way<AskMesh>,
    test: Way<TestLink>,
    leave: Way<LeaveMesh>,
    invite: Way<Invite>,
}

impl MeshDoor {
    #[must_use]
    pub fn new(status: Way<AskMesh>, test: Way<TestLink>, leave: Way<LeaveMesh>, invite: Way<Invite>) -> Self {
        Self { status, test, leave, invite }
    }

    /// # Errors
    /// Whoever runs the links is just being built anew.
    pub async fn status(&self) -> Result<MeshStatus, MailboxError> {
        (self.status)().send(AskMesh).await
    }

    /// # Errors
    /// As [`MeshDoor::status`].
    pub async fn test(
        &self,
        peer: CentralId,
        told: Option<UnboundedSender<LinkTestStep>>,
    ) -> Result<Result<LinkTest, UnknownPeer>, MailboxError> {
        (self.test)().send(TestLink { peer, told }).await
    }

    /// # Errors
    /// As [`MeshDoor::status`]; or there are no random numbers for its code.
    pub async fn invite(&self, valid_ms: i64) -> Result<Result<Invited, getrandom::Error>, MailboxError> {
        (self.invite)().send(Invite { valid_ms }).await
    }

    /// # Errors
    /// As [`MeshDoor::status`].
    pub async fn leave(&self) -> Result<(), MailboxError> {
        (self.leave)().send(LeaveMesh).await
    }
}
