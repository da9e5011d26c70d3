//! What gates say was paid by transfer, held against what banks told and against each other: money that never came, and one reference for two cars.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::Reader;
use super::events::read_event;
use super::rows::corrected;
use crate::domain::doer::Doer;
use crate::domain::event::{Body, Event};
use crate::domain::payment::Method;
use crate::domain::stay::Fact;
use crate::store::error::StoreError;

/// A bank that told nothing for so long before is none that tells, in ms.
const TELLS_WITHIN_MS: i64 = 30 * 86_400_000;
/// So many exits at most are looked at.
const MOST_LOOKED: usize = 50_000;

/// An exit that says it was paid by transfer, where that is in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClaimedTransfer {
    /// The exit, `{log}/{number}`.
    pub fact: String,
    /// The stay.
    pub event_id: String,
    pub plate_view: String,
    pub exit_ms: i64,
    pub central: String,
    pub edge_id: String,
    /// As `exit_by` of the history.
    pub by: Option<String>,
    pub method: &'static str,
    pub reference: Option<String>,
    /// What it says was paid by QR or transfer, VND.
    pub amount: i64,
    /// What of that no bank told, VND.
    pub missing: i64,
    /// The stays of other exits of these days that name the same reference.
    pub same_reference: Vec<String>,
}

/// What an exit says of transfers.
struct SaidTransfer {
    event: Event,
    method: Method,
    reference: Option<String>,
    amount: i64,
}

impl Reader {
    /// Exits from `from_ms` until before `to_ms` that name the reference of another, and, where a bank tells of payments at all, those before
    /// `settled_ms` that say more was transferred than any told; at most `most`, and whether that is all.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn claimed_transfers(
        &mut self,
        (from_ms, to_ms): (i64, i64),
        settled_ms: i64,
        most: usize,
    ) -> Result<(Vec<ClaimedTransfer>, bool), StoreError> {
        let claims = self.claims(from_ms, to_ms)?;
        let is_whole = claims.len() < MOST_LOOKED;
        let mut by_reference: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for claim in &claims {
            if let (Some(reference), Some(stay)) = (&claim.reference, claim.event.event_id.as_deref()) {
                let stays = by_reference.entry(reference).or_default();
                if !stays.contains(&stay) {
                    stays.push(stay);
                }
            }
        }
        let tells = "SELECT 1 FROM payment WHERE at_ms >= ?1 AND at_ms < ?2 LIMIT 1";
        let span = (from_ms.saturating_sub(TELLS_WITHIN_MS), to_ms);
        let tells = self.connection.prepare_cached(tells)?.exists(span)?;
        let mut found = Vec::new();
        for claim in &claims {
            let Some(stay) = claim.event.event_id.as_deref() else { continue };
            let others = claim.reference.as_deref().and_then(|reference| by_reference.get(reference));
            let others = others.into_iter().flatten().filter(|other| **other != stay);
            let same_reference: Vec<String> = others.map(|other| (*other).to_owned()).collect();
            let is_due = tells && claim.event.timestamp_ms < settled_ms;
            let missing = if is_due { self.not_told(stay, claim.amount)? } else { 0 };
            if missing == 0 && same_reference.is_empty() {
                continue;
            }
            if found.len() == most {
                return Ok((found, false));
            }
            found.push(shown(claim, stay, missing, same_reference));
        }
        Ok((found, is_whole))
    }

    /// What of an amount no bank told for a stay.
    fn not_told(&mut self, stay: &str, amount: i64) -> Result<i64, StoreError> {
        // Nearly always it is one payment that names the stay, of just as much, and nobody has said anything of it.
        let one = "SELECT count(*), sum(amount), sum(EXISTS(SELECT 1 FROM payment_assigned WHERE \
                   payment_assigned.reference = payment.reference)) FROM payment WHERE stay = ?1 AND method IN ('qr', 'transfer')";
        let mut statement = self.connection.prepare_cached(one)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<i64>>(2)?))
        };
        if statement.query_row([stay], read)? == (1, Some(amount), Some(0)) {
            return Ok(0);
        }
        drop(statement);
        let told = self.payments_of(stay)?;
        let counts = told.iter().filter(|one| {
            matches!(one.method.as_str(), "qr" | "transfer") && !matches!(one.state, "conflict" | "done")
        });
        Ok((amount - counts.map(|one| one.amount).sum::<i64>()).max(0))
    }

    /// The exits of a time at which something was transferred, as corrected.
    fn claims(&mut self, from_ms: i64, to_ms: i64) -> Result<Vec<SaidTransfer>, StoreError> {
        let sql = "SELECT fact FROM taking WHERE exit_ms >= ?1 AND exit_ms < ?2 AND typeof(fact) = 'integer' AND fee > 0 AND \
                   (method IN ('qr', 'transfer') OR also IS NOT NULL) ORDER BY exit_ms LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let limit = i64::try_from(MOST_LOOKED).unwrap_or(i64::MAX);
        let facts: Vec<i64> =
            statement.query_map((from_ms, to_ms, limit), |row| row.get(0))?.collect::<Result<_, _>>()?;
        drop(statement);
        let mut claims = Vec::new();
        for row in facts {
            let mut statement = self.connection.prepare_cached("SELECT bytes FROM event WHERE id = ?1")?;
            let bytes = statement.query_row([row], |row| Ok(read_event(row.get_ref(0)?))).optional()?.transpose()?;
            let Some(fact) = bytes.as_deref().and_then(Fact::read) else { continue };
            let Body::Exit(exit) = &fact.event.body else { continue };
            let stay = fact.event.exit_stay().or(fact.event.event_id.as_deref()).unwrap_or_default();
            let text = bytes.as_deref().unwrap_or_default();
            let corrected = corrected(&self.connection, text, stay)?;
            let Some(paid) = corrected.or_else(|| exit.paid.clone()) else { continue };
            let is_transfer = |method: Method| matches!(method, Method::Qr | Method::Transfer);
            let ways: Vec<_> = paid.ways().filter(|(method, ..)| is_transfer(*method)).collect();
            let Some((method, ..)) = ways.first() else { continue };
            claims.push(SaidTransfer {
                method: *method,
                reference: ways.iter().find_map(|(.., reference)| reference.map(str::to_owned)),
                amount: ways.iter().map(|(_, amount, _)| amount.0).sum(),
                event: (*fact.event).clone(),
            });
        }
        Ok(claims)
    }
}

fn shown(claim: &SaidTransfer, stay: &str, missing: i64, same_reference: Vec<String>) -> ClaimedTransfer {
    let event = &claim.event;
    let (central, edge_id, plate, by) = match &event.body {
        Body::Exit(exit) => {
            let plate =
                exit.plate_view.clone().or_else(|| exit.plate_id.as_ref().map(|plate| plate.as_str().to_owned()));
            (exit.exit_central.clone(), exit.exit_edge.clone(), plate, exit.taken_by.as_ref().or(event.by.as_ref()))
        }
        _ => (event.source_central.clone(), String::new(), None, event.by.as_ref()),
    };
    ClaimedTransfer {
        fact: event.fact_id().to_string(),
        event_id: stay.to_owned(),
        plate_view: plate.unwrap_or_default(),
        exit_ms: event.timestamp_ms,
        central,
        edge_id,
        by: by.and_then(Doer::text),
        method: claim.method.name(),
        reference: claim.reference.clone(),
        amount: claim.amount,
        missing,
        same_reference,
    }
}
