//! How a fee was paid.

use serde_json::Value;

use super::{amount, text, word};
use crate::domain::money::Vnd;
use crate::domain::payment::{MAX_REFERENCE_CHARS, MAX_WAYS, Method, Paid, PaidToo, total_of};
use crate::domain::problem::is_plain_text;

/// What each method is called, folded (see [`word::folded`]); its own name is one of them.
const CALLED: [(Method, &[&str]); 6] = [
    (Method::Cash, &["cash", "tienmat", "tm", "money"]),
    (
        Method::Qr,
        &[
            "qr",
            "qrcode",
            "maqr",
            "quetqr",
            "quetma",
            "vietqr",
            "vnpayqr",
            "vidientu",
            "vi",
            "ewallet",
            "wallet",
            "momo",
            "zalopay",
            "vimomo",
            "vizalopay",
            "vnpay",
            "viettelpay",
            "shopeepay",
            "qrpay",
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
            "mastercard",
            "jcb",
            "cathe",
            "thetindung",
            "theghino",
        ],
    ),
    (Method::Transfer, &["transfer", "chuyenkhoan", "ck", "banktransfer", "bank", "nganhang", "internetbanking"]),
    (Method::Account, &["account", "taikhoan", "congno", "ghino", "ghiso", "credit", "invoice", "monthly", "vethang"]),
    (Method::Free, &["free", "mienphi", "khongthu", "none", "nocharge", "waived"]),
];

/// What is read of a payment.
const KEYS: [&str; 5] = ["method", "amount", "currency", "reference", "also"];

/// A payment as told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldPaid {
    pub method: Method,
    /// `None`: what was due, less what was paid in other ways.
    pub amount: Option<Vnd>,
    pub reference: Option<String>,
    /// What was paid in other ways.
    pub also: Vec<PaidToo>,
}

impl ToldPaid {
    /// In one way, what was due.
    pub fn by(method: Method) -> Self {
        Self { method, amount: None, reference: None, also: Vec::new() }
    }

    /// The same ways, as they are known.
    pub fn again(known: Paid) -> Self {
        Self { method: known.method, amount: None, reference: known.reference, also: known.also }
    }

    /// What was taken in all, as far as it says; `None`: what was due.
    pub fn total(&self) -> Option<Vnd> {
        if self.amount.is_none() && self.also.is_empty() {
            return None;
        }
        Some(self.amount.unwrap_or_default() + total_of(&self.also))
    }
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
    #[error("of several ways at most one goes without an amount, none is free, and there are at most 8")]
    Ways,
}

impl NoPayment {
    /// The field that is wrong.
    pub fn field(self) -> &'static str {
        match self {
            Self::Shape | Self::Ways => "paid",
            Self::Method => "paid.method",
            Self::Amount => "paid.amount",
            Self::Reference => "paid.reference",
        }
    }
}

/// Reads `{"method": "cash", "amount": 25000, "reference": "FT2433"}`, the method alone, or a list of them where a fee was paid in several
/// ways. `None`: nothing is told.
///
/// # Errors
/// [`NoPayment`]
pub fn read(value: Option<&Value>) -> Result<Option<ToldPaid>, NoPayment> {
    match value {
        Some(Value::Array(told)) => several(told),
        // As it is shown.
        Some(Value::Object(told)) if told.get("also").is_some_and(|also| !also.is_null()) => {
            let also = told.get("also").and_then(Value::as_array).ok_or(NoPayment::Shape)?;
            several(std::iter::once(&Value::Object(told.clone())).chain(also))
        }
        told => one(told),
    }
}

/// The keys of a payment, or of several, that are none of those that are read.
pub fn unread_keys(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Array(ways)) => ways.iter().flat_map(|way| unread_keys(Some(way))).collect(),
        Some(Value::Object(told)) => {
            let own = told.keys().map(String::as_str).filter(|key| !KEYS.contains(key));
            own.chain(unread_keys(told.get("also"))).collect()
        }
        _ => Vec::new(),
    }
}

/// The first is the one without an amount, which is paid what is left; else cash, for which a drawer answers; else the one told first.
fn several<'v>(told: impl IntoIterator<Item = &'v Value>) -> Result<Option<ToldPaid>, NoPayment> {
    let ways = told.into_iter().map(|told| one(Some(told))).collect::<Result<Vec<_>, _>>()?;
    let mut ways: Vec<ToldPaid> = ways.into_iter().flatten().collect();
    if ways.len() > 1 {
        let of_nothing = |way: &ToldPaid| way.amount == Some(Vnd(0));
        let has_some = !ways.iter().all(of_nothing);
        ways.retain(|way| !(has_some && of_nothing(way)));
    }
    let rest = ways.iter().filter(|way| way.amount.is_none()).count();
    if ways.len() > MAX_WAYS || ways.len() > 1 && (rest > 1 || ways.iter().any(|way| way.method == Method::Free)) {
        return Err(NoPayment::Ways);
    }
    let is_first = |way: &ToldPaid| if rest > 0 { way.amount.is_none() } else { way.method == Method::Cash };
    let first = ways.iter().position(is_first).unwrap_or_default();
    if ways.is_empty() {
        return Ok(None);
    }
    let first = ways.remove(first);
    let too = |way: ToldPaid| PaidToo {
        method: way.method,
        amount: way.amount.unwrap_or_default(),
        reference: way.reference,
    };
    Ok(Some(ToldPaid { also: ways.into_iter().map(too).collect(), ..first }))
}

fn one(value: Option<&Value>) -> Result<Option<ToldPaid>, NoPayment> {
    let told = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(ToldPaid::by(method(text)?))),
        Some(Value::Object(told)) if told.is_empty() => return Ok(None),
        Some(Value::Object(told)) => told,
        Some(_) => return Err(NoPayment::Shape),
    };
    let named = text(told.get("method")).ok().flatten().ok_or(NoPayment::Method)?;
    let reference = text(told.get("reference")).map_err(|_| NoPayment::Reference)?.map(|text| text.trim().to_owned());
    if reference.as_ref().is_some_and(|text| !is_plain_text(text, MAX_REFERENCE_CHARS)) {
        return Err(NoPayment::Reference);
    }
    let is_said = |currency: &&Value| !currency.is_null();
    let mut currency = told.get("currency").into_iter().filter(is_said);
    if !currency.all(|currency| currency.as_str().is_some_and(amount::is_dong)) {
        return Err(NoPayment::Amount);
    }
    let amount = amount::read(told.get("amount")).map_err(|_| NoPayment::Amount)?;
    Ok(Some(ToldPaid { amount, reference, ..ToldPaid::by(method(&named)?) }))
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
            Ok(Some(ToldPaid {
                amount: amount.map(Vnd),
                reference: reference.map(str::to_owned),
                ..ToldPaid::by(method)
            }))
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
            (json!({"method": "cash", "amount": 25, "currency": "USD"}), Err(NoPayment::Amount)),
            (json!({"method": "cash", "amount": 25_000, "currency": "VND"}), paid(Method::Cash, Some(25_000), None)),
            (json!({"method": "qr", "reference": "x".repeat(65)}), Err(NoPayment::Reference)),
            (json!({"method": "qr", "reference": "a\nb"}), Err(NoPayment::Reference)),
            (json!({"method": "qr", "reference": {}}), Err(NoPayment::Reference)),
            (json!([]), Ok(None)),
            (json!(["cash"]), paid(Method::Cash, None, None)),
            (json!([["cash"]]), Err(NoPayment::Shape)),
            (json!(true), Err(NoPayment::Shape)),
        ] {
            assert_eq!(read(Some(&told)), read_as, "{told}");
        }
        assert_eq!(read(None), Ok(None));
    }

    #[test]
    fn several_ways_are_read_with_the_one_first_that_takes_what_is_left() {
        let transfer = json!({"method": "chuyển khoản", "amount": 10_000, "reference": "FT1"});
        let ways = |told: Value| {
            read(Some(&told)).map(|paid| {
                let paid = paid.unwrap();
                let also: Vec<_> = paid.also.iter().map(|too| (too.method.name(), too.amount.0)).collect();
                (paid.method.name(), paid.amount.map(|amount| amount.0), also)
            })
        };
        for (told, expected) in [
            (json!([transfer, "cash"]), ("cash", None, vec![("transfer", 10_000)])),
            (
                json!([transfer, {"method": "card"}, {"method": "cash", "amount": 5}]),
                ("card", None, vec![("transfer", 10_000), ("cash", 5)]),
            ),
            (
                json!([transfer, {"method": "cash", "amount": "5.000 đ"}]),
                ("cash", Some(5_000), vec![("transfer", 10_000)]),
            ),
            (json!([transfer, {"method": "qr", "amount": 5_000}]), ("transfer", Some(10_000), vec![("qr", 5_000)])),
            (json!([transfer, transfer]), ("transfer", Some(10_000), vec![("transfer", 10_000)])),
            (json!([transfer]), ("transfer", Some(10_000), vec![])),
            // Nothing of a way is no way.
            (json!([transfer, {"method": "cash", "amount": 0}]), ("transfer", Some(10_000), vec![])),
            (json!([transfer, null, {}]), ("transfer", Some(10_000), vec![])),
            (json!({"method": "cash", "amount": 5, "also": [transfer]}), ("cash", Some(5), vec![("transfer", 10_000)])),
        ] {
            assert_eq!(ways(told.clone()), Ok(expected), "{told}");
        }
        for (told, wrong) in [
            (json!(["cash", "card"]), NoPayment::Ways),
            (json!([transfer, "free"]), NoPayment::Ways),
            (json!([transfer, {"method": "cash", "amount": -1}]), NoPayment::Amount),
            (json!([transfer, "gold"]), NoPayment::Method),
            (json!({"method": "cash", "also": 5}), NoPayment::Shape),
            (json!(vec![transfer.clone(); MAX_WAYS + 1]), NoPayment::Ways),
        ] {
            assert_eq!(ways(told.clone()), Err(wrong), "{told}");
        }
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
