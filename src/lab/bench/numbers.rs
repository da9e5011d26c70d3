//! Which plates a load uses: not the same one again too soon.
//!
//! A central answers the same plate, edge and direction within 10 s with its first answer again, so a plate comes back
//! to its edge only after longer than that. Which plates are used depends on the run, so that one run does not meet
//! the memory of the one before it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::lab::plates::ALL_PLATES;

/// How long a plate rests: longer than the 10 s in which a press is taken for a repeated one.
const REST: Duration = Duration::from_millis(10_500);

/// Gives out plate numbers of one run; all edges of a run share it.
#[derive(Debug)]
pub struct NumberSource {
    next: u64,
}

impl NumberSource {
    /// `salt`: something else for each run, for example the time it started.
    #[must_use]
    pub fn new(salt: u64) -> Self {
        Self { next: salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) % ALL_PLATES }
    }

    /// A number no other edge of this run has.
    pub fn take(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// The plates of one edge that were used and rest, oldest first.
#[derive(Debug, Default)]
pub struct Resting(VecDeque<(Instant, u64)>);

impl Resting {
    /// A plate that has rested long enough, else a new one.
    pub fn take(&mut self, now: Instant, numbers: &mut NumberSource) -> u64 {
        match self.0.front() {
            Some((since, number)) if now.duration_since(*since) > REST => {
                let number = *number;
                self.0.pop_front();
                number
            }
            _ => numbers.take(),
        }
    }

    /// The car is gone; its plate rests from now on.
    pub fn put(&mut self, now: Instant, number: u64) {
        self.0.push_back((now, number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plate_comes_back_to_its_edge_only_after_its_rest() {
        let (mut numbers, mut resting, start) = (NumberSource::new(7), Resting::default(), Instant::now());
        let first = resting.take(start, &mut numbers);
        resting.put(start, first);
        assert_ne!(resting.take(start + Duration::from_secs(10), &mut numbers), first);
        assert_eq!(resting.take(start + Duration::from_secs(11), &mut numbers), first);
        assert_ne!(resting.take(start + Duration::from_secs(11), &mut numbers), first);
    }
}
