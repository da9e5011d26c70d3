//! What an event costs is bounded by what it touches: rows and facts read and changes made are the same after a short history of
//! its plate and after one that is ten times as long, with voids, corrections, second exits and repeated requests in it.

use std::sync::OnceLock;

use parkmesh::domain::anomaly::Anomaly;
use parkmesh::domain::direction::Direction;
use parkmesh::domain::event::Draft;
use parkmesh::domain::row::StayStatus;
use parkmesh::ledger::Ledger;
use parkmesh::ledger::job::{Answer, Beside, Hearing, Job, OpenBarrier, Report, Told};
use parkmesh::ledger::memory::MemoryStorage;
use parkmesh::ledger::report::{MOST_ENTERED_AGAIN, MOST_TOLD_AGAIN};
use proptest::prelude::*;

use crate::ledger_support::check::check;
use crate::ledger_support::say::{self, Scribe};
use crate::ledger_support::{
    Central, DAY_MS, HOUR_MS, MINUTE_MS, P, Q, SECOND_MS, START_MS, close, correct, entry, exit, forced, plate,
    requested, void,
};
use crate::reporting::{report, take};

/// Visits of the plate, one a day, before what is measured.
const FEW: i64 = 100;
const MANY: i64 = 10 * FEW;
/// Every so many visits one of each kind is odd; a divisor of both, so that the latest visits are alike.
const PERIOD: i64 = 10;
/// In what order things are gathered is left to chance, and rows of a plate are read some at a time.
const MARGIN: u64 = 8;

/// Which visit something is about: so many before the latest, or after the first.
#[derive(Debug, Clone, Copy)]
enum Visit {
    FromLatest(i64),
    FromFirst(i64),
}

#[derive(Debug, Clone)]
enum Act {
    Press {
        direction: Option<Direction>,
        force: bool,
        request: Option<u8>,
    },
    Close,
    /// The request that let the car of that visit in, asked again.
    AskAgain(Visit),
    Correct(Visit, &'static str),
    Void(Visit),
    /// What another central knew, and says only now.
    LateVisit(Visit),
    LateExit(Visit),
    LateEntry(Visit),
    /// What a predecessor knew.
    Told(Visit),
    Wait,
}

struct Site {
    central: Central,
    /// At one central the cars come in, at another they leave; the third was cut off.
    late: Scribe,
    visits: i64,
    said: u64,
}

fn in_ms(visit: i64) -> i64 {
    START_MS + visit * DAY_MS
}

fn stay(visit: i64) -> String {
    format!("central-8_{visit}_{P}")
}

impl Site {
    /// Both histories are made once.
    fn after(visits: i64) -> Self {
        static DISKS: [OnceLock<MemoryStorage>; 2] = [OnceLock::new(), OnceLock::new()];
        let disk = DISKS[usize::from(visits == MANY)].get_or_init(|| Self::made(visits).central.ledger.into_storage());
        let mut central = Central::new(0);
        central.ledger = Ledger::open(disk.clone(), central.ledger.context().clone()).unwrap();
        central.now_ms = in_ms(MANY);
        Self { central, late: Scribe::new("central-7", 3), visits, said: 0 }
    }

    fn made(visits: i64) -> Self {
        // The latest visit is the same in both, whenever the first was.
        let (mut ins, mut outs) = (Scribe::new("central-8", 1), Scribe::new("central-9", 2));
        for visit in MANY - visits..MANY {
            let (at, id) = (in_ms(visit), stay(visit));
            ins.say(&say::with_request(say::entry(at, &id, P), &format!("in-{visit}")));
            outs.say(&say::with_request(say::exit(at + HOUR_MS, &id, P, 25_000), &format!("out-{visit}")));
            match visit % PERIOD {
                2 => drop(outs.say(&say::exit(at + HOUR_MS + MINUTE_MS, &id, P, 30_000))),
                4 => drop(ins.say(&say::with_request(say::entry(at + MINUTE_MS, &id, P), &format!("in-{visit}")))),
                6 => drop(ins.say(&say::correction(at + 2 * HOUR_MS, &id, Some(Q)))),
                8 => drop(ins.say(&say::void(at + 2 * HOUR_MS, &id, vec![]))),
                _ => {}
            }
        }
        let mut central = Central::new(0);
        for scribe in [ins, outs] {
            central.ask(Job::Store(scribe.run(0, usize::MAX))).unwrap();
        }
        central.settle();
        Self { central, late: Scribe::new("central-7", 3), visits, said: 0 }
    }

    fn number(&self, visit: Visit) -> i64 {
        match visit {
            Visit::FromLatest(number) => MANY - 1 - number,
            Visit::FromFirst(number) => MANY - self.visits + number,
        }
    }

    /// What it costs: rows and facts read, and changes made.
    fn cost_of(&mut self, act: &Act) -> (u64, u64) {
        let storage = self.central.ledger.storage();
        let before = (storage.reads, storage.writes);
        self.act(act);
        self.central.settle();
        let storage = self.central.ledger.storage();
        (storage.reads - before.0, storage.writes - before.1)
    }

    fn act(&mut self, act: &Act) {
        self.central.wait(MINUTE_MS);
        match act {
            Act::Press { direction, force, request } => {
                let request_id = request.map(|id| format!("r{id}"));
                let request = OpenBarrier { direction: *direction, request_id, ..entry("edge-1", P) };
                drop(self.central.press(if *force { forced(request) } else { request }));
            }
            Act::Close => drop(self.central.ask(close("edge-1", P))),
            Act::AskAgain(visit) => {
                let id = format!("in-{}", self.number(*visit));
                drop(self.central.press(requested(&id, entry("edge-0", P))));
            }
            Act::Correct(visit, plate) => drop(self.central.ask(correct(&stay(self.number(*visit)), plate))),
            Act::Void(visit) => drop(self.central.ask(void(&stay(self.number(*visit))))),
            Act::LateVisit(visit) => {
                let (at, id) = (in_ms(self.number(*visit)) + 5 * HOUR_MS, format!("late-{}", self.late.head().to));
                self.late.say(&say::entry(at, &id, P));
                self.late.say(&say::exit(at + HOUR_MS, &id, P, 5_000));
            }
            Act::LateExit(visit) => {
                let number = self.number(*visit);
                self.late.say(&say::exit(in_ms(number) + 30 * MINUTE_MS, &stay(number), P, 5_000));
            }
            Act::LateEntry(visit) => {
                let at = in_ms(self.number(*visit)) + 10 * MINUTE_MS;
                let id = format!("late-{}", self.late.head().to);
                self.late.say(&say::entry(at, &id, P));
            }
            Act::Told(visit) => {
                let number = self.number(*visit);
                let told = [
                    say::entry(in_ms(number) + 7 * HOUR_MS, &format!("old-{number}"), P),
                    say::exit(in_ms(number) + 8 * HOUR_MS, &format!("old-{number}"), P, 7_000),
                ];
                let told = told.map(|draft| Told {
                    draft,
                    source_central: "old-central".to_owned(),
                    from: "old-central".to_owned(),
                });
                drop(self.central.ask(Job::Hear(told.into())));
            }
            Act::Wait => self.central.wait(DAY_MS),
        }
        if self.said < self.late.head().to {
            self.central.ask(Job::Store(self.late.run(self.said, usize::MAX))).unwrap();
            self.said = self.late.head().to;
        }
    }
}

fn visit() -> impl Strategy<Value = Visit> {
    prop_oneof![(0..12_i64).prop_map(Visit::FromLatest), (0..12_i64).prop_map(Visit::FromFirst)]
}

fn act() -> impl Strategy<Value = Act> {
    let direction = prop::sample::select(vec![None, Some(Direction::Entry), Some(Direction::Exit)]);
    prop_oneof![
        4 => (direction, any::<bool>(), prop::option::of(0..3_u8))
            .prop_map(|(direction, force, request)| Act::Press { direction, force, request }),
        1 => Just(Act::Close),
        1 => visit().prop_map(Act::AskAgain),
        2 => (visit(), prop::sample::select(vec![P, Q])).prop_map(|(visit, plate)| Act::Correct(visit, plate)),
        2 => visit().prop_map(Act::Void),
        2 => visit().prop_map(Act::LateVisit),
        2 => visit().prop_map(Act::LateExit),
        2 => visit().prop_map(Act::LateEntry),
        2 => visit().prop_map(Act::Told),
        1 => Just(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.min(64)))]

    #[test]
    fn an_event_costs_by_what_it_touches_and_not_by_the_history_of_its_plate(
        acts in prop::collection::vec(act(), 1..30),
    ) {
        let (mut few, mut many) = (Site::after(FEW), Site::after(MANY));
        for act in &acts {
            let ((few_read, few_changed), (many_read, many_changed)) = (few.cost_of(act), many.cost_of(act));
            prop_assert_eq!(few_changed, many_changed, "{:?}", act);
            prop_assert!(many_read <= few_read + MARGIN, "{:?}: {} read after {} visits, {} after {}",
                act, few_read, FEW, many_read, MANY);
        }
    }
}

#[test]
fn a_visit_by_hand_reads_and_writes_as_little_as_that_of_a_new_car() {
    let mut old = Site::after(MANY);
    let mut new = Site { central: Central::new(0), late: Scribe::new("central-7", 3), visits: 0, said: 0 };
    new.central.now_ms = old.central.now_ms;
    for (act, most) in [
        (Act::Press { direction: Some(Direction::Entry), force: false, request: Some(1) }, (8, 12)),
        (Act::Close, (8, 12)),
        (Act::Press { direction: Some(Direction::Exit), force: false, request: Some(2) }, (8, 12)),
    ] {
        let (old, new) = (old.cost_of(&act), new.cost_of(&act));
        assert!(old.0 <= most.0 && old.1 <= most.1, "{act:?} of a car that came often: {old:?}, of a new one: {new:?}");
        assert_eq!(old.1, new.1, "{act:?}: changes");
    }
    assert_eq!(old.central.press(exit("edge-1", P)).is_ok(), new.central.press(exit("edge-1", P)).is_ok());
}

/// One passage is told over and over, each time by another edge and as of another moment.
#[test]
fn a_passage_that_is_told_a_thousand_times_makes_few_rows_and_costs_little() {
    type AfterS = fn(i64) -> i64;
    let (entry, exit) = (Direction::Entry, Direction::Exit);
    // At other moments after the first: later and later, earlier and earlier, or within the minutes in which it is one passage.
    let moments: [(Direction, AfterS); 3] =
        [(entry, |nth| 11 + nth), (entry, |nth| -11 - nth), (exit, |nth| 11 + nth % 280)];
    for (direction, after_s) in moments {
        let mut central = Central::new(0);
        central.now_ms -= 5 * HOUR_MS;
        central.enters(requested("first", crate::ledger_support::entry("elsewhere", P)));
        let mut first_ms = central.now_ms;
        if direction == exit {
            central.wait(HOUR_MS);
            first_ms = central.now_ms;
            take(&mut central, report(exit, Some("first"), None));
        }
        central.now_ms = START_MS;
        let tell = |central: &mut Central, nth: i64| {
            central.wait(1);
            let told_ms = first_ms + after_s(nth) * SECOND_MS;
            let told = Report { edge_id: format!("{nth}"), ..report(direction, Some("again"), Some(told_ms)) };
            match central.ask(Job::Report(told)) {
                Ok(Answer::Reported(passed)) => *passed,
                other => panic!("{other:?}"),
            }
        };
        let events = central.ledger.events();
        for nth in 0..1_000 {
            tell(&mut central, nth);
        }
        let often = if direction == exit { MOST_TOLD_AGAIN } else { MOST_ENTERED_AGAIN } as u64;
        assert_eq!(central.ledger.events() - events, often, "{direction:?}");
        let before = central.ledger.storage().reads;
        let passed = tell(&mut central, 1_000);
        let read = central.ledger.storage().reads - before;
        assert!(read <= 4 * often, "{direction:?}: {read} read");
        assert_eq!((passed.repeated, passed.notes.last().unwrap().code), (true, "told_often"), "{direction:?}");
        check(&mut central);
        let shown = if direction == entry { Anomaly::DoubleEntry } else { Anomaly::DoubleExit };
        assert!(central.rows().iter().any(|row| row.anomalies.contains(&shown)), "{direction:?}");
    }
}

/// A camera that reads a parked car over and over takes no entry from the gates, and gates that nobody knows have a bound together.
#[test]
fn what_one_camera_tells_often_leaves_room_for_the_entries_of_other_gates() {
    let mut central = Central::new(0);
    let tell = |central: &mut Central, edge_id: String, told_ms: Option<i64>| {
        central.wait(15 * SECOND_MS);
        let told =
            Report { edge_id, request_id: Some(central.now_ms.to_string()), ..report(Direction::Entry, None, told_ms) };
        match central.ask(Job::Report(told)) {
            Ok(Answer::Reported(passed)) => passed.notes.iter().all(|note| note.code != "told_often"),
            other => panic!("{other:?}"),
        }
    };
    let first = central.enters(crate::ledger_support::entry("in", P));
    let written = (0..100).filter(|_| tell(&mut central, "parked".to_owned(), None)).count();
    assert_eq!(written, MOST_TOLD_AGAIN);
    // It left by a gate that is cut off, and comes in again; then that gate tells its exit.
    let left_ms = central.now_ms;
    central.wait(HOUR_MS);
    assert!(tell(&mut central, "in".to_owned(), None));
    let again = central.now_ms;
    let exit = Report { edge_id: "out".to_owned(), ..report(Direction::Exit, None, Some(left_ms)) };
    central.wait(MINUTE_MS);
    assert_eq!(take(&mut central, exit).event_id, first);
    let inside: Vec<i64> =
        central.rows().iter().filter(|row| row.status == StayStatus::In).map(|row| row.entry_ms).collect();
    assert_eq!(inside, [again]);
    for nth in 0..2 * MOST_ENTERED_AGAIN {
        tell(&mut central, format!("nobody {nth}"), None);
    }
    assert!(central.ledger.events() < 2 * MOST_ENTERED_AGAIN as u64);
    check(&mut central);
}

/// Cars that come every day in the tests below.
const CARS: i64 = 12;

fn car(number: i64) -> String {
    format!("29A{:05}", 10_000 + number)
}

/// A day of a car: its entry and its exit.
fn day_of(car_number: i64, day: i64) -> [Draft; 2] {
    let (plate, at) = (car(car_number), START_MS + day * DAY_MS + car_number * MINUTE_MS);
    let id = format!("central-8_{at}_{plate}");
    [
        say::with_request(say::entry(at, &id, &plate), &format!("in-{at}")),
        say::with_request(say::exit(at + 8 * HOUR_MS, &id, &plate, 25_000), &format!("out-{at}")),
    ]
}

/// Rows and facts read and changes made, for each event.
fn cost_per_event(central: &mut Central, events: i64, work: impl FnOnce(&mut Central)) -> f64 {
    let cost = |central: &Central| central.ledger.storage().reads + central.ledger.storage().writes;
    let before = cost(central);
    work(central);
    central.settle();
    (cost(central) - before) as f64 / events as f64
}

#[test]
fn catching_up_costs_as_much_for_each_event_after_a_year_as_after_a_month() {
    let cost = |days: i64, in_turns: bool| {
        let (mut ins, mut outs) = (Scribe::new("central-8", 1), Scribe::new("central-9", 2));
        for day in 0..days {
            for number in 0..CARS {
                let [entry, exit] = day_of(number, day);
                ins.say(&entry);
                outs.say(&exit);
            }
        }
        let mut central = Central::new(0);
        cost_per_event(&mut central, 2 * days * CARS, |central| {
            let runs = |scribe: &Scribe| (0..scribe.head().to).step_by(40).map(|after| scribe.run(after, 40)).collect();
            let (ins, outs): (Vec<_>, Vec<_>) = (runs(&ins), runs(&outs));
            if in_turns {
                for (entries, exits) in ins.into_iter().zip(outs) {
                    // The exits of a day are there before its entries.
                    for run in [exits, entries] {
                        central.ask(Job::Store(run)).unwrap();
                        central.settle();
                    }
                }
            } else {
                for run in outs.into_iter().chain(ins) {
                    central.ask(Job::Store(run)).unwrap();
                }
            }
        })
    };
    for in_turns in [true, false] {
        let (month, year) = (cost(30, in_turns), cost(360, in_turns));
        assert!(year <= 1.1 * month, "in turns {in_turns}: {month} for each event of a month, {year} of a year");
    }
}

#[test]
fn an_import_with_a_car_that_never_left_costs_as_much_for_each_event_of_a_year_as_of_a_month() {
    let cost = |days: i64, ghosts: bool| {
        let mut central = Central::new(0);
        cost_per_event(&mut central, 2 * days * CARS, |central| {
            for day in 0..days {
                let mut drafts: Vec<Draft> = (0..CARS).flat_map(|number| day_of(number, day)).collect();
                if ghosts && day == 2 {
                    let at = |number| START_MS + 2 * DAY_MS - HOUR_MS + number;
                    drafts.extend((0..CARS).map(|n| say::entry(at(n), &format!("ghost-{n}"), &car(n))));
                }
                let told = |draft| Told { draft, source_central: "old".to_owned(), from: "old.db".to_owned() };
                let answer = central.ask(Job::Hear(drafts.into_iter().map(told).collect())).unwrap();
                let Answer::Heard(hearings) = answer else { panic!("{answer:?}") };
                assert!(hearings.iter().all(|hearing| *hearing == Hearing::New));
            }
        })
    };
    let (month, year, without) = (cost(30, true), cost(360, true), cost(360, false));
    assert!(year <= 1.1 * month, "{month} for each event of a month, {year} of a year");
    assert!(year <= 2.0 * without, "{year} with, {without} without");
}

#[test]
fn edges_that_count_their_events_anew_each_day_cost_as_much_after_months_as_after_weeks() {
    let mut central = Central::new(0);
    let mut weeks = Vec::new();
    for week in 0..15 {
        weeks.push(cost_per_event(&mut central, 7 * 2 * CARS, |central| {
            for day in week * 7..week * 7 + 7 {
                central.now_ms = START_MS + day * DAY_MS;
                for direction in [Direction::Entry, Direction::Exit] {
                    // The same ids each day, for other cars.
                    for number in 0..CARS {
                        central.wait(MINUTE_MS);
                        let report = Report {
                            edge_id: "edge-1".to_owned(),
                            direction,
                            plate: plate(&car((number * 5 + day) % CARS)),
                            plate_view: None,
                            camera_type: String::new(),
                            confidence: None,
                            request_id: Some(format!("{direction:?}-{number}")),
                            told_ms: None,
                            fee: None,
                            seen_inside: false,
                            beside: Beside::default(),
                            notes: Vec::new(),
                            doubts: std::collections::BTreeSet::new(),
                        };
                        central.ask(Job::Report(report)).unwrap();
                    }
                }
            }
        }));
    }
    let (early, late) = (weeks[3], weeks[14]);
    assert!(late <= 1.1 * early, "{early} for each report of the fourth week, {late} of the last: {weeks:?}");
    assert_eq!(central.rows().len() as i64, 15 * 7 * CARS, "each day is a visit of each car");
}

/// Such as the id of the camera itself.
#[test]
fn an_id_that_comes_with_every_passage_costs_no_more_for_all_that_came_before() {
    let mut central = Central::new(0);
    let mut cost = |from: i64| {
        cost_per_event(&mut central, 100, |central| {
            for number in from..from + 100 {
                central.wait(SECOND_MS);
                let told = report(Direction::Entry, Some("camera 7"), None);
                central.ask(Job::Report(Report { plate: plate(&car(number)), ..told })).unwrap();
            }
        })
    };
    let costs: Vec<f64> = (0..5).map(|hundred| cost(hundred * 100)).collect();
    assert!(costs[4] <= 1.1 * costs[1], "{costs:?}");
    assert_eq!(central.ledger.inside().len(), 500);
}
