//! The event loop: virtual time, and everything that happens at each moment of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::central::{Central, central_id};
use super::checks::Truth;
use super::network::Network;
use super::replica::Replica;
use super::topology;
use super::{Options, Report};
use crate::domain::ids::LogId;
use crate::replication::backoff::SplitMix64;
use crate::replication::peer::output::{Alarm, ReadRun, RunRead};

/// Steps kept for a failure's trace.
const TRACE_STEPS: usize = 400;

/// More wake-ups of one central at one moment than this are a loop without end.
const MAX_WAKEUPS_AT_ONCE: u64 = 200;

/// Something that happens. `life`: of the process it is meant for.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Wake {
        central: usize,
        life: u64,
    },
    Mail {
        central: usize,
        life: u64,
    },
    Committed {
        central: usize,
        life: u64,
    },
    Read {
        central: usize,
        life: u64,
        peer: usize,
        read: ReadRun,
    },
    ReadDone {
        central: usize,
        life: u64,
        peer: usize,
        read: RunRead,
    },
    Arrive {
        connection: usize,
        from_end: usize,
    },
    DialArrives {
        central: usize,
        life: u64,
        peer: usize,
        attempt: u64,
        latency_ms: u64,
    },
    Dialled {
        central: usize,
        life: u64,
        peer: usize,
        attempt: u64,
        connection: usize,
    },
    DialFails {
        central: usize,
        life: u64,
        peer: usize,
        attempt: u64,
        reason: &'static str,
    },
    Author {
        central: usize,
    },
    Fault,
    Unblock {
        from: usize,
        to: usize,
    },
    Restart {
        central: usize,
    },
    Resume {
        central: usize,
    },
    /// A dial reaches again whom it is meant for.
    Readdress {
        from: usize,
        to: usize,
    },
    /// Whoever lied on this connection is replaced by one that does not.
    EndLies {
        connection: usize,
    },
    StopDouble {
        life: u64,
    },
}

/// All there is.
pub(super) struct World<'a> {
    pub(super) options: &'a Options,
    /// By place: who is configured as whose peer.
    peers: Vec<Vec<usize>>,
    pub(super) random: SplitMix64,
    pub(super) now_ms: u64,
    events: BTreeMap<(u64, u64), Event>,
    events_made: u64,
    /// The members of the mesh, and at the last place a second machine that uses the id of one of them, now and then.
    pub(super) centrals: Vec<Central>,
    /// Whom people threw out. It goes on, and is of the mesh no more.
    pub(super) expelled: Option<usize>,
    /// All others hold that, and have nothing to catch up on: what it begins from now on is nobody's.
    pub(super) expelled_everywhere: bool,
    pub(super) void_logs: BTreeSet<LogId>,
    /// Whose double that is.
    pub(super) doubled: usize,
    /// Somebody was alarmed about it since it started.
    pub(super) double_known: bool,
    pub(super) network: Network,
    /// Whom a dial reaches instead of whom it is meant for.
    pub(super) misdirected: BTreeMap<(usize, usize), usize>,
    /// Connections on which one side lies, or is nobody.
    pub(super) lies: BTreeSet<usize>,
    /// Strangers that use the id of a peer: what they are told says nothing.
    pub(super) impostors: BTreeSet<usize>,
    /// Connections, and the end that sends, whose next run arrives damaged.
    pub(super) damaging: BTreeSet<(usize, usize)>,
    /// Logs that liars announced and that nobody wrote.
    pub(super) invented: BTreeSet<LogId>,
    /// Alarms that something simulated gives reason for.
    pub(super) justified: BTreeSet<&'static str>,
    /// Logs that somebody was alarmed about.
    pub(super) alarmed: BTreeSet<LogId>,
    /// The last alarm was about a start from an older copy.
    pub(super) told_older: bool,
    pub(super) truth: Truth,
    /// How often gates asked for something.
    pub(super) asked: u64,
    pub(super) report: Report,
    pub(super) chaos: bool,
    pub(super) gates_open: bool,
    pub(super) broken: Option<String>,
    pub(super) wakeups: u64,
    wakeups_now: BTreeMap<usize, u64>,
    tracing: bool,
    pub(super) trace: VecDeque<String>,
}

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, options: &'a Options, tracing: bool) -> Self {
        let members = options.centrals;
        let mut peers = topology::neighbours(options.topology, members, seed);
        peers.push(Vec::new());
        let mut centrals: Vec<Central> =
            (0..members).map(|index| Central::new(index, index, Replica::new(&central_id(index)))).collect();
        centrals.push(Central::new(members, 0, Replica::new(&central_id(0))));
        Self {
            options,
            peers,
            random: SplitMix64::new(seed),
            now_ms: 0,
            events: BTreeMap::new(),
            events_made: 0,
            centrals,
            expelled: None,
            expelled_everywhere: false,
            void_logs: BTreeSet::new(),
            doubled: 0,
            double_known: false,
            // Two more places: of the double, and of strangers.
            network: Network::new(members + 2),
            misdirected: BTreeMap::new(),
            lies: BTreeSet::new(),
            impostors: BTreeSet::new(),
            damaging: BTreeSet::new(),
            invented: BTreeSet::new(),
            justified: BTreeSet::new(),
            alarmed: BTreeSet::new(),
            told_older: false,
            truth: Truth::default(),
            asked: 0,
            report: Report { seed, ..Report::default() },
            chaos: true,
            gates_open: true,
            broken: None,
            wakeups: 0,
            wakeups_now: BTreeMap::new(),
            tracing,
            trace: VecDeque::new(),
        }
    }

    pub(super) fn run_until(&mut self, until_ms: u64) -> Result<(), String> {
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
            Event::ReadDone { central, life, peer, read } if self.lives(central, life) => {
                self.read_done(central, peer, read);
            }
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
            Event::Author { central } if self.gates_open => {
                let events = 1 + self.random.below(5);
                if self.expelled == Some(central) {
                    self.write_evil(central);
                }
                self.author(central, events);
                if central < self.members() || self.centrals.get(central).is_some_and(|double| double.alive) {
                    self.schedule_author(central);
                }
            }
            Event::Fault if self.chaos => {
                self.fault();
                self.schedule_fault();
            }
            Event::Unblock { from, to } => {
                self.network.block(from, to, false);
                self.release_held_up();
            }
            Event::Restart { central } if central < self.members() => self.restart(central),
            Event::Resume { central } => self.resume(central),
            Event::Readdress { from, to } => {
                self.misdirected.remove(&(from, to));
            }
            Event::EndLies { connection } => self.end_lies(connection),
            // Once all is healed people stop it, and only because they were told of it.
            Event::StopDouble { life } if self.chaos && self.lives(self.members(), life) => self.stop_double(),
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
            | Event::ReadDone { central, .. }
            | Event::Dialled { central, .. }
            | Event::DialFails { central, .. }
            | Event::Author { central } => *central,
            Event::Arrive { connection, from_end } => self.receiver(*connection, *from_end)?,
            Event::DialArrives { .. }
            | Event::Fault
            | Event::Unblock { .. }
            | Event::Restart { .. }
            | Event::Resume { .. }
            | Event::Readdress { .. }
            | Event::EndLies { .. }
            | Event::StopDouble { .. } => return None,
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

    pub(super) fn schedule_author(&mut self, central: usize) {
        let wait_ms = 1 + self.random.below(2 * self.options.author_every_ms);
        self.schedule(self.now_ms + wait_ms, Event::Author { central });
    }

    pub(super) fn schedule_fault(&mut self) {
        if self.options.fault_every_ms > 0 {
            let wait_ms = 1 + self.random.below(2 * self.options.fault_every_ms);
            self.schedule(self.now_ms + wait_ms, Event::Fault);
        }
    }

    /// The number of centrals in the mesh.
    pub(super) fn members(&self) -> usize {
        self.options.centrals
    }

    /// Whether the central at this place is one of the mesh: no double, and not thrown out.
    pub(super) fn is_member(&self, index: usize) -> bool {
        index < self.members() && self.expelled != Some(index)
    }

    pub(super) fn mesh(&self) -> impl Iterator<Item = &Central> {
        self.centrals.iter().filter(|central| self.is_member(central.index))
    }

    /// The place where a second machine with the id of a member runs.
    pub(super) fn double(&self) -> Option<&Central> {
        self.centrals.last().filter(|double| double.alive)
    }

    /// The disks there are.
    pub(super) fn forget(&mut self) {
        let (members, expelled) = (self.options.centrals, self.expelled);
        let counts = |central: &&Central| (central.index < members || central.alive) && expelled != Some(central.index);
        self.truth.forgotten(self.centrals.iter().filter(counts).map(|central| &central.disk));
    }

    /// The centrals configured as peers of one.
    pub(super) fn neighbours(&self, central: usize) -> Vec<usize> {
        let of = if central == self.members() { self.doubled } else { central };
        self.peers.get(of).cloned().unwrap_or_default()
    }

    pub(super) fn lying_disks(&self) -> bool {
        self.options.lying_disks
    }

    /// A central calls for a person. Without something that justifies it that is a fault of ours.
    pub(super) fn alarm(&mut self, central: usize, alarm: &Alarm) {
        self.note(|| format!("c{central} raises an alarm: {alarm}"));
        *self.report.figures.alarms.entry(alarm.name()).or_default() += 1;
        if !self.justified.contains(alarm.name()) && self.expelled != Some(central) {
            self.broken = Some(format!("c{central} raised an alarm: {alarm}"));
        }
        self.told_older = matches!(alarm, Alarm::OlderStart { .. });
        if let Alarm::DuplicateCentralId { central } = alarm {
            self.double_known |= *central == central_id(self.doubled);
        }
        if let Alarm::Fork { log, .. } | Alarm::OwnLogAhead { log, .. } = alarm {
            self.alarmed.insert(log.clone());
        }
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if self.tracing {
            if self.trace.len() == TRACE_STEPS {
                self.trace.pop_front();
            }
            self.trace.push_back(format!("{:>8} {}", self.now_ms, what()));
        }
    }
}
