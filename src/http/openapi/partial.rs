//! The bodies of a save, made from the settings themselves: every key may be absent (it keeps its value) or null (it gets its
//! default), at every depth.

use serde_json::{Map, Value, json};

const REFERENCE: &str = "#/components/schemas/";

/// The schemas that no type has, by name. `schemas`: those of the types.
pub(super) fn schemas(schemas: &Map<String, Value>) -> Map<String, Value> {
    let version =
        json!({"type": ["string", "null"], "description": "As GET gave it: refused if the settings changed since."});
    let with_version = |mut body: Value, required: &[&str]| {
        if let Some(body) = body.as_object_mut() {
            body.insert("required".into(), json!(required));
            if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
                properties.insert("version".into(), version.clone());
            }
        }
        body
    };
    let settings = partial(&named(schemas, "Config"), schemas);
    let peer = partial(&named(schemas, "PeerCentral"), schemas);
    Map::from_iter([
        ("ConfigChange".to_owned(), with_version(settings, &[])),
        ("NewPeer".to_owned(), with_version(peer.clone(), &["id", "ip"])),
        ("PeerChange".to_owned(), with_version(peer, &[])),
    ])
}

fn named(schemas: &Map<String, Value>, name: &str) -> Value {
    schemas.get(name).cloned().unwrap_or_default()
}

/// The schema with everything in it optional and nullable. The members of a list name themselves by their `id`.
fn partial(schema: &Value, schemas: &Map<String, Value>) -> Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return partial(&named(schemas, reference.trim_start_matches(REFERENCE)), schemas);
    }
    let mut schema = schema.clone();
    let Some(fields) = schema.as_object_mut() else { return schema };
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        for property in properties.values_mut() {
            *property = nullable(partial(property, schemas));
        }
        fields.remove("required");
    }
    if let Some(items) = fields.get_mut("items") {
        *items = partial(items, schemas);
        if let Some(items) = items.as_object_mut() {
            items.insert("required".into(), json!(["id"]));
        }
    }
    schema
}

fn nullable(mut schema: Value) -> Value {
    let Some(kind) = schema.get("type").cloned() else { return schema };
    if let (Value::String(kind), Some(fields)) = (kind, schema.as_object_mut()) {
        fields.insert("type".into(), json!([kind, "null"]));
        if let Some(values) = fields.get_mut("enum").and_then(Value::as_array_mut) {
            values.push(Value::Null);
        }
    }
    schema
}
