//! Reads the database of the Python system this program replaces, either revision. Only reads: the file is opened so that
//! it cannot be written. A journal that was left beside it is played back on a copy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row};
use serde_json::Value;

use crate::legacy::dialect::hear::is_set;

/// How long to wait for a program that is writing to it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Columns without which a row says nothing.
const NEEDED: [&str; 5] = ["id", "plate_id", "plate_view", "entry_time", "status"];
/// Columns that a row may have, by revision; NULL where the table has none.
const OPTIONAL: [&str; 17] = [
    "event_id",
    "source_central",
    "edge_id",
    "entry_camera_id",
    "entry_camera_name",
    "entry_confidence",
    "exit_time",
    "exit_camera_id",
    "exit_camera_name",
    "exit_confidence",
    "exit_source",
    "duration",
    "fee",
    "entry_source",
    "sync_status",
    "created_at",
    "is_anomaly",
];

/// Why a predecessor's database cannot be read. Nothing was imported of it.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    #[error("{}: there is no such file", .0.display())]
    Missing(PathBuf),
    #[error("{}: this is no SQLite database", .0.display())]
    NotADatabase(PathBuf),
    #[error("{}: this is a database of ParkMesh; copy the whole data directory instead of importing it", .0.display())]
    Ours(PathBuf),
    #[error("{}: it has no table 'history', so it is not the database of the old program (data/central.db)", .0.display())]
    NoHistory(PathBuf),
    #[error("{}: its table 'history' has no column '{column}'", .path.display())]
    NoColumn { path: PathBuf, column: &'static str },
    #[error("{}: another program is writing to it; stop the old program first", .0.display())]
    Locked(PathBuf),
    #[error(
        "{}: its times are of a clock that is {off} off that of {zone}: every stay would be wrong by that. Say which zone the old \
         machine's clock shows, such as --time-zone UTC; for the settings, \"site\": {{\"time_zone\"}} is the site's",
        .path.display()
    )]
    AnotherClock { path: PathBuf, off: String, zone: String },
    #[error("{}: it cannot be read ({reason}). Take the newest copy of it that can, or salvage it with: sqlite3 {0} .recover", .path.display())]
    Unreadable { path: PathBuf, reason: String },
}

/// One row of the history, as it stands there. Empty texts are `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ForeignRow {
    pub id: i64,
    pub plate_id: Option<String>,
    pub plate_view: Option<String>,
    pub entry_time: Option<String>,
    pub status: Option<String>,
    pub event_id: Option<String>,
    pub source_central: Option<String>,
    pub edge_id: Option<String>,
    pub entry_camera: Option<String>,
    pub entry_confidence: Option<f64>,
    pub exit_time: Option<String>,
    pub exit_camera: Option<String>,
    pub exit_confidence: Option<f64>,
    pub exit_source: Option<String>,
    pub duration: Option<String>,
    /// `Err`: what stands there instead of whole đồng.
    pub fee: Option<Result<i64, String>>,
    /// A camera in the car park saw the car, and no gate.
    pub is_anomaly: bool,
    /// When it was written, in UTC, of a row of this central's own.
    pub written_at: Option<String>,
    /// The plate that was read, of a row whose plate was edited later.
    pub plate_read: Option<String>,
}

/// A row that a person removed.
#[derive(Debug, Clone, PartialEq)]
pub struct Removed {
    /// As it stood.
    pub row: ForeignRow,
    /// When, in UTC, as it says.
    pub at: String,
}

/// A row that a person removed, of which nothing more can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRemoved {
    /// Its number, as the list of changes names it; 0: not even that.
    pub row: i64,
    pub reason: String,
}

/// Rows that lie in a damaged part of the file: those with numbers between two that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    pub after: i64,
    /// The next that can be read; `None`: there is none.
    pub before: Option<i64>,
}

/// An open database of a predecessor.
#[derive(Debug)]
pub struct Predecessor {
    path: PathBuf,
    connection: Connection,
    columns: BTreeSet<String>,
    has_changes: bool,
    /// The directory of the copy that is read in its place.
    copy: Option<PathBuf>,
}

impl Drop for Predecessor {
    fn drop(&mut self) {
        // What is left of a copy in a temporary directory harms nobody.
        drop(self.copy.take().map(fs::remove_dir_all));
    }
}

impl Predecessor {
    /// Opens it for reading, and checks that it is what it should be.
    ///
    /// # Errors
    /// [`ForeignError`]
    pub fn open(path: &Path) -> Result<Self, ForeignError> {
        if !path.is_file() {
            return Err(ForeignError::Missing(path.to_owned()));
        }
        let copy = copy_with_journal(path)
            .map_err(|error| ForeignError::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
        let (file, access) = match &copy {
            Some(directory) => (directory.join(COPY_NAME), OpenFlags::SQLITE_OPEN_READ_WRITE),
            None => (path.to_owned(), OpenFlags::SQLITE_OPEN_READ_ONLY),
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).map_err(|error| in_words(path, &error))?;
        let failed = |error: rusqlite::Error| in_words(path, &error);
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        connection.pragma_update(None, "query_only", true).map_err(failed)?;
        let tables: BTreeSet<String> =
            column(&connection, "SELECT name FROM sqlite_schema WHERE type = 'table'", path)?;
        if tables.contains("event") && tables.contains("log") && tables.contains("ledger") {
            return Err(ForeignError::Ours(path.to_owned()));
        }
        if !tables.contains("history") {
            return Err(ForeignError::NoHistory(path.to_owned()));
        }
        let columns = column(&connection, "SELECT name FROM pragma_table_info('history')", path)?;
        if let Some(column) = NEEDED.into_iter().find(|name| !columns.contains(*name)) {
            return Err(ForeignError::NoColumn { path: path.to_owned(), column });
        }
        let has_changes = tables.contains("history_changes");
        Ok(Self { path: path.to_owned(), connection, columns, has_changes, copy })
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// [`ForeignError`]
    pub fn count(&self) -> Result<u64, ForeignError> {
        let counted = self.connection.query_row("SELECT count(*) FROM history", [], |row| row.get::<_, i64>(0));
        match counted {
            // As many as can be read, and that is found out by reading.
            Err(error) if is_damage(&error) => Ok(0),
            counted => Ok(counted.map_err(|error| in_words(&self.path, &error))?.unsigned_abs()),
        }
    }

    /// The times of the entries that this central wrote down itself, in its local time, each with when it did so, in UTC. As many
    /// as can be read.
    ///
    /// # Errors
    /// [`ForeignError`]
    pub fn clock(&self) -> Result<Vec<(String, String)>, ForeignError> {
        if !self.columns.contains("created_at") || !self.columns.contains("entry_source") {
            return Ok(Vec::new());
        }
        let sql = "SELECT entry_time, created_at FROM history WHERE coalesce(entry_source, '') NOT LIKE '%sync%'";
        let mut statement = self.connection.prepare(sql).map_err(|error| in_words(&self.path, &error))?;
        let times = statement.query_map([], |row| Ok((as_text(row.get_ref(0)?), as_text(row.get_ref(1)?))));
        let times = times.map_err(|error| in_words(&self.path, &error))?;
        Ok(times.map_while(Result::ok).filter_map(|(entry, written)| entry.zip(written)).collect())
    }

    /// The rows that people removed, each as it stood or why that cannot be told. They come back from the databases of other centrals,
    /// which were not told.
    ///
    /// # Errors
    /// [`ForeignError`]
    pub fn removed(&self) -> Result<Vec<Result<Removed, NotRemoved>>, ForeignError> {
        if !self.has_changes {
            return Ok(Vec::new());
        }
        let sql =
            "SELECT history_id, old_data, changed_at FROM history_changes WHERE change_type = 'DELETE' ORDER BY id";
        let mut statement = self.connection.prepare(sql).map_err(|error| in_words(&self.path, &error))?;
        let mut rows = statement.query([]).map_err(|error| in_words(&self.path, &error))?;
        let mut removed = Vec::new();
        loop {
            match rows.next() {
                Ok(Some(row)) => removed.push(removed_row(row)),
                Ok(None) => return Ok(removed),
                // What comes after a damaged part is not found.
                Err(error) => {
                    removed.push(Err(NotRemoved { row: 0, reason: format!("what follows cannot be read: {error}") }));
                    return Ok(removed);
                }
            }
        }
    }

    /// The plates that were read, of the rows whose plates people edited, by number.
    fn plates_read(&self) -> Result<BTreeMap<i64, String>, rusqlite::Error> {
        if !self.has_changes {
            return Ok(BTreeMap::new());
        }
        let sql = "SELECT history_id, old_plate_id FROM history_changes WHERE change_type = 'UPDATE' ORDER BY id DESC";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, as_text(row.get_ref(1)?))))?;
        Ok(rows.map_while(Result::ok).filter_map(|(row, plate)| Some((row, plate?))).collect())
    }

    /// Every row, in the order of the entries. Of a file that is damaged all that can be read; `lost` hears of the rest.
    ///
    /// # Errors
    /// [`ForeignError`], or what `each` returns.
    pub fn each_row<E: From<ForeignError>>(
        &self,
        mut each: impl FnMut(ForeignRow) -> Result<(), E>,
        lost: &mut dyn FnMut(&Lost),
    ) -> Result<(), E> {
        let failed = |error: rusqlite::Error| E::from(in_words(&self.path, &error));
        let plates_read = self.plates_read().unwrap_or_default();
        let mut take = |mut row: ForeignRow| {
            row.plate_read = plates_read.get(&row.id).cloned();
            each(row)
        };
        if self.is_whole() {
            let mut statement = self.connection.prepare(&self.select("ORDER BY entry_time, id")).map_err(failed)?;
            let mut rows = statement.query([]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                take(foreign_row(row).map_err(failed)?)?;
            }
            return Ok(());
        }
        let mut rows = self.salvaged(lost).map_err(failed)?;
        rows.sort_by(|a, b| (&a.entry_time, a.id).cmp(&(&b.entry_time, b.id)));
        rows.into_iter().try_for_each(take)
    }

    fn select(&self, rest: &str) -> String {
        let optional =
            OPTIONAL.map(|name| if self.columns.contains(name) { name.to_owned() } else { format!("NULL AS {name}") });
        format!("SELECT {}, {} FROM history {rest}", NEEDED.join(", "), optional.join(", "))
    }

    /// Whether every row can be read.
    fn is_whole(&self) -> bool {
        let all = self.connection.query_row("SELECT sum(length(plate_view)) FROM history NOT INDEXED", [], |_| Ok(()));
        !all.is_err_and(|error| is_damage(&error))
    }

    /// What can be read, by number: after a row that cannot, the next that can is looked for ever further on.
    fn salvaged(&self, lost: &mut dyn FnMut(&Lost)) -> Result<Vec<ForeignRow>, rusqlite::Error> {
        let mut statement = self.connection.prepare(&self.select("NOT INDEXED WHERE id > ?1 ORDER BY id LIMIT 1"))?;
        let mut next = |after: i64| statement.query_row([after], foreign_row).optional();
        let mut rows = Vec::new();
        let mut after = 0;
        loop {
            match next(after) {
                Ok(Some(row)) => {
                    after = row.id;
                    rows.push(row);
                }
                Ok(None) => return Ok(rows),
                Err(error) if is_damage(&error) => {
                    // The first step that reaches the other side, then the smallest that does.
                    let steps = (0..MAX_ID.ilog2()).map(|power| 1_i64 << power);
                    let Some(far) = steps.clone().find(|step| next(after + step).is_ok()) else {
                        lost(&Lost { after, before: None });
                        return Ok(rows);
                    };
                    let (mut fails, mut reaches) = (far / 2, far);
                    while reaches - fails > 1 {
                        let middle = fails.midpoint(reaches);
                        if next(after + middle).is_ok() { reaches = middle } else { fails = middle }
                    }
                    let found = next(after + reaches)?;
                    lost(&Lost { after, before: found.as_ref().map(|row| row.id) });
                    after += reaches;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the copy is called in its directory.
const COPY_NAME: &str = "central.db";
/// Above every row number there is.
const MAX_ID: i64 = 1 << 40;

/// A database with a journal beside it has to be played back before it can be read: on a copy. Returns its directory; `None`:
/// there is no journal.
fn copy_with_journal(path: &Path) -> std::io::Result<Option<PathBuf>> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let left = |ending: &&str| fs::metadata(beside(ending)).is_ok_and(|file| file.len() > 0);
    let journals: Vec<&str> = ["-journal", "-wal"].into_iter().filter(left).collect();
    if journals.is_empty() {
        return Ok(None);
    }
    let random = getrandom::u64().unwrap_or_default();
    let directory = std::env::temp_dir().join(format!("parkmesh-import-{random:016x}"));
    fs::create_dir(&directory)?;
    let copied = [""]
        .into_iter()
        .chain(journals)
        .try_for_each(|ending| fs::copy(beside(ending), directory.join(format!("{COPY_NAME}{ending}"))).map(drop));
    if let Err(error) = copied {
        drop(fs::remove_dir_all(&directory));
        return Err(error);
    }
    Ok(Some(directory))
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::SystemIoFailure))
}

fn removed_row(row: &Row<'_>) -> Result<Removed, NotRemoved> {
    let number = row.get("history_id").unwrap_or_default();
    let refused = |reason: String| NotRemoved { row: number, reason };
    let text = |name: &str| row.get_ref(name).map(as_text).map_err(|error| refused(error.to_string()));
    let data = text("old_data")?.ok_or_else(|| refused("nothing was kept of how it stood".to_owned()))?;
    let fields: Value = serde_json::from_str(&data)
        .map_err(|error| refused(format!("what was kept of how it stood cannot be read: {error}")))?;
    let stood = row_of_json(&fields);
    let stood = ForeignRow { id: if stood.id == 0 { number } else { stood.id }, ..stood };
    Ok(Removed { row: stood, at: text("changed_at")?.unwrap_or_default() })
}

/// A row as the list of changes keeps it.
fn row_of_json(fields: &Value) -> ForeignRow {
    let text = |name: &str| match fields.get(name)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let number = |name: &str| fields.get(name).and_then(Value::as_f64);
    ForeignRow {
        id: fields.get("id").and_then(Value::as_i64).unwrap_or_default(),
        plate_id: text("plate_id"),
        plate_view: text("plate_view"),
        entry_time: text("entry_time"),
        status: text("status"),
        event_id: text("event_id"),
        source_central: text("source_central"),
        edge_id: text("edge_id"),
        entry_camera: text("entry_camera_name").or_else(|| text("entry_camera_id")),
        entry_confidence: number("entry_confidence"),
        exit_time: text("exit_time"),
        exit_camera: text("exit_camera_name").or_else(|| text("exit_camera_id")),
        exit_confidence: number("exit_confidence"),
        exit_source: text("exit_source"),
        duration: text("duration"),
        fee: fields.get("fee").filter(|fee| !fee.is_null()).map(|fee| fee.as_i64().ok_or_else(|| fee.to_string())),
        is_anomaly: fields.get("is_anomaly").is_some_and(is_set),
        written_at: own_writing(text("entry_source"), text("created_at")),
        plate_read: None,
    }
}

/// When a row was written, unless it was heard from another central.
fn own_writing(entry_source: Option<String>, created_at: Option<String>) -> Option<String> {
    created_at.filter(|_| entry_source.is_some_and(|source| !source.contains("sync")))
}

fn column(connection: &Connection, sql: &str, path: &Path) -> Result<BTreeSet<String>, ForeignError> {
    let read = || -> Result<BTreeSet<String>, rusqlite::Error> {
        let mut statement = connection.prepare(sql)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    read().map_err(|error| in_words(path, &error))
}

fn foreign_row(row: &Row<'_>) -> Result<ForeignRow, rusqlite::Error> {
    let text = |name: &str| row.get_ref(name).map(as_text);
    let camera = |id: &str, name: &str| -> Result<Option<String>, rusqlite::Error> { Ok(text(name)?.or(text(id)?)) };
    Ok(ForeignRow {
        id: row.get("id").unwrap_or_default(),
        plate_id: text("plate_id")?,
        plate_view: text("plate_view")?,
        entry_time: text("entry_time")?,
        status: text("status")?,
        event_id: text("event_id")?,
        source_central: text("source_central")?,
        edge_id: text("edge_id")?,
        entry_camera: camera("entry_camera_id", "entry_camera_name")?,
        entry_confidence: as_number(row.get_ref("entry_confidence")?),
        exit_time: text("exit_time")?,
        exit_camera: camera("exit_camera_id", "exit_camera_name")?,
        exit_confidence: as_number(row.get_ref("exit_confidence")?),
        exit_source: text("exit_source")?,
        duration: text("duration")?,
        fee: as_fee(row.get_ref("fee")?),
        is_anomaly: as_number(row.get_ref("is_anomaly")?).is_some_and(|set| set != 0.0),
        written_at: own_writing(text("entry_source")?, text("created_at")?),
        plate_read: None,
    })
}

/// What SQLite, which lets any column hold anything, has there, as a text.
fn as_text(value: ValueRef<'_>) -> Option<String> {
    let text = match value {
        ValueRef::Null | ValueRef::Blob(_) => return None,
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).trim().to_owned(),
    };
    Some(text).filter(|text| !text.is_empty())
}

fn as_number(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Real(number) => Some(number),
        #[expect(clippy::cast_precision_loss, reason = "a confidence is between 0 and 1")]
        ValueRef::Integer(number) => Some(number as f64),
        _ => None,
    }
}

fn as_fee(value: ValueRef<'_>) -> Option<Result<i64, String>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(fee) => Some(Ok(fee)),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number far below 2^53")]
        ValueRef::Real(fee) if fee.fract() == 0.0 && fee.abs() < 1e15 => Some(Ok(fee as i64)),
        other => Some(Err(as_text(other).unwrap_or_default())),
    }
}

fn in_words(path: &Path, error: &rusqlite::Error) -> ForeignError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => ForeignError::NotADatabase(path.to_owned()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ForeignError::Locked(path.to_owned()),
        _ => ForeignError::Unreadable { path: path.to_owned(), reason: error.to_string() },
    }
}
