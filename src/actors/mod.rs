//! One file, one actor: its messages, its state, its handlers.

pub mod db_writer;
pub mod in_flight;
pub mod supervise;
