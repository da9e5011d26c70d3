//! Storing what peers send: a run is taken only if it continues what is held.

use crate::domain::event::Event;
use crate::domain::ids::LogId;
use crate::domain::stay::Fact;
use crate::replication::log::{ChainHash, EventBytes, Head, Run};

use super::job::{Answer, Refusal};
use super::storage::{EventRef, Storage};
use super::transaction::{Stop, Transaction};

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn store_run(&mut self, run: &Run) -> Result<Answer, Stop<S::Error>> {
        let log = &run.log;
        let held = self.head(log);
        if self.staged.own_log.as_ref() == Some(log) || run.after > held.to {
            return Err(Stop::Refused(Refusal::OutOfOrder { log: log.clone(), held }));
        }
        let hashes = chain(run);
        let already_held = usize::try_from(held.to - run.after).unwrap_or(usize::MAX);
        // The hash at the place we stand must be ours, else one of us holds another history.
        let hash_here = match already_held.checked_sub(1) {
            None => Some(run.prev),
            Some(index) => hashes.get(index).copied(),
        };
        if hashes.last() != Some(&run.hash) || hash_here.is_some_and(|hash| hash != held.hash) {
            return Err(Stop::Refused(Refusal::BrokenChain { log: log.clone() }));
        }
        let numbered = (run.after + 1..).zip(run.events.iter().zip(hashes));
        let head = self.take(log, numbered.skip(already_held))?;
        Ok(Answer::Stored { log: log.clone(), head })
    }

    /// Appends and applies checked events.
    fn take<'r>(
        &mut self,
        log: &LogId,
        events: impl Iterator<Item = (u64, (&'r EventBytes, ChainHash))>,
    ) -> Result<Head, S::Error> {
        for (seq, (bytes, hash)) in events {
            let at = EventRef { log: log.clone(), seq };
            self.append(&at, bytes.clone(), hash)?;
            self.apply_bytes(&at, bytes)?;
        }
        self.refold_pending()?;
        Ok(self.head(log))
    }

    /// Applies events that lie in the storage already.
    pub(super) fn replay_all(&mut self, events: &[(EventRef, EventBytes)]) -> Result<(), S::Error> {
        for (at, bytes) in events {
            self.apply_bytes(at, bytes)?;
        }
        self.refold_pending()
    }

    /// Applies the author's bytes. What cannot be read is quarantined: it has no effect and blocks nothing.
    pub(super) fn apply_bytes(&mut self, at: &EventRef, bytes: &str) -> Result<(), S::Error> {
        let reason = match Event::parse(bytes) {
            Ok(event) if event.log == at.log && event.seq == at.seq => {
                return self.apply(&Fact { id: event.fact_id(), event: event.into() });
            }
            Ok(event) => format!("says it is {} but lies at {}/{}", event.fact_id(), at.log, at.seq),
            Err(error) => error.to_string(),
        };
        self.write()?.quarantine(at, &reason)
    }
}

/// The chain hash after each event of the run.
fn chain(run: &Run) -> Vec<ChainHash> {
    let extend = |hash: &mut ChainHash, event: &EventBytes| {
        *hash = hash.extend(event);
        Some(*hash)
    };
    run.events.iter().scan(run.prev, extend).collect()
}
