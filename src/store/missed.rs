//! What is made from nothing else and cannot be read, or is not as it was written: gates go on without it, and it is told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use log::error;

/// So many of them are logged, each once.
const MOST_MISSED: usize = 100;

/// As far as it was met. Cheap to clone: all clones are one list.
#[derive(Debug, Clone, Default)]
pub struct Missed(Arc<Mutex<BTreeSet<String>>>);

impl Missed {
    /// Tells, once, of one thing.
    pub fn add(&self, what: &str) {
        let mut missed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of two that begin alike the longer says more.
        if missed.iter().any(|known| known.starts_with(what)) {
            return;
        }
        missed.retain(|known| !what.starts_with(known.as_str()));
        if missed.len() < MOST_MISSED && missed.insert(what.to_owned()) {
            error!(event = "event_unreadable", what; "something that is made from nothing else cannot be read, or is not as it was written: gates go on with what is known of it");
        }
    }

    /// All of it, for people.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let missed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What says where it is, before a mere number.
        let first = missed.iter().find(|what| what.contains(" of the log ")).or(missed.first())?;
        let more = match missed.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more,"),
        };
        Some(format!(
            "{first}{more} cannot be read, or not as it was written; gates go on with what is known of it. `parkmesh verify` names all of it; put back a backup, or \
             move central.db away, so that what the other centrals hold returns from them"
        ))
    }
}
