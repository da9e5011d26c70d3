//! The bound on edge requests: how many may be between their acceptance and their answer, over the whole central.
//!
//! A mailbox bounds nothing, so the bound stands where work enters. A [`Permit`] travels with the request and is given
//! back when it is dropped, wherever that is: in the writer after the answer, or with an actor that panicked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ops::metrics::Level;

/// The bound and how much of it is used. Shared by all workers.
#[derive(Debug)]
pub struct InFlight {
    limit: AtomicUsize,
    now: AtomicUsize,
    gauge: Level,
}

/// One request in flight.
#[derive(Debug)]
pub struct Permit {
    of: Arc<InFlight>,
}

impl InFlight {
    pub fn new(limit: usize, gauge: Level) -> Arc<Self> {
        Arc::new(Self { limit: AtomicUsize::new(limit), now: AtomicUsize::new(0), gauge })
    }

    /// A permit, or `None` at once if the bound is reached.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Option<Permit> {
        let before = self.now.fetch_add(1, Ordering::Relaxed);
        let permit = Permit { of: self.clone() };
        self.gauge.inc();
        // Too many: dropping the permit takes the step back.
        (before < self.limit.load(Ordering::Relaxed)).then_some(permit)
    }

    /// Applies to requests from now on; those in flight stay.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.of.now.fetch_sub(1, Ordering::Relaxed);
        self.of.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_there_is_no_permit_until_one_is_given_back() {
        let gauge = Level::default();
        let in_flight = InFlight::new(2, gauge.clone());
        let first = in_flight.enter().unwrap();
        let _second = in_flight.enter().unwrap();
        assert!(in_flight.enter().is_none());
        assert_eq!(gauge.get(), 2);
        drop(first);
        assert!(in_flight.enter().is_some());
        in_flight.set_limit(0);
        assert!(in_flight.enter().is_none());
        assert_eq!(gauge.get(), 1);
    }
}
