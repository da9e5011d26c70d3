//! What an accountant waits for: pages, sheets and tables of days with 50,000 exits each, over HTTP, as the history behind them grows.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use parkmesh::domain::time::SiteZone;
use parkmesh::ledger::job::Job;

use crate::busy_days::{BusyDays, EXITS, first_shift, starts_ms};
use crate::common::Central;
use crate::one::url;
use crate::returning::Held;
use crate::table::{Bar, Table};

/// Each is asked so often in a row.
const ASKED: usize = 20;
/// Files with all of a day's rows, which nobody waits for before he sees something, so often.
const FILES: usize = 3;
/// The bound, ms.
const MOST_MS: f64 = 200.0;

pub fn measure(rows: u64, kept: Option<&Path>, table: &mut Table) {
    let mut central = Central::new("central-1");
    let days = |rows: u64| usize::try_from(rows).expect("a number").div_ceil(EXITS).next_multiple_of(2).max(2);
    if let Some(kept) = kept {
        fs::create_dir_all(kept).expect("a directory");
        symlink(kept, central.data_directory()).expect("a link");
    }
    if central.database().exists() {
        measure_day(&mut central, days(rows), table);
        return;
    }
    let (mut site, mut done) = (BusyDays::new(), 0);
    for rows in [rows / 10, rows / 3, rows] {
        let until = days(rows);
        let mut held = Held::at(&central.id, central.data_directory());
        let begun = Instant::now();
        for day in done..until {
            for run in site.runs(day..day + 1) {
                held.decide(vec![Job::Store(run)], starts_ms(day + 1));
            }
            held.settle();
            if day % 10 == 9 {
                println!("  {:.1} M rows", ((day + 1) * EXITS) as f64 / 1e6);
            }
        }
        held.close();
        let rate = ((until - done) * EXITS) as f64 / begun.elapsed().as_secs_f64();
        println!("  {rate:.0} stays per s");
        done = until;
        measure_day(&mut central, until, table);
    }
}

/// The last two days of so many: one of sixteen gates with three shifts each, and one of a single shift.
fn measure_day(central: &mut Central, days: usize, table: &mut Table) {
    central.start();
    let day_of = |day: usize| SiteZone::default().day(starts_ms(day));
    let (many, one) = (day_of(days - 2), day_of(days - 1));
    let of_day = central.http.get(&format!("/api/stats?day={one}")).ok();
    assert_eq!(of_day.number("exits_today"), EXITS as i64, "{}", of_day.text);
    let rows = format!("{:.1} M rows", (days * EXITS) as f64 / 1e6);
    let mib = fs::metadata(central.database()).expect("a database").len() >> 20;
    println!("  {rows}, {mib} MiB, {} exits on {one}", of_day.number("exits_today"));
    let shift = first_shift(days - 1);
    let exits = "/api/parking/history?by=exit&limit=100";
    let span = |day: &str| format!("from={day}&to={day}");
    let month = format!("from={}&to={one}", day_of(days.saturating_sub(30)));
    for (what, path) in [
        ("sums of a day", format!("/api/takings?by=shift&{}", span(&many))),
        ("sums of a day with one shift", format!("/api/takings?by=shift&{}", span(&one))),
        ("sums of a month", format!("/api/takings?by=shift&{month}")),
        (
            "odd exits of a day, first page",
            format!("/api/parking/history?by=exit&anomaly=any&limit=200&{}", span(&many)),
        ),
        ("exits whose car is not known", "/api/parking/anomalies?kind=waiting&limit=200".to_owned()),
        ("exits whose plate was unread", "/api/parking/anomalies?kind=unread&limit=200".to_owned()),
        ("odd payments of a day", format!("/api/payments?odd=true&{}", span(&many))),
        ("claimed transfers of a day", format!("/api/payments/claimed?{}", span(&many))),
        ("figures of a day", format!("/api/stats?day={many}")),
        ("sheet of one shift, 50,000 exits", format!("/api/shifts/{shift}")),
        ("its exits, first page", format!("/api/shifts/{shift}/exits?limit=100")),
        ("its exits, last page", format!("/api/shifts/{shift}/exits?limit=100&offset={}", EXITS - 100)),
        ("sheets of a day, 48 shifts", format!("/api/shifts?day={many}")),
        ("history of a day by exit, first page", format!("{exits}&{}", span(&many))),
        (
            "the same of one gate, person and way",
            format!("{exits}&{}&gate=central-2/edge-03&exit_by=person-09&method=cash", span(&many)),
        ),
        ("all history, first page", exits.to_owned()),
    ] {
        asked(central, &format!("{what}, {rows}"), &path, ASKED, table);
    }
    let cursor = (0..EXITS / 10_000 - 1).fold(String::new(), |cursor, _| {
        let path = format!("/api/parking/history?by=exit&limit=10000&cursor={cursor}&{}", span(&many));
        central.http.get(&path).ok().field("next_cursor").to_owned()
    });
    let deep = format!("{exits}&{}&cursor={cursor}", span(&many));
    asked(central, &format!("history of a day by exit, 40,000 deep, {rows}"), &deep, ASKED, table);
    for (what, path) in [
        ("the day as CSV", format!("/api/parking/history.csv?by=exit&{}", span(&many))),
        ("the day as a spreadsheet", format!("/api/parking/history.xlsx?by=exit&{}", span(&many))),
        ("the sheet as a spreadsheet", format!("/api/shifts/{shift}/exits.xlsx")),
    ] {
        asked_for_file(central, &format!("{what}, {rows}"), &path);
    }
    central.terminate();
}

fn asked(central: &Central, what: &str, path: &str, times: usize, table: &mut Table) {
    let (p50, most, kib) = timed(central, path, times);
    let measured = format!("p50 {p50:.1}, most {most:.1} ms, {kib} KiB");
    table.line(&format!("{what}: p50 / 200 ms"), &measured, p50 / MOST_MS, Bar::AtMost(1.0));
}

fn asked_for_file(central: &Central, what: &str, path: &str) {
    let (p50, most, kib) = timed(central, path, FILES);
    println!("  {what}: p50 {p50:.0}, most {most:.0} ms, {kib} KiB");
}

/// The middle and the longest of so many calls, ms, and how much was answered, KiB.
fn timed(central: &Central, path: &str, times: usize) -> (f64, f64, usize) {
    let agent = ureq::Agent::from(ureq::Agent::config_builder().proxy(None).build());
    let mut took = Vec::new();
    let mut kib = 0;
    for _ in 0..times {
        let begun = Instant::now();
        let mut answer = agent.get(format!("{}{path}", url(central))).call().expect("an answer");
        kib = answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("all of it").len() >> 10;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    (ms(took[times / 2]), ms(took[times - 1]), kib)
}
