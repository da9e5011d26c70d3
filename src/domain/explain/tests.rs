//! The sentences, one table per kind, and what holds of all of them.

use proptest::prelude::*;

use super::*;
use crate::domain::event::Body;
use crate::domain::payment::{FeeLine, Method, Paid, Part};
use crate::domain::stay::tests::build::*;
use crate::domain::stay::tests::generate::facts;

/// 2024-12-02 07:30:00 at the site.
const MORNING_MS: i64 = 1_733_099_400_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

fn at(seconds: i64) -> i64 {
    MORNING_MS + seconds * 1_000
}

/// What is told of the anomaly of a stay.
#[track_caller]
fn told(facts: &[Fact], stay_id: &str, anomaly: Anomaly) -> (String, String) {
    let zone = SiteZone::default();
    let found = Explainer::new(facts, &zone).anomalies(stay_id);
    let found = found.into_iter().find(|(kind, _)| *kind == anomaly);
    let (_, text) = found.unwrap_or_else(|| panic!("{stay_id} has no {anomaly:?}"));
    (text.vi, text.en)
}

/// The story of a stay, in Vietnamese.
fn story(facts: &[Fact], stay_id: &str) -> Vec<String> {
    let zone = SiteZone::default();
    let explainer = Explainer::new(facts, &zone);
    explainer.story(stay_id).into_iter().map(|told| told.text.vi).collect()
}

fn text(vi: &str, en: &str) -> (String, String) {
    (vi.to_owned(), en.to_owned())
}

#[test]
fn which_of_two_entries_is_kept_and_whose_clock_was_off() {
    let facts = [entry("A", at(5), "S1", P), entry("B", at(46), "S2", P).skewed(41_000)];
    let expected = text(
        "Giữ lượt vào cổng in (A) 07:30:05 vì sớm hơn; lượt vào cổng in (B) 07:30:46 không mở lượt mới; \
         đồng hồ B nhanh 41 giây",
        "The entry at gate in (A) at 07:30:05 is kept because it is earlier; the entry at gate in (B) at 07:30:46 begins no \
         visit; the clock of B is 41 s fast",
    );
    assert_eq!(told(&facts, "S2", Anomaly::DoubleEntry), expected);
    // The kept stay tells it in the same words.
    assert_eq!(story(&facts, "S1")[1], expected.0);

    let same_time = [entry("A", at(5), "S1", P), entry("B", at(5), "S2", P)];
    assert!(told(&same_time, "S2", Anomaly::DoubleEntry).0.contains("(cùng lúc, chọn theo thứ tự cố định)"));
    let same_second = [entry("A", at(5), "S1", P), entry("B", at(5) + 41, "S2", P)];
    let (vi, _) = told(&same_second, "S2", Anomaly::DoubleEntry);
    assert!(vi.contains("(A) 07:30:05.000 vì sớm hơn") && vi.contains("(B) 07:30:05.041"), "{vi}");
    let later_by_its_clock = [entry("A", at(5), "S1", P).at_ms(at(60)), entry("B", at(9), "S2", P).skewed(-90_000)];
    let (vi, _) = told(&later_by_its_clock, "S2", Anomaly::DoubleEntry);
    assert!(vi.contains("vì đứng trước trong thứ tự chung") && vi.ends_with("; đồng hồ B chậm 90 giây"), "{vi}");
}

#[test]
fn a_second_exit_names_both_and_the_sum() {
    let facts = [
        entry("A", at(0), "S1", P),
        exit("A", at(3_600), "S1", 25_000),
        exit("B", at(3_660), "S1", 50_000).skewed(7_260_000),
    ];
    assert_eq!(
        told(&facts, "S1", Anomaly::DoubleExit),
        text(
            "Xe ra tại cổng out (A) lúc 08:30:00 (thu 25.000 đ), ra thêm tại cổng out (B) lúc 08:31:00 (thu 50.000 đ); \
             tất cả đã thu 75.000 đ; đồng hồ B nhanh 2 giờ 1 phút",
            "The car left at gate out (A) at 08:30:00 (25,000 đ taken), and again at gate out (B) at 08:31:00 (50,000 đ taken); \
             75,000 đ taken in all; the clock of B is 2 h 1 min fast",
        )
    );
}

#[test]
fn exits_that_nobody_saw_come_in_and_cars_that_nobody_saw_leave() {
    let alone = [exit_unknown("B", at(0), "X1", P, 9_000)];
    assert_eq!(
        told(&alone, "X1", Anomaly::ExitWithoutEntry),
        text(
            "Xe ra tại cổng out (B) lúc 07:30:00 mà không có lượt vào nào; nhân viên mở thủ công, thu 9.000 đ",
            "The car left at gate out (B) at 07:30:00 without any entry; it was let out by hand, 9,000 đ was taken",
        )
    );
    let replaced = [entry("A", at(0), "S1", P), entry("B", at(86_400), "S2", P).replaces("S1")];
    assert_eq!(
        told(&replaced, "S1", Anomaly::LeftUnseen),
        text(
            "Xe vào lại tại cổng in (B) lúc 03/12/2024 07:30:00 khi lượt này còn mở: coi như đã ra mà không ghi nhận, \
             không thu phí",
            "The car came in again at gate in (B) at 03/12/2024 07:30:00 while this visit was open: it is taken to have left \
             unseen, without a fee",
        )
    );
    assert_eq!(
        told(&replaced, "S2", Anomaly::ManualOpening),
        text(
            "Nhân viên mở thủ công khi vào tại cổng in (B) lúc 07:30:00",
            "Opened by hand for the entry at gate in (B) at 07:30:00",
        )
    );
}

#[test]
fn what_is_uncertain_about_a_fee() {
    let unknown = [entry("A", at(0), "S1", P), exit_unknown("B", at(7_200), "X1", P, 9_000)];
    assert_eq!(
        told(&unknown, "S1", Anomaly::FeeUncertain).0,
        "Lúc ra cổng này chưa biết lượt vào, thu 9.000 đ; xe thực gửi 2 giờ 0 phút"
    );
    let refitted = [
        entry("A", at(0), "S1", P),
        exit("A", at(3_600), "S1", 25_000),
        entry("A", at(36_000), "S2", P),
        exit("B", at(39_600), "S1", 275_000),
    ];
    assert_eq!(
        told(&refitted, "S2", Anomaly::FeeUncertain),
        text(
            "Lúc ra cổng này tính từ lượt vào lúc 07:30:00 đã kết thúc trước đó, thu 275.000 đ; xe thực gửi 1 giờ 0 phút",
            "At the exit that gate charged since the entry at 07:30:00, whose visit had ended before, 275,000 đ was taken; \
             the car stayed 1 h 0 min",
        )
    );
    assert_eq!(
        story(&refitted, "S2")[1],
        "Xe ra tại cổng out (B) lúc 18:30:00; cổng này tính từ lượt vào lúc 07:30:00 đã kết thúc trước đó, thu 275.000 đ"
    );
    let zone = SiteZone::default();
    let explainer = Explainer::new(&refitted, &zone)
        .with_due("S2", |row| row.exit.as_ref().filter(|exit| exit.entry_unknown).map(|_| Vnd(25_000)));
    let said = explainer.anomalies("S2").remove(0).1;
    assert!(said.vi.ends_with("; xe thực gửi 1 giờ 0 phút, phí đúng ra là 25.000 đ"), "{said:?}");
    assert!(said.en.ends_with("; the car stayed 1 h 0 min, for which 25,000 đ were due"), "{said:?}");
    // What the gate told of it, or was paid, is said first.
    let paid = Some(Paid { method: Method::Cash, amount: Vnd(30_000), reference: None, also: Vec::new() });
    for (exit, first) in [
        (
            refitted[3].clone().change_exit(|exit| exit.told_fee = Some(Vnd(30_000))),
            "Cổng báo đã thu 30.000 đ, tính ra",
        ),
        (refitted[3].clone().change_exit(|exit| exit.paid = paid), "Đã thu 30.000 đ, phí là"),
    ] {
        let facts = [&refitted[..3], &[exit]].concat();
        let (vi, _) = told(&facts, "S2", Anomaly::FeeUncertain);
        let then = "275.000 đ. Lúc ra cổng này tính từ lượt vào lúc 07:30:00 đã kết thúc trước đó, thu";
        assert!(vi.starts_with(&format!("{first} {then}")), "{vi}");
    }
    // Of what was not taken, too, it is said what was due.
    let short = [FeeLine::new(Part::Hour, Vnd(100_000)), FeeLine::new(Part::Unpaid, Vnd(-25_000))];
    let cash = Paid { method: Method::Cash, amount: Vnd(75_000), reference: None, also: Vec::new() };
    for (told_fee, paid, said) in [
        (Some(Vnd(75_000)), None, "Cổng báo đã thu 75.000 đ, tính ra 100.000 đ"),
        (None, Some(cash.clone()), "Đã thu 75.000 đ, phí là 100.000 đ"),
        (Some(Vnd(75_000)), Some(cash), "Đã thu 75.000 đ, phí là 100.000 đ"),
    ] {
        let exit = exit("B", at(3_600), "S1", 75_000).change_exit(|exit| {
            exit.lines = short.to_vec();
            (exit.told_fee, exit.paid, exit.doubts) = (told_fee, paid.clone(), vec!["fee_uncertain".to_owned()]);
        });
        assert_eq!(told(&[entry("A", at(0), "S1", P), exit], "S1", Anomaly::FeeUncertain).0, said);
    }
    // Told before its entry, by a program that says nothing of money.
    let early = exit_unknown("B", at(7_200), "X1", P, 0).change_exit(|exit| (exit.told, exit.force) = (true, false));
    let (vi, en) = told(&[entry("A", at(0), "S1", P), early.clone()], "S1", Anomaly::FeeUncertain);
    assert_eq!(vi, "Lúc ra cổng này chưa biết lượt vào, không báo đã thu bao nhiêu; xe thực gửi 2 giờ 0 phút");
    assert_eq!(
        en,
        "At the exit that gate did not know of the entry, and did not say what was taken; the car stayed 2 h 0 min"
    );
    assert_eq!(
        story(&[early], "X1")[0],
        "Xe ra tại cổng out (B) lúc 09:30:00 mà không có lượt vào nào; cổng báo lại sau khi xe đã ra, không báo đã thu bao nhiêu"
    );
    let before = [entry("A", at(0), "S1", P), exit("B", at(1), "S1", 0).at_ms(at(-300))];
    assert_eq!(
        told(&before, "S1", Anomaly::FeeUncertain).0,
        "Giờ ra sớm hơn giờ vào 5 phút: đồng hồ các máy lệch nhau, phí 0 đ có thể sai"
    );
    let long = [entry("A", at(0), "S1", P), exit("B", at(8 * 86_400), "S1", 75_000)];
    assert_eq!(
        told(&long, "S1", Anomaly::FeeUncertain).0,
        "Gửi quá 7 ngày (192 giờ 0 phút) và phí 75.000 đ chưa có ai kiểm tra"
    );
}

#[test]
fn types_that_do_not_go_together_are_called_as_people_call_them() {
    let facts = [
        entry("A", at(0), "S1", P),
        exit("B", at(60), "S1", 0).change_exit(|exit| exit.camera_type = Some("moto".into())),
    ];
    assert_eq!(
        told(&facts, "S1", Anomaly::OtherType),
        text(
            "Cùng ký tự biển số nhưng khác loại xe (Ô tô và Xe máy): có thể là hai xe, hãy xem lại hai biển số",
            "Told as car and as motorbike: perhaps two vehicles whose plates have the same characters",
        )
    );
}

#[test]
fn a_clock_that_is_off_is_named() {
    let facts = [entry("A", at(0), "S1", P).skewed(-3 * HOUR_MS), exit("B", at(60), "S1", 0).skewed(5_000)];
    assert_eq!(
        told(&facts, "S1", Anomaly::ClockSkew),
        text(
            "Giờ ghi có thể sai, hãy chỉnh giờ máy; đồng hồ A chậm 3 giờ 0 phút",
            "The times recorded may be wrong: set the clock; the clock of A is 3 h 0 min slow",
        )
    );
}

#[test]
fn the_story_of_a_visit_with_everything_in_it() {
    let begin = entry("A", at(0), "S1", P).request("r");
    let again = entry("B", at(20), "S9", P).request("r");
    let leave = exit("B", at(91 * 60), "S1", 50_000);
    let renamed = correction("A", at(600), "S1", Q).change(|event| {
        if let Body::Correction(correction) = &mut event.body {
            correction.by = Some("Lan".to_owned());
        }
    });
    let mut facts = vec![leave.clone(), renamed, confirmed("A", at(4), "S1"), begin.clone(), again];
    assert_eq!(
        story(&facts, "S1"),
        [
            "Xe 29A12345 vào tại cổng in (A) lúc 07:30:00",
            "Barie đóng sau xe tại cổng in (A) lúc 07:30:04",
            "Lặp lại tại cổng in (B) lúc 07:30:20: cùng một yêu cầu đã ghi tại cổng in (A) lúc 07:30:00, chỉ tính một lần",
            "Sửa biển số thành view 30B54321 bởi Lan lúc 07:40:00: misread",
            "Xe ra tại cổng out (B) lúc 09:01:00, gửi 1 giờ 31 phút, phí 50.000 đ",
        ]
    );
    facts.push(void("B", at(7_200), "S1", &[&begin, &leave]));
    assert_eq!(
        story(&facts, "S1"),
        [
            "Lượt vào tại cổng in (A) lúc 07:30:00 đã bị hủy",
            "Xác nhận đóng barie tại cổng in (A) lúc 07:30:04 đã bị hủy",
            "Lặp lại tại cổng in (B) lúc 07:30:20: cùng một yêu cầu đã ghi tại cổng in (A) lúc 07:30:00, chỉ tính một lần",
            "Sửa biển số thành view 30B54321 bởi Lan lúc 07:40:00: misread",
            "Lượt ra tại cổng out (B) lúc 09:01:00 đã bị hủy, 50.000 đ không tính vào doanh thu",
            "Hủy lượt này lúc 09:30:00: test",
        ]
    );
}

#[test]
fn what_waits_says_for_what() {
    let early = exit("B", at(0), "S9", 5);
    let zone = SiteZone::default();
    let explainer = Explainer::new(std::slice::from_ref(&early), &zone);
    assert_eq!(
        explainer.story("S9")[0].text.vi,
        "Lượt ra tại cổng out (B) lúc 07:30:00 chờ lượt vào S9 được gửi tới; có hiệu lực ngay khi nhận được"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_is_told_the_same_on_every_central(
        (facts, shuffled) in facts(14).prop_flat_map(|facts| (Just(facts.clone()), Just(facts).prop_shuffle())),
    ) {
        let zone = SiteZone::default();
        let (here, there) = (Explainer::new(&facts, &zone), Explainer::new(&shuffled, &zone));
        for row in &here.account.resolution.rows {
            let (told, anomalies) = (here.story(&row.stay_id), here.anomalies(&row.stay_id));
            prop_assert_eq!(&told, &there.story(&row.stay_id));
            prop_assert_eq!(&anomalies, &there.anomalies(&row.stay_id));
            prop_assert!(told.iter().any(|told| told.fact.id == row.entry_fact), "a story begins somewhere: {row:#?} {:#?}", here.account.outcomes);
            prop_assert_eq!(anomalies.len(), row.anomalies.len());
            for text in told.iter().map(|told| &told.text).chain(anomalies.iter().map(|(_, text)| text)) {
                prop_assert!(!text.vi.is_empty() && !text.en.is_empty(), "{:?}", row);
            }
        }
    }
}
