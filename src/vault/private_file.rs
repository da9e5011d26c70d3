//! Files nobody else on the machine can read: written whole or not at all, and owned by whom their directory belongs to, so that
//! what an administrator writes can be read by the service.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::Path;

/// Only its owner reads and writes it.
const MODE: u32 = 0o600;
/// More is never read: such files hold some hundred accounts.
const MAX_BYTES: u64 = 1024 * 1024;

/// Replaces the file in one step; after an error it is as it was.
///
/// # Errors
/// What the disk says.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = directory.join(name);
    let written = write_new(&temporary, directory, bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // It may not have come into being.
        drop(fs::remove_file(&temporary));
        return Err(error);
    }
    File::open(directory)?.sync_all()
}

fn write_new(temporary: &Path, directory: &Path, bytes: &[u8]) -> io::Result<()> {
    // What an earlier crash left there may have been readable by others.
    drop(fs::remove_file(temporary));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(temporary)?;
    let (owner, own) = (fs::metadata(directory)?, file.metadata()?);
    if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
        // Only an administrator can, and only one has to.
        drop(chown(temporary, Some(owner.uid()), Some(owner.gid())));
    }
    file.write_all(bytes)?;
    file.sync_all()
}

/// Its bytes; `None`: there is none. One that others can read is made private again.
///
/// # Errors
/// What the disk says; more than 1 MiB.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        drop(file.set_permissions(Permissions::from_mode(MODE)));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn nobody_else_can_read_it_and_it_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, b"one").unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(mode(&path), 0o600, "made private again");
        write(&path, b"another").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some(&b"another"[..]));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(write(&path, b"x").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
