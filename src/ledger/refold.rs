//! The general way: fold again everything that hangs together with a fact.
//!
//! Two facts hang together if they share a [`Link`]: a plate, a stay id or a request. [`resolve`] of all facts is the union of
//! `resolve` of the groups that hang together, so folding one group again, with the new facts in it, gives the same
//! history as folding everything: that is the invariant, and `tests/ledger_properties.rs` holds it against `resolve`.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::domain::ids::FactId;
use crate::domain::plate::PlateId;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::{Fact, Link, Resolution, links, resolve};

use super::apply::place;
use super::component::{self, Component, loose_key, slots};
use super::open_stay::OpenStay;
use super::state::TotalChange;
use super::storage::{EventRef, LooseFact, Storage};
use super::transaction::Transaction;

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

impl<S: Storage> Transaction<'_, S> {
    /// Folds the pending facts in, with everything they hang together with.
    pub(super) fn refold_pending(&mut self) -> Result<(), S::Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let new = std::mem::take(&mut self.pending);
        let mut component = self.component_of(&new)?;
        let facts: Vec<Fact> = component.facts.values().cloned().collect();
        let before = resolve(&facts);
        debug_assert!(
            before.rows.iter().all(|row| component.rows.get(&row.stay_id).is_some_and(|stored| stored.row == *row))
                && before.rows.len() == component.rows.len(),
            "the stored rows are what their facts give: {:?} {:?}",
            before.rows,
            component.rows,
        );
        let (facts, moved) = self.with_copies(&mut component, new)?;
        let after = resolve(&facts);

        self.write_rows(&component, &before, &after)?;
        self.write_loose_facts(&component, &facts, &before, &after)?;
        self.change_sums(&before, -1);
        self.change_sums(&after, 1);
        self.write_quarantine(&facts, &moved, &before, &after)
    }

    /// The held facts reached from the new ones by links, and their rows. The new ones are not among them.
    fn component_of(&mut self, new: &[Fact]) -> Result<Component, S::Error> {
        let mut without = HashSet::new();
        for fact in new {
            // Of a fact that was heard before what is held is the copy that counted until now.
            let is_held = fact.is_heard() && component::fact_of(self.read()?, &fact.id)?.is_some();
            if !is_held {
                without.insert(fact.id.clone());
            }
        }
        let from = new.iter().flat_map(links).collect();
        Component::gather(self.read()?, from, &without)
    }

    /// The held facts and the new ones, each once: of copies of what a predecessor said the lowest. What a lower copy
    /// replaces is taken off the lists by its place; also returns what has moved like this.
    fn with_copies(
        &mut self,
        component: &mut Component,
        new: Vec<Fact>,
    ) -> Result<(Vec<Fact>, HashSet<FactId>), S::Error> {
        let mut facts = component.facts.clone();
        let mut moved = HashSet::new();
        for fact in new {
            if let FactId::Heard(digest) = &fact.id {
                let at = place(&fact.event);
                self.write()?.put_heard(digest, &at)?;
            }
            match facts.get(&fact.id) {
                Some(held) if held.copy_order() <= fact.copy_order() => {}
                Some(held) => {
                    let replaced = place(&held.event);
                    if component.loose.remove(&fact.id) {
                        self.write()?.remove_loose_fact(&replaced)?;
                        self.staged.loose_facts = self.staged.loose_facts.saturating_sub(1);
                    }
                    self.write()?.release(&replaced)?;
                    moved.insert(fact.id.clone());
                    facts.insert(fact.id.clone(), fact);
                }
                None => {
                    facts.insert(fact.id.clone(), fact);
                }
            }
        }
        Ok((facts.into_values().collect(), moved))
    }

    /// The loose facts under a link.
    pub(super) fn loose_under(&mut self, link: &Link) -> Result<Vec<Fact>, S::Error> {
        if self.staged.loose_facts == 0 { Ok(Vec::new()) } else { component::loose_under(self.read()?, link) }
    }

    pub(super) fn facts_at(&mut self, places: &[EventRef]) -> Result<Vec<Fact>, S::Error> {
        component::facts_at(self.read()?, places)
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
                let open = OpenStay::of_row(row_id, row, committed_ms, None, self.places);
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

    /// Keeps the list of facts that were skipped, and why. Those that `moved` are on it no more.
    fn write_quarantine(
        &mut self,
        facts: &[Fact],
        moved: &HashSet<FactId>,
        before: &Resolution,
        after: &Resolution,
    ) -> Result<(), S::Error> {
        let reason_in = |resolution: &Resolution, id: &FactId| {
            resolution.quarantined.iter().find(|(skipped, _)| skipped == id).map(|(_, reason)| reason.clone())
        };
        if moved.is_empty() && before.quarantined == after.quarantined {
            return Ok(());
        }
        for fact in facts {
            let at = place(&fact.event);
            let listed = if moved.contains(&fact.id) { None } else { reason_in(before, &fact.id) };
            match (listed, reason_in(after, &fact.id)) {
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
