//! What a start does with each part of a central that is missing or damaged: the table of docs/operations.md, a test for each row.
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

use common::{Central, DEADLINE, Mesh, eventually, eventually_ok, skip};
use serde_json::{Value, json};

/// What a start comes to.
enum Start {
    /// The gate opens, and so many of the three cars are inside.
    Opens {
        inside: u64,
        /// What the page says in red.
        red: Option<&'static str>,
        /// A word of the log.
        log: &'static str,
    },
    /// It ends with this code, says this, and leaves the file as it was.
    Refuses { code: i32, says: &'static str },
}
use Start::{Opens, Refuses};

const QUIET: Start = Opens { inside: 3, red: None, log: "event=listening" };
const EXIT_STORAGE: i32 = 74;

/// Three cars inside, all parts there, and a kept copy of the settings; ended in order, or killed with all in the log.
fn central(killed: bool) -> Central {
    let mut central = Central::standalone("central-1");
    for number in 1..=3 {
        central.http.enter("edge-1", &format!("29A1234{number}"));
    }
    if killed {
        central.kill9()
    } else {
        assert!(central.terminate().0.success())
    }
    write_what_is_made_later(&central);
    central
}

/// The files of a central that has people, and tells of alarms.
fn write_what_is_made_later(central: &Central) {
    let write = |name: &str, json: Value| fs::write(central.data_directory().join(name), json.to_string()).unwrap();
    write("accounts.json", json!({"people": [], "tokens": []}));
    write("alarms.json", json!({}));
}

/// Another central, whose file a person put in the place of this one's.
fn anothers(name: &str) -> Vec<u8> {
    let mut other = Central::standalone("central-2");
    other.http.enter("edge-1", "30A99999");
    assert!(other.terminate().0.success());
    write_what_is_made_later(&other);
    fs::read(other.directory().join(name)).unwrap()
}

/// A file that nobody may write, root included, until this is dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn of(path: &Path) -> Result<Self, String> {
        let run = |arguments: &[&str]| match std::process::Command::new("mount").args(arguments).output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let name = path.to_string_lossy();
        run(&["--bind", &name, &name])?;
        let mounted = Self(path.to_owned());
        run(&["-o", "remount,bind,ro", &name])?;
        Ok(mounted)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

#[track_caller]
fn row(test: &str, part: &str, killed: bool, state: &str, expected: Start) {
    let mut central = central(killed);
    let path = central.directory().join(part);
    let whole = fs::read(&path).unwrap();
    let mut mounted = None;
    match state {
        "missing" => {
            fs::remove_file(&path).unwrap();
            central.config = Value::Null;
        }
        "empty" => fs::write(&path, "").unwrap(),
        "torn" => fs::write(&path, &whole[..whole.len() / 2]).unwrap(),
        "zeroed" => fs::write(&path, vec![0; whole.len()]).unwrap(),
        "of another" => {
            let name = part.trim_end_matches("-wal");
            fs::write(path.with_extension("new"), anothers(name)).unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
        }
        "read-only" => match ReadOnly::of(&path) {
            Ok(held) => mounted = Some(held),
            Err(reason) => return skip(test, &reason),
        },
        other => panic!("{other}"),
    }
    let harmed = fs::read(&path).ok();
    match expected {
        Opens { inside, red, log } => {
            central.start();
            central.http.enter("edge-1", "29A55555");
            assert_eq!(central.http.stats()["vehicles_in_parking"], inside + 1);
            let status = central.http.get("/api/status").ok().body;
            let found: Vec<&str> = status["central"]["notices"]
                .as_array()
                .unwrap()
                .iter()
                .map(|notice| notice["code"].as_str().unwrap())
                .collect();
            let broken = (!status["central"]["broken_config"].is_null()).then_some("settings");
            assert_eq!(found.iter().copied().chain(broken).collect::<Vec<_>>(), Vec::from_iter(red), "{status}");
            assert!(central.log().contains(log), "{log}");
            central.kill9();
            central.start();
            assert_eq!(central.http.stats()["vehicles_in_parking"], inside + 1, "what was acknowledged is there");
        }
        Refuses { code, says } => {
            central.spawn();
            assert_eq!(central.wait_ended(DEADLINE).code(), Some(code));
            assert!(central.log().contains(says), "{says}");
            assert_eq!(fs::read(&path).ok(), harmed, "nothing is thrown away");
        }
    }
    drop(mounted);
}

macro_rules! rows {
    ($($test:ident: $part:literal $state:literal $(killed $killed:literal)? => $expected:expr;)*) => {$(
        #[test]
        fn $test() {
            row(stringify!($test), $part, false $(|| $killed)?, $state, $expected);
        }
    )*};
}

const ON_THE_KEPT_SETTINGS: Start = Opens { inside: 3, red: Some("settings"), log: "event=config_broken" };
const WITHOUT_MESH: Start = Opens { inside: 3, red: Some("identity"), log: "event=identity_unusable" };
const WITHOUT_ACCOUNTS: Start = Opens { inside: 3, red: Some("accounts"), log: "event=accounts_damaged" };
const WITHOUT_WHAT_WAS_TOLD: Start = Opens { inside: 3, red: None, log: "event=alarms_unreadable" };
const ANEW: Start = Opens { inside: 0, red: None, log: "event=database_missing" };

rows! {
    settings_missing: "p2p_config.json" "missing" => ON_THE_KEPT_SETTINGS;
    settings_empty: "p2p_config.json" "empty" => ON_THE_KEPT_SETTINGS;
    settings_torn: "p2p_config.json" "torn" => ON_THE_KEPT_SETTINGS;
    settings_zeroed: "p2p_config.json" "zeroed" => ON_THE_KEPT_SETTINGS;
    settings_read_only: "p2p_config.json" "read-only" => QUIET;
    identity_missing: "data/identity.pem" "missing" => Opens { inside: 3, red: None, log: "new=true" };
    identity_empty: "data/identity.pem" "empty" => WITHOUT_MESH;
    identity_torn: "data/identity.pem" "torn" => WITHOUT_MESH;
    identity_zeroed: "data/identity.pem" "zeroed" => WITHOUT_MESH;
    identity_of_another: "data/identity.pem" "of another" => QUIET;
    identity_read_only: "data/identity.pem" "read-only" => QUIET;
    accounts_missing: "data/accounts.json" "missing" => QUIET;
    accounts_empty: "data/accounts.json" "empty" => WITHOUT_ACCOUNTS;
    accounts_torn: "data/accounts.json" "torn" => WITHOUT_ACCOUNTS;
    accounts_zeroed: "data/accounts.json" "zeroed" => WITHOUT_ACCOUNTS;
    accounts_of_another: "data/accounts.json" "of another" => QUIET;
    accounts_read_only: "data/accounts.json" "read-only" => QUIET;
    alarms_missing: "data/alarms.json" "missing" => QUIET;
    alarms_empty: "data/alarms.json" "empty" => WITHOUT_WHAT_WAS_TOLD;
    alarms_torn: "data/alarms.json" "torn" => WITHOUT_WHAT_WAS_TOLD;
    alarms_zeroed: "data/alarms.json" "zeroed" => WITHOUT_WHAT_WAS_TOLD;
    alarms_of_another: "data/alarms.json" "of another" => QUIET;
    alarms_read_only: "data/alarms.json" "read-only" => QUIET;
    site_missing: "data/site.json" "missing" => QUIET;
    site_empty: "data/site.json" "empty" => QUIET;
    site_torn: "data/site.json" "torn" => QUIET;
    site_zeroed: "data/site.json" "zeroed" => QUIET;
    site_of_another: "data/site.json" "of another" => QUIET;
    site_read_only: "data/site.json" "read-only" => QUIET;
    database_missing: "data/central.db" "missing" => ANEW;
    database_empty: "data/central.db" "empty" => ANEW;
    database_torn: "data/central.db" "torn" => Refuses { code: EXIT_STORAGE, says: "central.db is damaged" };
    database_zeroed: "data/central.db" "zeroed" => Refuses { code: EXIT_STORAGE, says: "is not a database of ParkMesh" };
    database_of_another: "data/central.db" "of another" => Opens { inside: 1, red: None, log: "event=listening" };
    database_read_only: "data/central.db" "read-only" => Refuses { code: EXIT_STORAGE, says: "read-only" };
    log_missing: "data/central.db-wal" "missing" killed true => Opens { inside: 0, red: Some("database"), log: "event=log_missing" };
    log_empty: "data/central.db-wal" "empty" killed true => Opens { inside: 0, red: Some("database"), log: "event=log_missing" };
    log_torn: "data/central.db-wal" "torn" killed true => Opens { inside: 0, red: Some("database"), log: "event=log_damaged" };
    log_zeroed: "data/central.db-wal" "zeroed" killed true => Opens { inside: 0, red: Some("database"), log: "event=log_damaged" };
    log_of_another: "data/central.db-wal" "of another" killed true => Opens { inside: 0, red: Some("database"), log: "event=log_foreign" };
    log_read_only: "data/central.db-wal" "read-only" killed true => Refuses { code: EXIT_STORAGE, says: "the disk refused to read or write" };
    log_alone: "data/central.db" "missing" killed true => Opens { inside: 3, red: Some("database"), log: "event=database_recovered" };
    log_beside_an_empty_database: "data/central.db" "empty" killed true => Opens { inside: 3, red: Some("database"), log: "event=database_recovered" };
    log_beside_a_zeroed_database: "data/central.db" "zeroed" killed true => QUIET;
}

/// Whose settings they are is who it is: the events stay those of the central that wrote them.
#[test]
fn settings_of_another() {
    let mut central = central(false);
    central.config["this_central"]["id"] = json!("central-2");
    central.write_config();
    central.start();
    assert_eq!(central.http.p2p_status()["this_central"], "central-2");
    assert_eq!(central.http.stats()["vehicles_in_parking"], 3);
    central.http.enter("edge-1", "29A55555");
}

/// What is written meanwhile reaches the others once there is a key again, and comes back from them.
#[test]
fn a_damaged_key_turns_the_mesh_off_and_nothing_else() {
    let mut mesh = Mesh::new(2);
    for central in &mut mesh.centrals {
        central.config["security"]["p2p"] = json!("tls");
    }
    mesh.start_all();
    let central = &mut mesh.centrals[0];
    central.terminate();
    let path = central.data_directory().join("identity.pem");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, "").unwrap();
    central.start();
    central.http.enter("edge-1", "29A12345");
    let status = central.http.p2p_status();
    assert_eq!((&status["running"], &status["fingerprint"]), (&json!(false), &Value::Null), "{status}");
    assert!(status["listen_error"].as_str().unwrap().contains("identity.pem"), "{status}");
    let asked = central.http.post("/api/p2p/invitations", &json!({}));
    assert_eq!((asked.status, asked.field("code")), (409, "invitation_refused"), "{}", asked.text);
    assert_eq!(fs::read(&path).unwrap(), b"", "for a person to look at");
    central.terminate();
    fs::write(&path, whole).unwrap();
    central.start();
    assert_eq!(central.http.p2p_status()["running"], true);
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 1);

    let central = &mut mesh.centrals[0];
    central.terminate();
    for name in ["central.db", "central.db-wal", "central.db-shm"] {
        drop(fs::remove_file(central.data_directory().join(name)));
    }
    central.start();
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 1, "what it wrote itself returns");
}

/// The first-day case: a log removed beneath the program, then a power cut.
#[test]
fn files_that_vanish_while_it_runs_are_told_within_seconds_and_nothing_acknowledged_is_lost() {
    type Harm = fn(&Central);
    let harms: [(&str, Harm, bool); 4] = [
        ("the log removed", |central| fs::remove_file(central.data_directory().join("central.db-wal")).unwrap(), true),
        (
            "log and index removed",
            |central| {
                for name in ["central.db-wal", "central.db-shm"] {
                    fs::remove_file(central.data_directory().join(name)).unwrap();
                }
            },
            true,
        ),
        ("the database removed", |central| fs::remove_file(central.database()).unwrap(), false),
        (
            "the directory moved",
            |central| fs::rename(central.data_directory(), central.directory().join("moved")).unwrap(),
            false,
        ),
    ];
    for (name, harm, opens) in harms {
        let mut central = Central::standalone("central-1");
        central.http.enter("edge-1", "34C00001");
        harm(&central);
        eventually(&format!("{name}: not ready"), DEADLINE, || central.http.get("/readyz").status == 503);
        let answer = central.http.post(
            "/api/edge/barrier/open",
            &json!({"edge_id": "edge-1", "plate_id": "34C00002", "direction": "ENTRY"}),
        );
        assert_eq!(answer.is_success(), opens, "{name}: {}", answer.text);
        eventually(&format!("{name}: red"), DEADLINE, || {
            central.http.get("/api/status").body["central"]["notices"][0]["code"] == "files"
        });
        assert!(central.log().contains("event=files_vanished"), "{name}");
        central.kill9();
        let moved = central.directory().join("moved");
        if moved.exists() {
            fs::rename(moved, central.data_directory()).unwrap();
        }
        central.start();
        assert_eq!(central.http.stats()["vehicles_in_parking"], 1 + u64::from(opens), "{name}");
    }
}

#[test]
fn a_directory_that_comes_back_is_ready_again_by_itself() {
    let central = Central::standalone("central-1");
    let moved = central.directory().join("moved");
    fs::rename(central.data_directory(), &moved).unwrap();
    eventually("not ready", DEADLINE, || central.http.get("/readyz").status == 503);
    fs::rename(&moved, central.data_directory()).unwrap();
    eventually("ready", DEADLINE, || central.http.get("/readyz").is_success());
    central.http.enter("edge-1", "29A12345");
}

/// So that a copy of the one file has all, as people make it.
#[test]
fn a_quiet_site_has_all_in_the_database() {
    let central = Central::standalone("central-1");
    for number in 10..60 {
        central.http.enter("edge-1", &format!("32A000{number}"));
    }
    let copy = central.directory().join("copy.db");
    let held = || -> rusqlite::Result<i64> {
        fs::copy(central.database(), &copy).unwrap();
        rusqlite::Connection::open(&copy)?.query_row("SELECT count(*) FROM history", (), |row| row.get(0))
    };
    eventually("copied", 3 * DEADLINE, || held() == Ok(50));
}

/// Somebody left the database open in a viewer, which goes on seeing the moment it was opened at.
#[test]
fn a_log_that_grows_behind_a_forgotten_reader_is_told_and_shrinks_once_it_is_gone() {
    const GROWN_BYTES: u64 = 48 << 20;
    const BOUND_BYTES: u64 = 64 << 20;
    let central = Central::standalone("central-1");
    central.http.enter("edge-1", "29A12345");
    let viewer = rusqlite::Connection::open(central.database()).unwrap();
    viewer.execute_batch("BEGIN; SELECT count(*) FROM history").unwrap();
    let log = central.data_directory().join("central.db-wal");
    let bytes = || fs::metadata(&log).map_or(0, |file| file.len());
    let mut rounds = 0;
    let mut write = || {
        rounds += 1;
        let list: Vec<Value> = (0..200)
            .map(|id| json!({"id": format!("{id}"), "plate_number": "30B-543.21", "type": "monthly", "status": "active", "note": format!("{rounds} {}", "x".repeat(400))}))
            .collect();
        central.http.put("/api/subscriptions", &json!({"subscriptions": list})).ok();
    };
    eventually("the log grows", 6 * DEADLINE, || {
        write();
        bytes() > GROWN_BYTES
    });
    let told = || central.http.get("/api/status").ok().text.contains("log_grows");
    eventually("told on the page", DEADLINE, || {
        write();
        told()
    });
    let line = central.log().lines().find(|line| line.contains("event=log_grows")).map(ToOwned::to_owned).unwrap();
    assert!(line.contains(&std::process::id().to_string()), "who holds it is named: {line}");
    drop(viewer);
    eventually("the log is short again, and nothing is told", 6 * DEADLINE, || {
        write();
        bytes() <= BOUND_BYTES && !told()
    });
    assert_eq!(central.http.rows_of("29A12345").len(), 1);
}

#[test]
fn asking_whether_it_is_ready_writes_a_page_or_two_in_ten_seconds() {
    let central = Central::standalone("central-1");
    central.http.enter("edge-1", "29A12345");
    let written = || -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", central.pid())).unwrap();
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
    };
    // What else is written once meanwhile is not written again the next time.
    eventually_ok(DEADLINE, || {
        let before = written();
        for _ in 0..50 {
            assert!(central.http.get("/readyz").is_success());
        }
        let bytes = written() - before;
        if bytes <= 32_768 { Ok(()) } else { Err(format!("{bytes} bytes")) }
    });
}

#[test]
fn one_byte_that_makes_a_text_none_is_found() {
    let mut central = Central::standalone("central-1");
    central.http.enter("edge-1", "29A12345");
    central.terminate();
    let database = rusqlite::Connection::open(central.database()).unwrap();
    database.execute("UPDATE history SET edge_id = CAST(x'65C3' AS TEXT)", ()).unwrap();
    drop(database);
    let output = central.subcommand("verify").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("edge_id") && said.contains("DAMAGED"), "{said}");
    let rebuilt = central.subcommand("rebuild").output().unwrap();
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    assert!(central.subcommand("verify").output().unwrap().status.success());
}

/// What a person does ahead of the first start is no sign of an earlier run, and a command says what it lacks.
#[test]
fn a_key_made_ahead_is_no_sign_of_an_earlier_run_and_a_code_wants_a_directory() {
    let mut central = Central::secured("central-1");
    central.write_config();
    let code = central.subcommand("new-code").output().unwrap();
    let said = String::from_utf8_lossy(&code.stderr).into_owned();
    assert_eq!(code.status.code(), Some(EXIT_STORAGE));
    assert!(said.contains("--data-dir") && !said.contains("free some space"), "{said}");
    assert!(central.subcommand("identity").output().unwrap().status.success());
    central.start();
    assert!(!central.log().contains("database_missing"), "{}", central.log());
    central.terminate();
    fs::remove_file(central.database()).unwrap();
    central.start();
    assert!(central.log().contains("database_missing"));
}
