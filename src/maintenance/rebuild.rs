//! Makes the history anew from the events, whatever was in it before.
//!
//! The events are not touched, and what of them cannot be read is left out. Half a history is marked as such, by a rebuild that is
//! interrupted with a file in the directory: the next start, or rebuild, begins anew.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use log::{info, warn};
use serde::Deserialize;

use super::{Progress, RebuildFor, must_exist};
use crate::domain::ids::{Hlc, LogId};
use crate::domain::time::SiteZone;
use crate::ledger::storage::{EventRef, Storage as _};
use crate::ledger::transaction::TransactionTime;
use crate::ledger::{Context, Ledger, RULES_VERSION};
use crate::replication::log::EventBytes;
use crate::store::error::told_salvaged;
use crate::store::reader::Reader;
use crate::store::salvage::{Salvaged, salvage};
use crate::store::writer::{Writer, say_unreadable};
use crate::store::{DataDir, StoreError};

/// There while a rebuild is under way.
const MARK: &str = "rebuild-unfinished";
/// How often a start, or a central that runs, says how far it is.
const PROGRESS_PERIOD: Duration = Duration::from_secs(5);

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

fn remove_mark(directory: &DataDir) -> Result<(), StoreError> {
    let path = mark(directory.path());
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(StoreError::Directory { path, source }),
        Ok(()) => directory.sync(),
    }
}

/// A history that was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remade {
    pub events: u64,
    /// Why it is on a new file, if it is, for people.
    pub on_new_file: Option<String>,
}

/// Opens the database, and where pages of it are broken a new one that is written from it. Why all that is made from the events is empty
/// and to be made anew, if so, for people.
///
/// # Errors
/// Those of the disk.
pub fn open_writer(directory: &DataDir, zone: SiteZone) -> Result<(Writer, Option<String>), StoreError> {
    let opened = Writer::open(directory, zone.clone()).and_then(|writer| {
        writer.seen_starts()?;
        Ok(writer)
    });
    match opened {
        Err(broken) if broken.is_broken_page() => {
            let (writer, why) = on_new_file(directory, zone, broken)?;
            Ok((writer, Some(why)))
        }
        opened => {
            let writer = opened?;
            let why = writer.emptied();
            Ok((writer, why))
        }
    }
}

/// Where not even that can be done, `broken` says what to do.
fn on_new_file(directory: &DataDir, zone: SiteZone, broken: StoreError) -> Result<(Writer, String), StoreError> {
    let Salvaged { kept, lost } = match salvage(directory) {
        Ok(salvaged) => salvaged,
        Err(error) => {
            warn!(event = "database_not_salvaged", reason = error.to_string(); "no new database could be written from the damaged one");
            return Err(broken);
        }
    };
    let writer = Writer::open(directory, zone)?;
    lost.iter().for_each(|what| writer.miss(what));
    Ok((writer, told_salvaged(&kept)))
}

/// Opens the ledger of a database whatever is made from its events. What could not be read of that, if so, for people: it is emptied,
/// and [`follow_rules`] makes it anew.
///
/// # Errors
/// Those of the disk.
pub fn open(
    writer: Writer,
    directory: &DataDir,
    context: Context,
) -> Result<(Ledger<Writer>, Option<String>), StoreError> {
    let zone = context.zone.clone();
    let opened = Ledger::open(writer, context.clone()).and_then(|mut ledger| {
        ledger.storage_mut().check_settings()?;
        ledger.openers()?;
        Ok(ledger)
    });
    match opened {
        Err(error) if error.is_broken_page() => {
            let (writer, why) = on_new_file(directory, zone, error)?;
            Ok((Ledger::open(writer, context)?, Some(why)))
        }
        Err(error) if error.is_of_derived() => {
            let mut writer = Writer::open(directory, zone)?;
            say_unreadable(&error);
            writer.forget_derived()?;
            Ok((Ledger::open(writer, context)?, Some(error.to_string())))
        }
        opened => Ok((opened?, None)),
    }
}

/// Before a history is emptied: where pages cannot be read that goes wrong, and the ledger goes on with a new file.
fn mend_pages(ledger: &mut Ledger<Writer>) -> Result<Option<String>, StoreError> {
    if ledger.storage().is_whole()? { Ok(None) } else { on_new_file_meanwhile(ledger).map(Some) }
}

fn on_new_file_meanwhile(ledger: &mut Ledger<Writer>) -> Result<String, StoreError> {
    let kept = ledger.storage_mut().go_on_anew()?;
    ledger.reopen()?;
    Ok(told_salvaged(&kept))
}

/// Rebuilds the history of a central that does not run. `now_ms`: the wall clock; no row is said to be written later.
///
/// # Errors
/// [`StoreError`]: the directory is in use, there is no database, the disk fails.
pub fn rebuild(data_dir: &Path, site: &RebuildFor, now_ms: i64, progress: Progress<'_>) -> Result<Rebuilt, StoreError> {
    must_exist(data_dir)?;
    let directory = DataDir::open(data_dir)?;
    let marked = |source| StoreError::Directory { path: mark(data_dir), source };
    fs::write(mark(data_dir), b"").map_err(marked).and_then(|()| directory.sync())?;
    let (writer, emptied) = open_writer(&directory, site.zone.clone())?;
    let (mut ledger, unreadable) = open(writer, &directory, site.context())?;
    let unreadable = unreadable.or(emptied).or(mend_pages(&mut ledger)?);
    let digest_before = unreadable.map_or_else(|| ledger.digest().to_string(), |why| format!("unreadable ({why})"));
    let events = make_anew(&mut ledger, data_dir, now_ms, progress)?;
    let rebuilt = Rebuilt { events, digest_before, digest_after: ledger.digest().to_string() };
    ledger.into_storage().close()?;
    remove_mark(&directory)?;
    Ok(rebuilt)
}

/// Makes the history anew if it was made by other rules than today's, or half made by such a change or a rebuild that was
/// interrupted. How far it is, is logged.
///
/// # Errors
/// Those of the disk. The next start begins anew.
pub fn follow_rules(
    ledger: &mut Ledger<Writer>,
    directory: &DataDir,
    now_ms: i64,
    progress: Progress<'_>,
) -> Result<Option<Remade>, StoreError> {
    let data_dir = directory.path();
    let is_half_rebuilt = mark(data_dir).try_exists().unwrap_or(false);
    let made_by = if is_half_rebuilt { 0 } else { ledger.storage_mut().rules_version()? };
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
    // Where no new file can be written, emptying the tables may do.
    let on_new_file = mend_pages(ledger).unwrap_or_else(|error| {
        warn!(event = "database_not_salvaged", reason = error.to_string(); "no new database could be written from the damaged one");
        None
    });
    let events = make_anew_saying_so(ledger, data_dir, now_ms, progress)?;
    remove_mark(directory)?;
    Ok(Some(Remade { events, on_new_file }))
}

/// Makes the history anew of a central that runs, whatever is in it; its writer is at nothing else meanwhile. Its next own event begins
/// a new log. How far it is, is logged. `with_losses`: also where not all events can be read, on a new file, for gates are shut else.
///
/// The inner error: not all events can be read, or pages cannot and there is no room for a new file, and nothing was changed.
///
/// # Errors
/// Those of the disk. The next start begins anew.
pub fn make_anew_meanwhile(
    ledger: &mut Ledger<Writer>,
    data_dir: &Path,
    now_ms: i64,
    with_losses: bool,
    progress: Progress<'_>,
) -> Result<Result<Remade, String>, StoreError> {
    let mut prepare = || -> Result<Option<String>, StoreError> {
        ledger.storage_mut().stand()?;
        if with_losses {
            return on_new_file_meanwhile(ledger).map(Some);
        }
        // All of it is read before anything is emptied: one car that waits is less than gates that cannot open.
        Merged::open(data_dir)?.read_through()?;
        mend_pages(ledger)
    };
    let on_new_file = match prepare() {
        Ok(on_new_file) => on_new_file,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if on_new_file.is_none() {
        ledger.storage_mut().forget_derived()?;
    }
    let events = make_anew_saying_so(ledger, data_dir, now_ms, progress)?;
    Ok(Ok(Remade { events, on_new_file }))
}

fn make_anew_saying_so(
    ledger: &mut Ledger<Writer>,
    data_dir: &Path,
    now_ms: i64,
    progress: Progress<'_>,
) -> Result<u64, StoreError> {
    let mut said = Instant::now();
    let events = make_anew(ledger, data_dir, now_ms, &mut |done, total| {
        progress(done, total);
        if said.elapsed() >= PROGRESS_PERIOD {
            said = Instant::now();
            info!(event = "history_remaking", done, total; "the history is being made anew from the events");
        }
    })?;
    ledger.reopen()?;
    Ok(events)
}

fn make_anew(
    ledger: &mut Ledger<Writer>,
    data_dir: &Path,
    now_ms: i64,
    progress: Progress<'_>,
) -> Result<u64, StoreError> {
    ledger.storage_mut().set_rules_version(0)?;
    ledger.clear_projection()?;
    let held = Merged::open(data_dir)?.total;
    let events = replay(ledger, data_dir, now_ms, progress)?;
    if events < held {
        ledger.storage_mut().miss(&format!("{} of {held} events", held - events));
    }
    ledger.storage_mut().set_rules_version(RULES_VERSION)?;
    Ok(events)
}

/// Events taken in one transaction.
const BATCH_EVENTS: usize = 2_000;
/// Facts folded in one.
pub(super) const FOLDED_FACTS: usize = 4_000;

/// Hands all events of `data_dir` to the ledger, some at a time, and folds what waits. Returns how many there were.
/// `now_ms`: the wall clock.
pub(super) fn replay(
    ledger: &mut Ledger<Writer>,
    data_dir: &Path,
    now_ms: i64,
    progress: Progress<'_>,
) -> Result<u64, StoreError> {
    let mut events = Merged::open(data_dir)?;
    let (mut done, total) = (0, events.total);
    let now = TransactionTime { wall_ms: now_ms, skew_ms: None, clock_wrong: false };
    loop {
        let batch = events.next_batch(BATCH_EVENTS)?;
        if batch.is_empty() {
            return Ok(done);
        }
        done += batch.len() as u64;
        ledger.replay(&batch, now)?;
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
    ahead: VecDeque<(u64, EventBytes)>,
}

/// Yields every event that can be read once.
pub struct Merged {
    reader: Reader,
    cursors: Vec<Cursor>,
    /// The next event's clock of each cursor that has one.
    next: BinaryHeap<Reverse<(Hlc, usize)>>,
    pub total: u64,
}

#[derive(Deserialize)]
struct FactClock {
    hlc: Hlc,
}

/// An event that cannot be read is quarantined wherever it comes.
fn clock_of(event: &str) -> Hlc {
    serde_json::from_str::<FactClock>(event).map(|clock| clock.hlc).unwrap_or_default()
}

impl Merged {
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let mut reader = Reader::open(data_dir)?;
        let heads = reader.heads()?;
        let total = heads.iter().map(|(_, head)| head.to).sum();
        let cursors = heads.into_iter().map(|(log, _)| Cursor { log, taken: 0, ahead: VecDeque::new() }).collect();
        let mut merged = Self { reader, cursors, next: BinaryHeap::new(), total };
        for index in 0..merged.cursors.len() {
            // Of all logs at once: one event each. Those of a central hardly overlap in time, so that few are read further together.
            merged.look_ahead(index, 1)?;
        }
        Ok(merged)
    }

    /// Puts the next event of a log in line.
    fn look_ahead(&mut self, index: usize, bytes: usize) -> Result<(), StoreError> {
        let Some(cursor) = self.cursors.get_mut(index) else { return Ok(()) };
        if cursor.ahead.is_empty() {
            cursor.ahead.extend(self.reader.readable_events(&cursor.log, cursor.taken, bytes)?);
        }
        if let Some((_, event)) = cursor.ahead.front() {
            self.next.push(Reverse((clock_of(event), index)));
        }
        Ok(())
    }

    /// The next event; `None`: that was all.
    pub fn next_event(&mut self) -> Result<Option<(EventRef, EventBytes)>, StoreError> {
        let Some(Reverse((_, index))) = self.next.pop() else { return Ok(None) };
        let Some(cursor) = self.cursors.get_mut(index) else { return Ok(None) };
        let Some((seq, event)) = cursor.ahead.pop_front() else { return Ok(None) };
        cursor.taken = seq;
        let at = EventRef { log: cursor.log.clone(), seq };
        self.look_ahead(index, READ_BYTES)?;
        Ok(Some((at, event)))
    }

    fn read_through(mut self) -> Result<(), StoreError> {
        while self.next_event()?.is_some() {}
        Ok(())
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
