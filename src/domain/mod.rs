//! The parking domain: values and pure functions, no I/O, no clock, no randomness.

pub mod anomaly;
pub mod audit;
pub mod authorship;
pub mod direction;
pub mod doer;
pub mod event;
pub mod explain;
pub mod fingerprint;
pub mod heard;
pub mod ids;
pub mod lane;
pub mod money;
pub mod naming;
pub mod payment;
pub mod plate;
pub mod problem;
pub mod received;
pub mod row;
pub mod shift;
pub mod standing;
pub mod stay;
pub mod subscription;
pub mod tariff;
pub mod time;
pub mod told;
pub mod vietqr;
