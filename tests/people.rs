//! The people of a site, at three real centrals: known at all, gone at all, changed on both sides of a cut; to nobody whom no person
//! has confirmed; and no hash of a password anywhere but in the file that is for its owner alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::central::API_PORT;
use common::dashboard::Dashboard;
use common::{Central, DEADLINE, Http, Mesh, eventually, eventually_some};
use serde_json::{Value, json};

const PASSWORD: &str = "ba con voi";

/// Centrals that know each other's fingerprints, as after an invitation, and share their people; not started.
fn confirmed_mesh(count: usize) -> Mesh {
    let mut mesh = Mesh::new(count);
    let fingerprints: Vec<String> = mesh.centrals.iter().map(fingerprint).collect();
    for central in &mut mesh.centrals {
        central.config["security"] = json!({"p2p": "tls", "admin": "password", "people": "site"});
        for peer in central.config["peer_centrals"].as_array_mut().unwrap() {
            let number: usize = peer["id"].as_str().unwrap().strip_prefix("central-").unwrap().parse().unwrap();
            peer["fingerprint"] = json!(fingerprints[number - 1]);
        }
    }
    mesh
}

/// Its key is made beforehand.
fn fingerprint(central: &Central) -> String {
    let told = central.subcommand("identity").output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

/// Logged in as `an`, the first administrator.
fn administrator(central: &Central) -> Http {
    let body = json!({"code": central.first_code(), "name": "an", "password": PASSWORD});
    central.http.with("Cookie", central.http.post("/api/access/code", &body).ok().cookie())
}

fn log_in(central: &Central, name: &str, password: &str) -> Option<Http> {
    let reply = central.http.post("/api/access/login", &json!({"name": name, "password": password}));
    reply.is_success().then(|| central.http.with("Cookie", reply.cookie()))
}

/// Once the central has heard of the person.
fn eventually_in(central: &Central, name: &str, password: &str) -> Http {
    eventually(&format!("{} hears of {name}", central.id), DEADLINE, || {
        people_file(central).as_array().is_some_and(|people| people.iter().any(|person| person["name"] == name))
    });
    eventually_some(&format!("{name} is let in at {}", central.id), DEADLINE, || log_in(central, name, password))
}

/// What lies in its file: asking over HTTP with a wrong password is slowed.
fn people_file(central: &Central) -> Value {
    let text = std::fs::read_to_string(central.data_directory().join("accounts.json")).unwrap_or_default();
    serde_json::from_str::<Value>(&text).unwrap_or_default()["people"].clone()
}

fn hash_of(central: &Central, name: &str) -> Value {
    let people = people_file(central);
    let found = people.as_array().and_then(|people| people.iter().find(|person| person["name"] == name).cloned());
    found.map_or(Value::Null, |person| person["password"].clone())
}

fn add(an: &Http, name: &str, role: &str) {
    an.post("/api/access/people", &json!({"name": name, "role": role, "password": PASSWORD})).ok();
}

/// Nobody any more, or still who logged in.
fn kind(caller: &Http) -> String {
    caller.get("/api/access").ok().field("kind").to_owned()
}

fn not_known_at(an: &Http) -> Value {
    an.get("/api/access/people").ok().body["not_known_at"].clone()
}

fn is_overruled(an: &Http, name: &str) -> bool {
    let told = an.get("/api/access/people").ok().body["overruled"].clone();
    told.as_array().unwrap().iter().any(|one| one["name"] == name)
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// Fails if the hash of a password is anywhere but in a file for its owner alone, or in anything that an administrator is told.
fn no_hash_is_told(central: &Central, an: &Http) {
    let mut said: Vec<(String, String)> = Vec::new();
    for path in [
        "/api/access",
        "/api/access/people",
        "/api/access/tokens",
        "/api/access/audit?limit=500",
        "/api/access/audit.csv",
        "/api/p2p/config",
        "/api/p2p/status",
        "/api/parking/history",
        "/metrics",
        "/api/openapi.json",
        "/healthz",
    ] {
        said.push((path.to_owned(), an.get(path).text));
    }
    assert!(said[3].1.contains("binh"), "the audit tells of people: {}", said[3].1);
    let mut feed = Dashboard::open(&format!("{}:{API_PORT}", central.ip), "");
    said.push(("the status feed".to_owned(), feed.next().to_string()));
    said.push(("the log".to_owned(), central.log()));
    for (what, text) in said {
        assert!(!text.contains("argon2") && !text.contains("PEOPLE\""), "{what} of {}", central.id);
    }
    let (mut read, mut kept) = (0, 0);
    for file in files_below(central.directory()) {
        read += 1;
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        if text.contains("$argon2") {
            let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
            assert_eq!(
                (file.file_name().unwrap().to_str(), mode),
                (Some("accounts.json"), 0o600),
                "{}",
                file.display()
            );
            kept += 1;
        }
    }
    assert!(read > 4 && kept >= 1, "{read} {kept}");
}

#[test]
fn who_is_added_anywhere_logs_in_everywhere_and_who_is_removed_nowhere_also_where_it_was_not_heard_at_once() {
    let mut mesh = confirmed_mesh(3);
    for central in &mut mesh.centrals {
        // Every level, also of the libraries.
        central.env("RUST_LOG", "trace");
    }
    mesh.start_all();
    let codes: Vec<String> = mesh.centrals.iter().map(Central::first_code).collect();
    let an = administrator(&mesh.centrals[0]);
    let an_at_2 = eventually_in(&mesh.centrals[1], "an", PASSWORD);
    let late = json!({"code": codes[1], "name": "thief", "password": PASSWORD});
    let refused = mesh.centrals[1].http.post("/api/access/code", &late).refused(401);
    assert_eq!(refused.field("code"), "wrong_code", "there is an administrator, so the first code is worth nothing");
    add(&an, "binh", "operator");
    let binh = eventually_in(&mesh.centrals[2], "binh", PASSWORD);
    eventually("all know it", DEADLINE, || not_known_at(&an) == json!([]));
    let made = eventually_in(&mesh.centrals[2], "an", PASSWORD);
    assert_eq!(kind(&made), "person");

    mesh.isolate(2);
    an_at_2.delete("/api/access/people/binh").ok();
    eventually("the first has heard it", DEADLINE, || hash_of(&mesh.centrals[0], "binh").is_null());
    eventually("the third alone has not heard it", DEADLINE, || {
        let told = not_known_at(&an_at_2);
        told.as_array().unwrap().iter().map(|one| &one["central"]).eq(["central-3"])
    });
    assert_eq!(kind(&binh), "person", "nobody could tell it");
    mesh.heal_all();
    eventually("the session is over", DEADLINE, || kind(&binh) == "nobody");
    assert!(log_in(&mesh.centrals[2], "binh", PASSWORD).is_none());
    eventually("all know it", DEADLINE, || not_known_at(&an_at_2) == json!([]));
    let audit = made.get("/api/access/audit?kind=person").ok().body;
    let removal = audit["entries"].as_array().unwrap().iter().find(|entry| entry["what"] == "binh").unwrap().clone();
    assert!(removal["who"].as_str().unwrap().starts_with("central:central-"), "{removal}");

    // It outlives the process, and who lost the file has it again.
    mesh.centrals[1].terminate();
    mesh.centrals[1].start();
    assert!(log_in(&mesh.centrals[1], "an", PASSWORD).is_some());
    mesh.centrals[2].terminate();
    std::fs::remove_file(mesh.centrals[2].data_directory().join("accounts.json")).unwrap();
    mesh.centrals[2].start();
    let an_at_3 = eventually_in(&mesh.centrals[2], "an", PASSWORD);
    assert!(hash_of(&mesh.centrals[2], "binh").is_null());
    for (central, an) in mesh.centrals.iter().zip([&an, &log_in(&mesh.centrals[1], "an", PASSWORD).unwrap(), &an_at_3])
    {
        no_hash_is_told(central, an);
    }
}

#[test]
fn of_passwords_set_on_both_sides_of_a_cut_the_later_counts_everywhere_and_it_is_told() {
    let mut mesh = confirmed_mesh(2);
    mesh.start_all();
    let an = administrator(&mesh.centrals[0]);
    add(&an, "chi", "operator");
    let an_at_2 = eventually_in(&mesh.centrals[1], "an", PASSWORD);
    let chi = eventually_in(&mesh.centrals[1], "chi", PASSWORD);
    let chi_at_1 = log_in(&mesh.centrals[0], "chi", PASSWORD).unwrap();
    mesh.isolate(1);
    let password = |by: &Http, password: &str| by.put("/api/access/people/chi", &json!({"password": password})).ok();
    password(&an, "bon con voi");
    assert_eq!((kind(&chi_at_1), kind(&chi)), ("nobody".to_owned(), "person".to_owned()));
    let chi_at_1 = log_in(&mesh.centrals[0], "chi", "bon con voi").unwrap();
    password(&an_at_2, "nam con voi");
    mesh.heal_all();
    eventually("one password at both", DEADLINE, || {
        hash_of(&mesh.centrals[0], "chi") == hash_of(&mesh.centrals[1], "chi") && kind(&chi_at_1) == "nobody"
    });
    for central in &mesh.centrals {
        assert!(log_in(central, "chi", "nam con voi").is_some(), "{}", central.id);
        assert!(log_in(central, "chi", "bon con voi").is_none(), "{}", central.id);
    }
    eventually("it is told where it does not count", DEADLINE, || is_overruled(&an, "chi"));
    let audit = an.get("/api/access/audit?kind=person").ok().body;
    let told = audit["entries"].as_array().unwrap().iter().filter(|entry| entry["outcome"] == "overruled");
    let told: Vec<&Value> = told.collect();
    assert_eq!(told.len(), 1, "{audit}");
    assert_eq!((&told[0]["what"], &told[0]["after"]["central"]), (&json!("chi"), &json!("central-2")));
}

#[test]
fn nobody_hears_of_people_who_is_not_confirmed_or_keeps_people_to_itself() {
    let mut mesh = confirmed_mesh(3);
    mesh.centrals[1].config["security"]["people"] = json!("local");
    // Met, and confirmed by nobody: at the first two, not at itself.
    for central in &mut mesh.centrals[..2] {
        let peers = central.config["peer_centrals"].as_array_mut().unwrap();
        let third = peers.iter_mut().find(|peer| peer["id"] == "central-3").unwrap();
        third["unconfirmed"] = json!(true);
    }
    mesh.start_all();
    let an = administrator(&mesh.centrals[0]);
    let own_code = mesh.centrals[1].first_code();
    let an_at_2 = json!({"code": own_code, "name": "an", "password": "cua rieng may"});
    let an_at_2 = mesh.centrals[1].http.post("/api/access/code", &an_at_2).ok().cookie();
    let an_at_2 = mesh.centrals[1].http.with("Cookie", an_at_2);
    add(&an, "binh", "operator");
    let why = |central: &str| {
        let told = not_known_at(&an);
        told.as_array().unwrap().iter().find(|one| one["central"] == central).map(|one| one["why"].clone())
    };
    assert_eq!((why("central-2"), why("central-3")), (Some(json!("silent")), Some(json!("unconfirmed"))));

    an_at_2.put("/api/p2p/config", &json!({"security": {"people": "site"}})).ok();
    eventually_in(&mesh.centrals[1], "binh", PASSWORD);
    eventually("the later password counts", DEADLINE, || {
        hash_of(&mesh.centrals[0], "an") == hash_of(&mesh.centrals[1], "an")
    });
    assert!(log_in(&mesh.centrals[0], "an", "cua rieng may").is_some());
    // What was said to the third before this car would have come before it.
    for central in &mesh.centrals[..2] {
        central.http.enter("edge-1", &format!("29A1234{}", central.id.len() + central.ip.len()));
    }
    mesh.wait_equal(DEADLINE);
    assert_eq!(people_file(&mesh.centrals[2]), Value::Null);

    let an = log_in(&mesh.centrals[0], "an", "cua rieng may").unwrap();
    an.put("/api/p2p/peers/central-3", &json!({"unconfirmed": false})).ok();
    eventually_in(&mesh.centrals[2], "binh", PASSWORD);
    eventually("all know it", DEADLINE, || not_known_at(&an) == json!([]));
}

#[test]
fn who_joins_by_an_invitation_takes_over_that_people_are_the_sites() {
    let [mut host, mut guest] = ["central-1", "central-2"].map(Central::secured);
    for central in [&mut host, &mut guest] {
        central.security("admin", "password");
    }
    host.security("people", "site");
    host.start();
    guest.start();
    let an = administrator(&host);
    add(&an, "binh", "operator");
    let body = json!({"code": guest.first_code(), "name": "chi", "password": PASSWORD});
    let chi = guest.http.with("Cookie", guest.http.post("/api/access/code", &body).ok().cookie());
    assert_eq!(chi.get("/api/access/people").ok().body["known"], "local");
    let invited = an.post("/api/p2p/invitations", &json!({})).ok();
    chi.post("/api/p2p/join", &json!({"invitation": invited.field("invitation")})).ok();
    assert_eq!(chi.get("/api/access/people").ok().body["known"], "site");
    eventually_in(&guest, "binh", PASSWORD);
    eventually_in(&host, "chi", PASSWORD);
    eventually("all know it", DEADLINE, || not_known_at(&an) == json!([]) && not_known_at(&chi) == json!([]));
}
