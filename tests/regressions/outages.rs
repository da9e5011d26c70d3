//! Links that fail and centrals that are away: nothing that happened meanwhile is lost.

use parkmesh::domain::time::SiteZone;
use parkmesh::lab::proxy::LinkState;
use serde_json::json;

use crate::common::{
    Central, DEADLINE, Http, Mesh, eventually, eventually_some, in_parallel, shifted_clock, stored, with_status,
};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

#[test]
fn d02_what_happens_in_a_cut_is_everywhere_afterwards() {
    let mesh = Mesh::start(3);
    let http: Vec<&Http> = mesh.centrals.iter().map(|central| &central.http).collect();
    for number in 0..6 {
        http[0].enter("edge-1", &format!("29A1000{number}"));
    }
    mesh.wait_equal(DEADLINE);
    mesh.isolate(1);
    // Entries on both sides, exits on both sides of cars known before, whole visits.
    for (side, number) in [(0, 0), (1, 3)] {
        http[side].leave("edge-2", &format!("29A1000{number}"));
        http[side].enter("edge-1", &format!("29A2000{number}"));
        http[side].enter("edge-1", &format!("29A3000{number}"));
        http[side].leave("edge-2", &format!("29A3000{number}"));
    }
    eventually("the two that are linked know", DEADLINE, || http[2].rows_of("29A20000").len() == 1);
    assert!(http[1].rows_of("29A20000").is_empty() && http[2].rows_of("29A20003").is_empty());
    mesh.heal_all();
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((history.len(), with_status(&history, "IN"), with_status(&history, "OUT")), (10, 6, 4));
}

#[test]
fn d03_a_central_that_was_away_catches_up() {
    const CARS: usize = 600;
    let mut mesh = Mesh::start(3);
    let plate = |number: usize| format!("29A{number:05}");
    mesh.centrals[0].http.enter("edge-1", "30E99999");
    mesh.wait_equal(DEADLINE);
    mesh.centrals[1].kill9();
    mesh.centrals[0].http.leave("edge-1", "30E99999");
    in_parallel(CARS, 8, |number| {
        let http = &mesh.centrals[number % 2 * 2].http;
        http.enter(&format!("edge-{}", number % 8), &plate(number));
        if number % 3 == 0 {
            http.leave(&format!("edge-{}", number % 8), &plate(number));
        }
    });
    mesh.start_all();
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((history.len(), with_status(&history, "OUT")), (CARS + 1, CARS / 3 + 1));
}

/// Bytes that a network took and never delivered, on a connection that nobody closed.
#[test]
fn d04_what_a_black_hole_swallowed_arrives_after_it() {
    let mesh = Mesh::start(2);
    mesh.set_link(0, 1, LinkState::Held);
    for number in 0..3 {
        mesh.centrals[0].http.enter("edge-1", &format!("29A1000{number}"));
        mesh.centrals[1].http.enter("edge-1", &format!("29A2000{number}"));
    }
    mesh.cut(0, 1);
    mesh.heal(0, 1);
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 6);
}

#[test]
fn d05_an_exit_missed_while_away_arrives() {
    let mut mesh = Mesh::new(2);
    mesh.fast_clock(1_000);
    mesh.start_all();
    let stay = mesh.centrals[0].http.enter("edge-1", "29A12345");
    mesh.wait_equal(DEADLINE);
    mesh.centrals[1].kill9();
    eventually_some("a fee is due", DEADLINE, || {
        let seen = mesh.centrals[0].http.detect("edge-2", "29A12345", "EXIT").ok();
        seen.body["vehicle_info"]["fee"].as_i64().filter(|fee| *fee > 0)
    });
    let fee = mesh.centrals[0].http.leave("edge-2", "29A12345");
    mesh.start_all();
    let history = mesh.wait_equal(DEADLINE);
    let row = history.row(&stay).unwrap();
    assert_eq!((history.len(), &row["status"], &row["fee"]), (1, &json!("OUT"), &json!(fee)), "{row}");
    // And it cannot be let out, and charged, a second time.
    assert_eq!(mesh.centrals[1].http.press("edge-3", "29A12345", "EXIT").refused(409).field("code"), "not_inside");
}

#[test]
fn d06_a_whole_visit_made_while_away_arrives_with_its_fee() {
    let mut mesh = Mesh::new(2);
    mesh.fast_clock(1_000);
    mesh.start_all();
    mesh.centrals[1].kill9();
    let http = &mesh.centrals[0].http;
    let stay = http.enter("edge-1", "29A12345");
    eventually_some("a fee is due", DEADLINE, || {
        let seen = http.detect("edge-2", "29A12345", "EXIT").ok();
        seen.body["vehicle_info"]["fee"].as_i64().filter(|fee| *fee > 0)
    });
    let fee = http.leave("edge-2", "29A12345");
    mesh.start_all();
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((history.len(), &history.row(&stay).unwrap()["fee"]), (1, &json!(fee)));
    let sums: Vec<_> = mesh.centrals.iter().map(|central| central.http.stats()["revenue_today"].clone()).collect();
    assert_eq!(sums, [json!(fee), json!(fee)]);
}

#[test]
fn d07_any_number_of_missed_events_arrives() {
    let mut mesh = Mesh::new(2);
    let mut held = 0;
    // More than one frame held of theirs, more than one answer, more than 20 of them.
    for more in [5_000, 20_000, 100_000] {
        mesh.centrals.iter_mut().for_each(Central::kill9);
        stored::let_in(&mesh.centrals[0].data_directory(), "central-1", held..held + more);
        held += more;
        mesh.start_all();
        let [a, b] = [0, 1].map(|number| mesh.centrals[number].http.clone());
        eventually("the one that was away holds as many events", 10 * DEADLINE, || {
            let status = b.p2p_status();
            status["events"].as_u64() == Some(held as u64) && status["plates_waiting"] == 0
        });
        assert_eq!(a.p2p_status()["digest"], b.p2p_status()["digest"], "{held}");
        assert_eq!(b.stats()["vehicles_in_parking"], held);
        assert_eq!(b.rows_of(&stored::plate(held - 1)).len(), 1);
    }
}

/// What the machine's zone is never matters: it is neither sent nor compared.
#[test]
fn d08_centrals_in_different_time_zones_agree() {
    let mut mesh = Mesh::new(3);
    for (central, zone) in mesh.centrals.iter_mut().zip(["Asia/Ho_Chi_Minh", "UTC", "America/Los_Angeles"]) {
        central.env("TZ", zone);
    }
    mesh.start_all();
    mesh.isolate(1);
    for (number, central) in mesh.centrals.iter().enumerate() {
        central.http.enter("edge-1", &format!("29A1000{number}"));
        central.http.enter("edge-1", &format!("29A2000{number}"));
        central.http.leave("edge-2", &format!("29A2000{number}"));
    }
    mesh.heal_all();
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((history.len(), with_status(&history, "OUT")), (6, 3));
    for row in history.rows() {
        let told = SiteZone::default().local_text(row["entry_ms"].as_i64().unwrap());
        assert_eq!(row["entry_time"], told, "on the site's clock, everywhere");
    }
}

/// Killed after the answer and before anything left the machine; and a first contact after more than a week.
#[test]
fn d10_what_was_answered_is_sent_however_late() {
    let mut mesh = Mesh::new(2);
    mesh.centrals[0].env("PARKMESH_CLOCK", shifted_clock(-30 * DAY_MS)).start();
    mesh.centrals[0].http.enter("edge-1", "29A10000");
    mesh.centrals[0].kill9();
    mesh.centrals[0].env("PARKMESH_CLOCK", "");
    mesh.start_all();
    eventually("a month later it is there", DEADLINE, || mesh.centrals[1].http.rows_of("29A10000").len() == 1);
    mesh.set_link(0, 1, LinkState::Held);
    mesh.centrals[0].http.enter("edge-1", "29A20000");
    mesh.centrals[0].kill9();
    mesh.cut(0, 1);
    mesh.heal(0, 1);
    mesh.start_all();
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 2);
}

#[test]
fn d11_a_clock_ten_minutes_ahead_skips_nothing() {
    let mut mesh = Mesh::new(2);
    mesh.centrals[1].env("PARKMESH_CLOCK", shifted_clock(10 * MINUTE_MS));
    mesh.start_all();
    for round in 0..2 {
        mesh.cut(0, 1);
        for (number, central) in mesh.centrals.iter().enumerate() {
            central.http.enter("edge-1", &format!("29A1{round}00{number}"));
        }
        mesh.heal(0, 1);
        assert_eq!(mesh.wait_equal(DEADLINE).len(), 2 * (round + 1));
    }
}
