//! What a backup costs the gates: the same load while one is made and while none is, in turns.
//!
//! The database, the copy that is proven and the backup lie on one disk, and a passphrase seals it: the most it can cost.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Plan;
use crate::common::{Central, DEADLINE, eventually};
use crate::one::{drive, url};
use crate::outside::{Load, bench, load_of, seconds};
use crate::table::{Bar, Table};

/// Calls per second at the gates, and how many gates make them.
const RATE: &str = "200";
const EDGES: &str = "8";
const ROUNDS: usize = 3;
/// Most events are written in loads of this length.
const FILL: Duration = Duration::from_secs(10);
/// No backup takes so long.
const LONGEST: Duration = Duration::from_secs(1_800);

pub fn measure(plan: &Plan, megabytes: u64, table: &mut Table) {
    let mut central = Central::new("central-1");
    let (dir, secret) = (central.directory().join("backups"), central.directory().join("secret"));
    fs::write(&secret, "correct horse battery staple").expect("a file");
    central.start();
    let fill = Plan { run_for: FILL, ..plan.clone() };
    let megabytes_now = || fs::metadata(central.database()).expect("a database").len() / 1_000_000;
    while megabytes_now() < megabytes {
        drive(&central, &[], &fill);
        println!("  {} MB", megabytes_now());
    }
    let (size, before_kib) = (megabytes_now(), central.memory_kib());
    let backup = json!({"dir": dir, "keep": 1, "passphrase_file": secret});
    // One was due: it is made at once. How long it takes under that load is how long the others are looked at.
    let first = || drop(central.http.put("/api/p2p/config", &json!({"backup": backup})).ok());
    let mut took = made(&central, FILL, first).1;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let without = gates(&central, took).latency_us("p99") / 1e3;
        let (load, this_took) = made(&central, took, || drop(central.http.post("/api/backup", &json!({}))));
        let with = load.latency_us("p99") / 1e3;
        println!(
            "  p99 of the gates: {with:.2} ms while a backup is made in {this_took:.1?}, {without:.2} ms while none is"
        );
        rounds.push((with, without));
        took = this_took;
    }
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (with, without) = rounds[ROUNDS / 2];
    let sealed = fs::read_dir(&dir).expect("backups").flatten().next().expect("a backup").metadata().expect("it");
    println!(
        "  {size} MB of database, {} MB of backup, resident {before_kib} KiB before and {} after",
        sealed.len() / 1_000_000,
        central.memory_kib()
    );
    let measured = format!("{with:.2} / {without:.2} ms, {RATE} events/s, {size} MB in {took:.0?}");
    table.line("p99 while a backup is made / without", &measured, with / without, Bar::AtMost(2.0));
}

/// The load beside a backup, for as long as that is thought to take, and how long it took.
fn made(central: &Central, thought: Duration, begin: impl FnOnce()) -> (Load, Duration) {
    let begun = Instant::now();
    let state = || central.http.get("/api/status").ok().body["central"]["backup"].clone();
    let before = state()["proven_ms"].clone();
    begin();
    eventually("it is begun", DEADLINE, || state()["running"] == true || state()["proven_ms"] != before);
    let load = gates(central, thought);
    eventually("a proven backup", LONGEST, || state()["running"] == false);
    let now = state();
    assert!(now["proven_ms"] != before && now["failed"].is_null(), "{now}");
    (load, begun.elapsed())
}

fn gates(central: &Central, run_for: Duration) -> Load {
    load_of(&bench(&["--url", &url(central), "--edges", EDGES, "--rate", RATE, "--for", &seconds(run_for)])).clean()
}
