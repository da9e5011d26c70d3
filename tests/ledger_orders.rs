//! In whatever order the events of a site arrive, and however they are spread over logs, the history is the same.
//!
//! A site is played from a seed: three centrals at which people press, force, correct, remove and hand over, and gates tell what they kept
//! for up to days, of three cars that come and go all the time, and a fourth central whose clock is hours off. What it wrote is then spread over fewer and more logs, up to one for each event, and handed
//! to new centrals in random orders, with folding and restarts in between. All have to come to the same rows, sums, sheets and
//! digest, which are those `resolve` makes of the events.
//!
//! A failure says its seed. `ORDERS=1000..9000 cargo test --test ledger_orders` plays others, and more of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod ledger_support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ledger_support::check::check;
use ledger_support::say::{self, Scribe};
use ledger_support::{Central, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, close, entry, exit, forced, open, plate, void};
use parkmesh::domain::direction::Direction;
use parkmesh::domain::doer::{Doer, DoerKind};
use parkmesh::domain::event::Draft;
use parkmesh::domain::ids::{Epoch, FactId, LogId};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::{Method, PaidToo};
use parkmesh::domain::row::{StayRow, StayStatus};
use parkmesh::domain::stay::Taking;
use parkmesh::domain::tariff::Tariff;
use parkmesh::domain::told::payment::ToldPaid;
use parkmesh::ledger::digest::Digest;
use parkmesh::ledger::job::{
    Beside, CloseShift, CorrectStay, Job, OpenBarrier, OpenShift, Report, Told, UnreadOpening,
};
use parkmesh::ledger::sheet;
use parkmesh::ledger::storage::{TotalChange, TotalKey};
use parkmesh::ledger::transaction::TransactionTime;
use parkmesh::replication::backoff::SplitMix64;
use parkmesh::replication::log::EventBytes;

const SITES: Range<u64> = 0..100;
const CENTRALS: usize = 3;
const MOST_STEPS: u64 = 60;
/// So often what one site wrote is spread over logs, and so often each spread arrives.
const SPREADS: usize = 2;
const ORDERS: usize = 3;
const PLATES: [&str; 3] = ["29A12345", "30B54321", "31C11111"];

/// Says which seed failed.
struct Playing(u64);

impl Drop for Playing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again: ORDERS={}..{} cargo test --test ledger_orders", self.0, self.0 + 1);
        }
    }
}

#[test]
fn the_events_of_a_site_give_the_same_history_in_every_order_and_spread_over_any_logs() {
    let seeds = std::env::var("ORDERS").map_or(SITES, |range| {
        let (from, to) = range.split_once("..").unwrap();
        from.parse().unwrap()..to.parse().unwrap()
    });
    for seed in seeds {
        let _playing = Playing(seed);
        let mut dice = SplitMix64::new(seed);
        let (events, end_ms) = written(&mut dice);
        for _ in 0..SPREADS {
            let logs = spread(&events, &mut dice);
            let first = arrive(&logs, end_ms, &mut dice);
            for _ in 1..ORDERS {
                let other = arrive(&logs, end_ms, &mut dice);
                assert!(first == other, "{first:#?}\nis not\n{other:#?}");
            }
        }
    }
}

fn one_of<T: Clone>(of: &[T], dice: &mut SplitMix64) -> T {
    of[usize::try_from(dice.below(of.len() as u64)).unwrap()].clone()
}

/// What a site wrote, each event with the central whose log it is of, and when it ended.
fn written(dice: &mut SplitMix64) -> (Vec<(FactId, EventBytes)>, i64) {
    let mut centrals: Vec<Central> = (0..CENTRALS as u64).map(Central::new).collect();
    if dice.below(3) == 0 {
        (centrals[1].clock_offset_ms, centrals[2].clock_offset_ms) = (3 * HOUR_MS, -2 * HOUR_MS);
    }
    let mut scribe = Scribe::new("central-9", 9);
    for _ in 0..MOST_STEPS / 2 + dice.below(MOST_STEPS / 2) {
        let wait_ms = one_of(&[1, 700, 2 * SECOND_MS, 20 * SECOND_MS, 4 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS], dice);
        centrals.iter_mut().for_each(|central| central.wait(wait_ms));
        let at = usize::try_from(dice.below(CENTRALS as u64)).unwrap();
        if dice.below(4) == 0 {
            let draft = said(&mut centrals[at], dice);
            scribe.say(&draft);
        } else if dice.below(6) == 0 {
            let held = centrals[at].heads().get(&scribe.log).map_or(0, |head| head.to);
            if held < scribe.head().to {
                centrals[at].ask(Job::Store(scribe.run(held, usize::MAX))).unwrap();
            }
        } else if dice.below(5) == 0 {
            let mut told = centrals.remove(at);
            centrals[usize::try_from(dice.below(CENTRALS as u64 - 1)).unwrap()].hear(&mut told);
            centrals.insert(at, told);
        } else {
            let job = job(&mut centrals[at], dice);
            let job = match dice.below(3) {
                0 => job,
                1 => job.by(Doer::new(DoerKind::Person, "an")),
                _ => job.by(Doer::new(DoerKind::Person, "binh")),
            };
            // Some are refused.
            drop(centrals[at].ask(job));
        }
    }
    let end_ms = centrals[0].now_ms;
    if scribe.head().to > 0 {
        let held = centrals[0].heads().get(&scribe.log).map_or(0, |head| head.to);
        if held < scribe.head().to {
            centrals[0].ask(Job::Store(scribe.run(held, usize::MAX))).unwrap();
        }
    }
    let mut events = BTreeMap::new();
    for central in &mut centrals {
        for (at, (bytes, _)) in &central.ledger.storage_mut().events {
            events.insert(FactId::Authored { log: at.log.clone(), seq: at.seq }, bytes.clone());
        }
    }
    (events.into_iter().collect(), end_ms)
}

/// What somebody wants at a central.
fn job(central: &mut Central, dice: &mut SplitMix64) -> Job {
    let edge = format!("edge-{}", dice.below(3));
    let car = one_of(&PLATES, dice);
    let fee = Vnd(i64::try_from(dice.below(4)).unwrap() * 10_000);
    let method = one_of(&[Method::Cash, Method::Qr, Method::Transfer], dice);
    let amount = (dice.below(4) == 0).then_some(Vnd(5_000));
    let too = PaidToo { method: Method::Card, amount: Vnd(3_000), reference: None };
    let also = if dice.below(3) == 0 { vec![too] } else { Vec::new() };
    let paid = ToldPaid { amount, also, ..ToldPaid::by(method) };
    let beside = Beside { paid: (dice.below(3) == 0).then_some(paid.clone()), ..Beside::default() };
    let asked = |request: OpenBarrier, dice: &mut SplitMix64| {
        let request_id = (dice.below(4) == 0).then(|| format!("r{}", dice.below(3)));
        Job::Open(OpenBarrier { beside: beside.clone(), request_id, ..request })
    };
    let rows = central.rows();
    let row = (!rows.is_empty()).then(|| one_of(&rows, dice));
    match (dice.below(30), row) {
        (0..=2, _) => asked(open(&edge, car), dice),
        (3..=4, _) => asked(entry(&edge, car), dice),
        (5..=6, _) => asked(exit(&edge, car), dice),
        (7, _) => asked(forced(entry(&edge, car)), dice),
        (8, _) => asked(OpenBarrier { fee: Some(fee), ..forced(exit(&edge, car)) }, dice),
        (9, _) => close(&edge, car),
        (10, Some(row)) => correct(row, |said| said.plate = Some(plate(car))),
        (11, Some(row)) if row.status == StayStatus::Void => correct(row, |said| said.restore = true),
        (11, Some(row)) => void(&row.stay_id),
        (12, Some(row)) => correct(row, |said| said.fee = Some(fee)),
        (13, Some(row)) => correct(row, |said| said.exit_plate = Some(plate(car))),
        (14, Some(row)) => correct(row, |said| said.paid = Some(paid)),
        (15, Some(row)) => correct(row, |said| said.camera_type = Some("moto".to_owned())),
        (16, _) => shift(central, &edge),
        (17, _) => {
            let mut tariff = Tariff::default();
            tariff.base.fee_per_hour = Vnd(fee.0 / 2 + 1_000);
            Job::PutTariff(tariff)
        }
        (18, _) => opening(central, edge, fee, dice),
        (19, _) => heard(central, car, fee, dice),
        _ => Job::Report(report(central, edge, car, fee, dice)),
    }
}

/// What a central whose clock is hours off says of stays it has heard of, or begins.
fn said(central: &mut Central, dice: &mut SplitMix64) -> Draft {
    let ms = central.now_ms - i64::try_from(dice.below(4 * HOUR_MS.unsigned_abs())).unwrap();
    let ms = if dice.below(2) == 0 { ms.div_euclid(MINUTE_MS) * MINUTE_MS } else { ms };
    let rows = central.rows();
    let known = (!rows.is_empty()).then(|| one_of(&rows, dice));
    let stay = match known {
        Some(row) if dice.below(3) > 0 => row.stay_id,
        _ => format!("S{}", dice.below(4)),
    };
    let (car, fee) = (one_of(&PLATES, dice), i64::try_from(dice.below(4)).unwrap() * 10_000);
    let told = |draft| {
        say::change_exit(draft, |exit| {
            exit.told = true;
            exit.force = false;
            exit.requested_fee = None;
        })
    };
    match dice.below(6) {
        0..=1 => say::entry(ms, &format!("S{}", dice.below(4)), car),
        2 => say::exit(ms, &stay, car, fee),
        3 => told(say::exit(ms, &stay, car, fee)),
        4 => told(say::exit_unknown(ms, &format!("X{}", dice.below(4)), car, fee)),
        _ => say::correction(ms, &stay, Some(car)),
    }
}

fn correct(row: StayRow, change: impl FnOnce(&mut CorrectStay)) -> Job {
    let mut said = CorrectStay { stay_id: row.stay_id, reason: "seen".to_owned(), ..CorrectStay::default() };
    change(&mut said);
    Job::Correct(said)
}

/// What a gate kept for up to days, in whole minutes, so that some of it is of the same moment.
fn report(central: &Central, edge_id: String, car: &str, fee: Vnd, dice: &mut SplitMix64) -> Report {
    let kept_ms = one_of(&[10 * MINUTE_MS, 5 * HOUR_MS, 5 * HOUR_MS, 3 * DAY_MS], dice);
    let ago_ms = i64::try_from(dice.below(kept_ms.unsigned_abs())).unwrap();
    let told_ms = (central.wall_ms() - ago_ms).div_euclid(MINUTE_MS) * MINUTE_MS;
    Report {
        edge_id,
        direction: one_of(&[Direction::Entry, Direction::Exit], dice),
        plate: plate(car),
        plate_view: None,
        camera_type: one_of(&["car", "", "moto"], dice).to_owned(),
        confidence: None,
        request_id: (dice.below(3) == 0).then(|| format!("r{}", dice.below(3))),
        told_ms: (dice.below(5) > 0).then_some(told_ms),
        fee: (dice.below(2) == 0).then_some(fee),
        seen_inside: false,
        beside: Beside::default(),
        notes: Vec::new(),
        doubts: BTreeSet::new(),
    }
}

/// An opening for a car that could not be read, or which car it was.
fn opening(central: &mut Central, edge_id: String, fee: Vnd, dice: &mut SplitMix64) -> Job {
    let kept: Vec<String> =
        central.ledger.storage_mut().quarantined.keys().map(|at| format!("{}/{}", at.log, at.seq)).collect();
    if !kept.is_empty() && dice.below(2) == 0 {
        let (stay_id, plate) = (one_of(&kept, dice), plate(one_of(&PLATES, dice)));
        let reason = "in the picture".to_owned();
        return Job::Correct(CorrectStay { stay_id, plate: Some(plate), reason, ..CorrectStay::default() });
    }
    Job::Unread(UnreadOpening {
        edge_id,
        direction: one_of(&[Direction::Entry, Direction::Exit], dice),
        text: String::new(),
        camera_type: "car".to_owned(),
        request_id: None,
        told_ms: None,
        fee: Some(fee),
        beside: Beside::default(),
        force: dice.below(2) == 0,
        reason: None,
        notes: Vec::new(),
    })
}

/// A shift is opened, or closed if one is open.
fn shift(central: &Central, edge: &str) -> Job {
    let here = central.ledger.context().central.as_str();
    let at_edge = |shift: &&parkmesh::ledger::storage::Shift| shift.central == here && shift.edge_id == edge;
    let last = central.ledger.storage().shifts.values().filter(at_edge).max_by_key(|shift| shift.from_ms);
    match last.filter(|last| last.closed.is_none()) {
        Some(open) => Job::CloseShift(CloseShift {
            id: open.id.clone(),
            counted_cash: Vnd(0),
            note: None,
            may_close_others: true,
        }),
        None => Job::OpenShift(OpenShift { edge_id: edge.to_owned(), opening_cash: Vnd(0) }),
    }
}

/// A predecessor tells that a car came in or left, some exits by plate.
fn heard(central: &Central, car: &str, fee: Vnd, dice: &mut SplitMix64) -> Job {
    let ms = central.wall_ms() - i64::try_from(dice.below(5 * HOUR_MS.unsigned_abs())).unwrap();
    let stay = format!("old-central_{}_{car}", dice.below(3));
    let draft = match dice.below(3) {
        0 => say::entry(ms, &stay, car),
        1 => say::exit(ms, &stay, car, fee.0),
        _ => say::exit(ms, &format!("old-central_{ms}_{car}"), car, fee.0),
    };
    Job::Hear(vec![Told { draft, source_central: "old-central".to_owned(), from: "old-central".to_owned() }])
}

/// The same events in other logs: their places are other ones, and whatever names them names those. Whose log it is stays.
fn spread(events: &[(FactId, EventBytes)], dice: &mut SplitMix64) -> Vec<Scribe> {
    // How many of each central.
    let many = one_of(&[1, 2, 3, events.len() as u64], dice);
    let mut logs: BTreeMap<LogId, Scribe> = BTreeMap::new();
    let mut places: Vec<(usize, FactId, LogId)> = Vec::new();
    let mut order: Vec<usize> = (0..events.len()).collect();
    shuffle(&mut order, dice);
    for index in order {
        let FactId::Authored { log, .. } = &events[index].0 else { unreachable!("it lies there") };
        let epoch = Epoch(0xe000 + dice.below(many));
        let new = LogId { central: log.central.clone(), epoch };
        logs.entry(new.clone()).or_insert_with(|| Scribe::new(log.central.as_str(), epoch.0));
        places.push((index, events[index].0.clone(), new));
    }
    let mut lengths: BTreeMap<LogId, u64> = BTreeMap::new();
    let mut renamed = Vec::new();
    for (_, old, log) in &places {
        let seq = lengths.entry(log.clone()).or_default();
        *seq += 1;
        renamed.push((format!("{old}\""), format!("{log}/{seq}\"")));
    }
    for (index, old, log) in &places {
        let FactId::Authored { log: old_log, seq } = old else { unreachable!("it lies there") };
        let place = format!("\"log\":\"{old_log}\",\"seq\":{seq},");
        assert!(events[*index].1.contains(&place), "{}", events[*index].1);
        let bytes = events[*index].1.replace(&place, "\"log\":\"LOG\",\"seq\":SEQ,");
        // In one go, for the new names can be old ones too.
        let mut bytes = renamed
            .iter()
            .enumerate()
            .fold(bytes, |bytes, (nth, (old, _))| bytes.replace(old, &format!("\u{1}{nth}\u{2}")));
        for (nth, (_, new)) in renamed.iter().enumerate() {
            bytes = bytes.replace(&format!("\u{1}{nth}\u{2}"), new);
        }
        logs.get_mut(log).unwrap().say_raw(&bytes);
    }
    logs.into_values().collect()
}

fn shuffle<T>(items: &mut [T], dice: &mut SplitMix64) {
    for last in (1..items.len()).rev() {
        items.swap(last, usize::try_from(dice.below(last as u64 + 1)).unwrap());
    }
}

/// What a central shows of the events it holds.
#[derive(Debug, PartialEq)]
struct Shown {
    rows: Vec<StayRow>,
    sums: BTreeMap<TotalKey, TotalChange>,
    takings: BTreeMap<FactId, Taking>,
    sheets: BTreeMap<String, String>,
    digest: Digest,
}

/// The logs arrive at a new central, each in its order and all in a random one.
fn arrive(logs: &[Scribe], end_ms: i64, dice: &mut SplitMix64) -> Shown {
    let mut central = Central::new(7);
    central.now_ms = end_ms + DAY_MS;
    let mut told = vec![0; logs.len()];
    let ends: Vec<u64> = logs.iter().map(|log| log.head().to).collect();
    while told != ends {
        let mut jobs = Vec::new();
        for _ in 0..=dice.below(4) {
            let left: Vec<usize> = (0..logs.len()).filter(|log| told[*log] < ends[*log]).collect();
            if left.is_empty() {
                break;
            }
            let log = one_of(&left, dice);
            let most = 1 + dice.below(3);
            jobs.push(Job::Store(logs[log].run(told[log], usize::try_from(most).unwrap())));
            told[log] = ends[log].min(told[log] + most);
        }
        assert!(central.process(jobs).outcomes.iter().all(Result::is_ok));
        match dice.below(6) {
            0..=2 => {
                let now = TransactionTime { wall_ms: central.wall_ms(), skew_ms: None, clock_wrong: false };
                central.ledger.settle(usize::try_from(1 + dice.below(8)).unwrap(), now).unwrap();
            }
            3 => central.settle(),
            4 => central = central.restart(),
            _ => {}
        }
    }
    central.settle();
    check(&mut central);
    let rows = central.rows();
    let digest = central.ledger.digest();
    let storage = central.ledger.storage_mut();
    let shifts: Vec<_> = storage.shifts.values().filter(|shift| shift.opened.is_some()).cloned().collect();
    let sheets =
        shifts.iter().map(|shift| (shift.id.clone(), format!("{:?}", sheet::figures(storage, shift).unwrap())));
    let sheets = sheets.collect();
    Shown { rows, sums: storage.totals.clone(), takings: storage.takings.clone(), sheets, digest }
}
