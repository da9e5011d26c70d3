//! The invoice that the site's invoice program made for what was taken at an exit: a fact of its own beside the exit. Nothing of it decides what
//! becomes of a car, nor counts as taken.
//!
//! Of one exit the latest says what its invoices come to; what was taken there may be another amount since, until the program is told.

use serde::{Deserialize, Serialize};

use super::ids::{CentralId, FactId};
use super::money::Vnd;
use super::problem::is_plain_text;

/// Longest number of an invoice, with its series, and longest code it is looked up by, in characters.
pub const MAX_NUMBER_CHARS: usize = 64;
pub const MAX_CODE_CHARS: usize = 128;
/// Longest id of a stay that is kept, in characters.
pub const MAX_STAY_CHARS: usize = 256;

/// The invoice program was told what was taken at an exit, and answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoiced {
    /// The exit, or the opening for a car that could not be read: of a log of the same central.
    pub exit: FactId,
    /// When it was, Unix ms.
    pub exit_ms: i64,
    /// The stay it ended, as was known when it was told.
    pub stay: String,
    /// What the invoices of that exit come to with this one.
    pub amount: Vnd,
    /// Absent: the program makes no invoice for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// What the invoice is looked up by, or the code of the tax authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// All exits of that log up to this number are settled: whoever looks for others begins behind it.
    #[serde(default)]
    pub done_to: u64,
}

impl Invoiced {
    /// Whether it is of the central that says so, and can be kept and shown.
    #[must_use]
    pub fn is_sound(&self, central: &CentralId) -> bool {
        let is_short = |text: &Option<String>, most| {
            text.as_ref().is_none_or(|text| !text.is_empty() && is_plain_text(text, most))
        };
        matches!(&self.exit, FactId::Authored { log, .. } if log.central == *central)
            && self.amount.is_fee()
            && is_plain_text(&self.stay, MAX_STAY_CHARS)
            && is_short(&self.number, MAX_NUMBER_CHARS)
            && is_short(&self.code, MAX_CODE_CHARS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_or_is_of_another_central_is_not_sound() {
        let central: CentralId = CentralId::new("central-1").unwrap();
        let invoiced = Invoiced {
            exit: "central-1/08d9a3bd83fce662/7".parse().unwrap(),
            exit_ms: 1,
            stay: "S".into(),
            amount: Vnd(20_000),
            number: Some("1C26MAA-00000042".into()),
            code: None,
            done_to: 7,
        };
        assert!(invoiced.is_sound(&central));
        assert!(Invoiced { number: None, ..invoiced.clone() }.is_sound(&central));
        assert!(!invoiced.is_sound(&CentralId::new("central-2").unwrap()));
        for unsound in [
            Invoiced { number: Some(String::new()), ..invoiced.clone() },
            Invoiced { number: Some("x".repeat(65)), ..invoiced.clone() },
            Invoiced { code: Some("a\nb".into()), ..invoiced.clone() },
            Invoiced { amount: Vnd(-1), ..invoiced.clone() },
            Invoiced { exit: FactId::Heard([0; 32]), ..invoiced.clone() },
        ] {
            assert!(!unsound.is_sound(&central), "{unsound:?}");
        }
    }
}
