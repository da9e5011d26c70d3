//! From a handshake to the one link of a pair. Of two sockets of one pair which stays is judged after HELLO, by which of them lives.

use super::link::LiveLink;
use super::output::{Alarm, PeerReport, SocketId};
use super::{Peer, close_code};
use crate::domain::ids::CentralId;
use crate::replication::Now;
use crate::replication::handshake::{HelloRefusal, SIGNS_LOGS, SeenStart, is_refusal};
use crate::replication::have::Have;
use crate::wire::compressed;
use crate::wire::frame::{Frame, Hello, SHARES_PEOPLE, code};

impl Peer {
    /// A socket's handshake is done: it becomes the link, or has to contend with it.
    pub(super) fn introduced(&mut self, now: Now, held: &Have, socket: SocketId, dialler: Dialler, hello: Hello) {
        self.settings.own.site.met(hello.site);
        let challenger = Challenger { socket, dialler, hello, frames: Vec::new() };
        let Some(link) = &self.link else { return self.adopt(now, held, challenger) };
        if link.instance == challenger.hello.instance && link.dialler == dialler {
            // Its dialler gave the older one up.
            self.out.close(link.socket, close_code::SUPERSEDED, "a newer connection took over");
            self.link_replaced();
            self.adopt(now, held, challenger);
            if let Some(contest) = self.contest.take() {
                self.contend(now, contest.challenger);
            }
            return;
        }
        self.contend(now, challenger);
    }

    /// Has the link and a second socket prove which of them lives.
    fn contend(&mut self, now: Now, challenger: Challenger) {
        let Some(link) = &self.link else { return };
        let other_instance = link.instance != challenger.hello.instance;
        let probed =
            if !other_instance && challenger.dialler == self.preferred { Probed::Challenger } else { Probed::Link };
        let probed_socket = if probed == Probed::Challenger { challenger.socket } else { link.socket };
        self.last_payload += 1;
        self.out.ping(probed_socket, self.last_payload);
        let contest = Contest::new(now, challenger, probed, self.last_payload, other_instance);
        if let Some(older) = self.contest.replace(contest) {
            self.out.close(older.challenger.socket, close_code::SUPERSEDED, "a newer connection took over");
        }
    }

    pub(super) fn settle(&mut self, now: Now, held: &Have, contest: Contest, verdict: PairVerdict) {
        let challenger = contest.challenger;
        match verdict {
            PairVerdict::ChallengerWins => {
                if let Some(link) = &self.link {
                    self.out.close(link.socket, close_code::SUPERSEDED, "another connection took over");
                    self.link_replaced();
                }
                self.adopt(now, held, challenger);
            }
            PairVerdict::ChallengerLoses => {
                self.out.close(challenger.socket, close_code::SUPERSEDED, "another connection is used");
            }
            PairVerdict::Duplicate => {
                let central = self.settings.peer.clone();
                self.refuse_socket(now, challenger.socket, &HelloRefusal::DuplicateCentralId(central.clone()));
                self.out.alarm(Alarm::DuplicateCentralId { central });
            }
        }
    }

    /// Makes a socket the link. There is none.
    fn adopt(&mut self, now: Now, held: &Have, challenger: Challenger) {
        debug_assert!(self.link.is_none(), "one link per pair");
        let Challenger { socket, dialler, hello, frames } = challenger;
        if dialler == Dialler::They {
            self.out.send(now, socket, &Frame::Hello(self.settings.own.hello(now.wall_ms)));
        }
        self.dialling.rest();
        self.out.counters.links_up += 1;
        self.last_heard_ms = Some(now.mono_ms);
        if hello.capabilities.iter().any(|name| name == SIGNS_LOGS) {
            self.out.report(PeerReport::SignsLogs);
        }
        let between = (&self.settings.own.central, &self.settings.peer);
        let mut link = LiveLink::open(now, held, between, (socket, dialler, hello.instance), &mut self.out);
        link.start = SeenStart::of(&hello).zip(hello.start);
        link.serving.reads_compressed = hello.capabilities.iter().any(|name| name == compressed::CAPABILITY);
        link.shares_people = hello.capabilities.iter().any(|name| name == SHARES_PEOPLE);
        link.tick(now, held, &self.heartbeat, &mut self.last_payload, &mut self.out);
        self.link = Some(link);
        for frame in frames {
            self.received_on_link(now, held, Ok(frame));
        }
    }

    /// The link answered: whatever its process said of itself is so now.
    pub(super) fn lives(&mut self, now: Now) {
        let Some(link) = &mut self.link else { return };
        let Some((current, start)) = link.start.take() else { return };
        let seen = self.seen.replace(current);
        if seen == Some(current) {
            return;
        }
        if let Some(seen) = seen.filter(|seen| !seen.leads_to(current.instance, &start)) {
            let central = self.settings.peer.clone();
            let alarm = Alarm::OlderStart { central, start: current.number, seen: seen.number };
            link.error(now, code::OLDER_START, alarm.to_string(), &mut self.out);
            self.out.alarm(alarm);
        }
        self.out.report(PeerReport::Started(current));
    }

    /// The link ended: the challenger takes its place if there is one, else the peer is dialled again.
    pub(super) fn link_ended(&mut self, now: Now, held: &Have, reason: &str) {
        self.end_link(now, held, reason, false);
    }

    /// As [`Peer::link_ended`]; `refused`: by us, and trying again soon is pointless.
    pub(super) fn end_link(&mut self, now: Now, held: &Have, reason: &str, refused: bool) {
        let Some(link) = self.link.take() else { return };
        self.out.report(PeerReport::LinkDown { link: link.socket, reason: reason.to_owned() });
        match self.contest.take() {
            Some(contest) => self.adopt(now, held, contest.challenger),
            None => self.failed(now, reason, refused),
        }
    }

    /// The link gives way to a better socket of the same pair.
    fn link_replaced(&mut self) {
        if let Some(link) = self.link.take() {
            let reason = "another connection took over".to_owned();
            self.out.report(PeerReport::LinkDown { link: link.socket, reason });
        }
    }

    /// Refuses a socket in its handshake.
    pub(super) fn refuse(&mut self, now: Now, socket: SocketId, refusal: &HelloRefusal) {
        if let HelloRefusal::DuplicateCentralId(central) = refusal {
            self.out.alarm(Alarm::DuplicateCentralId { central: central.clone() });
        }
        self.refuse_socket(now, socket, refusal);
        self.failed(now, &refusal.to_string(), is_refusal(refusal.code()));
    }

    fn refuse_socket(&mut self, now: Now, socket: SocketId, refusal: &HelloRefusal) {
        self.out.send(now, socket, &Frame::Error(refusal.frame()));
        self.out.close(socket, close_code::REFUSED, refusal.code());
    }
}

/// How long a probed socket has to answer, in ms.
const PROBE_MS: u64 = 2_000;

/// Most frames kept for a challenger while it is judged; a peer that sends more before it is accepted is not one of ours.
const MAX_BUFFERED_FRAMES: usize = 64;

/// Who opened a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialler {
    We,
    They,
}

impl Dialler {
    /// Of two sockets between the same two processes, dialled by one each, the one of the smaller id stays.
    pub(super) fn preferred(own: &CentralId, peer: &CentralId) -> Self {
        if own < peer { Self::We } else { Self::They }
    }
}

/// A socket that said HELLO while another is the link.
#[derive(Debug)]
pub(super) struct Challenger {
    pub(super) socket: SocketId,
    pub(super) dialler: Dialler,
    pub(super) hello: Hello,
    /// Frames that came after the HELLO.
    pub(super) frames: Vec<Frame>,
}

/// Which of the two sockets has to prove that it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probed {
    Link,
    Challenger,
}

#[derive(Debug)]
pub(super) struct Contest {
    pub(super) challenger: Challenger,
    pub(super) probed: Probed,
    pub(super) payload: u64,
    pub(super) deadline_ms: u64,
    /// The challenger is another process than the one linked: it restarted, or there are two.
    pub(super) other_instance: bool,
}

/// How a contest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PairVerdict {
    ChallengerWins,
    ChallengerLoses,
    /// The old link lives and the challenger is another process with the same id.
    Duplicate,
}

impl Contest {
    pub(super) fn new(now: Now, challenger: Challenger, probed: Probed, payload: u64, other_instance: bool) -> Self {
        Self { challenger, probed, payload, deadline_ms: now.mono_ms + PROBE_MS, other_instance }
    }

    /// The probe came back.
    pub(super) fn answered(&self) -> PairVerdict {
        match self.probed {
            Probed::Challenger => PairVerdict::ChallengerWins,
            Probed::Link if self.other_instance => PairVerdict::Duplicate,
            Probed::Link => PairVerdict::ChallengerLoses,
        }
    }

    /// The probed socket stayed silent.
    pub(super) fn expired(&self) -> PairVerdict {
        match self.probed {
            Probed::Challenger => PairVerdict::ChallengerLoses,
            Probed::Link => PairVerdict::ChallengerWins,
        }
    }

    /// A frame came on the challenger. A peer sends more than HELLO only on the socket it has settled on, so that of a
    /// probed challenger is as good as the answer to the probe.
    pub(super) fn frame(&mut self, frame: Frame) -> Option<PairVerdict> {
        self.challenger.frames.push(frame);
        match self.probed {
            Probed::Challenger => Some(PairVerdict::ChallengerWins),
            Probed::Link if self.challenger.frames.len() > MAX_BUFFERED_FRAMES => Some(PairVerdict::ChallengerLoses),
            Probed::Link => None,
        }
    }
}
