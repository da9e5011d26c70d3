//! Events, and the tables that point at them: loose facts, requests, sums, takings and shifts, settings, and the audit, which is added
//! to at its end, each entry chained to the one before it.

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row};

use super::Writer;
use super::settings::setting_name;
use crate::domain::audit::{AuditEntry, AuditHash};
use crate::domain::doer::Doer;
use crate::domain::event::{Body, Event};
use crate::domain::hash::HashMap;
use crate::domain::ids::{Hlc, LogId};
use crate::domain::plate::PlateId;
use crate::domain::received::{PaymentAssigned, PaymentReceived};
use crate::domain::stay::{TakenAs, Taking};
use crate::ledger::sheet::{self, Reckoning, Span};
use crate::ledger::storage::{
    DirtyFact, EventRef, LooseFact, Setting, SettingKind, Shift, Summary, Tables, TotalChange, TotalKey,
};
use crate::replication::log::{ChainHash, EventBytes, Head};
use crate::store::books::{self, PAYMENTS_UNDER, RECOUNTS, StoredBooks};
use crate::store::error::StoreError;
use crate::store::log_numbers::LogNumbers;
use crate::store::lookup::Connected;
use crate::store::schema::{event_row_of, request_key, request_weeks};

/// The sums that were last added to: those of this quarter of an hour, mostly. To add to a known one is to write one row.
#[derive(Debug, Default)]
pub(super) struct KnownTotals(HashMap<TotalKey, TotalChange>);

impl KnownTotals {
    /// Beyond this many all are forgotten, which only costs reading them.
    const MOST: usize = 4_096;

    fn know(&mut self, key: TotalKey, total: TotalChange) {
        if self.0.len() >= Self::MOST {
            self.forget();
        }
        self.0.insert(key, total);
    }

    /// Sums changed, or may have.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Tables for Writer {
    fn greatest_loose_hlc(&mut self, key: &str) -> Result<Option<Hlc>, StoreError> {
        let sql = "SELECT max(hlc) FROM loose_key WHERE key = ?1";
        let greatest: Option<i64> = self.connection.prepare_cached(sql)?.query_row([key], |row| row.get(0))?;
        greatest.map(clock).transpose()
    }

    fn put_dirty(&mut self, fact: &DirtyFact) -> Result<(), StoreError> {
        let event = self.row_of(&fact.at.log, fact.at.seq)?;
        let (plate, other) = (fact.plate.as_str(), fact.other.as_ref().map(PlateId::as_str));
        let mut statement = self.connection.prepare_cached("INSERT INTO waiting VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?;
        statement.execute((event, fact.hlc.ms(), plate, other, fact.is_entry, fact.since_ms))?;
        Ok(())
    }

    fn remove_dirty(&mut self, at: &EventRef) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("DELETE FROM waiting WHERE event = ?1")?.execute([event])?;
        Ok(())
    }

    fn append_event(
        &mut self,
        at: &EventRef,
        event: &EventBytes,
        hash: ChainHash,
        committed_ms: i64,
    ) -> Result<(), StoreError> {
        let row = self.row_of(&at.log, at.seq)?;
        let mut statement = self.connection.prepare_cached("INSERT INTO event VALUES(?1, ?2, ?3, ?4)")?;
        match statement.execute((row, &**event, &hash.0, committed_ms)) {
            Ok(_) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(StoreError::EventHeld { log: at.log.clone(), seq: at.seq })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn set_head(&mut self, log: &LogId, head: Head) -> Result<(), StoreError> {
        let number = self.number_of(log)?;
        self.connection.prepare_cached("UPDATE log SET head = ?2, hash = ?3 WHERE no = ?1")?.execute((
            number,
            head.to.cast_signed(),
            &head.hash.0,
        ))?;
        Ok(())
    }

    fn put_loose_fact(&mut self, fact: &LooseFact) -> Result<(), StoreError> {
        let event = self.row_of(&fact.at.log, fact.at.seq)?;
        self.connection
            .prepare_cached(
                "INSERT INTO loose_fact VALUES(?1, ?2) ON CONFLICT DO UPDATE SET waiting = excluded.waiting",
            )?
            .execute((event, fact.waiting))?;
        self.connection.prepare_cached("DELETE FROM loose_key WHERE event = ?1")?.execute([event])?;
        let mut statement = self.connection.prepare_cached("INSERT OR IGNORE INTO loose_key VALUES(?1, ?2, ?3)")?;
        for key in &fact.keys {
            statement.execute((key, fact.hlc.ms(), event))?;
        }
        Ok(())
    }

    fn remove_loose_fact(&mut self, at: &EventRef) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("DELETE FROM loose_fact WHERE event = ?1")?.execute([event])?;
        self.connection.prepare_cached("DELETE FROM loose_key WHERE event = ?1")?.execute([event])?;
        Ok(())
    }

    fn put_request(&mut self, edge_id: &str, request_id: &str, at: &EventRef, hlc: Hlc) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("INSERT OR IGNORE INTO request VALUES(?1, ?2, ?3, ?4)")?.execute((
            request_weeks(hlc.ms()),
            request_key(edge_id, request_id),
            event,
            hlc.ms(),
        ))?;
        Ok(())
    }

    fn put_heard(&mut self, fact: &[u8; 32], at: &EventRef) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        let mut statement = self.connection.prepare_cached("INSERT OR IGNORE INTO heard VALUES(?1, ?2)")?;
        statement.execute((fact.as_slice(), event))?;
        Ok(())
    }

    fn add_total(&mut self, key: TotalKey, change: TotalChange) -> Result<(), StoreError> {
        self.open_transaction()?;
        let (quarter, central, edge_id, TakenAs { by, method, camera_type }) = &key;
        let place = (quarter, central, edge_id, by, method, camera_type);
        let held = match self.totals.0.get(&key) {
            Some(known) => *known,
            None => {
                let sql = "SELECT entries, exits, revenue FROM quarter_total \
                           WHERE quarter = ?1 AND central = ?2 AND edge_id = ?3 AND taken_by = ?4 AND method = ?5 AND camera_type = ?6";
                let total = |row: &Row<'_>| {
                    Ok(TotalChange { entries: row.get(0)?, exits: row.get(1)?, revenue_vnd: row.get(2)? })
                };
                self.connection.prepare_cached(sql)?.query_row(place, total).optional()?.unwrap_or_default()
            }
        };
        // A damaged one may be as large as a number can be.
        let sum =
            |held: i64, more| held.checked_add(more).ok_or_else(|| StoreError::Value("a sum of quarter_total".into()));
        let total = TotalChange {
            entries: sum(held.entries, change.entries)?,
            exits: sum(held.exits, change.exits)?,
            revenue_vnd: sum(held.revenue_vnd, change.revenue_vnd)?,
        };
        let TotalChange { entries, exits, revenue_vnd } = total;
        // The table has no other index, so that its place is looked for once.
        let sql = "INSERT OR REPLACE INTO quarter_total VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values = (quarter, central, edge_id, by, method, camera_type, entries, exits, revenue_vnd);
        self.connection.prepare_cached(sql)?.execute(values)?;
        self.totals.know(key, total);
        Ok(())
    }

    fn set_taking(&mut self, taking: &Taking, is_taken: bool) -> Result<(), StoreError> {
        let fact = self.fact_value(&taking.fact)?;
        let Taking { central, edge_id, exit_ms, fee, told_apart, .. } = taking;
        // Most sites have neither, and a press need not look each time.
        if self.has_invoiced()? {
            let taken = if is_taken { fee.0 } else { 0 };
            let sql = "UPDATE invoiced_exit SET taken = ?2 WHERE exit = ?1";
            self.connection.prepare_cached(sql)?.execute((&fact, taken))?;
        }
        if !is_taken {
            let sql = "DELETE FROM taking WHERE exit_ms = ?1 AND fact = ?2";
            self.connection.prepare_cached(sql)?.execute((exit_ms, fact))?;
            return Ok(());
        }
        let sql = "INSERT OR REPLACE INTO taking VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let (by, method, camera_type) = (&told_apart.by, &told_apart.method, &told_apart.camera_type);
        let also = (!taking.also.is_empty()).then(|| serde_json::json!(taking.also).to_string());
        let told_there = books::told_column(taking.told_there);
        let excess = Some(taking.excess.0).filter(|excess| *excess != 0);
        let values = (exit_ms, fact, central, edge_id, by, method, camera_type, fee.0, also, told_there, excess);
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn put_money_changes(&mut self, at: &EventRef, event: &Event) -> Result<(), StoreError> {
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
                &exit,
                taken_by,
                method,
                money.change(),
            ))?;
            let taken = self.taken_at(exit_ms, &exit)?;
            let sql = "INSERT OR IGNORE INTO invoiced_exit VALUES(?1, ?2, 0, '', 0, 0, ?3)";
            self.connection.prepare_cached(sql)?.execute((exit, exit_ms, taken))?;
            self.has_invoiced = Some(true);
        }
        Ok(())
    }

    fn shift(&mut self, id: &str) -> Result<Option<Shift>, StoreError> {
        self.books().one(books::SHIFT, [id])
    }

    fn open_shifts(&mut self) -> Result<Vec<Shift>, StoreError> {
        self.books().find(books::OPEN, ())
    }

    fn last_shift(&mut self, central: &str, edge_id: &str, before_ms: i64) -> Result<Option<Shift>, StoreError> {
        self.books().last_at(central, edge_id, before_ms)
    }

    fn last_taken_ms(&mut self, shift: &Shift, within: Span) -> Result<Option<i64>, StoreError> {
        sheet::last_taken_ms(&mut self.books(), shift, within)
    }

    fn put_shift(&mut self, shift: &Shift) -> Result<(), StoreError> {
        let mut row = |place: Option<&EventRef>| place.map(|at| self.row_of(&at.log, at.seq)).transpose();
        let opened = row(shift.opened.as_ref().map(|opening| &opening.place.1))?;
        let closed = row(shift.closed.as_ref().map(|closing| &closing.place.1))?;
        self.books().write(shift, opened, closed)
    }

    fn shift_figures(&mut self, shift: &Shift) -> Result<Reckoning, StoreError> {
        sheet::figures(&mut self.books(), shift)
    }

    fn recounts(&mut self, id: &str) -> Result<Vec<(Hlc, EventRef)>, StoreError> {
        let mut statement = self.connection.prepare_cached(RECOUNTS)?;
        let mut rows = statement.query([id])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let hlc = Hlc::new(row.get(0)?).map_err(|_| StoreError::Value("clock of a count".into()))?;
            found.push((hlc, self.logs.place(&self.connection, row.get(1)?)?));
        }
        Ok(found)
    }

    fn put_recount(&mut self, at: &EventRef, event: &Event) -> Result<(), StoreError> {
        let Body::ShiftRecounted(recounted) = &event.body else { return Ok(()) };
        let row = self.row_of(&at.log, at.seq)?;
        let sql = "INSERT OR REPLACE INTO shift_recount VALUES(?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute((&recounted.shift, event.hlc.ms(), row))?;
        Ok(())
    }

    fn payments(&mut self, reference: &str) -> Result<Vec<EventRef>, StoreError> {
        let mut statement = self.connection.prepare_cached(PAYMENTS_UNDER)?;
        let mut rows = statement.query([reference])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(self.logs.place(&self.connection, row.get(0)?)?);
        }
        Ok(found)
    }

    fn put_payment(&mut self, at: &EventRef, event: &Event) -> Result<(), StoreError> {
        let row = self.row_of(&at.log, at.seq)?;
        if let Body::PaymentAssigned(PaymentAssigned { reference, stay, .. }) = &event.body {
            let sql = "INSERT OR REPLACE INTO payment_assigned VALUES(?1, ?2, ?3)";
            self.connection.prepare_cached(sql)?.execute((row, reference, stay))?;
        }
        let Body::PaymentReceived(payment) = &event.body else { return Ok(()) };
        let by = event.by.as_ref().and_then(Doer::text);
        let PaymentReceived { reference, method, amount, stay, text } = payment;
        let sql = "INSERT OR REPLACE INTO payment VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values = (row, event.hlc.ms(), event.timestamp_ms, reference, stay, method.name(), amount.0, text, by);
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn put_invoice(&mut self, at: &EventRef, event: &Event) -> Result<(), StoreError> {
        let Body::Invoiced(invoiced) = &event.body else { return Ok(()) };
        let (row, exit) = (self.row_of(&at.log, at.seq)?, self.fact_value(&invoiced.exit)?);
        let sql = "INSERT OR REPLACE INTO invoice VALUES(?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute((row, &exit, &invoiced.stay))?;
        let taken = self.taken_at(invoiced.exit_ms, &exit)?;
        let sql = "INSERT INTO invoiced_exit VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET hlc = excluded.hlc, \
                   fact = excluded.fact, amount = excluded.amount, done_to = max(done_to, excluded.done_to) \
                   WHERE (excluded.hlc, excluded.fact) > (hlc, fact)";
        let (fact, done_to) = (event.fact_id().to_string(), invoiced.done_to.cast_signed());
        let values = (exit, invoiced.exit_ms, event.hlc.ms(), fact, invoiced.amount.0, done_to, taken);
        self.connection.prepare_cached(sql)?.execute(values)?;
        self.has_invoiced = Some(true);
        Ok(())
    }

    fn put_setting(&mut self, setting: &Setting) -> Result<(), StoreError> {
        let event = self.row_of(&setting.at.log, setting.at.seq)?;
        self.connection.prepare_cached("INSERT OR REPLACE INTO setting VALUES(?1, ?2, ?3, ?4, ?5)")?.execute((
            setting_name(setting.kind),
            &setting.id,
            setting.hlc.ms(),
            event,
            &setting.value,
        ))?;
        Ok(())
    }

    fn remove_setting(&mut self, kind: SettingKind, id: &str) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached("DELETE FROM setting WHERE kind = ?1 AND id = ?2")?;
        statement.execute((setting_name(kind), id))?;
        Ok(())
    }

    fn quarantine(&mut self, at: &EventRef, reason: &str) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("INSERT OR REPLACE INTO quarantine VALUES(?1, ?2)")?.execute((event, reason))?;
        Ok(())
    }

    fn quarantined(&mut self, reason_begins: &str) -> Result<Vec<EventRef>, StoreError> {
        let sql = "SELECT event FROM quarantine WHERE substr(reason, 1, length(?1)) = ?1 ORDER BY event";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([reason_begins], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().map(|row| self.logs.place(&self.connection, row)).collect()
    }

    fn release(&mut self, at: &EventRef) -> Result<bool, StoreError> {
        let Some(event) = self.logs.row(&self.connection, &at.log, at.seq)? else { return Ok(false) };
        let dropped = self.connection.prepare_cached("DELETE FROM quarantine WHERE event = ?1")?.execute([event])?;
        Ok(dropped > 0)
    }

    fn put_audit(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.open_transaction()?;
        let sql = "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1";
        // `verify` names the one whose hash cannot be read; what comes after it is written down all the same.
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1).unwrap_or_default()));
        let last: Option<(i64, AuditHash)> = self.connection.prepare_cached(sql)?.query_row((), read).optional()?;
        let (last_id, before) = last.unwrap_or_default();
        let text = entry.to_text();
        let hash = AuditEntry::chained(&before, &text);
        self.connection.prepare_cached("INSERT INTO audit VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
            last_id + 1,
            entry.at_ms,
            entry.kind.name(),
            &entry.who,
            text,
            hash,
        ))?;
        Ok(())
    }

    fn set_summary(&mut self, summary: &Summary) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE ledger SET digest = ?1, max_hlc = ?2, events = ?3, loose_facts = ?4 WHERE id = 1")?
            .execute((
                &summary.digest,
                summary.max_hlc.ms(),
                summary.events.cast_signed(),
                summary.loose_facts.cast_signed(),
            ))?;
        Ok(())
    }
}

impl Connected for Writer {
    fn parts(&mut self) -> (&Connection, &mut LogNumbers) {
        (&self.connection, &mut self.logs)
    }

    fn miss_event(&mut self, at: &EventRef) {
        self.miss(&format!("event {} of the log {}", at.seq, at.log));
    }
}

impl Writer {
    fn has_invoiced(&mut self) -> Result<bool, StoreError> {
        if let Some(known) = self.has_invoiced {
            return Ok(known);
        }
        let any = self.connection.prepare_cached("SELECT 1 FROM invoiced_exit LIMIT 1")?.exists(())?;
        self.has_invoiced = Some(any);
        Ok(any)
    }

    /// What is taken at an exit as far as it is applied, VND.
    fn taken_at(&self, exit_ms: i64, exit: &Value) -> Result<i64, StoreError> {
        let sql = "SELECT fee FROM taking WHERE exit_ms = ?1 AND fact = ?2";
        let taken = self.connection.prepare_cached(sql)?.query_row((exit_ms, exit), |row| row.get(0)).optional()?;
        Ok(taken.unwrap_or(0))
    }

    /// The number of a log, given to it now if it has none.
    pub(super) fn number_of(&mut self, log: &LogId) -> Result<i64, StoreError> {
        if let Some(number) = self.logs.find(&self.connection, log)? {
            return Ok(number);
        }
        let number = self.next_log;
        event_row_of(log, number, 0)?;
        let genesis = ChainHash::genesis(log);
        let transaction = self.transaction.as_mut().ok_or(StoreError::NoTransaction)?;
        self.connection.prepare_cached("INSERT INTO log VALUES(?1, ?2, 0, ?3)")?.execute((
            number,
            log.to_string(),
            &genesis.0,
        ))?;
        self.next_log += 1;
        self.logs.add(number, log.clone());
        transaction.new_logs.push(log.clone());
        Ok(number)
    }

    /// The row number of an event's place.
    pub(super) fn row_of(&mut self, log: &LogId, seq: u64) -> Result<i64, StoreError> {
        let number = self.number_of(log)?;
        event_row_of(log, number, seq)
    }

    pub(super) fn load_dirty(&mut self) -> Result<Vec<DirtyFact>, StoreError> {
        let mut statement =
            self.connection.prepare("SELECT event, hlc, plate_id, other, is_entry, since_ms FROM waiting")?;
        let mut rows = statement.query(())?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next()? {
            let other: Option<String> = row.get(3)?;
            facts.push(DirtyFact {
                at: self.logs.place(&self.connection, row.get(0)?)?,
                hlc: clock(row.get(1)?)?,
                plate: plate(&row.get::<_, String>(2)?)?,
                other: other.as_deref().map(plate).transpose()?,
                is_entry: row.get(4)?,
                since_ms: row.get(5)?,
            });
        }
        Ok(facts)
    }
}

fn clock(ms: i64) -> Result<Hlc, StoreError> {
    Hlc::new(ms).map_err(|_| StoreError::Value("a clock".into()))
}

fn plate(text: &str) -> Result<PlateId, StoreError> {
    PlateId::parse(text).map_err(|_| StoreError::Value(format!("plate_id {text:?}")))
}

impl Writer {
    pub(in crate::store) fn books(&mut self) -> StoredBooks<'_> {
        StoredBooks { connection: &self.connection, logs: &mut self.logs }
    }
}
