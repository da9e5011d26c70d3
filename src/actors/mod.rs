//! One file, one actor: its messages, its state, its handlers.
