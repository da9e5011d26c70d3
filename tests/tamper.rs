//! Changed by hand: what `parkmesh verify` says of a database in which anything was changed, and what a mesh says of a central
//! whose log is not the one the others hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::path::Path;
use std::sync::LazyLock;

use common::{Central, DEADLINE, Mesh, eventually};
use parkmesh::domain::ids::{CentralId, LogId};
use parkmesh::domain::time::SiteZone;
use parkmesh::maintenance::RebuildFor;
use parkmesh::maintenance::verify::{Verified, verify};
use parkmesh::replication::log::ChainHash;
use parkmesh::store::verify::Fault;
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::json;

const SEQ_BITS: u32 = 40;

/// The database of a central that stopped: two logs of its own, cars inside and gone, a removed and a corrected stay.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut central = Central::standalone("central-1");
    central.http.put("/api/parking/fees", &json!({"fees": {"fee_base": 0, "fee_per_hour": 30000}})).ok();
    for number in 0..12 {
        central.http.enter("edge-1", &format!("29A123{number:02}"));
    }
    central.terminate();
    central.start();
    for number in 0..6 {
        central.http.leave("edge-2", &format!("29A123{number:02}"));
    }
    let pressed = json!({"edge_id": "edge-1", "plate_id": "30F55555", "direction": "ENTRY", "request_id": "r-1"});
    central.http.open(&pressed).ok();
    let stays: Vec<String> = (0..2)
        .map(|number| central.http.rows_of(&format!("29A1231{number}"))[0]["event_id"].as_str().unwrap().to_owned())
        .collect();
    central.http.void(&stays[0], &json!({"reason": "wrong car"})).ok();
    central.http.correct(&stays[1], &json!({"plate_id": "51G99999", "reason": "misread"})).ok();
    central.terminate();
    std::fs::read(central.database()).unwrap()
});

/// A copy to be broken.
fn copy() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("central.db"), &*WHOLE).unwrap();
    directory
}

fn open(directory: &Path) -> Connection {
    Connection::open(directory.join("central.db")).unwrap()
}

fn verified(directory: &Path) -> Verified {
    let site = RebuildFor { central: CentralId::new("central-1").unwrap(), zone: SiteZone::default() };
    verify(directory, &site, now_ms(), &mut |_, _| {}).unwrap()
}

fn now_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// The rows of the events with their logs.
fn events(database: &Connection) -> Vec<(i64, LogId)> {
    let sql =
        format!("SELECT event.id, log.name FROM event JOIN log ON log.no = event.id >> {SEQ_BITS} ORDER BY event.id");
    let mut statement = database.prepare(&sql).unwrap();
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?.parse().unwrap()));
    statement.query_map((), read).unwrap().map(Result::unwrap).collect()
}

fn seq(row: i64) -> u64 {
    (row & ((1 << SEQ_BITS) - 1)).cast_unsigned()
}

/// The log and number a finding is about.
fn place(finding: &Fault) -> Option<(&LogId, u64)> {
    match finding {
        Fault::Chain { log, seq } | Fault::Event { log, seq, .. } | Fault::Hole { log, seq } => Some((log, *seq)),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// One byte of one event, or of its hash, is another one.
    #[test]
    fn a_changed_byte_of_an_event_or_of_its_hash_is_named(row: prop::sample::Index, byte: prop::sample::Index, bits in 1_u8.., of_hash: bool) {
        let directory = copy();
        let database = open(directory.path());
        let events = events(&database);
        let (row, log) = row.get(&events);
        let (column, kind) = if of_hash { ("hash", "BLOB") } else { ("bytes", "TEXT") };
        let sql = format!("SELECT CAST({column} AS BLOB) FROM event WHERE id = ?1");
        let mut bytes: Vec<u8> = database.query_row(&sql, [row], |row| row.get(0)).unwrap();
        let at = byte.index(bytes.len());
        bytes[at] ^= bits;
        let sql = format!("UPDATE event SET {column} = CAST(?1 AS {kind}) WHERE id = ?2");
        database.execute(&sql, (bytes, row)).unwrap();
        drop(database);
        let found = verified(directory.path());
        prop_assert!(!found.is_whole());
        prop_assert_eq!(found.report.findings.first().and_then(place), Some((log, seq(*row))), "{:?}", found.report);
    }
}

#[test]
fn what_nobody_touched_is_whole() {
    let found = verified(copy().path());
    assert!(found.is_whole(), "{found:?}");
    assert_eq!(found.report.logs, 2);
}

#[test]
fn whatever_else_is_changed_is_noticed() {
    let one_row = |set: &str| {
        format!("UPDATE history SET {set} WHERE event_id = (SELECT min(event_id) FROM history WHERE status = 'OUT')")
    };
    let changes = [
        // The logs.
        "UPDATE log SET head = head - 1 WHERE no = 1".to_owned(),
        "UPDATE log SET hash = randomblob(32) WHERE no = 2".to_owned(),
        "UPDATE log SET hash = x'00' WHERE no = 1".to_owned(),
        "UPDATE log SET name = 'nobody' WHERE no = 1".to_owned(),
        "UPDATE log SET name = replace(name, 'central-1', 'central-7') WHERE no = 1".to_owned(),
        "DELETE FROM event WHERE id = (SELECT max(id) FROM event)".to_owned(),
        "DELETE FROM event WHERE id = (SELECT min(id) FROM event)".to_owned(),
        "UPDATE event SET id = id + 1000 WHERE id = (SELECT max(id) FROM event)".to_owned(),
        // The history.
        one_row("plate_id = '30E30303'"),
        one_row("plate_view = 'x'"),
        one_row("fee = fee + 1"),
        one_row("fee = 5000, collected = 5000"),
        one_row("collected = collected + 1"),
        one_row("status = 'IN', exit_event = NULL, exit_ms = NULL"),
        one_row("status = 'NOWHERE'"),
        one_row("entry_ms = entry_ms - 60000"),
        one_row("exit_ms = exit_ms + 60000"),
        one_row("exit_edge = 'edge-9'"),
        one_row("entry_manual = 1"),
        one_row("anomalies = 'manual_opening'"),
        one_row("superseded_by = 'x'"),
        one_row("event_id = event_id || 'x'"),
        one_row("entry_event = entry_event + 1"),
        "DELETE FROM history WHERE status = 'OUT' AND id = (SELECT min(id) FROM history WHERE status = 'OUT')"
            .to_owned(),
        // What is summed and set.
        "UPDATE quarter_total SET revenue = revenue + 1000".to_owned(),
        // Nothing of it is more or less: it is somebody else's, of another way, another hour.
        "UPDATE quarter_total SET taken_by = 'lan' WHERE exits > 0".to_owned(),
        "UPDATE quarter_total SET quarter = quarter + 1".to_owned(),
        "UPDATE taking SET taken_by = 'lan'".to_owned(),
        "UPDATE taking SET method = 'transfer'".to_owned(),
        "UPDATE taking SET exit_ms = exit_ms + 60000".to_owned(),
        "UPDATE taking SET told_there = told_there + 1000".to_owned(),
        "UPDATE taking SET excess = 5000".to_owned(),
        "UPDATE setting SET value = replace(value, '30000', '10000')".to_owned(),
        "UPDATE ledger SET digest = randomblob(32)".to_owned(),
        "UPDATE ledger SET events = events + 1".to_owned(),
        "UPDATE plate SET plate_id = '29Z99999' WHERE no = 1".to_owned(),
        "DELETE FROM request".to_owned(),
    ];
    for sql in changes {
        let directory = copy();
        let changed = open(directory.path()).execute(&sql, ()).unwrap();
        assert!(changed > 0, "{sql}");
        assert!(!verified(directory.path()).is_whole(), "{sql}");
    }
}

#[test]
fn a_changed_row_of_the_history_is_named() {
    let directory = copy();
    let database = open(directory.path());
    let stay: String = database.query_row("SELECT max(event_id) FROM history", (), |row| row.get(0)).unwrap();
    database.execute("UPDATE history SET camera_type = 'moto' WHERE event_id = ?1", [&stay]).unwrap();
    drop(database);
    assert_eq!(verified(directory.path()).report.findings, [Fault::OtherRow { stay_id: stay }]);
}

/// Changes a plate in the oldest event of a log that has one, and makes the chain fit again if `well`.
fn forge(database: &Path, log: &LogId, well: bool) -> u64 {
    let database = Connection::open(database).unwrap();
    let number: i64 =
        database.query_row("SELECT no FROM log WHERE name = ?1", [log.to_string()], |row| row.get(0)).unwrap();
    let range = format!("id >> {SEQ_BITS} = {number}");
    let sql = format!(
        "UPDATE event SET bytes = replace(bytes, '29A', '30A') WHERE id = (SELECT min(id) FROM event WHERE {range} AND bytes LIKE '%29A%')"
    );
    assert_eq!(database.execute(&sql, ()).unwrap(), 1);
    let mut hash = ChainHash::genesis(log);
    let mut first = None;
    let mut statement = database.prepare(&format!("SELECT id, bytes FROM event WHERE {range} ORDER BY id")).unwrap();
    let rows: Vec<(i64, String)> =
        statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    for (row, bytes) in rows {
        hash = hash.extend(&bytes);
        if bytes.contains("30A") {
            first.get_or_insert(seq(row));
        }
        if well {
            database.execute("UPDATE event SET hash = ?1 WHERE id = ?2", (hash.0.as_slice(), row)).unwrap();
        }
    }
    if well {
        database.execute("UPDATE log SET hash = ?1 WHERE no = ?2", (hash.0.as_slice(), number)).unwrap();
    }
    first.expect("an event with a plate")
}

fn log_of(central: &Central, author: &str) -> LogId {
    let database = Connection::open(central.database()).unwrap();
    let sql = "SELECT name FROM log WHERE name LIKE ?1 AND head > 0 ORDER BY no LIMIT 1";
    let name: String = database.query_row(sql, [format!("{author}%")], |row| row.get(0)).unwrap();
    name.parse().unwrap()
}

/// A mesh of three in which each wrote something; the last is stopped.
fn mesh_of_three() -> Mesh {
    let mut mesh = Mesh::start(3);
    for index in 0..3 {
        mesh.centrals[index].http.enter("edge-1", &format!("29A1111{index}"));
        mesh.centrals[index].http.enter("edge-1", &format!("29A2222{index}"));
    }
    mesh.wait_equal(DEADLINE);
    mesh.centrals[2].terminate();
    mesh
}

#[test]
fn a_mesh_reports_a_central_that_rewrote_its_own_log() {
    reports_a_forged_log("central-3");
}

#[test]
fn a_mesh_reports_a_central_that_rewrote_the_log_of_another() {
    reports_a_forged_log("central-1");
}

fn reports_a_forged_log(author: &str) {
    let mut mesh = mesh_of_three();
    let log = log_of(&mesh.centrals[2], author);
    forge(&mesh.centrals[2].database(), &log, true);
    mesh.centrals[2].start();
    for honest in [0, 1] {
        let said = format!("of {log}");
        eventually(&format!("central-{} says who holds another event", honest + 1), DEADLINE, || {
            mesh.centrals[honest].log().lines().any(|line| {
                line.contains("alarm=log_forked")
                    && line.contains("central-3 holds another event")
                    && line.contains(&said)
            })
        });
    }
    // What they hold is what was written, and life goes on.
    for honest in [0, 1] {
        assert_eq!(mesh.centrals[honest].http.rows_of("30A").len(), 0);
    }
    mesh.centrals[0].http.enter("edge-1", "51G00001");
    eventually("a new event arrives everywhere", DEADLINE, || {
        (0..3).all(|index| !mesh.centrals[index].http.rows_of("51G00001").is_empty())
    });
}

#[test]
fn what_was_changed_without_its_hash_is_taken_by_nobody() {
    let mut mesh = mesh_of_three();
    let log = log_of(&mesh.centrals[2], "central-1");
    let changed = forge(&mesh.centrals[2].database(), &log, false);
    let site = RebuildFor { central: CentralId::new("central-3").unwrap(), zone: SiteZone::default() };
    let found = verify(&mesh.centrals[2].data_directory(), &site, now_ms(), &mut |_, _| {}).unwrap();
    assert_eq!(found.report.findings, [Fault::Chain { log: log.clone(), seq: changed }]);
    // The only one a newcomer can ask.
    mesh.centrals[0].terminate();
    mesh.centrals[1].terminate();
    std::fs::remove_dir_all(mesh.centrals[1].data_directory()).unwrap();
    mesh.centrals[2].start();
    mesh.centrals[1].start();
    eventually("the newcomer says that the run is broken", DEADLINE, || {
        mesh.centrals[1].log().lines().any(|line| line.contains("alarm=broken_run") && line.contains("central-3"))
    });
    assert_eq!(mesh.centrals[1].http.rows_of("30A").len(), 0);
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).ok();
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap).filter(|file| file.path().is_file()) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_copy_of_a_directory_that_ran_in_its_place_is_told_of_at_both_ends() {
    let mut mesh = Mesh::start(2);
    let [watching, original] = &mut mesh.centrals[..] else { unreachable!("two") };
    original.terminate();
    // The copy has the place and address of the original.
    let (data, aside) = (original.data_directory(), original.directory().join("aside"));
    copy_directory(&data, &aside);
    original.start();
    let linked = |central: &Central| central.http.p2p_status()["peers"][0]["connected"] == true;
    let named = |central: &Central| central.log().matches("alarm=older_start").count();
    eventually("the copy is linked", DEADLINE, || linked(watching));
    original.http.enter("edge-1", "29A12345");
    // Who watches restarts, too: it remembers.
    watching.terminate();
    watching.start();
    eventually("the copy is linked again", DEADLINE, || linked(watching));
    eventually("it has answered", DEADLINE, || watching.http.p2p_status()["peers"][0]["round_trip_ms"].is_number());
    assert_eq!((named(watching), named(original)), (0, 0), "nothing tells a copy from a restart");
    // The copy's directory goes, and with it what nobody else holds yet.
    eventually("its car is known to who watches", DEADLINE, || watching.http.rows_of("29A12345").len() == 1);

    original.terminate();
    copy_directory(&aside, &data);
    original.start();
    eventually("both ends are told", DEADLINE, || (named(watching), named(original)) == (1, 1));
    eventually("it is linked: which of the two is the right one a person says", DEADLINE, || linked(watching));
    let said = original.log();
    assert!(said.contains("central-1 says: central-2 goes on from start 2 of its database, though start 2"), "{said}");
    original.http.enter("edge-1", "30E99999");
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 2, "nothing is lost");
}
