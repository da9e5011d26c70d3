//! What needs somebody's hand, and what people are told of it who do not look at a page. Pure.
//!
//! | file | holds |
//! |---|---|
//! | [`attention`] | what is wrong now: the one list that the pages and the alarms go by |
//! | [`book`] | when an alarm begins, is repeated and ends; what was told already |
//! | [`outbox`] | what is on its way to whom, and what had to be dropped |
//! | [`message`] | one message, in words and as each kind of receiver takes it |
//!
//! Carried by the desk `desks/alarm_desk.rs` and the actor `actors/herald.rs`; why it is so: docs/decisions.

pub mod attention;
pub mod book;
pub mod message;
pub mod outbox;
