//! What centrals say to each other.
//!
//! Formats only grow: unknown keys are ignored, unknown types become [`Frame::Unknown`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, LogId};
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
    Heartbeat(Heartbeat),
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listens: Option<Listens>,
    /// Absent from older versions, and where it could not be noted on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Which site it belongs to; absent from older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    pub refusal: Refusal,
    /// What the refusing side holds.
    pub held: Head,
}

/// Why a log cannot be followed from the place asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Fewer events are held than the asker holds, or none.
    NotHeld,
    /// The chain differs at the place asked for: a fork, or tampering.
    Diverged,
}

/// Sent every 30 s. Information only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Heartbeat {
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
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
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
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
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
    pub const ERROR: &str = "ERROR";
}
