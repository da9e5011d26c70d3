//! What leaving costs: the tariff over the hours that no subscription pays for.

use crate::domain::anomaly::Anomaly;
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::row::StayRow;
use crate::domain::tariff::is_long_stay;
use crate::domain::told::{Note, vehicle};

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

/// What is to be said of a stay that ends now: beside the fee, and whether that is in doubt.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub charge: Charge,
    pub notes: Vec<Note>,
    pub is_uncertain: bool,
}

impl<S: Storage> Transaction<'_, S> {
    /// The end of a stay that began as `row` says, by a vehicle that is told to be `told_type` as it leaves. A type that is told at
    /// only one of both is that of the stay; of two the first counts, and the difference is said.
    pub(super) fn ending(&self, row: &StayRow, entry_ms: i64, exit_ms: i64, told_type: &str) -> Ending {
        let entered_type = if row.camera_type.is_empty() { told_type } else { row.camera_type.as_str() };
        let charge = self.charge(&row.plate_id, entered_type, entry_ms, exit_ms);
        let mut ending = Ending { notes: charge.note().into_iter().collect(), ..Ending::default() };
        if !told_type.is_empty() && !vehicle::same(entered_type, told_type) {
            let other_fee = self.charge(&row.plate_id, told_type, entry_ms, exit_ms).fee;
            ending.is_uncertain = other_fee != charge.fee;
            let (fee, other_fee) = (charge.fee.0, other_fee.0);
            ending.notes.push(Note::new(
                "vehicle_type",
                "other_type",
                format!("lúc vào là {entered_type:?}, lúc ra là {told_type:?}: tính {fee} đ theo loại lúc vào; theo loại lúc ra là {other_fee} đ"),
                format!("it came in as {entered_type:?} and leaves as {told_type:?}: {fee} VND are due by the former; by the latter it were {other_fee}"),
            ));
        }
        if row.anomalies.contains(&Anomaly::DoubleEntry) {
            let came = self.context.zone.local_text(row.entry_ms);
            ending.notes.push(Note::new(
                "fee",
                "entered_again",
                format!("xe được báo vào lại khi lượt vào lúc {came} còn mở, có thể sót một lượt ra: phí tính từ {came}, hãy kiểm tra"),
                format!("the car was told to come in again while its stay since {came} was open, so an exit may have been missed: the fee is since {came}, check it"),
            ));
        }
        if is_long_stay(entry_ms, exit_ms) {
            let came = self.context.zone.local_text(row.entry_ms);
            ending.notes.push(Note::new(
                "fee",
                "long_stay",
                format!("xe vào từ {came}, hơn 7 ngày trước: hãy kiểm tra lượt vào và phí"),
                format!("the car came in at {came}, more than 7 days ago: check that entry and the fee"),
            ));
        }
        ending.charge = charge;
        ending
    }

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
