//! What must hold of a central at every moment, held against `resolve` and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use parkmesh::domain::direction::Direction;
use parkmesh::domain::event::{Body, Event};
use parkmesh::domain::ids::FactId;
use parkmesh::domain::row::{StayRow, StayStatus};
use parkmesh::domain::stay::{Resolution, TakenAs, Taking, resolve};
use parkmesh::domain::time::quarter;
use parkmesh::ledger::storage::EventRef;
use parkmesh::ledger::storage::{TotalChange, TotalKey};
use parkmesh::replication::log::{ChainHash, Head};

use super::Central;

pub fn check(central: &mut Central) {
    let resolution = resolve(&central.applied());
    let rows = central.rows();
    assert_eq!(rows, resolution.rows, "the history is what resolve makes of the facts");
    check_memory(central, &rows);
    check_sums(central, &resolution);
    check_lists(central, &resolution);
    check_logs(central);
}

/// Memory is what the disk holds.
fn check_memory(central: &mut Central, rows: &[StayRow]) {
    let remembered = central.ledger.inside().map(|(plate, open)| (plate.clone(), open.stay_id(plate)));
    let remembered: BTreeMap<_, _> = remembered.collect();
    let stored = rows.iter().filter(|row| row.status == StayStatus::In);
    let stored: BTreeMap<_, _> = stored.map(|row| (row.plate_id.clone(), row.stay_id.clone())).collect();
    assert_eq!(remembered, stored, "memory is what the disk holds");
    let held = central.ledger.storage_mut().events.len() as u64;
    assert_eq!(central.ledger.events(), held);
}

/// The sums of every quarter of an hour and gate, told apart by who took what, are those of the rows that came in and of the takings.
fn check_sums(central: &mut Central, resolution: &Resolution) {
    let mut sums: BTreeMap<TotalKey, TotalChange> = BTreeMap::new();
    let mut takings: BTreeMap<FactId, Taking> = BTreeMap::new();
    for row in &resolution.rows {
        let came_in = matches!(row.status, StayStatus::In | StayStatus::Out | StayStatus::LeftUnseen);
        if came_in && !row.is_exit_alone() {
            let key = (quarter(row.entry_ms), row.source_central.clone(), row.edge_id.clone(), TakenAs::default());
            sums.entry(key).or_default().entries += 1;
        }
    }
    for taking in &resolution.takings {
        let mut taken_as = taking.told_apart.clone();
        // An exit that ended a stay counts for the type of the stay.
        let ended = |row: &&StayRow| row.exit.as_ref().is_some_and(|exit| exit.fact == taking.fact);
        if let Some(row) = resolution.rows.iter().find(ended) {
            taken_as.camera_type.clone_from(&row.camera_type);
        }
        let taking = Taking { told_apart: taken_as, ..taking.clone() };
        count(&mut sums, &taking);
        takings.insert(taking.fact.clone(), taking);
    }
    let storage = central.ledger.storage_mut();
    for at in storage.quarantined.keys() {
        let Ok(event) = Event::parse(&storage.events[at].0) else { continue };
        if let Body::Unread(opening) = &event.body
            && opening.direction == Direction::Exit
        {
            let taking = Taking::of_opening(&event, opening);
            count(&mut sums, &taking);
            takings.insert(taking.fact.clone(), taking);
        }
    }

    assert_eq!(storage.totals, sums);
    assert_eq!(storage.takings, takings, "each is found by gate and time");
}

/// One exit, of its first way; and the amount of each way.
fn count(sums: &mut BTreeMap<TotalKey, TotalChange>, taking: &Taking) {
    let others: i64 = taking.also.iter().map(|(_, part)| part.0).sum();
    let first = (taking.told_apart.method.clone(), 1, taking.fee.0 - others);
    let also = taking.also.iter().map(|(method, part)| (method.name().to_owned(), 0, part.0));
    for (method, exits, revenue_vnd) in std::iter::once(first).chain(also) {
        let taken_as = TakenAs { method, ..taking.told_apart.clone() };
        let key = (quarter(taking.exit_ms), taking.central.clone(), taking.edge_id.clone(), taken_as);
        let sum = sums.entry(key).or_default();
        sum.exits += exits;
        sum.revenue_vnd += revenue_vnd;
    }
}

/// What waits and what has no effect is listed, and nothing else is.
fn check_lists(central: &mut Central, resolution: &Resolution) {
    let name = |at: &EventRef| format!("{}/{}", at.log, at.seq);
    // What was heard from a predecessor has no place in its name: it lies where its lowest copy does.
    let mut facts = central.applied();
    facts.sort_by(|a, b| a.copy_order().cmp(&b.copy_order()));
    let place = |id: &FactId| {
        let fact = facts.iter().find(|fact| fact.id == *id).unwrap();
        name(&EventRef { log: fact.event.log.clone(), seq: fact.event.seq })
    };
    let storage = central.ledger.storage_mut();
    let waiting: Vec<String> = storage.loose.values().filter(|fact| fact.waiting).map(|fact| name(&fact.at)).collect();
    let mut expected: Vec<String> = resolution.waiting.iter().map(place).collect();
    expected.sort();
    let mut waiting = waiting;
    waiting.sort();
    assert_eq!(waiting, expected, "what waits is known to wait");

    let mut expected: BTreeMap<String, Option<String>> =
        resolution.quarantined.iter().map(|(id, reason)| (place(id), Some(reason.clone()))).collect();
    let requests =
        storage.events.values().filter_map(|(bytes, _)| Some(Event::parse(bytes).ok()?.request()?.1.to_owned()));
    let requests: BTreeSet<String> = requests.collect();
    for (at, (bytes, _)) in &storage.events {
        let has_effect = Event::parse(bytes).is_ok_and(|event| {
            // An opening that somebody gave its plate has that effect.
            let unread =
                matches!(event.body, Body::Unread(_)) && !requests.contains(&format!("\u{1}read {}", event.fact_id()));
            let unknown = unread || matches!(event.body, Body::Unknown { .. });
            event.log == at.log && event.seq == at.seq && !unknown
        });
        if !has_effect {
            expected.insert(name(at), None);
        }
    }
    let listed: Vec<String> = storage.quarantined.keys().map(name).collect();
    let mut listed = listed;
    listed.sort();
    assert_eq!(listed, expected.keys().cloned().collect::<Vec<_>>(), "what has no effect is listed");
    for (at, reason) in &storage.quarantined {
        assert!(expected[&name(at)].as_ref().is_none_or(|expected| expected == reason), "{reason}");
    }
}

/// Every log is held as a prefix with its chain.
fn check_logs(central: &mut Central) {
    let heads = central.heads();
    assert_eq!(heads, central.ledger.storage_mut().heads);
    let mut held: BTreeMap<_, (u64, ChainHash)> = BTreeMap::new();
    for (at, (bytes, hash)) in &central.ledger.storage_mut().events {
        let (to, chain) = held.entry(at.log.clone()).or_insert_with(|| (0, ChainHash::genesis(&at.log)));
        *to += 1;
        *chain = chain.extend(bytes);
        assert_eq!((at.seq, *hash), (*to, *chain));
    }
    let held: BTreeMap<_, _> = held.into_iter().map(|(log, (to, hash))| (log, Head { to, hash })).collect();
    assert_eq!(heads, held);
}
