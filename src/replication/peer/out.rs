//! Where the parts of a peer put what they want done.

use super::output::{Alarm, PeerOutput, PeerReport, SocketId};
use super::status::Counters;
use crate::domain::ids::CentralId;
use crate::replication::now::Now;
use crate::wire::encode::Encoder;
use crate::wire::frame::Frame;

/// The outputs of one peer, in order, and the counters that go with them.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) encoder: Encoder,
    pub(super) outputs: Vec<PeerOutput>,
    pub(super) counters: Counters,
}

impl Out {
    pub(super) fn new(own: CentralId) -> Self {
        Self { encoder: Encoder::new(own), outputs: Vec::new(), counters: Counters::default() }
    }

    pub(super) fn send(&mut self, now: Now, socket: SocketId, frame: &Frame) {
        let text = self.encoder.encode(now.wall_ms, frame);
        self.send_text(socket, text);
    }

    pub(super) fn send_text(&mut self, socket: SocketId, text: String) {
        self.counters.frames_sent += 1;
        self.outputs.push(PeerOutput::Send { socket, text });
    }

    pub(super) fn send_compressed(&mut self, socket: SocketId, text: String) {
        self.counters.frames_sent += 1;
        self.outputs.push(PeerOutput::SendCompressed { socket, text });
    }

    pub(super) fn ping(&mut self, socket: SocketId, payload: u64) {
        self.outputs.push(PeerOutput::Ping { socket, payload });
    }

    pub(super) fn close(&mut self, socket: SocketId, code: u16, reason: &str) {
        self.outputs.push(PeerOutput::Close { socket, code, reason: reason.to_owned() });
    }

    pub(super) fn report(&mut self, report: PeerReport) {
        self.outputs.push(PeerOutput::Report(report));
    }

    pub(super) fn alarm(&mut self, alarm: Alarm) {
        self.outputs.push(PeerOutput::Alarm(alarm));
    }
}

/// The earlier of two moments, where `None` is never.
pub(crate) fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}
