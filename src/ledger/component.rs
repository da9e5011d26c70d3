//! Gathering what hangs together: the facts that can matter to each other, and their rows.
//!
//! Two facts hang together if they share a [`Link`]: a plate, a stay id or a request. What is gathered is closed under
//! links, so that resolving it alone gives the same rows as resolving everything there is.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::domain::ids::FactId;
use crate::domain::plate::PlateId;
use crate::domain::row::StayRow;
use crate::domain::stay::{Fact, Link, links};
use crate::replication::log::EventBytes;

use super::storage::{EventRef, Storage, StoredStay};

/// What is looked up on the way. Every [`Storage`] has it, and so has a reader.
pub trait Held {
    type Error;

    fn stay(&mut self, stay_id: &str) -> Result<Option<StoredStay>, Self::Error>;
    /// All rows of an effective plate, in no particular order.
    fn stays_of_plate(&mut self, plate: &PlateId) -> Result<Vec<StoredStay>, Self::Error>;
    /// The loose facts under a key, see [`loose_key`].
    fn loose_facts(&mut self, key: &str) -> Result<Vec<EventRef>, Self::Error>;
    fn event(&mut self, at: &EventRef) -> Result<Option<EventBytes>, Self::Error>;
    fn events_of_request(&mut self, edge_id: &str, request_id: &str) -> Result<Vec<EventRef>, Self::Error>;
    fn events_of_heard(&mut self, fact: &[u8; 32]) -> Result<Vec<EventRef>, Self::Error>;

    /// The event as a fact; `None`: there is none, or it cannot be read.
    fn fact(&mut self, at: &EventRef) -> Result<Option<Fact>, Self::Error> {
        Ok(self.event(at)?.and_then(|bytes| Fact::read(&bytes)))
    }
}

impl<S: Storage> Held for S {
    type Error = S::Error;

    fn stay(&mut self, stay_id: &str) -> Result<Option<StoredStay>, S::Error> {
        Storage::stay(self, stay_id)
    }

    fn stays_of_plate(&mut self, plate: &PlateId) -> Result<Vec<StoredStay>, S::Error> {
        Storage::stays_of_plate(self, plate)
    }

    fn loose_facts(&mut self, key: &str) -> Result<Vec<EventRef>, S::Error> {
        Storage::loose_facts(self, key)
    }

    fn event(&mut self, at: &EventRef) -> Result<Option<EventBytes>, S::Error> {
        Storage::event(self, at)
    }

    fn fact(&mut self, at: &EventRef) -> Result<Option<Fact>, S::Error> {
        Storage::fact(self, at)
    }

    fn events_of_request(&mut self, edge_id: &str, request_id: &str) -> Result<Vec<EventRef>, S::Error> {
        Storage::events_of_request(self, edge_id, request_id)
    }

    fn events_of_heard(&mut self, fact: &[u8; 32]) -> Result<Vec<EventRef>, S::Error> {
        Storage::events_of_heard(self, fact)
    }
}

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

/// Facts and rows that hang together.
#[derive(Debug, Default)]
pub struct Component {
    pub facts: BTreeMap<FactId, Fact>,
    /// By stay id.
    pub rows: BTreeMap<String, StoredStay>,
    /// Those of the facts that no row leads to.
    pub loose: BTreeSet<FactId>,
}

impl Component {
    /// All that is held and can be reached from `from`, save the facts in `without`.
    ///
    /// # Errors
    /// Those of what is looked up.
    pub fn gather<H: Held>(held: &mut H, from: Vec<Link>, without: &HashSet<FactId>) -> Result<Self, H::Error> {
        let mut component = Self::default();
        let mut seen = HashSet::new();
        let mut to_follow = from;
        while let Some(link) = to_follow.pop() {
            if !seen.insert(link.clone()) {
                continue;
            }
            let mut found = Vec::new();
            for stored in rows_of(held, &link)? {
                if component.rows.contains_key(&stored.row.stay_id) {
                    continue;
                }
                to_follow.push(Link::Plate(stored.row.plate_id.clone()));
                for id in slots(&stored.row).filter(|id| !component.facts.contains_key(id)) {
                    found.extend(fact_of(held, id)?);
                }
                component.rows.insert(stored.row.stay_id.clone(), stored);
            }
            for fact in loose_under(held, &link)?.into_iter().filter(|fact| !without.contains(&fact.id)) {
                component.loose.insert(fact.id.clone());
                found.push(fact);
            }
            match &link {
                Link::Request { edge_id, request_id } => {
                    let places = held.events_of_request(edge_id, request_id)?;
                    found.extend(facts_at(held, &places)?);
                }
                // A void names it. It may be of no stay, or stored and not yet applied (when events are replayed), so that it is
                // not taken from here: if it was applied, what it concerns leads to it.
                Link::Fact(id) if !component.facts.contains_key(id) && !without.contains(id) => {
                    to_follow.extend(fact_of(held, id)?.iter().flat_map(links));
                }
                _ => {}
            }
            for fact in found.into_iter().filter(|fact| !without.contains(&fact.id)) {
                if !component.facts.contains_key(&fact.id) {
                    to_follow.extend(links(&fact));
                    component.facts.insert(fact.id.clone(), fact);
                }
            }
        }
        Ok(component)
    }

    /// All that hangs together with a row.
    ///
    /// # Errors
    /// Those of what is looked up.
    pub fn around<H: Held>(held: &mut H, row: &StayRow) -> Result<Self, H::Error> {
        let mut from = vec![Link::Plate(row.plate_id.clone())];
        from.extend(fact_of(held, &row.entry_fact)?.iter().flat_map(links));
        Self::gather(held, from, &HashSet::new())
    }
}

fn rows_of<H: Held>(held: &mut H, link: &Link) -> Result<Vec<StoredStay>, H::Error> {
    match link {
        Link::Stay(stay_id) => Ok(held.stay(stay_id)?.into_iter().collect()),
        Link::Plate(plate) => held.stays_of_plate(plate),
        Link::Request { .. } | Link::Fact(_) => Ok(Vec::new()),
    }
}

/// The loose facts under a link.
///
/// # Errors
/// Those of what is looked up.
pub fn loose_under<H: Held>(held: &mut H, link: &Link) -> Result<Vec<Fact>, H::Error> {
    let Some(key) = loose_key(link) else { return Ok(Vec::new()) };
    let places = held.loose_facts(&key)?;
    facts_at(held, &places)
}

/// The facts that lie at some places; those that cannot be read are left out.
///
/// # Errors
/// Those of what is looked up.
pub fn facts_at<H: Held>(held: &mut H, places: &[EventRef]) -> Result<Vec<Fact>, H::Error> {
    let mut facts = Vec::with_capacity(places.len());
    for at in places {
        facts.extend(held.fact(at)?);
    }
    Ok(facts)
}

pub(super) fn fact_of<H: Held>(held: &mut H, id: &FactId) -> Result<Option<Fact>, H::Error> {
    match id {
        FactId::Authored { log, seq } => held.fact(&EventRef { log: log.clone(), seq: *seq }),
        // Several may have heard it; the lowest is the fact.
        FactId::Heard(digest) => {
            let places = held.events_of_heard(digest)?;
            Ok(facts_at(held, &places)?.into_iter().min_by(|a, b| a.copy_order().cmp(&b.copy_order())))
        }
    }
}

/// The facts a row names.
pub(super) fn slots(row: &StayRow) -> impl Iterator<Item = &FactId> {
    let exit = row.exit.as_ref().map(|exit| &exit.fact);
    [Some(&row.entry_fact), row.confirm_fact.as_ref(), exit].into_iter().flatten()
}
