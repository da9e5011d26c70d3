//! What a reader gives out: rows with the documented names, ready to be serialised.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reader;
use super::history::HistoryCursor;
use super::invoices::{ToldInvoice, invoices_of};
use super::story::Snapshot;
use crate::domain::anomaly::Anomaly;
use crate::domain::doer::Doer;
use crate::domain::event::Body;
use crate::domain::ids::LogId;
use crate::domain::money::Vnd;
use crate::domain::payment::{FeeLine, Method, Paid, counted, shared_out, unpaid};
use crate::domain::plate::PlateId;
use crate::domain::stay::{Fact, Link, paid_as_corrected};
use crate::domain::time::quarter;
use crate::ledger::component::loose_key;
use crate::ledger::sheet::{self, TakenWhere};
use crate::store::books::{EXCESS_AT, EXCESSES, StoredBooks, told_there};
use crate::store::error::StoreError;
use crate::store::log_numbers::LogNumbers;
use crate::store::stay_columns::read_confidence;

/// What [`HistoryRow::read`] reads, in its order.
pub(super) const HISTORY_COLUMNS: &str = "id, plate_id, plate_view, entry_time, entry_camera_id, entry_camera_name, \
     entry_confidence, entry_source, exit_time, exit_camera_id, exit_camera_name, exit_confidence, exit_source, \
     duration, fee, status, created_at, updated_at, event_id, source_central, edge_id, sync_status, camera_type, \
     entry_ms, entry_manual, confirmed_ms, exit_ms, exit_central, exit_edge, exit_manual, tariff_version, \
     subscription_id, superseded_by, collected, anomalies, last_hlc, entry_unknown, exit_event";

/// Where some of [`HISTORY_COLUMNS`] stand.
pub(super) mod column {
    pub const ID: usize = 0;
    pub const PLATE_ID: usize = 1;
    pub const STATUS: usize = 15;
    pub const EVENT_ID: usize = 18;
    pub const SOURCE_CENTRAL: usize = 19;
    pub const EDGE_ID: usize = 20;
    pub const ENTRY_MS: usize = 23;
    pub const EXIT_MS: usize = 26;
    pub const EXIT_CENTRAL: usize = 27;
    pub const EXIT_EDGE: usize = 28;
    pub const COLLECTED: usize = 33;
    pub const ANOMALIES: usize = 34;
    pub const EXIT_EVENT: usize = 37;
}

/// What is kept under a key beside the rows.
pub(super) const SAID_OF: &str = "SELECT bytes FROM loose_key JOIN event ON event.id = loose_key.event WHERE key = ?1";

/// A row of the history. The first 22 names and meanings are the predecessor's; `*_time` are in the site's zone,
/// `created_at` and `updated_at` in UTC, `*_ms` Unix ms, `fee` and `collected` VND.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HistoryRow {
    /// The local row number.
    pub id: i64,
    pub plate_id: String,
    pub plate_view: String,
    pub entry_time: String,
    pub entry_camera_id: Option<i64>,
    /// `{central}/{edge_id}`.
    pub entry_camera_name: Option<String>,
    pub entry_confidence: Option<f64>,
    pub entry_source: Option<String>,
    pub exit_time: Option<String>,
    pub exit_camera_id: Option<i64>,
    pub exit_camera_name: Option<String>,
    pub exit_confidence: Option<f64>,
    pub exit_source: Option<String>,
    pub duration: Option<String>,
    pub fee: i64,
    /// `IN`, `OUT`, `LEFT_UNSEEN`, `SUPERSEDED` or `VOID`.
    pub status: String,
    pub created_at: String,
    pub updated_at: String,
    pub event_id: String,
    pub source_central: String,
    pub edge_id: String,
    /// `LOCAL`: authored here; `SYNCED`: received.
    pub sync_status: String,
    pub camera_type: String,
    pub entry_ms: i64,
    pub entry_manual: bool,
    pub confirmed_ms: Option<i64>,
    pub exit_ms: Option<i64>,
    pub exit_central: Option<String>,
    pub exit_edge: Option<String>,
    pub exit_manual: Option<bool>,
    pub tariff_version: Option<String>,
    pub subscription_id: Option<String>,
    pub superseded_by: Option<String>,
    pub collected: i64,
    /// Names of [`crate::domain::anomaly::Anomaly`].
    pub anomalies: Vec<String>,
    pub last_hlc: i64,
    /// The fee was taken by a gate that did not know the entry.
    pub entry_unknown: bool,
    #[serde(flatten)]
    pub payment: Payment,
}

/// Who took the money at the exit, and how it was paid, as corrected. No column of the row: see docs/decisions/050.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Payment {
    /// `an`, `token:backup`, `edge:edge-1`; null: nobody proved to be anybody, the event is older than such names, or there is no exit.
    pub exit_by: Option<String>,
    /// Null: the gate did not say.
    pub paid: Option<Paid>,
    /// What of the fee was not taken at the exit, as the gate said, VND: it is in no sum.
    pub unpaid: i64,
    /// What was paid beyond what was taken, VND, second exits included: owed to who paid it, and in no sum, until a correction says that it was given
    /// back or kept.
    pub excess: i64,
    /// What the invoice program made of it, in its order; absent: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invoices: Vec<ToldInvoice>,
}

impl HistoryRow {
    /// What of `collected` counts as paid in a way, VND.
    pub fn collected_by(&self, way: Method) -> i64 {
        let Some(paid) = &self.payment.paid else { return self.collected };
        let also = shared_out(Vnd(self.collected), &paid.also);
        let counted = counted(paid.method.name(), self.collected, &also);
        counted.filter(|(method, ..)| *method == way.name()).map(|(.., amount)| amount).sum()
    }
}

/// What is read of an exit's event for it.
#[derive(Deserialize)]
struct ExitEvent {
    event_id: Option<String>,
    by: Option<Doer>,
    data: ExitData,
}

#[derive(Deserialize)]
struct ExitData {
    stay: Option<String>,
    paid: Option<Paid>,
    taken_by: Option<Doer>,
    #[serde(default)]
    lines: Vec<FeeLine>,
}

impl Payment {
    /// Of a row selected as [`HISTORY_COLUMNS`], without its excess; empty for what a predecessor said.
    pub(super) fn read(connection: &Connection, row: &Row<'_>) -> Result<Self, StoreError> {
        let ValueRef::Integer(exit_row) = row.get_ref(column::EXIT_EVENT)? else { return Ok(Self::default()) };
        let stay = row.get_ref(column::EVENT_ID)?.as_str().ok();
        let invoices = invoices_of(connection, stay, exit_row)?;
        let mut statement = connection.prepare_cached("SELECT bytes FROM event WHERE id = ?1")?;
        let mut events = statement.query([exit_row])?;
        let unread = |invoices| Self { invoices, ..Self::default() };
        let Some(event) = events.next()? else { return Ok(unread(invoices)) };
        let text = text_of(event)?;
        let Ok(read) = serde_json::from_str::<ExitEvent>(text) else { return Ok(unread(invoices)) };
        let stay = read.data.stay.or(read.event_id);
        let paid = stay.map(|stay| corrected(connection, text, &stay)).transpose()?.flatten();
        Ok(Self {
            exit_by: read.data.taken_by.as_ref().or(read.by.as_ref()).and_then(Doer::text),
            paid: paid.or(read.data.paid),
            unpaid: unpaid(&read.data.lines).0,
            excess: 0,
            invoices,
        })
    }
}

/// How it was paid at an exit, if anybody corrected that.
pub(super) fn corrected(connection: &Connection, exit: &str, stay: &str) -> Result<Option<Paid>, StoreError> {
    let mut facts = said_of(connection, stay)?;
    // Nearly always: nobody changed anything, and nobody was in doubt about its fee, as who writes an exit anew is.
    if facts.is_empty() && !exit.contains(Anomaly::FeeUncertain.name()) {
        return Ok(None);
    }
    let Some(exit) = Fact::read(exit) else { return Ok(None) };
    if matches!(&exit.event.body, Body::Exit(told) if told.in_place_of().is_some()) {
        // What is said of the one it is in place of names another stay.
        (facts, _) = Snapshot { connection, logs: &mut LogNumbers::default() }.facts_with(&exit)?;
    }
    Ok(paid_as_corrected(&exit, &facts))
}

/// What was paid beyond what was taken at the exits of a row selected as [`HISTORY_COLUMNS`], VND.
fn excess_of(connection: &Connection, row: &Row<'_>) -> Result<i64, StoreError> {
    let ValueRef::Integer(exit) = row.get_ref(column::EXIT_EVENT)? else { return Ok(0) };
    let anomalies: Option<String> = row.get(column::ANOMALIES)?;
    let has = |anomaly: Anomaly| anomalies.iter().flat_map(|names| names.split(',')).any(|name| name == anomaly.name());
    if has(Anomaly::DoubleExit) {
        let stay: String = row.get(column::EVENT_ID)?;
        return Snapshot { connection, logs: &mut LogNumbers::default() }.excess_of(&stay);
    }
    let exit_ms: Option<i64> = row.get(column::EXIT_MS)?;
    let excess = connection.prepare_cached(EXCESS_AT)?.query_row((exit_ms, exit), |row| row.get(0)).optional()?;
    Ok(excess.unwrap_or(0))
}

/// Corrections are loose facts of the stay they name.
pub(super) fn said_of(connection: &Connection, stay: &str) -> Result<Vec<Fact>, StoreError> {
    let mut statement = connection.prepare_cached(SAID_OF)?;
    let Some(key) = loose_key(&Link::of_stay(stay)) else { return Ok(Vec::new()) };
    let mut events = statement.query([key])?;
    let mut facts = Vec::new();
    while let Some(event) = events.next()? {
        facts.extend(Fact::read(text_of(event)?));
    }
    Ok(facts)
}

/// Of an event that cannot be read nothing: it says nothing.
fn text_of<'r>(event: &'r Row<'_>) -> Result<&'r str, StoreError> {
    Ok(event.get_ref(0)?.as_str().unwrap_or_default())
}

impl HistoryRow {
    /// Where a row selected as [`HISTORY_COLUMNS`] stands in the order of the pages.
    pub(super) fn place(row: &Row<'_>) -> Result<HistoryCursor, StoreError> {
        Ok(HistoryCursor { entry_ms: row.get(column::ENTRY_MS)?, id: row.get(column::ID)? })
    }

    /// Reads a row selected as [`HISTORY_COLUMNS`].
    pub(super) fn read(connection: &Connection, row: &Row<'_>) -> Result<Self, StoreError> {
        let anomalies: Option<String> = row.get(34)?;
        let entry_ms = row.get(23)?;
        Ok(Self {
            id: row.get(0)?,
            plate_id: row.get(1)?,
            plate_view: row.get(2)?,
            entry_time: row.get(3)?,
            entry_camera_id: row.get(4)?,
            entry_camera_name: row.get(5)?,
            entry_confidence: read_confidence(row.get_ref(6)?)?,
            entry_source: row.get(7)?,
            exit_time: row.get(8)?,
            exit_camera_id: row.get(9)?,
            exit_camera_name: row.get(10)?,
            exit_confidence: read_confidence(row.get_ref(11)?)?,
            exit_source: row.get(12)?,
            duration: row.get(13)?,
            fee: row.get(14)?,
            status: row.get(15)?,
            created_at: row.get(16)?,
            updated_at: row.get(17)?,
            event_id: row.get(18)?,
            source_central: row.get(19)?,
            edge_id: row.get(20)?,
            sync_status: row.get(21)?,
            camera_type: row.get(22)?,
            entry_ms,
            entry_manual: row.get(24)?,
            confirmed_ms: row.get(25)?,
            // As `exit_time`: no stay ends before it begins.
            exit_ms: row.get::<_, Option<i64>>(26)?.map(|exit_ms| exit_ms.max(entry_ms)),
            exit_central: row.get(27)?,
            exit_edge: row.get(28)?,
            exit_manual: row.get(29)?,
            tariff_version: row.get(30)?,
            subscription_id: row.get(31)?,
            superseded_by: row.get(32)?,
            collected: row.get(33)?,
            anomalies: anomalies.map(|names| names.split(',').map(str::to_owned).collect()).unwrap_or_default(),
            last_hlc: row.get(35)?,
            entry_unknown: row.get::<_, Option<bool>>(36)?.unwrap_or(false),
            payment: Payment { excess: excess_of(connection, row)?, ..Payment::read(connection, row)? },
        })
    }
}

/// One gate's sums of a site day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct GateStats {
    pub central: String,
    pub edge_id: String,
    pub entries: i64,
    pub exits: i64,
    /// VND.
    pub revenue: i64,
}

/// What was taken at one gate by one person in one way for one vehicle type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Takings {
    pub central: String,
    pub edge_id: String,
    /// As `exit_by` of the history; empty: nobody proved to be anybody.
    pub by: String,
    /// As `paid.method` of the history; empty: something was due, and the gate did not say. Exits that cost nothing are `free`.
    pub method: String,
    pub camera_type: String,
    /// The shift it belongs to, where that was asked for; null: to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<Option<String>>,
    pub exits: i64,
    /// VND.
    pub revenue: i64,
    /// What was paid beyond that, as of the history, VND.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub excess: i64,
}

/// What was paid beyond what was taken at one exit.
#[derive(Debug, Clone)]
pub(super) struct Excess {
    pub central: String,
    pub edge_id: String,
    pub by: String,
    pub method: String,
    pub camera_type: String,
    pub exit_ms: i64,
    /// VND.
    pub amount: i64,
    /// The central of its gate tells it, or another one corrects what that told.
    pub is_told_there: bool,
}

/// Adds it to the takings of its gate, person, way of payment, type and `shift`.
pub(super) fn add_excess(takings: &mut Vec<Takings>, of: Excess, shift: Option<Option<String>>) {
    let Excess { central, edge_id, by, method, camera_type, amount, .. } = of;
    let is_it = |held: &&mut Takings| {
        (&held.central, &held.edge_id, &held.by, &held.method, &held.camera_type, &held.shift)
            == (&central, &edge_id, &by, &method, &camera_type, &shift)
    };
    match takings.iter_mut().find(is_it) {
        Some(held) => held.excess += amount,
        None => {
            takings.push(Takings {
                central,
                edge_id,
                by,
                method,
                camera_type,
                shift,
                exits: 0,
                revenue: 0,
                excess: amount,
            });
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(super) fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

/// A site day's sums over all gates, and each gate's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DayStats {
    pub entries: i64,
    pub exits: i64,
    /// VND.
    pub revenue: i64,
    /// Ordered by central and edge.
    pub gates: Vec<GateStats>,
}

/// When something was last received from a peer; the predecessor's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SyncState {
    pub peer_central_id: String,
    /// Unix ms.
    pub last_sync_timestamp: i64,
    /// The same in UTC text.
    pub last_sync_time: Option<String>,
    pub updated_at: Option<String>,
}

impl Reader {
    /// The stay of that id.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn stay(&mut self, event_id: &str) -> Result<Option<HistoryRow>, StoreError> {
        let sql = format!("SELECT {HISTORY_COLUMNS} FROM history WHERE event_id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.query_row([event_id], |row| Ok(HistoryRow::read(&self.connection, row))).optional()?.transpose()
    }

    /// The cars inside, newest entry first, at most `limit`.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn vehicles_inside(&mut self, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        let sql = format!(
            "SELECT {HISTORY_COLUMNS} FROM history WHERE status = 'IN' AND status <> 'OUT' ORDER BY entry_ms DESC, id DESC LIMIT ?1"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut inside = Vec::new();
        while let Some(row) = rows.next()? {
            inside.push(HistoryRow::read(&self.connection, row)?);
        }
        Ok(inside)
    }

    /// The newest entry of a plate, Unix ms.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn newest_entry_ms(&mut self, plate: &PlateId) -> Result<Option<i64>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT max(entry_ms) FROM history WHERE plate_id = ?1")?;
        Ok(statement.query_row([plate.as_str()], |row| row.get(0))?)
    }

    /// How far a predecessor was told of each log.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn told(&mut self, peer: &str) -> Result<Vec<(LogId, u64)>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT log, seq FROM legacy_cursor WHERE peer = ?1")?;
        let rows = statement.query_map([peer], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        let mut told = Vec::new();
        for row in rows {
            let (log, seq) =
                row.map_err(|error| StoreError::from(error).beside_events("how far a predecessor was told"))?;
            let log: LogId = log.parse().map_err(|_| StoreError::Unreadable(format!("log {log:?}")))?;
            told.push((log, seq.cast_unsigned()));
        }
        Ok(told)
    }

    /// The sums from `start_ms` until before `end_ms`, which begin a quarter of an hour each. A time without traffic is all zeros.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn stats(&mut self, start_ms: i64, end_ms: i64) -> Result<DayStats, StoreError> {
        let sql = "SELECT central, edge_id, sum(entries), sum(exits), sum(revenue) FROM quarter_total \
                   WHERE quarter >= ?1 AND quarter < ?2 GROUP BY central, edge_id ORDER BY central, edge_id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let gates = statement
            .query_map((quarter(start_ms), quarter(end_ms)), |row| {
                Ok(GateStats {
                    central: row.get(0)?,
                    edge_id: row.get(1)?,
                    entries: row.get(2)?,
                    exits: row.get(3)?,
                    revenue: row.get(4)?,
                })
            })?
            .collect::<Result<Vec<_>, _>>()?;
        Ok(DayStats {
            entries: gates.iter().map(|gate| gate.entries).sum(),
            exits: gates.iter().map(|gate| gate.exits).sum(),
            revenue: gates.iter().map(|gate| gate.revenue).sum(),
            gates,
        })
    }

    /// The exits and the revenue of [`Reader::stats`], told apart, ordered by gate. They sum to them.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn takings(&mut self, start_ms: i64, end_ms: i64) -> Result<Vec<Takings>, StoreError> {
        let mut takings = self.takings_alone(start_ms, end_ms)?;
        for excess in self.excesses(start_ms, end_ms)? {
            add_excess(&mut takings, excess, None);
        }
        Ok(takings)
    }

    /// Without what was paid beyond them.
    pub(super) fn takings_alone(&mut self, start_ms: i64, end_ms: i64) -> Result<Vec<Takings>, StoreError> {
        let sql = "SELECT central, edge_id, taken_by, method, camera_type, sum(exits), sum(revenue) FROM quarter_total \
                   WHERE quarter >= ?1 AND quarter < ?2 GROUP BY 1, 2, 3, 4, 5 HAVING sum(exits) <> 0 OR sum(revenue) <> 0 \
                   ORDER BY 1, 2, 3, 4, 5";
        let mut statement = self.connection.prepare_cached(sql)?;
        let takings = statement.query_map((quarter(start_ms), quarter(end_ms)), |row| {
            Ok(Takings {
                central: row.get(0)?,
                edge_id: row.get(1)?,
                by: row.get(2)?,
                method: row.get(3)?,
                camera_type: row.get(4)?,
                shift: None,
                exits: row.get(5)?,
                revenue: row.get(6)?,
                excess: 0,
            })
        })?;
        Ok(takings.collect::<Result<Vec<_>, _>>()?)
    }

    /// What was paid beyond what was taken at the exits of a time, each.
    pub(super) fn excesses(&mut self, start_ms: i64, end_ms: i64) -> Result<Vec<Excess>, StoreError> {
        let mut statement = self.connection.prepare_cached(EXCESSES)?;
        let mut rows = statement.query((start_ms, end_ms))?;
        let mut books = StoredBooks { connection: &self.connection, logs: &mut self.logs };
        let mut excesses = Vec::new();
        while let Some(row) = rows.next()? {
            let (central, edge_id, by): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let (exit_ms, fact) = (row.get(0)?, books.fact(row.get_ref(7)?)?);
            let at = TakenWhere { central: &central, edge_id: &edge_id, exit_ms, taken_by: &by };
            excesses.push(Excess {
                is_told_there: sheet::vouched(&mut books, at, told_there(row.get(8)?), &fact)?.is_some(),
                exit_ms,
                central,
                edge_id,
                by,
                method: row.get(4)?,
                camera_type: row.get(5)?,
                amount: row.get(6)?,
            });
        }
        Ok(excesses)
    }

    /// One row per peer anything was ever received from, by id.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn sync_state(&mut self) -> Result<Vec<SyncState>, StoreError> {
        let sql =
            "SELECT peer_central_id, last_sync_timestamp, last_sync_time, updated_at FROM p2p_sync_state ORDER BY 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let states = statement
            .query_map((), |row| {
                Ok(SyncState {
                    peer_central_id: row.get(0)?,
                    last_sync_timestamp: row.get(1)?,
                    last_sync_time: row.get(2)?,
                    updated_at: row.get(3)?,
                })
            })?
            .collect::<Result<Vec<_>, _>>();
        states.map_err(|error| StoreError::from(error).beside_events("when a peer was heard last"))
    }
}
