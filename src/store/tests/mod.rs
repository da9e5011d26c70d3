//! The store on real files: what it promises the ledger, and what it does when the disk does not do what it is told.

mod audit;
mod books;
mod contract;
mod disk;
mod filters;
mod pages;
mod runs;
mod starts;
mod vanish;
mod wal;
mod whole;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{DataDir, Reader, Writer};
use crate::domain::anomaly::Anomaly;
use crate::domain::ids::{FactId, Hlc, LogId};
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::row::{ExitPart, StayRow, StayStatus};
use crate::domain::time::{MAX_MS, MIN_MS, SiteZone};
use crate::ledger::storage::{EventRef, Lookup, Rows, Storage, Tables};
use crate::replication::log::{ChainHash, EventBytes, Head};

/// A data directory of its own, with its writer.
struct Disk {
    writer: Option<Writer>,
    path: TempDir,
}

impl Disk {
    fn new() -> Self {
        let mut disk = Self { writer: None, path: tempfile::tempdir().unwrap() };
        disk.reopen();
        disk
    }

    /// Ends the writer without a word, as a crash does, and opens the file again.
    fn reopen(&mut self) -> &mut Writer {
        self.writer = None;
        let directory = DataDir::open(self.path.path()).unwrap();
        self.writer.insert(Writer::open(&directory, zone()).unwrap())
    }

    fn writer(&mut self) -> &mut Writer {
        self.writer.as_mut().unwrap()
    }

    fn reader(&self) -> Reader {
        Reader::open(self.path.path()).unwrap()
    }

    /// Does something in a transaction of its own.
    fn write(&mut self, change: impl FnOnce(&mut Writer)) {
        let writer = self.writer();
        writer.begin().unwrap();
        change(writer);
        writer.commit().unwrap();
    }

    /// What a query of a person with the sqlite3 program gives, first column of each row.
    fn sql(&self, query: &str) -> Vec<String> {
        let connection = rusqlite::Connection::open(self.path.path().join("central.db")).unwrap();
        let mut statement = connection.prepare(query).unwrap();
        let rows = statement.query_map((), |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        rows.map(|value| match value.unwrap() {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        })
        .collect()
    }
}

fn zone() -> SiteZone {
    SiteZone::named("Asia/Ho_Chi_Minh").unwrap()
}

fn log(number: u64) -> LogId {
    format!("central-{}/{number:016x}", number % 3 + 1).parse().unwrap()
}

fn at(log_number: u64, seq: u64) -> EventRef {
    EventRef { log: log(log_number), seq }
}

fn plate(text: &str) -> PlateId {
    PlateId::parse(text).unwrap()
}

/// Appends one event to the end of a log, as the ledger does.
fn append(writer: &mut Writer, log: &LogId, head: Head, bytes: &str) -> Head {
    let event: EventBytes = bytes.into();
    let next = Head { to: head.to + 1, hash: head.hash.extend(&event) };
    writer.append_event(&EventRef { log: log.clone(), seq: next.to }, &event, next.hash, 1).unwrap();
    writer.set_head(log, next).unwrap();
    next
}

/// A car that came in at `entry_ms` and is inside.
fn car(plate_text: &str, entry_ms: i64) -> StayRow {
    let entry_fact = FactId::Authored { log: log(1), seq: 1 };
    StayRow { plate_view: plate_text.into(), ..StayRow::entered(entry_fact, entry_ms, plate_text) }
}

fn left(mut row: StayRow, exit_ms: i64) -> StayRow {
    row.status = StayStatus::Out;
    row.last_hlc = Hlc::new(exit_ms).unwrap();
    row.collected = Vnd(25_000);
    row.exit = Some(ExitPart {
        fact: FactId::Authored { log: log(2), seq: 7 },
        central: "central-2".into(),
        edge_id: "edge-8".into(),
        exit_ms,
        fee: Vnd(25_000),
        duration: "1 giờ 31 phút".into(),
        confidence: None,
        manual: false,
        entry_unknown: false,
        tariff_version: Some("central-1/0000000000000001/3".into()),
        subscription_id: None,
    });
    row
}

fn any_hash() -> impl Strategy<Value = ChainHash> {
    any::<[u8; 32]>().prop_map(ChainHash)
}

fn any_fact() -> impl Strategy<Value = FactId> {
    prop_oneof![
        (0..4_u64, 1..1000_u64).prop_map(|(number, seq)| FactId::Authored { log: log(number), seq }),
        any::<[u8; 32]>().prop_map(FactId::Heard),
    ]
}

fn any_hlc() -> impl Strategy<Value = Hlc> {
    prop_oneof![0..2_000_i64, Just(Hlc::MAX_MS)].prop_map(|ms| Hlc::new(ms).unwrap())
}

/// Any time that an event can state.
fn any_ms() -> impl Strategy<Value = i64> {
    prop_oneof![Just(MIN_MS), Just(MAX_MS), MIN_MS..=MAX_MS]
}

fn any_plate() -> impl Strategy<Value = PlateId> {
    "29A1234[0-5]".prop_map(|text| plate(&text))
}

/// Texts as cameras and attackers send them: quotes, NUL, emoji and all.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9-]{0,8}", any::<String>()]
}

prop_compose! {
    fn any_exit()(
        fact in any_fact(), central in any_text(), edge_id in any_text(), exit_ms in any_ms(), fee in any::<i64>(),
        duration in any_text(), confidence in any::<Option<f64>>(), manual in any::<bool>(),
        entry_unknown in any::<bool>(), tariff_version in proptest::option::of(any_text()),
        subscription_id in proptest::option::of(any_text()),
    ) -> ExitPart {
        ExitPart {
            fact, central, edge_id, exit_ms, fee: Vnd(fee), duration, confidence, manual, entry_unknown,
            tariff_version, subscription_id,
        }
    }
}

prop_compose! {
    /// Any row there can be. Its id is left to the caller: ids are unique.
    fn any_row()(
        texts in (any_text(), any_text(), any_text(), any_text()),
        plate_id in any_plate(), entry_ms in any_ms(), entry_confidence in any::<Option<f64>>(),
        flags in (any::<bool>(), proptest::option::of(any_ms())),
        exit in proptest::option::of(any_exit()),
        status in prop_oneof![
            Just(StayStatus::In), Just(StayStatus::Out), Just(StayStatus::LeftUnseen), Just(StayStatus::Superseded),
            Just(StayStatus::Void),
        ],
        superseded_by in proptest::option::of(any_text()),
        collected in any::<i64>(),
        anomalies in proptest::collection::btree_set(
            prop_oneof![Just(Anomaly::DoubleEntry), Just(Anomaly::ClockSkew), Just(Anomaly::FeeUncertain)], 0..3
        ),
        entry_fact in any_fact(), entry_hlc in any_hlc(), confirm_fact in proptest::option::of(any_fact()), last_hlc in any_hlc(),
    ) -> StayRow {
        let (source_central, edge_id, plate_view, camera_type) = texts;
        let (entry_manual, confirmed_ms) = flags;
        StayRow {
            stay_id: String::new(), source_central, edge_id, plate_id, plate_view, camera_type, entry_ms,
            entry_confidence, entry_manual, confirmed_ms, exit, status, superseded_by, collected: Vnd(collected),
            anomalies, entry_fact, entry_hlc, confirm_fact, last_hlc,
        }
    }
}
