//! One WebSocket to a peer, whichever side opened it: dialling, a task that carries frames until either side ends, and the
//! socket as its `PeerLink` sees it.
//!
//! Writing never waits and the queue behind it is unbounded: the link bounds what it has unacknowledged, and a socket
//! that does not read is closed by the heartbeat.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use actix::{Message, Recipient};
use actix_http::ws::{self, CloseCode, CloseReason};
use actix_service::ServiceExt;
use actix_tls::connect::{Connection, Connector as TcpConnector, ConnectorService};
use awc::error::{ConnectError, SendRequestError, WsClientError};
use awc::http::Uri;
use awc::http::header::SEC_WEBSOCKET_PROTOCOL;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::intake::{BoundedCodec, IntakeRate, IntakeVerdict, Meter};
use crate::domain::fingerprint::Fingerprint;
use crate::replication::peer::output::SocketId;
use crate::tls::peers::Client;
use crate::wire::frame::{Frame, FrameError};
use crate::wire::{MAX_FRAME_BYTES, SUBPROTOCOL, compressed};

/// What happened on a socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FromSocket {
    pub socket: SocketId,
    pub event: SocketEvent,
}

#[derive(Debug)]
pub enum SocketEvent {
    Text(Bytes),
    /// A binary message: a compressed frame.
    Compressed(Bytes),
    /// The 8 bytes of a ping of ours came back.
    Pong(u64),
    /// It ended, or is to be ended: nothing more comes from it.
    Closed(String),
}

/// What is to be written.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToSocket {
    Text(String),
    /// A compressed frame: a binary message.
    Compressed(Vec<u8>),
    Ping(u64),
    /// Write what is queued, then a close frame, then end.
    Close {
        code: u16,
        reason: String,
    },
}

/// The writing end. Dropping it closes the socket, so that a link that failed leaves nothing behind.
#[derive(Debug)]
pub struct Socket {
    writer: SocketWriter,
}

#[derive(Debug)]
enum SocketWriter {
    /// An inbound socket's pump.
    Pump(Recipient<ToSocket>),
    /// A dialled socket's task.
    Task(tokio::sync::mpsc::UnboundedSender<ToSocket>),
}

impl Socket {
    pub fn inbound(pump: Recipient<ToSocket>) -> Self {
        Self { writer: SocketWriter::Pump(pump) }
    }

    pub fn dialled(task: tokio::sync::mpsc::UnboundedSender<ToSocket>) -> Self {
        Self { writer: SocketWriter::Task(task) }
    }

    /// Queues it. A socket that has ended reports so by itself, so a failure here needs no handling.
    pub fn write(&self, what: ToSocket) {
        match &self.writer {
            SocketWriter::Pump(pump) => pump.do_send(what),
            SocketWriter::Task(task) => drop(task.send(what)),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.write(ToSocket::Close { code: CloseCode::Away.into(), reason: "link ended".into() });
    }
}

/// The number in a pong, if it is one of ours.
pub fn ping_number(payload: &[u8]) -> Option<u64> {
    payload.try_into().ok().map(u64::from_be_bytes)
}

/// The frame in a binary message.
///
/// # Errors
/// [`FrameError`]
pub fn compressed_frame(bytes: &[u8]) -> Result<Frame, FrameError> {
    frame(&compressed::decompress(bytes)?)
}

/// The frame in a text message. awc does not check that it is UTF-8.
///
/// # Errors
/// [`FrameError`]
pub fn frame(text: &[u8]) -> Result<Frame, FrameError> {
    let text = std::str::from_utf8(text).map_err(|error| FrameError::Malformed(error.to_string()))?;
    Frame::parse(text)
}

/// How long what was written may stay untaken.
const UNREAD_TIMEOUT_MS: u32 = 60_000;
/// What a peer may say a second. Data comes as fast as events are committed; pings are sent every 5 s.
pub const PEER_RATE: IntakeRate = IntakeRate { data_per_s: 5_000, control_per_s: 50 };
/// Longest text of a close frame, in characters: 123 bytes are allowed, and one may take four.
const MAX_CLOSE_CHARS: usize = 30;

/// Where a peer listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// An IP address or a host name.
    pub host: String,
    pub port: u16,
}

impl PeerAddress {
    /// The URL its WebSocket is at, with TLS or without.
    pub fn url(&self, secured: bool) -> String {
        let scheme = if secured { "wss" } else { "ws" };
        if self.host.contains(':') {
            format!("{scheme}://[{}]:{}/", self.host, self.port)
        } else {
            format!("{scheme}://{}:{}/", self.host, self.port)
        }
    }
}

/// Why a dial came to nothing, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    #[error("no answer within {0} ms")]
    TimedOut(u64),
    #[error("{0}")]
    Failed(String),
    #[error(
        "another central answers there, or this one has a new key: its certificate is {0}, not the one pinned for this peer"
    )]
    OtherCertificate(Fingerprint),
    #[error("something answers there, but it is not a central of ours (no subprotocol {SUBPROTOCOL})")]
    NotOurs,
}

/// A dialled socket that nobody has spoken on yet.
pub type Upgraded = actix_codec::Framed<awc::BoxedSocket, BoundedCodec>;

/// Connects and upgrades, with TLS unless `secured` is `None`. Must run on the thread that will use the socket.
///
/// # Errors
/// [`DialError`]
pub async fn upgrade(address: &PeerAddress, secured: Option<&Client>, timeout_ms: u64) -> Result<Upgraded, DialError> {
    let connected = connect(address.url(secured.is_some()), secured, MAX_FRAME_BYTES, timeout_ms).await;
    match (connected, secured.and_then(Client::stranger)) {
        (_, Some(stranger)) => Err(DialError::OtherCertificate(stranger)),
        (Ok((socket, true)), None) => Ok(socket),
        (Ok((_, false)), None) => Err(DialError::NotOurs),
        (Err(error), None) => Err(error),
    }
}

/// As [`upgrade`], of a program of another kind at `path`; and whether one of ours answered there instead.
///
/// # Errors
/// [`DialError`]
pub async fn upgrade_foreign(
    address: &PeerAddress,
    path: &str,
    max_frame_bytes: usize,
    timeout_ms: u64,
) -> Result<(Upgraded, bool), DialError> {
    let url = format!("{}{}", address.url(false), path.trim_start_matches('/'));
    connect(url, None, max_frame_bytes, timeout_ms).await
}

/// Posts JSON to a central, over TLS, and reads the answer: whether it is a success, and its body.
///
/// # Errors
/// [`DialError`]
pub async fn post(
    address: &PeerAddress,
    path: &str,
    client: &Client,
    body: String,
    max_answer_bytes: usize,
    timeout: Duration,
) -> Result<(bool, Bytes), DialError> {
    let url = format!("{}{}", address.url(true).replacen("wss", "https", 1), path.trim_start_matches('/'));
    let connector = awc::Connector::new().connector(without_delay()).timeout(timeout).handshake_timeout(timeout);
    let caller = awc::Client::builder().connector(connector.rustls_0_23(client.config())).timeout(timeout).finish();
    let sent = caller.post(url).content_type("application/json").send_body(body).await;
    if let Some(stranger) = client.stranger() {
        return Err(DialError::OtherCertificate(stranger));
    }
    let mut answer = sent.map_err(|error| DialError::Failed(error.to_string()))?;
    let read = answer.body().limit(max_answer_bytes).await;
    let read = read.map_err(|error| DialError::Failed(error.to_string()))?;
    Ok((answer.status().is_success(), read))
}

async fn connect(
    url: String,
    secured: Option<&Client>,
    max_frame_bytes: usize,
    timeout_ms: u64,
) -> Result<(Upgraded, bool), DialError> {
    let timeout = Duration::from_millis(timeout_ms);
    let mut connector = awc::Connector::new().connector(without_delay()).timeout(timeout).handshake_timeout(timeout);
    if let Some(client) = secured {
        // No protocol is negotiated in it, so HTTP/1.1 is spoken; asking awc for that would replace these settings.
        connector = connector.rustls_0_23(client.config());
    }
    let client = awc::Client::builder().connector(connector).timeout(timeout).finish();
    let request = client.ws(url).protocols([SUBPROTOCOL]).max_frame_size(max_frame_bytes);
    let answered = tokio::time::timeout(timeout, request.connect()).await;
    let (response, socket) =
        answered.map_err(|_| DialError::TimedOut(timeout_ms))?.map_err(|error| DialError::Failed(in_words(&error)))?;
    let protocol = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
    let socket = socket.into_map_codec(|codec| BoundedCodec::new(codec, max_frame_bytes));
    Ok((socket, protocol.is_some_and(|protocol| protocol.as_bytes() == SUBPROTOCOL.as_bytes())))
}

/// What awc complains of, as an installer can use it.
fn in_words(error: &WsClientError) -> String {
    match error {
        WsClientError::SendRequest(SendRequestError::Connect(ConnectError::Io(error)))
            if error.kind() == ErrorKind::UnexpectedEof =>
        {
            "the connection was closed before it was answered".to_owned()
        }
        WsClientError::SendRequest(SendRequestError::Connect(ConnectError::Disconnected)) => {
            "the connection was closed before it was answered".to_owned()
        }
        WsClientError::SendRequest(SendRequestError::Connect(ConnectError::Io(error)))
            if error.kind() == ErrorKind::InvalidData =>
        {
            format!("no TLS there (is security.p2p the same at both ends?): {error}")
        }
        WsClientError::SendRequest(SendRequestError::Connect(error)) => error.to_string(),
        WsClientError::InvalidResponseStatus(status) => format!("answered {status} instead of a WebSocket"),
        error => error.to_string(),
    }
}

/// awc's own way to connect, with Nagle's algorithm off: a small frame must not wait for the acknowledgement of the
/// one before.
fn without_delay() -> impl actix_service::Service<
    actix_tls::connect::ConnectInfo<Uri>,
    Response = Connection<Uri, TcpStream>,
    Error = actix_tls::connect::ConnectError,
> + Clone {
    let connector: ConnectorService = TcpConnector::default().service();
    connector.map(|connection: Connection<Uri, TcpStream>| {
        // Without it the link works, only slower.
        drop(connection.io_ref().set_nodelay(true));
        give_up_unread(connection.io_ref());
        connection
    })
}

/// Makes the kernel end a connection whose other side has not taken what was written for a minute: it is dead, or does not read.
/// Whoever waits for room to write is told so, and nothing of it stays in memory.
pub fn give_up_unread(socket: &TcpStream) {
    // A socket that has ended already needs none.
    let _ended = rustix::net::sockopt::set_tcp_user_timeout(socket, UNREAD_TIMEOUT_MS);
}

/// Starts the task that carries frames, and returns the writing end.
///
/// A frame is handed over before the next is read: who sends faster than the link works is slowed by TCP.
pub fn carry(mut upgraded: Upgraded, socket: SocketId, to: Recipient<FromSocket>) -> Socket {
    let (writer, mut to_write) = mpsc::unbounded_channel();
    drop(actix::spawn(async move {
        let meter = Meter::new(PEER_RATE);
        let mut slowed = pin!(tokio::time::sleep(Duration::ZERO));
        let ended = loop {
            let step = tokio::select! {
                command = to_write.recv() => write(&mut upgraded, command).await,
                frame = async { slowed.as_mut().await; upgraded.next().await } => {
                    let is_control = matches!(frame, Some(Ok(ws::Frame::Ping(_) | ws::Frame::Pong(_))));
                    match (meter.judge(is_control), read(&mut upgraded, frame).await) {
                        (IntakeVerdict::End, Ok(_)) => Err("it sends too many frames a second".to_owned()),
                        (verdict, read) => {
                            let pause = if let IntakeVerdict::Later(pause) = verdict { pause } else { Duration::ZERO };
                            slowed.set(tokio::time::sleep(pause));
                            match read {
                                Ok(Some(event)) => hand_over(&to, FromSocket { socket, event }).await,
                                Ok(None) => Ok(()),
                                Err(ended) => Err(ended),
                            }
                        }
                    }
                }
            };
            if let Err(ended) = step {
                break ended;
            }
        };
        // Who no longer listens needs no telling.
        let _told = to.send(FromSocket { socket, event: SocketEvent::Closed(ended) }).await;
    }));
    Socket::dialled(writer)
}

async fn hand_over(to: &Recipient<FromSocket>, event: FromSocket) -> Result<(), String> {
    to.send(event).await.map_err(|_| "link ended".to_owned())
}

/// Writes one command. `Err`: the socket is over, and why.
async fn write(upgraded: &mut Upgraded, command: Option<ToSocket>) -> Result<(), String> {
    let (message, last) = match command {
        Some(ToSocket::Text(text)) => (ws::Message::Text(text.into()), None),
        Some(ToSocket::Compressed(bytes)) => (ws::Message::Binary(bytes.into()), None),
        Some(ToSocket::Ping(number)) => (ws::Message::Ping(Bytes::copy_from_slice(&number.to_be_bytes())), None),
        Some(ToSocket::Close { code, reason }) => (ws::Message::Close(Some(close_reason(code, &reason))), Some(reason)),
        None => return Err("link ended".to_owned()),
    };
    upgraded.send(message).await.map_err(|error| error.to_string())?;
    last.map_or(Ok(()), Err)
}

/// What a frame means to the link; `None`: nothing but that the peer lives, which its next pong will say too.
async fn read(
    upgraded: &mut Upgraded,
    frame: Option<Result<ws::Frame, ws::ProtocolError>>,
) -> Result<Option<SocketEvent>, String> {
    match frame {
        Some(Ok(ws::Frame::Text(text))) => Ok(Some(SocketEvent::Text(text))),
        Some(Ok(ws::Frame::Binary(bytes))) => Ok(Some(SocketEvent::Compressed(bytes))),
        Some(Ok(ws::Frame::Pong(payload))) => Ok(ping_number(&payload).map(SocketEvent::Pong)),
        Some(Ok(ws::Frame::Ping(payload))) => {
            upgraded.send(ws::Message::Pong(payload)).await.map_err(|error| error.to_string())?;
            Ok(None)
        }
        Some(Ok(ws::Frame::Close(reason))) => Err(closed_by_peer(reason)),
        Some(Ok(ws::Frame::Continuation(_))) => {
            let reason = "only whole frames are spoken here";
            drop(upgraded.send(ws::Message::Close(Some(close_reason(CloseCode::Unsupported.into(), reason)))).await);
            Err(reason.to_owned())
        }
        Some(Err(error)) => Err(lost(&error)),
        None => Err(LOST.to_owned()),
    }
}

const LOST: &str = "the connection was lost";

/// Why a socket failed, for people. That TLS was not closed in order says no more than that it was lost.
pub fn lost(error: &ws::ProtocolError) -> String {
    match error {
        ws::ProtocolError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => LOST.to_owned(),
        error => error.to_string(),
    }
}

/// A close frame's content. Its text is bounded by the protocol: 123 bytes.
pub fn close_reason(code: u16, reason: &str) -> CloseReason {
    let short: String = reason.chars().take(MAX_CLOSE_CHARS).collect();
    CloseReason { code: CloseCode::from(code), description: Some(short) }
}

/// The peer's goodbye, for people.
pub fn closed_by_peer(reason: Option<CloseReason>) -> String {
    match reason {
        Some(CloseReason { code, description: Some(text) }) if !text.is_empty() => {
            format!("closed by the peer: {text} ({})", u16::from(code))
        }
        Some(CloseReason { code, .. }) => format!("closed by the peer ({})", u16::from(code)),
        None => "closed by the peer".to_owned(),
    }
}
