//! Our subscriptions to a peer's logs on one link.

use std::collections::BTreeMap;

use super::out::Out;
use super::output::SocketId;
use crate::domain::ids::LogId;
use crate::replication::log::Head;
use crate::replication::now::Now;
use crate::wire::frame::{Frame, SyncRequest};

/// One subscription.
#[derive(Debug, Clone, Copy)]
struct Sub {
    number: u64,
    /// Up to where it was acknowledged. Saying it again would tell nothing: whatever the peer sent of it before it heard
    /// of this was acknowledged by it too.
    acked: u64,
}

/// What a number that a run carries is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
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
}

impl Following {
    pub(super) fn follow(&mut self, now: Now, socket: SocketId, log: LogId, from: Head, out: &mut Out) {
        self.unfollow(now, socket, &log, out);
        self.last_sub += 1;
        let request = SyncRequest { sub: self.last_sub, log: log.clone(), after: from.to, hash: from.hash };
        out.send(now, socket, &Frame::SyncRequest(request));
        self.subs.insert(log, Sub { number: self.last_sub, acked: 0 });
    }

    /// `false`: the log was not followed.
    pub(super) fn unfollow(&mut self, now: Now, socket: SocketId, log: &LogId, out: &mut Out) -> bool {
        let Some(sub) = self.subs.remove(log) else { return false };
        out.send(now, socket, &Frame::SyncStop { sub: sub.number });
        self.stopped.insert(log.clone(), sub.number);
        true
    }

    pub(super) fn unfollow_all(&mut self, now: Now, socket: SocketId, out: &mut Out) {
        for (log, sub) in std::mem::take(&mut self.subs) {
            out.send(now, socket, &Frame::SyncStop { sub: sub.number });
            self.stopped.insert(log, sub.number);
        }
    }

    pub(super) fn acknowledge(&mut self, now: Now, socket: SocketId, log: &LogId, head: Head, out: &mut Out) {
        if let Some(sub) = self.subs.get_mut(log).filter(|sub| head.to > sub.acked) {
            sub.acked = head.to;
            out.send(now, socket, &Frame::SyncAck { sub: sub.number, head });
        }
    }

    pub(super) fn standing(&self, log: &LogId, sub: u64) -> Standing {
        if self.subs.get(log).is_some_and(|standing| standing.number == sub) {
            Standing::Current
        } else if self.stopped.get(log).is_some_and(|last| sub <= *last) {
            Standing::Stopped
        } else {
            Standing::Never
        }
    }

    /// The peer ended the subscription. `false`: it did not stand any more.
    pub(super) fn refused(&mut self, log: &LogId, sub: u64) -> bool {
        let current = self.standing(log, sub) == Standing::Current;
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
