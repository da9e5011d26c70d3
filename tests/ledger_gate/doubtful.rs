//! What cameras and people tell that cannot all be so: it is taken, and said in the answer and at the stay.

use parkmesh::domain::anomaly::Anomaly;
use parkmesh::domain::direction::Direction;
use parkmesh::domain::money::Vnd;
use parkmesh::domain::row::StayStatus;
use parkmesh::domain::tariff::{Rate, Tariff};
use parkmesh::ledger::job::{Answer, Job, OpenBarrier, Passed, Refusal, Report, VoidStay};

use crate::ledger_support::check::check;
use crate::ledger_support::*;
use crate::reporting::{anomalies, report, revenue, take};

fn codes(passed: &Passed) -> Vec<&'static str> {
    passed.notes.iter().map(|note| note.code).collect()
}

/// At a way in, or at a way out.
fn told(direction: Direction, id: &str, at_ms: i64) -> Report {
    let edge = if direction == Direction::Entry { "1" } else { "2" };
    Report { edge_id: edge.to_owned(), ..report(direction, Some(id), Some(at_ms)) }
}

/// A camera that counts its events anew each day, and a car that comes each day.
#[test]
fn an_id_that_comes_back_with_another_time_is_another_passage() {
    const DAYS: i64 = 4;
    let mut central = Central::new(0);
    for day in 0..DAYS {
        for (direction, hour) in [(Direction::Entry, 0), (Direction::Exit, 9)] {
            let at_ms = START_MS + day * DAY_MS + hour * HOUR_MS;
            central.now_ms = at_ms + SECOND_MS;
            let passed = take(&mut central, told(direction, "1", at_ms));
            assert!(!passed.repeated, "{direction:?} of day {day}");
            assert_eq!(codes(&passed), if day == 0 { vec![] } else { vec!["id_reused"] }, "{direction:?} of day {day}");
            // Sent again, as told or stamped anew, it is the same.
            for again_ms in [at_ms, at_ms + SECOND_MS] {
                let again = take(&mut central, told(direction, "1", again_ms));
                assert!(again.repeated && again.event_id == passed.event_id, "{direction:?} of day {day}");
            }
        }
    }
    let visits: Vec<_> = central.rows().iter().map(|row| (row.status, row.collected)).collect();
    assert_eq!(visits, [(StayStatus::Out, Vnd(225_000)); DAYS as usize]);
}

#[test]
fn what_tells_a_repeat_from_a_new_passage_with_the_same_id() {
    let minutes = |n: i64| n * MINUTE_MS;
    for (first_ms, again_ms, wait_ms, is_repeat, note) in [
        // Told times that agree, or that a program stamped anew.
        (Some(0), Some(0), DAY_MS, true, None),
        (Some(0), Some(minutes(5)), DAY_MS, true, None),
        // Those that do not.
        (Some(0), Some(minutes(5) + 1), DAY_MS, false, Some("id_reused")),
        (Some(0), Some(DAY_MS), DAY_MS, false, Some("id_reused")),
        // No time to tell them apart by.
        (None, None, minutes(1), true, None),
        (None, None, minutes(30), true, Some("sent_again")),
        (Some(0), None, minutes(30), true, Some("sent_again")),
        (None, None, minutes(30) + 1, false, Some("may_be_told_twice")),
        (Some(0), None, 12 * HOUR_MS, false, Some("may_be_told_twice")),
        (None, None, 12 * HOUR_MS + 1, false, Some("id_reused")),
        (None, None, DAY_MS, false, Some("id_reused")),
        (Some(0), None, DAY_MS, false, Some("id_reused")),
        (None, Some(DAY_MS - 1), DAY_MS, false, Some("id_reused")),
        // How long ago it came counts, not how long before that it happened.
        (Some(-3 * HOUR_MS), None, minutes(1), true, Some("sent_again")),
    ] {
        let mut central = Central::new(0);
        let at = |ms: Option<i64>| report(Direction::Entry, Some("7"), ms.map(|ms| START_MS + ms));
        central.wait(1);
        take(&mut central, at(first_ms));
        central.wait(wait_ms);
        let again = take(&mut central, at(again_ms));
        assert_eq!(again.repeated, is_repeat, "{first_ms:?} {again_ms:?}");
        let said: Vec<&str> =
            codes(&again).into_iter().filter(|code| !["already_inside", "late"].contains(code)).collect();
        assert_eq!(said, Vec::from_iter(note), "{first_ms:?} {again_ms:?}");
        // Another central that held both would say the same.
        let rows = central.rows();
        central.rebuild(1);
        assert_eq!(central.rows(), rows);
    }
}

/// Its answer got lost, and the program sends it again to another central, hours later: the car has left meanwhile, or is here again.
#[test]
fn what_may_be_a_passage_of_hours_ago_sent_again_is_shown() {
    for (direction, hours, is_shown) in [
        (Direction::Entry, 1, true),
        (Direction::Entry, 13, false),
        (Direction::Exit, 1, true),
        (Direction::Exit, 13, false),
    ] {
        let (mut first, mut second) = (Central::new(0), Central::new(1));
        let timeless = |direction: Direction, id: &str| report(direction, Some(id), None);
        take(&mut first, timeless(Direction::Entry, "ENTRY"));
        first.wait(10 * MINUTE_MS);
        take(&mut first, timeless(Direction::Exit, "EXIT"));
        if direction == Direction::Exit {
            first.wait(10 * MINUTE_MS);
            take(&mut first, timeless(Direction::Entry, "again"));
        }
        second.now_ms = first.now_ms;
        second.hear(&mut first);
        second.wait(hours * HOUR_MS);
        let passed = take(&mut second, timeless(direction, direction.name()));
        assert!(!passed.repeated, "{direction:?} {hours}");
        let shown = anomalies(&mut second, &passed.event_id).contains(&"may_be_told_twice");
        assert_eq!(
            (shown, codes(&passed).contains(&"may_be_told_twice")),
            (is_shown, is_shown),
            "{direction:?} {hours}"
        );
        // Whoever hears of it shows the same.
        first.hear(&mut second);
        assert_eq!(first.rows(), second.rows());
    }
}

#[test]
fn an_id_told_of_two_cars_is_two_passages_and_said() {
    let mut central = Central::new(0);
    assert!(take(&mut central, report(Direction::Entry, Some("7"), None)).notes.is_empty());
    let other = Report { plate: plate(Q), ..report(Direction::Entry, Some("7"), None) };
    let other = take(&mut central, other);
    assert_eq!((codes(&other), other.repeated), (vec!["id_reused"], false));
    assert_eq!(central.ledger.inside().len(), 2);
}

/// The exit of the first day was missed, so that the entry of the next opens nothing.
#[test]
fn a_fee_of_a_stay_whose_exit_may_have_been_missed_is_told() {
    for at_gate in [false, true] {
        let mut central = Central::new(0);
        let stay = take(&mut central, told(Direction::Entry, "a", START_MS - 1)).event_id;
        central.wait(DAY_MS);
        let next_ms = central.now_ms - 1;
        let again = take(&mut central, told(Direction::Entry, "b", next_ms));
        assert_eq!(codes(&again), ["already_inside"]);
        central.wait(8 * HOUR_MS);
        let said: Vec<&str> = if at_gate {
            match central.press(exit("edge-9", P)).unwrap() {
                Answer::Exited { notes, .. } => notes.iter().map(|note| note.code).collect(),
                other => panic!("{other:?}"),
            }
        } else {
            let left_ms = central.now_ms - 1;
            codes(&take(&mut central, told(Direction::Exit, "c", left_ms)))
        };
        assert_eq!(said, ["entered_again"]);
        assert_eq!(anomalies(&mut central, &stay), ["double_entry", "fee_uncertain"]);
        check(&mut central);
    }
}

/// The exit of the first day was read as another plate's. A person puts that right a week later.
#[test]
fn an_exit_that_gets_its_plate_gives_the_later_ones_their_stays() {
    let mut first = Central::new(0);
    let mut second = Central::new(1);
    let mut misread = String::new();
    for day in 0..4 {
        for (direction, hour, plate_text) in
            [(Direction::Entry, 0, P), (Direction::Exit, 9, if day == 0 { Q } else { P })]
        {
            let at_ms = START_MS + day * DAY_MS + hour * HOUR_MS;
            first.now_ms = at_ms + SECOND_MS;
            let told = Report { plate: plate(plate_text), ..told(direction, &format!("{day}-{hour}"), at_ms) };
            let passed = take(&mut first, told);
            if plate_text == Q {
                misread = passed.event_id;
            }
        }
    }
    let before: Vec<_> = first.rows().iter().map(|row| (row.status, row.collected.0)).collect();
    let paid_for_two_days = 33 * 25_000;
    assert_eq!(
        before,
        [
            (StayStatus::Out, paid_for_two_days),
            (StayStatus::Out, 0),
            (StayStatus::Superseded, 0),
            (StayStatus::Out, 225_000),
            (StayStatus::Out, 225_000),
        ]
    );
    let money = revenue(&mut first);
    second.hear(&mut first);
    // In a cut two people see it.
    for central in [&mut first, &mut second] {
        central.now_ms = START_MS + 7 * DAY_MS;
        central.ask(correct(&misread, P)).unwrap();
        check(central);
    }
    first.hear(&mut second);
    second.hear(&mut first);
    for central in [&mut first, &mut second] {
        check(central);
        let rows = central.rows();
        let visits: Vec<_> = rows.iter().map(|row| (row.status, row.collected.0)).collect();
        let expected = [0, paid_for_two_days, 225_000, 225_000].map(|paid| (StayStatus::Out, paid));
        assert_eq!((visits, revenue(central)), (expected.to_vec(), money));
        let days: Vec<i64> =
            rows.iter().map(|row| (row.exit.as_ref().unwrap().exit_ms - row.entry_ms) / HOUR_MS).collect();
        assert_eq!(days, [9; 4], "each visit has its own entry and exit");
        assert!(rows[1].anomalies.iter().any(|anomaly| anomaly.name() == "fee_uncertain"));
        assert!(rows[2].anomalies.is_empty());
        central.rebuild(1);
        assert_eq!(central.rows(), rows);
    }
    assert_eq!(first.rows(), second.rows());
}

#[test]
fn a_second_camera_of_one_entry_leaves_the_stay_as_it_is() {
    let mut central = Central::new(0);
    let stay = take(&mut central, told(Direction::Entry, "a", START_MS - 1)).event_id;
    central.wait(MINUTE_MS);
    let other = Report { edge_id: "9".to_owned(), ..told(Direction::Entry, "b", START_MS + MINUTE_MS - 1) };
    take(&mut central, other);
    central.wait(HOUR_MS);
    let left_ms = central.now_ms - 1;
    assert!(take(&mut central, told(Direction::Exit, "c", left_ms)).notes.is_empty());
    assert!(anomalies(&mut central, &stay).is_empty());
}

fn rates() -> Tariff {
    let base = Tariff::default();
    let moto = Rate { fee_per_hour: Vnd(5_000), ..base.base.clone() };
    Tariff { types: [("moto".to_owned(), moto)].into(), ..base }
}

/// What each side tells of the type of one plate's vehicle: what it pays, what is said, what is shown.
#[test]
fn the_type_told_at_the_exit_counts_where_the_entry_told_none_and_is_said_where_they_differ() {
    for (entered, left, fee, said, shown) in [
        ("", "moto", 5_000, None, vec![]),
        ("", "", 25_000, None, vec![]),
        ("moto", "", 5_000, None, vec![]),
        ("moto", "xe máy", 5_000, None, vec![]),
        ("car", "truck", 25_000, Some("other_type"), vec![]),
        ("moto", "car", 5_000, Some("other_type"), vec!["fee_uncertain", "other_type"]),
        ("car", "moto", 25_000, Some("other_type"), vec!["fee_uncertain", "other_type"]),
    ] {
        for at_gate in [false, true] {
            let mut central = Central::new(0);
            central.ask(Job::PutTariff(rates())).unwrap();
            let typed = |kind: &str, report: Report| Report { camera_type: kind.to_owned(), ..report };
            let stay = take(&mut central, typed(entered, told(Direction::Entry, "a", START_MS - 1))).event_id;
            central.wait(HOUR_MS);
            let (due, codes) = if at_gate {
                let asked = OpenBarrier { camera_type: left.to_owned(), ..exit("edge-9", P) };
                match central.press(asked).unwrap() {
                    Answer::Exited { fee, notes, .. } => (fee, notes.iter().map(|note| note.code).collect()),
                    other => panic!("{other:?}"),
                }
            } else {
                let left = take(&mut central, typed(left, told(Direction::Exit, "b", START_MS + HOUR_MS - 1)));
                (left.fee, codes(&left))
            };
            assert_eq!((due, codes), (Vnd(fee), Vec::from_iter(said)), "{entered} {left} {at_gate}");
            assert_eq!(anomalies(&mut central, &stay), shown, "{entered} {left} {at_gate}");
            if entered.is_empty() {
                let kept = if left == "moto" { "moto" } else { "" };
                assert_eq!(central.row(&stay).camera_type, kept);
            }
            check(&mut central);
        }
    }
}

/// 29B-112.34 of a car and 29-B1 1234 of a motorbike, told by programs.
#[test]
fn a_vehicle_of_another_type_that_is_told_to_come_in_is_said_and_shown() {
    for (inside, comes, unlike) in [("car", "moto", true), ("moto", "truck", true), ("car", "truck", false)] {
        let mut central = Central::new(0);
        let typed = |kind: &str, report: Report| Report { camera_type: kind.to_owned(), ..report };
        let stay = take(&mut central, typed(inside, told(Direction::Entry, "a", START_MS - 1))).event_id;
        central.wait(HOUR_MS);
        let second = take(&mut central, typed(comes, told(Direction::Entry, "b", START_MS + HOUR_MS - 1)));
        assert_eq!(codes(&second), [if unlike { "other_type" } else { "already_inside" }]);
        let expected = |first: &'static str| if unlike { vec![first, "other_type"] } else { vec![first] };
        assert_eq!(anomalies(&mut central, &second.event_id), expected("double_entry"));
        assert_eq!(anomalies(&mut central, &stay), expected("double_entry"));
    }
}

#[test]
fn an_amount_nobody_takes_is_kept_as_told_and_said() {
    for (amount, said) in [(0, false), (999, true), (25, true), (1_000, false), (10_000_000, false), (10_000_001, true)]
    {
        let mut central = Central::new(0);
        let asked = forced(OpenBarrier { fee: Some(Vnd(amount)), ..exit("edge-9", P) });
        let Ok(Answer::Exited { event_id, fee, notes, .. }) = central.press(asked) else { panic!("{amount}") };
        assert_eq!((fee, notes.first().map(|note| note.code)), (Vnd(amount), said.then_some("implausible")));
        assert_eq!(anomalies(&mut central, &event_id).contains(&"fee_uncertain"), said, "{amount}");
    }
    let mut central = Central::new(0);
    let asked = forced(OpenBarrier { fee: Some(Vnd(Vnd::MAX_TOLD.0 + 1)), ..exit("edge-9", P) });
    assert!(matches!(central.press(asked), Err(Refusal::Field { field: "fee", .. })));
}

#[test]
fn a_fee_told_at_an_entry_is_kept_and_said_to_count_nowhere() {
    let mut central = Central::new(0);
    let paid = Report { fee: Some(Vnd(20_000)), ..report(Direction::Entry, None, None) };
    let entered = take(&mut central, paid);
    assert_eq!(codes(&entered), ["not_counted"]);
    assert_eq!((revenue(&mut central), anomalies(&mut central, &entered.event_id)), (0, vec!["fee_uncertain"]));
    let parkmesh::domain::event::Body::Entry(entry) = central.last_event().body else { panic!("an entry") };
    assert_eq!(entry.told_fee, Some(Vnd(20_000)));
}

/// Of a car nobody knows the entry of: the first amount that is told counts, at whatever gate it is told again.
#[test]
fn an_exit_told_again_at_another_gate_with_more_money_is_paid_once() {
    for (first, again, counted, said) in [
        (Some(20_000), Some(25_000), 20_000, Some("counted_once")),
        (Some(20_000), Some(20_000), 20_000, None),
        (Some(20_000), None, 20_000, None),
        (None, Some(25_000), 25_000, None),
        (Some(0), Some(25_000), 25_000, None),
    ] {
        let mut central = Central::new(0);
        let of = |id: &str, edge: &str, fee: Option<i64>, at_ms| Report {
            edge_id: edge.to_owned(),
            fee: fee.map(Vnd),
            ..report(Direction::Exit, Some(id), Some(at_ms))
        };
        let left = take(&mut central, of("a", "2", first, START_MS - 1)).event_id;
        central.wait(MINUTE_MS);
        let passed = take(&mut central, of("b", "3", again, START_MS + MINUTE_MS - 1));
        assert_eq!((passed.event_id.as_str(), passed.repeated, passed.fee), (left.as_str(), true, Vnd(counted)));
        assert_eq!((codes(&passed), revenue(&mut central)), (Vec::from_iter(said), counted), "{first:?} {again:?}");
        assert_eq!(central.row(&left).collected, Vnd(counted), "{first:?} {again:?}");
    }
}

/// Days kept through an outage: the entry is older than what is believed, and the exit is not.
#[test]
fn a_pair_of_which_only_the_entry_is_too_old_is_one_stay_and_costs_what_it_cost() {
    let mut central = Central::new(0);
    let in_ms = START_MS - 7 * DAY_MS - HOUR_MS;
    let entered = take(&mut central, told(Direction::Entry, "a", in_ms));
    assert_eq!(codes(&entered), ["too_old"]);
    central.wait(SECOND_MS);
    let left = take(&mut central, told(Direction::Exit, "b", in_ms + 3 * HOUR_MS));
    assert_eq!((left.event_id.as_str(), left.fee), (entered.event_id.as_str(), Vnd(75_000)));
    assert_eq!((codes(&left), left.duration.as_str()), (vec!["late", "before_entry"], "3 giờ 0 phút"));
    assert_eq!(central.ledger.inside().len(), 0);
    let shown = anomalies(&mut central, &entered.event_id);
    assert!(shown.contains(&"time_uncertain") && shown.contains(&"fee_uncertain"), "{shown:?}");
    check(&mut central);
}

/// An entry told hours later is no moment ago, whenever it was committed.
#[test]
fn a_press_right_after_a_late_report_lets_the_car_out() {
    let mut central = Central::new(0);
    let stay = take(&mut central, told(Direction::Entry, "a", START_MS - 23 * HOUR_MS)).event_id;
    assert_eq!(central.exits(open("edge-9", P)).0, stay);
}

/// Front and rear camera report to two centrals that do not hear each other.
#[test]
fn a_passage_told_at_two_centrals_in_a_cut_is_one_row_and_one_fee_and_a_void_removes_it() {
    let at =
        |ms: i64, fee: Option<i64>| Report { fee: fee.map(Vnd), ..report(Direction::Exit, None, Some(START_MS + ms)) };
    for (name, knows, first_fee, second_fee, counts) in [
        ("nobody knows the entry", false, Some(25_000), Some(25_000), 25_000),
        ("the first told no money", false, None, Some(25_000), 25_000),
        ("the first knows it", true, None, None, 50_000),
        ("and the other took money", true, None, Some(30_000), 50_000),
    ] {
        for first_is_sooner in [true, false] {
            let (mut first, mut second) = (Central::new(0), Central::new(1));
            if knows {
                first.now_ms = START_MS - 2 * HOUR_MS;
                first.ask(Job::Open(entry("edge-1", P))).unwrap();
            }
            (first.now_ms, second.now_ms) = (START_MS + 10 * MINUTE_MS, START_MS + 10 * MINUTE_MS);
            let (soon, late) = (MINUTE_MS, 3 * MINUTE_MS);
            let (first_ms, second_ms) = if first_is_sooner { (soon, late) } else { (late, soon) };
            first.ask(Job::Report(at(first_ms, first_fee))).unwrap();
            second.ask(Job::Report(at(second_ms, second_fee))).unwrap();
            second.hear(&mut first);
            first.hear(&mut second);
            for central in [&mut first, &mut second] {
                central.settle();
                check(central);
                let rows = central.rows();
                assert_eq!(rows.len(), 1, "{name}: {rows:?}");
                assert_eq!(rows[0].collected, Vnd(counts), "{name}, sooner {first_is_sooner}");
                assert!(rows[0].anomalies.contains(&Anomaly::DoubleExit), "{name}");
                assert_eq!(revenue(central), counts, "{name}: it earns once");
            }
            assert_eq!(first.ledger.digest(), second.ledger.digest());
            let stay_id = first.rows()[0].stay_id.clone();
            first.ask(Job::Void(VoidStay { stay_id, reason: "test".to_owned() })).unwrap();
            check(&mut first);
            let rows = first.rows();
            assert_eq!(
                rows.iter().map(|row| row.collected.0).sum::<i64>(),
                0,
                "{name}: nothing of it comes back: {rows:?}"
            );
        }
    }
}

/// The answer to an exit was lost, and it is sent again for hours: nothing leaves twice, and nothing is counted twice.
#[test]
fn an_exit_without_a_time_that_is_sent_again_for_hours_counts_once() {
    for (after_ms, inside_again, repeated) in [
        (40 * MINUTE_MS, false, true),
        (12 * HOUR_MS, false, true),
        (12 * HOUR_MS + 1, false, false),
        (40 * MINUTE_MS, true, false),
    ] {
        let mut central = Central::new(0);
        let exit = || Report { fee: Some(Vnd(20_000)), ..report(Direction::Exit, Some("9"), None) };
        take(&mut central, exit());
        central.wait(5 * MINUTE_MS + 1);
        if inside_again {
            central.enters(entry("in", P));
        }
        central.wait(after_ms - 5 * MINUTE_MS - 1);
        let again = take(&mut central, exit());
        assert_eq!((again.repeated, central.rows().len()), (repeated, if repeated { 1 } else { 2 }), "{after_ms}");
        assert!(!repeated || revenue(&mut central) == 20_000);
    }
}

/// A camera whose clock is three hours behind, and one that tells UTC: their times are used, and said to be doubtful.
#[test]
fn a_gate_whose_clock_is_behind_is_told_so_and_its_stays_show_it() {
    for (late_ms, first_said, restarted) in
        [(3 * HOUR_MS, 3, false), (7 * HOUR_MS, 0, false), (3 * HOUR_MS, 3, true), (7 * HOUR_MS, 0, true)]
    {
        let mut central = Central::new(0);
        for nth in 0..5 {
            // What was learned is not forgotten, whichever of its logs says it.
            if restarted {
                central = central.restart();
            }
            let said = nth >= first_said;
            central.wait(10 * MINUTE_MS);
            let report = Report {
                plate: plate(&format!("29A0000{nth}")),
                ..told(Direction::Entry, &format!("{nth}"), central.now_ms - late_ms)
            };
            let passed = take(&mut central, report);
            assert_eq!(codes(&passed), if said { vec!["clock_behind"] } else { vec![] }, "{late_ms} {nth}");
            let expected: &[&str] = if said { &["time_uncertain"] } else { &[] };
            assert_eq!(anomalies(&mut central, &passed.event_id), expected);
        }
        // What another gate kept through a cut is no such thing.
        for minutes_ago in [180, 120, 60] {
            central.wait(SECOND_MS);
            let at_ms = central.now_ms - minutes_ago * MINUTE_MS;
            let kept = Report {
                plate: plate(&format!("29B00{minutes_ago:03}")),
                ..told(Direction::Exit, &format!("{minutes_ago}"), at_ms)
            };
            assert_eq!(codes(&take(&mut central, kept)), Vec::<&str>::new());
        }
    }
}
