//! How a fee was paid, and what it consists of, as an EXIT carries it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::money::Vnd;

/// Longest reference of a payment, in characters: of a bank's, a provider's or a receipt.
pub const MAX_REFERENCE_CHARS: usize = 64;
/// Most ways in which one fee is paid.
pub const MAX_WAYS: usize = 8;
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
    /// What was taken in this way, in VND; with what was paid otherwise it need not be the fee.
    #[schema(value_type = i64, minimum = 0)]
    pub amount: Vnd,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64)]
    pub reference: Option<String>,
    /// What was paid of the same fee in other ways; absent: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 7)]
    pub also: Vec<PaidToo>,
}

/// A part of a fee that was paid in another way than the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaidToo {
    pub method: Method,
    /// VND.
    #[schema(value_type = i64, minimum = 0)]
    pub amount: Vnd,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64)]
    pub reference: Option<String>,
}

impl Paid {
    /// What was taken in all.
    pub fn total(&self) -> Vnd {
        self.amount + total_of(&self.also)
    }

    /// The same ways, as they share what was `taken`: see [`shared_out`].
    pub fn of(mut self, taken: Vnd) -> Self {
        let mut left = taken;
        self.also.retain_mut(|too| {
            too.amount = too.amount.min(left);
            left = Vnd(left.0.saturating_sub(too.amount.0));
            too.amount > Vnd(0)
        });
        self.amount = left;
        self
    }

    /// The ways, the first one first.
    pub fn ways(&self) -> impl Iterator<Item = (Method, Vnd, Option<&str>)> {
        let first = (self.method, self.amount, self.reference.as_deref());
        std::iter::once(first).chain(self.also.iter().map(|too| (too.method, too.amount, too.reference.as_deref())))
    }
}

/// What was paid in other ways than the first.
pub fn total_of(also: &[PaidToo]) -> Vnd {
    also.iter().map(|too| too.amount).sum()
}

/// What was paid beyond what was taken for the fee.
pub fn beyond(paid: &Paid, taken: Vnd) -> Vnd {
    Vnd(paid.total().0.saturating_sub(taken.0).max(0))
}

/// What of an amount that was `taken` in all counts for the other ways than the first: what each says, as far as there is so much. The rest is
/// of the first way, so that the ways sum to what was taken whatever was told, and whatever is corrected later.
pub fn shared_out(taken: Vnd, also: &[PaidToo]) -> Vec<(Method, Vnd)> {
    let mut left = taken;
    let mut share = |too: &PaidToo| {
        let part = too.amount.min(left);
        left = Vnd(left.0.saturating_sub(part.0));
        (too.method, part)
    };
    also.iter().map(&mut share).filter(|(_, part)| *part > Vnd(0)).collect()
}

/// What is counted of what was `taken` at one exit, VND: way of payment, exits, VND. It is one exit, of the first way.
pub fn counted<'m>(
    method: &'m str,
    taken: i64,
    also: &'m [(Method, Vnd)],
) -> impl Iterator<Item = (&'m str, i64, i64)> {
    let others: i64 = also.iter().map(|(_, part)| part.0).sum();
    std::iter::once((method, 1, taken - others)).chain(also.iter().map(|(method, part)| (method.name(), 0, part.0)))
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
    /// What of it was not taken, as whoever let the car out says; negative. Its reason is his.
    Unpaid,
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
    pub fn new(part: Part, amount: Vnd) -> Self {
        Self { part, count: None, price: None, amount, reason: None }
    }

    /// So many at a price.
    pub fn of(part: Part, count: i64, price: Vnd) -> Self {
        let amount = Vnd(count.saturating_mul(price.0));
        Self { part, count: Some(count), price: Some(price), amount, reason: None }
    }

    pub fn because(self, reason: Option<&str>) -> Self {
        let shown = |reason: &str| reason.chars().filter(|c| !c.is_control()).take(MAX_LINE_REASON_CHARS).collect();
        Self { reason: reason.map(shown), ..self }
    }
}

/// What of a fee was not taken, as its lines say.
pub fn unpaid(lines: &[FeeLine]) -> Vnd {
    let missing = lines.iter().filter(|line| line.part == Part::Unpaid);
    Vnd(missing.map(|line| line.amount.0.saturating_neg()).sum())
}

/// What some lines come to.
pub fn total(lines: &[FeeLine]) -> Vnd {
    lines.iter().map(|line| line.amount).sum()
}

/// The lines as an event carries them: those of one kind and price in one, and no more than [`MAX_LINES`]. Their sum stays.
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

    #[test]
    fn the_ways_sum_to_what_was_taken_and_none_is_less_than_nothing() {
        let too = |method, amount| PaidToo { method, amount: Vnd(amount), reference: None };
        for (taken, also, expected) in [
            (20_000, vec![], vec![("cash", 1, 20_000)]),
            (20_000, vec![too(Method::Transfer, 10_000)], vec![("cash", 1, 10_000), ("transfer", 0, 10_000)]),
            // Less was paid than was due: the first way answers for it.
            (25_000, vec![too(Method::Transfer, 10_000)], vec![("cash", 1, 15_000), ("transfer", 0, 10_000)]),
            // A correction made it less.
            (8_000, vec![too(Method::Transfer, 10_000)], vec![("cash", 1, 0), ("transfer", 0, 8_000)]),
            (
                12_000,
                vec![too(Method::Transfer, 10_000), too(Method::Qr, 5_000), too(Method::Card, 1)],
                vec![("cash", 1, 0), ("transfer", 0, 10_000), ("qr", 0, 2_000)],
            ),
            (0, vec![too(Method::Qr, 5_000)], vec![("cash", 1, 0)]),
        ] {
            let also = shared_out(Vnd(taken), &also);
            assert_eq!(counted("cash", taken, &also).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_payment_of_before_is_one_way_and_is_written_as_before() {
        let before = r#"{"method":"cash","amount":20000,"reference":"R"}"#;
        let paid: Paid = serde_json::from_str(before).unwrap();
        assert!(paid.also.is_empty() && paid.total() == Vnd(20_000));
        assert_eq!(serde_json::to_string(&paid).unwrap(), before);
    }

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
