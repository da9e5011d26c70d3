//! Tables of right and wrong settings, and the example files.

use serde_json::{Value, json};

use super::model::{Config, LogFormat};
use super::{change, read};
use crate::domain::direction::Direction;

const DOCUMENTED: &str = include_str!("../../config/p2p_config.example.json");
const EVERY_SETTING: &str = include_str!("../../config/every-setting.example.json");
/// That of the second peer of the example.
const FINGERPRINT: &str = "4OYMIQU-Y7QOBJ5-GX36TEJ-S35ZEQN-T24QPEM-SNZGTFO-ESWMRW6-CSXBKQM";
const TABLE_OF_SETTINGS: &str = include_str!("../../docs/settings.md");

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn read_quietly(json: &Value) -> Config {
    let read = read::config(json).unwrap();
    assert_eq!(read.warnings, [], "{json}");
    read.config
}

/// The every-setting example with the value at a JSON pointer replaced (or added).
fn with(pointer: &str, value: Value) -> Value {
    let mut json = parsed(EVERY_SETTING);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match json.pointer_mut(parent).unwrap() {
        Value::Object(object) => drop(object.insert(key.to_owned(), value)),
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        other => panic!("{other}"),
    }
    json
}

#[test]
fn the_documented_file_suffices() {
    let config = read_quietly(&parsed(DOCUMENTED));
    assert_eq!(config.this_central.id.as_str(), "central-1");
    assert_eq!(config.peer_centrals.len(), 2);
    assert_eq!(config, Config::new(config.this_central.clone(), config.peer_centrals.clone()), "the rest is default");
    assert_eq!(config.to_file_json(), parsed(DOCUMENTED), "and is saved as it was read");
}

#[test]
fn every_setting_is_read_and_shown_as_it_was_written() {
    let json = parsed(EVERY_SETTING);
    let config = read_quietly(&json);
    let mut shown = config.to_json();
    // An absent direction is shown as null, which is what the example says of its third edge.
    assert_eq!(shown["edges"][2]["direction"], Value::Null);
    assert_eq!(shown, json);
    assert_eq!(config.lane("edge-1"), Some(Direction::Entry));
    assert_eq!((config.lane("edge-3"), config.lane("edge-9")), (None, None));
    shown["version"] = json!("of what was read");
    assert_eq!(read_quietly(&shown), config);
    assert_eq!(read_quietly(&config.to_file_json()), config);
}

#[test]
fn every_setting_is_in_the_table_of_settings() {
    fn check(name: &str, value: &Value) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| check(&format!("{name}.{key}"), value)),
            Value::Array(list) => list.iter().for_each(|value| check(&format!("{name}[]"), value)),
            _ => {
                let name = name.trim_start_matches('.');
                let last = name.rfind('.').map_or(name, |dot| &name[dot..]);
                let told = [name, last].iter().any(|name| TABLE_OF_SETTINGS.contains(&format!("`{name}`")));
                assert!(told, "{name} is not in docs/settings.md");
            }
        }
    }
    check("", &parsed(EVERY_SETTING));
}

#[test]
fn standalone_settings_are_read_back_as_they_are() {
    let config = Config::standalone();
    assert_eq!(read_quietly(&config.to_json()), config);
    assert_eq!(config.to_json()["this_central"]["ip"], "127.0.0.1");
    assert_eq!(config.version().len(), 12);
}

#[test]
fn settings_changed_in_the_program_are_checked_like_any_others() {
    let mut config = Config::standalone();
    assert_eq!(read::check(&config), []);
    config.this_central.api_port = config.this_central.p2p_port;
    assert_eq!(read::check(&config)[0].field, "this_central.api_port");
}

#[test]
fn files_of_both_predecessor_revisions_are_read_as_they_are() {
    let v1 = json!({"this_central": {"id": "central-1", "ip": "192.168.1.101", "p2p_port": 9000, "api_port": 8000},
        "peer_centrals": [{"id": "central-2", "ip": "192.168.1.102", "p2p_port": 9000}]});
    let v2 = json!({"this_central": {"id": "central-1", "ip": "192.168.1.101", "api_port": 8000},
        "peer_centrals": [{"id": "central-2", "ip": "192.168.1.102"}]});
    let texts = json!({"this_central": {"id": "central-1", "ip": "192.168.1.101", "p2p_port": "9000"},
        "peer_centrals": [{"id": "central-2", "ip": "192.168.1.102", "p2p_port": " 9000"}]});
    for other in [v2, texts] {
        assert_eq!(read_quietly(&v1), read_quietly(&other));
    }
    let with_port =
        json!({"this_central": {"id": "a", "ip": "a"}, "peer_centrals": [{"id": "b", "ip": "b", "api_port": 8001}]});
    assert_eq!(read_quietly(&with_port).peer_centrals[0].api_port, Some(8001));
    assert!(read_quietly(&json!({"this_central": {"id": "a", "ip": "a"}})).peer_centrals.is_empty());
}

#[test]
fn forms_that_mean_the_same_are_taken() {
    let config = read_quietly(&with("/tuning/log_format", json!("JSON")));
    assert_eq!(config.tuning.log_format, LogFormat::Json);
    assert_eq!(read_quietly(&with("/edges/0/direction", json!("exit"))).lane("edge-1"), Some(Direction::Exit));
    assert_eq!(read_quietly(&with("/edges/0/id", json!(7))).edges[0].id, "7");
    assert_eq!(read_quietly(&with("/this_central/p2p_port", json!(9000.0))).this_central.p2p_port, 9000);
    assert_eq!(read_quietly(&with("/peer_centrals/0/fingerprint", json!(""))).peer_centrals[0].fingerprint, None);
    assert_eq!(read_quietly(&with("/site/time_zone", json!("asia/tokyo"))).site.time_zone.name(), "Asia/Tokyo");
}

/// What a shift of it could not name would count for nobody.
#[test]
fn a_lane_of_more_edges_than_a_shift_can_name_is_refused() {
    let of_lane = |edges: usize| {
        let edge = |number: usize| json!({"id": format!("device-{number}"), "lane": "out"});
        with("/edges", (0..edges).map(edge).collect())
    };
    let held = read::config(&of_lane(33)).unwrap().config;
    for edges in [34, 40] {
        let problems = change::merge(&held, &of_lane(edges)).expect_err("too many");
        let named: Vec<_> = problems.iter().map(|problem| (problem.field.as_str(), problem.code)).collect();
        assert_eq!(named, [("edges[33].lane", "too_many")]);
    }
    // A file of before that has more serves its gates, and other settings are changed as ever.
    let before = read::config(&of_lane(40)).unwrap().config;
    assert!(change::merge(&before, &json!({"site": {"name": "Bãi A"}})).is_ok());
}

#[test]
fn every_wrong_value_is_refused_with_the_name_of_its_field() {
    let long = "x".repeat(300);
    for (pointer, value, field, code) in [
        ("/this_central", json!(null), "this_central", "missing"),
        ("/this_central", json!("central-1"), "this_central", "wrong_type"),
        ("/this_central/id", json!(null), "this_central.id", "missing"),
        ("/this_central/id", json!(""), "this_central.id", "missing"),
        ("/this_central/id", json!(1), "this_central.id", "wrong_type"),
        ("/this_central/id", json!("central_1"), "this_central.id", "bad_id"),
        ("/this_central/id", json!("trạm"), "this_central.id", "bad_id"),
        ("/this_central/ip", json!(" "), "this_central.ip", "missing"),
        ("/this_central/ip", json!("192.168.1"), "this_central.ip", "bad_address"),
        ("/this_central/ip", json!("192.168.1.256"), "this_central.ip", "bad_address"),
        ("/this_central/ip", json!("0.0.0.0"), "this_central.ip", "bad_address"),
        ("/this_central/ip", json!("auto"), "this_central.ip", "bad_address"),
        ("/this_central/ip", json!("192.168.1.1:9000"), "this_central.ip", "bad_address"),
        ("/this_central/ip", json!(["192.168.1.1"]), "this_central.ip", "wrong_type"),
        ("/this_central/p2p_port", json!(0), "this_central.p2p_port", "out_of_range"),
        ("/this_central/p2p_port", json!(65_536), "this_central.p2p_port", "out_of_range"),
        ("/this_central/p2p_port", json!(-9000), "this_central.p2p_port", "out_of_range"),
        ("/this_central/p2p_port", json!(1e30), "this_central.p2p_port", "out_of_range"),
        ("/this_central/p2p_port", json!(u64::MAX), "this_central.p2p_port", "out_of_range"),
        ("/this_central/p2p_port", json!(9000.5), "this_central.p2p_port", "wrong_type"),
        ("/this_central/p2p_port", json!("many"), "this_central.p2p_port", "wrong_type"),
        ("/this_central/p2p_port", json!(true), "this_central.p2p_port", "wrong_type"),
        ("/this_central/p2p_port", json!(8000), "this_central.api_port", "same_port"),
        ("/this_central/api_port", json!("80000"), "this_central.api_port", "out_of_range"),
        ("/peer_centrals", json!({}), "peer_centrals", "wrong_type"),
        ("/peer_centrals", json!(vec![json!({"id": "x"}); 101]), "peer_centrals", "too_many"),
        ("/peer_centrals/0", json!("central-2"), "peer_centrals[0]", "wrong_type"),
        ("/peer_centrals/0", json!(null), "peer_centrals[0]", "wrong_type"),
        ("/peer_centrals/0/id", json!(""), "peer_centrals[0].id", "missing"),
        ("/peer_centrals/0/id", json!("a b"), "peer_centrals[0].id", "bad_id"),
        ("/peer_centrals/0/id", json!("central-1"), "peer_centrals[0].id", "self_as_peer"),
        ("/peer_centrals/1/id", json!("central-2"), "peer_centrals[1].id", "duplicate"),
        ("/peer_centrals/0/ip", json!("192.168.1.101"), "peer_centrals[0].ip", "self_as_peer"),
        ("/peer_centrals/1", json!({"id": "x", "ip": "192.168.1.102"}), "peer_centrals[1].ip", "duplicate"),
        ("/peer_centrals/1/ip", json!("cong sau"), "peer_centrals[1].ip", "bad_address"),
        ("/peer_centrals/0/p2p_port", json!(0), "peer_centrals[0].p2p_port", "out_of_range"),
        ("/peer_centrals/0/api_port", json!("x"), "peer_centrals[0].api_port", "wrong_type"),
        ("/peer_centrals/0/fingerprint", json!(1), "peer_centrals[0].fingerprint", "wrong_type"),
        ("/peer_centrals/0/fingerprint", json!("5f:1c:9a:00"), "peer_centrals[0].fingerprint", "bad_fingerprint"),
        ("/peer_centrals/0/fingerprint", json!(FINGERPRINT), "peer_centrals[1].fingerprint", "duplicate"),
        ("/peer_centrals/0/unconfirmed", json!("yes"), "peer_centrals[0].unconfirmed", "wrong_type"),
        ("/peer_centrals/0/legacy", json!("yes"), "peer_centrals[0].legacy", "wrong_type"),
        ("/peer_centrals/0/time_zone", json!("+07:00"), "peer_centrals[0].time_zone", "unknown_zone"),
        ("/site", json!([]), "site", "wrong_type"),
        ("/site/name", json!(long), "site.name", "bad_text"),
        ("/site/name", json!("a\u{1}"), "site.name", "bad_text"),
        ("/site/time_zone", json!("Asia/Hanoi"), "site.time_zone", "unknown_zone"),
        ("/site/time_zone", json!(7), "site.time_zone", "wrong_type"),
        ("/edges", json!("edge-1"), "edges", "wrong_type"),
        ("/vietqr", json!({"bank": "Vietcombank", "account": "0011"}), "vietqr.bank", "bad_bank"),
        ("/vietqr", json!({"bank": "970436", "account": "00110019324180000000"}), "vietqr.account", "bad_account"),
        ("/vietqr", json!({"bank": "970436", "account": "số 5"}), "vietqr.account", "bad_account"),
        ("/vietqr", json!({"bank": "970436"}), "vietqr.account", "missing"),
        ("/vietqr", json!({"account": "0011"}), "vietqr.bank", "missing"),
        ("/edges/0/id", json!(null), "edges[0].id", "missing"),
        ("/edges/0/id", json!("x".repeat(65)), "edges[0].id", "bad_id"),
        ("/edges/2/id", json!("edge-1"), "edges[2].id", "duplicate"),
        ("/edges/0/name", json!(1), "edges[0].name", "wrong_type"),
        ("/edges/0/direction", json!("IN"), "edges[0].direction", "unknown_value"),
        ("/security/p2p", json!("https"), "security.p2p", "unknown_value"),
        ("/security/edges", json!("password"), "security.edges", "unknown_value"),
        ("/security/admin", json!("keys"), "security.admin", "unknown_value"),
        ("/security/reads", json!("password"), "security.reads", "unknown_value"),
        ("/security/people", json!("open"), "security.people", "unknown_value"),
        ("/security/api", json!("tls"), "security.api", "unknown_value"),
        ("/security/api_certificate_file", json!("baixe.crt"), "security.api_certificate_file", "bad_path"),
        ("/security/api_certificate_file", json!(null), "security.api_certificate_file", "missing"),
        ("/security/api_key_file", json!("../baixe.key"), "security.api_key_file", "bad_path"),
        ("/security/host_names", json!("cong-sau.lan"), "security.host_names", "wrong_type"),
        ("/security/trusted_proxies", json!(["proxy"]), "security.trusted_proxies", "wrong_type"),
        ("/security/host_names", json!(["a b"]), "security.host_names", "bad_address"),
        ("/security/host_names", json!(vec!["a"; 21]), "security.host_names", "too_many"),
        ("/edges/0/key_hash", json!("secret"), "edges[0].key_hash", "bad_hash"),
        ("/security/admin", json!(false), "security.admin", "wrong_type"),
        ("/security/legacy_port", json!(0), "security.legacy_port", "out_of_range"),
        ("/security/legacy_port", json!(9000), "security.legacy_port", "same_port"),
        ("/bind", json!("eth0"), "bind", "bad_address"),
        ("/tuning", json!(1), "tuning", "wrong_type"),
        ("/tuning/reconnect_min_ms", json!(1), "tuning.reconnect_min_ms", "out_of_range"),
        ("/tuning/reconnect_min_ms", json!(5_000), "tuning.reconnect_max_ms", "out_of_range"),
        ("/tuning/reconnect_max_ms", json!(600_001), "tuning.reconnect_max_ms", "out_of_range"),
        ("/tuning/max_requests_in_flight", json!(0), "tuning.max_requests_in_flight", "out_of_range"),
        ("/tuning/max_requests_per_second", json!(9), "tuning.max_requests_per_second", "out_of_range"),
        ("/tuning/low_disk_mb", json!(-1), "tuning.low_disk_mb", "out_of_range"),
        ("/tuning/log_format", json!("xml"), "tuning.log_format", "unknown_value"),
        ("/tuning/mask_plates", json!(1), "tuning.mask_plates", "wrong_type"),
    ] {
        let json = with(pointer, value.clone());
        let problems = read::config(&json).expect_err("wrong");
        let named: Vec<_> = problems.iter().map(|problem| (problem.field.as_str(), problem.code)).collect();
        assert_eq!(named, [(field, code)], "{pointer} = {value}");
        assert!(
            problems.iter().all(|p| !p.message.is_empty() && !p.message_vi.is_empty() && p.message != p.message_vi)
        );
    }
}

#[test]
fn all_wrong_fields_are_named_at_once() {
    let json = json!({"this_central": {"id": "a_b", "p2p_port": 0}, "peer_centrals": [
        {"id": "b", "ip": "10.0.0.2"}, {"id": "b", "ip": "10.0.0.2", "p2p_port": "x"}, {}]});
    let problems = read::config(&json).expect_err("wrong");
    let named: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    let expected = [
        "this_central.id",
        "this_central.ip",
        "this_central.p2p_port",
        "peer_centrals[1].p2p_port",
        "peer_centrals[2].id",
        "peer_centrals[2].ip",
        "peer_centrals[1].id",
    ];
    assert_eq!(named, expected);
}

#[test]
fn what_is_no_object_is_no_settings() {
    for json in [json!(null), json!([]), json!("x"), json!(1), json!({})] {
        assert!(read::config(&json).is_err(), "{json}");
    }
}

#[test]
fn odd_settings_are_warned_of_by_name_and_work() {
    for (pointer, value, field, code) in [
        ("/site/timezone", json!("UTC"), "site.timezone", "unknown_key"),
        ("/_comment", json!("mine"), "_comment", "unknown_key"),
        ("/peer_centrals/1/port", json!(1), "peer_centrals[1].port", "unknown_key"),
        ("/this_central/ip", json!("127.0.0.1"), "this_central.ip", "loopback_address"),
    ] {
        let read = read::config(&with(pointer, value)).unwrap();
        let named: Vec<_> = read.warnings.iter().map(|problem| (problem.field.as_str(), problem.code)).collect();
        assert_eq!(named, [(field, code)], "{pointer}");
    }
}

#[test]
fn several_centrals_on_one_machine_differ_by_port_or_loopback_address() {
    let config = read_quietly(&json!({"this_central": {"id": "a", "ip": "127.0.0.1"}, "peer_centrals": [
        {"id": "b", "ip": "127.0.0.1", "p2p_port": 9010}, {"id": "c", "ip": "127.0.0.3"}]}));
    assert_eq!(config.peer_centrals.len(), 2);
}

#[test]
fn the_own_address_says_where_to_listen_unless_bind_does() {
    for (ip, bind, listen) in [
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.3", None, "127.0.0.3"),
        ("localhost", None, "127.0.0.1"),
        ("::1", None, "::1"),
        ("192.168.1.101", None, "0.0.0.0"),
        ("gate.lan", None, "0.0.0.0"),
        ("fd00::7", None, "::"),
        ("192.168.1.101", Some("192.168.1.101"), "192.168.1.101"),
        ("127.0.0.1", Some("0.0.0.0"), "0.0.0.0"),
    ] {
        let config = read_quietly(&json!({"this_central": {"id": "a", "ip": ip}, "bind": bind}));
        assert_eq!(config.listen_ip().to_string(), listen, "{ip} {bind:?}");
    }
}
