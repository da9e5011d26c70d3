//! What gates call: detection, barrier open, barrier close. Decode, check, hand to the writer, show the answer.

use std::time::Instant;

use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, web};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::access::Caller;
use super::error::{ApiError, Code};
use super::input::{self, Raw, Sent};
use super::operation::{Answered, Operation, ok, post};
use super::state::Worker;
use super::unreadable::note_unread;
use super::view::Vehicle;
use crate::access::right::Need;
use crate::actors::db_writer::{ANSWER_TIMEOUT, Decide};
use crate::actors::status_feed::Detected;
use crate::actors::supervise::injected_panic;
use crate::config::model::Config;
use crate::domain::audit::{Act, Kind};
use crate::domain::direction::Direction;
use crate::domain::time::duration_text;
use crate::domain::told::{self, Note};
use crate::gates::request::{self, CloseRequest, DetectionRequest, OpenRequest};
use crate::ledger::job::{Answer, Job, Refusal};

/// What every call may be refused for that the writer decides.
pub(super) const DECIDED: &[Code] = &[Code::InvalidField, Code::Invalid, Code::Busy, Code::NotDurable];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        post(
            "/api/edge/detection",
            Need::Gate,
            detection,
            "A camera saw a plate: what is known of the car. Opens nothing and writes nothing.",
        )
        .body::<DetectionRequest>()
        .answers::<Seen>("What is known")
        .refuses(DECIDED),
        post(
            "/api/edge/barrier/open",
            Need::Gate,
            open,
            "Open the barrier: an entry or an exit, committed when this answers.",
        )
        .header("Idempotency-Key", "Another way to send `request_id`.", "^[ -~]{0,128}$")
        .body::<OpenRequest>()
        .answers_either::<Entered, Exited>("The barrier may open")
        .refuses(DECIDED)
        .refuses(&[
            Code::AlreadyInside,
            Code::NotInside,
            Code::JustEntered,
            Code::OtherType,
            Code::LongStay,
            Code::RequestIdReused,
        ]),
        post(
            "/api/edge/barrier/close",
            Need::Gate,
            close,
            "The barrier closed behind the car: confirms the pending entry.",
        )
        .body::<CloseRequest>()
        .answers::<Closed>("It is noted")
        .refuses(DECIDED),
    ]
}

/// Another way to send `request_id`.
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `POST /api/edge/barrier/open`: an entry or an exit, committed when this answers.
pub async fn open(request: HttpRequest, caller: Caller, Raw(bytes): Raw, worker: web::Data<Worker>) -> Answered {
    let said = input::parse_gates(&input::gates_text(&bytes))?;
    let mut open = OpenRequest::read(&said).map_err(|refusal| ApiError::refused(refusal, &worker.zone()))?;
    caller.check_edge(&open.edge_id)?;
    if let Some(key) = request.headers().get(&IDEMPOTENCY_KEY) {
        let key = key.to_str().map_err(|_| ApiError::bad_field(IDEMPOTENCY_KEY.as_str(), "only printable ASCII"))?;
        match &open.request_id {
            Some(id) if id != key => {
                return Err(ApiError::bad_field(IDEMPOTENCY_KEY.as_str(), "differs from request_id in the body"));
            }
            _ => open.request_id = Some(key.to_owned()),
        }
    }
    let edge_id = open.edge_id.clone();
    let is_forced = told::flag(open.force.as_ref()) == Some(true);
    let act = is_forced.then(|| caller.act(Kind::ForcedOpening, &edge_id));
    match submit(&worker, &caller, act, move |config| open.job(config)).await? {
        Answer::Unread(kept) => {
            note_unread(&worker, &edge_id, &kept);
            let (event_id, fee) = (&kept.fact.to_string(), kept.fee.unwrap_or_default().0);
            let (repeated, notes, duration) = (kept.repeated, kept.notes, &duration_text(0));
            Ok(match kept.direction {
                Direction::Entry => ok(Entered { action: "ENTRY", event_id, history_id: None, repeated, notes }),
                Direction::Exit => ok(Exited { action: "EXIT", event_id, fee, duration, repeated, notes }),
            })
        }
        Answer::Entered { event_id, history_id, repeated, notes } => {
            let (event_id, history_id) = (&event_id, Some(history_id));
            Ok(ok(Entered { action: "ENTRY", event_id, history_id, repeated, notes }))
        }
        Answer::Exited { event_id, fee, duration, repeated, notes } => {
            let (event_id, fee, duration) = (&event_id, fee.0, &duration);
            Ok(ok(Exited { action: "EXIT", event_id, fee, duration, repeated, notes }))
        }
        _ => Err(ApiError::internal()),
    }
}

/// `POST /api/edge/barrier/close`: confirms the pending entry, if there is one.
pub async fn close(caller: Caller, Sent(said): Sent<Value>, worker: web::Data<Worker>) -> Answered {
    let mut close = CloseRequest::read(&said).map_err(|refusal| ApiError::refused(refusal, &worker.zone()))?;
    caller.check_edge(&close.edge_id)?;
    close.only_own = caller.is_only_itself();
    let notes = std::mem::take(&mut close.notes);
    match submit(&worker, &caller, None, |_| close.job()).await? {
        Answer::Closed { confirmed, event_id } => {
            Ok(ok(Closed { message: "Barrier closed", confirmed, event_id: event_id.as_deref(), notes }))
        }
        _ => Err(ApiError::internal()),
    }
}

/// `POST /api/edge/detection`: what is known of this car. Writes nothing, opens nothing.
pub async fn detection(caller: Caller, Sent(said): Sent<Value>, worker: web::Data<Worker>) -> Answered {
    let zone = worker.zone();
    let mut detection = DetectionRequest::read(&said).map_err(|refusal| ApiError::refused(refusal, &zone))?;
    caller.check_edge(&detection.edge_id)?;
    let direction = match detection.direction.as_deref() {
        Some(text) => Some(request::direction(text).map_err(|refusal| ApiError::refused(refusal, &zone))?),
        None => worker.lane(&detection.edge_id),
    };
    let notes = std::mem::take(&mut detection.notes);
    let is_camera = told::flag(detection.lookup.as_ref()) != Some(true);
    let camera = is_camera.then(|| (detection.edge_id.clone(), told::confidence(detection.confidence.as_ref())));
    match submit(&worker, &caller, None, move |config| detection.job(config)).await? {
        Answer::Seen(info) => {
            let inside = info.inside.is_some();
            let allowed = match direction {
                Some(Direction::Entry) => !inside,
                Some(Direction::Exit) => inside,
                None => true,
            };
            if let Some((edge_id, confidence)) = camera {
                worker.shared.feed.do_send(Detected {
                    edge_id,
                    at_ms: worker.shared.clock.now_ms(),
                    plate_id: info.plate.as_str().to_owned(),
                    plate_view: info.plate_view.clone(),
                    camera_type: info.camera_type.clone(),
                    confidence,
                });
            }
            let vehicle_info = Vehicle::new(&info, direction, &zone);
            Ok(ok(Seen { allowed, vehicle_info, notes }))
        }
        _ => Err(ApiError::internal()),
    }
}

/// As tests make a call of a gate panic.
const FAULT: &str = "edges";

/// Checks a call against the settings in force, hands it to the writer and waits for its outcome. One beyond the bound on requests
/// in flight is refused at once. `act`: it is told in the audit, should it change something.
pub(super) async fn submit(
    worker: &Worker,
    caller: &Caller,
    act: Option<Act>,
    check: impl FnOnce(&Config) -> Result<Job, Refusal>,
) -> Result<Answer, ApiError> {
    let shared = &worker.shared;
    let Some(permit) = shared.in_flight.enter() else {
        shared.metrics.edge_refused.inc();
        return Err(ApiError::busy());
    };
    if shared.faults.as_ref().is_some_and(|faults| faults.has_struck(FAULT)) {
        injected_panic();
    }
    let refused = |refusal| ApiError::refused(refusal, &worker.zone());
    // No view of the settings stays borrowed: whoever looks at them again meanwhile, and who saves others, would wait for ever.
    let config = shared.config();
    let job = check(&config).map_err(refused)?;
    let job = if let Some(act) = act { job.audited(act) } else { job };
    let (reply, outcome) = oneshot::channel();
    shared.writer.do_send(Decide {
        job: job.by(caller.who.doer()),
        reply,
        permit: Some(permit),
        asked: Instant::now(),
    });
    match tokio::time::timeout(ANSWER_TIMEOUT, outcome).await {
        Ok(Ok(outcome)) => outcome.map_err(refused),
        // The writer failed, or took too long: it may or may not have happened.
        Ok(Err(_)) | Err(_) => Err(ApiError::unknown_outcome()),
    }
}

/// A car came in.
#[derive(Serialize, ToSchema)]
pub(super) struct Entered<'a> {
    #[schema(pattern = "^ENTRY$")]
    action: &'static str,
    /// The stay's id, the same on every central.
    event_id: &'a str,
    /// This central's row number; means nothing elsewhere. Null: it is on no row, for no plate was told.
    history_id: Option<i64>,
    /// It was asked before: nothing was changed, and this is the answer of then. Absent: no.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    /// What was told and is not used as told. Absent: all of it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
}

/// A car went out.
#[derive(Serialize, ToSchema)]
pub(super) struct Exited<'a> {
    #[schema(pattern = "^EXIT$")]
    action: &'static str,
    /// That of the entry; of an exit without entry its own.
    event_id: &'a str,
    /// VND.
    fee: i64,
    /// `1 giờ 31 phút`
    duration: &'a str,
    /// As of an entry.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    /// As of an entry; and that a subscription paid for a part of the stay only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
}

/// The barrier is closed.
#[derive(Serialize, ToSchema)]
pub(super) struct Closed<'a> {
    message: &'static str,
    /// Whether an entry was waiting for it.
    confirmed: bool,
    /// Of the entry that was confirmed.
    event_id: Option<&'a str>,
    /// As of an entry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
}

/// What is known of a car a camera saw.
#[derive(Serialize, ToSchema)]
pub(super) struct Seen {
    /// Opening the barrier in this direction would not contradict the state of the lot.
    allowed: bool,
    vehicle_info: Vehicle,
    /// What was told and is not used as told. Absent: all of it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
}
