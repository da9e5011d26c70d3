//! Many centrals in one thread on virtual time, from one seed.
//!
//! The real [`Peer`](crate::replication::peer::Peer) and [`Coordinator`](crate::replication::coordinator::Coordinator)
//! machines exchange real frame texts over a simulated network; a simulated writer commits what they want stored, slowly,
//! late, or not at all. After a time of faults everything is healed, and all centrals have to come to hold the same.
//!
//! Checked at every step: a log is only ever held as a prefix of what its author wrote; nobody acknowledges, announces or
//! sends what is not durable with it. Checked at the end: every event that was acknowledged is everywhere.
//!
//! A seed decides everything. A failure carries its seed and the last steps before it.

mod central;
mod checks;
mod faults;
mod network;
mod replica;
mod shell;
mod sockets;
mod world;

use std::collections::BTreeMap;
use std::fmt;

pub use replica::{MemoryReplica, Replica, ReplicaJob, ReplicaOutcome};

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Options {
    pub centrals: usize,
    /// Which pairs know each other.
    pub topology: Topology,
    /// For how long faults happen, in virtual ms.
    pub chaos_ms: u64,
    /// Mean time between two faults, in virtual ms; 0: none.
    pub fault_every_ms: u64,
    /// Mean time between two commits of own events at one central, in virtual ms.
    pub author_every_ms: u64,
    /// After the last fault everything has to be equal within this time, in virtual ms.
    pub converge_within_ms: u64,
    /// Power cuts also lose the last commits, as disks that lie do.
    pub lying_disks: bool,
}

/// Who is configured as a peer of whom; always both ways, always connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    Full,
    /// Each with the next only: everything is relayed.
    Line,
    Ring,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            centrals: 3,
            topology: Topology::Full,
            chaos_ms: 60_000,
            fault_every_ms: 2_000,
            author_every_ms: 700,
            converge_within_ms: 60_000,
            lying_disks: false,
        }
    }
}

/// What happened in a run that held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub seed: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    pub events_acknowledged: u64,
    pub commits: u64,
    pub frames: u64,
    pub links_up: u64,
    pub duplicates: u64,
    pub gaps: u64,
    pub stalls: u64,
    /// How long after the last fault all were linked, and all held the same, in virtual ms.
    pub relinked_after_ms: u64,
    pub converged_after_ms: u64,
    /// How long an event of each central took to be everywhere once all was well, at most, in virtual ms.
    pub propagated_after_ms: u64,
    /// Wake-ups of all centrals per virtual second while nothing happened.
    pub idle_wakeups_per_s: u64,
}

/// A run that broke a promise.
#[derive(Debug, Clone)]
pub struct Failure {
    pub seed: u64,
    pub what: String,
    /// The last steps before it, oldest first.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

/// Simulates one seed with replicas in memory.
///
/// # Errors
/// [`Failure`] if a promise was broken.
pub fn run(seed: u64, options: &Options) -> Result<Report, Box<Failure>> {
    run_with(seed, options, || Box::<MemoryReplica>::default())
}

/// Simulates one seed with replicas of the caller's.
///
/// # Errors
/// [`Failure`] if a promise was broken.
pub fn run_with(seed: u64, options: &Options, replica: impl Fn() -> Box<dyn Replica>) -> Result<Report, Box<Failure>> {
    match world::World::new(seed, options, &replica, false).run() {
        Ok(report) => Ok(report),
        // The same again, this time writing down what happens: it is a function of the seed.
        Err(failure) => match world::World::new(seed, options, &replica, true).run() {
            Ok(_) => Err(failure),
            Err(traced) => Err(traced),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(seeds: std::ops::Range<u64>, options: &Options) -> Report {
        let mut all = Report::default();
        for seed in seeds {
            let report = run(seed, options).unwrap_or_else(|failure| panic!("{failure}"));
            for (kind, count) in report.faults {
                *all.faults.entry(kind).or_default() += count;
            }
            all.events_acknowledged += report.events_acknowledged;
            all.stalls += report.stalls;
            all.gaps += report.gaps;
            all.duplicates += report.duplicates;
            all.relinked_after_ms = all.relinked_after_ms.max(report.relinked_after_ms);
            all.converged_after_ms = all.converged_after_ms.max(report.converged_after_ms);
            all.propagated_after_ms = all.propagated_after_ms.max(report.propagated_after_ms);
            all.idle_wakeups_per_s = all.idle_wakeups_per_s.max(report.idle_wakeups_per_s);
        }
        all
    }

    #[test]
    fn a_run_is_a_function_of_its_seed() {
        let options = Options::default();
        assert_eq!(run(11, &options).unwrap(), run(11, &options).unwrap());
        assert_ne!(run(11, &options).unwrap(), run(12, &options).unwrap());
    }

    #[test]
    fn without_faults_events_are_everywhere_at_once() {
        let options = Options { fault_every_ms: 0, chaos_ms: 10_000, ..Options::default() };
        let report = hold(0..10, &options);
        assert!(report.faults.is_empty());
        assert!(report.events_acknowledged > 100);
        assert!(report.converged_after_ms < 500, "{report:?}");
        assert!(report.propagated_after_ms < 500, "{report:?}");
        assert_eq!((report.stalls, report.gaps), (0, 0));
    }

    #[test]
    fn three_centrals_agree_after_any_faults() {
        let report = hold(1_000..1_040, &Options::default());
        for kind in faults::KINDS {
            assert!(report.faults.get(kind.name()).is_some_and(|count| *count > 0), "no {} in {report:?}", kind.name());
        }
        assert!(report.relinked_after_ms <= 6_000, "{report:?}");
        assert!(report.idle_wakeups_per_s <= 20, "a timer of each link and nothing else: {report:?}");
    }

    #[test]
    fn a_line_of_centrals_relays_everything() {
        let options = Options { centrals: 4, topology: Topology::Line, chaos_ms: 30_000, ..Options::default() };
        hold(2_000..2_020, &options);
    }

    #[test]
    fn a_ring_of_five_agrees_after_any_faults() {
        let options = Options { centrals: 5, topology: Topology::Ring, chaos_ms: 30_000, ..Options::default() };
        hold(3_000..3_010, &options);
    }

    #[test]
    fn disks_that_forget_their_last_commits_get_them_back_from_the_peers() {
        let options = Options { lying_disks: true, chaos_ms: 30_000, ..Options::default() };
        hold(4_000..4_040, &options);
    }

    /// `SIMULATION_SEEDS=5000..9000 cargo test --release simulation -- --ignored --nocapture`
    #[test]
    #[ignore = "as many seeds as there is time for"]
    fn any_number_of_seeds() {
        let range = std::env::var("SIMULATION_SEEDS").unwrap_or_else(|_| "10000..11000".into());
        let (from, to) = range.split_once("..").expect("from..to");
        for seed in from.parse::<u64>().unwrap()..to.parse().unwrap() {
            let topology = [Topology::Full, Topology::Line, Topology::Ring][usize::try_from(seed % 3).unwrap()];
            let options = Options {
                centrals: 2 + usize::try_from(seed / 3 % 5).unwrap(),
                topology,
                fault_every_ms: 200_u64 << (seed % 5),
                lying_disks: seed % 2 == 0,
                ..Options::default()
            };
            let report = hold(seed..seed + 1, &options);
            println!(
                "{seed}: {} events, linked after {} ms, equal after {} ms",
                report.events_acknowledged, report.relinked_after_ms, report.converged_after_ms
            );
        }
    }
}
