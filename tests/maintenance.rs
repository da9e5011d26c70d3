//! `parkmesh verify` and `parkmesh rebuild` on the database of a real central.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::Central;
use parkmesh::domain::event::{Body, Draft, Entry};
use parkmesh::domain::ids::{CentralId, Epoch, Hlc, LogId};
use parkmesh::domain::plate::PlateId;
use parkmesh::domain::time::SiteZone;
use parkmesh::ledger::job::Job;
use parkmesh::ledger::storage::Storage as _;
use parkmesh::ledger::transaction::TransactionTime;
use parkmesh::ledger::{Context, Ledger};
use parkmesh::replication::log::{EventBytes, Head, Run};
use parkmesh::store::{DataDir, Writer};
use rusqlite::Connection;
use serde_json::json;
use std::time::Duration;

const EXIT_STORAGE: i32 = 74;

/// A central that has seen some cars, a tariff and a subscription, and was stopped.
fn with_history() -> Central {
    let mut central = Central::standalone("central-1");
    let http = &central.http;
    for per_hour in [20_000, 30_000] {
        let fees = json!({"fees": {"fee_base": 0.5, "fee_per_hour": per_hour}});
        assert_eq!(http.put("/api/parking/fees", &fees).status, 200);
    }
    for number in 0..20 {
        http.enter("edge-1", &format!("29A123{number:02}"));
    }
    for number in 0..10 {
        http.leave("edge-2", &format!("29A123{number:02}"));
    }
    http.open(&json!({"edge_id": "edge-2", "plate_id": "51G99999", "direction": "EXIT", "force": true, "fee": 40000}))
        .ok();
    http.open(
        &json!({"edge_id": "edge-1", "plate_id": "29A12315", "direction": "ENTRY", "force": true, "request_id": "r"}),
    )
    .ok();
    central.terminate();
    central
}

fn run(central: &Central, command: &str) -> (i32, String) {
    run_with(central, command, &[])
}

fn run_with(central: &Central, command: &str, arguments: &[&str]) -> (i32, String) {
    let mut call = central.subcommand(command);
    call.args(arguments);
    let output = call.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let output = output.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code().unwrap(), text)
}

fn change(central: &Central, sql: &str) {
    let changed = Connection::open(central.database()).unwrap().execute(sql, ()).unwrap();
    assert_eq!(changed, 1, "{sql}");
}

#[test]
fn a_database_nobody_touched_is_found_whole_and_a_rebuild_changes_nothing() {
    let central = with_history();
    let (code, text) = run(&central, "verify");
    assert_eq!(code, 0, "{text}");
    assert!(text.trim_end().ends_with("OK"), "{text}");
    let (code, text) = run(&central, "rebuild");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("it is what it was"), "{text}");
    assert_eq!(run(&central, "verify").0, 0);
}

#[test]
fn a_row_that_was_changed_is_noticed_and_made_anew() {
    let mut central = with_history();
    change(&central, "UPDATE history SET fee = fee + 1000 WHERE plate_id = '51G99999'");
    let (code, text) = run(&central, "verify");
    assert_eq!(code, EXIT_STORAGE, "{text}");
    assert!(text.contains("parkmesh rebuild") && text.trim_end().ends_with("DAMAGED"), "{text}");
    assert_eq!(run(&central, "rebuild").0, 0);
    let (code, text) = run(&central, "verify");
    assert_eq!(code, 0, "{text}");
    central.start();
    assert_eq!(central.http.rows_of("51G99999")[0]["fee"], 40_000);
}

#[test]
fn an_event_that_was_changed_is_named() {
    let central = with_history();
    change(
        &central,
        "UPDATE event SET bytes = replace(bytes, '29A12307', '29A12399') \
         WHERE id = (SELECT entry_event FROM history WHERE plate_id = '29A12307')",
    );
    let (code, text) = run(&central, "verify");
    assert_eq!(code, EXIT_STORAGE, "{text}");
    assert!(text.contains("the chain hash of event 10 is wrong"), "{text}");
}

#[test]
fn a_database_in_use_and_a_missing_one_are_refused_with_a_reason() {
    let mut central = with_history();
    central.start();
    for command in ["verify", "rebuild"] {
        let (code, text) = run(&central, command);
        assert_eq!(code, EXIT_STORAGE, "{text}");
        assert!(text.contains("in use"), "{text}");
    }
    let empty = Central::new("central-9");
    empty.write_config();
    let (code, text) = run(&empty, "verify");
    assert_eq!(code, EXIT_STORAGE, "{text}");
    assert!(!empty.database().exists(), "a check makes no database");
}

#[test]
fn a_rebuild_that_was_interrupted_is_ended_by_the_next_start() {
    let mut central = with_history();
    std::fs::write(central.data_directory().join("rebuild-unfinished"), b"").unwrap();
    change(&central, "DELETE FROM history WHERE plate_id = '51G99999'");
    central.start();
    assert!(central.log().contains("event=history_remade"), "{}", central.log());
    assert_eq!(central.http.rows_of("51G99999").len(), 1);
    central.terminate();
    assert!(!central.data_directory().join("rebuild-unfinished").exists());
    assert_eq!(run(&central, "verify").0, 0);
}

#[test]
fn a_history_that_other_rules_made_is_made_anew_at_the_start() {
    let mut central = with_history();
    for other in [1, 0] {
        change(&central, &format!("UPDATE ledger SET rules = {other}"));
        let to = central.directory().join(format!("of-rules-{other}"));
        for (command, arguments) in [("verify", vec![]), ("backup", vec!["--to", to.to_str().unwrap()])] {
            let (code, text) = run_with(&central, command, &arguments);
            assert_eq!(code, EXIT_STORAGE, "{text}");
            assert!(text.contains("start this version once") && !text.contains("DAMAGED"), "{command}: {text}");
        }
        change(&central, "UPDATE history SET anomalies = '', collected = 1 WHERE plate_id = '51G99999'");
        // Programs of before kept the last tariff alone, under this name.
        change(&central, "DELETE FROM setting WHERE kind = 'tariff' AND id LIKE '%/1'");
        change(&central, "UPDATE setting SET id = 'site' WHERE kind = 'tariff'");
        central.start();
        let row = &central.http.rows_of("51G99999")[0];
        assert_eq!(row["collected"], 40_000, "{row}");
        central.terminate();
        let (code, text) = run(&central, "verify");
        assert_eq!(code, 0, "{text}");
        // As a central that was always of this version has them.
        let tariffs = "SELECT count(*) FROM setting WHERE kind = 'tariff' AND id LIKE 'central-1/%'";
        let kept: i64 = Connection::open(central.database()).unwrap().query_one(tariffs, (), |row| row.get(0)).unwrap();
        assert_eq!(kept, 2);
    }
}

#[test]
fn a_database_of_an_earlier_version_is_to_be_started_once_before_it_is_checked() {
    let central = with_history();
    let database = Connection::open(central.database()).unwrap();
    database.pragma_update(None, "user_version", 1).unwrap();
    drop(database);
    let (code, text) = run(&central, "verify");
    assert_eq!(code, EXIT_STORAGE, "{text}");
    assert!(text.contains("start this version once"), "{text}");
}

/// What a central has got and not yet folded when it is stopped, or not yet applied since it is of tomorrow.
#[test]
fn what_waits_when_a_central_stops_is_no_damage() {
    const YEAR_MS: i64 = 31_557_600_000;
    let central = with_history();
    let context = Context { central: CentralId::new("central-1").unwrap(), zone: SiteZone::default() };
    let directory = DataDir::open(&central.data_directory()).unwrap();
    let mut ledger = Ledger::open(Writer::open(&directory, context.zone.clone()).unwrap(), context).unwrap();
    let at = |wall_ms| TransactionTime { wall_ms, skew_ms: None, clock_wrong: false };
    let now_ms = ledger.inside().next().unwrap().1.entry_ms;
    let log = LogId { central: CentralId::new("central-2").unwrap(), epoch: Epoch(2) };
    let prev = Head::empty(&log).hash;
    // Two entries of one car, of which the second is not plain; and one whose clock nobody believes yet.
    let ahead_ms = Hlc::latest_believed(now_ms - YEAR_MS).ms() + 1;
    let clocks = [("30A55555", now_ms - 2_000), ("30A55555", now_ms - 1_000), ("30A66666", ahead_ms)];
    let events: Vec<EventBytes> = (1..)
        .zip(clocks)
        .map(|(seq, (plate, hlc_ms))| entry(plate, hlc_ms).encode(&log, seq).unwrap().into())
        .collect();
    let hash = events.iter().fold(prev, |hash, event| hash.extend(event));
    let run_of_peer = Run { log, after: 0, prev, events, hash };
    let done = ledger.process(vec![Job::Store(run_of_peer)], at(now_ms - YEAR_MS), Epoch(3));
    assert!(done.outcomes[0].is_ok() && done.set_aside.len() == 1, "{done:?}");
    assert!(ledger.behind().is_some());
    ledger.into_storage().close().unwrap();
    drop(directory);

    let to = central.directory().join("of-today");
    let (code, text) = run_with(&central, "backup", &["--to", to.to_str().unwrap()]);
    assert!(code == 0 && text.contains("OK"), "{text}");
    let (code, text) = run(&central, "verify");
    assert!(code == 0 && text.contains("OK"), "{text}");
}

fn entry(plate: &str, hlc_ms: i64) -> Draft {
    let entry = Entry {
        plate_view: plate.to_owned(),
        camera_type: "car".to_owned(),
        entry_time: "2026-11-29 08:00:00".to_owned(),
        ..Entry::of(PlateId::parse(plate).unwrap(), "edge-1")
    };
    Draft {
        hlc: Hlc::new(hlc_ms).unwrap(),
        timestamp_ms: hlc_ms.min(1_796_000_000_000),
        skew_ms: None,
        event_id: Some(format!("central-2_{hlc_ms}_{plate}")),
        by: None,
        body: Body::Entry(entry),
    }
}

#[test]
fn a_rebuild_without_settings_is_refused_since_they_say_whose_rows_are_its_own() {
    let central = with_history();
    let mut call = std::process::Command::new(env!("CARGO_BIN_EXE_parkmesh"));
    call.env_remove("PARKMESH_CONFIG").arg("rebuild").arg("--data-dir").arg(central.data_directory());
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(call.current_dir(elsewhere.path()).output().unwrap().status.code(), Some(78));
}

/// A copy taken while it runs is proven, and put back it is that central: its key, people, settings and cars.
#[test]
fn a_backup_of_a_running_central_is_put_back_into_an_empty_directory() {
    let mut central = with_history();
    central.start();
    central.http.enter("edge-1", "30A55555");
    let to = central.directory().join("of-today");
    let place = to.to_str().unwrap().to_owned();
    let backup = |central: &Central| run_with(central, "backup", &["--to", &place]);
    let restore = |central: &Central| run_with(central, "restore", &[&place]);
    let (code, text) = backup(&central);
    assert!(code == 0 && text.contains("OK"), "{text}");
    assert!(!central.directory().join("of-today.partial").exists());
    let (code, text) = backup(&central);
    assert!(code == EXIT_STORAGE && text.contains("is there already"), "{text}");
    let digest = central.http.p2p_status()["digest"].clone();
    let identity = std::fs::read(central.data_directory().join("identity.pem")).unwrap();

    let (code, text) = restore(&central);
    assert!(code == EXIT_STORAGE && text.contains("in use"), "{text}");
    central.http.enter("edge-1", "30A66666");
    central.terminate();
    let (code, text) = restore(&central);
    assert!(code == EXIT_STORAGE && text.contains("empty data directory"), "{text}");
    std::fs::rename(central.data_directory(), central.directory().join("data.old")).unwrap();
    std::fs::remove_file(central.config_file()).unwrap();
    let (code, text) = restore(&central);
    assert!(code == 0 && text.contains("from the backup as well"), "{text}");
    assert_eq!(std::fs::read(central.data_directory().join("identity.pem")).unwrap(), identity);
    assert_eq!(run(&central, "verify").0, 0);
    central.start();
    assert_eq!(central.http.p2p_status()["digest"], digest, "as it was at that moment");
}

#[test]
fn a_backup_of_a_damaged_central_says_so_and_does_not_get_its_name() {
    let central = with_history();
    change(&central, "UPDATE history SET fee = fee + 1000 WHERE plate_id = '51G99999'");
    let to = central.directory().join("of-today");
    let (code, text) = run_with(&central, "backup", &["--to", to.to_str().unwrap()]);
    assert!(code == EXIT_STORAGE && text.contains("not whole") && text.contains("of-today.partial"), "{text}");
    assert!(!to.exists());
    let (code, text) = run_with(&central, "restore", &["nowhere"]);
    assert!(code == EXIT_STORAGE && text.contains("no backup"), "{text}");
}

/// What `/api/status` says of the backups, once it says what is waited for.
fn backup_state(central: &Central, what: &str, is_so: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let state = || central.http.get("/api/status").ok().body["central"].clone();
    common::eventually_some(what, Duration::from_secs(60), || Some(state()).filter(|central| is_so(&central["backup"])))
}

/// Asked for, made, proven, kept as many as wanted; one that was damaged is told of, and not put back.
#[test]
fn the_daily_backup_is_proven_and_a_damaged_one_is_told_of() {
    let mut central = with_history();
    central.start();
    let refused = central.http.post("/api/backup", &json!({}));
    assert_eq!((refused.status, refused.field("code")), (409, "backup_off"), "{refused:?}");
    let dir = central.directory().join("backups");
    let put = |backup: serde_json::Value| central.http.put("/api/p2p/config", &json!({"backup": backup}));
    for wrong in [json!({"dir": "beside"}), json!({"at": "25:00"}), json!({"at": 3}), json!({"keep": 0})] {
        assert_eq!(put(wrong.clone()).status, 400, "{wrong}");
    }
    // None is there, and one was due: it does not wait for the next night.
    put(json!({"dir": dir, "keep": 2})).ok();
    let proven = |least_ms: i64| {
        move |backup: &serde_json::Value| backup["proven_ms"].as_i64() > Some(least_ms) && backup["running"] == false
    };
    let all = || {
        let mut all: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    };
    let mut last_ms = 0;
    for days_before in [3, 2, 1, 0] {
        let shown = backup_state(&central, "a proven backup", proven(last_ms));
        assert!(shown["backup"]["failed"].is_null() && shown["notices"] == json!([]), "{shown}");
        last_ms = shown["backup"]["proven_ms"].as_i64().unwrap();
        if days_before > 0 {
            // It is of another day.
            let proof = all().last().unwrap().join("proven.json");
            let mut said: serde_json::Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
            said["made_ms"] = json!(last_ms - days_before * 86_400_000);
            std::fs::write(&proof, said.to_string()).unwrap();
            assert_eq!(central.http.post("/api/backup", &json!({})).status, 202);
        }
    }
    let kept = all();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(central.http.get("/metrics").text.contains(&format!("parkmesh_backup_proven {}", last_ms / 1_000)));

    // One bit, as a failing disk turns it.
    let damaged = kept[1].join("central.db");
    let mut bytes = std::fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    assert_eq!(central.http.post("/api/backup", &json!({})).status, 202);
    let is_over = |backup: &serde_json::Value| backup["failed"].is_string() && backup["running"] == false;
    let shown = backup_state(&central, "the damaged backup", is_over);
    assert!(shown["backup"]["failed"].as_str().unwrap().contains("is not what it was"), "{shown}");
    assert_eq!(shown["notices"][0]["code"], "backup", "{shown}");
    assert!(shown["backup"]["proven_ms"].as_i64() > Some(last_ms), "the new one is there all the same: {shown}");
    // A second one of that day takes its place, and none of another day's.
    assert_eq!(central.http.post("/api/backup", &json!({})).status, 202);
    backup_state(&central, "one more", proven(shown["backup"]["proven_ms"].as_i64().unwrap()));
    assert!(kept.iter().all(|path| path.exists()) && all().len() == 3, "{:?}", all());
    central.terminate();
    std::fs::rename(central.data_directory(), central.directory().join("data.old")).unwrap();
    let (code, text) = run_with(&central, "restore", &[kept[1].to_str().unwrap()]);
    assert!(code == EXIT_STORAGE && text.contains("is not what it was"), "{text}");
    let (code, text) = run_with(&central, "restore", &[kept[0].to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(run(&central, "verify").0, 0);
}

/// Its directory cannot be written, or is no place for it: said, and tried again once the settings change.
#[test]
fn a_backup_that_cannot_be_made_says_why() {
    let mut central = with_history();
    central.start();
    let file = central.directory().join("a-file");
    std::fs::write(&file, "").unwrap();
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": file.join("under")}})).ok();
    let shown = backup_state(&central, "a failure", |backup| backup["failed"].is_string());
    assert!(shown["backup"]["failed"].as_str().unwrap().contains("cannot copy to"), "{shown}");
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": central.data_directory().join("under")}})).ok();
    let is_inside = |backup: &serde_json::Value| {
        backup["failed"].as_str().is_some_and(|why| why.contains("is in the data directory"))
    };
    backup_state(&central, "a refusal", is_inside);
    assert_eq!(shown["notices"][0]["code"], "backup", "{shown}");
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": central.directory().join("there")}})).ok();
    let shown = backup_state(&central, "a proven backup", |backup| backup["proven_ms"].is_i64());
    assert!(shown["backup"]["failed"].is_null() && shown["notices"] == json!([]), "{shown}");
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": null}})).ok();
    backup_state(&central, "no backups", |backup| backup["dir"].is_null() && backup["proven_ms"].is_null());
}
