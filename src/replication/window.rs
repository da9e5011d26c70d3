//! How much may be under way on one link, and how large the next run of a log may be.

use crate::wire::MAX_RUN_BYTES;

/// Most bytes of events sent on a link and not yet acknowledged: what a slow peer can cost.
pub const LINK_WINDOW_BYTES: usize = 1024 * 1024;

/// The part of the window catch-up may use, so that the catch-up of one log never delays a live event of another.
pub const CATCH_UP_WINDOW_BYTES: usize = LINK_WINDOW_BYTES / 4 * 3;

/// Size of the first run of a subscription, in bytes: small enough to be committed at once by a slow machine.
pub const FIRST_RUN_BYTES: usize = 16 * 1024;

/// A run acknowledged within this time, in ms, may be followed by one twice as large.
const QUICK_ACK_MS: u64 = 100;

/// A run that took longer than this, in ms, is followed by one half as large.
const SLOW_ACK_MS: u64 = 1_000;

/// The bytes under way on one link: `unacked + reserved`, each part counted until it is acknowledged or given up.
#[derive(Debug, Clone, Default)]
pub struct Window {
    unacked_bytes: usize,
    /// Asked of the disk and not sent yet.
    reserved_bytes: usize,
}

impl Window {
    /// Whether a live run of this size may be sent now.
    pub fn admits_live(&self, bytes: usize) -> bool {
        self.unacked_bytes + bytes <= LINK_WINDOW_BYTES
    }

    /// Sets room aside for a catch-up run that is about to be read; `false` if there is none now.
    pub fn reserve(&mut self, bytes: usize) -> bool {
        // An empty window admits anything: one event may be larger than a run.
        let under_way_bytes = self.unacked_bytes + self.reserved_bytes;
        let admitted = under_way_bytes == 0 || under_way_bytes + bytes <= CATCH_UP_WINDOW_BYTES;
        if admitted {
            self.reserved_bytes += bytes;
        }
        admitted
    }

    /// Gives back what [`Window::reserve`] set aside: the run was read, or never will be.
    pub fn unreserve(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.reserved_bytes, "only what was reserved is given back");
        self.reserved_bytes = self.reserved_bytes.saturating_sub(bytes);
    }

    pub fn sent(&mut self, bytes: usize) {
        self.unacked_bytes += bytes;
    }

    pub fn released(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.unacked_bytes, "only what was sent is released");
        self.unacked_bytes = self.unacked_bytes.saturating_sub(bytes);
    }

    pub fn unacked_bytes(&self) -> usize {
        self.unacked_bytes
    }
}

/// The size of the next catch-up run of one subscription, led by how fast the last ones were committed over there.
#[derive(Debug, Clone)]
pub struct RunSize(usize);

impl Default for RunSize {
    fn default() -> Self {
        Self(FIRST_RUN_BYTES)
    }
}

impl RunSize {
    /// Between 16 and 256 KiB.
    pub fn bytes(&self) -> usize {
        self.0
    }

    /// A run was acknowledged this long after it was sent.
    pub fn acked_after(&mut self, elapsed_ms: u64) {
        if elapsed_ms <= QUICK_ACK_MS {
            self.0 = (self.0 * 2).min(MAX_RUN_BYTES);
        } else if elapsed_ms > SLOW_ACK_MS {
            self.0 = (self.0 / 2).max(FIRST_RUN_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn catch_up_leaves_a_quarter_of_the_window_to_live_events() {
        let mut window = Window::default();
        while window.reserve(64 * 1024) {
            window.unreserve(64 * 1024);
            window.sent(64 * 1024);
        }
        assert_eq!(window.unacked_bytes(), CATCH_UP_WINDOW_BYTES);
        assert!(window.admits_live(LINK_WINDOW_BYTES / 4));
        assert!(!window.admits_live(LINK_WINDOW_BYTES / 4 + 1));
    }

    #[test]
    fn runs_grow_while_acknowledged_quickly_and_shrink_when_slow() {
        let mut size = RunSize::default();
        for _ in 0..10 {
            size.acked_after(100);
        }
        assert_eq!(size.bytes(), 256 * 1024);
        size.acked_after(1_000);
        assert_eq!(size.bytes(), 256 * 1024, "between quick and slow nothing changes");
        size.acked_after(1_001);
        assert_eq!(size.bytes(), 128 * 1024);
        for _ in 0..10 {
            size.acked_after(5_000);
        }
        assert_eq!(size.bytes(), 16 * 1024);
    }

    proptest! {
        #[test]
        fn what_is_under_way_never_exceeds_the_window(steps in prop::collection::vec((0..4_u8, 1..300_000_usize), 1..200)) {
            let mut window = Window::default();
            let (mut reserved, mut sent) = (Vec::new(), Vec::new());
            for (step, bytes) in steps {
                match step {
                    0 => if window.reserve(bytes) { reserved.push(bytes) },
                    1 => if let Some(bytes) = reserved.pop() {
                        window.unreserve(bytes);
                        window.sent(bytes);
                        sent.push(bytes);
                    },
                    2 => if window.admits_live(bytes) {
                        window.sent(bytes);
                        sent.push(bytes);
                    },
                    _ => if let Some(bytes) = sent.pop() { window.released(bytes) },
                }
                prop_assert_eq!(window.unacked_bytes(), sent.iter().sum::<usize>());
                prop_assert!(window.unacked_bytes() <= LINK_WINDOW_BYTES + CATCH_UP_WINDOW_BYTES);
            }
        }
    }
}
