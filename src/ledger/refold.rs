//! The general way: fold again everything that hangs together with a fact.
//!
//! Two facts hang together if they share a [`Link`]: a plate, a stay id or a request. [`resolve`] of all facts is the union of
//! `resolve` of the groups that hang together, so folding one group again, with the new facts in it, gives the same
//! history as folding everything: that is the invariant, and `tests/ledger_properties.rs` holds it against `resolve`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::domain::event::Event;
use crate::domain::ids::FactId;
use crate::domain::plate::PlateId;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::{Fact, Link, Resolution, links, resolve};

use super::apply::place;
use super::state::{OpenStay, TotalChange};
use super::storage::{EventRef, LooseFact, Storage, StoredStay};
use super::transaction::Transaction;

/// The key loose facts are found by under a link, if the link has one. Requests are found without.
#[must_use]
pub fn loose_key(link: &Link) -> Option<String> {
    match link {
        Link::Stay(stay_id) => Some(format!("s:{stay_id}")),
        Link::Plate(plate) => Some(format!("p:{plate}")),
        Link::Fact(id) => Some(format!("f:{id}")),
        Link::Request { .. } => None,
    }
}

/// The keys a loose fact is found by. Nobody looks for it by its own id.
fn keys_of(fact: &Fact) -> Vec<String> {
    let own = Link::Fact(fact.id.clone());
    links(fact).iter().filter(|link| **link != own).filter_map(loose_key).collect()
}

/// Whether everything the fact concerns leads to the row that names it.
fn is_found_by(row: &StayRow, fact: &Fact) -> bool {
    links(fact).iter().all(|link| match link {
        Link::Stay(stay_id) => *stay_id == row.stay_id,
        Link::Plate(plate) => *plate == row.plate_id,
        Link::Request { .. } | Link::Fact(_) => true,
    })
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
    pub(super) fn refold_pending(&mut self) -> Result<(), S::Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let new = std::mem::take(&mut self.pending);
        let component = self.component_of(&new)?;
        let mut facts: Vec<Fact> = component.facts.values().cloned().collect();
        let before = resolve(&facts);
        debug_assert!(
            before.rows.iter().all(|row| component.rows.get(&row.stay_id).is_some_and(|stored| stored.row == *row))
                && before.rows.len() == component.rows.len(),
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
        self.write_quarantine(&facts, &before, &after)
    }

    /// The held facts reached from the new ones by links, and their rows. The new ones are not among them.
    fn component_of(&mut self, new: &[Fact]) -> Result<Component, S::Error> {
        let new_ids: HashSet<&FactId> = new.iter().map(|fact| &fact.id).collect();
        let mut component = Component::default();
        let mut seen = HashSet::new();
        let mut to_follow: Vec<Link> = new.iter().flat_map(links).collect();
        while let Some(link) = to_follow.pop() {
            if !seen.insert(link.clone()) {
                continue;
            }
            let mut found = Vec::new();
            for stored in self.rows_of(&link)? {
                if component.rows.contains_key(&stored.row.stay_id) {
                    continue;
                }
                to_follow.push(Link::Plate(stored.row.plate_id.clone()));
                for id in slots(&stored.row).filter(|id| !component.facts.contains_key(id)) {
                    found.extend(self.fact_of(id)?);
                }
                component.rows.insert(stored.row.stay_id.clone(), stored);
            }
            for fact in self.loose_under(&link)?.into_iter().filter(|fact| !new_ids.contains(&fact.id)) {
                component.loose.insert(fact.id.clone());
                found.push(fact);
            }
            match &link {
                Link::Request { edge_id, request_id } => {
                    let places = self.read()?.events_of_request(edge_id, request_id)?;
                    found.extend(self.facts_at(&places)?);
                }
                // A void names it. It may be of no stay, or stored and not yet applied (when events are replayed), so that it is
                // not taken from here: if it was applied, what it concerns leads to it.
                Link::Fact(id) if !component.facts.contains_key(id) && !new_ids.contains(id) => {
                    to_follow.extend(self.fact_of(id)?.iter().flat_map(links));
                }
                _ => {}
            }
            for fact in found.into_iter().filter(|fact| !new_ids.contains(&fact.id)) {
                if !component.facts.contains_key(&fact.id) {
                    to_follow.extend(links(&fact));
                    component.facts.insert(fact.id.clone(), fact);
                }
            }
        }
        Ok(component)
    }

    fn rows_of(&mut self, link: &Link) -> Result<Vec<StoredStay>, S::Error> {
        match link {
            Link::Stay(stay_id) => Ok(self.read()?.stay(stay_id)?.into_iter().collect()),
            Link::Plate(plate) => self.read()?.stays_of_plate(plate),
            Link::Request { .. } | Link::Fact(_) => Ok(Vec::new()),
        }
    }

    /// The loose facts under a link.
    pub(super) fn loose_under(&mut self, link: &Link) -> Result<Vec<Fact>, S::Error> {
        let (Some(key), true) = (loose_key(link), self.staged.loose_facts > 0) else { return Ok(Vec::new()) };
        let places = self.read()?.loose_facts(&key)?;
        self.facts_at(&places)
    }

    pub(super) fn facts_at(&mut self, places: &[EventRef]) -> Result<Vec<Fact>, S::Error> {
        let mut facts = Vec::with_capacity(places.len());
        for at in places {
            facts.extend(self.fact_at(at)?);
        }
        Ok(facts)
    }

    /// The fact that lies at a place; `None` if there is none, or if it cannot be read.
    pub(super) fn fact_at(&mut self, at: &EventRef) -> Result<Option<Fact>, S::Error> {
        let event = self.read()?.event(at)?.and_then(|bytes| Event::parse(&bytes).ok());
        Ok(event.map(|event| Fact { id: event.fact_id(), event: event.into() }))
    }

    fn fact_of(&mut self, id: &FactId) -> Result<Option<Fact>, S::Error> {
        match place_of(id) {
            Some(at) => self.fact_at(&at),
            None => Ok(None),
        }
    }

    fn write_rows(&mut self, component: &Component, before: &Resolution, after: &Resolution) -> Result<(), S::Error> {
        let kept: HashSet<&str> = after.rows.iter().map(|row| row.stay_id.as_str()).collect();
        for stored in component.rows.values().filter(|stored| !kept.contains(stored.row.stay_id.as_str())) {
            self.write()?.delete_stay(stored.row_id)?;
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

    /// Keeps the index of facts that cannot be found through a row.
    fn write_loose_facts(
        &mut self,
        component: &Component,
        facts: &[Fact],
        before: &Resolution,
        after: &Resolution,
    ) -> Result<(), S::Error> {
        let row_of: HashMap<&FactId, &StayRow> =
            after.rows.iter().flat_map(|row| slots(row).map(move |id| (id, row))).collect();
        for fact in facts {
            let loose = !row_of.get(&fact.id).is_some_and(|row| is_found_by(row, fact));
            let was_loose = component.loose.contains(&fact.id);
            let waiting = after.waiting.contains(&fact.id);
            let at = place(&fact.event);
            if loose && (!was_loose || waiting != before.waiting.contains(&fact.id)) {
                let entry = LooseFact { at, keys: keys_of(fact), waiting };
                self.write()?.put_loose_fact(&entry)?;
            } else if !loose && was_loose {
                self.write()?.remove_loose_fact(&at)?;
            }
            match (was_loose, loose) {
                (false, true) => self.staged.loose_facts += 1,
                (true, false) => self.staged.loose_facts = self.staged.loose_facts.saturating_sub(1),
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps the list of facts that were skipped, and why.
    fn write_quarantine(&mut self, facts: &[Fact], before: &Resolution, after: &Resolution) -> Result<(), S::Error> {
        let reason_in = |resolution: &Resolution, id: &FactId| {
            resolution.quarantined.iter().find(|(skipped, _)| skipped == id).map(|(_, reason)| reason.clone())
        };
        if before.quarantined == after.quarantined {
            return Ok(());
        }
        for fact in facts {
            let at = place(&fact.event);
            match (reason_in(before, &fact.id), reason_in(after, &fact.id)) {
                (old, Some(new)) if old.as_ref() != Some(&new) => self.write()?.quarantine(&at, &new)?,
                (Some(_), None) => self.write()?.release(&at)?,
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
