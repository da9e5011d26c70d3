//! What a gate is answered, rule by rule, by a ledger on a disk in memory. The rules are those of the edges' calls in
//! docs/http-api.md; times are the site's.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod ledger_support;

#[path = "ledger_gate/amending.rs"]
mod amending;
#[path = "ledger_gate/closing.rs"]
mod closing;
#[path = "ledger_gate/doubtful.rs"]
mod doubtful;
#[path = "ledger_gate/drawers.rs"]
mod drawers;
#[path = "ledger_gate/durability.rs"]
mod durability;
#[path = "ledger_gate/facts.rs"]
mod facts;
#[path = "ledger_gate/hearing.rs"]
mod hearing;
#[path = "ledger_gate/in_a_cut.rs"]
mod in_a_cut;
#[path = "ledger_gate/money.rs"]
mod money;
#[path = "ledger_gate/orders.rs"]
mod orders;
#[path = "ledger_gate/passing.rs"]
mod passing;
#[path = "ledger_gate/payments.rs"]
mod payments;
#[path = "ledger_gate/price_lists.rs"]
mod price_lists;
#[path = "ledger_gate/reporting.rs"]
mod reporting;
#[path = "ledger_gate/requests.rs"]
mod requests;
#[path = "ledger_gate/runs.rs"]
mod runs;
#[path = "ledger_gate/shifts.rs"]
mod shifts;
#[path = "ledger_gate/work.rs"]
mod work;
