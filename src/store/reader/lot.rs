//! What a dashboard asks about the lot as a whole: who is inside by type, and the course of a day.

use serde::Serialize;

use super::Reader;
use crate::store::error::StoreError;
use crate::store::schema::LONG_MS;

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

impl Reader {
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

    /// Entries, exits and revenue from `start_ms` until before `end_ms`, per `step_ms` (above 0).
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn day_course(&mut self, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<DayCourse, StoreError> {
        let step_ms = step_ms.max(1);
        let steps = usize::try_from((end_ms - start_ms + step_ms - 1) / step_ms).unwrap_or(0);
        let mut course =
            DayCourse { start_ms, step_ms, entries: vec![0; steps], exits: vec![0; steps], revenue: vec![0; steps] };
        let entries = "SELECT (entry_ms - ?1) / ?3, count(*), 0 FROM history INDEXED BY history_entry \
                       WHERE entry_ms >= ?1 AND entry_ms < ?2 AND ?4 IS NOT NULL AND status <> 'VOID' \
                       AND (exit_event IS NULL OR exit_event <> entry_event) GROUP BY 1";
        // There is no index by exit. Who leaves today came in at most so long before, or is one of the few long stays.
        let exits = format!(
            "SELECT (exit_ms - ?1) / ?3, count(*), sum(collected) FROM (\
             SELECT exit_ms, collected, status FROM history INDEXED BY history_entry \
             WHERE entry_ms >= ?4 AND exit_ms >= ?1 AND exit_ms < ?2 AND NOT exit_ms - entry_ms > {LONG_MS} \
             UNION ALL SELECT exit_ms, collected, status FROM history INDEXED BY history_long \
             WHERE exit_ms - entry_ms > {LONG_MS} AND exit_ms >= ?1 AND exit_ms < ?2) \
             WHERE status <> 'VOID' GROUP BY 1"
        );
        for (sql, is_exit) in [(entries, false), (exits.as_str(), true)] {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query((start_ms, end_ms, step_ms, start_ms.saturating_sub(LONG_MS)))?;
            while let Some(row) = rows.next()? {
                let Ok(step) = usize::try_from(row.get::<_, i64>(0)?) else { continue };
                let counts = if is_exit { &mut course.exits } else { &mut course.entries };
                if let Some(count) = counts.get_mut(step) {
                    *count = row.get(1)?;
                }
                if let Some(revenue) = course.revenue.get_mut(step).filter(|_| is_exit) {
                    *revenue = row.get(2)?;
                }
            }
        }
        Ok(course)
    }
}
