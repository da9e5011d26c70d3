//! The one writer of a central: it owns the ledger, and alone decides and commits.
//!
//! - **Group commit.** Handlers only collect jobs; the commit runs once the mailbox is drained, without a timer for gates. One
//!   transaction takes what is queued, at most [`MAX_BATCH_EVENTS`] events. A little that came from peers alone waits
//!   some ms for company: docs/decisions/023.
//! - **Plates that wait are folded in turns** between the batches: see [`turns`].
//! - **Answers leave after the commit**, then the announcement. A failed commit is answered as such, to all of its jobs.
//! - It runs on a thread of its own, which it may block. An answer costs one hop to it and one back.
//! - A panic here is fatal for the process (see [`super::supervise`]): memory must not be ahead of the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use std::pin::Pin;
use std::task::{self, Poll};

use actix::fut::{ActorFuture, ActorFutureExt, wrap_future};
use actix::{Actor, AsyncContext, Context, Handler, MessageResult, Recipient};
use log::{error, info, warn};
use tokio::sync::watch;

mod messages;
mod notes;
mod queue;
mod turns;

pub use self::messages::{
    AnnounceTo, Committed, Decide, Flush, HeardFrom, Probe, SkewMeasured, StartNewEpoch, ToldPredecessor,
};
pub use self::queue::MAX_BATCH_EVENTS;
use self::queue::{MANY_EVENTS, Queue, RUNS_PERIOD};
use self::turns::Turns;

use super::config_keeper::ConfigChanged;
use super::supervise::{InjectPanic, injected_panic};
use crate::domain::ids::{CentralId, Epoch, LogId};
use crate::domain::time::SiteZone;
use crate::ledger::digest::Digest;
use crate::ledger::job::{Job, Outcome, Refusal};
use crate::ledger::settings::Settings;
use crate::ledger::storage::{Behind, EventRef};
use crate::ops::clock::Clock;
use crate::ops::metrics::{Metrics, OriginLabel};
use crate::ops::said::Said;
use crate::replication::log::{Head, Run};
use crate::store::writer::Watched;

/// How long the writer stays awake after a commit that answered a gate, if that gate had asked so soon after the one before.
const LINGER: Duration = Duration::from_micros(300);
/// A failing disk is logged at once and then this often.
const FAILURE_LOG_PERIOD: Duration = Duration::from_secs(10);
/// How often the files are looked after.
const WATCH_PERIOD: Duration = Duration::from_secs(1);
/// While files are missing, that is logged again this often.
const VANISHED_LOG_PERIOD: Duration = Duration::from_secs(10 * 60);

/// What a batch came to. `outcomes` has one per job, in order.
#[derive(Debug)]
pub struct Decided {
    pub outcomes: Vec<Outcome>,
    pub committed: Vec<Run>,
    /// A transaction was committed: the logs grew, or the audit alone.
    pub durable: bool,
    /// Why the transaction failed, if it did: then every outcome is [`Refusal::NotDurable`].
    pub failure: Option<String>,
    /// Events that came and have no effect, with the reason.
    pub set_aside: Vec<(EventRef, String)>,
}

/// What the writer drives: the ledger over its disk. Tests put one that fails here.
pub trait Core: Send {
    /// Decides all jobs in one transaction.
    fn process(&mut self, jobs: Vec<Job>, wall_ms: i64, skew_ms: Option<i64>, fresh_epoch: Epoch) -> Decided;
    /// One transaction in which about so many facts that wait are folded. The outcomes are none.
    fn settle(&mut self, facts: usize, wall_ms: i64) -> Decided;
    /// The plates whose history is behind the events.
    fn behind(&self) -> Option<Behind>;
    /// Work that may follow a commit once its answers are out. Returns the size of the write-ahead log in bytes.
    fn make_room(&mut self) -> u64;
    /// Notes that something came from a peer.
    ///
    /// # Errors
    /// Why it could not.
    fn record_sync(&mut self, peer: &CentralId, now_ms: i64) -> Result<(), String>;
    /// Notes how far a predecessor was told of some logs.
    ///
    /// # Errors
    /// Why it could not.
    fn record_told(&mut self, peer: &CentralId, cursors: &[(LogId, u64)]) -> Result<(), String>;
    /// One real commit, of a page; `as_an_event`: as large as an event's. It changes nothing.
    ///
    /// # Errors
    /// Why nothing can be committed now.
    fn probe(&mut self, as_an_event: bool) -> Result<(), String>;
    /// Looks after the files, once a second.
    fn watch(&mut self) -> Watched;
    /// What is durable, but for why the last commit failed and what was seen of the files; `None`: it is closed.
    fn held(&self) -> Option<Held>;
    /// How far every log is held.
    fn heads(&self) -> Vec<(LogId, Head)>;
    /// Never continues the current own log.
    fn start_new_epoch(&mut self);
    /// The own id or the site's zone changed: events authored from now on carry them.
    fn reconfigure(&mut self, central: &CentralId, zone: &SiteZone);
    /// Writes everything back and closes the disk.
    ///
    /// # Errors
    /// Why it could not; what was committed stays committed.
    fn close(&mut self) -> Result<(), String>;
}

/// What is durable now, as the writer publishes it after each commit: nobody asks it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Tariff, subscriptions, the standing of centrals.
    pub settings: Arc<Settings>,
    /// The log this process writes, once it has one.
    pub own_log: Option<LogId>,
    /// Of the history; `None`: some of it is still to be made from events that are held.
    pub digest: Option<Digest>,
    /// The plates whose history is behind the events.
    pub behind: Option<Behind>,
    /// Events held, of all logs.
    pub events: u64,
    pub cars_inside: u64,
    /// Why the last commit failed; `None`: it did not.
    pub failure: Option<Arc<str>>,
    /// What the last look at the files found.
    pub watched: Arc<Watched>,
}

/// Where it is published, and seen from any thread.
pub type HeldSender = watch::Sender<Arc<Held>>;
pub type HeldView = watch::Receiver<Arc<Held>>;

pub struct DbWriter {
    core: Box<dyn Core>,
    clock: Clock,
    metrics: Arc<Metrics>,
    view: HeldSender,
    queue: Queue,
    turns: Turns,
    turn_due: bool,
    commit_due: bool,
    runs_wait: bool,
    lingering: bool,
    awake_until: Instant,
    closed: bool,
    skew_ms: Option<i64>,
    listener: Option<Recipient<Committed>>,
    failing_since: Option<Instant>,
    failure_logged: Option<Instant>,
    said: Said,
    vanished_logged: Option<Instant>,
}

impl DbWriter {
    #[must_use]
    pub fn new(core: Box<dyn Core>, clock: Clock, metrics: Arc<Metrics>, view: HeldSender) -> Self {
        Self {
            core,
            clock,
            metrics,
            view,
            queue: Queue::new(RUNS_PERIOD),
            turns: Turns::new(Instant::now()),
            turn_due: false,
            commit_due: false,
            runs_wait: false,
            lingering: false,
            awake_until: Instant::now(),
            closed: false,
            skew_ms: None,
            listener: None,
            failing_since: None,
            failure_logged: None,
            said: Said::default(),
            vanished_logged: None,
        }
    }

    fn watch(&mut self) {
        if self.closed {
            return;
        }
        let watched = self.core.watch();
        let due = self.vanished_logged.is_none_or(|logged| logged.elapsed() >= VANISHED_LOG_PERIOD);
        match &watched.files {
            Some(reason) if due => {
                self.vanished_logged = Some(Instant::now());
                error!(event = "files_vanished", reason = reason.as_str(); "files of the database were removed or replaced");
            }
            Some(_) => {}
            None if self.vanished_logged.take().is_some() => {
                info!(event = "files_back"; "the files of the database are where they were");
            }
            None => {}
        }
        if *self.view.borrow().watched != watched {
            self.show(|held| held.watched = Arc::new(watched));
        }
    }

    fn collect(&mut self, decide: Decide, context: &mut Context<Self>) {
        if self.closed {
            drop(decide.reply.send(Err(Refusal::NotDurable("this central is stopping".into()))));
            return;
        }
        self.queue.push(decide);
        self.schedule(context);
    }

    /// A spawned future is polled only once the mailbox is empty: that is the whole batching.
    fn schedule(&mut self, context: &mut Context<Self>) {
        if !self.commit_due {
            self.commit_due = true;
            context.spawn(wrap_future::<_, Self>(std::future::ready(())).map(|(), writer, context| {
                writer.commit_due = false;
                if let Some(pause) = writer.queue.pause() {
                    return writer.let_runs_wait(pause, context);
                }
                let asked_soon = writer.queue.has_gates() && writer.queue.was_busy_within(LINGER);
                writer.commit();
                writer.let_plates_wait(context);
                if writer.queue.len() > 0 {
                    writer.schedule(context);
                } else if asked_soon {
                    writer.linger(context);
                }
            }));
        }
    }

    /// Sees to it that plates that wait get their turn.
    fn let_plates_wait(&mut self, context: &mut Context<Self>) {
        let now = Instant::now();
        if self.closed || self.core.behind().is_none() {
            return self.turns.nothing_waits(now);
        }
        let busy = self.queue.len() > 0;
        let wait = self.turns.wait(now, busy);
        // No timer goes off while batches follow each other.
        if busy && wait.is_zero() {
            self.turn();
        } else if !std::mem::replace(&mut self.turn_due, true) {
            context.run_later(wait, |writer, context| {
                writer.turn_due = false;
                // What came meanwhile may put it off.
                if writer.turns.wait(Instant::now(), writer.queue.len() > 0).is_zero() {
                    writer.turn();
                }
                writer.let_plates_wait(context);
            });
        }
    }

    /// Folds some of what waits.
    fn turn(&mut self) {
        if self.closed {
            return;
        }
        let started = Instant::now();
        let decided = self.core.settle(self.turns.facts(), self.clock.now_ms());
        match &decided.failure {
            Some(_) => self.turns.failed(Instant::now()),
            None => self.turns.over(Instant::now(), started.elapsed()),
        }
        self.record(&decided, &[], started.elapsed());
        // Nothing was written down, but figures have changed.
        if decided.durable
            && let Some(listener) = &self.listener
        {
            let own_log = self.view.borrow().own_log.clone();
            listener.do_send(Committed { runs: Arc::new([]), own_log });
        }
        self.make_room();
    }

    fn let_runs_wait(&mut self, pause: Duration, context: &mut Context<Self>) {
        if !std::mem::replace(&mut self.runs_wait, true) {
            context.run_later(pause, |writer, context| {
                writer.runs_wait = false;
                if writer.queue.len() > 0 {
                    writer.schedule(context);
                }
            });
        }
    }

    /// Stays awake for a moment after a commit: who was answered often asks again at once, and waking a sleeping thread takes
    /// longer than a small commit's own work. Every turn lets others have this core.
    fn linger(&mut self, context: &mut Context<Self>) {
        self.awake_until = Instant::now() + LINGER;
        if std::mem::replace(&mut self.lingering, true) {
            return;
        }
        context.spawn(Linger);
    }

    fn commit(&mut self) {
        let batch = self.queue.next_batch();
        if batch.is_empty() {
            return;
        }
        self.metrics.writer_queue.set(i64::try_from(self.queue.len() + batch.len()).unwrap_or(i64::MAX));
        let mut jobs = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        let mut from_peers = Vec::new();
        let mut events = 0;
        for Decide { job, reply, permit } in batch {
            if let Job::Store(run) | Job::StoreOfAuthor(run) = &job {
                from_peers.push(run.log.clone());
                events += run.events.len();
            }
            jobs.push(job);
            waiting.push((reply, permit));
        }
        let Ok(random) = getrandom::u64() else {
            for (reply, _permit) in waiting {
                drop(reply.send(Err(Refusal::NotDurable("the system gives no random numbers".into()))));
            }
            return;
        };
        let started = Instant::now();
        let mut decided = self.core.process(jobs, self.clock.now_ms(), self.skew_ms, Epoch(random));
        let took = started.elapsed();
        self.queue.batch_over();
        if events >= MANY_EVENTS {
            self.turns.much_came(Instant::now());
        }
        // Before the answers: who has one finds its figures published.
        self.record(&decided, &from_peers, took);
        // Who stopped waiting is not told; the permit goes back when its pair is dropped.
        for (outcome, (reply, _permit)) in std::mem::take(&mut decided.outcomes).into_iter().zip(waiting) {
            drop(reply.send(outcome));
        }
        if let Some(listener) = &self.listener
            && !decided.committed.is_empty()
        {
            let own_log = self.view.borrow().own_log.clone();
            listener.do_send(Committed { runs: decided.committed.into(), own_log });
        }
        self.make_room();
        self.metrics.writer_queue.set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
        // Lets whom the answers woke run first where cores are few: they bring the next requests, and the next transaction
        // is larger for it. Costs nothing where nobody waits for this core.
        std::thread::yield_now();
    }

    fn make_room(&mut self) {
        self.metrics.wal_bytes.set(i64::try_from(self.core.make_room()).unwrap_or(i64::MAX));
    }

    fn record(&mut self, decided: &Decided, from_peers: &[LogId], took: Duration) {
        if let Some(reason) = &decided.failure {
            self.failed(reason);
            return;
        }
        if decided.durable {
            self.succeeded();
            self.publish();
        }
        for (at, reason) in &decided.set_aside {
            // One line for what a log says again and again.
            let (log, kind) = (at.log.to_string(), reason.split(':').next().unwrap_or_default());
            if self.said.is_news(&log, kind, Instant::now()) {
                let (seq, reason) = (at.seq, reason.as_str());
                warn!(event = "event_set_aside", log = log.as_str(), seq = seq, reason = reason; "an event that came has no effect here");
            }
        }
        if decided.committed.is_empty() {
            return;
        }
        let mut events = 0;
        for run in &decided.committed {
            let origin = if from_peers.contains(&run.log) { "peer" } else { "own" };
            self.metrics.events.get_or_create(&OriginLabel { origin }).inc_by(run.events.len() as u64);
            events += run.events.len();
        }
        self.metrics.commits.inc();
        self.metrics.commit_events.observe(f64::from(u32::try_from(events).unwrap_or(u32::MAX)));
        self.metrics.commit_seconds.observe(took.as_secs_f64());
    }

    /// Shows what is durable now.
    fn publish(&self) {
        let Some(held) = self.core.held() else { return };
        self.metrics.cars_inside.set(i64::try_from(held.cars_inside).unwrap_or(i64::MAX));
        self.metrics.show_behind(held.behind.map(|behind| (behind.plates, behind.since_ms)));
        self.show(|shown| *shown = Held { failure: shown.failure.take(), watched: shown.watched.clone(), ..held });
    }

    fn show(&self, change: impl FnOnce(&mut Held)) {
        self.view.send_modify(|held| change(Arc::make_mut(held)));
    }

    fn show_failure(&self, failure: Option<&str>) {
        self.show(|held| held.failure = failure.map(Into::into));
    }

    fn failed(&mut self, reason: &str) {
        let now = Instant::now();
        self.metrics.commits_failed.inc();
        self.show_failure(Some(reason));
        self.failing_since.get_or_insert(now);
        if self.failure_logged.is_none_or(|logged| now.duration_since(logged) >= FAILURE_LOG_PERIOD) {
            self.failure_logged = Some(now);
            error!(event = "commit_failed", reason = reason; "cannot commit: gates are answered 503 until it works again");
        }
    }

    fn succeeded(&mut self) {
        if let Some(since) = self.failing_since.take() {
            self.show_failure(None);
            self.failure_logged = None;
            let failed_s = since.elapsed().as_secs();
            info!(event = "commit_recovered", failed_s = failed_s; "commits succeed again");
        }
    }
}

/// See [`DbWriter::linger`].
struct Linger;

impl ActorFuture<DbWriter> for Linger {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        writer: &mut DbWriter,
        _: &mut Context<DbWriter>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        if Instant::now() >= writer.awake_until {
            writer.lingering = false;
            return Poll::Ready(());
        }
        std::thread::yield_now();
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Actor for DbWriter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // What was not folded before a stop or a kill.
        self.publish();
        self.let_plates_wait(context);
        context.run_interval(WATCH_PERIOD, |writer, _| writer.watch());
    }
}

impl Handler<Decide> for DbWriter {
    type Result = ();

    fn handle(&mut self, decide: Decide, context: &mut Self::Context) {
        self.collect(decide, context);
    }
}

impl Handler<AnnounceTo> for DbWriter {
    type Result = MessageResult<AnnounceTo>;

    fn handle(&mut self, to: AnnounceTo, _: &mut Self::Context) -> Self::Result {
        self.listener = Some(to.0);
        MessageResult(self.core.heads())
    }
}

impl Handler<SkewMeasured> for DbWriter {
    type Result = ();

    fn handle(&mut self, skew: SkewMeasured, _: &mut Self::Context) {
        self.skew_ms = skew.0;
    }
}

impl Handler<ConfigChanged> for DbWriter {
    type Result = ();

    fn handle(&mut self, changed: ConfigChanged, _: &mut Self::Context) {
        let ConfigChanged { old, new } = &changed;
        if old.this_central.id != new.this_central.id || old.site.time_zone != new.site.time_zone {
            // What is queued was asked of the central as it was.
            while self.queue.len() > 0 {
                self.commit();
            }
            self.core.reconfigure(&new.this_central.id, &new.site.time_zone);
            self.publish();
        }
    }
}

impl Handler<StartNewEpoch> for DbWriter {
    type Result = ();

    fn handle(&mut self, _: StartNewEpoch, _: &mut Self::Context) {
        self.core.start_new_epoch();
        self.publish();
    }
}

impl Handler<Probe> for DbWriter {
    type Result = Result<(), String>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        // After a failure a disk with room for a page only is not taken for a good one.
        let probed = self.core.probe(self.failing_since.is_some());
        match &probed {
            Ok(()) => self.succeeded(),
            Err(reason) => self.failed(reason),
        }
        self.make_room();
        probed
    }
}

impl Handler<Flush> for DbWriter {
    type Result = Result<(), String>;

    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        if self.closed {
            return Ok(());
        }
        while self.queue.len() > 0 {
            self.commit();
        }
        self.closed = true;
        self.core.close()
    }
}

impl Handler<InjectPanic> for DbWriter {
    type Result = ();

    fn handle(&mut self, _: InjectPanic, _: &mut Self::Context) {
        injected_panic();
    }
}

#[cfg(test)]
mod tests;
