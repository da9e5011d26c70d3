//! Shifts and takings: the file says what the storage in memory says, and a day of a large site is found in no time.

use proptest::prelude::*;

use super::*;
use crate::domain::event::{Body, Correction, Event};
use crate::domain::payment::Method;
use crate::domain::shift::{MoneyChange, shift_id};
use crate::domain::stay::{TakenAs, Taking, ToldThere};
use crate::domain::time::{QUARTER_MS, quarter};
use crate::ledger::memory::MemoryStorage;
use crate::ledger::sheet;
use crate::ledger::storage::{Shift, ShiftClosing, ShiftOpening, TotalChange};
use crate::store::reader::HistoryQuery;

const GATES: [&str; 3] = ["in", "out", "cam"];
const PEOPLE: [&str; 4] = ["lan", "an", "", "token:kiosk"];
const METHODS: [&str; 3] = ["cash", "qr", ""];

#[derive(Debug, Clone)]
enum Step {
    Taken { who: usize, method: usize, fee: i64, also: i64, seq: u64, is_taken: bool },
    Entered { gate: usize, entry_ms: i64 },
    Shift { gate: usize, lane: usize, who: usize, from_ms: i64, until_ms: Option<i64>, is_opened: bool },
    Changed { gate: usize, who: usize, by: usize, at_ms: i64, exit_ms: i64, change: i64, seq: u64 },
}

fn any_step() -> impl Strategy<Value = Step> {
    let (gate, who, time) = (0..GATES.len(), 0..PEOPLE.len(), 0..5 * QUARTER_MS);
    let seq = 1..40_u64;
    prop_oneof![
        4 => (who.clone(), 0..METHODS.len(), 0..9_i64, 0..3_i64, seq.clone(), prop::bool::weighted(0.8))
            .prop_map(|(who, method, fee, also, seq, is_taken)| Step::Taken { who, method, fee, also, seq, is_taken }),
        2 => (gate.clone(), time.clone()).prop_map(|(gate, entry_ms)| Step::Entered { gate, entry_ms }),
        2 => (gate.clone(), gate.clone(), 0..2_usize, 0..5_i64, prop::option::of(0..3 * QUARTER_MS), prop::bool::weighted(0.9)).prop_map(
            |(gate, lane, who, quarter, lasts, is_opened)| {
                // Some begin at once.
                let from_ms = quarter * QUARTER_MS;
                Step::Shift { gate, lane, who, from_ms, until_ms: lasts.map(|ms| from_ms + ms), is_opened }
            }
        ),
        1 => (gate, who, 0..2_usize, time.clone(), time, -9..9_i64, seq)
            .prop_map(|(gate, who, by, at_ms, exit_ms, change, seq)| Step::Changed { gate, who, by, at_ms, exit_ms, change, seq }),
    ]
}

fn do_it(storage: &mut impl Storage, step: &Step, number: usize) {
    let fact = |seq| FactId::Authored { log: log(1), seq };
    match step {
        Step::Taken { who, method, fee, also, seq, is_taken } => {
            // A fact is at one place.
            let exit_ms = i64::try_from(*seq).unwrap() * QUARTER_MS / 8;
            let told_apart =
                TakenAs { by: PEOPLE[*who].into(), method: METHODS[*method].into(), camera_type: "car".into() };
            let gate = GATES[usize::try_from(*seq % 3).unwrap()];
            let (central, edge_id) = ("central-1".to_owned(), gate.to_owned());
            let also = (0..*also).map(|no| (Method::ALL[usize::try_from(no).unwrap()], Vnd(1 + no))).collect();
            let (fee, told_there, excess) =
                (Vnd(*fee), ToldThere::Fee(Vnd(*fee / 2)), Vnd(i64::try_from(*seq % 3).unwrap()));
            let taking =
                Taking { fact: fact(*seq), central, edge_id, exit_ms, fee, told_apart, also, told_there, excess };
            storage.set_taking(&taking, *is_taken).unwrap();
        }
        Step::Entered { gate, entry_ms } => {
            let mut row = car("29A12345", *entry_ms);
            row.stay_id = format!("s{number}");
            row.source_central = "central-1".into();
            row.edge_id = GATES[*gate].into();
            storage.insert_stay(&row, true, 1).unwrap();
            let key = (quarter(*entry_ms), "central-1".into(), row.edge_id, TakenAs::default());
            storage.add_total(key, TotalChange { entries: 1, ..TotalChange::default() }).unwrap();
        }
        Step::Shift { gate, lane, who, from_ms, until_ms, is_opened } => {
            let place = || (Hlc::new(7).unwrap(), at(1, 3));
            let shift = Shift {
                id: shift_id("central-1", GATES[*gate], *from_ms),
                central: "central-1".into(),
                edge_id: GATES[*gate].into(),
                lane_edges: Some(GATES[*lane].to_owned()).filter(|_| lane != gate).into_iter().collect(),
                from_ms: *from_ms,
                opened: is_opened.then(|| ShiftOpening { place: place(), person: PEOPLE[*who].into() }),
                closed: until_ms.map(|until_ms| ShiftClosing { place: place(), until_ms }),
            };
            storage.put_shift(&shift).unwrap();
            assert_eq!(storage.shift(&shift.id).unwrap(), Some(shift));
        }
        Step::Changed { gate, who, by, at_ms, exit_ms, change, seq } => {
            let change = MoneyChange {
                exit: fact(*seq),
                central: "central-1".into(),
                edge_id: GATES[*gate].into(),
                exit_ms: *exit_ms,
                taken_by: PEOPLE[*who].into(),
                method: "cash".into(),
                before: Vnd(10),
                after: Vnd(10 + change),
            };
            let body = Body::Correction(Correction { money: vec![change], ..Correction::default() });
            let event = Event {
                log: log(2),
                seq: number as u64 + 1,
                hlc: Hlc::new(7).unwrap(),
                timestamp_ms: *at_ms,
                skew_ms: None,
                source_central: "central-2".into(),
                event_id: Some("s".into()),
                heard_from: None,
                by: Some(crate::domain::doer::Doer::new(crate::domain::doer::DoerKind::Person, PEOPLE[*by])),
                body,
            };
            storage.put_money_changes(&EventRef { log: event.log.clone(), seq: event.seq }, &event).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_file_says_of_every_shift_what_the_storage_in_memory_says(steps in proptest::collection::vec(any_step(), 1..80)) {
        let mut disk = Disk::new();
        let mut memory = MemoryStorage::default();
        disk.writer().begin().unwrap();
        memory.begin().unwrap();
        for (number, step) in steps.iter().enumerate() {
            do_it(disk.writer(), step, number);
            do_it(&mut memory, step, number);
        }
        let shifts: Vec<Shift> = memory.shifts.values().filter(|shift| shift.opened.is_some()).cloned().collect();
        let at_once = sheet::all_figures(&mut disk.writer().books(), &shifts).unwrap();
        for (shift, at_once) in shifts.iter().zip(at_once) {
            prop_assert_eq!(disk.writer().shift_figures(shift).unwrap(), memory.shift_figures(shift).unwrap(), "{:?}", shift);
            prop_assert_eq!(&at_once, &memory.shift_figures(shift).unwrap(), "{:?}", shift);
            let (from_ms, until_ms) = sheet::span_of(&mut memory, shift).unwrap();
            let came = memory.stays.values().filter(|stored| {
                shift.is_at(&stored.row.source_central, &stored.row.edge_id) && (from_ms..until_ms).contains(&stored.row.entry_ms)
            });
            prop_assert_eq!(at_once.figures.entries, i64::try_from(came.count()).unwrap(), "{:?}", shift);
        }
        for gate in GATES {
            prop_assert_eq!(disk.writer().last_shift("central-1", gate, i64::MAX).unwrap(), memory.last_shift("central-1", gate, i64::MAX).unwrap());
        }
    }
}

/// A million exits of twenty days at 64 gates, three shifts a day each. `cargo test --release --lib -- --ignored --nocapture a_million`
/// prints what the page of a day, a sheet and the takings by shift cost, and so does `ten_million` among ten times as many.
#[test]
#[ignore = "makes a large file, and measures"]
fn a_million_exits_and_a_day_of_fifty_thousand() {
    measure_a_day_of_fifty_thousand(20);
}

/// The file is of some 6 GB.
#[test]
#[ignore = "makes a very large file, and measures"]
fn ten_million_exits_and_a_day_of_fifty_thousand() {
    measure_a_day_of_fifty_thousand(200);
}

fn measure_a_day_of_fifty_thousand(days: i64) {
    const DAY_MS: i64 = 86_400_000;
    let mut disk = Disk::new();
    disk.write(|writer| {
        append(writer, &log(1), Head::empty(&log(1)), "{}");
    });
    disk.writer = None;
    let connection = rusqlite::Connection::open(disk.path.path().join("central.db")).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000")
        .unwrap();
    let measured_day = days / 2;
    let (from_ms, until_ms) = (measured_day * DAY_MS, (measured_day + 1) * DAY_MS);
    // One exit and one entry each 1.728 s, at the gates in turn; three shifts a day at each gate. Facts as texts only where they are read.
    for day in 0..days {
        let exits =
            "WITH RECURSIVE n(i) AS (SELECT ?1 * 50000 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 * 50000 + 49999)";
        let taken = "INSERT INTO taking SELECT i * 1728, (1 << 40) | (i + 2), 'central-1', 'edge-' || (i % 64), CASE i % 3 WHEN 0 THEN 'lan' ELSE '' END,
            CASE i % 4 WHEN 0 THEN 'qr' ELSE 'cash' END, CASE i % 2 WHEN 0 THEN 'car' ELSE 'moto' END, 5000, NULL, NULL, CASE i % 200 WHEN 0 THEN 1000 END FROM n";
        let rows = "INSERT INTO history(id, plate_id, plate_view, entry_time, exit_time, duration, fee, status, created_at, updated_at, event_id,
            source_central, edge_id, camera_type, entry_ms, entry_manual, exit_ms, exit_central, exit_edge, exit_manual, collected, entry_event, exit_event,
            last_hlc, plate_hlc, committed_ms, entry_hlc)
            SELECT i + 1, '29A' || (i % 90000), '29A', '', '', '1 giờ', 5000, 'OUT', '', '', 's' || i, 'central-1', 'edge-' || (i % 64), 'car', i * 1728 - 600000, 0,
            i * 1728, 'central-1', 'edge-' || (i % 64), 0, 5000, (2 << 40) | (i + 2), (1 << 40) | (i + 2), 0, 0, 0, i * 1728 - 600000 FROM n";
        for filled in [taken, rows] {
            connection.execute(&format!("{exits} {filled}"), [day]).unwrap();
        }
    }
    connection
        .execute_batch(
            "INSERT INTO quarter_total SELECT quarter, central, edge_id, taken_by, method, camera_type, 0, count(*), sum(fee)
               FROM (SELECT exit_ms / 900000 AS quarter, * FROM taking) GROUP BY 1, 2, 3, 4, 5, 6;
             INSERT INTO quarter_total SELECT entry_ms / 900000, source_central, edge_id, '-', '', '', count(*), 0, 0 FROM history GROUP BY 1, 2, 3;",
        )
        .unwrap();
    let log_name = log(1).to_string();
    for number in 50_000 * measured_day..50_000 * (measured_day + 1) {
        let way = if number % 4 == 0 { "qr" } else { "cash" };
        let exit = serde_json::json!({
            "type": "VEHICLE_EXIT", "source_central": "central-1", "timestamp": number * 1728, "event_id": format!("s{number}"),
            "data": {"plate_id": format!("29A{}", number % 90_000), "exit_central": "central-1", "exit_edge": format!("edge-{}", number % 64),
                "exit_time": "2026-11-22 12:38:31", "fee": 5000, "duration": "0 giờ 31 phút",
                "lines": [{"part": "hour", "count": 1, "price": 5000, "amount": 5000}], "paid": {"method": way, "amount": 5000}},
            "log": log_name, "seq": number + 2, "hlc": number * 1728,
        });
        let mut written = connection.prepare_cached("INSERT INTO event VALUES(?1, ?2, zeroblob(32), 0)").unwrap();
        written.execute(((1_i64 << 40) | (number + 2), exit.to_string())).unwrap();
    }
    for (day, gate, turn) in
        (0..days).flat_map(|day| (0..64).flat_map(move |gate| (0..3).map(move |turn| (day, gate, turn))))
    {
        let begins_ms = day * DAY_MS + turn * DAY_MS / 3;
        let (ends_ms, edge_id) = (begins_ms + DAY_MS / 3, format!("edge-{gate}"));
        let id = shift_id("central-1", &edge_id, begins_ms);
        let event = (1_i64 << 40) | (100_000_000 + day * 1000 + gate * 10 + turn * 2);
        let say = |at: i64, kind: &str, data: serde_json::Value| {
            let said = serde_json::json!({
                "type": kind, "source_central": "central-1", "timestamp": begins_ms, "event_id": null, "data": data,
                "log": log_name, "seq": 1, "hlc": 1, "by": {"kind": "person", "name": "lan"},
            });
            let mut written = connection.prepare_cached("INSERT INTO event VALUES(?1, ?2, zeroblob(32), 0)").unwrap();
            written.execute((at, said.to_string())).unwrap();
        };
        say(
            event,
            "SHIFT_OPENED",
            serde_json::json!({"shift": id, "edge_id": edge_id, "from_ms": begins_ms, "opening_cash": 0, "inside": 0}),
        );
        // It counted all but the last few of its exits: those are its addendum.
        let counted = serde_json::json!([{"log": log_name, "to": ends_ms / 1728 - 1_000}]);
        let closing = serde_json::json!({
            "shift": id, "edge_id": edge_id, "until_ms": ends_ms, "opening_cash": 0, "counted_cash": 0, "inside": 0,
            "figures": {"entries": 0, "takings": {}}, "counted": counted,
        });
        say(event + 1, "SHIFT_CLOSED", closing);
        let written = "INSERT INTO shift VALUES(?1, 'central-1', ?2, ?3, 'lan', ?4, 1, ?5, ?6, 2, NULL)";
        connection
            .prepare_cached(written)
            .unwrap()
            .execute((&id, &edge_id, begins_ms, event, ends_ms, event + 1))
            .unwrap();
    }
    connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    drop(connection);
    let mut reader = disk.reader();
    for _ in 0..3 {
        let mut last = std::time::Instant::now();
        let mut lap = || std::mem::replace(&mut last, std::time::Instant::now()).elapsed();
        let sheets = reader.sheets(from_ms, until_ms).unwrap();
        let page = lap();
        let exits: i64 = sheets.iter().map(|sheet| sheet.live.exits()).sum();
        let id = &sheets[4].shift.id;
        lap();
        let one = reader.sheet(id).unwrap().unwrap();
        let late = reader.late_facts(&one).unwrap().unwrap();
        let made = reader.changes_made(&one).unwrap();
        let shown = reader.exits_of(&one, 0, 100).unwrap();
        let sheet = lap();
        let (takings, _) = reader.takings_by_shift(from_ms, until_ms).unwrap();
        let by_shift = lap();
        let asked = HistoryQuery {
            exited_since_ms: Some(from_ms),
            exited_before_ms: Some(until_ms),
            ..HistoryQuery::default()
        };
        let rows = reader.history(&asked).unwrap().rows.len();
        let history = lap();
        let (claims, _) = reader.claimed_transfers((from_ms, until_ms), until_ms, 500).unwrap();
        let claimed = lap();
        let sum: i64 = takings.iter().map(|taken| taken.exits).sum();
        println!(
            "of {days} days: {} sheets of {exits} exits in {page:?}; one of {} with {} late, {} changes and {} exits in {sheet:?}; {sum} takings by shift in \
             {by_shift:?}; {rows} rows of the day in {history:?}; {} of its transfers in doubt in {claimed:?}",
            sheets.len(),
            one.live.exits(),
            late.listed.len(),
            made.len(),
            shown.len(),
            claims.len(),
        );
        assert_eq!((exits, sum, rows, shown.len()), (50_000, 50_000, 100, 100));
    }
}
