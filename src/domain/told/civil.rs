//! A date and the clock on it, as people and programs write them, whatever words stand around: `07:30:05 ngày 22/11/2026`,
//! `Thứ Hai, 22/11/2026 7:30 CH`, `2026年11月22日 07:30:05`, `20261122_073005`.
//!
//! To teach a word, add it folded to its line.

use jiff::civil::DateTime;

use super::word::folded;

/// Morning and afternoon, beside a clock of twelve hours.
const AM: [&str; 3] = ["am", "sa", "sang"];
const PM: [&str; 3] = ["pm", "ch", "chieu"];
/// Between hours, minutes and seconds.
const CLOCK_WORDS: [&str; 12] = ["h", "g", "gio", "m", "ph", "phut", "s", "giay", "时", "時", "分", "秒"];
/// Between day, month and year.
const DATE_WORDS: [&str; 5] = ["thang", "nam", "年", "月", "日"];
/// Words that say nothing more.
const FILLERS: [&str; 26] = [
    "t",
    "ngay",
    "luc",
    "vao",
    "thu",
    "hai",
    "ba",
    "tu",
    "sau",
    "bay",
    "chu",
    "nhat",
    "cn",
    "mon",
    "tue",
    "wed",
    "fri",
    "sat",
    "sun",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// How some languages print it, with the month as a word.
const PRINTED: [&str; 7] = [
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %Y %H:%M:%S",
    "%d-%b-%Y %H:%M:%S",
    "%d %b %Y %H:%M:%S",
    "%b %d %Y %H:%M:%S",
    "%b %d, %Y %H:%M:%S",
    "%B %d, %Y %I:%M:%S %p",
];
/// A date has three numbers, a clock four.
const MOST_NUMBERS: usize = 7;

/// Digits, and what stands between them and those before.
#[derive(Clone, Copy)]
struct Digits<'t> {
    gap: &'t str,
    digits: &'t str,
}

/// Reads a local time. The day goes before the month where the year does not go first, as in Vietnam.
pub(super) fn read(text: &str) -> Option<DateTime> {
    of_numbers(text).or_else(|| PRINTED.iter().find_map(|format| DateTime::strptime(format, text).ok()))
}

fn of_numbers(text: &str) -> Option<DateTime> {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut numbers: Vec<Digits<'_>> = Vec::new();
    let mut rest = text;
    while let Some(from) = rest.find(is_digit) {
        let (gap, digits) = rest.split_at(from);
        let (digits, after) = digits.split_at(digits.find(|c: char| !is_digit(c)).unwrap_or(digits.len()));
        // `20261122073005`: date and clock in one.
        if digits.len() >= 12 {
            let (date, clock) = digits.split_at(8);
            numbers.extend([Digits { gap, digits: date }, Digits { gap: "", digits: clock }]);
        } else {
            numbers.push(Digits { gap, digits });
        }
        rest = after;
        if numbers.len() > MOST_NUMBERS {
            return None;
        }
    }
    let half = half_of_day(numbers.iter().map(|number| number.gap).chain([rest]))?;
    let length = |at: usize| numbers.get(at).map_or(0, |number| number.digits.len());
    let last = numbers.len().checked_sub(1)?;
    // The date first or last, its year in four digits or all of it in eight.
    let (date, clock) = if length(0) == 8 {
        numbers.split_at_checked(1)?
    } else if length(0) == 4 || length(2) == 4 {
        numbers.split_at_checked(3)?
    } else {
        let numbers_of_date = if length(last) == 8 { 1 } else { 3 };
        let (clock, date) = numbers.split_at_checked(numbers.len().checked_sub(numbers_of_date)?)?;
        (date, clock)
    };
    let (year, month, day) = date_of(date)?;
    let (hour, minute, second, nanos) = clock_of(clock)?;
    let hour = match half {
        None => hour,
        Some(half) => (1..=12).contains(&hour).then_some(hour % 12 + half)?,
    };
    DateTime::new(year, month, day, hour, minute, second, nanos).ok()
}

/// What is to be added to the hour of a clock of twelve hours; `Some(None)`: it is one of 24. `None`: there are words, or signs, that say
/// something else.
fn half_of_day<'t>(gaps: impl Iterator<Item = &'t str>) -> Option<Option<i8>> {
    let mut half = None;
    for gap in gaps {
        if gap.contains(['+', '=', '?', '*']) {
            return None;
        }
        for word in gap.split(|c: char| !c.is_alphabetic() && c != '.').map(folded).filter(|word| !word.is_empty()) {
            let word = word.as_str();
            match (AM.contains(&word), PM.contains(&word)) {
                (true, _) if half.is_none() => half = Some(0),
                (_, true) if half.is_none() => half = Some(12),
                _ if [FILLERS.as_slice(), &CLOCK_WORDS, &DATE_WORDS].iter().any(|words| words.contains(&word)) => {}
                _ => return None,
            }
        }
    }
    Some(half)
}

fn date_of(numbers: &[Digits<'_>]) -> Option<(i16, i8, i8)> {
    if let [Digits { digits, .. }] = numbers {
        return Some((
            digits.get(..4)?.parse().ok()?,
            digits.get(4..6)?.parse().ok()?,
            digits.get(6..8)?.parse().ok()?,
        ));
    }
    let &[first, month, last] = numbers else { return None };
    let is_between = |gap: &str| matches!(gap, "-" | "/" | "." | "_") || DATE_WORDS.contains(&folded(gap).as_str());
    let (year, day) = if first.digits.len() == 4 { (first, last) } else { (last, first) };
    let is_date = year.digits.len() == 4
        && is_between(month.gap)
        && is_between(last.gap)
        && day.digits.len() <= 2
        && month.digits.len() <= 2;
    is_date.then_some((year.digits.parse().ok()?, month.digits.parse().ok()?, day.digits.parse().ok()?))
}

/// Hour, minute, second and nanosecond.
fn clock_of(numbers: &[Digits<'_>]) -> Option<(i8, i8, i8, i32)> {
    let small = |digits: &str| if digits.len() <= 2 { digits.parse::<i8>().ok() } else { None };
    let (clock, fraction) = match numbers {
        // `0730`, `073005`, `073005120`
        [all, fraction @ ..] if all.digits.len() >= 4 && fraction.len() <= 1 => {
            let part = |from: usize| all.digits.get(from..from + 2).map_or(Some(0), small);
            let fraction = match (all.digits.len(), fraction) {
                (4 | 6, []) => "",
                (7..=15, []) => all.digits.get(6..)?,
                (6, [fraction]) if is_before_fraction(fraction.gap) => fraction.digits,
                _ => return None,
            };
            ((part(0)?, part(2)?, part(4)?), fraction)
        }
        [hour, minute] if is_between_clock(minute.gap) => ((small(hour.digits)?, small(minute.digits)?, 0), ""),
        [hour, minute, second, fraction @ ..] if is_between_clock(minute.gap) && is_between_clock(second.gap) => {
            // `07:30-05` may be a zone.
            let is_sign = |gap: &str| !gap.contains(char::is_alphabetic);
            if is_sign(minute.gap) && is_sign(second.gap) && minute.gap != second.gap {
                return None;
            }
            let fraction = match fraction {
                [] => "",
                [fraction] if is_before_fraction(fraction.gap) => fraction.digits,
                _ => return None,
            };
            ((small(hour.digits)?, small(minute.digits)?, small(second.digits)?), fraction)
        }
        _ => return None,
    };
    // More digits than there are nanoseconds are no reason to know less.
    let nanos = format!("{:0<9}", fraction.get(..9).unwrap_or(fraction)).parse().ok()?;
    let (hour, minute, second) = clock;
    Some((hour, minute, second, nanos))
}

fn is_between_clock(gap: &str) -> bool {
    matches!(gap, ":" | "-" | "." | "_") || CLOCK_WORDS.contains(&folded(gap).as_str())
}

/// `07:30:05:120` as some cameras write ms.
fn is_before_fraction(gap: &str) -> bool {
    matches!(gap, "." | "," | ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_and_clock_are_found_whatever_stands_around_them() {
        for text in [
            "2026-11-22 07:30:05",
            "2026-11-22, 07:30:05",
            "2026-11-22\t07:30:05",
            "2026-11-22\u{a0}07:30:05",
            "2026-11-22 07.30.05",
            "2026-11-22-07-30-05",
            "2026_11_22_07_30_05",
            "2026.11.22-07:30:05",
            "20261122-073005",
            "22/11/2026, 07:30:05",
            "22/11/2026 - 07:30:05",
            "07:30:05 - 22/11/2026",
            "07:30:05 ngày 22/11/2026",
            "lúc 7 giờ 30 phút 05 giây ngày 22 tháng 11 năm 2026",
            "7h30m05s 22/11/2026",
            "Chủ nhật, 22/11/2026 07:30:05",
            "07:30:05 Chủ Nhật, 22/11/2026",
            "Sunday 22/11/2026 07:30:05",
            "2026年11月22日 07:30:05",
            "2026年11月22日07时30分05秒",
            "7:30:05 SA 22/11/2026",
            "22/11/2026 7:30:05AM",
            "22/11/2026 7:30:05 a.m.",
            "22/11/2026 AM 7:30:05",
            "22/11/2026 7:30:05 sáng",
            "Sun Nov 22 2026 07:30:05",
            "Nov 22, 2026 07:30:05",
            "November 22, 2026 07:30:05 AM",
            "22 Nov 2026 07:30:05",
        ] {
            assert_eq!(read(text).map(|local| local.to_string()).as_deref(), Some("2026-11-22T07:30:05"), "{text}");
        }
        for (text, local) in [
            ("20261122073005.12", "2026-11-22T07:30:05.12"),
            ("20261122073005123456", "2026-11-22T07:30:05.123456"),
            ("2026-11-22 07:30:05.12345678901", "2026-11-22T07:30:05.123456789"),
            ("7h30 22/11/2026", "2026-11-22T07:30:00"),
            ("22/11/2026 7:30:05 CH", "2026-11-22T19:30:05"),
        ] {
            assert_eq!(read(text).map(|local| local.to_string()).as_deref(), Some(local), "{text}");
        }
    }

    #[test]
    fn what_may_mean_something_else_is_not_read() {
        for text in [
            "",
            "2026-11-22",
            "07:30:05",
            "2026-11-22 7",
            "22/11/26 07:30:05",
            "11/22/2026 07:30:05",
            "22/11/2026 07:30:05 25/11/2026",
            "22/11/2026 07:30 -05",
            "22/11/2026 07:30-05",
            "22/11/2026 07:30:05-05",
            "22/11/2026 07:30:05+07",
            "22/11/2026 07:30:05 Z",
            // As .NET writes morning and afternoon.
            "22/11/2026 7:30:05 P",
            "22/11/2026 07:30:05 tối",
            "22/11/2026 19:30:05 CH",
            "22/11/2026 7:30:05 SA CH",
            "2026-11-22 07:30:05 123",
            "2026-11-22 24:00:00",
            "about 07:30:05 22/11/2026",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
