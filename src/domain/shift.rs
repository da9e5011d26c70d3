//! Shifts: who answers for the money of a gate, from an opening to a closing, and what a sheet of it says.
//!
//! A shift is two facts of its gate's central, `SHIFT_OPENED` and `SHIFT_CLOSED`. What belongs to it follows from the facts alone, by
//! the rules below, and so does what it comes to ([`ShiftFigures`]): in whatever order they arrive, every central that holds the same facts
//! says the same. The closing carries the figures as they were; what arrives later does not change it and is the difference to it
//! ([`ShiftFigures::since`]). So figures as closed and the addendum are at any moment the sum of the facts. Why each rule is as it is:
//! docs/decisions/061-shifts.md.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{EdgeId, FactId, LogId};
use super::money::Vnd;
use super::payment::Method;
use super::problem::is_plain_text;
use super::stay::Taking;

/// Longest note at a closing, in characters.
pub const MAX_NOTE_CHARS: usize = 500;
/// Most cash that is counted or begun with, in VND: beyond it is a slip of the finger.
pub const MAX_CASH: Vnd = Vnd::MAX_CASH;
/// Figures as a closing carries them are no longer, in bytes of JSON. Where types of vehicles make them longer they are all as one.
const MAX_FIGURES_BYTES: usize = 6 * 1024;
/// Most logs a closing names; with more it names none.
pub const MAX_COUNTED_LOGS: usize = 64;
/// Most edges of a lane that a shift is of, beside its own.
pub const MAX_LANE_EDGES: usize = 32;
/// In place of all vehicle types.
const ALL_TYPES: &str = "*";

/// A person takes over a gate. Who it is says the event's `by`, where it is the central that writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftOpened {
    /// [`shift_id`].
    pub shift: String,
    pub edge_id: String,
    /// The other edges of its lane, as the settings of its central had it: what passes at a camera with an id of its own belongs to who has
    /// the barrier. They are those of the shift until it ends, whatever the settings say later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lane_edges: Vec<String>,
    /// Unix ms; what happened at or after it belongs to the shift.
    pub from_ms: i64,
    /// The cash there was to give change with.
    #[serde(default)]
    pub opening_cash: Vnd,
    /// Cars inside the whole lot, as this central knew.
    #[serde(default)]
    pub inside: u64,
}

/// A shift ends, with the cash that was counted and all that it came to as its central knew at that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftClosed {
    pub shift: String,
    pub edge_id: String,
    /// Unix ms; what happened before it belongs to the shift.
    pub until_ms: i64,
    pub opening_cash: Vnd,
    pub counted_cash: Vnd,
    /// As at the opening.
    #[serde(default)]
    pub inside: u64,
    pub figures: ShiftFigures,
    /// How far the figures know each log that something of them is from: of a log not named they know nothing. Absent: too many logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Vec<Counted>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The cash of a closed shift was counted anew, or its closing says what was mistyped: who says so and when is in the event. The closing stays as it
/// is, and of several counts the latest is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftRecounted {
    pub shift: String,
    pub edge_id: String,
    pub counted_cash: Vnd,
    pub reason: String,
}

/// What belongs to a shift of a log was counted up to this event of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    pub log: LogId,
    pub to: u64,
}

/// What a correction or a void changes in what was taken at one exit, as its author saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyChange {
    pub exit: FactId,
    /// Where and when the exit was, who took the money and how it was paid; as takings are told apart.
    pub central: String,
    pub edge_id: String,
    pub exit_ms: i64,
    #[serde(default)]
    pub taken_by: String,
    #[serde(default)]
    pub method: String,
    pub before: Vnd,
    pub after: Vnd,
}

/// Exits and what was taken at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sum {
    pub exits: i64,
    /// VND.
    pub revenue: i64,
}

/// What a shift comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShiftFigures {
    /// Cars that came in at its gate.
    pub entries: i64,
    /// By way of payment and vehicle type, as takings are told apart.
    pub takings: BTreeMap<String, BTreeMap<String, Sum>>,
    /// Only closings of the first version with shifts say so: what its person changed of exits of other shifts. It moves nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub amended: BTreeMap<String, i64>,
}

/// The id of the shift that begins at a gate.
pub fn shift_id(central: &str, edge_id: &str, from_ms: i64) -> String {
    format!("{central}_{edge_id}_{from_ms}")
}

/// When the shift of that id at that gate begins, Unix ms; `None`: it is not of that gate.
pub fn begins_ms(id: &str, central: &str, edge_id: &str) -> Option<i64> {
    let from_ms = id.rsplit('_').next()?.parse().ok()?;
    (id == shift_id(central, edge_id, from_ms)).then_some(from_ms)
}

/// Whether what was taken at the gate of a shift by `taken_by`, as takings name him, is its person's: taken by him, or by nobody who
/// is a person. What a gate's own program passes, its key, a token, is the money of who has the gate.
pub fn is_of(person: &str, taken_by: &str) -> bool {
    taken_by == person || taken_by.is_empty() || taken_by.contains(':')
}

/// From when until before when things belong to a shift: until it was closed, and no longer than until the next was opened there.
pub fn span(from_ms: i64, until_ms: Option<i64>, next_ms: Option<i64>) -> (i64, i64) {
    (from_ms, until_ms.unwrap_or(i64::MAX).min(next_ms.unwrap_or(i64::MAX)).max(from_ms))
}

impl MoneyChange {
    /// Of what was taken there it is to be `after`.
    pub fn of(taking: &Taking, after: Vnd) -> Self {
        Self {
            exit: taking.fact.clone(),
            central: taking.central.clone(),
            edge_id: taking.edge_id.clone(),
            exit_ms: taking.exit_ms,
            taken_by: taking.told_apart.by.clone(),
            method: taking.told_apart.method.clone(),
            before: taking.fee,
            after,
        }
    }

    /// What takes it back.
    pub fn undone(&self) -> Self {
        Self { before: self.after, after: self.before, ..self.clone() }
    }

    /// What it adds to what was taken, VND.
    pub fn change(&self) -> i64 {
        self.after.0 - self.before.0
    }
}

impl ShiftFigures {
    /// Counts an exit: ways of payment, exits, VND.
    pub fn take<'m>(&mut self, counted: impl IntoIterator<Item = (&'m str, i64, i64)>, camera_type: &str) {
        for (method, exits, revenue) in counted {
            self.add(method, camera_type, Sum { exits, revenue });
        }
    }

    fn add(&mut self, method: &str, camera_type: &str, sum: Sum) {
        let types = match self.takings.get_mut(method) {
            Some(types) => types,
            None => self.takings.entry(method.to_owned()).or_default(),
        };
        let held = match types.get_mut(camera_type) {
            Some(held) => held,
            None => types.entry(camera_type.to_owned()).or_default(),
        };
        held.exits = held.exits.saturating_add(sum.exits);
        held.revenue = held.revenue.saturating_add(sum.revenue);
        if *held == Sum::default() {
            types.remove(camera_type);
            if types.is_empty() {
                self.takings.remove(method);
            }
        }
    }

    /// All of them: way of payment, vehicle type, sum.
    pub fn sums(&self) -> impl Iterator<Item = (&str, &str, Sum)> {
        let of = |(method, types)| (method, types);
        self.takings.iter().map(of).flat_map(|(method, types): (&String, &BTreeMap<String, Sum>)| {
            types.iter().map(|(camera_type, sum)| (method.as_str(), camera_type.as_str(), *sum))
        })
    }

    pub fn exits(&self) -> i64 {
        self.sums().map(|(.., sum)| sum.exits).sum()
    }

    /// VND.
    pub fn revenue(&self) -> i64 {
        self.sums().map(|(.., sum)| sum.revenue).sum()
    }

    /// What should be in the drawer: what it began with and what was paid in cash. What the gate did not say was cash, as it was
    /// before gates could say.
    pub fn expected_cash(&self, opening_cash: Vnd) -> Vnd {
        let is_cash = |method: &str| method.is_empty() || method == Method::Cash.name();
        let taken: i64 = self.sums().filter(|(method, ..)| is_cash(method)).map(|(.., sum)| sum.revenue).sum();
        opening_cash + Vnd(taken)
    }

    /// These figures, less others: what has to be added to the others to make these.
    pub fn since(&self, before: &Self) -> Self {
        let mut since = self.as_coarse_as(before);
        since.entries = since.entries.saturating_sub(before.entries);
        for (method, camera_type, sum) in before.sums() {
            since.add(method, camera_type, Sum { exits: -sum.exits, revenue: -sum.revenue });
        }
        since
    }

    /// Both together.
    pub fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.entries = both.entries.saturating_add(other.entries);
        other.sums().for_each(|(method, camera_type, sum)| both.add(method, camera_type, sum));
        both
    }

    /// As a closing carries them: within what fits into an event.
    pub fn bounded(self) -> Self {
        let bytes = serde_json::to_string(&self).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_FIGURES_BYTES { self.of_all_types() } else { self }
    }

    fn of_all_types(&self) -> Self {
        let mut all = Self { entries: self.entries, amended: self.amended.clone(), ..Self::default() };
        self.sums().for_each(|(method, _, sum)| all.add(method, ALL_TYPES, sum));
        all
    }

    /// Told apart no finer than others, so that they can be compared.
    fn as_coarse_as(&self, other: &Self) -> Self {
        let is_coarse = other.sums().any(|(_, camera_type, _)| camera_type == ALL_TYPES);
        if is_coarse { self.of_all_types() } else { self.clone() }
    }
}

impl ShiftOpened {
    /// Whether it is of the central that says so, and says nothing that makes no sense.
    pub fn is_sound(&self, central: &str) -> bool {
        begins_ms(&self.shift, central, &self.edge_id) == Some(self.from_ms)
            && (Vnd(0)..=MAX_CASH).contains(&self.opening_cash)
            && self.lane_edges.len() <= MAX_LANE_EDGES
            && self.lane_edges.iter().all(|edge| EdgeId::new(edge).is_ok() && *edge != self.edge_id)
            // Each once: what was taken there counts once.
            && self.lane_edges.is_sorted_by(|one, next| one < next)
    }
}

impl ShiftRecounted {
    /// As of an opening.
    #[must_use]
    pub fn is_sound(&self, central: &str) -> bool {
        begins_ms(&self.shift, central, &self.edge_id).is_some()
            && (Vnd(0)..=MAX_CASH).contains(&self.counted_cash)
            && !self.reason.is_empty()
            && is_plain_text(&self.reason, MAX_NOTE_CHARS)
    }
}

impl ShiftClosed {
    /// As of an opening.
    pub fn is_sound(&self, central: &str) -> bool {
        begins_ms(&self.shift, central, &self.edge_id).is_some_and(|from_ms| from_ms <= self.until_ms)
            && [self.opening_cash, self.counted_cash].iter().all(|cash| (Vnd(0)..=MAX_CASH).contains(cash))
            && self.note.as_deref().is_none_or(|note| is_plain_text(note, MAX_NOTE_CHARS))
    }

    /// Whether an event was among what its figures were made of, had it belonged to the shift; `None`: that is not known.
    pub fn has_counted(&self, log: &LogId, seq: u64) -> Option<bool> {
        let counted = self.counted.as_ref()?;
        Some(counted.iter().any(|counted| counted.log == *log && seq <= counted.to))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METHODS: [&str; 5] = ["cash", "", "qr", "free", "transfer"];

    #[derive(Debug, Clone)]
    enum Fact {
        Exit(usize, u8, i64),
        Entry,
    }

    fn any_fact() -> impl Strategy<Value = Fact> {
        prop_oneof![
            (0..METHODS.len(), any::<u8>(), 0..100_000_i64).prop_map(|(m, t, fee)| Fact::Exit(m, t, fee)),
            Just(Fact::Entry),
        ]
    }

    /// With types enough that a closing has to take them as one.
    fn figures(facts: &[Fact]) -> ShiftFigures {
        let mut figures = ShiftFigures::default();
        for fact in facts {
            match fact {
                Fact::Exit(method, t, fee) => {
                    let parts = [(METHODS[*method], 1, *fee), ("transfer", 0, *fee / 3)];
                    figures.take(parts, &format!("vehicle-type-{t}"));
                }
                Fact::Entry => figures.entries += 1,
            }
        }
        figures
    }

    proptest! {
        #[test]
        fn what_was_closed_and_what_came_later_is_the_sum_of_the_facts_in_any_order(
            facts in proptest::collection::vec(any_fact(), 0..300), at in any::<prop::sample::Index>(), turn in any::<prop::sample::Index>(),
        ) {
            let (early, _) = facts.split_at(at.index(facts.len() + 1));
            let closed = figures(early).bounded();
            prop_assert!(serde_json::to_string(&closed).unwrap().len() <= MAX_FIGURES_BYTES);
            let mut turned = facts.clone();
            turned.rotate_left(turn.index(facts.len() + 1).min(facts.len()));
            let live = figures(&facts);
            prop_assert_eq!(&figures(&turned), &live);
            let addendum = live.since(&closed);
            let both = closed.and(&addendum);
            prop_assert_eq!((both.entries, both.exits(), both.revenue()), (live.entries, live.exits(), live.revenue()));
            prop_assert_eq!(both.expected_cash(Vnd(7)), live.expected_cash(Vnd(7)));
            prop_assert_eq!(live.since(&both), ShiftFigures::default(), "there is nothing to add to all of it");
            let json = serde_json::to_string(&closed).unwrap();
            prop_assert_eq!(serde_json::from_str::<ShiftFigures>(&json).unwrap(), closed);
        }
    }

    #[test]
    fn cash_is_what_was_paid_in_cash_or_not_said_and_no_correction_at_another_shift_moves_it() {
        let mut figures: ShiftFigures =
            serde_json::from_str(r#"{"entries":0,"takings":{},"amended":{"cash":-3000}}"#).unwrap();
        for (method, fee) in [("cash", 20_000), ("", 5_000), ("qr", 70_000), ("free", 0)] {
            figures.take([(method, 1, fee)], "car");
        }
        assert_eq!(figures.expected_cash(Vnd(100_000)), Vnd(125_000));
        let live = ShiftFigures { amended: BTreeMap::new(), ..figures.clone() };
        assert_eq!(live.since(&figures), ShiftFigures::default(), "and is in no addendum");
        assert_eq!((figures.exits(), figures.revenue()), (4, 95_000));
    }

    #[test]
    fn what_belongs_to_whom() {
        for (taken_by, is_hers) in
            [("lan", true), ("an", false), ("", true), ("edge:edge-1", true), ("token:kiosk", true), ("Lan", false)]
        {
            assert_eq!(is_of("lan", taken_by), is_hers, "{taken_by}");
        }
        for (until_ms, next_ms, expected) in [
            (None, None, i64::MAX),
            (Some(9), None, 9),
            (None, Some(7), 7),
            (Some(9), Some(7), 7),
            (Some(7), Some(9), 7),
            (Some(3), None, 5),
        ] {
            assert_eq!(span(5, until_ms, next_ms), (5, expected));
        }
    }

    #[test]
    fn a_shift_is_of_the_gate_in_its_id() {
        assert_eq!(begins_ms(&shift_id("central_1", "edge_2", 77), "central_1", "edge_2"), Some(77));
        for (central, edge) in [("central", "1_edge_2"), ("central_1", "edge_3")] {
            assert_eq!(begins_ms("central_1_edge_2_77", central, edge).is_some(), central == "central", "{edge}");
        }
        assert_eq!(begins_ms("central_1_edge_2_x", "central_1", "edge_2"), None);
    }
}
