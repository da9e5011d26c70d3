//! The composition root: starts everything in order and stops it in reverse.
