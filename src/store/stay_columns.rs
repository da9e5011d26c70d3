//! One row of the history between memory and table, exactly: what is read back hashes as what was written.

use std::collections::BTreeSet;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row};

use super::error::StoreError;
use super::log_numbers::LogNumbers;
use crate::domain::anomaly::Anomaly;
use crate::domain::ids::{FactId, Hlc};
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::row::{ExitPart, StayRow, StayStatus};
use crate::domain::time::{MAX_MS, MIN_MS};
use crate::ledger::storage::StoredStay;

/// What [`read_stay`] reads, in its order.
pub(super) const STAY_COLUMNS: &str = "id, committed_ms, event_id, source_central, edge_id, plate_id, plate_view, \
     camera_type, entry_ms, entry_confidence, entry_manual, confirmed_ms, status, superseded_by, collected, anomalies, \
     entry_event, confirm_event, last_hlc, exit_event, exit_central, exit_edge, exit_ms, fee, duration, \
     exit_confidence, exit_manual, tariff_version, subscription_id, entry_unknown, entry_hlc";

/// Names, separated by commas; `None`: none.
pub(super) fn anomalies_text(anomalies: &BTreeSet<Anomaly>) -> Option<String> {
    if anomalies.is_empty() {
        return None;
    }
    let names: Vec<&str> = anomalies.iter().map(|anomaly| anomaly.name()).collect();
    Some(names.join(","))
}

fn read_anomalies(text: Option<&str>) -> Result<BTreeSet<Anomaly>, StoreError> {
    text.into_iter()
        .flat_map(|text| text.split(','))
        .map(|name| Anomaly::from_name(name).ok_or_else(|| StoreError::Value(format!("anomaly {name:?}"))))
        .collect()
}

/// A confidence as it is stored: SQLite knows no NaN, so those are their 8 bytes.
pub(super) fn confidence_value(confidence: Option<f64>) -> Value {
    match confidence {
        None => Value::Null,
        Some(number) if number.is_nan() => Value::Blob(number.to_be_bytes().to_vec()),
        Some(number) => Value::Real(number),
    }
}

pub(super) fn read_confidence(value: ValueRef<'_>) -> Result<Option<f64>, StoreError> {
    let unreadable = || StoreError::Value("confidence".into());
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Real(number) => Ok(Some(number)),
        ValueRef::Blob(bytes) => Ok(Some(f64::from_be_bytes(bytes.try_into().map_err(|_| unreadable())?))),
        ValueRef::Integer(_) | ValueRef::Text(_) => Err(unreadable()),
    }
}

fn read_fact(
    connection: &Connection,
    logs: &mut LogNumbers,
    value: ValueRef<'_>,
) -> Result<Option<FactId>, StoreError> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(row) => Ok(Some(logs.fact(connection, row)?)),
        ValueRef::Blob(digest) => {
            let digest = digest.try_into().map_err(|_| StoreError::Value("fact".into()))?;
            Ok(Some(FactId::Heard(digest)))
        }
        ValueRef::Real(_) | ValueRef::Text(_) => Err(StoreError::Value("fact".into())),
    }
}

/// No event states another.
fn time(ms: i64) -> Result<i64, StoreError> {
    if (MIN_MS..=MAX_MS).contains(&ms) { Ok(ms) } else { Err(StoreError::Value(format!("time {ms}"))) }
}

/// Reads a row selected as [`STAY_COLUMNS`].
pub(super) fn read_stay(
    connection: &Connection,
    logs: &mut LogNumbers,
    row: &Row<'_>,
) -> Result<StoredStay, StoreError> {
    let plate: PlateId = {
        let text = row.get_ref(5)?.as_str().map_err(|_| StoreError::Value("plate_id".into()))?;
        PlateId::parse(text).map_err(|_| StoreError::Value(format!("plate_id {text:?}")))?
    };
    let status_name = row.get_ref(12)?.as_str().map_err(|_| StoreError::Value("status".into()))?;
    let status =
        StayStatus::from_name(status_name).ok_or_else(|| StoreError::Value(format!("status {status_name:?}")))?;
    let anomalies = row.get_ref(15)?.as_str_or_null().map_err(|_| StoreError::Value("anomalies".into()))?;
    let entry_fact =
        read_fact(connection, logs, row.get_ref(16)?)?.ok_or_else(|| StoreError::Value("entry_event".into()))?;
    let exit = match read_fact(connection, logs, row.get_ref(19)?)? {
        None => None,
        Some(fact) => Some(ExitPart {
            fact,
            central: row.get(20)?,
            edge_id: row.get(21)?,
            exit_ms: time(row.get(22)?)?,
            fee: Vnd(row.get(23)?),
            duration: row.get(24)?,
            confidence: read_confidence(row.get_ref(25)?)?,
            manual: row.get(26)?,
            entry_unknown: row.get(29)?,
            tariff_version: row.get(27)?,
            subscription_id: row.get(28)?,
        }),
    };
    Ok(StoredStay {
        row_id: row.get(0)?,
        committed_ms: row.get(1)?,
        row: StayRow {
            stay_id: row.get(2)?,
            source_central: row.get(3)?,
            edge_id: row.get(4)?,
            plate_id: plate,
            plate_view: row.get(6)?,
            camera_type: row.get(7)?,
            entry_ms: time(row.get(8)?)?,
            entry_confidence: read_confidence(row.get_ref(9)?)?,
            entry_manual: row.get(10)?,
            confirmed_ms: row.get::<_, Option<i64>>(11)?.map(time).transpose()?,
            exit,
            status,
            superseded_by: row.get(13)?,
            collected: Vnd(row.get(14)?),
            anomalies: read_anomalies(anomalies)?,
            entry_fact,
            entry_hlc: Hlc::new(row.get(30)?).map_err(|_| StoreError::Value("entry_hlc".into()))?,
            confirm_fact: read_fact(connection, logs, row.get_ref(17)?)?,
            last_hlc: Hlc::new(row.get(18)?).map_err(|_| StoreError::Value("last_hlc".into()))?,
        },
    })
}

pub(super) fn select_stays(filter: &str) -> String {
    format!("SELECT {STAY_COLUMNS} FROM history WHERE {filter}")
}
