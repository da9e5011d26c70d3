//! Who may do what. Pure: the time, random numbers and hashes are arguments.
//!
//! | file | holds |
//! |---|---|
//! | [`who`] | who calls: nobody, an edge, a person, a program with a token |
//! | [`right`] | what a call needs, and whether somebody has it: the decision behind the table of routes |
//! | [`account_changes`] | what a change of them is to those who look at it later |
//! | [`accounts`] | people and tokens, and what may be changed of them |
//! | [`sessions`] | who is logged in, and until when |
//! | [`tally`] | what is written down of logins and refusals, however many there are |
//! | [`throttle`] | how long somebody who guesses has to wait |

pub mod account_changes;
pub mod accounts;
pub mod right;
pub mod sessions;
pub mod tally;
pub mod throttle;
pub mod who;
