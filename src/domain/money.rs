//! Money: whole Vietnamese đồng.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount of VND. An integer, never a float; a fee is never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Vnd(pub i64);

impl Vnd {
    /// The greatest fee: far above any real one, and some nine million of them can still be summed in an `i64`.
    pub const MAX_FEE: Vnd = Vnd(1_000_000_000_000);

    /// The greatest amount that a gate or a person can say was taken: a year of a truck costs less, and ten of them are a slip of
    /// the finger.
    pub const MAX_TOLD: Vnd = Vnd(100_000_000);

    /// Whether an amount somebody says was taken looks like one. `25.00` may be 25,000, and no fee is so small; nor is it more than
    /// a month's wage.
    #[must_use]
    pub fn is_plausible(self) -> bool {
        self.0 == 0 || (1_000..=10_000_000).contains(&self.0)
    }

    /// Whether this can be a fee: between 0 and [`Vnd::MAX_FEE`].
    #[must_use]
    pub fn is_fee(self) -> bool {
        (Vnd(0)..=Self::MAX_FEE).contains(&self)
    }
}

impl Add for Vnd {
    type Output = Vnd;
    fn add(self, other: Vnd) -> Vnd {
        Vnd(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Vnd {
    fn add_assign(&mut self, other: Vnd) {
        *self = *self + other;
    }
}

impl Sum for Vnd {
    fn sum<I: Iterator<Item = Vnd>>(amounts: I) -> Vnd {
        amounts.fold(Vnd(0), Add::add)
    }
}
