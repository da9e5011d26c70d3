//! What arrives of a log, and what is made of it: taken, acknowledged, refused, or a fork that needs a person. Then what is wanted of
//! the log is compared with what is under way: leaving sources, choosing them, waiting.

use super::allowance::OWN_LOGS;
use super::log_state::{Choice, LogState, STALL_MS, Source};
use super::{Coordinator, CoordinatorOutput, MAX_CATCHING_UP, WaitReason};
use crate::domain::ids::{CentralId, LogId};
use crate::replication::Now;
use crate::replication::have::Have;
use crate::replication::log::{Continuity, Head, Run, judge};
use crate::replication::peer::earlier;
use crate::replication::peer::output::{Alarm, PeerCommand};
use crate::wire::frame::SyncRefusal;

impl Coordinator {
    pub(super) fn run_arrived(&mut self, now: Now, held: &Have, peer: &CentralId, run: Run, current: bool) {
        if self.own_log.as_ref() == Some(&run.log) {
            return;
        }
        let Some(link) = self.links.get_mut(peer) else { return };
        link.stirred_ms = now.mono_ms;
        let link = link.id;
        let log = run.log.clone();
        let durable = held.head_or_empty(&log);
        let state = self.logs.entry(log.clone()).or_default();
        let current = current && state.source.as_ref().is_some_and(|source| source.peer == *peer);
        // What is on its way of a log that is begun is taken still: only a few are at a time.
        if self.held_back_until_ms(now, &log, false).is_some() {
            if current {
                self.unfollow(&log);
            }
            return self.settle(now, held, &log);
        }
        let state = self.logs.entry(log.clone()).or_default();
        let (after, head) = (run.after, run.head());
        match judge(state.received(durable), run) {
            Continuity::Continues(run) => {
                if let Some(source) = state.source.as_mut().filter(|_| current) {
                    source.last_event_ms = now.mono_ms;
                    source.forwards |= head.to > source.announced;
                }
                state.handed_over(now.mono_ms, durable.to, &run);
                if head.to > durable.to {
                    state.offered(now.mono_ms, peer, head.to.max(state.offer_of(peer)), head.to);
                }
                self.counters.runs_taken += 1;
                self.counters.events_taken += run.events.len() as u64;
                state.queued_from = Some((peer.clone(), link));
                self.outputs.push(CoordinatorOutput::Store { run, from: peer.clone() });
            }
            Continuity::Duplicate => {
                self.counters.duplicates += 1;
                if current {
                    self.acknowledge(&log, durable);
                }
            }
            // It may be what waits for its commit that is forged. Who really holds another chain is found out when asked again.
            Continuity::Forked { .. } if state.queued.is_some() => {
                if current {
                    self.leave_source(now, &log);
                }
            }
            Continuity::Forked { seq } => self.forked(now, held, peer, &log, seq),
            // What a stopped subscription still sends need not fit.
            Continuity::Gap | Continuity::Broken if !current => {}
            Continuity::Gap => {
                self.counters.gaps += 1;
                self.leave_source(now, &log);
            }
            Continuity::Broken => {
                self.counters.broken_runs += 1;
                self.outputs.push(CoordinatorOutput::Alarm(Alarm::BrokenRun {
                    log: log.clone(),
                    after,
                    peer: peer.clone(),
                }));
                self.leave_source(now, &log);
            }
        }
        self.settle(now, held, &log);
    }

    pub(super) fn refused(
        &mut self,
        now: Now,
        held: &Have,
        peer: &CentralId,
        log: &LogId,
        refusal: SyncRefusal,
        theirs: Head,
    ) {
        let from_there = |state: &LogState| state.source.as_ref().is_some_and(|source| source.peer == *peer);
        if !self.logs.get(log).is_some_and(from_there) {
            return;
        }
        // The subscription is over on both sides. One that we began there since, before we heard of this, is ended too.
        self.unfollow(log);
        let Some(state) = self.logs.get_mut(log) else { return };
        match refusal {
            SyncRefusal::NotHeld => {
                state.avoid(now.mono_ms, peer);
                state.withdraw(peer);
                if theirs.to > held.to(log) {
                    let received = state.received(held.head_or_empty(log)).to;
                    state.offered(now.mono_ms, peer, theirs.to, received);
                }
                self.settle(now, held, log);
            }
            SyncRefusal::Diverged => {
                let seq = state.received(held.head_or_empty(log)).to;
                self.forked(now, held, peer, log, seq);
            }
        }
    }

    /// The chain of `peer` differs from ours. Between the two of us the log stops; nobody drops what it holds.
    pub(super) fn forked(&mut self, now: Now, held: &Have, peer: &CentralId, log: &LogId, seq: u64) {
        let state = self.logs.entry(log.clone()).or_default();
        if state.forked.insert(peer.clone()) {
            self.counters.forks += 1;
            let alarm = |log| Alarm::Fork { log, seq, peer: peer.clone() };
            if self.own_log.as_ref() == Some(log) {
                self.abandon_own_log(now, log, alarm);
            } else {
                self.outputs.push(CoordinatorOutput::Alarm(alarm(log.clone())));
            }
        }
        let from_there =
            self.logs.get(log).and_then(|state| state.source.as_ref()).is_some_and(|source| source.peer == *peer);
        if from_there {
            self.unfollow(log);
        }
        self.settle(now, held, log);
    }

    /// Our current log is not ours alone: nothing more is authored into it.
    pub(super) fn abandon_own_log(&mut self, now: Now, log: &LogId, alarm: impl FnOnce(LogId) -> Alarm) {
        let may = self.own_logs.free_at_ms(now.mono_ms, OWN_LOGS).is_none();
        if self.abandoned.as_ref() != Some(log) && may {
            self.own_logs.pay(now.mono_ms, OWN_LOGS, 1);
            self.abandoned = Some(log.clone());
            self.outputs.push(CoordinatorOutput::Alarm(alarm(log.clone())));
            self.outputs.push(CoordinatorOutput::StartNewEpoch { log: log.clone() });
        }
    }
}

impl Coordinator {
    /// Compares what is wanted of a log with what is under way, and changes the difference.
    pub(super) fn settle(&mut self, now: Now, held: &Have, log: &LogId) {
        let durable = held.head_or_empty(log);
        if self.own_log.as_ref() == Some(log) {
            self.unfollow(log);
        } else {
            self.settle_source(now, log, durable);
        }
        let Some(state) = self.logs.get_mut(log) else { return };
        let received = state.received(durable).to;
        let catching_up = state.is_catching_up(received);
        let source = state.source.as_ref().map(|source| source.peer.clone());
        if state.queued.is_some() {
            state.set_wait(now.mono_ms, Some(WaitReason::Commit));
        } else if source.is_some() {
            state.set_wait(now.mono_ms, catching_up.then_some(WaitReason::Source));
        }
        let overdue = state.standstill_at_ms(received).is_some_and(|at_ms| at_ms <= now.mono_ms);
        let told = std::mem::replace(&mut state.stands_still, overdue);
        if let (true, false, Some(peer)) = (overdue, told, &source) {
            let waits_for = if state.queued.is_some() { "its commit here" } else { "events from there" };
            let alarm = Alarm::NotArriving { log: log.clone(), peer: peer.clone(), waits_for };
            self.outputs.push(CoordinatorOutput::Alarm(alarm));
        }
        // What is due now has been seen to, or put off.
        let check_at_ms = state.next_check_ms(now.mono_ms, log, received).filter(|at_ms| *at_ms > now.mono_ms);
        if state.is_idle() {
            self.logs.remove(log);
        }
        for (peer, link) in &mut self.links {
            if catching_up && source.as_ref() == Some(peer) {
                link.catching_up.insert(log.clone());
            } else {
                link.catching_up.remove(log);
            }
        }
        self.check_at_ms = earlier(self.check_at_ms, check_at_ms);
    }

    /// Leaves a source that should be left, and chooses one if there is none.
    fn settle_source(&mut self, now: Now, log: &LogId, durable: Head) {
        let Some(state) = self.logs.get_mut(log) else { return };
        let received = state.received(durable);
        state.prune(now.mono_ms, durable.to, received.to);
        if state.should_move_to_author(now.mono_ms, log, received.to)
            || state.idle_at_ms(received.to).is_some_and(|at_ms| at_ms <= now.mono_ms)
            || state.overtaken_at_ms(now.mono_ms, log, received.to).is_some_and(|at_ms| at_ms <= now.mono_ms)
        {
            self.unfollow(log);
        } else if state.stalls_at_ms(received.to).is_some_and(|at_ms| at_ms <= now.mono_ms) {
            match self.link_stirs_until_ms(now, log) {
                Some(at_ms) => self.check_at_ms = earlier(self.check_at_ms, Some(at_ms)),
                None => {
                    self.counters.stalls += 1;
                    self.leave_source(now, log);
                }
            }
        }
        let Some(state) = self.logs.get_mut(log) else { return };
        if state.source.is_some() {
            return;
        }
        for link in self.links.values_mut() {
            link.waiting.remove(log);
        }
        let mut choice = state.choose(now.mono_ms, log, received.to);
        if matches!(choice, Choice::Take(_))
            && let Some(until_ms) = self.held_back_until_ms(now, log, received.to == 0)
        {
            choice = Choice::Wait(WaitReason::TooMuch, Some(until_ms));
        }
        let Some(state) = self.logs.get_mut(log) else { return };
        match choice {
            Choice::Nothing => state.set_wait(now.mono_ms, None),
            Choice::Wait(reason, until_ms) => {
                state.set_wait(now.mono_ms, Some(reason));
                self.check_at_ms = earlier(self.check_at_ms, until_ms);
            }
            Choice::Take(peer) => {
                let Some(link) = self.links.get_mut(&peer) else { return };
                if link.catching_up.len() >= MAX_CATCHING_UP {
                    link.waiting.insert(log.clone());
                    return state.set_wait(now.mono_ms, Some(WaitReason::LinkBusy));
                }
                state.source = Some(Source {
                    peer: peer.clone(),
                    link: link.id,
                    since_ms: now.mono_ms,
                    last_event_ms: now.mono_ms,
                    announced: state.offer_of(&peer),
                    forwards: false,
                });
                let command = PeerCommand::Follow { log: log.clone(), from: received };
                self.outputs.push(CoordinatorOutput::ToPeer { peer, link: link.id, command });
            }
        }
    }

    /// A source that sends other logs, or waits for our commits, has not stalled: until when that excuses it.
    fn link_stirs_until_ms(&self, now: Now, log: &LogId) -> Option<u64> {
        let source = self.logs.get(log)?.source.as_ref()?;
        let link = self.links.get(&source.peer)?;
        let its_own = |state: &LogState| state.source.as_ref().is_some_and(|other| other.peer == source.peer);
        if self.logs.values().any(|state| state.queued.is_some() && its_own(state)) {
            return Some(now.mono_ms + STALL_MS);
        }
        Some(link.stirred_ms + STALL_MS).filter(|at_ms| *at_ms > now.mono_ms)
    }

    /// Gives the links' free places to logs that wait for one.
    pub(super) fn fill_links(&mut self, now: Now, held: &Have) {
        loop {
            let free = self.links.values_mut().filter(|link| link.catching_up.len() < MAX_CATCHING_UP);
            let next: Vec<LogId> = free.filter_map(|link| link.waiting.pop_first()).collect();
            if next.is_empty() {
                return;
            }
            for log in next {
                self.settle(now, held, &log);
            }
        }
    }

    /// Ends the subscription to a log, if there is one.
    pub(super) fn unfollow(&mut self, log: &LogId) -> Option<CentralId> {
        let source = self.logs.get_mut(log)?.source.take()?;
        let command = PeerCommand::Unfollow { log: log.clone() };
        let peer = source.peer.clone();
        self.outputs.push(CoordinatorOutput::ToPeer { peer, link: source.link, command });
        Some(source.peer)
    }

    /// Ends the subscription to a log whose source disappointed, and avoids it for a while.
    pub(super) fn leave_source(&mut self, now: Now, log: &LogId) {
        if let Some(peer) = self.unfollow(log)
            && let Some(state) = self.logs.get_mut(log)
        {
            state.avoid(now.mono_ms, &peer);
        }
    }

    pub(super) fn acknowledge(&mut self, log: &LogId, head: Head) {
        if let Some(source) = self.logs.get(log).and_then(|state| state.source.as_ref()) {
            let command = PeerCommand::Acknowledge { log: log.clone(), head };
            let (peer, link) = (source.peer.clone(), source.link);
            self.outputs.push(CoordinatorOutput::ToPeer { peer, link, command });
        }
    }
}
