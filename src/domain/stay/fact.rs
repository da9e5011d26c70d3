//! A fact: an event with its identity, and the order of facts.
//!
//! Facts are ordered by clock, ties by fact id. In the fold of a plate an EXIT or CONFIRMED is never earlier than just after
//! the ENTRY it names, whatever the clocks said: see [`FoldKey`].

use std::sync::Arc;

use super::super::event::Event;
use super::super::ids::{FactId, Hlc, LogId};

/// An event with its identity. Of several events with one fact id (a predecessor's, heard by several centrals) the one with
/// the lowest (hlc, log, seq) is the fact; [`super::resolve`] sees to that.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    pub id: FactId,
    pub event: Arc<Event>,
}

impl Fact {
    /// The fact of an event: its identity is its place in its log, or what a predecessor said.
    pub fn authored(event: Arc<Event>) -> Self {
        Self { id: event.fact_id(), event }
    }

    /// The fact that an author's bytes state; `None`: they are not an event.
    pub fn read(bytes: &str) -> Option<Self> {
        Event::parse(bytes).ok().map(|event| Self::authored(event.into()))
    }

    /// True if a predecessor said it, and we only wrote down what we heard.
    pub fn is_heard(&self) -> bool {
        matches!(self.id, FactId::Heard(_))
    }

    /// Of several events with one identity the one that counts is the lowest by this.
    pub fn copy_order(&self) -> (Hlc, &LogId, u64) {
        (self.event.hlc, &self.event.log, self.event.seq)
    }

    /// The order of facts: "first", "latest" and "lowest" in every rule mean this.
    pub fn place(&self) -> (Hlc, &FactId) {
        (self.event.hlc, &self.id)
    }
}

/// The place of a fact in the fold of its plate.
///
/// No key is above its fact's own clock unless it was moved up to just after its ENTRY, whose clock is then in the same row.
/// So a fact whose clock is above the `last_hlc` of every row of its plate has the greatest key of those that had an effect.
/// (A quarantined fact left no trace in a row: fold a plate that has one.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoldKey<'a> {
    at: (Hlc, &'a FactId),
    /// Of a fact moved up to just after `at`: its own place.
    moved_from: Option<(Hlc, &'a FactId)>,
}

impl<'a> FoldKey<'a> {
    /// Of an ENTRY, and of an exit that names no stay: its own place.
    pub fn of(fact: &'a Fact) -> Self {
        Self { at: fact.place(), moved_from: None }
    }

    /// The clock of the place.
    pub(super) fn clock(&self) -> Hlc {
        self.at.0
    }

    /// Of an EXIT or CONFIRMED that names `entry`: its own place, but no earlier than just after the entry.
    pub fn after(entry: &'a Fact, fact: &'a Fact) -> Self {
        if fact.place() > entry.place() {
            Self::of(fact)
        } else {
            Self { at: entry.place(), moved_from: Some(fact.place()) }
        }
    }
}
