//! Tests of the rules of stays: `rules_*` are tables, one sentence each; `properties` holds for every set of facts.

pub(in crate::domain) mod build;
pub(in crate::domain) mod generate;
mod properties;
mod rules_fold;
mod rules_identity;
mod rules_outcome;
mod rules_people;
mod scenarios;

use super::{Fact, Resolution, resolve};
use crate::domain::row::{StayRow, StayStatus};

/// The meaning of the facts, after checking that their order and duplication do not matter.
fn everywhere(facts: &[Fact]) -> Resolution {
    let outcome = resolve(facts);
    let mut turned = facts.to_vec();
    for _ in facts {
        turned.rotate_left(1);
        assert_eq!(resolve(&turned), outcome, "the order of arrival shows");
        let twice: Vec<Fact> = turned.iter().rev().chain(&turned).cloned().collect();
        assert_eq!(resolve(&twice), outcome, "a duplicate shows");
    }
    outcome
}

impl Resolution {
    #[track_caller]
    fn row(&self, stay_id: &str) -> &StayRow {
        self.rows.iter().find(|row| row.stay_id == stay_id).unwrap_or_else(|| panic!("no row {stay_id} in {self:#?}"))
    }

    /// Stay id and status of all rows.
    fn statuses(&self) -> Vec<(&str, StayStatus)> {
        self.rows.iter().map(|row| (row.stay_id.as_str(), row.status)).collect()
    }

    fn revenue(&self) -> i64 {
        self.takings.iter().map(|taking| taking.fee.0).sum()
    }
}
