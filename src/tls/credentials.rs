//! The key and certificate this central proves itself with, and the signatures at the beginning of logs that are made and checked
//! with such keys.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, Signer, SingleCertAndKey};
use webpki::EndEntityCert;

use crate::domain::authorship::{Author, OpenedBy, Opener};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::hex;

/// Key, certificate and fingerprint. Cheap to clone; never shown but by its fingerprint.
#[derive(Clone)]
pub struct Credentials {
    fingerprint: Fingerprint,
    certified: Arc<SingleCertAndKey>,
    certified_key: Arc<CertifiedKey>,
}

/// Why a text gives no credentials. Says nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum BadCredentials {
    #[error("no private key")]
    NoKey,
    #[error("no certificate")]
    NoCertificate,
    #[error("key and certificate do not fit together: {0}")]
    Unusable(rustls::Error),
}

impl Credentials {
    /// # Errors
    /// [`BadCredentials`]
    pub fn of_pem(pem: &[u8]) -> Result<Self, BadCredentials> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| BadCredentials::NoKey)?;
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| BadCredentials::NoCertificate)?;
        let fingerprint = Fingerprint::of_certificate(&certificate);
        let certified =
            CertifiedKey::from_der(vec![certificate], key, &provider()).map_err(BadCredentials::Unusable)?;
        Ok(Self { fingerprint, certified: Arc::new(certified.clone().into()), certified_key: Arc::new(certified) })
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The certificate (DER) and what signs with its key in one of these ways; `None`: it cannot.
    pub fn signer(&self, schemes: &[SignatureScheme]) -> Option<(CertificateDer<'static>, Box<dyn Signer>)> {
        let certificate = self.certified_key.cert.first()?.clone();
        Some((certificate, self.certified_key.key.choose_scheme(schemes)?))
    }

    /// What a TLS configuration shows to the other side.
    pub fn shown(&self) -> Arc<SingleCertAndKey> {
        self.certified.clone()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// The cryptography of all TLS of this program, named where it is used: nothing hangs on a default of the process.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The kinds of keys there are: rcgen makes the first; who brings a key of his own may have the second.
const SCHEMES: [SignatureScheme; 2] = [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519];

/// Why a signature says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadOpening {
    #[error("its certificate or signature cannot be read")]
    Unreadable,
    #[error("its signature is not that of its certificate")]
    Wrong,
}

impl Opener for Credentials {
    fn open(&self, message: &[u8]) -> Option<OpenedBy> {
        let (certificate, signer) = self.signer(&SCHEMES)?;
        let signature = signer.sign(message).ok()?;
        Some(OpenedBy { certificate: hex(&certificate), signature: hex(&signature) })
    }
}

/// Who writes the logs of this process: its secret is drawn now, and stays in its memory. `key`: none, where there is no usable one; what is
/// written then is given to others unsigned, by this central itself.
///
/// # Errors
/// The system has no randomness.
pub fn author(key: Option<Credentials>) -> Result<Author, getrandom::Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(Author::new(secret, Box::new(key)))
}

/// Whose signature it is.
///
/// # Errors
/// [`BadOpening`]
pub fn signed_by(message: &[u8], by: &OpenedBy) -> Result<Fingerprint, BadOpening> {
    let certificate = bytes_of(&by.certificate).map(CertificateDer::from).ok_or(BadOpening::Unreadable)?;
    let signature = bytes_of(&by.signature).ok_or(BadOpening::Unreadable)?;
    let parsed = EndEntityCert::try_from(&certificate).map_err(|_| BadOpening::Unreadable)?;
    let good = [webpki::ring::ECDSA_P256_SHA256, webpki::ring::ED25519]
        .into_iter()
        .any(|algorithm| parsed.verify_signature(algorithm, message, &signature).is_ok());
    if good { Ok(Fingerprint::of_certificate(&certificate)) } else { Err(BadOpening::Wrong) }
}

/// Whose certificate it shows; whether the signature is its own was checked when the log was taken.
pub fn key_of(by: &OpenedBy) -> Option<Fingerprint> {
    bytes_of(&by.certificate).map(|certificate| Fingerprint::of_certificate(&certificate))
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let all_digits = digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let byte = |index: usize| u8::from_str_radix(digits.get(index..index + 2)?, 16).ok();
    (0..digits.len()).step_by(2).filter(|_| all_digits).map(byte).collect::<Option<Vec<u8>>>().filter(|_| all_digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::key_file;

    fn credentials() -> Credentials {
        let directory = tempfile::tempdir().unwrap();
        key_file::open_or_make(directory.path()).unwrap().credentials
    }

    #[test]
    fn an_opening_is_that_of_its_certificate_over_its_message_alone() {
        let (one, other) = (credentials(), credentials());
        let by = one.open(b"c1/aa begins").unwrap();
        assert_eq!(signed_by(b"c1/aa begins", &by), Ok(one.fingerprint()));
        assert_eq!(signed_by(b"c1/bb begins", &by), Err(BadOpening::Wrong));
        let borrowed = OpenedBy { certificate: other.open(b"x").unwrap().certificate, ..by.clone() };
        assert_eq!(signed_by(b"c1/aa begins", &borrowed), Err(BadOpening::Wrong));
        for (certificate, signature) in [("", ""), ("zz", "00"), ("0", "0"), ("3000", "3000"), (&*by.certificate, "é")]
        {
            let odd = OpenedBy { certificate: certificate.into(), signature: signature.into() };
            assert!(signed_by(b"c1/aa begins", &odd).is_err(), "{odd:?}");
        }
    }
}
