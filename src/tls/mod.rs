//! Who this central is, provably: its key and certificate, and the TLS of its ports built on them.
//!
//! | file | holds |
//! |---|---|
//! | [`key_file`] | `DIR/identity.pem`: made at the first start, readable by its owner alone |
//! | [`credentials`] | key and certificate in use, their fingerprint, and what is signed with them |
//! | [`peers`] | TLS 1.3 between centrals: both sides show a certificate, which is known by its fingerprint and nothing else |
//! | [`internet`] | TLS with servers on the internet, that alarms are told to |
//! | [`api`] | TLS of the API port: the own certificate or a given one; who calls shows none |
//!
//! Names, dates and issuers in a certificate mean nothing here: a central must work with a wrong clock and without anyone
//! who vouches for it. Whose fingerprint it is, is decided in `actors/mesh_registry/admission.rs`.

pub mod api;
pub mod credentials;
pub mod internet;
pub mod key_file;
pub mod peers;

/// TLS of a port that listens.
pub type TlsTerms = rustls::ServerConfig;
