//! The yardsticks of the disk: what bare SQLite does with the rows ParkMesh writes. Knows nothing of the program.
//!
//! `G(b)`: events per second in groups of `b` per synced transaction, half of them entries (an event and a row of the
//! history), half exits (an event and a change of a row), with the indices of the history, in the best way known: prepared
//! statements, WAL, synchronous=FULL, rare checkpoints. `F1`: one synced commit of one row of a history with three indices
//! and no event beside it. `S1`: the least there is, one synced commit of one small row without an index.
//!
//! A figure is a line `yardstick <name> <group> <value> <unit>`, which `ratios` reads. Run it right beside what it is compared with: `cargo bench --bench yardstick [-- <seconds per figure> [<b> ...]]`.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const GROUPS: [usize; 5] = [1, 32, 64, 256, 2_000];
/// A car leaves after so many others came in.
const CARS_INSIDE: i64 = 500;

const LOCAL: &str = "2024-12-02 19:00:00";
const UTC: &str = "2024-12-02 12:00:00";

const TABLES: &str = "
CREATE TABLE event(id INTEGER PRIMARY KEY, bytes TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE history(
  id INTEGER PRIMARY KEY, plate_id TEXT NOT NULL, plate_view TEXT NOT NULL, entry_time TEXT NOT NULL,
  entry_camera_name TEXT, entry_confidence REAL, entry_source TEXT, exit_time TEXT, exit_camera_name TEXT,
  exit_confidence REAL, exit_source TEXT, duration TEXT, fee INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, event_id TEXT NOT NULL UNIQUE, source_central TEXT NOT NULL,
  edge_id TEXT NOT NULL, sync_status TEXT NOT NULL, camera_type TEXT NOT NULL, entry_ms INTEGER NOT NULL,
  exit_ms INTEGER, exit_central TEXT, exit_edge TEXT, collected INTEGER NOT NULL, entry_event INTEGER NOT NULL,
  exit_event INTEGER, last_hlc INTEGER NOT NULL, committed_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX history_plate ON history(plate_id);
CREATE INDEX history_entry ON history(entry_ms);
CREATE INDEX history_not_out ON history(status, entry_ms) WHERE status <> 'OUT';
";

/// A stream of entries and exits, the same in every run.
struct Traffic {
    connection: Connection,
    events: i64,
    cars: i64,
    random: Random,
}

/// The same numbers in every run (xorshift).
struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn plate(&mut self) -> String {
        let random = self.next();
        let letter = char::from(b'A' + u8::try_from(random % 26).unwrap_or(0));
        format!("{}{letter}{:05}", 10 + random / 26 % 90, random / 4096 % 100_000)
    }
}

impl Traffic {
    fn open(directory: &std::path::Path) -> Outcome<Self> {
        let connection = Connection::open(directory.join("yardstick.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 16_000)?;
        connection.pragma_update(None, "cache_size", -16 * 1024)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(TABLES)?;
        Ok(Self { connection, events: 0, cars: 0, random: Random::default() })
    }

    fn group(&mut self, size: usize) -> Outcome<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        for _ in 0..size {
            if self.events % 2 == 1 && self.cars > CARS_INSIDE { self.exit()? } else { self.entry()? }
        }
        self.connection.prepare_cached("COMMIT")?.execute(())?;
        Ok(())
    }

    fn event(&mut self, kind: &str, event_id: &str, data: &str, now_ms: i64) -> Outcome<i64> {
        self.events += 1;
        let seq = self.events;
        let bytes = format!(
            r#"{{"type":"{kind}","source_central":"central-1","timestamp":{now_ms},"event_id":"{event_id}","data":{data},"log":"central-1/9f86d081884c7d65","seq":{seq},"hlc":{now_ms},"skew_ms":3}}"#
        );
        let mut hash = [0_u8; 32];
        for (byte, value) in hash.iter_mut().zip(seq.to_le_bytes()) {
            *byte = value;
        }
        let id = (1 << 40) | seq;
        self.connection.prepare_cached("INSERT INTO event VALUES(?1, ?2, ?3)")?.execute((id, bytes, hash))?;
        Ok(id)
    }

    fn entry(&mut self) -> Outcome<()> {
        let now_ms = 1_733_140_800_000 + self.events;
        let plate = self.random.plate();
        let event_id = format!("central-1_{now_ms}_{plate}");
        let data = format!(
            r#"{{"plate_id":"{plate}","plate_view":"{plate}","edge_id":"edge-12","camera_type":"car","direction":"ENTRY","entry_time":"2024-12-02 19:00:00","confidence":0.95}}"#
        );
        let event = self.event("VEHICLE_ENTRY_PENDING", &event_id, &data, now_ms)?;
        self.cars += 1;
        self.connection
            .prepare_cached(
                "INSERT INTO history(id, plate_id, plate_view, entry_time, entry_camera_name, entry_confidence, \
                 entry_source, fee, status, created_at, updated_at, event_id, source_central, edge_id, sync_status, \
                 camera_type, entry_ms, collected, entry_event, last_hlc, committed_ms) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?8, ?17, ?16, ?16)",
            )?
            .execute(params![
                self.cars,
                plate,
                plate,
                LOCAL,
                "central-1/edge-12",
                0.95,
                "edge",
                0,
                "IN",
                UTC,
                event_id,
                "central-1",
                "edge-12",
                "LOCAL",
                "car",
                now_ms,
                event,
            ])?;
        Ok(())
    }

    fn exit(&mut self) -> Outcome<()> {
        let now_ms = 1_733_140_800_000 + self.events;
        let car = self.cars - CARS_INSIDE;
        let event_id = format!("central-1_{}_29A12345", now_ms - CARS_INSIDE);
        let data = r#"{"stay":"central-1_1733140800000_29A12345","plate_id":"29A12345","exit_central":"central-1","exit_edge":"edge-13","exit_time":"2024-12-02 19:00:00","fee":25000,"duration":"1 giờ 31 phút"}"#;
        let event = self.event("VEHICLE_EXIT", &event_id, data, now_ms)?;
        self.connection
            .prepare_cached(
                "UPDATE history SET exit_time = ?2, exit_camera_name = ?3, exit_confidence = ?4, exit_source = ?5, \
                 duration = ?6, fee = ?7, status = ?8, updated_at = ?9, exit_ms = ?10, exit_central = ?11, \
                 exit_edge = ?12, collected = ?7, exit_event = ?13, last_hlc = ?10 WHERE id = ?1",
            )?
            .execute(params![
                car,
                LOCAL,
                "central-1/edge-13",
                0.9,
                "edge",
                "1 giờ 31 phút",
                25_000,
                "OUT",
                UTC,
                now_ms,
                "central-1",
                "edge-13",
                event,
            ])?;
        Ok(())
    }
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn measure_g(group: usize, lasting: Duration) -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let mut traffic = Traffic::open(directory.path())?;
    traffic.group(2_000)?;
    let (before, cpu_before, start) = (traffic.events, cpu_time(), Instant::now());
    while start.elapsed() < lasting {
        traffic.group(group)?;
    }
    let (elapsed, cpu) = (start.elapsed().as_secs_f64(), (cpu_time() - cpu_before).as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "a count of events of some seconds")]
    let events = (traffic.events - before) as f64;
    println!("yardstick G {group} {:.0} events/s", events / elapsed);
    println!("  processor: {:.1} us per event", cpu * 1e6 / events);
    Ok(())
}

/// The median of so many commits, µs.
fn median_us(mut commit: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..3_000 {
        let start = Instant::now();
        commit()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6)
}

fn open_synced(directory: &std::path::Path, tables: &str) -> Outcome<Connection> {
    let connection = Connection::open(directory.join("one.db"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(tables)?;
    Ok(connection)
}

/// A history's row as short as it can be, with the three indices none can do without: which event it is, whose it is in
/// order, and the visits of a car.
const ROW: &str = "
CREATE TABLE history(
  id INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, origin TEXT NOT NULL, origin_seq INTEGER NOT NULL,
  plate TEXT NOT NULL, plate_view TEXT NOT NULL, ts INTEGER NOT NULL, edge_id TEXT NOT NULL, camera_type TEXT NOT NULL,
  direction TEXT NOT NULL, confidence REAL NOT NULL, status TEXT NOT NULL, fee INTEGER NOT NULL, entry_time TEXT NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX history_origin ON history(origin, origin_seq);
CREATE INDEX history_plate ON history(plate, ts);
";

/// Commits one row after the other: F1.
pub struct OneByOne {
    connection: Connection,
    rows: i64,
    random: Random,
    _directory: tempfile::TempDir,
}

impl OneByOne {
    pub fn open() -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let connection = open_synced(directory.path(), ROW)?;
        Ok(Self { connection, rows: 0, random: Random::default(), _directory: directory })
    }

    pub fn commit(&mut self) -> Outcome<()> {
        self.rows += 1;
        let plate = self.random.plate();
        let event_id = format!("{:016x}{:016x}", self.random.next(), self.random.next());
        self.connection
            .prepare_cached(
                "INSERT INTO history(event_id, origin, origin_seq, plate, plate_view, ts, edge_id, camera_type, direction, \
                 confidence, status, fee, entry_time, created_at, updated_at) \
                 VALUES(?1, 'central-1', ?2, ?3, ?3, ?4, 'edge-12', 'car', 'ENTRY', 0.95, 'IN', 0, ?5, ?6, ?6)",
            )?
            .execute(params![event_id, self.rows, plate, 1_733_140_800_000 + self.rows, LOCAL, UTC])?;
        Ok(())
    }
}

fn measure_f1() -> Outcome<()> {
    let mut one_by_one = OneByOne::open()?;
    let f1_us = median_us(|| one_by_one.commit())?;
    println!("yardstick F1 1 {f1_us:.0} us");
    let directory = tempfile::tempdir()?;
    let connection = open_synced(directory.path(), "CREATE TABLE one(id INTEGER PRIMARY KEY, bytes TEXT NOT NULL)")?;
    let bytes = "x".repeat(400);
    let s1_us = median_us(|| {
        connection.prepare_cached("INSERT INTO one(bytes) VALUES(?1)")?.execute([&bytes])?;
        Ok(())
    })?;
    println!("yardstick S1 1 {s1_us:.0} us");
    Ok(())
}

/// Also run by `ratios`, as a process of its own.
pub fn main() -> Outcome<()> {
    // cargo passes --bench along.
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (seconds, groups) = numbers.split_first().map_or((3, GROUPS.as_slice()), |(seconds, groups)| {
        (*seconds, if groups.is_empty() { GROUPS.as_slice() } else { groups })
    });
    measure_f1()?;
    for group in groups {
        measure_g(*group, Duration::from_secs(seconds as u64))?;
    }
    Ok(())
}
