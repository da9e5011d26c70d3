//! Files nobody else on the machine can read: written whole or not at all, and owned by whom their directory belongs to, so that
//! what an administrator writes can be read by the service.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use tempfile::NamedTempFile;

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
    // Its mode is 0600.
    let mut file = NamedTempFile::new_in(directory)?;
    let (owner, own) = (fs::metadata(directory)?, file.as_file().metadata()?);
    if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
        // Only an administrator can, and only one has to.
        drop(chown(file.path(), Some(owner.uid()), Some(owner.gid())));
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(directory)?.sync_all()
}

/// Its bytes; `None`: there is none. One that others can read is made private again.
///
/// # Errors
/// What the disk says; more than 1 MiB.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // Opening a pipe would wait for who writes into it.
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(io::Error::other("it is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    let file = File::open(path)?;
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
