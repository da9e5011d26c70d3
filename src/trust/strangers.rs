//! Who is unknown here, until a person says yes or no: centrals that knocked, and those that were found nearby.
//!
//! Bounded, so that strangers cost little: the one seen longest ago makes room, of the address that has most entries. Whoever
//! belongs here knocks, or says that it is there, again before long and is listed again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;
use crate::trust::site::SiteMark;

/// Most entries of a list: far more than a site has centrals, few enough to look through.
pub const MAX_STRANGERS: usize = 32;

/// Somebody who knocked, or who was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Who it says it is.
    pub central: CentralId,
    /// From where it spoke last.
    pub from: IpAddr,
    /// Where it says others can dial it: host and port, if it does.
    pub listens: Option<(String, u16)>,
    /// Which site it says it belongs to; `None`: it does not say.
    pub site: Option<SiteMark>,
    /// Unix ms.
    pub first_seen_ms: i64,
    pub last_seen_ms: i64,
}

/// The strangers by fingerprint: each certificate once, whatever names it tries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strangers(BTreeMap<Fingerprint, Stranger>);

impl Strangers {
    /// Notes that it spoke, at `stranger.last_seen_ms`; whether it is new.
    pub fn spoke(&mut self, fingerprint: Fingerprint, stranger: Stranger) -> bool {
        let known = self.0.remove(&fingerprint);
        let first_seen_ms = known.as_ref().map_or(stranger.last_seen_ms, |known| known.first_seen_ms);
        if self.0.len() >= MAX_STRANGERS {
            self.make_room();
        }
        self.0.insert(fingerprint, Stranger { first_seen_ms, ..stranger });
        known.is_none()
    }

    fn make_room(&mut self) {
        let mut of_address: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for stranger in self.0.values() {
            *of_address.entry(stranger.from).or_default() += 1;
        }
        let entries_beside = |stranger: &Stranger| of_address.get(&stranger.from).copied().unwrap_or_default();
        let oldest = |stranger: &Stranger| std::cmp::Reverse(stranger.last_seen_ms);
        let goes = self.0.iter().max_by_key(|(_, stranger)| (entries_beside(stranger), oldest(stranger)));
        if let Some(fingerprint) = goes.map(|(fingerprint, _)| *fingerprint) {
            self.0.remove(&fingerprint);
        }
    }

    pub fn get(&self, fingerprint: &Fingerprint) -> Option<&Stranger> {
        self.0.get(fingerprint)
    }

    /// It waits no longer, whatever came of it.
    pub fn settle(&mut self, fingerprint: &Fingerprint) -> Option<Stranger> {
        self.0.remove(fingerprint)
    }

    /// Forgets who was silent for so long; and, after the clock was set back, who was heard at a time that is still to come.
    pub fn forget_silent(&mut self, now_ms: i64, lifetime_ms: i64) {
        let alive = now_ms.saturating_sub(lifetime_ms)..=now_ms;
        self.0.retain(|_, stranger| alive.contains(&stranger.last_seen_ms));
    }

    /// All of them, who came first first.
    pub fn list(&self) -> Vec<(Fingerprint, Stranger)> {
        let mut all: Vec<_> = self.0.iter().map(|(fingerprint, stranger)| (*fingerprint, stranger.clone())).collect();
        all.sort_by_key(|(fingerprint, stranger)| (stranger.first_seen_ms, *fingerprint));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(number: usize) -> Fingerprint {
        Fingerprint::of_certificate(&number.to_le_bytes())
    }

    fn stranger(central: &str, from: &str, seen_ms: i64) -> Stranger {
        Stranger {
            central: central.parse().unwrap(),
            from: from.parse().unwrap(),
            listens: None,
            site: None,
            first_seen_ms: 0,
            last_seen_ms: seen_ms,
        }
    }

    #[test]
    fn a_stranger_is_listed_once_with_its_first_and_last_word_until_it_is_settled() {
        let mut list = Strangers::default();
        assert!(list.spoke(fingerprint(1), stranger("c1", "10.0.0.1", 5)));
        assert!(list.spoke(fingerprint(2), stranger("c2", "10.0.0.2", 6)));
        assert!(!list.spoke(fingerprint(1), stranger("c3", "10.0.0.3", 9)));
        let first = Stranger { first_seen_ms: 5, ..stranger("c3", "10.0.0.3", 9) };
        let second = Stranger { first_seen_ms: 6, ..stranger("c2", "10.0.0.2", 6) };
        assert_eq!(list.list(), [(fingerprint(1), first.clone()), (fingerprint(2), second)]);
        assert_eq!(list.settle(&fingerprint(1)), Some(first));
        assert_eq!(list.settle(&fingerprint(1)), None);
        assert!(list.get(&fingerprint(2)).is_some());
    }

    #[test]
    fn who_is_silent_for_too_long_is_forgotten_whatever_the_clock_does() {
        for (heard_ms, now_ms, is_known) in [
            (100, 100, true),
            (100, 150, true),
            (100, 151, false),
            (100, 99, false),
            (i64::MIN, 0, false),
            (0, i64::MIN, false),
        ] {
            let mut found = Strangers::default();
            found.spoke(fingerprint(1), stranger("c1", "10.0.0.1", heard_ms));
            found.forget_silent(now_ms, 50);
            assert_eq!(found.get(&fingerprint(1)).is_some(), is_known, "heard at {heard_ms}, now {now_ms}");
        }
    }

    #[test]
    fn a_flood_from_one_address_pushes_out_itself_and_nobody_else() {
        let mut list = Strangers::default();
        list.spoke(fingerprint(0), stranger("honest", "10.0.0.1", 0));
        for number in 1..=10 * MAX_STRANGERS {
            list.spoke(fingerprint(number), stranger("flood", "10.0.0.66", number as i64));
        }
        assert_eq!(list.list().len(), MAX_STRANGERS);
        assert!(list.get(&fingerprint(0)).is_some());
        // Of the flood those seen last stay.
        assert!(list.get(&fingerprint(10 * MAX_STRANGERS)).is_some() && list.get(&fingerprint(1)).is_none());
    }
}
