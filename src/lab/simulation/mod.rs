//! Many centrals in one thread on virtual time, from one seed.
//!
//! The real [`Peer`](crate::replication::peer::Peer) and [`Coordinator`](crate::replication::coordinator::Coordinator)
//! machines exchange real frame texts over a simulated network; a simulated writer commits what they want stored, slowly,
//! late, or not at all. After a time of faults everything is healed, and all centrals have to come to hold the same.
//!
//! Checked at every step: a log is only ever held as a prefix of what its author wrote, and only the process that began it
//! writes it; nobody acknowledges, announces or sends what is not durable with it; nobody is alarmed without a reason.
//! Checked at the end: every event that was acknowledged is everywhere, save what only a lost disk held, which is counted;
//! all make the same of it; a fork and a double were noticed.
//!
//! | file | holds |
//! |---|---|
//! | `world`, `phases` | the event loop; what a run consists of |
//! | `faults`, `disasters`, `lies` | what goes wrong: outside, with processes and directories, with what peers say |
//! | `central`, `shell`, `sockets`, `network`, `topology` | the parts of the actors and of the network |
//! | `evil` | what somebody writes who has a central in his hands |
//! | `replica`, `traffic` | disks, what is decided on them, what gates ask |
//! | `checks`, `campaign` | what must hold; sums over many seeds |
//!
//! A seed decides everything. A failure carries its seed and the last steps before it.

mod campaign;
mod central;
mod checks;
mod disasters;
mod evil;
mod faults;
mod lies;
mod money;
mod network;
mod phases;
mod replica;
mod shell;
mod sockets;
#[cfg(test)]
mod tests;
mod topology;
mod traffic;
mod world;

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::stay::guarded;

pub use campaign::{Campaign, Seeds, campaign};
pub use topology::Topology;

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
    /// Directories are lost, exchanged and copied, and peers lie.
    pub disasters: bool,
    /// Faults go on until so many events were written and so many faults happened.
    pub least_events: u64,
    pub least_faults: u64,
    /// How long nothing happens at the end, in virtual ms.
    pub idle_ms: u64,
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
            disasters: false,
            least_events: 0,
            least_faults: 0,
            idle_ms: 60_000,
        }
    }
}

/// A run that held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub seed: u64,
    pub centrals: usize,
    /// Events written at all, acknowledged or not.
    pub events_written: u64,
    pub figures: Figures,
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

/// Simulates one seed.
///
/// # Errors
/// [`Failure`] if a promise was broken.
pub fn run(seed: u64, options: &Options) -> Result<Report, Box<Failure>> {
    let simulated = |traced| {
        guarded(|| Ok(world::World::new(seed, options, traced).run()))
            .unwrap_or_else(|what| Err(Box::new(Failure { seed, what, trace: Vec::new() })))
    };
    // The same again, this time writing down what happens: it is a function of the seed.
    simulated(false).or_else(|failure| simulated(true).map_or_else(Err, |_| Err(failure)))
}

/// Counts and times of runs that held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// What was made of the events: rows by status, anomalies and repeats.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Alarms by name.
    pub alarms: BTreeMap<&'static str, u64>,
    pub events_acknowledged: u64,
    /// Events that were acknowledged and that nobody but a lost or forgetful disk held.
    pub events_excused: u64,
    pub commits: u64,
    pub frames: u64,
    /// Their texts, uncompressed.
    pub frame_bytes: u64,
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

impl Figures {
    /// Adds the counts of another run; of times the longer one stays.
    pub fn join(&mut self, other: &Self) {
        let by_kind =
            [(&mut self.faults, &other.faults), (&mut self.kinds, &other.kinds), (&mut self.alarms, &other.alarms)];
        for (sums, counts) in by_kind {
            for (kind, count) in counts {
                *sums.entry(kind).or_default() += count;
            }
        }
        self.events_acknowledged += other.events_acknowledged;
        self.events_excused += other.events_excused;
        self.commits += other.commits;
        self.frames += other.frames;
        self.frame_bytes += other.frame_bytes;
        self.links_up += other.links_up;
        self.duplicates += other.duplicates;
        self.gaps += other.gaps;
        self.stalls += other.stalls;
        self.relinked_after_ms = self.relinked_after_ms.max(other.relinked_after_ms);
        self.converged_after_ms = self.converged_after_ms.max(other.converged_after_ms);
        self.propagated_after_ms = self.propagated_after_ms.max(other.propagated_after_ms);
        self.idle_wakeups_per_s = self.idle_wakeups_per_s.max(other.idle_wakeups_per_s);
    }
}
