//! Values of a query string.

use super::error::ApiError;
use crate::domain::time::{MAX_MS, MIN_MS, SiteZone};

/// # Errors
/// 400 naming the field.
pub fn number(field: &str, text: Option<&str>, absent: i64) -> Result<i64, ApiError> {
    match text {
        None | Some("") => Ok(absent),
        Some(text) => text.parse().map_err(|_| ApiError::bad_field(field, "a whole number")),
    }
}

/// `true`, `1`, `yes`, `on` and their opposites, in any letter case; absent: no.
///
/// # Errors
/// 400 naming the field.
pub fn flag(field: &str, text: Option<&str>) -> Result<bool, ApiError> {
    match text.unwrap_or_default().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "" | "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(ApiError::bad_field(field, "true or false")),
    }
}

/// A time, as Unix ms or on the site's clock face: `2026-11-22`, `2026-11-22 07:30`, `2026-11-22 07:30:00` (a `T` may stand for
/// the blank). A date alone is the start of that day, and as the `end` of something the start of the next one.
///
/// # Errors
/// 400 naming the field.
pub fn instant(field: &str, text: Option<&str>, zone: &SiteZone, end: bool) -> Result<Option<i64>, ApiError> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let is_date = text.len() == 10;
    let whole = match text.len() {
        10 => format!("{text} 00:00:00"),
        16 => format!("{}:00", text.replace('T', " ")),
        _ => text.replace('T', " "),
    };
    let found = match text.parse() {
        Ok(unix_ms) if !is_date => Some(unix_ms),
        _ => zone.parse_local_text(&whole).ok(),
    };
    let found = found.filter(|ms| (MIN_MS..=MAX_MS).contains(ms));
    let ms =
        found.ok_or_else(|| ApiError::bad_field(field, "a date YYYY-MM-DD, with or without HH:MM:SS, or Unix ms"))?;
    Ok(Some(if end && is_date { zone.day_bounds_ms(ms).1 } else { ms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_on_the_clock_of_the_site() {
        let zone = SiteZone::default();
        let read = |text, end| instant("from", Some(text), &zone, end).unwrap();
        let start = 1_733_072_400_000;
        for (text, expected) in [
            ("2024-12-02", start),
            ("2024-12-02 07:30", start + 27_000_000),
            ("2024-12-02T07:30", start + 27_000_000),
            ("2024-12-02 07:30:05", start + 27_005_000),
            ("1733072400000", start),
        ] {
            assert_eq!(read(text, false), Some(expected), "{text}");
        }
        assert_eq!(read("2024-12-02", true), Some(start + 86_400_000), "the whole day");
        assert_eq!(read("2024-12-02 07:30", true), Some(start + 27_000_000));
        assert_eq!(instant("from", None, &zone, false).unwrap(), None);
        for bad in ["yesterday", "2024-13-01", "2024-12-02 25:00", "9999999999999999999", "12/02/2024"] {
            assert!(instant("to", Some(bad), &zone, true).unwrap_err().to_string().starts_with("to"), "{bad}");
        }
    }

    #[test]
    fn values_are_read_or_refused_by_name() {
        assert_eq!(number("limit", None, 7).unwrap(), 7);
        assert_eq!(number("limit", Some("-1"), 7).unwrap(), -1);
        assert!(number("limit", Some("x"), 7).unwrap_err().to_string().starts_with("limit"));
        assert!(flag("f", Some("True")).unwrap());
        assert!(!flag("f", None).unwrap());
        assert!(flag("f", Some("maybe")).is_err());
    }
}
