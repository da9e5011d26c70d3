//! What gates ask, checked and turned into jobs for the writer. One gateway per HTTP worker, on its thread.
//!
//! The gateway passes the reply channel on, so an answer goes from the writer straight to the handler that waits: one
//! hop there and one back. If a gateway panics, the requests queued in it are lost (their callers are told so at once);
//! those already with the writer are answered.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message};
use serde::Deserialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::config_keeper::ConfigView;
use super::db_writer::{DbWriter, Decide, Outcome};
use super::edge_report::EventReport;
use super::in_flight::{InFlight, Permit};
use super::supervise::{Handle, InjectPanic, injected_panic};
use crate::domain::audit::Act;
use crate::domain::direction::Direction;
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::problem::is_plain_text;
use crate::ledger::job::{Answer, CloseBarrier, Detection, Job, OpenBarrier, Refusal};
use crate::ops::metrics::Metrics;

/// A disk that needs longer than this for one commit does not answer a car that waits; the client tries again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest texts, in bytes. Real ones are far shorter; the event they end up in is bounded too.
const MAX_EDGE_ID_BYTES: usize = 64;
pub(super) const MAX_REQUEST_ID_BYTES: usize = 128;
const MAX_PLATE_VIEW_BYTES: usize = 32;
pub(super) const MAX_CAMERA_TYPE_BYTES: usize = 32;
const MAX_EVENT_ID_BYTES: usize = 128;
/// Longest reason of a forced opening, in characters.
const MAX_REASON_CHARS: usize = 200;
/// A fee beyond this is a slip of the finger.
pub(super) const MAX_FEE_VND: i64 = 1_000_000_000;

/// `POST /api/edge/barrier/open` as sent. Keys that are not here are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct OpenRequest {
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub edge_id: String,
    /// As read: 6 to 12 letters and digits; spaces, `-` and `.` do not count.
    #[schema(pattern = "^[ .-]*([A-Za-z0-9Đđ][ .-]*){6,12}$")]
    pub plate_id: String,
    #[schema(pattern = "^open$")]
    pub action: Option<String>,
    /// As shown to people, at most 32 bytes; formatted if absent.
    #[schema(pattern = "^[ -~]{0,32}$")]
    pub plate_view: Option<String>,
    /// `ENTRY` or `EXIT`; absent: the lane of the edge in the settings, else by state.
    #[schema(pattern = "^([Ee][Nn][Tt][Rr][Yy]|[Ee][Xx][Ii][Tt])?$")]
    pub direction: Option<String>,
    /// The vehicle type, at most 32 bytes; picks the rate of the tariff.
    #[schema(pattern = "^[ -~]{0,32}$")]
    pub camera_type: Option<String>,
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: Option<f64>,
    /// At most 128 bytes: repeated within 7 days it gets the same answer and changes nothing.
    #[schema(pattern = "^[ -~]{0,128}$")]
    pub request_id: Option<String>,
    /// Open against the state of the lot; recorded as manual.
    #[serde(default)]
    pub force: Option<bool>,
    /// Why it is forced, for people; at most 200 characters; only with `force`.
    #[schema(max_length = 200)]
    pub reason: Option<String>,
    /// What was taken, in VND; only with `force`.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub fee: Option<i64>,
}

/// `POST /api/edge/barrier/close` as sent: one of `plate_id` and `event_id` says which entry. Keys that are not here are
/// ignored.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct CloseRequest {
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub edge_id: String,
    #[schema(pattern = "^[ .-]*([A-Za-z0-9Đđ][ .-]*){6,12}$")]
    pub plate_id: Option<String>,
    /// At most 128 bytes.
    #[schema(pattern = "^[ -~]{0,128}$")]
    pub event_id: Option<String>,
    /// Read for its type only.
    pub action: Option<String>,
    /// Not theirs to say: an edge with a key closes behind its own cars alone.
    #[serde(skip)]
    pub only_own: bool,
}

/// `POST /api/edge/detection` as sent. Keys that are not here are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct DetectionRequest {
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub edge_id: String,
    /// As read: 6 to 12 letters and digits; spaces, `-` and `.` do not count.
    #[schema(pattern = "^[ .-]*([A-Za-z0-9Đđ][ .-]*){6,12}$")]
    pub plate_id: String,
    #[schema(pattern = "^[ -~]{0,32}$")]
    pub plate_view: Option<String>,
    /// `ENTRY` or `EXIT`; absent: the lane of the edge in the settings.
    #[schema(pattern = "^([Ee][Nn][Tt][Rr][Yy]|[Ee][Xx][Ii][Tt])?$")]
    pub direction: Option<String>,
    #[schema(pattern = "^[ -~]{0,32}$")]
    pub camera_type: Option<String>,
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: Option<f64>,
    /// Read and checked for its type only: a detection writes nothing.
    #[serde(rename = "timestamp")]
    pub timestamp_ms: Option<i64>,
    /// A person asks; no camera saw it.
    #[serde(default)]
    pub lookup: Option<bool>,
}

/// One call of a gate.
#[derive(Debug, Clone, PartialEq)]
pub enum EdgeRequest {
    Open(OpenRequest),
    Close(CloseRequest),
    Report(EventReport),
    Detect(DetectionRequest),
    /// With who asks, as what it changes is written down.
    Audited(Box<EdgeRequest>, Act),
}

/// Why a gate has no answer of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub enum EdgeError {
    /// The bound on requests in flight is reached: nothing happened.
    Busy,
    /// Gateway or writer failed, or took too long: it may or may not have happened.
    OutcomeUnknown,
    Refused(Refusal),
}

/// Hands a request to the worker's gateway and waits for its outcome.
///
/// # Errors
/// [`EdgeError`].
pub async fn submit(
    gateway: &Handle<EdgeGateway>,
    in_flight: &Arc<InFlight>,
    metrics: &Metrics,
    request: EdgeRequest,
) -> Result<Answer, EdgeError> {
    let Some(permit) = in_flight.enter() else {
        metrics.edge_refused.inc();
        return Err(EdgeError::Busy);
    };
    let (reply, outcome) = oneshot::channel();
    gateway.do_send(Submit { request, reply, permit });
    match tokio::time::timeout(ANSWER_TIMEOUT, outcome).await {
        Ok(Ok(outcome)) => outcome.map_err(EdgeError::Refused),
        Ok(Err(_closed)) => Err(EdgeError::OutcomeUnknown),
        Err(_elapsed) => Err(EdgeError::OutcomeUnknown),
    }
}

#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Submit {
    request: EdgeRequest,
    reply: oneshot::Sender<Outcome>,
    permit: Permit,
}

pub struct EdgeGateway {
    writer: Addr<DbWriter>,
    config: ConfigView,
}

impl EdgeGateway {
    #[must_use]
    pub fn new(writer: Addr<DbWriter>, config: ConfigView) -> Self {
        Self { writer, config }
    }

    fn job(&self, request: EdgeRequest) -> Result<Job, Refusal> {
        match request {
            EdgeRequest::Open(open) => self.open(open).map(Job::Open),
            EdgeRequest::Close(close) => self.close(close).map(Job::Close),
            EdgeRequest::Report(report) => report.job(|edge_id| self.config.borrow().lane(edge_id)),
            EdgeRequest::Detect(detection) => self.detect(detection).map(Job::Detect),
            EdgeRequest::Audited(request, act) => Ok(self.job(*request)?.audited(act)),
        }
    }

    fn open(&self, request: OpenRequest) -> Result<OpenBarrier, Refusal> {
        if request.action.as_deref().is_some_and(|action| action != "open") {
            return Err(wrong("action", "the only action is \"open\""));
        }
        let force = request.force.unwrap_or(false);
        let fee = match request.fee {
            None => None,
            Some(_) if !force => return Err(wrong("fee", "a fee is taken only with \"force\": true")),
            Some(fee) if (0..=MAX_FEE_VND).contains(&fee) => Some(Vnd(fee)),
            Some(_) => return Err(wrong("fee", "a fee is between 0 and 1000000000 đồng")),
        };
        let reason = request.reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        match &reason {
            Some(_) if !force => return Err(wrong("reason", "a reason is taken only with \"force\": true")),
            Some(reason) if !is_plain_text(reason, MAX_REASON_CHARS) => {
                return Err(wrong("reason", "a reason has at most 200 characters, in one line"));
            }
            _ => {}
        }
        check_edge_id(&request.edge_id)?;
        Ok(OpenBarrier {
            plate: plate(&request.plate_id)?,
            plate_view: plate_view(request.plate_view)?,
            direction: self.direction(&request.edge_id, request.direction.as_deref())?,
            camera_type: optional_text("camera_type", request.camera_type, MAX_CAMERA_TYPE_BYTES)?.unwrap_or_default(),
            confidence: confidence(request.confidence)?,
            request_id: optional_text("request_id", request.request_id, MAX_REQUEST_ID_BYTES)?,
            force,
            reason,
            fee,
            edge_id: request.edge_id,
        })
    }

    fn close(&self, request: CloseRequest) -> Result<CloseBarrier, Refusal> {
        check_edge_id(&request.edge_id)?;
        let plate = request.plate_id.as_deref().map(plate).transpose()?;
        let event_id = optional_text("event_id", request.event_id, MAX_EVENT_ID_BYTES)?;
        if plate.is_none() && event_id.is_none() {
            return Err(wrong("event_id", "say which entry: event_id or plate_id"));
        }
        Ok(CloseBarrier { edge_id: request.edge_id, plate, event_id, only_own: request.only_own })
    }

    fn detect(&self, request: DetectionRequest) -> Result<Detection, Refusal> {
        check_edge_id(&request.edge_id)?;
        confidence(request.confidence)?;
        Ok(Detection {
            plate: plate(&request.plate_id)?,
            plate_view: plate_view(request.plate_view)?,
            camera_type: optional_text("camera_type", request.camera_type, MAX_CAMERA_TYPE_BYTES)?.unwrap_or_default(),
            direction: self.direction(&request.edge_id, request.direction.as_deref())?,
        })
    }

    /// The request's direction, else the registered lane's.
    fn direction(&self, edge_id: &str, said: Option<&str>) -> Result<Option<Direction>, Refusal> {
        match said {
            None | Some("") => Ok(self.config.borrow().lane(edge_id)),
            Some(text) => direction(text).map(Some),
        }
    }
}

/// `ENTRY` or `EXIT`, in any letter case.
///
/// # Errors
/// [`Refusal::Field`].
pub fn direction(text: &str) -> Result<Direction, Refusal> {
    if text.eq_ignore_ascii_case("ENTRY") {
        Ok(Direction::Entry)
    } else if text.eq_ignore_ascii_case("EXIT") {
        Ok(Direction::Exit)
    } else {
        Err(wrong("direction", "ENTRY or EXIT"))
    }
}

pub(super) fn wrong(field: &'static str, problem: impl Into<String>) -> Refusal {
    Refusal::Field { field, problem: problem.into() }
}

pub(super) fn plate(text: &str) -> Result<PlateId, Refusal> {
    PlateId::parse(text).map_err(|error| wrong("plate_id", error.to_string()))
}

/// Edge ids stand in camera names and metrics: 1 to 64 of letters, digits, `.`, `-`, `_`, `:`.
pub(super) fn check_edge_id(text: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if (1..=MAX_EDGE_ID_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(wrong("edge_id", "1 to 64 letters, digits, '.', '-', '_', ':'"))
    }
}

/// Empty is as good as absent; too long or with control characters is refused.
pub(super) fn optional_text(
    field: &'static str,
    text: Option<String>,
    max_bytes: usize,
) -> Result<Option<String>, Refusal> {
    match text {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) if text.len() > max_bytes => Err(wrong(field, format!("at most {max_bytes} bytes"))),
        Some(text) if text.chars().any(char::is_control) => Err(wrong(field, "no control characters")),
        Some(text) => Ok(Some(text)),
    }
}

fn plate_view(text: Option<String>) -> Result<Option<String>, Refusal> {
    let view = optional_text("plate_view", text, MAX_PLATE_VIEW_BYTES)?;
    Ok(view.map(|view| view.trim().to_owned()).filter(|view| !view.is_empty()))
}

fn confidence(value: Option<f64>) -> Result<Option<f64>, Refusal> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => Err(wrong("confidence", "between 0 and 1")),
        value => Ok(value),
    }
}

impl Actor for EdgeGateway {
    type Context = Context<Self>;
}

impl Handler<Submit> for EdgeGateway {
    type Result = ();

    fn handle(&mut self, submit: Submit, _: &mut Self::Context) {
        let Submit { request, reply, permit } = submit;
        match self.job(request) {
            Ok(job) => self.writer.do_send(Decide { job, reply, permit: Some(permit) }),
            // Who stopped waiting is not told.
            Err(refusal) => drop(reply.send(Err(refusal))),
        }
    }
}

impl Handler<InjectPanic> for EdgeGateway {
    type Result = ();

    fn handle(&mut self, _: InjectPanic, _: &mut Self::Context) {
        injected_panic();
    }
}

#[cfg(test)]
mod tests;
