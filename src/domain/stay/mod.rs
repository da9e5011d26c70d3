//! What the facts about stays mean: `resolve`.
//!
//! **State is a function of the set of facts.** The order in which facts arrived, and how often, is not an input, so two
//! centrals that hold the same facts show the same history. Nothing here knows a clock, a disk or a tariff.
//!
//! | step | file | question |
//! |---|---|---|
//! | order | `fact.rs` | which fact comes first |
//! | stage 1 | `request.rs`, `repeats.rs` | which facts are one and the same |
//! | stage 1 | `claims.rs`, `prepare.rs` | which fact names which stay, as corrected; what is void; what waits |
//! | stage 1 | `said.rs` | what was taken at each exit in the end, how it was paid, and whose word that is |
//! | stage 2 | `fold.rs`, `row_steps.rs` | per effective plate, in order: who is inside, what each fact does to a row |
//!
//! `outcome.rs` tells the same from the other side: what became of each fact.
//!
//! Invariants, each with a property test: one result for every order and duplication of the same facts; at most one open
//! stay per effective plate; the takings are the exits that are neither void nor repeats; facts without a common
//! [`Link`] do not influence each other; the fact with the greatest key is one step.
//!
//! Precondition: two different events never share a log and a number (their logs' hash chains see to it).

mod claims;
mod fact;
mod fold;
mod links;
mod outcome;
mod prepare;
mod repeats;
mod request;
mod row_steps;
mod said;
#[cfg(test)]
pub(super) mod tests;

pub use fact::{Fact, FoldKey};
pub use fold::{Folded, Neighbour, Stray, guarded};
pub use links::{Link, links};
pub use outcome::{Account, Outcome, account, account_beside};
pub use prepare::{Prepared, standing_voids};
pub use repeats::PASSAGE_WINDOW_MS;
pub use request::{REQUEST_WINDOW_MS, RESENT_WINDOW_MS, Telling, same_request, told_apart};
pub use row_steps::{MAX_SKEW_MS, QUICK_EXIT_MS, renamed_stay_id};
pub use said::paid_as_corrected;

use super::doer::Doer;
use super::event::{Event, Exit, Unread};
use super::ids::FactId;
use super::money::Vnd;
use super::payment::{Method, PaidToo, beyond, counted, shared_out};
use super::row::StayRow;

/// What was taken at an exit. The sum over all is the revenue, whatever became of the stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taking {
    pub fact: FactId,
    /// Where, as the exit says.
    pub central: String,
    pub edge_id: String,
    /// When, Unix ms: decides the site day it counts for.
    pub exit_ms: i64,
    pub fee: Vnd,
    pub told_apart: TakenAs,
    /// What of the fee was paid in other ways than `told_apart` says.
    pub also: Vec<(Method, Vnd)>,
    pub told_there: ToldThere,
    /// What was paid beyond the fee: owed to who paid it, and in no sum, until a person says that it was given back or kept.
    pub excess: Vnd,
}

/// What of a fee the central says itself whose gate it was, in the exit, in what that says again, or correcting either: what others make more of it is
/// their word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldThere {
    /// It tells no such passage, or another exit says that again.
    Nothing,
    Fee(Vnd),
    /// What the opening told that the exit reads, of a car nobody could read: no fact of a stay.
    AsOpened,
}

impl Taking {
    pub fn of(fact: &Fact, exit: &Exit, fee: Vnd) -> Self {
        Self {
            fact: fact.id.clone(),
            central: exit.exit_central.clone(),
            edge_id: exit.exit_edge.clone(),
            exit_ms: fact.event.timestamp_ms,
            fee,
            told_apart: TakenAs::of(&fact.event, exit, fee),
            also: shared_out(fee, also_of(exit)),
            told_there: if said::is_told_there(fact) { ToldThere::Fee(fee) } else { ToldThere::Nothing },
            excess: excess_of(exit),
        }
    }

    /// At an exit of a car that could not be read.
    pub fn of_opening(event: &Event, opening: &Unread) -> Self {
        let exit = Exit {
            camera_type: Some(opening.camera_type.clone()),
            paid: opening.paid.clone(),
            ..Exit::of(None, event.source_central.clone(), opening.edge_id.clone(), opening.taken().unwrap_or_default())
        };
        Self {
            fact: event.fact_id(),
            central: event.source_central.clone(),
            edge_id: opening.edge_id.clone(),
            exit_ms: event.timestamp_ms,
            fee: exit.fee,
            told_apart: TakenAs::of(event, &exit, exit.fee),
            also: shared_out(exit.fee, also_of(&exit)),
            told_there: if event.log.central.as_str() == event.source_central.as_str() {
                ToldThere::Fee(exit.fee)
            } else {
                ToldThere::Nothing
            },
            excess: excess_of(&exit),
        }
    }

    /// What it adds to the sums of its gate and person: way of payment, exits, VND. Together one exit and the fee.
    pub fn counted(&self) -> impl Iterator<Item = (&str, i64, i64)> {
        counted(&self.told_apart.method, self.fee.0, &self.also)
    }
}

fn also_of(exit: &Exit) -> &[PaidToo] {
    exit.paid.as_ref().map_or(&[], |paid| paid.also.as_slice())
}

fn excess_of(exit: &Exit) -> Vnd {
    exit.paid.as_ref().map_or(Vnd(0), |paid| beyond(paid, exit.fee))
}

/// What takings are told apart by beside their gate, as the exit says. Names, for they are only counted and shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TakenAs {
    /// Who took it, as [`Doer::text`]; empty: nobody proved to be anybody.
    pub by: String,
    /// Of a [`Method`]; empty: something was due, and the gate did not say how it was paid.
    pub method: String,
    /// The vehicle type the exit told; empty: none.
    pub camera_type: String,
}

impl TakenAs {
    /// `taken`: what was taken in the end.
    pub fn of(event: &Event, exit: &Exit, taken: Vnd) -> Self {
        let method = exit.paid.as_ref().map(|paid| paid.method).or((taken == Vnd(0)).then_some(Method::Free));
        Self {
            by: exit.taken_by.as_ref().or(event.by.as_ref()).and_then(Doer::text).unwrap_or_default(),
            method: method.map(Method::name).unwrap_or_default().to_owned(),
            camera_type: exit.camera_type.clone().unwrap_or_default(),
        }
    }
}

/// What a set of facts means. Every list is sorted by its first field, so equal sets give equal values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resolution {
    /// One per stay, superseded and void ones included, and one per exit whose entry nobody saw. Stay ids are unique.
    pub rows: Vec<StayRow>,
    /// One per EXIT that is neither void nor a repeat, those that wait or are quarantined included.
    pub takings: Vec<Taking>,
    /// Facts that name a stay whose entry is not among the facts. They have no effect on rows yet.
    pub waiting: Vec<FactId>,
    /// Each repeat with the fact it repeats (which is not itself a repeat).
    pub repeats: Vec<(FactId, FactId)>,
    /// Facts that were skipped at their place, and why: they made no sense, or the step panicked. The fold went on from the
    /// state before them.
    pub quarantined: Vec<(FactId, String)>,
}

/// What the facts mean, of any number of plates, in any order and with any duplication. Facts that are not about stays are
/// ignored. Costs O(n log n).
pub fn resolve(facts: &[Fact]) -> Resolution {
    fold::resolve_with(facts, fold::step)
}
