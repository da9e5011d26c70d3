//! How much of what one central wrote is taken: logs, events and bytes a minute, and less while the disk is low.
//!
//! Counted by whose name it has, whoever passes it on, and when it is durable: what is forged is charged to nobody. Who has used up what he may
//! is not asked for more until time has passed; nothing is lost, his logs wait at him. The bounds are far beyond any site, so that
//! catching up is as fast as it can be.

use super::{Coordinator, CoordinatorOutput};
use crate::domain::ids::{CentralId, LogId};
use crate::replication::Now;
use crate::replication::peer::output::Alarm;

/// So much of one central at once, and then a minute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    at_once: u64,
    a_minute: u64,
}

/// Each start of a program begins one; they are kept for ever.
const LOGS: Bound = Bound { at_once: 4_096, a_minute: 600 };
const EVENTS: Bound = Bound { at_once: 10_000_000, a_minute: 300_000 };
const BYTES: Bound = Bound { at_once: 8 << 30, a_minute: 256 << 20 };
/// While the disk is low: 16 MiB an hour, some 25,000 events.
const BYTES_OF_A_LOW_DISK: Bound = Bound { at_once: 16 << 20, a_minute: (16 << 20) / 60 };

/// Events of one central beyond which a person is told, once what there was before is held: 50,000 in a short time, and then 30,000 an hour. The gates of a
/// large site write as many in a day. All are taken: it may have been cut off for weeks.
const EVENTS_OF_GATES: Bound = Bound { at_once: 50_000, a_minute: 500 };
/// Who never lets a central catch up keeps it from counting no longer than this.
const CATCHING_UP_MS: u64 = 60 * MINUTE_MS;

/// Logs that this central begins instead of one that others say they hold more of: who says so all the time is heard no more.
pub(super) const OWN_LOGS: Bound = Bound { at_once: 8, a_minute: 1 };

const MINUTE_MS: u64 = 60_000;
/// A person is told of one central at most this often.
const TOLD_EVERY_MS: u64 = 60 * MINUTE_MS;

/// What was taken of a central since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakenOf {
    pub logs: u64,
    pub events: u64,
    pub bytes: u64,
}

/// When a bound that was used to the full so far would be unused again, in micro seconds of the monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    paid_at_us: u64,
}

impl Budget {
    pub(super) fn pay(&mut self, now_ms: u64, bound: Bound, count: u64) {
        let paid_at_us = self.paid_at_us.max(now_ms * 1_000).saturating_add(cost_us(bound, count));
        // Whoever was caught up with long ago need not pay for all of it: twice the bound is enough.
        self.paid_at_us = paid_at_us.min(now_ms * 1_000 + 2 * cost_us(bound, bound.at_once));
    }

    /// When more may be taken, if that is not now.
    pub(super) fn free_at_ms(self, now_ms: u64, bound: Bound) -> Option<u64> {
        let free_at_us = self.paid_at_us.saturating_sub(cost_us(bound, bound.at_once));
        // A second at least: whoever waits is looked at again no more often.
        (free_at_us > now_ms * 1_000).then(|| (free_at_us / 1_000 + 1).max(now_ms + 1_000))
    }
}

fn cost_us(bound: Bound, count: u64) -> u64 {
    u64::try_from(u128::from(count) * u128::from(MINUTE_MS * 1_000) / u128::from(bound.a_minute))
        .unwrap_or(u64::MAX / 8)
}

/// One central's account.
#[derive(Debug, Default)]
pub(super) struct Ration {
    pub(super) taken: TakenOf,
    logs: Budget,
    events: Budget,
    bytes: Budget,
    bytes_of_a_low_disk: Budget,
    events_of_gates: Budget,
    told_ms: Option<u64>,
    told_much_ms: Option<u64>,
}

impl Ration {
    pub(super) fn charge(&mut self, now_ms: u64, what: TakenOf) {
        self.taken.logs += what.logs;
        self.taken.events += what.events;
        self.taken.bytes += what.bytes;
        self.logs.pay(now_ms, LOGS, what.logs);
        self.events.pay(now_ms, EVENTS, what.events);
        self.bytes.pay(now_ms, BYTES, what.bytes);
        self.bytes_of_a_low_disk.pay(now_ms, BYTES_OF_A_LOW_DISK, what.bytes);
    }

    /// Which bound is reached, and until when.
    fn bound(&self, now_ms: u64, is_new_log: bool, disk_is_low: bool) -> Option<(&'static str, u64)> {
        let at = |name, meter: Budget, bound| meter.free_at_ms(now_ms, bound).map(|at_ms| (name, at_ms));
        let low = || at("bytes while the disk is low", self.bytes_of_a_low_disk, BYTES_OF_A_LOW_DISK);
        let logs = || at("logs", self.logs, LOGS).filter(|_| is_new_log);
        let rest = || at("events", self.events, EVENTS).or_else(|| at("bytes", self.bytes, BYTES));
        disk_is_low.then(low).flatten().or_else(logs).or_else(rest)
    }
}

impl Coordinator {
    /// What is durable of a central now is charged to it, and a person is told if no gates write so much.
    pub(super) fn charge(&mut self, now: Now, central: &CentralId, what: TakenOf) {
        let begun_ms = *self.begun_ms.get_or_insert(now.mono_ms);
        self.caught_up |= now.mono_ms - begun_ms >= CATCHING_UP_MS;
        let account = self.accounts.entry(central.clone()).or_default();
        account.charge(now.mono_ms, what);
        if !self.caught_up {
            return;
        }
        account.events_of_gates.pay(now.mono_ms, EVENTS_OF_GATES, what.events);
        let is_much = account.events_of_gates.free_at_ms(now.mono_ms, EVENTS_OF_GATES).is_some();
        if is_much && account.told_much_ms.is_none_or(|told_ms| told_ms + TOLD_EVERY_MS <= now.mono_ms) {
            account.told_much_ms = Some(now.mono_ms);
            let (central, what) = (central.clone(), "events in a short time");
            self.outputs.push(CoordinatorOutput::Alarm(Alarm::MuchOfOne { central, what }));
        }
    }

    /// The disk has less room than a person was promised to be warned of.
    pub fn set_disk_low(&mut self, now: Now, is_low: bool) {
        if std::mem::replace(&mut self.disk_is_low, is_low) != is_low {
            // What waits for it is looked at again.
            self.check_at_ms = Some(now.mono_ms);
        }
    }

    /// What was taken of whom since the process started.
    pub fn taken(&self) -> impl Iterator<Item = (&CentralId, TakenOf)> {
        self.accounts.iter().map(|(central, account)| (central, account.taken))
    }

    /// Until when nothing more of this log is taken, because too much of its author was. Says so.
    pub(super) fn held_back_until_ms(&mut self, now: Now, log: &LogId, is_new: bool) -> Option<u64> {
        let account = self.accounts.get_mut(&log.central)?;
        let (what, until_ms) = account.bound(now.mono_ms, is_new, self.disk_is_low)?;
        if account.told_ms.is_none_or(|told_ms| told_ms + TOLD_EVERY_MS <= now.mono_ms) {
            account.told_ms = Some(now.mono_ms);
            self.outputs.push(CoordinatorOutput::Alarm(Alarm::TooMuchOfOne { central: log.central.clone(), what }));
        }
        // The disk may have room again before.
        Some(until_ms.min(now.mono_ms + MINUTE_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_at_once_and_then_so_much_a_minute() {
        let minute = |logs, events, bytes| {
            let (mut account, mut taken, step) =
                (Ration::default(), TakenOf::default(), TakenOf { logs, events, bytes });
            let mut per_minute = Vec::new();
            for minute in 0..90 {
                let before = taken;
                // Whoever tries does so all the time.
                for second in 0..60 {
                    let now_ms = (minute * 60 + second) * 1_000;
                    for _ in 0..1_000_000 {
                        if account.bound(now_ms, true, bytes > 0 && events == 0).is_some() {
                            break;
                        }
                        account.charge(now_ms, step);
                        taken = account.taken;
                    }
                }
                per_minute.push((taken.logs - before.logs, taken.events - before.events, taken.bytes - before.bytes));
            }
            per_minute
        };
        let logs = minute(1, 0, 0);
        assert!((4_096..=4_096 + 601).contains(&logs[0].0) && (590..=610).contains(&logs[9].0), "{logs:?}");
        let events = minute(0, 1_000, 0);
        assert!((290_000..=310_000).contains(&events[60].1), "{events:?}");
        let low = minute(0, 0, 64 * 1_024);
        let hour: u64 = low[..60].iter().map(|(_, _, bytes)| bytes).sum();
        assert!((30 << 20..34 << 20).contains(&hour), "16 MiB at once and 16 in the hour: {hour}");
        assert_eq!(Ration::default().bound(0, true, true), None);
        // Millions of events of years are caught up with at once, and an hour later the disk may be low.
        let mut account = Ration::default();
        account.charge(0, TakenOf { logs: 2_000, events: 5_000_000, bytes: 4 << 30 });
        assert_eq!(account.bound(0, true, false), None);
        assert!(account.bound(0, true, true).is_some_and(|(_, at_ms)| at_ms <= 3_700_000));
        assert_eq!(account.bound(3_700_000, true, true), None);
    }
}
