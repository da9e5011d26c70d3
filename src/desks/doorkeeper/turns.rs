//! Some at a time, the others wait their turn; too many do not. Strangers have one turn, and places to wait, fewer than there are: the
//! rest is for who is known. For threads that may block.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Counts {
    running: [usize; 2],
    waiting: [usize; 2],
}

/// Who asks: somebody who is known, or anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    Known,
    Stranger,
}

/// How many run and how many wait.
#[derive(Debug)]
pub(super) struct Turns {
    /// Of all, and of strangers among them.
    most_running: [usize; 2],
    most_waiting: [usize; 2],
    counts: Mutex<Counts>,
    free: Condvar,
}

/// It is somebody's turn until this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'t>(&'t Turns, Asks);

impl Counts {
    fn of_all(of: [usize; 2]) -> usize {
        let [known, strangers] = of;
        known + strangers
    }

    /// Whether one more does not fit.
    fn are_full(of: [usize; 2], most: [usize; 2], asks: Asks) -> bool {
        let ([_, strangers], [most, most_strangers]) = (of, most);
        Self::of_all(of) >= most || asks == Asks::Stranger && strangers >= most_strangers
    }
}

/// One more or one less of those who ask so.
fn count(of: &mut [usize; 2], asks: Asks) -> &mut usize {
    let [known, strangers] = of;
    if asks == Asks::Known { known } else { strangers }
}

impl Turns {
    /// Most of all, and of strangers among them.
    pub(super) fn new(most_running: [usize; 2], most_waiting: [usize; 2]) -> Self {
        Self { most_running, most_waiting, counts: Mutex::default(), free: Condvar::new() }
    }

    /// Waits for a turn; `None` at once: too many wait already.
    pub(super) fn take(&self, asks: Asks) -> Option<Turn<'_>> {
        let mut counts = self.counts();
        if Counts::are_full(counts.running, self.most_running, asks) {
            if Counts::are_full(counts.waiting, self.most_waiting, asks) {
                return None;
            }
            *count(&mut counts.waiting, asks) += 1;
            while Counts::are_full(counts.running, self.most_running, asks) {
                counts = self.free.wait(counts).unwrap_or_else(PoisonError::into_inner);
            }
            *count(&mut counts.waiting, asks) -= 1;
        }
        *count(&mut counts.running, asks) += 1;
        Some(Turn(self, asks))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *count(&mut self.0.counts().running, self.1) -= 1;
        // Who wakes may be a stranger who may not run yet.
        self.0.free.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_run_some_wait_and_the_rest_is_sent_away() {
        let turns = Turns::new([2, 1], [2, 1]);
        let known = || turns.take(Asks::Known);
        let (first, _second) = (known().unwrap(), known().unwrap());
        std::thread::scope(|scope| {
            let waiting = [(); 2].map(|()| scope.spawn(|| known().is_some()));
            while Counts::of_all(turns.counts().waiting) < 2 {
                std::thread::yield_now();
            }
            assert!(known().is_none(), "two wait already");
            drop(first);
            assert!(waiting.into_iter().all(|one| one.join().unwrap()));
        });
        assert_eq!(Counts::of_all(turns.counts().running), 1);
    }

    #[test]
    fn strangers_take_no_turn_and_no_place_of_who_is_known() {
        let turns = Turns::new([2, 1], [2, 1]);
        let stranger = turns.take(Asks::Stranger).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| turns.take(Asks::Stranger).is_some());
            while Counts::of_all(turns.counts().waiting) == 0 {
                std::thread::yield_now();
            }
            assert!(turns.take(Asks::Stranger).is_none(), "one waits already");
            // One after the other.
            for _ in 0..10 {
                assert!(turns.take(Asks::Known).is_some());
            }
            drop(stranger);
            assert!(second.join().unwrap());
        });
    }
}
