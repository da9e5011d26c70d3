//! What the rows of the history say.

use serde_json::json;

use crate::common::{Central, DEADLINE, Mesh, eventually, stored, with_status};

#[test]
fn d28_a_row_says_everywhere_where_it_came_from() {
    let mesh = Mesh::start(3);
    // What the first and the third say of each other comes through the second.
    mesh.cut(0, 2);
    for (number, central) in mesh.centrals.iter().enumerate() {
        central.http.enter("edge-1", &format!("29A1234{number}"));
        let refused = central.http.press("edge-2", &format!("29A1234{number}"), "ENTRY");
        refused.refused(409);
    }
    for central in &mesh.centrals {
        eventually("all three are inside everywhere", DEADLINE, || central.http.stats()["vehicles_in_parking"] == 3);
    }
    // In at one gate, out at another.
    mesh.centrals[2].http.leave("edge-9", "29A12340");
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((history.len(), with_status(&history, "IN"), with_status(&history, "OUT")), (3, 2, 1));
    for central in &mesh.centrals {
        for row in central.http.history("limit=10") {
            let expected = if row["source_central"] == central.id.as_str() { "LOCAL" } else { "SYNCED" };
            assert_eq!(row["sync_status"], expected, "at {}: {row}", central.id);
            let camera = format!("{}/edge-1", row["source_central"].as_str().unwrap());
            assert_eq!(row["entry_camera_name"], camera, "at {}: {row}", central.id);
        }
        let stats = central.http.stats();
        assert_eq!(
            (&stats["entries_today"], &stats["exits_today"], &stats["vehicles_in_parking"]),
            (&json!(3), &json!(1), &json!(2))
        );
    }
}

/// A value of `PARKMESH_CLOCK`: a moment, given as Unix ms, from now on.
fn clock_at(unix_ms: i64) -> String {
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!("{unix_ms},{now_ms},1")
}

/// From midnight to seven in Vietnam, "today" was yesterday's date.
#[test]
fn d30_today_is_the_day_of_the_site() {
    /// 2026-03-01 23:00:00 UTC: 06:00 of the next day at the site.
    const SIX_MS: i64 = 1_772_406_000_000;
    const HOUR_MS: i64 = 3_600_000;
    let mut central = Central::new("central-1");
    let figures = |central: &Central| {
        let stats = central.http.stats();
        ["entries_today", "exits_today"].map(|name| stats[name].as_i64().unwrap())
    };
    // 23:30 of the day before, 06:00, and 00:30 of the day after, on a machine whose own zone is UTC.
    for (moment_ms, plate) in [
        (SIX_MS - 6 * HOUR_MS - HOUR_MS / 2, "29A10000"),
        (SIX_MS, "29A20000"),
        (SIX_MS + 18 * HOUR_MS + HOUR_MS / 2, "29A30000"),
    ] {
        central.env("TZ", "UTC").env("PARKMESH_CLOCK", clock_at(moment_ms)).start();
        assert_eq!(figures(&central), [0, 0], "nothing of the day before");
        central.http.enter("edge-1", plate);
        assert_eq!(figures(&central), [1, 0]);
        let today = central.http.history("today_only=true");
        assert_eq!((today.len(), &today[0]["plate_id"]), (1, &json!(plate)));
        central.kill9();
    }
    central.env("PARKMESH_CLOCK", clock_at(SIX_MS + 19 * HOUR_MS)).start();
    let fee = central.http.leave("edge-2", "29A20000");
    assert!(fee > 0);
    assert_eq!((figures(&central)[1], central.http.stats()["revenue_today"].as_i64()), (1, Some(fee)));
}

/// The lookup of a car went through the rows of all cars inside, that of an event id through all rows there were.
#[test]
fn d36_no_lookup_goes_through_the_history() {
    let mut central = Central::new("central-1");
    stored::let_in(&central.data_directory(), "central-1", 0..3_000);
    let database = rusqlite::Connection::open(central.database()).unwrap();
    // With statistics, as after an operator's ANALYZE, and without.
    for analysed in [false, true] {
        if analysed {
            database.execute_batch("ANALYZE").unwrap();
        }
        for (filter, index) in [
            ("event_id = 'central-1_1_29A12345'", "(event_id=?)"),
            ("plate_id = '29A12345'", "(plate_id=?)"),
            ("plate_id = '29A12345' AND status = 'IN'", "(plate_id=?)"),
            ("plate_id = '29A12345' AND status = 'IN' AND exit_time IS NULL", "(plate_id=?)"),
        ] {
            let sql = format!("EXPLAIN QUERY PLAN SELECT * FROM history WHERE {filter}");
            let plan: String = database.query_row(&sql, [], |row| row.get("detail")).unwrap();
            assert!(plan.starts_with("SEARCH history") && plan.ends_with(index), "{filter}: {plan}");
        }
    }
    drop(database);
    central.start();
    assert_eq!(central.http.stats()["vehicles_in_parking"], 3_000);
    central.http.leave("edge-1", &stored::plate(1_234));
}
