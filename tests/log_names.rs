//! The names of log lines are part of the interface: every one in the program is documented, and nothing else is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The quoted names after `event = "` and, where an event is an argument, after `fail(EXIT_…, "` or `fail(code, "`.
fn names_in(source: &str, names: &mut BTreeSet<String>) {
    for part in source.split("event = \"").skip(1) {
        names.insert(part.split('"').next().unwrap().to_owned());
    }
    let calls = ["fail(EXIT_", " fail(code,"];
    for part in calls.iter().flat_map(|call| source.split(call).skip(1)) {
        let call = part.split(')').next().unwrap();
        if let Some(name) = call.split('"').nth(1) {
            names.insert(name.to_owned());
        }
    }
}

fn read_all(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // The programs that drive centrals from outside write no log.
            if !path.ends_with("tools") {
                read_all(&path, names);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names_in(&fs::read_to_string(&path).unwrap(), names);
        }
    }
}

/// The names in the first column of the tables with an `event` column.
fn documented(text: &str) -> BTreeSet<String> {
    let lines_list = text.split("## From the predecessor").next().unwrap();
    let rows = lines_list.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

#[test]
fn the_documented_log_lines_are_those_of_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut written = BTreeSet::new();
    read_all(&root.join("src"), &mut written);
    assert!(written.len() > 30, "{written:?}");
    let documented = documented(&fs::read_to_string(root.join("docs/logs.md")).unwrap());
    let missing: Vec<_> = written.difference(&documented).collect();
    assert!(missing.is_empty(), "add to docs/logs.md: {missing:?}");
    let gone: Vec<_> = documented.difference(&written).collect();
    assert!(gone.is_empty(), "no longer written, but in docs/logs.md: {gone:?}");
}
