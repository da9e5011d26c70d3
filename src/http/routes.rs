//! Every route of a central, and what each call needs of its caller. What each takes and answers: docs/http-api.md.

use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{ServiceConfig, delete, post, put, resource, route, to};
use actix_web::{HttpResponse, Resource, ResponseError, Route, guard, web};

use super::access::enforce;
use super::error::ApiError;
use super::{
    accounts, amendments, audit, edge_keys, edge_programs, edges, health, history, members, mesh, openapi, p2p, pages,
    parking, predecessors, stories, subscriptions, ws_edge, ws_peer, ws_status,
};
use crate::access::right::Need::{self, Administer, Amend, Gate, Login, Look, Nothing};

/// A path pattern, the methods it takes, and what each needs of its caller. It does not compile without.
pub type Row = (&'static str, &'static [(&'static str, Need)]);

/// The one list that the access rules, the figures and the tests go by.
pub const ROUTES: &[Row] = &[
    // They are tried in this order: what gates call does not wait for the patterns below.
    ("/api/edge/detection", &[("POST", Gate)]),
    ("/api/edge/barrier/open", &[("POST", Gate)]),
    ("/api/edge/barrier/close", &[("POST", Gate)]),
    ("/api/edge/event", &[("POST", Gate)]),
    ("/", &[("GET", Nothing)]),
    ("/gate", &[("GET", Nothing)]),
    ("/history", &[("GET", Nothing)]),
    ("/settings", &[("GET", Nothing)]),
    ("/login", &[("GET", Nothing)]),
    ("/audit", &[("GET", Nothing)]),
    ("/static/{path:.*}", &[("GET", Nothing)]),
    ("/docs/{path:.*}", &[("GET", Nothing)]),
    ("/openapi.json", &[("GET", Nothing)]),
    ("/ws/status", &[("GET", Look)]),
    ("/healthz", &[("GET", Nothing)]),
    ("/readyz", &[("GET", Nothing)]),
    ("/metrics", &[("GET", Look)]),
    ("/api/edge/heartbeat", &[("POST", Gate)]),
    ("/api/edge/sync-config", &[("POST", Gate)]),
    ("/ws/edge", &[("GET", Gate)]),
    // Who speaks there is judged by its HELLO and its address: actors/admission.rs.
    ("/ws/p2p", &[("GET", Nothing)]),
    ("/api/cameras", &[("GET", Look)]),
    ("/api/parking/history", &[("GET", Look)]),
    ("/api/parking/history.csv", &[("GET", Look)]),
    ("/api/parking/history.xlsx", &[("GET", Look)]),
    ("/api/parking/history/{event_id}", &[("PUT", Amend), ("DELETE", Amend)]),
    ("/api/parking/history/{event_id}/story", &[("GET", Look)]),
    ("/api/parking/anomalies", &[("GET", Look)]),
    ("/api/parking/state", &[("GET", Look)]),
    ("/api/parking/near", &[("GET", Look)]),
    ("/api/parking/fees", &[("GET", Look), ("PUT", Administer)]),
    ("/api/parking/fees/preview", &[("POST", Look)]),
    ("/api/subscriptions", &[("GET", Look), ("PUT", Administer)]),
    ("/api/subscriptions/restore", &[("POST", Administer)]),
    ("/api/stats", &[("GET", Look)]),
    ("/api/status", &[("GET", Look)]),
    ("/api/p2p/config", &[("GET", Look), ("PUT", Administer)]),
    ("/api/p2p/peers", &[("POST", Administer)]),
    ("/api/p2p/peers/{id}", &[("PUT", Administer), ("DELETE", Administer)]),
    ("/api/p2p/peers/{id}/expel", &[("POST", Administer)]),
    ("/api/p2p/pending/{fingerprint}", &[("POST", Administer), ("DELETE", Administer)]),
    ("/api/p2p/invitations", &[("POST", Administer)]),
    ("/api/p2p/join", &[("POST", Administer)]),
    ("/api/p2p/status", &[("GET", Look)]),
    ("/api/p2p/sync-state", &[("GET", Look)]),
    ("/api/p2p/test-connection", &[("POST", Administer)]),
    // What predecessors call of each other: it tells what every HELLO tells, and changes nothing.
    ("/api/p2p/info", &[("GET", Nothing)]),
    ("/api/p2p/register-peer", &[("POST", Nothing)]),
    ("/api/access", &[("GET", Nothing)]),
    ("/api/access/login", &[("POST", Nothing)]),
    ("/api/access/logout", &[("POST", Nothing)]),
    ("/api/access/code", &[("POST", Nothing)]),
    ("/api/access/password", &[("PUT", Login)]),
    ("/api/access/people", &[("GET", Administer), ("POST", Administer)]),
    ("/api/access/people/{name}", &[("PUT", Administer), ("DELETE", Administer)]),
    ("/api/access/tokens", &[("GET", Administer), ("POST", Administer)]),
    ("/api/access/tokens/{name}", &[("DELETE", Administer)]),
    ("/api/access/edges/{edge_id}/key", &[("POST", Administer), ("DELETE", Administer)]),
    ("/api/access/audit", &[("GET", Administer)]),
    ("/api/access/audit.csv", &[("GET", Administer)]),
];

/// Puts every route in place.
pub fn configure(app: &mut ServiceConfig) {
    for &(path, needs) in ROUTES {
        let mut resource = resource(path);
        for route in handlers(path) {
            resource = resource.route(route);
        }
        let guarded = from_fn(move |request: ServiceRequest, next: Next<BoxBody>| enforce(needs, request, next));
        app.service(otherwise(resource, needs).wrap(guarded));
    }
    // For tests of supervision; without the fault switch it answers as if it were not there.
    app.service(resource("/api/test/panic").route(post().to(health::panic)));
    app.default_service(to(|| async { ApiError::no_such_path().error_response() }));
}

/// GET, and HEAD with it, which monitoring likes.
fn get() -> Route {
    route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn handlers(path: &str) -> Vec<Route> {
    match path {
        "/" | "/gate" | "/history" | "/settings" | "/login" | "/audit" => vec![get().to(pages::page)],
        "/static/{path:.*}" => vec![get().to(pages::asset)],
        "/docs/{path:.*}" => vec![get().to(pages::document)],
        "/openapi.json" => vec![get().to(openapi::openapi)],
        "/ws/status" => vec![route().guard(guard::Get()).to(ws_status::status)],
        "/healthz" => vec![get().to(health::healthz)],
        "/readyz" => vec![get().to(health::readyz)],
        "/metrics" => vec![get().to(health::metrics)],
        "/api/edge/detection" => vec![post().to(edges::detection)],
        "/api/edge/barrier/open" => vec![post().to(edges::open)],
        "/api/edge/barrier/close" => vec![post().to(edges::close)],
        "/api/edge/event" => vec![post().to(edge_programs::event)],
        "/api/edge/heartbeat" => vec![post().to(edge_programs::heartbeat)],
        "/api/edge/sync-config" => vec![post().to(edge_programs::sync_config)],
        "/ws/edge" => vec![route().guard(guard::Get()).to(ws_edge::upgrade)],
        "/ws/p2p" => vec![route().guard(guard::Get()).to(ws_peer::upgrade)],
        "/api/cameras" => vec![get().to(edge_programs::cameras)],
        "/api/parking/history" => vec![get().to(history::history)],
        "/api/parking/history/{event_id}" => vec![put().to(amendments::correct), delete().to(amendments::void)],
        "/api/parking/history.csv" => vec![get().to(history::export)],
        "/api/parking/history.xlsx" => vec![get().to(history::workbook)],
        "/api/parking/history/{event_id}/story" => vec![get().to(stories::story)],
        "/api/parking/anomalies" => vec![get().to(stories::anomalies)],
        "/api/parking/state" => vec![get().to(parking::state)],
        "/api/parking/near" => vec![get().to(parking::near)],
        "/api/parking/fees" => vec![get().to(parking::fees), put().to(parking::put_fees)],
        "/api/parking/fees/preview" => vec![post().to(parking::preview_fee)],
        "/api/subscriptions" => {
            vec![get().to(subscriptions::subscriptions), put().to(subscriptions::put_subscriptions)]
        }
        "/api/subscriptions/restore" => vec![post().to(subscriptions::restore)],
        "/api/stats" => vec![get().to(parking::stats)],
        "/api/status" => vec![get().to(parking::status)],
        "/api/p2p/config" => vec![get().to(p2p::config), put().to(p2p::put_config)],
        "/api/p2p/peers" => vec![post().to(p2p::add_peer)],
        "/api/p2p/peers/{id}" => vec![put().to(p2p::put_peer), delete().to(p2p::delete_peer)],
        "/api/p2p/peers/{id}/expel" => vec![post().to(members::expel)],
        "/api/p2p/invitations" => vec![post().to(members::invite)],
        "/api/p2p/join" => vec![post().to(members::join)],
        "/api/p2p/pending/{fingerprint}" => vec![post().to(members::accept), delete().to(members::refuse)],
        "/api/p2p/status" => vec![get().to(mesh::status)],
        "/api/p2p/sync-state" => vec![get().to(mesh::sync_state)],
        "/api/p2p/test-connection" => vec![post().to(mesh::test_connection)],
        "/api/p2p/info" => vec![get().to(predecessors::info)],
        "/api/p2p/register-peer" => vec![post().to(predecessors::register)],
        "/api/access" => vec![get().to(accounts::whoami)],
        "/api/access/login" => vec![post().to(accounts::login)],
        "/api/access/logout" => vec![post().to(accounts::logout)],
        "/api/access/code" => vec![post().to(accounts::use_code)],
        "/api/access/password" => vec![put().to(accounts::put_own_password)],
        "/api/access/people" => vec![get().to(accounts::people), post().to(accounts::add_person)],
        "/api/access/people/{name}" => vec![put().to(accounts::change_person), delete().to(accounts::remove_person)],
        "/api/access/tokens" => vec![get().to(accounts::tokens), post().to(accounts::make_token)],
        "/api/access/tokens/{name}" => vec![delete().to(accounts::revoke_token)],
        "/api/access/audit" => vec![get().to(audit::audit)],
        "/api/access/audit.csv" => vec![get().to(audit::export)],
        "/api/access/edges/{edge_id}/key" => vec![post().to(edge_keys::renew), delete().to(edge_keys::revoke)],
        _ => Vec::new(),
    }
}

/// Another method on a path that is there: 405 that says which it takes.
fn otherwise(resource: Resource, needs: &'static [(&'static str, Need)]) -> Resource {
    resource.default_service(web::to(move || async move { wrong_method(needs) }))
}

fn wrong_method(needs: &[(&'static str, Need)]) -> HttpResponse {
    ApiError::wrong_method(methods(needs)).error_response()
}

/// As the header `Allow` lists them: `GET, PUT`.
#[must_use]
pub fn methods(needs: &[(&'static str, Need)]) -> String {
    needs.iter().map(|(method, _)| *method).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::right::{Modes, decide};
    use crate::access::who::{Role, Who};

    #[test]
    fn every_route_has_its_handlers_one_per_method_and_its_place_in_the_documents() {
        let document = include_str!("../../docs/http-api.md");
        for &(path, needs) in ROUTES {
            assert_eq!(handlers(path).len(), needs.len(), "{path}");
            let shown = format!("{} {}", methods(needs), path.replace(":.*", ""));
            assert!(document.contains(&shown), "{shown} in docs/http-api.md");
        }
    }

    /// The two tables of docs/http-api.md, from the code.
    fn tables() -> (String, String) {
        let mut routes = String::from("| needs | calls |\n|---|---|\n");
        for need in Need::ALL {
            let of_need = |&(path, needs): &Row| {
                let methods: Vec<_> = needs.iter().filter(|(_, other)| *other == need).copied().collect();
                (!methods.is_empty()).then(|| format!("`{} {}`", super::methods(&methods), path.replace(":.*", "")))
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
}
