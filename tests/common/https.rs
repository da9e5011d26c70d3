//! A blocking caller of one central over HTTPS, which knows the certificate that has to be shown.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use parkmesh::domain::fingerprint::Fingerprint;
use parkmesh::tls::credentials::Credentials;
use parkmesh::tls::key_file;
use parkmesh::tls::peers::Client;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;

use super::central::API_PORT;

/// How long one read may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub type Secured = StreamOwned<ClientConnection, TcpStream>;

/// Calls one central, each time over a connection of its own.
#[derive(Debug, Clone)]
pub struct Https {
    ip: String,
    own: Credentials,
    expected: Fingerprint,
    headers: String,
}

/// A status, the head it came in, and what came with it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    /// `Null` if the body is not JSON.
    pub body: Value,
}

impl Https {
    /// `expected`: the only certificate to talk to.
    pub fn to(ip: &str, expected: Fingerprint) -> Self {
        // Its own certificate is not asked for at the API port.
        let directory = tempfile::tempdir().expect("a temporary directory");
        let own = key_file::open_or_make(directory.path()).expect("an identity").credentials;
        Self { ip: ip.to_owned(), own, expected, headers: String::new() }
    }

    /// The same central, called with one more header.
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self { headers: format!("{}{name}: {value}\r\n", self.headers), ..self.clone() }
    }

    /// Shakes hands over a connection.
    pub fn secure(&self, stream: TcpStream) -> io::Result<Secured> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let name = "localhost".try_into().expect("a name");
        // One is for one connection.
        let client = Client::new(&self.own, Some(self.expected)).map_err(io::Error::other)?;
        let session = ClientConnection::new(client.config(), name).map_err(io::Error::other)?;
        let mut secured = StreamOwned::new(session, stream);
        while secured.conn.is_handshaking() {
            secured.conn.complete_io(&mut secured.sock)?;
        }
        Ok(secured)
    }

    pub fn connect(&self) -> io::Result<Secured> {
        self.secure(TcpStream::connect((self.ip.as_str(), API_PORT))?)
    }

    /// Any call.
    pub fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
        let mut stream = self.connect()?;
        let body = body.map(Value::to_string);
        let kind = body.as_ref().map_or_else(String::new, |body| {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
        });
        let (ip, headers, body) = (&self.ip, &self.headers, body.unwrap_or_default());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {ip}:{API_PORT}\r\nConnection: close\r\n{kind}{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or(Value::Null) })
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.try_call("GET", path, None).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_call(method, path, Some(body)).unwrap_or_else(|error| panic!("{method} {path} {body}: {error}"))
    }
}

impl Answer {
    /// Fails the test unless it is a success as documented.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status == 200 && self.body["success"] == true, "{} {}", self.status, self.body);
        self
    }
}

/// Of the first certificate in a PEM file.
pub fn fingerprint_in(file: &Path) -> Fingerprint {
    let pem = std::fs::read(file).expect("a PEM file");
    Fingerprint::of_certificate(&CertificateDer::from_pem_slice(&pem).expect("a certificate"))
}
