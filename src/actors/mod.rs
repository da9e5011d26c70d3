//! One file, one actor: its messages, its state, its handlers.

pub mod config_keeper;
pub mod db_reader;
pub mod db_writer;
pub mod edge_gateway;
pub mod herald;
pub mod mesh_registry;
pub mod peer_link;
pub mod status_feed;
pub mod supervise;
pub mod sync_coordinator;
