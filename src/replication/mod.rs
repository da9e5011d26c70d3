//! Replication, sans-I/O: state machines that take frames, ticks and commit results and return frames and commands.
//!
//! One [`peer::Peer`] per configured peer owns everything about its link; one [`coordinator::Coordinator`] decides which
//! log is taken from whom. Actors only carry what goes in and out:
//!
//! ```text
//! sockets, timers, commits ──► Peer ──PeerReport──► Coordinator ──PeerCommand──► Peer ──► frames, dials, reads
//!                                                        └──Store(run)──► the writer ──committed──► both
//! ```
//!
//! `Have` is the one picture of what this central holds durably. **The shell updates it after a commit and before it
//! tells anyone of that commit.**

pub mod backoff;
pub mod coordinator;
pub mod handshake;
pub mod have;
pub mod log;
pub mod peer;
pub mod window;

/// The clocks of this central at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Never goes back; origin arbitrary. All waiting is measured by it.
    pub mono_ms: u64,
    /// The wall clock, Unix ms; may jump. Only told to others and shown.
    pub wall_ms: i64,
}
