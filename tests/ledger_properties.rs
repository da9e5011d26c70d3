//! The ledger against `resolve`: whatever gates do, in whatever order runs arrive, whichever writes fail, every central
//! that holds the same events has the same history, and it is the one `resolve` makes of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use parkmesh::domain::direction::Direction;
use parkmesh::domain::event::{Body, Event};
use parkmesh::domain::ids::{CentralId, Epoch, LogId};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::plate::PlateId;
use parkmesh::domain::row::{StayRow, StayStatus};
use parkmesh::domain::stay::{Fact, resolve};
use parkmesh::domain::tariff::Tariff;
use parkmesh::domain::time::SiteZone;
use parkmesh::ledger::digest::Digest;
use parkmesh::ledger::job::{Answer, CloseBarrier, Job, OpenBarrier, Refusal};
use parkmesh::ledger::memory::MemoryStorage;
use parkmesh::ledger::storage::EventRef;
use parkmesh::ledger::transaction::Now;
use parkmesh::ledger::{Context, Ledger, Processed};
use parkmesh::replication::log::{Head, Run};
use proptest::prelude::*;

const START_MS: i64 = 1_733_140_800_000;
const CENTRALS: usize = 3;

struct Central {
    ledger: Ledger<MemoryStorage>,
    clock_offset_ms: i64,
    epochs: u64,
    index: u64,
}

impl Central {
    fn new(index: u64, clock_offset_ms: i64) -> Self {
        let central = CentralId::new(&format!("central-{}", index + 1)).unwrap();
        let context = Context { central, zone: SiteZone::default() };
        Self { ledger: Ledger::open(MemoryStorage::default(), context).unwrap(), clock_offset_ms, epochs: 0, index }
    }

    fn process(&mut self, now_ms: i64, jobs: Vec<Job>) -> Processed {
        self.epochs += 1;
        let epoch = Epoch((self.index << 32) | self.epochs);
        let now = Now { wall_ms: now_ms + self.clock_offset_ms, skew_ms: None };
        self.ledger.process(jobs, now, epoch)
    }

    fn restart(self) -> Self {
        let context = self.ledger.context().clone();
        let mut storage = self.ledger.into_storage();
        storage.crash();
        Self {
            ledger: Ledger::open(storage, context).unwrap(),
            clock_offset_ms: self.clock_offset_ms,
            epochs: self.epochs,
            index: self.index,
        }
    }

    fn heads(&self) -> BTreeMap<LogId, Head> {
        self.ledger.heads().map(|(log, head)| (log.clone(), *head)).collect()
    }

    /// The run after what is held elsewhere, at most `most` events.
    fn run_after(&mut self, log: &LogId, after: Head, most: usize) -> Run {
        let first = EventRef { log: log.clone(), seq: after.to + 1 };
        let last = EventRef { log: log.clone(), seq: u64::MAX };
        let events = &self.ledger.storage_mut().events;
        let slice: Vec<_> = events.range(first..=last).take(most).map(|(_, value)| value.clone()).collect();
        let hash = slice.last().unwrap().1;
        let events = slice.into_iter().map(|(bytes, _)| bytes).collect();
        Run { log: log.clone(), after: after.to, prev: after.hash, events, hash }
    }

    fn rows(&mut self) -> Vec<StayRow> {
        let mut rows: Vec<StayRow> = self.ledger.storage_mut().stays.values().map(|stay| stay.row.clone()).collect();
        rows.sort_by(|a, b| a.stay_id.cmp(&b.stay_id));
        rows
    }

    fn facts(&mut self) -> Vec<Fact> {
        let events = self.ledger.storage_mut().events.values();
        let parsed = events.map(|(bytes, _)| Event::parse(bytes).unwrap());
        let about_stays = parsed.filter(|event| !matches!(event.body, Body::Tariff(_) | Body::Subscription(_)));
        about_stays.map(|event| Fact { id: event.fact_id(), event: event.into() }).collect()
    }
}

#[derive(Debug, Clone)]
enum Action {
    Ask { at: usize, job: Job },
    Deliver { from: usize, to: usize, most: usize },
    Wait { ms: i64 },
    FailingWrite { at: usize, after: u32, on_commit: bool },
    Restart { at: usize },
}

fn plate(number: u8) -> PlateId {
    PlateId::parse(&format!("29A1234{number}")).unwrap()
}

fn open_barrier() -> impl Strategy<Value = Job> {
    let direction = prop_oneof![Just(None), Just(Some(Direction::Entry)), Just(Some(Direction::Exit))];
    let request = prop::option::weighted(0.3, 0..3_u8);
    let fee = prop::option::weighted(0.3, 0..3_i64);
    (0..2_u8, 0..3_u8, direction, prop::bool::weighted(0.3), request, fee).prop_map(
        |(edge, number, direction, force, request, fee)| {
            Job::Open(OpenBarrier {
                edge_id: format!("edge-{edge}"),
                plate: plate(number),
                plate_view: None,
                direction,
                camera_type: "car".into(),
                confidence: Some(0.95),
                request_id: request.map(|id| format!("r{id}")),
                force,
                fee: fee.filter(|_| force).map(|n| Vnd(n * 10_000)),
            })
        },
    )
}

fn job() -> impl Strategy<Value = Job> {
    let close = (0..2_u8, 0..3_u8).prop_map(|(edge, number)| {
        Job::Close(CloseBarrier { edge_id: format!("edge-{edge}"), plate: Some(plate(number)), event_id: None })
    });
    let tariff = (1..4_i64).prop_map(|price| {
        let mut tariff = Tariff::default();
        tariff.base.fee_per_hour = Vnd(price * 1_000);
        Job::PutTariff(tariff)
    });
    prop_oneof![10 => open_barrier(), 2 => close, 1 => tariff]
}

fn action() -> impl Strategy<Value = Action> {
    let at = 0..CENTRALS;
    prop_oneof![
        12 => (at.clone(), job()).prop_map(|(at, job)| Action::Ask { at, job }),
        8 => (at.clone(), at.clone(), 1..4_usize).prop_map(|(from, to, most)| Action::Deliver { from, to, most }),
        4 => prop_oneof![Just(1_i64), Just(11_000), Just(3_600_000)].prop_map(|ms| Action::Wait { ms }),
        1 => (at.clone(), 0..6_u32, any::<bool>())
            .prop_map(|(at, after, on_commit)| Action::FailingWrite { at, after, on_commit }),
        1 => at.prop_map(|at| Action::Restart { at }),
    ]
}

/// Sends one run of a log that `to` does not fully hold. Returns whether there was one.
fn deliver(centrals: &mut [Central], now_ms: i64, from: usize, to: usize, most: usize) -> bool {
    if from == to {
        return false;
    }
    let wanted = centrals[to].heads();
    let is_ahead = |(log, head): &(LogId, Head)| wanted.get(log).is_none_or(|held| held.to < head.to);
    let Some((log, _)) = centrals[from].heads().into_iter().find(is_ahead) else { return false };
    let held = wanted.get(&log).copied().unwrap_or_else(|| Head::empty(&log));
    let run = centrals[from].run_after(&log, held, most);
    let end = run.head();
    let done = centrals[to].process(now_ms, vec![Job::Store(run)]);
    match &done.outcomes[0] {
        Ok(Answer::Stored { head, .. }) => assert_eq!(*head, end),
        Err(Refusal::NotDurable(_)) => {}
        other => panic!("unexpected {other:?}"),
    }
    true
}

/// What must hold at every central at every moment.
fn check(central: &mut Central) {
    let rows = central.rows();
    let resolution = resolve(&central.facts());
    assert_eq!(rows, resolution.rows, "the history is what resolve makes of the facts");

    let revenue: i64 = resolution.takings.iter().map(|taking| taking.fee.0).sum();
    let came_in = |row: &&StayRow| {
        !row.is_exit_alone() && matches!(row.status, StayStatus::In | StayStatus::Out | StayStatus::LeftUnseen)
    };
    let totals: Vec<_> = central.ledger.storage_mut().totals.values().copied().collect();
    assert_eq!(totals.iter().map(|total| total.revenue_vnd).sum::<i64>(), revenue);
    let entries = i64::try_from(rows.iter().filter(came_in).count()).unwrap();
    assert_eq!(totals.iter().map(|total| total.entries).sum::<i64>(), entries);

    let remembered = central.ledger.inside().map(|(plate, open)| (plate.clone(), open.stay_id.to_string()));
    let stored = rows.iter().filter(|row| row.status == StayStatus::In);
    let stored: BTreeMap<_, _> = stored.map(|row| (row.plate_id.clone(), row.stay_id.clone())).collect();
    assert_eq!(remembered.collect::<BTreeMap<_, _>>(), stored, "memory is what the disk holds");
}

fn play(actions: Vec<Action>, offsets_ms: [i64; CENTRALS]) {
    let mut centrals: Vec<Central> = (0..).zip(offsets_ms).map(|(index, offset)| Central::new(index, offset)).collect();
    let mut now_ms = START_MS;
    for action in actions {
        now_ms += 3;
        match action {
            Action::Ask { at, job } => {
                let before = centrals[at].heads();
                let done = centrals[at].process(now_ms, vec![job]);
                if done.outcomes[0].is_err() {
                    assert_eq!(centrals[at].heads(), before, "a refusal or a failed commit leaves nothing");
                }
            }
            Action::Deliver { from, to, most } => {
                deliver(&mut centrals, now_ms, from, to, most);
            }
            Action::Wait { ms } => now_ms += ms,
            Action::FailingWrite { at, after, on_commit } => {
                let storage = centrals[at].ledger.storage_mut();
                storage.fail_next_commit = on_commit;
                storage.writes_until_failure = (!on_commit).then_some(after);
            }
            Action::Restart { at } => {
                let central = centrals.remove(at);
                centrals.insert(at, central.restart());
            }
        }
        centrals.iter_mut().for_each(check);
    }
    heal(&mut centrals, now_ms);
    let (heads, rows, digest) = (centrals[0].heads(), centrals[0].rows(), centrals[0].ledger.digest());
    let totals = centrals[0].ledger.storage_mut().totals.clone();
    for central in &mut centrals {
        check(central);
        assert_eq!(central.heads(), heads);
        assert_eq!(central.rows(), rows);
        assert_eq!(central.ledger.digest(), digest);
        assert_eq!(central.ledger.storage_mut().totals, totals);
        rebuild(central, now_ms);
        assert_eq!(central.ledger.digest(), digest, "a rebuilt projection is the same");
        assert_eq!(central.ledger.storage_mut().totals, totals);
        check(central);
    }
}

/// Everything reaches everyone.
fn heal(centrals: &mut [Central], now_ms: i64) {
    for central in &mut *centrals {
        let storage = central.ledger.storage_mut();
        storage.writes_until_failure = None;
        storage.fail_next_commit = false;
    }
    let pairs: Vec<(usize, usize)> = (0..CENTRALS).flat_map(|from| (0..CENTRALS).map(move |to| (from, to))).collect();
    while pairs.iter().filter(|(from, to)| deliver(centrals, now_ms, *from, *to, 2)).count() > 0 {}
}

fn rebuild(central: &mut Central, now_ms: i64) {
    central.ledger.clear_projection().unwrap();
    assert_eq!(central.ledger.digest(), Digest::default());
    let events = central.ledger.storage_mut().events.iter();
    let events: Vec<_> = events.map(|(at, (bytes, _))| (at.clone(), bytes.clone())).collect();
    for batch in events.chunks(3) {
        central.ledger.replay(batch, Now { wall_ms: now_ms, skew_ms: None }).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn centrals_that_hold_the_same_events_have_the_same_history(actions in prop::collection::vec(action(), 1..60)) {
        play(actions, [0, 0, 0]);
    }

    #[test]
    fn clocks_hours_apart_change_nothing_about_that(actions in prop::collection::vec(action(), 1..60)) {
        play(actions, [0, 3 * 3_600_000, -2 * 3_600_000]);
    }
}
