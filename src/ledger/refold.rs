//! The general way: fold again everything that hangs together with a fact.
//!
//! Two facts hang together if they share a plate, a stay id or a request. [`resolve`] of all facts is the union of
//! `resolve` of the groups that hang together, so folding one group again, with the new facts in it, gives the same
//! history as folding everything: that is the invariant, and `tests/ledger_properties.rs` holds it against `resolve`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::domain::anomaly::Anomaly;
use crate::domain::event::{Body, Event};
use crate::domain::ids::FactId;
use crate::domain::plate::PlateId;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::{Fact, Resolution, resolve};

use super::apply::place;
use super::state::{OpenStay, TotalChange};
use super::storage::{EventRef, LooseFact, Storage, StoredStay};
use super::transaction::{Stop, Transaction};

/// Facts that wait for the refold at the end of their job, and what they concern.
#[derive(Debug, Default)]
pub struct Pending {
    facts: Vec<Fact>,
    keys: HashSet<String>,
}

impl Pending {
    pub fn add(&mut self, fact: Fact) {
        self.keys.extend(keys_of(&fact.event));
        self.facts.push(fact);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    #[must_use]
    pub fn concerns(&self, key: &str) -> bool {
        self.keys.contains(key)
    }
}

#[must_use]
pub fn plate_key(plate: &PlateId) -> String {
    format!("p:{plate}")
}

fn stay_key(stay_id: &str) -> String {
    format!("s:{stay_id}")
}

/// The plate and the stays a fact names.
#[must_use]
pub fn keys_of(event: &Event) -> Vec<String> {
    let replaced = match &event.body {
        Body::Entry(entry) => entry.replaces.as_deref(),
        _ => None,
    };
    let stays = [event.event_id.as_deref(), event.exit_stay(), replaced];
    let mut keys: Vec<String> = stays.into_iter().flatten().map(stay_key).collect();
    keys.extend(event.recorded_plate().map(plate_key));
    keys.dedup();
    keys
}

/// Facts and rows that hang together.
#[derive(Debug, Default)]
struct Component {
    facts: BTreeMap<FactId, Fact>,
    rows: BTreeMap<String, StoredStay>,
    loose: BTreeSet<FactId>,
}

impl<S: Storage> Transaction<'_, S> {
    /// Folds the pending facts in, with everything they hang together with.
    pub(super) fn refold_pending(&mut self) -> Result<(), Stop<S::Error>> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let new = std::mem::take(&mut self.pending).facts;
        let component = self.component_of(&new)?;
        let mut facts: Vec<Fact> = component.facts.values().cloned().collect();
        let before = resolve(&facts);
        debug_assert!(
            before.rows.iter().all(|row| component.rows.get(&row.stay_id).is_some_and(|stored| stored.row == *row)),
            "the stored rows are what their facts give: {:?} {:?}",
            before.rows,
            component.rows,
        );
        facts.extend(new);
        let after = resolve(&facts);

        self.write_rows(&component, &before, &after)?;
        self.write_loose_facts(&component, &facts, &before, &after)?;
        self.change_sums(&before, -1);
        self.change_sums(&after, 1);
        for (id, reason) in &after.quarantined {
            let known = before.quarantined.iter().any(|(before, _)| before == id);
            if let Some(fact) = facts.iter().find(|fact| fact.id == *id && !known) {
                self.write()?.quarantine(&place(&fact.event), reason).map_err(Stop::Storage)?;
            }
        }
        Ok(())
    }

    fn component_of(&mut self, new: &[Fact]) -> Result<Component, Stop<S::Error>> {
        let new_ids: HashSet<&FactId> = new.iter().map(|fact| &fact.id).collect();
        let mut component = Component::default();
        let mut seen_keys = HashSet::new();
        let mut keys: Vec<String> = Vec::new();
        let mut events: Vec<(EventRef, bool)> = Vec::new();
        for fact in new {
            keys.extend(keys_of(&fact.event));
            self.push_request(&fact.event, &mut events)?;
        }
        loop {
            while let Some((at, loose)) = events.pop() {
                let Some(fact) = self.fact_at(&at)? else { continue };
                if new_ids.contains(&fact.id) {
                    continue;
                }
                if loose {
                    component.loose.insert(fact.id.clone());
                }
                if component.facts.contains_key(&fact.id) {
                    continue;
                }
                keys.extend(keys_of(&fact.event));
                self.push_request(&fact.event, &mut events)?;
                component.facts.insert(fact.id.clone(), fact);
            }
            let Some(key) = keys.pop() else { return Ok(component) };
            if !seen_keys.insert(key.clone()) {
                continue;
            }
            events.extend(self.read()?.loose_facts(&key).map_err(Stop::Storage)?.into_iter().map(|at| (at, true)));
            for stored in self.rows_of_key(&key)? {
                if component.rows.contains_key(&stored.row.stay_id) {
                    continue;
                }
                keys.push(plate_key(&stored.row.plate_id));
                keys.push(stay_key(&stored.row.stay_id));
                events.extend(slots(&stored.row).filter_map(place_of).map(|at| (at, false)));
                component.rows.insert(stored.row.stay_id.clone(), stored);
            }
        }
    }

    fn push_request(&mut self, event: &Event, events: &mut Vec<(EventRef, bool)>) -> Result<(), Stop<S::Error>> {
        let Some((edge_id, request_id)) = event.request() else { return Ok(()) };
        let same = self.read()?.events_of_request(edge_id, request_id).map_err(Stop::Storage)?;
        // Facts already in the component come round again here; the caller drops them.
        let this = place(event);
        events.extend(same.into_iter().filter(|at| *at != this).map(|at| (at, false)));
        Ok(())
    }

    fn rows_of_key(&mut self, key: &str) -> Result<Vec<StoredStay>, Stop<S::Error>> {
        let storage = self.read()?;
        if let Some(stay_id) = key.strip_prefix("s:") {
            return Ok(storage.stay(stay_id).map_err(Stop::Storage)?.into_iter().collect());
        }
        match key.strip_prefix("p:").map(PlateId::parse) {
            Some(Ok(plate)) => storage.stays_of_plate(&plate).map_err(Stop::Storage),
            _ => Ok(Vec::new()),
        }
    }

    /// The loose facts under a key.
    pub(super) fn facts_of_key(&mut self, key: &str) -> Result<Vec<Fact>, Stop<S::Error>> {
        let places = self.read()?.loose_facts(key).map_err(Stop::Storage)?;
        let mut facts = Vec::with_capacity(places.len());
        for at in places {
            facts.extend(self.fact_at(&at)?);
        }
        Ok(facts)
    }

    /// The fact that lies at a place; `None` if it cannot be read (it is quarantined).
    pub(super) fn fact_at(&mut self, at: &EventRef) -> Result<Option<Fact>, Stop<S::Error>> {
        let bytes = self.read()?.event(at).map_err(Stop::Storage)?;
        let event = bytes.and_then(|bytes| Event::parse(&bytes).ok());
        Ok(event.map(|event| Fact { id: event.fact_id(), event: event.into() }))
    }

    fn write_rows(
        &mut self,
        component: &Component,
        before: &Resolution,
        after: &Resolution,
    ) -> Result<(), Stop<S::Error>> {
        let kept: HashSet<&str> = after.rows.iter().map(|row| row.stay_id.as_str()).collect();
        for stored in component.rows.values().filter(|stored| !kept.contains(stored.row.stay_id.as_str())) {
            self.write()?.delete_stay(stored.row_id).map_err(Stop::Storage)?;
            self.staged.digest.subtract(stored.row.hash());
        }
        let plates: BTreeSet<&PlateId> = before.rows.iter().chain(&after.rows).map(|row| &row.plate_id).collect();
        for plate in plates {
            self.set_inside(plate, None);
        }
        let now_ms = self.now.wall_ms;
        for row in &after.rows {
            let (row_id, committed_ms) = match component.rows.get(&row.stay_id) {
                Some(stored) if stored.row == *row => (stored.row_id, stored.committed_ms),
                Some(stored) => {
                    self.replace_row(stored.row_id, &stored.row, row)?;
                    (stored.row_id, stored.committed_ms)
                }
                None => (self.insert_row(row, now_ms)?, now_ms),
            };
            if row.status == StayStatus::In {
                let open = OpenStay::of_row(row_id, row, committed_ms, None, self.texts);
                self.set_inside(&row.plate_id, Some(open));
            }
        }
        Ok(())
    }

    /// Keeps the index of facts that no row of their own stay names.
    fn write_loose_facts(
        &mut self,
        component: &Component,
        facts: &[Fact],
        before: &Resolution,
        after: &Resolution,
    ) -> Result<(), Stop<S::Error>> {
        let in_slots: HashSet<(&str, &FactId)> =
            after.rows.iter().flat_map(|row| slots(row).map(|id| (row.stay_id.as_str(), id))).collect();
        for fact in facts {
            let named = fact.event.exit_stay().or(fact.event.event_id.as_deref()).unwrap_or_default();
            let loose = !in_slots.contains(&(named, &fact.id));
            let was_loose = component.loose.contains(&fact.id);
            let waiting = after.waiting.contains(&fact.id);
            let at = place(&fact.event);
            if loose && (!was_loose || waiting != before.waiting.contains(&fact.id)) {
                let entry = LooseFact { at, keys: keys_of(&fact.event), waiting };
                self.write()?.put_loose_fact(&entry).map_err(Stop::Storage)?;
            } else if !loose && was_loose {
                self.write()?.remove_loose_fact(&at).map_err(Stop::Storage)?;
            }
            match (was_loose, loose) {
                (false, true) => self.staged.loose_facts += 1,
                (true, false) => self.staged.loose_facts = self.staged.loose_facts.saturating_sub(1),
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds (`sign` 1) or takes back (-1) what a resolution counts for.
    fn change_sums(&mut self, resolution: &Resolution, sign: i64) {
        for row in &resolution.rows {
            let was_inside = matches!(row.status, StayStatus::In | StayStatus::Out | StayStatus::LeftUnseen);
            if was_inside && !row.anomalies.contains(&Anomaly::ExitWithoutEntry) {
                let change = TotalChange { entries: sign, ..Default::default() };
                self.count(row.entry_ms, &row.source_central, &row.edge_id, change);
            }
        }
        for taking in &resolution.takings {
            let change = TotalChange { exits: sign, revenue_vnd: sign * taking.fee.0, ..Default::default() };
            self.count(taking.exit_ms, &taking.central, &taking.edge_id, change);
        }
    }
}

/// The facts a row names.
fn slots(row: &StayRow) -> impl Iterator<Item = &FactId> {
    let exit = row.exit.as_ref().map(|exit| &exit.fact);
    [Some(&row.entry_fact), row.confirm_fact.as_ref(), exit].into_iter().flatten()
}

fn place_of(id: &FactId) -> Option<EventRef> {
    match id {
        FactId::Authored { log, seq } => Some(EventRef { log: log.clone(), seq: *seq }),
        FactId::Heard(_) => None,
    }
}
