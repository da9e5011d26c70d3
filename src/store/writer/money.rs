//! What was taken at exits, shifts, and what corrections and voids changed.

use super::Writer;
use crate::domain::doer::Doer;
use crate::domain::event::{Body, Event};
use crate::domain::received::PaymentReceived;
use crate::domain::stay::Taking;
use crate::ledger::storage::{EventRef, Shift};
use crate::store::books::StoredBooks;
use crate::store::error::StoreError;

impl Writer {
    pub(super) fn books(&mut self) -> StoredBooks<'_> {
        StoredBooks { connection: &self.connection, logs: &mut self.logs }
    }

    pub(super) fn write_taking(&mut self, taking: &Taking, is_taken: bool) -> Result<(), StoreError> {
        let fact = self.fact_value(&taking.fact)?;
        let Taking { central, edge_id, exit_ms, fee, told_apart, .. } = taking;
        if !is_taken {
            let sql = "DELETE FROM taking WHERE central = ?1 AND edge_id = ?2 AND exit_ms = ?3 AND fact = ?4";
            self.connection.prepare_cached(sql)?.execute((central, edge_id, exit_ms, fact))?;
            return Ok(());
        }
        let sql = "INSERT OR REPLACE INTO taking VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let (by, method, camera_type) = (&told_apart.by, &told_apart.method, &told_apart.camera_type);
        let values = (central, edge_id, exit_ms, fact, by, method, camera_type, fee.0);
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    pub(super) fn add_money_changes(&mut self, at: &EventRef, event: &Event) -> Result<(), StoreError> {
        let row = self.row_of(&at.log, at.seq)?;
        let by = event.person().unwrap_or_default();
        for (no, money) in (0_i64..).zip(event.money()) {
            let exit = self.fact_value(&money.exit)?;
            let (central, edge_id, exit_ms) = (&money.central, &money.edge_id, money.exit_ms);
            let (taken_by, method) = (&money.taken_by, &money.method);
            let sql = "INSERT OR REPLACE INTO money_change VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
            self.connection.prepare_cached(sql)?.execute((
                row,
                no,
                by,
                event.timestamp_ms,
                central,
                edge_id,
                exit_ms,
                exit,
                taken_by,
                method,
                money.change(),
            ))?;
        }
        Ok(())
    }

    /// The numbers of logs are this file's own: what lies first by its clock, and of two with one clock by its log's name, is the first
    /// everywhere.
    pub(super) fn find_payment(&mut self, reference: &str) -> Result<Option<EventRef>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT hlc, event FROM payment WHERE reference = ?1")?;
        let mut rows = statement.query([reference])?;
        let mut first: Option<(i64, EventRef)> = None;
        while let Some(row) = rows.next()? {
            let found = (row.get(0)?, self.logs.place(&self.connection, row.get(1)?)?);
            if first.as_ref().is_none_or(|first| found < *first) {
                first = Some(found);
            }
        }
        Ok(first.map(|(_, at)| at))
    }

    pub(super) fn add_payment(&mut self, at: &EventRef, event: &Event) -> Result<(), StoreError> {
        let Body::PaymentReceived(payment) = &event.body else { return Ok(()) };
        let row = self.row_of(&at.log, at.seq)?;
        let by = event.by.as_ref().and_then(Doer::text);
        let PaymentReceived { reference, method, amount, stay, text } = payment;
        let sql = "INSERT OR REPLACE INTO payment VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values = (row, event.hlc.ms(), event.timestamp_ms, reference, stay, method.name(), amount.0, text, by);
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    pub(super) fn write_shift(&mut self, shift: &Shift) -> Result<(), StoreError> {
        let mut row = |place: Option<&EventRef>| place.map(|at| self.row_of(&at.log, at.seq)).transpose();
        let opened = row(shift.opened.as_ref().map(|opening| &opening.place.1))?;
        let closed = row(shift.closed.as_ref().map(|closing| &closing.place.1))?;
        self.books().write(shift, opened, closed)
    }
}
