//! What is noted beside the events: who was heard, and what predecessors were told. Nothing depends on it being current.

use actix::Handler;
use log::warn;

use super::{DbWriter, HeardFrom, ToldPredecessor};

impl Handler<HeardFrom> for DbWriter {
    type Result = ();

    fn handle(&mut self, heard: HeardFrom, _: &mut Self::Context) {
        let now_ms = self.clock.now_ms();
        for peer in &heard.0 {
            // For people to look at only: the next time will do as well.
            if let Err(reason) = self.core.record_sync(peer, now_ms) {
                warn!(event = "sync_state_not_saved", peer = peer.as_str(), reason = reason.as_str(); "cannot note what came from a peer");
            }
        }
    }
}

impl Handler<ToldPredecessor> for DbWriter {
    type Result = ();

    fn handle(&mut self, told: ToldPredecessor, _: &mut Self::Context) {
        // What is not noted is told again, which changes nothing there.
        if let Err(reason) = self.core.record_told(&told.peer, &told.cursors) {
            let peer = told.peer.as_str();
            warn!(event = "sync_state_not_saved", peer = peer, reason = reason.as_str(); "cannot note what a predecessor was told");
        }
    }
}
