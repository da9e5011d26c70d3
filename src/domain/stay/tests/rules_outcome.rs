//! What became of each fact, as a table.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::build::*;
use super::generate::facts;
use crate::domain::ids::FactId;
use crate::domain::stay::{Fact, Outcome, account};

#[track_caller]
fn outcome(facts: &[Fact], of: &Fact) -> Outcome {
    account(facts).outcomes[&of.id].clone()
}

fn stay(id: &str) -> String {
    id.to_owned()
}

#[test]
fn an_ordinary_visit() {
    let (begin, closed, again, leave) =
        (entry("a", 100, "S1", P), confirmed("a", 110, "S1"), confirmed("b", 120, "S1"), exit("b", 200, "S1", 5));
    let facts = [begin.clone(), closed.clone(), again.clone(), leave.clone()];
    assert_eq!(outcome(&facts, &begin), Outcome::Opened { stay: stay("S1"), left: None });
    assert_eq!(outcome(&facts, &closed), Outcome::Confirmed { stay: stay("S1"), again: false });
    assert_eq!(outcome(&facts, &again), Outcome::Confirmed { stay: stay("S1"), again: true });
    assert_eq!(outcome(&facts, &leave), Outcome::Closed { stay: stay("S1"), entry_unknown: false });
}

#[test]
fn an_entry_of_a_car_that_is_inside() {
    let (older, younger) = (entry("a", 100, "S1", P), entry("b", 150, "S2", P));
    let left_as_younger = exit("b", 200, "S2", 5);
    let facts = [older, younger.clone(), left_as_younger.clone()];
    let lost = outcome(&facts, &younger);
    assert_eq!(lost, Outcome::Superseded { stay: stay("S2"), by: stay("S1") });
    assert!(lost.concerns("S1") && lost.concerns("S2") && lost.made("S2") && !lost.made("S1"));
    assert_eq!(outcome(&facts, &left_as_younger), Outcome::Closed { stay: stay("S1"), entry_unknown: false });
}

#[test]
fn an_entry_that_replaces_the_open_stay() {
    let (first, second) = (entry("a", 100, "S1", P), entry("b", 150, "S2", P).replaces("S1"));
    let facts = [first.clone(), second.clone()];
    assert_eq!(outcome(&facts, &first), Outcome::Opened { stay: stay("S1"), left: None });
    assert_eq!(outcome(&facts, &second), Outcome::Opened { stay: stay("S2"), left: Some(stay("S1")) });
}

#[test]
fn exits_of_every_kind() {
    let (begin, leave, twice) = (entry("a", 100, "S1", P), exit("a", 200, "S1", 5), exit("b", 210, "S1", 7));
    let alone = exit_unknown("b", 300, "X1", P, 9);
    let facts = [begin.clone(), leave, twice.clone(), alone.clone()];
    assert_eq!(outcome(&facts, &twice), Outcome::ClosedAgain { stay: stay("S1") });
    assert_eq!(outcome(&facts, &alone), Outcome::LeftAlone { stay: stay("X1") });
    let blind = exit_unknown("b", 150, "X2", P, 9);
    assert_eq!(outcome(&[begin, blind.clone()], &blind), Outcome::Closed { stay: stay("S1"), entry_unknown: true });
    let early = exit("b", 150, "S9", 9);
    assert_eq!(outcome(std::slice::from_ref(&early), &early), Outcome::Waits { stay: stay("S9") });
}

#[test]
fn what_people_change() {
    let (begin, closed, leave) = (entry("a", 100, "S1", P), confirmed("a", 110, "S1"), exit("a", 200, "S1", 5));
    let renamed = correction("b", 250, "S1", Q);
    let gone = void("b", 300, "S1", &[&begin, &leave]);
    let facts = [begin.clone(), closed.clone(), leave.clone(), renamed.clone(), gone.clone()];
    assert_eq!(outcome(&facts, &renamed), Outcome::Corrected { stay: stay("S1") });
    assert_eq!(outcome(&facts, &gone), Outcome::Voided { stay: stay("S1") });
    for removed in [&begin, &leave, &closed] {
        assert_eq!(outcome(&facts, removed), Outcome::Removed { stay: stay("S1"), by: gone.id.clone() });
    }
    let early = void("b", 300, "S9", &[]);
    assert_eq!(outcome(std::slice::from_ref(&early), &early), Outcome::Waits { stay: stay("S9") });
}

#[test]
fn a_request_asked_twice() {
    let first = entry("a", 100, "S1", P).request("r");
    let second = entry("b", 150, "S2", P).request("r");
    assert_eq!(outcome(&[first.clone(), second.clone()], &second), Outcome::Repeated { first: first.id });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_fact_of_a_stay_has_one_outcome_that_agrees_with_the_history(
        (facts, shuffled) in facts(14).prop_flat_map(|facts| (Just(facts.clone()), Just(facts).prop_shuffle())),
    ) {
        let account = account(&facts);
        prop_assert_eq!(&super::super::account(&shuffled), &account, "the order of arrival shows");
        let about_stays = facts.iter().filter(|fact| fact.event.is_of_a_stay());
        let ids: BTreeSet<&FactId> = about_stays.map(|fact| &fact.id).collect();
        prop_assert_eq!(account.outcomes.keys().collect::<BTreeSet<_>>(), ids);
        let of = |wanted: fn(&Outcome) -> bool| {
            account.outcomes.iter().filter(move |(_, outcome)| wanted(outcome)).map(|(id, _)| id).collect::<BTreeSet<_>>()
        };
        let resolution = &account.resolution;
        let began = |id: &&FactId| resolution.rows.iter().any(|row| row.entry_fact == **id);
        let told_again: BTreeSet<&FactId> = resolution.repeats.iter().map(|(id, _)| id).filter(|id| !began(id)).collect();
        prop_assert_eq!(of(|o| matches!(o, Outcome::Waits { .. })), resolution.waiting.iter().collect());
        prop_assert_eq!(of(|o| matches!(o, Outcome::Repeated { .. })), told_again);
        prop_assert_eq!(of(|o| matches!(o, Outcome::Skipped { .. })), resolution.quarantined.iter().map(|(id, _)| id).collect());
        for row in &resolution.rows {
            let void = row.status == crate::domain::row::StayStatus::Void;
            let made = |id: &FactId| account.outcomes[id].made(&row.stay_id);
            prop_assert!(void != made(&row.entry_fact), "{:?}", row);
            prop_assert!(row.exit.iter().all(|exit| made(&exit.fact)));
            prop_assert!(void || row.confirm_fact.iter().all(made));
            // All money of a row is that of the exits that made it, as corrected.
            let taken = resolution.takings.iter().filter(|taking| made(&taking.fact)).map(|taking| taking.fee.0);
            prop_assert_eq!(taken.sum::<i64>(), row.collected.0);
        }
    }
}
