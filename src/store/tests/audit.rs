//! The audit only grows, is read in pages, and a check finds what was changed in it.

use super::*;
use crate::domain::audit::{Act, AuditEntry, By, Kind};
use crate::store::reader::AuditQuery;
use crate::store::verify::{Fault, verify};

fn entry(at_ms: i64, kind: Kind, who: &str) -> AuditEntry {
    let value = |text: &str| serde_json::json!({ "name": text });
    Act::new(kind, By::new(who, "10.0.0.1"), "x").done(at_ms, value("a"), value("b"))
}

/// Twelve entries by three people, of two kinds, two each ms.
fn audited() -> Disk {
    let mut disk = Disk::new();
    disk.write(|writer| {
        for number in 0..12_i64 {
            let kind = if number % 2 == 0 { Kind::Settings } else { Kind::Login };
            writer.put_audit(&entry(number / 2, kind, ["an", "binh", "chi"][(number % 3) as usize])).unwrap();
        }
    });
    disk
}

#[test]
fn nothing_written_there_is_ever_changed_or_removed() {
    let mut disk = audited();
    for sql in [
        "UPDATE audit SET who = 'nobody' WHERE id = 3",
        "DELETE FROM audit WHERE id = 12",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT 3, at_ms, kind, who, entry, hash FROM audit WHERE id = 4",
        "UPDATE OR REPLACE audit SET id = 3 WHERE id = 4",
    ] {
        let error = disk.writer().connection().execute(sql, ()).unwrap_err();
        assert!(error.to_string().contains("the audit"), "{sql}: {error}");
    }
    disk.reopen();
    assert_eq!(disk.sql("SELECT count(*) FROM audit"), ["12"]);
    disk.write(|writer| writer.clear_projection().unwrap());
    assert_eq!(disk.sql("SELECT count(*) FROM audit"), ["12"], "a rebuild leaves it alone");
    // And a transaction that is given up leaves no hole.
    disk.writer().begin().unwrap();
    disk.writer().put_audit(&entry(1, Kind::Settings, "an")).unwrap();
    disk.writer().rollback();
    disk.write(|writer| writer.put_audit(&entry(2, Kind::Settings, "an")).unwrap());
    assert_eq!(disk.sql("SELECT max(id) FROM audit"), ["13"]);
}

#[test]
fn it_is_read_newest_first_by_page_and_filter() {
    let disk = audited();
    let mut reader = disk.reader();
    let mut read = |query: AuditQuery| {
        let (mut ids, mut cursor) = (Vec::new(), None);
        loop {
            let page = reader.audit(&AuditQuery { limit: 2, cursor, ..query.clone() }).unwrap();
            assert!(page.rows.len() <= 2);
            ids.extend(page.rows.iter().map(|row| row.id));
            cursor = page.next;
            if cursor.is_none() {
                return ids;
            }
        }
    };
    let all = AuditQuery::default();
    assert_eq!(read(all.clone()), (1..=12).rev().collect::<Vec<_>>());
    assert_eq!(read(AuditQuery { kind: Some(Kind::Login), ..all.clone() }), [12, 10, 8, 6, 4, 2]);
    assert_eq!(read(AuditQuery { who: Some("binh".into()), ..all.clone() }), [11, 8, 5, 2]);
    assert_eq!(read(AuditQuery { who: Some("binh".into()), kind: Some(Kind::Login), ..all.clone() }), [8, 2]);
    assert_eq!(read(AuditQuery { since_ms: Some(2), before_ms: Some(4), ..all.clone() }), [8, 7, 6, 5]);
    assert_eq!(read(AuditQuery { who: Some("nobody".into()), ..all }), [0; 0]);
}

#[test]
fn a_check_names_the_first_entry_that_is_not_as_it_was_written() {
    let check = |sql: &str| {
        let mut disk = audited();
        let connection = disk.writer().connection();
        connection.execute_batch("DROP TRIGGER audit_never_changes; DROP TRIGGER audit_never_forgets").unwrap();
        connection.execute_batch(sql).unwrap();
        disk.writer = None;
        let report = verify(&DataDir::open(disk.path.path()).unwrap()).unwrap();
        report.findings.first().map(|finding| match finding {
            Fault::Audit { id, .. } => *id,
            other => panic!("{other}"),
        })
    };
    assert_eq!(check(""), None);
    for (sql, expected) in [
        ("UPDATE audit SET entry = replace(entry, '\"an\"', '\"on\"') WHERE id = 4", 4),
        ("UPDATE audit SET who = 'on' WHERE id = 5", 5),
        ("UPDATE audit SET at_ms = 99 WHERE id = 5", 5),
        ("UPDATE audit SET hash = zeroblob(32) WHERE id = 6", 6),
        ("UPDATE audit SET hash = x'00' WHERE id = 6", 6),
        ("UPDATE audit SET entry = CAST(x'ff' AS TEXT) WHERE id = 6", 6),
        ("DELETE FROM audit WHERE id = 7", 7),
        ("DELETE FROM audit WHERE id = 1", 1),
        ("DELETE FROM audit WHERE id > 10", 12),
        ("DELETE FROM audit", 12),
    ] {
        assert_eq!(check(sql), Some(expected), "{sql}");
    }
}
