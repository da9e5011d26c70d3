//! Single centrals: rate, tail, single calls, cars inside, memory, idle CPU.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::Plan;
use crate::commits::{Commits, metrics};
use crate::common::Central;
use crate::outside::{EDGES, Load, Yardsticks, bench, load_of, seconds};
use crate::table::{Bar, Table};

/// The bound on the write-ahead log.
const WAL_MIB: f64 = 64.0;
const MIB: f64 = 1_048_576.0;
/// How long an idle central is watched.
const IDLE: Duration = Duration::from_secs(10);

/// A yardstick and what is held against it are measured in turns, so many times; the median of the ratios counts.
const ROUNDS: usize = 3;
/// Two centrals are driven in turns, so many times each; the medians count.
const TURNS: usize = 5;

/// One central that is asked, and beside it one that has many cars inside.
pub fn measure(plan: &Plan, table: &mut Table) -> Yardsticks {
    let empty = started("central-1");
    table.line("resident memory idle, MiB", "", rss_mib(empty.pid()), Bar::AtMost(20.0));
    idle_cpu(&empty, table);

    let wal_bytes = AtomicU64::new(0);
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| Round::run(&wal_bytes, plan)).collect();
    let one = middle(&rounds, |round| round.one.latency_us("p50") / round.yardsticks.alone_us());
    let measured =
        format!("p50 {:.0} µs, F1 + idle POST {:.0} µs", one.one.latency_us("p50"), one.yardsticks.alone_us());
    table.line(
        "one edge: median / (F1 + idle POST)",
        &measured,
        one.one.latency_us("p50") / one.yardsticks.alone_us(),
        Bar::AtMost(1.3),
    );
    // The same two in one program: a core that sleeps between requests is slower to wake than one that commits without pause.
    let one = middle(&rounds, |round| round.one.latency_us("p50") / round.yardsticks.committing_idle_us);
    let (median, committing) = (one.one.latency_us("p50"), one.yardsticks.committing_idle_us);
    let measured = format!("p50 {median:.0} µs, {committing:.0} µs");
    table.line("one edge: median / POST with F1's commit in it", &measured, median / committing, Bar::AtMost(1.3));
    let many = middle(&rounds, |round| round.many.answers_per_s() / round.yardsticks.limit());
    let (rate, limit) = (many.many.answers_per_s(), many.yardsticks.limit());
    table.line("64 edges: rate / L", &format!("{rate:.0}/s, L = {limit:.0}/s"), rate / limit, Bar::AtLeast(0.6));
    let fresh = middle(&rounds, |round| round.fresh.answers_per_s() / round.yardsticks.limit());
    let (rate, limit) = (fresh.fresh.answers_per_s(), fresh.yardsticks.limit());
    let measured = format!("{rate:.0}/s, L = {limit:.0}/s");
    table.line("64 edges, cars that come once: rate / L", &measured, rate / limit, Bar::AtLeast(0.6));
    let tail = middle(&rounds, |round| round.many.latency_us("p99") / round.many.latency_us("p50"));
    let (p50, p99) = (tail.many.latency_us("p50") / 1e3, tail.many.latency_us("p99") / 1e3);
    table.line("64 edges: p99 / p50", &format!("p50 {p50:.2} ms, p99 {p99:.2} ms"), p99 / p50, Bar::AtMost(3.0));
    let wal = wal_bytes.load(Ordering::Relaxed) as f64 / MIB;
    table.line("largest WAL / 64 MiB", &format!("{wal:.0} MiB"), wal / WAL_MIB, Bar::AtMost(1.0));

    let full = started("central-2");
    let filled = drive(&full, &["--fill", &plan.inside.to_string()], plan);
    // Both have a history; what differs is who is inside.
    let mut driven = 0.0;
    while driven < plan.inside as f64 + filled.answers() {
        driven += drive(&empty, &[], plan).answers();
    }
    let (with, without) = in_turns(&full, &empty, plan);
    let measured = format!("{with:.0} / {without:.0} per s, {} inside", plan.inside);
    table.line("rate with cars inside / without", &measured, with / without, Bar::AtLeast(0.95));
    let mut events = plan.inside as f64 + filled.answers();
    while events < plan.events as f64 {
        events += drive(&full, &[], plan).answers();
    }
    table.line(
        "resident memory after many events, MiB",
        &format!("{events:.0} events, {} cars inside", plan.inside),
        rss_mib(full.pid()),
        Bar::AtMost(60.0),
    );
    rounds.into_iter().next_back().expect("a round").yardsticks
}

fn started(id: &str) -> Central {
    let mut central = Central::new(id);
    central.start();
    central
}

/// The yardsticks, and at once what is held against them.
struct Round {
    yardsticks: Yardsticks,
    one: Load,
    many: Load,
    /// As `many`, of cars that come once.
    fresh: Load,
}

impl Round {
    /// With a new central, as the yardsticks have new databases.
    fn run(wal_bytes: &AtomicU64, plan: &Plan) -> Self {
        let central = started("central-3");
        let one = drive(&central, &["--edges", "1"], plan);
        let before = metrics(&central);
        let many = watching_wal(&central, wal_bytes, || drive(&central, &[], plan));
        let commits = Commits::between(&before, &metrics(&central));
        let fresh = drive(&central, &["--fresh-plates"], plan);
        drop(central);
        let yardsticks = Yardsticks::measure(plan, commits.events_each.round() as u32);
        yardsticks.print();
        Self { yardsticks, one, many, fresh }
    }
}

/// The round with the median of `ratio`.
fn middle(rounds: &[Round], ratio: impl Fn(&Round) -> f64) -> &Round {
    let mut sorted: Vec<&Round> = rounds.iter().collect();
    sorted.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    sorted[sorted.len() / 2]
}

/// The medians of the rates of two centrals driven in turns.
pub fn in_turns(first: &Central, second: &Central, plan: &Plan) -> (f64, f64) {
    let mut rates = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        rates.0.push(drive(first, &[], plan).answers_per_s());
        rates.1.push(drive(second, &[], plan).answers_per_s());
    }
    let median = |mut rates: Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    (median(rates.0), median(rates.1))
}

pub fn drive(central: &Central, more: &[&str], plan: &Plan) -> Load {
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
pub fn cpu_ticks(pid: u32) -> u64 {
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
