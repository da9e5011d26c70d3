//! Connections as the centrals see them: dials, sockets, arrivals, and processes that come and go.

use super::central::Socket;
use super::network::Packet;
use super::world::{Event, World};
use crate::replication::handshake::HelloRefusal;
use crate::replication::peer::output::{Alarm, SocketId};
use crate::wire::frame::{Encoder, Frame, FrameError, Hello};

/// How long a dial into the void takes, in virtual ms.
const DIAL_TIMEOUT_MS: u64 = 2_000;

impl World<'_> {
    /// A dial reaches the other side, or does not.
    pub(super) fn dial_arrives(&mut self, central: usize, peer: usize, attempt: u64, latency_ms: u64) {
        let Some(life) = self.centrals.get(central).map(|state| state.life) else { return };
        let reached = self.misdirected.get(&(central, peer)).copied().unwrap_or(peer);
        let Some(target) = self.centrals.get(reached) else { return };
        let unreachable = self.network.is_blocked(central, reached)
            || self.network.is_blocked(reached, central)
            || !target.powered
            || target.paused_until_ms > self.now_ms;
        if unreachable {
            let (at_ms, reason) = (self.now_ms + DIAL_TIMEOUT_MS - latency_ms, "timed out");
            return self.schedule(at_ms, Event::DialFails { central, life, peer, attempt, reason });
        }
        if !target.alive {
            let (at_ms, reason) = (self.now_ms + latency_ms, "connection refused");
            return self.schedule(at_ms, Event::DialFails { central, life, peer, attempt, reason });
        }
        if self.turns_away(reached, central) {
            let (at_ms, reason) = (self.now_ms + latency_ms, "its certificate is refused");
            return self.schedule(at_ms, Event::DialFails { central, life, peer, attempt, reason });
        }
        let connection = self.network.connect(central, reached, latency_ms);
        let Some(socket) = self.network.connections.get(connection).map(|made| made.ends[1].socket) else { return };
        if let Some(target) = self.centrals.get_mut(reached) {
            target.sockets.insert(socket, Socket { connection, end: 1, peer: None });
        }
        self.schedule(self.now_ms + latency_ms, Event::Dialled { central, life, peer, attempt, connection });
    }

    pub(super) fn dialled(&mut self, central: usize, life: u64, peer: usize, attempt: u64, connection: usize) {
        let Some(socket) = self.network.connections.get(connection).map(|made| made.ends[0].socket) else { return };
        let Some(state) = self.centrals.get_mut(central) else { return };
        if !state.alive || state.life != life {
            // The dialler is gone: its kernel says so.
            return self.end_connection(connection, 0, Some("reset"));
        }
        if !state.peers.contains_key(&peer) {
            return self.end_connection(connection, 0, Some("expelled"));
        }
        state.sockets.insert(socket, Socket { connection, end: 0, peer: Some(peer) });
        self.with_peer(central, peer, |peer, now, _| peer.dialled(now, attempt, socket));
    }

    pub(super) fn send(&mut self, central: usize, socket: SocketId, packet: Packet) {
        let Some(state) = self.centrals.get(central) else { return };
        if let Some(Socket { connection, end, .. }) = state.sockets.get(&socket).copied() {
            self.transmit(connection, end, packet);
        }
    }

    pub(super) fn transmit(&mut self, connection: usize, end: usize, mut packet: Packet) {
        self.damage(connection, end, &mut packet);
        if let Some(at_ms) = self.network.send(self.now_ms, connection, end, packet) {
            self.schedule(at_ms, Event::Arrive { connection, from_end: end });
        }
    }

    pub(super) fn close(&mut self, central: usize, socket: SocketId, reason: &str) {
        let Some(state) = self.centrals.get_mut(central) else { return };
        if let Some(Socket { connection, end, .. }) = state.sockets.remove(&socket) {
            self.end_connection(connection, end, Some(reason));
        }
    }

    /// One end of a connection is over; the other is told, or not.
    pub(super) fn end_connection(&mut self, connection: usize, end: usize, told: Option<&str>) {
        if let Some(made) = self.network.connections.get_mut(connection)
            && let Some(end) = made.ends.get_mut(end)
        {
            end.gone = true;
        }
        if let Some(reason) = told {
            self.transmit(connection, end, Packet::Close(reason.to_owned()));
        }
    }

    pub(super) fn receiver(&self, connection: usize, from_end: usize) -> Option<usize> {
        self.network.connections.get(connection)?.ends.get(1 - from_end).map(|end| end.central)
    }

    /// A packet reaches the other end, if the way is free.
    pub(super) fn arrive(&mut self, connection: usize, from_end: usize) {
        let now_ms = self.now_ms;
        let Some(made) = self.network.connections.get(connection) else { return };
        let (Some(from), Some(to)) = (made.ends.get(from_end).copied(), made.ends.get(1 - from_end).copied()) else {
            return;
        };
        if self.network.is_blocked(from.central, to.central) {
            // Held up until the way is free.
            return;
        }
        let Some(queue) =
            self.network.connections.get_mut(connection).and_then(|made| made.under_way.get_mut(from_end))
        else {
            return;
        };
        if queue.front().is_none_or(|(at_ms, _)| *at_ms > now_ms) {
            return;
        }
        let Some((_, packet)) = queue.pop_front() else { return };
        if to.central == self.stranger() {
            return self.stranger_hears(connection, &packet);
        }
        if to.gone {
            let powered = self.centrals.get(to.central).is_some_and(|central| central.powered);
            if powered && !matches!(packet, Packet::Close(_) | Packet::Reset) {
                self.transmit(connection, 1 - from_end, Packet::Reset);
            }
            return;
        }
        if self.serve_invented(connection, from_end, &packet) {
            return;
        }
        match packet {
            Packet::Text(frame) => self.text_arrives(to.central, to.socket, frame),
            Packet::Ping(payload) => self.send(to.central, to.socket, Packet::Pong(payload)),
            Packet::Pong(payload) => {
                if let Some(peer) = self.owner(to.central, to.socket) {
                    let socket = to.socket;
                    self.with_peer(to.central, peer, |peer, now, have| peer.pong(now, have, socket, payload));
                }
            }
            Packet::Close(reason) => self.socket_ended(to.central, to.socket, &reason),
            Packet::Reset => self.socket_ended(to.central, to.socket, "reset by peer"),
        }
    }

    fn owner(&self, central: usize, socket: SocketId) -> Option<usize> {
        self.centrals.get(central)?.sockets.get(&socket)?.peer
    }

    fn text_arrives(&mut self, central: usize, socket: SocketId, frame: Result<Frame, FrameError>) {
        match (self.owner(central, socket), frame) {
            (Some(peer), frame) => {
                self.with_peer(central, peer, |peer, now, have| peer.received(now, have, socket, frame));
            }
            (None, Ok(Frame::Hello(hello))) => self.hello_arrives(central, socket, hello),
            (None, _) => self.refuse(central, socket, &HelloRefusal::HelloExpected),
        }
    }

    /// Shows somebody who cannot be a peer the door.
    fn refuse(&mut self, central: usize, socket: SocketId, refusal: &HelloRefusal) {
        let Some(state) = self.centrals.get(central) else { return };
        let encoder = Encoder::new(state.identity.central.clone());
        let text = encoder.encode(state.now(self.now_ms).wall_ms, &Frame::Error(refusal.frame()));
        if let HelloRefusal::DuplicateCentralId(id) = refusal {
            self.alarm(central, &Alarm::DuplicateCentralId { central: id.clone() });
        }
        self.send_text(central, socket, text);
        self.close(central, socket, refusal.code());
    }

    /// An inbound socket says whose it is.
    fn hello_arrives(&mut self, central: usize, socket: SocketId, hello: Hello) {
        let Some(state) = self.centrals.get(central) else { return };
        let peer = self.centrals.iter().position(|other| other.identity.central == hello.central);
        let checked = state.identity.check(&hello).and_then(|()| {
            peer.filter(|peer| state.peers.contains_key(peer))
                .ok_or_else(|| HelloRefusal::NotConfigured(hello.central.clone()))
        });
        match checked {
            Ok(peer) => {
                if let Some(entry) = self.centrals.get_mut(central).and_then(|state| state.sockets.get_mut(&socket)) {
                    entry.peer = Some(peer);
                }
                self.with_peer(central, peer, |peer, now, have| peer.accepted(now, have, socket, hello));
            }
            Err(refusal) => self.refuse(central, socket, &refusal),
        }
    }

    pub(super) fn socket_ended(&mut self, central: usize, socket: SocketId, reason: &str) {
        self.note(|| format!("c{central} sees {socket:?} end: {reason}"));
        let Some(state) = self.centrals.get_mut(central) else { return };
        let Some(Socket { connection, end, peer }) = state.sockets.remove(&socket) else { return };
        self.end_connection(connection, end, None);
        if let Some(peer) = peer {
            self.with_peer(central, peer, |peer, now, have| peer.closed(now, have, socket, reason));
        }
    }

    /// Packets that a blocked way has held up are on their way again, in order.
    pub(super) fn release_held_up(&mut self) {
        let mut arrivals = Vec::new();
        for (connection, made) in self.network.connections.iter().enumerate() {
            for (from_end, queue) in made.under_way.iter().enumerate() {
                arrivals.extend(queue.iter().map(|(at_ms, _)| (*at_ms, Event::Arrive { connection, from_end })));
            }
        }
        for (at_ms, event) in arrivals {
            self.schedule(at_ms, event);
        }
    }

    /// Breaks one connection of a central.
    pub(super) fn cut(&mut self, central: usize, both_see_it: bool) -> bool {
        let turn = self.random.next_u64();
        let Some(state) = self.centrals.get(central).filter(|state| state.alive) else { return false };
        let sockets: Vec<SocketId> = state.sockets.keys().copied().collect();
        let index = usize::try_from(turn % sockets.len().max(1) as u64).unwrap_or(0);
        let Some(socket) = sockets.get(index).copied() else { return false };
        let Some(Socket { connection, end, .. }) = state.sockets.get(&socket).copied() else { return false };
        let Some(other) = self.network.connections.get_mut(connection) else { return false };
        for queue in &mut other.under_way {
            queue.clear();
        }
        if both_see_it {
            self.transmit(connection, end, Packet::Reset);
        }
        self.socket_ended(central, socket, "broken");
        true
    }
}
