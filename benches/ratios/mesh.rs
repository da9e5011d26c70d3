//! Three centrals: linking, propagation, a peer that misbehaves, catching up.

use std::time::{Duration, Instant};

use serde_json::Value;

use parkmesh::lab::proxy::LinkState;

use crate::Plan;
use crate::common::{DEADLINE, Mesh, eventually};
use crate::one::{rss_mib, url};
use crate::outside::{CATCH_UP_BATCH, EDGES, Load, Yardsticks, bench, bench_command, load_of, seconds};
use crate::table::{Bar, Table};

/// How long a catch-up may take at all.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(300);
/// The second, shorter absence.
const FEW_MISSED: u64 = 1_000;

/// Loads of the two kinds are driven in turns, so many times; the medians are held against each other.
const ROUNDS: usize = 3;
/// A healed cut is relinked within this (product rule).
const RELINKED_S: f64 = 6.0;
/// What relaying around a cut link may add to the median.
const RELAY_ADDS_MS: f64 = 50.0;

pub fn measure(plan: &Plan, yardsticks: &Yardsticks, table: &mut Table) {
    let mut mesh = Mesh::without_proxies(3);
    for central in &mut mesh.centrals {
        central.spawn();
    }
    let last_start = Instant::now();
    mesh.wait_linked(DEADLINE);
    let linked = last_start.elapsed();
    table.line("linked after the last start, s", "", linked.as_secs_f64(), Bar::AtMost(1.0));

    let idle = propagation(&mesh, &[0, 1, 2], plan);
    table.line("propagation p50, ms", "", idle.0, Bar::AtMost(2.0));
    table.line("propagation p99, ms", "", idle.1, Bar::AtMost(10.0));
    with_and_without(
        "propagation with a stopped peer / without",
        &mut mesh,
        plan,
        table,
        |mesh| {
            mesh.centrals[2].freeze();
        },
        |mesh| mesh.centrals[2].thaw(),
    );
    with_and_without(
        "propagation with a dead peer / without",
        &mut mesh,
        plan,
        table,
        |mesh| {
            mesh.centrals[2].kill9();
        },
        |mesh| mesh.centrals[2].start(),
    );
    mesh.centrals[2].kill9();
    catch_up(plan, yardsticks, &mut mesh, table);
    drop(mesh);
    relay(plan, table);
    cut_links(plan, table);
}

/// A central that lost its directory comes back to two that hold everything: from its start until it holds all of it again.
pub fn wiped(plan: &Plan, table: &mut Table) {
    let mut mesh = Mesh::without_proxies(3);
    mesh.start_all();
    let events = miss(plan.catch_up, &mesh);
    wait_until_3_has_all(&mesh);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let g = Yardsticks::of_the_disk(CATCH_UP_BATCH).g(CATCH_UP_BATCH);
        let central = &mut mesh.centrals[2];
        assert_eq!(central.terminate().0.code(), Some(0));
        std::fs::remove_dir_all(central.data_directory()).expect("its directory");
        let start = Instant::now();
        central.start();
        wait_until_3_has_all(&mesh);
        rounds.push((events as f64 / start.elapsed().as_secs_f64(), g));
    }
    mesh.wait_equal(3 * DEADLINE);
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (rate, g) = rounds[ROUNDS / 2];
    let measured = format!("{events} events, {rate:.0}/s, G = {g:.0}/s");
    table.line("wiped, complete again: rate / G(2000)", &measured, rate / g, Bar::AtLeast(0.3));
}

/// Two centrals whose link is cut, with a third that is linked with both: what its relaying adds.
pub fn relay(plan: &Plan, table: &mut Table) {
    let mut mesh = Mesh::new(3);
    mesh.start_all();
    let (mut direct, mut around) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        mesh.wait_linked(DEADLINE);
        direct.push(propagation(&mesh, &[0, 2], plan));
        mesh.cut(0, 2);
        around.push(propagation(&mesh, &[0, 2], plan));
        mesh.heal(0, 2);
    }
    let (direct, around) = (median(direct), median(around));
    let measured = format!("p50 {:.2} / {:.2} ms, p99 {:.2} / {:.2} ms", around.0, direct.0, around.1, direct.1);
    table.line("relay around a cut link, added p50, ms", &measured, around.0 - direct.0, Bar::AtMost(RELAY_ADDS_MS));
}

/// A peer behind a link that swallows everything, and how soon a healed cut is linked again.
fn cut_links(plan: &Plan, table: &mut Table) {
    let mut mesh = Mesh::new(3);
    // The third is always dialled, never dials: what it is sent passes one proxy, in the direction that can be made deaf.
    let dialled = |mesh: &Mesh, state| [0, 1].iter().for_each(|from| mesh.link(*from, 2).set(state));
    [0, 1].iter().for_each(|to| mesh.link(2, *to).set(LinkState::Cut));
    mesh.start_all();
    for (what, state) in [("black-holed", LinkState::Held), ("never reading", LinkState::Deaf)] {
        let what = format!("propagation with a {what} peer / without");
        let (fault, mend) = (|mesh: &mut Mesh| dialled(mesh, state), |mesh: &mut Mesh| dialled(mesh, LinkState::Open));
        with_and_without(&what, &mut mesh, plan, table, fault, mend);
    }
    mesh.isolate(2);
    std::thread::sleep(Duration::from_secs(20));
    mesh.heal_all();
    let healed = Instant::now();
    mesh.wait_linked(DEADLINE);
    table.line("linked after a healed cut of 20 s, s", "", healed.elapsed().as_secs_f64(), Bar::AtMost(RELINKED_S));
}

/// Propagation between centrals 1 and 2 while 3 has a fault, and while it has none, in turns.
fn with_and_without(
    what: &str,
    mesh: &mut Mesh,
    plan: &Plan,
    table: &mut Table,
    fault: impl Fn(&mut Mesh),
    mend: impl Fn(&mut Mesh),
) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        mesh.wait_linked(DEADLINE);
        without.push(propagation(mesh, &[0, 1], plan));
        fault(mesh);
        with.push(propagation(mesh, &[0, 1], plan));
        mend(mesh);
    }
    mesh.wait_linked(DEADLINE);
    compare(what, median(with), median(without), table);
}

/// The round with the median p50.
fn median(mut all: Vec<(f64, f64)>) -> (f64, f64) {
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all[all.len() / 2]
}

/// Median and p99 in ms between these centrals, one event at a time.
fn propagation(mesh: &Mesh, between: &[usize], plan: &Plan) -> (f64, f64) {
    let urls: Vec<String> = between.iter().map(|number| url(&mesh.centrals[*number])).collect();
    let run_for = seconds(plan.run_for);
    let mut arguments = vec!["--light", "--for", run_for.as_str()];
    arguments.extend(urls.iter().flat_map(|url| ["--url", url.as_str()]));
    let report = &bench(&arguments)["propagation"];
    assert_eq!((&report["missing"], &report["refused"]), (&Value::from(0), &Value::from(0)), "{report}");
    let ms = |name: &str| report["latency_us"][name].as_f64().expect("a latency") / 1_000.0;
    (ms("p50"), ms("p99"))
}

fn compare(what: &str, with: (f64, f64), without: (f64, f64), table: &mut Table) {
    let measured = format!("p50 {:.2} / {:.2} ms, p99 {:.2} / {:.2} ms", with.0, without.0, with.1, without.1);
    table.line(what, &measured, with.0 / without.0, Bar::AtMost(1.2));
}

/// Central 3 is down: load at central 1, then central 3 comes back.
fn catch_up(plan: &Plan, yardsticks: &Yardsticks, mesh: &mut Mesh, table: &mut Table) {
    let before_mib = rss_mib(mesh.centrals[0].pid());
    let missed = miss(plan.catch_up, mesh);
    let grown = rss_mib(mesh.centrals[0].pid()) - before_mib;
    println!("memory of the sender grew by {grown:.1} MiB over {missed} events with a peer away");
    mesh.centrals[2].start();
    let start = Instant::now();
    let url = url(&mesh.centrals[2]);
    let gates = bench_command(&["--url", &url, "--edges", "1", "--for", "3s"]).spawn().expect("a load beside it");
    wait_until_3_has_all(mesh);
    let took = start.elapsed();
    let rate = missed as f64 / took.as_secs_f64();
    let measured = format!("{missed} in {:.2} s = {rate:.0}/s", took.as_secs_f64());
    table.line("catch-up rate / G(2000)", &measured, rate / yardsticks.g(CATCH_UP_BATCH), Bar::AtLeast(0.3));
    let output = gates.wait_with_output().expect("the load ends");
    let gates: Load = load_of(&serde_json::from_slice(&output.stdout).expect("a report")).clean();
    table.line("gates of it meanwhile, p99 ms", "", gates.latency_us("p99") / 1_000.0, Bar::AtMost(100.0));

    mesh.centrals[2].kill9();
    let missed = miss(FEW_MISSED, mesh);
    mesh.centrals[2].start();
    eventually("linked again", DEADLINE, || mesh.centrals[2].http.p2p_status()["connected_peers"] == 2);
    let start = Instant::now();
    wait_until_3_has_all(mesh);
    table.line(
        "a short absence after the link, ms",
        &format!("{missed} events"),
        start.elapsed().as_secs_f64() * 1e3,
        Bar::AtMost(370.0),
    );
}

/// At least so many events at central 1; how many it were.
fn miss(events: u64, mesh: &Mesh) -> u64 {
    let held = || mesh.centrals[0].http.p2p_status()["events"].as_u64().expect("events");
    let (before, url, edges) = (held(), url(&mesh.centrals[0]), EDGES.to_string());
    while held() < before + events {
        let left = before + events - held();
        // A fill is exact, but leaves the cars inside; for many events cars go in and out.
        if left <= FEW_MISSED {
            bench(&["--url", &url, "--fill", &left.to_string(), "--edges", "8", "--for", "10ms"]);
        } else {
            bench(&["--url", &url, "--edges", &edges, "--for", "1s"]);
        }
    }
    held() - before
}

/// Until it holds what central 1 held when this was called.
fn wait_until_3_has_all(mesh: &Mesh) {
    let held = |number: usize| mesh.centrals[number].http.p2p_status()["events"].as_u64().expect("events");
    let all = held(0);
    eventually("caught up", CATCH_UP_WITHIN, || held(2) >= all);
}
