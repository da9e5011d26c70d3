//! Checks everything a central holds: the file, the chains, the rows, and that the history is what its events give.
//!
//! The last is checked by making the history anew in a scratch directory inside the data directory, which needs about as
//! much disk again and is removed afterwards.

use std::fs;
use std::path::Path;

use super::merged::Merged;
use super::{BATCH_EVENTS, Progress, Site, must_exist};
use crate::domain::ids::Epoch;
use crate::ledger::job::Job;
use crate::ledger::transaction::Now;
use crate::ledger::{Ledger, Processed};
use crate::replication::log::{Head, Run};
use crate::store::verify::{Evidence, Report};
use crate::store::writer::Writer;
use crate::store::{DataDir, StoreError};

const SCRATCH: &str = "verify-scratch";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub report: Report,
    /// The digest in the file, the one its rows give, and the one its events give, 64 hex digits each.
    pub digest_said: String,
    pub digest_of_rows: String,
    /// `None`: not made, because the file itself is damaged.
    pub digest_of_events: Option<String>,
}

impl Verified {
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let as_events_give = self.digest_of_events.as_ref() == Some(&self.digest_said);
        self.report.is_whole() && as_events_give && self.digest_of_rows == self.digest_said
    }
}

/// Checks the database of a central that does not run.
///
/// # Errors
/// [`StoreError`]: the directory is in use, there is no database, it cannot be read at all, no room for the scratch copy.
/// What is wrong with the contents is in the result.
pub fn verify(data_dir: &Path, site: &Site, progress: Progress<'_>) -> Result<Verified, StoreError> {
    must_exist(data_dir)?;
    let directory = DataDir::open(data_dir)?;
    let mut evidence = Evidence::open(&directory)?;
    let report = evidence.check()?;
    let mut rows = crate::ledger::digest::Digest::default();
    evidence.all_rows::<StoreError>(|stored| {
        rows.add(stored.row.hash());
        Ok(())
    })?;
    drop(evidence);
    let writer = Writer::open(&directory, site.zone.clone())?;
    let ledger = Ledger::open(writer, site.context())?;
    let digest_said = ledger.digest().to_string();
    ledger.settings().hashes().for_each(|hash| rows.add(hash));
    ledger.into_storage().close()?;
    let digest_of_events = if report.is_whole() { Some(made_anew(data_dir, site, progress)?) } else { None };
    Ok(Verified { report, digest_said, digest_of_rows: rows.to_string(), digest_of_events })
}

/// The digest of the history its events give.
fn made_anew(data_dir: &Path, site: &Site, progress: Progress<'_>) -> Result<String, StoreError> {
    let scratch = data_dir.join(SCRATCH);
    let cleared = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Directory { path: scratch.clone(), source: error })
        }
        _ => Ok(()),
    };
    cleared(fs::remove_dir_all(&scratch))?;
    let digest = replay_into(&scratch, data_dir, site, progress);
    cleared(fs::remove_dir_all(&scratch))?;
    digest
}

fn replay_into(scratch: &Path, data_dir: &Path, site: &Site, progress: Progress<'_>) -> Result<String, StoreError> {
    let directory = DataDir::open(scratch)?;
    let mut ledger = Ledger::open(Writer::open(&directory, site.zone.clone())?, site.context())?;
    let mut events = Merged::open(data_dir)?;
    let (mut done, total) = (0, events.total);
    loop {
        let batch = events.next_batch(BATCH_EVENTS)?;
        if batch.is_empty() {
            return Ok(ledger.digest().to_string());
        }
        done += batch.len() as u64;
        let mut jobs: Vec<Job> = Vec::new();
        let mut heads: std::collections::HashMap<_, Head> = std::collections::HashMap::new();
        for (at, event) in batch {
            let held = |log: &_| ledger.heads().find(|(known, _)| *known == log).map(|(_, head)| *head);
            let head =
                heads.entry(at.log.clone()).or_insert_with(|| held(&at.log).unwrap_or_else(|| Head::empty(&at.log)));
            let (prev, hash) = (head.hash, head.hash.extend(&event));
            let after = head.to;
            *head = Head { to: after + 1, hash };
            jobs.push(Job::Store(Run { log: at.log, after, prev, events: vec![event], hash }));
        }
        let Processed { failure, .. } = ledger.process(jobs, Now { wall_ms: 0, skew_ms: None }, Epoch(0));
        if let Some(reason) = failure {
            return Err(StoreError::Value(reason));
        }
        ledger.storage_mut().make_room();
        progress(done, total);
    }
}
