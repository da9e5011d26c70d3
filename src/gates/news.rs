//! What the edge programs of the second revision hear of each other: who came in and left at other gates.
//!
//! Nobody waits for an edge: what is committed is put into one ring, from which each socket takes at its own pace. Who falls
//! behind by the whole ring has lost something, and is told so by the end of its socket.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::domain::event::{Body, Event};
use crate::domain::plate::{self, PlateId};
use crate::domain::time::SiteZone;
use crate::replication::log::Run;

/// How many notes an edge may be behind.
const RING: usize = 4_096;

/// One event, as edges are told.
#[derive(Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it happened.
    pub central: String,
    pub edge_id: String,
    pub text: String,
}

/// The ring. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct EdgeNews(broadcast::Sender<Arc<Note>>);

impl Default for EdgeNews {
    fn default() -> Self {
        Self(broadcast::Sender::new(RING))
    }
}

impl EdgeNews {
    /// What is committed from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Note>> {
        self.0.subscribe()
    }

    /// These events are durable here. Costs nothing while no edge listens.
    pub fn committed(&self, runs: &[Run], zone: &SiteZone) {
        if self.0.receiver_count() == 0 {
            return;
        }
        for note in runs.iter().flat_map(|run| &run.events).filter_map(|bytes| note(&Event::parse(bytes).ok()?, zone)) {
            // Whoever listened may have gone this moment.
            let _heard = self.0.send(Arc::new(note));
        }
    }
}

/// The note of an event; `None`: edges have no word for it.
fn note(event: &Event, zone: &SiteZone) -> Option<Note> {
    let at = zone.local_text(event.timestamp_ms);
    let (kind, edge_id, event_id, mut fields) = match &event.body {
        Body::Entry(entry) => {
            let data = data(Some(&entry.plate_id), Some(&entry.plate_view), entry.confidence);
            ("ENTRY", entry.edge_id.as_str(), event.event_id.as_deref(), json!({"data": data, "entry_time": at}))
        }
        Body::Exit(exit) => {
            let data = data(exit.plate_id.as_ref(), exit.plate_view.as_deref(), exit.confidence);
            let fields = json!({"data": data, "exit_time": at, "fee": exit.fee, "duration": exit.duration});
            ("EXIT", exit.exit_edge.as_str(), event.exit_stay().or(event.event_id.as_deref()), fields)
        }
        Body::Correction(correction) => {
            let data = data(Some(correction.plate_id.as_ref()?), correction.plate_view.as_deref(), None);
            ("UPDATE", "", event.event_id.as_deref(), json!({"data": data, "history_id": null}))
        }
        Body::Void(_) => ("DELETE", "", event.event_id.as_deref(), json!({"data": {}, "history_id": null})),
        _ => return None,
    };
    let camera_id = edge_id.parse::<i64>().map_or_else(|_| Value::from(edge_id), Value::from);
    let central = event.source_central.clone();
    if let Value::Object(fields) = &mut fields {
        fields.insert("type".into(), kind.into());
        fields.insert("event_id".into(), event_id.into());
        fields.insert("source_central".into(), central.as_str().into());
        fields.insert("camera_id".into(), camera_id);
        fields.insert("camera_name".into(), format!("{central}/{edge_id}").into());
        fields.insert("camera_type".into(), kind.into());
    }
    Some(Note { central, edge_id: edge_id.to_owned(), text: fields.to_string() })
}

fn data(plate: Option<&PlateId>, view: Option<&str>, confidence: Option<f64>) -> Value {
    let view = view.filter(|view| !view.is_empty()).map(ToOwned::to_owned).or_else(|| plate.map(plate::view));
    json!({"plate_text": plate, "plate_view": view, "confidence": confidence, "source": "p2p_sync"})
}
