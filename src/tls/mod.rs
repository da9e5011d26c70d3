//! Who this central is, provably: its key and certificate, and the TLS of its ports built on them.
//!
//! | file | holds |
//! |---|---|
//! | [`key_file`] | `DIR/identity.pem`: made at the first start, readable by its owner alone |
//! | [`credentials`] | key and certificate in use, their fingerprint, and what is signed with them |
//! | [`peers`] | TLS 1.3 between centrals: both sides show a certificate, which is known by its fingerprint and nothing else |
//! | here | TLS of the API port: the own certificate or a given one; who calls shows none |
//!
//! Names, dates and issuers in a certificate mean nothing between centrals: they must work with a wrong clock and without anyone
//! who vouches for them. Whose fingerprint it is, is decided in `actors/mesh_registry/admission.rs`. Servers on the internet, which
//! alarms are told to, are known by their names and by the authorities this machine trusts: [`internet_client`].
//!
//! Browsers and edges show no certificate, and know this one by its fingerprint or by who vouches for it. What they are shown is the central's own certificate or one an installer was given, from PEM files. These are read when they come
//! into force and not again: a renewed certificate is taken at the next start, or when the setting changes.

pub mod credentials;
pub mod key_file;
pub mod peers;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, RootCertStore, ServerConfig};

use self::credentials::{Credentials, provider};
use crate::disk;

/// TLS of a port that listens.
pub type TlsTerms = ServerConfig;

/// Why nobody on the internet can be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTrust {
    #[error(
        "this machine has no list of authorities to check certificates with: install ca-certificates, or name a file in SSL_CERT_FILE"
    )]
    Nobody,
    #[error("TLS cannot be spoken: {0}")]
    Broken(String),
}

/// The side that dials. The authorities are read once: a new one is believed after a restart.
///
/// # Errors
/// [`NoTrust`]
pub fn internet_client() -> Result<Arc<ClientConfig>, NoTrust> {
    static CLIENT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client.clone());
    }
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if trusted.is_empty() {
        return Err(NoTrust::Nobody);
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| NoTrust::Broken(error.to_string()))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(CLIENT.get_or_init(|| Arc::new(config)).clone())
}

/// The most that is read of a file: a certificate has some KiB, with those that vouch for it some more.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    /// May be the same file.
    pub key: PathBuf,
}

/// Why nothing can be shown of these files. Says nothing of what is in them.
#[derive(Debug, thiserror::Error)]
pub enum BadFiles {
    #[error("cannot be read: {0}")]
    Certificate(io::Error),
    #[error("holds no certificate as PEM")]
    NoCertificate,
    #[error("cannot be read: {0}")]
    Key(io::Error),
    #[error("holds no private key as PEM")]
    NoKey,
    #[error("is not the key of the certificate, or of a kind that is not understood: {0}")]
    OtherKey(Error),
}

/// TLS with the central's own certificate.
///
/// # Errors
/// The cryptography does not know TLS 1.3: this build is broken.
pub fn with_own(credentials: &Credentials) -> Result<ServerConfig, Error> {
    showing(credentials.shown())
}

/// What these files hold, to be shown.
///
/// # Errors
/// [`BadFiles`]
pub fn given(files: &CertificateFiles) -> Result<Given, BadFiles> {
    let pem = read(&files.certificate).map_err(BadFiles::Certificate)?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| BadFiles::NoCertificate)?;
    if chain.is_empty() {
        return Err(BadFiles::NoCertificate);
    }
    let pem = read(&files.key).map_err(BadFiles::Key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| BadFiles::NoKey)?;
    let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(BadFiles::OtherKey)?;
    Ok(Given(Arc::new(certified.into())))
}

/// A certificate that was given, with its key.
#[derive(Debug, Clone)]
pub struct Given(Arc<SingleCertAndKey>);

/// TLS with a certificate that was given.
///
/// # Errors
/// As [`with_own`].
pub fn with_given(given: &Given) -> Result<ServerConfig, Error> {
    showing(given.0.clone())
}

fn showing(shown: Arc<SingleCertAndKey>) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    Ok(builder.with_no_client_auth().with_cert_resolver(shown))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = disk::read(path, MAX_FILE_BYTES)?;
    if bytes.is_empty() { Err(io::Error::other("it is empty")) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::key_file;
    use std::fs;

    /// The two halves of an identity: certificate and key, as PEM.
    fn halves() -> (String, String) {
        let directory = tempfile::tempdir().unwrap();
        key_file::open_or_make(directory.path()).unwrap();
        let whole = fs::read_to_string(directory.path().join(key_file::IDENTITY_FILE)).unwrap();
        let at = whole.find("-----BEGIN CERTIFICATE").unwrap();
        (whole[at..].to_owned(), whole[..at].to_owned())
    }

    #[test]
    fn what_two_files_or_one_hold_is_shown_and_each_fault_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let ((certificate, key), (_, other_key)) = (halves(), halves());
        for (name, text) in [
            ("cert", certificate.clone()),
            ("chain", format!("{certificate}{}", halves().0)),
            ("key", key.clone()),
            ("other", other_key),
            ("both", format!("{key}{certificate}")),
            ("text", "not PEM".to_owned()),
            ("cut", certificate[..certificate.len() / 2].to_owned()),
        ] {
            fs::write(path(name), text).unwrap();
        }
        let outcome = |certificate: &str, key: &str| match given(&CertificateFiles {
            certificate: path(certificate),
            key: path(key),
        }) {
            Ok(given) => with_given(&given).map(|_| "good").unwrap_or("useless"),
            Err(BadFiles::Certificate(_)) => "certificate unreadable",
            Err(BadFiles::NoCertificate) => "no certificate",
            Err(BadFiles::Key(_)) => "key unreadable",
            Err(BadFiles::NoKey) => "no key",
            Err(BadFiles::OtherKey(_)) => "other key",
        };
        for (certificate, key, expected) in [
            ("cert", "key", "good"),
            ("chain", "key", "good"),
            ("both", "both", "good"),
            ("cert", "other", "other key"),
            ("cert", "cert", "no key"),
            ("cert", "text", "no key"),
            ("cert", "none", "key unreadable"),
            ("cert", ".", "key unreadable"),
            ("text", "key", "no certificate"),
            ("cut", "key", "no certificate"),
            ("none", "key", "certificate unreadable"),
            (".", "key", "certificate unreadable"),
            ("/proc/kmsg", "key", "certificate unreadable"),
            ("cert", "/proc/kmsg", "key unreadable"),
        ] {
            assert_eq!(outcome(certificate, key), expected, "{certificate} {key}");
        }
        let faults =
            given(&CertificateFiles { certificate: path("cert"), key: path("other") }).unwrap_err().to_string();
        assert!(!faults.contains("BEGIN"), "no key in an error: {faults}");
    }
}
