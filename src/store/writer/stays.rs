//! Rows of the history.
//!
//! "The greatest clock of a plate" must cost the same for a car that came once and one that comes daily. So the newest row of a
//! plate, by the clock of its entry, carries in `plate_hlc` a clock that no older one is above: one look at one row answers.
//! Every change raises it where it is no longer true.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Statement, ToSql};

use super::Writer;
use crate::domain::hash::HashMap;
use crate::domain::ids::{FactId, Hlc};
use crate::domain::plate::PlateId;
use crate::domain::row::{ExitPart, StayRow};
use crate::domain::time::SiteZone;
use crate::ledger::storage::Rows;
use crate::store::error::StoreError;
use crate::store::stay_columns::{anomalies_text, confidence_value};

/// How the barrier came to open, as the predecessor names it.
const SOURCE_EDGE: &str = "edge";
const SOURCE_MANUAL: &str = "edge_manual";

/// The newest row of a plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Newest {
    row_id: i64,
    entry_hlc: i64,
    /// No row of the plate is above.
    greatest_hlc: i64,
}

/// The newest rows of plates that were looked at or written; `None`: it has none. A car that leaves mostly came in not long ago: what is
/// known of its plate since then spares a look at the index of plates, where each lies on another page.
#[derive(Debug, Default)]
pub(super) struct NewestRows(HashMap<PlateId, Option<Newest>>);

impl NewestRows {
    /// Beyond this many all are forgotten, which only costs looking them up.
    const MOST: usize = 4_096;

    fn know(&mut self, plate: &PlateId, newest: Option<Newest>) {
        if self.0.len() >= Self::MOST {
            self.forget();
        }
        self.0.insert(plate.clone(), newest);
    }

    /// This row was changed in place, which only a last clock no lower than before is: see [`UPDATE_IN_PLACE`].
    fn rise(&mut self, row_id: i64, row: &StayRow) {
        if let Some(Some(newest)) = self.0.get_mut(&row.plate_id)
            && newest.row_id == row_id
        {
            newest.greatest_hlc = newest.greatest_hlc.max(row.last_hlc.ms());
        }
    }

    /// Rows changed, or may have.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
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

    /// Parameters 1 to 23, of every statement that writes a row: all that can change after the entry.
    fn ending(
        &mut self,
        row_id: i64,
        row: &StayRow,
        facts: &Facts,
        zone: &SiteZone,
        written_at: &str,
    ) -> Result<(), rusqlite::Error> {
        let exit: Option<&ExitPart> = row.exit.as_ref();
        self.value(row_id)?;
        self.value(written_at)?;
        self.value(row.status.name())?;
        self.value(row.last_hlc.ms())?;
        self.value(row.collected.0)?;
        self.value(row.confirmed_ms)?;
        self.value(row.superseded_by.as_ref())?;
        self.value(anomalies_text(&row.anomalies))?;
        self.value(&facts.confirm)?;
        self.value(&facts.exit)?;
        self.value(row.shown_exit_ms().map(|exit_ms| zone.local_text(exit_ms)))?;
        self.value(exit.map(|exit| camera_name(&exit.central, &exit.edge_id)))?;
        self.value(confidence_value(exit.and_then(|exit| exit.confidence)))?;
        self.value(exit.map(|exit| source(exit.manual)))?;
        self.value(exit.map(|exit| &exit.duration))?;
        self.value(exit.map_or(0, |exit| exit.fee.0))?;
        self.value(exit.map(|exit| exit.exit_ms))?;
        self.value(exit.map(|exit| &exit.central))?;
        self.value(exit.map(|exit| &exit.edge_id))?;
        self.value(exit.map(|exit| exit.manual))?;
        self.value(exit.map(|exit| exit.entry_unknown))?;
        self.value(exit.and_then(|exit| exit.tariff_version.as_ref()))?;
        self.value(exit.and_then(|exit| exit.subscription_id.as_ref()))
    }

    /// The next 14 parameters: what the entry said.
    fn beginning(&mut self, row: &StayRow, facts: &Facts, zone: &SiteZone) -> Result<(), rusqlite::Error> {
        self.value(row.plate_id.as_str())?;
        self.value(&row.plate_view)?;
        self.value(zone.local_text(row.entry_ms))?;
        self.value(camera_name(&row.source_central, &row.edge_id))?;
        self.value(confidence_value(row.entry_confidence))?;
        self.value(source(row.entry_manual))?;
        self.value(&row.stay_id)?;
        self.value(&row.source_central)?;
        self.value(&row.edge_id)?;
        self.value(&row.camera_type)?;
        self.value(row.entry_ms)?;
        self.value(row.entry_manual)?;
        self.value(&facts.entry)?;
        self.value(row.entry_hlc.ms())
    }
}

fn source(manual: bool) -> &'static str {
    if manual { SOURCE_MANUAL } else { SOURCE_EDGE }
}

impl Rows for Writer {
    fn greatest_hlc_of_plate(&mut self, plate: &PlateId) -> Result<Option<Hlc>, StoreError> {
        let greatest = self.newest(plate)?.map(|newest| newest.greatest_hlc);
        greatest.map(|ms| Hlc::new(ms).map_err(|_| StoreError::Value("clock of a plate".into()))).transpose()
    }

    fn insert_stay(&mut self, row: &StayRow, own: bool, committed_ms: i64) -> Result<i64, StoreError> {
        let stay_id = || StoreError::Value(format!("two rows with the event_id {}", row.stay_id));
        self.insert_stay_if_new(row, own, committed_ms)?.ok_or_else(stay_id)
    }

    fn insert_stay_if_new(&mut self, row: &StayRow, own: bool, committed_ms: i64) -> Result<Option<i64>, StoreError> {
        self.open_transaction()?;
        let row_id = self.next_history_id;
        let before = self.newest(&row.plate_id)?;
        let is_newest = before.is_none_or(|before| before.entry_hlc <= row.entry_hlc.ms());
        let plate_hlc = before.filter(|_| is_newest).map_or(0, |before| before.greatest_hlc);
        let facts = self.facts_of(row)?;
        let mut statement = self.connection.prepare_cached(INSERT)?;
        let mut bind = Binder { statement: &mut statement, next: 1 };
        bind.ending(row_id, row, &facts, &self.zone, &self.utc.local_text(committed_ms))?;
        bind.beginning(row, &facts, &self.zone)?;
        bind.value(if own { "LOCAL" } else { "SYNCED" })?;
        bind.value(plate_hlc)?;
        bind.value(committed_ms)?;
        if statement.raw_execute()? == 0 {
            return Ok(None);
        }
        drop(statement);
        if before.is_none() {
            self.add_plate(&row.plate_id)?;
        }
        self.next_history_id += 1;
        if !is_newest {
            self.raise_plate_hlc(&row.plate_id, row.last_hlc.ms())?;
            return Ok(Some(row_id));
        }
        let newest = Newest { row_id, entry_hlc: row.entry_hlc.ms(), greatest_hlc: plate_hlc.max(row.last_hlc.ms()) };
        self.newest_rows.know(&row.plate_id, Some(newest));
        Ok(Some(row_id))
    }

    fn update_stay(&mut self, row_id: i64, row: &StayRow, committed_ms: i64) -> Result<(), StoreError> {
        self.open_transaction()?;
        // The ordinary change keeps plate, entry time and clock, and id: their three indices stay untouched.
        if self.write_change(UPDATE_IN_PLACE, row_id, row, committed_ms)? {
            self.newest_rows.rise(row_id, row);
            return self.raise_plate_hlc(&row.plate_id, row.last_hlc.ms());
        }
        let old: Option<String> = self
            .connection
            .prepare_cached("SELECT plate_id FROM history WHERE id = ?1")?
            .query_row([row_id], |found| found.get(0))
            .optional()?;
        let old = old.ok_or_else(|| StoreError::Value(format!("no row {row_id} of the history to change")))?;
        let old = PlateId::parse(&old).map_err(|_| StoreError::Value(format!("plate_id {old:?}")))?;
        let before = self.newest(&old)?.map_or(0, |newest| newest.greatest_hlc);
        let of_new = self.newest(&row.plate_id)?;
        if of_new.is_none() {
            self.add_plate(&row.plate_id)?;
        }
        self.write_change(UPDATE_WHOLE, row_id, row, committed_ms)?;
        self.newest_rows.forget();
        self.raise_plate_hlc(&old, before)?;
        let greatest = of_new.map_or(0, |newest| newest.greatest_hlc);
        self.raise_plate_hlc(&row.plate_id, greatest.max(row.last_hlc.ms()))?;
        Ok(())
    }

    fn update_ending(&mut self, row_id: i64, row: &StayRow, committed_ms: i64) -> Result<(), StoreError> {
        self.open_transaction()?;
        let facts = self.facts_of(row)?;
        let mut statement = self.connection.prepare_cached(UPDATE_ENDING)?;
        let mut bind = Binder { statement: &mut statement, next: 1 };
        bind.ending(row_id, row, &facts, &self.zone, &self.utc.local_text(committed_ms))?;
        bind.value(self.zone.local_text(row.entry_ms))?;
        if statement.raw_execute()? == 0 {
            drop(statement);
            return self.update_stay(row_id, row, committed_ms);
        }
        drop(statement);
        self.newest_rows.rise(row_id, row);
        self.raise_plate_hlc(&row.plate_id, row.last_hlc.ms())
    }

    fn delete_stay(&mut self, row_id: i64) -> Result<(), StoreError> {
        self.open_transaction()?;
        self.newest_rows.forget();
        let removed: Option<(String, i64)> = self
            .connection
            .prepare_cached("DELETE FROM history WHERE id = ?1 RETURNING plate_id, max(last_hlc, plate_hlc)")?
            .query_row([row_id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (plate, greatest) =
            removed.ok_or_else(|| StoreError::Value(format!("no row {row_id} of the history to delete")))?;
        let plate = PlateId::parse(&plate).map_err(|_| StoreError::Value(format!("plate_id {plate:?}")))?;
        self.raise_plate_hlc(&plate, greatest)
    }
}

impl Writer {
    fn newest(&mut self, plate: &PlateId) -> Result<Option<Newest>, StoreError> {
        if let Some(known) = self.newest_rows.0.get(plate).copied() {
            debug_assert_eq!(known, self.look_up_newest(plate)?, "{plate}");
            return Ok(known);
        }
        let newest = self.look_up_newest(plate)?;
        self.newest_rows.know(plate, newest);
        Ok(newest)
    }

    fn look_up_newest(&self, plate: &PlateId) -> Result<Option<Newest>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, entry_hlc, max(last_hlc, plate_hlc) FROM history WHERE plate_id = ?1 \
             ORDER BY entry_hlc DESC, id DESC LIMIT 1",
        )?;
        let newest = statement.query_row([plate.as_str()], |row| {
            let (row_id, entry_hlc) = (row.get(0)?, row.get(1)?);
            Ok(Newest { row_id, entry_hlc, greatest_hlc: row.get(2)? })
        });
        Ok(newest.optional()?)
    }

    /// A fact as it is stored: the event's row number, or the hash of what was heard.
    pub(super) fn fact_value(&mut self, fact: &FactId) -> Result<Value, StoreError> {
        match fact {
            FactId::Authored { log, seq } => Ok(Value::Integer(self.row_of(log, *seq)?)),
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

    fn add_plate(&mut self, plate: &PlateId) -> Result<(), StoreError> {
        self.connection.prepare_cached("INSERT INTO plate(plate_id) VALUES(?1)")?.execute([plate.as_str()])?;
        Ok(())
    }

    /// Whether the row was there (and, in place, had the same keys and no later clock).
    fn write_change(&mut self, sql: &str, row_id: i64, row: &StayRow, committed_ms: i64) -> Result<bool, StoreError> {
        let facts = self.facts_of(row)?;
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut bind = Binder { statement: &mut statement, next: 1 };
        bind.ending(row_id, row, &facts, &self.zone, &self.utc.local_text(committed_ms))?;
        bind.beginning(row, &facts, &self.zone)?;
        Ok(statement.raw_execute()? == 1)
    }

    /// Makes the newest row of a plate, if there is one, say that no row of the plate is above this clock.
    fn raise_plate_hlc(&mut self, plate: &PlateId, greatest: i64) -> Result<(), StoreError> {
        if let Some(newest) = self.newest(plate)?.filter(|newest| newest.greatest_hlc < greatest) {
            self.connection
                .prepare_cached("UPDATE history SET plate_hlc = ?2 WHERE id = ?1")?
                .execute((newest.row_id, greatest))?;
            self.newest_rows.know(plate, Some(Newest { greatest_hlc: greatest, ..newest }));
        }
        Ok(())
    }
}

fn camera_name(central: &str, edge_id: &str) -> String {
    [central, "/", edge_id].concat()
}

/// What [`Binder::ending`] binds; a macro because statements are constants.
macro_rules! set_ending {
    () => {
        "UPDATE history SET updated_at = ?2, status = ?3, last_hlc = ?4, collected = ?5, confirmed_ms = ?6, \
         superseded_by = ?7, anomalies = ?8, confirm_event = ?9, exit_event = ?10, exit_time = ?11, \
         exit_camera_name = ?12, exit_confidence = ?13, exit_source = ?14, duration = ?15, fee = ?16, exit_ms = ?17, \
         exit_central = ?18, exit_edge = ?19, exit_manual = ?20, entry_unknown = ?21, tariff_version = ?22, \
         subscription_id = ?23, room_for_exit = iif(?10 IS NULL, room_for_exit, NULL)"
    };
}

/// What [`Binder::ending`] and [`Binder::beginning`] bind, without the indexed columns.
macro_rules! set_plain_columns {
    () => {
        concat!(set_ending!(), ", plate_view = ?25, entry_time = ?26, entry_camera_name = ?27, entry_confidence = ?28, entry_source = ?29, \
         source_central = ?31, edge_id = ?32, camera_type = ?33, entry_manual = ?35, entry_event = ?36")
    };
}

/// An exit usually adds some 110 bytes to a row: `room_for_exit` keeps that much free until then.
const INSERT: &str = "INSERT INTO history(id, created_at, updated_at, status, last_hlc, collected, confirmed_ms, \
    superseded_by, anomalies, confirm_event, exit_event, exit_time, exit_camera_name, exit_confidence, exit_source, \
    duration, fee, exit_ms, exit_central, exit_edge, exit_manual, entry_unknown, tariff_version, subscription_id, \
    plate_id, plate_view, entry_time, entry_camera_name, entry_confidence, entry_source, event_id, source_central, \
    edge_id, camera_type, entry_ms, entry_manual, entry_event, entry_hlc, sync_status, plate_hlc, committed_ms, \
    room_for_exit) \
    VALUES(?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
    ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, iif(?10 IS NULL, zeroblob(112), NULL)) ON CONFLICT(event_id) DO NOTHING";

/// Sets no indexed column: it matches only where they are as they are to be.
const UPDATE_IN_PLACE: &str = concat!(
    set_plain_columns!(),
    " WHERE id = ?1 AND plate_id = ?24 AND event_id = ?30 AND entry_ms = ?34 AND entry_hlc = ?37 AND last_hlc <= ?4"
);

/// Where nothing else changes. Both times of a row are told in one zone, whatever it was before.
const UPDATE_ENDING: &str = concat!(set_ending!(), ", entry_time = ?24 WHERE id = ?1 AND last_hlc <= ?4");

const UPDATE_WHOLE: &str =
    concat!(set_plain_columns!(), ", plate_id = ?24, event_id = ?30, entry_ms = ?34, entry_hlc = ?37 WHERE id = ?1");
