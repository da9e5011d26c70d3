//! The parking domain: values and pure functions, no I/O, no clock, no randomness.

pub mod anomaly;
pub mod event;
pub mod ids;
pub mod money;
pub mod plate;
pub mod row;
pub mod subscription;
pub mod tariff;
