//! Disks that are full, files that are not ours, two processes on one directory, a crash.

use std::fs;

use super::*;
use crate::domain::direction::Direction;
use crate::domain::ids::{CentralId, Epoch};
use crate::ledger::job::{Beside, Job, OpenBarrier};
use crate::ledger::transaction::TransactionTime;
use crate::ledger::{Context, Ledger};
use crate::store::StoreError;
use crate::store::directory::DATABASE_FILE;

fn open(path: &std::path::Path) -> Result<Writer, StoreError> {
    Writer::open(&DataDir::open(path)?, zone())
}

#[test]
fn what_was_not_committed_is_gone_after_a_crash_and_what_was_is_there() {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    disk.write(|writer| {
        head = append(writer, &log(1), head, "kept");
        writer.insert_stay(&car("29A12345", 1), true, 1).unwrap();
    });
    let writer = disk.writer();
    writer.begin().unwrap();
    append(writer, &log(1), head, "lost");
    append(writer, &log(2), Head::empty(&log(2)), "lost");
    writer.insert_stay(&car("30A12345", 2), true, 1).unwrap();
    let loaded = disk.reopen().load().unwrap();
    assert_eq!(loaded.heads, [(log(1), head)]);
    assert_eq!(loaded.inside.len(), 1);
    let writer = disk.writer();
    assert_eq!(writer.event(&at(1, 2)).unwrap(), None);
    assert_eq!(writer.event(&at(2, 1)).unwrap(), None);
}

#[test]
fn a_full_disk_loses_the_transaction_and_nothing_else() {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    disk.write(|writer| head = append(writer, &log(1), head, "kept"));
    let pages: i64 = disk.writer().connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    disk.writer().connection().pragma_update(None, "max_page_count", pages + 8).unwrap();

    let writer = disk.writer();
    writer.begin().unwrap();
    let long = "x".repeat(2_000);
    let error = (2..1_000)
        .find_map(|seq| writer.append_event(&at(2, seq), &long.as_str().into(), ChainHash([0; 32]), 1).err())
        .expect("eight pages do not hold a thousand events");
    assert!(matches!(error, StoreError::DiskFull(_)), "{error}");
    assert!(error.to_string().contains("free some space"));
    writer.rollback();
    assert_eq!(writer.load().unwrap().heads, [(log(1), head)]);

    // A small transaction still fits, and once there is room again a large one does.
    disk.write(|writer| head = append(writer, &log(1), head, "small"));
    disk.writer().connection().pragma_update(None, "max_page_count", 1_000_000).unwrap();
    disk.write(|writer| {
        for _ in 0..1_000 {
            head = append(writer, &log(1), head, &long);
        }
    });
    assert_eq!(disk.reopen().load().unwrap().heads, [(log(1), head)]);
}

#[test]
fn a_commit_that_fails_leaves_the_connection_ready_for_the_next() {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    disk.write(|writer| head = append(writer, &log(1), head, "kept"));
    let writer = disk.writer();
    writer.begin().unwrap();
    append(writer, &log(1), head, "lost");
    writer.connection().commit_hook(Some(|| true)).unwrap();
    assert!(writer.commit().is_err());
    writer.connection().commit_hook(None::<fn() -> bool>).unwrap();
    assert_eq!(writer.event(&at(1, 2)).unwrap(), None);
    disk.write(|writer| head = append(writer, &log(1), head, "kept too"));
    assert_eq!(disk.reopen().load().unwrap().heads, [(log(1), head)]);
}

/// A ledger that lets cars in and out, one a second.
struct Gate {
    ledger: Ledger<Writer>,
    wall_ms: i64,
}

impl Gate {
    fn pass(&mut self, cars: impl Iterator<Item = (u32, Direction)>) {
        self.wall_ms += 1_000;
        let open = |(number, direction)| OpenBarrier {
            edge_id: "edge-1".to_owned(),
            plate: plate(&format!("29A{:05}", number * 7_919 % 100_000)),
            plate_view: None,
            direction: Some(direction),
            camera_type: "car".to_owned(),
            confidence: Some(0.95),
            request_id: Some(format!("{direction:?}-{number}-1c9e6679-7425-40de-944b-e07fc1f90ae7")),
            force: false,
            reason: None,
            fee: None,
            notes: Vec::new(),
            beside: Beside::default(),
        };
        let jobs = cars.map(|car| Job::Open(open(car))).collect();
        let done = self.ledger.process(
            jobs,
            TransactionTime { wall_ms: self.wall_ms, skew_ms: None, clock_wrong: false },
            Epoch(1),
        );
        assert!(done.outcomes.iter().all(Result::is_ok), "{:?}", done.outcomes);
    }

    /// The pages a transaction took.
    fn pages(&mut self, transaction: impl FnOnce(&mut Self)) -> u64 {
        let before = self.ledger.storage_mut().wal_bytes();
        transaction(self);
        let after = self.ledger.storage_mut().wal_bytes();
        // The log may have started over.
        after.checked_sub(before).unwrap_or(after) / 4_120
    }
}

#[test]
fn a_probe_takes_as_many_pages_as_the_largest_event_and_leaves_nothing() {
    let mut disk = Disk::new();
    let context = Context { central: CentralId::new("central-1").unwrap(), zone: zone() };
    let ledger = Ledger::open(disk.writer.take().unwrap(), context).unwrap();
    let mut gate = Gate { ledger, wall_ms: 1_733_140_800_000 };
    gate.pass((0..10_000).map(|number| (number, Direction::Entry)));
    let probe = gate.pages(|gate| gate.ledger.storage_mut().probe(true).unwrap());
    let mut events: Vec<u64> = (0..500)
        .flat_map(|number| [(10_000 + number, Direction::Entry), (number * 9, Direction::Exit)])
        .map(|car| gate.pages(|gate| gate.pass([car].into_iter())))
        .collect();
    events.sort_unstable();
    let (usual, largest) = (events[events.len() / 2], events[events.len() - 1]);
    assert!((largest..2 * largest).contains(&probe), "{probe} pages; an event {usual}, the largest {largest}");
    let writer = gate.ledger.storage_mut();
    let size = |writer: &mut Writer| -> i64 {
        writer.connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap()
    };
    writer.probe(true).unwrap();
    let before = size(writer);
    for _ in 0..20 {
        writer.probe(true).unwrap();
    }
    assert_eq!(size(writer), before, "free pages are taken again");
    let long = writer.wal_bytes();
    writer.probe(false).unwrap();
    assert!(
        (1..=2).contains(&((writer.wal_bytes() - long) / 4_120)),
        "asking whether it is ready writes a page or two"
    );
    assert!(disk.sql("SELECT * FROM quarantine").is_empty());
}

#[test]
fn a_directory_has_one_owner() {
    let mut disk = Disk::new();
    let error = open(disk.path.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked(_)), "{error}");
    disk.reopen();
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_not_changed() {
    let mut disk = Disk::new();
    disk.writer.take().unwrap().close().unwrap();
    let path = disk.path.path().join(DATABASE_FILE);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    let error = open(disk.path.path()).unwrap_err();
    assert!(matches!(error, StoreError::NewerVersion { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("newer"), "{error}");
    assert!(Reader::open(disk.path.path()).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn files_that_are_not_ours_are_told_apart() {
    type Make = fn(&std::path::Path);
    let cases: [(&str, Make, &str); 4] = [
        (
            "text",
            |path| fs::write(path, "not a database at all, but long enough ".repeat(99)).unwrap(),
            "not_a_database",
        ),
        (
            "another program's",
            |path| rusqlite::Connection::open(path).unwrap().execute_batch("CREATE TABLE theirs(a)").unwrap(),
            "not_a_database",
        ),
        ("a directory", |path| fs::create_dir(path).unwrap(), "data_dir_unusable"),
        (
            "damaged",
            |path| {
                let directory = path.parent().unwrap();
                open(directory).unwrap().close().unwrap();
                let mut bytes = fs::read(path).unwrap();
                bytes[100..].fill(0x55);
                fs::write(path, bytes).unwrap();
            },
            "database_corrupt",
        ),
    ];
    for (name, make, code) in cases {
        let directory = tempfile::tempdir().unwrap();
        make(&directory.path().join(DATABASE_FILE));
        let error = open(directory.path()).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
    }
}

#[test]
fn closing_leaves_one_whole_file() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        append(writer, &log(1), Head::empty(&log(1)), "kept");
    });
    disk.writer.take().unwrap().close().unwrap();
    let mut names: Vec<_> = fs::read_dir(disk.path.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["central.db", "lock"]);
}

#[test]
fn the_documented_queries_work_on_the_file() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        let first = writer.insert_stay(&car("29A12345", 1_733_140_800_000), true, 1_733_140_800_500).unwrap();
        writer.insert_stay(&car("30A12345", 1_733_140_801_000), false, 1_733_140_801_500).unwrap();
        writer
            .update_stay(first, &left(car("29A12345", 1_733_140_800_000), 1_733_146_260_000), 1_733_146_260_500)
            .unwrap();
        writer.record_sync("central-2", 1_733_140_800_000).unwrap();
    });
    disk.writer().record_sync("central-2", 1_733_140_900_000).unwrap();
    assert_eq!(disk.sql("SELECT plate_id FROM history WHERE sync_status = 'SYNCED'"), ["30A12345"]);
    assert_eq!(disk.sql("SELECT plate_id FROM history WHERE sync_status = 'LOCAL'"), ["29A12345"]);
    assert_eq!(disk.sql("SELECT entry_time FROM history WHERE plate_id='29A12345'"), ["2024-12-02 19:00:00"]);
    assert_eq!(disk.sql("SELECT exit_time FROM history WHERE plate_id='29A12345'"), ["2024-12-02 20:31:00"]);
    assert_eq!(
        disk.sql("SELECT created_at || ' ' || updated_at FROM history WHERE id = 1"),
        ["2024-12-02 12:00:00 2024-12-02 13:31:00"]
    );
    assert_eq!(disk.sql("SELECT entry_camera_name FROM history WHERE id = 1"), ["central-1/edge-1"]);
    assert!(disk.sql("SELECT event_id, COUNT(*) FROM history GROUP BY event_id HAVING COUNT(*) > 1").is_empty());
    assert_eq!(
        disk.sql("SELECT peer_central_id || ' ' || last_sync_timestamp FROM p2p_sync_state"),
        ["central-2 1733140900000"]
    );
}

/// As sqlite3 or a program for backups does it: SQLite draws other numbers for the log then, and all that is in it is ours.
#[test]
fn a_log_that_another_program_emptied_is_ours_whatever_its_numbers() {
    for without_index in [false, true] {
        let mut disk = Disk::new();
        let mut head = Head::empty(&log(1));
        disk.write(|writer| head = append(writer, &log(1), head, "before"));
        let other = rusqlite::Connection::open(disk.path.path().join(DATABASE_FILE)).unwrap();
        other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
        drop(other);
        for _ in 0..3 {
            disk.write(|writer| head = append(writer, &log(1), head, "acknowledged"));
            assert_eq!(disk.writer().watch().files, None);
        }
        // What a crash leaves.
        let crashed = tempfile::tempdir().unwrap();
        for name in ["central.db", "central.db-wal", "central.db-shm", "lock"] {
            if !(without_index && name == "central.db-shm") {
                fs::copy(disk.path.path().join(name), crashed.path().join(name)).unwrap();
            }
        }
        let mut writer = open(crashed.path()).unwrap();
        assert!(writer.found().is_empty(), "{:?}", writer.found());
        assert_eq!(writer.load().unwrap().heads, [(log(1), head)]);
    }
}
