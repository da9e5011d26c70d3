//! How memory, processor time and delay grow with the number of centrals, at 100 events per second at each.

use std::time::Duration;

use parkmesh::lab::simulation::{Options, Report, Topology, run};

use crate::Plan;
use crate::common::{DEADLINE, Mesh};
use crate::one::{cpu_ticks, rss_mib, url};
use crate::outside::{bench, load_of, seconds};
use crate::table::{Bar, Table};

pub const SIZES: [usize; 4] = [2, 3, 5, 10];
/// Events per second at each central, and the edges that make them.
const RATE: usize = 100;
const EDGES_EACH: usize = 2;
/// A tick of processor time, in µs, on every Linux we run on.
const TICK_US: f64 = 10_000.0;
/// The part of a load whose processor time is looked at.
const MIDDLE: f64 = 0.6;

/// Simulated meshes, in which everybody is linked with everybody.
const SIMULATED: [usize; 6] = [2, 3, 5, 10, 20, 50];
/// Of the whole mesh, in virtual ms.
const EVENT_EVERY_MS: u64 = 10;
const SIMULATED_MS: u64 = 20_000;

/// Messages and their bytes for each event, handshakes and HEARTBEATs of the time included: with nothing going wrong.
pub fn simulate() {
    for centrals in SIMULATED {
        let options = Options {
            centrals,
            topology: Topology::Full,
            chaos_ms: SIMULATED_MS,
            fault_every_ms: 0,
            // An author commits several at a time.
            author_every_ms: 3 * EVENT_EVERY_MS * centrals as u64,
            idle_ms: 1_000,
            ..Options::default()
        };
        let Report { events_written, figures, .. } = run(1, &options).expect("nothing goes wrong");
        let per_event = |count: u64| count as f64 / events_written as f64;
        println!(
            "{centrals} simulated centrals: {:.1} messages and {:.0} bytes per event ({events_written} events)",
            per_event(figures.frames),
            per_event(figures.frame_bytes)
        );
    }
}

/// What is used up in the middle part of the load, when all its edges are at work and nobody probes yet.
fn ticks_in_the_middle(run_for: Duration, ticks: impl Fn() -> u64) -> u64 {
    std::thread::sleep(run_for.mul_f64((1.0 - MIDDLE) / 2.0));
    let before = ticks();
    std::thread::sleep(run_for.mul_f64(MIDDLE));
    ticks() - before
}

pub fn measure(sizes: &[usize], plan: &Plan, table: &mut Table) {
    for &size in sizes {
        let mut mesh = Mesh::without_proxies(size);
        mesh.start_all();
        let ticks = || mesh.centrals.iter().map(|central| cpu_ticks(central.pid())).sum::<u64>();
        let (edges, rate, run_for) = ((EDGES_EACH * size).to_string(), RATE.to_string(), seconds(plan.run_for));
        let mut arguments = vec!["--edges", &edges, "--rate", &rate, "--for", &run_for];
        let urls: Vec<String> = mesh.centrals.iter().map(url).collect();
        arguments.extend(urls.iter().flat_map(|url| ["--url", url.as_str()]));
        let (report, used) = std::thread::scope(|scope| {
            let used = scope.spawn(|| ticks_in_the_middle(plan.run_for, ticks));
            (bench(&arguments), used.join().expect("it only reads"))
        });
        let load = load_of(&report).clean();
        let written = RATE as f64 * size as f64 * plan.run_for.as_secs_f64() * MIDDLE;
        let cpu_us = used as f64 * TICK_US / (written * size as f64);
        mesh.wait_equal(3 * DEADLINE);
        let mut memory: Vec<f64> = mesh.centrals.iter().map(|central| rss_mib(central.pid())).collect();
        memory.sort_by(f64::total_cmp);
        let (smallest, largest) = (memory[0], memory[size - 1]);
        let rate = format!("{:.0}/s in all for {} s, all equal", load.answers_per_s(), plan.run_for.as_secs());
        table.line(
            &format!("{size} centrals: p99 of the gates, ms"),
            &rate,
            load.latency_us("p99") / 1e3,
            Bar::AtMost(50.0),
        );
        table.line(
            &format!("{size} centrals: largest resident memory, MiB"),
            &format!("{smallest:.1} to {largest:.1} MiB"),
            largest,
            Bar::AtMost(50.0),
        );
        println!("  processor: {cpu_us:.0} µs per event and central that writes it");
        println!("  propagation at rest: {}", report["propagation"]["latency_us"]);
    }
}
