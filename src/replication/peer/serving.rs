//! The cursors of a peer's subscriptions to our logs on one link.
//!
//! A cursor stands after the last event sent. At the head of its log it takes new events straight from the commit that
//! made them durable; behind it, runs are read from the disk as the window allows. Nothing else is kept for a slow peer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use super::output::{Alarm, Out, PeerOutput, PeerReport, ReadRun, RunRead, SocketId, Unacked, earlier};
use crate::domain::ids::{CentralId, LogId};
use crate::replication::Now;
use crate::replication::have::Have;
use crate::replication::log::{CommittedRun, Head};
use crate::replication::window::{RunSize, Window};
use crate::wire::compressed;
use crate::wire::frame::{Frame, SyncRefusal, SyncRefused, SyncRequest};

/// Most logs read for one link at a time.
const MAX_READS: usize = 8;

/// How often every cursor is compared with the durable head, in ms: a lost commit notice costs no more than this.
const COMPARE_EVERY_MS: u64 = 1_000;

/// After a failed read, how long until the next, in ms.
const READ_RETRY_MS: u64 = 1_000;

/// A read that was never answered is asked for again after this time, in ms.
const READ_TIMEOUT_MS: u64 = 10_000;

#[derive(Debug)]
struct SentUpTo {
    log: LogId,
    /// Up to where events were sent; its hash is verified by the next run that is sent.
    next: Head,
    in_flight: VecDeque<Unacknowledged>,
    reading: Option<Reading>,
    /// No read before this time: the last one failed.
    retry_at_ms: Option<u64>,
    run_size: RunSize,
}

#[derive(Debug)]
struct Unacknowledged {
    to: u64,
    bytes: usize,
    sent_ms: u64,
}

#[derive(Debug)]
struct Reading {
    after: u64,
    reserved_bytes: usize,
    since_ms: u64,
}

/// What an acknowledgement was about.
#[derive(Debug)]
pub(super) struct Acked {
    pub(super) log: LogId,
    /// The peer got further from another source before it got what is new here: it does not know that we hold it.
    pub(super) overtaken: bool,
}

/// All cursors of one link and their window.
#[derive(Debug)]
pub(super) struct Serving {
    peer: CentralId,
    socket: SocketId,
    cursors: BTreeMap<u64, SentUpTo>,
    by_log: BTreeMap<LogId, u64>,
    /// Cursors known to be behind the durable head.
    behind: BTreeSet<u64>,
    /// The cursor read for last: the next in turn goes first.
    last_read: u64,
    reads: usize,
    window: Window,
    compare_at_ms: u64,
    /// Runs that were acknowledged so far: it grows as long as anything moves.
    pub(super) acknowledged: u64,
    /// The peer said that it can read compressed frames.
    pub(super) reads_compressed: bool,
}

impl Serving {
    pub(super) fn new(peer: CentralId, socket: SocketId) -> Self {
        Self {
            peer,
            socket,
            cursors: BTreeMap::new(),
            by_log: BTreeMap::new(),
            behind: BTreeSet::new(),
            last_read: 0,
            reads: 0,
            window: Window::default(),
            compare_at_ms: 0,
            acknowledged: 0,
            reads_compressed: false,
        }
    }

    /// The peer wants to follow a log.
    pub(super) fn request(&mut self, now: Now, held: &Have, request: SyncRequest, out: &mut Out) {
        let SyncRequest { sub, log, after, hash } = request;
        self.remove(sub);
        if let Some(older) = self.by_log.get(&log) {
            self.remove(*older);
        }
        let Some(head) = held.head(&log).filter(|head| after <= head.to) else {
            return self.refuse(now, held, sub, log, SyncRefusal::NotHeld, out);
        };
        if after == head.to && hash != head.hash {
            out.report(PeerReport::Forked { link: self.socket, log: log.clone(), seq: after });
            return self.refuse(now, held, sub, log, SyncRefusal::Diverged, out);
        }
        if self.cursors.is_empty() {
            self.compare_at_ms = now.mono_ms + COMPARE_EVERY_MS;
        }
        let cursor = SentUpTo {
            log: log.clone(),
            next: Head { to: after, hash },
            in_flight: VecDeque::new(),
            reading: None,
            retry_at_ms: None,
            run_size: RunSize::default(),
        };
        self.cursors.insert(sub, cursor);
        self.by_log.insert(log, sub);
        if after < head.to {
            self.behind.insert(sub);
        }
        self.read_on(now, held, out);
    }

    /// Events became durable: cursors at the head send them, others read when their turn comes.
    pub(super) fn committed(&mut self, now: Now, held: &Have, runs: &[CommittedRun], out: &mut Out) {
        for committed in runs {
            let run = committed.run();
            let Some(&sub) = self.by_log.get(&run.log) else { continue };
            let Some(cursor) = self.cursors.get(&sub) else { continue };
            let at_the_head = cursor.next.to == run.after && cursor.reading.is_none() && !self.behind.contains(&sub);
            if at_the_head && self.window.admits_live(run.bytes()) {
                self.send(now, held, sub, committed, out);
            } else if cursor.next.to < run.head().to {
                self.behind.insert(sub);
            }
        }
        self.read_on(now, held, out);
    }

    /// A read returned.
    pub(super) fn run_read(&mut self, now: Now, held: &Have, read: RunRead, out: &mut Out) {
        let Some(cursor) = self.cursors.get_mut(&read.sub) else { return };
        let Some(reading) = cursor.reading.take_if(|reading| cursor.log == read.log && reading.after == read.after)
        else {
            return;
        };
        self.reads -= 1;
        self.window.unreserve(reading.reserved_bytes);
        match read.found {
            Ok(Some(committed)) if committed.run().after == cursor.next.to => {
                self.send(now, held, read.sub, &committed, out);
            }
            // The peer acknowledged more meanwhile, from another source: read on from there.
            Ok(Some(_)) => {}
            // Nothing after that place on the disk, whatever the head says: look again later, do not spin.
            Ok(None) => cursor.retry_at_ms = Some(now.mono_ms + READ_RETRY_MS),
            Err(reason) => {
                cursor.retry_at_ms = Some(now.mono_ms + READ_RETRY_MS);
                out.alarm(Alarm::ReadFailed { log: read.log, peer: self.peer.clone(), reason });
            }
        }
        self.read_on(now, held, out);
    }

    /// The peer committed up to `head`.
    pub(super) fn acked(&mut self, now: Now, held: &Have, sub: u64, head: Head, out: &mut Out) -> Option<Acked> {
        let cursor = self.cursors.get_mut(&sub)?;
        let log = cursor.log.clone();
        let overtaken = head.to > cursor.next.to && held.to(&log) > cursor.next.to;
        while let Some(run) = cursor.in_flight.front().filter(|run| run.to <= head.to) {
            self.window.released(run.bytes);
            cursor.run_size.acked_after(now.mono_ms.saturating_sub(run.sent_ms));
            cursor.in_flight.pop_front();
            self.acknowledged += 1;
        }
        if head.to == cursor.next.to && head.hash != cursor.next.hash {
            out.report(PeerReport::Forked { link: self.socket, log: log.clone(), seq: head.to });
            self.refuse(now, held, sub, log.clone(), SyncRefusal::Diverged, out);
        } else if head.to > cursor.next.to {
            // It got further from another source. The hash is verified by the next run.
            cursor.next = head;
        }
        self.read_on(now, held, out);
        Some(Acked { log, overtaken })
    }

    /// The peer ended a subscription. Returns the log it was about.
    pub(super) fn stop(&mut self, now: Now, held: &Have, sub: u64, out: &mut Out) -> Option<LogId> {
        let log = self.remove(sub)?;
        self.read_on(now, held, out);
        Some(log)
    }

    pub(super) fn tick(&mut self, now: Now, held: &Have, out: &mut Out) {
        if self.cursors.is_empty() {
            return;
        }
        for sub in &self.behind {
            if let Some(cursor) = self.cursors.get_mut(sub) {
                cursor.retry_at_ms.take_if(|at_ms| *at_ms <= now.mono_ms);
            }
        }
        if self.compare_at_ms <= now.mono_ms {
            self.compare_at_ms = now.mono_ms + COMPARE_EVERY_MS;
            for (sub, cursor) in &mut self.cursors {
                if cursor.next.to < held.to(&cursor.log) {
                    self.behind.insert(*sub);
                }
                let overdue = cursor.reading.take_if(|reading| reading.since_ms + READ_TIMEOUT_MS <= now.mono_ms);
                if let Some(reading) = overdue {
                    self.reads -= 1;
                    self.window.unreserve(reading.reserved_bytes);
                }
            }
        }
        self.read_on(now, held, out);
    }

    pub(super) fn next_wakeup_ms(&self) -> Option<u64> {
        let retry_ms =
            self.behind.iter().filter_map(|sub| self.cursors.get(sub)).filter_map(|cursor| cursor.retry_at_ms).min();
        earlier(retry_ms, (!self.cursors.is_empty()).then_some(self.compare_at_ms))
    }

    /// Whether the peer follows the log here and will be sent events up to `to`.
    pub(super) fn lacks(&self, log: &LogId, to: u64) -> bool {
        self.by_log.get(log).and_then(|sub| self.cursors.get(sub)).is_some_and(|cursor| cursor.next.to < to)
    }

    pub(super) fn peer(&self) -> &CentralId {
        &self.peer
    }

    /// What was sent first of all that is not acknowledged.
    pub(super) fn oldest_unacked(&self) -> Option<Unacked> {
        let first = |cursor: &SentUpTo| cursor.in_flight.front().map(|run| (run.sent_ms, run.to, cursor.log.clone()));
        let (since_mono_ms, to, log) = self.cursors.values().filter_map(first).min()?;
        Some(Unacked { log, to, since_mono_ms })
    }

    pub(super) fn len(&self) -> usize {
        self.cursors.len()
    }

    pub(super) fn unacked_bytes(&self) -> usize {
        self.window.unacked_bytes()
    }

    /// Asks the disk for the next run of each cursor that is behind, in turn, as the window allows.
    fn read_on(&mut self, now: Now, held: &Have, out: &mut Out) {
        if self.behind.is_empty() {
            return;
        }
        let after_last = (Bound::Excluded(self.last_read), Bound::Unbounded);
        let turn: Vec<u64> =
            self.behind.range(after_last).chain(self.behind.range(..=self.last_read)).copied().collect();
        for sub in turn {
            let Some(cursor) = self.cursors.get_mut(&sub) else {
                self.behind.remove(&sub);
                continue;
            };
            if cursor.next.to >= held.to(&cursor.log) {
                self.behind.remove(&sub);
                continue;
            }
            if cursor.reading.is_some() || cursor.retry_at_ms.is_some() {
                continue;
            }
            let max_bytes = cursor.run_size.bytes();
            if self.reads >= MAX_READS || !self.window.reserve(max_bytes) {
                return;
            }
            self.reads += 1;
            self.last_read = sub;
            cursor.reading = Some(Reading { after: cursor.next.to, reserved_bytes: max_bytes, since_ms: now.mono_ms });
            let read = ReadRun { sub, log: cursor.log.clone(), after: cursor.next.to, max_bytes };
            out.outputs.push(PeerOutput::ReadRun(read));
        }
    }

    /// Sends a run that continues the cursor, if it is the same chain.
    fn send(&mut self, now: Now, held: &Have, sub: u64, committed: &CommittedRun, out: &mut Out) {
        let Some(cursor) = self.cursors.get_mut(&sub) else { return };
        let run = committed.run();
        debug_assert_eq!(run.after, cursor.next.to, "a cursor sends what continues it");
        if let Some((seq, bytes)) = run.oversized() {
            if seq > run.after + 1 {
                let fit = CommittedRun::new(run.up_to(seq - 1));
                self.behind.insert(sub);
                return self.send(now, held, sub, &fit, out);
            }
            let (log, peer, before) = (run.log.clone(), self.peer.clone(), cursor.next);
            out.alarm(Alarm::CannotPassOn { log: log.clone(), seq, bytes, peer });
            return self.refuse_at(now, before, sub, log, SyncRefusal::NotHeld, out);
        }
        if run.prev != cursor.next.hash {
            let log = run.log.clone();
            out.report(PeerReport::Forked { link: self.socket, log: log.clone(), seq: run.after });
            return self.refuse(now, held, sub, log, SyncRefusal::Diverged, out);
        }
        cursor.next = run.head();
        cursor.in_flight.push_back(Unacknowledged { to: cursor.next.to, bytes: run.bytes(), sent_ms: now.mono_ms });
        self.window.sent(run.bytes());
        out.counters.events_sent += run.events.len() as u64;
        let text = out.encoder.encode_run(now.wall_ms, sub, committed.body());
        if self.reads_compressed && text.len() >= compressed::MIN_BYTES {
            out.send_compressed(self.socket, text);
        } else {
            out.send_text(self.socket, text);
        }
    }

    fn refuse(&mut self, now: Now, held: &Have, sub: u64, log: LogId, refusal: SyncRefusal, out: &mut Out) {
        self.refuse_at(now, held.head_or_empty(&log), sub, log, refusal, out);
    }

    /// Says that the log is held, for this peer, up to `held`.
    fn refuse_at(&mut self, now: Now, held: Head, sub: u64, log: LogId, refusal: SyncRefusal, out: &mut Out) {
        self.remove(sub);
        let refused = SyncRefused { sub, refusal, held, log };
        out.send(now, self.socket, &Frame::SyncRefused(refused));
    }

    fn remove(&mut self, sub: u64) -> Option<LogId> {
        let cursor = self.cursors.remove(&sub)?;
        self.behind.remove(&sub);
        self.by_log.remove(&cursor.log);
        for run in cursor.in_flight {
            self.window.released(run.bytes);
        }
        if let Some(reading) = cursor.reading {
            self.reads -= 1;
            self.window.unreserve(reading.reserved_bytes);
        }
        Some(cursor.log)
    }
}
