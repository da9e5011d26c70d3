//! What docs/disaster-recovery.md tells people to do, done.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Central, DEADLINE, Mesh, eventually, skip};
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../docs/disaster-recovery.md");

/// `count` centrals that prove who they are and are linked.
fn secured(count: usize) -> Mesh {
    let mut mesh = Mesh::new(count);
    for central in &mut mesh.centrals {
        central.config["security"]["p2p"] = json!("tls");
    }
    mesh.start_all();
    mesh
}

fn accept(at: &Central, new: &Central) {
    let fingerprint = new.http.p2p_status()["fingerprint"].clone();
    let accepted = json!({"fingerprint": fingerprint, "unconfirmed": false});
    at.http.put(&format!("/api/p2p/peers/{}", new.id), &accepted).ok();
}

fn digest(central: &Central) -> Value {
    central.http.p2p_status()["digest"].clone()
}

#[test]
fn a_damaged_database_is_moved_away_and_comes_back_from_the_others() {
    let mut mesh = secured(2);
    mesh.centrals[0].http.enter("edge-1", "29A11111");
    mesh.centrals[1].http.enter("edge-1", "29A22222");
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 2);
    mesh.centrals[1].terminate();
    let data = mesh.centrals[1].data_directory();
    let mut bytes = fs::read(data.join("central.db")).unwrap();
    bytes[..100].fill(0);
    fs::write(data.join("central.db"), bytes).unwrap();
    mesh.centrals[1].spawn();
    assert_eq!(mesh.centrals[1].wait_ended(DEADLINE).code(), Some(74));
    let damaged = mesh.centrals[1].directory().join("damaged");
    fs::create_dir(&damaged).unwrap();
    for entry in fs::read_dir(&data).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("central.db") {
            fs::rename(entry.path(), damaged.join(name)).unwrap();
        }
    }
    mesh.start_all();
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 2, "nobody had to accept anything");
    assert_eq!(mesh.centrals[0].http.leave("edge-2", "29A22222"), 0);
}

/// One is restored from its backup, and it is the site: the others are new machines that fetch everything from it.
#[test]
fn of_a_site_that_is_gone_one_backup_brings_all_back() {
    let mut mesh = secured(3);
    mesh.centrals[2].http.enter("edge-1", "29A11111");
    mesh.centrals[0].http.enter("edge-1", "29A22222");
    mesh.wait_equal(DEADLINE);
    let elsewhere = tempfile::tempdir().unwrap();
    let backups = json!({"backup": {"dir": elsewhere.path()}});
    mesh.centrals[0].http.put("/api/p2p/config", &backups).ok();
    let state = |central: &Central| central.http.get("/api/status").ok().body["central"]["backup"].clone();
    eventually("a proven backup", 3 * DEADLINE, || state(&mesh.centrals[0])["proven_ms"].is_i64());
    let at_backup = digest(&mesh.centrals[0]);

    for central in &mut mesh.centrals {
        central.kill9();
        fs::remove_dir_all(central.data_directory()).unwrap();
        fs::remove_file(central.config_file()).unwrap();
    }
    let backup = fs::read_dir(elsewhere.path()).unwrap().next().unwrap().unwrap().path();
    let restored = mesh.centrals[0].subcommand("restore").arg(&backup).output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    mesh.start_all_but_linked();
    assert_eq!(digest(&mesh.centrals[0]), at_backup, "a gate opens at once for who was inside");
    assert_eq!(mesh.centrals[0].http.leave("edge-2", "29A11111"), 0);
    let (restored, new) = mesh.centrals.split_first().unwrap();
    for central in new {
        let refused = || {
            let status = restored.http.p2p_status();
            let peers = status["peers"].as_array().unwrap();
            peers.iter().any(|peer| peer["peer_id"] == json!(central.id) && peer["certificate_refused"].is_object())
        };
        eventually("the new key is shown", DEADLINE, refused);
        accept(restored, central);
    }
    mesh.wait_linked(DEADLINE);
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 2);
}

/// The document's own program, word for word.
#[test]
fn after_a_wrong_tariff_it_is_known_who_is_given_back_what() {
    if Command::new("python3").arg("--version").output().is_err() {
        return skip("after_a_wrong_tariff_it_is_known_who_is_given_back_what", "there is no python3");
    }
    let central = Central::standalone("central-1");
    let http = &central.http;
    let tariff =
        |per_hour: i64| json!({"fee_base": 0, "fee_per_hour": per_hour, "fee_overnight": 0, "fee_daily_max": 0});
    http.put("/api/parking/fees", &json!({"fees": tariff(250_000)})).ok();
    for plate in ["29A11111", "29A22222", "29A33333"] {
        // In the middle of its first hour, however long this takes.
        let came_ms = parkmesh::ops::clock::Clock::machine().now_ms() - 1_800_000;
        let came = json!({"type": "ENTRY", "camera_id": "edge-1", "timestamp": came_ms, "data": {"plate_text": plate}});
        http.post("/api/edge/event", &came).ok();
        assert_eq!(http.leave("edge-2", plate), 250_000);
    }
    let subscription = json!({"id": "s", "plate_number": "29A44444", "type": "monthly", "status": "active",
        "start_date": "2020-01-01", "end_date": "2099-01-01"});
    http.put("/api/subscriptions", &json!({"subscriptions": [subscription]})).ok();
    http.enter("edge-1", "29A44444");
    assert_eq!(http.leave("edge-2", "29A44444"), 0);
    http.put("/api/parking/fees", &json!({"fees": tariff(25_000)})).ok();

    let right = central.directory().join("right.json");
    fs::write(&right, http.get("/api/parking/fees").ok().body["fees"].to_string()).unwrap();
    let list = || refunds(&central, &right);
    let lines = list();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[3], ["sum", "675000"], "{lines:?}");
    for line in &lines[..3] {
        assert_eq!(line[2..5], ["250000", "25000", "225000"], "{lines:?}");
        http.correct(&line[5], &json!({"fee": 25_000, "reason": "wrong tariff of the morning, given back"})).ok();
    }
    assert_eq!(list(), [["sum", "0"]]);
    assert_eq!(http.stats()["revenue_today"], 75_000);
}

/// What the program of the document prints, by line and field.
fn refunds(central: &Central, right: &Path) -> Vec<Vec<String>> {
    let program = DOCUMENT.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let file = central.directory().join("refunds.py");
    fs::write(&file, program).unwrap();
    let base = format!("http://{}:{}", central.ip, common::central::API_PORT);
    let mut call = Command::new("python3");
    let output = call.arg(&file).args([&base, "2020-01-01", "2099-01-01"]).arg(right).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split(',').map(ToOwned::to_owned).collect()).collect()
}

/// The copy that an update made aside is what the older version takes; the rest returns from the others.
#[test]
fn a_version_that_was_bad_is_gone_back_from() {
    let mut mesh = secured(2);
    mesh.centrals[0].http.enter("edge-1", "29A11111");
    mesh.wait_equal(DEADLINE);
    mesh.centrals[1].terminate();
    let database = mesh.centrals[1].database();
    let aside = database.with_file_name("central.db.v1.bak");
    fs::copy(&database, &aside).unwrap();
    mesh.start_all();
    mesh.centrals[1].http.enter("edge-1", "29A22222");
    mesh.wait_equal(DEADLINE);
    mesh.centrals[1].terminate();
    let newer = rusqlite::Connection::open(&database).unwrap();
    newer.pragma_update(None, "user_version", 9_999).unwrap();
    drop(newer);
    mesh.centrals[1].spawn();
    assert_eq!(mesh.centrals[1].wait_ended(DEADLINE).code(), Some(74));
    fs::remove_file(&database).unwrap();
    fs::rename(&aside, &database).unwrap();
    mesh.start_all();
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 2, "what it wrote itself returned, too");
}
