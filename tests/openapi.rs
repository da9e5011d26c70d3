//! The OpenAPI document, and that the harness holds every answer of every test against it.

mod common;

use common::Central;
use common::openapi::documented;
use serde_json::json;

#[test]
fn the_document_is_served_as_it_is_made() {
    let central = Central::standalone("central-1");
    let served = central.http.get("/openapi.json");
    assert_eq!(served.status, 200);
    assert_eq!(served.body, parkmesh::http::routes::document());
    assert_eq!(served.field("openapi"), "3.1.0");
}

#[test]
fn an_answer_the_document_does_not_know_is_a_fault() {
    let stats = json!({
        "success": true, "day": "2026-11-29", "vehicles_in_parking": 1, "entries_today": 1, "exits_today": 0, "revenue_today": 0,
        "gates": [{"central": "central-1", "edge_id": "edge-1", "entries": 1, "exits": 0, "revenue": 0}],
    });
    assert_eq!(documented("GET", "/api/stats", 200, &stats), Ok(()));
    let changed = |name: &str, value: serde_json::Value| {
        let mut body = stats.clone();
        body[name] = value;
        documented("GET", "/api/stats", 200, &body)
    };
    assert!(changed("revenue_today", json!("0")).is_err(), "another type");
    assert!(changed("more", json!(1)).is_err(), "a field nobody was told of");
    assert!(changed("success", json!(false)).is_err(), "a success that is none");
    assert!(documented("GET", "/api/stats", 200, &json!({"success": true})).is_err(), "a field is missing");
    assert!(documented("GET", "/api/stats", 201, &stats).is_err(), "another status");
    assert!(documented("GET", "/api/wages", 200, &stats).is_err(), "another path");
    assert!(documented("DELETE", "/api/stats", 200, &stats).is_err(), "another method");
    let refusal = |code: &str| json!({"success": false, "error": "x", "code": code});
    assert_eq!(documented("GET", "/api/stats", 503, &refusal("busy")), Ok(()));
    assert!(documented("GET", "/api/stats", 503, &refusal("not_saved")).is_err(), "a code of other calls");
}
