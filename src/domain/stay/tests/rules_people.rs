//! Stage 1: corrections and voids, and what is skipped.

use super::build::*;
use super::everywhere;
use crate::domain::anomaly::Anomaly;
use crate::domain::money::Vnd;
use crate::domain::row::StayStatus::{In, Out, Superseded, Void};
use crate::domain::stay::fold::{resolve_with, step};

#[test]
fn a_correction_moves_a_stay_to_another_plate_with_all_that_names_it() {
    let facts =
        [entry("a", 100, "S1", P), entry("a", 110, "S2", P), correction("b", 150, "S1", Q), exit("b", 200, "S1", 5)];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", Out), ("S2", In)], "S2 is no longer a double entry");
    let row = outcome.row("S1");
    assert_eq!((row.plate_id.as_str(), row.plate_view.as_str()), (Q, "view 30B54321"));
}

#[test]
fn a_correction_onto_a_plate_that_is_inside_supersedes_the_younger() {
    let outcome = everywhere(&[entry("a", 100, "S1", P), entry("a", 110, "S2", Q), correction("a", 200, "S2", P)]);
    assert_eq!(outcome.statuses(), [("S1", In), ("S2", Superseded)]);
}

#[test]
fn the_latest_correction_wins_per_field() {
    let only_view = correction("b", 300, "S1", P).change(|event| {
        if let crate::domain::event::Body::Correction(correction) = &mut event.body {
            correction.plate_id = None;
            correction.plate_view = Some("30B 543.21".to_owned());
        }
    });
    let facts =
        [entry("a", 100, "S1", P), correction("a", 200, "S1", Q), only_view, correction("a", 150, "S1", "31C11111")];
    let outcome = everywhere(&facts);
    let row = outcome.row("S1");
    assert_eq!((row.plate_id.as_str(), row.plate_view.as_str()), (Q, "30B 543.21"));
    assert_eq!(row.last_hlc.ms(), 300);
}

#[test]
fn of_corrections_with_equal_clocks_the_higher_fact_id_wins() {
    let facts = [entry("a", 100, "S1", P), correction("b", 200, "S1", Q), correction("c", 200, "S1", "31C11111")];
    assert_eq!(everywhere(&facts).row("S1").plate_id.as_str(), "31C11111");
}

#[test]
fn a_correction_of_an_exit_without_entry_can_find_its_stay() {
    let facts = [entry("a", 100, "S1", P), exit_unknown("b", 200, "X1", Q, 5), correction("b", 300, "X1", P)];
    assert_eq!(everywhere(&facts).statuses(), [("S1", Out)]);
}

#[test]
fn a_void_stay_is_kept_as_void_and_its_money_is_gone() {
    let (begin, leave) = (entry("a", 100, "S1", P), exit("a", 200, "S1", 5));
    let outcome = everywhere(&[begin.clone(), leave.clone(), void("b", 300, "S1", &[&begin, &leave])]);
    let row = outcome.row("S1");
    assert_eq!((row.status, row.collected, row.exit.is_none(), outcome.revenue()), (Void, Vnd(0), true, 0));
    assert_eq!(row.last_hlc.ms(), 300);
}

#[test]
fn a_void_entry_lets_the_next_one_open() {
    let begin = entry("a", 100, "S1", P);
    let outcome = everywhere(&[begin.clone(), entry("b", 150, "S2", P), void("a", 200, "S1", &[&begin])]);
    assert_eq!(outcome.statuses(), [("S1", Void), ("S2", In)]);
}

#[test]
fn a_void_is_final_and_works_whatever_its_clock() {
    let begin = entry("a", 100, "S1", P);
    let early = void("b", 50, "S1", &[&begin]);
    let undo = void("b", 400, "S1", &[&early]);
    assert_eq!(everywhere(&[begin, early, undo]).statuses(), [("S1", Void)]);
}

#[test]
fn a_void_of_a_superseded_row_removes_its_entry_and_its_exit_still_closes_the_car() {
    let double = entry("b", 110, "S2", P);
    let facts = [entry("a", 100, "S1", P), double.clone(), exit("b", 200, "S2", 5), void("a", 300, "S2", &[&double])];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", Out), ("S2", Void)]);
    assert!(outcome.row("S1").exit.as_ref().unwrap().entry_unknown);
    assert_eq!((outcome.row("S1").collected, outcome.revenue()), (Vnd(5), 5));
}

#[test]
fn an_exit_the_void_did_not_see_acts_as_one_of_no_stay() {
    let begin = entry("a", 100, "S1", P);
    let unseen = exit("b", 200, "S1", 5);
    let outcome = everywhere(&[begin.clone(), unseen.clone(), void("a", 150, "S1", &[&begin])]);
    let own_id = unseen.unique_id("S1");
    assert_eq!(outcome.statuses(), [("S1", Void), (own_id.as_str(), Out)]);
    assert!(outcome.row(&own_id).anomalies.contains(&Anomaly::ExitWithoutEntry));
    assert_eq!(outcome.revenue(), 5);
}

#[test]
fn the_row_of_such_an_exit_can_be_corrected_and_voided_by_its_id() {
    let begin = entry("a", 100, "S1", P);
    let unseen = exit("b", 200, "S1", 5);
    let own_id = unseen.unique_id("S1");
    let base = [begin.clone(), unseen.clone(), void("a", 150, "S1", &[&begin]), correction("a", 300, &own_id, Q)];
    assert_eq!(everywhere(&base).row(&own_id).plate_id.as_str(), Q);
    let outcome = everywhere(&[&base[..], &[void("a", 400, &own_id, &[&unseen])]].concat());
    assert_eq!(outcome.statuses(), [("S1", Void), (own_id.as_str(), Void)]);
    assert_eq!(outcome.revenue(), 0);
    // From a clock far behind, so that it comes before what it names.
    let second = exit("c", 50, &own_id, 3);
    let third_id = second.unique_id(&own_id);
    let outcome = everywhere(&[&base[..], &[void("a", 400, &own_id, &[&unseen]), second]].concat());
    assert_eq!(outcome.row(&third_id).status, Out, "its own stay is void as well");
    assert_eq!(outcome.revenue(), 3);
}

#[test]
fn an_exit_without_plate_whose_entry_is_void_is_of_the_entrys_plate() {
    let begin = entry("a", 100, "S1", P);
    let unseen = exit("b", 200, "S1", 5).change_exit(|exit| exit.plate_id = None);
    let facts = [begin.clone(), unseen.clone(), void("a", 150, "S1", &[&begin]), correction("a", 160, "S1", Q)];
    assert_eq!(everywhere(&facts).row(&unseen.unique_id("S1")).plate_id.as_str(), Q);
}

#[test]
fn a_void_of_only_the_exit_leaves_the_car_inside() {
    let leave = exit("a", 200, "S1", 5);
    let outcome = everywhere(&[entry("a", 100, "S1", P), leave.clone(), void("b", 300, "S1", &[&leave])]);
    assert_eq!((outcome.row("S1").status, outcome.revenue()), (In, 0));
}

#[test]
fn a_void_of_an_exit_without_entry_keeps_a_void_row() {
    let leave = exit_unknown("a", 200, "X1", P, 5);
    let outcome = everywhere(&[leave.clone(), void("b", 300, "X1", &[&leave])]);
    assert_eq!((outcome.statuses(), outcome.revenue()), (vec![("X1", Void)], 0));
}

#[test]
fn a_void_of_a_stay_with_the_unknown_exit_that_closed_it_is_one_void_row() {
    let (begin, leave) = (entry("a", 100, "S1", P), exit_unknown("b", 200, "X1", P, 5));
    let outcome = everywhere(&[begin.clone(), leave.clone(), void("a", 300, "S1", &[&begin, &leave])]);
    assert_eq!((outcome.statuses(), outcome.revenue()), (vec![("S1", Void)], 0));
}

#[test]
fn a_void_of_a_repeat_is_a_void_of_the_first() {
    let first = entry("a", 100, "S1", P).request("r");
    let again = entry("b", 105, "S2", P).request("r");
    let leave = exit("b", 200, "S2", 5);
    // B removed its stay before it heard that A had one for the same request.
    let outcome = everywhere(&[first, again.clone(), leave.clone(), void("b", 300, "S2", &[&again, &leave])]);
    assert_eq!((outcome.statuses(), outcome.revenue()), (vec![("S1", Void)], 0));
}

#[test]
fn a_repeat_of_a_void_entry_does_not_open() {
    let first = entry("a", 100, "S1", P).request("r");
    let outcome = everywhere(&[first.clone(), void("a", 150, "S1", &[&first]), entry("b", 105, "S2", P).request("r")]);
    assert_eq!(outcome.statuses(), [("S1", Void)]);
}

#[test]
fn a_void_waits_for_its_entry_too() {
    let begin = entry("a", 100, "S1", P);
    let remove = void("b", 300, "S1", &[&begin]);
    let alone = everywhere(std::slice::from_ref(&remove));
    assert!(alone.rows.is_empty() && alone.waiting.contains(&remove.id));
    let outcome = everywhere(&[remove, begin]);
    assert_eq!((outcome.statuses(), outcome.waiting.len()), (vec![("S1", Void)], 0));
}

#[test]
fn a_step_that_panics_is_skipped_at_its_place_and_the_fold_goes_on() {
    let bad = exit("a", 200, "S1", 5);
    let facts = [entry("a", 100, "S1", P), bad.clone(), exit("b", 300, "S1", 7), entry("a", 400, "S2", P)];
    let outcome = resolve_with(&facts, |lot, act| {
        assert!(act.fact.id != bad.id, "boom");
        step(lot, act)
    });
    assert_eq!(outcome.quarantined, [(bad.id.clone(), "a step panicked: boom".to_owned())]);
    assert_eq!(outcome.statuses(), [("S1", Out), ("S2", In)]);
    let row = outcome.row("S1");
    assert_eq!((row.exit.as_ref().unwrap().fee, row.collected), (Vnd(7), Vnd(7)), "as if it were not there");
    assert_eq!(outcome.revenue(), 12, "but the money it took is counted");
}

#[test]
fn what_names_a_stay_whose_entry_was_skipped_is_skipped_too() {
    let bad = entry("a", 100, "S1", P);
    let outcome = resolve_with(&[bad.clone(), exit("a", 200, "S1", 5)], |lot, act| {
        assert!(act.fact.id != bad.id, "boom");
        step(lot, act)
    });
    assert_eq!((outcome.rows.len(), outcome.quarantined.len(), outcome.revenue()), (0, 2, 5));
}
