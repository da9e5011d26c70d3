//! What leaving costs: the tariff over the hours that no subscription pays for.

use std::sync::Arc;

use crate::domain::anomaly::Anomaly;
use crate::domain::event::Body;
use crate::domain::explain::words;
use crate::domain::money::Vnd;
use crate::domain::payment::{FeeLine, Method, Paid, Part, merged, total, total_of};
use crate::domain::plate::PlateId;
use crate::domain::row::StayRow;
use crate::domain::stay::Link;
use crate::domain::tariff::{Tariff, is_absurd_stay, is_long_stay};
use crate::domain::time::SiteZone;
use crate::domain::told::payment::ToldPaid;
use crate::domain::told::{Note, vehicle};

use super::component::{EVER, loose_key};
use super::settings::SharedSettings;
use super::storage::Storage;
use super::transaction::Transaction;

/// Later than the end of any day that begins at a given moment, in ms, and earlier than the end of the next.
const INTO_NEXT_DAY_MS: i64 = 30 * 3_600 * 1_000;
const YEAR_MS: i64 = 365 * 24 * 3_600 * 1_000;
/// What is told so soon after its time is told at once.
const TOLD_AT_ONCE_MS: i64 = 60 * 1_000;

/// What is due.
#[derive(Debug, Default)]
pub(super) struct Charge {
    pub fee: Vnd,
    /// What it consists of; they sum to it.
    pub lines: Vec<FeeLine>,
    /// The version of the tariff; `None`: the built-in one.
    pub tariff_version: Option<String>,
    /// The subscription that paid for the stay, or for a part of it.
    pub subscription_id: Option<String>,
    /// It paid for a part only.
    pub partly: bool,
}

impl Charge {
    /// What some lines come to, at most the greatest fee.
    fn of(lines: Vec<FeeLine>) -> Self {
        let fee = total(&lines);
        if fee > Vnd::MAX_FEE {
            let fee = Vnd::MAX_FEE;
            return Self { fee, lines: vec![FeeLine::new(Part::Limit, fee)], ..Self::default() };
        }
        Self { fee, lines: merged(lines), ..Self::default() }
    }

    /// As what was taken in its place says, with the difference as a line of its own.
    pub(super) fn by_hand(mut self, fee: Option<Vnd>, reason: Option<&str>) -> Self {
        let Some(fee) = fee.filter(|fee| *fee != self.fee) else { return self };
        let difference = Vnd(fee.0.saturating_sub(self.fee.0));
        self.lines.push(FeeLine::new(Part::ByHand, difference).because(reason));
        Self { fee, lines: merged(self.lines), ..self }
    }

    /// Of what was due only so much was taken.
    fn short_of(mut self, taken: Vnd, reason: Option<&str>) -> Self {
        let missing = Vnd(taken.0.saturating_sub(self.fee.0));
        self.lines.push(FeeLine::new(Part::Unpaid, missing).because(reason));
        Self { fee: taken, lines: merged(self.lines), ..self }
    }

    /// What was due, whatever of it was taken.
    pub(super) fn in_full(mut self) -> Self {
        self.lines.retain(|line| {
            line.part != Part::Unpaid || {
                self.fee.0 -= line.amount.0;
                false
            }
        });
        self
    }

    /// What is said of a subscription that did not cover the whole stay.
    pub(super) fn note(&self) -> Option<Note> {
        let id = self.subscription_id.as_ref().filter(|_| self.partly)?;
        let fee = self.fee;
        Some(Note::new(
            "subscription",
            "partly_covered",
            format!(
                "thuê bao {id} không còn (hoặc chưa) hiệu lực trong cả thời gian gửi; thu {} đ cho phần ngoài hạn",
                fee.vi()
            ),
            format!(
                "subscription {id} was not valid for the whole stay; {} VND are for the hours outside it",
                fee.en()
            ),
        ))
    }
}

/// What a gate says it took of a car whose entry nobody knows, or took before.
pub(super) fn taken(fee: Option<Vnd>) -> Charge {
    let lines = fee.filter(|fee| *fee != Vnd(0)).map(|fee| FeeLine::new(Part::Told, fee));
    Charge::of(lines.into_iter().collect())
}

/// What is said of money that was taken at an entry.
pub(super) fn not_counted(field: &str, told: Vnd) -> Note {
    Note::new(
        field,
        "not_counted",
        format!(
            "{} đ thu lúc vào được giữ lại để xem, không tính vào doanh thu và không trừ vào phí lúc ra",
            told.vi()
        ),
        format!(
            "the {} VND taken at the entry are kept to be looked at; they are in no sum, and not taken off the fee at the exit",
            told.en()
        ),
    )
}

/// What is said of another amount that comes with an exit that was recorded before.
pub(super) fn counted_once(field: &str, counted: Vnd, told: Vnd) -> Note {
    Note::new(
        field,
        "counted_once",
        format!("lượt ra này đã được báo với {} đ; {} đ báo lại không được tính thêm", counted.vi(), told.vi()),
        format!("this exit was told before with {} VND; the {} VND told now are not added", counted.en(), told.en()),
    )
}

/// What was paid for a fee, as the exit keeps it.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// What was due, less what of it was not taken.
    pub charge: Charge,
    pub paid: Option<Paid>,
    /// What was paid is not what was due.
    pub doubt: Option<Anomaly>,
}

/// What was told under `field` of how a fee was paid. What counts as taken is what was: where that is less than was due, the rest is a line of its
/// own. Whoever has the drawer answers for what is in it, and what is not is shown. What was paid beyond the fee is no fee; it is kept and shown.
pub(super) fn settled(
    mut charge: Charge,
    told: Option<&ToldPaid>,
    reason: Option<&str>,
    field: &str,
    notes: &mut Vec<Note>,
) -> Settled {
    let Some(told) = told else { return Settled { charge, ..Settled::default() } };
    let (fee, is_free) = (charge.fee, told.method == Method::Free);
    let rest = Vnd((fee.0 - total_of(&told.also).0).max(0));
    let amount = if is_free { Vnd(0) } else { told.amount.unwrap_or(rest) };
    let paid = Paid { method: told.method, amount, reference: told.reference.clone(), also: told.also.clone() };
    let taken = paid.total();
    if taken == fee {
        return Settled { charge, paid: Some(paid), doubt: None };
    }
    let (vi, en) = if taken < fee {
        let less = Vnd(fee.0 - taken.0);
        charge = charge.short_of(taken, reason);
        (
            format!(
                "đã thu {} đ, phí là {} đ: {} đ chưa thu được ghi riêng và hiện để kiểm tra",
                taken.vi(),
                fee.vi(),
                less.vi()
            ),
            format!(
                "{} VND were taken, and the fee is {} VND: the {} VND that were not are recorded as such, and shown to be checked",
                taken.en(),
                fee.en(),
                less.en()
            ),
        )
    } else {
        (
            format!("đã thu {} đ, phí là {} đ: ghi cả hai và hiện để kiểm tra", taken.vi(), fee.vi()),
            format!(
                "{} VND were taken, and the fee is {} VND: both are recorded, and shown to be checked",
                taken.en(),
                fee.en()
            ),
        )
    };
    notes.push(Note::new(format!("{field}.amount"), "differs", vi, en));
    Settled { charge, paid: Some(paid), doubt: Some(Anomaly::FeeUncertain) }
}

/// A payment that came with what records none.
pub(super) fn unpaid(field: &str, code: &'static str) -> Note {
    let (vi, en) = match code {
        "only_at_exit" => ("thanh toán chỉ được ghi ở lượt ra", "a payment is recorded with an exit only"),
        _ => (
            "lượt ra này đã ghi trước đó: thanh toán lần này không được ghi",
            "this exit was recorded before, and this payment is not",
        ),
    };
    Note::new(field, code, vi, en)
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
    ///
    /// # Errors
    /// Whatever the disk says.
    pub(super) fn ending(
        &mut self,
        row: &StayRow,
        entry_ms: i64,
        exit_ms: i64,
        told_type: &str,
    ) -> Result<Ending, S::Error> {
        let entered_type = if row.camera_type.is_empty() { told_type } else { row.camera_type.as_str() };
        let charge = self.charge(&row.plate_id, entered_type, entry_ms, exit_ms);
        let mut ending = Ending { notes: charge.note().into_iter().collect(), ..Ending::default() };
        let differs = !told_type.is_empty() && !vehicle::same(entered_type, told_type);
        if differs && !self.is_typed_by_a_person(row)? {
            let other_fee = self.charge(&row.plate_id, told_type, entry_ms, exit_ms).fee;
            ending.is_uncertain = other_fee != charge.fee;
            let ((fee, other_fee), (fee_en, other_en)) =
                ((charge.fee.vi(), other_fee.vi()), (charge.fee.en(), other_fee.en()));
            let (came, leaves) = (words::vehicle(entered_type), words::vehicle(told_type));
            ending.notes.push(Note::new(
                "vehicle_type",
                "other_type",
                format!("lúc vào là {}, lúc ra là {}: tính {fee} đ theo loại lúc vào; theo loại lúc ra là {other_fee} đ", came.vi, leaves.vi),
                format!("it came in as {} and leaves as {}: {fee_en} VND are due by the former; by the latter it were {other_en}", came.en, leaves.en),
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
        Ok(ending)
    }

    /// Whether a person corrected the type of an open stay: he has looked, whatever cameras tell.
    fn is_typed_by_a_person(&mut self, row: &StayRow) -> Result<bool, S::Error> {
        let Some(key) = loose_key(&Link::of_stay(&row.stay_id)) else { return Ok(false) };
        for at in self.read()?.loose_facts(&key, EVER)? {
            let said = self.read()?.fact(&at)?;
            if said.is_some_and(|fact| matches!(&fact.event.body, Body::Correction(it) if it.camera_type.is_some())) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds what a lost card costs, or says that the tariff has no price for it.
    pub(super) fn charge_lost_card(&self, charge: &mut Charge, field: &str, exit_ms: i64) -> Option<Note> {
        let (tariff, _) = self.prices_at(exit_ms);
        let Some(line) = tariff.lost_card_line() else {
            let vi = "biểu phí không có giá cho thẻ bị mất: không thu thêm";
            return Some(Note::new(field, "no_price", vi, "the tariff has no price for a lost card: nothing is added"));
        };
        charge.fee += line.amount;
        charge.lines.push(line);
        charge.lines = merged(std::mem::take(&mut charge.lines));
        None
    }

    /// An exit of now goes by what is held, one of before by what was in force then. One that is told is of now for a minute: gates tell
    /// whole seconds, by clocks of their own.
    pub(super) fn prices_at(&self, exit_ms: i64) -> (Arc<Tariff>, Option<String>) {
        if exit_ms < self.now.wall_ms.saturating_sub(TOLD_AT_ONCE_MS) {
            self.settings().tariff_then(exit_ms, self.now.wall_ms)
        } else {
            self.settings().tariff_at(exit_ms)
        }
    }

    /// See [`SharedSettings::charge`].
    pub(super) fn charge(&self, plate: &PlateId, camera_type: &str, entry_ms: i64, exit_ms: i64) -> Charge {
        let prices = self.prices_at(exit_ms);
        self.settings().charge(&self.context.zone, prices, plate, camera_type, entry_ms, exit_ms)
    }
}

impl SharedSettings {
    /// Of a stay from `entry_ms` to `exit_ms` by a tariff and its version. Each stretch of days without a valid subscription costs what a stay of that
    /// length does.
    pub(super) fn charge(
        &self,
        zone: &SiteZone,
        (tariff, tariff_version): (Arc<Tariff>, Option<String>),
        plate: &PlateId,
        camera_type: &str,
        entry_ms: i64,
        exit_ms: i64,
    ) -> Charge {
        let price = |from_ms, to_ms| tariff.lines(camera_type, from_ms, to_ms, zone);
        if !self.has_subscription(plate) {
            return Charge { tariff_version, ..Charge::of(price(entry_ms, exit_ms)) };
        }
        let mut lines = Vec::new();
        let mut charge = Charge { tariff_version, ..Charge::default() };
        // Of a stay that no car was parked for only the last year is gone through day by day.
        let (mut unpaid_from, mut day_ms) = if is_absurd_stay(entry_ms, exit_ms) {
            (Some(entry_ms), exit_ms.saturating_sub(YEAR_MS))
        } else {
            (None, entry_ms)
        };
        loop {
            let valid = self.active_subscription(plate, &zone.day(day_ms));
            match (valid, unpaid_from) {
                (Some(id), unpaid) => {
                    charge.subscription_id = Some(id.to_owned());
                    if let Some(from_ms) = unpaid {
                        lines.extend(price(from_ms, day_ms));
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
            lines.extend(price(from_ms, exit_ms));
            charge.partly = charge.subscription_id.is_some();
        }
        if let Some(id) = &charge.subscription_id {
            lines.push(FeeLine::new(Part::Subscription, Vnd(0)).because(Some(id)));
        }
        let Charge { fee, lines, .. } = Charge::of(lines);
        Charge { fee, lines, ..charge }
    }

    /// What was due for the stay of a row whose fee was taken without knowing its entry; `None`: it was known, there is none, or a clock
    /// was wrong by years. `now_ms`: the wall clock.
    pub fn due(&self, row: &StayRow, zone: &SiteZone, now_ms: i64) -> Option<Vnd> {
        let unknown = row.exit.as_ref().is_some_and(|exit| exit.entry_unknown) && !row.is_exit_alone();
        let left_ms = row.shown_exit_ms().filter(|_| unknown)?;
        if is_absurd_stay(row.entry_ms, left_ms) {
            return None;
        }
        let prices = self.tariff_then(left_ms, now_ms);
        Some(self.charge(zone, prices, &row.plate_id, &row.camera_type, row.entry_ms, left_ms).fee)
    }
}
