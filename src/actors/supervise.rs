//! Supervision: an actor that fails is built anew, and callers never hold a dead address.
//!
//! actix restarts an actor that stopped itself, with its old fields, and never one that panicked. Here it is the other
//! way round: an actor that stops itself has done what it was for; one that panicked is replaced by a *new* one from its
//! factory. Callers keep a [`Handle`], whose `addr()` is the current one.
//!
//! - Between restarts lies a back-off. More than [`BUDGET`] restarts within [`BUDGET_WINDOW`]: from then on the actor is built anew once a
//!   minute, for gates do without it, whatever somebody sends that makes it fail. An actor started by [`start_once`] has no budget: its first
//!   panic is *fatal*: the process closes in order and exits 70, and the service manager starts it again.
//! - Each restart is logged with its reason (`actor_restarted`) and counted.
//! - An actor ends when all its handles are dropped, as actix actors do.
//! - `stopping` and `stopped` of an actor run after a panic too: a second panic in them would abort the process.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use futures_util::FutureExt as _;
use log::{debug, error, warn};
use tokio::sync::{Notify, mpsc};

use crate::ops::metrics::Metrics;

/// Restarts allowed within [`BUDGET_WINDOW`].
pub const BUDGET: usize = 5;
pub const BUDGET_WINDOW: Duration = Duration::from_secs(60);
/// The first restart is at once; from then on the pause doubles. With [`BUDGET`] the longest is 400 ms: a gate waits
/// less than a second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause before what gates do without is begun anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Something failed that cannot be repaired in place: the process has to close and start again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    pub actor: String,
    pub reason: String,
}

/// What a supervisor needs from its surroundings. Cheap to clone.
#[derive(Clone)]
pub struct Surroundings {
    pub metrics: Arc<Metrics>,
    /// Where to say that it is over; read by `app`.
    pub fatal: mpsc::UnboundedSender<Fatal>,
    /// Only where tests make actors panic.
    pub faults: Option<Faults>,
}

impl Surroundings {
    /// Says that an actor failed for good: the process closes.
    pub fn give_up(&self, actor: String, reason: String) {
        error!(event = "actor_fatal", actor = actor.as_str(), reason = reason.as_str(); "actor failed for good: closing");
        // Nobody listens only when the process is closing already.
        drop(self.fatal.send(Fatal { actor, reason }));
    }
}

/// A stable way to a supervised actor: `addr()` is the current generation's address.
pub struct Handle<A: Actor> {
    slot: Arc<RwLock<Addr<A>>>,
}

impl<A: Actor> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone() }
    }
}

impl<A: Actor> fmt::Debug for Handle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

impl<A: Actor> Handle<A> {
    /// Sends to the current generation. On the hot path: cloning an address costs more than the message.
    pub fn do_send<M>(&self, message: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: actix::dev::ToEnvelope<A, M>,
    {
        self.slot.read().unwrap_or_else(PoisonError::into_inner).do_send(message);
    }

    /// Ask for it anew for each message, or be ready to find it closed after a restart.
    pub fn addr(&self) -> Addr<A> {
        self.slot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts a supervised actor on the current arbiter. `name` is its name in log lines and metrics.
pub fn start<A, F>(surroundings: &Surroundings, name: impl Into<String>, factory: F) -> Handle<A>
where
    A: Actor<Context = Context<A>>,
    F: FnMut() -> A + 'static,
{
    start_as(surroundings, name.into(), LONGEST_PAUSE, factory)
}

fn start_as<A, F>(surroundings: &Surroundings, name: String, rarely: Duration, mut factory: F) -> Handle<A>
where
    A: Actor<Context = Context<A>>,
    F: FnMut() -> A + 'static,
{
    let first = Generation::new(surroundings, &name, &mut factory);
    let slot = Arc::new(RwLock::new(first.addr.clone()));
    spawn(keep(surroundings.clone(), name, rarely, factory, first, Arc::downgrade(&slot)));
    Handle { slot }
}

/// Starts an actor on an arbiter's thread whose first panic is fatal: it holds what cannot be built twice.
///
/// # Errors
/// [`ArbiterGone`] if the arbiter has stopped.
pub async fn start_once<A>(
    arbiter: &actix::ArbiterHandle,
    around: &Surroundings,
    name: impl Into<String>,
    build: impl FnOnce() -> A + Send + 'static,
) -> Result<Addr<A>, ArbiterGone>
where
    A: Actor<Context = Context<A>>,
{
    let (reply, answer) = tokio::sync::oneshot::channel();
    let around = around.clone();
    let name = name.into();
    arbiter.spawn_fn(move || {
        let Generation { addr, run, struck } = Generation::new(&around, &name, build);
        // A receiver that is gone no longer wants the actor: its only address is dropped here and it ends.
        drop(reply.send(addr));
        spawn(async move {
            if let Some(reason) = ended(&name, run, struck).await {
                around.give_up(name, reason);
            }
        });
    });
    answer.await.map_err(|_| ArbiterGone)
}

/// As [`start`], on an arbiter's thread.
///
/// # Errors
/// [`ArbiterGone`] if the arbiter has stopped.
pub async fn start_on<A, F>(
    arbiter: &actix::ArbiterHandle,
    around: &Surroundings,
    name: impl Into<String>,
    factory: F,
) -> Result<Handle<A>, ArbiterGone>
where
    A: Actor<Context = Context<A>>,
    F: FnMut() -> A + Send + 'static,
{
    let (reply, answer) = tokio::sync::oneshot::channel();
    let around = around.clone();
    let name = name.into();
    // A receiver that is gone no longer wants the actor.
    arbiter.spawn_fn(move || drop(reply.send(start(&around, name, factory))));
    answer.await.map_err(|_| ArbiterGone)
}

/// The thread an actor should run on has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the arbiter has stopped")]
pub struct ArbiterGone;

/// One life of an actor.
struct Generation<A: Actor<Context = Context<A>>> {
    addr: Addr<A>,
    run: actix::dev::ContextFut<A, Context<A>>,
    /// Tests make it panic by this.
    struck: Option<Arc<Notify>>,
}

impl<A: Actor<Context = Context<A>>> Generation<A> {
    fn new(around: &Surroundings, name: &str, build: impl FnOnce() -> A) -> Self {
        let struck = around.faults.as_ref().map(|faults| faults.of(name));
        let context = Context::new();
        let addr = context.address();
        Self { addr, run: context.into_future(build()), struck }
    }
}

/// Runs one life to its end: the reason if it was a panic, `None` if the actor stopped or its thread does.
async fn ended<A: Actor<Context = Context<A>>>(
    name: &str,
    run: actix::dev::ContextFut<A, Context<A>>,
    struck: Option<Arc<Notify>>,
) -> Option<String> {
    let life = async move {
        match struck {
            None => run.await,
            Some(struck) => tokio::select! {
                biased;
                () = struck.notified() => injected_panic(),
                () = run => {}
            },
        }
    };
    match actix::spawn(life).await {
        Ok(()) => {
            debug!(event = "actor_stopped", actor = name; "actor stopped");
            None
        }
        Err(error) if error.is_panic() => Some(panic_text(error.into_panic().as_ref())),
        Err(_) => None,
    }
}

async fn keep<A, F>(
    around: Surroundings,
    name: String,
    rarely: Duration,
    mut factory: F,
    first: Generation<A>,
    slot: Weak<RwLock<Addr<A>>>,
) where
    A: Actor<Context = Context<A>>,
    F: FnMut() -> A + 'static,
{
    let mut restarts = Restarts::default();
    let mut built = Ok(first);
    loop {
        let reason = match built {
            // The slot alone keeps the address alive: with the last handle the actor ends.
            Ok(Generation { addr, run, struck }) => {
                drop(addr);
                let Some(reason) = ended(&name, run, struck).await else { return };
                reason
            }
            // A factory that panics is a failure like any other.
            Err(reason) => reason,
        };
        let pause = restarts.allow(Instant::now()).unwrap_or(rarely);
        around.metrics.restarted(&name);
        warn!(
            event = "actor_restarted", actor = name.as_str(), reason = reason.as_str(),
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), restarts = restarts.recent();
            "actor failed and is built anew"
        );
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let Some(slot) = slot.upgrade() else { return };
        built = guard(|| Generation::new(&around, &name, &mut factory));
        if let Ok(next) = &built {
            *slot.write().unwrap_or_else(PoisonError::into_inner) = next.addr.clone();
        }
    }
}

/// Counts restarts within the window and says how long to wait before the next.
#[derive(Debug, Default)]
pub struct Restarts {
    at: VecDeque<Instant>,
}

impl Restarts {
    /// The pause before the restart that is due at `now`; `None`: the budget is spent.
    pub fn allow(&mut self, now: Instant) -> Option<Duration> {
        while self.at.front().is_some_and(|first| now.duration_since(*first) > BUDGET_WINDOW) {
            self.at.pop_front();
        }
        let recent = self.at.len();
        if recent >= BUDGET {
            return None;
        }
        self.at.push_back(now);
        match u32::try_from(recent) {
            Ok(0) => Some(Duration::ZERO),
            Ok(n) => Some(FIRST_PAUSE.saturating_mul(1 << (n - 1).min(10))),
            Err(_) => None,
        }
    }

    fn recent(&self) -> usize {
        self.at.len()
    }
}

/// Runs one message of an actor that actix cannot supervise (a `SyncArbiter`'s): a panic becomes an error with its text.
///
/// # Errors
/// What the panic said.
pub fn guard<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| panic_text(payload.as_ref()))
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "panic without a text".to_owned()
    }
}

/// Makes panics a log line (`panic`) instead of bare text on stderr. Once per process.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        error!(event = "panic", place = place.as_str(), reason = panic_text(info.payload()).as_str(); "panic");
    }));
}

/// What an injected fault does.
///
/// # Panics
/// Always: that is its purpose.
#[expect(clippy::panic, reason = "the fault that tests inject")]
pub fn injected_panic() {
    panic!("injected by a test");
}

/// The supervised actors by name, so that tests can make them panic.
#[derive(Clone, Default)]
pub struct Faults {
    actors: Arc<Mutex<BTreeMap<String, Arc<Notify>>>>,
}

impl Faults {
    /// Makes one actor of that name panic.
    ///
    /// # Errors
    /// The names there are.
    pub fn inject(&self, name: &str) -> Result<(), Vec<String>> {
        let actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        let struck = actors.get(name).ok_or_else(|| actors.keys().cloned().collect::<Vec<_>>())?;
        struck.notify_one();
        Ok(())
    }

    /// Whether what has that name, and is no actor, has to panic now.
    pub fn has_struck(&self, name: &str) -> bool {
        self.of(name).notified().now_or_never().is_some()
    }

    /// Told when an actor of that name has to panic.
    fn of(&self, name: &str) -> Arc<Notify> {
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        actors.entry(name.to_owned()).or_default().clone()
    }
}

/// Keeps a task that is no actor running on the current arbiter: one that panics is begun anew, after a pause that grows; one that
/// ends has done what it was for. Gates do without any of them, so none is fatal.
pub fn keep_running<W>(around: &Surroundings, name: &'static str, mut begin: impl FnMut() -> W + 'static)
where
    W: Future<Output = ()> + 'static,
{
    let around = around.clone();
    spawn(async move {
        let mut pause = FIRST_PAUSE;
        loop {
            let reason = match actix::spawn(begin()).await {
                Err(error) if error.is_panic() => panic_text(error.into_panic().as_ref()),
                _ => return,
            };
            around.metrics.restarted(name);
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            warn!(event = "task_restarted", task = name, reason = reason.as_str(), pause_ms; "a task failed and is begun anew");
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    });
}

/// Drives a future on the current arbiter without waiting for it.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    drop(actix::spawn(work));
}

#[cfg(test)]
mod tests;
