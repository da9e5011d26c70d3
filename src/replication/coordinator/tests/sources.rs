//! When a source is left, and for whom.

use super::*;

#[test]
fn a_source_that_was_overtaken_for_a_second_is_left() {
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(9, 5);
    rig.has(1, &log, 3);
    rig.has(2, &log, 4);
    assert_eq!(rig.pass(999), NOTHING);
    assert_eq!(rig.pass(1), ["c1 unfollow 5", "c2 follow 5@0"]);
    assert_eq!(rig.coordinator.counters().stalls, 1);
    // When all are silent each is tried in turn, less and less often.
    let turns = rig.pass(120_000).len() / 2;
    assert!((5..=10).contains(&turns), "{turns}");
}

#[test]
fn a_source_that_is_behind_another_is_left_without_blame() {
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(9, 5);
    rig.has(1, &log, 3);
    rig.run(1, &log, 0, 3);
    rig.commit(&log, 3);
    assert_eq!(rig.has(2, &log, 4), ["c1 unfollow 5", "c2 follow 5@3"], "it may itself wait for us");
    rig.run(2, &log, 3, 5);
    rig.commit(&log, 5);
    assert_eq!(rig.has(1, &log, 6), NOTHING, "who forwards is given time");
    assert_eq!(rig.pass(99), NOTHING);
    assert_eq!(rig.pass(1), ["c2 unfollow 5", "c1 follow 5@5"], "nobody is avoided");
    assert_eq!(rig.coordinator.counters().stalls, 0);
    // The author is the one who writes: it is left only if it stalls.
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(1, 5);
    rig.has(1, &log, 3);
    rig.run(1, &log, 0, 3);
    rig.commit(&log, 3);
    assert_eq!(rig.has(2, &log, 4), NOTHING);
    assert_eq!(rig.pass(999), NOTHING);
    assert_eq!(rig.pass(1), ["c1 unfollow 5", "c2 follow 5@3"]);
    assert_eq!(rig.coordinator.counters().stalls, 1);
}

#[test]
fn a_source_that_keeps_up_or_is_busy_is_not_left() {
    let log = log_of(9, 5);
    // What the other announced came in time; it announces more all the time.
    let mut rig = Rig::linked(&[1, 2]);
    rig.has(1, &log, 1);
    rig.run(1, &log, 0, 2);
    rig.commit(&log, 2);
    for to in 3..50 {
        rig.has(2, &log, to);
        assert_eq!(rig.pass(99), NOTHING, "{to}");
        rig.run(1, &log, to - 1, to);
        rig.commit(&log, to);
    }
    // Its link is busy with another log.
    let mut rig = Rig::linked(&[1, 2]);
    let busy = log_of(9, 6);
    rig.has(1, &log, 3);
    rig.has(1, &busy, 100);
    rig.has(2, &log, 3);
    for to in 1..9 {
        assert_eq!(rig.pass(700), NOTHING);
        rig.run(1, &busy, to - 1, to);
        rig.commit(&busy, to);
    }
    assert_eq!(rig.pass(1_000), ["c1 unfollow 5", "c2 follow 5@0"]);
    // What it sent waits for our own commit, of this log or another.
    for slow in [log.clone(), busy] {
        let mut rig = Rig::linked(&[1, 2]);
        rig.has(1, &log, 3);
        rig.has(2, &log, 4);
        rig.has(1, &slow, 9);
        rig.run(1, &slow, 0, 1);
        assert_eq!(rig.pass(10_000), NOTHING, "{slow}");
        rig.commit(&slow, 1);
        assert_eq!(rig.pass(999), NOTHING, "a commit may be what it waited for");
        assert_eq!(rig.pass(500), ["c1 unfollow 5", format!("c2 follow 5@{}", rig.held.to(&log)).as_str()]);
    }
}

#[test]
fn the_only_source_is_asked_again_after_a_pause() {
    let mut rig = Rig::linked(&[1]);
    let log = log_of(1, 5);
    rig.has(1, &log, 9);
    for pause_ms in [1_000, 2_000, 4_000] {
        assert_eq!(rig.run(1, &log, 3, 5), ["c1 unfollow 5"]);
        assert_eq!(rig.wait_of(&log).unwrap().reason, WaitReason::SourceAvoided);
        assert_eq!(rig.pass(pause_ms - 1), NOTHING);
        assert_eq!(rig.pass(1), ["c1 follow 5@0"]);
    }
    assert_eq!(rig.coordinator.counters().gaps, 3);
}

#[test]
fn a_gap_ends_the_subscription_and_the_source_is_avoided_for_a_minute_doubling() {
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(1, 5);
    rig.has(2, &log, 8);
    assert_eq!(rig.has(1, &log, 9), ["c2 unfollow 5", "c1 follow 5@0"]);
    assert_eq!(rig.run(1, &log, 3, 5), ["c1 unfollow 5", "c2 follow 5@0"]);
    rig.run(2, &log, 0, 8);
    rig.commit(&log, 8);
    // It is avoided as long as another one holds as much.
    let mut to = 8;
    for seconds in [60, 120] {
        for second in 0..seconds {
            to += 1;
            rig.has(2, &log, to);
            assert_eq!(rig.has(1, &log, to), NOTHING, "{second} s of {seconds}");
            rig.run(2, &log, to - 1, to);
            rig.commit(&log, to);
            assert_eq!(rig.pass(1_000), NOTHING);
        }
        to += 1;
        rig.has(2, &log, to);
        assert_eq!(rig.has(1, &log, to), ["c2 unfollow 5", format!("c1 follow 5@{}", to - 1).as_str()]);
        assert_eq!(rig.run(1, &log, to + 3, to + 4)[0], "c1 unfollow 5");
        rig.run(2, &log, to - 1, to);
        rig.commit(&log, to);
    }
}
