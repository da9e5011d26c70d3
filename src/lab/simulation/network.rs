//! Connections of a simulated network: ordered within one, each with its own latency, and cut in every way.

use std::collections::VecDeque;

use crate::replication::peer::output::SocketId;
use crate::wire::frame::{Frame, FrameError};

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) central: usize,
    pub(super) socket: SocketId,
    /// The process at this end closed it, saw it end, or died.
    pub(super) gone: bool,
}

/// What travels.
#[derive(Debug, Clone)]
pub(super) enum Packet {
    /// A text, as whoever it reaches will read it.
    Text(Result<Frame, FrameError>),
    Ping(u64),
    Pong(u64),
    Close(String),
    /// The other side answered that it knows no such connection.
    Reset,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) ends: [End; 2],
    pub(super) latency_ms: u64,
    /// By sending end: packets under way with their time of arrival.
    pub(super) under_way: [VecDeque<(u64, Packet)>; 2],
}

/// All connections ever made, and who cannot reach whom.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) connections: Vec<Connection>,
    centrals: usize,
    blocked: Vec<bool>,
    sockets: u64,
}

impl Network {
    pub(super) fn new(centrals: usize) -> Self {
        Self { connections: Vec::new(), centrals, blocked: vec![false; centrals * centrals], sockets: 0 }
    }

    /// Joins two centrals; returns the connection's number. End 0 is the dialler's.
    pub(super) fn connect(&mut self, dialler: usize, acceptor: usize, latency_ms: u64) -> usize {
        let ends = [dialler, acceptor].map(|central| {
            self.sockets += 1;
            End { central, socket: SocketId(self.sockets), gone: false }
        });
        self.connections.push(Connection { ends, latency_ms, under_way: [VecDeque::new(), VecDeque::new()] });
        self.connections.len() - 1
    }

    /// Sends from one end. Returns when it arrives, if nothing holds it up.
    pub(super) fn send(&mut self, now_ms: u64, connection: usize, end: usize, packet: Packet) -> Option<u64> {
        let connection = self.connections.get_mut(connection)?;
        let latency_ms = connection.latency_ms;
        let queue = connection.under_way.get_mut(end)?;
        let last_ms = queue.back().map_or(0, |(at_ms, _)| *at_ms);
        let at_ms = (now_ms + latency_ms).max(last_ms);
        queue.push_back((at_ms, packet));
        Some(at_ms)
    }

    pub(super) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked.get(from * self.centrals + to).copied().unwrap_or(false)
    }

    pub(super) fn block(&mut self, from: usize, to: usize, blocked: bool) {
        if let Some(entry) = self.blocked.get_mut(from * self.centrals + to) {
            *entry = blocked;
        }
    }

    pub(super) fn heal(&mut self) {
        self.blocked.fill(false);
    }
}
