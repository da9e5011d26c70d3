//! One file, one actor: its messages, its state, its handlers.

pub mod admission;
pub mod config_keeper;
pub mod db_reader;
pub mod db_writer;
pub mod dial;
pub mod edge_gateway;
pub mod edge_news;
pub mod edge_report;
pub mod edge_roster;
pub mod in_flight;
pub mod join;
pub mod ledger_core;
pub mod legacy_link;
pub mod legacy_links;
pub mod link_test;
pub mod mesh;
pub mod mesh_registry;
pub mod mesh_survey;
pub mod mesh_view;
pub mod mesh_wiring;
pub mod peer_link;
pub mod socket;
pub mod status_feed;
pub mod supervise;
pub mod sync_coordinator;
pub mod trust_desk;
