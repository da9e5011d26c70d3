//! Which start of the program on this database this is, and which were seen of other centrals.

use rusqlite::TransactionBehavior;

use super::Writer;
use crate::replication::starts::{Instance, MOST_TOLD, SeenOf, SeenStart, Start};
use crate::store::error::StoreError;

impl Writer {
    /// Notes that a process begins. Durable on return, so that nobody has seen a start that is not in the database.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn note_start(&mut self, instance: Instance) -> Result<Start, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let most = i64::try_from(MOST_TOLD).unwrap_or(i64::MAX);
        let earlier = transaction
            .prepare("SELECT number, instance FROM start ORDER BY number DESC LIMIT ?1")?
            .query_map([most], |row| Ok((row.get::<_, i64>(0)?, Instance(row.get::<_, i64>(1)?.cast_unsigned()))))?
            .collect::<Result<Vec<_>, _>>()?;
        let number = earlier.first().map_or(1, |(last, _)| last.saturating_add(1));
        transaction.execute("INSERT INTO start VALUES(?1, ?2)", (number, instance.0.cast_signed()))?;
        transaction.execute("DELETE FROM start WHERE number < ?1", [number.saturating_sub(most)])?;
        transaction.commit()?;
        let earlier = earlier.into_iter().map(|(_, instance)| instance).collect();
        Ok(Start { number: number.cast_unsigned(), earlier })
    }

    /// Notes which start was seen of a central.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn record_seen(&mut self, (central, fingerprint, seen): &SeenOf) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO seen_start VALUES(?1, ?2, ?3, ?4)";
        let (number, instance) = (seen.number.cast_signed(), seen.instance.0.cast_signed());
        self.connection.prepare_cached(sql)?.execute((central.as_str(), fingerprint, number, instance))?;
        Ok(())
    }

    /// What [`Writer::record_seen`] noted.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn seen_starts(&self) -> Result<Vec<SeenOf>, StoreError> {
        let mut statement = self.connection.prepare("SELECT central, fingerprint, number, instance FROM seen_start")?;
        let rows = statement.query_map((), |row| {
            let (number, instance): (i64, i64) = (row.get(2)?, row.get(3)?);
            let seen = SeenStart { number: number.cast_unsigned(), instance: Instance(instance.cast_unsigned()) };
            Ok((row.get::<_, String>(0)?, row.get(1)?, seen))
        })?;
        // A row that names no central, or cannot be read, says nothing.
        Ok(rows.filter_map(|row| row.ok().and_then(|(id, key, seen)| Some((id.parse().ok()?, key, seen)))).collect())
    }
}
