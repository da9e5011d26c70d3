//! Whether a central goes on from where it was seen last, or from an older copy of its directory.
//!
//! Each start of the program is noted in its database and told with those before it. Who was seen last has to be among them: otherwise
//! the directory was put back from a copy, its disk forgot the last start, or a copy of it ran in its place meanwhile.

use crate::domain::ids::CentralId;
use crate::wire::frame::Hello;
pub use crate::wire::frame::{Instance, Start};

/// So many earlier starts are told; who was away for more of them cannot be judged.
pub const MOST_TOLD: usize = 32;

/// The last start seen of a central, and the fingerprint of its certificate; empty where none is shown.
pub type SeenOf = (CentralId, String, SeenStart);

/// The last start that was seen of a central.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenStart {
    pub number: u64,
    pub instance: Instance,
}

impl SeenStart {
    /// `None`: its sender does not say which start it is.
    #[must_use]
    pub fn of(hello: &Hello) -> Option<Self> {
        hello.start.as_ref().map(|start| Self { number: start.number, instance: hello.instance })
    }

    /// Whether the process that is `now`, and says it is that `start`, has the database of the one seen here.
    #[must_use]
    pub fn leads_to(self, now: Instance, start: &Start) -> bool {
        if now == self.instance {
            return true;
        }
        let Some(back) = start.number.checked_sub(self.number).and_then(|steps| steps.checked_sub(1)) else {
            return false;
        };
        let told = usize::try_from(back).ok().and_then(|back| start.earlier.get(back));
        told.is_none_or(|earlier| *earlier == self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_by_the_starts_it_does_not_know() {
        // The directory was copied after start 2, which was instance 20.
        let start =
            |number, earlier: &[u64]| Start { number, earlier: earlier.iter().copied().map(Instance).collect() };
        for (seen, now, started, goes_on) in [
            ((2, 20), 20, start(2, &[10]), true),
            ((2, 20), 30, start(3, &[20, 10]), true),
            ((2, 20), 50, start(5, &[40, 30, 20, 10]), true),
            // The copy ran as 31 when the original comes back, or the other way round.
            ((3, 31), 30, start(3, &[20, 10]), false),
            ((3, 31), 20, start(2, &[10]), false),
            ((3, 31), 40, start(4, &[30, 20, 10]), false),
            ((3, 31), 41, start(4, &[31, 20, 10]), true),
            ((4, 41), 31, start(3, &[20, 10]), false),
            // A new database.
            ((4, 41), 7, start(1, &[]), false),
            // Away for longer than is told.
            ((2, 20), 99, start(90, &[89, 88]), true),
            ((u64::MAX, 20), 99, start(0, &[]), false),
            ((0, 20), 99, start(u64::MAX, &[]), true),
        ] {
            let seen = SeenStart { number: seen.0, instance: Instance(seen.1) };
            assert_eq!(seen.leads_to(Instance(now), &started), goes_on, "{seen:?}, then {now} with {started:?}");
        }
    }
}
