//! The key and certificate this central proves itself with.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, Signer, SingleCertAndKey};

use crate::domain::fingerprint::Fingerprint;

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

    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The certificate (DER) and what signs with its key in one of these ways; `None`: it cannot.
    #[must_use]
    pub fn signer(&self, schemes: &[SignatureScheme]) -> Option<(CertificateDer<'static>, Box<dyn Signer>)> {
        let certificate = self.certified_key.cert.first()?.clone();
        Some((certificate, self.certified_key.key.choose_scheme(schemes)?))
    }

    /// What a TLS configuration shows to the other side.
    #[must_use]
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
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
