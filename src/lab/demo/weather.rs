//! What happens to the links of a demo: quiet, then something is cut or goes silent, then it is healed. Pure.

use std::time::Duration;

use fastrand::Rng;

use super::traffic::chance;
use crate::lab::proxy::LinkState;

/// The first spell comes soon, so that short demos see one.
const FIRST_QUIET: Duration = Duration::from_secs(3);

/// One disturbance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spell {
    /// How long all is well before it.
    pub quiet: Duration,
    /// The links it hits, as pairs of positions.
    pub links: Vec<(usize, usize)>,
    /// Cut or held.
    pub state: LinkState,
    /// How long it lasts.
    pub lasts: Duration,
}

/// The source of disturbances for a mesh; `None` for a single central, which has no links.
#[derive(Debug, Clone)]
pub struct Weather {
    dice: Rng,
    centrals: usize,
    first: bool,
}

impl Weather {
    #[must_use]
    pub fn new(seed: u64, centrals: usize) -> Self {
        // Not the stream of numbers the traffic uses.
        Self { dice: Rng::with_seed(seed ^ 0x5ea5_0fc1_0ad5), centrals, first: true }
    }

    /// What comes next.
    pub fn next_spell(&mut self) -> Option<Spell> {
        if self.centrals < 2 {
            return None;
        }
        let one = self.dice.usize(..self.centrals);
        let links = if chance(&mut self.dice, 40) {
            (0..self.centrals).filter(|other| *other != one).map(|other| (one, other)).collect()
        } else {
            let other = (one + 1 + self.dice.usize(..self.centrals - 1)) % self.centrals;
            vec![(one, other)]
        };
        let quiet = if std::mem::take(&mut self.first) { FIRST_QUIET } else { self.seconds(4, 10) };
        let state = if chance(&mut self.dice, 70) { LinkState::Cut } else { LinkState::Held };
        Some(Spell { quiet, links, state, lasts: self.seconds(2, 6) })
    }

    fn seconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.dice.u64(from * 1_000..=to * 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_hit_links_that_exist_and_both_kinds_come() {
        for centrals in 2..=10 {
            let mut weather = Weather::new(5, centrals);
            let spells: Vec<Spell> = std::iter::repeat_with(|| weather.next_spell().unwrap()).take(200).collect();
            for (one, other) in spells.iter().flat_map(|spell| &spell.links) {
                assert!(one != other && *one < centrals && *other < centrals);
            }
            assert_eq!(spells[0].quiet, FIRST_QUIET);
            assert!(spells.iter().any(|spell| spell.state == LinkState::Held));
            assert!(spells.iter().any(|spell| spell.links.len() == centrals - 1));
        }
        assert_eq!(Weather::new(5, 1).next_spell(), None);
    }
}
