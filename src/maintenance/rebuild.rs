//! Makes the history anew from the events, whatever was in it before.
//!
//! The events are not touched. A rebuild that is interrupted leaves a mark in the directory; the server refuses to start
//! on half a history, and the next rebuild starts over.

use std::fs;
use std::path::{Path, PathBuf};

use super::merged::Merged;
use super::{BATCH_EVENTS, Progress, Site, must_exist};
use crate::ledger::Ledger;
use crate::ledger::transaction::Now;
use crate::store::writer::Writer;
use crate::store::{DataDir, StoreError};

/// There while a rebuild is under way.
const MARK: &str = "rebuild-unfinished";

/// What a rebuild made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    pub events: u64,
    /// The digest of the history before and after, 64 hex digits.
    pub digest_before: String,
    pub digest_after: String,
}

fn mark(data_dir: &Path) -> PathBuf {
    data_dir.join(MARK)
}

/// Whether a rebuild of this directory was interrupted.
#[must_use]
pub fn is_unfinished(data_dir: &Path) -> bool {
    mark(data_dir).try_exists().unwrap_or(false)
}

/// Rebuilds the history of a central that does not run. `now_ms`: the wall clock; no row is said to be written later.
///
/// # Errors
/// [`StoreError`]: the directory is in use, there is no database, the disk fails.
pub fn rebuild(data_dir: &Path, site: &Site, now_ms: i64, progress: Progress<'_>) -> Result<Rebuilt, StoreError> {
    must_exist(data_dir)?;
    let directory = DataDir::open(data_dir)?;
    let writer = Writer::open(&directory, site.zone.clone())?;
    let mut ledger = Ledger::open(writer, site.context())?;
    let digest_before = ledger.digest().to_string();
    let marked = |source| StoreError::Directory { path: mark(data_dir), source };
    fs::write(mark(data_dir), b"").map_err(marked)?;
    directory.sync()?;

    ledger.clear_projection()?;
    let mut events = Merged::open(data_dir)?;
    let (mut done, total) = (0, events.total);
    loop {
        let batch = events.next_batch(BATCH_EVENTS)?;
        if batch.is_empty() {
            break;
        }
        // At about the time of the events the ledger need not doubt what was forgotten since: nearly all are plain steps.
        let wall_ms = events.clock().ms().min(now_ms);
        ledger.replay(&batch, Now { wall_ms, skew_ms: None })?;
        ledger.storage_mut().make_room();
        done += batch.len() as u64;
        progress(done, total);
    }
    let rebuilt = Rebuilt { events: done, digest_before, digest_after: ledger.digest().to_string() };
    drop(events);
    ledger.into_storage().close()?;
    fs::remove_file(mark(data_dir)).map_err(marked)?;
    directory.sync()?;
    Ok(rebuilt)
}
