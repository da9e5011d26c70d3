//! What gates ask, checked and turned into jobs for the writer. One gateway per HTTP worker, on its thread.
//!
//! The gateway passes the reply channel on, so an answer goes from the writer straight to the handler that waits: one
//! hop there and one back. If a gateway panics, the requests queued in it are lost (their callers are told so at once);
//! those already with the writer are answered.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message};
use tokio::sync::oneshot;

use super::config_keeper::ConfigView;
use super::db_writer::{DbWriter, Decide};
use super::supervise::Handle;
use crate::config::model::Config;
use crate::domain::doer::Doer;
use crate::ledger::job::{Answer, Job, Outcome, Refusal};
use crate::ops::in_flight::{InFlight, Permit};
use crate::ops::metrics::Metrics;

/// A disk that needs longer than this for one commit does not answer a car that waits; the client tries again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a gate has no answer of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub enum EdgeError {
    /// The bound on requests in flight is reached: nothing happened.
    Busy,
    /// Gateway or writer failed, or took too long: it may or may not have happened.
    OutcomeUnknown,
    Refused(Refusal),
}

/// What a call asks of the writer, checked against the settings in force; or why nothing is asked of it.
pub type Check = Box<dyn FnOnce(&Config) -> Result<Job, Refusal> + Send>;

/// Hands a call of `doer` to the worker's gateway and waits for its outcome.
///
/// # Errors
/// [`EdgeError`].
pub async fn submit(
    gateway: &Handle<EdgeGateway>,
    in_flight: &Arc<InFlight>,
    metrics: &Metrics,
    check: Check,
    doer: Doer,
) -> Result<Answer, EdgeError> {
    let Some(permit) = in_flight.enter() else {
        metrics.edge_refused.inc();
        return Err(EdgeError::Busy);
    };
    let (reply, outcome) = oneshot::channel();
    gateway.do_send(Submit { check, doer, reply, permit });
    match tokio::time::timeout(ANSWER_TIMEOUT, outcome).await {
        Ok(Ok(outcome)) => outcome.map_err(EdgeError::Refused),
        Ok(Err(_closed)) => Err(EdgeError::OutcomeUnknown),
        Err(_elapsed) => Err(EdgeError::OutcomeUnknown),
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Submit {
    check: Check,
    doer: Doer,
    reply: oneshot::Sender<Outcome>,
    permit: Permit,
}

pub struct EdgeGateway {
    writer: Addr<DbWriter>,
    config: ConfigView,
}

impl EdgeGateway {
    pub fn new(writer: Addr<DbWriter>, config: ConfigView) -> Self {
        Self { writer, config }
    }
}

impl Actor for EdgeGateway {
    type Context = Context<Self>;
}

impl Handler<Submit> for EdgeGateway {
    type Result = ();

    fn handle(&mut self, submit: Submit, _: &mut Self::Context) {
        let Submit { check, doer, reply, permit } = submit;
        match check(&self.config.borrow()) {
            Ok(job) => self.writer.do_send(Decide { job: job.by(doer), reply, permit: Some(permit) }),
            // Who stopped waiting is not told.
            Err(refusal) => drop(reply.send(Err(refusal))),
        }
    }
}
