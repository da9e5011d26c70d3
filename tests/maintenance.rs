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
