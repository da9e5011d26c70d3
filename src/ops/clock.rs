//! The wall clock everything is stamped with. The only place that asks the machine for the time of day.
//!
//! A demo runs a day in minutes: `PARKMESH_CLOCK=<origin_wall_ms>,<anchor_unix_ms>,<speed>` makes the wall clock
//! `origin + (machine's Unix ms - anchor) * speed`, so that several processes given the same value agree.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The environment variable that replaces the machine's clock.
pub const CLOCK_VARIABLE: &str = "PARKMESH_CLOCK";

/// 2025-12-01 UTC. Nothing this program does happened before it was written: a clock that says so is wrong.
const EARLIEST_MS: i64 = 1_764_547_200_000;

/// Stamps run ahead of the clock by some ms where several cars come at once.
const TOLERANCE_MS: i64 = 2_000;

/// Stamps further ahead of the clock than this are taken for the mistake, not the clock: one excursion into the future is red
/// for a day at most, not until it has come.
const LONGEST_BEHIND_MS: i64 = 24 * 60 * 60 * 1_000;

/// The stamps by which a clock that shows `now_ms` can be known to be behind. Of one that is behind by months the day that it has before it
/// again is among them; of one excursion into the future, which was put right, only in the end.
pub fn telling_stamps(now_ms: i64) -> RangeInclusive<i64> {
    now_ms..=now_ms.saturating_add(LONGEST_BEHIND_MS)
}

/// Whether a clock that shows `now_ms` is behind: before the program was written, or up to a day before what was already
/// stamped here. `newest_own_ms`: the newest of [`telling_stamps`], or what was stamped last in this run.
pub fn is_behind(now_ms: i64, newest_own_ms: Option<i64>) -> bool {
    let ahead_ms = newest_own_ms.map_or(0, |newest| newest.saturating_sub(now_ms));
    now_ms < EARLIEST_MS || (ahead_ms > TOLERANCE_MS && ahead_ms <= LONGEST_BEHIND_MS)
}

/// Why [`CLOCK_VARIABLE`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{CLOCK_VARIABLE} is '<origin_wall_ms>,<anchor_unix_ms>,<speed>' with a speed above 0; got {0:?}")]
pub struct ClockError(String);

/// A clock that is cheap to copy and the same for everyone who holds a copy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    warp: Option<Warp>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Warp {
    origin_ms: i64,
    anchor_ms: i64,
    speed: f64,
}

impl Clock {
    /// The machine's clock.
    pub fn machine() -> Self {
        Self { warp: None }
    }

    /// The clock the environment asks for, else the machine's.
    ///
    /// # Errors
    /// [`ClockError`] if the variable has another shape.
    pub fn from_environment() -> Result<Self, ClockError> {
        match std::env::var(CLOCK_VARIABLE) {
            Ok(text) if !text.is_empty() => Self::parse(&text),
            _ => Ok(Self::machine()),
        }
    }

    /// # Errors
    /// [`ClockError`] if `text` is not `<origin_wall_ms>,<anchor_unix_ms>,<speed>`.
    pub fn parse(text: &str) -> Result<Self, ClockError> {
        let refused = || ClockError(text.to_owned());
        let mut parts = text.split(',').map(str::trim);
        let (Some(origin), Some(anchor), Some(speed), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refused());
        };
        let speed: f64 = speed.parse().map_err(|_| refused())?;
        if !(speed.is_finite() && speed > 0.0) {
            return Err(refused());
        }
        let origin_ms = origin.parse().map_err(|_| refused())?;
        let anchor_ms = anchor.parse().map_err(|_| refused())?;
        Ok(Self { warp: Some(Warp { origin_ms, anchor_ms, speed }) })
    }

    /// Unix ms now.
    pub fn now_ms(self) -> i64 {
        self.at(machine_ms())
    }

    /// How far this clock goes within `span`, ms.
    pub fn ms_of(self, span: Duration) -> i64 {
        self.passed_ms(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    }

    /// What this clock shows when the machine's shows `unix_ms`.
    fn at(self, unix_ms: i64) -> i64 {
        self.warp.map_or(unix_ms, |warp| {
            warp.origin_ms.saturating_add(self.passed_ms(unix_ms.saturating_sub(warp.anchor_ms)))
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "ms of some years, far below 2^53"
    )]
    fn passed_ms(self, machine_ms: i64) -> i64 {
        self.warp.map_or(machine_ms, |warp| (machine_ms as f64 * warp.speed) as i64)
    }
}

fn machine_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_injected_clock_runs_from_its_origin_at_its_speed() {
        let clock = Clock::parse("1000000,500,600").unwrap();
        assert_eq!(clock.at(500), 1_000_000);
        assert_eq!(clock.at(501), 1_000_600);
        assert_eq!(clock.at(499), 999_400);
        assert_eq!(clock.ms_of(Duration::from_millis(2)), 1_200);
        assert_eq!(Clock::machine().ms_of(Duration::from_millis(2)), 2);
    }

    #[test]
    fn a_clock_is_behind_the_program_or_its_own_stamps() {
        assert!(is_behind(0, None));
        assert!(!is_behind(EARLIEST_MS, None));
        assert!(is_behind(EARLIEST_MS, Some(EARLIEST_MS + TOLERANCE_MS + 1)));
        assert!(!is_behind(EARLIEST_MS, Some(EARLIEST_MS + TOLERANCE_MS)));
        assert!(is_behind(EARLIEST_MS, Some(EARLIEST_MS + LONGEST_BEHIND_MS)));
        assert!(
            !is_behind(EARLIEST_MS, Some(EARLIEST_MS + LONGEST_BEHIND_MS + 1)),
            "once in the future is not red for ever"
        );
    }

    #[test]
    fn nonsense_is_refused_and_named() {
        for bad in ["", "1,2", "1,2,0", "1,2,-3", "1,2,NaN", "a,2,1", "1,2,3,4"] {
            assert_eq!(Clock::parse(bad), Err(ClockError(bad.to_owned())), "{bad}");
        }
    }
}
