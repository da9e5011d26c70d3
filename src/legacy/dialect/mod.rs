//! The two dialects of the predecessor: the only place that knows their frames.
//!
//! | | v1 | v2 |
//! |---|---|---|
//! | a socket to it | `ws://ip:p2p_port/` | `ws://ip:api_port/ws/p2p` |
//! | the first frame | none | `{"peer_id": "<own id>"}` |
//! | `edge_id` | a text | a number |
//! | an exit | by its entry's id | by id, else the newest car inside with that plate |
//!
//! A predecessor knows no acknowledgement and no place in a log: [`hear`] makes statements of what it says; here are the frames of
//! what it should know. It is never sent an ERROR, and nothing it has no word for.

pub mod hear;

use serde_json::{Value, json};

use crate::domain::event::{Body, Event};
use crate::domain::ids::CentralId;
use crate::domain::named::named;
use crate::domain::plate::PlateId;
use crate::domain::time::SiteZone;

/// v2: the first frame on a socket we dialled.
pub fn tell_peer_id(own: &CentralId) -> String {
    json!({"peer_id": own}).to_string()
}

/// Sent every 30 s.
pub fn tell_heartbeat(own: &CentralId, now_ms: i64) -> String {
    frame("HEARTBEAT", own.as_str(), now_ms, None, json!({}))
}

/// Asks for the rows it wrote at or after a time.
///
/// It turns the ms into a local text and compares that with texts in UTC, so what has to be sent is the moment at which its
/// clock *shows* the UTC text. `created_at`: that text; `None`: everything.
pub fn tell_sync_request(own: &CentralId, now_ms: i64, created_at: Option<&str>, zone: &SiteZone) -> String {
    let since = created_at.and_then(|text| zone.parse_local_text(text).ok()).unwrap_or(0);
    frame("SYNC_REQUEST", own.as_str(), now_ms, None, json!({"since_timestamp": since}))
}

/// The answer to its SYNC_REQUEST: nothing. What it missed is sent as the messages it missed, which unlike rows of an answer
/// it takes for exits too.
pub fn tell_sync_response(own: &CentralId, now_ms: i64) -> String {
    frame("SYNC_RESPONSE", own.as_str(), now_ms, None, json!({"events": []}))
}

/// An entry or exit as a message; `None`: it has no word for this event.
pub fn tell_event(event: &Event, dialect: Dialect, zone: &SiteZone) -> Option<String> {
    let (source, at_ms) = (event.source_central.as_str(), event.timestamp_ms);
    let event_id = event.event_id.as_deref()?;
    match &event.body {
        Body::Entry(entry) => {
            let data = json!({
                "plate_id": entry.plate_id, "plate_view": entry.plate_view, "edge_id": edge(&entry.edge_id, dialect),
                "camera_type": if entry.camera_type.is_empty() { "unknown" } else { &entry.camera_type },
                "direction": "ENTRY", "entry_time": zone.local_text(at_ms),
            });
            Some(frame("VEHICLE_ENTRY_PENDING", source, at_ms, Some(event_id), data))
        }
        // An exit of no stay means nothing to it, and would let out another car in v2.
        Body::Exit(exit) => {
            let stay = event.exit_stay()?;
            let data = json!({
                "exit_central": exit.exit_central, "exit_edge": edge(&exit.exit_edge, dialect),
                "exit_time": zone.local_text(at_ms), "fee": exit.fee, "duration": exit.duration, "plate_id": exit.plate_id,
            });
            Some(frame("VEHICLE_EXIT", source, at_ms, Some(stay), data))
        }
        _ => None,
    }
}

/// v2: a person changed what it has as its row `row_id`; `None`: the row is removed. The first revision has no word for it.
pub fn tell_change(own: &CentralId, now_ms: i64, row_id: i64, corrected: Option<(&PlateId, &str)>) -> String {
    match corrected {
        Some((plate, view)) => {
            let data = json!({"history_id": row_id, "plate_text": plate, "plate_view": view});
            frame("HISTORY_UPDATE", own.as_str(), now_ms, None, data)
        }
        None => frame("HISTORY_DELETE", own.as_str(), now_ms, None, json!({"history_id": row_id})),
    }
}

/// v2 knows cameras by number.
fn edge(edge_id: &str, dialect: Dialect) -> Value {
    match (dialect, edge_id.parse::<i64>()) {
        (Dialect::V2, Ok(number)) => number.into(),
        _ => edge_id.into(),
    }
}

fn frame(kind: &str, source: &str, timestamp: i64, event_id: Option<&str>, data: Value) -> String {
    json!({"type": kind, "source_central": source, "timestamp": timestamp, "event_id": event_id, "data": data})
        .to_string()
}

#[cfg(test)]
mod tests;

/// Largest frame of a predecessor, in bytes: an answer has up to 5,000 rows of some 425 bytes.
pub const MAX_LEGACY_FRAME_BYTES: usize = 4 * 1024 * 1024;
/// Rows in one answer; as many mean that there are more.
pub const ANSWER_ROWS: usize = 5_000;
/// The path of the second revision, on its HTTP port.
pub const V2_PATH: &str = "/ws/p2p";

named! {
    /// Which of the two a predecessor speaks, as it stands in log lines.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Dialect {
        V1 = "legacy-v1",
        V2 = "legacy-v2",
    }
}
