//! Money that came in: kept once for each reference, by whoever is told first, and of no effect on a stay.

use parkmesh::domain::doer::{Doer, DoerKind};
use parkmesh::domain::event::{Body, Draft, Event};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::Method;
use parkmesh::domain::received::PaymentReceived;
use parkmesh::ledger::job::{Answer, Job, Refusal};
use parkmesh::ledger::storage::Tables as _;

use crate::ledger_support::check::check;
use crate::ledger_support::*;

fn payment(reference: &str, amount: i64, stay: Option<&str>) -> Job {
    let (reference, stay) = (reference.to_owned(), stay.map(str::to_owned));
    let payment = PaymentReceived { reference, method: Method::Transfer, amount: Vnd(amount), stay, text: None };
    Job::TakePayment(payment).by(Doer::new(DoerKind::Token, "bank"))
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
    assert_eq!(central.ask(payment("FT1", 20_001, None)), Err(Refusal::ReferenceReused));
    assert_eq!(central.ask(payment("FT1", 20_000, Some("another"))), Err(Refusal::ReferenceReused));
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
        assert_eq!(central.ask(payment("FT1", 20_000, Some("T"))), Err(Refusal::ReferenceReused));
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
        assert!(central.ledger.storage_mut().payment("FT2").unwrap().is_none());
        check(central);
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
