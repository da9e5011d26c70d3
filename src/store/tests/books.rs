//! Shifts and takings: the file says what the storage in memory says, and a day of a large site is found in no time.

use proptest::prelude::*;

use super::*;
use crate::domain::event::{Body, Correction, Event};
use crate::domain::payment::Method;
use crate::domain::shift::{MoneyChange, shift_id};
use crate::domain::stay::{TakenAs, Taking};
use crate::domain::time::{QUARTER_MS, quarter};
use crate::ledger::memory::MemoryStorage;
use crate::ledger::sheet;
use crate::ledger::storage::{Shift, ShiftClosing, ShiftOpening, TotalChange};

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
            let taking = Taking { fact: fact(*seq), central, edge_id, exit_ms, fee: Vnd(*fee), told_apart, also };
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
            prop_assert_eq!(at_once.0.entries, i64::try_from(came.count()).unwrap(), "{:?}", shift);
        }
        for gate in GATES {
            prop_assert_eq!(disk.writer().last_shift("central-1", gate).unwrap(), memory.last_shift("central-1", gate).unwrap());
        }
    }
}

/// A million exits of twenty days at 64 gates, three shifts a day each. `cargo test --release --lib -- --ignored --nocapture a_million`
/// prints what the page of a day, a sheet and the takings by shift cost.
#[test]
#[ignore = "makes a large file, and measures"]
fn a_million_exits_and_a_day_of_fifty_thousand() {
    let mut disk = Disk::new();
    disk.write(|writer| {
        append(writer, &log(1), Head::empty(&log(1)), "{}");
    });
    disk.writer = None;
    let path = disk.path.path().join("central.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    // One exit and one entry each 1.728 s, at the gates in turn; three shifts a day at each gate.
    connection
        .execute_batch(
            "BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999999)
             INSERT INTO taking SELECT i * 1728, (1 << 40) | (i + 2), 'central-1', 'edge-' || (i % 64), CASE i % 3 WHEN 0 THEN 'lan' ELSE '' END,
               CASE i % 4 WHEN 0 THEN 'qr' ELSE 'cash' END, CASE i % 2 WHEN 0 THEN 'car' ELSE 'moto' END, 5000, NULL FROM n;
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999999)
             INSERT INTO history(id, plate_id, plate_view, entry_time, status, created_at, updated_at, event_id, source_central, edge_id,
               camera_type, entry_ms, entry_manual, collected, entry_event, last_hlc, plate_hlc, committed_ms, entry_hlc)
               SELECT i + 1, '29A' || (i % 90000), '29A', '', 'OUT', '', '', 's' || i, 'central-1', 'edge-' || (i % 64), 'car', i * 1728, 0, 5000,
               (1 << 40) | (i + 2), 0, 0, 0, 0 FROM n;
             INSERT INTO quarter_total SELECT quarter, central, edge_id, taken_by, method, camera_type, 0, count(*), sum(fee)
               FROM (SELECT exit_ms / 900000 AS quarter, * FROM taking) GROUP BY 1, 2, 3, 4, 5, 6;
             INSERT INTO quarter_total SELECT entry_ms / 900000, source_central, edge_id, '-', '', '', count(*), 0, 0 FROM history GROUP BY 1, 2, 3;
             COMMIT;",
        )
        .unwrap();
    for day in 0..20_i64 {
        for gate in 0..64 {
            for turn in 0..3_i64 {
                let from_ms = day * 86_400_000 + turn * 28_800_000;
                let id = shift_id("central-1", &format!("edge-{gate}"), from_ms);
                let data = serde_json::json!({
                    "type": "SHIFT_OPENED", "source_central": "central-1", "timestamp": from_ms, "event_id": null,
                    "data": {"shift": id, "edge_id": format!("edge-{gate}"), "from_ms": from_ms, "opening_cash": 0, "inside": 0},
                    "log": log(1).to_string().replace("central-2", "central-1"), "seq": 1, "hlc": 1, "by": {"kind": "person", "name": "lan"},
                });
                let event = (1_i64 << 40) | (2_000_000 + day * 1000 + gate * 10 + turn);
                connection.execute("INSERT INTO event VALUES(?1, ?2, x'', 0)", (event, data.to_string())).unwrap();
                connection
                    .execute(
                        "INSERT INTO shift VALUES(?1, 'central-1', 'edge-' || ?2, ?3, 'lan', ?4, 1, ?5, NULL, NULL, NULL)",
                        (&id, gate, from_ms, event, from_ms + 28_800_000),
                    )
                    .unwrap();
            }
        }
    }
    drop(connection);
    let mut reader = disk.reader();
    let (from_ms, until_ms) = (10 * 86_400_000, 11 * 86_400_000);
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        let sheets = reader.sheets(from_ms, until_ms).unwrap();
        let page = begun.elapsed();
        let exits: i64 = sheets.iter().map(|sheet| sheet.live.exits()).sum();
        let begun = std::time::Instant::now();
        let one = reader.sheet(&sheets[4].shift.id).unwrap().unwrap();
        let sheet = begun.elapsed();
        let begun = std::time::Instant::now();
        let (takings, _) = reader.takings_by_shift(from_ms, until_ms).unwrap();
        let by_shift = begun.elapsed();
        let sum: i64 = takings.iter().map(|taken| taken.exits).sum();
        println!(
            "{} sheets of {exits} exits in {page:?}; one of {} in {sheet:?}; {sum} takings by shift in {by_shift:?}",
            sheets.len(),
            one.live.exits()
        );
        assert_eq!((exits, sum), (50_000, 50_000));
    }
}
