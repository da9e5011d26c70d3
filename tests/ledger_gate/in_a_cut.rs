//! What people on both sides of a cut say of one exit's money: it counts once, or is given back, whatever they say and in whatever order.

use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::Method;
use parkmesh::domain::row::StayStatus;
use parkmesh::domain::stay::Taking;
use parkmesh::domain::told::payment::ToldPaid;
use parkmesh::ledger::job::{Beside, CorrectStay, Job, OpenBarrier};
use proptest::prelude::*;

use crate::ledger_support::check::check;
use crate::ledger_support::*;

/// What was due at the exit, and what was paid beyond it.
const FEE: i64 = 20_000;
const EXCESS: i64 = 30_000;
const R: &str = "31C11111";

fn said(change: &str, stay: &str) -> Job {
    let mut said = CorrectStay { stay_id: stay.to_owned(), reason: "seen".to_owned(), ..CorrectStay::default() };
    match change {
        "void" => return void(stay),
        "restore" => said.restore = true,
        "fee 0" => said.fee = Some(Vnd(0)),
        "fee more" => said.fee = Some(Vnd(FEE + 5_000)),
        "transfer" => said.paid = Some(ToldPaid::by(Method::Transfer)),
        "given back" => said.paid = Some(ToldPaid::by(Method::Cash)),
        "exit Q" => said.exit_plate = Some(plate(Q)),
        "exit R" => said.exit_plate = Some(plate(R)),
        "plate Q" => said.plate = Some(plate(Q)),
        _ => said.plate = Some(plate(R)),
    }
    Job::Correct(said)
}

/// Two centrals in a cut: a car came in that both know, and paid too much when it left at the first. And its stay.
fn cut(is_exit_known: bool) -> ([Central; 2], String) {
    let (mut one, mut other) = (Central::new(0), Central::new(1));
    one.enters(entry("in", P));
    other.hear(&mut one);
    one.wait(2 * HOUR_MS);
    let paid = ToldPaid { amount: Some(Vnd(FEE + EXCESS)), ..ToldPaid::by(Method::Cash) };
    let beside = Beside { paid: Some(paid), ..Beside::default() };
    let (stay, ..) = one.exits(OpenBarrier { fee: Some(Vnd(FEE)), beside, ..forced(exit("out", P)) });
    if is_exit_known {
        other.hear(&mut one);
    }
    other.wait(2 * HOUR_MS);
    ([one, other], stay)
}

/// Both say the same afterwards. What was taken, each.
fn healed([one, other]: &mut [Central; 2]) -> Vec<Taking> {
    one.wait(DAY_MS);
    other.wait(DAY_MS);
    other.hear(one);
    one.hear(other);
    for central in [&mut *one, &mut *other] {
        central.settle();
        check(central);
    }
    assert_eq!(one.ledger.digest(), other.ledger.digest());
    let takings = one.ledger.storage().takings.clone();
    assert_eq!(takings, other.ledger.storage().takings);
    let rows = one.rows();
    let shown: i64 = rows.iter().filter(|row| row.status != StayStatus::Void).map(|row| row.collected.0).sum();
    assert_eq!(shown, takings.values().map(|taking| taking.fee.0).sum::<i64>(), "rows and sums");
    takings.into_values().collect()
}

/// Also where an exit that is given to another car is written anew, and the other side does not know that.
#[test]
fn what_was_taken_counts_once_or_is_given_back_whatever_both_sides_of_a_cut_say() {
    let changes = ["void", "fee 0", "transfer", "given back", "exit Q", "exit R", "plate Q", "plate R"];
    for (is_exit_known, is_one_first) in [(true, true), (true, false), (false, true), (false, false)] {
        for (by_one, by_other) in changes.iter().flat_map(|one| changes.iter().map(move |other| (*one, *other))) {
            let (mut centrals, stay) = cut(is_exit_known);
            centrals[usize::from(is_one_first)].wait(30 * MINUTE_MS);
            let [one, other] = &mut centrals;
            let accepted = [one.ask(said(by_one, &stay)), other.ask(said(by_other, &stay))];
            if accepted.iter().any(Result::is_err) {
                continue;
            }
            let is_said = |begins: &str| [by_one, by_other].iter().any(|change| change.starts_with(begins));
            // Who removes a stay without knowing of its exit gives nothing back.
            let is_kept = !is_exit_known && by_other == "void" && !["void", "fee 0"].contains(&by_one);
            let fee = if (is_said("fee") || is_said("void")) && !is_kept { 0 } else { FEE };
            let is_settled = fee == 0 || is_said("transfer") || is_said("given back");
            let takings = healed(&mut centrals);
            let case = format!("{by_one} and {by_other}, exit known: {is_exit_known}, {is_one_first}: {takings:?}");
            assert_eq!(takings.iter().map(|taking| taking.fee.0).sum::<i64>(), fee, "{case}");
            let excess: i64 = takings.iter().map(|taking| taking.excess.0).sum();
            assert_eq!(excess, if is_settled { 0 } else { EXCESS }, "{case}");
            // Of two who say how it was paid the later one is right.
            let last = if is_one_first { by_other } else { by_one };
            let is_transfer = is_said("transfer") && (last == "transfer" || !is_said("given back"));
            let method = if is_transfer { "transfer" } else { "cash" };
            assert!(takings.iter().all(|taking| fee == 0 || taking.told_apart.method == method), "{case}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Each side goes on from what it knows: what the exit was made before is what the next change is of.
    #[test]
    fn an_exit_counts_once_whatever_several_changes_on_both_sides_of_a_cut_say(
        steps in prop::collection::vec((0..2_usize, 0..10_usize, any::<bool>(), 1..50_i64), 2..=5),
        is_exit_known in any::<bool>(),
    ) {
        let changes =
            ["void", "restore", "fee 0", "fee more", "transfer", "given back", "exit Q", "exit R", "plate Q", "plate R"];
        let (mut centrals, first) = cut(is_exit_known);
        let mut accepted = Vec::new();
        for (side, change, is_of_first, minutes) in steps {
            centrals[side].wait(minutes * MINUTE_MS);
            // The stay that has the exit at this side, or the one that had it.
            let left = centrals[side].rows().into_iter().find(|row| row.exit.is_some()).map(|row| row.stay_id);
            let stay = left.filter(|_| !is_of_first).unwrap_or_else(|| first.clone());
            if centrals[side].ask(said(changes[change], &stay)).is_ok() {
                accepted.push((side, changes[change]));
            }
        }
        let takings = healed(&mut centrals);
        let is_said = |change: &str| accepted.iter().any(|(_, said)| *said == change);
        prop_assert!(takings.len() <= 1, "{accepted:?}: {takings:?}");
        let fees = [0, FEE, FEE + 5_000];
        prop_assert!(takings.iter().all(|taking| fees.contains(&taking.fee.0)), "{accepted:?}: {takings:?}");
        prop_assert!(is_said("void") || takings.len() == 1, "nobody removed it: {accepted:?}");
        prop_assert!(is_said("fee 0") || is_said("void") || takings[0].fee.0 > 0, "{accepted:?}: {takings:?}");
        let is_looked_at = ["fee 0", "fee more", "transfer", "given back"].into_iter().any(is_said);
        let is_right = |taking: &Taking| {
            taking.excess.0 == if is_looked_at || taking.fee == Vnd(0) { 0 } else { EXCESS }
        };
        prop_assert!(takings.iter().all(is_right), "{accepted:?}: {takings:?}");
    }
}
