//! What the invoice program is still to be told of the exits of this central, and what it answered.
//!
//! - Of each own log it is known by what was answered up to where all its exits are settled: behind that they are looked for. So nothing beside the
//!   log says what was told.
//! - What is taken at an exit is read where invoices are compared with it, so that both say the same whatever is being applied.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::Reader;
use super::events::read_event;
use super::rows::HistoryRow;
use crate::domain::direction::Direction;
use crate::domain::event::{Body, Event, type_name};
use crate::domain::ids::{CentralId, FactId, Hlc, LogId};
use crate::domain::money::Vnd;
use crate::domain::payment::Method;
use crate::ledger::storage::EventRef;
use crate::store::error::StoreError;
use crate::store::schema::{MAX_SEQ, event_row_of};

/// Events read at a time.
const EVENTS_AT_ONCE: u64 = 500;
/// What is told by a clock that is so much before that of its event is looked for, too.
const MARGIN_MS: i64 = 7 * 86_400_000;

/// How far each own log was looked through.
#[derive(Debug, Clone, Default)]
pub struct InvoiceScan {
    logs: BTreeMap<LogId, u64>,
}

/// Which exits are to be told.
#[derive(Debug, Clone)]
pub struct InvoiceQuestion {
    pub central: CentralId,
    /// Exits from this moment on, Unix ms.
    pub from_ms: i64,
    /// What became known here between this moment and now may still change at the gate.
    pub settled_ms: i64,
    pub now_ms: i64,
    /// Also those at which nothing was taken.
    pub with_free: bool,
}

/// An exit that is to be told, and since when it is known here, Unix ms.
pub type ExitToTell = (EventRef, i64);

/// What is to be said of an exit.
#[derive(Debug, Clone, PartialEq)]
pub struct InvoiceDue {
    pub event: Event,
    /// What was taken, as it is now; `None`: it counts for nothing.
    pub taken: Option<TakenNow>,
    /// The stay it ended, where it is on one.
    pub row: Option<HistoryRow>,
    /// What was answered last.
    pub before: Option<InvoiceBefore>,
}

/// What was taken at an exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenNow {
    pub amount: Vnd,
    /// As takings are told apart.
    pub method: String,
    pub camera_type: String,
    pub by: String,
    /// What of it was paid in other ways.
    pub also: Vec<(Method, Vnd)>,
}

/// The last invoice of an exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceBefore {
    /// The event that says so, and its clock.
    pub fact: String,
    pub hlc: Hlc,
    pub amount: Vnd,
    pub number: Option<String>,
    pub code: Option<String>,
}

/// An invoice as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ToldInvoice {
    /// Null: the invoice program makes none for this exit.
    pub number: Option<String>,
    /// What it is looked up by.
    pub code: Option<String>,
    /// What the invoices of its exit come to with this one, VND.
    pub amount: i64,
    /// When it was made, Unix ms.
    pub at_ms: i64,
    /// What is taken at its exit by now, where that is another amount than its last invoice says; the program is told so next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_now: Option<i64>,
}

impl InvoiceScan {
    /// Up to where all exits of a log are settled, if `open` are those of it that are not.
    pub fn done_to(&self, log: &LogId, open: impl Iterator<Item = u64>) -> u64 {
        let looked = self.logs.get(log).copied().unwrap_or(0);
        open.min().map_or(looked, |first| looked.min(first.saturating_sub(1)))
    }
}

impl Reader {
    /// Exits behind what was looked through that the program is to be told of, at most `most`.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn exits_to_invoice(
        &mut self,
        scan: &mut InvoiceScan,
        question: &InvoiceQuestion,
        most: usize,
    ) -> Result<Vec<ExitToTell>, StoreError> {
        let mut found = Vec::new();
        for (log, end) in self.logs_of(&question.central)? {
            let mut at = match scan.logs.get(&log) {
                Some(at) => *at,
                None => {
                    let early = self.events_before(&log, end, question.from_ms.saturating_sub(MARGIN_MS))?;
                    self.settled_to(&log)?.max(early)
                }
            };
            'log: while at < end && found.len() < most {
                let events = self.written(&log, at, EVENTS_AT_ONCE)?;
                if events.is_empty() {
                    break;
                }
                for (seq, bytes, _) in events {
                    let place = EventRef { log: log.clone(), seq };
                    let exit = exit_of(&bytes).filter(|event| event.timestamp_ms >= question.from_ms);
                    if let Some(event) = exit {
                        let Some(known_ms) = self.known_and_applied(&place)? else { break 'log };
                        let is_fresh = (question.settled_ms.saturating_add(1)..=question.now_ms).contains(&known_ms);
                        if is_fresh || found.len() >= most {
                            break 'log;
                        }
                        let taken = self.taken_now(&place, event.timestamp_ms)?;
                        let counts = taken.is_some_and(|taken| question.with_free || taken.amount > Vnd(0));
                        if counts && self.invoice_before(&place)?.is_none() {
                            found.push((place, known_ms));
                        }
                    }
                    at = seq;
                }
            }
            scan.logs.insert(log, at);
        }
        Ok(found)
    }

    /// Own exits whose invoices say another amount than is taken there by now, or whose money was corrected before they were told; since now.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn unfit_invoices(&mut self, question: &InvoiceQuestion, most: usize) -> Result<Vec<ExitToTell>, StoreError> {
        // What waits to be applied may change any of them.
        if self.connection.prepare_cached("SELECT 1 FROM waiting LIMIT 1")?.exists(())? {
            return Ok(Vec::new());
        }
        let sql = "SELECT exit FROM invoiced_exit WHERE amount <> taken AND exit_ms >= ?1 AND typeof(exit) = 'integer' ORDER BY exit_ms";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([question.from_ms])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()?
            && found.len() < most
        {
            let place = self.logs.place(&self.connection, row.get(0)?)?;
            if place.log.central == question.central {
                found.push((place, question.now_ms));
            }
        }
        Ok(found)
    }

    /// What is to be said of an exit now; `None`: nothing, or no more.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn invoice_due(&mut self, exit: &EventRef, with_free: bool) -> Result<Option<InvoiceDue>, StoreError> {
        let Some(before) = exit.seq.checked_sub(1) else { return Ok(None) };
        let written = self.written(&exit.log, before, 1)?;
        let Some(event) = written.first().and_then(|(_, bytes, _)| exit_of(bytes)) else { return Ok(None) };
        let taken = self.taken_now(exit, event.timestamp_ms)?;
        let amount = taken.as_ref().map_or(Vnd(0), |taken| taken.amount);
        let before = self.invoice_before(exit)?;
        let is_due = match &before {
            Some(before) => before.amount != amount,
            None => amount > Vnd(0) || with_free && taken.is_some(),
        };
        if !is_due {
            return Ok(None);
        }
        let stay = event.exit_stay().or(event.event_id.as_deref());
        let row = stay.map(|stay| self.stay_that_counts(stay)).transpose()?.flatten();
        Ok(Some(InvoiceDue { event, taken, row, before }))
    }

    fn settled_to(&mut self, log: &LogId) -> Result<u64, StoreError> {
        let Some(number) = self.logs.find(&self.connection, log)? else { return Ok(0) };
        let span = (event_row_of(log, number, 0)?, event_row_of(log, number, MAX_SEQ)?);
        let sql = "SELECT max(done_to) FROM invoiced_exit WHERE exit BETWEEN ?1 AND ?2";
        let settled: Option<i64> = self.connection.prepare_cached(sql)?.query_row(span, |row| row.get(0))?;
        Ok(settled.map_or(0, i64::cast_unsigned))
    }

    /// When it became known here, Unix ms; `None`: it is not applied yet.
    fn known_and_applied(&mut self, at: &EventRef) -> Result<Option<i64>, StoreError> {
        let row = self.logs.row(&self.connection, &at.log, at.seq)?;
        let sql =
            "SELECT committed_ms FROM event WHERE id = ?1 AND id NOT IN (SELECT event FROM waiting WHERE event = ?1)";
        Ok(self.connection.prepare_cached(sql)?.query_row([row], |row| row.get(0)).optional()?)
    }

    fn taken_now(&mut self, exit: &EventRef, exit_ms: i64) -> Result<Option<TakenNow>, StoreError> {
        let row = self.logs.row(&self.connection, &exit.log, exit.seq)?;
        let sql = "SELECT fee, method, camera_type, taken_by, also FROM taking WHERE exit_ms = ?1 AND fact = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query((exit_ms, row))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let also: Option<String> = row.get(4)?;
        let also = also.as_deref().map(serde_json::from_str).transpose();
        Ok(Some(TakenNow {
            amount: Vnd(row.get(0)?),
            method: row.get(1)?,
            camera_type: row.get(2)?,
            by: row.get(3)?,
            also: also.map_err(|_| StoreError::Value("a way of payment".into()))?.unwrap_or_default(),
        }))
    }

    fn invoice_before(&mut self, exit: &EventRef) -> Result<Option<InvoiceBefore>, StoreError> {
        let row = self.logs.row(&self.connection, &exit.log, exit.seq)?;
        let sql = "SELECT fact, hlc, amount FROM invoiced_exit WHERE exit = ?1 AND hlc > 0";
        let mut statement = self.connection.prepare_cached(sql)?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?));
        let Some((fact, hlc, amount)) = statement.query_row([row], read).optional()? else { return Ok(None) };
        drop(statement);
        let hlc = Hlc::new(hlc).map_err(|_| StoreError::Value("clock of an invoice".into()))?;
        let mut before = InvoiceBefore { fact, hlc, amount: Vnd(amount), number: None, code: None };
        if let Ok(FactId::Authored { log, seq }) = before.fact.parse()
            && let Some((_, bytes, _)) = self.written(&log, seq.saturating_sub(1), 1)?.first()
            && let Ok(Event { body: Body::Invoiced(invoiced), .. }) = Event::parse(bytes)
        {
            (before.number, before.code) = (invoiced.number, invoiced.code);
        }
        Ok(Some(before))
    }
}

/// The event, if it is one that lets a car out; cheap for all others.
fn exit_of(bytes: &str) -> Option<Event> {
    let may_be = bytes.contains(type_name::EXIT) || bytes.contains(type_name::UNREAD);
    let event = may_be.then(|| Event::parse(bytes).ok()).flatten()?;
    let is_exit = match &event.body {
        Body::Exit(_) => true,
        Body::Unread(opening) => opening.direction == Direction::Exit,
        _ => false,
    };
    is_exit.then_some(event)
}

/// The invoices of an exit, and of the stay it ended if that is named, in their order.
pub(super) fn invoices_of(
    connection: &rusqlite::Connection,
    stay: Option<&str>,
    exit: i64,
) -> Result<Vec<ToldInvoice>, StoreError> {
    let sql = "SELECT bytes, amount, taken, hlc FROM (SELECT event, exit FROM invoice WHERE exit = ?1 UNION SELECT event, exit FROM invoice WHERE stay = ?2) \
               AS one JOIN event ON event.id = one.event LEFT JOIN invoiced_exit ON invoiced_exit.exit = one.exit";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((exit, stay))?;
    let mut found: Vec<(Hlc, ToldInvoice)> = Vec::new();
    while let Some(row) = rows.next()? {
        let Ok(event) = Event::parse(&read_event(row.get_ref(0)?)?) else { continue };
        let Body::Invoiced(invoiced) = event.body else { continue };
        let (amount, taken, latest): (Option<i64>, Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let is_last = latest == Some(event.hlc.ms());
        found.push((
            event.hlc,
            ToldInvoice {
                number: invoiced.number,
                code: invoiced.code,
                amount: invoiced.amount.0,
                at_ms: event.timestamp_ms,
                taken_now: taken.filter(|taken| is_last && amount != Some(*taken)),
            },
        ));
    }
    found.sort_by_key(|(hlc, _)| *hlc);
    Ok(found.into_iter().map(|(_, invoice)| invoice).collect())
}
