//! What the product reaches beside what the machine can do, measured in one run and shown as ratios.
//!
//! `cargo bench --bench ratios -- --run [--seconds 10] [--inside 100000] [--events 1000000]
//! [--catch-up 100000]`
//!
//! Or one part of it alone, in place of all the rest:
//!
//! | | |
//! |---|---|
//! | `--ten [--centrals N]` | meshes of 2, 3, 5 and 10 centrals, or of N, at 100 events/s each for `--seconds`; after them what `--simulated` prints |
//! | `--simulated` | messages and bytes per event in simulated meshes of up to 50 |
//! | `--relay` | the way around a cut link |
//! | `--wiped` | a central of three whose directory was emptied, until it has all of `--catch-up` events again |
//! | `--slow-disk` | 256 edges at a central whose syncs take 5 ms more; needs `cc` |
//! | `--long-history [--rows 5000000]` | rate and start of a central with so many rows, which takes a quarter of an hour to write |
//! | `--takings [--rows 10000000] [--kept DIR]` | pages, sheets and tables of days with 50,000 exits over HTTP, when the history has a tenth, a third and all of so many rows; `DIR` keeps the 20 GB and is measured as it is where they are already |
//! | `--returning [catch-up\|press\|import\|replay\|readers\|gates\|year]` | cars that come back every day beside cars that come once: catch-up, presses, import, rebuild and verify, without HTTP; and over HTTP gates beside strangers who read, and while their central catches up; `year`, of which it takes ten minutes to write, only where it is named: memory |
//! | `--flood` | a gate while one address elsewhere asks as fast as it can |
//! | `--backup [--megabytes 1000]` | the gates at 200 events/s while a database of that size is backed up and while it is not, in turns |
//! | `--dashboards` | the gates with 200 dashboards open and with none, 50 events/s for `--seconds`, in turns |
//!
//! - G(b): bare SQLite writing the same rows in groups of b; F1: one synced commit of one row of a history, S1: of the
//!   smallest row there is (all from `yardstick`).
//! - H(c): an HTTP POST that does nothing, c callers (from `hello.rs`); L(c) = cores / (cores/H(c) + 1/G(b)), b: events in
//!   a transaction, as seen under that load.
//!
//! All figures are of this machine in this run; only the ratios mean something elsewhere. A bar that is missed is marked and
//! does not fail the run: the machine may be busy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that cannot be made ends by panicking"
)]

mod backup;
mod busy_days;
mod commits;
#[path = "../../tests/common/mod.rs"]
mod common;
mod dashboards;
mod flood;
#[allow(dead_code, reason = "hello.rs is also a program of its own")]
#[path = "../hello.rs"]
mod hello;
mod history;
mod mesh;
mod one;
mod outside;
mod regulars;
mod returning;
mod sizes;
mod slow_disk;
mod table;
mod takings;
#[path = "../yardstick.rs"]
mod yardstick;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use table::Table;

/// What is measured, and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Each load.
    pub run_for: Duration,
    /// Cars inside for the second load.
    pub inside: u64,
    /// Events after which memory is looked at.
    pub events: u64,
    /// Rows of a long history.
    pub history_rows: u64,
    /// Events missed by a central that was away.
    pub catch_up: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(default, |at| arguments[at + 1].parse().expect("a number"))
    };
    let address_after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments[at + 1].parse().expect("an address"))
    };
    if let Some(address) = address_after("--serve-hello") {
        return hello::serve(address, || ()).expect("it serves");
    }
    if let Some(address) = address_after("--serve-commits") {
        let rows = Arc::new(Mutex::new(yardstick::OneByOne::open().expect("a database")));
        let commit = move || rows.lock().expect("nobody panicked").commit().expect("a commit");
        return hello::serve(address, commit).expect("it serves");
    }
    if arguments.iter().any(|argument| argument == "--yardstick") {
        yardstick::main().expect("the yardsticks");
        return;
    }
    if !arguments.iter().any(|argument| argument == "--run") {
        println!("ratios: measures for some minutes; run it with --run");
        return;
    }
    let plan = Plan {
        run_for: Duration::from_secs(value("--seconds", 10)),
        inside: value("--inside", 100_000),
        events: value("--events", 1_000_000),
        history_rows: value("--rows", 5_000_000),
        catch_up: value("--catch-up", 100_000),
    };
    let mut table = Table::default();
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    if asked("--simulated") {
        return sizes::simulate();
    }
    if asked("--relay") {
        mesh::relay(&plan, &mut table);
        return table.print();
    }
    if asked("--wiped") {
        mesh::wiped(&plan, &mut table);
        return table.print();
    }
    if asked("--slow-disk") {
        slow_disk::measure(&plan, &mut table);
        return table.print();
    }
    if asked("--long-history") {
        history::measure(&plan, &mut table);
        return table.print();
    }
    if asked("--takings") {
        let kept = arguments.iter().skip_while(|argument| *argument != "--kept").nth(1);
        takings::measure(value("--rows", 10_000_000), kept.map(std::path::Path::new), &mut table);
        return table.print();
    }
    if asked("--returning") {
        let part = arguments.iter().skip_while(|argument| *argument != "--returning").nth(1);
        // Cargo ends every call of a bench with an option of its own.
        let part = part.filter(|part| !part.starts_with("--"));
        returning::measure(part.map(String::as_str), &mut table);
        return table.print();
    }
    if asked("--backup") {
        backup::measure(&plan, value("--megabytes", 1_000), &mut table);
        return table.print();
    }
    if asked("--flood") {
        flood::measure(&mut table);
        return table.print();
    }
    if asked("--dashboards") {
        dashboards::measure(&plan, &mut table);
        return table.print();
    }
    if asked("--ten") {
        match value("--centrals", 0) {
            0 => sizes::measure(&sizes::SIZES, &plan, &mut table),
            centrals => sizes::measure(&[usize::try_from(centrals).expect("a number")], &plan, &mut table),
        }
        sizes::simulate();
        return table.print();
    }
    let yardsticks = one::measure(&plan, &mut table);
    mesh::measure(&plan, &yardsticks, &mut table);
    table.print();
}
