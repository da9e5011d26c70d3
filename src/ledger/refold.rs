//! The general way: fold again everything that hangs together with a fact.
//!
//! Two facts hang together if they share a [`Link`]: a plate, a stay id or a request. [`resolve`] of all facts is the union of
//! `resolve` of the groups that hang together, so folding one group again, with the new facts in it, gives the same
//! history as folding everything: that is the invariant, and `tests/ledger_properties.rs` holds it against `resolve`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::domain::event::Event;
use crate::domain::ids::FactId;
use crate::domain::plate::PlateId;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::{Fact, Link, Resolution, links, resolve};

use super::apply::place;
use super::state::{OpenStay, TotalChange};
use super::storage::{EventRef, LooseFact, Storage, StoredStay};
use super::transaction::{Stop, Transaction};

/// Facts that wait for the refold at the end of their job, and what they concern.
#[derive(Debug, Default)]
pub struct Pending {
    facts: Vec<Fact>,
    links: HashSet<Link>,
}

impl Pending {
    pub fn add(&mut self, fact: Fact) {
        self.links.extend(links(&fact));
        self.facts.push(fact);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    #[must_use]
    pub fn concerns(&self, link: &Link) -> bool {
        self.links.contains(link)
    }
}

/// The key loose facts are found by under a link, if the link has one. Requests and facts are found without.
#[must_use]
pub fn loose_key(link: &Link) -> Option<String> {
    match link {
        Link::Stay(stay_id) => Some(format!("s:{stay_id}")),
        Link::Plate(plate) => Some(format!("p:{plate}")),
        Link::Request { .. } | Link::Fact(_) => None,
    }
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

    /// The held facts reached from the new ones by links, and their rows. The new ones are not among them.
    fn component_of(&mut self, new: &[Fact]) -> Result<Component, Stop<S::Error>> {
        let new_ids: HashSet<&FactId> = new.iter().map(|fact| &fact.id).collect();
        let mut component = Component::default();
        let mut seen = HashSet::new();
        let mut to_follow: Vec<Link> = new.iter().flat_map(links).collect();
        while let Some(link) = to_follow.pop() {
            if !seen.insert(link.clone()) {
                continue;
            }
            for stored in self.rows_of(&link)? {
                if component.rows.contains_key(&stored.row.stay_id) {
                    continue;
                }
                to_follow.push(Link::Plate(stored.row.plate_id.clone()));
                to_follow.extend(slots(&stored.row).cloned().map(Link::Fact));
                component.rows.insert(stored.row.stay_id.clone(), stored);
            }
            let loose = self.loose_under(&link)?;
            let others = self.facts_of(&link)?;
            let found = loose.into_iter().map(|fact| (fact, true)).chain(others.into_iter().map(|fact| (fact, false)));
            for (fact, is_loose) in found.filter(|(fact, _)| !new_ids.contains(&fact.id)) {
                if is_loose {
                    component.loose.insert(fact.id.clone());
                }
                if !component.facts.contains_key(&fact.id) {
                    to_follow.extend(links(&fact));
                    component.facts.insert(fact.id.clone(), fact);
                }
            }
        }
        Ok(component)
    }

    fn rows_of(&mut self, link: &Link) -> Result<Vec<StoredStay>, Stop<S::Error>> {
        match link {
            Link::Stay(stay_id) => Ok(self.read()?.stay(stay_id).map_err(Stop::Storage)?.into_iter().collect()),
            Link::Plate(plate) => self.read()?.stays_of_plate(plate).map_err(Stop::Storage),
            Link::Request { .. } | Link::Fact(_) => Ok(Vec::new()),
        }
    }

    /// The facts a link leads to directly.
    fn facts_of(&mut self, link: &Link) -> Result<Vec<Fact>, Stop<S::Error>> {
        let places = match link {
            Link::Request { edge_id, request_id } => {
                self.read()?.events_of_request(edge_id, request_id).map_err(Stop::Storage)?
            }
            Link::Fact(id) => place_of(id).into_iter().collect(),
            Link::Stay(_) | Link::Plate(_) => Vec::new(),
        };
        self.facts_at(&places)
    }

    /// The loose facts under a link.
    pub(super) fn loose_under(&mut self, link: &Link) -> Result<Vec<Fact>, Stop<S::Error>> {
        let (Some(key), true) = (loose_key(link), self.staged.loose_facts > 0) else { return Ok(Vec::new()) };
        let places = self.read()?.loose_facts(&key).map_err(Stop::Storage)?;
        self.facts_at(&places)
    }

    fn facts_at(&mut self, places: &[EventRef]) -> Result<Vec<Fact>, Stop<S::Error>> {
        let mut facts = Vec::with_capacity(places.len());
        for at in places {
            facts.extend(self.fact_at(at)?);
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
                let keys = links(fact).iter().filter_map(loose_key).collect();
                let entry = LooseFact { at, keys, waiting };
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
            if was_inside && !row.is_exit_alone() {
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
