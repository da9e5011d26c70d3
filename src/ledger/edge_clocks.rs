//! Which gates' clocks are wrong, by the times they tell.
//!
//! What a gate kept while it was cut off is told late, and so is what happens now by a clock that is behind. A gate that catches up is
//! ever less late; a clock that is behind tells everything as late as what came before. See docs/decisions/065-clocks-of-gates.md.

use std::ops::RangeInclusive;

use crate::domain::event::{Body, Event};
use crate::domain::hash::HashMap;
use crate::domain::ids::{CentralId, LogId};
use crate::domain::stay::REQUEST_WINDOW_MS;
use crate::replication::log::Head;

use super::storage::{EventRef, Storage};

/// Later than this, in ms, a time that is told changes what is due.
const NOTED_MS: i64 = 5 * 60 * 1_000;
/// Two reports are equally late up to a thirtieth of that, and between these, in ms: what comes a few minutes late by chance is not.
const SAME_MS: RangeInclusive<i64> = 10_000..=60_000;
const SAME_PART: i64 = 30;
/// Equally late in a row, and this long apart, in ms: what was kept and told together is of one moment.
const OBSERVATIONS: u32 = 4;
const APART_MS: i64 = 60 * 1_000;
/// Zones are ahead of UTC by no more than this, in ms.
const MAX_AHEAD_OF_UTC_MS: i64 = 14 * 60 * 60 * 1_000;
/// So many of the last own events are looked through at a start.
const RECALLED: usize = 2_048;
/// More gates than a site has; forgotten beyond, for whoever is asked nothing may invent them.
const MAX_EDGES: usize = 1_024;

/// How late a report was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// By the clock of the gate before ours, in ms.
    by_ms: i64,
    received_ms: i64,
}

impl Lateness {
    pub fn of(told_ms: i64, received_ms: i64) -> Self {
        Self { by_ms: received_ms.saturating_sub(told_ms), received_ms }
    }

    fn is_late_by(self, by_ms: i64) -> bool {
        let same_ms = (by_ms / SAME_PART).clamp(*SAME_MS.start(), *SAME_MS.end());
        (self.by_ms - by_ms).abs() <= same_ms
    }

    /// It is late by as much as the site's zone is ahead of UTC, and as any report may be: a time of UTC, told as one of the site.
    fn is_utc(self, ahead_of_utc_ms: i64) -> bool {
        let beside_ms = self.by_ms.saturating_sub(ahead_of_utc_ms);
        (NOTED_MS..=MAX_AHEAD_OF_UTC_MS).contains(&ahead_of_utc_ms) && (-SAME_MS.end()..=NOTED_MS).contains(&beside_ms)
    }
}

/// Reports of a gate that were equally late, one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Alike {
    first: Lateness,
    /// When the last came that counts.
    last_ms: i64,
    observations: u32,
}

impl Alike {
    /// With one more report; `None`: it was not as late as they.
    fn with(self, late: Lateness) -> Option<Self> {
        let is_apart = late.received_ms - self.last_ms > APART_MS;
        let more = Self { last_ms: late.received_ms, observations: self.observations.saturating_add(1), ..self };
        late.is_late_by(self.first.by_ms).then_some(if is_apart { more } else { self })
    }
}

/// By gate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EdgeClocks(HashMap<String, Alike>);

impl EdgeClocks {
    /// What the last own events say, as the process that wrote them knew. An event that cannot be read is left out: who needs it says so.
    pub fn recalled<S: Storage>(storage: &mut S, heads: &HashMap<LogId, Head>, own: &CentralId) -> Self {
        let mut read = |log: &LogId, seq: u64| {
            let bytes = storage.event(&EventRef { log: log.clone(), seq }).ok().flatten()?;
            Event::parse(&bytes).ok()
        };
        let own = heads.iter().filter(|(log, _)| log.central == *own);
        let mut logs: Vec<(i64, &LogId, u64)> =
            own.filter_map(|(log, head)| Some((came_ms(&read(log, head.to)?), log, head.to))).collect();
        logs.sort_unstable();
        let places = logs.iter().rev().flat_map(|(_, log, to)| (1..=*to).rev().map(|seq| (*log, seq)));
        let last: Vec<Event> = places.take(RECALLED).filter_map(|(log, seq)| read(log, seq)).collect();
        let mut clocks = Self::default();
        for (edge_id, late) in last.iter().rev().filter_map(lateness_of) {
            clocks.heard(edge_id.to_owned(), late);
        }
        clocks
    }

    /// Whether the last that a gate told with a time came late.
    pub fn is_late(&self, edge_id: &str) -> bool {
        self.0.contains_key(edge_id)
    }

    /// Whether a report that came so late was told by a clock that is behind.
    pub fn is_behind(&self, edge_id: &str, late: Lateness, ahead_of_utc_ms: i64) -> bool {
        let alike = self.0.get(edge_id).and_then(|alike| alike.with(late));
        let is_again = alike.is_some_and(|alike| alike.observations >= OBSERVATIONS);
        late.by_ms > NOTED_MS && (late.is_utc(ahead_of_utc_ms) || is_again)
    }

    /// A report came so late.
    pub fn heard(&mut self, edge_id: String, late: Lateness) {
        if late.by_ms <= NOTED_MS {
            self.0.remove(&edge_id);
            return;
        }
        let alike = self.0.get(&edge_id).and_then(|alike| alike.with(late));
        if alike.is_none() && self.0.len() >= MAX_EDGES {
            self.0.clear();
        }
        let first = || Alike { first: late, last_ms: late.received_ms, observations: 1 };
        self.0.insert(edge_id, alike.unwrap_or_else(first));
    }
}

/// When what an own event says came to this central.
fn came_ms(event: &Event) -> i64 {
    event.reported().map_or(event.timestamp_ms, |reported| reported.received_ms)
}

/// Of what a gate told with a time that was used.
fn lateness_of(event: &Event) -> Option<(&str, Lateness)> {
    let edge_id = match &event.body {
        Body::Entry(entry) => &entry.edge_id,
        Body::Exit(exit) => &exit.exit_edge,
        _ => return None,
    };
    let reported = event.reported().filter(|_| event.heard_from.is_none())?;
    let late = Lateness::of(reported.told_ms, reported.received_ms);
    (1..=REQUEST_WINDOW_MS).contains(&late.by_ms).then_some((edge_id, late))
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
            let late = Lateness::of(received_ms - late * MINUTE_MS, received_ms);
            let is_behind = clocks.is_behind("edge-1", late, 7 * HOUR_MS);
            clocks.heard("edge-1".to_owned(), late);
            is_behind
        };
        reports.iter().map(&mut is_behind).collect()
    }

    #[test]
    fn a_clock_that_is_behind_is_told_from_a_gate_that_catches_up() {
        let [no, yes] = [false, true];
        for (what, reports, expected) in [
            (
                "as late each time",
                vec![(0, 180), (10, 180), (20, 181), (21, 180), (30, 180), (31, 181), (500, 180)],
                vec![no, no, no, no, yes, yes, yes],
            ),
            ("UTC told as the site's time, from the first on", vec![(0, 420), (30, 421)], vec![yes, yes]),
            (
                "UTC told as the site's time, a few minutes later",
                vec![(0, 422), (30, 425), (60, 426)],
                vec![yes, yes, no],
            ),
            ("what was kept for hours is told within a minute", vec![(0, 180), (0, 170), (1, 90), (1, 5)], vec![no; 4]),
            ("what was kept of one moment", vec![(0, 180), (1, 181), (1, 180), (1, 180), (1, 180)], vec![no; 5]),
            ("it catches up slowly", vec![(0, 180), (5, 175), (10, 160), (15, 150), (20, 149)], vec![no; 5]),
            ("a few minutes change nothing", vec![(0, 5), (10, 5), (20, 5), (30, 5)], vec![no; 4]),
            (
                "its clock was set",
                vec![(0, 180), (10, 180), (20, 180), (30, 180), (40, 0), (50, 180)],
                vec![no, no, no, yes, no, no],
            ),
            ("sent each quarter of an hour", vec![(0, 8), (15, 9), (30, 8), (45, 9), (60, 8)], vec![no; 5]),
        ] {
            assert_eq!(said(&reports), expected, "{what}");
        }
    }

    /// What is sent every so often is late by anything up to that.
    #[test]
    fn a_gate_that_sends_now_and_then_is_hardly_ever_taken_for_one_whose_clock_is_behind() {
        let mut random = 1_u64;
        for every_minutes in [6, 10, 15, 60] {
            let reports: Vec<(i64, i64)> = (0..10_000)
                .map(|nth| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (nth * every_minutes * 60, i64::try_from(random >> 33).unwrap() % (every_minutes * 60))
                })
                .collect();
            let mut clocks = EdgeClocks::default();
            let mut behind = 0;
            for (received_s, late_s) in reports {
                let late = Lateness::of((received_s - late_s) * 1_000, received_s * 1_000);
                behind += u32::from(clocks.is_behind("edge-1", late, 7 * HOUR_MS));
                clocks.heard("edge-1".to_owned(), late);
            }
            assert!(behind <= 10, "{behind} of 10,000 that are sent every {every_minutes} min");
        }
    }
}
