//! Every route of a central on one screen. What each takes and answers: docs/http-api.md.

use actix_web::web::{ServiceConfig, delete, post, put, resource, route, to};
use actix_web::{HttpResponse, Resource, ResponseError, Route, guard, web};

use super::error::ApiError;
use super::{
    amendments, edge_programs, edges, health, history, members, mesh, openapi, p2p, pages, parking, predecessors,
    stories, ws_edge, ws_peer, ws_status,
};

/// Path pattern, methods it takes. The one list the figures and the tests go by.
pub const ROUTES: &[(&str, &str)] = &[
    ("/", "GET"),
    ("/gate", "GET"),
    ("/history", "GET"),
    ("/settings", "GET"),
    ("/static/{path:.*}", "GET"),
    ("/docs/{path:.*}", "GET"),
    ("/openapi.json", "GET"),
    ("/ws/status", "GET"),
    ("/healthz", "GET"),
    ("/readyz", "GET"),
    ("/metrics", "GET"),
    ("/api/edge/detection", "POST"),
    ("/api/edge/barrier/open", "POST"),
    ("/api/edge/barrier/close", "POST"),
    ("/api/edge/event", "POST"),
    ("/api/edge/heartbeat", "POST"),
    ("/api/edge/sync-config", "POST"),
    ("/ws/edge", "GET"),
    ("/ws/p2p", "GET"),
    ("/api/cameras", "GET"),
    ("/api/parking/history", "GET"),
    ("/api/parking/history.csv", "GET"),
    ("/api/parking/history/{event_id}", "PUT, DELETE"),
    ("/api/parking/history/{event_id}/story", "GET"),
    ("/api/parking/anomalies", "GET"),
    ("/api/parking/state", "GET"),
    ("/api/parking/fees", "GET, PUT"),
    ("/api/parking/fees/preview", "POST"),
    ("/api/subscriptions", "GET, PUT"),
    ("/api/stats", "GET"),
    ("/api/status", "GET"),
    ("/api/p2p/config", "GET, PUT"),
    ("/api/p2p/peers", "POST"),
    ("/api/p2p/peers/{id}", "PUT, DELETE"),
    ("/api/p2p/peers/{id}/expel", "POST"),
    ("/api/p2p/pending/{fingerprint}", "POST, DELETE"),
    ("/api/p2p/invitations", "POST"),
    ("/api/p2p/join", "POST"),
    ("/api/p2p/status", "GET"),
    ("/api/p2p/sync-state", "GET"),
    ("/api/p2p/test-connection", "POST"),
    ("/api/p2p/info", "GET"),
    ("/api/p2p/register-peer", "POST"),
];

/// Puts every route in place.
pub fn configure(app: &mut ServiceConfig) {
    for &(path, methods) in ROUTES {
        let mut resource = resource(path);
        for route in handlers(path) {
            resource = resource.route(route);
        }
        app.service(otherwise(resource, methods));
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
        "/" | "/gate" | "/history" | "/settings" => vec![get().to(pages::page)],
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
        "/api/parking/history/{event_id}/story" => vec![get().to(stories::story)],
        "/api/parking/anomalies" => vec![get().to(stories::anomalies)],
        "/api/parking/state" => vec![get().to(parking::state)],
        "/api/parking/fees" => vec![get().to(parking::fees), put().to(parking::put_fees)],
        "/api/parking/fees/preview" => vec![post().to(parking::preview_fee)],
        "/api/subscriptions" => vec![get().to(parking::subscriptions), put().to(parking::put_subscriptions)],
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
        _ => Vec::new(),
    }
}

/// Another method on a path that is there: 405 that says which it takes.
fn otherwise(resource: Resource, methods: &'static str) -> Resource {
    resource.default_service(web::to(move || async move { wrong_method(methods) }))
}

fn wrong_method(methods: &'static str) -> HttpResponse {
    ApiError::wrong_method(methods).error_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_its_handlers_one_per_method_and_its_place_in_the_documents() {
        let document = include_str!("../../docs/http-api.md");
        for &(path, methods) in ROUTES {
            assert_eq!(handlers(path).len(), methods.split(", ").count(), "{path}");
            let shown = format!("{methods} {}", path.replace(":.*", ""));
            assert!(document.contains(&shown), "{shown} in docs/http-api.md");
        }
    }
}
