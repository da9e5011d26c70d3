//! The store of a simulated central: a whole ledger on a disk in memory. Gates are answered, histories made, and what a disk can do goes
//! wrong.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::central::certificate_of;
use super::lies::FORGED;
use super::{money, traffic};
use crate::domain::authorship::{Author, OpenedBy, Opener};
use crate::domain::doer::{Doer, DoerKind};
use crate::domain::ids::{CentralId, Epoch, LogId};
use crate::domain::lane::Lanes;
use crate::domain::plate::PlateId;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::standing::{CentralStanding, Standing, Trusted, in_force};
use crate::domain::stay::{Fact, Resolution, resolve};
use crate::domain::tariff::Tariff;
use crate::domain::time::SiteZone;
use crate::ledger::authorship::{Authorship, Distrusted, Judge};
use crate::ledger::job::{Answer, Job, Refusal};
use crate::ledger::memory::MemoryStorage;
use crate::ledger::runs::CLOCK_AHEAD;
use crate::ledger::storage::{EventRef, Lookup as _};
use crate::ledger::transaction::TransactionTime;
use crate::ledger::{Context, Ledger, Processed};
use crate::replication::have::Have;
use crate::replication::log::{ChainHash, EventBytes, Head, Run};

/// Of the commits in so many ms one is looked at, on average, whether all of it is what the facts give.
const LOOKED_AT_EVERY_MS: i64 = 16;

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

/// The real ledger of one simulated central.
#[derive(Debug)]
pub struct Replica {
    ledger: Ledger<MemoryStorage>,
}

/// What an author's payload says to a ledger: what the gates ask for is drawn from `n`.
#[derive(Deserialize)]
struct Payload {
    n: u64,
    /// How often gates were asked before, in the whole mesh.
    asked: u64,
    /// Whoever has this central in his hands writes what harms the others most, into its own log.
    #[serde(default)]
    evil: bool,
    /// A person throws this central out.
    #[serde(default)]
    expels: Option<CentralId>,
}

/// Stands for the keys of all centrals: a signature says whose it is, and nobody simulated makes one in another's name.
struct Sealed(String);

impl Opener for Sealed {
    fn open(&self, message: &[u8]) -> Option<OpenedBy> {
        Some(OpenedBy { certificate: self.0.clone(), signature: String::from_utf8_lossy(message).into_owned() })
    }
}

impl Judge for Sealed {
    fn opened(&self, log: &LogId, message: &[u8], by: &OpenedBy) -> Result<(), Distrusted> {
        let good = by.certificate == log.central.as_str() && by.signature.as_bytes() == message;
        if good { Ok(()) } else { Err(Distrusted::Forged("signed by another".to_owned())) }
    }

    fn unopened(&self, _: &LogId, _: bool, _: bool) -> Result<(), Distrusted> {
        Err(Distrusted::Forged("signed by nobody".to_owned()))
    }
}

/// What a transaction came to.
struct Decided {
    /// Per job: the log it stores, if it does.
    stored: Vec<Option<LogId>>,
    /// The car, if the only job was a gate's.
    asked: Option<PlateId>,
    /// The tariff, if the last job set one.
    tariff: Option<Tariff>,
    /// Logs that were written just now by somebody who has this central in his hands.
    evil: BTreeSet<LogId>,
    processed: Processed,
}

/// Who has the key of a central.
fn author_of(central: &CentralId) -> Author {
    Author::new([7; 32], Box::new(Sealed(central.to_string())))
}

impl Replica {
    pub fn new(central: &CentralId) -> Self {
        Self::open(MemoryStorage::default(), Context { central: central.clone(), zone: SiteZone::default() })
    }

    fn open(storage: MemoryStorage, context: Context) -> Self {
        // Two edges are one lane; at some starts the settings do not say so.
        let is_set = storage.events.len().is_multiple_of(2);
        let lane = ["edge-0", "edge-1"].map(|edge| (edge, "lane"));
        match Ledger::open(storage, context) {
            Ok(mut ledger) => {
                let author = author_of(&ledger.context().central);
                ledger.set_authorship(Authorship::new(author, Box::new(Sealed(String::new()))));
                ledger.set_lanes(Lanes::of(lane.into_iter().filter(|_| is_set)));
                Self { ledger }
            }
            Err(error) => unreachable!("a storage in memory opens: {error}"),
        }
    }

    fn process(&mut self, moment: Moment, jobs: Vec<ReplicaJob>) -> Decided {
        let mut asked = Vec::new();
        let mut evil = BTreeSet::new();
        // Per job asked: the log it stores, if it does.
        let mut stored = Vec::new();
        for job in jobs {
            match job {
                ReplicaJob::Author(payload) => {
                    let Ok(Payload { n, asked: before, evil: is_evil, expels }) = serde_json::from_str(&payload) else {
                        continue;
                    };
                    if let Some(central) = expels {
                        asked.push(Job::PutStanding(CentralStanding {
                            fingerprint: certificate_of(&central),
                            central,
                            standing: Standing::Expelled,
                            ip: None,
                            p2p_port: None,
                            reason: None,
                            by: None,
                        }));
                        continue;
                    }
                    if is_evil {
                        let central = self.ledger.context().central.clone();
                        let mut thief = author_of(&central);
                        let storage = self.ledger.storage();
                        if let Some(run) = super::evil::log_of(n, &central, moment.wall_ms, &mut thief, storage) {
                            evil.insert(run.log.clone());
                            asked.push(Job::Store(run));
                        }
                        continue;
                    }
                    let stays = &self.ledger.storage().stays;
                    let stay = |drawn: u64| {
                        let index = usize::try_from(drawn % (stays.len().max(1) as u64)).ok()?;
                        stays.values().nth(index).map(|stored| &stored.row)
                    };
                    let central = self.ledger.context().central.as_str();
                    match money::job(n, central, traffic::EDGES, self.ledger.storage()) {
                        Some(job) => asked.push(job.by(Doer::new(DoerKind::Person, "an"))),
                        None => asked.extend(traffic::jobs(n, before, moment.wall_ms, stay)),
                    }
                }
                ReplicaJob::Store(run) => {
                    stored.resize(asked.len(), None);
                    stored.push(Some(run.log.clone()));
                    asked.push(Job::Store(run));
                }
            }
        }
        stored.resize(asked.len(), None);
        let now = TransactionTime { wall_ms: moment.wall_ms, skew_ms: None, clock_wrong: false };
        let opened = match asked.as_slice() {
            [Job::Open(open)] => Some(open.plate.clone()),
            _ => None,
        };
        let tariff = match asked.as_slice() {
            [.., Job::PutTariff(tariff)] => Some(tariff.clone()),
            _ => None,
        };
        let processed = self.ledger.process(asked, now, moment.fresh_epoch);
        Decided { stored, asked: opened, tariff, evil, processed }
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

    /// One turn of folding what waits.
    fn settle(&mut self, wall_ms: i64, facts: usize) -> Result<usize, String> {
        let folded = self.ledger.settle(facts, TransactionTime { wall_ms, skew_ms: None, clock_wrong: false });
        folded.map_err(|error| format!("what waits cannot be folded: {error}"))
    }

    /// The facts of stays among the events held.
    fn facts(&mut self) -> Vec<Fact> {
        let storage = self.ledger.storage_mut();
        let put_off = |at: &EventRef| storage.quarantined.get(at).is_some_and(|reason| reason.starts_with(CLOCK_AHEAD));
        let places: Vec<EventRef> = storage.events.keys().filter(|at| !put_off(at)).cloned().collect();
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

    /// One transaction. Durable on return.
    ///
    /// # Errors
    /// What went wrong on a disk that is well.
    pub(super) fn commit(&mut self, moment: Moment, jobs: Vec<ReplicaJob>) -> Result<Vec<ReplicaOutcome>, String> {
        // Now and then there is time for a turn, so that a process dies with plates that wait and without.
        if moment.wall_ms % 3 == 0 {
            self.settle(moment.wall_ms, 20)?;
        }
        let Decided { stored, asked, tariff, evil, processed } = self.process(moment, jobs);
        if let (Some(tariff), Some(Ok(Answer::TariffSet { .. }))) = (&tariff, processed.outcomes.last())
            && *self.ledger.settings().tariff_at(moment.wall_ms).0 != *tariff
        {
            return Err("a tariff was set and is not in force".to_owned());
        }
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
                (Some(log), Err(Refusal::NotItsAuthor { reason, .. })) => {
                    outcomes.push(ReplicaOutcome::NotItsAuthor(log, reason.clone()));
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
        if moment.wall_ms % LOOKED_AT_EVERY_MS == 0 && self.ledger.behind().is_none() {
            self.is_as_facts_say().map_err(|what| format!("on the way: {what}"))?;
        }
        let own_log = self.ledger.own_log();
        outcomes.extend(processed.committed.into_iter().map(|run| match own_log {
            _ if evil.contains(&run.log) => ReplicaOutcome::Authored(run),
            Some(own_log) if *own_log == run.log => ReplicaOutcome::Authored(run),
            _ => ReplicaOutcome::Stored(run),
        }));
        Ok(outcomes)
    }

    /// One transaction whose disk fails, at its commit or after so many writes: nothing of it happens.
    ///
    /// # Errors
    /// What happened of it nevertheless.
    pub(super) fn fail(
        &mut self,
        moment: Moment,
        jobs: Vec<ReplicaJob>,
        after_writes: Option<u32>,
    ) -> Result<(), String> {
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

    /// The log this process writes; `None` before its first own event.
    pub(super) fn own_log(&self) -> Option<LogId> {
        self.ledger.own_log().cloned()
    }

    /// Never continues the log it writes.
    pub(super) fn start_new_epoch(&mut self) {
        self.ledger.start_new_epoch();
    }

    /// Whether this central is thrown out, as far as is known here; a person set up the others, `peers`.
    pub(super) fn turns_away(&self, central: &CentralId, peers: impl Iterator<Item = CentralId>) -> bool {
        let decisions: Vec<_> = self.ledger.settings().decisions().collect();
        let peers = peers.map(|peer| (peer.clone(), certificate_of(&peer))).collect();
        let trusted = Trusted { own: self.ledger.context().central.clone(), peers };
        let counts = in_force(&decisions, &trusted);
        counts.get(&certificate_of(central)).is_some_and(|it| it.said.standing == Standing::Expelled)
    }

    /// What a copy of the directory holds, for the process that will start on it.
    pub(super) fn copy(&self) -> Self {
        Self::open(self.ledger.storage().copy(), self.ledger.context().clone())
    }

    /// Where nothing waits, the history, the sums and who is inside are what the facts give, which is returned.
    ///
    /// # Errors
    /// How they differ.
    fn is_as_facts_say(&mut self) -> Result<Resolution, String> {
        let meant = resolve(&self.facts());
        let (held, rows) = (self.rows(), &meant.rows);
        if let Some((held, meant)) = held.iter().zip(rows).find(|(held, meant)| held != meant) {
            return Err(format!("the history has {held:?}, the facts give {meant:?}"));
        }
        if held.len() != rows.len() {
            return Err(format!("the history has {} rows, the facts give {}", held.len(), rows.len()));
        }
        money::is_of_facts(self.ledger.storage_mut(), &meant)?;
        let open = rows.iter().filter(|row| row.status == StayStatus::In);
        let open: BTreeMap<String, String> = open.map(|row| (row.plate_id.to_string(), row.stay_id.clone())).collect();
        if self.memory().2 != open {
            return Err(format!("{:?} are said to be inside, {open:?} are", self.memory().2));
        }
        Ok(meant)
    }

    /// What was made of the events held.
    ///
    /// # Errors
    /// How it differs from what the events mean.
    pub(super) fn meaning(&mut self) -> Result<Meaning, String> {
        while self.settle(0, 1_000)? > 0 {}
        let forged = |(_, (event, _)): &(&EventRef, &(EventBytes, ChainHash))| event.contains(FORGED);
        if let Some((at, _)) = self.ledger.storage().events.iter().find(forged) {
            return Err(format!("{at:?} is held, which whose log it is never wrote"));
        }
        let Resolution { rows, repeats, waiting, quarantined, .. } = self.is_as_facts_say()?;
        let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
        for row in &rows {
            *kinds.entry(row.status.name()).or_default() += 1;
            for anomaly in &row.anomalies {
                *kinds.entry(anomaly.name()).or_default() += 1;
            }
        }
        *kinds.entry("repeat").or_default() += repeats.len() as u64;
        *kinds.entry("told_late").or_default() +=
            self.facts().iter().filter(|fact| fact.event.told_ms().is_some()).count() as u64;
        let is_refitted = |row: &&StayRow| {
            row.exit.as_ref().is_some_and(|exit| exit.entry_unknown && !exit.manual) && !row.is_exit_alone()
        };
        *kinds.entry("entry_unknown").or_default() += rows.iter().filter(is_refitted).count() as u64;
        let announced = |(from_ms, _, version): (i64, Tariff, String)| format!("{from_ms} {version}");
        let announced: Vec<String> = self.ledger.settings().announced(0).map(announced).collect();
        *kinds.entry("announced").or_default() += announced.len() as u64;
        let shifts = money::meaning(self.ledger.storage_mut(), &mut kinds)?;
        let digest = self.ledger.digest();
        let totals = &self.ledger.storage().totals;
        let words = format!(
            "digest {digest}, {kinds:?}, waiting {waiting:?}, quarantined {quarantined:?}, announced {announced:?}, sums {totals:?}{shifts}"
        );
        Ok(Meaning { words, kinds })
    }

    /// Events after `after`: at least one if there is any, then as many as fit into `max_bytes`.
    pub(super) fn read(&self, log: &LogId, after: u64, max_bytes: usize) -> Option<Run> {
        let from = EventRef { log: log.clone(), seq: after + 1 };
        let to = EventRef { log: log.clone(), seq: u64::MAX };
        let after = Head { to: after, hash: self.hash_at(log, after)? };
        run_of(log, after, self.ledger.storage().events.range(from..=to).map(|(_, held)| held), max_bytes)
    }

    pub(super) fn heads(&self) -> Have {
        self.ledger.heads().map(|(log, head)| (log.clone(), *head)).collect()
    }

    /// The chain hash after `to` events, if that many are held.
    pub(super) fn hash_at(&self, log: &LogId, to: u64) -> Option<ChainHash> {
        if to == 0 {
            return Some(Head::empty(log).hash);
        }
        self.ledger.storage().events.get(&EventRef { log: log.clone(), seq: to }).map(|(_, hash)| *hash)
    }

    /// The process died; its disk forgot the last transactions.
    ///
    /// # Errors
    /// It cannot start again.
    pub(super) fn restart(&mut self, lost_commits: usize) -> Result<(), String> {
        let storage = self.ledger.storage_mut();
        storage.crash();
        storage.lose_last_commits(lost_commits);
        self.ledger.reopen().map_err(|error| error.to_string())
    }
}

/// The events that follow `after`, as many as fit; one always. `None`: none follows.
fn run_of<'e>(
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
