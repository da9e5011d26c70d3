//! The part of the actors: carries what the machines want done to the network and the disk, and back.

use super::central::{Central, Mail, Socket};
use super::network::Packet;
use super::replica::{Moment, ReplicaJob, ReplicaOutcome};
use super::world::{Event, World};
use crate::domain::ids::Epoch;
use crate::replication::Now;
use crate::replication::coordinator::{Coordinator, CoordinatorOutput};
use crate::replication::handshake::{MOST_TOLD, SeenStart};
use crate::replication::have::Have;
use crate::replication::log::{CommittedRun, Doubt};
use crate::replication::peer::Peer;
use crate::replication::peer::output::{PeerOutput, PeerReport, ReadRun, RunRead, SocketId};
use crate::wire::frame::Frame;

/// Largest transaction of the simulated writer, in jobs.
const MAX_BATCH: usize = 64;

/// A commit and each half of a read take less than this on a slow disk, in virtual ms.
const SLOWEST_COMMIT_MS: u64 = 10_000;
const SLOWEST_READ_MS: u64 = 2_000;

impl World<'_> {
    /// Wakes the machines of a central that want to be.
    pub(super) fn wake(&mut self, central: usize) {
        let Some(state) = self.centrals.get_mut(central) else { return };
        state.wake_at_ms = None;
        let due = |peer: &Peer, now_ms: u64| peer.next_wakeup_ms().is_some_and(|at_ms| at_ms <= now_ms);
        let now_ms = self.now_ms;
        let peers: Vec<usize> =
            state.peers.iter().filter(|(_, peer)| due(peer, now_ms)).map(|(index, _)| *index).collect();
        for peer in peers {
            self.with_peer(central, peer, |peer, now, have| peer.tick(now, have));
        }
        self.with_coordinator(central, |coordinator, now, have| coordinator.tick(now, have));
        self.plan_wake(central);
    }

    pub(super) fn with_peer(&mut self, central: usize, peer: usize, act: impl FnOnce(&mut Peer, Now, &Have)) {
        let now_ms = self.now_ms;
        let Some(state) = self.centrals.get_mut(central) else { return };
        let now = state.now(now_ms);
        let Some(machine) = state.peers.get_mut(&peer) else { return };
        act(machine, now, &state.have);
        for output in machine.take_outputs() {
            self.peer_wants(central, peer, output);
        }
        self.plan_wake(central);
    }

    pub(super) fn with_coordinator(&mut self, central: usize, act: impl FnOnce(&mut Coordinator, Now, &Have)) {
        let now_ms = self.now_ms;
        let Some(state) = self.centrals.get_mut(central) else { return };
        let now = state.now(now_ms);
        act(&mut state.coordinator, now, &state.have);
        for output in state.coordinator.take_outputs() {
            self.coordinator_wants(central, output);
        }
        self.plan_wake(central);
    }

    fn plan_wake(&mut self, central: usize) {
        let Some(state) = self.centrals.get_mut(central) else { return };
        let Some(at_ms) = state.next_wakeup_ms() else { return };
        if state.wake_at_ms.is_none_or(|planned_ms| at_ms < planned_ms) {
            state.wake_at_ms = Some(at_ms);
            let life = state.life;
            self.schedule(at_ms, Event::Wake { central, life });
        }
    }

    fn peer_wants(&mut self, central: usize, peer: usize, output: PeerOutput) {
        let Some(life) = self.centrals.get(central).map(|state| state.life) else { return };
        match output {
            PeerOutput::Dial { attempt, .. } => {
                let latency_ms = 1 + self.random.below(40);
                let at_ms = self.now_ms + latency_ms;
                self.schedule(at_ms, Event::DialArrives { central, life, peer, attempt, latency_ms });
            }
            // Compressed or not: what arrives is the same text.
            PeerOutput::Send { socket, text } | PeerOutput::SendCompressed { socket, text } => {
                self.send_text(central, socket, text);
            }
            PeerOutput::Ping { socket, payload } => self.send(central, socket, Packet::Ping(payload)),
            PeerOutput::Close { socket, reason, .. } => {
                self.note(|| format!("c{central} closes {socket:?}: {reason}"));
                self.close(central, socket, &reason);
            }
            PeerOutput::ReadRun(read) => {
                let at_ms = self.now_ms + self.disk_takes(central, 3, SLOWEST_READ_MS);
                self.schedule(at_ms, Event::Read { central, life, peer, read });
            }
            PeerOutput::Report(report) => {
                self.note(|| format!("c{central} of c{peer}: {report:?}"));
                if let PeerReport::Started(seen) = report {
                    return self.has_seen(central, peer, seen);
                }
                if matches!(report, PeerReport::LinkUp { .. }) {
                    self.report.figures.links_up += 1;
                }
                self.post(central, Mail::Report(peer, report));
            }
            PeerOutput::Alarm(alarm) => self.alarm(central, &alarm),
        }
    }

    /// A central has seen a start of a peer: unless the directory of that process was of the one seen before, somebody was alarmed.
    fn has_seen(&mut self, central: usize, peer: usize, start: SeenStart) {
        let of = |state: &&Central| state.notes.starts.contains(&start.instance);
        let starts = self.centrals.iter().find(of).map(|state| state.notes.starts.clone());
        let Some(state) = self.centrals.get_mut(central) else { return };
        let before = state.notes.seen.insert(peer, start);
        let told = std::mem::take(&mut self.told_older);
        // The directory of a process that is gone may be, too.
        let Some(starts) = starts.filter(|starts| starts.len() < MOST_TOLD) else { return };
        let goes_on = before.is_none_or(|before| starts.contains(&before.instance) && before.number <= start.number);
        if goes_on == told {
            self.broken =
                Some(format!("c{central} saw {before:?} of c{peer}, then {start:?}, and was alarmed: {told}"));
        }
    }

    fn coordinator_wants(&mut self, central: usize, output: CoordinatorOutput) {
        match output {
            CoordinatorOutput::ToPeer { peer, link, command } => {
                self.note(|| format!("c{central} wants of {peer}: {command:?}"));
                let index = self.centrals.iter().position(|other| other.identity.central == peer);
                if let Some(index) = index {
                    self.post(central, Mail::Command(index, link, command));
                }
            }
            CoordinatorOutput::Store { run, .. } => {
                self.note(|| format!("c{central} stores {} after {} to {}", run.log, run.after, run.head().to));
                self.enqueue(central, ReplicaJob::Store(run));
            }
            CoordinatorOutput::StartNewEpoch { log } => {
                self.note(|| format!("c{central} leaves its log {log}"));
                if let Some(state) = self.centrals.get_mut(central) {
                    state.new_epoch = true;
                }
                self.with_coordinator(central, |coordinator, now, have| coordinator.set_own_log(now, have, None));
            }
            CoordinatorOutput::Alarm(alarm) => self.alarm(central, &alarm),
        }
    }

    /// Sends mail between two actors of one central.
    fn post(&mut self, central: usize, mail: Mail) {
        let Some(state) = self.centrals.get_mut(central) else { return };
        state.mailbox.push_back(mail);
        let life = state.life;
        let at_ms = self.now_ms + self.random.below(2);
        self.schedule(at_ms, Event::Mail { central, life });
    }

    pub(super) fn open_mail(&mut self, central: usize) {
        let Some(mail) = self.centrals.get_mut(central).and_then(|state| state.mailbox.pop_front()) else { return };
        match mail {
            Mail::Report(peer, report) => {
                let Some(id) = self.centrals.get(peer).map(|other| other.identity.central.clone()) else { return };
                self.with_coordinator(central, |coordinator, now, have| coordinator.report(now, have, &id, report));
            }
            Mail::Command(peer, link, command) => {
                self.with_peer(central, peer, |peer, now, have| peer.command(now, have, link, command));
            }
            Mail::Committed(runs, own_log) => {
                for peer in self.neighbours(central) {
                    self.with_peer(central, peer, |peer, now, have| peer.committed(now, have, &runs));
                }
                self.with_coordinator(central, |coordinator, now, have| coordinator.set_own_log(now, have, own_log));
                for run in &runs {
                    let log = &run.run().log;
                    self.with_coordinator(central, |coordinator, now, have| {
                        coordinator.committed(now, have, log, run.head());
                    });
                }
            }
            Mail::StoreRefused(log, reason) => {
                self.with_coordinator(central, |coordinator, now, have| {
                    coordinator.store_refused(now, have, &log, &reason, Doubt::Certain);
                });
            }
            Mail::StoreFailed(log) => {
                self.with_coordinator(central, |coordinator, now, have| coordinator.store_failed(now, have, &log));
            }
        }
    }

    /// An edge makes a central author events.
    pub(super) fn author(&mut self, central: usize, events: u64) {
        if self.centrals.get(central).is_none_or(|state| !state.alive) {
            return;
        }
        for _ in 0..events {
            let number = self.random.next_u64();
            let most_bytes = if self.random.below(50) == 0 { 16_000 } else { 400 };
            let padding_bytes = usize::try_from(self.random.below(most_bytes)).unwrap_or(0);
            let asked = self.asked;
            self.asked += 1;
            let payload = format!(r#"{{"n":{number},"asked":{asked},"pad":"{}"}}"#, "x".repeat(padding_bytes));
            self.enqueue(central, ReplicaJob::Author(payload.into()));
        }
    }

    pub(super) fn enqueue(&mut self, central: usize, job: ReplicaJob) {
        let Some(state) = self.centrals.get_mut(central) else { return };
        state.queue.push(job);
        self.start_commit(central);
    }

    fn start_commit(&mut self, central: usize) {
        let for_ms = 1 + self.disk_takes(central, 5, SLOWEST_COMMIT_MS);
        let now_ms = self.now_ms;
        let Some(state) = self.centrals.get_mut(central) else { return };
        if state.committing.is_some() || state.queue.is_empty() {
            return;
        }
        if std::mem::take(&mut state.new_epoch) {
            state.disk.start_new_epoch();
        }
        let batch = state.queue.drain(..state.queue.len().min(MAX_BATCH)).collect();
        state.committing = Some(batch);
        let life = state.life;
        self.schedule(now_ms + for_ms, Event::Committed { central, life });
    }

    /// The transaction under way ends: all of it is durable, or nothing.
    pub(super) fn committed(&mut self, central: usize) {
        if let Some(death) = self.centrals.get_mut(central).and_then(|state| state.dies.take()) {
            self.crash(central, death);
            return;
        }
        let now_ms = self.now_ms;
        let fresh_epoch = Epoch(self.random.next_u64());
        let unlucky = self.random.below(2) == 0;
        // A disk that fails does so at the commit, or at any write before it.
        let after_writes = u32::try_from(self.random.below(40)).ok().filter(|writes| *writes < 30);
        let Some(state) = self.centrals.get_mut(central) else { return };
        let Some(jobs) = state.committing.take() else { return };
        let moment = Moment { wall_ms: state.now(now_ms).wall_ms, fresh_epoch };
        let process = (central, state.life);
        let mut mail = Vec::new();
        if state.failing_until_ms > now_ms && unlucky {
            if let Err(what) = state.disk.fail(moment, jobs.clone(), after_writes) {
                self.broken = Some(format!("c{central}: {what}"));
            }
            for job in jobs {
                if let ReplicaJob::Store(run) = job {
                    mail.push(Mail::StoreFailed(run.log));
                }
            }
        } else {
            let mut runs = Vec::new();
            let outcomes = state.disk.commit(moment, jobs).unwrap_or_else(|what| {
                self.broken = Some(format!("c{central}: {what}"));
                Vec::new()
            });
            for outcome in outcomes {
                let checked = match outcome {
                    ReplicaOutcome::Authored(run) => {
                        let checked = self.truth.authored(process, &run);
                        if self.expelled_everywhere && self.expelled == Some(central) && run.after == 0 {
                            self.void_logs.insert(run.log.clone());
                        }
                        runs.push(run);
                        checked
                    }
                    ReplicaOutcome::Stored(run) => {
                        let checked = self.truth.stored(&run);
                        runs.push(run);
                        checked
                    }
                    ReplicaOutcome::Refused(log) => {
                        mail.push(Mail::StoreFailed(log));
                        Ok(())
                    }
                    ReplicaOutcome::NotItsAuthor(log, reason) => {
                        mail.push(Mail::StoreRefused(log, reason));
                        Ok(())
                    }
                };
                if let Err(what) = checked {
                    self.broken = Some(format!("c{central}: {what}"));
                }
            }
            for run in &runs {
                state.have.set(&run.log, run.head());
            }
            self.report.figures.commits += 1;
            let pieces = runs.into_iter().flat_map(CommittedRun::pieces).collect();
            mail.insert(0, Mail::Committed(pieces, state.disk.own_log()));
        }
        for mail in mail {
            self.post(central, mail);
        }
        self.shut_out(central);
        self.start_commit(central);
    }

    pub(super) fn read(&mut self, central: usize, peer: usize, read: ReadRun) {
        let ReadRun { sub, log, after, max_bytes } = read;
        let unlucky = self.random.below(2) == 0;
        let Some(state) = self.centrals.get(central) else { return };
        if state.failing_until_ms > self.now_ms && unlucky {
            return self.read_done(
                central,
                peer,
                RunRead { sub, log, after, found: Err("input/output error".to_owned()) },
            );
        }
        let found = Ok(state.disk.read(&log, after, max_bytes).map(CommittedRun::new));
        let (life, read) = (state.life, RunRead { sub, log, after, found });
        // Commits go on while what was read is on its way.
        let at_ms = self.now_ms + self.disk_takes(central, 3, SLOWEST_READ_MS);
        self.schedule(at_ms, Event::ReadDone { central, life, peer, read });
    }

    pub(super) fn read_done(&mut self, central: usize, peer: usize, read: RunRead) {
        self.with_peer(central, peer, |peer, now, have| peer.run_read(now, have, read));
    }

    /// What a disk takes now, drawn below one bound or, while it is slow, below another, in virtual ms.
    fn disk_takes(&mut self, central: usize, quick_ms: u64, slow_ms: u64) -> u64 {
        let now_ms = self.now_ms;
        let is_slow = self.centrals.get(central).is_some_and(|state| state.slow_until_ms > now_ms);
        self.random.below(if is_slow { slow_ms } else { quick_ms })
    }

    pub(super) fn send_text(&mut self, central: usize, socket: SocketId, text: String) {
        let frame = match Frame::parse(&text) {
            Ok(frame) => frame,
            Err(error) => {
                self.broken = Some(format!("c{central} sent what is no frame: {error}"));
                return;
            }
        };
        self.report.figures.frames += 1;
        self.report.figures.frame_bytes += text.len() as u64;
        self.note(|| format!("c{central} sends on {socket:?}: {}", text.chars().take(300).collect::<String>()));
        let Some(state) = self.centrals.get(central) else { return };
        if let Err(what) = self.truth.sent(socket, &frame, &state.disk) {
            self.broken = Some(format!("c{central} {what}"));
        }
        self.send(central, socket, Packet::Text(Ok(frame)));
    }

    /// The actor of a peer panicked: a new one takes its place, its sockets are lost.
    pub(super) fn peer_restarts(&mut self, central: usize) -> bool {
        let seed = self.random.next_u64();
        let turn = self.random.next_u64();
        let now_ms = self.now_ms;
        let Some(state) = self.centrals.get_mut(central).filter(|state| state.alive) else { return false };
        let peers: Vec<usize> = state.peers.keys().copied().collect();
        let index = usize::try_from(turn % peers.len().max(1) as u64).unwrap_or(0);
        let Some(peer) = peers.get(index).copied() else { return false };
        let fresh = state.new_peer(state.now(now_ms), peer, seed);
        let link = state.peers.insert(peer, fresh).and_then(|old| old.link());
        self.lose_sockets(central, peer, link, "restarted");
        self.with_peer(central, peer, |peer, now, have| peer.tick(now, have));
        true
    }

    /// What a peer's machine had is nobody's any more.
    pub(super) fn lose_sockets(&mut self, central: usize, peer: usize, link: Option<SocketId>, reason: &'static str) {
        let Some(state) = self.centrals.get(central) else { return };
        let of_it = state.sockets.iter().filter(|(_, Socket { peer: owner, .. })| *owner == Some(peer));
        let lost: Vec<SocketId> = of_it.map(|(socket, _)| *socket).collect();
        for socket in lost {
            self.close(central, socket, reason);
        }
        if let Some(link) = link {
            self.post(central, Mail::Report(peer, PeerReport::LinkDown { link, reason: reason.into() }));
        }
    }

    /// The coordinator panicked: a new one asks the peers what there is.
    pub(super) fn coordinator_restarts(&mut self, central: usize) -> bool {
        let Some(state) = self.centrals.get_mut(central).filter(|state| state.alive) else { return false };
        state.coordinator = Coordinator::new();
        let own_log = state.disk.own_log().filter(|_| !state.new_epoch);
        // What was sent to the old one is lost with its mailbox.
        state.mailbox.retain(|mail| !matches!(mail, Mail::Report(..) | Mail::StoreFailed(_)));
        self.with_coordinator(central, |coordinator, now, have| coordinator.set_own_log(now, have, own_log));
        for peer in self.neighbours(central) {
            self.with_peer(central, peer, |peer, now, have| peer.coordinator_restarted(now, have));
        }
        true
    }
}
