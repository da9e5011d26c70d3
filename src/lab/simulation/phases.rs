//! What a run consists of: faults, healing, what people do then, coming together, and quiet.

use std::collections::BTreeSet;

use super::central::Central;
use super::replica::{Meaning, Replica};
use super::world::World;
use super::{Failure, Report};

/// How often it is looked whether all is well again, in virtual ms.
const PROBE_EVERY_MS: u64 = 20;

/// After all hold the same: how long until everybody has to know that of everybody, in virtual ms.
const SETTLED_AFTER_MS: u64 = 2_000;

/// How long an event of each central may take to be everywhere when all is well, in virtual ms.
const PROPAGATED_WITHIN_MS: u64 = 2_000;

/// So long after all else is well a fork or a double has to be known, in virtual ms. Then people end it.
const ALARMED_WITHIN_MS: u64 = 25_000;

/// People stop a double, then look again: the directory that stays may hold what the author never wrote. So they empty that.
const TREATMENTS: u32 = 2;

/// After the healing the gates go on for less than this, in virtual ms.
const LAST_TRAFFIC_MS: u64 = 4_000;

/// Faults go on until enough has happened, but no longer than so many times as asked for.
const LONGEST_CHAOS: u64 = 60;

impl World<'_> {
    pub(super) fn run(mut self) -> Result<Report, Box<Failure>> {
        match self.phases() {
            Ok(()) => Ok(self.report),
            Err(what) => Err(Box::new(Failure { seed: self.report.seed, what, trace: self.trace.into() })),
        }
    }

    fn phases(&mut self) -> Result<(), String> {
        for central in 0..self.members() {
            self.restart(central);
            self.schedule_author(central);
        }
        self.schedule_fault();
        self.run_until(self.options.chaos_ms)?;
        while !self.enough_happened() && self.now_ms < LONGEST_CHAOS * self.options.chaos_ms {
            self.run_until(self.now_ms + 500)?;
        }

        self.chaos = false;
        self.heal();
        self.note(|| "healed".to_owned());
        self.last_traffic()?;
        let mut healed_ms = self.now_ms;
        let mut treatments_left = TREATMENTS;
        let mut linked = false;
        let mut equal = false;
        while !(linked && equal) {
            self.run_until(self.now_ms + PROBE_EVERY_MS)?;
            if !linked && self.unlinked().is_none() {
                linked = true;
                self.report.figures.relinked_after_ms = self.now_ms - healed_ms;
            }
            if !equal && self.is_equal() {
                equal = true;
                self.report.figures.converged_after_ms = self.now_ms - healed_ms;
            }
            if treatments_left > 0 && self.now_ms >= healed_ms + ALARMED_WITHIN_MS {
                let treated = self.treat()?;
                treatments_left = if treated { treatments_left - 1 } else { 0 };
                if treated {
                    self.expel_again();
                    healed_ms = self.now_ms;
                    (linked, equal) = (false, false);
                }
            }
            if self.now_ms >= healed_ms + self.options.converge_within_ms {
                let after_ms = self.now_ms - healed_ms;
                return Err(format!("not together {after_ms} ms after all was healed: {}", self.describe()));
            }
        }
        self.nothing_is_missing()?;
        self.expelled_everywhere = self.expelled.is_some();
        self.run_until(self.now_ms + SETTLED_AFTER_MS)?;
        self.everybody_knows()?;
        self.propagation()?;

        self.run_until(self.now_ms + SETTLED_AFTER_MS)?;
        let wakeups_before = self.wakeups;
        self.run_until(self.now_ms + self.options.idle_ms)?;
        self.report.figures.idle_wakeups_per_s = (self.wakeups - wakeups_before) * 1_000 / self.options.idle_ms.max(1);
        if self.unlinked().is_some() {
            return Err(format!("a link was lost while nothing happened: {}", self.describe()));
        }
        self.everybody_knows()?;
        self.nothing_is_missing()?;
        self.sum_up();
        Ok(())
    }

    /// The gates go on while what was missed is made up, with one disk still slow: events are committed while runs are read. The
    /// last event of each log is the one that no later event brings along.
    fn last_traffic(&mut self) -> Result<(), String> {
        let until_ms = self.now_ms + self.random.below(LAST_TRAFFIC_MS);
        let slow = usize::try_from(self.random.below(self.members() as u64)).unwrap_or(0);
        if let Some(central) = self.centrals.get_mut(slow).filter(|_| self.options.fault_every_ms > 0) {
            central.slow_until_ms = until_ms;
        }
        self.run_until(until_ms)?;
        self.gates_open = false;
        self.note(|| "the gates are closed".to_owned());
        Ok(())
    }

    fn enough_happened(&self) -> bool {
        self.truth.events_written() >= self.options.least_events
            && self.report.figures.faults.values().sum::<u64>() >= self.options.least_faults
    }

    /// What people have to do next: stop a double, or else empty who holds another history than an author wrote. By now there has
    /// to be an alarm about it. Returns whether there was something to do.
    fn treat(&mut self) -> Result<bool, String> {
        if self.double().is_some() {
            if !self.double_known {
                return Err(format!("nobody was alarmed about the double of c{}: {}", self.doubled, self.describe()));
            }
            self.note(|| "people stop a double".to_owned());
            self.stop_double();
            return Ok(true);
        }
        let (places, disks): (Vec<usize>, Vec<&Replica>) =
            self.mesh().map(|central| (central.index, &central.disk)).unzip();
        let forks = self.truth.forks(&disks);
        if let Some(log) = forks.keys().find(|log| !self.alarmed.contains(log)) {
            return Err(format!("nobody was alarmed about the fork of {log}: {}", self.describe()));
        }
        let emptied: BTreeSet<usize> =
            forks.into_values().flatten().filter_map(|disk| places.get(disk).copied()).collect();
        self.note(|| format!("people empty {emptied:?}"));
        for central in &emptied {
            self.wipe(*central, self.now_ms + 1);
        }
        Ok(!emptied.is_empty())
    }

    /// One event of each central, with nothing else going on.
    fn propagation(&mut self) -> Result<(), String> {
        let written_ms = self.now_ms;
        for central in 0..self.members() {
            if self.expelled == Some(central) {
                self.write_evil(central);
            }
            self.author(central, 1);
        }
        self.run_until(self.now_ms + 1)?;
        while !self.is_equal() {
            self.run_until(self.now_ms + 1)?;
            if self.now_ms - written_ms > PROPAGATED_WITHIN_MS {
                let within_ms = PROPAGATED_WITHIN_MS;
                return Err(format!("an event is not everywhere after {within_ms} ms: {}", self.describe()));
            }
        }
        self.report.figures.propagated_after_ms = self.now_ms - written_ms;
        Ok(())
    }

    /// A central and a peer of it that are not linked.
    fn unlinked(&self) -> Option<(usize, usize)> {
        let unlinked = |central: &Central| {
            let (peer, _) = central.peers.iter().find(|(_, peer)| peer.link().is_none())?;
            Some((central.index, *peer))
        };
        self.mesh().find_map(unlinked)
    }

    /// All run, hold the same, and nobody is writing.
    fn is_equal(&self) -> bool {
        let Some(first) = self.mesh().next() else { return true };
        let at_rest = |central: &Central| central.alive && central.queue.is_empty() && central.committing.is_none();
        self.double().is_none() && self.mesh().all(|central| at_rest(central) && central.have == first.have)
    }

    /// Where everybody stands, for a failure.
    fn describe(&self) -> String {
        let one = |central: &Central| {
            let peers: Vec<_> = central.peers.values().map(|peer| peer.status(&central.have)).collect();
            let logs = central.coordinator.status(&central.have);
            format!("\nc{}: {:?}\n  {peers:?}\n  {logs:?}", central.index, central.have)
        };
        self.mesh().map(one).collect()
    }

    fn nothing_is_missing(&mut self) -> Result<(), String> {
        let mut common: Option<Meaning> = None;
        let (members, expelled) = (self.members(), self.expelled);
        self.is_out_everywhere()?;
        for central in self.mesh() {
            let heads = central.disk.heads();
            if central.have != heads {
                let (index, have) = (central.index, &central.have);
                return Err(format!("the memory of c{index} is not its disk: {have:?} {heads:?}"));
            }
        }
        for central in self.centrals.iter_mut().take(members).filter(|central| expelled != Some(central.index)) {
            let meaning = central.disk.meaning().map_err(|what| format!("c{}: {what}", central.index))?;
            let Meaning { words, .. } = &meaning;
            if let Some(Meaning { words: others, .. }) = common.as_ref().filter(|common| **common != meaning) {
                return Err(format!("c{} makes of the same events\n{words}\nand another\n{others}", central.index));
            }
            common = Some(meaning);
        }
        self.report.figures.kinds = common.unwrap_or_default().kinds;
        for central in self.mesh() {
            if let Some((log, seq)) = self.truth.missing(&central.disk) {
                return Err(format!("c{} does not hold acknowledged event {seq} of {log}", central.index));
            }
        }
        Ok(())
    }

    /// Whoever was thrown out is linked with nobody, though it lets itself in; and what it began since then nobody holds.
    fn is_out_everywhere(&self) -> Result<(), String> {
        let Some(expelled) = self.expelled else { return Ok(()) };
        for central in self.mesh() {
            let index = central.index;
            if central.peers.contains_key(&expelled) || !self.turns_away(index, expelled) {
                return Err(format!("c{index} does not turn c{expelled} away"));
            }
            if let Some(log) = self.void_logs.iter().find(|log| central.have.to(log) > 0) {
                return Err(format!("c{index} holds {log} of c{expelled}, which is out"));
            }
        }
        Ok(())
    }

    /// All hold the same, and everybody has to know that of its peers.
    fn everybody_knows(&self) -> Result<(), String> {
        for central in self.mesh() {
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
        self.report.centrals = self.options.centrals;
        self.report.events_written = self.truth.events_written();
        self.report.figures.events_acknowledged = self.truth.events_acknowledged();
        self.report.figures.events_excused = self.truth.excused;
        for central in self.centrals.iter().take(self.options.centrals) {
            let counters = central.coordinator.counters();
            self.report.figures.duplicates += counters.duplicates;
            self.report.figures.gaps += counters.gaps;
            self.report.figures.stalls += counters.stalls;
        }
    }
}
