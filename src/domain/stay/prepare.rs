//! Stage 1, put together: what the fold needs, plate by plate.

use std::collections::BTreeMap;

use super::super::event::{Body, Void};
use super::super::ids::FactId;
use super::super::money::Vnd;
use super::super::payment::shared_out;
use super::super::plate::PlateId;
use super::claims::{Claim, Claims, NO_PLATE};
use super::fact::{Fact, FoldKey};
use super::fold::{Folded, Neighbour, fold, step};
use super::links::stay_base;
use super::repeats::{Repeats, distinct};
use super::said::SaidOfExits;
use super::{Resolution, Taking};
use crate::domain::hash::HashSet;

/// The facts after stage 1: what is known of each before any plate is folded.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// Distinct, in order.
    pub(super) facts: Vec<&'a Fact>,
    pub(super) repeats: Repeats<'a>,
    pub(super) claims: Claims<'a>,
    by_plate: Vec<&'a Fact>,
    void: HashSet<&'a FactId>,
    said: SaidOfExits<'a>,
}

/// What a fact asks of the fold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed<'p, 'a> {
    /// An entry; its author was told of the open stay `replaces` and overrode it.
    Enter { replaces: Option<&'p Claim<'a>> },
    /// The barrier closed behind the car of the claim.
    Confirm,
    /// The car of the claim left.
    Leave,
    /// The car left, and the gate knew no entry (or a void one).
    LeaveUnknown,
    /// The car with this plate left by a gate that knew its entry and did not name it.
    LeaveByPlate,
}

/// One step of the fold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act<'p, 'a> {
    pub(super) key: FoldKey<'a>,
    pub(super) fact: &'a Fact,
    /// The claim the fact makes, or names.
    pub(super) claim: &'p Claim<'a>,
    pub(super) deed: Deed<'p, 'a>,
}

/// The acts of each effective plate, not yet in order.
pub(super) type Acts<'p, 'a> = BTreeMap<&'p PlateId, Vec<Act<'p, 'a>>>;

/// Which stay an exit names: two names of one stay are the same stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Named<'a> {
    Known(usize),
    Unknown(&'a str),
}

impl<'a> Prepared<'a> {
    pub fn of(facts: &'a [Fact]) -> Self {
        let facts = distinct(facts);
        let mut repeats = Repeats::of(&facts);
        let mut claims = Claims::of(&facts, &repeats);
        let (by_plate, exits): (Vec<&Fact>, Vec<&Fact>) =
            facts.iter().filter(|fact| fact.event.exit_stay().is_some()).partition(|fact| is_by_plate(fact, &claims));
        let named = exits.iter().filter_map(|fact| {
            let stay = fact.event.exit_stay()?;
            Some((claims.named(stay).map_or(Named::Unknown(stay), |claim| Named::Known(claim.index)), *fact))
        });
        repeats.add_exit_copies(named.collect());
        let plates = exits.iter().flat_map(|fact| {
            let entry = fact.event.exit_stay().and_then(|stay| claims.named(stay)).map(|claim| claim.fact);
            let told = [fact.event.recorded_plate(), entry.and_then(|entry| entry.event.recorded_plate())];
            told.into_iter().flatten().map(|plate| (plate, *fact))
        });
        repeats.add_exits_by_plate(plates.collect(), &by_plate);
        claims.add_exits_by_plate(&by_plate, &repeats);
        let void = removed(&standing_voids(&facts, |_, _| true), &repeats);
        claims.set_void(&facts, &repeats, &void);
        claims.set_corrections(&facts);
        let counts = |fact: &Fact| !repeats.contains(&fact.id) && !void.contains(&fact.id);
        let said = SaidOfExits::of(&facts, &repeats, counts);
        Self { facts, repeats, claims, by_plate, void, said }
    }

    /// Where a stay begins, or an exit that names none acts: effective plates and clocks. What a fact does to its plate, it does
    /// there or to a stay that begins there.
    pub fn places(&self) -> impl Iterator<Item = (&PlateId, &'a Fact)> {
        let acting = self.claims.iter().filter(|claim| !claim.void);
        acting.filter_map(|claim| Some((claim.plate.as_ref()?, claim.fact)))
    }

    /// What predecessors told of exits by plate: each may tell again what the exit of a stay told.
    pub fn exits_by_plate(&self) -> impl Iterator<Item = &'a Fact> {
        self.by_plate.iter().copied()
    }

    /// The ids of stays that are not as recorded.
    pub fn given_ids(&self) -> impl Iterator<Item = &str> {
        let given = self.claims.iter().filter(|claim| claim.fact.event.event_id.as_deref() != Some(&claim.stay_id));
        given.map(|claim| claim.stay_id.as_str())
    }

    /// Stage 2, beside neighbours that none of the facts has begun.
    pub fn fold(&self, neighbours: &[Neighbour]) -> Folded {
        fold(self, neighbours, step, |_, _| {})
    }

    /// The void claims that have a row: every entry; an exit only if a void names its own row, for otherwise it was removed as
    /// a part of another stay.
    pub(super) fn void_claims(&self) -> impl Iterator<Item = &Claim<'a>> {
        let has_row = |claim: &&Claim<'a>| matches!(claim.fact.event.body, Body::Entry(_)) || !claim.voids.is_empty();
        self.claims.iter().filter(|claim| claim.void).filter(has_row)
    }

    /// What tells a passage again, or reads an opening as another car's, with what told it first, and the claim of the stay that one is about.
    pub(super) fn told_again(&self) -> impl Iterator<Item = (&'a Fact, &'a Fact, &Claim<'a>)> {
        self.repeats.passages().chain(self.repeats.readings()).filter_map(|(again, first)| {
            let claim = self.claims.made_by(&first.id).or_else(|| self.claims.named(first.event.exit_stay()?))?;
            (!claim.void).then_some((again, first, claim))
        })
    }

    fn taking(&self, fact: &Fact) -> Option<Taking> {
        match &fact.event.body {
            Body::Exit(exit) => {
                let mut taking = Taking::of(fact, exit, exit.fee + self.more_taken(fact));
                if let Some(right) = self.said.methods.get(&fact.id) {
                    right.method.name().clone_into(&mut taking.told_apart.method);
                    taking.also = shared_out(taking.fee, &right.also);
                }
                taking.told_there = self.said.told_there(fact, exit, taking.fee);
                // Who says what was taken, or how, has looked: what was paid beyond it was given back, or is part of it.
                if self.said.methods.contains_key(&fact.id) || self.said.fees.contains_key(&fact.id) {
                    taking.excess = Vnd(0);
                }
                Some(taking)
            }
            _ => None,
        }
    }

    /// The payments that an exit names, as corrected.
    pub(super) fn references(&self, fact: &'a Fact) -> Vec<&'a str> {
        let Body::Exit(exit) = &fact.event.body else { return Vec::new() };
        let (first, also) = match (self.said.methods.get(&fact.id), &exit.paid) {
            (Some(right), _) => (right.reference.as_deref(), right.also.as_slice()),
            (None, Some(paid)) => (paid.reference.as_deref(), paid.also.as_slice()),
            (None, None) => return Vec::new(),
        };
        first.into_iter().chain(also.iter().filter_map(|too| too.reference.as_deref())).collect()
    }

    /// By how much more was taken at an exit than it says; below 0: less.
    pub(super) fn more_taken(&self, fact: &Fact) -> Vnd {
        match (&fact.event.body, self.said.fees.get(&fact.id)) {
            (Body::Exit(exit), Some(right)) => Vnd(right.0.saturating_sub(exit.fee.0)),
            _ => Vnd(0),
        }
    }

    /// The acts, and what is known without folding: takings, what waits, repeats, what makes no sense.
    pub(super) fn acts(&self) -> (Acts<'_, 'a>, Resolution) {
        let mut acts = Acts::new();
        let mut outcome = Resolution { repeats: self.repeats.sorted(), ..Resolution::default() };
        for &fact in self.facts.iter().filter(|fact| !self.repeats.contains(&fact.id)) {
            if !self.void.contains(&fact.id) {
                outcome.takings.extend(self.taking(fact));
            }
            match self.finding(fact) {
                Finding::Act(act) => match &act.claim.plate {
                    Some(plate) => acts.entry(plate).or_default().push(act),
                    None => outcome.quarantined.push((fact.id.clone(), NO_PLATE.to_owned())),
                },
                Finding::Waits => outcome.waiting.push(fact.id.clone()),
                Finding::Settled => {}
                Finding::NoStay => outcome.quarantined.push((fact.id.clone(), "it names no stay".to_owned())),
            }
        }
        (acts, outcome)
    }

    fn finding(&self, fact: &'a Fact) -> Finding<'_, 'a> {
        if let Some(claim) = self.claims.made_by(&fact.id) {
            if claim.void {
                return Finding::Settled;
            }
            let deed = match &fact.event.body {
                Body::Entry(entry) => {
                    Deed::Enter { replaces: entry.replaces.as_deref().and_then(|id| self.claims.named(id)) }
                }
                _ if claim.by_plate => Deed::LeaveByPlate,
                _ => Deed::LeaveUnknown,
            };
            return Finding::Act(Act { key: FoldKey::of(fact), fact, claim, deed });
        }
        let (name, deed) = match &fact.event.body {
            Body::Confirmed(_) => (fact.event.event_id.as_deref(), Some(Deed::Confirm)),
            Body::Exit(_) => (fact.event.exit_stay(), Some(Deed::Leave)),
            _ => (fact.event.event_id.as_deref(), None),
        };
        if deed.is_some() && self.void.contains(&fact.id) {
            return Finding::Settled;
        }
        let Some(name) = name else { return Finding::NoStay };
        match (self.claims.named(name), deed) {
            (None, _) => Finding::Waits,
            // Only a confirmation: an exit whose entry is void makes a claim.
            (Some(claim), _) if claim.void => Finding::Settled,
            (Some(_), None) => Finding::Settled,
            (Some(claim), Some(deed)) => Finding::Act(Act { key: FoldKey::after(claim.fact, fact), fact, claim, deed }),
        }
    }
}

/// Whether a predecessor told an exit by plate: the second revision gives it an id of its own, which is no stay's.
fn is_by_plate(fact: &Fact, claims: &Claims<'_>) -> bool {
    let Body::Exit(exit) = &fact.event.body else { return false };
    let names_none = || fact.event.exit_stay().is_some_and(|stay| claims.named(stay).is_none());
    fact.is_heard() && exit.stay.is_none() && exit.plate_id.is_some() && names_none()
}

/// What stage 1 makes of one fact that is no repeat.
enum Finding<'p, 'a> {
    Act(Act<'p, 'a>),
    /// It names an unknown stay.
    Waits,
    /// It is void, or had its whole effect in stage 1.
    Settled,
    /// It should name a stay and does not.
    NoStay,
}

/// The voids that no correction of their stay undoes, in order. `counts`: whether a correction does, of a void.
pub fn standing_voids<'a>(facts: &[&'a Fact], counts: impl Fn(&Fact, &FactId) -> bool) -> Vec<(&'a Fact, &'a Void)> {
    let undone: HashSet<(&FactId, &str)> = facts
        .iter()
        .filter_map(|fact| match &fact.event.body {
            Body::Correction(correction) => Some((fact, correction, stay_base(fact.event.event_id.as_deref()?))),
            _ => None,
        })
        .flat_map(|(fact, correction, stay)| {
            let undoes = correction.undoes.iter().filter(|void| counts(fact, void));
            undoes.map(move |void| (void, stay)).collect::<Vec<_>>()
        })
        .collect();
    let voids = facts.iter().filter_map(|fact| match &fact.event.body {
        Body::Void(void) => Some((*fact, void)),
        _ => None,
    });
    voids
        .filter(|(fact, _)| {
            !undone.contains(&(&fact.id, stay_base(fact.event.event_id.as_deref().unwrap_or_default())))
        })
        .collect()
}

/// The facts that a void removes. A repeat and its first are one, so a void of either removes the first; but not an exit that is written anew in
/// place of one it removes: of that whatever was told again is a repeat from then on.
pub(super) fn removed_by<'a>(void: &'a Void, repeats: &Repeats<'a>) -> impl Iterator<Item = &'a FactId> {
    let is_anew = |first: &Fact| match &first.event.body {
        Body::Exit(exit) => exit.in_place_of().is_some_and(|removed| void.removes.contains(&removed)),
        _ => false,
    };
    let with_first = move |id: &'a FactId| {
        let first = repeats.first_of(id).filter(|first| !is_anew(first)).map(|first| &first.id);
        std::iter::once(id).chain(first)
    };
    void.removes.iter().flat_map(with_first)
}

fn removed<'a>(voids: &[(&'a Fact, &'a Void)], repeats: &Repeats<'a>) -> HashSet<&'a FactId> {
    voids.iter().flat_map(|(_, void)| removed_by(void, repeats)).collect()
}
