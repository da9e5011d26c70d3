//! Making the history of a ledger from all events of a directory, in the order of their clocks: nearly every event is then the
//! newest of its plate and takes one step, and what waits is folded as it is while a central runs.

use std::path::Path;

use super::Progress;
use super::merged::Merged;
use crate::ledger::Ledger;
use crate::ledger::storage::EventRef;
use crate::ledger::transaction::Now;
use crate::replication::log::EventBytes;
use crate::store::StoreError;
use crate::store::writer::Writer;

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
