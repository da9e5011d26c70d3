//! Money that came in: kept once, by whoever is told first, and of no effect on a stay; and what a person says it is for.

use parkmesh::domain::doer::{Doer, DoerKind};
use parkmesh::domain::event::{Body, Draft, Event};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::Method;
use parkmesh::domain::received::{PaymentReceived, known};
use parkmesh::ledger::job::{Answer, AssignPayment, Job, Refusal};
use parkmesh::ledger::storage::Tables as _;

use crate::ledger_support::check::check;
use crate::ledger_support::*;

fn payment(reference: &str, amount: i64, stay: Option<&str>) -> Job {
    let (reference, stay) = (reference.to_owned(), stay.map(str::to_owned));
    let payment = PaymentReceived { reference, method: Method::Transfer, amount: Vnd(amount), stay, text: None };
    Job::TakePayment(payment).by(Doer::new(DoerKind::Token, "bank"))
}

fn assigned(fact: &str, stay: Option<&str>, done: bool) -> Job {
    let (fact, stay, reason) = (fact.to_owned(), stay.map(str::to_owned), "khách gọi".to_owned());
    Job::AssignPayment(AssignPayment { fact, stay, done, reason }).by(Doer::new(DoerKind::Person, "sep"))
}

/// Of each payment under a reference: its amount, its stay, and whether it counts as paid.
fn seen(central: &mut Central, reference: &str) -> Vec<(i64, Option<String>, bool)> {
    let storage = central.ledger.storage_mut();
    let places = storage.payments(reference).unwrap();
    let events: Vec<_> = places.iter().map(|at| Event::parse(&storage.events[at].0).unwrap()).collect();
    known(&events).iter().map(|one| (one.payment.amount.0, one.stay().map(str::to_owned), one.counts())).collect()
}

fn kept(answer: Result<Answer, Refusal>) -> (String, bool) {
    match answer {
        Ok(Answer::PaymentKept { fact, repeated, .. }) => (fact, repeated),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_payment_is_kept_once_and_changes_no_stay_and_no_sum() {
    let mut central = Central::new(0);
    let stay = central.enters(entry("edge-1", P));
    let (digest, totals) = (central.ledger.digest(), central.ledger.storage().totals.clone());
    let (fact, repeated) = kept(central.ask(payment("FT1", 20_000, Some(&stay))));
    assert!(!repeated);
    assert_eq!(kept(central.ask(payment("FT1", 20_000, None))), (fact, true));
    let refused = central.ask(payment("FT1", 20_000, Some("another")));
    assert!(matches!(refused, Err(Refusal::PaymentOfAnotherStay { .. })), "{refused:?}");
    assert!(!kept(central.ask(payment("FT2", 20_000, Some(&stay)))).1, "another reference is another payment");
    assert_eq!((central.ledger.digest(), &central.ledger.storage().totals), (digest, &totals));
    check(&mut central);
    let mut central = central.restart();
    assert!(kept(central.ask(payment("FT1", 20_000, None))).1, "and after a restart");
}

#[test]
fn whose_a_payment_is_may_be_told_later_and_then_counts_everywhere() {
    let (mut one, mut two) = (Central::new(0), Central::new(1));
    let first = kept(one.ask(payment("FT1", 20_000, None))).0;
    one.wait(SECOND_MS);
    let (second, repeated) = kept(one.ask(payment("FT1", 20_000, Some("S"))));
    assert!(!repeated && second != first);
    two.hear(&mut one);
    for central in [&mut one, &mut two] {
        assert_eq!(kept(central.ask(payment("FT1", 20_000, None))), (second.clone(), true));
        let refused = central.ask(payment("FT1", 20_000, Some("T")));
        assert!(matches!(refused, Err(Refusal::PaymentOfAnotherStay { .. })), "{refused:?}");
        check(central);
    }
}

#[test]
fn told_at_two_centrals_in_a_cut_the_first_is_the_payment_at_both() {
    let (mut one, mut two) = (Central::new(0), Central::new(1));
    two.wait(SECOND_MS);
    let first = kept(one.ask(payment("FT1", 20_000, None))).0;
    let second = kept(two.ask(payment("FT1", 20_000, None))).0;
    assert_ne!(first, second);
    two.hear(&mut one);
    one.hear(&mut two);
    for central in [&mut one, &mut two] {
        assert_eq!(kept(central.ask(payment("FT1", 20_000, None))), (first.clone(), true));
        assert!(central.ledger.storage_mut().payments("FT2").unwrap().is_empty());
        check(central);
    }
}

/// Money is never turned away because of what was told before: who told wrong, a person finds out.
#[test]
fn another_amount_under_one_reference_is_kept_and_another_teller_has_references_of_its_own() {
    let mut central = Central::new(0);
    let conflict = |answer: Result<Answer, Refusal>| match answer {
        Ok(Answer::PaymentKept { repeated: false, conflict, .. }) => conflict,
        other => panic!("{other:?}"),
    };
    assert!(!conflict(central.ask(payment("FT1", 20_000, None))));
    assert!(conflict(central.ask(payment("FT1", 20_001, None))));
    let Job::By(by_bank) = payment("FT1", 5_000, None) else { panic!("no doer") };
    assert!(!conflict(central.ask(by_bank.job.by(Doer::new(DoerKind::Token, "momo")))));
    let Job::By(by_bank) = payment("FT2", 5_000, None) else { panic!("no doer") };
    assert!(!conflict(central.ask(payment("FT2", 5_000, None))));
    let again = by_bank.job.by(Doer::new(DoerKind::Token, "bank2"));
    assert!(conflict(central.ask(again)), "the adapter has a new token");
    assert_eq!(seen(&mut central, "FT2"), [(5_000, None, true), (5_000, None, false)]);
    assert!(kept(central.ask(payment("FT1", 20_001, None))).1, "told again it is the same");
    assert_eq!(seen(&mut central, "FT1"), [(20_000, None, true), (20_001, None, false), (5_000, None, true)]);
    check(&mut central);
}

#[test]
fn a_person_says_what_a_payment_is_for_and_the_latest_counts_at_all_centrals() {
    let (mut one, mut two) = (Central::new(0), Central::new(1));
    let (stay, other) = (one.enters(entry("edge-1", P)), one.enters(entry("edge-1", Q)));
    let fact = kept(one.ask(payment("FT1", 20_000, None))).0;
    two.hear(&mut one);
    assert_eq!(one.ask(assigned("nothing", Some(&stay), false)), Err(Refusal::UnknownPayment("nothing".into())));
    let first = one.heads().keys().next().unwrap().clone();
    let entered = format!("{first}/1");
    assert_eq!(one.ask(assigned(&entered, None, true)), Err(Refusal::UnknownPayment(entered)), "it is no payment");
    assert_eq!(one.ask(assigned(&fact, Some("nowhere"), false)), Err(Refusal::UnknownStay("nowhere".into())));
    assert_eq!(one.ask(assigned(&fact, None, false)), Err(Refusal::Unchanged), "nothing was said");
    // In a cut: whoever says it later by the clock.
    one.ask(assigned(&fact, Some(&stay), false)).unwrap();
    assert_eq!(one.ask(assigned(&fact, Some(&stay), false)), Err(Refusal::Unchanged));
    two.wait(MINUTE_MS);
    two.ask(assigned(&fact, Some(&other), false)).unwrap();
    one.hear(&mut two);
    two.hear(&mut one);
    for central in [&mut one, &mut two] {
        assert_eq!(seen(central, "FT1"), [(20_000, Some(other.clone()), true)]);
        check(central);
    }
    // By a clock that is behind it is later all the same, for who says it knows what was said.
    for (stay, done, expected) in [
        (Some(stay.as_str()), false, (20_000, Some(stay.clone()), true)),
        (None, true, (20_000, None, false)),
        (None, false, (20_000, None, true)),
    ] {
        one.ask(assigned(&fact, stay, done)).unwrap();
        let Body::PaymentAssigned(said) = one.last_event().body else { panic!("nothing was said") };
        assert_eq!((said.told_by.as_str(), said.reference.as_str()), ("token:bank", "FT1"));
        two.hear(&mut one);
        for central in [&mut one, &mut two] {
            assert_eq!(seen(central, "FT1"), std::slice::from_ref(&expected));
            check(central);
        }
    }
    let mut one = one.restart();
    assert_eq!(seen(&mut one, "FT1"), [(20_000, None, true)]);
}

#[test]
fn what_a_person_says_of_a_payment_is_read_as_it_was_written_or_not_at_all() {
    const LINES: &str = include_str!("../golden/events/since_assigned.jsonl");
    for line in LINES.lines() {
        let event = Event::parse(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(matches!(event.body, Body::PaymentAssigned(_)) && !event.is_of_a_stay());
        let Event { log, seq, hlc, timestamp_ms, skew_ms, event_id, by, body, .. } = event;
        let draft = Draft { hlc, timestamp_ms, skew_ms, event_id, by, body };
        assert_eq!(draft.encode(&log, seq).unwrap(), line);
    }
    let line = LINES.lines().next().unwrap();
    for (sound, wrong) in [
        ("\"reference\":\"FT24336123\"", "\"reference\":\"\""),
        ("\"reason\":\"khách gọi\"", "\"reason\":\"\""),
        ("\"reason\":\"khách gọi\"", "\"done\":true,\"reason\":\"khách gọi\""),
    ] {
        assert!(line.contains(sound), "{sound}");
        assert!(Event::parse(&line.replace(sound, wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn what_an_invoice_says_is_read_as_it_was_written_or_not_at_all() {
    const LINES: &str = include_str!("../golden/events/since_invoices.jsonl");
    for line in LINES.lines() {
        let event = Event::parse(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(matches!(event.body, Body::Invoiced(_)) && !event.is_of_a_stay());
        let Event { log, seq, hlc, timestamp_ms, skew_ms, event_id, by, body, .. } = event;
        let draft = Draft { hlc, timestamp_ms, skew_ms, event_id, by, body };
        assert_eq!(draft.encode(&log, seq).unwrap(), line);
    }
    let line = LINES.lines().next().unwrap();
    for (sound, wrong) in [
        ("\"number\":\"1C26MAA-00000042\"", "\"number\":\"\""),
        ("\"amount\":25000", "\"amount\":-1"),
        ("\"exit\":\"central-1/", "\"exit\":\"central-2/"),
    ] {
        assert!(line.contains(sound), "{sound}");
        assert!(Event::parse(&line.replace(sound, wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn what_a_payment_says_is_read_as_it_was_written_or_not_at_all() {
    const LINES: &str = include_str!("../golden/events/since_payments.jsonl");
    for line in LINES.lines() {
        let event = Event::parse(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(matches!(event.body, Body::PaymentReceived(_)) && !event.is_of_a_stay());
        let Event { log, seq, hlc, timestamp_ms, skew_ms, event_id, by, body, .. } = event;
        let draft = Draft { hlc, timestamp_ms, skew_ms, event_id, by, body };
        assert_eq!(draft.encode(&log, seq).unwrap(), line);
    }
    let line = LINES.lines().next().unwrap();
    for (sound, wrong) in [
        ("\"reference\":\"FT24336123\"", "\"reference\":\"\""),
        ("\"amount\":25000", "\"amount\":0"),
        ("\"amount\":25000", "\"amount\":-1"),
        ("\"amount\":25000", "\"amount\":1000000000001"),
    ] {
        assert!(line.contains(sound), "{sound}");
        assert!(Event::parse(&line.replace(sound, wrong)).is_err(), "{wrong}");
    }
    let newer = line.replace("\"method\":\"transfer\"", "\"method\":\"of a newer version\"");
    assert!(Event::parse(&newer).is_ok());
}

/// Such as the number of the account.
#[test]
fn a_reference_that_comes_with_every_payment_is_refused_before_it_costs_much() {
    let mut central = Central::new(0);
    let kept = (1..=300).take_while(|amount| central.ask(payment("0123456789", *amount, None)).is_ok()).count();
    assert_eq!(kept, 250);
    let refused = central.ask(payment("0123456789", 300, None));
    assert_eq!(refused, Err(Refusal::ReferenceOfMany("0123456789".to_owned())));
    assert!(central.ask(payment("FT 300", 300, None)).is_ok());
}
