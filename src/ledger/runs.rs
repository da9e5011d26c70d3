//! Storing what peers send: a run is taken only if it continues what is held.

use std::collections::BTreeSet;

use crate::domain::event::{Body, Event};
use crate::domain::ids::{Hlc, LogId};
use crate::domain::stay::Fact;
use crate::replication::log::{ChainHash, Doubt, EventBytes, Head, Run};

use super::job::{Answer, Refusal};
use super::storage::{EventRef, Storage};
use super::transaction::{Stop, Transaction};

/// How the reasons begin for which an event is set aside that a newer version may understand.
pub(crate) const UNKNOWN_TYPE: &str = "unknown type";
const MALFORMED: &str = "malformed event";
/// How the reason begins for which an event was put off.
pub(crate) const CLOCK_AHEAD: &str = "its clock is too far ahead:";
/// Most logs of one central that are taken from peers: every start of a process is one. Keeps the number of logs, and with it memory
/// and the numbers there are for them, within bounds whoever restarts, or invents.
pub const MAX_LOGS_OF_ONE: usize = 50_000;
/// Most events taken up in one transaction.
const MOST_AT_ONCE: usize = 256;

impl<S: Storage> Transaction<'_, S> {
    /// `from_author`: the central whose log it is gives it itself.
    pub(super) fn store_run(&mut self, run: &Run, from_author: bool) -> Result<Answer, Stop<S::Error>> {
        let log = &run.log;
        let held = self.head(log);
        if self.staged.own_log.as_ref() == Some(log) || run.after > held.to {
            return Err(Stop::Refused(Refusal::OutOfOrder { log: log.clone(), held }));
        }
        if run.oversized().is_some() {
            return Err(Stop::Refused(Refusal::BrokenChain { log: log.clone() }));
        }
        if held.to == 0 && self.state.logs_of(&log.central) >= MAX_LOGS_OF_ONE {
            let reason =
                format!("{} logs of {} are held already, more than any central begins", MAX_LOGS_OF_ONE, log.central);
            return Err(Stop::Refused(Refusal::NotItsAuthor { log: log.clone(), reason, doubt: Doubt::Certain }));
        }
        let hashes = chain(run);
        let already_held = usize::try_from(held.to - run.after).unwrap_or(usize::MAX);
        // The hash at the place we stand must be ours, else one of us holds another history.
        let hash_here = match already_held.checked_sub(1) {
            None => Some(run.prev),
            Some(index) => hashes.get(index).copied(),
        };
        if hashes.last() != Some(&run.hash) || hash_here.is_some_and(|hash| hash != held.hash) {
            return Err(Stop::Refused(Refusal::BrokenChain { log: log.clone() }));
        }
        self.check_author(run, held, already_held, from_author)?;
        let numbered = (run.after + 1..).zip(run.events.iter().zip(hashes));
        let head = self.take(log, numbered.skip(already_held))?;
        if head.to > held.to {
            self.note_more(log);
        }
        Ok(Answer::Stored { log: log.clone(), head })
    }

    /// Appends and applies checked events.
    fn take<'r>(
        &mut self,
        log: &LogId,
        events: impl Iterator<Item = (u64, (&'r EventBytes, ChainHash))>,
    ) -> Result<Head, S::Error> {
        for (seq, (bytes, hash)) in events {
            let at = EventRef { log: log.clone(), seq };
            self.append(&at, bytes.clone(), hash)?;
            self.apply_bytes(&at, bytes)?;
        }
        Ok(self.head(log))
    }

    /// Applies events that lie in the storage already.
    pub(super) fn replay_all(&mut self, events: &[(EventRef, EventBytes)]) -> Result<(), S::Error> {
        for (at, bytes) in events {
            self.apply_bytes(at, bytes)?;
        }
        Ok(())
    }

    /// Applies the author's bytes, or lets them wait. What cannot be read is quarantined: it has no effect and blocks nothing.
    pub(super) fn apply_bytes(&mut self, at: &EventRef, bytes: &str) -> Result<(), S::Error> {
        let reason = match Event::parse(bytes) {
            Ok(event) if event.log == at.log && event.seq == at.seq => {
                if event.hlc > Hlc::latest_believed(self.now.wall_ms) {
                    return self.put_off(at, event.hlc);
                }
                let fact = Fact { id: event.fact_id(), event: event.into() };
                let settled = self.apply_in_turn(&fact)? || self.defer(&fact)?;
                return if settled { Ok(()) } else { self.fold_in(&[fact]) };
            }
            Ok(event) => format!("says it is {} but lies at {}/{}", event.fact_id(), at.log, at.seq),
            Err(error) => error.to_string(),
        };
        self.set_aside(at, reason)
    }

    /// An event whose clock is further ahead than any clock is believed has no effect until its time comes near. All centrals come to
    /// the same, each when its own clock does.
    fn put_off(&mut self, at: &EventRef, hlc: Hlc) -> Result<(), S::Error> {
        self.staged.put_off.insert((hlc, at.clone()));
        self.set_aside(at, format!("{CLOCK_AHEAD} {} ms", hlc.ms()))
    }

    fn set_aside(&mut self, at: &EventRef, reason: String) -> Result<(), S::Error> {
        self.write()?.quarantine(at, &reason)?;
        self.staged.set_aside.push((at.clone(), reason));
        Ok(())
    }

    /// Applies events that were put off and whose time has come near.
    pub(super) fn take_due(&mut self) -> Result<(), S::Error> {
        let latest = Hlc::latest_believed(self.now.wall_ms);
        let due = self.state.put_off.iter().take_while(|(hlc, _)| *hlc <= latest).take(MOST_AT_ONCE);
        for (hlc, at) in due.cloned().collect::<Vec<_>>() {
            self.write()?.release(&at)?;
            if let Some(bytes) = self.read()?.event(&at)? {
                self.apply_bytes(&at, &bytes)?;
            }
            self.staged.taken_up.push((hlc, at));
        }
        Ok(())
    }
}

/// The events that were put off, and those that are understood since, among those in quarantine.
pub(super) fn put_off<S: Storage>(storage: &mut S) -> Result<BTreeSet<(Hlc, EventRef)>, S::Error> {
    let mut found = BTreeSet::new();
    for at in storage.quarantined(CLOCK_AHEAD)? {
        let event = storage.event(&at)?.and_then(|bytes| Event::parse(&bytes).ok());
        found.extend(event.map(|event| (event.hlc, at)));
    }
    // What an earlier version could not read, and this one can.
    for reason in [UNKNOWN_TYPE, MALFORMED] {
        for at in storage.quarantined(reason)? {
            let event = storage.event(&at)?.and_then(|bytes| Event::parse(&bytes).ok());
            let is_read = |event: &Event| {
                !matches!(event.body, Body::Unknown { .. }) && event.log == at.log && event.seq == at.seq
            };
            found.extend(event.filter(is_read).map(|event| (event.hlc, at.clone())));
        }
    }
    Ok(found)
}

/// The chain hash after each event of the run.
fn chain(run: &Run) -> Vec<ChainHash> {
    let extend = |hash: &mut ChainHash, event: &EventBytes| {
        *hash = hash.extend(event);
        Some(*hash)
    };
    run.events.iter().scan(run.prev, extend).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::event::{Draft, PriceList, TariffUpdate};
    use crate::domain::fingerprint::Fingerprint;
    use crate::domain::ids::{CentralId, Epoch};
    use crate::domain::standing::{CentralStanding, Standing, Trusted, in_force};
    use crate::domain::tariff::Tariff;
    use crate::domain::time::SiteZone;
    use crate::ledger::job::Job;
    use crate::ledger::memory::MemoryStorage;
    use crate::ledger::settings::{MOST_ANNOUNCED_BY_ONE, MOST_DECIDED_BY_ONE};
    use crate::ledger::transaction::TransactionTime;
    use crate::ledger::{Context, Ledger};

    const NOW_MS: i64 = 1_790_000_000_000;

    fn ledger() -> Ledger<MemoryStorage> {
        let context = Context { central: "c1".parse().unwrap(), zone: SiteZone::default() };
        Ledger::open(MemoryStorage::default(), context).unwrap()
    }

    fn at(wall_ms: i64) -> TransactionTime {
        TransactionTime { wall_ms, skew_ms: None, clock_wrong: false }
    }

    fn done(ledger: &mut Ledger<MemoryStorage>, job: Job, wall_ms: i64, epoch: u64) -> Answer {
        let mut processed = ledger.process(vec![job], at(wall_ms), Epoch(epoch));
        processed.outcomes.remove(0).unwrap()
    }

    /// What another central wrote into a log of its own, with clocks of its choice.
    fn run_of(central: &str, epoch: u64, bodies: Vec<(i64, Body)>) -> Run {
        let log = LogId { central: central.parse().unwrap(), epoch: Epoch(epoch) };
        let prev = Head::empty(&log).hash;
        let events: Vec<EventBytes> = (1..)
            .zip(bodies)
            .map(|(seq, (hlc_ms, body))| {
                let hlc = Hlc::new(hlc_ms).unwrap();
                let draft = Draft { hlc, timestamp_ms: NOW_MS, skew_ms: None, event_id: None, body, by: None };
                draft.encode(&log, seq).unwrap().into()
            })
            .collect();
        let hash = events.iter().fold(prev, |hash, event| hash.extend(event));
        Run { log, after: 0, prev, events, hash }
    }

    fn tariff(per_hour: i64) -> Tariff {
        let mut tariff = Tariff::default();
        tariff.base.fee_per_hour = crate::domain::money::Vnd(per_hour);
        tariff
    }

    fn tariff_set(hlc_ms: i64, per_hour: i64) -> (i64, Body) {
        (hlc_ms, Body::Tariff(TariffUpdate { tariff: tariff(per_hour) }))
    }

    fn announced(hlc_ms: i64, from_ms: i64, per_hour: i64) -> (i64, Body) {
        (hlc_ms, Body::PriceList(PriceList { valid_from_ms: Some(from_ms), tariff: Some(tariff(per_hour)) }))
    }

    #[test]
    fn however_much_one_central_announces_others_announce_too_and_what_they_did_stays() {
        let (mut ledger, day_ms) = (ledger(), 86_400_000);
        let list =
            |day: i64| PriceList { valid_from_ms: Some(NOW_MS + day * day_ms), tariff: Some(tariff(1_000 + day)) };
        done(&mut ledger, Job::Announce(list(1)), NOW_MS, 1);
        let latest = Hlc::latest_believed(NOW_MS).ms();
        let many = (0..1_100).map(|minute| announced(latest - 1, NOW_MS + 30 * day_ms + minute * 60_000, 9_000));
        done(&mut ledger, Job::Store(run_of("c9", 9, many.collect())), NOW_MS, 1);
        done(&mut ledger, Job::Announce(list(2)), NOW_MS, 1);
        let held = |ledger: &Ledger<MemoryStorage>| -> Vec<(i64, Tariff)> {
            ledger.settings().announced(NOW_MS).map(|(from_ms, tariff, _)| (from_ms, tariff)).collect()
        };
        let own: Vec<(i64, Tariff)> = held(&ledger).into_iter().take(2).collect();
        assert_eq!(own, [1, 2].map(|day| (NOW_MS + day * day_ms, tariff(1_000 + day))));
        assert_eq!(held(&ledger).len(), 2 + MOST_ANNOUNCED_BY_ONE);
        // A person takes back what it announced.
        let (bad_ms, ..) = ledger.settings().announced(NOW_MS + 3 * day_ms).next().unwrap();
        let withdrawn = PriceList { valid_from_ms: Some(bad_ms), tariff: None };
        done(&mut ledger, Job::Announce(withdrawn), NOW_MS, 1);
        assert!(held(&ledger).iter().all(|(from_ms, _)| *from_ms != bad_ms));
        let (before, digest) = (held(&ledger), ledger.digest());
        ledger.reopen().unwrap();
        assert_eq!((held(&ledger), ledger.digest()), (before, digest), "what was kept on the disk says the same");
    }

    #[test]
    fn what_is_announced_is_the_same_in_whatever_order_it_is_heard() {
        // More than is kept of one, and of all, and of some moments by two.
        let runs = || -> Vec<Run> {
            (0..5_i64)
                .map(|number| {
                    let said = (0..260_i64).map(|place| {
                        let from_ms = NOW_MS + (number * 240 + place) * 60_000;
                        announced(NOW_MS + (place * 7 + number * 11) % 300, from_ms, 1_000 * (number + 1))
                    });
                    run_of(&format!("c{}", 2 + number), 2, said.collect())
                })
                .collect()
        };
        let hears = |order: [usize; 5]| {
            let (mut ledger, runs) = (ledger(), runs());
            for turn in order {
                done(&mut ledger, Job::Store(runs[turn].clone()), NOW_MS, 1);
            }
            let held: Vec<_> = ledger.settings().announced(0).map(|(from_ms, _, version)| (from_ms, version)).collect();
            let digest = ledger.digest();
            ledger.reopen().unwrap();
            assert_eq!(digest, ledger.digest());
            (held, digest)
        };
        let first = hears([0, 1, 2, 3, 4]);
        for order in [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [1, 4, 0, 3, 2]] {
            assert_eq!(hears(order), first);
        }
    }

    fn stands(hlc_ms: i64, central: &str, standing: Standing) -> (i64, Body) {
        let (ip, p2p_port, reason, by) = Default::default();
        let fingerprint = Fingerprint::of_certificate(b"stolen");
        let central = central.parse().unwrap();
        (hlc_ms, Body::Central(CentralStanding { central, fingerprint, standing, ip, p2p_port, reason, by }))
    }

    fn standing_here(ledger: &Ledger<MemoryStorage>) -> Option<Standing> {
        let decisions: Vec<_> = ledger.settings().decisions().collect();
        let trusted = Trusted { own: ledger.context().central.clone(), peers: BTreeMap::new() };
        in_force(&decisions, &trusted)
            .get(&Fingerprint::of_certificate(b"stolen"))
            .filter(|it| it.counts)
            .map(|it| it.said.standing)
    }

    #[test]
    fn however_much_one_central_decides_what_others_decided_stays_in_whatever_order_it_is_heard() {
        use Standing::{Admitted, Expelled};
        let of = |hlc_ms: i64, key: i64, standing| {
            let (_, body) = stands(hlc_ms, "c7", standing);
            let Body::Central(decided) = body else { unreachable!() };
            (
                hlc_ms,
                Body::Central(CentralStanding {
                    fingerprint: Fingerprint::of_certificate(&key.to_be_bytes()),
                    ..decided
                }),
            )
        };
        let most = i64::try_from(MOST_DECIDED_BY_ONE).unwrap();
        // In two logs, each with clocks of its own, and of some certificates in both.
        let flood = |epoch, from: i64| {
            let said = (0..most).flat_map(move |key| {
                let hlc_ms = NOW_MS + (key * 7 + from) % most;
                [of(hlc_ms, from + key, Admitted), of(hlc_ms, from + key, Expelled)]
            });
            run_of("c9", epoch, said.collect())
        };
        let runs = || [flood(9, 0), flood(10, most / 2), run_of("c2", 2, vec![stands(1, "c9", Expelled)])];
        let hears = |order: [usize; 3]| {
            let mut ledger = ledger();
            for turn in order {
                done(&mut ledger, Job::Store(runs()[turn].clone()), NOW_MS, 1);
            }
            let decided: Vec<_> = ledger.settings().decisions().map(|it| (it.author, it.order)).collect();
            let digest = ledger.digest();
            ledger.reopen().unwrap();
            assert_eq!(ledger.digest(), digest, "what was kept on the disk says the same");
            assert_eq!(ledger.settings().decisions().count(), decided.len());
            assert_eq!(standing_here(&ledger), Some(Expelled));
            assert!(ledger.settings().decided_too_much().all(|author| author.as_str() == "c9"));
            (decided, digest)
        };
        let first = hears([0, 1, 2]);
        assert_eq!(first.0.len(), 2 * MOST_DECIDED_BY_ONE + 1);
        for order in [[2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            assert_eq!(hears(order), first);
        }
    }

    #[test]
    fn whatever_clock_a_peer_writes_a_person_here_changes_the_tariff_afterwards() {
        let latest = Hlc::latest_believed(NOW_MS).ms();
        for hlc_ms in [0, 1, NOW_MS, latest - 1, latest, latest + 1, Hlc::MAX_MS - 1, Hlc::MAX_MS] {
            let mut ledger = ledger();
            done(&mut ledger, Job::Store(run_of("c2", 2, vec![tariff_set(hlc_ms, 9_000)])), NOW_MS, 1);
            for per_hour in [1_000, 2_000, 3_000] {
                done(&mut ledger, Job::PutTariff(tariff(per_hour)), NOW_MS, 1);
                assert_eq!(*ledger.settings().tariff().0, tariff(per_hour), "after a clock of {hlc_ms}");
            }
        }
    }

    #[test]
    fn what_is_too_far_ahead_has_no_effect_until_its_time_comes_near_and_then_on_all_the_same() {
        let hlc_ms = Hlc::latest_believed(NOW_MS).ms() + 60_000;
        let run = || run_of("c2", 2, vec![tariff_set(hlc_ms, 9_000)]);
        let mut early = ledger();
        let processed = early.process(vec![Job::Store(run())], at(NOW_MS), Epoch(1));
        assert!(matches!(&processed.set_aside[..], [(_, reason)] if reason.starts_with(CLOCK_AHEAD)));
        assert_eq!(*early.settings().tariff().0, Tariff::default());
        // A process that starts meanwhile knows of it, too.
        early.reopen().unwrap();
        early.process(Vec::new(), at(NOW_MS + 59_000), Epoch(1));
        assert_eq!(*early.settings().tariff().0, Tariff::default());
        early.process(Vec::new(), at(NOW_MS + 61_000), Epoch(1));
        assert_eq!(*early.settings().tariff().0, tariff(9_000));
        assert!(early.storage().quarantined.is_empty());
        let mut late = ledger();
        done(&mut late, Job::Store(run()), NOW_MS + 61_000, 1);
        assert_eq!(early.digest(), late.digest());
    }

    #[test]
    fn nobody_who_was_expelled_lets_himself_in_again_in_whatever_order_it_is_heard() {
        use Standing::{Admitted, Expelled};
        let latest = Hlc::latest_believed(NOW_MS).ms();
        let by_itself = || run_of("c9", 9, vec![stands(latest, "c9", Admitted), stands(latest, "c7", Admitted)]);
        let expelled = || run_of("c2", 2, vec![stands(NOW_MS, "c9", Expelled)]);
        let readmitted = || run_of("c3", 3, vec![stands(NOW_MS + 1, "c9", Admitted)]);
        let hears = |runs: Vec<Run>| {
            let mut ledger = ledger();
            for run in runs {
                done(&mut ledger, Job::Store(run), NOW_MS, 1);
            }
            (standing_here(&ledger), ledger.digest())
        };
        let out = hears(vec![by_itself(), expelled()]);
        assert_eq!(out.0, Some(Expelled));
        assert_eq!(out, hears(vec![expelled(), by_itself()]));
        // A member that is none of it may, later.
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].map(|order| {
            order.map(|turn| match turn {
                0 => by_itself(),
                1 => expelled(),
                _ => readmitted(),
            })
        });
        let [first, others @ ..] = orders.map(|runs| hears(runs.into()));
        assert_eq!(first.0, Some(Admitted));
        assert!(others.iter().all(|other| *other == first));
    }

    #[test]
    fn an_expulsion_and_a_return_decided_here_take_effect_or_are_refused() {
        use Standing::{Admitted, Expelled};
        let decision = |central: &str, standing| match stands(0, central, standing) {
            (_, Body::Central(decided)) => Job::PutStanding(decided),
            _ => unreachable!(),
        };
        let mut ledger = ledger();
        let latest = Hlc::latest_believed(NOW_MS).ms();
        for hlc_ms in [latest, Hlc::MAX_MS] {
            let epoch = hlc_ms.unsigned_abs();
            done(&mut ledger, Job::Store(run_of("c9", epoch, vec![stands(hlc_ms, "c9", Admitted)])), NOW_MS, 1);
            done(&mut ledger, decision("c9", Expelled), NOW_MS, 1);
            assert_eq!(standing_here(&ledger), Some(Expelled), "against a clock of {hlc_ms}");
        }
        done(&mut ledger, decision("c9", Admitted), NOW_MS, 1);
        assert_eq!(standing_here(&ledger), Some(Admitted), "this central is not the one that was expelled");
        done(&mut ledger, decision("c1", Expelled), NOW_MS, 1);
        let processed = ledger.process(vec![decision("c9", Admitted)], at(NOW_MS), Epoch(1));
        assert!(matches!(&processed.outcomes[..], [Err(Refusal::Invalid(_))]), "{:?}", processed.outcomes);
        assert_eq!(standing_here(&ledger), Some(Expelled));
        let own: CentralId = "c1".parse().unwrap();
        assert_eq!(ledger.context().central, own);
        // What was kept on the disk says the same.
        let digest = ledger.digest();
        ledger.reopen().unwrap();
        assert_eq!((standing_here(&ledger), ledger.digest()), (Some(Expelled), digest));
    }
}
