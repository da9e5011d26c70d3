//! What happened, in one run or in many.

use std::collections::BTreeMap;

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
