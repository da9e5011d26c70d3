//! Durations on the command line: `500ms`, `10s`, `2m`, `1h 30m`.

use std::time::Duration;

/// Reads a positive duration with its unit.
///
/// # Errors
/// A sentence for people, if `text` is not a duration, has no unit, or is not above zero.
pub fn parse(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration =
        text.parse().map_err(|_| format!("'{text}' is not a duration; write for example 500ms, 10s or 2m"))?;
    match Duration::try_from(signed) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a duration is above zero".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5_400)));
        for bad in ["", "10", "soon", "0s", "-3s", "10 parsecs"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
