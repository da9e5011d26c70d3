//! Two sockets of one pair: which stays is judged after HELLO, by which of them lives.

use super::output::SocketId;
use crate::domain::ids::CentralId;
use crate::replication::now::Now;
use crate::wire::frame::{Frame, Hello};

/// How long a probed socket has to answer, in ms.
pub(super) const PROBE_MS: u64 = 2_000;

/// Most frames kept for a challenger while it is judged; a peer that sends more before it is accepted is not one of ours.
const MAX_BUFFERED_FRAMES: usize = 64;

/// Who opened a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialler {
    We,
    They,
}

impl Dialler {
    /// Of two sockets between the same two processes, dialled by one each, the one of the smaller id stays.
    pub(super) fn preferred(own: &CentralId, peer: &CentralId) -> Self {
        if own < peer { Self::We } else { Self::They }
    }
}

/// A socket that said HELLO while another is the link.
#[derive(Debug)]
pub(super) struct Challenger {
    pub(super) socket: SocketId,
    pub(super) dialler: Dialler,
    pub(super) hello: Hello,
    /// Frames that came after the HELLO.
    pub(super) frames: Vec<Frame>,
}

/// Which of the two sockets has to prove that it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probed {
    Link,
    Challenger,
}

#[derive(Debug)]
pub(super) struct Contest {
    pub(super) challenger: Challenger,
    pub(super) probed: Probed,
    pub(super) payload: u64,
    pub(super) deadline_ms: u64,
    /// The challenger is another process than the one linked: it restarted, or there are two.
    pub(super) other_instance: bool,
}

/// How a contest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    ChallengerWins,
    ChallengerLoses,
    /// The old link lives and the challenger is another process with the same id.
    Duplicate,
}

impl Contest {
    pub(super) fn new(now: Now, challenger: Challenger, probed: Probed, payload: u64, other_instance: bool) -> Self {
        Self { challenger, probed, payload, deadline_ms: now.mono_ms + PROBE_MS, other_instance }
    }

    /// The probe came back.
    pub(super) fn answered(&self) -> Verdict {
        match self.probed {
            Probed::Challenger => Verdict::ChallengerWins,
            Probed::Link if self.other_instance => Verdict::Duplicate,
            Probed::Link => Verdict::ChallengerLoses,
        }
    }

    /// The probed socket stayed silent.
    pub(super) fn expired(&self) -> Verdict {
        match self.probed {
            Probed::Challenger => Verdict::ChallengerLoses,
            Probed::Link => Verdict::ChallengerWins,
        }
    }

    /// A frame came on the challenger. A peer sends more than HELLO only on the socket it has settled on, so that of a
    /// probed challenger is as good as the answer to the probe.
    pub(super) fn frame(&mut self, frame: Frame) -> Option<Verdict> {
        self.challenger.frames.push(frame);
        match self.probed {
            Probed::Challenger => Some(Verdict::ChallengerWins),
            Probed::Link if self.challenger.frames.len() > MAX_BUFFERED_FRAMES => Some(Verdict::ChallengerLoses),
            Probed::Link => None,
        }
    }
}
