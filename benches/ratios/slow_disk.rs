//! A disk whose syncs take 5 ms more: how near the rate is to one commit of all edges after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::Plan;
use crate::common::Central;
use crate::one::url;
use crate::outside::{bench, load_of, seconds};
use crate::table::{Bar, Table};

const EDGES: u32 = 256;
const SYNC_US: u32 = 5_000;
const ROUNDS: usize = 3;

/// What happened between two looks at the metrics.
struct Commits {
    /// Of all transactions, s, and how many those were.
    mean_s: f64,
    /// Within the bucket of the histogram that has the middle one: `more than` and `at most`, s.
    median_s: (f64, f64),
    events_each: f64,
}

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

/// Every metric without labels, and the buckets.
fn metrics(central: &Central) -> BTreeMap<String, f64> {
    let text = central.http.get("/metrics").text;
    let line = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter(|text| !text.starts_with('#')).filter_map(line).collect()
}

impl Commits {
    fn between(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> Self {
        let grown = |name: &str| after[name] - before.get(name).copied().unwrap_or(0.0);
        let count = grown("parkmesh_commit_seconds_count");
        let mut buckets: Vec<(f64, f64)> = after
            .keys()
            .filter_map(|name| {
                let bound = name.strip_prefix("parkmesh_commit_seconds_bucket{le=\"")?.strip_suffix("\"}")?;
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
                Some((bound, grown(name)))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let middle = buckets.iter().position(|(_, commits)| *commits >= count / 2.0).expect("a bucket");
        Self {
            mean_s: grown("parkmesh_commit_seconds_sum") / count,
            median_s: (middle.checked_sub(1).map_or(0.0, |below| buckets[below].0), buckets[middle].0),
            events_each: grown("parkmesh_commit_events_sum") / count,
        }
    }
}
