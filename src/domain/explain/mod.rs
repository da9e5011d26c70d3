//! Why a row is as it is, in sentences: every fact that made it, and every anomaly.
//!
//! Pure, and of nothing but the facts and the site's zone, so every central that holds the same facts says the same, byte
//! for byte. Gates are named by their ids, not by the names one central's settings give them.
//!
//! | file | holds |
//! |---|---|
//! | [`words`] | gates, money, times in both languages |
//! | `facts.rs` | one sentence per fact, by what became of it |
//! | `anomalies.rs` | one sentence per anomaly of a row |

mod anomalies;
mod facts;
#[cfg(test)]
mod tests;
pub mod words;

use std::collections::{BTreeMap, HashMap};

use super::anomaly::Anomaly;
use super::ids::FactId;
use super::money::Vnd;
use super::row::StayRow;
use super::stay::{Account, Fact, Neighbour, Outcome, account_beside};
use super::time::SiteZone;

pub use facts::apart;
pub use words::Text;
use words::{SiteFace, span};

/// A clock off by less than this is not worth a word, in ms.
const MIN_TOLD_SKEW_MS: u64 = 1_000;

/// One fact of a story.
#[derive(Debug, Clone, PartialEq)]
pub struct StoryFact<'f> {
    pub fact: &'f Fact,
    pub outcome: &'f Outcome,
    pub text: Text,
}

/// Explains the rows that some facts make. The facts are all that hang together with them.
#[derive(Debug)]
pub struct Explainer<'f> {
    facts: BTreeMap<&'f FactId, &'f Fact>,
    account: Account,
    rows: HashMap<String, usize>,
    /// What was due at the exit of the stay that is asked about, where its fee was taken without knowing the entry.
    due: Option<Vnd>,
    zone: &'f SiteZone,
}

impl<'f> Explainer<'f> {
    pub fn new(facts: &'f [Fact], zone: &'f SiteZone) -> Self {
        Self::beside(facts, &[], zone)
    }

    /// As [`Explainer::new`], beside neighbours that none of the facts has begun.
    pub fn beside(facts: &'f [Fact], neighbours: &[Neighbour], zone: &'f SiteZone) -> Self {
        let account = account_beside(facts, neighbours);
        let rows = account.resolution.rows.iter().enumerate();
        let rows = rows.map(|(index, row)| (row.stay_id.clone(), index)).collect();
        let mut by_id: BTreeMap<&FactId, &Fact> = BTreeMap::new();
        for fact in facts {
            // Of what several centrals heard of a predecessor, the one `resolve` takes.
            let known = by_id.entry(&fact.id).or_insert(fact);
            if fact.copy_order() < known.copy_order() {
                *known = fact;
            }
        }
        Self { facts: by_id, account, rows, due: None, zone }
    }

    /// Says what was due at the exit of a stay, where `due` knows it: the facts know no tariff.
    #[must_use]
    pub fn with_due(mut self, stay_id: &str, due: impl Fn(&StayRow) -> Option<Vnd>) -> Self {
        self.due = self.row(stay_id).and_then(due);
        self
    }

    /// The row of a stay.
    pub fn row(&self, stay_id: &str) -> Option<&StayRow> {
        self.account.resolution.rows.get(*self.rows.get(stay_id)?)
    }

    /// Every fact that made the row, changed it, lost against it or ended it, in the order of facts.
    pub fn story(&self, stay_id: &str) -> Vec<StoryFact<'_>> {
        let mut told: Vec<StoryFact<'_>> = self
            .account
            .outcomes
            .iter()
            .filter(|(_, outcome)| self.belongs(outcome, stay_id))
            .filter_map(|(id, outcome)| {
                let fact = *self.facts.get(id)?;
                let face = self.face(stay_id, fact);
                Some(StoryFact { fact, outcome, text: self.sentence(fact, outcome, &face) })
            })
            .collect();
        told.sort_by(|a, b| a.fact.place().cmp(&b.fact.place()));
        told
    }

    /// The anomalies of a row with a sentence each.
    pub fn anomalies(&self, stay_id: &str) -> Vec<(Anomaly, Text)> {
        let Some(row) = self.row(stay_id) else { return Vec::new() };
        row.anomalies.iter().map(|anomaly| (*anomaly, self.anomaly(row, *anomaly))).collect()
    }

    fn belongs(&self, outcome: &Outcome, stay_id: &str) -> bool {
        match outcome {
            Outcome::Repeated { first } => {
                self.account.outcomes.get(first).is_some_and(|outcome| outcome.concerns(stay_id))
            }
            other => other.concerns(stay_id),
        }
    }

    /// The clock face on the day of the stay, or of the fact if it has none.
    fn face(&self, stay_id: &str, fact: &Fact) -> SiteFace<'f> {
        let ms = self.row(stay_id).map_or(fact.event.timestamp_ms, |row| row.entry_ms);
        SiteFace::of_day(self.zone, ms)
    }

    /// `; đồng hồ central-2 nhanh 41 giây`, of the authors whose clocks were off as far as they knew.
    fn skew_note(facts: &[&Fact]) -> Option<Text> {
        let mut by_central: BTreeMap<&str, i64> = BTreeMap::new();
        for fact in facts {
            let skew_ms = fact.event.skew_ms.unwrap_or(0);
            let known = by_central.entry(fact.event.log.central.as_str()).or_default();
            if skew_ms.unsigned_abs() > known.unsigned_abs() {
                *known = skew_ms;
            }
        }
        let off = by_central.into_iter().filter(|(_, skew_ms)| skew_ms.unsigned_abs() >= MIN_TOLD_SKEW_MS);
        let notes = off.map(|(central, skew_ms)| {
            let by = span(skew_ms.unsigned_abs());
            let (vi, en) = if skew_ms > 0 { ("nhanh", "fast") } else { ("chậm", "slow") };
            Text::new(
                format!("; đồng hồ {central} {vi} {}", by.vi),
                format!("; the clock of {central} is {} {en}", by.en),
            )
        });
        notes.reduce(|all, note| all.and(Some(note)))
    }
}
