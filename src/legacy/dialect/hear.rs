//! What a predecessor says, as statements: an entry or exit with the id, the place and the time it claims.
//!
//! Old machines keep local times without a zone. Whether their clocks show the zone they are read in, their data tell: the
//! time of an entry beside the instant at which it was written down.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::Value;

use crate::domain::anomaly::Anomaly;
use crate::domain::event::{Body, Draft, Entry, Exit};
use crate::domain::ids::Hlc;
use crate::domain::money::Vnd;
use crate::domain::plate::{self, PlateError, PlateId, check_view};
use crate::domain::time::SiteZone;
use crate::domain::told::amount;

/// Longest text taken over, in characters.
const MAX_TEXT_CHARS: usize = 200;

/// An entry or exit somebody states.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Its clock is the time that is claimed.
    pub draft: Draft,
    /// Where it happened, as said.
    pub source_central: String,
    /// How far the clock that wrote its time is off the zone it was read in; `None`: it is that zone's, or cannot be told.
    pub clock_gap_min: Option<i64>,
}

impl Statement {
    /// The plate it states.
    pub fn recorded_plate(&self) -> Option<&PlateId> {
        match &self.draft.body {
            Body::Entry(entry) => Some(&entry.plate_id),
            Body::Exit(exit) => exit.plate_id.as_ref(),
            _ => None,
        }
    }

    /// The plate of an entry, and how it is shown.
    pub fn plate_and_view(&self) -> Option<(PlateId, String)> {
        match &self.draft.body {
            Body::Entry(entry) => Some((entry.plate_id.clone(), entry.plate_view.clone())),
            _ => None,
        }
    }

    /// It was said at this instant of its sender's clock, a moment after it happened.
    fn said_at(mut self, at_ms: i64) -> Self {
        self.clock_gap_min = clock_gap_min(self.draft.timestamp_ms, at_ms).filter(|gap| *gap != 0);
        self
    }
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
    /// Of a row the sender wrote itself: how far the clock that wrote its times is off the zone they were read in, 0: not at
    /// all. `None`: that cannot be told.
    pub clock_gap_min: Option<i64>,
    /// Of all it says: two rows with one number and one print say the same.
    pub print: u64,
    /// The entry, and the exit if there was one; or why it says nothing.
    pub statements: Result<Vec<Statement>, String>,
}

/// A frame of a predecessor.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
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
struct OldFrame {
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
pub fn read(text: &str, zone: &SiteZone) -> Result<(Option<String>, Heard), String> {
    let frame: OldFrame = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Some(kind) = frame.kind.as_deref() else {
        let id = frame.peer_id.as_ref().and_then(Value::as_str).ok_or("it has neither a type nor a peer_id")?;
        return Ok((Some(id.to_owned()), Heard::PeerId(id.to_owned())));
    };
    let at_ms = frame.timestamp.as_ref().and_then(Value::as_i64).unwrap_or_default();
    let source = frame.source_central.clone();
    let data = &frame.data;
    let said = match kind {
        "HELLO" => Heard::Hello,
        "ERROR" => Heard::Error(frame.error.unwrap_or_default()),
        "HEARTBEAT" => Heard::Heartbeat,
        "SYNC_REQUEST" => Heard::SyncRequest,
        "SYNC_RESPONSE" => {
            let rows = data.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let from = source.as_deref().unwrap_or_default();
            Heard::SyncResponse(rows.iter().map(|fields| row(fields, from, zone)).collect())
        }
        "VEHICLE_ENTRY_PENDING" => {
            let entry = entry(frame.event_id.as_deref(), source.as_deref(), data, true, zone);
            Heard::Passed(entry.map(|entry| Box::new(entry.said_at(at_ms))))
        }
        "VEHICLE_EXIT" => {
            let exit = exit_message(frame.event_id.as_deref(), source.as_deref(), data, zone);
            Heard::Passed(exit.map(|exit| Box::new(exit.said_at(at_ms))))
        }
        "HISTORY_UPDATE" | "HISTORY_DELETE" => {
            let row_id = data.get("history_id").and_then(Value::as_i64).ok_or("it names no row")?;
            if kind == "HISTORY_DELETE" {
                Heard::HistoryDelete { row_id, at_ms }
            } else {
                let plate_text = field(data, "plate_text").unwrap_or_default();
                Heard::HistoryUpdate { row_id, plate_text, plate_view: field(data, "plate_view"), at_ms }
            }
        }
        other => Heard::Ignored(other.chars().take(MAX_TEXT_CHARS).collect()),
    };
    Ok((source, said))
}

/// `is_inside`: no exit is known of it.
fn entry(
    event_id: Option<&str>,
    source: Option<&str>,
    data: &Value,
    is_inside: bool,
    zone: &SiteZone,
) -> Result<Statement, String> {
    let plate = plate_of(data, is_inside)?;
    let entry_time = field(data, "entry_time").ok_or("it has no entry_time")?;
    let view = field(data, "plate_view");
    let body = Entry {
        plate_view: view_of(view.as_deref(), &plate),
        camera_type: vehicle_type(field(data, "camera_type")),
        entry_time: entry_time.clone(),
        doubts: data.get("is_anomaly").is_some_and(is_set).then(not_seen_at_a_gate).into_iter().collect(),
        ..Entry::of(plate, field(data, "edge_id").unwrap_or_default())
    };
    statement(event_id, source, &entry_time, Body::Entry(body), zone)
}

/// The second revision gives an exit an id of its own and the plate; [`crate::domain::stay`] finds the stay.
fn exit_message(
    event_id: Option<&str>,
    source: Option<&str>,
    data: &Value,
    zone: &SiteZone,
) -> Result<Statement, String> {
    let mut statement = exit(event_id, source, data, true, zone)?;
    // It tells whole seconds, and came after whatever happened to that car in the same second.
    if statement.recorded_plate().is_some() {
        let end_of_second = statement.draft.timestamp_ms.saturating_add(999);
        statement.draft.hlc = Hlc::new(end_of_second).map_err(|error| error.to_string())?;
    }
    Ok(statement)
}

/// `alone`: nothing is said of the entry beside it, so that the stay is looked for by its plate.
fn exit(
    event_id: Option<&str>,
    source: Option<&str>,
    data: &Value,
    alone: bool,
    zone: &SiteZone,
) -> Result<Statement, String> {
    let exit_time = field(data, "exit_time").ok_or("it has no exit_time")?;
    let fee = fee_of(data.get("fee"));
    // Only the second revision says it; it may be missing, not wrong.
    let plate = field(data, "plate_id").map(|_| plate_of(data, alone)).transpose()?;
    let central = field(data, "exit_central").or_else(|| source.map(ToOwned::to_owned));
    let body = Exit {
        exit_time: exit_time.clone(),
        duration: field(data, "duration").unwrap_or_default(),
        doubts: fee.is_none().then(|| Anomaly::FeeUncertain.name().to_owned()).into_iter().collect(),
        ..Exit::of(
            plate,
            central.unwrap_or_default(),
            field(data, "exit_edge").unwrap_or_default(),
            fee.unwrap_or_default(),
        )
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
        let mut statements = vec![entry(event_id.as_deref(), Some(&source), fields, exit_time.is_none(), zone)?];
        if exit_time.is_some() {
            statements.push(exit(event_id.as_deref(), None, &exit_fields(fields, from), false, zone)?);
        } else if status != "IN" {
            return Err(format!("its status is {status:?} and it has no exit_time"));
        }
        Ok(statements)
    };
    Row {
        row_id: fields.get("id").and_then(Value::as_i64),
        created_at: field(fields, "created_at"),
        is_inside: exit_time.is_none(),
        clock_gap_min: clock_gap_of(fields, zone),
        print: print_of(fields),
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

/// Written by the sender itself when the car came in: the entry in its local time, and when it was written in UTC.
fn clock_gap_of(fields: &Value, zone: &SiteZone) -> Option<i64> {
    let heard = field(fields, "entry_source").is_some_and(|source| source.contains("sync"));
    let at = |name: &str, zone: &SiteZone| zone.parse_local_text(&field(fields, name)?).ok();
    let written_ms = at("created_at", &SiteZone::named("UTC").ok()?)?;
    clock_gap_min(at("entry_time", zone)?, written_ms).filter(|_| !heard)
}

fn print_of(fields: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    fields.to_string().hash(&mut hasher);
    hasher.finish()
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
    let draft = Draft { hlc, timestamp_ms: at_ms, skew_ms: None, event_id: Some(event_id.to_owned()), body, by: None };
    Ok(Statement { draft, source_central: source.unwrap_or_default().to_owned(), clock_gap_min: None })
}

fn plate_of(data: &Value, is_inside: bool) -> Result<PlateId, String> {
    let texts = ["plate_id", "plate_view", "plate_text"].map(|name| field(data, name));
    first_plate(texts.iter().flatten().map(String::as_str), is_inside)
}

/// The first that is a plate. What says that none was read, as `UNKNOWN`, names no car while it is inside: the next such car would be
/// taken for the same. One that has left is a stay of its own, by its id, and its fee was taken.
///
/// # Errors
/// Why there is none.
pub fn first_plate<'a>(texts: impl Iterator<Item = &'a str> + Clone, is_inside: bool) -> Result<PlateId, String> {
    // Read as ever where it can be, so that it keeps the key it has in older imports.
    let named = |text| PlateId::told(text).map(|told| PlateId::parse(text).unwrap_or(told)).ok();
    let plate = texts.clone().find_map(named);
    let plate = plate.or_else(|| texts.clone().find_map(|text| PlateId::parse(text).ok()).filter(|_| !is_inside));
    plate.ok_or_else(|| {
        let text = texts.clone().next().unwrap_or_default();
        match PlateId::told(text) {
            Err(PlateError::None) if !text.is_empty() => {
                format!("{text:?} says that no plate was read: no car can be found by it")
            }
            _ => format!("{text:?} is no plate"),
        }
    })
}

/// What a row says of a car that a camera in the car park saw and no gate: nobody knows when it came.
pub fn not_seen_at_a_gate() -> String {
    Anomaly::TimeUncertain.name().to_owned()
}

/// `true`, or a number that is not 0.
pub fn is_set(value: &Value) -> bool {
    value.as_bool().or(value.as_i64().map(|number| number != 0)).unwrap_or_default()
}

/// The plate as shown to people: as said, if that can be shown.
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

/// What was taken at an exit, in whole đồng; `None`: that is not told, or no fee. The car has left in any case.
#[expect(clippy::cast_possible_truncation, reason = "compared with the largest fee before")]
fn fee_of(told: Option<&Value>) -> Option<Vnd> {
    let fee = match told {
        Some(Value::Number(number)) => number.as_f64().filter(|fee| fee.abs() < 1e15).map(|fee| Vnd(fee as i64)),
        told => amount::read(told).ok().flatten(),
    };
    fee.filter(|fee| fee.is_fee())
}

/// How far the clock that wrote a local time is off the zone it was read in, in whole minutes; 0: not at all. `read_ms`: the
/// instant it was read as. `really_ms`: when it was written. `None`: the two differ as no zones do, so that nothing is known.
pub fn clock_gap_min(read_ms: i64, really_ms: i64) -> Option<i64> {
    /// Zones differ by quarters of an hour, and by 26 hours at most.
    const QUARTER_MIN: i64 = 15;
    const MOST_MIN: i64 = 26 * 60;
    /// Between what happened and the line about it, in ms.
    const LATE_MS: i64 = 2 * 60 * 1_000;
    let gap_ms = read_ms.saturating_sub(really_ms);
    let quarter_ms = QUARTER_MIN * 60 * 1_000;
    let quarters = gap_ms.saturating_add(quarter_ms / 2).div_euclid(quarter_ms);
    let is_zones = gap_ms.saturating_sub(quarters.saturating_mul(quarter_ms)).abs() <= LATE_MS;
    Some(quarters.saturating_mul(QUARTER_MIN)).filter(|gap_min| is_zones && gap_min.abs() <= MOST_MIN)
}

/// Of many [`clock_gap_min`]: the one of another clock that more of them show than show none. `None`: there are none.
pub fn another_clock(gaps_min: impl Iterator<Item = i64>) -> Option<Option<i64>> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    gaps_min.for_each(|gap_min| *counts.entry(gap_min).or_default() += 1);
    let (gap_min, _) = counts.into_iter().max_by_key(|(gap_min, count)| (*count, *gap_min == 0))?;
    Some(Some(gap_min).filter(|gap_min| *gap_min != 0))
}

/// `-7 h`, `+5 h 30 min`.
pub fn hours_text(minutes: i64) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    match (minutes.abs() / 60, minutes.abs() % 60) {
        (hours, 0) => format!("{sign}{hours} h"),
        (hours, rest) => format!("{sign}{hours} h {rest} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_another_zone_is_told_from_one_that_is_late_or_wrong() {
        const MIN_MS: i64 = 60_000;
        for (gap_ms, said) in [
            (0, Some(0)),
            (1_999, Some(0)),
            (-2 * MIN_MS, Some(0)),
            (-7 * 60 * MIN_MS - 1_000, Some(-420)),
            (330 * MIN_MS + 5_000, Some(330)),
            (345 * MIN_MS, Some(345)),
            // Late, or a clock that is wrong: nothing is known.
            (5 * MIN_MS, None),
            (-7 * 60 * MIN_MS - 7 * MIN_MS, None),
            (27 * 60 * MIN_MS, None),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(clock_gap_min(gap_ms.saturating_add(5), 5), said, "{gap_ms}");
        }
    }

    #[test]
    fn what_most_rows_show_counts() {
        for (gaps, said) in [
            (vec![], None),
            (vec![0, 0, -420], Some(None)),
            (vec![-420, -420, 0], Some(Some(-420))),
            (vec![0, -420], Some(None)),
        ] {
            assert_eq!(another_clock(gaps.into_iter()), said);
        }
        assert_eq!([-420, 330, 0].map(hours_text), ["-7 h", "+5 h 30 min", "+0 h"]);
    }
}
