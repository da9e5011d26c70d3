//! The settings of one central: model, checks, file.
//!
//! [`model::Config`] is always whole and valid: it is made by [`read::config`] (a file or a request), [`change::merge`]
//! (a request over what is in force) or [`model::Config::standalone`], and nothing else. [`mod@file`] loads and saves it,
//! [`change::changed`] says what a save changed, so that the actors concerned can apply it at once.
//!
//! To add a setting: a field in `model.rs` with its default, a line in `read.rs`, one in
//! `config/every-setting.example.json` and one in `docs/settings.md`; a test fails where one is forgotten.

pub mod alarms;
pub mod change;
pub mod file;
pub mod model;
pub mod read;
mod reader;
#[cfg(test)]
mod tests;
