//! What two centrals make of the same cars: always the same.

use std::sync::Barrier;

use parkmesh::domain::anomaly::Anomaly;
use parkmesh::domain::ids::CentralId;
use parkmesh::domain::row::StayStatus;
use parkmesh::ledger::job::Job;
use serde_json::json;

use crate::common::{DEADLINE, Mesh, eventually_some, shifted_clock, with_status};
use crate::ledger_support::check::check;
use crate::ledger_support::say::{self, Scribe};
use crate::ledger_support::{Central, HOUR_MS, P, START_MS, entry, exit, forced};

#[test]
fn d29_a_clock_that_steps_back_gives_no_id_twice() {
    let mut central = Central::new(0);
    let mut stays = vec![central.enters(entry("edge-1", P))];
    central.wait(HOUR_MS);
    central.exits(exit("edge-1", P));
    // Back to the very moment of the first entry.
    central.wait(-HOUR_MS);
    stays.push(central.enters(entry("edge-1", P)));
    central.wait(-HOUR_MS);
    let (left, fee, duration) = central.exits(exit("edge-2", P));
    assert_eq!((left, fee, duration.as_str()), (stays[1].clone(), 0, "0 giờ 0 phút"));
    assert_eq!(central.row(&stays[1]).anomalies.iter().next(), Some(&Anomaly::FeeUncertain));
    stays.push(central.enters(entry("edge-1", P)));
    stays.push(central.enters(forced(entry("edge-2", P))));
    let statuses: Vec<StayStatus> = stays.iter().map(|stay| central.row(stay).status).collect();
    use StayStatus::{In, LeftUnseen, Out};
    assert_eq!(statuses, [Out, Out, LeftUnseen, In]);
    let clocks: Vec<_> = central.facts().iter().map(|fact| fact.event.hlc).collect();
    assert!(clocks.is_sorted_by(|a, b| a < b), "{clocks:?}");
    check(&mut central);
}

/// All orders of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let insert = |order: &Vec<usize>, at: usize| [&order[..at], &[count - 1], &order[at..]].concat();
    shorter.iter().flat_map(|order| (0..count).map(move |at| insert(order, at))).collect()
}

/// An exit that came before its entry was dropped, and the car was inside for ever.
#[test]
fn d09_every_order_of_arrival_gives_the_same_history() {
    let stay = format!("central-7_{START_MS}_{P}");
    let said = [
        say::entry(START_MS, &stay, P),
        say::confirmed(START_MS + 5_000, &stay),
        say::exit(START_MS + 60_000, &stay, P, 25_000),
        say::entry(START_MS + 120_000, "central-8_2_29A12345", P),
    ];
    let scribes: Vec<Scribe> = (1..)
        .zip(&said)
        .map(|(number, draft)| {
            let mut scribe = Scribe::new(&format!("central-{}", 6 + number), number);
            scribe.say(draft);
            scribe
        })
        .collect();
    let mut first = None;
    for order in orders(said.len()) {
        let mut central = Central::new(0);
        for number in &order {
            central.ask(Job::Store(scribes[*number].run(0, usize::MAX))).unwrap();
            check(&mut central);
        }
        central.settle();
        check(&mut central);
        let rows = central.rows();
        let statuses: Vec<StayStatus> = rows.iter().map(|row| row.status).collect();
        assert_eq!(statuses, [StayStatus::Out, StayStatus::In], "{order:?}");
        let digest = central.ledger.digest();
        assert_eq!(*first.get_or_insert(digest), digest, "{order:?}");
    }
}

/// Two gates press for one car at the same moment. Their databases kept different stays, and some presses let the car out.
#[test]
fn d15_one_plate_at_two_gates_at_once_is_one_car_inside() {
    const CARS: usize = 40;
    let mesh = Mesh::start(2);
    let plate = |number: usize| format!("29A100{number:02}");
    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        for gate in 0..2 {
            let (http, together) = (mesh.centrals[gate].http.clone(), &together);
            scope.spawn(move || {
                for number in 0..CARS {
                    together.wait();
                    let reply = http.press(&format!("edge-{gate}"), &plate(number), "ENTRY");
                    assert!(matches!(reply.status, 200 | 409), "{}", reply.text);
                }
            });
        }
    });
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((with_status(&history, "IN"), with_status(&history, "OUT")), (CARS, 0));
    for number in 0..CARS {
        mesh.centrals[number % 2].http.leave("edge-9", &plate(number));
    }
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((with_status(&history, "IN"), with_status(&history, "OUT")), (0, CARS));
}

#[test]
fn d16_an_exit_of_another_stay_never_closes_the_one_that_is_open() {
    let mut central = Central::new(0);
    let open = central.enters(entry("edge-1", P));
    let mut scribe = Scribe::new("central-9", 1);
    // An unknown stay of the same plate, later than the entry.
    scribe.say(&say::exit(START_MS + 60_000, &format!("central-9_1_{P}"), P, 0));
    central.ask(Job::Store(scribe.run(0, 1))).unwrap();
    central.settle();
    assert_eq!(central.row(&open).status, StayStatus::In);
    assert_eq!(central.ledger.storage_mut().loose.values().filter(|fact| fact.waiting).count(), 1, "it waits");
    check(&mut central);
}

#[test]
fn d18_a_car_that_came_in_at_both_sides_of_a_cut_is_inside_once() {
    let mesh = Mesh::start(2);
    mesh.cut(0, 1);
    let first = mesh.centrals[0].http.enter("edge-1", "29A12345");
    let second = mesh.centrals[1].http.enter("edge-1", "29A12345");
    mesh.heal(0, 1);
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((with_status(&history, "IN"), with_status(&history, "SUPERSEDED")), (1, 1));
    assert_eq!(history.row(&second).unwrap()["superseded_by"], json!(first), "the older one counts");
    assert!(mesh.centrals.iter().all(|central| central.http.stats()["vehicles_in_parking"] == 1));
    mesh.centrals[1].http.leave("edge-2", "29A12345");
    mesh.wait_equal(DEADLINE);
    assert!(mesh.centrals.iter().all(|central| central.http.stats()["vehicles_in_parking"] == 0));
}

/// An entry with an earlier clock deleted the row that the barrier had just opened for.
#[test]
fn d19_what_a_slow_clock_supersedes_can_still_be_named() {
    let mut mesh = Mesh::new(2);
    mesh.centrals[0].env("PARKMESH_CLOCK", shifted_clock(-HOUR_MS));
    mesh.start_all();
    mesh.cut(0, 1);
    let at_b = mesh.centrals[1].http.enter("edge-1", "29A12345");
    let at_a = mesh.centrals[0].http.enter("edge-1", "29A12345");
    mesh.heal(0, 1);
    let history = mesh.wait_equal(DEADLINE);
    let row = history.row(&at_b).expect("the id that was handed out is still there");
    assert_eq!((&row["status"], &row["superseded_by"]), (&json!("SUPERSEDED"), &json!(at_a)), "{row}");
    mesh.centrals[1].http.leave("edge-1", "29A12345");
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((with_status(&history, "IN"), with_status(&history, "OUT")), (0, 1));

    // An exit that names the superseded stay lets the car out that is inside.
    let mut central = Central::new(0);
    let mut scribe = Scribe::new("central-9", 1);
    scribe.say(&say::entry(START_MS, "S-old", P));
    scribe.say(&say::entry(START_MS + 1_000, "S-new", P));
    scribe.say(&say::exit(START_MS + HOUR_MS, "S-new", P, 25_000));
    central.ask(Job::Store(scribe.run(0, 3))).unwrap();
    central.settle();
    let statuses: Vec<StayStatus> = central.rows().iter().map(|row| row.status).collect();
    assert_eq!(statuses, [StayStatus::Superseded, StayStatus::Out]);
}

/// The second field of an id was taken for its time.
#[test]
fn d20_nothing_is_read_out_of_an_id() {
    for id in ["central_2", "bai_xe", "_", "a_"] {
        assert!(CentralId::new(id).is_err(), "{id}");
    }
    let (older, newer) = ("bai_xe_1_29A12345", "central_2_99999999999999_29A12345");
    for ids in [[older, newer], [newer, older]] {
        let mut scribe = Scribe::new("central-9", 1);
        scribe.say(&say::entry(START_MS, ids[0], P));
        scribe.say(&say::entry(START_MS + 1, ids[1], P));
        let mut central = Central::new(0);
        central.ask(Job::Store(scribe.run(0, 2))).unwrap();
        central.settle();
        assert_eq!(central.row(ids[0]).status, StayStatus::In, "who came first, whatever it is called");
        assert_eq!(central.row(ids[1]).status, StayStatus::Superseded);
    }
}

/// Each side kept its own fee, and the takings of the site depended on whom one asked.
#[test]
fn d26_two_exits_of_one_visit_are_one_exit_and_two_takings_everywhere() {
    let mut mesh = Mesh::new(2);
    mesh.fast_clock(1_000);
    mesh.start_all();
    let stay = mesh.centrals[0].http.enter("edge-1", "29A12345");
    mesh.wait_equal(DEADLINE);
    mesh.cut(0, 1);
    eventually_some("a fee is due", DEADLINE, || {
        let seen = mesh.centrals[1].http.detect("edge-2", "29A12345", "EXIT").ok();
        seen.body["vehicle_info"]["fee"].as_i64().filter(|fee| *fee > 0)
    });
    let fees = [0, 1].map(|side| mesh.centrals[side].http.leave("edge-2", "29A12345"));
    mesh.heal(0, 1);
    let history = mesh.wait_equal(DEADLINE);
    let row = history.row(&stay).unwrap();
    assert_eq!((history.len(), &row["collected"]), (1, &json!(fees[0] + fees[1])), "{row}");
    assert!(row["anomalies"].to_string().contains("double_exit"), "{row}");
    for central in &mesh.centrals {
        assert_eq!(central.http.stats()["revenue_today"], fees[0] + fees[1]);
    }
}
