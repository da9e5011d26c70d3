//! All events of all logs in the order of their clocks, each log in its own order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::Path;

use serde::Deserialize;

use crate::domain::ids::{Hlc, LogId};
use crate::ledger::storage::EventRef;
use crate::replication::log::EventBytes;
use crate::store::StoreError;
use crate::store::reader::Reader;

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
