//! Centrals in memory for tests of the ledger: clocks that can be wrong, disks that can fail, runs from one to another.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "shared by test programs of which none uses everything; a test fails by panicking"
)]

pub mod check;
pub mod say;

use std::collections::{BTreeMap, BTreeSet};

use parkmesh::domain::direction::Direction;
use parkmesh::domain::event::Event;
use parkmesh::domain::ids::{CentralId, Epoch, LogId};
use parkmesh::domain::plate::PlateId;
use parkmesh::domain::row::StayRow;
use parkmesh::domain::stay::Fact;
use parkmesh::domain::time::SiteZone;
use parkmesh::ledger::job::{Answer, Beside, CloseBarrier, CorrectStay, Job, OpenBarrier, Refusal, VoidStay};
use parkmesh::ledger::memory::MemoryStorage;
use parkmesh::ledger::storage::EventRef;
use parkmesh::ledger::transaction::TransactionTime;
use parkmesh::ledger::{Context, Ledger, Processed};
use parkmesh::replication::log::{Head, Run};

/// 2024-12-02 19:00:00 at the site.
pub const START_MS: i64 = 1_733_140_800_000;
pub const SECOND_MS: i64 = 1_000;
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

pub const P: &str = "29A12345";
pub const Q: &str = "30B54321";

pub fn plate(text: &str) -> PlateId {
    PlateId::parse(text).unwrap()
}

/// An open barrier pressed by hand, nothing said but who and where.
pub fn open(edge: &str, plate_text: &str) -> OpenBarrier {
    OpenBarrier {
        edge_id: edge.to_owned(),
        plate: plate(plate_text),
        plate_view: None,
        direction: None,
        camera_type: "car".to_owned(),
        confidence: Some(0.95),
        request_id: None,
        force: false,
        reason: None,
        fee: None,
        notes: Vec::new(),
        beside: Beside::default(),
    }
}

pub fn entry(edge: &str, plate_text: &str) -> OpenBarrier {
    OpenBarrier { direction: Some(Direction::Entry), ..open(edge, plate_text) }
}

pub fn exit(edge: &str, plate_text: &str) -> OpenBarrier {
    OpenBarrier { direction: Some(Direction::Exit), ..open(edge, plate_text) }
}

pub fn forced(request: OpenBarrier) -> OpenBarrier {
    OpenBarrier { force: true, ..request }
}

pub fn requested(id: &str, request: OpenBarrier) -> OpenBarrier {
    OpenBarrier { request_id: Some(id.to_owned()), ..request }
}

pub fn close(edge: &str, plate_text: &str) -> Job {
    Job::Close(CloseBarrier {
        edge_id: edge.to_owned(),
        plate: Some(plate(plate_text)),
        event_id: None,
        only_own: false,
    })
}

pub fn close_stay(edge: &str, stay_id: &str) -> Job {
    Job::Close(CloseBarrier {
        edge_id: edge.to_owned(),
        plate: None,
        event_id: Some(stay_id.to_owned()),
        only_own: false,
    })
}

/// A correction to another plate, the view made by us.
pub fn correct(stay_id: &str, plate_text: &str) -> Job {
    Job::Correct(CorrectStay {
        stay_id: stay_id.to_owned(),
        plate: Some(plate(plate_text)),
        reason: "misread".to_owned(),
        ..CorrectStay::default()
    })
}

pub fn void(stay_id: &str) -> Job {
    Job::Void(VoidStay { stay_id: stay_id.to_owned(), reason: "did not happen".to_owned() })
}

/// One central on a disk in memory, at a time of its own.
pub struct Central {
    pub ledger: Ledger<MemoryStorage>,
    /// Its wall clock before the one of the test, in ms.
    pub clock_offset_ms: i64,
    /// Its clock before those of the others, as it believes.
    pub skew_ms: Option<i64>,
    /// Its clock is known to be behind.
    pub clock_wrong: bool,
    pub now_ms: i64,
    epochs: u64,
    index: u64,
}

impl Central {
    /// `central-{index + 1}`.
    pub fn new(index: u64) -> Self {
        let central = CentralId::new(&format!("central-{}", index + 1)).unwrap();
        let context = Context { central, zone: SiteZone::default() };
        let ledger = Ledger::open(MemoryStorage::default(), context).unwrap();
        Self { ledger, clock_offset_ms: 0, skew_ms: None, clock_wrong: false, now_ms: START_MS, epochs: 0, index }
    }

    pub fn wall_ms(&self) -> i64 {
        self.now_ms + self.clock_offset_ms
    }

    pub fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
    }

    pub fn process(&mut self, jobs: Vec<Job>) -> Processed {
        self.epochs += 1;
        let epoch = Epoch((self.index << 32) | self.epochs);
        let now = TransactionTime { wall_ms: self.wall_ms(), skew_ms: self.skew_ms, clock_wrong: self.clock_wrong };
        self.ledger.process(jobs, now, epoch)
    }

    pub fn ask(&mut self, job: Job) -> Result<Answer, Refusal> {
        self.process(vec![job]).outcomes.remove(0)
    }

    pub fn press(&mut self, request: OpenBarrier) -> Result<Answer, Refusal> {
        self.ask(Job::Open(request))
    }

    /// The stay id of an entry that has to be a new one.
    pub fn enters(&mut self, request: OpenBarrier) -> String {
        match self.press(request).unwrap() {
            Answer::Entered { event_id, repeated: false, .. } => event_id,
            other => panic!("no new entry: {other:?}"),
        }
    }

    /// Stay id, fee and duration of an exit that has to be a new one.
    pub fn exits(&mut self, request: OpenBarrier) -> (String, i64, String) {
        match self.press(request).unwrap() {
            Answer::Exited { event_id, fee, duration, repeated: false, .. } => (event_id, fee.0, duration),
            other => panic!("no new exit: {other:?}"),
        }
    }

    /// The process is killed and started again on the same disk.
    pub fn restart(self) -> Self {
        let context = self.ledger.context().clone();
        let mut storage = self.ledger.into_storage();
        storage.crash();
        let Self { clock_offset_ms, skew_ms, clock_wrong, now_ms, epochs, index, .. } = self;
        let ledger = Ledger::open(storage, context).unwrap();
        Self { ledger, clock_offset_ms, skew_ms, clock_wrong, now_ms, epochs, index }
    }

    pub fn heads(&self) -> BTreeMap<LogId, Head> {
        self.ledger.heads().map(|(log, head)| (log.clone(), *head)).collect()
    }

    /// The run after what is held elsewhere, at most `most` events.
    pub fn run_after(&mut self, log: &LogId, after: Head, most: usize) -> Run {
        let first = EventRef { log: log.clone(), seq: after.to + 1 };
        let last = EventRef { log: log.clone(), seq: u64::MAX };
        let events = &self.ledger.storage_mut().events;
        let slice: Vec<_> = events.range(first..=last).take(most).map(|(_, value)| value.clone()).collect();
        let hash = slice.last().unwrap().1;
        let events = slice.into_iter().map(|(bytes, _)| bytes).collect();
        Run { log: log.clone(), after: after.to, prev: after.hash, events, hash }
    }

    /// Takes from another everything it does not hold.
    pub fn hear(&mut self, other: &mut Central) {
        for (log, head) in other.heads() {
            let held = self.ledger.heads().find(|(known, _)| **known == log).map(|(_, head)| *head);
            let held = held.unwrap_or_else(|| Head::empty(&log));
            if held.to < head.to {
                let run = other.run_after(&log, held, usize::MAX);
                assert_eq!(self.ask(Job::Store(run)), Ok(Answer::Stored { log, head }));
            }
        }
        self.settle();
    }

    /// The history, by stay id.
    pub fn rows(&mut self) -> Vec<StayRow> {
        let mut rows: Vec<StayRow> = self.ledger.storage_mut().stays.values().map(|stay| stay.row.clone()).collect();
        rows.sort_by(|a, b| a.stay_id.cmp(&b.stay_id));
        rows
    }

    pub fn row(&mut self, stay_id: &str) -> StayRow {
        self.rows().into_iter().find(|row| row.stay_id == stay_id).unwrap()
    }

    /// The facts of stays that lie where they say they do.
    pub fn facts(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (at, (bytes, _)) in &self.ledger.storage_mut().events {
            let Ok(event) = Event::parse(bytes) else { continue };
            if event.log == at.log && event.seq == at.seq && event.is_of_a_stay() {
                facts.push(Fact { id: event.fact_id(), event: event.into() });
            }
        }
        facts
    }

    /// The facts of stays that do not wait to be folded.
    pub fn applied(&mut self) -> Vec<Fact> {
        let waiting: BTreeSet<EventRef> = self.ledger.storage().dirty.keys().cloned().collect();
        let at = |fact: &Fact| EventRef { log: fact.event.log.clone(), seq: fact.event.seq };
        self.facts().into_iter().filter(|fact| !waiting.contains(&at(fact))).collect()
    }

    /// Folds all that waits, a little at a time.
    pub fn settle(&mut self) {
        let now = TransactionTime { wall_ms: self.wall_ms(), skew_ms: None, clock_wrong: false };
        while self.ledger.settle(3, now).unwrap() > 0 {}
        assert_eq!(self.ledger.behind(), None);
    }

    /// The last event of the own log.
    pub fn last_event(&mut self) -> Event {
        let log = self.ledger.own_log().cloned().unwrap();
        let (_, (bytes, _)) = self.ledger.storage_mut().events.iter().rfind(|(at, _)| at.log == log).unwrap();
        Event::parse(bytes).unwrap()
    }

    /// Drops the history and makes it anew from the events, some at a time.
    pub fn rebuild(&mut self, at_a_time: usize) {
        self.ledger.clear_projection().unwrap();
        let events = self.ledger.storage_mut().events.iter();
        let events: Vec<_> = events.map(|(at, (bytes, _))| (at.clone(), bytes.clone())).collect();
        for batch in events.chunks(at_a_time) {
            self.ledger
                .replay(batch, TransactionTime { wall_ms: self.wall_ms(), skew_ms: None, clock_wrong: false })
                .unwrap();
        }
        self.settle();
    }
}
