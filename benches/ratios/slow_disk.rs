//! A disk whose syncs take 5 ms more: how near the rate is to one commit of all edges after the other.

use std::path::Path;
use std::process::Command;

use crate::Plan;
use crate::commits::{Commits, metrics};
use crate::common::Central;
use crate::one::url;
use crate::outside::{bench, load_of, seconds};
use crate::table::{Bar, Table};

const EDGES: u32 = 256;
const SYNC_US: u32 = 5_000;
const ROUNDS: usize = 3;

pub fn measure(plan: &Plan, table: &mut Table) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let library = slow_syncs(directory.path());
    let mut central = Central::new("central-1");
    central.env("LD_PRELOAD", library).env("SYNC_DELAY_US", SYNC_US.to_string());
    central.start();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let before = metrics(&central);
        let (url, edges, run_for) = (url(&central), EDGES.to_string(), seconds(plan.run_for));
        let load = load_of(&bench(&["--url", &url, "--edges", &edges, "--for", &run_for])).clean();
        let commits = Commits::between(&before, &metrics(&central));
        println!(
            "  {:.0} answers/s; a commit takes {:.2} ms on average, the middle one {:.1} to {:.1} ms; {:.0} events each",
            load.answers_per_s(),
            commits.mean_s * 1e3,
            commits.median_s.0 * 1e3,
            commits.median_s.1 * 1e3,
            commits.events_each
        );
        rounds.push((load.answers_per_s(), commits.mean_s));
    }
    rounds.sort_by(|a, b| (a.0 * a.1).total_cmp(&(b.0 * b.1)));
    let (rate, commit_s) = rounds[ROUNDS / 2];
    let possible = f64::from(EDGES) / commit_s;
    let measured = format!("{rate:.0}/s, 256 / {:.2} ms = {possible:.0}/s", commit_s * 1e3);
    table.line("256 edges, 5 ms a sync: rate / (256 / commit)", &measured, rate / possible, Bar::AtLeast(0.8));
}

/// Compiles what delays the syncs; its path.
fn slow_syncs(directory: &Path) -> String {
    let library = directory.join("slow_syncs.so").to_str().expect("a path of letters").to_owned();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ratios/slow_syncs.c");
    let compiled = Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o", &library, source, "-ldl"]).status();
    assert!(compiled.expect("a C compiler, which Rust needs too").success(), "{source} does not compile");
    library
}
