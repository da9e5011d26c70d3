//! What the actors of the mesh share. All of them live on the main arbiter, so sharing costs no lock.
//!
//! ```text
//! DbWriter ──Committed──► MeshRegistry ──► PeerLink (one per peer) ──FromLink──► SyncCoordinator ──Decide(Store)──► DbWriter
//!                              └──────────────LogsAdvanced───────────────────────►      └──ToPeer──► PeerLink
//! ```
//!
//! A [`Door`] is how one of them reaches another without knowing its type or which generation of it lives.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::Message;

use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, LogId};
use crate::ops::clock::Clock;
use crate::replication::Now;
use crate::replication::handshake::{SeenOf, SeenStart};
use crate::replication::have::Have;
use crate::replication::log::Head;
use crate::replication::peer::output::{Alarm, PeerCommand, PeerReport, ReadRun, RunRead, SocketId};

/// What this central holds durably. Written by the registry alone, after a commit and before anyone is told of it.
pub type SharedHave = Rc<RefCell<Have>>;

/// Reads a run from the disk, on another thread.
pub type RunReader = Rc<dyn Fn(ReadRun) -> Pin<Box<dyn Future<Output = RunRead>>>>;

/// A way to whoever handles `M`, set once the receiver exists.
pub struct Door<M>(Rc<RefCell<Option<Receiver<M>>>>);

type Receiver<M> = Box<dyn Fn(M)>;

impl<M> Clone for Door<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Default for Door<M> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

impl<M> Door<M> {
    pub fn lead_to(&self, receiver: impl Fn(M) + 'static) {
        *self.0.borrow_mut() = Some(Box::new(receiver));
    }

    /// Hands `message` over. Before the receiver exists nobody has anything to say to it.
    pub fn send(&self, message: M) {
        if let Some(receiver) = &*self.0.borrow() {
            receiver(message);
        }
    }
}

/// A link's report to the coordinator.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FromLink {
    pub peer: CentralId,
    pub report: PeerReport,
}

/// The coordinator's wish, for the link of one peer.
#[derive(Debug)]
pub struct ToPeer {
    pub peer: CentralId,
    pub link: SocketId,
    pub command: PeerCommand,
}

/// What the links and the coordinator tell the registry.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum LinkNews {
    /// The link to this peer stands.
    Up(CentralId),
    Down,
    Alarm(Alarm),
}

/// These logs are durable up to there; [`SharedHave`] shows it already.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct LogsAdvanced {
    pub heads: Arc<[(LogId, Head)]>,
    /// The log this process writes, if it has one.
    pub own_log: Option<LogId>,
}

/// The clocks of the replication core.
#[derive(Debug, Clone, Copy)]
pub struct MeshClock {
    started: Instant,
    wall: Clock,
}

impl MeshClock {
    pub fn start(wall: Clock) -> Self {
        Self { started: Instant::now(), wall }
    }

    pub fn now(&self) -> Now {
        let mono_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono_ms, wall_ms: self.wall.now_ms() }
    }

    /// The wall clock at a moment of the monotonic one.
    pub fn wall_of(&self, mono_ms: u64) -> i64 {
        let now = self.now();
        let ago_ms = i64::try_from(now.mono_ms).unwrap_or(i64::MAX) - i64::try_from(mono_ms).unwrap_or(i64::MAX);
        now.wall_ms.saturating_sub(ago_ms)
    }
}

/// Numbers sockets, over all links and their restarts.
#[derive(Debug, Clone, Default)]
pub struct SocketNumbers(Rc<Cell<u64>>);

impl SocketNumbers {
    pub fn next(&self) -> SocketId {
        self.0.set(self.0.get() + 1);
        SocketId(self.0.get())
    }
}

/// Which start of each peer was seen last, by this process or by those before it: outlives the links. Clones are the same.
#[derive(Clone)]
pub struct SeenStarts {
    last: Rc<RefCell<BTreeMap<CentralId, (String, SeenStart)>>>,
    /// Where it is noted for good.
    note: Door<SeenOf>,
}

impl SeenStarts {
    /// With what was noted.
    pub fn new(noted: Vec<SeenOf>, note: Door<SeenOf>) -> Self {
        let last = noted.into_iter().map(|(central, key, seen)| (central, (key, seen))).collect();
        Self { last: Rc::new(RefCell::new(last)), note }
    }

    /// The last one of a peer, unless it had another certificate then: its machine was replaced.
    pub fn of(&self, peer: &CentralId, pin: Option<Fingerprint>) -> Option<SeenStart> {
        let last = self.last.borrow();
        last.get(peer).filter(|(key, _)| *key == text(pin)).map(|(_, seen)| *seen)
    }

    pub fn saw(&self, peer: &CentralId, pin: Option<Fingerprint>, seen: SeenStart) {
        self.last.borrow_mut().insert(peer.clone(), (text(pin), seen));
        self.note.send((peer.clone(), text(pin), seen));
    }
}

fn text(pin: Option<Fingerprint>) -> String {
    pin.map(|pin| pin.to_string()).unwrap_or_default()
}
