//! The coordinator: per log what is durable, what is queued, from whom it comes, what waits and why.
//!
//! Every event about a log ends in [`Coordinator::settle`], which compares what is wanted with what is under way and
//! changes the difference. Invariants: a log has at most one source; a run is handed to the writer only if it continues
//! what was handed before; acknowledgements name what is durable, never more.

pub mod allowance;
mod arriving;
mod log_state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::{CentralId, LogId};
use crate::replication::Now;
use crate::replication::have::Have;
use crate::replication::log::{Doubt, Head, Run};
use crate::replication::peer::output::{Alarm, PeerCommand, PeerReport, STANDSTILL_MS, SocketId};
use allowance::{Budget, Ration, TakenOf};
use log_state::LogState;
use serde::Serialize;

/// Most logs that catch up on one link at a time.
pub const MAX_CATCHING_UP: usize = 8;
/// How many logs of which nothing is held, and nothing comes, are shown.
const MOST_SHOWN_IDLE: usize = 64;

/// A linked peer.
#[derive(Debug)]
struct LinkedPeerView {
    id: SocketId,
    /// When an event of any log came on it, or one that came was committed (which may be what it waited for).
    stirred_ms: u64,
    /// Logs taken from it that are behind what it announced.
    catching_up: BTreeSet<LogId>,
    /// Logs that wait for one of those to be done.
    waiting: BTreeSet<LogId>,
}

/// Decides which log is taken from whom. One per central.
#[derive(Debug)]
pub struct Coordinator {
    own_log: Option<LogId>,
    /// The own log that a new epoch was asked for instead of.
    abandoned: Option<LogId>,
    links: BTreeMap<CentralId, LinkedPeerView>,
    logs: BTreeMap<LogId, LogState>,
    /// By whose name events have.
    accounts: BTreeMap<CentralId, Ration>,
    /// When the first of them was charged, and whether all that was there then is held.
    begun_ms: Option<u64>,
    caught_up: bool,
    disk_is_low: bool,
    /// Own logs that were begun because others said they hold more of the one before.
    own_logs: Budget,
    check_at_ms: Option<u64>,
    outputs: Vec<CoordinatorOutput>,
    counters: SyncCounters,
}

impl Default for Coordinator {
    fn default() -> Self {
        Self::new()
    }
}

impl Coordinator {
    pub fn new() -> Self {
        Self {
            own_log: None,
            abandoned: None,
            links: BTreeMap::new(),
            logs: BTreeMap::new(),
            accounts: BTreeMap::new(),
            begun_ms: None,
            caught_up: false,
            disk_is_low: false,
            own_logs: Budget::default(),
            check_at_ms: None,
            outputs: Vec::new(),
            counters: SyncCounters::default(),
        }
    }

    /// The log this process authors, once it has one: it is never followed. One that was abandoned is from then on, even
    /// if a commit that was under way names it once more.
    pub fn set_own_log(&mut self, now: Now, held: &Have, log: Option<LogId>) {
        let log = log.filter(|log| self.abandoned.as_ref() != Some(log));
        if log == self.own_log {
            return;
        }
        let before = std::mem::replace(&mut self.own_log, log);
        for log in [before, self.own_log.clone()].into_iter().flatten() {
            self.settle(now, held, &log);
        }
        self.fill_links(now, held);
    }

    /// A peer's link reports. Reports of one peer come in their order.
    pub fn report(&mut self, now: Now, held: &Have, peer: &CentralId, report: PeerReport) {
        match report {
            PeerReport::LinkUp { link } => {
                self.link_down(now, held, peer);
                let fresh = LinkedPeerView {
                    id: link,
                    stirred_ms: now.mono_ms,
                    catching_up: BTreeSet::new(),
                    waiting: BTreeSet::new(),
                };
                self.links.insert(peer.clone(), fresh);
                // A chain that differed may have been repaired.
                for state in self.logs.values_mut() {
                    state.forked.remove(peer);
                }
            }
            PeerReport::LinkDown { link, .. } if self.is_current(peer, link) => self.link_down(now, held, peer),
            PeerReport::Has { link, log, head } if self.is_current(peer, link) => {
                self.peer_has(now, held, peer, &log, head);
            }
            PeerReport::Run { link, run, current } if self.is_current(peer, link) => {
                self.run_arrived(now, held, peer, run, current);
            }
            PeerReport::Refused { link, log, refusal, held: theirs } if self.is_current(peer, link) => {
                self.refused(now, held, peer, &log, refusal, theirs);
            }
            PeerReport::Forked { link, log, seq } if self.is_current(peer, link) => {
                self.forked(now, held, peer, &log, seq);
            }
            PeerReport::Unfit { link, log } if self.is_current(peer, link) => {
                let from_there = |state: &LogState| state.source.as_ref().is_some_and(|source| source.peer == *peer);
                if self.logs.get(&log).is_some_and(from_there) {
                    self.leave_source(now, &log);
                    self.settle(now, held, &log);
                }
            }
            // Of a link that is over.
            _ => {}
        }
        self.fill_links(now, held);
    }

    /// `log` is durable up to `head` (own logs too). `held` shows it already.
    pub fn committed(&mut self, now: Now, held: &Have, log: &LogId, head: Head) {
        let Some(state) = self.logs.get_mut(log) else { return };
        let taken = state.committed(now.mono_ms, held.to(log));
        if taken != TakenOf::default() {
            self.charge(now, &log.central, taken);
        }
        let Some(state) = self.logs.get_mut(log) else { return };
        if let Some(source) = &state.source {
            let command = PeerCommand::Acknowledge { log: log.clone(), head };
            let (peer, link) = (source.peer.clone(), source.link);
            if let Some(link) = self.links.get_mut(&peer) {
                link.stirred_ms = now.mono_ms;
            }
            self.outputs.push(CoordinatorOutput::ToPeer { peer, link, command });
        }
        self.settle(now, held, log);
        self.fill_links(now, held);
        self.caught_up = self.caught_up || self.logs.values().all(LogState::is_held);
    }

    /// The linked peers that announced more of a log than is durable here, and those that did of any log of its central.
    pub fn announcing(&self, log: &LogId) -> (BTreeSet<CentralId>, BTreeSet<CentralId>) {
        let of_log = self.logs.get(log).into_iter().flat_map(LogState::offering).cloned().collect();
        let of_central = self.logs.iter().filter(|(other, _)| other.central == log.central);
        (of_log, of_central.flat_map(|(_, state)| state.offering()).cloned().collect())
    }

    /// A stored run was refused or its transaction failed. What was queued of the log is dropped and asked for again
    /// after a pause, from what `held` shows.
    pub fn store_failed(&mut self, now: Now, held: &Have, log: &LogId) {
        let failed = self.logs.get_mut(log).is_some_and(|state| state.commit_failed(now.mono_ms));
        if failed {
            self.counters.failed_commits += 1;
            self.unfollow(log);
            self.settle(now, held, log);
            self.fill_links(now, held);
        }
    }

    /// A run was not written by whose log it is, for certain or as far as is known now. What was queued of the log is dropped, and
    /// it is not taken on that link again, as from who holds another chain; or later, as from a source that disappointed.
    ///
    /// Of a central that is being brought up to date others pass on what it has not given itself yet: that is an alarm if it stays so.
    pub fn store_refused(&mut self, now: Now, held: &Have, log: &LogId, reason: &str, doubt: Doubt) {
        let Some(state) = self.logs.get_mut(log) else { return };
        state.drop_queued();
        let Some((peer, link)) = state.queued_from.take() else { return };
        // Who lied on a link that is over may have been somebody else.
        if doubt == Doubt::Certain && self.links.get(&peer).is_some_and(|current| current.id == link) {
            state.forked.insert(peer.clone());
            self.counters.forks += 1;
        } else {
            state.avoid(now.mono_ms, &peer);
        }
        let since_ms = *state.unsigned_since_ms.get_or_insert(now.mono_ms);
        if doubt != Doubt::Unsigned || now.mono_ms - since_ms >= STANDSTILL_MS {
            let alarm = Alarm::NotItsAuthor { log: log.clone(), peer, reason: reason.to_owned() };
            self.outputs.push(CoordinatorOutput::Alarm(alarm));
        }
        self.unfollow(log);
        self.settle(now, held, log);
        self.fill_links(now, held);
    }

    /// Call when [`Coordinator::next_wakeup_ms`] is due; harmless at any time.
    pub fn tick(&mut self, now: Now, held: &Have) {
        if self.check_at_ms.is_none_or(|at_ms| at_ms > now.mono_ms) {
            return;
        }
        self.check_at_ms = None;
        let logs: Vec<LogId> = self.logs.keys().cloned().collect();
        for log in logs {
            self.settle(now, held, &log);
        }
        self.fill_links(now, held);
    }

    /// When `tick` has something to do next, on the monotonic clock.
    pub fn next_wakeup_ms(&self) -> Option<u64> {
        self.check_at_ms
    }

    /// What there is to do, in order. Call after every other call.
    pub fn take_outputs(&mut self) -> Vec<CoordinatorOutput> {
        std::mem::take(&mut self.outputs)
    }

    /// The logs that are followed or wanted.
    pub fn status(&self, held: &Have) -> Vec<LogStatus> {
        let status = |(log, state): (&LogId, &LogState)| {
            let durable = held.head_or_empty(log);
            LogStatus {
                log: log.clone(),
                held: durable.to,
                received: state.received(durable).to,
                announced: state.announced(),
                source: state.source.as_ref().map(|source| source.peer.clone()),
                waits: state.wait.clone(),
                stands_still: state.stands_still,
            }
        };
        self.logs.iter().map(status).collect()
    }

    /// [`Self::status`] for people: whatever is held or comes, the first 64 of others, and how many more of those there are. A
    /// peer may announce logs without end.
    pub fn shown(&self, held: &Have) -> (Vec<LogStatus>, usize) {
        let (mut logs, mut idle) = (self.status(held), 0_usize);
        logs.retain(|log| {
            let is_idle = log.held == 0 && log.source.is_none();
            idle += usize::from(is_idle);
            !is_idle || idle <= MOST_SHOWN_IDLE
        });
        (logs, idle.saturating_sub(MOST_SHOWN_IDLE))
    }

    pub fn counters(&self) -> SyncCounters {
        self.counters
    }

    fn is_current(&self, peer: &CentralId, link: SocketId) -> bool {
        self.links.get(peer).is_some_and(|current| current.id == link)
    }

    fn link_down(&mut self, now: Now, held: &Have, peer: &CentralId) {
        if self.links.remove(peer).is_none() {
            return;
        }
        let mut affected = Vec::new();
        for (log, state) in &mut self.logs {
            let lost = state.source.take_if(|source| source.peer == *peer).is_some();
            if lost || state.has_offer_of(peer) {
                state.withdraw(peer);
                affected.push(log.clone());
            }
        }
        for log in affected {
            // What nobody offers any more and of which nothing is held need not be remembered, not even who disappointed us.
            if held.to(&log) == 0 && self.logs.get(&log).is_some_and(LogState::is_nowhere) {
                self.logs.remove(&log);
                for link in self.links.values_mut() {
                    link.waiting.remove(&log);
                }
                continue;
            }
            self.settle(now, held, &log);
        }
    }

    fn peer_has(&mut self, now: Now, held: &Have, peer: &CentralId, log: &LogId, head: Head) {
        let durable = held.head_or_empty(log);
        if head.to == durable.to && head.hash != durable.hash {
            return self.forked(now, held, peer, log, head.to);
        }
        if head.to <= durable.to {
            return;
        }
        if self.own_log.as_ref() == Some(log) {
            self.abandon_own_log(now, log, |log| Alarm::OwnLogAhead {
                log,
                ours: durable.to,
                theirs: head.to,
                peer: peer.clone(),
            });
        }
        let state = self.logs.entry(log.clone()).or_default();
        let received = state.received(durable).to;
        state.offered(now.mono_ms, peer, head.to, received);
        self.settle(now, held, log);
    }
}

/// Something the shell is to do for the coordinator.
#[derive(Debug, Clone, PartialEq)]
pub enum CoordinatorOutput {
    /// Hand to the peer, which ignores it unless `link` is still the link in use.
    ToPeer { peer: CentralId, link: SocketId, command: PeerCommand },
    /// Commit this run; answer with `committed` or `store_failed`. Runs of one log come in order.
    Store { run: Run, from: CentralId },
    /// Our current log is not ours alone any more: author into a new epoch from the next event on, then `set_own_log`.
    StartNewEpoch { log: LogId },
    /// Log it, show it.
    Alarm(Alarm),
}

/// One log that is followed or wanted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogStatus {
    pub log: LogId,
    /// Events held durably.
    pub held: u64,
    /// Events received, the held ones included.
    pub received: u64,
    /// The most any linked peer announced.
    pub announced: u64,
    pub source: Option<CentralId>,
    pub waits: Option<Wait>,
    /// It waits for events or for a commit, and nothing of either came for a minute.
    pub stands_still: bool,
}

/// What a log waits for, and since when on the monotonic clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wait {
    pub reason: WaitReason,
    pub since_mono_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// For events from the source.
    Source,
    /// For the commit of what was received.
    Commit,
    /// The last commit failed; the events are asked for again after a pause.
    CommitFailed,
    /// Eight logs are catching up on the link of the best source already.
    LinkBusy,
    /// Every central that holds more has disappointed us; the only one left is tried again shortly.
    SourceAvoided,
    /// More of its author was taken than may be in this time.
    TooMuch,
    /// The chain differs from the one held here, at every central that holds more.
    Forked,
}

/// Since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SyncCounters {
    pub runs_taken: u64,
    pub events_taken: u64,
    /// Events that were held or queued already.
    pub duplicates: u64,
    pub gaps: u64,
    pub stalls: u64,
    pub broken_runs: u64,
    pub failed_commits: u64,
    pub forks: u64,
}
