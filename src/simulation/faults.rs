//! What goes wrong, and when it is put right.

use super::world::{Event, World};
use crate::replication::backoff::SplitMix64;

/// Longest time a fault that lasts goes on, in virtual ms.
const LONGEST_MS: u64 = 20_000;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A connection breaks and both sides see it.
    Cut,
    /// A connection breaks and one side sees it: it will dial again while the other believes in the old one.
    HalfOpen,
    /// Nothing gets from one central to another; the way back works.
    OneWay,
    /// Nothing gets through between two centrals.
    Partition,
    /// A process is killed; its connections are reset.
    Kill,
    /// A machine loses power: nobody is told.
    PowerCut,
    /// A machine stands still (a suspended process, a starved host).
    Pause,
    /// Commits take up to 10 s.
    SlowDisk,
    /// Half of the commits fail.
    FailingDisk,
    /// A wall clock jumps by up to 3 h.
    ClockJump,
    /// The actor of a peer panics and is started anew.
    PeerRestart,
    /// The coordinator panics and is started anew.
    CoordinatorRestart,
}

pub(super) const KINDS: [Kind; 12] = [
    Kind::Cut,
    Kind::HalfOpen,
    Kind::OneWay,
    Kind::Partition,
    Kind::Kill,
    Kind::PowerCut,
    Kind::Pause,
    Kind::SlowDisk,
    Kind::FailingDisk,
    Kind::ClockJump,
    Kind::PeerRestart,
    Kind::CoordinatorRestart,
];

/// A process dies when its commit is durable and nobody has heard of it.
pub(super) const UNHEARD_COMMIT: &str = "unheard_commit";
/// A disk that lied forgets its last commits with the power.
pub(super) const LOST_COMMITS: &str = "lost_commits";

/// The names of all kinds.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().map(Kind::name).chain([UNHEARD_COMMIT, LOST_COMMITS])
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::HalfOpen => "half_open",
            Self::OneWay => "one_way",
            Self::Partition => "partition",
            Self::Kill => "kill",
            Self::PowerCut => "power_cut",
            Self::Pause => "pause",
            Self::SlowDisk => "slow_disk",
            Self::FailingDisk => "failing_disk",
            Self::ClockJump => "clock_jump",
            Self::PeerRestart => "peer_restart",
            Self::CoordinatorRestart => "coordinator_restart",
        }
    }

    fn pick(random: &mut SplitMix64) -> Self {
        let index = usize::try_from(random.below(KINDS.len() as u64)).unwrap_or(0);
        KINDS.get(index).copied().unwrap_or(Self::Cut)
    }
}

impl World<'_> {
    /// Lets one random thing go wrong at a random place, if there is something to break.
    pub(super) fn fault(&mut self) {
        let kind = Kind::pick(&mut self.random);
        let centrals = self.centrals.len() as u64;
        let one = usize::try_from(self.random.below(centrals)).unwrap_or(0);
        let other = (one + 1 + usize::try_from(self.random.below(centrals - 1)).unwrap_or(0)) % self.centrals.len();
        let until_ms = self.now_ms + 100 + self.random.below(LONGEST_MS);
        let happened = match kind {
            Kind::Cut => self.cut(one, true),
            Kind::HalfOpen => self.cut(one, false),
            Kind::OneWay => self.block(one, other, until_ms),
            Kind::Partition => {
                self.block(one, other, until_ms);
                self.block(other, one, until_ms)
            }
            Kind::Kill => self.crash(one, false, until_ms),
            Kind::PowerCut => self.crash(one, true, until_ms),
            Kind::Pause => self.pause(one, until_ms),
            Kind::SlowDisk => self.slow_disk(one, until_ms),
            Kind::FailingDisk => self.failing_disk(one, until_ms),
            Kind::ClockJump => self.clock_jump(one),
            Kind::PeerRestart => self.peer_restarts(one),
            Kind::CoordinatorRestart => self.coordinator_restarts(one),
        };
        if happened {
            *self.report.faults.entry(kind.name()).or_default() += 1;
            self.note(|| format!("fault {} at {one} (and {other}) until {until_ms}", kind.name()));
        }
    }

    fn block(&mut self, from: usize, to: usize, until_ms: u64) -> bool {
        self.network.block(from, to, true);
        self.schedule(until_ms, Event::Unblock { from, to });
        true
    }

    fn slow_disk(&mut self, central: usize, until_ms: u64) -> bool {
        let Some(central) = self.centrals.get_mut(central) else { return false };
        central.slow_until_ms = until_ms;
        true
    }

    fn failing_disk(&mut self, central: usize, until_ms: u64) -> bool {
        let Some(central) = self.centrals.get_mut(central) else { return false };
        central.failing_until_ms = until_ms;
        true
    }

    fn pause(&mut self, index: usize, until_ms: u64) -> bool {
        let Some(central) = self.centrals.get_mut(index).filter(|central| central.alive) else { return false };
        central.paused_until_ms = until_ms;
        self.schedule(until_ms, Event::Resume { central: index });
        true
    }

    fn clock_jump(&mut self, central: usize) -> bool {
        let offset_ms = i64::try_from(self.random.below(6 * 3_600_000)).unwrap_or(0) - 3 * 3_600_000;
        let Some(central) = self.centrals.get_mut(central) else { return false };
        central.clock_offset_ms = offset_ms;
        true
    }

    /// Everything is put right: from here on all must come together.
    pub(super) fn heal(&mut self) {
        self.network.heal();
        self.release_held_up();
        for index in 0..self.centrals.len() {
            if let Some(central) = self.centrals.get_mut(index) {
                central.slow_until_ms = 0;
                central.failing_until_ms = 0;
                central.paused_until_ms = 0;
            }
            self.resume(index);
            self.restart(index);
        }
    }
}
