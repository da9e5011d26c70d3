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
pub const SHIFT_OPENED: &str = "SHIFT_OPENED";
pub const SHIFT_CLOSED: &str = "SHIFT_CLOSED";
pub const SHIFT_RECOUNTED: &str = "SHIFT_RECOUNTED";
pub const PAYMENT_RECEIVED: &str = "PAYMENT_RECEIVED";
pub const PAYMENT_ASSIGNED: &str = "PAYMENT_ASSIGNED";
pub const INVOICED: &str = "INVOICED";

impl Body {
    /// Whether it sets something for the whole site, rather than being about a stay.
    pub fn is_setting(&self) -> bool {
        matches!(
            self,
            Self::Tariff(_) | Self::PriceList(_) | Self::Subscription(_) | Self::Central(_) | Self::Naming(_)
        )
    }

    /// Whether it is about somebody's shift as a whole.
    pub fn is_of_a_shift(&self) -> bool {
        matches!(self, Self::ShiftOpened(_) | Self::ShiftClosed(_) | Self::ShiftRecounted(_))
    }

    /// Whether it is about money that came in.
    #[must_use]
    pub fn is_of_a_payment(&self) -> bool {
        matches!(self, Self::PaymentReceived(_) | Self::PaymentAssigned(_))
    }

    /// The `type` of an event that states this; `unknown` for one of a newer version.
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
            Self::ShiftOpened(_) => SHIFT_OPENED,
            Self::ShiftClosed(_) => SHIFT_CLOSED,
            Self::ShiftRecounted(_) => SHIFT_RECOUNTED,
            Self::PaymentReceived(_) => PAYMENT_RECEIVED,
            Self::PaymentAssigned(_) => PAYMENT_ASSIGNED,
            Self::Invoiced(_) => INVOICED,
            Self::Unknown { .. } => "unknown",
        }
    }
}
