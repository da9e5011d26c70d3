//! Money that came in, told by the adapter of a bank or provider: kept as it is, once; and what a person says it is for.
//!
//! Nothing of it decides what becomes of a car, nor counts as taken: that is what an exit says, and a gate that sees the payment says it
//! with the exit.

use crate::domain::event::{Body, Draft, Event};
use crate::domain::ids::{FactId, Hlc};
use crate::domain::invoice::Invoiced;
use crate::domain::received::{Known, PaymentAssigned, PaymentReceived, contradict, known, teller};

use super::apply::place;
use super::component;
use super::job::{Answer, AssignPayment, Refusal};
use super::storage::Storage;
use super::transaction::{Stop, Transaction};

/// A reference under which so much is held is none of a transfer: such as the number of the account.
const MOST_UNDER_A_REFERENCE: usize = 250;
/// Stays that were taken for one another are followed so far.
const MOST_STEPS: usize = 8;

type Assigned = (Option<String>, bool, Option<FactId>);

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn take_payment(&mut self, payment: PaymentReceived) -> Result<Answer, Stop<S::Error>> {
        let by = self.doer_text().unwrap_or_default();
        let held = self.payments_under(&payment.reference)?;
        if held.len() >= MOST_UNDER_A_REFERENCE {
            return Err(Stop::Refused(Refusal::ReferenceOfMany(payment.reference)));
        }
        let known = known(&held);
        let same = |held: &PaymentReceived| (held.method, held.amount) == (payment.method, payment.amount);
        let is_it = known.iter().find(|known| teller(known.told) == by && same(known.payment));
        if let Some(known) = is_it {
            let (fact, stay) = (known.told.fact_id().to_string(), known.payment.stay.clone());
            if let Some(other) = payment.stay.as_ref().filter(|told| stay.as_ref().is_some_and(|stay| stay != *told)) {
                return Err(Stop::Refused(Refusal::PaymentOfAnotherStay { fact, told: other.clone() }));
            }
            // Told before the car was known here: whose it is is told in addition.
            if stay.is_some() || payment.stay.is_none() {
                return Ok(Answer::PaymentKept { fact, stay, repeated: true, conflict: known.is_conflict() });
            }
        }
        let against =
            |known: &Known<'_>| contradict((by.as_str(), &payment), (teller(known.told).as_str(), known.payment));
        let conflict = is_it.map_or_else(|| known.iter().any(against), Known::is_conflict);
        let stay = payment.stay.clone();
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
        let exit = match stay.as_ref().filter(|_| !done) {
            Some(stay) => self.exit_known(stay)?,
            None => None,
        };
        let assigned = PaymentAssigned {
            told_by: teller(&told.event),
            reference: payment.reference.clone(),
            method: payment.method,
            amount: payment.amount,
            stay,
            done,
            exit,
            reason,
        };
        if self.assigned(&fact)?.unwrap_or_default() == (assigned.stay.clone(), assigned.done, assigned.exit.clone()) {
            return Err(Stop::Refused(Refusal::Unchanged));
        }
        // After all that was said of it, and after it was told.
        let last = self.payments_under(&payment.reference)?.iter().map(|event| event.hlc).max();
        let made = self.author(self.payment_draft(last, Body::PaymentAssigned(assigned)))?;
        Ok(Answer::PaymentAssigned { version: made.id.to_string() })
    }

    /// What the invoice program answered. It is asked by this central alone, one exit after another.
    pub(super) fn note_invoice(&mut self, invoiced: Invoiced, after: Option<Hlc>) -> Result<Answer, Stop<S::Error>> {
        self.author(self.payment_draft(after, Body::Invoiced(invoiced)))?;
        Ok(Answer::Noted)
    }

    /// The exit of a stay, or of the one that counts in its place.
    fn exit_known(&mut self, stay: &str) -> Result<Option<FactId>, Stop<S::Error>> {
        let unknown = || Stop::Refused(Refusal::UnknownStay(stay.to_owned()));
        let mut row = self.read()?.stay(stay)?.ok_or_else(unknown)?.row;
        for _ in 0..MOST_STEPS {
            let Some(next) = row.superseded_by.clone() else { break };
            row = self.read()?.stay(&next)?.ok_or_else(unknown)?.row;
        }
        Ok(row.exit.map(|exit| exit.fact))
    }

    /// What the payment is for that a fact tells, as people say: its stay, whether nothing is left to do about it, and the exit they knew.
    pub(super) fn assigned(&mut self, fact: &str) -> Result<Option<Assigned>, S::Error> {
        let Ok(id) = fact.parse::<FactId>() else { return Ok(None) };
        let Some(told) = component::fact_of(self.read()?, &id)? else { return Ok(None) };
        let Body::PaymentReceived(payment) = &told.event.body else { return Ok(None) };
        let held = self.payments_under(&payment.reference)?;
        let of = |event: &Event, payment: &PaymentReceived| (teller(event), payment.method, payment.amount);
        let wanted = of(&told.event, payment);
        let known = known(&held).into_iter().find(|known| of(known.told, known.payment) == wanted);
        Ok(known.and_then(|known| known.assigned).map(|(_, said)| (said.stay.clone(), said.done, said.exit.clone())))
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
