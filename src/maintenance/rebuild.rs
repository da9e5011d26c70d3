//! Makes the history anew from the events, whatever was in it before.
//!
//! The events are not touched. A rebuild that is interrupted leaves a mark in the directory; the server refuses to start
//! on half a history, and the next rebuild starts over.

use std::fs;
use std::path::{Path, PathBuf};

use log::info;

use super::replay::{Merged, replay};
use super::{Progress, Site, must_exist};
use crate::domain::ids::Hlc;
use crate::ledger::storage::{Storage as _, Summary};
use crate::ledger::{Ledger, RULES_VERSION};
use crate::store::writer::Writer;
use crate::store::{DataDir, StoreError};

/// There while a rebuild is under way.
const MARK: &str = "rebuild-unfinished";

/// What a rebuild made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    pub events: u64,
    /// The digest of the history before and after, 64 hex digits; before, also that it could not be read.
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
    let open = || Ledger::open(Writer::open(&directory, site.zone.clone())?, site.context());
    let marked = |source| StoreError::Directory { path: mark(data_dir), source };
    let begin = || fs::write(mark(data_dir), b"").map_err(marked).and_then(|()| directory.sync());
    let (mut ledger, digest_before) = match open() {
        // What cannot be read goes away unread.
        Err(StoreError::Value(why)) => {
            begin()?;
            let events = Merged::open(data_dir)?.total;
            let mut writer = Writer::open(&directory, site.zone.clone())?;
            writer.begin()?;
            writer.clear_projection()?;
            writer.set_summary(&Summary { digest: [0; 32], max_hlc: Hlc::default(), events, loose_facts: 0 })?;
            writer.commit()?;
            writer.close()?;
            (open()?, format!("unreadable ({why})"))
        }
        opened => {
            let ledger = opened?;
            let digest = ledger.digest().to_string();
            begin()?;
            (ledger, digest)
        }
    };
    let events = make_anew(&mut ledger, data_dir, now_ms, progress)?;
    let rebuilt = Rebuilt { events, digest_before, digest_after: ledger.digest().to_string() };
    ledger.into_storage().close()?;
    fs::remove_file(mark(data_dir)).map_err(marked)?;
    directory.sync()?;
    Ok(rebuilt)
}

/// Makes the history anew if it was made by other rules than today's, or half made by such a change that was interrupted. The
/// number of events, if so.
///
/// # Errors
/// Those of the disk. The next start begins anew.
pub fn follow_rules(ledger: &mut Ledger<Writer>, data_dir: &Path, now_ms: i64) -> Result<Option<u64>, StoreError> {
    let made_by = ledger.storage_mut().rules_version()?;
    if made_by == RULES_VERSION {
        return Ok(None);
    }
    let events = ledger.events();
    if events > 0 {
        info!(
            event = "history_remade", events, made_by, rules = RULES_VERSION;
            "the history is made anew by the rules of this version: gates wait so long"
        );
    }
    let events = make_anew(ledger, data_dir, now_ms, &mut |_, _| {})?;
    ledger.reopen()?;
    Ok(Some(events))
}

fn make_anew(
    ledger: &mut Ledger<Writer>,
    data_dir: &Path,
    now_ms: i64,
    progress: Progress<'_>,
) -> Result<u64, StoreError> {
    ledger.storage_mut().set_rules_version(0)?;
    ledger.clear_projection()?;
    let take = |ledger: &mut Ledger<Writer>, batch: Vec<_>, now| ledger.replay(&batch, now);
    let events = replay(ledger, data_dir, now_ms, progress, take)?;
    ledger.storage_mut().set_rules_version(RULES_VERSION)?;
    Ok(events)
}
