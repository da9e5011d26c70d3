//! A message of another central: text, or bytes that are zstd.

use parkmesh::domain::event::Event;
use parkmesh::domain::ids::CentralId;
use parkmesh::wire::compressed;
use parkmesh::wire::frame::{Encoder, Frame};

/// What is read of a frame survives being written and read again; and each of its events is an event, or is not.
pub fn run(input: &[u8]) {
    let unpacked = compressed::decompress(input);
    for bytes in [Some(input), unpacked.as_deref().ok()].into_iter().flatten() {
        let Some(frame) = std::str::from_utf8(bytes).ok().and_then(|text| Frame::parse(text).ok()) else { continue };
        if let Frame::SyncRun { run, .. } = &frame {
            for event in &run.events {
                event_holds(event);
            }
        }
        let encoder = Encoder::new(CentralId::new("central-1").expect("an id"));
        let text = encoder.encode(1_733_140_800_000, &frame);
        match Frame::parse(&text) {
            Ok(again) => assert_eq!(again, frame, "{text}"),
            // Written without its spaces and with its defaults it may have grown beyond what is taken.
            Err(error) => assert!(text.len() > bytes.len(), "{error}: {text}"),
        }
    }
    if let Ok(text) = std::str::from_utf8(input) {
        event_holds(text);
    }
}

fn event_holds(text: &str) {
    if let Ok(event) = Event::parse(text) {
        let _ = (event.fact_id().to_string(), event.exit_stay(), event.recorded_plate(), event.request());
    }
}
