//! Watches the room left on the disk of the data directory: warns early, stops nothing.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};

use super::metrics::Metrics;

/// How often the disk is asked. Filling 500 MB within one period would take 100 MB/s.
const PERIOD: Duration = Duration::from_secs(5);
/// While the disk stays low, the warning is repeated every so many periods.
const REPEAT_PERIODS: u32 = 120;

/// Looks at the disk for ever. `free` asks how many bytes are left, `low` how many are little.
pub async fn watch<E: Display>(free: impl Fn() -> Result<u64, E>, low: impl Fn() -> u64, metrics: Arc<Metrics>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_periods_are_counted_and_end_with_enough_room() {
        assert_eq!(judge(99, 100, 0), 1);
        assert_eq!(judge(0, 100, 7), 8);
        assert_eq!(judge(100, 100, 8), 0);
    }
}
