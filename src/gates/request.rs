//! What gates ask, as sent, and how it is checked: bodies, limits, and the job of the ledger they become.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::beside::Sent;
use super::report::{EventReport, GateSettings};
use crate::config::model::Config;
use crate::domain::audit::Act;
use crate::domain::direction::Direction;
use crate::domain::event::Image;
use crate::domain::ids::EdgeId;
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::problem::is_plain_text;
use crate::domain::told::{self, amount, vehicle};
use crate::ledger::job::{CloseBarrier, Detection, Job, OpenBarrier, Refusal};

/// Longest texts, in bytes. Real ones are far shorter; the event they end up in is bounded too.
pub(super) const MAX_REQUEST_ID_BYTES: usize = 128;
const MAX_PLATE_VIEW_BYTES: usize = 32;
pub(super) const MAX_CAMERA_TYPE_BYTES: usize = 32;
const MAX_EVENT_ID_BYTES: usize = 128;
/// Longest reason of a forced opening, in characters.
const MAX_REASON_CHARS: usize = 200;

/// `POST /api/edge/barrier/open` as sent. Keys that are not here are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct OpenRequest {
    #[serde(deserialize_with = "lenient::text")]
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub edge_id: String,
    /// As read: 6 to 12 letters and digits; spaces, `-`, `.` and other separators do not count.
    #[serde(deserialize_with = "lenient::text")]
    #[schema(pattern = "^[ .-]*[A-Za-z][ .-]*[1-9][ .-]*([A-Za-z0-9Đđ][ .-]*){4,10}$")]
    pub plate_id: String,
    #[schema(pattern = "^open$")]
    pub action: Option<String>,
    /// As shown to people, at most 32 bytes; formatted if absent.
    #[schema(pattern = "^[ -~]{0,32}$")]
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub plate_view: Option<String>,
    /// `ENTRY` or `EXIT`; absent: the lane of the edge in the settings, else by state.
    #[schema(pattern = "^([Ee][Nn][Tt][Rr][Yy]|[Ee][Xx][Ii][Tt])?$")]
    pub direction: Option<String>,
    /// The vehicle type, at most 32 bytes; picks the rate of the tariff.
    #[schema(pattern = "^[ -~]{0,32}$")]
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub camera_type: Option<String>,
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    pub confidence: Option<Value>,
    /// At most 128 bytes: repeated within 7 days it gets the same answer and changes nothing.
    #[schema(pattern = "^[ -~]{0,128}$")]
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub request_id: Option<String>,
    /// Open against the state of the lot; recorded as manual.
    #[schema(value_type = Option<bool>)]
    pub force: Option<Value>,
    /// Why it is forced, for people; at most 200 characters; only with `force`.
    #[schema(max_length = 200)]
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub reason: Option<String>,
    /// What was taken, in VND; only with `force`.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 100_000_000)]
    pub fee: Option<Value>,
    /// How the fee of an exit was paid: `{method, amount?, reference?}`, or the method alone.
    #[schema(value_type = Option<PaidSent>)]
    pub paid: Option<Value>,
    /// Of a card or ticket; at most 64 characters.
    #[schema(value_type = Option<String>, max_length = 64)]
    pub card_id: Option<Value>,
    /// At most 8.
    #[schema(value_type = Option<Vec<Image>>, max_items = 8)]
    pub images: Option<Value>,
    /// The card was lost: what the tariff has for that is added to the fee of an exit.
    #[schema(value_type = Option<bool>)]
    pub lost_card: Option<Value>,
    /// Not used: who does it is known by the login, token or key.
    #[schema(value_type = Option<String>)]
    pub by: Option<Value>,
}

/// A payment as sent.
#[derive(Debug, ToSchema)]
pub struct PaidSent {
    /// In any common spelling.
    #[schema(pattern = "^(cash|qr|card|transfer|account|free)$")]
    pub method: String,
    /// VND; absent: the fee, or nothing if it is `free`.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 100_000_000)]
    pub amount: Option<i64>,
    #[schema(max_length = 64)]
    pub reference: Option<String>,
}

/// `POST /api/edge/barrier/close` as sent: one of `plate_id` and `event_id` says which entry. Keys that are not here are
/// ignored.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct CloseRequest {
    #[serde(deserialize_with = "lenient::text")]
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub edge_id: String,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[schema(pattern = "^[ .-]*[A-Za-z][ .-]*[1-9][ .-]*([A-Za-z0-9Đđ][ .-]*){4,10}$")]
    pub plate_id: Option<String>,
    /// At most 128 bytes.
    #[schema(pattern = "^[ -~]{0,128}$")]
    #[serde(default, deserialize_with = "lenient::optional_text")]
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
    #[serde(deserialize_with = "lenient::text")]
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub edge_id: String,
    /// As read: 6 to 12 letters and digits; spaces, `-`, `.` and other separators do not count.
    #[serde(deserialize_with = "lenient::text")]
    #[schema(pattern = "^[ .-]*[A-Za-z][ .-]*[1-9][ .-]*([A-Za-z0-9Đđ][ .-]*){4,10}$")]
    pub plate_id: String,
    #[schema(pattern = "^[ -~]{0,32}$")]
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub plate_view: Option<String>,
    /// `ENTRY` or `EXIT`; absent: the lane of the edge in the settings.
    #[schema(pattern = "^([Ee][Nn][Tt][Rr][Yy]|[Ee][Xx][Ii][Tt])?$")]
    pub direction: Option<String>,
    #[schema(pattern = "^[ -~]{0,32}$")]
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub camera_type: Option<String>,
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    pub confidence: Option<Value>,
    /// Not used: a detection writes nothing.
    #[schema(value_type = Option<i64>)]
    pub timestamp: Option<Value>,
    /// A person asks; no camera saw it.
    #[schema(value_type = Option<bool>)]
    pub lookup: Option<Value>,
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

impl EdgeRequest {
    /// What the writer is to do.
    ///
    /// # Errors
    /// [`Refusal::Field`]
    pub fn job(self, config: &Config) -> Result<Job, Refusal> {
        match self {
            Self::Open(open) => open.checked(config).map(Job::Open),
            Self::Close(close) => close.checked().map(Job::Close),
            Self::Report(report) => report.job(&config.site.time_zone, |edge_id| GateSettings {
                lane: config.lane(edge_id),
                vehicle_type: config.vehicle_type(edge_id).to_owned(),
            }),
            Self::Detect(detection) => detection.checked(config).map(Job::Detect),
            Self::Audited(request, act) => Ok(request.job(config)?.audited(act)),
        }
    }
}

impl OpenRequest {
    fn checked(self, config: &Config) -> Result<OpenBarrier, Refusal> {
        if self.action.as_deref().is_some_and(|action| action != "open") {
            return Err(wrong("action", "the only action is \"open\""));
        }
        let force = flag("force", self.force.as_ref())?;
        let fee = match amount::read(self.fee.as_ref()) {
            Err(error) => return Err(wrong("fee", error.to_string())),
            Ok(None) => None,
            Ok(Some(_)) if !force => return Err(wrong("fee", "a fee is taken only with \"force\": true")),
            Ok(Some(fee)) if fee <= Vnd::MAX_TOLD => Some(fee),
            Ok(Some(fee)) => {
                return Err(wrong("fee", format!("{} đồng is more than any fee; at most {}", fee.0, Vnd::MAX_TOLD.0)));
            }
        };
        let reason = self.reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        match &reason {
            Some(_) if !force => return Err(wrong("reason", "a reason is taken only with \"force\": true")),
            Some(reason) if !is_plain_text(reason, MAX_REASON_CHARS) => {
                return Err(wrong("reason", "a reason has at most 200 characters, in one line"));
            }
            _ => {}
        }
        check_edge_id(&self.edge_id)?;
        let sent = Sent {
            paid: self.paid.as_ref(),
            card_id: self.card_id.as_ref(),
            images: self.images.as_ref(),
            lost_card: self.lost_card.as_ref(),
            by: self.by.as_ref(),
        };
        let (beside, note, unread) = sent.read();
        if let Some(unread) = unread.into_iter().next() {
            return Err(wrong(unread.field, unread.message));
        }
        Ok(OpenBarrier {
            plate: plate(&self.plate_id)?,
            plate_view: plate_view(self.plate_view)?,
            direction: lane(config, &self.edge_id, self.direction.as_deref())?,
            camera_type: vehicle_type(config, &self.edge_id, self.camera_type)?,
            confidence: confidence(self.confidence.as_ref())?,
            request_id: optional_text("request_id", self.request_id, MAX_REQUEST_ID_BYTES)?,
            force,
            reason,
            fee,
            beside,
            notes: note.into_iter().collect(),
            edge_id: self.edge_id,
        })
    }
}

impl CloseRequest {
    fn checked(self) -> Result<CloseBarrier, Refusal> {
        check_edge_id(&self.edge_id)?;
        let plate = self.plate_id.as_deref().map(plate).transpose()?;
        let event_id = optional_text("event_id", self.event_id, MAX_EVENT_ID_BYTES)?;
        if plate.is_none() && event_id.is_none() {
            return Err(wrong("event_id", "say which entry: event_id or plate_id"));
        }
        Ok(CloseBarrier { edge_id: self.edge_id, plate, event_id, only_own: self.only_own })
    }
}

impl DetectionRequest {
    fn checked(self, config: &Config) -> Result<Detection, Refusal> {
        check_edge_id(&self.edge_id)?;
        confidence(self.confidence.as_ref())?;
        Ok(Detection {
            plate: plate(&self.plate_id)?,
            plate_view: plate_view(self.plate_view)?,
            camera_type: vehicle_type(config, &self.edge_id, self.camera_type)?,
            direction: lane(config, &self.edge_id, self.direction.as_deref())?,
        })
    }
}

/// The vehicle type told, else that of the edge.
fn vehicle_type(config: &Config, edge_id: &str, told: Option<String>) -> Result<String, Refusal> {
    let told = optional_text("camera_type", told, MAX_CAMERA_TYPE_BYTES)?.unwrap_or_default();
    if vehicle::read(&told) == vehicle::Told::Nothing {
        return Ok(config.vehicle_type(edge_id).to_owned());
    }
    Ok(told)
}

/// The request's direction, else the registered lane's.
fn lane(config: &Config, edge_id: &str, said: Option<&str>) -> Result<Option<Direction>, Refusal> {
    match said {
        None | Some("") => Ok(config.lane(edge_id)),
        Some(text) => direction(text).map(Some),
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
    PlateId::told(text).map_err(|error| wrong("plate_id", error.to_string()))
}

pub(super) fn check_edge_id(text: &str) -> Result<(), Refusal> {
    EdgeId::new(text).map(drop).map_err(|error| wrong("edge_id", error.to_string()))
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

fn confidence(value: Option<&Value>) -> Result<Option<f64>, Refusal> {
    let told = value.filter(|value| !value.is_null());
    let read = told::confidence(told);
    if told.is_some() && read.is_none() { Err(wrong("confidence", "between 0 and 1")) } else { Ok(read) }
}

fn flag(field: &'static str, value: Option<&Value>) -> Result<bool, Refusal> {
    match value.filter(|value| !value.is_null()) {
        None => Ok(false),
        told => told::flag(told).ok_or_else(|| wrong(field, "true or false")),
    }
}

/// Texts as programs send them: a number where a text is meant is that number's text.
pub(super) mod lenient {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde_json::Value;

    use crate::domain::told;

    pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Ok(optional_text(deserializer)?.unwrap_or_default())
    }

    pub(crate) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Some(text)),
            other => told::text(Some(&other)).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests;
