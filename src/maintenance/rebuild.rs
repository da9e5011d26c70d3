//! Makes the history anew from the events, whatever was in it before.
//!
//! The events are not touched. A rebuild that is interrupted leaves a mark in the directory; the server refuses to start
//! on half a history, and the next rebuild starts over.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use log::info;
use serde::Deserialize;

use super::{Progress, Site, must_exist};
use crate::domain::ids::{Hlc, LogId};
use crate::ledger::storage::{EventRef, Storage as _, Summary};
use crate::ledger::transaction::Now;
use crate::ledger::{Ledger, RULES_VERSION};
use crate::replication::log::EventBytes;
use crate::store::reader::Reader;
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

/// Events taken in one transaction.
const BATCH_EVENTS: usize = 2_000;
/// Facts folded in one.
pub(super) const FOLDED_FACTS: usize = 4_000;

/// Hands all events of `data_dir` to the ledger, some at a time, and folds what waits. Returns how many there were. `take` makes
/// the ledger know of them. `now_ms`: the wall clock.
pub(super) fn replay(
    ledger: &mut Ledger<Writer>,
    data_dir: &Path,
    now_ms: i64,
    progress: Progress<'_>,
    mut take: impl FnMut(&mut Ledger<Writer>, Vec<(EventRef, EventBytes)>, Now) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let mut events = Merged::open(data_dir)?;
    let (mut done, total) = (0, events.total);
    let now = Now { wall_ms: now_ms, skew_ms: None, clock_wrong: false };
    loop {
        let batch = events.next_batch(BATCH_EVENTS)?;
        if batch.is_empty() {
            return Ok(done);
        }
        done += batch.len() as u64;
        take(ledger, batch, now)?;
        while ledger.settle(FOLDED_FACTS, now)? > 0 {}
        ledger.storage_mut().make_room();
        progress(done, total);
    }
}

/// Read ahead of each log, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// One log being read.
struct Cursor {
    log: LogId,
    /// The last event taken.
    taken: u64,
    ahead: VecDeque<EventBytes>,
}

/// Yields every event once.
pub struct Merged {
    reader: Reader,
    cursors: Vec<Cursor>,
    /// The next event's clock of each cursor that has one.
    next: BinaryHeap<Reverse<(Hlc, usize)>>,
    pub total: u64,
}

#[derive(Deserialize)]
struct Clock {
    hlc: Hlc,
}

/// An event that cannot be read is quarantined wherever it comes.
fn clock_of(event: &str) -> Hlc {
    serde_json::from_str::<Clock>(event).map(|clock| clock.hlc).unwrap_or_default()
}

impl Merged {
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let mut reader = Reader::open(data_dir)?;
        let heads = reader.heads()?;
        let total = heads.iter().map(|(_, head)| head.to).sum();
        let cursors = heads.into_iter().map(|(log, _)| Cursor { log, taken: 0, ahead: VecDeque::new() }).collect();
        let mut merged = Self { reader, cursors, next: BinaryHeap::new(), total };
        for index in 0..merged.cursors.len() {
            merged.look_ahead(index)?;
        }
        Ok(merged)
    }

    /// Puts the next event of a log in line.
    fn look_ahead(&mut self, index: usize) -> Result<(), StoreError> {
        let Some(cursor) = self.cursors.get_mut(index) else { return Ok(()) };
        if cursor.ahead.is_empty()
            && let Some(run) = self.reader.run(&cursor.log, cursor.taken, READ_BYTES)?
        {
            cursor.ahead.extend(run.events);
        }
        if let Some(event) = cursor.ahead.front() {
            self.next.push(Reverse((clock_of(event), index)));
        }
        Ok(())
    }

    /// The next event; `None`: that was all.
    pub fn next_event(&mut self) -> Result<Option<(EventRef, EventBytes)>, StoreError> {
        let Some(Reverse((_, index))) = self.next.pop() else { return Ok(None) };
        let Some(cursor) = self.cursors.get_mut(index) else { return Ok(None) };
        let Some(event) = cursor.ahead.pop_front() else { return Ok(None) };
        cursor.taken += 1;
        let at = EventRef { log: cursor.log.clone(), seq: cursor.taken };
        self.look_ahead(index)?;
        Ok(Some((at, event)))
    }

    /// At most `most` events; empty at the end.
    pub fn next_batch(&mut self, most: usize) -> Result<Vec<(EventRef, EventBytes)>, StoreError> {
        let mut batch = Vec::with_capacity(most);
        while batch.len() < most
            && let Some(event) = self.next_event()?
        {
            batch.push(event);
        }
        Ok(batch)
    }
}
