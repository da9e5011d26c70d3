//! The thread: copies what is committed, and writes it out as it goes.

use std::sync::PoisonError;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::Duration;

use rusqlite::Connection;

use super::{REST_PAGES, Shared, checkpoint, note_failure};
use crate::store::directory::DataDir;

/// What a pass copied is written out so soon after it, and again.
const WRITE_OUT_PERIOD: Duration = Duration::from_micros(150);
/// The thread syncs at most so often before the writer has its turn.
const MAX_SYNCS: u32 = 3;
/// How far the thread stands behind others that want a core, from 0 to 19. It must get some of one all the same: the log
/// grows meanwhile.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;
/// A failing thread tries again after this.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Lets gates go first where cores are few: on Linux a thread has a niceness of its own.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS) {
        log::debug!(event = "checkpoint_priority", error:% = error; "the checkpoint runs as urgently as all else");
    }
}

/// One pass, written out while it goes on.
///
/// Left to one sync at the end, thousands of scattered pages would be before the disk at once, and each commit's sync of the
/// log behind them. Whatever is wrong with the disk, the sync at the end tells.
fn pass(connection: &Connection, directory: &DataDir) -> Result<Option<u32>, rusqlite::Error> {
    std::thread::scope(|scope| {
        let (copying, over) = channel::<()>();
        let writes_out = move || {
            while let Err(RecvTimeoutError::Timeout) = over.recv_timeout(WRITE_OUT_PERIOD) {
                drop(directory.sync_database());
            }
        };
        // Where no thread is to be had the pass does without: all is written out at its end.
        drop(Builder::new().name("checkpoint-out".into()).spawn_scoped(scope, writes_out));
        let result = checkpoint(connection, "PASSIVE");
        drop(copying);
        result
    })
}

/// Passes until little is left, syncs what it copied, passes once more, then sleeps until the log is long again.
///
/// SQLite syncs the database only at the end of a checkpoint that copied everything, and that is the writer's. So that this
/// sync finds little to do, the thread does it before, and again for what it copied meanwhile if that was not little.
pub(super) fn run(connection: &Connection, directory: &DataDir, shared: &Shared) {
    give_way();
    let (mut unsynced, mut syncs) = (0, 0);
    loop {
        let life = {
            let mut progress = shared.progress();
            while !progress.passing && !progress.stop {
                progress = shared.wake.wait(progress).unwrap_or_else(PoisonError::into_inner);
            }
            if progress.stop {
                return;
            }
            progress.life
        };
        let result = pass(connection, directory);
        let mut progress = shared.progress();
        note_failure(&mut progress, &result);
        match result {
            Ok(Some(copied)) if progress.life == life => {
                let before = progress.copied;
                progress.copied = copied.min(progress.written).max(before);
                unsynced += progress.copied - before;
                let rest = progress.written.saturating_sub(progress.copied);
                // A reader of an old state stops a pass where that state ends: going on at once would be in vain.
                progress.passing = rest > REST_PAGES && progress.copied > before && !progress.writer_waits;
                let worth_it = unsynced > REST_PAGES && syncs < MAX_SYNCS;
                if !progress.passing && worth_it && !progress.writer_waits && !progress.stop {
                    progress.passing = true;
                    drop(progress);
                    (unsynced, syncs) = (0, syncs + 1);
                    // The writer's own sync comes after it, and tells of whatever is wrong with the disk.
                    drop(directory.sync_database());
                    continue;
                }
            }
            Ok(_) => progress.passing = false,
            Err(_) => {
                shared.rested.notify_all();
                let (mut after, _) =
                    shared.wake.wait_timeout(progress, FAILURE_PAUSE).unwrap_or_else(PoisonError::into_inner);
                after.passing = false;
                continue;
            }
        }
        if !progress.passing {
            (unsynced, syncs) = (0, 0);
            shared.rested.notify_all();
        }
    }
}
