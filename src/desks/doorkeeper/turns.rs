//! Some at a time, the others wait their turn; too many do not. For threads that may block.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Counts {
    running: usize,
    waiting: usize,
}

/// How many run and how many wait.
#[derive(Debug)]
pub(super) struct Turns {
    most_running: usize,
    most_waiting: usize,
    counts: Mutex<Counts>,
    free: Condvar,
}

/// It is somebody's turn until this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'t>(&'t Turns);

impl Turns {
    pub(super) fn new(most_running: usize, most_waiting: usize) -> Self {
        Self { most_running, most_waiting, counts: Mutex::default(), free: Condvar::new() }
    }

    /// Waits for a turn; `None` at once: too many wait already.
    pub(super) fn take(&self) -> Option<Turn<'_>> {
        let mut counts = self.counts();
        if counts.running >= self.most_running {
            if counts.waiting >= self.most_waiting {
                return None;
            }
            counts.waiting += 1;
            while counts.running >= self.most_running {
                counts = self.free.wait(counts).unwrap_or_else(PoisonError::into_inner);
            }
            counts.waiting -= 1;
        }
        counts.running += 1;
        Some(Turn(self))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.counts().running -= 1;
        self.0.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_run_some_wait_and_the_rest_is_sent_away() {
        let turns = Turns::new(2, 1);
        let (first, _second) = (turns.take().unwrap(), turns.take().unwrap());
        std::thread::scope(|scope| {
            let third = scope.spawn(|| turns.take().is_some());
            while turns.counts().waiting == 0 {
                std::thread::yield_now();
            }
            assert!(turns.take().is_none(), "one waits already");
            drop(first);
            assert!(third.join().unwrap());
        });
        assert_eq!(turns.counts().running, 1);
    }
}
