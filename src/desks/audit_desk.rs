//! The way into the audit, for whoever changes, lets in or turns away. No actor: every worker reaches it.
//!
//! - What changes something is written *before* it is done, and is on the disk when [`AuditDesk::write`] returns: there is no change
//!   without its entry. A change that fails after that has a second entry saying so.
//! - Logins and refusals are noted, and written once a second by [`AuditDesk::keep`]: a flood of them costs gates one commit a second.
//!   On a clean stop [`AuditDesk::finish`] writes the rest.
//! - What the ledger changes is written by itself, in the transaction of the change: `ledger/audited.rs`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::warn;
use tokio::sync::oneshot;

use crate::access::tally::Tally;
use crate::domain::audit::{Act, AuditEntry, DONE};
use crate::ledger::job::{Job, Outcome};
use crate::ops::clock::Clock;

/// How often what was noted is written.
const PERIOD: Duration = Duration::from_secs(1);

/// The entry is not on the disk: what it tells of must not be done. Why is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit cannot be written")]
pub struct NotWritten;

type Send = Box<dyn Fn(Job, oneshot::Sender<Outcome>) + std::marker::Send + Sync>;

/// See the module.
pub struct AuditDesk {
    send: Send,
    clock: Clock,
    tally: Mutex<Tally>,
}

impl AuditDesk {
    /// `send`: the way to the writer.
    pub fn new(
        send: impl Fn(Job, oneshot::Sender<Outcome>) + std::marker::Send + Sync + 'static,
        clock: Clock,
    ) -> Self {
        Self { send: Box::new(send), clock, tally: Mutex::default() }
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Somebody logged in or out.
    pub fn note(&self, act: Act) {
        self.note_outcome(act, DONE);
    }

    /// Somebody was turned away, with that stable code.
    pub fn note_refusal(&self, act: Act, code: &str) {
        self.note_outcome(act, code);
    }

    fn note_outcome(&self, act: Act, outcome: &str) {
        let now_ms = self.now_ms();
        self.tally().note(act, outcome, now_ms);
    }

    /// Writes an entry; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn write(&self, entry: AuditEntry) -> Result<(), NotWritten> {
        written(self.ask(vec![entry]).await.ok())
    }

    /// As [`AuditDesk::write`], for threads that may block.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub fn write_blocking(&self, entry: AuditEntry) -> Result<(), NotWritten> {
        written(self.ask(vec![entry]).blocking_recv().ok())
    }

    /// Writes what is noted, once a second, for ever.
    pub async fn keep(&self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let entries = self.tally().take(self.now_ms());
            self.write_noted(entries).await;
        }
    }

    /// Writes all that is noted: nothing is noted any more.
    pub async fn finish(&self) {
        let entries = self.tally().take_all();
        let count = entries.len();
        if !self.write_noted(entries).await {
            warn!(event = "audit_not_written", entries = count; "logins and refusals of the last minute could not be written to the audit");
        }
    }

    /// Whether they are written; else they are kept for the next time.
    async fn write_noted(&self, entries: Vec<AuditEntry>) -> bool {
        if entries.is_empty() {
            return true;
        }
        let done = written(self.ask(entries.clone()).await.ok()).is_ok();
        if !done {
            self.tally().give_back(entries);
        }
        done
    }

    fn ask(&self, entries: Vec<AuditEntry>) -> oneshot::Receiver<Outcome> {
        let (reply, outcome) = oneshot::channel();
        (self.send)(Job::Audit(entries), reply);
        outcome
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer has logged why not.
fn written(outcome: Option<Outcome>) -> Result<(), NotWritten> {
    if let Some(Ok(_)) = outcome { Ok(()) } else { Err(NotWritten) }
}
