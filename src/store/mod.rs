//! SQLite and nothing else: blocking, no actix.
