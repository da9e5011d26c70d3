//! Who this central is, provably: its key and certificate, and the TLS of its ports built on them.
//!
//! | file | holds |
//! |---|---|
//! | [`key_file`] | `DIR/identity.pem`: made at the first start, readable by its owner alone |
//! | [`credentials`] | key and certificate in use, their fingerprint, and what is signed with them |
//! | [`peers`] | TLS 1.3 between centrals: both sides show a certificate, which is known by its fingerprint and nothing else |
//! | [`api`] | TLS of the API port: the own certificate or a given one; who calls shows none |
//!
//! Names, dates and issuers in a certificate mean nothing between centrals: they must work with a wrong clock and without anyone
//! who vouches for them. Whose fingerprint it is, is decided in `actors/mesh_registry/admission.rs`. Servers on the internet, which
//! alarms are told to, are known by their names and by the authorities this machine trusts: [`internet_client`].

pub mod api;
pub mod credentials;
pub mod key_file;
pub mod peers;

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

use self::credentials::provider;

/// TLS of a port that listens.
pub type TlsTerms = rustls::ServerConfig;

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
