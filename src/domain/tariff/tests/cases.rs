//! What public decisions of Vietnamese cities and provinces come to, and what holds of every plan.
//!
//! The amounts and hours are those of the decision that each table names, as the page beside it tells them; where a page does not
//! tell something, the table says what was assumed. Tables named `made up` are of no decision.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::plan::Mixed;
use super::*;

/// A price list, and what stays of it cost: entry, exit, đồng.
struct Decided {
    decision: &'static str,
    rate: Value,
    stays: &'static [(&'static str, &'static str, i64)],
}

fn rate(plan: Value) -> Value {
    json!({"fee_base": 0, "fee_per_hour": 0, "plan": plan})
}

fn by_day_and_night(hours: (&str, &str), day: i64, night: i64, both: Option<i64>) -> Value {
    let (day_from, night_from) = hours;
    rate(json!({"kind": "per_visit", "day_from": day_from, "night_from": night_from, "day": day, "night": night,
        "day_and_night": both}))
}

/// As Hồ Chí Minh City has it since 2018: of a stay in both of less than 12 hours the part that is longer counts.
fn by_the_longer_part(day: i64, night: i64) -> Value {
    rate(json!({"kind": "per_visit", "day_from": "06:00", "night_from": "18:00", "day": day, "night": night,
        "mixed": "longer", "mixed_below_hours": 12}))
}

fn in_steps(first: (u32, i64), steps: Value) -> Value {
    rate(json!({"kind": "steps", "first_minutes": first.0, "first_price": first.1, "steps": steps}))
}

fn tariff(base: Value) -> Tariff {
    Tariff::from_json(&base).unwrap_or_else(|problems| panic!("{problems:?}: {base}"))
}

fn ms(local: &str) -> i64 {
    let text = if local.len() == 16 { format!("{local}:00") } else { local.to_owned() };
    SiteZone::default().parse_local_text(&text).unwrap()
}

fn fee(tariff: &Tariff, camera_type: &str, entry: &str, exit: &str) -> i64 {
    let (entry_ms, exit_ms, zone) = (ms(entry), ms(exit), SiteZone::default());
    let fee = tariff.fee(camera_type, entry_ms, exit_ms, &zone);
    assert_eq!(payment::total(&tariff.lines(camera_type, entry_ms, exit_ms, &zone)), fee);
    fee.0
}

/// Quyết định 35/2018/QĐ-UBND of Hồ Chí Minh City, articles 3.1 and 3.3.
/// <https://danluatold.thuvienphapluat.vn/quy-dinh-gia-giu-xe-toi-da-tai-thanh-pho-ho-chi-minh-191570.aspx>,
/// <https://luatminhkhue.vn/quy-dinh-moi-nhat-ve-tang-muc-gia-dich-vu-trong-giu-xe-o-tp-ho-chi-minh-.aspx>
const HO_CHI_MINH_2018: &str = "35/2018/QĐ-UBND, TP. Hồ Chí Minh";
/// The maximum prices of Hồ Chí Minh City in 2017; night is 21:00 to 05:00. <https://tapchigiaothong.vn/tphcm-ban-hanh-bang-gia-dich-vu-trong-giu-xe-18337901.htm>,
/// <http://bittuot.net/gia-giu-xe-dap-xe-may-o-nam-2017-tai-ho-chi-minh.html>
const HO_CHI_MINH_2017: &str = "giá tối đa dịch vụ trông giữ xe 2017, TP. Hồ Chí Minh";
/// Quyết định 6003/QĐ-UBND of 2017-11-13, the car park of Tân Sơn Nhất airport.
/// <http://www.congbao.hochiminhcity.gov.vn/tin-tuc-tong-hop/gia-dich-vu-trong-giu-xe-tai-nha-%C4%91e-xe-ga-quoc-noi-%E2%80%93-cang-hang-khong-quoc-te-tan-son-nhat>
const TAN_SON_NHAT: &str = "6003/QĐ-UBND, Tân Sơn Nhất";
/// Quyết định 155/QĐ-UBND of Đà Nẵng: day 06:00 to 22:00; other prices on Tết, festivals and events.
/// <https://www.baogiaothong.vn/da-nang-thu-phi-dau-do-xe-tai-cac-bai-do-xe-tap-trung-d242973.html>
const DA_NANG: &str = "155/QĐ-UBND, Đà Nẵng";
/// Quyết định 02/2017/QĐ-UBND of Tiền Giang: day 06:00 to 18:00.
/// <http://tiengiang.gov.vn/vPortal/4/625/1244/101218/Chinh-sach-phap-luat/Tien-Giang--Ban-hanh-quy-dinh-gia-dich-vu-trong-giu-xe-.aspx>
const TIEN_GIANG: &str = "02/2017/QĐ-UBND, Tiền Giang";
/// Quyết định 18/2017/QĐ-UBND of Vĩnh Phúc. The page does not tell the hours of day and night: 06:00 and 18:00 are assumed.
/// <http://doanhnghiep.vinhphuc.gov.vn/ct/cms/chuyenmon/Lists/giaphileph/View_detail.aspx?ItemID=9>
const VINH_PHUC: &str = "18/2017/QĐ-UBND, Vĩnh Phúc";

fn decided() -> Vec<Decided> {
    let of = |decision, rate, stays| Decided { decision, rate, stays };
    let night_from_21 = ("05:00", "21:00");
    let night_from_18 = ("06:00", "18:00");
    vec![
        of(
            HO_CHI_MINH_2018,
            by_the_longer_part(4_000, 6_000),
            &[
                ("2018-11-05 08:00", "2018-11-05 17:00", 4_000),
                ("2018-11-05 19:00", "2018-11-06 05:00", 6_000),
                ("2018-11-05 14:00", "2018-11-05 20:00", 4_000),
                ("2018-11-05 16:00", "2018-11-05 22:00", 6_000),
            ],
        ),
        of(
            HO_CHI_MINH_2018,
            by_the_longer_part(6_000, 9_000),
            &[
                ("2018-11-05 07:30", "2018-11-05 17:30", 6_000),
                ("2018-11-05 18:00", "2018-11-06 06:00", 9_000),
                ("2018-11-05 12:30", "2018-11-05 20:00", 6_000),
                ("2018-11-05 15:30", "2018-11-05 21:00", 9_000),
            ],
        ),
        of(
            HO_CHI_MINH_2018,
            by_the_longer_part(2_000, 4_000),
            &[
                ("2018-11-05 13:00", "2018-11-05 19:00", 2_000),
                ("2018-11-05 17:30", "2018-11-05 23:00", 4_000),
                ("2018-11-05 22:00", "2018-11-06 05:00", 4_000),
            ],
        ),
        of(
            HO_CHI_MINH_2017,
            by_day_and_night(night_from_21, 2_000, 3_000, Some(5_000)),
            &[
                ("2017-03-06 07:00", "2017-03-06 17:00", 2_000),
                ("2017-03-06 21:30", "2017-03-07 04:30", 3_000),
                ("2017-03-06 18:00", "2017-03-07 07:00", 5_000),
            ],
        ),
        of(
            HO_CHI_MINH_2017,
            by_day_and_night(night_from_21, 5_000, 6_000, Some(11_000)),
            &[
                ("2017-03-06 09:00", "2017-03-06 20:59", 5_000),
                ("2017-03-06 22:00", "2017-03-07 05:00", 6_000),
                ("2017-03-06 20:00", "2017-03-06 23:00", 11_000),
            ],
        ),
        of(
            HO_CHI_MINH_2017,
            by_day_and_night(night_from_21, 20_000, 40_000, Some(60_000)),
            &[
                ("2017-03-06 05:00", "2017-03-06 21:00", 20_000),
                ("2017-03-06 21:00", "2017-03-07 05:00", 40_000),
                ("2017-03-06 12:00", "2017-03-07 12:00", 60_000),
                ("2017-03-06 12:00", "2017-03-07 13:00", 80_000),
            ],
        ),
        of(
            HO_CHI_MINH_2017,
            by_day_and_night(night_from_21, 25_000, 50_000, Some(75_000)),
            &[("2017-03-06 10:00", "2017-03-06 11:00", 25_000), ("2017-03-06 19:00", "2017-03-07 06:00", 75_000)],
        ),
        of(
            TAN_SON_NHAT,
            in_steps(
                (240, 6_000),
                json!([{"minutes": 240, "price": 6_000, "until_minutes": 480}, {"minutes": 480, "price": 10_000}]),
            ),
            &[
                ("2018-01-08 08:00", "2018-01-08 12:00", 6_000),
                ("2018-01-08 08:00", "2018-01-08 12:01", 12_000),
                ("2018-01-08 08:00", "2018-01-08 16:00", 12_000),
                ("2018-01-08 08:00", "2018-01-08 16:01", 22_000),
                ("2018-01-08 08:00", "2018-01-09 00:01", 32_000),
            ],
        ),
        of(
            TAN_SON_NHAT,
            in_steps(
                (240, 3_000),
                json!([{"minutes": 240, "price": 3_000, "until_minutes": 480}, {"minutes": 480, "price": 5_000}]),
            ),
            &[("2018-01-08 08:00", "2018-01-08 11:00", 3_000), ("2018-01-08 08:00", "2018-01-08 19:00", 11_000)],
        ),
        of(
            TAN_SON_NHAT,
            in_steps(
                (90, 30_000),
                json!([{"minutes": 60, "price": 10_000, "until_minutes": 1_440}, {"minutes": 720, "price": 75_000}]),
            ),
            &[
                ("2018-01-08 08:00", "2018-01-08 09:30", 30_000),
                ("2018-01-08 08:00", "2018-01-08 09:30:01", 40_000),
                ("2018-01-08 08:00", "2018-01-08 11:00", 50_000),
                ("2018-01-08 08:00", "2018-01-09 08:00", 260_000),
                ("2018-01-08 08:00", "2018-01-09 08:01", 335_000),
                ("2018-01-08 08:00", "2018-01-10 08:00", 410_000),
            ],
        ),
        of(
            TAN_SON_NHAT,
            in_steps(
                (90, 40_000),
                json!([{"minutes": 60, "price": 15_000, "until_minutes": 1_440}, {"minutes": 720, "price": 150_000}]),
            ),
            &[("2018-01-08 08:00", "2018-01-08 10:00", 55_000), ("2018-01-08 08:00", "2018-01-09 09:00", 535_000)],
        ),
        of(
            TAN_SON_NHAT,
            in_steps((90, 50_000), json!([{"minutes": 60, "price": 20_000}])),
            &[("2018-01-08 08:00", "2018-01-08 09:31", 70_000), ("2018-01-08 08:00", "2018-01-08 13:00", 130_000)],
        ),
        of(
            DA_NANG,
            by_day_and_night(("06:00", "22:00"), 4_000, 5_000, None),
            &[
                ("2018-03-05 06:00", "2018-03-05 21:59", 4_000),
                ("2018-03-05 22:00", "2018-03-06 05:59", 5_000),
                ("2018-03-05 20:00", "2018-03-06 07:00", 9_000),
            ],
        ),
        of(
            DA_NANG,
            by_day_and_night(("06:00", "22:00"), 20_000, 25_000, None),
            &[("2018-03-05 08:00", "2018-03-05 10:00", 20_000), ("2018-03-05 23:00", "2018-03-06 05:00", 25_000)],
        ),
        of(
            TIEN_GIANG,
            by_day_and_night(night_from_18, 3_000, 5_000, Some(8_000)),
            &[
                ("2017-05-08 06:00", "2017-05-08 18:00", 3_000),
                ("2017-05-08 18:00", "2017-05-09 05:30", 5_000),
                ("2017-05-08 06:00", "2017-05-09 06:00", 8_000),
                ("2017-05-08 17:00", "2017-05-08 19:00", 8_000),
            ],
        ),
        of(
            TIEN_GIANG,
            by_day_and_night(night_from_18, 1_000, 2_000, Some(3_000)),
            &[("2017-05-08 07:00", "2017-05-08 11:00", 1_000), ("2017-05-08 19:00", "2017-05-08 23:00", 2_000)],
        ),
        of(
            VINH_PHUC,
            by_day_and_night(night_from_18, 8_000, 16_000, Some(24_000)),
            &[
                ("2017-07-03 08:00", "2017-07-03 16:00", 8_000),
                ("2017-07-03 20:00", "2017-07-04 05:00", 16_000),
                ("2017-07-03 08:00", "2017-07-04 08:00", 24_000),
            ],
        ),
        of(
            VINH_PHUC,
            by_day_and_night(night_from_18, 15_000, 30_000, Some(45_000)),
            &[("2017-07-03 09:00", "2017-07-03 09:20", 15_000), ("2017-07-03 09:00", "2017-07-05 09:00", 90_000)],
        ),
    ]
}

#[test]
fn public_decisions_come_to_what_they_say() {
    let mut cases = 0;
    for Decided { decision, rate, stays } in decided() {
        let tariff = tariff(rate);
        for (entry, exit, amount) in stays {
            assert_eq!(fee(&tariff, "", entry, exit), *amount, "{decision}: {entry} to {exit}");
            cases += 1;
        }
    }
    assert!(cases >= 40, "{cases}");
}

/// Đà Nẵng, on Tết (2018-02-16) and on another day.
#[test]
fn a_holiday_has_prices_of_its_own_by_the_day_of_the_entry() {
    let mut json = by_day_and_night(("06:00", "22:00"), 4_000, 5_000, None);
    json["days"] = json!([{"name": "Tết", "dates": ["2018-02-16", "2018-02-17"],
        "types": {"moto": by_day_and_night(("06:00", "22:00"), 5_000, 5_000, Some(5_000)),
                  "car": by_day_and_night(("06:00", "22:00"), 25_000, 25_000, Some(25_000))}}]);
    json["types"] = json!({"car": by_day_and_night(("06:00", "22:00"), 20_000, 25_000, None)});
    let tariff = tariff(json);
    for (camera_type, entry, exit, amount) in [
        ("xe máy", "2018-02-15 09:00", "2018-02-15 10:00", 4_000),
        ("xe máy", "2018-02-16 09:00", "2018-02-16 10:00", 5_000),
        ("Ô tô", "2018-02-16 20:00", "2018-02-17 01:00", 25_000),
        ("Ô tô", "2018-02-15 20:00", "2018-02-16 01:00", 45_000),
        ("Ô tô", "2018-02-18 09:00", "2018-02-18 10:00", 20_000),
        // A type the list does not name pays as on other days.
        ("truck", "2018-02-16 09:00", "2018-02-16 10:00", 4_000),
    ] {
        assert_eq!(fee(&tariff, camera_type, entry, exit), amount, "{camera_type} {entry}");
    }
    let zone = SiteZone::default();
    let lines = tariff.lines("moto", ms("2018-02-16 09:00"), ms("2018-02-16 10:00"), &zone);
    assert_eq!(lines, [FeeLine::of(Part::Day, 1, Vnd(5_000)).because(Some("Tết"))]);
}

/// Made up.
#[test]
fn weekends_nights_months_and_grace_are_counted_as_they_say() {
    let weekend = json!({"fee_base": 0, "fee_per_hour": 10_000, "lost_card": 50_000,
        "days": [{"name": "Cuối tuần", "weekdays": ["sat", "sun"], "rate": {"fee_base": 0, "fee_per_hour": 15_000}}]});
    let nights = rate(json!({"kind": "nights", "per_night": 100_000, "same_day": 30_000, "grace_end_minutes": 30}));
    let months = rate(json!({"kind": "monthly", "per_month": 1_200_000}));
    let grace = rate(
        json!({"kind": "steps", "first_minutes": 60, "first_price": 10_000, "steps": [{"minutes": 60, "price": 5_000}],
        "grace_start_minutes": 10, "grace_end_minutes": 5}),
    );
    for (list, entry, exit, amount) in [
        // 2026-11-27 is a Friday.
        (&weekend, "2026-11-27 23:00", "2026-11-28 01:00", 20_000),
        (&weekend, "2026-11-28 00:00", "2026-11-28 02:00", 30_000),
        (&weekend, "2026-11-29 23:59", "2026-11-30 00:30", 15_000),
        (&weekend, "2026-11-30 00:00", "2026-11-30 00:30", 10_000),
        (&nights, "2026-11-27 09:00", "2026-11-27 23:59", 30_000),
        (&nights, "2026-11-27 23:00", "2026-11-28 00:29", 30_000),
        (&nights, "2026-11-27 23:00", "2026-11-28 00:30", 100_000),
        (&nights, "2026-11-27 12:00", "2026-11-30 12:00", 300_000),
        (&months, "2026-01-31 08:00", "2026-01-31 09:00", 1_200_000),
        (&months, "2026-01-31 08:00", "2026-02-28 08:00", 1_200_000),
        (&months, "2026-01-31 08:00", "2026-02-28 08:01", 2_400_000),
        (&months, "2026-01-15 08:00", "2026-07-15 08:00", 7_200_000),
        (&grace, "2026-11-27 09:00", "2026-11-27 09:10", 0),
        (&grace, "2026-11-27 09:00", "2026-11-27 09:11", 10_000),
        (&grace, "2026-11-27 09:00", "2026-11-27 10:05", 10_000),
        (&grace, "2026-11-27 09:00", "2026-11-27 10:06", 15_000),
    ] {
        assert_eq!(fee(&tariff(list.clone()), "", entry, exit), amount, "{entry} to {exit} by {list}");
    }
    assert_eq!(tariff(weekend).lost_card_line(), Some(FeeLine::of(Part::LostCard, 1, Vnd(50_000))));
}

/// Made up: what a stay costs in both, by each rule, and from when on it costs both.
#[test]
fn a_stay_by_day_and_night_is_charged_by_its_rule() {
    for (mixed, below, exit, amount) in [
        ("both", 24, "19:00", 25_000),
        ("larger", 24, "19:00", 15_000),
        ("longer", 24, "17:59", 10_000),
        ("longer", 24, "18:30", 10_000),
        // Equal parts: the night.
        ("longer", 24, "20:00", 15_000),
        ("longer", 24, "21:00", 15_000),
        ("longer", 3, "18:59", 10_000),
        ("longer", 3, "19:00", 25_000),
    ] {
        let plan = json!({"kind": "per_visit", "day_from": "6:00", "night_from": "18:00", "day": 10_000, "night": 15_000,
            "mixed": mixed, "mixed_below_hours": below});
        let exit = format!("2026-11-27 {exit}");
        assert_eq!(
            fee(&tariff(rate(plan)), "", "2026-11-27 16:00", &exit),
            amount,
            "{mixed} below {below} h, until {exit}"
        );
    }
}

#[test]
fn nonsense_in_a_plan_is_refused_with_the_name_of_its_field() {
    let visit = |change: Value| {
        let mut plan = json!({"kind": "per_visit", "day_from": "06:00", "night_from": "18:00", "day": 1, "night": 2});
        for (name, value) in change.as_object().unwrap() {
            plan[name] = value.clone();
        }
        rate(plan)
    };
    let days = |list: Value| json!({"fee_base": 0, "fee_per_hour": 1, "days": [list]});
    for (value, field) in [
        (rate(json!(5)), "fees.plan"),
        (rate(json!({})), "fees.plan.kind"),
        (rate(json!({"kind": "by_moon"})), "fees.plan.kind"),
        (visit(json!({"day_from": "18:00"})), "fees.plan.night_from"),
        (visit(json!({"day_from": "25:00"})), "fees.plan.day_from"),
        (visit(json!({"day_from": 6})), "fees.plan.day_from"),
        (visit(json!({"day": -1})), "fees.plan.day"),
        (visit(json!({"day": null})), "fees.plan.day"),
        (visit(json!({"night": "5k"})), "fees.plan.night"),
        (visit(json!({"day_and_night": 1})), "fees.plan.day_and_night"),
        (visit(json!({"mixed": "none"})), "fees.plan.mixed"),
        (visit(json!({"mixed_below_hours": 25})), "fees.plan.mixed_below_hours"),
        (visit(json!({"grace_start_minutes": 1_441})), "fees.plan.grace_start_minutes"),
        (visit(json!({"grace": 5})), "fees.plan.grace"),
        (in_steps((0, 5), json!([])), "fees.plan.first_minutes"),
        (in_steps((60, 5), json!([{"minutes": 0, "price": 1}])), "fees.plan.steps[0].minutes"),
        (
            in_steps((60, 5), json!([{"minutes": 60, "price": 1, "until_minutes": 60}])),
            "fees.plan.steps[0].until_minutes",
        ),
        (
            in_steps((60, 5), json!([{"minutes": 60, "price": 1}, {"minutes": 60, "price": 1}])),
            "fees.plan.steps[0].until_minutes",
        ),
        (rate(json!({"kind": "nights", "per_night": 1, "same_day": 2})), "fees.plan.same_day"),
        (rate(json!({"kind": "monthly", "per_month": 100_000_001})), "fees.plan.per_month"),
        (
            days(json!({"name": "", "dates": ["2026-02-17"], "rate": {"fee_base": 0, "fee_per_hour": 1}})),
            "fees.days[0].name",
        ),
        (
            days(json!({"name": "Tết", "dates": ["2026-02-30"], "rate": {"fee_base": 0, "fee_per_hour": 1}})),
            "fees.days[0].dates",
        ),
        (
            days(json!({"name": "Tết", "weekdays": ["t7"], "rate": {"fee_base": 0, "fee_per_hour": 1}})),
            "fees.days[0].weekdays",
        ),
        (days(json!({"name": "Tết", "rate": {"fee_base": 0, "fee_per_hour": 1}})), "fees.days[0].dates"),
        (days(json!({"name": "Tết", "dates": ["2026-02-17"]})), "fees.days[0].rate"),
        (
            days(json!({"name": "Tết", "dates": ["2026-02-17"], "rate": {"fee_base": 0, "fee_per_hour": -1}})),
            "fees.days[0].rate.fee_per_hour",
        ),
        (json!({"fee_base": 0, "fee_per_hour": 1, "lost_card": -1}), "fees.lost_card"),
        (json!({"fee_base": 0, "fee_per_hour": 1, "lost_card": "x"}), "fees.lost_card"),
    ] {
        let problems = Tariff::from_json(&value).expect_err("nonsense");
        let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, [field], "{value}");
    }
}

fn any_price() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 1..100_000_i64]
}

fn any_kind() -> impl Strategy<Value = Value> {
    let visit = (0..24_u32, 1..24_u32, any_price(), any_price(), any_price(), 0..3_usize, 1..=24_u32).prop_map(
        |(from, hours, day, night, more, mixed, below)| {
            let (day_from, night_from) = (from.min(22), (from.min(22) + hours).min(24));
            let mixed = ["both", "larger", "longer"][mixed];
            json!({"kind": "per_visit", "day_from": format!("{day_from:02}:00"), "night_from": format!("{night_from:02}:00"),
                "day": day, "night": night, "day_and_night": if more % 2 == 0 { json!(null) } else { json!(day.max(night) + more) },
                "mixed": mixed, "mixed_below_hours": below})
        },
    );
    let steps = (1..600_u32, any_price(), proptest::collection::vec((1..600_u32, any_price(), 1..900_u32), 0..4))
        .prop_map(|(first, price, steps)| {
            let mut until = first;
            let last = steps.len();
            let steps: Vec<Value> = steps
                .into_iter()
                .enumerate()
                .map(|(index, (minutes, price, more))| {
                    until += more;
                    let ends = if index + 1 == last { json!(null) } else { json!(until) };
                    json!({"minutes": minutes, "price": price, "until_minutes": ends})
                })
                .collect();
            json!({"kind": "steps", "first_minutes": first, "first_price": price, "steps": steps})
        });
    let nights = (any_price(), any_price())
        .prop_map(|(a, b)| json!({"kind": "nights", "per_night": a.max(b), "same_day": a.min(b)}));
    let months = any_price().prop_map(|price| json!({"kind": "monthly", "per_month": price}));
    prop_oneof![visit, steps, nights, months]
}

fn any_plan() -> impl Strategy<Value = Tariff> {
    (any_kind(), 0..30_u32, 0..30_u32).prop_map(|(mut plan, start, end)| {
        plan["grace_start_minutes"] = start.into();
        plan["grace_end_minutes"] = end.into();
        tariff(rate(plan))
    })
}

fn mixed_of(tariff: &Tariff) -> Option<Mixed> {
    match &tariff.base.plan.as_ref()?.kind {
        plan::PlanKind::PerVisit(visit) => Some(visit.mixed),
        _ => None,
    }
}

proptest! {
    #[test]
    fn a_plan_is_read_back_as_written_and_known_to_be_one(tariff in any_plan()) {
        let text = serde_json::to_string(&tariff).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Tariff>(&text).unwrap(), &tariff);
        prop_assert_eq!(Tariff::from_json(&serde_json::from_str(&text).unwrap()), Ok(tariff.clone()));
        prop_assert!(tariff.is_more_than_hourly());
    }

    #[test]
    fn lines_sum_to_the_fee_and_a_stay_within_its_grace_is_free(
        tariff in any_plan(), entry_ms in 0..4_000_000_000_000_i64, stay_ms in 0..40 * 86_400_000_i64,
    ) {
        let zone = SiteZone::default();
        let fee = tariff.fee("", entry_ms, entry_ms + stay_ms, &zone);
        let lines = tariff.lines("", entry_ms, entry_ms + stay_ms, &zone);
        prop_assert!(fee >= Vnd(0));
        prop_assert_eq!(payment::total(&lines), fee);
        prop_assert!(lines.iter().all(|line| line.count.zip(line.price).is_some_and(|(n, price)| n > 0 && n * price.0 == line.amount.0)));
        let grace = i64::from(tariff.base.plan.as_ref().unwrap().grace_start_minutes) * 60_000;
        if stay_ms < grace + 1_000 {
            prop_assert_eq!(fee, Vnd(0));
        }
    }

    /// All but those by the longer part, of which the next test says what holds.
    #[test]
    fn a_fee_does_not_sink_as_the_stay_gets_longer(
        tariff in any_plan(), entry_ms in 0..4_000_000_000_000_i64, stay_ms in 0..20 * 86_400_000_i64, more_ms in 0..2 * 86_400_000_i64,
    ) {
        let zone = SiteZone::default();
        let fee = tariff.fee("", entry_ms, entry_ms + stay_ms, &zone);
        let later = tariff.fee("", entry_ms, entry_ms + stay_ms + more_ms, &zone);
        prop_assume!(mixed_of(&tariff) != Some(Mixed::Longer));
        prop_assert!(fee <= later, "{} and then {}", fee.0, later.0);
    }

    /// By the longer part a stay costs at least the cheaper of both, and never more than by `both`; a day more costs a day and a night more.
    #[test]
    fn by_the_longer_part_a_fee_lies_between_the_cheaper_part_and_both(
        tariff in any_plan(), entry_ms in 0..4_000_000_000_000_i64, stay_ms in 31 * 60_000..20 * 86_400_000_i64,
    ) {
        let Some(plan::PlanKind::PerVisit(visit)) = tariff.base.plan.as_ref().map(|plan| plan.kind.clone()) else { return Ok(()) };
        let with = |mixed| {
            let mut tariff = tariff.clone();
            let Some(plan) = &mut tariff.base.plan else { return tariff };
            (plan.grace_start_minutes, plan.grace_end_minutes) = (0, 0);
            plan.kind = plan::PlanKind::PerVisit(plan::PerVisit { mixed, ..visit.clone() });
            tariff
        };
        let zone = SiteZone::default();
        let cost = |mixed, stay_ms| with(mixed).fee("", entry_ms, entry_ms + stay_ms, &zone).0;
        let longer = cost(Mixed::Longer, stay_ms);
        prop_assert!(visit.day.min(visit.night).0 <= longer && longer <= cost(Mixed::Both, stay_ms));
        prop_assert!(cost(Mixed::Larger, stay_ms) <= cost(Mixed::Both, stay_ms));
        let day_and_night = visit.day_and_night.unwrap_or(visit.day + visit.night).0;
        prop_assert_eq!(cost(Mixed::Longer, stay_ms + 86_400_000), longer + day_and_night);
    }
}
