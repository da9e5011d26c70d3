//! From whom a log is taken: the author first, then who holds most, then the smallest id.

use std::cmp::Reverse;

use crate::domain::ids::{CentralId, LogId};

/// A linked peer that announced more of a log than is held here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    pub peer: &'a CentralId,
    /// How many events it announced.
    pub to: u64,
    /// It has disappointed us lately; taken only if nobody else is left.
    pub avoided: bool,
}

/// The best source of a log.
#[must_use]
pub fn choose<'a>(log: &LogId, candidates: impl Iterator<Item = Candidate<'a>>) -> Option<Candidate<'a>> {
    candidates.min_by_key(|candidate| {
        (candidate.avoided, *candidate.peer != log.central, Reverse(candidate.to), candidate.peer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offers: &[(&str, u64, bool)]) -> Option<String> {
        let log: LogId = "c2/00000000000000aa".parse().unwrap();
        let ids: Vec<CentralId> = offers.iter().map(|(id, ..)| id.parse().unwrap()).collect();
        let candidates =
            ids.iter().zip(offers).map(|(peer, (_, to, avoided))| Candidate { peer, to: *to, avoided: *avoided });
        choose(&log, candidates).map(|candidate| candidate.peer.to_string())
    }

    #[test]
    fn the_author_comes_first_then_the_largest_then_the_smallest_id() {
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[("c1", 90, false), ("c2", 10, false), ("c3", 99, false)]).as_deref(), Some("c2"));
        assert_eq!(chosen(&[("c1", 90, false), ("c3", 99, false)]).as_deref(), Some("c3"));
        assert_eq!(chosen(&[("c4", 99, false), ("c3", 99, false)]).as_deref(), Some("c3"));
    }

    #[test]
    fn a_source_that_disappointed_is_taken_only_if_nobody_else_is_left() {
        assert_eq!(chosen(&[("c2", 99, true), ("c3", 10, false)]).as_deref(), Some("c3"));
        assert_eq!(chosen(&[("c2", 99, true), ("c3", 100, true)]).as_deref(), Some("c2"));
    }
}
