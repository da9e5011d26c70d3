//! The write-ahead log stays small, whoever reads meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::store::checkpoint::MAX_WAL_BYTES;
use crate::store::reader::HistoryQuery;

/// Writes `transactions` of some 4 MB each and returns the largest log seen.
fn flood(disk: &mut Disk, head: &mut Head, transactions: usize) -> u64 {
    let bytes = "x".repeat(4_000);
    let mut largest = 0;
    for _ in 0..transactions {
        disk.write(|writer| {
            for _ in 0..1_000 {
                *head = append(writer, &log(1), *head, &bytes);
            }
        });
        let writer = disk.writer();
        writer.make_room();
        let on_disk = std::fs::metadata(disk.path.path().join("central.db-wal")).unwrap().len();
        largest = largest.max(on_disk).max(disk.writer().wal_bytes());
    }
    largest
}

#[test]
fn the_log_stays_under_its_bound_while_readers_read() {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (mut reader, stop) = (disk.reader(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut runs = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    let held = reader.head(&log(1)).unwrap().map_or(0, |head| head.to);
                    runs += u64::from(reader.run(&log(1), held / 2, 256 * 1024).unwrap().is_some());
                    reader.history(&HistoryQuery::default()).unwrap();
                }
                runs
            })
        })
        .collect();
    let largest = flood(&mut disk, &mut head, 50);
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().unwrap() > 0);
    }
    assert!(largest <= MAX_WAL_BYTES, "{largest} bytes");
    assert!(largest > MAX_WAL_BYTES / 16, "200 MB went through {largest} bytes");
    assert_eq!(disk.reopen().load().unwrap().heads, [(log(1), head)]);
}

#[test]
fn a_reader_of_an_old_state_stops_no_commit_and_the_log_shrinks_once_it_is_gone() {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    flood(&mut disk, &mut head, 1);
    let other = rusqlite::Connection::open(disk.path.path().join("central.db")).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM event").unwrap();
    flood(&mut disk, &mut head, 20);
    let held: i64 = other.query_row("SELECT count(*) FROM event", (), |row| row.get(0)).unwrap();
    assert_eq!(held, 1_000, "the other program still sees its own moment");
    assert!(disk.writer().wal_bytes() > MAX_WAL_BYTES, "nothing could be taken from the log");
    drop(other);
    flood(&mut disk, &mut head, 2);
    assert!(disk.writer().wal_bytes() < MAX_WAL_BYTES);
    assert_eq!(disk.writer().load().unwrap().heads, [(log(1), head)]);
}

/// A backup of a large database holds the log for a while and then lets it go: nothing a person has to see to.
#[test]
fn a_log_that_grows_behind_a_backup_alarms_nobody() {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    flood(&mut disk, &mut head, 1);
    let scratch = disk.path.path().join("backup-scratch");
    std::fs::create_dir(&scratch).unwrap();
    let copying = scratch.join("central.db.copying");
    std::fs::write(&copying, "").unwrap();
    let other = rusqlite::Connection::open(disk.path.path().join("central.db")).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM event").unwrap();
    flood(&mut disk, &mut head, 20);
    assert!(disk.writer().wal_bytes() > MAX_WAL_BYTES);
    assert_eq!(disk.writer().watch().log, None, "while it copies");
    std::fs::rename(&copying, scratch.join("central.db")).unwrap();
    assert!(disk.writer().watch().log.is_some(), "afterwards it is somebody else");
}
