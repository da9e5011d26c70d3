//! What edge programs report afterwards: when it happened, which stay it is about, and that it counts once.

use parkmesh::domain::anomaly::Anomaly;
use parkmesh::domain::direction::Direction;
use parkmesh::domain::event::{Body, Reported};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::row::StayStatus;
use parkmesh::domain::tariff::{Rate, Tariff};
use parkmesh::ledger::job::{Answer, Beside, Job, Passed, Report, ReportChange, UnreadOpening};
use proptest::prelude::*;

use crate::ledger_support::check::check;
use crate::ledger_support::say::{self, Scribe};
use crate::ledger_support::*;

pub(crate) fn report(direction: Direction, id: Option<&str>, told_ms: Option<i64>) -> Report {
    Report {
        edge_id: "1".to_owned(),
        direction,
        plate: plate(P),
        plate_view: None,
        camera_type: String::new(),
        confidence: None,
        request_id: id.map(ToOwned::to_owned),
        told_ms,
        fee: None,
        seen_inside: false,
        beside: Beside::default(),
        notes: Vec::new(),
        doubts: std::collections::BTreeSet::new(),
    }
}

pub(crate) fn take(central: &mut Central, report: Report) -> Passed {
    let answer = central.ask(Job::Report(report)).unwrap();
    check(central);
    match answer {
        Answer::Reported(passed) => *passed,
        other => panic!("no report: {other:?}"),
    }
}

#[test]
fn an_edge_is_believed_when_it_happened_for_a_week_and_not_in_the_future() {
    for (before_ms, believed, note) in [
        (0, false, None),
        (1, true, None),
        (HOUR_MS, true, None),
        (DAY_MS, true, None),
        (DAY_MS + 1, true, Some("late")),
        (7 * DAY_MS, true, Some("late")),
        (7 * DAY_MS + 1, false, Some("too_old")),
        (-MINUTE_MS, false, None),
        (-MINUTE_MS - 1, false, Some("in_the_future")),
    ] {
        let mut central = Central::new(0);
        let told_ms = START_MS - before_ms;
        let passed = take(&mut central, report(Direction::Entry, Some("e-1"), Some(told_ms)));
        let happened_ms = if believed { told_ms } else { START_MS };
        let row = passed.stay.unwrap().row;
        assert_eq!(row.entry_ms, happened_ms, "{before_ms}");
        let said: Vec<&str> = passed.notes.iter().map(|note| note.code).collect();
        assert_eq!(said, Vec::from_iter(note), "{before_ms}");
        assert_eq!(row.anomalies.contains(&Anomaly::TimeUncertain), note.is_some(), "{before_ms}");
        let event = central.last_event();
        assert_eq!((event.timestamp_ms, event.hlc.ms()), (happened_ms, happened_ms));
        let Body::Entry(entry) = event.body else { panic!("an entry") };
        assert_eq!(entry.reported, Some(Reported { told_ms, received_ms: START_MS }), "both are kept");
    }
}

/// An edge that was cut off sends what it kept: whatever the order of the calls, the stay is what it was.
#[test]
fn a_visit_told_days_later_costs_what_it_cost() {
    let mut central = Central::new(0);
    take(&mut central, report(Direction::Entry, Some("e-1"), Some(START_MS - 30 * HOUR_MS)));
    let left = take(&mut central, report(Direction::Exit, Some("e-2"), Some(START_MS - 26 * HOUR_MS)));
    assert_eq!((left.fee, left.duration.as_str()), (Vnd(100_000), "4 giờ 0 phút"));
    assert_eq!(central.ledger.inside().len(), 0);
}

/// A way in and a way out that were cut off send the days they kept, each all of its own at once.
#[test]
fn the_visits_of_days_told_at_once_are_all_paid() {
    let mut central = Central::new(0);
    let days = [72, 48, 24];
    for (n, hours) in days.into_iter().enumerate() {
        let told_ms = Some(START_MS - hours * HOUR_MS);
        assert!(!take(&mut central, report(Direction::Entry, Some(&format!("in-{n}")), told_ms)).repeated, "{hours}");
    }
    for (n, hours) in days.into_iter().enumerate() {
        let told_ms = Some(START_MS - (hours - 2) * HOUR_MS);
        let exit = Report { edge_id: "2".to_owned(), ..report(Direction::Exit, Some(&format!("out-{n}")), told_ms) };
        take(&mut central, exit);
    }
    let paid: Vec<_> = central.rows().iter().map(|row| (row.status, row.collected)).collect();
    assert_eq!(paid, [(StayStatus::Out, Vnd(50_000)); 3]);
    assert_eq!(central.ledger.inside().len(), 0);
}

proptest! {
    /// A gate tells one thing after the other, in ms or in whole seconds, at once or later; another opens by itself in between.
    #[test]
    fn what_is_told_with_equal_times_is_in_the_order_it_came_in(
        steps in prop::collection::vec((0..3_i64, 0..3_i64, any::<bool>()), 1..12),
        whole_seconds: bool,
        begin_ms in 0..1_000_i64,
    ) {
        let mut central = Central::new(0);
        central.wait(begin_ms);
        let mut told_ms = central.now_ms;
        for (number, (passed_ms, late_ms, at_gate)) in steps.iter().enumerate() {
            told_ms += passed_ms;
            central.now_ms = central.now_ms.max(told_ms + late_ms);
            let direction = if number % 2 == 0 { Direction::Entry } else { Direction::Exit };
            if *at_gate {
                let request = if direction == Direction::Entry { entry("edge-9", P) } else { exit("edge-8", P) };
                central.press(requested(&format!("r-{number}"), request)).unwrap();
                check(&mut central);
                told_ms = central.now_ms;
                continue;
            }
            let told = if whole_seconds { told_ms - told_ms % 1_000 } else { told_ms };
            let passed = take(&mut central, report(direction, Some(&format!("e-{number}")), Some(told)));
            prop_assert!(!passed.repeated);
        }
        let rows = central.rows();
        prop_assert_eq!(rows.len(), steps.len().div_ceil(2));
        for row in &rows {
            prop_assert!(row.exit.as_ref().is_none_or(|exit| exit.exit_ms >= row.entry_ms), "{:?}", row);
            let known = [Anomaly::QuickExit];
            prop_assert!(row.anomalies.iter().all(|anomaly| known.contains(anomaly)), "{:?}", row);
        }
        prop_assert_eq!(central.ledger.inside().len(), steps.len() % 2);
    }
}

pub(crate) fn anomalies(central: &mut Central, stay: &str) -> Vec<&'static str> {
    central.row(stay).anomalies.iter().map(|anomaly| anomaly.name()).collect()
}

pub(crate) fn revenue(central: &mut Central) -> i64 {
    central.ledger.storage_mut().totals.values().map(|total| total.revenue_vnd).sum()
}

/// Each with an id of its own: a camera that reads the waiting car, a front and a rear one, one that goes on for minutes.
#[test]
fn a_passage_told_several_times_is_paid_once() {
    for (after_ms, edge, fee, shown) in [
        (1_000, "1", Some(25_000), false),
        (1_000, "2", None, false),
        (9_999, "2", Some(25_000), false),
        (10_000, "1", Some(25_000), true),
        (2 * MINUTE_MS, "2", None, true),
        (5 * MINUTE_MS, "2", Some(50_000), true),
        (2_000, "1", Some(50_000), true),
    ] {
        let mut central = Central::new(0);
        let stay = central.enters(entry("edge-9", P));
        central.wait(HOUR_MS);
        let left_ms = START_MS + HOUR_MS;
        let told = |id: &str, at_ms| Report { fee: fee.map(Vnd), ..report(Direction::Exit, Some(id), Some(at_ms)) };
        let first = take(&mut central, Report { fee: Some(Vnd(25_000)), ..told("e-1", left_ms - 1) });
        assert_eq!((first.event_id.as_str(), first.fee, first.repeated), (stay.as_str(), Vnd(25_000), false));
        central.wait(after_ms);
        let again = Report { edge_id: edge.to_owned(), ..told("e-2", left_ms + after_ms - 1) };
        let again = take(&mut central, again);
        assert_eq!((again.event_id.as_str(), again.fee, again.repeated), (stay.as_str(), Vnd(25_000), true));
        assert_eq!((revenue(&mut central), central.rows().len()), (25_000, 1), "{after_ms} {edge} {fee:?}");
        let expected: &[&str] = if shown { &["double_exit"] } else { &[] };
        assert_eq!(anomalies(&mut central, &stay), expected, "{after_ms} {edge} {fee:?}");
    }
}

#[test]
fn a_passage_told_at_two_centrals_in_a_cut_is_paid_once_everywhere() {
    let (mut first, mut second) = (Central::new(0), Central::new(1));
    let stay = first.enters(entry("edge-9", P));
    second.hear(&mut first);
    first.wait(HOUR_MS);
    second.wait(HOUR_MS + 20 * SECOND_MS);
    take(&mut first, report(Direction::Exit, Some("front-1"), None));
    take(&mut second, Report { edge_id: "2".to_owned(), ..report(Direction::Exit, Some("rear-1"), None) });
    first.hear(&mut second);
    second.hear(&mut first);
    for central in [&mut first, &mut second] {
        check(central);
        assert_eq!((revenue(central), anomalies(central, &stay)), (25_000, vec!["double_exit"]));
    }
    assert_eq!(first.rows(), second.rows());
}

#[test]
fn a_car_that_came_in_again_leaves_again() {
    let mut central = Central::new(0);
    let stay = central.enters(entry("edge-9", P));
    central.wait(HOUR_MS);
    take(&mut central, report(Direction::Exit, Some("e-1"), None));
    central.wait(MINUTE_MS);
    let second = take(&mut central, report(Direction::Entry, Some("e-2"), None)).event_id;
    central.wait(2 * MINUTE_MS);
    let left = take(&mut central, report(Direction::Exit, Some("e-3"), None));
    assert!(left.event_id == second && !left.repeated && second != stay);
    assert_eq!(central.ledger.inside().len(), 0);
}

/// What a gate took of a car nobody knows the entry of is counted, though only the second telling says it.
#[test]
fn money_that_only_the_second_telling_names_is_counted() {
    let mut central = Central::new(0);
    take(&mut central, report(Direction::Exit, Some("e-1"), None));
    central.wait(SECOND_MS);
    take(&mut central, Report { fee: Some(Vnd(25_000)), ..report(Direction::Exit, Some("e-2"), None) });
    assert_eq!(revenue(&mut central), 25_000);
}

#[test]
fn a_fee_told_that_is_not_the_one_due_is_noted_and_shown() {
    let mut central = Central::new(0);
    let stay = central.enters(entry("edge-9", P));
    central.wait(HOUR_MS);
    let left = take(&mut central, Report { fee: Some(Vnd(30_000)), ..report(Direction::Exit, None, None) });
    assert_eq!((left.fee, left.notes[0].code), (Vnd(25_000), "worked_out"));
    assert_eq!(anomalies(&mut central, &stay), ["fee_uncertain"]);
}

#[test]
fn a_vehicle_type_pays_its_rate_in_any_spelling_and_an_unknown_one_is_shown() {
    let base = Tariff::default();
    let moto = Rate { fee_per_hour: Vnd(5_000), ..base.base.clone() };
    for named in ["moto", "Xe máy"] {
        for (told, kept, fee, known) in [
            ("moto", "moto", 5_000, true),
            ("MOTO", "moto", 5_000, true),
            (" Motorcycle ", "moto", 5_000, true),
            ("xe máy", "moto", 5_000, true),
            ("xe máy điện", "electric", 5_000, true),
            ("ô tô", "car", 25_000, true),
            ("", "", 25_000, true),
            ("máy xúc", "máy xúc", 25_000, false),
        ] {
            let mut central = Central::new(0);
            let types = [(named.to_owned(), moto.clone())].into();
            central.ask(Job::PutTariff(Tariff { types, ..base.clone() })).unwrap();
            let seen = Report { camera_type: told.to_owned(), ..report(Direction::Entry, None, None) };
            let entered = take(&mut central, seen);
            assert_eq!(entered.notes.is_empty(), known, "{told}");
            central.wait(HOUR_MS);
            let left = take(&mut central, report(Direction::Exit, None, None));
            let row = central.row(&left.event_id);
            assert_eq!((row.camera_type.as_str(), left.fee), (kept, Vnd(fee)), "{told} by {named}");
            assert_eq!(row.anomalies.contains(&Anomaly::UnknownType), !known, "{told}");
        }
    }
}

/// A central is replaced between an edge's report and its retry: the entry was imported under the edge's own id, with its exit.
#[test]
fn a_retry_across_the_handover_is_what_was_told_before() {
    let mut central = Central::new(0);
    let (in_ms, out_ms) = (START_MS - 2 * HOUR_MS, START_MS - HOUR_MS);
    let id = "edge-1_5_29A12345";
    let mut scribe = Scribe::new("central-9", 1);
    scribe.say_heard(&say::entry(in_ms, id, P));
    central.ask(Job::Store(scribe.run(0, 1))).unwrap();
    assert!(take(&mut central, report(Direction::Entry, Some(id), Some(in_ms))).repeated);
    scribe.say_heard(&say::exit(out_ms, id, P, 50_000));
    central.ask(Job::Store(scribe.run(1, 2))).unwrap();
    let again = take(&mut central, report(Direction::Exit, Some("edge-1_6_29A12345"), Some(out_ms)));
    assert!(again.repeated);
    assert_eq!((again.fee, revenue(&mut central), central.rows().len()), (Vnd(50_000), 50_000, 1));
}

#[test]
fn an_opening_for_a_car_that_could_not_be_read_is_kept_once_and_names_no_stay() {
    let mut central = Central::new(0);
    let opening = |direction, id: Option<&str>| UnreadOpening {
        edge_id: "1".to_owned(),
        direction,
        text: "UNKNOWN".to_owned(),
        camera_type: String::new(),
        request_id: id.map(ToOwned::to_owned),
        told_ms: None,
        fee: None,
        beside: Beside::default(),
        force: false,
        reason: None,
        notes: Vec::new(),
    };
    let mut tell = |direction, id| match central.ask(Job::Unread(opening(direction, id))).unwrap() {
        Answer::Unread(kept) => (kept.fact, kept.repeated),
        other => panic!("{other:?}"),
    };
    let first = tell(Direction::Entry, Some("a"));
    assert_eq!(tell(Direction::Entry, Some("a")), (first.0.clone(), true));
    assert_ne!(tell(Direction::Exit, Some("b")).0, first.0);
    assert!(!tell(Direction::Exit, None).1 && !tell(Direction::Exit, None).1);
    assert!(central.rows().is_empty());
    assert_eq!(central.ledger.storage_mut().quarantined.len(), 4);
    check(&mut central);
}

#[test]
fn an_exit_that_comes_late_is_of_the_stay_the_car_was_in() {
    let mut central = Central::new(0);
    let first = take(&mut central, report(Direction::Entry, Some("e-1"), None)).event_id;
    central.wait(3 * HOUR_MS);
    let second = central.enters(forced(entry("edge-9", P)));
    central.wait(HOUR_MS);
    // It left after 91 minutes; the edge could not say so until now.
    let told_ms = START_MS + 91 * MINUTE_MS;
    let left = take(&mut central, report(Direction::Exit, Some("e-2"), Some(told_ms)));
    assert_eq!(
        (left.event_id.as_str(), left.fee, left.duration.as_str()),
        (first.as_str(), Vnd(50_000), "1 giờ 31 phút")
    );
    assert_eq!((central.row(&first).status, central.row(&second).status), (StayStatus::Out, StayStatus::In));
    let again = take(&mut central, report(Direction::Exit, Some("e-2"), Some(told_ms)));
    assert_eq!((again.event_id, again.fee, again.repeated), (first, Vnd(50_000), true));
}

#[test]
fn an_edge_minutes_behind_still_means_the_car_that_is_inside() {
    for (behind_ms, known) in [
        (40 * SECOND_MS, true),
        (MINUTE_MS, true),
        (70 * SECOND_MS, true),
        (5 * MINUTE_MS, true),
        (5 * MINUTE_MS + 1, false),
    ] {
        let mut central = Central::new(0);
        let stay = central.enters(entry("edge-9", P));
        let left = take(&mut central, report(Direction::Exit, Some("e-1"), Some(START_MS - behind_ms)));
        assert_eq!(left.event_id == stay, known);
        let said: Vec<&str> = left.notes.iter().map(|note| note.code).collect();
        assert_eq!(said, ["before_entry"], "{behind_ms}");
        let shown = &central.row(&left.event_id).anomalies;
        assert!(shown.contains(&Anomaly::TimeUncertain), "{behind_ms}: {shown:?}");
        assert_eq!(central.row(&stay).status == StayStatus::Out, known);
    }
}

#[test]
fn a_car_that_came_in_by_a_clock_that_was_ahead_leaves_when_an_exit_is_told() {
    for told in [false, true] {
        let mut central = Central::new(0);
        let stay = central.enters(entry("edge-9", P));
        // The clock is set right.
        central.wait(-2 * HOUR_MS);
        let told_ms = told.then(|| central.wall_ms());
        let left = take(&mut central, report(Direction::Exit, Some("e-1"), told_ms));
        assert_eq!((left.event_id.as_str(), left.fee), (stay.as_str(), Vnd(0)));
        assert!(left.notes.iter().any(|note| note.code == "before_entry"), "{:?}", left.notes);
        let row = central.row(&stay);
        assert_eq!(row.status, StayStatus::Out);
        assert!(row.anomalies.contains(&Anomaly::FeeUncertain) && row.anomalies.contains(&Anomaly::TimeUncertain));
    }
}

#[test]
fn a_stay_over_seven_days_is_charged_and_shown_as_uncertain() {
    let mut central = Central::new(0);
    let stay = central.enters(entry("edge-9", P));
    central.wait(8 * DAY_MS);
    let left = take(&mut central, report(Direction::Exit, None, None));
    assert!(left.event_id == stay && left.fee > Vnd(0));
    assert!(central.row(&stay).anomalies.iter().any(|anomaly| anomaly.name() == "fee_uncertain"));
}

#[test]
fn an_id_used_for_an_entry_and_an_exit_is_two_reports() {
    let mut central = Central::new(0);
    let entered = take(&mut central, report(Direction::Entry, Some("e-1"), None));
    central.wait(MINUTE_MS);
    let left = take(&mut central, report(Direction::Exit, Some("e-1"), None));
    assert_eq!((left.event_id, left.repeated), (entered.event_id.clone(), false));
    assert!(take(&mut central, report(Direction::Entry, Some("e-1"), None)).repeated);
    assert_eq!(central.rows().len(), 1);
}

#[test]
fn without_an_id_the_same_car_at_the_same_edge_a_moment_later_is_the_same() {
    let mut central = Central::new(0);
    let first = take(&mut central, report(Direction::Entry, None, None));
    central.wait(9_999);
    assert!(take(&mut central, report(Direction::Entry, None, None)).repeated);
    let other = Report { edge_id: "2".to_owned(), ..report(Direction::Entry, None, None) };
    let superseded = take(&mut central, other);
    assert_eq!(superseded.stay.unwrap().row.superseded_by, Some(first.event_id));
}

#[test]
fn an_edge_that_asked_two_centrals_in_a_cut_reported_once() {
    let (mut first, mut second) = (Central::new(0), Central::new(1));
    let told_ms = START_MS - MINUTE_MS;
    let at_first = take(&mut first, report(Direction::Entry, Some("e-1"), Some(told_ms)));
    second.wait(5_000);
    take(&mut second, report(Direction::Entry, Some("e-1"), Some(told_ms)));
    first.hear(&mut second);
    second.hear(&mut first);
    assert_eq!(first.rows(), second.rows());
    let inside: Vec<_> = first.rows().iter().map(|row| row.status).collect();
    assert_eq!(inside, [StayStatus::In]);
    check(&mut first);
    assert!(take(&mut second, report(Direction::Entry, Some("e-1"), Some(told_ms))).repeated);
    assert_eq!(first.rows()[0].stay_id, at_first.event_id);
}

#[test]
fn a_change_at_the_edge_finds_the_stay_by_the_edges_own_id_and_counts_once() {
    let mut central = Central::new(0);
    let stay = take(&mut central, report(Direction::Entry, Some("e-1"), None)).event_id;
    let change = |corrected| ReportChange { edge_id: "1".to_owned(), event_id: "e-1".to_owned(), corrected };
    let update = Job::ReportChange(change(Some((plate(Q), None))));
    assert!(matches!(central.ask(update.clone()), Ok(Answer::Amended { .. })));
    assert_eq!(central.ask(update), Ok(Answer::ChangedBefore { event_id: stay.clone() }));
    assert_eq!(central.row(&stay).plate_id.as_str(), Q);
    let delete = Job::ReportChange(change(None));
    assert!(matches!(central.ask(delete.clone()), Ok(Answer::Amended { .. })));
    assert_eq!(central.ask(delete), Ok(Answer::ChangedBefore { event_id: stay.clone() }));
    assert_eq!(central.row(&stay).status, StayStatus::Void);
    check(&mut central);
}

#[test]
fn a_gate_and_a_report_of_an_earlier_visit_in_one_ms_are_two_stays() {
    let mut central = Central::new(0);
    let told = take(&mut central, report(Direction::Entry, Some("e-1"), Some(START_MS - HOUR_MS))).event_id;
    take(&mut central, report(Direction::Exit, Some("e-2"), Some(START_MS - MINUTE_MS)));
    let stay = central.enters(entry("edge-9", P));
    assert_ne!(stay, told);
    assert_eq!((central.row(&told).status, central.row(&stay).status), (StayStatus::Out, StayStatus::In));
    assert_eq!(central.row(&stay).edge_id, "edge-9", "the gate was told the id of its own stay");
    check(&mut central);
}
