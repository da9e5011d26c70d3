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

    /// The greatest amount that anybody can say a fee is, wherever it is: what was taken, a price, a correction. A year of a truck costs
    /// less, and ten of them are a slip of the finger. What was paid may be more: a bank tells what came in.
    pub const MAX_TOLD: Vnd = Vnd(100_000_000);

    /// The most cash that can be counted in a drawer: a hundred of those.
    pub const MAX_CASH: Vnd = Vnd(100 * Self::MAX_TOLD.0);

    /// What is said, everywhere alike, of an amount that is not between these: in Vietnamese and in English.
    pub fn out_of_range(least: Vnd, most: Vnd) -> (String, String) {
        (
            format!("số tiền phải từ {} đến {} đ", least.vi(), most.vi()),
            format!("an amount from {} to {} VND is expected", least.en(), most.en()),
        )
    }

    /// As it is written in Vietnamese, without its unit: `80.000`.
    pub fn vi(self) -> String {
        grouped(self, '.')
    }

    /// As it is written in English, likewise: `80,000`.
    pub fn en(self) -> String {
        grouped(self, ',')
    }

    /// Whether an amount somebody says was taken looks like one. `25.00` may be 25,000, and no fee is so small; nor is it more than
    /// a month's wage.
    pub fn is_plausible(self) -> bool {
        self.0 == 0 || (1_000..=10_000_000).contains(&self.0)
    }

    /// Whether this can be a fee: between 0 and [`Vnd::MAX_FEE`].
    pub fn is_fee(self) -> bool {
        (Vnd(0)..=Self::MAX_FEE).contains(&self)
    }
}

/// In groups of three digits.
fn grouped(amount: Vnd, separator: char) -> String {
    let digits = amount.0.unsigned_abs().to_string();
    let mut text = String::from(if amount.0 < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_out_of_range_is_refused_in_the_same_words_everywhere() {
        let (vi, en) = Vnd::out_of_range(Vnd(0), Vnd::MAX_TOLD);
        assert_eq!(
            (vi.as_str(), en.as_str()),
            ("số tiền phải từ 0 đến 100.000.000 đ", "an amount from 0 to 100,000,000 VND is expected")
        );
        for (amount, text) in
            [(0, "0"), (999, "999"), (1_000, "1.000"), (10_000_000_000, "10.000.000.000"), (-25_000, "-25.000")]
        {
            assert_eq!(grouped(Vnd(amount), '.'), text);
        }
    }
}
