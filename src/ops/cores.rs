//! Work that is spread over all cores of the machine.

/// Runs `work` once on each core, at the same time; gives what came of each.
pub fn on_all_cores<R: Send>(work: impl Fn() -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..cores).map(|_| scope.spawn(&work)).collect();
        let ended = running.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn together_they_do_all_of_it_once() {
        let next = AtomicU64::new(0);
        let sums = on_all_cores(|| {
            std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < 1_000)).sum::<u64>()
        });
        assert_eq!(sums.iter().sum::<u64>(), 499_500);
    }
}
