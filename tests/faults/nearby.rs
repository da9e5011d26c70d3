//! Centrals that find each other on a network: hosts of their own on one bridge, real multicast.

use std::net::UdpSocket;

use parkmesh::domain::fingerprint::Fingerprint;
use parkmesh::trust::site::{SiteId, SiteMark};
use parkmesh::trust::strangers::MAX_STRANGERS;
use parkmesh::wire::announcement::{Announcement, GROUP, PORT};
use serde_json::{Value, json};

use crate::common::central::P2P_PORT;
use crate::common::{Central, DEADLINE, Dice, Http, eventually, eventually_some, seed, skip};
use crate::netns::Hosts;
use crate::run;

const PASSWORD: &str = "a long enough password";
/// Calls of a gate under a flood.
const CALLS: usize = 300;
/// Messages of the flood between two of them.
const MESSAGES: usize = 200;
/// What a flood may cost at most: a table of 32 entries, and what any work leaves.
const MOST_KIB: usize = 12 * 1024;

/// A central that proves itself and knows nobody, on a host.
fn placed(hosts: &Hosts, host: usize) -> Central {
    let mut central = Central::secured(&format!("central-{}", host + 1));
    central.at_address(&hosts.address(host));
    central.security("admin", "password");
    central.run_by(&hosts.runner(host));
    central
}

fn administrator(central: &Central) -> Http {
    let body = json!({"code": central.first_code(), "name": "an", "password": PASSWORD});
    central.http.with("Cookie", central.http.post("/api/access/code", &body).ok().cookie())
}

fn found(central: &Central) -> Vec<Value> {
    central.http.p2p_status()["nearby"]["found"].as_array().unwrap().clone()
}

fn found_as(central: &Central, id: &str, nearness: &str) -> Option<Value> {
    found(central).into_iter().find(|found| found["central"] == id && found["nearness"] == nearness)
}

fn fingerprint(central: &Central) -> String {
    central.http.p2p_status()["fingerprint"].as_str().unwrap().to_owned()
}

fn pending(central: &Central) -> Vec<Value> {
    central.http.p2p_status()["pending"].as_array().unwrap().clone()
}

#[test]
fn centrals_find_each_other_and_are_linked_by_a_press_at_each_end() {
    let hosts = match Hosts::new(3) {
        Ok(hosts) => hosts,
        Err(reason) => return skip("centrals_find_each_other_and_are_linked_by_a_press_at_each_end", &reason),
    };
    let mut centrals = [0, 1, 2].map(|host| placed(&hosts, host));
    centrals[..2].iter_mut().for_each(Central::start);
    let an: Vec<Http> = centrals[..2].iter().map(administrator).collect();
    let of_two = eventually_some("the first finds the second", DEADLINE, || found_as(&centrals[0], "central-2", "new"));
    eventually("and the other way", DEADLINE, || found_as(&centrals[1], "central-1", "new").is_some());
    assert_eq!(of_two["fingerprint"], fingerprint(&centrals[1]));
    assert_eq!((&of_two["ip"], &of_two["p2p_port"]), (&json!(hosts.address(1)), &json!(P2P_PORT)));
    assert!(centrals[0].log().contains("event=central_found"));
    // Nobody is dialled because he was found: who is would wait there.
    assert!(pending(&centrals[0]).is_empty() && pending(&centrals[1]).is_empty());

    let press = |of: &Central| format!("/api/p2p/nearby/{}", fingerprint(of));
    centrals[0].http.post(&press(&centrals[1]), &json!({})).refused(401);
    an[0].post(&press(&centrals[1]), &json!({})).ok();
    eventually("the first waits at the second", DEADLINE, || pending(&centrals[1]).len() == 1);
    assert!(found(&centrals[1]).is_empty(), "it is asked about once");
    an[1].post(&format!("/api/p2p/pending/{}", fingerprint(&centrals[0])), &json!({})).ok();
    let linked = |central: &Central| central.http.p2p_status()["connected_peers"] == 1;
    eventually("they are linked", DEADLINE, || centrals[..2].iter().all(linked));
    let site = |central: &Central| central.http.p2p_status()["site"].clone();
    eventually("they are one site", DEADLINE, || site(&centrals[0]) == site(&centrals[1]));
    assert!(found(&centrals[0]).is_empty() && found(&centrals[1]).is_empty(), "peers are not found again");
    centrals[0].http.enter("edge-1", "29A12345");
    eventually("what one writes the other has", DEADLINE, || centrals[1].http.rows_of("29A12345").len() == 1);

    // Of another site, which people stand behind as well.
    centrals[2].start();
    let an_elsewhere = administrator(&centrals[2]);
    an_elsewhere.post("/api/p2p/invitations", &json!({})).ok();
    eventually("it is shown as of another site", 5 * DEADLINE, || {
        found_as(&centrals[0], "central-3", "other_site").is_some()
    });
    assert_eq!(an[0].post(&press(&centrals[2]), &json!({})).refused(409).field("code"), "other_site");
    assert!(centrals[0].http.p2p_status()["peers"].as_array().unwrap().len() == 1);
    // It calls itself as another one does.
    an_elsewhere.put("/api/p2p/config", &json!({"this_central": {"id": "central-2"}})).ok();
    eventually("its id is taken", DEADLINE, || found_as(&centrals[0], "central-2", "id_taken").is_some());
    assert_eq!(an[0].post(&press(&centrals[2]), &json!({})).refused(409).field("code"), "already_exists");
    // Switched off it is neither heard nor hears. Who is logged in is so at a central of that id.
    let login = centrals[2].http.post("/api/access/login", &json!({"name": "an", "password": PASSWORD})).ok();
    let an_elsewhere = centrals[2].http.with("Cookie", login.cookie());
    an_elsewhere.put("/api/p2p/config", &json!({"security": {"discovery": "off"}})).ok();
    eventually("it is gone", DEADLINE, || found(&centrals[0]).is_empty());
    let nearby = centrals[2].http.p2p_status()["nearby"].clone();
    assert_eq!(nearby, json!({"state": "off", "reason": "switched_off", "found": []}));
    an_elsewhere.put("/api/p2p/config", &json!({"security": {"discovery": "on"}})).ok();
    eventually("it is back", DEADLINE, || found(&centrals[0]).len() == 1);
    eventually("and finds both", DEADLINE, || found(&centrals[2]).len() == 2);
    // Who stops says so.
    centrals[2].terminate();
    eventually("who stopped is gone", DEADLINE, || found(&centrals[0]).is_empty());
}

#[test]
fn a_flood_of_made_up_centrals_stays_bounded_and_pushes_nobody_out() {
    let hosts = match Hosts::new(2) {
        Ok(hosts) => hosts,
        Err(reason) => return skip("a_flood_of_made_up_centrals_stays_bounded_and_pushes_nobody_out", &reason),
    };
    let mut centrals = [0, 1].map(|host| placed(&hosts, host));
    centrals.iter_mut().for_each(Central::start);
    let [central, honest] = &centrals;
    eventually("the honest one is found", DEADLINE, || found_as(central, "central-2", "new").is_some());
    let before_kib = central.memory_kib();
    let flood = UdpSocket::bind((hosts.own_address().as_str(), 0)).unwrap();
    let own = hosts.own_address().parse().unwrap();
    rustix::net::sockopt::set_ip_multicast_if(&flood, &own).unwrap();
    let mut dice = Dice(seed());
    for call in 0..CALLS {
        for number in 0..MESSAGES {
            let bytes: Vec<u8> = (0..dice.below(900)).map(|_| dice.roll().to_le_bytes()[0]).collect();
            let made_up = Announcement {
                central: format!("made-up-{number}").parse().unwrap(),
                fingerprint: Fingerprint::of_certificate(&dice.roll().to_le_bytes()),
                site: SiteMark { id: SiteId(dice.roll()), firm: number % 2 == 0 },
                p2p_port: 9_000,
            };
            let message = if number % 4 == 0 { bytes } else { made_up.here(None) };
            // The system may have no room for more at the moment.
            let _ = flood.send_to(&message, (GROUP, PORT));
        }
        central.http.enter("edge-1", &format!("29A{call:05}"));
        assert!(found(central).len() <= MAX_STRANGERS);
    }
    eventually("it arrived", DEADLINE, || found(central).len() == MAX_STRANGERS);
    assert!(found(central).iter().any(|found| found["central"] == "central-2"), "the honest one is still there");
    let after_kib = central.memory_kib();
    println!("resident before {before_kib} KiB, after {after_kib} KiB");
    assert!(after_kib < before_kib + MOST_KIB, "{before_kib} KiB before, {after_kib} KiB after");
    // Nobody was dialled, and who is made up is no reason to write more than a line.
    assert_eq!(central.http.p2p_status()["peers"], json!([]));
    assert!(central.log().matches("event=central_found").count() <= 2);
    assert!(honest.is_running());
}

#[test]
fn a_network_that_does_not_let_it_is_told_once_and_gates_go_on() {
    let hosts = match Hosts::new(1) {
        Ok(hosts) => hosts,
        Err(reason) => return skip("a_network_that_does_not_let_it_is_told_once_and_gates_go_on", &reason),
    };
    let mut central = placed(&hosts, 0);
    // Not on this host yet.
    let later = hosts.address(6);
    central.config["this_central"]["ip"] = json!(later);
    central.start();
    let nearby = central.http.p2p_status()["nearby"].clone();
    assert!(nearby["state"] == "failed" && nearby["reason"].is_string(), "{nearby}");
    central.http.enter("edge-1", "29A12345");
    run("ip", &["-n", hosts.runner(0)[3], "address", "add", &format!("{later}/24"), "dev", "eth0"]).unwrap();
    eventually("it is tried again", 4 * DEADLINE, || central.http.p2p_status()["nearby"]["state"] == "on");
    let said = |event: &str| central.log().matches(&format!("event={event} ")).count();
    assert_eq!((said("discovery_failed"), said("discovery_on")), (1, 1));
}
