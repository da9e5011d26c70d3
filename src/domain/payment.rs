//! How a fee was paid, and what it consists of, as an EXIT carries it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::money::Vnd;

/// Longest reference of a payment, in characters: of a bank's, a provider's or a receipt.
pub const MAX_REFERENCE_CHARS: usize = 64;
/// Most lines of one fee. What is more is one line, [`Part::Rest`].
pub const MAX_LINES: usize = 32;
/// Longest reason of a line, in characters.
pub const MAX_LINE_REASON_CHARS: usize = 200;

/// By what it was paid. Names only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Cash,
    /// A QR code that was scanned: VietQR, a wallet.
    Qr,
    /// A bank card.
    Card,
    /// A transfer to the account of the site.
    Transfer,
    /// On the account of a company or a resident, to be settled later.
    Account,
    /// Nothing was to be paid, or it was let go.
    Free,
    /// Of a newer version.
    #[serde(other)]
    Other,
}

impl Method {
    /// Those that can be told.
    pub const ALL: [Self; 6] = [Self::Cash, Self::Qr, Self::Card, Self::Transfer, Self::Account, Self::Free];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::Qr => "qr",
            Self::Card => "card",
            Self::Transfer => "transfer",
            Self::Account => "account",
            Self::Free => "free",
            Self::Other => "other",
        }
    }
}

/// How a fee was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paid {
    pub method: Method,
    /// What was taken, in VND; it need not be the fee.
    #[schema(value_type = i64, minimum = 0)]
    pub amount: Vnd,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64)]
    pub reference: Option<String>,
}

/// What a line of a fee is for. Names only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Started hours.
    Hour,
    /// Midnights of the site during the stay.
    Overnight,
    /// What the maximum of a day takes off; negative.
    DailyMax,
    /// Visits by day, by night, or of both at a price of its own.
    Day,
    Night,
    DayAndNight,
    /// The first block of time.
    FirstBlock,
    /// Started pieces of time after it.
    Step,
    /// A stay without a night, where nights are counted.
    SameDay,
    /// Started months.
    Month,
    /// The card was lost.
    LostCard,
    /// A subscription that was valid for the stay, or for a part of it; its id is the reason.
    Subscription,
    /// The difference to the fee a person gave; negative where that was less. Its reason is the person's.
    ByHand,
    /// What a gate says it took of a car whose entry nobody knows.
    Told,
    /// The greatest fee there can be, where more would be due.
    Limit,
    /// What is beyond [`MAX_LINES`], or made of amounts beyond any fee, in one.
    Rest,
    /// Of a newer version.
    #[serde(other)]
    Other,
}

/// One line of a fee. The lines of a fee sum to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeeLine {
    pub part: Part,
    /// How many at `price`; absent: the amount is not counted in pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub price: Option<Vnd>,
    /// VND; negative: a reduction.
    #[schema(value_type = i64)]
    pub amount: Vnd,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

impl FeeLine {
    #[must_use]
    pub fn new(part: Part, amount: Vnd) -> Self {
        Self { part, count: None, price: None, amount, reason: None }
    }

    /// So many at a price.
    #[must_use]
    pub fn of(part: Part, count: i64, price: Vnd) -> Self {
        let amount = Vnd(count.saturating_mul(price.0));
        Self { part, count: Some(count), price: Some(price), amount, reason: None }
    }

    #[must_use]
    pub fn because(self, reason: Option<&str>) -> Self {
        let shown = |reason: &str| reason.chars().filter(|c| !c.is_control()).take(MAX_LINE_REASON_CHARS).collect();
        Self { reason: reason.map(shown), ..self }
    }
}

/// What some lines come to.
#[must_use]
pub fn total(lines: &[FeeLine]) -> Vnd {
    lines.iter().map(|line| line.amount).sum()
}

/// The lines as an event carries them: those of one kind and price in one, and no more than [`MAX_LINES`]. Their sum stays.
#[must_use]
pub fn merged(lines: Vec<FeeLine>) -> Vec<FeeLine> {
    let mut merged: Vec<FeeLine> = Vec::with_capacity(lines.len().min(MAX_LINES));
    for line in lines {
        let same = |held: &&mut FeeLine| {
            (held.part, held.price, &held.reason) == (line.part, line.price, &line.reason)
                && held.count.is_some() == line.count.is_some()
        };
        if let Some(held) = merged.iter_mut().find(same) {
            held.count = held.count.zip(line.count).map(|(a, b)| a.saturating_add(b));
            held.amount += line.amount;
        } else if merged.len() + 1 < MAX_LINES {
            merged.push(line);
        } else if let Some(rest) = merged.iter_mut().find(|held| held.part == Part::Rest && held.count.is_none()) {
            rest.amount += line.amount;
        } else {
            merged.push(FeeLine::new(Part::Rest, line.amount));
        }
    }
    let is_sound = |line: &FeeLine| line.amount.0.unsigned_abs() <= Vnd::MAX_FEE.0.unsigned_abs();
    if merged.iter().all(is_sound) { merged } else { vec![FeeLine::new(Part::Rest, total(&merged))] }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_line() -> impl Strategy<Value = FeeLine> {
        let part = prop_oneof![Just(Part::Hour), Just(Part::Overnight), Just(Part::DailyMax), Just(Part::Rest)];
        (part, proptest::option::of(0..9_i64), 0..40_i64, -99..99_i64).prop_map(|(part, count, price, amount)| {
            count.map_or(FeeLine::new(part, Vnd(amount)), |count| FeeLine::of(part, count, Vnd(price)))
        })
    }

    proptest! {
        #[test]
        fn merged_lines_are_few_and_sum_to_the_same(lines in proptest::collection::vec(any_line(), 0..200)) {
            let merged = merged(lines.clone());
            prop_assert!(merged.len() <= MAX_LINES);
            prop_assert_eq!(total(&merged), total(&lines));
            let counted = |line: &FeeLine| line.count.zip(line.price).is_none_or(|(n, price)| line.amount.0 == n * price.0);
            prop_assert!(merged.iter().all(counted));
        }
    }
}
