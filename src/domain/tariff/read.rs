//! A tariff as a request gives it: read whole, every wrong, missing or unknown field named.

mod plans;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ROOT, Rate, Tariff};
use crate::domain::money::Vnd;
use crate::domain::problem::FieldProblem;

impl Tariff {
    /// Reads the value of `fees` in a request. Money may be written `25000` or `25000.0`.
    ///
    /// # Errors
    /// Every wrong, missing or unknown field by its name (`fees.types.moto.fee_per_hour`), and what [`Tariff::check`]
    /// says of the rest.
    pub fn from_json(value: &Value) -> Result<Self, Vec<FieldProblem>> {
        let Some(object) = value.as_object() else {
            return Err(vec![FieldProblem::wrong_type(ROOT, "một đối tượng", "an object")]);
        };
        let mut problems = Vec::new();
        let base = Rate::from_json(object, ROOT, &["types", "days", "lost_card"], &mut problems);
        let types = rates(object.get("types"), ROOT, &mut problems);
        let days = plans::day_lists(object.get("days"), &mut problems);
        let lost_card = object.get("lost_card").filter(|price| !price.is_null()).and_then(|price| {
            let read = whole_number(price);
            if read.is_none() {
                let field = format!("{ROOT}.lost_card");
                problems.push(FieldProblem::wrong_type(field, "số nguyên (đồng)", "a whole number of VND"));
            }
            read.map(Vnd)
        });
        let tariff = Self { base, types, days, lost_card };
        // Fields that could not be read hold 0, which no check complains about.
        problems.extend(tariff.check());
        if problems.is_empty() { Ok(tariff) } else { Err(problems) }
    }
}

/// The rates of vehicle types that stand under `types` of `field`.
fn rates(types: Option<&Value>, field: &str, problems: &mut Vec<FieldProblem>) -> BTreeMap<String, Rate> {
    let mut read = BTreeMap::new();
    match types {
        None | Some(Value::Null) => {}
        Some(Value::Object(rates)) => {
            for (name, value) in rates {
                let field = format!("{field}.types.{name}");
                match value.as_object() {
                    Some(rate) => {
                        read.insert(name.clone(), Rate::from_json(rate, &field, &[], problems));
                    }
                    None => problems.push(FieldProblem::wrong_type(field, "một đối tượng", "an object")),
                }
            }
        }
        Some(_) => problems.push(FieldProblem::wrong_type(format!("{field}.types"), "một đối tượng", "an object")),
    }
    read
}

impl Rate {
    /// `also_known`: keys of the object that are read elsewhere.
    fn from_json(
        object: &Map<String, Value>,
        field: &str,
        also_known: &[&str],
        problems: &mut Vec<FieldProblem>,
    ) -> Self {
        const KEYS: [&str; 5] = ["fee_base", "fee_per_hour", "fee_overnight", "fee_daily_max", "plan"];
        for key in object.keys().filter(|key| !KEYS.contains(&key.as_str()) && !also_known.contains(&key.as_str())) {
            problems.push(FieldProblem::unknown_key(format!("{field}.{key}")));
        }
        let mut price = |name: &str, required: bool| {
            let field = format!("{field}.{name}");
            match object.get(name) {
                None if required => problems.push(FieldProblem::missing(field)),
                None => {}
                Some(value) => match whole_number(value) {
                    Some(price) => return Vnd(price),
                    None => problems.push(FieldProblem::wrong_type(field, "số nguyên (đồng)", "a whole number of VND")),
                },
            }
            Vnd(0)
        };
        let fee_per_hour = price("fee_per_hour", true);
        let fee_overnight = price("fee_overnight", false);
        let fee_daily_max = price("fee_daily_max", false);
        let fee_base = match object.get("fee_base").map(Value::as_f64) {
            Some(Some(hours)) => hours,
            Some(None) => {
                problems.push(FieldProblem::wrong_type(format!("{field}.fee_base"), "số giờ", "a number of hours"));
                0.0
            }
            None => {
                problems.push(FieldProblem::missing(format!("{field}.fee_base")));
                0.0
            }
        };
        let plan = object.get("plan").filter(|plan| !plan.is_null());
        let plan = plan.and_then(|plan| plans::plan(plan, format!("{field}.plan"), problems));
        Self { fee_base, fee_per_hour, fee_overnight, fee_daily_max, plan }
    }
}

/// A JSON number without a fraction. One too large for an amount of money saturates and fails the range check.
fn whole_number(value: &Value) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates; nothing that large is a valid price")]
    let number = number as i64;
    Some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong_fields(value: &Value) -> Vec<(String, &'static str)> {
        let problems = Tariff::from_json(value).expect_err("nonsense");
        problems.into_iter().map(|problem| (problem.field, problem.code)).collect()
    }

    #[test]
    fn nonsense_is_refused_with_the_name_of_its_field() {
        for (value, field, code) in [
            (json!([]), "fees", "wrong_type"),
            (json!({"fee_per_hour": 1}), "fees.fee_base", "missing"),
            (json!({"fee_base": 1}), "fees.fee_per_hour", "missing"),
            (json!({"fee_base": "1", "fee_per_hour": 1}), "fees.fee_base", "wrong_type"),
            (json!({"fee_base": -0.5, "fee_per_hour": 1}), "fees.fee_base", "out_of_range"),
            (json!({"fee_base": 169, "fee_per_hour": 1}), "fees.fee_base", "out_of_range"),
            (json!({"fee_base": 1, "fee_per_hour": 0.5}), "fees.fee_per_hour", "wrong_type"),
            (json!({"fee_base": 1, "fee_per_hour": "25000"}), "fees.fee_per_hour", "wrong_type"),
            (json!({"fee_base": 1, "fee_per_hour": null}), "fees.fee_per_hour", "wrong_type"),
            (json!({"fee_base": 1, "fee_per_hour": -1}), "fees.fee_per_hour", "out_of_range"),
            (json!({"fee_base": 1, "fee_per_hour": 1e30}), "fees.fee_per_hour", "out_of_range"),
            (json!({"fee_base": 1, "fee_per_hour": 1, "fee_overnight": -1}), "fees.fee_overnight", "out_of_range"),
            (
                json!({"fee_base": 1, "fee_per_hour": 1, "fee_daily_max": 100_000_001}),
                "fees.fee_daily_max",
                "out_of_range",
            ),
            (json!({"fee_base": 1, "fee_per_hour": 1, "fee_hourly": 1}), "fees.fee_hourly", "unknown_key"),
            (json!({"fee_base": 1, "fee_per_hour": 1, "types": []}), "fees.types", "wrong_type"),
            (json!({"fee_base": 1, "fee_per_hour": 1, "types": {"moto": 1}}), "fees.types.moto", "wrong_type"),
            (
                json!({"fee_base": 1, "fee_per_hour": 1, "types": {"moto": {"fee_base": 1, "fee_per_hour": -1}}}),
                "fees.types.moto.fee_per_hour",
                "out_of_range",
            ),
            (
                json!({"fee_base": 1, "fee_per_hour": 1, "types": {"moto": {"fee_base": 1, "fee_per_hour": 1, "x": 1}}}),
                "fees.types.moto.x",
                "unknown_key",
            ),
            (
                json!({"fee_base": 1, "fee_per_hour": 1, "types": {" ": {"fee_base": 1, "fee_per_hour": 1}}}),
                "fees.types. ",
                "bad_text",
            ),
        ] {
            assert_eq!(wrong_fields(&value), [(field.to_owned(), code)], "{value}");
        }
        assert_eq!(wrong_fields(&json!({})).len(), 2, "every wrong field is named");
    }

    #[test]
    fn the_predecessors_file_is_a_tariff() {
        let file = json!({"fee_base": 0.5, "fee_per_hour": 25000, "fee_overnight": 0, "fee_daily_max": 0});
        assert_eq!(Tariff::from_json(&file), Ok(Tariff::default()));
        assert_eq!(Tariff::from_json(&json!({"fee_base": 0.5, "fee_per_hour": 25000.0})), Ok(Tariff::default()));
        assert_eq!(serde_json::to_value(Tariff::default()).unwrap(), file);
    }
}
