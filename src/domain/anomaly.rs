//! What is out of the ordinary about a stay: kept and shown, never swallowed.

use serde::{Deserialize, Serialize};

/// A kind of anomaly; its name in the database and on the wire is the snake-case one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anomaly {
    /// An entry of a plate that was already inside; this row was superseded by the older stay.
    DoubleEntry,
    /// An exit of a stay that was already out.
    DoubleExit,
    /// A car left that nobody saw come in.
    ExitWithoutEntry,
    /// The car came in again while inside: it had left without being seen.
    LeftUnseen,
    /// A fact's author had a clock more than 60 s from its peers.
    ClockSkew,
    /// A person overrode the state of the lot.
    ManualOpening,
    /// The fee could not be known for certain: the gate did not know this entry, the exit is stamped before the entry, or a
    /// stay over 7 days was charged and no person had looked.
    FeeUncertain,
}

impl Anomaly {
    /// Every kind there is.
    pub const ALL: [Self; 7] = [
        Self::DoubleEntry,
        Self::DoubleExit,
        Self::ExitWithoutEntry,
        Self::LeftUnseen,
        Self::ClockSkew,
        Self::ManualOpening,
        Self::FeeUncertain,
    ];

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|anomaly| anomaly.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DoubleEntry => "double_entry",
            Self::DoubleExit => "double_exit",
            Self::ExitWithoutEntry => "exit_without_entry",
            Self::LeftUnseen => "left_unseen",
            Self::ClockSkew => "clock_skew",
            Self::ManualOpening => "manual_opening",
            Self::FeeUncertain => "fee_uncertain",
        }
    }
}
