//! Walking the history newest first along one index, or along several at once, and keeping the rows that are asked for.
//!
//! Every statement here is a search of an index within bounds and in its own order: no scan, no sorting. A test asks SQLite.

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Row, Rows};

use super::history::{Gate, HistoryCursor, HistoryQuery, MAX_MISSES, NOBODY, PaidBy, RowsPage, WithAnomaly};
use super::rows::{HISTORY_COLUMNS, HistoryRow, Payment, column};
use crate::domain::anomaly::Anomaly;
use crate::domain::payment::Method;
use crate::domain::row::StayStatus;
use crate::store::error::StoreError;
use crate::store::schema::LONG_MS;

/// Behind every row there can be.
const NEWEST: HistoryCursor = HistoryCursor { entry_ms: i64::MAX, id: i64::MAX };

/// The part of the order that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Rows behind this place ...
    behind: HistoryCursor,
    /// ... that came in at or after this, Unix ms.
    since_ms: i64,
}

impl Range {
    pub(super) fn of(query: &HistoryQuery) -> Self {
        let before = query.entered_before_ms.map_or(NEWEST, |entry_ms| HistoryCursor { entry_ms, id: i64::MIN });
        let behind = query.cursor.map_or(before, |cursor| cursor.min(before));
        Self { behind, since_ms: query.entered_since_ms.unwrap_or(i64::MIN) }
    }

    pub(super) fn holds(&self, place: HistoryCursor) -> bool {
        place < self.behind && place.entry_ms >= self.since_ms
    }
}

/// Which rows are asked for, apart from their place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Filter {
    /// A part of the plate; empty: any.
    plate_part: String,
    status: Option<StayStatus>,
    entries_only: bool,
    gate: Option<Gate>,
    anomaly: Option<WithAnomaly>,
    exit_by: Option<String>,
    method: Option<PaidBy>,
    /// Unix ms; `None`: whether and whenever it ended.
    exited: Option<std::ops::Range<i64>>,
}

impl Filter {
    pub(super) fn of(query: &HistoryQuery, plate_part: String) -> Self {
        Self {
            plate_part,
            status: status(query),
            entries_only: query.entries_only && !query.in_parking_only,
            gate: query.gate.clone(),
            anomaly: query.anomaly,
            exit_by: query.exit_by.clone(),
            method: query.method,
            exited: exited(query),
        }
    }

    /// Whether a row selected as [`HISTORY_COLUMNS`] is asked for.
    pub(super) fn takes(&self, connection: &Connection, row: &Row<'_>) -> Result<bool, StoreError> {
        let is = |column: usize, wanted: &str| -> Result<bool, StoreError> {
            Ok(matches!(row.get_ref(column)?, ValueRef::Text(text) if text == wanted.as_bytes()))
        };
        if let Some(status) = self.status
            && !is(column::STATUS, status.name())?
        {
            return Ok(false);
        }
        if let Some(exited) = &self.exited {
            let exit_ms: Option<i64> = row.get(column::EXIT_MS)?;
            if !exit_ms.is_some_and(|exit_ms| exited.contains(&exit_ms)) {
                return Ok(false);
            }
        }
        if let Some(Gate { central, edge_id }) = &self.gate {
            let mut meets = false;
            let (came, went) = ((column::SOURCE_CENTRAL, column::EDGE_ID), (column::EXIT_CENTRAL, column::EXIT_EDGE));
            // Who left in a span is asked for where it left: what was taken there is counted.
            for (at, edge) in [came, went].into_iter().skip(usize::from(self.exited.is_some())) {
                meets |= is(at, central)? && edge_id.as_ref().map_or(Ok(true), |edge_id| is(edge, edge_id))?;
            }
            if !meets {
                return Ok(false);
            }
        }
        if !self.plate_part.is_empty() && !text(row, column::PLATE_ID)?.contains(&self.plate_part) {
            return Ok(false);
        }
        let anomalies = text(row, column::ANOMALIES)?;
        let has = |anomaly: Anomaly| anomalies.split(',').any(|name| name == anomaly.name());
        let is_as_odd = match self.anomaly {
            None => true,
            Some(WithAnomaly::Any) => !anomalies.is_empty(),
            Some(WithAnomaly::Kind(anomaly)) => has(anomaly),
        };
        if !is_as_odd || (self.entries_only && has(Anomaly::ExitWithoutEntry)) {
            return Ok(false);
        }
        // Last: an event is looked up for it.
        if self.exit_by.is_none() && self.method.is_none() {
            return Ok(true);
        }
        let Payment { exit_by, paid, .. } = Payment::read(connection, row)?;
        let has_left = row.get_ref(column::EXIT_MS)? != ValueRef::Null;
        let is_free = row.get::<_, i64>(column::COLLECTED)? == 0;
        let is_paid_by = |wanted| match (&paid, wanted) {
            (Some(paid), PaidBy::Method(wanted)) => paid.ways().any(|(method, ..)| method == wanted),
            (None, PaidBy::Method(Method::Free)) => is_free,
            (None, PaidBy::Unsaid) => !is_free,
            _ => false,
        };
        let exit_by = exit_by.as_deref().unwrap_or(NOBODY);
        Ok(self.exit_by.as_ref().is_none_or(|wanted| has_left && exit_by == wanted)
            && self.method.is_none_or(|wanted| has_left && is_paid_by(wanted)))
    }
}

/// The text of a column, empty if it is NULL.
fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, StoreError> {
    let value = row.get_ref(column)?.as_str_or_null();
    Ok(value.map_err(|_| StoreError::Value("a text of the history".into()))?.unwrap_or_default())
}

fn status(query: &HistoryQuery) -> Option<StayStatus> {
    if query.in_parking_only {
        Some(StayStatus::In)
    } else if query.entries_only {
        None
    } else {
        query.status
    }
}

/// When the stays that are asked for ended; `None`: that is not asked.
fn exited(query: &HistoryQuery) -> Option<std::ops::Range<i64>> {
    let (since, before) = (query.exited_since_ms, query.exited_before_ms);
    (since.is_some() || before.is_some()).then(|| since.unwrap_or(i64::MIN)..before.unwrap_or(i64::MAX))
}

/// The bounds every statement ends with; the order is the index's own.
macro_rules! in_range {
    () => {
        "(entry_ms, id) < (?2, ?3) AND entry_ms >= ?4 ORDER BY entry_ms DESC, id DESC"
    };
}

macro_rules! ended {
    ($index:literal) => {
        concat!("FROM history INDEXED BY ", $index, "AND exit_ms >= ?5 AND exit_ms < ?6 AND ", in_range!())
    };
}

/// Statements that select [`HISTORY_COLUMNS`]. `?1` is the status or the set of anomalies.
pub(super) const ALL: &str = concat!("FROM history WHERE ?1 IS NULL AND ", in_range!());
/// The place `?1` rows further on, found along the index alone.
pub(super) const SKIP: &str = "SELECT entry_ms, id FROM history WHERE (entry_ms, id) < (?2, ?3) AND entry_ms >= ?4 \
     ORDER BY entry_ms DESC, id DESC LIMIT 1 OFFSET ?1 - 1";
/// `status <> 'OUT'` lets SQLite take the index of the few rows that are not out.
pub(super) const OF_STATUS: &str = concat!("FROM history WHERE status = ?1 AND status <> 'OUT' AND ", in_range!());
pub(super) const OF_ANOMALIES: &str = concat!("FROM history WHERE anomalies = ?1 AND ", in_range!());
/// Stays that ended within `?5..?6`: those longer than [`LONG_MS`], of which there is an index, and those that came in after it by clocks that
/// differ. They are few, and sorted.
const LONG: &str = ended!("history_long WHERE ?1 IS NULL AND exit_ms - entry_ms > 259200000 ");
const BACKWARDS: &str = ended!("history_exit WHERE ?1 IS NULL AND exit_ms < entry_ms ");
/// The next set of anomalies that some row has.
pub(super) const NEXT_ANOMALIES: &str = "SELECT min(anomalies) FROM history WHERE anomalies > ?1";

/// A walk along one or more indices, merged.
pub(super) struct Walk<'c> {
    connection: &'c Connection,
    lanes: Vec<(CachedStatement<'c>, Option<String>, Range)>,
}

/// The next row of a lane: where it is, and what it is.
type Ahead = Option<(HistoryCursor, Found)>;

enum Found {
    Row(Box<HistoryRow>),
    /// Asked for, and before those that are shown.
    Skipped,
    /// Not asked for.
    Miss,
}

impl<'c> Walk<'c> {
    /// Chooses the index that leaves the fewest rows to look at in vain.
    pub(super) fn new(connection: &'c Connection, query: &HistoryQuery, range: &Range) -> Result<Self, StoreError> {
        let prepare = |lane: &str| connection.prepare_cached(&format!("SELECT {HISTORY_COLUMNS} {lane}"));
        let mut lanes = Vec::new();
        // Who left in a span came in before its end and at most so long before it, or is one of the few others.
        let floor_ms = query.exited_since_ms.map(|since_ms| since_ms.saturating_sub(LONG_MS));
        let since_ms = range.since_ms.max(floor_ms.unwrap_or(i64::MIN));
        let before = |entry_ms: i64| range.behind.min(HistoryCursor { entry_ms, id: i64::MIN });
        // Of a long span all that ended in it would be too many to look at for those that came in after it: it is walked to from the newest row.
        let end_ms = query
            .exited_before_ms
            .filter(|end_ms| query.exited_since_ms.is_some_and(|since_ms| end_ms.saturating_sub(since_ms) <= LONG_MS));
        let usual = Range { behind: end_ms.map_or(range.behind, before), since_ms };
        match (status(query).filter(|status| *status != StayStatus::Out), query.anomaly) {
            (_, Some(wanted)) => {
                for set in anomaly_sets(connection, wanted)? {
                    lanes.push((prepare(OF_ANOMALIES)?, Some(set), usual));
                }
            }
            (Some(status), None) => lanes.push((prepare(OF_STATUS)?, Some(status.name().to_owned()), usual)),
            (None, None) => lanes.push((prepare(ALL)?, None, usual)),
        }
        if let Some(entry_ms) = floor_ms {
            lanes.push((prepare(LONG)?, None, Range { behind: before(entry_ms), ..*range }));
        }
        // They come before all others, so the pages behind them do not look for them.
        if let Some(since_ms) = end_ms.filter(|end_ms| range.behind.entry_ms > *end_ms) {
            lanes.push((prepare(BACKWARDS)?, None, Range { since_ms: since_ms.max(range.since_ms), ..*range }));
        }
        Ok(Self { connection, lanes })
    }

    /// The place of the last of `offset` rows, which are all asked for; `None`: there are not so many.
    fn skipped(&self, range: &Range, offset: u64) -> Result<Option<HistoryCursor>, StoreError> {
        let mut statement = self.connection.prepare_cached(SKIP)?;
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let mut rows = statement.query((offset, range.behind.entry_ms, range.behind.id, range.since_ms))?;
        Ok(match rows.next()? {
            Some(row) => Some(HistoryCursor { entry_ms: row.get(0)?, id: row.get(1)? }),
            None => None,
        })
    }

    /// The rows asked for, after `offset` of them, at most `limit`.
    pub(super) fn page(&mut self, filter: &Filter, offset: u64, limit: usize) -> Result<RowsPage, StoreError> {
        let (mut to_skip, mut misses) = (offset, 0);
        let mut page = RowsPage { rows: Vec::new(), next: None };
        if let [(_, None, range)] = self.lanes.as_slice()
            && *filter == Filter::default()
            && to_skip > 0
        {
            let Some(place) = self.skipped(range, to_skip)? else { return Ok(page) };
            for (_, _, range) in &mut self.lanes {
                range.behind = place;
            }
            to_skip = 0;
        }
        // Of one lane the row ahead is the next one; of several it may be taken much later.
        let is_one = self.lanes.len() == 1;
        let mut lanes = Vec::with_capacity(self.lanes.len());
        for (statement, key, Range { behind, since_ms }) in &mut self.lanes {
            let key = key.as_deref();
            let mut rows = match &filter.exited {
                Some(exited) if statement.parameter_count() == 6 => {
                    statement.query((key, behind.entry_ms, behind.id, *since_ms, exited.start, exited.end))?
                }
                _ => statement.query((key, behind.entry_ms, behind.id, *since_ms))?,
            };
            let ahead = next(self.connection, &mut rows, filter, is_one && to_skip > 0)?;
            lanes.push((rows, ahead));
        }
        let mut last = None;
        while let Some((rows, ahead)) =
            lanes.iter_mut().max_by_key(|(_, ahead)| ahead.as_ref().map(|(place, _)| *place))
        {
            let Some((place, found)) = ahead.take() else { break };
            match found {
                Found::Skipped => to_skip = to_skip.saturating_sub(1),
                Found::Row(_) if to_skip > 0 => to_skip -= 1,
                Found::Row(_) if page.rows.len() == limit => {
                    page.next = last;
                    break;
                }
                Found::Row(row) => page.rows.push(*row),
                Found::Miss if misses == MAX_MISSES => {
                    page.next = last;
                    break;
                }
                Found::Miss => misses += 1,
            }
            last = Some(place);
            *ahead = next(self.connection, rows, filter, is_one && to_skip > 0)?;
        }
        Ok(page)
    }
}

fn next(connection: &Connection, rows: &mut Rows<'_>, filter: &Filter, skips: bool) -> Result<Ahead, StoreError> {
    let Some(row) = rows.next()? else { return Ok(None) };
    let found = match filter.takes(connection, row)? {
        true if skips => Found::Skipped,
        true => Found::Row(Box::new(HistoryRow::read(connection, row)?)),
        false => Found::Miss,
    };
    Ok(Some((HistoryRow::place(row)?, found)))
}

/// The sets of anomalies that rows have and that hold what is wanted, found by leaps along the index.
fn anomaly_sets(connection: &Connection, wanted: WithAnomaly) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(NEXT_ANOMALIES)?;
    let mut sets = Vec::new();
    let mut after = String::new();
    loop {
        let set: Option<String> = statement.query_row([&after], |row| row.get(0))?;
        let Some(set) = set else { return Ok(sets) };
        after.clone_from(&set);
        let holds = match wanted {
            WithAnomaly::Any => true,
            WithAnomaly::Kind(anomaly) => set.split(',').any(|name| name == anomaly.name()),
        };
        if holds {
            sets.push(set);
        }
    }
}
