//! The event loop: virtual time, and everything that happens at each moment of it.

use std::collections::{BTreeMap, VecDeque};

use super::central::{Central, central_id};
use super::checks::Truth;
use super::network::Network;
use super::replica::{Meaning, Replica};
use super::{Failure, Options, Report, Topology};
use crate::domain::ids::CentralId;
use crate::replication::backoff::SplitMix64;
use crate::replication::peer::output::ReadRun;

/// Steps kept for a failure's trace.
const TRACE_STEPS: usize = 400;

/// How often it is looked whether all is well again, in virtual ms.
const PROBE_EVERY_MS: u64 = 20;

/// After all hold the same: how long until everybody has to know that of everybody, in virtual ms.
const SETTLED_AFTER_MS: u64 = 2_000;

/// How long nothing happens at the end, in virtual ms.
const IDLE_MS: u64 = 60_000;

/// More wake-ups of one central at one moment than this are a loop without end.
const MAX_WAKEUPS_AT_ONCE: u64 = 200;

/// Something that happens. `life`: of the process it is meant for.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Wake { central: usize, life: u64 },
    Mail { central: usize, life: u64 },
    Committed { central: usize, life: u64 },
    Read { central: usize, life: u64, peer: usize, read: ReadRun },
    Arrive { connection: usize, from_end: usize },
    DialArrives { central: usize, life: u64, peer: usize, attempt: u64, latency_ms: u64 },
    Dialled { central: usize, life: u64, peer: usize, attempt: u64, connection: usize },
    DialFails { central: usize, life: u64, peer: usize, attempt: u64, reason: &'static str },
    Author { central: usize },
    Fault,
    Unblock { from: usize, to: usize },
    Restart { central: usize },
    Resume { central: usize },
}

/// All there is.
pub(super) struct World<'a> {
    options: &'a Options,
    pub(super) random: SplitMix64,
    pub(super) now_ms: u64,
    events: BTreeMap<(u64, u64), Event>,
    events_made: u64,
    pub(super) centrals: Vec<Central>,
    pub(super) network: Network,
    pub(super) truth: Truth,
    pub(super) report: Report,
    pub(super) chaos: bool,
    pub(super) broken: Option<String>,
    wakeups: u64,
    wakeups_now: BTreeMap<usize, u64>,
    tracing: bool,
    trace: VecDeque<String>,
}

impl<'a> World<'a> {
    pub(super) fn new(
        seed: u64,
        options: &'a Options,
        disk: &impl Fn(&CentralId) -> Box<dyn Replica>,
        tracing: bool,
    ) -> Self {
        Self {
            options,
            random: SplitMix64::new(seed),
            now_ms: 0,
            events: BTreeMap::new(),
            events_made: 0,
            centrals: (0..options.centrals).map(|index| Central::new(index, disk(&central_id(index)))).collect(),
            network: Network::new(options.centrals),
            truth: Truth::default(),
            report: Report { seed, ..Report::default() },
            chaos: true,
            broken: None,
            wakeups: 0,
            wakeups_now: BTreeMap::new(),
            tracing,
            trace: VecDeque::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<Report, Box<Failure>> {
        match self.phases() {
            Ok(()) => Ok(self.report),
            Err(what) => Err(Box::new(Failure { seed: self.report.seed, what, trace: self.trace.into() })),
        }
    }

    fn phases(&mut self) -> Result<(), String> {
        for central in 0..self.centrals.len() {
            self.restart(central);
            self.schedule_author(central);
        }
        self.schedule_fault();
        self.run_until(self.options.chaos_ms)?;

        self.chaos = false;
        self.heal();
        self.note(|| "healed".to_owned());
        let healed_ms = self.now_ms;
        let deadline_ms = healed_ms + self.options.converge_within_ms;
        let mut linked = false;
        let mut equal = false;
        while !(linked && equal) {
            self.run_until(self.now_ms + PROBE_EVERY_MS)?;
            if !linked && self.unlinked().is_none() {
                linked = true;
                self.report.relinked_after_ms = self.now_ms - healed_ms;
            }
            if !equal && self.is_equal() {
                equal = true;
                self.report.converged_after_ms = self.now_ms - healed_ms;
            }
            if self.now_ms >= deadline_ms {
                let after_ms = self.now_ms - healed_ms;
                return Err(format!("not together {after_ms} ms after all was healed: {}", self.describe()));
            }
        }
        self.nothing_is_missing()?;
        self.run_until(self.now_ms + SETTLED_AFTER_MS)?;
        self.everybody_knows()?;
        self.propagation()?;

        self.run_until(self.now_ms + SETTLED_AFTER_MS)?;
        let wakeups_before = self.wakeups;
        self.run_until(self.now_ms + IDLE_MS)?;
        self.report.idle_wakeups_per_s = (self.wakeups - wakeups_before) * 1_000 / IDLE_MS;
        if self.unlinked().is_some() {
            return Err(format!("a link was lost while nothing happened: {}", self.describe()));
        }
        self.everybody_knows()?;
        self.nothing_is_missing()?;
        self.sum_up();
        Ok(())
    }

    /// One event of each central, with nothing else going on.
    fn propagation(&mut self) -> Result<(), String> {
        let written_ms = self.now_ms;
        for central in 0..self.centrals.len() {
            self.author(central, 1);
        }
        self.run_until(self.now_ms + 1)?;
        while !self.is_equal() {
            self.run_until(self.now_ms + 1)?;
            if self.now_ms - written_ms > 2_000 {
                return Err(format!("an event is not everywhere after 2 s: {}", self.describe()));
            }
        }
        self.report.propagated_after_ms = self.now_ms - written_ms;
        Ok(())
    }

    fn run_until(&mut self, until_ms: u64) -> Result<(), String> {
        while let Some(entry) = self.events.first_entry() {
            let at_ms = entry.key().0;
            if at_ms > until_ms {
                break;
            }
            let event = entry.remove();
            if at_ms > self.now_ms {
                self.now_ms = at_ms;
                self.wakeups_now.clear();
            }
            self.happen(event);
            if let Some(what) = self.broken.take() {
                return Err(format!("at {} ms: {what}", self.now_ms));
            }
        }
        self.now_ms = self.now_ms.max(until_ms);
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        if let Some(central) = self.standing_still(&event) {
            return central.held_up.push(event);
        }
        match event {
            Event::Wake { central, life } if self.lives(central, life) && self.wants_to_wake(central) => {
                self.wakeups += 1;
                let at_once = self.wakeups_now.entry(central).or_default();
                *at_once += 1;
                if *at_once > MAX_WAKEUPS_AT_ONCE {
                    self.broken = Some(format!("c{central} spins"));
                }
                self.wake(central);
            }
            Event::Mail { central, life } if self.lives(central, life) => self.open_mail(central),
            Event::Committed { central, life } if self.lives(central, life) => self.committed(central),
            Event::Read { central, life, peer, read } if self.lives(central, life) => self.read(central, peer, read),
            Event::Arrive { connection, from_end } => self.arrive(connection, from_end),
            Event::DialArrives { central, life, peer, attempt, latency_ms } if self.lives(central, life) => {
                self.dial_arrives(central, peer, attempt, latency_ms);
            }
            Event::Dialled { central, life, peer, attempt, connection } => {
                self.dialled(central, life, peer, attempt, connection);
            }
            Event::DialFails { central, life, peer, attempt, reason } if self.lives(central, life) => {
                self.with_peer(central, peer, |peer, now, _| peer.dial_failed(now, attempt, reason));
            }
            Event::Author { central } if self.chaos => {
                let events = 1 + self.random.below(5);
                self.author(central, events);
                self.schedule_author(central);
            }
            Event::Fault if self.chaos => {
                self.fault();
                self.schedule_fault();
            }
            Event::Unblock { from, to } => {
                self.network.block(from, to, false);
                self.release_held_up();
            }
            Event::Restart { central } => self.restart(central),
            Event::Resume { central } => self.resume(central),
            // Of a process that is gone, or of the time of faults.
            _ => {}
        }
    }

    /// The central an event is meant for, if its machine stands still.
    fn standing_still(&mut self, event: &Event) -> Option<&mut Central> {
        let central = match event {
            Event::Wake { central, .. }
            | Event::Mail { central, .. }
            | Event::Committed { central, .. }
            | Event::Read { central, .. }
            | Event::Dialled { central, .. }
            | Event::DialFails { central, .. }
            | Event::Author { central } => *central,
            Event::Arrive { connection, from_end } => self.receiver(*connection, *from_end)?,
            Event::DialArrives { .. }
            | Event::Fault
            | Event::Unblock { .. }
            | Event::Restart { .. }
            | Event::Resume { .. } => return None,
        };
        let now_ms = self.now_ms;
        self.centrals.get_mut(central).filter(|central| central.paused_until_ms > now_ms)
    }

    /// A machine that stood still goes on with all that came meanwhile.
    pub(super) fn resume(&mut self, central: usize) {
        let now_ms = self.now_ms;
        let Some(state) = self.centrals.get_mut(central).filter(|state| state.paused_until_ms <= now_ms) else {
            return;
        };
        for event in std::mem::take(&mut state.held_up) {
            self.schedule(now_ms, event);
        }
    }

    fn lives(&self, central: usize, life: u64) -> bool {
        self.centrals.get(central).is_some_and(|central| central.alive && central.life == life)
    }

    /// Whether the timer is still set; an earlier one may have taken its place.
    fn wants_to_wake(&self, central: usize) -> bool {
        self.centrals.get(central).and_then(|central| central.wake_at_ms).is_some_and(|at_ms| at_ms <= self.now_ms)
    }

    pub(super) fn schedule(&mut self, at_ms: u64, event: Event) {
        self.events_made += 1;
        self.events.insert((at_ms.max(self.now_ms), self.events_made), event);
    }

    fn schedule_author(&mut self, central: usize) {
        let wait_ms = 1 + self.random.below(2 * self.options.author_every_ms);
        self.schedule(self.now_ms + wait_ms, Event::Author { central });
    }

    fn schedule_fault(&mut self) {
        if self.options.fault_every_ms > 0 {
            let wait_ms = 1 + self.random.below(2 * self.options.fault_every_ms);
            self.schedule(self.now_ms + wait_ms, Event::Fault);
        }
    }

    /// The centrals configured as peers of one.
    pub(super) fn neighbours(&self, central: usize) -> Vec<usize> {
        let count = self.centrals.len();
        let joined = |other: usize| match self.options.topology {
            Topology::Full => true,
            Topology::Line => central.abs_diff(other) == 1,
            Topology::Ring => matches!(central.abs_diff(other), 1) || central.abs_diff(other) == count - 1,
        };
        (0..count).filter(|other| *other != central && joined(*other)).collect()
    }

    pub(super) fn lying_disks(&self) -> bool {
        self.options.lying_disks
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if self.tracing {
            if self.trace.len() == TRACE_STEPS {
                self.trace.pop_front();
            }
            self.trace.push_back(format!("{:>8} {}", self.now_ms, what()));
        }
    }

    /// A central and a peer of it that are not linked.
    fn unlinked(&self) -> Option<(usize, usize)> {
        let unlinked = |central: &Central| {
            let (peer, _) = central.peers.iter().find(|(_, peer)| peer.link().is_none())?;
            Some((central.index, *peer))
        };
        self.centrals.iter().find_map(unlinked)
    }

    /// All hold the same, and nobody is writing.
    fn is_equal(&self) -> bool {
        let Some(first) = self.centrals.first() else { return true };
        let at_rest = |central: &Central| central.queue.is_empty() && central.committing.is_none();
        self.centrals.iter().all(|central| at_rest(central) && central.have == first.have)
    }

    /// Where everybody stands, for a failure.
    fn describe(&self) -> String {
        let one = |central: &Central| {
            let peers: Vec<_> = central.peers.values().map(|peer| peer.status(&central.have)).collect();
            let logs = central.coordinator.status(&central.have);
            format!("\nc{}: {:?}\n  {peers:?}\n  {logs:?}", central.index, central.have)
        };
        self.centrals.iter().map(one).collect()
    }

    fn nothing_is_missing(&mut self) -> Result<(), String> {
        let mut common: Option<Meaning> = None;
        for central in &mut self.centrals {
            let meaning = central.disk.meaning().map_err(|what| format!("c{}: {what}", central.index))?;
            let Meaning { words, .. } = &meaning;
            if let Some(Meaning { words: others, .. }) = common.as_ref().filter(|common| **common != meaning) {
                return Err(format!("c{} makes of the same events\n{words}\nand another\n{others}", central.index));
            }
            common = Some(meaning);
        }
        self.report.kinds = common.unwrap_or_default().kinds;
        for central in &self.centrals {
            if let Some((log, seq)) = self.truth.missing(central.disk.as_ref()) {
                return Err(format!("c{} does not hold acknowledged event {seq} of {log}", central.index));
            }
            if central.have != central.disk.heads() {
                return Err(format!("the memory of c{} is not its disk", central.index));
            }
        }
        Ok(())
    }

    /// All hold the same, and everybody has to know that of its peers.
    fn everybody_knows(&self) -> Result<(), String> {
        for central in &self.centrals {
            for peer in central.peers.values() {
                let status = peer.status(&central.have);
                if !status.lag.is_empty() || status.unacked_bytes > 0 {
                    return Err(format!("c{} believes that a peer lags: {status:?}", central.index));
                }
            }
        }
        Ok(())
    }

    fn sum_up(&mut self) {
        self.report.events_acknowledged = self.truth.events_acknowledged();
        for central in &self.centrals {
            let counters = central.coordinator.counters();
            self.report.duplicates += counters.duplicates;
            self.report.gaps += counters.gaps;
            self.report.stalls += counters.stalls;
        }
    }
}
