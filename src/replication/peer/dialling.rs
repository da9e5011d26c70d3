//! When to dial a peer.

use crate::replication::Now;
use crate::replication::backoff::{Backoff, BackoffRange, SplitMix64};

/// How long connecting may take, in ms.
pub const CONNECT_TIMEOUT_MS: u64 = 2_000;

/// A dial of which nothing is heard for this long, in ms, is given up: the shell forgot it.
const LOST_DIAL_MS: u64 = CONNECT_TIMEOUT_MS + 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DialState {
    /// Linked, or in a handshake.
    Resting,
    Due {
        at_ms: u64,
    },
    Connecting {
        attempt: u64,
        since_ms: u64,
    },
}

/// The dialling of one peer.
#[derive(Debug)]
pub(super) struct Dialling {
    state: DialState,
    backoff: Backoff,
    random: SplitMix64,
    attempts: u64,
}

impl Dialling {
    pub(super) fn new(now: Now, range: BackoffRange, seed: u64) -> Self {
        Self {
            state: DialState::Due { at_ms: now.mono_ms },
            backoff: Backoff::new(range),
            random: SplitMix64::new(seed),
            attempts: 0,
        }
    }

    /// The attempt to make now, if one is due.
    pub(super) fn start_if_due(&mut self, now: Now) -> Option<u64> {
        let DialState::Due { at_ms } = self.state else { return None };
        if at_ms > now.mono_ms {
            return None;
        }
        self.attempts += 1;
        self.state = DialState::Connecting { attempt: self.attempts, since_ms: now.mono_ms };
        Some(self.attempts)
    }

    /// Whether `attempt` is the one under way; it is over then.
    pub(super) fn finish(&mut self, attempt: u64) -> bool {
        let current = matches!(self.state, DialState::Connecting { attempt: ours, .. } if ours == attempt);
        if current {
            self.state = DialState::Resting;
        }
        current
    }

    /// Whether the attempt under way was lost; it is over then.
    pub(super) fn give_up_lost(&mut self, now: Now) -> bool {
        let lost =
            matches!(self.state, DialState::Connecting { since_ms, .. } if since_ms + LOST_DIAL_MS <= now.mono_ms);
        if lost {
            self.state = DialState::Resting;
        }
        lost
    }

    /// There is no link: dial after the next wait of the back-off, the longest one if the peer refused us.
    pub(super) fn schedule(&mut self, now: Now, refused: bool) {
        if self.state != DialState::Resting {
            return;
        }
        let random = self.random.next_u64();
        let wait_ms = if refused { self.backoff.cap_ms() } else { self.backoff.next_wait_ms(random) };
        self.state = DialState::Due { at_ms: now.mono_ms + wait_ms };
    }

    /// There is a link or a handshake: no new dial. One under way goes on.
    pub(super) fn rest(&mut self) {
        if matches!(self.state, DialState::Due { .. }) {
            self.state = DialState::Resting;
        }
    }

    /// Dials now instead of later.
    pub(super) fn hurry(&mut self, now: Now) {
        if matches!(self.state, DialState::Due { .. }) {
            self.state = DialState::Due { at_ms: now.mono_ms };
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.state, DialState::Connecting { .. })
    }

    pub(super) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        match self.state {
            DialState::Due { at_ms } => Some(at_ms),
            _ => None,
        }
    }

    pub(super) fn next_wakeup_ms(&self) -> Option<u64> {
        match self.state {
            DialState::Resting => None,
            DialState::Due { at_ms } => Some(at_ms),
            DialState::Connecting { since_ms, .. } => Some(since_ms + LOST_DIAL_MS),
        }
    }
}
