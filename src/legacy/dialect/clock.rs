//! Old machines keep local times without a zone. Whether their clocks show the zone they are read in, their data tell: the
//! time of an entry beside the instant at which it was written down.

use std::collections::BTreeMap;

/// How far the clock that wrote a local time is off the zone it was read in, in whole minutes; 0: not at all. `read_ms`: the
/// instant it was read as. `really_ms`: when it was written. `None`: the two differ as no zones do, so that nothing is known.
#[must_use]
pub fn clock_gap_min(read_ms: i64, really_ms: i64) -> Option<i64> {
    /// Zones differ by quarters of an hour, and by 26 hours at most.
    const QUARTER_MIN: i64 = 15;
    const MOST_MIN: i64 = 26 * 60;
    /// Between what happened and the line about it, in ms.
    const LATE_MS: i64 = 2 * 60 * 1_000;
    let gap_ms = read_ms.saturating_sub(really_ms);
    let quarter_ms = QUARTER_MIN * 60 * 1_000;
    let quarters = gap_ms.saturating_add(quarter_ms / 2).div_euclid(quarter_ms);
    let is_zones = gap_ms.saturating_sub(quarters.saturating_mul(quarter_ms)).abs() <= LATE_MS;
    Some(quarters.saturating_mul(QUARTER_MIN)).filter(|gap_min| is_zones && gap_min.abs() <= MOST_MIN)
}

/// Of many [`clock_gap_min`]: the one of another clock that more of them show than show none. `None`: there are none.
#[must_use]
pub fn another_clock(gaps_min: impl Iterator<Item = i64>) -> Option<Option<i64>> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    gaps_min.for_each(|gap_min| *counts.entry(gap_min).or_default() += 1);
    let (gap_min, _) = counts.into_iter().max_by_key(|(gap_min, count)| (*count, *gap_min == 0))?;
    Some(Some(gap_min).filter(|gap_min| *gap_min != 0))
}

/// `-7 h`, `+5 h 30 min`.
#[must_use]
pub fn hours_text(minutes: i64) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    match (minutes.abs() / 60, minutes.abs() % 60) {
        (hours, 0) => format!("{sign}{hours} h"),
        (hours, rest) => format!("{sign}{hours} h {rest} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_another_zone_is_told_from_one_that_is_late_or_wrong() {
        const MIN_MS: i64 = 60_000;
        for (gap_ms, said) in [
            (0, Some(0)),
            (1_999, Some(0)),
            (-2 * MIN_MS, Some(0)),
            (-7 * 60 * MIN_MS - 1_000, Some(-420)),
            (330 * MIN_MS + 5_000, Some(330)),
            (345 * MIN_MS, Some(345)),
            // Late, or a clock that is wrong: nothing is known.
            (5 * MIN_MS, None),
            (-7 * 60 * MIN_MS - 7 * MIN_MS, None),
            (27 * 60 * MIN_MS, None),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(clock_gap_min(gap_ms.saturating_add(5), 5), said, "{gap_ms}");
        }
    }

    #[test]
    fn what_most_rows_show_counts() {
        for (gaps, said) in [
            (vec![], None),
            (vec![0, 0, -420], Some(None)),
            (vec![-420, -420, 0], Some(Some(-420))),
            (vec![0, -420], Some(None)),
        ] {
            assert_eq!(another_clock(gaps.into_iter()), said);
        }
        assert_eq!([-420, 330, 0].map(hours_text), ["-7 h", "+5 h 30 min", "+0 h"]);
    }
}
