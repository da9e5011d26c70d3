//! Money that came in, told by the adapter of a bank or provider: kept as it is, once for each reference.
//!
//! Nothing of it decides what becomes of a car, nor counts as taken: that is what an exit says, and a gate that sees the payment says it
//! with the exit.

use crate::domain::event::{Body, Draft, Event};
use crate::domain::ids::Hlc;
use crate::domain::received::PaymentReceived;

use super::apply::place;
use super::job::{Answer, Refusal};
use super::storage::Storage;
use super::transaction::{Stop, Transaction};

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn take_payment(&mut self, payment: PaymentReceived) -> Result<Answer, Stop<S::Error>> {
        if let Some((held, fact)) = self.held_payment(&payment.reference)? {
            if !payment.is_again(&held) {
                return Err(Stop::Refused(Refusal::ReferenceReused));
            }
            // Told before the car was known here: whose it is is told in addition.
            if held.stay.is_some() || payment.stay.is_none() {
                return Ok(Answer::PaymentKept { fact, stay: held.stay, repeated: true });
            }
        }
        let stay = payment.stay.clone();
        let fact = self.author(Draft {
            hlc: Hlc::next(self.now.wall_ms, None),
            timestamp_ms: self.now.wall_ms,
            skew_ms: self.now.skew_ms,
            event_id: None,
            by: None,
            body: Body::PaymentReceived(payment),
        })?;
        Ok(Answer::PaymentKept { fact: fact.id.to_string(), stay, repeated: false })
    }

    /// The one that counts of those that are held with a reference, and its fact.
    fn held_payment(&mut self, reference: &str) -> Result<Option<(PaymentReceived, String)>, S::Error> {
        let Some(at) = self.read()?.payment(reference)? else { return Ok(None) };
        let fact = self.read()?.fact(&at)?;
        Ok(fact.and_then(|fact| match &fact.event.body {
            Body::PaymentReceived(payment) => Some((payment.clone(), fact.id.to_string())),
            _ => None,
        }))
    }

    pub(super) fn apply_payment(&mut self, event: &Event) -> Result<(), S::Error> {
        self.write()?.put_payment(&place(event), event)
    }
}
