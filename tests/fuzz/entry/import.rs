//! A file of the old program: the bytes of one, or else the rows of a database, one per line with tabs between the fields.

use std::fs;
use std::path::{Path, PathBuf};

use parkmesh::domain::ids::{CentralId, Epoch};
use parkmesh::domain::time::SiteZone;
use parkmesh::legacy::import::{ImportError, ImportOutcome, Importer, OldKind, kind_of};
use parkmesh::maintenance::RebuildFor;
use parkmesh::maintenance::verify::verify;
use rusqlite::Connection;
use rusqlite::types::Value;

const NOW_MS: i64 = 1_733_140_800_000;
/// Of the newer revision, as far as they are read.
const COLUMNS: [&str; 18] = [
    "plate_id",
    "plate_view",
    "entry_time",
    "status",
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
];
const MAX_ROWS: usize = 64;

/// Whatever the file holds, it is taken or refused with a reason; the database holds together afterwards, and the same file
/// adds nothing a second time.
pub fn run(input: &[u8]) {
    let fast = Path::new("/dev/shm");
    let directory = if fast.is_dir() { tempfile::tempdir_in(fast) } else { tempfile::tempdir() };
    let directory = directory.expect("a temporary directory");
    let Some(file) = file_of(input, directory.path()) else { return };
    let Ok(kind) = kind_of(&file) else { return };
    let site = RebuildFor { central: CentralId::new("central-1").expect("an id"), zone: SiteZone::default() };
    let data = directory.path().join("data");
    let first = import(&data, &site, &file, &kind, Epoch(1));
    let second = import(&data, &site, &file, &kind, Epoch(2));
    if first.is_ok() {
        let second = second.expect("it could be read before");
        assert_eq!(second.events, 0, "imported twice, written twice");
    }
    let found = verify(&data, &site, NOW_MS, &mut |_, _| {}).expect("a database");
    assert!(found.is_whole(), "{found:?}");
}

fn file_of(input: &[u8], directory: &Path) -> Option<PathBuf> {
    let path = directory.join("old");
    if input.starts_with(b"SQLite format 3") || matches!(input.first(), Some(b'{' | b'[' | 0xEF)) {
        fs::write(&path, input).ok()?;
        return Some(path);
    }
    let text = std::str::from_utf8(input).ok()?;
    let database = Connection::open(&path).expect("a new database");
    database.pragma_update(None, "synchronous", false).expect("a pragma");
    let columns = COLUMNS.join(", ");
    database.execute_batch(&format!("CREATE TABLE history (id INTEGER PRIMARY KEY, {columns})")).expect("a table");
    let blanks = vec!["?"; COLUMNS.len()].join(", ");
    for line in text.lines().take(MAX_ROWS) {
        let mut fields: Vec<Value> = line.split('\t').take(COLUMNS.len()).map(value_of).collect();
        fields.resize(COLUMNS.len(), Value::Null);
        let sql = format!("INSERT INTO history ({columns}) VALUES ({blanks})");
        database.execute(&sql, rusqlite::params_from_iter(fields)).expect("a row");
    }
    Some(path)
}

/// A number where it looks like one, as the old program's driver did.
fn value_of(text: &str) -> Value {
    match (text.parse(), text.parse()) {
        _ if text.is_empty() => Value::Null,
        (Ok(number), _) => Value::Integer(number),
        (_, Ok(number)) => Value::Real(number),
        _ => Value::Text(text.to_owned()),
    }
}

fn import(
    data: &Path,
    site: &RebuildFor,
    file: &Path,
    kind: &OldKind,
    epoch: Epoch,
) -> Result<ImportOutcome, ImportError> {
    let mut importer = Importer::open(data, site, NOW_MS, epoch)?;
    let mut refused = |_: &str, why: &str| assert!(!why.is_empty(), "a refusal says why");
    let outcome = match kind {
        OldKind::Database => importer.database(file, None, &mut refused, &mut |_| {}, &mut |_, _| {}),
        OldKind::Tariff(fees) => importer.tariff(fees, &mut refused, &mut |_| {}),
        OldKind::Subscriptions(list) => importer.subscriptions(list, &mut refused),
        OldKind::Config(_) => Ok(ImportOutcome::default()),
    };
    importer.close()?;
    outcome
}
