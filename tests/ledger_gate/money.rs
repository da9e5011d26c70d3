//! What is paid: the tariff in force, subscriptions, long stays, fees people say.

use parkmesh::domain::anomaly::Anomaly;
use parkmesh::domain::event::Body;
use parkmesh::domain::money::Vnd;
use parkmesh::domain::subscription::Subscription;
use parkmesh::domain::tariff::Tariff;
use parkmesh::ledger::job::{Answer, Job, OpenBarrier, Refusal};
use parkmesh::ledger::storage::SettingKind;

use crate::ledger_support::check::check;
use crate::ledger_support::*;

pub fn subscription(id: &str, plate_text: &str, end_date: &str) -> Subscription {
    Subscription {
        id: id.to_owned(),
        plate_number: plate_text.to_owned(),
        owner_name: "Nguyễn Văn A".to_owned(),
        kind: "monthly".to_owned(),
        status: "active".to_owned(),
        start_date: "2024-12-01".to_owned(),
        end_date: end_date.to_owned(),
        phone: String::new(),
        note: String::new(),
    }
}

/// How many changed.
fn put_subscriptions(central: &mut Central, list: Vec<Subscription>) -> usize {
    match central.ask(Job::PutSubscriptions(list)) {
        Ok(Answer::SubscriptionsSet { changed, version }) => {
            assert_eq!(version, central.ledger.settings().subscriptions_version());
            changed
        }
        other => panic!("not set: {other:?}"),
    }
}

#[test]
fn the_version_of_the_list_is_equal_where_the_same_is_held_and_other_after_a_change() {
    let (mut a, mut b) = (Central::new(0), Central::new(1));
    let version = |central: &Central| central.ledger.settings().subscriptions_version();
    let mut seen = vec![version(&a)];
    for (first, second) in [("s1", "s2"), ("s1", "s3"), ("s2", "s1")] {
        put_subscriptions(&mut a, vec![subscription(first, P, "2030-01-01"), subscription("s9", Q, "")]);
        put_subscriptions(&mut b, vec![subscription(second, Q, "2030-01-01")]);
        assert_ne!(version(&a), version(&b));
        a.wait(1);
        b.wait(2);
        a.hear(&mut b);
        b.hear(&mut a);
        assert_eq!(version(&a), version(&b));
        assert!(!seen.contains(&version(&a)), "{seen:?}");
        seen.push(version(&a));
        a = a.restart();
        assert_eq!(version(&a), version(&b), "as it is read again");
    }
}

#[test]
fn a_change_for_a_version_that_is_not_held_any_more_is_refused() {
    let mut central = Central::new(0);
    let list = |id: &str| Job::ChangeSubscriptions(vec![(id.to_owned(), Some(subscription(id, P, "")))]);
    let version = Some(central.ledger.settings().subscriptions_version());
    let guarded = |job: Job| job.if_version(SettingKind::Subscription, version.clone());
    central.ask(guarded(list("s1"))).unwrap();
    assert_eq!(central.ask(guarded(list("s2"))), Err(Refusal::StaleVersion));
    assert_eq!(central.ledger.settings().subscriptions().count(), 1);
    let tariff = |version: Option<&str>| {
        Job::PutTariff(tariff_of(7_000)).if_version(SettingKind::Tariff, version.map(ToOwned::to_owned))
    };
    assert_eq!(central.ask(tariff(Some("central-1/1"))), Err(Refusal::StaleVersion));
    central.ask(tariff(None)).unwrap();
    assert_eq!(central.ask(tariff(None)), Err(Refusal::StaleVersion));
}

#[test]
fn what_somebody_set_is_new_for_a_while_and_what_comes_late_is_new_where_it_comes() {
    let (mut a, mut b) = (Central::new(0), Central::new(1));
    put_subscriptions(&mut a, vec![subscription("s1", P, "")]);
    a.ask(Job::ImportSubscriptions(vec![subscription("s2", Q, "")])).unwrap();
    let set_ms = a.wall_ms();
    let is_new = |central: &Central, id: &str, since_ms: i64| central.ledger.settings().is_set_since(id, since_ms);
    assert!(is_new(&a, "s1", set_ms) && !is_new(&a, "s1", set_ms + 1));
    assert!(!is_new(&a, "s2", 0), "a file is nobody's work");
    b.wait(HOUR_MS);
    b.hear(&mut a);
    assert!(is_new(&b, "s1", set_ms + 1) && !is_new(&b, "s1", b.wall_ms() + 1));
}

fn tariff_of(fee_per_hour: i64) -> Tariff {
    let mut tariff = Tariff::default();
    tariff.base.fee_per_hour = Vnd(fee_per_hour);
    tariff
}

fn exit_event(central: &mut Central) -> parkmesh::domain::event::Exit {
    match central.last_event().body {
        Body::Exit(exit) => exit,
        other => panic!("no exit: {other:?}"),
    }
}

#[test]
fn a_subscription_is_free_on_its_last_day_and_not_after_it() {
    // Half an hour is free of what comes after the last day, too.
    for (later_min, fee) in [(0, 0), (31, 0), (32, 25_000)] {
        let mut central = Central::new(0);
        let list = vec![subscription("s1", "29A-123.45", "2024-12-02"), subscription("s2", Q, "2030-01-01")];
        assert_eq!(put_subscriptions(&mut central, list), 2);
        // 23:59 is still that day.
        central.wait(4 * HOUR_MS + 59 * MINUTE_MS + later_min * MINUTE_MS - HOUR_MS);
        central.enters(entry("edge-1", P));
        central.wait(HOUR_MS);
        assert_eq!(central.exits(exit("edge-1", P)).1, fee, "{later_min} minutes after 23:59");
        assert_eq!(exit_event(&mut central).subscription_id.as_deref(), Some("s1"));
    }
}

/// A stay of 24 h of which a subscription covers a part: the rest costs what a stay of its length does.
#[test]
fn the_hours_outside_a_subscription_are_charged_and_said() {
    // In on 2 December at 19:00, out on the 3rd at 19:00: 5 h of the first day, 19 h of the second.
    for (start, end, hours) in [
        ("2024-12-01", "2024-12-02", Some(19)),
        ("2024-12-03", "2024-12-31", Some(5)),
        ("2024-12-01", "2024-12-31", None),
        ("2024-11-01", "2024-11-30", Some(24)),
    ] {
        let mut central = Central::new(0);
        let plate = "29A-123.45";
        let sold = Subscription { start_date: start.to_owned(), ..subscription("s1", plate, end) };
        central.ask(Job::PutSubscriptions(vec![sold])).unwrap();
        central.enters(entry("edge-1", P));
        central.wait(DAY_MS);
        let answer = central.press(exit("edge-2", P)).unwrap();
        let Answer::Exited { fee, notes, .. } = answer else { panic!("{answer:?}") };
        // Half an hour is free, and a started hour is one.
        assert_eq!(fee, Vnd(hours.unwrap_or(0) * 25_000), "{start} {end}");
        let said: Vec<_> = notes.iter().map(|note| note.code).collect();
        let partly = hours.is_some_and(|hours| hours < 24);
        assert_eq!(said, if partly { vec!["partly_covered"] } else { vec![] }, "{start} {end}");
        let expected = (hours != Some(24)).then(|| "s1".to_owned());
        assert_eq!(exit_event(&mut central).subscription_id, expected);
    }
}

#[test]
fn a_list_replaces_the_one_held() {
    let mut central = Central::new(0);
    let long = "2030-01-01";
    let both = vec![subscription("s1", P, long), subscription("s2", Q, long)];
    central.ask(Job::PutSubscriptions(both.clone())).unwrap();
    assert_eq!(put_subscriptions(&mut central, both), 0);
    assert_eq!(central.ledger.events(), 2);
    // s1 is for the other plate now, s2 is gone, s3 is new.
    let next = vec![subscription("s1", Q, long), subscription("s3", "31C11111", long)];
    assert_eq!(put_subscriptions(&mut central, next.clone()), 3);
    let mut central = central.restart();
    assert_eq!(central.ledger.settings().subscriptions().cloned().collect::<Vec<_>>(), next);
    for (plate_text, fee) in [(P, 25_000), (Q, 0), ("31C11111", 0)] {
        central.enters(entry("edge-1", plate_text));
        central.wait(HOUR_MS);
        assert_eq!(central.exits(exit("edge-1", plate_text)).1, fee, "{plate_text}");
    }
    assert_eq!(put_subscriptions(&mut central, Vec::new()), 2);
    assert!(central.ledger.settings().has_no_subscriptions());
}

#[test]
fn a_list_with_an_id_twice_or_one_too_large_changes_nothing() {
    let long = "2030-01-01";
    let twice = vec![subscription("s1", P, long), subscription("s2", P, long), subscription("s1", Q, long)];
    let mut too_large = subscription("s2", P, long);
    too_large.note = "x".repeat(20_000);
    for list in [twice, vec![subscription("s1", P, long), too_large]] {
        let mut central = Central::new(0);
        assert!(matches!(central.ask(Job::PutSubscriptions(list)), Err(Refusal::Invalid(_))));
        assert_eq!(central.ledger.events(), 0);
        assert!(central.ledger.own_log().is_none() && central.ledger.settings().has_no_subscriptions());
        check(&mut central);
    }
}

#[test]
fn a_stay_over_seven_days_is_charged_only_by_force() {
    let mut central = Central::new(0);
    let stay = central.enters(entry("edge-1", P));
    central.wait(7 * DAY_MS + 1);
    for asked in [open("edge-1", P), exit("edge-1", P)] {
        let Err(Refusal::LongStay(vehicle)) = central.press(asked) else { panic!("charged") };
        assert_eq!(vehicle.inside.unwrap().fee, Vnd(168 * 25_000));
    }
    assert_eq!(central.ledger.events(), 1);
    assert_eq!(central.exits(forced(exit("edge-1", P))), (stay.clone(), 168 * 25_000, "168 giờ 0 phút".to_owned()));
    // Whoever forces the barrier open has seen the car, and not the clock by which its fee was worked out.
    assert!(central.row(&stay).anomalies.contains(&Anomaly::FeeUncertain));
}

#[test]
fn what_a_person_says_was_taken_for_a_long_stay_is_sure() {
    let mut central = Central::new(0);
    let stay = central.enters(entry("edge-1", P));
    central.wait(7 * DAY_MS + 1);
    central.exits(OpenBarrier { fee: Some(Vnd(300_000)), ..forced(exit("edge-1", P)) });
    assert!(!central.row(&stay).anomalies.contains(&Anomaly::FeeUncertain));
}

#[test]
fn a_stay_of_seven_days_or_one_that_is_free_needs_no_force() {
    let mut central = Central::new(0);
    central.enters(entry("edge-1", P));
    central.wait(7 * DAY_MS);
    assert_eq!(central.exits(exit("edge-1", P)).1, 168 * 25_000);
    central.ask(Job::PutSubscriptions(vec![subscription("s1", P, "")])).unwrap();
    central.enters(entry("edge-2", P));
    central.wait(30 * DAY_MS);
    assert_eq!(central.exits(exit("edge-2", P)).1, 0);
}

#[test]
fn an_exit_names_the_version_of_the_tariff_it_was_charged_by() {
    let mut central = Central::new(0);
    let mut charge = |tariff: Option<Tariff>| {
        let version = tariff.map(|tariff| match central.ask(Job::PutTariff(tariff)) {
            Ok(Answer::TariffSet { version }) => version,
            other => panic!("no tariff: {other:?}"),
        });
        central.wait(MINUTE_MS);
        central.enters(entry("edge-1", P));
        central.wait(HOUR_MS);
        let (stay, fee, _) = central.exits(exit("edge-1", P));
        assert_eq!(exit_event(&mut central).tariff_version, version);
        assert_eq!(central.row(&stay).exit.unwrap().tariff_version, version);
        (fee, version)
    };
    assert_eq!(charge(None), (25_000, None));
    let (fee, first) = charge(Some(tariff_of(10_000)));
    assert_eq!(fee, 10_000);
    // Saved again without a change it stays the version it was.
    assert_eq!(charge(Some(tariff_of(10_000))), (10_000, first.clone()));
    let (fee, second) = charge(Some(tariff_of(20_000)));
    assert!(fee == 20_000 && second != first);
    check(&mut central);
}

#[test]
fn of_two_tariffs_set_in_a_cut_the_later_counts_everywhere() {
    let mut first = Central::new(0);
    let mut second = Central::new(1);
    second.wait(SECOND_MS);
    second.ask(Job::PutTariff(tariff_of(20_000))).unwrap();
    first.ask(Job::PutTariff(tariff_of(10_000))).unwrap();
    second.hear(&mut first);
    first.hear(&mut second);
    assert_eq!(first.ledger.digest(), second.ledger.digest());
    for central in [&mut first, &mut second] {
        assert_eq!(central.ledger.settings().tariff().0.base.fee_per_hour, Vnd(20_000));
    }
    // What is set knowing it counts, whatever this clock says.
    first.wait(-HOUR_MS);
    first.ask(Job::PutTariff(tariff_of(30_000))).unwrap();
    second.hear(&mut first);
    assert_eq!(second.ledger.settings().tariff().0.base.fee_per_hour, Vnd(30_000));
}

#[test]
fn a_fee_is_only_taken_where_it_means_something() {
    let fee = |fee: i64, asked: OpenBarrier| OpenBarrier { fee: Some(Vnd(fee)), ..asked };
    for (why, asked) in [
        ("without force", fee(1, exit("edge-1", P))),
        ("negative", forced(fee(-1, exit("edge-1", P)))),
        ("more than anybody has", forced(fee(Vnd::MAX_TOLD.0 + 1, exit("edge-1", P)))),
    ] {
        let mut central = Central::new(0);
        let refused = central.press(asked);
        assert!(matches!(refused, Err(Refusal::Field { field: "fee", .. })), "{why}: {refused:?}");
        assert_eq!(central.ledger.events(), 0);
    }
    let mut central = Central::new(0);
    assert_eq!(central.exits(forced(fee(Vnd::MAX_TOLD.0, exit("edge-1", P)))).1, Vnd::MAX_TOLD.0);
    check(&mut central);
}

#[test]
fn a_forced_opening_with_money_is_never_refused_for_the_state_of_the_lot() {
    let fee = |fee: i64, asked: OpenBarrier| forced(OpenBarrier { fee: Some(Vnd(fee)), ..asked });
    for (why, asked, left, collected, note) in [
        ("of what would be an entry by state", fee(20_000, open("edge-1", P)), true, 20_000, "assumed"),
        ("taken at an entry", fee(20_000, entry("edge-1", P)), false, 0, "not_counted"),
    ] {
        let mut central = Central::new(0);
        let answer = central.press(asked).unwrap();
        let (Answer::Entered { notes, .. } | Answer::Exited { notes, .. }) = &answer else {
            panic!("{why}: {answer:?}")
        };
        assert_eq!(notes.iter().map(|note| note.code).collect::<Vec<_>>(), [note], "{why}");
        let row = central.rows().remove(0);
        assert_eq!((row.exit.is_some(), row.collected), (left, Vnd(collected)), "{why}");
        check(&mut central);
    }
    let mut central = Central::new(0);
    assert!(matches!(central.press(fee(0, open("edge-1", P))), Ok(Answer::Entered { notes, .. }) if notes.is_empty()));
}
