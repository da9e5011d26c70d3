//! A busy gate while one address elsewhere asks as fast as it can, and while nothing else happens, in turns.

use std::time::Duration;

use crate::common::Central;
use crate::common::flood::{Flood, let_in};
use crate::table::{Bar, Table};

const ROUNDS: usize = 5;
const CARS: usize = 300;

pub fn measure(table: &mut Table) {
    let mut central = Central::new("central-1");
    central.start();
    let flood = Flood::default();
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let first = 2 * round * CARS;
        let quiet = p99_ms(let_in(&central, first..first + CARS));
        let flooded = p99_ms(flood.during(&central, || let_in(&central, first + CARS..first + 2 * CARS)));
        println!("  p99 of {CARS} cars: quiet {quiet:.2} ms, in the flood {flooded:.2} ms");
        rounds.push((flooded, quiet));
    }
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (flooded, quiet) = rounds[ROUNDS / 2];
    let measured = format!("{flooded:.2} / {quiet:.2} ms; {} turned away", flood.turned_away.into_inner());
    table.line("p99 of a gate, another address floods / without", &measured, flooded / quiet, Bar::AtMost(2.0));
}

fn p99_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() * 99 / 100 - 1].as_secs_f64() * 1e3
}
