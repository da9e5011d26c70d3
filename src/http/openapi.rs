//! The OpenAPI 3.1 document of the API, at `/openapi.json`: made from the types that are read and answered, from the table of
//! error codes, and from the rows of the operations, which stand beside their handlers.
//!
//! That what is said here is what is answered, `tests/common/openapi.rs` checks with every call the tests make.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::PathsBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder, ServerBuilder};

use super::operation::{Operation, get};
use super::routes;
use crate::access::right::Need;

const REFERENCE: &str = "#/components/schemas/";

pub(super) fn operations() -> Vec<Operation> {
    let document = get("/openapi.json", Need::Nothing, openapi, "This document.");
    vec![document.answers_text(&["application/json"], "The document")]
}

/// `GET /openapi.json`
pub async fn openapi() -> HttpResponse {
    static WRITTEN: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));
    HttpResponse::Ok().content_type("application/json").body(WRITTEN.clone())
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let (mut paths, mut schemas) = (BTreeMap::new(), BTreeMap::new());
    for operation in routes::operations() {
        operation.finish(&mut paths, &mut schemas);
    }
    let info = InfoBuilder::new()
        .title("ParkMesh")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The HTTP API of one central. For people: /docs/http-api.md."))
        .license(Some(LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).build()));
    let paths = paths.into_iter().fold(PathsBuilder::new(), |all, (path, item)| all.path(path, item));
    let document = OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .paths(paths)
        .components(Some(ComponentsBuilder::new().schemas_from_iter(schemas).build()))
        .build();
    let mut document = json!(document);
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.extend(partial_schemas(schemas));
        schemas.values_mut().for_each(say_success);
    }
    document
}

/// An answer that has `success` is one.
fn say_success(schema: &mut Value) {
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    parts.into_iter().flatten().for_each(say_success);
    if let Some(success) = schema.pointer_mut("/properties/success").and_then(Value::as_object_mut) {
        *success = Map::from_iter([("type".to_owned(), json!("boolean")), ("const".to_owned(), json!(true))]);
    }
}

/// The schemas that no type has, by name: the bodies of a save, made from the settings themselves: every key may be absent (it keeps
/// its value) or null (it gets its default), at every depth. `schemas`: those of the types.
fn partial_schemas(schemas: &Map<String, Value>) -> Map<String, Value> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::code::Code;

    #[test]
    fn what_is_referred_to_is_there_and_no_two_types_share_a_name() {
        let text = document().to_string();
        let document = document();
        for rest in text.split("\"#/components/schemas/").skip(1) {
            let name = rest.split('"').next().unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
        // The same name twice with another content would depend on the order of the lists.
        let mut seen = BTreeMap::new();
        for operation in routes::operations() {
            let mut schemas = BTreeMap::new();
            operation.finish(&mut BTreeMap::new(), &mut schemas);
            for (name, schema) in schemas {
                let schema = json!(schema);
                assert_eq!(seen.entry(name.clone()).or_insert_with(|| schema.clone()), &schema, "{name}");
            }
        }
    }

    #[test]
    fn every_code_is_the_code_of_some_operation() {
        let text = document()["paths"].to_string();
        // 405 is what a path answers to the methods it has no operation for.
        for code in Code::ALL.iter().filter(|code| **code != Code::MethodNotAllowed) {
            assert!(text.contains(&format!("\"{}\"", code.name())), "{}", code.name());
        }
    }

    #[test]
    fn a_save_may_leave_out_whatever_it_likes() {
        let schemas = &document()["components"]["schemas"];
        let change = &schemas["ConfigChange"];
        assert_eq!(change["required"], json!([]));
        assert!(change["properties"]["site"]["properties"].get("time_zone").is_some());
        assert!(change["properties"]["site"].get("required").is_none());
        assert_eq!(change["properties"]["peer_centrals"]["items"]["required"], json!(["id"]));
        assert_eq!(schemas["NewPeer"]["required"], json!(["id", "ip"]));
    }
}
