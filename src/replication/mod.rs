//! Replication, sans-I/O: state machines that take frames, ticks and commit results and return frames and commands.

pub mod log;
