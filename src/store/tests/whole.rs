//! The check of a whole file finds what was broken, and nothing in what was not.

use super::*;
use crate::ledger::storage::StoredStay;
use crate::store::StoreError;
use crate::store::verify::{Evidence, Fault, Findings, verify};

/// Two logs of ten events, a car that came and one that left.
fn whole() -> Disk {
    let mut disk = Disk::new();
    disk.write(|writer| {
        for number in [1, 2] {
            let mut head = Head::empty(&log(number));
            for n in 1..=10 {
                head = append(writer, &log(number), head, &format!("event {n}"));
            }
        }
        writer.insert_stay(&car("29A12345", 1), true, 1).unwrap();
        writer.insert_stay(&left(car("30A12345", 2), 3), true, 1).unwrap();
    });
    disk
}

fn check(mut disk: Disk) -> Findings {
    disk.writer = None;
    verify(&DataDir::open(disk.path.path()).unwrap()).unwrap()
}

#[test]
fn a_whole_file_is_whole_also_right_after_a_crash() {
    let report = check(whole());
    assert_eq!(report, Findings { logs: 2, events: 20, rows: 2, ..Findings::default() });
}

#[test]
fn every_way_to_break_a_file_is_found() {
    let cases = [
        ("DELETE FROM event WHERE id = (1 << 40 | 5)", vec![Fault::Hole { log: log(1), seq: 5 }]),
        ("UPDATE event SET bytes = 'forged' WHERE id = (2 << 40 | 3)", vec![Fault::Chain { log: log(2), seq: 3 }]),
        ("DELETE FROM event WHERE id = (1 << 40 | 10)", vec![Fault::Head { log: log(1), said: 10, found: 9 }]),
        (
            "DELETE FROM log WHERE no = 2",
            vec![
                Fault::UnknownLog { number: 2 },
                Fault::Row { row_id: 2, why: StoreError::Value("log number 2".into()).to_string() },
            ],
        ),
        (
            "UPDATE history SET exit_event = (1 << 40 | 77) WHERE id = 2",
            vec![Fault::Fact { row_id: 2, event: at(1, 77) }],
        ),
        (
            "UPDATE history SET status = 'GONE' WHERE id = 1",
            vec![Fault::Row { row_id: 1, why: StoreError::Value("status \"GONE\"".into()).to_string() }],
        ),
    ];
    for (sql, findings) in cases {
        let mut disk = whole();
        disk.writer().connection().execute(sql, ()).unwrap();
        assert_eq!(check(disk).findings, findings, "{sql}");
    }
}

#[test]
fn the_evidence_is_every_event_in_order_and_every_row() {
    let mut disk = whole();
    disk.writer = None;
    let mut evidence = Evidence::open(&DataDir::open(disk.path.path()).unwrap()).unwrap();
    let mut heads = std::collections::BTreeMap::new();
    evidence
        .all_events(|at, bytes, hash| -> Result<(), StoreError> {
            let head = heads.entry(at.log.clone()).or_insert_with(|| Head::empty(&at.log));
            assert_eq!(at.seq, head.to + 1);
            assert_eq!(hash, head.hash.extend(&bytes));
            *head = Head { to: at.seq, hash };
            Ok(())
        })
        .unwrap();
    assert_eq!(heads.values().map(|head| head.to).collect::<Vec<_>>(), [10, 10]);
    let mut rows: Vec<StoredStay> = Vec::new();
    evidence
        .all_rows(|row| -> Result<(), StoreError> {
            rows.push(row);
            Ok(())
        })
        .unwrap();
    assert_eq!(rows.iter().map(|row| row.row_id).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_directory_in_use_or_without_a_file_is_not_checked() {
    let disk = whole();
    assert!(matches!(DataDir::open(disk.path.path()), Err(StoreError::Locked(_))));
    let empty = tempfile::tempdir().unwrap();
    let error = verify(&DataDir::open(empty.path()).unwrap()).unwrap_err();
    assert!(matches!(error, StoreError::Directory { .. }), "{error}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 1, "only the lock was made");
}
