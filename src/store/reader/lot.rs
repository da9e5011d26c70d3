//! What is asked about the lot as a whole: who is inside by type, the course of a day, and the cars inside whose plates read almost
//! like a given one, when an exit is not known.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::Reader;
use super::rows::{HISTORY_COLUMNS, HistoryRow};
use crate::domain::plate::{PlateId, unlikeness};
use crate::domain::time::{QUARTER_MS, quarter};
use crate::store::error::StoreError;

/// Cars inside of one vehicle type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TypeCount {
    /// As the gates say it; may be empty.
    pub camera_type: String,
    pub cars: i64,
}

/// A day in steps of equal length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayCourse {
    /// Of the first step, Unix ms.
    pub start_ms: i64,
    pub step_ms: i64,
    /// Per step; as many as fit between the start and the end asked for.
    pub entries: Vec<i64>,
    pub exits: Vec<i64>,
    /// VND.
    pub revenue: Vec<i64>,
}

/// See [`Reader::newest_own_ms`].
pub(in crate::store) fn newest_own_ms(
    connection: &Connection,
    within: RangeInclusive<i64>,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT entry_ms FROM history WHERE entry_ms BETWEEN ?1 AND ?2 AND sync_status = 'LOCAL' ORDER BY entry_ms DESC LIMIT 1";
    let newest = connection.prepare_cached(sql)?.query_row([within.start(), within.end()], |row| row.get(0));
    Ok(newest.optional()?)
}

impl Reader {
    /// The newest entry that was stamped here within these times, Unix ms. Of its row nothing else is read, so that one that is damaged
    /// does not keep the state of this central from being told.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn newest_own_ms(&mut self, within: RangeInclusive<i64>) -> Result<Option<i64>, StoreError> {
        newest_own_ms(&self.connection, within)
    }

    /// The cars inside by vehicle type, the most frequent first.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn inside_by_type(&mut self) -> Result<Vec<TypeCount>, StoreError> {
        let sql = "SELECT camera_type, count(*) FROM history WHERE status = 'IN' AND status <> 'OUT' \
                   GROUP BY camera_type ORDER BY 2 DESC, 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let counts = statement
            .query_map((), |row| Ok(TypeCount { camera_type: row.get(0)?, cars: row.get(1)? }))?
            .collect::<Result<_, _>>()?;
        Ok(counts)
    }

    /// Entries, exits and revenue from `start_ms` until before `end_ms`, per `step_ms`; all begin a quarter of an hour each. Made of the
    /// sums that [`Reader::stats`] adds up.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn day_course(&mut self, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<DayCourse, StoreError> {
        let step_ms = step_ms.max(QUARTER_MS);
        let steps = usize::try_from((end_ms - start_ms + step_ms - 1) / step_ms).unwrap_or(0);
        let mut course =
            DayCourse { start_ms, step_ms, entries: vec![0; steps], exits: vec![0; steps], revenue: vec![0; steps] };
        let sql = "SELECT (quarter - ?1) / ?3, sum(entries), sum(exits), sum(revenue) FROM quarter_total \
                   WHERE quarter >= ?1 AND quarter < ?2 GROUP BY 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query((quarter(start_ms), quarter(end_ms), quarter(step_ms)))?;
        while let Some(row) = rows.next()? {
            let Ok(step) = usize::try_from(row.get::<_, i64>(0)?) else { continue };
            for (column, sums) in [(1, &mut course.entries), (2, &mut course.exits), (3, &mut course.revenue)] {
                if let Some(sum) = sums.get_mut(step) {
                    *sum = row.get(column)?;
                }
            }
        }
        Ok(course)
    }
}

/// Cars inside that are compared, the newest entries first: some ms, and more than most lots have places for.
const MOST_COMPARED: i64 = 20_000;

impl Reader {
    /// The cars inside whose plates are near `plate`, the nearest first and of these the newest entry; at most `limit`.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn near(&mut self, plate: &PlateId, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        let sql = "SELECT id, plate_id FROM history WHERE status = 'IN' AND status <> 'OUT' \
                   ORDER BY entry_ms DESC, id DESC LIMIT ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([MOST_COMPARED])?;
        let mut nearest: BTreeSet<(u32, usize, i64)> = BTreeSet::new();
        let mut place = 0;
        while let Some(row) = rows.next()? {
            place += 1;
            // A row of a predecessor may hold what is no plate here.
            let Ok(inside) = PlateId::parse(row.get_ref(1)?.as_str().unwrap_or_default()) else { continue };
            let Some(unlike) = unlikeness(plate, &inside) else { continue };
            nearest.insert((unlike, place, row.get(0)?));
            if nearest.len() > limit {
                nearest.pop_last();
            }
        }
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {HISTORY_COLUMNS} FROM history WHERE id = ?1"))?;
        let found = nearest.into_iter().map(|(_, _, id)| {
            statement.query_row([id], |row| Ok(HistoryRow::read(&self.connection, row))).optional()?.transpose()
        });
        found.filter_map(Result::transpose).collect()
    }
}
