//! Centrals that prove who they are: real processes, real certificates, and those who have none or the wrong one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::central::P2P_PORT;
use common::ws::Ws;
use common::{Central, DEADLINE, Mesh, eventually, eventually_some};
use serde_json::{Value, json};

const SUBPROTOCOL: &str = "parkmesh.1";

/// `count` centrals that know each other's addresses and no fingerprint.
fn secured_mesh(count: usize) -> Mesh {
    let mut mesh = Mesh::new(count);
    for central in &mut mesh.centrals {
        central.config["security"]["p2p"] = json!("tls");
    }
    mesh
}

fn fingerprint(central: &Central) -> Value {
    central.http.p2p_status()["fingerprint"].clone()
}

/// The peer `id` as `central` sees it.
fn peer(central: &Central, id: &str) -> Value {
    let status = central.http.p2p_status();
    let peers = status["peers"].as_array().expect("peers").iter();
    peers.clone().find(|peer| peer["peer_id"] == id).cloned().unwrap_or_else(|| panic!("no {id} in {status}"))
}

fn saved_peer(central: &Central, id: &str) -> Value {
    let text = std::fs::read_to_string(central.config_file()).unwrap();
    let saved: Value = serde_json::from_str(&text).unwrap();
    let peers = saved["peer_centrals"].as_array().unwrap().iter();
    peers.clone().find(|peer| peer["id"] == id).cloned().unwrap_or(Value::Null)
}

fn identity_file(central: &Central) -> PathBuf {
    central.data_directory().join("identity.pem")
}

/// A new key for a central that does not run, as after the loss of its disk.
fn forget_identity(central: &Central) {
    std::fs::remove_file(identity_file(central)).unwrap();
}

#[test]
fn peers_are_pinned_at_first_contact_and_confirmed_by_a_person() {
    let mut mesh = secured_mesh(3);
    mesh.start_all();
    for (a, b) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
        let (seen_by, seen) = (&mesh.centrals[a], &mesh.centrals[b]);
        let shown = peer(seen_by, &seen.id);
        assert_eq!((&shown["fingerprint"], &shown["unconfirmed"]), (&fingerprint(seen), &json!(true)), "{shown}");
        let what = format!("{} saves the fingerprint of {}", seen_by.id, seen.id);
        eventually(&what, DEADLINE, || saved_peer(seen_by, &seen.id)["fingerprint"] == fingerprint(seen));
    }
    mesh.centrals[0].http.enter("edge-1", "29A12345");
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 1);

    let confirmed = json!({"fingerprint": fingerprint(&mesh.centrals[1]), "unconfirmed": false});
    let linked_anew = || mesh.centrals[0].log().matches("event=peer_connected").count();
    let before = linked_anew();
    mesh.centrals[0].http.put("/api/p2p/peers/central-2", &confirmed).ok();
    let shown = peer(&mesh.centrals[0], "central-2");
    assert_eq!((&shown["unconfirmed"], &shown["connected"]), (&json!(false), &json!(true)));
    assert_eq!(linked_anew(), before, "to confirm what is pinned disturbs no link");

    // Pins outlive the process.
    let before = fingerprint(&mesh.centrals[0]);
    mesh.centrals[0].terminate();
    mesh.start_all();
    assert_eq!(fingerprint(&mesh.centrals[0]), before);
}

#[test]
fn another_certificate_in_the_name_of_a_peer_is_refused_loudly_until_a_person_accepts_it() {
    let mut mesh = secured_mesh(2);
    mesh.start_all();
    let pinned = fingerprint(&mesh.centrals[1]);
    eventually("the pin is saved", DEADLINE, || saved_peer(&mesh.centrals[0], "central-2")["fingerprint"] == pinned);
    mesh.centrals[1].terminate();
    forget_identity(&mesh.centrals[1]);
    mesh.centrals[1].start();
    let new = fingerprint(&mesh.centrals[1]);
    assert_ne!(new, pinned);
    let refused = eventually_some("the other certificate is shown", DEADLINE, || {
        Some(peer(&mesh.centrals[0], "central-2")["certificate_refused"].clone()).filter(Value::is_object)
    });
    assert_eq!(refused["fingerprint"], new);
    let shown = peer(&mesh.centrals[0], "central-2");
    assert_eq!((&shown["connected"], &shown["fingerprint"]), (&json!(false), &pinned));
    let log = mesh.centrals[0].log();
    let line = log.lines().find(|line| line.contains("event=certificate_refused")).expect("a line in the log");
    assert!(line.contains("ERROR") && line.contains(new.as_str().unwrap()), "{line}");
    // Both its dials and ours were refused: nothing it writes arrives.
    mesh.centrals[1].http.enter("edge-1", "29A12345");
    let test = mesh.centrals[0].http.post("/api/p2p/test-connection?peer_id=central-2", &json!({})).refused(400);
    let steps = test.body["steps"].as_array().unwrap().clone();
    assert!(steps.last().unwrap()["detail"].as_str().unwrap().contains("not the one pinned"), "{steps:?}");
    let said = test.field("error");
    assert!(said.contains("has a new key") && !said.contains("offline"), "{said}");
    assert_eq!(mesh.centrals[0].http.rows_of("29A12345"), [] as [Value; 0]);

    let accepted = json!({"fingerprint": new, "unconfirmed": false});
    mesh.centrals[0].http.put("/api/p2p/peers/central-2", &accepted).ok();
    mesh.wait_linked(DEADLINE);
    assert_eq!(peer(&mesh.centrals[0], "central-2")["certificate_refused"], Value::Null);
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 1);
}

#[test]
fn what_a_replaced_central_wrote_reaches_it_and_who_joins_later() {
    let mut mesh = secured_mesh(3);
    mesh.centrals[0].start();
    mesh.centrals[1].start();
    mesh.centrals[1].http.enter("edge-1", "29A12345");
    let rows = |central: &Central| central.http.rows_of("29A12345").len();
    eventually("the car is known", DEADLINE, || rows(&mesh.centrals[0]) == 1);
    mesh.centrals[1].kill9();
    std::fs::remove_dir_all(mesh.centrals[1].data_directory()).unwrap();
    // Its key is made beforehand, to be compared; and it has a car before anybody lets it in.
    assert!(mesh.centrals[1].subcommand("identity").output().unwrap().status.success());
    mesh.centrals[1].start();
    mesh.centrals[1].http.enter("edge-1", "29A54321");
    let accepted = json!({"fingerprint": fingerprint(&mesh.centrals[1]), "unconfirmed": false});
    mesh.centrals[0].http.put("/api/p2p/peers/central-2", &accepted).ok();
    eventually("it has its own again", DEADLINE, || rows(&mesh.centrals[1]) == 1);
    mesh.centrals[1].terminate();
    mesh.centrals[1].start();
    mesh.centrals[2].start();
    eventually("the third has it, too", DEADLINE, || rows(&mesh.centrals[2]) == 1);
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 2);
}

#[test]
fn what_a_central_took_over_from_the_old_program_outlives_its_disk_and_itself() {
    let mut mesh = secured_mesh(3);
    let old = mesh.centrals[1].directory().join("subscriptions.json");
    let lists =
        (1..=9).map(|n| json!({"id": format!("s-{n}"), "plate_number": format!("29A-777.{n:02}"), "owner_name": "A"}));
    std::fs::write(&old, json!({"subscriptions": lists.collect::<Vec<_>>()}).to_string()).unwrap();
    mesh.centrals[1].write_config();
    assert!(mesh.centrals[1].subcommand("import").arg(&old).output().unwrap().status.success());
    // Whoever holds it can show whose it is.
    let mut reader = parkmesh::store::Reader::open(&mesh.centrals[1].data_directory()).unwrap();
    let (log, _) = reader.heads().unwrap().remove(0);
    assert!(reader.run(&log, 0, 1).unwrap().unwrap().events[0].contains("opened_by"));
    drop(reader);
    let subscriptions = |central: &Central| central.http.get("/api/subscriptions").ok().body["subscriptions"].clone();
    let imported = |central: &Central| subscriptions(central).as_array().map_or(0, Vec::len);
    mesh.centrals[0].start();
    mesh.centrals[1].start();
    mesh.centrals[1].http.enter("edge-1", "29A12345");
    eventually("it is held elsewhere", DEADLINE, || imported(&mesh.centrals[0]) == 9);
    mesh.wait_equal(DEADLINE);
    // It is gone for good, and another one joins.
    mesh.centrals[1].kill9();
    std::fs::remove_dir_all(mesh.centrals[1].data_directory()).unwrap();
    mesh.centrals[2].start();
    eventually("the third has it, too", DEADLINE, || imported(&mesh.centrals[2]) == 9);
}

#[test]
fn a_stranger_waits_until_a_person_says_yes_or_no() {
    let mut central = Central::secured("central-1");
    central.start();
    let mut stranger = Central::secured("central-9");
    stranger.add_peer("central-1", &central.ip, P2P_PORT);
    stranger.start();
    stranger.http.enter("edge-1", "29A12345");
    let pending = || central.http.p2p_status()["pending"].as_array().unwrap().clone();
    let waiting = eventually_some("the stranger waits", DEADLINE, || pending().first().cloned());
    let shown = fingerprint(&stranger);
    assert_eq!((&waiting["central"], &waiting["fingerprint"]), (&json!("central-9"), &shown), "{waiting}");
    assert_eq!((&waiting["ip"], &waiting["p2p_port"]), (&json!(stranger.ip), &json!(P2P_PORT)));
    assert_eq!(peer(&stranger, "central-1")["connected"], false);
    assert_eq!(central.http.rows_of("29A12345"), [] as [Value; 0]);

    let path = format!("/api/p2p/pending/{}", shown.as_str().unwrap());
    central.http.delete(&path).ok();
    eventually("it is turned away and waits no longer", DEADLINE, || {
        let reason = peer(&stranger, "central-1")["reason"].clone();
        pending().is_empty() && reason.as_str().is_some_and(|reason| reason.contains("a person refused"))
    });
    central.http.post(&path, &json!({})).refused(404);

    // To add it is to mean it.
    let added = json!({"id": "central-9", "ip": stranger.ip, "p2p_port": P2P_PORT});
    central.http.post("/api/p2p/peers", &added).ok();
    eventually("it is linked", DEADLINE, || peer(&central, "central-9")["connected"] == true);
    eventually("its event arrives", DEADLINE, || central.http.rows_of("29A12345").len() == 1);

    // Removed, it is turned away at once, and is not asked about again.
    central.http.delete("/api/p2p/peers/central-9").ok();
    eventually("it is turned away", DEADLINE, || {
        let reason = peer(&stranger, "central-1")["reason"].clone();
        reason.as_str().is_some_and(|reason| reason.contains("a person refused"))
    });
    assert!(pending().is_empty());
}

#[test]
fn an_accepted_stranger_is_linked() {
    let mut central = Central::secured("central-1");
    central.start();
    let mut stranger = Central::secured("central-9");
    stranger.add_peer("central-1", &central.ip, P2P_PORT);
    stranger.start();
    let shown = fingerprint(&stranger);
    let path = format!("/api/p2p/pending/{}", shown.as_str().unwrap());
    eventually("the yes is taken", DEADLINE, || central.http.try_post(&path, &json!({})).unwrap().is_success());
    eventually("it is linked", DEADLINE, || peer(&central, "central-9")["connected"] == true);
    let linked = peer(&central, "central-9");
    assert_eq!((&linked["fingerprint"], &linked["unconfirmed"]), (&shown, &json!(false)));
    assert_eq!((&linked["peer_ip"], &linked["peer_port"]), (&json!(stranger.ip), &json!(P2P_PORT)));
}

/// The name of a peer and its address are known to everybody on the network; its key is not.
#[test]
fn nobody_speaks_in_the_name_of_a_peer_without_its_key() {
    let mut mesh = secured_mesh(2);
    mesh.start_all();
    let address = format!("{}:{P2P_PORT}", mesh.centrals[0].ip);

    // Without TLS nobody is let say a word.
    assert!(Ws::dial(&address, "/", Some(SUBPROTOCOL)).is_err());
    // Nor at the API port, where predecessors of one revision knock.
    let api = format!("{}:{}", mesh.centrals[0].ip, common::central::API_PORT);
    for hello in [
        json!({"type": "HELLO", "source_central": "central-2", "timestamp": 1, "event_id": null,
               "data": {"versions": {"min": 1, "max": 1}, "capabilities": [], "central": "central-2",
                        "instance": "00000000000000aa", "wall_ms": 1}}),
        json!({"peer_id": "central-2"}),
    ] {
        let mut plain = Ws::dial(&api, "/ws/p2p", None).unwrap();
        plain.say(&hello).unwrap();
        let said = plain.until_ended(DEADLINE);
        assert!(said.iter().all(|text| text.contains("\"ERROR\"")) && !said.is_empty(), "{said:?}");
    }

    // With a key of one's own.
    let mut double = Central::secured("central-2");
    double.add_peer("central-1", &mesh.centrals[0].ip, P2P_PORT);
    double.start();
    double.http.enter("edge-6", "66A66666");
    let shown = fingerprint(&double);
    eventually("it is refused", DEADLINE, || {
        peer(&mesh.centrals[0], "central-2")["certificate_refused"]["fingerprint"] == shown
    });
    assert_eq!(peer(&double, "central-1")["connected"], false);
    // The link it wanted to take over stands.
    assert_eq!(peer(&mesh.centrals[0], "central-2")["connected"], true);
    mesh.centrals[1].http.enter("edge-1", "29A12345");
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 1);

    // With the id of whom it dials, which anybody can say: the key is looked at first.
    let mut namesake = Central::secured("central-1");
    namesake.add_peer("central-9", &mesh.centrals[0].ip, P2P_PORT);
    namesake.start();
    eventually("it is told what to do", DEADLINE, || {
        let reason = peer(&namesake, "central-9")["reason"].clone();
        reason.as_str().is_some_and(|reason| reason.contains("give this one an id of its own"))
    });
    let (log, shown) = (mesh.centrals[0].log(), fingerprint(&namesake));
    let refused = log.lines().find(|line| line.contains("is the id of the central that was dialled")).unwrap();
    assert!(refused.contains("remote=127.") && refused.contains(shown.as_str().unwrap()), "{refused}");
    assert!(!log.contains("duplicate_central_id"), "no second machine has its key");
}

#[test]
fn who_shows_no_certificate_is_refused_and_who_speaks_no_tls_is_named() {
    let mut central = Central::secured("central-1");
    central.start();
    let anonymous = rustls_client::without_certificate(&format!("{}:{P2P_PORT}", central.ip));
    assert!(anonymous.is_err(), "{anonymous:?}");
    // A central in the open mode says so in words.
    let mut open = Central::new("central-2");
    open.start();
    let added = json!({"id": "central-2", "ip": open.ip, "p2p_port": P2P_PORT});
    central.http.post("/api/p2p/peers", &added).ok();
    eventually("the reason is told", DEADLINE, || {
        let reason = peer(&central, "central-2")["reason"].clone();
        reason.as_str().is_some_and(|reason| reason.contains("security.p2p"))
    });
}

/// Sockets that are opened and say nothing are closed, and keep nobody out for longer than that takes.
#[test]
fn who_holds_sockets_open_keeps_nobody_out() {
    let mut mesh = secured_mesh(2);
    mesh.centrals[0].start();
    let address = format!("{}:{P2P_PORT}", mesh.centrals[0].ip);
    let mut idle: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(&address).unwrap()).collect();
    mesh.centrals[1].start();
    mesh.wait_linked(DEADLINE);
    mesh.centrals[0].http.enter("edge-1", "29A12345");
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 1);
    for socket in &mut idle {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let end = socket.read(&mut [0]).map_err(|error| error.kind());
        assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "it is closed, not {end:?}");
    }
}

/// One address has so many connections at the port for centrals, whatever it says on them.
#[test]
fn one_address_leaves_room_for_others_at_the_port_for_centrals() {
    let mut mesh = secured_mesh(2);
    mesh.centrals[0].start();
    let from = "127.98.1.1".parse().unwrap();
    let address = format!("{}:{P2P_PORT}", mesh.centrals[0].ip).parse().unwrap();
    let is_over = |stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        !matches!((&*stream).read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    };
    // For their number, not since the time of a handshake is over: the first is there when the last is not. On a slow machine, anew.
    let _held = eventually_some("what is too many is ended for its number", 3 * DEADLINE, || {
        let held: Vec<TcpStream> = (0..100).map(|_| common::net::connect_from(from, address).unwrap()).collect();
        let ended = || held.iter().filter(|stream| is_over(stream)).count();
        eventually("what is too many is ended", DEADLINE, || ended() >= 68);
        (!is_over(&held[0])).then_some(held)
    });
    mesh.centrals[1].start();
    mesh.wait_linked(DEADLINE);
}

/// Whoever was not let in has little of our memory: what he says is cut off, whatever length it claims to have.
#[test]
fn a_stranger_says_no_more_than_a_hello() {
    let central = Central::standalone("central-1");
    let address = format!("{}:{P2P_PORT}", central.ip);
    let mut stranger = Ws::dial(&address, "/", Some(SUBPROTOCOL)).unwrap();
    // A frame of half the size a central's may have.
    drop(stranger.say_text(&"x".repeat(512 * 1024)));
    assert_eq!(stranger.until_ended(DEADLINE), [""; 0], "it is not read, so there is nothing to answer");
    let mut stranger = Ws::dial(&address, "/", Some(SUBPROTOCOL)).unwrap();
    stranger.say_text(&"x".repeat(4 * 1024)).unwrap();
    assert!(stranger.until_ended(DEADLINE)[0].contains("HELLO was expected"), "that much is read");
}

/// A client that checks nothing and shows nothing.
mod rustls_client {
    use std::sync::Arc;

    use super::*;

    #[derive(Debug)]
    struct Anyone(Arc<rustls::crypto::CryptoProvider>);

    impl rustls::client::danger::ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &[rustls::pki_types::CertificateDer<'_>],
            _: &rustls::pki_types::ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }

    /// What a request without a certificate is answered; `Err`: it is not.
    pub fn without_certificate(address: &str) -> Result<String, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        let mut answer = String::new();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").map_err(|error| error.to_string())?;
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        Ok(answer)
    }
}

#[test]
fn the_key_is_for_its_owner_alone() {
    let mut central = Central::secured("central-1");
    central.start();
    let file = identity_file(&central);
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let before = fingerprint(&central);
    let told = central.subcommand("identity").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), before.as_str().unwrap(), "also while it runs");

    central.terminate();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    central.start();
    assert_eq!((mode(), fingerprint(&central)), (0o600, before));
    assert!(central.log().contains("event=identity_exposed"));

    central.terminate();
    std::fs::write(&file, "no key").unwrap();
    central.start();
    assert_eq!(central.http.p2p_status()["running"], false, "gates open, and the mesh is off");
    assert!(central.log().contains("holds no usable key and certificate"), "what to do is said");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "no key", "it is not replaced");
}

#[test]
fn the_mode_changes_while_it_runs() {
    let mut mesh = Mesh::start(2);
    for (mode, secured) in [("tls", true), ("open", false)] {
        for central in &mesh.centrals {
            central.http.put("/api/p2p/config", &json!({"security": {"p2p": mode}})).ok();
        }
        mesh.wait_linked(DEADLINE);
        let plain = Ws::dial(&format!("{}:{P2P_PORT}", mesh.centrals[0].ip), "/", Some(SUBPROTOCOL));
        assert_eq!(plain.is_err(), secured, "{mode}");
        assert_eq!(mesh.centrals[0].http.p2p_status()["p2p_mode"], mode);
    }
    mesh.centrals[0].http.enter("edge-1", "29A12345");
    assert_eq!(mesh.wait_equal(DEADLINE).len(), 1);
    mesh.centrals[0].terminate();
}

/// Takes `members` of a join's answer over as peers, as the page does.
fn take_over(central: &Central, members: &Value) {
    let mut peers = central.http.get("/api/p2p/config").ok().body["config"]["peer_centrals"].clone();
    peers.as_array_mut().unwrap().extend(members.as_array().unwrap().iter().cloned());
    central.http.put("/api/p2p/config", &json!({ "peer_centrals": peers })).ok();
}

fn connected(central: &Central) -> u64 {
    central.http.p2p_status()["connected_peers"].as_u64().unwrap()
}

#[test]
fn a_tenth_central_joins_a_mesh_of_nine_by_one_invitation() {
    let mut mesh = Mesh::without_proxies(9);
    for central in &mut mesh.centrals {
        central.config["security"]["p2p"] = json!("tls");
    }
    mesh.centrals.iter_mut().for_each(Central::spawn);
    mesh.centrals.iter_mut().for_each(Central::wait_ready);
    mesh.wait_linked(3 * DEADLINE);
    mesh.centrals[4].http.enter("edge-1", "29A12345");
    let invited = mesh.centrals[2].http.post("/api/p2p/invitations", &json!({"valid_min": 5})).ok();
    let text = invited.field("invitation").to_owned();
    assert!(invited.field("svg").starts_with("<svg "));

    let mut tenth = Central::secured("central-10");
    tenth.start();
    let joined = tenth.http.post("/api/p2p/join", &json!({ "invitation": text })).ok();
    assert_eq!(joined.field("central"), "central-3");
    let members = joined.body["members"].clone();
    assert_eq!(members.as_array().unwrap().len(), 8, "{members}");
    let since = Instant::now();
    take_over(&tenth, &members);
    eventually("it is linked with all nine", DEADLINE, || connected(&tenth) == 9);
    println!("linked with nine after {:?}", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    eventually("what they hold arrives", DEADLINE, || tenth.http.rows_of("29A12345").len() == 1);
    // Nobody has to compare anything: both sides knew the other's certificate from the first word.
    for central in &mesh.centrals {
        let shown = peer(central, "central-10");
        assert_eq!((&shown["fingerprint"], &shown["unconfirmed"]), (&fingerprint(&tenth), &json!(false)), "{shown}");
        assert_eq!(peer(&tenth, &central.id)["unconfirmed"], false);
        assert_eq!((&shown["peer_ip"], &shown["peer_port"]), (&json!(tenth.ip), &json!(P2P_PORT)));
        assert!(!central.log().contains(text.rsplit('/').next().unwrap()), "no code in a log");
    }
    let mut again = Central::secured("central-11");
    again.start();
    let refused = again.http.post("/api/p2p/join", &json!({ "invitation": text })).refused(409);
    assert!(refused.field("error").contains("was used"), "{}", refused.body);
    assert_eq!(again.http.p2p_status()["total_peers"], 0);
}

#[test]
fn an_invitation_leads_to_nobody_but_who_made_it() {
    let mut inviting = Central::secured("central-1");
    inviting.start();
    let text = inviting.http.post("/api/p2p/invitations", &json!({})).ok().field("invitation").to_owned();
    let mut impostor = Central::secured("central-1");
    impostor.start();
    let mut guest = Central::secured("central-2");
    guest.start();
    // The network leads to somebody else.
    let led_away = text.replace(&inviting.ip, &impostor.ip);
    let refused = guest.http.post("/api/p2p/join", &json!({ "invitation": led_away })).refused(409);
    assert!(refused.field("error").contains("not the one pinned"), "{}", refused.body);
    // The same id twice: nothing is used up by that.
    let refused = impostor.http.post("/api/p2p/join", &json!({ "invitation": text })).refused(409);
    assert!(refused.field("error").contains("an id of its own"), "{}", refused.body);
    for wrong in ["", "hello", &text[..text.len() - 1]] {
        guest.http.post("/api/p2p/join", &json!({ "invitation": wrong })).refused(400);
    }
    guest.http.post("/api/p2p/join", &json!({ "invitation": text })).ok();
    eventually("they are linked", DEADLINE, || connected(&guest) == 1 && connected(&inviting) == 1);
}

#[test]
fn who_is_expelled_is_refused_by_all_also_by_those_that_hear_of_it_later() {
    let mut mesh = secured_mesh(3);
    mesh.start_all();
    // One is away and hears of it later.
    mesh.centrals[1].terminate();
    let reason = json!({"reason": "máy bị lấy cắp", "by": "Lan"});
    mesh.centrals[0].http.post("/api/p2p/peers/central-3/expel", &reason).ok().field("version");
    let is_out = |central: &Central| {
        let shown = peer(central, "central-3");
        // Nobody is logged in, and nobody is what he says he is.
        let why = json!({"reason": "máy bị lấy cắp", "by": null});
        shown["expelled"] == true && shown["connected"] == false && shown["expulsion"] == why
    };
    eventually("its link ends", DEADLINE, || is_out(&mesh.centrals[0]));
    mesh.centrals[2].http.enter("edge-6", "66A66666");
    mesh.centrals[1].start();
    eventually("the other hears of it", DEADLINE, || is_out(&mesh.centrals[1]));
    eventually("the expelled one is told why", DEADLINE, || {
        let told = |id: &str| peer(&mesh.centrals[2], id)["reason"].as_str().unwrap_or_default().contains("expelled");
        told("central-1") && told("central-2")
    });
    // Another id does not help it.
    mesh.centrals[2].http.put("/api/p2p/config", &json!({"this_central": {"id": "central-7"}})).ok();
    eventually("nor another name", DEADLINE, || {
        mesh.centrals[0]
            .log()
            .lines()
            .any(|line| line.contains("event=peer_refused") && line.contains("peer=central-7"))
    });
    assert_eq!(mesh.centrals[0].http.p2p_status()["pending"], json!([]));
    // Kept over a restart.
    mesh.centrals[0].terminate();
    mesh.centrals[0].start();
    mesh.centrals[0].http.enter("edge-1", "29A12345");
    eventually("the two go on", DEADLINE, || mesh.centrals[1].http.rows_of("29A12345").len() == 1);
    assert!(is_out(&mesh.centrals[0]));

    // Repaired, it is invited anew, with a new key and its old id.
    mesh.centrals[2]
        .http
        .put("/api/p2p/config", &json!({"this_central": {"id": "central-3"}, "peer_centrals": []}))
        .ok();
    mesh.centrals[2].terminate();
    forget_identity(&mesh.centrals[2]);
    mesh.centrals[2].start();
    mesh.centrals[0].http.delete("/api/p2p/peers/central-3").ok();
    let text = mesh.centrals[0].http.post("/api/p2p/invitations", &json!({})).ok().field("invitation").to_owned();
    let joined = mesh.centrals[2].http.post("/api/p2p/join", &json!({ "invitation": text })).ok();
    take_over(&mesh.centrals[2], &joined.body["members"]);
    eventually("it is back", DEADLINE, || connected(&mesh.centrals[2]) == 2);
}

/// A machine was prepared by copying the disk of another one and changing the id.
#[test]
fn a_clone_is_refused_at_both_machines_and_told_what_to_do() {
    let mut mesh = secured_mesh(2);
    mesh.centrals[0].start();
    let key = std::fs::read(identity_file(&mesh.centrals[0])).unwrap();
    let data = mesh.centrals[1].data_directory();
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(identity_file(&mesh.centrals[1]), key).unwrap();
    std::fs::set_permissions(identity_file(&mesh.centrals[1]), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    mesh.centrals[1].start();
    assert_eq!(fingerprint(&mesh.centrals[0]), fingerprint(&mesh.centrals[1]));
    for (central, other) in [(0, "central-2"), (1, "central-1")] {
        let central = &mesh.centrals[central];
        eventually("it is told in the log", DEADLINE, || {
            let log = central.log();
            let line = log.lines().find(|line| line.contains("event=own_certificate_shown")).map(ToOwned::to_owned);
            line.is_some_and(|line| {
                line.contains("ERROR") && line.contains("clone") && line.contains("remove its data directory")
            })
        });
        assert_eq!(peer(central, other)["connected"], false);
        central.http.enter("edge-1", "29A12345");
    }
    for central in &mesh.centrals {
        assert_eq!(central.http.rows_of("29A12345").len(), 1, "neither hears of the other's");
    }
}
