//! Money that came in, told by the adapter of a bank or provider: kept as it is, once; and what a person says it is for.
//!
//! Nothing of it decides what becomes of a car, nor counts as taken: that is what an exit says, and a gate that sees the payment says it
//! with the exit.

use crate::domain::event::{Body, Draft, Event};
use crate::domain::ids::{FactId, Hlc};
use crate::domain::received::{PaymentAssigned, PaymentReceived, known, teller};

use super::apply::place;
use super::component;
use super::job::{Answer, AssignPayment, Refusal};
use super::storage::Storage;
use super::transaction::{Stop, Transaction};

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn take_payment(&mut self, payment: PaymentReceived) -> Result<Answer, Stop<S::Error>> {
        let by = self.doer_text().unwrap_or_default();
        let held = self.payments_under(&payment.reference)?;
        let mut of_teller = known(&held).into_iter().filter(|known| teller(known.told) == by).peekable();
        let is_first = of_teller.peek().is_none();
        let same = |held: &PaymentReceived| (held.method, held.amount) == (payment.method, payment.amount);
        if let Some(known) = of_teller.find(|known| same(known.payment)) {
            let (fact, stay) = (known.told.fact_id().to_string(), known.payment.stay.clone());
            if let Some(other) = payment.stay.as_ref().filter(|told| stay.as_ref().is_some_and(|stay| stay != *told)) {
                return Err(Stop::Refused(Refusal::PaymentOfAnotherStay { fact, told: other.clone() }));
            }
            // Told before the car was known here: whose it is is told in addition.
            if stay.is_some() || payment.stay.is_none() {
                return Ok(Answer::PaymentKept { fact, stay, repeated: true, conflict: false });
            }
        }
        let (stay, conflict) = (payment.stay.clone(), !is_first && !held_so(&held, &by, &payment));
        let fact = self.author(self.payment_draft(None, Body::PaymentReceived(payment)))?;
        Ok(Answer::PaymentKept { fact: fact.id.to_string(), stay, repeated: false, conflict })
    }

    /// A person says which stay a payment is for, or that nothing is left to do about it.
    pub(super) fn assign_payment(&mut self, request: AssignPayment) -> Result<Answer, Stop<S::Error>> {
        let AssignPayment { fact, stay, done, reason } = request;
        let unknown = || Stop::Refused(Refusal::UnknownPayment(fact.clone()));
        let id: FactId = fact.parse().map_err(|_| unknown())?;
        let told = component::fact_of(self.read()?, &id)?.ok_or_else(unknown)?;
        let Body::PaymentReceived(payment) = &told.event.body else { return Err(unknown()) };
        if let Some(stay) = stay.as_ref().filter(|_| !done)
            && self.read()?.stay(stay)?.is_none()
        {
            return Err(Stop::Refused(Refusal::UnknownStay(stay.clone())));
        }
        let assigned = PaymentAssigned {
            told_by: teller(&told.event),
            reference: payment.reference.clone(),
            method: payment.method,
            amount: payment.amount,
            stay,
            done,
            reason,
        };
        if self.assigned(&fact)?.unwrap_or_default() == (assigned.stay.clone(), assigned.done) {
            return Err(Stop::Refused(Refusal::Unchanged));
        }
        // After all that was said of it, and after it was told.
        let last = self.payments_under(&payment.reference)?.iter().map(|event| event.hlc).max();
        let made = self.author(self.payment_draft(last, Body::PaymentAssigned(assigned)))?;
        Ok(Answer::PaymentAssigned { version: made.id.to_string() })
    }

    /// What the payment is for that a fact tells, as people say: its stay, and whether nothing is left to do about it.
    pub(super) fn assigned(&mut self, fact: &str) -> Result<Option<(Option<String>, bool)>, S::Error> {
        let Ok(id) = fact.parse::<FactId>() else { return Ok(None) };
        let Some(told) = component::fact_of(self.read()?, &id)? else { return Ok(None) };
        let Body::PaymentReceived(payment) = &told.event.body else { return Ok(None) };
        let held = self.payments_under(&payment.reference)?;
        let of = |event: &Event, payment: &PaymentReceived| (teller(event), payment.method, payment.amount);
        let wanted = of(&told.event, payment);
        let known = known(&held).into_iter().find(|known| of(known.told, known.payment) == wanted);
        Ok(known.and_then(|known| known.assigned).map(|(_, said)| (said.stay.clone(), said.done)))
    }

    /// What tells of a reference or says what it is for.
    fn payments_under(&mut self, reference: &str) -> Result<Vec<Event>, S::Error> {
        let mut events = Vec::new();
        for at in self.read()?.payments(reference)? {
            events.extend(self.read()?.fact(&at)?.map(|fact| (*fact.event).clone()));
        }
        Ok(events)
    }

    fn payment_draft(&self, after: Option<Hlc>, body: Body) -> Draft {
        let (timestamp_ms, skew_ms) = (self.now.wall_ms, self.now.skew_ms);
        Draft { hlc: Hlc::next(timestamp_ms, after), timestamp_ms, skew_ms, event_id: None, by: None, body }
    }

    pub(super) fn apply_payment(&mut self, event: &Event) -> Result<(), S::Error> {
        self.write()?.put_payment(&place(event), event)
    }
}

/// Whether that teller had told the payment itself before, without its stay.
fn held_so(held: &[Event], by: &str, payment: &PaymentReceived) -> bool {
    held.iter().any(|event| match &event.body {
        Body::PaymentReceived(told) => {
            teller(event) == by && (told.method, told.amount) == (payment.method, payment.amount)
        }
        _ => false,
    })
}
