//! What systemd is told of this process (`Type=notify`): that it serves, that it still lives, that it stops.
//!
//! Without systemd, or with a unit of another type, all of this does nothing.

use log::warn;
use sd_notify::NotifyState;

/// The gates can be served: the database is open and the API listens.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// The stop has begun, so that a late answer is not taken for a hang.
pub fn stopping() {
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
