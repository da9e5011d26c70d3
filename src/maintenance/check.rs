//! Holds the events of a central that runs against the hashes they were written with, and the values of its tables against their types, once
//! after each start and slowly: what was changed beneath it is told before somebody asks for it.

use std::path::Path;
use std::time::Instant;

use log::info;

use crate::background;
use crate::replication::log::Head;
use crate::store::StoreError;
use crate::store::missed::Missed;
use crate::store::reader::Reader;

/// Read in one go, in bytes.
const READ_BYTES: usize = 256 * 1024;
/// Long tables whose rows were looked at one by one, or that hold no value that is summed.
const READ_ALREADY: [&str; 3] = ["audit", "event", "log"];
/// It rests so much longer than it reads.
const REST: u32 = 9;

/// All logs, one after the other, then the tables. What is wrong with an event is told through `missed`, with a table `unreadable`.
///
/// # Errors
/// The database cannot be opened, or its table of logs not be read.
pub fn check_events(
    data_dir: &Path,
    missed: &Missed,
    mut unreadable: impl FnMut(StoreError),
) -> Result<(), StoreError> {
    let begun = Instant::now();
    let heads = Reader::open(data_dir)?.heads()?;
    let logs = heads.len();
    for (log, _) in heads {
        // Anew each time: another file may have the name by now.
        let mut reader = Reader::open(data_dir)?;
        let mut next = Some(Head::empty(&log));
        while let Some(from) = next {
            let started = Instant::now();
            next = match reader.check_events(&log, from, READ_BYTES) {
                Ok((wrong, next)) => {
                    wrong.iter().for_each(|what| missed.add(what));
                    next
                }
                Err(error) => {
                    missed.add(&format!("what follows event {} of the log {log} ({error})", from.to));
                    None
                }
            };
            std::thread::sleep(started.elapsed() * REST);
        }
    }
    // SQLite finds a number that is none, which a sum would leave out without a word.
    for table in Reader::open(data_dir)?.tables()?.into_iter().filter(|table| !READ_ALREADY.contains(&table.as_str())) {
        let mut reader = Reader::open(data_dir)?;
        let started = Instant::now();
        if let Err(error) = reader.check_table(&table) {
            unreadable(error);
        }
        std::thread::sleep(started.elapsed() * REST);
    }
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    info!(event = "events_checked", logs, took_ms; "the events were held against their hashes");
    Ok(())
}

/// Begins it on a thread of its own, which gives way to all others.
pub fn begin(data_dir: std::path::PathBuf, missed: Missed, unreadable: impl FnMut(StoreError) + Send + 'static) {
    let check = move || {
        background::stand_behind(NICENESS);
        if let Err(error) = check_events(&data_dir, &missed, unreadable) {
            log::warn!(event = "events_not_checked", reason = error.to_string(); "the events could not be held against their hashes");
        }
    };
    drop(std::thread::Builder::new().name("check-events".into()).spawn(check));
}

/// Behind everybody.
const NICENESS: i32 = 19;
