//! What is kept of tariffs, subscriptions, standings and names, held against the events that set them: a price that is another one, or none any
//! more, is not charged. Where the event is the one that is damaged, what is kept of it goes on to count.

use rusqlite::{OptionalExtension, Row};
use serde::de::IgnoredAny;

use super::Writer;
use crate::domain::event::Event;
use crate::domain::ids::Hlc;
use crate::ledger::settings::{as_kept, is_said_by};
use crate::ledger::storage::{EventRef, Setting, SettingKind};
use crate::replication::log::ChainHash;
use crate::store::error::StoreError;
use crate::store::reader::{read_event, read_hash};
use crate::store::schema::{MAX_SEQ, event_place, event_row_of};

const ALL: &str = "SELECT kind, id, hlc, event, value FROM setting";

impl Writer {
    pub(super) fn load_settings(&mut self) -> Result<Vec<Setting>, StoreError> {
        self.read_settings()?.into_iter().collect()
    }

    fn read_settings(&mut self) -> Result<Vec<Result<Setting, StoreError>>, StoreError> {
        let mut statement = self.connection.prepare(ALL)?;
        let mut rows = statement.query(())?;
        let mut settings = Vec::new();
        while let Some(row) = rows.next()? {
            let event = row.get(3).map_err(StoreError::from).and_then(|event| self.logs.place(&self.connection, event));
            settings.push(event.and_then(|at| read(row, at)));
        }
        Ok(settings)
    }

    /// Whether each value is what its event says.
    ///
    /// # Errors
    /// [`StoreError::Value`] where one is not: made anew from the events, it is. Those of the disk.
    pub fn check_settings(&mut self) -> Result<(), StoreError> {
        for setting in self.load_settings()? {
            let what = || format!("{} {}", setting_name(setting.kind), setting.id);
            let EventRef { log, seq } = &setting.at;
            match self.event_of(&setting.at)? {
                Written::So(event) if is_said_by(&setting, &event) => {}
                Written::So(_) => {
                    return Err(StoreError::Value(format!("{}: its event says something else", what())));
                }
                Written::Lost if is_readable(&setting) => {
                    self.miss(&format!("event {seq} of the log {log}, by which {} was set,", what()));
                }
                Written::Lost | Written::Never => return Err(StoreError::Value(what())),
            }
        }
        Ok(())
    }

    /// The values that can be read, of events that cannot.
    pub(super) fn settings_held_nowhere_else(&mut self) -> Result<Vec<Setting>, StoreError> {
        let mut only_here = Vec::new();
        for setting in self.read_settings()?.into_iter().flatten().filter(is_readable) {
            if matches!(self.event_of(&setting.at)?, Written::Lost) {
                only_here.push(setting);
            }
        }
        Ok(only_here)
    }

    fn event_of(&mut self, at: &EventRef) -> Result<Written, StoreError> {
        let Some(row) = self.logs.row(&self.connection, &at.log, at.seq)? else { return Ok(Written::Never) };
        let mut statement = self.connection.prepare_cached("SELECT bytes, hash FROM event WHERE id = ?1")?;
        let mut read = |row: i64| {
            statement
                .query_row([row], |found| Ok((read_event(found.get_ref(0)?), read_hash(found.get_ref(1)?))))
                .optional()
        };
        let (bytes, hash) = match read(row)? {
            Some((Ok(bytes), Ok(hash))) => (bytes, hash),
            Some(_) => return Ok(Written::Lost),
            None => {
                let last = event_row_of(&at.log, event_place(row).0, MAX_SEQ)?;
                let sql = "SELECT 1 FROM event WHERE id > ?1 AND id <= ?2 LIMIT 1";
                let goes_on = self.connection.prepare_cached(sql)?.exists([row, last])?;
                return Ok(if goes_on { Written::Lost } else { Written::Never });
            }
        };
        let before = match at.seq {
            ..=1 => Some(ChainHash::genesis(&at.log)),
            _ => read(row - 1)?.and_then(|(_, hash)| hash.ok()),
        };
        let is_as_written = before.is_some_and(|before| before.extend(&bytes) == hash);
        let event =
            Event::parse(&bytes).ok().filter(|event| is_as_written && event.log == at.log && event.seq == at.seq);
        Ok(event.map_or(Written::Lost, |event| Written::So(Box::new(event))))
    }
}

/// What lies where an event is said to.
enum Written {
    /// It does, as it was written.
    So(Box<Event>),
    /// It cannot be read, or is another one than was written.
    Lost,
    /// There was never one.
    Never,
}

fn is_readable(setting: &Setting) -> bool {
    as_kept(setting.kind, setting.value.as_deref()).is_some()
}

fn read(row: &Row<'_>, at: EventRef) -> Result<Setting, StoreError> {
    let kind = setting_kind(&row.get::<_, String>(0)?)?;
    let value: Option<String> = row.get(4)?;
    let is_json = |value: &str| serde_json::from_str::<IgnoredAny>(value).is_ok();
    if kind != SettingKind::Name && value.as_deref().is_some_and(|value| !is_json(value)) {
        return Err(StoreError::Value(format!("the value of a {}", setting_name(kind))));
    }
    let hlc = Hlc::new(row.get(2)?).map_err(|_| StoreError::Value("hlc of a setting".into()))?;
    Ok(Setting { kind, id: row.get(1)?, hlc, at, value })
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
