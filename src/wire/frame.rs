//! What centrals say to each other, as values and as text.
//!
//! Formats only grow: unknown keys are ignored, unknown types become [`Frame::Unknown`]. Reading never panics, whatever the text; an
//! event inside a frame is kept as the exact slice of it. The bulk of a run is written once per commit ([`run_body`]) and shared by
//! every link it leaves on; only the few bytes before it differ.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{MAX_FRAME_BYTES, MAX_HAVE_BYTES, MAX_RUN_BYTES};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, LogId, as_text};
use crate::replication::log::{ChainHash, Head, Run};
use crate::trust::site::SiteMark;

/// One message between two centrals.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// First in each direction.
    Hello(Hello),
    /// Fingerprints of all that is held, by bucket; an absent bucket is empty.
    HaveDigests(BTreeMap<Bucket, BucketDigest>),
    /// How far these logs are held.
    HaveLogs(BTreeMap<LogId, Head>),
    SyncRequest(SyncRequest),
    /// Consecutive events of a log that is followed.
    SyncRun {
        sub: u64,
        run: Run,
    },
    /// The answer to a SYNC_REQUEST that cannot be served. The subscription does not exist.
    SyncRefused(SyncRefused),
    /// The log is *committed* up to here.
    SyncAck {
        sub: u64,
        head: Head,
    },
    /// Ends a subscription and releases its unacknowledged bytes.
    SyncStop {
        sub: u64,
    },
    Heartbeat(Beat),
    /// Only to who names the capability [`SHARES_PEOPLE`].
    People(PeopleSaid),
    /// Never answered.
    Error(ErrorFrame),
    /// A type of a newer version: ignored and counted.
    Unknown {
        type_name: String,
    },
}

/// Who speaks, and what it understands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub versions: Versions,
    /// Optional features, by name; unknown ones are ignored.
    #[serde(default)]
    pub capabilities: Vec<String>,
    pub central: CentralId,
    pub instance: Instance,
    /// The sender's wall clock, Unix ms.
    pub wall_ms: i64,
    /// Where it can be dialled, as it is told to people; never acted upon by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listens: Option<Listens>,
    /// Absent from older versions, and where it could not be noted on the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Which site it belongs to; absent from older versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteMark>,
}

/// Which start of the program on its database a process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The how manieth, from 1.
    pub number: u64,
    /// The instances of those before it, the latest first; of many the last few.
    pub earlier: Vec<Instance>,
}

/// Where a central can be dialled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listens {
    /// An IP address or a host name, not looked at yet.
    pub ip: String,
    pub p2p_port: u16,
}

/// The protocol versions a central speaks, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    pub min: u32,
    pub max: u32,
}

/// 64 random bits drawn at each start of a process: tells a restarted central, or a clone, from the one linked before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance(pub u64);

/// The first two hex digits of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(pub u8);

/// The start of a SHA-256 over all `(log, to, hash)` of one bucket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketDigest(pub u64);

/// Follow `log` from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRequest {
    /// Chosen by the receiver of the events; never used twice on one socket.
    pub sub: u64,
    pub log: LogId,
    /// The events the receiver holds, and their chain hash.
    pub after: u64,
    pub hash: ChainHash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRefused {
    pub sub: u64,
    pub log: LogId,
    pub refusal: SyncRefusal,
    /// What the refusing side holds.
    pub held: Head,
}

/// Why a log cannot be followed from the place asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncRefusal {
    /// Fewer events are held than the asker holds, or none.
    NotHeld,
    /// The chain differs at the place asked for: a fork, or tampering.
    Diverged,
}

/// Sent every 30 s. Information only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Beat {
    /// The sender's wall clock, Unix ms.
    pub wall_ms: i64,
    /// The centrals the sender is linked with.
    #[serde(default)]
    pub links: Vec<CentralId>,
    /// Fingerprints of what the sender made of its logs, by name.
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
    /// Which keys stand for which centrals, as far as the sender knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<CentralId, Vec<Fingerprint>>,
}

/// The capability of a central that understands what is said of the people of the site.
pub const SHARES_PEOPLE: &str = "people";

/// What a central says of who may log in at the site. What it says of each is for `access`; hashes of passwords are in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeopleSaid {
    /// Of all that the sender holds.
    pub digest: String,
    /// All that it holds; `None`: the digest is enough to see whether that is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<Vec<serde_json::Value>>,
}

/// No log ever has it.
impl fmt::Debug for PeopleSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeopleSaid({} records)", self.people.as_ref().map_or(0, Vec::len))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFrame {
    /// For people.
    pub error: String,
    /// For programs; see [`code`].
    pub code: String,
}

/// The stable codes of ERROR frames.
pub mod code {
    /// No protocol version in common.
    pub const VERSION: &str = "version";
    /// The central at this address is not the one that was configured, or is configured nowhere.
    pub const IDENTITY: &str = "identity";
    /// Another process with this central id is linked and alive.
    pub const DUPLICATE_CENTRAL_ID: &str = "duplicate_central_id";
    /// A central reached itself.
    pub const SELF_CONNECTION: &str = "self_connection";
    /// Something else came before HELLO, or nothing came in time.
    pub const HELLO_EXPECTED: &str = "hello_expected";
    /// The certificate is not the one this central is known by, or there was none.
    pub const CERTIFICATE: &str = "certificate";
    /// It belongs to another site.
    pub const SITE: &str = "site";
    /// A person there has to say yes first.
    pub const PENDING: &str = "pending";
    /// A frame that cannot be read.
    pub const BAD_FRAME: &str = "bad_frame";
    /// An older copy of the central's database was continued: another process has gone on from there before. The link stands.
    pub const OLDER_START: &str = "older_start";
    /// Events of a log that was not asked for on this link.
    pub const UNASKED_RUN: &str = "unasked_run";
}

macro_rules! hex_text {
    ($type:ty, $number:ty, $digits:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0)
            }
        }
        as_text!($type);
        impl FromStr for $type {
            type Err = HexError;
            fn from_str(text: &str) -> Result<Self, HexError> {
                let shape_ok = text.len() == $digits && text.bytes().all(|b| b.is_ascii_hexdigit());
                if !shape_ok {
                    return Err(HexError($digits));
                }
                <$number>::from_str_radix(text, 16).map(Self).map_err(|_| HexError($digits))
            }
        }
    };
}

/// The text is not that many hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} hex digits")]
pub struct HexError(usize);

hex_text!(Instance, u64, 16);
hex_text!(Bucket, u8, 2);
hex_text!(BucketDigest, u64, 16);

/// The `type` of each frame.
pub(super) mod type_name {
    pub const HELLO: &str = "HELLO";
    pub const HAVE: &str = "HAVE";
    pub const SYNC_REQUEST: &str = "SYNC_REQUEST";
    pub const SYNC_RESPONSE: &str = "SYNC_RESPONSE";
    pub const SYNC_ACK: &str = "SYNC_ACK";
    pub const SYNC_STOP: &str = "SYNC_STOP";
    pub const HEARTBEAT: &str = "HEARTBEAT";
    pub const PEOPLE: &str = "PEOPLE";
    pub const ERROR: &str = "ERROR";
}

/// Bytes of a HAVE frame that are not its entries, generously.
const HAVE_ENVELOPE_BYTES: usize = 256;

/// Writes the frames of one central.
#[derive(Debug, Clone)]
pub struct Encoder {
    source: CentralId,
}

#[derive(Serialize)]
struct FrameEnvelope<'a, T> {
    #[serde(rename = "type")]
    type_name: &'a str,
    source_central: &'a CentralId,
    timestamp: i64,
    event_id: Option<&'a str>,
    data: T,
}

#[derive(Serialize)]
struct RefusedFrame<'a> {
    sub: u64,
    log: &'a LogId,
    refused: SyncRefusal,
    to: u64,
    hash: ChainHash,
}

#[derive(Serialize, Deserialize)]
struct Ack {
    sub: u64,
    to: u64,
    hash: ChainHash,
}

#[derive(Serialize, Deserialize)]
struct StopReading {
    sub: u64,
}

impl Encoder {
    pub fn new(source: CentralId) -> Self {
        Self { source }
    }

    /// The text of a frame, stamped with the sender's wall clock.
    pub fn encode(&self, wall_ms: i64, frame: &Frame) -> String {
        match frame {
            Frame::Hello(data) => self.write(wall_ms, type_name::HELLO, data),
            Frame::HaveDigests(digests) => self.write(wall_ms, type_name::HAVE, BTreeMap::from([("digests", digests)])),
            Frame::HaveLogs(logs) => self.write(wall_ms, type_name::HAVE, BTreeMap::from([("logs", logs)])),
            Frame::SyncRequest(data) => self.write(wall_ms, type_name::SYNC_REQUEST, data),
            Frame::SyncRun { sub, run } => self.encode_run(wall_ms, *sub, &run_body(run)),
            Frame::SyncRefused(SyncRefused { sub, log, refusal, held }) => {
                let data = RefusedFrame { sub: *sub, log, refused: *refusal, to: held.to, hash: held.hash };
                self.write(wall_ms, type_name::SYNC_RESPONSE, data)
            }
            Frame::SyncAck { sub, head } => {
                self.write(wall_ms, type_name::SYNC_ACK, Ack { sub: *sub, to: head.to, hash: head.hash })
            }
            Frame::SyncStop { sub } => self.write(wall_ms, type_name::SYNC_STOP, StopReading { sub: *sub }),
            Frame::Heartbeat(data) => self.write(wall_ms, type_name::HEARTBEAT, data),
            Frame::People(data) => self.write(wall_ms, type_name::PEOPLE, data),
            Frame::Error(data) => self.write(wall_ms, type_name::ERROR, data),
            Frame::Unknown { type_name } => self.write(wall_ms, type_name, BTreeMap::<&str, &str>::new()),
        }
    }

    /// A SYNC_RESPONSE around a body made by [`run_body`].
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
        let envelope =
            FrameEnvelope { type_name, source_central: &self.source, timestamp: wall_ms, event_id: None, data };
        serde_json::to_string(&envelope).expect("a frame is plain data")
    }
}

/// Everything of a SYNC_RESPONSE from the log on: all that does not differ between links.
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
    pub fn may_lose_events(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::UnreadableRun(_))
    }
}

#[derive(Deserialize)]
struct Received<'a> {
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
    refused: Option<SyncRefusal>,
    to: Option<u64>,
    after: Option<u64>,
    prev: Option<ChainHash>,
    #[serde(borrow)]
    events: Option<Vec<&'a RawValue>>,
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
        let envelope: Received<'_> = read(text)?;
        let data = envelope.data.get();
        Ok(match &*envelope.type_name {
            type_name::HELLO => Self::Hello(read(data)?),
            type_name::HAVE => parse_have(data)?,
            type_name::SYNC_REQUEST => Self::SyncRequest(read(data)?),
            type_name::SYNC_RESPONSE => {
                parse_response(data).map_err(|error| FrameError::UnreadableRun(error.to_string()))?
            }
            type_name::SYNC_ACK => {
                let Ack { sub, to, hash } = read(data)?;
                Self::SyncAck { sub, head: Head { to, hash } }
            }
            type_name::SYNC_STOP => Self::SyncStop { sub: read::<StopReading>(data)?.sub },
            type_name::HEARTBEAT => Self::Heartbeat(read(data)?),
            type_name::PEOPLE => Self::People(read(data)?),
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
