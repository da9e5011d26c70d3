//! Times as text, remembered for a second: rows are written in bursts that share their seconds.

/// Turns Unix ms into text that changes once a second, and keeps the last answer.
pub(super) struct TextTime<F> {
    second: i64,
    text: String,
    format: F,
}

impl<F: Fn(i64) -> String> TextTime<F> {
    pub(super) fn new(format: F) -> Self {
        let text = format(0);
        Self { second: 0, text, format }
    }

    /// The text of the second `ms` lies in.
    pub(super) fn of(&mut self, ms: i64) -> &str {
        let second = ms.div_euclid(1000);
        if second != self.second {
            self.text = (self.format)(ms);
            self.second = second;
        }
        &self.text
    }
}

/// `YYYY-MM-DD HH:MM:SS` in UTC; empty where the calendar ends (years outside -9999..=9999).
pub(super) fn utc_text(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(
        |_| String::new(),
        |time| time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn one_second_is_formatted_once() {
        let calls = Cell::new(0);
        let mut time = TextTime::new(|ms| {
            calls.set(calls.get() + 1);
            utc_text(ms)
        });
        assert_eq!(time.of(1_733_140_800_000), "2024-12-02 12:00:00");
        assert_eq!(time.of(1_733_140_800_999), "2024-12-02 12:00:00");
        assert_eq!(time.of(1_733_140_801_000), "2024-12-02 12:00:01");
        assert_eq!(time.of(-1), "1969-12-31 23:59:59");
        drop(time);
        assert_eq!(calls.get(), 4);
    }

    #[test]
    fn a_time_outside_the_calendar_is_no_text() {
        assert_eq!(utc_text(i64::MAX), "");
        assert_eq!(utc_text(i64::MIN), "");
    }
}
