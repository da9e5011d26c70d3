//! Many seeds, one after the other, and what happened in all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Failure, Figures, Options, Report, Topology, faults, run};

/// Runs of fewer seeds say nothing about what never happened.
const ENOUGH_SEEDS: u64 = 100;

/// Every so many seeds there is a mesh of so many centrals.
const MANY_EVERY: u64 = 500;
const MANY: usize = 50;

/// Mean time between two commits of own events in the whole mesh, in virtual ms.
const AUTHOR_EVERY_MS: u64 = 120;

/// Runs that all held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Campaign {
    pub seeds: u64,
    /// Of all runs, the fewest centrals, events and faults.
    pub least: Option<Least>,
    /// Counts are the sums over all runs, times the longest of all.
    pub total: Figures,
}

/// Seeds that several threads share: each is handed out once.
#[derive(Debug)]
pub struct Seeds {
    next: AtomicU64,
    end: u64,
}

impl Seeds {
    pub fn new(seeds: Range<u64>) -> Self {
        Self { next: AtomicU64::new(seeds.start), end: seeds.end }
    }

    /// As [`campaign`] of those that are handed out to this thread. After a failure no more are handed out to anyone.
    ///
    /// # Errors
    /// The first [`Failure`] of this thread.
    pub fn campaign(
        &self,
        options: impl Fn(u64) -> Options,
        each: impl FnMut(&Report),
    ) -> Result<Campaign, Box<Failure>> {
        let handed_out =
            std::iter::from_fn(|| Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < self.end));
        campaign(handed_out, options, each).inspect_err(|_| self.next.store(self.end, Ordering::Relaxed))
    }
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
    seeds: impl IntoIterator<Item = u64>,
    options: impl Fn(u64) -> Options,
    mut each: impl FnMut(&Report),
) -> Result<Campaign, Box<Failure>> {
    let mut campaign = Campaign::default();
    for seed in seeds {
        let report = run(seed, &options(seed))?;
        each(&report);
        campaign.add(&report);
    }
    Ok(campaign)
}

impl Options {
    /// Three to ten centrals in some shape, now and then fifty; faults between rare and all the time. In two of three seeds
    /// directories are lost and peers lie, in every other one disks do.
    pub fn of_seed(seed: u64) -> Self {
        let many = seed % MANY_EVERY == MANY_EVERY - 1;
        // Most are small, where most happens to each, and a seed costs least.
        let size = seed / 4 % 48;
        let centrals = if many { MANY } else { 3 + usize::try_from(size.saturating_sub(40)).unwrap_or(0) };
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
            least: Some(Least {
                centrals: report.centrals,
                events: report.events_written,
                faults: report.figures.faults.values().sum(),
            }),
            total: report.figures.clone(),
        });
    }

    /// Adds other runs that held.
    pub fn join(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.least = match (self.least, other.least) {
            (Some(one), Some(other)) => Some(Least {
                centrals: one.centrals.min(other.centrals),
                events: one.events.min(other.events),
                faults: one.faults.min(other.faults),
            }),
            (one, other) => one.or(other),
        };
        self.total.join(&other.total);
    }

    /// The faults, and what traffic must lead to, that never came: a run of them proves less than it says. Empty for a
    /// handful of seeds, of which nothing can be expected.
    pub fn never(&self) -> Vec<&'static str> {
        if self.seeds < ENOUGH_SEEDS {
            return Vec::new();
        }
        let absent = |counts: &BTreeMap<&str, u64>, kind: &str| counts.get(kind).is_none_or(|count| *count == 0);
        let faults = faults::names().filter(|kind| absent(&self.total.faults, kind));
        let alarms = ALARMS.into_iter().filter(|name| absent(&self.total.alarms, name));
        faults.chain(alarms).chain(EXPECTED.into_iter().filter(|kind| absent(&self.total.kinds, kind))).collect()
    }
}

/// What somebody has to be called for, with lies, doubles and failing disks.
const ALARMS: [&str; 5] = ["duplicate_central_id", "log_forked", "broken_run", "own_log_ahead", "read_failed"];

/// What the traffic of gates leads to, with cuts and wrong clocks.
const EXPECTED: [&str; 17] = [
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
    "shift",
    "shift of a lane",
    "addendum",
    "told_late",
    "entry_unknown",
    "announced",
];

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = &self.total;
        writeln!(f, "{} seeds held", self.seeds)?;
        if let Some(Least { centrals, events, faults }) = self.least {
            writeln!(f, "each at least {centrals} centrals, {events} events, {faults} faults")?;
        }
        writeln!(
            f,
            "events {} and {} that only a lost disk held, commits {}, frames {}",
            total.events_acknowledged, total.events_excused, total.commits, total.frames
        )?;
        writeln!(f, "links {}, stalls {}, gaps {}", total.links_up, total.stalls, total.gaps)?;
        writeln!(
            f,
            "at most, in virtual ms: linked after {}, equal after {}, an event everywhere after {}",
            total.relinked_after_ms, total.converged_after_ms, total.propagated_after_ms
        )?;
        let counted =
            [("faults:", &total.faults), ("alarms:", &total.alarms), ("what came of the traffic:", &total.kinds)];
        for (title, counts) in counted {
            writeln!(f, "{title}")?;
            for (kind, count) in counts {
                writeln!(f, "  {count:>9} {kind}")?;
            }
        }
        Ok(())
    }
}
