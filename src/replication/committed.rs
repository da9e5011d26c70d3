//! A run that is durable here, ready to leave on any number of links.

use std::sync::{Arc, OnceLock};

use super::log::{Head, Run};
use crate::wire::MAX_RUN_BYTES;
use crate::wire::frame::run_body;

/// A committed run and its encoded body, which is made at most once, by the first link that needs it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CommittedRun(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    run: Run,
    body: OnceLock<String>,
}

impl CommittedRun {
    #[must_use]
    pub fn new(run: Run) -> Self {
        Self(Arc::new(Inner { run, body: OnceLock::new() }))
    }

    /// A run of any length as runs a frame can carry (256 KiB each; one event always fits).
    #[must_use]
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

    #[must_use]
    pub fn run(&self) -> &Run {
        &self.0.run
    }

    #[must_use]
    pub fn head(&self) -> Head {
        self.0.run.head()
    }

    /// The encoded body, shared by all links.
    #[must_use]
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
    use proptest::prelude::*;

    use super::*;

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
