//! Pages of the audit, newest first, along the index that leaves the fewest entries to look at in vain.

use std::fmt;
use std::str::FromStr;

use rusqlite::Row;
use serde::Serialize;
use utoipa::ToSchema;

use super::Reader;
use super::history::{CursorError, MAX_MISSES};
use crate::domain::audit::{AuditEntry, Kind};
use crate::store::error::StoreError;

/// Which entries. All that are given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Entries at most.
    pub limit: usize,
    pub kind: Option<Kind>,
    /// The whole name, as it is in the entry.
    pub who: Option<String>,
    /// At or after this, Unix ms.
    pub since_ms: Option<i64>,
    /// Before this, Unix ms.
    pub before_ms: Option<i64>,
    /// Go on behind this entry.
    pub cursor: Option<AuditCursor>,
}

/// The place of an entry in the order of the pages; `<ms>.<number>` in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditCursor {
    pub at_ms: i64,
    pub id: i64,
}

/// An entry and its number.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AuditRow {
    /// Counts from 1, without a hole.
    pub id: i64,
    #[serde(flatten)]
    pub entry: AuditEntry,
}

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    pub rows: Vec<AuditRow>,
    /// Where the next page begins; `None`: this is the last one. There may be one although this page is not full.
    pub next: Option<AuditCursor>,
}

impl fmt::Display for AuditCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at_ms, self.id)
    }
}

impl FromStr for AuditCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (at_ms, id) = text.split_once('.').ok_or(CursorError)?;
        Ok(Self { at_ms: at_ms.parse().map_err(|_| CursorError)?, id: id.parse().map_err(|_| CursorError)? })
    }
}

/// Selects by `?1`, in the range and order of every page.
macro_rules! lane {
    ($filter:literal) => {
        concat!(
            "SELECT id, at_ms, kind, entry FROM audit WHERE ",
            $filter,
            " AND (at_ms, id) < (?2, ?3) AND at_ms >= ?4 ORDER BY at_ms DESC, id DESC"
        )
    };
}
pub(super) const ALL: &str = lane!("?1 IS NULL");
pub(super) const OF_KIND: &str = lane!("kind = ?1");
pub(super) const OF_WHO: &str = lane!("who = ?1");

impl Reader {
    /// A page of the audit.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] for an entry that cannot be read, and whatever the disk says.
    pub fn audit(&mut self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        self.audit_page(query).map_err(|error| error.beside_events("an entry of the audit"))
    }

    fn audit_page(&mut self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        let (sql, key) = match (&query.who, query.kind) {
            (Some(who), _) => (OF_WHO, Some(who.as_str())),
            (None, Some(kind)) => (OF_KIND, Some(kind.name())),
            (None, None) => (ALL, None),
        };
        let before = query.before_ms.map_or(i64::MAX, |before_ms| before_ms);
        let newest = AuditCursor { at_ms: before, id: if query.before_ms.is_some() { i64::MIN } else { i64::MAX } };
        let behind = query.cursor.map_or(newest, |cursor| cursor.min(newest));
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query((key, behind.at_ms, behind.id, query.since_ms.unwrap_or(i64::MIN)))?;
        let mut page = AuditPage { rows: Vec::new(), next: None };
        let (mut last, mut misses) = (None, 0);
        while let Some(row) = rows.next()? {
            let place = AuditCursor { at_ms: row.get(1)?, id: row.get(0)? };
            if page.rows.len() == query.limit || misses == MAX_MISSES {
                page.next = last;
                break;
            }
            last = Some(place);
            let kind: String = row.get(2)?;
            if query.kind.is_none_or(|wanted| wanted.name() == kind) {
                page.rows.push(read(row)?);
            } else {
                misses += 1;
            }
        }
        Ok(page)
    }
}

fn read(row: &Row<'_>) -> Result<AuditRow, StoreError> {
    let (id, text): (i64, String) = (row.get(0)?, row.get(3)?);
    let entry = serde_json::from_str(&text).map_err(|error| StoreError::Value(format!("audit entry {id}: {error}")))?;
    Ok(AuditRow { id, entry })
}
