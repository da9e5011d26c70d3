//! `parkmesh import` as an installer uses it: old databases of both revisions, whole and broken ones, and the old settings
//! files; twice, on several centrals, and into a mesh.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Central, DEADLINE, Mesh};
use rusqlite::Connection;
use serde_json::{Value, json};

const EXIT_INCOMPLETE: i32 = 65;
const EXIT_STORAGE: i32 = 74;

/// The table as the first revision made it, before and after the migration that somebody had to run by hand.
const V1: &str = "CREATE TABLE history (id INTEGER PRIMARY KEY AUTOINCREMENT, plate_id TEXT NOT NULL, plate_view TEXT NOT NULL, \
    entry_time TEXT NOT NULL, entry_camera_id INTEGER, entry_camera_name TEXT, entry_confidence REAL, entry_source TEXT, \
    exit_time TEXT, exit_camera_id INTEGER, exit_camera_name TEXT, exit_confidence REAL, exit_source TEXT, duration TEXT, \
    fee INTEGER DEFAULT 0, status TEXT NOT NULL, created_at TEXT DEFAULT CURRENT_TIMESTAMP, \
    updated_at TEXT DEFAULT CURRENT_TIMESTAMP);";
const V1_MIGRATION: &str = "ALTER TABLE history ADD COLUMN event_id TEXT; ALTER TABLE history ADD COLUMN source_central TEXT; \
    ALTER TABLE history ADD COLUMN edge_id TEXT; ALTER TABLE history ADD COLUMN sync_status TEXT DEFAULT 'LOCAL';";
const V2_MORE: &str = "ALTER TABLE history ADD COLUMN last_location TEXT; ALTER TABLE history ADD COLUMN last_location_time TEXT; \
    ALTER TABLE history ADD COLUMN is_anomaly INTEGER DEFAULT 0; \
    CREATE TABLE parking_lots (id INTEGER PRIMARY KEY, location_name TEXT UNIQUE, capacity INTEGER);";

fn old_database(path: &Path, tables: &[&str], rows: &str) -> PathBuf {
    let database = Connection::open(path).unwrap();
    tables.iter().for_each(|sql| database.execute_batch(sql).unwrap());
    database.execute_batch(rows).unwrap();
    path.to_owned()
}

/// A car inside, one that left, one heard from another central that left here, and one that left there.
const MIGRATED_ROWS: &str = "INSERT INTO history(plate_id, plate_view, entry_time, entry_camera_name, entry_source, exit_time, \
      exit_camera_name, exit_source, duration, fee, status, event_id, source_central, edge_id, sync_status) VALUES \
    ('29A10000', '29A-100.00', '2025-12-01 07:30:05', 'central-1/edge-1', 'edge_manual', NULL, NULL, NULL, NULL, 0, 'IN', \
      'central-1_1764549005123_29A10000', 'central-1', 'edge-1', 'SYNCED'), \
    ('29A20000', '29A-200.00', '2025-12-01 08:00:00', 'central-1/edge-1', 'edge_manual', '2025-12-01 09:31:00', \
      'central-1/edge-8', 'edge_manual', '1 giờ 30 phút', 50000, 'OUT', 'central-1_1764550800456_29A20000', 'central-1', 'edge-1', 'SYNCED'), \
    ('30E30000', '30E-300.00', '2025-12-01 08:10:00', 'central-2/edge-3', 'p2p_sync', '2025-12-01 08:20:00', \
      'central-1/edge-8', 'edge_manual', '0 giờ 10 phút', 0, 'OUT', 'central-2_1764551400000_30E30000', 'central-2', 'edge-3', 'SYNCED'), \
    ('30E40000', '30E-400.00', '2025-12-01 08:15:00', 'central-2/edge-3', 'p2p_sync', '2025-12-01 10:15:00', \
      'central-2/edge-4', 'p2p_sync', '2 giờ 0 phút', 50000, 'OUT', 'central-2_1764551700000_30E40000', 'central-2', 'edge-3', 'SYNCED');";

struct Import {
    code: i32,
    said: String,
}

fn import(central: &Central, files: &[&Path]) -> Import {
    let mut command = central.subcommand("import");
    let output = command.args(files).output().unwrap();
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    assert!(!said.contains("panicked"), "{said}");
    Import { code: output.status.code().expect("an exit code"), said }
}

fn central(id: &str) -> Central {
    let central = Central::new(id);
    central.write_config();
    central
}

fn verify(central: &Central) {
    let output = central.subcommand("verify").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_history_of_the_first_revision_is_taken_over_and_twice_is_once() {
    let mut central = central("central-1");
    let old = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION], MIGRATED_ROWS);
    let before = fs::read(&old).unwrap();
    let first = import(&central, &[&old]);
    assert_eq!(first.code, 0, "{}", first.said);
    assert!(first.said.contains("4 taken (7 events), 0 held already, 0 not taken"), "{}", first.said);
    let again = import(&central, &[&old]);
    assert!(again.said.contains("0 taken (0 events), 4 held already, 0 not taken"), "{}", again.said);
    assert_eq!(fs::read(&old).unwrap(), before, "it is only read");
    assert!(!central.directory().join("old.db-journal").exists());
    verify(&central);
    central.start();
    let audit = central.http.get("/api/access/audit?kind=import").ok().body;
    let came: Vec<&Value> = audit["entries"].as_array().unwrap().iter().map(|entry| &entry["after"]).collect();
    // Newest first; each import is told when it begins and when it is over.
    let counts =
        |taken: u64, known: u64, events: u64| json!({"taken": taken, "known": known, "refused": 0, "events": events});
    assert_eq!(came, [&counts(0, 4, 0), &Value::Null, &counts(4, 0, 7), &Value::Null], "{audit}");
    assert_eq!(audit["entries"][0]["who"], "command:import");
    let row = |plate: &str| central.http.rows_of(plate).remove(0);
    let inside = row("29A10000");
    assert_eq!((&inside["status"], &inside["entry_time"]), (&json!("IN"), &json!("2025-12-01 07:30:05")), "{inside}");
    assert_eq!((&inside["sync_status"], &inside["edge_id"]), (&json!("LOCAL"), &json!("edge-1")));
    assert_eq!(inside["event_id"], "central-1_1764549005123_29A10000");
    let left = row("29A20000");
    assert_eq!((&left["fee"], &left["exit_time"]), (&json!(50_000), &json!("2025-12-01 09:31:00")), "{left}");
    assert_eq!((&left["exit_central"], &left["exit_edge"]), (&json!("central-1"), &json!("edge-8")));
    let heard = row("30E40000");
    assert_eq!((&heard["source_central"], &heard["sync_status"]), (&json!("central-2"), &json!("SYNCED")), "{heard}");
    assert_eq!((&heard["exit_central"], &heard["exit_edge"]), (&json!("central-2"), &json!("edge-4")));
    // It goes on: the car that was inside leaves, for what the whole stay costs.
    let out = central
        .http
        .open(&json!({"edge_id": "edge-8", "plate_id": "29A10000", "direction": "EXIT", "force": true}))
        .ok();
    assert_eq!(out.body["event_id"], inside["event_id"]);
}

#[test]
fn rows_without_an_id_get_the_same_one_every_time() {
    let central = central("central-3");
    // As the first revision was shipped, and as the second wrote what its own gates saw.
    let rows = "INSERT INTO history(plate_id, plate_view, entry_time, entry_camera_id, entry_camera_name, status) VALUES \
        ('29A10000', '29A-100.00', '2025-12-01 07:30:05', 1, 'Cổng A', 'IN'), \
        ('29A10000', '29A-100.00', '2025-12-01 07:30:05', 1, 'Cổng A', 'IN'), \
        ('30E99999', '30E-999.99', '2025-12-01T07:31:00.250000', 2, NULL, 'IN');";
    let old = old_database(&central.directory().join("old.db"), &[V1], rows);
    let first = import(&central, &[&old]);
    assert!(first.said.contains("3 taken (3 events)"), "{}", first.said);
    assert!(import(&central, &[&old]).said.contains("0 taken (0 events), 3 held already"));
    let database = Connection::open(central.database()).unwrap();
    let mut statement =
        database.prepare("SELECT event_id || ' ' || status || ' ' || edge_id FROM history ORDER BY event_id").unwrap();
    let rows: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        rows,
        [
            "central-3_1764549005000_29A10000 IN Cổng A",
            "central-3_1764549005001_29A10000 SUPERSEDED Cổng A",
            "central-3_1764549060000_30E99999 IN 2",
        ]
    );
}

#[test]
fn what_has_happened_since_the_first_import_is_taken_by_the_second() {
    let mut central = central("central-1");
    let old = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION, V2_MORE], MIGRATED_ROWS);
    import(&central, &[&old]);
    let database = Connection::open(&old).unwrap();
    database
        .execute_batch(
            "UPDATE history SET status = 'OUT', exit_time = '2025-12-01 12:00:00', exit_camera_name = 'Cổng B', fee = 125000, \
               duration = '4 giờ 29 phút' WHERE plate_id = '29A10000'; \
             INSERT INTO history(plate_id, plate_view, entry_time, status, event_id) \
               VALUES ('29A50000', '29A-500.00', '2025-12-01 12:30:00', 'IN', 'central-1_1764567000000_29A50000');",
        )
        .unwrap();
    drop(database);
    let second = import(&central, &[&old]);
    assert!(second.said.contains("2 taken (2 events), 3 held already"), "{}", second.said);
    verify(&central);
    central.start();
    assert_eq!(central.http.rows_of("29A10000")[0]["fee"], 125_000);
    assert_eq!(central.http.stats()["vehicles_in_parking"], 1);
}

#[test]
fn what_cannot_be_taken_is_listed_with_the_reason_and_the_rest_is_taken() {
    let central = central("central-1");
    let rows = "INSERT INTO history(plate_id, plate_view, entry_time, exit_time, fee, status) VALUES \
        ('29A10000', '29A-100.00', '2025-12-01 07:30:05', NULL, 0, 'IN'), \
        ('', '', '2025-12-01 07:30:05', NULL, 0, 'IN'), \
        ('1', '1', '2025-12-01 07:30:05', NULL, 0, 'IN'), \
        ('30A1''/*', 'x', '2025-12-01 07:30:05', NULL, 0, 'IN'), \
        ('29A20000', '', 'hôm qua', NULL, 0, 'IN'), \
        ('29A30000', '', '2025-12-01 07:30:05', '2025-12-01 08:00:00', -5, 'OUT'), \
        ('29A40000', '', '2025-12-01 07:30:05', '2025-12-01 08:00:00', 'miễn phí', 'OUT'), \
        ('29A50000', '', '2025-12-01 07:30:05', NULL, 0, 'OUT'), \
        ('29A60000', '', '2025-12-01 07:30:05', NULL, 0, 'LOST'), \
        ('29A70000', '', '1950-12-01 07:30:05', NULL, 0, 'IN'), \
        (x'00ff', 'x', '2025-12-01 07:30:05', NULL, 0, 'IN'), \
        ('?', '29A-800.00', '2025-12-01 07:30:05', '2025-12-01 07:00:00', NULL, 'OUT');";
    let old = old_database(&central.directory().join("old.db"), &[V1], rows);
    let result = import(&central, &[&old]);
    assert_eq!(result.code, EXIT_INCOMPLETE, "{}", result.said);
    assert!(result.said.contains("2 taken (3 events), 0 held already, 10 not taken"), "{}", result.said);
    for (row, reason) in [
        (2, "no plate"),
        (3, "no plate"),
        (4, "no plate"),
        (5, "\"hôm qua\" is no time"),
        (6, "-5 is no fee"),
        (7, "\"miễn phí\" is no fee"),
        (8, "no exit time"),
        (9, "LOST"),
        (10, "1970"),
        (11, "no plate"),
    ] {
        let line = result.said.lines().find(|line| line.contains(&format!("row {row} was not taken: ")));
        assert!(line.is_some_and(|line| line.contains(reason)), "row {row}, {reason}: {}", result.said);
    }
    verify(&central);
}

/// While it is inside it would be the car of every gate that reads nothing, and the next one would pay its hours.
#[test]
fn a_row_that_says_no_plate_was_read_is_no_car_inside_and_what_such_cars_paid_counts() {
    let mut central = central("central-1");
    let rows = "INSERT INTO history(plate_id, plate_view, entry_time, exit_time, fee, status, event_id) VALUES \
        ('UNKNOWN', 'UNKNOWN', '2025-12-01 07:00:00', '2025-12-01 10:00:00', 50000, 'OUT', 'central-1_1_UNKNOWN'), \
        ('UNKNOWN', 'UNKNOWN', '2025-12-01 08:00:00', '2025-12-01 12:00:00', 75000, 'OUT', 'central-1_2_UNKNOWN'), \
        ('UNKNOWN', 'UNKNOWN', '2025-12-01 09:00:00', NULL, 0, 'IN', 'central-1_3_UNKNOWN'), \
        ('NOPLATE', '', '2025-12-01 09:10:00', NULL, 0, 'IN', 'central-1_4_NOPLATE'), \
        ('0000000', '', '2025-12-01 09:20:00', NULL, 0, 'IN', 'central-1_5_0000000'), \
        ('UNKNOWN', '29A-123.45', '2025-12-01 09:30:00', NULL, 0, 'IN', 'central-1_6_29A12345');";
    let old = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION], rows);
    let result = import(&central, &[&old]);
    assert_eq!(result.code, EXIT_INCOMPLETE, "{}", result.said);
    assert!(result.said.contains("3 taken (5 events), 0 held already, 3 not taken"), "{}", result.said);
    for (row, text) in [(3, "UNKNOWN"), (4, "NOPLATE"), (5, "0000000")] {
        let line = format!("row {row} was not taken: \"{text}\" says that no plate was read");
        assert!(result.said.contains(&line), "{line}: {}", result.said);
    }
    central.start();
    let history = central.http.whole_history();
    let inside: Vec<_> =
        history.rows().filter(|row| row["status"] == "IN").map(|row| row["plate_id"].clone()).collect();
    assert_eq!(inside, ["29A12345"]);
    let collected: i64 = history.rows().map(|row| row["collected"].as_i64().unwrap()).sum();
    assert_eq!(collected, 125_000, "what they paid");
    central.terminate();
    verify(&central);
    // The old program wrote down since that it left.
    let left = "UPDATE history SET status = 'OUT', exit_time = '2025-12-01 13:00:00', fee = 25000 WHERE id = 3;";
    let again = import(&central, &[&old_database(&old, &[], left)]);
    assert!(again.said.contains("1 taken (2 events), 3 held already, 2 not taken"), "{}", again.said);
    verify(&central);
}

#[test]
fn rows_whose_times_are_to_be_looked_at_are_taken_said_and_marked() {
    let mut central = central("central-1");
    let rows = "INSERT INTO history(plate_id, plate_view, entry_time, created_at, entry_source, status, is_anomaly, event_id) VALUES \
        ('29A10000', '', '2025-12-01 15:30:05', '2025-12-01 08:30:05', 'edge_manual', 'IN', 0, 'central-1_1_29A10000'), \
        ('29A20000', '', '2025-12-01 15:31:05', '2025-12-01 08:31:06', 'edge_manual', 'IN', NULL, 'central-1_2_29A20000'), \
        ('29A30000', '', '2025-12-01 15:32:05', '2025-12-01 08:32:05', 'parking_lot_auto', 'IN', 1, 'central-1_3_29A30000'), \
        ('29A40000', '', '2025-12-01 08:40:05', '2025-12-01 08:40:05', 'edge_manual', 'IN', 0, 'central-1_4_29A40000'), \
        ('29A50000', '', '2025-12-01 08:50:05', '2025-12-01 08:50:05', 'edge_manual', 'IN', 0, 'central-1_5_29A50000'), \
        ('29A60000', '', '2025-12-01 08:55:05', '2025-12-01 08:55:05', 'p2p_sync', 'IN', 0, 'central-2_6_29A60000');";
    let old = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION, V2_MORE], rows);
    let result = import(&central, &[&old]);
    assert_eq!(result.code, 0, "{}", result.said);
    for line in [
        "1 rows, from row 3 to row 3, are of cars that a camera",
        "2 rows, from row 4 to row 5, are written by a clock that was -7 h off",
    ] {
        assert!(result.said.contains(line), "{line}: {}", result.said);
    }
    assert_eq!(result.said.matches("event=import_uncertain").count(), 2, "{}", result.said);
    central.start();
    for (plate, marked) in
        [("29A10000", 0), ("29A20000", 0), ("29A30000", 1), ("29A40000", 1), ("29A50000", 1), ("29A60000", 0)]
    {
        let row = &central.http.rows_of(plate)[0];
        let expected: Vec<&str> = ["time_uncertain"].into_iter().take(marked).collect();
        assert_eq!(row["anomalies"], json!(expected), "{row}");
    }
    let odd = central.http.get("/api/parking/anomalies").ok().text;
    assert_eq!(odd.matches("what the old program wrote").count(), 3, "{odd}");
}

#[test]
fn a_file_that_is_none_is_said_and_the_others_are_taken() {
    let central = central("central-1");
    let file = |name: &str, bytes: &[u8]| {
        let path = central.directory().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let good = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION], MIGRATED_ROWS);
    let foreign = old_database(&central.directory().join("wages.db"), &["CREATE TABLE wages (id INTEGER);"], "");
    let columns =
        old_database(&central.directory().join("half.db"), &["CREATE TABLE history (id INTEGER, plate_id TEXT);"], "");
    let mut damaged = fs::read(&good).unwrap();
    let length = damaged.len();
    damaged[1_024..length].fill(0x5a);
    for (path, words) in [
        (file("text.txt", b"not a database"), "neither a SQLite database nor a JSON file"),
        (file("other.json", b"{\"wages\": 5}"), "neither a SQLite database nor a JSON file"),
        (file("empty", b""), "neither a SQLite database nor a JSON file"),
        // A file by what the system says of it, from which a read waits for ever.
        (PathBuf::from("/proc/kmsg"), "neither a SQLite database nor a JSON file"),
        (central.directory().join("missing.db"), "missing.db"),
        (central.directory().to_owned(), "this is a directory"),
        (foreign, "no table 'history'"),
        (columns, "no column 'plate_view'"),
        (file("damaged.db", &damaged), "damaged.db"),
        (file("truncated.db", b"SQLite format 3\0 and nothing more"), "truncated.db"),
    ] {
        let result = import(&central, &[&path, &good]);
        assert_eq!(result.code, EXIT_INCOMPLETE, "{}: {}", path.display(), result.said);
        assert!(result.said.contains(words), "{words}: {}", result.said);
        assert!(result.said.contains("4 taken") || result.said.contains("4 held already"), "{}", result.said);
    }
    // Our own database, and one that somebody is writing to.
    let own = central.directory().join("copy.db");
    fs::copy(central.database(), &own).unwrap();
    assert!(import(&central, &[&own]).said.contains("a database of ParkMesh"));
    let writing = Connection::open(&good).unwrap();
    writing.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let locked = import(&central, &[&good]);
    assert!(locked.code == EXIT_INCOMPLETE && locked.said.contains("another program is writing"), "{}", locked.said);
    assert_eq!(import(&central, &[]).code, 64);
}

/// What people removed is not forgotten in silence: it would come back from the database of another central.
#[test]
fn a_removal_that_cannot_be_read_is_told() {
    let central = central("central-1");
    let unreadable = "INSERT INTO history_changes(history_id, change_type, old_data) VALUES (7, 'DELETE', NULL), \
        (8, 'DELETE', '{\"id\": 8,'), (9, 'DELETE', '{\"id\": 9, \"event_id\": \"central-1_1764549005123_29A10000\"}'), \
        (10, 'DELETE', '{\"plate_id\": \"30E30000\", \"entry_time\": \"2025-12-01 08:10:00\", \"status\": \"IN\"}');";
    let old = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION, CHANGES], unreadable);
    let result = import(&central, &[&old]);
    assert_eq!(result.code, EXIT_INCOMPLETE, "{}", result.said);
    for (row, why) in [(7, "nothing was kept"), (8, "cannot be read"), (9, "is no plate")] {
        let told = result.said.lines().find(|line| line.contains(&format!("the removal of row {row} was not taken")));
        assert!(told.is_some_and(|told| told.contains(why)), "{row}: {}", result.said);
    }
    // A row that never had an id has the one that another central's import gives it.
    assert!(result.said.contains("1 taken (2 events), 0 held already, 3 not taken"), "{}", result.said);
}

/// Prices that the old program charged otherwise are pointed out, once, when the tariff is taken.
#[test]
fn a_tariff_that_is_charged_otherwise_here_says_so() {
    for (overnight, cap, told) in [(50_000, 200_000, 2), (0, 200_000, 1), (50_000, 0, 1), (0, 0, 0)] {
        let central = central("central-1");
        let file = central.directory().join("parking_fees.json");
        let fees = json!({"fee_base": 0.5, "fee_per_hour": 25_000, "fee_overnight": overnight, "fee_daily_max": cap});
        fs::write(&file, fees.to_string()).unwrap();
        let result = import(&central, &[&file]);
        assert_eq!(result.code, 0, "{}", result.said);
        let said = |words: &str| result.said.lines().filter(|line| line.contains(words)).count();
        assert_eq!((said("json: charged otherwise"), said("event=tariff_differs")), (told, told), "{}", result.said);
        assert_eq!(said("midnight") > 0, overnight > 0, "{}", result.said);
        let again = import(&central, &[&file]);
        assert!(again.said.contains("1 held already") && !again.said.contains("otherwise"), "{}", again.said);
    }
}

/// As after `apt install`, which begins with settings of its own for a new site: nothing is taken over into those.
#[test]
fn nothing_is_imported_into_the_settings_of_another_central() {
    let mut begun = Central::new("debian");
    begun.start();
    begun.terminate();
    let old = old_database(&begun.directory().join("old.db"), &[V1, V1_MIGRATION], MIGRATED_ROWS);
    let settings = begun.directory().join("old.json");
    let theirs = json!({"this_central": {"id": "central-1", "ip": begun.ip, "p2p_port": 9000, "api_port": 8000},
        "peer_centrals": [{"id": "central-2", "ip": "127.0.0.2", "p2p_port": 9000}]});
    fs::write(&settings, theirs.to_string()).unwrap();
    for files in [[&*settings, &*old], [&*old, &*settings]] {
        let result = import(&begun, &files);
        assert_eq!(result.code, EXIT_INCOMPLETE, "{}", result.said);
        assert!(result.said.contains("those of debian") && !result.said.contains("4 taken"), "{}", result.said);
    }
    // What migration.md says to do first.
    let aside = begun.directory().join("of-the-package");
    fs::create_dir(&aside).unwrap();
    fs::rename(begun.database().parent().unwrap(), aside.join("data")).unwrap();
    fs::rename(begun.config_file(), aside.join("p2p_config.json")).unwrap();
    let result = import(&begun, &[&settings, &old]);
    assert_eq!(result.code, 0, "{}", result.said);
    assert!(
        result.said.contains("settings of central-1 with 1 peers") && result.said.contains("4 taken"),
        "{}",
        result.said
    );
}

#[test]
fn a_central_that_runs_is_not_imported_into() {
    let mut central = central("central-1");
    let old = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION], MIGRATED_ROWS);
    central.start();
    let result = import(&central, &[&old]);
    assert!(result.code == EXIT_STORAGE && result.said.contains("in use"), "{}", result.said);
    central.http.enter("edge-1", "29A99999");
}

/// Every old central held what it had heard of the others; all of them are imported, and every visit is there once.
#[test]
fn databases_of_two_centrals_that_heard_of_each_other_are_one_history() {
    let mut mesh = Mesh::new(2);
    // The second has the same visits, told in its own words: rows it heard have another camera, its own have no prefix.
    let other_rows = MIGRATED_ROWS.replace("edge_manual", "p2p_sync").replace("'0 giờ 10 phút'", "'0 giờ 10 phút '");
    for (central, (rows, name)) in mesh.centrals.iter().zip([(MIGRATED_ROWS.to_owned(), "a.db"), (other_rows, "b.db")])
    {
        central.write_config();
        let old = old_database(&central.directory().join(name), &[V1, V1_MIGRATION, V2_MORE], &rows);
        assert_eq!(import(central, &[&old]).code, 0);
    }
    mesh.start_all();
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!(history.len(), 4);
    let collected: i64 = history.rows().map(|row| row["collected"].as_i64().unwrap()).sum();
    assert_eq!(collected, 100_000, "no visit earns twice");
    for row in history.rows() {
        assert_eq!(row["anomalies"].as_array().map(Vec::len), Some(0), "{row}");
    }
    for central in &mut mesh.centrals {
        central.terminate();
        verify(central);
    }
}

const CHANGES: &str = "CREATE TABLE history_changes (id INTEGER PRIMARY KEY AUTOINCREMENT, history_id INTEGER, change_type TEXT, \
    old_plate_id TEXT, old_plate_view TEXT, new_plate_id TEXT, new_plate_view TEXT, old_data TEXT, new_data TEXT, \
    changed_at TEXT DEFAULT CURRENT_TIMESTAMP, changed_by TEXT DEFAULT 'system');";

/// The first revision tells nobody of what people edit or remove: its neighbours' databases have it as it was.
#[test]
fn what_was_edited_or_removed_at_one_old_central_is_one_visit_and_stays_removed() {
    for turned in [false, true] {
        let mut mesh = Mesh::new(2);
        let edited = MIGRATED_ROWS.replace("('29A10000', '29A-100.00'", "('29A10009', '29A-100.09'");
        let removed = "DELETE FROM history WHERE id = 3; INSERT INTO history_changes(history_id, change_type, old_data) \
            VALUES (3, 'DELETE', '{\"id\": 3, \"plate_id\": \"30E30000\", \"plate_view\": \"30E-300.00\", \"entry_time\": \
            \"2025-12-01 08:10:00\", \"status\": \"OUT\", \"exit_time\": \"2025-12-01 08:20:00\", \"fee\": 0, \"event_id\": \
            \"central-2_1764551400000_30E30000\", \"source_central\": \"central-2\", \"edge_id\": \"edge-3\"}');";
        let mut databases = vec![[edited, removed.to_owned()].concat(), MIGRATED_ROWS.to_owned()];
        if turned {
            databases.reverse();
        }
        for (central, rows) in mesh.centrals.iter().zip(databases) {
            central.write_config();
            let old = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION, CHANGES], &rows);
            let result = import(central, &[&old]);
            assert_eq!(result.code, 0, "{}", result.said);
            let again = import(central, &[&old]);
            assert!(again.said.contains("0 taken (0 events)"), "{}", again.said);
        }
        mesh.start_all();
        let history = mesh.wait_equal(DEADLINE);
        let mut rows: Vec<(&str, &str)> =
            history.rows().map(|row| (row["plate_id"].as_str().unwrap(), row["status"].as_str().unwrap())).collect();
        rows.sort_unstable();
        assert_eq!(rows, [("29A10009", "IN"), ("29A20000", "OUT"), ("30E30000", "VOID"), ("30E40000", "OUT")]);
        for central in &mut mesh.centrals {
            central.terminate();
            verify(central);
        }
    }
}

/// A newer copy of the same database, in which a plate was edited meanwhile.
#[test]
fn a_plate_that_was_edited_since_the_first_import_is_corrected_by_the_second() {
    let central = central("central-1");
    let old = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION, CHANGES], MIGRATED_ROWS);
    // One without an id gets the same one again.
    let database = Connection::open(&old).unwrap();
    database
        .execute_batch("INSERT INTO history(plate_id, plate_view, entry_time, status) VALUES ('31F50000', '', '2025-12-01 11:00:00', 'IN');")
        .unwrap();
    assert_eq!(import(&central, &[&old]).code, 0);
    database
        .execute_batch(
            "UPDATE history SET plate_id = '29A10009', plate_view = '29A-100.09' WHERE id = 1; \
             UPDATE history SET plate_id = '31F50009' WHERE id = 5; INSERT INTO history_changes(history_id, change_type, \
             old_plate_id, new_plate_id) VALUES (1, 'UPDATE', '29A10000', '29A10009'), (5, 'UPDATE', '31F50000', '31F50009');",
        )
        .unwrap();
    let again = import(&central, &[&old]);
    assert!(again.said.contains("2 taken (2 events), 3 held already, 0 not taken"), "{}", again.said);
    assert!(import(&central, &[&old]).said.contains("0 taken (0 events), 5 held already"));
    let held = Connection::open(central.database()).unwrap();
    let inside: Vec<String> = held
        .prepare("SELECT plate_id FROM history WHERE status = 'IN' ORDER BY 1")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(inside, ["29A10009", "31F50009"]);
}

#[test]
fn the_clock_of_the_old_machine_is_checked_and_can_be_said() {
    let central = central("central-1");
    let rows = "INSERT INTO history(plate_id, plate_view, entry_time, created_at, entry_source, status) VALUES \
        ('29A10000', '', '2025-12-01 07:30:05', '2025-12-01 07:30:05', 'edge_manual', 'IN'), \
        ('29A20000', '', '2025-12-01 08:30:05', '2025-12-01 08:30:06', 'edge_manual', 'IN'), \
        ('29A30000', '', '2025-12-01 15:30:05', '2025-12-01 08:30:06', 'p2p_sync', 'IN');";
    let old = old_database(&central.directory().join("old.db"), &[V1], rows);
    let refused = import(&central, &[&old]);
    assert_eq!(refused.code, EXIT_INCOMPLETE);
    assert!(refused.said.contains("-7 h off") && refused.said.contains("--time-zone"), "{}", refused.said);
    let wrong = import(&central, &[Path::new("--time-zone=Asia/Tokyo"), &old]);
    assert!(wrong.code == EXIT_INCOMPLETE && wrong.said.contains("-9 h off"), "{}", wrong.said);
    assert_eq!(import(&central, &[Path::new("--time-zone=Mars"), &old]).code, 64);
    let result = import(&central, &[Path::new("--time-zone=UTC"), &old]);
    assert_eq!(result.code, 0, "{}", result.said);
    let held = Connection::open(central.database()).unwrap();
    let entered: String =
        held.query_row("SELECT entry_time FROM history WHERE plate_id = '29A10000'", [], |row| row.get(0)).unwrap();
    assert_eq!(entered, "2025-12-01 14:30:05");
    // A clock that is the site's.
    let rows = "INSERT INTO history(plate_id, plate_view, entry_time, created_at, entry_source, status) VALUES \
        ('29A40000', '', '2025-12-01 15:30:05', '2025-12-01 08:30:05', 'edge_manual', 'IN');";
    let right = old_database(&central.directory().join("right.db"), &[V1], rows);
    assert_eq!(import(&central, &[&right]).code, 0);
}

/// The old program was killed in a transaction.
#[test]
fn a_database_with_its_journal_beside_it_is_played_back_and_left_as_it_is() {
    let central = central("central-1");
    let running = old_database(&central.directory().join("running.db"), &[V1, V1_MIGRATION], MIGRATED_ROWS);
    let database = Connection::open(&running).unwrap();
    database
        .execute_batch(
            "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO history(plate_id, \
             plate_view, entry_time, status) SELECT '51F' || (10000 + i), '', '2025-12-02 08:00:00', 'IN' FROM n; \
             PRAGMA cache_size = 5; BEGIN; UPDATE history SET plate_id = '?', fee = -1;",
        )
        .unwrap();
    let old = central.directory().join("killed.db");
    for ending in ["", "-journal"] {
        let name = |path: &Path| format!("{}{ending}", path.display());
        fs::copy(name(&running), name(&old)).unwrap();
    }
    let before = fs::read(&old).unwrap();
    let result = import(&central, &[&old]);
    assert_eq!(result.code, 0, "{}", result.said);
    assert!(result.said.contains("2004 taken"), "{}", result.said);
    assert_eq!(fs::read(&old).unwrap(), before);
}

#[test]
fn of_a_damaged_database_what_can_be_read_is_taken_and_the_rest_is_said() {
    let central = central("central-1");
    let old = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION], MIGRATED_ROWS);
    Connection::open(&old)
        .unwrap()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO history(plate_id, \
             plate_view, entry_time, status) SELECT '51F' || (10000 + i), '', '2025-12-02 08:00:00', 'IN' FROM n; VACUUM;",
        )
        .unwrap();
    let mut bytes = fs::read(&old).unwrap();
    let pages = bytes.len() / 4096;
    bytes[pages / 2 * 4096..(pages / 2 + 1) * 4096].fill(0xff);
    fs::write(&old, bytes).unwrap();
    let result = import(&central, &[&old]);
    assert_eq!(result.code, EXIT_INCOMPLETE, "{}", result.said);
    assert!(result.said.contains("that part of the file is damaged"), "{}", result.said);
    let taken = result.said.lines().find_map(|line| line.split(": ").last()?.strip_suffix(" not taken"));
    let taken: u64 = taken.and_then(|line| line.split(' ').next()).unwrap().parse().unwrap();
    assert!((1_800..2_004).contains(&taken), "{}", result.said);
    verify(&central);
}

#[test]
fn a_row_of_the_future_is_not_taken_for_every_clock_would_follow_it() {
    let central = central("central-1");
    let rows = MIGRATED_ROWS.replace("2025-12-01 10:15:00", "2131-12-01 10:15:00");
    let old = old_database(&central.directory().join("old.db"), &[V1, V1_MIGRATION], &rows);
    let result = import(&central, &[&old]);
    assert!(result.said.contains("row 4 was not taken: its time lies in the future"), "{}", result.said);
    assert!(result.said.contains("3 taken"), "{}", result.said);
}

#[test]
fn what_is_no_file_and_what_is_not_kept_is_said_at_once() {
    let central = central("central-1");
    let staff = json!([{"id": 1, "name": "An", "position": "Bảo vệ", "phone": "", "shift": "Sáng", "status": "on"}]);
    let (list, object) = (central.directory().join("staff.json"), central.directory().join("staff2.json"));
    fs::write(&list, staff.to_string()).unwrap();
    fs::write(&object, json!({"staff": staff}).to_string()).unwrap();
    let pipe = central.directory().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let result = import(&central, &[&list, &object, Path::new("/dev/zero"), &pipe]);
    assert_eq!(result.code, EXIT_INCOMPLETE);
    assert_eq!(result.said.matches("who is on duty").count(), 2, "{}", result.said);
    assert_eq!(result.said.matches("a device or a pipe").count(), 2, "{}", result.said);
}

#[test]
fn tariff_and_subscriptions_are_taken_unless_somebody_set_them() {
    let mut mesh = Mesh::new(2);
    let [first, second] = [0, 1].map(|number| mesh.centrals[number].directory().to_owned());
    let write = |directory: &Path, name: &str, value: &Value| {
        let path = directory.join(name);
        fs::write(&path, value.to_string()).unwrap();
        path
    };
    mesh.centrals.iter().for_each(Central::write_config);
    let fees = json!({"fee_base": 0.5, "fee_per_hour": 20000, "fee_overnight": 0, "fee_daily_max": 0, "note": "cũ"});
    let subscriber = |id: Value, plate: &str, end: &str| {
        json!({"id": id, "plate_number": plate, "owner_name": "A", "type": "monthly", "status": "active",
               "start_date": "2025-01-01", "end_date": end, "phone": null, "note": "", "colour": "xanh"})
    };
    let list = json!({"subscriptions": [subscriber(json!(1), "29A-100.00", "2030-12-31"), subscriber(json!("s-2"), "29A-200.00", "2030-12-31"),
                      subscriber(json!("s-3"), "", "2030-12-31"), subscriber(json!("s-4"), "29A-300.00", "mai"), subscriber(json!(1), "29A-400.00", "")]});
    let files = [write(&first, "parking_fees.json", &fees), write(&first, "subscriptions.json", &list)];
    let result = import(&mesh.centrals[0], &[&files[0], &files[1]]);
    assert_eq!(result.code, EXIT_INCOMPLETE, "{}", result.said);
    assert!(result.said.contains("parking_fees.json: 1 taken"), "{}", result.said);
    assert!(
        result.said.contains("subscriptions.json: 2 taken") && result.said.contains("3 not taken"),
        "{}",
        result.said
    );
    assert!(result.said.contains("end_date") && result.said.contains("twice"), "{}", result.said);
    let again = import(&mesh.centrals[0], &[&files[0], &files[1]]);
    assert!(again.said.contains("parking_fees.json: 0 taken (0 events), 1 held already"), "{}", again.said);
    assert!(again.said.contains("subscriptions.json: 0 taken (0 events), 2 held already"), "{}", again.said);

    // At the second, whose clock is behind, a person has set both; the file of the first is imported later.
    mesh.centrals[1].start();
    let price = json!({"fees": {"fee_base": 1.0, "fee_per_hour": 30_000, "fee_overnight": 0, "fee_daily_max": 0}});
    mesh.centrals[1].http.put("/api/parking/fees", &price).ok();
    let mut changed = subscriber(json!("s-2"), "29A-200.00", "2026-06-30");
    changed.as_object_mut().unwrap().retain(|name, _| name != "colour" && name != "phone");
    mesh.centrals[1].http.put("/api/subscriptions", &json!({"subscriptions": [changed]})).ok();
    mesh.start_all();
    mesh.wait_equal(DEADLINE);
    for central in &mesh.centrals {
        assert_eq!(central.http.get("/api/parking/fees").ok().body["fees"]["fee_per_hour"], 30_000, "{}", central.id);
        let held = central.http.get("/api/subscriptions").ok().body["subscriptions"].clone();
        let end = |id: &str| held.as_array().unwrap().iter().find(|s| s["id"] == id).map(|s| s["end_date"].clone());
        assert_eq!((end("s-2"), end("1")), (Some(json!("2026-06-30")), Some(json!("2030-12-31"))), "{held}");
    }
    mesh.centrals[1].terminate();
    let refused = import(&mesh.centrals[1], &[&write(&second, "fees.json", &fees)]);
    assert!(refused.code == EXIT_INCOMPLETE && refused.said.contains("another tariff was set"), "{}", refused.said);
}

#[test]
fn old_settings_are_taken_if_there_are_none_and_say_whose_the_database_is() {
    let central = Central::new("central-7");
    let old_settings = central.directory().join("old_config.json");
    let ip = &central.ip;
    let settings = json!({"this_central": {"id": "central-7", "ip": ip, "p2p_port": 29_000, "api_port": 28_000},
                          "peer_centrals": [{"id": "central-2", "ip": "192.168.1.102", "p2p_port": 9000},
                                            // Replaced already: the door for the old ones stood here.
                                            {"id": "central-3", "ip": "192.168.1.103", "p2p_port": 9001},
                                            {"id": "central-4", "ip": "192.168.1.104", "api_port": 9001}]});
    fs::write(&old_settings, settings.to_string()).unwrap();
    let rows = "INSERT INTO history(plate_id, plate_view, entry_time, status) VALUES ('29A10000', '', '2025-12-01 07:30:05', 'IN');";
    let old = old_database(&central.directory().join("old.db"), &[V1], rows);
    let result = import(&central, &[&old, &old_settings]);
    assert_eq!(result.code, 0, "{}", result.said);
    let saved: Value = serde_json::from_slice(&fs::read(central.config_file()).unwrap()).unwrap();
    assert_eq!(
        (&saved["this_central"]["id"], &saved["peer_centrals"][0]["legacy"]),
        (&json!("central-7"), &json!(true))
    );
    for peer in [1, 2] {
        let peer = &saved["peer_centrals"][peer];
        assert!(peer["p2p_port"] != 9001 && peer["api_port"] != 9001, "{peer}");
    }
    assert_eq!(result.said.matches("the door for old centrals").count(), 2, "{}", result.said);
    let database = Connection::open(central.database()).unwrap();
    let id: String = database.query_row("SELECT event_id FROM history", [], |row| row.get(0)).unwrap();
    assert!(id.starts_with("central-7_"), "{id}");
    let again = import(&central, &[&old_settings]);
    assert!(again.code == EXIT_INCOMPLETE && again.said.contains("there are settings already"), "{}", again.said);
    let wrong = central.directory().join("wrong.json");
    fs::write(&wrong, r#"{"this_central": {"id": "central_2", "ip": "auto"}, "peer_centrals": []}"#).unwrap();
    fs::remove_file(central.config_file()).unwrap();
    let refused = import(&central, &[&wrong]);
    assert!(refused.code != 0 && refused.said.contains("this_central.id"), "{}", refused.said);
    assert!(!central.config_file().exists());
}

#[test]
fn a_long_import_is_quick_and_says_how_far_it_is() {
    const ROWS: i64 = 20_000;
    let central = central("central-1");
    let path = central.directory().join("old.db");
    let mut database = Connection::open(&path).unwrap();
    database.execute_batch(&[V1, V1_MIGRATION].concat()).unwrap();
    let transaction = database.transaction().unwrap();
    for number in 0..ROWS {
        // Every car comes back some times; what is read comes in no order.
        let plate = format!("29A{:05}", number * 7_919 % 5_000);
        let (hour, minute) = (number % 24, number % 60);
        let day = 1 + number / 24 / 60 % 28;
        let entered = format!("2025-{:02}-{day:02} {hour:02}:{minute:02}:00", 1 + number % 12);
        transaction
            .execute(
                "INSERT INTO history(plate_id, plate_view, entry_time, exit_time, fee, status, event_id) VALUES (?1, ?1, ?2, \
                 datetime(?2, '+45 minutes'), 25000, 'OUT', ?3)",
                (&plate, &entered, format!("central-1_{number}_{plate}")),
            )
            .unwrap();
    }
    transaction.commit().unwrap();
    let result = import(&central, &[&path]);
    assert_eq!(result.code, 0, "{}", result.said);
    assert!(result.said.contains(&format!("{ROWS} taken")), "{}", result.said);
    verify(&central);
    assert!(import(&central, &[&path]).said.contains(&format!("0 taken (0 events), {ROWS} held already")));
}
