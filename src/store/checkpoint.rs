//! Moves the write-ahead log into the database off the commit path, and keeps the log small.
//!
//! SQLite writes a log from the start again only once all of it is in the database at a moment when nothing is being written.
//! A thread of its own, with its own connection, copies what is committed (PASSIVE passes, which stop nobody) until little is left; then
//! the writer, between two transactions, copies that rest itself, and its next transaction starts the log over. So the
//! writer pays for the rest only. If the thread cannot keep up, the writer copies all of it before the log passes its bound.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::error::StoreError;

/// The write-ahead log never grows beyond this, in bytes, unless another program reads an old state for long.
pub const MAX_WAL_BYTES: u64 = 64 * 1024 * 1024;
/// A page in the log: 4096 bytes and their header.
const FRAME_BYTES: u64 = 4096 + 24;
/// The thread begins to copy at so many pages (16 MiB): fewer passes save more pages that are written again and again.
const FIRST_PASS_PAGES: u32 = 4_000;
/// The writer copies the rest itself when at most so many pages are left: 2 to 4 ms.
const REST_PAGES: u32 = 600;
/// At so many pages (44 MiB) the writer waits no longer for the thread. What is left to the bound is room for the largest
/// transaction.
const FORCED_PAGES: u32 = 11_000;
/// How long the forced copy waits for readers to move on.
const FORCED_WAIT: Duration = Duration::from_millis(100);
