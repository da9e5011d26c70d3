//! Clocks hours apart that jump under way, and centrals that believe to be in different countries.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::load::{Load, check_mesh};
use crate::common::{Mesh, skip};

/// Debian's `libfaketime` for programs with threads.
fn library() -> Result<PathBuf, String> {
    let architectures = fs::read_dir("/usr/lib").map_err(|error| error.to_string())?;
    let found = architectures.flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    found.into_iter().find(|path| path.exists()).ok_or_else(|| "libfaketime is not installed".into())
}

/// The clock of the process that reads this file is off by so much, from now on.
fn shift(file: &Path, offset: &str) {
    // In one step: a file that is read half-written would be a time of its own.
    let next = file.with_extension("next");
    fs::write(&next, format!("{offset}\n")).expect("a file");
    fs::rename(next, file).expect("the file");
}

#[test]
fn clocks_that_disagree_and_jump_change_nothing_that_was_told() {
    let library = match library() {
        Ok(library) => library.to_string_lossy().into_owned(),
        Err(reason) => return skip("clocks_that_disagree_and_jump_change_nothing_that_was_told", &reason),
    };
    let mut mesh = Mesh::new(3);
    let clocks: Vec<PathBuf> = mesh.centrals.iter().map(|central| central.directory().join("clock")).collect();
    let zones = ["Asia/Ho_Chi_Minh", "America/New_York", "Pacific/Kiritimati"];
    for ((central, clock), zone) in mesh.centrals.iter_mut().zip(&clocks).zip(zones) {
        shift(clock, "+0");
        central.env("LD_PRELOAD", library.clone());
        central.env("FAKETIME_TIMESTAMP_FILE", clock.to_string_lossy().into_owned());
        central.env("FAKETIME_NO_CACHE", "1");
        // What measures durations goes on: no machine's monotonic clock jumps.
        central.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        central.env("DONT_FAKE_MONOTONIC", "1");
        central.env("TZ", zone);
    }
    mesh.start_all();
    let told = Load::during(&mut mesh, |mesh, load| {
        for offsets in [["+3h", "-2h", "+0"], ["-1h", "+5h", "+40"], ["+0", "-3h", "-3h"], ["+0", "+0", "+0"]] {
            for (clock, offset) in clocks.iter().zip(offsets) {
                shift(clock, offset);
            }
            load.wait_answered(150);
            mesh.wait_linked(crate::common::DEADLINE);
        }
    });
    check_mesh(&mut mesh, &told);
}
