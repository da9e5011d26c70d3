//! What proves who somebody is: passwords, codes, tokens and keys as hashes, and the files they lie in. Blocking.
//!
//! | file | holds |
//! |---|---|
//! | [`secret`] | random secrets and passwords, and their hashes |
//! | [`files`] | files nobody else on the machine can read: people and tokens of a central, and the one-time code a person makes on the machine |

pub mod files;
pub mod secret;
