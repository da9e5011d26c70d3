//! Rows of the history.
//!
//! "The greatest clock of a plate" must cost the same for a car that came once and one that comes daily. So the newest row of a
//! plate carries, in `plate_hlc`, the greatest clock of the older ones: one look at one row answers. An ordinary change (an
//! exit of the newest row) leaves it true by itself; the others set it again.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Statement, ToSql};

use super::Writer;
use crate::domain::ids::{FactId, Hlc};
use crate::domain::plate::PlateId;
use crate::domain::row::{ExitPart, StayRow};
use crate::domain::time::SiteZone;
use crate::ledger::storage::{EventRef, StoredStay};
use crate::store::error::StoreError;
use crate::store::stay_columns::{STAY_COLUMNS, anomalies_text, confidence_value, read_stay};

/// How the barrier came to open, as the predecessor names it.
const SOURCE_EDGE: &str = "edge";
const SOURCE_MANUAL: &str = "edge_manual";

/// The newest row of a plate and the greatest clock of all its rows; `None`: it has no row.
#[derive(Debug)]
pub(super) struct NewestOfPlate {
    plate: PlateId,
    newest: Option<(i64, i64)>,
}

/// The facts of a row as they are stored.
struct Facts {
    entry: Value,
    confirm: Value,
    exit: Value,
}

/// Binds one value after the other.
struct Binder<'a, 'c> {
    statement: &'a mut Statement<'c>,
    next: usize,
}

impl Binder<'_, '_> {
    fn value(&mut self, value: impl ToSql) -> Result<(), rusqlite::Error> {
        self.statement.raw_bind_parameter(self.next, value)?;
        self.next += 1;
        Ok(())
    }

    /// Parameters 1 to 36 of every statement that writes a row.
    fn stay(
        &mut self,
        row_id: i64,
        row: &StayRow,
        facts: Facts,
        zone: &SiteZone,
        written_at: &str,
    ) -> Result<(), rusqlite::Error> {
        let exit: Option<&ExitPart> = row.exit.as_ref();
        self.value(row_id)?;
        self.value(row.plate_id.as_str())?;
        self.value(&row.plate_view)?;
        self.value(zone.local_text(row.entry_ms))?;
        self.value(camera_name(&row.source_central, &row.edge_id))?;
        self.value(confidence_value(row.entry_confidence))?;
        self.value(source(row.entry_manual))?;
        self.value(exit.map(|exit| zone.local_text(exit.exit_ms)))?;
        self.value(exit.map(|exit| camera_name(&exit.central, &exit.edge_id)))?;
        self.value(confidence_value(exit.and_then(|exit| exit.confidence)))?;
        self.value(exit.map(|exit| source(exit.manual)))?;
        self.value(exit.map(|exit| &exit.duration))?;
        self.value(exit.map_or(0, |exit| exit.fee.0))?;
        self.value(row.status.name())?;
        self.value(written_at)?;
        self.value(&row.stay_id)?;
        self.value(&row.source_central)?;
        self.value(&row.edge_id)?;
        self.value(&row.camera_type)?;
        self.value(row.entry_ms)?;
        self.value(row.entry_manual)?;
        self.value(row.confirmed_ms)?;
        self.value(exit.map(|exit| exit.exit_ms))?;
        self.value(exit.map(|exit| &exit.central))?;
        self.value(exit.map(|exit| &exit.edge_id))?;
        self.value(exit.map(|exit| exit.manual))?;
        self.value(exit.and_then(|exit| exit.tariff_version.as_ref()))?;
        self.value(exit.and_then(|exit| exit.subscription_id.as_ref()))?;
        self.value(row.superseded_by.as_ref())?;
        self.value(row.collected.0)?;
        self.value(anomalies_text(&row.anomalies))?;
        self.value(facts.entry)?;
        self.value(facts.confirm)?;
        self.value(facts.exit)?;
        self.value(row.last_hlc.ms())?;
        self.value(exit.map(|exit| exit.entry_unknown))
    }
}

fn source(manual: bool) -> &'static str {
    if manual { SOURCE_MANUAL } else { SOURCE_EDGE }
}

impl Writer {
    pub(super) fn find_stay(&mut self, stay_id: &str) -> Result<Option<StoredStay>, StoreError> {
        let sql = select_stays("event_id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([stay_id])?;
        rows.next()?.map(|row| read_stay(&self.connection, &mut self.logs, row)).transpose()
    }

    pub(super) fn find_stays_of_plate(&mut self, plate: &PlateId) -> Result<Vec<StoredStay>, StoreError> {
        let sql = select_stays("plate_id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([plate.as_str()])?;
        let mut stays = Vec::new();
        while let Some(row) = rows.next()? {
            stays.push(read_stay(&self.connection, &mut self.logs, row)?);
        }
        Ok(stays)
    }

    pub(super) fn find_greatest_hlc(&mut self, plate: &PlateId) -> Result<Option<Hlc>, StoreError> {
        let greatest = self.newest(plate)?.map(|(_, greatest)| greatest);
        greatest.map(|ms| Hlc::new(ms).map_err(|_| StoreError::Value("clock of a plate".into()))).transpose()
    }

    fn newest(&mut self, plate: &PlateId) -> Result<Option<(i64, i64)>, StoreError> {
        if let Some(known) = self.newest_of_plate.as_ref().filter(|known| known.plate == *plate) {
            return Ok(known.newest);
        }
        let newest = self
            .connection
            .prepare_cached(
                "SELECT id, max(last_hlc, plate_hlc) FROM history WHERE plate_id = ?1 ORDER BY id DESC LIMIT 1",
            )?
            .query_row([plate.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        self.newest_of_plate = Some(NewestOfPlate { plate: plate.clone(), newest });
        Ok(newest)
    }

    /// A fact as it is stored: the event's row number, or the hash of what was heard.
    fn fact_value(&mut self, fact: &FactId) -> Result<Value, StoreError> {
        match fact {
            FactId::Authored { log, seq } => {
                Ok(Value::Integer(self.row_of(&EventRef { log: log.clone(), seq: *seq })?))
            }
            FactId::Heard(digest) => Ok(Value::Blob(digest.to_vec())),
        }
    }

    fn facts_of(&mut self, row: &StayRow) -> Result<Facts, StoreError> {
        let mut value = |fact: Option<&FactId>| fact.map_or(Ok(Value::Null), |fact| self.fact_value(fact));
        Ok(Facts {
            entry: value(Some(&row.entry_fact))?,
            confirm: value(row.confirm_fact.as_ref())?,
            exit: value(row.exit.as_ref().map(|exit| &exit.fact))?,
        })
    }

    pub(super) fn add_stay(&mut self, row: &StayRow, own: bool, committed_ms: i64) -> Result<i64, StoreError> {
        self.open_transaction()?;
        let row_id = self.next_history_id;
        let older = self.newest(&row.plate_id)?;
        if older.is_none() {
            self.add_plate(&row.plate_id)?;
        }
        let plate_hlc = older.map_or(0, |(_, greatest)| greatest);
        let facts = self.facts_of(row)?;
        let mut statement = self.connection.prepare_cached(INSERT)?;
        let mut bind = Binder { statement: &mut statement, next: 1 };
        bind.stay(row_id, row, facts, &self.zone, &self.utc.local_text(committed_ms))?;
        bind.value(if own { "LOCAL" } else { "SYNCED" })?;
        bind.value(plate_hlc)?;
        bind.value(committed_ms)?;
        statement.raw_execute()?;
        self.next_history_id += 1;
        let greatest = plate_hlc.max(row.last_hlc.ms());
        self.newest_of_plate = Some(NewestOfPlate { plate: row.plate_id.clone(), newest: Some((row_id, greatest)) });
        Ok(row_id)
    }

    fn add_plate(&mut self, plate: &PlateId) -> Result<(), StoreError> {
        self.connection.prepare_cached("INSERT INTO plate(plate_id) VALUES(?1)")?.execute([plate.as_str()])?;
        Ok(())
    }

    pub(super) fn change_stay(&mut self, row_id: i64, row: &StayRow, committed_ms: i64) -> Result<(), StoreError> {
        self.open_transaction()?;
        self.newest_of_plate = None;
        // The ordinary change keeps plate, entry time and id: their three indices stay untouched.
        if !self.write_change(UPDATE_IN_PLACE, row_id, row, committed_ms)? {
            let old: Option<String> = self
                .connection
                .prepare_cached("SELECT plate_id FROM history WHERE id = ?1")?
                .query_row([row_id], |found| found.get(0))
                .optional()?;
            let old = old.ok_or_else(|| StoreError::Value(format!("no row {row_id} of the history to change")))?;
            if self.newest(&row.plate_id)?.is_none() {
                self.add_plate(&row.plate_id)?;
            }
            self.newest_of_plate = None;
            self.write_change(UPDATE_WHOLE, row_id, row, committed_ms)?;
            self.renew_plate_hlc(&old)?;
            if old != row.plate_id.as_str() {
                self.renew_plate_hlc(row.plate_id.as_str())?;
            }
            return Ok(());
        }
        let newest: i64 = self
            .connection
            .prepare_cached("SELECT max(id) FROM history WHERE plate_id = ?1")?
            .query_row([row.plate_id.as_str()], |found| found.get(0))?;
        if newest != row_id {
            self.connection
                .prepare_cached("UPDATE history SET plate_hlc = max(plate_hlc, ?2) WHERE id = ?1")?
                .execute((newest, row.last_hlc.ms()))?;
        }
        Ok(())
    }

    /// Whether the row was there (and, in place, had the same keys and no later clock).
    fn write_change(&mut self, sql: &str, row_id: i64, row: &StayRow, committed_ms: i64) -> Result<bool, StoreError> {
        let facts = self.facts_of(row)?;
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut bind = Binder { statement: &mut statement, next: 1 };
        bind.stay(row_id, row, facts, &self.zone, &self.utc.local_text(committed_ms))?;
        Ok(statement.raw_execute()? == 1)
    }

    pub(super) fn remove_stay(&mut self, row_id: i64) -> Result<(), StoreError> {
        self.open_transaction()?;
        self.newest_of_plate = None;
        let plate: Option<String> = self
            .connection
            .prepare_cached("DELETE FROM history WHERE id = ?1 RETURNING plate_id")?
            .query_row([row_id], |row| row.get(0))
            .optional()?;
        let plate = plate.ok_or_else(|| StoreError::Value(format!("no row {row_id} of the history to delete")))?;
        self.renew_plate_hlc(&plate)
    }

    /// Makes `plate_hlc` of the newest row of a plate true again.
    fn renew_plate_hlc(&mut self, plate: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE history SET plate_hlc = coalesce((SELECT max(older.last_hlc) FROM history AS older \
                 WHERE older.plate_id = ?1 AND older.id < history.id), 0) \
                 WHERE id = (SELECT max(id) FROM history WHERE plate_id = ?1)",
            )?
            .execute([plate])?;
        Ok(())
    }
}

fn camera_name(central: &str, edge_id: &str) -> String {
    format!("{central}/{edge_id}")
}

fn select_stays(filter: &str) -> String {
    format!("SELECT {STAY_COLUMNS} FROM history WHERE {filter}")
}

const INSERT: &str = "INSERT INTO history(id, plate_id, plate_view, entry_time, entry_camera_name, entry_confidence, \
    entry_source, exit_time, exit_camera_name, exit_confidence, exit_source, duration, fee, status, created_at, \
    updated_at, event_id, source_central, edge_id, camera_type, entry_ms, entry_manual, confirmed_ms, exit_ms, \
    exit_central, exit_edge, exit_manual, tariff_version, subscription_id, superseded_by, collected, anomalies, \
    entry_event, confirm_event, exit_event, last_hlc, entry_unknown, sync_status, plate_hlc, committed_ms) \
    VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
    ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39)";

/// Every parameter of [`UPDATE_WHOLE`], but no indexed column is set: it matches only where they are as they are to be.
const UPDATE_IN_PLACE: &str = "UPDATE history SET plate_view = ?3, entry_time = ?4, entry_camera_name = ?5, \
    entry_confidence = ?6, entry_source = ?7, exit_time = ?8, exit_camera_name = ?9, exit_confidence = ?10, \
    exit_source = ?11, duration = ?12, fee = ?13, status = ?14, updated_at = ?15, source_central = ?17, edge_id = ?18, \
    camera_type = ?19, entry_manual = ?21, confirmed_ms = ?22, exit_ms = ?23, exit_central = ?24, exit_edge = ?25, \
    exit_manual = ?26, tariff_version = ?27, subscription_id = ?28, superseded_by = ?29, collected = ?30, \
    anomalies = ?31, entry_event = ?32, confirm_event = ?33, exit_event = ?34, last_hlc = ?35, \
    entry_unknown = ?36 WHERE id = ?1 AND plate_id = ?2 AND event_id = ?16 AND entry_ms = ?20 AND last_hlc <= ?35";

const UPDATE_WHOLE: &str = "UPDATE history SET plate_id = ?2, plate_view = ?3, entry_time = ?4, entry_camera_name = ?5, \
    entry_confidence = ?6, entry_source = ?7, exit_time = ?8, exit_camera_name = ?9, exit_confidence = ?10, \
    exit_source = ?11, duration = ?12, fee = ?13, status = ?14, updated_at = ?15, event_id = ?16, \
    source_central = ?17, edge_id = ?18, camera_type = ?19, entry_ms = ?20, entry_manual = ?21, confirmed_ms = ?22, \
    exit_ms = ?23, exit_central = ?24, exit_edge = ?25, exit_manual = ?26, tariff_version = ?27, \
    subscription_id = ?28, superseded_by = ?29, collected = ?30, anomalies = ?31, entry_event = ?32, \
    confirm_event = ?33, exit_event = ?34, last_hlc = ?35, entry_unknown = ?36 WHERE id = ?1";
