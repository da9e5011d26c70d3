//! What happens to processes and their directories: crashes at every point of a commit, loss, old copies, doubles.

use super::central::{Central, CrashPoint, Death, Notes, Socket, central_id};
use super::faults;
use super::replica::{Moment, Replica, ReplicaJob, ReplicaOutcome};
use super::world::{Event, World};
use crate::domain::ids::Epoch;
use crate::wire::frame::code;

impl World<'_> {
    /// A process ends without a word of its own, at this point of the commit under way, if there is one.
    pub(super) fn crash(&mut self, central: usize, death: Death) -> bool {
        let Death { point, power, until_ms } = death;
        let lost_commits = if self.lying_disks() && power { self.random.below(4) } else { 0 };
        self.die_at(central, point);
        let Some(state) = self.centrals.get_mut(central).filter(|state| state.alive) else { return false };
        let sockets: Vec<Socket> = state.sockets.values().copied().collect();
        state.die();
        let held_up = std::mem::take(&mut state.held_up);
        state.powered = !power;
        // The start of the process is the first commit it made.
        if lost_commits == 3 {
            state.notes.starts.pop();
        }
        if let Err(what) = state.disk.restart(usize::try_from(lost_commits).unwrap_or(0)) {
            self.broken = Some(format!("c{central}: {what}"));
        }
        for Socket { connection, end, .. } in sockets {
            // The kernel of a machine that has power closes what its process leaves open.
            self.end_connection(connection, end, (!power).then_some("reset"));
        }
        if lost_commits > 0 {
            self.may_start_older();
            *self.report.figures.faults.entry(faults::LOST_COMMITS).or_default() += 1;
            self.forget();
        }
        // What came for a machine that stood still meets one that is gone.
        for event in held_up {
            self.schedule(self.now_ms, event);
        }
        self.schedule(until_ms, Event::Restart { central });
        true
    }

    /// What becomes of the commit under way of a process that dies.
    fn die_at(&mut self, central: usize, point: CrashPoint) {
        let (now_ms, fresh_epoch) = (self.now_ms, Epoch(self.random.next_u64()));
        let Some(state) = self.centrals.get_mut(central).filter(|state| state.alive) else { return };
        let Some(jobs) = state.committing.take() else { return };
        let moment = Moment { wall_ms: state.now(now_ms).wall_ms, fresh_epoch };
        let process = (central, state.life);
        let mut checked = Ok(());
        let name = match point {
            CrashPoint::Before => faults::BEFORE_COMMIT,
            CrashPoint::Within(writes) => {
                checked = state.disk.fail(moment, jobs, Some(writes));
                faults::WITHIN_COMMIT
            }
            CrashPoint::After => {
                for outcome in state.disk.commit(moment, jobs).unwrap_or_else(|what| {
                    self.broken = Some(format!("c{central}: {what}"));
                    Vec::new()
                }) {
                    checked = checked.and(match outcome {
                        ReplicaOutcome::Authored(run) => self.truth.written(process, &run),
                        ReplicaOutcome::Stored(run) => self.truth.stored(&run),
                        ReplicaOutcome::Refused(_) | ReplicaOutcome::NotItsAuthor(..) => Ok(()),
                    });
                }
                faults::AFTER_COMMIT
            }
        };
        *self.report.figures.faults.entry(name).or_default() += 1;
        if let Err(what) = checked {
            self.broken = Some(format!("c{central}: {what}"));
        }
    }

    /// Starts a process where none runs.
    pub(super) fn restart(&mut self, central: usize) {
        let instance = self.random.next_u64();
        let neighbours = self.neighbours(central);
        let mut seeds: Vec<(usize, u64)> = neighbours.into_iter().map(|peer| (peer, self.random.next_u64())).collect();
        seeds.retain(|(peer, _)| !self.turns_away(central, *peer));
        let now_ms = self.now_ms;
        let Some(state) = self.centrals.get_mut(central).filter(|state| !state.alive) else { return };
        state.start(now_ms, instance, seeds.into_iter());
        self.wake(central);
    }

    /// Somebody copies a directory and keeps the copy.
    pub(super) fn back_up(&mut self, central: usize) {
        if let Some(state) = self.centrals.get_mut(central) {
            state.backup = Some((state.disk.copy(), state.notes.clone()));
        }
    }

    /// A machine starts again with an empty directory.
    pub(super) fn wipe(&mut self, central: usize, until_ms: u64) -> bool {
        let Some(state) = self.centrals.get(central) else { return false };
        let empty = Replica::new(&state.identity.central);
        self.exchange_disk(central, (empty, Notes::default()), until_ms).is_some()
    }

    /// A machine starts again with another copy of its directory; the one it had is put aside and may return.
    pub(super) fn restore(&mut self, central: usize, until_ms: u64) -> bool {
        let Some(state) = self.centrals.get_mut(central) else { return false };
        let Some(backup) = state.backup.take() else { return false };
        let before = self.exchange_disk(central, backup, until_ms);
        let exchanged = before.is_some();
        if let Some(state) = self.centrals.get_mut(central) {
            state.backup = before;
        }
        exchanged
    }

    fn exchange_disk(
        &mut self,
        central: usize,
        (disk, notes): (Replica, Notes),
        until_ms: u64,
    ) -> Option<(Replica, Notes)> {
        if !self.crash(central, Death { point: CrashPoint::Before, power: until_ms.is_multiple_of(2), until_ms }) {
            return None;
        }
        let state = self.centrals.get_mut(central)?;
        let before = (std::mem::replace(&mut state.disk, disk), std::mem::replace(&mut state.notes, notes));
        self.may_start_older();
        self.forget();
        Some(before)
    }

    /// From now on a central may go on from an older copy of its directory.
    fn may_start_older(&mut self) {
        self.justified.insert("older_start");
        self.truth.errors.insert("older_start");
    }

    /// A second machine starts with the id of one and a copy of its directory. There is one double at a time.
    pub(super) fn clone_central(&mut self, of: usize, until_ms: u64) -> bool {
        let place = self.members();
        if self.expelled == Some(of) {
            return false;
        }
        let Some((disk, notes)) = self.centrals.get(of).map(|original| (original.disk.copy(), original.notes.clone()))
        else {
            return false;
        };
        let Some(state) = self.centrals.get_mut(place).filter(|double| !double.alive) else { return false };
        let life = state.life + 1;
        *state = Central { life, notes, ..Central::new(place, of, disk) };
        self.doubled = of;
        self.double_known = false;
        self.may_start_older();
        self.justified.insert("duplicate_central_id");
        self.truth.errors.insert("duplicate_central_id");
        self.restart(place);
        self.schedule_author(place);
        self.schedule(until_ms, Event::StopDouble { life });
        true
    }

    /// One of the two machines with one id is stopped for good, and its directory with it: the double, or the one that was
    /// copied, whose place and address the double takes.
    pub(super) fn stop_double(&mut self) {
        let double_stays = self.random.below(2) == 0;
        let (place, original, now_ms) = (self.members(), self.doubled, self.now_ms);
        let death = Death { point: CrashPoint::Before, power: false, until_ms: now_ms + 1 };
        if !self.crash(place, death) {
            return;
        }
        if double_stays {
            let empty = Replica::new(&central_id(original));
            let directory = self
                .centrals
                .get_mut(place)
                .map(|double| (std::mem::replace(&mut double.disk, empty), std::mem::take(&mut double.notes)));
            self.crash(original, death);
            if let (Some(state), Some((disk, notes))) = (self.centrals.get_mut(original), directory) {
                state.disk = disk;
                state.notes = notes;
            }
        }
        self.forget();
    }

    /// A person throws a central out, at another one; where the rest would not hang together without it, nobody does. Its machine runs on,
    /// in bad hands.
    pub(super) fn expel(&mut self, at: usize, whom: usize) -> bool {
        let is_doubled = self.doubled == whom && self.double().is_some();
        let is_up = self.centrals.get(at).is_some_and(|state| state.alive);
        if self.expelled.is_some() || is_doubled || !is_up || !self.hangs_together_without(whom) {
            return false;
        }
        self.expelled = Some(whom);
        self.truth.expelled = Some(central_id(whom));
        // Who is turned away may have dialled before.
        self.truth.errors.insert(code::IDENTITY);
        self.forget();
        self.say_expelled(at, whom);
        true
    }

    /// Where that is forgotten, as a disk was lost, people say it again.
    pub(super) fn expel_again(&mut self) {
        let at = self.mesh().find(|central| central.alive).map(|central| central.index);
        if let (Some(whom), Some(at)) = (self.expelled, at) {
            self.say_expelled(at, whom);
        }
    }

    fn say_expelled(&mut self, at: usize, whom: usize) {
        let payload = format!(r#"{{"n":0,"asked":0,"expels":"{}"}}"#, central_id(whom));
        self.enqueue(at, ReplicaJob::Author(payload.into()));
    }

    fn hangs_together_without(&self, whom: usize) -> bool {
        let Some(first) = (0..self.members()).find(|index| *index != whom) else { return false };
        let (mut reached, mut next) = (vec![first], 0);
        while let Some(one) = reached.get(next).copied() {
            next += 1;
            for other in self.neighbours(one) {
                if other != whom && !reached.contains(&other) {
                    reached.push(other);
                }
            }
        }
        reached.len() + 1 == self.members()
    }

    /// Whether this central, by what it holds, turns another one away.
    pub(super) fn turns_away(&self, central: usize, other: usize) -> bool {
        let is_out = |state: &Central| {
            let peers = self.neighbours(central).into_iter().map(central_id);
            state.disk.turns_away(&central_id(other), peers)
        };
        self.expelled == Some(other) && central != other && self.centrals.get(central).is_some_and(is_out)
    }

    /// Ends the link with whoever is thrown out, once that is known here.
    pub(super) fn shut_out(&mut self, central: usize) {
        let is_linked = |other: &usize| self.centrals.get(central).is_some_and(|it| it.peers.contains_key(other));
        let Some(out) = self.expelled.filter(is_linked).filter(|out| self.turns_away(central, *out)) else { return };
        let peer = self.centrals.get_mut(central).and_then(|state| state.peers.remove(&out));
        self.note(|| format!("c{central} turns c{out} away"));
        self.lose_sockets(central, out, peer.and_then(|peer| peer.link()), "expelled");
    }
}
