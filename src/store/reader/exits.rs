//! What became of each exit and what it counts for: what the sums are made of, for whoever checks them.

use std::path::Path;

use rusqlite::OptionalExtension as _;
use serde::Serialize;

use super::Reader;
use super::events::{read_event, read_hash};
use super::invoices::{ToldInvoice, invoices_of};
use super::rows::is_zero;
use super::story::Snapshot;
use crate::domain::direction::Direction;
use crate::domain::event::{Body, Event};
use crate::domain::ids::{FactId, LogId};
use crate::domain::money::Vnd;
use crate::domain::payment::Method;
use crate::domain::stay::{Account, Fact, Outcome, Taking, account_beside};
use crate::ledger::RULES_VERSION;
use crate::ledger::apply::UNREAD;
use crate::ledger::storage::{EventRef, Lookup as _};
use crate::replication::log::{ChainHash, EventBytes};
use crate::store::error::StoreError;
use crate::store::schema::{MAX_SEQ, event_place, event_row_of};

/// What became of one exit, or of one opening for a car nobody could read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToldExit {
    /// Its place, `{log}/{number}`.
    pub fact: String,
    /// Its identity: its place, or the digest of what a predecessor said.
    pub id: String,
    /// When it happened, Unix ms.
    pub exit_ms: i64,
    /// A name of [`Outcome`]; `unread`: an opening for a car nobody could read; `read`: which car it was is known by now; `copy`: it counts
    /// where another central heard it.
    pub outcome: &'static str,
    /// The places of what decides that and the amount: the exit it repeats, the void, the corrections in order.
    pub because: Vec<String>,
    /// `None`: it counts for nothing.
    pub counts: Option<CountedExit>,
    /// What the invoice program made of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invoices: Vec<ToldInvoice>,
}

/// What an exit adds to the sums, as [`super::Takings`] tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountedExit {
    pub central: String,
    pub edge_id: String,
    pub by: String,
    pub method: String,
    pub camera_type: String,
    /// VND.
    pub revenue: i64,
    /// What of it was paid in other ways than `method`, and counts in the sums of those: way, VND. It is one exit, of `method`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<(Method, Vnd)>,
    /// What was paid beyond it, VND: in no sum.
    #[serde(skip_serializing_if = "is_zero")]
    pub excess: i64,
}

impl CountedExit {
    fn of(taking: &Taking, type_of_stay: Option<&str>) -> Self {
        let told = &taking.told_apart;
        Self {
            central: taking.central.clone(),
            edge_id: taking.edge_id.clone(),
            by: told.by.clone(),
            method: told.method.clone(),
            camera_type: type_of_stay.unwrap_or(&told.camera_type).to_owned(),
            revenue: taking.fee.0,
            also: taking.also.clone(),
            excess: taking.excess.0,
        }
    }
}

impl Reader {
    /// What became of the exit that the event at this place is; `None`: it is none.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn told_exit(&mut self, log: &LogId, seq: u64, event: &Event) -> Result<Option<ToldExit>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let place = format!("{log}/{seq}");
        if let Body::Unread(opening) = &event.body {
            if opening.direction != Direction::Exit {
                return Ok(None);
            }
            let row = self.logs.row(&transaction, log, seq)?;
            let mut stands = transaction.prepare_cached("SELECT 1 FROM quarantine WHERE event = ?1 AND reason = ?2")?;
            let stands = stands.exists((row, UNREAD))?;
            return Ok(Some(ToldExit {
                fact: place.clone(),
                id: place,
                exit_ms: event.timestamp_ms,
                outcome: if stands { UNREAD } else { "read" },
                because: Vec::new(),
                counts: stands.then(|| CountedExit::of(&Taking::of_opening(event, opening), None)),
                invoices: row.map(|row| invoices_of(&transaction, None, row)).transpose()?.unwrap_or_default(),
            }));
        }
        if !matches!(event.body, Body::Exit(_)) {
            return Ok(None);
        }
        let mut held = Snapshot { connection: &transaction, logs: &mut self.logs };
        let Some(fact) = held.fact(&EventRef { log: log.clone(), seq })? else { return Ok(None) };
        let (facts, neighbours) = held.facts_with(&fact)?;
        let row = self.logs.row(&transaction, log, seq)?;
        let invoices = row.map(|row| invoices_of(&transaction, None, row)).transpose()?.unwrap_or_default();
        Ok(Some(ToldExit { invoices, ..told(&fact, &facts, &account_beside(&facts, &neighbours)) }))
    }
}

fn told(exit: &Fact, facts: &[Fact], account: &Account) -> ToldExit {
    let place_of = |id: &FactId| {
        let copies = facts.iter().filter(|fact| fact.id == *id);
        copies.min_by_key(|copy| copy.copy_order()).map_or_else(|| id.to_string(), place)
    };
    let (counting, outcome) = (place_of(&exit.id), account.outcomes.get(&exit.id));
    let taking = account.resolution.takings.iter().find(|taking| taking.fact == exit.id);
    let mut because = Vec::new();
    if let Some(Outcome::Repeated { first: other } | Outcome::Removed { by: other, .. }) = outcome {
        because.push(place_of(other));
    }
    let mut corrections: Vec<&Fact> = facts.iter().filter(|fact| corrects(fact, &exit.id)).collect();
    corrections.sort_by_key(|fact| fact.place());
    because.extend(corrections.into_iter().map(place));
    let stay = account.resolution.rows.iter().find(|row| row.exit.as_ref().is_some_and(|by| by.fact == exit.id));
    let here = place(exit);
    let is_copy = counting != here;
    ToldExit {
        id: exit.id.to_string(),
        exit_ms: exit.event.timestamp_ms,
        outcome: if is_copy { "copy" } else { outcome.map_or("skipped", Outcome::name) },
        because: if is_copy { vec![counting] } else { because },
        counts: taking
            .filter(|_| !is_copy)
            .map(|taking| CountedExit::of(taking, stay.map(|row| row.camera_type.as_str()))),
        invoices: Vec::new(),
        fact: here,
    }
}

fn place(fact: &Fact) -> String {
    format!("{}/{}", fact.event.log, fact.event.seq)
}

fn corrects(fact: &Fact, exit: &FactId) -> bool {
    let Body::Correction(correction) = &fact.event.body else { return false };
    let of_fee = correction.right_fee.as_ref().map(|right| &right.exit);
    let of_method = correction.right_method.as_ref().map(|right| &right.exit);
    of_fee == Some(exit) || of_method == Some(exit)
}

impl Reader {
    /// How many events wait to be counted.
    ///
    /// # Errors
    /// [`StoreError::OtherVersion`]: the history was made by other rules, or is being made anew.
    pub fn uncounted(&mut self, path: &Path) -> Result<u64, StoreError> {
        let rules: u32 = self.connection.query_row("SELECT rules FROM ledger", (), |row| row.get(0))?;
        if rules != RULES_VERSION {
            return Err(StoreError::OtherVersion { path: path.to_owned() });
        }
        let waiting: i64 = self.connection.query_row("SELECT count(*) FROM waiting", (), |row| row.get(0))?;
        Ok(waiting.cast_unsigned())
    }

    /// How many events of a log, which are held up to `to`, came here before `before_ms`. (Their own clocks do not grow along a log: what is told
    /// late, and an exit that is written anew, has an earlier one.)
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn events_before(&mut self, log: &LogId, to: u64, before_ms: i64) -> Result<u64, StoreError> {
        let mut came = self.connection.prepare_cached("SELECT committed_ms FROM event WHERE id = ?1")?;
        let (mut known_before, mut known_after) = (0, to + 1);
        while known_after - known_before > 1 {
            let middle = known_before + (known_after - known_before) / 2;
            let row = self.logs.row(&self.connection, log, middle)?;
            let came_ms: Option<i64> = came.query_row([row], |row| row.get(0)).optional()?;
            // What cannot be read is looked at.
            if came_ms.is_none_or(|came_ms| came_ms >= before_ms) {
                known_after = middle
            } else {
                known_before = middle
            }
        }
        Ok(known_before)
    }

    /// The hash of a log at a place, as it was stored; `None`: no event is there.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn hash_at(&mut self, log: &LogId, seq: u64) -> Result<Option<ChainHash>, StoreError> {
        if seq == 0 {
            return Ok(Some(ChainHash::genesis(log)));
        }
        let row = self.logs.row(&self.connection, log, seq)?;
        let mut statement = self.connection.prepare_cached("SELECT hash FROM event WHERE id = ?1")?;
        statement.query_row([row], |row| Ok(read_hash(row.get_ref(0)?))).optional()?.transpose()
    }

    /// The events after `after`, at most so many, each with its hash as it was stored. Unlike [`Reader::run`] it gives also what is
    /// damaged, to be found by whoever checks.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn written(
        &mut self,
        log: &LogId,
        after: u64,
        most: u64,
    ) -> Result<Vec<(u64, EventBytes, ChainHash)>, StoreError> {
        let Some(number) = self.logs.find(&self.connection, log)? else { return Ok(Vec::new()) };
        let last = after.saturating_add(most).min(MAX_SEQ);
        let rows = (event_row_of(log, number, after)?, event_row_of(log, number, last)?);
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, bytes, hash FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id")?;
        let mut rows = statement.query(rows)?;
        let mut written = Vec::new();
        while let Some(row) = rows.next()? {
            written.push((event_place(row.get(0)?).1, read_event(row.get_ref(1)?)?, read_hash(row.get_ref(2)?)?));
        }
        Ok(written)
    }
}
