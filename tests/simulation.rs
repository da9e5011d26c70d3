//! Meshes of ledgers in which everything goes wrong, from seeds: the first of those `parkmesh simulate` runs.
//!
//! On as many threads as there are cores; what they simulate does not depend on that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use parkmesh::lab::simulation::{Campaign, Options, Seeds};
use parkmesh::ops::process::on_all_cores;

/// No kind of fault is missing among them. As many as there is time for: `parkmesh simulate --seeds 100000`.
const SEEDS: u64 = 1_000;

#[test]
fn meshes_of_ledgers_make_the_same_of_the_same_events_after_any_faults() {
    let seeds = Seeds::new(0..SEEDS);
    let mut all = Campaign::default();
    for part in on_all_cores(|| seeds.campaign(Options::of_seed, |_| {})) {
        all.join(&part.unwrap_or_else(|failure| {
            panic!("{failure}\nagain: cargo run --release -- simulate --seeds 1 --from {}", failure.seed)
        }));
    }
    println!("{all}");
    assert_eq!(all.seeds, SEEDS);
    assert!(all.least.is_some_and(|least| least.centrals >= 3 && least.events >= 200 && least.faults >= 5));
    assert_eq!(all.never(), Vec::<&str>::new(), "what never came proves nothing");
}
