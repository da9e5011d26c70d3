//! This process and who runs it: what the system lets it have, the signals that end it, and what systemd (`Type=notify`) is told.
//! Without systemd, or with a unit of another type, telling it does nothing.

use log::warn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

/// Raises the number of files and sockets it may have open to the hardest limit, so that sockets held open by somebody do not keep
/// the gates' from being accepted. The limit now; `None`: there is none.
pub fn allow_most_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // Some systems refuse; then it stays as it was.
    let _unchanged = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current
}

/// Runs `work` once on each core, at the same time; gives what came of each.
pub fn on_all_cores<R: Send>(work: impl Fn() -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..cores).map(|_| scope.spawn(&work)).collect();
        let ended = running.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Waits for SIGTERM or SIGINT (Ctrl-C) and says which came.
///
/// # Errors
/// The system refuses a signal handler.
pub async fn stop_requested() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}

/// The gates can be served: the database is open and the API listens.
pub fn say_ready() {
    tell(NotifyState::Ready);
}

/// The stop has begun, so that a late answer is not taken for a hang.
pub fn say_stopping() {
    tell(NotifyState::Stopping);
}

/// Tells the watchdog that this thread still takes turns: twice in the time the unit's `WatchdogSec` allows.
///
/// It runs on the main thread, where every link and the settings live. A slow disk does not stop it: restarting would
/// not make the disk faster.
pub async fn keep_alive() {
    let Some(allowed) = sd_notify::watchdog_enabled() else { return };
    let mut turns = tokio::time::interval(allowed / 2);
    loop {
        turns.tick().await;
        tell(NotifyState::Watchdog);
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(event = "service_manager_untold", error = error.to_string(); "systemd could not be told");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn the_limit_of_open_files_is_the_hardest_one() {
        assert_eq!(allow_most_files(), getrlimit(Resource::Nofile).maximum);
    }

    #[test]
    fn together_they_do_all_of_it_once() {
        let next = AtomicU64::new(0);
        let sums = on_all_cores(|| {
            std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < 1_000)).sum::<u64>()
        });
        assert_eq!(sums.iter().sum::<u64>(), 499_500);
    }
}
