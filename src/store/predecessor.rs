//! Reads the database of the Python system this program replaces, either revision. Only reads: the file is opened so that
//! it cannot be written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

/// How long to wait for a program that is writing to it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Columns without which a row says nothing.
const NEEDED: [&str; 5] = ["id", "plate_id", "plate_view", "entry_time", "status"];
/// Columns that a row may have, by revision; NULL where the table has none.
const OPTIONAL: [&str; 15] = [
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
        "{}: it cannot be read ({reason}). If the old program was killed, start and stop it once, or copy the file together with its '-journal'",
        .path.display()
    )]
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
}

/// An open database of a predecessor.
#[derive(Debug)]
pub struct Predecessor {
    path: PathBuf,
    connection: Connection,
    columns: BTreeSet<String>,
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
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| in_words(path, &error))?;
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
        Ok(Self { path: path.to_owned(), connection, columns })
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// [`ForeignError`]
    pub fn count(&self) -> Result<u64, ForeignError> {
        let counted = self.connection.query_row("SELECT count(*) FROM history", [], |row| row.get::<_, i64>(0));
        Ok(counted.map_err(|error| in_words(&self.path, &error))?.unsigned_abs())
    }

    /// Every row, in the order of the entries.
    ///
    /// # Errors
    /// [`ForeignError`], or what `each` returns.
    pub fn each_row<E: From<ForeignError>>(&self, mut each: impl FnMut(ForeignRow) -> Result<(), E>) -> Result<(), E> {
        let optional =
            OPTIONAL.map(|name| if self.columns.contains(name) { name.to_owned() } else { format!("NULL AS {name}") });
        let sql = format!("SELECT {}, {} FROM history ORDER BY entry_time, id", NEEDED.join(", "), optional.join(", "));
        let failed = |error: rusqlite::Error| E::from(in_words(&self.path, &error));
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            each(foreign_row(row).map_err(failed)?)?;
        }
        Ok(())
    }
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
