//! Begin, commit, rollback, and what is read at start.

use super::Writer;
use crate::domain::ids::{Hlc, LogId};
use crate::ledger::storage::{Loaded, Setting, SettingKind, StoredStay, Summary};
use crate::replication::log::Head;
use crate::store::error::StoreError;
use crate::store::reader::{read_hash, read_head};
use crate::store::stay_columns::{STAY_COLUMNS, read_stay};

/// What a rollback must put back.
#[derive(Debug)]
pub(super) struct Transaction {
    /// Logs that got their number in this transaction.
    pub new_logs: Vec<LogId>,
    /// The counters as they were at the beginning.
    next_log: i64,
    next_history_id: i64,
}

impl Writer {
    /// The transaction between `begin` and `commit`.
    pub(super) fn open_transaction(&mut self) -> Result<&mut Transaction, StoreError> {
        self.transaction.as_mut().ok_or(StoreError::NoTransaction)
    }

    pub(super) fn begin_transaction(&mut self) -> Result<(), StoreError> {
        debug_assert!(self.transaction.is_none(), "a transaction is begun while one is open");
        self.roll_back_transaction();
        self.stand_by_files()?;
        self.checkpointer.keep_bound(&self.connection);
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        self.transaction =
            Some(Transaction { next_log: self.next_log, next_history_id: self.next_history_id, new_logs: Vec::new() });
        Ok(())
    }

    pub(super) fn commit_transaction(&mut self) -> Result<(), StoreError> {
        let written = self.write_counters().and_then(|()| self.stand_by_files());
        let result = written.and_then(|()| Ok(self.connection.prepare_cached("COMMIT")?.execute(())?));
        match result {
            Ok(_) => {
                self.transaction = None;
                self.keep_committed()
            }
            Err(error) => {
                self.roll_back_transaction();
                Err(error)
            }
        }
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

    pub(super) fn roll_back_transaction(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.next_log = transaction.next_log;
            self.next_history_id = transaction.next_history_id;
            for log in &transaction.new_logs {
                self.logs.remove(log);
            }
            self.newest_of_plate = None;
            self.open_rows.forget_before(self.next_history_id);
        }
        // After a full disk or a failed write SQLite has rolled back by itself already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            log::error!(event = "rollback_failed", error:% = error; "cannot roll back a transaction");
        }
    }

    /// What the writer counts by itself.
    pub(super) fn read_counters(&mut self) -> Result<(), StoreError> {
        self.next_history_id =
            self.connection.query_row("SELECT next_history_id FROM ledger WHERE id = 1", (), |row| row.get(0))?;
        let last_log: Option<i64> = self.connection.query_row("SELECT max(no) FROM log", (), |row| row.get(0))?;
        self.next_log = last_log.unwrap_or(0) + 1;
        self.open_rows.forget_before(self.next_history_id);
        Ok(())
    }

    pub(super) fn load_all(&mut self) -> Result<Loaded, StoreError> {
        self.read_counters()?;
        Ok(Loaded {
            heads: self.load_heads()?,
            inside: self.load_inside()?,
            settings: self.load_settings()?,
            summary: self.load_summary()?,
            dirty: self.load_dirty()?,
        })
    }

    fn load_heads(&mut self) -> Result<Vec<(LogId, Head)>, StoreError> {
        let mut statement = self.connection.prepare("SELECT no, name, head, hash FROM log ORDER BY no")?;
        let mut rows = statement.query(())?;
        let mut heads = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(1)?;
            let log: LogId = name.parse().map_err(|_| StoreError::Value(format!("log name {name:?}")))?;
            self.logs.add(row.get(0)?, log.clone());
            let head = read_head(row, 2)?;
            // A log can have a number without an event: a heard fact or a setting named it.
            if head.to > 0 {
                heads.push((log, head));
            }
        }
        Ok(heads)
    }

    fn load_inside(&mut self) -> Result<Vec<StoredStay>, StoreError> {
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

    fn load_settings(&mut self) -> Result<Vec<Setting>, StoreError> {
        let mut statement = self.connection.prepare("SELECT kind, id, hlc, event, value FROM setting")?;
        let mut rows = statement.query(())?;
        let mut settings = Vec::new();
        while let Some(row) = rows.next()? {
            let kind: String = row.get(0)?;
            settings.push(Setting {
                kind: setting_kind(&kind)?,
                id: row.get(1)?,
                hlc: Hlc::new(row.get(2)?).map_err(|_| StoreError::Value("hlc of a setting".into()))?,
                at: self.logs.place(&self.connection, row.get(3)?)?,
                value: row.get(4)?,
            });
        }
        Ok(settings)
    }

    fn load_summary(&mut self) -> Result<Summary, StoreError> {
        let sql = "SELECT digest, max_hlc, events, loose_facts FROM ledger WHERE id = 1";
        self.connection
            .query_row(sql, (), |row| {
                let (events, loose_facts): (i64, i64) = (row.get(2)?, row.get(3)?);
                Ok((read_hash(row.get_ref(0)?), row.get::<_, i64>(1)?, events, loose_facts))
            })
            .map_err(StoreError::from)
            .and_then(|(digest, max_hlc, events, loose_facts)| {
                Ok(Summary {
                    digest: digest?.0,
                    max_hlc: Hlc::new(max_hlc).map_err(|_| StoreError::Value("max_hlc".into()))?,
                    events: events.cast_unsigned(),
                    loose_facts: loose_facts.cast_unsigned(),
                })
            })
    }
}

pub(super) fn setting_name(kind: SettingKind) -> &'static str {
    match kind {
        SettingKind::Tariff => "tariff",
        SettingKind::Announced => "announced",
        SettingKind::Subscription => "subscription",
        SettingKind::Central => "central",
        SettingKind::Name => "name",
    }
}

fn setting_kind(name: &str) -> Result<SettingKind, StoreError> {
    use SettingKind::{Announced, Central, Name, Subscription, Tariff};
    [Tariff, Announced, Subscription, Central, Name]
        .into_iter()
        .find(|kind| setting_name(*kind) == name)
        .ok_or_else(|| StoreError::Value(format!("setting {name:?}")))
}
