//! The settings of one central: model, checks, file.
