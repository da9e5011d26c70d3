//! What a stay costs.
//!
//! With `stay` the whole seconds between entry and exit, `free` the free time, `p` the price of an hour and `cap` the
//! daily maximum:
//!
//! - charged hours `h` = 0 if `stay <= free`, else `stay - free` in hours, rounded up;
//! - fee = `h * p` without a cap, else `floor(h/24) * min(24p, cap) + min((h mod 24) * p, cap)`;
//! - plus the overnight price per site midnight crossed during the stay, if `h > 0`.
//!
//! A rate may have a plan in the place of that rule (`tariff/plan.rs`), and some days a list of their own ([`DayList`]).
//!
//! Invariants: a fee is never negative, is the sum of its lines, and by the hour never sinks as the stay gets longer, whatever
//! the tariff; money is integer arithmetic throughout, saturating at the greatest amount. A tariff that passes [`Tariff::check`] is far from that.
//! `tariff/read.rs` reads what a request gives, naming every wrong field.

pub mod plan;
mod read;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::plan::Plan;
use super::money::Vnd;
use super::payment::{self, FeeLine, Part};
use super::problem::{FieldProblem, is_plain_text};
use super::time::SiteZone;
use super::told::vehicle;

/// A stay longer than this is not charged without a person's look: 7 days.
pub const LONG_STAY_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// Most free hours a tariff may give: 7 days, after which a person looks at every fee anyway.
pub const MAX_FREE_HOURS: f64 = 168.0;
/// Greatest single price or cap in a tariff. Far above any real one; catches a slipped key.
pub const MAX_PRICE: Vnd = Vnd::MAX_TOLD;
/// Most vehicle types with a rate of their own, and the longest name of one in characters.
pub const MAX_TYPES: usize = 64;
pub const MAX_TYPE_CHARS: usize = 32;

const SECONDS_PER_HOUR: i64 = 3_600;
const MS_PER_SECOND: i64 = 1_000;
/// What every field is named under in a problem: the key of the API that carries a tariff.
const ROOT: &str = "fees";

/// The price rule of one vehicle type, with the predecessor's field names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rate {
    /// Free time at the start of a stay, in hours.
    #[schema(minimum = 0, maximum = 168)]
    pub fee_base: f64,
    /// Price of each started hour after the free time.
    #[schema(value_type = i64, minimum = 0, maximum = 100_000_000)]
    pub fee_per_hour: Vnd,
    /// Added per site midnight crossed, if any hour is charged.
    #[serde(default)]
    #[schema(value_type = i64, minimum = 0, maximum = 100_000_000)]
    pub fee_overnight: Vnd,
    /// Cap per 24 charged hours; 0: none.
    #[serde(default)]
    #[schema(value_type = i64, minimum = 0, maximum = 100_000_000)]
    pub fee_daily_max: Vnd,
    /// In the place of the four above, which centrals of versions that know no plans charge by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

/// A tariff: the base rate, and rates of vehicle types that differ from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tariff {
    #[serde(flatten)]
    pub base: Rate,
    /// By vehicle type (`"moto"`), in any spelling. A type not named here pays the base rate.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Rate>,
    /// Lists for some days; of several that are for the day of an entry the first counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 8)]
    pub days: Vec<DayList>,
    /// Added at an exit where the card was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 100_000_000)]
    pub lost_card: Option<Vnd>,
}

impl Default for Tariff {
    /// The predecessor's: half an hour free, then 25,000 đ per started hour.
    fn default() -> Self {
        let base =
            Rate { fee_base: 0.5, fee_per_hour: Vnd(25_000), fee_overnight: Vnd(0), fee_daily_max: Vnd(0), plan: None };
        Self { base, types: BTreeMap::new(), days: Vec::new(), lost_card: None }
    }
}

/// Whether a person has to look before this stay is charged: it is longer than 7 days.
pub fn is_long_stay(entry_ms: i64, exit_ms: i64) -> bool {
    exit_ms.saturating_sub(entry_ms) > LONG_STAY_MS
}

/// Whether a stay is longer than any car was ever parked, a year: then a clock was wrong, whoever has looked.
pub fn is_absurd_stay(entry_ms: i64, exit_ms: i64) -> bool {
    exit_ms.saturating_sub(entry_ms) > 365 * 24 * 3_600 * 1_000
}

impl Tariff {
    /// The fee of a stay by the rule at the top of this file. 0 if the exit is not after the entry.
    pub fn fee(&self, camera_type: &str, entry_ms: i64, exit_ms: i64, zone: &SiteZone) -> Vnd {
        let (rate, _) = self.rate_for(camera_type, entry_ms, zone);
        if let Some(plan) = &rate.plan {
            return payment::total(&plan.lines(entry_ms, exit_ms, zone));
        }
        let hours = rate.charged_hours(entry_ms, exit_ms);
        if hours == 0 {
            return Vnd(0);
        }
        let overnight = amount(rate.fee_overnight) * i128::from(zone.midnights_crossed(entry_ms, exit_ms));
        Vnd(i64::try_from(rate.price_of(i128::from(hours)) + overnight).unwrap_or(i64::MAX))
    }

    /// What the fee consists of: lines that sum to it.
    pub fn lines(&self, camera_type: &str, entry_ms: i64, exit_ms: i64, zone: &SiteZone) -> Vec<FeeLine> {
        let (rate, list) = self.rate_for(camera_type, entry_ms, zone);
        let named = |line: FeeLine| line.because(list.map(|list| list.name.as_str()));
        if let Some(plan) = &rate.plan {
            return plan.lines(entry_ms, exit_ms, zone).into_iter().map(named).collect();
        }
        let fee = self.fee(camera_type, entry_ms, exit_ms, zone);
        let hours = rate.charged_hours(entry_ms, exit_ms);
        if fee == Vnd(0) || hours == 0 {
            return Vec::new();
        }
        let mut lines = Vec::with_capacity(3);
        let per_hour = FeeLine::of(Part::Hour, hours, rate.fee_per_hour);
        let taken_off = rate.price_of(i128::from(hours)) - i128::from(per_hour.amount.0);
        if rate.fee_per_hour > Vnd(0) {
            lines.push(per_hour);
        }
        if taken_off != 0 {
            lines.push(FeeLine::new(Part::DailyMax, Vnd(i64::try_from(taken_off).unwrap_or(i64::MIN))));
        }
        let nights = zone.midnights_crossed(entry_ms, exit_ms);
        if rate.fee_overnight > Vnd(0) && nights > 0 {
            lines.push(FeeLine::of(Part::Overnight, nights, rate.fee_overnight));
        }
        if payment::total(&lines) != fee {
            lines = vec![FeeLine::new(Part::Rest, fee)];
        }
        lines.into_iter().map(named).collect()
    }

    /// What is added where the card was lost.
    pub fn lost_card_line(&self) -> Option<FeeLine> {
        self.lost_card.map(|price| FeeLine::of(Part::LostCard, 1, price))
    }

    /// The rate of a vehicle type, in whatever spelling, for a stay that begins at `entry_ms`; and the list of that day it is of.
    fn rate_for(&self, camera_type: &str, entry_ms: i64, zone: &SiteZone) -> (&Rate, Option<&DayList>) {
        if !self.days.is_empty() {
            let day = zone.day(entry_ms);
            let weekday = Weekday::ALL.get(zone.weekday(entry_ms)).copied().unwrap_or(Weekday::Mon);
            let list = self.days.iter().find(|list| list.is_for(&day, weekday));
            let rate = list.and_then(|list| find(&list.types, camera_type).or(list.rate.as_ref()));
            if let Some(rate) = rate {
                return (rate, list);
            }
        }
        (find(&self.types, camera_type).unwrap_or(&self.base), None)
    }

    /// The name under which it has a rate for the type `told`.
    pub fn name_of(&self, told: &str) -> Option<&str> {
        name_in(&self.types, told).or_else(|| self.days.iter().find_map(|list| name_in(&list.types, told)))
    }

    /// It says something that versions without plans do not know, and would charge otherwise.
    pub fn is_more_than_hourly(&self) -> bool {
        let has_plan = self.base.plan.is_some() || self.types.values().any(|rate| rate.plan.is_some());
        has_plan || !self.days.is_empty() || self.lost_card.is_some()
    }

    /// What is nonsense in this tariff; empty: it can be used. Fields are named as in the API (`fees.fee_base`).
    pub fn check(&self) -> Vec<FieldProblem> {
        let mut problems = self.base.check(ROOT);
        if self.types.len() > MAX_TYPES {
            let message_vi = format!("tối đa {MAX_TYPES} loại xe");
            let message = format!("has more than {MAX_TYPES} vehicle types");
            problems.push(FieldProblem::new(format!("{ROOT}.types"), "too_many", message_vi, message));
        }
        for (name, rate) in &self.types {
            let field = type_field(name);
            if name.trim().is_empty() || !is_plain_text(name, MAX_TYPE_CHARS) {
                problems.push(FieldProblem::bad_text(&field, MAX_TYPE_CHARS));
            }
            problems.extend(rate.check(&field));
        }
        for (index, list) in self.days.iter().enumerate() {
            let field = format!("{ROOT}.days[{index}]");
            problems.extend(list.rate.iter().flat_map(|rate| rate.check(&format!("{field}.rate"))));
            for (name, rate) in &list.types {
                problems.extend(rate.check(&format!("{field}.types.{name}")));
            }
        }
        if let Some(price) = self.lost_card.filter(|price| !(Vnd(0)..=MAX_PRICE).contains(price)) {
            problems.push(bad_price(format!("{ROOT}.lost_card"), price));
        }
        problems
    }
}

/// The rate of a type among those that are named.
fn find<'t>(types: &'t BTreeMap<String, Rate>, camera_type: &str) -> Option<&'t Rate> {
    if types.is_empty() || camera_type.is_empty() {
        return None;
    }
    let named = |told: &str| types.get(told).or_else(|| types.get(name_in(types, told)?));
    named(camera_type).or_else(|| named(vehicle::pays_as(camera_type)?))
}

fn name_in<'t>(types: &'t BTreeMap<String, Rate>, told: &str) -> Option<&'t str> {
    types.keys().find(|name| vehicle::same(name, told)).map(String::as_str)
}

fn bad_price(field: String, price: Vnd) -> FieldProblem {
    let (vi, en) = Vnd::out_of_range(Vnd(0), MAX_PRICE);
    let message_vi = format!("{vi}, không phải {}", price.0);
    let message = format!("{en}, and not {}", price.0);
    FieldProblem::new(field, "out_of_range", message_vi, message)
}

fn type_field(name: &str) -> String {
    format!("{ROOT}.types.{name}")
}

/// A price as it counts: a negative one, which no checked tariff has, is 0.
fn amount(price: Vnd) -> i128 {
    i128::from(price.0.max(0))
}

impl Rate {
    /// The free time in whole seconds: the only place where a float is read.
    fn free_s(&self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a float to integer cast saturates, and NaN gives 0")]
        let free_s = (self.fee_base * SECONDS_PER_HOUR as f64).round() as i64;
        free_s.max(0)
    }

    /// Started hours after the free time.
    fn charged_hours(&self, entry_ms: i64, exit_ms: i64) -> i64 {
        let stay_s = exit_ms.saturating_sub(entry_ms).max(0) / MS_PER_SECOND;
        let charged_s = stay_s.saturating_sub(self.free_s());
        if charged_s <= 0 { 0 } else { (charged_s - 1) / SECONDS_PER_HOUR + 1 }
    }

    /// The price of `hours` charged hours, without nights.
    fn price_of(&self, hours: i128) -> i128 {
        let per_hour = amount(self.fee_per_hour);
        let cap = amount(self.fee_daily_max);
        if cap == 0 {
            return hours * per_hour;
        }
        (hours / 24) * cap.min(24 * per_hour) + cap.min((hours % 24) * per_hour)
    }

    fn check(&self, field: &str) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        if !(0.0..=MAX_FREE_HOURS).contains(&self.fee_base) {
            let message_vi = format!("phải từ 0 đến {MAX_FREE_HOURS} giờ");
            let message = format!("must be between 0 and {MAX_FREE_HOURS} hours");
            problems.push(FieldProblem::new(format!("{field}.fee_base"), "out_of_range", message_vi, message));
        }
        for (name, price) in [
            ("fee_per_hour", self.fee_per_hour),
            ("fee_overnight", self.fee_overnight),
            ("fee_daily_max", self.fee_daily_max),
        ] {
            if !(Vnd(0)..=MAX_PRICE).contains(&price) {
                let (message_vi, message) = Vnd::out_of_range(Vnd(0), MAX_PRICE);
                problems.push(FieldProblem::new(format!("{field}.{name}"), "out_of_range", message_vi, message));
            }
        }
        for (name, code, vi, en) in self.plan.iter().flat_map(Plan::problems) {
            problems.push(FieldProblem::new(format!("{field}.plan.{name}"), code, vi, en));
        }
        problems
    }
}

/// Most lists of a tariff, and most dates of one.
pub const MAX_LISTS: usize = 8;
pub const MAX_DATES: usize = 100;
/// Longest name of a list, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    pub fn from_name(name: &str) -> Option<Self> {
        let index = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().position(|known| *known == name)?;
        Self::ALL.get(index).copied()
    }
}

/// What a stay costs that begins on one of these days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DayList {
    /// For people: `Tết`, `Cuối tuần`.
    #[schema(max_length = 64)]
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<Weekday>,
    /// `2026-02-17`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub dates: Vec<String>,
    /// Of types that are not named below; absent: they pay as on other days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Rate>,
}

impl DayList {
    /// Whether it is for this day, `YYYY-MM-DD`, which is that of the week.
    pub fn is_for(&self, day: &str, weekday: Weekday) -> bool {
        self.weekdays.contains(&weekday) || self.dates.iter().any(|date| date == day)
    }
}

#[cfg(test)]
#[path = "tariff/tests/cases.rs"]
mod cases;
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2025-12-03 10:00:00 in Vietnam.
    const ENTRY_MS: i64 = 1_764_730_800_000;
    const MINUTE_S: i64 = 60;
    const HOUR_S: i64 = 3_600;

    fn fee_after(tariff: &Tariff, camera_type: &str, stay_s: i64) -> i64 {
        tariff.fee(camera_type, ENTRY_MS, ENTRY_MS + stay_s * 1_000, &SiteZone::default()).0
    }

    #[test]
    fn the_built_in_tariff_gives_the_known_values() {
        let tariff = Tariff::default();
        for (stay_s, fee) in [
            (-HOUR_S, 0),
            (0, 0),
            (30 * MINUTE_S, 0),
            (30 * MINUTE_S + 1, 25_000),
            (90 * MINUTE_S, 25_000),
            (90 * MINUTE_S + 1, 50_000),
            (91 * MINUTE_S, 50_000),
            (72 * HOUR_S, 1_800_000),
        ] {
            assert_eq!(fee_after(&tariff, "car", stay_s), fee, "{stay_s} s");
        }
    }

    #[test]
    fn parts_of_a_second_are_not_charged() {
        let free_ms = ENTRY_MS + 30 * MINUTE_S * 1_000;
        let tariff = Tariff::default();
        assert_eq!(tariff.fee("", ENTRY_MS, free_ms + 999, &SiteZone::default()), Vnd(0));
        assert_eq!(tariff.fee("", ENTRY_MS, free_ms + 1_000, &SiteZone::default()), Vnd(25_000));
    }

    #[test]
    fn the_daily_maximum_caps_each_24_charged_hours() {
        let mut tariff = Tariff::default();
        tariff.base.fee_base = 0.0;
        tariff.base.fee_daily_max = Vnd(200_000);
        for (hours, fee) in [
            (7, 175_000),
            (8, 200_000),
            (9, 200_000),
            (24, 200_000),
            (25, 225_000),
            (32, 400_000),
            (48, 400_000),
            (72, 600_000),
        ] {
            assert_eq!(fee_after(&tariff, "", hours * HOUR_S), fee, "{hours} h");
        }
        // A cap above the price of a whole day never acts.
        tariff.base.fee_daily_max = Vnd(1_000_000);
        assert_eq!(fee_after(&tariff, "", 72 * HOUR_S), 1_800_000);
    }

    #[test]
    fn nights_are_charged_per_midnight_if_any_hour_is() {
        let mut tariff = Tariff::default();
        tariff.base.fee_overnight = Vnd(30_000);
        assert_eq!(fee_after(&tariff, "", 14 * HOUR_S - 1), 14 * 25_000);
        assert_eq!(fee_after(&tariff, "", 14 * HOUR_S), 14 * 25_000 + 30_000, "00:00 is the next day");
        assert_eq!(fee_after(&tariff, "", 72 * HOUR_S), 72 * 25_000 + 3 * 30_000);
        tariff.base.fee_base = 24.0;
        assert_eq!(fee_after(&tariff, "", 20 * HOUR_S), 0, "a free stay over midnight stays free");
    }

    #[test]
    fn a_type_pays_its_own_rate_and_an_unknown_one_the_base() {
        let mut tariff = Tariff::default();
        let moto = Rate {
            fee_base: 0.0,
            fee_per_hour: Vnd(3_000),
            fee_overnight: Vnd(0),
            fee_daily_max: Vnd(10_000),
            plan: None,
        };
        tariff.types.insert("moto".into(), moto);
        assert_eq!(fee_after(&tariff, "moto", HOUR_S), 3_000);
        assert_eq!(fee_after(&tariff, "moto", 30 * HOUR_S), 20_000);
        assert_eq!(fee_after(&tariff, "truck", HOUR_S), 25_000);
    }

    #[test]
    fn free_time_that_is_no_whole_second_is_rounded_once() {
        let mut tariff = Tariff::default();
        // 0.1 h is 360 s although no float is 0.1.
        tariff.base.fee_base = 0.1;
        assert_eq!(fee_after(&tariff, "", 360), 0);
        assert_eq!(fee_after(&tariff, "", 361), 25_000);
        assert_eq!(fee_after(&tariff, "", 360 + HOUR_S), 25_000);
    }

    #[test]
    fn a_stay_is_long_after_seven_days() {
        assert!(!is_long_stay(ENTRY_MS, ENTRY_MS + LONG_STAY_MS));
        assert!(is_long_stay(ENTRY_MS, ENTRY_MS + LONG_STAY_MS + 1));
        assert!(!is_long_stay(i64::MAX, i64::MIN) && is_long_stay(i64::MIN, i64::MAX));
    }

    #[test]
    fn a_float_that_is_no_number_is_refused_and_charges_no_less() {
        let mut tariff = Tariff::default();
        tariff.base.fee_base = f64::NAN;
        assert_eq!(tariff.check().len(), 1);
        assert_eq!(fee_after(&tariff, "", 1), 25_000);
    }

    fn any_price() -> impl Strategy<Value = Vnd> {
        prop_oneof![Just(Vnd(0)), (0..=MAX_PRICE.0).prop_map(Vnd), (0..500_000_i64).prop_map(Vnd)]
    }

    fn any_rate() -> impl Strategy<Value = Rate> {
        (0.0..=MAX_FREE_HOURS, any_price(), any_price(), any_price()).prop_map(
            |(fee_base, fee_per_hour, fee_overnight, fee_daily_max)| Rate {
                fee_base,
                fee_per_hour,
                fee_overnight,
                fee_daily_max,
                plan: None,
            },
        )
    }

    fn any_tariff() -> impl Strategy<Value = Tariff> {
        (any_rate(), proptest::collection::btree_map("car|moto|bus", any_rate(), 0..3))
            .prop_map(|(base, types)| Tariff { base, types, ..Tariff::default() })
    }

    proptest! {
        #[test]
        fn a_fee_is_never_negative_and_never_sinks_with_time(
            tariff in any_tariff(),
            entry_ms in 0..4_000_000_000_000_i64,
            stay_ms in 0..20 * 86_400_000_i64,
            more_ms in 0..2 * 86_400_000_i64,
        ) {
            let zone = SiteZone::default();
            let fee = tariff.fee("moto", entry_ms, entry_ms + stay_ms, &zone);
            let later = tariff.fee("moto", entry_ms, entry_ms + stay_ms + more_ms, &zone);
            prop_assert!(Vnd(0) <= fee && fee <= later);
            let lines = tariff.lines("moto", entry_ms, entry_ms + stay_ms, &zone);
            prop_assert_eq!(payment::total(&lines), fee);
            prop_assert!(lines.iter().all(|line| line.part != Part::Rest), "{:?}", lines);
            prop_assert!(tariff.check().is_empty());
        }

        #[test]
        fn no_tariff_and_no_times_break_the_rule(
            fee_base: f64, per_hour: i64, overnight: i64, cap: i64, entry_ms: i64, exit_ms: i64,
        ) {
            let base = Rate {
                fee_base,
                fee_per_hour: Vnd(per_hour),
                fee_overnight: Vnd(overnight),
                fee_daily_max: Vnd(cap),
                plan: None,
            };
            let tariff = Tariff { base, ..Tariff::default() };
            let fee = tariff.fee("", entry_ms, exit_ms, &SiteZone::default());
            prop_assert!(fee >= Vnd(0));
            prop_assert_eq!(payment::total(&tariff.lines("", entry_ms, exit_ms, &SiteZone::default())), fee);
        }

        #[test]
        fn a_tariff_is_read_back_as_written(tariff in any_tariff()) {
            let text = serde_json::to_string(&tariff).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Tariff>(&text).unwrap(), &tariff);
            prop_assert_eq!(Tariff::from_json(&serde_json::from_str(&text).unwrap()), Ok(tariff));
        }
    }
}
