//! One sentence per fact.

use super::super::direction::Direction;
use super::super::doer::DoerKind;
use super::super::event::{Body, Correction, Entry, Event, Exit, Unread};
use super::super::ids::FactId;
use super::super::money::Vnd;
use super::super::payment::{Method, Paid};
use super::super::plate::PlateId;
use super::super::row::StayRow;
use super::super::stay::{Fact, Outcome, same_request};
use super::super::time::SiteZone;
use super::Explainer;
use super::words::{SiteFace, Text, gate, method, money, span, vehicle};

impl Explainer<'_> {
    /// What the fact said and what became of it.
    pub(super) fn sentence(&self, fact: &Fact, outcome: &Outcome, face: &SiteFace<'_>) -> Text {
        let event = &*fact.event;
        match outcome {
            Outcome::Repeated { first } => self.repeated(event, first, face),
            Outcome::Waits { stay } => waits(event, stay, face),
            Outcome::Skipped { reason } => skipped(event, reason, face),
            Outcome::Removed { .. } => removed(event, face),
            _ => match &event.body {
                Body::Entry(entry) => self.entry(fact, entry, outcome, face),
                Body::Confirmed(_) => confirmed(event, outcome, face),
                Body::Exit(exit) => self.exit(fact, exit, outcome, face),
                Body::Correction(correction) => {
                    let (by, what) = (by(correction.by.as_deref()), corrected(correction));
                    let (time, reason) = (face.time(event.timestamp_ms), &correction.reason);
                    Text::new(
                        format!("{}{} lúc {time}: {reason}", what.vi, by.vi),
                        format!("{}{} at {time}: {reason}", what.en, by.en),
                    )
                }
                Body::Void(void) => {
                    let (by, time, reason) = (by(void.by.as_deref()), face.time(event.timestamp_ms), &void.reason);
                    Text::new(
                        format!("Hủy lượt này{} lúc {time}: {reason}", by.vi),
                        format!("Visit removed{} at {time}: {reason}", by.en),
                    )
                }
                // Facts of stays are of the kinds above.
                Body::Unread(_)
                | Body::Tariff(_)
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
                | Body::Unknown { .. } => Text::default(),
            },
        }
    }

    fn entry(&self, fact: &Fact, entry: &Entry, outcome: &Outcome, face: &SiteFace<'_>) -> Text {
        let event = &*fact.event;
        let came = at(event, &gate(&event.source_central, &entry.edge_id), face);
        let forced = entry.force.then(|| forced(entry.reason.as_deref()));
        let text = Text::new(
            format!("Xe {} vào {}", entry.plate_view, came.vi),
            format!("{} came in {}", entry.plate_view, came.en),
        )
        .and(opened_by(event));
        match outcome {
            Outcome::Superseded { stay, by } => match (self.row(stay), self.row(by)) {
                (Some(lost), Some(kept)) => self.kept(kept, lost, face),
                _ => text,
            },
            Outcome::Opened { left: Some(left), .. } => {
                let before = self.row(left).map(|left| {
                    let time = face.time(left.entry_ms);
                    Text::new(
                        format!("; lượt vào lúc {time} coi như đã ra mà không ghi nhận"),
                        format!("; the visit begun at {time} is taken to have left unseen"),
                    )
                });
                text.and(forced).and(before)
            }
            _ => text.and(forced).and(Self::skew_note(&[fact])),
        }
    }

    /// Of two entries of one car: which counts, and why.
    pub(super) fn kept(&self, kept: &StayRow, lost: &StayRow, face: &SiteFace<'_>) -> Text {
        let (kept_gate, lost_gate) =
            (gate(&kept.source_central, &kept.edge_id), gate(&lost.source_central, &lost.edge_id));
        let (kept_at, lost_at) = face.times(kept.entry_ms, lost.entry_ms);
        let why = match kept.entry_ms.cmp(&lost.entry_ms) {
            std::cmp::Ordering::Less => Text::new("vì sớm hơn", "because it is earlier"),
            std::cmp::Ordering::Equal => {
                Text::new("(cùng lúc, chọn theo thứ tự cố định)", "(at the same time: by a fixed order)")
            }
            std::cmp::Ordering::Greater => {
                Text::new("vì đứng trước trong thứ tự chung", "because it is first in the common order")
            }
        };
        let entries: Vec<&Fact> =
            [kept, lost].iter().filter_map(|row| self.facts.get(&row.entry_fact).copied()).collect();
        Text::new(
            format!(
                "Giữ lượt vào {} {kept_at} {}; lượt vào {} {lost_at} không mở lượt mới",
                kept_gate.vi, why.vi, lost_gate.vi
            ),
            format!(
                "The entry at {} at {kept_at} is kept {}; the entry at {} at {lost_at} begins no visit",
                kept_gate.en, why.en, lost_gate.en
            ),
        )
        .and(Self::skew_note(&entries))
    }

    fn exit(&self, fact: &Fact, exit: &Exit, outcome: &Outcome, face: &SiteFace<'_>) -> Text {
        let event = &*fact.event;
        let left = at(event, &gate(&exit.exit_central, &exit.exit_edge), face).and(opened_by(event));
        let fee = money(exit.fee.0);
        let row = match outcome {
            Outcome::Closed { stay, .. } | Outcome::ClosedAgain { stay } | Outcome::LeftAlone { stay } => {
                self.row(stay)
            }
            _ => None,
        };
        match outcome {
            Outcome::Closed { entry_unknown: false, .. } => {
                let stayed = row
                    .map(|row| span_between(row.entry_ms, event.timestamp_ms))
                    .map(|stayed| Text::new(format!(", gửi {}", stayed.vi), format!(", after {}", stayed.en)));
                let paid = match &exit.subscription_id {
                    Some(id) if fee_is_due(exit) => Text::new(
                        format!(", thuê bao {id} không đủ cả thời gian gửi, phí phần ngoài hạn {}", fee.vi),
                        format!(", subscription {id} covers a part of the stay, fee {} for the rest", fee.en),
                    ),
                    Some(id) => Text::new(
                        format!(", thuê bao {id}, phí {}", fee.vi),
                        format!(", subscription {id}, fee {}", fee.en),
                    ),
                    None => Text::new(format!(", phí {}", fee.vi), format!(", fee {}", fee.en)),
                };
                let forced = exit.force.then(|| forced(exit.reason.as_deref()));
                Text::new(format!("Xe ra {}", left.vi), format!("The car left {}", left.en))
                    .and(stayed)
                    .and(Some(paid))
                    .and(exit.paid.as_ref().map(paid_by))
                    .and(forced)
                    .and(Self::skew_note(&[fact]))
            }
            Outcome::Closed { entry_unknown: true, .. } => {
                let (known, took) = (self.entry_taken(event, face), took(exit, exit.fee));
                let forced = exit.force.then(|| forced(exit.reason.as_deref()));
                Text::new(format!("Xe ra {}", left.vi), format!("The car left {}", left.en))
                    .and(Some(Text::new(format!("; {}", known.vi), format!("; {}", known.en))))
                    .and(forced)
                    .and(Some(Text::new(format!(", {}", took.vi), format!(", {}", took.en))))
                    .and(exit.paid.as_ref().map(paid_by))
                    .and(Self::skew_note(&[fact]))
            }
            Outcome::ClosedAgain { .. } => {
                let before = row.and_then(|row| row.exit.as_ref()).map(|first| {
                    let first_gate = gate(&first.central, &first.edge_id);
                    let time = face.time(first.exit_ms);
                    Text::new(
                        format!("; xe đã ra {} {time}, lượt ra đó vẫn giữ", first_gate.vi),
                        format!("; it had left at {} at {time}, and that exit stays", first_gate.en),
                    )
                });
                Text::new(
                    format!("Ra thêm một lần {}, thu thêm {}", left.vi, fee.vi),
                    format!("It left once more {}, another {} was taken", left.en, fee.en),
                )
                .and(exit.paid.as_ref().map(paid_by))
                .and(before)
                .and(Self::skew_note(&[fact]))
            }
            _ => left_alone(&left, exit, exit.fee).and(exit.paid.as_ref().map(paid_by)).and(Self::skew_note(&[fact])),
        }
    }

    /// From which entry a gate charged that did not know the one the car came in by.
    pub(super) fn entry_taken(&self, exit: &Event, face: &SiteFace<'_>) -> Text {
        match exit.exit_stay().and_then(|stay| self.row(stay)).map(|row| face.time(row.entry_ms)) {
            Some(time) => Text::new(
                format!("cổng này tính từ lượt vào lúc {time} đã kết thúc trước đó"),
                format!("that gate charged since the entry at {time}, whose visit had ended before"),
            ),
            None => Text::new("cổng này chưa biết lượt vào", "that gate did not know of the entry"),
        }
    }

    fn repeated(&self, event: &Event, first: &FactId, face: &SiteFace<'_>) -> Text {
        let there = self.facts.get(first).map(|first| at(&first.event, &place(&first.event), face));
        let there = there.unwrap_or_default();
        let here = at(event, &place(event), face);
        let is_request = self.facts.get(first).is_some_and(|first| same_request(&first.event, event));
        if let Body::Exit(exit) = &event.body
            && exit.told
            && !is_request
        {
            let fee = money(exit.told_fee.unwrap_or(exit.fee).0);
            return Text::new(
                format!("Báo lại lượt ra {} (đã ghi {}), cổng báo {}, chỉ tính một lần", here.vi, there.vi, fee.vi),
                format!("The exit told again {} (recorded {}) with {}; it counts once", here.en, there.en, fee.en),
            );
        }
        if is_request && matches!(&event.body, Body::Exit(exit) if exit.in_place_of().is_some()) {
            return Text::new(
                format!("Lượt ra {} đã được ghi lại cho xe khác {}, chỉ tính một lần", here.vi, there.vi),
                format!("The exit {} was written down anew as another car's {}; it counts once", here.en, there.en),
            );
        }
        Text::new(
            format!("Lặp lại {}: cùng một yêu cầu đã ghi {}, chỉ tính một lần", here.vi, there.vi),
            format!("Repeated {}: the same request was recorded {}, and counts once", here.en, there.en),
        )
    }
}

/// An event that is on no row: what it is and why, on the clock face of its own day. `event`: `None` if it cannot be read.
pub fn apart(fact: &FactId, event: Option<&Event>, outcome: &Outcome, zone: &SiteZone) -> Text {
    let Some(event) = event else {
        let reason = if let Outcome::Skipped { reason } = outcome { reason.as_str() } else { "" };
        return Text::new(
            format!("Sự kiện {fact} không đọc được nên không có hiệu lực: {reason}"),
            format!("The event {fact} cannot be read and has no effect: {reason}"),
        );
    };
    let face = SiteFace::of_day(zone, event.timestamp_ms);
    if let Body::Unread(unread) = &event.body {
        return opened_unread(event, unread, &face);
    }
    match outcome {
        Outcome::Waits { stay } => waits(event, stay, &face),
        Outcome::Skipped { reason } => skipped(event, reason, &face),
        _ => Text::default(),
    }
}

/// An exit whose entry nobody saw.
pub(super) fn left_alone(left: &Text, exit: &Exit, taken: Vnd) -> Text {
    let (how, took) = (how_it_opened(exit), took(exit, taken));
    Text::new(
        format!("Xe ra {} mà không có lượt vào nào; {}, {}", left.vi, how.vi, took.vi),
        format!("The car left {} without any entry; {}, {}", left.en, how.en, took.en),
    )
}

fn how_it_opened(exit: &Exit) -> Text {
    let why = why(exit.reason.as_deref());
    if exit.force {
        return Text::new(format!("nhân viên mở thủ công{why}"), format!("it was let out by hand{why}"));
    }
    if exit.told {
        return Text::new("cổng báo lại sau khi xe đã ra", "the gate told it afterwards");
    }
    Text::new("cổng đã mở", "the gate opened")
}

/// What was taken where nobody worked out a fee. What a gate did not say is not known.
pub(super) fn took(exit: &Exit, taken: Vnd) -> Text {
    if exit.told && taken == Vnd(0) && exit.paid.is_none() && exit.told_fee.is_none() {
        return Text::new("không báo đã thu bao nhiêu", "and did not say what was taken");
    }
    let fee = money(taken.0);
    Text::new(format!("thu {}", fee.vi), format!("{} was taken", fee.en))
}

/// A subscription that did not cover the whole stay.
fn fee_is_due(exit: &Exit) -> bool {
    exit.fee.0 > 0 && exit.requested_fee.is_none()
}

fn opened_unread(event: &Event, unread: &Unread, face: &SiteFace<'_>) -> Text {
    let opened = at(event, &place(event), face);
    let (way_vi, way_en) = match unread.direction {
        Direction::Entry => ("vào", "in"),
        Direction::Exit => ("ra", "out"),
    };
    let told = Some(unread.text.as_str()).filter(|text| !text.is_empty());
    let told = told.map(|text| Text::new(format!(" (máy đọc: {text:?})"), format!(" (the camera told {text:?})")));
    let fee = unread.fee.map(|fee| {
        let fee = money(fee.0);
        Text::new(
            format!("; cổng báo đã thu {}, không tính vào lượt nào", fee.vi),
            format!("; the gate says it took {}, which counts for no visit", fee.en),
        )
    });
    Text::new(
        format!("Cổng mở cho xe {way_vi} {} mà không đọc được biển số", opened.vi),
        format!("The gate opened for a car going {way_en} {}, whose plate could not be read", opened.en),
    )
    .and(told)
    .and(fee)
}

fn confirmed(event: &Event, outcome: &Outcome, face: &SiteFace<'_>) -> Text {
    let closed = at(event, &place(event), face);
    let again = matches!(outcome, Outcome::Confirmed { again: true, .. });
    let again = again.then(|| Text::new(" (đã xác nhận trước đó)", " (confirmed before)"));
    Text::new(format!("Barie đóng sau xe {}", closed.vi), format!("The barrier closed behind the car {}", closed.en))
        .and(again)
}

fn waits(event: &Event, stay: &str, face: &SiteFace<'_>) -> Text {
    let (said, kind) = (at(event, &place(event), face), kind(event));
    Text::new(
        format!("{} {} chờ lượt vào {stay} được gửi tới; có hiệu lực ngay khi nhận được", kind.vi, said.vi),
        format!("{} {} waits for the entry {stay} to arrive, and counts as soon as it does", kind.en, said.en),
    )
}

fn skipped(event: &Event, reason: &str, face: &SiteFace<'_>) -> Text {
    let (said, kind) = (at(event, &place(event), face), kind(event));
    Text::new(
        format!("{} {} không có hiệu lực: {reason}", kind.vi, said.vi),
        format!("{} {} has no effect: {reason}", kind.en, said.en),
    )
}

fn removed(event: &Event, face: &SiteFace<'_>) -> Text {
    let (said, kind) = (at(event, &place(event), face), kind(event));
    let fee = match &event.body {
        Body::Exit(exit) if exit.fee.0 != 0 => {
            let fee = money(exit.fee.0);
            Some(Text::new(format!(", {} không tính vào doanh thu", fee.vi), format!(", {} is not counted", fee.en)))
        }
        _ => None,
    };
    Text::new(format!("{} {} đã bị hủy", kind.vi, said.vi), format!("{} {} was removed", kind.en, said.en)).and(fee)
}

/// What a correction states.
fn corrected(correction: &Correction) -> Text {
    let shown = correction.plate_view.as_deref().or(correction.plate_id.as_ref().map(PlateId::as_str));
    let plate =
        shown.map(|plate| Text::new(format!("Sửa biển số thành {plate}"), format!("Plate corrected to {plate}")));
    let vehicle = correction.camera_type.as_deref().map(|name| {
        let name = vehicle(name);
        Text::new(format!("Sửa loại xe thành {}", name.vi), format!("Type corrected to {}", name.en))
    });
    let fee = correction.right_fee.as_ref().map(|right| {
        let (before, fee) = (money(right.before.0), money(right.fee.0));
        Text::new(
            format!("Sửa số tiền đã thu từ {} thành {}", before.vi, fee.vi),
            format!("Amount collected corrected from {} to {}", before.en, fee.en),
        )
    });
    let way = correction.right_method.as_ref().map(|right| {
        let unsaid = || Text::new("không rõ", "not said");
        let before = right.before.map_or_else(unsaid, method);
        let now = right.also.iter().fold(method(right.method), |all, too| {
            let (way, amount) = (method(too.method), money(too.amount.0));
            Text::new(format!("{}, {} {}", all.vi, way.vi, amount.vi), format!("{}, {} {}", all.en, way.en, amount.en))
        });
        if right.before == Some(right.method) {
            return Text::new(
                format!("Xác nhận cách trả là {}; nếu có trả thừa thì đã trả lại", now.vi),
                format!("Payment confirmed as {}; what was paid beyond it, if anything, was given back", now.en),
            );
        }
        Text::new(
            format!("Sửa cách trả từ {} thành {}", before.vi, now.vi),
            format!("Payment corrected from {} to {}", before.en, now.en),
        )
    });
    let restored = (!correction.undoes.is_empty()).then(|| Text::new("Khôi phục lượt này", "Visit restored"));
    let mut parts = [restored, plate, vehicle, fee, way].into_iter().flatten();
    let first = parts.next().unwrap_or_else(|| Text::new("Sửa lượt này", "Visit corrected"));
    parts.fold(first, |all, part| Text::new(format!("{}; {}", all.vi, part.vi), format!("{}; {}", all.en, part.en)))
}

fn kind(event: &Event) -> Text {
    match &event.body {
        Body::Entry(_) => Text::new("Lượt vào", "The entry"),
        Body::Confirmed(_) => Text::new("Xác nhận đóng barie", "The confirmation"),
        Body::Exit(_) => Text::new("Lượt ra", "The exit"),
        Body::Correction(_) => Text::new("Lần sửa", "The correction"),
        Body::Void(_) => Text::new("Lệnh hủy", "The removal"),
        Body::Unread(_)
        | Body::Tariff(_)
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
        | Body::Unknown { .. } => Text::new("Sự kiện", "The event"),
    }
}

/// Where it was said.
fn place(event: &Event) -> Text {
    let edge = match &event.body {
        Body::Entry(entry) => &entry.edge_id,
        Body::Exit(exit) => return gate(&exit.exit_central, &exit.exit_edge),
        Body::Confirmed(confirmed) => &confirmed.edge_id,
        Body::Unread(unread) => &unread.edge_id,
        _ => "",
    };
    gate(&event.source_central, edge)
}

fn at(event: &Event, place: &Text, face: &SiteFace<'_>) -> Text {
    let time = face.time(event.timestamp_ms);
    Text::new(format!("tại {} lúc {time}", place.vi), format!("at {} at {time}", place.en))
}

/// As its author gave it, in whatever language.
fn why(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}

fn forced(reason: Option<&str>) -> Text {
    let why = why(reason);
    Text::new(format!(", nhân viên mở thủ công{why}"), format!(", opened by hand{why}"))
}

/// The person or program that opened. A gate that opened is named already.
fn opened_by(event: &Event) -> Option<Text> {
    let by = event.by.as_ref().filter(|by| by.kind != DoerKind::Edge)?;
    Some(self::by(by.text().as_deref()))
}

/// How it was paid, and how much that was.
pub(super) fn paid_by(paid: &Paid) -> Text {
    let mut all = Text::new("", "");
    for (method, amount, reference) in paid.ways() {
        all = all.and(Some(paid_so(method, amount, reference)));
    }
    all
}

fn paid_so(method: Method, amount: Vnd, reference: Option<&str>) -> Text {
    let (vi, en) = match method {
        Method::Cash => ("tiền mặt", "in cash"),
        Method::Qr => ("quét mã QR", "by QR code"),
        Method::Card => ("thẻ", "by card"),
        Method::Transfer => ("chuyển khoản", "by transfer"),
        Method::Account => ("ghi nợ", "on account"),
        Method::Free => ("miễn phí", "free of charge"),
        Method::Other => ("cách khác", "in another way"),
    };
    let amount = money(amount.0);
    let reference = reference.map_or_else(String::new, |reference| format!(" ({reference})"));
    Text::new(format!(", trả {} {vi}{reference}", amount.vi), format!(", {} paid {en}{reference}", amount.en))
}

fn by(name: Option<&str>) -> Text {
    name.map_or_else(Text::default, |name| Text::new(format!(" bởi {name}"), format!(" by {name}")))
}

pub(super) fn span_between(from_ms: i64, to_ms: i64) -> Text {
    span(to_ms.saturating_sub(from_ms).max(0).unsigned_abs())
}
