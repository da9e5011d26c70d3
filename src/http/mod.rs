//! Routes and thin handlers; the only place that knows status codes.
//!
//! | file | holds |
//! |---|---|
//! | [`routes`] | every route on one screen |
//! | [`access`] | who may do what, enforced around every route |
//! | [`screen`] | what is looked at before that, and the headers of every answer |
//! | [`limits`], [`room`] | how much one address or edge may ask; how much it may take, and all together |
//! | [`refusals`] | who was turned away, for the audit |
//! | [`code`], [`error`] | the stable codes with their status; every refusal as an answer |
//! | [`operation`], [`openapi`] | one row per operation, which stands beside its handler; all of them as a document |
//! | [`edges`], [`edge_programs`], [`parking`], [`history`], [`stories`], [`amendments`], [`p2p`], [`mesh`], [`members`], [`accounts`], [`edge_keys`], [`audit`], [`health`], [`pages`], [`vietqr`] | the handlers, by area |
//! | [`body`], [`query`], [`view`], [`csv`], [`qr`] | reading requests, showing values |
//! | [`state`] | what handlers reach |
//! | [`ws_intake`] | what arrives on a WebSocket: a frame at a time, and no more than it may |
//! | [`ws_edge`] | the sockets of edge programs |
//! | [`predecessors`] | what old centrals ask before they link |
//! | [`p2p_server`], [`ws_peer`] | the port other centrals dial, their sockets, and guests with an invitation |
//! | [`ws_status`] | the status feed to one dashboard |
//! | [`server`], [`listen`], [`metered`], [`api`] | sockets, how fast they are read, workers, time limits, moving to another port while running |

pub mod access;
pub mod accounts;
pub mod alarms;
pub mod amendments;
pub mod api;
pub mod audit;
mod backup;
pub mod body;
pub mod code;
pub mod csv;
pub mod edge_keys;
pub mod edge_programs;
pub mod edges;
pub mod error;
pub mod health;
pub mod history;
pub mod limits;
pub mod listen;
pub mod members;
pub mod mesh;
pub mod metered;
pub mod openapi;
mod operation;
pub mod p2p;
pub mod p2p_server;
pub mod pages;
pub mod parking;
pub mod predecessors;
mod qr;
pub mod query;
pub mod refusals;
pub mod room;
pub mod routes;
pub mod screen;
pub mod server;
mod shift_tables;
pub mod shifts;
pub mod state;
pub mod stories;
pub mod subscriptions;
mod vietqr;
pub mod view;
pub mod ws_edge;
pub mod ws_intake;
pub mod ws_peer;
pub mod ws_status;
pub mod xlsx;
