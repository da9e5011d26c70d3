//! What gates ask for, drawn from one number: cars that come and go, people who press twice, force and mistype, edges that
//! ask again, settings that change; and people who correct or remove what they see in the history.

use crate::domain::direction::Direction;
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::subscription::{ACTIVE, Subscription};
use crate::domain::tariff::Tariff;
use crate::ledger::job::{CloseBarrier, CorrectStay, Job, OpenBarrier, VoidStay};
use crate::replication::backoff::SplitMix64;

/// Few cars, so that the same one is at several gates at once.
const PLATES: [&str; 8] =
    ["29A12345", "30B54321", "31C11111", "51F00001", "29MD12345", "80A00001", "43A77777", "99B99999"];
/// The edges are known to every central: one may ask at another when its own does not answer.
const EDGES: u64 = 4;
/// Requests that edges make again and again, also at several centrals. So many that some are always new.
const REQUESTS: u64 = 40;

/// What is asked at once. Without a plate nothing can be asked. `stay` gives the id of some row of the history.
pub(super) fn jobs(number: u64, stay: impl FnOnce(u64) -> Option<String>) -> Vec<Job> {
    let mut dice = SplitMix64::new(number);
    // All of a request follows from its id, so that it is the same wherever it is asked; but some ids are used wrongly.
    let request = (dice.below(3) == 0).then(|| dice.below(REQUESTS));
    if let Some(request) = request.filter(|_| dice.below(12) > 0) {
        dice = SplitMix64::new(request);
    }
    let Some(plate) = plate(dice.below(PLATES.len() as u64)) else { return Vec::new() };
    if request.is_none()
        && dice.below(12) == 0
        && let Some(stay_id) = stay(dice.next_u64())
    {
        return vec![amendment(stay_id, plate, &mut dice)];
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

fn amendment(stay_id: String, plate: PlateId, dice: &mut SplitMix64) -> Job {
    let (reason, by) = ("drawn".to_owned(), None);
    if dice.below(3) == 0 {
        return Job::Void(VoidStay { stay_id, reason, by });
    }
    Job::Correct(CorrectStay { stay_id, plate: Some(plate), plate_view: None, reason, by })
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
