//! The OpenAPI 3.1 document of the API, at `/openapi.json`: made from the types that are read and answered, from the table of
//! error codes, and from the lists of operations in this folder.
//!
//! A new route needs an entry in one of the lists; a test compares them with `ROUTES`. That what is said here is what is
//! answered, `tests/common/openapi.rs` checks with every call the tests make.

mod access;
mod gates;
mod lot;
mod mesh;
mod operation;
mod pages;
mod partial;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::PathsBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder, ServerBuilder};

use operation::Operation;

/// `GET /openapi.json`
pub async fn openapi() -> HttpResponse {
    static WRITTEN: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));
    HttpResponse::Ok().content_type("application/json").body(WRITTEN.clone())
}

fn operations() -> impl Iterator<Item = Operation> {
    [access::operations(), gates::operations(), lot::operations(), mesh::operations(), pages::operations()]
        .into_iter()
        .flatten()
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let (mut paths, mut schemas) = (BTreeMap::new(), BTreeMap::new());
    for operation in operations() {
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
        schemas.extend(partial::schemas(schemas));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::code::Code;
    use crate::http::routes::ROUTES;

    #[test]
    fn every_route_and_method_is_described_and_nothing_else() {
        let document = document();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(|method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let routes: BTreeSet<(String, String)> = ROUTES
            .iter()
            .flat_map(|(path, needs)| needs.iter().map(|(method, _)| (path.replace(":.*", ""), (*method).to_owned())))
            .collect();
        assert_eq!(described, routes);
    }

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
        for operation in operations() {
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
