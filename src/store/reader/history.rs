//! Pages of the history: newest entry first, by cursor or offset, filtered and searched, never counting.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde::Serialize;

use super::Reader;
use super::rows::{HISTORY_COLUMNS, HistoryRow};
use crate::store::error::StoreError;

/// Rows of a page when the query does not say.
pub const DEFAULT_PAGE_ROWS: i64 = 100;
/// Most rows of one page, also for limit -1: some 10 MB of JSON. Beyond it, go on with the cursor.
pub const MAX_PAGE_ROWS: i64 = 10_000;
/// A search that meets at most so many plates goes to their rows; one that meets more walks the history newest first, where
/// it soon has a page full.
const MAX_PLATES_OF_SEARCH: usize = 500;

/// What to show. The fields and their meaning are the predecessor's, and a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Rows at most; -1: all, as far as one page goes ([`MAX_PAGE_ROWS`]).
    pub limit: i64,
    /// Rows to skip, after the cursor if there is one.
    pub offset: u64,
    /// Only entries at or after this, Unix ms: the start of the site's day for `today_only`.
    pub entered_since_ms: Option<i64>,
    /// A part of the plate; spaces, `-` and `.` and case do not matter. Empty: any.
    pub search: String,
    /// Only cars inside; goes before `entries_only`.
    pub in_parking_only: bool,
    /// Only stays that began with an entry, ended or not; goes before `status`.
    pub entries_only: bool,
    pub status: Option<String>,
    /// Go on behind this row.
    pub cursor: Option<HistoryCursor>,
}

impl Default for HistoryQuery {
    fn default() -> Self {
        Self {
            limit: DEFAULT_PAGE_ROWS,
            offset: 0,
            entered_since_ms: None,
            search: String::new(),
            in_parking_only: false,
            entries_only: false,
            status: None,
            cursor: None,
        }
    }
}

/// The place of a row in the order of the pages; `<entry ms>.<row number>` in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryCursor {
    pub entry_ms: i64,
    pub id: i64,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryPage {
    pub rows: Vec<HistoryRow>,
    /// Where the next page begins; `None`: this is the last one.
    pub next: Option<HistoryCursor>,
}

/// The text is not `<entry ms>.<row number>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is the `next` of an earlier page")]
pub struct CursorError;

impl fmt::Display for HistoryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.entry_ms, self.id)
    }
}

impl FromStr for HistoryCursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (entry_ms, id) = text.split_once('.').ok_or(CursorError)?;
        let number = |text: &str| text.parse().map_err(|_| CursorError);
        Ok(Self { entry_ms: number(entry_ms)?, id: number(id)? })
    }
}

impl Serialize for HistoryCursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A plate, or a part of one, as plates are stored: upper case, without spaces, `-` and `.`, Đ as D.
#[must_use]
pub fn normalised_search(search: &str) -> String {
    search
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '.'))
        .flat_map(char::to_uppercase)
        .map(|c| if c == 'Đ' { 'D' } else { c })
        .collect()
}

/// The part of a query after WHERE, as terms with their values in order.
#[derive(Default)]
struct Conditions {
    terms: Vec<&'static str>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, term: &'static str, values: impl IntoIterator<Item = Value>) {
        self.terms.push(term);
        self.values.extend(values);
    }

    fn of(query: &HistoryQuery) -> Self {
        let mut conditions = Self::default();
        // `status <> 'OUT'` beside an equality lets SQLite take the index of the few rows that are not out.
        if query.in_parking_only {
            conditions.add("status = 'IN' AND status <> 'OUT'", []);
        } else if query.entries_only {
            conditions.add("(exit_event IS NULL OR exit_event <> entry_event)", []);
        } else if let Some(status) = &query.status {
            let term = if status == "OUT" { "status = ?" } else { "status = ? AND status <> 'OUT'" };
            conditions.add(term, [Value::Text(status.clone())]);
        }
        if let Some(since_ms) = query.entered_since_ms {
            conditions.add("entry_ms >= ?", [Value::Integer(since_ms)]);
        }
        if let Some(cursor) = query.cursor {
            conditions.add("(entry_ms, id) < (?, ?)", [Value::Integer(cursor.entry_ms), Value::Integer(cursor.id)]);
        }
        conditions
    }

    fn sql(&self, columns: &str, table: &str) -> String {
        let filter = if self.terms.is_empty() { "TRUE".to_owned() } else { self.terms.join(" AND ") };
        format!("SELECT {columns} FROM {table} WHERE {filter}")
    }
}

impl Reader {
    /// A page of the history, newest entry first.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn history(&mut self, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
        let limit = if query.limit < 0 { MAX_PAGE_ROWS } else { query.limit.min(MAX_PAGE_ROWS) };
        let limit = usize::try_from(limit).unwrap_or(0);
        if limit == 0 {
            return Ok(HistoryPage { rows: Vec::new(), next: None });
        }
        let search = normalised_search(&query.search);
        let mut conditions = Conditions::of(query);
        // Within a day, or among the cars inside, there is little to walk through.
        let narrow = query.in_parking_only || query.entered_since_ms.is_some();
        // One read transaction: the plates and their rows belong together.
        let transaction = self.connection.unchecked_transaction()?;
        let plates = if search.is_empty() || narrow { None } else { plates_with(&transaction, &search)? };
        // One row more than asked for tells whether there is a next page.
        let mut rows = match plates {
            Some(plates) => rows_of_plates(&transaction, &conditions, &plates, query.offset, limit + 1)?,
            None => {
                if !search.is_empty() {
                    conditions.add("instr(plate_id, ?) > 0", [Value::Text(search)]);
                }
                newest_rows(&transaction, conditions, query.offset, limit + 1)?
            }
        };
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| HistoryCursor { entry_ms: row.entry_ms, id: row.id });
        Ok(HistoryPage { rows, next })
    }
}

/// The distinct plates that contain `part`; `None`: more than [`MAX_PLATES_OF_SEARCH`].
fn plates_with(connection: &Connection, part: &str) -> Result<Option<Vec<String>>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT DISTINCT plate_id FROM plate WHERE instr(plate_id, ?1) > 0 LIMIT ?2")?;
    let mut rows =
        statement.query((part, i64::try_from(MAX_PLATES_OF_SEARCH).unwrap_or(i64::MAX).saturating_add(1)))?;
    let mut plates = Vec::new();
    while let Some(row) = rows.next()? {
        plates.push(row.get(0)?);
    }
    Ok((plates.len() <= MAX_PLATES_OF_SEARCH).then_some(plates))
}

fn newest_rows(
    connection: &Connection,
    mut conditions: Conditions,
    offset: u64,
    limit: usize,
) -> Result<Vec<HistoryRow>, StoreError> {
    let sql = conditions.sql(HISTORY_COLUMNS, "history") + " ORDER BY entry_ms DESC, id DESC LIMIT ? OFFSET ?";
    conditions.values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    conditions.values.push(Value::Integer(i64::try_from(offset).unwrap_or(i64::MAX)));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(conditions.values))?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push(HistoryRow::read(row)?);
    }
    Ok(page)
}

fn rows_of_plates(
    connection: &Connection,
    conditions: &Conditions,
    plates: &[String],
    offset: u64,
    limit: usize,
) -> Result<Vec<HistoryRow>, StoreError> {
    let sql = conditions.sql("entry_ms, id", "history INDEXED BY history_plate") + " AND plate_id = ?";
    let mut statement = connection.prepare_cached(&sql)?;
    let mut places: Vec<(i64, i64)> = Vec::new();
    for plate in plates {
        let values = conditions.values.iter().cloned().chain([Value::Text(plate.clone())]);
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            places.push((row.get(0)?, row.get(1)?));
        }
    }
    places.sort_unstable_by(|a, b| b.cmp(a));
    let mut statement = connection.prepare_cached(&format!("SELECT {HISTORY_COLUMNS} FROM history WHERE id = ?1"))?;
    let skip = usize::try_from(offset).unwrap_or(usize::MAX);
    let mut page = Vec::new();
    for (_, id) in places.into_iter().skip(skip).take(limit) {
        page.push(statement.query_row([id], |row| Ok(HistoryRow::read(row)))??);
    }
    Ok(page)
}
