//! Stage 2: what each fact does to the stays of a plate.

use std::collections::BTreeSet;

use super::build::*;
use super::everywhere;
use crate::domain::anomaly::Anomaly;
use crate::domain::event::{Body, RightMethod};
use crate::domain::money::Vnd;
use crate::domain::payment::{Method, Paid, PaidToo};
use crate::domain::row::StayStatus::{In, LeftUnseen, Out, Superseded};
use crate::domain::stay::resolve;
use crate::domain::tariff::LONG_STAY_MS;

#[test]
fn an_entry_of_a_car_that_is_not_inside_opens_a_stay() {
    let outcome = everywhere(&[entry("a", 100, "S1", P)]);
    let row = outcome.row("S1");
    assert_eq!((row.status, row.entry_ms, row.collected), (In, 100, Vnd(0)));
    assert!(row.anomalies.is_empty() && row.exit.is_none());
}

#[test]
fn a_confirmation_is_a_time_and_not_a_status_and_the_first_counts() {
    let outcome = everywhere(&[entry("a", 100, "S1", P), confirmed("a", 105, "S1"), confirmed("a", 109, "S1")]);
    let row = outcome.row("S1");
    assert_eq!((row.status, row.confirmed_ms), (In, Some(105)));
    assert_eq!(row.last_hlc.ms(), 109, "the later one leaves its clock");
}

#[test]
fn an_exit_closes_its_stay_and_shows_its_fee() {
    let later = everywhere(&[entry("a", 100, "S1", P), exit("b", 60_100, "S1", 25_000)]);
    assert!(later.row("S1").anomalies.is_empty());
    let outcome = everywhere(&[entry("a", 100, "S1", P), exit("b", 200, "S1", 25_000)]);
    let row = outcome.row("S1");
    assert_eq!((row.status, row.collected), (Out, Vnd(25_000)));
    let exit = row.exit.as_ref().unwrap();
    assert_eq!((exit.central.as_str(), exit.exit_ms, exit.fee, exit.entry_unknown), ("b", 200, Vnd(25_000), false));
    assert_eq!(row.anomalies, BTreeSet::from([Anomaly::QuickExit]), "100 ms are no parking");
}

#[test]
fn an_exit_never_sorts_before_its_own_entry() {
    // B's clock is behind: its exit of S1 claims to be before the entry. The next entry is still after both.
    let facts = [entry("a", 100, "S1", P), exit("b", 50, "S1", 5), confirmed("b", 60, "S1"), entry("a", 101, "S2", P)];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", Out), ("S2", In)]);
    assert_eq!(outcome.row("S1").confirmed_ms, Some(60));
    assert!(outcome.row("S1").anomalies.contains(&Anomaly::FeeUncertain), "stamped before the entry");
}

#[test]
fn a_second_entry_without_replaces_is_superseded_and_kept() {
    let outcome = everywhere(&[entry("a", 100, "S1", P), entry("b", 110, "S2", P)]);
    assert_eq!(outcome.statuses(), [("S1", In), ("S2", Superseded)]);
    let younger = outcome.row("S2");
    assert_eq!(younger.superseded_by.as_deref(), Some("S1"));
    assert!(younger.anomalies.contains(&Anomaly::DoubleEntry));
    assert!(outcome.row("S1").anomalies.is_empty());
}

#[test]
fn of_two_entries_with_equal_clocks_the_lower_fact_id_is_the_older() {
    let outcome = everywhere(&[entry("b", 100, "S1", P), entry("a", 100, "S2", P)]);
    assert_eq!(outcome.statuses(), [("S1", Superseded), ("S2", In)]);
}

#[test]
fn what_names_a_superseded_stay_goes_to_the_older_one() {
    let facts =
        [entry("a", 100, "S1", P), entry("b", 110, "S2", P), confirmed("b", 111, "S2"), exit("b", 200, "S2", 7)];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", Out), ("S2", Superseded)]);
    let older = outcome.row("S1");
    assert_eq!((older.confirmed_ms, older.collected), (Some(111), Vnd(7)));
}

#[test]
fn a_forced_entry_that_replaces_the_open_stay_ends_it_as_left_unseen() {
    let outcome = everywhere(&[entry("a", 100, "S1", P), entry("b", 200, "S2", P).replaces("S1")]);
    assert_eq!(outcome.statuses(), [("S1", LeftUnseen), ("S2", In)]);
    let left = outcome.row("S1");
    assert_eq!((left.collected, left.exit.is_none()), (Vnd(0), true));
    assert!(left.anomalies.contains(&Anomaly::LeftUnseen));
    let new = outcome.row("S2");
    assert!(new.entry_manual && new.anomalies.contains(&Anomaly::ManualOpening));
}

#[test]
fn replaces_works_through_the_alias_of_a_superseded_stay() {
    let facts = [entry("a", 100, "S1", P), entry("b", 110, "S2", P), entry("b", 200, "S3", P).replaces("S2")];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", LeftUnseen), ("S2", Superseded), ("S3", In)]);
}

#[test]
fn a_forced_entry_that_replaces_a_stay_that_is_not_the_open_one_is_superseded() {
    let facts = [
        entry("a", 100, "S1", P),
        exit("a", 150, "S1", 1),
        entry("a", 200, "S2", P),
        entry("b", 300, "S3", P).replaces("S1"),
    ];
    assert_eq!(everywhere(&facts).statuses(), [("S1", Out), ("S2", In), ("S3", Superseded)]);
}

#[test]
fn a_forced_entry_that_replaces_a_stay_that_has_left_meanwhile_opens() {
    let facts = [entry("a", 100, "S1", P), exit("a", 150, "S1", 1), entry("b", 200, "S2", P).replaces("S1")];
    assert_eq!(everywhere(&facts).statuses(), [("S1", Out), ("S2", In)]);
}

/// Its gate knew an earlier visit, and not that it had ended: what it let out is the car that was inside.
#[test]
fn an_exit_of_a_stay_that_had_ended_is_of_the_car_that_is_inside() {
    let (came, left) = (entry("a", 100, "S1", P), exit("a", 150, "S1", 10));
    let (unseen, seen) = (entry("b", 200, "S2", P).replaces("S1"), entry("b", 200, "S2", P));
    for (before, first) in
        [(vec![came.clone(), left.clone(), seen.clone()], (Out, 10)), (vec![came.clone(), unseen], (LeftUnseen, 0))]
    {
        let outcome = everywhere(&[before, vec![exit("b", 300, "S1", 5)]].concat());
        assert_eq!(outcome.statuses(), [("S1", first.0), ("S2", Out)]);
        assert_eq!(outcome.row("S1").collected, Vnd(first.1));
        let row = outcome.row("S2");
        let ended = row.exit.as_ref().unwrap();
        assert_eq!(
            (ended.fee, ended.entry_unknown, row.collected),
            (Vnd(5), true, Vnd(5)),
            "what was taken stays with the exit"
        );
        assert!(row.anomalies.contains(&Anomaly::FeeUncertain), "and is to be looked at");
        assert!(!outcome.row("S1").anomalies.contains(&Anomaly::DoubleExit));
    }
}

#[test]
fn an_exit_of_a_stay_that_had_ended_is_a_double_exit_while_none_is_inside() {
    let facts = [entry("a", 100, "S1", P), exit("a", 150, "S1", 10), exit("b", 300, "S1", 5), entry("a", 400, "S2", P)];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", Out), ("S2", In)]);
    let row = outcome.row("S1");
    assert_eq!((row.exit.as_ref().unwrap().fee, row.collected), (Vnd(10), Vnd(15)));
    assert!(row.anomalies.contains(&Anomaly::DoubleExit));
    assert_eq!(outcome.revenue(), 15);
}

/// Two gates in a cut took one transfer for the car.
#[test]
fn two_exits_that_name_one_payment_are_said_and_both_count() {
    let paid = |reference: &str, also: Option<&str>| {
        let also =
            also.map(|reference| PaidToo { method: Method::Qr, amount: Vnd(1), reference: Some(reference.into()) });
        let (reference, also) = (Some(reference.to_owned()), also.into_iter().collect());
        Some(Paid { method: Method::Transfer, amount: Vnd(9), reference, also })
    };
    let twice = |first: Option<Paid>, second: Option<Paid>| {
        let left = exit("a", 150, "S1", 10).change_exit(|exit| exit.paid = first);
        let again = exit("b", 400_000, "S1", 10).change_exit(|exit| exit.paid = second);
        vec![entry("a", 100, "S1", P), left, again]
    };
    for (first, second, is_said) in [
        (paid("FT1", None), paid("FT1", None), true),
        (paid("FT1", None), paid("FT2", Some("FT1")), true),
        (paid("FT1", None), paid("FT2", None), false),
        (paid("FT1", None), None, false),
    ] {
        let said = format!("{first:?} {second:?}");
        let outcome = everywhere(&twice(first, second));
        assert_eq!(outcome.row("S1").anomalies.contains(&Anomaly::PaymentUsedTwice), is_said, "{said}");
        assert_eq!(outcome.revenue(), 20, "what was taken is what exits say");
    }
    // It was another payment, as a person says.
    let facts = twice(paid("FT1", None), paid("FT1", None));
    let right = correction("a", 500_000, "S1", P).change(|event| {
        if let Body::Correction(correction) = &mut event.body {
            let (exit, also, reference) = (facts[2].id.clone(), Vec::new(), Some("FT7".to_owned()));
            correction.plate_id = None;
            correction.right_method =
                Some(RightMethod { exit, before: None, method: Method::Transfer, reference, also });
        }
    });
    let corrected = everywhere(&[&facts[..], &[right]].concat());
    assert!(!corrected.row("S1").anomalies.contains(&Anomaly::PaymentUsedTwice));
    // Of an exit that was told twice the other exits say what they say.
    let hour = 3_600_000;
    let told = |at_ms, reference: &str| {
        let paid = paid(reference, None);
        exit("b", at_ms, "S1", 10).change_exit(|exit| (exit.told, exit.paid) = (true, paid))
    };
    let pressed = exit("a", 2 * hour + 1_000, "S1", 10).change_exit(|exit| exit.paid = paid("FT2", None));
    let facts = [entry("a", 100, "S1", P), told(hour, "FT1"), told(2 * hour, "FT3"), pressed, told(4 * hour, "FT1")];
    assert!(everywhere(&facts).row("S1").anomalies.contains(&Anomaly::PaymentUsedTwice));
    // One passage that was told twice is one exit.
    let told = exit("b", 5_000, "S1", 10).change_exit(|exit| (exit.told, exit.paid) = (true, paid("FT1", None)));
    let pressed = exit("a", 150, "S1", 10).change_exit(|exit| exit.paid = paid("FT1", None));
    let once = everywhere(&[entry("a", 100, "S1", P), pressed, told]);
    assert!(!once.row("S1").anomalies.contains(&Anomaly::PaymentUsedTwice));
}

/// A camera that sends its pictures later, beside a press that its gate answered.
#[test]
fn a_passage_that_is_pressed_and_told_is_paid_once_as_the_press_says() {
    let hour = 3_600_000;
    let press = exit("a", hour, "S1", 8);
    for before_ms in [-240_000, -60_000, -11_000, 11_000, 240_000] {
        let told = exit("b", hour + before_ms, "S1", 7).change_exit(|exit| exit.told = true);
        let outcome = everywhere(&[entry("a", 1, "S1", P), press.clone(), told]);
        let taken: Vec<_> = outcome.takings.iter().map(|taking| (&taking.fact, taking.fee)).collect();
        assert_eq!(taken, [(&press.id, Vnd(8))], "{before_ms} ms");
    }
}

/// Two cameras at the way out of two centrals, each of which knew another of two entries of the car.
#[test]
fn a_passage_told_of_two_entries_of_one_visit_is_paid_once() {
    let hour = 3_600_000;
    let told = |at_ms, stay: &str, fee| exit("b", at_ms, stay, fee).change_exit(|exit| exit.told = true);
    let facts =
        [entry("a", 1, "S1", P), entry("b", hour, "S2", P), told(5 * hour, "S1", 5), told(5 * hour + 5_000, "S2", 4)];
    let outcome = everywhere(&facts);
    assert_eq!((outcome.revenue(), outcome.row("S1").collected), (5, Vnd(5)));
    assert!(outcome.row("S1").anomalies.contains(&Anomaly::FeeUncertain), "two fees were told");
    // Nor does it move to the other when one of the entries is removed.
    let removed = everywhere(&[&facts[..], &[void("a", 6 * hour, "S2", &[&facts[1]])]].concat());
    assert_eq!((removed.revenue(), removed.row("S1").collected), (5, Vnd(5)));
}

/// Two cameras at the way out, of which one knew an earlier visit and the other the last one.
#[test]
fn a_passage_told_of_a_stay_that_had_ended_and_of_the_one_inside_is_paid_once() {
    let hour = 3_600_000;
    let told = |at_ms, stay: &str, fee| exit("b", at_ms, stay, fee).change_exit(|exit| exit.told = true);
    let visits = [entry("a", 1, "S1", P), told(hour, "S1", 1), entry("a", 10 * hour, "S2", P)];
    for (first, second) in [("S1", "S2"), ("S2", "S1")] {
        let fee = |stay: &str| if stay == "S2" { 2 } else { 11 };
        let twice = [told(11 * hour, first, fee(first)), told(11 * hour + 5_000, second, fee(second))];
        let outcome = everywhere(&[&visits[..], &twice[..]].concat());
        assert_eq!(outcome.statuses(), [("S1", Out), ("S2", Out)]);
        assert_eq!((outcome.row("S1").collected, outcome.row("S2").collected), (Vnd(1), Vnd(2)), "{first} first");
        assert!(outcome.row("S2").anomalies.contains(&Anomaly::DoubleExit));
    }
}

#[test]
fn an_exit_of_no_stay_closes_the_open_stay_and_says_that_the_entry_was_unknown() {
    let outcome = everywhere(&[entry("a", 100, "S1", P), exit_unknown("b", 200, "X1", P, 30_000)]);
    assert_eq!(outcome.statuses(), [("S1", Out)]);
    let row = outcome.row("S1");
    let exit = row.exit.as_ref().unwrap();
    assert!(exit.entry_unknown && exit.manual);
    assert_eq!((exit.fee, row.collected), (Vnd(30_000), Vnd(30_000)));
    assert!(row.anomalies.contains(&Anomaly::FeeUncertain) && row.anomalies.contains(&Anomaly::ManualOpening));
}

#[test]
fn an_exit_of_no_stay_is_a_row_of_its_own_when_the_car_is_not_inside() {
    let outcome = everywhere(&[exit_unknown("b", 200, "X1", P, 30_000)]);
    let row = outcome.row("X1");
    assert_eq!((row.status, row.entry_ms, row.plate_id.as_str()), (Out, 200, P));
    assert_eq!((row.collected, row.exit.as_ref().unwrap().exit_ms), (Vnd(30_000), 200));
    assert!(row.anomalies.contains(&Anomaly::ExitWithoutEntry) && !row.anomalies.contains(&Anomaly::FeeUncertain));
}

#[test]
fn two_exits_of_no_stay_close_the_open_stay_once() {
    let facts = [entry("a", 100, "S1", P), exit_unknown("b", 200, "X1", P, 1), exit_unknown("c", 210, "X2", P, 2)];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", Out), ("X2", Out)]);
    assert_eq!(outcome.revenue(), 3);
}

#[test]
fn what_names_an_exit_of_no_stay_goes_to_the_stay_it_closed() {
    let facts = [entry("a", 100, "S1", P), exit_unknown("b", 200, "X1", P, 1), exit("c", 300, "X1", 2)];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", Out)]);
    assert_eq!(outcome.row("S1").collected, Vnd(3));
}

#[test]
fn a_known_limit_an_exit_of_no_stay_before_an_entry_from_a_faster_clock_leaves_the_car_inside() {
    let outcome = everywhere(&[entry("a", 100, "S1", P), exit_unknown("b", 90, "X1", P, 1)]);
    assert_eq!(outcome.statuses(), [("S1", In), ("X1", Out)]);
    assert!(outcome.row("X1").anomalies.contains(&Anomaly::ExitWithoutEntry));
}

#[test]
fn a_confirmation_of_an_exit_without_entry_makes_no_sense_and_is_quarantined() {
    let strange = confirmed("b", 300, "X1");
    let outcome = everywhere(&[exit_unknown("b", 200, "X1", P, 1), strange.clone()]);
    assert_eq!(outcome.quarantined.len(), 1);
    assert_eq!(outcome.quarantined[0].0, strange.id);
    assert_eq!(outcome.row("X1").confirmed_ms, None);
}

#[test]
fn an_exit_with_neither_stay_nor_plate_is_quarantined_but_its_money_counts() {
    let strange = exit_unknown("b", 200, "X1", P, 4).change_exit(|exit| exit.plate_id = None);
    let outcome = everywhere(std::slice::from_ref(&strange));
    assert_eq!((outcome.rows.len(), outcome.revenue()), (0, 4));
    assert_eq!(outcome.quarantined[0].0, strange.id);
}

#[test]
fn the_fee_of_a_stay_over_seven_days_is_uncertain_unless_a_person_looked() {
    let uncertain = |leave: crate::domain::stay::Fact| {
        let outcome = resolve(&[entry("a", 100, "S1", P), leave]);
        outcome.row("S1").anomalies.contains(&Anomaly::FeeUncertain)
    };
    assert!(!uncertain(exit("a", 100 + LONG_STAY_MS, "S1", 1)));
    assert!(uncertain(exit("a", 101 + LONG_STAY_MS, "S1", 1)));
    assert!(!uncertain(exit("a", 101 + LONG_STAY_MS, "S1", 1).change_exit(|exit| exit.force = true)));
    assert!(!uncertain(exit("a", 101 + LONG_STAY_MS, "S1", 0)), "nothing was charged");
}

#[test]
fn an_author_whose_clock_is_over_a_minute_off_is_an_anomaly_of_the_row() {
    for (skew_ms, expected) in [(60_000, false), (60_001, true), (-60_000, false), (-60_001, true), (i64::MIN, true)] {
        let with =
            |facts: &[crate::domain::stay::Fact]| everywhere(facts).row("S1").anomalies.contains(&Anomaly::ClockSkew);
        assert_eq!(with(&[entry("a", 100, "S1", P).skewed(skew_ms)]), expected, "entry {skew_ms}");
        let leave = exit("b", 200, "S1", 1).skewed(skew_ms);
        assert_eq!(with(&[entry("a", 100, "S1", P), leave]), expected, "exit {skew_ms}");
    }
}

#[test]
fn each_plate_is_folded_for_itself() {
    let facts = [entry("a", 100, "S1", P), entry("a", 101, "S2", Q), exit_unknown("b", 200, "X1", Q, 1)];
    assert_eq!(everywhere(&facts).statuses(), [("S1", In), ("S2", Out)]);
}
