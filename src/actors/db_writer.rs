//! The one writer of a central: it owns the ledger, and alone decides and commits.
//!
//! - **Group commit.** Handlers only collect jobs; the commit runs once the mailbox is drained, without a timer for gates. One
//!   transaction takes what is queued, at most [`MAX_BATCH_EVENTS`] events. A little that came from peers alone waits
//!   some ms for company: docs/decisions/023.
//! - **Plates that wait are folded in turns** between the batches: see [`schedule`].
//! - **Answers leave after the commit**, then the announcement. A failed commit is answered as such, to all of its jobs.
//! - It runs on a thread of its own, which it may block. An answer costs one hop to it and one back.
//! - What is made from the events and cannot be read is made anew from them: see [`remaking`].
//! - A panic here is fatal for the process (see [`super::supervise`]): memory must not be ahead of the disk. So is a log that somebody cut:
//!   nothing can be committed behind it, and a new process goes on with what is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use std::pin::Pin;
use std::task::{self, Poll};

use actix::fut::{ActorFuture, ActorFutureExt, wrap_future};
use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult, Recipient};
use log::{error, info, warn};
use tokio::sync::{oneshot, watch};

mod remaking;
mod schedule;

pub use self::remaking::Remake;
use self::remaking::{MetBy, Remaking};
pub use self::schedule::MAX_BATCH_EVENTS;
use self::schedule::{MANY_EVENTS, Queue, RUNS_PERIOD, Turns};

use super::config_keeper::ConfigChanged;
use super::supervise::Surroundings;
use crate::domain::ids::{CentralId, Epoch, LogId};
use crate::ledger::digest::Digest;
use crate::ledger::job::{Job, Outcome, Refusal};
use crate::ledger::settings::SharedSettings;
use crate::ledger::storage::{Behind, Storage, Watched};
use crate::ledger::transaction::TransactionTime;
use crate::ledger::{Ledger, Processed};
use crate::ops::clock::{Clock, is_behind, telling_stamps};
use crate::ops::in_flight::Permit;
use crate::ops::metrics::{Metrics, OriginLabel};
use crate::ops::offences::SaidOnce;
use crate::replication::handshake::SeenOf;
use crate::replication::log::{Head, Run};
use crate::store::writer::Writer;

/// How long the writer stays awake after a commit that answered a gate, if that gate had asked so soon after the one before.
const LINGER: Duration = Duration::from_micros(300);
/// A failing disk is logged at once and then this often.
const FAILURE_LOG_PERIOD: Duration = Duration::from_secs(10);
/// The ledger was closed; nothing comes after that.
const CLOSED: &str = "the database is closed";
/// How often the files are looked after.
const WATCH_PERIOD: Duration = Duration::from_secs(1);
/// While files are missing, that is logged again this often.
const VANISHED_LOG_PERIOD: Duration = Duration::from_secs(10 * 60);

/// A disk that needs longer than this for one commit does not answer a car that waits; the client tries again.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Decide this, make it durable, then answer. Never cancelled once sent: who stops waiting finds it done or not done. A press that
/// has waited for [`ANSWER_TIMEOUT`] is not done any more.
///
/// The reply channel closing without an answer means the writer failed; the job may or may not have happened.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Decide {
    pub job: Job,
    pub reply: oneshot::Sender<Outcome>,
    /// Given back after the answer.
    pub permit: Option<Permit>,
    pub asked: Instant,
}

impl Decide {
    /// A job without a permit and the channel its outcome comes on.
    pub fn new(job: Job) -> (Self, oneshot::Receiver<Outcome>) {
        let (reply, outcome) = oneshot::channel();
        (Self { job, reply, permit: None, asked: Instant::now() }, outcome)
    }
}

/// What was committed just now: own events and stored ones, by log. Sent after the answers.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Committed {
    pub runs: Arc<[Run]>,
    /// The log this process writes, once it has one.
    pub own_log: Option<LogId>,
}

/// The own log is not ours alone any more: the next own event starts a new one.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StartNewEpoch;

/// Who hears of commits from now on. Answers how far every log is held by then: nothing is missed in between.
#[derive(Debug, Message)]
#[rtype(result = "Vec<(LogId, Head)>")]
pub struct AnnounceTo(pub Recipient<Committed>);

/// The median clock offset to the peers, stamped into events from now on; `None`: unknown.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct SkewMeasured(pub Option<i64>);

/// Note how it stands with another central, for later starts and for people. In vain it is noted another time.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum Remember {
    /// Something came from these peers: for `p2p_sync_state`. Send it now and then, not for each run.
    HeardFrom(Vec<CentralId>),
    /// This start of a peer was linked and lives.
    Start(SeenOf),
    /// A predecessor was told of these logs up to there, and heard it.
    Told { peer: CentralId, cursors: Vec<(LogId, u64)> },
}

/// Tries a real commit, now.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), String>")]
pub struct Probe;

/// Commit what is queued, write the WAL back into the database, and take nothing any more. The last message of a stop.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), String>")]
pub struct Flush;

/// What is durable now, as the writer publishes it after each commit: nobody asks it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Tariff, subscriptions, the standing of centrals.
    pub settings: Arc<SharedSettings>,
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

impl Held {
    /// What a ledger holds.
    pub fn of<S: Storage>(ledger: &Ledger<S>) -> Self {
        Self {
            settings: ledger.settings().clone(),
            own_log: ledger.own_log().cloned(),
            digest: ledger.behind().is_none().then(|| ledger.digest()),
            behind: ledger.behind(),
            events: ledger.events(),
            cars_inside: ledger.inside().len() as u64,
            failure: None,
            watched: Arc::default(),
        }
    }
}

/// Where it is published, and seen from any thread.
pub type HeldSender = watch::Sender<Arc<Held>>;
pub type HeldView = watch::Receiver<Arc<Held>>;

pub struct DbWriter<S: Storage = Writer> {
    /// `None` once closed.
    ledger: Option<Ledger<S>>,
    /// The newest stamp of this central: of what was written since the start, and of the cars inside that came in here.
    newest_own_ms: Option<i64>,
    /// As long as nothing is known of it, and while it is behind: each look asks the disk.
    clock_wrong: bool,
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
    skew_ms: Option<i64>,
    listener: Option<Recipient<Committed>>,
    failing_since: Option<Instant>,
    failure_logged: Option<Instant>,
    said: SaidOnce,
    vanished_logged: Option<Instant>,
    remaking: Remaking<S>,
    /// Where to say that only a new process can go on; `None`: it is said, or nobody listens.
    around: Option<Surroundings>,
}

impl<S: Storage> DbWriter<S> {
    pub fn new(ledger: Ledger<S>, clock: Clock, metrics: Arc<Metrics>, view: HeldSender) -> Self {
        Self {
            newest_own_ms: None,
            clock_wrong: true,
            ledger: Some(ledger),
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
            skew_ms: None,
            listener: None,
            failing_since: None,
            failure_logged: None,
            said: SaidOnce::default(),
            vanished_logged: None,
            remaking: Remaking::default(),
            around: None,
        }
    }

    /// Ends the process where that helps, and nothing else does: a site without people stays open.
    pub fn ending(mut self, around: Surroundings) -> Self {
        self.around = Some(around);
        self
    }

    fn watch(&mut self) {
        self.look_after_history();
        let Some(ledger) = &mut self.ledger else { return };
        let mut watched = ledger.storage_mut().watch();
        watched.database = self.remaking.told(watched.database);
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
        let over = watched.files.clone().filter(|_| watched.needs_start);
        if *self.view.borrow().watched != watched {
            self.show(|held| held.watched = Arc::new(watched));
        }
        if let Some(reason) = over
            && let Some(around) = self.around.take()
        {
            around.give_up("db_writer".to_owned(), reason);
        }
    }

    fn collect(&mut self, decide: Decide, context: &mut Context<Self>) {
        if self.ledger.is_none() {
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
        if self.ledger.as_ref().and_then(Ledger::behind).is_none() {
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
        if self.remaking.half_made().is_some() {
            return;
        }
        let Some(ledger) = &mut self.ledger else { return };
        let started = Instant::now();
        let now = TransactionTime { wall_ms: self.clock.now_ms(), skew_ms: None, clock_wrong: false };
        match ledger.settle(self.turns.facts(), now) {
            Err(error) => {
                self.turns.failed(Instant::now());
                self.failed(&error.to_string());
                if S::is_of_derived(&error) {
                    self.make_history_anew(&error.to_string(), MetBy::Gate);
                }
            }
            Ok(_) => {
                self.turns.over(Instant::now(), started.elapsed());
                self.succeeded();
                self.publish();
                // Nothing was written down, but figures have changed.
                self.announce(Arc::new([]));
            }
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
        self.show_waiting(batch.len());
        self.decide(batch);
        self.show_waiting(0);
        // Lets whom the answers woke run first where cores are few: they bring the next requests, and the next transaction
        // is larger for it. Costs nothing where nobody waits for this core.
        std::thread::yield_now();
    }

    /// How many jobs wait, with those that are being decided.
    fn show_waiting(&self, in_hand: usize) {
        self.metrics.writer_queue.set(i64::try_from(self.queue.len() + in_hand).unwrap_or(i64::MAX));
    }

    /// One transaction; each job of it is answered, whatever comes of it.
    fn decide(&mut self, batch: Vec<Decide>) {
        let mut jobs = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        let mut from_peers = Vec::new();
        let mut events = 0;
        for Decide { job, reply, permit, asked } in batch {
            // Whoever asked for it has been told that there is no answer, and the car has gone in or been sent round.
            if job.is_press() && asked.elapsed() >= ANSWER_TIMEOUT {
                drop(reply.send(Err(Refusal::NotDurable("it waited too long for the disk".into()))));
                continue;
            }
            if let Job::Store(run) | Job::StoreOfAuthor(run) = &job {
                from_peers.push(run.log.clone());
                events += run.events.len();
            }
            jobs.push(job);
            waiting.push((reply, permit));
        }
        if jobs.is_empty() {
            return;
        }
        let Ok(random) = getrandom::u64() else {
            for (reply, _permit) in waiting {
                drop(reply.send(Err(Refusal::NotDurable("the system gives no random numbers".into()))));
            }
            return;
        };
        if let Some(reason) = self.remaking.half_made() {
            for (reply, _permit) in waiting {
                drop(reply.send(Err(Refusal::NotDurable(reason.to_owned()))));
            }
            return;
        }
        let Some(ledger) = &mut self.ledger else { return };
        let started = Instant::now();
        let wall_ms = self.clock.now_ms();
        if self.clock_wrong || self.newest_own_ms > Some(wall_ms) {
            let stamps = telling_stamps(wall_ms);
            let held = self.newest_own_ms.filter(|newest| stamps.contains(newest));
            self.newest_own_ms = held.max(ledger.storage_mut().newest_own_ms(stamps).unwrap_or_default());
        }
        let clock_wrong = is_behind(wall_ms, self.newest_own_ms);
        self.clock_wrong = clock_wrong;
        let mut processed =
            ledger.process(jobs, TransactionTime { wall_ms, skew_ms: self.skew_ms, clock_wrong }, Epoch(random));
        let took = started.elapsed();
        if processed.durable && !clock_wrong {
            self.newest_own_ms = self.newest_own_ms.max(Some(wall_ms));
        }
        self.queue.batch_over();
        if events >= MANY_EVENTS {
            self.turns.much_came(Instant::now());
        }
        // Before the answers: who has one finds its figures published.
        self.record(&processed, &from_peers, took);
        // Who stopped waiting is not told; the permit goes back when its pair is dropped.
        for (outcome, (reply, _permit)) in std::mem::take(&mut processed.outcomes).into_iter().zip(waiting) {
            drop(reply.send(outcome));
        }
        if !processed.committed.is_empty() {
            self.announce(processed.committed.into());
        }
        if let Some(reason) = processed.failure.filter(|_| processed.unreadable) {
            self.make_history_anew(&reason, MetBy::Gate);
        }
        self.make_room();
    }

    fn announce(&self, runs: Arc<[Run]>) {
        if let Some(listener) = &self.listener {
            listener.do_send(Committed { runs, own_log: self.view.borrow().own_log.clone() });
        }
    }

    fn make_room(&mut self) {
        let Some(ledger) = &mut self.ledger else { return };
        let wal_bytes = ledger.storage_mut().make_room();
        self.metrics.wal_bytes.set(i64::try_from(wal_bytes).unwrap_or(i64::MAX));
    }

    fn record(&mut self, processed: &Processed, from_peers: &[LogId], took: Duration) {
        if let Some(reason) = &processed.failure {
            self.failed(reason);
            return;
        }
        if processed.durable {
            self.succeeded();
            self.publish();
        }
        for (at, reason) in &processed.set_aside {
            // One line for what a log says again and again.
            let (log, kind) = (at.log.to_string(), reason.split(':').next().unwrap_or_default());
            if self.said.is_news(&log, kind, Instant::now()) {
                let (seq, reason) = (at.seq, reason.as_str());
                warn!(event = "event_set_aside", log = log.as_str(), seq = seq, reason = reason; "an event that came has no effect here");
            }
        }
        if processed.committed.is_empty() {
            return;
        }
        let mut events = 0;
        for run in &processed.committed {
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
        let Some(held) = self.ledger.as_ref().map(Held::of) else { return };
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

impl<S: Storage> ActorFuture<DbWriter<S>> for Linger {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        writer: &mut DbWriter<S>,
        _: &mut Context<DbWriter<S>>,
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

impl<S: Storage> Actor for DbWriter<S> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // What was not folded before a stop or a kill.
        self.publish();
        self.let_plates_wait(context);
        context.run_interval(WATCH_PERIOD, |writer, _| writer.watch());
    }
}

impl<S: Storage> Handler<Decide> for DbWriter<S> {
    type Result = ();

    fn handle(&mut self, decide: Decide, context: &mut Self::Context) {
        self.collect(decide, context);
    }
}

impl<S: Storage> Handler<AnnounceTo> for DbWriter<S> {
    type Result = MessageResult<AnnounceTo>;

    fn handle(&mut self, to: AnnounceTo, _: &mut Self::Context) -> Self::Result {
        self.listener = Some(to.0);
        let ledger = self.ledger.iter();
        MessageResult(ledger.flat_map(|ledger| ledger.heads().map(|(log, head)| (log.clone(), *head))).collect())
    }
}

impl<S: Storage> Handler<SkewMeasured> for DbWriter<S> {
    type Result = ();

    fn handle(&mut self, skew: SkewMeasured, _: &mut Self::Context) {
        self.skew_ms = skew.0;
    }
}

impl<S: Storage> Handler<ConfigChanged> for DbWriter<S> {
    type Result = ();

    fn handle(&mut self, changed: ConfigChanged, _: &mut Self::Context) {
        let ConfigChanged { old, new } = &changed;
        if let Some(ledger) = &mut self.ledger {
            ledger.set_lanes(new.lanes());
        }
        if old.this_central.id != new.this_central.id || old.site.time_zone != new.site.time_zone {
            // What is queued was asked of the central as it was.
            while self.queue.len() > 0 {
                self.commit();
            }
            if let Some(ledger) = &mut self.ledger {
                ledger.set_central(new.this_central.id.clone());
                ledger.set_zone(new.site.time_zone.clone());
            }
            self.publish();
        }
    }
}

impl<S: Storage> Handler<StartNewEpoch> for DbWriter<S> {
    type Result = ();

    fn handle(&mut self, _: StartNewEpoch, _: &mut Self::Context) {
        if let Some(ledger) = &mut self.ledger {
            ledger.start_new_epoch();
        }
        self.publish();
    }
}

impl<S: Storage> Handler<Remember> for DbWriter<S> {
    type Result = ();

    fn handle(&mut self, what: Remember, _: &mut Self::Context) {
        let Some(ledger) = &mut self.ledger else { return };
        let (storage, now_ms) = (ledger.storage_mut(), self.clock.now_ms());
        let failed = match &what {
            Remember::HeardFrom(peers) => {
                peers.iter().find_map(|peer| Some((peer, storage.record_sync(peer.as_str(), now_ms).err()?)))
            }
            Remember::Start(seen) => storage.note_seen(seen).err().map(|error| (&seen.0, error)),
            // What is not noted is told again, which changes nothing there.
            Remember::Told { peer, cursors } => {
                storage.record_told(peer.as_str(), cursors).err().map(|error| (peer, error))
            }
        };
        if let Some((peer, error)) = failed {
            warn!(event = "sync_state_not_saved", peer = peer.as_str(), reason:% = error; "cannot note how it stands with a peer");
        }
    }
}

impl<S: Storage> Handler<Probe> for DbWriter<S> {
    type Result = Result<(), String>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        if let Some(reason) = self.remaking.half_made() {
            return Err(reason.to_owned());
        }
        let ledger = self.ledger.as_mut().ok_or(CLOSED)?;
        // After a failure a disk with room for a page only is not taken for a good one.
        let probed = ledger.storage_mut().probe(self.failing_since.is_some()).map_err(|error| error.to_string());
        match &probed {
            Ok(()) => self.succeeded(),
            Err(reason) => self.failed(reason),
        }
        self.make_room();
        probed
    }
}

impl<S: Storage> Handler<Flush> for DbWriter<S> {
    type Result = Result<(), String>;

    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        self.leave_history_to_next_start();
        while self.queue.len() > 0 {
            self.commit();
        }
        // What a page met in the last second, or a gate just now.
        self.leave_history_to_next_start();
        let Some(ledger) = self.ledger.take() else { return Ok(()) };
        ledger.into_storage().close().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
