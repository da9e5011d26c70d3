//! What gates ask, as sent, and how it is checked: bodies, limits, and the job of the ledger they become.
//!
//! And what they tell beside a passage, asked or reported: how it was paid, a card, pictures. It is read the same wherever it is told;
//! whoever asked for a barrier is refused what cannot be read, and whoever tells what has happened is told that it is not used.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::choices::Choices;
use super::report::{CameraId, MOST_UNREAD_NOTES};
use crate::config::model::Config;
use crate::domain::direction::Direction;
use crate::domain::event::{Image, MAX_CARD_ID_CHARS, MAX_IMAGES};
use crate::domain::money::Vnd;
use crate::domain::plate::{PlateId, check_view};
use crate::domain::problem::is_plain_text;
use crate::domain::told::fields::{self, Fields, Keys};
use crate::domain::told::payment;
use crate::domain::told::{self, Note, amount, vehicle, way};
use crate::ledger::job::{Beside, CloseBarrier, Detection, Job, OpenBarrier, Refusal, UnreadOpening};

/// Longest texts, in bytes. Real ones are far shorter; the event they end up in is bounded too.
pub(super) const MAX_REQUEST_ID_BYTES: usize = 128;
const MAX_EVENT_ID_BYTES: usize = 128;
/// Longest text in place of a plate that is kept, in characters.
const MAX_UNREAD_CHARS: usize = 64;
const NO_PLATE: &str = "it is missing: send the plate, such as \"plate_id\": \"29A-123.45\"";
/// Longest reason of a forced opening, in characters.
const MAX_REASON_CHARS: usize = 200;

/// `POST /api/edge/barrier/open` as sent. Keys that are not known are ignored, and common other names of these are.
#[derive(Debug, Clone, PartialEq, ToSchema)]
pub struct OpenRequest {
    /// Another name than an id is brought into shape and noted.
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub edge_id: String,
    /// As read: 6 to 12 letters and digits; spaces, `-`, `.` and other separators do not count. With `force` it may be absent:
    /// the opening is kept as one of a car that could not be read.
    #[schema(pattern = "^[ .-]*[A-Za-z][ .-]*[1-9][ .-]*([A-Za-z0-9Đđ][ .-]*){4,10}$")]
    pub plate_id: String,
    #[schema(pattern = "^open$")]
    pub action: Option<String>,
    /// As shown to people, at most 20 characters; formatted if absent.
    #[schema(pattern = "^[ -~]{0,20}$")]
    pub plate_view: Option<String>,
    /// `ENTRY` or `EXIT`, also `IN`, `OUT`, `VÀO`, `RA`; absent: the lane of the edge in the settings, else by state.
    #[schema(pattern = "^([Ee][Nn][Tt][Rr][Yy]|[Ee][Xx][Ii][Tt])?$")]
    pub direction: Option<String>,
    /// The vehicle type; picks the rate of the tariff.
    #[schema(pattern = "^[ -~]{0,32}$")]
    pub camera_type: Option<String>,
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    pub confidence: Option<Value>,
    /// At most 128 bytes: repeated within 7 days it gets the same answer and changes nothing.
    #[schema(pattern = "^[ -~]{0,128}$")]
    pub request_id: Option<String>,
    /// Open against the state of the lot; recorded as manual.
    #[schema(value_type = Option<bool>)]
    pub force: Option<Value>,
    /// Why it is forced, for people; at most 200 characters; only with `force`.
    #[schema(max_length = 200)]
    pub reason: Option<String>,
    /// What was taken, in VND; only with `force`.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 100_000_000)]
    pub fee: Option<Value>,
    /// How the fee of an exit was paid: `{method, amount?, reference?}`, or the method alone; in several ways: a list of them, of which one may
    /// go without an amount and is paid what is left.
    #[schema(value_type = Option<PaidTold>)]
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
    /// What `plate_id` says, where that is a plate.
    #[schema(ignore)]
    pub plate: Option<PlateId>,
    /// What was told and could not be read.
    #[schema(ignore)]
    pub notes: Vec<Note>,
}

/// How a fee was paid, as sent: in one way, or in several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum PaidTold {
    One(PaidSent),
    /// At most 8, none of them `free`; one may go without an amount and is paid what is left.
    Several(Vec<PaidSent>),
}

/// A payment as sent.
#[derive(Debug, Deserialize, ToSchema)]
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

/// `POST /api/edge/barrier/close` as sent: one of `plate_id` and `event_id` says which entry. Keys that are not known are ignored.
#[derive(Debug, Clone, PartialEq, ToSchema)]
pub struct CloseRequest {
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub edge_id: String,
    #[schema(pattern = "^[ .-]*[A-Za-z][ .-]*[1-9][ .-]*([A-Za-z0-9Đđ][ .-]*){4,10}$")]
    pub plate_id: Option<String>,
    /// At most 128 bytes.
    #[schema(pattern = "^[ -~]{0,128}$")]
    pub event_id: Option<String>,
    /// Read for its type only.
    pub action: Option<String>,
    /// Not theirs to say: an edge with a key closes behind its own cars alone.
    #[schema(ignore)]
    pub only_own: bool,
    /// What was told and is not used.
    #[schema(ignore)]
    pub notes: Vec<Note>,
}

/// `POST /api/edge/detection` as sent. Keys that are not known are ignored.
#[derive(Debug, Clone, PartialEq, ToSchema)]
pub struct DetectionRequest {
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub edge_id: String,
    /// As read: 6 to 12 letters and digits; spaces, `-`, `.` and other separators do not count.
    #[schema(pattern = "^[ .-]*[A-Za-z][ .-]*[1-9][ .-]*([A-Za-z0-9Đđ][ .-]*){4,10}$")]
    pub plate_id: String,
    #[schema(pattern = "^[ -~]{0,20}$")]
    pub plate_view: Option<String>,
    /// `ENTRY` or `EXIT`; absent: the lane of the edge in the settings.
    #[schema(pattern = "^([Ee][Nn][Tt][Rr][Yy]|[Ee][Xx][Ii][Tt])?$")]
    pub direction: Option<String>,
    #[schema(pattern = "^[ -~]{0,32}$")]
    pub camera_type: Option<String>,
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    pub confidence: Option<Value>,
    /// Not used: a detection writes nothing.
    #[schema(value_type = Option<i64>)]
    pub timestamp: Option<Value>,
    /// A person asks; no camera saw it.
    #[schema(value_type = Option<bool>)]
    pub lookup: Option<Value>,
    /// What was told and could not be read, or is not used.
    #[schema(ignore)]
    pub notes: Vec<Note>,
}

impl OpenRequest {
    /// # Errors
    /// [`Refusal::Field`]: a field that is needed or decides is no text. Those that only add are noted later.
    pub fn read(said: &Value) -> Result<Self, Refusal> {
        let fields = call(said)?;
        let (edge_id, renamed) = gate(&fields)?.named("edge_id");
        let mut choices = Choices { notes: Vec::from_iter(renamed), ..Choices::default() };
        let camera_type = vehicle_of(&fields, &mut choices);
        let plate = choices.plate(fields.in_order(fields::PLATE));
        let direction = choices.way(&fields.in_order(fields::DIRECTION));
        let fee = choices.fee(fields.in_order(fields::FEE));
        let plate_view = choices.text(fields.in_order(fields::PLATE_VIEW));
        let notes = choices.notes.into_iter().chain(unknown(&fields, fields::OF_OPEN));
        Ok(Self {
            edge_id,
            plate_id: text(plate.value(), "plate_id")?.unwrap_or_default(),
            action: text(fields.get(fields::ACTION), "action")?,
            plate_view,
            direction: text(direction.value(), "direction")?,
            camera_type,
            confidence: fields.get(fields::CONFIDENCE).cloned(),
            request_id: text(fields.get(fields::REQUEST_ID), "request_id")?,
            force: fields.get(fields::FORCE).cloned(),
            reason: text(fields.get(fields::REASON), "reason")?,
            fee: fee.value().cloned(),
            paid: fields.get(fields::PAID).cloned(),
            card_id: fields.get(fields::CARD).cloned(),
            lost_card: fields.get(fields::LOST_CARD).cloned(),
            images: fields.get(fields::IMAGES).cloned(),
            by: fields.get(fields::BY).cloned(),
            notes: notes.take(MOST_UNREAD_NOTES).collect(),
            plate: plate.read,
        })
    }
}

impl CloseRequest {
    /// # Errors
    /// As [`OpenRequest::read`].
    pub fn read(said: &Value) -> Result<Self, Refusal> {
        let fields = call(said)?;
        let mut choices = Choices::default();
        let plate = choices.plate(fields.in_order(fields::PLATE));
        let notes = choices.notes.into_iter().chain(unknown(&fields, fields::OF_CLOSE));
        Ok(Self {
            edge_id: gate(&fields)?.edge_id(),
            plate_id: text(plate.value(), "plate_id")?,
            event_id: text(fields.get(fields::STAY_ID), "event_id")?,
            action: text(fields.get(fields::ACTION), "action")?,
            only_own: false,
            notes: notes.take(MOST_UNREAD_NOTES).collect(),
        })
    }
}

impl DetectionRequest {
    /// # Errors
    /// As [`OpenRequest::read`].
    pub fn read(said: &Value) -> Result<Self, Refusal> {
        let fields = call(said)?;
        let mut choices = Choices::default();
        let camera_type = vehicle_of(&fields, &mut choices);
        let plate = choices.plate(fields.in_order(fields::PLATE));
        let direction = choices.way(&fields.in_order(fields::DIRECTION));
        let plate_view = choices.text(fields.in_order(fields::PLATE_VIEW));
        let notes = choices.notes.into_iter().chain(unknown(&fields, fields::OF_DETECTION));
        Ok(Self {
            edge_id: gate(&fields)?.edge_id(),
            plate_id: text(plate.value(), "plate_id")?.unwrap_or_default(),
            plate_view,
            direction: text(direction.value(), "direction")?,
            camera_type,
            confidence: fields.get(fields::CONFIDENCE).cloned(),
            timestamp: fields.get(fields::TIME).cloned(),
            lookup: fields.get(fields::LOOKUP).cloned(),
            notes: notes.take(MOST_UNREAD_NOTES).collect(),
        })
    }
}

fn call(said: &Value) -> Result<Fields<'_>, Refusal> {
    let example = r#"{"edge_id": "edge-1", "plate_id": "29A-123.45"}"#;
    let refused = || Refusal::Invalid(format!("the body is one object, such as {example}"));
    said.as_object().map(|_| Fields::of(&[said])).ok_or_else(refused)
}

fn gate(fields: &Fields<'_>) -> Result<CameraId, Refusal> {
    CameraId::read(fields.get(fields::GATE))
        .ok_or_else(|| wrong("edge_id", "which gate? send its id, such as \"edge_id\": \"edge-1\""))
}

/// What is said of keys that mean nothing to a call, unless the plate stands below them.
fn unknown<'f>(fields: &'f Fields<'_>, known: &[Keys]) -> impl Iterator<Item = Note> + 'f {
    let unread = fields.unread(known).filter(|(_, told)| fields::plate_within(told).is_none());
    unread.map(|(key, _)| not_known(&bounded(key)))
}

pub(super) fn not_known(field: &str) -> Note {
    Note::new(field, "not_read", "không có mục này: không dùng", "no such field is known: it is not used")
}

/// The vehicle type that is told: here as of the gate, before that as of the vehicle.
fn vehicle_of(fields: &Fields<'_>, choices: &mut Choices) -> Option<String> {
    choices
        .vehicle(fields.in_order(fields::CAMERA_TYPE))
        .or_else(|| choices.vehicle(fields.in_order(fields::VEHICLE_TYPE)))
}

/// A text, or a number where a text is meant.
fn text(told: Option<&Value>, field: &'static str) -> Result<Option<String>, Refusal> {
    told::text(told).map_err(|error| wrong(field, error.to_string()))
}

impl OpenRequest {
    /// What the writer is to do.
    ///
    /// # Errors
    /// [`Refusal::Field`]
    pub fn job(self, config: &Config) -> Result<Job, Refusal> {
        let mut notes = self.notes;
        if self.action.as_deref().is_some_and(|action| !action.trim().eq_ignore_ascii_case("open")) {
            return Err(wrong("action", "the only action is \"open\""));
        }
        let force = flag("force", self.force.as_ref())?;
        let fee = match amount::read(self.fee.as_ref()) {
            Err(error) => return Err(wrong("fee", error.to_string())),
            Ok(None) => None,
            Ok(Some(_)) if !force => return Err(wrong("fee", "a fee is taken only with \"force\": true")),
            Ok(Some(fee)) if fee <= Vnd::MAX_TOLD => Some(fee),
            Ok(Some(_)) => return Err(wrong("fee", Vnd::out_of_range(Vnd(0), Vnd::MAX_TOLD).1)),
        };
        let reason = self.reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        match &reason {
            Some(_) if !force => return Err(wrong("reason", "a reason is taken only with \"force\": true")),
            Some(reason) if !is_plain_text(reason, MAX_REASON_CHARS) => {
                return Err(wrong("reason", "a reason has at most 200 characters, in one line"));
            }
            _ => {}
        }
        let sent = SentFields {
            paid: self.paid.as_ref(),
            card_id: self.card_id.as_ref(),
            images: self.images.as_ref(),
            lost_card: self.lost_card.as_ref(),
            by: self.by.as_ref(),
        };
        let (beside, beside_notes, unread_beside) = sent.read();
        if let Some(unread) = unread_beside.into_iter().next() {
            return Err(wrong(unread.field, unread.message));
        }
        notes.extend(beside_notes);
        let direction = lane(config, &self.edge_id, self.direction.as_deref())?;
        let request_id = optional_text("request_id", self.request_id, MAX_REQUEST_ID_BYTES)?;
        let camera_type = vehicle_type(config, &self.edge_id, self.camera_type);
        let plate = match self.plate.map_or_else(|| PlateId::told(&self.plate_id), Ok) {
            Ok(plate) => plate,
            // A person opens for a car that no camera can read: that it was opened is kept.
            Err(error) if force => {
                let direction = direction.unwrap_or_else(|| {
                    // Without a plate the state of the lot cannot tell, but money is taken of cars that leave.
                    let leaves = fee.is_some_and(|fee| fee > Vnd(0)) || beside.paid.is_some();
                    let direction = if leaves { Direction::Exit } else { Direction::Entry };
                    notes.push(way::assumed("direction", direction));
                    direction
                });
                notes.push(unread("plate_id", &error.to_string()));
                return Ok(Job::Unread(UnreadOpening {
                    edge_id: self.edge_id,
                    direction,
                    text: bounded(&self.plate_id),
                    camera_type,
                    request_id,
                    told_ms: None,
                    fee: fee.or(beside.amount_at(direction)),
                    force,
                    reason,
                    beside,
                    notes,
                }));
            }
            Err(_) => return Err(plate(&self.plate_id).err().unwrap_or_else(|| wrong("plate_id", NO_PLATE))),
        };
        Ok(Job::Open(OpenBarrier {
            plate_view: plate_view("plate_view", self.plate_view.as_deref(), &plate, &mut notes),
            plate,
            direction,
            camera_type,
            confidence: confidence("confidence", self.confidence.as_ref(), &mut notes),
            request_id,
            force,
            reason,
            fee,
            beside,
            notes,
            edge_id: self.edge_id,
        }))
    }
}

impl CloseRequest {
    /// As [`OpenRequest::job`].
    ///
    /// # Errors
    /// [`Refusal::Field`]
    pub fn job(self) -> Result<Job, Refusal> {
        let plate = self.plate_id.as_deref().map(plate).transpose()?;
        let event_id = optional_text("event_id", self.event_id, MAX_EVENT_ID_BYTES)?;
        if plate.is_none() && event_id.is_none() {
            return Err(wrong("event_id", "say which entry: event_id or plate_id"));
        }
        Ok(Job::Close(CloseBarrier { edge_id: self.edge_id, plate, event_id, only_own: self.only_own }))
    }
}

impl DetectionRequest {
    /// As [`OpenRequest::job`].
    ///
    /// # Errors
    /// [`Refusal::Field`]
    pub fn job(self, config: &Config) -> Result<Job, Refusal> {
        let plate = plate(&self.plate_id)?;
        Ok(Job::Detect(Detection {
            plate_view: plate_view("plate_view", self.plate_view.as_deref(), &plate, &mut Vec::new()),
            plate,
            camera_type: vehicle_type(config, &self.edge_id, self.camera_type),
            direction: lane(config, &self.edge_id, self.direction.as_deref())?,
        }))
    }
}

/// The vehicle type told, else that of the edge.
fn vehicle_type(config: &Config, edge_id: &str, told: Option<String>) -> String {
    let told = told.filter(|told| vehicle::read(told) != vehicle::ToldVehicle::Nothing);
    told.unwrap_or_else(|| config.vehicle_type(edge_id).to_owned())
}

/// The request's direction, else the registered lane's.
fn lane(config: &Config, edge_id: &str, said: Option<&str>) -> Result<Option<Direction>, Refusal> {
    match said {
        None => Ok(config.lane(edge_id)),
        Some(text) => direction(text).map(Some),
    }
}

/// `ENTRY` or `EXIT`, in any spelling.
///
/// # Errors
/// [`Refusal::Field`].
pub fn direction(text: &str) -> Result<Direction, Refusal> {
    way::read(text).ok_or_else(|| wrong("direction", "ENTRY or EXIT (IN, OUT, VÀO and RA do as well)"))
}

/// What is said of an opening for a car whose plate is not known.
pub(super) fn unread(field: &'static str, why: &str) -> Note {
    Note::new(
        field,
        "unread",
        format!("không đọc được biển số: lần mở cổng này được giữ lại và hiện trong mục bất thường ({why})"),
        format!("{why}; the opening is kept and shown"),
    )
}

/// A text in place of a plate, as it is kept.
pub(super) fn bounded(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(MAX_UNREAD_CHARS).collect()
}

pub(super) fn wrong(field: &'static str, problem: impl Into<String>) -> Refusal {
    Refusal::Field { field, problem: problem.into() }
}

pub(super) fn plate(text: &str) -> Result<PlateId, Refusal> {
    if text.trim().is_empty() {
        return Err(wrong("plate_id", NO_PLATE));
    }
    PlateId::told(text).map_err(|error| wrong("plate_id", error.to_string()))
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

/// The form for people, if it can be used.
pub(super) fn plate_view(
    field: &'static str,
    told: Option<&str>,
    plate: &PlateId,
    notes: &mut Vec<Note>,
) -> Option<String> {
    let problem = match check_view(told?) {
        Ok(view) if view.is_none_or(|view| plate.is_written(view)) => return view.map(ToOwned::to_owned),
        Ok(_) => format!("it is no way to write {plate}"),
        Err(error) => error.to_string(),
    };
    let vi = "không dùng được cách viết biển số này";
    notes.push(Note::new(field, "not_read", vi, format!("{problem}; it is not used")));
    None
}

/// How sure the camera is, if that can be used.
pub(super) fn confidence(field: &'static str, told: Option<&Value>, notes: &mut Vec<Note>) -> Option<f64> {
    let told = told.filter(|value| !value.is_null());
    let read = told::confidence(told);
    if told.is_some() && read.is_none() {
        notes.push(Note::new(field, "not_read", "không phải số từ 0 đến 1", "it is no number from 0 to 1"));
    }
    read
}

fn flag(field: &'static str, value: Option<&Value>) -> Result<bool, Refusal> {
    match value.filter(|value| !value.is_null()) {
        None => Ok(false),
        told => told::flag(told).ok_or_else(|| wrong(field, "true or false")),
    }
}

/// The fields as sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct SentFields<'v> {
    pub paid: Option<&'v Value>,
    pub card_id: Option<&'v Value>,
    pub images: Option<&'v Value>,
    pub lost_card: Option<&'v Value>,
    /// Somebody who calls says who does it, which is not his to say.
    pub by: Option<&'v Value>,
}

/// A field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadField {
    pub field: &'static str,
    pub message_vi: &'static str,
    pub message: String,
}

impl SentFields<'_> {
    /// All that can be read, what is not used, and what cannot be read.
    pub fn read(self) -> (Beside, Vec<Note>, Vec<UnreadField>) {
        let (mut beside, mut unread) = (Beside::default(), Vec::new());
        match payment::read(self.paid) {
            Ok(paid) => beside.paid = paid,
            Err(error) => unread.push(UnreadField {
                field: error.field(),
                message_vi: "không đọc được cách thanh toán: cash, qr, card, transfer, account hoặc free, kèm số tiền và mã tham chiếu",
                message: error.to_string(),
            }),
        }
        match told::text(self.card_id)
            .ok()
            .filter(|id| id.as_deref().is_none_or(|id| is_plain_text(id.trim(), MAX_CARD_ID_CHARS)))
        {
            Some(id) => beside.card_id = id.map(|id| id.trim().to_owned()),
            None => unread.push(UnreadField {
                field: "card_id",
                message_vi: "mã thẻ tối đa 64 ký tự, không có ký tự điều khiển",
                message: format!("a text of at most {MAX_CARD_ID_CHARS} characters, in one line, is expected"),
            }),
        }
        match images(self.images) {
            Some(images) => beside.images = images,
            None => unread.push(UnreadField {
                field: "images",
                message_vi: "tối đa 8 ảnh, mỗi ảnh {sha256, kind}",
                message: format!(
                    "at most {MAX_IMAGES} of {{\"sha256\": 64 hex digits, \"kind\": a word}} are expected"
                ),
            }),
        }
        match self.lost_card.filter(|lost| !lost.is_null()) {
            None => {}
            told => match told::flag(told) {
                Some(lost) => beside.lost_card = lost,
                None => unread.push(UnreadField {
                    field: "lost_card",
                    message_vi: "true hoặc false",
                    message: "true or false".to_owned(),
                }),
            },
        }
        let by = self.by.filter(|by| !by.is_null()).map(|_| from_login("by"));
        let of_paid =
            payment::unread_keys(self.paid).into_iter().map(|key| not_known(&format!("paid.{}", bounded(key))));
        (beside, by.into_iter().chain(of_paid.take(MOST_UNREAD_NOTES)).collect(), unread)
    }
}

/// Said to whoever names who does it.
pub fn from_login(field: &str) -> Note {
    Note::new(
        field,
        "from_login",
        "người thực hiện được lấy từ đăng nhập hoặc khóa của cổng, không lấy từ yêu cầu",
        "who does it is taken from the login, the token or the key, never from the request",
    )
}

fn images(sent: Option<&Value>) -> Option<Vec<Image>> {
    let list = match sent {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(Value::Array(list)) if list.len() <= MAX_IMAGES => list,
        Some(_) => return None,
    };
    let image = |sent: &Value| {
        let sha256 = sent.get("sha256")?.as_str()?.to_ascii_lowercase();
        let kind = told::text(sent.get("kind")).ok()?.unwrap_or_default();
        Some(Image { sha256, kind }).filter(Image::is_sound)
    };
    list.iter().map(image).collect()
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod beside_tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(sent: &Value) -> (Beside, Vec<&'static str>) {
        let sent = SentFields {
            paid: sent.get("paid"),
            card_id: sent.get("card_id"),
            images: sent.get("images"),
            lost_card: sent.get("lost_card"),
            by: sent.get("by"),
        };
        let (beside, _, unread) = sent.read();
        (beside, unread.into_iter().map(|unread| unread.field).collect())
    }

    #[test]
    fn what_is_told_beside_a_passage_is_kept_or_named() {
        let hash = "AB".repeat(32);
        let told = json!({"paid": {"method": "cash"}, "card_id": 7_788, "images": [{"sha256": hash, "kind": "plate"}]});
        let (beside, unread) = read(&told);
        assert!(unread.is_empty());
        assert_eq!(beside.card_id.as_deref(), Some("7788"));
        assert_eq!(beside.images, [Image { sha256: "ab".repeat(32), kind: "plate".into() }]);
        for (told, field) in [
            (json!({"paid": {"method": "gold"}}), "paid.method"),
            (json!({"paid": 5}), "paid"),
            (json!({"paid": {"method": "cash", "amount": 1_000_000_000_001_i64}}), "paid.amount"),
            (json!({"card_id": "x".repeat(65)}), "card_id"),
            (json!({"card_id": "a\u{0}b"}), "card_id"),
            (json!({"card_id": {}}), "card_id"),
            (json!({"lost_card": "perhaps"}), "lost_card"),
            (json!({"images": "x"}), "images"),
            (json!({"images": [{"sha256": "ab", "kind": "plate"}]}), "images"),
            (json!({"images": [{"sha256": "zz".repeat(32), "kind": "plate"}]}), "images"),
            (json!({"images": [{"sha256": "ab".repeat(32), "kind": "x".repeat(33)}]}), "images"),
            (json!({"images": vec![json!({"sha256": "ab".repeat(32)}); 9]}), "images"),
        ] {
            assert_eq!(read(&told).1, [field], "{told}");
        }
        let more = json!({"method": "cash", "tendered": 50_000, "also": [{"method": "qr", "amount": 1, "bank": "x"}]});
        let (_, notes, _) = SentFields { paid: Some(&more), ..SentFields::default() }.read();
        let noted: Vec<(&str, &str)> = notes.iter().map(|note| (note.field.as_str(), note.code)).collect();
        assert_eq!(noted, [("paid.tendered", "not_read"), ("paid.bank", "not_read")]);
        let nothing = json!({"paid": null, "card_id": "", "images": null, "by": null});
        assert_eq!(read(&nothing), (Beside::default(), Vec::new()));
    }

    proptest! {
        #[test]
        fn who_does_it_is_never_read(by in "\\PC*") {
            let by = json!(by);
            let read = SentFields { by: Some(&by), ..SentFields::default() }.read();
            prop_assert_eq!(read, (Beside::default(), vec![from_login("by")], Vec::new()));
        }
    }
}
