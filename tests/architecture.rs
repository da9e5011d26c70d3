//! The shape of the source holds: imports run one way, pure rooms know no clock, disk or network, only `main` and `lab`
//! print, files stay short, and what the documents point at exists.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "architecture/documents.rs"]
mod documents;
#[path = "architecture/modules.rs"]
mod modules;
#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/rules.rs"]
mod rules;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// All files below a directory whose name ends so, sorted.
fn files_below(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The names of all crates the program may use, as source text names them.
fn crates() -> BTreeSet<String> {
    let manifest = read(&root().join("Cargo.toml"));
    let section = manifest.split("\n[dependencies]\n").nth(1).expect("dependencies").split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim().replace('-', "_"));
    names.filter(|name| !name.starts_with('#')).collect()
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_source_keeps_the_rules_of_its_room() {
    let (source, crates) = (root().join("src"), crates());
    let mut faults = Vec::new();
    for file in files_below(&source, ".rs") {
        let name = file.strip_prefix(&source).unwrap().to_string_lossy().replace('\\', "/");
        faults.extend(rules::faults(&name, &read(&file), &crates));
    }
    assert_none(&faults);
}

/// Two types of one name, and why a reader does not take one for the other.
const SHARED_NAMES: &[(&str, &str)] =
    &[("Act", "what a person does, in the audit; a step of the fold, inside `domain/stay`")];

/// The lab is left out: its programs know a central by its HTTP API alone, and have words of their own.
#[test]
fn no_two_types_have_one_name() {
    let source = root().join("src");
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files_below(&source, ".rs") {
        let place = file.strip_prefix(&source).unwrap().to_string_lossy().replace('\\', "/");
        if place.starts_with("lab/") || place.contains("/tests") {
            continue;
        }
        let text = read(&file);
        for line in text.split("\n#[cfg(test)]\nmod ").next().unwrap().lines() {
            let line = line.strip_prefix("    ").unwrap_or(line);
            let line =
                ["pub ", "pub(super) ", "pub(crate) "].iter().find_map(|seen| line.strip_prefix(seen)).unwrap_or(line);
            let declared = ["struct ", "enum ", "trait "].iter().find_map(|kind| line.strip_prefix(kind));
            let name = declared.map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned());
            places.entry(name.unwrap_or_default()).or_default().push(place.clone());
        }
    }
    places.remove("");
    SHARED_NAMES.iter().for_each(|(name, _)| drop(places.remove(*name)));
    let twice = places.iter().filter(|(_, places)| places.len() > 1);
    assert_none(
        &twice.map(|(name, places)| format!("`{name}` is a type in {}", places.join(" and "))).collect::<Vec<_>>(),
    );
}

/// `tests/mistakes/run` takes long and is run by hand: what it plants must not be left behind by the code.
#[test]
fn the_mistakes_that_are_planted_fit_the_code() {
    let fits = |patch: &PathBuf| {
        let checked = Command::new("git").args(["apply", "--check"]).arg(patch).current_dir(root()).output();
        let checked = checked.expect("git, which every clone was made with");
        (!checked.status.success()).then(|| String::from_utf8_lossy(&checked.stderr).into_owned())
    };
    let patches = files_below(&root().join("tests/mistakes"), ".patch");
    assert!(patches.len() > 20, "{patches:?}");
    assert_none(&patches.iter().filter_map(fits).collect::<Vec<_>>());
}

/// Where the rules would be broken, in a text made up for it, and what must be said.
#[test]
fn a_broken_rule_is_caught_however_it_is_written() {
    let wrong = [
        ("domain/tariff.rs", "use crate::ledger::Ledger;", "`domain` may not name `ledger`"),
        ("domain/stay/mod.rs", "use super::super::store::schema;", "`domain` may not name `store`"),
        ("domain/mod.rs", "use super::wire;", "`domain` may not name `wire`"),
        ("ledger/gate.rs", "use crate::{domain::money::Vnd, actors as others};", "`ledger` may not name `actors`"),
        ("store/schema.rs", "fn f() { let x = crate::http::error::Code::default(); }", "`store` may not name `http`"),
        ("wire/frame.rs", "fn f() { assert_eq!(crate::store::N, 1, \"{}\", 2); }", "`wire` may not name `store`"),
        ("config/file.rs", "mod tests { use super::super::super::ledger::X; }", "`config` may not name `ledger`"),
        ("lab/bench/mod.rs", "use parkmesh::links::mesh;", "`lab` may not name `links`"),
        ("actors/mesh.rs", "use crate::http;", "`actors` may not name `http`"),
        ("http/ws_peer.rs", "use crate::legacy::dialect::hear;", "`http` may not name `legacy::dialect`"),
        ("legacy/peer.rs", "use crate::legacy::link;", "`legacy::peer` may not name `legacy`"),
        ("lab/simulation/world.rs", "fn f() { println!(\"x\"); }", "`println!` in `lab::simulation`"),
        ("app.rs", "use parkmesh::lab;", "`app` may not name `lab`"),
        ("helpers/mod.rs", "use crate::domain;", "`helpers` is no known room"),
        ("domain/time.rs", "use std::time::{Duration, Instant};", "`std::time::Instant`"),
        ("domain/time.rs", "use std::time; fn f() { time::Instant::now(); }", "`std::time`"),
        ("replication/now.rs", "use std::time::*;", "`std::time::*`"),
        ("ledger/memory.rs", "fn f() { ::std::fs::read(\"x\"); }", "`std::fs::read`"),
        ("ledger/memory.rs", "use std::{fmt, net::{IpAddr, TcpStream as Stream}};", "`std::net::TcpStream`"),
        ("domain/time.rs", "use jiff::Timestamp; fn f() { Timestamp::now(); }", "`Timestamp::now`"),
        ("domain/ids.rs", "fn f() { getrandom::fill(&mut []); }", "may not name the crate `getrandom`"),
        ("replication/log.rs", "use tokio::sync::mpsc;", "`tokio` is for"),
        ("wire/frame.rs", "use actix_http::ws;", "may not name the crate `actix_http`"),
        ("actors/db_reader.rs", "use rusqlite::Connection;", "`rusqlite` is for"),
        ("ledger/gate.rs", "fn f() { println!(\"x\"); }", "`println!` in `ledger`"),
        ("http/error.rs", "fn f() { std::eprintln!(\"x\"); }", "`eprintln!` in `http`"),
        ("lab/mod.rs", "fn f() { todo!() }", "`todo!`"),
        ("app.rs", "// TODO more", "nothing is left for later"),
    ];
    let crates = crates();
    for (file, text, expected) in wrong {
        let faults = rules::faults(file, text, &crates);
        let caught =
            faults.iter().any(|fault| fault.contains(expected) && fault.starts_with(&format!("src/{file}:1:")));
        assert!(caught, "{file}: {text}\nexpected: {expected}\nfound: {faults:?}");
    }
    let long = "// a line\n".repeat(801);
    assert!(rules::faults("http/error.rs", &long, &crates)[0].contains("801 lines"));
}

#[test]
fn what_keeps_the_rules_is_let_pass() {
    let right = [
        ("domain/tariff.rs", "use super::money::Vnd; use crate::domain::time; use std::time::Duration;"),
        ("domain/tariff.rs", "/// As `crate::ledger` does.\nfn f() { let _ = \"use crate::store; std::fs\"; }"),
        (
            "ledger/gate.rs",
            "use crate::replication::log::{Head, Run}; mod tests { use super::*; use super::super::put; }",
        ),
        ("wire/encode.rs", "use crate::replication::log::Run; fn f(a: u8) -> bool { a != 1 }"),
        ("replication/log.rs", "use crate::wire::encode;"),
        ("lab/simulation/tests.rs", "mod tests { fn f() { println!(\"seed\"); } }"),
        ("actors/mesh.rs", "use crate::{ops::clock, store, ledger}; use tokio::sync; use std::time::Instant;"),
        ("lab/demo/mod.rs", "use crate::{domain::money::Vnd, ops::signals}; fn f() { println!(\"x\"); }"),
        ("main.rs", "use parkmesh::{app, lab}; fn main() { eprintln!(\"x\"); }"),
        ("lib.rs", "pub mod domain; pub use crate::domain::money;"),
    ];
    let crates = crates();
    for (file, text) in right {
        assert_eq!(rules::faults(file, text, &crates), [""; 0], "{file}: {text}");
    }
}

#[test]
fn the_map_in_lib_rs_shows_every_room_and_nothing_else() {
    let map = read(&root().join("src/lib.rs"));
    let modules: BTreeSet<&str> =
        map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.split([';', ' ']).next()).collect();
    let shown: BTreeSet<&str> =
        map.lines().filter_map(|line| line.strip_prefix("//! | [`")?.split('`').next()).collect();
    assert_eq!(modules, shown, "the modules and the rows of the table");
    let known: BTreeSet<&str> = rules::LAYERS.concat().into_iter().collect();
    let unknown: Vec<_> = modules.difference(&known).collect();
    assert!(unknown.is_empty(), "no place in tests/architecture/rules.rs: {unknown:?}");
    for room in modules {
        let (file, folder) = (root().join(format!("src/{room}.rs")), root().join(format!("src/{room}")));
        assert!(file.exists() || folder.exists(), "src/{room}");
    }
    let missing: Vec<String> = documents::code_spans(&map.replace("//!", ""))
        .into_iter()
        .filter(|span| span.contains('/') && !span.contains(' ') && (span.ends_with(".rs") || span.ends_with('/')))
        .filter(|span| !root().join("src").join(span).exists() && !root().join(span).exists())
        .collect();
    assert_none(&missing);
}

#[test]
fn what_a_document_points_at_exists() {
    let mut documents = files_below(&root().join("docs"), ".md");
    documents.extend(["README.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    let mut faults = Vec::new();
    for file in documents {
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        faults.extend(documents::faults(&root(), &file, &read(&file)).into_iter().map(|why| format!("{name}: {why}")));
    }
    assert_none(&faults);
}

#[test]
fn the_walk_of_one_car_names_functions_that_are_there() {
    let text = read(&root().join("docs/architecture.md"));
    let walk = text.split("\n## One car").nth(1).expect("the walk").split("\n## ").next().unwrap();
    let steps: Vec<Vec<&str>> = walk
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("`src/"))
        .map(|line| line.split('|').collect())
        .collect();
    let lost: Vec<String> = steps
        .iter()
        .filter_map(|step| {
            let [file, function] = [step[3], step[4]].map(|cell| cell.trim().trim_matches('`'));
            let text = read(&root().join(file));
            let is_there = ['(', '<'].iter().any(|after| text.contains(&format!("fn {function}{after}")));
            (!is_there).then(|| format!("{file} has no fn {function}"))
        })
        .collect();
    assert_none(&lost);
    let numbers: Vec<String> = steps.iter().map(|step| step[1].trim().to_owned()).collect();
    assert_eq!(numbers, (1..=steps.len()).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(steps.len() > 10, "the table is read");
}

#[test]
fn every_document_is_found_from_the_readme_or_the_list_of_decisions() {
    let lists = ["README.md", "docs/decisions/README.md"].map(|list| read(&root().join(list))).concat();
    let documents = files_below(&root().join("docs"), ".md").into_iter();
    let names = documents.map(|file| file.file_name().unwrap().to_string_lossy().into_owned());
    let lost: Vec<String> = names.filter(|name| name != "README.md" && !lists.contains(&format!("{name})"))).collect();
    assert_none(&lost);
}

#[test]
fn a_dead_link_is_caught() {
    let text = "# One\n\nSee [a](Cargo.toml), [b](docs/nothing.md), [c](#one), [d](#two), [e](https://example.org/x), \
                [f](docs/settings.md#settings), [g](docs/settings.md#nothing), `src/lib.rs`, `src/nothing.rs`.\n";
    let faults = documents::faults(&root(), &root().join("README.md"), text);
    assert_eq!(faults.len(), 4, "{faults:?}");
    for dead in ["docs/nothing.md", "#two", "docs/settings.md#nothing", "src/nothing.rs"] {
        assert!(faults.iter().any(|fault| fault.ends_with(dead)), "{dead}: {faults:?}");
    }
    let unmerged = "One\n<<<<<<< HEAD\nTwo\n=======\nThree\n>>>>>>> branch\n";
    assert_eq!(documents::faults(&root(), &root().join("README.md"), unmerged).len(), 1);
}

#[test]
fn a_page_names_every_module_it_will_need() {
    let folder = root().join("static");
    let names = files_below(&folder, ".html");
    let names = names.iter().filter_map(|file| file.file_stem()?.to_str()).filter(|name| *name != "layout");
    let faults: Vec<String> = names.flat_map(|name| modules::faults(name, |file| read(&folder.join(file)))).collect();
    assert_none(&faults);
}

#[test]
fn a_module_that_is_not_named_is_caught_also_where_another_one_needs_it() {
    let read = |file: &str| match file {
        "layout.html" => r#"<link rel="modulepreload" href="/static/js/lib/a.js"> {main}"#,
        "page.html" => r#"<link rel="modulepreload" href="/static/js/lib/idle.js" fetchpriority="low">"#,
        "js/page.js" => r#"import { a } from "./lib/a.js"; import("./page/late.js");"#,
        "js/lib/a.js" => r#"import { b } from "../page/b.js";"#,
        "js/page/b.js" => r#"import { a } from "../lib/a.js";"#,
        other => panic!("{other}"),
    };
    let found = modules::faults("page", |file| read(file).to_owned());
    assert_eq!(found, ["page.html: no modulepreload of js/page/b.js", "page.html: nobody imports js/lib/idle.js"]);
}
