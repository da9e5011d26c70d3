//! Many seeds, one after the other, and what happened in all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::{Failure, Options, Report, Topology, faults, run_with_ledgers};

/// Runs of fewer seeds say nothing about what never happened.
const ENOUGH_SEEDS: u64 = 100;

/// The sums over runs that all held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Campaign {
    pub seeds: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// What came of the gates' traffic: rows by status, anomalies and repeats.
    pub kinds: BTreeMap<&'static str, u64>,
    pub events_acknowledged: u64,
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
    /// Two to six centrals in some shape, with faults between rare and all the time; every other seed's disks lie.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let topology = match seed % 3 {
            0 => Topology::Full,
            1 => Topology::Line,
            _ => Topology::Ring,
        };
        Self {
            centrals: 2 + usize::try_from(seed / 3 % 5).unwrap_or(0),
            topology,
            chaos_ms: 20_000,
            fault_every_ms: 200_u64 << (seed % 5),
            lying_disks: seed.is_multiple_of(2),
            ..Self::default()
        }
    }
}

impl Campaign {
    pub fn add(&mut self, report: &Report) {
        self.seeds += 1;
        for (sums, counts) in [(&mut self.faults, &report.faults), (&mut self.kinds, &report.kinds)] {
            for (kind, count) in counts {
                *sums.entry(kind).or_default() += count;
            }
        }
        self.events_acknowledged += report.events_acknowledged;
        self.commits += report.commits;
        self.frames += report.frames;
        self.links_up += report.links_up;
        self.duplicates += report.duplicates;
        self.gaps += report.gaps;
        self.stalls += report.stalls;
        self.relinked_after_ms = self.relinked_after_ms.max(report.relinked_after_ms);
        self.converged_after_ms = self.converged_after_ms.max(report.converged_after_ms);
        self.propagated_after_ms = self.propagated_after_ms.max(report.propagated_after_ms);
        self.idle_wakeups_per_s = self.idle_wakeups_per_s.max(report.idle_wakeups_per_s);
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
        faults.chain(EXPECTED.into_iter().filter(|kind| absent(&self.kinds, kind))).collect()
    }
}

/// What the traffic of gates leads to, with cuts and wrong clocks.
const EXPECTED: [&str; 10] = [
    "IN",
    "OUT",
    "LEFT_UNSEEN",
    "SUPERSEDED",
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
        writeln!(f, "events {}, commits {}, frames {}", self.events_acknowledged, self.commits, self.frames)?;
        writeln!(f, "links {}, stalls {}, gaps {}", self.links_up, self.stalls, self.gaps)?;
        writeln!(
            f,
            "at most, in virtual ms: linked after {}, equal after {}, an event everywhere after {}",
            self.relinked_after_ms, self.converged_after_ms, self.propagated_after_ms
        )?;
        for (title, counts) in [("faults:", &self.faults), ("what came of the traffic:", &self.kinds)] {
            writeln!(f, "{title}")?;
            for (kind, count) in counts {
                writeln!(f, "  {count:>9} {kind}")?;
            }
        }
        Ok(())
    }
}
