//! What edge programs report (`POST /api/edge/event`, `/ws/edge`), as sent, and how it is checked.
//!
//! They report what has happened, and some of them send again until they get a 200: so what cannot be read is noted in the
//! answer and shown at the stay, a car without a plate is kept as an opening, and only what is no event is refused.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::request::{
    MAX_REQUEST_ID_BYTES, PaidTold, SentFields, bounded, confidence, not_known, optional_text, plate_view, unread,
    vehicle_told, wrong,
};
use crate::domain::anomaly::Anomaly;
use crate::domain::direction::Direction;
use crate::domain::event::Image;
use crate::domain::ids::EdgeId;
use crate::domain::money::Vnd;
use crate::domain::payment::{Method, total_of};
use crate::domain::plate::{PlateId, check_view};
use crate::domain::time::SiteZone;
use crate::domain::told::fields::{self, Fields};
use crate::domain::told::word::folded;
use crate::domain::told::{self, Note, amount, moment, vehicle, way};
use crate::ledger::job::{Beside, Job, Refusal, Report, ReportChange, UnreadOpening};

/// What programs say in place of a vehicle type: the lane of their camera, if that is no direction.
const LANES: [&str; 4] = ["DETECTION", "PARKING_LOT", "LOT", "UNKNOWN"];
/// The kinds of events, as they are documented.
const ENTRY: &str = "ENTRY";
const EXIT: &str = "EXIT";
const DETECTION: &str = "DETECTION";
const LOCATION_UPDATE: &str = "LOCATION_UPDATE";
const KINDS: [&str; 6] = [ENTRY, EXIT, DETECTION, LOCATION_UPDATE, "UPDATE", "DELETE"];

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
    pub timestamp: Option<Value>,
    /// The edge's own id of it.
    pub event_id: Option<String>,
    #[schema(required = false)]
    pub data: EventData,
    /// What was told and could not be read.
    #[schema(ignore)]
    pub notes: Vec<Note>,
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
        let fields = Fields::of(&[data, said]);
        let camera_id =
            CameraId::read(top.get(fields::GATE).or_else(|| fields.get(fields::GATE))).ok_or_else(|| {
                wrong("camera_id", "which camera or gate tells this? send a number or a name, such as \"camera_id\": 1")
            })?;
        let direction = fields.text(fields::DIRECTION).as_deref().and_then(way::read);
        let kind = kind_of(&top, direction)?;
        let plate_text =
            fields.text(fields::PLATE).or_else(|| fields::plate_within(data)).or_else(|| fields::plate_within(said));
        let keys = if plate_text.is_none() { Fields::of(&[data]).names() } else { Vec::new() };
        for (place, part) in [("data.", data), ("", said)] {
            // Without a plate all that stands in `data` is named beside that.
            if plate_text.is_some() || place.is_empty() {
                notes.extend(not_used(place, part, plate_text.as_deref()));
            }
        }
        let (vehicle_type, bad_type) = vehicle_told(&fields, fields::VEHICLE_TYPE, "data.vehicle_type");
        // What a call names so is the vehicle, too, where it is none of the program's lanes.
        let (camera_type, bad_camera_type) = match top.get(fields::CAMERA_TYPE) {
            Some(_) => vehicle_told(&top, fields::CAMERA_TYPE, "camera_type"),
            None => vehicle_told(&fields, fields::CAMERA_TYPE, "data.camera_type"),
        };
        notes.splice(0..0, bad_type.into_iter().chain(bad_camera_type));
        notes.truncate(MOST_UNREAD_NOTES);
        let time_of_kind = if kind == EXIT { fields::EXIT_TIME } else { fields::ENTRY_TIME };
        let times = [fields::TIME, time_of_kind, fields::TIME_TOO];
        let timestamp = times.into_iter().find_map(|keys| top.get(keys).or_else(|| fields.get(keys))).cloned();
        Ok(Self {
            kind,
            camera_id,
            camera_name: top.text(fields::CAMERA_NAME),
            camera_type,
            direction,
            timestamp,
            event_id: top.text(fields::EVENT_ID),
            data: EventData {
                keys: keys.into_iter().map(bounded).collect(),
                plate_text,
                plate_view: fields.text(fields::PLATE_VIEW),
                confidence: fields.get(fields::CONFIDENCE).cloned(),
                fee: fields.get(fields::FEE).cloned(),
                paid: fields.get(fields::PAID).cloned(),
                card_id: fields.get(fields::CARD).cloned(),
                lost_card: fields.get(fields::LOST_CARD).cloned(),
                images: fields.get(fields::IMAGES).cloned(),
                by: fields.get(fields::BY).cloned(),
                vehicle_type: vehicle_type.or_else(|| top.text(fields::EVENT).filter(|told| is_vehicle(told))),
                event_id: Fields::of(&[data]).text(fields::STAY_ID),
            },
            notes,
        })
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
        let mut told = ToldChange { notes: self.notes, ..ToldChange::default() };
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
        let told_ms = told.time(self.timestamp.as_ref(), zone);
        // What programs show at an entry as the fee so far is 0.
        let fee = told.fee(self.data.fee.as_ref()).filter(|fee| direction == Direction::Exit || *fee > Vnd(0));
        let confidence = confidence("data.confidence", self.data.confidence.as_ref(), &mut told.notes);
        let request_id = told.id(self.event_id);
        let mut beside = told.beside(&self.data);
        if let Some(paid) = &mut beside.paid
            && paid.method != Method::Free
        {
            let rest = fee.map(|fee| Vnd((fee.0 - total_of(&paid.also).0).max(0)));
            paid.amount = paid.amount.or(rest);
        }
        let is_lane = |kind: &String| {
            way::read(kind).is_some() || LANES.iter().any(|lane| kind.trim().eq_ignore_ascii_case(lane))
        };
        let camera_type =
            self.data.vehicle_type.filter(|kind| !is_lane(kind)).or(self.camera_type.filter(|kind| !is_lane(kind)));
        let camera_type = camera_type.filter(|kind| vehicle::read(kind) != vehicle::ToldVehicle::Nothing);
        let camera_type = camera_type.unwrap_or(gate.vehicle_type);
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
        let shown =
            view.as_deref().or_else(|| check_view(&text).ok().flatten().filter(|text| text.contains(['-', '.'])));
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
#[derive(Debug, Default)]
struct ToldChange {
    notes: Vec<Note>,
    doubts: BTreeSet<Anomaly>,
}

impl ToldChange {
    fn unused(&mut self, field: &str, code: &'static str, vi: &str, en: &str, doubt: Option<Anomaly>) {
        self.notes.push(Note::new(field, code, vi, en));
        self.doubts.extend(doubt);
    }

    fn time(&mut self, value: Option<&Value>, zone: &SiteZone) -> Option<i64> {
        moment::read(value, zone).unwrap_or_else(|error| {
            let vi = "không đọc được giờ cổng báo: ghi giờ nhận";
            let en = format!("{error}; the time of receipt is used");
            self.unused("timestamp", "not_read", vi, &en, Some(Anomaly::TimeUncertain));
            None
        })
    }

    fn fee(&mut self, value: Option<&Value>) -> Option<Vnd> {
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
        let (beside, note, unread) = sent.read();
        self.notes.extend(note);
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

/// What a part of an event tells that is not used: another plate, and keys that are not known, unless the plate stands below them.
fn not_used(place: &str, part: &Value, plate: Option<&str>) -> Vec<Note> {
    let fields = Fields::of(&[part]);
    let plate = plate.and_then(|plate| PlateId::told(plate).ok());
    let other = |told: &Value| {
        let told = told::text(Some(told)).ok().flatten().and_then(|text| PlateId::told(&text).ok());
        told.filter(|told| plate.as_ref().is_some_and(|plate| plate != told))
    };
    let others = fields.all(fields::PLATE).filter_map(|(key, told)| {
        let (other, plate) = (other(told)?, plate.as_ref()?);
        Some(Note::new(
            format!("{place}{}", bounded(key)),
            "differs",
            format!("biển số khác ({other}): ghi theo {plate}"),
            format!("this is another plate, {other}: {plate} is recorded"),
        ))
    });
    let is_part = |key: &str| place.is_empty() && key == "data";
    let unread =
        fields.unread(fields::KNOWN).filter(|(key, told)| !is_part(key) && fields::plate_within(told).is_none());
    others.chain(unread.map(|(key, _)| not_known(&format!("{place}{}", bounded(key))))).collect()
}

fn is_vehicle(told: &str) -> bool {
    matches!(vehicle::read(told), vehicle::ToldVehicle::Known(_))
}

/// What happened, by its documented name. A program that calls its events otherwise may tell a direction beside it.
fn kind_of(top: &Fields<'_>, direction: Option<Direction>) -> Result<String, Refusal> {
    let told = top.text(fields::EVENT);
    let word = told.as_deref().map(folded).unwrap_or_default();
    let known = KINDS.into_iter().find(|kind| folded(kind) == word);
    let read = known.or_else(|| told.as_deref().and_then(way::read).or(direction).map(Direction::name));
    // A gate that says what vehicle it was has seen one.
    let read = read.or_else(|| told.as_deref().filter(|told| is_vehicle(told)).map(|_| DETECTION));
    read.map(ToOwned::to_owned).ok_or_else(|| {
        let told = told.map_or_else(|| "it is missing".to_owned(), |told| format!("{:?} is none", bounded(&told)));
        wrong("type", format!("{told}: what happened? one of {}; IN, OUT, VÀO and RA do as well", KINDS.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(event: Value) -> Result<Job, Refusal> {
        let gate = |edge_id: &str| GateSettings {
            lane: (edge_id == "7").then_some(Direction::Exit),
            vehicle_type: if edge_id == "8" { "moto".into() } else { String::new() },
        };
        EventReport::read(&event)?.job(&SiteZone::default(), gate)
    }

    fn checked(event: Value) -> Result<Report, Refusal> {
        job(event).map(|job| match job {
            Job::Report(report) => report,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn what_both_revisions_send_is_understood() {
        let v1 = json!({"type": "ENTRY", "camera_id": 1, "camera_name": "Cổng vào", "camera_type": "ENTRY",
            "timestamp": 1_733_140_800.25, "data": {"plate_text": "29a-123.45", "confidence": 0.9, "source": "manual", "entry_id": 5}});
        let report = checked(v1).unwrap();
        assert_eq!(
            (report.edge_id.as_str(), report.direction, report.plate.as_str()),
            ("1", Direction::Entry, "29A12345")
        );
        assert_eq!((report.told_ms, report.confidence), (Some(1_733_140_800_250), Some(0.9)));
        assert_eq!((report.camera_type.as_str(), report.plate_view.as_deref()), ("", Some("29a-123.45")));
        let v2 = json!({"type": "EXIT", "camera_id": 2, "camera_name": "Ra", "camera_type": "EXIT", "timestamp": 1_733_140_800,
            "event_id": "edge-2_1733140800000_29A12345",
            "data": {"plate_text": "29A12345", "plate_id": "29A12345", "entry_time": "2024-12-02 18:00:00", "duration": "1 giờ", "fee": 25000}});
        let report = checked(v2).unwrap();
        assert_eq!((report.direction, report.fee), (Direction::Exit, Some(Vnd(25_000))));
        assert_eq!(report.request_id.as_deref(), Some("edge-2_1733140800000_29A12345"));
    }

    #[test]
    fn a_detection_is_what_the_lane_is() {
        let seen =
            |camera_id: i64| json!({"type": "DETECTION", "camera_id": camera_id, "data": {"plate_text": "29A12345"}});
        assert_eq!(checked(seen(1)).unwrap().direction, Direction::Entry);
        assert_eq!(checked(seen(7)).unwrap().direction, Direction::Exit);
    }

    #[test]
    fn an_event_is_read_under_the_names_and_in_the_shapes_that_programs_use() {
        for event in [
            json!({"type": "Exit", "camera_id": 7, "data": {"plate": "29A-123.45"}}),
            json!({"type": "RA", "cameraId": "7", "plateNumber": "29A-123.45"}),
            json!({"event_type": "OUT", "edge_id": 7, "license_plate": "29A-123.45", "data": null}),
            json!({"type": "ANPR", "direction": "Out", "camera": "7", "data": {"licensePlate": "29A12345"}}),
            json!({"type": "DETECTION", "camera_id": 8, "direction": "RA", "data": {"plate_text": "29A12345"}}),
            json!({"type": "exit", "camera_id": 7, "data": "{\"plate_text\": \"29A12345\"}"}),
            json!({"type": "exit", "camera_id": 7, "data": [{"plate_text": "29A12345"}]}),
            json!({"type": "exit", "camera_id": 7, "data": {"results": [{"plate": "29a12345", "score": 0.9}]}}),
            json!({"type": "xe ra", "gate": "7", "biển số": "29A12345"}),
        ] {
            let report = checked(event.clone()).unwrap();
            assert_eq!((report.direction, report.plate.as_str()), (Direction::Exit, "29A12345"), "{event}");
            assert!(report.notes.is_empty(), "{event}: {:?}", report.notes);
        }
        let full = checked(json!({"type": "EXIT", "camera_id": 1, "plate": "29A12345", "time": "2024-12-02 19:00:00",
            "amount": "25.000", "vehicleType": "xe máy", "score": "96%", "uuid": "u-1"}));
        let full = full.unwrap();
        assert_eq!((full.told_ms, full.fee), (Some(1_733_140_800_000), Some(Vnd(25_000))));
        assert_eq!((full.camera_type.as_str(), full.confidence), ("xe máy", Some(0.96)));
        assert_eq!(full.request_id.as_deref(), Some("u-1"));
        // What has no known name is named.
        let Ok(Job::Unread(unread)) = job(json!({"type": "ENTRY", "camera_id": 1, "data": {"soBien": "29A12345"}}))
        else {
            panic!("no plate was told")
        };
        assert!(unread.notes[0].message.contains("soBien"), "{:?}", unread.notes);
        let assumed =
            checked(json!({"type": "DETECTION", "camera_id": 1, "data": {"plate_text": "29A12345"}})).unwrap();
        assert_eq!((assumed.direction, assumed.notes[0].code), (Direction::Entry, "assumed"));
    }

    #[test]
    fn nothing_that_is_told_is_dropped_in_silence() {
        let noted = |event: Value| {
            let report = checked(event).unwrap();
            let noted: Vec<(String, &str)> = report.notes.into_iter().map(|note| (note.field, note.code)).collect();
            (report.told_ms, report.fee, noted)
        };
        let exit = |key: &str, value: Value| {
            let mut event = json!({"type": "EXIT", "camera_id": 1, "data": {"plate_text": "29A12345"}});
            event["data"][key] = value;
            event
        };
        for key in ["epoch_time", "snapTime", "trigger_time", "recognizeTime", "created_at", "unix", "exit_time"] {
            let (told_ms, _, notes) = noted(exit(key, json!(1_733_140_800)));
            assert_eq!((told_ms, notes), (Some(1_733_140_800_000), vec![]), "{key}");
        }
        for key in ["charge", "cost", "money", "paid_amount", "thành tiền", "parkingFee"] {
            let (_, fee, notes) = noted(exit(key, json!("25.000")));
            assert_eq!((fee, notes), (Some(Vnd(25_000)), vec![]), "{key}");
        }
        for key in ["utc", "startTime", "t", "price", "total", "giá", "number", "colour"] {
            let (told_ms, fee, notes) = noted(exit(key, json!(1_733_140_800)));
            assert_eq!((told_ms, fee, notes), (None, None, vec![(format!("data.{key}"), "not_read")]), "{key}");
        }
        // The first that says the time counts, wherever it stands.
        let mut both = exit("timestamp", json!(1_733_140_800));
        both["created_at"] = json!(1_733_140_900);
        assert_eq!(noted(both).0, Some(1_733_140_800_000));
        let mut many = exit("fee", json!(5_000));
        for number in 0..40 {
            many[format!("x{number}")] = json!(number);
        }
        assert_eq!(noted(many).2.len(), MOST_UNREAD_NOTES);
        let device = json!({"type": "EXIT", "data": {"plate_text": "29A12345", "deviceID": 3.0}});
        assert_eq!(checked(device).unwrap().edge_id, "3");
        let two = exit("plate", json!("30E-999.99"));
        assert_eq!(noted(two).2, [("data.plate".to_owned(), "differs")]);
        assert_eq!(noted(exit("plate_id", json!("29a-123.45"))).2, []);
    }

    #[test]
    fn a_gate_that_says_the_vehicle_in_place_of_what_happened_has_seen_one() {
        for (camera_id, direction) in [(1, Direction::Entry), (7, Direction::Exit)] {
            for told in ["truck", "Xe máy", "CAR"] {
                let event = json!({"type": told, "camera_id": camera_id, "data": {"plate_text": "29A12345"}});
                let report = checked(event).unwrap();
                assert_eq!((report.direction, report.camera_type.as_str()), (direction, told));
            }
        }
        assert!(checked(json!({"type": "spaceship", "camera_id": 1, "data": {"plate_text": "29A12345"}})).is_err());
        for (data, kept, noted) in [
            (json!({"vehicle_type": "spaceship"}), "spaceship", vec![]),
            (json!({"camera_type": "spaceship"}), "spaceship", vec![]),
            (json!({"vehicle_type": {"a": 1}}), "", vec!["data.vehicle_type"]),
            (json!({"camera_type": true}), "", vec!["data.camera_type"]),
        ] {
            let mut event = json!({"type": "ENTRY", "camera_id": 1, "data": data});
            event["data"]["plate_text"] = json!("29A12345");
            let report = checked(event).unwrap();
            let fields: Vec<&str> = report.notes.iter().map(|note| note.field.as_str()).collect();
            assert_eq!((report.camera_type.as_str(), fields), (kept, noted), "{data}");
        }
    }

    #[test]
    fn a_plate_is_shown_as_a_writing_of_itself() {
        for (told, shown) in [("51F-900.01", Some("51F-900.01")), ("30A-999.99", None), ("<b>51F90001</b>", None)] {
            let data = json!({"plate_text": "51F90001", "plate_view": told});
            let report = checked(json!({"type": "ENTRY", "camera_id": 1, "data": data})).unwrap();
            assert_eq!(report.plate_view.as_deref(), shown, "{told}");
            let noted: Vec<&str> = report.notes.iter().map(|note| note.field.as_str()).collect();
            assert_eq!(noted, if shown.is_some() { vec![] } else { vec!["data.plate_view"] }, "{told}");
        }
    }

    #[test]
    fn a_way_to_pay_without_an_amount_paid_the_fee_that_is_told() {
        for (paid, fee, amount) in [
            (json!("tiền mặt"), json!(50_000), Some(50_000)),
            (json!({"method": "cash", "amount": 7_000}), json!(50_000), Some(7_000)),
            (json!("cash"), json!(null), None),
            (json!("free"), json!(50_000), None),
        ] {
            let data = json!({"plate_text": "51F90001", "paid": paid, "fee": fee});
            let report = checked(json!({"type": "EXIT", "camera_id": 1, "data": data})).unwrap();
            assert_eq!(report.beside.paid.unwrap().amount, amount.map(Vnd), "{paid} {fee}");
        }
        let unread = json!({"type": "EXIT", "camera_id": 1, "data": {"paid": {"method": "cash", "amount": 25_000}}});
        assert!(matches!(job(unread), Ok(Job::Unread(UnreadOpening { fee: Some(Vnd(25_000)), .. }))));
    }

    #[test]
    fn a_field_that_only_adds_never_refuses_the_event() {
        let odd = json!({"type": "EXIT", "camera_id": "edge-1", "timestamp": "now", "event_id": "",
            "data": {"plate_text": "29A12345", "confidence": "high", "fee": -5, "plate_view": "x".repeat(90)}});
        let report = checked(odd).unwrap();
        assert_eq!((report.told_ms, report.confidence, report.fee, report.request_id), (None, None, None, None));
        let noted: Vec<&str> = report.notes.iter().map(|note| note.field.as_str()).collect();
        assert_eq!(noted, ["timestamp", "data.fee", "data.confidence", "data.plate_view"]);
        assert!(report.doubts.contains(&Anomaly::TimeUncertain) && report.doubts.contains(&Anomaly::FeeUncertain));
        for told in [json!(-1), json!(1e300), json!(null), json!({})] {
            let event = json!({"type": "ENTRY", "camera_id": 1, "timestamp": told, "data": {"plate_text": "29A12345"}});
            assert_eq!(checked(event).unwrap().told_ms, None);
        }
    }

    #[test]
    fn what_a_person_changed_at_the_edge_names_the_stay() {
        let change = |kind: &str, data: Value| {
            let event = json!({"type": kind, "camera_id": 1, "data": data});
            EventReport::read(&event)?.job(&SiteZone::default(), |_| GateSettings::default())
        };
        let data = json!({"history_id": 7, "event_id": "edge-1_1_29A12345", "plate_text": "29A12346", "plate_view": "29A-123.46"});
        let Ok(Job::ReportChange(update)) = change("UPDATE", data.clone()) else { panic!("a change") };
        assert_eq!(update.corrected.unwrap().1.as_deref(), Some("29A-123.46"));
        let Ok(Job::ReportChange(delete)) = change("DELETE", data) else { panic!("a change") };
        assert_eq!((delete.event_id.as_str(), delete.corrected), ("edge-1_1_29A12345", None));
        assert!(change("DELETE", json!({"history_id": 7})).is_err(), "a row number says nothing here");
        assert!(change("UPDATE", json!({"event_id": "e", "plate_text": ""})).is_err());
    }

    #[test]
    fn what_cannot_be_understood_is_refused_by_field() {
        let field = |event: Value| match checked(event) {
            Err(Refusal::Field { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(json!({"type": "WASHED", "camera_id": 1, "data": {"plate_text": "29A12345"}})), "type");
        assert_eq!(
            field(json!({"type": "LOCATION_UPDATE", "camera_id": 1, "data": {"plate_text": "UNKNOWN"}})),
            "data.plate_text"
        );
        let data = json!({"plate_text": "29A12345"});
        assert_eq!(field(json!({"type": "ENTRY", "data": data})), "camera_id");
        assert_eq!(field(json!({"type": "ENTRY", "camera_id": {}, "data": data})), "camera_id");
        assert_eq!(field(json!({"camera_id": 1, "data": data})), "type");
        for odd in [json!([]), json!("x"), json!(null)] {
            assert!(matches!(EventReport::read(&odd), Err(Refusal::Invalid(_))), "{odd}");
        }
        // What is wrong is said to those who wrote the program, in their words.
        let said = checked(json!({"type": "ALPR", "camera_id": 1})).unwrap_err().to_string();
        assert!(said.contains("\"ALPR\"") && said.contains("ENTRY, EXIT") && said.contains("VÀO"), "{said}");
    }

    #[test]
    fn a_car_without_a_plate_is_an_opening_that_is_kept() {
        for data in [
            json!({}),
            json!(null),
            json!({"plate_text": ""}),
            json!({"plate_text": "29A"}),
            json!({"plate_text": "29A1234?"}),
            json!({"plate_text": "UNKNOWN", "fee": "25.000"}),
            json!({"plate_text": "京A12345"}),
            json!({"plate_id": "0000000"}),
        ] {
            let event =
                json!({"type": "exit", "camera_id": 2, "event_id": "e", "timestamp": 1_733_140_800, "data": data});
            let Ok(Job::Unread(opening)) = job(event) else { panic!("{data}") };
            assert_eq!((opening.edge_id.as_str(), opening.direction), ("2", Direction::Exit));
            assert_eq!((opening.told_ms, opening.request_id.as_deref()), (Some(1_733_140_800_000), Some("e")));
            assert_eq!(opening.notes.last().map(|note| note.code), Some("unread"));
        }
    }

    #[test]
    fn a_type_is_told_or_is_the_gates() {
        for (camera_id, told, kept) in [
            (1, json!({}), ""),
            (8, json!({}), "moto"),
            (8, json!({"vehicle_type": "unknown"}), "moto"),
            (8, json!({"vehicle_type": "Xe đạp"}), "Xe đạp"),
            (1, json!({"vehicle_type": "MOTO"}), "MOTO"),
        ] {
            let mut data = told.clone();
            data["plate_text"] = "59X3-456.78".into();
            for lane in ["ENTRY", "entry", "Exit"] {
                let event = json!({"type": "ENTRY", "camera_id": camera_id, "camera_type": lane, "data": data});
                assert_eq!(checked(event).unwrap().camera_type, kept, "{told}");
            }
        }
    }

    #[test]
    fn what_a_gate_calls_itself_is_brought_into_shape() {
        let report =
            checked(json!({"type": "ENTRY", "camera_id": "Cổng A", "data": {"plate_text": 29_112_345}})).unwrap();
        assert_eq!((report.edge_id.as_str(), report.plate.as_str()), ("Cong-A", "29112345"));
        assert_eq!((report.notes[0].field.as_str(), report.notes[0].code), ("camera_id", "renamed"));
    }
}
