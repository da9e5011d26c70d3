use super::*;

fn version(connection: &Connection) -> i64 {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[test]
fn a_row_number_is_read_back_as_log_and_seq() {
    for (log_no, seq) in [(1, 0), (1, 1), (7, MAX_SEQ), (MAX_LOG_NO, MAX_SEQ)] {
        let row = event_row(log_no, seq).unwrap();
        assert!(row > 0);
        assert_eq!(event_place(row), (log_no, seq));
    }
    assert_eq!(event_row(0, 1), None);
    assert_eq!(event_row(MAX_LOG_NO + 1, 1), None);
    assert_eq!(event_row(1, MAX_SEQ + 1), None);
}

#[test]
fn migrating_twice_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("central.db");
    let mut connection = Connection::open(&path).unwrap();
    migrate(&mut connection, &path).unwrap();
    let rules = |connection: &Connection| {
        connection.query_row("SELECT rules FROM ledger", (), |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!(rules(&connection), RULES_VERSION, "what a new file will hold is made by today's rules");
    connection.execute_batch("INSERT INTO quarantine VALUES(1, 'kept'); UPDATE ledger SET rules = 1").unwrap();
    migrate(&mut connection, &path).unwrap();
    assert_eq!(rules(&connection), 1, "what an older file holds is not");
    assert_eq!(version(&connection), current_version());
    let kept: i64 = connection.query_row("SELECT count(*) FROM quarantine", (), |row| row.get(0)).unwrap();
    assert_eq!(kept, 1);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no backup of a file at today's version");
}

#[test]
fn an_older_file_is_copied_aside_before_it_is_migrated() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("central.db");
    let mut connection = Connection::open(&path).unwrap();
    migrate_with(&mut connection, &path, &[V1]).unwrap();
    let with_next = [V1, "ALTER TABLE quarantine ADD COLUMN note TEXT"];
    migrate_with(&mut connection, &path, &with_next).unwrap();
    assert_eq!(version(&connection), 2);
    let backup = Connection::open(directory.path().join("central.db.v1.bak")).unwrap();
    assert_eq!(version(&backup), 1);
}

#[test]
fn sums_of_days_become_sums_of_quarters_of_an_hour_and_none_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("central.db");
    let mut connection = Connection::open(&path).unwrap();
    migrate_with(&mut connection, &path, &[V1, V2, V3]).unwrap();
    let stay = |id: i64, status: &str, entry_ms: i64, exit: &str, collected: i64| {
        format!(
            "INSERT INTO history(id, plate_id, plate_view, entry_time, exit_ms, exit_central, exit_edge, exit_event, status, \
             created_at, updated_at, event_id, source_central, edge_id, camera_type, entry_ms, entry_manual, collected, \
             entry_event, last_hlc, plate_hlc, committed_ms) \
             VALUES({id}, 'P', 'P', '', {exit}, '{status}', '', '', 's{id}', 'c', 'in', '', {entry_ms}, 0, {collected}, \
             {id}, 0, 0, 0);"
        )
    };
    let quarter = 900_000;
    connection
        .execute_batch(
            &[
                stay(1, "IN", quarter, "NULL, NULL, NULL, NULL", 0),
                // Paid twice.
                stay(2, "OUT", 2 * quarter - 1, &format!("{}, 'c', 'out', 9", 3 * quarter), 50_000),
                stay(3, "SUPERSEDED", quarter, "NULL, NULL, NULL, NULL", 0),
                // An exit alone: its entry event is its exit event.
                stay(4, "OUT", 3 * quarter, &format!("{}, 'c', 'out', 4", 3 * quarter), 7_000),
                stay(5, "VOID", quarter, "NULL, NULL, NULL, NULL", 0),
                "INSERT INTO day_total VALUES('1970-01-01', 'c', 'in', 2, 0, 0), ('1970-01-01', 'c', 'out', 0, 3, 57000)".into(),
            ]
            .concat(),
        )
        .unwrap();
    migrate_with(&mut connection, &path, &[V1, V2, V3, V4]).unwrap();
    let mut statement = connection.prepare("SELECT * FROM quarter_total ORDER BY 1, 3").unwrap();
    let sums = statement
        .query_map((), |row| Ok((row.get(0)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))
        .unwrap()
        .collect::<Result<Vec<(i64, String, i64, i64, i64)>, _>>()
        .unwrap();
    assert_eq!(sums, [(0, "out".into(), 0, 1, 0), (1, "in".into(), 2, 0, 0), (3, "out".into(), 0, 2, 57_000)]);
}

#[test]
fn what_waited_to_be_folded_waits_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("central.db");
    let mut connection = Connection::open(&path).unwrap();
    migrate_with(&mut connection, &path, &[V1, V2, V3, V4, V5, V6, V7, V8, V9]).unwrap();
    connection
        .execute_batch(
            r#"INSERT INTO event VALUES(1, '{"type":"VEHICLE_ENTRY_PENDING"}', x'', 5), (2, '{"type":"VEHICLE_EXIT"}', x'', 5),
                 (3, 'no event', x'', 5);
               INSERT INTO dirty VALUES(1, '29A1', 70), (2, '29A2', 60);
               INSERT INTO dirty_fact VALUES('29A1', 10, 1, NULL), ('29A1', 20, 2, '29A2'), ('29A2', 20, 2, '29A1'),
                 ('29A2', 30, 3, NULL);"#,
        )
        .unwrap();
    migrate_with(&mut connection, &path, MIGRATIONS).unwrap();
    let mut statement = connection.prepare("SELECT * FROM waiting ORDER BY event").unwrap();
    type Row = (i64, i64, Option<String>, bool, i64);
    let rows = statement
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?, row.get(5)?)))
        .unwrap()
        .collect::<Result<Vec<Row>, _>>()
        .unwrap();
    assert_eq!(rows, [(1, 10, None, true, 70), (2, 20, Some("29A2".into()), false, 70), (3, 30, None, false, 60)]);
}

#[test]
fn a_failing_migration_leaves_the_file_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("central.db");
    let mut connection = Connection::open(&path).unwrap();
    migrate_with(&mut connection, &path, &[V1]).unwrap();
    let broken = [V1, "CREATE TABLE half(a); CREATE TABLE half(a);"];
    assert!(migrate_with(&mut connection, &path, &broken).is_err());
    assert_eq!(version(&connection), 1);
    assert!(connection.prepare("SELECT * FROM half").is_err());
}

#[test]
fn a_newer_file_is_refused_and_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("central.db");
    let mut connection = Connection::open(&path).unwrap();
    migrate(&mut connection, &path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = migrate(&mut connection, &path).unwrap_err();
    assert!(matches!(error, StoreError::NewerVersion { found: 99, .. }), "{error}");
    assert_eq!(version(&connection), 99);
}

#[test]
fn foreign_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("other.db");
    let mut connection = Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE theirs(a)").unwrap();
    assert!(matches!(migrate(&mut connection, &other), Err(StoreError::NotADatabase { .. })));

    let text = directory.path().join("text.db");
    std::fs::write(&text, "This is a text file, and long enough to be taken for one. ".repeat(100)).unwrap();
    let mut connection = Connection::open(&text).unwrap();
    assert!(matches!(migrate(&mut connection, &text), Err(StoreError::NotADatabase { .. })));
}
