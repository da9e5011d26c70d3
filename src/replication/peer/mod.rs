//! One configured peer: dialling, the one socket in use, its handshake and life, and the cursors on both sides of it.
//!
//! It outlives its sockets. At most one socket at a time is the *link*; everything that belongs to a link (subscriptions,
//! window, what the peer announced) ends with it.

pub mod output;
pub mod status;

use crate::domain::ids::CentralId;
use crate::replication::backoff::BackoffRange;
use crate::replication::committed::CommittedRun;
use crate::replication::handshake::Identity;
use crate::replication::have::Have;
use crate::replication::now::Now;
use crate::wire::decode::FrameError;
use crate::wire::frame::{Frame, Heartbeat, Hello};
use output::{PeerCommand, PeerOutput, RunRead, SocketId};
use status::PeerStatus;

/// What does not change while a [`Peer`] lives.
#[derive(Debug, Clone)]
pub struct PeerSettings {
    pub own: Identity,
    pub peer: CentralId,
    pub dial_backoff: BackoffRange,
}

/// One peer's state machine.
#[derive(Debug)]
pub struct Peer {
    settings: PeerSettings,
    outputs: Vec<PeerOutput>,
}

impl Peer {
    /// Dials at the first `tick`. `seed`: any random number; it decides the jitter.
    #[must_use]
    pub fn new(settings: PeerSettings, now: Now, seed: u64) -> Self {
        let _ = (now, seed);
        Self { settings, outputs: Vec::new() }
    }

    /// Call when [`Peer::next_wakeup_ms`] is due, and once at the start; harmless at any time.
    pub fn tick(&mut self, now: Now, held: &Have) {
        let _ = (now, held);
    }

    /// When `tick` has something to do next, on the monotonic clock.
    #[must_use]
    pub fn next_wakeup_ms(&self) -> Option<u64> {
        None
    }

    /// The dial succeeded: a WebSocket with our subprotocol.
    pub fn dialled(&mut self, now: Now, attempt: u64, socket: SocketId) {
        let _ = (now, attempt, socket);
    }

    /// The dial failed or ran out of time.
    pub fn dial_failed(&mut self, now: Now, attempt: u64, reason: String) {
        let _ = (now, attempt, reason);
    }

    /// The peer dialled us and said HELLO, which [`Identity::check`] let pass.
    pub fn accepted(&mut self, now: Now, held: &Have, socket: SocketId, hello: &Hello) {
        let _ = (now, held, socket, hello);
    }

    /// A text frame came.
    pub fn received(&mut self, now: Now, held: &Have, socket: SocketId, frame: Result<Frame, FrameError>) {
        let _ = (now, held, socket, frame);
    }

    /// A ping returned.
    pub fn pong(&mut self, now: Now, held: &Have, socket: SocketId, payload: u64) {
        let _ = (now, held, socket, payload);
    }

    /// The socket ended.
    pub fn closed(&mut self, now: Now, held: &Have, socket: SocketId, reason: &str) {
        let _ = (now, held, socket, reason);
    }

    /// These runs are durable now, own ones and others'. `held` shows them already.
    pub fn committed(&mut self, now: Now, held: &Have, runs: &[CommittedRun]) {
        let _ = (now, held, runs);
    }

    /// A read that was asked for is done.
    pub fn run_read(&mut self, now: Now, held: &Have, read: RunRead) {
        let _ = (now, held, read);
    }

    /// The coordinator wants something. Ignored unless `link` is the link in use.
    pub fn command(&mut self, now: Now, link: SocketId, command: PeerCommand) {
        let _ = (now, link, command);
    }

    /// Dial at once if there is no link ("test connection", or contact from the peer's address).
    pub fn retry_now(&mut self, now: Now) {
        let _ = now;
    }

    /// What the next HEARTBEATs say besides the wall clock.
    pub fn set_heartbeat(&mut self, heartbeat: Heartbeat) {
        let _ = heartbeat;
    }

    /// The coordinator was started anew and knows nothing: ends its subscriptions and reports the link and what the peer
    /// holds again.
    pub fn coordinator_restarted(&mut self, now: Now) {
        let _ = now;
    }

    /// Says goodbye on every socket and never dials again.
    pub fn stop(&mut self, now: Now) {
        let _ = now;
    }

    /// What there is to do, in order. Call after every other call.
    pub fn take_outputs(&mut self) -> Vec<PeerOutput> {
        std::mem::take(&mut self.outputs)
    }

    /// The link in use, if any.
    #[must_use]
    pub fn link(&self) -> Option<SocketId> {
        None
    }

    #[must_use]
    pub fn status(&self, held: &Have) -> PeerStatus {
        let _ = (held, &self.settings);
        PeerStatus {
            peer: self.settings.peer.clone(),
            state: status::LinkState::Disconnected,
            since_mono_ms: 0,
            last_error: None,
            next_dial_mono_ms: None,
            failed_dials: 0,
            last_heard_mono_ms: None,
            round_trip_ms: None,
            clock_offset_ms: None,
            lag: std::collections::BTreeMap::new(),
            unacked_bytes: 0,
            serving: 0,
            following: 0,
            links: Vec::new(),
            digests: std::collections::BTreeMap::new(),
            counters: status::Counters::default(),
        }
    }
}
