//! One central: rate, tail, single calls, cars inside, history, memory, idle CPU, start.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Plan;
use crate::common::Central;
use crate::outside::{EDGES, Load, Yardsticks, bench, load_of, seconds};
use crate::table::{Bar, Table};

/// The bound on the write-ahead log.
const WAL_MIB: f64 = 64.0;
const MIB: f64 = 1_048_576.0;
/// How long an idle central is watched.
const IDLE: Duration = Duration::from_secs(10);

pub fn measure(plan: &Plan, yardsticks: &Yardsticks, table: &mut Table) {
    let mut central = Central::new("central-1");
    let start_empty = started(&mut central);
    let idle_mib = rss_mib(central.pid());
    table.line("resident memory idle, MiB", "", idle_mib, Bar::AtMost(20.0));
    idle_cpu(&central, table);

    let one = drive(&central, &["--edges", "1"], plan);
    let measured = format!("p50 {:.0} µs, F1 + idle POST {:.0} µs", one.latency_us("p50"), alone_us(yardsticks));
    table.line(
        "one edge: median / (F1 + idle POST)",
        &measured,
        one.latency_us("p50") / alone_us(yardsticks),
        Bar::AtMost(1.3),
    );

    let wal_mib = AtomicU64::new(0);
    let empty = watching_wal(&central, &wal_mib, || drive(&central, &[], plan));
    let measured = format!("{:.0}/s, L = {:.0}/s", empty.answers_per_s(), yardsticks.limit());
    table.line("64 edges: rate / L", &measured, empty.answers_per_s() / yardsticks.limit(), Bar::AtLeast(0.6));
    tail("64 edges: p99 / p50", &empty, table);
    let wal = wal_mib.load(Ordering::Relaxed) as f64 / MIB;
    table.line("largest WAL / 64 MiB", &format!("{wal:.0} MiB"), wal / WAL_MIB, Bar::AtMost(1.0));

    let full = drive(&central, &["--fill", &plan.inside.to_string()], plan);
    let again = drive(&central, &[], plan);
    let best = full.answers_per_s().max(again.answers_per_s());
    let measured = format!("{best:.0}/s with {} inside", plan.inside);
    table.line("rate with cars inside / empty", &measured, best / empty.answers_per_s(), Bar::AtLeast(0.95));
    let mut events = empty.answers() + full.answers() + again.answers() + plan.inside as f64;
    while events < plan.events as f64 {
        events += drive(&central, &[], plan).answers();
    }
    table.line(
        "resident memory after many events, MiB",
        &format!("{events:.0} events"),
        rss_mib(central.pid()),
        Bar::AtMost(60.0),
    );

    if plan.history_rows > 0 {
        while events / 2.0 < plan.history_rows as f64 {
            events += drive(&central, &[], plan).answers();
        }
        let long = drive(&central, &[], plan);
        let measured = format!("{:.0}/s with {:.1} M rows", long.answers_per_s(), events / 2e6);
        table.line(
            "rate with a long history / empty",
            &measured,
            long.answers_per_s() / empty.answers_per_s(),
            Bar::AtLeast(0.8),
        );
        central.terminate();
        let start_long = started(&mut central);
        let measured = format!("{} ms, empty {} ms", start_long.as_millis(), start_empty.as_millis());
        table.line(
            "start with a long history / empty",
            &measured,
            start_long.as_secs_f64() / start_empty.as_secs_f64(),
            Bar::AtMost(1.5),
        );
    }
}

pub fn tail(what: &str, load: &Load, table: &mut Table) {
    let measured = format!("p50 {:.2} ms, p99 {:.2} ms", load.latency_us("p50") / 1e3, load.latency_us("p99") / 1e3);
    table.line(what, &measured, load.latency_us("p99") / load.latency_us("p50"), Bar::AtMost(3.0));
}

fn alone_us(yardsticks: &Yardsticks) -> f64 {
    yardsticks.f1_us + yardsticks.hello_idle_us
}

fn drive(central: &Central, more: &[&str], plan: &Plan) -> Load {
    let (url, run_for, edges) = (url(central), seconds(plan.run_for), EDGES.to_string());
    let mut arguments = vec!["--url", url.as_str(), "--for", &run_for];
    if !more.contains(&"--edges") {
        arguments.extend(["--edges", &edges]);
    }
    arguments.extend(more);
    load_of(&bench(&arguments)).clean()
}

pub fn url(central: &Central) -> String {
    format!("http://{}:{}", central.ip, crate::common::central::API_PORT)
}

/// Starts it; how long until it could commit.
fn started(central: &mut Central) -> Duration {
    let start = Instant::now();
    central.start();
    start.elapsed()
}

/// Notes the largest size of the write-ahead log while `work` runs.
fn watching_wal<T>(central: &Central, largest: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let wal = central.data_directory().join("central.db-wal");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                largest.fetch_max(wal.metadata().map_or(0, |metadata| metadata.len()), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}

fn idle_cpu(central: &Central, table: &mut Table) {
    let before = cpu_ticks(central.pid());
    std::thread::sleep(IDLE);
    // A tick is 10 ms on every Linux we run on.
    let percent = (cpu_ticks(central.pid()) - before) as f64 / IDLE.as_secs_f64();
    table.line("idle CPU, % of a core", "one tick in ten seconds is 0.1", percent, Bar::AtMost(0.2));
}

/// CPU time used so far, in clock ticks.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).expect("its stat");
    // The name in brackets may contain spaces; user and system time are the 12th and 13th field after it.
    let after = stat.rsplit_once(')').expect("a name").1;
    after.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum()
}

pub fn rss_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    let kib: f64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib / 1_024.0
}
