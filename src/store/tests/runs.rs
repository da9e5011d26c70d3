//! Runs of a log as links read them.

use super::*;
use crate::store::StoreError;

fn with_events(count: u64) -> (Disk, Head) {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    disk.write(|writer| {
        for n in 1..=count {
            head = append(writer, &log(1), head, &format!("event {n:04}"));
            append(writer, &log(2), Head { to: n - 1, hash: head.hash }, "of another log");
        }
    });
    (disk, head)
}

#[test]
fn runs_follow_each_other_to_the_head_and_their_chain_holds() {
    let (disk, head) = with_events(100);
    let mut reader = disk.reader();
    let mut have = Head::empty(&log(1));
    let mut runs = 0;
    while let Some(run) = reader.run(&log(1), have.to, 100).unwrap() {
        assert_eq!((run.after, run.prev), (have.to, have.hash));
        assert!(run.chain_holds());
        assert!(run.bytes() <= 100 && run.bytes() > 80, "{}", run.bytes());
        have = run.head();
        runs += 1;
    }
    assert_eq!(have, head);
    assert_eq!(runs, 10);
    assert_eq!(reader.head(&log(1)).unwrap(), Some(head));
}

#[test]
fn a_run_holds_at_least_one_event_however_small_the_limit() {
    let (disk, _) = with_events(3);
    let run = disk.reader().run(&log(1), 1, 0).unwrap().unwrap();
    assert_eq!(run.events.iter().map(|event| &**event).collect::<Vec<_>>(), ["event 0002"]);
}

#[test]
fn there_is_no_run_beyond_the_head_or_of_an_unknown_log() {
    let (disk, _) = with_events(3);
    let mut reader = disk.reader();
    assert_eq!(reader.run(&log(1), 3, 1_000).unwrap(), None);
    assert_eq!(reader.run(&log(1), 4, 1_000).unwrap(), None);
    assert_eq!(reader.run(&log(7), 0, 1_000).unwrap(), None);
    assert_eq!(reader.head(&log(7)).unwrap(), None);
}

#[test]
fn a_reader_learns_of_logs_and_events_committed_after_it_was_opened() {
    let mut disk = Disk::new();
    let mut reader = disk.reader();
    assert_eq!(reader.run(&log(1), 0, 1_000).unwrap(), None);
    disk.write(|writer| {
        append(writer, &log(1), Head::empty(&log(1)), "one");
    });
    assert_eq!(reader.run(&log(1), 0, 1_000).unwrap().unwrap().events.len(), 1);
    assert_eq!(reader.heads().unwrap().len(), 1);
}

#[test]
fn a_hole_in_a_log_is_an_error_and_never_a_run() {
    let (mut disk, _) = with_events(10);
    disk.writer()
        .connection()
        .execute("DELETE FROM event WHERE id & 0xffffffffff = 5 AND bytes LIKE 'event%'", ())
        .unwrap();
    let mut reader = disk.reader();
    let error = reader.run(&log(1), 0, 1_000).unwrap_err();
    assert!(matches!(error, StoreError::Hole { seq: 5, .. }), "{error}");
    assert!(reader.run(&log(1), 4, 1_000).is_err());
    assert!(reader.run(&log(1), 5, 1_000).is_err(), "its predecessor's hash is missing");
    assert!(reader.run(&log(1), 6, 1_000).is_ok());
}

/// Whatever their own clocks: what a gate tells late, and an exit that is written anew, has an earlier one than what lies before it.
#[test]
fn what_came_before_a_time_is_found_by_when_it_came() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        let mut head = Head::empty(&log(1));
        for seq in 1..=7 {
            let event = EventBytes::from(format!("event {seq}").as_str());
            head = Head { to: seq, hash: head.hash.extend(&event) };
            writer.append_event(&at(1, seq), &event, head.hash, i64::try_from(seq).unwrap() * 10).unwrap();
            writer.set_head(&log(1), head).unwrap();
        }
    });
    let mut reader = disk.reader();
    for (before_ms, count) in [(0, 0), (10, 0), (11, 1), (45, 4), (70, 6), (71, 7), (1_000, 7)] {
        assert_eq!(reader.events_before(&log(1), 7, before_ms).unwrap(), count, "{before_ms}");
    }
}
