//! The days of a demo, from a seed: who drives up to which gate when, what goes wrong there, what happens to the links, and the
//! site's clock, which starts tomorrow at six in the morning and runs faster than real.
//!
//! Pure: times are ms on the site's clock since midnight of the first day. Invariants: trips come in the order of their times;
//! a car that came in drives out once before it comes again.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use fastrand::Rng;
use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::domain::direction::Direction;
use crate::lab::plates;
use crate::lab::proxy::LinkState;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Shares of a day's arrivals in each hour, in thousandths: two rush hours, a lunch, a quiet night.
const ARRIVALS_BY_HOUR: [u32; 24] =
    [4, 3, 2, 2, 4, 15, 60, 150, 120, 50, 35, 45, 55, 60, 35, 30, 45, 90, 80, 45, 30, 20, 12, 8];
/// The share of the busiest hour.
const BUSIEST: u32 = 150;
/// Arrivals a day for each central of the site.
const ARRIVALS_PER_CENTRAL: u32 = 2_000;
/// People who come again and again, for each central.
const REGULARS_PER_CENTRAL: u64 = 300;
/// Plates from here on belong to visitors who come once.
const FIRST_VISITOR: u64 = 1_000_000;

const MOTORBIKES_PERCENT: u32 = 70;
const REGULARS_PERCENT: u32 = 60;
const LEAVES_ELSEWHERE_PERCENT: u32 = 35;
const DOUBLE_PRESS_PERCENT: u32 = 3;
const WRONG_DIRECTION_PERCENT: u32 = 2;

/// What goes wrong at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slip {
    Nothing,
    /// The button is pressed twice: the same request again.
    DoublePress,
    /// First the lane's other direction is reported, which must be refused.
    WrongDirection,
}

/// One drive through a gate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trip {
    /// Site time, ms since midnight of the first day.
    pub at_ms: i64,
    /// Position of the central whose gate it is.
    pub central: usize,
    pub direction: Direction,
    /// The key form, `29A12345`.
    pub plate: String,
    pub motorbike: bool,
    pub slip: Slip,
}

/// The source of trips; never ends.
#[derive(Debug)]
pub struct Traffic {
    dice: Rng,
    centrals: usize,
    /// When the next car arrives.
    next_arrival_ms: i64,
    next_visitor: u64,
    /// Cars that are inside and will leave.
    leaving: BinaryHeap<Reverse<Trip>>,
    inside: BTreeSet<u64>,
    /// The numbers of the plates in `leaving`, found again when they leave.
    numbers: std::collections::BTreeMap<String, u64>,
}

impl Traffic {
    /// `start_ms`: site time the traffic begins at, ms since midnight.
    pub fn new(seed: u64, centrals: usize, start_ms: i64) -> Self {
        let mut traffic = Self {
            dice: Rng::with_seed(seed),
            centrals: centrals.max(1),
            next_arrival_ms: start_ms,
            next_visitor: FIRST_VISITOR,
            leaving: BinaryHeap::new(),
            inside: BTreeSet::new(),
            numbers: std::collections::BTreeMap::new(),
        };
        traffic.next_arrival_ms = traffic.arrival_after(start_ms);
        traffic
    }

    /// The next drive through any gate.
    pub fn next_trip(&mut self) -> Trip {
        let leaves_first = self.leaving.peek().is_some_and(|Reverse(trip)| trip.at_ms <= self.next_arrival_ms);
        if leaves_first && let Some(Reverse(trip)) = self.leaving.pop() {
            if let Some(number) = self.numbers.remove(&trip.plate) {
                self.inside.remove(&number);
            }
            return trip;
        }
        self.arrive()
    }

    fn arrive(&mut self) -> Trip {
        let at_ms = self.next_arrival_ms;
        self.next_arrival_ms = self.arrival_after(at_ms);
        let number = self.driver();
        let central = self.dice.usize(..self.centrals);
        let leaves_at =
            if chance(&mut self.dice, LEAVES_ELSEWHERE_PERCENT) { self.dice.usize(..self.centrals) } else { central };
        let entry = Trip {
            at_ms,
            central,
            direction: Direction::Entry,
            plate: plates::plate(number),
            motorbike: chance(&mut self.dice, MOTORBIKES_PERCENT),
            slip: self.slip(),
        };
        let exit = Trip {
            at_ms: at_ms + stay_ms(&mut self.dice, at_ms),
            central: leaves_at,
            direction: Direction::Exit,
            slip: self.slip(),
            ..entry.clone()
        };
        self.inside.insert(number);
        self.numbers.insert(exit.plate.clone(), number);
        self.leaving.push(Reverse(exit));
        entry
    }

    /// Somebody who is not inside.
    fn driver(&mut self) -> u64 {
        if chance(&mut self.dice, REGULARS_PERCENT) {
            let regular = self.dice.u64(..REGULARS_PER_CENTRAL * self.centrals as u64);
            if !self.inside.contains(&regular) {
                return regular;
            }
        }
        self.next_visitor += 1;
        self.next_visitor
    }

    fn slip(&mut self) -> Slip {
        if chance(&mut self.dice, DOUBLE_PRESS_PERCENT) {
            Slip::DoublePress
        } else if chance(&mut self.dice, WRONG_DIRECTION_PERCENT) {
            Slip::WrongDirection
        } else {
            Slip::Nothing
        }
    }

    /// When the car after the one at `ms` arrives: as often as the busiest hour wants, and then left out so that
    /// each hour gets its share.
    #[expect(clippy::cast_possible_truncation, reason = "a gap between cars is far below 2^63 ms")]
    #[expect(clippy::cast_precision_loss, reason = "a site has far fewer than 2^52 centrals")]
    fn arrival_after(&mut self, ms: i64) -> i64 {
        let busiest_per_hour = f64::from(ARRIVALS_PER_CENTRAL) * self.centrals as f64 * f64::from(BUSIEST) / 1_000.0;
        let mut at_ms = ms;
        loop {
            let gap_hours = -(1.0 - self.dice.f64()).ln() / busiest_per_hour;
            at_ms += (gap_hours * HOUR_MS as f64).ceil() as i64;
            if self.dice.u32(..BUSIEST) < share_of_hour(at_ms) {
                return at_ms;
            }
        }
    }
}

/// True in `percent` of 100 cases.
pub(super) fn chance(dice: &mut Rng, percent: u32) -> bool {
    dice.u32(..100) < percent
}

fn hour_of(ms: i64) -> i64 {
    ms.rem_euclid(DAY_MS) / HOUR_MS
}

fn share_of_hour(ms: i64) -> u32 {
    usize::try_from(hour_of(ms)).ok().and_then(|hour| ARRIVALS_BY_HOUR.get(hour).copied()).unwrap_or_default()
}

/// How long somebody who arrives at `ms` stays: at work, at home over night, or for an errand.
fn stay_ms(dice: &mut Rng, ms: i64) -> i64 {
    let hour = hour_of(ms);
    let until_hour = |hour_of_day: i64| hour_of_day * HOUR_MS - ms.rem_euclid(DAY_MS);
    let minutes = match hour {
        6..=8 if chance(dice, 60) => return until_hour(16) + dice.i64(30..=180) * MINUTE_MS,
        18..=23 if chance(dice, 50) => return until_hour(30) + dice.i64(0..=150) * MINUTE_MS,
        _ if chance(dice, 30) => dice.i64(5..=29),
        _ => dice.i64(30..=240),
    };
    minutes * MINUTE_MS
}

/// The zone of a site whose configuration names none.
const SITE_ZONE: &str = "Asia/Ho_Chi_Minh";
/// Site time the demo begins at, ms since midnight: just before the morning rush.
pub const START_MS: i64 = 6 * 3_600_000;

/// Turns real time into site time and back. All centrals of a demo get the same one.
#[derive(Debug, Clone)]
pub struct SiteClock {
    midnight_ms: i64,
    /// Real Unix ms at which the site's clock showed [`START_MS`].
    anchor_ms: i64,
    speed: u32,
    zone: TimeZone,
}

impl SiteClock {
    /// A clock that shows six in the morning of the day after `real_ms` when it is `real_ms`.
    ///
    /// # Errors
    /// If the bundled zone data or the range of dates do not have that morning.
    pub fn starting_at(real_ms: i64, speed: u32) -> Result<Self, jiff::Error> {
        let zone = TimeZone::get(SITE_ZONE)?;
        let now = Timestamp::from_millisecond(real_ms)?.to_zoned(zone.clone());
        let midnight = now.checked_add(1.day())?.with().time(time(0, 0, 0, 0)).build()?;
        Ok(Self { midnight_ms: midnight.timestamp().as_millisecond(), anchor_ms: real_ms, speed, zone })
    }

    /// The value of `PARKMESH_CLOCK` for the centrals.
    pub fn variable(&self) -> String {
        format!("{},{},{}", self.midnight_ms + START_MS, self.anchor_ms, self.speed)
    }

    /// How long after `real_ms` the site's clock shows `site_ms` since the first midnight; zero if it is past.
    pub fn until(&self, site_ms: i64, real_ms: i64) -> Duration {
        let due_ms = self.anchor_ms + (site_ms - START_MS) / i64::from(self.speed);
        Duration::from_millis(u64::try_from(due_ms - real_ms).unwrap_or_default())
    }

    /// Site time as people read it, at `real_ms`.
    pub fn text(&self, real_ms: i64) -> String {
        let site_ms = self.midnight_ms + START_MS + (real_ms - self.anchor_ms) * i64::from(self.speed);
        let shown = |zoned: Zoned| zoned.strftime("%Y-%m-%d %H:%M").to_string();
        Timestamp::from_millisecond(site_ms).map_or_else(|_| "?".to_owned(), |at| shown(at.to_zoned(self.zone.clone())))
    }
}

/// The first spell comes soon, so that short demos see one.
const FIRST_QUIET: Duration = Duration::from_secs(3);

/// One disturbance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spell {
    /// How long all is well before it.
    pub quiet: Duration,
    /// The links it hits, as pairs of positions.
    pub links: Vec<(usize, usize)>,
    /// Cut or held.
    pub state: LinkState,
    /// How long it lasts.
    pub lasts: Duration,
}

/// The source of disturbances for a mesh; `None` for a single central, which has no links.
#[derive(Debug, Clone)]
pub struct Weather {
    dice: Rng,
    centrals: usize,
    first: bool,
}

impl Weather {
    pub fn new(seed: u64, centrals: usize) -> Self {
        // Not the stream of numbers the traffic uses.
        Self { dice: Rng::with_seed(seed ^ 0x5ea5_0fc1_0ad5), centrals, first: true }
    }

    /// What comes next.
    pub fn next_spell(&mut self) -> Option<Spell> {
        if self.centrals < 2 {
            return None;
        }
        let one = self.dice.usize(..self.centrals);
        let links = if chance(&mut self.dice, 40) {
            (0..self.centrals).filter(|other| *other != one).map(|other| (one, other)).collect()
        } else {
            let other = (one + 1 + self.dice.usize(..self.centrals - 1)) % self.centrals;
            vec![(one, other)]
        };
        let quiet = if std::mem::take(&mut self.first) { FIRST_QUIET } else { self.seconds(4, 10) };
        let state = if chance(&mut self.dice, 70) { LinkState::Cut } else { LinkState::Held };
        Some(Spell { quiet, links, state, lasts: self.seconds(2, 6) })
    }

    fn seconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.dice.u64(from * 1_000..=to * 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn day(seed: u64, centrals: usize, hours: i64) -> Vec<Trip> {
        let mut traffic = Traffic::new(seed, centrals, 0);
        std::iter::repeat_with(|| traffic.next_trip()).take_while(|trip| trip.at_ms < hours * HOUR_MS).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn trips_come_in_order_and_every_car_goes_in_and_out_in_turn(seed: u64, centrals in 1_usize..11) {
            let trips = day(seed, centrals, 12);
            let mut inside: BTreeMap<&str, &Trip> = BTreeMap::new();
            for pair in trips.windows(2) {
                prop_assert!(pair[0].at_ms <= pair[1].at_ms);
            }
            for trip in &trips {
                prop_assert!(trip.central < centrals);
                match trip.direction {
                    Direction::Entry => prop_assert!(inside.insert(&trip.plate, trip).is_none(), "{trip:?}"),
                    Direction::Exit => {
                        let entry = inside.remove(trip.plate.as_str());
                        prop_assert!(entry.is_some_and(|entry| trip.at_ms - entry.at_ms >= 5 * MINUTE_MS), "{trip:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_day_and_another_one_does_not() {
        assert_eq!(day(1, 3, 4), day(1, 3, 4));
        assert_ne!(day(1, 3, 4), day(2, 3, 4));
    }

    #[test]
    fn the_day_has_its_rush_hours_its_numbers_and_its_mistakes() {
        assert_eq!(ARRIVALS_BY_HOUR.iter().sum::<u32>(), 1_000);
        assert_eq!(ARRIVALS_BY_HOUR.iter().max(), Some(&BUSIEST));
        let trips = day(3, 3, 24);
        let entries: Vec<&Trip> = trips.iter().filter(|trip| trip.direction == Direction::Entry).collect();
        assert!((5_500..6_500).contains(&entries.len()), "{}", entries.len());
        let in_hour = |hour: i64| entries.iter().filter(|trip| hour_of(trip.at_ms) == hour).count();
        assert!(in_hour(7) > 5 * in_hour(10) / 2 && in_hour(10) > 5 * in_hour(3));
        assert!(entries.iter().filter(|trip| trip.motorbike).count() > entries.len() / 2);
        for slip in [Slip::DoublePress, Slip::WrongDirection] {
            assert!(trips.iter().filter(|trip| trip.slip == slip).count() > 50);
        }
        let entered_at: BTreeMap<_, _> = entries.iter().map(|trip| (&trip.plate, trip.central)).collect();
        let elsewhere = trips
            .iter()
            .filter(|trip| trip.direction == Direction::Exit && entered_at[&trip.plate] != trip.central)
            .count();
        assert!(elsewhere > 500, "{elsewhere}");
    }

    #[test]
    fn the_demo_starts_at_six_tomorrow_and_a_day_takes_as_long_as_the_speed_says() {
        // 2026-03-01 23:30 in Vietnam.
        let real_ms = Timestamp::from_second(1_772_382_600).unwrap().as_millisecond();
        let clock = SiteClock::starting_at(real_ms, 600).unwrap();
        assert_eq!(clock.text(real_ms), "2026-03-02 06:00");
        assert_eq!(clock.text(real_ms + 144_000), "2026-03-03 06:00");
        assert_eq!(clock.until(START_MS + 600_000, real_ms), Duration::from_secs(1));
        assert_eq!(clock.until(START_MS, real_ms + 1), Duration::ZERO);
        let six_utc_ms = Timestamp::from_second(1_772_406_000).unwrap().as_millisecond();
        assert_eq!(clock.variable(), format!("{six_utc_ms},{real_ms},600"));
    }

    #[test]
    fn spells_hit_links_that_exist_and_both_kinds_come() {
        for centrals in 2..=10 {
            let mut weather = Weather::new(5, centrals);
            let spells: Vec<Spell> = std::iter::repeat_with(|| weather.next_spell().unwrap()).take(200).collect();
            for (one, other) in spells.iter().flat_map(|spell| &spell.links) {
                assert!(one != other && *one < centrals && *other < centrals);
            }
            assert_eq!(spells[0].quiet, FIRST_QUIET);
            assert!(spells.iter().any(|spell| spell.state == LinkState::Held));
            assert!(spells.iter().any(|spell| spell.links.len() == centrals - 1));
        }
        assert_eq!(Weather::new(5, 1).next_spell(), None);
    }
}
