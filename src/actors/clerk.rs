//! Has invoices made of what is taken at the exits of this central.
//!
//! - What waits and what is told is the desk's (`desks::invoice_desk`), what is due the reader's; here is only the rhythm. Why it is so:
//!   docs/decisions/070-invoices.md.
//! - Without an address in the settings it does nothing, and nothing leaves the machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, ResponseFuture};
use log::{info, warn};

use super::config_keeper::{
    AbandonConfig, Concerns, ConfigChanged, ConfigKeeper, ConfigView, Participant, VerifyConfig,
};
use super::db_reader::Readers;
use super::db_writer::{DbWriter, Decide, HeldView};
use super::supervise::Handle;
use crate::alarms::message::NotTold;
use crate::config::model::Config;
use crate::desks::invoice_desk::{InvoiceDesk, InvoicePost, InvoiceQueue, InvoiceState, MOST_WAITING};
use crate::domain::ids::FactId;
use crate::domain::naming::SITE;
use crate::domain::problem::FieldProblem;
use crate::ledger::job::{Job, Refusal};
use crate::ledger::storage::EventRef;
use crate::ops::clock::Clock;
use crate::ops::metrics::Metrics;
use crate::ops::offences::SaidOnce;
use crate::store::reader::{Gate, InvoiceQuestion, InvoiceScan};

/// How often it is looked whether something is to be told.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Told before it is looked again what there is.
const MOST_IN_ONE_GO: usize = 50;

/// What it asks.
#[derive(Clone)]
pub struct ClerkContext {
    pub keeper: Handle<ConfigKeeper>,
    pub config: ConfigView,
    pub readers: Readers,
    pub writer: Addr<DbWriter>,
    pub held: HeldView,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub desk: Arc<InvoiceDesk>,
}

pub struct Clerk {
    around: ClerkContext,
    /// Away while it is told.
    queue: Option<InvoiceQueue>,
    said: SaidOnce,
    /// By which it goes.
    config: Option<Arc<Config>>,
}

impl Clerk {
    pub fn new(around: ClerkContext) -> Self {
        Self { around, queue: Some(InvoiceQueue::default()), said: SaidOnce::default(), config: None }
    }

    fn look(&mut self, context: &mut Context<Self>) {
        let config = self.around.config.borrow().clone();
        let Some(mut queue) = self.queue.take() else { return };
        let settings =
            |config: &Config| (config.invoices.clone(), config.this_central.id.clone(), config.site.time_zone.clone());
        if self.config.as_ref().is_none_or(|before| settings(before) != settings(&config)) {
            queue.settings_changed();
            self.config = Some(config.clone());
        }
        if config.invoices.told_to(&config.site.time_zone).is_none() {
            self.show(InvoiceState::default());
            self.queue = Some(queue);
            return;
        }
        let around = self.around.clone();
        let telling = async move {
            let outcome = around.tell(&config, &mut queue).await;
            (queue, outcome)
        };
        context.spawn(wrap_future::<_, Self>(telling).map(|(queue, outcome), clerk, context| {
            let state = queue.state();
            let is_well = state.failed.is_none();
            clerk.show(state);
            clerk.queue = Some(queue);
            match outcome {
                Ok(false) if is_well => clerk.said.is_over("invoices"),
                Ok(false) => {}
                Ok(true) => clerk.look(context),
                Err(reason) => {
                    if clerk.said.is_news("invoices", "not told", Instant::now()) {
                        warn!(event = "invoice_not_told", reason = reason.as_str(); "an exit cannot be told to the invoice program: tried again until it can");
                    }
                }
            }
        }));
    }

    fn show(&self, state: InvoiceState) {
        self.around.metrics.invoices_waiting.set(i64::try_from(state.waiting).unwrap_or(i64::MAX));
        self.around.metrics.invoices_waiting_since.set(state.since_ms.unwrap_or(0).div_euclid(1_000));
        self.around.desk.show(state);
    }
}

impl ClerkContext {
    /// How many exits are still to be told, or told anew, those of this moment among them; `None`: it cannot be read now.
    async fn untold(&self, config: &Config) -> Option<usize> {
        let Some((_, from_ms)) = config.invoices.told_to(&config.site.time_zone) else { return Some(0) };
        let now_ms = self.clock.now_ms();
        let question = question(config, from_ms, now_ms, now_ms);
        let looked = self.readers.ask(move |reader| {
            let due = reader.exits_to_invoice(&mut InvoiceScan::default(), &question, MOST_WAITING)?;
            Ok(due.len() + reader.unfit_invoices(&question, MOST_WAITING)?.len())
        });
        looked.await.ok()
    }

    /// Looks what is to be told, and tells some of it. Whether there is more. The error is one the settings may mend, or time.
    async fn tell(&self, config: &Config, queue: &mut InvoiceQueue) -> Result<bool, String> {
        let Some((url, from_ms)) = config.invoices.told_to(&config.site.time_zone) else { return Ok(false) };
        let now_ms = self.clock.now_ms();
        let settled_ms = now_ms.saturating_sub(i64::from(config.invoices.after_seconds) * 1_000);
        let question = question(config, from_ms, settled_ms, now_ms);
        let (mut scan, room) = (queue.scan.clone(), queue.room());
        let looked = self.readers.ask(move |reader| {
            let mut found = reader.exits_to_invoice(&mut scan, &question, room)?;
            found.extend(reader.unfit_invoices(&question, room)?);
            Ok((scan, found))
        });
        // What cannot be read now is looked for in a moment; why is in the log.
        let Ok((scan, found)) = looked.await else { return Ok(false) };
        queue.scan = scan;
        queue.add(found);
        self.desk.show(queue.state());
        let mut refused = None;
        for _ in 0..MOST_IN_ONE_GO {
            let Some(exit) = queue.next(Instant::now()) else { return refused.map_or(Ok(false), Err) };
            let Some(post) = self.post_of(&exit, config, queue).await? else {
                queue.settled(&exit);
                continue;
            };
            match post.run(url, &config.invoices).await {
                Ok(answer) => {
                    info!(event = "invoice_told", exit = post.key.as_str(), number = answer.number.as_deref().unwrap_or("-"); "told");
                    let job = Job::NoteInvoice(Box::new(post.noted(answer, queue.done_to(&exit))), post.after);
                    let (decide, outcome) = Decide::new(job);
                    self.writer.do_send(decide);
                    // What could not be written is heard again, and answered as before.
                    let written = outcome.await.map_err(|_| NotTold::Yet("the answer could not be written".to_owned()));
                    let written = written.and_then(|outcome| outcome.map_err(unwritten));
                    if let Err(reason) = written {
                        let said = reason.to_string();
                        queue.failed(Some(post), reason, random(), Instant::now());
                        return Err(said);
                    }
                    self.metrics.invoices_told.inc();
                    queue.settled(&exit);
                    queue.answered(self.clock.now_ms());
                }
                Err(reason @ NotTold::Ever(_)) => {
                    refused = Some(format!("{}: {reason}", FactId::Authored { log: exit.log, seq: exit.seq }));
                    queue.failed(Some(post), reason, random(), Instant::now());
                }
                Err(reason) => {
                    let said = reason.to_string();
                    queue.failed(Some(post), reason, random(), Instant::now());
                    return Err(said);
                }
            }
        }
        Ok(true)
    }

    /// What is to be told of an exit: as it was told before, if it may have been heard; `None`: nothing any more.
    async fn post_of(
        &self,
        exit: &EventRef,
        config: &Config,
        queue: &mut InvoiceQueue,
    ) -> Result<Option<InvoicePost>, String> {
        if let Some(held) = queue.held.take().filter(|held| held.exit == *exit) {
            return Ok(Some(held));
        }
        let (asked, with_free) = (exit.clone(), config.invoices.free);
        let due = self.readers.ask(move |reader| reader.invoice_due(&asked, with_free)).await;
        let Some(due) = due.map_err(|error| error.to_string())? else { return Ok(None) };
        let site = self.held.borrow().settings.name(SITE).unwrap_or(&config.site.name).to_owned();
        let central = config.this_central.id.as_str();
        Ok(Some(InvoicePost::of(exit, &due, &config.site.time_zone, central, &site)))
    }
}

/// What is due of the exits of this central that were known by `settled_ms`.
fn question(config: &Config, from_ms: i64, settled_ms: i64, now_ms: i64) -> InvoiceQuestion {
    InvoiceQuestion {
        central: config.this_central.id.clone(),
        from_ms,
        settled_ms,
        now_ms,
        with_free: config.invoices.free,
    }
}

/// Why an answer is not kept. What the disk did not take the program has heard: it is told the very same again until it is written.
fn unwritten(refusal: Refusal) -> NotTold {
    match refusal {
        Refusal::NotDurable(_) => NotTold::Yet(refusal.to_string()),
        _ => NotTold::Ever(refusal.to_string()),
    }
}

/// From 0 to 1.
fn random() -> f64 {
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}

impl Actor for Clerk {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let clerk = context.address();
        let verify = Some((clerk.clone().recipient(), clerk.clone().recipient()));
        let concerns = Concerns(Participant { name: "clerk", verify, changed: clerk.recipient() });
        self.around.keeper.addr().do_send(concerns);
        context.run_interval(LOOK_PERIOD, Self::look);
    }
}

/// Under another id its exits are another central's, and nobody would tell of them; its shifts are, too, and nobody could close them.
impl Handler<VerifyConfig> for Clerk {
    type Result = ResponseFuture<Result<(), FieldProblem>>;

    fn handle(&mut self, verify: VerifyConfig, _: &mut Self::Context) -> Self::Result {
        let (around, config) = (self.around.clone(), self.around.config.borrow().clone());
        Box::pin(async move {
            let own = &config.this_central.id;
            if *own == verify.new.this_central.id {
                return Ok(());
            }
            let gates = Gate { central: own.to_string(), edge_id: None };
            let open = around.readers.ask(move |reader| reader.open_sheets(Some(&gates))).await;
            if !open.is_ok_and(|open| open.is_empty()) {
                return Err(FieldProblem::new(
                    "this_central.id",
                    "shift_open",
                    "còn ca đang mở theo mã hiện tại; hãy kết ca rồi mới đổi mã",
                    "a shift is open under the present id; close it, and change the id then",
                ));
            }
            if around.untold(&config).await == Some(0) {
                return Ok(());
            }
            Err(FieldProblem::new(
                "this_central.id",
                "invoices_wait",
                "còn lượt ra chờ hóa đơn theo mã hiện tại; hãy đổi mã khi không còn lượt nào chờ",
                "exits under the present id wait for their invoices; change it once none does",
            ))
        })
    }
}

/// It prepared nothing.
impl Handler<AbandonConfig> for Clerk {
    type Result = ();

    fn handle(&mut self, _: AbandonConfig, _: &mut Self::Context) {}
}

impl Handler<ConfigChanged> for Clerk {
    type Result = ();

    fn handle(&mut self, _: ConfigChanged, context: &mut Self::Context) {
        self.look(context);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_the_disk_did_not_take_is_none_that_was_refused() {
        let full = unwritten(Refusal::NotDurable("disk full".into()));
        assert!(matches!(full, NotTold::Yet(reason) if reason.contains("disk full")));
        assert!(matches!(unwritten(Refusal::Invalid("no".into())), NotTold::Ever(_)));
    }
}
