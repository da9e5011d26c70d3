//! What a frame costs: writing a run once and sharing it, and reading it.
//!
//! `cargo bench --bench codec`. The smallest thing to compare with is reading one event into a struct, measured here too:
//! the codec does not look into the events it carries.

#![expect(clippy::unwrap_used, reason = "a bench that cannot build its run should stop")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parkmesh::domain::event::Event;
use parkmesh::domain::ids::LogId;
use parkmesh::replication::log::{CommittedRun, EventBytes, Head, Run, judge};
use parkmesh::wire::frame::{Encoder, Frame, run_body};

/// The links a run leaves on in [`fan_out`].
const LINKS: u64 = 9;

fn event(log: &LogId, seq: usize) -> EventBytes {
    let at_ms = 1_795_325_909_743 + seq;
    format!(
        r#"{{"type":"VEHICLE_ENTRY_PENDING","source_central":"central-1","timestamp":{at_ms},"event_id":"central-1_{at_ms}_29A12345","data":{{"plate_id":"29A12345","plate_view":"29A-123.45","edge_id":"edge-1","camera_type":"","direction":"ENTRY","entry_time":"2026-11-22 12:38:29"}},"log":"{log}","seq":{seq},"hlc":{at_ms}}}"#
    )
    .into()
}

fn run_of(count: usize) -> Run {
    let log: LogId = "central-1/9f86d081884c7d65".parse().unwrap();
    let events: Vec<EventBytes> = (1..=count).map(|seq| event(&log, seq)).collect();
    let prev = Head::empty(&log).hash;
    let hash = events.iter().fold(prev, |hash, event| hash.extend(event));
    Run { log, after: 0, prev, events, hash }
}

fn codec(criterion: &mut Criterion) {
    let encoder = Encoder::new("central-1".parse().unwrap());
    for count in [1_usize, 32, 512] {
        let run = run_of(count);
        let text = encoder.encode(0, &Frame::SyncRun { sub: 1, run: run.clone() });
        let mut group = criterion.benchmark_group("run_frame");
        group.throughput(Throughput::Elements(u64::try_from(count).unwrap()));
        group.bench_with_input(BenchmarkId::new("encode", count), &run, |bench, run| {
            bench.iter(|| run_body(black_box(run)));
        });
        group.bench_with_input(BenchmarkId::new("fan_out_to_9_links", count), &run, |bench, run| {
            bench.iter(|| fan_out(&encoder, black_box(run)));
        });
        group.bench_with_input(BenchmarkId::new("decode", count), &text, |bench, text| {
            bench.iter(|| Frame::parse(black_box(text)));
        });
        group.bench_with_input(BenchmarkId::new("check_the_chain", count), &run, |bench, run| {
            bench.iter(|| judge(Head::empty(&run.log), black_box(run.clone())));
        });
        group.finish();
    }
}

/// One commit, written once, for all links.
fn fan_out(encoder: &Encoder, run: &Run) -> usize {
    let committed = CommittedRun::new(run.clone());
    (0..LINKS).map(|sub| encoder.encode_run(0, sub, committed.body()).len()).sum()
}

fn one_event(criterion: &mut Criterion) {
    let log: LogId = "central-1/9f86d081884c7d65".parse().unwrap();
    let text = event(&log, 1);
    criterion.bench_function("read_one_event", |bench| bench.iter(|| Event::parse(black_box(&text))));
}

criterion_group!(benches, codec, one_event);
criterion_main!(benches);
