//! Whether a run that a peer sent was written by whose log it is. What is not is not stored: it has no effect anywhere.

use std::fmt;

use crate::domain::authorship::{Author, Key, OpenedBy, Proof, opening_message};
use crate::domain::hash::HashMap;
use crate::domain::ids::{CentralId, LogId};
use crate::replication::log::{Doubt, Head, Run};

use super::job::Refusal;
use super::storage::{EventRef, Storage};
use super::transaction::{Stop, Transaction};

/// Logs of which is remembered what their next event has to reveal; beyond this many all are looked up anew.
const MOST_REMEMBERED: usize = 256;

/// Why whoever began a log is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrusted {
    /// Somebody else than the central whose name it has.
    #[error("{0}")]
    Forged(String),
    /// No key is known for that central; it may be later.
    #[error("{0}")]
    Unknown(String),
    /// The central signs its logs now, and not this one: it may be older, and then the central gives it itself.
    #[error("{0}")]
    Unsigned(String),
}

/// Who may begin logs, and under which name. Asked once per log, on the writer's thread.
pub trait Judge: Send {
    /// Whether who signed the beginning of a log may write under its name.
    ///
    /// # Errors
    /// [`Distrusted`]
    fn opened(&self, log: &LogId, message: &[u8], by: &OpenedBy) -> Result<(), Distrusted>;

    /// Whether a log whose beginning nobody signed is believed, as an older version writes them. `author_opens`: a log of that
    /// central that was signed is held here. `from_author`: that central gives it itself.
    ///
    /// # Errors
    /// [`Distrusted`]
    fn unopened(&self, log: &LogId, author_opens: bool, from_author: bool) -> Result<(), Distrusted>;

    /// More of a log came that is believed.
    fn more_came(&self, _log: &LogId) {}
}

/// What shows others that this process wrote its logs, and judges those of others. Without either, as in a tool that reads a
/// database, logs are written without proof, and what comes is believed.
#[derive(Default)]
pub struct Authorship {
    author: Option<Author>,
    judge: Option<Box<dyn Judge>>,
    /// What the next event of a log has to reveal, at these heads.
    bound: HashMap<LogId, (Head, Key)>,
}

impl fmt::Debug for Authorship {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorship").field("author", &self.author).finish_non_exhaustive()
    }
}

impl Authorship {
    pub fn new(author: Author, judge: Box<dyn Judge>) -> Self {
        Self { author: Some(author), judge: Some(judge), bound: HashMap::default() }
    }

    /// Of a tool that writes, and believes what comes.
    pub fn unjudging(author: Author) -> Self {
        Self { author: Some(author), ..Self::default() }
    }

    /// What the own event at this place carries.
    pub fn proof(&mut self, log: &LogId, seq: u64) -> Proof {
        self.author.as_mut().map(|author| author.proof(log, seq)).unwrap_or_default()
    }

    fn remember(&mut self, log: &LogId, head: Head, key: Key) {
        if self.bound.len() >= MOST_REMEMBERED {
            self.bound.clear();
        }
        self.bound.insert(log.clone(), (head, key));
    }
}

impl<S: Storage> Transaction<'_, S> {
    /// Checks the events of `run` that are new, those after the first `known`, against what is `held`. Its chain was checked.
    pub(super) fn check_author(
        &mut self,
        run: &Run,
        held: Head,
        known: usize,
        from_author: bool,
    ) -> Result<(), Stop<S::Error>> {
        if self.authorship.judge.is_none() {
            return Ok(());
        }
        let log = &run.log;
        let mut new = run.events.iter().skip(known);
        let mut bound = if held.to == 0 {
            let Some(first) = new.next() else { return Ok(()) };
            let proof = Proof::of(first);
            if let Some((anchor, by)) = proof.opening() {
                self.judged(log, |judge| judge.opened(log, &opening_message(log, anchor), by))?;
                Some(anchor)
            } else {
                None
            }
        } else {
            self.bound_at(log, held)?
        };
        if bound.is_none() {
            let author_opens = !from_author && self.opens_logs(&log.central)?;
            return self.judged(log, |judge| judge.unopened(log, author_opens, from_author));
        }
        for event in new {
            bound = bound.and_then(|bound| Proof::of(event).continues(log, bound));
        }
        let Some(key) = bound else {
            let reason = "it goes on with what was not written by the process that began it".to_owned();
            return Err(Stop::Refused(Refusal::NotItsAuthor { log: log.clone(), reason, doubt: Doubt::Certain }));
        };
        self.authorship.remember(log, run.head(), key);
        Ok(())
    }

    pub(super) fn note_more(&self, log: &LogId) {
        if let Some(judge) = &self.authorship.judge {
            judge.more_came(log);
        }
    }

    fn judged(
        &self,
        log: &LogId,
        ask: impl FnOnce(&dyn Judge) -> Result<(), Distrusted>,
    ) -> Result<(), Stop<S::Error>> {
        let Some(judge) = &self.authorship.judge else { return Ok(()) };
        ask(&**judge).map_err(|why| {
            let doubt = match why {
                Distrusted::Forged(_) => Doubt::Certain,
                Distrusted::Unknown(_) => Doubt::UnknownKey,
                Distrusted::Unsigned(_) => Doubt::Unsigned,
            };
            Stop::Refused(Refusal::NotItsAuthor { log: log.clone(), reason: why.to_string(), doubt })
        })
    }

    /// What the event after the last one held has to reveal; `None`: nothing binds it.
    fn bound_at(&mut self, log: &LogId, held: Head) -> Result<Option<Key>, S::Error> {
        if let Some((_, key)) = self.authorship.bound.get(log).filter(|(head, _)| *head == held) {
            return Ok(Some(*key));
        }
        let last = self.read()?.event(&EventRef { log: log.clone(), seq: held.to })?;
        Ok(last.and_then(|event| Proof::of(&event).binds()))
    }

    /// Whether a log is held here whose beginning that central signed.
    fn opens_logs(&mut self, central: &CentralId) -> Result<bool, S::Error> {
        let state = self.state;
        let logs: Vec<LogId> = state.heads.keys().filter(|log| log.central == *central).cloned().collect();
        for log in logs {
            let first = self.read()?.event(&EventRef { log, seq: 1 })?;
            if first.is_some_and(|event| Proof::of(&event).opening().is_some()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
