//! What is said of exits afterwards, by corrections, by removals, and by who writes one anew as another car's: what was taken there, how it was paid,
//! and how much of it is the word of the central whose gate it was. An exit and all that are written anew in its place are one passage: what is said
//! of one is said of all, for whoever says it in a cut knows some of them.

use super::super::event::{Body, Correction, Exit, RightMethod, Void};
use super::super::ids::{FactId, Hlc, LogId};
use super::super::money::Vnd;
use super::super::payment::Paid;
use super::fact::Fact;
use super::links::stay_base;
use super::prepare::standing_voids;
use super::repeats::{Repeats, distinct};
use super::{TakenAs, ToldThere};
use crate::domain::hash::HashMap;

/// Where a fact stands in the order of facts.
type Place<'a> = (Hlc, &'a FactId);

/// What is said of each exit and when, the latest.
type Words<'a, T> = HashMap<&'a FactId, (Place<'a>, T)>;

/// What is said of the exits among some facts.
#[derive(Debug)]
pub(super) struct SaidOfExits<'a> {
    /// What was really taken.
    pub fees: HashMap<&'a FactId, Vnd>,
    /// How it was really paid.
    pub methods: HashMap<&'a FactId, &'a RightMethod>,
    /// What was taken, as the centrals say whose gates they were at.
    there: HashMap<&'a FactId, Vnd>,
    /// Exits that say again what such a central had told: what that was.
    restated: HashMap<&'a FactId, ToldThere>,
}

impl<'a> SaidOfExits<'a> {
    /// `counts`: whether an exit does. `facts` are distinct and in order.
    pub fn of(facts: &[&'a Fact], repeats: &Repeats<'a>, counts: impl Fn(&Fact) -> bool) -> Self {
        let anew = written_anew(facts, repeats);
        let methods = right_methods(facts, repeats, &anew);
        let mut words = of_exits(facts, repeats, is_there, fee_of);
        removals_there(facts, repeats, &anew).into_iter().for_each(|(exit, word)| keep_later(&mut words, exit, word));
        let of_anew = shared(&anew, &words, &HashMap::default());
        let there = words.into_iter().chain(of_anew).map(|(exit, (_, fee))| (exit, fee)).collect();
        let restated = restated(facts, &anew, counts);
        Self { fees: right_fees(facts, repeats, &anew), methods, there, restated }
    }

    /// How much of the `fee` of an exit that counts is the word of the central whose gate it was at.
    pub fn told_there(&self, fact: &Fact, exit: &Exit, fee: Vnd) -> ToldThere {
        let own = if is_told_there(fact) { ToldThere::Fee(exit.fee) } else { ToldThere::Nothing };
        match (self.restated.get(&fact.id).copied().unwrap_or(own), self.there.get(&fact.id).copied()) {
            (ToldThere::Nothing, _) => ToldThere::Nothing,
            (ToldThere::AsOpened, None) => ToldThere::AsOpened,
            (_, Some(told)) | (ToldThere::Fee(told), None) => ToldThere::Fee(told.min(fee)),
        }
    }
}

/// Whether the central tells an exit itself whose gate it was at, or a predecessor does.
pub(super) fn is_told_there(fact: &Fact) -> bool {
    matches!(&fact.event.body, Body::Exit(exit) if fact.is_heard() || is_there(exit, fact))
}

/// What corrections state of exits: of each the latest that states it, of those that name the stay as the exit does and came later.
/// So whoever finds the one finds the other, and an exit that is the newest of all has no correction yet. What is stated of an exit that tells a
/// passage again is of the one that told it first.
///
/// `counts`: whether a correction does, of an exit.
fn of_exits<'a, T>(
    facts: &[&'a Fact],
    repeats: &Repeats<'a>,
    counts: impl Fn(&Exit, &Fact) -> bool,
    stated: impl Fn(&'a Correction) -> Option<(&'a FactId, T)>,
) -> Words<'a, T> {
    if !facts.iter().any(|fact| matches!(fact.event.body, Body::Correction(_))) {
        return HashMap::default();
    }
    let exits = exits_of(facts);
    let mut of_exits = HashMap::default();
    for fact in facts {
        let Body::Correction(correction) = &fact.event.body else { continue };
        let Some((id, right)) = stated(correction) else { continue };
        let first = repeats.first_telling(id).unwrap_or(id);
        if ![id, first].into_iter().all(|id| exits.get(id).is_some_and(|(_, left)| counts(left, fact))) {
            continue;
        }
        let Some((exit, _)) = exits.get(id) else { continue };
        let named = exit.event.exit_stay().or(exit.event.event_id.as_deref()).map(stay_base);
        if named == fact.event.event_id.as_deref().map(stay_base) && exit.place() < fact.place() {
            of_exits.insert(first, (fact.place(), right));
        }
    }
    of_exits
}

fn exits_of<'a>(facts: &[&'a Fact]) -> HashMap<&'a FactId, (&'a Fact, &'a Exit)> {
    let exits = facts.iter().filter_map(|fact| match &fact.event.body {
        Body::Exit(exit) => Some((&fact.id, (*fact, exit))),
        _ => None,
    });
    exits.collect()
}

/// Whoever says so.
fn anybody(_: &Exit, _: &Fact) -> bool {
    true
}

/// The central says so that the exit was at.
fn is_there(exit: &Exit, said: &Fact) -> bool {
    said.event.log.central.as_str() == exit.exit_central
}

fn fee_of(correction: &Correction) -> Option<(&FactId, Vnd)> {
    correction.right_fee.as_ref().map(|right| (&right.exit, right.fee))
}

fn keep_later<'a, T>(words: &mut Words<'a, T>, exit: &'a FactId, word: (Place<'a>, T)) {
    if words.get(exit).is_none_or(|held| held.0 < word.0) {
        words.insert(exit, word);
    }
}

/// What people say was taken at exits.
fn right_fees<'a>(facts: &[&'a Fact], repeats: &Repeats<'a>, anew: &[Anew<'a>]) -> HashMap<&'a FactId, Vnd> {
    let said = of_exits(facts, repeats, anybody, fee_of);
    let of_anew = shared(anew, &said, &removals(facts, repeats, anew));
    said.into_iter().chain(of_anew).map(|(exit, (_, fee))| (exit, fee)).collect()
}

/// How people say it was paid at exits.
fn right_methods<'a>(
    facts: &[&'a Fact],
    repeats: &Repeats<'a>,
    anew: &[Anew<'a>],
) -> HashMap<&'a FactId, &'a RightMethod> {
    let said = of_exits(facts, repeats, anybody, |correction| {
        correction.right_method.as_ref().map(|right| (&right.exit, right))
    });
    let of_anew = shared(anew, &said, &HashMap::default());
    said.into_iter().chain(of_anew).map(|(exit, (_, right))| (exit, right)).collect()
}

/// What removals say was taken at the exits they remove, in place of which others are written anew: nothing, or what who gives one on says.
fn removals<'a>(
    facts: &[&'a Fact],
    repeats: &Repeats<'a>,
    anew: &[Anew<'a>],
) -> HashMap<FactId, Vec<(Place<'a>, Vnd)>> {
    let mut removals: HashMap<FactId, Vec<(Place<'a>, Vnd)>> = HashMap::default();
    if anew.is_empty() {
        return removals;
    }
    let next = by_place(anew);
    for (by, void) in standing_voids(facts, |_, _| true) {
        let gives_on = next.get(&(&by.event.log, by.event.seq + 1));
        for removed in &void.removes {
            let removed = repeats.first_telling(removed).unwrap_or(removed);
            let fee = match gives_on.filter(|one| one.of == *removed) {
                Some(one) if !one.says_its_fee(void, repeats) => continue,
                Some(one) => one.exit.fee,
                None => Vnd(0),
            };
            removals.entry(removed.clone()).or_default().push((by.place(), fee));
        }
    }
    removals
}

/// The same of the exits at the gates of the central that removes them, which alone undoes its word.
fn removals_there<'a>(
    facts: &[&'a Fact],
    repeats: &Repeats<'a>,
    anew: &[Anew<'a>],
) -> Vec<(&'a FactId, (Place<'a>, Vnd))> {
    let is_undone_there =
        |by: &Fact, void: &FactId| matches!(void, FactId::Authored { log, .. } if log.central == by.event.log.central);
    let voids = standing_voids(facts, is_undone_there);
    if voids.is_empty() {
        return Vec::new();
    }
    let (exits, next) = (exits_of(facts), by_place(anew));
    let mut removals = Vec::new();
    for (by, void) in voids {
        let gives_on = next.get(&(&by.event.log, by.event.seq + 1));
        let removes = void.removes.iter().map(|id| repeats.first_telling(id).unwrap_or(id));
        let at_its_gates = removes.filter(|id| exits.get(*id).is_some_and(|(_, exit)| is_there(exit, by)));
        for removed in at_its_gates {
            match gives_on.filter(|one| one.of == *removed) {
                Some(one) if one.says_its_fee(void, repeats) => {
                    removals.push((&one.fact.id, (by.place(), one.exit.fee)));
                }
                Some(_) => {}
                None => removals.push((removed, (by.place(), Vnd(0)))),
            }
        }
    }
    removals
}

/// An exit that is written anew, as one of another car.
struct Anew<'a> {
    fact: &'a Fact,
    exit: &'a Exit,
    /// The one it is in place of; of one that was told twice what told it first.
    of: FactId,
    /// What told its passage first, an exit that is in place of none, or the opening that one reads: what all of a passage have in common.
    first: FactId,
    /// The first of them that the central of the gate told, and what was taken by that.
    told: Option<(&'a Fact, Vnd)>,
    /// What told it first is an opening.
    is_reading: bool,
}

impl Anew<'_> {
    /// Whether it says something else of what was taken than what was known of the one it is in place of, which `void` removes.
    fn says_its_fee(&self, void: &Void, repeats: &Repeats<'_>) -> bool {
        let is_its = |exit: &FactId| *repeats.first_telling(exit).unwrap_or(exit) == self.of;
        let known = void.money.iter().find(|change| is_its(&change.exit)).map(|change| change.before);
        known.is_some_and(|known| known != self.exit.fee)
    }

    /// What the central of the gate told of its passage: at that gate and moment, by the same person. Who finds out whose car it was moves no money.
    fn restates(&self) -> ToldThere {
        match self.told {
            Some((told, fee)) if is_restated(self.fact, told) => ToldThere::Fee(fee),
            None if self.is_reading => ToldThere::AsOpened,
            _ => ToldThere::Nothing,
        }
    }
}

fn is_restated(anew: &Fact, told: &Fact) -> bool {
    let (Body::Exit(exit), Body::Exit(before)) = (&anew.event.body, &told.event.body) else { return false };
    let by = |fact: &Fact, exit: &Exit| TakenAs::of(&fact.event, exit, exit.fee).by;
    (&exit.exit_central, &exit.exit_edge) == (&before.exit_central, &before.exit_edge)
        && anew.event.timestamp_ms == told.event.timestamp_ms
        && by(anew, exit) == by(told, before)
}

/// In order, so that one in place of another such comes after it.
fn written_anew<'a>(facts: &[&'a Fact], repeats: &Repeats<'a>) -> Vec<Anew<'a>> {
    let is_anew = |fact: &&&Fact| matches!(&fact.event.body, Body::Exit(exit) if exit.in_place_of().is_some());
    if !facts.iter().any(|fact| is_anew(&fact)) {
        return Vec::new();
    }
    let exits = exits_of(facts);
    let (mut anew, mut places): (Vec<Anew<'a>>, HashMap<&FactId, usize>) = (Vec::new(), HashMap::default());
    for fact in facts {
        let Body::Exit(exit) = &fact.event.body else { continue };
        let Some(of_telling) = exit.in_place_of() else { continue };
        let of = repeats.first_telling(&of_telling).unwrap_or(&of_telling).clone();
        let (first, told, is_reading) = match (places.get(&of).and_then(|at| anew.get(*at)), exits.get(&of_telling)) {
            (Some(held), _) => (held.first.clone(), held.told, held.is_reading),
            (None, Some((before, left))) => {
                let (told, opening) = (is_told_there(before).then_some((*before, left.fee)), left.opening_read());
                let is_reading = opening.is_some();
                (opening.unwrap_or_else(|| of.clone()), told, is_reading)
            }
            (None, None) => (of.clone(), None, false),
        };
        let is_told = told.is_some_and(|(told, _)| is_restated(fact, told));
        let told =
            told.filter(|_| is_told || !is_told_there(fact)).or(is_told_there(fact).then_some((*fact, exit.fee)));
        places.insert(&fact.id, anew.len());
        anew.push(Anew { fact, exit, of, first, told, is_reading });
    }
    anew
}

fn by_place<'s, 'a>(anew: &'s [Anew<'a>]) -> HashMap<(&'a LogId, u64), &'s Anew<'a>> {
    anew.iter().map(|one| ((&one.fact.event.log, one.fact.event.seq), one)).collect()
}

/// What is said of exits that are written anew: what is said of one of a passage, or `removals` of it, is said of all. The latest counts.
fn shared<'a, T: Copy>(
    anew: &[Anew<'a>],
    said: &Words<'a, T>,
    removals: &HashMap<FactId, Vec<(Place<'a>, T)>>,
) -> Words<'a, T> {
    let mut of_passages: HashMap<&FactId, (Place<'a>, T)> = HashMap::default();
    for one in anew {
        let of_it = [&one.of, &one.fact.id].into_iter().filter_map(|id| said.get(id));
        for word in of_it.chain(removals.get(&one.of).into_iter().flatten()) {
            let held = of_passages.entry(&one.first).or_insert(*word);
            if word.0 > held.0 {
                *held = *word;
            }
        }
    }
    anew.iter().filter_map(|one| Some((&one.fact.id, *of_passages.get(&one.first)?))).collect()
}

/// Of the exits that count and say again what the central of the gate had told, what that was: of each such central's own ones, and where no exit of their
/// passage is its own, of one of the others: it was told once. What an opening told is not known here: of one that reads it, all it says.
fn restated<'a>(
    facts: &[&'a Fact],
    anew: &[Anew<'a>],
    counts: impl Fn(&Fact) -> bool,
) -> HashMap<&'a FactId, ToldThere> {
    let is_reading = |fact: &&Fact| matches!(&fact.event.body, Body::Exit(exit) if exit.opening_read().is_some());
    if anew.is_empty() && !facts.iter().any(is_reading) {
        return HashMap::default();
    }
    let of_anew: HashMap<&FactId, &Anew<'_>> = anew.iter().map(|one| (&one.fact.id, one)).collect();
    let mut restated: HashMap<&FactId, ToldThere> = HashMap::default();
    // By what told their passage first: the least of the others, or none.
    let mut of_others: HashMap<FactId, Option<(&'a FactId, ToldThere)>> = HashMap::default();
    for (id, (fact, exit)) in exits_of(facts).into_iter().filter(|(_, (fact, _))| counts(fact)) {
        let (first, told) = match (of_anew.get(id), exit.opening_read()) {
            (Some(one), _) => (one.first.clone(), one.restates()),
            (None, Some(opening)) => (opening, ToldThere::AsOpened),
            (None, None) => (id.clone(), ToldThere::Nothing),
        };
        if is_told_there(fact) {
            // What it says itself of an opening is its word.
            restated.extend(Some((id, told)).filter(|_| matches!(told, ToldThere::Fee(_))));
            of_others.insert(first, None);
        } else if told != ToldThere::Nothing {
            let held = of_others.entry(first).or_insert(Some((id, told)));
            if let Some(least) = held.as_mut().filter(|least| *id < *least.0) {
                *least = (id, told);
            }
        }
    }
    restated.extend(of_others.into_values().flatten());
    restated
}

/// How it was paid at an exit, as people corrected it. `facts`: those that name its stay; of an exit that is written anew all that hang together
/// with it.
pub fn paid_as_corrected(exit: &Fact, facts: &[Fact]) -> Option<Paid> {
    let Body::Exit(told) = &exit.event.body else { return None };
    let mut facts = distinct(facts);
    if !facts.iter().any(|fact| fact.id == exit.id) {
        facts.insert(facts.partition_point(|fact| fact.place() < exit.place()), exit);
    }
    let repeats = Repeats::of(&facts);
    let anew = written_anew(&facts, &repeats);
    let taken = right_fees(&facts, &repeats, &anew).remove(&exit.id);
    let right = right_methods(&facts, &repeats, &anew).remove(&exit.id);
    let paid = match (right, &told.paid) {
        (Some(right), _) => {
            let (amount, reference, also) = (Vnd(0), right.reference.clone(), right.also.clone());
            Paid { method: right.method, amount, reference, also }
        }
        (None, Some(paid)) if taken.is_some() => paid.clone(),
        (None, paid) => return paid.clone(),
    };
    Some(paid.of(taken.unwrap_or(told.fee)))
}
