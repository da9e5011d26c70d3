//! A request id gets its first answer again, on every central that holds the event.

use parkmesh::domain::money::Vnd;
use parkmesh::domain::row::StayStatus;
use parkmesh::ledger::job::{Answer, OpenBarrier, Refusal};

use crate::ledger_support::check::check;
use crate::ledger_support::say::{self, Scribe};
use crate::ledger_support::*;

/// Two centrals that hold one entry by request `r1` of `edge-1`. Its stay.
fn both_hold_an_entry() -> (Central, Central, String) {
    let mut first = Central::new(0);
    let mut second = Central::new(1);
    let stay = first.enters(requested("r1", open("edge-1", P)));
    second.hear(&mut first);
    (first, second, stay)
}

#[test]
fn for_seven_days_every_central_gives_the_same_answer_to_a_request() {
    let (first, second, stay) = both_hold_an_entry();
    for mut central in [first, second] {
        for (wait_ms, asked) in
            [(0, open("edge-1", P)), (MINUTE_MS, entry("edge-1", P)), (7 * DAY_MS - 2 * MINUTE_MS, open("edge-1", P))]
        {
            central.wait(wait_ms);
            let again = Answer::Entered { event_id: stay.clone(), history_id: 1, repeated: true, notes: Vec::new() };
            assert_eq!(central.press(requested("r1", asked)), Ok(again));
        }
        assert_eq!(central.ledger.events(), 1);
    }
}

#[test]
fn an_exit_is_answered_again_with_the_fee_that_was_taken() {
    let (mut first, mut second, stay) = both_hold_an_entry();
    first.wait(91 * MINUTE_MS);
    let asked = requested("r2", exit("edge-1", P));
    first.exits(asked.clone());
    second.hear(&mut first);
    second.wait(DAY_MS);
    let again = Answer::Exited {
        event_id: stay,
        fee: Vnd(50_000),
        duration: "1 giờ 31 phút".to_owned(),
        repeated: true,
        notes: Vec::new(),
    };
    for central in [&mut first, &mut second] {
        assert_eq!(central.press(asked.clone()), Ok(again.clone()));
        // The car is out, so that its next press by state would be an entry.
        assert_eq!(central.press(requested("r2", open("edge-1", P))), Ok(again.clone()));
        assert_eq!(central.ledger.events(), 2);
    }
}

#[test]
fn after_seven_days_a_request_id_is_a_new_one() {
    let (first, second, stay) = both_hold_an_entry();
    for mut central in [first, second] {
        central.wait(7 * DAY_MS);
        assert!(matches!(
            central.press(requested("r1", entry("edge-1", P))),
            Ok(Answer::Entered { repeated: true, .. })
        ));
        central.wait(1);
        assert_eq!(central.exits(forced(exit("edge-2", P))).0, stay);
        let next = central.enters(requested("r1", entry("edge-1", P)));
        assert_eq!(central.row(&next).status, StayStatus::In);
        check(&mut central);
    }
}

#[test]
fn a_request_id_with_another_request_is_refused() {
    let (first, second, _) = both_hold_an_entry();
    for mut central in [first, second] {
        central.wait(MINUTE_MS);
        for asked in [
            open("edge-1", Q),
            exit("edge-1", P),
            forced(open("edge-1", P)),
            forced(OpenBarrier { fee: Some(Vnd(0)), ..exit("edge-1", P) }),
        ] {
            assert_eq!(central.press(requested("r1", asked)), Err(Refusal::RequestIdReused));
        }
        assert_eq!(central.ledger.events(), 1);
    }
}

#[test]
fn a_request_id_of_another_edge_is_another_request() {
    let (mut first, _, stay) = both_hold_an_entry();
    first.wait(MINUTE_MS);
    assert_eq!(first.exits(requested("r1", open("edge-2", P))).0, stay);
}

#[test]
fn a_forced_request_is_told_apart_by_its_fee() {
    let mut central = Central::new(0);
    let asked = |fee| forced(requested("r1", OpenBarrier { fee, ..exit("edge-1", P) }));
    let (stay, ..) = central.exits(asked(Some(Vnd(5_000))));
    central.wait(MINUTE_MS);
    let again = central.press(asked(Some(Vnd(5_000))));
    assert!(matches!(again, Ok(Answer::Exited { event_id, repeated: true, .. }) if event_id == stay));
    for other in [None, Some(Vnd(6_000))] {
        assert_eq!(central.press(asked(other)), Err(Refusal::RequestIdReused));
    }
}

#[test]
fn an_edge_that_asked_two_centrals_in_a_cut_is_one_car() {
    let mut first = Central::new(0);
    let mut second = Central::new(1);
    second.wait(2 * SECOND_MS);
    let kept = first.enters(requested("r1", entry("edge-1", P)));
    let repeat = second.enters(requested("r1", entry("edge-1", P)));
    first.hear(&mut second);
    second.hear(&mut first);
    for central in [&mut first, &mut second] {
        check(central);
        let open: Vec<_> = central.ledger.inside().map(|(plate, open)| open.stay_id(plate)).collect();
        assert_eq!(open, [kept.as_str()]);
        assert!(!central.rows().iter().any(|row| row.stay_id == repeat));
        let again = central.press(requested("r1", entry("edge-1", P)));
        assert!(
            matches!(again, Ok(Answer::Entered { event_id, repeated: true, history_id, .. }) if event_id == kept && history_id > 0)
        );
    }
}

#[test]
fn of_two_requests_under_one_id_each_gets_its_own_answer() {
    let mut first = Central::new(0);
    let mut second = Central::new(1);
    let of_p = first.enters(requested("r1", entry("edge-1", P)));
    second.wait(SECOND_MS);
    let of_q = second.enters(requested("r1", entry("edge-1", Q)));
    first.hear(&mut second);
    second.hear(&mut first);
    for central in [&mut first, &mut second] {
        for (plate_text, stay) in [(P, &of_p), (Q, &of_q)] {
            let again = central.press(requested("r1", entry("edge-1", plate_text)));
            assert!(matches!(again, Ok(Answer::Entered { event_id, repeated: true, .. }) if event_id == *stay));
        }
    }
}

/// Its clock is ahead of its time, since it came after another fact of the plate from a clock ahead.
#[test]
fn what_would_only_repeat_an_event_is_answered_by_it() {
    let mut central = Central::new(0);
    let mut scribe = Scribe::new("scribe", 1);
    let ahead_ms = START_MS + 2 * HOUR_MS;
    scribe.say(&say::entry(ahead_ms, "S1", P));
    scribe.say(&say::exit(ahead_ms + 1, "S1", P, 0));
    central.ask(parkmesh::ledger::job::Job::Store(scribe.run(0, 2))).unwrap();
    let stay = central.enters(requested("r1", entry("edge-1", P)));
    central.wait(MINUTE_MS);
    central.exits(exit("edge-2", P));
    // More than 7 days after it happened, less than 7 days after its clock.
    central.wait(7 * DAY_MS + HOUR_MS);
    let again = central.press(requested("r1", entry("edge-1", P)));
    assert!(matches!(again, Ok(Answer::Entered { event_id, repeated: true, .. }) if event_id == stay));
    central.wait(2 * HOUR_MS);
    let next = central.enters(requested("r1", entry("edge-1", P)));
    assert_eq!(central.row(&next).status, StayStatus::In, "it is no repeat");
    check(&mut central);
}

#[test]
fn an_old_event_is_still_the_repeat_it_is_however_late_it_comes() {
    let mut first = Central::new(0);
    let mut second = Central::new(1);
    let kept = first.enters(requested("r1", entry("edge-1", P)));
    first.exits(exit("edge-2", P));
    second.wait(MINUTE_MS);
    second.enters(requested("r1", entry("edge-1", P)));
    first.wait(400 * DAY_MS);
    first.hear(&mut second);
    check(&mut first);
    assert_eq!(first.rows().iter().map(|row| row.stay_id.as_str()).collect::<Vec<_>>(), [kept.as_str()]);
    assert_eq!(first.ledger.inside().len(), 0);
}
