//! How the process starts, refuses to start, and stops.
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
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::central::{API_PORT, P2P_PORT};
use common::flood::Ends;
use common::{Central, DEADLINE, eventually, skip};
use serde_json::json;

const EXIT_USAGE: i32 = 64;
const EXIT_STORAGE: i32 = 74;
const EXIT_CONFIG: i32 = 78;

/// Runs the program until it ends by itself, which it must.
#[track_caller]
fn ends(mut command: Command) -> (i32, String) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > DEADLINE {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("it does not end: {}", said(&output));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code().expect("an exit code, not a signal"), said(&output))
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// Starts `central` as configured; it must refuse with `code` and say something that contains all of `words`.
#[track_caller]
fn refuses(central: &Central, code: i32, words: &[&str]) {
    let (exit_code, text) = ends(central.command());
    assert_eq!(exit_code, code, "{text}");
    for word in words {
        assert!(text.to_lowercase().contains(&word.to_lowercase()), "'{word}' is not in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn memory_is_taken_in_small_pages_alone() {
    let mut central = Central::new("p-pages");
    central.start();
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", central.pid())).unwrap();
    let number = |text: &str, name: &str| -> usize {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(number(&read("status"), "THP_enabled:"), 0);
    // What the allocator touches before `main` may lie in two of them.
    let huge_kib = number(&read("smaps_rollup"), "AnonHugePages:");
    assert!(huge_kib <= 2 * 2048, "{huge_kib} KiB in large pages");
}

#[test]
fn help_is_worth_reading_and_wrong_usage_is_64() {
    let program = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parkmesh"));
        command.args(arguments);
        ends(command)
    };
    let (code, help) = program(&["--help"]);
    assert_eq!(code, 0);
    for word in ["serve", "bench", "demo", "rebuild", "verify", "import", "--config", "--data-dir"] {
        assert!(help.contains(word), "'{word}' is not in: {help}");
    }
    assert_eq!(program(&["--version"]).0, 0);
    for wrong in [&["--nonsense"][..], &["fly"], &["demo", "--centrals", "99"], &["bench", "--for", "soon"]] {
        assert_eq!(program(wrong).0, EXIT_USAGE, "{wrong:?}");
    }
}

#[test]
fn a_broken_configuration_is_reported_with_its_place_and_never_replaced() {
    let central = Central::new("central-1");
    let broken = "{\n  \"this_central\": {\"id\": \"central-1\",\n  \"ip\" 5}\n}";
    fs::write(central.config_file(), broken).unwrap();
    refuses(&central, EXIT_CONFIG, &["p2p_config.json", "line 3", "column"]);
    assert_eq!(fs::read_to_string(central.config_file()).unwrap(), broken);
}

#[test]
fn a_configuration_that_makes_no_sense_names_its_field() {
    let ip = Central::new("x").ip.clone();
    let this = json!({"id": "central-1", "ip": ip, "p2p_port": P2P_PORT, "api_port": API_PORT});
    let with = |name: &str, value: serde_json::Value| {
        let mut this = this.clone();
        this[name] = value;
        json!({"this_central": this, "peer_centrals": []})
    };
    let peer = json!({"id": "central-2", "ip": "127.0.0.1", "p2p_port": 9000});
    let cases = [
        (with("id", json!("central_2")), "this_central.id"),
        (with("id", json!("")), "this_central.id"),
        (with("ip", json!("not an ip")), "this_central.ip"),
        (with("api_port", json!(999_999)), "this_central.api_port"),
        (json!({"this_central": this, "peer_centrals": [peer, peer]}), "peer_centrals"),
        (json!({"this_central": this, "peer_centrals": [{"id": "central-1", "ip": "127.0.0.1"}]}), "peer_centrals"),
        (json!({"this_central": this, "peer_centrals": "none"}), "peer_centrals"),
    ];
    for (config, field) in cases {
        let mut central = Central::new("central-1");
        central.config = config;
        central.write_config();
        refuses(&central, EXIT_CONFIG, &[field]);
    }
    let without_file = Central::new("central-1");
    refuses(&without_file, EXIT_CONFIG, &["p2p_config.json"]);
}

#[test]
fn a_file_broken_after_it_was_good_runs_on_the_kept_one() {
    let mut central = Central::standalone("central-1");
    let mut config = central.http.get("/api/p2p/config").ok().body["config"].clone();
    config["site"]["name"] = json!("Bãi xe B");
    central.http.put("/api/p2p/config", &config).ok();
    assert!(central.terminate().0.success());
    fs::write(central.config_file(), "{ broken").unwrap();
    central.start();
    assert_eq!(central.http.p2p_status()["this_central"], "central-1");
    assert_eq!(fs::read_to_string(central.config_file()).unwrap(), "{ broken", "for a person to look at");
    central.http.enter("edge-1", "29A12345");
}

#[test]
fn an_unusable_data_directory_is_74() {
    let central = Central::new("central-1");
    central.write_config();
    fs::write(central.data_directory(), "a file where a directory should be").unwrap();
    refuses(&central, EXIT_STORAGE, &["data"]);
}

#[test]
fn a_directory_without_rights_is_74() {
    let central = Central::new("central-1");
    central.write_config();
    fs::create_dir(central.data_directory()).unwrap();
    fs::set_permissions(central.data_directory(), fs::Permissions::from_mode(0o000)).unwrap();
    // Root may do anything: then there is nothing to see here.
    if fs::read_dir(central.data_directory()).is_err() {
        refuses(&central, EXIT_STORAGE, &["data"]);
    }
    fs::set_permissions(central.data_directory(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_file_that_is_no_database_of_ours_is_74_and_stays_as_it_is() {
    let central = Central::new("central-1");
    central.write_config();
    fs::create_dir(central.data_directory()).unwrap();
    let garbage = b"this is not a database, but somebody's only copy of something".repeat(100);
    fs::write(central.database(), &garbage).unwrap();
    refuses(&central, EXIT_STORAGE, &["central.db"]);
    assert_eq!(fs::read(central.database()).unwrap(), garbage);

    fs::remove_file(central.database()).unwrap();
    let foreign = rusqlite::Connection::open(central.database()).unwrap();
    foreign.execute_batch("CREATE TABLE wages (id INTEGER PRIMARY KEY);").unwrap();
    drop(foreign);
    refuses(&central, EXIT_STORAGE, &["central.db"]);
}

#[test]
fn a_database_of_a_newer_version_is_74() {
    let mut central = Central::standalone("central-1");
    central.http.enter("edge-1", "29A12345");
    central.terminate();
    let newer = rusqlite::Connection::open(central.database()).unwrap();
    let own: i64 = newer.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    newer.pragma_update(None, "user_version", 9_999).unwrap();
    refuses(&central, EXIT_STORAGE, &["9999"]);
    newer.pragma_update(None, "user_version", own).unwrap();
    drop(newer);
    central.start();
    assert_eq!(central.http.stats()["vehicles_in_parking"], 1);
}

#[test]
fn two_processes_never_share_a_directory() {
    let mut central = Central::standalone("central-1");
    central.http.enter("edge-1", "29A12345");
    let second = Central::new("central-1");
    second.write_config();
    let mut command = Command::new(env!("CARGO_BIN_EXE_parkmesh"));
    command.arg("serve").arg("--config").arg(second.config_file());
    command.arg("--data-dir").arg(central.data_directory()).current_dir(second.directory());
    let (code, text) = ends(command);
    assert_eq!(code, EXIT_STORAGE, "{text}");
    // With the same settings its ports are taken, too; that it runs already is what there is to say.
    refuses(&central, EXIT_STORAGE, &["in use by another ParkMesh", &central.data_directory().display().to_string()]);
    central.http.enter("edge-1", "29A12346");
    // The lock ends with its holder, however that ends.
    central.kill9();
    central.start();
    assert_eq!(central.http.stats()["vehicles_in_parking"], 2);
}

#[test]
fn a_taken_page_port_is_said() {
    let central = Central::new("central-1");
    central.write_config();
    let _taken = TcpListener::bind((central.ip.as_str(), API_PORT)).unwrap();
    let (code, text) = ends(central.command());
    assert!(code == EXIT_CONFIG && text.contains(&API_PORT.to_string()), "{code} {text}");
}

#[test]
fn sigterm_ends_in_time_with_everything_on_disk() {
    let mut central = Central::standalone("central-1");
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    // Connections that stay open and say nothing, or only half of something.
    let address = format!("{}:{API_PORT}", central.ip);
    let idle = TcpStream::connect(&address).unwrap();
    let mut half = TcpStream::connect(&address).unwrap();
    half.write_all(b"POST /api/edge/barrier/open HTTP/1.1\r\nContent-Le").unwrap();
    let (status, took) = std::thread::scope(|scope| {
        let _ends = Ends(&stop);
        for thread in 0..4 {
            let (http, stop, answered) = (central.http.clone(), &stop, &answered);
            scope.spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let body = json!({"edge_id": format!("edge-{thread}"), "plate_id": format!("29A{thread}{number:05}"),
                                      "direction": "ENTRY"});
                    let Ok(reply) = http.try_post("/api/edge/barrier/open", &body) else { return };
                    match reply.status {
                        200 => answered.fetch_add(1, Ordering::Relaxed),
                        503 => return,
                        other => panic!("{other} {}", reply.text),
                    };
                }
            });
        }
        eventually("there is a load", DEADLINE, || answered.load(Ordering::Relaxed) > 200);
        let ended = central.terminate();
        stop.store(true, Ordering::Relaxed);
        ended
    });
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop((idle, half));
    central.start();
    let rows = central.http.whole_history().len();
    let answered = answered.load(Ordering::Relaxed);
    // Calls in flight at the end may have been committed without their answer arriving.
    assert!((answered..=answered + 4).contains(&rows), "{answered} answered, {rows} rows");
}

#[test]
fn a_stop_of_an_idle_one_is_clean_and_frees_its_port() {
    let mut central = Central::standalone("central-1");
    for _ in 0..3 {
        let (status, took) = central.terminate();
        assert_eq!(status.code(), Some(0));
        assert!(took < Duration::from_secs(5), "{took:?}");
        let mut stream = TcpStream::connect((central.ip.as_str(), API_PORT));
        let mut nothing = [0; 1];
        assert!(stream.as_mut().map_or(true, |stream| !matches!(stream.read(&mut nothing), Ok(1..))));
        central.start();
    }
}

/// The disk of the log may be another one than that of the cars.
#[test]
fn gates_are_served_where_no_line_of_the_log_can_be_written() {
    let mut central = Central::new("central-1");
    central.run_by(&["sh", "-c", "exec \"$@\" >/dev/full 2>&1", "sh"]);
    central.start();
    central.http.enter("edge-1", "29A12345");
    assert_eq!(central.terminate().0.code(), Some(0));
}

#[test]
fn without_any_argument_it_serves_a_standalone_central() {
    let directory = tempfile::tempdir().unwrap();
    if TcpListener::bind(("127.0.0.1", 8000)).is_err() {
        return skip("without_any_argument_it_serves_a_standalone_central", "somebody serves on 127.0.0.1:8000");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_parkmesh"))
        .current_dir(directory.path())
        .env_remove("PARKMESH_CONFIG")
        .env_remove("PARKMESH_DATA_DIR")
        .stdin(Stdio::null())
        .stdout(fs::File::create(directory.path().join("out.txt")).unwrap())
        .stderr(fs::File::create(directory.path().join("err.txt")).unwrap())
        .spawn()
        .unwrap();
    let http = common::Http::new("http://127.0.0.1:8000");
    let start = Instant::now();
    let mut ready = false;
    while !ready && start.elapsed() < DEADLINE {
        ready = http.try_get("/readyz").is_ok_and(|reply| reply.is_success());
        std::thread::sleep(Duration::from_millis(5));
    }
    let entered = http.try_post("/api/edge/barrier/open", &json!({"edge_id": "edge-1", "plate_id": "29A12345"}));
    let status = http.try_get("/api/p2p/status");
    child.kill().unwrap();
    child.wait().unwrap();
    let texts = ["out.txt", "err.txt"].map(|name| fs::read_to_string(directory.path().join(name)).unwrap()).concat();
    assert!(ready, "{texts}");
    assert!(texts.contains("127.0.0.1:8000"), "it prints the page's address: {texts}");
    assert!(entered.unwrap().is_success());
    assert_eq!(status.unwrap().body["standalone_mode"], true);
    assert!(directory.path().join("data/central.db").exists());
}

/// After a power cut the battery of the machine is flat, or somebody set the clock wrongly once.
#[test]
fn what_a_wrong_clock_stamped_is_said_and_its_fee_is_to_be_checked() {
    const DAY_MS: i64 = 24 * 3_600 * 1_000;
    for (name, shifted_ms, behind, odd) in [
        ("years ago", -20 * 365 * DAY_MS, true, "clock_skew"),
        ("an hour ago", -3_600_000, true, "clock_skew"),
        // The day that it has before it again is one of which there are stamps.
        ("25 hours ago", -25 * 3_600_000, true, "clock_skew"),
        ("200 days ago", -200 * DAY_MS, true, "clock_skew"),
        ("once a year ahead", 365 * DAY_MS, false, ""),
    ] {
        let mut central = Central::standalone("central-1");
        if name.ends_with("hours ago") || name.ends_with("days ago") {
            central.terminate();
            central.env("PARKMESH_CLOCK", common::shifted_clock(shifted_ms + 3_600_000)).start();
            central.http.enter("edge-1", "30A00002");
            central.http.leave("edge-1", "30A00002");
            central.terminate();
            central.env("PARKMESH_CLOCK", "").start();
        }
        central.http.enter("edge-1", "30A00001");
        central.terminate();
        central.env("PARKMESH_CLOCK", common::shifted_clock(shifted_ms)).start();
        let is_behind =
            |central: &Central| central.http.get("/api/status").ok().body["central"]["clock_behind"].clone();
        assert_eq!(is_behind(&central), behind, "{name}");
        central.http.enter("edge-1", "35A00001");
        let row = central.http.rows_of("35A00001").remove(0);
        assert_eq!(row["anomalies"].to_string().contains("clock_skew"), !odd.is_empty(), "{name}: {row}");
        central.terminate();
        central.env("PARKMESH_CLOCK", "").start();
        assert_eq!(is_behind(&central), false, "{name}: the clock is right again");
        if name == "years ago" {
            let exit = json!({"edge_id": "edge-2", "plate_id": "35A00001", "direction": "EXIT", "force": true});
            central.http.open(&exit).ok();
            let row = central.http.rows_of("35A00001").remove(0);
            assert!(row["anomalies"].to_string().contains("fee_uncertain"), "{name}: {row}");
        }
    }
}
