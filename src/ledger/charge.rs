//! What leaving costs: the tariff over the hours that no subscription pays for.

use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::told::Note;

use super::storage::Storage;
use super::transaction::Transaction;

/// Later than the end of any day that begins at a given moment, in ms, and earlier than the end of the next.
const INTO_NEXT_DAY_MS: i64 = 30 * 3_600 * 1_000;

/// What is due.
#[derive(Debug, Default)]
pub(super) struct Charge {
    pub fee: Vnd,
    /// The version of the tariff; `None`: the built-in one.
    pub tariff_version: Option<String>,
    /// The subscription that paid for the stay, or for a part of it.
    pub subscription_id: Option<String>,
    /// It paid for a part only.
    pub partly: bool,
}

impl Charge {
    /// What is said of a subscription that did not cover the whole stay.
    pub(super) fn note(&self) -> Option<Note> {
        let id = self.subscription_id.as_ref().filter(|_| self.partly)?;
        let fee = self.fee.0;
        Some(Note::new(
            "subscription",
            "partly_covered",
            format!(
                "thuê bao {id} không còn (hoặc chưa) hiệu lực trong cả thời gian gửi; thu {fee} đ cho phần ngoài hạn"
            ),
            format!("subscription {id} was not valid for the whole stay; {fee} VND are for the hours outside it"),
        ))
    }
}

impl<S: Storage> Transaction<'_, S> {
    /// Of a stay from `entry_ms` to `exit_ms`. Each stretch of days without a valid subscription costs what a stay of that
    /// length does.
    pub(super) fn charge(&self, plate: &PlateId, camera_type: &str, entry_ms: i64, exit_ms: i64) -> Charge {
        let (tariff, tariff_version) = self.settings().tariff();
        let zone = &self.context.zone;
        let price = |from_ms, to_ms| tariff.fee(camera_type, from_ms, to_ms, zone);
        if !self.settings().has_subscription(plate) {
            return Charge { fee: price(entry_ms, exit_ms).min(Vnd::MAX_FEE), tariff_version, ..Charge::default() };
        }
        let mut charge = Charge { tariff_version, ..Charge::default() };
        let mut unpaid_from = None;
        let mut day_ms = entry_ms;
        loop {
            let valid = self.settings().active_subscription(plate, &zone.day(day_ms));
            match (valid, unpaid_from) {
                (Some(id), unpaid) => {
                    charge.subscription_id = Some(id.to_owned());
                    if let Some(from_ms) = unpaid {
                        charge.fee += price(from_ms, day_ms);
                        charge.partly = true;
                    }
                    unpaid_from = None;
                }
                (None, None) => unpaid_from = Some(day_ms),
                (None, Some(_)) => {}
            }
            let next_ms = zone.day_start_ms(zone.day_start_ms(day_ms).saturating_add(INTO_NEXT_DAY_MS));
            if next_ms >= exit_ms || next_ms <= day_ms {
                break;
            }
            day_ms = next_ms;
        }
        if let Some(from_ms) = unpaid_from {
            charge.fee += price(from_ms, exit_ms);
            charge.partly = charge.subscription_id.is_some();
        }
        charge.fee = charge.fee.min(Vnd::MAX_FEE);
        charge
    }
}
