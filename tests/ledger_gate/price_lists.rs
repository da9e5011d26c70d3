//! Price lists: when they are in force, on every central, and what an exit says of them.

use parkmesh::domain::direction::Direction;
use parkmesh::domain::event::{Body, Draft, PriceList};
use parkmesh::domain::ids::{CentralId, Epoch, Hlc, LogId};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::{FeeLine, Part, total};
use parkmesh::domain::tariff::Tariff;
use parkmesh::domain::time::SiteZone;
use parkmesh::ledger::digest::Digest;
use parkmesh::ledger::job::{Answer, Beside, Job, OpenBarrier, Refusal, Report};
use parkmesh::ledger::memory::MemoryStorage;
use parkmesh::ledger::settings::MOST_TARIFFS;
use parkmesh::ledger::storage::{EventRef, Storage, Tables};
use parkmesh::ledger::transaction::TransactionTime;
use parkmesh::ledger::{Context, Ledger};
use parkmesh::replication::log::Head;
use serde_json::json;

use crate::ledger_support::check::check;
use crate::ledger_support::say::{self, Scribe};
use crate::ledger_support::*;
use crate::reporting::{report, take};

/// So much for each visit, day or night.
fn per_visit(price: i64) -> Tariff {
    let plan = json!({"kind": "per_visit", "day_from": "06:00", "night_from": "18:00", "day": price, "night": price,
        "day_and_night": price});
    Tariff::from_json(&json!({"fee_base": 0, "fee_per_hour": 1_000, "plan": plan, "lost_card": 70_000})).unwrap()
}

fn announce(from_ms: i64, tariff: Option<Tariff>) -> Job {
    Job::Announce(PriceList { valid_from_ms: Some(from_ms), tariff })
}

fn version(answer: Result<Answer, Refusal>) -> String {
    match answer {
        Ok(Answer::TariffSet { version }) => version,
        other => panic!("no tariff: {other:?}"),
    }
}

/// What an hour costs that ends now, and by which version.
fn hour(central: &mut Central) -> (i64, Option<String>) {
    central.wait(-HOUR_MS);
    central.enters(entry("edge-1", P));
    central.wait(HOUR_MS);
    let (stay, fee, _) = central.exits(exit("edge-2", P));
    central.wait(MINUTE_MS);
    (fee, central.row(&stay).exit.unwrap().tariff_version)
}

#[test]
fn what_is_announced_is_in_force_everywhere_from_its_moment_on() {
    let (mut first, mut second) = (Central::new(0), Central::new(1));
    let from_ms = START_MS + DAY_MS;
    let version = version(first.ask(announce(from_ms, Some(per_visit(8_000)))));
    second.hear(&mut first);
    assert_eq!(first.ledger.digest(), second.ledger.digest());
    let mut second = second.restart();
    for central in [&mut first, &mut second] {
        central.wait(HOUR_MS);
        assert_eq!(hour(central), (25_000, None));
        central.now_ms = from_ms - 1;
        assert_eq!(hour(central), (25_000, None), "a moment before");
        central.now_ms = from_ms + 2 * HOUR_MS;
        assert_eq!(hour(central), (8_000, Some(version.clone())));
        check(central);
    }
    // What is put in force since counts, and is a plain tariff again.
    let hourly = Tariff {
        base: parkmesh::domain::tariff::Rate { fee_per_hour: Vnd(3_000), ..Tariff::default().base },
        ..Tariff::default()
    };
    first.ask(Job::PutTariff(hourly)).unwrap();
    assert!(matches!(first.last_event().body, Body::Tariff(_)));
    first.wait(2 * HOUR_MS);
    assert_eq!(hour(&mut first).0, 3_000);
    second.hear(&mut first);
    second.now_ms = first.now_ms + HOUR_MS;
    assert_eq!(hour(&mut second).0, 3_000);
}

#[test]
fn an_announcement_is_replaced_withdrawn_and_bounded() {
    let mut central = Central::new(0);
    let from_ms = START_MS + DAY_MS;
    let first = version(central.ask(announce(from_ms, Some(per_visit(8_000)))));
    assert_eq!(
        version(central.ask(announce(from_ms, Some(per_visit(8_000))))),
        first,
        "the same again changes nothing"
    );
    let second = version(central.ask(announce(from_ms, Some(per_visit(9_000)))));
    assert_ne!(first, second);
    central.now_ms = from_ms + 2 * HOUR_MS;
    assert_eq!(hour(&mut central), (9_000, Some(second)));
    let next_ms = from_ms + DAY_MS;
    version(central.ask(announce(next_ms, Some(per_visit(10_000)))));
    version(central.ask(announce(next_ms, None)));
    for (job, why) in [
        (announce(next_ms, None), "there is none any more"),
        (announce(central.now_ms, Some(per_visit(1))), "it does not lie ahead"),
        (Job::Announce(PriceList { valid_from_ms: None, tariff: Some(per_visit(1)) }), "no moment"),
    ] {
        let refused = central.ask(job);
        assert!(matches!(refused, Err(Refusal::Field { field: "valid_from", .. })), "{why}: {refused:?}");
    }
    let mut central = central.restart();
    central.now_ms = next_ms + 2 * HOUR_MS;
    assert_eq!(hour(&mut central).0, 9_000);
    for day in 1..=16 {
        version(central.ask(announce(central.now_ms + day * DAY_MS, Some(per_visit(day)))));
    }
    let one_more = central.ask(announce(central.now_ms + 17 * DAY_MS, Some(per_visit(17))));
    assert!(matches!(one_more, Err(Refusal::Field { field: "valid_from", .. })), "{one_more:?}");
    check(&mut central);
}

/// What is announced, by moments, and what is in force now, at each of two that hold the same.
fn prices(centrals: [&mut Central; 2]) -> (Vec<i64>, Tariff) {
    let [one, other] = centrals;
    other.hear(one);
    one.hear(other);
    let [of_one, of_other] = [one, other].map(|central| {
        let (settings, now_ms) = (central.ledger.settings(), central.wall_ms());
        let announced: Vec<i64> = settings.announced(now_ms).map(|(from_ms, ..)| from_ms).collect();
        (announced, Tariff::clone(&settings.tariff_at(now_ms).0))
    });
    assert_eq!(of_one, of_other, "both go by the same");
    of_one
}

#[test]
fn a_tariff_set_by_a_clock_that_was_ahead_overrides_nothing_that_is_announced_later() {
    let (mut first, mut second) = (Central::new(0), Central::new(1));
    first.clock_offset_ms = 2 * DAY_MS;
    version(first.ask(Job::PutTariff(per_visit(20_000))));
    first.clock_offset_ms = 0;
    let (from_ms, next_ms) = (START_MS + 10 * HOUR_MS, START_MS + 20 * HOUR_MS);
    version(first.ask(announce(from_ms, Some(per_visit(30_000)))));
    assert_eq!(prices([&mut first, &mut second]), (vec![from_ms], per_visit(20_000)));
    // Its clock goes on from that of the one before; and what another central announced waits as well.
    version(second.ask(announce(next_ms, Some(per_visit(40_000)))));
    first.hear(&mut second);
    version(first.ask(Job::PutTariff(per_visit(21_000))));
    assert_eq!(prices([&mut first, &mut second]), (vec![from_ms, next_ms], per_visit(21_000)));
    let mut first = first.restart();
    for (at_ms, ahead, price) in [(from_ms, vec![next_ms], 30_000), (next_ms, vec![], 40_000)] {
        (first.now_ms, second.now_ms) = (at_ms, at_ms);
        assert_eq!(prices([&mut first, &mut second]), (ahead, per_visit(price)));
    }
    // What is put in force now is, whatever the clocks of what was before.
    version(second.ask(Job::PutTariff(per_visit(50_000))));
    assert_eq!(prices([&mut first, &mut second]), (vec![], per_visit(50_000)));
    (first.now_ms, second.now_ms) = (next_ms + 5 * DAY_MS, next_ms + 5 * DAY_MS);
    assert_eq!(prices([&mut first, &mut second]), (vec![], per_visit(50_000)));
    check(&mut first);
}

#[test]
fn a_tariff_put_by_a_clock_that_is_ahead_of_those_of_the_others_leaves_what_they_wait_for() {
    let (mut first, mut second) = (Central::new(0), Central::new(1));
    let from_ms = START_MS + 10 * DAY_MS;
    version(first.ask(announce(from_ms, Some(per_visit(30_000)))));
    second.hear(&mut first);
    (second.clock_offset_ms, second.skew_ms) = (400 * DAY_MS, Some(400 * DAY_MS));
    version(second.ask(Job::PutTariff(per_visit(20_000))));
    (second.clock_offset_ms, second.skew_ms) = (0, None);
    assert_eq!(prices([&mut first, &mut second]), (vec![from_ms], per_visit(20_000)));
    (first.now_ms, second.now_ms) = (from_ms, from_ms);
    assert_eq!(prices([&mut first, &mut second]), (vec![], per_visit(30_000)));
    // A list that began while clocks were as near as clocks are is put out of force.
    second.skew_ms = Some(MINUTE_MS / 2);
    version(second.ask(Job::PutTariff(per_visit(50_000))));
    assert_eq!(prices([&mut first, &mut second]), (vec![], per_visit(50_000)));
}

#[test]
fn an_announcement_that_is_overridden_before_its_moment_is_not_shown_as_one_that_waits() {
    let (mut first, mut second) = (Central::new(0), Central::new(1));
    let from_ms = START_MS + 10 * HOUR_MS;
    version(first.ask(announce(from_ms, Some(per_visit(30_000)))));
    // Who knows of none sets another when his clock is past that moment.
    second.clock_offset_ms = DAY_MS;
    version(second.ask(Job::PutTariff(per_visit(20_000))));
    second.clock_offset_ms = 0;
    assert_eq!(prices([&mut first, &mut second]), (vec![], per_visit(20_000)));
    // Said again, it comes.
    version(first.ask(announce(from_ms, Some(per_visit(30_000)))));
    assert_eq!(prices([&mut first, &mut second]), (vec![from_ms], per_visit(20_000)));
    (first.now_ms, second.now_ms) = (from_ms, from_ms);
    assert_eq!(prices([&mut first, &mut second]), (vec![], per_visit(30_000)));
}

#[test]
fn a_tariff_put_where_the_clock_is_behind_overrides_what_is_in_force_for_all_others() {
    let (mut first, mut second) = (Central::new(0), Central::new(1));
    let from_ms = START_MS + DAY_MS;
    version(first.ask(announce(from_ms, Some(per_visit(30_000)))));
    second.hear(&mut first);
    (second.clock_offset_ms, second.skew_ms) = (-5 * MINUTE_MS, Some(-5 * MINUTE_MS));
    (first.now_ms, second.now_ms) = (from_ms + MINUTE_MS, from_ms + MINUTE_MS);
    version(second.ask(Job::PutTariff(per_visit(10_000))));
    assert_eq!(prices([&mut first, &mut second]), (vec![], per_visit(10_000)));
    (first.now_ms, second.now_ms) = (from_ms + HOUR_MS, from_ms + HOUR_MS);
    assert_eq!(prices([&mut first, &mut second]), (vec![], per_visit(10_000)));
}

#[test]
fn a_list_is_written_as_one_and_an_hourly_tariff_as_ever() {
    let mut central = Central::new(0);
    central.ask(Job::PutTariff(per_visit(5_000))).unwrap();
    assert!(matches!(central.last_event().body, Body::PriceList(PriceList { valid_from_ms: None, .. })));
    central.enters(entry("edge-1", P));
    central.wait(HOUR_MS);
    let lost = OpenBarrier { beside: Beside { lost_card: true, ..Beside::default() }, ..exit("edge-2", P) };
    assert_eq!(central.exits(lost).1, 75_000);
    let Body::Exit(exit) = central.last_event().body else { panic!("no exit") };
    assert_eq!(exit.lines.last(), Some(&FeeLine::of(Part::LostCard, 1, Vnd(70_000))));
    assert_eq!(total(&exit.lines), exit.fee);
}

/// A central of an older version kept the event as one of an unknown type.
#[test]
fn a_list_that_came_before_the_update_counts_after_it() {
    let log = LogId { central: CentralId::new("central-2").unwrap(), epoch: Epoch(7) };
    let body = Body::PriceList(PriceList { valid_from_ms: None, tariff: Some(per_visit(5_000)) });
    let hlc = Hlc::new(START_MS).unwrap();
    let draft = Draft { hlc, timestamp_ms: START_MS, skew_ms: None, event_id: None, by: None, body };
    let bytes = draft.encode(&log, 1).unwrap();
    let at = EventRef { log: log.clone(), seq: 1 };
    let head = Head { to: 1, hash: Head::empty(&log).hash.extend(&bytes) };
    let mut storage = MemoryStorage::default();
    storage.begin().unwrap();
    storage.append_event(&at, &bytes.into(), head.hash, START_MS).unwrap();
    storage.set_head(&log, head).unwrap();
    storage.quarantine(&at, "unknown type PRICE_LIST").unwrap();
    storage.commit().unwrap();
    let context = Context { central: CentralId::new("central-1").unwrap(), zone: SiteZone::default() };
    let mut ledger = Ledger::open(storage, context).unwrap();
    let now = TransactionTime { wall_ms: START_MS + HOUR_MS, skew_ms: None, clock_wrong: false };
    ledger.process(vec![Job::Open(entry("edge-1", P))], now, Epoch(1));
    assert_eq!(*ledger.settings().tariff_at(START_MS + HOUR_MS).0, per_visit(5_000));
    assert!(ledger.storage_mut().quarantined.is_empty());
}

/// What is told later goes by the prices of its own time, whichever were saved since, and whatever the order in which centrals hear.
#[test]
fn an_exit_told_later_goes_by_the_prices_of_its_time() {
    let (mut first, mut second) = (Central::new(0), Central::new(1));
    let mut saved = Vec::new();
    for (hours, price) in [(10, 1_000), (20, 2_000), (30, 3_000)] {
        // Not both at one: each hears the other's afterwards.
        let central = if hours == 20 { &mut second } else { &mut first };
        central.now_ms = START_MS + hours * HOUR_MS;
        saved.push(version(central.ask(Job::PutTariff(per_visit(price)))));
    }
    first.hear(&mut second);
    second.hear(&mut first);
    assert_eq!(first.ledger.digest(), second.ledger.digest());
    let mut second = second.restart();
    for central in [&mut first, &mut second] {
        central.now_ms = START_MS + 40 * HOUR_MS;
        // Before anything was saved the built-in prices were in force.
        for (left_hours, price) in [(3, 25_000), (12, 1_000), (22, 2_000), (29, 2_000), (31, 3_000)] {
            let car = format!("29A{:05}", left_hours);
            for (direction, hours) in [(Direction::Entry, left_hours - 1), (Direction::Exit, left_hours)] {
                let at_ms = START_MS + hours * HOUR_MS;
                let id = format!("{car} {direction:?}");
                take(central, Report { plate: plate(&car), ..report(direction, Some(&id), Some(at_ms)) });
            }
            let row = central.rows().into_iter().find(|row| row.plate_id.as_str() == car).unwrap();
            let exit = row.exit.unwrap();
            assert_eq!(
                (exit.fee.0, exit.tariff_version),
                (price, saved.get(price as usize / 1_000 - 1).cloned()),
                "{left_hours}"
            );
        }
        // What leaves now goes by what is held, also where this clock is behind that of who saved it.
        central.now_ms = START_MS + 25 * HOUR_MS;
        assert_eq!(hour(central).0, 3_000);
        check(central);
    }
}

/// Whoever sets a price and tries it sees it: a gate tells whole seconds, by a clock that may be behind.
#[test]
fn an_exit_told_within_a_minute_goes_by_the_prices_of_now() {
    for (ago_ms, price) in [(1_000, 3_000), (59_000, 3_000), (61_000, 25_000)] {
        let mut central = Central::new(0);
        central.now_ms = START_MS + 10 * HOUR_MS;
        version(central.ask(Job::PutTariff(per_visit(3_000))));
        let left_ms = central.wall_ms() - ago_ms;
        for (direction, at_ms) in [(Direction::Entry, left_ms - HOUR_MS), (Direction::Exit, left_ms)] {
            take(&mut central, report(direction, Some(direction.name()), Some(at_ms)));
        }
        assert_eq!(central.rows()[0].exit.as_ref().unwrap().fee.0, price, "{ago_ms}");
    }
}

/// A type that is told is one of the list or none by the prices that count, whatever was set since.
#[test]
fn a_type_is_looked_up_in_the_prices_of_its_time() {
    let with = Tariff::from_json(&json!({"fee_base": 0, "fee_per_hour": 10_000,
        "types": {"Gondola": {"fee_base": 0, "fee_per_hour": 1_000}}}));
    let (with, without) = (with.unwrap(), Tariff::from_json(&json!({"fee_base": 0, "fee_per_hour": 10_000})).unwrap());
    for (lists, fee, is_known) in [([&with, &without], 2_000, true), ([&without, &with], 20_000, false)] {
        let mut central = Central::new(0);
        for list in lists {
            central.ask(Job::PutTariff(list.clone())).unwrap();
            central.wait(10 * HOUR_MS);
        }
        take(&mut central, report(Direction::Entry, Some("e"), Some(START_MS + HOUR_MS)));
        let left = Report {
            camera_type: "gondola".to_owned(),
            ..report(Direction::Exit, Some("x"), Some(START_MS + 3 * HOUR_MS))
        };
        let passed = take(&mut central, left);
        let said = passed.notes.iter().any(|note| note.code == "unknown_type");
        assert_eq!((passed.fee.0, said), (fee, !is_known));
        // What comes in is charged when it leaves: by what is in force then, or now.
        let came = Report {
            camera_type: "gondola".to_owned(),
            ..report(Direction::Entry, Some("e2"), Some(START_MS + 4 * HOUR_MS))
        };
        assert!(take(&mut central, came).notes.iter().all(|note| note.code != "unknown_type"));
    }
}

/// A log for each event, so that they can come in any order; of five centrals, for of one not so many announcements are kept.
fn logs_of(bodies: impl Iterator<Item = (i64, Body)>) -> Vec<Scribe> {
    let logs = bodies.enumerate().map(|(nth, (at_ms, body))| {
        let mut scribe = Scribe::new(&format!("central-{}", 5 + nth % 5), nth as u64);
        scribe.say(&Draft { event_id: None, ..say::draft(at_ms, "", body) });
        scribe
    });
    logs.collect()
}

/// As many settings are kept as of tariffs, the same ones in whatever order they are heard, here, on the disk and after a rebuild.
fn are_kept_in_every_order(logs: &[Scribe], holds: impl Fn(&Central)) {
    let newest_first = (0..logs.len()).rev();
    let by_the_middle = (0..logs.len()).map(|nth| (nth + logs.len() / 2) % logs.len());
    let orders: [Vec<usize>; 3] = [(0..logs.len()).collect(), newest_first.collect(), by_the_middle.collect()];
    let digests = orders.map(|order| {
        let mut central = Central::new(0);
        central.now_ms = START_MS + DAY_MS;
        let runs = order.into_iter().map(|nth| Job::Store(logs[nth].run(0, 1))).collect();
        assert!(central.process(runs).outcomes.iter().all(Result::is_ok));
        let digest = central.ledger.digest();
        let mut central = central.restart();
        let mut of_settings = Digest::default();
        central.ledger.settings().hashes().for_each(|hash| of_settings.add(hash));
        assert_eq!(central.ledger.settings().hashes().count(), MOST_TARIFFS, "the disk keeps no more either");
        assert_eq!((of_settings, central.ledger.digest()), (digest, digest));
        holds(&central);
        central.rebuild(100);
        central.ledger.digest()
    });
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

/// Whoever fills memory with tariffs fills so much: the last are kept.
#[test]
fn the_last_tariffs_that_were_set_are_kept_whatever_order_they_are_heard_in() {
    let more = 5;
    let all = MOST_TARIFFS as i64 + more;
    let list = |nth: i64| Body::PriceList(PriceList { valid_from_ms: None, tariff: Some(per_visit(1_000 + nth)) });
    let logs = logs_of((0..all).map(|nth| (START_MS + nth * SECOND_MS, list(nth))));
    are_kept_in_every_order(&logs, |central| {
        let then = |ms: i64| central.ledger.settings().tariff_then(ms, central.wall_ms()).0;
        assert_eq!(*then(START_MS + (all - 1) * SECOND_MS), per_visit(1_000 + all - 1));
        assert_eq!(*then(START_MS + more * SECOND_MS), per_visit(1_000 + more), "the oldest that is kept");
        assert_eq!(*then(START_MS), per_visit(1_000 + more), "before it that one is meant");
    });
}

/// Or with announcements, of which one takes the place of another or withdraws it.
#[test]
fn the_last_announcements_are_kept_whatever_order_they_are_heard_in() {
    let (more, said_again) = (5, 3);
    let all = MOST_TARIFFS as i64 + more;
    let list =
        |moment: i64, tariff| Body::PriceList(PriceList { valid_from_ms: Some(START_MS + moment * MINUTE_MS), tariff });
    // The first moments are spoken of again in the end, once to withdraw what was announced; so those after them go.
    let first = (0..all).map(|nth| (START_MS + nth * SECOND_MS, list(nth, Some(per_visit(1_000 + nth)))));
    let again = (0..said_again).map(|nth| {
        let tariff = (nth > 0).then(|| per_visit(5_000 + nth));
        (START_MS + (all + nth) * SECOND_MS, list(nth, tariff))
    });
    are_kept_in_every_order(&logs_of(first.chain(again)), |central| {
        let ahead = |after_ms| central.ledger.settings().announced(after_ms).map(|(from_ms, ..)| from_ms);
        let kept: Vec<i64> = ahead(0).map(|from_ms| (from_ms - START_MS) / MINUTE_MS).take(3).collect();
        assert_eq!(kept, [1, 2, said_again + more], "one is withdrawn, some were said first");
        assert_eq!(*central.ledger.settings().tariff_at(START_MS + 2 * MINUTE_MS).0, per_visit(5_002));
    });
}
