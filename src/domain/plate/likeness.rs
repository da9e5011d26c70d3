//! How unlike two plates read: small for what a camera, or an eye in the rain, takes for each other.

use super::PlateId;

/// More than this is another plate: two signs read wrongly, or one and a transposition.
pub const MOST_UNLIKE: u32 = 4;

/// One sign for another, one missing, one too many, two swapped.
const CHANGE: u32 = 2;
/// One sign for another that looks like it.
const LOOK_ALIKE: u32 = 1;
/// Signs that are taken for each other.
const LOOK_ALIKES: &[&str] = &["0DOQ", "1IL7T", "8B", "5S", "2Z", "6G", "4A", "UV", "3E", "CG", "MN", "KX", "PF"];

/// What has to be changed in one plate to read the other: 0 if they are equal; `None` beyond [`MOST_UNLIKE`].
#[must_use]
pub fn unlikeness(a: &PlateId, b: &PlateId) -> Option<u32> {
    let (a, b) = (a.as_str().as_bytes(), b.as_str().as_bytes());
    // Optimal string alignment, a row of the table at a time: the two before, and the one being made.
    let mut before: Vec<u32> = Vec::new();
    let mut last: Vec<u32> = (0..).step_by(CHANGE as usize).take(b.len() + 1).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(last.len());
        row.push(CHANGE * (u32::try_from(i).ok()? + 1));
        for (j, &to) in b.iter().enumerate() {
            let cell = |row: &[u32], at: usize| row.get(at).copied().unwrap_or(u32::MAX / 2);
            let mut least = cell(&last, j) + cost(from, to);
            least = least.min(cell(&last, j + 1) + CHANGE).min(cell(&row, j) + CHANGE);
            let is_swapped = i > 0 && j > 0 && from != to && a.get(i - 1) == Some(&to) && b.get(j - 1) == Some(&from);
            if is_swapped {
                least = least.min(cell(&before, j - 1) + CHANGE);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|unlike| *unlike <= MOST_UNLIKE)
}

fn cost(from: u8, to: u8) -> u32 {
    if from == to {
        return 0;
    }
    let alike =
        LOOK_ALIKES.iter().any(|group| group.bytes().any(|sign| sign == from) && group.bytes().any(|s| s == to));
    if alike { LOOK_ALIKE } else { CHANGE }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plate(text: &str) -> PlateId {
        PlateId::parse(text).unwrap()
    }

    #[test]
    fn what_is_read_wrongly_is_near_and_what_is_another_plate_is_not() {
        for (a, b, wanted) in [
            ("29A-123.45", "29A12345", Some(0)),
            ("29A12345", "29A12346", Some(2)),
            // Taken for each other.
            ("30G88888", "30G8888B", Some(1)),
            ("51D00123", "51O00123", Some(1)),
            ("29A12345", "29412345", Some(1)),
            // Swapped, left out, added.
            ("29A12345", "29A21345", Some(2)),
            ("29A12345", "29A1235", Some(2)),
            ("29A12345", "29A123455", Some(2)),
            ("29A12345", "29A12399", Some(4)),
            ("29A12345", "29A12999", None),
            ("29A12345", "51F97022", None),
            ("29A12345", "A12345", Some(4)),
        ] {
            assert_eq!(unlikeness(&plate(a), &plate(b)), wanted, "{a} and {b}");
        }
    }

    proptest! {
        #[test]
        fn it_is_the_same_both_ways_and_one_wrong_sign_is_always_near(
            text in "[0-9A-Z]{6,12}", at in 0_usize..12, sign in "[0-9A-Z]", other in "[0-9A-Z]{6,12}",
        ) {
            let (a, b) = (plate(&text), plate(&other));
            prop_assert_eq!(unlikeness(&a, &b), unlikeness(&b, &a));
            let at = at % text.len();
            let misread = format!("{}{sign}{}", &text[..at], &text[at + 1..]);
            let unlike = unlikeness(&a, &plate(&misread));
            prop_assert!(unlike.is_some_and(|unlike| unlike <= CHANGE));
            prop_assert_eq!(unlike == Some(0), misread == text);
        }
    }
}
