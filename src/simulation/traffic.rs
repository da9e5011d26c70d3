//! What gates ask for, drawn from one number: cars that come and go, people who press twice, force and mistype, edges that
//! ask again, settings that change; and people who correct or remove what they see in the history.

use crate::domain::direction::Direction;
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::row::StayRow;
use crate::domain::subscription::{ACTIVE, Subscription};
use crate::domain::tariff::Tariff;
use crate::ledger::job::{CloseBarrier, CorrectStay, Job, OpenBarrier, VoidStay};
use crate::replication::backoff::SplitMix64;

/// Few cars, so that the same one is at several gates at once. They are mistaken for each other only in pairs, so that a
/// mistake concerns few facts: what hangs together is folded together, and time is short.
const PLATES: [&str; 16] = [
    "29A12345",
    "29A12346",
    "30B54321",
    "30B54327",
    "31C11111",
    "31C11117",
    "51F00001",
    "51F00007",
    "29MD12345",
    "29MD12346",
    "80A00001",
    "80A00007",
    "43A77777",
    "43A77771",
    "99B99999",
    "99B99998",
];
/// The edges are known to every central: one may ask at another when its own does not answer.
const EDGES: u64 = 4;
/// Requests that edges make again and again, also at several centrals. So many that some are always new.
const REQUESTS: u64 = 40;

/// What is asked at once. Without a plate nothing can be asked. `stay` gives some row of the history.
pub(super) fn jobs<'a>(number: u64, stay: impl FnOnce(u64) -> Option<&'a StayRow>) -> Vec<Job> {
    let mut dice = SplitMix64::new(number);
    // All of a request follows from its id, so that it is the same wherever it is asked; but some ids are used wrongly.
    let request = (dice.below(3) == 0).then(|| dice.below(REQUESTS));
    let mut car = dice.below(PLATES.len() as u64);
    if let Some(request) = request {
        let mut of_request = SplitMix64::new(request);
        car = of_request.below(PLATES.len() as u64);
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
        fee: None,
    };
    let entry = OpenBarrier { direction: Some(Direction::Entry), ..by_state.clone() };
    let exit = OpenBarrier { direction: Some(Direction::Exit), ..by_state.clone() };
    let job = match dice.below(40) {
        0..=7 => Job::Open(by_state),
        8..=16 => Job::Open(entry),
        17..=24 => Job::Open(exit),
        25..=27 => Job::Open(OpenBarrier { force: true, ..entry }),
        28..=31 => Job::Open(OpenBarrier { force: true, fee, ..exit }),
        32..=36 => Job::Close(CloseBarrier { edge_id, plate: Some(plate), event_id: None }),
        37 => Job::PutTariff(tariff(&mut dice)),
        _ => Job::PutSubscriptions(subscriptions(&mut dice)),
    };
    if twice { vec![job.clone(), job] } else { vec![job] }
}

/// The car was another of its pair, or the row is removed.
fn amendment(row: &StayRow, dice: &mut SplitMix64) -> Job {
    let (stay_id, reason, by) = (row.stay_id.clone(), "drawn".to_owned(), None);
    let mistaken = PLATES.iter().position(|known| *known == row.plate_id.as_str());
    if dice.below(3) == 0 {
        return Job::Void(VoidStay { stay_id, reason, by });
    }
    let plate = mistaken.and_then(|index| plate(index as u64 ^ 1));
    Job::Correct(CorrectStay { stay_id, plate, plate_view: None, reason, by })
}

fn plate(index: u64) -> Option<PlateId> {
    let text = PLATES.get(usize::try_from(index).ok()?)?;
    PlateId::parse(text).ok()
}

fn tariff(dice: &mut SplitMix64) -> Tariff {
    let mut tariff = Tariff::default();
    tariff.base.fee_per_hour = Vnd(5_000 * i64::try_from(1 + dice.below(6)).unwrap_or(1));
    tariff
}

/// Some of the cars, each with or without one.
fn subscriptions(dice: &mut SplitMix64) -> Vec<Subscription> {
    let chosen = PLATES.iter().take(3).filter(|_| dice.below(2) == 0);
    let subscription = |plate: &&str| Subscription {
        id: format!("s-{plate}"),
        plate_number: (*plate).to_owned(),
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
