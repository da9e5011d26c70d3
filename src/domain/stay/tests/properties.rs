//! What holds for every set of facts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::build::*;
use super::generate::{facts, unlinked_facts};
use crate::domain::anomaly::Anomaly;
use crate::domain::event::{Body, Correction, RightFee};
use crate::domain::ids::{FactId, Hlc};
use crate::domain::money::Vnd;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::fold::{resolve_with, step};
use crate::domain::stay::{
    Fact, FoldKey, Link, PASSAGE_WINDOW_MS, Prepared, Resolution, TakenAs, Taking, ToldThere, links, resolve,
    same_request,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, ..ProptestConfig::default() })]

    #[test]
    fn order_and_duplication_of_the_facts_do_not_matter(
        (facts, shuffled) in facts(14).prop_flat_map(|facts| {
            let twice = [facts.clone(), facts.clone()].concat();
            (Just(facts), Just(twice).prop_shuffle())
        }),
        kept in 0_usize..28,
    ) {
        let outcome = resolve(&facts);
        prop_assert_eq!(&resolve(&shuffled), &outcome);
        // Any one of the copies missing.
        let mut once_less = shuffled;
        once_less.remove(kept % once_less.len());
        prop_assert_eq!(&resolve(&once_less), &outcome);
    }

    #[test]
    fn at_most_one_stay_of_a_plate_is_open_and_stay_ids_are_unique(facts in facts(14)) {
        let outcome = resolve(&facts);
        let mut open = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for row in &outcome.rows {
            prop_assert!(row.status != StayStatus::In || open.insert(&row.plate_id), "{} is open twice", row.plate_id);
            prop_assert!(ids.insert(&row.stay_id), "{} twice", row.stay_id);
        }
    }

    #[test]
    fn revenue_is_the_fees_of_the_exits_that_are_neither_void_nor_repeats(facts in facts(14)) {
        let outcome = resolve(&facts);
        let prepared = Prepared::of(&facts);
        let facts = distinct(&facts);
        let firsts: HashMap<&FactId, &FactId> = outcome.repeats.iter().map(|(repeat, first)| (repeat, first)).collect();
        let mut void = BTreeSet::new();
        let base = |name: Option<&str>| name.and_then(|name| name.split('~').next()).map(str::to_owned);
        let of = |fact: &Fact| base(fact.event.event_id.as_deref());
        let corrections: Vec<(&Fact, &Correction)> = facts
            .iter()
            .filter_map(|fact| match &fact.event.body {
                Body::Correction(correction) => Some((fact, correction)),
                _ => None,
            })
            .collect();
        let is_undone = |void: &Fact| {
            corrections.iter().any(|(fact, correction)| of(fact) == of(void) && correction.undoes.contains(&void.id))
        };
        for fact in facts.iter().filter(|fact| !is_undone(fact)) {
            if let Body::Void(data) = &fact.event.body {
                void.extend(data.removes.iter());
                void.extend(data.removes.iter().filter_map(|id| firsts.get(id).copied()));
            }
        }
        let counts = |fact: &&Fact| !void.contains(&fact.id) && !firsts.contains_key(&fact.id);
        let right = |exit: &Fact| {
            // Of what tells its passage again, too.
            let is_of_it = |right: &RightFee| *prepared.repeats.first_telling(&right.exit).unwrap_or(&right.exit) == exit.id;
            let of_it = corrections.iter().filter(|(fact, correction)| {
                let right = correction.right_fee.as_ref().filter(|right| is_of_it(right));
                let told = right.and_then(|right| facts.iter().find(|told| told.id == right.exit));
                told.is_some_and(|told| {
                    let name = base(told.event.exit_stay().or(told.event.event_id.as_deref()));
                    of(fact) == name && fact.place() > told.place()
                })
            });
            of_it.max_by_key(|(fact, _)| fact.place()).and_then(|(_, correction)| Some(correction.right_fee.as_ref()?.fee))
        };
        let taken = |exit: &Fact| Some(right(exit).unwrap_or(fee(exit)?));
        let fees: Vnd = facts.iter().filter(counts).filter_map(taken).sum();
        prop_assert_eq!(Vnd(outcome.revenue()), fees);
    }

    #[test]
    fn all_money_is_on_a_row_or_waits_or_is_quarantined(facts in facts(14)) {
        let outcome = resolve(&facts);
        let rows: Vnd = outcome.rows.iter().map(|row| row.collected).sum();
        let aside: BTreeSet<&FactId> =
            outcome.waiting.iter().chain(outcome.quarantined.iter().map(|(id, _)| id)).collect();
        let aside: Vnd = outcome.takings.iter().filter(|t| aside.contains(&t.fact)).map(|t| t.fee).sum();
        prop_assert_eq!(Vnd(outcome.revenue()), rows + aside);
    }

    #[test]
    fn no_car_is_lost(facts in facts(14)) {
        let outcome = resolve(&facts);
        let repeats: BTreeSet<&FactId> = outcome.repeats.iter().map(|(repeat, _)| repeat).collect();
        let entries = distinct(&facts).into_iter().filter(|fact| matches!(fact.event.body, Body::Entry(_)));
        for entry in entries.filter(|entry| !repeats.contains(&entry.id)) {
            let rows = outcome.rows.iter().filter(|row| row.entry_fact == entry.id).count();
            prop_assert_eq!(rows, 1, "{:?}", entry);
        }
        for row in outcome.rows.iter().filter(|row| row.status == StayStatus::Superseded) {
            let older = row.superseded_by.as_deref().map(|id| outcome.row(id).status);
            prop_assert!(!matches!(older, None | Some(StayStatus::Superseded | StayStatus::Void)), "{:?}", row);
        }
    }

    #[test]
    fn repeats_are_requests_asked_twice_exits_told_again_or_copies_of_what_predecessors_said(facts in facts(14)) {
        let outcome = resolve(&facts);
        let facts: BTreeMap<FactId, Fact> =
            distinct(&facts).into_iter().map(|fact| (fact.id.clone(), fact)).collect();
        let repeats: BTreeSet<&FactId> = outcome.repeats.iter().map(|(repeat, _)| repeat).collect();
        for (repeat, first) in &outcome.repeats {
            prop_assert!(!repeats.contains(first), "a first is a repeat");
            let same = same_request(&facts[repeat].event, &facts[first].event);
            let is_told = |fact: &Fact| matches!(&fact.event.body, Body::Exit(exit) if exit.told);
            let is_copy = |fact: &Fact| fact.is_heard() || is_told(fact);
            let through_copy = facts.values().any(|other| is_copy(other) && repeats.contains(&other.id));
            // Of a passage told twice the exit that knew the stay counts, also where it is the one that was told afterwards.
            let told_again = is_told(&facts[first]) && matches!(facts[repeat].event.body, Body::Exit(_));
            prop_assert!(same || is_copy(&facts[repeat]) || told_again || through_copy);
        }
        // Of two facts with one request at least one is a repeat: at most one counts.
        for (a, b) in facts.values().flat_map(|a| facts.values().map(move |b| (a, b))) {
            if a.id != b.id && same_request(&a.event, &b.event) {
                let both_count = !repeats.contains(&a.id) && !repeats.contains(&b.id);
                prop_assert!(!both_count, "{:?} and {:?} both count", a, b);
            }
        }
    }

    #[test]
    fn what_is_not_linked_can_be_resolved_apart((here, there) in unlinked_facts(10)) {
        let linked: BTreeSet<Link> = here.iter().flat_map(links).collect();
        prop_assert!(there.iter().flat_map(links).all(|link| !linked.contains(&link)), "the generator links them");
        let together = resolve(&[&here[..], &there[..]].concat());
        prop_assert_eq!(merged(vec![resolve(&here), resolve(&there)]), together);
    }

    #[test]
    fn each_linked_group_can_be_resolved_apart(facts in facts(10)) {
        let apart = groups(&facts).iter().map(|group| resolve(group)).collect();
        prop_assert_eq!(merged(apart), resolve(&facts));
    }

    #[test]
    fn the_fact_with_the_greatest_key_is_one_step(facts in facts(14), plate_number in 0_usize..3) {
        let before = resolve(&facts);
        let plate_text = [P, Q, "31C11111"][plate_number];
        let hlc = facts.iter().map(|fact| fact.event.hlc).max().map_or(1, |hlc| hlc.ms() + 1);
        // So late that it tells no passage again.
        let hlc = hlc + PASSAGE_WINDOW_MS;
        let open = before.rows.iter().find(|r| r.plate_id.as_str() == plate_text && r.status == StayStatus::In);
        let add = |fact: Fact, rows: Vec<StayRow>| expect_step(&facts, &before, &fact, rows);
        let begin = entry("d", hlc, "N", plate_text);
        let leave = exit_unknown("d", hlc, "N", plate_text, 2);
        match open {
            None => {
                add(begin.clone(), vec![StayRow::opened(&begin).unwrap()])?;
                add(leave.clone(), vec![StayRow::exited_without_entry(&leave, None).unwrap()])?;
            }
            Some(open) => {
                let mut second = StayRow::opened(&begin).unwrap();
                second.supersede(open);
                let mut inside = open.clone();
                inside.note_entered_again(&begin);
                add(begin.clone(), vec![inside, second])?;
                let replacing = begin.replaces(&open.stay_id);
                let mut left = open.clone();
                left.leave_unseen(&replacing);
                add(replacing.clone(), vec![left, StayRow::opened(&replacing).unwrap()])?;
                let mut closed = open.clone();
                prop_assert!(closed.close_unknown(&leave));
                add(leave, vec![closed])?;
            }
        }
        let begun = |row: &&StayRow| !matches!(row.status, StayStatus::Superseded | StayStatus::Void);
        for row in before.rows.iter().filter(begun) {
            // A fee that nobody else took, so that it copies no exit of a predecessor.
            let leave = exit("d", hlc, &row.stay_id, 9);
            let inside = before.rows.iter().find(|r| r.plate_id == row.plate_id && r.status == StayStatus::In);
            let mut closed = inside.unwrap_or(row).clone();
            let is_its = closed.stay_id == row.stay_id;
            let left = if is_its { closed.close(&leave) } else { closed.close_unknown(&leave) };
            prop_assert!(left);
            add(leave, vec![closed])?;
            let barrier = confirmed("d", hlc, &row.stay_id);
            let mut closed = row.clone();
            if closed.confirm(&barrier) {
                add(barrier, vec![closed])?;
            }
        }
    }

    #[test]
    fn a_step_that_panics_is_caught_wherever_it_stands((facts, shuffled) in facts(12).prop_flat_map(|facts| {
        (Just(facts.clone()), Just(facts).prop_shuffle())
    }), which in 0_usize..12) {
        let bad = &facts[which % facts.len()].id;
        let panicking = |facts: &[Fact]| resolve_with(facts, |lot, act| {
            if act.fact.id == *bad {
                // Like a panic, but without its print.
                std::panic::resume_unwind(Box::new("boom"));
            }
            step(lot, act)
        });
        let outcome = panicking(&facts);
        prop_assert_eq!(&panicking(&shuffled), &outcome);
        let whole = resolve(&facts);
        let lost = whole.takings.iter().find(|taking| !outcome.takings.contains(taking));
        prop_assert_eq!(lost, None, "no step takes money away by not being taken");
        prop_assert_eq!(&outcome.waiting, &whole.waiting);
    }

    #[test]
    fn keys_follow_clocks_but_nothing_is_before_the_entry_it_names(facts in facts(3)) {
        for (a, b) in facts.iter().flat_map(|a| facts.iter().map(move |b| (a, b))) {
            prop_assert_eq!(FoldKey::of(a).cmp(&FoldKey::of(b)), a.place().cmp(&b.place()));
            prop_assert!(a.place() == b.place() || FoldKey::after(a, b) > FoldKey::of(a));
            for other in &facts {
                // Just after: nothing of another place comes between.
                let between = FoldKey::of(a) < FoldKey::of(other) && FoldKey::of(other) < FoldKey::after(a, b);
                prop_assert!(!between || b.place() > a.place());
            }
        }
    }
}

fn fee(fact: &Fact) -> Option<Vnd> {
    match &fact.event.body {
        Body::Exit(exit) => Some(exit.fee),
        _ => None,
    }
}

/// One event per fact id, the lowest (hlc, log, seq).
fn distinct(facts: &[Fact]) -> Vec<Fact> {
    let mut lowest: BTreeMap<&FactId, &Fact> = BTreeMap::new();
    let place = |fact: &Fact| (fact.event.hlc, fact.event.log.clone(), fact.event.seq);
    for fact in facts {
        let held = lowest.entry(&fact.id).or_insert(fact);
        if place(fact) < place(held) {
            *held = fact;
        }
    }
    lowest.into_values().cloned().collect()
}

/// The facts by linked group.
fn groups(facts: &[Fact]) -> Vec<Vec<Fact>> {
    let mut groups: Vec<(BTreeSet<Link>, Vec<Fact>)> = Vec::new();
    for fact in facts {
        let mut joined = (links(fact).into_iter().collect::<BTreeSet<_>>(), vec![fact.clone()]);
        for group in std::mem::take(&mut groups) {
            if group.0.is_disjoint(&joined.0) {
                groups.push(group);
            } else {
                joined.0.extend(group.0);
                joined.1.extend(group.1);
            }
        }
        groups.push(joined);
    }
    groups.into_iter().map(|(_, facts)| facts).collect()
}

fn merged(parts: Vec<Resolution>) -> Resolution {
    let mut all = Resolution::default();
    for part in parts {
        all.rows.extend(part.rows);
        all.takings.extend(part.takings);
        all.waiting.extend(part.waiting);
        all.repeats.extend(part.repeats);
        all.quarantined.extend(part.quarantined);
    }
    all.rows.sort_by(|a, b| a.stay_id.cmp(&b.stay_id));
    all.takings.sort_by(|a, b| a.fact.cmp(&b.fact));
    all.waiting.sort();
    all.repeats.sort();
    all.quarantined.sort();
    all
}

/// Checks that adding `fact` changes nothing but these rows and its own taking.
fn expect_step(facts: &[Fact], before: &Resolution, fact: &Fact, changed: Vec<StayRow>) -> Result<(), TestCaseError> {
    let plate = &changed[0].plate_id;
    let greatest = before.rows.iter().filter(|row| row.plate_id == *plate).map(|row| row.last_hlc).max();
    prop_assert!(greatest.unwrap_or_else(|| Hlc::new(0).unwrap()) < fact.event.hlc);
    let mut expected = before.clone();
    expected.rows.retain(|row| changed.iter().all(|new| new.stay_id != row.stay_id));
    expected.rows.extend(changed);
    expected.rows.sort_by(|a, b| a.stay_id.cmp(&b.stay_id));
    if let (Some(fee), Body::Exit(exit)) = (fee(fact), &fact.event.body) {
        let exit_ms = fact.event.timestamp_ms;
        let (central, edge_id) = (exit.exit_central.clone(), exit.exit_edge.clone());
        let told_apart = TakenAs::of(&fact.event, exit, fee);
        let (also, excess) = (Vec::new(), Vnd(0));
        let is_told_there = fact.is_heard() || fact.event.log.central.as_str() == exit.exit_central;
        let told_there = if is_told_there { ToldThere::Fee(fee) } else { ToldThere::Nothing };
        expected.takings.push(Taking {
            fact: fact.id.clone(),
            central,
            edge_id,
            exit_ms,
            fee,
            told_apart,
            also,
            told_there,
            excess,
        });
        expected.takings.sort_by(|a, b| a.fact.cmp(&b.fact));
    }
    let mut after = resolve(&[facts, std::slice::from_ref(fact)].concat());
    // A correction of the type settles it afterwards; the ledger takes no single step beside one.
    let typed = |fact: &Fact| matches!(&fact.event.body, Body::Correction(said) if said.camera_type.is_some());
    if facts.iter().any(typed) {
        for row in after.rows.iter_mut().chain(&mut expected.rows) {
            row.anomalies.remove(&Anomaly::OtherType);
        }
    }
    prop_assert_eq!(after, expected);
    Ok(())
}
