//! The store's writer on the traffic of `yardstick.rs`: half entries, half exits, in transactions of 1, 32 and 2,000 events,
//! with everything the ledger writes beside them. Its events per second are to be held against `G(b)` of the same minutes.

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parkmesh::domain::ids::{Hlc, LogId};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::plate::PlateId;
use parkmesh::domain::row::{ExitPart, StayRow, StayStatus};
use parkmesh::domain::stay::TakenAs;
use parkmesh::domain::time::SiteZone;
use parkmesh::ledger::storage::{EventRef, Rows, Storage, Summary, Tables, TotalChange};
use parkmesh::replication::log::{ChainHash, EventBytes, Head};
use parkmesh::store::{DataDir, StoreError, Writer};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A car leaves after so many others came in.
const CARS_INSIDE: usize = 500;
const EDGES: u64 = 64;

/// One event and what it does to the history.
enum Step {
    Entry(EventBytes, Box<StayRow>),
    Exit(EventBytes, i64, Box<StayRow>),
}

/// Makes the steps, outside of what is measured.
struct Traffic {
    log: LogId,
    seq: u64,
    inside: std::collections::VecDeque<(i64, StayRow)>,
    next_row: i64,
    random: u64,
}

impl Traffic {
    fn new() -> Outcome<Self> {
        let log = "central-1/9f86d081884c7d65".parse()?;
        Ok(Self { log, seq: 0, inside: std::collections::VecDeque::new(), next_row: 1, random: 0x9e37_79b9_7f4a_7c15 })
    }

    fn plate(&mut self) -> Outcome<PlateId> {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let letter = char::from(b'A' + u8::try_from(self.random % 26)?);
        Ok(PlateId::parse(&format!("{}{letter}{:05}", 10 + self.random / 26 % 90, self.random / 4096 % 100_000))?)
    }

    fn steps(&mut self, count: usize) -> Outcome<Vec<Step>> {
        (0..count)
            .map(|_| if self.seq % 2 == 1 && self.inside.len() > CARS_INSIDE { self.exit() } else { self.entry() })
            .collect()
    }

    fn bytes(&mut self, kind: &str, event_id: &str, data: &str) -> (EventBytes, i64) {
        self.seq += 1;
        let now_ms = 1_733_140_800_000 + self.seq.cast_signed();
        let (log, seq) = (&self.log, self.seq);
        let json = format!(
            r#"{{"type":"{kind}","source_central":"central-1","timestamp":{now_ms},"event_id":"{event_id}","data":{data},"log":"{log}","seq":{seq},"hlc":{now_ms},"skew_ms":3}}"#
        );
        (json.into(), now_ms)
    }

    fn entry(&mut self) -> Outcome<Step> {
        let plate = self.plate()?;
        let event_id = format!("central-1_{}_{plate}", 1_733_140_800_001 + self.seq);
        let data = format!(
            r#"{{"plate_id":"{plate}","plate_view":"{plate}","edge_id":"edge-12","camera_type":"car","direction":"ENTRY","entry_time":"2024-12-02 19:00:00","confidence":0.95}}"#
        );
        let (bytes, now_ms) = self.bytes("VEHICLE_ENTRY_PENDING", &event_id, &data);
        let row = StayRow {
            stay_id: event_id,
            source_central: "central-1".into(),
            edge_id: format!("edge-{}", self.seq % EDGES),
            plate_view: plate.to_string(),
            plate_id: plate,
            camera_type: "car".into(),
            entry_ms: now_ms,
            entry_confidence: Some(0.95),
            entry_manual: false,
            confirmed_ms: None,
            exit: None,
            status: StayStatus::In,
            superseded_by: None,
            collected: Vnd(0),
            anomalies: BTreeSet::new(),
            entry_fact: parkmesh::domain::ids::FactId::Authored { log: self.log.clone(), seq: self.seq },
            entry_hlc: Hlc::new(now_ms)?,
            confirm_fact: None,
            last_hlc: Hlc::new(now_ms)?,
        };
        self.inside.push_back((self.next_row, row.clone()));
        self.next_row += 1;
        Ok(Step::Entry(bytes, row.into()))
    }

    fn exit(&mut self) -> Outcome<Step> {
        let (row_id, mut row) = self.inside.pop_front().ok_or("nobody is inside")?;
        let data = r#"{"stay":"central-1_1733140800000_29A12345","plate_id":"29A12345","exit_central":"central-1","exit_edge":"edge-13","exit_time":"2024-12-02 19:00:00","fee":25000,"duration":"1 giờ 31 phút"}"#;
        let (bytes, now_ms) = self.bytes("VEHICLE_EXIT", &row.stay_id.clone(), data);
        row.status = StayStatus::Out;
        row.last_hlc = Hlc::new(now_ms)?;
        row.collected = Vnd(25_000);
        row.exit = Some(ExitPart {
            fact: parkmesh::domain::ids::FactId::Authored { log: self.log.clone(), seq: self.seq },
            central: "central-1".into(),
            edge_id: format!("edge-{}", self.seq % EDGES),
            exit_ms: now_ms,
            fee: Vnd(25_000),
            duration: "1 giờ 31 phút".into(),
            confidence: Some(0.9),
            manual: false,
            entry_unknown: false,
            tariff_version: None,
            subscription_id: None,
        });
        Ok(Step::Exit(bytes, row_id, row.into()))
    }
}

/// One transaction, with what the ledger asks of the disk for it.
fn write(writer: &mut Writer, log: &LogId, first_seq: u64, steps: &[Step]) -> Result<(), StoreError> {
    writer.begin()?;
    let hash = ChainHash([7; 32]);
    let mut seq = first_seq;
    for step in steps {
        let at = EventRef { log: log.clone(), seq };
        match step {
            Step::Entry(bytes, row) => {
                black_box(writer.greatest_hlc_of_plate(&row.plate_id)?);
                writer.append_event(&at, bytes, hash, 0)?;
                writer.insert_stay(row, true, row.entry_ms)?;
            }
            Step::Exit(bytes, row_id, row) => {
                writer.append_event(&at, bytes, hash, 0)?;
                writer.update_ending(*row_id, row, row.last_hlc.ms())?;
            }
        }
        seq += 1;
    }
    for edge in 0..EDGES.min(steps.len() as u64) {
        let key = (1_925_712, "central-1".into(), format!("edge-{edge}"), TakenAs::default());
        writer.add_total(key, TotalChange { entries: 1, exits: 1, revenue_vnd: 25_000 })?;
    }
    writer.set_head(log, Head { to: seq - 1, hash })?;
    writer.set_summary(&Summary { digest: [1; 32], max_hlc: Hlc::default(), events: seq, loose_facts: 0 })?;
    writer.commit()?;
    writer.make_room();
    Ok(())
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("writer");
    group.sample_size(20);
    for size in [1_usize, 32, 2_000] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::from_parameter(size), &size, |bencher, size| {
            let outcome = (|| -> Outcome<()> {
                let directory = tempfile::tempdir()?;
                let mut writer = Writer::open(&DataDir::open(directory.path())?, SiteZone::named("Asia/Ho_Chi_Minh")?)?;
                let mut traffic = Traffic::new()?;
                bencher.iter_batched(
                    || (traffic.seq + 1, traffic.log.clone(), traffic.steps(*size)),
                    |(first_seq, log, steps)| write(&mut writer, &log, first_seq, &steps.unwrap_or_default()),
                    criterion::BatchSize::PerIteration,
                );
                Ok(())
            })();
            if let Err(error) = outcome {
                eprintln!("writer/{size}: {error}");
            }
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
