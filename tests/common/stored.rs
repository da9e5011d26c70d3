//! A central's database written without its process: thousands of cars in a second.

use std::path::Path;

use parkmesh::domain::direction::Direction;
use parkmesh::domain::ids::{CentralId, Epoch};
use parkmesh::domain::plate::PlateId;
use parkmesh::domain::time::SiteZone;
use parkmesh::ledger::job::{Beside, Job, OpenBarrier};
use parkmesh::ledger::storage::Storage as _;
use parkmesh::ledger::transaction::TransactionTime;
use parkmesh::ledger::{Context, Ledger};
use parkmesh::store::DataDir;
use parkmesh::store::writer::Writer;

/// Jobs decided in one transaction.
const BATCH: usize = 2_000;

/// Lets cars into `data_directory` of `central`, which does not run: one a ms, the last of them just now. Their plates are
/// [`plate`] of their numbers.
pub fn let_in(data_directory: &Path, central: &str, numbers: std::ops::Range<usize>) {
    let directory = DataDir::open(data_directory).expect("the data directory");
    let zone = SiteZone::default();
    let writer = Writer::open(&directory, zone.clone()).expect("the database");
    let context = Context { central: CentralId::new(central).expect("an id"), zone };
    let mut ledger = Ledger::open(writer, context).expect("a ledger");
    let now_ms = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_millis() as i64;
    let epoch = Epoch(now_ms as u64 ^ 0x5eed_0000_0000_0000);
    let jobs: Vec<Job> = numbers.map(|number| Job::Open(entry(&plate(number)))).collect();
    let mut left = jobs.len();
    for batch in jobs.chunks(BATCH) {
        left -= batch.len();
        let now = TransactionTime { wall_ms: now_ms - left as i64, skew_ms: None, clock_wrong: false };
        let done = ledger.process(batch.to_vec(), now, epoch);
        assert!(done.outcomes.iter().all(Result::is_ok), "{:?}", done.failure);
    }
    ledger.into_storage().close().expect("closed in order");
}

/// The plate of a car by number: 8 million different ones.
pub fn plate(number: usize) -> String {
    format!("{}{}{:05}", 11 + number / 100_000 % 80, "A", number % 100_000)
}

fn entry(plate: &str) -> OpenBarrier {
    OpenBarrier {
        edge_id: "edge-1".to_owned(),
        plate: PlateId::parse(plate).expect("a plate"),
        plate_view: None,
        direction: Some(Direction::Entry),
        camera_type: "car".to_owned(),
        confidence: Some(0.95),
        request_id: None,
        force: false,
        reason: None,
        fee: None,
        notes: Vec::new(),
        beside: Beside::default(),
    }
}
