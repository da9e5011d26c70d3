//! The audit: added to at its end, each entry chained to the one before it.

use rusqlite::{OptionalExtension, Row};

use super::Writer;
use crate::domain::audit::{AuditHash, Entry};
use crate::store::error::StoreError;

impl Writer {
    pub(super) fn add_audit(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.open_transaction()?;
        let sql = "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1";
        // `verify` names the one whose hash cannot be read; what comes after it is written down all the same.
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1).unwrap_or_default()));
        let last: Option<(i64, AuditHash)> = self.connection.prepare_cached(sql)?.query_row((), read).optional()?;
        let (last_id, before) = last.unwrap_or_default();
        let text = entry.to_text();
        let hash = Entry::chained(&before, &text);
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
}
