//! What gates ask for, drawn from one number: cars that come and go, people who press twice, force and mistype, edges that
//! ask again, programs that tell what passed, settings that change; and people who correct or remove what they see in the history.

use std::collections::BTreeSet;

use crate::domain::direction::Direction;
use crate::domain::doer::{Doer, DoerKind};
use crate::domain::event::PriceList;
use crate::domain::money::Vnd;
use crate::domain::payment::{Method, PaidToo};
use crate::domain::plate::PlateId;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::subscription::{ACTIVE, Subscription};
use crate::domain::tariff::Tariff;
use crate::domain::told::payment::ToldPaid;
use crate::ledger::job::{Beside, CloseBarrier, CorrectStay, Job, OpenBarrier, Report, VoidStay};
use crate::replication::backoff::SplitMix64;

/// The same few cars come and go all the time, as at a site: the same one is at several gates at once, and has a long history
/// with whatever went wrong in it. They are mistaken for each other in pairs.
const PAIRS: u64 = 6;
/// So many cars may have a subscription.
const SUBSCRIBERS: u64 = 3;
/// The edges are known to every central: one may ask at another when its own does not answer.
pub(super) const EDGES: u64 = 4;
/// Requests that edges make again and again for a while, also at several centrals. So many that some are always new.
const REQUESTS: u64 = 8;
/// Prices are announced for full hours.
const HOUR_MS: i64 = 60 * 60 * 1_000;
/// Gates that were cut off tell what they did up to so long afterwards, in ms.
const KEPT_MS: u64 = 3 * 60 * 60 * 1_000;
/// So often gates ask before edges make others.
const ASKED_PER_REQUESTS: u64 = 20;

/// What is asked at once, when gates have asked so often `before`. Without a plate nothing can be asked. It is `wall_ms`
/// there. `stay` gives some row of the history.
pub(super) fn jobs<'a>(
    number: u64,
    before: u64,
    wall_ms: i64,
    stay: impl FnOnce(u64) -> Option<&'a StayRow>,
) -> Vec<Job> {
    let mut dice = SplitMix64::new(number);
    let first_request = REQUESTS * (before / ASKED_PER_REQUESTS);
    let any_car = |dice: &mut SplitMix64| dice.below(2 * PAIRS);
    // All of a request follows from its id, so that it is the same wherever it is asked; but some ids are used wrongly.
    let request = (dice.below(3) == 0).then(|| first_request + dice.below(REQUESTS));
    let mut car = any_car(&mut dice);
    if let Some(request) = request {
        let mut of_request = SplitMix64::new(request);
        car = any_car(&mut of_request);
        if dice.below(12) > 0 {
            dice = of_request;
        } else {
            car ^= dice.below(2);
        }
    }
    let Some(plate) = plate(car) else { return Vec::new() };
    if request.is_none()
        && dice.below(12) == 0
        && let Some(row) = stay(dice.next_u64())
    {
        return vec![amendment(row, &mut dice)];
    }
    let edge_id = format!("edge-{}", dice.below(EDGES));
    let fee = (dice.below(2) == 0).then(|| Vnd(1_000 * i64::try_from(dice.below(50)).unwrap_or(0)));
    let twice = dice.below(4) == 0;
    let by_state = OpenBarrier {
        edge_id: edge_id.clone(),
        plate: plate.clone(),
        plate_view: None,
        direction: None,
        camera_type: "car".to_owned(),
        confidence: Some(0.9),
        request_id: request.map(|request| format!("r{request}")),
        force: false,
        reason: None,
        fee: None,
        notes: Vec::new(),
        beside: Beside { paid: paid(number), ..Beside::default() },
    };
    let entry = OpenBarrier { direction: Some(Direction::Entry), ..by_state.clone() };
    let exit = OpenBarrier { direction: Some(Direction::Exit), ..by_state.clone() };
    let report = |direction, plate| Report {
        edge_id: format!("edge-{}", number % EDGES),
        direction,
        plate,
        plate_view: None,
        camera_type: "car".to_owned(),
        confidence: None,
        request_id: None,
        told_ms: told_late(number, wall_ms),
        fee: fee.filter(|_| direction == Direction::Exit),
        seen_inside: false,
        beside: Beside::default(),
        notes: Vec::new(),
        doubts: BTreeSet::new(),
    };
    let job = match dice.below(50) {
        40..=47 => Job::Report(report(Direction::Exit, plate)),
        48..=49 => Job::Report(report(Direction::Entry, plate)),
        0..=7 => Job::Open(by_state),
        8..=16 => Job::Open(entry),
        17..=24 => Job::Open(exit),
        25..=27 => Job::Open(OpenBarrier { force: true, ..entry }),
        28..=31 => Job::Open(OpenBarrier { force: true, fee, ..exit }),
        32..=36 => Job::Close(CloseBarrier { edge_id, plate: Some(plate), event_id: None, only_own: false }),
        37 => prices(&mut dice, wall_ms),
        _ => Job::PutSubscriptions(subscriptions(&mut dice)),
    };
    let job = match number % 3 {
        0 => job.by(Doer::new(DoerKind::Person, "an")),
        1 => job.by(Doer::new(DoerKind::Person, "binh")),
        _ => job,
    };
    if twice { vec![job.clone(), job] } else { vec![job] }
}

/// When it happened, of what was kept at the gate for up to hours.
fn told_late(number: u64, wall_ms: i64) -> Option<i64> {
    let mut dice = SplitMix64::new(number.rotate_left(17));
    // Some just now, some by minutes, some by hours.
    let kept_ms = KEPT_MS >> (6 * dice.below(3));
    let ago_ms = i64::try_from(dice.below(kept_ms)).ok()?;
    (dice.below(2) == 0).then_some(wall_ms - ago_ms)
}

/// How some say they were paid, and some in several ways; not always what was due.
fn paid(number: u64) -> Option<ToldPaid> {
    let mut dice = SplitMix64::new(!number);
    let method = way(&mut dice)?;
    let amount = (dice.below(4) == 0).then_some(Vnd(5_000));
    let also = (0..dice.below(3)).filter_map(|_| also(&mut dice)).collect();
    Some(ToldPaid { amount, also, ..ToldPaid::by(method) })
}

fn way(dice: &mut SplitMix64) -> Option<Method> {
    Method::ALL.get(usize::try_from(dice.below(9)).ok()?).copied()
}

fn also(dice: &mut SplitMix64) -> Option<PaidToo> {
    let amount = Vnd(1_000 * i64::try_from(1 + dice.below(9)).ok()?);
    Some(PaidToo { method: way(dice)?, amount, reference: None })
}

/// The car was another of its pair or of another type, it paid otherwise, or the row is removed or comes back.
fn amendment(row: &StayRow, dice: &mut SplitMix64) -> Job {
    let (stay_id, reason) = (row.stay_id.clone(), "drawn".to_owned());
    let is_void = row.status == StayStatus::Void;
    let drawn = dice.below(9);
    if !is_void && drawn < 3 {
        return Job::Void(VoidStay { stay_id, reason });
    }
    let said = CorrectStay { stay_id, reason, restore: is_void, ..CorrectStay::default() };
    Job::Correct(match drawn {
        0 | 3 => CorrectStay { camera_type: Some("truck".to_owned()), ..said },
        1 => CorrectStay { fee: row.exit.as_ref().map(|exit| Vnd(exit.fee.0 / 2 + 500)), ..said },
        4 => CorrectStay { paid: row.exit.as_ref().map(|_| transfer()), ..said },
        8 => CorrectStay {
            paid: row.exit.as_ref().map(|_| ToldPaid { also: also(dice).into_iter().collect(), ..transfer() }),
            ..said
        },
        _ => CorrectStay { plate: number_of(&row.plate_id).and_then(|car| plate(car ^ 1)), ..said },
    })
}

fn transfer() -> ToldPaid {
    ToldPaid::by(Method::Transfer)
}

/// The plate of a car; every other one is an electric motorbike's.
fn plate(car: u64) -> Option<PlateId> {
    let series = if car % 4 < 2 { "29A" } else { "30MD" };
    PlateId::parse(&format!("{series}{:05}", 12_000 + car)).ok()
}

fn number_of(plate: &PlateId) -> Option<u64> {
    let digits = plate.as_str().get(plate.as_str().len().checked_sub(5)?..)?;
    digits.parse::<u64>().ok()?.checked_sub(12_000)
}

fn tariff(dice: &mut SplitMix64) -> Tariff {
    let mut tariff = Tariff::default();
    tariff.base.fee_per_hour = Vnd(5_000 * i64::try_from(1 + dice.below(6)).unwrap_or(1));
    tariff
}

/// They are other from now on, or from a moment that lies ahead; or it is taken back what was announced for one.
fn prices(dice: &mut SplitMix64, wall_ms: i64) -> Job {
    let (tariff, turn) = (tariff(dice), dice.below(4));
    match turn {
        0 | 1 => Job::PutTariff(tariff),
        _ => Job::Announce(PriceList {
            valid_from_ms: Some(announced_for(dice, wall_ms)),
            tariff: (turn == 2).then_some(tariff),
        }),
    }
}

/// A moment ahead, for which several announce something.
pub(super) fn announced_for(dice: &mut SplitMix64, wall_ms: i64) -> i64 {
    let ahead = 1 + i64::try_from(dice.below(4)).unwrap_or(0);
    (wall_ms.div_euclid(HOUR_MS) + ahead) * HOUR_MS
}

/// Some of the cars, each with or without one.
fn subscriptions(dice: &mut SplitMix64) -> Vec<Subscription> {
    let chosen = (0..SUBSCRIBERS).filter(|_| dice.below(2) == 0).filter_map(plate);
    let subscription = |plate: PlateId| Subscription {
        id: format!("s-{plate}"),
        plate_number: plate.to_string(),
        owner_name: String::new(),
        kind: String::new(),
        status: ACTIVE.to_owned(),
        start_date: String::new(),
        end_date: String::new(),
        phone: String::new(),
        note: String::new(),
    };
    chosen.map(subscription).collect()
}
