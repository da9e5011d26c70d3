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

use std::sync::atomic::{AtomicU64, Ordering};

use parkmesh::simulation::{Campaign, Options, campaign};

/// Enough that no kind of fault may be missing. `parkmesh simulate --seeds 100000` runs more.
const SEEDS: u64 = 120;

#[test]
fn meshes_of_ledgers_make_the_same_of_the_same_events_after_any_faults() {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = Campaign::default();
    std::thread::scope(|scope| {
        let simulate = || {
            let mut held = Campaign::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= SEEDS {
                    return held;
                }
                let one = campaign(seed..seed + 1, Options::of_seed, |_| {}).unwrap_or_else(|failure| {
                    panic!("{failure}\nagain: cargo run --release -- simulate --seeds 1 --from {seed}")
                });
                held.join(&one);
            }
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(simulate)).collect();
        for thread in running {
            all.join(&thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    println!("{all}");
    assert_eq!(all.seeds, SEEDS);
    assert!(all.least.is_some_and(|least| least.centrals >= 3 && least.events >= 200 && least.faults >= 5));
    assert_eq!(all.never(), Vec::<&str>::new(), "what never came proves nothing");
}
