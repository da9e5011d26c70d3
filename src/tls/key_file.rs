//! The file of the identity, `DIR/identity.pem`: private key and self-signed certificate, as PEM.
//!
//! - It is written whole to another name, synced and renamed before anybody uses it: after a power cut at any moment there is
//!   a whole identity or none, never one that a peer has pinned and that is gone.
//! - Its mode is 0600 from the first byte on. One that others may read is tightened and told of: from then on it is as safe as
//!   before, and only a person knows whether somebody copied it.
//! - Beside a new one lies `DIR/identity.new`, until it was linked with others for ten minutes: for so long a central may have lost
//!   what it wrote under an earlier key, and takes it back from them.
//! - A damaged one is an error and is never replaced: a new identity is refused by every peer until people accept it, so
//!   that is for a person to decide. Meanwhile a central serves its gates with a key that it forgets again.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use super::credentials::{BadCredentials, Credentials};

/// The file's name in the data directory.
pub const IDENTITY_FILE: &str = "identity.pem";
/// Lies beside it as long as it is new.
pub const NEW_FILE: &str = "identity.new";
/// What is in it until a process serves with that key.
const UNUSED: &[u8] = b"unused";
/// The file has some 1,000 bytes; this is the most that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024;
const OWNER_ONLY: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// The identity of this central, and what was found out on the way to it.
#[derive(Debug, Clone)]
pub struct Opened {
    pub credentials: Credentials,
    /// It was made just now: no peer knows it.
    pub is_new: bool,
    /// The mode the file had, where others could read it; it is tightened now.
    pub was_open_to_others: Option<u32>,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the disk is full: free some space for {}, then start again", .0.display())]
    DiskFull(PathBuf),
    #[error("{} cannot be {doing}", .path.display())]
    File { path: PathBuf, doing: &'static str, source: io::Error },
    #[error(
        "{} holds no usable key and certificate ({reason}): put back a copy of it, or move it away. Without it a new identity \
         is made, and every other central refuses this one until a person accepts its new fingerprint there", .path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("no key and certificate can be made: {0}")]
    NotMade(#[from] rcgen::Error),
}

/// The identity in a data directory that is ours (see [`crate::store::DataDir`]), made if there is none.
///
/// # Errors
/// [`IdentityError`]; nothing was replaced.
pub fn open_or_make(directory: &Path) -> Result<Opened, IdentityError> {
    match open(directory)? {
        Some(opened) => Ok(opened),
        None => {
            make(directory)?;
            let made = open(directory)?.map(|opened| Opened { is_new: true, ..opened });
            let vanished = || failed(&directory.join(IDENTITY_FILE), "read", io::ErrorKind::NotFound.into());
            made.ok_or_else(vanished)
        }
    }
}

/// The identity in a data directory, whoever owns that now; `None`: it has none yet.
///
/// # Errors
/// [`IdentityError`]
pub fn open(directory: &Path) -> Result<Option<Opened>, IdentityError> {
    let path = directory.join(IDENTITY_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&path, "read", error)),
    };
    let mode = file.metadata().map_err(|error| failed(&path, "read", error))?.permissions().mode() & 0o7777;
    let is_open = mode & OTHERS != 0;
    if is_open {
        let tightened = file.set_permissions(Permissions::from_mode(OWNER_ONLY)).and_then(|()| file.sync_all());
        tightened.map_err(|error| failed(&path, "made unreadable for others", error))?;
    }
    let mut pem = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut pem).map_err(|error| failed(&path, "read", error))?;
    let credentials =
        Credentials::of_pem(&pem).map_err(|reason| IdentityError::Damaged { path, reason: reason.to_string() })?;
    Ok(Some(Opened { credentials, is_new: false, was_open_to_others: is_open.then_some(mode) }))
}

/// Whether the key in a data directory was not linked with others for long yet.
pub fn is_new(directory: &Path) -> bool {
    directory.join(NEW_FILE).exists()
}

/// A process begins to serve with the key in a data directory. Whether none did before: it was made just now, or ahead.
#[must_use]
pub fn begin_use(directory: &Path) -> bool {
    let path = directory.join(NEW_FILE);
    // Where it cannot be emptied the next process is taken for the first, which only leaves something unsaid.
    fs::read(&path).is_ok_and(|found| found.starts_with(UNUSED)) && {
        drop(fs::write(&path, b""));
        true
    }
}

/// From now on the key in a data directory is not new.
///
/// # Errors
/// Those of the file system.
pub fn settle(directory: &Path) -> io::Result<()> {
    match fs::remove_file(directory.join(NEW_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Credentials for this run alone: for pages over HTTPS where there is no usable identity. No central knows them.
///
/// # Errors
/// [`IdentityError::NotMade`]
pub fn throwaway() -> Result<Credentials, IdentityError> {
    let damaged = |reason: BadCredentials| IdentityError::Damaged { path: PathBuf::new(), reason: reason.to_string() };
    Credentials::of_pem(new_pem()?.as_bytes()).map_err(damaged)
}

/// A new key and its certificate.
fn new_pem() -> Result<String, IdentityError> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::default();
    // Its dates are rcgen's own, some 2,000 years apart: nobody looks at them, and no clock here has to be right.
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "ParkMesh central");
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = parameters.self_signed(&key)?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}

fn make(directory: &Path) -> Result<(), IdentityError> {
    let pem = new_pem()?;
    let path = directory.join(IDENTITY_FILE);
    let write = || {
        // Its mode is 0600.
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(pem.as_bytes())?;
        file.as_file().sync_all()?;
        let mut new = OpenOptions::new().create(true).append(true).mode(OWNER_ONLY).open(directory.join(NEW_FILE))?;
        new.write_all(UNUSED)?;
        file.persist(&path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| failed(&path, "written", error))
}

fn failed(path: &Path, doing: &'static str, source: io::Error) -> IdentityError {
    match source.kind() {
        io::ErrorKind::StorageFull => IdentityError::DiskFull(path.to_owned()),
        _ => IdentityError::File { path: path.to_owned(), doing, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn an_identity_is_made_once_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        assert!(open(directory.path()).unwrap().is_none());
        let made = open_or_make(directory.path()).unwrap();
        assert!(made.is_new && made.was_open_to_others.is_none());
        assert_eq!(mode_of(&directory.path().join(IDENTITY_FILE)), 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left");
        assert!(begin_use(directory.path()) && !begin_use(directory.path()), "one process is the first");
        assert!(is_new(directory.path()));
        settle(directory.path()).unwrap();
        assert!(!is_new(directory.path()));
        let again = open_or_make(directory.path()).unwrap();
        assert!(!again.is_new);
        assert_eq!(again.credentials.fingerprint(), made.credentials.fingerprint());

        let other = tempfile::tempdir().unwrap();
        assert_ne!(open_or_make(other.path()).unwrap().credentials.fingerprint(), made.credentials.fingerprint());
    }

    #[test]
    fn a_key_others_could_read_is_tightened_and_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(IDENTITY_FILE);
        let made = open_or_make(directory.path()).unwrap();
        for mode in [0o644, 0o640, 0o604] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let found = open_or_make(directory.path()).unwrap();
            assert_eq!(found.was_open_to_others, Some(mode));
            assert_eq!(found.credentials.fingerprint(), made.credentials.fingerprint());
            assert_eq!(mode_of(&path), 0o600);
        }
        assert_eq!(open_or_make(directory.path()).unwrap().was_open_to_others, None);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(IDENTITY_FILE);
        open_or_make(directory.path()).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        let other = tempfile::tempdir().unwrap();
        open_or_make(other.path()).unwrap();
        let foreign = fs::read_to_string(other.path().join(IDENTITY_FILE)).unwrap();
        let certificate_at = |text: &str| text.find("-----BEGIN CERTIFICATE").unwrap();
        let key_of_another = foreign[..certificate_at(&foreign)].to_owned() + &whole[certificate_at(&whole)..];
        let damaged = [
            String::new(),
            "not PEM".to_owned(),
            whole[..whole.len() / 2].to_owned(),
            whole[..certificate_at(&whole)].to_owned(),
            whole[certificate_at(&whole)..].to_owned(),
            key_of_another,
        ];
        for text in damaged {
            fs::write(&path, &text).unwrap();
            let error = open_or_make(directory.path()).unwrap_err();
            assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("identity.pem"), "{error}");
            assert!(!error.to_string().contains("BEGIN"), "no key in an error: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_told_and_a_key_for_one_run_is_nobodys() {
        let other = tempfile::tempdir().unwrap();
        let missing = other.path().join("missing");
        assert!(matches!(open_or_make(&missing), Err(IdentityError::File { .. })));
        assert_ne!(throwaway().unwrap().fingerprint(), throwaway().unwrap().fingerprint());
    }
}
