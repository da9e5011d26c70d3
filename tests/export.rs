//! What an auditor is given: `parkmesh export` of real centrals, and what the script that shares no code with the program says of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use common::{Central, DEADLINE, Mesh};
use parkmesh::domain::time::SiteZone;
use rusqlite::Connection;
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;
/// What sums are told apart by.
const APART: [&str; 5] = ["central", "edge_id", "by", "method", "camera_type"];

/// Exit code and what it says.
fn checked(file: &Path) -> (i32, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/config/audit/check_export.py");
    let output = Command::new("python3").arg(script).arg(file).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap(), text)
}

fn export(central: &Central, day: &str, name: &str) -> (i32, String, PathBuf) {
    let file = central.directory().join(name);
    let output = central.subcommand("export").args(["--from", day, "--to", day]).arg(&file).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code().unwrap(), text, file)
}

/// Two centrals that had a day three days ago, with all that happens to money, and are in the present again. And the day.
fn after_a_day() -> (Mesh, String) {
    let now_ms = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let morning_ms = SiteZone::default().day_start_ms(now_ms - 3 * DAY_MS) + 8 * 3_600_000;
    let mut mesh = Mesh::new(2);
    for central in &mut mesh.centrals {
        central.env("PARKMESH_CLOCK", format!("{morning_ms},{now_ms},1"));
    }
    mesh.start_all();
    let (a, b) = (&mesh.centrals[0].http, &mesh.centrals[1].http);
    let told = |http: &common::Http, edge: &str, plate: &str, direction: &str, hours_ago: i64, more: Value| {
        let mut body = json!({"edge_id": edge, "plate_id": plate, "direction": direction});
        body["timestamp"] = (morning_ms - hours_ago * 3_600_000).into();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        http.post("/api/edge/event", &body).ok()
    };
    a.put("/api/parking/fees", &json!({"fees": {"fee_base": 0.5, "fee_per_hour": 25000}})).ok();
    for number in 0..6 {
        told(a, "in", &format!("29A1234{number}"), "ENTRY", 5, json!({}));
    }
    mesh.wait_equal(DEADLINE);
    // By each way, at either central, of a car nobody could read, forced; in a cut one passage told at both, and two for one stay.
    b.open(&json!({"edge_id": "out", "plate_id": "29A12340", "direction": "EXIT", "paid": [{"method": "transfer", "amount": 25_000}, {"method": "qr"}]})).ok();
    told(b, "out", "29A12341", "EXIT", 2, json!({"paid": {"method": "cash", "amount": 75_000}}));
    told(a, "out-a", "unknown", "EXIT", 1, json!({"fee": 15_000, "paid": {"method": "cash", "amount": 16_000}}));
    a.open(&json!({"edge_id": "out-a", "plate_id": "51G99999", "direction": "EXIT", "force": true, "fee": 40_000, "paid": {"method": "cash", "amount": 50_000}, "reason": "lost"})).ok();
    mesh.wait_equal(DEADLINE);
    mesh.cut(0, 1);
    a.leave("out-a", "29A12342");
    b.open(&json!({"edge_id": "out", "plate_id": "29A12342", "direction": "EXIT", "paid": {"method": "cash", "amount": 900_000}})).ok();
    told(a, "out-a", "29A12345", "EXIT", 1, json!({"paid": {"method": "cash", "amount": 100_000}}));
    told(b, "out", "29A12345", "EXIT", 1, json!({"paid": {"method": "cash", "amount": 100_000}}));
    mesh.heal(0, 1);
    mesh.wait_equal(DEADLINE);
    // A wrong fee, a wrong way of payment, and a stay that was none.
    a.leave("out-a", "29A12343");
    a.leave("out-a", "29A12344");
    let stay = |plate: &str| a.rows_of(plate)[0]["event_id"].as_str().unwrap().to_owned();
    a.correct(&stay("29A12343"), &json!({"fee": 20_000, "reason": "half an hour only"})).ok();
    a.correct(&stay("29A12341"), &json!({"paid": "transfer", "reason": "pressed cash"})).ok();
    let ways = json!([{"method": "card", "amount": 30_000}, {"method": "cash"}]);
    a.correct(&stay("29A12342"), &json!({"paid": ways, "reason": "a part by card"})).ok();
    a.void(&stay("29A12344"), &json!({"reason": "a test"})).ok();
    mesh.wait_equal(DEADLINE);
    for central in &mut mesh.centrals {
        central.terminate();
        central.env("PARKMESH_CLOCK", "");
    }
    mesh.start_all();
    (mesh, SiteZone::default().day(morning_ms))
}

fn lines(file: &Path) -> Vec<Value> {
    std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The records with the sums and the last line that their exits give.
fn balanced(records: &[Value]) -> String {
    let mut sums: BTreeMap<[String; 5], [i64; 3]> = BTreeMap::new();
    for counts in records.iter().map(|record| &record["counts"]).filter(|counts| counts.is_object()) {
        let also: Vec<(String, i64)> = serde_json::from_value(counts["also"].clone()).unwrap_or_default();
        let others: i64 = also.iter().map(|(_, amount)| amount).sum();
        let first = (counts["method"].as_str().unwrap().to_owned(), counts["revenue"].as_i64().unwrap() - others);
        let excess = counts["excess"].as_i64().unwrap_or(0);
        for (number, (method, amount)) in std::iter::once(first).chain(also).enumerate() {
            let of = |name| if name == "method" { method.clone() } else { counts[name].as_str().unwrap().to_owned() };
            let more = if number == 0 { [1, amount, excess] } else { [0, amount, 0] };
            sums.entry(APART.map(of)).or_default().iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    }
    let mut lines: Vec<Value> =
        records.iter().filter(|record| !matches!(record["record"].as_str(), Some("sum" | "end"))).cloned().collect();
    for (apart, [exits, revenue, excess]) in &sums {
        let mut sum = json!({"record": "sum", "exits": exits, "revenue": revenue, "excess": excess});
        for (name, value) in APART.iter().zip(apart) {
            sum[name] = json!(value);
        }
        lines.push(sum);
    }
    let mut end = records.last().unwrap().clone();
    end["counted"] = json!(sums.values().map(|sum| sum[0]).sum::<i64>());
    end["revenue"] = json!(sums.values().map(|sum| sum[1]).sum::<i64>());
    lines.push(end);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn an_auditor_recomputes_the_sums_and_is_told_of_one_changed_dong() {
    let (mut mesh, day) = after_a_day();
    let takings = mesh.centrals[0].http.get(&format!("/api/takings?from={day}&to={day}")).body;
    let revenue = takings["revenue"].as_i64().unwrap();
    assert!(revenue > 0, "{takings}");
    let excess = takings["excess"].as_i64().unwrap();
    assert!(excess > 11_000, "of a car nobody could read, of a second exit, and of one without an entry: {takings}");
    let mut heads = Vec::new();
    for central in &mesh.centrals {
        let (code, text, file) = export(central, &day, "day.jsonl");
        assert_eq!(code, 0, "{text}");
        let (code, text) = checked(&file);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(&format!(" {revenue} đồng")), "{text}");
        for of in ["exit", "sum"] {
            let records = lines(&file).into_iter().filter(|record| record["record"] == of);
            let beyond = records.map(|record| {
                [&record["excess"], &record["counts"]["excess"]].into_iter().filter_map(Value::as_i64).sum::<i64>()
            });
            assert_eq!(beyond.sum::<i64>(), excess, "what was paid beyond, by each {of}");
        }
        let of_logs = lines(&file).into_iter().filter(|record| record["record"] == "log");
        heads.push(
            of_logs.map(|log| (log["log"].to_string(), log["to"].clone(), log["hash"].clone())).collect::<Vec<_>>(),
        );
    }
    let held = |heads: &[(String, Value, Value)], of: &str| {
        heads.iter().filter(|(log, ..)| log.contains(of)).cloned().collect::<Vec<_>>()
    };
    for of in ["central-1", "central-2"] {
        assert_eq!(held(&heads[0], of), held(&heads[1], of), "two centrals name the same hashes");
    }

    let file = mesh.centrals[0].directory().join("day.jsonl");
    let records = lines(&file);
    let outcomes: Vec<&str> = records.iter().filter_map(|record| record["outcome"].as_str()).collect();
    for outcome in ["closed", "closed_again", "repeated", "removed", "unread", "left_alone"] {
        assert!(outcomes.contains(&outcome), "{outcome} is in none of {outcomes:?}");
    }
    let text = std::fs::read_to_string(&file).unwrap();
    // One đồng more in each exit that counts, each sum, and each event that says a fee: named each time.
    let mut changed = 0;
    for (number, record) in records.iter().enumerate() {
        let mut forged = record.clone();
        let name = match record["record"].as_str().unwrap() {
            "exit" if record["counts"].is_object() => {
                forged["counts"]["revenue"] = (record["counts"]["revenue"].as_i64().unwrap() + 1).into();
                record["fact"].as_str().unwrap().to_owned()
            }
            "sum" => {
                forged["revenue"] = (record["revenue"].as_i64().unwrap() + 1).into();
                record["edge_id"].as_str().unwrap().to_owned()
            }
            "event" => {
                let bytes = record["bytes"].as_str().unwrap();
                let Some(at) = bytes.find("\"fee\":") else { continue };
                let (before, fee) = bytes.split_at(at + 6);
                let digits = fee.find(|c: char| !c.is_ascii_digit()).unwrap();
                let fee_vnd: i64 = fee[..digits].parse().unwrap();
                forged["bytes"] = format!("{before}{}{}", fee_vnd + 1, &fee[digits..]).into();
                format!("/{}: the event is not the one", record["seq"])
            }
            _ => continue,
        };
        let mut forged_lines: Vec<&str> = text.lines().collect();
        let forged = forged.to_string();
        forged_lines[number] = &forged;
        let other = file.with_extension("forged");
        std::fs::write(&other, forged_lines.join("\n")).unwrap();
        let (code, said) = checked(&other);
        assert_eq!(code, 1, "{forged}\n{said}");
        assert!(said.contains(&name), "{name} is not named by\n{said}");
        changed += 1;
    }
    assert!(changed > 15, "{changed} places were changed");
    // What would balance is found out as well: the sums are made anew for each.
    let exits: Vec<usize> = (0..records.len()).filter(|at| records[*at]["record"] == "exit").collect();
    let mut refused = 0;
    for at in exits {
        let exit = &records[at];
        let mut variants = Vec::new();
        if exit["counts"].is_object() {
            let with = |name: &str, value: Value| {
                let mut forged = exit.clone();
                forged["counts"][name] = value;
                forged
            };
            variants.push(with("edge_id", json!("edge-9")));
            variants.push(with("central", json!("central-9")));
            variants.push(with("by", json!("somebody")));
            variants.push(with("method", json!("account")));
            variants.push(with("revenue", json!(7)));
            variants.push(with("excess", json!(7)));
            let mut nothing = exit.clone();
            nothing["counts"] = Value::Null;
            variants.push(nothing.clone());
            nothing["outcome"] = json!("removed");
            variants.push(nothing);
        } else if exit["outcome"] == "removed" {
            let mut counts = exit.clone();
            counts["outcome"] = json!("closed");
            counts["because"] = json!([]);
            counts["counts"] = json!({"central": "central-1", "edge_id": "out-a", "by": "", "method": "", "camera_type": "", "revenue": 125_000});
            variants.push(counts);
        }
        for forged in variants {
            let mut all = records.clone();
            all[at] = forged.clone();
            let other = file.with_extension("forged");
            std::fs::write(&other, balanced(&all)).unwrap();
            let (code, said) = checked(&other);
            assert_eq!(code, 1, "{forged}\n{said}");
            assert!(said.contains(exit["fact"].as_str().unwrap()), "{said}");
            refused += 1;
        }
    }
    assert!(refused > 30, "{refused} forgeries were tried");
    std::fs::write(file.with_extension("same"), balanced(&records)).unwrap();
    assert_eq!(checked(&file.with_extension("same")).0, 0, "what is balanced anew and not forged is whole");

    // A line that is missing is missed, whatever it says.
    let mut tried = Vec::new();
    for (number, record) in records.iter().enumerate().filter(|(_, record)| record["record"] != "price_list") {
        if tried.contains(&record["record"]) {
            continue;
        }
        tried.push(record["record"].clone());
        let without: Vec<&str> =
            text.lines().enumerate().filter(|(at, _)| *at != number).map(|(_, line)| line).collect();
        let other = file.with_extension("forged");
        std::fs::write(&other, without.join("\n")).unwrap();
        let (code, said) = checked(&other);
        assert_ne!(code, 0, "{record} is not missed:\n{said}");
    }

    // An event that was changed in the database is handed out as it is, and found.
    let central = &mut mesh.centrals[0];
    central.terminate();
    let row = "SELECT id FROM event WHERE bytes LIKE '%\"fee\":40000%' AND bytes LIKE '%VEHICLE_EXIT%' LIMIT 1";
    let sql = format!("UPDATE event SET bytes = replace(bytes, '\"fee\":40000', '\"fee\":40001') WHERE id = ({row})");
    assert_eq!(Connection::open(central.database()).unwrap().execute(&sql, ()).unwrap(), 1);
    let (_, said, file) = export(central, &day, "forged.jsonl");
    let (told, found) = if file.exists() { checked(&file) } else { (1, said) };
    assert_eq!(told, 1, "{found}");
    assert!(found.contains("40001") || found.contains("parkmesh verify"), "{found}");
}

#[test]
fn what_cannot_be_exported_says_what_to_do() {
    let mut central = Central::standalone("central-1");
    central.http.enter("edge-1", "29A12345");
    let today = central.http.get("/api/takings").body["from"].as_str().unwrap().to_owned();
    for (from, to, code, says) in [
        (today.as_str(), today.as_str(), 64, "not over yet"),
        ("2026-01-03", "2026-01-02", 64, "is after"),
        ("2026-02-30", "2026-03-01", 64, "is no day"),
        ("yesterday", "2026-03-01", 64, "is no day"),
    ] {
        let file = central.directory().join("none.jsonl");
        let output = central.subcommand("export").args(["--from", from, "--to", to]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!file.exists() && !file.with_extension("jsonl.partial").exists());
    }
    // A day on which nothing happened is a file, too; it is not written over.
    let (code, said, file) = export(&central, "2026-01-01", "quiet.jsonl");
    assert_eq!(code, 0, "{said}");
    assert_eq!(checked(&file).0, 0);
    let (code, said, _) = export(&central, "2026-01-01", "quiet.jsonl");
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(checked(&central.config_file()).0, 2, "the settings are no such file");
    central.terminate();
}
