//! Every input the fuzzers found worth keeping, once more, on the stable compiler: tests/fuzz has the programs that look for
//! more, docs/testing.md how they are run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test panics")]

use std::fs;
use std::path::Path;

#[path = "fuzz/entry/config.rs"]
mod config;
#[path = "fuzz/entry/import.rs"]
mod import;
#[path = "fuzz/entry/legacy.rs"]
mod legacy;
#[path = "fuzz/entry/wire.rs"]
mod wire;

/// What may be kept in the repository, in bytes.
const MAX_CORPUS_BYTES: u64 = 200_000;

fn replay(name: &str, run: fn(&[u8])) -> u64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut total = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        total += input.len() as u64;
        // Shown if it fails.
        println!("{}", path.display());
        run(&input);
    }
    assert!(total > 0, "{} has inputs", folder.display());
    total
}

#[test]
fn what_the_fuzzers_kept_is_taken_or_refused() {
    let total = replay("wire", wire::run)
        + replay("legacy", legacy::run)
        + replay("config", config::run)
        + replay("import", import::run);
    assert!(total <= MAX_CORPUS_BYTES, "{total} bytes: minimise them");
}
