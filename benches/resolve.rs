//! What it costs to fold a plate again, and what one step costs instead.
//!
//! `cargo bench --bench resolve`. A refold is paid by corrections, voids and what arrives out of order; every other event
//! is one step.

#![expect(clippy::unwrap_used, reason = "a bench that cannot build its facts should stop")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parkmesh::domain::event::{Body, Confirmed, Entry, Event, Exit};
use parkmesh::domain::ids::{CentralId, Epoch, Hlc, LogId};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::plate::PlateId;
use parkmesh::domain::row::StayRow;
use parkmesh::domain::stay::{Fact, resolve};

/// ms between two facts of the plate.
const STEP_MS: i64 = 60_000;

/// A regular's facts: in, confirmed, out, again and again, at two centrals in turn.
fn facts_of_a_regular(count: usize) -> Vec<Fact> {
    let plate = PlateId::parse("29A12345").unwrap();
    (0..count).map(|number| fact_of_a_regular(number, &plate)).collect()
}

fn fact_of_a_regular(number: usize, plate: &PlateId) -> Fact {
    let visit = number / 3;
    let at_ms = 1_700_000_000_000 + i64::try_from(number).unwrap() * STEP_MS;
    let central = if number.is_multiple_of(2) { "central-1" } else { "central-2" };
    let stay = format!("central-1_{visit}_{plate}");
    let body = match number % 3 {
        0 => Body::Entry(Entry {
            plate_view: "29A-123.45".to_owned(),
            camera_type: "car".to_owned(),
            entry_time: "2026-01-01 08:00:00".to_owned(),
            confidence: Some(0.95),
            request_id: Some(format!("in-{visit}")),
            ..Entry::of(plate.clone(), "edge-1")
        }),
        1 => Body::Confirmed(Confirmed {
            plate_id: Some(plate.clone()),
            edge_id: "edge-1".to_owned(),
            confirmed_time: String::new(),
        }),
        _ => Body::Exit(Exit {
            exit_time: "2026-01-01 10:00:00".to_owned(),
            duration: "1 giờ 31 phút".to_owned(),
            request_id: Some(format!("out-{visit}")),
            ..Exit::of(Some(plate.clone()), central, "edge-2", Vnd(25_000))
        }),
    };
    Fact::authored(Arc::new(Event {
        log: LogId { central: CentralId::new(central).unwrap(), epoch: Epoch(7) },
        seq: u64::try_from(number).unwrap() + 1,
        hlc: Hlc::new(at_ms).unwrap(),
        timestamp_ms: at_ms,
        skew_ms: Some(3),
        source_central: central.to_owned(),
        event_id: Some(stay),
        heard_from: None,
        body,
        by: None,
    }))
}

fn refold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resolve_one_plate");
    for count in [10_usize, 100, 1_000] {
        let facts = facts_of_a_regular(count);
        group.throughput(Throughput::Elements(u64::try_from(count).unwrap()));
        group.bench_with_input(BenchmarkId::from_parameter(count), &facts, |bench, facts| {
            bench.iter(|| resolve(black_box(facts)));
        });
    }
    group.finish();
}

fn one_step(criterion: &mut Criterion) {
    let facts = facts_of_a_regular(3);
    let [entry, confirmed, exit] = facts.as_slice() else { return };
    let opened = StayRow::opened(entry).unwrap();
    let mut group = criterion.benchmark_group("one_step");
    group.bench_function("opened", |bench| bench.iter(|| StayRow::opened(black_box(entry))));
    group.bench_function("confirm", |bench| {
        bench.iter_batched_ref(|| opened.clone(), |row| row.confirm(black_box(confirmed)), BatchSize::SmallInput);
    });
    group.bench_function("close", |bench| {
        bench.iter_batched_ref(|| opened.clone(), |row| row.close(black_box(exit)), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, refold, one_step);
criterion_main!(benches);
