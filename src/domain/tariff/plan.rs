//! Prices that are not by the hour, as cities and sites set them: per visit by day and night, a first block then steps, per
//! calendar night, per month.
//!
//! What grows with time, whatever the amounts that pass the check: steps, nights, months, and visits with the rules `both` and
//! `larger`. What does not: visits with the rule `longer`, where an hour more can make the night the longer part, and the night may
//! be the cheaper one. No plan charges a stay that is not longer than its grace at the start.
//!
//! A stay is counted in whole seconds, as by the hour; the grace at the end is taken off before anything is counted.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::MS_PER_SECOND;
use crate::domain::money::Vnd;
use crate::domain::payment::{FeeLine, Part};
use crate::domain::time::{ClockTime, SiteZone};

/// Longest grace, in minutes: a day.
pub const MAX_GRACE_MINUTES: u32 = 24 * 60;
/// Most steps of a plan, and the longest of one, in minutes: a month of 31 days.
pub const MAX_STEPS: usize = 8;
pub const MAX_STEP_MINUTES: u32 = 31 * 24 * 60;

const S_PER_MINUTE: i64 = 60;
const S_PER_DAY: i64 = 86_400;

/// A price that is not by the hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// A stay that is not longer is free.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(minimum = 0, maximum = 1_440)]
    pub grace_start_minutes: u32,
    /// So much of the end of a stay begins nothing new.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(minimum = 0, maximum = 1_440)]
    pub grace_end_minutes: u32,
    #[serde(flatten)]
    pub kind: PlanKind,
}

/// How it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlanKind {
    PerVisit(PerVisit),
    Steps(TariffSteps),
    Nights(Nights),
    Monthly(Monthly),
}

/// Per visit, by day and night. A visit is counted in spans of 24 hours from the entry on; each whole one costs a day and a night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PerVisit {
    /// The day begins, on the site's clock.
    #[schema(value_type = String, pattern = "^[0-9]{1,2}:[0-9]{2}$")]
    pub day_from: ClockTime,
    /// The night begins; it lasts until the next day begins.
    #[schema(value_type = String, pattern = "^[0-9]{1,2}:[0-9]{2}$")]
    pub night_from: ClockTime,
    #[schema(value_type = i64, minimum = 0)]
    pub day: Vnd,
    #[schema(value_type = i64, minimum = 0)]
    pub night: Vnd,
    /// Of both; absent: the sum of the two. Never less than either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 0)]
    pub day_and_night: Option<Vnd>,
    #[serde(default)]
    pub mixed: Mixed,
    /// From so many hours in both on, a stay costs both whatever `mixed` says.
    #[serde(default = "whole_day", skip_serializing_if = "is_whole_day")]
    #[schema(minimum = 1, maximum = 24)]
    pub mixed_below_hours: u32,
}

/// What a stay costs that is partly by day and partly by night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mixed {
    /// The day and the night.
    #[default]
    Both,
    /// The dearer of the two.
    Larger,
    /// That in which more of the stay lies; of equal parts the night.
    Longer,
}

/// A first block, then steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Steps)]
pub struct TariffSteps {
    #[schema(minimum = 1)]
    pub first_minutes: u32,
    #[schema(value_type = i64, minimum = 0)]
    pub first_price: Vnd,
    /// In order; each begins where the one before it ends.
    #[serde(default)]
    #[schema(max_items = 8)]
    pub steps: Vec<Step>,
}

/// Each started piece of so many minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    #[schema(minimum = 1)]
    pub minutes: u32,
    #[schema(value_type = i64, minimum = 0)]
    pub price: Vnd,
    /// Up to this minute of the stay; absent, in the last one: for as long as it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub until_minutes: Option<u32>,
}

/// Per calendar night: a midnight of the site during the stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Nights {
    #[schema(value_type = i64, minimum = 0)]
    pub per_night: Vnd,
    /// Of a stay without a night; not more than one night.
    #[schema(value_type = i64, minimum = 0)]
    pub same_day: Vnd,
}

/// Per started month, from the day of the entry to the same day of the next month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Monthly {
    #[schema(value_type = i64, minimum = 0)]
    pub per_month: Vnd,
}

impl Plan {
    /// What a stay costs, in lines; none: nothing.
    pub fn lines(&self, entry_ms: i64, exit_ms: i64, zone: &SiteZone) -> Vec<FeeLine> {
        let stay_s = exit_ms.saturating_sub(entry_ms).max(0) / MS_PER_SECOND;
        if stay_s <= i64::from(self.grace_start_minutes) * S_PER_MINUTE {
            return Vec::new();
        }
        // What is charged at all is charged for a second at least.
        let counted_s = (stay_s - i64::from(self.grace_end_minutes) * S_PER_MINUTE).max(1);
        let until_ms = entry_ms.saturating_add(counted_s.saturating_mul(MS_PER_SECOND));
        let lines = match &self.kind {
            PlanKind::PerVisit(visit) => visit.lines(zone.second_of_day(entry_ms), counted_s),
            PlanKind::Steps(steps) => steps.lines(counted_s),
            PlanKind::Nights(nights) => match zone.midnights_crossed(entry_ms, until_ms) {
                0 => vec![FeeLine::of(Part::SameDay, 1, nights.same_day)],
                crossed => vec![FeeLine::of(Part::Night, crossed, nights.per_night)],
            },
            PlanKind::Monthly(monthly) => {
                vec![FeeLine::of(Part::Month, zone.started_months(entry_ms, until_ms), monthly.per_month)]
            }
        };
        lines.into_iter().filter(|line| line.amount != Vnd(0)).collect()
    }

    /// What is nonsense in it: field, code, in Vietnamese, in English.
    pub fn problems(&self) -> Vec<(String, &'static str, String, String)> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, vi: &str, en: &str| {
            problems.push((field.to_owned(), "out_of_range", vi.to_owned(), en.to_owned()));
        };
        for (name, minutes) in
            [("grace_start_minutes", self.grace_start_minutes), ("grace_end_minutes", self.grace_end_minutes)]
        {
            if minutes > MAX_GRACE_MINUTES {
                wrong(name, "phải từ 0 đến 1440 phút", "must be between 0 and 1440 minutes");
            }
        }
        let mut price = |name: &str, price: Vnd| {
            if !(Vnd(0)..=super::MAX_PRICE).contains(&price) {
                let (vi, en) = Vnd::out_of_range(Vnd(0), super::MAX_PRICE);
                wrong(name, &vi, &en);
            }
        };
        match &self.kind {
            PlanKind::PerVisit(visit) => {
                price("day", visit.day);
                price("night", visit.night);
                if let Some(both) = visit.day_and_night {
                    price("day_and_night", both);
                    if both < visit.day.max(visit.night) {
                        wrong(
                            "day_and_night",
                            "không được ít hơn giá ngày hoặc giá đêm",
                            "must not be less than the day or the night alone",
                        );
                    }
                }
                if visit.day_from >= visit.night_from {
                    wrong("night_from", "phải sau giờ bắt đầu ban ngày", "must be later than day_from");
                }
                if !(1..=24).contains(&visit.mixed_below_hours) {
                    wrong("mixed_below_hours", "phải từ 1 đến 24 giờ", "must be between 1 and 24 hours");
                }
            }
            PlanKind::Steps(steps) => {
                price("first_price", steps.first_price);
                for (index, step) in steps.steps.iter().enumerate() {
                    price(&format!("steps[{index}].price"), step.price);
                }
                steps.check_minutes(&mut wrong);
            }
            PlanKind::Nights(nights) => {
                price("per_night", nights.per_night);
                price("same_day", nights.same_day);
                if nights.same_day > nights.per_night {
                    wrong("same_day", "không được nhiều hơn giá một đêm", "must not be more than one night");
                }
            }
            PlanKind::Monthly(monthly) => price("per_month", monthly.per_month),
        }
        problems
    }
}

impl PerVisit {
    /// Of a stay of `stay_s` that begins at `from_s` of a day.
    fn lines(&self, from_s: i64, stay_s: i64) -> Vec<FeeLine> {
        let (whole, rest_s) = (stay_s / S_PER_DAY, stay_s % S_PER_DAY);
        let day_s = self.day_seconds_until(from_s + rest_s) - self.day_seconds_until(from_s);
        let night_s = rest_s - day_s;
        let is_short = rest_s < i64::from(self.mixed_below_hours) * 3_600;
        let rest = match (day_s > 0, night_s > 0) {
            (false, false) => None,
            (true, false) => Some(Part::Day),
            (false, true) => Some(Part::Night),
            (true, true) => Some(match self.mixed {
                Mixed::Larger if is_short && self.day > self.night => Part::Day,
                Mixed::Larger if is_short => Part::Night,
                Mixed::Longer if is_short && day_s > night_s => Part::Day,
                Mixed::Longer if is_short => Part::Night,
                _ => Part::DayAndNight,
            }),
        };
        let both = whole + i64::from(rest == Some(Part::DayAndNight));
        let mut lines = match self.day_and_night {
            Some(price) => vec![FeeLine::of(Part::DayAndNight, both, price)],
            None => vec![FeeLine::of(Part::Day, both, self.day), FeeLine::of(Part::Night, both, self.night)],
        };
        match rest {
            Some(Part::Day) => lines.push(FeeLine::of(Part::Day, 1, self.day)),
            Some(Part::Night) => lines.push(FeeLine::of(Part::Night, 1, self.night)),
            _ => {}
        }
        lines
    }

    /// Seconds of day, not night, up to a second counted from a midnight on.
    fn day_seconds_until(&self, second: i64) -> i64 {
        let (begins, ends) = (self.day_from.seconds(), self.night_from.seconds());
        let a_day = (ends - begins).max(0);
        second / S_PER_DAY * a_day + (second % S_PER_DAY - begins).clamp(0, a_day)
    }
}

impl TariffSteps {
    fn lines(&self, stay_s: i64) -> Vec<FeeLine> {
        let mut lines = vec![FeeLine::of(Part::FirstBlock, 1, self.first_price)];
        let mut from_s = i64::from(self.first_minutes) * S_PER_MINUTE;
        for step in &self.steps {
            let ends_s = step.until_minutes.map_or(i64::MAX, |until| i64::from(until) * S_PER_MINUTE);
            let in_step_s = stay_s.min(ends_s) - from_s;
            if in_step_s <= 0 {
                break;
            }
            let piece_s = i64::from(step.minutes.max(1)) * S_PER_MINUTE;
            lines.push(FeeLine::of(Part::Step, (in_step_s - 1) / piece_s + 1, step.price));
            from_s = ends_s;
        }
        lines
    }

    fn check_minutes(&self, wrong: &mut impl FnMut(&str, &str, &str)) {
        let is_length = |minutes: u32| (1..=MAX_STEP_MINUTES).contains(&minutes);
        let (vi, en) = ("phải từ 1 phút đến 31 ngày", "must be between 1 minute and 31 days");
        if !is_length(self.first_minutes) {
            wrong("first_minutes", vi, en);
        }
        if self.steps.len() > MAX_STEPS {
            wrong("steps", "tối đa 8 nấc", "has more than 8 steps");
        }
        let mut from = self.first_minutes;
        for (index, step) in self.steps.iter().enumerate() {
            if !is_length(step.minutes) {
                wrong(&format!("steps[{index}].minutes"), vi, en);
            }
            let field = format!("steps[{index}].until_minutes");
            match step.until_minutes {
                Some(until) if until <= from || until > MAX_STEP_MINUTES => {
                    wrong(
                        &field,
                        "phải sau nấc trước, tối đa 31 ngày",
                        "must be after the step before it, at most 31 days",
                    );
                }
                Some(until) => from = until,
                None if index + 1 < self.steps.len() => {
                    wrong(&field, "chỉ nấc cuối mới không có điểm kết thúc", "only the last step may have no end");
                }
                None => {}
            }
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(minutes: &u32) -> bool {
    *minutes == 0
}

fn whole_day() -> u32 {
    24
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_whole_day(hours: &u32) -> bool {
    *hours == whole_day()
}
