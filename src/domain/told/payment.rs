//! How a fee was paid.

use serde_json::Value;

use super::{amount, text, word};
use crate::domain::money::Vnd;
use crate::domain::payment::{MAX_REFERENCE_CHARS, Method};
use crate::domain::problem::is_plain_text;

/// What each method is called, folded (see [`word::folded`]); its own name is one of them.
const CALLED: [(Method, &[&str]); 6] = [
    (Method::Cash, &["cash", "tienmat", "tm", "money"]),
    (
        Method::Qr,
        &[
            "qr", "qrcode", "maqr", "quetqr", "quetma", "vietqr", "vnpayqr", "vidientu", "vi", "ewallet", "wallet",
            "momo", "zalopay",
        ],
    ),
    (
        Method::Card,
        &[
            "card",
            "the",
            "quetthe",
            "thenganhang",
            "bankcard",
            "creditcard",
            "debitcard",
            "pos",
            "atm",
            "visa",
            "napas",
        ],
    ),
    (Method::Transfer, &["transfer", "chuyenkhoan", "ck", "banktransfer", "bank"]),
    (Method::Account, &["account", "taikhoan", "congno", "ghino", "ghiso", "credit", "invoice", "monthly"]),
    (Method::Free, &["free", "mienphi", "khongthu", "none", "nocharge", "waived"]),
];

/// A payment as told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldPaid {
    pub method: Method,
    /// `None`: what was due.
    pub amount: Option<Vnd>,
    pub reference: Option<String>,
}

/// A part that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPayment {
    #[error("how it was paid is expected, as {{\"method\": \"cash\"}}")]
    Shape,
    #[error("cash, qr, card, transfer, account or free is expected")]
    Method,
    #[error("an amount of whole đồng is expected, such as 25000 or \"25.000 đ\"")]
    Amount,
    #[error("a reference has at most 64 characters, in one line")]
    Reference,
}

impl NoPayment {
    /// The field that is wrong.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Shape => "paid",
            Self::Method => "paid.method",
            Self::Amount => "paid.amount",
            Self::Reference => "paid.reference",
        }
    }
}

/// Reads `{"method": "cash", "amount": 25000, "reference": "FT2433"}`, or the method alone. `None`: nothing is told.
///
/// # Errors
/// [`NoPayment`]
pub fn read(value: Option<&Value>) -> Result<Option<ToldPaid>, NoPayment> {
    let told = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => {
            return Ok(Some(ToldPaid { method: method(text)?, amount: None, reference: None }));
        }
        Some(Value::Object(told)) if told.is_empty() => return Ok(None),
        Some(Value::Object(told)) => told,
        Some(_) => return Err(NoPayment::Shape),
    };
    let named = text(told.get("method")).ok().flatten().ok_or(NoPayment::Method)?;
    let reference = text(told.get("reference")).map_err(|_| NoPayment::Reference)?.map(|text| text.trim().to_owned());
    if reference.as_ref().is_some_and(|text| !is_plain_text(text, MAX_REFERENCE_CHARS)) {
        return Err(NoPayment::Reference);
    }
    let amount = amount::read(told.get("amount")).map_err(|_| NoPayment::Amount)?;
    Ok(Some(ToldPaid { method: method(&named)?, amount, reference }))
}

fn method(told: &str) -> Result<Method, NoPayment> {
    let folded = word::folded(told);
    let called = CALLED.iter().find(|(_, names)| names.contains(&folded.as_str()));
    called.map(|(method, _)| *method).ok_or(NoPayment::Method)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payment_is_read_as_people_and_programs_say_it() {
        let paid = |method, amount: Option<i64>, reference: Option<&str>| {
            Ok(Some(ToldPaid { method, amount: amount.map(Vnd), reference: reference.map(str::to_owned) }))
        };
        for (told, read_as) in [
            (json!(null), Ok(None)),
            (json!(""), Ok(None)),
            (json!({}), Ok(None)),
            (json!("cash"), paid(Method::Cash, None, None)),
            (json!({"method": "cash"}), paid(Method::Cash, None, None)),
            (json!({"method": "Tiền mặt", "amount": "25.000 đ"}), paid(Method::Cash, Some(25_000), None)),
            (json!({"method": "VietQR", "amount": 0}), paid(Method::Qr, Some(0), None)),
            (
                json!({"method": "chuyển khoản", "reference": " FT24336 "}),
                paid(Method::Transfer, None, Some("FT24336")),
            ),
            (json!({"method": "thẻ", "reference": 774_411}), paid(Method::Card, None, Some("774411"))),
            (json!({"method": "công nợ", "reference": null}), paid(Method::Account, None, None)),
            (json!({"method": "miễn phí", "amount": null, "x": 1}), paid(Method::Free, None, None)),
            (json!({"method": "bitcoin"}), Err(NoPayment::Method)),
            (json!({"amount": 5}), Err(NoPayment::Method)),
            (json!({"method": ["cash"]}), Err(NoPayment::Method)),
            (json!({"method": "cash", "amount": -1}), Err(NoPayment::Amount)),
            (json!({"method": "cash", "amount": "lots"}), Err(NoPayment::Amount)),
            (json!({"method": "qr", "reference": "x".repeat(65)}), Err(NoPayment::Reference)),
            (json!({"method": "qr", "reference": "a\nb"}), Err(NoPayment::Reference)),
            (json!({"method": "qr", "reference": {}}), Err(NoPayment::Reference)),
            (json!(["cash"]), Err(NoPayment::Shape)),
            (json!(true), Err(NoPayment::Shape)),
        ] {
            assert_eq!(read(Some(&told)), read_as, "{told}");
        }
        assert_eq!(read(None), Ok(None));
    }

    #[test]
    fn a_method_is_called_by_its_own_name_and_no_word_means_two() {
        let mut words: Vec<&str> = CALLED.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        for method in Method::ALL {
            assert_eq!(read(Some(&json!(method.name()))).unwrap().unwrap().method, method);
            assert_eq!(json!(method), json!(method.name()));
        }
        assert!(words.iter().all(|word| word::folded(word) == *word));
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_kept(method in any::<String>(), amount: i64, reference in any::<String>()) {
            for method in [method.as_str(), "cash"] {
                if let Ok(Some(paid)) = read(Some(&json!({"method": method, "amount": amount, "reference": reference}))) {
                    prop_assert!(paid.amount.is_none_or(Vnd::is_fee));
                    prop_assert!(paid.reference.is_none_or(|text| is_plain_text(&text, MAX_REFERENCE_CHARS)));
                }
            }
        }
    }
}
