//! Log format, metrics, signals.
