//! Reads frames. Never panics, whatever the text; an event inside a frame is kept as the exact slice of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::frame::{Bucket, BucketDigest, Frame, Refusal, SyncRefused, type_name};
use super::{MAX_FRAME_BYTES, MAX_RUN_BYTES};
use crate::domain::ids::{CentralId, LogId};
use crate::replication::log::{ChainHash, Head, Run};

/// Why a text is not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame has at most {MAX_FRAME_BYTES} bytes; this one has {0}")]
    TooLarge(usize),
    #[error("a frame is a JSON object")]
    NotAnObject,
    #[error("malformed frame: {0}")]
    Malformed(String),
    /// Events that cannot be taken out of the frame: what comes next of their log would have a hole before it.
    #[error("a run that cannot be read: {0}")]
    UnreadableRun(String),
}

impl FrameError {
    /// Whether a run of events may be lost with it, so that the link cannot go on as if nothing was.
    #[must_use]
    pub fn may_lose_events(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::UnreadableRun(_))
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    type_name: Cow<'a, str>,
    /// Must be there and have the documented type; the HELLO says who speaks.
    #[serde(rename = "source_central")]
    _source: CentralId,
    #[serde(rename = "timestamp")]
    _timestamp_ms: i64,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct HaveData {
    digests: Option<BTreeMap<Bucket, BucketDigest>>,
    logs: Option<BTreeMap<LogId, Head>>,
}

#[derive(Deserialize)]
struct ResponseData<'a> {
    sub: u64,
    log: LogId,
    hash: ChainHash,
    refused: Option<Refusal>,
    to: Option<u64>,
    after: Option<u64>,
    prev: Option<ChainHash>,
    #[serde(borrow)]
    events: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct AckData {
    sub: u64,
    to: u64,
    hash: ChainHash,
}

#[derive(Deserialize)]
struct StopData {
    sub: u64,
}

impl Frame {
    /// Reads one frame. The chain of a run is *not* checked here.
    ///
    /// # Errors
    /// [`FrameError`] for anything but an object of at most 1 MiB in the documented shape.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        if text.len() > MAX_FRAME_BYTES {
            return Err(FrameError::TooLarge(text.len()));
        }
        let envelope: Envelope<'_> = read(text)?;
        let data = envelope.data.get();
        Ok(match &*envelope.type_name {
            type_name::HELLO => Self::Hello(read(data)?),
            type_name::HAVE => parse_have(data)?,
            type_name::SYNC_REQUEST => Self::SyncRequest(read(data)?),
            type_name::SYNC_RESPONSE => {
                parse_response(data).map_err(|error| FrameError::UnreadableRun(error.to_string()))?
            }
            type_name::SYNC_ACK => {
                let AckData { sub, to, hash } = read(data)?;
                Self::SyncAck { sub, head: Head { to, hash } }
            }
            type_name::SYNC_STOP => Self::SyncStop { sub: read::<StopData>(data)?.sub },
            type_name::HEARTBEAT => Self::Heartbeat(read(data)?),
            type_name::ERROR => Self::Error(read(data)?),
            other => Self::Unknown { type_name: other.chars().take(64).collect() },
        })
    }
}

fn parse_have(data: &str) -> Result<Frame, FrameError> {
    match read(data)? {
        HaveData { digests: Some(digests), logs: None } => Ok(Frame::HaveDigests(digests)),
        HaveData { digests: None, logs: Some(logs) } => Ok(Frame::HaveLogs(logs)),
        _ => Err(FrameError::Malformed("a HAVE has either digests or logs".into())),
    }
}

fn parse_response(data: &str) -> Result<Frame, FrameError> {
    let ResponseData { sub, log, hash, refused, to, after, prev, events } = read(data)?;
    if let Some(refusal) = refused {
        let to = to.ok_or_else(|| missing("to"))?;
        return Ok(Frame::SyncRefused(SyncRefused { sub, log, refusal, held: Head { to, hash } }));
    }
    let after = after.ok_or_else(|| missing("after"))?;
    let prev = prev.ok_or_else(|| missing("prev"))?;
    let events = events.ok_or_else(|| missing("events"))?;
    if events.is_empty() {
        return Err(FrameError::Malformed("a run has at least one event".into()));
    }
    let bytes: usize = events.iter().map(|event| event.get().len()).sum();
    if events.len() > 1 && bytes > MAX_RUN_BYTES {
        return Err(FrameError::Malformed(format!(
            "a run of several events has at most {MAX_RUN_BYTES} bytes; this one has {bytes}"
        )));
    }
    if after.checked_add(events.len() as u64).is_none() {
        return Err(FrameError::Malformed("a log is not that long".into()));
    }
    let events = events.into_iter().map(|event| event.get().into()).collect();
    Ok(Frame::SyncRun { sub, run: Run { log, after, prev, events, hash } })
}

fn missing(field: &str) -> FrameError {
    FrameError::Malformed(format!("missing field `{field}`"))
}

/// Deserialises an object. A derived struct alone would take an array as well.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FrameError> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(FrameError::NotAnObject);
    }
    serde_json::from_str(text).map_err(|error| FrameError::Malformed(error.to_string()))
}
