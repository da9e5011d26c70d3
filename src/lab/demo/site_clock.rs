//! The site's clock of a demo: starts tomorrow at six in the morning and runs faster than real.

use std::time::Duration;

use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// The zone of a site whose configuration names none.
const SITE_ZONE: &str = "Asia/Ho_Chi_Minh";
/// Site time the demo begins at, ms since midnight: just before the morning rush.
pub const START_MS: i64 = 6 * 3_600_000;

/// Turns real time into site time and back. All centrals of a demo get the same one.
#[derive(Debug, Clone)]
pub struct SiteClock {
    midnight_ms: i64,
    /// Real Unix ms at which the site's clock showed [`START_MS`].
    anchor_ms: i64,
    speed: u32,
    zone: TimeZone,
}

impl SiteClock {
    /// A clock that shows six in the morning of the day after `real_ms` when it is `real_ms`.
    ///
    /// # Errors
    /// If the bundled zone data or the range of dates do not have that morning.
    pub fn starting_at(real_ms: i64, speed: u32) -> Result<Self, jiff::Error> {
        let zone = TimeZone::get(SITE_ZONE)?;
        let now = Timestamp::from_millisecond(real_ms)?.to_zoned(zone.clone());
        let midnight = now.checked_add(1.day())?.with().time(time(0, 0, 0, 0)).build()?;
        Ok(Self { midnight_ms: midnight.timestamp().as_millisecond(), anchor_ms: real_ms, speed, zone })
    }

    /// The value of `PARKMESH_CLOCK` for the centrals.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{},{},{}", self.midnight_ms + START_MS, self.anchor_ms, self.speed)
    }

    /// How long after `real_ms` the site's clock shows `site_ms` since the first midnight; zero if it is past.
    #[must_use]
    pub fn until(&self, site_ms: i64, real_ms: i64) -> Duration {
        let due_ms = self.anchor_ms + (site_ms - START_MS) / i64::from(self.speed);
        Duration::from_millis(u64::try_from(due_ms - real_ms).unwrap_or_default())
    }

    /// Site time as people read it, at `real_ms`.
    #[must_use]
    pub fn text(&self, real_ms: i64) -> String {
        let site_ms = self.midnight_ms + START_MS + (real_ms - self.anchor_ms) * i64::from(self.speed);
        let shown = |zoned: Zoned| zoned.strftime("%Y-%m-%d %H:%M").to_string();
        Timestamp::from_millisecond(site_ms).map_or_else(|_| "?".to_owned(), |at| shown(at.to_zoned(self.zone.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_starts_at_six_tomorrow_and_a_day_takes_as_long_as_the_speed_says() {
        // 2026-03-01 23:30 in Vietnam.
        let real_ms = Timestamp::from_second(1_772_382_600).unwrap().as_millisecond();
        let clock = SiteClock::starting_at(real_ms, 600).unwrap();
        assert_eq!(clock.text(real_ms), "2026-03-02 06:00");
        assert_eq!(clock.text(real_ms + 144_000), "2026-03-03 06:00");
        assert_eq!(clock.until(START_MS + 600_000, real_ms), Duration::from_secs(1));
        assert_eq!(clock.until(START_MS, real_ms + 1), Duration::ZERO);
        let six_utc_ms = Timestamp::from_second(1_772_406_000).unwrap().as_millisecond();
        assert_eq!(clock.variable(), format!("{six_utc_ms},{real_ms},600"));
    }
}
