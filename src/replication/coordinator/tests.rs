//! The rules of the coordinator, each by what it wants done.
