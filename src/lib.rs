//! ParkMesh: one process per *central* of a parking site.
//!
//! ```text
//! edges ──http──► EdgeGateway ──► DbWriter (SQLite) ──committed──► MeshRegistry ──► PeerLink ──ws──► other centrals
//!                                     ▲                                 ▲             ▲
//! other centrals ──ws──► PeerLink ────┘                                 └ SyncCoordinator: which log from whom
//! ```
//!
//! 1. An event is true once `DbWriter` has committed it; only then does anyone hear of it, the edge first.
//! 2. A peer link is a set of cursors over logs; live events, catch-up and relay are the same thing.
//! 3. What is decided (who is inside, what is owed, which entry wins, what to ask of whom) is decided by pure functions.
//!
//! # The rooms
//!
//! | room | holds | to change … look here |
//! |---|---|---|
//! | [`domain`] | plates, times, events, stays, money; pure | the fee rule: `domain/tariff.rs`; a field of an event: `domain/event.rs` |
//! | [`trust`] | whom to believe that he is who he says; pure | who may speak as whom: `trust/judge.rs` |
//! | [`replication`] | logs, one peer, the choice of sources; pure | back-off: `replication/backoff.rs` |
//! | [`wire`] | the frames of our protocol; pure | a frame's fields: `wire/frame.rs` |
//! | [`ledger`] | what the writer decides, over a storage trait; pure | which facts take the fast path: `ledger/` |
//! | [`feed`] | what dashboards are told: a numbered state and its changes; pure | a line of the dashboard: `feed/line.rs` |
//! | [`alarms`] | what needs a hand, and what people are told of it; pure | what is wrong: `alarms/attention.rs`; when it is told: `alarms/book.rs` |
//! | [`access`] | who may do what: people, tokens, sessions, waits; pure | a call's needs: `http/routes.rs`; what follows: `access/right.rs` |
//! | [`config`] | the settings: model, checks, file | a setting: `config/model.rs` |
//! | [`vault`] | hashes of passwords, tokens and codes, and their files; blocking | |
//! | [`store`] | SQLite and nothing else; blocking | a column: `store/schema.rs` |
//! | [`tls`] | key, certificate and TLS of this central | what a peer has to prove: `tls/peers.rs` |
//! | [`maintenance`] | `verify` and `rebuild`: work on the database of a central that does not run | |
//! | [`desks`] | what all workers ask and is no actor: who is let in, the way into the audit | a login: `desks/doorkeeper.rs` |
//! | [`links`] | what serves links to other centrals: dialling, sockets, asking to join | how long a dial may take: `links/socket.rs` |
//! | [`gates`] | what serves gates: their requests, who is alive | the limits of a request: `gates/request.rs` |
//! | [`actors`] | one file, one actor | supervision: `actors/supervise.rs` |
//! | [`http`] | routes and thin handlers | a status code: `http/error.rs` |
//! | [`ops`] | log format, metrics, signals | a log line's shape: `ops/log_format.rs` |
//! | [`app`] | starts all of it in order and stops it in reverse | |
//! | [`legacy`] | the system before this program: links to its centrals, the import; can be deleted in one commit | its frames: `legacy/dialect/` |
//! | [`lab`] | the simulation; `bench` and `demo`, which know a central only by its HTTP API | what may go wrong in the simulation: `lab/simulation/` |
//!
//! **Imports run one way:** `domain <- replication, wire <- ledger <- config, store <- desks, links, gates <- actors <- http <-
//! legacy <- app <- main`
//! (`ops` may be used by everything from `actors` on). `tests/architecture.rs` reads the `use` lines and fails on a
//! wrong arrow. The pure rooms know neither actix nor tokio nor rusqlite: time, randomness and ids are arguments.

pub mod access;
pub mod actors;
pub mod alarms;
pub mod app;
pub mod config;
pub mod desks;
pub mod domain;
pub mod feed;
pub mod gates;
pub mod http;
pub mod lab;
pub mod ledger;
pub mod legacy;
pub mod links;
pub mod maintenance;
pub mod ops;
pub mod replication;
pub mod store;
pub mod tls;
pub mod trust;
pub mod vault;
pub mod wire;
