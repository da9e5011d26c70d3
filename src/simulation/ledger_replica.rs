//! A replica that is a whole ledger on a disk in memory: gates are answered, histories made, and what a disk can do goes wrong.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::replica::{Meaning, Moment, Replica, ReplicaJob, ReplicaOutcome, run_of};
use super::traffic;
use crate::domain::ids::{CentralId, LogId};
use crate::domain::plate::PlateId;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::{Fact, Resolution, resolve};
use crate::domain::time::SiteZone;
use crate::ledger::job::{Answer, Job, Refusal};
use crate::ledger::memory::MemoryStorage;
use crate::ledger::storage::{EventRef, Storage};
use crate::ledger::transaction::Now;
use crate::ledger::{Context, Ledger, Processed};
use crate::replication::have::Have;
use crate::replication::log::{ChainHash, Head, Run};

/// The real ledger of one simulated central.
#[derive(Debug)]
pub struct LedgerReplica {
    ledger: Ledger<MemoryStorage>,
}

/// What an author's payload says to a ledger: what the gates ask for is drawn from `n`.
#[derive(Deserialize)]
struct Payload {
    n: u64,
    /// How often gates were asked before, in the whole mesh.
    asked: u64,
}

/// What a transaction came to.
struct Decided {
    /// Per job: the log it stores, if it does.
    stored: Vec<Option<LogId>>,
    /// The car, if the only job was a gate's.
    asked: Option<PlateId>,
    processed: Processed,
}

impl LedgerReplica {
    #[must_use]
    pub fn new(central: &CentralId) -> Self {
        Self::open(MemoryStorage::default(), Context { central: central.clone(), zone: SiteZone::default() })
    }

    fn open(storage: MemoryStorage, context: Context) -> Self {
        match Ledger::open(storage, context) {
            Ok(ledger) => Self { ledger },
            Err(error) => unreachable!("a storage in memory opens: {error}"),
        }
    }

    fn process(&mut self, moment: Moment, jobs: Vec<ReplicaJob>) -> Decided {
        let mut asked = Vec::new();
        // Per job asked: the log it stores, if it does.
        let mut stored = Vec::new();
        for job in jobs {
            match job {
                ReplicaJob::Author(payload) => {
                    let Ok(Payload { n, asked: before }) = serde_json::from_str(&payload) else { continue };
                    let stays = &self.ledger.storage().stays;
                    let stay = |drawn: u64| {
                        let index = usize::try_from(drawn % (stays.len().max(1) as u64)).ok()?;
                        stays.values().nth(index).map(|stored| &stored.row)
                    };
                    asked.extend(traffic::jobs(n, before, stay));
                }
                ReplicaJob::Store(run) => {
                    stored.resize(asked.len(), None);
                    stored.push(Some(run.log.clone()));
                    asked.push(Job::Store(run));
                }
            }
        }
        stored.resize(asked.len(), None);
        let now = Now { wall_ms: moment.wall_ms, skew_ms: None };
        let opened = match asked.as_slice() {
            [Job::Open(open)] => Some(open.plate.clone()),
            _ => None,
        };
        let processed = self.ledger.process(asked, now, moment.fresh_epoch);
        Decided { stored, asked: opened, processed }
    }

    /// Where one gate asked and nothing else happened, its car is inside or not as it was answered.
    fn is_as_answered(&self, asked: Option<&PlateId>, outcomes: &[Result<Answer, Refusal>]) -> Result<(), String> {
        let (Some(plate), [Ok(answer)]) = (asked, outcomes) else { return Ok(()) };
        let inside = self.ledger.inside().find(|(other, _)| *other == plate).map(|(plate, open)| open.stay_id(plate));
        match answer {
            Answer::Entered { event_id, repeated: false, .. } if inside.as_ref() != Some(event_id) => {
                Err(format!("{plate} was let in as {event_id}, and {inside:?} is inside"))
            }
            Answer::Exited { repeated: false, .. } if inside.is_some() => {
                Err(format!("{plate} was let out, and {inside:?} is inside"))
            }
            _ => Ok(()),
        }
    }

    /// The facts of stays among the events held.
    fn facts(&mut self) -> Vec<Fact> {
        let storage = self.ledger.storage_mut();
        let places: Vec<EventRef> = storage.events.keys().cloned().collect();
        let facts = places.iter().filter_map(|at| storage.fact(at).ok().flatten());
        facts.filter(|fact| fact.event.is_of_a_stay()).collect()
    }

    fn rows(&self) -> Vec<StayRow> {
        let mut rows: Vec<StayRow> = self.ledger.storage().stays.values().map(|stored| stored.row.clone()).collect();
        rows.sort_by(|a, b| a.stay_id.cmp(&b.stay_id));
        rows
    }

    /// The memory that a failed transaction must leave as it was.
    fn memory(&self) -> (Have, String, BTreeMap<String, String>) {
        let inside = self.ledger.inside().map(|(plate, open)| (plate.to_string(), open.stay_id(plate)));
        (self.heads(), self.ledger.digest().to_string(), inside.collect())
    }
}

impl Replica for LedgerReplica {
    fn commit(&mut self, moment: Moment, jobs: Vec<ReplicaJob>) -> Result<Vec<ReplicaOutcome>, String> {
        let Decided { stored, asked, processed } = self.process(moment, jobs);
        if let Some(failure) = processed.failure {
            return Err(format!("a healthy disk failed: {failure}"));
        }
        let grew = |log: &LogId| processed.committed.iter().any(|run| run.log == *log);
        let mut outcomes = Vec::new();
        for (log, outcome) in stored.into_iter().zip(&processed.outcomes) {
            match (log, outcome) {
                (Some(log), Err(Refusal::OutOfOrder { .. } | Refusal::BrokenChain { .. })) => {
                    outcomes.push(ReplicaOutcome::Refused(log));
                }
                // Held already: there is nothing to announce.
                (Some(log), Ok(Answer::Stored { .. })) if !grew(&log) => outcomes.push(ReplicaOutcome::Refused(log)),
                (Some(log), Err(refusal)) => return Err(format!("a run of {log} was refused: {refusal}")),
                (None, Ok(Answer::Entered { event_id, history_id: 0, .. })) => {
                    return Err(format!("{event_id} was answered and has no row"));
                }
                _ => {}
            }
        }
        self.is_as_answered(asked.as_ref(), &processed.outcomes)?;
        let own_log = self.ledger.own_log();
        outcomes.extend(processed.committed.into_iter().map(|run| match own_log {
            Some(own_log) if *own_log == run.log => ReplicaOutcome::Authored(run),
            _ => ReplicaOutcome::Stored(run),
        }));
        Ok(outcomes)
    }

    fn fail(&mut self, moment: Moment, jobs: Vec<ReplicaJob>, after_writes: Option<u32>) -> Result<(), String> {
        let before = self.memory();
        let storage = self.ledger.storage_mut();
        storage.fail_next_commit = true;
        storage.writes_until_failure = after_writes;
        let Decided { processed, .. } = self.process(moment, jobs);
        let storage = self.ledger.storage_mut();
        storage.fail_next_commit = false;
        storage.writes_until_failure = None;
        let answered = |outcome: &Result<Answer, Refusal>| !matches!(outcome, Err(Refusal::NotDurable(_)));
        if processed.failure.is_some() && processed.outcomes.iter().any(answered) {
            return Err("a job of a failed transaction was answered".to_owned());
        }
        if !processed.committed.is_empty() || self.memory() != before {
            return Err("a failed transaction left a trace".to_owned());
        }
        Ok(())
    }

    fn own_log(&self) -> Option<LogId> {
        self.ledger.own_log().cloned()
    }

    fn start_new_epoch(&mut self) {
        self.ledger.start_new_epoch();
    }

    fn copy(&self) -> Box<dyn Replica> {
        Box::new(Self::open(self.ledger.storage().copy(), self.ledger.context().clone()))
    }

    fn meaning(&mut self) -> Result<Meaning, String> {
        let Resolution { rows, repeats, waiting, quarantined, .. } = resolve(&self.facts());
        if let Some((held, meant)) = self.rows().iter().zip(&rows).find(|(held, meant)| held != meant) {
            return Err(format!("the history has {held:?}, the facts give {meant:?}"));
        }
        if self.rows().len() != rows.len() {
            return Err(format!("the history has {} rows, the facts give {}", self.rows().len(), rows.len()));
        }
        let open = rows.iter().filter(|row| row.status == StayStatus::In);
        let open: BTreeMap<String, String> = open.map(|row| (row.plate_id.to_string(), row.stay_id.clone())).collect();
        if self.memory().2 != open {
            return Err(format!("{:?} are said to be inside, {open:?} are", self.memory().2));
        }
        let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
        for row in &rows {
            *kinds.entry(row.status.name()).or_default() += 1;
            for anomaly in &row.anomalies {
                *kinds.entry(anomaly.name()).or_default() += 1;
            }
        }
        *kinds.entry("repeat").or_default() += repeats.len() as u64;
        let digest = self.ledger.digest();
        let totals = &self.ledger.storage().totals;
        let words =
            format!("digest {digest}, {kinds:?}, waiting {waiting:?}, quarantined {quarantined:?}, sums {totals:?}");
        Ok(Meaning { words, kinds })
    }

    fn read(&self, log: &LogId, after: u64, max_bytes: usize) -> Option<Run> {
        let from = EventRef { log: log.clone(), seq: after + 1 };
        let to = EventRef { log: log.clone(), seq: u64::MAX };
        let after = Head { to: after, hash: self.hash_at(log, after)? };
        run_of(log, after, self.ledger.storage().events.range(from..=to).map(|(_, held)| held), max_bytes)
    }

    fn heads(&self) -> Have {
        self.ledger.heads().map(|(log, head)| (log.clone(), *head)).collect()
    }

    fn hash_at(&self, log: &LogId, to: u64) -> Option<ChainHash> {
        if to == 0 {
            return Some(Head::empty(log).hash);
        }
        self.ledger.storage().events.get(&EventRef { log: log.clone(), seq: to }).map(|(_, hash)| *hash)
    }

    fn restart(&mut self, lost_commits: usize) -> Result<(), String> {
        let storage = self.ledger.storage_mut();
        storage.crash();
        storage.lose_last_commits(lost_commits);
        self.ledger.reopen().map_err(|error| error.to_string())
    }
}
