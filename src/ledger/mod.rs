//! The ledger: what the one writer of a central decides. Pure: a state machine over a [`storage::Storage`].
//!
//! One transaction takes a batch of [`job::Job`]s, decides each against state that includes the ones before it, and is
//! committed as a whole; answers and announcements leave only after the commit. Memory is changed after the disk, never
//! before: see [`state`].

pub mod job;
pub mod storage;
