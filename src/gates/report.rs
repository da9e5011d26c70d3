//! What edge programs report (`POST /api/edge/event`, `/ws/edge`), as sent, and how it is checked.
//!
//! They report what has happened, and some of them send again until they get a 200: so what cannot be read is noted in the
//! answer and shown at the stay, a car without a plate is kept as an opening, and only what is no event is refused.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::beside::Sent;
use super::request::{MAX_CAMERA_TYPE_BYTES, MAX_REQUEST_ID_BYTES, PaidSent, lenient, optional_text, wrong};
use crate::domain::anomaly::Anomaly;
use crate::domain::direction::Direction;
use crate::domain::event::Image;
use crate::domain::ids::EdgeId;
use crate::domain::money::Vnd;
use crate::domain::plate::{PlateId, check_view};
use crate::domain::time::SiteZone;
use crate::domain::told::{Note, amount, confidence, moment, vehicle};
use crate::ledger::job::{Beside, Job, Refusal, Report, ReportChange, UnreadOpening};

/// What programs say in place of a vehicle type: the lane of their camera.
const LANES: [&str; 6] = ["ENTRY", "EXIT", "DETECTION", "PARKING_LOT", "LOT", "UNKNOWN"];
/// Longest text in place of a plate that is kept, in characters.
const MAX_UNREAD_CHARS: usize = 64;

/// What the settings say of the gate a report comes from.
#[derive(Debug, Default)]
pub struct GateSettings {
    /// The direction it is registered with.
    pub lane: Option<Direction>,
    /// The type of the vehicles that pass it; empty: none is set.
    pub vehicle_type: String,
}

/// One event as an edge program sends it. Keys that are not here are ignored; a number does where a text is meant.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct EventReport {
    /// What happened, in any letter case. `DETECTION`: as the lane of the edge says, else an entry.
    #[serde(rename = "type")]
    #[schema(pattern = "^(ENTRY|EXIT|DETECTION|LOCATION_UPDATE|UPDATE|DELETE)$")]
    pub kind: String,
    pub camera_id: CameraId,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub camera_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub camera_type: Option<String>,
    /// Unix seconds, ms, µs or ns, or a text such as `2026-11-22T07:30:05+07:00` or `2026-11-22 07:30:05` on the site's clock.
    pub timestamp: Option<Value>,
    /// The edge's own id of it.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub event_id: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub data: EventData,
}

/// The part of a report that is about the car.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, ToSchema)]
pub struct EventData {
    /// The plate as read; `plate_id` does as well. Not needed for a DELETE.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub plate_text: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub plate_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub plate_view: Option<String>,
    pub confidence: Option<Value>,
    /// VND: `25000`, `25000.0`, `"25.000 đ"`.
    pub fee: Option<Value>,
    /// How it was paid: `{method, amount?, reference?}`, or the method alone.
    #[schema(value_type = Option<PaidSent>)]
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
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub vehicle_type: Option<String>,
    /// Of an UPDATE or DELETE: what is changed. The edge's row number (`history_id`) means nothing here.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub event_id: Option<String>,
}

/// An absent or null part is an empty one.
fn or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventData, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A number in the programs of the predecessor; any name of an edge elsewhere.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum CameraId {
    Number(i64),
    Name(String),
}

impl CameraId {
    /// As told.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Name(name) => name.clone(),
        }
    }

    /// The name of the edge, `1` or `edge-1`, if an edge may have it.
    ///
    /// # Errors
    /// [`Refusal::Field`]
    pub fn checked(&self) -> Result<String, Refusal> {
        EdgeId::new(&self.text()).map(String::from).map_err(|error| wrong("camera_id", error.to_string()))
    }
}

impl EventReport {
    /// The report as the ledger takes it. `gate`: what the settings say of an edge. `zone`: of the site's clock.
    ///
    /// # Errors
    /// [`Refusal::Field`]: it is no event of a known kind, or a change that names no stay or no plate.
    pub fn job(self, zone: &SiteZone, gate: impl Fn(&str) -> GateSettings) -> Result<Job, Refusal> {
        if self.is_change() { self.change().map(Job::ReportChange) } else { self.passage(zone, gate) }
    }

    /// It corrects or removes a stay that was reported before.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.is_a("UPDATE") || self.is_a("DELETE")
    }

    #[must_use]
    pub fn is_a(&self, kind: &str) -> bool {
        self.kind.trim().eq_ignore_ascii_case(kind)
    }

    /// The id of the edge: as told, or the nearest there is, for what has happened at a gate is not refused for its name.
    #[must_use]
    pub fn edge_id(&self) -> String {
        let told = self.camera_id.text();
        EdgeId::new(&told).unwrap_or_else(|_| EdgeId::near(&told)).into()
    }

    fn change(self) -> Result<ReportChange, Refusal> {
        let edge_id = self.edge_id();
        let is_removal = self.is_a("DELETE");
        let event_id = optional_text("data.event_id", self.data.event_id.or(self.event_id), MAX_REQUEST_ID_BYTES)?;
        let event_id = event_id.ok_or_else(|| wrong("data.event_id", "which stay? its event_id is needed"))?;
        if is_removal {
            return Ok(ReportChange { edge_id, event_id, corrected: None });
        }
        let text = self.data.plate_text.or(self.data.plate_id).unwrap_or_default();
        let plate = PlateId::told(&text).map_err(|error| wrong("data.plate_text", error.to_string()))?;
        let view = self.data.plate_view.as_deref().and_then(|view| check_view(view).ok().flatten());
        let view = view.filter(|view| plate.is_written(view)).map(ToOwned::to_owned);
        Ok(ReportChange { edge_id, event_id, corrected: Some((plate, view)) })
    }

    fn passage(self, zone: &SiteZone, gate: impl Fn(&str) -> GateSettings) -> Result<Job, Refusal> {
        let edge_id = self.edge_id();
        let gate = gate(&edge_id);
        let (direction, seen_inside) = match self.kind.trim().to_ascii_uppercase().as_str() {
            "ENTRY" | "IN" => (Direction::Entry, false),
            "EXIT" | "OUT" => (Direction::Exit, false),
            "DETECTION" => (gate.lane.unwrap_or(Direction::Entry), false),
            "LOCATION_UPDATE" => (Direction::Entry, true),
            _ => return Err(wrong("type", format!("unknown event type: {}", bounded(&self.kind)))),
        };
        let mut told = Told::default();
        if self.camera_id.text() != edge_id {
            told.unused("camera_id", "renamed", &format!("ghi là {edge_id}"), &format!("recorded as {edge_id}"), None);
        }
        let told_ms = told.time(self.timestamp.as_ref(), zone);
        // What programs show at an entry as the fee so far is 0.
        let fee = told.fee(self.data.fee.as_ref()).filter(|fee| direction == Direction::Exit || *fee > Vnd(0));
        let confidence = confidence(self.data.confidence.as_ref());
        if confidence.is_none() && self.data.confidence.as_ref().is_some_and(|told| !told.is_null()) {
            told.unused("data.confidence", "not_read", "không phải số từ 0 đến 1", "it is no number from 0 to 1", None);
        }
        let request_id = told.id(self.event_id);
        let beside = told.beside(&self.data);
        let is_lane = |kind: &String| LANES.iter().any(|lane| kind.trim().eq_ignore_ascii_case(lane));
        let camera_type =
            self.data.vehicle_type.filter(|kind| !is_lane(kind)).or(self.camera_type.filter(|kind| !is_lane(kind)));
        let camera_type = camera_type.filter(|kind| vehicle::read(kind) != vehicle::Told::Nothing);
        let camera_type = camera_type.map_or(gate.vehicle_type, |kind| bounded_to(&kind, MAX_CAMERA_TYPE_BYTES));
        let text =
            [self.data.plate_text, self.data.plate_id].into_iter().flatten().find(|text| !text.trim().is_empty());
        let text = text.unwrap_or_default();
        let plate = match PlateId::told(&text) {
            Ok(plate) => plate,
            // Nothing opened: a camera inside the lot looked at a car.
            Err(error) if seen_inside => return Err(wrong("data.plate_text", error.to_string())),
            Err(error) => {
                let vi = "không đọc được biển số: lần mở cổng này được giữ lại và hiện trong mục bất thường";
                told.unused("data.plate_text", "unread", vi, &format!("{error}; the opening is kept and shown"), None);
                let (text, notes) = (bounded(&text), told.notes);
                let opening =
                    UnreadOpening { edge_id, direction, text, camera_type, request_id, told_ms, fee, beside, notes };
                return Ok(Job::Unread(opening));
            }
        };
        let shown = self.data.plate_view.as_deref().and_then(|view| check_view(view).ok().flatten());
        let shown = shown.or_else(|| check_view(&text).ok().flatten().filter(|text| text.contains(['-', '.'])));
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
struct Told {
    notes: Vec<Note>,
    doubts: BTreeSet<Anomaly>,
}

impl Told {
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
            let vi = "không đọc được số tiền cổng báo đã thu";
            let en = format!("an amount of whole đồng up to {} is expected; it is not used", Vnd::MAX_TOLD.0);
            self.unused("data.fee", "not_read", vi, &en, Some(Anomaly::FeeUncertain));
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
        let sent = Sent {
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

fn bounded(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(MAX_UNREAD_CHARS).collect()
}

fn bounded_to(text: &str, max_bytes: usize) -> String {
    let mut bounded = String::new();
    for character in text.chars().filter(|c| !c.is_control()) {
        if bounded.len() + character.len_utf8() > max_bytes {
            break;
        }
        bounded.push(character);
    }
    bounded
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
        let report = serde_json::from_value::<EventReport>(event).expect("the shape of an event");
        report.job(&SiteZone::default(), gate)
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
    fn a_field_that_only_adds_never_refuses_the_event() {
        let odd = json!({"type": "EXIT", "camera_id": "edge-1", "timestamp": "now", "event_id": "",
            "data": {"plate_text": "29A12345", "confidence": "high", "fee": -5, "plate_view": "x".repeat(90)}});
        let report = checked(odd).unwrap();
        assert_eq!((report.told_ms, report.confidence, report.fee, report.request_id), (None, None, None, None));
        let noted: Vec<&str> = report.notes.iter().map(|note| note.field.as_str()).collect();
        assert_eq!(noted, ["timestamp", "data.fee", "data.confidence"]);
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
            serde_json::from_value::<EventReport>(event).unwrap().job(&SiteZone::default(), |_| GateSettings::default())
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
        assert!(
            serde_json::from_value::<EventReport>(json!({"type": "ENTRY", "data": {"plate_text": "29A12345"}}))
                .is_err()
        );
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
