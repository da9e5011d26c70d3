//! Money that came in, as the adapter of a bank or of a payment provider tells it: a fact of its own, whatever a gate makes of it. And what a
//! person says it is for.
//!
//! A payment is known by who told it, its reference, its way and its amount: told again it is the same, at whatever central. What is known of it
//! follows from the facts alone ([`known`]).

use serde::{Deserialize, Serialize};

use super::doer::Doer;
use super::event::{Body, Event};
use super::ids::FactId;
use super::money::Vnd;
use super::payment::{MAX_REFERENCE_CHARS, Method};
use super::problem::is_plain_text;

/// Longest id of a stay that is named, and text of a transfer that is kept, in characters.
pub const MAX_STAY_CHARS: usize = 256;
pub const MAX_TEXT_CHARS: usize = 500;

/// Longest reason why a person says what a payment is for, in characters.
pub const MAX_REASON_CHARS: usize = 500;

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentReceived {
    /// The bank's or provider's own: one payment has one.
    pub reference: String,
    pub method: Method,
    pub amount: Vnd,
    /// The stay it is for, as it was told or found by its text; absent: its author did not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay: Option<String>,
    /// What the transfer says it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl PaymentReceived {
    /// Whether it can be kept and shown.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_short = |text: &Option<String>, most| text.as_ref().is_none_or(|text| is_plain_text(text, most));
        self.amount.is_fee()
            && self.amount > Vnd(0)
            && !self.reference.is_empty()
            && is_plain_text(&self.reference, MAX_REFERENCE_CHARS)
            && is_short(&self.stay, MAX_STAY_CHARS)
            && is_short(&self.text, MAX_TEXT_CHARS)
    }
}

/// A person says what a payment is for, or that nothing is left to do about it. Of one payment the latest counts; one that says neither takes back
/// what was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentAssigned {
    /// Who told the payment, as [`Doer::text`]; empty: nobody proved to be anybody.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub told_by: String,
    pub reference: String,
    pub method: Method,
    pub amount: Vnd,
    /// The stay it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay: Option<String>,
    /// Settled by hand: sent back, for something else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
    /// The exit of that stay, as its author knew it; absent: the car was inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<FactId>,
    pub reason: String,
}

impl PaymentAssigned {
    /// Whether it can be kept and shown, and says one thing.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.amount.is_fee()
            && !self.reference.is_empty()
            && is_plain_text(&self.reference, MAX_REFERENCE_CHARS)
            && is_plain_text(&self.told_by, MAX_STAY_CHARS)
            && !self.reason.is_empty()
            && is_plain_text(&self.reason, MAX_REASON_CHARS)
            && self.stay.as_ref().is_none_or(|stay| is_plain_text(stay, MAX_STAY_CHARS))
            && !(self.done && self.stay.is_some())
    }
}

/// A payment, by all that is held of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known<'e> {
    /// The event that tells it: of several the first that names a stay, else the first.
    pub told: &'e Event,
    pub payment: &'e PaymentReceived,
    /// What a person says it is for.
    pub assigned: Option<(&'e Event, &'e PaymentAssigned)>,
    /// It cannot be beside this one under its reference: another way or amount of one teller, or the same told by another teller. The first counts, or
    /// the one that a person says is for a stay.
    pub contradicts: Option<&'e PaymentReceived>,
}

impl<'e> Known<'e> {
    /// The stay it is for, as far as anybody knows.
    #[must_use]
    pub fn stay(&self) -> Option<&'e str> {
        let assigned = self.assigned.and_then(|(_, assigned)| assigned.stay.as_deref());
        assigned.or(self.payment.stay.as_deref())
    }

    /// A person says that nothing is left to do about it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.assigned.is_some_and(|(_, assigned)| assigned.done)
    }

    /// It is not known whether it came at all, or came so: another was told under its reference, and no person has looked.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.contradicts.is_some() && self.assigned.is_none()
    }

    /// Whether it counts as paid for its stay.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.is_done() && !self.is_conflict()
    }
}

/// The payments among events that tell of one reference or say what it is for, in whatever order: those that were told, by the clock.
#[must_use]
pub fn known<'e>(events: &'e [Event]) -> Vec<Known<'e>> {
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by(|a, b| (a.hlc, &a.log, a.seq).cmp(&(b.hlc, &b.log, b.seq)));
    let mut known: Vec<Known<'e>> = Vec::new();
    for &told in &events {
        let Body::PaymentReceived(payment) = &told.body else { continue };
        let by = teller(told);
        let is_it = |held: &&mut Known<'e>| {
            teller(held.told) == by
                && (&held.payment.reference, held.payment.method, held.payment.amount)
                    == (&payment.reference, payment.method, payment.amount)
        };
        match known.iter_mut().find(is_it) {
            Some(held) if held.payment.stay.is_none() && payment.stay.is_some() => {
                (held.told, held.payment) = (told, payment);
            }
            Some(_) => {}
            None => known.push(Known { told, payment, assigned: None, contradicts: None }),
        }
    }
    for &said in &events {
        let Body::PaymentAssigned(assigned) = &said.body else { continue };
        let is_it = |held: &&mut Known<'e>| {
            let of = (&held.payment.reference, held.payment.method, held.payment.amount);
            teller(held.told) == assigned.told_by && of == (&assigned.reference, assigned.method, assigned.amount)
        };
        if let Some(held) = known.iter_mut().find(is_it) {
            held.assigned = (assigned.done || assigned.stay.is_some()).then_some((said, assigned));
        }
    }
    let all = known.clone();
    for (number, one) in known.iter_mut().enumerate() {
        let by = teller(one.told);
        let payment = one.payment;
        let against =
            |other: &&Known<'e>| contradict((by.as_str(), payment), (teller(other.told).as_str(), other.payment));
        let is_for_a_stay = |other: &&Known<'e>| other.assigned.is_some_and(|(_, said)| said.stay.is_some());
        // The first is right, unless a person says that another one is.
        let earlier = all.iter().take(number).find(against);
        let other = earlier.or_else(|| all.iter().filter(is_for_a_stay).find(against));
        one.contradicts = other.map(|other| other.payment);
    }
    known
}

/// Whether two payments under one reference, each with its teller, cannot both be: one teller says two things, or two say the same.
pub fn contradict(one: (&str, &PaymentReceived), other: (&str, &PaymentReceived)) -> bool {
    let same = (one.1.method, one.1.amount) == (other.1.method, other.1.amount);
    (one.0 == other.0) != same
}

/// Who tells, as text; empty: nobody proved to be anybody.
#[must_use]
pub fn teller(event: &Event) -> String {
    event.by.as_ref().and_then(Doer::text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::doer::DoerKind;
    use crate::domain::ids::Hlc;

    fn event(seq: u64, hlc: i64, body: Body) -> Event {
        let by = matches!(body, Body::PaymentReceived(_)).then(|| Doer::new(DoerKind::Token, "bank"));
        Event {
            log: "central-1/08d9a3bd83fce662".parse().unwrap(),
            seq,
            hlc: Hlc::new(hlc).unwrap(),
            timestamp_ms: hlc,
            skew_ms: None,
            source_central: "central-1".into(),
            event_id: None,
            heard_from: None,
            by,
            body,
        }
    }

    fn told(seq: u64, amount: i64, stay: Option<&str>) -> Event {
        let stay = stay.map(str::to_owned);
        let (reference, method) = ("FT".to_owned(), Method::Transfer);
        let payment = PaymentReceived { reference, method, amount: Vnd(amount), stay, text: None };
        event(seq, i64::try_from(seq).unwrap(), Body::PaymentReceived(payment))
    }

    fn said(seq: u64, amount: i64, stay: Option<&str>, done: bool) -> Event {
        let assigned = PaymentAssigned {
            told_by: "token:bank".into(),
            reference: "FT".into(),
            method: Method::Transfer,
            amount: Vnd(amount),
            stay: stay.map(str::to_owned),
            done,
            exit: None,
            reason: "khách gọi".into(),
        };
        assert!(assigned.is_sound() != (done && stay.is_some()));
        event(seq, i64::try_from(seq).unwrap(), Body::PaymentAssigned(assigned))
    }

    #[test]
    fn what_is_known_of_a_payment_follows_from_the_facts_in_any_order() {
        let other = Event { by: Some(Doer::new(DoerKind::Token, "momo")), ..told(4, 20_000, None) };
        for (mut events, expected) in [
            (
                vec![told(1, 20_000, None), told(2, 20_000, Some("S")), told(3, 20_000, Some("T"))],
                vec![(2, Some("S"), true)],
            ),
            // Another amount under one reference is another payment, which nobody has looked at; so is the same told by another teller.
            (
                vec![told(1, 20_000, Some("S")), told(2, 5_000, Some("S")), other.clone()],
                vec![(1, Some("S"), true), (2, Some("S"), false), (4, None, false)],
            ),
            (
                vec![told(1, 20_000, Some("S")), told(2, 5_000, Some("S")), said(3, 5_000, Some("U"), false)],
                vec![(1, Some("S"), false), (2, Some("U"), true)],
            ),
            // The latest counts, also one that takes back what was said.
            (
                vec![told(1, 20_000, None), said(2, 20_000, Some("S"), false), said(3, 20_000, Some("T"), false)],
                vec![(1, Some("T"), true)],
            ),
            (vec![told(1, 20_000, None), said(2, 20_000, None, true)], vec![(1, None, false)]),
            (
                vec![told(1, 20_000, None), said(2, 20_000, None, true), said(3, 20_000, None, false)],
                vec![(1, None, true)],
            ),
            // Said before the payment is known here, and of one that never is.
            (
                vec![told(5, 20_000, None), said(2, 20_000, Some("S"), false), said(3, 9, Some("S"), false)],
                vec![(5, Some("S"), true)],
            ),
        ] {
            for _ in 0..events.len() {
                events.rotate_left(1);
                let found = known(&events);
                let mut found: Vec<_> = found.iter().map(|one| (one.told.seq, one.stay(), one.counts())).collect();
                found.sort_unstable();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn what_cannot_be_kept_is_not_sound() {
        let payment = PaymentReceived {
            reference: "FT24".into(),
            method: Method::Transfer,
            amount: Vnd(20_000),
            stay: Some("S".into()),
            text: None,
        };
        assert!(payment.is_sound());
        for unsound in [
            PaymentReceived { amount: Vnd(0), ..payment.clone() },
            PaymentReceived { reference: String::new(), ..payment.clone() },
            PaymentReceived { reference: "x".repeat(65), ..payment.clone() },
            PaymentReceived { text: Some("a\nb".into()), ..payment.clone() },
        ] {
            assert!(!unsound.is_sound(), "{unsound:?}");
        }
    }
}
