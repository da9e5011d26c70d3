//! What people on both sides of a cut say of one exit's money: it counts once, or is given back, whatever they say and in whatever order.

use parkmesh::domain::anomaly::Anomaly;
use parkmesh::domain::direction::Direction;
use parkmesh::domain::explain::Explainer;
use parkmesh::domain::explain::words::Text;
use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::Method;
use parkmesh::domain::row::StayStatus;
use parkmesh::domain::stay::Taking;
use parkmesh::domain::time::SiteZone;
use parkmesh::domain::told::payment::ToldPaid;
use parkmesh::ledger::job::{Beside, CorrectStay, Job, OpenBarrier, Refusal, Report, UnreadOpening};
use proptest::prelude::*;

use crate::ledger_support::check::check;
use crate::ledger_support::*;
use crate::reporting::report;
use crate::shifts::unread_exit;

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
        "exit P" => said.exit_plate = Some(plate(P)),
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

/// How a gate that heard no answer tells one exit to both centrals of a cut, that hold its entry.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// It asks for the barrier, under the same id.
    Asked,
    /// It reports under the same id.
    Reported,
    /// It reports under an id for each, or none: the time alone says that it is one passage.
    Seen,
}

/// Two centrals in a cut that were told one exit each, with these other cars inside.
fn told_twice(told: Told, inside: &[&str]) -> ([Central; 2], String) {
    let (mut one, mut other) = (Central::new(0), Central::new(1));
    for car in inside {
        one.enters(entry("in", car));
    }
    let stay = one.enters(entry("in", P));
    other.hear(&mut one);
    one.wait(2 * HOUR_MS);
    other.now_ms = one.now_ms + 10_000;
    let at_ms = one.wall_ms();
    for (central, id) in [(&mut one, "a"), (&mut other, "b")] {
        let asked = OpenBarrier { fee: Some(Vnd(FEE)), ..forced(exit("out", P)) };
        let id = if matches!(told, Told::Seen) { id } else { "r1" };
        let reported =
            Report { edge_id: "out".to_owned(), fee: Some(Vnd(FEE)), ..report(Direction::Exit, Some(id), Some(at_ms)) };
        central
            .ask(match told {
                Told::Asked => Job::Open(requested(id, asked)),
                Told::Reported | Told::Seen => Job::Report(reported),
            })
            .unwrap();
    }
    one.wait(HOUR_MS);
    other.wait(HOUR_MS);
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

/// Each side knows the telling of its own alone, and says what it says of that.
#[test]
fn an_exit_that_a_gate_told_on_both_sides_of_a_cut_counts_once_whatever_is_said_of_either() {
    let changes = ["", "void", "fee 0", "fee more", "transfer", "exit Q", "exit R", "plate Q", "plate R"];
    let mut wrong = Vec::new();
    for (told, is_one_first) in
        [Told::Asked, Told::Reported, Told::Seen].into_iter().flat_map(|told| [(told, true), (told, false)])
    {
        for (by_one, by_other) in changes.iter().flat_map(|one| changes.iter().map(move |other| (*one, *other))) {
            let (mut centrals, stay) = told_twice(told, &[]);
            centrals[usize::from(is_one_first)].wait(30 * MINUTE_MS);
            for (central, change) in
                centrals.iter_mut().zip([by_one, by_other]).filter(|(_, change)| !change.is_empty())
            {
                central.ask(said(change, &stay)).unwrap();
            }
            let takings = healed(&mut centrals);
            let case = format!("{told:?}: {by_one} and {by_other}, {is_one_first}: {takings:?}");
            let is_said = |said: &str| [by_one, by_other].contains(&said);
            let last = if is_one_first == by_other.starts_with("fee") { by_other } else { by_one };
            let due = if matches!(told, Told::Asked) { FEE } else { 50_000 };
            let fee = match (is_said("void"), is_said("fee 0"), is_said("fee more")) {
                (true, ..) => 0,
                (_, true, true) => {
                    if last == "fee 0" {
                        0
                    } else {
                        FEE + 5_000
                    }
                }
                (_, true, _) => 0,
                (_, _, true) => FEE + 5_000,
                _ => due,
            };
            let is_one = takings.len() <= 1 && takings.iter().map(|taking| taking.fee.0).sum::<i64>() == fee;
            let is_paid_so =
                !is_said("transfer") || fee == 0 || takings.iter().all(|taking| taking.told_apart.method == "transfer");
            if !(is_one && is_paid_so) {
                wrong.push(case);
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// A program told it: what comes within five minutes of what it told of that stay before is that passage, and not what gives it back.
#[test]
fn an_exit_that_is_given_back_to_the_car_it_was_told_of_counts() {
    for told in [Told::Reported, Told::Seen] {
        let (mut centrals, first) = told_twice(told, &[Q]);
        for given in ["exit Q", "exit P", "exit Q", "exit P"] {
            let left = centrals[0].rows().into_iter().find(|row| row.exit.is_some()).unwrap();
            centrals[0].ask(said(given, &left.stay_id)).unwrap();
        }
        let takings = healed(&mut centrals);
        assert_eq!(takings.iter().map(|taking| taking.fee.0).collect::<Vec<_>>(), [50_000], "{told:?}");
        assert_eq!(centrals[0].row(&first).status, StayStatus::Out);
    }
}

/// Each side reads one opening as another car: one came in, or left, and who looks at it sees that it was read twice.
#[test]
fn an_opening_that_both_sides_of_a_cut_read_as_two_cars_is_one_passage() {
    for direction in [Direction::Entry, Direction::Exit] {
        for [by_one, by_other] in [[Q, R], [R, Q], [Q, Q]] {
            let (mut one, mut other) = (Central::new(0), Central::new(1));
            one.ask(Job::Unread(UnreadOpening { direction, ..unread_exit(Some(Vnd(FEE))) })).unwrap();
            let opening = one.last_event().fact_id().to_string();
            other.hear(&mut one);
            let mut centrals = [one, other];
            for (central, car) in centrals.iter_mut().zip([by_one, by_other]) {
                central.wait(HOUR_MS);
                let read = CorrectStay {
                    plate: Some(plate(car)),
                    reason: "picture".to_owned(),
                    stay_id: opening.clone(),
                    ..CorrectStay::default()
                };
                central.ask(Job::Correct(read.clone())).unwrap();
                let again = central.ask(Job::Correct(CorrectStay { plate: Some(plate(P)), ..read }));
                assert!(
                    matches!(again, Err(Refusal::Field { field: "plate_id", .. })),
                    "it is told at once: {again:?}"
                );
            }
            let takings = healed(&mut centrals);
            assert_eq!(takings.len(), usize::from(direction == Direction::Exit));
            let is_twice = by_one != by_other;
            for central in &mut centrals {
                let rows = central.rows();
                assert_eq!(rows.len(), 1, "{direction:?} of {by_one} and {by_other}: {rows:?}");
                assert_eq!(rows[0].anomalies.contains(&Anomaly::MayBeToldTwice), is_twice);
                let said = Explainer::new(&central.facts(), &SiteZone::default()).anomalies(&rows[0].stay_id);
                let is_of_reading = |(_, said): &(Anomaly, Text)| said.en.contains("read the same opening as");
                assert_eq!(said.iter().any(is_of_reading), is_twice, "{said:?}");
            }
            // It goes on as any other.
            let [one, _] = &mut centrals;
            if direction == Direction::Entry {
                let car = one.rows()[0].plate_id.to_string();
                one.exits(exit("out", &car));
                check(one);
            }
        }
    }
}

/// Each gives it on twice.
#[test]
fn an_exit_that_both_sides_of_a_cut_give_on_twice_counts_once() {
    let gives = ["exit Q", "exit R", "plate Q", "plate R"];
    let mut wrong = Vec::new();
    for case in (0..256_usize).step_by(7) {
        for order in 0..6_usize {
            let (mut centrals, first) = cut(true);
            let mut said_by = [0_usize; 2];
            let sides = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]][order];
            let mut accepted = Vec::new();
            for (number, side) in (1..).zip(sides) {
                centrals[side].wait(number * 10 * MINUTE_MS);
                let change = gives[case >> (2 * (2 * side + said_by[side])) & 3];
                said_by[side] += 1;
                let left = centrals[side].rows().into_iter().find(|row| row.exit.is_some()).map(|row| row.stay_id);
                if centrals[side].ask(said(change, &left.unwrap_or_else(|| first.clone()))).is_ok() {
                    accepted.push((side, change));
                }
            }
            let takings = healed(&mut centrals);
            if takings.len() != 1 || takings[0].fee.0 != FEE {
                wrong
                    .push(format!("{accepted:?}: {:?}", takings.iter().map(|taking| taking.fee.0).collect::<Vec<_>>()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
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
