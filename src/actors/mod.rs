//! One file, one actor: its messages, its state, its handlers.

pub mod config_keeper;
pub mod db_reader;
pub mod db_writer;
pub mod edge_gateway;
pub mod in_flight;
pub mod ledger_core;
pub mod mesh_view;
pub mod supervise;
