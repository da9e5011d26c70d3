//! Making the history of a ledger from all events of a directory, in the order of their clocks: nearly every event is then the
//! newest of its plate and takes one step, and what waits is folded as it is while a central runs.

use std::path::Path;

use super::Progress;
use crate::domain::ids::Hlc;
use crate::domain::ids::LogId;
use crate::ledger::Ledger;
use crate::ledger::storage::EventRef;
use crate::ledger::transaction::Now;
use crate::replication::log::EventBytes;
use crate::store::StoreError;
use crate::store::reader::Reader;
use crate::store::writer::Writer;
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::VecDeque;

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
