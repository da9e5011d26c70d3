//! docs/protocol.md shows frames as they are: each is read, written again the same, and its runs have sound chains.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use parkmesh::domain::event::{Body, Event};
use parkmesh::replication::log::{ChainHash, Head};
use parkmesh::wire::frame::{Encoder, Frame};
use serde_json::Value;

fn shown_frames() -> Vec<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/protocol.md")).unwrap();
    let blocks = text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_frame_shown_is_written_again_as_it_was_read() {
    for shown in shown_frames() {
        let frame = Frame::parse(&shown).unwrap_or_else(|error| panic!("{error}: {shown}"));
        let (envelope, type_name) = (json(&shown), json(&shown)["type"].as_str().unwrap().to_owned());
        assert!(!matches!(frame, Frame::Unknown { .. }), "{type_name}");
        let source = envelope["source_central"].as_str().unwrap().parse().unwrap();
        let again = Encoder::new(source).encode(envelope["timestamp"].as_i64().unwrap(), &frame);
        assert_eq!(json(&again), envelope, "{type_name}");
    }
}

#[test]
fn every_type_of_frame_is_shown() {
    let shown: BTreeSet<String> =
        shown_frames().iter().map(|frame| json(frame)["type"].as_str().unwrap().to_owned()).collect();
    let all =
        ["ERROR", "HAVE", "HEARTBEAT", "HELLO", "PEOPLE", "SYNC_ACK", "SYNC_REQUEST", "SYNC_RESPONSE", "SYNC_STOP"];
    assert_eq!(shown, all.map(str::to_owned).into());
}

#[test]
fn the_hashes_and_events_shown_are_those_of_one_real_log() {
    let frames: Vec<Frame> = shown_frames().iter().map(|text| Frame::parse(text).unwrap()).collect();
    let run = frames.iter().find_map(|frame| if let Frame::SyncRun { run, .. } = frame { Some(run) } else { None });
    let run = run.unwrap();
    assert_eq!(run.prev, ChainHash::genesis(&run.log));
    assert!(run.chain_holds());
    for (seq, bytes) in (1..).zip(&run.events) {
        let event = Event::parse(bytes).unwrap();
        assert_eq!((&event.log, event.seq), (&run.log, seq));
        assert!(!matches!(event.body, Body::Unknown { .. }));
    }
    for frame in &frames {
        match frame {
            Frame::SyncRequest(request) => assert_eq!((request.after, request.hash), (0, run.prev)),
            Frame::SyncAck { head, .. } => assert_eq!(*head, run.head()),
            Frame::SyncRefused(refused) => assert_eq!(refused.held, run.head()),
            Frame::HaveLogs(logs) => assert_eq!(logs[&run.log], run.head()),
            Frame::HaveDigests(digests) => {
                let have: parkmesh::replication::have::Have =
                    [(run.log.clone(), Head { to: run.head().to, hash: run.hash })].into_iter().collect();
                assert_eq!(*digests, have.digests());
            }
            _ => {}
        }
    }
}
