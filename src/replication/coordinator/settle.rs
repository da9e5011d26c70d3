//! Comparing what is wanted of a log with what is under way: leaving sources, choosing them, waiting.

use super::CoordinatorOutput;
use super::WaitReason;
use super::log_state::{Choice, LogState, STALL_MS, Source};
use super::{Coordinator, MAX_CATCHING_UP};
use crate::domain::ids::{CentralId, LogId};
use crate::replication::have::Have;
use crate::replication::log::Head;
use crate::replication::now::Now;
use crate::replication::peer::earlier;
use crate::replication::peer::output::{Alarm, PeerCommand};

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
