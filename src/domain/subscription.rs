//! Subscriptions (*thuê bao*): plates that pay by the month or not at all.

use serde::{Deserialize, Serialize};

/// One subscription, with the predecessor's fields (section 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub id: String,
    pub plate_number: String,
    #[serde(default)]
    pub owner_name: String,
    /// `company`, `monthly` or `regular`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// `active` pays 0; anything else pays.
    #[serde(default)]
    pub status: String,
    /// First day, `YYYY-MM-DD` in the site's zone; empty: no bound.
    #[serde(default)]
    pub start_date: String,
    /// Last day, itself included; empty: no bound.
    #[serde(default)]
    pub end_date: String,
    #[serde(default)]
    pub phone: String,
    #[serde(default)]
    pub note: String,
}
