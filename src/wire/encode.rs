//! Writes frames. The bulk of a run is written once per commit ([`run_body`]) and shared by every link it leaves on;
//! only the few bytes before it differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::MAX_HAVE_BYTES;
use super::frame::{Frame, Refusal, SyncRefused, type_name};
use crate::domain::ids::{CentralId, LogId};
use crate::replication::log::{ChainHash, Head, Run};

/// Bytes of a HAVE frame that are not its entries, generously.
const HAVE_ENVELOPE_BYTES: usize = 256;

/// Writes the frames of one central.
#[derive(Debug, Clone)]
pub struct Encoder {
    source: CentralId,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    #[serde(rename = "type")]
    type_name: &'a str,
    source_central: &'a CentralId,
    timestamp: i64,
    event_id: Option<&'a str>,
    data: T,
}

#[derive(Serialize)]
struct Digests<'a, T> {
    digests: &'a T,
}

#[derive(Serialize)]
struct Logs<'a> {
    logs: &'a BTreeMap<LogId, Head>,
}

#[derive(Serialize)]
struct Refused<'a> {
    sub: u64,
    log: &'a LogId,
    refused: Refusal,
    to: u64,
    hash: ChainHash,
}

#[derive(Serialize)]
struct Ack {
    sub: u64,
    to: u64,
    hash: ChainHash,
}

#[derive(Serialize)]
struct Stop {
    sub: u64,
}

impl Encoder {
    #[must_use]
    pub fn new(source: CentralId) -> Self {
        Self { source }
    }

    /// The text of a frame, stamped with the sender's wall clock.
    #[must_use]
    pub fn encode(&self, wall_ms: i64, frame: &Frame) -> String {
        match frame {
            Frame::Hello(data) => self.write(wall_ms, type_name::HELLO, data),
            Frame::HaveDigests(digests) => self.write(wall_ms, type_name::HAVE, Digests { digests }),
            Frame::HaveLogs(logs) => self.write(wall_ms, type_name::HAVE, Logs { logs }),
            Frame::SyncRequest(data) => self.write(wall_ms, type_name::SYNC_REQUEST, data),
            Frame::SyncRun { sub, run } => self.encode_run(wall_ms, *sub, &run_body(run)),
            Frame::SyncRefused(SyncRefused { sub, log, refusal, held }) => {
                let data = Refused { sub: *sub, log, refused: *refusal, to: held.to, hash: held.hash };
                self.write(wall_ms, type_name::SYNC_RESPONSE, data)
            }
            Frame::SyncAck { sub, head } => {
                self.write(wall_ms, type_name::SYNC_ACK, Ack { sub: *sub, to: head.to, hash: head.hash })
            }
            Frame::SyncStop { sub } => self.write(wall_ms, type_name::SYNC_STOP, Stop { sub: *sub }),
            Frame::Heartbeat(data) => self.write(wall_ms, type_name::HEARTBEAT, data),
            Frame::Error(data) => self.write(wall_ms, type_name::ERROR, data),
            Frame::Unknown { type_name } => self.write(wall_ms, type_name, BTreeMap::<&str, &str>::new()),
        }
    }

    /// A SYNC_RESPONSE around a body made by [`run_body`].
    #[must_use]
    pub fn encode_run(&self, wall_ms: i64, sub: u64, body: &str) -> String {
        let mut text = String::with_capacity(body.len() + 256);
        // A central id needs no escaping.
        let written = write!(
            text,
            r#"{{"type":"{}","source_central":"{}","timestamp":{wall_ms},"event_id":null,"data":{{"sub":{sub},"#,
            type_name::SYNC_RESPONSE,
            self.source
        );
        debug_assert!(written.is_ok(), "writing to a String does not fail");
        text.push_str(body);
        text
    }

    /// HAVE frames for these logs, each of at most 32 KiB.
    #[must_use]
    pub fn encode_have(&self, wall_ms: i64, logs: impl IntoIterator<Item = (LogId, Head)>) -> Vec<String> {
        let mut frames = Vec::new();
        let mut part = BTreeMap::new();
        let mut part_bytes = HAVE_ENVELOPE_BYTES;
        for (log, head) in logs {
            let entry_bytes = have_entry_bytes(&log);
            if part_bytes + entry_bytes > MAX_HAVE_BYTES {
                frames.push(self.encode(wall_ms, &Frame::HaveLogs(std::mem::take(&mut part))));
                part_bytes = HAVE_ENVELOPE_BYTES;
            }
            part_bytes += entry_bytes;
            part.insert(log, head);
        }
        if !part.is_empty() {
            frames.push(self.encode(wall_ms, &Frame::HaveLogs(part)));
        }
        frames
    }

    #[expect(clippy::expect_used, reason = "integers, strings and maps with text keys always serialise")]
    fn write<T: Serialize>(&self, wall_ms: i64, type_name: &str, data: T) -> String {
        let envelope = Envelope { type_name, source_central: &self.source, timestamp: wall_ms, event_id: None, data };
        serde_json::to_string(&envelope).expect("a frame is plain data")
    }
}

/// Everything of a SYNC_RESPONSE from the log on: all that does not differ between links.
#[must_use]
pub fn run_body(run: &Run) -> String {
    let mut body = String::with_capacity(run.bytes() + run.events.len() + 384);
    let written = write!(
        body,
        r#""log":"{}","after":{},"prev":"{}","hash":"{}","events":["#,
        run.log, run.after, run.prev, run.hash
    );
    debug_assert!(written.is_ok(), "writing to a String does not fail");
    for (index, event) in run.events.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(event);
    }
    body.push_str("]}}");
    body
}

/// At most the bytes of `"log":{"to":18446744073709551615,"hash":"…64…"},`.
fn have_entry_bytes(log: &LogId) -> usize {
    log.central.as_str().len() + 1 + 16 + 64 + 20 + 24
}
