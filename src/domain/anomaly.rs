//! What is out of the ordinary about a stay: kept and shown, never swallowed.

use serde::{Deserialize, Serialize};

use super::named::named;

named! {
    /// A kind of anomaly; its name in the database and on the wire is the snake-case one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Anomaly {
        /// An entry of a plate that was already inside: this row was superseded by the older stay, or is the older one and the other
        /// came so much later that an exit may have been missed.
        DoubleEntry = "double_entry",
        /// An exit of a stay that was already out.
        DoubleExit = "double_exit",
        /// A car left that nobody saw come in.
        ExitWithoutEntry = "exit_without_entry",
        /// The car came in again while inside: it had left without being seen.
        LeftUnseen = "left_unseen",
        /// A fact's author had a clock more than 60 s from its peers, or one it knew to be wrong.
        ClockSkew = "clock_skew",
        /// A person overrode the state of the lot.
        ManualOpening = "manual_opening",
        /// The fee could not be known for certain: the gate did not know this entry, the car was told to come in again meanwhile, the
        /// exit is stamped before the entry, a stay over 7 days was charged and no person had looked, or the gate told another fee,
        /// one that is no amount or none that anybody takes.
        FeeUncertain = "fee_uncertain",
        /// What a gate told of the time could not be used, or it told it more than a day later, or by a clock that
        /// seems to be behind.
        TimeUncertain = "time_uncertain",
        /// A gate told a vehicle type that is none of the site's: the base rate was charged.
        UnknownType = "unknown_type",
        /// The car left less than a minute after it came in.
        QuickExit = "quick_exit",
        /// Two wheels were told where the stay is of a vehicle with more, or the other way round: perhaps two vehicles whose plates
        /// have the same characters.
        OtherType = "other_type",
        /// A program told it under an id that it had told of this car hours before, without a time to tell the two apart by; or an opening was
        /// read as this car and as another one.
        MayBeToldTwice = "may_be_told_twice",
        /// Two exits of the stay that count name one payment.
        PaymentUsedTwice = "payment_used_twice",
    }
}

impl Anomaly {
    /// Whether the author of an event can state it. The others follow from the facts.
    pub fn can_be_stated(self) -> bool {
        matches!(
            self,
            Self::ClockSkew | Self::FeeUncertain | Self::TimeUncertain | Self::UnknownType | Self::MayBeToldTwice
        )
    }
}
