//! Decides which log is taken from whom, by the pure [`Coordinator`], and has what came committed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult, SpawnHandle};
use log::warn;

use super::db_writer::{DbWriter, Decide, HeldView, Remember, StartNewEpoch};
use crate::domain::ids::{CentralId, LogId};
use crate::ledger::job::{Answer, Job, Outcome, Refusal};
use crate::links::mesh::{Door, FromLink, LinkNews, LogsAdvanced, MeshClock, SharedHave, ToPeer};
use crate::replication::coordinator::Coordinator;
use crate::replication::coordinator::CoordinatorOutput;
use crate::replication::coordinator::LogStatus;
use crate::replication::coordinator::allowance::TakenOf;
use crate::replication::log::Run;
use crate::replication::peer::output::PeerReport;

/// How often the peers that sent something are noted in the database.
const SYNC_STATE_PERIOD: Duration = Duration::from_secs(5);

/// The logs, and what was taken of whose since the process started.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    pub logs: Vec<LogStatus>,
    /// That wait for their turn beside those.
    pub more: usize,
    pub taken: BTreeMap<CentralId, TakenOf>,
}

/// What is the state of each log that is followed or wanted?
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Logs")]
pub struct AskLogs;

/// This central has another id now.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct OwnIdChanged;

/// Hears of a log, and from the coordinator, if it wants to know, who announced it.
pub type Announced = Rc<dyn Fn(&LogId, &Coordinator)>;

/// What a coordinator needs from its surroundings. Cheap to clone.
#[derive(Clone)]
pub struct CoordinatorContext {
    pub have: SharedHave,
    pub clock: MeshClock,
    pub commands: Door<ToPeer>,
    pub registry: Door<LinkNews>,
    /// Told at each start: every link reports what it knows again.
    pub started: Door<()>,
    pub writer: Addr<DbWriter>,
    /// What is durable now.
    pub held: HeldView,
    /// Whether the disk is low.
    pub disk_is_low: Rc<dyn Fn() -> bool>,
    /// Told before a run is stored.
    pub announced: Announced,
}

pub struct SyncCoordinator {
    around: CoordinatorContext,
    coordinator: Coordinator,
    /// Sent something since the sync state was last noted.
    heard_from: BTreeSet<CentralId>,
    timer: Option<(u64, SpawnHandle)>,
}

impl SyncCoordinator {
    pub fn new(around: CoordinatorContext) -> Self {
        let coordinator = Coordinator::new();
        Self { around, coordinator, heard_from: BTreeSet::new(), timer: None }
    }

    fn perform(&mut self, context: &mut Context<Self>) {
        for output in self.coordinator.take_outputs() {
            match output {
                CoordinatorOutput::ToPeer { peer, link, command } => {
                    self.around.commands.send(ToPeer { peer, link, command });
                }
                CoordinatorOutput::Store { run, from } => self.store(run, &from, context),
                CoordinatorOutput::StartNewEpoch { log } => {
                    warn!(event = "new_epoch", log:% = log; "own log is not ours alone, a new one is started");
                    self.around.writer.do_send(StartNewEpoch);
                    self.set_own_log(None);
                }
                CoordinatorOutput::Alarm(alarm) => self.around.registry.send(LinkNews::Alarm(alarm)),
            }
        }
        self.set_timer(context);
    }

    fn set_own_log(&mut self, log: Option<LogId>) {
        let have = self.around.have.clone();
        self.coordinator.set_own_log(self.around.clock.now(), &have.borrow(), log);
    }

    /// Bounded by what the senders may leave unacknowledged: 1 MiB a link.
    fn store(&mut self, run: Run, from: &CentralId, context: &mut Context<Self>) {
        let log = run.log.clone();
        (self.around.announced)(&log, &self.coordinator);
        let job = if *from == log.central { Job::StoreOfAuthor(run) } else { Job::Store(run) };
        let (decide, outcome) = Decide::new(job);
        self.around.writer.do_send(decide);
        let stored = wrap_future::<_, Self>(outcome);
        context.spawn(stored.map(move |outcome, coordinator, context| {
            // A closed channel: the writer failed, and the process is closing.
            if let Ok(outcome) = outcome {
                coordinator.stored(&log, outcome, context);
            }
        }));
    }

    fn stored(&mut self, log: &LogId, outcome: Outcome, context: &mut Context<Self>) {
        let have = self.around.have.clone();
        let (now, held) = (self.around.clock.now(), have.borrow());
        match outcome {
            // The announcement of the commit may be under way still; it says the same.
            Ok(Answer::Stored { head, .. }) => {
                if let Some(durable) = held.head(log).filter(|durable| durable.to >= head.to) {
                    self.coordinator.committed(now, &held, log, durable);
                }
            }
            Ok(_) => {}
            Err(Refusal::NotItsAuthor { reason, doubt, .. }) => {
                self.coordinator.store_refused(now, &held, log, &reason, doubt);
            }
            Err(refusal) => {
                warn!(event = "store_failed", log:% = log, reason:% = refusal; "received events not stored");
                self.coordinator.store_failed(now, &held, log);
            }
        }
        drop(held);
        self.perform(context);
    }

    fn set_timer(&mut self, context: &mut Context<Self>) {
        let Some(due_ms) = self.coordinator.next_wakeup_ms() else { return };
        if self.timer.is_some_and(|(set_for_ms, _)| set_for_ms == due_ms) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            context.cancel_future(timer);
        }
        let wait_ms = due_ms.saturating_sub(self.around.clock.now().mono_ms);
        let timer = context.run_later(Duration::from_millis(wait_ms.saturating_add(1)), |this, context| {
            this.timer = None;
            let have = this.around.have.clone();
            this.coordinator.set_disk_low(this.around.clock.now(), (this.around.disk_is_low)());
            this.coordinator.tick(this.around.clock.now(), &have.borrow());
            this.perform(context);
        });
        self.timer = Some((due_ms, timer));
    }
}

impl Actor for SyncCoordinator {
    type Context = Context<Self>;

    /// One that takes another's place has to know which log is our own before any link says who holds how much of it.
    fn started(&mut self, context: &mut Self::Context) {
        let own_log = self.around.held.borrow().own_log.clone();
        self.set_own_log(own_log);
        self.around.started.send(());
        context.run_interval(SYNC_STATE_PERIOD, |this, _| {
            let heard: Vec<CentralId> = std::mem::take(&mut this.heard_from).into_iter().collect();
            if !heard.is_empty() {
                this.around.writer.do_send(Remember::HeardFrom(heard));
            }
        });
    }
}

impl Handler<FromLink> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, reported: FromLink, context: &mut Self::Context) {
        if matches!(reported.report, PeerReport::Run { .. } | PeerReport::LinkUp { .. }) {
            self.heard_from.insert(reported.peer.clone());
        }
        let have = self.around.have.clone();
        self.coordinator.set_disk_low(self.around.clock.now(), (self.around.disk_is_low)());
        self.coordinator.report(self.around.clock.now(), &have.borrow(), &reported.peer, reported.report);
        self.perform(context);
    }
}

impl Handler<LogsAdvanced> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, advanced: LogsAdvanced, context: &mut Self::Context) {
        let have = self.around.have.clone();
        let (now, held) = (self.around.clock.now(), have.borrow());
        self.coordinator.set_own_log(now, &held, advanced.own_log);
        for (log, head) in advanced.heads.iter() {
            self.coordinator.committed(now, &held, log, *head);
        }
        drop(held);
        self.perform(context);
    }
}

impl Handler<OwnIdChanged> for SyncCoordinator {
    type Result = ();

    /// The links were all ended before; they report anew.
    fn handle(&mut self, _: OwnIdChanged, _: &mut Self::Context) {
        self.coordinator = Coordinator::new();
    }
}

impl Handler<AskLogs> for SyncCoordinator {
    type Result = MessageResult<AskLogs>;

    fn handle(&mut self, _: AskLogs, _: &mut Self::Context) -> Self::Result {
        let taken = self.coordinator.taken().map(|(central, taken)| (central.clone(), taken)).collect();
        let (logs, more) = self.coordinator.shown(&self.around.have.borrow());
        MessageResult(Logs { logs, more, taken })
    }
}
