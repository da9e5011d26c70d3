//! What tries and measures centrals: the simulation, whose many centrals live in one thread, and programs that drive running
//! ones over HTTP from outside: `bench`, `demo` and `ready`.
//!
//! Those programs know a central by its documented HTTP API and nothing else of this crate, so what they measure and check
//! is what an edge program gets.

pub mod bench;
mod caller;
mod client;
pub mod compare;
pub mod demo;
mod duration;
mod plates;
pub mod proxy;
pub mod ready;
pub mod simulation;
