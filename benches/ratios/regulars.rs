//! A gate of a central whose cars come back every day, over HTTP: beside strangers who read, and while the central catches up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parkmesh::ledger::job::Job;
use parkmesh::replication::log::Run;

use crate::common::flood::{Ends, FLOODER, call, connect_from, let_in};
use crate::common::{Central, DEADLINE, Mesh, eventually};
use crate::one::rss_mib;
use crate::returning::{CARS, DAYS, Held, START_MS, stay_of, two_logs};
use crate::table::{Bar, Table};

/// Presses timed in each half of a round.
const PRESSES: usize = 500;
const ROUNDS: usize = 5;
const READERS: usize = 40;

/// Writes the events of such a site where a central that does not run will find them.
fn fill(central: &Central, runs: impl IntoIterator<Item = Run>) {
    let mut held = Held::at(&central.id, central.data_directory());
    for run in runs {
        held.decide(vec![Job::Store(run)], START_MS);
    }
    held.settle();
    held.close();
}

/// Gates while so many strangers read fees, history, stories and sums, each again as soon as it is answered, and without them, in turns.
pub fn beside_readers(runs: &[Run], table: &mut Table) {
    let mut central = Central::new("central-1");
    fill(&central, runs.iter().cloned());
    central.start();
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let first = 2 * round * PRESSES;
        let quiet = worst_ms(let_in(&central, first..first + PRESSES));
        let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let beside = std::thread::scope(|scope| {
            for reader in 0..READERS {
                let (central, over, answered) = (&central, &over, &answered);
                scope.spawn(move || read_until(over, answered, central, reader));
            }
            let _ends = Ends(&over);
            eventually("all read", DEADLINE, || answered.load(Ordering::Relaxed) >= READERS);
            let_in(&central, first + PRESSES..first + 2 * PRESSES)
        });
        let beside = worst_ms(beside);
        println!("  p99 quiet {:.2} ms, beside {READERS} readers {:.2} ms, most {:.1} ms", quiet.0, beside.0, beside.1);
        rounds.push((beside.0, quiet.0));
    }
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (beside, quiet) = rounds[ROUNDS / 2];
    let name = format!("p99 of a gate beside {READERS} strangers who read / without");
    table.line(&name, &format!("{beside:.2} / {quiet:.2} ms"), beside / quiet, Bar::AtMost(2.0));
}

fn read_until(over: &AtomicBool, answered: &AtomicUsize, central: &Central, reader: usize) {
    let mut number = reader;
    while !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = connect_from(FLOODER, central) else { continue };
        loop {
            number += READERS + 1;
            let path = match number % 5 {
                0 => "/api/parking/fees".to_owned(),
                1 => format!("/api/parking/history?limit=100&offset={}", number * 97 % 60_000),
                2 => format!("/api/parking/history?limit=20&search={:03}", number % 1_000),
                3 => format!("/api/parking/history/{}/story", stay_of(number % DAYS, number % CARS)),
                _ => "/api/stats".to_owned(),
            };
            let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", central.ip);
            if call(&mut stream, &request).is_err() || over.load(Ordering::Relaxed) {
                break;
            }
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Gates of a central that has to catch up on all of it.
pub fn while_catching_up(runs: &[Run], table: &mut Table) {
    let events: usize = runs.iter().map(|run| run.events.len()).sum();
    let mut mesh = Mesh::without_proxies(2);
    fill(&mesh.centrals[0], runs.iter().cloned());
    mesh.centrals[1].start();
    let quiet = worst_ms(let_in(&mesh.centrals[1], 0..PRESSES));
    mesh.centrals[0].start();
    let start = Instant::now();
    let (mut times, mut next) = (Vec::new(), PRESSES);
    let has_all = |mesh: &Mesh| {
        let status = mesh.centrals[1].http.p2p_status();
        status["events"].as_u64().is_some_and(|held| held >= events as u64)
    };
    while !has_all(&mesh) {
        assert!(start.elapsed() < 10 * DEADLINE, "caught up");
        times.extend(let_in(&mesh.centrals[1], next..next + 20));
        next += 20;
    }
    let took = start.elapsed();
    let presses = times.len();
    let (p99, most) = worst_ms(times);
    let measured =
        format!("{events} events in {:.1} s, {presses} presses; quiet {:.2} ms", took.as_secs_f64(), quiet.0);
    table.line("gates while catching up on cars that return, p99 ms", &measured, p99, Bar::AtMost(50.0));
    table.line("the longest of them, ms", "", most, Bar::AtMost(250.0));
}

/// Memory of a central with a year of 5,000 cars a day, of which every fifth comes once, beside an empty one.
pub fn a_year(table: &mut Table) {
    const DAILY: usize = 5_000;
    let (mut empty, mut full) = (Central::new("central-1"), Central::new("central-2"));
    let car = |day: usize, n: usize| if n.is_multiple_of(5) { DAILY + day * DAILY / 5 + n / 5 } else { n };
    // A log for each fifth of a year, so that not all of it is in memory at once.
    fill(&full, (0..5).flat_map(|fifth| two_logs(73 * fifth..73 * (fifth + 1), DAILY, car)));
    let used = |central: &mut Central| {
        central.start();
        let_in(central, 0..PRESSES);
        rss_mib(central.pid())
    };
    let (with, without) = (used(&mut full), used(&mut empty));
    let measured = format!("{with:.1} / {without:.1} MiB, {} events", 2 * 365 * DAILY);
    table.line("memory with a year of 5,000 cars a day / without", &measured, with / without, Bar::AtMost(1.5));
}

/// The 99th of a hundred, and the longest.
fn worst_ms(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let ms = |at: usize| times[at].as_secs_f64() * 1e3;
    (ms(times.len() * 99 / 100 - 1), ms(times.len() - 1))
}
