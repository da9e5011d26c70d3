//! The API port over HTTPS: who is met there, switching while it runs, and files that are of no use.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use common::central::API_PORT;
use common::https::fingerprint_in;
use common::{Central, DEADLINE, Https, eventually, eventually_some};
use parkmesh::domain::fingerprint::Fingerprint;
use parkmesh::tls::key_file;
use serde_json::{Value, json};

const PASSWORD: &str = "ba con voi";

/// What a central shows if nothing was given to it.
fn own(central: &Central) -> Fingerprint {
    fingerprint_in(&central.data_directory().join("identity.pem"))
}

/// Starts a central whose settings say `https`.
fn start_secured(central: &mut Central) -> Https {
    central.security("api", "https");
    central.spawn();
    let identity = central.data_directory().join("identity.pem");
    eventually("it has an identity", DEADLINE, || identity.exists());
    let https = Https::to(&central.ip, own(central));
    wait_ready(&https);
    https
}

#[track_caller]
fn wait_ready(https: &Https) {
    let is_ready = || https.try_call("GET", "/readyz", None).is_ok_and(|answer| answer.status == 200);
    eventually("it is ready over HTTPS", DEADLINE, is_ready);
}

/// Another certificate with its key, in two files beside the settings.
fn given(central: &Central, name: &str) -> (PathBuf, PathBuf) {
    let made = tempfile::tempdir().unwrap();
    key_file::open_or_make(made.path()).unwrap();
    let whole = fs::read_to_string(made.path().join("identity.pem")).unwrap();
    let at = whole.find("-----BEGIN CERTIFICATE").unwrap();
    let path = |ending: &str| central.directory().join(format!("{name}.{ending}"));
    fs::write(path("crt"), &whole[at..]).unwrap();
    fs::write(path("key"), &whole[..at]).unwrap();
    (path("crt"), path("key"))
}

/// What comes back for a request in clear, up to the end of the connection.
fn asked_in_clear(central: &Central) -> String {
    let mut stream = TcpStream::connect((central.ip.as_str(), API_PORT)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(format!("GET /api/stats HTTP/1.1\r\nHost: {}\r\n\r\n", central.ip).as_bytes()).unwrap();
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        // It ended without reading all that was sent.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the connection ends: {error}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn gates_pages_and_the_feed_speak_https_and_nobody_is_answered_in_clear() {
    let mut central = Central::new("central-1");
    central.security("admin", "password");
    let https = start_secured(&mut central);
    let entry = json!({"edge_id": "edge-1", "plate_id": "29A12345", "direction": "ENTRY"});
    https.send("POST", "/api/edge/barrier/open", &entry).ok();
    assert_eq!(https.get("/api/stats").ok().body["vehicles_in_parking"], 1);
    let page = https.get("/settings");
    assert!(page.status == 200 && page.head.contains("default-src 'self'"), "{}", page.head);
    assert!(!page.head.to_ascii_lowercase().contains("strict-transport-security"), "{}", page.head);

    let said = asked_in_clear(&central);
    assert!(!said.contains("HTTP/1.1"), "{said}");
    let stranger = Https::to(&central.ip, fingerprint_in(&given(&central, "other").0));
    assert!(stranger.try_call("GET", "/api/stats", None).is_err(), "another certificate than the expected one");

    // The cookie is for HTTPS alone.
    let body = json!({"code": central.first_code(), "name": "an", "password": PASSWORD});
    let entered = https.send("POST", "/api/access/code", &body).ok();
    let cookie = entered.head.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:")).unwrap();
    assert!(cookie.contains("__Host-parkmesh-central-1=") && cookie.contains("; Secure"), "{cookie}");
    let cookie = cookie.split_once(": ").unwrap().1.split(';').next().unwrap();
    let an = https.with("Cookie", cookie);
    let change = json!({"site": {"name": "B"}});
    an.send("PUT", "/api/p2p/config", &change).ok();
    for (scheme, expected) in [("https", 200), ("http", 403)] {
        let page = an.with("Origin", &format!("{scheme}://{}:{API_PORT}", central.ip));
        assert_eq!(page.send("PUT", "/api/p2p/config", &change).status, expected, "a page that came over {scheme}");
    }
    let in_clear = https.with("Cookie", &cookie.replace("__Host-", ""));
    assert_eq!(in_clear.send("PUT", "/api/p2p/config", &change).status, 401, "what was set in clear is not believed");

    let url = format!("wss://{}:{API_PORT}/ws/status", central.ip);
    let (mut feed, _) = tungstenite::client(url, https.connect().unwrap()).unwrap();
    let first: Value = serde_json::from_str(feed.read().unwrap().to_text().unwrap()).unwrap();
    assert_eq!(first["type"], "snapshot", "{first}");
}

#[test]
fn https_is_switched_on_and_off_while_it_runs_and_a_wrong_file_changes_nothing() {
    let mut central = Central::standalone("central-1");
    let (certificate, key) = given(&central, "given");
    let (_, other_key) = given(&central, "other");
    let nowhere = central.directory().join("nowhere.pem");
    let text = central.directory().join("text.pem");
    fs::write(&text, "no PEM").unwrap();
    let before = fs::read(central.config_file()).unwrap();
    for (certificate, key, field, code) in [
        (&nowhere, Some(&key), "security.api_certificate_file", "unreadable"),
        (&text, Some(&key), "security.api_certificate_file", "no_certificate"),
        (&certificate, None, "security.api_certificate_file", "no_key"),
        (&certificate, Some(&nowhere), "security.api_key_file", "unreadable"),
        (&certificate, Some(&text), "security.api_key_file", "no_key"),
        (&certificate, Some(&other_key), "security.api_key_file", "other_key"),
    ] {
        let put = json!({"security": {"api": "https", "api_certificate_file": certificate, "api_key_file": key}});
        let refused = central.http.put("/api/p2p/config", &put).refused(400);
        let problem = &refused.body["problems"][0];
        assert_eq!((&problem["field"], &problem["code"]), (&json!(field), &json!(code)), "{}", refused.text);
        assert!(!refused.text.contains("BEGIN"), "{}", refused.text);
    }
    assert_eq!(fs::read(central.config_file()).unwrap(), before, "the file is as it was");
    central.http.enter("edge-1", "29A12345");

    // On, with the own certificate; the answer to the save still comes in clear.
    let saved = central.http.put("/api/p2p/config", &json!({"security": {"api": "https"}})).ok();
    let own = Https::to(&central.ip, own(&central));
    wait_ready(&own);
    assert_eq!(own.get("/api/stats").ok().body["vehicles_in_parking"], 1, "{}", saved.text);
    assert!(!asked_in_clear(&central).contains("HTTP/1.1"));

    // Another certificate, and one that cannot be had.
    let put = json!({"security": {"api_certificate_file": certificate, "api_key_file": key}});
    own.send("PUT", "/api/p2p/config", &put).ok();
    let given = Https::to(&central.ip, fingerprint_in(&certificate));
    wait_ready(&given);
    assert!(own.try_call("GET", "/readyz", None).is_err(), "the own certificate is shown no more");
    let wrong = json!({"security": {"api_key_file": other_key}});
    assert_eq!(given.send("PUT", "/api/p2p/config", &wrong).status, 400);
    given.get("/api/stats").ok();

    // What was saved is what the next start begins with; without its files it does not start.
    central.terminate();
    central.spawn();
    wait_ready(&given);
    central.terminate();
    fs::remove_file(&key).unwrap();
    central.spawn();
    let status = central.wait_ended(DEADLINE);
    assert_eq!(status.code(), Some(78));
    let log = central.log();
    assert!(log.contains("security.api_key_file cannot be read"), "{log}");
    fs::copy(&other_key, &key).unwrap();
    central.spawn();
    assert_eq!(central.wait_ended(DEADLINE).code(), Some(78), "a key of another certificate");

    // And off.
    central.security("api", "https");
    central.write_config();
    central.spawn();
    wait_ready(&own);
    own.send("PUT", "/api/p2p/config", &json!({"security": {"api": "http"}})).ok();
    let http = central.http.clone();
    eventually_some("it is ready in clear", DEADLINE, || http.try_get("/readyz").ok().filter(|r| r.is_success()));
    assert_eq!(http.stats()["vehicles_in_parking"], 1);
}
