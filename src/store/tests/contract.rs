//! The writer against the storage in memory: whatever the ledger does, both say the same.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::event::{Body, Draft, Entry};
use crate::domain::stay::TakenAs;
use crate::ledger::component::EVER;
use crate::ledger::memory::MemoryStorage;
use crate::ledger::storage::{
    Loaded, LooseFact, Setting, SettingKind, Storage, StoredStay, Summary, TotalChange, TotalKey,
};

const STAYS: u8 = 12;

#[derive(Debug, Clone)]
enum Step {
    Insert {
        stay: u8,
        row: Box<StayRow>,
        own: bool,
    },
    InsertIfNew {
        stay: u8,
        row: Box<StayRow>,
    },
    End {
        stay: u8,
        row: Box<StayRow>,
    },
    Update {
        stay: u8,
        row: Box<StayRow>,
    },
    Delete {
        stay: u8,
    },
    Append {
        log_number: u64,
        request: u8,
        hash: ChainHash,
    },
    Loose {
        fact: LooseFact,
    },
    Tighten {
        at: EventRef,
    },
    Setting(Setting),
    NoSetting {
        kind: SettingKind,
        id: String,
    },
    Summary(Summary),
    Total {
        key: TotalKey,
        change: TotalChange,
    },
    Commit,
    Rollback,
    /// The process dies in the middle of a transaction.
    Crash,
    Clear,
}

fn any_place() -> impl Strategy<Value = EventRef> {
    (0..3_u64, 1..9_u64).prop_map(|(number, seq)| at(number, seq))
}

fn any_loose() -> impl Strategy<Value = LooseFact> {
    let keys = proptest::collection::vec(prop_oneof![Just("s:a"), Just("s:b"), Just("p:29A12345")], 0..3);
    (any_place(), keys, any::<bool>()).prop_map(|(at, keys, waiting)| {
        let keys: BTreeSet<&str> = keys.into_iter().collect();
        LooseFact { at, hlc: Hlc::new(7).unwrap(), keys: keys.into_iter().map(str::to_owned).collect(), waiting }
    })
}

fn any_setting() -> impl Strategy<Value = Setting> {
    let kind = prop_oneof![Just(SettingKind::Tariff), Just(SettingKind::Subscription), Just(SettingKind::Central)];
    // What is no JSON is taken for damage.
    let value = any_text().prop_map(|text| serde_json::Value::String(text).to_string());
    (kind, "[ab]", any_hlc(), any_place(), proptest::option::of(value)).prop_map(|(kind, id, hlc, at, value)| Setting {
        kind,
        id,
        hlc,
        at,
        value,
    })
}

fn any_total() -> impl Strategy<Value = Step> {
    let change = (-2..3_i64, -2..3_i64, -5_000..5_000_i64);
    (0..3_i64, "[ab]", "(lan)?", change).prop_map(|(quarter, edge_id, by, (entries, exits, revenue_vnd))| {
        let key = (quarter, "central-1".to_owned(), edge_id, TakenAs { by, ..TakenAs::default() });
        Step::Total { key, change: TotalChange { entries, exits, revenue_vnd } }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let summary =
        (any::<[u8; 32]>(), any_hlc(), any::<u32>(), any::<u32>()).prop_map(|(digest, max_hlc, events, loose)| {
            Step::Summary(Summary { digest, max_hlc, events: events.into(), loose_facts: loose.into() })
        });
    prop_oneof![
        6 => (0..STAYS, any_row(), any::<bool>()).prop_map(|(stay, row, own)| Step::Insert { stay, row: row.into(), own }),
        3 => (0..STAYS, any_row()).prop_map(|(stay, row)| Step::InsertIfNew { stay, row: row.into() }),
        6 => (0..STAYS, any_row()).prop_map(|(stay, row)| Step::End { stay, row: row.into() }),
        6 => (0..STAYS, any_row()).prop_map(|(stay, row)| Step::Update { stay, row: row.into() }),
        2 => (0..STAYS).prop_map(|stay| Step::Delete { stay }),
        6 => (0..3_u64, 0..4_u8, any_hash()).prop_map(|(log_number, request, hash)| Step::Append { log_number, request, hash }),
        3 => any_loose().prop_map(|fact| Step::Loose { fact }),
        2 => any_place().prop_map(|at| Step::Tighten { at }),
        2 => any_setting().prop_map(Step::Setting),
        1 => any_setting().prop_map(|Setting { kind, id, .. }| Step::NoSetting { kind, id }),
        1 => summary,
        4 => any_total(),
        5 => Just(Step::Commit),
        2 => Just(Step::Rollback),
        1 => Just(Step::Crash),
        1 => prop_oneof![4 => Just(Step::Commit), 1 => Just(Step::Clear)],
    ]
}

/// A sum of nothing is one that is not there.
const TOTALS: &str = "SELECT concat_ws(' ', quarter, edge_id, taken_by, entries, exits, revenue) FROM quarter_total \
                      WHERE entries <> 0 OR exits <> 0 OR revenue <> 0 ORDER BY 1";

fn nothing() -> Summary {
    Summary { digest: [0; 32], max_hlc: Hlc::default(), events: 0, loose_facts: 0 }
}

fn stay_id(stay: u8) -> String {
    format!("central-1_{stay}_29A12345")
}

/// An entry that carries request `r<request>` of edge-1.
fn event_with_request(log: &LogId, seq: u64, request: u8) -> EventBytes {
    let entry = Entry {
        plate_view: "29A-123.45".into(),
        camera_type: "car".into(),
        request_id: Some(format!("r{request}")),
        ..Entry::of(plate("29A12345"), "edge-1")
    };
    let draft = Draft {
        hlc: Hlc::new(5).unwrap(),
        timestamp_ms: 5,
        skew_ms: None,
        event_id: Some("central-1_5_29A12345".into()),
        body: Body::Entry(entry),
        by: None,
    };
    draft.encode(log, seq).unwrap().into()
}

/// Row numbers are each storage's own.
fn without_number(mut stays: Vec<StoredStay>) -> Vec<(i64, [u8; 32])> {
    stays.sort_by(|a, b| a.row.stay_id.cmp(&b.row.stay_id));
    stays.into_iter().map(|stay| (stay.committed_ms, stay.row.hash())).collect()
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

/// The clock of the fact that ends a row: after all of its plate. Both storages know one that no row of the plate is above, and it
/// need not be the same: a row that left a plate may have raised one of them.
fn clock_of_end(step: &Step, memory: &mut MemoryStorage, writer: &mut Writer) -> Hlc {
    let Step::End { stay, row } = step else { return Hlc::default() };
    let Some(held) = memory.stay(&stay_id(*stay)).unwrap() else { return Hlc::default() };
    let plate = held.row.plate_id;
    let greatest = memory.greatest_hlc_of_plate(&plate).unwrap().max(writer.greatest_hlc_of_plate(&plate).unwrap());
    Hlc::next(row.last_hlc.ms(), greatest)
}

fn apply<S: Storage>(storage: &mut S, step: &Step, heads: &mut [u64; 3], ends_at: Hlc) {
    let row_of = |storage: &mut S, stay: u8| storage.stay(&stay_id(stay)).unwrap().map(|found| found.row_id);
    match step {
        Step::Insert { stay, row, own } => {
            if row_of(storage, *stay).is_none() {
                let row = StayRow { stay_id: stay_id(*stay), ..(**row).clone() };
                storage.insert_stay(&row, *own, i64::from(*stay)).unwrap();
            }
        }
        Step::InsertIfNew { stay, row } => {
            let taken = row_of(storage, *stay).is_some();
            let row = StayRow { stay_id: stay_id(*stay), ..(**row).clone() };
            let given = storage.insert_stay_if_new(&row, true, i64::from(*stay)).unwrap();
            assert_eq!(given.is_none(), taken);
        }
        Step::End { stay, row } => {
            let stored = storage.stay(&stay_id(*stay)).unwrap();
            if let Some(StoredStay { row_id, row: held, .. }) = stored.filter(|held| held.row.status == StayStatus::In)
            {
                let ended = StayRow {
                    confirmed_ms: row.confirmed_ms,
                    confirm_fact: row.confirm_fact.clone(),
                    exit: row.exit.clone(),
                    status: row.status,
                    collected: row.collected,
                    anomalies: row.anomalies.clone(),
                    last_hlc: ends_at,
                    ..held
                };
                storage.update_ending(row_id, &ended, 99).unwrap();
            }
        }
        Step::Update { stay, row } => {
            if let Some(row_id) = row_of(storage, *stay) {
                let row = StayRow { stay_id: stay_id(*stay), ..(**row).clone() };
                storage.update_stay(row_id, &row, 99).unwrap();
            }
        }
        Step::Delete { stay } => {
            if let Some(row_id) = row_of(storage, *stay) {
                storage.delete_stay(row_id).unwrap();
            }
        }
        Step::Append { log_number, request, hash } => {
            let to = &mut heads[usize::try_from(*log_number).unwrap()];
            *to += 1;
            let at = at(*log_number, *to);
            let event = event_with_request(&at.log, at.seq, *request);
            storage.append_event(&at, &event, *hash, 1).unwrap();
            storage.set_head(&at.log, Head { to: *to, hash: *hash }).unwrap();
            storage.put_request("edge-1", &format!("r{request}"), &at, Hlc::new(Hlc::MAX_MS).unwrap()).unwrap();
        }
        Step::Loose { fact } => storage.put_loose_fact(fact).unwrap(),
        Step::Tighten { at } => storage.remove_loose_fact(at).unwrap(),
        Step::Setting(setting) => storage.put_setting(setting).unwrap(),
        Step::NoSetting { kind, id } => storage.remove_setting(*kind, id).unwrap(),
        Step::Summary(summary) => storage.set_summary(summary).unwrap(),
        Step::Total { key, change } => storage.add_total(key.clone(), *change).unwrap(),
        Step::Clear => {
            storage.clear_projection().unwrap();
            // What a disk keeps of events that are not as they were written.
            for Setting { kind, id, .. } in storage.settings_left().unwrap() {
                storage.remove_setting(kind, &id).unwrap();
            }
            storage.set_summary(&nothing()).unwrap();
        }
        Step::Commit | Step::Rollback | Step::Crash => {}
    }
}

fn agree(memory: &mut MemoryStorage, writer: &mut Writer) {
    for stay in 0..STAYS {
        let id = stay_id(stay);
        let (a, b) = (memory.stay(&id).unwrap(), writer.stay(&id).unwrap());
        assert_eq!(without_number(a.into_iter().collect()), without_number(b.into_iter().collect()), "{id}");
    }
    for digit in 0..6 {
        let plate = plate(&format!("29A1234{digit}"));
        let mut before = Hlc::MAX;
        loop {
            let (a, b) = (memory.last_begun(&plate, before).unwrap(), writer.last_begun(&plate, before).unwrap());
            let Some(last) = a.first() else { break assert_eq!(b, Vec::new()) };
            before = last.row.entry_hlc;
            assert_eq!(without_number(a), without_number(b), "{plate}");
        }
        let since = Hlc::default();
        let (a, b) = (memory.begun_since(&plate, since, 99).unwrap(), writer.begun_since(&plate, since, 99).unwrap());
        let clocks = |rows: &[StoredStay]| rows.iter().map(|stay| stay.row.entry_hlc).collect::<Vec<_>>();
        assert_eq!(clocks(&a), clocks(&b));
        assert_eq!(without_number(a), without_number(b), "{plate}");
        let (a, b) = (memory.greatest_hlc_of_plate(&plate).unwrap(), writer.greatest_hlc_of_plate(&plate).unwrap());
        assert!(a <= b, "no row of {plate} is above");
    }
    let middle = Hlc::new(1_000).unwrap();
    for key in ["s:a", "s:b", "p:29A12345"] {
        for clocks in [EVER, Hlc::MIN..=middle, middle..=middle, middle..=Hlc::MAX] {
            let (a, b) = (memory.loose_facts(key, clocks.clone()), writer.loose_facts(key, clocks.clone()));
            assert_eq!(sorted(a.unwrap()), sorted(b.unwrap()), "{key} {clocks:?}");
        }
        assert_eq!(memory.greatest_loose_hlc(key).unwrap(), writer.greatest_loose_hlc(key).unwrap(), "{key}");
    }
    for row in memory.stays.values().map(|stored| stored.row.clone()).collect::<Vec<_>>() {
        let Some(exit) = row.exit else { continue };
        let second = exit.exit_ms.div_euclid(1_000);
        let (a, b) = (memory.ended_in(second, exit.fee).unwrap(), writer.ended_in(second, exit.fee).unwrap());
        assert!(a.iter().any(|stored| stored.row.stay_id == row.stay_id));
        assert_eq!(without_number(a), without_number(b));
    }
    for request in 0..4 {
        let id = format!("r{request}");
        for clocks_ms in [(0, 5), (Hlc::MAX_MS - 5, Hlc::MAX_MS)] {
            let of = |storage: &mut dyn FnMut(&str) -> Vec<EventRef>| (sorted(storage("edge-1")), storage("edge-2"));
            let a = of(&mut |edge| memory.events_of_request(edge, &id, clocks_ms).unwrap());
            let b = of(&mut |edge| writer.events_of_request(edge, &id, clocks_ms).unwrap());
            assert_eq!(a, b, "{id}");
            assert_eq!(b.1, Vec::new());
        }
    }
    for number in 0..3 {
        for seq in 1..9 {
            assert_eq!(memory.event(&at(number, seq)).unwrap(), writer.event(&at(number, seq)).unwrap());
        }
    }
}

fn same_load(memory: &mut MemoryStorage, writer: &mut Writer) {
    let parts = |loaded: Loaded| {
        let heads = loaded.heads.into_iter().map(|(log, head)| (log, head.to, head.hash)).collect();
        let settings = loaded.settings.into_iter().map(|s| (s.kind, s.id, s.hlc, s.at, s.value)).collect();
        (sorted(heads), without_number(loaded.inside), sorted(settings), loaded.summary)
    };
    assert_eq!(parts(memory.load().unwrap()), parts(writer.load().unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_writer_agrees_with_the_storage_in_memory(steps in proptest::collection::vec(any_step(), 1..60)) {
        let mut memory = MemoryStorage::default();
        let mut disk = Disk::new();
        let mut committed = [0; 3];
        let (mut memory_heads, mut disk_heads) = (committed, committed);
        memory.begin().unwrap();
        disk.writer().begin().unwrap();
        for step in &steps {
            let ends_at = clock_of_end(step, &mut memory, disk.writer());
            apply(&mut memory, step, &mut memory_heads, ends_at);
            apply(disk.writer(), step, &mut disk_heads, ends_at);
            agree(&mut memory, disk.writer());
            match step {
                Step::Commit => {
                    memory.commit().unwrap();
                    disk.writer().commit().unwrap();
                    committed = memory_heads;
                    same_load(&mut memory, disk.writer());
                    let summed = memory.totals.iter().map(|((quarter, _, edge_id, taken_as), sum)| {
                        format!("{quarter} {edge_id} {} {} {} {}", taken_as.by, sum.entries, sum.exits, sum.revenue_vnd)
                    });
                    assert_eq!(disk.sql(TOTALS), sorted(summed.collect()));
                }
                Step::Rollback => {
                    memory.rollback();
                    disk.writer().rollback();
                }
                Step::Crash => {
                    memory.crash();
                    disk.reopen();
                    same_load(&mut memory, disk.writer());
                }
                _ => continue,
            }
            (memory_heads, disk_heads) = (committed, committed);
            memory.begin().unwrap();
            disk.writer().begin().unwrap();
        }
    }

    #[test]
    fn every_row_is_read_back_as_it_was_written(rows in proptest::collection::vec(any_row(), 1..20)) {
        let mut disk = Disk::new();
        let rows: Vec<StayRow> =
            rows.into_iter().enumerate().map(|(n, row)| StayRow { stay_id: format!("stay {n}"), ..row }).collect();
        disk.write(|writer| {
            for (n, row) in rows.iter().enumerate() {
                // First another row of that id: what is read back went through an update.
                let id = writer.insert_stay(&StayRow { stay_id: row.stay_id.clone(), ..car("29A12340", 5) }, true, 1).unwrap();
                if n % 2 == 0 {
                    writer.update_stay(id, row, 2).unwrap();
                } else {
                    writer.delete_stay(id).unwrap();
                    writer.insert_stay(row, false, 2).unwrap();
                }
            }
        });
        let writer = disk.reopen();
        for row in &rows {
            prop_assert_eq!(writer.stay(&row.stay_id).unwrap().unwrap().row.hash(), row.hash(), "{}", row.stay_id);
        }
        let inside: BTreeSet<[u8; 32]> =
            rows.iter().filter(|row| row.status == StayStatus::In).map(StayRow::hash).collect();
        let loaded: BTreeSet<[u8; 32]> = writer.load().unwrap().inside.iter().map(|stay| stay.row.hash()).collect();
        prop_assert_eq!(inside, loaded);
    }
}

#[test]
fn an_event_that_is_held_is_refused_and_the_rest_can_be_rolled_back() {
    let mut disk = Disk::new();
    let mut head = Head::empty(&log(1));
    disk.write(|writer| head = append(writer, &log(1), head, "one"));
    let writer = disk.writer();
    writer.begin().unwrap();
    let error = writer.append_event(&at(1, 1), &"other".into(), head.hash, 1).unwrap_err();
    assert_eq!(error.code(), "event_held");
    writer.rollback();
    assert_eq!(&*writer.event(&at(1, 1)).unwrap().unwrap(), "one");
}

#[test]
fn a_row_number_is_never_given_twice() {
    let mut disk = Disk::new();
    let mut numbers = Vec::new();
    disk.write(|writer| numbers.push(writer.insert_stay(&car("29A12345", 1), true, 1).unwrap()));
    disk.write(|writer| writer.delete_stay(numbers[0]).unwrap());
    disk.reopen();
    disk.write(|writer| numbers.push(writer.insert_stay(&car("29A12345", 2), true, 1).unwrap()));
    disk.write(|writer| writer.clear_projection().unwrap());
    disk.write(|writer| numbers.push(writer.insert_stay(&car("29A12345", 3), true, 1).unwrap()));
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn changes_outside_a_transaction_are_refused() {
    let mut disk = Disk::new();
    let writer = disk.writer();
    assert_eq!(writer.insert_stay(&car("29A12345", 1), true, 1).unwrap_err().code(), "no_transaction");
    assert_eq!(
        writer.append_event(&at(1, 1), &"one".into(), ChainHash([0; 32]), 1).unwrap_err().code(),
        "no_transaction"
    );
    assert_eq!(writer.commit().unwrap_err().code(), "no_transaction");
}

#[test]
fn the_end_of_a_row_that_was_overtaken_moves_the_clock_of_its_plate() {
    let mut disk = Disk::new();
    let mut older = 0;
    disk.write(|writer| {
        older = writer.insert_stay(&StayRow { stay_id: "older".into(), ..car("29A12345", 10) }, true, 1).unwrap();
        writer.insert_stay(&StayRow { stay_id: "newer".into(), ..left(car("29A12345", 20), 30) }, true, 1).unwrap();
    });
    disk.write(|writer| {
        let row = writer.stay("older").unwrap().unwrap().row;
        writer.update_stay(older, &StayRow { stay_id: "older".into(), ..left(row, 40) }, 1).unwrap();
    });
    let plate = plate("29A12345");
    assert_eq!(disk.writer().greatest_hlc_of_plate(&plate).unwrap(), Some(Hlc::new(40).unwrap()));
}

/// What the writer knows by heart of a plate is what is on disk, also where a late fact takes the exit from the newest stay: the plate's
/// greatest clock stays as high as it ever was.
#[test]
fn an_exit_that_moves_to_an_older_stay_leaves_the_clock_of_the_plate_as_high() {
    let (mut disk, mut memory) = (Disk::new(), MemoryStorage::default());
    let stay = |id: &str, entry_ms: i64| StayRow { stay_id: id.into(), ..car("29A12345", entry_ms) };
    let (older, newest) = (stay("older", 10), stay("newest", 20));
    let plate = older.plate_id.clone();
    fn moved(storage: &mut impl Storage, [older, newest]: [&StayRow; 2]) {
        storage.begin().unwrap();
        let older_id = storage.insert_stay(older, true, 1).unwrap();
        let newest_id = storage.insert_stay(newest, true, 1).unwrap();
        storage.update_ending(newest_id, &left(newest.clone(), 40), 2).unwrap();
        storage.update_ending(newest_id, newest, 3).unwrap();
        storage.update_ending(older_id, &left(older.clone(), 40), 3).unwrap();
        storage.commit().unwrap();
    }
    moved(disk.writer(), [&older, &newest]);
    moved(&mut memory, [&older, &newest]);
    let greatest = Some(Hlc::new(40).unwrap());
    assert_eq!(memory.greatest_hlc_of_plate(&plate).unwrap(), greatest);
    assert_eq!(disk.writer().greatest_hlc_of_plate(&plate).unwrap(), greatest);
    assert_eq!(disk.reopen().greatest_hlc_of_plate(&plate).unwrap(), greatest, "as it is on disk");
}
