//! A log is held as a prefix: events `1..=to` without a hole, and the hash of their chain. So only a run that continues what was
//! received is taken.
//! What is durable here is made ready once to leave on any number of links.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::event::MAX_EVENT_BYTES;
use crate::domain::ids::{LogId, as_text, hex, of_hex};
use crate::wire::MAX_RUN_BYTES;
use crate::wire::frame::run_body;

/// The author's bytes of one event.
pub type EventBytes = Arc<str>;

/// A link of the chain: `hash[0] = SHA-256(log name)`, `hash[n] = SHA-256(hash[n-1] || bytes[n])`. 64 hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// The hash of an empty log.
    pub fn genesis(log: &LogId) -> Self {
        Self(Sha256::digest(log.to_string().as_bytes()).into())
    }

    /// The hash after one more event.
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
    pub fn head(&self) -> Head {
        Head { to: self.after + self.events.len() as u64, hash: self.hash }
    }

    /// Whether `hash` is what `prev` and the events give.
    pub fn chain_holds(&self) -> bool {
        self.events.iter().fold(self.prev, |hash, event| hash.extend(event)) == self.hash
    }

    /// The first event that is larger than an event may be: it cannot be passed on. Its number and size.
    pub fn oversized(&self) -> Option<(u64, usize)> {
        let too_large = |(_, event): &(u64, &EventBytes)| event.len() > MAX_EVENT_BYTES;
        (self.after + 1..).zip(&self.events).find(too_large).map(|(seq, event)| (seq, event.len()))
    }

    /// The events up to `to`, which lies within the run.
    pub fn up_to(&self, to: u64) -> Self {
        let kept = usize::try_from(to.saturating_sub(self.after)).unwrap_or(usize::MAX);
        let events: Vec<EventBytes> = self.events.iter().take(kept).cloned().collect();
        let hash = events.iter().fold(self.prev, |hash, event| hash.extend(event));
        Self { log: self.log.clone(), after: self.after, prev: self.prev, events, hash }
    }

    pub fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.len()).sum()
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

as_text!(ChainHash);

/// The text is not 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a chain hash is 64 hex digits")]
pub struct ChainHashError;

impl FromStr for ChainHash {
    type Err = ChainHashError;
    fn from_str(text: &str) -> Result<Self, ChainHashError> {
        of_hex(text).map(Self).ok_or(ChainHashError)
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

/// A committed run and its encoded body, which is made at most once, by the first link that needs it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CommittedRun(Arc<RunForms>);

#[derive(Debug)]
struct RunForms {
    run: Run,
    body: OnceLock<String>,
}

impl CommittedRun {
    pub fn new(run: Run) -> Self {
        Self(Arc::new(RunForms { run, body: OnceLock::new() }))
    }

    /// A run of any length as runs a frame can carry (256 KiB each; one event always fits).
    pub fn pieces(run: Run) -> Vec<Self> {
        if run.bytes() <= MAX_RUN_BYTES {
            return vec![Self::new(run)];
        }
        let mut pieces = Vec::new();
        let mut piece =
            Run { log: run.log.clone(), after: run.after, prev: run.prev, events: Vec::new(), hash: run.prev };
        let mut piece_bytes = 0;
        for event in run.events {
            if !piece.events.is_empty() && piece_bytes + event.len() > MAX_RUN_BYTES {
                let head = piece.head();
                let next =
                    Run { log: run.log.clone(), after: head.to, prev: head.hash, events: Vec::new(), hash: head.hash };
                pieces.push(Self::new(std::mem::replace(&mut piece, next)));
                piece_bytes = 0;
            }
            piece_bytes += event.len();
            piece.hash = piece.hash.extend(&event);
            piece.events.push(event);
        }
        if !piece.events.is_empty() {
            pieces.push(Self::new(piece));
        }
        pieces
    }

    pub fn run(&self) -> &Run {
        &self.0.run
    }

    pub fn head(&self) -> Head {
        self.0.run.head()
    }

    /// The encoded body, shared by all links.
    pub fn body(&self) -> &str {
        self.0.body.get_or_init(|| run_body(&self.0.run))
    }
}

impl PartialEq for CommittedRun {
    fn eq(&self, other: &Self) -> bool {
        self.0.run == other.0.run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::LogId;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn the_pieces_of_a_run_are_the_run(sizes in prop::collection::vec(1..40_000_usize, 1..60), after in 0..1_000_u64) {
            let log = "c1/00000000000000aa".parse().unwrap();
            let prev = Head::empty(&log).hash;
            let events: Vec<_> = sizes.iter().map(|size| "x".repeat(*size).into()).collect();
            let hash = events.iter().fold(prev, |hash, event: &crate::replication::log::EventBytes| hash.extend(event));
            let run = Run { log, after, prev, events, hash };
            let pieces = CommittedRun::pieces(run.clone());
            let mut head = Head { to: after, hash: prev };
            let mut events = Vec::new();
            for piece in &pieces {
                let piece = piece.run();
                prop_assert!(piece.after == head.to && piece.prev == head.hash && piece.chain_holds());
                prop_assert!(!piece.events.is_empty() && piece.bytes() <= MAX_RUN_BYTES);
                head = piece.head();
                events.extend(piece.events.iter().cloned());
            }
            prop_assert_eq!((head, events), (run.head(), run.events));
        }
    }

    #[test]
    fn the_body_is_made_once_and_shared() {
        let log = "c1/00000000000000aa".parse().unwrap();
        let prev = Head::empty(&log).hash;
        let run = CommittedRun::new(Run { log, after: 0, prev, events: vec!["{}".into()], hash: prev.extend("{}") });
        let other = run.clone();
        assert!(std::ptr::eq(run.body(), other.body()));
    }
}
