//! Whole stories of a site.

use super::build::*;
use super::{Resolution, everywhere};
use crate::domain::money::Vnd;
use crate::domain::row::StayStatus::{In, Out};
use crate::domain::stay::{Fact, resolve};

/// What both sides of a healed cut make of the facts: each resolves its own first, then all of them, in its own order.
fn healed(at_a: &[Fact], at_b: &[Fact]) -> Resolution {
    let a_then_b = [at_a, at_b].concat();
    let b_then_a = [at_b, at_a].concat();
    assert_eq!(resolve(&a_then_b), resolve(&b_then_a));
    everywhere(&a_then_b)
}

#[test]
fn b_cut_off_a_car_in_at_a_forced_out_at_b_is_one_stay_out_everywhere_and_the_fee_counts_once() {
    let at_a = [entry("a", 1_000, "S1", P), confirmed("a", 1_005, "S1")];
    let at_b = [exit_unknown("b", 5_000, "X1", P, 50_000)];
    assert_eq!(resolve(&at_b).statuses(), [("X1", Out)], "during the cut B shows an exit without entry");
    let outcome = healed(&at_a, &at_b);
    assert_eq!(outcome.statuses(), [("S1", Out)]);
    assert_eq!((outcome.revenue(), outcome.row("S1").collected), (50_000, Vnd(50_000)));
    assert!(outcome.row("S1").exit.as_ref().unwrap().entry_unknown);
}

#[test]
fn the_same_car_forced_in_again_at_b_during_the_cut_is_two_stays_everywhere_the_same() {
    let at_a = [entry("a", 1_000, "S1", P), confirmed("a", 1_005, "S1")];
    let in_again = entry("b", 9_000, "S2", P).change_entry(|entry| entry.force = true);
    let at_b = [exit_unknown("b", 5_000, "X1", P, 50_000), in_again];
    let outcome = healed(&at_a, &at_b);
    assert_eq!(outcome.statuses(), [("S1", Out), ("S2", In)]);
    assert_eq!(outcome.revenue(), 50_000);
}

#[test]
fn an_edge_that_retried_both_ways_at_another_central_during_a_cut_leaves_one_clean_stay() {
    let at_a = [entry("a", 1_000, "S1", P).request("in-1"), exit("a", 105_000, "S1", 25_000).request("out-1")];
    let at_b = [entry("b", 1_200, "S2", P).request("in-1"), exit("b", 105_300, "S2", 25_000).request("out-1")];
    let outcome = healed(&at_a, &at_b);
    assert_eq!((outcome.statuses(), outcome.revenue()), (vec![("S1", Out)], 25_000));
    assert!(outcome.row("S1").anomalies.is_empty());
}

#[test]
fn corrections_and_exits_that_arrive_before_their_entry_end_as_if_they_had_not() {
    let facts = [
        exit("b", 5_000, "S1", 25_000),
        correction("c", 4_000, "S1", Q),
        confirmed("a", 1_005, "S1"),
        entry("a", 1_000, "S1", P),
    ];
    let mut held = Vec::new();
    let waiting: Vec<usize> = facts
        .iter()
        .map(|fact| {
            held.push(fact.clone());
            resolve(&held).waiting.len()
        })
        .collect();
    assert_eq!(waiting, [1, 2, 3, 0]);
    let row = everywhere(&facts).row("S1").clone();
    assert_eq!((row.status, row.plate_id.as_str(), row.collected), (Out, Q, Vnd(25_000)));
}

#[test]
fn clocks_three_hours_apart_do_not_reorder_what_was_authored_knowing_the_other() {
    // B's clock is 3 h behind, but it knew S1, so its clock value follows S1's; shown times are its own.
    let late_ms = 3 * 3_600_000;
    let begin = entry("a", 20_000_000, "S1", P);
    let leave = exit("b", 20_000_001, "S1", 0).at_ms(20_000_001 - late_ms).skewed(-late_ms);
    let again = entry("b", 20_000_002, "S2", P).at_ms(20_000_500 - late_ms).skewed(-late_ms);
    assert_eq!(everywhere(&[begin, leave, again]).statuses(), [("S1", Out), ("S2", In)]);
}
