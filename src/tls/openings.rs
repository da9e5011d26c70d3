//! Signatures at the beginning of logs, made and checked with the keys of TLS.

use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::credentials::Credentials;
use crate::domain::authorship::{OpenedBy, Opener};
use crate::domain::fingerprint::Fingerprint;

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
#[must_use]
pub fn key_of(by: &OpenedBy) -> Option<Fingerprint> {
    bytes_of(&by.certificate).map(|certificate| Fingerprint::of_certificate(&certificate))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
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
