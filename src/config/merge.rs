//! A request over the settings in force: what it does not mention keeps its value.

use serde_json::{Map, Value};

use super::model::Config;
use super::read::{self, Read};
use crate::domain::problem::FieldProblem;

/// The settings after a PUT.
///
/// - A key that is absent keeps its value, in every object. `null` brings back the default.
/// - A list has the members the request names and no others; a member that was there before (by its `id`) keeps what
///   the request does not say of it, such as a confirmed fingerprint that the page never saw.
/// - A `version` in the request is not a setting and is ignored here.
///
/// # Errors
/// Every wrong field of the result, by its name; nothing is changed then.
pub fn merge(current: &Config, put: &Value) -> Result<Read, Vec<FieldProblem>> {
    if !put.is_object() {
        return Err(vec![FieldProblem::wrong_type("", "một đối tượng {…}", "an object {…}")]);
    }
    let mut merged = current.to_json();
    overlay(&mut merged, put);
    read::config(&merged)
}

fn overlay(held: &mut Value, put: &Value) {
    match (held, put) {
        (Value::Object(held), Value::Object(put)) => overlay_object(held, put),
        (held @ Value::Array(_), Value::Array(members)) => {
            let merged = members.iter().map(|member| overlaid_member(held, member)).collect();
            *held = Value::Array(merged);
        }
        (held, put) => *held = put.clone(),
    }
}

fn overlay_object(held: &mut Map<String, Value>, put: &Map<String, Value>) {
    for (key, value) in put {
        overlay(held.entry(key).or_insert(Value::Null), value);
    }
}

/// A member of the request's list over the one with the same id, if there is one.
fn overlaid_member(held: &Value, member: &Value) -> Value {
    let id = member.get("id").filter(|id| id.is_string());
    let members = held.as_array().into_iter().flatten();
    let before = members.into_iter().find(|before| id.is_some() && before.get("id") == id);
    let mut merged = before.cloned().unwrap_or(Value::Null);
    overlay(&mut merged, member);
    merged
}
