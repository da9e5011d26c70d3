//! Work that gates must not wait for: it stands behind them at the cores, and gives the disk little at a time.
//!
//! A low priority alone does not do it. A thread that has just been given a core keeps it on Linux until the next tick, 4 ms, whoever wakes up
//! meanwhile; and what was only written lies in memory until somebody syncs, when each commit's own sync waits behind all of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

/// Written out at a time: some milliseconds of a disk.
const PIECE_BYTES: u64 = 1 << 20;
/// After a piece the disk is left to others for so many times as long as that took.
const REST: u32 = 2;

/// Given back to the file system at a time.
const REMOVED_BYTES: u64 = 32 << 20;

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

/// Has the disk do something, then leaves it to others.
///
/// # Errors
/// What the disk says.
pub fn with_rest(work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let begun = Instant::now();
    work()?;
    std::thread::sleep(begun.elapsed() * REST);
    Ok(())
}

/// Removes a file that nobody reads, or a directory with all that is in it. Of a large file little at a time: a file system that takes a
/// gigabyte back at once lets each sync wait meanwhile.
///
/// # Errors
/// What the disk says.
pub fn remove(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| remove(&entry?.path()))?;
        return fs::remove_dir(path);
    }
    // Under another name somebody keeps what is in it.
    if found.is_file() && found.nlink() == 1 && found.len() > REMOVED_BYTES {
        // Where it may not be written, it may be removed all the same.
        drop(shorten(path, found.len()));
    }
    fs::remove_file(path)
}

fn shorten(path: &Path, mut bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    while bytes > REMOVED_BYTES {
        bytes -= REMOVED_BYTES;
        with_rest(|| file.set_len(bytes).and_then(|()| file.sync_all()))?;
    }
    Ok(())
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
            with_rest(|| file.sync_data())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_with_large_files_and_nothing_that_is_only_named_in_it() {
        let place = tempfile::tempdir().unwrap();
        let (kept, gone) = (place.path().join("kept"), place.path().join("gone"));
        fs::create_dir_all(gone.join("deep")).unwrap();
        for file in [&kept, &gone.join("deep/large"), &gone.join("small")] {
            File::create(file)
                .unwrap()
                .set_len(if file.ends_with("small") { 0 } else { 2 * REMOVED_BYTES + 1 })
                .unwrap();
        }
        fs::hard_link(&kept, gone.join("same")).unwrap();
        std::os::unix::fs::symlink(&kept, gone.join("link")).unwrap();
        std::os::unix::fs::symlink(place.path(), gone.join("deep/up")).unwrap();
        remove(&gone).unwrap();
        assert!(!gone.exists());
        assert_eq!(fs::metadata(&kept).unwrap().len(), 2 * REMOVED_BYTES + 1);
        assert_eq!(remove(&gone).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
