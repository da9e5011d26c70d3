//! Every answer a test gets is held against the OpenAPI document: its status, its code, and each field of it. Stricter than
//! clients should be: a field the document does not name is a fault.

use std::sync::LazyLock;

use parkmesh::http::routes::document;
use serde_json::{Map, Value};

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// Fails the test unless the document says that this can be answered. `body`: `Null` if it was no JSON.
#[track_caller]
pub fn check(method: &str, path: &str, status: u16, body: &Value) {
    if let Err(why) = documented(method, path, status, body) {
        panic!("not as /openapi.json says: {method} {path} {status}: {why}\n{body}");
    }
}

/// Why the document does not know this answer.
pub fn documented(method: &str, path: &str, status: u16, body: &Value) -> Result<(), String> {
    let path = path.split('?').next().unwrap_or_default();
    let paths = DOCUMENT["paths"].as_object().ok_or("no paths")?;
    // A fixed path goes before one with parameters.
    let found =
        paths.get(path).or_else(|| paths.iter().find(|(template, _)| fits_path(template, path)).map(|(_, p)| p));
    let Some(operations) = found else {
        // Not ours: there is nothing to be had there, save for tests of supervision.
        return if status == 404 || path == "/api/test/panic" { Ok(()) } else { Err("there is no such path".into()) };
    };
    let asked = if method == "HEAD" { "get".to_owned() } else { method.to_ascii_lowercase() };
    let Some(operation) = operations.get(&asked) else {
        return if status == 405 { Ok(()) } else { Err("the path does not take this method".into()) };
    };
    let answer = operation["responses"].get(status.to_string()).ok_or("it has no such status")?;
    // What is not JSON, where JSON is one of several.
    let files = body.is_null() && answer.get("content").and_then(Value::as_object).is_some_and(|kinds| kinds.len() > 1);
    match answer.pointer("/content/application~1json/schema") {
        _ if method == "HEAD" || files => Ok(()),
        Some(schema) => fits(schema, body, "body"),
        None if body.is_null() || answer.get("content").is_some() => Ok(()),
        None => Err("it has no body".into()),
    }
}

fn fits_path(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            // The last parameter of a path of files takes the rest.
            (Some("{path}"), Some(_)) => return true,
            (Some(part), Some(given)) if part == given || part.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

/// Whether the value is what the schema says, every field of it known. `at`: where it stands.
fn fits(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = resolved(schema);
    for choice in ["oneOf", "anyOf"] {
        if let Some(options) = schema.get(choice).and_then(Value::as_array) {
            let whys: Vec<String> = options.iter().filter_map(|option| fits(option, value, at).err()).collect();
            if whys.len() == options.len() {
                return Err(whys.join(" | "));
            }
        }
    }
    if let Some(wanted) = schema.get("const").filter(|wanted| *wanted != value) {
        return Err(format!("{at} is {value}, not {wanted}"));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array)
        && !values.contains(value)
    {
        return Err(format!("{at} is {value}, none of {values:?}"));
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_a(kind, value)) {
        return Err(format!("{at} is {value}, not {kinds:?}"));
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        for (index, item) in list.iter().enumerate() {
            fits(items, item, &format!("{at}[{index}]"))?;
        }
    }
    match value.as_object() {
        Some(fields) => fits_fields(schema, fields, at),
        None => Ok(()),
    }
}

fn fits_fields(schema: &Value, fields: &Map<String, Value>, at: &str) -> Result<(), String> {
    let (mut known, mut needed) = (Map::new(), Vec::new());
    gather(schema, &mut known, &mut needed);
    if let Some(name) = needed.iter().find(|name| !fields.contains_key(**name)) {
        return Err(format!("{at} lacks {name}"));
    }
    // A choice was held against its options before.
    let closed = !known.is_empty() && schema.get("oneOf").is_none() && schema.get("anyOf").is_none();
    for (name, value) in fields {
        let at = format!("{at}.{name}");
        match (known.get(name), schema.get("additionalProperties")) {
            (Some(schema), _) => fits(schema, value, &at)?,
            (None, Some(schema)) if schema.is_object() => fits(schema, value, &at)?,
            (None, None) if closed => return Err(format!("{at} is not documented")),
            _ => {}
        }
    }
    Ok(())
}

/// The fields of an object, those of its parts included.
fn gather<'d>(schema: &'d Value, known: &mut Map<String, Value>, needed: &mut Vec<&'d str>) {
    let schema = resolved(schema);
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        known.extend(properties.clone());
    }
    needed.extend(schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str));
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        gather(part, known, needed);
    }
}

fn resolved(schema: &Value) -> &Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => schema,
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
