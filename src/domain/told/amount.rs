//! Amounts of money.

use serde_json::Value;

use super::Note;
use crate::domain::money::Vnd;

/// What an amount is counted in, folded by the reader: đồng, and thousands of it (`25k`, `25 nghìn`).
const DONG: [&str; 5] = ["d", "vnd", "vnđ", "dong", "₫"];
const THOUSANDS: [&str; 5] = ["k", "nghin", "ngan", "n", "ng"];
const MILLIONS: [&str; 3] = ["tr", "trieu", "m"];
const THOUSAND: i64 = 1_000;
const MILLION: i64 = 1_000_000;
/// Nothing was to be paid.
const FREE: [&str; 4] = ["mienphi", "free", "khongthu", "khongtinhphi"];

/// It is no amount of đồng between 0 and [`Vnd::MAX_FEE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount of whole đồng is expected, such as 25000 or \"25.000 đ\"")]
pub struct NoAmount;

/// Reads an amount: `25000`, `25000.0`, `"25000"`, `"25.000"`, `"25,000 đ"`, `"25k"`, `"25 nghìn"`. `None`: nothing is told.
///
/// A point or comma before exactly three digits groups thousands, as nobody counts in parts of a đồng; before one or two
/// digits it is a fraction, which has to be 0 (or comes to whole đồng: `"2.5k"`). Before three digits of thousands it may be either, so
/// `"1.500k"` is no amount. A blank groups thousands as well, and nothing else: `"25000 2"` are two numbers. So `"25.00"` is 25 đ, which is no fee: what is
/// read may be [`implausible`].
///
/// # Errors
/// [`NoAmount`]
pub fn read(value: Option<&Value>) -> Result<Option<Vnd>, NoAmount> {
    let amount = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => super::whole(number).ok_or(NoAmount)?,
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => of_text(text).ok_or(NoAmount)?,
        // With the currency beside it, which has to be ours.
        Some(Value::Object(said)) => {
            let in_dong = said.get("currency").is_none_or(|currency| currency.as_str().is_some_and(is_dong));
            let mut amounts = said.iter().filter(|(key, _)| ["amount", "value"].contains(&key.as_str()));
            let (Some((_, amount)), None, true) = (amounts.next(), amounts.next(), in_dong) else {
                return Err(NoAmount);
            };
            let only = said.keys().all(|key| ["amount", "value", "currency"].contains(&key.as_str()));
            return if only && !amount.is_object() { read(Some(amount)) } else { Err(NoAmount) };
        }
        Some(_) => return Err(NoAmount),
    };
    Some(Vnd(amount)).filter(|amount| amount.is_fee()).ok_or(NoAmount).map(Some)
}

/// What is said of an amount that nobody takes.
pub fn implausible(field: &'static str, fee: Vnd) -> Note {
    Note::new(
        field,
        "implausible",
        format!("{} đ không giống một khoản phí: được ghi như đã báo, hãy kiểm tra", fee.vi()),
        format!("{} VND is hardly a fee: it is recorded as told, check it", fee.en()),
    )
}

fn of_text(text: &str) -> Option<i64> {
    let text = with_blanks_between_digits(text);
    let text = text.trim_start_matches(['₫', '+']);
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'' | '_' | ' ');
    let end = text.find(|c: char| !is_of_number(c)).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if FREE.contains(&super::word::folded(text).as_str()) {
        return Some(0);
    }
    // The currency may stand before the number, too.
    if digits.is_empty() {
        let from = text.find(|c: char| c.is_ascii_digit())?;
        let (unit, digits) = text.split_at(from);
        return if is_dong(unit) { number(digits, 1) } else { None };
    }
    let unit = unit.trim_end_matches('.');
    if unit.is_empty() || is_dong(unit) {
        return number(digits, 1);
    }
    let folded = super::word::folded(unit);
    let factor = |unit: &str| match unit {
        unit if THOUSANDS.contains(&unit) => Some(THOUSAND),
        unit if MILLIONS.contains(&unit) => Some(MILLION),
        _ => None,
    };
    // With the currency behind it: `25 nghìn đồng`, `25K VND`.
    let counted = || DONG.iter().filter_map(|dong| folded.strip_suffix(dong)).find_map(factor);
    number(digits, factor(&folded).or_else(counted)?)
}

/// The text without blanks, but for one where two digits stand apart: that groups thousands, or it is two numbers.
fn with_blanks_between_digits(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut apart = false;
    for c in text.chars().map(super::word::narrow) {
        if c.is_whitespace() {
            apart = true;
            continue;
        }
        if std::mem::take(&mut apart) && c.is_ascii_digit() && kept.ends_with(|last: char| last.is_ascii_digit()) {
            kept.push(' ');
        }
        kept.push(c);
    }
    kept
}

pub(super) fn is_dong(unit: &str) -> bool {
    unit == "₫" || DONG.contains(&super::word::folded(unit).as_str())
}

/// The number of `factor` đồng each. What may as well mean a thousand times as much is none: `1.500k`.
fn number(digits: &str, factor: i64) -> Option<i64> {
    let is_mark = |c: char| !c.is_ascii_digit();
    let groups: Vec<&str> = digits.split(is_mark).collect();
    let marks: Vec<char> = digits.chars().filter(|c| is_mark(*c)).collect();
    let (first, rest) = groups.split_first()?;
    if first.is_empty() || first.len() > 13 {
        return None;
    }
    // 1.234.567: all groups, unless the last is a fraction: of one or two digits (25,000.00), behind a number that is not
    // grouped (25000.000), or of millions (1.250 triệu).
    let (grouped, fraction) = match (rest.split_last(), marks.last()) {
        (Some((last, before)), Some('.' | ','))
            if last.len() < 3 || first.len() > 3 || (factor == MILLION && before.is_empty()) =>
        {
            (before, *last)
        }
        _ => (rest, ""),
    };
    let (between, before_fraction) = marks.split_at(grouped.len());
    let one_mark = between.iter().all(|mark| Some(mark) == between.first())
        && (fraction.is_empty() || before_fraction.first() != between.first());
    let is_group = |group: &&str| group.len() == 3;
    if !grouped.iter().all(is_group) || (!grouped.is_empty() && (first.len() > 3 || factor == THOUSAND)) || !one_mark {
        return None;
    }
    let whole: i64 = [*first].iter().chain(grouped).copied().collect::<String>().parse().ok()?;
    let fraction = fraction.trim_end_matches('0');
    let places = u32::try_from(fraction.len()).ok()?;
    let parts: i64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10_i64.checked_pow(places)?;
    let of_fraction = parts.checked_mul(factor)?;
    (of_fraction % scale == 0).then_some(())?;
    whole.checked_mul(factor)?.checked_add(of_fraction / scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_read_as_people_and_programs_write_them() {
        for (told, amount) in [
            (json!(25_000), 25_000),
            (json!(25_000.0), 25_000),
            (json!(2.5e4), 25_000),
            (json!("1 triệu"), 1_000_000),
            (json!("1,5tr"), 1_500_000),
            (json!("1.5 triệu đồng"), 1_500_000),
            (json!("Miễn phí"), 0),
            (json!("FREE"), 0),
            (json!({"amount": 25_000, "currency": "VND"}), 25_000),
            (json!({"value": "25.000 đ"}), 25_000),
            (json!("25000"), 25_000),
            (json!("25000.0"), 25_000),
            (json!("25000.00"), 25_000),
            (json!("25000,00"), 25_000),
            (json!("25000.000000"), 25_000),
            (json!("25.000"), 25_000),
            (json!("25,000"), 25_000),
            (json!("25 000"), 25_000),
            (json!("25\u{a0}000"), 25_000),
            (json!("25'000"), 25_000),
            (json!("25_000"), 25_000),
            (json!("25,000 đ"), 25_000),
            (json!("25.000đ"), 25_000),
            (json!("25.000 VNĐ"), 25_000),
            (json!("25.000 VND"), 25_000),
            (json!("25000 đồng"), 25_000),
            (json!("₫25,000"), 25_000),
            (json!("VND 25,000"), 25_000),
            (json!("25,000 ₫"), 25_000),
            (json!("25,000.00"), 25_000),
            (json!("25.000,00"), 25_000),
            (json!("25k"), 25_000),
            (json!("25K VND"), 25_000),
            (json!("25k đ"), 25_000),
            (json!("1,5tr vnd"), 1_500_000),
            (json!("25K"), 25_000),
            (json!("25 nghìn"), 25_000),
            (json!("25 nghìn đồng"), 25_000),
            (json!("25 ngàn"), 25_000),
            (json!("2.5k"), 2_500),
            (json!("2,5 nghìn"), 2_500),
            (json!("1.250 triệu"), 1_250_000),
            (json!("25 000,00 đ"), 25_000),
            (json!("1 234 567"), 1_234_567),
            (json!("25. 000"), 25_000),
            (json!("25.000."), 25_000),
            (json!("1.234.567"), 1_234_567),
            (json!("1,234,567 đ"), 1_234_567),
            (json!(" 0 "), 0),
            (json!(0), 0),
            (json!("２５０００"), 25_000),
        ] {
            assert_eq!(read(Some(&told)), Ok(Some(Vnd(amount))), "{told}");
        }
    }

    #[test]
    fn what_is_no_amount_is_said_to_be_none() {
        for told in [
            json!(-1),
            json!(25_000.5),
            json!("25.5"),
            json!("25,000.50"),
            json!("25.0000"),
            json!("1,23,456"),
            json!("1.234,567"),
            json!("1234.567.000"),
            json!("1.500k"),
            json!("1.250 nghìn"),
            json!("25.000k"),
            json!("25 000 nghìn đồng"),
            json!("25000 2"),
            json!("5000 10"),
            json!("25 000 2"),
            json!("25'00"),
            json!("25_0002"),
            json!("25.000.00"),
            json!("1,000,00"),
            json!("-25000"),
            json!("25 USD"),
            json!("$25"),
            json!("đ"),
            json!("25000 25000 x"),
            json!("1e4"),
            json!(true),
            json!({}),
            json!([25_000]),
            json!(1e300),
            json!("99999999999999999999"),
        ] {
            assert_eq!(read(Some(&told)), Err(NoAmount), "{told}");
        }
        for nothing in [json!(null), json!(""), json!("  ")] {
            assert_eq!(read(Some(&nothing)), Ok(None), "{nothing}");
        }
    }

    /// An amount with a mark before every three digits.
    fn grouped(amount: i64, mark: &str) -> String {
        let digits = amount.to_string();
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push_str(mark);
            }
            text.push(digit);
        }
        text
    }

    proptest! {
        #[test]
        fn any_spelling_of_an_amount_is_that_amount(
            amount in 0..=Vnd::MAX_FEE.0,
            mark in prop_oneof![Just(""), Just("."), Just(","), Just(" "), Just("\u{a0}"), Just("'")],
            unit in prop_oneof![Just(""), Just(" đ"), Just("đ"), Just(" VND"), Just(" đồng"), Just("₫")],
        ) {
            let text = format!("{}{unit}", grouped(amount, mark));
            prop_assert_eq!(read(Some(&json!(text))), Ok(Some(Vnd(amount))), "{}", text);
        }

        #[test]
        fn no_text_is_read_as_an_amount_that_is_no_fee(text in any::<String>()) {
            if let Ok(Some(amount)) = read(Some(&json!(text))) {
                prop_assert!(amount.is_fee());
            }
        }
    }
}
