//! One sentence per anomaly of a row.

use super::super::anomaly::Anomaly;
use super::super::event::{Body, Entry, Exit, Reported, opening_read};
use super::super::ids::FactId;
use super::super::money::Vnd;
use super::super::payment::unpaid;
use super::super::plate::PlateId;
use super::super::row::{StayRow, StayStatus};
use super::super::stay::{Fact, MAX_SKEW_MS, Outcome, PASSAGE_WINDOW_MS, same_request};
use super::super::tariff::is_long_stay;
use super::super::told::vehicle::are_unlike;
use super::Explainer;
use super::facts::{left_alone, span_between, took};
use super::words::{SiteFace, Text, gate, money, vehicle};

impl Explainer<'_> {
    pub(super) fn anomaly(&self, row: &StayRow, anomaly: Anomaly) -> Text {
        let face = SiteFace::of_day(self.zone, row.entry_ms);
        match anomaly {
            Anomaly::DoubleEntry => self.double_entry(row, &face),
            Anomaly::DoubleExit => self.double_exit(row, &face),
            Anomaly::ExitWithoutEntry => self.exit_without_entry(row, &face),
            Anomaly::LeftUnseen => self.left_unseen(row, &face),
            Anomaly::ClockSkew => self.clock_skew(row),
            Anomaly::ManualOpening => manual_opening(row, &face),
            Anomaly::FeeUncertain => self.fee_uncertain(row),
            Anomaly::TimeUncertain => self.time_uncertain(row, &face),
            Anomaly::UnknownType => unknown_type(row),
            Anomaly::QuickExit => quick_exit(row),
            Anomaly::OtherType => self.other_type(row),
            Anomaly::PaymentUsedTwice => Text::new(
                "Hai lượt ra của xe này ghi cùng một mã giao dịch: có thể chỉ có một khoản tiền về, hãy đối chiếu với ngân hàng",
                "Two exits of this car name one payment: perhaps it came in once only, compare with the bank",
            ),
            Anomaly::MayBeToldTwice => self.may_be_told_twice(row, &face),
        }
    }

    /// The facts that made the row, in the order of facts.
    fn made(&self, row: &StayRow) -> Vec<(&Fact, &Outcome)> {
        let outcomes = self.account.outcomes.iter().filter(|(_, outcome)| outcome.made(&row.stay_id));
        let mut made: Vec<_> = outcomes.filter_map(|(id, outcome)| Some((*self.facts.get(id)?, outcome))).collect();
        made.sort_by(|a, b| a.0.place().cmp(&b.0.place()));
        made
    }

    fn double_entry(&self, row: &StayRow, face: &SiteFace<'_>) -> Text {
        let kept = row.superseded_by.as_deref().and_then(|stay_id| self.row(stay_id));
        kept.map_or_else(|| self.entered_again(row, face), |kept| self.kept(kept, row, face))
    }

    /// Of the stay that was open when the car was told to come in again.
    fn entered_again(&self, row: &StayRow, face: &SiteFace<'_>) -> Text {
        let again = self.superseded_by(row).into_iter().map(|(fact, entry)| {
            let (gate, time) = (gate(&fact.event.source_central, &entry.edge_id), face.time(fact.event.timestamp_ms));
            Text::new(format!(" tại {} lúc {time}", gate.vi), format!(" at {} at {time}", gate.en))
        });
        let again = again
            .fold(Text::new("Xe được báo vào lại", "The car was told to come in again"), |text, more| {
                text.and(Some(more))
            });
        again.and(Some(Text::new(
            " khi lượt này còn mở: có thể sót một lượt ra, hãy kiểm tra phí",
            " while this stay was open: an exit may have been missed, check the fee",
        )))
    }

    /// The entries that were superseded by a stay, in the order of facts.
    fn superseded_by(&self, row: &StayRow) -> Vec<(&Fact, &Entry)> {
        let lost = self.account.outcomes.iter().filter_map(|(id, outcome)| match outcome {
            Outcome::Superseded { by, .. } if *by == row.stay_id => self.facts.get(id).copied(),
            _ => None,
        });
        let mut entries: Vec<(&Fact, &Entry)> = lost
            .filter_map(|fact| if let Body::Entry(entry) = &fact.event.body { Some((fact, entry)) } else { None })
            .collect();
        entries.sort_by(|a, b| a.0.place().cmp(&b.0.place()));
        entries
    }

    fn other_type(&self, row: &StayRow) -> Text {
        let by = row.superseded_by.as_deref().and_then(|stay_id| self.row(stay_id)).map(|kept| &kept.camera_type);
        let at_exit = self.made(row).into_iter().filter_map(|(fact, _)| match &fact.event.body {
            Body::Exit(exit) => exit.camera_type.as_ref(),
            _ => None,
        });
        let again = self.superseded_by(row).into_iter().map(|(_, entry)| &entry.camera_type);
        let unlike = by.into_iter().chain(at_exit).chain(again).find(|told| are_unlike(&row.camera_type, told));
        let (own, other) = (vehicle(&row.camera_type), vehicle(unlike.map_or("?", String::as_str)));
        Text::new(
            format!(
                "Cùng ký tự biển số nhưng khác loại xe ({} và {}): có thể là hai xe, hãy xem lại hai biển số",
                own.vi, other.vi
            ),
            format!(
                "Told as {} and as {}: perhaps two vehicles whose plates have the same characters",
                own.en, other.en
            ),
        )
    }

    fn double_exit(&self, row: &StayRow, face: &SiteFace<'_>) -> Text {
        let again: Vec<&Fact> = self
            .made(row)
            .into_iter()
            .filter(|(_, outcome)| matches!(outcome, Outcome::ClosedAgain { .. }))
            .map(|(fact, _)| fact)
            .collect();
        let first = row.exit.as_ref().map(|exit| {
            let (gate, fee, time) = (gate(&exit.central, &exit.edge_id), money(exit.fee.0), face.time(exit.exit_ms));
            Text::new(
                format!("Xe ra tại {} lúc {time} (thu {})", gate.vi, fee.vi),
                format!("The car left at {} at {time} ({} taken)", gate.en, fee.en),
            )
        });
        let more = again.iter().filter_map(|fact| match &fact.event.body {
            Body::Exit(exit) => {
                let (gate, fee) = (gate(&exit.exit_central, &exit.exit_edge), money(exit.fee.0));
                let time = face.time(fact.event.timestamp_ms);
                Some(Text::new(
                    format!(", ra thêm tại {} lúc {time} (thu {})", gate.vi, fee.vi),
                    format!(", and again at {} at {time} ({} taken)", gate.en, fee.en),
                ))
            }
            _ => None,
        });
        let told_again = self.told_again(row);
        let uncounted = told_again.iter().filter_map(|fact| match &fact.event.body {
            Body::Exit(exit) => {
                let (gate, time) = (gate(&exit.exit_central, &exit.exit_edge), face.time(fact.event.timestamp_ms));
                Some(Text::new(
                    format!(", {} báo lại lượt ra này lúc {time}, không tính thêm tiền", gate.vi),
                    format!(", and {} told the same exit again at {time}, which counts once", gate.en),
                ))
            }
            _ => None,
        });
        let all = money(row.collected.0);
        more.chain(uncounted)
            .fold(first.unwrap_or_default(), |text, more| text.and(Some(more)))
            .and(Some(Text::new(format!("; tất cả đã thu {}", all.vi), format!("; {} taken in all", all.en))))
            .and(Self::skew_note(&again))
    }

    /// The exits that tell again one that made the row, and are no other answer to its request.
    fn told_again(&self, row: &StayRow) -> Vec<&Fact> {
        let repeats = self.account.outcomes.iter().filter_map(|(id, outcome)| match outcome {
            Outcome::Repeated { first } => Some((self.facts.get(id)?, first)),
            _ => None,
        });
        let of_row = |first| self.account.outcomes.get(first).is_some_and(|outcome| outcome.made(&row.stay_id));
        let again = repeats.filter(|(fact, first)| {
            let told = matches!(&fact.event.body, Body::Exit(exit) if exit.told);
            told && of_row(*first)
                && self.facts.get(*first).is_some_and(|first| !same_request(&first.event, &fact.event))
        });
        let mut again: Vec<&Fact> = again.map(|(fact, _)| *fact).collect();
        again.sort_by(|a, b| a.place().cmp(&b.place()));
        again
    }

    fn time_uncertain(&self, row: &StayRow, face: &SiteFace<'_>) -> Text {
        let told = self.made(row).into_iter().filter_map(|(fact, _)| {
            let (doubts, reported, way) = match &fact.event.body {
                Body::Entry(entry) => (&entry.doubts, entry.reported, ("giờ vào", "the entry")),
                Body::Exit(exit) => (&exit.doubts, exit.reported, ("giờ ra", "the exit")),
                _ => return None,
            };
            doubts.iter().any(|doubt| doubt == Anomaly::TimeUncertain.name()).then_some(())?;
            let used = face.time(fact.event.timestamp_ms);
            Some(match reported {
                Some(reported) if is_told_at_once(reported, fact.event.timestamp_ms) => {
                    let (why_vi, why) = match &fact.event.body {
                        Body::Entry(_) => ("hoặc không ai thấy xe vào", "or nobody saw it come in"),
                        _ => ("hoặc giờ này sớm hơn giờ vào", "or this is before the entry"),
                    };
                    Text::new(
                        format!("; {} {used} có thể sai: cổng báo thêm một giờ khác, {why_vi}", way.0),
                        format!("; {} at {used} may be wrong: the gate told another time beside it, {why}", way.1),
                    )
                }
                Some(reported) if reported.told_ms == fact.event.timestamp_ms => {
                    let late = span_between(reported.told_ms, reported.received_ms);
                    Text::new(
                        format!("; {} {used} được báo trễ {}: báo bù, hoặc đồng hồ ở cổng chậm", way.0, late.vi),
                        format!(
                            "; {} at {used} was told {} later: kept until then, or the clock of the gate is behind",
                            way.1, late.en
                        ),
                    )
                }
                Some(reported) => {
                    let told = SiteFace::of_day(self.zone, fact.event.timestamp_ms).time(reported.told_ms);
                    Text::new(
                        format!("; cổng báo {} là {told}, không dùng được nên ghi giờ nhận {used}", way.0),
                        format!("; the gate told {} as {told}, which cannot be; {used} is when it was received", way.1),
                    )
                }
                None if fact.event.heard_from.is_some() => Text::new(
                    format!("; {} {used} do chương trình cũ ghi: xe được thấy trong bãi mà không qua cổng, hoặc đồng hồ máy cũ lệch múi giờ", way.0),
                    format!(
                        "; {} at {used} is what the old program wrote: the car was seen in the car park and at no gate, or the clock of \
                         that machine showed another zone",
                        way.1
                    ),
                ),
                None => Text::new(
                    format!("; không có {} đọc được nên ghi giờ nhận {used}", way.0),
                    format!("; no time of {} could be read; {used} is when it was received", way.1),
                ),
            })
        });
        told.fold(Text::new("Không chắc giờ", "The times are uncertain"), |text, more| text.and(Some(more)))
    }

    fn may_be_told_twice(&self, row: &StayRow, face: &SiteFace<'_>) -> Text {
        let told = self.made(row).into_iter().filter_map(|(fact, _)| {
            let (doubts, request_id, way) = match &fact.event.body {
                Body::Entry(entry) => (&entry.doubts, &entry.request_id, ("lượt vào", "the entry")),
                Body::Exit(exit) => (&exit.doubts, &exit.request_id, ("lượt ra", "the exit")),
                _ => return None,
            };
            doubts.iter().any(|doubt| doubt == Anomaly::MayBeToldTwice.name()).then_some(())?;
            let (at, id) = (face.time(fact.event.timestamp_ms), request_id.as_deref().unwrap_or_default());
            Some(Text::new(
                format!("; {} nhận lúc {at}, mã {id}", way.0),
                format!("; {} received at {at}, id {id}", way.1),
            ))
        });
        if let Some(text) = self.read_otherwise(row) {
            return text;
        }
        let text = Text::new(
            "Cổng đã báo mã này cho xe này vài giờ trước, không kèm giờ: có thể là báo lại lượt cũ",
            "The gate told this id of this car some hours before, without a time: perhaps that passage, sent again",
        );
        told.fold(text, |text, more| text.and(Some(more)))
    }

    /// Of an opening that people read as several cars, on both sides of a cut.
    fn read_otherwise(&self, row: &StayRow) -> Option<Text> {
        let is_of_it = |first: &FactId| self.account.outcomes.get(first).is_some_and(|made| made.made(&row.stay_id));
        let again = self.account.outcomes.iter().filter_map(|(id, outcome)| match outcome {
            Outcome::Repeated { first } if is_of_it(first) => self.facts.get(id),
            _ => None,
        });
        let read = again.filter(|fact| fact.event.request().is_some_and(|(_, id)| opening_read(id).is_some()));
        let plates: Vec<&str> = read.filter_map(|fact| fact.event.recorded_plate()).map(PlateId::as_str).collect();
        (!plates.is_empty()).then(|| {
            let plates = plates.join(", ");
            Text::new(
                format!("Có người đọc cùng lần mở cổng này là xe {plates}: chỉ tính một xe, hãy xem ảnh và sửa biển số nếu sai"),
                format!("Somebody read the same opening as {plates}: one car counts; look at the picture, and correct the plate if it is wrong"),
            )
        })
    }

    fn fee_uncertain(&self, row: &StayRow) -> Text {
        let exit = self.made(row).into_iter().rev().find_map(|(fact, _)| match &fact.event.body {
            Body::Exit(exit) if row.exit.as_ref().is_some_and(|end| end.fact == fact.id) => Some((fact, exit)),
            _ => None,
        });
        let stamped_ms = exit.map(|(fact, _)| fact.event.timestamp_ms);
        let refitted = exit.and_then(|(fact, exit)| self.refitted(row, fact, exit));
        let also = || refitted.clone().map(|text| Text::new(". ", ". ").and(Some(text)));
        // What was not taken is in no fee, and was due.
        let due = |exit: &Exit| Vnd(exit.fee.0.saturating_add(unpaid(&exit.lines).0));
        if let Some((_, exit @ Exit { paid: Some(paid), .. })) = exit
            && paid.total() != due(exit)
        {
            let (paid, fee) = (money(paid.total().0), money(due(exit).0));
            return Text::new(
                format!("Đã thu {}, phí là {}", paid.vi, fee.vi),
                format!("{} were taken, and the fee is {}", paid.en, fee.en),
            )
            .and(also());
        }
        if let Some((_, exit @ Exit { told_fee: Some(told), .. })) = exit {
            let (told, fee) = (money(told.0), money(due(exit).0));
            return Text::new(
                format!("Cổng báo đã thu {}, tính ra {}", told.vi, fee.vi),
                format!("The gate says it took {}, and {} is what is due", told.en, fee.en),
            )
            .and(also());
        }
        if let Some(refitted) = refitted {
            return refitted;
        }
        fee_uncertain(row, stamped_ms)
    }

    /// What an exit took that did not know this entry, by which it knew, and what was due for the stay it ended.
    fn refitted(&self, row: &StayRow, fact: &Fact, exit: &Exit) -> Option<Text> {
        let is_unknown = row.exit.as_ref().is_some_and(|end| end.entry_unknown);
        if !is_unknown || fact.event.timestamp_ms < row.entry_ms {
            return None;
        }
        let face = SiteFace::of_day(self.zone, row.entry_ms);
        let (known, took) = (self.entry_taken(&fact.event, &face), took(exit, exit.fee));
        let stayed = span_between(row.entry_ms, fact.event.timestamp_ms);
        let text = Text::new(
            format!("Lúc ra {}, {}; xe thực gửi {}", known.vi, took.vi, stayed.vi),
            format!("At the exit {}, {}; the car stayed {}", known.en, took.en, stayed.en),
        );
        Some(text.and(self.due.map(|due| {
            let due = money(due.0);
            Text::new(format!(", phí đúng ra là {}", due.vi), format!(", for which {} were due", due.en))
        })))
    }

    fn exit_without_entry(&self, row: &StayRow, face: &SiteFace<'_>) -> Text {
        let (gate, time) = (gate(&row.source_central, &row.edge_id), face.time(row.entry_ms));
        let left = Text::new(format!("tại {} lúc {time}", gate.vi), format!("at {} at {time}", gate.en));
        match self.facts.get(&row.entry_fact).map(|fact| &fact.event.body) {
            Some(Body::Exit(exit)) if row.status != StayStatus::Void => left_alone(&left, exit, row.collected),
            _ => Text::new(
                format!("Lượt ra không có lượt vào {}, đã bị hủy", left.vi),
                format!("An exit without an entry {}, removed", left.en),
            ),
        }
    }

    fn left_unseen(&self, row: &StayRow, face: &SiteFace<'_>) -> Text {
        let next = self.account.outcomes.iter().find_map(|(id, outcome)| match outcome {
            Outcome::Opened { left: Some(left), .. } if *left == row.stay_id => self.facts.get(id),
            _ => None,
        });
        let back = next.map(|fact| {
            let edge = if let Body::Entry(entry) = &fact.event.body { entry.edge_id.as_str() } else { "" };
            let (gate, time) = (gate(&fact.event.source_central, edge), face.time(fact.event.timestamp_ms));
            Text::new(
                format!("Xe vào lại tại {} lúc {time} khi lượt này còn mở", gate.vi),
                format!("The car came in again at {} at {time} while this visit was open", gate.en),
            )
        });
        let seen_later = row.exit.as_ref().map(|exit| {
            let (gate, time) = (gate(&exit.central, &exit.edge_id), face.time(exit.exit_ms));
            Text::new(
                format!("; sau đó có lượt ra tại {} lúc {time}", gate.vi),
                format!("; an exit at {} at {time} was reported later", gate.en),
            )
        });
        back.unwrap_or_default()
            .and(Some(Text::new(
                ": coi như đã ra mà không ghi nhận, không thu phí",
                ": it is taken to have left unseen, without a fee",
            )))
            .and(seen_later)
    }

    fn clock_skew(&self, row: &StayRow) -> Text {
        // Corrections and voids have a part in the row too.
        let concerned = self.account.outcomes.iter().filter(|(_, outcome)| outcome.concerns(&row.stay_id));
        let facts: Vec<&Fact> = concerned
            .filter_map(|(id, _)| self.facts.get(id).copied())
            .filter(|fact| fact.event.skew_ms.is_some_and(|skew| skew.unsigned_abs() > MAX_SKEW_MS))
            .collect();
        Text::new("Giờ ghi có thể sai, hãy chỉnh giờ máy", "The times recorded may be wrong: set the clock")
            .and(Self::skew_note(&facts))
    }
}

fn manual_opening(row: &StayRow, face: &SiteFace<'_>) -> Text {
    let entry = row.entry_manual.then(|| {
        let (gate, time) = (gate(&row.source_central, &row.edge_id), face.time(row.entry_ms));
        Text::new(format!(" khi vào tại {} lúc {time}", gate.vi), format!(" for the entry at {} at {time}", gate.en))
    });
    let exit = row.exit.as_ref().filter(|exit| exit.manual).map(|exit| {
        let (gate, time) = (gate(&exit.central, &exit.edge_id), face.time(exit.exit_ms));
        let joined = if row.entry_manual { (" và", " and") } else { ("", "") };
        Text::new(
            format!("{} khi ra tại {} lúc {time}", joined.0, gate.vi),
            format!("{} for the exit at {} at {time}", joined.1, gate.en),
        )
    });
    Text::new("Nhân viên mở thủ công", "Opened by hand").and(entry).and(exit)
}

fn unknown_type(row: &StayRow) -> Text {
    let told = &row.camera_type;
    Text::new(
        format!("Loại xe {told:?} không có trong danh sách, tính theo giá chung"),
        format!("The vehicle type {told:?} is not known: the base rate is charged"),
    )
}

fn quick_exit(row: &StayRow) -> Text {
    let stayed = row.exit.as_ref().map_or_else(Text::default, |exit| span_between(row.entry_ms, exit.exit_ms));
    Text::new(
        format!("Xe ra chỉ {} sau khi vào: có thể bấm hai lần, hoặc hai máy cùng thấy", stayed.vi),
        format!("The car left {} after it came in: perhaps a second press, or two cameras", stayed.en),
    )
}

/// `stamped_ms`: the time in the exit, which the row shows no earlier than its entry.
/// Whether the time that was told is used and nothing is wrong with when it was told.
fn is_told_at_once(reported: Reported, used_ms: i64) -> bool {
    let late_ms = reported.received_ms.saturating_sub(used_ms);
    reported.told_ms.abs_diff(used_ms) <= MAX_SKEW_MS && late_ms < PASSAGE_WINDOW_MS
}

fn fee_uncertain(row: &StayRow, stamped_ms: Option<i64>) -> Text {
    let Some(exit) = &row.exit else {
        return Text::new("Không rõ phí", "The fee is uncertain");
    };
    let (fee, stayed) = (money(exit.fee.0), span_between(row.entry_ms, exit.exit_ms));
    if let Some(stamped_ms) = stamped_ms.filter(|stamped_ms| *stamped_ms < row.entry_ms) {
        let behind = span_between(stamped_ms, row.entry_ms);
        return Text::new(
            format!("Giờ ra sớm hơn giờ vào {}: đồng hồ các máy lệch nhau, phí {} có thể sai", behind.vi, fee.vi),
            format!(
                "The exit is stamped {} before the entry: clocks differ, and the fee of {} may be wrong",
                behind.en, fee.en
            ),
        );
    }
    if is_long_stay(row.entry_ms, exit.exit_ms) && !exit.manual && exit.fee > Vnd(0) {
        return Text::new(
            format!("Gửi quá 7 ngày ({}) và phí {} chưa có ai kiểm tra", stayed.vi, fee.vi),
            format!("Over 7 days ({}), and nobody has checked the fee of {}", stayed.en, fee.en),
        );
    }
    Text::new(format!("Không chắc phí {} là đúng", fee.vi), format!("The fee of {} is uncertain", fee.en))
}
