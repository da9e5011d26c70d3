//! What a [`super::Coordinator`] wants done.

use crate::domain::ids::{CentralId, LogId};
use crate::replication::log::Run;
use crate::replication::peer::output::{Alarm, PeerCommand, SocketId};

/// Something the shell is to do for the coordinator.
#[derive(Debug, Clone, PartialEq)]
pub enum CoordinatorOutput {
    /// Hand to the peer, which ignores it unless `link` is still the link in use.
    ToPeer { peer: CentralId, link: SocketId, command: PeerCommand },
    /// Commit this run; answer with `committed` or `store_failed`. Runs of one log come in order.
    Store { run: Run, from: CentralId },
    /// Our current log is not ours alone any more: author into a new epoch from the next event on, then `set_own_log`.
    StartNewEpoch { log: LogId },
    /// Log it, show it.
    Alarm(Alarm),
}
