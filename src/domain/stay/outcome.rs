//! What became of each fact: `resolve` from the other side, for people who ask why a row is as it is.
//!
//! It follows from the facts alone, so it is the same on every central that holds them. Every fact about a stay has exactly one
//! outcome.

use std::collections::BTreeMap;

use super::super::event::Body;
use super::super::ids::FactId;
use super::Resolution;
use super::fact::Fact;
use super::fold::{self, Change, Neighbour, step};
use super::prepare::{self, Act, Deed, Prepared, standing_voids};
use crate::domain::hash::HashMap;

/// What became of one fact. A stay is meant by the id of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An entry: the stay begins. `left`: the stay it replaced, which ended unseen.
    Opened { stay: String, left: Option<String> },
    /// An entry of a car that was inside by the stay `by`.
    Superseded { stay: String, by: String },
    /// A confirmation; `again`: not the first.
    Confirmed { stay: String, again: bool },
    /// An exit: the stay ends. `entry_unknown`: its gate did not know the entry, and named no stay or one that had ended.
    Closed { stay: String, entry_unknown: bool },
    /// An exit of a stay that was out already.
    ClosedAgain { stay: String },
    /// An exit whose entry nobody saw: a row of its own.
    LeftAlone { stay: String },
    /// A correction.
    Corrected { stay: String },
    /// A void.
    Voided { stay: String },
    /// It was removed with the stay, or confirms one that was; `by` is the void.
    Removed { stay: String, by: FactId },
    /// It tells again what `first` told.
    Repeated { first: FactId },
    /// It names a stay whose entry is not here yet.
    Waits { stay: String },
    /// It has no effect.
    Skipped { reason: String },
}

impl Outcome {
    /// Whether the fact is one of those that make the row of `stay_id`: its entry, confirmations and exits.
    pub fn made(&self, stay_id: &str) -> bool {
        match self {
            Self::Opened { stay, .. }
            | Self::Superseded { stay, .. }
            | Self::Confirmed { stay, .. }
            | Self::Closed { stay, .. }
            | Self::ClosedAgain { stay }
            | Self::LeftAlone { stay } => stay == stay_id,
            _ => false,
        }
    }

    /// The stay an exit ended, or left once more.
    pub fn ended(&self) -> Option<&str> {
        match self {
            Self::Closed { stay, .. } | Self::ClosedAgain { stay } | Self::LeftAlone { stay } => Some(stay),
            _ => None,
        }
    }

    /// The stable name of it, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Superseded { .. } => "superseded",
            Self::Confirmed { .. } => "confirmed",
            Self::Closed { .. } => "closed",
            Self::ClosedAgain { .. } => "closed_again",
            Self::LeftAlone { .. } => "left_alone",
            Self::Corrected { .. } => "corrected",
            Self::Voided { .. } => "voided",
            Self::Removed { .. } => "removed",
            Self::Repeated { .. } => "repeated",
            Self::Waits { .. } => "waits",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Whether it belongs into the story of `stay_id`: it made the row, changed it, lost against it, or ended it. (A repeat
    /// belongs where its first does.)
    pub fn concerns(&self, stay_id: &str) -> bool {
        match self {
            Self::Opened { left: Some(other), .. } | Self::Superseded { by: other, .. } if other == stay_id => true,
            Self::Corrected { stay } | Self::Voided { stay } | Self::Removed { stay, .. } | Self::Waits { stay } => {
                stay == stay_id
            }
            other => other.made(stay_id),
        }
    }
}

/// What the facts mean, and what became of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub resolution: Resolution,
    pub outcomes: BTreeMap<FactId, Outcome>,
}

/// [`resolve`](super::resolve), with what became of each fact. Facts that are not about stays have no outcome.
pub fn account(facts: &[Fact]) -> Account {
    account_beside(facts, &[])
}

/// As [`account`], beside neighbours that none of the facts has begun.
pub fn account_beside(facts: &[Fact], neighbours: &[Neighbour]) -> Account {
    let prepared = Prepared::of(facts);
    let mut outcomes = BTreeMap::new();
    let resolution = fold::fold(&prepared, neighbours, step, |act, change| {
        outcomes.extend(of_step(act, change).map(|outcome| (act.fact.id.clone(), outcome)));
    })
    .resolution;
    for (id, reason) in &resolution.quarantined {
        outcomes.insert(id.clone(), Outcome::Skipped { reason: reason.clone() });
    }
    for (id, first) in &resolution.repeats {
        // What began a row made it, also where another exit counts for that passage.
        if !matches!(outcomes.get(id), Some(Outcome::LeftAlone { .. })) {
            outcomes.insert(id.clone(), Outcome::Repeated { first: first.clone() });
        }
    }
    let removed_by = removed_by(&prepared);
    for &fact in &prepared.facts {
        if !outcomes.contains_key(&fact.id) {
            let mut outcome = of_settled(&prepared, &removed_by, fact);
            if let Outcome::Corrected { stay } = &mut outcome
                && let Some(ended) = corrected_exit(fact).and_then(|exit| outcomes.get(exit)).and_then(Outcome::ended)
            {
                ended.clone_into(stay);
            }
            outcomes.insert(fact.id.clone(), outcome);
        }
    }
    Account { resolution, outcomes }
}

/// The exit, if what was taken at it is all that a correction corrects: whatever stay that names, it belongs to the one the exit ended.
fn corrected_exit(fact: &Fact) -> Option<&FactId> {
    let Body::Correction(correction) = &fact.event.body else { return None };
    let fee_alone = correction.plate_id.is_none() && correction.camera_type.is_none() && correction.undoes.is_empty();
    let fee = correction.right_fee.as_ref().map(|right| &right.exit);
    fee.or(correction.right_method.as_ref().map(|right| &right.exit)).filter(|_| fee_alone)
}

fn of_step(act: &Act<'_, '_>, change: &Change) -> Option<Outcome> {
    let (_, row) = change.rows.last()?;
    let stay = row.stay_id.clone();
    Some(match act.deed {
        Deed::Enter { .. } => match (&row.superseded_by, change.rows.first()) {
            (Some(by), _) => Outcome::Superseded { stay, by: by.clone() },
            (None, Some((_, left))) if left.stay_id != stay => {
                Outcome::Opened { stay, left: Some(left.stay_id.clone()) }
            }
            (None, _) => Outcome::Opened { stay, left: None },
        },
        Deed::Confirm => Outcome::Confirmed { stay, again: row.confirm_fact.as_ref() != Some(&act.fact.id) },
        Deed::Leave => match row.exit.as_ref().filter(|exit| exit.fact == act.fact.id) {
            Some(exit) => Outcome::Closed { stay, entry_unknown: exit.entry_unknown },
            None => Outcome::ClosedAgain { stay },
        },
        Deed::LeaveByPlate if change.alias.is_some() => Outcome::Closed { stay, entry_unknown: false },
        Deed::LeaveUnknown if change.alias.is_some() => Outcome::Closed { stay, entry_unknown: true },
        Deed::LeaveUnknown | Deed::LeaveByPlate => Outcome::LeftAlone { stay },
    })
}

/// The first void that removes each fact; of a repeat and its first, both.
fn removed_by<'a>(prepared: &Prepared<'a>) -> HashMap<&'a FactId, &'a Fact> {
    let mut removed_by = HashMap::default();
    for (fact, void) in standing_voids(&prepared.facts, |_, _| true) {
        for id in prepare::removed_by(void, &prepared.repeats) {
            removed_by.entry(id).or_insert(fact);
        }
    }
    removed_by
}

/// Of a fact that was settled before the fold.
fn of_settled(prepared: &Prepared<'_>, removed_by: &HashMap<&FactId, &Fact>, fact: &Fact) -> Outcome {
    let row_of = |name: &str| prepared.claims.named(name).map(|claim| claim.stay_id.clone());
    let event = &*fact.event;
    let name = event.event_id.as_deref().unwrap_or_default();
    let waits = || Outcome::Waits { stay: event.exit_stay().unwrap_or(name).to_owned() };
    match &event.body {
        Body::Correction(_) => row_of(name).map_or_else(waits, |stay| Outcome::Corrected { stay }),
        Body::Void(_) => row_of(name).map_or_else(waits, |stay| Outcome::Voided { stay }),
        _ => {
            let removed = |stay: Option<String>, by: &Fact| {
                let named = by.event.event_id.as_deref().unwrap_or_default();
                let stay = stay.or_else(|| row_of(named)).unwrap_or_else(|| named.to_owned());
                Outcome::Removed { stay, by: by.id.clone() }
            };
            if let Some(by) = removed_by.get(&fact.id) {
                // A claim that keeps a row of its own (see `void_claims`) is told there, whatever stay the void names.
                let own = prepared.claims.made_by(&fact.id);
                let own = own.filter(|claim| matches!(event.body, Body::Entry(_)) || !claim.voids.is_empty());
                return removed(own.map(|claim| claim.stay_id.clone()), by);
            }
            let of_void_entry = prepared.claims.named(name).and_then(|claim| {
                let by = removed_by.get(&claim.fact.id)?;
                Some(removed(Some(claim.stay_id.clone()), by))
            });
            of_void_entry.unwrap_or_else(waits)
        }
    }
}
