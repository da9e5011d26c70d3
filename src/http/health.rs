//! What monitoring asks: alive, ready, figures. And the fault that tests of supervision inject.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::code::Code;
use super::error::ApiError;
use super::operation::{Operation, get};
use super::state::{Shared, Worker};
use crate::access::right::Need;
use crate::actors::db_writer::Probe;
use crate::actors::supervise::injected_panic;
use crate::store::reader::Reader;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/healthz", Need::Nothing, healthz, "The process answers.").answers::<Health>("It lives"),
        get("/readyz", Need::Nothing, readyz, "An event could be committed now.")
            .answers::<Health>("It could")
            .refuses(&[Code::NotDurable, Code::Stopping]),
        get("/metrics", Need::Look, metrics, "Figures, as OpenMetrics text.")
            .answers_text(&["application/openmetrics-text"], "The figures"),
    ]
}

/// A probe is a real commit, and wears the disk; asked for more often, the last answer is given again. What fails meanwhile is said
/// at once all the same.
const PROBE_PERIOD: Duration = Duration::from_secs(10);
/// Whoever waits for a disk that fails hears soon that it works.
const FAILING_PROBE_PERIOD: Duration = Duration::from_secs(1);
/// A disk that takes longer is not ready for cars.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// It is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    success: bool,
    #[schema(pattern = "^(alive|ready)$")]
    status: &'static str,
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(Health { success: true, status: "alive" })
}

/// Why it is not ready where no commit failed.
const NO_ANSWER: &str = "the writer does not answer: the disk may be very slow, see the log";

/// `GET /readyz`: an event could be committed now; else why not.
pub async fn readyz(worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    if worker.shared.is_stopping() {
        return Err(ApiError::stopping());
    }
    if let Some(reason) = &worker.shared.held().watched.files {
        return Err(ApiError::not_durable().with("reason", reason.clone().into()));
    }
    if can_commit(&worker.shared).await {
        Ok(HttpResponse::Ok().json(Health { success: true, status: "ready" }))
    } else {
        let failure = worker.shared.held().failure.clone();
        let reason = failure.map_or_else(|| NO_ANSWER.to_owned(), |failure| failure.to_string());
        Err(ApiError::not_durable().with("reason", reason.into()))
    }
}

async fn can_commit(shared: &Arc<Shared>) -> bool {
    let mut last = shared.last_probe.lock().await;
    let ready = |ready: bool| ready && shared.held().failure.is_none();
    if let Some((at, was_ready)) = *last
        && at.elapsed() < if ready(was_ready) { PROBE_PERIOD } else { FAILING_PROBE_PERIOD }
    {
        return ready(was_ready);
    }
    let probed = tokio::time::timeout(PROBE_TIMEOUT, shared.writer.send(Probe)).await;
    let ready = matches!(probed, Ok(Ok(Ok(()))));
    *last = Some((Instant::now(), ready));
    ready
}

/// `GET /metrics`: OpenMetrics text.
pub async fn metrics(worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    let text = worker.shared.metrics.render().map_err(|_| ApiError::internal())?;
    Ok(HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(text))
}

#[derive(Debug, Deserialize)]
pub struct PanicParameters {
    actor: String,
}

/// `POST /api/test/panic?actor=`: there only in a central started for tests of supervision.
pub async fn panic(
    parameters: web::Query<PanicParameters>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let Some(faults) = &worker.shared.faults else { return Err(ApiError::no_such_path()) };
    if parameters.actor == "db_reader" {
        let question = |_: &mut Reader| {
            injected_panic();
            Ok(())
        };
        // actix runs it on threads of its own: a question is the only way in.
        let _failed = worker.shared.readers.ask(question).await;
    } else if let Err(known) = faults.inject(&parameters.actor) {
        return Err(ApiError::not_found(format!("actors: db_reader, {}", known.join(", "))));
    }
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}
