//! Plates by number: they look like real ones and are spread like real ones. And which a load uses: not the same one again too soon.
//!
//! A central answers the same plate, edge and direction within 10 s with its first answer again, so a plate comes back to its edge only
//! after longer than that. Which are used depends on the run, so that one run does not meet the memory of the one before it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

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

/// How long a plate rests: longer than the 10 s in which a press is taken for a repeated one.
const REST: Duration = Duration::from_millis(10_500);

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
    fn a_plate_comes_back_to_its_edge_only_after_its_rest() {
        let (mut numbers, mut resting, start) = (NumberSource::new(7), Resting::default(), Instant::now());
        let first = resting.take(start, &mut numbers);
        resting.put(start, first);
        assert_ne!(resting.take(start + Duration::from_secs(10), &mut numbers), first);
        assert_eq!(resting.take(start + Duration::from_secs(11), &mut numbers), first);
        assert_ne!(resting.take(start + Duration::from_secs(11), &mut numbers), first);
    }
}
