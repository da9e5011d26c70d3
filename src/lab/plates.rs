//! Plates by number: they look like real ones and are spread like real ones. Pure.

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
#[must_use]
pub fn plate(number: u64) -> String {
    let spread = (number % ALL_PLATES) * STRIDE % ALL_PLATES;
    let province = 11 + spread % PROVINCES;
    let letter = usize::try_from(spread / PROVINCES % LETTERS.len() as u64).unwrap_or_default();
    let letter = char::from(LETTERS.get(letter).copied().unwrap_or(b'A'));
    let serial = spread / PROVINCES / LETTERS.len() as u64;
    format!("{province}{letter}{serial:05}")
}

/// The plate as people write it: `29A-123.45`.
#[must_use]
pub fn view(plate: &str) -> String {
    match (plate.get(..3), plate.get(3..6), plate.get(6..8)) {
        (Some(series), Some(first), Some(last)) => format!("{series}-{first}.{last}"),
        _ => plate.to_owned(),
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
}
