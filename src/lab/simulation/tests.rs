//! Seeds that have to hold.

use super::*;

fn hold(seeds: std::ops::Range<u64>, options: &Options) -> Campaign {
    let mut all = Campaign::default();
    for seed in seeds {
        all.add(&run(seed, options).unwrap_or_else(|failure| panic!("{failure}")));
    }
    all
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let options = Options::default();
    assert_eq!(run(11, &options).unwrap(), run(11, &options).unwrap());
    assert_ne!(run(11, &options).unwrap(), run(12, &options).unwrap());
}

#[test]
fn without_faults_events_are_everywhere_at_once() {
    let options = Options { fault_every_ms: 0, chaos_ms: 10_000, ..Options::default() };
    let report = hold(0..10, &options);
    assert!(report.total.faults.is_empty());
    assert!(report.total.events_acknowledged > 100);
    assert!(report.total.converged_after_ms < 500, "{report:?}");
    assert!(report.total.propagated_after_ms < 500, "{report:?}");
    assert_eq!((report.total.stalls, report.total.gaps), (0, 0));
}

#[test]
fn three_centrals_agree_after_any_faults() {
    let report = hold(1_000..1_040, &Options::default());
    for kind in ["cut", "half_open", "one_way", "partition", "pause", "slow_disk", "failing_disk", "died_within_commit"]
    {
        assert!(report.total.faults.contains_key(kind), "no {kind} in {report:?}");
    }
    assert!(report.total.relinked_after_ms <= 6_000, "{report:?}");
    assert!(report.total.idle_wakeups_per_s <= 20, "a timer of each link and nothing else: {report:?}");
}

#[test]
fn a_line_of_centrals_relays_everything() {
    let options = Options { centrals: 4, topology: Topology::Line, chaos_ms: 30_000, ..Options::default() };
    hold(2_000..2_020, &options);
}

#[test]
fn a_ring_of_five_agrees_after_any_faults() {
    let options = Options { centrals: 5, topology: Topology::Ring, chaos_ms: 30_000, ..Options::default() };
    hold(3_000..3_010, &options);
}

#[test]
fn disks_that_forget_their_last_commits_get_them_back_from_the_peers() {
    let options = Options { lying_disks: true, chaos_ms: 30_000, ..Options::default() };
    hold(4_000..4_040, &options);
}

fn held(seeds: std::ops::Range<u64>) -> Campaign {
    campaign(seeds, Options::of_seed, |_| {}).unwrap_or_else(|failure| panic!("{failure}"))
}

/// `SIMULATION_SEEDS=5000..9000 cargo test --release simulation -- --ignored --nocapture`
#[test]
#[ignore = "as many seeds as there is time for"]
fn any_number_of_seeds() {
    let range = std::env::var("SIMULATION_SEEDS").unwrap_or_else(|_| "10000..11000".into());
    let (from, to) = range.split_once("..").expect("from..to");
    println!("{}", held(from.parse().unwrap()..to.parse().unwrap()));
}
