//! The rules of one peer, each by what it sends.
