//! Subscriptions (*thuê bao*): plates that pay by the month or not at all.
//!
//! An active one makes every fee of its plate 0 from its first to its last day, both included.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::plate::PlateId;
use super::problem::{FieldProblem, is_plain_text};
use super::time::is_date;
use super::told::word::folded;

/// The status that pays 0.
pub const ACTIVE: &str = "active";
/// What else is written for it, folded; it is kept as [`ACTIVE`].
const ACTIVE_WORDS: &[&str] = &[
    "active",
    "on",
    "1",
    "true",
    "yes",
    "enabled",
    "enable",
    "valid",
    "hoatdong",
    "danghoatdong",
    "conhan",
    "conhieuluc",
    "hieuluc",
    "kichhoat",
    "dakichhoat",
];
/// What is written for one that pays nothing for its plate, folded; it is kept as it is. Any other word would be one, too, that
/// somebody may have meant otherwise.
const INACTIVE_WORDS: &[&str] = &[
    "",
    "inactive",
    "off",
    "0",
    "false",
    "no",
    "disabled",
    "disable",
    "invalid",
    "expired",
    "cancelled",
    "canceled",
    "suspended",
    "paused",
    "stopped",
    "locked",
    "blocked",
    "deleted",
    "pending",
    "hethan",
    "ngung",
    "tamngung",
    "tamdung",
    "ngunghoatdong",
    "khonghoatdong",
    "khoa",
    "dakhoa",
    "huy",
    "dahuy",
    "chokichhoat",
];
/// What `type` may be. The type is for the office; every active one pays 0.
pub const KINDS: [&str; 3] = ["company", "monthly", "regular"];
/// Longest id, and longest other text of a subscription, in characters. A subscription fits in one event.
pub const MAX_ID_CHARS: usize = 64;
pub const MAX_TEXT_CHARS: usize = 500;
/// Most subscriptions of a site.
pub const MAX_SUBSCRIPTIONS: usize = 20_000;

const ROOT: &str = "subscriptions";

/// One subscription, with the predecessor's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subscription {
    #[schema(pattern = "^[!-~]{1,64}$")]
    pub id: String,
    #[schema(pattern = "^[ .-]*([A-Za-z0-9Đđ][ .-]*){6,12}$")]
    pub plate_number: String,
    #[serde(default)]
    pub owner_name: String,
    /// `company`, `monthly` or `regular`.
    #[serde(rename = "type", default)]
    #[schema(pattern = "^(company|monthly|regular)?$")]
    pub kind: String,
    /// `active` pays 0; anything else pays.
    #[serde(default)]
    pub status: String,
    /// First day, `YYYY-MM-DD` in the site's zone; empty: no bound.
    #[serde(default)]
    #[schema(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    pub start_date: String,
    /// Last day, itself included; empty: no bound.
    #[serde(default)]
    #[schema(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    pub end_date: String,
    #[serde(default)]
    pub phone: String,
    #[serde(default)]
    pub note: String,
}

impl Subscription {
    /// Whether this plate pays 0 on this day of the site (`YYYY-MM-DD`, see `SiteZone::day`).
    pub fn active_for(&self, plate: &PlateId, day: &str) -> bool {
        self.active_on(day) && plate.is_written(&self.plate_number)
    }

    /// Whether it is in force on this day of the site (`YYYY-MM-DD`), whoever comes. A bound that is no date, which no
    /// checked subscription has, is never met: a slip of the pen makes nobody park for free.
    pub fn active_on(&self, day: &str) -> bool {
        // Dates of this shape sort as texts.
        let begun = self.start_date.is_empty() || (is_date(&self.start_date) && self.start_date.as_str() <= day);
        let not_over = self.end_date.is_empty() || (is_date(&self.end_date) && day <= self.end_date.as_str());
        self.status == ACTIVE && begun && not_over
    }

    /// What is wrong with it, each field under `field` (`subscriptions[3]`); empty: it can be used.
    pub fn check(&self, field: &str) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        if self.id.trim().is_empty() {
            problems.push(FieldProblem::missing(format!("{field}.id")));
        }
        for (name, text, max_chars) in [
            ("id", &self.id, MAX_ID_CHARS),
            ("owner_name", &self.owner_name, MAX_TEXT_CHARS),
            ("status", &self.status, MAX_ID_CHARS),
            ("phone", &self.phone, MAX_TEXT_CHARS),
            ("note", &self.note, MAX_TEXT_CHARS),
        ] {
            if !is_plain_text(text, max_chars) {
                problems.push(FieldProblem::bad_text(format!("{field}.{name}"), max_chars));
            }
        }
        if let Err(error) = PlateId::alone(&self.plate_number) {
            let message = error.to_string();
            problems.push(FieldProblem::new(
                format!("{field}.plate_number"),
                "bad_plate",
                "không phải biển số (6 đến 12 chữ và số)",
                message,
            ));
        }
        if !self.kind.is_empty() && !KINDS.contains(&self.kind.as_str()) {
            let kinds = KINDS.join(", ");
            problems.push(FieldProblem::new(
                format!("{field}.type"),
                "unknown_value",
                format!("phải là một trong: {kinds}"),
                format!("must be one of {kinds}"),
            ));
        }
        let word = folded(&self.status);
        if !ACTIVE_WORDS.contains(&word.as_str()) && !INACTIVE_WORDS.contains(&word.as_str()) {
            problems.push(FieldProblem::new(
                format!("{field}.status"),
                "unknown_value",
                format!("{:?} không rõ nghĩa: ghi active (đang hiệu lực) hoặc inactive", self.status),
                format!("{:?} is not known: say active or inactive", self.status),
            ));
        }
        for (name, date) in [("start_date", &self.start_date), ("end_date", &self.end_date)] {
            if !date.is_empty() && !is_date(date) {
                problems.push(FieldProblem::new(
                    format!("{field}.{name}"),
                    "bad_date",
                    "phải là ngày dạng NĂM-THÁNG-NGÀY, ví dụ 2025-12-31",
                    "must be a date YYYY-MM-DD",
                ));
            }
        }
        if is_date(&self.start_date) && is_date(&self.end_date) && self.end_date < self.start_date {
            problems.push(FieldProblem::new(
                format!("{field}.end_date"),
                "out_of_range",
                "phải từ ngày bắt đầu trở đi",
                "must not be before start_date",
            ));
        }
        problems
    }

    /// An absent or null text is empty; an id may be a number, as some files have it.
    fn from_json(object: &Map<String, Value>, field: &str, problems: &mut Vec<FieldProblem>) -> Self {
        const KEYS: [&str; 9] =
            ["id", "plate_number", "owner_name", "type", "status", "start_date", "end_date", "phone", "note"];
        for key in object.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            problems.push(FieldProblem::unknown_key(format!("{field}.{key}")));
        }
        let mut text = |name: &str| match object.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) if ["id", "phone", "status"].contains(&name) => number.to_string(),
            Some(Value::Bool(flag)) if name == "status" => flag.to_string(),
            Some(_) => {
                problems.push(FieldProblem::wrong_type(format!("{field}.{name}"), "chữ", "a text"));
                String::new()
            }
        };
        let status = text("status");
        let status = if ACTIVE_WORDS.contains(&folded(&status).as_str()) { ACTIVE.to_owned() } else { status };
        Self {
            id: text("id"),
            plate_number: text("plate_number"),
            owner_name: text("owner_name"),
            kind: text("type"),
            status,
            start_date: text("start_date"),
            end_date: text("end_date"),
            phone: text("phone"),
            note: text("note"),
        }
    }
}

/// Reads the value of `subscriptions` in a request, the whole list.
///
/// # Errors
/// Every wrong, missing or unknown field by its name (`subscriptions[3].end_date`), and ids that occur twice.
pub fn list_from_json(value: &Value) -> Result<Vec<Subscription>, Vec<FieldProblem>> {
    let Some(items) = value.as_array() else {
        return Err(vec![FieldProblem::wrong_type(ROOT, "một danh sách", "a list")]);
    };
    if items.len() > MAX_SUBSCRIPTIONS {
        let message_vi = format!("tối đa {MAX_SUBSCRIPTIONS} thuê bao");
        let message = format!("has more than {MAX_SUBSCRIPTIONS} subscriptions");
        return Err(vec![FieldProblem::new(ROOT, "too_many", message_vi, message)]);
    }
    let mut problems = Vec::new();
    let mut list = Vec::with_capacity(items.len());
    let mut ids = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let field = format!("{ROOT}[{index}]");
        let Some(object) = item.as_object() else {
            problems.push(FieldProblem::wrong_type(field, "một đối tượng", "an object"));
            continue;
        };
        let mut unreadable = Vec::new();
        let subscription = Subscription::from_json(object, &field, &mut unreadable);
        // A field that could not be read is empty now: what is said of that would only confuse.
        let said: BTreeSet<String> = unreadable.iter().map(|problem| problem.field.clone()).collect();
        problems.extend(unreadable);
        problems.extend(subscription.check(&field).into_iter().filter(|problem| !said.contains(&problem.field)));
        if !subscription.id.is_empty() && !ids.insert(subscription.id.clone()) {
            problems.push(FieldProblem::new(
                format!("{field}.id"),
                "duplicate",
                format!("mã {:?} bị trùng", subscription.id),
                format!("{:?} occurs twice", subscription.id),
            ));
        }
        list.push(subscription);
    }
    if problems.is_empty() { Ok(list) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(value: Value) -> Subscription {
        let mut object = json!({"id": "s1", "plate_number": "29A-123.45", "status": "active"});
        object.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        list_from_json(&json!([object])).unwrap().remove(0)
    }

    /// `on` was accepted and never applied.
    #[test]
    fn a_status_is_read_in_every_common_spelling_and_an_unknown_one_is_refused() {
        let plate = PlateId::parse("29A12345").unwrap();
        for (told, active) in [
            (json!("active"), true),
            (json!("Active"), true),
            (json!(" ON "), true),
            (json!(true), true),
            (json!(1), true),
            (json!("Đang hoạt động"), true),
            (json!("còn hạn"), true),
            (json!("inactive"), false),
            (json!("off"), false),
            (json!(false), false),
            (json!("Hết hạn"), false),
            (json!("tạm ngưng"), false),
            (json!(""), false),
        ] {
            assert_eq!(one(json!({"status": told})).active_for(&plate, "2025-12-03"), active, "{told}");
        }
        for unknown in ["perhaps", "vip", "2"] {
            let list = json!([{"id": "s1", "plate_number": "29A-123.45", "status": unknown}]);
            let problems = list_from_json(&list).unwrap_err();
            assert_eq!((problems[0].field.as_str(), problems[0].code), ("subscriptions[0].status", "unknown_value"));
        }
        for word in ACTIVE_WORDS.iter().chain(INACTIVE_WORDS) {
            assert_eq!(folded(word), **word);
        }
        assert!(ACTIVE_WORDS.iter().all(|word| !INACTIVE_WORDS.contains(word)));
    }

    #[test]
    fn an_active_one_pays_nothing_from_its_first_to_its_last_day() {
        let plate = PlateId::parse("29A12345").unwrap();
        let december = json!({"start_date": "2025-12-01", "end_date": "2025-12-31"});
        for (fields, day, active) in [
            (json!({}), "2025-12-03", true),
            (december.clone(), "2025-11-30", false),
            (december.clone(), "2025-12-01", true),
            (december.clone(), "2025-12-31", true),
            (december, "2026-01-01", false),
            (json!({"end_date": "2025-12-31"}), "1999-01-01", true),
            (json!({"start_date": "2025-12-31"}), "2099-01-01", true),
            (json!({"type": "regular"}), "2025-12-03", true),
            (json!({"status": "expired"}), "2025-12-03", false),
            (json!({"status": null}), "2025-12-03", false),
        ] {
            assert_eq!(one(fields.clone()).active_for(&plate, day), active, "{fields} on {day}");
        }
    }

    #[test]
    fn it_is_for_one_plate_however_that_is_written() {
        let subscription = one(json!({"plate_number": " 29mđ1 - 123.45"}));
        assert_eq!(PlateId::parse(&subscription.plate_number), PlateId::parse("29MD112345"));
        for (plate, covered) in [("29MĐ1-123.45", true), ("29MD112345", true), ("29MD112346", false)] {
            assert_eq!(subscription.active_for(&PlateId::parse(plate).unwrap(), "2025-12-03"), covered, "{plate}");
        }
    }

    #[test]
    fn a_bound_that_is_no_date_makes_nobody_park_for_free() {
        let plate = PlateId::parse("29A12345").unwrap();
        for (start_date, end_date) in [("soon", ""), ("", "never"), ("2025-12-1", ""), ("", "9999")] {
            let mut subscription = one(json!({}));
            subscription.start_date = start_date.into();
            subscription.end_date = end_date.into();
            assert!(!subscription.active_for(&plate, "2025-12-03"), "{start_date} {end_date}");
        }
    }

    #[test]
    fn wrong_lists_are_refused_with_the_names_of_the_fields() {
        let good = json!({"id": "a", "plate_number": "29A12345"});
        let with = |key: &str, value: Value| {
            let mut object = good.clone();
            object[key] = value;
            json!([object])
        };
        for (value, field, code) in [
            (json!({}), "subscriptions", "wrong_type"),
            (json!([1]), "subscriptions[0]", "wrong_type"),
            (json!([good, good]), "subscriptions[1].id", "duplicate"),
            (with("id", json!("")), "subscriptions[0].id", "missing"),
            (with("id", json!(["a"])), "subscriptions[0].id", "wrong_type"),
            (with("id", json!("a\u{0}")), "subscriptions[0].id", "bad_text"),
            (with("plate_number", json!("29")), "subscriptions[0].plate_number", "bad_plate"),
            (with("plate_number", json!(null)), "subscriptions[0].plate_number", "bad_plate"),
            (with("type", json!("vip")), "subscriptions[0].type", "unknown_value"),
            (with("start_date", json!("31/12/2025")), "subscriptions[0].start_date", "bad_date"),
            (with("end_date", json!("2025-02-29")), "subscriptions[0].end_date", "bad_date"),
            (with("note", json!("x".repeat(501))), "subscriptions[0].note", "bad_text"),
            (with("price", json!(1)), "subscriptions[0].price", "unknown_key"),
            (
                json!([{"id": "a", "plate_number": "29A12345", "start_date": "2025-12-02", "end_date": "2025-12-01"}]),
                "subscriptions[0].end_date",
                "out_of_range",
            ),
        ] {
            let problems = list_from_json(&value).expect_err("nonsense");
            let named: Vec<_> = problems.iter().map(|problem| (problem.field.as_str(), problem.code)).collect();
            assert_eq!(named, [(field, code)], "{value}");
        }
    }

    #[test]
    fn the_predecessors_list_is_read_and_written_as_it_is() {
        let file = json!([{
            "id": "SUB001", "plate_number": "29A-123.45", "owner_name": "Nguyễn Văn A", "type": "monthly",
            "status": "active", "start_date": "2025-01-01", "end_date": "2025-12-31", "phone": "0901234567", "note": ""
        }]);
        let list = list_from_json(&file).unwrap();
        assert_eq!(serde_json::to_value(&list).unwrap(), file);
        assert_eq!(list_from_json(&json!([])), Ok(Vec::new()));
    }
}
