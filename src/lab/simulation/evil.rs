//! What somebody writes who has a central and its key in his hands, in logs of its name: clocks at both ends, expulsions and returns and floods of them,
//! removals of what others wrote, cars that are everywhere, money taken at the gates of others, names and price lists, numbers at their limits.

use super::central::certificate_of;
use super::traffic;
use crate::domain::authorship::Author;
use crate::domain::doer::{Doer, DoerKind};
use crate::domain::event::{Body, Draft, Entry, Exit, PriceList, SubscriptionUpdate, TariffUpdate, Void};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, Epoch, FactId, Hlc, LogId};
use crate::domain::money::Vnd;
use crate::domain::naming::Naming;
use crate::domain::payment::Method;
use crate::domain::received::PaymentReceived;
use crate::domain::row::StayRow;
use crate::domain::standing::{CentralStanding, Standing};
use crate::domain::tariff::Tariff;
use crate::ledger::memory::MemoryStorage;
use crate::replication::backoff::SplitMix64;
use crate::replication::log::{EventBytes, Head, Run};

/// Most facts one removal names.
const MOST_REMOVED: u64 = 12;

/// A whole log of a few events, drawn from one number; `author` has the central's key.
pub(super) fn log_of(
    number: u64,
    central: &CentralId,
    wall_ms: i64,
    author: &mut Author,
    storage: &MemoryStorage,
) -> Option<Run> {
    let mut dice = SplitMix64::new(number);
    let log = LogId { central: central.clone(), epoch: Epoch(dice.next_u64()) };
    let prev = Head::empty(&log).hash;
    let drafts: Vec<Draft> = (0..=dice.below(4)).filter_map(|_| one(&mut dice, central, wall_ms, storage)).collect();
    let events = (1..).zip(drafts).map(|(seq, draft)| {
        let proof = author.proof(&log, seq);
        draft.encode_as(&log, seq, log.central.as_str(), None, &proof).ok().map(EventBytes::from)
    });
    let events = events.collect::<Option<Vec<EventBytes>>>().filter(|events| !events.is_empty())?;
    let hash = events.iter().fold(prev, |hash, event| hash.extend(event));
    Some(Run { log, after: 0, prev, events, hash })
}

fn one(dice: &mut SplitMix64, own: &CentralId, wall_ms: i64, storage: &MemoryStorage) -> Option<Draft> {
    let stays: Vec<&StayRow> = storage.stays.values().map(|stored| &stored.row).collect();
    let row = stays.get(usize::try_from(dice.next_u64() % stays.len().max(1) as u64).ok()?)?;
    let places = u64::try_from(storage.events.len()).ok()?;
    let mut timestamp_ms = wall_ms;
    let body = match dice.below(12) {
        // Money that somebody at another's gate is said to have taken; half of it as an exit of that gate told anew.
        8 | 9 => {
            let exits = storage.takings.keys();
            let told = exits.clone().nth(usize::try_from(dice.next_u64() % exits.len().max(1) as u64).ok()?);
            let told = told.filter(|_| dice.below(2) == 0);
            let taken = told.and_then(|told| storage.takings.get(told));
            let taken_by = dice.below(3) < 2;
            timestamp_ms = taken.filter(|_| dice.below(2) == 0).map_or(wall_ms, |taken| taken.exit_ms);
            Body::Exit(Exit {
                stay: Some(None),
                force: true,
                request_id: told.map(ToString::to_string),
                doubts: vec!["fee_uncertain".to_owned()],
                taken_by: taken_by.then(|| Doer::new(DoerKind::Person, "an")),
                ..Exit::of(
                    Some(row.plate_id.clone()),
                    taken.map_or("c1", |taken| &taken.central),
                    taken.map_or("edge-1", |taken| &taken.edge_id),
                    Vnd(9_000_000),
                )
            })
        }
        // Each of another certificate.
        10 => Body::Central(CentralStanding {
            central: format!("c{}", dice.below(300)).parse().ok()?,
            fingerprint: Fingerprint::of_certificate(&dice.next_u64().to_be_bytes()),
            standing: if dice.below(2) == 0 { Standing::Admitted } else { Standing::Expelled },
            ip: None,
            p2p_port: None,
            reason: None,
            by: None,
        }),
        11 => match dice.below(3) {
            0 => Body::Naming(Naming { id: "c0/edge-0".to_owned(), name: "evil".to_owned() }),
            1 => Body::PaymentReceived(PaymentReceived {
                reference: format!("FT{}", dice.below(6)),
                method: Method::Transfer,
                amount: Vnd(i64::try_from(dice.below(20_000)).ok()?),
                stay: Some(row.stay_id.clone()),
                text: None,
            }),
            _ => {
                let mut tariff = Tariff::default();
                tariff.base.fee_per_hour = Vnd(i64::try_from(dice.below(1_000_000)).ok()?);
                let from_ms = traffic::announced_for(dice, wall_ms);
                // Or it takes back what people announced.
                Body::PriceList(PriceList {
                    valid_from_ms: Some(from_ms),
                    tariff: (dice.below(2) == 0).then_some(tariff),
                })
            }
        },
        0 | 6 => {
            let mut tariff = Tariff::default();
            tariff.base.fee_per_hour = Vnd(i64::try_from(dice.below(1_000_000)).ok()?);
            Body::Tariff(TariffUpdate { tariff })
        }
        1 => Body::Subscription(SubscriptionUpdate { id: format!("s-{}", row.plate_id), subscription: None }),
        2 | 7 => {
            let (name, key, is_yes) = (dice.below(3), dice.below(3), dice.below(2) == 0);
            // Or it lets itself in again, under its own name or another.
            let itself = key == 2;
            Body::Central(CentralStanding {
                central: if itself && is_yes { own.clone() } else { format!("c{name}").parse().ok()? },
                fingerprint: if itself { certificate_of(own) } else { Fingerprint::of_certificate(&key.to_be_bytes()) },
                standing: if itself || is_yes { Standing::Admitted } else { Standing::Expelled },
                ip: None,
                p2p_port: None,
                reason: None,
                by: None,
            })
        }
        3 => {
            let removed = (0..dice.below(MOST_REMOVED)).filter_map(|_| {
                let at = storage.events.keys().nth(usize::try_from(dice.next_u64() % places).ok()?)?;
                Some(FactId::Authored { log: at.log.clone(), seq: at.seq })
            });
            Body::Void(Void { removes: removed.collect(), money: Vec::new(), reason: "evil".to_owned(), by: None })
        }
        4 => Body::Exit(Exit {
            stay: (dice.below(2) == 0).then_some(None),
            fee: Vnd(i64::try_from(dice.below(2_000_000)).ok()?),
            force: true,
            told: dice.below(2) == 0,
            told_fee: (dice.below(2) == 0).then_some(Vnd(7_000)),
            doubts: vec!["fee_uncertain".to_owned(), "evil".to_owned()],
            ..Exit::of(Some(row.plate_id.clone()), "c0", "edge-0", Vnd(0))
        }),
        _ => Body::Entry(Entry {
            plate_view: String::new(),
            force: true,
            replaces: Some(row.stay_id.clone()),
            ..Entry::of(row.plate_id.clone(), "edge-0")
        }),
    };
    // Nothing near the bound: by how much the clocks differ it would take effect at different times, and nobody waits that long.
    let (latest, day_ms) = (Hlc::latest_believed(wall_ms).ms(), 86_400_000);
    let clocks =
        [0, 1, wall_ms, wall_ms + 365 * day_ms, latest - day_ms, latest + day_ms, Hlc::MAX_MS - 1, Hlc::MAX_MS];
    let hlc = Hlc::new(*clocks.get(usize::try_from(dice.below(8)).ok()?)?).ok()?;
    Some(Draft { hlc, timestamp_ms, skew_ms: None, event_id: Some(row.stay_id.clone()), body, by: None })
}
