//! SQLite and nothing else: everything around `DIR/central.db`. Blocking, no actix, no clock of its own to decide by.
//!
//! | file | holds |
//! |---|---|
//! | [`directory`] | the data directory and the lock that makes one process its owner |
//! | [`left`] | what the run before left there: a log that is damaged, missing, another's, or alone |
//! | [`files`] | whether the files are still there, while this process has them open |
//! | [`log_heads`] | up to where each log is held |
//! | [`schema`] | the tables, the migrations, the refusal of what is not ours |
//! | [`writer`] | the one writing connection; implements [`crate::ledger::storage::Storage`] |
//! | [`checkpoint`] | moves the write-ahead log into the database, off the commit path |
//! | [`reader`] | read-only connections: pages of history, runs of a log |
//! | [`salvage`] | writes a new file of one whose pages cannot all be read |
//! | [`missed`] | what cannot be read and is made from nothing else |
//! | [`verify`] | checks a file from end to end |
//!
//! One process, one [`directory::DataDir`], one [`writer::Writer`], any number of [`reader::Reader`]s.
//! **Nobody in this process may open `central.db` or its `-shm` file by other means than SQLite**: closing any descriptor
//! of theirs drops the locks SQLite holds.

pub mod checkpoint;
pub mod directory;
pub mod error;
pub mod missed;
pub mod reader;
pub mod salvage;
pub mod schema;
pub mod verify;
pub mod writer;

mod books;
mod files;
mod left;
mod log_heads;
mod log_numbers;
mod lookup;
mod stay_columns;

pub use directory::{DataDir, free_bytes};
pub use error::StoreError;
pub use reader::Reader;
pub use writer::Writer;

#[cfg(test)]
mod tests;
