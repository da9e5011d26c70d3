//! The cars inside whose plates read almost like a given one: what is looked for when an exit is not known.

use std::collections::BTreeSet;

use rusqlite::OptionalExtension;

use super::Reader;
use super::rows::{HISTORY_COLUMNS, HistoryRow};
use crate::domain::plate::PlateId;
use crate::domain::plate::unlikeness;
use crate::store::error::StoreError;

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
