//! What monitoring asks (alive, ready, figures), and what is tried at once: a backup, whether alarms arrive, and the fault that
//! tests of supervision inject.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::error::{ApiError, Code};
use super::input::Sent;
use super::operation::{Answered, Operation, get, ok, post, success};
use super::state::{Shared, Worker};
use crate::access::right::Need;
use crate::actors::db_writer::Probe;
use crate::actors::supervise::injected_panic;
use crate::desks::alarm_desk::Errand;
use crate::domain::naming::SITE;
use crate::store::reader::Reader;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/healthz", Need::Nothing, healthz, "The process answers.").answers::<Health>("It lives"),
        get("/readyz", Need::Nothing, readyz, "An event could be committed now.")
            .answers::<Health>("It could")
            .refuses(&[Code::NotDurable, Code::Stopping]),
        get("/metrics", Need::Look, metrics, "Figures, as OpenMetrics text.")
            .answers_text(&["application/openmetrics-text"], "The figures"),
        post("/api/backup", Need::Administer, begin_backup, "Make a backup now.")
            .answers_with::<Begun>(202, "Begun; the status tells how it ends")
            .refuses(&[Code::BackupOff]),
        post(
            "/api/alarms/test",
            Need::Administer,
            test_alarm,
            "Send a message to a channel of the alarms, and hear what it says.",
        )
        .body::<TestRequest>()
        .answers::<Tested>("What the receiver answered")
        .refuses(&[Code::NotFound]),
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
    #[schema(pattern = "^(alive|ready)$")]
    status: &'static str,
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> HttpResponse {
    ok(Health { status: "alive" })
}

/// Why it is not ready where no commit failed.
const NO_ANSWER: &str = "the writer does not answer: the disk may be very slow, see the log";

/// `GET /readyz`: an event could be committed now; else why not.
pub async fn readyz(worker: web::Data<Worker>) -> Answered {
    if worker.shared.is_stopping() {
        return Err(ApiError::stopping());
    }
    if let Some(reason) = &worker.shared.held().watched.files {
        return Err(ApiError::not_durable().with("reason", reason.clone().into()));
    }
    if can_commit(&worker.shared).await {
        Ok(ok(Health { status: "ready" }))
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
pub async fn metrics(worker: web::Data<Worker>) -> Answered {
    let text = worker.shared.metrics.render().map_err(|_| ApiError::internal())?;
    Ok(HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(text))
}

#[derive(Debug, Deserialize)]
pub struct PanicParameters {
    actor: String,
}

/// `POST /api/test/panic?actor=`: there only in a central started for tests of supervision.
pub async fn panic(parameters: web::Query<PanicParameters>, worker: web::Data<Worker>) -> Answered {
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
    Ok(ok(json!({})))
}

/// It is being made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Begun {
    /// Where backups go.
    dir: String,
}

/// `POST /api/backup`: one that is being made already is that one.
pub async fn begin_backup(worker: web::Data<Worker>) -> Answered {
    let Some(dir) = worker.shared.config().backup.dir.clone() else {
        return Err(ApiError::new(Code::BackupOff, "name a directory for backups in the settings first (backup.dir)"));
    };
    worker.shared.backups.begin();
    Ok(HttpResponse::Accepted().json(success(Begun { dir })))
}

/// Which channel is tried.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TestRequest {
    /// The id of a channel of the settings in force.
    channel: String,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tested {
    channel: String,
    /// The receiver took it.
    told: bool,
    /// What it said, or why it could not be asked; without secrets, at most 300 characters.
    answer: String,
}

/// `POST /api/alarms/test`: past the messages that wait, and never repeated.
pub async fn test_alarm(Sent(asked): Sent<TestRequest>, worker: web::Data<Worker>) -> Answered {
    let config = worker.shared.config();
    let channel = config.alarms.channels.iter().find(|channel| channel.id == asked.channel);
    let Some(channel) = channel else {
        return Err(ApiError::not_found(format!("no channel {} in the settings (alarms.channels)", asked.channel)));
    };
    let held = worker.shared.held();
    let site = held.settings.name(SITE).unwrap_or(&config.site.name);
    let central = config.this_central.id.as_str();
    let errand = Errand::test(channel, &config.alarms, central, site, worker.shared.clock.now_ms());
    let (told, answer) = match errand.run().await {
        Ok(answer) => (true, answer),
        Err(reason) => (false, reason.to_string()),
    };
    Ok(ok(Tested { channel: asked.channel, told, answer }))
}
