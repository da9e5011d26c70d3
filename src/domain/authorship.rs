//! Whether an event was written by who began its log.
//!
//! A process that begins a log draws a secret that never leaves its memory, and makes chains of keys from it, each the hash of
//! the next. The first event carries the end of the first chain (its *anchor*), signed with the central's own key; every
//! later one reveals the next key, which nobody else can know before. So a log ends with its process: who has its events, its
//! disk or even the central's key can begin another log, and cannot continue this one. Docs: decisions/043.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::{LogId, as_text};

/// Keys of one chain. The event that reveals the last of them carries the anchor of the next.
const CHAIN_KEYS: u64 = 1_024;
/// Chains kept at a time.
const CHAINS_KEPT: usize = 2;

/// 128 bits; 32 hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 16]);

impl Key {
    /// What an event has to have carried before, so that this key is the next.
    fn before(self, log: &LogId) -> Self {
        Self::hash(before(log), &self.0)
    }

    fn hash(kind: Sha256, data: &[u8]) -> Self {
        let hash: [u8; 32] = kind.chain_update(data).finalize().into();
        let mut key = [0; 16];
        key.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(key)
    }
}

/// What begins the hash of a key before another one of the log.
fn before(log: &LogId) -> Sha256 {
    kind(b"parkmesh key\0", log)
}

fn kind(kind: &[u8], log: &LogId) -> Sha256 {
    Sha256::new().chain_update(kind).chain_update(log.to_string()).chain_update([0])
}

/// Who signed the beginning of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedBy {
    /// The central's certificate (DER), in hex digits.
    pub certificate: String,
    /// Over [`opening_message`], with the certificate's key, in hex digits.
    pub signature: String,
}

/// What an event carries to show who wrote it. Empty: of a version that showed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Proof {
    pub reveal: Option<Key>,
    pub anchor: Option<Key>,
    pub opened_by: Option<OpenedBy>,
}

impl Proof {
    /// Of an event's bytes; empty, if they show nothing.
    pub fn of(event: &str) -> Self {
        serde_json::from_str(event).unwrap_or_default()
    }

    /// The anchor and who signed it, of the first event of a log.
    pub fn opening(&self) -> Option<(Key, &OpenedBy)> {
        self.anchor.zip(self.opened_by.as_ref())
    }

    /// What the next event has to continue; `None`: nothing binds it.
    pub fn binds(&self) -> Option<Key> {
        self.anchor.or(self.reveal)
    }

    /// Whether it continues an event that bound it to `bound`; what the next one has to continue then.
    pub fn continues(&self, log: &LogId, bound: Key) -> Option<Key> {
        let reveal = self.reveal.filter(|reveal| reveal.before(log) == bound)?;
        Some(self.anchor.unwrap_or(reveal))
    }
}

/// What is signed at the beginning of a log.
pub fn opening_message(log: &LogId, anchor: Key) -> Vec<u8> {
    format!("parkmesh: {log} begins with {anchor}").into_bytes()
}

/// Signs with the central's own key.
pub trait Opener: Send {
    /// `None`: it cannot; the log begins without a signature, as those of older versions do.
    fn open(&self, message: &[u8]) -> Option<OpenedBy>;
}

/// Without a key it cannot.
impl<O: Opener> Opener for Option<O> {
    fn open(&self, message: &[u8]) -> Option<OpenedBy> {
        self.as_ref()?.open(message)
    }
}

/// What the process that writes logs keeps to itself. Never stored, never shown.
pub struct Author {
    secret: [u8; 32],
    opener: Box<dyn Opener>,
    /// The chain in use, and the one after it, of which the end is carried already: of which log, which of its chains, the keys in the order
    /// in which they are revealed.
    chains: VecDeque<(LogId, u64, Vec<Key>)>,
}

impl Author {
    /// `secret`: random, of this process alone.
    pub fn new(secret: [u8; 32], opener: Box<dyn Opener>) -> Self {
        Self { secret, opener, chains: VecDeque::new() }
    }

    /// What event `seq` of a log of this process has to carry.
    pub fn proof(&mut self, log: &LogId, seq: u64) -> Proof {
        let Some(after_first) = seq.checked_sub(2) else {
            let anchor = self.anchor(log, 0);
            let opened_by = self.opener.open(&opening_message(log, anchor));
            return Proof { reveal: None, anchor: Some(anchor), opened_by };
        };
        let (number, place) = (after_first / CHAIN_KEYS, after_first % CHAIN_KEYS);
        let reveal = usize::try_from(place).ok().and_then(|place| self.chain(log, number).get(place).copied());
        let anchor = (place + 1 == CHAIN_KEYS).then(|| self.anchor(log, number + 1));
        Proof { reveal, anchor, opened_by: None }
    }

    /// What is carried before the first key of a chain is revealed.
    fn anchor(&mut self, log: &LogId, number: u64) -> Key {
        self.chain(log, number).first().map_or(Key([0; 16]), |first| first.before(log))
    }

    fn chain(&mut self, log: &LogId, number: u64) -> &[Key] {
        let is_it = |(of, which, _): &(LogId, u64, Vec<Key>)| of == log && *which == number;
        if !self.chains.iter().any(is_it) {
            self.chains.push_back((log.clone(), number, keys(&self.secret, log, number)));
            if self.chains.len() > CHAINS_KEPT {
                self.chains.pop_front();
            }
        }
        self.chains.iter().find(|chain| is_it(chain)).map_or(&[], |(_, _, keys)| keys)
    }
}

/// The keys of one chain in the order in which they are revealed.
fn keys(secret: &[u8; 32], log: &LogId, number: u64) -> Vec<Key> {
    let mut seed = secret.to_vec();
    seed.extend(number.to_be_bytes());
    let last = Key::hash(kind(b"parkmesh secret\0", log), &seed);
    let before = before(log);
    let mut keys: Vec<Key> = std::iter::successors(Some(last), |key| Some(Key::hash(before.clone(), &key.0)))
        .take(usize::try_from(CHAIN_KEYS).unwrap_or_default())
        .collect();
    keys.reverse();
    keys
}

impl fmt::Debug for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Author")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

as_text!(Key);

/// The text is not 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is 32 hex digits")]
pub struct BadKey;

impl FromStr for Key {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let shape_ok = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| shape_ok).ok_or(BadKey)?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Signs;

    impl Opener for Signs {
        fn open(&self, message: &[u8]) -> Option<OpenedBy> {
            Some(OpenedBy { certificate: "00".into(), signature: format!("{:?}", Sha256::digest(message)) })
        }
    }

    fn log(name: &str) -> LogId {
        name.parse().unwrap()
    }

    fn author(secret: u8) -> Author {
        Author::new([secret; 32], Box::new(Signs))
    }

    #[test]
    fn who_began_a_log_continues_it_and_nobody_else() {
        let log = log("c1/00000000000000aa");
        let (mut own, mut other) = (author(1), author(2));
        let first = own.proof(&log, 1);
        let mut bound = first.opening().expect("it is signed").0;
        // Over the ends of two chains.
        for seq in 2..=2 * CHAIN_KEYS + 5 {
            let stranger = other.proof(&log, seq);
            assert_eq!(stranger.continues(&log, bound), None, "another secret at {seq}");
            let proof = own.proof(&log, seq);
            assert_eq!(Proof::default().continues(&log, bound), None);
            let next = proof.continues(&log, bound).unwrap_or_else(|| panic!("the author's own at {seq}"));
            assert_eq!(proof.continues(&log, next), None, "the same again at {seq}");
            bound = next;
        }
    }

    #[test]
    fn a_proof_is_of_one_log_and_is_the_same_when_asked_for_again() {
        let (one, other) = (log("c1/00000000000000aa"), log("c1/00000000000000bb"));
        let mut own = author(1);
        let bound = own.proof(&one, 1).binds().unwrap();
        assert_eq!(own.proof(&other, 2).continues(&one, bound), None);
        assert_eq!(own.proof(&one, 2).continues(&other, bound), None);
        assert!(own.proof(&one, 2).continues(&one, bound).is_some());
        assert_eq!(own.proof(&one, 7), own.proof(&one, 7));
    }

    #[test]
    fn it_is_read_from_an_event_and_what_shows_nothing_is_empty() {
        let proof = author(1).proof(&log("c1/00000000000000aa"), CHAIN_KEYS + 1);
        let (reveal, anchor) = (proof.reveal.unwrap(), proof.anchor.unwrap());
        let event = format!(r#"{{"type":"X","data":{{}},"reveal":"{reveal}","anchor":"{anchor}"}}"#);
        assert_eq!(Proof::of(&event), proof);
        for event in ["", "[]", "null", r#"{"reveal":"5"}"#, r#"{"reveal":7}"#, r#"{"type":"X"}"#] {
            assert_eq!(Proof::of(event), Proof::default(), "{event}");
        }
    }
}
