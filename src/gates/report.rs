//! What edge programs report (`POST /api/edge/event`, `/ws/edge`), as sent, and how it is checked.
//!
//! They report what has happened, and some of them send again until they get a 200: so what cannot be read is noted in the
//! answer and shown at the stay, a car without a plate is kept as an opening, and only what is no event is refused.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::choices::{Choices, name_of};
use super::request::{
    MAX_REQUEST_ID_BYTES, PaidTold, SentFields, bounded, confidence, not_known, optional_text, plate_view, unread,
    wrong,
};
use crate::domain::anomaly::Anomaly;
use crate::domain::direction::Direction;
use crate::domain::event::Image;
use crate::domain::ids::EdgeId;
use crate::domain::money::Vnd;
use crate::domain::payment::{Method, total_of};
use crate::domain::plate::{PlateId, check_view};
use crate::domain::time::SiteZone;
use crate::domain::told::chosen::Saying;
use crate::domain::told::fields::{self, Fields, Keys};
use crate::domain::told::word::folded;
use crate::domain::told::{self, Note, amount, vehicle, way};
use crate::ledger::job::{Beside, Job, Refusal, Report, ReportChange, UnreadOpening};

/// The kinds of events, as they are documented.
const ENTRY: &str = "ENTRY";
const EXIT: &str = "EXIT";
const DETECTION: &str = "DETECTION";
const LOCATION_UPDATE: &str = "LOCATION_UPDATE";
const KINDS: [&str; 6] = [ENTRY, EXIT, DETECTION, LOCATION_UPDATE, "UPDATE", "DELETE"];

/// What cameras call an event that says which plate they read and no more, folded.
const READINGS: [&str; 8] =
    ["anpr", "lpr", "alpr", "alprgroup", "recognition", "platerecognition", "platedetected", "licenseplate"];

/// What would count of a passage, if it stood where it is read.
const OF_THE_PASSAGE: [Keys; 6] =
    [fields::TIME, fields::TIME_TOO, fields::ENTRY_TIME, fields::EXIT_TIME, fields::FEE, fields::VEHICLE_TYPE];
/// How far below a key that is looked for.
const DEEPEST: usize = 6;

/// A key that nobody reads is said, of so many.
pub(super) const MOST_UNREAD_NOTES: usize = 10;

/// What the settings say of the gate a report comes from.
#[derive(Debug, Default)]
pub struct GateSettings {
    /// The direction it is registered with.
    pub lane: Option<Direction>,
    /// The type of the vehicles that pass it; empty: none is set.
    pub vehicle_type: String,
}

/// One event as an edge program sends it. Keys that are not known are ignored, and common other names of these are; a number does
/// where a text is meant. What is documented in `data` may stand beside it.
#[derive(Debug, Clone, PartialEq, ToSchema)]
pub struct EventReport {
    /// What happened, in any letter case, also `IN`, `OUT`, `VÀO`, `RA`. `DETECTION`: as `direction` or the lane of the edge
    /// says, else an entry.
    #[schema(rename = "type", pattern = "^(ENTRY|EXIT|DETECTION|LOCATION_UPDATE|UPDATE|DELETE)$")]
    pub kind: String,
    pub camera_id: CameraId,
    pub camera_name: Option<String>,
    pub camera_type: Option<String>,
    /// Of a `DETECTION`: which way it went.
    #[schema(value_type = Option<String>, pattern = "^(ENTRY|EXIT)$")]
    pub direction: Option<Direction>,
    /// Unix seconds, ms, µs or ns, or a text such as `2026-11-22T07:30:05+07:00` or `2026-11-22 07:30:05` on the site's clock.
    #[schema(value_type = Option<Value>)]
    pub timestamp: Vec<ToldTime>,
    /// The edge's own id of it.
    pub event_id: Option<String>,
    #[schema(required = false)]
    pub data: EventData,
    /// What was told and could not be read, or is told twice, each time otherwise.
    #[schema(ignore)]
    pub notes: Vec<Note>,
    /// What there is to doubt for that.
    #[schema(ignore)]
    pub doubts: BTreeSet<Anomaly>,
}

/// A time under the name it was told by, and of what it is, if of one thing alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldTime {
    field: String,
    of: Option<Direction>,
    value: Value,
}

/// The part of a report that is about the car.
#[derive(Debug, Clone, PartialEq, Default, ToSchema)]
pub struct EventData {
    /// The plate as read; `plate_id`, `plate`, `license_plate`, `plateNumber` and the like do as well. Not needed for a DELETE.
    pub plate_text: Option<String>,
    pub plate_view: Option<String>,
    pub confidence: Option<Value>,
    /// VND: `25000`, `25000.0`, `"25.000 đ"`.
    pub fee: Option<Value>,
    /// How it was paid: `{method, amount?, reference?}`, or the method alone; in several ways: a list of them.
    #[schema(value_type = Option<PaidTold>)]
    pub paid: Option<Value>,
    /// Of a card or ticket; at most 64 characters.
    #[schema(value_type = Option<String>)]
    pub card_id: Option<Value>,
    /// At most 8.
    #[schema(value_type = Option<Vec<Image>>)]
    pub images: Option<Value>,
    /// The card was lost: what the tariff has for that is added to the fee of an exit.
    #[schema(value_type = Option<bool>)]
    pub lost_card: Option<Value>,
    /// Not used: who does it is known by the login, token or key.
    #[schema(value_type = Option<String>)]
    pub by: Option<Value>,
    pub vehicle_type: Option<String>,
    /// Of an UPDATE or DELETE: what is changed. The edge's row number (`history_id`) means nothing here.
    pub event_id: Option<String>,
    /// Where no plate was found: what was told instead.
    #[schema(ignore)]
    pub keys: Vec<String>,
}

/// A number in the programs of the predecessor; any name of an edge elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum CameraId {
    Number(i64),
    Name(String),
}

impl CameraId {
    /// As told.
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Name(name) => name.clone(),
        }
    }

    /// Reads what an edge is called; `None`: it says nothing.
    pub fn read(told: Option<&Value>) -> Option<Self> {
        match told? {
            Value::Number(number) => {
                Some(told::whole(number).map_or_else(|| Self::Name(number.to_string()), Self::Number))
            }
            Value::String(name) => Some(Self::Name(name.clone())).filter(|_| !name.trim().is_empty()),
            _ => None,
        }
    }

    /// The id of the edge: as told, or the nearest there is, for what has happened at a gate is not refused for its name.
    pub fn edge_id(&self) -> String {
        self.named("").0
    }

    /// That id, and what is said where the name is none; `field`: where it was told.
    pub fn named(&self, field: &'static str) -> (String, Option<Note>) {
        let told = self.text();
        if let Ok(edge_id) = EdgeId::new(&told) {
            return (edge_id.into(), None);
        }
        let edge_id = String::from(EdgeId::near(&told));
        let note = Note::new(field, "renamed", format!("ghi là {edge_id}"), format!("recorded as {edge_id}"));
        (edge_id, Some(note))
    }
}

impl EventReport {
    /// Reads an event as programs write it.
    ///
    /// # Errors
    /// It is no object, or does not say what happened or where.
    pub fn read(said: &Value) -> Result<Self, Refusal> {
        // Some programs send each event as a list of one, or as a text of its own.
        let unpacked: Option<Value> = said.as_str().and_then(|text| serde_json::from_str(text).ok());
        let said = unpacked.as_ref().unwrap_or(said);
        let said = if let Value::Array(items) = said
            && let [only] = items.as_slice()
        {
            only
        } else {
            said
        };
        if !said.is_object() {
            let example = r#"{"type": "ENTRY", "camera_id": 1, "data": {"plate_text": "29A-123.45"}}"#;
            return Err(Refusal::Invalid(format!("an event is one object, such as {example}")));
        }
        let top = Fields::of(&[said]);
        let told = said.get("data").unwrap_or(&Value::Null);
        // Some programs write the part as a text of its own.
        let unpacked: Option<Value> = told.as_str().and_then(|text| serde_json::from_str(text).ok());
        let data = unpacked.as_ref().unwrap_or(told);
        let data = if let Value::Array(items) = data { items.first().unwrap_or(data) } else { data };
        let mut notes = Vec::new();
        if !data.is_object() && !data.is_null() {
            notes.push(Note::new("data", "not_read", "không đọc được phần data", "it is no object; it is not used"));
        }
        let fields = Fields::at([("data.", data), ("", said)].into_iter());
        let at_the_top_first = |keys| {
            let mut told = fields.in_order(keys);
            told.sort_by_key(|told| !told.place.is_empty());
            told
        };
        let camera_id =
            CameraId::read(top.get(fields::GATE).or_else(|| fields.get(fields::GATE))).ok_or_else(|| {
                wrong("camera_id", "which camera or gate tells this? send a number or a name, such as \"camera_id\": 1")
            })?;
        let events = at_the_top_first(fields::EVENT);
        let kind = kind_of(&events)?;
        let mut choices = Choices { notes, ..Choices::default() };
        // What is seen inside or changed later passes no gate.
        let of_passages = if [ENTRY, EXIT, DETECTION].contains(&kind) { events.as_slice() } else { &[] };
        let direction = choices.way(of_passages).read;
        let plate = choices.plate(fields.in_order(fields::PLATE));
        let plate_text = told::text(plate.value())
            .ok()
            .flatten()
            .or_else(|| fields::plate_within(data))
            .or_else(|| fields::plate_within(said));
        let keys = if plate_text.is_none() { Fields::of(&[data]).names() } else { Vec::new() };
        let fee = choices.fee(fields.in_order(fields::FEE));
        let vehicles = events.iter().copied().filter(|told| told.value.as_str().is_some_and(is_vehicle));
        // What a call names as the type of its camera is the vehicle, too, where it is none of the program's lanes.
        let camera_types = at_the_top_first(fields::CAMERA_TYPE);
        let camera_type = Choices::default().vehicle(camera_types.iter().copied());
        let types = fields.in_order(fields::VEHICLE_TYPE).into_iter().chain(vehicles).chain(camera_types);
        let vehicle_type = choices.vehicle(types);
        let doubted =
            fields.in_order(fields::IS_ANOMALY).into_iter().find(|told| told::flag(Some(told.value)) == Some(true));
        if let Some(told) = doubted {
            choices.notes.push(Note::new(
                name_of(told),
                "doubted",
                "chương trình ở cổng tự báo là bất thường: được ghi và đánh dấu để kiểm tra",
                "the program itself says that this is out of the ordinary: recorded, and shown to be checked",
            ));
            choices.doubts.insert(Anomaly::TimeUncertain);
        }
        let event_id = choices.text(top.in_order(fields::EVENT_ID));
        let plate_view = choices.text(fields.in_order(fields::PLATE_VIEW));
        let Choices { mut notes, doubts } = choices;
        for (place, part) in [("data.", data), ("", said)] {
            // Without a plate all that stands in `data` is named beside that.
            if plate_text.is_some() || place.is_empty() {
                notes.extend(not_used(place, part));
            }
        }
        notes.truncate(MOST_UNREAD_NOTES);
        let times = [
            (fields::TIME, None),
            (fields::ENTRY_TIME, Some(Direction::Entry)),
            (fields::EXIT_TIME, Some(Direction::Exit)),
            (fields::TIME_TOO, None),
        ];
        let times = times.into_iter().flat_map(|(keys, of)| {
            let told = at_the_top_first(keys).into_iter();
            told.map(move |told| ToldTime { field: name_of(told), of, value: told.value.clone() })
        });
        Ok(Self {
            kind: kind.to_owned(),
            camera_id,
            camera_name: top.text(fields::CAMERA_NAME),
            camera_type,
            direction,
            timestamp: times.collect(),
            event_id,
            data: EventData {
                keys: keys.into_iter().map(bounded).collect(),
                plate_text,
                plate_view,
                confidence: fields.get(fields::CONFIDENCE).cloned(),
                fee: fee.value().cloned(),
                paid: fields.get(fields::PAID).cloned(),
                card_id: fields.get(fields::CARD).cloned(),
                lost_card: fields.get(fields::LOST_CARD).cloned(),
                images: fields.get(fields::IMAGES).cloned(),
                by: fields.get(fields::BY).cloned(),
                vehicle_type,
                event_id: Fields::of(&[data]).text(fields::STAY_ID),
            },
            notes,
            doubts,
        })
    }

    /// An event of a camera that says which plate it read, and not what happened, as the `DETECTION` it is, with what is said of that; where
    /// no lane of its gate says which way it went, or it says something else, as it is.
    pub fn of_a_reading(mut said: Value, lane: impl Fn(&str) -> Option<Direction>) -> (Value, Option<Note>) {
        let part = said.get("data").unwrap_or(&Value::Null);
        let fields = Fields::of(&[&said, part]);
        let words = fields.in_order(fields::EVENT).into_iter().filter_map(|told| told::text(Some(told.value)).ok()?);
        let says_no_more = words.map(|word| folded(&word)).all(|word| READINGS.contains(&word.as_str()));
        let gate = CameraId::read(fields.get(fields::GATE));
        let direction = gate.and_then(|gate| lane(&gate.edge_id()));
        let Some(direction) = direction.filter(|_| says_no_more && fields::plate_within(&said).is_some()) else {
            return (said, None);
        };
        let Some(event) = said.as_object_mut() else { return (said, None) };
        event.insert("type".to_owned(), DETECTION.into());
        (said, Some(way::of_lane("type", direction)))
    }

    /// The report as the ledger takes it. `gate`: what the settings say of an edge. `zone`: of the site's clock.
    ///
    /// # Errors
    /// [`Refusal::Field`]: it is no event of a known kind, or a change that names no stay or no plate.
    pub fn job(self, zone: &SiteZone, gate: impl Fn(&str) -> GateSettings) -> Result<Job, Refusal> {
        if self.is_change() { self.change().map(Job::ReportChange) } else { self.passage(zone, gate) }
    }

    /// It corrects or removes a stay that was reported before.
    pub fn is_change(&self) -> bool {
        self.is_a("UPDATE") || self.is_a("DELETE")
    }

    pub fn is_a(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// The id of the edge.
    pub fn edge_id(&self) -> String {
        self.camera_id.edge_id()
    }

    fn change(self) -> Result<ReportChange, Refusal> {
        let edge_id = self.edge_id();
        let is_removal = self.is_a("DELETE");
        let event_id = optional_text("data.event_id", self.data.event_id.or(self.event_id), MAX_REQUEST_ID_BYTES)?;
        let event_id = event_id.ok_or_else(|| wrong("data.event_id", "which stay? its event_id is needed"))?;
        if is_removal {
            return Ok(ReportChange { edge_id, event_id, corrected: None });
        }
        let text = self.data.plate_text.unwrap_or_default();
        let plate = PlateId::told(&text).map_err(|error| wrong("data.plate_text", error.to_string()))?;
        let view = self.data.plate_view.as_deref().and_then(|view| check_view(view).ok().flatten());
        let view = view.filter(|view| plate.is_written(view)).map(ToOwned::to_owned);
        Ok(ReportChange { edge_id, event_id, corrected: Some((plate, view)) })
    }

    fn passage(self, zone: &SiteZone, gate: impl Fn(&str) -> GateSettings) -> Result<Job, Refusal> {
        let (edge_id, renamed) = self.camera_id.named("camera_id");
        let gate = gate(&edge_id);
        let mut told = Choices { notes: self.notes, doubts: self.doubts };
        told.notes.extend(renamed);
        let (direction, seen_inside) = match self.kind.as_str() {
            ENTRY => (Direction::Entry, false),
            EXIT => (Direction::Exit, false),
            LOCATION_UPDATE => (Direction::Entry, true),
            _ => match self.direction.or(gate.lane) {
                Some(direction) => (direction, false),
                None => {
                    told.notes.push(way::assumed("type", Direction::Entry));
                    (Direction::Entry, false)
                }
            },
        };
        let told_ms = told.time(&self.timestamp, direction, seen_inside, zone);
        // What programs show at an entry as the fee so far is 0.
        let fee = told.amount(self.data.fee.as_ref()).filter(|fee| direction == Direction::Exit || *fee > Vnd(0));
        if seen_inside {
            told.doubts.insert(Anomaly::TimeUncertain);
        }
        let confidence = confidence("data.confidence", self.data.confidence.as_ref(), &mut told.notes);
        let request_id = told.id(self.event_id);
        let mut beside = told.beside(&self.data);
        if let Some(paid) = &mut beside.paid
            && paid.method != Method::Free
        {
            let rest = fee.map(|fee| Vnd((fee.0 - total_of(&paid.also).0).max(0)));
            paid.amount = paid.amount.or(rest);
        }
        let camera_type = self.data.vehicle_type.or(self.camera_type).unwrap_or(gate.vehicle_type);
        let text = self.data.plate_text.unwrap_or_default();
        let plate = match PlateId::told(&text) {
            Ok(plate) => plate,
            // Nothing opened: a camera inside the lot looked at a car.
            Err(error) if seen_inside => return Err(wrong("data.plate_text", error.to_string())),
            Err(error) => {
                let told_instead = match self.data.keys.as_slice() {
                    [] if text.is_empty() => " (there is no plate_text)".to_owned(),
                    [] => String::new(),
                    keys => format!(" (there is no plate_text; told are: {})", keys.join(", ")),
                };
                told.notes.push(unread("data.plate_text", &format!("{error}{told_instead}")));
                let (text, notes) = (bounded(&text), told.notes);
                let fee = fee.or(beside.amount_at(direction));
                return Ok(Job::Unread(UnreadOpening {
                    edge_id,
                    direction,
                    text,
                    camera_type,
                    request_id,
                    told_ms,
                    fee,
                    force: false,
                    reason: None,
                    beside,
                    notes,
                }));
            }
        };
        let view = plate_view("data.plate_view", self.data.plate_view.as_deref(), &plate, &mut told.notes);
        let shown = view.as_deref().or_else(|| {
            check_view(&text).ok().flatten().filter(|text| text.contains(['-', '.']) && plate.is_written(text))
        });
        Ok(Job::Report(Report {
            edge_id,
            direction,
            plate,
            plate_view: shown.map(ToOwned::to_owned),
            camera_type,
            confidence,
            request_id,
            told_ms,
            fee,
            seen_inside,
            beside,
            notes: told.notes,
            doubts: told.doubts,
        }))
    }
}

/// Reads what only adds to a report; what it cannot read it notes.
impl Choices {
    fn unused(&mut self, field: &str, code: &'static str, vi: &str, en: &str, doubt: Option<Anomaly>) {
        self.notes.push(Note::new(field, code, vi, en));
        self.doubts.extend(doubt);
    }

    /// When it happened, of the times that may be of this.
    fn time(&mut self, told: &[ToldTime], direction: Direction, seen_inside: bool, zone: &SiteZone) -> Option<i64> {
        let told = told.iter().filter(|told| told.of.is_none_or(|of| of == direction));
        let told = told.map(|told| Saying { place: "", key: &told.field, value: &told.value });
        // Where a camera inside the lot says when it saw the car, and when the car came in, both are so.
        let told = told.take(if seen_inside { 1 } else { usize::MAX });
        self.time_of(told, zone).unwrap_or_else(|error| {
            let vi = "không đọc được giờ cổng báo: ghi giờ nhận";
            let en = format!("{error}; the time of receipt is used");
            self.unused("timestamp", "not_read", vi, &en, Some(Anomaly::TimeUncertain));
            None
        })
    }

    fn amount(&mut self, value: Option<&Value>) -> Option<Vnd> {
        let read = amount::read(value).ok().filter(|fee| fee.is_none_or(|fee| fee <= Vnd::MAX_TOLD));
        let Some(fee) = read else {
            let (range_vi, range) = Vnd::out_of_range(Vnd(0), Vnd::MAX_TOLD);
            let vi = format!("không đọc được số tiền cổng báo đã thu: {range_vi}");
            let en = format!("{range}; it is not used");
            self.unused("data.fee", "not_read", &vi, &en, Some(Anomaly::FeeUncertain));
            return None;
        };
        if let Some(fee) = fee.filter(|fee| !fee.is_plausible()) {
            self.notes.push(amount::implausible("data.fee", fee));
            self.doubts.insert(Anomaly::FeeUncertain);
        }
        fee
    }

    fn beside(&mut self, data: &EventData) -> Beside {
        let EventData { paid, card_id, images, lost_card, by, .. } = data;
        let sent = SentFields {
            paid: paid.as_ref(),
            card_id: card_id.as_ref(),
            images: images.as_ref(),
            lost_card: lost_card.as_ref(),
            by: by.as_ref(),
        };
        let (beside, notes, unread) = sent.read();
        self.notes.extend(notes.into_iter().map(|note| match note.code {
            "not_read" => Note { field: format!("data.{}", note.field), ..note },
            _ => note,
        }));
        for unread in unread {
            let doubt = unread.field.starts_with("paid").then_some(Anomaly::FeeUncertain);
            self.unused(&format!("data.{}", unread.field), "not_read", unread.message_vi, &unread.message, doubt);
        }
        beside
    }

    /// An id that cannot be kept as told.
    fn id(&mut self, told: Option<String>) -> Option<String> {
        optional_text("event_id", told, MAX_REQUEST_ID_BYTES).unwrap_or_else(|_| {
            let vi = "mã quá dài hoặc có ký tự điều khiển: gửi lại sẽ không được nhận ra";
            let en = "at most 128 bytes and no control characters; sent again it is not recognised by it";
            self.unused("event_id", "not_read", vi, en, None);
            None
        })
    }
}

/// What a part of an event tells under keys that are not known; of one that holds the plate, what stands beside that and is read at the top
/// and in `data` alone.
fn not_used(place: &'static str, part: &Value) -> Vec<Note> {
    let fields = Fields::of(&[part]);
    let unread = fields.unread(fields::KNOWN).filter(|(key, _)| !place.is_empty() || *key != "data");
    let mut notes = Vec::new();
    for (key, told) in unread {
        let name = format!("{place}{}", bounded(key));
        match fields::plate_within(told) {
            Some(_) => beside_the_plate(&name, told, DEEPEST, &mut notes),
            None => notes.push(not_known(&name)),
        }
    }
    notes
}

fn beside_the_plate(path: &str, told: &Value, depth: usize, notes: &mut Vec<Note>) {
    if depth == 0 || notes.len() >= MOST_UNREAD_NOTES {
        return;
    }
    match told {
        Value::Array(items) => items.iter().for_each(|item| beside_the_plate(path, item, depth - 1, notes)),
        Value::Object(said) => {
            let fields = Fields::of(&[told]);
            let unused: Vec<&str> =
                OF_THE_PASSAGE.iter().flat_map(|keys| fields.in_order(*keys)).map(|told| told.key).collect();
            notes.extend(unused.iter().map(|key| not_known(&format!("{path}.{}", bounded(key)))));
            for (key, inner) in said.iter().filter(|(key, _)| !unused.contains(&key.as_str())) {
                beside_the_plate(&format!("{path}.{}", bounded(key)), inner, depth - 1, notes);
            }
        }
        _ => {}
    }
}

fn is_vehicle(told: &str) -> bool {
    matches!(vehicle::read(told), vehicle::ToldVehicle::Known(_))
}

/// What happened, by its documented name: the first that is one, or a direction. A program may call its events otherwise beside it.
fn kind_of(events: &[Saying<'_>]) -> Result<&'static str, Refusal> {
    let kind = |told: &str| {
        let word = folded(told);
        let known = KINDS.into_iter().find(|kind| folded(kind) == word);
        known.or_else(|| way::read(told).map(Direction::name))
    };
    let texts = || events.iter().filter_map(|told| told::text(Some(told.value)).ok().flatten());
    let read = texts().find_map(|told| kind(&told));
    // A gate that says what vehicle it was has seen one.
    let read = read.or_else(|| texts().any(|told| is_vehicle(&told)).then_some(DETECTION));
    read.ok_or_else(|| {
        let told =
            texts().next().map_or_else(|| "it is missing".to_owned(), |told| format!("{:?} is none", bounded(&told)));
        wrong("type", format!("{told}: what happened? one of {}; IN, OUT, VÀO and RA do as well", KINDS.join(", ")))
    })
}

#[cfg(test)]
mod tests;
