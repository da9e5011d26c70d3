//! Moments: when a gate says that something happened.

use jiff::fmt::rfc2822;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::Offset;
use serde_json::{Map, Value};

use super::civil;
use crate::domain::time::SiteZone;

/// It cannot be read as a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is Unix seconds or ms, or a text such as 2026-11-22T07:30:05+07:00 or 2026-11-22 07:30:05")]
pub struct NoMoment;

/// What is below is seconds, then ms, then µs, then ns: a second of the year 5138 is the first ms of 1973.
const SECONDS_BELOW: f64 = 1e11;
/// Digits of a second of our days.
const SECONDS_DIGITS: usize = 10;
const MS_BELOW: f64 = 1e14;
const US_BELOW: f64 = 1e17;
const NS_BELOW: f64 = 1e20;

/// What is read as later than the year 2200, in ms, was written in a form that is not known.
const LATEST_MS: i64 = 7_258_118_400_000;
/// No clock on earth stands further from UTC, in s.
const FARTHEST_OFFSET_S: i32 = 14 * 3_600;

const BOXED: [&str; 4] = ["$date", "seconds", "_seconds", "value"];

/// The parts of a second that some languages tell beside the seconds, and how many of them a ms has.
const SECOND_PARTS: [(&str, i64); 4] =
    [("nanos", 1_000_000), ("nanoseconds", 1_000_000), ("_nanoseconds", 1_000_000), ("usec", 1_000)];
const SECONDS: [&str; 3] = ["seconds", "_seconds", "sec"];
/// Clocks that a text may name in place of how far they stand from UTC, and how far that is, in s.
const NAMED_CLOCKS: [(&str, i32); 4] = [("Z", 0), ("UTC", 0), ("GMT", 0), ("ICT", 7 * 3_600)];

/// Reads a moment, Unix ms: a number of seconds, ms, µs or ns, also as a text; ISO 8601 in its forms; what cameras write
/// (see [`civil`]: `22/11/2026 07:30`, `07:30:05 ngày 22/11/2026`, `20261122073005`); RFC 2822, and what languages print
/// (`Sun Nov 22 07:30:05 2026`, `… GMT+0700 (Indochina Time)`, `/Date(1795307405120)/`, `{"$date": …}`). A text without an offset is on the
/// site's clock. `None`: nothing is told.
///
/// # Errors
/// [`NoMoment`]
pub fn read(value: Option<&Value>, zone: &SiteZone) -> Result<Option<i64>, NoMoment> {
    let ms = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => super::whole(number)
            .and_then(|whole| of_digits(&whole.to_string(), zone))
            .or(of_number(number.as_f64().ok_or(NoMoment)?)),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => of_text(text.trim(), zone),
        // As databases and programs write a moment as an object of one.
        Some(Value::Object(said)) => match said.iter().next().filter(|_| said.len() == 1) {
            Some((key, inner)) if BOXED.contains(&key.as_str()) && !inner.is_object() => {
                return read(Some(inner), zone);
            }
            Some((key, Value::Object(inner))) if BOXED.contains(&key.as_str()) => {
                return inner.get("$numberLong").map_or(Err(NoMoment), |number| read(Some(number), zone));
            }
            _ => in_two_parts(said),
        },
        Some(_) => None,
    };
    ms.filter(|ms| (1..=LATEST_MS).contains(ms)).ok_or(NoMoment).map(Some)
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be of a size that a time has")]
fn of_number(told: f64) -> Option<i64> {
    let ms = match told {
        _ if told < 0.0 || told.is_nan() => return None,
        _ if told < SECONDS_BELOW => told * 1e3,
        _ if told < MS_BELOW => told,
        _ if told < US_BELOW => told / 1e3,
        _ if told < NS_BELOW => told / 1e6,
        _ => return None,
    };
    Some(ms.round() as i64)
}

/// `{"seconds": 1795307405, "nanos": 120000000}`, and as others call the two.
fn in_two_parts(said: &Map<String, Value>) -> Option<i64> {
    let whole = SECONDS.iter().find_map(|key| said.get(*key))?.as_i64()?;
    let (part, in_ms) = SECOND_PARTS.iter().find_map(|(key, in_ms)| Some((said.get(*key)?.as_i64()?, in_ms)))?;
    let ms = part.checked_div(*in_ms).filter(|ms| said.len() == 2 && (0..1_000).contains(ms))?;
    whole.checked_mul(1_000)?.checked_add(ms)
}

fn of_text(text: &str, zone: &SiteZone) -> Option<i64> {
    let text: String = text.chars().map(super::word::narrow).collect();
    let is_digit = |c: char| c.is_ascii_digit();
    if text.chars().all(is_digit) {
        return of_digits(&text, zone).or_else(|| of_number(text.parse().ok()?));
    }
    if text.chars().all(|c| is_digit(c) || matches!(c, '.' | ',' | 'e' | 'E' | '+')) {
        // `1.79605e+09` has lost its last digits: it is hours wrong.
        let digits = text.split(['e', 'E']).next().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
        if text.contains(['e', 'E']) && digits < SECONDS_DIGITS {
            return None;
        }
        let number = text.replace(',', ".").parse().ok().and_then(of_number);
        // 22.11.2026 has two points, and is no number; 20261122073005.12 is no time as one.
        if number.is_some_and(|ms| ms <= LATEST_MS) {
            return number;
        }
    }
    if let Some(boxed) = text.strip_prefix("/Date(").and_then(|text| text.strip_suffix(")/")) {
        // What follows the ms is the zone it is shown in.
        return boxed.split(['+', '-']).next().and_then(|ms| of_number(ms.parse().ok()?));
    }
    with_offset(&text).or_else(|| of_clock_elsewhere(&text)).or_else(|| zone.instant_ms(civil::read(&text)?))
}

/// `20261122073005`, with or without seconds and ms: as many digits as no Unix time of our days has.
fn of_digits(digits: &str, zone: &SiteZone) -> Option<i64> {
    if !(digits.starts_with("19") || digits.starts_with("20")) || !matches!(digits.len(), 12 | 14 | 17 | 20) {
        return None;
    }
    zone.instant_ms(civil::read(digits)?)
}

/// A text that says where its clock stands.
fn with_offset(text: &str) -> Option<i64> {
    // `2026-11-22 07:30:05 +0700` and `…05 UTC`, as some languages print times.
    let joined = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT")).map_or_else(
        || text.replacen(" +", "+", 1).replacen(" -", "-", 1).replacen(" Z", "Z", 1),
        |bare| format!("{bare}Z"),
    );
    let joined = joined.replace('/', "-");
    if let Ok(timestamp) = DateTimeParser::new().parse_timestamp(&joined) {
        let offset = DateTimeParser::new().parse_pieces(&joined).ok()?.to_numeric_offset()?;
        return Some(timestamp.as_millisecond()).filter(|_| is_on_earth(offset));
    }
    let zoned = rfc2822::DateTimeParser::new().parse_zoned(text).ok()?;
    Some(zoned.timestamp().as_millisecond()).filter(|_| is_on_earth(zoned.offset()))
}

/// A text whose last words say where its clock stands, in other ways than those standards know: `… GMT+7`, `… +07`, `… ICT`,
/// `… GMT+0700 (Indochina Time)`.
fn of_clock_elsewhere(text: &str) -> Option<i64> {
    let text = text.strip_suffix(')').and_then(|text| text.rsplit_once('(')).map_or(text, |(before, _)| before);
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let at = words.iter().rposition(|word| offset_of(word).is_some());
    // It may stand at the time itself: `07:30:05+7`.
    let (local, offset) = match at {
        Some(at) => {
            let offset = offset_of(words.remove(at))?;
            (words.join(" "), offset)
        }
        None => {
            let (local, offset) = text.trim_end().split_at(text.rfind('+')?);
            (local.to_owned(), offset_of(offset)?)
        }
    };
    Some(offset.to_timestamp(civil::read(&local)?).ok()?.as_millisecond())
}

/// `+7`, `+0700`, `GMT+07:00`, `UTC-5`, `ICT`. A `-` alone may join date and time: it has to have hours and minutes.
fn offset_of(word: &str) -> Option<Offset> {
    if let Some((_, seconds)) = NAMED_CLOCKS.iter().find(|(name, _)| *name == word) {
        return Offset::from_seconds(*seconds).ok();
    }
    let bare = word.strip_prefix("GMT").or_else(|| word.strip_prefix("UTC"));
    let signed = bare.unwrap_or(word);
    let digits: String = signed.get(1..)?.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = digits.split_at_checked(digits.len().min(if digits.len() == 3 { 1 } else { 2 }))?;
    let is_number = digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let sign = match signed.chars().next()? {
        '+' => 1,
        '-' if bare.is_some() || digits.len() == 4 => -1,
        _ => return None,
    };
    let minutes: i32 = if minutes.is_empty() { 0 } else { minutes.parse().ok()? };
    let seconds = sign * (hours.parse::<i32>().ok()? * 3_600 + minutes * 60);
    Offset::from_seconds(seconds).ok().filter(|offset| is_number && is_on_earth(*offset))
}

fn is_on_earth(offset: Offset) -> bool {
    offset.seconds().abs() <= FARTHEST_OFFSET_S
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// 2026-11-22 07:30:05.120 in Vietnam.
    const MS: i64 = 1_795_307_405_120;
    const SECOND_MS: i64 = 1_795_307_405_000;
    const MINUTE_MS: i64 = 1_795_307_400_000;

    fn told(value: &Value) -> Result<Option<i64>, NoMoment> {
        read(Some(value), &SiteZone::default())
    }

    #[test]
    fn moments_are_read_in_every_common_notation() {
        for (value, ms) in [
            (json!(1_795_307_405), SECOND_MS),
            (json!(1_795_307_405.12), MS),
            (json!(1_795_307_405_120_i64), MS),
            (json!(1_795_307_405_120_000_i64), MS),
            (json!(1_795_307_405_120_000_000_i64), MS),
            (json!("1795307405"), SECOND_MS),
            (json!("1795307405.12"), MS),
            (json!(" 1795307405120 "), MS),
            (json!("1795307405120000"), MS),
            (json!("1795307405120000000"), MS),
            (json!("2026-11-22T07:30:05+07:00"), SECOND_MS),
            (json!("2026-11-22T07:30:05.120+07:00"), MS),
            (json!("2026-11-22T07:30:05,120+07:00"), MS),
            (json!("2026-11-22T00:30:05Z"), SECOND_MS),
            (json!("2026-11-22T00:30:05.120Z"), MS),
            (json!("2026-11-22t00:30:05z"), SECOND_MS),
            (json!("2026-11-22T00:30:05+0000"), SECOND_MS),
            (json!("2026-11-22T07:30:05+07"), SECOND_MS),
            (json!("2026-11-22 07:30:05+07:00"), SECOND_MS),
            (json!("2026-11-22 07:30:05 +0700"), SECOND_MS),
            (json!("2026-11-22 00:30:05 UTC"), SECOND_MS),
            (json!("2026-11-21T19:30:05-05:00"), SECOND_MS),
            (json!("20261122T073005+0700"), SECOND_MS),
            (json!("20261122T003005Z"), SECOND_MS),
            (json!("2026-11-22T07:30:05"), SECOND_MS),
            (json!("2026-11-22T07:30:05.120000"), MS),
            (json!("2026-11-22 07:30:05"), SECOND_MS),
            (json!("2026-11-22 07:30:05.120"), MS),
            (json!("2026-11-22 07:30:05,120"), MS),
            (json!("2026-11-22 07:30"), MINUTE_MS),
            (json!("2026/11/22 07:30:05"), SECOND_MS),
            (json!("2026.11.22 07:30:05"), SECOND_MS),
            (json!("2026-11-22 7:30:05"), SECOND_MS),
            (json!("2026-11-22_07-30-05"), SECOND_MS),
            (json!("2026-11-22 07:30:05:120"), MS),
            (json!("22/11/2026 07:30:05"), SECOND_MS),
            (json!("22-11-2026 07:30:05"), SECOND_MS),
            (json!("22.11.2026 07:30:05"), SECOND_MS),
            (json!("22/11/2026 7:30"), MINUTE_MS),
            (json!("20261122073005"), SECOND_MS),
            (json!("20261122073005120"), MS),
            (json!("202611220730"), MINUTE_MS),
            (json!(20_261_122_073_005_i64), SECOND_MS),
            (json!(20_261_122_073_005.0), SECOND_MS),
            (json!(20_261_122_073_005_120_i64), MS),
            (json!("2026-11-22T14:30:05+14:00"), SECOND_MS),
            (json!("20261122 073005120"), MS),
            (json!("20261122_073005"), SECOND_MS),
            (json!("20261122T073005"), SECOND_MS),
            (json!("Sun, 22 Nov 2026 07:30:05 +0700"), SECOND_MS),
            (json!("Sun, 22 Nov 2026 00:30:05 GMT"), SECOND_MS),
            (json!("07:30:05 22/11/2026"), SECOND_MS),
            (json!("07:30 22-11-2026"), MINUTE_MS),
            (json!("22/11/2026 07:30:05 AM"), SECOND_MS),
            (json!("22/11/2026 7:30:05 SA"), SECOND_MS),
            (json!("2026-11-22 07:30:05 am"), SECOND_MS),
            (json!("Sun Nov 22 07:30:05 2026"), SECOND_MS),
            (json!("22-Nov-2026 07:30:05"), SECOND_MS),
            (json!("/Date(1795307405120)/"), MS),
            (json!("/Date(1795307405120+0700)/"), MS),
            (json!({"$date": 1_795_307_405_120_i64}), MS),
            (json!({"$date": {"$numberLong": "1795307405120"}}), MS),
            (json!({"$date": "2026-11-22T00:30:05Z"}), SECOND_MS),
            (json!({"_seconds": 1_795_307_405}), SECOND_MS),
            (json!({"seconds": 1_795_307_405, "nanos": 120_000_000}), MS),
            (json!({"sec": 1_795_307_405, "usec": 120_000}), MS),
            (json!("22/11/2026, 07:30:05"), SECOND_MS),
            (json!("07:30:05 ngày 22/11/2026"), SECOND_MS),
            (json!("20261122073005.120"), MS),
            (json!("20261122073005120000"), MS),
            (json!("2026-11-22 07:30:05 ICT"), SECOND_MS),
            (json!("2026-11-22 07:30:05 GMT+7"), SECOND_MS),
            (json!("2026-11-22 07:30:05 UTC+07:00"), SECOND_MS),
            (json!("2026-11-22T07:30:05+7"), SECOND_MS),
            (json!("20261122073005+0700"), SECOND_MS),
            (json!("22/11/2026 00:30:05 UTC"), SECOND_MS),
            (json!("Sun Nov 22 2026 07:30:05 GMT+0700 (Indochina Time)"), SECOND_MS),
            (json!("Sun Nov 22 07:30:05 +07 2026"), SECOND_MS),
        ] {
            assert_eq!(told(&value), Ok(Some(ms)), "{value}");
        }
    }

    #[test]
    fn a_clock_of_twelve_hours_is_read_with_its_half() {
        for (text, hour) in [("12:30 AM", 0), ("1:30 SA", 1), ("12:30 PM", 12), ("7:30 CH", 19), ("11:30 pm", 23)] {
            let shown = SiteZone::default().local_text(told(&json!(format!("22/11/2026 {text}"))).unwrap().unwrap());
            assert_eq!(shown, format!("2026-11-22 {hour:02}:30:00"), "{text}");
        }
        for text in ["13:30 PM", "0:30 AM", "07:30 XM"] {
            assert_eq!(told(&json!(format!("22/11/2026 {text}"))), Err(NoMoment), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_said_to_be_none() {
        for value in [
            json!({"$date": {}}),
            json!({"seconds": 1_795_307_405, "nanos": 0, "zone": "+07:00"}),
            json!({"seconds": 1_795_307_405, "usec": 2_000_000}),
            json!("22/11/2026 07:30 -05"),
            json!("2026-11-22 07:30:05 CST"),
            json!("2026-11-22 07:30:05 +15"),
            json!("/Date(x)/"),
            json!("1.79605e+09"),
            json!("now"),
            json!("yesterday 07:30"),
            json!("2026-13-22 07:30:05"),
            json!("2026-11-22 25:30:05"),
            json!("2026-11-22"),
            json!("2026-11-22T07:30:05+25:00"),
            json!("2026-11-22T07:30:05-15:00"),
            json!("Sun, 22 Nov 2026 07:30:05 +2500"),
            // As digits of a date they are none, and as ms of a time that nobody lives to see.
            json!(22_112_026_073_005_i64),
            json!("07:30:05"),
            json!("11/22/2026 07:30:05"),
            json!("20261322073005x"),
            json!(-1),
            json!(0),
            json!(1e300),
            json!(true),
            json!({}),
            json!([1_795_307_405]),
        ] {
            assert_eq!(told(&value), Err(NoMoment), "{value}");
        }
        for nothing in [json!(null), json!(""), json!(" ")] {
            assert_eq!(told(&nothing), Ok(None), "{nothing}");
        }
    }

    proptest! {
        /// From 2001, when ms have 13 digits, to 2099.
        #[test]
        fn any_spelling_of_a_moment_is_that_moment(ms in 1_000_000_000_000_i64..4_102_419_600_000) {
            let zone = SiteZone::default();
            let second = ms / 1_000 * 1_000;
            let shown = zone.local_text(ms);
            for spelled in [
                json!(ms), json!(ms.to_string()), json!(ms * 1_000), json!(format!("{ms}000000")),
                json!(format!("{}.{:03}", ms / 1_000, ms % 1_000)),
                json!(format!("{shown}.{:03}", ms % 1_000)),
                json!(format!("{}.{:03}+07:00", shown.replace(' ', "T"), ms % 1_000)),
            ] {
                prop_assert_eq!(told(&spelled), Ok(Some(ms)), "{}", spelled);
            }
            let day = format!("{}/{}/{}", &shown[8..10], &shown[5..7], &shown[..4]);
            for spelled in [
                json!(second / 1_000), json!((second / 1_000).to_string()), json!(shown), json!(shown.replace(' ', "T")),
                json!(shown.replace('-', "/")), json!(shown.replace(['-', ' ', ':'], "")), json!(format!("{day} {}", &shown[11..])),
                json!(format!("{}+07:00", shown.replace(' ', "T"))),
            ] {
                prop_assert_eq!(told(&spelled), Ok(Some(second)), "{}", spelled);
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            if let Ok(Some(ms)) = told(&json!(text)) {
                prop_assert!((1..=LATEST_MS).contains(&ms));
            }
        }
    }
}
