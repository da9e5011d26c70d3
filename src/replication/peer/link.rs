//! The socket in use and everything that ends with it: life signs, subscriptions both ways, what the peer announced, and what it is
//! told that is held here and it does not follow here: the first advance of a log at once, later ones together after 100 ms, the
//! last state always.

use std::collections::{BTreeMap, BTreeSet};

use super::following::{Following, NumberStanding};
use super::output::{Alarm, Out, PeerCommand, PeerReport, SocketId, Unacked, earlier};
use super::pairing::Dialler;
use super::serving::{Acked, Serving};
use super::standstill::Standstill;
use crate::domain::ids::{CentralId, LogId};
use crate::domain::time::{MAX_MS, MIN_MS};
use crate::replication::Now;
use crate::replication::handshake::SeenStart;
use crate::replication::have::{Have, bucket_of};
use crate::replication::log::{CommittedRun, Head};
use crate::wire::frame::{Beat, ErrorFrame, Frame, Instance, Start, code};

/// How often a link is pinged, in ms.
pub const PING_EVERY_MS: u64 = 5_000;

/// A link is dead when nothing came for this long, in ms: three pings.
pub const DEAD_AFTER_MS: u64 = 15_000;

/// How often a HEARTBEAT is sent where nothing changes, in ms.
pub const HEARTBEAT_EVERY_MS: u64 = 30_000;

/// What is kept of a peer's links, and of the digests it tells.
const MOST_SHOWN_LINKS: usize = 100;
const MOST_SHOWN_DIGESTS: usize = 16;
/// Bytes of one of those, and of its name; real ones have some forty.
const LONGEST_DIGEST: usize = 128;
/// Digests that each event changes: what they say can wait for the next HEARTBEAT.
const OF_EACH_EVENT: [&str; 2] = ["have", "history"];
/// One that has news to tell, as of a link that came or went, is sent at once, but not within this many ms of the last.
pub const HEARTBEATS_APART_MS: u64 = 1_000;

/// A link that lived this long, in ms, was a success: the back-off starts anew.
pub const PROVEN_AFTER_MS: u64 = 30_000;

/// Most logs a peer may announce that are not held here: 4 times those of the restless central that [`MAX_LOGS_OF_ONE`] allows.
///
/// [`MAX_LOGS_OF_ONE`]: crate::ledger::runs::MAX_LOGS_OF_ONE
pub const MAX_UNKNOWN_LOGS: usize = 200_000;

/// So many of them are asked for at a time, and so many more of the peer's own: each costs some KiB while it is wanted.
pub const MAX_WANTED_LOGS: usize = 2_048;

#[derive(Debug)]
pub(super) struct LiveLink {
    pub(super) socket: SocketId,
    pub(super) dialler: Dialler,
    pub(super) instance: Instance,
    pub(super) up_since_ms: u64,
    pub(super) last_heard_ms: u64,
    /// What our digests were made of, until the peer's came.
    told: Option<Have>,
    /// What the peer said it holds, durably.
    pub(super) theirs: Have,
    /// Logs of which nothing is held here: those the coordinator was told of, by others and by the peer itself.
    wanted: [BTreeSet<LogId>; 2],
    /// It was not told of all of either.
    held_back: [bool; 2],
    pub(super) serving: Serving,
    pub(super) following: Following,
    standstill: Standstill,
    announcing: Announcing,
    /// The last ping: payload and time.
    last_ping: Option<(u64, u64)>,
    next_ping_ms: u64,
    next_heartbeat_ms: u64,
    /// When the last HEARTBEAT was sent, and what of it another one would be news beside.
    last_heartbeat: Option<(u64, Beat)>,
    pub(super) round_trip_ms: Option<u64>,
    pub(super) clock_offset_ms: Option<i64>,
    pub(super) their_heartbeat: Beat,
    /// Causes an ERROR was sent for: one per cause and link.
    errors_sent: BTreeSet<&'static str>,
    /// The first acknowledgement, or 30 s of life.
    pub(super) proven: bool,
    /// Which start of its database the peer is, until it has answered a ping: what a process that is gone said may come late.
    pub(super) start: Option<(SeenStart, Start)>,
    /// The peer understands what is said of people.
    pub(super) shares_people: bool,
}

impl LiveLink {
    /// The link of a socket that has exchanged HELLO: says what is held.
    pub(super) fn open(
        now: Now,
        held: &Have,
        (own, peer): (&CentralId, &CentralId),
        (socket, dialler, instance): (SocketId, Dialler, Instance),
        out: &mut Out,
    ) -> Self {
        out.report(PeerReport::LinkUp { link: socket });
        out.send(now, socket, &Frame::HaveDigests(held.digests()));
        Self {
            socket,
            dialler,
            instance,
            up_since_ms: now.mono_ms,
            last_heard_ms: now.mono_ms,
            told: Some(held.clone()),
            theirs: Have::default(),
            wanted: Default::default(),
            held_back: [false; 2],
            serving: Serving::new(peer.clone(), socket),
            following: Following::default(),
            standstill: Standstill::new(own.clone()),
            announcing: Announcing::default(),
            last_ping: None,
            next_ping_ms: now.mono_ms,
            next_heartbeat_ms: now.mono_ms,
            last_heartbeat: None,
            round_trip_ms: None,
            clock_offset_ms: None,
            their_heartbeat: Beat::default(),
            errors_sent: BTreeSet::new(),
            proven: false,
            start: None,
            shares_people: false,
        }
    }

    /// A frame other than HELLO came.
    ///
    /// # Errors
    /// Why the link has to end for it.
    pub(super) fn frame(&mut self, now: Now, held: &Have, frame: Frame, out: &mut Out) -> Result<(), String> {
        match frame {
            Frame::HaveDigests(theirs) => {
                // Both sides compare what both sent, so that both find the same buckets different; what advanced since
                // is announced anyway.
                let ours = self.told.take().unwrap_or_else(|| held.clone());
                let differing = ours.differing_buckets(&theirs);
                let heads: Vec<_> = held.in_buckets(&differing).map(|(log, head)| (log.clone(), head)).collect();
                for text in out.encoder.encode_have(now.wall_ms, heads) {
                    out.send_text(self.socket, text);
                }
                // Equal buckets hold equal logs.
                for (log, head) in ours.iter().filter(|(log, _)| !differing.contains(&bucket_of(log))) {
                    if self.theirs.to(log) < head.to {
                        self.theirs.set(log, head);
                    }
                }
            }
            Frame::HaveLogs(heads) => {
                for (log, head) in heads {
                    self.they_hold(held, &log, head, out);
                }
                return self.count_unknown(held, out);
            }
            Frame::SyncRequest(request) => self.serving.request(now, held, request, out),
            Frame::SyncRun { sub, run } => {
                let standing = self.following.standing(&run.log, sub);
                if standing == NumberStanding::Never {
                    out.counters.unasked_runs += 1;
                    let what = format!("events of {} came that nobody here asked for", run.log);
                    self.error(now, code::UNASKED_RUN, what, out);
                    return Ok(());
                }
                if let Some((seq, bytes)) = run.oversized() {
                    out.report(PeerReport::Unfit { link: self.socket, log: run.log.clone() });
                    let alarm = Alarm::OversizedEvent { log: run.log, seq, bytes, peer: self.serving.peer().clone() };
                    let reason = alarm.to_string();
                    out.alarm(alarm);
                    return Err(reason);
                }
                out.counters.events_received += run.events.len() as u64;
                let current = standing == NumberStanding::Current;
                if run.head().to > self.theirs.to(&run.log) {
                    self.theirs.set(&run.log, run.head());
                }
                out.report(PeerReport::Run { link: self.socket, run, current });
            }
            Frame::SyncRefused(refused) => {
                self.theirs.set(&refused.log, refused.held);
                if self.following.refused(&refused.log, refused.sub) {
                    let (link, log) = (self.socket, refused.log);
                    out.report(PeerReport::Refused { link, log, refusal: refused.refusal, held: refused.held });
                }
            }
            Frame::SyncAck { sub, head } => {
                self.proven = true;
                if let Some(Acked { log, overtaken }) = self.serving.acked(now, held, sub, head, out) {
                    self.they_hold(held, &log, head, out);
                    if overtaken {
                        self.announcing.announce(now, held, self.socket, &BTreeSet::from([log]), out);
                    }
                }
            }
            Frame::SyncStop { sub } => {
                if let Some(log) = self.serving.stop(now, held, sub, out) {
                    self.announcing.announce(now, held, self.socket, &BTreeSet::from([log]), out);
                }
            }
            Frame::Heartbeat(mut heartbeat) => {
                // Shown to every dashboard, so no longer than a site is large.
                heartbeat.links.truncate(MOST_SHOWN_LINKS);
                heartbeat.digests.retain(|name, digest| name.len() <= LONGEST_DIGEST && digest.len() <= LONGEST_DIGEST);
                while heartbeat.digests.len() > MOST_SHOWN_DIGESTS {
                    heartbeat.digests.pop_last();
                }
                let under_way_ms = self.round_trip_ms.unwrap_or(0) / 2;
                let sent_at_ms = now.wall_ms.saturating_sub(i64::try_from(under_way_ms).unwrap_or(0));
                // A time that can be shown, whatever it says.
                self.clock_offset_ms = Some(heartbeat.wall_ms.clamp(MIN_MS, MAX_MS).saturating_sub(sent_at_ms));
                if !heartbeat.keys.is_empty() && heartbeat.keys != self.their_heartbeat.keys {
                    out.report(PeerReport::Vouches { keys: heartbeat.keys.clone() });
                }
                self.their_heartbeat = heartbeat;
            }
            Frame::People(said) if self.shares_people => out.report(PeerReport::People(said)),
            Frame::People(_) | Frame::Unknown { .. } => out.counters.unknown_frames += 1,
            // A second HELLO says nothing new; what an ERROR says is kept by the peer.
            Frame::Hello(_) | Frame::Error(_) => {}
        }
        Ok(())
    }

    pub(super) fn pong(&mut self, now: Now, payload: u64) {
        if let Some((_, sent_ms)) = self.last_ping.take_if(|(sent, _)| *sent == payload) {
            self.round_trip_ms = Some(now.mono_ms.saturating_sub(sent_ms));
        }
    }

    pub(super) fn committed(&mut self, now: Now, held: &Have, runs: &[CommittedRun], out: &mut Out) {
        // What is followed here is acknowledged, and what the peer follows and lacks it gets: neither needs announcing.
        let unheard: BTreeSet<LogId> = runs
            .iter()
            .filter(|committed| {
                let log = &committed.run().log;
                !self.following.contains(log) && !self.serving.lacks(log, committed.head().to)
            })
            .map(|committed| committed.run().log.clone())
            .collect();
        self.serving.committed(now, held, runs, out);
        for committed in runs {
            let log = &committed.run().log;
            for wanted in &mut self.wanted {
                wanted.remove(log);
            }
        }
        let has_room =
            |(wanted, held_back): (&BTreeSet<LogId>, &bool)| *held_back && wanted.len() < MAX_WANTED_LOGS / 2;
        if self.wanted.iter().zip(&self.held_back).any(has_room) {
            let unasked = |(log, _): &(&LogId, Head)| {
                held.to(log) == 0 && self.wanted.iter().all(|wanted| !wanted.contains(*log))
            };
            let more: Vec<_> = self.theirs.iter().filter(unasked).map(|(log, head)| (log.clone(), head)).collect();
            self.held_back = [false; 2];
            for (log, head) in more {
                self.report_if_news(held, &log, head, out);
            }
        }
        if !unheard.is_empty() {
            self.announcing.announce(now, held, self.socket, &unheard, out);
        }
    }

    pub(super) fn command(&mut self, now: Now, held: &Have, command: PeerCommand, out: &mut Out) {
        match command {
            PeerCommand::Follow { log, from } => self.following.follow(now, self.socket, log, from, out),
            PeerCommand::Unfollow { log } => {
                // From here on commits of this log are not acknowledged: the peer hears the state it ends with.
                if self.following.unfollow(now, self.socket, &log, out) {
                    self.announcing.announce(now, held, self.socket, &BTreeSet::from([log]), out);
                }
            }
            PeerCommand::Acknowledge { log, head } => {
                self.proven = true;
                self.following.acknowledge(now, self.socket, &log, head, out);
            }
        }
    }

    /// Sends what is due. `next_payload` numbers pings.
    pub(super) fn tick(&mut self, now: Now, held: &Have, about: &Beat, next_payload: &mut u64, out: &mut Out) {
        if self.next_ping_ms <= now.mono_ms {
            *next_payload += 1;
            out.ping(self.socket, *next_payload);
            self.last_ping = Some((*next_payload, now.mono_ms));
            self.next_ping_ms = now.mono_ms + PING_EVERY_MS;
        }
        if self.next_heartbeat_ms <= now.mono_ms {
            let heartbeat = Beat { wall_ms: now.wall_ms, ..about.clone() };
            out.send(now, self.socket, &Frame::Heartbeat(heartbeat));
            self.next_heartbeat_ms = now.mono_ms + HEARTBEAT_EVERY_MS;
            self.last_heartbeat = Some((now.mono_ms, news_of(about)));
        }
        self.proven |= now.mono_ms >= self.up_since_ms + PROVEN_AFTER_MS;
        self.serving.tick(now, held, out);
        self.standstill.tick(now, held, &self.theirs, &self.serving, out);
        self.following.tick(now, self.socket, out);
        self.announcing.tick(now, held, self.socket, out);
    }

    /// What is to be told changed: where it is news it is worth a HEARTBEAT of its own.
    pub(super) fn beat_if_news(&mut self, about: &Beat) {
        let Some((sent_ms, told)) = &self.last_heartbeat else { return };
        if *told != news_of(about) {
            self.next_heartbeat_ms = self.next_heartbeat_ms.min(sent_ms + HEARTBEATS_APART_MS);
        }
    }

    pub(super) fn dead_at_ms(&self) -> u64 {
        self.last_heard_ms + DEAD_AFTER_MS
    }

    pub(super) fn next_wakeup_ms(&self) -> Option<u64> {
        let signs_ms = self.next_ping_ms.min(self.next_heartbeat_ms).min(self.dead_at_ms());
        let words_ms = earlier(self.following.next_wakeup_ms(), self.announcing.next_wakeup_ms());
        earlier(earlier(Some(signs_ms), self.serving.next_wakeup_ms()), words_ms)
    }

    /// Tells the peer what is wrong, once per cause.
    pub(super) fn error(&mut self, now: Now, code: &'static str, error: String, out: &mut Out) {
        if self.errors_sent.insert(code) {
            out.send(now, self.socket, &Frame::Error(ErrorFrame { error, code: code.to_owned() }));
        }
    }

    /// Reports the link and what the peer holds beyond us, to a coordinator that knows nothing.
    pub(super) fn introduce(&mut self, now: Now, held: &Have, out: &mut Out) {
        self.following.unfollow_all(now, self.socket, out);
        out.report(PeerReport::LinkUp { link: self.socket });
        (self.wanted, self.held_back) = Default::default();
        let theirs: Vec<_> = self.theirs.iter().map(|(log, head)| (log.clone(), head)).collect();
        for (log, head) in theirs {
            self.report_if_news(held, &log, head, out);
        }
    }

    /// Ends the link of a peer that announces logs without end.
    fn count_unknown(&self, held: &Have, out: &mut Out) -> Result<(), String> {
        // Whatever is held of theirs is not unknown: only where there may be too many they are counted.
        if self.theirs.len() <= MAX_UNKNOWN_LOGS {
            return Ok(());
        }
        let unknown = self.theirs.iter().filter(|(log, _)| held.to(log) == 0).count();
        if unknown <= MAX_UNKNOWN_LOGS {
            return Ok(());
        }
        let alarm = Alarm::TooManyLogs { peer: self.serving.peer().clone() };
        let reason = alarm.to_string();
        out.alarm(alarm);
        Err(reason)
    }

    /// What has waited longest for the peer to say that it holds it.
    pub(super) fn oldest_unacked(&self) -> Option<Unacked> {
        self.standstill.oldest(&self.serving)
    }

    /// Events held here and not known to be held by the peer.
    pub(super) fn lag(&self, held: &Have) -> BTreeMap<LogId, u64> {
        held.iter()
            .filter_map(|(log, head)| {
                let missing = head.to.saturating_sub(self.theirs.to(log));
                (missing > 0).then(|| (log.clone(), missing))
            })
            .collect()
    }

    fn they_hold(&mut self, held: &Have, log: &LogId, head: Head, out: &mut Out) {
        self.theirs.set(log, head);
        self.report_if_news(held, log, head, out);
    }

    /// The coordinator needs to hear of what is not held here, and of a chain that differs.
    fn report_if_news(&mut self, held: &Have, log: &LogId, head: Head, out: &mut Out) {
        let ours = held.head_or_empty(log);
        if ours.to == 0 && head.to > 0 {
            let of_itself = usize::from(log.central == *self.serving.peer());
            let Some(wanted) = self.wanted.get_mut(of_itself) else { return };
            if wanted.len() >= MAX_WANTED_LOGS && !wanted.contains(log) {
                self.held_back = [self.held_back[0] || of_itself == 0, self.held_back[1] || of_itself == 1];
                return;
            }
            wanted.insert(log.clone());
        }
        if head.to > ours.to || (head.to == ours.to && head.hash != ours.hash) {
            out.report(PeerReport::Has { link: self.socket, log: log.clone(), head });
        }
    }
}

/// How long later advances of a log are held together, in ms.
const COALESCE_MS: u64 = 100;

#[derive(Debug, Default)]
struct Announcing {
    /// Logs told of within the last 100 ms, with the time.
    recent: BTreeMap<LogId, u64>,
    /// Of those, the ones that advanced since.
    waiting: BTreeSet<LogId>,
    flush_at_ms: Option<u64>,
}

impl Announcing {
    /// These logs advanced, or the peer should hear of them for another reason.
    fn announce(&mut self, now: Now, held: &Have, socket: SocketId, logs: &BTreeSet<LogId>, out: &mut Out) {
        self.recent.retain(|_, told_ms| now.mono_ms < *told_ms + COALESCE_MS);
        let (later, at_once): (Vec<&LogId>, Vec<&LogId>) = logs.iter().partition(|log| self.recent.contains_key(*log));
        for log in later {
            self.waiting.insert(log.clone());
        }
        if !self.waiting.is_empty() && self.flush_at_ms.is_none() {
            self.flush_at_ms = Some(now.mono_ms + COALESCE_MS);
        }
        self.tell(now, held, socket, at_once.into_iter().cloned().collect(), out);
    }

    fn tick(&mut self, now: Now, held: &Have, socket: SocketId, out: &mut Out) {
        if self.flush_at_ms.is_some_and(|at_ms| at_ms <= now.mono_ms) {
            self.flush_at_ms = None;
            let logs = std::mem::take(&mut self.waiting);
            self.tell(now, held, socket, logs, out);
        }
    }

    fn tell(&mut self, now: Now, held: &Have, socket: SocketId, logs: BTreeSet<LogId>, out: &mut Out) {
        let heads: Vec<_> = logs.iter().filter_map(|log| Some((log.clone(), held.head(log)?))).collect();
        for text in out.encoder.encode_have(now.wall_ms, heads) {
            out.send_text(socket, text);
        }
        self.recent.extend(logs.into_iter().map(|log| (log, now.mono_ms)));
    }

    fn next_wakeup_ms(&self) -> Option<u64> {
        self.flush_at_ms
    }
}

/// What of it is news where it changes: not the clock, not what each event changes, not the order of the links.
fn news_of(about: &Beat) -> Beat {
    let mut news = Beat { wall_ms: 0, ..about.clone() };
    news.links.sort();
    news.digests.retain(|name, _| !OF_EACH_EVENT.contains(&name.as_str()));
    news
}
