//! What edge programs report afterwards: when it happened, which stay it is about, and that it counts once.

use parkmesh::domain::direction::Direction;
use parkmesh::domain::event::{Body, Reported};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::row::StayStatus;
use parkmesh::ledger::job::{Answer, Job, Passed, Report, ReportChange};

use crate::ledger_support::check::check;
use crate::ledger_support::*;

fn report(direction: Direction, id: Option<&str>, told_ms: Option<i64>) -> Report {
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
    }
}

fn take(central: &mut Central, report: Report) -> Passed {
    let answer = central.ask(Job::Report(report)).unwrap();
    check(central);
    match answer {
        Answer::Reported(passed) => *passed,
        other => panic!("no report: {other:?}"),
    }
}

#[test]
fn an_edge_is_believed_when_it_happened_for_a_day_and_not_in_the_future() {
    for (before_ms, believed) in
        [(0, false), (1, true), (HOUR_MS, true), (DAY_MS, true), (DAY_MS + 1, false), (-1, false), (-HOUR_MS, false)]
    {
        let mut central = Central::new(0);
        let told_ms = START_MS - before_ms;
        let passed = take(&mut central, report(Direction::Entry, Some("e-1"), Some(told_ms)));
        let happened_ms = if believed { told_ms } else { START_MS };
        assert_eq!(passed.stay.unwrap().row.entry_ms, happened_ms, "{before_ms}");
        let event = central.last_event();
        assert_eq!((event.timestamp_ms, event.hlc.ms()), (happened_ms, happened_ms));
        let Body::Entry(entry) = event.body else { panic!("an entry") };
        assert_eq!(entry.reported, Some(Reported { told_ms, received_ms: START_MS }), "both are kept");
    }
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
fn an_edge_a_minute_behind_still_means_the_car_that_is_inside() {
    for (behind_ms, known) in [(MINUTE_MS, true), (MINUTE_MS + 1, false)] {
        let mut central = Central::new(0);
        let stay = central.enters(entry("edge-9", P));
        let left = take(&mut central, report(Direction::Exit, Some("e-1"), Some(START_MS - behind_ms)));
        assert_eq!(left.event_id == stay, known);
        assert_eq!(central.row(&stay).status == StayStatus::Out, known);
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
