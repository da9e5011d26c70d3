//! The tables of `central.db` and how older files become today's. **The only file that knows their definitions.**
//!
//! `user_version` is the number of the last migration applied; each runs in one IMMEDIATE transaction together with it, so a
//! file is always exactly at one version. A newer file is refused, an older one is copied aside first. Why the tables are as
//! they are: docs/decisions/020-tables-of-central-db.md.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use sha2::{Digest, Sha256};

use super::directory::DataDir;
use super::error::StoreError;
use crate::domain::ids::LogId;
use crate::domain::stay::{Fact, Link, REQUEST_WINDOW_MS, links};
use crate::ledger::RULES_VERSION;
use crate::ledger::component::loose_key;

/// Says "ParkMesh" in the file's header (`PMsh`), so that a foreign SQLite file is not taken for an empty one of ours.
const APPLICATION_ID: i64 = 0x504d_7368;

/// Migration `n` (counted from 1) brings a file from version `n-1` to `n`. Only grows; released ones never change.
const MIGRATIONS: &[&str] =
    &[V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12, V13, V14, V15, V16, V17, V18, V19, V20];

/// The loose facts under a key, with clocks from the second to the third.
pub(super) const LOOSE_FACTS: &str = "SELECT event FROM loose_key WHERE key = ?1 AND hlc BETWEEN ?2 AND ?3";

/// Bits of an event's row number that are its `seq`; the number of its log is above them.
const SEQ_BITS: u32 = 40;
pub(super) const MAX_SEQ: u64 = (1 << SEQ_BITS) - 1;
/// What is left of a positive 64-bit row number.
pub(super) const MAX_LOG_NO: i64 = (1 << (63 - SEQ_BITS)) - 1;

const V1: &str = "
CREATE TABLE log(
  no    INTEGER PRIMARY KEY,
  name  TEXT NOT NULL UNIQUE,
  head  INTEGER NOT NULL,
  hash  BLOB NOT NULL
) STRICT;

-- id = log.no << 40 | seq: each log lies together, and grows at its end.
-- committed_ms: when it became known here, by this machine's clock.
CREATE TABLE event(
  id           INTEGER PRIMARY KEY,
  bytes        TEXT NOT NULL,
  hash         BLOB NOT NULL,
  committed_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE history(
  id                INTEGER PRIMARY KEY,
  plate_id          TEXT NOT NULL,
  plate_view        TEXT NOT NULL,
  entry_time        TEXT NOT NULL,
  entry_camera_id   INTEGER,
  entry_camera_name TEXT,
  entry_confidence  ANY,
  entry_source      TEXT,
  exit_time         TEXT,
  exit_camera_id    INTEGER,
  exit_camera_name  TEXT,
  exit_confidence   ANY,
  exit_source       TEXT,
  duration          TEXT,
  fee               INTEGER NOT NULL DEFAULT 0,
  status            TEXT NOT NULL,
  created_at        TEXT NOT NULL,
  updated_at        TEXT NOT NULL,
  event_id          TEXT NOT NULL UNIQUE,
  source_central    TEXT NOT NULL,
  edge_id           TEXT NOT NULL,
  sync_status       TEXT NOT NULL DEFAULT 'LOCAL',
  camera_type       TEXT NOT NULL,
  entry_ms          INTEGER NOT NULL,
  entry_manual      INTEGER NOT NULL,
  confirmed_ms      INTEGER,
  exit_ms           INTEGER,
  exit_central      TEXT,
  exit_edge         TEXT,
  exit_manual       INTEGER,
  entry_unknown     INTEGER,
  tariff_version    TEXT,
  subscription_id   TEXT,
  superseded_by     TEXT,
  collected         INTEGER NOT NULL,
  anomalies         TEXT,
  -- A fact: the event's id, or 32 bytes where it was heard from a predecessor.
  entry_event       ANY NOT NULL,
  confirm_event     ANY,
  exit_event        ANY,
  last_hlc          INTEGER NOT NULL,
  -- In the newest row of a plate: nothing of that plate in an older row is later than this.
  plate_hlc         INTEGER NOT NULL,
  committed_ms      INTEGER NOT NULL,
  -- Keeps the place an exit will take, so that it fits into the page of its entry; NULL from then on.
  room_for_exit     BLOB
) STRICT;
CREATE INDEX history_plate ON history(plate_id);
CREATE INDEX history_entry ON history(entry_ms);
-- The cars inside, and the few stays that ended in another way than by an exit.
CREATE INDEX history_not_out ON history(status, entry_ms) WHERE status <> 'OUT';
-- The few stays with anomalies, by the set they have.
CREATE INDEX history_anomaly ON history(anomalies, entry_ms) WHERE anomalies IS NOT NULL;

-- Each plate once, in order of first sight; what a search runs through.
CREATE TABLE plate(
  no       INTEGER PRIMARY KEY,
  plate_id TEXT NOT NULL
) STRICT;

CREATE TABLE p2p_sync_state(
  peer_central_id     TEXT PRIMARY KEY,
  last_sync_timestamp INTEGER NOT NULL,
  last_sync_time      TEXT,
  updated_at          TEXT
) STRICT;

-- How far a predecessor was told of each log: it cannot say so itself.
CREATE TABLE legacy_cursor(
  peer TEXT NOT NULL,
  log  TEXT NOT NULL,
  seq  INTEGER NOT NULL,
  PRIMARY KEY(peer, log)
) STRICT, WITHOUT ROWID;

CREATE TABLE loose_fact(
  event   INTEGER PRIMARY KEY,
  waiting INTEGER NOT NULL
) STRICT;
CREATE TABLE loose_key(
  key   TEXT NOT NULL,
  event INTEGER NOT NULL,
  PRIMARY KEY(key, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX loose_key_event ON loose_key(event);
CREATE INDEX loose_fact_waiting ON loose_fact(event) WHERE waiting;

-- key = 64 bits of a hash over edge and request id; the event itself says whether it is meant.
CREATE TABLE request(
  key   INTEGER NOT NULL,
  event INTEGER NOT NULL,
  hlc   INTEGER NOT NULL,
  PRIMARY KEY(key, event)
) STRICT, WITHOUT ROWID;

-- Where what predecessors said lies: one row per central that heard it.
CREATE TABLE heard(
  fact  BLOB NOT NULL,
  event INTEGER NOT NULL,
  PRIMARY KEY(fact, event)
) STRICT, WITHOUT ROWID;

CREATE TABLE day_total(
  day     TEXT NOT NULL,
  central TEXT NOT NULL,
  edge_id TEXT NOT NULL,
  entries INTEGER NOT NULL,
  exits   INTEGER NOT NULL,
  revenue INTEGER NOT NULL,
  PRIMARY KEY(day, central, edge_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE setting(
  kind  TEXT NOT NULL,
  id    TEXT NOT NULL,
  hlc   INTEGER NOT NULL,
  event INTEGER NOT NULL,
  value TEXT,
  PRIMARY KEY(kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine(
  event  INTEGER PRIMARY KEY,
  reason TEXT NOT NULL
) STRICT;

-- One row. next_history_id: no row number is ever given twice, as AUTOINCREMENT would do at a higher price.
CREATE TABLE ledger(
  id              INTEGER PRIMARY KEY CHECK(id = 1),
  digest          BLOB NOT NULL,
  max_hlc         INTEGER NOT NULL,
  events          INTEGER NOT NULL,
  loose_facts     INTEGER NOT NULL,
  next_history_id INTEGER NOT NULL
) STRICT;
INSERT INTO ledger VALUES(1, zeroblob(32), 0, 0, 0, 1);
";

/// The few stays of more than 3 days by their exit, for the course of a day: an index of all of them would cost the writer time
/// at every exit.
const V2: &str = "CREATE INDEX history_long ON history(exit_ms) WHERE exit_ms - entry_ms > 259200000;";

/// The audit: docs/decisions/041-an-audit-nobody-rewrites.md. `entry` is all that is chained; three columns of it are told apart for
/// the indices. AUTOINCREMENT remembers the last number, so that a missing end is noticed. The first trigger also refuses
/// `INSERT OR REPLACE`, which would remove a row without a DELETE.
const V3: &str = "
CREATE TABLE audit(
  id    INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  kind  TEXT NOT NULL,
  who   TEXT NOT NULL,
  entry TEXT NOT NULL,
  hash  BLOB NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit(at_ms);
CREATE INDEX audit_kind ON audit(kind, at_ms);
CREATE INDEX audit_who ON audit(who, at_ms);
CREATE TRIGGER audit_only_grows BEFORE INSERT ON audit WHEN NEW.id <= (SELECT max(id) FROM audit)
BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit never changes'); END;
CREATE TRIGGER audit_never_forgets BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit never forgets'); END;
";

/// Sums by quarters of an hour instead of by days of the zone that was in force when something was counted: what is taken back is
/// found in any zone, and the course of a day is made of the same sums as its figures. They are made of the rows, which know the
/// last exit of a stay alone; what the others came to stands at 1970, so that the sums of a gate stay whole. A rebuild is exact.
const V4: &str = "
CREATE TABLE quarter_total(
  quarter INTEGER NOT NULL,
  central TEXT NOT NULL,
  edge_id TEXT NOT NULL,
  entries INTEGER NOT NULL,
  exits   INTEGER NOT NULL,
  revenue INTEGER NOT NULL,
  PRIMARY KEY(quarter, central, edge_id)
) STRICT, WITHOUT ROWID;
INSERT INTO quarter_total
  SELECT quarter, central, edge_id, sum(entries), sum(exits), sum(revenue) FROM (
    SELECT entry_ms / 900000 AS quarter, source_central AS central, edge_id, 1 AS entries, 0 AS exits, 0 AS revenue
      FROM history WHERE status IN ('IN', 'OUT', 'LEFT_UNSEEN') AND (exit_event IS NULL OR exit_event <> entry_event)
    UNION ALL SELECT exit_ms / 900000, exit_central, exit_edge, 0, 1, collected
      FROM history WHERE exit_ms IS NOT NULL AND exit_central IS NOT NULL AND exit_edge IS NOT NULL AND status <> 'VOID')
  GROUP BY 1, 2, 3;
INSERT INTO quarter_total
  SELECT 0, central, edge_id, sum(entries), sum(exits), sum(revenue) FROM (
    SELECT central, edge_id, entries, exits, revenue FROM day_total
    UNION ALL SELECT central, edge_id, -entries, -exits, -revenue FROM quarter_total)
  GROUP BY 2, 3 HAVING sum(entries) <> 0 OR sum(exits) <> 0 OR sum(revenue) <> 0;
DROP TABLE day_total;
DROP INDEX history_long;
";

/// The few stays of more than 3 days by their exit, as V2 had them: a search by exit looks at those that came in up to 3 days before
/// it, and at these. The number is that of [`LONG_MS`].
const V5: &str = "CREATE INDEX history_long ON history(exit_ms) WHERE exit_ms - entry_ms > 259200000;";

/// Longer stays are in the index `history_long`.
pub(super) const LONG_MS: i64 = 259_200_000;

/// The rows of a plate in order of the clocks of their entries, so that of a plate only what is touched is read; requests for
/// ever, those of four weeks together; the clocks of loose facts, and exits by when they were, for those told by plate; what waits to
/// be folded. See
/// docs/decisions/025-work-is-bounded-by-what-is-touched.md. Facts heard from predecessors are found through `heard`.
///
/// `plate_hlc` is now in the last row of a plate in that order. `dirty.no`: the order in which plates began to wait.
const V6: &str = "
ALTER TABLE history ADD COLUMN entry_hlc INTEGER NOT NULL DEFAULT 0;
UPDATE history SET entry_hlc = coalesce(
  CASE typeof(entry_event)
    WHEN 'integer' THEN (SELECT json_extract(bytes, '$.hlc') FROM event WHERE event.id = entry_event)
    ELSE (SELECT min(json_extract(bytes, '$.hlc')) FROM heard JOIN event ON event.id = heard.event
          WHERE heard.fact = entry_event)
  END, last_hlc);
DROP INDEX history_plate;
CREATE INDEX history_plate ON history(plate_id, entry_hlc);
UPDATE history SET plate_hlc = (SELECT max(last_hlc) FROM history AS other WHERE other.plate_id = history.plate_id)
WHERE NOT EXISTS(SELECT 1 FROM history AS later WHERE later.plate_id = history.plate_id
                 AND (later.entry_hlc, later.id) > (history.entry_hlc, history.id));

CREATE TABLE loose_hlc(
  key   TEXT NOT NULL,
  hlc   INTEGER NOT NULL,
  event INTEGER NOT NULL,
  PRIMARY KEY(key, hlc, event)
) STRICT, WITHOUT ROWID;
INSERT INTO loose_hlc
  SELECT key, coalesce(json_extract(bytes, '$.hlc'), 0), event FROM loose_key JOIN event ON event.id = loose_key.event;
DROP TABLE loose_key;
ALTER TABLE loose_hlc RENAME TO loose_key;
CREATE INDEX loose_key_event ON loose_key(event);
INSERT OR IGNORE INTO loose_key
  SELECT exit_key(bytes), json_extract(bytes, '$.hlc'), event FROM loose_fact JOIN event ON event.id = loose_fact.event
  WHERE exit_key(bytes) IS NOT NULL;
CREATE INDEX history_exit ON history(exit_ms) WHERE exit_ms IS NOT NULL;

DROP TABLE request;
-- key = 64 bits of a hash over edge and request id; the event itself says whether it is meant.
CREATE TABLE request(
  weeks INTEGER NOT NULL,
  key   INTEGER NOT NULL,
  event INTEGER NOT NULL,
  hlc   INTEGER NOT NULL,
  PRIMARY KEY(weeks, key, event)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO request
  SELECT request_weeks(hlc), request_key(edge, request), id, hlc FROM (
    SELECT id, json_extract(bytes, '$.hlc') AS hlc, json_extract(bytes, '$.data.request_id') AS request,
           json_extract(bytes, iif(bytes ->> '$.type' = 'VEHICLE_EXIT', '$.data.exit_edge', '$.data.edge_id')) AS edge
    FROM event WHERE json_valid(bytes) AND json_type(bytes, '$.data.request_id') = 'text')
  WHERE typeof(hlc) = 'integer' AND typeof(edge) = 'text';

CREATE TABLE dirty(
  no       INTEGER PRIMARY KEY,
  plate_id TEXT NOT NULL UNIQUE,
  since_ms INTEGER NOT NULL
) STRICT;
-- other: a second plate the event waits under.
CREATE TABLE dirty_fact(
  plate_id TEXT NOT NULL,
  hlc      INTEGER NOT NULL,
  event    INTEGER NOT NULL,
  other    TEXT,
  PRIMARY KEY(plate_id, hlc, event)
) STRICT, WITHOUT ROWID;
";

/// By which version of the rules the history was made; 0: it is being made anew.
const V7: &str = "ALTER TABLE ledger ADD COLUMN rules INTEGER NOT NULL DEFAULT 1;";

/// The sums of exits are told apart by who took it, how it was paid and the vehicle type, which the events know: `rules` 0 has the
/// next start make all of them anew. Of entries the three are empty.
const V8: &str = "
DROP TABLE quarter_total;
CREATE TABLE quarter_total(
  quarter     INTEGER NOT NULL,
  central     TEXT NOT NULL,
  edge_id     TEXT NOT NULL,
  taken_by    TEXT NOT NULL,
  method      TEXT NOT NULL,
  camera_type TEXT NOT NULL,
  entries     INTEGER NOT NULL,
  exits       INTEGER NOT NULL,
  revenue     INTEGER NOT NULL,
  PRIMARY KEY(quarter, central, edge_id, taken_by, method, camera_type)
) STRICT, WITHOUT ROWID;
UPDATE ledger SET rules = 0;
";

/// The starts of the program on this database, the latest few, and the last one seen of each central with the certificate it had: a copy
/// of a directory that is run in its place is known by them (docs/decisions/043-whose-log-it-is.md). `instance`: 64 random bits.
const V9: &str = "
CREATE TABLE start(
  number   INTEGER PRIMARY KEY,
  instance INTEGER NOT NULL
) STRICT;
CREATE TABLE seen_start(
  central     TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  number      INTEGER NOT NULL,
  instance    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What waits lies as the events do, so that a run is marked at one place of the file; under which plates is known by heart.
/// other: a second plate the event waits under.
const V10: &str = "
CREATE TABLE waiting(
  event    INTEGER PRIMARY KEY,
  hlc      INTEGER NOT NULL,
  plate_id TEXT NOT NULL,
  other    TEXT,
  is_entry INTEGER NOT NULL,
  since_ms INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO waiting
  SELECT event, hlc, dirty_fact.plate_id, other, CASE WHEN json_valid(bytes) THEN coalesce(bytes ->> '$.type' = 'VEHICLE_ENTRY_PENDING', 0) ELSE 0 END, since_ms
  FROM dirty_fact JOIN dirty ON dirty.plate_id = dirty_fact.plate_id JOIN event ON event.id = dirty_fact.event;
DROP TABLE dirty_fact;
DROP TABLE dirty;
";

/// What was taken at each exit by gate and time, who answered for a gate from when to when, and what corrections and voids changed
/// in what was taken. As in V8 all is made anew from the events. `person` is empty as long as the opening is not held. `fact`,
/// `exit`: an event's id, or 32 bytes of what was heard from a predecessor.
const V11: &str = "
CREATE TABLE taking(
  central     TEXT NOT NULL,
  edge_id     TEXT NOT NULL,
  exit_ms     INTEGER NOT NULL,
  fact        ANY NOT NULL,
  taken_by    TEXT NOT NULL,
  method      TEXT NOT NULL,
  camera_type TEXT NOT NULL,
  fee         INTEGER NOT NULL,
  PRIMARY KEY(central, edge_id, exit_ms, fact)
) STRICT, WITHOUT ROWID;
CREATE TABLE shift(
  id         TEXT PRIMARY KEY,
  central    TEXT NOT NULL,
  edge_id    TEXT NOT NULL,
  from_ms    INTEGER NOT NULL,
  person     TEXT NOT NULL,
  opened     INTEGER,
  opened_hlc INTEGER,
  until_ms   INTEGER,
  closed     INTEGER,
  closed_hlc INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX shift_gate ON shift(central, edge_id, from_ms) WHERE opened IS NOT NULL;
CREATE INDEX shift_from ON shift(from_ms) WHERE opened IS NOT NULL;
CREATE INDEX shift_until ON shift(until_ms) WHERE opened IS NOT NULL;
CREATE INDEX shift_person ON shift(person, from_ms) WHERE opened IS NOT NULL;
CREATE TABLE money_change(
  event      INTEGER NOT NULL,
  no         INTEGER NOT NULL,
  changed_by TEXT NOT NULL,
  at_ms      INTEGER NOT NULL,
  central    TEXT NOT NULL,
  edge_id    TEXT NOT NULL,
  exit_ms    INTEGER NOT NULL,
  exit       ANY NOT NULL,
  taken_by   TEXT NOT NULL,
  method     TEXT NOT NULL,
  change     INTEGER NOT NULL,
  PRIMARY KEY(event, no)
) STRICT, WITHOUT ROWID;
CREATE INDEX money_change_at ON money_change(central, edge_id, exit_ms);
CREATE INDEX money_change_by ON money_change(changed_by, at_ms);
UPDATE ledger SET rules = 0;
";

/// Payments that banks and providers told of, by their references, stays and times; `told_by`: by whose token.
const V12: &str = "
CREATE TABLE payment(
  event     INTEGER PRIMARY KEY,
  hlc       INTEGER NOT NULL,
  at_ms     INTEGER NOT NULL,
  reference TEXT NOT NULL,
  stay      TEXT,
  method    TEXT NOT NULL,
  amount    INTEGER NOT NULL,
  text      TEXT,
  told_by   TEXT
) STRICT;
CREATE INDEX payment_reference ON payment(reference, hlc, event);
CREATE INDEX payment_stay ON payment(stay) WHERE stay IS NOT NULL;
CREATE INDEX payment_at ON payment(at_ms);
";

/// What was taken lies by its time: exits of all gates at one place of the file, in place of one page for each gate in each commit.
const V13: &str = "
ALTER TABLE taking RENAME TO taking_by_gate;
CREATE TABLE taking(
  exit_ms     INTEGER NOT NULL,
  fact        ANY NOT NULL,
  central     TEXT NOT NULL,
  edge_id     TEXT NOT NULL,
  taken_by    TEXT NOT NULL,
  method      TEXT NOT NULL,
  camera_type TEXT NOT NULL,
  fee         INTEGER NOT NULL,
  PRIMARY KEY(exit_ms, fact)
) STRICT, WITHOUT ROWID;
INSERT INTO taking SELECT exit_ms, fact, central, edge_id, taken_by, method, camera_type, fee FROM taking_by_gate ORDER BY exit_ms, fact;
DROP TABLE taking_by_gate;
";

/// What of a fee was paid in other ways than `method`, as JSON `[[way, VND]]`: an older version that forwarded such an exit counted all of it as
/// paid in the first way, so all is made anew from the events.
const V14: &str = "
ALTER TABLE taking ADD COLUMN also TEXT;
UPDATE ledger SET rules = 0;
";

/// What people say that payments are for, by reference and stay.
const V15: &str = "
CREATE TABLE payment_assigned(
  event     INTEGER PRIMARY KEY,
  reference TEXT NOT NULL,
  stay      TEXT
) STRICT;
CREATE INDEX payment_assigned_reference ON payment_assigned(reference);
CREATE INDEX payment_assigned_stay ON payment_assigned(stay) WHERE stay IS NOT NULL;
";

/// The cash of closed shifts that was counted anew.
const V16: &str = "
CREATE TABLE shift_recount(
  shift TEXT NOT NULL,
  hlc   INTEGER NOT NULL,
  event INTEGER NOT NULL,
  PRIMARY KEY(shift, event)
) STRICT, WITHOUT ROWID;
";

/// The other edges of the lane a shift was opened at, as JSON: kept when all is made anew with the rules of this version.
const V17: &str = "
ALTER TABLE shift ADD COLUMN lane_edges TEXT;
CREATE INDEX shift_lane ON shift(central, from_ms) WHERE opened IS NOT NULL AND lane_edges IS NOT NULL;
";

/// Each invoice that was told, by the exit it is for and its stay; and of each exit that has one, or whose money was corrected, what its invoices come to
/// and what was taken. `hlc` 0: it has none. `exit`: as in V11.
const V18: &str = "
CREATE TABLE invoice(
  event INTEGER PRIMARY KEY,
  exit  ANY NOT NULL,
  stay  TEXT NOT NULL
) STRICT;
CREATE INDEX invoice_exit ON invoice(exit);
CREATE INDEX invoice_stay ON invoice(stay);
CREATE TABLE invoiced_exit(
  exit    ANY PRIMARY KEY,
  exit_ms INTEGER NOT NULL,
  hlc     INTEGER NOT NULL,
  fact    TEXT NOT NULL,
  amount  INTEGER NOT NULL,
  done_to INTEGER NOT NULL,
  taken   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invoiced_exit_unfit ON invoiced_exit(exit_ms) WHERE amount <> taken;
INSERT OR IGNORE INTO invoiced_exit
  SELECT exit, exit_ms, 0, '', 0, 0, coalesce((SELECT fee FROM taking WHERE taking.exit_ms = money_change.exit_ms AND fact = exit), 0)
  FROM money_change;
";

/// What of a fee the central of the gate says itself, where others say more: a shift answers for no more. All is made anew, so that every central says the same.
const V19: &str = "
ALTER TABLE taking ADD COLUMN told_there INTEGER;
UPDATE ledger SET rules = 0;
";

/// What was paid beyond a fee, which is in no sum; NULL: nothing. It is found by the times of the few exits that have any. As in V19 all is made anew.
const V20: &str = "
ALTER TABLE taking ADD COLUMN excess INTEGER;
CREATE INDEX taking_excess ON taking(exit_ms) WHERE excess IS NOT NULL;
UPDATE ledger SET rules = 0;
";

/// The row number of event `seq` of the log numbered `log_no`; `None` if either is too large (8 million logs, 2^40 events).
#[must_use]
pub fn event_row(log_no: i64, seq: u64) -> Option<i64> {
    let in_range = (1..=MAX_LOG_NO).contains(&log_no) && seq <= MAX_SEQ;
    in_range.then(|| i64::try_from(seq).map_or(0, |seq| (log_no << SEQ_BITS) | seq))
}

/// The log number and `seq` of an event's row number.
#[must_use]
pub fn event_place(row: i64) -> (i64, u64) {
    (row >> SEQ_BITS, row.cast_unsigned() & MAX_SEQ)
}

/// The key of a request in its table: 64 bits of a hash over edge and request id; the NUL keeps the two apart.
pub(super) fn request_key(edge_id: &str, request_id: &str) -> i64 {
    let digest: [u8; 32] =
        Sha256::new().chain_update(edge_id).chain_update([0]).chain_update(request_id).finalize().into();
    let (head, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    i64::from_be_bytes(*head)
}

/// Which four weeks a request is of: it is looked for among those of a few weeks, and written to the newest.
pub(super) fn request_weeks(clock_ms: i64) -> i64 {
    clock_ms.div_euclid(4 * REQUEST_WINDOW_MS)
}

/// As [`event_row`], as an error naming the log.
pub(super) fn event_row_of(log: &LogId, log_no: i64, seq: u64) -> Result<i64, StoreError> {
    event_row(log_no, seq).ok_or_else(|| StoreError::OutOfRange { log: log.clone(), seq })
}

/// Brings the file behind `connection` to today's version. `path` is where it lies, for errors and for the backup.
///
/// # Errors
/// [`StoreError::NotADatabase`] for a foreign file, [`StoreError::NewerVersion`] for a newer one, [`StoreError::Backup`] if the
/// copy of an older one cannot be made, and whatever the disk says. The file is then unchanged.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let found = check_version(connection, path)?;
    migrate_with(connection, path, MIGRATIONS)?;
    // What a new file will hold is made by today's rules.
    if found == 0 {
        connection.execute("UPDATE ledger SET rules = ?1", [RULES_VERSION])?;
    }
    Ok(())
}

/// Tables that are made from nothing else, but for the one of the events.
const NOT_DERIVED: [&str; 6] = ["log", "audit", "start", "seen_start", "p2p_sync_state", "legacy_cursor"];

/// What is missing in a file of today's version, as another program or person dropped it.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// Tables and indices that are made from the events.
    pub derived: Vec<String>,
    /// Those that are made from nothing else: what was in them is gone.
    pub lost: Vec<String>,
}

/// Makes every table, index and trigger that is missing, or lacks a column, empty and anew. What was in those that are made from the
/// events is to be made again.
///
/// # Errors
/// [`StoreError::Unreadable`]: the table of the events is gone. Then nothing is changed. What the disk says.
pub(super) fn restore(connection: &Connection) -> Result<Dropped, StoreError> {
    // As the migrations leave a new file.
    let mut whole = Connection::open_in_memory()?;
    migrate_with(&mut whole, Path::new(""), MIGRATIONS)?;
    let listed = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' \
                  ORDER BY type = 'table' DESC, rowid";
    let mut statement = whole.prepare(listed)?;
    let all = statement.query_map((), |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
    })?;
    let mut dropped = Dropped::default();
    let mut anew = Vec::new();
    for part in all {
        let (kind, name, table, sql) = part?;
        let is_there =
            connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = ?1 AND name = ?2")?.exists((&kind, &name))?;
        let lacks = kind == "table" && is_there && columns(connection, &name)? != columns(&whole, &name)?;
        // The indices of a table that is dropped go with it.
        if is_there && !lacks && !anew.iter().any(|(_, made, _)| *made == table) {
            continue;
        }
        let of_events = table != "audit" && !NOT_DERIVED.contains(&table.as_str());
        if kind == "table" && name == "event" {
            return Err(StoreError::Unreadable("no whole table of events: that".to_owned()));
        }
        match kind.as_str() {
            "table" if !of_events => dropped.lost.push(name.clone()),
            _ if of_events => dropped.derived.push(name.clone()),
            _ => {}
        }
        anew.push((lacks, name, sql));
    }
    let transaction = connection.unchecked_transaction()?;
    for (lacks, name, sql) in anew {
        if lacks {
            transaction.execute_batch(&format!("DROP TABLE \"{name}\""))?;
        }
        transaction.execute_batch(&sql)?;
    }
    transaction.commit()?;
    Ok(dropped)
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
    let names = statement.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

/// The version this program writes.
#[must_use]
pub fn current_version() -> i64 {
    version_of(MIGRATIONS)
}

fn version_of(migrations: &[&str]) -> i64 {
    i64::try_from(migrations.len()).unwrap_or(i64::MAX)
}

fn migrate_with(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), StoreError> {
    let found = check(connection, path, version_of(migrations))?;
    let done = usize::try_from(found).unwrap_or(0);
    if done > 0 && done < migrations.len() {
        back_up(connection, path, found)?;
    }
    add_functions(connection)?;
    for (index, migration) in migrations.iter().enumerate().skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version_of(migrations.get(..=index).unwrap_or_default()))?;
        transaction.commit()?;
    }
    Ok(())
}

/// What migrations call by name.
fn add_functions(connection: &Connection) -> Result<(), StoreError> {
    let flags = FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_UTF8;
    connection.create_scalar_function("request_key", 2, flags, |context| {
        Ok(request_key(&context.get::<String>(0)?, &context.get::<String>(1)?))
    })?;
    connection.create_scalar_function("exit_key", 1, flags, |context| {
        let fact = Fact::read(&context.get::<String>(0)?);
        let keys = fact
            .iter()
            .flat_map(links)
            .filter(|link| matches!(link, Link::Exit { .. }))
            .find_map(|link| loose_key(&link));
        Ok(keys)
    })?;
    connection.create_scalar_function("request_weeks", 1, flags, |context| Ok(request_weeks(context.get(0)?)))?;
    Ok(())
}

/// Reads the header: whose file it is and which version. Writes nothing.
///
/// # Errors
/// As [`migrate`]; returns the version, 0 for a new file.
pub fn check_version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    check(connection, path, current_version())
}

/// As [`check_version`], of a file that is only read: it has to be of today's version.
///
/// # Errors
/// As [`migrate`]; [`StoreError::OtherVersion`] for an older one.
pub fn check_current(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let path = path.to_owned();
    match check_version(connection, &path)? {
        0 => Err(StoreError::NotADatabase { path, detail: "it was never opened by the server".into() }),
        found if found < current_version() => Err(StoreError::OtherVersion { path }),
        _ => Ok(()),
    }
}

/// Where a database has no tables of events and logs of its own, those of another directory's are found by their names.
///
/// # Errors
/// Whatever the disk says.
pub fn attach_events(connection: &Connection, held: &DataDir) -> Result<(), StoreError> {
    let path = held.database();
    let path = ToSqlOutput::Borrowed(ValueRef::Text(path.as_os_str().as_bytes()));
    connection.execute("ATTACH ?1 AS held", [path])?;
    Ok(())
}

fn check(connection: &Connection, path: &Path, known: i64) -> Result<i64, StoreError> {
    let foreign = |detail: &str| StoreError::NotADatabase { path: path.to_owned(), detail: detail.to_owned() };
    let header = |name: &str| -> Result<i64, StoreError> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => foreign("the file is not SQLite, or is encrypted"),
            _ => error.into(),
        })
    };
    let found = header("user_version")?;
    let application = header("application_id")?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    match (application, found) {
        (APPLICATION_ID, found) if found > known => {
            Err(StoreError::NewerVersion { path: path.to_owned(), found, known })
        }
        (APPLICATION_ID, found) if found >= 1 => Ok(found),
        (0, 0) if tables == 0 => Ok(0),
        _ => Err(foreign("it is another program's SQLite file")),
    }
}

/// Copies the file as it is to `central.db.v<version>.bak` beside it, replacing an earlier try.
fn back_up(connection: &Connection, path: &Path, version: i64) -> Result<(), StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".v{version}.bak"));
    let backup = PathBuf::from(name);
    let failed = |source| StoreError::Backup { path: backup.clone(), source };
    if let Err(source) = std::fs::remove_file(&backup)
        && source.kind() != std::io::ErrorKind::NotFound
    {
        return Err(StoreError::Directory { path: backup, source });
    }
    connection.execute("VACUUM INTO ?1", [backup.to_string_lossy()]).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests;
