//! What must hold at every step, and what must hold in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::replica::Replica;
use crate::domain::ids::{CentralId, LogId};
use crate::replication::log::{ChainHash, EventBytes, Head, Run};
use crate::replication::peer::output::SocketId;
use crate::wire::frame::Frame;

/// One process: the place it runs at, and which of the processes there.
pub(super) type Process = (usize, u64);

/// One log, whatever the disks say.
#[derive(Debug, Default)]
struct Log {
    /// What its author wrote.
    written: Vec<(EventBytes, ChainHash)>,
    /// Only this process may write it.
    author: Option<Process>,
    /// So many of the first events their author was told to be durable, and no disk that lied or was lost has swallowed.
    acknowledged: u64,
    /// What liars added, by place and the hash after it, with the hash before it.
    forged: BTreeMap<(u64, ChainHash), (ChainHash, EventBytes)>,
}

/// What was really written, whatever the disks say.
#[derive(Debug, Default)]
pub(super) struct Truth {
    logs: BTreeMap<LogId, Log>,
    /// Subscriptions asked for, by the asking socket.
    subs: BTreeMap<(SocketId, u64), LogId>,
    /// Subscriptions refused, by the refusing socket.
    refused: BTreeSet<(SocketId, u64)>,
    /// Codes of ERROR frames that something simulated gives reason for.
    pub(super) errors: BTreeSet<&'static str>,
    /// Whose events need not arrive any more: it was thrown out.
    pub(super) expelled: Option<CentralId>,
    /// Events that were acknowledged and were on no disk any more but one that forgot them.
    pub(super) excused: u64,
}

impl Log {
    fn written_at(&self, seq: u64) -> Option<&(EventBytes, ChainHash)> {
        self.written.get(usize::try_from(seq).ok()?.checked_sub(1)?)
    }

    /// How many of the first events a disk holds as their author wrote them.
    fn genuine(&self, log: &LogId, disk: &Replica, held: u64) -> u64 {
        let same = |seq: u64| seq == 0 || disk.hash_at(log, seq) == self.written_at(seq).map(|(_, hash)| *hash);
        let (mut good, mut bad) = (0, held.min(self.written.len() as u64) + 1);
        if same(bad - 1) {
            return bad - 1;
        }
        while bad - good > 1 {
            let middle = good.midpoint(bad);
            if same(middle) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        good
    }
}

impl Truth {
    /// An author was told that its events are durable.
    pub(super) fn authored(&mut self, author: Process, run: &Run) -> Result<(), String> {
        self.written(author, run)?;
        if let Some(log) = self.logs.get_mut(&run.log) {
            log.acknowledged = run.head().to;
        }
        Ok(())
    }

    /// Events are durable, and nobody was told.
    pub(super) fn written(&mut self, author: Process, run: &Run) -> Result<(), String> {
        let log = self.logs.entry(run.log.clone()).or_default();
        if log.written.len() as u64 != run.after {
            return Err(format!("event {} of {} was authored twice", run.after + 1, run.log));
        }
        if *log.author.get_or_insert(author) != author {
            return Err(format!("{} was continued by another process than began it", run.log));
        }
        let mut hash = run.prev;
        for event in &run.events {
            hash = hash.extend(event);
            log.written.push((event.clone(), hash));
        }
        if hash == run.hash { Ok(()) } else { Err(format!("{} was given a wrong hash", run.log)) }
    }

    /// Somebody sends what no author wrote, as a sound chain.
    pub(super) fn forged(&mut self, run: &Run) {
        let log = self.logs.entry(run.log.clone()).or_default();
        let mut hash = run.prev;
        for (seq, event) in (run.after + 1..).zip(&run.events) {
            let next = hash.extend(event);
            let prev = std::mem::replace(&mut hash, next);
            log.forged.insert((seq, hash), (prev, event.clone()));
        }
    }

    /// A central has stored, or sends, events of another.
    pub(super) fn stored(&self, run: &Run) -> Result<(), String> {
        let different = || format!("{} after {}: not what its author wrote", run.log, run.after);
        let log = self.logs.get(&run.log).ok_or_else(different)?;
        let mut hash = run.prev;
        for (seq, event) in (run.after + 1..).zip(&run.events) {
            match log.written_at(seq) {
                // Chains that are equal here were equal before.
                Some((truth, after)) if truth == event && (log.forged.is_empty() || hash.extend(event) == *after) => {
                    hash = *after;
                }
                _ => {
                    let next = hash.extend(event);
                    let prev = std::mem::replace(&mut hash, next);
                    let forged = log.forged.get(&(seq, hash));
                    if forged.is_none_or(|(before, bytes)| *before != prev || bytes != event) {
                        return Err(different());
                    }
                }
            }
        }
        if hash == run.hash { Ok(()) } else { Err(different()) }
    }

    /// A frame leaves a central: it may say and carry only what is durable there.
    pub(super) fn sent(&mut self, socket: SocketId, frame: &Frame, disk: &Replica) -> Result<(), String> {
        let durable = |log: &LogId, head: Head| disk.hash_at(log, head.to) == Some(head.hash);
        match frame {
            Frame::SyncRequest(request) => {
                self.subs.insert((socket, request.sub), request.log.clone());
            }
            Frame::SyncRefused(refused) => {
                self.refused.insert((socket, refused.sub));
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
            Frame::Error(error) if !self.errors.contains(error.code.as_str()) => {
                return Err(format!("sent an ERROR: {}", error.error));
            }
            _ => {}
        }
        Ok(())
    }

    /// The subscriptions a socket asked for, and the one at the other end did not refuse.
    pub(super) fn asked_by(&self, socket: SocketId, of: SocketId) -> impl Iterator<Item = (u64, &LogId)> {
        let subs = self.subs.range((socket, 0)..=(socket, u64::MAX)).map(|((_, sub), log)| (*sub, log));
        subs.filter(move |(sub, _)| !self.refused.contains(&(of, *sub)))
    }

    /// A disk forgot something: what no disk holds any more cannot be asked for.
    pub(super) fn forgotten<'a>(&mut self, disks: impl Iterator<Item = &'a Replica>) {
        let disks: Vec<_> = disks.map(|disk| (disk, disk.heads())).collect();
        for (name, log) in &mut self.logs {
            let best = disks.iter().map(|(disk, have)| log.genuine(name, disk, have.to(name))).max().unwrap_or(0);
            if best < log.acknowledged {
                self.excused += log.acknowledged - best;
                log.acknowledged = best;
            }
        }
    }

    /// The first event that was acknowledged and is not on this disk.
    pub(super) fn missing(&self, disk: &Replica) -> Option<(LogId, u64)> {
        let have = disk.heads();
        let is_due = |name: &LogId, log: &Log| log.acknowledged > 0 && self.expelled.as_ref() != Some(&name.central);
        self.logs.iter().filter(|(name, log)| is_due(name, log)).find_map(|(name, log)| {
            let genuine = log.genuine(name, disk, have.to(name));
            (genuine < log.acknowledged).then(|| (name.clone(), genuine + 1))
        })
    }

    /// Logs of which some of these disks hold different events at one place, with the numbers of the disks that are to be
    /// given up: those that do not continue what the author wrote as far as any of them does.
    pub(super) fn forks(&self, disks: &[&Replica]) -> BTreeMap<LogId, BTreeSet<usize>> {
        let mut forks: BTreeMap<LogId, BTreeSet<usize>> = BTreeMap::new();
        let heads: Vec<_> = disks.iter().map(|disk| disk.heads()).collect();
        for (name, log) in self.logs.iter().filter(|(_, log)| !log.forged.is_empty()) {
            let holders = disks.iter().zip(&heads).enumerate();
            let best = holders.max_by_key(|(index, (disk, have))| {
                let to = have.to(name);
                (log.genuine(name, disk, to), to, std::cmp::Reverse(*index))
            });
            let Some((_, (reference, reference_have))) = best else { continue };
            for (index, (disk, have)) in disks.iter().zip(&heads).enumerate() {
                let common = have.to(name).min(reference_have.to(name));
                if disk.hash_at(name, common) != reference.hash_at(name, common) {
                    forks.entry(name.clone()).or_default().insert(index);
                }
            }
        }
        forks
    }

    pub(super) fn events_acknowledged(&self) -> u64 {
        self.logs.values().map(|log| log.acknowledged).sum()
    }

    pub(super) fn events_written(&self) -> u64 {
        self.logs.values().map(|log| log.written.len() as u64).sum()
    }
}
