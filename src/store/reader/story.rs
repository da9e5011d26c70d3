//! The story of a stay: all facts that hang together with it, read in one transaction, told by `domain::explain`.

use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

use super::Reader;
use super::rows::HistoryRow;
use crate::domain::doer::{Doer, DoerKind};
use crate::domain::event::{Body, Event, Image};
use crate::domain::explain::words::Text;
use crate::domain::explain::{Explainer, StoryFact};
use crate::domain::hash::HashSet;
use crate::domain::payment::{FeeLine, Paid};
use crate::domain::stay::{Fact, Link, Neighbour, Outcome, Taking, account_beside};
use crate::domain::time::SiteZone;
use crate::ledger::component::Component;
use crate::ledger::settings::SharedSettings;
use crate::ledger::storage::Lookup as _;
use crate::store::error::StoreError;
use crate::store::log_numbers::LogNumbers;
use crate::store::lookup::Connected;

/// Why a row is as it is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Story {
    /// `None`: only facts that wait for this stay are held.
    pub row: Option<HistoryRow>,
    pub anomalies: Vec<ToldAnomaly>,
    /// In the order of facts.
    pub facts: Vec<ToldFact>,
}

/// An anomaly with its sentence.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ToldAnomaly {
    pub kind: &'static str,
    #[serde(flatten)]
    pub text: Text,
}

/// One fact of a story.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ToldFact {
    /// `{log}/{number}`.
    pub fact: String,
    #[serde(rename = "type")]
    pub type_name: &'static str,
    pub outcome: &'static str,
    /// Where it happened, and who wrote it down: another central only for what was heard from a predecessor.
    pub central: String,
    pub edge_id: Option<String>,
    pub author: String,
    /// When it happened by the author's clock, Unix ms, and on the site's clock face.
    pub time_ms: i64,
    pub time: String,
    /// The author's clock before its peers', in ms, as far as it knew.
    pub skew_ms: Option<i64>,
    pub hlc: i64,
    /// When it was committed here, by this machine's clock; of what several centrals heard of a predecessor, the copy that
    /// counts.
    pub known_ms: Option<i64>,
    pub known: Option<String>,
    /// Who did it: `an`, `token:backup`, `edge:edge-1`; null: nobody proved to be anybody, or the event is older than such names. In
    /// corrections and removals of older versions what was typed in.
    pub by: Option<String>,
    /// How that is known: `open`: this central asks nobody. Null: in older events, and in what predecessors told.
    pub by_kind: Option<DoerKind>,
    pub reason: Option<String>,
    /// Of an exit: what its fee consists of, in lines that sum to it.
    pub lines: Vec<FeeLine>,
    /// Of an exit: how it was paid, if the gate said.
    pub paid: Option<Paid>,
    /// The card or ticket that was told with it.
    pub card_id: Option<String>,
    /// The pictures that were told with it.
    pub images: Vec<Image>,
    #[serde(flatten)]
    pub text: Text,
}

impl Reader {
    /// The story of the stay of that id; `None`: nothing is known of it. `prices`: of what was due where a gate could not know it.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn story(
        &mut self,
        stay_id: &str,
        zone: &SiteZone,
        prices: &SharedSettings,
        now_ms: i64,
    ) -> Result<Option<Story>, StoreError> {
        let row = self.stay(stay_id)?;
        let transaction = self.connection.unchecked_transaction()?;
        let mut held = Snapshot { connection: &transaction, logs: &mut self.logs };
        let (facts, neighbours) = held.facts_around(stay_id)?;
        let explainer =
            Explainer::beside(&facts, &neighbours, zone).with_due(stay_id, |row| prices.due(row, zone, now_ms));
        let told = explainer.story(stay_id);
        if row.is_none() && told.is_empty() {
            return Ok(None);
        }
        let facts = told.iter().map(|told| held.told(told, zone)).collect::<Result<_, _>>()?;
        Ok(Some(Story { row, anomalies: anomalies(&explainer, stay_id), facts }))
    }

    /// The sentences of the anomalies of a stay.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn anomalies_of(
        &mut self,
        stay_id: &str,
        zone: &SiteZone,
        prices: &SharedSettings,
        now_ms: i64,
    ) -> Result<Vec<ToldAnomaly>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let held = Snapshot { connection: &transaction, logs: &mut self.logs }.facts_around(stay_id)?;
        let explainer =
            Explainer::beside(&held.0, &held.1, zone).with_due(stay_id, |row| prices.due(row, zone, now_ms));
        Ok(anomalies(&explainer, stay_id))
    }
}

fn anomalies(explainer: &Explainer<'_>, stay_id: &str) -> Vec<ToldAnomaly> {
    let told = explainer.anomalies(stay_id).into_iter();
    told.map(|(anomaly, text)| ToldAnomaly { kind: anomaly.name(), text }).collect()
}

/// What is looked up in one read transaction.
pub(super) struct Snapshot<'r> {
    pub(super) connection: &'r Connection,
    pub(super) logs: &'r mut LogNumbers,
}

impl Snapshot<'_> {
    /// All facts that hang together with a stay.
    fn facts_around(&mut self, stay_id: &str) -> Result<(Vec<Fact>, Vec<Neighbour>), StoreError> {
        let component = match self.stay(stay_id)? {
            Some(stored) => Component::around(self, &stored.row)?,
            None => {
                let base = stay_id.split('~').next().unwrap_or_default().to_owned();
                Component::naming(self, Link::Stay(base))?
            }
        };
        Ok((component.held_facts(), component.neighbours))
    }

    /// All facts that hang together with one.
    pub(super) fn facts_with(&mut self, fact: &Fact) -> Result<(Vec<Fact>, Vec<Neighbour>), StoreError> {
        let fact = std::slice::from_ref(fact);
        let (component, ..) = Component::of_new(self, fact, HashSet::default(), Component::held_facts)?;
        Ok((component.held_facts(), component.neighbours))
    }

    /// What was paid beyond what was taken at all exits of a stay, VND.
    pub(super) fn excess_of(&mut self, stay_id: &str) -> Result<i64, StoreError> {
        let (facts, neighbours) = self.facts_around(stay_id)?;
        let account = account_beside(&facts, &neighbours);
        let is_its = |taking: &&Taking| account.outcomes.get(&taking.fact).and_then(Outcome::ended) == Some(stay_id);
        Ok(account.resolution.takings.iter().filter(is_its).map(|taking| taking.excess.0).sum())
    }

    fn told(&mut self, told: &StoryFact<'_>, zone: &SiteZone) -> Result<ToldFact, StoreError> {
        let event = &*told.fact.event;
        let known_ms = self.known_ms(event)?;
        let (typed, reason) = match &event.body {
            Body::Correction(correction) => (correction.by.clone(), Some(correction.reason.clone())),
            Body::Void(void) => (void.by.clone(), Some(void.reason.clone())),
            Body::Entry(entry) => (None, entry.reason.clone()),
            Body::Exit(exit) => (None, exit.reason.clone()),
            _ => (None, None),
        };
        let (lines, paid) = match &event.body {
            Body::Exit(exit) => (exit.lines.clone(), exit.paid.clone()),
            _ => (Vec::new(), None),
        };
        let (card_id, images) = match &event.body {
            Body::Entry(entry) => (entry.card_id.clone(), entry.images.clone()),
            Body::Exit(exit) => (exit.card_id.clone(), exit.images.clone()),
            _ => (None, Vec::new()),
        };
        let (central, edge_id) = place(event);
        Ok(ToldFact {
            fact: told.fact.id.to_string(),
            type_name: event.body.type_name(),
            outcome: told.outcome.name(),
            central,
            edge_id,
            author: event.log.central.to_string(),
            time_ms: event.timestamp_ms,
            time: zone.local_text(event.timestamp_ms),
            skew_ms: event.skew_ms,
            hlc: event.hlc.ms(),
            known_ms,
            known: known_ms.map(|ms| zone.local_text(ms)),
            by: event.by.as_ref().map_or(typed, Doer::text),
            by_kind: event.by.as_ref().map(|by| by.kind),
            reason,
            lines,
            paid,
            card_id,
            images,
            text: told.text.clone(),
        })
    }

    fn known_ms(&mut self, event: &Event) -> Result<Option<i64>, StoreError> {
        let Some(row) = self.logs.row(self.connection, &event.log, event.seq)? else { return Ok(None) };
        let mut statement = self.connection.prepare_cached("SELECT committed_ms FROM event WHERE id = ?1")?;
        let mut rows = statement.query([row])?;
        Ok(match rows.next()? {
            Some(row) => Some(row.get(0)?),
            None => None,
        })
    }
}

impl Connected for Snapshot<'_> {
    fn parts(&mut self) -> (&Connection, &mut LogNumbers) {
        (self.connection, self.logs)
    }
}

/// The central and the edge an event happened at.
pub(super) fn place(event: &Event) -> (String, Option<String>) {
    let some = |edge: &str| Some(edge.to_owned()).filter(|edge| !edge.is_empty());
    match &event.body {
        Body::Entry(entry) => (event.source_central.clone(), some(&entry.edge_id)),
        Body::Exit(exit) => (exit.exit_central.clone(), some(&exit.exit_edge)),
        Body::Confirmed(confirmed) => (event.source_central.clone(), some(&confirmed.edge_id)),
        Body::Unread(unread) => (event.source_central.clone(), some(&unread.edge_id)),
        _ => (event.source_central.clone(), None),
    }
}
