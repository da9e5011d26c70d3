//! How much of this central one address or one edge may take, so that a flood leaves the others alone.
//!
//! - **Requests** are counted per edge where a key is shown, else per address. One too many is answered 429 *after a pause*: a
//!   flood then waits for its own answers, connection by connection, and takes no time from others.
//! - **Connections** are counted per address, by `listen.rs`. One too many is closed before a byte of it is read.
//! - 127.0.0.1 and ::1 are not limited: who is on the machine can take what he likes of it anyway, and a proxy there speaks for many.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::access::who::Who;
use crate::actors::doorkeeper::source_of;

/// A burst is this many seconds' worth: a page with all it loads, cameras that all see a car.
const BURST_S: u32 = 2;
/// How long one request too many waits for its answer.
pub const PAUSE: Duration = Duration::from_millis(250);
/// The least time a text on a socket waits, if it waits.
const MIN_PACE: Duration = Duration::from_millis(20);
/// Connections of one address at a time, at the API port. A browser has six and its sockets, an edge one or two.
pub const MAX_API_CONNECTIONS: usize = 256;
/// At a port for centrals, where each has one or two.
pub const MAX_PEER_CONNECTIONS: usize = 32;
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

fn is_this_machine(ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || ip == IpAddr::V6(Ipv6Addr::LOCALHOST)
}

/// How many connections each address has at one port.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    counts: Mutex<HashMap<String, usize>>,
}

/// One connection, counted until it is dropped.
#[derive(Debug)]
pub struct Connected {
    of: Arc<Connections>,
    source: String,
}

impl Connections {
    /// None yet; of one address at most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, counts: Mutex::default() }
    }

    /// One more connection; `None`: the address has as many as it may.
    #[must_use]
    pub fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Connected> {
        let source = source_of(from);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source.clone()).or_default();
        if *count >= self.most && !is_this_machine(from) {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Connected { of: self.clone(), source })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut counts = self.of.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
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

    #[test]
    fn an_address_has_so_many_connections_and_no_more() {
        let connections = Arc::new(Connections::new(MAX_API_CONNECTIONS));
        let mut held: Vec<Connected> =
            (0..MAX_API_CONNECTIONS).map(|_| connections.enter(address("10.0.0.1")).unwrap()).collect();
        assert!(connections.enter(address("10.0.0.1")).is_none());
        assert!(connections.enter(address("10.0.0.2")).is_some());
        held.pop();
        held.push(connections.enter(address("10.0.0.1")).unwrap());
        held.clear();
        assert!(connections.counts.lock().unwrap().is_empty(), "nothing is remembered of who is gone");
    }
}
