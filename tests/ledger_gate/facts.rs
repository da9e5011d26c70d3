//! What events say of people and money: who did it, how it was paid, what the fee consists of.

use parkmesh::domain::doer::{Doer, DoerKind};
use parkmesh::domain::event::{Body, Draft, Event, Exit, Image};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::{FeeLine, Method, Paid, PaidToo, Part, total};
use parkmesh::domain::tariff::Tariff;
use parkmesh::domain::told::payment::ToldPaid;
use parkmesh::ledger::job::{Answer, Beside, Job, OpenBarrier};
use parkmesh::replication::log::{ChainHash, EventBytes, Head, Run};
use proptest::prelude::*;

use crate::ledger_support::check::check;
use crate::ledger_support::*;

/// Events of versions that knew nothing of money, and of the first that does.
const BEFORE: &str = include_str!("../golden/events/before_money.jsonl");
const SINCE: &str = include_str!("../golden/events/since_money.jsonl");

fn events(lines: &str) -> Vec<Event> {
    lines.lines().map(|line| Event::parse(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn paid_in(method: Method, amount: Option<i64>) -> Beside {
    let (amount, reference) = (amount.map(Vnd), Some("FT24336".to_owned()));
    let paid = ToldPaid { amount, reference, ..ToldPaid::by(method) };
    Beside { paid: Some(paid), ..Beside::default() }
}

fn exit_of(event: Event) -> Exit {
    match event.body {
        Body::Exit(exit) => exit,
        other => panic!("no exit: {other:?}"),
    }
}

fn noted(answer: &Answer) -> Vec<(String, &'static str)> {
    match answer {
        Answer::Entered { notes, .. } | Answer::Exited { notes, .. } => {
            notes.iter().map(|note| (note.field.clone(), note.code)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn older_events_say_what_they_said() {
    let events = events(BEFORE);
    assert_eq!(events.len(), 6);
    assert!(events.iter().all(|event| event.by.is_none()));
    let Body::Entry(entry) = &events[0].body else { panic!("{:?}", events[0]) };
    assert_eq!((entry.card_id.as_ref(), entry.images.len(), entry.force), (None, 0, true));
    let exit = exit_of(events[1].clone());
    assert_eq!((exit.fee, exit.lines.len(), exit.paid), (Vnd(25_000), 0, None));
    let by = |event: &Event| match &event.body {
        Body::Correction(correction) => correction.by.clone(),
        Body::Void(void) => void.by.clone(),
        _ => None,
    };
    assert_eq!(by(&events[3]).as_deref(), Some("Lan"), "a name that was typed in");
    assert_eq!(by(&events[4]), None);
    assert!(matches!(&events[5].body, Body::Unread(unread) if unread.paid.is_none()));
}

#[test]
fn todays_events_are_read_and_written_as_they_are_kept() {
    let events = events(SINCE);
    let by: Vec<_> = events.iter().map(|event| event.by.as_ref().unwrap().to_string()).collect();
    assert_eq!(by, ["an", "token:backup", "edge:edge-2", "", "an", "an"]);
    let exit = exit_of(events[1].clone());
    let image = Image { sha256: "0f".repeat(32), kind: "plate".to_owned() };
    assert_eq!((exit.card_id.as_deref(), exit.images), (Some("C-0042"), vec![image]));
    assert_eq!((total(&exit.lines), exit.fee), (Vnd(80_000), Vnd(80_000)));
    assert_eq!(exit.paid.unwrap().method, Method::Qr);
    for (line, event) in SINCE.lines().zip(events) {
        let Event { log, seq, hlc, timestamp_ms, skew_ms, event_id, by, body, .. } = event;
        let draft = Draft { hlc, timestamp_ms, skew_ms, event_id, by, body };
        assert_eq!(draft.encode(&log, seq).unwrap(), line);
    }
}

/// What was paid in several ways: its first way alone, as a version before them reads it, and all of it.
#[test]
fn an_exit_that_was_paid_in_several_ways_is_kept_as_it_was_written() {
    const LINES: &str = include_str!("../golden/events/since_ways.jsonl");
    let events = events(LINES);
    let too = |method, amount, reference: Option<&str>| {
        vec![PaidToo { method, amount: Vnd(amount), reference: reference.map(str::to_owned) }]
    };
    let also = too(Method::Transfer, 10_000, Some("FT24336"));
    let paid = Paid { method: Method::Cash, amount: Vnd(10_000), reference: None, also };
    assert_eq!(exit_of(events[0].clone()).paid, Some(paid));
    let Body::Correction(said) = &events[1].body else { panic!("{:?}", events[1]) };
    assert_eq!(said.right_method.as_ref().unwrap().also, too(Method::Qr, 5_000, None));
    for (line, event) in LINES.lines().zip(&events) {
        let Event { log, seq, hlc, timestamp_ms, skew_ms, event_id, by, body, .. } = event.clone();
        let draft = Draft { hlc, timestamp_ms, skew_ms, event_id, by, body };
        assert_eq!(draft.encode(&log, seq).unwrap(), line);
    }
    for (line, sound, wrong) in [
        (0, "\"amount\":10000,\"reference\"", "\"amount\":-1,\"reference\""),
        (0, "\"FT24336\"", "\"a\\u0000b\""),
        (1, "\"amount\":5000", "\"amount\":1000000000001"),
    ] {
        let line = LINES.lines().nth(line).unwrap();
        assert!(line.contains(sound), "{sound}");
        assert!(Event::parse(&line.replace(sound, wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn words_of_a_newer_version_do_not_keep_a_car_inside() {
    let newer =
        SINCE.replace("\"qr\"", "\"crypto\"").replace("\"hour\"", "\"charging\"").replace("\"token\"", "\"robot\"");
    let events = events(&newer);
    let exit = exit_of(events[1].clone());
    assert_eq!((exit.paid.unwrap().method, exit.lines[0].part), (Method::Other, Part::Other));
    assert_eq!(events[1].by.as_ref().unwrap().kind, DoerKind::Other);
}

#[test]
fn a_log_keeps_and_passes_on_its_authors_bytes_whatever_is_in_them() {
    // As a version after this one may write it: fields that nobody knows here, in an order of its own.
    let unknown = r#""tip":{"amount": 5000,"to":["an"]},"x":1e2,"#;
    let log = events(SINCE)[0].log.clone();
    let bytes: Vec<EventBytes> =
        SINCE.lines().map(|line| line.replacen("\"data\":{", &format!("\"data\":{{{unknown}"), 1).into()).collect();
    assert!(bytes.iter().all(|line| line.contains("\"tip\"") && Event::parse(line).is_ok()));
    let hash = bytes.iter().fold(ChainHash::genesis(&log), |hash, line| hash.extend(line));
    let run = Run { log: log.clone(), after: 0, prev: ChainHash::genesis(&log), events: bytes.clone(), hash };
    let (mut first, mut second) = (Central::new(0), Central::new(1));
    let head = Head { to: run.events.len() as u64, hash };
    assert_eq!(first.ask(Job::Store(run)), Ok(Answer::Stored { log: log.clone(), head }));
    second.hear(&mut first);
    let passed_on = second.run_after(&log, Head::empty(&log), usize::MAX);
    assert_eq!((passed_on.events, passed_on.hash), (bytes, hash));
    check(&mut second);
}

#[test]
fn what_is_out_of_bounds_is_no_event() {
    let line = SINCE.lines().nth(1).unwrap();
    assert!(Event::parse(line).is_ok());
    for (sound, wrong) in [
        ("\"backup\"".to_owned(), format!("{:?}", "x".repeat(257))),
        ("\"C-0042\"".to_owned(), format!("{:?}", "x".repeat(65))),
        ("\"C-0042\"".to_owned(), "\"a\\u0000b\"".to_owned()),
        ("\"FT24336\"".to_owned(), format!("{:?}", "x".repeat(65))),
        ("\"plate\"".to_owned(), format!("{:?}", "x".repeat(33))),
        ("0f".repeat(32), "0f".repeat(33)),
        ("0f".repeat(32), "0F".repeat(32)),
        ("\"amount\":75000".to_owned(), "\"amount\":1000000000001".to_owned()),
        ("\"amount\":80000".to_owned(), "\"amount\":-1".to_owned()),
        ("\"lines\":[".to_owned(), format!("\"lines\":[{}", "{\"part\":\"hour\",\"amount\":0},".repeat(32))),
        ("\"khách quen\"".to_owned(), format!("{:?}", "x".repeat(201))),
    ] {
        assert!(line.contains(&sound), "{sound}");
        assert!(Event::parse(&line.replace(&sound, &wrong)).is_err(), "{sound} as {wrong}");
    }
}

#[test]
fn an_exit_says_how_it_was_paid_and_what_the_fee_consists_of() {
    let mut central = Central::new(0);
    let mut leave = |beside: Beside, fee: Option<i64>| {
        central.enters(entry("edge-1", P));
        central.wait(2 * HOUR_MS);
        let asked = OpenBarrier { beside, fee: fee.map(Vnd), force: fee.is_some(), ..exit("edge-2", P) };
        let asked = OpenBarrier { reason: fee.map(|_| "khách quen".to_owned()), ..asked };
        let answer = central.press(asked).unwrap();
        let notes = noted(&answer);
        let exit = exit_of(central.last_event());
        check(&mut central);
        central.wait(HOUR_MS);
        assert_eq!(total(&exit.lines), exit.fee, "{:?}", exit.lines);
        (exit.lines, exit.paid, exit.doubts, notes)
    };
    let hours = FeeLine::of(Part::Hour, 2, Vnd(25_000));
    let paid = |method, amount| {
        Some(Paid { method, amount: Vnd(amount), reference: Some("FT24336".to_owned()), also: Vec::new() })
    };
    let differs = vec![("paid.amount".to_owned(), "differs")];
    let doubt = vec!["fee_uncertain".to_owned()];
    let unpaid = |amount| FeeLine::new(Part::Unpaid, Vnd(amount));
    let by_hand = FeeLine::new(Part::ByHand, Vnd(-20_000)).because(Some("khách quen"));
    for (beside, fee, lines, says) in [
        (Beside::default(), None, vec![hours.clone()], (None, vec![], vec![])),
        (paid_in(Method::Cash, None), None, vec![hours.clone()], (paid(Method::Cash, 50_000), vec![], vec![])),
        (paid_in(Method::Qr, Some(50_000)), None, vec![hours.clone()], (paid(Method::Qr, 50_000), vec![], vec![])),
        (
            paid_in(Method::Cash, Some(20_000)),
            None,
            vec![hours.clone(), unpaid(-30_000)],
            (paid(Method::Cash, 20_000), doubt.clone(), differs.clone()),
        ),
        // More than the fee is no fee.
        (
            paid_in(Method::Transfer, Some(80_000)),
            None,
            vec![hours.clone()],
            (paid(Method::Transfer, 80_000), doubt.clone(), differs.clone()),
        ),
        (
            paid_in(Method::Free, None),
            None,
            vec![hours.clone(), unpaid(-50_000)],
            (paid(Method::Free, 0), doubt.clone(), differs.clone()),
        ),
        // Who forces a fee and says that it was let go has taken nothing.
        (
            paid_in(Method::Free, Some(30_000)),
            Some(30_000),
            vec![hours.clone(), by_hand.clone(), unpaid(-30_000).because(Some("khách quen"))],
            (paid(Method::Free, 0), doubt, differs),
        ),
        (
            paid_in(Method::Card, None),
            Some(30_000),
            vec![hours.clone(), by_hand],
            (paid(Method::Card, 30_000), vec![], vec![]),
        ),
    ] {
        let said = format!("{beside:?} {fee:?}");
        let (left, paid, doubts, notes) = leave(beside, fee);
        assert_eq!((left, (paid, doubts, notes)), (lines, says), "{said}");
    }
}

/// Of a car that nobody knows the entry of what was paid is the fee, where no other is told.
#[test]
fn what_was_paid_at_an_exit_alone_is_its_fee() {
    let mut central = Central::new(0);
    for (told, fee) in [(None, 25_000), (Some(Vnd(7_000)), 7_000)] {
        let asked = OpenBarrier { beside: paid_in(Method::Cash, Some(25_000)), fee: told, ..exit("edge-2", P) };
        central.press(OpenBarrier { force: true, ..asked }).unwrap();
        let left = exit_of(central.last_event());
        assert_eq!((left.fee, total(&left.lines), left.paid.unwrap().amount), (Vnd(fee), Vnd(fee), Vnd(25_000)));
        assert_eq!(left.doubts.is_empty(), fee == 25_000);
        central.wait(HOUR_MS);
    }
    check(&mut central);
}

#[test]
fn a_payment_that_records_nothing_is_said_to() {
    let mut central = Central::new(0);
    let pay = |request: OpenBarrier| OpenBarrier { beside: paid_in(Method::Cash, None), ..request };
    assert_eq!(noted(&central.press(pay(entry("edge-1", P))).unwrap()), [("paid".to_owned(), "only_at_exit")]);
    central.wait(HOUR_MS);
    central.exits(exit("edge-2", P));
    central.wait(SECOND_MS);
    assert_eq!(noted(&central.press(pay(exit("edge-2", P))).unwrap()), [("paid".to_owned(), "recorded_before")]);
}

fn any_doer() -> impl Strategy<Value = Option<Doer>> {
    let kind = prop_oneof![Just(DoerKind::Person), Just(DoerKind::Token), Just(DoerKind::Edge)];
    proptest::option::of(prop_oneof![
        Just(Doer::OPEN),
        (kind, "[a-z]{1,8}").prop_map(|(kind, name)| Doer::new(kind, &name)),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_event_names_who_had_it_made_and_nobody_else(
        asked in proptest::collection::vec((0..6_u8, any_doer(), "[a-z]{1,8}"), 1..24),
    ) {
        let mut central = Central::new(0);
        let mut stay = central.enters(entry("edge-1", P));
        for (what, doer, named) in asked {
            central.wait(MINUTE_MS);
            // Whatever else is told, a name among it.
            let told = |request: OpenBarrier| OpenBarrier { reason: Some(named.clone()), ..forced(request) };
            let job = match what {
                0 => Job::Open(told(entry("edge-1", P))),
                1 => Job::Open(told(exit("edge-2", P))),
                2 => Job::Open(exit("edge-2", P)),
                3 => close("edge-1", P),
                4 => correct(&stay, if central.row(&stay).plate_id.as_str() == P { Q } else { P }),
                _ => void(&stay),
            };
            let job = match &doer {
                Some(doer) => job.by(doer.clone()),
                None => job,
            };
            let before = central.ledger.events();
            if let Ok(Answer::Entered { event_id, .. }) = central.ask(job) {
                stay = event_id;
            }
            if central.ledger.events() > before {
                let event = central.last_event();
                prop_assert_eq!(&event.by, &doer);
                if let Body::Correction(correction) = &event.body {
                    prop_assert_eq!(&correction.by, &doer.as_ref().and_then(Doer::text));
                }
            }
        }
        check(&mut central);
    }

    #[test]
    fn the_lines_of_every_exit_sum_to_its_fee(
        (free, per_hour, night, most) in (0.0..3.0_f64, 0..40_000_i64, 0..30_000_i64, 0..200_000_i64),
        stay_min in 0..12_000_i64,
        fee in proptest::option::of(0..900_000_i64),
        is_known: bool,
    ) {
        let mut central = Central::new(0);
        let mut tariff = Tariff::default();
        tariff.base.fee_base = free;
        tariff.base.fee_per_hour = Vnd(per_hour);
        tariff.base.fee_overnight = Vnd(night);
        tariff.base.fee_daily_max = Vnd(most);
        central.ask(Job::PutTariff(tariff)).unwrap();
        if is_known {
            central.enters(entry("edge-1", P));
        }
        central.wait(stay_min * MINUTE_MS);
        central.exits(forced(OpenBarrier { fee: fee.map(Vnd), ..exit("edge-2", P) }));
        let exit = exit_of(central.last_event());
        prop_assert_eq!(total(&exit.lines), exit.fee);
        check(&mut central);
    }
}
