//! What running a central needs besides its work: log format, metrics, clock, the process, disk space.

pub mod clock;
pub mod in_flight;
pub mod log_format;
pub mod metrics;
pub mod offences;
pub mod process;
