//! Stage 1: which facts are one and the same.
//!
//! A repeat never opens, closes or earns; its first does. No first is a repeat itself.

use std::hash::Hash;

use super::super::event::Body;
use super::super::ids::{FactId, Hlc};
use super::super::money::Vnd;
use super::super::plate::PlateId;
use super::fact::Fact;
use super::request::{REQUEST_WINDOW_MS, RequestKey, same_request};
use crate::domain::hash::{HashMap, HashSet};

/// The facts about stays, each once, in order. Of several events with one fact id the lowest (hlc, log, seq) is the fact.
pub(super) fn distinct(facts: &[Fact]) -> Vec<&Fact> {
    let mut sorted: Vec<&Fact> = facts.iter().filter(|fact| fact.event.is_of_a_stay()).collect();
    sorted.sort_by_key(|fact| (fact.event.hlc, &fact.id, &fact.event.log, fact.event.seq));
    let mut seen = HashSet::with_capacity_and_hasher(sorted.len(), Default::default());
    sorted.retain(|fact| seen.insert(&fact.id));
    sorted
}

/// Repeats with the fact each repeats.
#[derive(Debug, Default)]
pub(super) struct Repeats<'a> {
    firsts: HashMap<&'a FactId, &'a Fact>,
    passages: Vec<&'a Fact>,
    /// What reads an opening as that of another car than its first.
    readings: Vec<&'a Fact>,
    /// Where exits are written anew: the others that tell a passage again, with what told it before.
    tellings: Option<HashMap<&'a FactId, &'a Fact>>,
}

/// How far apart, in ms of their clocks, two exits of a car can be and still tell one passage: 5 minutes. A front and a rear
/// camera see it seconds apart, a camera that reads a waiting car goes on as long as it waits; nobody comes in unseen and
/// leaves again in that time.
pub const PASSAGE_WINDOW_MS: i64 = 5 * 60 * 1_000;

impl<'a> Repeats<'a> {
    /// Requests asked twice, then what was heard of one entry twice, then exits told again. `facts` are in order.
    pub(super) fn of(facts: &[&'a Fact]) -> Self {
        let mut repeats = Self::default();
        repeats.add_requests(facts);
        let (anew, told): (Vec<&Fact>, Vec<&Fact>) =
            facts.iter().copied().partition(|fact| in_place_of(fact).is_some());
        if !anew.is_empty() {
            repeats.add_passages(&told);
            repeats.tellings = Some(repeats.firsts.clone());
        }
        let replaced = repeats.let_the_last_count(facts, &anew);
        repeats.add_entry_copies(facts);
        let standing: Vec<&Fact> = facts.iter().copied().filter(|fact| !replaced.contains(&fact.id)).collect();
        repeats.add_passages(&standing);
        repeats
    }

    /// The exits that tell an earlier one's passage again, each with that one.
    pub(super) fn passages(&self) -> impl Iterator<Item = (&'a Fact, &'a Fact)> {
        self.passages.iter().filter_map(|fact| Some((*fact, self.first_of(&fact.id)?)))
    }

    /// What reads an opening as that of another car, each with what reads it and counts.
    pub(super) fn readings(&self) -> impl Iterator<Item = (&'a Fact, &'a Fact)> {
        self.readings.iter().filter_map(|fact| Some((*fact, self.first_of(&fact.id)?)))
    }

    /// What told a passage first that an exit tells again which is not written anew: a gate that heard no answer tells it to both centrals of a
    /// cut. `None`: it is the first.
    pub(super) fn first_telling(&self, exit: &FactId) -> Option<&'a FactId> {
        let tellings = self.tellings.as_ref().unwrap_or(&self.firsts);
        let mut first = &tellings.get(exit)?.id;
        while let Some(before) = tellings.get(first) {
            first = &before.id;
        }
        Some(first)
    }

    pub(super) fn contains(&self, fact: &FactId) -> bool {
        self.firsts.contains_key(fact)
    }

    /// The fact that counts for this one: the first if it is a repeat, else `None`.
    pub(super) fn first_of(&self, fact: &FactId) -> Option<&'a Fact> {
        let mut first = *self.firsts.get(fact)?;
        // The first of a request or a passage can itself turn out to be a copy, and that one a copy of an entry whose plate was edited.
        while let Some(next) = self.firsts.get(&first.id) {
            first = next;
        }
        Some(first)
    }

    pub(super) fn sorted(&self) -> Vec<(FactId, FactId)> {
        let mut pairs: Vec<_> =
            self.firsts.keys().filter_map(|id| Some(((*id).clone(), self.first_of(id)?.id.clone()))).collect();
        pairs.sort();
        pairs
    }

    /// The first of a request opens a window; what falls into it repeats the first, what comes later, or was told to be of
    /// another time, opens the next.
    fn add_requests(&mut self, facts: &[&'a Fact]) {
        let mut firsts: HashMap<RequestKey<'a>, Vec<&'a Fact>> = HashMap::default();
        for &fact in facts.iter().filter(|fact| in_place_of(fact).is_none()) {
            let Some(key) = RequestKey::of(&fact.event) else { continue };
            let firsts = firsts.entry(key).or_default();
            firsts.retain(|first| fact.event.hlc.ms() - first.event.hlc.ms() <= REQUEST_WINDOW_MS);
            match firsts.iter().find(|first| same_request(&first.event, &fact.event)) {
                Some(first) => {
                    self.firsts.insert(&fact.id, first);
                    if fact.event.recorded_plate() != first.event.recorded_plate() {
                        self.readings.push(fact);
                    }
                }
                None => firsts.push(fact),
            }
        }
    }

    /// Of the exits that are written anew in place of one passage, however often that was told, the one counts whose car a person said last:
    /// what is corrected last counts. They come after what they are in place of, which is returned: it is no passage any more.
    fn let_the_last_count(&mut self, facts: &[&'a Fact], all_anew: &[&'a Fact]) -> HashSet<FactId> {
        // Each with the first of those it is one with.
        let mut of_anew: HashMap<&'a FactId, &'a FactId> = HashMap::default();
        let mut anew: HashMap<FactId, Vec<&'a Fact>> = HashMap::default();
        for &fact in all_anew {
            let Some(of) = in_place_of(fact) else { continue };
            let of = of_anew.get(&of).copied().or_else(|| self.first_telling(&of)).cloned().unwrap_or(of);
            let together = anew.entry(of).or_default();
            together.push(fact);
            of_anew.extend(together.first().map(|first| (&fact.id, &first.id)));
        }
        for told in anew.values() {
            let Some(last) = told.iter().copied().max_by_key(|fact| said_at(facts, fact)) else { continue };
            self.firsts.extend(told.iter().map(|fact| (&fact.id, last)));
            self.firsts.remove(&last.id);
        }
        anew.into_keys().collect()
    }

    /// What a program tells of a stay whose car left a moment ago is that passage told again. An exit somebody asked for is never
    /// a repeat of another: money was taken for it.
    fn add_passages(&mut self, facts: &[&'a Fact]) {
        if !facts.iter().any(|fact| matches!(&fact.event.body, Body::Exit(exit) if exit.told)) {
            return;
        }
        let mut lately: HashMap<&str, &'a Fact> = HashMap::default();
        for &fact in facts.iter().filter(|fact| !self.contains(&fact.id)).collect::<Vec<_>>() {
            // An exit that knew of no stay began one.
            let stay = fact.event.exit_stay().or(fact.event.event_id.as_deref());
            let (Body::Exit(exit), Some(stay)) = (&fact.event.body, stay) else { continue };
            let is_near = |first: &&&Fact| fact.event.hlc.ms() - first.event.hlc.ms() <= PASSAGE_WINDOW_MS;
            match lately.get(stay).filter(is_near) {
                Some(first) if exit.told => {
                    self.firsts.insert(&fact.id, first);
                    self.passages.push(fact);
                }
                _ => {
                    lately.insert(stay, fact);
                }
            }
        }
    }

    /// Entries with one event id and one recorded plate, told by predecessors, are one entry.
    fn add_entry_copies(&mut self, facts: &[&'a Fact]) {
        let entries = facts.iter().copied().filter_map(|fact| match &fact.event.body {
            Body::Entry(entry) => Some(((fact.event.event_id.as_deref(), &entry.plate_id), fact)),
            _ => None,
        });
        let copies: Vec<((Option<&str>, &PlateId), &Fact)> = entries.collect();
        self.add_copies(copies);
        self.add_edited_entries(facts);
    }

    /// Entries with one event id, of one place and one second, told by predecessors with different plates, are one entry whose
    /// plate a person edited at one of them. An id ends with the plate that was read at the gate, so that the edited one is the one
    /// it does not end with; of several the first counts.
    fn add_edited_entries(&mut self, facts: &[&'a Fact]) {
        if !facts.iter().any(|fact| fact.is_heard()) {
            return;
        }
        let mut originals: HashMap<(Option<&str>, &str, i64), (bool, &'a Fact)> = HashMap::default();
        let mut copies = Vec::new();
        for &fact in facts.iter().filter(|fact| !self.contains(&fact.id)) {
            let (Body::Entry(_), event) = (&fact.event.body, &*fact.event) else { continue };
            let key = (event.event_id.as_deref(), event.source_central.as_str(), event.timestamp_ms.div_euclid(1_000));
            let counts = !fact.is_heard() || event.has_edited_plate();
            let original = originals.entry(key).or_insert((counts, fact));
            if (counts && !original.0) || (original.1.is_heard() && !fact.is_heard()) {
                *original = (counts, fact);
            }
            copies.push((key, fact));
        }
        for (key, fact) in copies.into_iter().filter(|(_, fact)| fact.is_heard()) {
            if let Some((_, original)) = originals.get(&key).filter(|(_, original)| original.id != fact.id) {
                self.firsts.insert(&fact.id, original);
            }
        }
    }

    /// Exits of one stay in one second with one fee, told by predecessors, are one exit. Each comes with the stay it names.
    pub(super) fn add_exit_copies<S: Copy + Eq + Hash>(&mut self, exits: Vec<(S, &'a Fact)>) {
        let keyed = exits.into_iter().filter_map(|(stay, fact)| Some(((stay, second_and_fee(fact)?), fact)));
        self.add_copies(keyed.collect());
    }

    /// An exit told by plate repeats the exit of a stay with that plate in the same second with the same fee; else the first
    /// told by plate so, or under the same id. `named`: the exits that name a stay, by the plates it goes by. Both in order.
    pub(super) fn add_exits_by_plate(&mut self, named: Vec<(&'a PlateId, &'a Fact)>, by_plate: &[&'a Fact]) {
        if by_plate.is_empty() {
            return;
        }
        let mut originals: HashMap<(&PlateId, i64, Vnd), &'a Fact> = HashMap::default();
        let mut by_id: HashMap<(&PlateId, Option<&str>), &'a Fact> = HashMap::default();
        for (plate, fact) in named.into_iter().filter(|(_, fact)| !self.contains(&fact.id)) {
            if let Some((second, fee)) = second_and_fee(fact) {
                originals.entry((plate, second, fee)).or_insert(fact);
            }
        }
        for &fact in by_plate.iter().filter(|fact| !self.contains(&fact.id)).collect::<Vec<_>>() {
            let Some((plate, (second, fee))) = fact.event.recorded_plate().zip(second_and_fee(fact)) else { continue };
            let original = *originals.entry((plate, second, fee)).or_insert(fact);
            let same_id = *by_id.entry((plate, fact.event.event_id.as_deref())).or_insert(original);
            let original = if original.id == fact.id { same_id } else { original };
            if original.id != fact.id {
                self.firsts.insert(&fact.id, original);
            }
        }
    }

    /// Of facts with one key, in order, those heard from predecessors repeat the first authored one; without an authored one,
    /// the first. Authored ones are never copies: two of our centrals said that two things happened.
    fn add_copies<K: Eq + Hash + Copy>(&mut self, keyed: Vec<(K, &'a Fact)>) {
        if !keyed.iter().any(|(_, fact)| fact.is_heard()) {
            return;
        }
        let mut originals: HashMap<K, &'a Fact> = HashMap::default();
        let candidates: Vec<_> = keyed.into_iter().filter(|(_, fact)| !self.contains(&fact.id)).collect();
        for (key, fact) in &candidates {
            let original = originals.entry(*key).or_insert(fact);
            if original.is_heard() && !fact.is_heard() {
                *original = fact;
            }
        }
        for (key, fact) in candidates {
            match originals.get(&key) {
                Some(original) if fact.is_heard() && original.id != fact.id => {
                    self.firsts.insert(&fact.id, original);
                }
                _ => {}
            }
        }
    }
}

fn in_place_of(fact: &Fact) -> Option<FactId> {
    if let Body::Exit(exit) = &fact.event.body { exit.in_place_of() } else { None }
}

/// When a person said whose car an exit was that is written anew: by the clock of what removes the other, the event before it.
fn said_at<'a>(facts: &[&'a Fact], anew: &'a Fact) -> (Hlc, &'a FactId) {
    let is_before = |fact: &&Fact| fact.event.log == anew.event.log && fact.event.seq + 1 == anew.event.seq;
    let removes = |fact: &Fact| match (&fact.event.body, in_place_of(anew)) {
        (Body::Void(void), Some(of)) => void.removes.contains(&of),
        _ => false,
    };
    facts.iter().copied().find(|fact| is_before(fact) && removes(fact)).unwrap_or(anew).place()
}

/// When an exit happened, to the second as predecessors tell it, and what it took.
pub(super) fn second_and_fee(fact: &Fact) -> Option<(i64, Vnd)> {
    match &fact.event.body {
        Body::Exit(exit) => Some((fact.event.timestamp_ms.div_euclid(1_000), exit.fee)),
        _ => None,
    }
}
