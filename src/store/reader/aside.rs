//! Events that have no effect on any row: those set aside because nobody here understands them, and those that wait for
//! their entry. Few; newest log places last.

use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

use super::Reader;
use super::runs::read_event;
use crate::domain::direction::Direction;
use crate::domain::event::{Body, Event};
use crate::domain::explain::apart;
use crate::domain::explain::words::Text;
use crate::domain::stay::Outcome;
use crate::domain::time::SiteZone;
use crate::ledger::apply::UNREAD;
use crate::store::error::StoreError;
use crate::store::log_numbers::LogNumbers;

use super::story::place;

/// Why an event has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsideKind {
    /// It is not understood here.
    Quarantined,
    /// Its entry is not held yet.
    Waiting,
    /// A gate opened for a car that could not be read; they are among the quarantined, too, for they are on no row.
    Unread,
}

impl AsideKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Waiting => "waiting",
            Self::Unread => UNREAD,
        }
    }

    /// `?1`: the row number of the event to go on behind, `?2`: how many.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Quarantined => "SELECT event, reason FROM quarantine WHERE event > ?1 ORDER BY event LIMIT ?2",
            Self::Unread => {
                "SELECT event, reason FROM quarantine WHERE event > ?1 AND reason = 'unread' ORDER BY event LIMIT ?2"
            }
            Self::Waiting => "SELECT event, NULL FROM loose_fact WHERE waiting AND event > ?1 ORDER BY event LIMIT ?2",
        }
    }
}

/// One event set aside.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Aside {
    /// The place it lies at here: the cursor.
    #[serde(skip)]
    pub row: i64,
    pub kind: &'static str,
    /// `{log}/{number}`.
    pub fact: String,
    /// `None` where not even that can be read.
    #[serde(rename = "type")]
    pub type_name: Option<&'static str>,
    pub event_id: Option<String>,
    pub central: String,
    pub edge_id: Option<String>,
    pub time_ms: Option<i64>,
    pub time: Option<String>,
    pub known_ms: i64,
    pub known: String,
    /// Of an exit, and of an opening for a car that could not be read: in or out, and what was taken, in đồng.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<i64>,
    #[serde(flatten)]
    pub text: Text,
}

impl Reader {
    /// Events set aside, behind the place `after`, at most `limit`.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn aside(
        &mut self,
        kind: AsideKind,
        after: i64,
        limit: usize,
        zone: &SiteZone,
    ) -> Result<Vec<Aside>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let mut statement = transaction.prepare_cached(kind.sql())?;
        let mut rows = statement.query((after, i64::try_from(limit).unwrap_or(i64::MAX)))?;
        let mut aside = Vec::new();
        while let Some(row) = rows.next()? {
            aside.push(one(&transaction, &mut self.logs, kind, row.get(0)?, row.get(1)?, zone)?);
        }
        Ok(aside)
    }
}

fn one(
    connection: &Connection,
    logs: &mut LogNumbers,
    kind: AsideKind,
    row: i64,
    reason: Option<String>,
    zone: &SiteZone,
) -> Result<Aside, StoreError> {
    let fact = logs.fact(connection, row)?;
    let mut statement = connection.prepare_cached("SELECT bytes, committed_ms FROM event WHERE id = ?1")?;
    let (bytes, known_ms) =
        statement.query_row([row], |found| Ok((read_event(found.get_ref(0)?), found.get::<_, i64>(1)?)))?;
    let event = Event::parse(&bytes?).ok();
    let outcome = match (kind, &event) {
        (AsideKind::Waiting, Some(event)) => {
            let stay = event.exit_stay().or(event.event_id.as_deref()).unwrap_or_default().to_owned();
            Outcome::Waits { stay }
        }
        _ => Outcome::Skipped { reason: reason.unwrap_or_default() },
    };
    let text = apart(&fact, event.as_ref(), &outcome, zone);
    let from = event.as_ref().map(place);
    let log_central = fact.to_string().split('/').next().unwrap_or_default().to_owned();
    let (central, edge_id) = from.unwrap_or((log_central, None));
    let passage = event.as_ref().and_then(|event| match &event.body {
        Body::Unread(opening) => Some((opening.direction, opening.taken())),
        Body::Exit(exit) => Some((Direction::Exit, Some(exit.fee))),
        _ => None,
    });
    let is_unread = matches!(event.as_ref().map(|event| &event.body), Some(Body::Unread(_)));
    Ok(Aside {
        row,
        kind: if is_unread { AsideKind::Unread } else { kind }.name(),
        fact: fact.to_string(),
        type_name: event.as_ref().map(|event| event.body.type_name()),
        event_id: event.as_ref().and_then(|event| event.event_id.clone()),
        central,
        edge_id,
        time_ms: event.as_ref().map(|event| event.timestamp_ms),
        time: event.as_ref().map(|event| zone.local_text(event.timestamp_ms)),
        known_ms,
        known: zone.local_text(known_ms),
        direction: passage.map(|(direction, _)| direction.name()),
        fee: passage.and_then(|(_, taken)| taken).map(|fee| fee.0),
        text,
    })
}
