//! Events, and the small tables that point at them.

use std::ops::RangeInclusive;

use rusqlite::ErrorCode;

use super::Writer;
use super::transaction::setting_name;
use crate::domain::event::Event;
use crate::domain::ids::{Hlc, LogId};
use crate::domain::plate::PlateId;
use crate::domain::stay::TakenAs;
use crate::ledger::storage::{DirtyFact, EventRef, LooseFact, QuarterTotal, Setting, SettingKind, Summary};
use crate::replication::log::{ChainHash, EventBytes, Head};
use crate::store::error::StoreError;
use crate::store::reader::read_event;
use crate::store::schema::{LOOSE_FACTS, event_row_of, request_key, request_weeks};

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

    /// `None`: there is none, or it cannot be read, and then that is told.
    fn event_at(&mut self, row: i64) -> Result<Option<EventBytes>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT bytes FROM event WHERE id = ?1")?;
        let mut rows = statement.query([row])?;
        let read = rows.next()?.map(|row| read_event(row.get_ref(0)?)).transpose();
        drop(rows);
        drop(statement);
        if matches!(read, Err(StoreError::Unreadable(_))) {
            let EventRef { log, seq } = self.logs.place(&self.connection, row)?;
            self.miss(&format!("event {seq} of the log {log}"));
            return Ok(None);
        }
        read
    }

    pub(super) fn find_loose_facts(
        &mut self,
        key: &str,
        clocks: &RangeInclusive<Hlc>,
    ) -> Result<Vec<EventRef>, StoreError> {
        let mut statement = self.connection.prepare_cached(LOOSE_FACTS)?;
        let mut rows = statement.query((key, clocks.start().ms(), clocks.end().ms()))?;
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
        let mut statement = self.connection.prepare_cached("INSERT OR IGNORE INTO loose_key VALUES(?1, ?2, ?3)")?;
        for key in &fact.keys {
            statement.execute((key, fact.hlc.ms(), event))?;
        }
        Ok(())
    }

    pub(super) fn drop_loose_fact(&mut self, at: &EventRef) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("DELETE FROM loose_fact WHERE event = ?1")?.execute([event])?;
        self.connection.prepare_cached("DELETE FROM loose_key WHERE event = ?1")?.execute([event])?;
        Ok(())
    }

    pub(super) fn find_greatest_loose_hlc(&self, key: &str) -> Result<Option<Hlc>, StoreError> {
        let sql = "SELECT max(hlc) FROM loose_key WHERE key = ?1";
        let greatest: Option<i64> = self.connection.prepare_cached(sql)?.query_row([key], |row| row.get(0))?;
        greatest.map(clock).transpose()
    }

    pub(super) fn find_request(
        &mut self,
        edge_id: &str,
        request_id: &str,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<Vec<EventRef>, StoreError> {
        let key = request_key(edge_id, request_id);
        let mut candidates: Vec<i64> = Vec::new();
        for weeks in request_weeks(from_ms)..=request_weeks(to_ms) {
            let sql = "SELECT event FROM request WHERE weeks = ?1 AND key = ?2 AND hlc BETWEEN ?3 AND ?4";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query((weeks, key, from_ms, to_ms))?;
            while let Some(row) = rows.next()? {
                candidates.push(row.get(0)?);
            }
        }
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
    ) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("INSERT OR IGNORE INTO request VALUES(?1, ?2, ?3, ?4)")?.execute((
            request_weeks(hlc.ms()),
            request_key(edge_id, request_id),
            event,
            hlc.ms(),
        ))?;
        Ok(())
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

    pub(super) fn add_dirty(&mut self, fact: &DirtyFact) -> Result<(), StoreError> {
        let event = self.row_of(&fact.at.log, fact.at.seq)?;
        let (plate, other) = (fact.plate.as_str(), fact.other.as_ref().map(PlateId::as_str));
        let mut statement = self.connection.prepare_cached("INSERT INTO waiting VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?;
        statement.execute((event, fact.hlc.ms(), plate, other, fact.is_entry, fact.since_ms))?;
        Ok(())
    }

    pub(super) fn drop_dirty(&mut self, at: &EventRef) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("DELETE FROM waiting WHERE event = ?1")?.execute([event])?;
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

    pub(super) fn forget_setting(&mut self, kind: SettingKind, id: &str) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached("DELETE FROM setting WHERE kind = ?1 AND id = ?2")?;
        statement.execute((setting_name(kind), id))?;
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
        let QuarterTotal { quarter, central, edge_id, taken_as, entries, exits, revenue } = change;
        let TakenAs { by, method, camera_type } = taken_as;
        self.connection
            .prepare_cached(
                "INSERT INTO quarter_total VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET \
                 entries = entries + excluded.entries, exits = exits + excluded.exits, \
                 revenue = revenue + excluded.revenue",
            )?
            .execute((quarter, central, edge_id, by, method, camera_type, entries, exits, revenue.0))?;
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

    pub(super) fn find_quarantined(&mut self, reason_begins: &str) -> Result<Vec<EventRef>, StoreError> {
        let sql = "SELECT event FROM quarantine WHERE substr(reason, 1, length(?1)) = ?1 ORDER BY event";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([reason_begins], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().map(|row| self.logs.place(&self.connection, row)).collect()
    }

    pub(super) fn drop_quarantined(&mut self, at: &EventRef) -> Result<bool, StoreError> {
        let Some(event) = self.logs.row(&self.connection, &at.log, at.seq)? else { return Ok(false) };
        let dropped = self.connection.prepare_cached("DELETE FROM quarantine WHERE event = ?1")?.execute([event])?;
        Ok(dropped > 0)
    }

    pub(super) fn add_quarantined(&mut self, at: &EventRef, reason: &str) -> Result<(), StoreError> {
        let event = self.row_of(&at.log, at.seq)?;
        self.connection.prepare_cached("INSERT OR REPLACE INTO quarantine VALUES(?1, ?2)")?.execute((event, reason))?;
        Ok(())
    }
}

fn clock(ms: i64) -> Result<Hlc, StoreError> {
    Hlc::new(ms).map_err(|_| StoreError::Value("a clock".into()))
}

fn plate(text: &str) -> Result<PlateId, StoreError> {
    PlateId::parse(text).map_err(|_| StoreError::Value(format!("plate_id {text:?}")))
}
