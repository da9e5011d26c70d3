//! What is made from the events: emptied and marked when it has to be made anew, whatever lies in it. And what is made from nothing
//! else, where it cannot be read: gates go on without it, and that is told.

use std::path::PathBuf;

use rusqlite::OptionalExtension;

use super::Writer;
use crate::domain::ids::Hlc;
use crate::ledger::storage::{Storage as _, Summary, Tables as _};
use crate::store::checkpoint::Checkpointer;
use crate::store::error::StoreError;
use crate::store::log_heads;
use crate::store::missed::Missed;
use crate::store::salvage::{Salvaged, salvage};
use crate::store::schema;

/// The greatest number of a row of the history; a site never comes near.
pub(super) const MAX_HISTORY_ID: i64 = 1 << 62;

impl Writer {
    /// The version of the rules that made the history; 0: it is half made, or that cannot be read.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn rules_version(&mut self) -> Result<u32, StoreError> {
        let read = self.connection.query_row("SELECT rules FROM ledger WHERE id = 1", (), |row| row.get(0)).optional();
        match read.map_err(StoreError::from) {
            Err(error) if error.is_of_derived() => Ok(0),
            read => Ok(read?.unwrap_or(0)),
        }
    }

    /// Outside of a transaction; on the disk when this returns.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn set_rules_version(&mut self, version: u32) -> Result<(), StoreError> {
        self.connection.execute("UPDATE ledger SET rules = ?1 WHERE id = 1", [version])?;
        Ok(())
    }

    /// Empties all that is made from the events, and marks it as half made: the next start makes it anew. For what cannot even be
    /// read.
    ///
    /// # Errors
    /// Those of the disk. Then nothing was changed.
    pub fn forget_derived(&mut self) -> Result<(), StoreError> {
        schema::restore(&self.connection)?.lost.iter().for_each(|table| self.miss(&format!("the table {table}")));
        // No row number is given twice, as far as can be known.
        let last = "SELECT max(coalesce((SELECT max(id) FROM history WHERE id BETWEEN 1 AND ?1), 0), coalesce((SELECT \
                    next_history_id - 1 FROM ledger WHERE typeof(next_history_id) = 'integer' AND next_history_id BETWEEN 1 AND ?1), 0))";
        let last: i64 = self.connection.query_row(last, [MAX_HISTORY_ID], |row| row.get(0))?;
        let held = log_heads::read(&self.connection)?.logs.into_iter().map(|known| known.head.to);
        let events = held.fold(0, u64::saturating_add);
        self.next_history_id = last + 1;
        self.begin()?;
        let emptied = self.connection.execute("DELETE FROM ledger", ()).map_err(StoreError::from);
        let emptied = emptied.and_then(|_| self.clear_projection()).and_then(|()| {
            let sql = "INSERT INTO ledger(id, digest, max_hlc, events, loose_facts, next_history_id, rules) \
                       VALUES(1, zeroblob(32), 0, 0, 0, ?1, 0)";
            self.connection.execute(sql, [self.next_history_id])?;
            self.set_summary(&Summary { digest: [0; 32], max_hlc: Hlc::default(), events, loose_facts: 0 })
        });
        match emptied {
            Ok(()) => self.commit()?,
            Err(error) => {
                self.rollback();
                return Err(error);
            }
        }
        self.read_counters()
    }

    /// Whether all pages of the file can be read. A value of another kind than its table has is none of theirs.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn is_whole(&self) -> Result<bool, StoreError> {
        let check = || -> Result<Vec<String>, StoreError> {
            let mut statement = self.connection.prepare("PRAGMA quick_check")?;
            let said = statement.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(said)
        };
        match check() {
            Err(error) if error.is_broken_page() => Ok(false),
            said => Ok(said?.iter().all(|said| said == "ok" || said.contains(" value in "))),
        }
    }

    /// Goes on with a new file, written from what of this one is made from nothing else and can be read. Where the damaged one lies.
    /// What is made from the events is to be made anew.
    ///
    /// # Errors
    /// As [`salvage`]: then nothing has changed. Those of the disk.
    pub fn go_on_anew(&mut self) -> Result<PathBuf, StoreError> {
        self.rollback();
        self.checkpointer.stop();
        let salvaged = salvage(&self.directory);
        // The thread that copies the log ended in any case.
        let directory = self.directory.clone();
        let Salvaged { kept, lost } = match salvaged {
            Ok(salvaged) => salvaged,
            Err(error) => {
                self.checkpointer = Checkpointer::start(&mut self.connection, &directory)?;
                self.marked = None;
                return Err(error);
            }
        };
        let mut anew = Self::open(&directory, self.zone.clone())?;
        anew.missed = self.missed.clone();
        lost.iter().for_each(|what| anew.miss(what));
        *self = anew;
        Ok(kept)
    }

    /// Tells, once, that something cannot be read which is made from nothing else.
    pub fn miss(&self, what: &str) {
        self.missed.add(what);
    }

    /// What was missed so far, and is from now on.
    #[must_use]
    pub fn missed(&self) -> &Missed {
        &self.missed
    }
}
