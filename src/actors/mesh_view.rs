//! What the mesh can be asked from outside: its state, and a test of one link. The messages between the HTTP side and
//! whoever runs the links; neither knows the other.

use actix::{Actor, Context, Handler, Message, MessageResult, Recipient};
use serde::Serialize;

use super::config_keeper::ConfigView;
use crate::domain::ids::{CentralId, LogId};

/// What is the state of the mesh, as this central sees it?
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "MeshStatus")]
pub struct AskMesh;

/// Try the connection to this peer, for real, now.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<LinkTest, UnknownPeer>")]
pub struct TestLink {
    pub peer: CentralId,
}

/// Say goodbye to all peers and start no link any more.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct LeaveMesh;

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
    pub peers: Vec<PeerStatus>,
    pub logs: Vec<LogStatus>,
}

/// One configured peer.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerStatus {
    pub id: CentralId,
    pub ip: String,
    pub port: u16,
    pub connected: bool,
    /// `connected`, or what the link waits for: `dialing`, `handshaking`, `backing_off`, `refused`, `idle`.
    pub state: String,
    /// In that state since, Unix ms.
    pub since_ms: i64,
    /// Why it is not connected, in words.
    pub reason: Option<String>,
    /// The last frame or pong, Unix ms.
    pub last_heard_ms: Option<i64>,
    pub round_trip_ms: Option<f64>,
    /// Its clock minus ours.
    pub clock_offset_ms: Option<i64>,
    pub unacked_bytes: u64,
    /// Events it announced that are not held here; and the other way round. `None`: unknown.
    pub we_lack_events: Option<u64>,
    pub it_lacks_events: Option<u64>,
}

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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkTestStep {
    pub step: &'static str,
    pub ok: bool,
    pub took_ms: f64,
    /// What was found, or why it failed.
    pub detail: String,
}

/// The way to whoever runs the links.
#[derive(Debug, Clone)]
pub struct MeshDoor {
    pub status: Recipient<AskMesh>,
    pub test: Recipient<TestLink>,
    pub leave: Recipient<LeaveMesh>,
}

/// A central without links: it shows its configured peers as what they are, not connected.
pub struct NoMesh {
    config: ConfigView,
    since_ms: i64,
}

impl NoMesh {
    /// Starts it and gives the way to it.
    #[must_use]
    pub fn start(config: ConfigView, since_ms: i64) -> MeshDoor {
        let addr = Actor::start(Self { config, since_ms });
        MeshDoor { status: addr.clone().recipient(), test: addr.clone().recipient(), leave: addr.recipient() }
    }
}

impl Actor for NoMesh {
    type Context = Context<Self>;
}

impl Handler<AskMesh> for NoMesh {
    type Result = MessageResult<AskMesh>;

    fn handle(&mut self, _: AskMesh, _: &mut Self::Context) -> Self::Result {
        let config = self.config.borrow();
        let peers = config.peer_centrals.iter().map(|peer| PeerStatus {
            id: peer.id.clone(),
            ip: peer.ip.to_string(),
            port: peer.p2p_port,
            connected: false,
            state: "idle".into(),
            since_ms: self.since_ms,
            reason: Some("this central runs without links".into()),
            last_heard_ms: None,
            round_trip_ms: None,
            clock_offset_ms: None,
            unacked_bytes: 0,
            we_lack_events: None,
            it_lacks_events: None,
        });
        MessageResult(MeshStatus { peers: peers.collect(), ..MeshStatus::default() })
    }
}

impl Handler<TestLink> for NoMesh {
    type Result = Result<LinkTest, UnknownPeer>;

    fn handle(&mut self, test: TestLink, _: &mut Self::Context) -> Self::Result {
        let config = self.config.borrow();
        config.peer(&test.peer).ok_or(UnknownPeer)?;
        Ok(LinkTest { ok: false, steps: Vec::new(), round_trip_ms: None, clock_offset_ms: None })
    }
}

impl Handler<LeaveMesh> for NoMesh {
    type Result = ();

    fn handle(&mut self, _: LeaveMesh, _: &mut Self::Context) {}
}
