//! The present, as told by the shell.

/// The clocks of this central at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Never goes back; origin arbitrary. All waiting is measured by it.
    pub mono_ms: u64,
    /// The wall clock, Unix ms; may jump. Only told to others and shown.
    pub wall_ms: i64,
}
