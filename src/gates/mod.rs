//! What serves gates and is no actor: what they send and how it is checked, who of them is alive, what they are told.

pub mod report;
pub mod request;
pub mod roster;
