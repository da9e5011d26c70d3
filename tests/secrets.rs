//! No secret leaves the two places it belongs to: everything a run produced is searched for every secret there is. A new kind of
//! secret gets a line in `secrets`, a new thing that is written or answered one in `everything_said`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::central::API_PORT;
use common::dashboard::Dashboard;
use common::{Central, DEADLINE, eventually};
use parkmesh::http::routes::ROUTES;
use serde_json::json;

/// As the settings hold it; nobody is ever shown it.
const KEY_HASH: &str = "sha256:5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";

/// What must be nowhere, by what it is.
fn secrets(central: &Central) -> BTreeMap<String, String> {
    let mut secrets = BTreeMap::from([("the hash of an edge's key".to_owned(), KEY_HASH.to_owned())]);
    // Private keys, line by line.
    for file in files_below(&central.data_directory()) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap_or_default()).into_owned();
        let Some(key) = text.split("PRIVATE KEY-----").nth(1) else { continue };
        for line in key.lines().filter(|line| line.len() > 20 && !line.contains("-----")) {
            secrets.insert(format!("a line of {}", file.display()), line.to_owned());
        }
    }
    secrets
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// Everything a central answers and writes, by where it is.
fn everything_said(central: &Central, stay: &str) -> BTreeMap<String, Vec<u8>> {
    let mut said = BTreeMap::new();
    for (path, needs) in ROUTES {
        let path = path
            .replace("{event_id}", stay)
            .replace("{name}", "x")
            .replace("{edge_id}", "edge-9")
            .replace("{id}", "central-2")
            .replace("{path:.*}", "http-api.md");
        for (method, _) in *needs {
            // What is asked for as it should be, and what is wrong with it in every way.
            for body in [None, Some(("application/json", &b"{}"[..])), Some(("application/json", &b"{\"x\":"[..]))] {
                if let Ok(reply) = central.http.send(method, &path, body) {
                    let headers = format!("{:?}", reply.headers);
                    said.insert(format!("{method} {path} {body:?}"), [headers, reply.text].concat().into_bytes());
                }
            }
        }
    }
    let mut feed = Dashboard::open(&format!("{}:{API_PORT}", central.ip), "");
    said.insert("the status feed".to_owned(), feed.next().to_string().into_bytes());
    said
}

/// Everything on the disk, save the settings and the key themselves.
fn everything_written(central: &Central) -> BTreeMap<String, Vec<u8>> {
    let is_kept = |path: &&PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        !name.starts_with("p2p_config.json")
            && !String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).contains("PRIVATE KEY-----")
    };
    let files = files_below(central.directory());
    files.iter().filter(is_kept).map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn no_secret_is_in_anything_that_is_said_or_written() {
    let mut central = Central::new("central-1");
    central.config["edges"] = json!([{"id": "edge-1", "name": "Cổng A", "direction": "ENTRY", "key_hash": KEY_HASH}]);
    central.add_peer("central-2", "127.97.0.9", 29_000);
    // Every level, also of the libraries.
    central.env("RUST_LOG", "trace");
    central.start();
    let stay = central.http.enter("edge-1", "29A12345");
    // Saved with the secret in it, without it, and wrongly.
    let edge = |name: &str, key_hash: serde_json::Value| json!({"edges": [{"id": "edge-1", "name": name, "key_hash": key_hash}]});
    central.http.put("/api/p2p/config", &edge("Cổng B", json!(KEY_HASH))).ok();
    central.http.put("/api/p2p/config", &json!({"edges": [{"id": "edge-1", "name": "Cổng C"}]})).ok();
    central.http.put("/api/p2p/config", &edge("x\u{7}", json!(KEY_HASH))).refused(400);
    central.http.put("/api/p2p/config", &edge("Cổng D", json!(format!("{KEY_HASH}\u{7}")))).refused(400);
    eventually("the peer was dialled", DEADLINE, || central.log().contains("peer_dial_failed"));
    let mut all = everything_said(&central, &stay);
    let secrets = secrets(&central);
    central.terminate();
    let file = std::fs::read_to_string(central.config_file()).unwrap();
    assert!(file.contains(KEY_HASH), "it is kept where it belongs: {file}");
    all.extend(everything_written(&central));
    assert!(all.len() > ROUTES.len() && all.keys().any(|name| name.ends_with("log.txt")));
    for (place, bytes) in &all {
        for (what, secret) in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{what} is in {place}");
        }
    }
}
