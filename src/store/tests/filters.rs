//! Filters of the history that are looked for along an index, what a page of them may cost, and SQLite's own word for it.

use std::collections::BTreeSet;

use super::*;
use crate::domain::anomaly::Anomaly;
use crate::store::reader::{Gate, HistoryCursor, HistoryQuery, MAX_MISSES, WithAnomaly, statements};

/// Rows in the order they were written: entry second, edge, anomalies, whether it left at central-2/edge-8.
fn write(disk: &mut Disk, rows: impl Iterator<Item = (i64, &'static str, &'static [Anomaly], bool)>) {
    disk.write(|writer| {
        for (second, edge, anomalies, out) in rows {
            let mut row = car(&format!("29A{:05}", second % 100_000), second * 1_000);
            row.edge_id = edge.into();
            row.anomalies = anomalies.iter().copied().collect();
            let row = if out { left(row, second * 1_000 + 500) } else { row };
            writer.insert_stay(&row, true, 1).unwrap();
        }
    });
}

/// The entry seconds of all pages of `limit` rows, and how many pages there were.
fn walk(disk: &Disk, query: &HistoryQuery, limit: i64) -> (Vec<i64>, usize) {
    let (mut seconds, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = disk.reader().history(&HistoryQuery { limit, cursor, ..query.clone() }).unwrap();
        assert!(page.rows.len() <= usize::try_from(limit).unwrap());
        seconds.extend(page.rows.iter().map(|row| row.entry_ms / 1_000));
        pages += 1;
        match page.next {
            Some(next) => {
                assert!(cursor.is_none_or(|cursor: HistoryCursor| next < cursor), "a cursor goes on");
                cursor = Some(next);
            }
            None => return (seconds, pages),
        }
    }
}

fn lot() -> Disk {
    let mut disk = Disk::new();
    let both: &[Anomaly] = &[Anomaly::ManualOpening, Anomaly::FeeUncertain];
    write(
        &mut disk,
        (0..60).map(move |n| {
            let anomalies: &[Anomaly] = match n % 10 {
                0 => &[Anomaly::ClockSkew],
                3 => &[Anomaly::ManualOpening],
                7 => both,
                _ => &[],
            };
            (n, if n % 2 == 0 { "edge-1" } else { "edge-2" }, anomalies, n % 3 == 0)
        }),
    );
    disk
}

#[test]
fn every_filter_finds_its_rows_in_order_and_all_of_them_together() {
    let disk = lot();
    let gate = |central: &str, edge_id: Option<&str>| {
        Some(Gate { central: central.into(), edge_id: edge_id.map(str::to_owned) })
    };
    let kind = |anomaly| Some(WithAnomaly::Kind(anomaly));
    type Wanted = fn(i64) -> bool;
    let none = HistoryQuery::default;
    let table: Vec<(HistoryQuery, Wanted)> = vec![
        (HistoryQuery { gate: gate("central-1", Some("edge-1")), ..none() }, |n| n % 2 == 0),
        (HistoryQuery { gate: gate("central-1", None), ..none() }, |_| true),
        (HistoryQuery { gate: gate("central-2", Some("edge-8")), ..none() }, |n| n % 3 == 0),
        (HistoryQuery { gate: gate("central-2", Some("edge-1")), ..none() }, |_| false),
        (HistoryQuery { anomaly: Some(WithAnomaly::Any), ..none() }, |n| matches!(n % 10, 0 | 3 | 7)),
        (HistoryQuery { anomaly: kind(Anomaly::ManualOpening), ..none() }, |n| matches!(n % 10, 3 | 7)),
        (HistoryQuery { anomaly: kind(Anomaly::FeeUncertain), ..none() }, |n| n % 10 == 7),
        (HistoryQuery { anomaly: kind(Anomaly::DoubleExit), ..none() }, |_| false),
        (HistoryQuery { entered_since_ms: Some(10_000), entered_before_ms: Some(20_000), ..none() }, |n| {
            (10..20).contains(&n)
        }),
        (HistoryQuery { status: Some(StayStatus::Out), ..none() }, |n| n % 3 == 0),
        (HistoryQuery { exited_since_ms: Some(9_500), exited_before_ms: Some(18_500), ..none() }, |n| {
            n % 3 == 0 && (9..18).contains(&n)
        }),
        (HistoryQuery { exited_before_ms: Some(9_501), ..none() }, |n| n % 3 == 0 && n < 10),
        (HistoryQuery { exited_since_ms: Some(0), in_parking_only: true, ..none() }, |_| false),
        (HistoryQuery { exited_since_ms: Some(30_000), anomaly: Some(WithAnomaly::Any), ..none() }, |n| {
            n % 3 == 0 && n >= 30 && matches!(n % 10, 0 | 3 | 7)
        }),
        (
            HistoryQuery {
                anomaly: Some(WithAnomaly::Any),
                gate: gate("central-1", Some("edge-2")),
                status: Some(StayStatus::In),
                entered_since_ms: Some(5_000),
                ..none()
            },
            |n| matches!(n % 10, 3 | 7) && n % 3 != 0 && n >= 5,
        ),
        (
            HistoryQuery {
                search: "A0001".into(),
                gate: gate("central-1", Some("edge-2")),
                entered_before_ms: Some(18_000),
                ..none()
            },
            |n| (10..18).contains(&n) && n % 2 == 1,
        ),
        (
            HistoryQuery { in_parking_only: true, search: "29A".into(), anomaly: kind(Anomaly::ClockSkew), ..none() },
            |n| n % 10 == 0 && n % 3 != 0,
        ),
    ];
    for (query, wanted) in table {
        let expected: Vec<i64> = (0..60).rev().filter(|n| wanted(*n)).collect();
        for limit in [1, 4, 100] {
            assert_eq!(walk(&disk, &query, limit).0, expected, "{query:?} by {limit}");
        }
        let skipped = disk.reader().history(&HistoryQuery { offset: 2, ..query.clone() }).unwrap();
        let skipped: Vec<i64> = skipped.rows.iter().map(|row| row.entry_ms / 1_000).collect();
        assert_eq!(skipped, expected.get(2..).unwrap_or_default(), "{query:?}");
    }
}

#[test]
fn a_stay_is_found_by_its_exit_however_long_it_was() {
    const DAY_S: i64 = 86_400;
    let mut disk = Disk::new();
    // One comes in each day; the days it stays differ.
    let stays: Vec<(i64, i64)> =
        (0..14).map(|day| (day * DAY_S, [0, 2, 3, 4, 9, 30, -2][usize::try_from(day % 7).unwrap()])).collect();
    disk.write(|writer| {
        for (number, (entry_s, days)) in stays.iter().enumerate() {
            let row = left(car(&format!("29A{number:05}"), entry_s * 1_000), (entry_s + days * DAY_S) * 1_000 + 1);
            writer.insert_stay(&row, true, 1).unwrap();
        }
    });
    for day in 0..42 {
        let exited = day * DAY_S..(day + 1) * DAY_S;
        let query = HistoryQuery {
            exited_since_ms: Some(exited.start * 1_000),
            exited_before_ms: Some(exited.end * 1_000),
            ..HistoryQuery::default()
        };
        let leaves = |(entry_s, days): &&(i64, i64)| exited.contains(&(entry_s + days * DAY_S));
        let wanted: Vec<i64> = stays.iter().rev().filter(leaves).map(|(entry_s, _)| *entry_s).collect();
        for limit in [1, 100] {
            assert_eq!(walk(&disk, &query, limit).0, wanted, "day {day} by {limit}");
        }
    }
}

#[test]
fn who_asks_for_an_old_day_by_exit_does_not_wait_for_what_came_in_since() {
    let newer = i64::try_from(MAX_MISSES).unwrap() + 1_000;
    let mut disk = Disk::new();
    // One that ended before it began is among the newest.
    disk.write(|writer| {
        for n in 0..newer {
            let exit_ms = if n == newer - 5 { 5 } else { n * 1_000 + 10 };
            writer.insert_stay(&left(car(&format!("29A{n:05}"), n * 1_000), exit_ms), true, 1).unwrap();
        }
    });
    for anomaly in [None, Some(WithAnomaly::Any)] {
        let query = HistoryQuery {
            exited_since_ms: Some(0),
            exited_before_ms: Some(2_000),
            anomaly,
            ..HistoryQuery::default()
        };
        let page = disk.reader().history(&query).unwrap();
        let found: Vec<i64> = page.rows.iter().map(|row| row.entry_ms / 1_000).collect();
        assert_eq!(found, if anomaly.is_none() { vec![newer - 5, 1, 0] } else { vec![] });
        assert_eq!(page.next, None);
    }
}

#[test]
fn a_page_of_rare_rows_ends_short_and_its_cursor_goes_on() {
    let rows = i64::try_from(MAX_MISSES).unwrap() + 5_000;
    let mut disk = Disk::new();
    // The two rows asked for are the oldest.
    write(&mut disk, (0..rows).map(|n| (n, if n < 2 { "edge-9" } else { "edge-1" }, &[][..], false)));
    let rare = Some(Gate { central: "central-1".into(), edge_id: Some("edge-9".into()) });
    let query = HistoryQuery { gate: rare, ..HistoryQuery::default() };
    let first = disk.reader().history(&query).unwrap();
    assert!(first.rows.is_empty());
    assert_eq!(first.next.unwrap().entry_ms, 5_000 * 1_000);
    assert_eq!(walk(&disk, &query, 100), (vec![1, 0], 2));
    let nowhere = Some(Gate { central: "nobody".into(), edge_id: None });
    assert_eq!(walk(&disk, &HistoryQuery { gate: nowhere, ..HistoryQuery::default() }, 100), (vec![], 2));
}

#[test]
fn a_search_that_meets_many_rows_walks_instead_and_finds_the_same() {
    let mut disk = Disk::new();
    let rows = i64::try_from(MAX_MISSES).unwrap() + 1_000;
    disk.write(|writer| {
        for n in 0..rows {
            writer.insert_stay(&car(if n % 100 == 0 { "30E99999" } else { "29A12345" }, n * 1_000), true, 1).unwrap();
        }
    });
    let search = |text: &str| walk(&disk, &HistoryQuery { search: text.into(), ..HistoryQuery::default() }, 500).0;
    assert_eq!(search("30e-999"), (0..rows).rev().filter(|n| n % 100 == 0).collect::<Vec<_>>());
    assert_eq!(search("A123").len(), usize::try_from(rows - rows / 100).unwrap());
}

/// SQLite's plan, one step a line.
fn plan(disk: &Disk, sql: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(disk.path.path().join("central.db")).unwrap();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let (mut rows, mut steps) = (statement.raw_query(), Vec::new());
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get(3).unwrap());
    }
    steps
}

#[test]
fn no_page_scans_or_sorts() {
    let disk = lot();
    let expected: BTreeSet<(&str, &str)> = [
        ("all", "SEARCH history USING INDEX history_entry"),
        ("skip", "SEARCH history USING COVERING INDEX history_entry"),
        ("status", "SEARCH history USING INDEX history_not_out"),
        ("anomalies", "SEARCH history USING INDEX history_anomaly"),
        ("next anomalies", "SEARCH history USING COVERING INDEX history_anomaly"),
        ("plate", "SEARCH history USING INDEX history_plate"),
        ("quarantined", "SEARCH quarantine USING INTEGER PRIMARY KEY"),
        ("waiting", "SEARCH loose_fact USING INDEX loose_fact_waiting"),
        ("audit", "SEARCH audit USING INDEX audit_at"),
        ("audit of a kind", "SEARCH audit USING INDEX audit_kind"),
        ("audit of somebody", "SEARCH audit USING INDEX audit_who"),
        ("shift", "SEARCH shift USING PRIMARY KEY"),
        ("last shift of a gate", "SEARCH shift USING INDEX shift_gate"),
        ("shifts of a gate", "SEARCH shift USING INDEX shift_gate"),
        ("next shift of a gate", "SEARCH shift USING INDEX shift_gate"),
        ("last shift of a lane", "SEARCH shift USING INDEX shift_lane"),
        ("next shift of a lane", "SEARCH shift USING INDEX shift_lane"),
        ("next gate with shifts", "SEARCH shift USING INDEX shift_gate"),
        ("shifts of a person", "SEARCH shift USING INDEX shift_person"),
        ("open shifts", "SEARCH shift USING INDEX shift_until"),
        ("takings of a shift", "SEARCH taking USING PRIMARY KEY"),
        ("paid beyond in a time", "SEARCH taking USING INDEX taking_excess"),
        ("paid beyond at an exit", "SEARCH taking USING PRIMARY KEY"),
        ("corrections of an exit", "SEARCH loose_key USING PRIMARY KEY"),
        ("entries of a shift", "SEARCH history USING INDEX history_entry"),
        ("entries of its quarters", "SEARCH quarter_total USING PRIMARY KEY"),
        ("changes by a person", "SEARCH money_change USING INDEX money_change_by"),
        ("changes of exits", "SEARCH money_change USING INDEX money_change_at"),
    ]
    .into();
    let mut seen = BTreeSet::new();
    for (name, sql) in statements() {
        let steps = plan(&disk, &sql);
        // The edges of a lane are a list of a few, in no table.
        let is_table = |step: &&String| !step.starts_with("SCAN json_each ");
        let mut tables = steps.iter().filter(is_table);
        assert!(!tables.any(|step| step.contains("SCAN") || step.contains("TEMP B-TREE")), "{name}: {steps:?}");
        let (known, begin) = expected.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
        assert!(steps[0].starts_with(begin), "{name}: {steps:?}");
        seen.insert(*known);
    }
    assert_eq!(seen.len(), expected.len());
}
