//! What must hold at every step, and what must hold in the end.

use std::collections::BTreeMap;

use super::replica::Replica;
use crate::domain::ids::LogId;
use crate::replication::log::{EventBytes, Head, Run};
use crate::replication::peer::output::SocketId;
use crate::wire::frame::Frame;

/// What was really written, whatever the disks say.
#[derive(Debug, Default)]
pub(super) struct Truth {
    logs: BTreeMap<LogId, Vec<EventBytes>>,
    /// Events whose author was told that they are durable, and that no lying disk has swallowed since.
    acknowledged: BTreeMap<LogId, u64>,
    /// Subscriptions asked for, by the asking socket.
    subs: BTreeMap<(SocketId, u64), LogId>,
}

impl Truth {
    /// An author was told that its events are durable.
    pub(super) fn authored(&mut self, run: &Run) -> Result<(), String> {
        self.written(run)?;
        self.acknowledged.insert(run.log.clone(), run.head().to);
        Ok(())
    }

    /// Events are durable, and nobody was told.
    pub(super) fn written(&mut self, run: &Run) -> Result<(), String> {
        let written = self.logs.entry(run.log.clone()).or_default();
        if written.len() as u64 != run.after {
            return Err(format!("event {} of {} was authored twice", run.after + 1, run.log));
        }
        written.extend(run.events.iter().cloned());
        Ok(())
    }

    /// A central has stored events of another.
    pub(super) fn stored(&self, run: &Run) -> Result<(), String> {
        let written = self.logs.get(&run.log).map_or(&[][..], Vec::as_slice);
        let from = usize::try_from(run.after).unwrap_or(usize::MAX);
        let same = written.get(from..from.saturating_add(run.events.len())).is_some_and(|truth| truth == run.events);
        if same { Ok(()) } else { Err(format!("{} after {}: not what its author wrote", run.log, run.after)) }
    }

    /// A frame leaves a central: it may say and carry only what is durable there.
    pub(super) fn sent(&mut self, socket: SocketId, frame: &Frame, disk: &dyn Replica) -> Result<(), String> {
        let durable = |log: &LogId, head: Head| disk.hash_at(log, head.to) == Some(head.hash);
        match frame {
            Frame::SyncRequest(request) => {
                self.subs.insert((socket, request.sub), request.log.clone());
            }
            Frame::SyncAck { sub, head } => {
                let Some(log) = self.subs.get(&(socket, *sub)) else {
                    return Err(format!("acknowledged subscription {sub}, which was never asked for"));
                };
                if !durable(log, *head) {
                    return Err(format!("acknowledged {log} up to {}, which is not durable", head.to));
                }
            }
            Frame::HaveLogs(heads) => {
                if let Some((log, head)) = heads.iter().find(|(log, head)| !durable(log, **head)) {
                    return Err(format!("announced {log} up to {}, which is not durable", head.to));
                }
            }
            Frame::SyncRun { run, .. } => {
                if !durable(&run.log, run.head()) {
                    return Err(format!("sent {} up to {}, which is not durable", run.log, run.head().to));
                }
                self.stored(run)?;
            }
            Frame::Error(error) => return Err(format!("sent an ERROR: {}", error.error)),
            _ => {}
        }
        Ok(())
    }

    /// A disk forgot commits: what no disk holds any more cannot be asked for.
    pub(super) fn forgotten<'a>(&mut self, disks: impl Iterator<Item = &'a dyn Replica>) {
        let mut held: BTreeMap<LogId, u64> = BTreeMap::new();
        for disk in disks {
            for (log, head) in disk.heads().iter() {
                let to = held.entry(log.clone()).or_default();
                *to = (*to).max(head.to);
            }
        }
        for (log, to) in &mut self.acknowledged {
            *to = (*to).min(held.get(log).copied().unwrap_or(0));
        }
    }

    /// The first event that was acknowledged and is not on this disk.
    pub(super) fn missing(&self, disk: &dyn Replica) -> Option<(LogId, u64)> {
        let have = disk.heads();
        self.acknowledged.iter().find(|(log, to)| have.to(log) < **to).map(|(log, _)| (log.clone(), have.to(log) + 1))
    }

    pub(super) fn events_acknowledged(&self) -> u64 {
        self.acknowledged.values().sum()
    }
}
