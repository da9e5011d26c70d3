//! This process and who runs it: what the system lets it have, the room on its disk, the signals that end it, what systemd
//! (`Type=notify`) is told, and the notice on the machine's own console. Without systemd, or with a unit of another type, telling it
//! does nothing.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::metrics::Metrics;

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
    say_status("gates are served");
}

/// What it is at, as `systemctl status` shows it.
pub fn say_status(status: &str) {
    tell(NotifyState::Status(status));
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

/// How often the disk is asked. Filling 500 MB within one period would take 100 MB/s.
const PERIOD: Duration = Duration::from_secs(5);
/// While the disk stays low, the warning is repeated every so many periods.
const REPEAT_PERIODS: u32 = 120;

/// Looks at the disk for ever. `free` asks how many bytes are left, `low` how many are little.
pub async fn watch_disk<E: Display>(free: impl Fn() -> Result<u64, E>, low: impl Fn() -> u64, metrics: Arc<Metrics>) {
    let mut low_periods = 0_u32;
    loop {
        match free() {
            Ok(free) => {
                metrics.disk_free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
                low_periods = judge(free, low(), low_periods);
            }
            Err(error) => {
                warn!(event = "disk_unknown", error = error.to_string(); "cannot ask how much disk is left");
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Logs what is worth a line; returns for how many periods the disk has been low.
fn judge(free: u64, low: u64, low_periods: u32) -> u32 {
    if free >= low {
        if low_periods > 0 {
            info!(event = "disk_ok", free_bytes = free; "there is enough disk again");
        }
        return 0;
    }
    if low_periods.is_multiple_of(REPEAT_PERIODS) {
        warn!(event = "disk_low", free_bytes = free, low_bytes = low; "little disk left: free some, gates go on meanwhile");
    }
    low_periods + 1
}

const NOTICE: &str = "console.issue";

/// Shows a text above the login prompt until [`take_off_console`]. Does nothing where no service manager made a runtime directory.
pub fn show_on_console(text: &str) {
    tell_of_failure(place().map_or(Ok(()), |file| std::fs::write(file, text)));
}

/// Takes the notice down, if there is one.
pub fn take_off_console() {
    let removed = place().map_or(Ok(()), std::fs::remove_file);
    tell_of_failure(removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }));
}

/// `RUNTIME_DIRECTORY` is set by systemd for a unit with `RuntimeDirectory=`, which alone may read it.
fn place() -> Option<PathBuf> {
    let directory = std::env::var_os("RUNTIME_DIRECTORY").filter(|directory| !directory.is_empty())?;
    Some(PathBuf::from(directory).join(NOTICE))
}

fn tell_of_failure(done: io::Result<()>) {
    if let Err(error) = done {
        warn!(event = "console_notice_failed", error = error.to_string(); "the notice on the console could not be changed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

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

    #[test]
    fn low_periods_are_counted_and_end_with_enough_room() {
        assert_eq!(judge(99, 100, 0), 1);
        assert_eq!(judge(0, 100, 7), 8);
        assert_eq!(judge(100, 100, 8), 0);
    }
}
