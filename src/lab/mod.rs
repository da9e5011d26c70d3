//! What tries and measures centrals: the simulation, whose many centrals live in one thread, and programs that drive running
//! ones over HTTP from outside: `bench`, `demo` and `ready`.
//!
//! Those programs know a central by its documented HTTP API and nothing else of this crate, so what they measure and check
//! is what an edge program gets.

pub mod bench;
pub mod client;
pub mod compare;
pub mod demo;
mod plates;
pub mod proxy;
pub mod simulation;

use std::time::Duration;

/// Reads a positive duration with its unit, as command lines have it: `500ms`, `10s`, `2m`, `1h 30m`.
///
/// # Errors
/// A sentence for people, if `text` is not a duration, has no unit, or is not above zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
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
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        for bad in ["", "10", "soon", "0s", "-3s", "10 parsecs"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
