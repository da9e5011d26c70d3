//! Names of things: centrals, epochs, logs, facts, stays, and the hybrid clock that orders facts.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::told::word::{is_mark, plain};

/// Longest central id, in bytes.
pub const MAX_CENTRAL_ID_BYTES: usize = 63;

/// Longest id of an edge, in bytes.
pub const MAX_EDGE_ID_BYTES: usize = 64;
/// Of the mark of a name in another script, and how it is made: FNV-1a.
const MARK_DIGITS: usize = 6;
/// The last letter of the scripts whose letters are Latin ones with marks.
const LAST_LATIN: char = '\u{24f}';
const FNV_BASIS: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

/// Why a text is not an id. The message is for people and says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("a central id is 1 to 63 of A-Z a-z 0-9 . - and starts with a letter or digit (no '_')")]
    Central,
    #[error(
        "an edge id is 1 to 64 of A-Z a-z 0-9 . - _ : without spaces or accents, such as {0}; what people call the gate is its name in the settings"
    )]
    Edge(String),
    #[error("an epoch is 16 lower-case hex digits")]
    Epoch,
    #[error("a log name is '<central id>/<16 hex digits>'")]
    Log,
    #[error("a fact id is '<log>/<seq>' or 64 hex digits")]
    Fact,
    #[error("a clock value is between 0 and 2^53 ms")]
    Hlc,
}

/// The id of one central: `[A-Za-z0-9][A-Za-z0-9.-]{0,62}`. No `_`, which separates the fields of a stay id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CentralId(Arc<str>);

impl CentralId {
    /// # Errors
    /// [`IdError::Central`] if `text` has another shape.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        let shape_ok = bytes.len() <= MAX_CENTRAL_ID_BYTES
            && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'.' || *b == b'-');
        if shape_ok { Ok(Self(text.into())) } else { Err(IdError::Central) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of an edge, a camera and its barrier: `[A-Za-z0-9._:-]{1,64}`. What people call the gate is its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(String);

impl EdgeId {
    /// # Errors
    /// [`IdError::Edge`] if `text` has another shape, with the nearest id there is.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        // What is dots alone is no part of an address: a browser takes it for the way up.
        let is_name = text.bytes().any(|byte| byte.is_ascii_alphanumeric());
        if (1..=MAX_EDGE_ID_BYTES).contains(&text.len()) && text.bytes().all(allowed) && is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::Edge(Self::near(text).0))
        }
    }

    /// The nearest id to a text, the same however its accents are written: `Cong-A` of `Cổng A`, `edge` where nothing is said. Where letters
    /// or digits are of a script that has none near them, or the text is too long, a mark made of all of it stands behind, so that 入口1 and
    /// 出口1 are two: `1-d4b18c`.
    pub fn near(text: &str) -> Self {
        let is_sign = |c: char| matches!(c, '.' | '-' | '_' | ':');
        let text: String = text.trim().chars().filter(|c| !is_mark(*c)).map(plain).collect();
        let words = text.split(|c: char| !c.is_alphanumeric() && !is_sign(c));
        let latin =
            |word: &str| -> String { word.chars().filter(|c| c.is_ascii_alphanumeric() || is_sign(*c)).collect() };
        let parts: Vec<String> = words.map(latin).filter(|part| !part.is_empty()).collect();
        let all = parts.join("-");
        let is_foreign =
            text.chars().any(|c| c.is_alphanumeric() && c > LAST_LATIN) || (all.is_empty() && !text.is_ascii());
        let id = if all.bytes().any(|byte| byte.is_ascii_alphanumeric()) { all } else { "edge".to_owned() };
        if !is_foreign && id.len() <= MAX_EDGE_ID_BYTES {
            return Self(id);
        }
        let mark = text.bytes().fold(FNV_BASIS, |mark, byte| (mark ^ u32::from(byte)).wrapping_mul(FNV_PRIME));
        let id: String = id.chars().take(MAX_EDGE_ID_BYTES - "-".len() - MARK_DIGITS).collect();
        Self(format!("{id}-{:06x}", mark >> 8))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<EdgeId> for String {
    fn from(id: EdgeId) -> Self {
        id.0
    }
}

/// 64 random bits a process draws before the first event it authors; 16 lower-case hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The bucket of the HAVE digest this epoch falls in: its first two hex digits.
    pub fn bucket(self) -> u8 {
        self.0.to_be_bytes()[0]
    }
}

/// The name of one append-only log, `central-1/9f86d081884c7d65`. Written by one process and never continued by another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId {
    pub central: CentralId,
    pub epoch: Epoch,
}

impl Hash for LogId {
    /// By the epoch alone, whose 64 random bits tell logs apart already.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.epoch.hash(state);
    }
}

/// The identity of an event, and the tie-break of facts with equal clocks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactId {
    /// The place it was authored at: `log/seq`.
    Authored { log: LogId, seq: u64 },
    /// One heard from a predecessor: SHA-256 over its documented fields as received.
    Heard([u8; 32]),
}

/// Hybrid logical clock: ms since the Unix epoch, never above 2^53. Orders the facts about one subject.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hlc(i64);

impl Hlc {
    pub const MAX_MS: i64 = 1 << 53;
    pub const MIN: Self = Self(0);
    pub const MAX: Self = Self(Self::MAX_MS);

    /// A clock further ahead of the receiver's own than this, in ms (300 years), is not believed before its time has come. It is
    /// so large because clocks of honest machines stand anywhere, and no smaller one would prevent anything: whoever acts on what
    /// is believed is later than it.
    pub const BELIEVED_AHEAD_MS: i64 = 300 * 31_557_600_000;

    /// No receiver's clock counts as earlier than this, Unix ms: the start of 2026, before which none of these programs ran.
    pub const EARLIEST_NOW_MS: i64 = 1_767_225_600_000;

    /// # Errors
    /// [`IdError::Hlc`] outside `0..=2^53`.
    pub fn new(ms: i64) -> Result<Self, IdError> {
        if (0..=Self::MAX_MS).contains(&ms) { Ok(Self(ms)) } else { Err(IdError::Hlc) }
    }

    pub fn ms(self) -> i64 {
        self.0
    }

    /// The latest clock that is believed of others when our own shows `wall_ms`.
    pub fn latest_believed(wall_ms: i64) -> Hlc {
        let ms = wall_ms.max(Self::EARLIEST_NOW_MS).saturating_add(Self::BELIEVED_AHEAD_MS);
        Hlc(ms.clamp(0, Self::MAX_MS))
    }

    /// The clock of a new fact: the wall clock, or just after the greatest clock held of its subject.
    ///
    /// Saturates at 2^53, which no fact that is believed comes near: see [`Hlc::latest_believed`].
    pub fn next(wall_ms: i64, greatest_of_subject: Option<Hlc>) -> Hlc {
        let floor_ms = greatest_of_subject.map_or(0, |held| held.0.saturating_add(1));
        Hlc(wall_ms.max(floor_ms).clamp(0, Self::MAX_MS))
    }
}

/// For a type that has one form as text: how it is debugged, written and read.
macro_rules! as_text {
    ($type:ty) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use as_text;

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// 32 bytes of 64 hex digits.
pub fn of_hex(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    (digits.len() == 64).then_some(bytes)
}

as_text!(CentralId);
as_text!(Epoch);
as_text!(LogId);
as_text!(FactId);

impl fmt::Display for CentralId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CentralId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand: each event and row names its log, and the machinery behind `{:016x}` is slow.
        let mut text = [0_u8; 16];
        for (index, digit) in (0_u32..).zip(&mut text) {
            let nibble = (self.0 >> (60 - 4 * index)) & 0xf;
            *digit = if nibble < 10 { b'0' } else { b'a' - 10 } + nibble.to_le_bytes()[0];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl FromStr for Epoch {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let shape_ok = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !shape_ok {
            return Err(IdError::Epoch);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| IdError::Epoch)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.central.as_str())?;
        f.write_str("/")?;
        fmt::Display::fmt(&self.epoch, f)
    }
}

impl FromStr for LogId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (central, epoch) = text.split_once('/').ok_or(IdError::Log)?;
        Ok(Self { central: central.parse()?, epoch: epoch.parse()? })
    }
}

impl fmt::Display for FactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authored { log, seq } => write!(f, "{log}/{seq}"),
            Self::Heard(digest) => f.write_str(&hex(digest)),
        }
    }
}

impl FromStr for FactId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if let Some((log, seq)) = text.rsplit_once('/') {
            return Ok(Self::Authored { log: log.parse()?, seq: seq.parse().map_err(|_| IdError::Fact)? });
        }
        of_hex(text).map(Self::Heard).ok_or(IdError::Fact)
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl Serialize for Hlc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Hlc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn central_ids_follow_the_documented_shape() {
        for good in ["central-1", "A", "9.b-c", &"x".repeat(63)] {
            assert!(CentralId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "central_2", "-a", ".a", "a b", "trạm", &"x".repeat(64)] {
            assert_eq!(CentralId::new(bad), Err(IdError::Central), "{bad}");
        }
    }

    #[test]
    fn an_edge_id_is_one_everywhere_and_the_nearest_is_named() {
        for good in ["1", "edge-1", "gate_2:in", "A.b", &"x".repeat(64)] {
            assert_eq!(EdgeId::new(good).map(String::from).as_deref(), Ok(good));
            assert_eq!(EdgeId::near(good).as_str(), good);
        }
        for (bad, near) in [
            ("Cổng A", "Cong-A"),
            ("a/b", "a-b"),
            ("..", "edge"),
            (".", "edge"),
            ("-_-", "edge"),
            ("Cổng vào số 1", "Cong-vao-so-1"),
            ("", "edge"),
            ("门", "edge-4632bb"),
            ("入口", "edge-f010f4"),
            ("出口", "edge-162c48"),
            ("入口1", "1-d4b18c"),
            ("出口1", "1-5ab60d"),
            ("Co\u{302}\u{309}ng A", "Cong-A"),
            ("Süd", "Sd"),
            ("a b\n", "a-b"),
        ] {
            assert_eq!(EdgeId::new(bad), Err(IdError::Edge(near.to_owned())), "{bad}");
        }
        let [long, longer] = ["1", "2"].map(|end| format!("Cổng {}{end}", "x".repeat(80)));
        let names = [
            "入口1",
            "出口1",
            "入口2",
            "Cổng 入口",
            "Cổng 出口",
            "Cổng",
            "Вход 1",
            "Выход 1",
            "ประตู ๑",
            "ประตู ๒",
            "١",
            "٢",
            "1",
            long.as_str(),
            longer.as_str(),
        ];
        let ids: std::collections::BTreeSet<_> = names.iter().map(|name| EdgeId::near(name)).collect();
        assert_eq!(ids.len(), names.len(), "two names are two gates: {ids:?}");
        assert!(ids.iter().all(|id| EdgeId::new(id.as_str()).as_ref() == Ok(id)), "{ids:?}");
        assert_eq!(EdgeId::near("Cổng 入口"), EdgeId::near("Co\u{302}\u{309}ng 入口"), "however it is written");
    }

    #[test]
    fn a_log_name_is_read_back_as_written() {
        let log: LogId = "central-1/9f86d081884c7d65".parse().unwrap();
        assert_eq!(log.to_string(), "central-1/9f86d081884c7d65");
        assert_eq!(log.epoch.bucket(), 0x9f);
        for bad in ["central-1", "central-1/9F86D081884C7D65", "central-1/1", "_/9f86d081884c7d65"] {
            assert!(bad.parse::<LogId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_clock_value_is_after_everything_held_of_the_subject() {
        let held = Hlc::new(5_000).unwrap();
        assert_eq!(Hlc::next(4_000, Some(held)).ms(), 5_001);
        assert_eq!(Hlc::next(6_000, Some(held)).ms(), 6_000);
        assert_eq!(Hlc::next(-5, None).ms(), 0);
    }
}
