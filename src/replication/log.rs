//! A log is held as a prefix: events `1..=to` without a hole, and the hash of their chain. So only a run that continues what was
//! received is taken.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::domain::event::MAX_EVENT_BYTES;
use crate::domain::ids::LogId;

/// The author's bytes of one event.
pub type EventBytes = Arc<str>;

/// A link of the chain: `hash[0] = SHA-256(log name)`, `hash[n] = SHA-256(hash[n-1] || bytes[n])`. 64 hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// The hash of an empty log.
    #[must_use]
    pub fn genesis(log: &LogId) -> Self {
        Self(Sha256::digest(log.to_string().as_bytes()).into())
    }

    /// The hash after one more event.
    #[must_use]
    pub fn extend(self, event: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(event.as_bytes());
        Self(hasher.finalize().into())
    }
}

/// How far a log is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of events held, which is the `seq` of the last; 0: none.
    pub to: u64,
    pub hash: ChainHash,
}

impl Head {
    #[must_use]
    pub fn empty(log: &LogId) -> Self {
        Self { to: 0, hash: ChainHash::genesis(log) }
    }
}

/// Consecutive events `after+1 ..= after+events.len()` of one log.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub log: LogId,
    pub after: u64,
    /// The chain hash at `after`.
    pub prev: ChainHash,
    /// At least one.
    pub events: Vec<EventBytes>,
    /// The chain hash after the last event.
    pub hash: ChainHash,
}

impl Run {
    /// Where the log stands once this run is held.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { to: self.after + self.events.len() as u64, hash: self.hash }
    }

    /// Whether `hash` is what `prev` and the events give.
    #[must_use]
    pub fn chain_holds(&self) -> bool {
        self.events.iter().fold(self.prev, |hash, event| hash.extend(event)) == self.hash
    }

    /// The first event that is larger than an event may be: it cannot be passed on. Its number and size.
    #[must_use]
    pub fn oversized(&self) -> Option<(u64, usize)> {
        let too_large = |(_, event): &(u64, &EventBytes)| event.len() > MAX_EVENT_BYTES;
        (self.after + 1..).zip(&self.events).find(too_large).map(|(seq, event)| (seq, event.len()))
    }

    /// The events up to `to`, which lies within the run.
    #[must_use]
    pub fn up_to(&self, to: u64) -> Self {
        let kept = usize::try_from(to.saturating_sub(self.after)).unwrap_or(usize::MAX);
        let events: Vec<EventBytes> = self.events.iter().take(kept).cloned().collect();
        let hash = events.iter().fold(self.prev, |hash, event| hash.extend(event));
        Self { log: self.log.clone(), after: self.after, prev: self.prev, events, hash }
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.len()).sum()
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a chain hash is 64 hex digits")]
pub struct ChainHashError;

impl FromStr for ChainHash {
    type Err = ChainHashError;
    fn from_str(text: &str) -> Result<Self, ChainHashError> {
        if text.len() != 64 || !text.is_ascii() {
            return Err(ChainHashError);
        }
        let mut hash = [0_u8; 32];
        for (index, byte) in hash.iter_mut().enumerate() {
            let pair = text.get(index * 2..index * 2 + 2).ok_or(ChainHashError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| ChainHashError)?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
/// How sure it is that a run was not written by whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Nothing will change it.
    Certain,
    /// No key is known that it was begun with; one may be later.
    UnknownKey,
    /// It is of the time before its author signed, as its own logs are: what the author gives itself is taken.
    Unsigned,
}

/// What a run is to a log received up to some head.
#[derive(Debug, Clone, PartialEq)]
pub enum Continuity {
    /// It continues the log. Events received before were cut off its start.
    Continues(Run),
    /// Nothing in it is new.
    Duplicate,
    /// Events between what was received and the run are missing.
    Gap,
    /// Its hash is not what its events give: damaged.
    Broken,
    /// It is a sound chain, but not the one received, which differs at this event or before.
    Forked { seq: u64 },
}

/// Judges a run.
#[must_use]
pub fn judge(received: Head, mut run: Run) -> Continuity {
    if run.after > received.to {
        return Continuity::Gap;
    }
    let known = received.to - run.after;
    let mut hash = run.prev;
    let mut hash_at_received = (known == 0).then_some(hash);
    for (index, event) in (1_u64..).zip(&run.events) {
        hash = hash.extend(event);
        if index == known {
            hash_at_received = Some(hash);
        }
    }
    if hash != run.hash {
        return Continuity::Broken;
    }
    match hash_at_received {
        // The run ends before what was received: its place in our chain is not known here.
        None => Continuity::Duplicate,
        Some(hash) if hash != received.hash => Continuity::Forked { seq: received.to },
        Some(_) if run.head().to == received.to => Continuity::Duplicate,
        Some(hash) => {
            let known = usize::try_from(known).unwrap_or(usize::MAX).min(run.events.len());
            run.events.drain(..known);
            run.after = received.to;
            run.prev = hash;
            Continuity::Continues(run)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::LogId;

    fn log() -> LogId {
        "c1/00000000000000aa".parse().unwrap()
    }

    fn head(text: &[String], to: usize) -> Head {
        let hash = text[..to].iter().fold(Head::empty(&log()).hash, |hash, event| hash.extend(event));
        Head { to: to as u64, hash }
    }

    fn run(text: &[String], from: usize, to: usize) -> Run {
        let events = text[from..to].iter().map(|event| event.as_str().into()).collect();
        Run { log: log(), after: from as u64, prev: head(text, from).hash, events, hash: head(text, to).hash }
    }

    proptest! {
        #[test]
        fn a_run_of_the_same_chain_adds_exactly_what_is_missing(
            text in prop::collection::vec("[a-z]{1,5}", 2..30), a in 0..100_usize, b in 0..100_usize, c in 0..100_usize
        ) {
            let n = text.len();
            let (from, held) = (a % n, b % (n + 1));
            let to = from + 1 + c % (n - from);
            let verdict = judge(head(&text, held), run(&text, from, to));
            if from > held {
                prop_assert_eq!(verdict, Continuity::Gap);
            } else if to <= held {
                prop_assert_eq!(verdict, Continuity::Duplicate);
            } else {
                prop_assert_eq!(verdict, Continuity::Continues(run(&text, held, to)));
            }
        }

        #[test]
        fn another_chain_is_never_taken(
            text in prop::collection::vec("[a-z]{1,5}", 2..30), at in 0..100_usize, held in 0..100_usize
        ) {
            let n = text.len();
            let (at, held) = (at % n, 1 + held % n);
            let mut other = text.clone();
            other[at].push('!');
            let verdict = judge(head(&other, held), run(&text, 0, n));
            if at < held {
                prop_assert_eq!(verdict, Continuity::Forked { seq: held as u64 });
            } else {
                prop_assert!(matches!(verdict, Continuity::Continues(_) | Continuity::Duplicate));
            }
        }

        #[test]
        fn a_damaged_run_is_broken_wherever_it_is_damaged(
            text in prop::collection::vec("[a-z]{1,5}", 2..30), at in 0..100_usize, held in 0..100_usize
        ) {
            let n = text.len();
            let mut damaged = run(&text, 0, n);
            damaged.events[at % n] = "damaged!".into();
            prop_assert_eq!(judge(head(&text, held % n), damaged), Continuity::Broken);
        }
    }
}
