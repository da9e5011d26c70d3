//! What goes wrong, and when it is put right.

use super::central::{CrashPoint, Death};
use super::world::{Event, World};
use crate::replication::backoff::SplitMix64;

/// Longest time a fault that lasts goes on, in virtual ms.
const LONGEST_MS: u64 = 20_000;

/// A transaction within which a process dies has done fewer writes than this.
const MOST_WRITES: u64 = 40;

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
    /// A process dies before, within or after its next commit.
    CrashAtCommit,
    /// A machine stands still (a suspended process, a starved host).
    Pause,
    /// Commits take up to 10 s.
    SlowDisk,
    /// Half of the commits and of the reads fail.
    FailingDisk,
    /// A wall clock jumps by up to 3 h.
    ClockJump,
    /// The actor of a peer panics and is started anew.
    PeerRestart,
    /// The coordinator panics and is started anew.
    CoordinatorRestart,
    /// A directory is lost: the central starts with an empty one, under its old id.
    Wiped,
    /// An older copy of a directory is put back.
    Restored,
    /// A second machine starts with the id and a copy of the directory of another.
    Cloned,
    /// A peer says what is not so, or what nobody understands.
    Garbage,
    /// A peer sends events of a log that its author did not write, as a sound chain.
    ForgedLog,
    /// Somebody has a central and its key in his hands, and writes what harms most.
    BadAuthor,
    /// A person throws a central out for good, which goes on as before and does its worst.
    Expelled,
    /// Somebody who is not one of the mesh, or says it is another, knocks.
    Stranger,
    /// The address of a peer leads to another central, or back.
    WrongAddress,
}

/// Each with how often it is drawn, beside the others.
const KINDS: [(Kind, u64); 22] = [
    (Kind::Cut, 4),
    (Kind::HalfOpen, 4),
    (Kind::OneWay, 4),
    (Kind::Partition, 4),
    (Kind::Kill, 4),
    (Kind::PowerCut, 4),
    (Kind::CrashAtCommit, 4),
    (Kind::Pause, 4),
    (Kind::SlowDisk, 4),
    (Kind::FailingDisk, 4),
    (Kind::ClockJump, 4),
    (Kind::PeerRestart, 4),
    (Kind::CoordinatorRestart, 4),
    (Kind::Stranger, 3),
    (Kind::WrongAddress, 3),
    (Kind::Wiped, 2),
    (Kind::Restored, 2),
    (Kind::Cloned, 2),
    (Kind::Garbage, 3),
    (Kind::ForgedLog, 1),
    (Kind::BadAuthor, 6),
    (Kind::Expelled, 2),
];

/// A process dies with a commit under way: nothing of it happened, …
pub(super) const BEFORE_COMMIT: &str = "died_before_commit";
/// … it had been written in part, …
pub(super) const WITHIN_COMMIT: &str = "died_within_commit";
/// … it was durable and nobody had heard of it.
pub(super) const AFTER_COMMIT: &str = "died_after_commit";
/// A disk that lied forgets its last commits with the power.
pub(super) const LOST_COMMITS: &str = "lost_commits";

/// The names of all kinds.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let kinds = KINDS.into_iter().map(|(kind, _)| kind.name());
    kinds.chain([BEFORE_COMMIT, WITHIN_COMMIT, AFTER_COMMIT, LOST_COMMITS])
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
            Self::CrashAtCommit => "crash_at_commit",
            Self::Pause => "pause",
            Self::SlowDisk => "slow_disk",
            Self::FailingDisk => "failing_disk",
            Self::ClockJump => "clock_jump",
            Self::PeerRestart => "peer_restart",
            Self::CoordinatorRestart => "coordinator_restart",
            Self::Wiped => "wiped",
            Self::Restored => "restored",
            Self::Cloned => "cloned",
            Self::Garbage => "garbage",
            Self::ForgedLog => "forged_log",
            Self::BadAuthor => "bad_author",
            Self::Expelled => "expelled",
            Self::Stranger => "stranger",
            Self::WrongAddress => "wrong_address",
        }
    }

    /// Faults of the outside world; without them nobody lies and no directory is exchanged.
    fn is_natural(self) -> bool {
        !matches!(
            self,
            Self::Wiped
                | Self::Restored
                | Self::Cloned
                | Self::Garbage
                | Self::ForgedLog
                | Self::BadAuthor
                | Self::Expelled
        )
    }

    fn pick(random: &mut SplitMix64, natural_only: bool) -> Self {
        let possible = || KINDS.iter().filter(|(kind, _)| !natural_only || kind.is_natural());
        let mut turn = random.below(possible().map(|(_, often)| often).sum());
        for (kind, often) in possible() {
            if turn < *often {
                return *kind;
            }
            turn -= often;
        }
        Self::Cut
    }
}

impl World<'_> {
    /// Lets one random thing go wrong at a random place, if there is something to break.
    pub(super) fn fault(&mut self) {
        let kind = Kind::pick(&mut self.random, !self.options.disasters);
        let members = self.members() as u64;
        let one = usize::try_from(self.random.below(members)).unwrap_or(0);
        let other = (one + 1 + usize::try_from(self.random.below(members - 1)).unwrap_or(0)) % self.members();
        let until_ms = self.now_ms + 100 + self.random.below(LONGEST_MS);
        let point = crash_point(&mut self.random);
        if self.options.disasters && self.random.below(4) == 0 {
            self.back_up(other);
        }
        let happened = match kind {
            Kind::Cut => self.cut(one, true),
            Kind::HalfOpen => self.cut(one, false),
            Kind::OneWay => self.block(one, other, until_ms),
            Kind::Partition => {
                self.block(one, other, until_ms);
                self.block(other, one, until_ms)
            }
            Kind::Kill => self.crash(one, Death { point, power: false, until_ms }),
            Kind::PowerCut => self.crash(one, Death { point, power: true, until_ms }),
            Kind::CrashAtCommit => self.crash_later(one, Death { point, power: until_ms.is_multiple_of(2), until_ms }),
            Kind::Pause => self.pause(one, until_ms),
            Kind::SlowDisk => self.slow_disk(one, until_ms),
            Kind::FailingDisk => self.failing_disk(one, until_ms),
            Kind::ClockJump => self.clock_jump(one),
            Kind::PeerRestart => self.peer_restarts(one),
            Kind::CoordinatorRestart => self.coordinator_restarts(one),
            Kind::Wiped => self.wipe(one, until_ms),
            Kind::Restored => self.restore(one, until_ms),
            Kind::Cloned => self.clone_central(one, until_ms),
            Kind::Garbage => self.lie(one, until_ms),
            Kind::ForgedLog => self.forge(one, until_ms),
            Kind::BadAuthor => self.write_evil(one),
            Kind::Expelled => self.expel(one, other),
            Kind::Stranger => self.stranger_knocks(one, other),
            Kind::WrongAddress => self.misdirect(one, until_ms),
        };
        if happened {
            *self.report.figures.faults.entry(kind.name()).or_default() += 1;
            self.note(|| format!("fault {} at {one} (and {other}) until {until_ms}", kind.name()));
        }
    }

    fn block(&mut self, from: usize, to: usize, until_ms: u64) -> bool {
        self.network.block(from, to, true);
        self.schedule(until_ms, Event::Unblock { from, to });
        true
    }

    fn slow_disk(&mut self, central: usize, until_ms: u64) -> bool {
        self.justified.insert("link_not_moving");
        let Some(central) = self.centrals.get_mut(central) else { return false };
        central.slow_until_ms = until_ms;
        true
    }

    fn failing_disk(&mut self, central: usize, until_ms: u64) -> bool {
        self.justified.extend(["read_failed", "link_not_moving"]);
        let Some(central) = self.centrals.get_mut(central) else { return false };
        central.failing_until_ms = until_ms;
        true
    }

    fn crash_later(&mut self, central: usize, death: Death) -> bool {
        let Some(central) = self.centrals.get_mut(central).filter(|central| central.alive) else { return false };
        central.dies = Some(death);
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

    /// Dials of one central to a peer reach somebody else.
    fn misdirect(&mut self, from: usize, until_ms: u64) -> bool {
        let peers = self.neighbours(from);
        let turn = usize::try_from(self.random.below(peers.len() as u64)).unwrap_or(0);
        let instead = usize::try_from(self.random.below(self.members() as u64)).unwrap_or(0);
        let Some(to) = peers.get(turn).copied().filter(|to| *to != instead) else { return false };
        self.truth.errors.extend(["identity", "self_connection"]);
        self.misdirected.insert((from, to), instead);
        self.schedule(until_ms, Event::Readdress { from, to });
        true
    }

    /// Everything is put right: from here on all must come together.
    pub(super) fn heal(&mut self) {
        self.network.heal();
        self.release_held_up();
        self.misdirected.clear();
        for connection in std::mem::take(&mut self.lies) {
            self.end_lies(connection);
        }
        for index in 0..self.centrals.len() {
            if let Some(central) = self.centrals.get_mut(index) {
                central.slow_until_ms = 0;
                central.failing_until_ms = 0;
                central.paused_until_ms = 0;
                central.dies = None;
            }
            self.resume(index);
            if index < self.members() {
                self.restart(index);
            }
        }
        self.expel_again();
    }
}

fn crash_point(random: &mut SplitMix64) -> CrashPoint {
    match random.below(3) {
        0 => CrashPoint::Before,
        1 => CrashPoint::Within(u32::try_from(random.below(MOST_WRITES)).unwrap_or(0)),
        _ => CrashPoint::After,
    }
}
