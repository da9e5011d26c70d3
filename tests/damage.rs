//! What a start does with each part of a central that is missing or damaged: the table of docs/operations.md, a test for each row.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use common::{Central, DEADLINE, Mesh, eventually, eventually_ok, eventually_some, skip};
use parkmesh::domain::direction::Direction;
use parkmesh::domain::ids::Epoch;
use parkmesh::domain::plate::PlateId;
use parkmesh::domain::time::SiteZone;
use parkmesh::ledger::job::{Beside, Job, OpenBarrier};
use parkmesh::ledger::storage::Storage as _;
use parkmesh::ledger::transaction::TransactionTime;
use parkmesh::ledger::{Context, Ledger};
use parkmesh::maintenance::rebuild::{self, Remade};
use parkmesh::ops::clock::Clock;
use parkmesh::replication::handshake::Instance;
use parkmesh::store::{DataDir, StoreError, Writer};
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
const EXIT_INTERNAL: i32 = 70;

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
    if name.ends_with("-wal") {
        other.kill9();
    } else {
        assert!(other.terminate().0.success());
    }
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
            fs::write(path.with_extension("new"), anothers(part)).unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
        }
        "written over with another's" => fs::write(&path, anothers(part)).unwrap(),
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
    index_missing: "data/central.db-shm" "missing" killed true => QUIET;
    index_empty: "data/central.db-shm" "empty" killed true => QUIET;
    index_torn: "data/central.db-shm" "torn" killed true => QUIET;
    index_zeroed: "data/central.db-shm" "zeroed" killed true => QUIET;
    index_of_another: "data/central.db-shm" "of another" killed true => QUIET;
    index_written_over: "data/central.db-shm" "written over with another's" killed true => QUIET;
    log_read_only: "data/central.db-wal" "read-only" killed true => Refuses { code: EXIT_STORAGE, says: "the disk refused to read or write" };
    log_alone: "data/central.db" "missing" killed true => Opens { inside: 3, red: Some("database"), log: "event=database_recovered" };
    log_beside_an_empty_database: "data/central.db" "empty" killed true => Opens { inside: 3, red: Some("database"), log: "event=database_recovered" };
    log_beside_a_zeroed_database: "data/central.db" "zeroed" killed true => QUIET;
}

/// Two cars in the database, a third in the log of a run that was killed.
fn killed_after_an_end_in_order() -> Central {
    let mut central = Central::standalone("central-1");
    (1..=2).for_each(|number| drop(central.http.enter("edge-1", &format!("29A1234{number}"))));
    assert!(central.terminate().0.success());
    central.start();
    central.http.enter("edge-1", "29A12343");
    central.kill9();
    central
}

/// Whatever says whose a log is, and whatever does not any more: the database keeps what it has, and its own log is played back.
#[test]
fn the_log_of_another_central_is_never_played_back_and_the_own_one_always_is() {
    type Harm = fn(&Path, &[u8]);
    let over: Harm = |directory, theirs| fs::write(directory.join("central.db-wal"), theirs).unwrap();
    let forgotten: Harm = |directory, _| fs::remove_file(directory.join("lock")).unwrap();
    let emptied: Harm = |directory, _| fs::write(directory.join("lock"), "").unwrap();
    let without_index: Harm = |directory, _| fs::remove_file(directory.join("central.db-shm")).unwrap();
    let theirs = anothers("data/central.db-wal");
    for (what, harms, inside, says) in [
        ("theirs", vec![over], 2, "event=log_foreign"),
        ("theirs, without an index", vec![over, without_index], 2, "event=log_foreign"),
        ("theirs, and no mark", vec![over, forgotten], 2, "event=log_foreign"),
        ("theirs, and an empty mark", vec![over, emptied, without_index], 2, "event=log_foreign"),
        ("ours, and no mark", vec![forgotten, without_index], 3, "event=log_unmarked"),
        ("ours, and an empty mark", vec![emptied, without_index], 3, "event=log_unmarked"),
        ("ours", vec![without_index], 3, "event=listening"),
    ] {
        let mut central = killed_after_an_end_in_order();
        harms.iter().for_each(|harm| harm(&central.data_directory(), &theirs));
        central.start();
        assert_eq!(central.http.stats()["vehicles_in_parking"], inside, "{what}: {}", central.log());
        assert!(central.log().contains(says), "{what}: {}", central.log());
        assert_eq!(notice_of(&central, "database").is_some(), inside == 2, "{what}");
        central.http.enter("edge-1", "29A55555");
        central.terminate();
        let verified = central.subcommand("verify").output().unwrap();
        assert!(verified.status.success(), "{what}: {}", String::from_utf8_lossy(&verified.stdout));
    }
}

/// A database that holds nothing without its log goes together with any: the mark of the last run says that it is another's, and where
/// there is none that is told.
#[test]
fn the_log_of_another_central_beside_a_database_that_is_new_is_put_aside_or_told() {
    let theirs = anothers("data/central.db-wal");
    for (mark, inside, says) in [(true, 0, "event=log_foreign"), (false, 1, "event=log_unmarked")] {
        let mut central = central(true);
        fs::write(central.data_directory().join("central.db-wal"), &theirs).unwrap();
        if !mark {
            fs::remove_file(central.data_directory().join("lock")).unwrap();
        }
        central.start();
        assert_eq!(central.http.stats()["vehicles_in_parking"], inside, "{}", central.log());
        assert!(central.log().contains(says), "{}", central.log());
        assert!(notice_of(&central, "database").is_some(), "red: {mark}");
        central.http.enter("edge-1", "29A55555");
    }
}

/// Also where the last run ended in order, so that there was no log.
#[test]
fn a_log_that_appears_after_an_end_in_order_is_put_aside() {
    let mut central = central(false);
    fs::write(central.data_directory().join("central.db-wal"), anothers("data/central.db-wal")).unwrap();
    central.start();
    assert_eq!(central.http.stats()["vehicles_in_parking"], 3);
    assert!(central.log().contains("event=log_foreign"));
    assert!(central.data_directory().join("central.db-wal.foreign").exists());
}

/// A pipe nobody writes to, in the place of a file.
#[test]
fn a_start_that_waits_says_for_what() {
    let mut central = central(false);
    let pipe = central.data_directory().join("central.db-wal");
    drop(fs::remove_file(&pipe));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    central.spawn();
    eventually("it says so", std::time::Duration::from_secs(60), || central.log().contains("event=start_waits step="));
    central.kill9();
}

/// Somebody ran the program, or another one of ours, as root once.
#[test]
fn a_file_of_another_user_is_named_with_what_gives_it_back() {
    const USER: u32 = 65_534;
    const TEST: &str = "a_file_of_another_user_is_named_with_what_gives_it_back";
    let mut central = central(true);
    let give = |path: &Path, user: u32| std::os::unix::fs::chown(path, Some(user), Some(user));
    let data = central.data_directory();
    let names: Vec<PathBuf> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    let beside: Vec<PathBuf> = fs::read_dir(central.directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in names.iter().chain(&beside).chain([&data]) {
        if let Err(error) = give(path, USER) {
            return skip(TEST, &error.to_string());
        }
    }
    give(central.directory(), USER).unwrap();
    let user = USER.to_string();
    central.run_by(&["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
    for name in ["lock", "central.db-shm", "central.db-wal", "central.db", "."] {
        let path = if name == "." { data.clone() } else { data.join(name) };
        give(&path, 0).unwrap();
        give(&data.join("identity.pem"), 0).unwrap();
        central.spawn();
        let code = central.wait_ended(DEADLINE).code();
        let log = central.log();
        let line = log.lines().rfind(|line| line.contains("chown")).unwrap_or_else(|| panic!("{name}: {log}"));
        assert_eq!(code, Some(EXIT_STORAGE), "{name}: {log}");
        let remedy = format!("chown -R {USER}:{USER} {}", data.display());
        assert!(line.contains(path.to_str().unwrap()) && line.contains(&remedy), "{name}: {line}");
        // A directory that may not be entered shows none of its files.
        assert_eq!(line.contains("identity.pem"), name != ".", "every one of them: {line}");
        give(&path, USER).unwrap();
    }
    // Gates do not need it: the mesh is off, and that it is another user's is said.
    central.start();
    central.http.enter("edge-1", "29A55555");
    assert_eq!(central.http.stats()["vehicles_in_parking"], 4);
    let log = central.log();
    assert!(
        log.lines().any(|line| line.contains("event=file_of_another_user") && line.contains("identity.pem")),
        "{log}"
    );
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

/// What became of the files.
#[derive(Clone, Copy, PartialEq)]
enum Harmed {
    /// Gates go on.
    Opens,
    /// Gates are shut until a person puts something back.
    Waits,
    /// Gates are shut until it is started again, for which it ends by itself.
    Ends,
}

/// The first-day case: a log removed beneath the program, then a power cut.
#[test]
fn files_that_vanish_while_it_runs_are_told_within_seconds_and_nothing_acknowledged_is_lost() {
    type Harm = fn(&Central);
    let harms: [(&str, Harm, Harmed); 5] = [
        (
            "the log removed",
            |central| fs::remove_file(central.data_directory().join("central.db-wal")).unwrap(),
            Harmed::Opens,
        ),
        (
            "log and index removed",
            |central| {
                for name in ["central.db-wal", "central.db-shm"] {
                    fs::remove_file(central.data_directory().join(name)).unwrap();
                }
            },
            Harmed::Opens,
        ),
        ("the database removed", |central| fs::remove_file(central.database()).unwrap(), Harmed::Ends),
        (
            "the database replaced",
            |central| {
                let (database, new) = (central.database(), central.directory().join("new"));
                fs::write(&new, "another file").unwrap();
                fs::hard_link(&database, central.directory().join("old")).unwrap();
                fs::rename(new, database).unwrap();
            },
            Harmed::Waits,
        ),
        (
            "the directory moved",
            |central| fs::rename(central.data_directory(), central.directory().join("moved")).unwrap(),
            Harmed::Waits,
        ),
    ];
    for (name, harm, harmed) in harms {
        let mut central = Central::standalone("central-1");
        central.http.enter("edge-1", "34C00001");
        harm(&central);
        if harmed == Harmed::Ends {
            assert_ended_to_be_started(&mut central, name, "was removed or replaced");
        } else {
            eventually(&format!("{name}: not ready"), DEADLINE, || central.http.get("/readyz").status == 503);
            let press = json!({"edge_id": "edge-1", "plate_id": "34C00002", "direction": "ENTRY"});
            let answer = central.http.post("/api/edge/barrier/open", &press);
            assert_eq!(answer.is_success(), harmed == Harmed::Opens, "{name}: {}", answer.text);
            eventually(&format!("{name}: red"), DEADLINE, || {
                central.http.get("/api/status").body["central"]["notices"][0]["code"] == "files"
            });
            assert!(central.log().contains("event=files_vanished"), "{name}");
            assert!(!central.log().contains("event=actor_fatal") && central.is_running(), "{name}");
            central.kill9();
        }
        for (aside, place) in [("moved", central.data_directory()), ("old", central.database())] {
            drop(fs::rename(central.directory().join(aside), place));
        }
        central.start();
        assert_eq!(central.http.stats()["vehicles_in_parking"], 1 + u64::from(harmed == Harmed::Opens), "{name}");
    }
}

/// Who took it writes into it, so what this one remembers is not what it holds: it has to read it anew.
#[test]
fn a_directory_that_another_process_took_is_used_again_once_that_one_is_gone() {
    let mut central = Central::standalone("central-1");
    central.http.enter("edge-1", "34C00001");
    let directory = central.data_directory();
    let other = eventually_some("another has it", DEADLINE, || {
        drop(fs::remove_file(directory.join("lock")));
        DataDir::open(&directory).ok()
    });
    eventually("not ready", DEADLINE, || central.http.get("/readyz").status == 503);
    let press = json!({"edge_id": "edge-1", "plate_id": "34C00002", "direction": "ENTRY"});
    assert_eq!(central.http.post("/api/edge/barrier/open", &press).status, 503);
    assert!(central.is_running());
    drop(other);
    assert_ended_to_be_started(&mut central, "another had it", "was removed or replaced");
    central.start();
    assert_eq!(central.http.stats()["vehicles_in_parking"], 1);
}

/// It says why, once, and does not start itself again: that is for whoever started it.
#[track_caller]
fn assert_ended_to_be_started(central: &mut Central, name: &str, why: &str) {
    assert_eq!(central.wait_ended(DEADLINE).code(), Some(EXIT_INTERNAL), "{name}");
    let log = central.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("event=actor_fatal")).collect();
    assert!(said.len() == 1 && said[0].contains(why), "{name}: {said:?}");
    assert!(log.contains("event=files_vanished") && !log.contains("event=panic"), "{name}: {log}");
}

/// A log that somebody cuts or copies another one over stays the file that is open, and SQLite writes on behind what is not there.
#[test]
fn a_log_that_is_cut_or_written_over_while_it_runs_ends_the_process_and_the_next_one_opens_the_gates() {
    type Harm = fn(&Path);
    let cut: Harm = |log| fs::OpenOptions::new().write(true).open(log).unwrap().set_len(0).unwrap();
    let half: Harm = |log| {
        let file = fs::OpenOptions::new().write(true).open(log).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    };
    let over: Harm = |log| {
        let file = fs::OpenOptions::new().write(true).open(log).unwrap();
        file.write_all_at(&anothers("data/central.db-wal")[..32], 0).unwrap();
    };
    let zeroed: Harm = |log| fs::OpenOptions::new().write(true).open(log).unwrap().write_all_at(&[0; 32], 0).unwrap();
    for (name, harm) in [("cut", cut), ("half", half), ("written over", over), ("zeroed", zeroed)] {
        let mut central = Central::standalone("central-1");
        central.http.enter("edge-1", "34C00001");
        harm(&central.data_directory().join("central.db-wal"));
        // Nobody would open these gates but a new process.
        assert_ended_to_be_started(&mut central, name, "was cut short or written over");
        central.start();
        assert!(notice_of(&central, "database").is_some(), "{name}: what is missing is told");
        central.http.enter("edge-1", "34C00003");
        central.kill9();
        central.start();
        assert_eq!(central.http.rows_of("34C00003").len(), 1, "{name}");
    }
}

/// As a tool for backups does: all is in the database before the log is emptied, so nothing is wrong.
#[test]
fn a_log_that_another_program_empties_in_order_while_it_runs_is_no_fault() {
    let mut central = Central::standalone("central-1");
    for number in 1..=3 {
        central.http.enter("edge-1", &format!("34C0000{number}"));
        let other = rusqlite::Connection::open(central.database()).unwrap();
        eventually("emptied", DEADLINE, || {
            other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, i64>(0)).unwrap() == 0
        });
        assert_eq!(fs::metadata(central.data_directory().join("central.db-wal")).unwrap().len(), 0);
    }
    central.http.enter("edge-1", "34C00004");
    assert!(central.http.get("/readyz").is_success());
    assert!(!central.log().contains("files_vanished"), "{}", central.log());
    central.kill9();
    central.start();
    assert_eq!(central.http.stats()["vehicles_in_parking"], 4);
}

/// Whatever somebody dropped with a tool: what is made from the events is made anew, and what is not is told.
#[test]
fn whatever_table_index_or_column_is_dropped_gates_open_and_all_that_the_events_say_is_there() {
    let central = full_central();
    let parts: Vec<(String, String)> = {
        let database = rusqlite::Connection::open(central.database()).unwrap();
        let find = "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";
        let mut found = database.prepare(find).unwrap();
        found.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert!(parts.len() > 40, "{parts:?}");
    let parts = parts.iter().map(|(kind, name)| (kind.as_str(), name.as_str()));
    for (kind, name) in
        parts.chain([("history RENAME COLUMN", "fee TO money"), ("taking RENAME COLUMN", "fee TO money")])
    {
        let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let database = scratch.path().join("central.db");
        fs::copy(central.database(), &database).unwrap();
        let sql = if kind.contains(' ') { format!("ALTER TABLE {kind} {name}") } else { format!("DROP {kind} {name}") };
        rusqlite::Connection::open(&database).unwrap().execute_batch(&sql).unwrap();
        if name == "event" {
            let error = Gates::try_open(scratch.path()).err().expect("there is nothing to go on with").to_string();
            assert!(error.contains("table of events") && error.contains("backup"), "{error}");
            continue;
        }
        let mut gates = Gates::try_open(scratch.path()).unwrap_or_else(|error| panic!("{sql}: {error}"));
        INSIDE.iter().for_each(|plate| gates.press(plate, Direction::Exit));
        gates.press(LEFT, Direction::Entry);
        gates.press("59A00001", Direction::Entry);
        assert_eq!(gates.ledger.inside().len(), 2, "{sql}");
        let told = gates.ledger.storage().missed().told();
        assert_eq!(told.is_some(), kind == "table" && KEPT.contains(&name), "{sql}: {told:?}");
        let is_made_anew = kind.contains(' ') || (kind == "table" && !KEPT.contains(&name));
        assert!(gates.remade > 0 || !is_made_anew, "{sql}");
        drop(gates);
        assert_eq!(Gates::open(scratch.path()).remade, 0, "{sql}: once");
    }
}

/// Dropped beneath the program: the gate that meets it is answered 503 at most once.
#[test]
fn a_table_that_is_dropped_while_it_runs_is_made_anew() {
    let central = Central::standalone("central-1");
    central.http.enter("edge-1", "29A12341");
    central.http.enter("edge-1", "29A12342");
    for table in ["quarter_total", "history", "plate", "setting"] {
        let other = rusqlite::Connection::open(central.database()).unwrap();
        other.busy_timeout(DEADLINE).unwrap();
        other.execute_batch(&format!("DROP TABLE {table}")).unwrap();
        let press = json!({"edge_id": "edge-1", "plate_id": "51G00001", "direction": "ENTRY", "force": true});
        eventually(&format!("{table}: it opens"), DEADLINE, || {
            central.http.post("/api/edge/barrier/open", &press).is_success()
        });
        eventually_ok(DEADLINE, || {
            let stats = central.http.get("/api/stats");
            if stats.body["vehicles_in_parking"] == 3 { Ok(()) } else { Err(format!("{table}: {}", stats.text)) }
        });
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

/// Everything the ledger writes down: stays of several kinds, settings, what is found by a key, what was put aside.
fn full_central() -> Central {
    let mut central = Central::standalone("central-1");
    let http = &central.http;
    http.put("/api/parking/fees", &json!({"fees": {"fee_base": 0.5, "fee_per_hour": 30_000}})).ok();
    let person = json!({"id": "1", "plate_number": "30B-543.21", "type": "monthly", "status": "active", "start_date": "2026-01-01", "end_date": "2036-01-01"});
    http.put("/api/subscriptions", &json!({"subscriptions": [person]})).ok();
    http.put("/api/p2p/config", &json!({"edges": [{"id": "edge-1", "name": "Cổng A"}]})).ok();
    for plate in INSIDE {
        http.enter("edge-1", plate);
    }
    let left = http.enter("edge-1", "29A12344");
    http.leave("edge-2", "29A12344");
    http.void(&left, &json!({"reason": "x"})).ok();
    http.enter("edge-1", LEFT);
    http.leave("edge-2", LEFT);
    http.open(&json!({"edge_id": "edge-2", "plate_id": "51G99999", "direction": "EXIT", "force": true, "fee": 40_000}))
        .ok();
    http.open(&json!({"edge_id": "edge-1", "plate_id": "51G88888", "direction": "ENTRY", "request_id": "r"})).ok();
    assert!(central.terminate().0.success());
    central
}

const INSIDE: [&str; 3] = ["29A12341", "29A12342", "51G88888"];
const LEFT: &str = "29A12343";

/// What a value can become; no column may hold all of them.
const KINDS: [&str; 5] = ["CAST(x'65C3' AS TEXT)", "x'00'", "NULL", "'no value'", "9223372036854775807"];

/// What is made from nothing else, or about other centrals.
const KEPT: [&str; 7] = ["event", "log", "audit", "start", "seen_start", "p2p_sync_state", "legacy_cursor"];

/// Sets a column as a disk would: what the table says of its type is no obstacle. Whether a row was changed.
fn harm(database: &Path, table: &str, column: &str, value: &str) -> bool {
    let sql = |text: &str| rusqlite::Connection::open(database).unwrap().execute_batch(text);
    let declared: String = {
        let find = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        rusqlite::Connection::open(database).unwrap().query_row(find, [table], |row| row.get(0)).unwrap()
    };
    let declare = |text: &str| {
        let text = text.replace('\'', "''");
        sql(&format!("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = '{text}' WHERE type = 'table' AND name = '{table}'"))
            .unwrap();
    };
    declare(
        &declared
            .replace(") STRICT, WITHOUT ROWID", ") WITHOUT ROWID")
            .replace(") STRICT", ")")
            .replace(" NOT NULL", ""),
    );
    let triggers =
        ["only_grows", "never_changes", "never_forgets"].map(|name| format!("DROP TRIGGER IF EXISTS audit_{name};"));
    sql(&triggers.concat()).unwrap();
    let connection = rusqlite::Connection::open(database).unwrap();
    let changed = connection.execute(&format!("UPDATE OR IGNORE \"{table}\" SET \"{column}\" = {value}"), ());
    drop(connection);
    declare(&declared);
    changed.is_ok_and(|rows| rows > 0)
}

/// The gates of a central whose database lies there, as a start and its writer go about it.
struct Gates {
    ledger: Ledger<Writer>,
    directory: DataDir,
    /// How often all was made anew.
    remade: u32,
}

impl Gates {
    fn open(data_dir: &Path) -> Self {
        Self::try_open(data_dir).unwrap()
    }

    fn try_open(data_dir: &Path) -> Result<Self, StoreError> {
        let directory = DataDir::open(data_dir)?;
        let context = Context { central: "central-1".parse().unwrap(), zone: SiteZone::default() };
        let (mut writer, _) = rebuild::open_writer(&directory, context.zone.clone())?;
        drop(writer.note_start(Instance(7)));
        writer.seen_starts()?;
        let (mut ledger, _) = rebuild::open(writer, &directory, context)?;
        let remade = rebuild::follow_rules(&mut ledger, &directory, now_ms(), &mut |_, _| {})?;
        ledger.openers()?;
        Ok(Self { ledger, directory, remade: u32::from(remade.is_some()) })
    }

    fn press(&mut self, plate: &str, direction: Direction) {
        assert_eq!(self.try_press(plate, direction), Ok(()), "{plate}");
    }

    /// What is left wrong when what could be made anew was.
    fn try_press(&mut self, plate: &str, direction: Direction) -> Result<(), String> {
        let job = || {
            Job::Open(OpenBarrier {
                edge_id: "edge-1".into(),
                plate: PlateId::parse(plate).unwrap(),
                plate_view: None,
                direction: Some(direction),
                camera_type: String::new(),
                confidence: None,
                request_id: Some(format!("{plate} {direction:?}")),
                force: false,
                reason: None,
                fee: None,
                beside: Beside::default(),
                notes: Vec::new(),
            })
        };
        let now = TransactionTime { wall_ms: now_ms(), skew_ms: None, clock_wrong: false };
        let mut done = self.ledger.process(vec![job()], now, Epoch(9));
        if done.unreadable {
            self.remade += 1;
            self.make_anew()?;
            done = self.ledger.process(vec![job()], now, Epoch(10));
        }
        done.failure.map_or(Ok(()), Err)
    }
}

impl Gates {
    fn make_anew(&mut self) -> Result<Remade, String> {
        rebuild::make_anew_meanwhile(&mut self.ledger, self.directory.path(), now_ms(), false, &mut |_, _| {}).unwrap()
    }
}

/// Two minutes after the events, which were written by the machine's clock a moment ago.
fn now_ms() -> i64 {
    Clock::machine().now_ms() + 120_000
}

/// Each value of each table, on a disk that changes some: the start, and each gate after it, goes on.
#[test]
fn whatever_value_cannot_be_read_gates_open_and_what_is_made_from_the_events_is_made_anew() {
    let central = full_central();
    let mut made_anew = BTreeMap::<String, BTreeSet<String>>::new();
    let columns: Vec<(String, String)> = {
        let database = rusqlite::Connection::open(central.database()).unwrap();
        let find = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c \
                    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'";
        let mut found = database.prepare(find).unwrap();
        found.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert!(columns.len() > 100, "{columns:?}");
    for (table, column) in &columns {
        for kind in KINDS {
            // Memory, where there is such a place: a disk is synced a few times for each of some 700 of them.
            let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
            let database = scratch.path().join("central.db");
            fs::copy(central.database(), &database).unwrap();
            if !harm(&database, table, column, kind) {
                continue;
            }
            let what = format!("{table}.{column} = {kind}");
            let gates = std::panic::catch_unwind(|| {
                let mut gates = Gates::open(scratch.path());
                INSIDE.iter().for_each(|plate| gates.press(plate, Direction::Exit));
                gates.press(LEFT, Direction::Entry);
                gates.press("59A00001", Direction::Entry);
                gates
            });
            let gates = gates.unwrap_or_else(|_| panic!("{what}"));
            if gates.remade > 0 {
                made_anew.entry(table.clone()).or_default().insert(column.clone());
            }
            // Of what is still readable, though another value, no start can know.
            if KINDS.iter().position(|known| *known == kind) < Some(2) && !KEPT.contains(&table.as_str()) {
                assert_eq!(
                    gates.ledger.inside().len(),
                    2,
                    "{what}: who left, left, and the two that came in are inside"
                );
            }
        }
    }
    for (table, column) in [
        ("history", "plate_id"),
        ("history", "edge_id"),
        ("history", "status"),
        ("history", "entry_event"),
        ("setting", "value"),
        ("setting", "hlc"),
        ("ledger", "digest"),
        ("ledger", "next_history_id"),
        ("ledger", "rules"),
    ] {
        assert!(
            made_anew.get(table).is_some_and(|columns| columns.contains(column)),
            "{table}.{column}: {made_anew:?}"
        );
    }
    assert!(KEPT.iter().all(|table| *table == "log" || !made_anew.contains_key(*table)), "{made_anew:?}");
}

/// Each page of the file, of a disk that forgot what was on it: a start, and each gate after it, goes on, and a restart at most helps where
/// events are on it. Without the first page, the list of tables or the root of the events there is nothing to go on with.
#[test]
fn whatever_page_is_zeroed_gates_open_and_what_was_lost_is_told() {
    let central = full_central();
    let whole = fs::read(central.database()).unwrap();
    let pages = whole.len() / 4_096;
    assert!(pages > 40, "{pages}");
    let mut outcomes = BTreeMap::<&str, usize>::new();
    for page in 0..pages {
        let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = scratch.path().join("central.db");
        let mut damaged = whole.clone();
        damaged[page * 4_096..][..4_096].fill(0);
        fs::write(&path, &damaged).unwrap();
        let mut gates = match Gates::try_open(scratch.path()) {
            Ok(gates) => gates,
            Err(error) => {
                assert!(error.to_string().contains("put back a backup") || page == 0, "page {page}: {error}");
                assert!(!scratch.path().join("central.db.damaged").exists(), "page {page}");
                *outcomes.entry("refused").or_default() += 1;
                continue;
            }
        };
        let presses = INSIDE.map(|plate| (plate, Direction::Exit));
        for (plate, direction) in presses.into_iter().chain([LEFT, "59A00001"].map(|plate| (plate, Direction::Entry))) {
            if gates.try_press(plate, direction).is_err() {
                gates.ledger.storage_mut().make_anew_at_next_start().unwrap();
                drop(gates);
                gates = Gates::open(scratch.path());
                *outcomes.entry("restarted").or_default() += 1;
                gates.press(plate, direction);
            }
        }
        let anew = scratch.path().join("central.db.damaged").exists();
        let outcome = match gates.ledger.storage().missed().told() {
            Some(told) => {
                assert!(anew, "page {page}: {told}");
                "told"
            }
            None => {
                assert_eq!(
                    gates.ledger.inside().len(),
                    2,
                    "page {page}: who left, left, and the two that came in are inside"
                );
                if anew { "anew" } else { "unnoticed" }
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
        drop(gates);
        Gates::open(scratch.path()).press("59A00002", Direction::Entry);
    }
    assert!(outcomes["anew"] > 10 && outcomes["told"] >= 1 && outcomes["refused"] < 6, "{outcomes:?}");
}

/// A page of an index that no start looks at: the gate that meets it is answered 503, a new file is written, and all go on with that.
#[test]
fn a_gate_that_meets_a_broken_page_opens_again_by_itself_on_a_new_file() {
    let mut central = full_central();
    let page: i64 = {
        let database = rusqlite::Connection::open(central.database()).unwrap();
        let find = "SELECT rootpage FROM sqlite_schema WHERE name = 'history_plate'";
        database.query_row(find, (), |row| row.get(0)).unwrap()
    };
    let file = fs::OpenOptions::new().write(true).open(central.database()).unwrap();
    file.write_all_at(&[0; 4_096], (page.unsigned_abs() - 1) * 4_096).unwrap();
    central.start();
    let exit = json!({"edge_id": "edge-2", "plate_id": LEFT, "direction": "EXIT", "force": true, "fee": 5_000, "request_id": "x"});
    eventually("it opens", DEADLINE, || central.http.open(&exit).is_success());
    eventually("it is told", DEADLINE, || {
        notice_of(&central, "database").is_some_and(|told| told.contains("central.db.damaged"))
    });
    assert_eq!(central.http.stats()["vehicles_in_parking"], 3);
    central.http.enter("edge-1", "59A00001");
    assert_eq!(central.http.rows_of("59A00001").len(), 1, "pages show what is in the new file");
    central.kill9();
    central.start();
    assert_eq!(central.http.stats()["vehicles_in_parking"], 4);
    assert!(notice_of(&central, "leftover").is_some_and(|told| told.contains("central.db.damaged")));
    central.terminate();
    let verified = central.subcommand("verify").output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// The page that every event would be written to: no gate opens until that is done without it, and then all do.
#[test]
fn gates_that_a_broken_page_of_the_events_shuts_open_again_by_themselves() {
    let mut central = full_central();
    let whole = fs::read(central.database()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let can_read = |order: &str| {
        let database = rusqlite::Connection::open(scratch.path().join("central.db")).unwrap();
        database.query_row(&format!("SELECT bytes FROM event ORDER BY id {order} LIMIT 1"), (), |_| Ok(())).is_ok()
    };
    let without = |page: usize| {
        let mut damaged = whole.clone();
        damaged[page * 4_096..][..4_096].fill(0);
        damaged
    };
    let last = (1..whole.len() / 4_096).find(|page| {
        fs::write(scratch.path().join("central.db"), without(*page)).unwrap();
        can_read("ASC") && !can_read("DESC")
    });
    fs::write(central.database(), without(last.unwrap())).unwrap();
    central.start();
    let enter = json!({"edge_id": "edge-1", "plate_id": "59A00001", "direction": "ENTRY", "request_id": "y"});
    eventually("it opens", DEADLINE, || central.http.open(&enter).is_success());
    eventually("it is told", DEADLINE, || central.http.get("/api/status").ok().text.contains("of the log central-1/"));
    assert!(central.data_directory().join("central.db.damaged").exists());
    assert_eq!(central.http.rows_of("59A00001").len(), 1);
}

/// What the log says of itself, and events that were changed: named, with their log and number.
#[test]
fn what_is_not_as_it_was_written_is_told_with_its_log_and_number() {
    for (sql, says) in [
        ("UPDATE log SET head = head + 7", "the name or the end of the log central-1/"),
        ("UPDATE log SET head = head - 1", "the name or the end of the log central-1/"),
        ("UPDATE log SET hash = zeroblob(32)", "the name or the end of the log central-1/"),
        (
            "UPDATE event SET bytes = replace(bytes, '29A12342', '29A12349') WHERE bytes LIKE '%29A12342%'",
            "event 5 of the log central-1/",
        ),
        ("UPDATE event SET hash = zeroblob(32) WHERE id & 0xff = 3", "event 3 of the log central-1/"),
        ("DELETE FROM event WHERE id & 0xff IN (5, 6)", "events 5 to 6 of the log central-1/"),
    ] {
        let mut central = full_central();
        rusqlite::Connection::open(central.database()).unwrap().execute(sql, ()).unwrap();
        central.start();
        eventually("it is told", DEADLINE, || notice_of(&central, "database").is_some_and(|told| told.contains(says)));
        assert!(central.log().contains("event=event_unreadable"), "{sql}");
        central.http.enter("edge-1", "59A00001");
        central.terminate();
    }
}

/// One car that waits is less than gates that cannot open.
#[test]
fn a_central_that_runs_empties_nothing_while_an_event_cannot_be_read() {
    let scratch = tempfile::tempdir().unwrap();
    let mut gates = Gates::open(scratch.path());
    (0..800).for_each(|number| gates.press(&format!("51G{number:05}"), Direction::Entry));
    let database = scratch.path().join("central.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
    // A page of the events that is not read with the first of them.
    let whole = fs::read(&database).unwrap();
    let holds_events = |page: &[u8]| page[0] == 0x0d && page.windows(21).any(|word| word == b"VEHICLE_ENTRY_PENDING");
    let pages: Vec<usize> =
        (0..whole.len() / 4_096).filter(|page| holds_events(&whole[page * 4_096..][..4_096])).collect();
    let page = pages[pages.len() - 3];
    let file = fs::OpenOptions::new().write(true).open(&database).unwrap();
    file.write_all_at(&[0; 4_096], 4_096 * page as u64).unwrap();
    let told = gates.make_anew().unwrap_err();
    assert!(told.contains("is damaged"), "{told}");
    let rows: i64 = connection.query_row("SELECT count(*) FROM history", (), |row| row.get(0)).unwrap();
    assert_eq!((rows, gates.ledger.inside().len()), (800, 800));
    gates.press("59A00001", Direction::Entry);
}

fn notice_of(central: &Central, code: &str) -> Option<String> {
    // While all is made anew, or cannot be read, it has no sums to show.
    let status = Some(central.http.get("/api/status")).filter(|reply| reply.is_success())?.body;
    let notices = status["central"]["notices"].as_array().unwrap().clone();
    let found = notices.iter().find(|notice| notice["code"] == code)?;
    Some(found["reason"].as_str().unwrap().to_owned())
}

#[test]
fn a_start_on_a_value_that_cannot_be_read_makes_all_anew_and_says_so() {
    for sql in [
        "UPDATE history SET edge_id = CAST(x'65C3' AS TEXT) WHERE plate_id = '29A12341'",
        "DELETE FROM ledger",
        "UPDATE setting SET value = '{' WHERE kind = 'tariff'",
        "UPDATE setting SET value = '{}' WHERE kind = 'tariff'",
        "UPDATE setting SET value = '[1]' WHERE kind = 'tariff'",
        "UPDATE setting SET value = replace(value, '30000', '3000') WHERE kind = 'tariff'",
        "UPDATE setting SET event = event + 1000 WHERE kind = 'tariff'",
        "UPDATE setting SET hlc = hlc - 1 WHERE kind = 'tariff'",
    ] {
        let mut central = full_central();
        let tariff =
            |central: &Central| central.http.get("/api/parking/fees").ok().body["fees"]["fee_per_hour"].clone();
        rusqlite::Connection::open(central.database()).unwrap().execute(sql, ()).unwrap();
        central.start();
        assert_eq!(central.http.stats()["vehicles_in_parking"], 3, "{sql}");
        assert_eq!(tariff(&central), 30_000, "{sql}");
        central.http.leave("edge-2", "29A12341");
        let told = notice_of(&central, "database").unwrap_or_else(|| panic!("{sql}: {}", central.log()));
        assert!(told.contains("cannot be read") && told.contains("events"), "{told}");
        assert!(told.contains("the tariff in force is central-1/"), "{told}");
        for line in ["event=history_unreadable", "event=history_remade"] {
            assert!(central.log().contains(line), "{sql}: {}", central.log());
        }
        central.terminate();
        let verified = central.subcommand("verify").output().unwrap();
        assert!(verified.status.success(), "{sql}: {}", String::from_utf8_lossy(&verified.stdout));
        central.start();
        assert_eq!(notice_of(&central, "database"), None, "it is over");
    }
}

/// Where the event is the damaged one, what it set is the last good price there is: it stays in force, also when all else is made anew.
#[test]
fn prices_whose_event_is_damaged_stay_in_force_and_that_is_told() {
    let of_tariff = "(SELECT event FROM setting WHERE kind = 'tariff')";
    for (sql, is_made_anew) in [
        (format!("UPDATE event SET bytes = CAST(x'65C3' AS TEXT) WHERE id = {of_tariff}"), false),
        (format!("UPDATE event SET bytes = replace(bytes, '30000', '3000') WHERE id = {of_tariff}"), false),
        (format!("UPDATE event SET bytes = '{{}}' WHERE id = {of_tariff}; DELETE FROM ledger"), true),
        (
            format!(
                "UPDATE event SET bytes = replace(bytes, '30000', '3000') WHERE id = {of_tariff}; DELETE FROM ledger"
            ),
            true,
        ),
    ] {
        let mut central = full_central();
        rusqlite::Connection::open(central.database()).unwrap().execute_batch(&sql).unwrap();
        for _ in 0..2 {
            central.start();
            let fees = central.http.get("/api/parking/fees").ok().body;
            assert_eq!(fees["fees"]["fee_per_hour"], 30_000, "{sql}: {}", central.log());
            assert_eq!(central.log().contains("event=history_remade"), is_made_anew, "{sql}: {}", central.log());
            eventually("it is told", DEADLINE, || {
                let status = central.http.get("/api/status").ok().text;
                status.contains("by which tariff central-1/")
            });
            assert!(central.terminate().0.success());
        }
    }
}

#[test]
fn a_gate_that_meets_a_value_that_cannot_be_read_opens_again_by_itself() {
    let mut central = full_central();
    central.start();
    let damage = format!("UPDATE history SET anomalies = CAST(x'65C3' AS TEXT) WHERE plate_id = '{LEFT}'");
    rusqlite::Connection::open(central.database()).unwrap().execute(&damage, ()).unwrap();
    let exit = json!({"edge_id": "edge-2", "plate_id": LEFT, "direction": "EXIT", "force": true, "fee": 5_000, "request_id": "x"});
    let leave = || central.http.open(&exit);
    assert_eq!(leave().status, 503, "this once");
    eventually("it opens", DEADLINE, || leave().is_success());
    eventually("it is ready", DEADLINE, || central.http.get("/readyz").is_success());
    eventually("it is told", DEADLINE, || notice_of(&central, "database").is_some());
    assert_eq!(central.http.stats()["vehicles_in_parking"], 3);
    central.terminate();
    let verified = central.subcommand("verify").output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn a_page_that_meets_a_value_that_cannot_be_read_is_shown_again_by_itself_and_if_that_was_lately_after_a_restart() {
    let mut central = full_central();
    central.start();
    let harm = || {
        let damage = format!("UPDATE history SET plate_view = CAST(x'65C3' AS TEXT) WHERE plate_id = '{LEFT}'");
        rusqlite::Connection::open(central.database()).unwrap().execute(&damage, ()).unwrap();
    };
    let page = |central: &Central| central.http.get("/api/parking/history").status;
    harm();
    assert_eq!(page(&central), 500);
    eventually("it is shown", DEADLINE, || page(&central) == 200);
    eventually("it is ready", DEADLINE, || central.http.get("/readyz").is_success());
    eventually("it is told", DEADLINE, || notice_of(&central, "database").is_some());
    // What is damaged again and again is not made anew again and again.
    harm();
    assert_eq!(page(&central), 500);
    eventually("what to do is told", DEADLINE, || {
        notice_of(&central, "database").is_some_and(|told| told.contains("restart"))
    });
    central.http.enter("edge-1", "59A00001");
    assert_eq!(page(&central), 500, "gates go on, and do not wait for it");
    central.terminate();
    central.start();
    assert_eq!(central.http.rows_of(LEFT).len(), 1);
    assert!(central.log().contains("event=history_remade"));
}

/// Met by a page a moment before the stop, and never by the writer.
#[test]
fn what_was_found_damaged_just_before_a_stop_is_made_anew_by_the_next_start() {
    let mut central = full_central();
    central.start();
    let damage = format!("UPDATE history SET plate_view = CAST(x'65C3' AS TEXT) WHERE plate_id = '{LEFT}'");
    rusqlite::Connection::open(central.database()).unwrap().execute(&damage, ()).unwrap();
    assert_eq!(central.http.get("/api/parking/history").status, 500);
    central.terminate();
    central.start();
    assert_eq!(central.http.rows_of(LEFT).len(), 1);
    assert!(central.log().contains("event=history_remade"), "{}", central.log());
}

/// A sum takes what is no number for nothing, and what is looked for by time is not found: found by looking through the tables.
#[test]
fn a_value_of_another_kind_than_its_table_has_is_found_and_the_sums_are_right_again() {
    for (table, column) in [("taking", "fee"), ("taking", "exit_ms"), ("quarter_total", "revenue")] {
        let mut central = full_central();
        assert!(harm(&central.database(), table, column, "'no value'"), "{table}.{column}");
        central.start();
        eventually("it is told", DEADLINE, || {
            notice_of(&central, "database").is_some_and(|told| told.contains("cannot be read"))
        });
        eventually("the sums are right", DEADLINE, || {
            let today = central.http.get("/api/stats");
            today.is_success() && today.body["revenue_today"] == 40_000
        });
        central.terminate();
        let verified = central.subcommand("verify").output().unwrap();
        assert!(verified.status.success(), "{table}.{column}: {}", String::from_utf8_lossy(&verified.stdout));
    }
}

#[test]
fn an_event_that_cannot_be_read_stops_no_gate() {
    let mut central = full_central();
    let entry = format!("(SELECT entry_event FROM history WHERE plate_id = '{LEFT}')");
    for sql in [
        format!("UPDATE event SET bytes = CAST(x'65C3' AS TEXT) WHERE id = {entry}"),
        "UPDATE history SET plate_view = CAST(x'65C3' AS TEXT)".to_owned(),
    ] {
        rusqlite::Connection::open(central.database()).unwrap().execute(&sql, ()).unwrap();
    }
    central.start();
    assert_eq!(central.http.stats()["vehicles_in_parking"], 3, "what can be read is all there");
    eventually("what was left out is told", DEADLINE, || {
        notice_of(&central, "database").is_some_and(|told| told.contains("1 of 12 events"))
            || central.log().contains("1 of 12 events")
    });
    for plate in INSIDE {
        central.http.leave("edge-2", plate);
    }
    central.http.enter("edge-1", LEFT);
    central.terminate();
    let verified = central.subcommand("verify").output().unwrap();
    let said = String::from_utf8_lossy(&verified.stdout);
    assert!(!verified.status.success() && said.contains("cannot be read"), "{said}");
}

#[test]
fn what_a_rescue_left_is_told_at_each_start_until_it_is_removed() {
    let mut central = full_central();
    let left = ["central.db.rescued", "central.db-wal.foreign-2"].map(|name| central.data_directory().join(name));
    for file in &left {
        fs::write(file, "x").unwrap();
    }
    for _ in 0..2 {
        central.start();
        let status = central.http.get("/api/status").ok().text;
        for file in &left {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(status.contains(name), "{status}");
            assert!(central.log().contains(&format!("event=leftover file={}", file.display())), "{}", central.log());
        }
        assert!(notice_of(&central, "leftover").is_some_and(|told| told.contains("remove")));
        central.terminate();
    }
    for file in left {
        fs::remove_file(file).unwrap();
    }
    central.start();
    assert_eq!(notice_of(&central, "leftover"), None);
}
