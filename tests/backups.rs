//! `parkmesh backup` and `restore`, and the daily backup, with real centrals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Central, DEADLINE};
use parkmesh::domain::ids::{CentralId, hex};
use parkmesh::domain::time::SiteZone;
use parkmesh::maintenance::RebuildFor;
use parkmesh::maintenance::backup::{self, Parts, StoredBackup};
use parkmesh::ops::clock::{CLOCK_VARIABLE, Clock};
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const EXIT_STORAGE: i32 = 74;
const DAY_MS: i64 = 86_400_000;
const PASSPHRASE: &str = "correct horse battery staple";

/// One that serves, with some cars.
fn with_cars(count: u32) -> Central {
    let central = Central::standalone("central-1");
    for number in 0..count {
        central.http.enter("edge-1", &format!("29A{number:05}"));
    }
    central
}

fn told(output: &Output) -> (i32, String) {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    (output.status.code().unwrap_or(-1), text)
}

fn run(central: &Central, command: &str, arguments: &[&str]) -> (i32, String) {
    told(&central.subcommand(command).args(arguments).output().unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Made by the command; its file.
fn back_up(central: &Central, to: &Path, arguments: &[&str]) -> PathBuf {
    let (code, said) = run(central, "backup", &[&["--to", text(to)], arguments].concat());
    assert!(code == 0 && said.contains("OK"), "{said}");
    said.lines().rfind(|line| line.starts_with('/')).unwrap().into()
}

fn all_in(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// Its directory and settings are gone, as on a new machine.
fn lose(central: &mut Central) {
    central.kill9();
    let _ = fs::remove_dir_all(central.data_directory());
    let _ = fs::remove_file(central.config_file());
}

fn scratch(central: &Central) -> PathBuf {
    central.data_directory().join("backup-scratch")
}

fn digest(central: &Central) -> Value {
    central.http.p2p_status()["digest"].clone()
}

/// A gate works all the while; the file is that central as it was at one moment: its key, people, settings and cars.
#[test]
fn a_backup_of_a_busy_central_is_one_file_and_is_put_back() {
    let mut central = with_cars(30);
    let to = central.directory().join("backups");
    let is_over = AtomicBool::new(false);
    let file = std::thread::scope(|scope| {
        let (http, is_over) = (central.http.clone(), &is_over);
        let gate = scope.spawn(move || {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                http.enter("edge-2", &format!("30B{number:05}"));
                number += 1;
            }
            number
        });
        let file = back_up(&central, &to, &[]);
        is_over.store(true, Ordering::Relaxed);
        assert!(gate.join().unwrap() > 0);
        file
    });
    assert_eq!(all_in(&to), std::slice::from_ref(&file), "one file, and nothing beside it");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(file.file_name().unwrap().to_str().unwrap().starts_with("central-1_20"), "{file:?}");
    assert!(!scratch(&central).exists());
    let backup = StoredBackup::at(&file).unwrap();
    let proof = backup.proof().unwrap().clone();
    assert!(!backup.is_sealed() && proof.events >= 30);
    let identity = fs::read(central.data_directory().join("identity.pem")).unwrap();

    let (code, said) = run(&central, "restore", &[text(&file)]);
    assert!(code == EXIT_STORAGE && said.contains("in use"), "{said}");
    central.terminate();
    let (code, said) = run(&central, "restore", &[text(&file)]);
    assert!(code == EXIT_STORAGE && said.contains("empty data directory"), "{said}");
    lose(&mut central);
    let (code, said) = run(&central, "restore", &[text(&file)]);
    assert!(code == 0 && said.contains("from the backup as well"), "{said}");
    assert_eq!(fs::read(central.data_directory().join("identity.pem")).unwrap(), identity);
    let (code, said) = run(&central, "verify", &[]);
    assert!(code == 0 && said.contains(&proof.digest), "{said}");
    central.start();
    assert_eq!(digest(&central), json!(proof.digest), "as it was at that moment");
}

#[test]
fn an_encrypted_backup_is_opened_by_its_passphrase_alone() {
    let mut central = with_cars(5);
    let to = central.directory().join("backups");
    let (secret, wrong) = (central.directory().join("secret"), central.directory().join("wrong"));
    fs::write(&secret, format!("{PASSPHRASE}\nsecond line\n")).unwrap();
    fs::write(&wrong, "another one altogether").unwrap();
    fs::write(central.directory().join("short"), "too short\n").unwrap();
    for (file, why) in [("short", "shorter than 12"), ("missing", "cannot be read")] {
        let arguments = ["--to", text(&to), "--passphrase-file", file];
        let (code, said) = run(&central, "backup", &arguments);
        assert!(code == EXIT_STORAGE && said.contains(why) && all_in(&to).is_empty(), "{said}");
    }
    let plain = back_up(&central, &to, &[]);
    let sealed = back_up(&central, &to, &["--passphrase-file", text(&secret)]);
    assert!(StoredBackup::at(&sealed).unwrap().is_sealed());
    let bytes = fs::read(&sealed).unwrap();
    let holds = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
    assert!(holds(b"\nage-encryption.org/v1\n-> scrypt ") || holds(b"age-encryption.org/v1\n-> scrypt "));
    // The same files are in both, and of the one nothing can be read but what it says of itself.
    assert!(holds(b"central-1") && !holds(&[0x28, 0xb5, 0x2f, 0xfd]), "no zstd frame in clear");

    let at_backup = digest(&central);
    lose(&mut central);
    let nothing = |central: &Central| !central.data_directory().exists() && !central.config_file().exists();
    let mut typed =
        central.subcommand("restore").arg(&sealed).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    typed.stdin.take().unwrap().write_all(b"another one altogether\n").unwrap();
    assert_eq!(typed.wait_with_output().unwrap().status.code(), Some(EXIT_STORAGE));
    for (arguments, why) in [
        (vec![text(&sealed)], "does not open"),
        (vec![text(&sealed), "--passphrase-file", text(&wrong)], "does not open"),
        (vec![text(&sealed), "--passphrase-file", "missing"], "cannot be read"),
        (vec![text(&plain), "--passphrase-file", text(&secret)], "is not encrypted"),
    ] {
        let (code, said) = run(&central, "restore", &arguments);
        assert!(code == EXIT_STORAGE && said.contains(why), "{said}");
        assert!(nothing(&central), "nothing was changed: {arguments:?}");
    }
    let mut typed =
        central.subcommand("restore").arg(&sealed).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    typed.stdin.take().unwrap().write_all(format!("{PASSPHRASE}\n").as_bytes()).unwrap();
    let (code, said) = told(&typed.wait_with_output().unwrap());
    assert_eq!(code, 0, "{said}");
    central.start();
    assert_eq!(digest(&central), at_backup);
    lose(&mut central);
    let (code, said) = run(&central, "restore", &[text(&sealed), "--passphrase-file", text(&secret)]);
    assert_eq!(code, 0, "{said}");
    central.start();
    assert_eq!(digest(&central), at_backup);
}

/// Cut off, a bit turned, or the data of another backup in it: told of, and nothing is put back.
#[test]
fn of_a_damaged_backup_nothing_is_put_back() {
    let mut central = with_cars(5);
    let to = central.directory().join("backups");
    let secret = central.directory().join("secret");
    fs::write(&secret, PASSPHRASE).unwrap();
    let with_secret = ["--passphrase-file", text(&secret)];
    let first = [back_up(&central, &to, &[]), back_up(&central, &to, &with_secret)];
    central.http.enter("edge-1", "51G99999");
    let second = [back_up(&central, &to, &[]), back_up(&central, &to, &with_secret)];
    lose(&mut central);
    let bad = central.directory().join("bad.tar");
    let mut checked = 0;
    let mut refused = |bytes: &[u8], passphrase: &[&str], what: &str| {
        fs::write(&bad, bytes).unwrap();
        let found = StoredBackup::at(&bad).and_then(|backup| backup.holds());
        assert!(found.is_err(), "{what}");
        // A process for each would take long.
        if checked % 8 == 0 {
            let (code, said) = run(&central, "restore", &[&[text(&bad)], passphrase].concat());
            assert_eq!(code, EXIT_STORAGE, "{what}: {said}");
            assert!(said.contains("use another backup") || said.contains("is no backup"), "{what}: {said}");
            assert!(!central.data_directory().exists() && !central.config_file().exists(), "{what}");
        }
        checked += 1;
    };
    for (first, second, passphrase) in [(&first[0], &second[0], &[][..]), (&first[1], &second[1], &with_secret[..])] {
        let whole = fs::read(first).unwrap();
        for length in (0..whole.len() - 2_048).step_by(whole.len() / 40) {
            refused(&whole[..length], passphrase, &format!("cut off at {length}"));
        }
        let (proof_at, data_at) = (512, 512 * (2 + (member(&whole, 0).1.len().div_ceil(512))));
        let data = data_at..data_at + member(&whole, 1).1.len();
        let in_data = data.clone().step_by(data.len() / 40);
        for at in (proof_at..proof_at + 100).step_by(9).chain(in_data).chain([data.end - 1]) {
            let mut turned = whole.clone();
            turned[at] ^= 1;
            refused(&turned, passphrase, &format!("turned at {at}"));
        }
        // What one says of itself around what another holds.
        let other = fs::read(second).unwrap();
        let mut swapped = tar::Builder::new(Vec::new());
        for (name, bytes) in [member(&whole, 0), member(&other, 1), member(&whole, 2)] {
            append(&mut swapped, &name, &bytes);
        }
        refused(&swapped.into_inner().unwrap(), passphrase, "swapped");
    }
    // Even where somebody made the sums anew: what is inside says whose and of when it is.
    let [whole, other] = [&first[1], &second[1]].map(|file| fs::read(file).unwrap());
    let (said, data) = (member(&whole, 0), member(&other, 1));
    let sum = |bytes: &[u8]| hex(&Sha256::digest(bytes));
    let sums = format!("{}  {}\n{}  {}\n", sum(&said.1), said.0, sum(&data.1), data.0);
    let mut forged = tar::Builder::new(Vec::new());
    for (name, bytes) in [said, data, ("SHA256SUMS".to_owned(), sums.into_bytes())] {
        append(&mut forged, &name, &bytes);
    }
    fs::write(&bad, forged.into_inner().unwrap()).unwrap();
    let (code, said) = run(&central, "restore", &[&[text(&bad)], &with_secret[..]].concat());
    assert!(code == EXIT_STORAGE && said.contains("is not what it was"), "{said}");
    assert!(!central.database().exists() && !central.config_file().exists());
}

/// Name and contents of a member of an archive.
fn member(archive: &[u8], number: usize) -> (String, Vec<u8>) {
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries().unwrap().nth(number).unwrap().unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
    (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
}

fn append(archive: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes).unwrap();
}

/// At twelve moments of the making: what is there is whole or does not count, and the next one leaves nothing of it.
#[test]
fn a_backup_that_was_killed_counts_for_nothing_and_is_cleared_away() {
    let mut central = with_cars(40);
    let to = central.directory().join("backups");
    let begun = Instant::now();
    let whole = back_up(&central, &to, &[]);
    let took = begun.elapsed();
    for part in 1..=12 {
        let mut made = central
            .subcommand("backup")
            .args(["--to", text(&to)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // No condition is waited for: any moment is as good.
        std::thread::sleep(took * part / 13);
        made.kill().unwrap();
        made.wait().unwrap();
        for path in all_in(&to).iter().filter(|path| !text(path).ends_with(".partial")) {
            StoredBackup::at(path).and_then(|backup| backup.holds()).unwrap();
        }
    }
    // As one leaves it that was killed while it wrote: the daily one, another central's, and somebody's own file.
    let bytes = fs::read(&whole).unwrap();
    let (ours, theirs) =
        (to.join("central-1_2026-11-28_030000412.tar.partial"), "central-1_b_2026-11-28_030000412.tar.partial");
    let kept = [to.join(theirs), to.join("central-1_notes.partial")];
    for path in kept.iter().chain([&ours]) {
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }
    fs::create_dir_all(scratch(&central).join("verify-scratch")).unwrap();
    fs::write(scratch(&central).join("central.db"), "half").unwrap();
    back_up(&central, &to, &[]);
    let is_left = |path: &PathBuf| text(path).ends_with(".partial") && !kept.contains(path);
    assert!(!all_in(&to).iter().any(is_left), "{:?}", all_in(&to));
    assert!(kept.iter().all(|path| path.exists()) && !scratch(&central).exists());
    // A start clears away, too: it does not wait for the next night.
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": to}})).ok();
    backup_state(&central, "a look", |backup| backup["proven_ms"].is_i64() && backup["running"] == false);
    central.kill9();
    fs::create_dir(scratch(&central)).unwrap();
    fs::write(scratch(&central).join("central.db"), "half").unwrap();
    fs::write(&ours, "half").unwrap();
    central.start();
    common::eventually("a clear start", DEADLINE, || !ours.exists() && !scratch(&central).exists());
}

/// Two at a time would take each other's place: one by hand is refused, and the daily one waits, for one that may be that day's.
#[test]
fn one_backup_at_a_time_is_made() {
    let mut central = with_cars(1);
    let [elsewhere, to] = ["elsewhere", "backups"].map(|name| central.directory().join(name));
    let by_hand = back_up(&central, &elsewhere, &[]);
    let held = || {
        fs::create_dir(scratch(&central)).unwrap();
        let held = fs::File::open(scratch(&central)).unwrap();
        held.lock().unwrap();
        held
    };
    let turn = held();
    let (code, said) = run(&central, "backup", &["--to", text(&to)]);
    assert!(code == EXIT_STORAGE && said.contains("another backup"), "{said}");
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": to}})).ok();
    let waits = |backup: &Value| backup["running"] == true;
    let shown = backup_state(&central, "one that waits", waits);
    assert!(shown["backup"]["failed"].is_null(), "{shown}");
    fs::create_dir_all(&to).unwrap();
    fs::rename(&by_hand, to.join(by_hand.file_name().unwrap())).unwrap();
    drop(turn);
    let is_over = |backup: &Value| backup["proven_ms"].is_i64() && backup["running"] == false;
    let shown = backup_state(&central, "that of the day", is_over);
    assert!(shown["backup"]["failed"].is_null() && shown["notices"] == json!([]), "{shown}");
    assert_eq!(all_in(&to).len(), 1, "one by hand is that of the day: {:?}", all_in(&to));

    let turn = held();
    assert_eq!(central.http.post("/api/backup", &json!({})).status, 202);
    backup_state(&central, "one that waits", waits);
    // As whoever made one leaves it: without its directory.
    fs::remove_dir(scratch(&central)).unwrap();
    drop(turn);
    let before = shown["backup"]["proven_ms"].as_i64();
    let is_new = |backup: &Value| backup["proven_ms"].as_i64() > before && backup["running"] == false;
    let shown = backup_state(&central, "the one that was asked for", is_new);
    assert!(shown["backup"]["failed"].is_null() && !scratch(&central).exists(), "{shown}");
    central.terminate();
    assert_eq!(run(&central, "verify", &[]).0, 0);
}

/// What only the write-ahead log holds needs room, too.
#[test]
fn the_room_for_a_backup_is_that_of_all_that_was_committed() {
    let central = with_cars(40);
    let log = fs::metadata(central.database().with_extension("db-wal")).unwrap().len();
    let in_file = fs::metadata(central.database()).unwrap().len();
    let all = parkmesh::store::Reader::open(&central.data_directory()).unwrap().bytes().unwrap();
    assert!(log > 0 && all > in_file, "{all} bytes in all, {in_file} of them in the database, {log} of log");
}

/// No room, and a disk that fills while it is made: nothing is left, and gates go on.
#[test]
fn where_there_is_no_room_nothing_is_left_behind() {
    let central = with_cars(20);
    let to = central.directory().join("backups");
    for blocks in [8, 64, 256] {
        // As a full disk refuses, without needing one: no file may be longer.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let made = central.subcommand("backup");
        let mut limited = Command::new("sh");
        limited.args(["-c", &script, "sh"]).arg(made.get_program()).args(made.get_args()).args(["--to", text(&to)]);
        let (code, said) = told(&limited.output().unwrap());
        assert_eq!(code, EXIT_STORAGE, "{said}");
        assert!(all_in(&to).is_empty() && !scratch(&central).exists(), "{:?}", all_in(&to));
    }
    let mut parts = Parts::of_central(central.data_directory(), central.config_file());
    parts.leave_free_bytes = u64::MAX / 2;
    let site = RebuildFor { central: CentralId::new("central-1").unwrap(), zone: SiteZone::default() };
    let now_ms = Clock::machine().now_ms();
    let try_one = |parts: &Parts| {
        let turn = backup::BackupTurn::take(&parts.data_dir).unwrap();
        backup::back_up(turn, parts, &to, None, &site, now_ms, &mut |_, _| {})
    };
    let refused = try_one(&parts).unwrap_err().to_string();
    assert!(refused.contains("MB free, and a backup needs"), "{refused}");
    assert!(all_in(&to).is_empty() && !scratch(&central).exists());
    central.http.enter("edge-1", "51G99999");
}

#[test]
fn a_backup_of_a_damaged_central_says_so_and_is_not_kept() {
    let mut central = with_cars(3);
    central.terminate();
    let change = "DELETE FROM history WHERE plate_id = '29A00001'";
    assert_eq!(Connection::open(central.database()).unwrap().execute(change, ()).unwrap(), 1);
    let to = central.directory().join("backups");
    let (code, said) = run(&central, "backup", &["--to", text(&to)]);
    assert!(code == EXIT_STORAGE && said.contains("not whole") && said.contains("parkmesh verify"), "{said}");
    assert!(all_in(&to).is_empty() && !scratch(&central).exists());
    let (code, said) = run(&central, "restore", &["nowhere"]);
    assert!(code == EXIT_STORAGE && said.contains("nowhere cannot be read"), "{said}");
    fs::write(central.directory().join("something"), "else").unwrap();
    let (code, said) = run(&central, "restore", &["something"]);
    assert!(code == EXIT_STORAGE && said.contains("is no backup"), "{said}");
}

/// A directory, as versions before made backups: `made_ms` and the hashes of its files in `proven.json`.
fn old_backup(central: &Central, to: &Path, made_ms: i64) {
    fs::create_dir_all(to).unwrap();
    let database = Connection::open(central.database()).unwrap();
    database.execute("VACUUM INTO ?1", [text(&to.join("central.db"))]).unwrap();
    fs::copy(central.data_directory().join("identity.pem"), to.join("identity.pem")).unwrap();
    fs::copy(central.config_file(), to.join("p2p_config.json")).unwrap();
    let sum = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, hex(&Sha256::digest(fs::read(&path).unwrap())))
    };
    let files: BTreeMap<String, String> = all_in(to).into_iter().map(sum).collect();
    let proof = json!({"central": "central-1", "made_ms": made_ms, "events": 1, "digest": "0", "files": files});
    fs::write(to.join("proven.json"), proof.to_string()).unwrap();
}

#[test]
fn backups_of_versions_before_are_kept_checked_and_put_back() {
    let mut central = with_cars(3);
    let dir = central.directory().join("backups");
    let now_ms = Clock::machine().now_ms();
    let old = |days: i64| dir.join(format!("central-1_2026-11-{:02}_030000412", 20 - days));
    for days in [3, 2, 1] {
        old_backup(&central, &old(days), now_ms - days * DAY_MS);
    }
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": dir, "keep": 3}})).ok();
    let counts = |most: i64| move |backup: &Value| backup["kept"] == most && backup["running"] == false;
    let shown = backup_state(&central, "all three", counts(3));
    assert!(shown["backup"]["encrypted"] == false && shown["backup"]["failed"].is_null(), "{shown}");
    let at_backup = digest(&central);
    central.http.post("/api/backup", &json!({}));
    let is_new = |backup: &Value| backup["proven_ms"].as_i64() >= Some(now_ms) && backup["running"] == false;
    backup_state(&central, "a new one", is_new);
    assert_eq!(all_in(&dir).len(), 3, "the oldest went: {:?}", all_in(&dir));
    assert!(!old(3).exists());
    let damaged = old(1).join("central.db");
    let mut bytes = fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    central.http.post("/api/backup", &json!({}));
    let shown = backup_state(&central, "the damaged one", |backup| backup["failed"].is_string());
    assert!(shown["backup"]["failed"].as_str().unwrap().contains("is not what it was"), "{shown}");
    central.terminate();
    lose(&mut central);
    let (code, said) = run(&central, "restore", &[text(&old(1))]);
    assert!(
        code == EXIT_STORAGE && said.contains("is not what it was") && !central.data_directory().exists(),
        "{said}"
    );
    let (code, said) = run(&central, "restore", &[text(&old(2))]);
    assert_eq!(code, 0, "{said}");
    central.start();
    assert_eq!(digest(&central), at_backup);
}

/// A machine whose clock jumped ahead made one then: it is no reason to make none until that date, and takes the place of none for long.
#[test]
fn a_backup_of_a_clock_that_was_ahead_keeps_none_from_being_made() {
    let central = with_cars(3);
    let dir = central.directory().join("backups");
    let now_ms = Clock::machine().now_ms();
    let (ahead, right) = (dir.join("central-1_2031-01-05_030000412"), dir.join("central-1_2026-11-19_030000412"));
    old_backup(&central, &ahead, now_ms + 1_000 * DAY_MS);
    old_backup(&central, &right, now_ms - 2 * DAY_MS);
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": dir, "keep": 2}})).ok();
    let is_of_now = |backup: &Value| {
        let proven_ms = backup["proven_ms"].as_i64();
        proven_ms >= Some(now_ms) && proven_ms < Some(now_ms + DAY_MS) && backup["running"] == false
    };
    central.http.post("/api/backup", &json!({}));
    let shown = backup_state(&central, "one of now", is_of_now);
    assert!(shown["backup"]["failed"].is_null() && shown["backup"]["kept"] == 2, "{shown}");
    assert!(right.exists() && !ahead.exists(), "{:?}", all_in(&dir));
}

/// What `/api/status` says of the backups, once it says what is waited for.
fn backup_state(central: &Central, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let state = || central.http.get("/api/status").ok().body["central"].clone();
    common::eventually_some(what, Duration::from_secs(60), || Some(state()).filter(|central| is_so(&central["backup"])))
}

/// Asked for, made, proven, kept as many as wanted; one that was damaged is told of, and not put back.
#[test]
fn the_daily_backup_is_proven_and_a_damaged_one_is_told_of() {
    let now_ms = Clock::machine().now_ms();
    let mut central = Central::new("central-1");
    central.env(CLOCK_VARIABLE, format!("{},{now_ms},1", now_ms - 2 * DAY_MS));
    central.start();
    central.http.enter("edge-1", "29A12345");
    let refused = central.http.post("/api/backup", &json!({}));
    assert_eq!((refused.status, refused.field("code")), (409, "backup_off"), "{refused:?}");
    let dir = central.directory().join("backups");
    let http = central.http.clone();
    let put = |backup: Value| http.put("/api/p2p/config", &json!({"backup": backup}));
    for wrong in [
        json!({"dir": "beside"}),
        json!({"at": "25:00"}),
        json!({"at": 3}),
        json!({"keep": 0}),
        json!({"passphrase_file": "beside"}),
    ] {
        assert_eq!(put(wrong.clone()).status, 400, "{wrong}");
    }
    put(json!({"dir": dir, "keep": 2})).ok();
    let proven = |least_ms: i64| {
        move |backup: &Value| backup["proven_ms"].as_i64() > Some(least_ms) && backup["running"] == false
    };
    let mut last_ms = 0;
    for days in [2, 1, 0] {
        central.terminate();
        central.env(CLOCK_VARIABLE, format!("{},{now_ms},1", now_ms - days * DAY_MS));
        central.start();
        assert_eq!(central.http.post("/api/backup", &json!({})).status, 202);
        let shown = backup_state(&central, "a proven backup", proven(last_ms));
        assert!(shown["backup"]["failed"].is_null() && shown["notices"] == json!([]), "{shown}");
        assert_eq!(shown["backup"]["encrypted"], false, "{shown}");
        last_ms = shown["backup"]["proven_ms"].as_i64().unwrap();
    }
    let kept = all_in(&dir);
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(central.http.get("/metrics").text.contains(&format!("parkmesh_backup_proven {}", last_ms / 1_000)));

    // One bit, as a failing disk turns it; and one that was cut off.
    let damaged = &kept[1];
    let mut bytes = fs::read(damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(damaged, &bytes).unwrap();
    assert_eq!(central.http.post("/api/backup", &json!({})).status, 202);
    let is_over = |backup: &Value| backup["failed"].is_string() && backup["running"] == false;
    let shown = backup_state(&central, "the damaged backup", is_over);
    assert!(shown["backup"]["failed"].as_str().unwrap().contains("is not what it was"), "{shown}");
    assert_eq!(shown["notices"][0]["code"], "backup", "{shown}");
    assert!(shown["backup"]["proven_ms"].as_i64() > Some(last_ms), "the new one is there all the same: {shown}");
    assert_eq!(shown["backup"]["kept"], 2, "the damaged one counts for nothing: {shown}");
    fs::write(damaged, &bytes[..bytes.len() - 3_000]).unwrap();
    // A second one of that day takes its place, and none of another day's.
    assert_eq!(central.http.post("/api/backup", &json!({})).status, 202);
    let newer = proven(shown["backup"]["proven_ms"].as_i64().unwrap());
    let shown = backup_state(&central, "one more", newer);
    assert!(shown["backup"]["failed"].as_str().unwrap().contains("was cut off"), "{shown}");
    assert!(kept.iter().all(|path| path.exists()) && all_in(&dir).len() == 3, "{:?}", all_in(&dir));
    lose(&mut central);
    let (code, said) = run(&central, "restore", &[text(damaged)]);
    assert!(code == EXIT_STORAGE && said.contains("was cut off"), "{said}");
    let (code, said) = run(&central, "restore", &[text(&kept[0])]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(run(&central, "verify", &[]).0, 0);
}

/// What the page and the log say of the passphrase; without it no backup is made in clear.
#[test]
fn a_passphrase_that_is_missing_or_open_to_all_is_told_of() {
    let central = with_cars(3);
    let (dir, secret) = (central.directory().join("backups"), central.directory().join("secret"));
    let backup = json!({"dir": dir, "passphrase_file": secret});
    central.http.put("/api/p2p/config", &json!({"backup": backup})).ok();
    let shown = backup_state(&central, "no passphrase", |backup| backup["passphrase"].is_string());
    assert!(shown["backup"]["passphrase"].as_str().unwrap().contains("cannot be read from"), "{shown}");
    assert_eq!(shown["notices"][0]["code"], "backup", "{shown}");
    central.http.post("/api/backup", &json!({}));
    let is_over = |backup: &Value| backup["failed"].is_string() && backup["running"] == false;
    backup_state(&central, "a failure", is_over);
    assert!(all_in(&dir).is_empty());
    fs::write(&secret, PASSPHRASE).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    central.http.post("/api/backup", &json!({}));
    let is_made = |backup: &Value| backup["encrypted"] == true && backup["running"] == false;
    let shown = backup_state(&central, "a sealed one", is_made);
    assert!(shown["backup"]["passphrase"].as_str().unwrap().contains("anybody on this machine"), "{shown}");
    assert!(shown["notices"][0]["code"] == "backup" && shown["backup"]["failed"].is_null(), "{shown}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    central.http.post("/api/backup", &json!({}));
    let shown = backup_state(&central, "all is well", |backup| backup["passphrase"].is_null());
    assert_eq!(shown["notices"], json!([]), "{shown}");
    assert!(!central.log().contains(PASSPHRASE) && !shown.to_string().contains(PASSPHRASE));
}

/// A pipe, a device, and a file that claims to be longer than what lies there, where backups or the passphrase are looked for: told, and
/// neither the settings nor the mesh nor the next backup waits for them.
#[test]
fn what_is_no_file_keeps_nothing_waiting() {
    let central = with_cars(3);
    let (dir, secret) = (central.directory().join("backups"), central.directory().join("secret"));
    let made = back_up(&central, &dir, &[]);
    let named = |time: &str| dir.join(format!("central-1_2026-11-27_{time}.tar"));
    for pipe in [&secret, &named("030000412")] {
        assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    let mut claims = fs::read(&made).unwrap();
    let at = claims.windows(16).position(|name| name == b"central.tar.zst\0").unwrap();
    let (mut header, size) = (tar::Header::from_byte_slice(&claims[at..at + 512]).clone(), 1 << 40);
    header.set_size(size);
    header.set_cksum();
    claims.splice(at.., header.as_bytes().iter().copied());
    let long = named("040000412");
    fs::write(&long, &claims).unwrap();
    fs::OpenOptions::new().append(true).open(&long).unwrap().set_len(claims.len() as u64 + size).unwrap();
    let sums = fs::read(&made).unwrap();
    let sums_at = sums.windows(11).position(|name| name == b"SHA256SUMS\0").unwrap();
    fs::OpenOptions::new().append(true).open(&long).unwrap().write_all(&sums[sums_at..]).unwrap();
    for secret in [secret.as_path(), std::path::Path::new("/dev/zero")] {
        central.http.put("/api/p2p/config", &json!({"backup": {"dir": dir, "passphrase_file": secret}})).ok();
        let shown = backup_state(&central, "no passphrase", |backup| backup["passphrase"].is_string());
        assert!(shown["backup"]["passphrase"].as_str().unwrap().contains("it is no file"), "{shown}");
    }
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": dir, "passphrase_file": null}})).ok();
    backup_state(&central, "it looked again", |backup| backup["passphrase"].is_null());
    central.http.post("/api/backup", &json!({}));
    let is_made = |backup: &Value| backup["running"] == false && central.log().contains("event=backup_made");
    let shown = backup_state(&central, "one beside them", is_made);
    for passed_over in ["030000412", "040000412"] {
        let line = format!("central-1_2026-11-27_{passed_over}.tar");
        assert!(central.log().lines().any(|of| of.contains("backup_damaged") && of.contains(&line)), "{shown}");
    }
}

/// Its directory cannot be written, or is no place for it: said, and tried again once the settings change.
#[test]
fn a_backup_that_cannot_be_made_says_why() {
    let central = with_cars(3);
    let file = central.directory().join("a-file");
    fs::write(&file, "").unwrap();
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": file.join("under")}})).ok();
    let shown = backup_state(&central, "a failure", |backup| backup["failed"].is_string());
    assert!(shown["backup"]["failed"].as_str().unwrap().contains("cannot copy to"), "{shown}");
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": central.data_directory().join("under")}})).ok();
    let is_inside =
        |backup: &Value| backup["failed"].as_str().is_some_and(|why| why.contains("is in the data directory"));
    backup_state(&central, "a refusal", is_inside);
    assert_eq!(shown["notices"][0]["code"], "backup", "{shown}");
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": central.directory().join("there")}})).ok();
    let shown = backup_state(&central, "a proven backup", |backup| backup["proven_ms"].is_i64());
    assert!(shown["backup"]["failed"].is_null() && shown["notices"] == json!([]), "{shown}");
    central.http.put("/api/p2p/config", &json!({"backup": {"dir": null}})).ok();
    backup_state(&central, "no backups", |backup| backup["dir"].is_null() && backup["proven_ms"].is_null());
}
