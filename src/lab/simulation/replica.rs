//! The store of a simulated central.

use std::collections::BTreeMap;

use crate::domain::ids::{CentralId, Epoch, LogId};
use crate::replication::have::Have;
use crate::replication::log::{ChainHash, EventBytes, Head, Run};

/// What a transaction is to do.
#[derive(Debug, Clone)]
pub enum ReplicaJob {
    /// An edge or a person wants something; the payload says what, as JSON.
    Author(EventBytes),
    Store(Run),
}

/// What came of a job, once it is durable.
#[derive(Debug, Clone)]
pub enum ReplicaOutcome {
    /// What was authored. A job that changes nothing authors nothing.
    Authored(Run),
    Stored(Run),
    /// The run did not continue what is held.
    Refused(LogId),
    /// The run was not written by whose log it is.
    NotItsAuthor(LogId, String),
}

/// What a replica made of its events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meaning {
    /// Equal events give equal words.
    pub words: String,
    /// How often it came to what.
    pub kinds: BTreeMap<&'static str, u64>,
}

/// When a transaction happens.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock, Unix ms.
    pub wall_ms: i64,
    /// Names the log to start, if this is the process's first own event.
    pub fresh_epoch: Epoch,
}

/// The disk of a simulated central and what decides about it.
pub trait Replica {
    /// One transaction. Durable on return.
    ///
    /// # Errors
    /// What went wrong on a disk that is well.
    fn commit(&mut self, moment: Moment, jobs: Vec<ReplicaJob>) -> Result<Vec<ReplicaOutcome>, String>;
    /// One transaction whose disk fails, at its commit or after so many writes: nothing of it happens.
    ///
    /// # Errors
    /// What happened of it nevertheless.
    fn fail(&mut self, moment: Moment, jobs: Vec<ReplicaJob>, after_writes: Option<u32>) -> Result<(), String>;
    /// The log this process writes; `None` before its first own event.
    fn own_log(&self) -> Option<LogId>;
    /// Never continues the log it writes.
    fn start_new_epoch(&mut self);
    /// What a copy of the directory holds, for the process that will start on it.
    fn copy(&self) -> Box<dyn Replica>;
    /// What was made of the events held.
    ///
    /// # Errors
    /// How it differs from what the events mean.
    fn meaning(&mut self) -> Result<Meaning, String>;
    /// Events after `after`: at least one if there is any, then as many as fit into `max_bytes`.
    fn read(&self, log: &LogId, after: u64, max_bytes: usize) -> Option<Run>;
    fn heads(&self) -> Have;
    /// The chain hash after `to` events, if that many are held.
    fn hash_at(&self, log: &LogId, to: u64) -> Option<ChainHash>;
    /// The process died; its disk forgot the last transactions.
    ///
    /// # Errors
    /// It cannot start again.
    fn restart(&mut self, lost_commits: usize) -> Result<(), String>;
}

/// Logs in memory, and nothing made of them.
#[derive(Debug, Clone)]
pub struct MemoryReplica {
    central: CentralId,
    own_log: Option<LogId>,
    logs: BTreeMap<LogId, Vec<(EventBytes, ChainHash)>>,
    /// Per transaction, what each log it touched was long before.
    journal: Vec<BTreeMap<LogId, usize>>,
}

impl MemoryReplica {
    #[must_use]
    pub fn new(central: &CentralId) -> Self {
        Self { central: central.clone(), own_log: None, logs: BTreeMap::new(), journal: Vec::new() }
    }

    fn head(&self, log: &LogId) -> Head {
        let events = self.logs.get(log).map_or(&[][..], Vec::as_slice);
        let hash = events.last().map_or_else(|| ChainHash::genesis(log), |(_, hash)| *hash);
        Head { to: events.len() as u64, hash }
    }

    fn append(&mut self, log: &LogId, event: EventBytes, before: &mut BTreeMap<LogId, usize>) {
        let hash = self.head(log).hash.extend(&event);
        let events = self.logs.entry(log.clone()).or_default();
        before.entry(log.clone()).or_insert(events.len());
        events.push((event, hash));
    }
}

impl Replica for MemoryReplica {
    fn commit(&mut self, moment: Moment, jobs: Vec<ReplicaJob>) -> Result<Vec<ReplicaOutcome>, String> {
        let mut before = BTreeMap::new();
        let mut outcomes = Vec::new();
        for job in jobs {
            outcomes.push(match job {
                ReplicaJob::Author(payload) => {
                    let fresh = || LogId { central: self.central.clone(), epoch: moment.fresh_epoch };
                    let log = self.own_log.get_or_insert_with(fresh).clone();
                    let prev = self.head(&log);
                    self.append(&log, payload.clone(), &mut before);
                    let hash = self.head(&log).hash;
                    ReplicaOutcome::Authored(Run { log, after: prev.to, prev: prev.hash, events: vec![payload], hash })
                }
                ReplicaJob::Store(run) => {
                    let held = self.head(&run.log);
                    if held.to != run.after || held.hash != run.prev {
                        ReplicaOutcome::Refused(run.log)
                    } else {
                        for event in &run.events {
                            self.append(&run.log, event.clone(), &mut before);
                        }
                        ReplicaOutcome::Stored(run)
                    }
                }
            });
        }
        self.journal.push(before);
        Ok(outcomes)
    }

    fn fail(&mut self, _: Moment, _: Vec<ReplicaJob>, _: Option<u32>) -> Result<(), String> {
        Ok(())
    }

    fn own_log(&self) -> Option<LogId> {
        self.own_log.clone()
    }

    fn start_new_epoch(&mut self) {
        self.own_log = None;
    }

    fn copy(&self) -> Box<dyn Replica> {
        Box::new(Self { own_log: None, journal: Vec::new(), ..self.clone() })
    }

    fn meaning(&mut self) -> Result<Meaning, String> {
        Ok(Meaning::default())
    }

    fn read(&self, log: &LogId, after: u64, max_bytes: usize) -> Option<Run> {
        let from = usize::try_from(after).ok()?;
        let after = Head { to: after, hash: self.hash_at(log, after)? };
        run_of(log, after, self.logs.get(log)?.iter().skip(from), max_bytes)
    }

    fn heads(&self) -> Have {
        self.logs.keys().map(|log| (log.clone(), self.head(log))).collect()
    }

    fn hash_at(&self, log: &LogId, to: u64) -> Option<ChainHash> {
        match usize::try_from(to).ok()?.checked_sub(1) {
            None => Some(ChainHash::genesis(log)),
            Some(last) => self.logs.get(log)?.get(last).map(|(_, hash)| *hash),
        }
    }

    fn restart(&mut self, lost_commits: usize) -> Result<(), String> {
        self.own_log = None;
        for _ in 0..lost_commits {
            for (log, length) in self.journal.pop().unwrap_or_default() {
                if let Some(events) = self.logs.get_mut(&log) {
                    events.truncate(length);
                }
            }
        }
        Ok(())
    }
}

/// The events that follow `after`, as many as fit; one always. `None`: none follows.
pub(super) fn run_of<'e>(
    log: &LogId,
    after: Head,
    events: impl Iterator<Item = &'e (EventBytes, ChainHash)>,
    max_bytes: usize,
) -> Option<Run> {
    let mut run = Run { log: log.clone(), after: after.to, prev: after.hash, events: Vec::new(), hash: after.hash };
    let mut bytes = 0;
    for (event, hash) in events {
        bytes += event.len();
        if bytes > max_bytes && !run.events.is_empty() {
            break;
        }
        run.events.push(event.clone());
        run.hash = *hash;
    }
    (!run.events.is_empty()).then_some(run)
}
