//! What counts where a program tells one thing under several names: the first that can be read. What the others tell otherwise is
//! not used, and is not lost in silence either.

use serde_json::Value;

/// What is told under one name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Saying<'v> {
    /// Of the object it stands in, before the key: `data.`; empty: at the top.
    pub place: &'static str,
    pub key: &'v str,
    pub value: &'v Value,
}

/// What counts, and what does not.
#[derive(Debug, PartialEq)]
pub struct Chosen<'v, T> {
    /// What counts, as told. Where nothing can be read: the first that says something nobody can read, else the first that says that
    /// nothing is known.
    pub told: Option<Saying<'v>>,
    /// What counts, read.
    pub read: Option<T>,
    /// What means something else.
    pub others: Vec<(Saying<'v>, T)>,
    /// What cannot be read, beside [`Self::told`].
    pub unread: Vec<Saying<'v>>,
}

impl<'v, T> Chosen<'v, T> {
    /// What counts, as told.
    pub fn value(&self) -> Option<&'v Value> {
        self.told.map(|told| told.value)
    }
}

/// Chooses among what is `told`, in the order in which it counts. `read`: `Ok(None)` where it says that nothing is known. `same`: whether
/// two say one thing, as programs tell it twice on purpose.
pub fn choose<'v, T, E>(
    told: impl IntoIterator<Item = Saying<'v>>,
    read: impl Fn(&'v Value) -> Result<Option<T>, E>,
    same: impl Fn(&T, &T) -> bool,
) -> Chosen<'v, T> {
    let mut choice = Chosen { told: None, read: None, others: Vec::new(), unread: Vec::new() };
    let mut silent = None;
    for told in told {
        match (read(told.value), &choice.read) {
            (Ok(Some(read)), None) => (choice.told, choice.read) = (Some(told), Some(read)),
            (Ok(Some(read)), Some(counts)) if !same(counts, &read) => choice.others.push((told, read)),
            (Ok(Some(_)), Some(_)) => {}
            (Ok(None), _) => silent = silent.or(Some(told)),
            (Err(_), _) => choice.unread.push(told),
        }
    }
    if choice.read.is_none() {
        let first = (!choice.unread.is_empty()).then(|| choice.unread.remove(0));
        choice.told = first.or(silent);
    }
    choice
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::money::Vnd;
    use crate::domain::told::amount;

    #[test]
    fn the_first_that_can_be_read_counts_and_what_says_otherwise_is_kept_apart() {
        for (values, counts, others, unread) in [
            (json!([]), None, vec![], 0),
            (json!(["25.000 đ", 25_000]), Some(25_000), vec![], 0),
            (json!([" ", "x", 25_000, 30_000]), Some(25_000), vec![30_000], 1),
            (json!([0, 30_000, "0 đ", "30k"]), Some(0), vec![30_000, 30_000], 0),
            (json!(["x", "y"]), None, vec![], 1),
        ] {
            let told = values.as_array().unwrap().iter().map(|value| Saying { place: "", key: "fee", value });
            let choice = choose(told, |value| amount::read(Some(value)), Vnd::eq);
            let differing: Vec<i64> = choice.others.iter().map(|(_, read)| read.0).collect();
            assert_eq!((choice.read, differing, choice.unread.len()), (counts.map(Vnd), others, unread), "{values}");
        }
        let nothing = [json!(" "), json!("x")];
        let told = nothing.iter().map(|value| Saying { place: "", key: "fee", value });
        let choice = choose(told, |value| amount::read(Some(value)), Vnd::eq);
        assert_eq!(
            (choice.value(), choice.unread),
            (Some(&json!("x")), vec![]),
            "what nobody can read is said to be that"
        );
    }
}
