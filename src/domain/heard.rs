//! The identity of what a predecessor said: a hash of the documented fields, as received.
//!
//! A central that hears a predecessor writes down what it said as an event of its own log. Several centrals hear the same, each
//! at another place of another log; the hash makes all of these one fact.
//!
//! Only fields that every form of the statement has go into it: a message says more than the row of a history does, and a
//! relayed row says less about the camera. Where the words differ all the same, [`super::stay`] takes copies of an entry or
//! exit for one by what they are about.

use sha2::{Digest, Sha256};

use super::event::{Body, type_name};

/// The SHA-256 of what was said. `timestamp_ms` counts only where no time is among the fields.
pub fn digest(event_id: Option<&str>, timestamp_ms: i64, body: &Body) -> [u8; 32] {
    let mut hasher = FieldsHash(Sha256::new());
    match body {
        Body::Entry(entry) => {
            hasher.texts(&[type_name::ENTRY, event_id.unwrap_or_default(), entry.plate_id.as_str()]);
            hasher.texts(&[&entry.plate_view, &entry.edge_id, &entry.entry_time]);
        }
        Body::Exit(exit) => {
            hasher.texts(&[type_name::EXIT, event_id.unwrap_or_default(), &exit.exit_central, &exit.exit_edge]);
            hasher.texts(&[&exit.exit_time, &exit.fee.0.to_string()]);
        }
        Body::Confirmed(confirmed) => {
            hasher.texts(&[type_name::CONFIRMED, event_id.unwrap_or_default(), &confirmed.confirmed_time]);
        }
        Body::Correction(correction) => {
            let plate = correction.plate_id.as_ref().map(ToString::to_string).unwrap_or_default();
            let view = correction.plate_view.as_deref().unwrap_or_default();
            hasher.texts(&[type_name::CORRECTION, event_id.unwrap_or_default(), &plate, view]);
            hasher.texts(&[&timestamp_ms.to_string()]);
        }
        Body::Void(_) => hasher.texts(&[type_name::VOID, event_id.unwrap_or_default()]),
        // Predecessors have no word for these.
        Body::Tariff(_)
        | Body::PriceList(_)
        | Body::Subscription(_)
        | Body::Central(_)
        | Body::Naming(_)
        | Body::ShiftOpened(_)
        | Body::ShiftClosed(_)
        | Body::ShiftRecounted(_)
        | Body::PaymentReceived(_)
        | Body::PaymentAssigned(_)
        | Body::Invoiced(_)
        | Body::Unread(_) => {
            hasher.texts(&["SETTING", &timestamp_ms.to_string()]);
        }
        Body::Unknown { type_name } => {
            hasher.texts(&[type_name, event_id.unwrap_or_default(), &timestamp_ms.to_string()]);
        }
    }
    hasher.0.finalize().into()
}

/// Feeds texts with their length, so that no two lists of fields share one byte stream.
struct FieldsHash(Sha256);

impl FieldsHash {
    fn texts(&mut self, texts: &[&str]) {
        for text in texts {
            self.0.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            self.0.update(text.as_bytes());
        }
    }
}
