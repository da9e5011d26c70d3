//! The general way: fold a fact in with everything it hangs together with.
//!
//! [`resolve`](crate::domain::stay::resolve) of all facts is the union of the folds of what hangs together and of the rest, so
//! folding one [`Component`] with and without the new facts, and writing the difference, gives the same history as folding
//! everything: that is the invariant, and `tests/ledger_properties.rs` holds it against `resolve`.

use std::collections::BTreeSet;

use crate::domain::event::Body;
use crate::domain::hash::{HashMap, HashSet};
use crate::domain::ids::FactId;
use crate::domain::plate::PlateId;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::{Fact, Folded, Link, Resolution, Stray, links};

use super::apply::place;
use super::component::{self, Component, loose_key, skipped_key, slots, stray_key};
use super::open_stay::OpenStay;
use super::storage::{EventRef, LooseFact, Storage};
use super::transaction::Transaction;

/// The keys a loose fact is found by. Nobody looks for it by its own id. An exit that tells the passage of another one, `first`, is
/// found by that one.
fn keys_of(fact: &Fact, skipped: bool, stray: Option<&Stray>, first: Option<&FactId>) -> Vec<String> {
    let own = Link::Fact(fact.id.clone());
    let mut keys: Vec<String> = links(fact).iter().filter(|link| **link != own).filter_map(loose_key).collect();
    keys.extend(first.cloned().map(Link::Fact).as_ref().and_then(loose_key));
    if skipped {
        keys.extend(fact.event.recorded_plate().map(skipped_key));
    }
    keys.extend(stray.map(|stray| stray_key(&stray.plate)));
    keys
}

/// Whether everything the fact concerns leads to the row that names it.
fn is_found_by(row: &StayRow, fact: &Fact) -> bool {
    links(fact).iter().all(|link| match link {
        Link::Stay(stay_id) => *stay_id == row.stay_id,
        Link::Plate(plate) => *plate == row.plate_id,
        // What was heard of an exit by plate is looked for by when it was.
        Link::Exit { .. } => {
            !fact.is_heard() || (!row.is_exit_alone() && fact.event.exit_stay() == Some(row.stay_id.as_str()))
        }
        Link::Fact(id) => *id == fact.id,
        Link::Request(_) => true,
    })
}

/// The held facts and the new ones, each once: of copies of what a predecessor said the lowest. Also those held that a lower
/// copy takes the place of.
fn with_copies(component: &Component, new: &[Fact]) -> (Vec<Fact>, HashMap<FactId, EventRef>) {
    let mut facts = component.facts.clone();
    let mut replaced = HashMap::default();
    for fact in new {
        match facts.get(&fact.id) {
            Some(known) if known.copy_order() <= fact.copy_order() => continue,
            Some(_) if !component.facts.contains_key(&fact.id) => {}
            Some(_) => {
                let held = component.facts.get(&fact.id);
                replaced.extend(held.map(|held| (fact.id.clone(), place(&held.event))));
            }
            None => {}
        }
        facts.insert(fact.id.clone(), fact.clone());
    }
    (facts.into_values().collect(), replaced)
}

impl<S: Storage> Transaction<'_, S> {
    /// Folds facts in that are appended and not yet applied, with everything they hang together with.
    pub(super) fn fold_in(&mut self, new: &[Fact]) -> Result<(), S::Error> {
        let without = self.not_held(new)?;
        let with = |component: &Component| with_copies(component, new).0;
        let (component, before, after) = Component::of_new(self.read()?, new, without, with)?;
        self.folded += component.facts.len() + new.len();
        debug_assert!(
            before.resolution.rows.len() == component.rows.len()
                && before
                    .resolution
                    .rows
                    .iter()
                    .all(|row| { component.rows.get(&row.stay_id).is_some_and(|stored| stored.row == *row) }),
            "the stored rows are what their facts give: {:?} {:?}",
            before.resolution.rows,
            component.rows,
        );
        let (facts, replaced) = with_copies(&component, new);
        for fact in new {
            self.note_applied(fact)?;
        }
        let mut loose = component.loose.clone();
        for (id, at) in &replaced {
            if loose.remove(id) {
                self.write()?.remove_loose_fact(at)?;
                self.staged.loose_facts = self.staged.loose_facts.saturating_sub(1);
            }
            self.write()?.release(at)?;
        }
        self.write_rows(&component, &before.resolution, &after.resolution)?;
        self.write_loose_facts(&loose, &facts, &before, &after)?;
        let (before, after) = (before.resolution, after.resolution);
        self.change_sums(&before, -1);
        self.change_sums(&after, 1);
        self.forget_clocks(facts.iter().filter_map(|fact| fact.event.recorded_plate()));
        self.forget_clocks(before.rows.iter().chain(&after.rows).map(|row| &row.plate_id));
        let moved = replaced.into_keys().collect();
        self.write_quarantine(&facts, &moved, &before, &after)
    }

    /// What finds a fact from now on by its request, or by what a predecessor said.
    pub(super) fn note_applied(&mut self, fact: &Fact) -> Result<(), S::Error> {
        let event = &*fact.event;
        if let FactId::Heard(digest) = &fact.id {
            self.write()?.put_heard(digest, &place(event))?;
        }
        if !event.money().is_empty() {
            self.write()?.put_money_changes(&place(event), event)?;
        }
        if let Some((edge_id, request_id)) = event.request() {
            self.write()?.put_request(edge_id, request_id, &place(event), event.hlc)?;
            self.settle_opening(request_id)?;
        }
        Ok(())
    }

    /// The new facts that count as not held. Of one that was heard before, what is held is the copy that counted until now.
    fn not_held(&mut self, new: &[Fact]) -> Result<HashSet<FactId>, S::Error> {
        let mut without = HashSet::default();
        for fact in new {
            let is_held = fact.is_heard() && component::fact_of(self.read()?, &fact.id)?.is_some();
            if !is_held {
                without.insert(fact.id.clone());
            }
        }
        Ok(without)
    }

    /// The greatest clocks of these plates are looked up from now on.
    fn forget_clocks<'p>(&mut self, plates: impl Iterator<Item = &'p PlateId>) {
        for plate in plates.collect::<BTreeSet<_>>() {
            if let Some(open) = self.inside(plate).filter(|open| open.plate_hlc.is_some()) {
                let mut open = open.clone();
                open.plate_hlc = None;
                self.set_inside(plate, Some(open));
            }
        }
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
        for row in before.rows.iter().filter(|row| row.status == StayStatus::In) {
            self.set_inside(&row.plate_id, None);
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
        were_loose: &BTreeSet<FactId>,
        facts: &[Fact],
        before: &Folded,
        after: &Folded,
    ) -> Result<(), S::Error> {
        let is_skipped =
            |in_: &Folded, fact: &Fact| in_.resolution.quarantined.iter().any(|(skipped, _)| *skipped == fact.id);
        let stray_in = |in_: &'_ Folded, fact: &Fact| in_.strays.iter().find(|stray| stray.exit == fact.id).cloned();
        let first_in = |in_: &'_ Folded, fact: &Fact| {
            let is_exit = matches!(fact.event.body, Body::Exit(_));
            let mut repeats = in_.resolution.repeats.iter().filter(|(repeat, _)| is_exit && *repeat == fact.id);
            repeats.next().map(|(_, first)| first.clone())
        };
        let row_of: HashMap<&FactId, &StayRow> =
            after.resolution.rows.iter().flat_map(|row| slots(row).map(move |id| (id, row))).collect();
        for fact in facts {
            let (skipped, stray) = (is_skipped(after, fact), stray_in(after, fact));
            let is_found = row_of.get(&fact.id).is_some_and(|row| is_found_by(row, fact));
            let loose = !is_found || stray.is_some();
            let was_loose = were_loose.contains(&fact.id);
            let waiting = after.resolution.waiting.contains(&fact.id);
            let first = first_in(after, fact);
            let is_other = || {
                let waited = before.resolution.waiting.contains(&fact.id);
                let was_skipped = is_skipped(before, fact);
                waiting != waited
                    || skipped != was_skipped
                    || stray != stray_in(before, fact)
                    || first != first_in(before, fact)
            };
            let at = place(&fact.event);
            if loose && (!was_loose || is_other()) {
                let hlc = stray.as_ref().map_or(fact.event.hlc, |stray| stray.at);
                let keys = keys_of(fact, skipped, stray.as_ref(), first.as_ref());
                let entry = LooseFact { at, hlc, keys, waiting };
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
                (Some(_), None) => {
                    self.write()?.release(&at)?;
                }
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
                self.count_entry(row, sign);
            }
        }
        let ended = resolution.rows.iter().filter_map(|row| Some((&row.exit.as_ref()?.fact, row.camera_type.as_str())));
        let types: HashMap<&FactId, &str> = ended.collect();
        for taking in &resolution.takings {
            self.count_taking(taking.clone(), types.get(&taking.fact).copied(), sign);
        }
    }
}
