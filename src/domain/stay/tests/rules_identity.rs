//! Stage 1: which facts are one, and which stay a name means.

use super::build::*;
use super::everywhere;
use crate::domain::anomaly::Anomaly;
use crate::domain::money::Vnd;
use crate::domain::row::StayStatus::{In, LeftUnseen, Out, Superseded};
use crate::domain::stay::{REQUEST_WINDOW_MS, same_request};

#[test]
fn an_entry_retried_at_another_central_is_one_entry() {
    let first = entry("a", 100, "S1", P).request("r1");
    let again = entry("b", 105, "S2", P).request("r1");
    let outcome = everywhere(&[first.clone(), again.clone()]);
    assert_eq!(outcome.statuses(), [("S1", In)]);
    assert_eq!(outcome.repeats, [(again.id, first.id)]);
    assert!(outcome.row("S1").anomalies.is_empty());
}

#[test]
fn an_exit_retried_at_another_central_earns_once() {
    let first = exit("a", 200, "S1", 25_000).request("r2");
    let again = exit("b", 203, "S1", 25_000).request("r2");
    let outcome = everywhere(&[entry("a", 100, "S1", P), first, again]);
    assert_eq!((outcome.revenue(), outcome.row("S1").collected), (25_000, Vnd(25_000)));
    assert!(!outcome.row("S1").anomalies.contains(&Anomaly::DoubleExit));
}

#[test]
fn the_stay_id_of_a_repeat_is_an_alias_of_the_firsts() {
    let facts = [
        entry("a", 100, "S1", P).request("r1"),
        entry("b", 105, "S2", P).request("r1"),
        confirmed("b", 106, "S2"),
        exit("b", 200, "S2", 5),
    ];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", Out)]);
    assert_eq!((outcome.row("S1").confirmed_ms, outcome.row("S1").collected), (Some(106), Vnd(5)));
}

#[test]
fn replaces_works_through_the_alias_of_a_repeat() {
    let facts = [
        entry("a", 100, "S1", P).request("r1"),
        entry("b", 105, "S2", P).request("r1"),
        entry("b", 300, "S3", P).replaces("S2"),
    ];
    assert_eq!(everywhere(&facts).statuses(), [("S1", LeftUnseen), ("S3", In)]);
}

#[test]
fn the_id_of_a_repeated_exit_of_no_stay_means_the_stay_its_first_closed() {
    // At A the entry was known, at B it was not.
    let first = exit("a", 200, "S1", 5).request("r").change_exit(|exit| exit.force = true);
    let again = exit_unknown("b", 204, "X1", P, 5).request("r").change_exit(|exit| exit.requested_fee = None);
    let facts = [entry("a", 100, "S1", P), first, again, correction("b", 300, "X1", Q)];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", Out)]);
    assert_eq!((outcome.row("S1").plate_id.as_str(), outcome.revenue()), (Q, 5));
    assert!(outcome.waiting.is_empty());
}

#[test]
fn requests_are_the_same_only_if_edge_id_plate_direction_force_and_fee_are() {
    let base = || exit("a", 100, "S1", 5).request("r").change_exit(|exit| exit.force = true);
    let other =
        |change: fn(&mut crate::domain::event::Exit)| same_request(&base().event, &base().change_exit(change).event);
    assert!(other(|exit| exit.fee = Vnd(9)), "the fee that was asked for counts, not the one computed");
    assert!(other(|exit| exit.stay = Some(None)), "one central knew the entry, the other did not");
    assert!(!other(|exit| exit.exit_edge = "other".to_owned()));
    assert!(!other(|exit| exit.request_id = Some("other".to_owned())));
    assert!(!other(|exit| exit.plate_id = Some(plate(Q))));
    assert!(!other(|exit| exit.force = false));
    assert!(!other(|exit| exit.requested_fee = Some(Vnd(5))));
    let entry = entry("a", 100, "S1", P).request("r").change_entry(|entry| {
        entry.force = true;
        entry.edge_id = "out".to_owned();
    });
    assert!(!same_request(&base().event, &entry.event), "an entry and an exit");
    let unnamed = exit("a", 100, "S1", 5);
    assert!(!same_request(&unnamed.event, &unnamed.event), "without a request id nothing is a repeat");
}

#[test]
fn a_request_id_seen_again_after_seven_days_is_another_request() {
    let second = |gap_ms: i64| {
        let facts = [
            entry("a", 100, "S1", P).request("r"),
            exit("a", 150, "S1", 1),
            entry("b", 100 + gap_ms, "S2", P).request("r"),
        ];
        assert_eq!(same_request(&facts[0].event, &facts[2].event), gap_ms <= REQUEST_WINDOW_MS);
        everywhere(&facts).rows.len()
    };
    assert_eq!(second(REQUEST_WINDOW_MS), 1);
    assert_eq!(second(REQUEST_WINDOW_MS + 1), 2);
}

#[test]
fn of_two_entries_with_one_id_the_lower_keeps_it_and_what_names_it_goes_there() {
    let low = entry("a", 100, "S1", P);
    let high = entry("b", 110, "S1", Q);
    let outcome = everywhere(&[low, high.clone(), exit("b", 200, "S1", 5)]);
    let renamed = high.unique_id("S1");
    assert!(renamed.starts_with("S1~") && renamed.len() == "S1~".len() + 8);
    assert_eq!(outcome.statuses(), [("S1", Out), (renamed.as_str(), In)]);
    assert_eq!(outcome.row("S1").plate_id.as_str(), P);
}

#[test]
fn the_new_id_of_an_entry_can_be_named() {
    let high = entry("b", 110, "S1", Q);
    let renamed = high.unique_id("S1");
    let outcome = everywhere(&[entry("a", 100, "S1", P), high, exit("b", 200, &renamed, 5)]);
    assert_eq!(outcome.row(&renamed).status, Out);
    assert_eq!(outcome.row("S1").status, In);
}

#[test]
fn two_authored_entries_with_one_id_and_one_plate_are_two() {
    let high = entry("b", 110, "S1", P);
    let outcome = everywhere(&[entry("a", 100, "S1", P), high.clone()]);
    assert_eq!(outcome.statuses(), [("S1", In), (high.unique_id("S1").as_str(), Superseded)]);
}

#[test]
fn an_entry_told_by_predecessors_in_two_wordings_is_one() {
    let v1 = entry("a", 100, "S1", P).heard(1);
    let v2 = entry("b", 101, "S1", P).heard(2);
    let outcome = everywhere(&[v1.clone(), v2.clone()]);
    assert_eq!(outcome.statuses(), [("S1", In)]);
    assert_eq!(outcome.repeats, [(v2.id, v1.id)]);
}

#[test]
fn what_a_predecessor_echoes_of_our_entry_is_a_repeat_even_if_it_claims_an_earlier_time() {
    // Predecessors tell times in whole seconds.
    let ours = entry("a", 1_500, "S2", P).replaces("S1");
    let echo = entry("b", 1_000, "S2", P).heard(1);
    let outcome = everywhere(&[entry("a", 100, "S1", P), ours.clone(), echo.clone()]);
    assert_eq!(outcome.statuses(), [("S1", LeftUnseen), ("S2", In)]);
    assert_eq!(outcome.repeats, [(echo.id, ours.id)]);
}

#[test]
fn an_entry_of_another_plate_told_by_a_predecessor_under_a_known_id_is_another_entry() {
    let other = entry("b", 110, "S1", Q).heard(1);
    let outcome = everywhere(&[entry("a", 100, "S1", P), other.clone()]);
    assert_eq!(outcome.statuses(), [("S1", In), (other.unique_id("S1").as_str(), In)]);
}

#[test]
fn one_statement_of_a_predecessor_heard_by_two_centrals_is_one_fact() {
    let at_a = entry("a", 100, "S1", P).seq(9).heard(1);
    let at_b = entry("b", 100, "S1", P).seq(3).heard(1);
    let outcome = everywhere(&[at_b, at_a]);
    assert_eq!(outcome.statuses(), [("S1", In)]);
    assert!(outcome.repeats.is_empty());
    assert_eq!(outcome.row("S1").source_central, "a", "the lowest (hlc, log, seq)");
}

#[test]
fn copies_of_an_exit_told_by_predecessors_are_one_per_stay_second_and_fee() {
    let ours = exit("a", 2_600, "S1", 5);
    let same = exit("b", 2_000, "S1", 5).heard(1);
    let other_second = exit("b", 3_000, "S1", 5).heard(2);
    let other_fee = exit("b", 2_000, "S1", 6).heard(3);
    let begin = entry("a", 100, "S1", P);
    let outcome = everywhere(&[begin.clone(), ours.clone(), same.clone()]);
    assert_eq!((outcome.revenue(), outcome.repeats.clone()), (5, vec![(same.id, ours.id.clone())]));
    assert_eq!(everywhere(&[begin.clone(), ours.clone(), other_second]).revenue(), 10);
    assert_eq!(everywhere(&[begin, ours, other_fee]).revenue(), 11);
}

#[test]
fn two_authored_exits_in_one_second_both_took_the_money() {
    let outcome = everywhere(&[
        entry("a", 100, "S1", P),
        exit("a", 2_100, "S1", 5),
        exit("b", 2_200, "S1", 5),
        exit("c", 2_000, "S1", 5).heard(1),
    ]);
    assert_eq!((outcome.revenue(), outcome.row("S1").collected), (10, Vnd(10)));
}

#[test]
fn copies_of_an_exit_may_name_its_stay_by_an_alias() {
    let facts = [
        entry("a", 100, "S1", P).request("r"),
        entry("b", 110, "S2", P).request("r"),
        exit("a", 2_000, "S1", 5).heard(1),
        exit("b", 2_000, "S2", 5).heard(2),
        exit("a", 2_000, "S9", 7).heard(3),
        exit("b", 2_000, "S9", 7).heard(4),
    ];
    let outcome = everywhere(&facts);
    assert_eq!((outcome.revenue(), outcome.waiting.len()), (12, 1), "also while their entry is unknown");
}

#[test]
fn the_first_of_a_repeat_is_never_a_repeat_itself() {
    let heard = exit("a", 2_000, "S1", 5).request("r").heard(1);
    let asked_again = exit("b", 2_500, "S1", 5).request("r");
    let original = exit("c", 2_900, "S1", 5);
    let outcome = everywhere(&[heard.clone(), asked_again.clone(), original.clone()]);
    assert_eq!(outcome.repeats, [(asked_again.id, original.id.clone()), (heard.id, original.id)]);
    assert_eq!(outcome.revenue(), 5);
}

#[test]
fn an_exit_of_no_stay_never_takes_the_id_of_an_entry() {
    let leave = exit_unknown("b", 50, "S1", Q, 5);
    let outcome = everywhere(&[entry("a", 100, "S1", P), leave.clone()]);
    assert_eq!(outcome.statuses(), [("S1", In), (leave.unique_id("S1").as_str(), Out)]);
}

#[test]
fn an_id_that_comes_with_the_mark_of_a_collision_is_made_unique_again() {
    let high = entry("b", 110, "S1", Q);
    let claimed = high.unique_id("S1");
    let strange = entry("c", 50, &claimed, P);
    let outcome = everywhere(&[entry("a", 100, "S1", "31C11111"), high, strange.clone()]);
    let plates: Vec<_> = outcome.rows.iter().map(|row| (row.stay_id.as_str(), row.plate_id.as_str())).collect();
    assert_eq!(plates, [("S1", "31C11111"), (claimed.as_str(), Q), (strange.unique_id(&claimed).as_str(), P)]);
}

#[test]
fn a_fact_that_names_an_unknown_stay_waits_and_a_waiting_exit_earns() {
    let facts = [exit("b", 200, "S1", 5), confirmed("b", 150, "S1"), correction("b", 160, "S1", Q)];
    let outcome = everywhere(&facts);
    assert_eq!((outcome.rows.len(), outcome.waiting.len(), outcome.revenue()), (0, 3, 5));
    let with_entry = [&facts[..], &[entry("a", 100, "S1", P)]].concat();
    let outcome = everywhere(&with_entry);
    assert_eq!((outcome.statuses(), outcome.waiting.len(), outcome.revenue()), (vec![("S1", Out)], 0, 5));
    assert_eq!(outcome.row("S1").plate_id.as_str(), Q);
}

#[test]
fn an_event_without_a_stay_id_is_quarantined_and_its_money_counts() {
    let strange = exit_unknown("a", 100, "X1", P, 5).change(|event| event.event_id = None);
    let outcome = everywhere(std::slice::from_ref(&strange));
    assert_eq!((outcome.rows.len(), outcome.revenue(), outcome.quarantined.len()), (0, 5, 1));
}

/// As the second revision tells an exit: under an id of the exit's own, with the plate.
fn exit_by_plate(hlc: i64, own_id: &str, plate_text: &str, fee: i64) -> crate::domain::stay::Fact {
    let digest = u8::try_from(hlc % 251).unwrap();
    exit("x", hlc, own_id, fee)
        .change_exit(|exit| {
            exit.stay = None;
            exit.plate_id = Some(plate(plate_text));
        })
        .heard(digest)
}

#[test]
fn an_exit_told_by_plate_is_of_the_stay_of_that_plate_that_is_open_then() {
    let facts = [
        entry("a", 100, "S1", P),
        exit_by_plate(20_000, "X1", P, 5),
        entry("a", 30_000, "S2", P),
        entry("b", 100, "S3", Q),
    ];
    let outcome = everywhere(&facts);
    assert_eq!(outcome.statuses(), [("S1", Out), ("S2", In), ("S3", In)]);
    assert_eq!((outcome.row("S1").collected, outcome.revenue()), (Vnd(5), 5));
    assert!(!outcome.row("S1").anomalies.contains(&Anomaly::DoubleExit) && outcome.waiting.is_empty());
}

#[test]
fn an_exit_told_by_plate_goes_by_the_plate_as_corrected() {
    let facts = [entry("a", 100, "S1", P), correction("a", 200, "S1", Q), exit_by_plate(20_000, "X1", Q, 5)];
    assert_eq!(everywhere(&facts).statuses(), [("S1", Out)]);
}

#[test]
fn an_exit_told_by_plate_whose_entry_nobody_told_is_a_row_of_its_own_until_somebody_does() {
    let left = exit_by_plate(20_000, "X1", P, 5);
    let outcome = everywhere(std::slice::from_ref(&left));
    assert_eq!((outcome.statuses(), outcome.revenue()), (vec![("X1", Out)], 5));
    assert!(outcome.waiting.is_empty());
    let outcome = everywhere(&[left, entry("a", 100, "S1", P).heard(9)]);
    assert_eq!((outcome.statuses(), outcome.revenue()), (vec![("S1", Out)], 5));
}

#[test]
fn an_exit_told_by_plate_and_by_a_row_is_one_exit() {
    let (live, row) = (exit_by_plate(20_000, "X1", P, 5), exit("a", 20_000, "S1", 5).heard(77));
    let begun = entry("a", 100, "S1", P).heard(9);
    for facts in [
        vec![begun.clone(), live.clone(), row.clone()],
        // The row's plate was corrected there meanwhile.
        vec![begun.clone(), live.clone(), row.clone().change_exit(|exit| exit.plate_id = Some(plate(Q)))],
        // Told twice, and again under the same id a second later.
        vec![begun.clone(), live.clone(), row.clone(), exit_by_plate(21_000, "X1", P, 5)],
        // A later visit is not ended by it.
        vec![begun.clone(), live.clone(), row.clone(), entry("a", 20_500, "S2", P)],
    ] {
        let outcome = everywhere(&facts);
        let first = outcome.row("S1");
        assert_eq!((first.status, first.collected, outcome.revenue()), (Out, Vnd(5), 5), "{facts:#?}");
        assert!(!first.anomalies.contains(&Anomaly::DoubleExit) && outcome.waiting.is_empty(), "{first:?}");
        assert!(outcome.rows.iter().all(|row| row.stay_id == "S1" || row.status == In), "{:?}", outcome.rows);
    }
}

#[test]
fn our_own_exit_that_names_an_unknown_stay_waits_for_its_entry() {
    let ours = exit("a", 20_000, "S9", 5).change_exit(|exit| exit.stay = None);
    let outcome = everywhere(&[entry("a", 100, "S1", P), ours]);
    assert_eq!((outcome.statuses(), outcome.waiting.len()), (vec![("S1", In)], 1));
}

#[test]
fn an_entry_whose_plate_was_edited_at_one_of_two_predecessors_is_one_entry_with_the_plate_as_edited() {
    const ID: &str = "a_1000_29A12345";
    let told = |central: &str, digest: u8, plate_text: &str| {
        entry(central, 1_000, ID, plate_text).change(|event| event.source_central = "a".to_owned()).heard(digest)
    };
    let (read, edited) = (told("a", 1, P), told("b", 2, Q));
    for facts in [vec![read.clone(), edited.clone()], vec![told("a", 3, Q), told("b", 4, P)]] {
        let outcome = everywhere(&[facts, vec![exit("b", 9_000, ID, 5).heard(9)]].concat());
        assert_eq!(outcome.statuses(), [(ID, Out)]);
        assert_eq!((outcome.row(ID).plate_id.as_str(), outcome.revenue()), (Q, 5));
    }
    // Ours counts against what a predecessor makes of it.
    let ours = entry("a", 1_200, ID, P);
    let outcome = everywhere(&[ours, told("b", 5, Q)]);
    assert_eq!((outcome.statuses(), outcome.row(ID).plate_id.as_str()), (vec![(ID, In)], P));
    // Another place or second is another entry.
    let later = told("b", 6, Q).change(|event| event.timestamp_ms = 3_000);
    assert_eq!(everywhere(&[read, later]).rows.len(), 2);
}
