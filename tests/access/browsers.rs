//! What a page of another site can make a browser do here: nothing.

use super::administrator;
use super::common::central::{API_PORT, P2P_PORT};
use super::common::ws::Ws;
use super::common::{Central, Http};
use serde_json::json;

fn code(http: &Http, method: &str, path: &str, body: &serde_json::Value) -> (u16, String) {
    let bytes = body.to_string();
    let reply = http.send(method, path, Some(("application/json", bytes.as_bytes()))).unwrap();
    (reply.status, reply.field("code").to_owned())
}

#[test]
fn a_foreign_page_changes_nothing_even_with_the_cookie_of_an_administrator() {
    let mut central = Central::new("central-1");
    central.security("admin", "password");
    central.start();
    let an = administrator(&central);
    let foreign = (403, "foreign_page".to_owned());
    for header in [("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        let lured = an.with(header.0, header.1);
        assert_eq!(code(&lured, "PUT", "/api/p2p/config", &json!({"site": {"name": "evil"}})), foreign, "{header:?}");
        assert_eq!(
            code(&lured, "POST", "/api/edge/barrier/open", &json!({"edge_id": "e", "plate_id": "29A12345"})),
            foreign
        );
        assert_eq!(code(&lured, "DELETE", "/api/access/people/an", &json!({})), foreign);
    }
    assert_eq!(an.get("/api/p2p/config").ok().body["config"]["site"]["name"], "");
    assert_eq!(central.http.stats()["vehicles_in_parking"], 0);
    let own = an.with("Origin", format!("http://{}:28000", central.ip));
    own.put("/api/p2p/config", &json!({"site": {"name": "Bãi A"}})).ok();
}

#[test]
fn a_foreign_page_opens_no_socket() {
    let central = Central::standalone("central-1");
    for path in ["/ws/edge", "/ws/status", "/ws/p2p"] {
        let lured = central.http.with("Origin", "http://evil.example").with("Upgrade", "websocket");
        let reply = lured.send("GET", path, None).unwrap();
        assert_eq!((reply.status, reply.field("code")), (403, "foreign_page"), "{path}");
    }
}

#[test]
fn no_page_becomes_a_central() {
    let mut central = Central::new("central-1");
    central.add_peer("central-2", "127.0.0.1", 1);
    // With `p2p: open` a HELLO would do.
    central.start();
    let address = format!("{}:{P2P_PORT}", central.ip);
    let own = format!("http://{address}");
    for origin in ["http://evil.example", "null", own.as_str()] {
        for path in ["/", "/guests", "/api/p2p/info"] {
            let refused = Ws::dial_with(&address, path, Some(("Origin", origin))).err().expect("it is refused");
            assert!(refused.contains("403"), "{origin} {path}: {refused}");
        }
    }
    // The pages themselves dial no central either.
    let api = format!("{}:{API_PORT}", central.ip);
    assert!(Ws::dial_with(&api, "/ws/p2p", Some(("Origin", &format!("http://{api}")))).is_err());
    assert!(Ws::dial(&address, "/", Some("parkmesh.1")).is_ok(), "a central says no origin");
}

#[test]
fn a_name_that_leads_here_from_outside_is_not_answered() {
    let central = Central::standalone("central-1");
    for path in ["/", "/api/parking/history", "/api/p2p/config"] {
        let reply = central.http.with("Host", "evil.example:28000").send("GET", path, None).unwrap();
        assert_eq!((reply.status, reply.field("code")), (403, "unknown_host"), "{path}");
    }
    central.http.put("/api/p2p/config", &json!({"security": {"host_names": ["baixe.example.vn"]}})).ok();
    central.http.with("Host", "baixe.example.vn:28000").get("/api/p2p/config").ok();
}

#[test]
fn every_answer_says_how_browsers_have_to_treat_it() {
    let central = Central::standalone("central-1");
    for path in
        ["/", "/login", "/static/css/app.css", "/api/stats", "/metrics", "/nothing", "/docs/logs.md", "/ws/edge"]
    {
        let reply = central.http.send("GET", path, None).unwrap();
        let header = |name: &str| reply.headers.get(name).map_or("", |value| value.to_str().unwrap());
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
    }
}
