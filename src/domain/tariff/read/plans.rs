//! Plans and day lists as a request gives them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::plan::{Mixed, Monthly, Nights, PerVisit, Plan, PlanKind, Step, TariffSteps};
use super::super::{DayList, MAX_DATES, MAX_LISTS, MAX_NAME_CHARS, ROOT, Rate, Weekday};
use super::{rates, whole_number};
use crate::domain::money::Vnd;
use crate::domain::problem::{FieldProblem, is_plain_text};
use crate::domain::time::{ClockTime, is_date};

/// Reads the fields of one object and notes what is wrong with them.
struct PlanFields<'f> {
    object: &'f Map<String, Value>,
    field: String,
    problems: &'f mut Vec<FieldProblem>,
    known: Vec<&'static str>,
}

impl<'f> PlanFields<'f> {
    fn of(value: &'f Value, field: String, problems: &'f mut Vec<FieldProblem>) -> Option<Self> {
        match value.as_object() {
            Some(object) => Some(Self { object, field, problems, known: Vec::new() }),
            None => {
                problems.push(FieldProblem::wrong_type(field, "một đối tượng", "an object"));
                None
            }
        }
    }

    /// The value that is there; null is as good as absent.
    fn value(&mut self, name: &'static str) -> Option<&'f Value> {
        self.known.push(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.field)
    }

    fn wrong(&mut self, name: &str, vi: &str, en: &str) {
        let field = self.field(name);
        self.problems.push(FieldProblem::wrong_type(field, vi, en));
    }

    fn missing(&mut self, name: &str) {
        let field = self.field(name);
        self.problems.push(FieldProblem::missing(field));
    }

    fn optional_price(&mut self, name: &'static str) -> Option<Vnd> {
        let value = self.value(name)?;
        let price = whole_number(value);
        if price.is_none() {
            self.wrong(name, "số nguyên (đồng)", "a whole number of VND");
        }
        price.map(Vnd)
    }

    fn price(&mut self, name: &'static str) -> Vnd {
        if self.value(name).is_none() {
            self.missing(name);
        }
        self.optional_price(name).unwrap_or_default()
    }

    fn optional_number(&mut self, name: &'static str) -> Option<u32> {
        let value = self.value(name)?;
        let number = whole_number(value).and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.wrong(name, "số nguyên, không âm", "a whole number, not negative");
        }
        number
    }

    /// One that has to be there; 1 stands for what cannot be read, and is said to be wrong.
    fn number(&mut self, name: &'static str) -> u32 {
        if self.value(name).is_none() {
            self.missing(name);
        }
        self.optional_number(name).unwrap_or(1)
    }

    fn clock(&mut self, name: &'static str) -> Option<ClockTime> {
        let Some(value) = self.value(name) else {
            self.missing(name);
            return None;
        };
        let time = value.as_str().and_then(|text| text.parse().ok());
        if time.is_none() {
            self.wrong(name, "giờ trong ngày, ví dụ 06:00", "a time of day such as 06:00");
        }
        time
    }

    /// Says which keys mean nothing.
    fn end(self) {
        let unknown = self.object.keys().filter(|key| !self.known.contains(&key.as_str()));
        self.problems.extend(unknown.map(|key| FieldProblem::unknown_key(format!("{}.{key}", self.field))));
    }
}

/// `None`: it cannot be read, and is said to be wrong.
pub(super) fn plan(value: &Value, field: String, problems: &mut Vec<FieldProblem>) -> Option<Plan> {
    let mut fields = PlanFields::of(value, field, problems)?;
    let grace_start_minutes = fields.optional_number("grace_start_minutes").unwrap_or(0);
    let grace_end_minutes = fields.optional_number("grace_end_minutes").unwrap_or(0);
    let kind = match fields.value("kind").and_then(Value::as_str) {
        Some("per_visit") => per_visit(&mut fields).map(PlanKind::PerVisit),
        Some("steps") => Some(PlanKind::Steps(steps(&mut fields))),
        Some("nights") => {
            Some(PlanKind::Nights(Nights { per_night: fields.price("per_night"), same_day: fields.price("same_day") }))
        }
        Some("monthly") => Some(PlanKind::Monthly(Monthly { per_month: fields.price("per_month") })),
        _ => {
            fields.wrong("kind", "per_visit, steps, nights hoặc monthly", "per_visit, steps, nights or monthly");
            return None;
        }
    };
    fields.end();
    Some(Plan { grace_start_minutes, grace_end_minutes, kind: kind? })
}

fn per_visit(fields: &mut PlanFields<'_>) -> Option<PerVisit> {
    let (day_from, night_from) = (fields.clock("day_from"), fields.clock("night_from"));
    let (day, night) = (fields.price("day"), fields.price("night"));
    let day_and_night = fields.optional_price("day_and_night");
    let mixed = match fields.value("mixed") {
        None => Mixed::Both,
        Some(value) => match value.as_str() {
            Some("both") => Mixed::Both,
            Some("larger") => Mixed::Larger,
            Some("longer") => Mixed::Longer,
            _ => {
                fields.wrong("mixed", "both, larger hoặc longer", "both, larger or longer");
                Mixed::Both
            }
        },
    };
    let mixed_below_hours = fields.optional_number("mixed_below_hours").unwrap_or(24);
    Some(PerVisit { day_from: day_from?, night_from: night_from?, day, night, day_and_night, mixed, mixed_below_hours })
}

fn steps(fields: &mut PlanFields<'_>) -> TariffSteps {
    let (first_minutes, first_price) = (fields.number("first_minutes"), fields.price("first_price"));
    let mut steps = Vec::new();
    match fields.value("steps") {
        None => {}
        Some(Value::Array(list)) => {
            for (index, value) in list.iter().enumerate() {
                let field = fields.field(&format!("steps[{index}]"));
                let Some(mut one) = PlanFields::of(value, field, fields.problems) else { continue };
                let (minutes, price) = (one.number("minutes"), one.price("price"));
                steps.push(Step { minutes, price, until_minutes: one.optional_number("until_minutes") });
                one.end();
            }
        }
        Some(_) => fields.wrong("steps", "một danh sách", "a list"),
    }
    TariffSteps { first_minutes, first_price, steps }
}

pub(super) fn day_lists(value: Option<&Value>, problems: &mut Vec<FieldProblem>) -> Vec<DayList> {
    let field = format!("{ROOT}.days");
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(lists)) if lists.len() > MAX_LISTS => {
            let (vi, en) = (format!("tối đa {MAX_LISTS} bảng giá"), format!("has more than {MAX_LISTS} lists"));
            problems.push(FieldProblem::new(field, "too_many", vi, en));
            Vec::new()
        }
        Some(Value::Array(lists)) => lists
            .iter()
            .enumerate()
            .filter_map(|(index, value)| day_list(value, format!("{field}[{index}]"), problems))
            .collect(),
        Some(_) => {
            problems.push(FieldProblem::wrong_type(field, "một danh sách", "a list"));
            Vec::new()
        }
    }
}

fn day_list(value: &Value, field: String, problems: &mut Vec<FieldProblem>) -> Option<DayList> {
    let mut fields = PlanFields::of(value, field, problems)?;
    let name = fields.value("name").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    if name.is_empty() || !is_plain_text(&name, MAX_NAME_CHARS) {
        let field = fields.field("name");
        fields.problems.push(FieldProblem::bad_text(field, MAX_NAME_CHARS));
    }
    let texts = |value: Option<&Value>| -> Option<Vec<String>> {
        let list = match value {
            None => return Some(Vec::new()),
            Some(value) => value.as_array()?,
        };
        list.iter().map(|one| one.as_str().map(ToOwned::to_owned)).collect()
    };
    let weekdays = texts(fields.value("weekdays"))
        .and_then(|names| names.iter().map(|name| Weekday::from_name(name)).collect::<Option<Vec<_>>>());
    let dates =
        texts(fields.value("dates")).filter(|dates| dates.len() <= MAX_DATES && dates.iter().all(|date| is_date(date)));
    if weekdays.is_none() {
        fields.wrong("weekdays", "mon, tue, wed, thu, fri, sat, sun", "mon, tue, wed, thu, fri, sat, sun");
    }
    if dates.is_none() {
        fields.wrong("dates", "tối đa 100 ngày YYYY-MM-DD", "at most 100 dates YYYY-MM-DD");
    }
    if weekdays.as_ref().is_some_and(Vec::is_empty) && dates.as_ref().is_some_and(Vec::is_empty) {
        fields.missing("dates");
    }
    let rate = fields.value("rate");
    let types = fields.value("types");
    let place = fields.field.clone();
    let rate = rate.and_then(|rate| match rate.as_object() {
        Some(rate) => Some(Rate::from_json(rate, &format!("{place}.rate"), &[], fields.problems)),
        None => {
            fields.problems.push(FieldProblem::wrong_type(format!("{place}.rate"), "một đối tượng", "an object"));
            None
        }
    });
    let types: BTreeMap<String, Rate> = rates(types, &place, fields.problems);
    if rate.is_none() && types.is_empty() {
        fields.missing("rate");
    }
    fields.end();
    Some(DayList { name, weekdays: weekdays.unwrap_or_default(), dates: dates.unwrap_or_default(), rate, types })
}
