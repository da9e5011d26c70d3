//! What the coordinator knows of one log that is followed or wanted, and from whom it is taken: the author first, then who holds
//! most, then the smallest id.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::allowance::TakenOf;
use super::{Wait, WaitReason};
use crate::domain::ids::{CentralId, LogId};
use crate::replication::backoff::{Backoff, BackoffRange};
use crate::replication::log::{Head, Run};
use crate::replication::peer::earlier;
use crate::replication::peer::output::{STANDSTILL_MS, SocketId};

/// A source that another peer has overtaken for this long, in ms, is left.
pub(super) const STALL_MS: u64 = 1_000;

/// A source that has forwarded what others wrote is left so long after another peer was ahead of it, in ms.
const OVERTAKEN_MS: u64 = 100;

/// A subscription at the head without an event for this long, in ms, is stopped; an announcement starts it anew.
const IDLE_STOP_MS: u64 = 10 * 60 * 1_000;

/// How long a source that disappointed is avoided at first, in ms; doubled each time, to an hour at most.
const AVOID_MS: u64 = 60 * 1_000;
const MAX_AVOID_MS: u64 = 60 * 60 * 1_000;

/// Even if nobody else is left, a source is not asked again sooner than this part of the time it is avoided: 1 s at
/// first, a minute at most.
const PAUSE_PART: u64 = 60;

/// What a linked peer announced.
#[derive(Debug, Clone, Copy)]
struct Offer {
    to: u64,
    /// What it announced at `mark_ms` and we have not received since: how long we lag behind this peer.
    mark_to: u64,
    mark_ms: u64,
}

/// From whom the log is taken.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) peer: CentralId,
    pub(super) link: SocketId,
    pub(super) since_ms: u64,
    pub(super) last_event_ms: u64,
    /// What it had announced when it was chosen. Who only ever gives that much may stand further from the author than we do.
    pub(super) announced: u64,
    /// It gave more than that.
    pub(super) forwards: bool,
}

#[derive(Debug, Clone, Copy)]
struct Avoided {
    since_ms: u64,
    until_ms: u64,
    /// How long the next time.
    next_ms: u64,
}

#[derive(Debug)]
pub(super) struct LogState {
    offers: BTreeMap<CentralId, Offer>,
    pub(super) source: Option<Source>,
    /// The end of what was handed to the writer and is not committed yet, and since when something waits.
    pub(super) queued: Option<(Head, u64)>,
    /// What each run of it is counted as once it is committed, by its end.
    unpaid: VecDeque<(u64, TakenOf)>,
    /// Who sent the last of it, and on which link.
    pub(super) queued_from: Option<(CentralId, SocketId)>,
    failures: Backoff,
    retry_at_ms: Option<u64>,
    avoided: BTreeMap<CentralId, Avoided>,
    /// Peers whose chain of this log differs from ours.
    pub(super) forked: BTreeSet<CentralId>,
    /// Since when it is refused because its author did not sign it.
    pub(super) unsigned_since_ms: Option<u64>,
    pub(super) wait: Option<Wait>,
    /// Nothing came or was committed for too long, and somebody was told.
    pub(super) stands_still: bool,
}

/// What to do about a log that has no source.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Nothing,
    Take(CentralId),
    /// Nothing before this time.
    Wait(WaitReason, Option<u64>),
}

impl Default for LogState {
    fn default() -> Self {
        Self {
            offers: BTreeMap::new(),
            source: None,
            queued: None,
            unpaid: VecDeque::new(),
            queued_from: None,
            failures: Backoff::new(BackoffRange::COMMIT),
            retry_at_ms: None,
            avoided: BTreeMap::new(),
            forked: BTreeSet::new(),
            unsigned_since_ms: None,
            wait: None,
            stands_still: false,
        }
    }
}

impl LogState {
    /// What was received, given what is durable.
    pub(super) fn received(&self, durable: Head) -> Head {
        self.queued.map(|(head, _)| head).filter(|head| head.to > durable.to).unwrap_or(durable)
    }

    pub(super) fn offered(&mut self, now_ms: u64, peer: &CentralId, to: u64, received: u64) {
        let fresh = Offer { to, mark_to: to, mark_ms: now_ms };
        match self.offers.get_mut(peer) {
            Some(offer) if offer.mark_to > received => offer.to = to,
            Some(offer) => *offer = fresh,
            None => {
                self.offers.insert(peer.clone(), fresh);
            }
        }
    }

    pub(super) fn withdraw(&mut self, peer: &CentralId) {
        self.offers.remove(peer);
    }

    /// The peers that announced more of it than is durable here.
    pub(super) fn offering(&self) -> impl Iterator<Item = &CentralId> {
        self.offers.keys()
    }

    /// How many events `peer` announced, if more than are durable here.
    pub(super) fn offer_of(&self, peer: &CentralId) -> u64 {
        self.offers.get(peer).map_or(0, |offer| offer.to)
    }

    pub(super) fn has_offer_of(&self, peer: &CentralId) -> bool {
        self.offers.contains_key(peer)
    }

    pub(super) fn announced(&self) -> u64 {
        self.offers.values().map(|offer| offer.to).max().unwrap_or(0)
    }

    /// Forgets offers that are durable here, and renews the marks of those that were reached in part.
    pub(super) fn prune(&mut self, now_ms: u64, durable: u64, received: u64) {
        self.offers.retain(|_, offer| offer.to > durable);
        for offer in self.offers.values_mut() {
            if offer.mark_to <= received && offer.to > received {
                offer.mark_to = offer.to;
                offer.mark_ms = now_ms;
            }
        }
        self.avoided.retain(|_, avoided| avoided.until_ms + avoided.next_ms > now_ms);
    }

    /// Whether the source has announced more than was received.
    pub(super) fn is_catching_up(&self, received: u64) -> bool {
        self.source.as_ref().and_then(|source| self.offers.get(&source.peer)).is_some_and(|offer| offer.to > received)
    }

    /// Whether the log should move to its author, who announced more than was received.
    pub(super) fn should_move_to_author(&self, now_ms: u64, log: &LogId, received: u64) -> bool {
        self.source.as_ref().is_some_and(|source| source.peer != log.central)
            && self.offers.get(&log.central).is_some_and(|offer| offer.to > received)
            && !self.forked.contains(&log.central)
            && !self.is_avoided(now_ms, &log.central)
    }

    /// When the source is left without blame, if nothing comes: it gave all it had announced, and another peer announced more.
    /// At once, if it never forwarded anything: it may itself wait for us.
    pub(super) fn overtaken_at_ms(&self, now_ms: u64, log: &LogId, received: u64) -> Option<u64> {
        let source = self.source.as_ref().filter(|source| source.peer != log.central)?;
        if self.queued.is_some() || self.is_catching_up(received) {
            return None;
        }
        let grace_ms = if source.forwards { OVERTAKEN_MS } else { 0 };
        let ahead = self.offers.iter().filter(|(peer, offer)| {
            offer.mark_to > received && !self.forked.contains(*peer) && !self.is_avoided(now_ms, peer)
        });
        ahead.map(|(_, offer)| offer.mark_ms + grace_ms).min()
    }

    /// When the source counts as stalled, if nothing comes: 1 s after another peer announced more than the source sent.
    pub(super) fn stalls_at_ms(&self, received: u64) -> Option<u64> {
        let source = self.source.as_ref()?;
        if self.queued.is_some() {
            return None;
        }
        let overtaken_ms = self
            .offers
            .iter()
            .filter(|(peer, offer)| **peer != source.peer && !self.forked.contains(*peer) && offer.mark_to > received)
            .map(|(peer, offer)| (offer.mark_ms + STALL_MS).max(self.ready_at_ms(peer)))
            .min()?;
        Some(overtaken_ms.max(source.since_ms + STALL_MS))
    }

    /// When it is an alarm that what came is not committed, or that nothing comes of what the source announced.
    pub(super) fn standstill_at_ms(&self, received: u64) -> Option<u64> {
        let since_ms = match (self.queued, &self.source) {
            (Some((_, since_ms)), _) => since_ms,
            (None, Some(source)) if self.is_catching_up(received) => source.last_event_ms,
            _ => return None,
        };
        Some(since_ms + STANDSTILL_MS)
    }

    /// When the source is given up because nothing happens in the log.
    pub(super) fn idle_at_ms(&self, received: u64) -> Option<u64> {
        let source = self.source.as_ref()?;
        let busy = self.queued.is_some() || self.offers.values().any(|offer| offer.to > received);
        (!busy).then_some(source.last_event_ms + IDLE_STOP_MS)
    }

    pub(super) fn avoid(&mut self, now_ms: u64, peer: &CentralId) {
        let for_ms = self.avoided.get(peer).map_or(AVOID_MS, |avoided| avoided.next_ms);
        let next_ms = (for_ms * 2).min(MAX_AVOID_MS);
        self.avoided.insert(peer.clone(), Avoided { since_ms: now_ms, until_ms: now_ms + for_ms, next_ms });
    }

    /// When a peer may be asked again if nobody better is left.
    fn ready_at_ms(&self, peer: &CentralId) -> u64 {
        self.avoided
            .get(peer)
            .map_or(0, |avoided| avoided.since_ms + (avoided.until_ms - avoided.since_ms) / PAUSE_PART)
    }

    fn is_avoided(&self, now_ms: u64, peer: &CentralId) -> bool {
        self.avoided.get(peer).is_some_and(|avoided| avoided.until_ms > now_ms)
    }

    /// Whom to take the log from, as there is no source.
    pub(super) fn choose(&self, now_ms: u64, log: &LogId, received: u64) -> Choice {
        let mut forked = false;
        let candidates = self.offers.iter().filter(|(_, offer)| offer.to > received).filter(|(peer, _)| {
            let differs = self.forked.contains(*peer);
            forked |= differs;
            !differs
        });
        let candidates =
            candidates.map(|(peer, offer)| Candidate { peer, to: offer.to, avoided: self.is_avoided(now_ms, peer) });
        let Some(best) = choose(log, candidates) else {
            return if forked { Choice::Wait(WaitReason::Forked, None) } else { Choice::Nothing };
        };
        // Whoever is asked compares what we hold with what it holds. What is not committed yet may never be: it may be forged.
        if self.queued.is_some() {
            return Choice::Wait(WaitReason::Commit, None);
        }
        if let Some(at_ms) = self.retry_at_ms.filter(|at_ms| *at_ms > now_ms) {
            return Choice::Wait(WaitReason::CommitFailed, Some(at_ms));
        }
        let ready_at_ms = self.ready_at_ms(best.peer);
        if ready_at_ms > now_ms {
            return Choice::Wait(WaitReason::SourceAvoided, Some(ready_at_ms));
        }
        Choice::Take(best.peer.clone())
    }

    /// A run was handed to the writer, which begins after `durable` events.
    pub(super) fn handed_over(&mut self, now_ms: u64, durable: u64, run: &Run) {
        let since_ms = self.queued.map_or(now_ms, |(_, since_ms)| since_ms);
        self.queued = Some((run.head(), since_ms));
        let logs = u64::from(durable == 0 && run.after == 0);
        let bytes = run.events.iter().map(|event| event.len() as u64).sum();
        self.unpaid.push_back((run.head().to, TakenOf { logs, events: run.events.len() as u64, bytes }));
    }

    /// Nothing of what was queued will be committed.
    pub(super) fn drop_queued(&mut self) {
        self.queued = None;
        self.unpaid.clear();
    }

    /// Something of what was queued is durable: what it is counted as.
    pub(super) fn committed(&mut self, now_ms: u64, durable: u64) -> TakenOf {
        self.failures.reset();
        self.retry_at_ms = None;
        self.unsigned_since_ms = None;
        self.queued = self.queued.filter(|(head, _)| head.to > durable).map(|(head, _)| (head, now_ms));
        let mut paid = TakenOf::default();
        while let Some((_, taken)) = self.unpaid.front().copied().filter(|(to, _)| *to <= durable) {
            self.unpaid.pop_front();
            paid.logs += taken.logs;
            paid.events += taken.events;
            paid.bytes += taken.bytes;
        }
        paid
    }

    /// A commit failed. `false`: it is known already.
    pub(super) fn commit_failed(&mut self, now_ms: u64) -> bool {
        if self.queued.is_none() {
            return false;
        }
        self.drop_queued();
        let wait_ms = self.failures.ceiling_ms();
        // Nobody else competes for our disk: the wait needs no jitter.
        let _ = self.failures.next_wait_ms(0);
        self.retry_at_ms = Some(now_ms + wait_ms);
        true
    }

    pub(super) fn set_wait(&mut self, now_ms: u64, reason: Option<WaitReason>) {
        let since_mono_ms = match &self.wait {
            Some(wait) if Some(wait.reason) == reason => wait.since_mono_ms,
            _ => now_ms,
        };
        self.wait = reason.map(|reason| Wait { reason, since_mono_ms });
    }

    /// Nobody offers it, nobody gives it, nothing of it is on its way to the disk.
    pub(super) fn is_nowhere(&self) -> bool {
        self.offers.is_empty() && self.source.is_none() && self.queued.is_none()
    }

    /// Nobody offers more of it than is durable here.
    pub(super) fn is_held(&self) -> bool {
        self.offers.is_empty() && self.queued.is_none()
    }

    /// Whether nothing about the log needs to be remembered.
    pub(super) fn is_idle(&self) -> bool {
        self.offers.is_empty()
            && self.source.is_none()
            && self.queued.is_none()
            && self.avoided.is_empty()
            && self.forked.is_empty()
    }

    /// When the source may have to be left, if nothing happens before.
    pub(super) fn next_check_ms(&self, now_ms: u64, log: &LogId, received: u64) -> Option<u64> {
        let left_ms = earlier(self.stalls_at_ms(received), self.overtaken_at_ms(now_ms, log, received));
        let told_ms = self.standstill_at_ms(received).filter(|_| !self.stands_still);
        earlier(earlier(left_ms, told_ms), self.idle_at_ms(received))
    }
}

/// A linked peer that announced more of a log than is held here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    pub peer: &'a CentralId,
    /// How many events it announced.
    pub to: u64,
    /// It has disappointed us lately; taken only if nobody else is left.
    pub avoided: bool,
}

/// The best source of a log.
pub fn choose<'a>(log: &LogId, candidates: impl Iterator<Item = Candidate<'a>>) -> Option<Candidate<'a>> {
    candidates.min_by_key(|candidate| {
        (candidate.avoided, *candidate.peer != log.central, Reverse(candidate.to), candidate.peer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offers: &[(&str, u64, bool)]) -> Option<String> {
        let log: LogId = "c2/00000000000000aa".parse().unwrap();
        let ids: Vec<CentralId> = offers.iter().map(|(id, ..)| id.parse().unwrap()).collect();
        let candidates =
            ids.iter().zip(offers).map(|(peer, (_, to, avoided))| Candidate { peer, to: *to, avoided: *avoided });
        choose(&log, candidates).map(|candidate| candidate.peer.to_string())
    }

    #[test]
    fn the_author_comes_first_then_the_largest_then_the_smallest_id() {
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[("c1", 90, false), ("c2", 10, false), ("c3", 99, false)]).as_deref(), Some("c2"));
        assert_eq!(chosen(&[("c1", 90, false), ("c3", 99, false)]).as_deref(), Some("c3"));
        assert_eq!(chosen(&[("c4", 99, false), ("c3", 99, false)]).as_deref(), Some("c3"));
    }

    #[test]
    fn a_source_that_disappointed_is_taken_only_if_nobody_else_is_left() {
        assert_eq!(chosen(&[("c2", 99, true), ("c3", 10, false)]).as_deref(), Some("c3"));
        assert_eq!(chosen(&[("c2", 99, true), ("c3", 100, true)]).as_deref(), Some("c2"));
    }
}
