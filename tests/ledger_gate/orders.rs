//! Gates tell their visits with the times, in whatever order: the buffer of one comes last, a neighbour tells what it heard of.

use parkmesh::domain::anomaly::Anomaly;
use parkmesh::domain::direction::Direction;
use parkmesh::domain::ids::FactId;
use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::Method;
use parkmesh::domain::row::{StayRow, StayStatus};
use parkmesh::domain::tariff::Tariff;
use parkmesh::domain::time::SiteZone;
use parkmesh::domain::told::payment::ToldPaid;
use parkmesh::ledger::job::{Answer, CorrectStay, Job, Report};
use proptest::prelude::*;

use crate::ledger_support::check::check;
use crate::ledger_support::say::{self, Scribe};
use crate::ledger_support::*;
use crate::reporting::{report, revenue, take};

/// When a car came and when it left, in hours.
const VISITS: [(i64, i64); 3] = [(1, 3), (19, 20), (22, 27)];

/// One passage: of which visit, and which way.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Passage {
    visit: usize,
    direction: Direction,
}

impl Passage {
    fn all(visits: usize) -> Vec<Self> {
        let both = |visit| [Direction::Entry, Direction::Exit].map(|direction| Self { visit, direction });
        (0..visits).flat_map(both).collect()
    }

    fn at_ms(self) -> i64 {
        let (came, left) = VISITS[self.visit];
        START_MS + HOUR_MS * if self.direction == Direction::Entry { came } else { left }
    }

    /// By the gate of that way, or by one for both.
    fn told(self, two_gates: bool) -> Report {
        let edge = if two_gates && self.direction == Direction::Exit { "out" } else { "in" };
        let id = format!("{:?} {}", self.direction, self.visit);
        Report { edge_id: edge.to_owned(), ..report(self.direction, Some(&id), Some(self.at_ms())) }
    }
}

/// Every order of some things.
fn orders<T: Copy>(of: &[T]) -> Vec<Vec<T>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let first = |index: usize| {
        let (mut rest, first) = (of.to_vec(), of[index]);
        rest.remove(index);
        orders(&rest).into_iter().map(move |rest| [vec![first], rest].concat())
    };
    (0..of.len()).flat_map(first).collect()
}

/// What is due for a stay by the tariff, whatever was taken.
fn due(row: &StayRow) -> i64 {
    let left_ms = row.exit.as_ref().unwrap().exit_ms;
    Tariff::default().fee("car", row.entry_ms, left_ms, &SiteZone::default()).0
}

/// Every visit is a stay of its own, with its entry and its exit; what was taken is what is due, or a person is told to look.
fn is_told_whole(central: &mut Central, visits: usize, order: &str) {
    check(central);
    let mut rows = central.rows();
    rows.sort_by_key(|row| row.entry_ms);
    let hours = |ms: i64| (ms - START_MS) / HOUR_MS;
    let stays: Vec<_> = rows
        .iter()
        .map(|row| (row.status, hours(row.entry_ms), row.exit.as_ref().map(|exit| hours(exit.exit_ms))))
        .collect();
    let expected: Vec<_> = VISITS[..visits].iter().map(|(came, left)| (StayStatus::Out, *came, Some(*left))).collect();
    assert_eq!(stays, expected, "{order}");
    for row in &rows {
        let is_shown = row.anomalies.contains(&Anomaly::FeeUncertain);
        assert!(
            row.collected.0 == due(row) || is_shown,
            "{order}: {} taken, {} due: {row:?}",
            row.collected.0,
            due(row)
        );
        assert_eq!(row.collected, row.exit.as_ref().unwrap().fee, "{order}");
    }
    let collected: i64 = rows.iter().map(|row| row.collected.0).sum();
    assert_eq!(revenue(central), collected, "{order}");
}

/// The passages are told in an order, each at one of two centrals, which hear of each other in the end, or after so many of them.
fn tell(order: &[(Passage, usize)], two_gates: bool, hear_after: usize) {
    let mut centrals = [Central::new(0), Central::new(1)];
    let last_ms = START_MS + 30 * HOUR_MS;
    for (told, (passage, at)) in order.iter().enumerate() {
        centrals.iter_mut().for_each(|central| central.now_ms = last_ms + told as i64 * 20 * SECOND_MS);
        take(&mut centrals[*at], passage.told(two_gates));
        if told + 1 == hear_after {
            hear_each_other(&mut centrals);
        }
    }
    hear_each_other(&mut centrals);
    let visits = order.len() / 2;
    let name = format!("{order:?}, two gates: {two_gates}, heard after {hear_after}");
    centrals.iter_mut().for_each(|central| is_told_whole(central, visits, &name));
    assert_eq!(centrals[0].rows(), centrals[1].rows());
}

fn hear_each_other(centrals: &mut [Central; 2]) {
    let [first, second] = centrals;
    first.hear(second);
    second.hear(first);
}

#[test]
fn two_visits_are_two_stays_in_every_order_of_telling_at_every_central() {
    for order in orders(&Passage::all(2)) {
        for two_gates in [false, true] {
            // Bit by bit, which central each is told at.
            for at in 0..1_usize << order.len() {
                let order: Vec<_> = order.iter().enumerate().map(|(nth, passage)| (*passage, at >> nth & 1)).collect();
                for hear_after in if at == 0 { 0..1 } else { 0..order.len() } {
                    tell(&order, two_gates, hear_after);
                }
            }
        }
    }
}

#[test]
fn three_visits_are_three_stays_in_every_order_of_telling() {
    for order in orders(&Passage::all(3)) {
        tell(&order.into_iter().map(|passage| (passage, 0)).collect::<Vec<_>>(), true, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(200)))]

    #[test]
    fn three_visits_are_three_stays_wherever_they_are_told(
        order in Just(Passage::all(3)).prop_shuffle(),
        at in prop::collection::vec(0..2_usize, 6),
        two_gates: bool,
        hear_after in 0..6_usize,
    ) {
        tell(&order.into_iter().zip(at).collect::<Vec<_>>(), two_gates, hear_after);
    }
}

/// The fee of an exit that ends another stay than it names is corrected as any other, together with what else is wrong of that stay.
#[test]
fn a_fee_that_moved_to_another_stay_can_be_corrected_with_it() {
    let mut central = Central::new(0);
    central.now_ms = START_MS + 30 * HOUR_MS;
    let [came, left, back, gone] = Passage::all(2)[..] else { panic!("two visits") };
    for passage in [came, back, gone, left] {
        central.wait(20 * SECOND_MS);
        take(&mut central, passage.told(true));
    }
    let rows = central.rows();
    let second = rows.iter().find(|row| row.entry_ms == back.at_ms()).unwrap();
    assert_eq!(second.collected.0, 475_000, "taken for 19 hours");
    let request = CorrectStay {
        stay_id: second.stay_id.clone(),
        camera_type: Some("truck".to_owned()),
        fee: Some(Vnd(25_000)),
        reason: "given back".to_owned(),
        ..CorrectStay::default()
    };
    central.ask(Job::Correct(request)).unwrap();
    check(&mut central);
    let second = central.row(&second.stay_id);
    assert_eq!((second.camera_type.as_str(), second.collected.0), ("truck", 25_000));
    assert_eq!(revenue(&mut central), 25_000 + 50_000);
    let trucks = central.rows().iter().filter(|row| row.camera_type == "truck").count();
    assert_eq!(trucks, 1, "the stay it names keeps its own");
}

/// The exit of a stay that names another one, or none, goes along when the plate of the stay is corrected, with its money.
#[test]
fn a_plate_that_is_corrected_takes_an_exit_along_that_did_not_know_its_entry() {
    let [came, left, back, gone] = Passage::all(2)[..] else { panic!("two visits") };
    for (fee, paid) in [(None, None), (Some(25_000), None), (None, Some(Method::Qr))] {
        // It names the first visit; or was told before any entry, and names none.
        for order in [[came, back, gone, left], [gone, came, left, back]] {
            let mut central = Central::new(0);
            central.now_ms = START_MS + 30 * HOUR_MS;
            for passage in order {
                central.wait(20 * SECOND_MS);
                let report = passage.told(true);
                take(&mut central, Report { fee: (passage == gone).then_some(Vnd(40_000)), ..report });
            }
            // Another exit of that plate, whose entry nobody saw: it stays what it is.
            let alone = report(Direction::Exit, Some("alone"), Some(gone.at_ms() + HOUR_MS));
            take(&mut central, Report { fee: Some(Vnd(7_000)), ..alone });
            let before = central.rows().into_iter().find(|row| row.entry_ms == back.at_ms()).unwrap();
            assert!(before.exit.as_ref().unwrap().entry_unknown, "{order:?}");
            let all = revenue(&mut central);
            let to_pay = paid.map(ToldPaid::by);
            let request = CorrectStay {
                stay_id: before.stay_id.clone(),
                plate: Some(plate(Q)),
                fee: fee.map(Vnd),
                paid: to_pay,
                reason: "misread".to_owned(),
                ..CorrectStay::default()
            };
            let Ok(Answer::Amended { row: Some(row), .. }) = central.ask(Job::Correct(request)) else {
                panic!("no row")
            };
            check(&mut central);
            let taken = fee.unwrap_or(before.collected.0);
            let exit = row.row.exit.as_ref().unwrap();
            assert_eq!(
                (row.row.plate_id.as_str(), row.row.status, exit.exit_ms, row.row.collected.0),
                (Q, StayStatus::Out, gone.at_ms(), taken)
            );
            assert_eq!(revenue(&mut central), all - before.collected.0 + taken, "{order:?}");
            let by_qr = central.ledger.storage().takings.values().filter(|taking| taking.told_apart.method == "qr");
            assert_eq!(by_qr.count(), usize::from(paid.is_some()));
            let others: Vec<_> = central.rows().into_iter().filter(|row| row.plate_id.as_str() == P).collect();
            assert_eq!(others.len(), 2, "{others:?}");
            for other in others {
                assert!(
                    other.status == StayStatus::Out && !other.anomalies.contains(&Anomaly::DoubleExit),
                    "{other:?}"
                );
            }
        }
    }
}

/// Two people in a cut correct that plate, each to another one: the later counts, and what was taken is taken once.
#[test]
fn an_exit_that_comes_along_to_two_plates_in_a_cut_is_one_exit() {
    let mut scribe = Scribe::new("central-9", 9);
    let stay = "central-9_1_29A12345";
    scribe.say(&say::entry(START_MS - HOUR_MS, stay, P));
    scribe.say(&say::exit_unknown(START_MS - MINUTE_MS, "central-9_2_29A12345", P, 25_000));
    let mut centrals = [Central::new(0), Central::new(1)];
    for (central, to) in centrals.iter_mut().zip([Q, "31C11111"]) {
        central.ask(Job::Store(scribe.run(0, usize::MAX))).unwrap();
        central.settle();
        assert!(central.row(stay).exit.unwrap().entry_unknown);
        central.wait(SECOND_MS);
        central.ask(correct(stay, to)).unwrap();
        check(central);
    }
    hear_each_other(&mut centrals);
    for central in &mut centrals {
        check(central);
        let row = central.row(stay);
        assert_eq!((row.status, row.collected, revenue(central)), (StayStatus::Out, Vnd(25_000), 25_000), "{row:?}");
        assert_eq!(central.rows().len(), 1);
    }
    assert_eq!(centrals[0].rows(), centrals[1].rows());
}

/// An exit is never before the entry it names. Where that went up in an older stay, the older one is open until then, whatever the clock of
/// the exit: what comes in between is of it.
#[test]
fn an_exit_that_acts_later_than_its_clock_is_found_where_it_acts() {
    let at = |minutes: i64| START_MS + minutes * MINUTE_MS;
    let known =
        [say::entry(at(10), "older", P), say::entry(at(100), "newer", P), say::exit(at(50), "newer", P, 25_000)];
    let between =
        [say::entry(at(70), "between", P), say::exit(at(80), "gone", P, 5_000), say::entry(at(60), "then", P)];
    for late in between {
        let (mut first, mut second) = (Scribe::new("central-8", 1), Scribe::new("central-9", 2));
        let mut central = Central::new(0);
        // A visit long before, of which a gate that was cut off tells an exit.
        first.say(&say::entry(at(1), "gone", P));
        first.say(&say::exit(at(2), "gone", P, 1_000));
        known.iter().for_each(|said| drop(first.say(said)));
        second.say(&late);
        for scribe in [&first, &second] {
            central.ask(Job::Store(scribe.run(0, usize::MAX))).unwrap();
            central.settle();
            check(&mut central);
        }
    }
}

/// An exit that was told before its entry took what nobody knows: what was due is said to the program, and known to whoever shows it.
#[test]
fn what_was_due_of_an_exit_told_before_its_entry_is_told() {
    let mut central = Central::new(0);
    central.now_ms = START_MS + 30 * HOUR_MS;
    let [came, left] = Passage::all(1)[..] else { panic!("one visit") };
    take(&mut central, left.told(true));
    central.wait(20 * SECOND_MS);
    let passed = take(&mut central, came.told(true));
    let row = passed.stay.unwrap().row;
    assert_eq!((row.status, row.collected.0), (StayStatus::Out, 0));
    let note = passed.notes.iter().find(|note| note.code == "left_before").unwrap();
    assert!(note.message.contains("50,000 VND were due"), "{note:?}");
    let due = |row: &StayRow| central.ledger.settings().due(row, &SiteZone::default(), central.wall_ms());
    assert_eq!(due(&row), Some(Vnd(50_000)));
    // What only a wrong clock, or a liar, says is not gone through day by day for centuries.
    let mut of_ages = row;
    of_ages.exit.as_mut().unwrap().exit_ms = START_MS + 8_000 * 366 * DAY_MS;
    assert_eq!(due(&of_ages), None);
}

/// A passage told twice is found as one whatever was between the two when they came: a stay that is another car's since, or one that began
/// in the very moment of the second telling.
#[test]
fn what_ended_before_an_exit_is_found_past_what_stood_between() {
    let at = |minutes: i64| START_MS + minutes * MINUTE_MS;
    let told = |draft| {
        say::change_exit(draft, |exit| {
            exit.told = true;
            exit.force = false;
            exit.requested_fee = None;
        })
    };
    let one = [say::entry(at(10), "one", P), say::exit(at(20), "one", P, 25_000)];
    // A clock that is far behind ends what begins next as soon as it begins.
    let next = |clock| [say::entry(clock, "two", P), say::exit(at(5), "two", P, 0)];
    let again = told(say::exit_unknown(at(22), "alone", P, 25_000));
    let (corrected, removed) = (say::correction(at(40), "two", Some(Q)), |removes| say::void(at(40), "two", removes));
    let fact = |seq| FactId::Authored { log: Scribe::new("central-9", 1).log, seq };
    let gone = [say::entry(at(1), "gone", P), say::exit(at(2), "gone", P, 1_000)];
    let of_gone = told(say::exit(at(22), "gone", P, 25_000));
    for (known, last) in [
        ([&one[..], &next(at(21)), std::slice::from_ref(&again)].concat(), corrected),
        ([&one[..], &next(at(21)), std::slice::from_ref(&again)].concat(), removed(vec![fact(3), fact(4)])),
        ([&gone[..], &one, &next(at(22))].concat(), of_gone),
    ] {
        let (mut later, mut earlier) = (Scribe::new("central-9", 1), Scribe::new("central-8", 2));
        known.iter().for_each(|said| drop(later.say(said)));
        earlier.say(&last);
        let mut central = Central::new(0);
        for scribe in [&later, &earlier] {
            central.ask(Job::Store(scribe.run(0, usize::MAX))).unwrap();
            central.settle();
            check(&mut central);
        }
        let twice = central.rows().iter().filter(|row| row.anomalies.contains(&Anomaly::DoubleExit)).count();
        assert_eq!(twice, 1, "it is one passage, told twice");
    }
}
