//! Peers that say what is not so, logs with events nobody wrote, and strangers at the door.

use super::central::Socket;
use super::network::Packet;
use super::replica::ReplicaJob;
use super::world::{Event, World};
use crate::domain::ids::{Epoch, LogId};
use crate::replication::handshake::Identity;
use crate::replication::log::{ChainHash, EventBytes, Head, Run};
use crate::trust::site::OwnSite;
use crate::wire::frame::{Encoder, ErrorFrame, Frame, Instance, SyncRefusal, SyncRefused, SyncRequest, Versions, code};

/// In every event that its author did not write.
pub(super) const FORGED: &str = "\"FORGED\"";

/// One side of a connection, and who hears it.
#[derive(Debug, Clone, Copy)]
struct Mouth {
    connection: usize,
    end: usize,
    hearer: usize,
}

impl World<'_> {
    /// One frame that is wrong, on a link of this central: made up, and whoever sends it is replaced later; or a true one that
    /// is damaged on its way.
    pub(super) fn lie(&mut self, liar: usize, until_ms: u64) -> bool {
        let Some(mouth) = self.mouth(liar) else { return false };
        self.justified.extend(["log_forked", "broken_run", "own_log_ahead", "duplicate_central_id", "read_failed"]);
        self.justified.extend(["bad_frame", "oversized_event", "log_not_its_authors", "link_not_moving"]);
        // The lie may be the first that is heard on a link.
        self.truth.errors.extend([code::BAD_FRAME, code::UNASKED_RUN, code::HELLO_EXPECTED]);
        if self.random.below(4) == 0 {
            self.note(|| format!("the next run to c{} will be damaged", mouth.hearer));
            self.damaging.insert((mouth.connection, mouth.end));
            return true;
        }
        let text = self.lie_text(liar, mouth.hearer);
        self.say(mouth, text, until_ms);
        true
    }

    /// Events that go on soundly from where the hearer stands in a log, and that its author did not write.
    pub(super) fn forge(&mut self, liar: usize, until_ms: u64) -> bool {
        let Some(mouth) = self.mouth(liar) else { return false };
        let Some((sub, log, head)) = self.log_to_forge(mouth) else { return false };
        self.justified.extend(["log_forked", "own_log_ahead", "log_not_its_authors"]);
        let mut run = Run { log, after: head.to, prev: head.hash, events: Vec::new(), hash: head.hash };
        for _ in 0..=self.random.below(3) {
            let number = self.random.next_u64();
            let event: EventBytes = format!(r#"{{"type":"FORGED","n":{number}}}"#).into();
            run.hash = run.hash.extend(&event);
            run.events.push(event);
        }
        self.truth.forged(&run);
        let text = self.encode(liar, &Frame::SyncRun { sub, run });
        self.say(mouth, text, until_ms);
        true
    }

    /// Somebody has a central in his hands and writes into its own log what harms most.
    pub(super) fn write_evil(&mut self, author: usize) -> bool {
        if self.centrals.get(author).is_none_or(|state| !state.alive) {
            return false;
        }
        let (number, asked) = (self.random.next_u64(), self.asked);
        let payload = format!(r#"{{"n":{number},"asked":{asked},"evil":true}}"#);
        self.enqueue(author, ReplicaJob::Author(payload.into()));
        true
    }

    /// A hearer asks for a log that a liar announced and that does not exist: it gets one, begun in another's name.
    pub(super) fn serve_invented(&mut self, connection: usize, from_end: usize, packet: &Packet) -> bool {
        let Packet::Text(Ok(Frame::SyncRequest(request))) = packet else { return false };
        if !self.invented.contains(&request.log) {
            return false;
        }
        let log = request.log.clone();
        let mut run = Run { log, after: 0, prev: request.hash, events: Vec::new(), hash: request.hash };
        for seq in 1..=1 + self.random.below(3) {
            let event: EventBytes = format!(r#"{{"type":"FORGED","n":{seq}}}"#).into();
            run.hash = run.hash.extend(&event);
            run.events.push(event);
        }
        self.truth.forged(&run);
        let frame = Frame::SyncRun { sub: request.sub, run };
        self.note(|| format!("an invented log: {frame:?}"));
        self.transmit(connection, 1 - from_end, Packet::Text(Ok(frame)));
        true
    }

    /// Somebody dials who is not what a peer is, and is refused; or who says it is a peer.
    pub(super) fn stranger_knocks(&mut self, at: usize, other: usize) -> bool {
        let (turn, number, now_ms) = (self.random.below(6), self.random.next_u64(), self.now_ms);
        let Some(state) = self.centrals.get(at).filter(|state| state.alive && state.paused_until_ms <= now_ms) else {
            return false;
        };
        let nobody = || super::central::central_id(usize::from(u16::MAX));
        let peer = self.centrals.get(other).map_or_else(nobody, |other| other.identity.central.clone());
        let central = match turn {
            0 | 1 => nobody(),
            2 => state.identity.central.clone(),
            _ => peer,
        };
        let mut hello =
            Identity { central, instance: Instance(number), listens: None, start: None, site: OwnSite::of_nobody() }
                .hello(0);
        if turn == 3 {
            hello.versions = Versions { min: 90, max: 99 };
        }
        let encoder = Encoder::new(hello.central.clone());
        let text = match turn {
            1 => "GET / HTTP/1.1".to_owned(),
            4 => encoder.encode(0, &Frame::SyncStop { sub: 1 }),
            _ => encoder.encode(0, &Frame::Hello(hello)),
        };
        self.truth.errors.extend([
            code::IDENTITY,
            code::DUPLICATE_CENTRAL_ID,
            code::VERSION,
            code::HELLO_EXPECTED,
            code::BAD_FRAME,
        ]);
        self.justified.insert("duplicate_central_id");
        let connection = self.network.connect(self.stranger(), at, 1 + number % 40);
        let Some(socket) = self.network.connections.get(connection).map(|made| made.ends[1].socket) else {
            return false;
        };
        if let Some(state) = self.centrals.get_mut(at) {
            state.sockets.insert(socket, Socket { connection, end: 1, peer: None });
        }
        self.lies.insert(connection);
        if turn == 5 {
            self.impostors.insert(connection);
        }
        self.transmit(connection, 0, Packet::Text(Frame::parse(&text)));
        self.transmit(connection, 0, Packet::Text(Frame::parse("{}")));
        true
    }

    /// The place nobody of the mesh is at.
    pub(super) fn stranger(&self) -> usize {
        self.members() + 1
    }

    /// What a stranger is told.
    pub(super) fn stranger_hears(&mut self, connection: usize, packet: &Packet) {
        let Packet::Text(frame) = packet else { return };
        let refused = matches!(frame, Ok(Frame::Error(_)));
        if !refused && !self.impostors.contains(&connection) {
            self.broken = Some(format!("a stranger was told {frame:?}"));
        }
    }

    /// Whoever lied on this connection is gone, and the connection with it.
    pub(super) fn end_lies(&mut self, connection: usize) {
        self.lies.remove(&connection);
        let Some(made) = self.network.connections.get_mut(connection) else { return };
        let ends = made.ends;
        for queue in &mut made.under_way {
            queue.clear();
        }
        for (index, end) in ends.iter().enumerate().filter(|(_, end)| !end.gone) {
            self.end_connection(connection, index, None);
            self.socket_ended(end.central, end.socket, "the peer is replaced");
        }
    }

    /// A connection of this central to a peer that is up.
    fn mouth(&mut self, liar: usize) -> Option<Mouth> {
        let turn = self.random.next_u64();
        let state = self.centrals.get(liar).filter(|state| state.alive)?;
        let linked: Vec<Socket> = state.sockets.values().filter(|socket| socket.peer.is_some()).copied().collect();
        let Socket { connection, end, .. } = *linked.get(usize::try_from(turn % linked.len().max(1) as u64).ok()?)?;
        let made = self.network.connections.get(connection)?;
        let hearer = made.ends.get(1 - end).filter(|end| !end.gone)?.central;
        (hearer < self.centrals.len()).then_some(Mouth { connection, end, hearer })
    }

    /// Where the next run of this end is to arrive damaged, and this is one: its hash is another.
    pub(super) fn damage(&mut self, connection: usize, end: usize, packet: &mut Packet) {
        if !self.damaging.contains(&(connection, end)) {
            return;
        }
        let Packet::Text(Ok(Frame::SyncRun { run, .. })) = packet else { return };
        self.damaging.remove(&(connection, end));
        run.hash = ChainHash([0xda; 32]);
    }

    fn say(&mut self, mouth: Mouth, text: String, until_ms: u64) {
        self.note(|| format!("a lie to c{}: {}", mouth.hearer, text.chars().take(300).collect::<String>()));
        self.transmit(mouth.connection, mouth.end, Packet::Text(Frame::parse(&text)));
        self.lies.insert(mouth.connection);
        self.schedule(until_ms, Event::EndLies { connection: mouth.connection });
    }

    fn encode(&self, by: usize, frame: &Frame) -> String {
        let Some(state) = self.centrals.get(by) else { return String::new() };
        Encoder::new(state.identity.central.clone()).encode(state.now(self.now_ms).wall_ms, frame)
    }

    /// A log that the hearer asked for on this connection and holds something of, more likely one that is being written.
    fn log_to_forge(&mut self, mouth: Mouth) -> Option<(u64, LogId, Head)> {
        let turn = self.random.next_u64();
        let only_current = self.random.below(4) > 0;
        let current: Vec<LogId> = self.centrals.iter().filter_map(|central| central.disk.own_log()).collect();
        let have = self.centrals.get(mouth.hearer)?.disk.heads();
        let ends = &self.network.connections.get(mouth.connection)?.ends;
        let (ear, lips) = (ends.get(1 - mouth.end)?.socket, ends.get(mouth.end)?.socket);
        // Who sends after a refusal is told that nobody asked, and that is no news.
        let asked = self.truth.asked_by(ear, lips).filter(|(_, log)| !only_current || current.contains(log));
        let logs: Vec<(u64, LogId, Head)> =
            asked.filter_map(|(sub, log)| Some((sub, log.clone(), have.head(log)?))).collect();
        logs.get(usize::try_from(turn % logs.len().max(1) as u64).ok()?).cloned()
    }

    /// The number under which the hearer follows a log on some connection with the liar.
    fn sub_of(&self, liar: usize, hearer: usize, log: &LogId) -> Option<u64> {
        let (ears, lips) = (self.centrals.get(hearer)?, self.centrals.get(liar)?);
        let pairs = ears.sockets.keys().flat_map(|ear| lips.sockets.keys().map(move |lip| (*ear, *lip)));
        let mut subs = pairs.flat_map(|(ear, lip)| self.truth.asked_by(ear, lip));
        subs.find(|(_, asked)| *asked == log).map(|(sub, _)| sub)
    }

    fn lie_text(&mut self, liar: usize, hearer: usize) -> String {
        let (turn, number, sub) = (self.random.below(15), self.random.next_u64(), 1 + self.random.below(12));
        let wrong = ChainHash([u8::try_from(number % 256).unwrap_or(0); 32]);
        let have = self.centrals.get(hearer).map(|hearer| hearer.disk.heads()).unwrap_or_default();
        let known = have.iter().nth(usize::try_from(number).unwrap_or(0) % have.len().max(1));
        let nobodys = LogId { central: super::central::central_id(hearer), epoch: Epoch(number) };
        let (log, head) =
            known.map_or((nobodys.clone(), Head { to: 3, hash: wrong }), |(log, head)| (log.clone(), head));
        let event: EventBytes = r#"{"type":"FORGED"}"#.into();
        let run = |after, prev| Run { log: log.clone(), after, prev, events: vec![event.clone()], hash: wrong };
        let frame = match turn {
            0 => return "\u{7b}\"type\":".to_owned(),
            1 => return r#"{"type":"SYNC_RESPONSE","source_central":"c0","timestamp":1,"data":{"sub":-4}}"#.to_owned(),
            2 => Frame::SyncAck { sub, head: Head { to: head.to + number % 5, hash: wrong } },
            3 => Frame::SyncStop { sub },
            4 => Frame::SyncRequest(SyncRequest { sub, log: nobodys, after: 7, hash: wrong }),
            5 => Frame::SyncRequest(SyncRequest { sub: sub + 100, log, after: head.to, hash: wrong }),
            6 => Frame::HaveLogs([(log, Head { to: head.to + 1 + number % 9, hash: wrong })].into()),
            7 => Frame::HaveLogs([(log, Head { to: head.to, hash: wrong })].into()),
            13 => {
                // Long ones, and of centrals that do not exist.
                let central = super::central::central_id(if number % 2 == 0 { hearer } else { 77 });
                let invented = LogId { central, epoch: Epoch(number) };
                self.invented.insert(invented.clone());
                Frame::HaveLogs([(invented, Head { to: 3, hash: wrong })].into())
            }
            14 => {
                let fat: EventBytes = format!(r#"{{"type":"FORGED","pad":"{}"}}"#, "x".repeat(17_000)).into();
                let hash = head.hash.extend(&fat);
                let run = Run { log: log.clone(), after: head.to, prev: head.hash, events: vec![fat], hash };
                let current = self.sub_of(liar, hearer, &log).unwrap_or(sub);
                Frame::SyncRun { sub: current, run }
            }
            8 => Frame::HaveLogs([(nobodys, Head { to: 1 + number % 9, hash: wrong })].into()),
            9 => Frame::SyncRun { sub, run: run(head.to, head.hash) },
            10 => Frame::SyncRun { sub, run: run(head.to + 2, wrong) },
            11 => Frame::SyncRefused(SyncRefused { sub, log, refusal: SyncRefusal::Diverged, held: head }),
            _ => Frame::Error(ErrorFrame { error: "out of order".to_owned(), code: "42".to_owned() }),
        };
        self.encode(liar, &frame)
    }
}
