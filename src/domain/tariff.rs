//! What a stay costs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::money::Vnd;

/// The price rule of one vehicle type (predecessor section 6; design/product.md names the formula's source).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Free time at the start of a stay, in hours.
    pub fee_base: f64,
    /// Price of each started hour after the free time.
    pub fee_per_hour: Vnd,
    /// Added per site midnight crossed, if any hour is charged.
    #[serde(default)]
    pub fee_overnight: Vnd,
    /// Cap per 24 charged hours; 0: none.
    #[serde(default)]
    pub fee_daily_max: Vnd,
}

/// A tariff: the base rate, and rates of vehicle types that differ from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tariff {
    #[serde(flatten)]
    pub base: Rate,
    /// By camera type (`"moto"`). A type not named here pays the base rate.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Rate>,
}

impl Default for Tariff {
    /// The predecessor's: half an hour free, then 25,000 đ per started hour.
    fn default() -> Self {
        let base = Rate { fee_base: 0.5, fee_per_hour: Vnd(25_000), fee_overnight: Vnd(0), fee_daily_max: Vnd(0) };
        Self { base, types: BTreeMap::new() }
    }
}
