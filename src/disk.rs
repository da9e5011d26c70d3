//! Files that somebody named or put there: opened so that nothing waits for them, and read no further than they may be long.
//!
//! Opening a pipe waits for who writes into it; a device never ends; what the system makes up, such as `/proc/kmsg`, looks like a file
//! and waits as well.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// An ordinary file, open for reading.
///
/// # Errors
/// What the disk says; it is no file.
pub fn open(path: &Path) -> io::Result<File> {
    let at_once = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(at_once).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file")) }
}

/// All of it. What has no length is not read: those the system makes up have none.
///
/// # Errors
/// As [`open`]; it is longer than `max_bytes`.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let (file, mut bytes) = (open(path)?, Vec::new());
    if file.metadata()?.len() == 0 {
        return Ok(bytes);
    }
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::other(format!("it has more than {max_bytes} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_has_no_end_is_an_error_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, long) = (directory.path().join("pipe"), directory.path().join("long"));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        std::fs::write(&long, [0; 9]).unwrap();
        assert_eq!(read(&long, 9).unwrap().len(), 9);
        // A read from it would wait for what the kernel says next.
        assert!(
            read(Path::new("/proc/kmsg"), 9).is_ok_and(|bytes| bytes.is_empty())
                || !rustix::process::geteuid().is_root()
        );
        for (path, says) in [
            (pipe.as_path(), "it is no file"),
            (directory.path(), "it is no file"),
            (Path::new("/dev/zero"), "it is no file"),
            (&long, "it has more than 8 bytes"),
            (&directory.path().join("none"), "No such file"),
        ] {
            let said = read(path, 8).map_err(|error| error.to_string());
            assert!(said.as_ref().is_err_and(|said| said.contains(says)), "{}: {said:?}", path.display());
        }
    }
}
