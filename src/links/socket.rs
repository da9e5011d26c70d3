//! One WebSocket to a peer, whichever side opened it, as its `PeerLink` sees it.
//!
//! Writing never waits and the queue behind it is unbounded: the link bounds what it has unacknowledged, and a socket
//! that does not read is closed by the heartbeat.

use actix::{Message, Recipient};
use actix_http::ws::CloseCode;

use crate::replication::peer::output::SocketId;
use crate::wire::compressed;
use crate::wire::decode::FrameError;
use crate::wire::frame::Frame;

/// What happened on a socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FromSocket {
    pub socket: SocketId,
    pub event: SocketEvent,
}

#[derive(Debug)]
pub enum SocketEvent {
    Text(bytes::Bytes),
    /// A binary message: a compressed frame.
    Compressed(bytes::Bytes),
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
    writer: Writer,
}

#[derive(Debug)]
enum Writer {
    /// An inbound socket's pump.
    Pump(Recipient<ToSocket>),
    /// A dialled socket's task.
    Task(tokio::sync::mpsc::UnboundedSender<ToSocket>),
}

impl Socket {
    #[must_use]
    pub fn inbound(pump: Recipient<ToSocket>) -> Self {
        Self { writer: Writer::Pump(pump) }
    }

    #[must_use]
    pub fn dialled(task: tokio::sync::mpsc::UnboundedSender<ToSocket>) -> Self {
        Self { writer: Writer::Task(task) }
    }

    /// Queues it. A socket that has ended reports so by itself, so a failure here needs no handling.
    pub fn write(&self, what: ToSocket) {
        match &self.writer {
            Writer::Pump(pump) => pump.do_send(what),
            Writer::Task(task) => drop(task.send(what)),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.write(ToSocket::Close { code: CloseCode::Away.into(), reason: "link ended".into() });
    }
}

/// The number in a pong, if it is one of ours.
#[must_use]
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
