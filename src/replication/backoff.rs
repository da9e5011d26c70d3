//! How long to wait before trying again: exponential with full jitter, so that centrals that fell together do not
//! return together.

use serde::{Deserialize, Serialize};

/// Between which bounds the wait grows, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackoffRange {
    /// The most the first wait can be.
    pub floor_ms: u64,
    /// The most any wait can be.
    pub cap_ms: u64,
}

impl BackoffRange {
    /// Between two dials of a peer.
    pub const DIAL: Self = Self { floor_ms: 500, cap_ms: 3_000 };
    /// Between a failed commit and asking for the same events again.
    pub const COMMIT: Self = Self { floor_ms: 500, cap_ms: 10_000 };
}

/// Counts failures and gives the wait after each.
#[derive(Debug, Clone)]
pub struct Backoff {
    range: BackoffRange,
    failures: u32,
}

impl Backoff {
    pub fn new(range: BackoffRange) -> Self {
        Self { range, failures: 0 }
    }

    /// The wait after one more failure: uniform between 0 and a ceiling that doubles from the floor to the cap.
    pub fn next_wait_ms(&mut self, random: u64) -> u64 {
        let ceiling_ms = self.ceiling_ms();
        self.failures = self.failures.saturating_add(1);
        // The bias of the remainder is below 2^-50 for waits of ms.
        random % (ceiling_ms + 1)
    }

    /// The most the next wait can be.
    pub fn ceiling_ms(&self) -> u64 {
        let factor = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        self.range.floor_ms.saturating_mul(factor).min(self.range.cap_ms)
    }

    pub fn cap_ms(&self) -> u64 {
        self.range.cap_ms
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A stream of numbers from a seed (splitmix64). For jitter and simulation, never for secrets.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_from_the_floor_to_the_cap() {
        let mut backoff = Backoff::new(BackoffRange::DIAL);
        let mut ceilings = Vec::new();
        for _ in 0..5 {
            ceilings.push(backoff.ceiling_ms());
            backoff.next_wait_ms(0);
        }
        assert_eq!(ceilings, [500, 1_000, 2_000, 3_000, 3_000]);
        backoff.reset();
        assert_eq!(backoff.ceiling_ms(), 500);
    }

    #[test]
    fn a_wait_uses_the_whole_range_below_its_ceiling() {
        let mut random = SplitMix64::new(7);
        let waits: Vec<u64> =
            (0..2_000).map(|_| Backoff::new(BackoffRange::DIAL).next_wait_ms(random.next_u64())).collect();
        assert!(waits.iter().all(|wait| *wait <= 500));
        assert!(waits.iter().any(|wait| *wait < 25) && waits.iter().any(|wait| *wait > 475));
    }

    #[test]
    fn any_number_of_failures_stays_at_the_cap() {
        let mut backoff = Backoff::new(BackoffRange { floor_ms: u64::MAX / 2, cap_ms: 9 });
        for _ in 0..200 {
            assert!(backoff.next_wait_ms(u64::MAX) <= 9);
        }
    }
}
