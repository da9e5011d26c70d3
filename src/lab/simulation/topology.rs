//! Who is configured as a peer of whom; always both ways, always connected.

use crate::replication::backoff::SplitMix64;

/// The shape of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    Full,
    /// Each with the next only: everything is relayed.
    Line,
    Ring,
    /// Drawn from the seed: a tree, and about half as many links again.
    Random,
}

/// The peers of each of `centrals`.
pub(super) fn neighbours(topology: Topology, centrals: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut joined = vec![vec![false; centrals]; centrals];
    let mut join = |a: usize, b: usize| {
        for (a, b) in [(a, b), (b, a)] {
            if let Some(entry) = joined.get_mut(a).and_then(|row| row.get_mut(b)) {
                *entry = a != b;
            }
        }
    };
    let mut random = SplitMix64::new(seed ^ 0x746f_706f_6c6f_6779);
    let mut below = |bound: usize| usize::try_from(random.below(bound as u64)).unwrap_or(0);
    for one in 1..centrals {
        match topology {
            Topology::Full => (0..one).for_each(|other| join(one, other)),
            Topology::Line | Topology::Ring => join(one, one - 1),
            Topology::Random => {
                join(one, below(one));
                if one % 2 == 0 {
                    join(below(centrals), below(centrals));
                }
            }
        }
    }
    if topology == Topology::Ring && centrals > 2 {
        join(0, centrals - 1);
    }
    let of = |row: &Vec<bool>| row.iter().enumerate().filter(|(_, joined)| **joined).map(|(other, _)| other).collect();
    joined.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_connected_and_the_same_from_both_sides() {
        for topology in [Topology::Full, Topology::Line, Topology::Ring, Topology::Random] {
            for (centrals, seed) in [(2, 1), (3, 2), (10, 3), (50, 4)] {
                let peers = neighbours(topology, centrals, seed);
                let mut reached = vec![0];
                let mut next = 0;
                while let Some(one) = reached.get(next).copied() {
                    next += 1;
                    for other in &peers[one] {
                        assert!(*other != one && peers[*other].contains(&one));
                        if !reached.contains(other) {
                            reached.push(*other);
                        }
                    }
                }
                assert_eq!(reached.len(), centrals, "{topology:?}");
            }
        }
        assert_ne!(neighbours(Topology::Random, 10, 1), neighbours(Topology::Random, 10, 2));
    }
}
