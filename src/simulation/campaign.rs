//! Many seeds, one after the other, and what happened in all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::{Failure, Options, Report, Topology, faults, run_with_ledgers};

/// Runs of fewer seeds say nothing about what never happened.
const ENOUGH_SEEDS: u64 = 100;

/// Every so many seeds there is a mesh of so many centrals.
const MANY_EVERY: u64 = 500;
const MANY: usize = 50;

/// Mean time between two commits of own events in the whole mesh, in virtual ms.
const AUTHOR_EVERY_MS: u64 = 120;

/// The sums over runs that all held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Campaign {
    pub seeds: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// What came of the gates' traffic: rows by status, anomalies and repeats.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Alarms by name.
    pub alarms: BTreeMap<&'static str, u64>,
    pub events_acknowledged: u64,
    pub events_excused: u64,
    /// Of all runs, the fewest centrals, events and faults.
    pub least: Option<Least>,
    pub commits: u64,
    pub frames: u64,
    pub links_up: u64,
    pub duplicates: u64,
    pub gaps: u64,
    pub stalls: u64,
    /// The longest of all runs, in virtual ms: see [`Report`].
    pub relinked_after_ms: u64,
    pub converged_after_ms: u64,
    pub propagated_after_ms: u64,
    pub idle_wakeups_per_s: u64,
}

/// What every run of a campaign had at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Least {
    pub centrals: usize,
    pub events: u64,
    pub faults: u64,
}

/// Simulates ledgers and gates for every seed, each with the options it is given. `each` hears of every run that held.
///
/// # Errors
/// The first [`Failure`].
pub fn campaign(
    seeds: Range<u64>,
    options: impl Fn(u64) -> Options,
    mut each: impl FnMut(&Report),
) -> Result<Campaign, Box<Failure>> {
    let mut campaign = Campaign::default();
    for seed in seeds {
        let report = run_with_ledgers(seed, &options(seed))?;
        each(&report);
        campaign.add(&report);
    }
    Ok(campaign)
}

impl Options {
    /// Three to ten centrals in some shape, now and then fifty; faults between rare and all the time. In two of three seeds
    /// directories are lost and peers lie, in every other one disks do.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let many = seed % MANY_EVERY == MANY_EVERY - 1;
        // Two of three are small, where most happens to each.
        let size = seed / 4 % 24;
        let centrals = if many { MANY } else { 3 + usize::try_from(size.saturating_sub(16)).unwrap_or(0) };
        let topology = match seed % 4 {
            _ if many => Topology::Random,
            0 => Topology::Full,
            1 => Topology::Line,
            2 => Topology::Ring,
            _ => Topology::Random,
        };
        Self {
            centrals,
            topology,
            chaos_ms: 10_000,
            fault_every_ms: 400_u64 << (seed / 2 % 4),
            author_every_ms: AUTHOR_EVERY_MS * centrals as u64,
            lying_disks: seed.is_multiple_of(2),
            disasters: !seed.is_multiple_of(3),
            least_events: 200,
            least_faults: 5,
            idle_ms: if seed.is_multiple_of(16) { 60_000 } else { 5_000 },
            ..Self::default()
        }
    }
}

impl Campaign {
    /// Adds a run that held.
    pub fn add(&mut self, report: &Report) {
        self.join(&Self {
            seeds: 1,
            faults: report.faults.clone(),
            kinds: report.kinds.clone(),
            alarms: report.alarms.clone(),
            events_acknowledged: report.events_acknowledged,
            events_excused: report.events_excused,
            least: Some(Least {
                centrals: report.centrals,
                events: report.events_written,
                faults: report.faults.values().sum(),
            }),
            commits: report.commits,
            frames: report.frames,
            links_up: report.links_up,
            duplicates: report.duplicates,
            gaps: report.gaps,
            stalls: report.stalls,
            relinked_after_ms: report.relinked_after_ms,
            converged_after_ms: report.converged_after_ms,
            propagated_after_ms: report.propagated_after_ms,
            idle_wakeups_per_s: report.idle_wakeups_per_s,
        });
    }

    /// Adds other runs that held.
    pub fn join(&mut self, other: &Self) {
        self.seeds += other.seeds;
        let sums =
            [(&mut self.faults, &other.faults), (&mut self.kinds, &other.kinds), (&mut self.alarms, &other.alarms)];
        for (sums, counts) in sums {
            for (kind, count) in counts {
                *sums.entry(kind).or_default() += count;
            }
        }
        self.events_acknowledged += other.events_acknowledged;
        self.events_excused += other.events_excused;
        self.least = match (self.least, other.least) {
            (Some(one), Some(other)) => Some(Least {
                centrals: one.centrals.min(other.centrals),
                events: one.events.min(other.events),
                faults: one.faults.min(other.faults),
            }),
            (one, other) => one.or(other),
        };
        self.commits += other.commits;
        self.frames += other.frames;
        self.links_up += other.links_up;
        self.duplicates += other.duplicates;
        self.gaps += other.gaps;
        self.stalls += other.stalls;
        self.relinked_after_ms = self.relinked_after_ms.max(other.relinked_after_ms);
        self.converged_after_ms = self.converged_after_ms.max(other.converged_after_ms);
        self.propagated_after_ms = self.propagated_after_ms.max(other.propagated_after_ms);
        self.idle_wakeups_per_s = self.idle_wakeups_per_s.max(other.idle_wakeups_per_s);
    }

    /// The faults, and what traffic must lead to, that never came: a run of them proves less than it says. Empty for a
    /// handful of seeds, of which nothing can be expected.
    #[must_use]
    pub fn never(&self) -> Vec<&'static str> {
        if self.seeds < ENOUGH_SEEDS {
            return Vec::new();
        }
        let absent = |counts: &BTreeMap<&str, u64>, kind: &str| counts.get(kind).is_none_or(|count| *count == 0);
        let faults = faults::names().filter(|kind| absent(&self.faults, kind));
        let alarms = ALARMS.into_iter().filter(|name| absent(&self.alarms, name));
        faults.chain(alarms).chain(EXPECTED.into_iter().filter(|kind| absent(&self.kinds, kind))).collect()
    }
}

/// What somebody has to be called for, with lies, doubles and failing disks.
const ALARMS: [&str; 5] = ["duplicate_central_id", "log_forked", "broken_run", "own_log_ahead", "read_failed"];

/// What the traffic of gates leads to, with cuts and wrong clocks.
const EXPECTED: [&str; 11] = [
    "IN",
    "OUT",
    "LEFT_UNSEEN",
    "SUPERSEDED",
    "VOID",
    "double_entry",
    "double_exit",
    "exit_without_entry",
    "manual_opening",
    "fee_uncertain",
    "repeat",
];

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} seeds held", self.seeds)?;
        if let Some(Least { centrals, events, faults }) = self.least {
            writeln!(f, "each at least {centrals} centrals, {events} events, {faults} faults")?;
        }
        writeln!(
            f,
            "events {} and {} that only a lost disk held, commits {}, frames {}",
            self.events_acknowledged, self.events_excused, self.commits, self.frames
        )?;
        writeln!(f, "links {}, stalls {}, gaps {}", self.links_up, self.stalls, self.gaps)?;
        writeln!(
            f,
            "at most, in virtual ms: linked after {}, equal after {}, an event everywhere after {}",
            self.relinked_after_ms, self.converged_after_ms, self.propagated_after_ms
        )?;
        let counted =
            [("faults:", &self.faults), ("alarms:", &self.alarms), ("what came of the traffic:", &self.kinds)];
        for (title, counts) in counted {
            writeln!(f, "{title}")?;
            for (kind, count) in counts {
                writeln!(f, "  {count:>9} {kind}")?;
            }
        }
        Ok(())
    }
}
