//! Who may do what. Pure: the time, random numbers and hashes are arguments.
//!
//! | file | holds |
//! |---|---|
//! | [`right`] | who calls, what a call needs, and whether somebody has it: the decision behind the table of routes |
//! | [`accounts`] | people and tokens, what may be changed of them, and how that is told |
//! | [`sessions`] | who is logged in, and until when |
//! | [`tally`] | what is written down of logins and refusals, however many there are |
//! | [`throttle`] | how long somebody who guesses has to wait |

pub mod accounts;
pub mod right;
pub mod sessions;
pub mod tally;
pub mod throttle;
