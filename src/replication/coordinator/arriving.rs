//! What arrives of a log, and what is made of it: taken, acknowledged, refused, or a fork that needs a person.

use super::Coordinator;
use super::CoordinatorOutput;
use super::allowance::OWN_LOGS;
use super::log_state::LogState;
use crate::domain::ids::{CentralId, LogId};
use crate::replication::continuity::{Continuity, judge};
use crate::replication::have::Have;
use crate::replication::log::{Head, Run};
use crate::replication::now::Now;
use crate::replication::peer::output::Alarm;
use crate::wire::frame::Refusal;

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
        refusal: Refusal,
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
            Refusal::NotHeld => {
                state.avoid(now.mono_ms, peer);
                state.withdraw(peer);
                if theirs.to > held.to(log) {
                    let received = state.received(held.head_or_empty(log)).to;
                    state.offered(now.mono_ms, peer, theirs.to, received);
                }
                self.settle(now, held, log);
            }
            Refusal::Diverged => {
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
