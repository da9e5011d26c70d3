//! Pages of the history: newest entry first, by cursor or offset, filtered and searched, never counting.
//!
//! However large the history is and whatever is asked, a page costs at most so much: what an index cannot answer is looked for
//! along one, [`MAX_MISSES`] rows at a time. Such a page may be short, and its cursor says where to go on.

use std::fmt;
use std::str::FromStr;

use rusqlite::Connection;
use serde::Serialize;

use super::Reader;
use super::rows::{HISTORY_COLUMNS, HistoryRow};
use super::walk::{Filter, Range, Walk};
use crate::domain::anomaly::Anomaly;
use crate::domain::payment::Method;
use crate::domain::row::StayStatus;
use crate::store::error::StoreError;

/// Rows of a page when the query does not say.
pub const DEFAULT_PAGE_ROWS: i64 = 100;
/// Most rows of one page, also for limit -1: some 10 MB of JSON. Beyond it, go on with the cursor.
pub const MAX_PAGE_ROWS: i64 = 10_000;
/// Most rows that are skipped: they are walked through. Further on there is the cursor.
pub const MAX_OFFSET: u64 = 100_000;
/// Rows looked at in vain before a page ends short.
pub const MAX_MISSES: usize = 20_000;
/// A search that meets at most so many plates, and so many rows of them, goes to their rows; one that meets more walks the
/// history newest first, where it soon has a page full.
const MAX_PLATES_OF_SEARCH: usize = 500;
const MAX_ROWS_OF_PLATES: usize = 20_000;

/// What to show. The fields up to `status` and their meaning are the predecessor's.
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
    pub status: Option<StayStatus>,
    /// Only entries before this, Unix ms.
    pub entered_before_ms: Option<i64>,
    /// Only stays that ended at or after this, Unix ms ...
    pub exited_since_ms: Option<i64>,
    /// ... and before this.
    pub exited_before_ms: Option<i64>,
    /// Only stays that came in or went out there; with a span of exits, that went out there.
    pub gate: Option<Gate>,
    pub anomaly: Option<WithAnomaly>,
    /// Only stays whose exit this person, token or edge did: as [`Payment::exit_by`](super::Payment::exit_by), or [`NOBODY`].
    pub exit_by: Option<String>,
    /// Only stays that ended and were paid so.
    pub method: Option<PaidBy>,
    /// Go on behind this row.
    pub cursor: Option<HistoryCursor>,
}

/// Asks for the exits of those who proved to be nobody: no name begins so.
pub const NOBODY: &str = "-";

/// The way of payment a query asks for, as [`Takings`](super::Takings) are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaidBy {
    /// [`Method::Free`] are also those of which nothing was due.
    Method(Method),
    /// Something was due, and the gate did not say.
    Unsaid,
}

/// The gates a query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    pub central: String,
    /// `None`: every gate of that central.
    pub edge_id: Option<String>,
}

/// The stays with anomalies a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithAnomaly {
    Any,
    Kind(Anomaly),
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
            entered_before_ms: None,
            exited_since_ms: None,
            exited_before_ms: None,
            gate: None,
            anomaly: None,
            exit_by: None,
            method: None,
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
pub struct RowsPage {
    pub rows: Vec<HistoryRow>,
    /// Where the next page begins; `None`: this is the last one. There may be one although this page is not full.
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
pub fn normalised_search(search: &str) -> String {
    search
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '.'))
        .flat_map(char::to_uppercase)
        .map(|c| if c == 'Đ' { 'D' } else { c })
        .collect()
}

impl Reader {
    /// A page of the history, newest entry first.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn history(&mut self, query: &HistoryQuery) -> Result<RowsPage, StoreError> {
        let limit = if query.limit < 0 { MAX_PAGE_ROWS } else { query.limit.min(MAX_PAGE_ROWS) };
        let limit = usize::try_from(limit).unwrap_or(0);
        if limit == 0 {
            return Ok(RowsPage { rows: Vec::new(), next: None });
        }
        let search = normalised_search(&query.search);
        let range = Range::of(query);
        // One read transaction: the plates and their rows belong together.
        let transaction = self.connection.unchecked_transaction()?;
        // Among the cars inside there is little to walk through.
        if !search.is_empty()
            && !query.in_parking_only
            && let Some(plates) = plates_with(&transaction, &search)?
            && let Some(places) = places_of_plates(&transaction, &plates, &range, &Filter::of(query, String::new()))?
        {
            return page_of_places(&transaction, &places, query.offset, limit);
        }
        let mut walk = Walk::new(&transaction, query, &range)?;
        walk.page(&Filter::of(query, search), query.offset, limit)
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

/// Where the rows of these plates are that are asked for, newest first; `None`: they have more than [`MAX_ROWS_OF_PLATES`] rows.
fn places_of_plates(
    connection: &Connection,
    plates: &[String],
    range: &Range,
    filter: &Filter,
) -> Result<Option<Vec<HistoryCursor>>, StoreError> {
    let mut statement = connection.prepare_cached(&rows_of_plate())?;
    let mut places = Vec::new();
    let mut seen = 0;
    for plate in plates {
        let mut rows = statement.query([plate])?;
        while let Some(row) = rows.next()? {
            seen += 1;
            if seen > MAX_ROWS_OF_PLATES {
                return Ok(None);
            }
            let place = HistoryRow::place(row)?;
            if range.holds(place) && filter.takes(connection, row)? {
                places.push(place);
            }
        }
    }
    places.sort_unstable_by(|a, b| b.cmp(a));
    Ok(Some(places))
}

pub(super) fn rows_of_plate() -> String {
    format!("SELECT {HISTORY_COLUMNS} FROM history INDEXED BY history_plate WHERE plate_id = ?1")
}

fn page_of_places(
    connection: &Connection,
    places: &[HistoryCursor],
    offset: u64,
    limit: usize,
) -> Result<RowsPage, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {HISTORY_COLUMNS} FROM history WHERE id = ?1"))?;
    let skip = usize::try_from(offset).unwrap_or(usize::MAX);
    let wanted = places.get(skip.min(places.len())..).unwrap_or_default();
    let mut rows = Vec::new();
    for place in wanted.iter().take(limit) {
        rows.push(statement.query_row([place.id], |row| Ok(HistoryRow::read(connection, row)))??);
    }
    let next = (wanted.len() > limit).then(|| wanted.get(limit.saturating_sub(1)).copied()).flatten();
    Ok(RowsPage { rows, next })
}
