//! The `type` of each event on the wire and on disk. Only grows.

use super::Body;

pub const ENTRY: &str = "VEHICLE_ENTRY_PENDING";
pub const CONFIRMED: &str = "VEHICLE_ENTRY_CONFIRMED";
pub const EXIT: &str = "VEHICLE_EXIT";
pub const UNREAD: &str = "OPENING_UNREAD";
pub const CORRECTION: &str = "STAY_CORRECTION";
pub const VOID: &str = "STAY_VOID";
pub const TARIFF: &str = "TARIFF_UPDATE";
pub const PRICE_LIST: &str = "PRICE_LIST";
pub const SUBSCRIPTION: &str = "SUBSCRIPTION_UPDATE";
pub const CENTRAL: &str = "CENTRAL_STANDING";
pub const NAMING: &str = "NAMING";

impl Body {
    /// Whether it sets something for the whole site, rather than being about a stay.
    #[must_use]
    pub fn is_setting(&self) -> bool {
        matches!(
            self,
            Self::Tariff(_) | Self::PriceList(_) | Self::Subscription(_) | Self::Central(_) | Self::Naming(_)
        )
    }

    /// The `type` of an event that states this; `unknown` for one of a newer version.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Entry(_) => ENTRY,
            Self::Confirmed(_) => CONFIRMED,
            Self::Exit(_) => EXIT,
            Self::Unread(_) => UNREAD,
            Self::Correction(_) => CORRECTION,
            Self::Void(_) => VOID,
            Self::Tariff(_) => TARIFF,
            Self::PriceList(_) => PRICE_LIST,
            Self::Subscription(_) => SUBSCRIPTION,
            Self::Central(_) => CENTRAL,
            Self::Naming(_) => NAMING,
            Self::Unknown { .. } => "unknown",
        }
    }
}
