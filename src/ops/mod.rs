//! What running a central needs besides its work: log format, metrics, clock, signals, disk space.

pub mod clock;
pub mod console;
pub mod cores;
pub mod disk;
pub mod in_flight;
pub mod log_format;
pub mod metrics;
pub mod offences;
pub mod open_files;
pub mod said;
pub mod service_manager;
pub mod signals;
