//! Which facts can matter to each other.
//!
//! Facts that share no link, directly or through others, do not influence each other: resolving them apart or together gives
//! the same rows. So a refold needs the facts reached from the changed ones by links, and no others.

use super::super::event::Body;
use super::super::ids::FactId;
use super::super::money::Vnd;
use super::super::plate::PlateId;
use super::fact::Fact;
use super::repeats::second_and_fee;
use super::request::RequestKey;
use super::row_steps::UNIQUE_MARK;

/// Something two facts can have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// A stay id as recorded, up to the first `~`.
    Stay(String),
    /// A plate as recorded: of an entry or exit, or the new one of a correction.
    Plate(PlateId),
    /// A request of an edge, with all that makes two the same.
    Request(String),
    /// A fact itself; a void has those it removes too, and an exit what it says again: the exit it is in place of, the opening it reads.
    Fact(FactId),
    /// The second, Unix time, and the fee of an exit of a stay: one that a predecessor tells by plate may tell it again.
    Exit { second: i64, fee: Vnd },
}

/// All links of a fact of a stay, without duplicates; none for a tariff, a subscription or an unknown type.
pub fn links(fact: &Fact) -> Vec<Link> {
    let event = &*fact.event;
    if !event.is_of_a_stay() {
        return Vec::new();
    }
    let mut links = vec![Link::Fact(fact.id.clone())];
    links.extend(event.event_id.as_deref().map(Link::of_stay));
    links.extend(event.exit_stay().map(Link::of_stay));
    links.extend(event.recorded_plate().cloned().map(Link::Plate));
    let exit = event.exit_stay().and_then(|_| second_and_fee(fact));
    links.extend(exit.map(|(second, fee)| Link::Exit { second, fee }));
    links.extend(RequestKey::of(event).map(|key| Link::Request(key.text())));
    // What an entry `replaces` is no link: it matters only if it is a stay of the same plate, which is one.
    match &event.body {
        Body::Void(void) => links.extend(void.removes.iter().cloned().map(Link::Fact)),
        Body::Exit(exit) => links.extend(exit.says_again().map(Link::Fact)),
        _ => {}
    }
    links.sort();
    links.dedup();
    links
}

impl Link {
    /// Of what names the stay `id`.
    pub fn of_stay(id: &str) -> Self {
        Self::Stay(stay_base(id).to_owned())
    }
}

/// A stay id as it was given, without what makes it unique.
pub(super) fn stay_base(id: &str) -> &str {
    id.split(UNIQUE_MARK).next().unwrap_or_default()
}
