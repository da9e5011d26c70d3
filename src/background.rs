//! Work that gates must not wait for: it stands behind them at the cores, and gives the disk little at a time.
//!
//! A low priority alone does not do it. A thread that has just been given a core keeps it on Linux until the next tick, 4 ms, whoever wakes up
//! meanwhile; and what was only written lies in memory until somebody syncs, when each commit's own sync waits behind all of it.

use std::fs::File;
use std::io::{self, Write};
use std::time::Instant;

/// Written out at a time: some milliseconds of a disk.
const PIECE_BYTES: u64 = 1 << 20;
/// After a piece the disk is left to others for so many times as long as that took.
const REST: u32 = 2;

/// Puts this thread behind others that want a core, by so much from 0 to 19. Where that is refused it only competes with them.
pub fn stand_behind(niceness: i32) {
    // Of this thread alone, as threads are on Linux.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness) {
        log::debug!(event = "thread_priority", error:% = error; "this thread runs as urgently as all else");
    }
}

/// Lets go first who waits for this core. To be called every fraction of a millisecond of work.
pub fn give_way() {
    rustix::thread::sched_yield();
}

/// Writes a file out while it grows, so that no sync finds much to do.
#[derive(Debug, Default)]
pub struct WrittenOut {
    bytes: u64,
}

impl WrittenOut {
    /// `bytes`: how long the file is by now.
    ///
    /// # Errors
    /// What the disk says.
    pub fn grown_to(&mut self, bytes: u64, file: &File) -> io::Result<()> {
        if bytes >= self.bytes + PIECE_BYTES {
            let begun = Instant::now();
            file.sync_data()?;
            std::thread::sleep(begun.elapsed() * REST);
            self.bytes = bytes;
        }
        Ok(())
    }
}

/// A file that is written in the background, from its beginning to its end.
#[derive(Debug)]
pub struct BackgroundFile<'a> {
    file: &'a mut File,
    bytes: u64,
    written_out: WrittenOut,
}

impl<'a> BackgroundFile<'a> {
    pub fn new(file: &'a mut File) -> Self {
        Self { file, bytes: 0, written_out: WrittenOut::default() }
    }
}

impl Write for BackgroundFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        give_way();
        let written = self.file.write(bytes)?;
        self.bytes += u64::try_from(written).unwrap_or_default();
        self.written_out.grown_to(self.bytes, self.file)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
