//! What gates tell, in whatever spelling: one reader for each kind of value.
//!
//! A gate says what has happened, and nobody can make it say that better. So every common spelling is understood, what is
//! not is said to whoever told it (a note in the answer) and shown at the stay (an anomaly), and nothing is replaced by a
//! default in silence. Plates are read by [`super::plate`], ids of gates by [`super::ids`].

pub mod amount;
pub mod chosen;
mod civil;
pub mod fields;
pub mod moment;
pub mod payment;
pub mod vehicle;
pub mod way;
pub mod word;

use serde_json::{Number, Value};

use super::problem::FieldProblem;

/// What was told and is not used as told: which field, why, and what was done instead.
pub type Note = FieldProblem;

/// A number in parts is exact below this.
const EXACT_BELOW: f64 = 1e15;

/// A text, or a number where a program writes one for a text. `None`: it says nothing (absent, null, blank).
///
/// # Errors
/// It is something else.
pub fn text(value: Option<&Value>) -> Result<Option<String>, NoText> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
        Some(Value::Number(number)) => match (whole(number), number.is_f64().then(|| number.as_f64()).flatten()) {
            (Some(whole), _) => Ok(Some(whole.to_string())),
            // As a number it has lost digits already: nobody knows what was told.
            (None, Some(float)) if float.abs() >= EXACT_BELOW => Err(NoText),
            _ => Ok(Some(number.to_string())),
        },
        Some(_) => Err(NoText),
    }
}

/// A whole number, also as programs write one that know only parts of one: `51012300.0`.
#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and far below 2^53")]
pub fn whole(number: &Number) -> Option<i64> {
    let of_float = |float: f64| (float.fract() == 0.0 && float.abs() < EXACT_BELOW).then_some(float as i64);
    number.as_i64().or_else(|| of_float(number.as_f64()?))
}

/// A list, an object or a flag where a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text, or a number, is expected here")]
pub struct NoText;

/// A number between 0 and 1: as such, as a text, or in percent (`96`, `"96 %"`). `None`: it says nothing that can be one.
pub fn confidence(value: Option<&Value>) -> Option<f64> {
    let (number, is_percent) = match value? {
        Value::Number(number) => (number.as_f64()?, false),
        Value::String(text) => {
            let text = text.trim();
            let number = text.trim_end_matches('%');
            (number.trim().replace(',', ".").parse().ok()?, number != text)
        }
        _ => return None,
    };
    let share = if is_percent || number > 1.0 { number / 100.0 } else { number };
    Some(share).filter(|share| (0.0..=1.0).contains(share))
}

/// A flag: as such, or as programs write one.
pub fn flag(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_f64()? {
            0.0 => Some(false),
            1.0 => Some(true),
            _ => None,
        },
        Value::String(text) => match word::folded(text).as_str() {
            "true" | "1" | "yes" | "y" | "on" | "co" => Some(true),
            "false" | "0" | "no" | "n" | "off" | "khong" => Some(false),
            _ if text.trim().is_empty() => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_does_for_a_text_and_blanks_say_nothing() {
        for (told, read) in [
            (json!("29A-123.45"), Some("29A-123.45")),
            (json!(29_112_345), Some("29112345")),
            (json!(51_012_300.0), Some("51012300")),
            (json!(3.5), Some("3.5")),
            (json!(12_345_678_901_234_567_890_u64), Some("12345678901234567890")),
            (json!(" "), None),
            (json!(null), None),
        ] {
            assert_eq!(text(Some(&told)).unwrap().as_deref(), read, "{told}");
        }
        assert_eq!(text(None), Ok(None));
        for odd in [json!({}), json!([]), json!(true), json!(1e20), json!(2_026_113_021_440_512_345_678_901.0)] {
            assert_eq!(text(Some(&odd)), Err(NoText), "{odd}");
        }
    }

    #[test]
    fn confidence_is_a_share_or_a_percentage() {
        for (told, read) in [
            (json!(0.96), Some(0.96)),
            (json!("0.871034"), Some(0.871_034)),
            (json!("0,5"), Some(0.5)),
            (json!(96), Some(0.96)),
            (json!("96 %"), Some(0.96)),
            (json!("1%"), Some(0.01)),
            (json!("0,5 %"), Some(0.005)),
            (json!("100%"), Some(1.0)),
            (json!(1), Some(1.0)),
            (json!(0), Some(0.0)),
            (json!(-1), None),
            (json!(101), None),
            (json!("high"), None),
            (json!(null), None),
        ] {
            assert_eq!(confidence(Some(&told)), read, "{told}");
        }
    }

    #[test]
    fn flags_are_read_as_programs_write_them() {
        for (told, read) in [
            (json!(true), Some(true)),
            (json!("True"), Some(true)),
            (json!(1), Some(true)),
            (json!(0), Some(false)),
            (json!("no"), Some(false)),
            (json!("Có"), Some(true)),
            (json!("không"), Some(false)),
            (json!("ON"), Some(true)),
            (json!(" "), Some(false)),
            (json!("perhaps"), None),
            (json!({}), None),
        ] {
            assert_eq!(flag(Some(&told)), read, "{told}");
        }
    }
}
