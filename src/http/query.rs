//! Values of a query string.

use super::error::ApiError;

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

#[cfg(test)]
mod tests {
    use super::*;

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
