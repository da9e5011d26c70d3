use std::sync::mpsc;

use tokio::sync::oneshot;

use super::queue::{MANY_EVENTS, RUNS_BURST};
use super::*;
use crate::domain::plate::PlateId;
use crate::ledger::job::{Answer, Detection};
use crate::replication::log::ChainHash;

/// Answers like a ledger would and tells how many jobs each transaction had.
struct Fake {
    batches: mpsc::Sender<usize>,
    /// So many transactions fail.
    fail: u32,
}

/// The disk never recovers.
const ALWAYS: u32 = u32::MAX;

impl Core for Fake {
    fn heads(&self) -> Vec<(LogId, Head)> {
        Vec::new()
    }

    fn start_new_epoch(&mut self) {}

    fn process(&mut self, jobs: Vec<Job>, _: i64, _: Option<i64>, _: Epoch) -> Decided {
        let _ = self.batches.send(jobs.len());
        let fails = self.fail > 0;
        self.fail = self.fail.saturating_sub(1);
        let mut durable = false;
        let mut committed = Vec::new();
        let mut outcomes = Vec::new();
        for job in jobs {
            outcomes.push(match job {
                _ if fails => Err(Refusal::NotDurable("disk full".into())),
                Job::Store(run) => {
                    let answer = Answer::Stored { log: run.log.clone(), head: run.head() };
                    committed.push(run);
                    durable = true;
                    Ok(answer)
                }
                Job::Audit(_) => {
                    durable = true;
                    Ok(Answer::Noted)
                }
                _ => Ok(Answer::Closed { confirmed: true, event_id: None }),
            });
        }
        let failure = fails.then(|| "disk full".to_owned());
        Decided { outcomes, committed, durable, failure, set_aside: Vec::new() }
    }

    fn settle(&mut self, _: usize, _: i64) -> Decided {
        unreachable!("nothing waits")
    }

    fn behind(&self) -> Option<Behind> {
        None
    }

    fn watch(&mut self) -> Watched {
        Watched::default()
    }

    fn probe(&mut self, _: bool) -> Result<(), String> {
        if self.fail > 0 { Err("disk full".into()) } else { Ok(()) }
    }

    fn make_room(&mut self) -> u64 {
        0
    }

    fn record_sync(&mut self, _: &CentralId, _: i64) -> Result<(), String> {
        Ok(())
    }

    fn record_told(&mut self, _: &CentralId, _: &[(LogId, u64)]) -> Result<(), String> {
        Ok(())
    }

    fn held(&self) -> Option<Held> {
        Some(Held { cars_inside: 3, ..Held::default() })
    }

    fn reconfigure(&mut self, _: &CentralId, _: &SiteZone) {}

    fn close(&mut self) -> Result<(), String> {
        Ok(())
    }
}

const LONG: Duration = Duration::from_hours(1);

type Started = (actix::Addr<DbWriter>, mpsc::Receiver<usize>, HeldView, Arc<Metrics>);

fn writer(fail: u32) -> Started {
    writer_with_runs_every(RUNS_PERIOD, fail)
}

fn writer_with_runs_every(runs_period: Duration, fail: u32) -> Started {
    let (batches, sizes) = mpsc::channel();
    let (view, health) = watch::channel(Arc::default());
    let metrics = Metrics::new();
    let core = Box::new(Fake { batches, fail });
    let mut writer = DbWriter::new(core, Clock::machine(), metrics.clone(), view);
    writer.queue = Queue::new(runs_period);
    (writer.start(), sizes, health, metrics)
}

fn gate_job() -> Job {
    let plate = PlateId::parse("29A12345").unwrap();
    Job::Detect(Detection { plate, plate_view: None, camera_type: String::new(), direction: None })
}

fn run_job(events: usize) -> Job {
    let log: LogId = "central-2/9f86d081884c7d65".parse().unwrap();
    let prev = ChainHash::genesis(&log);
    Job::Store(Run { log, after: 0, prev, events: vec!["{}".into(); events], hash: prev })
}

fn send(writer: &actix::Addr<DbWriter>, job: Job) -> oneshot::Receiver<Outcome> {
    let (decide, outcome) = Decide::new(job);
    writer.do_send(decide);
    outcome
}

#[actix::test]
async fn what_is_queued_shares_one_transaction() {
    let (writer, sizes, _, metrics) = writer(0);
    let outcomes: Vec<_> = (0..40).map(|_| send(&writer, gate_job())).collect();
    for outcome in outcomes {
        outcome.await.unwrap().unwrap();
    }
    assert_eq!(sizes.try_iter().collect::<Vec<_>>(), [40]);
    assert_eq!(metrics.writer_queue.get(), 0);
}

#[actix::test]
async fn a_transaction_is_bounded_and_serves_gates_before_long_runs_but_always_one_run() {
    let (writer, sizes, _, metrics) = writer(0);
    let mut outcomes: Vec<_> = (0..3).map(|_| send(&writer, run_job(600))).collect();
    outcomes.extend((0..1100).map(|_| send(&writer, gate_job())));
    for outcome in outcomes {
        outcome.await.unwrap().unwrap();
    }
    // 1000 gates and a run; 100 gates and a run; the last run.
    assert_eq!(sizes.try_iter().collect::<Vec<_>>(), [1001, 101, 1]);
    let text = metrics.render().unwrap();
    assert!(text.contains(r#"parkmesh_events_total{origin="peer"} 1800"#), "{text}");
}

#[actix::test]
async fn a_little_from_peers_waits_for_company_and_goes_with_a_gate() {
    let (writer, sizes, ..) = writer_with_runs_every(LONG, 0);
    for _ in 0..RUNS_BURST.get() {
        send(&writer, run_job(1)).await.unwrap().unwrap();
    }
    assert_eq!(sizes.try_iter().count(), 10);
    let waiting = [send(&writer, run_job(1)), send(&writer, run_job(2))];
    // What was sent before is collected, and what is due was committed.
    for _ in 0..2 {
        writer.send(SkewMeasured(None)).await.unwrap();
    }
    assert_eq!(sizes.try_iter().count(), 0);
    send(&writer, gate_job()).await.unwrap().unwrap();
    for outcome in waiting {
        outcome.await.unwrap().unwrap();
    }
    assert_eq!(sizes.try_iter().collect::<Vec<_>>(), [3]);
}

#[actix::test]
async fn much_from_peers_does_not_wait_and_a_little_not_for_ever() {
    let (patient, sizes, ..) = writer_with_runs_every(LONG, 0);
    for _ in 0..2 * RUNS_BURST.get() {
        send(&patient, run_job(MANY_EVENTS)).await.unwrap().unwrap();
    }
    // Nor does a little that comes after it: who has caught up is up to date at once.
    let after = tokio::time::timeout(Duration::from_secs(10), send(&patient, run_job(1)));
    after.await.expect("it does not wait").unwrap().unwrap();
    assert_eq!(sizes.try_iter().count(), 21);
    let (writer, sizes, ..) = writer(0);
    for _ in 0..2 * RUNS_BURST.get() {
        send(&writer, run_job(1)).await.unwrap().unwrap();
    }
    assert_eq!(sizes.try_iter().count(), 20);
}

#[actix::test]
async fn a_failed_commit_is_answered_to_all_its_jobs_and_seen_from_outside() {
    let (writer, _sizes, health, metrics) = writer(ALWAYS);
    let outcomes: Vec<_> = (0..3).map(|_| send(&writer, gate_job())).collect();
    for outcome in outcomes {
        assert_eq!(outcome.await.unwrap(), Err(Refusal::NotDurable("disk full".into())));
    }
    assert_eq!(health.borrow().failure.as_deref(), Some("disk full"));
    assert_eq!(metrics.commits_failed.get(), 1);
    assert_eq!(writer.send(Probe).await.unwrap(), Err("disk full".into()));
}

#[actix::test]
async fn a_disk_that_takes_the_audit_again_is_said_to_work() {
    let (writer, _sizes, health, _) = writer(2);
    let audit = || Job::Audit(Vec::new());
    for job in [gate_job(), audit()] {
        assert!(send(&writer, job).await.unwrap().is_err());
        assert_eq!(health.borrow().failure.as_deref(), Some("disk full"));
    }
    // Nothing was written, so nothing is known.
    send(&writer, gate_job()).await.unwrap().unwrap();
    assert_eq!(health.borrow().failure.as_deref(), Some("disk full"));
    assert_eq!(send(&writer, audit()).await.unwrap(), Ok(Answer::Noted));
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
    let (writer, ..) = writer(0);
    let (heard, announcements) = mpsc::channel();
    let listener = Listener(heard).start();
    writer.send(AnnounceTo(listener.clone().recipient())).await.unwrap();
    send(&writer, run_job(1)).await.unwrap().unwrap();
    send(&writer, gate_job()).await.unwrap().unwrap();
    while listener.connected() && announcements.try_recv() != Ok(1) {
        tokio::task::yield_now().await;
    }
    assert!(announcements.try_recv().is_err(), "nothing was committed by the second job");
}

#[actix::test]
async fn a_flush_commits_what_is_queued_and_then_nothing_is_taken() {
    let (writer, sizes, ..) = writer(0);
    let queued = send(&writer, gate_job());
    assert_eq!(writer.send(Flush).await.unwrap(), Ok(()));
    queued.await.unwrap().unwrap();
    assert!(matches!(send(&writer, gate_job()).await.unwrap(), Err(Refusal::NotDurable(_))));
    assert_eq!(sizes.try_iter().collect::<Vec<_>>(), [1]);
}

#[actix::test]
async fn who_waits_for_a_writer_that_panics_is_not_left_waiting() {
    let (writer, ..) = writer(0);
    writer.do_send(InjectPanic);
    assert!(send(&writer, gate_job()).await.is_err());
}
