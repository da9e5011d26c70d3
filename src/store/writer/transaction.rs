//! Begin, commit, rollback, what is read at start, and what is done beside the ledger's transactions.

use std::ops::RangeInclusive;

use rusqlite::OptionalExtension;

use super::Writer;
use super::derived::MAX_HISTORY_ID;
use crate::background;
use crate::domain::ids::{Hlc, LogId};
use crate::domain::row::StayStatus;
use crate::domain::time::SiteZone;
use crate::ledger::storage::{Loaded, Setting, Storage, StoredStay, Summary, Tables as _, Watched};
use crate::replication::handshake::SeenOf;
use crate::replication::log::Head;
use crate::store::checkpoint::touch;
use crate::store::directory::Mark;
use crate::store::error::StoreError;
use crate::store::files::SeenFiles;
use crate::store::log_heads::{self, KnownLog, LogHeads};
use crate::store::reader::lot::newest_own_ms;
use crate::store::reader::read_hash;
use crate::store::schema::{self, MAX_LOG_NO};
use crate::store::stay_columns::{STAY_COLUMNS, read_stay};

/// What a rollback must put back.
#[derive(Debug)]
pub(super) struct RollbackOf {
    /// Logs that got their number in this transaction.
    pub new_logs: Vec<LogId>,
    /// The counters as they were at the beginning.
    next_log: i64,
    next_history_id: i64,
}

impl Storage for Writer {
    fn is_of_derived(error: &StoreError) -> bool {
        error.is_of_derived() || error.is_broken_page()
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        let heads = self.load_heads()?;
        self.read_counters()?;
        Ok(Loaded {
            heads,
            inside: self.load_inside()?,
            settings: self.load_settings()?,
            summary: self.load_summary()?,
            dirty: self.load_dirty()?,
        })
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        debug_assert!(self.transaction.is_none(), "a transaction is begun while one is open");
        self.rollback();
        self.stand_by_files()?;
        self.checkpointer.keep_bound(&self.connection);
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        self.transaction =
            Some(RollbackOf { next_log: self.next_log, next_history_id: self.next_history_id, new_logs: Vec::new() });
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let written = self.write_counters().and_then(|()| self.stand_by_files());
        let result = written.and_then(|()| Ok(self.connection.prepare_cached("COMMIT")?.execute(())?));
        match result {
            Ok(_) => {
                self.transaction = None;
                self.keep_committed()
            }
            Err(error) => {
                self.rollback();
                Err(error)
            }
        }
    }

    fn rollback(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.next_log = transaction.next_log;
            self.next_history_id = transaction.next_history_id;
            for log in &transaction.new_logs {
                self.logs.remove(log);
            }
            self.newest_rows.forget();
            self.totals.forget();
            self.has_invoiced = None;
        }
        // After a full disk or a failed write SQLite has rolled back by itself already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            log::error!(event = "rollback_failed", error:% = error; "cannot roll back a transaction");
        }
    }

    fn clear_projection(&mut self) -> Result<(), StoreError> {
        self.open_transaction()?;
        self.newest_rows.forget();
        self.totals.forget();
        self.has_invoiced = None;
        let only_here = self.settings_held_nowhere_else()?;
        self.connection.execute_batch(
            "DELETE FROM history; DELETE FROM plate; DELETE FROM loose_fact; DELETE FROM loose_key; \
             DELETE FROM request; DELETE FROM heard; DELETE FROM quarter_total; DELETE FROM taking; DELETE FROM shift; \
             DELETE FROM money_change; DELETE FROM setting; DELETE FROM quarantine; \
             DELETE FROM waiting; DELETE FROM payment; DELETE FROM payment_assigned; DELETE FROM shift_recount; \
             DELETE FROM invoice; DELETE FROM invoiced_exit; \
             UPDATE ledger SET digest = zeroblob(32), max_hlc = 0, events = 0, loose_facts = 0",
        )?;
        only_here.iter().try_for_each(|setting| self.put_setting(setting))
    }

    fn settings_left(&mut self) -> Result<Vec<Setting>, StoreError> {
        self.load_settings()
    }

    fn make_anew_at_next_start(&mut self) -> Result<(), StoreError> {
        self.set_rules_version(0)
    }

    fn make_room(&mut self) -> u64 {
        if self.is_for_once {
            // Whether it reaches the disk is all the same.
            drop(background::with_rest(|| self.directory.sync_database()));
        } else if self.transaction.is_none() {
            self.checkpointer.make_room(&self.connection);
        }
        self.wal_bytes()
    }

    fn record_sync(&mut self, peer: &str, now_ms: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO p2p_sync_state VALUES(?1, ?2, ?3, ?3) ON CONFLICT DO UPDATE SET \
                   last_sync_timestamp = excluded.last_sync_timestamp, last_sync_time = excluded.last_sync_time, \
                   updated_at = excluded.updated_at";
        self.connection.prepare_cached(sql)?.execute((peer, now_ms, self.utc.local_text(now_ms)))?;
        Ok(())
    }

    fn record_told(&mut self, peer: &str, cursors: &[(LogId, u64)]) -> Result<(), StoreError> {
        let sql = "INSERT INTO legacy_cursor VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)";
        // One sync, however many logs.
        let all = self.connection.savepoint()?;
        for (log, seq) in cursors {
            all.prepare_cached(sql)?.execute((peer, log.to_string(), seq.cast_signed()))?;
        }
        all.commit()?;
        Ok(())
    }

    fn note_seen(&mut self, (central, fingerprint, seen): &SeenOf) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO seen_start VALUES(?1, ?2, ?3, ?4)";
        let (number, instance) = (seen.number.cast_signed(), seen.instance.0.cast_signed());
        self.connection.prepare_cached(sql)?.execute((central.as_str(), fingerprint, number, instance))?;
        Ok(())
    }

    fn probe(&mut self, as_an_event: bool) -> Result<(), StoreError> {
        if schema::event_row(self.next_log, 1).is_none() {
            return Err(StoreError::Value("there is no number left for another log".into()));
        }
        self.stand_by_files()?;
        self.checkpointer.keep_bound(&self.connection);
        if as_an_event {
            self.try_event()?
        } else {
            touch(&self.connection)?
        };
        self.keep_committed()
    }

    fn newest_own_ms(&mut self, within: RangeInclusive<i64>) -> Result<Option<i64>, StoreError> {
        newest_own_ms(&self.connection, within)
    }

    fn watch(&mut self) -> Watched {
        Watched { database: self.missed.told(), ..self.look_after_files() }
    }

    fn set_zone(&mut self, zone: SiteZone) {
        self.zone = zone;
    }

    fn close(mut self) -> Result<(), StoreError> {
        self.rollback();
        // What is in the log is no part of the file that has the database's name.
        if self.cut.is_some() || self.is_rescued_in_place() {
            self.checkpointer.stop();
            return Ok(());
        }
        let copied = self.checkpointer.finish(&self.connection)?;
        if !self.lost && self.files.look(0) != SeenFiles::DatabaseGone {
            self.in_order = true;
            if copied {
                drop(self.directory.put_mark(Mark::Closed));
            }
        }
        Ok(())
    }
}

impl Writer {
    /// The transaction between `begin` and `commit`.
    pub(super) fn open_transaction(&mut self) -> Result<&mut RollbackOf, StoreError> {
        self.transaction.as_mut().ok_or(StoreError::NoTransaction)
    }

    fn write_counters(&mut self) -> Result<(), StoreError> {
        let began_at = self.open_transaction()?.next_history_id;
        if self.next_history_id != began_at {
            self.connection
                .prepare_cached("UPDATE ledger SET next_history_id = ?1 WHERE id = 1")?
                .execute([self.next_history_id])?;
        }
        Ok(())
    }

    /// What the writer counts by itself.
    pub(super) fn read_counters(&mut self) -> Result<(), StoreError> {
        let next = "SELECT next_history_id FROM ledger WHERE id = 1";
        let next: i64 = self.connection.query_row(next, (), |row| row.get(0)).optional()?.ok_or_else(no_summary)?;
        if !(1..=MAX_HISTORY_ID).contains(&next) {
            return Err(StoreError::Value("next_history_id".into()));
        }
        self.next_history_id = next;
        // After the last one, or where that is damaged the first that is free.
        let first_free = "SELECT min(no) + 1 FROM (SELECT 0 AS no UNION ALL SELECT no FROM log) WHERE no + 1 NOT IN (SELECT no FROM log)";
        let last: Option<i64> = self.connection.query_row("SELECT max(no) FROM log", (), |row| row.get(0))?;
        self.next_log = match last {
            Some(last) if last >= MAX_LOG_NO => self.connection.query_row(first_free, (), |row| row.get(0))?,
            last => last.unwrap_or(0) + 1,
        };
        Ok(())
    }

    fn load_heads(&mut self) -> Result<Vec<(LogId, Head)>, StoreError> {
        let LogHeads { logs, lost, impossible } = log_heads::read(&self.connection)?;
        for number in impossible {
            self.connection.execute("DELETE FROM log WHERE no = ?1", [number])?;
        }
        for number in lost {
            // Under this name nobody continues it: what others hold of it gets a number of its own.
            let sql = "INSERT INTO log VALUES(?1, 'unreadable ' || ?1, 0, x'') ON CONFLICT(no) DO UPDATE SET name = excluded.name";
            self.connection.execute(sql, [number])?;
            self.miss(&format!("log number {number}"));
        }
        let mut heads = Vec::new();
        for KnownLog { number, log, head, is_of_events } in logs {
            self.logs.add(number, log.clone());
            if is_of_events {
                self.miss(&format!("the name or the end of the log {log}"));
                let sql = "INSERT OR REPLACE INTO log VALUES(?1, ?2, ?3, ?4)";
                self.connection.execute(sql, (number, log.to_string(), head.to.cast_signed(), &head.hash.0))?;
            }
            // A log can have a number without an event: a heard fact or a setting named it.
            if head.to > 0 {
                heads.push((log, head));
            }
        }
        Ok(heads)
    }

    fn load_inside(&mut self) -> Result<Vec<StoredStay>, StoreError> {
        // A car inside whose status cannot be read would be missed without a word.
        let mut statement = self.connection.prepare("SELECT DISTINCT status FROM history WHERE status <> 'OUT'")?;
        let statuses = statement.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        if let Some(unknown) = statuses.iter().find(|status| StayStatus::from_name(status).is_none()) {
            return Err(StoreError::Value(format!("status {unknown:?}")));
        }
        // `status <> 'OUT'` is what the index of the few asks for.
        let sql = format!("SELECT {STAY_COLUMNS} FROM history WHERE status = 'IN' AND status <> 'OUT'");
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(())?;
        let mut inside = Vec::new();
        while let Some(row) = rows.next()? {
            inside.push(read_stay(&self.connection, &mut self.logs, row)?);
        }
        Ok(inside)
    }

    fn load_summary(&mut self) -> Result<Summary, StoreError> {
        let sql = "SELECT digest, max_hlc, events, loose_facts FROM ledger WHERE id = 1";
        let read = self
            .connection
            .query_row(sql, (), |row| {
                let (events, loose_facts): (i64, i64) = (row.get(2)?, row.get(3)?);
                Ok((read_hash(row.get_ref(0)?), row.get::<_, i64>(1)?, events, loose_facts))
            })
            .optional()?;
        let (digest, max_hlc, events, loose_facts) = read.ok_or_else(no_summary)?;
        Ok(Summary {
            digest: digest.map_err(|_| StoreError::Value("digest".into()))?.0,
            max_hlc: Hlc::new(max_hlc).map_err(|_| StoreError::Value("max_hlc".into()))?,
            events: u64::try_from(events).map_err(|_| StoreError::Value("number of events".into()))?,
            loose_facts: u64::try_from(loose_facts).map_err(|_| StoreError::Value("number of loose facts".into()))?,
        })
    }
}

fn no_summary() -> StoreError {
    StoreError::Value("the row of table ledger is missing".into())
}
