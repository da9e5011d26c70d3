//! The site's clock face: Unix ms to the local texts, days and durations that people read.
//!
//! Inside the program a time is Unix ms UTC. Texts and "today" are of the *site's* zone, whatever the machine's zone
//! is; the zone data is compiled in.
//!
//! Invariants: a later instant never has an earlier day; every call is total (times outside [`MIN_MS`]..=[`MAX_MS`] are
//! taken as the nearest of these). Offsets are looked up in a table made once, because every event is dated several
//! times; nothing here locks or allocates except for the text returned.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The zone of a site whose settings name none.
pub const DEFAULT_ZONE: &str = "Asia/Ho_Chi_Minh";
/// First instant that is shown as it is: 0001-01-02 00:00:00 UTC.
pub const MIN_MS: i64 = -62_135_510_400_000;
/// Last instant that is shown as it is: 9999-12-30 00:00:00 UTC. A text of any time has four digits of year.
pub const MAX_MS: i64 = 253_402_128_000_000;

/// Sums are kept by quarters of an hour: every zone's days of today begin and end with one, so no sum depends on a zone.
pub const QUARTER_MS: i64 = 15 * 60 * 1_000;

const MS_PER_SECOND: i64 = 1_000;
const MS_PER_MINUTE: i64 = 60_000;
const SECONDS_PER_MINUTE: i64 = 60;
const SECONDS_PER_DAY: i64 = 86_400;
/// Changes of offset are tabled up to 2100-01-01 UTC; later times keep the offset of that moment. Zones without
/// daylight saving time are exact for ever.
const TABLE_END_S: i64 = 4_102_444_800;

/// The number of the quarter of an hour since 1970 that `unix_ms` is in.
pub fn quarter(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(QUARTER_MS)
}

/// The zone is not in the IANA database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {0:?}; expected an IANA name such as Asia/Ho_Chi_Minh")]
pub struct UnknownZone(pub String);

/// The text is not `YYYY-MM-DD HH:MM:SS`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a local time is YYYY-MM-DD HH:MM:SS")]
pub struct BadLocalText;

/// The zone a site lives in. Cheap to clone; equal zones have equal names.
#[derive(Clone)]
pub struct SiteZone(Arc<ZoneTable>);

struct ZoneTable {
    name: String,
    zone: TimeZone,
    /// In order of `from_s`; the first starts at `i64::MIN`, so that every instant is in one.
    spans: Vec<Span>,
}

/// A time in which the offset from UTC does not change.
#[derive(Debug, Clone, Copy)]
struct Span {
    from_s: i64,
    offset_s: i64,
    /// The greatest day of all time before `from_s`. A clock set back over midnight does not bring the old day back.
    day_before: i64,
}

impl Span {
    /// Days since 1970-01-01 on the site's calendar.
    fn day(self, utc_s: i64) -> i64 {
        (utc_s + self.offset_s).div_euclid(SECONDS_PER_DAY).max(self.day_before)
    }
}

impl SiteZone {
    /// # Errors
    /// [`UnknownZone`] if the IANA database has no such name. Letter case does not matter.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| UnknownZone(name.to_owned()))?;
        let name = zone.iana_name().unwrap_or(name).to_owned();
        let spans = spans_of(&zone);
        Ok(Self(Arc::new(ZoneTable { name, zone, spans })))
    }

    /// The IANA name, `Asia/Ho_Chi_Minh`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// `YYYY-MM-DD HH:MM:SS` on the site's clock, the fraction of the second cut off.
    pub fn local_text(&self, unix_ms: i64) -> String {
        let utc_s = seconds(unix_ms);
        let local = civil(utc_s + self.span(utc_s).offset_s);
        let mut text = String::with_capacity(19);
        push_date(&mut text, local);
        for (separator, number) in [(' ', local.hour()), (':', local.minute()), (':', local.second())] {
            text.push(separator);
            push_digits(&mut text, i64::from(number), 2);
        }
        text
    }

    /// The instant a [`local_text`](Self::local_text) shows, Unix ms. Of a text that the clock shows twice the first;
    /// of one that the clock skips the instant as far after the gap as the text is into it.
    ///
    /// # Errors
    /// [`BadLocalText`] if the text has another shape or names no date.
    pub fn parse_local_text(&self, text: &str) -> Result<i64, BadLocalText> {
        let shape_ok = text.len() == 19 && text.as_bytes().get(10) == Some(&b' ');
        let local: DateTime =
            if shape_ok { text.parse().map_err(|_| BadLocalText)? } else { return Err(BadLocalText) };
        self.instant_ms(local).ok_or(BadLocalText)
    }

    /// The instant the site's clock shows a date and time, as of [`Self::parse_local_text`].
    pub(super) fn instant_ms(&self, local: DateTime) -> Option<i64> {
        Some(self.0.zone.to_ambiguous_timestamp(local).compatible().ok()?.as_millisecond())
    }

    /// The site's day, `YYYY-MM-DD`.
    pub fn day(&self, unix_ms: i64) -> String {
        let mut text = String::with_capacity(10);
        push_date(&mut text, civil(self.day_number(unix_ms) * SECONDS_PER_DAY));
        text
    }

    /// The first instant of the site's day that `unix_ms` is in, Unix ms.
    pub fn day_start_ms(&self, unix_ms: i64) -> i64 {
        let utc_s = seconds(unix_ms);
        let day = self.span(utc_s).day(utc_s);
        let upto = self.0.spans.partition_point(|span| span.from_s <= utc_s);
        let spans = self.0.spans.iter().take(upto);
        let first = spans.rev().find(|span| span.day_before < day);
        first.map_or(unix_ms, |span| (day * SECONDS_PER_DAY - span.offset_s).max(span.from_s) * MS_PER_SECOND)
    }

    /// The site's day that `unix_ms` is in: its first instant and that of the next day, Unix ms. A day may have an hour more or less.
    pub fn day_bounds_ms(&self, unix_ms: i64) -> (i64, i64) {
        let start_ms = self.day_start_ms(unix_ms);
        (start_ms, self.day_start_ms(start_ms.saturating_add(36 * 3_600_000)))
    }

    /// How often the site's calendar turned a page after `from_ms` and up to `to_ms`; 0 if `to_ms` is not later.
    pub fn midnights_crossed(&self, from_ms: i64, to_ms: i64) -> i64 {
        (self.day_number(to_ms) - self.day_number(from_ms)).max(0)
    }

    /// Seconds since midnight on the site's clock.
    pub fn second_of_day(&self, unix_ms: i64) -> i64 {
        let utc_s = seconds(unix_ms);
        (utc_s + self.span(utc_s).offset_s).rem_euclid(SECONDS_PER_DAY)
    }

    /// By how much the site's clock is before UTC, in ms.
    pub fn ahead_of_utc_ms(&self, unix_ms: i64) -> i64 {
        self.span(seconds(unix_ms)).offset_s * MS_PER_SECOND
    }

    /// The last instant, at `unix_ms` or before, at which the site's clock showed `time`; on a day that skips it, as of
    /// [`Self::parse_local_text`].
    pub fn last_at(&self, time: ClockTime, unix_ms: i64) -> i64 {
        let on_day_of = |unix_ms: i64| {
            let midnight = format!("{} 00:00:00", self.day(unix_ms)).parse::<DateTime>().ok()?;
            self.instant_ms(midnight.checked_add(SignedDuration::from_secs(time.seconds())).ok()?)
        };
        let days =
            [unix_ms, self.day_start_ms(unix_ms) - 1, self.day_start_ms(unix_ms) - SECONDS_PER_DAY * MS_PER_SECOND];
        days.into_iter().filter_map(on_day_of).find(|at_ms| *at_ms <= unix_ms).unwrap_or(MIN_MS)
    }

    /// The day of the week on the site's calendar: 0 is Monday.
    pub fn weekday(&self, unix_ms: i64) -> usize {
        // 1970-01-01 was a Thursday.
        usize::try_from((self.day_number(unix_ms) + 3).rem_euclid(7)).unwrap_or(0)
    }

    /// Months begun from `from_ms` up to `to_ms`, the first included: each ends at the same time of the same day of the next month,
    /// or of its last day.
    pub fn started_months(&self, from_ms: i64, to_ms: i64) -> i64 {
        let local = |unix_ms: i64| {
            let utc_s = seconds(unix_ms);
            civil(utc_s + self.span(utc_s).offset_s)
        };
        let (from, to) = (local(from_ms), local(to_ms));
        let months =
            (i64::from(to.year()) - i64::from(from.year())) * 12 + i64::from(to.month()) - i64::from(from.month());
        // The month that ends in that of `to` may end before it, or after.
        let ends = from.checked_add(jiff::Span::new().months(months.clamp(0, 119_000))).unwrap_or(DateTime::MAX);
        (months + i64::from(ends < to)).max(1)
    }

    /// Days since 1970-01-01 on the site's calendar; never decreases in time.
    fn day_number(&self, unix_ms: i64) -> i64 {
        let utc_s = seconds(unix_ms);
        self.span(utc_s).day(utc_s)
    }

    fn span(&self, utc_s: i64) -> Span {
        let later = self.0.spans.partition_point(|span| span.from_s <= utc_s);
        later.checked_sub(1).and_then(|index| self.0.spans.get(index)).copied().unwrap_or(FIRST_SPAN)
    }
}

/// What a time before every span would be in; there is none, the first span starts at `i64::MIN`.
const FIRST_SPAN: Span = Span { from_s: i64::MIN, offset_s: 0, day_before: i64::MIN };

fn spans_of(zone: &TimeZone) -> Vec<Span> {
    let first_offset_s = i64::from(zone.to_offset(Timestamp::MIN).seconds());
    let mut spans = vec![Span { offset_s: first_offset_s, ..FIRST_SPAN }];
    let mut last = Span { offset_s: first_offset_s, ..FIRST_SPAN };
    for change in zone.following(Timestamp::MIN) {
        let from_s = change.timestamp().as_second();
        if from_s >= TABLE_END_S {
            break;
        }
        let offset_s = i64::from(change.offset().seconds());
        // A change of name only (a new abbreviation) is none of ours.
        if offset_s != last.offset_s {
            last = Span { from_s, offset_s, day_before: last.day(from_s - 1) };
            spans.push(last);
        }
    }
    spans
}

impl Default for SiteZone {
    /// [`DEFAULT_ZONE`].
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "the zone data is compiled in; a test asks for this name")]
        static DEFAULT: LazyLock<SiteZone> = LazyLock::new(|| SiteZone::named(DEFAULT_ZONE).expect("bundled zone"));
        DEFAULT.clone()
    }
}

impl PartialEq for SiteZone {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for SiteZone {}

impl fmt::Debug for SiteZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name)
    }
}

/// How long a stay was, as people read it: `1 giờ 31 phút`. Whole minutes, cut off; a negative duration is 0.
pub fn duration_text(duration_ms: i64) -> String {
    let minutes = duration_ms.max(0) / MS_PER_MINUTE;
    format!("{} giờ {} phút", minutes / 60, minutes % 60)
}

/// Whether the text is a calendar date `YYYY-MM-DD`. Such texts sort as their dates do.
pub fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn seconds(unix_ms: i64) -> i64 {
    unix_ms.clamp(MIN_MS, MAX_MS).div_euclid(MS_PER_SECOND)
}

fn civil(local_s: i64) -> DateTime {
    let as_utc = Timestamp::from_second(local_s).unwrap_or_default();
    Offset::UTC.to_datetime(as_utc)
}

fn push_date(text: &mut String, local: DateTime) {
    push_digits(text, i64::from(local.year()), 4);
    text.push('-');
    push_digits(text, i64::from(local.month()), 2);
    text.push('-');
    push_digits(text, i64::from(local.day()), 2);
}

/// The last `digits` decimal digits of a number that is not negative.
fn push_digits(text: &mut String, number: i64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = (number / 10_i64.pow(place)) % 10;
        text.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
}

/// A time of day on the site's clock, `06:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ClockTime {
    minutes: u16,
}

impl ClockTime {
    /// A full hour, 0 to 24.
    pub const fn hour(hour: u16) -> Self {
        Self { minutes: if hour < 24 { hour * 60 } else { 24 * 60 } }
    }

    /// Since midnight.
    pub fn seconds(self) -> i64 {
        i64::from(self.minutes) * SECONDS_PER_MINUTE
    }
}

/// It is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of day, written like 06:00")]
pub struct NoClockTime;

impl FromStr for ClockTime {
    type Err = NoClockTime;

    /// `06:00`, also `6:00` and `24:00`, the end of the day.
    fn from_str(text: &str) -> Result<Self, NoClockTime> {
        let (hours, minutes) = text.trim().split_once(':').ok_or(NoClockTime)?;
        let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
            let is_number = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u16>().ok()).flatten().ok_or(NoClockTime)
        };
        let minutes = number(hours, 1..=2)? * 60
            + number(minutes, 2..=2).and_then(|minutes| if minutes < 60 { Ok(minutes) } else { Err(NoClockTime) })?;
        if minutes <= 24 * 60 { Ok(Self { minutes }) } else { Err(NoClockTime) }
    }
}

impl TryFrom<String> for ClockTime {
    type Error = NoClockTime;

    fn try_from(text: String) -> Result<Self, NoClockTime> {
        text.parse()
    }
}

impl From<ClockTime> for String {
    fn from(time: ClockTime) -> Self {
        time.to_string()
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: i64 = 24 * HOUR_MS;
    /// 2025-12-03 00:00:00 in Vietnam.
    const MIDNIGHT_MS: i64 = 1_764_694_800_000;

    /// Zones that are awkward: clocks set back over midnight, days without midnight, odd offsets, a skipped day.
    const ZONES: [&str; 8] = [
        "Asia/Ho_Chi_Minh",
        "UTC",
        "America/St_Johns",
        "America/Sao_Paulo",
        "America/New_York",
        "Africa/Cairo",
        "Asia/Kathmandu",
        "Pacific/Apia",
    ];

    fn zone(name: &str) -> SiteZone {
        SiteZone::named(name).unwrap()
    }

    #[test]
    fn times_are_shown_on_the_sites_clock() {
        let zone = SiteZone::default();
        assert_eq!(zone.name(), "Asia/Ho_Chi_Minh");
        assert_eq!(zone.local_text(1_733_140_800_000), "2024-12-02 19:00:00");
        assert_eq!(zone.local_text(1_733_140_800_999), "2024-12-02 19:00:00");
        assert_eq!(zone.local_text(-1), "1970-01-01 07:59:59", "the South kept +08:00 until 1975");
        assert_eq!(zone.day(MIDNIGHT_MS), "2025-12-03");
        assert_eq!(zone.day(MIDNIGHT_MS - 1), "2025-12-02");
        assert_eq!(zone.day_start_ms(MIDNIGHT_MS - 1), MIDNIGHT_MS - DAY_MS);
        assert_eq!(zone.day_start_ms(MIDNIGHT_MS), MIDNIGHT_MS);
        assert_eq!(zone.parse_local_text("2025-12-03 00:00:00"), Ok(MIDNIGHT_MS));
    }

    #[test]
    fn an_unknown_zone_is_named_in_the_error() {
        assert_eq!(SiteZone::named("Asia/Hanoi2"), Err(UnknownZone("Asia/Hanoi2".into())));
        assert_eq!(SiteZone::named(""), Err(UnknownZone(String::new())));
        assert_eq!(zone("asia/ho_chi_minh"), SiteZone::default());
    }

    #[test]
    fn texts_of_another_shape_are_no_local_times() {
        let zone = SiteZone::default();
        for bad in ["", "2025-12-03", "2025-12-03T00:00:00", "2025-13-03 00:00:00", "2025-02-29 00:00:00", "x"] {
            assert_eq!(zone.parse_local_text(bad), Err(BadLocalText), "{bad}");
        }
        assert!(is_date("2024-02-29"));
        for bad in ["", "2025-02-29", "2025-2-9", "20250209", "2025-02-09x", "+002025-02"] {
            assert!(!is_date(bad), "{bad}");
        }
    }

    #[test]
    fn midnights_are_counted_on_the_sites_clock() {
        let zone = SiteZone::default();
        for (from_ms, to_ms, midnights) in [
            (MIDNIGHT_MS - 1, MIDNIGHT_MS, 1),
            (MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS - 1, 0),
            (MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS, 1),
            (MIDNIGHT_MS - 1, MIDNIGHT_MS + 3 * DAY_MS, 4),
            (MIDNIGHT_MS, MIDNIGHT_MS - 1, 0),
        ] {
            assert_eq!(zone.midnights_crossed(from_ms, to_ms), midnights, "{from_ms}..{to_ms}");
        }
    }

    #[test]
    fn a_clock_set_back_over_midnight_starts_no_day_twice() {
        let zone = zone("America/St_Johns");
        // On 2010-11-07 at 00:01 the clock went back to 23:01 of the 6th.
        let first_midnight_ms = zone.parse_local_text("2010-11-07 00:00:00").unwrap();
        assert_eq!(zone.local_text(first_midnight_ms + 60_000), "2010-11-06 23:01:00");
        assert_eq!(zone.day(first_midnight_ms + 60_000), "2010-11-07");
        assert_eq!(zone.day_start_ms(first_midnight_ms + 2 * HOUR_MS), first_midnight_ms);
        assert_eq!(zone.midnights_crossed(first_midnight_ms - 1, first_midnight_ms + 2 * HOUR_MS), 1);
    }

    #[test]
    fn a_day_whose_midnight_was_skipped_starts_after_the_gap() {
        let zone = zone("America/Sao_Paulo");
        // On 2018-11-04 the clock went from 23:59:59 of the 3rd to 01:00.
        let noon_ms = zone.parse_local_text("2018-11-04 12:00:00").unwrap();
        assert_eq!(zone.local_text(zone.day_start_ms(noon_ms)), "2018-11-04 01:00:00");
    }

    #[test]
    fn durations_are_whole_minutes_and_never_negative() {
        const MINUTE_MS: i64 = 60_000;
        for (duration_ms, text) in [
            (91 * MINUTE_MS, "1 giờ 31 phút"),
            (91 * MINUTE_MS + 59_999, "1 giờ 31 phút"),
            (59_999, "0 giờ 0 phút"),
            (72 * 60 * MINUTE_MS, "72 giờ 0 phút"),
            (-10 * MINUTE_MS, "0 giờ 0 phút"),
            (i64::MIN, "0 giờ 0 phút"),
        ] {
            assert_eq!(duration_text(duration_ms), text);
        }
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_the_zone_database(index in 0..ZONES.len(), unix_ms in 0..TABLE_END_S * 1_000) {
            let zone = zone(ZONES[index]);
            let expected = Timestamp::from_millisecond(unix_ms).unwrap().to_zoned(zone.0.zone.clone());
            prop_assert_eq!(zone.local_text(unix_ms), expected.strftime("%Y-%m-%d %H:%M:%S").to_string());
        }

        #[test]
        fn a_shown_time_is_read_back(index in 0..ZONES.len(), unix_s in 0..TABLE_END_S) {
            let zone = zone(ZONES[index]);
            let text = zone.local_text(unix_s * 1_000);
            let read_ms = zone.parse_local_text(&text).unwrap();
            prop_assert_eq!(zone.local_text(read_ms), text);
            // An hour that the clock shows twice is read as its first showing, at most a day back (Apia).
            prop_assert!(read_ms <= unix_s * 1_000 && unix_s * 1_000 - read_ms <= DAY_MS);
        }

        #[test]
        fn days_never_go_back_and_start_where_they_start(
            index in 0..ZONES.len(),
            unix_ms in 0..TABLE_END_S * 1_000,
            later_ms in 0..40 * DAY_MS,
        ) {
            let zone = zone(ZONES[index]);
            let start_ms = zone.day_start_ms(unix_ms);
            prop_assert!(start_ms <= unix_ms);
            prop_assert_eq!(zone.day(start_ms), zone.day(unix_ms));
            prop_assert_eq!(zone.day_start_ms(start_ms), start_ms);
            prop_assert!(zone.day(start_ms - 1) < zone.day(start_ms));
            prop_assert!(zone.day(unix_ms) <= zone.day(unix_ms + later_ms));
            let midnights = zone.midnights_crossed(unix_ms, unix_ms + later_ms);
            prop_assert!((0..=41).contains(&midnights));
            prop_assert_eq!(midnights == 0, zone.day(unix_ms) == zone.day(unix_ms + later_ms));
        }

        #[test]
        fn no_time_is_out_of_range(index in 0..ZONES.len(), unix_ms: i64, other_ms: i64) {
            let zone = zone(ZONES[index]);
            prop_assert_eq!(zone.local_text(unix_ms).len(), 19);
            prop_assert_eq!(zone.day(unix_ms).len(), 10);
            prop_assert!(zone.midnights_crossed(unix_ms, other_ms) >= 0);
            prop_assert!(zone.day_start_ms(unix_ms) <= unix_ms.max(MIN_MS));
            prop_assert!(duration_text(unix_ms).ends_with("phút"));
        }
    }

    #[test]
    fn the_last_time_the_clock_showed_something() {
        for (zone, now, time, last) in [
            ("Asia/Ho_Chi_Minh", "2026-11-29 14:00:00", "03:00", "2026-11-29 03:00:00"),
            ("Asia/Ho_Chi_Minh", "2026-11-29 03:00:00", "3:00", "2026-11-29 03:00:00"),
            ("Asia/Ho_Chi_Minh", "2026-11-29 02:59:59", "03:00", "2026-11-28 03:00:00"),
            ("Asia/Ho_Chi_Minh", "2026-11-29 00:00:00", "00:00", "2026-11-29 00:00:00"),
            ("Asia/Ho_Chi_Minh", "2026-01-01 00:00:00", "23:59", "2025-12-31 23:59:00"),
            // The clock skips 02:30 on that day, and shows 03:30.
            ("Europe/Berlin", "2026-03-29 12:00:00", "02:30", "2026-03-29 03:30:00"),
            ("Europe/Berlin", "2026-10-25 12:00:00", "02:30", "2026-10-25 02:30:00"),
        ] {
            let zone = SiteZone::named(zone).unwrap();
            let now_ms = zone.parse_local_text(now).unwrap();
            assert_eq!(zone.local_text(zone.last_at(time.parse().unwrap(), now_ms)), last, "{now} {time}");
        }
    }
}
