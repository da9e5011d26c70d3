//! Two sites on one network stay two, and one site never takes itself for two.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::central::P2P_PORT;
use common::{Central, DEADLINE, Mesh, eventually, eventually_some};
use serde_json::{Value, json};

fn site(central: &Central) -> Value {
    central.http.p2p_status()["site"].clone()
}

fn file(central: &Central) -> String {
    std::fs::read_to_string(central.data_directory().join("site.json")).unwrap_or_default()
}

#[test]
fn centrals_that_were_set_up_by_hand_agree_on_one_site_and_keep_it() {
    let mut mesh = Mesh::new(4);
    mesh.start_all();
    let agreed = eventually_some("one site", 2 * DEADLINE, || {
        let first = site(&mesh.centrals[0]);
        mesh.centrals.iter().all(|central| site(central) == first).then_some(first)
    });
    assert_eq!(agreed["firm"], false);
    let id = agreed["id"].as_str().unwrap();
    eventually("it is written down", DEADLINE, || mesh.centrals.iter().all(|central| file(central).contains(id)));
    // One of an older version had none; it takes theirs.
    mesh.centrals[3].terminate();
    std::fs::remove_file(mesh.centrals[3].data_directory().join("site.json")).unwrap();
    mesh.start_all();
    // A lower one than theirs is taken by them, for none of it is firm.
    eventually("one site again", 2 * DEADLINE, || {
        let first = site(&mesh.centrals[0]);
        first["id"].is_string() && mesh.centrals.iter().all(|central| site(central) == first)
    });
}

#[test]
fn a_central_of_another_site_is_refused_at_both_ends_with_its_reason() {
    let mut centrals = ["central-1", "central-2", "central-3"].map(Central::secured);
    centrals.iter_mut().for_each(Central::start);
    let [a, b, c] = &centrals;
    let invite =
        |central: &Central| central.http.post("/api/p2p/invitations", &json!({})).ok().field("invitation").to_owned();
    // A person stands behind each of two sites.
    let (of_a, of_b) = (invite(a), invite(b));
    assert!(site(a)["firm"] == true && site(b)["firm"] == true && site(a)["id"] != site(b)["id"]);
    // A new one takes the site of who invited it.
    c.http.post("/api/p2p/join", &json!({"invitation": of_a})).ok();
    eventually("it belongs to that site", DEADLINE, || site(c) == site(a));
    eventually("that is written down", DEADLINE, || file(c).contains("\"firm\":true"));
    // From there it comes into no other.
    let refused = c.http.post("/api/p2p/join", &json!({"invitation": of_b})).refused(409);
    assert!(refused.field("error").contains("belongs to another site"), "{refused:?}");
    assert!(b.http.p2p_status()["peers"].as_array().unwrap().is_empty(), "nothing was changed");
    // Nor where people enter each other by hand.
    let fingerprint = |central: &Central| central.http.p2p_status()["fingerprint"].clone();
    for (at, other) in [(a, b), (b, a)] {
        let peer = json!({"id": other.id, "ip": other.ip, "p2p_port": P2P_PORT, "fingerprint": fingerprint(other)});
        at.http.post("/api/p2p/peers", &peer).ok();
    }
    let reason = |central: &Central, peer: &str| {
        let peers = central.http.p2p_status()["peers"].as_array().unwrap().clone();
        let peer = peers.into_iter().find(|known| known["peer_id"] == peer).unwrap();
        peer["connected"] == false && peer["reason"].as_str().is_some_and(|why| why.contains("belongs to another site"))
    };
    eventually("each is told why", DEADLINE, || reason(a, "central-2") && reason(b, "central-1"));
    assert!([a, b].iter().any(|central| central.log().contains("event=peer_refused")));
    assert!(site(a)["id"] != site(b)["id"] && site(c) == site(a));
}

#[test]
fn who_says_yes_to_a_central_of_a_site_comes_to_that_site() {
    let mut centrals = ["central-1", "central-2"].map(Central::secured);
    centrals.iter_mut().for_each(Central::start);
    let [of_site, new] = &centrals;
    of_site.http.post("/api/p2p/invitations", &json!({})).ok();
    assert!(site(of_site)["firm"] == true && site(new)["firm"] == false);
    let fingerprint = |central: &Central| central.http.p2p_status()["fingerprint"].as_str().unwrap().to_owned();
    let peer = json!({"id": new.id, "ip": new.ip, "p2p_port": P2P_PORT, "fingerprint": fingerprint(new)});
    of_site.http.post("/api/p2p/peers", &peer).ok();
    let waits = || new.http.p2p_status()["pending"].as_array().unwrap().len() == 1;
    eventually("it waits for a yes", DEADLINE, waits);
    new.http.post(&format!("/api/p2p/pending/{}", fingerprint(of_site)), &json!({})).ok();
    let linked = |central: &Central| central.http.p2p_status()["connected_peers"] == 1;
    eventually("they are linked", DEADLINE, || linked(of_site) && linked(new));
    eventually("the new one belongs to the site that stood", DEADLINE, || site(new) == site(of_site));
}
