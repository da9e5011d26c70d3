use std::sync::mpsc;

use super::schedule::{MANY_EVENTS, RUNS_BURST};
use super::*;
use crate::actors::supervise::{Faults, Surroundings, start_once};
use crate::domain::audit::{Act, By, Kind};
use crate::domain::plate::PlateId;
use crate::domain::time::SiteZone;
use crate::ledger::Context as LedgerContext;
use crate::ledger::job::{Answer, Beside, Detection, OpenBarrier};
use crate::ledger::memory::MemoryStorage;
use crate::replication::log::EventBytes;

const LONG: Duration = Duration::from_hours(1);

type Memory = DbWriter<MemoryStorage>;
type Started = (actix::Addr<Memory>, HeldView, Arc<Metrics>);

fn new_writer(storage: MemoryStorage) -> (Memory, HeldView, Arc<Metrics>) {
    let context = LedgerContext { central: CentralId::new("central-1").unwrap(), zone: SiteZone::default() };
    let ledger = Ledger::open(storage, context).unwrap();
    let (view, health) = watch::channel(Arc::default());
    let metrics = Metrics::new();
    (DbWriter::new(ledger, Clock::machine(), metrics.clone(), view), health, metrics)
}

fn writer() -> Started {
    writer_with_runs_every(RUNS_PERIOD)
}

fn writer_with_runs_every(runs_period: Duration) -> Started {
    let (mut writer, health, metrics) = new_writer(MemoryStorage::default());
    writer.queue = Queue::new(runs_period);
    (writer.start(), health, metrics)
}

/// Its first transaction fails.
fn failing_writer() -> Started {
    let mut storage = MemoryStorage::default();
    storage.fail_next_commit = true;
    let (writer, health, metrics) = new_writer(storage);
    (writer.start(), health, metrics)
}

/// Asks and writes nothing.
fn gate_job() -> Job {
    let plate = PlateId::parse("29A12345").unwrap();
    Job::Detect(Detection { plate, plate_view: None, camera_type: String::new(), direction: None })
}

fn entry_job(number: u32) -> Job {
    Job::Open(OpenBarrier {
        edge_id: "1".into(),
        plate: PlateId::parse(&format!("29A{number:05}")).unwrap(),
        plate_view: None,
        direction: None,
        camera_type: String::new(),
        confidence: None,
        request_id: None,
        force: false,
        reason: None,
        fee: None,
        beside: Beside::default(),
        notes: Vec::new(),
    })
}

/// The runs of a log, one after the other.
struct Log(LogId, Head);

impl Log {
    fn new() -> Self {
        let log: LogId = "central-2/9f86d081884c7d65".parse().unwrap();
        let head = Head::empty(&log);
        Self(log, head)
    }

    /// They are in quarantine, which is a commit like any other.
    fn run(&mut self, events: usize) -> Job {
        let Self(log, head) = self;
        let events: Vec<EventBytes> = vec!["{}".into(); events];
        let hash = events.iter().fold(head.hash, |hash, event| hash.extend(event));
        let run = Run { log: log.clone(), after: head.to, prev: head.hash, events, hash };
        *head = run.head();
        Job::Store(run)
    }
}

fn commits(metrics: &Metrics) -> u64 {
    metrics.commits.get()
}

fn send(writer: &actix::Addr<Memory>, job: Job) -> oneshot::Receiver<Outcome> {
    let (decide, outcome) = Decide::new(job);
    writer.do_send(decide);
    outcome
}

#[actix::test]
async fn what_is_queued_shares_one_transaction() {
    let (writer, _, metrics) = writer();
    let outcomes: Vec<_> = (0..40).map(|number| send(&writer, entry_job(number))).collect();
    for outcome in outcomes {
        outcome.await.unwrap().unwrap();
    }
    assert_eq!((commits(&metrics), metrics.writer_queue.get()), (1, 0));
}

/// What a writer finds in its queue after minutes at something else: the car that pressed is gone, the car that was seen passing is not.
#[actix::test]
async fn a_press_nobody_waits_for_any_more_is_not_done_and_a_report_is() {
    let (writer, view, _) = writer();
    let long_ago = Instant::now().checked_sub(ANSWER_TIMEOUT).unwrap();
    let late = |job: Job| {
        let (decide, outcome) = Decide::new(job);
        writer.do_send(Decide { asked: long_ago, ..decide });
        outcome
    };
    let pressed = late(entry_job(1).by(crate::domain::doer::Doer::new(crate::domain::doer::DoerKind::Open, "")));
    assert!(matches!(pressed.await.unwrap(), Err(Refusal::NotDurable(_))));
    let mut log = Log::new();
    late(log.run(1)).await.unwrap().unwrap();
    send(&writer, entry_job(2)).await.unwrap().unwrap();
    let held = view.borrow();
    assert_eq!((held.events, held.cars_inside), (2, 1));
}

#[test]
fn a_page_keeps_no_gate_from_having_the_history_made_anew() {
    let mut remaking = Remaking::<MemoryStorage>::default();
    for met_by in [MetBy::Page, MetBy::Gate] {
        assert!(remaking.may_begin(met_by));
        *remaking.begun(met_by) = Some(Instant::now());
        assert!(!remaking.may_begin(met_by));
    }
}

#[test]
fn a_batch_is_bounded_and_serves_gates_before_long_runs_but_always_one_run() {
    let (mut queue, mut log) = (Queue::new(RUNS_PERIOD), Log::new());
    (0..3).for_each(|_| queue.push(Decide::new(log.run(600)).0));
    (0..1100).for_each(|_| queue.push(Decide::new(gate_job()).0));
    let batches: Vec<_> = std::iter::from_fn(|| Some(queue.next_batch().len()).filter(|size| *size > 0)).collect();
    // 1000 gates and a run; 100 gates and a run; the last run.
    assert_eq!(batches, [1001, 101, 1]);
}

#[actix::test]
async fn what_peers_sent_is_counted_as_theirs() {
    let ((writer, _, metrics), mut log) = (writer(), Log::new());
    for outcome in [log.run(600), log.run(600), entry_job(1)].map(|job| send(&writer, job)) {
        outcome.await.unwrap().unwrap();
    }
    let text = metrics.render().unwrap();
    assert!(text.contains(r#"parkmesh_events_total{origin="peer"} 1200"#), "{text}");
    assert!(text.contains(r#"parkmesh_events_total{origin="own"} 1"#), "{text}");
}

#[actix::test]
async fn a_little_from_peers_waits_for_company_and_goes_with_a_gate() {
    let ((writer, _, metrics), mut log) = (writer_with_runs_every(LONG), Log::new());
    for _ in 0..RUNS_BURST.get() {
        send(&writer, log.run(1)).await.unwrap().unwrap();
    }
    assert_eq!(commits(&metrics), 10);
    let waiting = [send(&writer, log.run(1)), send(&writer, log.run(2))];
    // What was sent before is collected, and what is due was committed.
    for _ in 0..2 {
        writer.send(SkewMeasured(None)).await.unwrap();
    }
    assert_eq!(commits(&metrics), 10);
    send(&writer, gate_job()).await.unwrap().unwrap();
    for outcome in waiting {
        outcome.await.unwrap().unwrap();
    }
    assert_eq!(commits(&metrics), 11);
}

#[actix::test]
async fn much_from_peers_does_not_wait_and_a_little_not_for_ever() {
    let ((patient, _, metrics), mut log) = (writer_with_runs_every(LONG), Log::new());
    for _ in 0..2 * RUNS_BURST.get() {
        send(&patient, log.run(MANY_EVENTS)).await.unwrap().unwrap();
    }
    // Nor does a little that comes after it: who has caught up is up to date at once.
    let after = tokio::time::timeout(Duration::from_secs(10), send(&patient, log.run(1)));
    after.await.expect("it does not wait").unwrap().unwrap();
    assert_eq!(commits(&metrics), 21);
    let ((writer, _, metrics), mut log) = (writer(), Log::new());
    for _ in 0..2 * RUNS_BURST.get() {
        send(&writer, log.run(1)).await.unwrap().unwrap();
    }
    assert_eq!(commits(&metrics), 20);
}

#[actix::test]
async fn a_failed_commit_is_answered_to_all_its_jobs_and_seen_from_outside() {
    let (writer, health, metrics) = failing_writer();
    let outcomes: Vec<_> = (0..3).map(|number| send(&writer, entry_job(number))).collect();
    for outcome in outcomes {
        assert!(matches!(outcome.await.unwrap(), Err(Refusal::NotDurable(reason)) if reason.contains("injected")));
    }
    assert!(health.borrow().failure.as_deref().is_some_and(|reason| reason.contains("injected")));
    assert_eq!(metrics.commits_failed.get(), 1);
    assert_eq!(writer.send(Probe).await.unwrap(), Ok(()));
    assert_eq!(health.borrow().failure, None);
}

#[actix::test]
async fn a_disk_that_takes_the_audit_again_is_said_to_work() {
    let (writer, health, _) = failing_writer();
    assert!(writer.send(Probe).await.unwrap().is_err());
    // Nothing was written, so nothing is known.
    send(&writer, gate_job()).await.unwrap().unwrap();
    assert!(health.borrow().failure.is_some());
    let act = Act::new(Kind::Settings, By::new("central", ""), "");
    let entry = act.done(0, serde_json::Value::Null, serde_json::Value::Null);
    assert_eq!(send(&writer, Job::Audit(vec![entry])).await.unwrap(), Ok(Answer::Noted));
    assert_eq!(health.borrow().failure, None);
}

#[actix::test]
async fn commits_are_announced_after_their_answers() {
    struct Listener(mpsc::Sender<usize>);
    impl Actor for Listener {
        type Context = Context<Self>;
    }
    impl Handler<Committed> for Listener {
        type Result = ();
        fn handle(&mut self, committed: Committed, _: &mut Self::Context) {
            self.0.send(committed.runs.len()).unwrap();
        }
    }
    let ((writer, ..), mut log) = (writer(), Log::new());
    let (heard, announcements) = mpsc::channel();
    let listener = Listener(heard).start();
    writer.send(AnnounceTo(listener.clone().recipient())).await.unwrap();
    send(&writer, log.run(1)).await.unwrap().unwrap();
    send(&writer, gate_job()).await.unwrap().unwrap();
    while listener.connected() && announcements.try_recv() != Ok(1) {
        tokio::task::yield_now().await;
    }
    assert!(announcements.try_recv().is_err(), "nothing was committed by the second job");
}

#[actix::test]
async fn a_flush_commits_what_is_queued_and_then_nothing_is_taken() {
    let (writer, _, metrics) = writer();
    let queued = send(&writer, entry_job(1));
    assert_eq!(writer.send(Flush).await.unwrap(), Ok(()));
    queued.await.unwrap().unwrap();
    assert!(matches!(send(&writer, entry_job(2)).await.unwrap(), Err(Refusal::NotDurable(_))));
    assert_eq!(commits(&metrics), 1);
    assert_eq!(writer.send(Flush).await.unwrap(), Ok(()), "closed already");
}

#[actix::test]
async fn who_waits_for_a_writer_that_panics_is_not_left_waiting() {
    let faults = Faults::default();
    let (fatal, _fatals) = tokio::sync::mpsc::unbounded_channel();
    let around = Surroundings { metrics: Metrics::new(), fatal, faults: Some(faults.clone()) };
    let build = || new_writer(MemoryStorage::default()).0;
    let writer = start_once(&actix::Arbiter::current(), &around, "db_writer", build).await.unwrap();
    faults.inject("db_writer").unwrap();
    assert!(send(&writer, gate_job()).await.is_err());
}
