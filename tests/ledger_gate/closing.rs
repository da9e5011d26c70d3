//! The barrier closes behind the car.

use parkmesh::domain::row::StayStatus;
use parkmesh::ledger::job::{Answer, CloseBarrier, Job, Refusal};

use crate::ledger_support::check::check;
use crate::ledger_support::*;

fn nothing(event_id: Option<&str>) -> Answer {
    Answer::Closed { confirmed: false, event_id: event_id.map(ToOwned::to_owned) }
}

#[test]
fn closing_confirms_the_entry_once() {
    for by_stay in [false, true] {
        let mut central = Central::new(0);
        let stay = central.enters(entry("edge-1", P));
        central.wait(4 * SECOND_MS);
        let job = || if by_stay { close_stay("edge-9", &stay) } else { close("edge-1", P) };
        let confirmed = Answer::Closed { confirmed: true, event_id: Some(stay.clone()) };
        assert_eq!(central.ask(job()), Ok(confirmed));
        let row = central.row(&stay);
        assert_eq!((row.status, row.confirmed_ms), (StayStatus::In, Some(START_MS + 4 * SECOND_MS)));
        central.wait(SECOND_MS);
        assert_eq!(central.ask(job()), Ok(nothing(by_stay.then_some(stay.as_str()))));
        assert_eq!(central.row(&stay), row);
        assert_eq!(central.ledger.events(), 2);
        check(&mut central);
    }
}

#[test]
fn closing_confirms_nothing_where_nothing_is_pending() {
    let mut central = Central::new(0);
    let stay = central.enters(entry("edge-1", P));
    let events = central.ledger.events();
    for (why, job, named) in [
        ("another edge", close("edge-2", P), None),
        ("another plate", close("edge-1", Q), None),
        ("a stay nobody knows", close_stay("edge-1", "S9"), Some("S9")),
        (
            "nothing is named",
            Job::Close(CloseBarrier { edge_id: "edge-1".to_owned(), plate: None, event_id: None, only_own: false }),
            None,
        ),
    ] {
        assert_eq!(central.ask(job), Ok(nothing(named)), "{why}");
    }
    central.exits(exit("edge-1", P));
    assert_eq!(central.ask(close("edge-1", P)), Ok(nothing(None)), "after the exit");
    assert_eq!(central.ask(close_stay("edge-1", &stay)), Ok(nothing(Some(&stay))), "after the exit");
    assert_eq!(central.ledger.events(), events + 1);
    assert_eq!(central.row(&stay).confirmed_ms, None);
}

#[test]
fn an_edge_that_is_only_itself_confirms_its_own_entries_alone() {
    let (mut first, mut second) = (Central::new(0), Central::new(1));
    let stay = first.enters(entry("edge-1", P));
    second.hear(&mut first);
    let only_own = |edge: &str| {
        Job::Close(CloseBarrier { edge_id: edge.to_owned(), plate: None, event_id: Some(stay.clone()), only_own: true })
    };
    // Edges of two centrals may have one name.
    for (central, edge) in [(&mut first, "edge-2"), (&mut second, "edge-1")] {
        let refused = central.ask(only_own(edge)).unwrap_err();
        assert!(matches!(&refused, Refusal::OtherEdge { edge_id, .. } if edge_id == "edge-1"), "{refused}");
        assert_eq!(central.row(&stay).confirmed_ms, None);
    }
    let confirmed = Answer::Closed { confirmed: true, event_id: Some(stay.clone()) };
    assert_eq!(first.ask(only_own("edge-1")), Ok(confirmed));
}

#[test]
fn closing_confirms_an_entry_made_at_another_central() {
    let mut first = Central::new(0);
    let mut second = Central::new(1);
    let stay = first.enters(entry("edge-1", P));
    second.hear(&mut first);
    second.wait(SECOND_MS);
    second.ask(close_stay("edge-2", &stay)).unwrap();
    first.hear(&mut second);
    assert_eq!(first.row(&stay).confirmed_ms, Some(START_MS + SECOND_MS));
    check(&mut first);
}
