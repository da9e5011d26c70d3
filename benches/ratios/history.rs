//! A central with a long history and nobody inside, beside an empty one: rate and start.

use std::time::{Duration, Instant};

use crate::Plan;
use crate::common::Central;
use crate::one::{drive, in_turns};
use crate::table::{Bar, Table};

/// Most events are written in loads of this length.
const FILL: Duration = Duration::from_secs(30);
/// Starts, of which the middle one counts.
const STARTS: usize = 5;

pub fn measure(plan: &Plan, table: &mut Table) {
    let mut empty = Central::new("central-1");
    let start_empty = starts(&mut empty);
    let mut long = Central::new("central-2");
    long.start();
    let fill = Plan { run_for: FILL, ..plan.clone() };
    let mut events = 0.0;
    // Every car that comes in leaves.
    while events / 2.0 < plan.history_rows as f64 {
        events += drive(&long, &[], &fill).answers();
        println!("  {:.2} M rows", events / 2e6);
    }
    let rows = format!("{:.1} M rows", events / 2e6);
    let (with, without) = in_turns(&long, &empty, plan);
    let measured = format!("{with:.0} / {without:.0} per s, {rows}");
    table.line("rate with a long history / without", &measured, with / without, Bar::AtLeast(0.8));
    long.terminate();
    let start_long = starts(&mut long);
    let measured = format!("{} ms, empty {} ms, {rows}", start_long.as_millis(), start_empty.as_millis());
    let ratio = start_long.as_secs_f64() / start_empty.as_secs_f64();
    table.line("start with a long history / empty", &measured, ratio, Bar::AtMost(1.5));
}

/// Starts it again and again, and leaves it running; how long it took in the middle until it could commit.
fn starts(central: &mut Central) -> Duration {
    let mut took: Vec<Duration> = (0..STARTS)
        .map(|round| {
            if round > 0 {
                central.terminate();
            }
            let start = Instant::now();
            central.start();
            start.elapsed()
        })
        .collect();
    took.sort_unstable();
    took[STARTS / 2]
}
