//! What proves who somebody is: passwords, codes, tokens and keys as hashes, and the files they lie in. Blocking.
//!
//! | file | holds |
//! |---|---|
//! | [`secret`] | random secrets and passwords, and their hashes |
//! | [`accounts_file`] | people and tokens of a central, and the one-time code a person makes on the machine |
//! | [`private_file`] | files nobody else on the machine can read |

pub mod accounts_file;
pub mod private_file;
pub mod secret;
