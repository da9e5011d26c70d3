//! Every route of a central, put together from the rows that stand beside the handlers, and the OpenAPI 3.1 document made of
//! them, at `/openapi.json`. What each takes and answers: docs/http-api.md.
//!
//! The document is made from the types that are read and answered, from the table of error codes, and from those rows. That what
//! it says is what is answered, `tests/common/openapi.rs` checks with every call the tests make.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig, post, resource, to};
use actix_web::{HttpResponse, Resource, ResponseError, Route};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::PathsBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder, ServerBuilder};

use super::access::enforce;
use super::error::ApiError;
use super::operation::{Operation, get};
use super::{
    accounts, amendments, audit, edge_programs, edges, health, history, members, mesh, p2p, p2p_server, pages, parking,
    payments, qr_code, shifts, stories, subscriptions, ws_edge, ws_peer, ws_status,
};
use crate::access::right::Need;

/// All operations, with the part of the document they stand in. They are tried in this order: what gates call does not wait for
/// the patterns below.
pub(super) fn operations() -> impl Iterator<Item = Operation> {
    [
        ("gates", edges::operations()),
        ("gates", edge_programs::operations()),
        ("gates", ws_edge::operations()),
        ("pages and monitoring", pages::operations()),
        ("pages and monitoring", vec![document_operation()]),
        ("pages and monitoring", ws_status::operations()),
        ("pages and monitoring", health::operations()),
        ("lot", history::operations()),
        ("lot", amendments::operations()),
        ("lot", stories::operations()),
        ("lot", parking::operations()),
        ("lot", qr_code::operations()),
        ("lot", payments::operations()),
        ("lot", shifts::operations()),
        ("lot", subscriptions::operations()),
        ("mesh", p2p::operations()),
        ("mesh", members::operations()),
        ("mesh", mesh::operations()),
        ("mesh", p2p_server::operations()),
        ("mesh", ws_peer::operations()),
        ("access", accounts::operations()),
        ("access", audit::operations()),
    ]
    .into_iter()
    .flat_map(|(tag, operations)| operations.into_iter().map(|operation| operation.tag(tag)))
}

/// A path pattern, the methods it takes, and what each needs of its caller.
pub type Row = (&'static str, Vec<(&'static str, Need)>);

/// The one list that the access rules, the figures and the tests go by.
pub static ROUTES: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows: Vec<Row> = Vec::new();
    for operation in operations() {
        let need = (operation.method, operation.need);
        match rows.iter_mut().find(|(path, _)| *path == operation.path) {
            Some((_, needs)) => needs.push(need),
            None => rows.push((operation.path, vec![need])),
        }
    }
    rows
});

/// Puts every route in place.
pub fn configure(app: &mut ServiceConfig) {
    let mut routes: HashMap<&str, Vec<Route>> = HashMap::new();
    operations().for_each(|operation| routes.entry(operation.path).or_default().push(operation.route));
    for (path, needs) in ROUTES.iter() {
        let handlers = routes.remove(path).into_iter().flatten();
        let resource = handlers.fold(resource(*path), Resource::route);
        let guarded = from_fn(move |request: ServiceRequest, next: Next<BoxBody>| enforce(needs, request, next));
        app.service(otherwise(resource, needs).wrap(guarded));
    }
    // For tests of supervision; without the fault switch it answers as if it were not there.
    app.service(resource("/api/test/panic").route(post().to(health::panic)));
    app.default_service(to(|| async { ApiError::no_such_path().error_response() }));
}

/// Another method on a path that is there: 405 that says which it takes.
fn otherwise(resource: Resource, needs: &'static [(&'static str, Need)]) -> Resource {
    resource.default_service(web::to(move || async move { wrong_method(needs) }))
}

fn wrong_method(needs: &[(&'static str, Need)]) -> HttpResponse {
    ApiError::wrong_method(methods(needs)).error_response()
}

/// As the header `Allow` lists them: `GET, PUT`.
pub fn methods(needs: &[(&'static str, Need)]) -> String {
    needs.iter().map(|(method, _)| *method).collect::<Vec<_>>().join(", ")
}

const REFERENCE: &str = "#/components/schemas/";

fn document_operation() -> Operation {
    let document = get("/openapi.json", Need::Nothing, openapi, "This document.");
    document.answers_text(&["application/json"], "The document")
}

/// `GET /openapi.json`
pub async fn openapi() -> HttpResponse {
    static WRITTEN: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));
    HttpResponse::Ok().content_type("application/json").body(WRITTEN.clone())
}

/// The document.
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
        schemas.extend(partial_schemas(schemas));
        schemas.values_mut().for_each(say_success);
        schemas.values_mut().for_each(leave_defaults_out);
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

/// What may be absent has no default that is null: most of it takes none, and validators hold the two against each other.
fn leave_defaults_out(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|key, value| key != "default" || !value.is_null());
            fields.values_mut().for_each(leave_defaults_out);
        }
        Value::Array(parts) => parts.iter_mut().for_each(leave_defaults_out),
        _ => {}
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
    use crate::access::right::{Modes, Role, Who, decide};
    use crate::http::error::Code;
    use crate::http::operation::shown;

    #[test]
    fn every_route_is_there_once_and_has_its_place_in_the_documents() {
        let document = include_str!("../../docs/http-api.md");
        for (path, needs) in ROUTES.iter() {
            let shown = format!("{} {}", methods(needs), shown(path));
            assert!(document.contains(&shown), "{shown} in docs/http-api.md");
            let of_path: Vec<_> = needs.iter().map(|(method, _)| method).collect();
            let once: std::collections::BTreeSet<_> = of_path.iter().collect();
            assert_eq!(once.len(), of_path.len(), "{path}");
        }
    }

    /// The two tables of docs/http-api.md, from the code.
    fn tables() -> (String, String) {
        let mut routes = String::from("| needs | calls |\n|---|---|\n");
        for need in Need::ALL {
            let of_need = |(path, needs): &Row| {
                let methods: Vec<_> = needs.iter().filter(|(_, other)| other == need).copied().collect();
                (!methods.is_empty()).then(|| format!("`{} {}`", super::methods(&methods), shown(path)))
            };
            let calls: Vec<String> = ROUTES.iter().filter_map(of_need).collect();
            routes.push_str(&format!("| *{}* | {} |\n", need.name(), calls.join(", ")));
        }
        let person = |role| Who::Person { name: String::new(), role };
        let roles = [Role::Operator, Role::ShiftLead, Role::Administrator];
        let callers: Vec<Who> = [Who::Nobody, Who::Edge(String::new())].into_iter().chain(roles.map(person)).collect();
        let mut needs = String::from(
            "| needs | with | nobody | edge with its key | operator, or such a token | shift lead, or such a token | administrator, or such a token |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for (need, setting, here) in [
            (Need::Nothing, "", true),
            (Need::Look, "`reads: open`", true),
            (Need::Look, "`reads: login`", true),
            (Need::Gate, "`edges: open`", true),
            (Need::Gate, "`edges: keys`", true),
            (Need::Login, "", true),
            (Need::Amend, "`admin: password`", true),
            (Need::Amend, "`admin: open`, here", true),
            (Need::Amend, "`admin: open`, elsewhere", false),
            (Need::Administer, "`admin: password`", true),
            (Need::Administer, "`admin: open`, here", true),
            (Need::Administer, "`admin: open`, elsewhere", false),
        ] {
            let modes = Modes {
                admin_password: setting.contains("password"),
                edge_keys: setting.contains("keys"),
                reads_login: setting.contains("login"),
            };
            let may = |who: &Who| match decide(need, modes, who, here) {
                Ok(()) => "yes".to_owned(),
                Err(why) => {
                    let error = ApiError::denied(why);
                    format!("{} `{}`", error.status_code().as_u16(), error.code())
                }
            };
            let cells: Vec<String> = callers.iter().map(may).collect();
            needs.push_str(&format!("| *{}* | {setting} | {} |\n", need.name(), cells.join(" | ")));
        }
        (routes, needs)
    }

    #[test]
    fn who_may_call_what_is_written_as_it_is_enforced() {
        let document = include_str!("../../docs/http-api.md");
        let (routes, needs) = tables();
        for table in [routes, needs] {
            assert!(document.contains(&table), "docs/http-api.md, \"Who may call what\", should have:\n{table}");
        }
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
    fn no_default_is_of_a_kind_that_its_field_does_not_take() {
        assert!(!document().to_string().contains("\"default\":null"));
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
