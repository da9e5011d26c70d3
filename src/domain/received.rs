//! Money that came in, as the adapter of a bank or of a payment provider tells it: a fact of its own, whatever a gate makes of it.

use serde::{Deserialize, Serialize};

use super::money::Vnd;
use super::payment::{MAX_REFERENCE_CHARS, Method};
use super::problem::is_plain_text;

/// Longest id of a stay that is named, and text of a transfer that is kept, in characters.
pub const MAX_STAY_CHARS: usize = 256;
pub const MAX_TEXT_CHARS: usize = 500;

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentReceived {
    /// The bank's or provider's own: one payment has one, and one is one payment.
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

    /// Whether this tells the same payment: who tells it again may have found its stay meanwhile, or not have it any more.
    #[must_use]
    pub fn is_again(&self, earlier: &Self) -> bool {
        let same_stay = self.stay.as_ref().zip(earlier.stay.as_ref()).is_none_or(|(a, b)| a == b);
        (&self.reference, self.method, self.amount) == (&earlier.reference, earlier.method, earlier.amount) && same_stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_told_again_by_its_reference_its_amount_and_its_stay_as_far_as_it_is_known() {
        let payment = PaymentReceived {
            reference: "FT24".into(),
            method: Method::Transfer,
            amount: Vnd(20_000),
            stay: Some("S".into()),
            text: None,
        };
        assert!(payment.is_sound());
        let same = PaymentReceived { text: Some("x".into()), stay: None, ..payment.clone() };
        assert!(payment.is_again(&same) && same.is_again(&payment));
        for other in [
            PaymentReceived { amount: Vnd(20_001), ..payment.clone() },
            PaymentReceived { method: Method::Card, ..payment.clone() },
            PaymentReceived { stay: Some("T".into()), ..payment.clone() },
        ] {
            assert!(!payment.is_again(&other), "{other:?}");
        }
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
