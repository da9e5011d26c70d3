//! TLS 1.3 between centrals.
//!
//! Always: both sides show a certificate and prove that they have its key; the keys of a connection are its own, so that what
//! somebody recorded cannot be read later, and cannot be sent again; nothing is resumed, so that a certificate is shown
//! each time. Who dials checks the fingerprint before it says a word. Who is dialled takes any certificate here and decides
//! after the HELLO, when it knows who that should be: `actors/mesh_registry/admission.rs`.

use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, ServerConfig,
    SignatureScheme,
};

use super::credentials::{Credentials, provider};
use crate::domain::fingerprint::Fingerprint;

/// The side that is dialled.
///
/// # Errors
/// The cryptography does not know TLS 1.3: this build is broken.
pub fn server(credentials: &Credentials) -> Result<ServerConfig, Error> {
    let provider = provider();
    let anyone = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(anyone)
        .with_cert_resolver(credentials.shown());
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The side that dials, for one connection.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    expected: Option<Fingerprint>,
    shown: Arc<OnceLock<Fingerprint>>,
}

impl Client {
    /// `expected`: the only fingerprint to talk to; `None`: whoever answers, for the first contact.
    ///
    /// # Errors
    /// As [`server`].
    pub fn new(credentials: &Credentials, expected: Option<Fingerprint>) -> Result<Self, Error> {
        let (provider, shown) = (provider(), Arc::default());
        let only = OneCertificate {
            expected,
            shown: Arc::clone(&shown),
            signatures: provider.signature_verification_algorithms,
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(only))
            .with_client_cert_resolver(credentials.shown());
        config.resumption = Resumption::disabled();
        // The name in our settings is nobody else's business.
        config.enable_sni = false;
        Ok(Self { config: Arc::new(config), expected, shown })
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// Who answered, once somebody did, also if that is why the connection failed.
    pub fn shown(&self) -> Option<Fingerprint> {
        self.shown.get().copied()
    }

    /// Another certificate than the expected one was shown: that one.
    pub fn stranger(&self) -> Option<Fingerprint> {
        self.shown().filter(|shown| self.expected.is_some_and(|expected| expected != *shown))
    }
}

/// Whoever shows a certificate has to prove that its key is his, as TLS 1.3 does it.
macro_rules! signatures {
    ($algorithms:tt) => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            // Only TLS 1.3 is spoken.
            Err(Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &self.$algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.$algorithms.supported_schemes()
        }
    };
}

#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    signatures!(0);
}

#[derive(Debug)]
struct OneCertificate {
    expected: Option<Fingerprint>,
    shown: Arc<OnceLock<Fingerprint>>,
    signatures: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OneCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = *self.shown.get_or_init(|| Fingerprint::of_certificate(certificate));
        if self.expected.is_none_or(|expected| expected == shown) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    signatures!(signatures);
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use rustls::{ClientConnection, ServerConnection};

    use super::*;
    use crate::tls::key_file;

    /// What a central has: its credentials, certificate and key.
    struct Central {
        credentials: Credentials,
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    }

    fn central() -> Central {
        let directory = tempfile::tempdir().unwrap();
        let credentials = key_file::open_or_make(directory.path()).unwrap().credentials;
        let pem = std::fs::read(directory.path().join(key_file::IDENTITY_FILE)).unwrap();
        Central {
            credentials,
            certificate: CertificateDer::from_pem_slice(&pem).unwrap(),
            key: PrivateKeyDer::from_pem_slice(&pem).unwrap(),
        }
    }

    /// The certificate of `of`, which everybody sees who dials it, with the key of another.
    fn stolen(of: &Central, key: &Central) -> Arc<SingleCertAndKey> {
        let key = provider().key_provider.load_private_key(key.key.clone_key()).unwrap();
        Arc::new(CertifiedKey::new(vec![of.certificate.clone()], key).into())
    }

    /// Shakes hands in memory; whom the dialled side saw.
    fn handshake(client: ClientConfig, server: ServerConfig) -> Result<Fingerprint, Error> {
        let mut client = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap())?;
        let mut server = ServerConnection::new(Arc::new(server))?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut bytes.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut bytes = Vec::new();
            server.write_tls(&mut bytes).unwrap();
            client.read_tls(&mut bytes.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        let shown = server.peer_certificates().and_then(<[_]>::first).expect("a certificate is asked for");
        Ok(Fingerprint::of_certificate(shown))
    }

    fn dialling(own: &Central, expected: Option<&Central>) -> ClientConfig {
        let client = Client::new(&own.credentials, expected.map(|central| central.credentials.fingerprint())).unwrap();
        Arc::unwrap_or_clone(client.config)
    }

    #[test]
    fn both_sides_see_whom_they_talk_to() {
        let (a, b, c) = (central(), central(), central());
        let shown = a.credentials.fingerprint();
        assert_eq!(handshake(dialling(&a, Some(&b)), server(&b.credentials).unwrap()), Ok(shown));
        assert_eq!(handshake(dialling(&a, None), server(&b.credentials).unwrap()), Ok(shown));
        assert!(handshake(dialling(&a, Some(&c)), server(&b.credentials).unwrap()).is_err());

        let client = Client::new(&a.credentials, Some(c.credentials.fingerprint())).unwrap();
        assert!(handshake((*client.config()).clone(), server(&b.credentials).unwrap()).is_err());
        let b = b.credentials.fingerprint();
        assert_eq!((client.shown(), client.stranger()), (Some(b), Some(b)), "who answered instead is known");
    }

    #[test]
    fn a_certificate_without_its_key_is_worth_nothing() {
        let (a, b, thief) = (central(), central(), central());
        // It answers as b.
        let mut answering = server(&thief.credentials).unwrap();
        answering.cert_resolver = stolen(&b, &thief);
        assert!(handshake(dialling(&a, Some(&b)), answering).is_err());
        // It dials as a.
        let mut calling = dialling(&thief, Some(&b));
        calling.client_auth_cert_resolver = stolen(&a, &thief);
        assert!(handshake(calling, server(&b.credentials).unwrap()).is_err());
        // With the right key both would do.
        let mut answering = server(&thief.credentials).unwrap();
        answering.cert_resolver = stolen(&b, &b);
        assert!(handshake(dialling(&a, Some(&b)), answering).is_ok());
    }

    #[test]
    fn nobody_comes_in_without_a_certificate() {
        let (a, b) = (central(), central());
        let mut silent = dialling(&a, Some(&b));
        silent.client_auth_cert_resolver = Arc::new(NoCertificate);
        assert!(handshake(silent, server(&b.credentials).unwrap()).is_err());
    }

    #[derive(Debug)]
    struct NoCertificate;

    impl rustls::client::ResolvesClientCert for NoCertificate {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            None
        }

        fn has_certs(&self) -> bool {
            false
        }
    }
}
