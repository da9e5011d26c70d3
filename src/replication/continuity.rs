//! Whether a run continues what was received. Only runs that do are taken: a log never has a hole.

use super::log::{Head, Run};

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
