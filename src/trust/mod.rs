//! Whom to believe that he is who he says: decided by the certificate he showed, purely.
//!
//! | file | holds |
//! |---|---|
//! | [`invitation`] | what a person carries to a new central, and the codes in it |
//! | [`judge`] | whether a socket may speak as the central it says it is |
//! | [`pending`] | who knocked and is unknown here, until a person says yes or no |

pub mod invitation;
pub mod judge;
pub mod pending;
pub mod site;
