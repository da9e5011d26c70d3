//! How much a WebSocket may send, whichever side opened it: how long a frame may be, and how many frames a second.
//!
//! The codec below us waits for the whole of a frame, whatever length its head announces, and pings are answered as they come.
//! So both are judged by a frame's head, before its payload is taken in.
//!
//! - **Control frames** (pings, pongs, close) beyond the rate end the socket: nothing of value is in them.
//! - **Data frames** beyond the rate are read later. The sender is slowed by TCP and nothing is lost.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::{Decoder, Encoder};
use actix_http::ws::{Codec, Frame, Message, ProtocolError};
use bytes::BytesMut;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::access::throttle::source_of;
use crate::ops::offences::{Offence, Offences};

/// Whoever exceeds waits this long for the end of the socket, so that coming again at once is no way around a rate.
pub const HOLD: Duration = Duration::from_secs(3);
/// The longest head: 2 bytes, 8 of length, 4 of mask.
const MAX_HEAD_BYTES: usize = 14;

/// What the first bytes of a frame say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Of the head and the payload together.
    pub frame_bytes: u64,
    pub payload_bytes: u64,
    pub is_control: bool,
}

impl FrameHead {
    /// `None`: more bytes are needed, at most 14 in all.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (length_bytes, payload_bytes) = match second & 0x7f {
            126 => (2, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
            length => (0, u64::from(length)),
        };
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        let head_bytes = 2 + length_bytes + mask_bytes;
        debug_assert!(head_bytes <= MAX_HEAD_BYTES as u64);
        let frame_bytes = payload_bytes.saturating_add(head_bytes);
        Some(Self { frame_bytes, payload_bytes, is_control: first & 0x08 != 0 })
    }
}

/// What becomes of the next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntakeVerdict {
    Take,
    /// Not before that has passed.
    Later(Duration),
    /// No more is taken from this socket.
    End,
}

/// How many frames a second a socket may send; a burst is twice that.
#[derive(Debug, Clone, Copy)]
pub struct IntakeRate {
    pub data_per_s: u32,
    pub control_per_s: u32,
}

/// Counts the frames of one socket.
#[derive(Debug)]
pub struct Meter {
    data: DefaultDirectRateLimiter,
    control: DefaultDirectRateLimiter,
}

impl Meter {
    pub fn new(rate: IntakeRate) -> Self {
        Self { data: limiter(rate.data_per_s), control: limiter(rate.control_per_s) }
    }

    #[must_use]
    pub fn judge(&self, is_control: bool) -> IntakeVerdict {
        let limiter = if is_control { &self.control } else { &self.data };
        match limiter.check() {
            Ok(()) => IntakeVerdict::Take,
            Err(_) if is_control => IntakeVerdict::End,
            Err(until) => IntakeVerdict::Later(until.wait_time_from(DefaultClock::default().now())),
        }
    }
}

fn limiter(per_s: u32) -> DefaultDirectRateLimiter {
    let per_s = NonZeroU32::new(per_s).unwrap_or(NonZeroU32::MIN);
    RateLimiter::direct(Quota::per_second(per_s).allow_burst(per_s.saturating_mul(NonZeroU32::MIN.saturating_add(1))))
}

/// Who sends on a socket, for the log and the metrics.
#[derive(Debug, Clone)]
pub struct Sender {
    pub offences: Arc<Offences>,
    /// The socket: `/ws/status`, `p2p`, …
    pub at: &'static str,
    pub from: IpAddr,
}

impl Sender {
    pub fn offends(&self, what: Offence, reason: &str) {
        self.offences.note(what, self.at, &source_of(self.from), reason);
    }
}

/// The WebSocket codec, for frames up to so many bytes: a longer one is refused by its head.
#[derive(Debug)]
pub struct BoundedCodec {
    codec: Codec,
    max_bytes: usize,
}

impl BoundedCodec {
    /// `codec` is of the client's side.
    pub fn new(codec: Codec, max_bytes: usize) -> Self {
        Self { codec, max_bytes }
    }
}

impl Encoder<Message> for BoundedCodec {
    type Error = ProtocolError;

    fn encode(&mut self, message: Message, to: &mut BytesMut) -> Result<(), Self::Error> {
        self.codec.encode(message, to)
    }
}

impl Decoder for BoundedCodec {
    type Item = Frame;
    type Error = ProtocolError;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<Frame>, Self::Error> {
        if FrameHead::read(from).is_some_and(|head| head.payload_bytes > self.max_bytes as u64) {
            return Err(ProtocolError::Overflow);
        }
        self.codec.decode(from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_is_refused_by_the_length_it_announces() {
        let mut codec = BoundedCodec::new(Codec::new().client_mode().max_size(1_000), 1_000);
        // 2^40 bytes are announced, and none of them has come.
        let mut announced = BytesMut::from(&[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0][..]);
        assert!(matches!(codec.decode(&mut announced), Err(ProtocolError::Overflow)));
        let mut whole = BytesMut::from(&[0x82, 2, 7, 7][..]);
        assert!(matches!(codec.decode(&mut whole), Ok(Some(Frame::Binary(bytes))) if bytes[..] == [7, 7]));
    }

    #[test]
    fn too_many_control_frames_end_a_socket_and_too_many_data_frames_are_read_later() {
        let meter = Meter::new(IntakeRate { data_per_s: 100, control_per_s: 10 });
        let judge = |is_control| (0..1_000).map(|_| meter.judge(is_control)).collect::<Vec<_>>();
        let control = judge(true);
        assert!((20..30).contains(&control.iter().filter(|verdict| **verdict == IntakeVerdict::Take).count()));
        assert_eq!(control.last(), Some(&IntakeVerdict::End));
        let data = judge(false);
        assert!((200..250).contains(&data.iter().filter(|verdict| **verdict == IntakeVerdict::Take).count()));
        assert!(matches!(data.last(), Some(IntakeVerdict::Later(wait)) if *wait <= Duration::from_millis(10)));
    }

    proptest! {
        /// A head is found where the codec finds it, however much of the frame has come.
        #[test]
        fn heads_are_read_as_the_codec_reads_them(length in 0_usize..70_000, masked: bool, control: bool) {
            let codec = || if masked { Codec::new().client_mode() } else { Codec::new() };
            let payload = bytes::Bytes::from(vec![b'x'; if control { length % 126 } else { length }]);
            let message = if control { Message::Ping(payload.clone()) } else { Message::Binary(payload.clone()) };
            let mut frame = BytesMut::new();
            codec().encode(message, &mut frame).unwrap();
            let head = FrameHead::read(&frame).unwrap();
            prop_assert_eq!(head.frame_bytes, frame.len() as u64);
            prop_assert_eq!(head.payload_bytes, payload.len() as u64);
            prop_assert_eq!(head.is_control, control);
            for cut in 0..frame.len().min(MAX_HEAD_BYTES) {
                prop_assert!(FrameHead::read(&frame[..cut]).is_none_or(|early| early == head));
            }
        }
    }
}
