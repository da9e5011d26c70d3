//! Pages of the history as the HTTP API asks for them.

use super::*;
use crate::domain::stay::TakenAs;
use crate::domain::time::quarter;
use crate::ledger::apply::UNREAD;
use crate::ledger::storage::TotalChange;
use crate::store::reader::{AsideKind, HistoryCursor, HistoryQuery, RowsPage};

#[test]
fn what_could_not_be_read_has_one_name() {
    assert_eq!(AsideKind::Unread.name(), UNREAD);
}

/// 40 cars, one a second; every fourth has left, every tenth was superseded, and five came before all others but late.
fn lot() -> Disk {
    let mut disk = Disk::new();
    disk.write(|writer| {
        for n in 0..40_i64 {
            let mut row = car(&format!("29A{:05}", n % 8), 1_000 * (n + 10));
            if n % 4 == 0 {
                row = left(row, 1_000 * (n + 20));
            } else if n % 10 == 1 {
                row.status = StayStatus::Superseded;
            }
            writer.insert_stay(&row, true, 1).unwrap();
        }
        for n in 0..5_i64 {
            writer.insert_stay(&car("30F99999", 1_000 * n), false, 1).unwrap();
        }
    });
    disk
}

fn times(page: &RowsPage) -> Vec<i64> {
    page.rows.iter().map(|row| row.entry_ms / 1_000).collect()
}

fn all(disk: &Disk, query: &HistoryQuery) -> Vec<i64> {
    times(&disk.reader().history(&HistoryQuery { limit: -1, ..query.clone() }).unwrap())
}

#[test]
fn the_newest_entries_come_first_whenever_they_arrived() {
    let disk = lot();
    let expected: Vec<i64> = (10..50).rev().chain((0..5).rev()).collect();
    assert_eq!(all(&disk, &HistoryQuery::default()), expected);
    let page = disk.reader().history(&HistoryQuery { limit: 3, offset: 38, ..HistoryQuery::default() }).unwrap();
    assert_eq!(times(&page), [11, 10, 4]);
}

#[test]
fn an_offset_skips_what_the_page_without_it_begins_with_under_every_filter() {
    let disk = lot();
    for query in [
        HistoryQuery::default(),
        HistoryQuery { entered_since_ms: Some(12_000), entered_before_ms: Some(45_000), ..HistoryQuery::default() },
        HistoryQuery { cursor: Some(HistoryCursor { entry_ms: 40_000, id: 1 }), ..HistoryQuery::default() },
        HistoryQuery { status: Some(StayStatus::Out), ..HistoryQuery::default() },
        HistoryQuery { in_parking_only: true, ..HistoryQuery::default() },
        HistoryQuery { search: "29a-000".into(), ..HistoryQuery::default() },
    ] {
        let whole = all(&disk, &query);
        for offset in 0..=whole.len() + 1 {
            let page = HistoryQuery { offset: offset as u64, limit: 2, ..query.clone() };
            let page = disk.reader().history(&page).unwrap();
            let left = whole.get(offset..).unwrap_or_default();
            assert_eq!(times(&page), left[..left.len().min(2)], "{offset} of {query:?}");
            assert_eq!(page.next.is_some(), left.len() > 2, "{offset} of {query:?}");
        }
    }
}

#[test]
fn the_cursor_goes_through_every_row_once_under_every_filter() {
    let disk = lot();
    let queries = [
        HistoryQuery::default(),
        HistoryQuery { in_parking_only: true, ..HistoryQuery::default() },
        HistoryQuery { status: Some(StayStatus::Out), ..HistoryQuery::default() },
        HistoryQuery { status: Some(StayStatus::Superseded), ..HistoryQuery::default() },
        HistoryQuery { search: "29a-000".into(), ..HistoryQuery::default() },
        HistoryQuery { search: "29a-000".into(), in_parking_only: true, ..HistoryQuery::default() },
        HistoryQuery { entered_since_ms: Some(12_000), ..HistoryQuery::default() },
    ];
    for query in queries {
        let expected = all(&disk, &query);
        assert!(expected.len() > 3, "{query:?}");
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page = disk.reader().history(&HistoryQuery { limit: 3, cursor, ..query.clone() }).unwrap();
            seen.extend(times(&page));
            // A cursor survives its way through a client.
            cursor = page.next.map(|next| next.to_string().parse::<HistoryCursor>().unwrap());
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{query:?}");
    }
    assert!("12".parse::<HistoryCursor>().is_err());
}

#[test]
fn filters_mean_what_they_say() {
    let disk = lot();
    let inside =
        all(&disk, &HistoryQuery { in_parking_only: true, status: Some(StayStatus::Out), ..HistoryQuery::default() });
    assert!(inside.iter().all(|time| !(10..50).contains(time) || (time - 10) % 4 != 0));
    assert_eq!(inside.len(), disk.reader().vehicles_inside(1_000).unwrap().len());
    let out = all(&disk, &HistoryQuery { status: Some(StayStatus::Out), ..HistoryQuery::default() });
    assert_eq!(out.len(), 10);
    let today = all(&disk, &HistoryQuery { entered_since_ms: Some(40_000), ..HistoryQuery::default() });
    assert_eq!(today, (40..50).rev().collect::<Vec<_>>());
}

#[test]
fn an_exit_without_an_entry_is_no_entry() {
    let mut disk = Disk::new();
    let mut row = left(car("29A12345", 1), 1);
    row.entry_fact = row.exit.as_ref().unwrap().fact.clone();
    row.anomalies.insert(crate::domain::anomaly::Anomaly::ExitWithoutEntry);
    disk.write(|writer| {
        writer.insert_stay(&row, true, 1).unwrap();
        writer.insert_stay(&left(car("29A12345", 2_000), 3_000), true, 1).unwrap();
    });
    assert_eq!(all(&disk, &HistoryQuery::default()), [2, 0]);
    assert_eq!(all(&disk, &HistoryQuery { entries_only: true, ..HistoryQuery::default() }), [2]);
}

#[test]
fn a_search_finds_parts_of_plates_as_people_write_them() {
    let disk = lot();
    let search = |text: &str| all(&disk, &HistoryQuery { search: text.into(), ..HistoryQuery::default() }).len();
    assert_eq!(search("29A-000.03"), 5);
    assert_eq!(search(" 0003"), 5);
    assert_eq!(search("9999"), 5);
    assert_eq!(search("a"), 40);
    assert_eq!(search("%"), 0);
    assert_eq!(search("_"), 0);
    assert_eq!(search("'; DROP TABLE history"), 0);
    assert_eq!(search(""), 45);
}

#[test]
fn a_search_that_meets_many_plates_gives_the_same_as_one_that_meets_few() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        for n in 0..2_000_i64 {
            writer.insert_stay(&car(&format!("29A{n:05}"), n * 1_000), true, 1).unwrap();
        }
    });
    assert_eq!(all(&disk, &HistoryQuery { search: "29A".into(), ..HistoryQuery::default() }).len(), 2_000);
    let few = all(&disk, &HistoryQuery { search: "0199".into(), ..HistoryQuery::default() });
    assert_eq!(few, [1_999, 1_998, 1_997, 1_996, 1_995, 1_994, 1_993, 1_992, 1_991, 1_990, 199]);
}

#[test]
fn a_corrected_plate_is_found_by_its_new_name() {
    let mut disk = lot();
    disk.write(|writer| {
        let stay = writer.stay("central-1_10000_29A00000").unwrap().unwrap();
        writer.update_stay(stay.row_id, &StayRow { plate_id: plate("51K77777"), ..stay.row }, 5).unwrap();
    });
    assert_eq!(all(&disk, &HistoryQuery { search: "51K7".into(), ..HistoryQuery::default() }), [10]);
}

#[test]
fn a_page_is_never_larger_than_it_may_be() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        for n in 0..10_050_i64 {
            writer.insert_stay(&car("29A12345", n), true, 1).unwrap();
        }
    });
    let page = disk.reader().history(&HistoryQuery { limit: -1, ..HistoryQuery::default() }).unwrap();
    assert_eq!(page.rows.len(), 10_000);
    let rest = HistoryQuery { limit: -1, cursor: page.next, ..HistoryQuery::default() };
    assert_eq!(disk.reader().history(&rest).unwrap().rows.len(), 50);
    assert!(disk.reader().history(&HistoryQuery { limit: 0, ..HistoryQuery::default() }).unwrap().rows.is_empty());
}

#[test]
fn rows_have_the_documented_names() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        writer
            .insert_stay(&left(car("29A12345", 1_733_140_800_000), 1_733_146_260_000), true, 1_733_146_260_000)
            .unwrap();
    });
    let row = disk.reader().stay("central-1_1733140800000_29A12345").unwrap().unwrap();
    let json = serde_json::to_value(&row).unwrap();
    for (name, value) in [
        ("id", serde_json::json!(1)),
        ("entry_time", "2024-12-02 19:00:00".into()),
        ("exit_time", "2024-12-02 20:31:00".into()),
        ("exit_camera_name", "central-2/edge-8".into()),
        ("entry_camera_id", serde_json::Value::Null),
        ("duration", "1 giờ 31 phút".into()),
        ("fee", serde_json::json!(25_000)),
        ("status", "OUT".into()),
        ("sync_status", "LOCAL".into()),
        ("tariff_version", "central-1/0000000000000001/3".into()),
    ] {
        assert_eq!(json[name], value, "{name}");
    }
    assert_eq!(disk.reader().stay("nobody's").unwrap(), None);
}

/// Sums at these gates: (Unix ms, edge, entries, exits, revenue).
fn summed(sums: &[(i64, &str, i64, i64, i64)]) -> Disk {
    let mut disk = Disk::new();
    disk.write(|writer| {
        for (at_ms, edge, entries, exits, revenue) in sums.iter().copied() {
            let key = (quarter(at_ms), "central-1".to_owned(), edge.to_owned(), TakenAs::default());
            writer.add_total(key, TotalChange { entries, exits, revenue_vnd: revenue }).unwrap();
        }
    });
    disk
}

#[test]
fn sums_of_a_day_add_up_gate_by_gate() {
    let day_ms = 86_400_000;
    let disk = summed(&[
        (day_ms, "edge-1", 1, 0, 0),
        (day_ms + 1, "edge-2", 0, 1, 25_000),
        (2 * day_ms - 1, "edge-2", 2, 1, -5_000),
        (day_ms - 1, "edge-2", 9, 9, 9),
        (2 * day_ms, "edge-2", 9, 9, 9),
    ]);
    let stats = disk.reader().stats(day_ms, 2 * day_ms).unwrap();
    assert_eq!((stats.entries, stats.exits, stats.revenue), (3, 2, 20_000));
    assert_eq!(stats.gates.len(), 2);
    assert_eq!(disk.reader().stats(5 * day_ms, 6 * day_ms).unwrap().revenue, 0);
}

#[test]
fn the_course_of_a_day_adds_up_to_its_figures_in_every_zone() {
    // Daylight saving time ends in New York on 2024-11-03, and begins on 2024-03-10; Kathmandu is 5:45 ahead.
    for (zone, at_ms, steps) in [
        ("Asia/Ho_Chi_Minh", 1_730_620_800_000, 48),
        ("Asia/Kathmandu", 1_730_620_800_000, 48),
        ("America/New_York", 1_730_620_800_000, 50),
        ("America/New_York", 1_710_090_000_000, 46),
    ] {
        let zone = SiteZone::named(zone).unwrap();
        let (start_ms, end_ms) = zone.day_bounds_ms(at_ms);
        let disk = summed(&[
            (start_ms - 1, "edge-1", 100, 100, 100),
            (start_ms, "edge-1", 1, 0, 0),
            (start_ms + 1_800_000, "edge-2", 2, 1, 5_000),
            (start_ms + 3_599_999, "edge-1", 1, 2, 7_000),
            (end_ms - 1, "edge-2", 4, 1, 9_000),
            (end_ms, "edge-1", 100, 100, 100),
        ]);
        let course = disk.reader().day_course(start_ms, end_ms, 1_800_000).unwrap();
        assert_eq!((course.entries.len(), course.start_ms), (steps, start_ms), "{}", zone.name());
        assert_eq!((course.entries[..3].to_vec(), course.entries[steps - 1]), (vec![1, 3, 0], 4), "{}", zone.name());
        let day = disk.reader().stats(start_ms, end_ms).unwrap();
        let sum = |counts: &[i64]| counts.iter().sum::<i64>();
        assert_eq!(
            (sum(&course.entries), sum(&course.exits), sum(&course.revenue)),
            (day.entries, day.exits, day.revenue)
        );
    }
}

#[test]
fn the_cars_inside_are_counted_by_type() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        for (n, kind) in ["moto", "car", "moto", ""].into_iter().enumerate() {
            let mut row = car(&format!("29A0000{n}"), 1_000);
            row.camera_type = kind.to_owned();
            writer.insert_stay(&row, true, 1).unwrap();
        }
        writer.insert_stay(&left(car("29A00009", 1_000), 2_000), true, 1).unwrap();
    });
    let counts = disk.reader().inside_by_type().unwrap();
    let counts: Vec<_> = counts.iter().map(|count| (count.camera_type.as_str(), count.cars)).collect();
    assert_eq!(counts, [("moto", 2), ("", 1), ("car", 1)]);
}

#[test]
fn the_cars_inside_that_read_almost_alike_are_found_the_nearest_and_newest_first() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        for (second, plate) in [(1, "29A12345"), (2, "29A12344"), (3, "29A1234B"), (4, "51F97022"), (5, "29A12399")] {
            writer.insert_stay(&car(plate, 1_000 * second), true, 1).unwrap();
        }
        writer.insert_stay(&left(car("29A12348", 6_000), 7_000), true, 1).unwrap();
    });
    let near = |limit| -> Vec<String> {
        let rows = disk.reader().near(&PlateId::parse("29A-123.48").unwrap(), limit).unwrap();
        rows.into_iter().map(|row| row.plate_id).collect()
    };
    // B is taken for 8; the one that has left is not inside.
    assert_eq!(near(20), ["29A1234B", "29A12344", "29A12345", "29A12399"]);
    assert_eq!(near(2), ["29A1234B", "29A12344"]);
}
