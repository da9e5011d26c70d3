//! Faults of the machine under real processes: the network, the disk, the clock.
//!
//! Each needs something of the machine (to be root, a tool); where that is missing the test says so and passes without
//! having looked. Each ends with everything acknowledged on every central, equal digests, and `parkmesh verify`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;

mod clock;
mod disk;
mod nearby;
mod netns;
mod network;

use std::process::{Command, Output};

/// Runs a tool; its output if it ended well, else why not.
fn run(program: &str, arguments: &[&str]) -> Result<Output, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }
}
