//! In, out, pressed twice, forced, or a clear no.

use parkmesh::domain::anomaly::Anomaly;
use parkmesh::domain::direction::Direction;
use parkmesh::domain::event::Body;
use parkmesh::domain::lane::Lanes;
use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::{FeeLine, Method, Part};
use parkmesh::domain::row::StayStatus;
use parkmesh::domain::told::payment::ToldPaid;
use parkmesh::ledger::job::{Answer, Detection, InsideInfo, Job, OpenBarrier, Refusal, Report, VehicleInfo};

use crate::ledger_support::check::check;
use crate::ledger_support::*;
use crate::reporting::{report, take};

#[test]
fn the_first_press_lets_a_car_in() {
    let mut central = Central::new(0);
    let answer = central.press(open("edge-1", P));
    let stay = format!("central-1_{START_MS}_{P}");
    assert_eq!(
        answer,
        Ok(Answer::Entered { event_id: stay.clone(), history_id: 1, repeated: false, notes: Vec::new() })
    );
    let row = central.row(&stay);
    assert_eq!((row.status, row.entry_ms, row.edge_id.as_str()), (StayStatus::In, START_MS, "edge-1"));
    assert_eq!((row.plate_view.as_str(), row.entry_manual), ("29A-123.45", false));
    let Body::Entry(entry) = central.last_event().body else { panic!("an entry") };
    assert_eq!(entry.entry_time, "2024-12-02 19:00:00");
    check(&mut central);
}

#[test]
fn a_later_press_lets_it_out_for_what_the_tariff_says() {
    let mut central = Central::new(0);
    let stay = central.enters(open("edge-1", P));
    central.wait(91 * MINUTE_MS);
    assert_eq!(central.exits(open("edge-2", P)), (stay.clone(), 50_000, "1 giờ 31 phút".to_owned()));
    let row = central.row(&stay);
    let exit = row.exit.unwrap();
    assert_eq!((row.status, row.collected), (StayStatus::Out, Vnd(50_000)));
    assert_eq!((exit.edge_id.as_str(), exit.exit_ms), ("edge-2", START_MS + 91 * MINUTE_MS));
    assert!(!exit.manual && row.anomalies.is_empty());
    check(&mut central);
}

#[test]
fn a_second_press_of_an_entry_gets_the_first_answer_again() {
    for second in [open("edge-1", P), entry("edge-1", P), forced(entry("edge-1", P))] {
        for restarted in [false, true] {
            let mut central = Central::new(0);
            let stay = central.enters(entry("edge-1", P));
            central.wait(9_999);
            if restarted {
                central = central.restart();
            }
            let again = Answer::Entered { event_id: stay, history_id: 1, repeated: true, notes: Vec::new() };
            assert_eq!(central.press(second.clone()), Ok(again), "{second:?} {restarted}");
            assert_eq!(central.ledger.events(), 1);
        }
    }
}

#[test]
fn a_second_press_of_an_exit_gets_the_first_answer_again() {
    for second in [open("edge-1", P), exit("edge-1", P), forced(exit("edge-1", P))] {
        for restarted in [false, true] {
            let mut central = Central::new(0);
            let stay = central.enters(entry("edge-1", P));
            central.wait(31 * MINUTE_MS);
            let first = exit("edge-1", P);
            assert_eq!(central.exits(first), (stay.clone(), 25_000, "0 giờ 31 phút".to_owned()));
            central.wait(9_999);
            if restarted {
                central = central.restart();
            }
            let duration = "0 giờ 31 phút".to_owned();
            let again =
                Answer::Exited { event_id: stay, fee: Vnd(25_000), duration, repeated: true, notes: Vec::new() };
            assert_eq!(central.press(second.clone()), Ok(again), "{second:?} {restarted}");
            assert_eq!(central.ledger.events(), 2);
        }
    }
}

#[test]
fn ten_seconds_later_a_press_is_one_of_its_own() {
    let mut central = Central::new(0);
    let stay = central.enters(entry("edge-1", P));
    central.wait(10 * SECOND_MS);
    assert!(matches!(central.press(entry("edge-1", P)), Err(Refusal::AlreadyInside(_))));
    assert_eq!(central.exits(open("edge-1", P)), (stay.clone(), 0, "0 giờ 0 phút".to_owned()));
    central.wait(10 * SECOND_MS);
    assert!(matches!(central.press(exit("edge-1", P)), Err(Refusal::NotInside(_))));
    assert_ne!(central.enters(open("edge-1", P)), stay);
}

#[test]
fn a_press_of_another_edge_is_not_the_same_press() {
    let mut central = Central::new(0);
    central.enters(entry("edge-1", P));
    assert!(matches!(central.press(entry("edge-2", P)), Err(Refusal::AlreadyInside(_))));
    central.exits(exit("edge-2", P));
    assert!(matches!(central.press(exit("edge-1", P)), Err(Refusal::NotInside(_))));
}

/// Sites may name the edges of every central alike.
#[test]
fn a_press_of_the_same_edge_at_another_central_is_not_the_same_press() {
    let mut first = Central::new(0);
    let mut second = Central::new(1);
    first.enters(entry("edge-1", P));
    second.hear(&mut first);
    second.wait(SECOND_MS);
    assert!(matches!(second.press(entry("edge-1", P)), Err(Refusal::AlreadyInside(_))));
    second.exits(exit("edge-1", P));
    first.wait(2 * SECOND_MS);
    first.hear(&mut second);
    assert!(matches!(first.press(exit("edge-1", P)), Err(Refusal::NotInside(_))));
}

#[test]
fn without_a_direction_a_car_leaves_at_another_edge_a_second_after_it_came_in() {
    for (after_ms, leaves) in [(0, false), (1, false), (999, false), (1_000, true), (9_999, true)] {
        let mut central = Central::new(0);
        let stay = central.enters(open("edge-1", P));
        central.wait(after_ms);
        if !leaves {
            for asked in [open("edge-2", P), forced(open("edge-2", P))] {
                let Err(Refusal::JustEntered { vehicle, retry_after_s: said }) = central.press(asked) else {
                    panic!("let out after {after_ms} ms")
                };
                assert_eq!((said, vehicle.inside.unwrap().stay_id), (1, stay.clone()), "after {after_ms} ms");
            }
            assert_eq!(central.ledger.events(), 1);
            central.wait(SECOND_MS);
        }
        // The same edge says the same again.
        let again = central.press(open("edge-1", P)).unwrap();
        assert!(matches!(again, Answer::Entered { repeated: true, .. }), "{again:?}");
        assert_eq!(central.exits(open("edge-2", P)).0, stay);
        let quick: Vec<&str> = central.row(&stay).anomalies.iter().map(|anomaly| anomaly.name()).collect();
        assert_eq!(quick, ["quick_exit"]);
    }
}

/// A camera and a barrier at one lane, each with an id of its own, and a barrier elsewhere.
#[test]
fn a_barrier_that_opens_for_what_the_camera_of_its_lane_told_is_the_same_passage() {
    let lanes = [("camera-1", "lane-1"), ("barrier-1", "lane-1"), ("camera-2", "lane-2"), ("barrier-2", "lane-2")];
    let told = |direction| Report { edge_id: "camera-1".to_owned(), ..report(direction, None, None) };
    for (edge, after_ms, comes_in) in [("barrier-1", 2 * SECOND_MS, true), ("barrier-2", 2 * SECOND_MS, false)] {
        let mut central = Central::new(0);
        central.ledger.set_lanes(Lanes::of(lanes.into_iter()));
        let stay = take(&mut central, told(Direction::Entry)).event_id;
        central.wait(after_ms);
        for asked in [open(edge, P), entry(edge, P)] {
            match (comes_in, asked.direction, central.press(asked)) {
                (true, _, Ok(Answer::Entered { event_id, repeated: true, .. })) => assert_eq!(event_id, stay),
                (false, None, Err(Refusal::JustEntered { retry_after_s: 8, .. })) => {}
                (false, Some(_), Err(Refusal::AlreadyInside(_))) => {}
                other => panic!("{edge}: {other:?}"),
            }
        }
        assert_eq!(central.row(&stay).status, StayStatus::In);
        let confirmed = central.ask(close(edge, P)).unwrap();
        assert!(matches!(confirmed, Answer::Closed { confirmed, .. } if confirmed == comes_in), "{confirmed:?}");
        // What the camera tells after the barrier was asked is that passage, too.
        central.wait(DAY_MS);
        central.exits(exit(edge, P));
        central.wait(MINUTE_MS);
        let stay = central.enters(entry("barrier-1", P));
        central.wait(2 * SECOND_MS);
        let passed = take(&mut central, told(Direction::Entry));
        assert_eq!((passed.event_id, passed.repeated), (stay.clone(), true));
        // And so on the way out: the barrier is not asked to let it in again.
        central.wait(DAY_MS);
        take(&mut central, told(Direction::Exit));
        central.wait(2 * SECOND_MS);
        let again = central.press(open("barrier-1", P)).unwrap();
        assert!(matches!(again, Answer::Exited { repeated: true, .. }), "{again:?}");
        assert_eq!(central.row(&stay).status, StayStatus::Out);
    }
}

/// The camera of a lane sees the car before the barrier is asked, and its clock may be behind: for a minute it is the same passage, in and out.
#[test]
fn the_barrier_of_a_lane_is_asked_for_what_its_camera_told_up_to_a_minute_ago() {
    let lanes = [("camera", "lane"), ("barrier", "lane")];
    for (behind_s, after_s, same) in [
        (0, 2, true),
        (11, 1, true),
        (11, 59, true),
        (240, 30, true),
        // A clock that tells UTC, and a gate that was cut off for as long as an hour.
        (7 * 3_600, 5, true),
        (3_600, 5, false),
        (0, 60, false),
    ] {
        let mut central = Central::new(0);
        central.ledger.set_lanes(Lanes::of(lanes.into_iter()));
        central.enters(entry("elsewhere", P));
        central.wait(10 * HOUR_MS);
        let told = |central: &Central, direction| {
            let told_ms = (behind_s > 0).then(|| central.now_ms - behind_s * SECOND_MS);
            Report { edge_id: "camera".to_owned(), ..report(direction, None, told_ms) }
        };
        let left = told(&central, Direction::Exit);
        let stay = take(&mut central, left).event_id;
        central.wait(after_s * SECOND_MS);
        match central.press(open("barrier", P)) {
            Ok(Answer::Exited { event_id, repeated: true, .. }) => assert!(same && event_id == stay),
            Ok(Answer::Entered { repeated: false, .. }) => assert!(!same, "let in again: {behind_s} {after_s}"),
            other => panic!("{other:?}"),
        }
        if same && behind_s == 0 {
            central.wait(5 * HOUR_MS);
            let came = told(&central, Direction::Entry);
            let stay = take(&mut central, came).event_id;
            central.wait(30 * SECOND_MS);
            let again = central.press(open("barrier", P)).unwrap();
            assert!(
                matches!(again, Answer::Entered { repeated: true, ref event_id, .. } if *event_id == stay),
                "{again:?}"
            );
        }
        check(&mut central);
    }
}

/// Where nobody said which edges are one lane, a car whose entry was told is let out by state no sooner than a barrier is asked for it.
#[test]
fn without_a_direction_a_car_whose_entry_was_told_leaves_ten_seconds_later() {
    for (after_ms, wait_s) in [(0, 10), (2 * SECOND_MS, 8), (9_999, 1), (10_000, 0)] {
        let mut central = Central::new(0);
        let stay = take(&mut central, report(Direction::Entry, None, None)).event_id;
        central.wait(after_ms);
        match central.press(open("barrier", P)) {
            Err(Refusal::JustEntered { retry_after_s, .. }) => assert_eq!(retry_after_s, wait_s, "after {after_ms} ms"),
            Ok(Answer::Exited { event_id, .. }) => assert_eq!((event_id, wait_s), (stay, 0)),
            other => panic!("{other:?}"),
        }
    }
}

/// A camera that asks for its barrier itself tells of the car up the road, under the same id: for a minute that press is the same passage.
#[test]
fn an_edge_that_told_of_a_car_and_asks_for_it_up_to_a_minute_later_means_the_same_passage() {
    for (direction, after_s, same) in [
        (Direction::Entry, 11, true),
        (Direction::Entry, 59, true),
        (Direction::Entry, 60, false),
        (Direction::Exit, 11, true),
        (Direction::Exit, 59, true),
        (Direction::Exit, 60, false),
    ] {
        let mut central = Central::new(0);
        if direction == Direction::Exit {
            central.enters(entry("edge-1", P));
            central.wait(5 * HOUR_MS);
        }
        let edge = "edge-2".to_owned();
        let stay = take(&mut central, Report { edge_id: edge.clone(), ..report(direction, None, None) }).event_id;
        central.wait(after_s * SECOND_MS);
        let (event_id, repeated) = match central.press(open(&edge, P)).unwrap() {
            Answer::Entered { event_id, repeated, .. } | Answer::Exited { event_id, repeated, .. } => {
                (event_id, repeated)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!((repeated, repeated && event_id == stay), (same, same), "{direction:?} {after_s}");
        check(&mut central);
    }
}

/// Where nobody said which edges are one lane, the barrier of the camera at the way out looks like another gate: no car comes in by it.
#[test]
fn without_a_direction_a_car_whose_exit_was_told_does_not_come_in_for_ten_seconds() {
    for (behind_s, after_ms, comes_in) in [
        (0, 0, false),
        (0, 9_999, false),
        (40, 2 * SECOND_MS, false),
        (90, 2 * SECOND_MS, false),
        (0, 10 * SECOND_MS, true),
        // Of hours ago, told only now.
        (2 * 3_600, 2 * SECOND_MS, true),
    ] {
        let mut central = Central::new(0);
        let stay = central.enters(entry("elsewhere", P));
        central.wait(5 * HOUR_MS);
        let told_ms = (behind_s > 0).then_some(central.now_ms - behind_s * SECOND_MS);
        take(&mut central, report(Direction::Exit, None, told_ms));
        central.wait(after_ms);
        let events = central.ledger.events();
        match central.press(open("barrier", P)).unwrap() {
            Answer::Exited { event_id, repeated: true, .. } => assert!(!comes_in && event_id == stay),
            Answer::Entered { repeated: false, .. } => assert!(comes_in, "let in {after_ms} ms after it left"),
            other => panic!("{other:?}"),
        }
        assert_eq!(central.ledger.events(), events + u64::from(comes_in));
        // Who says that it comes in lets it in.
        if !comes_in {
            central.enters(entry("barrier", P));
        }
        check(&mut central);
    }
}

/// A kiosk told the exit with a part of the fee, and who stands there takes what was missing.
#[test]
fn a_rest_that_is_pressed_after_a_part_was_told_is_taken_beside_it() {
    let mut central = Central::new(0);
    central.enters(entry("edge-1", P));
    central.wait(5 * HOUR_MS);
    let part = ToldPaid { amount: Some(Vnd(5_000)), reference: Some("FT1".to_owned()), ..ToldPaid::by(Method::Qr) };
    let mut told = Report { edge_id: "edge-2".to_owned(), ..report(Direction::Exit, None, None) };
    told.beside.paid = Some(part);
    let stay = take(&mut central, told).event_id;
    let Body::Exit(exit) = central.last_event().body else { panic!("an exit") };
    let missing = parkmesh::domain::payment::unpaid(&exit.lines);
    assert_eq!((exit.fee, missing > Vnd(0)), (Vnd(5_000), true));
    central.wait(30 * SECOND_MS);
    let mut pressed = OpenBarrier { direction: Some(Direction::Exit), ..open("edge-2", P) };
    pressed.beside.paid = Some(ToldPaid { amount: Some(missing), ..ToldPaid::by(Method::Cash) });
    let answer = central.press(pressed).unwrap();
    let due = Vnd(5_000 + missing.0);
    assert!(matches!(answer, Answer::Exited { fee, .. } if fee == due), "{answer:?}");
    assert_eq!(central.row(&stay).collected, due);
    let Body::Exit(exit) = central.last_event().body else { panic!("an exit") };
    let paid = exit.paid.unwrap();
    let ways: Vec<_> = paid.ways().map(|(method, amount, reference)| (method, amount, reference.is_some())).collect();
    assert_eq!(ways, [(Method::Qr, Vnd(5_000), true), (Method::Cash, missing, false)]);
    check(&mut central);
}

/// The camera's program tells the exit, and who stands there says a little later what was taken, or how.
#[test]
fn money_that_is_pressed_after_an_exit_was_told_counts_in_its_place_once() {
    for is_known in [true, false] {
        for (edge, after_s, fee, method) in [
            ("edge-2", 30, Some(30_000), None),
            ("edge-2", 5, Some(30_000), Some(Method::Qr)),
            ("edge-2", 50, None, Some(Method::Qr)),
            ("barrier", 5, Some(30_000), Some(Method::Card)),
            ("edge-2", 30, Some(0), None),
            ("edge-2", 240, Some(30_000), Some(Method::Cash)),
            ("elsewhere", 240, Some(30_000), None),
        ] {
            let mut central = Central::new(0);
            if is_known {
                central.enters(entry("edge-1", P));
                central.wait(5 * HOUR_MS);
            }
            let told = Report { edge_id: "edge-2".to_owned(), ..report(Direction::Exit, None, None) };
            let stay = take(&mut central, told).event_id;
            let due = central.row(&stay).collected;
            central.wait(after_s * SECOND_MS);
            let mut pressed = open(edge, P);
            if fee.is_some() {
                let reason = Some("let go".to_owned());
                pressed = forced(OpenBarrier { fee: fee.map(Vnd), reason, ..pressed });
            }
            // A press that says that it leaves, and one that only says how it paid, are the same.
            if fee.is_none() {
                pressed.direction = Some(Direction::Exit);
            }
            pressed.beside.paid = method.map(ToldPaid::by);
            let what = format!("{is_known} {edge} {fee:?} {method:?}");
            let Ok(Answer::Exited { event_id, fee: counted, repeated: false, .. }) = central.press(pressed.clone())
            else {
                panic!("{what}")
            };
            let taken = fee.map_or(due, Vnd);
            assert_eq!((&event_id, counted, central.row(&stay).collected), (&stay, taken, taken), "{what}");
            // So works a gate with a camera and an attendant: nobody has to look at it. Another gate may have another car of that plate.
            let is_to_be_looked_at = central.row(&stay).anomalies.contains(&Anomaly::DoubleExit);
            assert_eq!(is_to_be_looked_at, edge != "edge-2", "{what}");
            let Body::Exit(exit) = central.last_event().body else { panic!("an exit") };
            assert_eq!(exit.paid.map(|paid| paid.method), method, "{what}");
            // Pressed again it is the same press, with the money or without, and what its camera asks.
            let events = central.ledger.events();
            for (edge, after_s, again) in [
                (edge, 0, pressed.clone()),
                ("edge-2", 0, open("edge-2", P)),
                ("elsewhere", 4, open("elsewhere", P)),
                (edge, 7, pressed),
            ] {
                central.wait(after_s * SECOND_MS);
                let answer = central.press(OpenBarrier { edge_id: edge.to_owned(), ..again });
                assert!(matches!(answer, Ok(Answer::Exited { repeated: true, .. })), "{what} {after_s}: {answer:?}");
                assert_eq!(central.ledger.events(), events, "{what} {after_s}");
            }
            check(&mut central);
        }
    }
}

/// By its clock the exit was hours ago; by when it came it is the passage that is paid for.
#[test]
fn money_that_is_pressed_after_a_gate_told_an_exit_by_a_clock_that_is_hours_behind_counts_in_its_place_once() {
    for (hours_behind, edge, restarted, fee, method) in [
        (7, "edge-2", false, Some(30_000), None),
        (7, "edge-2", true, None, Some(Method::Qr)),
        (7, "barrier", true, Some(30_000), Some(Method::Card)),
        (3, "edge-2", false, Some(30_000), Some(Method::Qr)),
        (3, "edge-2", true, Some(30_000), None),
        (3, "barrier", false, Some(30_000), None),
        (3, "barrier", true, None, Some(Method::Card)),
    ] {
        let mut central = Central::new(0);
        let lanes = || Lanes::of([("edge-2", "lane"), ("barrier", "lane")].into_iter().filter(|_| edge == "barrier"));
        central.ledger.set_lanes(lanes());
        central.enters(entry("elsewhere", P));
        central.wait(10 * HOUR_MS);
        let told = |central: &Central, plate_text: &str| Report {
            edge_id: "edge-2".to_owned(),
            plate: plate(plate_text),
            ..report(Direction::Exit, None, Some(central.now_ms - hours_behind * HOUR_MS))
        };
        for plate_text in ["29C00001", "29C00002", "29C00003", "29C00004"] {
            let before = told(&central, plate_text);
            take(&mut central, before);
            central.wait(2 * MINUTE_MS);
        }
        let (events, rows) = (central.ledger.events(), central.rows().len());
        let left = told(&central, P);
        let stay = take(&mut central, left).event_id;
        let due = central.row(&stay).collected;
        if restarted {
            central = central.restart();
            central.ledger.set_lanes(lanes());
        }
        central.wait(30 * SECOND_MS);
        let mut pressed = open(edge, P);
        match fee {
            Some(fee) => pressed = forced(OpenBarrier { fee: Some(Vnd(fee)), ..pressed }),
            None => pressed.direction = Some(Direction::Exit),
        }
        pressed.beside.paid = method.map(ToldPaid::by);
        let what = format!("{hours_behind} {edge} {restarted} {fee:?} {method:?}");
        let answer = central.press(pressed.clone());
        let Ok(Answer::Exited { event_id, fee: counted, repeated: false, .. }) = answer else {
            panic!("{what}: {answer:?}")
        };
        let taken = fee.map_or(due, Vnd);
        assert_eq!((&event_id, counted, central.row(&stay).collected), (&stay, taken, taken), "{what}");
        let Body::Exit(exit) = central.last_event().body else { panic!("an exit") };
        assert_eq!(exit.paid.map(|paid| paid.method), method, "{what}");
        for (after_s, again) in [(0, pressed.clone()), (2, open("edge-2", P)), (60, pressed)] {
            central.wait(after_s * SECOND_MS);
            let answer = central.press(again);
            assert!(matches!(answer, Ok(Answer::Exited { repeated: true, .. })), "{what} {after_s}: {answer:?}");
        }
        assert_eq!((central.ledger.events(), central.rows().len()), (events + 2, rows), "{what}");
        // Who heard of it from afar comes to the same.
        let mut other = Central::new(1);
        other.wait(central.now_ms - other.now_ms);
        other.hear(&mut central);
        assert_eq!(other.row(&stay).collected, taken, "{what}");
        check(&mut central);
        check(&mut other);
    }
}

/// Where cars go both ways at one gate, who turns round pays, and who leaves after a report that came late leaves.
#[test]
fn a_press_after_a_told_entry_is_an_exit_if_it_brings_money_or_the_entry_was_long_ago() {
    for (edge, told_h_ago, fee, leaves) in [
        ("edge-2", 0, None, false),
        ("edge-2", 0, Some(20_000), true),
        ("elsewhere", 0, Some(20_000), true),
        ("edge-2", 2, None, true),
    ] {
        let mut central = Central::new(0);
        central.wait(5 * HOUR_MS);
        let told_ms = (told_h_ago > 0).then(|| central.now_ms - told_h_ago * HOUR_MS);
        let told = Report { edge_id: "edge-2".to_owned(), ..report(Direction::Entry, None, told_ms) };
        let stay = take(&mut central, told).event_id;
        central.wait(5 * SECOND_MS);
        let mut pressed = open(edge, P);
        if fee.is_some() {
            pressed = forced(OpenBarrier { fee: fee.map(Vnd), ..pressed });
        }
        match central.press(pressed).unwrap() {
            Answer::Exited { event_id, fee: taken, repeated: false, .. } => {
                assert!(leaves && event_id == stay && fee.is_none_or(|fee| taken == Vnd(fee)), "{edge} {fee:?}");
            }
            Answer::Entered { event_id, repeated: true, .. } => assert!(!leaves && event_id == stay, "{edge} {fee:?}"),
            other => panic!("{other:?}"),
        }
        check(&mut central);
    }
}

#[test]
fn an_entry_heard_late_waits_since_it_was_committed_here() {
    let mut first = Central::new(0);
    let mut second = Central::new(1);
    let stay = first.enters(open("edge-1", P));
    second.wait(8 * SECOND_MS);
    second.hear(&mut first);
    let Err(Refusal::JustEntered { retry_after_s, .. }) = second.press(open("edge-2", P)) else { panic!("let out") };
    assert_eq!(retry_after_s, 1);
    second.wait(SECOND_MS);
    assert_eq!(second.exits(open("edge-2", P)).0, stay);
}

/// 29B-112.34 of a car and 29-B1 1234 of a motorbike are the same characters.
#[test]
fn a_vehicle_of_another_type_with_the_same_characters_is_said_before_anybody_forces() {
    let of = |kind: &str, asked: OpenBarrier| OpenBarrier { camera_type: kind.to_owned(), ..asked };
    for (inside, comes, unlike) in [
        ("car", "moto", true),
        ("Ô tô", "XE MÁY", true),
        ("moto", "truck", true),
        ("car", "truck", false),
        ("moto", "xe máy", false),
        ("", "moto", false),
        ("car", "", false),
    ] {
        let mut central = Central::new(0);
        let stay = central.enters(of(inside, entry("edge-1", "29B11234")));
        central.wait(HOUR_MS);
        for asked in [entry("edge-2", "29B11234"), open("edge-2", "29B11234")] {
            if asked.direction.is_none() && !unlike {
                continue;
            }
            let refused = central.press(of(comes, asked)).unwrap_err();
            assert_eq!(matches!(refused, Refusal::OtherType { .. }), unlike, "{inside} {comes}: {refused}");
        }
        if unlike {
            let money = forced(OpenBarrier { fee: Some(Vnd(5_000)), ..of(comes, open("edge-2", "29B11234")) });
            assert!(matches!(central.press(money), Err(Refusal::OtherType { .. })), "{inside} {comes}");
        }
        assert_eq!(central.row(&stay).status, StayStatus::In);
        // A person who has looked may force it all the same, and it may always leave.
        assert!(central.press(forced(of(comes, entry("edge-2", "29B11234")))).is_ok());
    }
}

#[test]
fn with_a_direction_it_may_leave_at_once() {
    let mut central = Central::new(0);
    let stay = central.enters(open("edge-1", P));
    central.wait(SECOND_MS);
    assert_eq!(central.exits(exit("edge-1", P)).0, stay);
}

#[test]
fn who_is_inside_cannot_come_in_and_who_is_outside_cannot_leave() {
    let mut central = Central::new(0);
    let outside = VehicleInfo {
        plate: plate(P),
        plate_view: "29A-123.45".to_owned(),
        camera_type: "car".to_owned(),
        inside: None,
        subscription_id: None,
    };
    assert_eq!(central.press(exit("edge-1", P)), Err(Refusal::NotInside(outside.clone().into())));
    let stay_id = central.enters(OpenBarrier { plate_view: Some("29A 12345".to_owned()), ..entry("edge-1", P) });
    central.wait(31 * MINUTE_MS);
    let inside = InsideInfo {
        stay_id,
        entry_ms: START_MS,
        entry_central: "central-1".to_owned(),
        entry_edge: "edge-1".to_owned(),
        camera_type: "car".to_owned(),
        fee: Vnd(25_000),
        lines: vec![FeeLine::of(Part::Hour, 1, Vnd(25_000))],
        duration: "0 giờ 31 phút".to_owned(),
    };
    let inside = VehicleInfo { plate_view: "29A 12345".to_owned(), inside: Some(inside), ..outside };
    assert_eq!(central.press(entry("edge-2", P)), Err(Refusal::AlreadyInside(inside.clone().into())));
    let seen = Job::Detect(Detection {
        plate: plate(P),
        plate_view: None,
        camera_type: "car".to_owned(),
        direction: Some(Direction::Exit),
    });
    assert_eq!(central.ask(seen), Ok(Answer::Seen(inside)));
    assert_eq!(central.ledger.events(), 1);
}

#[test]
fn a_forced_entry_replaces_the_open_stay() {
    let mut central = Central::new(0);
    let old = central.enters(entry("edge-1", P));
    central.wait(HOUR_MS);
    let new = central.enters(forced(entry("edge-2", P)));
    assert_ne!(new, old);
    let (old, new) = (central.row(&old), central.row(&new));
    assert_eq!((old.status, new.status), (StayStatus::LeftUnseen, StayStatus::In));
    assert!(old.anomalies.contains(&Anomaly::LeftUnseen) && new.anomalies.contains(&Anomaly::ManualOpening));
    assert!(new.entry_manual && old.collected == Vnd(0));
    let Body::Entry(entry) = central.last_event().body else { panic!("an entry") };
    assert_eq!(entry.replaces, Some(old.stay_id));
    check(&mut central);
}

#[test]
fn a_forced_exit_of_a_car_inside_takes_the_fee_it_is_told() {
    for (fee, taken) in [(Some(Vnd(7_000)), 7_000), (Some(Vnd(0)), 0), (None, 25_000)] {
        let mut central = Central::new(0);
        let stay = central.enters(entry("edge-1", P));
        central.wait(HOUR_MS);
        let asked = forced(OpenBarrier { fee, ..exit("edge-1", P) });
        assert_eq!(central.exits(asked), (stay.clone(), taken, "1 giờ 0 phút".to_owned()));
        let row = central.row(&stay);
        assert_eq!((row.status, row.collected), (StayStatus::Out, Vnd(taken)));
        assert!(row.exit.unwrap().manual && row.anomalies.contains(&Anomaly::ManualOpening));
        let Body::Exit(exit) = central.last_event().body else { panic!("an exit") };
        assert_eq!((exit.requested_fee, exit.fee), (fee, Vnd(taken)));
        check(&mut central);
    }
}

#[test]
fn a_forced_exit_of_a_car_nobody_saw_is_a_row_of_its_own() {
    for (fee, taken) in [(Some(Vnd(30_000)), 30_000), (None, 0)] {
        let mut central = Central::new(0);
        let (stay, said, duration) = central.exits(forced(OpenBarrier { fee, ..exit("edge-1", P) }));
        assert_eq!((said, duration.as_str()), (taken, "0 giờ 0 phút"));
        let row = central.row(&stay);
        assert_eq!((row.status, row.collected), (StayStatus::Out, Vnd(taken)));
        assert!(row.is_exit_alone() && row.anomalies.contains(&Anomaly::ManualOpening));
        assert_eq!(row.plate_view, parkmesh::domain::plate::view(&row.plate_id), "no entry says how it is shown");
        assert_eq!(central.last_event().exit_stay(), None);
        central.wait(9_999);
        let again = Answer::Exited { event_id: stay, fee: Vnd(taken), duration, repeated: true, notes: Vec::new() };
        assert_eq!(central.press(forced(exit("edge-1", P))), Ok(again));
        check(&mut central);
    }
}

#[test]
fn a_clock_that_shows_no_date_stops_no_gate() {
    for wall_ms in [i64::MIN, -1, i64::MAX] {
        let mut central = Central::new(0);
        central.now_ms = wall_ms;
        let stay = central.enters(entry("edge-1", P));
        assert_eq!(central.exits(exit("edge-1", P)).0, stay);
        check(&mut central);
    }
}
