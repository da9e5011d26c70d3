//! Files that vanish while they are open, and what a run that was killed leaves behind.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::ledger::storage::Watched;
use crate::store::StoreError;
use crate::store::directory::Mark;
use crate::store::left::{Left, look, made_of_log};

fn file(disk: &Disk, name: &str) -> PathBuf {
    disk.path.path().join(name)
}

/// The events of log 1 in a database that is opened by nobody else.
fn held(directory: &Path) -> u64 {
    let connection = rusqlite::Connection::open(directory.join("central.db")).unwrap();
    connection.query_row("SELECT count(*) FROM event", (), |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
}

/// As the files are when the power goes now, in a directory of their own.
fn power_cut(disk: &Disk) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["central.db", "central.db-wal", "central.db-shm", "lock"] {
        drop(fs::copy(file(disk, name), copy.path().join(name)));
    }
    copy
}

#[test]
fn a_log_that_is_removed_or_replaced_costs_nothing_that_was_acknowledged() {
    type Harm = fn(&Disk);
    let harms: [(&str, Harm); 4] = [
        ("removed", |disk| fs::remove_file(file(disk, "central.db-wal")).unwrap()),
        ("moved", |disk| fs::rename(file(disk, "central.db-wal"), file(disk, "away")).unwrap()),
        ("its index removed", |disk| fs::remove_file(file(disk, "central.db-shm")).unwrap()),
        ("replaced", |disk| {
            fs::copy(file(disk, "central.db-wal"), file(disk, "old")).unwrap();
            fs::rename(file(disk, "old"), file(disk, "central.db-wal")).unwrap();
        }),
    ];
    for (name, harm) in harms {
        let mut disk = Disk::new();
        let mut head = Head::empty(&log(1));
        disk.write(|writer| head = append(writer, &log(1), head, "before"));
        assert_eq!(disk.writer().watch(), Watched::default(), "{name}");
        harm(&disk);
        // The next commit is kept before it is answered, and so is what was in the log, whether or not anybody looked meanwhile.
        disk.write(|writer| head = append(writer, &log(1), head, "after"));
        assert_eq!(held(power_cut(&disk).path()), 2, "{name}");
        assert!(disk.writer().watch().files.is_some_and(|told| told.contains("restart soon")), "{name}");
        disk.write(|writer| head = append(writer, &log(1), head, "later"));
        assert_eq!(held(power_cut(&disk).path()), 3, "{name}");
        if name == "replaced" {
            assert!(file(&disk, "central.db-wal.foreign").exists(), "nobody plays it back, and it is not thrown away");
        }
        disk.writer.take().unwrap().close().unwrap();
        assert_eq!(disk.reopen().load().unwrap().heads, [(log(1), head)], "{name}");
        assert_eq!(disk.writer().found(), [] as [String; 0], "{name}");
    }
}

#[test]
fn a_look_alone_keeps_what_was_in_a_log_that_is_gone() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        append(writer, &log(1), Head::empty(&log(1)), "before");
    });
    fs::remove_file(file(&disk, "central.db-wal")).unwrap();
    assert!(disk.writer().watch().files.is_some());
    assert_eq!(held(power_cut(&disk).path()), 1);
}

#[test]
fn nothing_is_committed_to_a_database_that_is_gone_and_what_was_lies_in_its_place() {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    disk.write(|writer| head = append(writer, &log(1), head, "kept"));
    fs::remove_file(file(&disk, "central.db")).unwrap();
    let writer = disk.writer();
    assert!(matches!(writer.begin(), Err(StoreError::Vanished { .. })));
    assert!(matches!(writer.probe(false), Err(StoreError::Vanished { .. })));
    assert!(writer.watch().files.is_some_and(|told| told.contains("all that was acknowledged lies in")));
    // Killed: the log is the old one's, and is not played back over the copy.
    disk.writer = None;
    assert_eq!(disk.reopen().load().unwrap().heads, [(log(1), head)]);
}

/// A new process finds all that is left, so that nobody has to come: else it has to wait for a person.
#[test]
fn it_says_when_nothing_but_a_start_helps() {
    type Harm = fn(&Disk);
    let harms: [(&str, Harm, bool); 6] = [
        ("nothing", |_| {}, false),
        ("the log removed", |disk| fs::remove_file(file(disk, "central.db-wal")).unwrap(), false),
        ("the log cut", |disk| fs::write(file(disk, "central.db-wal"), "").unwrap(), true),
        ("the database removed", |disk| fs::remove_file(file(disk, "central.db")).unwrap(), true),
        (
            "the database replaced",
            |disk| {
                fs::write(file(disk, "new"), "another file").unwrap();
                fs::rename(file(disk, "new"), file(disk, "central.db")).unwrap();
            },
            false,
        ),
        (
            "the log cut and the directory gone",
            |disk| {
                fs::write(file(disk, "central.db-wal"), "").unwrap();
                fs::rename(disk.path.path(), disk.path.path().with_extension("moved")).unwrap();
            },
            false,
        ),
    ];
    for (name, harm, needs_start) in harms {
        let mut disk = Disk::new();
        let mut head = Head::empty(&log(1));
        disk.write(|writer| head = append(writer, &log(1), head, "kept"));
        harm(&disk);
        let watched = disk.writer().watch();
        assert_eq!(watched.needs_start, needs_start, "{name}: {watched:?}");
        assert_eq!(disk.writer().watch().needs_start, needs_start, "{name}: and goes on to say so");
        drop(fs::rename(disk.path.path().with_extension("moved"), disk.path.path()));
    }
}

/// A gate with a car now and then: all of the log was copied meanwhile, and the next event begins it anew.
#[test]
fn a_log_that_starts_over_with_as_many_pages_as_it_had_or_more_is_no_other_log() {
    for events in [[1, 1, 1], [1, 9, 9], [9, 9, 1]] {
        let mut disk = Disk::new();
        let mut head = Head::empty(&log(1));
        assert_eq!(disk.writer().watch(), Watched::default());
        for count in events {
            let other = rusqlite::Connection::open(file(&disk, "central.db")).unwrap();
            let (all, copied): (i64, i64) =
                other.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| Ok((row.get(1)?, row.get(2)?))).unwrap();
            assert_eq!(all, copied);
            drop(other);
            disk.write(|writer| (0..count).for_each(|_| head = append(writer, &log(1), head, &"x".repeat(3_000))));
            assert_eq!(disk.writer().watch(), Watched::default(), "{events:?}");
            assert_eq!(disk.writer().watch(), Watched::default(), "{events:?}");
        }
        assert_eq!(disk.reopen().load().unwrap().heads, [(log(1), head)]);
    }
}

#[test]
fn a_database_that_is_replaced_or_moved_takes_nothing_and_the_other_file_stays() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        append(writer, &log(1), Head::empty(&log(1)), "kept");
    });
    fs::write(file(&disk, "new"), "another file").unwrap();
    fs::rename(file(&disk, "new"), file(&disk, "central.db")).unwrap();
    assert!(matches!(disk.writer().begin(), Err(StoreError::Vanished { .. })));
    disk.writer.take().unwrap().close().unwrap();
    assert_eq!(fs::read(file(&disk, "central.db")).unwrap(), b"another file");
    assert_eq!(
        held(&{
            let copy = tempfile::tempdir().unwrap().keep();
            fs::rename(file(&disk, "central.db.rescued"), copy.join("central.db")).unwrap();
            copy
        }),
        1
    );
}

#[test]
fn a_directory_that_comes_back_is_used_again() {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    disk.write(|writer| head = append(writer, &log(1), head, "kept"));
    let (path, moved) = (disk.path.path().to_owned(), disk.path.path().with_extension("moved"));
    fs::rename(&path, &moved).unwrap();
    assert!(matches!(disk.writer().begin(), Err(StoreError::Vanished { .. })));
    assert!(disk.writer().watch().files.is_some());
    fs::rename(&moved, &path).unwrap();
    assert_eq!(disk.writer().watch(), Watched::default());
    disk.write(|writer| head = append(writer, &log(1), head, "kept too"));
    assert_eq!(disk.reopen().load().unwrap().heads, [(log(1), head)]);
}

/// A directory as a kill leaves it: `events` committed one by one, all in the log.
fn killed(events: u64) -> tempfile::TempDir {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    for number in 0..events {
        disk.write(|writer| head = append(writer, &log(1), head, &format!("event {number}")));
    }
    power_cut(&disk)
}

fn open(directory: &Path) -> Result<Writer, StoreError> {
    Writer::open(&DataDir::open(directory)?, zone())
}

#[test]
fn a_log_without_its_database_gives_all_of_it_back_or_is_left_alone() {
    for emptied in [true, false] {
        let directory = killed(6);
        let database = directory.path().join("central.db");
        if emptied {
            fs::write(&database, "").unwrap()
        } else {
            fs::remove_file(&database).unwrap()
        }
        let writer = open(directory.path()).unwrap();
        assert!(writer.found()[0].contains("made anew from its log"), "{:?}", writer.found());
        drop(writer);
        assert_eq!(held(directory.path()), 6);
        assert!(directory.path().join("central.db-wal.recovered").exists());
    }
    // With a power cut on the way there, at any of its steps.
    for done in 0..=2 {
        let directory = killed(6);
        fs::remove_file(directory.path().join("central.db")).unwrap();
        let data_dir = DataDir::open(directory.path()).unwrap();
        data_dir.put_mark(Mark::Opening).unwrap();
        let renames = made_of_log(&data_dir).unwrap();
        renames.iter().take(done).for_each(|(from, to)| fs::rename(from, to).unwrap());
        drop(data_dir);
        drop(open(directory.path()).unwrap());
        assert_eq!(held(directory.path()), 6, "after {done} steps");
    }
    // One that has started over since, so that most is in the database that is gone.
    let directory = killed(6);
    let (database, log) = (directory.path().join("central.db"), directory.path().join("central.db-wal"));
    rusqlite::Connection::open(&database)
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
        .unwrap();
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute("INSERT INTO quarantine VALUES(9, 'later')", ()).unwrap();
    fs::copy(&log, directory.path().join("log")).unwrap();
    drop(connection);
    fs::rename(directory.path().join("log"), &log).unwrap();
    fs::remove_file(&database).unwrap();
    let before = fs::read(&log).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::LogAlone { .. }), "{error}");
    assert_eq!(fs::read(&log).unwrap(), before, "nothing is thrown away");
    assert!(!database.exists());
}

#[test]
fn a_log_of_another_database_is_not_played_back() {
    // A kill, then the database is put back from a backup, and nobody thought of the log.
    let mut disk = Disk::new();
    disk.write(|writer| {
        append(writer, &log(1), Head::empty(&log(1)), "old");
    });
    disk.writer.take().unwrap().close().unwrap();
    let backup = fs::read(file(&disk, "central.db")).unwrap();
    let mut head = disk.reopen().load().unwrap().heads[0].1;
    for _ in 0..20 {
        disk.write(|writer| head = append(writer, &log(1), head, &"new".repeat(900)));
    }
    // Within the directory, so that the files stay the marked ones.
    fs::copy(file(&disk, "central.db-wal"), file(&disk, "kept")).unwrap();
    let mark = DataDirMark::of(&disk);
    disk.writer.take().unwrap().close().unwrap();
    fs::rename(file(&disk, "kept"), file(&disk, "central.db-wal")).unwrap();
    fs::write(file(&disk, "backup"), backup).unwrap();
    fs::rename(file(&disk, "backup"), file(&disk, "central.db")).unwrap();
    mark.put(&disk);
    assert_eq!(look(&DataDir::open(disk.path.path()).unwrap()).unwrap(), Left::LogOfAnother);
    let writer = open(disk.path.path()).unwrap();
    assert!(writer.found()[0].contains("not the log of this database"), "{:?}", writer.found());
    drop(writer);
    assert_eq!(held(disk.path.path()), 1);
    assert!(file(&disk, "central.db-wal.foreign").exists());
}

/// The index fits its log, and says nothing of the database that was put under both.
#[test]
fn without_a_mark_a_log_of_another_database_is_tried_though_its_index_is_there() {
    let (mut ours, mut other) = (Disk::new(), Disk::new());
    ours.write(|writer| {
        append(writer, &log(1), Head::empty(&log(1)), "ours");
    });
    ours.writer.take().unwrap().close().unwrap();
    let mut head = Head::empty(&log(2));
    for _ in 0..20 {
        other.write(|writer| head = append(writer, &log(2), head, &"other".repeat(900)));
    }
    let mixed = tempfile::tempdir().unwrap();
    for (disk, name) in [(&ours, "central.db"), (&other, "central.db-wal"), (&other, "central.db-shm")] {
        fs::copy(file(disk, name), mixed.path().join(name)).unwrap();
    }
    let writer = open(mixed.path()).unwrap();
    assert!(writer.found()[0].contains("not the log of this database"), "{:?}", writer.found());
    drop(writer);
    assert_eq!(held(mixed.path()), 1);
    assert!(mixed.path().join("central.db-wal.foreign").exists());
}

/// The mark of a run that was killed with the log that lies there as `kept`.
struct DataDirMark([u64; 2]);

impl DataDirMark {
    fn of(disk: &Disk) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(["central.db", "kept"].map(|name| fs::metadata(file(disk, name)).unwrap().ino()))
    }

    fn put(&self, disk: &Disk) {
        fs::write(file(disk, "lock"), format!("{} {}\n", self.0[0], self.0[1])).unwrap();
    }
}

#[test]
fn a_log_that_is_missing_empty_or_damaged_after_a_kill_is_told() {
    for (name, expected) in [
        ("missing", "is missing or empty"),
        ("empty", "is missing or empty"),
        ("damaged", "transactions at its end"),
        ("damaged at its very end", "at least one transaction at its end"),
        ("cut off", "at least one transaction at its end"),
        ("zeroed", "at least one transaction at its end"),
        ("without its head", "transactions at its end"),
    ] {
        let directory = killed(30);
        let path = directory.path().join("central.db-wal");
        // What a checkpoint would have copied, so that there is a database to go on with.
        let whole = fs::read(&path).unwrap();
        match name {
            "missing" | "empty" => {
                rusqlite::Connection::open(directory.path().join("central.db"))
                    .unwrap()
                    .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
                    .unwrap();
                drop(fs::remove_file(&path));
                if name == "empty" {
                    fs::write(&path, "").unwrap();
                }
            }
            _ => {
                // The index says what was committed.
                let mut bytes = whole.clone();
                let end = bytes.len();
                match name {
                    "damaged" => bytes[end - 20 * 4120] ^= 1,
                    "damaged at its very end" => bytes[end - 1] ^= 1,
                    "cut off" => bytes.truncate(end - 2 * 4120),
                    "without its head" => bytes[16..24].fill(7),
                    _ => bytes.fill(0),
                }
                fs::write(&path, bytes).unwrap();
            }
        }
        let writer = open(directory.path()).unwrap();
        assert!(writer.found().iter().any(|told| told.contains(expected)), "{name}: {:?}", writer.found());
        writer.close().unwrap();
        if !matches!(name, "missing" | "empty") {
            assert!(directory.path().join("central.db-wal.damaged").exists());
        }
        assert_eq!(open(directory.path()).unwrap().found(), [] as [String; 0], "{name}: told once");
    }
    let directory = killed(30);
    assert_eq!(open(directory.path()).unwrap().found(), [] as [String; 0], "a kill alone damages nothing");
}

#[test]
fn nobody_else_can_read_any_of_it() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    let writer = open(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let names: Vec<PathBuf> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for name in &names {
        assert_eq!(mode(name), 0o600, "{}", name.display());
    }
    writer.close().unwrap();
    // One of an older version.
    for (name, wide) in [(path.clone(), 0o755), (path.join("central.db"), 0o644)] {
        fs::set_permissions(name, fs::Permissions::from_mode(wide)).unwrap();
    }
    let _writer = open(&path).unwrap();
    assert_eq!(
        (mode(&path), mode(&path.join("central.db")), mode(&path.join("central.db-wal"))),
        (0o700, 0o600, 0o600)
    );
}
