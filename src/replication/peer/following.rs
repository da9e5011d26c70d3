//! Our subscriptions to a peer's logs on one link.
//!
//! What is committed is acknowledged at once, but if something was acknowledged on the link just before, together with
//! what comes within 50 ms of that: where each event comes alone, every other message would be an acknowledgement.

use std::collections::BTreeMap;

use super::output::{Out, SocketId};
use crate::domain::ids::LogId;
use crate::replication::Now;
use crate::replication::log::Head;
use crate::wire::frame::{Frame, SyncRequest};

/// How long acknowledgements are held together, in ms.
const COALESCE_MS: u64 = 50;
/// So many events of a log are acknowledged at once: somebody catches up, and sends more as soon as he hears of it.
const MANY_EVENTS: u64 = 32;

/// One subscription.
#[derive(Debug, Clone, Copy)]
struct Sub {
    number: u64,
    /// Up to where it was acknowledged. Saying it again would tell nothing: whatever the peer sent of it before it heard
    /// of this was acknowledged by it too.
    acked: u64,
    /// Committed, and to be acknowledged.
    due: Option<Head>,
}

impl Sub {
    fn acknowledge(&mut self, now: Now, socket: SocketId, out: &mut Out) {
        if let Some(head) = self.due.take() {
            self.acked = head.to;
            out.send(now, socket, &Frame::SyncAck { sub: self.number, head });
        }
    }

    fn stop(mut self, now: Now, socket: SocketId, out: &mut Out) -> u64 {
        self.acknowledge(now, socket, out);
        out.send(now, socket, &Frame::SyncStop { sub: self.number });
        self.number
    }
}

/// What a number that a run carries is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberStanding {
    Current,
    /// It was stopped: what was under way then may still be taken.
    Stopped,
    /// The log was never followed by that number on this link.
    Never,
}

#[derive(Debug, Default)]
pub(super) struct Following {
    subs: BTreeMap<LogId, Sub>,
    /// Of each log, the number of the last subscription that was stopped.
    stopped: BTreeMap<LogId, u64>,
    /// Never used twice on a link, so that a late frame of a stopped subscription is known as one.
    last_sub: u64,
    acknowledged_ms: Option<u64>,
    flush_at_ms: Option<u64>,
}

impl Following {
    pub(super) fn follow(&mut self, now: Now, socket: SocketId, log: LogId, from: Head, out: &mut Out) {
        self.unfollow(now, socket, &log, out);
        self.last_sub += 1;
        let request = SyncRequest { sub: self.last_sub, log: log.clone(), after: from.to, hash: from.hash };
        out.send(now, socket, &Frame::SyncRequest(request));
        self.subs.insert(log, Sub { number: self.last_sub, acked: 0, due: None });
    }

    /// `false`: the log was not followed.
    pub(super) fn unfollow(&mut self, now: Now, socket: SocketId, log: &LogId, out: &mut Out) -> bool {
        let Some(sub) = self.subs.remove(log) else { return false };
        self.stopped.insert(log.clone(), sub.stop(now, socket, out));
        true
    }

    pub(super) fn unfollow_all(&mut self, now: Now, socket: SocketId, out: &mut Out) {
        for (log, sub) in std::mem::take(&mut self.subs) {
            self.stopped.insert(log, sub.stop(now, socket, out));
        }
    }

    pub(super) fn acknowledge(&mut self, now: Now, socket: SocketId, log: &LogId, head: Head, out: &mut Out) {
        let Some(sub) = self.subs.get_mut(log).filter(|sub| head.to > sub.acked) else { return };
        sub.due = Some(head);
        let is_much = head.to - sub.acked >= MANY_EVENTS;
        let at_ms = self.acknowledged_ms.map_or(now.mono_ms, |last_ms| last_ms + COALESCE_MS);
        if is_much || at_ms <= now.mono_ms {
            self.flush(now, socket, out);
        } else {
            self.flush_at_ms = Some(at_ms);
        }
    }

    pub(super) fn tick(&mut self, now: Now, socket: SocketId, out: &mut Out) {
        if self.flush_at_ms.is_some_and(|at_ms| at_ms <= now.mono_ms) {
            self.flush(now, socket, out);
        }
    }

    fn flush(&mut self, now: Now, socket: SocketId, out: &mut Out) {
        self.flush_at_ms = None;
        self.acknowledged_ms = Some(now.mono_ms);
        for sub in self.subs.values_mut() {
            sub.acknowledge(now, socket, out);
        }
    }

    pub(super) fn next_wakeup_ms(&self) -> Option<u64> {
        self.flush_at_ms
    }

    pub(super) fn standing(&self, log: &LogId, sub: u64) -> NumberStanding {
        if self.subs.get(log).is_some_and(|standing| standing.number == sub) {
            NumberStanding::Current
        } else if self.stopped.get(log).is_some_and(|last| sub <= *last) {
            NumberStanding::Stopped
        } else {
            NumberStanding::Never
        }
    }

    /// The peer ended the subscription. `false`: it did not stand any more.
    pub(super) fn refused(&mut self, log: &LogId, sub: u64) -> bool {
        let current = self.standing(log, sub) == NumberStanding::Current;
        if current {
            self.subs.remove(log);
        }
        current
    }

    pub(super) fn contains(&self, log: &LogId) -> bool {
        self.subs.contains_key(log)
    }

    pub(super) fn len(&self) -> usize {
        self.subs.len()
    }
}
