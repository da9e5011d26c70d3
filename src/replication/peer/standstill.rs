//! A link that stands and carries nothing.
//!
//! What was sent and is not acknowledged is one sign of it. A peer that asks for nothing, ends what it asked for, or asks for the same over
//! and over shows none: but it lacks what we wrote, which every peer takes from us or elsewhere, and either way says that it holds.

use super::output::{Alarm, Out, Unacked};
use super::serving::Serving;
use crate::domain::ids::CentralId;
use crate::replication::Now;
use crate::replication::have::Have;

/// How often what the peer lacks is looked for, in ms; where nothing else happens on the link, at its pings.
const LOOK_EVERY_MS: u64 = 1_000;

#[derive(Debug)]
pub(super) struct Standstill {
    own: CentralId,
    look_at_ms: u64,
    /// Since when the peer lacks something of our logs while nothing moves, and how much had moved by then.
    lacks: Option<(Unacked, u64)>,
    told: bool,
}

impl Standstill {
    pub(super) fn new(own: CentralId) -> Self {
        Self { own, look_at_ms: 0, lacks: None, told: false }
    }

    /// Whatever the cause, a link that stands and carries nothing for a minute is an alarm, once each time it stops. `theirs`: what the
    /// peer said it holds.
    pub(super) fn tick(&mut self, now: Now, held: &Have, theirs: &Have, serving: &Serving, out: &mut Out) {
        if now.mono_ms < self.look_at_ms {
            return;
        }
        self.look_at_ms = now.mono_ms + LOOK_EVERY_MS;
        let (mut moved, mut first) = (serving.acknowledged, None);
        for (log, head) in held.of(&self.own) {
            let to = theirs.to(log).min(head.to);
            moved += to;
            if to < head.to {
                first.get_or_insert((log, head.to));
            }
        }
        let since = self.lacks.take().filter(|(_, before)| *before == moved).map(|(lacked, _)| lacked.since_mono_ms);
        self.lacks = first
            .map(|(log, to)| (Unacked { log: log.clone(), to, since_mono_ms: since.unwrap_or(now.mono_ms) }, moved));
        let stuck = self.oldest(serving).filter(|oldest| oldest.is_overdue(now.mono_ms));
        let told = std::mem::replace(&mut self.told, stuck.is_some());
        if let (Some(Unacked { log, to, .. }), false) = (stuck, told) {
            out.alarm(Alarm::NotMoving { log, to, peer: serving.peer().clone() });
        }
    }

    /// What has waited longest for the peer to say that it holds it.
    pub(super) fn oldest(&self, serving: &Serving) -> Option<Unacked> {
        let lacks = self.lacks.as_ref().map(|(lacked, _)| lacked.clone());
        serving.oldest_unacked().into_iter().chain(lacks).min_by_key(|waits| waits.since_mono_ms)
    }
}
