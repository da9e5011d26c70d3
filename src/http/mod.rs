//! Routes and thin handlers; the only place that knows status codes.
//!
//! | file | holds |
//! |---|---|
//! | [`routes`] | every route on one screen, and all of them as a document |
//! | [`access`] | who may do what, enforced around every route |
//! | [`screen`] | what is looked at before that, and the headers of every answer |
//! | [`limits`], [`room`] | how much one address or edge may ask; how much it may take, and all together |
//! | [`error`] | every refusal as an answer, and the stable codes with their status |
//! | [`operation`] | one row per operation, which stands beside its handler |
//! | [`edges`], [`edge_programs`], [`parking`], [`history`], [`stories`], [`amendments`], [`p2p`], [`mesh`], [`members`], [`accounts`], [`audit`], [`health`], [`pages`] | the handlers, by area |
//! | [`input`], [`view`], [`spreadsheet`], [`qr_code`] | reading requests, showing values |
//! | [`state`] | what handlers reach |
//! | [`ws_intake`] | what arrives on a WebSocket: a frame at a time, and no more than it may |
//! | [`ws_edge`] | the sockets of edge programs |
//! | [`p2p_server`], [`ws_peer`] | the ports other centrals dial, their sockets, guests with an invitation, and what old centrals ask before they link |
//! | [`ws_status`] | the status feed to one dashboard |
//! | [`server`], [`listen`], [`api`] | sockets, how fast they are read, workers, time limits, moving to another port while running |

pub mod access;
pub mod accounts;
pub mod amendments;
pub mod api;
pub mod audit;
pub mod edge_programs;
pub mod edges;
pub mod error;
pub mod health;
pub mod history;
pub mod input;
pub mod limits;
pub mod listen;
pub mod members;
pub mod mesh;
mod operation;
pub mod p2p;
pub mod p2p_server;
pub mod pages;
pub mod parking;
mod payments;
mod qr_code;
pub mod room;
pub mod routes;
pub mod screen;
pub mod server;
pub mod shifts;
pub mod spreadsheet;
pub mod state;
pub mod stories;
pub mod subscriptions;
pub mod view;
pub mod ws_edge;
pub mod ws_intake;
pub mod ws_peer;
pub mod ws_status;
