//! The harness of the whole-program tests: real processes, real sockets, real kills.
//!
//! - [`Central`]: one process with its own loopback address, configuration, data directory and log file.
//! - [`Mesh`]: several of them, each link through a proxy that can be cut, held, slowed and healed.
//! - [`Http`]: a small blocking client with the documented calls.
//! - [`eventually`]: waits for a condition with a deadline; nothing else in a test may wait.
//!
//! Every process is killed when its handle is dropped; a test that fails shows the end of every log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(dead_code, unused_imports, reason = "every test program uses another part of the harness")]

pub mod central;
pub mod dashboard;
pub mod flood;
pub mod http;
pub mod https;
pub mod load;
pub mod mesh;
pub mod net;
pub mod old_central;
pub mod openapi;
pub mod receiver;
pub mod slow_disk;
pub mod stored;
pub mod ws;
pub mod ws_flood;

use std::time::{Duration, Instant};

use parkmesh::lab::compare::Snapshot;
use serde_json::Value;

pub use central::Central;
pub use http::{Http, Reply};
pub use https::Https;
pub use mesh::Mesh;
pub use net::Link;

/// How long anything may take that should take far less, on a busy machine with a debug build.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until `condition` holds; fails the test with `what` if it does not within `deadline`.
#[track_caller]
pub fn eventually(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    eventually_some(what, deadline, || condition().then_some(()));
}

/// As [`eventually`], for a condition that yields something.
#[track_caller]
pub fn eventually_some<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < deadline, "within {deadline:?}: {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// As [`eventually`], for something that says why it is not so yet; the last reason is shown.
#[track_caller]
pub fn eventually_ok<T>(deadline: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(found) => return found,
            Err(why) => assert!(start.elapsed() < deadline, "within {deadline:?}: {why}"),
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Says that a test was not done. `tests/run` counts these lines.
pub fn skip(test: &str, reason: &str) {
    // Past the capture of the test harness: a skipped test passes, and its output would not be seen.
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "SKIPPED {test}: {reason}");
}

/// How many rows of a history have this status.
pub fn with_status(history: &Snapshot, status: &str) -> usize {
    history.rows().filter(|row: &&Value| row["status"] == status).count()
}

/// Runs `work` for `0..count` on some threads.
pub fn in_parallel(count: usize, threads: usize, work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || (thread..count).step_by(threads).for_each(work));
        }
    });
}

/// A value of `PARKMESH_CLOCK`: now, and so many ms more.
pub fn shifted_clock(offset_ms: i64) -> String {
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    format!("{},{now_ms},1", now_ms + offset_ms)
}

/// A value of `PARKMESH_CLOCK`: it is eight in the morning of the site's today, and time runs `speed` times as fast from here on.
/// Hours pass in seconds, and what is asked of "today" is asked of one day.
pub fn fast_clock(speed: u32) -> String {
    const DAY_MS: u128 = 24 * 3_600_000;
    const ZONE_MS: u128 = 7 * 3_600_000;
    const MORNING_MS: u128 = 8 * 3_600_000;
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let morning_ms = now_ms - (now_ms + ZONE_MS) % DAY_MS + MORNING_MS;
    format!("{morning_ms},{now_ms},{speed}")
}

/// A seed for a random test: `PARKMESH_SEED`, else a new one; printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let given = std::env::var("PARKMESH_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("PARKMESH_SEED={seed}");
    seed
}

/// Random numbers from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..below`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.roll() % below
    }

    pub fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.below(range.end - range.start))
    }
}
