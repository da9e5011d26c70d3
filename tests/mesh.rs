//! Three centrals as processes: whatever is cut, held, stopped or away, they agree afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use common::{DEADLINE, Mesh, eventually, in_parallel, with_status};
use parkmesh::lab::proxy::LinkState;
use serde_json::json;

#[test]
fn events_go_around_a_cut_link() {
    let mesh = Mesh::start(3);
    mesh.cut(0, 1);
    for number in 0..20 {
        mesh.centrals[number % 2].http.enter("edge-1", &format!("29A100{number:02}"));
    }
    // Nothing is healed: the third relays.
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 20);
    mesh.centrals[1].http.leave("edge-1", "29A10000");
    assert_eq!(with_status(&mesh.wait_equal(DEADLINE), "OUT"), 1);
}

#[test]
fn a_car_forced_out_in_a_cut_is_one_stay_with_one_fee() {
    let mesh = Mesh::start(3);
    mesh.isolate(1);
    let event_id = mesh.centrals[0].http.enter("edge-1", "29A12345");
    let forced =
        json!({"edge_id": "edge-8", "plate_id": "29A12345", "direction": "EXIT", "force": true, "fee": 15_000});
    assert_eq!(mesh.centrals[1].http.press("edge-8", "29A12345", "EXIT").refused(409).field("code"), "not_inside");
    assert_eq!(mesh.centrals[1].http.open(&forced).ok().number("fee"), 15_000);
    mesh.heal_all();
    let history = mesh.wait_equal(DEADLINE);
    let row = history.row(&event_id).expect("the stay of A");
    assert_eq!((history.len(), &row["status"], &row["fee"]), (1, &json!("OUT"), &json!(15_000)), "{row}");
    for central in &mesh.centrals {
        let stats = central.http.stats();
        assert_eq!((&stats["revenue_today"], &stats["vehicles_in_parking"]), (&json!(15_000), &json!(0)), "{stats}");
    }
}

#[test]
fn a_car_forced_out_and_in_again_in_a_cut_is_two_stays() {
    let mesh = Mesh::start(3);
    mesh.isolate(1);
    let first = mesh.centrals[0].http.enter("edge-1", "29A12345");
    let b = &mesh.centrals[1].http;
    let force = |direction| json!({"edge_id": "edge-8", "plate_id": "29A12345", "direction": direction, "force": true});
    b.open(&force("EXIT")).ok();
    let second = b.open(&force("ENTRY")).ok().field("event_id").to_owned();
    mesh.heal_all();
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!(history.len(), 2);
    assert_eq!(history.row(&first).unwrap()["status"], "OUT");
    assert_eq!(history.row(&second).unwrap()["status"], "IN");
    assert!(mesh.centrals.iter().all(|central| central.http.stats()["vehicles_in_parking"] == 1));
}

#[test]
fn the_same_request_at_two_centrals_in_a_cut_is_one_entry() {
    let mesh = Mesh::start(3);
    mesh.isolate(1);
    let press = json!({"edge_id": "edge-1", "plate_id": "29A12345", "direction": "ENTRY", "request_id": "r-1"});
    let at_a = mesh.centrals[0].http.open(&press).ok();
    let at_b = mesh.centrals[1].http.open(&press).ok();
    mesh.heal_all();
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!(with_status(&history, "IN"), 1);
    assert!(mesh.centrals.iter().all(|central| central.http.stats()["vehicles_in_parking"] == 1));
    assert!(mesh.centrals.iter().all(|central| central.http.stats()["entries_today"] == 1));
    for central in &mesh.centrals {
        let again = central.http.open(&press).ok();
        assert!(again.flag("repeated"), "{}", again.text);
        assert!([at_a.field("event_id"), at_b.field("event_id")].contains(&again.field("event_id")), "{}", again.text);
    }
}

#[test]
fn a_slow_link_delays_and_changes_nothing() {
    let mesh = Mesh::start(2);
    mesh.set_link(0, 1, LinkState::Delayed(Duration::from_millis(50)));
    in_parallel(60, 4, |number| {
        mesh.centrals[number % 2].http.enter(&format!("edge-{}", number % 4), &format!("29A{number:05}"));
    });
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 60);
}

#[test]
fn a_peer_added_while_running_gets_everything() {
    let mesh = Mesh::start(2);
    let mut third = common::Central::new("central-3");
    mesh.centrals[0].http.enter("edge-1", "29A12345");
    third.add_peer("central-1", &mesh.centrals[0].ip, common::central::P2P_PORT);
    third.start();
    let peer = json!({"id": "central-3", "ip": third.ip, "p2p_port": common::central::P2P_PORT});
    let added = mesh.centrals[0].http.post("/api/p2p/peers", &peer).ok();
    assert!(added.is_success());
    eventually("the new one has the entry", DEADLINE, || third.http.rows_of("29A12345").len() == 1);
    third.http.leave("edge-1", "29A12345");
    eventually("its exit comes back", DEADLINE, || {
        mesh.centrals[1].http.rows_of("29A12345").first().is_some_and(|row| row["status"] == "OUT")
    });
    // The same peer again is refused and names what is wrong.
    let again = mesh.centrals[0].http.post("/api/p2p/peers", &peer);
    assert!(matches!(again.status, 400 | 409), "{}", again.text);
}
