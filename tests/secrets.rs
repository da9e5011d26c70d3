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
use common::{Central, DEADLINE, Http, eventually};
use parkmesh::http::routes::ROUTES;
use serde_json::{Value, json};

/// As the settings hold it; nobody is ever shown it.
const KEY_HASH: &str = "sha256:5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";

/// Typed as passwords, rightly, wrongly, in the wrong field, and as a new one.
const PASSWORDS: [&str; 4] = ["ba-con-voi-7261", "bon-con-voi-8362", "nam-con-voi-9463", "sau-con-voi-1564"];

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

/// Everything a central answers and writes to whom may ask it everything, by where it is.
fn everything_said(central: &Central, asking: &Http, stay: &str) -> BTreeMap<String, Vec<u8>> {
    let mut said = BTreeMap::new();
    let mut rows: Vec<_> = ROUTES.iter().collect();
    // Ends the session that asks.
    rows.sort_by_key(|(path, _)| *path == "/api/access/logout");
    for (path, needs) in rows {
        let path = path
            .replace("{event_id}", stay)
            .replace("{name}", "x")
            .replace("{edge_id}", "edge-9")
            .replace("{id}", "central-2")
            .replace("{path:.*}", "http-api.md");
        for (method, _) in needs {
            // What is asked for as it should be, and what is wrong with it in every way.
            for body in [None, Some(("application/json", &b"{}"[..])), Some(("application/json", &b"{\"x\":"[..]))] {
                if let Ok(reply) = asking.send(method, &path, body) {
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

/// What people and programs prove themselves with, made or typed in this run, by what it is.
struct Typed {
    an: Http,
    secrets: BTreeMap<String, String>,
}

/// Uses everything there is to come in with, rightly and wrongly, also in the wrong fields.
fn come_in(central: &Central) -> Typed {
    let mut secrets = BTreeMap::new();
    let code = central.first_code();
    let call = |path: &str, body: &Value| central.http.post(path, body);
    call("/api/access/code", &json!({"code": "0000-0000-0000", "name": "an", "password": PASSWORDS[0]})).refused(401);
    let entered = call("/api/access/code", &json!({"code": code, "name": "an", "password": PASSWORDS[0]})).ok();
    secrets.insert("the first code".to_owned(), code);
    let session = entered.cookie();
    secrets.insert("a session".to_owned(), session.split_once('=').unwrap().1.to_owned());
    let an = central.http.with("Cookie", session);
    an.post("/api/access/people", &json!({"name": "binh", "role": "operator", "password": PASSWORDS[1]})).ok();
    let binh = call("/api/access/login", &json!({"name": "binh", "password": PASSWORDS[1]})).ok();
    secrets.insert("another session".to_owned(), binh.cookie().split_once('=').unwrap().1.to_owned());
    // A wrong password, and one in the field of the name.
    call("/api/access/login", &json!({"name": "binh", "password": PASSWORDS[2]})).refused(401);
    call("/api/access/login", &json!({"name": PASSWORDS[1], "password": "x"})).refused(401);
    an.put("/api/access/password", &json!({"old": PASSWORDS[2], "new": PASSWORDS[3]})).refused(401);
    an.put("/api/access/people/binh", &json!({"password": PASSWORDS[3]})).ok();
    for (number, password) in PASSWORDS.iter().enumerate() {
        secrets.insert(format!("password {number}"), (*password).to_owned());
    }
    let token = an.post("/api/access/tokens", &json!({"name": "backup", "role": "administrator"})).ok();
    let key = an.post("/api/access/edges/edge-1/key", &json!({})).ok();
    for (what, secret) in [("a token", token.field("token")), ("a key", key.field("key"))] {
        secrets.insert(what.to_owned(), secret.to_owned());
    }
    central.http.with("Authorization", format!("Bearer {}", token.field("token"))).get("/api/access/tokens").ok();
    let edge = central.http.with("X-Edge-Key", key.field("key"));
    edge.enter("edge-1", "30A12345");
    // Shown as it is not, and where it does not count.
    central
        .http
        .with("Authorization", format!("Bearer {}x", token.field("token")))
        .get("/api/access/tokens")
        .refused(401);
    edge.put("/api/p2p/config", &json!({})).refused(403);
    let invited = an.post("/api/p2p/invitations", &json!({})).ok();
    let invitation = invited.field("invitation");
    an.post("/api/p2p/join", &json!({"invitation": invitation})).refused(409);
    let code = invitation.rsplit('/').next().unwrap();
    assert!(code.len() > 8, "{invitation}");
    secrets.insert("the end of an invitation".to_owned(), code[code.len() - 8..].to_owned());
    Typed { an, secrets }
}

/// The log without what it has to say: the first code, in its line and in that for the terminal.
fn without_first_code(name: &str, bytes: &[u8]) -> Vec<u8> {
    if !name.ends_with("log.txt") {
        return bytes.to_vec();
    }
    let text = String::from_utf8_lossy(bytes);
    let is_told = |line: &str| line.contains("event=first_code") || line.starts_with("Nobody administers it yet");
    text.lines().filter(|line| !is_told(line)).collect::<Vec<_>>().join("\n").into_bytes()
}

#[test]
fn no_secret_is_in_anything_that_is_said_or_written() {
    let mut central = Central::secured("central-1");
    central.security("admin", "password");
    central.config["edges"] = json!([
        {"id": "edge-1", "name": "Cổng A", "direction": "ENTRY"},
        {"id": "edge-2", "name": "Cổng A", "direction": "ENTRY", "key_hash": KEY_HASH},
    ]);
    central.add_peer("central-2", "127.97.0.9", 29_000);
    // Every level, also of the libraries.
    central.env("RUST_LOG", "trace");
    central.start();
    let stay = central.http.enter("edge-2", "29A12345");
    let Typed { an, secrets: typed } = come_in(&central);
    // Saved with the secret in it, without it, and wrongly.
    let edge = |name: &str, key_hash: Value| json!({"edges": [{"id": "edge-1"}, {"id": "edge-2", "name": name, "key_hash": key_hash}]});
    an.put("/api/p2p/config", &edge("Cổng B", json!(KEY_HASH))).ok();
    an.put("/api/p2p/config", &json!({"edges": [{"id": "edge-1"}, {"id": "edge-2", "name": "Cổng C"}]})).ok();
    an.put("/api/p2p/config", &edge("x\u{7}", json!(KEY_HASH))).refused(400);
    an.put("/api/p2p/config", &edge("Cổng D", json!(format!("{KEY_HASH}\u{7}")))).refused(400);
    eventually("the peer was dialled", DEADLINE, || central.log().contains("peer_dial_failed"));
    let mut all = everything_said(&central, &an, &stay);
    let mut secrets = secrets(&central);
    secrets.extend(typed);
    central.terminate();
    let file = std::fs::read_to_string(central.config_file()).unwrap();
    assert!(file.contains(KEY_HASH), "it is kept where it belongs: {file}");
    let database = rusqlite::Connection::open(central.database()).unwrap();
    database.execute("VACUUM INTO ?1", [central.directory().join("backup.db").to_string_lossy()]).unwrap();
    let audited: i64 = database.query_row("SELECT count(*) FROM audit", (), |row| row.get(0)).unwrap();
    assert!(audited > 10, "{audited}");
    drop(database);
    all.extend(everything_written(&central));
    assert!(all.len() > ROUTES.len());
    for name in ["log.txt", "central.db", "backup.db"] {
        assert!(all.keys().any(|path| path.ends_with(name)), "{name}");
    }
    for (place, bytes) in &all {
        let bytes = without_first_code(place, bytes);
        for (what, secret) in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{what} is in {place}");
        }
    }
}
