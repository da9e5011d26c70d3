//! Stage 1: which fact begins a stay, under which id, and which stay a name means.
//!
//! A *claim* is a fact that begins a row of its own unless the fold finds that its car was inside already (an entry) or was
//! known (an exit that names no stay). Claims have unique stay ids; a name is a claim's id or an alias of it.

use std::borrow::Cow;

use super::super::anomaly::Anomaly;
use super::super::event::Body;
use super::super::ids::FactId;
use super::super::plate::PlateId;
use super::super::row::StayRow;
use super::fact::Fact;
use super::repeats::Repeats;
use super::row_steps::{UNIQUE_HEX_DIGITS, UNIQUE_MARK, unique_stay_id};
use crate::domain::hash::{HashMap, HashSet};

/// Why an exit that names no stay has no row: it is only possible in an event that is not ours.
pub(super) const NO_PLATE: &str = "it names neither a stay nor a plate";

/// A fact that begins a row.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// Its place in [`Claims`].
    pub(super) index: usize,
    pub(super) fact: &'a Fact,
    pub(super) stay_id: String,
    /// An exit that names a stay nobody knows, told with the plate it let out: see [`Claims::add_exits_by_plate`].
    pub(super) by_plate: bool,
    /// A void removed the fact.
    pub(super) void: bool,
    /// The effective plate; `None`: none is stated.
    pub(super) plate: Option<PlateId>,
    /// Of an exit whose entry is void: that entry, whose plate is its own if it states none.
    pub(super) void_entry: Option<usize>,
    /// Corrections that name it, in order.
    corrections: Vec<&'a Fact>,
    /// Voids that name it.
    pub(super) voids: Vec<&'a Fact>,
}

impl Claim<'_> {
    /// The row it begins, as corrected.
    ///
    /// # Errors
    /// Why it cannot begin one.
    pub(super) fn row(&self) -> Result<StayRow, String> {
        let plate = self.plate.as_ref().ok_or(NO_PLATE)?;
        let begun = match &self.fact.event.body {
            Body::Entry(_) => StayRow::opened(self.fact),
            _ => StayRow::exited_without_entry(self.fact, Some(plate)),
        };
        let mut row = begun.ok_or("it begins no stay")?;
        row.stay_id.clone_from(&self.stay_id);
        row.plate_id = plate.clone();
        for fact in &self.corrections {
            if let Body::Correction(correction) = &fact.event.body {
                row.plate_view = correction.plate_view.clone().unwrap_or(row.plate_view);
                row.camera_type = correction.camera_type.clone().unwrap_or(row.camera_type);
            }
        }
        for fact in self.corrections.iter().chain(&self.voids) {
            row.touch(&fact.event);
        }
        Ok(row)
    }

    fn has_corrected_type(&self) -> bool {
        let is_typed = |fact: &&Fact| matches!(&fact.event.body, Body::Correction(said) if said.camera_type.is_some());
        self.corrections.iter().any(is_typed)
    }

    fn corrected_plate(&self) -> Option<&PlateId> {
        self.corrections.iter().rev().find_map(|fact| fact.event.recorded_plate())
    }
}

/// All claims and all names.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    claims: Vec<Claim<'a>>,
    by_fact: HashMap<&'a FactId, usize>,
    names: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Claims<'a> {
    /// Entries, and exits that name no stay; then the ids of their repeats, as aliases. `facts` are in order.
    pub(super) fn of(facts: &[&'a Fact], repeats: &Repeats<'a>) -> Self {
        let mut claims = Self::default();
        let claimants = || {
            let entries = facts.iter().filter(|fact| matches!(fact.event.body, Body::Entry(_)));
            let exits = facts.iter().filter(|fact| is_exit_of_no_stay(fact));
            let all = entries.chain(exits).filter_map(|fact| Some((fact.event.event_id.as_deref()?, *fact)));
            all.filter(|(_, fact)| !repeats.contains(&fact.id))
        };
        // The lowest entry keeps the id; an exit keeps one that no entry has.
        for (id, fact) in claimants() {
            if !id.contains(UNIQUE_MARK) && !claims.names.contains_key(id) {
                let index = claims.push(fact, id.to_owned());
                claims.names.insert(Cow::Borrowed(id), index);
            }
        }
        for (id, fact) in claimants() {
            if !claims.by_fact.contains_key(&fact.id) {
                claims.push_unique(fact, id);
            }
        }
        for (id, fact) in claimants() {
            if let Some(&index) = claims.by_fact.get(&fact.id) {
                claims.names.entry(Cow::Borrowed(id)).or_insert(index);
            }
        }
        claims.add_aliases(facts, repeats);
        claims
    }

    /// The id of a repeat means the stay of its first, unless it is itself a stay's id.
    fn add_aliases(&mut self, facts: &[&'a Fact], repeats: &Repeats<'a>) {
        let begin = facts.iter().filter(|fact| matches!(fact.event.body, Body::Entry(_)) || is_exit_of_no_stay(fact));
        let repeated = begin.filter_map(|fact| Some((fact.event.event_id.as_deref()?, repeats.first_of(&fact.id)?)));
        // Entries first: the first of a repeated exit may name an entry by the id of a repeat.
        let (of_claims, of_exits): (Vec<_>, Vec<_>) =
            repeated.partition(|(_, first)| self.by_fact.contains_key(&first.id));
        for (id, first) in of_claims {
            if let Some(&index) = self.by_fact.get(&first.id) {
                self.names.entry(Cow::Borrowed(id)).or_insert(index);
            }
        }
        let known: Vec<_> = of_exits
            .into_iter()
            .filter_map(|(id, first)| Some((id, self.named(first.event.exit_stay()?)?.index)))
            .collect();
        for (id, index) in known {
            self.names.entry(Cow::Borrowed(id)).or_insert(index);
        }
    }

    /// Makes claims of what predecessors said of exits by plate: each means the stay of its plate that is open at its place, and
    /// is a row of its own where none is. The id of one that repeats another exit is an alias of what that one means.
    pub(super) fn add_exits_by_plate(&mut self, exits: &[&'a Fact], repeats: &Repeats<'a>) {
        for &fact in exits.iter().filter(|fact| !repeats.contains(&fact.id)) {
            let Some(id) = fact.event.event_id.as_deref() else { continue };
            let index = if id.contains(UNIQUE_MARK) || self.names.contains_key(id) {
                self.push_unique(fact, id)
            } else {
                let index = self.push(fact, id.to_owned());
                self.names.insert(Cow::Borrowed(id), index);
                index
            };
            if let Some(claim) = self.claims.get_mut(index) {
                claim.by_plate = true;
            }
        }
        for &fact in exits {
            let Some((id, first)) = fact.event.event_id.as_deref().zip(repeats.first_of(&fact.id)) else { continue };
            let made = self.by_fact.get(&first.id).copied();
            let named = || first.event.exit_stay().and_then(|stay| self.names.get(stay)).copied();
            if let Some(index) = made.or_else(named) {
                self.names.entry(Cow::Borrowed(id)).or_insert(index);
            }
        }
    }

    /// Notes which claims are void, and makes a claim of every exit whose entry is: it acts as one that names no stay.
    pub(super) fn set_void(&mut self, facts: &[&'a Fact], repeats: &Repeats<'a>, void: &HashSet<&'a FactId>) {
        for claim in &mut self.claims {
            claim.void = void.contains(&claim.fact.id);
        }
        let mut exits: Vec<(&'a str, &'a Fact)> =
            facts.iter().filter_map(|fact| Some((fact.event.exit_stay()?, *fact))).collect();
        exits.retain(|(_, fact)| !repeats.contains(&fact.id) && !self.by_fact.contains_key(&fact.id));
        // An exit can name the row of another exit whose entry is void, so go on while ids appear.
        loop {
            let before = self.claims.len();
            exits.retain(|(stay, fact)| {
                let Some((entry, entry_void)) = self.named(stay).map(|claim| (claim.index, claim.void)) else {
                    return true;
                };
                if entry_void {
                    let index = self.push_unique(fact, stay);
                    if let Some(claim) = self.claims.get_mut(index) {
                        claim.void = void.contains(&fact.id);
                        claim.void_entry = Some(entry);
                    }
                }
                false
            });
            if self.claims.len() == before {
                return;
            }
        }
    }

    /// Hangs corrections and voids on the claims they name, and settles the effective plates. `facts` are in order.
    pub(super) fn set_corrections(&mut self, facts: &[&'a Fact]) {
        for &fact in facts {
            let is_correction = matches!(fact.event.body, Body::Correction(_));
            if !is_correction && !matches!(fact.event.body, Body::Void(_)) {
                continue;
            }
            let index = fact.event.event_id.as_deref().and_then(|id| self.named(id)).map(|claim| claim.index);
            let Some(claim) = index.and_then(|index| self.claims.get_mut(index)) else { continue };
            if is_correction { claim.corrections.push(fact) } else { claim.voids.push(fact) }
        }
        for index in 0..self.claims.len() {
            // An exit's void entry comes before it in the list, so its plate is settled.
            let Some(claim) = self.claims.get(index) else { continue };
            let stated = claim.corrected_plate().or_else(|| claim.fact.event.recorded_plate());
            let void_entry =
                || claim.void_entry.and_then(|entry| self.claims.get(entry)).and_then(|c| c.plate.as_ref());
            let plate = stated.or_else(void_entry).cloned();
            if let Some(claim) = self.claims.get_mut(index) {
                claim.plate = plate;
            }
        }
    }

    /// The claim a stay id means.
    pub(super) fn named(&self, stay_id: &str) -> Option<&Claim<'a>> {
        self.claims.get(*self.names.get(stay_id)?)
    }

    /// The claim a fact makes.
    pub(super) fn made_by(&self, fact: &FactId) -> Option<&Claim<'a>> {
        self.claims.get(*self.by_fact.get(fact)?)
    }

    /// Whoever corrected a type has looked at the vehicle: that another was told of it is no question any more, nor of the entries that
    /// went up in its stay.
    pub(super) fn settle_types(&self, rows: &mut HashMap<usize, StayRow>) {
        let settled = |index: &usize| self.claims.get(*index).is_some_and(Claim::has_corrected_type);
        let settled: HashSet<String> =
            rows.iter().filter(|(index, _)| settled(index)).map(|(_, row)| row.stay_id.clone()).collect();
        if settled.is_empty() {
            return;
        }
        for row in rows.values_mut() {
            if settled.contains(row.superseded_by.as_ref().unwrap_or(&row.stay_id)) {
                row.anomalies.remove(&Anomaly::OtherType);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Claim<'a>> {
        self.claims.iter()
    }

    /// With `~` and enough hex digits after `base` that no claim has the id.
    fn push_unique(&mut self, fact: &'a Fact, base: &str) -> usize {
        let lengths = (UNIQUE_HEX_DIGITS..=64).step_by(UNIQUE_HEX_DIGITS);
        let mut ids = lengths.map(|length| unique_stay_id(base, &fact.id, length));
        let free = ids.find(|id| !self.names.contains_key(id.as_str()));
        // Facts with equal SHA-256 are the same fact, so one is free.
        let id = free.unwrap_or_else(|| unique_stay_id(base, &fact.id, 64));
        let index = self.push(fact, id.clone());
        self.names.insert(Cow::Owned(id), index);
        index
    }

    fn push(&mut self, fact: &'a Fact, stay_id: String) -> usize {
        let index = self.claims.len();
        self.claims.push(Claim {
            index,
            fact,
            stay_id,
            by_plate: false,
            void: false,
            plate: None,
            void_entry: None,
            corrections: Vec::new(),
            voids: Vec::new(),
        });
        self.by_fact.insert(&fact.id, index);
        index
    }
}

fn is_exit_of_no_stay(fact: &Fact) -> bool {
    matches!(fact.event.body, Body::Exit(_)) && fact.event.exit_stay().is_none()
}
