//! The list of subscriptions, the tariff and the names of the site as several people change them: nobody's work is lost, here or at another central.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::{Central, DEADLINE, Http, Mesh, eventually, shifted_clock};
use parkmesh::domain::time::SiteZone;
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;

const PATH: &str = "/api/subscriptions";

fn subscription(id: &str, note: &str) -> Value {
    json!({
        "id": id, "plate_number": "29A-123.45", "owner_name": "", "type": "monthly", "status": "active",
        "start_date": "", "end_date": "", "phone": "", "note": note,
    })
}

fn list(ids: &[&str]) -> Vec<Value> {
    ids.iter().map(|id| subscription(id, "")).collect()
}

fn held(http: &Http) -> (Vec<Value>, String) {
    let body = http.get(PATH).ok().body;
    (body["subscriptions"].as_array().unwrap().clone(), body["version"].as_str().unwrap().to_owned())
}

fn ids(http: &Http) -> Vec<String> {
    held(http).0.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn of_two_people_who_change_the_list_they_both_read_neither_loses_anything() {
    let central = Central::standalone("central-1");
    let http = &central.http;
    http.put(PATH, &json!({"subscriptions": list(&["a"])})).ok();
    let (_, version) = held(http);
    let put = |ids: &[&str], version: &str| http.put(PATH, &json!({"subscriptions": list(ids), "version": version}));
    let first = put(&["a", "b"], &version).ok();
    assert_eq!((first.number("changed"), &first.body["removed"]), (1, &json!([])));
    let second = put(&["a", "c"], &version).refused(409);
    assert_eq!((second.field("code"), second.field("version")), ("stale_version", first.field("version")));
    assert_eq!(second.body["difference"]["only_sent"], json!(list(&["c"])), "{}", second.text);
    assert_eq!(second.body["difference"]["only_held"], json!(list(&["b"])), "{}", second.text);
    assert_eq!(ids(http), ["a", "b"], "nothing was changed");
    // Read again, and the change put on it.
    put(&["a", "b", "c"], second.field("version")).ok();
    assert_eq!(ids(http), ["a", "b", "c"]);
    // Who sends what is held already changes nothing, whatever he read.
    assert_eq!(put(&["a", "b", "c"], &version).ok().number("changed"), 0);
    // Another value of one that somebody else changed meanwhile.
    let (_, version) = held(http);
    let with = |note| json!({"subscriptions": [subscription("a", note), subscription("b", ""), subscription("c", "")], "version": version});
    http.put(PATH, &with("x")).ok();
    let refused = http.put(PATH, &with("y")).refused(409);
    let differing = json!([{"sent": subscription("a", "y"), "held": subscription("a", "x")}]);
    assert_eq!(refused.body["difference"]["differing"], differing, "{}", refused.text);
    assert_eq!(held(http).0[0]["note"], "x");
}

#[test]
fn a_list_without_a_version_removes_nothing_that_is_new_and_what_it_removes_comes_back() {
    let central = Central::standalone("central-1");
    let http = &central.http;
    let put = |ids: &[&str]| http.put(PATH, &json!({"subscriptions": list(ids)}));
    put(&["a", "b"]).ok();
    let refused = put(&["a", "c"]).refused(409);
    assert_eq!((refused.field("code"), &refused.body["would_remove"]), ("stale_list", &json!(list(&["b"]))));
    assert_eq!(ids(http), ["a", "b"]);
    // To add and to change is no loss.
    put(&["a", "b", "c"]).ok();
    let (_, version) = held(http);
    let removing = json!({"subscriptions": list(&["c"]), "version": version});
    let removed = http.put(PATH, &removing).ok().body["removed"].clone();
    assert_eq!(removed, json!(list(&["a", "b"])));
    let restored = http.post("/api/subscriptions/restore", &json!({"subscriptions": removed})).ok();
    assert_eq!((restored.number("changed"), ids(http)), (2, vec!["a".to_owned(), "b".into(), "c".into()]));
    // One that is there again as something else is not touched.
    let other = json!({"subscriptions": [subscription("a", "x"), subscription("d", "")]});
    assert_eq!(http.post("/api/subscriptions/restore", &other).refused(409).field("code"), "stale_list");
    assert_eq!(ids(http), ["a", "b", "c"]);
}

#[test]
fn a_long_list_is_saved_in_pieces_and_is_whole() {
    let mut central = Central::standalone("central-1");
    let many: Vec<Value> = (0..1_050).map(|number| subscription(&format!("s-{number:04}"), "")).collect();
    let saved = central.http.put(PATH, &json!({"subscriptions": many})).ok();
    assert_eq!(saved.number("changed"), 1_050);
    assert_eq!(held(&central.http), (many, saved.field("version").to_owned()));
    central.kill9();
    central.start();
    let (subscriptions, version) = held(&central.http);
    assert_eq!((subscriptions.len(), version.as_str()), (1_050, saved.field("version")));
    let emptied = central.http.put(PATH, &json!({"subscriptions": [], "version": version})).ok();
    assert_eq!((emptied.number("changed"), emptied.body["removed"].as_array().unwrap().len()), (1_050, 1_050));
    assert!(ids(&central.http).is_empty());
}

#[test]
fn what_was_added_at_two_centrals_apart_is_at_both_and_a_list_read_before_is_refused() {
    let mesh = Mesh::start(2);
    let [a, b] = [&mesh.centrals[0].http, &mesh.centrals[1].http];
    a.put(PATH, &json!({"subscriptions": list(&["a"])})).ok();
    mesh.wait_equal(DEADLINE);
    assert_eq!(held(a), held(b), "equal lists have equal versions");
    let (_, version) = held(a);
    mesh.cut(0, 1);
    for (http, id) in [(a, "b"), (b, "c")] {
        http.put(PATH, &json!({"subscriptions": list(&["a", id]), "version": version})).ok();
    }
    let (_, read_apart) = held(a);
    mesh.heal_all();
    eventually("both have both", DEADLINE, || ids(a).len() == 3 && ids(b).len() == 3);
    assert_eq!(held(a), held(b));
    let stale = json!({"subscriptions": list(&["a", "b", "d"]), "version": read_apart});
    assert_eq!(a.put(PATH, &stale).refused(409).field("code"), "stale_version");
    // It became known here a moment ago, whenever it was set.
    let without = json!({"subscriptions": list(&["a", "b", "d"])});
    assert_eq!(a.put(PATH, &without).refused(409).body["would_remove"], json!(list(&["c"])));
    assert_eq!(ids(b), ["a", "b", "c"]);
}

#[test]
fn a_tariff_is_not_saved_over_one_that_was_not_read() {
    let central = Central::standalone("central-1");
    let fees =
        |per_hour: i64| json!({"fee_base": 0.5, "fee_per_hour": per_hour, "fee_overnight": 0, "fee_daily_max": 0});
    let put = |per_hour: i64, version: &Value| {
        central.http.put("/api/parking/fees", &json!({"fees": fees(per_hour), "version": version}))
    };
    let held = || central.http.get("/api/parking/fees").ok().body;
    assert_eq!(held()["version"], Value::Null);
    let first = put(10_000, &Value::Null).ok();
    let refused = put(20_000, &Value::Null).refused(409);
    assert_eq!((refused.field("code"), refused.field("version")), ("stale_version", first.field("version")));
    let difference = json!({"sent": {"fee_per_hour": 20_000}, "held": {"fee_per_hour": 10_000}});
    assert_eq!(refused.body["difference"], difference, "{}", refused.text);
    assert_eq!(held()["fees"]["fee_per_hour"], 10_000);
    put(20_000, &refused.body["version"]).ok();
    // A predecessor's page sends none.
    central.http.put("/api/parking/fees", &json!({"fees": fees(30_000)})).ok();
    assert_eq!(held()["fees"]["fee_per_hour"], 30_000);
}

#[test]
fn the_name_of_the_site_and_of_a_gate_is_said_at_one_central_and_known_at_all() {
    let config = "/api/p2p/config";
    let mesh = Mesh::start(2);
    let [one, two] = [&mesh.centrals[0].http, &mesh.centrals[1].http];
    let site = |http: &Http| http.get("/api/status").ok().body["central"]["site"].as_str().unwrap().to_owned();
    let shown = |http: &Http| http.get(config).ok().body["config"]["site"]["name"].clone();
    let gates = |http: &Http| {
        let table = http.get("/api/parking/history.csv").text;
        table.lines().nth(1).map(|line| line.split(',').nth(5).unwrap_or_default().to_owned()).unwrap_or_default()
    };
    two.put(config, &json!({"site": {"name": "Bãi A"}, "edges": [{"id": "edge-1", "name": "Cổng sau"}]})).ok();
    two.post("/api/edge/barrier/open", &json!({"edge_id": "edge-1", "plate_id": "29A12345", "direction": "ENTRY"}))
        .ok();
    eventually("the name is everywhere", DEADLINE, || site(one) == "Bãi A");
    eventually("the gate is called so everywhere", DEADLINE, || gates(one) == "Cổng sau");
    assert_eq!(shown(one), "Bãi A", "and on the settings page");
    // The later change counts, also where the file says another name.
    one.put(config, &json!({"site": {"name": "Bãi B"}})).ok();
    eventually("the later one", DEADLINE, || site(two) == "Bãi B");
    two.put(config, &json!({"site": {"name": "Bãi A"}})).ok();
    eventually("what the file said all the time is said anew", DEADLINE, || site(one) == "Bãi A");
    // A gate that is gone has no name any more.
    two.put(config, &json!({"edges": []})).ok();
    eventually("its address again", DEADLINE, || gates(one) == "central-2/edge-1");
}

/// It is not all or nothing at the moment of the exit: the hours outside it are charged, and that is said.
#[test]
fn a_subscription_pays_for_the_days_it_is_valid_and_no_others() {
    let mut central = Central::new("central-1");
    // What it costs was set two days ago: a passage is charged by the prices of its time.
    central.env("PARKMESH_CLOCK", shifted_clock(-48 * HOUR_MS));
    central.start();
    // A zone in which it is between 10 and 11 o'clock, so that last midnight is between an entry and an exit of 20 hours.
    let now_ms =
        i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let ahead = 10 - now_ms / HOUR_MS % 24;
    let ahead = if ahead < -12 { ahead + 24 } else { ahead };
    let zone = SiteZone::named(&format!("Etc/GMT{:+}", -ahead)).unwrap();
    central.http.put("/api/p2p/config", &json!({"site": {"time_zone": zone.name()}})).ok();
    let fees = json!({"fee_base": 0, "fee_per_hour": 10_000, "fee_overnight": 0, "fee_daily_max": 0});
    central.http.put("/api/parking/fees", &json!({"fees": fees})).ok();
    central.terminate();
    central.env("PARKMESH_CLOCK", shifted_clock(0));
    central.start();
    let out_ms = now_ms / HOUR_MS * HOUR_MS;
    let in_ms = out_ms - 20 * HOUR_MS;
    let (today, yesterday) = (zone.day(out_ms), zone.day(in_ms));
    let before = zone.day(in_ms - 24 * HOUR_MS);
    for (number, (name, from, to, fee, noted)) in [
        ("valid all the time", "2020-01-01", today.as_str(), 0, false),
        ("valid without an end", "", "", 0, false),
        ("ended at midnight", "2020-01-01", yesterday.as_str(), 100_000, true),
        ("sold today", today.as_str(), "", 100_000, true),
        ("of yesterday alone", yesterday.as_str(), yesterday.as_str(), 100_000, true),
        ("ended before", "2020-01-01", before.as_str(), 200_000, false),
    ]
    .into_iter()
    .enumerate()
    {
        let plate = format!("29A1230{number}");
        let one = json!({"id": "1", "plate_number": plate, "type": "monthly", "status": "active", "start_date": from, "end_date": to});
        central.http.put(PATH, &json!({"subscriptions": [one], "version": held(&central.http).1})).ok();
        let tell = |kind: &str, at_ms: i64| {
            let told = json!({"type": kind, "camera_id": 1, "timestamp": at_ms, "data": {"plate_text": plate}});
            central.http.post("/api/edge/event", &told).ok()
        };
        tell("ENTRY", in_ms);
        let left = tell("EXIT", out_ms);
        assert_eq!(left.number("fee"), fee, "{name}: {}", left.text);
        assert_eq!(left.text.contains("partly_covered"), noted, "{name}: {}", left.text);
        assert_eq!(central.http.rows_of(&plate)[0]["fee"], fee, "{name}");
    }
}
