//! How many requests one address or one edge may make, so that a flood leaves the others alone. How much of the rest: `room.rs`.
//!
//! They are counted per edge where a key is shown, else per address. One too many is answered 429 *after a pause*: a flood then
//! waits for its own answers, connection by connection, and takes no time from others. 127.0.0.1 and ::1 are not limited: who is on
//! the machine can take what he likes of it anyway, and a proxy there speaks for many.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::access::right::Who;
use crate::access::throttle::{is_this_machine, source_of};

/// A burst is this many seconds' worth: a page with all it loads, cameras that all see a car.
const BURST_S: u32 = 2;
/// How long one request too many waits for its answer.
pub const PAUSE: Duration = Duration::from_millis(250);
/// The least time a text on a socket waits, if it waits.
const MIN_PACE: Duration = Duration::from_millis(20);
/// How often what is known of addresses that went silent is dropped.
pub const SWEEP_PERIOD: Duration = Duration::from_secs(60);

type Limiter = DefaultKeyedRateLimiter<String>;

/// Requests per address and edge.
#[derive(Debug)]
pub struct Rates {
    /// With the setting it was made for.
    limiter: Mutex<(u32, Arc<Limiter>)>,
}

impl Rates {
    /// `per_s`: `tuning.max_requests_per_second`.
    #[must_use]
    pub fn new(per_s: u32) -> Self {
        Self { limiter: Mutex::new((per_s, Arc::new(limiter(per_s)))) }
    }

    /// Counts a request of this caller.
    ///
    /// # Errors
    /// It is one too many; after so many ms there is room again.
    pub fn count(&self, per_s: u32, from: IpAddr, who: &Who) -> Result<(), u64> {
        if is_this_machine(from) {
            return Ok(());
        }
        let key = match who {
            Who::Edge(id) => format!("edge {id}"),
            _ => source_of(from),
        };
        let limiter = self.limiter(per_s);
        limiter.check_key(&key).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// Counts a text on a socket of this address; how long it waits to be read, if it does. Also from this machine: nothing is turned
    /// away, and one program after the other is read.
    #[must_use]
    pub fn pace(&self, per_s: u32, from: IpAddr) -> Option<Duration> {
        let limiter = self.limiter(per_s);
        let until = limiter.check_key(&format!("socket {}", source_of(from))).err()?;
        // Many sockets may wait for the same moment.
        Some(until.wait_time_from(DefaultClock::default().now()).max(MIN_PACE))
    }

    /// Forgets who has been silent.
    pub fn sweep(&self) {
        let limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner).1.clone();
        limiter.retain_recent();
        limiter.shrink_to_fit();
    }

    /// The limiter for this setting; another one is made when it changed.
    fn limiter(&self, per_s: u32) -> Arc<Limiter> {
        let mut held = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        if held.0 != per_s {
            *held = (per_s, Arc::new(limiter(per_s)));
        }
        held.1.clone()
    }
}

fn limiter(per_s: u32) -> Limiter {
    let per_s = NonZeroU32::new(per_s).unwrap_or(NonZeroU32::MIN);
    let burst = per_s.saturating_mul(NonZeroU32::new(BURST_S).unwrap_or(NonZeroU32::MIN));
    let quota = Quota::per_second(per_s).allow_burst(burst);
    RateLimiter::keyed(quota)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_flood_is_stopped_and_others_are_not() {
        let rates = Rates::new(100);
        let flood = (0..1_000).filter(|_| rates.count(100, address("10.0.0.1"), &Who::Nobody).is_ok()).count();
        assert!((200..=220).contains(&flood), "{flood}");
        let wait_ms = rates.count(100, address("10.0.0.1"), &Who::Nobody).unwrap_err();
        assert!(wait_ms <= 20, "{wait_ms}");
        assert!(rates.count(100, address("10.0.0.2"), &Who::Nobody).is_ok());
        let edge = Who::Edge("edge-1".to_owned());
        assert!(rates.count(100, address("10.0.0.1"), &edge).is_ok(), "an edge behind the same address");
        for _ in 0..1_000 {
            assert!(rates.count(100, address("127.0.0.1"), &Who::Nobody).is_ok());
        }
    }

    #[test]
    fn another_setting_counts_at_once_and_silent_addresses_are_forgotten() {
        let rates = Rates::new(1);
        let from = address("10.0.0.1");
        assert!((0..10).any(|_| rates.count(1, from, &Who::Nobody).is_err()));
        assert!(rates.count(1_000, from, &Who::Nobody).is_ok());
        for last in 0..=255 {
            rates.count(1_000_000, IpAddr::from([10, 0, 1, last]), &Who::Nobody).unwrap();
        }
        assert!(rates.limiter(1_000_000).len() >= 256);
        // At this rate what an address asked is made up for at once; it is forgotten at a sweep after that.
        let start = std::time::Instant::now();
        while !rates.limiter(1_000_000).is_empty() {
            rates.sweep();
            assert!(start.elapsed() < Duration::from_secs(10), "{}", rates.limiter(1_000_000).len());
        }
    }
}
