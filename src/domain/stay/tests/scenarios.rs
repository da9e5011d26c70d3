//! Whole stories of a site.

use super::build::*;
use super::{Resolution, everywhere};
use crate::domain::anomaly::Anomaly;
use crate::domain::money::Vnd;
use crate::domain::row::StayStatus::{In, Out};
use crate::domain::stay::{Fact, PASSAGE_WINDOW_MS, resolve};

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

/// Told by a program, with the money it took.
fn told(central: &str, ms: i64, own_id: &str, fee: i64) -> Fact {
    exit_unknown(central, ms, own_id, P, fee).change_exit(|exit| {
        exit.told = true;
        exit.force = false;
        exit.requested_fee = None;
    })
}

/// Told by a program whose central knows the stay.
fn told_of(central: &str, ms: i64, stay: &str, fee: i64) -> Fact {
    exit(central, ms, stay, fee).change_exit(|exit| exit.told = true)
}

#[test]
fn one_passage_told_at_two_centrals_during_a_cut_is_one_exit_and_counts_once() {
    let minute = 60_000;
    let came = entry("a", 1, "S", P);
    // At A, which knows the entry or not; at B, which does not; what counts; whether somebody has to look at the fee.
    let cases = [
        (
            "nobody knows the entry",
            None,
            told("a", minute, "A", 25_000),
            told("b", 2 * minute, "B", 25_000),
            25_000,
            false,
        ),
        (
            "the later one told the money",
            None,
            told("a", minute, "A", 0),
            told("b", 2 * minute, "B", 25_000),
            25_000,
            false,
        ),
        ("two amounts", None, told("a", minute, "A", 20_000), told("b", 2 * minute, "B", 25_000), 20_000, true),
        (
            "the first knew the stay",
            Some(&came),
            told_of("a", minute, "S", 50_000),
            told("b", 2 * minute, "B", 0),
            50_000,
            false,
        ),
        (
            "the later one did",
            Some(&came),
            told_of("a", 3 * minute, "S", 50_000),
            told("b", minute, "B", 0),
            50_000,
            true,
        ),
        (
            "and the other took money too",
            Some(&came),
            told_of("a", 3 * minute, "S", 50_000),
            told("b", minute, "B", 30_000),
            50_000,
            true,
        ),
        (
            "somebody asked for the first",
            Some(&came),
            exit("a", minute, "S", 50_000),
            told("b", 2 * minute, "B", 0),
            50_000,
            false,
        ),
        (
            "or for the later",
            Some(&came),
            exit("a", 3 * minute, "S", 50_000),
            told("b", minute, "B", 30_000),
            50_000,
            true,
        ),
        (
            "or forced it without knowing",
            Some(&came),
            told_of("a", 3 * minute, "S", 50_000),
            exit_unknown("b", minute, "B", P, 30_000),
            30_000,
            true,
        ),
        (
            "forced it for nothing",
            Some(&came),
            told_of("a", 3 * minute, "S", 50_000),
            exit_unknown("b", minute, "B", P, 0),
            50_000,
            true,
        ),
    ];
    for (name, came, at_a, at_b, counts, look) in cases {
        let at_a: Vec<Fact> = came.into_iter().cloned().chain([at_a]).collect();
        let outcome = healed(&at_a, &[at_b]);
        assert_eq!(outcome.rows.len(), 1, "{name}: {:?}", outcome.rows);
        let row = &outcome.rows[0];
        assert_eq!(
            (outcome.revenue(), row.collected.0, row.exit.as_ref().unwrap().fee.0),
            (counts, counts, counts),
            "{name}"
        );
        assert_eq!(outcome.takings.len(), 1, "{name}");
        assert!(row.anomalies.contains(&Anomaly::DoubleExit), "{name}");
        assert_eq!(row.anomalies.contains(&Anomaly::FeeUncertain), look, "{name}");
    }
}

#[test]
fn two_passages_stay_two() {
    let minute = 60_000;
    let long = PASSAGE_WINDOW_MS + 1;
    let again = entry("a", 2 * minute, "T", P);
    let cases = [
        (
            "more than five minutes apart",
            vec![told("a", minute, "A", 5_000)],
            vec![told("b", minute + long, "B", 5_000)],
        ),
        ("an entry between", vec![told("a", minute, "A", 5_000), again], vec![told("b", 3 * minute, "B", 5_000)]),
        (
            "both took it by hand",
            vec![exit_unknown("a", minute, "A", P, 5_000)],
            vec![exit_unknown("b", 2 * minute, "B", P, 5_000)],
        ),
        ("the later by hand", vec![told("a", minute, "A", 5_000)], vec![exit_unknown("b", 2 * minute, "B", P, 5_000)]),
    ];
    for (name, at_a, at_b) in cases {
        assert_eq!(healed(&at_a, &at_b).revenue(), 10_000, "{name}");
    }
}

#[test]
fn what_was_told_of_a_passage_before_is_an_alias_of_the_stay_it_was_of() {
    let (came, left) = (entry("a", 1, "S", P), told_of("a", 120_000, "S", 50_000));
    let unknown = told("b", 60_000, "B", 0);
    let outcome = healed(&[came, left.clone()], &[unknown.clone(), exit("b", 130_000, "B", 7_000)]);
    assert_eq!(outcome.rows.len(), 1);
    assert_eq!(outcome.repeats, [(unknown.id, left.id)]);
    assert_eq!(outcome.row("S").collected, Vnd(57_000), "what somebody took beside it counts");
}
