//! One configured peer: dialling, the one socket in use, its handshake and life, and the cursors on both sides of it.
//!
//! It outlives its sockets. At most one socket at a time is the *link*; everything that belongs to a link (subscriptions,
//! window, what the peer announced) ends with it.

mod dialling;
mod following;
mod link;
pub mod output;
mod pairing;
mod serving;
mod standstill;
#[cfg(test)]
mod tests;

use crate::domain::ids::CentralId;
use crate::replication::Now;
use crate::replication::backoff::BackoffRange;
use crate::replication::handshake::{HelloRefusal, Identity, SeenStart, is_refusal};
use crate::replication::have::Have;
use crate::replication::log::CommittedRun;
use crate::wire::frame::{Beat, Frame, FrameError, Hello, PeopleSaid, code};
use dialling::{CONNECT_TIMEOUT_MS, Dialling};
use link::LiveLink;
pub(crate) use output::earlier;
use output::{Alarm, LinkState, Out, PeerCommand, PeerOutput, PeerStatus, RunRead, SocketId};
use pairing::{Contest, Dialler, Probed};

/// How long a handshake may take, in ms.
pub const HELLO_TIMEOUT_MS: u64 = 10_000;

/// Close codes of the WebSocket protocol, and ours in its private range.
pub mod close_code {
    /// This central stops, or the peer was removed.
    pub const GOING_AWAY: u16 = 1001;
    /// Another socket of the same pair is used.
    pub const SUPERSEDED: u16 = 4000;
    /// The handshake was refused; the ERROR before says why.
    pub const REFUSED: u16 = 4001;
    /// Nothing was heard for too long.
    pub const SILENT: u16 = 4002;
    /// Something came that cannot be read, or that nobody could pass on.
    pub const UNFIT: u16 = 4003;
}

/// What does not change while a [`Peer`] lives.
#[derive(Debug, Clone)]
pub struct PeerSettings {
    pub own: Identity,
    pub peer: CentralId,
    pub dial_backoff: BackoffRange,
}

/// A socket we dialled, waiting for the peer's HELLO.
#[derive(Debug, Clone, Copy)]
struct Opening {
    socket: SocketId,
    deadline_ms: u64,
}

/// One peer's state machine.
///
/// Invariant: unless stopped, there is a link, a handshake, a dial under way, or a time for the next dial.
#[derive(Debug)]
pub struct Peer {
    settings: PeerSettings,
    preferred: Dialler,
    out: Out,
    dialling: Dialling,
    opening: Option<Opening>,
    link: Option<LiveLink>,
    contest: Option<Contest>,
    heartbeat: Beat,
    last_payload: u64,
    last_error: Option<String>,
    last_heard_ms: Option<u64>,
    state_since: (LinkState, u64),
    stopped: bool,
    seen: Option<SeenStart>,
}

impl Peer {
    /// Dials at the first `tick`. `seed`: any random number; it decides the jitter.
    pub fn new(settings: PeerSettings, now: Now, seed: u64) -> Self {
        Self {
            preferred: Dialler::preferred(&settings.own.central, &settings.peer),
            out: Out::new(settings.own.central.clone()),
            dialling: Dialling::new(now, settings.dial_backoff, seed),
            settings,
            opening: None,
            link: None,
            contest: None,
            heartbeat: Beat::default(),
            last_payload: 0,
            last_error: None,
            last_heard_ms: None,
            state_since: (LinkState::Disconnected, now.mono_ms),
            stopped: false,
            seen: None,
        }
    }

    /// The last start that was seen of the peer, by an earlier process or before a failure.
    pub fn remember(&mut self, seen: Option<SeenStart>) {
        self.seen = seen;
    }

    /// Call when [`Peer::next_wakeup_ms`] is due, and once at the start; harmless at any time.
    pub fn tick(&mut self, now: Now, held: &Have) {
        if self.dialling.give_up_lost(now) {
            self.failed(now, "the dial got no answer", false);
        }
        if let Some(opening) = self.opening.take_if(|opening| opening.deadline_ms <= now.mono_ms) {
            self.out.close(opening.socket, close_code::SILENT, "no HELLO in time");
            self.failed(now, "no HELLO within 10 s", false);
        }
        if let Some(contest) = self.contest.take_if(|contest| contest.deadline_ms <= now.mono_ms) {
            let verdict = contest.expired();
            self.settle(now, held, contest, verdict);
        }
        if let Some(link) = self.link.as_ref().filter(|link| link.dead_at_ms() <= now.mono_ms) {
            self.out.close(link.socket, close_code::SILENT, "silent");
            self.link_ended(now, held, "nothing heard for 15 s");
        }
        if let Some(link) = &mut self.link {
            link.tick(now, held, &self.heartbeat, &mut self.last_payload, &mut self.out);
            if link.proven {
                self.dialling.succeeded();
            }
        }
        self.dial_if_due(now);
        self.note_state(now);
    }

    /// When `tick` has something to do next, on the monotonic clock.
    pub fn next_wakeup_ms(&self) -> Option<u64> {
        let sockets_ms = earlier(
            self.opening.as_ref().map(|opening| opening.deadline_ms),
            self.contest.as_ref().map(|contest| contest.deadline_ms),
        );
        let link_ms = self.link.as_ref().and_then(LiveLink::next_wakeup_ms);
        earlier(earlier(self.dialling.next_wakeup_ms(), sockets_ms), link_ms)
    }

    /// The dial succeeded: a WebSocket with our subprotocol.
    pub fn dialled(&mut self, now: Now, attempt: u64, socket: SocketId) {
        if !self.dialling.finish(attempt) || self.stopped {
            self.out.close(socket, close_code::GOING_AWAY, "not wanted any more");
            return;
        }
        if self.link.as_ref().is_some_and(|link| link.dialler == self.preferred) {
            self.out.close(socket, close_code::SUPERSEDED, "already linked");
            return;
        }
        self.opening = Some(Opening { socket, deadline_ms: now.mono_ms + HELLO_TIMEOUT_MS });
        self.out.send(now, socket, &Frame::Hello(self.settings.own.hello(now.wall_ms)));
        self.note_state(now);
    }

    /// The dial failed or ran out of time.
    pub fn dial_failed(&mut self, now: Now, attempt: u64, reason: &str) {
        if self.dialling.finish(attempt) {
            self.failed(now, reason, false);
            self.note_state(now);
        }
    }

    /// The peer dialled us and said HELLO, which [`Identity::check`] let pass.
    pub fn accepted(&mut self, now: Now, held: &Have, socket: SocketId, hello: Hello) {
        if self.stopped {
            return self.out.close(socket, close_code::GOING_AWAY, "stopping");
        }
        match self.settings.own.check_peer(&self.settings.peer, &hello) {
            Ok(()) => self.introduced(now, held, socket, Dialler::They, hello),
            Err(refusal) => self.refuse(now, socket, &refusal),
        }
        self.note_state(now);
    }

    /// A text frame came.
    pub fn received(&mut self, now: Now, held: &Have, socket: SocketId, frame: Result<Frame, FrameError>) {
        if self.link.as_ref().is_some_and(|link| link.socket == socket) {
            self.received_on_link(now, held, frame);
        } else if self.opening.is_some_and(|opening| opening.socket == socket) {
            self.received_on_opening(now, held, socket, frame);
        } else if let Some(mut contest) = self.contest.take_if(|contest| contest.challenger.socket == socket) {
            self.out.counters.frames_received += 1;
            let verdict = frame.ok().and_then(|frame| contest.frame(frame));
            match verdict {
                Some(verdict) => self.settle(now, held, contest, verdict),
                None => self.contest = Some(contest),
            }
        }
        self.note_state(now);
    }

    /// A ping returned.
    pub fn pong(&mut self, now: Now, held: &Have, socket: SocketId, payload: u64) {
        if let Some(link) = self.link.as_mut().filter(|link| link.socket == socket) {
            link.last_heard_ms = now.mono_ms;
            link.pong(now, payload);
            self.last_heard_ms = Some(now.mono_ms);
            self.lives(now);
        }
        let link_socket = self.link.as_ref().map(|link| link.socket);
        let answered = self.contest.take_if(|contest| {
            let probed = match contest.probed {
                Probed::Link => link_socket,
                Probed::Challenger => Some(contest.challenger.socket),
            };
            contest.payload == payload && probed == Some(socket)
        });
        if let Some(contest) = answered {
            let verdict = contest.answered();
            self.settle(now, held, contest, verdict);
        }
        self.note_state(now);
    }

    /// The socket ended.
    pub fn closed(&mut self, now: Now, held: &Have, socket: SocketId, reason: &str) {
        if self.link.as_ref().is_some_and(|link| link.socket == socket) {
            self.link_ended(now, held, reason);
        } else if self.opening.take_if(|opening| opening.socket == socket).is_some() {
            self.failed(now, reason, false);
        } else {
            self.contest.take_if(|contest| contest.challenger.socket == socket);
        }
        self.note_state(now);
    }

    /// These runs are durable now, own ones and others'. `held` shows them already.
    pub fn committed(&mut self, now: Now, held: &Have, runs: &[CommittedRun]) {
        if let Some(link) = &mut self.link {
            link.committed(now, held, runs, &mut self.out);
        }
    }

    /// A read that was asked for is done.
    pub fn run_read(&mut self, now: Now, held: &Have, read: RunRead) {
        if let Some(link) = &mut self.link {
            link.serving.run_read(now, held, read, &mut self.out);
        }
    }

    /// The coordinator wants something. Ignored unless `link` is the link in use.
    pub fn command(&mut self, now: Now, held: &Have, link: SocketId, command: PeerCommand) {
        if let Some(current) = self.link.as_mut().filter(|current| current.socket == link) {
            current.command(now, held, command, &mut self.out);
        }
    }

    /// Dials at once if there is no link ("test connection", or contact from the peer's address).
    pub fn retry_now(&mut self, now: Now) {
        self.dialling.hurry(now);
        self.dial_if_due(now);
        self.note_state(now);
    }

    /// What the next HEARTBEATs say besides the wall clock. What is news to the peer makes the next one due soon.
    pub fn set_heartbeat(&mut self, heartbeat: Beat) {
        if let Some(link) = &mut self.link {
            link.beat_if_news(&heartbeat);
        }
        self.heartbeat = heartbeat;
    }

    /// Says who may log in at the site, where there is a link to a peer that understands it.
    pub fn tell_people(&mut self, now: Now, said: PeopleSaid) {
        if let Some(link) = self.link.as_ref().filter(|link| link.shares_people) {
            self.out.send(now, link.socket, &Frame::People(said));
        }
    }

    /// The coordinator was started anew and knows nothing: ends its subscriptions and reports the link and what the peer
    /// holds again.
    pub fn coordinator_restarted(&mut self, now: Now, held: &Have) {
        if let Some(link) = &mut self.link {
            link.introduce(now, held, &mut self.out);
        }
    }

    /// Says goodbye on every socket and never dials again.
    pub fn stop(&mut self, now: Now, held: &Have) {
        self.stopped = true;
        self.dialling.rest();
        let challenger = self.contest.take().map(|contest| contest.challenger.socket);
        let opening = self.opening.take().map(|opening| opening.socket);
        let link = self.link.as_ref().map(|link| link.socket);
        for socket in [challenger, opening, link].into_iter().flatten() {
            self.out.close(socket, close_code::GOING_AWAY, "stopping");
        }
        if link.is_some() {
            self.link_ended(now, held, "stopped here");
        }
        self.note_state(now);
    }

    /// What there is to do, in order. Call after every other call.
    pub fn take_outputs(&mut self) -> Vec<PeerOutput> {
        std::mem::take(&mut self.out.outputs)
    }

    /// The link in use, if any.
    pub fn link(&self) -> Option<SocketId> {
        self.link.as_ref().map(|link| link.socket)
    }

    /// Costs a pass over all logs.
    pub fn status(&self, held: &Have) -> PeerStatus {
        let link = self.link.as_ref();
        PeerStatus {
            peer: self.settings.peer.clone(),
            state: self.state_since.0,
            since_mono_ms: self.state_since.1,
            last_error: self.last_error.clone(),
            next_dial_mono_ms: self.dialling.due_ms(),
            failed_dials: self.dialling.failures(),
            last_heard_mono_ms: self.last_heard_ms,
            round_trip_ms: link.and_then(|link| link.round_trip_ms),
            clock_offset_ms: link.and_then(|link| link.clock_offset_ms),
            lag: link.map(|link| link.lag(held)).unwrap_or_default(),
            unacked_bytes: link.map_or(0, |link| link.serving.unacked_bytes()),
            oldest_unacked: link.and_then(LiveLink::oldest_unacked),
            serving: link.map_or(0, |link| link.serving.len()),
            following: link.map_or(0, |link| link.following.len()),
            links: link.map(|link| link.their_heartbeat.links.clone()).unwrap_or_default(),
            digests: link.map(|link| link.their_heartbeat.digests.clone()).unwrap_or_default(),
            counters: self.out.counters,
        }
    }

    fn received_on_link(&mut self, now: Now, held: &Have, frame: Result<Frame, FrameError>) {
        let Some(link) = &mut self.link else { return };
        link.last_heard_ms = now.mono_ms;
        self.last_heard_ms = Some(now.mono_ms);
        self.out.counters.frames_received += 1;
        match frame {
            Ok(Frame::Error(error)) => {
                let refused = is_refusal(&error.code);
                self.last_error = Some(format!("the peer said: {}", error.error));
                if error.code == code::OLDER_START {
                    let peer = self.settings.peer.clone();
                    self.out.alarm(Alarm::OlderStartHere { peer, said: error.error.clone() });
                }
                if refused {
                    self.out.close(link.socket, close_code::REFUSED, "refused by the peer");
                    self.alarm_if_double(&error.code);
                    self.link_ended(now, held, &format!("the peer refused: {}", error.error));
                }
            }
            Ok(frame) => {
                if let Err(reason) = link.frame(now, held, frame, &mut self.out) {
                    return self.end_unfit(now, held, &reason);
                }
                if link.proven {
                    self.dialling.succeeded();
                }
            }
            Err(error) => {
                self.out.counters.bad_frames += 1;
                let reason = error.to_string();
                if error.may_lose_events() {
                    self.out.alarm(Alarm::BadFrame { peer: self.settings.peer.clone(), reason: reason.clone() });
                    return self.end_unfit(now, held, &reason);
                }
                link.error(now, code::BAD_FRAME, reason.clone(), &mut self.out);
                self.last_error = Some(reason);
            }
        }
    }

    /// Ends the link of a peer that said what is not to be heard, tells it why, and waits the longest before the next dial. What
    /// others say arrives meanwhile.
    fn end_unfit(&mut self, now: Now, held: &Have, reason: &str) {
        let Some(link) = &mut self.link else { return };
        link.error(now, code::BAD_FRAME, reason.to_owned(), &mut self.out);
        self.out.close(link.socket, close_code::UNFIT, "what came cannot be read or passed on");
        self.end_link(now, held, reason, true);
    }

    fn received_on_opening(&mut self, now: Now, held: &Have, socket: SocketId, frame: Result<Frame, FrameError>) {
        self.opening = None;
        self.out.counters.frames_received += 1;
        match frame {
            Ok(Frame::Hello(hello)) => match self.settings.own.check_peer(&self.settings.peer, &hello) {
                Ok(()) => self.introduced(now, held, socket, Dialler::We, hello),
                Err(refusal) => self.refuse(now, socket, &refusal),
            },
            Ok(Frame::Error(error)) => {
                self.out.close(socket, close_code::REFUSED, "refused by the peer");
                self.alarm_if_double(&error.code);
                self.failed(now, &format!("the peer refused: {}", error.error), is_refusal(&error.code));
            }
            Ok(_) | Err(_) => self.refuse(now, socket, &HelloRefusal::HelloExpected),
        }
    }

    /// A way to the peer came to nothing: if it was the last, dial again after a wait.
    fn failed(&mut self, now: Now, reason: &str, refused: bool) {
        self.last_error = Some(reason.to_owned());
        if self.link.is_none() && self.opening.is_none() && !self.stopped {
            self.dialling.schedule(now, refused);
        }
    }

    fn dial_if_due(&mut self, now: Now) {
        if self.stopped || self.link.is_some() || self.opening.is_some() {
            return;
        }
        if let Some(attempt) = self.dialling.start_if_due(now) {
            self.out.outputs.push(PeerOutput::Dial { attempt, timeout_ms: CONNECT_TIMEOUT_MS });
        }
    }

    fn alarm_if_double(&mut self, error_code: &str) {
        if error_code == code::DUPLICATE_CENTRAL_ID {
            self.out.alarm(Alarm::DuplicateCentralId { central: self.settings.own.central.clone() });
        }
    }

    fn note_state(&mut self, now: Now) {
        let state = if self.link.is_some() {
            LinkState::Connected
        } else if self.opening.is_some() || self.dialling.is_connecting() {
            LinkState::Connecting
        } else {
            LinkState::Disconnected
        };
        if state != self.state_since.0 {
            self.state_since = (state, now.mono_ms);
        }
    }
}
