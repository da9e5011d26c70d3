//! Events, and the small tables that point at them.

use rusqlite::ErrorCode;

use super::Writer;
use super::transaction::setting_name;
use crate::domain::event::Event;
use crate::domain::ids::{Hlc, LogId};
use crate::ledger::storage::{EventRef, LooseFact, QuarterTotal, REQUEST_MEMORY_MS, Setting, Summary};
use crate::replication::log::{ChainHash, EventBytes, Head};
use crate::store::error::StoreError;
use crate::store::reader::read_event;
use crate::store::schema::{event_row_of, request_key};

/// Every so many requests written ...
const REQUESTS_PER_SWEEP: u32 = 256;
/// ... the next so many in order of key are looked at and the old ones forgotten: the whole table is gone through once
/// while it grows by half, so that it holds at most some 1.5 times what it must.
const REQUESTS_SWEPT: i64 = 512;
/// Where the forgetting of requests stands.
#[derive(Debug, Default)]
pub(super) struct RequestSweep {
    written: u32,
    /// The key after which the next sweep begins.
    after: i64,
}

impl Writer {
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

    pub(super) fn add_event(
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

    pub(super) fn find_event(&mut self, at: &EventRef) -> Result<Option<EventBytes>, StoreError> {
        let Some(row) = self.logs.row(&self.connection, &at.log, at.seq)? else { return Ok(None) };
        self.event_at(row)
    }

    fn event_at(&self, row: i64) -> Result<Option<EventBytes>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT bytes FROM event WHERE id = ?1")?;
        let mut rows = statement.query([row])?;
        rows.next()?.map(|row| read_event(row.get_ref(0)?)).transpose()
    }

    pub(super) fn find_loose_facts(&mut self, key: &str) -> Result<Vec<EventRef>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT event FROM loose_key WHERE key = ?1")?;
        let mut rows = statement.query([key])?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next()? {
            facts.push(self.logs.place(&self.connection, row.get(0)?)?);
        }
        Ok(facts)
    }

    pub(super) fn add_loose_fact(&mut self, fact: &LooseFact) -> Result<(), StoreError> {
        let event = self.row_of(&fact.at.log, fact.at.seq)?;
        self.connection
            .prepare_cached(
                "INSERT INTO loose_fact VALUES(?1, ?2) ON CONFLICT DO UPDATE SET waiting = excluded.waiting",
            )?
            .execute((event, fact.waiting))?;
        self.connection.prepare_cached("DELETE FROM loose_key WHERE event = ?1")?.execute([event])?;
        let mut statement = self.connection.prepare_cached("INSERT OR IGNORE INTO loose_key VALUES(?1, ?2)")?;
        for key in &fact.keys {
            statement.execute((key, event))?;
        }
        Ok(())
    }

    pub(super) fn drop_loose_fact(&mut self, at: &EventRef) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("DELETE FROM loose_fact WHERE event = ?1")?.execute([event])?;
        self.connection.prepare_cached("DELETE FROM loose_key WHERE event = ?1")?.execute([event])?;
        Ok(())
    }

    pub(super) fn find_request(&mut self, edge_id: &str, request_id: &str) -> Result<Vec<EventRef>, StoreError> {
        let candidates = {
            let mut statement = self.connection.prepare_cached("SELECT event FROM request WHERE key = ?1")?;
            let rows = statement.query_map([request_key(edge_id, request_id)], |row| row.get(0))?;
            rows.collect::<Result<Vec<i64>, _>>()?
        };
        let mut found = Vec::new();
        for row in candidates {
            // Two requests may share a key; the event knows which it carries.
            let carried = self.event_at(row)?.and_then(|bytes| Event::parse(&bytes).ok());
            if carried.is_some_and(|event| event.request() == Some((edge_id, request_id))) {
                found.push(self.logs.place(&self.connection, row)?);
            }
        }
        Ok(found)
    }

    pub(super) fn add_request(
        &mut self,
        edge_id: &str,
        request_id: &str,
        at: &EventRef,
        hlc: Hlc,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("INSERT OR IGNORE INTO request VALUES(?1, ?2, ?3)")?.execute((
            request_key(edge_id, request_id),
            event,
            hlc.ms(),
        ))?;
        self.requests.written += 1;
        if self.requests.written >= REQUESTS_PER_SWEEP {
            self.requests.written = 0;
            // By the earlier of both clocks: neither one that ran ahead nor a history told anew makes recent ones forgotten.
            self.forget_old_requests(now_ms.min(hlc.ms()).saturating_sub(REQUEST_MEMORY_MS))?;
        }
        Ok(())
    }

    fn forget_old_requests(&mut self, before_ms: i64) -> Result<(), StoreError> {
        let after = self.requests.after;
        let last: Option<i64> = self
            .connection
            .prepare_cached("SELECT max(key) FROM (SELECT key FROM request WHERE key > ?1 ORDER BY key LIMIT ?2)")?
            .query_row((after, REQUESTS_SWEPT), |row| row.get(0))?;
        self.connection.prepare_cached("DELETE FROM request WHERE key > ?1 AND key <= ?2 AND hlc < ?3")?.execute((
            after,
            last.unwrap_or(after),
            before_ms,
        ))?;
        self.requests.after = last.unwrap_or(i64::MIN);
        Ok(())
    }

    pub(super) fn find_heard(&mut self, fact: &[u8; 32]) -> Result<Vec<EventRef>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT event FROM heard WHERE fact = ?1")?;
        let mut rows = statement.query([fact.as_slice()])?;
        let mut places = Vec::new();
        while let Some(row) = rows.next()? {
            places.push(self.logs.place(&self.connection, row.get(0)?)?);
        }
        Ok(places)
    }

    pub(super) fn add_heard(&mut self, fact: &[u8; 32], at: &EventRef) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        let mut statement = self.connection.prepare_cached("INSERT OR IGNORE INTO heard VALUES(?1, ?2)")?;
        statement.execute((fact.as_slice(), event))?;
        Ok(())
    }

    pub(super) fn add_setting(&mut self, setting: &Setting) -> Result<(), StoreError> {
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

    pub(super) fn write_head(&mut self, log: &LogId, head: Head) -> Result<(), StoreError> {
        let number = self.number_of(log)?;
        self.connection.prepare_cached("UPDATE log SET head = ?2, hash = ?3 WHERE no = ?1")?.execute((
            number,
            head.to.cast_signed(),
            &head.hash.0,
        ))?;
        Ok(())
    }

    pub(super) fn write_total(&mut self, change: &QuarterTotal) -> Result<(), StoreError> {
        let QuarterTotal { quarter, central, edge_id, entries, exits, revenue } = change;
        self.connection
            .prepare_cached(
                "INSERT INTO quarter_total VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
                 entries = entries + excluded.entries, exits = exits + excluded.exits, \
                 revenue = revenue + excluded.revenue",
            )?
            .execute((quarter, central, edge_id, entries, exits, revenue.0))?;
        Ok(())
    }

    pub(super) fn write_summary(&mut self, summary: &Summary) -> Result<(), StoreError> {
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

    /// Row numbers go on from where they were: none is ever given twice.
    pub(super) fn clear_all_but_events(&mut self) -> Result<(), StoreError> {
        self.open_transaction()?;
        self.newest_of_plate = None;
        self.open_rows.forget_before(self.next_history_id);
        self.connection.execute_batch(
            "DELETE FROM history; DELETE FROM plate; DELETE FROM loose_fact; DELETE FROM loose_key; \
             DELETE FROM request; DELETE FROM heard; DELETE FROM quarter_total; DELETE FROM setting; DELETE FROM quarantine; \
             UPDATE ledger SET digest = zeroblob(32), max_hlc = 0, events = 0, loose_facts = 0",
        )?;
        Ok(())
    }

    pub(super) fn find_quarantined(&mut self, reason_begins: &str) -> Result<Vec<EventRef>, StoreError> {
        let sql = "SELECT event FROM quarantine WHERE substr(reason, 1, length(?1)) = ?1 ORDER BY event";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([reason_begins], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().map(|row| self.logs.place(&self.connection, row)).collect()
    }

    pub(super) fn drop_quarantined(&mut self, at: &EventRef) -> Result<(), StoreError> {
        let Some(event) = self.logs.row(&self.connection, &at.log, at.seq)? else { return Ok(()) };
        self.connection.prepare_cached("DELETE FROM quarantine WHERE event = ?1")?.execute([event])?;
        Ok(())
    }

    pub(super) fn add_quarantined(&mut self, at: &EventRef, reason: &str) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("INSERT OR REPLACE INTO quarantine VALUES(?1, ?2)")?.execute((event, reason))?;
        Ok(())
    }
}
