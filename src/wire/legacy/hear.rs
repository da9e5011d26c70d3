//! What a predecessor says, as statements: an entry or exit with the id, the place and the time it claims.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::event::{Body, Draft, Entry, Exit};
use crate::domain::ids::Hlc;
use crate::domain::money::Vnd;
use crate::domain::plate::{self, PlateId, check_view};
use crate::domain::time::SiteZone;

/// Longest text taken over, in characters.
const MAX_TEXT_CHARS: usize = 200;

/// An entry or exit somebody states.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Its clock is the time that is claimed.
    pub draft: Draft,
    /// Where it happened, as said.
    pub source_central: String,
}

/// One row of an answer to a SYNC_REQUEST.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The sender's own number of it: what its later edits name.
    pub row_id: Option<i64>,
    pub event_id: Option<String>,
    /// When the sender wrote it, in UTC: what the next page is asked by.
    pub created_at: Option<String>,
    pub is_inside: bool,
    /// The entry, and the exit if there was one; or why it says nothing.
    pub statements: Result<Vec<Statement>, String>,
}

/// A frame of a predecessor.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// v2, first on a socket it dialled.
    PeerId(String),
    /// Somebody came in or left. `Err`: why that cannot be understood.
    Passed(Result<Box<Statement>, String>),
    Heartbeat,
    SyncRequest,
    SyncResponse(Vec<Row>),
    /// v2: a person changed the row with the sender's number.
    HistoryUpdate {
        row_id: i64,
        plate_text: String,
        plate_view: Option<String>,
        /// Of the sender's clock, Unix ms.
        at_ms: i64,
    },
    HistoryDelete {
        row_id: i64,
        at_ms: i64,
    },
    /// It did not understand a frame; what it says of it.
    Error(String),
    /// Known, and not for us: places in the car park (LOCATION_UPDATE, PARKING_LOT_CONFIG). Or known to nobody.
    Ignored(String),
    /// It is one of ours: a predecessor never says HELLO.
    Hello,
}

#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    kind: Option<String>,
    peer_id: Option<Value>,
    source_central: Option<String>,
    timestamp: Option<Value>,
    event_id: Option<String>,
    error: Option<String>,
    #[serde(default)]
    data: Value,
}

/// Reads a frame; gives who it says it is of, with what it says. `zone`: of the local times in it.
///
/// # Errors
/// Why it is no frame of a predecessor.
pub fn read(text: &str, zone: &SiteZone) -> Result<(Option<String>, Said), String> {
    let frame: Frame = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Some(kind) = frame.kind.as_deref() else {
        let id = frame.peer_id.as_ref().and_then(Value::as_str).ok_or("it has neither a type nor a peer_id")?;
        return Ok((Some(id.to_owned()), Said::PeerId(id.to_owned())));
    };
    let at_ms = frame.timestamp.as_ref().and_then(Value::as_i64).unwrap_or_default();
    let source = frame.source_central.clone();
    let data = &frame.data;
    let said = match kind {
        "HELLO" => Said::Hello,
        "ERROR" => Said::Error(frame.error.unwrap_or_default()),
        "HEARTBEAT" => Said::Heartbeat,
        "SYNC_REQUEST" => Said::SyncRequest,
        "SYNC_RESPONSE" => {
            let rows = data.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let from = source.as_deref().unwrap_or_default();
            Said::SyncResponse(rows.iter().map(|fields| row(fields, from, zone)).collect())
        }
        "VEHICLE_ENTRY_PENDING" => {
            Said::Passed(entry(frame.event_id.as_deref(), source.as_deref(), data, zone).map(Box::new))
        }
        "VEHICLE_EXIT" => Said::Passed(exit(frame.event_id.as_deref(), source.as_deref(), data, zone).map(Box::new)),
        "HISTORY_UPDATE" | "HISTORY_DELETE" => {
            let row_id = data.get("history_id").and_then(Value::as_i64).ok_or("it names no row")?;
            if kind == "HISTORY_DELETE" {
                Said::HistoryDelete { row_id, at_ms }
            } else {
                let plate_text = field(data, "plate_text").unwrap_or_default();
                Said::HistoryUpdate { row_id, plate_text, plate_view: field(data, "plate_view"), at_ms }
            }
        }
        other => Said::Ignored(other.chars().take(MAX_TEXT_CHARS).collect()),
    };
    Ok((source, said))
}

fn entry(event_id: Option<&str>, source: Option<&str>, data: &Value, zone: &SiteZone) -> Result<Statement, String> {
    let plate = plate_of(data)?;
    let entry_time = field(data, "entry_time").ok_or("it has no entry_time")?;
    let view = field(data, "plate_view");
    let body = Entry {
        plate_view: view_of(view.as_deref(), &plate),
        plate_id: plate,
        edge_id: field(data, "edge_id").unwrap_or_default(),
        camera_type: vehicle_type(field(data, "camera_type")),
        direction: "ENTRY".to_owned(),
        confidence: None,
        request_id: None,
        force: false,
        replaces: None,
        reported: None,
        entry_time: entry_time.clone(),
    };
    statement(event_id, source, &entry_time, Body::Entry(body), zone)
}

fn exit(event_id: Option<&str>, source: Option<&str>, data: &Value, zone: &SiteZone) -> Result<Statement, String> {
    let exit_time = field(data, "exit_time").ok_or("it has no exit_time")?;
    let fee = whole(data.get("fee")).map(Vnd).filter(|fee| fee.is_fee()).ok_or("its fee is none")?;
    let body = Exit {
        stay: None,
        // Only the second revision says it; it may be missing, not wrong.
        plate_id: field(data, "plate_id").map(|_| plate_of(data)).transpose()?,
        plate_view: None,
        exit_central: field(data, "exit_central").or_else(|| source.map(ToOwned::to_owned)).unwrap_or_default(),
        exit_edge: field(data, "exit_edge").unwrap_or_default(),
        exit_time: exit_time.clone(),
        fee,
        duration: field(data, "duration").unwrap_or_default(),
        camera_type: None,
        confidence: None,
        request_id: None,
        force: false,
        requested_fee: None,
        tariff_version: None,
        subscription_id: None,
        reported: None,
    };
    let source = body.exit_central.clone();
    statement(event_id, Some(&source), &exit_time, Body::Exit(body), zone)
}

/// A row of the sender's history, its own or one it heard.
fn row(fields: &Value, from: &str, zone: &SiteZone) -> Row {
    let event_id = field(fields, "event_id");
    let exit_time = field(fields, "exit_time");
    let status = field(fields, "status").unwrap_or_default();
    let statements = || -> Result<Vec<Statement>, String> {
        let source = field(fields, "source_central").unwrap_or_else(|| from.to_owned());
        let mut statements = vec![entry(event_id.as_deref(), Some(&source), fields, zone)?];
        if exit_time.is_some() {
            statements.push(exit(event_id.as_deref(), None, &exit_fields(fields, from), zone)?);
        } else if status != "IN" {
            return Err(format!("its status is {status:?} and it has no exit_time"));
        }
        Ok(statements)
    };
    Row {
        row_id: fields.get("id").and_then(Value::as_i64),
        created_at: field(fields, "created_at"),
        is_inside: exit_time.is_none(),
        statements: statements(),
        event_id,
    }
}

/// The exit of a row in the words of a message. What happened at the sender itself is not named with it.
fn exit_fields(fields: &Value, from: &str) -> Value {
    let camera = field(fields, "exit_camera_name").or_else(|| field(fields, "exit_camera_id")).unwrap_or_default();
    let heard = field(fields, "exit_source").is_some_and(|source| source.contains("sync"));
    let (central, edge) = match camera.split_once('/') {
        Some((central, edge)) if heard || central == from => (central, edge),
        _ => (from, camera.as_str()),
    };
    serde_json::json!({
        "exit_central": central, "exit_edge": edge, "plate_id": fields.get("plate_id"), "plate_view": fields.get("plate_view"),
        "exit_time": fields.get("exit_time"), "fee": fields.get("fee").cloned().unwrap_or_else(|| 0.into()),
        "duration": fields.get("duration"),
    })
}

fn statement(
    event_id: Option<&str>,
    source: Option<&str>,
    local_time: &str,
    body: Body,
    zone: &SiteZone,
) -> Result<Statement, String> {
    let event_id = event_id.filter(|id| !id.is_empty()).ok_or("it has no event_id")?;
    if event_id.chars().count() > MAX_TEXT_CHARS {
        return Err("its event_id is too long".to_owned());
    }
    let seconds = local_time.get(..19).map(|text| text.replacen('T', " ", 1)).unwrap_or_default();
    let at_ms = zone.parse_local_text(&seconds).map_err(|_| format!("{local_time:?} is no time"))?;
    let hlc = Hlc::new(at_ms).map_err(|_| format!("{local_time:?} is before 1970"))?;
    let draft = Draft { hlc, timestamp_ms: at_ms, skew_ms: None, event_id: Some(event_id.to_owned()), body };
    Ok(Statement { draft, source_central: source.unwrap_or_default().to_owned() })
}

fn plate_of(data: &Value) -> Result<PlateId, String> {
    let texts = ["plate_id", "plate_view", "plate_text"].map(|name| field(data, name));
    let plate = texts.iter().flatten().find_map(|text| PlateId::parse(text).ok());
    plate.ok_or_else(|| format!("{:?} is no plate", texts.iter().flatten().next().map_or("", String::as_str)))
}

/// The plate as shown to people: as said, if that can be shown.
#[must_use]
pub fn view_of(said: Option<&str>, plate: &PlateId) -> String {
    let view = said.and_then(|view| check_view(view).ok().flatten());
    view.map_or_else(|| plate::view(plate), ToOwned::to_owned)
}

/// What stands there may be the lane of the camera.
fn vehicle_type(said: Option<String>) -> String {
    said.filter(|kind| !["ENTRY", "EXIT", "PARKING_LOT", "unknown"].contains(&kind.as_str())).unwrap_or_default()
}

/// A text, or a number as one; without control characters. Empty is as good as absent.
fn field(data: &Value, name: &str) -> Option<String> {
    let text = match data.get(name)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARS).collect();
    Some(text).filter(|text| !text.is_empty())
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number far below 2^53")]
fn whole(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    value
        .as_i64()
        .or_else(|| value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15).map(|n| n as i64))
}
