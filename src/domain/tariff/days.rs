//! Price lists for some days: weekends, holidays. The list of the day a car came in counts for its whole stay.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rate;

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

    #[must_use]
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
    #[must_use]
    pub fn is_for(&self, day: &str, weekday: Weekday) -> bool {
        self.weekdays.contains(&weekday) || self.dates.iter().any(|date| date == day)
    }
}
