//! Requests that are sent before the one before them is answered: a few at a time.
//!
//! The dispatcher of actix-http takes in 128 KiB, decodes all of it, and looks only then how many requests or pieces of a body wait. Each is far larger in
//! memory than on the wire: who sends the shortest requests without reading an answer takes 18 MB with each connection, and who sends a body in
//! chunks of a byte 1 MB. [`Piecemeal`] stands before it and hands over a few kilobytes at a time, up to the next few beginnings of a request; the rest stays
//! here and in the kernel until some are answered, and TCP slows the sender.
//!
//! A beginning is told by how its first line ends, with the version, wherever that stands: none passes unseen. Within JSON no line ends so, and a
//! body that has eight such lines would wait for itself until its time is over.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::{error, io};

use actix_http::{Request, Response, StatusCode};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So many may have begun to come while one is answered. Who does not know what pipelining is sends one.
const MOST_AHEAD: usize = 8;
/// Handed over at a time, before it is decoded, in bytes.
const PIECE_BYTES: usize = 8 * 1024;
/// What the first line of each request ends with, once; `#` is a digit, and before the end of a line there may be a carriage return.
const VERSION: &[u8] = b"HTTP/1.#\n";

/// How far a client is ahead of its answers.
#[derive(Debug, Default)]
struct Lead {
    /// Beginnings that were handed over and that nobody answers yet.
    ahead: Cell<usize>,
    answering: Cell<usize>,
    /// An answer was sent since the last look: if nothing is answered now, nothing waits.
    was_sent: Cell<bool>,
    /// What comes is no HTTP any more.
    is_other: Cell<bool>,
    waits: RefCell<Option<Waker>>,
}

impl Lead {
    fn wake(&self) {
        if let Some(waits) = self.waits.take() {
            waits.wake();
        }
    }
}

/// One connection's, for what answers its requests.
#[derive(Debug, Clone, Default)]
pub struct Pipeline(Rc<Lead>);

/// A request is answered as long as there is one.
#[derive(Debug)]
pub struct Answering(Rc<Lead>);

impl Pipeline {
    fn may_come(&self) -> usize {
        let lead = &self.0;
        if lead.was_sent.take() && lead.answering.get() == 0 {
            lead.ahead.set(0);
        }
        MOST_AHEAD.saturating_sub(lead.ahead.get())
    }
}

impl Answering {
    /// Of a request that is answered from now on; `None`: its connection is not watched.
    pub fn of(request: &Request) -> Option<Self> {
        let Pipeline(lead) = request.conn_data::<Pipeline>()?;
        lead.ahead.set(lead.ahead.get().saturating_sub(1));
        lead.answering.set(lead.answering.get() + 1);
        Some(Self(lead.clone()))
    }

    /// The answer, whose turn it is until all of it is written.
    pub fn until_sent<B: MessageBody + 'static>(turn: Option<Self>, answer: Response<B>) -> Response<AnsweredBody> {
        if let Some(Self(lead)) = turn.as_ref().filter(|_| answer.status() == StatusCode::SWITCHING_PROTOCOLS) {
            lead.is_other.set(true);
            lead.wake();
        }
        answer.map_body(|_, body| AnsweredBody { body: body.boxed(), _while: turn })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let Self(lead) = self;
        lead.answering.set(lead.answering.get().saturating_sub(1));
        lead.was_sent.set(true);
        lead.wake();
    }
}

/// A body, and the turn that ends with it.
pub struct AnsweredBody {
    body: BoxBody,
    _while: Option<Answering>,
}

impl MessageBody for AnsweredBody {
    type Error = Box<dyn error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Piecemeal<S> {
    of: S,
    pipeline: Pipeline,
    /// Came, and is not handed over yet.
    held: BytesMut,
    /// Handed over since it was said last that nothing more is there, in bytes.
    given: usize,
    /// Of [`VERSION`], what was handed over last ends with so many bytes.
    begun: usize,
}

impl<S> Piecemeal<S> {
    pub fn new(of: S) -> Self {
        Self { of, pipeline: Pipeline::default(), held: BytesMut::new(), given: 0, begun: 0 }
    }

    pub fn of(&self) -> &S {
        &self.of
    }

    pub fn pipeline(&self) -> Pipeline {
        self.pipeline.clone()
    }

    /// How many of these bytes are handed over now, if `may_come` requests may begin in them: up to the last of their beginnings.
    fn handed_over(&mut self, bytes: &[u8], may_come: usize) -> usize {
        let mut came = 0;
        for (at, byte) in bytes.iter().enumerate() {
            // No piece of it begins like it, so a byte that does not fit begins it or nothing.
            self.begun = match VERSION.get(self.begun) {
                Some(b'#') if byte.is_ascii_digit() => self.begun + 1,
                Some(next) if next == byte => self.begun + 1,
                Some(b'\n') if *byte == b'\r' => self.begun,
                _ => usize::from(VERSION.first() == Some(byte)),
            };
            if self.begun == VERSION.len() {
                (self.begun, came) = (0, came + 1);
                if came == may_come {
                    self.came(came, at + 1);
                    return at + 1;
                }
            }
        }
        self.came(came, bytes.len());
        bytes.len()
    }

    fn came(&mut self, requests: usize, bytes: usize) {
        self.given += bytes;
        let ahead = &self.pipeline.0.ahead;
        ahead.set(ahead.get() + requests);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Piecemeal<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_other = this.pipeline.0.is_other.get();
        if is_other && this.held.is_empty() {
            return Pin::new(&mut this.of).poll_read(cx, buffer);
        }
        // What was handed over is decoded first.
        if this.given >= PIECE_BYTES {
            this.given = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let may_come = if is_other { usize::MAX } else { this.pipeline.may_come() };
        if may_come == 0 {
            this.given = 0;
            *this.pipeline.0.waits.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let most = PIECE_BYTES.min(buffer.remaining());
        if this.held.is_empty() {
            let mut read = ReadBuf::new(buffer.initialize_unfilled_to(most));
            if Pin::new(&mut this.of).poll_read(cx, &mut read)?.is_pending() {
                this.given = 0;
                return Poll::Pending;
            }
            let now = this.handed_over(read.filled(), may_come);
            this.held.extend_from_slice(read.filled().get(now..).unwrap_or_default());
            buffer.advance(now);
        } else {
            let mut piece = this.held.split_to(most.min(this.held.len()));
            let later = piece.split_off(this.handed_over(&piece, may_come));
            buffer.put_slice(&piece);
            if !later.is_empty() {
                let rest = std::mem::replace(&mut this.held, later);
                this.held.extend_from_slice(&rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Piecemeal<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().of).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().of).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().of).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().of).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.of.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is handed over of this while nobody answers, and after each of so many answers.
    fn handed_over(sent: &[u8], answers: usize) -> Vec<usize> {
        let mut piecemeal = Piecemeal::new(sent);
        let (lead, mut context) = (piecemeal.pipeline.0.clone(), Context::from_waker(Waker::noop()));
        let mut all = Vec::new();
        for _ in 0..=answers {
            let mut came = 0;
            loop {
                let mut room = [0; 1_000];
                let mut buffer = ReadBuf::new(&mut room);
                let read = Pin::new(&mut piecemeal).poll_read(&mut context, &mut buffer);
                came += buffer.filled().len();
                let is_all = read.is_ready() && buffer.filled().is_empty();
                if is_all || lead.waits.take().is_some() {
                    break;
                }
            }
            all.push(came);
            // One is answered: the first that waits.
            lead.ahead.set(lead.ahead.get() - 1);
            lead.answering.set(lead.answering.get() + 1);
            // Another one begins in its place before anything is read.
            let next = lead.ahead.get() > 0;
            lead.answering.set(lead.answering.get() + usize::from(next));
            drop(Answering(lead.clone()));
            lead.answering.set(lead.answering.get() - usize::from(next));
            lead.was_sent.set(!next);
        }
        all
    }

    #[test]
    fn of_requests_that_come_at_once_a_few_are_handed_over_and_one_more_for_each_answer() {
        let one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let (all, beginning) = (one.repeat(1_000), b"GET / HTTP/1.1\r\n".len());
        let first = 7 * one.len() + beginning;
        assert_eq!(handed_over(&all, 3), [first, one.len(), one.len(), one.len()]);
        // One after the other is never waited for, and all of a body comes.
        assert_eq!(handed_over(one, 0), [one.len()]);
        let long = [b"PUT / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n".as_slice(), &[b'H'; 100_000]].concat();
        assert_eq!(handed_over(&long, 0), [long.len()]);
        let texts =
            [b"PUT / HTTP/1.1\r\nContent-Length: 22000\r\n\r\n".as_slice(), &b"\"via HTTP/1.1, \\r\\n\"".repeat(1_000)]
                .concat();
        assert_eq!(handed_over(&texts, 0), [texts.len()]);
    }

    #[test]
    fn a_beginning_is_seen_wherever_it_is_cut() {
        for line in [b"GET / HTTP/1.1\r\n".as_slice(), b"GET HHTTP/1.0\n", b"GET /HTTP/1.HTTP/1.1\r\n"] {
            for cut in 0..line.len() {
                let (one, other) = line.split_at(cut);
                let mut piecemeal = Piecemeal::new(b"".as_slice());
                assert_eq!(piecemeal.handed_over(one, 1), cut);
                assert_eq!(piecemeal.handed_over(&[other, b"Host"].concat(), 1), other.len(), "{cut}");
            }
        }
    }
}
