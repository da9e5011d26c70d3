//! What every worker asks on every request and is no actor: it answers from memory, and what hashes or writes a file runs on the pool
//! of blocking threads.

pub mod alarm_desk;
pub mod audit_desk;
pub mod backup_desk;
pub mod doorkeeper;
