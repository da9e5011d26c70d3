//! The defects of the Python system this program replaces, D1 to D43 of its description: one test per number, named by
//! it, that fails if the old behaviour came back. docs/testing.md has the list with a few words on each.
//!
//! Real processes where the defect was one of processes and networks; the pure core where it was one of rules, because
//! every order and every clock can be tried there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../ledger_support/mod.rs"]
mod ledger_support;

mod agreement;
mod changes;
mod edges;
mod gates;
mod links;
mod outages;
mod rows;
mod settings;
