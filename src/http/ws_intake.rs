//! What arrives on a WebSocket we serve: one frame at a time, and no more than it may.
//!
//! The stream of actix-web-actors takes in all bytes there are and then decodes one frame, so that its buffer would grow by
//! what a client sends. [`Intake`] stands before it and hands over the bytes of one frame, then says that nothing more is there
//! until it is asked for the next. What was not asked for stays in the kernel, and TCP slows the sender.
//!
//! A frame is judged by its head (`actors/intake.rs`): one that is too long, or one too many, ends the socket. Until somebody
//! is let in ([`Patience`]), all frames together have to fit into what a greeting takes.

use std::cell::Cell;
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::ws::{CloseCode, CloseReason, ProtocolError};
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use crate::links::intake::{FrameHead, HOLD, IntakeVerdict, Sender};
use crate::links::socket::close_reason;
use crate::ops::offences::Offence;

/// Why a socket ends whose frame announces more than it may have.
const TOO_LONG: &str = "a frame is too long";

/// How many bytes may still come before somebody is let in; `None`: he is.
#[derive(Debug, Clone)]
pub struct Patience(Rc<Cell<Option<u64>>>);

impl Patience {
    /// So many.
    pub fn new(max_bytes: u64) -> Self {
        Self(Rc::new(Cell::new(Some(max_bytes))))
    }

    /// Whoever comes is let in.
    pub fn endless() -> Self {
        Self(Rc::new(Cell::new(None)))
    }

    /// From now on frames have bounds of their own.
    pub fn let_in(&self) {
        self.0.set(None);
    }

    fn takes(&self, frame_bytes: u64) -> bool {
        let Some(left) = self.0.get() else { return true };
        let after = left.checked_sub(frame_bytes);
        self.0.set(Some(after.unwrap_or_default()));
        after.is_some()
    }
}

/// What a socket may send.
pub struct SocketTerms {
    pub sender: Sender,
    pub max_frame_bytes: usize,
    pub patience: Patience,
    /// Whether the next frame is taken now. Told whether it is a control frame.
    pub judge: Box<dyn Fn(bool) -> IntakeVerdict>,
}

/// The bytes of a socket, a frame at a time.
pub struct Intake<S> {
    of: S,
    terms: SocketTerms,
    /// Came, and was not handed over.
    come: Bytes,
    /// Of the present frame, still to be handed over.
    left: u64,
    /// A whole frame was handed over: now it is decoded.
    pause: bool,
    until: Option<Pin<Box<Sleep>>>,
    /// It ends, once what it waits for is over.
    ended: Option<&'static str>,
}

impl<S> Intake<S> {
    pub fn of(of: S, terms: SocketTerms) -> Self {
        Self { of, terms, come: Bytes::new(), left: 0, pause: false, until: None, ended: None }
    }

    /// Judges the frame whose head has come. `false`: it is not taken now.
    fn begin(&mut self, head: FrameHead) -> bool {
        if head.payload_bytes > self.terms.max_frame_bytes as u64 {
            self.end(Offence::FrameTooLong, TOO_LONG);
            return false;
        }
        match (self.terms.judge)(head.is_control) {
            IntakeVerdict::Take if self.terms.patience.takes(head.frame_bytes) => {
                self.left = head.frame_bytes;
                true
            }
            IntakeVerdict::Take => {
                self.end(Offence::FrameTooLong, "more than a greeting before it was let in");
                false
            }
            IntakeVerdict::Later(wait) => {
                self.until = Some(Box::pin(sleep(wait)));
                false
            }
            IntakeVerdict::End => {
                self.end(Offence::TooManyFrames, "too many frames a second");
                false
            }
        }
    }

    fn end(&mut self, what: Offence, reason: &'static str) {
        self.terms.sender.offends(what, reason);
        self.ended = Some(reason);
        self.come.clear();
        self.until = Some(Box::pin(sleep(HOLD)));
    }
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Stream for Intake<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // No wake-up is owed: the frame that was handed over is decoded next, and then the following one is asked for.
        if std::mem::take(&mut this.pause) {
            return Poll::Pending;
        }
        loop {
            if let Some(until) = &mut this.until {
                ready!(until.as_mut().poll(context));
                this.until = None;
            }
            if let Some(reason) = this.ended {
                return Poll::Ready(Some(Err(PayloadError::Io(std::io::Error::other(reason)))));
            }
            if this.left == 0
                && let Some(head) = FrameHead::read(&this.come)
                && !this.begin(head)
            {
                continue;
            }
            if this.left > 0 && !this.come.is_empty() {
                let bytes = usize::try_from(this.left).unwrap_or(usize::MAX).min(this.come.len());
                this.left -= bytes as u64;
                this.pause = this.left == 0;
                return Poll::Ready(Some(Ok(this.come.split_to(bytes))));
            }
            match ready!(Pin::new(&mut this.of).poll_next(context)) {
                Some(Ok(more)) if this.come.is_empty() => this.come = more,
                // The first bytes of a head.
                Some(Ok(more)) => this.come = [&this.come[..], &more[..]].concat().into(),
                other => return Poll::Ready(other),
            }
        }
    }
}

/// Whether it ended for a frame that was not read because of its length.
pub fn is_too_long(error: &ProtocolError) -> bool {
    matches!(error, ProtocolError::Io(error) if error.to_string().contains(TOO_LONG))
        || matches!(error, ProtocolError::Overflow)
}

/// Why a socket ended that sent what it may not, or broke off; what was malformed is noted, the rest was.
pub fn ended(error: &ProtocolError, sender: &Sender) -> CloseReason {
    match error {
        ProtocolError::Io(error) => close_reason(CloseCode::Policy.into(), &error.to_string()),
        error => {
            sender.offends(Offence::MalformedFrame, &error.to_string());
            close_reason(CloseCode::Protocol.into(), &error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use actix_codec::{Decoder as _, Encoder as _};
    use actix_http::ws::{Codec, Message};
    use bytes::BytesMut;
    use futures_util::stream::iter;
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;
    use crate::links::intake::{IntakeRate, Meter};
    use crate::ops::metrics::Metrics;
    use crate::ops::offences::Offences;

    fn terms(patience: Patience, judge: impl Fn(bool) -> IntakeVerdict + 'static) -> SocketTerms {
        let offences = Offences::new(Metrics::new());
        let sender = Sender { offences, at: "test", from: [127, 0, 0, 1].into() };
        SocketTerms { sender, max_frame_bytes: 1_000, patience, judge: Box::new(judge) }
    }

    fn frames(lengths: &[usize]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        for length in lengths {
            let message = Message::Binary(vec![b'x'; *length].into());
            Codec::new().client_mode().encode(message, &mut bytes).unwrap();
        }
        bytes.to_vec()
    }

    type Come = std::vec::IntoIter<Result<Bytes, PayloadError>>;

    fn in_pieces(bytes: &[u8], piece: usize) -> futures_util::stream::Iter<Come> {
        let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        iter(pieces)
    }

    /// As actix-web-actors reads: all there is, then one frame. The most that lay there at a time.
    fn read_all(intake: &mut Intake<futures_util::stream::Iter<Come>>) -> (Vec<usize>, usize) {
        let (mut codec, mut buffer, mut lengths, mut most) = (Codec::new(), BytesMut::new(), Vec::new(), 0);
        loop {
            let mut over = false;
            while let Some(next) = intake.next().now_or_never() {
                match next {
                    Some(bytes) => buffer.extend_from_slice(&bytes.unwrap()),
                    None => {
                        over = true;
                        break;
                    }
                }
            }
            most = most.max(buffer.len());
            match codec.decode(&mut buffer).unwrap() {
                Some(actix_http::ws::Frame::Binary(payload)) => lengths.push(payload.len()),
                Some(other) => panic!("{other:?}"),
                None if over => return (lengths, most),
                None => panic!("it waits for more than there is"),
            }
        }
    }

    #[actix_web::test]
    async fn frames_are_handed_over_one_at_a_time_however_they_come() {
        let lengths: Vec<usize> = (0..200).map(|number| number * 7 % 400).collect();
        let bytes = frames(&lengths);
        for piece in [1, 2, 3, 5, 14, 100, 1_000, bytes.len()] {
            let mut intake = Intake::of(in_pieces(&bytes, piece), terms(Patience::endless(), |_| IntakeVerdict::Take));
            let (read, most) = read_all(&mut intake);
            assert_eq!(read, lengths, "in pieces of {piece}");
            assert!(most <= 400 + 8, "{most} bytes lay there, in pieces of {piece}");
        }
    }

    #[actix_web::test(start_paused = true)]
    async fn a_frame_that_announces_too_much_ends_the_socket_before_it_has_come() {
        let mut head = frames(&[1_001]);
        head.truncate(8);
        let mut intake = Intake::of(in_pieces(&head, 8), terms(Patience::endless(), |_| IntakeVerdict::Take));
        assert!(matches!(intake.next().await, Some(Err(PayloadError::Io(_)))));
    }

    #[actix_web::test]
    async fn a_stranger_says_little_and_who_is_let_in_as_much_as_he_likes() {
        let patience = Patience::new(8 + 300);
        let bytes = frames(&[200, 300, 300]);
        let mut intake = Intake::of(in_pieces(&bytes, 1_000), terms(patience.clone(), |_| IntakeVerdict::Take));
        assert_eq!(intake.next().await.unwrap().unwrap().len(), 208);
        assert!(intake.next().now_or_never().is_none(), "it is decoded meanwhile");
        patience.let_in();
        assert_eq!(intake.next().await.unwrap().unwrap().len(), 308);
        let mut intake = Intake::of(in_pieces(&bytes, 1_000), terms(Patience::new(300), |_| IntakeVerdict::Take));
        assert_eq!(intake.next().await.unwrap().unwrap().len(), 208);
        assert!(intake.next().now_or_never().is_none());
        assert!(matches!(intake.next().await, Some(Err(PayloadError::Io(_)))));
    }

    #[actix_web::test]
    async fn who_sends_too_fast_is_read_later_and_who_pings_too_fast_is_ended_after_a_pause() {
        let meter = Meter::new(IntakeRate { data_per_s: 20, control_per_s: 1 });
        let bytes = frames(&[1; 60]);
        let mut intake = Intake::of(in_pieces(&bytes, 1_000), terms(Patience::endless(), move |_| meter.judge(false)));
        let (start, mut read) = (Instant::now(), 0);
        while let Some(bytes) = intake.next().await {
            read += bytes.unwrap().len();
            // The frame is decoded, and the next is asked for.
            drop(intake.next().now_or_never());
        }
        assert_eq!(read, bytes.len(), "nothing is lost");
        assert!(start.elapsed() >= Duration::from_millis(900), "40 at once, and 20 at 20 a second");
        let mut intake = Intake::of(in_pieces(&bytes, 1_000), terms(Patience::endless(), |_| IntakeVerdict::End));
        let start = Instant::now();
        assert!(matches!(intake.next().await, Some(Err(PayloadError::Io(_)))));
        assert!(start.elapsed() >= HOLD);
    }
}
