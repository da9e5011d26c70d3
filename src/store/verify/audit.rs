//! Whether the audit is as it was written: each entry chained to the one before it, none missing, also not at the end.

use rusqlite::{Connection, OptionalExtension, Row};

use super::{Finding, Report};
use crate::domain::audit::{AuditHash, Entry};
use crate::store::error::StoreError;

/// Adds what is wrong to the report.
pub(super) fn check(connection: &Connection, report: &mut Report) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT id, at_ms, kind, who, entry, hash FROM audit ORDER BY id")?;
    let mut rows = statement.query(())?;
    let (mut last, mut before) = (0, AuditHash::default());
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let mut wrong = |id, why: &str| report.add(Finding::Audit { id, why: why.to_owned() });
        if id != last + 1 {
            wrong(last + 1, "is missing");
        }
        match read(row) {
            Ok((entry, text, hash)) => {
                if id == last + 1 && Entry::chained(&before, &text) != hash {
                    wrong(id, "or one before it was changed: its chain hash is wrong");
                }
                if !entry.is_some_and(|entry| tells_apart(row, &entry).unwrap_or(false)) {
                    wrong(id, "is not what its columns say");
                }
                before = hash;
            }
            Err(error) => wrong(id, &format!("cannot be read: {error}")),
        }
        report.audited += 1;
        last = id;
    }
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'audit'";
    let written: i64 = connection.query_row(sql, (), |row| row.get(0)).optional()?.unwrap_or(0);
    if written != last {
        report.add(Finding::Audit { id: written.max(last), why: format!("should be the last, and {last} is") });
    }
    Ok(())
}

fn read(row: &Row<'_>) -> Result<(Option<Entry>, String, AuditHash), rusqlite::Error> {
    let text: String = row.get(4)?;
    Ok((serde_json::from_str(&text).ok(), text, row.get(5)?))
}

/// The columns that are told apart say what the entry says.
fn tells_apart(row: &Row<'_>, entry: &Entry) -> Result<bool, rusqlite::Error> {
    let (at_ms, kind, who): (i64, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(at_ms == entry.at_ms && kind == entry.kind.name() && who == entry.who)
}
