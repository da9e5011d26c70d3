//! Calls to one central: a lean HTTP/1.1 keep-alive client, and upon it [`Caller`], which waits for JSON.
//!
//! The load tool shares the machine with what it measures, so an exchange is one write, as few reads as the answer
//! needs, and no allocation once the buffers have grown (with awc the same calls cost 1.6 times the CPU, 3.5 times in
//! user mode). Invariant: after an error the connection is not used again.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Most bytes of one answer: a page of history is far below, a server gone mad is not.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Most header lines of an answer; a central sends fewer than ten.
const MAX_HEADERS: usize = 32;
/// First size of the receive buffer: an answer to a gate fits.
const RECEIVE_BYTES: usize = 4 * 1024;

/// Why an exchange did not end with an answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the connection was closed before the answer was complete")]
    Closed,
    #[error("what came is not HTTP/1.1: {0}")]
    Protocol(&'static str),
    #[error("no answer within {0} ms")]
    Late(u128),
}

/// Why a text is not an address of a central.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an address; write for example http://127.0.0.1:8000")]
pub struct AddressError(String);

/// Where to call: `http://host[:port][/path]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `host:port`, for connecting and for the `Host` line.
    pub authority: String,
    /// What follows it; empty, or starting with `/`.
    pub path: String,
}

impl Address {
    /// Reads an address; without a port it is 80, a last `/` is dropped.
    ///
    /// # Errors
    /// [`AddressError`] if the scheme is another or the host is missing.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse::<u16>().map_err(|_| wrong())?),
            _ => (authority, 80),
        };
        if host.is_empty() || text.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { authority: format!("{host}:{port}"), path: path.trim_end_matches('/').to_owned() })
    }
}

/// Writes a whole request into `buffer`, replacing what it held. `body` is JSON.
pub fn write_request(buffer: &mut Vec<u8>, method: &str, authority: &str, path: &str, body: Option<&[u8]>) {
    buffer.clear();
    for part in [method, " ", path, " HTTP/1.1\r\nHost: ", authority, "\r\n"] {
        buffer.extend_from_slice(part.as_bytes());
    }
    if let Some(body) = body {
        buffer.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: ");
        buffer.extend_from_slice(body.len().to_string().as_bytes());
        buffer.extend_from_slice(b"\r\n\r\n");
        buffer.extend_from_slice(body);
    } else {
        buffer.extend_from_slice(b"\r\n");
    }
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
    /// The server keeps the connection open for another exchange.
    pub keep_alive: bool,
}

/// One open connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// The body of an answer sent in chunks, put together.
    unchunked: Vec<u8>,
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn open(authority: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(RECEIVE_BYTES), unchunked: Vec::new() })
    }

    /// Sends a request written by [`write_request`] and waits for the whole answer, however long it takes.
    ///
    /// # Errors
    /// [`ClientError`]; whether the request was acted upon is then unknown.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, ClientError> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            self.receive().await?;
            if let Some(head) = Head::parse(&self.received)? {
                break head;
            }
        };
        let body = match head.framing {
            Framing::Length(length) => {
                let end = head.bytes.saturating_add(length);
                while self.received.len() < end {
                    self.receive().await?;
                }
                self.received.get(head.bytes..end).unwrap_or_default()
            }
            Framing::Chunked => {
                while !unchunk(self.received.get(head.bytes..).unwrap_or_default(), &mut self.unchunked)? {
                    self.receive().await?;
                }
                &self.unchunked
            }
        };
        Ok(Answer { status: head.status, body, keep_alive: head.keep_alive })
    }

    async fn receive(&mut self) -> Result<(), ClientError> {
        if self.received.len() > MAX_ANSWER_BYTES {
            return Err(ClientError::Protocol("the answer is longer than 64 MiB"));
        }
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(ClientError::Closed),
            _ => Ok(()),
        }
    }
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// The status line and the headers that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    framing: Framing,
    keep_alive: bool,
    /// Where the body starts.
    bytes: usize,
}

impl Head {
    /// `None`: not complete yet.
    fn parse(received: &[u8]) -> Result<Option<Self>, ClientError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let bytes = match response.parse(received) {
            Ok(httparse::Status::Complete(bytes)) => bytes,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(ClientError::Protocol("the head cannot be read")),
        };
        let status = response.code.unwrap_or_default();
        let mut framing = Framing::Length(0);
        let mut keep_alive = true;
        for header in response.headers.iter() {
            let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
            if header.name.eq_ignore_ascii_case("content-length") {
                let length = value.parse().map_err(|_| ClientError::Protocol("content-length is not a number"))?;
                framing = Framing::Length(length);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Framing::Chunked;
            } else if header.name.eq_ignore_ascii_case("connection") {
                keep_alive = !value.eq_ignore_ascii_case("close");
            }
        }
        Ok(Some(Self { status, framing, keep_alive, bytes }))
    }
}

/// Puts the chunks in `received` together in `body`; true once the last one is there.
fn unchunk(received: &[u8], body: &mut Vec<u8>) -> Result<bool, ClientError> {
    body.clear();
    let mut rest = received;
    loop {
        let (skip, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(_) => return Err(ClientError::Protocol("a chunk size cannot be read")),
        };
        let size = usize::try_from(size).map_err(|_| ClientError::Protocol("a chunk is too large"))?;
        let end = skip.saturating_add(size);
        let Some(after) = end.checked_add(2).and_then(|next| rest.get(next..)) else { return Ok(false) };
        if size == 0 {
            return Ok(true);
        }
        body.extend_from_slice(rest.get(skip..end).unwrap_or_default());
        rest = after;
    }
}

/// A status and the JSON that came with it (`Null` if it was none).
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Reply {
    /// 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A text field of the body, empty if it is not there.
    pub fn text(&self, field: &str) -> &str {
        self.body.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A whole number of the body, 0 if it is not there.
    pub fn number(&self, field: &str) -> i64 {
        self.body.get(field).and_then(Value::as_i64).unwrap_or_default()
    }
}

/// One caller with one kept connection, opened when needed.
#[derive(Debug)]
pub struct Caller {
    address: Address,
    connection: Option<Connection>,
    request: Vec<u8>,
    patience: Duration,
}

impl Caller {
    /// `patience`: how long one call, its connecting included, may take.
    pub fn new(address: Address, patience: Duration) -> Self {
        Self { address, connection: None, request: Vec::new(), patience }
    }

    /// # Errors
    /// [`ClientError`] if no whole answer came in time.
    pub async fn get(&mut self, path: &str) -> Result<Reply, ClientError> {
        self.call("GET", path, None).await
    }

    /// The call is made again on a new connection if a kept one turns out to be closed: give it a `request_id`.
    ///
    /// # Errors
    /// [`ClientError`] if no whole answer came in time; the central may have acted all the same.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Reply, ClientError> {
        self.call("POST", path, Some(body.to_string().as_bytes())).await
    }

    async fn call(&mut self, method: &str, path: &str, body: Option<&[u8]>) -> Result<Reply, ClientError> {
        let path = format!("{}{path}", self.address.path);
        write_request(&mut self.request, method, &self.address.authority, &path, body);
        let late = || ClientError::Late(self.patience.as_millis());
        // Taken out: an error or a dropped call leaves no half-used connection behind.
        let kept = self.connection.take();
        let may_be_stale = kept.is_some();
        let exchange = async {
            match exchange(&self.address.authority, kept, &self.request).await {
                Err(ClientError::Closed | ClientError::Io(_)) if may_be_stale => {
                    exchange(&self.address.authority, None, &self.request).await
                }
                outcome => outcome,
            }
        };
        let (reply, connection) = tokio::time::timeout(self.patience, exchange).await.map_err(|_| late())??;
        self.connection = connection;
        Ok(reply)
    }
}

/// One exchange on `connection`, or on a new one; gives the connection back if it can be used again.
async fn exchange(
    authority: &str,
    connection: Option<Connection>,
    request: &[u8],
) -> Result<(Reply, Option<Connection>), ClientError> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => Connection::open(authority).await?,
    };
    let answer = connection.exchange(request).await?;
    let reply =
        Reply { status: answer.status, body: serde_json::from_slice(answer.body).unwrap_or(serde_json::Value::Null) };
    let keep_alive = answer.keep_alive;
    Ok((reply, keep_alive.then_some(connection)))
}

/// A health check that waits longer is a failed one.
const PATIENCE: Duration = Duration::from_secs(2);
/// EX_UNAVAILABLE.
const EXIT_UNAVAILABLE: u8 = 69;

/// Exit code 0 if the central that listens there can commit; else 69, with the reason on stdout.
///
/// `tls`: it speaks TLS, of which only that it takes connections is asked.
pub fn ready(listens: SocketAddr, tls: bool) -> ExitCode {
    let mut at = listens;
    if at.ip().is_unspecified() {
        at.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let asked = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string());
    match asked.and_then(|runtime| runtime.block_on(ask(at, tls))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("{reason}");
            ExitCode::from(EXIT_UNAVAILABLE)
        }
    }
}

async fn ask(at: SocketAddr, tls: bool) -> Result<(), String> {
    if tls {
        let connected = tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(at)).await;
        return connected.map_err(|late| late.to_string())?.map(drop).map_err(|error| error.to_string());
    }
    let address = Address { authority: at.to_string(), path: String::new() };
    let reply = Caller::new(address, PATIENCE).get("/readyz").await.map_err(|error| error.to_string())?;
    if reply.is_success() { Ok(()) } else { Err(format!("{}: {}", reply.status, reply.text("error"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_with_and_without_port_and_path() {
        let address = Address::parse("http://127.0.0.1:8000/").unwrap();
        assert_eq!(address, Address { authority: "127.0.0.1:8000".into(), path: String::new() });
        let address = Address::parse("http://central/hello/x").unwrap();
        assert_eq!(address, Address { authority: "central:80".into(), path: "/hello/x".into() });
        assert_eq!(Address::parse("http://[::1]:81").unwrap().authority, "[::1]:81");
        for bad in ["127.0.0.1:8000", "https://a", "http://", "http://a:port", "http://a:70000", "http://a b"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_says_its_length() {
        let mut buffer = b"left over".to_vec();
        write_request(&mut buffer, "POST", "a:1", "/x", Some(b"{}"));
        let expected = "POST /x HTTP/1.1\r\nHost: a:1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8(buffer.clone()).unwrap(), expected);
        write_request(&mut buffer, "GET", "a:1", "/x", None);
        assert_eq!(String::from_utf8(buffer).unwrap(), "GET /x HTTP/1.1\r\nHost: a:1\r\n\r\n");
    }

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let text = b"HTTP/1.1 409 Conflict\r\ncontent-length: 17\r\nConnection: close\r\n\r\n{";
        for cut in 0..text.len() - 1 {
            assert_eq!(Head::parse(&text[..cut]).unwrap(), None);
        }
        let head = Head::parse(text).unwrap().unwrap();
        let expected = Head { status: 409, framing: Framing::Length(17), keep_alive: false, bytes: text.len() - 1 };
        assert_eq!(head, expected);
        assert!(Head::parse(b"SSH-2.0-OpenSSH\r\n").is_err());
    }

    proptest! {
        #[test]
        fn chunks_are_put_together_whatever_their_sizes(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..8),
        ) {
            let mut sent = Vec::new();
            for chunk in &chunks {
                sent.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                sent.extend_from_slice(chunk);
                sent.extend_from_slice(b"\r\n");
            }
            sent.extend_from_slice(b"0\r\n\r\n");
            let mut body = Vec::new();
            for cut in 0..sent.len() {
                prop_assert!(!unchunk(&sent[..cut], &mut body).unwrap());
            }
            prop_assert!(unchunk(&sent, &mut body).unwrap());
            prop_assert_eq!(body, chunks.concat());
        }
    }
}
