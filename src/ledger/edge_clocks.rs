//! Which gates' clocks are wrong, by the times they tell.
//!
//! What a gate kept while it was cut off is told late, and so is what happens now by a clock that is behind. A gate that catches up is
//! ever less late; a clock that is behind tells everything as late as what came before. See docs/decisions/065-clocks-of-gates.md.

use std::collections::HashMap;

/// Later than this, in ms, a time that is told changes what is due.
const NOTED_MS: i64 = 5 * 60 * 1_000;
/// Two reports are equally late up to this, in ms.
const SAME_MS: i64 = 60 * 1_000;
/// Zones are ahead of UTC by no more than this, in ms.
const MAX_AHEAD_OF_UTC_MS: i64 = 14 * 60 * 60 * 1_000;
/// More gates than a site has; forgotten beyond, for whoever is asked nothing may invent them.
const MAX_EDGES: usize = 1_024;

/// How late a report was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// By the clock of the gate before ours, in ms.
    by_ms: i64,
    received_ms: i64,
}

impl Late {
    #[must_use]
    pub fn of(told_ms: i64, received_ms: i64) -> Self {
        Self { by_ms: received_ms.saturating_sub(told_ms), received_ms }
    }

    fn is_as_late_as(self, other: Self) -> bool {
        (self.by_ms - other.by_ms).abs() <= SAME_MS
    }

    /// It is late by as much as the site's zone is ahead of UTC: a time of UTC, told as one of the site.
    fn is_utc(self, ahead_of_utc_ms: i64) -> bool {
        (NOTED_MS..=MAX_AHEAD_OF_UTC_MS).contains(&ahead_of_utc_ms) && (self.by_ms - ahead_of_utc_ms).abs() <= SAME_MS
    }
}

/// By gate, the first of the reports that were equally late.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EdgeClocks(HashMap<String, Late>);

impl EdgeClocks {
    /// Whether a report that came so late was told by a clock that is behind. One that is only a minute after the first may be of the
    /// same moment, kept and told with it.
    #[must_use]
    pub fn is_behind(&self, edge_id: &str, late: Late, ahead_of_utc_ms: i64) -> bool {
        let again = |first: &Late| late.is_as_late_as(*first) && late.received_ms - first.received_ms > SAME_MS;
        late.by_ms > NOTED_MS && (late.is_utc(ahead_of_utc_ms) || self.0.get(edge_id).is_some_and(again))
    }

    /// A report came so late.
    pub fn heard(&mut self, edge_id: String, late: Late) {
        if late.by_ms <= NOTED_MS {
            self.0.remove(&edge_id);
        } else if !self.0.get(&edge_id).is_some_and(|first| late.is_as_late_as(*first)) {
            if self.0.len() >= MAX_EDGES {
                self.0.clear();
            }
            self.0.insert(edge_id, late);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60 * 1_000;
    const HOUR_MS: i64 = 60 * MINUTE_MS;

    /// Reports of one gate, each when it came and how late it was, in minutes: of which it is said that the clock is behind.
    fn said(reports: &[(i64, i64)]) -> Vec<bool> {
        let mut clocks = EdgeClocks::default();
        let mut is_behind = |&(received, late): &(i64, i64)| {
            let received_ms = received * MINUTE_MS;
            let late = Late::of(received_ms - late * MINUTE_MS, received_ms);
            let is_behind = clocks.is_behind("edge-1", late, 7 * HOUR_MS);
            clocks.heard("edge-1".to_owned(), late);
            is_behind
        };
        reports.iter().map(&mut is_behind).collect()
    }

    #[test]
    fn a_clock_that_is_behind_is_told_from_a_gate_that_catches_up() {
        for (what, reports, expected) in [
            ("as late each time", vec![(0, 180), (10, 180), (11, 181), (500, 180)], vec![false, true, true, true]),
            ("UTC told as the site's time, from the first on", vec![(0, 420), (30, 421)], vec![true, true]),
            (
                "what was kept for hours is told within a minute",
                vec![(0, 180), (0, 170), (1, 90), (1, 5)],
                vec![false; 4],
            ),
            ("what was kept of one moment", vec![(0, 180), (1, 181), (1, 180)], vec![false; 3]),
            ("it catches up slowly", vec![(0, 180), (5, 175), (10, 160), (15, 150)], vec![false; 4]),
            ("a few minutes change nothing", vec![(0, 5), (10, 5), (20, 5)], vec![false; 3]),
            ("its clock was set", vec![(0, 180), (10, 180), (20, 0), (30, 180)], vec![false, true, false, false]),
        ] {
            assert_eq!(said(&reports), expected, "{what}");
        }
    }
}
