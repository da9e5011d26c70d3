//! Telling a peer what is held here: what advanced and the peer does not follow here.
//!
//! The first advance of a log is told at once, later ones together after 100 ms, the last state always.

use std::collections::{BTreeMap, BTreeSet};

use super::output::Out;
use super::output::SocketId;
use crate::domain::ids::LogId;
use crate::replication::have::Have;
use crate::replication::now::Now;

/// How long later advances of a log are held together, in ms.
const COALESCE_MS: u64 = 100;

#[derive(Debug, Default)]
pub(super) struct Announcing {
    /// Logs told of within the last 100 ms, with the time.
    recent: BTreeMap<LogId, u64>,
    /// Of those, the ones that advanced since.
    waiting: BTreeSet<LogId>,
    flush_at_ms: Option<u64>,
}

impl Announcing {
    /// These logs advanced, or the peer should hear of them for another reason.
    pub(super) fn announce(&mut self, now: Now, held: &Have, socket: SocketId, logs: &BTreeSet<LogId>, out: &mut Out) {
        self.recent.retain(|_, told_ms| now.mono_ms < *told_ms + COALESCE_MS);
        let (later, at_once): (Vec<&LogId>, Vec<&LogId>) = logs.iter().partition(|log| self.recent.contains_key(*log));
        for log in later {
            self.waiting.insert(log.clone());
        }
        if !self.waiting.is_empty() && self.flush_at_ms.is_none() {
            self.flush_at_ms = Some(now.mono_ms + COALESCE_MS);
        }
        self.tell(now, held, socket, at_once.into_iter().cloned().collect(), out);
    }

    pub(super) fn tick(&mut self, now: Now, held: &Have, socket: SocketId, out: &mut Out) {
        if self.flush_at_ms.is_some_and(|at_ms| at_ms <= now.mono_ms) {
            self.flush_at_ms = None;
            let logs = std::mem::take(&mut self.waiting);
            self.tell(now, held, socket, logs, out);
        }
    }

    fn tell(&mut self, now: Now, held: &Have, socket: SocketId, logs: BTreeSet<LogId>, out: &mut Out) {
        let heads: Vec<_> = logs.iter().filter_map(|log| Some((log.clone(), held.head(log)?))).collect();
        for text in out.encoder.encode_have(now.wall_ms, heads) {
            out.send_text(socket, text);
        }
        self.recent.extend(logs.into_iter().map(|log| (log, now.mono_ms)));
    }

    pub(super) fn next_wakeup_ms(&self) -> Option<u64> {
        self.flush_at_ms
    }
}
