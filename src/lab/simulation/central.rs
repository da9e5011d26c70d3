//! One simulated central: the machines, a mailbox between them as actors have, a disk, and what does the shell's part.

use std::collections::{BTreeMap, VecDeque};

use super::replica::{Replica, ReplicaJob};
use super::world::Event;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, LogId};
use crate::replication::Now;
use crate::replication::backoff::BackoffRange;
use crate::replication::coordinator::Coordinator;
use crate::replication::handshake::{Identity, MOST_TOLD, SeenStart};
use crate::replication::have::Have;
use crate::replication::log::CommittedRun;
use crate::replication::peer::output::{PeerCommand, PeerReport, SocketId};
use crate::replication::peer::{Peer, PeerSettings};
use crate::trust::site::OwnSite;
use crate::wire::frame::{Instance, Start};

/// What all wall clocks would show at the start if they were right, Unix ms.
const EPOCH_MS: i64 = 1_760_000_000_000;

/// What one actor sends another within a central: delivered later, in order.
#[derive(Debug, Clone)]
pub(super) enum Mail {
    Report(usize, PeerReport),
    Command(usize, SocketId, PeerCommand),
    Committed(Vec<CommittedRun>, Option<LogId>),
    StoreFailed(LogId),
    StoreRefused(LogId, String),
}

/// What a directory remembers besides events.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    /// Of all processes on it, the first one first.
    pub(super) starts: Vec<Instance>,
    /// The last start seen of each peer.
    pub(super) seen: BTreeMap<usize, SeenStart>,
}

/// Where a socket leads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Socket {
    pub(super) connection: usize,
    pub(super) end: usize,
    /// `None`: dialled by somebody who has not said HELLO yet.
    pub(super) peer: Option<usize>,
}

pub(super) struct Central {
    pub(super) index: usize,
    pub(super) identity: Identity,
    pub(super) alive: bool,
    /// The machine has power: its kernel answers for processes that are gone.
    pub(super) powered: bool,
    /// Counts processes: what was meant for an earlier one is void.
    pub(super) life: u64,
    pub(super) peers: BTreeMap<usize, Peer>,
    pub(super) coordinator: Coordinator,
    pub(super) have: Have,
    pub(super) disk: Replica,
    pub(super) notes: Notes,
    /// Another copy of the directory, put aside.
    pub(super) backup: Option<(Replica, Notes)>,
    /// What is authored next goes into a new log.
    pub(super) new_epoch: bool,
    pub(super) sockets: BTreeMap<SocketId, Socket>,
    pub(super) mailbox: VecDeque<Mail>,
    pub(super) queue: Vec<ReplicaJob>,
    pub(super) committing: Option<Vec<ReplicaJob>>,
    pub(super) wake_at_ms: Option<u64>,
    pub(super) paused_until_ms: u64,
    /// What came while the machine stood still.
    pub(super) held_up: Vec<Event>,
    pub(super) slow_until_ms: u64,
    pub(super) failing_until_ms: u64,
    pub(super) clock_offset_ms: i64,
    /// The process dies at its next commit.
    pub(super) dies: Option<Death>,
}

/// How a process will die at a commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death {
    pub(super) point: CrashPoint,
    pub(super) power: bool,
    /// When the next process starts.
    pub(super) until_ms: u64,
}

/// Where in a commit a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrashPoint {
    Before,
    /// After so many writes.
    Within(u32),
    /// Durable, and nobody was told.
    After,
}

/// The id of the central with this number.
pub(super) fn central_id(index: usize) -> CentralId {
    let text = format!("c{index}");
    match CentralId::new(&text) {
        Ok(id) => id,
        Err(_) => unreachable!("a letter and digits are a central id"),
    }
}

/// Its certificate, which is that of every machine with its key.
pub(super) fn certificate_of(central: &CentralId) -> Fingerprint {
    Fingerprint::of_certificate(central.as_str().as_bytes())
}

impl Central {
    /// `id`: the number in its central id, which is its own place unless it is somebody's double.
    pub(super) fn new(index: usize, id: usize, disk: Replica) -> Self {
        Self {
            index,
            identity: Identity {
                central: central_id(id),
                instance: Instance(0),
                listens: None,
                start: None,
                site: OwnSite::of_nobody(),
            },
            alive: false,
            powered: true,
            life: 0,
            peers: BTreeMap::new(),
            coordinator: Coordinator::new(),
            have: Have::default(),
            disk,
            notes: Notes::default(),
            backup: None,
            new_epoch: false,
            sockets: BTreeMap::new(),
            mailbox: VecDeque::new(),
            queue: Vec::new(),
            committing: None,
            wake_at_ms: None,
            paused_until_ms: 0,
            held_up: Vec::new(),
            slow_until_ms: 0,
            failing_until_ms: 0,
            clock_offset_ms: 0,
            dies: None,
        }
    }

    pub(super) fn now(&self, now_ms: u64) -> Now {
        let wall_ms = EPOCH_MS + i64::try_from(now_ms).unwrap_or(0) + self.clock_offset_ms;
        Now { mono_ms: now_ms, wall_ms }
    }

    /// A new process starts with what the disk holds.
    pub(super) fn start(&mut self, now_ms: u64, instance: u64, peers: impl Iterator<Item = (usize, u64)>) {
        self.alive = true;
        self.powered = true;
        self.identity.instance = Instance(instance);
        let earlier: Vec<Instance> = self.notes.starts.iter().rev().take(MOST_TOLD).copied().collect();
        self.notes.starts.push(Instance(instance));
        self.identity.start = Some(Start { number: self.notes.starts.len() as u64, earlier });
        self.have = self.disk.heads();
        self.coordinator = Coordinator::new();
        let now = self.now(now_ms);
        self.peers = peers.map(|(index, seed)| (index, self.new_peer(now, index, seed))).collect();
    }

    pub(super) fn new_peer(&self, now: Now, index: usize, seed: u64) -> Peer {
        let settings =
            PeerSettings { own: self.identity.clone(), peer: central_id(index), dial_backoff: BackoffRange::DIAL };
        let mut peer = Peer::new(settings, now, seed);
        peer.remember(self.notes.seen.get(&index).copied());
        peer
    }

    /// The process is gone, and all that was only in its memory.
    pub(super) fn die(&mut self) {
        self.alive = false;
        self.life += 1;
        self.peers.clear();
        self.sockets.clear();
        self.mailbox.clear();
        self.queue.clear();
        self.committing = None;
        self.new_epoch = false;
        self.dies = None;
        self.wake_at_ms = None;
        self.paused_until_ms = 0;
    }

    /// When one of the machines wants to be woken.
    pub(super) fn next_wakeup_ms(&self) -> Option<u64> {
        self.peers.values().filter_map(Peer::next_wakeup_ms).chain(self.coordinator.next_wakeup_ms()).min()
    }
}
