//! What dashboards are told: a numbered state, and what changed in it since any number. Pure.
//!
//! | file | holds |
//! |---|---|
//! | [`board`] | the state, its numbers, snapshots and changes as text |
//! | [`mod@line`] | an event as a line people read |
//!
//! The messages are documented in docs/status-feed.md; they only grow.

pub mod board;
pub mod line;
