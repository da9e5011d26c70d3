//! Sentences in Vietnamese and English, and the parts they are made of.

use serde::Serialize;
use utoipa::ToSchema;

use super::super::payment::Method;
use super::super::time::SiteZone;

const MS_PER_SECOND: u64 = 1_000;
const MS_PER_MINUTE: u64 = 60_000;

/// One sentence for people, in both languages of the pages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Text {
    pub vi: String,
    pub en: String,
}

impl Text {
    pub(super) fn new(vi: impl Into<String>, en: impl Into<String>) -> Self {
        Self { vi: vi.into(), en: en.into() }
    }

    /// With more after it, if there is more.
    #[must_use]
    pub(super) fn and(mut self, more: Option<Self>) -> Self {
        if let Some(more) = more {
            self.vi.push_str(&more.vi);
            self.en.push_str(&more.en);
        }
        self
    }
}

/// A gate: its edge at its central; the central alone if no edge is known.
pub(super) fn gate(central: &str, edge_id: &str) -> Text {
    if edge_id.is_empty() {
        return Text::new(central, central);
    }
    Text::new(format!("cổng {edge_id} ({central})"), format!("gate {edge_id} ({central})"))
}

/// A type of vehicle as people call it; one of the site's own as it is.
pub fn vehicle(name: &str) -> Text {
    match name {
        "car" => Text::new("Ô tô", "car"),
        "moto" => Text::new("Xe máy", "motorbike"),
        "bicycle" => Text::new("Xe đạp", "bicycle"),
        "electric" => Text::new("Xe điện", "electric bike"),
        "truck" => Text::new("Xe tải", "truck"),
        "van" => Text::new("Xe van", "van"),
        "bus" => Text::new("Xe khách", "bus"),
        other => Text::new(other, other),
    }
}

/// A way to pay as people call it.
pub(super) fn method(method: Method) -> Text {
    match method {
        Method::Cash => Text::new("Tiền mặt", "cash"),
        Method::Qr => Text::new("QR", "QR code"),
        Method::Card => Text::new("Thẻ ngân hàng", "bank card"),
        Method::Transfer => Text::new("Chuyển khoản", "bank transfer"),
        Method::Account => Text::new("Ghi nợ", "on account"),
        Method::Free => Text::new("Không thu", "free"),
        Method::Other => Text::new("Cách khác", "another way"),
    }
}

/// Whole đồng, in groups of three: `75.000 đ`, `75,000 đ`.
pub(super) fn money(vnd: i64) -> Text {
    let digits = vnd.unsigned_abs().to_string();
    let grouped = |separator: char| {
        let mut text = String::from(if vnd < 0 { "-" } else { "" });
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(separator);
            }
            text.push(digit);
        }
        text
    };
    Text::new(grouped('.') + " đ", grouped(',') + " đ")
}

/// How long, cut off: `41 giây` below two minutes, else `3 giờ 5 phút`.
pub(super) fn span(ms: u64) -> Text {
    let seconds = ms / MS_PER_SECOND;
    if seconds < 120 {
        return Text::new(format!("{seconds} giây"), format!("{seconds} s"));
    }
    let minutes = ms / MS_PER_MINUTE;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => Text::new(format!("{minutes} phút"), format!("{minutes} min")),
        (hours, minutes) => Text::new(format!("{hours} giờ {minutes} phút"), format!("{hours} h {minutes} min")),
    }
}

/// The clock of the site, on one day: other days are named.
#[derive(Debug, Clone)]
pub(super) struct SiteFace<'z> {
    zone: &'z SiteZone,
    day: String,
}

impl<'z> SiteFace<'z> {
    pub(super) fn of_day(zone: &'z SiteZone, ms: i64) -> Self {
        Self { zone, day: zone.day(ms) }
    }

    /// `07:30:05`, of another day `21/11/2026 07:30:05`.
    pub(super) fn time(&self, ms: i64) -> String {
        let text = self.zone.local_text(ms);
        let (Some(date), Some(time)) = (text.get(..10), text.get(11..)) else { return text };
        if date == self.day {
            return time.to_owned();
        }
        let part = |from: usize, to: usize| date.get(from..to).unwrap_or_default();
        format!("{}/{}/{} {time}", part(8, 10), part(5, 7), part(0, 4))
    }
}

impl SiteFace<'_> {
    /// Two times that are compared: with milliseconds where they would look the same.
    pub(super) fn times(&self, a_ms: i64, b_ms: i64) -> (String, String) {
        let (a, b) = (self.time(a_ms), self.time(b_ms));
        if a != b || a_ms == b_ms {
            return (a, b);
        }
        (format!("{a}.{:03}", a_ms.rem_euclid(1_000)), format!("{b}.{:03}", b_ms.rem_euclid(1_000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_grouped_as_each_language_does() {
        for (vnd, vi, en) in [
            (0, "0 đ", "0 đ"),
            (999, "999 đ", "999 đ"),
            (75_000, "75.000 đ", "75,000 đ"),
            (-1_234_567, "-1.234.567 đ", "-1,234,567 đ"),
        ] {
            assert_eq!(money(vnd), Text::new(vi, en));
        }
    }

    #[test]
    fn spans_are_told_in_their_own_size() {
        for (ms, vi, en) in [
            (41_999, "41 giây", "41 s"),
            (119_999, "119 giây", "119 s"),
            (120_000, "2 phút", "2 min"),
            (10_800_000, "3 giờ 0 phút", "3 h 0 min"),
        ] {
            assert_eq!(span(ms), Text::new(vi, en));
        }
    }

    #[test]
    fn only_another_day_is_named() {
        let zone = SiteZone::default();
        let face = SiteFace::of_day(&zone, 1_733_140_800_000);
        assert_eq!(face.time(1_733_140_805_000), "19:00:05");
        assert_eq!(face.time(1_733_140_800_000 - 86_400_000), "01/12/2024 19:00:00");
    }
}
