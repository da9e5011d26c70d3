//! What an event of a known shape can still say that makes no sense: such an event is malformed everywhere, and has no effect.

use super::{
    Body, Correction, Event, Image, MAX_CARD_ID_CHARS, MAX_IMAGE_KIND_CHARS, MAX_IMAGES, Malformed, PriceList,
};
use crate::domain::doer::MAX_NAME_BYTES;
use crate::domain::money::Vnd;
use crate::domain::payment::{FeeLine, MAX_LINE_REASON_CHARS, MAX_LINES, MAX_REFERENCE_CHARS, MAX_WAYS, Paid, PaidToo};
use crate::domain::problem::is_plain_text;
use crate::domain::time::{MAX_MS, MIN_MS};

impl Event {
    /// What a known shape can still say that makes no sense.
    pub(super) fn check(&self) -> Result<(), Malformed> {
        if self.is_of_a_stay() && self.event_id.is_none() {
            return Err(Malformed("a vehicle event needs an event_id".into()));
        }
        if !(MIN_MS..=MAX_MS).contains(&self.timestamp_ms) {
            return Err(Malformed(format!("timestamp {} is no time", self.timestamp_ms)));
        }
        let fees = match &self.body {
            Body::Exit(exit) => [Some(exit.fee), exit.requested_fee],
            Body::Entry(entry) => [entry.told_fee, None],
            Body::Unread(unread) => [unread.fee, None],
            Body::Correction(Correction { right_fee: Some(right), .. }) => [Some(right.fee), Some(right.before)],
            _ => [None, None],
        };
        let changed = self.money().iter().flat_map(|change| [change.before, change.after]);
        if let Some(fee) = fees.into_iter().flatten().chain(changed).find(|fee| !fee.is_fee()) {
            return Err(Malformed(format!("{} is no fee", fee.0)));
        }
        if let Body::PriceList(PriceList { valid_from_ms, tariff }) = &self.body {
            let is_time = valid_from_ms.is_none_or(|from_ms| (MIN_MS..=MAX_MS).contains(&from_ms));
            if !is_time || (valid_from_ms.is_none() && tariff.is_none()) {
                return Err(Malformed(
                    "a price list needs a tariff, or the moment of the one that is withdrawn".into(),
                ));
            }
        }
        if self.by.as_ref().and_then(|by| by.name.as_ref()).is_some_and(|name| name.len() > MAX_NAME_BYTES) {
            return Err(Malformed(format!("a name of more than {MAX_NAME_BYTES} bytes")));
        }
        match &self.body {
            Body::PaymentReceived(payment) if !payment.is_sound() => {
                Err(Malformed("a payment needs a reference, an amount, and texts that can be shown".into()))
            }
            Body::PaymentAssigned(assigned) if !assigned.is_sound() => {
                Err(Malformed("what a payment is for needs a reason, and texts that can be shown".into()))
            }
            Body::Invoiced(invoiced) if !invoiced.is_sound(&self.log.central) => Err(Malformed(
                "an invoice is of an exit of the central that says so, with texts that can be shown".into(),
            )),
            Body::Naming(naming) if !naming.is_sound() => Err(Malformed("a name that cannot be shown".into())),
            Body::ShiftOpened(opened) if !opened.is_sound(self.log.central.as_str()) || self.person().is_none() => {
                Err(Malformed("a shift is opened by a person, at a gate of the central that says so".into()))
            }
            Body::ShiftClosed(closed) if !closed.is_sound(self.log.central.as_str()) => {
                Err(Malformed("a shift is closed by the central of its gate, with sound amounts".into()))
            }
            Body::ShiftRecounted(recounted) if !recounted.is_sound(self.log.central.as_str()) => Err(Malformed(
                "a shift is counted anew by the central of its gate, with a sound amount and a reason".into(),
            )),
            Body::Entry(entry) => check_kept(entry.card_id.as_deref(), &entry.images, None, &[]),
            Body::Exit(exit) => check_kept(exit.card_id.as_deref(), &exit.images, exit.paid.as_ref(), &exit.lines),
            Body::Unread(unread) => check_kept(unread.card_id.as_deref(), &unread.images, unread.paid.as_ref(), &[]),
            Body::Correction(Correction { right_method: Some(right), .. }) => {
                check_reference(right.reference.as_deref())?;
                check_also(&right.also)
            }
            _ => Ok(()),
        }
    }
}

/// The bounds of what is kept beside a passage.
fn check_kept(
    card_id: Option<&str>,
    images: &[Image],
    paid: Option<&Paid>,
    lines: &[FeeLine],
) -> Result<(), Malformed> {
    let wrong = |what: &str| Err(Malformed(what.to_owned()));
    if card_id.is_some_and(|id| !is_plain_text(id, MAX_CARD_ID_CHARS)) {
        return wrong("card_id is too long, or has control characters");
    }
    if images.len() > MAX_IMAGES || !images.iter().all(Image::is_sound) {
        return wrong("images are too many, or not named as they should be");
    }
    check_reference(paid.and_then(|paid| paid.reference.as_deref()))?;
    check_also(paid.map_or(&[], |paid| paid.also.as_slice()))?;
    if paid.is_some_and(|paid| !paid.amount.is_fee()) {
        return wrong("what was paid is no amount");
    }
    let is_sound = |line: &FeeLine| {
        line.amount.0.unsigned_abs() <= Vnd::MAX_FEE.0.unsigned_abs()
            && line.reason.as_deref().is_none_or(|reason| is_plain_text(reason, MAX_LINE_REASON_CHARS))
    };
    if lines.len() > MAX_LINES || !lines.iter().all(is_sound) {
        return wrong("the lines of the fee are too many, or too large");
    }
    Ok(())
}

fn check_also(also: &[PaidToo]) -> Result<(), Malformed> {
    if also.len() >= MAX_WAYS || !also.iter().all(|too| too.amount.is_fee()) {
        return Err(Malformed("what was paid in other ways is no amount, or in too many".to_owned()));
    }
    also.iter().try_for_each(|too| check_reference(too.reference.as_deref()))
}

fn check_reference(reference: Option<&str>) -> Result<(), Malformed> {
    if reference.is_some_and(|text| !is_plain_text(text, MAX_REFERENCE_CHARS)) {
        return Err(Malformed("the reference of a payment is too long, or has control characters".to_owned()));
    }
    Ok(())
}

impl Image {
    /// Named by a hash, with a kind that can be shown.
    pub fn is_sound(&self) -> bool {
        let is_hash = self.sha256.len() == 64
            && self.sha256.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        is_hash && is_plain_text(&self.kind, MAX_IMAGE_KIND_CHARS)
    }
}
