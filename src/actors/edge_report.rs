//! What edge programs report (`POST /api/edge/event`, `/ws/edge`), as sent, and how it is checked.
//!
//! They report what has happened, and some of them send again until they get a 200: so a field that only adds (a confidence,
//! a fee) is left out if it makes no sense, and only what cannot be understood at all is refused.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::edge_gateway::{MAX_CAMERA_TYPE_BYTES, MAX_FEE_VND, MAX_REQUEST_ID_BYTES, check_edge_id};
use super::edge_gateway::{optional_text, wrong};
use crate::domain::direction::Direction;
use crate::domain::money::Vnd;
use crate::domain::plate::{PlateId, check_view};
use crate::ledger::job::{Job, Refusal, Report, ReportChange};

/// A time above this is in ms, not in s: the year 5138.
const LARGEST_SECONDS: f64 = 1e11;
/// What the program says in place of a vehicle type: the lane of its camera.
const LANES: [&str; 5] = ["ENTRY", "EXIT", "DETECTION", "PARKING_LOT", "UNKNOWN"];

/// One event as an edge program sends it. Keys that are not here are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct EventReport {
    /// What happened. `DETECTION`: as the lane of the edge says, else an entry.
    #[serde(rename = "type")]
    #[schema(pattern = "^(ENTRY|EXIT|DETECTION|LOCATION_UPDATE|UPDATE|DELETE)$")]
    pub kind: String,
    pub camera_id: CameraId,
    pub camera_name: Option<String>,
    pub camera_type: Option<String>,
    /// Unix seconds with a fraction, or Unix ms.
    pub timestamp: Option<Value>,
    /// The edge's own id of it.
    pub event_id: Option<String>,
    pub data: EventData,
}

/// The part of a report that is about the car.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, ToSchema)]
pub struct EventData {
    /// The plate as read; `plate_id` does as well. Not needed for a DELETE.
    pub plate_text: Option<String>,
    pub plate_id: Option<String>,
    pub plate_view: Option<String>,
    pub confidence: Option<Value>,
    pub fee: Option<Value>,
    pub vehicle_type: Option<String>,
    /// Of an UPDATE or DELETE: what is changed. The edge's row number (`history_id`) means nothing here.
    pub event_id: Option<String>,
}

/// A number in the programs of the predecessor; any name of an edge elsewhere.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum CameraId {
    Number(i64),
    Name(String),
}

impl CameraId {
    /// The name of the edge: `1`, `edge-1`.
    #[must_use]
    pub fn edge_id(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Name(name) => name.clone(),
        }
    }

    /// The name, if an edge may have it.
    ///
    /// # Errors
    /// [`Refusal::Field`]
    pub fn checked(&self) -> Result<String, Refusal> {
        let edge_id = self.edge_id();
        check_edge_id(&edge_id)
            .map_err(|_| wrong("camera_id", "a number, or 1 to 64 letters, digits, '.', '-', '_', ':'"))?;
        Ok(edge_id)
    }
}

impl EventReport {
    /// The report as the ledger takes it. `lane`: the direction an edge is registered with.
    ///
    /// # Errors
    /// [`Refusal::Field`]: it is no event, or names no car.
    pub fn job(self, lane: impl Fn(&str) -> Option<Direction>) -> Result<Job, Refusal> {
        if self.is_change() { self.change().map(Job::ReportChange) } else { self.checked(lane).map(Job::Report) }
    }

    /// It corrects or removes a stay that was reported before.
    #[must_use]
    pub fn is_change(&self) -> bool {
        matches!(self.kind.as_str(), "UPDATE" | "DELETE")
    }

    /// The name of the edge.
    ///
    /// # Errors
    /// [`Refusal::Field`]
    pub fn edge_id(&self) -> Result<String, Refusal> {
        self.camera_id.checked()
    }

    fn change(self) -> Result<ReportChange, Refusal> {
        let edge_id = self.edge_id()?;
        let event_id = optional_text("data.event_id", self.data.event_id.or(self.event_id), MAX_REQUEST_ID_BYTES)?;
        let event_id = event_id.ok_or_else(|| wrong("data.event_id", "which stay? its event_id is needed"))?;
        if self.kind == "DELETE" {
            return Ok(ReportChange { edge_id, event_id, corrected: None });
        }
        let text = self.data.plate_text.or(self.data.plate_id).unwrap_or_default();
        let plate = read_plate(&text)?;
        let view = self.data.plate_view.as_deref().and_then(|view| check_view(view).ok().flatten());
        let view = view.filter(|view| plate.is_written(view)).map(ToOwned::to_owned);
        Ok(ReportChange { edge_id, event_id, corrected: Some((plate, view)) })
    }

    fn checked(self, lane: impl Fn(&str) -> Option<Direction>) -> Result<Report, Refusal> {
        let edge_id = self.edge_id()?;
        check_edge_id(&edge_id)
            .map_err(|_| wrong("camera_id", "a number, or 1 to 64 letters, digits, '.', '-', '_', ':'"))?;
        let (direction, seen_inside) = match self.kind.as_str() {
            "ENTRY" => (Direction::Entry, false),
            "EXIT" => (Direction::Exit, false),
            "DETECTION" => (lane(&edge_id).unwrap_or(Direction::Entry), false),
            "LOCATION_UPDATE" => (Direction::Entry, true),
            other => return Err(wrong("type", format!("unknown event type: {other}"))),
        };
        let text = self.data.plate_text.or(self.data.plate_id).filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| wrong("data.plate_text", "which car? plate_text or plate_id is needed"))?;
        let plate = read_plate(&text)?;
        let shown = self.data.plate_view.as_deref().and_then(|view| check_view(view).ok().flatten());
        let shown = shown.or_else(|| check_view(&text).ok().flatten().filter(|text| text.contains(['-', '.'])));
        let camera_type = self.data.vehicle_type.or(self.camera_type).filter(|kind| !LANES.contains(&kind.as_str()));
        Ok(Report {
            edge_id,
            direction,
            plate,
            plate_view: shown.map(ToOwned::to_owned),
            camera_type: optional_text("camera_type", camera_type, MAX_CAMERA_TYPE_BYTES)?.unwrap_or_default(),
            confidence: number(self.data.confidence.as_ref()).filter(|value| (0.0..=1.0).contains(value)),
            request_id: optional_text("event_id", self.event_id, MAX_REQUEST_ID_BYTES)?,
            told_ms: number(self.timestamp.as_ref()).and_then(unix_ms),
            fee: self.data.fee.as_ref().and_then(Value::as_i64).filter(|fee| (0..=MAX_FEE_VND).contains(fee)).map(Vnd),
            seen_inside,
        })
    }
}

fn read_plate(text: &str) -> Result<PlateId, Refusal> {
    PlateId::parse(text).map_err(|error| wrong("data.plate_text", error.to_string()))
}

fn number(value: Option<&Value>) -> Option<f64> {
    value.and_then(Value::as_f64)
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be of a size that a time has")]
fn unix_ms(told: f64) -> Option<i64> {
    let ms = if told.abs() < LARGEST_SECONDS { told * 1_000.0 } else { told };
    (ms.is_finite() && (0.0..=LARGEST_SECONDS * 1_000.0).contains(&ms)).then(|| ms.round() as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(event: Value) -> Result<Report, Refusal> {
        let lane = |edge_id: &str| (edge_id == "7").then_some(Direction::Exit);
        serde_json::from_value::<EventReport>(event).expect("the shape of an event").checked(lane)
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
        for told in [json!(-1), json!(1e300), json!(null), json!({})] {
            let event = json!({"type": "ENTRY", "camera_id": 1, "timestamp": told, "data": {"plate_text": "29A12345"}});
            assert_eq!(checked(event).unwrap().told_ms, None);
        }
    }

    #[test]
    fn what_a_person_changed_at_the_edge_names_the_stay() {
        let change = |kind: &str, data: Value| {
            let event = json!({"type": kind, "camera_id": 1, "data": data});
            serde_json::from_value::<EventReport>(event).unwrap().job(|_| None)
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
            field(json!({"type": "ENTRY", "camera_id": "a b", "data": {"plate_text": "29A12345"}})),
            "camera_id"
        );
        for data in
            [json!({}), json!({"plate_text": ""}), json!({"plate_text": "29A"}), json!({"plate_text": "29A1234'"})]
        {
            assert_eq!(field(json!({"type": "ENTRY", "camera_id": 1, "data": data})), "data.plate_text");
        }
        assert!(
            serde_json::from_value::<EventReport>(json!({"type": "ENTRY", "data": {"plate_text": "29A12345"}}))
                .is_err()
        );
    }
}
