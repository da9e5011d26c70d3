//! Plates by number: they look like real ones and are spread like real ones. And the cars of a site, which come back every day.
//!
//! Which are used depends on the run, so that one run does not meet the memory of the one before it.

use std::collections::VecDeque;

use crate::domain::direction::Direction;

const LETTERS: &[u8; 20] = b"ABCDEFGHKLMNPSTUVXYZ";
const PROVINCES: u64 = 89;
const NUMBERS: u64 = 100_000;
/// All plates of the form `29A12345`.
pub const ALL_PLATES: u64 = PROVINCES * LETTERS.len() as u64 * NUMBERS;
/// Spreads neighbouring numbers over the whole range; shares no factor with [`ALL_PLATES`] (2^7 * 5^6 * 89), so no two
/// numbers below it meet.
const STRIDE: u64 = 100_000_007;

const _: () = assert!(!STRIDE.is_multiple_of(2) && !STRIDE.is_multiple_of(5) && !STRIDE.is_multiple_of(89));

/// The `number`th plate, in the form its key has: `29A12345`. Different for all numbers below 178 million.
pub fn plate(number: u64) -> String {
    let spread = (number % ALL_PLATES) * STRIDE % ALL_PLATES;
    let province = 11 + spread % PROVINCES;
    let letter = usize::try_from(spread / PROVINCES % LETTERS.len() as u64).unwrap_or_default();
    let letter = char::from(LETTERS.get(letter).copied().unwrap_or(b'A'));
    let serial = spread / PROVINCES / LETTERS.len() as u64;
    format!("{province}{letter}{serial:05}")
}

/// The plate as people write it: `29A-123.45`.
pub fn view(plate: &str) -> String {
    match (plate.get(..3), plate.get(3..6), plate.get(6..8)) {
        (Some(series), Some(first), Some(last)) => format!("{series}-{first}.{last}"),
        _ => plate.to_owned(),
    }
}

/// Gives out plate numbers of one run; all edges of a run share it.
#[derive(Debug)]
pub struct NumberSource {
    next: u64,
}

impl NumberSource {
    /// `salt`: something else for each run, for example the time it started.
    pub fn new(salt: u64) -> Self {
        Self { next: salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) % ALL_PLATES }
    }

    /// A number no other edge of this run has.
    pub fn take(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// The same cars every day: all come in in the morning and leave in the evening, each through whichever gate is free. No night is
/// waited for.
#[derive(Debug)]
pub struct Commuters {
    outside: VecDeque<u64>,
    inside: VecDeque<u64>,
    is_evening: bool,
}

impl Commuters {
    pub fn new(cars: u64, numbers: &mut NumberSource) -> Self {
        let outside = (0..cars).map(|_| numbers.take()).collect();
        Self { outside, inside: VecDeque::new(), is_evening: false }
    }

    /// The next car at a gate, and what it does. Where more gates are free than there are cars, one more moves in.
    pub fn next(&mut self, numbers: &mut NumberSource) -> (u64, Direction) {
        let waiting = if self.is_evening { &self.inside } else { &self.outside };
        if waiting.is_empty() {
            self.is_evening = !self.is_evening;
        }
        let leaves = if self.is_evening { self.next_home() } else { None };
        leaves.unwrap_or_else(|| (self.outside.pop_front().unwrap_or_else(|| numbers.take()), Direction::Entry))
    }

    /// The next car that leaves; `None`: all have, or are at a gate.
    pub fn next_home(&mut self) -> Option<(u64, Direction)> {
        self.inside.pop_front().map(|car| (car, Direction::Exit))
    }

    /// The car has passed the gate.
    pub fn passed(&mut self, car: u64, direction: Direction) {
        match direction {
            Direction::Entry => self.inside.push_back(car),
            Direction::Exit => self.outside.push_back(car),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn plates_are_valid_and_different() {
        let mut seen = HashSet::new();
        for number in (0..20_000).chain(ALL_PLATES - 20_000..ALL_PLATES) {
            let plate = plate(number);
            assert_eq!(crate::domain::plate::PlateId::parse(&plate).unwrap().as_str(), plate);
            assert_eq!(crate::domain::plate::PlateId::parse(&view(&plate)).unwrap().as_str(), plate);
            assert!(seen.insert(plate), "{number}");
        }
    }

    #[test]
    fn all_cars_come_in_in_the_morning_and_leave_in_the_evening_day_after_day() {
        let mut numbers = NumberSource::new(7);
        let mut cars = Commuters::new(3, &mut numbers);
        let mut days = Vec::new();
        for _ in 0..2 {
            for direction in [Direction::Entry, Direction::Exit] {
                let passages: Vec<_> = (0..3)
                    .map(|_| {
                        let (car, does) = cars.next(&mut numbers);
                        assert_eq!(does, direction);
                        cars.passed(car, does);
                        car
                    })
                    .collect();
                days.push(passages);
            }
        }
        assert!(days.iter().all(|half| *half == days[0]), "{days:?}");
        assert_eq!(days[0].iter().collect::<HashSet<_>>().len(), 3);
    }

    #[test]
    fn more_gates_than_cars_bring_more_cars() {
        let mut numbers = NumberSource::new(7);
        let mut cars = Commuters::new(1, &mut numbers);
        let at_gates: Vec<_> = (0..3).map(|_| cars.next(&mut numbers)).collect();
        assert!(at_gates.iter().all(|(_, direction)| *direction == Direction::Entry));
        assert_eq!(at_gates.iter().collect::<HashSet<_>>().len(), 3);
        assert_eq!(cars.next_home(), None);
        for (car, direction) in at_gates {
            cars.passed(car, direction);
        }
        let home: Vec<_> = std::iter::from_fn(|| cars.next_home()).collect();
        assert!(home.len() == 3 && home.iter().all(|(_, direction)| *direction == Direction::Exit));
    }
}
