//! How much of what this central has one address may take, and all together: connections, dashboards, bytes of request bodies.
//!
//! - **One address** has a bound of its own, and while room gets short less: half of what is left, but never less than
//!   [`LEAST_OF_ONE`]. So a few addresses cannot take everything.
//! - **All** together have a bound; the last quarter is kept for addresses that are [known](KnownAddresses): from which somebody logged in,
//!   showed a key, or was served as a gate. The very last places are kept for 127.0.0.1 and ::1, which have no bound of their own.
//! - **Bytes a second** of one address, over all its connections, with something for each new one; a central that was let in may
//!   send as much as a disk takes in.
//! - **Bodies**: the first bytes of each come with its connection, so that what gates send always finds room; what is longer is
//!   counted as it arrives, before it is kept.
//!
//! And how many requests one address or one edge may make, so that a flood leaves the others alone. They are counted per edge where a key is shown, else per address. One too many is answered 429 *after a pause*: a flood then
//! waits for its own answers, connection by connection, and takes no time from others. 127.0.0.1 and ::1 are not limited: who is on
//! the machine can take what he likes of it anyway, and a proxy there speaks for many.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::answers::Answers;
use crate::access::right::Who;
use crate::access::throttle::{is_this_machine, source_of};
use crate::ops::metrics::Level;

/// Connections of one address at a time, at the API port. A browser has six and its sockets, an edge one or two.
const API_OF_ONE: usize = 256;
/// And of all: a site has some hundreds, and what is read on one before anybody looks at it may be 160 KiB.
const API_OF_ALL: usize = 2_048;
/// At the ports for centrals, where each has one or two.
const PEERS_OF_ONE: usize = 32;
const PEERS_OF_ALL: usize = 512;
/// Dashboards of one address: a control room with its screens, behind one router.
const DASHBOARDS_OF_ONE: usize = 128;
/// Each costs some KiB.
const DASHBOARDS_OF_ALL: usize = 1_000;
/// What an address may always have, as long as there is any room.
pub const LEAST_OF_ONE: usize = 4;
/// Kept for this machine.
const KEPT_FOR_THIS_MACHINE: usize = 8;
/// Accepted beyond all places, so that they can be refused: who comes faster waits at the door, and costs no descriptor.
const BEING_REFUSED: usize = 64;
/// How many addresses a log line names.
const SHOWN_SOURCES: usize = 5;
/// Files and sockets that are none of these: the database with its readers, links that this central dials, what it logs to.
const OTHER_FILES: u64 = 192;

/// An address is known for so long after it was last served as somebody known.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Addresses that are known; a site has some hundreds. Beyond it no new one is, and none is forgotten for it.
const MOST_KNOWN: usize = 4_096;

/// Bytes a second that are read of one address: some 500 full requests of gates, or two of the longest lists.
const API_PACE: Pace = Pace { bytes_per_s: 8_000_000, burst_bytes: 4_000_000 };
/// Of one that has not said who it is, at the ports for centrals; and of one that was let in.
const STRANGERS_PACE: Pace = Pace { bytes_per_s: 1_000_000, burst_bytes: 1_000_000 };
const PEERS_PACE: Pace = Pace { bytes_per_s: 64_000_000, burst_bytes: 16_000_000 };
/// What a new connection costs, in bytes that are read: with TLS some ms of a core.
const CONNECTION_BYTES: usize = 16 * 1024;

/// Bytes of a body that are not counted: a real call of a gate has some hundred.
pub const UNCOUNTED_BODY_BYTES: usize = 4 * 1024;
/// Counted bytes of one address, and of all: two, and four, of the largest bodies there are.
const BODY_BYTES_OF_ONE: usize = 8 * 1024 * 1024;
const BODY_BYTES_OF_ALL: usize = 16 * 1024 * 1024;

/// All the rooms of a central.
#[derive(Debug, Clone)]
pub struct Rooms {
    pub api: Arc<Room>,
    /// Of both ports for centrals.
    pub peers: Arc<Room>,
    pub dashboards: Arc<Room>,
    pub bodies: Arc<Bodies>,
    pub answers: Arc<Answers>,
}

impl Rooms {
    /// For a process that may have so many files and sockets open; `None`: as many as it likes.
    pub fn new(open_files: Option<u64>, dashboards: Level) -> Self {
        let (api, peers) = connections(open_files);
        let known = Arc::new(KnownAddresses::default());
        Self {
            api: Room::new((API_OF_ONE, api), [API_PACE; 2], known.clone(), Level::default()),
            peers: Room::new((PEERS_OF_ONE, peers), [STRANGERS_PACE, PEERS_PACE], Arc::default(), Level::default()),
            answers: Answers::new(known.clone()),
            dashboards: Room::new((DASHBOARDS_OF_ONE, DASHBOARDS_OF_ALL), [API_PACE; 2], known, dashboards),
            bodies: Arc::new(Bodies::new(BODY_BYTES_OF_ONE, BODY_BYTES_OF_ALL)),
        }
    }

    /// There are fewer descriptors than connections are granted.
    pub fn are_small(open_files: Option<u64>) -> bool {
        connections(open_files) != (API_OF_ALL, PEERS_OF_ALL)
    }

    /// Somebody at this address proved who he is, or was served as a gate.
    pub fn know(&self, from: IpAddr) {
        self.api.knows(from);
    }

    pub fn sweep(&self) {
        for room in [&self.api, &self.peers, &self.dashboards] {
            let (mut taken, now) = (room.lock(), Instant::now());
            room.known.sweep(now, |from| taken.of(&source_of(from)) > 0);
            taken.forget_idle(now);
        }
    }
}

/// At the API port, and at the ports for centrals.
fn connections(open_files: Option<u64>) -> (usize, usize) {
    let files = open_files.unwrap_or(u64::MAX);
    let left = usize::try_from(files.saturating_sub(OTHER_FILES.min(files / 2))).unwrap_or(usize::MAX);
    let peers = PEERS_OF_ALL.min(left / 4);
    (API_OF_ALL.min(left - peers), peers)
}

/// Addresses from which somebody is known.
#[derive(Debug, Default)]
pub struct KnownAddresses(Mutex<HashMap<IpAddr, Instant>>);

impl KnownAddresses {
    pub(super) fn is(&self, from: IpAddr, now: Instant) -> bool {
        self.lock().get(&network_of(from)).is_some_and(|at| now.duration_since(*at) < KNOWN_FOR)
    }

    pub(super) fn note(&self, from: IpAddr, now: Instant) {
        let mut known = self.lock();
        let network = network_of(from);
        if known.len() < MOST_KNOWN || known.contains_key(&network) {
            known.insert(network, now);
        }
    }

    /// Who is here stays known.
    fn sweep(&self, now: Instant, is_here: impl Fn(IpAddr) -> bool) {
        self.lock().retain(|network, at| {
            if is_here(*network) {
                *at = now;
            }
            now.duration_since(*at) < KNOWN_FOR
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As [`source_of`], without a text: this is asked for every call of a gate.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The address has as many as it may have now.
    OfOne,
    /// All that others than known ones may have are taken.
    OfAll,
}

/// Places of which each address has some.
#[derive(Debug)]
pub struct Room {
    of_one: usize,
    of_all: usize,
    /// Of who is unknown, and of who is known.
    paces: [Pace; 2],
    known: Arc<KnownAddresses>,
    taken: Mutex<Shares>,
    level: Level,
}

/// How fast one address is read.
#[derive(Debug, Clone, Copy)]
struct Pace {
    bytes_per_s: u32,
    burst_bytes: u32,
}

impl Pace {
    fn time_of(bytes: usize, bytes_per_s: u32) -> Duration {
        let ns = (bytes as u64).saturating_mul(1_000_000_000) / u64::from(bytes_per_s.max(1));
        Duration::from_nanos(ns)
    }
}

/// One place, taken until it is dropped.
#[derive(Debug)]
pub struct RoomPlace {
    of: Arc<Room>,
    from: IpAddr,
    source: String,
    /// Shared by all of this address.
    paid: Arc<PaidUntil>,
}

impl Room {
    fn new((of_one, of_all): (usize, usize), paces: [Pace; 2], known: Arc<KnownAddresses>, level: Level) -> Arc<Self> {
        Arc::new(Self { of_one, of_all, paces, known, taken: Mutex::default(), level })
    }

    /// How many connections to accept at a time: all places, and some to refuse.
    pub fn most_accepted(&self) -> usize {
        self.of_all + BEING_REFUSED.min(self.of_all / 8)
    }

    /// One more place for this address.
    ///
    /// # Errors
    /// [`Full`].
    pub fn enter(self: &Arc<Self>, from: IpAddr) -> Result<RoomPlace, Full> {
        let source = source_of(from);
        let mut taken = self.lock();
        let (of_it, of_all) = (taken.of(&source), taken.all);
        if is_this_machine(from) {
            if of_all >= self.of_all {
                return Err(Full::OfAll);
            }
        } else {
            let open = self.of_all - KEPT_FOR_THIS_MACHINE.min(self.of_all / 16);
            let open = if self.known.is(from, Instant::now()) { open } else { open / 4 * 3 };
            let left = open.saturating_sub(of_all);
            if left == 0 {
                return Err(Full::OfAll);
            }
            if of_it >= self.of_one.min((left / 2).max(LEAST_OF_ONE)) {
                return Err(Full::OfOne);
            }
        }
        let paid = taken.add(&source, 1);
        drop(taken);
        self.level.inc();
        let taken = RoomPlace { of: self.clone(), from, source, paid };
        let _later = taken.charge(CONNECTION_BYTES);
        Ok(taken)
    }

    /// A place to keep one that is refused for a moment, so that coming again at once is not worth it; `None`: others may need it.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> Option<HeldBack> {
        let mut taken = self.lock();
        if taken.held >= self.of_all / 4 || taken.all >= self.of_all / 2 {
            return None;
        }
        taken.held += 1;
        drop(taken);
        Some(HeldBack(self.clone()))
    }

    /// Somebody from this address proved who he is, or was served as a gate.
    pub fn knows(&self, from: IpAddr) {
        self.known.note(from, Instant::now());
    }

    /// Who has most, for a person who looks for the cause.
    pub fn most(&self) -> String {
        let taken = self.lock();
        let mut shares: Vec<_> = taken.by_source.iter().map(|(source, share)| (share.count, source)).collect();
        shares.sort_unstable_by(|a, b| b.cmp(a));
        let most = shares.iter().take(SHOWN_SOURCES).map(|(count, source)| format!("{source} ({count})"));
        most.collect::<Vec<_>>().join(", ")
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoomPlace {
    /// So many bytes were read; how long the next read of this address has to wait.
    #[must_use]
    pub fn charge(&self, bytes: usize) -> Duration {
        if is_this_machine(self.from) {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let [stranger, known] = self.of.paces;
        let pace = if self.of.known.is(self.from, now) { known } else { stranger };
        self.paid.charge(bytes, pace, now)
    }
}

/// The place of one that is refused.
#[derive(Debug)]
pub struct HeldBack(Arc<Room>);

impl Drop for HeldBack {
    fn drop(&mut self) {
        self.0.lock().held -= 1;
    }
}

impl Drop for RoomPlace {
    fn drop(&mut self) {
        self.of.lock().take(&self.source, 1);
        self.of.level.dec();
    }
}

/// How many of all are whose.
#[derive(Debug, Default)]
struct Shares {
    all: usize,
    /// Refused, and not closed yet.
    held: usize,
    by_source: HashMap<String, Share>,
}

/// What one source has.
#[derive(Debug, Default)]
struct Share {
    count: usize,
    paid: Arc<PaidUntil>,
}

/// Until when what was read of a source is paid for.
#[derive(Debug, Default)]
struct PaidUntil(Mutex<Option<Instant>>);

impl PaidUntil {
    fn charge(&self, bytes: usize, pace: Pace, now: Instant) -> Duration {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = until.map_or(now, |until| until.max(now)) + Pace::time_of(bytes, pace.bytes_per_s);
        *until = Some(paid);
        let burst = Pace::time_of(pace.burst_bytes as usize, pace.bytes_per_s);
        paid.duration_since(now).saturating_sub(burst)
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|until| until <= now)
    }
}

impl Shares {
    fn of(&self, source: &str) -> usize {
        self.by_source.get(source).map_or(0, |share| share.count)
    }

    fn add(&mut self, source: &str, count: usize) -> Arc<PaidUntil> {
        self.all += count;
        let share = self.by_source.entry(source.to_owned()).or_default();
        share.count += count;
        share.paid.clone()
    }

    /// Those that have nothing and owe nothing.
    fn forget_idle(&mut self, now: Instant) {
        self.by_source.retain(|_, share| share.count > 0 || !share.paid.is_idle(now));
    }

    fn take(&mut self, source: &str, count: usize) {
        self.all = self.all.saturating_sub(count);
        if let Some(share) = self.by_source.get_mut(source) {
            share.count = share.count.saturating_sub(count);
            // Who comes again at once begins where it ended.
            if share.count == 0 && share.paid.is_idle(Instant::now()) {
                self.by_source.remove(source);
            }
        }
    }
}

/// Bytes of request bodies that were read and are not done with.
#[derive(Debug)]
pub struct Bodies {
    of_one: usize,
    of_all: usize,
    held: Mutex<Shares>,
}

/// The bytes of one body.
#[derive(Debug)]
pub struct Lease {
    of: Arc<Bodies>,
    from: IpAddr,
    counted: usize,
}

impl Bodies {
    pub(super) fn new(of_one: usize, of_all: usize) -> Self {
        Self { of_one, of_all, held: Mutex::default() }
    }

    /// Of a body of which nothing was read.
    pub fn lease(self: &Arc<Self>, from: IpAddr) -> Lease {
        Lease { of: self.clone(), from, counted: 0 }
    }
}

impl Lease {
    /// Whether a body that grew, or will grow, to so many bytes finds room.
    #[must_use]
    pub fn fits(&self, bytes: usize) -> bool {
        let more = self.more(bytes);
        more == 0 || self.has_room(more, &self.held())
    }

    /// The body has grown to so many bytes, if there is room for them.
    #[must_use]
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = self.more(bytes);
        if more == 0 {
            return true;
        }
        let mut held = self.held();
        if !self.has_room(more, &held) {
            return false;
        }
        let _paid = held.add(&source_of(self.from), more);
        drop(held);
        self.counted += more;
        true
    }

    /// What is still to be counted of so many bytes. Nothing of what gates send: neither a lock nor a name is needed for it.
    fn more(&self, bytes: usize) -> usize {
        bytes.saturating_sub(UNCOUNTED_BODY_BYTES).saturating_sub(self.counted)
    }

    fn has_room(&self, more: usize, held: &Shares) -> bool {
        let is_bounded = !is_this_machine(self.from);
        held.all + more <= self.of.of_all && !(is_bounded && held.of(&source_of(self.from)) + more > self.of.of_one)
    }

    fn held(&self) -> MutexGuard<'_, Shares> {
        self.of.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.counted > 0 {
            self.held().take(&source_of(self.from), self.counted);
        }
    }
}

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

    fn room(of_one: usize, of_all: usize) -> Arc<Room> {
        Room::new((of_one, of_all), [STRANGERS_PACE, PEERS_PACE], Arc::default(), Level::default())
    }

    fn all_of(room: &Arc<Room>, from: IpAddr) -> Vec<RoomPlace> {
        std::iter::from_fn(|| room.enter(from).ok()).collect()
    }

    #[test]
    fn an_address_has_so_many_places_and_no_more() {
        let room = room(256, API_OF_ALL);
        let mut held = all_of(&room, address("10.0.0.1"));
        assert_eq!((held.len(), room.level.get()), (256, 256));
        assert_eq!(room.enter(address("10.0.0.1")).unwrap_err(), Full::OfOne);
        assert!(room.enter(address("10.0.0.2")).is_ok());
        held.pop();
        held.push(room.enter(address("10.0.0.1")).unwrap());
        held.clear();
        room.lock().forget_idle(Instant::now() + Duration::from_secs(60));
        assert!(room.lock().by_source.is_empty(), "nothing is remembered of who is gone");
        assert_eq!(room.level.get(), 0);
    }

    #[test]
    fn an_address_is_read_at_its_pace_whatever_its_connections_and_however_often_it_comes_again() {
        let (room, stranger) = (room(256, API_OF_ALL), address("10.0.0.1"));
        let wait_s = |bytes: usize| {
            let (first, second) = (room.enter(stranger).unwrap(), room.enter(stranger).unwrap());
            first.charge(bytes / 2).max(second.charge(bytes / 2)).as_secs_f64()
        };
        assert!(wait_s(500_000) == 0.0, "a burst");
        // Both that were open are gone: it begins where it ended.
        assert!((9.0..11.0).contains(&wait_s(10_000_000)), "{}", wait_s(0));
        room.knows(address("10.0.0.2"));
        let taken = room.enter(address("10.0.0.2")).unwrap();
        assert!((0.5..1.0).contains(&taken.charge(64_000_000).as_secs_f64()), "who was let in may send more");
        assert_eq!(room.enter(address("127.0.0.1")).unwrap().charge(usize::MAX / 2), Duration::ZERO);
        assert!(room.lock().by_source.contains_key("10.0.0.1"), "it owes");
        room.lock().forget_idle(Instant::now() + Duration::from_secs(60));
        assert!(!room.lock().by_source.contains_key("10.0.0.1"));
    }

    /// With a limit of 1,024 descriptors.
    #[test]
    fn a_few_addresses_leave_room_for_others_and_many_for_who_is_known() {
        let (of_all, _) = connections(Some(1_024));
        let room = room(API_OF_ONE, of_all);
        let (gate, office, here) = (address("10.1.0.1"), address("10.1.0.2"), address("127.0.0.1"));
        let mut held: Vec<RoomPlace> = (1..=5).flat_map(|last| all_of(&room, IpAddr::from([10, 0, 0, last]))).collect();
        for last in 0..5 {
            assert!(all_of(&room, IpAddr::from([10, 2, 0, last])).len() >= LEAST_OF_ONE, "one more stranger");
        }
        room.knows(gate);
        for number in 0..1_000_u16 {
            let [high, low] = number.to_be_bytes();
            held.extend(all_of(&room, IpAddr::from([10, 3, high, low])));
        }
        assert_eq!(room.enter(office).unwrap_err(), Full::OfAll);
        held.extend(all_of(&room, gate));
        assert!(held.len() > of_all * 3 / 4);
        let last = all_of(&room, here);
        assert!(last.len() >= KEPT_FOR_THIS_MACHINE, "{}", last.len());
        assert_eq!(held.len() + last.len(), of_all, "and no more than there is");
    }

    #[test]
    fn connections_and_files_fit_into_what_the_system_grants() {
        for files in (16..5_000).chain([65_536, u64::MAX]) {
            let (api, peers) = connections(Some(files));
            assert!(api > 0 && peers > 0, "{files}");
            let most = u64::try_from(api + peers).unwrap();
            assert!(most + OTHER_FILES.min(files / 2) <= files, "{files}");
        }
        assert_eq!(connections(None), (API_OF_ALL, PEERS_OF_ALL));
        assert!(!Rooms::are_small(Some(4_096)) && Rooms::are_small(Some(1_024)));
    }

    #[test]
    fn who_is_known_is_forgotten_in_time_and_nobody_is_pushed_out() {
        let (known, now) = (KnownAddresses::default(), Instant::now());
        known.note(address("2001:db8:1:2::1"), now);
        assert!(known.is(address("2001:db8:1:2:ffff::9"), now), "one machine has a whole network");
        for number in 0..10_000_u16 {
            let [high, low] = number.to_be_bytes();
            known.note(IpAddr::from([10, 0, high, low]), now);
        }
        assert_eq!(known.lock().len(), MOST_KNOWN);
        assert!(known.is(address("2001:db8:1:2::1"), now));
        assert!(!known.is(address("2001:db8:1:2::1"), now + KNOWN_FOR));
        let is_here = |from| from == address("10.0.0.7");
        known.sweep(now + KNOWN_FOR, is_here);
        assert_eq!(known.lock().keys().copied().collect::<Vec<_>>(), [address("10.0.0.7")]);
    }

    #[test]
    fn of_bodies_as_many_bytes_are_held_as_may_be_and_short_ones_always() {
        let bodies = Arc::new(Bodies::new(100_000, 150_000));
        let body = |from: &str| bodies.lease(address(from));
        let mut first = body("10.0.0.1");
        assert!(first.fits(UNCOUNTED_BODY_BYTES + 100_000) && !first.fits(UNCOUNTED_BODY_BYTES + 100_001));
        assert!(first.grow_to(1_000) && first.grow_to(60_000) && first.grow_to(100_000));
        assert_eq!(bodies.held.lock().unwrap().all, 100_000 - UNCOUNTED_BODY_BYTES, "counted once");
        let (mut second, mut third) = (body("10.0.0.1"), body("10.0.0.2"));
        assert!(!second.grow_to(50_000) && second.grow_to(UNCOUNTED_BODY_BYTES), "of one");
        assert!(third.grow_to(50_000) && !third.grow_to(70_000), "of all");
        assert!(!body("127.0.0.1").fits(70_000), "this machine too");
        drop((first, second));
        assert!(third.grow_to(70_000));
        drop(third);
        let held = bodies.held.lock().unwrap();
        assert!(held.all == 0 && held.by_source.is_empty());
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
