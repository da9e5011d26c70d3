//! Who changed what, from where: every kind of change leaves its entry before it is answered, whoever is turned away leaves one too,
//! nothing in there is ever rewritten, and no flood fills the disk with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::central::P2P_PORT;
use common::{Central, DEADLINE, Http, eventually, eventually_some};
use serde_json::{Value, json};

const PASSWORD: &str = "ba con voi";

/// A central with passwords that speaks TLS, and `an`, who administers it.
fn with_administrator() -> (Central, Http) {
    let mut central = Central::secured("central-1");
    central.security("admin", "password");
    central.start();
    let body = json!({"code": central.first_code(), "name": "an", "password": PASSWORD});
    let reply = central.http.post("/api/access/code", &body).ok();
    let an = central.http.with("Cookie", reply.cookie());
    (central, an)
}

/// All entries, newest first.
fn audit(http: &Http, query: &str) -> Vec<Value> {
    let page = http.get(&format!("/api/access/audit?limit=1000&{query}")).ok();
    assert_eq!(page.body["next_cursor"], Value::Null);
    page.body["entries"].as_array().unwrap().clone()
}

/// The newest entry, as it is the moment its change was answered.
#[track_caller]
fn newest(http: &Http, kind: &str, what: &str) -> Value {
    let entry = audit(http, &format!("kind={kind}"))[0].clone();
    assert_eq!(
        (&entry["what"], &entry["who"], &entry["outcome"]),
        (&json!(what), &json!("an"), &json!("done")),
        "{entry}"
    );
    assert!(entry["from"].as_str().unwrap().starts_with("127."), "{entry}");
    entry
}

#[test]
fn every_kind_of_change_has_left_its_entry_when_it_is_answered() {
    let (central, an) = with_administrator();
    let first = audit(&an, "kind=person")[0].clone();
    assert_eq!(
        (&first["who"], &first["what"], &first["after"]["an.role"]),
        (&json!("code:first"), &json!("an"), &json!("administrator"))
    );

    an.put("/api/p2p/config", &json!({"site": {"name": "Bãi A"}, "edges": [{"id": "edge-1"}]})).ok();
    let entry = newest(&an, "settings", "");
    assert_eq!((&entry["before"]["site.name"], &entry["after"]["site.name"]), (&json!(""), &json!("Bãi A")));
    an.put("/api/p2p/config", &json!({"site": {"name": "Bãi A"}})).ok();
    assert_eq!(audit(&an, "kind=settings").len(), 1, "what changes nothing is no change");

    an.post("/api/p2p/peers", &json!({"id": "central-2", "ip": "127.97.0.9", "p2p_port": 29_000})).ok();
    assert_eq!(newest(&an, "peer", "central-2")["after"]["peer_centrals.central-2.ip"], "127.97.0.9");
    an.put("/api/p2p/peers/central-2", &json!({"ip": "127.97.0.10"})).ok();
    let entry = newest(&an, "peer", "central-2");
    assert_eq!(entry["before"], json!({"peer_centrals.central-2.ip": "127.97.0.9"}));
    assert_eq!(entry["after"], json!({"peer_centrals.central-2.ip": "127.97.0.10"}));
    an.delete("/api/p2p/peers/central-2").ok();
    assert_eq!(newest(&an, "peer", "central-2").get("after"), None);

    an.post("/api/access/people", &json!({"name": "Binh", "role": "operator", "password": PASSWORD})).ok();
    assert_eq!(newest(&an, "person", "Binh")["after"]["Binh.role"], "operator");
    an.put("/api/access/people/binh", &json!({"role": "administrator"})).ok();
    let entry = newest(&an, "person", "Binh");
    assert_eq!(
        (&entry["before"], &entry["after"]),
        (&json!({"Binh.role": "operator"}), &json!({"Binh.role": "administrator"}))
    );
    an.put("/api/access/people/binh", &json!({"password": "bon con voi"})).ok();
    newest(&an, "password", "Binh");
    an.delete("/api/access/people/binh").ok();
    newest(&an, "person", "Binh");
    an.put("/api/access/password", &json!({"old": PASSWORD, "new": "nam con voi"})).ok();
    newest(&an, "password", "an");

    let token = an.post("/api/access/tokens", &json!({"name": "backup", "role": "administrator"})).ok();
    newest(&an, "token", "backup");
    let program = central.http.with("Authorization", format!("Bearer {}", token.field("token")));
    program.put("/api/p2p/config", &json!({"site": {"name": "Bãi B"}})).ok();
    assert_eq!(audit(&an, "kind=settings")[0]["who"], "token:backup");
    an.delete("/api/access/tokens/backup").ok();
    newest(&an, "token", "backup");
    for _ in 0..2 {
        an.post("/api/access/edges/edge-1/key", &json!({})).ok();
        assert_eq!(newest(&an, "edge_key", "edge-1")["after"]["edges.edge-1.key_hash"], "(hidden)");
    }
    an.delete("/api/access/edges/edge-1/key").ok();
    assert_eq!(newest(&an, "edge_key", "edge-1").get("after"), None);
    an.post("/api/p2p/invitations", &json!({})).ok();
    newest(&an, "invitation", "");

    an.put("/api/parking/fees", &json!({"fees": {"fee_base": 0, "fee_per_hour": 30000}})).ok();
    let entry = newest(&an, "tariff", "");
    assert_eq!((&entry["before"]["fee_per_hour"], &entry["after"]["fee_per_hour"]), (&json!(25000), &json!(30000)));
    let subscription = json!({"id": "1", "plate_number": "29A-123.45", "type": "company", "status": "active",
        "owner_name": "Lan", "start_date": "2026-01-01", "end_date": "2027-12-31", "phone": "", "note": ""});
    an.put("/api/subscriptions", &json!({"subscriptions": [subscription]})).ok();
    assert_eq!(newest(&an, "subscriptions", "")["after"]["1.owner_name"], "Lan");

    let stay = central.http.enter("edge-1", "29A12345");
    an.correct(&stay, &json!({"plate_id": "29A12346", "reason": "đọc nhầm", "by": "Lan"})).ok();
    let entry = newest(&an, "correction", &stay);
    assert_eq!((&entry["before"]["plate_id"], &entry["after"]["plate_id"]), (&json!("29A12345"), &json!("29A12346")));
    // Who that was is known by the login, whatever the request says.
    assert_eq!((&entry["after"]["reason"], entry["after"].get("by")), (&json!("đọc nhầm"), None));
    an.void(&stay, &json!({"reason": "nhầm xe"})).ok();
    let entry = newest(&an, "void", &stay);
    assert_eq!((&entry["before"]["status"], &entry["after"]["status"]), (&json!("IN"), &json!("VOID")));
    let stay = central.http.enter("edge-1", "29A12345");
    let remove = json!({"type": "DELETE", "camera_id": "edge-1", "data": {"event_id": stay}});
    an.post("/api/edge/event", &remove).ok();
    newest(&an, "void", &stay);
    an.post("/api/edge/event", &remove).ok();
    assert_eq!(audit(&an, "kind=void").len(), 2, "said again, it changed nothing");
}

#[test]
fn a_forced_opening_is_told_with_the_opening_and_an_ordinary_one_is_not() {
    let (central, an) = with_administrator();
    central.http.enter("edge-1", "29A12345");
    central.http.leave("edge-2", "29A12345");
    let exit = json!({"edge_id": "edge-2", "plate_id": "30A99999", "direction": "EXIT", "force": true, "fee": 20000, "request_id": "r1"});
    an.open(&exit).ok();
    let entry = newest(&an, "forced_opening", "edge-2");
    assert_eq!(
        (&entry["after"]["plate_id"], &entry["after"]["direction"], &entry["after"]["fee"]),
        (&json!("30A99999"), &json!("EXIT"), &json!(20000))
    );
    an.open(&exit).ok();
    central.http.open(&json!({"edge_id": "edge-1", "plate_id": "31A12345", "direction": "ENTRY", "force": true})).ok();
    central.http.open(&json!({"edge_id": "edge-3", "plate_id": "31A12345", "direction": "ENTRY", "force": true})).ok();
    let entries = audit(&an, "kind=forced_opening");
    assert_eq!(entries.len(), 3, "the repeated press opened nothing: {entries:?}");
    assert_eq!((&entries[0]["who"], &entries[0]["what"]), (&json!(""), &json!("edge-3")));
    assert_eq!(entries[0]["before"]["gate"], "central-1/edge-1", "the stay it replaced");
}

#[test]
fn who_comes_in_goes_out_and_is_turned_away_is_told_without_what_he_typed() {
    let (central, an) = with_administrator();
    an.post("/api/access/people", &json!({"name": "binh", "role": "operator", "password": PASSWORD})).ok();
    let log_in = |name: &str, password: &str| {
        central.http.post("/api/access/login", &json!({"name": name, "password": password}))
    };
    let binh = central.http.with("Cookie", log_in("BINH", PASSWORD).ok().cookie());
    log_in("an", "wrong-password-1").refused(401);
    log_in("a-typed-password", "x").refused(401);
    binh.put("/api/parking/fees", &json!({"fees": {}})).refused(403);
    central.http.put("/api/p2p/config", &json!({})).refused(401);
    an.put("/api/p2p/config", &json!({"site": {"name": "x\u{7}"}})).refused(400);
    an.with("Origin", "http://evil.example").put("/api/p2p/config", &json!({})).refused(403);
    central.http.with("Host", "evil.example").send("GET", "/static/a-secret-path", None).unwrap();
    binh.post("/api/access/logout", &json!({})).ok();
    let find = |kind: &str, outcome: &str, who: &str, what: &str| {
        let entries = audit(&an, &format!("kind={kind}"));
        entries.iter().any(|entry| {
            entry["outcome"] == outcome && entry["who"] == who && entry["what"].as_str().unwrap().contains(what)
        })
    };
    for (kind, outcome, who, what) in [
        ("login", "done", "an", ""),
        ("login", "done", "binh", ""),
        ("logout", "done", "binh", ""),
        ("refusal", "wrong_login", "", "POST /api/access/login: an"),
        ("refusal", "forbidden", "binh", "PUT /api/parking/fees"),
        ("refusal", "login_required", "", "PUT /api/p2p/config"),
        ("refusal", "invalid_field", "an", "PUT /api/p2p/config"),
        ("refusal", "foreign_page", "", "PUT /api/p2p/config"),
        ("refusal", "unknown_host", "", "GET /static/"),
    ] {
        eventually(&format!("{kind} {outcome} {who} {what}"), DEADLINE, || find(kind, outcome, who, what));
    }
    let all = an.get("/api/access/audit?limit=1000").ok().text + &an.get("/api/access/audit.csv").text;
    for typed in ["wrong-password-1", "a-typed-password", "a-secret-path", PASSWORD] {
        assert!(!all.contains(typed), "{typed}");
    }
}

#[test]
fn who_belongs_to_the_mesh_is_told_where_it_was_decided() {
    let [mut inviting, mut guest, mut knocking] = ["central-1", "central-2", "central-3"].map(Central::secured);
    inviting.start();
    guest.start();
    let text = inviting.http.post("/api/p2p/invitations", &json!({})).ok().field("invitation").to_owned();
    guest.http.post("/api/p2p/join", &json!({ "invitation": text })).ok();
    assert_eq!(audit(&guest.http, "kind=join")[0]["what"], "central-1");
    let came = audit(&inviting.http, "kind=invitation");
    let added = came.iter().find(|entry| entry["after"]["peer_centrals.central-2.ip"] == guest.ip.as_str());
    assert_eq!(added.map(|entry| &entry["what"]), Some(&json!("central-2")), "{came:?}");
    assert!(came.iter().any(|entry| entry["after"]["standing"] == "admitted"), "{came:?}");

    knocking.add_peer("central-1", &inviting.ip, P2P_PORT);
    knocking.start();
    knocking.http.post("/api/p2p/join", &json!({ "invitation": text })).refused(409);
    let turned_away = |entry: &Value| entry["outcome"] == "invitation_refused" && entry["what"] == "central-3";
    eventually("an invitation works once", DEADLINE, || audit(&inviting.http, "kind=refusal").iter().any(turned_away));
    let waits = || inviting.http.p2p_status()["pending"][0]["fingerprint"].as_str().map(str::to_owned);
    let fingerprint = eventually_some("it waits for a yes", DEADLINE, waits);
    inviting.http.post(&format!("/api/p2p/pending/{fingerprint}"), &json!({})).ok();
    let accepted = audit(&inviting.http, "kind=pending")[0].clone();
    let pinned = &accepted["after"]["peer_centrals.central-3.fingerprint"];
    assert_eq!((&accepted["what"], pinned), (&json!("central-3"), &json!(fingerprint)));

    eventually("the first contact is told", DEADLINE, || {
        audit(&knocking.http, "kind=peer").iter().any(|entry| entry["who"] == "mesh:first-contact")
    });

    let reason = json!({"reason": "máy bị lấy cắp", "by": "Lan"});
    let reply = inviting.http.post("/api/p2p/peers/central-2/expel", &reason).ok();
    assert_eq!(reply.body["notes"][0]["code"], "from_login", "{}", reply.body);
    let expelled = audit(&inviting.http, "kind=expulsion")[0].clone();
    assert_eq!(expelled["what"], "central-2");
    assert_eq!(
        (&expelled["before"]["standing"], &expelled["after"]["standing"]),
        (&json!("admitted"), &json!("expelled"))
    );
    assert_eq!(expelled["after"]["by"], Value::Null, "nobody is logged in, and nobody is what he says he is");
}

#[test]
fn it_outlives_a_restart_and_a_power_cut_and_is_checked() {
    let (mut central, an) = with_administrator();
    let name = |http: &Http, name: &str| http.put("/api/p2p/config", &json!({"site": {"name": name}})).ok();
    name(&an, "A");
    central.http.post("/api/access/login", &json!({"name": "an", "password": "wrong"})).refused(401);
    central.terminate();
    central.start();
    let log_in = |central: &Central| {
        let reply = central.http.post("/api/access/login", &json!({"name": "an", "password": PASSWORD})).ok();
        central.http.with("Cookie", reply.cookie())
    };
    let an = log_in(&central);
    assert_eq!(audit(&an, "kind=refusal")[0]["outcome"], "wrong_login", "a clean stop loses nothing");
    assert_eq!(audit(&an, "kind=settings")[0]["after"]["site.name"], "A");
    name(&an, "B");
    central.kill9();
    central.start();
    let an = log_in(&central);
    assert_eq!(audit(&an, "kind=settings")[0]["after"]["site.name"], "B", "written before it was answered");
    central.terminate();
    let database = rusqlite::Connection::open(central.database()).unwrap();
    for sql in ["UPDATE audit SET who = 'x'", "DELETE FROM audit"] {
        assert!(database.execute(sql, ()).is_err(), "{sql}");
    }
    drop(database);
    let verify = || String::from_utf8(central.subcommand("verify").output().unwrap().stdout).unwrap();
    let said = verify();
    assert!(said.trim_end().ends_with("OK") && said.contains("entries of the audit"), "{said}");
    central.subcommand("rebuild").output().unwrap();
    assert_eq!(verify(), said);
    let database = rusqlite::Connection::open(central.database()).unwrap();
    database
        .execute_batch("DROP TRIGGER audit_never_changes; UPDATE audit SET entry = replace(entry, '\"B\"', '\"C\"')")
        .unwrap();
    drop(database);
    let said = verify();
    assert!(said.contains("audit: entry") && said.trim_end().ends_with("DAMAGED"), "{said}");
}

#[test]
fn a_flood_of_refusals_is_counted_and_not_written_one_by_one() {
    let (mut central, an) = with_administrator();
    const REFUSED: u64 = 1_500;
    for number in 0..REFUSED {
        let path = format!("/api/p2p/peers/central-{number}");
        central.http.delete(&path).refused(401);
    }
    let told = |entries: &[Value]| entries.iter().map(|entry| entry["count"].as_u64().unwrap()).sum::<u64>();
    let refusals = audit(&an, "kind=refusal");
    assert!(refusals.len() <= 4, "{refusals:?}");
    central.terminate();
    central.start();
    let reply = central.http.post("/api/access/login", &json!({"name": "an", "password": PASSWORD})).ok();
    let an = central.http.with("Cookie", reply.cookie());
    let refusals = audit(&an, "kind=refusal");
    assert!(refusals.len() <= 6, "{refusals:?}");
    assert_eq!(told(&refusals), REFUSED, "each is counted: {refusals:?}");
}

#[test]
fn it_is_read_in_pages_and_as_a_table() {
    let (_central, an) = with_administrator();
    for number in 0..5 {
        an.put("/api/p2p/config", &json!({"site": {"name": format!("=Bãi {number}")}})).ok();
    }
    let first = an.get("/api/access/audit?kind=settings&limit=3").ok();
    assert_eq!(first.body["entries"].as_array().unwrap().len(), 3);
    let cursor = first.field("next_cursor");
    let second = an.get(&format!("/api/access/audit?kind=settings&limit=3&cursor={cursor}")).ok();
    assert_eq!(second.body["entries"].as_array().unwrap().len(), 2);
    assert_eq!(second.body["entries"][1]["after"]["site.name"], "=Bãi 0");
    assert_eq!(audit(&an, "who=an&kind=settings").len(), 5);
    assert_eq!(audit(&an, "who=nobody").len(), 0);
    assert_eq!(audit(&an, "to=2020-01-01").len(), 0);
    assert!(audit(&an, "from=2020-01-01").len() >= 6);
    for (query, field) in
        [("kind=x", "kind"), ("limit=0", "limit"), ("from=x", "from"), ("cursor=x", "cursor"), ("lang=x", "lang")]
    {
        let reply = an.get(&format!("/api/access/audit.csv?{query}")).refused(400);
        assert_eq!(reply.field("field"), field);
    }
    let table = an.get("/api/access/audit.csv?kind=settings&lang=en");
    let lines: Vec<&str> = table.text.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert!(lines[0].starts_with("Time,Kind,Who,From,What,Outcome,Before,After"), "{}", lines[0]);
    assert!(lines[1].contains(",Settings,an,127."), "{}", lines[1]);
    let name = table.headers["content-disposition"].to_str().unwrap();
    assert!(name.contains("parkmesh-audit-central-1-"), "{name}");
}
