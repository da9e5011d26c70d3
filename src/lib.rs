//! ParkMesh: one process per *central* of a parking site.
//!
//! ```text
//! edges ──http──► the workers ──► DbWriter (SQLite) ──committed──► MeshRegistry ──► PeerLink ──ws──► other centrals
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
//! | [`background`] | work that gates must not wait for: behind them at the cores, little at a time for the disk | |
//! | [`disk`] | reading files that somebody named, so that nothing waits; blocking | |
//! | [`config`] | the settings: model, checks, file | a setting: `config/model.rs` |
//! | [`vault`] | hashes of passwords, tokens and codes, and their files; blocking | |
//! | [`store`] | SQLite and nothing else; blocking | a column: `store/schema.rs` |
//! | [`tls`] | key, certificate and TLS of this central | what a peer has to prove: `tls/peers.rs` |
//! | [`maintenance`] | `verify` and `rebuild`: work on the database of a central that does not run | |
//! | [`desks`] | what all workers ask and is no actor: who is let in, the way into the audit | a login: `desks/doorkeeper.rs` |
//! | [`links`] | what serves links to other centrals: dialling, sockets, asking to join | how long a dial may take: `links/socket.rs`; who was found: `links/nearby.rs` |
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

pub mod access {
    //! Who may do what. Pure: the time, random numbers and hashes are arguments.
    //!
    //! | file | holds |
    //! |---|---|
    //! | [`right`] | who calls, what a call needs, and whether somebody has it: the decision behind the table of routes |
    //! | [`accounts`] | people and tokens, what may be changed of them, and how that is told |
    //! | [`people`] | the people of a site as one set that all centrals hold: which record of a name counts |
    //! | [`sessions`] | who is logged in, and until when |
    //! | [`tally`] | what is written down of logins and refusals, however many there are |
    //! | [`throttle`] | how long somebody who guesses has to wait |

    pub mod accounts;
    pub mod people;
    pub mod right;
    pub mod sessions;
    pub mod tally;
    pub mod throttle;
}

pub mod actors {
    //! One file, one actor: its messages, its state, its handlers.

    pub mod clerk;
    pub mod config_keeper;
    pub mod db_reader;
    pub mod db_writer;
    pub mod herald;
    pub mod mesh_registry;
    pub mod peer_link;
    pub mod scout;
    pub mod status_feed;
    pub mod supervise;
    pub mod sync_coordinator;
}

pub mod alarms {
    //! What needs somebody's hand, and what people are told of it who do not look at a page. Pure.
    //!
    //! | file | holds |
    //! |---|---|
    //! | [`attention`] | what is wrong now: the one list that the pages and the alarms go by |
    //! | [`book`] | when an alarm begins, is repeated and ends; what was told already |
    //! | [`outbox`] | what is on its way to whom, and what had to be dropped |
    //! | [`message`] | one message, in words and as each kind of receiver takes it |
    //! | [`reasons`] | why something is so, in Vietnamese |
    //!
    //! Carried by the desk `desks/alarm_desk.rs` and the actor `actors/herald.rs`; why it is so: docs/decisions.

    pub mod attention;
    pub mod book;
    pub mod message;
    pub mod outbox;
    pub mod reasons;
}

pub mod app;

pub mod config {
    //! The settings of one central: model, checks, file.
    //!
    //! [`model::Config`] is always whole and valid: it is made by [`read::config`] (a file or a request), [`change::merge`]
    //! (a request over what is in force) or [`model::Config::standalone`], and nothing else. [`mod@file`] loads and saves it,
    //! [`change::changed`] says what a save changed, so that the actors concerned can apply it at once.
    //!
    //! To add a setting: a field in `model.rs` with its default, a line in `read.rs`, one in
    //! `config/every-setting.example.json` and one in `docs/settings.md`; a test fails where one is forgotten.

    pub mod alarms;
    pub mod change;
    pub mod file;
    pub mod invoices;
    pub mod model;
    pub mod read;
    mod reader;
    #[cfg(test)]
    mod tests;
}

pub mod desks {
    //! What every worker asks on every request and is no actor: it answers from memory, and what hashes or writes a file runs on the pool
    //! of blocking threads.

    pub mod alarm_desk;
    pub mod audit_desk;
    pub mod backup_desk;
    pub mod doorkeeper;
    pub mod invoice_desk;
    pub mod people_desk;
}

pub mod background;
pub mod disk;
pub mod domain {
    //! The parking domain: values and pure functions, no I/O, no clock, no randomness.

    pub mod anomaly;
    pub mod audit;
    pub mod authorship;
    pub mod direction;
    pub mod doer;
    pub mod event;
    pub mod explain;
    pub mod fingerprint;
    pub mod hash;
    pub mod heard;
    pub mod ids;
    pub mod invoice;
    pub mod lane;
    pub mod money;
    pub mod named;
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
}

pub mod feed {
    //! What dashboards are told: a numbered state, and what changed in it since any number. Pure.
    //!
    //! | file | holds |
    //! |---|---|
    //! | [`board`] | the state, its numbers, snapshots and changes as text |
    //! | [`mod@line`] | an event as a line people read |
    //!
    //! The messages are documented in docs/status-feed.md; they only grow.

    pub mod board;
    pub mod line;
}

pub mod gates {
    //! What serves gates and is no actor: what they send and how it is checked, who of them is alive, what they are told.

    mod choices;
    pub mod envelope;
    pub mod glimpse;
    pub mod report;
    pub mod request;
    pub mod roster;
}

pub mod http {
    //! Routes and thin handlers; the only place that knows status codes.
    //!
    //! | file | holds |
    //! |---|---|
    //! | [`routes`] | every route on one screen, and all of them as a document |
    //! | [`access`] | who may do what, enforced around every route |
    //! | [`screen`] | what is looked at before that, and the headers of every answer |
    //! | [`room`] | how much one address or edge may ask; how much it may take, and all together |
    //! | [`answers`] | whose turn it is to be answered, and how much of answers lies untaken |
    //! | [`error`] | every refusal as an answer, and the stable codes with their status |
    //! | [`operation`] | one row per operation, which stands beside its handler |
    //! | [`edges`], [`edge_programs`], [`parking`], [`history`], [`stories`], [`amendments`], [`p2p`], [`mesh`], [`members`], [`accounts`], [`audit`], [`health`], [`pages`] | the handlers, by area |
    //! | [`input`], [`view`], [`spreadsheet`], [`qr_code`] | reading requests, showing values |
    //! | [`state`] | what handlers reach |
    //! | [`ws_intake`] | what arrives on a WebSocket: a frame at a time, and no more than it may |
    //! | [`ws_edge`] | the sockets of edge programs |
    //! | [`unreadable`] | what gates report and cannot be taken as told |
    //! | [`p2p_server`], [`ws_peer`] | the ports other centrals dial, their sockets, guests with an invitation, and what old centrals ask before they link |
    //! | [`ws_status`] | the status feed to one dashboard |
    //! | [`server`], [`listen`], [`pipeline`], [`api`] | sockets, how fast they are read and how far ahead of their answers, workers, time limits, moving to another port while running |

    pub mod access;
    pub mod accounts;
    pub mod amendments;
    pub mod answers;
    pub mod api;
    pub mod audit;
    pub mod edge_programs;
    pub mod edges;
    pub mod error;
    pub mod health;
    pub mod history;
    pub mod input;
    pub mod listen;
    pub mod members;
    pub mod mesh;
    mod operation;
    pub mod p2p;
    pub mod p2p_server;
    pub mod pages;
    pub mod parking;
    mod payments;
    mod pipeline;
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
    mod unreadable;
    pub mod view;
    pub mod ws_edge;
    pub mod ws_intake;
    pub mod ws_peer;
    pub mod ws_status;
}

pub mod lab;
pub mod ledger;

pub mod legacy {
    //! The system before this program, in both its revisions: links to its centrals while a site changes over, and the import of what it
    //! wrote. Nothing but `app` and `main` names this room, so that it can be deleted in one commit.
    //!
    //! | file | holds |
    //! |---|---|
    //! | [`dialect`] | its frames; pure |
    //! | [`peer`] | one of its centrals: what is told it, what it says; pure |
    //! | [`link`], [`links`] | the actor that carries between the two; one for each peer marked `legacy` |
    //! | [`import`] | `parkmesh import`: its database and its settings |

    pub mod dialect;
    pub mod import;
    pub mod link;
    pub mod links;
    pub mod peer;
}

pub mod links {
    //! What serves links between centrals and is no actor: dialling, sockets and what may arrive on them, asking to join, the keys
    //! of authors.

    pub mod intake;
    pub mod join;
    pub mod known_authors;
    pub mod mesh;
    pub mod nearby;
    pub mod socket;
    pub mod status;
    pub mod trust_desk;
}

pub mod maintenance;

pub mod ops {
    //! What running a central needs besides its work: log format, metrics, clock, the process, disk space.

    pub mod clock;
    pub mod in_flight;
    pub mod log_format;
    pub mod metrics;
    pub mod offences;
    pub mod process;
    pub mod start_watch;
}

pub mod replication;
pub mod store;
pub mod tls;

pub mod trust {
    //! Whom to believe that he is who he says: decided by the certificate he showed, purely.
    //!
    //! | file | holds |
    //! |---|---|
    //! | [`invitation`] | what a person carries to a new central, and the codes in it |
    //! | [`judge`] | whether a socket may speak as the central it says it is |
    //! | [`site`] | which site a central belongs to |
    //! | [`strangers`] | who is unknown here, until a person says yes or no |

    pub mod invitation;
    pub mod judge;
    pub mod site;
    pub mod strangers;
}

pub mod vault {
    //! What proves who somebody is: passwords, codes, tokens and keys as hashes, and the files they lie in. Blocking.
    //!
    //! | file | holds |
    //! |---|---|
    //! | [`secret`] | random secrets and passwords, and their hashes |
    //! | [`files`] | files nobody else on the machine can read: people and tokens of a central, and the one-time code a person makes on the machine |

    pub mod files;
    pub mod secret;
}

pub mod wire;
