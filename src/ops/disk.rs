//! Watches the room left on the disk of the data directory: warns early, stops nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};

use super::metrics::Metrics;

/// Less than this is little: months of events of a large site still fit, so there is time to act.
pub const LOW_BYTES: u64 = 512 * 1024 * 1024;
/// How often the disk is asked. Filling [`LOW_BYTES`] within one period would take 8 MB/s.
const PERIOD: Duration = Duration::from_secs(60);
/// While the disk stays low, the warning is repeated every so many periods.
const REPEAT_PERIODS: u32 = 10;

/// Bytes that an ordinary process may still write beside `path`.
///
/// # Errors
/// The path cannot be asked.
pub fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Looks at the disk for ever.
pub async fn watch(data_dir: PathBuf, metrics: Arc<Metrics>) {
    let mut low_periods = 0_u32;
    loop {
        match free_bytes(&data_dir) {
            Ok(free) => {
                metrics.disk_free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
                low_periods = judge(free, low_periods);
            }
            Err(error) => {
                warn!(event = "disk_unknown", error = error.to_string(); "cannot ask how much disk is left");
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Logs what is worth a line; returns for how many periods the disk has been low.
fn judge(free: u64, low_periods: u32) -> u32 {
    if free >= LOW_BYTES {
        if low_periods > 0 {
            info!(event = "disk_ok", free_bytes = free; "there is enough disk again");
        }
        return 0;
    }
    if low_periods.is_multiple_of(REPEAT_PERIODS) {
        warn!(event = "disk_low", free_bytes = free, low_bytes = LOW_BYTES; "little disk left: free some, gates go on meanwhile");
    }
    low_periods + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_below_this_directory_has_a_size() {
        assert!(free_bytes(Path::new(".")).unwrap() > 0);
        assert!(free_bytes(Path::new("/no/such/directory")).is_err());
    }

    #[test]
    fn low_periods_are_counted_and_end_with_enough_room() {
        assert_eq!(judge(LOW_BYTES - 1, 0), 1);
        assert_eq!(judge(0, 7), 8);
        assert_eq!(judge(LOW_BYTES, 8), 0);
    }
}
