//! TLS with servers on the internet, which are known by their names and by the authorities this machine trusts.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

use super::credentials::provider;

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
pub fn client() -> Result<Arc<ClientConfig>, NoTrust> {
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
